r"""Discounted bounds by prices, and the policy that the prices suggest.

Problem
-------
An upper bound on the expected discounted reward of every policy of a coupled bandit, over an
infinite horizon, and prices of the levels, one set for all time.

Algorithm
---------
Linear program over mu_j(s, n), the discounted share of time that arm j is in state s and feels
level n:

    maximise sum_{j,s,n} mu_j(s, n) r_j(s, n),                                               (1)
    sum_n mu_j(t, n) = (1 - gamma) initial_j(t) + gamma sum_{s,n} mu_j(s, n) P_j(t | s, n),  (2)
    sum_s mu_j(s, n) = [level n of arm j] in the program of C, once for all time,            (3)

that program without integrality; its value is in units of reward per step, the episode is worth
1 / (1 - gamma) times that. With the duals of (3) as prices lambda_jn,

    V_j(s) = max_n [r_j(s, n) - lambda_jn + gamma P_j(n) V_j],                               (4)
    bound = sum_j initial_j V_j + max_{a in C} sum_j lambda_{j, level_j(a)} / (1 - gamma).   (5)

With `hull` the prices are improved by columns, as in `solvers.restless.lagrangian`. The policy
takes an action of largest sum of

    r_j(s_j, n) + gamma P_j(n) V_j.                                                          (6)

Guarantee
---------
(5) bounds every policy for any prices: the discounted average of the actions of a policy lies in
the hull of C. (4) is solved by policy iteration, and each V_j is then raised by
max(0, max(T V_j - V_j)) / (1 - gamma), so that it bounds the value of the arm whatever the linear
equations gave. Rounded up.

Cost
----
One linear program with J S L columns and one over C.

Deviations
----------
None.

References
----------
whittle1988; hawkins2003; adelman2008.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import NotApplicableError, SolverError
from mdplib.optim.backends import Backend
from mdplib.optim.builder import MipBuilder
from mdplib.optim.lp import solve_relaxation
from mdplib.restless.action_set import Actions
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.choice import best_action
from solvers.restless.fluid import _felt
from solvers.restless.lagrangian import Evaluated, Master, descend
from solvers.restless.policies import LISTED, SeparablePolicy, list_actions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ROUNDOFF = 2.0**-52


@dataclass(frozen=True, eq=False, repr=False)
class DiscountedBound:
    """An upper bound on the discounted reward of every policy, and the prices that prove it.

    Parameters
    ----------
    upper : float
        Bound on the expected discounted reward.
    program : float
        Value of the linear program, for comparison.
    price : (J, L) float64
        Price of each level of each arm; level 0 is free.
    value : (J, S) float64
        V_j(s) of (4).
    best : (N,) int8
        The action that is worth most at the prices.
    seconds : float
        Wall time.
    """

    upper: float
    program: float
    price: Floats
    value: Floats
    best: Actions
    seconds: float

    def scores(self, bandit: CoupledRestlessBandit) -> Floats:
        """Return what each level is worth before prices, (J, S, L): r + gamma P V."""
        L = self.price.shape[1]
        ahead = np.einsum("jnst,jt->jns", bandit.arms.P[:, :L], self.value)
        return np.moveaxis(bandit.arms.r[:, :L] + bandit.gamma * ahead, 1, 2)

    def __repr__(self) -> str:
        return f"DiscountedBound(upper={self.upper:.6g}, program={self.program:.6g})"


def discounted_bound(
    bandit: CoupledRestlessBandit,
    *,
    hull: bool = False,
    tol: float = 1e-6,
    backend: Backend = "highs",
    gap: float = 1e-6,
    listed: Actions | None = None,
    limit: int = LISTED,
    time_limit: float | None = None,
) -> DiscountedBound:
    """Return a bound on the discounted reward of every policy.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem; its discount factor counts and its horizon does not.
    hull : bool
        Whether to look for the best prices, as `lagrangian_bound` does.
    tol : float
        Relative gap to the best prices at which to stop, with `hull`.
    backend, gap
        Of the small programs over the action set, see `mdplib.optim.solve_mip`; the gap is paid
        for in the bound.
    listed : (n, N) int8 array, optional
        All actions, if they have been enumerated: no programs are needed then.
    limit : int
        Sets with at most so many actions are enumerated here.
    time_limit : float, optional
        Seconds for the search of `hull`; the bound holds at every stop.

    Returns
    -------
    DiscountedBound

    Raises
    ------
    SolverError
        If the linear program fails.

    Examples
    --------
    >>> from mdplib import restless
    >>> from solvers.restless import joint_value_iteration
    >>> bandit = restless.capacity(3, 1, np.random.default_rng(0))
    >>> exact = joint_value_iteration(bandit, discounted=True, tol=1e-3)
    >>> bool(exact.initial <= discounted_bound(bandit).upper)
    True
    """
    began = time.perf_counter()
    listed = list_actions(bandit, limit) if listed is None else listed
    if listed is not None and not len(listed):
        raise SolverError("the action set is empty; relax its constraints")

    def evaluate(price: Floats) -> Evaluated:
        upper, value, best = discounted_price_bound(
            bandit, price[:, 0], backend=backend, gap=gap, listed=listed
        )
        return upper, value, (best,)

    builder = MipBuilder()
    columns = bandit.actions.describe(builder)
    links = _flow(bandit, builder, columns.level)
    found = solve_relaxation(builder.arrays(), time_limit=time_limit)
    price = np.where(links >= 0, -found.dual[np.maximum(links, 0)], 0.0)
    scale = 1.0 / (1.0 - bandit.gamma)
    proven, program = evaluate(price), -found.objective * scale
    if hull:
        builder = MipBuilder()
        links = _flow(bandit, builder, np.full_like(columns.level, -1))
        descent = descend(
            Master(bandit.actions, builder, links, listed),
            evaluate,
            (price, proven),
            tol=tol,
            max_rounds=1000,
            stop=None if time_limit is None else began + time_limit,
            scale=scale,
        )
        price, proven, program = descent.price, descent.best, descent.program
    upper, value, best = proven
    seconds = time.perf_counter() - began
    return DiscountedBound(upper, program, price[:, 0], value, best[0], seconds)


def _flow(bandit: CoupledRestlessBandit, builder: MipBuilder, level: Ints) -> Ints:
    """Add mu and the rows (2), (3); return the rows (3), (J, 1, L), -1 for level 0."""
    J, S, L = bandit.n_arms, bandit.arms.n_states, bandit.actions.n_levels
    P, r, gamma = bandit.arms.P, bandit.arms.r, bandit.gamma
    links = np.full((J, 1, L), -1, dtype=np.int64)
    for j in range(J):
        mu = builder.columns(S * L, cost=-r[j, :L].T.ravel()).reshape(S, L)  # (1)
        out = np.kron(np.eye(S), np.ones(L))
        weights = out - gamma * np.moveaxis(P[j, :L], 0, 1).reshape(S * L, S).T
        first = (1.0 - gamma) * bandit.initial[j]
        builder.rows([mu.ravel()] * S, weights, lower=first, upper=first)  # (2)
        for n in range(1, L):
            there = level[j, n : n + 1]
            there = there[there >= 0]
            links[j, 0, n] = builder.n_rows
            sides = np.concatenate([np.ones(S), -np.ones(there.size)])
            builder.row(np.concatenate([mu[:, n], there]), sides, lower=0.0, upper=0.0)  # (3)
    return links


def discounted_price_bound(
    bandit: CoupledRestlessBandit,
    price: Floats,
    *,
    backend: Backend = "highs",
    gap: float = 1e-6,
    listed: Actions | None = None,
) -> tuple[float, Floats, Actions]:
    """Return the bound (5) that any prices (J, L) prove, V (J, S), and the best action.

    Raises
    ------
    SolverError
        If there is no action.
    """
    J, L = bandit.n_arms, bandit.actions.n_levels
    if price.shape != (J, L) or not np.isfinite(price).all():
        raise SolverError(f"prices have shape {price.shape}; give finite ones, ({J}, {L})")
    allowed, gamma = _felt(bandit), bandit.gamma
    paid = np.where(allowed, price, np.inf)
    reward = bandit.arms.r[:, :L] - paid[:, :, None]
    value = _values(bandit.arms.P[:, :L], reward, gamma)
    how = "auto" if listed is None else "enumerate"
    weights = np.where(allowed, price, 0.0)
    choice = best_action(bandit.actions, weights, how, listed=listed, backend=backend, gap=gap)
    earned = max(choice.bound, choice.value) / (1.0 - gamma)
    upper = float((bandit.initial * value).sum()) + earned  # (5)
    largest = float(np.abs(value).max()) + float(np.abs(weights).max()) / (1.0 - gamma)
    slack = 8.0 * _ROUNDOFF * (J * bandit.arms.n_states + 4) * largest
    return upper + slack, value, choice.action


def _values(P: Floats, reward: Floats, gamma: float) -> Floats:
    """Return values (J, S) of (4), from above: rewards (J, L, S), -inf where it cannot be."""
    J, _, S, _ = P.shape
    arms, states = np.arange(J)[:, None], np.arange(S)
    V, rule = np.zeros((J, S)), np.full((J, S), -1)
    for _ in range(100):  # policy iteration; a stop before the end only loosens the bound
        worth = reward + gamma * np.einsum("jnst,jt->jns", P, V)
        better = worth.argmax(axis=1)
        if rule.min() >= 0:
            kept = worth[arms, rule, states]
            better = np.where(worth.max(axis=1) > kept + 1e-12 * (1 + np.abs(kept)), better, rule)
        if (better == rule).all():
            break
        rule = better
        system = np.eye(S) - gamma * P[arms, rule, states]
        V = np.linalg.solve(system, reward[arms, rule, states][:, :, None])[:, :, 0]
    worth = reward + gamma * np.einsum("jnst,jt->jns", P, V)
    finite = np.where(np.isfinite(reward), np.abs(reward), 0.0)
    rounding = 4.0 * _ROUNDOFF * (S + 3) * (finite.max() + np.abs(V).max())
    excess = np.maximum(0.0, (worth.max(axis=1) - V).max(axis=1)) + rounding
    return V + (excess / (1.0 - gamma))[:, None]  # (4)


def discounted_policy(
    bandit: CoupledRestlessBandit,
    bound: DiscountedBound | None = None,
    *,
    limit: int = LISTED,
    backend: Backend = "highs",
    gap: float = 1e-6,
    time_limit: float | None = None,
) -> SeparablePolicy:
    """Return the policy (6), the same at all times.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    bound : DiscountedBound, optional
        Where the values come from; computed, with `hull`, if None.
    limit, backend, gap, time_limit
        As in `solvers.restless.myopic_policy`.

    Returns
    -------
    SeparablePolicy

    Raises
    ------
    NotApplicableError
        If the bound is one of another bandit.

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.budget(4, 1, np.random.default_rng(0))
    >>> discounted_policy(bandit)(0, np.zeros((1, 4), dtype=int)).sum() <= 1
    np.True_
    """
    listed = list_actions(bandit, limit)
    if bound is None:
        bound = discounted_bound(bandit, hull=True, backend=backend, listed=listed)
    shape = (bandit.n_arms, bandit.arms.n_states)
    if bound.value.shape != shape:
        raise NotApplicableError(f"the bound has values {bound.value.shape}, the bandit {shape}")
    scores, arms = bound.scores(bandit), np.arange(bandit.n_arms)
    weights = lambda h, s: scores[arms, s]  # (6)  # noqa: E731
    return SeparablePolicy(bandit, weights, True, listed, backend, gap, time_limit)
