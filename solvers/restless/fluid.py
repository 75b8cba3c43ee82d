r"""The fluid bound: what could be had if arms were divisible.

Problem
-------
An upper bound on the expected reward of every policy of a coupled bandit, for many arms, and
prices of the levels that lead to a good policy.

Algorithm
---------
Linear program over mu_{jh}(s, n), the probability that arm j is in state s at step h and feels
level n:

    maximise sum_{h,j,s,n} mu_{jh}(s, n) r_j(s, n),                                          (1)
    sum_n mu_{j0}(s, n) = initial_j(s),                                                      (2)
    sum_n mu_{j,h+1}(t, n) = sum_{s,n} mu_{jh}(s, n) P_j(t | s, n),                          (3)
    sum_s mu_{jh}(s, n) = [level n of arm j] in the program of the action set at step h,     (4)

that program without integrality. An action set may offer an outline, a much smaller program that
holds for more than its actions. It takes the place of the program at all steps first, and keeps it
where the solution a_h meets the relaxed program nevertheless,

    max {sum_i b_i : b <= a_h, b in the relaxation} = sum_i a_hi,                            (7)

so that the result is an optimum of the whole. With prices lambda_{jhn} of (4), each arm is a small
decision process of its own,

    V_{jh}(s) = max_n [r_j(s, n) + P_j(n) V_{j,h+1} - lambda_{jhn}],                         (5)

and for any prices whatever

    bound = sum_j initial_j V_{j0} + sum_h max_{a in C} sum_j lambda_{jh, level_j(a)}.       (6)

Guarantee
---------
(6) is an upper bound on the value of every policy, for any prices: the levels that a policy
brings about lie in the hull of C, and given the prices the arms do best alone. It is evaluated
here from the prices, so nothing depends on the linear program being solved well; what is trusted
is the bound that the back end reports for the small programs over C. (5) and (6) are rounded
outwards.

Cost
----
One linear program with H J S L columns, with an outline at times two, and H programs over C.

Deviations
----------
(6) maximises over C itself, which is at least as tight as its relaxation.

References
----------
xu2025 for the problem; whittle1988 for the relaxation; adelman2008 for bounds by prices.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.optim.backends import Backend
from mdplib.optim.builder import MipBuilder
from mdplib.optim.lp import solve_relaxation
from mdplib.restless.action_set import ActionColumns, Actions, ActionSet, Outlined
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.choice import best_action, template

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ROUNDOFF = 2.0**-52
_TOLERANCE = 1e-6  # of (7); only the value of the linear program depends on it


@dataclass(frozen=True, eq=False, repr=False)
class FluidBound:
    """An upper bound on every policy, and the prices that prove it.

    Parameters
    ----------
    upper : float
        Bound on the expected reward of an episode, over all its steps.
    program : float
        Value of the linear program, for comparison.
    price : (J, H, L) float64
        Price of each level of each arm at each step; level 0 is free.
    value : (J, H+1, S) float64
        V_{jh}(s) of (5).
    best : tuple of (N,) int8 arrays
        At each step the action that is worth most at the prices.
    seconds : float
        Wall time.
    """

    upper: float
    program: float
    price: Floats
    value: Floats
    best: tuple[Actions, ...]
    seconds: float

    def check(self, bandit: CoupledRestlessBandit) -> None:
        """Raise InvalidModelError if this is a bound of a bandit of another shape."""
        J, H, S, L = self.price.shape[0], *self.value.shape[1:], self.price.shape[2]
        mine = (bandit.n_arms, bandit.horizon, bandit.arms.n_states, bandit.actions.n_levels)
        if mine != (J, H - 1, S, L):
            raise InvalidModelError(
                f"the bound has (arms, steps, states, levels) {(J, H - 1, S, L)} and the bandit "
                f"{mine}; compute the bound of this bandit"
            )

    def scores(self, bandit: CoupledRestlessBandit, h: int) -> Floats:
        """Return what each level is worth before prices, (J, S, L): r + P V_{h+1}."""
        ahead = np.einsum(
            "jnst,jt->jns", bandit.arms.P[:, : self.price.shape[2]], self.value[:, h + 1]
        )
        return np.moveaxis(bandit.arms.r[:, : ahead.shape[1]] + ahead, 1, 2)

    def ahead(self, bandit: CoupledRestlessBandit, h: int) -> float:
        """Return what the prices of the steps after h bring in.

        ``scores(bandit, h)``, summed over the arms at their levels, plus this is an estimate of
        the best that can follow from a joint state and an action.
        """
        arms = np.arange(bandit.n_arms)
        later = range(h + 1, bandit.horizon)
        return float(
            sum(self.price[arms, k, bandit.actions.levels(self.best[k])].sum() for k in later)
        )

    def __repr__(self) -> str:
        return f"FluidBound(upper={self.upper:.6g}, program={self.program:.6g})"


def fluid_bound(
    bandit: CoupledRestlessBandit,
    *,
    backend: Backend = "highs",
    gap: float = 1e-2,
    listed: Actions | None = None,
    time_limit: float | None = None,
) -> FluidBound:
    """Return the fluid bound of a coupled bandit.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    backend, gap, time_limit
        Of the small programs over the action set, see `mdplib.optim.solve_mip`; the gap is paid
        for in the bound, which stays below `program` however wide it is. A set that bounds its
        best action itself, as large sets of walks do, is left to do so.
    listed : (n, N) int8 array, optional
        All actions, if they have been enumerated: no programs are needed then.

    Returns
    -------
    FluidBound

    Raises
    ------
    SolverError
        If the linear program fails.

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.capacity(6, 2, np.random.default_rng(0))
    >>> bound = fluid_bound(bandit)
    >>> bound.upper <= bound.program + 1e-6
    True
    """
    started = time.perf_counter()
    stop = None if time_limit is None else started + time_limit
    outlined = np.full(bandit.horizon, isinstance(bandit.actions, Outlined))
    while True:
        left = None if stop is None else max(0.0, stop - time.perf_counter())
        builder = MipBuilder()
        links, columns = _describe(bandit, builder, outlined)
        found = solve_relaxation(builder.arrays(), time_limit=left)
        wrong = _outside(bandit.actions, found.x, columns, outlined)
        if not found.optimal or not wrong.any():
            break
        outlined &= ~wrong
    price = np.where(links >= 0, -found.dual[np.maximum(links, 0)], 0.0)
    upper, value, best = price_bound(bandit, price, backend=backend, gap=gap, listed=listed)
    seconds = time.perf_counter() - started
    return FluidBound(upper, -found.objective, price, value, best, seconds)


def _describe(
    bandit: CoupledRestlessBandit, builder: MipBuilder, outlined: NDArray[np.bool_]
) -> tuple[Ints, list[ActionColumns]]:
    """Add the whole program; return the rows (4), (J, H, L), -1 where there is none."""
    actions = bandit.actions
    columns = [
        actions.outline(builder)
        if outlined[h] and isinstance(actions, Outlined)
        else actions.describe(builder)
        for h in range(bandit.horizon)
    ]
    links, _ = flow(bandit, builder, lambda h: _levels(columns[h]))
    return links, columns


def _outside(
    actions: ActionSet, x: Floats, columns: list[ActionColumns], outlined: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return at which steps a solution that meets the outline violates (7), (H,)."""
    wrong = np.zeros(outlined.size, dtype=bool)
    if not outlined.any():
        return wrong
    arrays, inner = template(actions)
    cost = np.zeros(arrays.c.size)
    cost[inner.action] = -1.0
    for h in np.flatnonzero(outlined):
        upper = arrays.col_upper.copy()
        upper[inner.action] = np.clip(x[columns[h].action], 0.0, upper[inner.action])
        most = -solve_relaxation(replace(arrays, c=cost, col_upper=upper)).objective
        wrong[h] = most < upper[inner.action].sum() - _TOLERANCE  # (7)
    return wrong


def _levels(columns: ActionColumns) -> list[list[tuple[Ints, Floats]]]:
    """Return, per arm and level from 1, the columns that add up to it with their weights."""
    return [
        [
            (np.array([c]), np.ones(1)) if c >= 0 else (np.empty(0, np.int64), np.empty(0))
            for c in row[1:]
        ]
        for row in columns.level
    ]


def flow(bandit: CoupledRestlessBandit, builder: MipBuilder, levels) -> tuple[Ints, Ints]:
    """Add the columns mu and the rows (2), (3), (4) to a program.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    builder : MipBuilder
        Receives columns and rows.
    levels : callable
        ``levels(h)[j][n - 1]`` lists the columns, and their weights, that say whether arm j feels
        level n >= 1 at step h.

    Returns
    -------
    links : (J, H, L) int64
        Numbers of the rows (4); -1 for level 0.
    mu : (J, H, S, L) int64
        Numbers of the columns.
    """
    J, H = bandit.n_arms, bandit.horizon
    S, L = bandit.arms.n_states, bandit.actions.n_levels
    P, r = bandit.arms.P[:, :L], bandit.arms.r[:, :L]
    cost = np.broadcast_to(-np.moveaxis(r, 1, 2)[:, None], (J, H, S, L))  # (1)
    mu = builder.columns(J * H * S * L, upper=1.0, cost=cost.ravel()).reshape(J, H, S, L)
    first = bandit.initial.ravel()
    masses = np.repeat(np.arange(J * S), L)
    builder.entries(J * S, masses, mu[:, 0], lower=first, upper=first)  # (2)
    if H > 1:
        ahead = np.arange(J * (H - 1) * S).reshape(J, H - 1, S)  # rows (j, h, t)
        j, n, s, t = np.nonzero(P)
        rows = [np.repeat(ahead.ravel(), L), ahead[j, :, t].ravel()]
        entries = [mu[:, 1:].ravel(), mu[j, :-1, s, n].ravel()]
        moves = [np.ones(entries[0].size), np.repeat(-P[j, n, s, t], H - 1)]
        parts = [np.concatenate(x) for x in (rows, entries, moves)]
        builder.entries(ahead.size, *parts, lower=0.0, upper=0.0)  # (3)
    links = np.full((J, H, L), -1, dtype=np.int64)
    for h in range(H):
        felt = [
            (j, n, at, w) for j, row in enumerate(levels(h)) for n, (at, w) in enumerate(row, 1)
        ]
        if not felt:
            continue
        arm, level = np.array([f[0] for f in felt]), np.array([f[1] for f in felt])
        count, sizes = len(felt), [len(f[2]) for f in felt]
        places = np.concatenate(
            [np.repeat(np.arange(count), S), np.repeat(np.arange(count), sizes)]
        )
        own = np.concatenate([mu[arm, h, :, level].ravel(), *(f[2] for f in felt)])
        weights = np.concatenate([np.ones(count * S), *(-f[3] for f in felt)])
        links[arm, h, level] = builder.entries(
            count, places, own, weights, lower=0.0, upper=0.0
        )  # (4)
    return links, mu


def price_bound(
    bandit: CoupledRestlessBandit,
    price: Floats,
    *,
    backend: Backend = "highs",
    gap: float = 1e-2,
    listed: Actions | None = None,
) -> tuple[float, Floats, tuple[Actions, ...]]:
    """Return the bound (6) that any prices prove.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    price : (J, H, L) array
        Prices.
    backend, gap, listed
        As in `fluid_bound`.

    Returns
    -------
    upper : float
        The bound, rounded up.
    value : (J, H+1, S) float64
        Values of the arms at the prices.
    best : tuple of arrays
        The action that is worth most at each step.
    """
    J, H, S = bandit.n_arms, bandit.horizon, bandit.arms.n_states
    L = bandit.actions.n_levels
    P, r = bandit.arms.P[:, :L], bandit.arms.r[:, :L]
    allowed = _felt(bandit)
    value = np.zeros((J, H + 1, S))
    for h in range(H - 1, -1, -1):
        worth = r + np.einsum("jnst,jt->jns", P, value[:, h + 1]) - price[:, h, :, None]
        value[:, h] = np.where(allowed[:, :, None], worth, -np.inf).max(axis=1)  # (5)
    upper, best = float((bandit.initial * value[:, 0]).sum()), []
    known: dict[bytes, tuple[float, Actions]] = {}
    described = template(bandit.actions) if listed is None else None
    limit = 0.0 if hasattr(bandit.actions, "approximate") else None
    for h in range(H):
        key = price[:, h].tobytes()
        if key not in known:
            weights = np.where(allowed, price[:, h], 0.0)
            how = "auto" if listed is None else "enumerate"
            choice = best_action(
                bandit.actions, weights, how, listed=listed, described=described,
                backend=backend, gap=gap, time_limit=limit,
            )  # fmt: skip
            known[key] = (max(choice.bound, choice.value), choice.action)
        upper += known[key][0]  # (6)
        best.append(known[key][1])
    size = H * J * (float(np.abs(r).max()) + float(np.abs(price).max()))
    return upper + 4.0 * _ROUNDOFF * (S + J + H) * size, value, tuple(best)


def _felt(bandit: CoupledRestlessBandit) -> NDArray[np.bool_]:
    """Return which levels each arm can feel, (J, L)."""
    degree = getattr(bandit.actions, "degree", None)
    most = np.full(bandit.n_arms, bandit.actions.n_levels - 1) if degree is None else degree
    return np.arange(bandit.actions.n_levels) <= most[:, None]
