"""Small coupled restless bandits written out: joint arrays, exact values, and bounds by programs.

Nothing here is fast. Joint states and joint actions are listed, joint laws are Kronecker products,
and the bounds are linear programs with a dense matrix.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError, SolverError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Coupled:
    """Arms, the listed set C of joint actions, and linear rows that all actions satisfy.

    Parameters
    ----------
    P : (J, L, S, S) array
        Law of the next state of each arm at each level.
    r : (J, L, S) array
        Rewards.
    C : (A, J) int array
        Levels that the arms feel, action by action.
    rows : (m, J) array
        With `room`: ``rows @ level <= room`` for every action.
    room : (m,) array
        See `rows`.
    initial : (J, S) array
        Laws of the first states.
    horizon : int
        Number of steps of the undiscounted criterion.
    gamma : float
        Factor of the discounted one.

    Raises
    ------
    InvalidModelError
        If shapes disagree. Everything else is a matter of hypotheses.

    Examples
    --------
    >>> model = example()
    >>> model.joint[0].shape, model.optimum().shape
    ((3, 4, 4), (4, 4))
    """

    P: Array
    r: Array
    C: Ints
    rows: Array
    room: Array
    initial: Array
    horizon: int
    gamma: float

    def __post_init__(self):
        J, L, S = np.shape(self.r)
        wanted = {"P": (J, L, S, S), "initial": (J, S), "rows": (len(self.room), J)}
        for name, shape in wanted.items():
            if np.shape(getattr(self, name)) != shape:
                found = np.shape(getattr(self, name))
                raise InvalidModelError(f"{name} has shape {found}; r and room ask for {shape}")

    @cached_property
    def states(self) -> Ints:
        """Joint states in lexicographic order, (n, J)."""
        J, _, S = self.r.shape
        return np.array(list(itertools.product(range(S), repeat=J)))

    @cached_property
    def joint(self) -> tuple[Array, Array]:
        """Joint law (A, n, n) and reward (A, n) of every action."""
        J, arms = len(self.r), np.arange(len(self.r))
        laws, rewards = [], []
        for levels in self.C:
            law = np.ones((1, 1))
            for j in range(J):
                law = np.kron(law, self.P[j, levels[j]])  # arms move independently
            laws.append(law)
            rewards.append(self.r[arms, levels, self.states].sum(1))
        return np.array(laws), np.array(rewards)

    @cached_property
    def first(self) -> Array:
        """Law of the first joint state, (n,)."""
        law = np.ones(1)
        for row in self.initial:
            law = np.kron(law, row)
        return law

    def q_values(self, V: Array, discount: float = 1.0) -> Array:
        """Return r + discount P V for every action, (A, n)."""
        P, r = self.joint
        return r + discount * P @ V

    def operator(self, V: Array) -> Array:
        """Return the discounted optimality operator at V, (n,)."""
        return self.q_values(V, self.gamma).max(0)

    def optimum(self) -> Array:
        """Return the optimal values of the finite horizon, (H+1, n)."""
        V = np.zeros((self.horizon + 1, len(self.states)))
        for h in reversed(range(self.horizon)):
            V[h] = self.q_values(V[h + 1]).max(0)
        return V

    def value(self, policy: Array) -> Array:
        """Return the values of a policy (H, n, A) over the horizon, (H+1, n)."""
        V = np.zeros((self.horizon + 1, len(self.states)))
        for h in reversed(range(self.horizon)):
            V[h] = (policy[h].T * self.q_values(V[h + 1])).sum(0)
        return V

    def discounted_value(self, policy: Array) -> Array:
        """Return the discounted values of a stationary policy (n, A), (n,)."""
        P, r = self.joint
        P_pi = np.einsum("sa,ast->st", policy, P)
        r_pi = (policy.T * r).sum(0)
        return np.linalg.solve(np.eye(len(r_pi)) - self.gamma * P_pi, r_pi)

    def discounted_optimum(self) -> Array:
        """Return the optimal discounted values by policy iteration, (n,)."""
        V = self.discounted_value(greedy(self.joint[1]))
        while True:
            better = self.discounted_value(greedy(self.q_values(V, self.gamma)))
            if (better - V).max() <= 1e-12 * max(1.0, float(np.abs(V).max())):
                return V
            V = better


def greedy(Q: Array, slack: Array | float = 0.0) -> Array:
    """Return the policy that takes the last action within `slack` of the best, (..., n, A).

    Parameters
    ----------
    Q : (..., A, n) array
        Values of actions.
    slack : (..., n, 1) array or float
        What the action may lack.

    Returns
    -------
    (..., n, A) float64
    """
    Q = np.moveaxis(Q, -2, -1)
    lack = Q.max(-1, keepdims=True) - Q
    last = Q.shape[-1] - 1 - np.argmax(lack[..., ::-1] <= slack + 1e-12, axis=-1)
    return np.eye(Q.shape[-1])[last]


def price_bound(model: Coupled, price: Array) -> float:
    """Return sum_j V_j(price) + sum_h max_C price_h . level, prices (H, J, L)."""
    total, arms = 0.0, np.arange(len(model.r))
    V = np.zeros((len(model.r), model.r.shape[2]))
    for h in reversed(range(model.horizon)):
        Q = model.r - price[h][:, :, None] + np.einsum("jnst,jt->jns", model.P, V)
        V = Q.max(1)
        total += float(price[h][arms, model.C].sum(1).max())
    return total + float((model.initial * V).sum())


def arm_values(model: Coupled, price: Array) -> float:
    """Return the first half of `price_bound` alone: what the arms are worth at the prices."""
    V = np.zeros((len(model.r), model.r.shape[2]))
    for h in reversed(range(model.horizon)):
        V = (model.r - price[h][:, :, None] + np.einsum("jnst,jt->jns", model.P, V)).max(1)
    return float((model.initial * V).sum())


def separate_optimum(model: Coupled, discount: float | None = None) -> float:
    """Return the sum of the optima of the arms, each free to choose its level."""
    total = 0.0
    for P, r, initial in zip(model.P, model.r, model.initial, strict=True):
        V = np.zeros(r.shape[1])
        steps = model.horizon if discount is None else 2000
        for _ in range(steps):
            V = (r + (1.0 if discount is None else discount) * P @ V).max(0)
        total += float(initial @ V)
    return total


def program_bound(model: Coupled, *, hull: bool, discounted: bool = False) -> float:
    """Return the fluid bound, or with the hull of C in place of the rows the Lagrangian one.

    Parameters
    ----------
    model : Coupled
        The problem.
    hull : bool
        Whether mean levels come from a law on C, or only satisfy the rows.
    discounted : bool
        The discounted criterion, with one stationary law.

    Returns
    -------
    float
        Value of the linear program.

    Raises
    ------
    SolverError
        If the program has no solution.
    """
    from scipy.optimize import linprog

    J, L, S = model.r.shape
    H = 1 if discounted else model.horizon
    A = len(model.C) if hull else 0
    at = np.arange(H * J * S * L).reshape(H, J, S, L)
    law = at.size + np.arange(H * A).reshape(H, A)
    size = at.size + law.size
    equal, right = _flow(model, at, size, discounted)
    below, most = [], []
    for h in range(H):
        if hull:
            equal.append(_row(size, law[h], 1.0))
            right.append(1.0)
            for j, n in itertools.product(range(J), range(L)):
                row = _row(size, at[h, j, :, n], 1.0)
                row[law[h, model.C[:, j] == n]] = -1.0
                equal.append(row)
                right.append(0.0)
        else:
            for weights, room in zip(model.rows, model.room, strict=True):
                row = np.zeros(size)
                row[at[h]] = (weights[:, None] * np.arange(L))[:, None, :]
                below.append(row)
                most.append(room)
    cost = np.zeros(size)
    cost[at] = -np.moveaxis(model.r, 1, 2) / (1.0 - model.gamma if discounted else 1.0)
    found = linprog(
        cost,
        A_ub=np.array(below) if below else None,
        b_ub=np.array(most) if below else None,
        A_eq=np.array(equal),
        b_eq=np.array(right),
        method="highs-ds",
    )
    if found.fun is None:
        raise SolverError(f"the linear program failed: {found.message}")
    return -float(found.fun)


def _row(size: int, columns: Ints, value: float) -> Array:
    row = np.zeros(size)
    row[columns] = value
    return row


def _flow(model: Coupled, at: Ints, size: int, discounted: bool) -> tuple[list[Array], list[float]]:
    """Return the rows by which the laws of the arms move on."""
    equal, right = [], []
    H, J, S, _ = at.shape
    share = 1.0 - model.gamma if discounted else 1.0
    for h, j, t in itertools.product(range(H), range(J), range(S)):
        row = _row(size, at[h, j, t], 1.0)
        before = np.moveaxis(model.P[j, :, :, t], 0, 1)
        if discounted:
            row[at[h, j]] -= model.gamma * before
        elif h > 0:
            row[at[h - 1, j]] -= before
        equal.append(row)
        right.append(share * float(model.initial[j, t]) if discounted or h == 0 else 0.0)
    return equal, right


def listed(rows: Array, room: Array, n_levels: int) -> Ints:
    """Return all levels that satisfy the rows, (A, J)."""
    every = np.array(list(itertools.product(range(n_levels), repeat=np.shape(rows)[1])))
    return every[(every @ np.transpose(rows) <= np.asarray(room) + 1e-9).all(1)]


def draw(rng: np.random.Generator, *, most_states: int = 3) -> Coupled:
    """Draw up to three arms under up to two knapsack rows.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    most_states : int
        Largest number of states of an arm.

    Returns
    -------
    Coupled
        Two or three levels; rewards in [0, 1]; at least one action that pulls.
    """
    J, L, S = (
        int(rng.integers(2, 4)),
        int(rng.integers(2, 4)),
        int(rng.integers(2, most_states + 1)),
    )
    P = rng.dirichlet(np.full(S, 0.5), (J, L, S))
    P[rng.random((J, L, S)) < 0.2] = np.eye(S)[0]
    r = rng.random((J, L, S)) * (rng.random((J, L, S)) < 0.7)
    rows = rng.integers(1, 5, (int(rng.integers(1, 3)), J)).astype(float)
    room = np.array([rng.integers(row.min(), row.sum() * (L - 1) + 1) for row in rows], dtype=float)
    room = np.maximum(room, rows.min(1))
    initial = rng.dirichlet(np.ones(S), J)
    horizon, gamma = int(rng.integers(1, 5)), float(rng.choice([0.0, 0.5, 0.9]))
    return Coupled(P, r, listed(rows, room, L), rows, room, initial, horizon, gamma)


def draws(rng: np.random.Generator, n: int) -> Iterator[Coupled]:
    """Draw n models."""
    for _ in range(n):
        yield draw(rng)


def draw_policy(rng: np.random.Generator, model: Coupled) -> Array:
    """Return a policy (H, n, A): random actions at random."""
    A = len(model.C)
    shape = (model.horizon, len(model.states))
    return (
        np.eye(A)[rng.integers(0, A, shape)]
        if rng.random() < 0.5
        else rng.dirichlet(np.ones(A), shape)
    )


def example(budget: int = 1) -> Coupled:
    """Return two arms with two states; pulled, an arm climbs, and the upper state pays."""
    P = np.array([[[0.9, 0.1], [0.9, 0.1]], [[0.2, 0.8], [0.2, 0.8]]])
    r = np.einsum("nst,jt->jns", P, np.array([[0.0, 1.0], [0.0, 0.5]]))
    rows, room = np.ones((1, 2)), np.array([float(budget)])
    initial = np.array([[1.0, 0.0], [1.0, 0.0]])
    return Coupled(
        np.array([P, P]), r, listed(rows, room, 2), rows, room, initial, horizon=3, gamma=0.5
    )
