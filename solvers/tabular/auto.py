r"""The automatic method: sweep while that pays, then solve for the policy's value.

Problem       Infinite-horizon discounted model, gamma < 1; find V* with V* = T V*.
Algorithm     Sweep: greedy step, then sweeps ``V <- T_pi V`` until the span of the change is a
              tenth of the greedy step's or less, around the middle of the bracket.          (1)
              Each round tells the factor by which the span shrinks per sweep, hence what is left
              to do. Once that costs more than a solve, or the bracket stops shrinking:
              ``V ~ (I - gamma P_pi)^{-1} r_pi``                                             (2)
              by elimination where the policy's rows stay within a narrow band, else by BiCGSTAB,
              each tested before it is believed, with Gauss-Seidel sweeps in between.         (3)
              What fails is replaced by sweeps that rise from the proven lower bound, which
              converge on every model;                                                       (4)
              or, where no strong component holds half of the states, by solving one
              component after the other.                                                     (6)
              Models with an absorbing goal and a cost per step go to (4) at once, with the
              states in breadth-first order from the goal.                                   (5)
Guarantee     Stops on the proven width of the bracket.
Cost          About that of the best of the methods it combines; ``stats.log`` says which and why.
Deviations    Choices rest on operation counts only, so equal models take equal paths.
References    Puterman and Shin (1978); Porteus (1971); van der Vorst (1992); Puterman (1994).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mdplib import _kernels, operators
from mdplib.certificates import Bracket, Shifted
from mdplib.graphs import strong_components
from mdplib.ordering import goal_order
from mdplib.policy_rows import PolicyRows
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers.tabular.run import Floats, Progress, Run, need_discounted, raised, start
from solvers.tabular.topological import by_components

_FIRST = 5  # sweeps of the first policy: enough to see whether the span shrinks
_INNER = 20  # sweeps of a later one, at most
_SMALL = 20_000  # transitions
_ROUNDS = 15  # greedy sweeps that a small model gets before anything is decided
_NEWS = 64  # Gauss-Seidel sweeps between two solves, at most
_FUSED = 0.4  # time of a multiplication within a band, over that of one in a sparse row
_SOLVES = 3  # policies that a solver is expected to evaluate
_BAND = 2e8  # entries of a band, 8 bytes each
_GOALS = 2000  # states from which a breadth-first order is looked for
_ORDERED = 3, 10  # greedy sweeps in that order per certificate, policy sweeps per greedy one
_KRYLOV = 60  # sweeps left from which BiCGSTAB is tried


def auto(
    mdp: TabularMDP,
    *,
    tol: float = 1e-6,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a discounted model by whatever pays.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    max_iterations : int
        Limit on sweeps and products.
    time_limit : float, optional
        Limit in seconds; the best bracket so far is returned with status TIME_LIMIT.
    V0 : (S,) array, optional
        First vector, zeros by default.
    progress : callable, optional
        Called with (iterations, gap) after each certificate.

    Returns
    -------
    Solution
        ``stats.iterations`` counts sweeps and products; ``stats.log`` holds the decisions.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.

    Examples
    --------
    >>> from mdplib import models
    >>> solution = auto(models.chain(1000, gamma=0.999))
    >>> solution.ok
    True
    >>> print(solution.stats.log[0])
    elimination...
    """
    need_discounted(mdp, "auto")
    run = Run("auto", mdp, tol, time_limit, max_iterations, progress)
    return run.iterate(start(mdp, V0), Auto(run).improve)


class Auto:
    """The state of the method between two certificates."""

    def __init__(self, run: Run):
        self.run, self.mdp = run, run.mdp
        self.stage = self.small if run.mdp.nnz <= _SMALL else self.sweep
        gamma = run.mdp.gamma
        # the span of T V - V at which the bracket is as narrow as wanted
        self.narrow = 0.5 * run.tol * (1 - gamma) / gamma if gamma > 0 else math.inf
        self.products = 200  # of BiCGSTAB
        self.gaps: list[float] = []
        self.news = self.turns = 0
        self.rising = self.asked = False
        goals = goal_order(run.mdp) if run.mdp.n_states >= _GOALS else None
        if goals is not None:
            self.ordered, self.stage = goals, self.goal
            run.log.append(
                f"rising sweeps in breadth-first order: {goals.goals.size} absorbing states "
                "without reward, a cost per step elsewhere"
            )

    def improve(self, V: Floats, found: Bracket) -> tuple[Floats, int]:
        """Return the next vector and the work done."""
        assert isinstance(found, Shifted)
        self.gaps.append(found.gap)
        self.found = found
        if self.stage == self.goal:
            return self.goal(V)
        self.rows = PolicyRows(self.mdp, found.pair)
        return self.stage(V)

    def change_to(self, stage, why: str) -> None:
        """Go on with another stage."""
        self.run.log.append(f"{why} (iteration {self.run.trace[-1][0]}, gap {self.found.gap:.3g})")
        self.stage, self.gaps = stage, []

    # ---------------------------------------------------------------- stages

    def sweep(self, V: Floats) -> tuple[Floats, int]:
        """Sweep around the middle of the bracket (1)."""
        low, high = self.found.change
        most = _INNER if self.run.trace[-1][0] else _FIRST
        # the dearer a greedy step beside a sweep of its policy, the more there are of the latter
        cut = min(max(0.01, 0.4 * self.rows.nnz / self.mdp.nnz), 0.1)
        narrow = max(cut * (high - low), self.narrow)
        done = self.rows.sweeps(self.found.midpoint, most, narrow)  # (1)
        if done.n < most and not self._stuck(2):
            return done.V, done.n + 1
        rate = min(max(done.rate, 1e-12), 1 - 1e-12)
        left = math.log(max(done.span / self.narrow, 1.0)) / -math.log(rate)
        cost = left * (self.rows.nnz + self.mdp.nnz / _INNER)
        if self._stuck(2) or self._band_cost() < cost or left > _KRYLOV:
            self._choose(left)
            V, work = self.stage(done.V)
            return V, done.n + work
        return done.V, done.n + 1

    def band(self, V: Floats) -> tuple[Floats, int]:
        """Solve within the band (2), after Gauss-Seidel sweeps that spread the news (3)."""
        if self._band_cost() == math.inf:
            self.change_to(self.krylov, "BiCGSTAB: the policy's rows left the band")
            return self.krylov(V)
        return self._spread(self.rows.solve_band()), 2  # (2)

    def krylov(self, V: Floats) -> tuple[Floats, int]:
        """Solve by BiCGSTAB (2); believe what a sweep confirms."""
        low, high = self.found.change
        wanted = max(0.05 * (high - low), 0.5 * self.narrow)
        x, n, _ = self.rows.krylov(self.found.midpoint, wanted, self.products)
        good = bool(np.isfinite(x).all())
        if good:
            sweep = self.rows.sweeps(x, 1)
            good = np.isfinite(sweep.span) and sweep.span < 0.5 * (high - low)
        if not good or self._stuck(6):
            if self._falls_apart():
                return self.components(V)
            if self.products >= 1600 or self._stuck(6):
                self.change_to(self.rise, "rising sweeps: BiCGSTAB made no headway")
            self.products *= 2
            return self.rise(V)
        self.rising = False
        return self._spread(sweep.V, 2), n + 2

    def rise(self, V: Floats) -> tuple[Floats, int]:
        """Sweep upwards from the proven lower bound (4)."""
        V = self._below(V)
        done = self.rows.gauss_seidel(V, _INNER, cut=0.02)
        operators.gauss_seidel(self.mdp, V, reverse=self._turn())  # (4)
        return V, done + 2

    def small(self, V: Floats) -> tuple[Floats, int]:
        """Do (1), and (4) if need be, in one go: on a small model a certificate costs more."""
        self.stage, self.gaps = self.sweep, []
        if self._band_cost() < 20 * self.mdp.nnz:
            return self.sweep(V)
        V, S = self.found.midpoint, self.mdp.n_states
        spare, pair = np.empty(S), np.empty(S, dtype=np.int32)
        return V, _kernels.bellman.small(
            *self.mdp.layer(), self.mdp.gamma, V, spare, pair, self.narrow, _ROUNDS
        )

    def components(self, V: Floats) -> tuple[Floats, int]:
        """Solve one strong component after the other (6)."""
        return self.pass_over_components(self._below(V), self.found)  # (6)

    def goal(self, V: Floats) -> tuple[Floats, int]:
        """Do the same in breadth-first order from the goals (5)."""
        V = self._below(V)
        V[self.ordered.goals] = 0.0
        return self.ordered.rise(V, *_ORDERED, cut=0.2)  # (5)

    # --------------------------------------------------------------- choices

    def _stuck(self, certificates: int) -> bool:
        """Whether the last few certificates brought nothing."""
        return len(self.gaps) > certificates and self.gaps[-1] > 0.7 * self.gaps[-1 - certificates]

    def _band_cost(self) -> float:
        """Operations for the evaluations to come by elimination within the band."""
        below, above = self.rows.below, self.rows.above
        if (below + above + 1) * self.mdp.n_states > _BAND:
            return math.inf
        return _SOLVES * (_FUSED * self.rows.band_cost + 3 * self.mdp.nnz)

    def _falls_apart(self) -> bool:
        """Find the strong components, once, and change to them if none holds half the states."""
        if self.asked:
            return False
        self.asked = True
        _, label = strong_components(self.mdp)
        largest = int(np.bincount(label).max())
        if 2 * largest > self.mdp.n_states:
            return False
        self.change_to(self.components, f"components: none has more than {largest} states")
        self.pass_over_components = by_components(self.run)
        return True

    def _choose(self, left: float) -> None:
        if self._band_cost() < 50 * self.mdp.nnz:
            width = self.rows.below + self.rows.above + 1
            self.change_to(
                self.band, f"elimination within a band of {width}: some {left:.0f} sweeps left"
            )
        else:
            self.change_to(self.krylov, f"BiCGSTAB: some {left:.0f} sweeps left")

    def _below(self, V: Floats) -> Floats:
        """Return the proven lower bound, or what has risen from one."""
        self.rising, before = True, self.rising
        return raised(V, self.found) if before else self.found.lower.copy()

    def _turn(self) -> bool:
        self.turns += 1
        return self.turns % 2 == 0

    def _spread(self, V: Floats, least: int = 0) -> Floats:
        """Sweep the optimality operator, the more often the less the last solves brought."""
        slow = len(self.gaps) > 1 and self.gaps[-1] > 0.5 * self.gaps[-2]
        self.news = min(max(2, 2 * self.news), _NEWS) if slow else self.news // 2
        for _ in range(max(least, self.news)):
            operators.gauss_seidel(self.mdp, V, reverse=self._turn())  # (3)
        return V
