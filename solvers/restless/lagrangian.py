r"""The Lagrangian bound: the best that prices can prove.

Problem
-------
The smallest upper bound of the form of `solvers.restless.fluid`, over all prices of the levels,

    min over lambda of
        sum_j initial_j V_{j0}(lambda) + sum_h max_{a in C} sum_j lambda_{jh, level_j(a)}.   (1)

The fluid bound takes its prices from the relaxation of the program of C; here C itself counts.

Algorithm
---------
By duality (1) is the fluid program with the hull of C in place of its relaxation: a law w_h on the
actions for each step,

    sum_s mu_{jh}(s, n) = sum_{a: level_j(a) = n} w_h(a),   sum_a w_h(a) = 1.               (2)

Actions are generated as columns. Prices are the duals of the program with the columns so far,
smoothed towards the prices of the best bound (Wentges 1997),

    lambda = alpha lambda_best + (1 - alpha) lambda_dual,                                    (3)

and each step receives the actions that are worth most at (3); if all of them are there already,
the duals themselves are tried. Where C was listed every action is compared. Otherwise the
programs that evaluate the bound give the actions, every step may use what others found, and no
programs are solved as long as that helps.

Guarantee
---------
Each bound is evaluated from its prices by `price_bound`, hence holds whatever the linear programs
do, and the smallest is returned: it holds at every stop, by tolerance, count or time, and is
never worse than the fluid bound. It is minimal to the extent that `upper - program` is small:
(2) restricted to some columns is at most (1), up to the tolerances of the linear program.

Cost
----
Per round one linear program with H J S L columns, from the basis of the round before, and the
evaluation of one or two bounds.

Deviations
----------
None.

References
----------
hawkins2003; adelman2008; P. Wentges, Weighted Dantzig-Wolfe decomposition for linear mixed-integer
programming, International Transactions in Operational Research 4, 151-162, 1997.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import SolverError
from mdplib.optim.backends import Backend
from mdplib.optim.builder import MipBuilder
from mdplib.optim.growing import GrowingProgram
from mdplib.restless.action_set import Actions, ActionSet
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.solution import Status
from solvers.restless.fluid import FluidBound, flow, fluid_bound, price_bound
from solvers.restless.policies import LISTED, list_actions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Evaluated = tuple[float, Floats, tuple[Actions, ...]]
ALPHA = 0.5
TOP = 10  # columns for each step and round, where actions are listed


@dataclass(frozen=True, eq=False, repr=False)
class LagrangianBound(FluidBound):
    """A fluid bound with the best prices, and how far they may be from the best.

    ``program`` is the value of (2) with the columns generated: no prices prove less, up to the
    tolerances of linear programming.

    Parameters
    ----------
    upper, program, price, value, best, seconds
        As in `FluidBound`.
    rounds : int
        Linear programs solved.
    columns : int
        Actions generated, all steps together.
    status : Status
        OPTIMAL, ITERATION_LIMIT or TIME_LIMIT; the bound holds in any case.
    """

    rounds: int = 0
    columns: int = 0
    status: Status = Status.OPTIMAL

    @property
    def gap(self) -> float:
        """How much smaller the bound could be with other prices, at most."""
        return max(0.0, self.upper - self.program)

    def __repr__(self) -> str:
        return f"LagrangianBound(upper={self.upper:.6g}, gap={self.gap:.3g}, {self.status.name})"


class Master:
    """The program (2) with the columns so far.

    Parameters
    ----------
    actions : ActionSet
        C.
    builder : MipBuilder
        Holds the flow of the arms.
    links : (J, T, L) int64
        Rows of the levels, -1 where there is none; T steps have a law each.
    listed : (m, N) int8 array or None
        All actions, if they have been enumerated.
    """

    def __init__(
        self, actions: ActionSet, builder: MipBuilder, links: Ints, listed: Actions | None
    ):
        self.actions, self.links, self.whole = actions, links, listed is not None
        self.law = builder.n_rows + np.arange(links.shape[1])
        for _ in self.law:
            builder.row([], lower=1.0, upper=1.0)  # (2)
        self.program = GrowingProgram(builder.arrays())
        pool = np.empty((0, actions.n_actions), np.int8) if listed is None else listed
        self.pool = np.ascontiguousarray(pool, dtype=np.int8)
        self.level = actions.levels(self.pool)
        self.felt = self._felt(self.level)
        self.has = np.zeros((len(self.pool), self.law.size), dtype=bool)

    @property
    def columns(self) -> int:
        """Number of columns generated."""
        return int(self.has.sum())

    def _felt(self, level: Ints) -> Floats:
        """Return [level_j(a) = n] for n >= 1, (m, J (L - 1))."""
        J, _, L = self.links.shape
        hot = level[:, :, None] == np.arange(1, L)
        return hot.reshape(len(level), J * (L - 1)).astype(np.float64)

    def _worth(self, price: Floats) -> Floats:
        """Return what each action of the pool is worth at each step, (T, m)."""
        each = np.moveaxis(price[:, :, 1:], 1, 2).reshape(self.felt.shape[1], -1)
        return each.T @ self.felt.T

    def leading(self, price: Floats) -> Actions | None:
        """Return actions among which each step has its best, if all actions were listed.

        Among ties up to rounding any may be taken: the bound has room for that.
        """
        return self.pool[np.unique(self._worth(price).argmax(axis=1))] if self.whole else None

    def learn(self, found: tuple[Actions, ...]) -> None:
        """Take actions into the pool."""
        if self.whole:
            return
        known = {a.tobytes() for a in self.pool}
        new = {a.tobytes(): a for a in found if a.tobytes() not in known}
        if new:
            rows = np.array(list(new.values()), dtype=np.int8)
            self.pool = np.concatenate([self.pool, rows])
            level = self.actions.levels(rows)
            self.level = np.concatenate([self.level, level])
            self.felt = np.concatenate([self.felt, self._felt(level)])
            self.has = np.concatenate([self.has, np.zeros((len(rows), self.law.size), bool)])

    def grow(self, price: Floats, better: bool = False) -> int:
        """Give each step the actions of the pool that are worth most; return how many are new.

        With `better`, only those that are worth more than all that the step has.
        """
        added, k = 0, min(TOP, len(self.pool))
        for h, values in enumerate(self._worth(price)):
            top = np.argpartition(values, len(values) - k)[len(values) - k :]
            new = top[~self.has[top, h]]
            if better:
                least = values[self.has[:, h]].max()
                new = new[values[new] > least + 1e-7 * (1.0 + abs(least))]
            self._add(h, new)
            added += new.size
        return added

    def _add(self, h: int, new: Ints) -> None:
        arms = np.arange(self.level.shape[1])
        start, rows, values = [0], [], []
        for i in new:
            felt = self.links[arms, h, self.level[i]]
            felt = felt[felt >= 0]
            rows += [*felt.tolist(), int(self.law[h])]
            values += [-1.0] * felt.size + [1.0]
            start.append(len(rows))
        if new.size:
            self.program.add(np.zeros(new.size), start, rows, values)
            self.has[new, h] = True

    def solve(self, time_limit: float | None) -> tuple[float, Floats] | None:
        """Return value and prices, or None after the time limit."""
        found = self.program.solve(time_limit)
        if not found.optimal:
            return None
        dual = -found.dual[np.maximum(self.links, 0)]
        return -found.objective, np.where(self.links >= 0, dual, 0.0)


@dataclass
class Descent:
    """Where the search for the best prices stands."""

    price: Floats
    best: Evaluated
    program: float = -np.inf
    rounds: int = 0
    status: Status = Status.ITERATION_LIMIT


def descend(
    master: Master,
    evaluate: Callable[[Floats], Evaluated],
    start: tuple[Floats, Evaluated],
    *,
    tol: float,
    max_rounds: int,
    stop: float | None,
    scale: float = 1.0,
) -> Descent:
    """Return the best prices found, from given ones on, until a relative gap or a limit.

    The program's value times the scale is comparable with the bounds.
    """
    now = Descent(*start)
    master.learn(now.best[2])
    master.grow(now.price)
    while now.rounds < max_rounds:
        left = None if stop is None else stop - time.perf_counter()
        found = None if left is not None and left <= 0 else master.solve(left)
        if found is None:
            now.status = Status.TIME_LIMIT
            break
        now.rounds += 1
        now.program, dual = found[0] * scale, found[1]
        if not master.whole and master.grow(dual, better=True):
            continue  # what other steps found helps: no programs yet
        added = 0
        for alpha in (ALPHA, 0.0):
            price = alpha * now.price + (1.0 - alpha) * dual  # (3)
            proven = evaluate(price)
            master.learn(proven[2])
            added = master.grow(price)
            if proven[0] < now.best[0]:  # (1)
                now.price, now.best = price, proven
            if added:
                break
        if now.best[0] - now.program <= tol * max(1.0, abs(now.best[0])):
            now.status = Status.OPTIMAL
            break
        if not added:  # only the gap of the programs over C is left
            break
    return now


def lagrangian_bound(
    bandit: CoupledRestlessBandit,
    start: FluidBound | None = None,
    *,
    tol: float = 1e-4,
    max_rounds: int = 200,
    backend: Backend = "highs",
    gap: float = 1e-5,
    listed: Actions | None = None,
    limit: int = LISTED,
    time_limit: float | None = None,
) -> LagrangianBound:
    """Return the smallest bound that prices can prove.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    start : FluidBound, optional
        Where the prices begin; computed if None.
    tol : float
        Relative gap to the best prices at which to stop.
    max_rounds : int
        Most linear programs.
    backend, gap
        Of the small programs over the action set, see `mdplib.optim.solve_mip`; the gap is paid
        for in the bound.
    listed : (n, N) int8 array, optional
        All actions, if they have been enumerated: no programs are needed then.
    limit : int
        Sets with at most so many actions are enumerated here.
    time_limit : float, optional
        Seconds for the search, after which the best bound so far is returned. A start is
        computed in any case.

    Returns
    -------
    LagrangianBound

    Raises
    ------
    InvalidModelError
        If the start is a bound of another bandit.
    SolverError
        If a linear program fails, or the action set is empty.

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.capacity(6, 2, np.random.default_rng(0))
    >>> fluid = fluid_bound(bandit)
    >>> bound = lagrangian_bound(bandit, fluid)
    >>> bound.upper <= fluid.upper, bound.status.name
    (True, 'OPTIMAL')
    """
    began = time.perf_counter()
    if tol < 0 or max_rounds < 0 or (time_limit is not None and time_limit < 0):
        raise SolverError(f"tol {tol}, max_rounds {max_rounds}, time_limit {time_limit}; give >= 0")
    listed = list_actions(bandit, limit) if listed is None else listed
    if listed is not None and not len(listed):
        raise SolverError("the action set is empty; relax its constraints")
    if start is None:
        start = fluid_bound(bandit, backend=backend, gap=gap, listed=listed)
    start.check(bandit)
    builder = MipBuilder()
    nothing = (np.empty(0, np.int64), np.empty(0))
    none = [[nothing] * (bandit.actions.n_levels - 1)] * bandit.n_arms
    links, _ = flow(bandit, builder, lambda h: none)
    master = Master(bandit.actions, builder, links, listed)
    found = descend(
        master,
        lambda price: price_bound(
            bandit, price, backend=backend, gap=gap, listed=master.leading(price)
        ),
        (start.price, (start.upper, start.value, start.best)),
        tol=tol,
        max_rounds=max_rounds,
        stop=None if time_limit is None else began + time_limit,
    )
    upper, value, best = found.best
    seconds = time.perf_counter() - began
    return LagrangianBound(
        upper,
        found.program,
        found.price,
        value,
        best,
        seconds,
        found.rounds,
        master.columns,
        found.status,
    )
