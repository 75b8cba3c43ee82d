r"""Exact values of small coupled bandits, by value iteration on joint states.

Problem
-------
All S^J joint states and all actions of the set; finite horizon, or discounted.

Algorithm
---------
The arms move independently, so for an action with levels n_1, ..., n_J

    E[V(s') | s, a] = (P_1(n_1) x ... x P_J(n_J)) V,                                         (1)

one product per arm and never a joint matrix. Actions that share the levels of their first arms
share the products. Then

    V_h(s) = max_a r(s, a) + gamma E[V_{h+1}(s') | s, a].                                    (2)

Discounted: with d = T V - V, every fixed point obeys

    T V + gamma / (1 - gamma) min d <= V* <= T V + gamma / (1 - gamma) max d.               (3)

Guarantee
---------
lower <= V* <= upper with the rounding of (1) and (2) added: a sum of m terms of size x is off by
at most m u x, u the unit roundoff, and no number here exceeds (H or 1 / (1 - gamma)) max |r|.

Cost
----
O(J S S^J) per action and step, with S^J numbers in memory per step.

Deviations
----------
None.

References
----------
puterman1994, sections 4.5 and 6.3; macqueen1966 for (3).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import NotApplicableError, SolverError
from mdplib.restless.action_set import Actions
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.simulation import JointPolicy
from mdplib.solution import Stats, Status

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STATES = 1 << 20
_ROUNDOFF = 2.0**-52


@dataclass(frozen=True, eq=False, repr=False)
class JointSolution:
    """Values of all joint states with proven bounds, and an optimal policy.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    value, lower, upper : (H+1, S^J) or (S^J,) float64
        Values and proven bounds; joint states in lexicographic order, the first arm slowest.
    choice : (H, S^J) or (S^J,) int64
        Row of `actions` that is optimal (for the discounted problem: greedy for `value`).
    actions : (n, N) int8
        All actions.
    status : Status
        OPTIMAL if the bounds are within the tolerance.
    stats : Stats
        Effort.
    """

    bandit: CoupledRestlessBandit
    value: Floats
    lower: Floats
    upper: Floats
    choice: Ints
    actions: Actions
    status: Status
    stats: Stats

    @property
    def gap(self) -> float:
        """Largest difference between the bounds."""
        return float((self.upper - self.lower).max())

    @property
    def initial(self) -> float:
        """Expected value at the first state of an episode."""
        return float(initial_law(self.bandit) @ np.atleast_2d(self.value)[0])

    def policy(self, h: int, s: Ints) -> Actions:
        """Return optimal actions, (n, N), at step h in joint states (n, J)."""
        at = joint_index(self.bandit, s)
        return self.actions[self.choice[h, at] if self.choice.ndim == 2 else self.choice[at]]

    def __repr__(self) -> str:
        states = self.value.shape[-1]
        return f"JointSolution({states} joint states, gap {self.gap:.3g}, {self.status.name})"


def joint_states(bandit: CoupledRestlessBandit) -> Ints:
    """Return all joint states, (S^J, J), in the order of the values.

    Raises
    ------
    NotApplicableError
        If there are more than a million.
    """
    J, S = bandit.n_arms, bandit.arms.n_states
    if S**J > STATES:
        raise NotApplicableError(
            f"{S}**{J} joint states are more than {STATES}; use a bound and a simulated policy"
        )
    return np.stack(np.unravel_index(np.arange(S**J), (S,) * J), axis=1)


def joint_index(bandit: CoupledRestlessBandit, s: Ints) -> Ints:
    """Return the numbers of joint states (..., J)."""
    S = bandit.arms.n_states
    return np.asarray(s) @ (S ** np.arange(bandit.n_arms - 1, -1, -1))


def initial_law(bandit: CoupledRestlessBandit) -> Floats:
    """Return the law of the first joint state, (S^J,)."""
    law: Floats = np.ones(1)
    for each in bandit.initial:
        law = np.multiply.outer(law, each).ravel()
    return law


class _Backup:
    """Backups of a value vector under all actions, prefixes of levels shared."""

    def __init__(self, bandit: CoupledRestlessBandit, actions: Actions):
        self.bandit, self.actions = bandit, actions
        self.levels = bandit.actions.levels(actions)
        joint_states(bandit)
        J, S = bandit.n_arms, bandit.arms.n_states
        self.shape = (S,) * J
        self.rewards = [
            [self._along(bandit.arms.r[j, n], j) for n in range(bandit.arms.n_levels)]
            for j in range(J)
        ]

    def _along(self, x: Floats, arm: int) -> Floats:
        shape = [1] * self.bandit.n_arms
        shape[arm] = x.size
        return x.reshape(shape)

    def best(self, V: Floats, gamma: float) -> tuple[Floats, Ints]:
        """Return (T V, argmax), both (S^J,), the first best action winning ties."""
        best = np.full(self.shape, -np.inf)
        choice = np.zeros(self.shape, dtype=np.int64)

        def descend(arm: int, rows: Ints, ahead: Floats, paid: Floats) -> None:
            if arm == self.bandit.n_arms:
                total = paid + gamma * ahead  # (2)
                better = (total > best) | ((total == best) & (choice > rows[0]))
                np.copyto(best, total, where=better)
                np.copyto(choice, rows[0], where=better)
                return
            for n in np.unique(self.levels[rows, arm]):
                pushed = self._push(ahead, arm, int(n))
                members = rows[self.levels[rows, arm] == n]
                descend(arm + 1, members, pushed, paid + self.rewards[arm][n])

        start = np.zeros((1,) * self.bandit.n_arms)
        descend(0, np.arange(len(self.actions)), V.reshape(self.shape), start)
        return best.ravel(), choice.ravel()

    def follow(self, V: Floats, rows: Ints, gamma: float) -> Floats:
        """Return T_a V, (S^J,), where joint state x takes the action of row rows[x]."""
        value = np.empty(V.size)
        states = joint_states(self.bandit)
        for row in np.unique(rows):
            at = rows == row
            ahead = V.reshape(self.shape)
            for arm, n in enumerate(self.levels[row]):
                ahead = self._push(ahead, arm, int(n))
            paid = self.bandit.reward(states[at], self.actions[row])
            value[at] = paid + gamma * ahead.ravel()[at]
        return value

    def _push(self, V: Floats, arm: int, n: int) -> Floats:
        """Return the expectation over the next state of one arm."""
        moved = np.tensordot(self.bandit.arms.P[arm, n], V, axes=(1, arm))  # (1)
        return np.moveaxis(moved, 0, arm)

    def rounding(self, steps: float) -> float:
        """Return a bound on the rounding error of one backup, times the number of steps."""
        arms = self.bandit.arms
        largest = steps * self.bandit.n_arms * float(np.abs(arms.r).max())
        terms = self.bandit.n_arms * (arms.n_states + 2) + 4
        return steps * terms * _ROUNDOFF * largest


def joint_value_iteration(
    bandit: CoupledRestlessBandit,
    *,
    discounted: bool = False,
    tol: float = 1e-6,
    max_iterations: int = 100_000,
    time_limit: float | None = None,
) -> JointSolution:
    """Solve a small coupled bandit exactly.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        At most a million joint states, and actions that can be enumerated.
    discounted : bool
        Maximise the discounted reward over an infinite horizon with ``bandit.gamma``, instead of
        the sum over ``bandit.horizon`` steps.
    tol : float
        Wanted gap between the bounds.
    max_iterations : int
        Of the discounted problem.
    time_limit : float, optional
        Seconds, of the discounted problem.

    Returns
    -------
    JointSolution

    Raises
    ------
    NotApplicableError
        If there are too many joint states.
    TooManyActionsError
        If there are too many actions.
    SolverError
        If the action set is empty.

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.budget(3, 1, np.random.default_rng(0))
    >>> solution = joint_value_iteration(bandit)
    >>> solution.value.shape, solution.status.name
    ((21, 64), 'OPTIMAL')
    """
    started = time.perf_counter()
    actions = bandit.actions.enumerate()
    if not len(actions):
        raise SolverError("the action set is empty; relax its constraints")
    backup = _Backup(bandit, actions)
    solve = _discounted if discounted else _finite
    V, lower, upper, choice, iterations, timed_out = solve(
        backup, tol, max_iterations, None if time_limit is None else started + time_limit
    )
    gap = float((upper - lower).max())
    status = Status.OPTIMAL if gap <= tol else Status.ITERATION_LIMIT
    if status is not Status.OPTIMAL and timed_out:
        status = Status.TIME_LIMIT
    stats = Stats(iterations, time.perf_counter() - started)
    return JointSolution(bandit, V, lower, upper, choice, actions, status, stats)


_Found = tuple[Floats, Floats, Floats, Ints, int, bool]


def _finite(backup: _Backup, tol: float, limit: int, stop: float | None) -> _Found:
    H, size = backup.bandit.horizon, int(np.prod(backup.shape))
    V, choice = np.zeros((H + 1, size)), np.zeros((H, size), dtype=np.int64)
    for h in range(H - 1, -1, -1):
        V[h], choice[h] = backup.best(V[h + 1], 1.0)
    slack = np.array([backup.rounding(H - h) for h in range(H + 1)])[:, None]
    return V, V - slack, V + slack, choice, H, False


def _discounted(backup: _Backup, tol: float, limit: int, stop: float | None) -> _Found:
    gamma = backup.bandit.gamma
    ahead = gamma / (1.0 - gamma)
    slack = backup.rounding(1.0 / (1.0 - gamma))
    V = np.zeros(int(np.prod(backup.shape)))
    for iteration in range(1, limit + 1):
        TV, choice = backup.best(V, gamma)
        low, high = float((TV - V).min()), float((TV - V).max())
        lower, upper = TV + ahead * low - slack, TV + ahead * high + slack  # (3)
        late = stop is not None and time.perf_counter() > stop
        if (upper - lower).max() <= tol or iteration == limit or late:
            return 0.5 * (lower + upper), lower, upper, choice, iteration, late
        V = TV + 0.5 * ahead * (low + high)
    raise SolverError("max_iterations must be at least 1")


def evaluate_joint(bandit: CoupledRestlessBandit, policy: JointPolicy) -> Floats:
    """Return the exact finite-horizon value of a policy, (H+1, S^J).

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        At most a million joint states.
    policy : callable
        ``policy(h, s)`` maps joint states (n, J) to actions (n, N).

    Returns
    -------
    (H+1, S^J) float64

    Raises
    ------
    NotApplicableError
        If there are too many joint states.

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.budget(2, 1, np.random.default_rng(0))
    >>> best = joint_value_iteration(bandit)
    >>> bool(np.allclose(evaluate_joint(bandit, best.policy), best.value))
    True
    """
    states = joint_states(bandit)
    V = np.zeros((bandit.horizon + 1, len(states)))
    for h in range(bandit.horizon - 1, -1, -1):
        taken = np.asarray(policy(h, states))
        distinct, rows = np.unique(taken, axis=0, return_inverse=True)
        V[h] = _Backup(bandit, distinct).follow(V[h + 1], rows.ravel(), 1.0)
    return V


def initial_value(bandit: CoupledRestlessBandit, policy: JointPolicy) -> float:
    """Return the exact expected reward of an episode under a policy."""
    return float(initial_law(bandit) @ evaluate_joint(bandit, policy)[0])
