r"""Optimistic value iteration: guess the upper bound from the lower one, then prove it.

Problem       Minimal or maximal probability of reaching a target, or expected reward until it is
              reached.
Algorithm     On the reduced problem (`solvers.undiscounted.reduction`) sweep a proven lower bound
              until it changes little; guess

                  u = (1 + eps) l  (plus eps times the tolerance)                            (1)

              and sweep u, rounded upward. Once no value rises in a sweep,

                  T u <= u,                                                                 (2)

              and u is proven; both bounds are then narrowed as in interval iteration. If u falls
              below l, or rises for too long, go on with l and a smaller eps.
Guarantee     By Park's induction (2) gives x* <= u; in a sweep in place each value is computed
              from values that are at least the final ones, so (2) holds for the result. For a
              minimum, the pairs chosen in that sweep have T_pi u <= u, and a policy that misses
              the target would have an infinite value.
Cost          O(nnz) per sweep.
Deviations    Sweeps in place, by components; needs rewards of at least 0.
References    Hartmanns and Kaminski (2020); Park (1969).
"""

from __future__ import annotations

import numpy as np

from mdplib import _kernels
from mdplib.errors import NotApplicableError
from mdplib.solution import Solution, Status
from mdplib.undiscounted import UndiscountedMDP
from solvers.undiscounted.certificate import Bounds, smallest_error
from solvers.undiscounted.equations import Equations, Unsolved
from solvers.undiscounted.interval_iteration import narrowed, outward
from solvers.undiscounted.reduction import FIXED, Reduced, reduce
from solvers.undiscounted.run import Progress, Run, describe, trivial

_PATIENCE = 100  # sweeps of a guess per sweep of l that led to it, at least


def optimistic_value_iteration(
    mdp: UndiscountedMDP,
    *,
    tol: float = 1e-6,
    rtol: float = 0.0,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve reachability or expected reward to a target by optimistic value iteration.

    Parameters
    ----------
    mdp : UndiscountedMDP
        A problem with a target.
    tol, rtol : float
        Wanted: ``upper - lower <= tol + rtol * |lower|`` in each state; tol may be 0.
    max_iterations : int
        Limit on sweeps.
    time_limit : float, optional
        Limit in seconds.
    progress : callable, optional
        Called with (iterations, gap) now and then.

    Returns
    -------
    Solution
        Infinite values have ``lower == upper == inf`` (or -inf).

    Raises
    ------
    NotApplicableError
        For the average reward, and for rewards of both signs.

    Examples
    --------
    >>> from mdplib import LabelledMDP
    >>> walk = LabelledMDP([0, 1, 2, 3], [0, 1, 3, 4], [0, 0, 2, 2], [1.0, 0.5, 0.5, 1.0], [0] * 3)
    >>> found = optimistic_value_iteration(walk.reach([2]), tol=1e-12)
    >>> found.value.round(12), found.ok
    (array([0. , 0.5, 1. ]), True)
    """
    run = Run("optimistic_value_iteration", mdp, tol, rtol, max_iterations, time_limit, progress)
    reduced = reduce(mdp, "optimistic_value_iteration")
    run.log.append(describe(reduced))
    guarantees = ("park1969:induction",)
    if reduced.n_states == FIXED:
        return run.solution(reduced, trivial(reduced), Status.OPTIMAL, guarantees)
    if not reduced.nonnegative:
        raise NotApplicableError("optimistic_value_iteration needs rewards of one sign")
    equations = Equations(reduced.rows, run.clock, reduced.ends)
    bounds, status = optimistic(reduced, equations, run)
    return run.solution(reduced, bounds, status, guarantees)


def optimistic(reduced: Reduced, equations: Equations, run: Run) -> tuple[Bounds, Status]:
    """Find a proven upper bound by guessing, then narrow both bounds."""
    if not reduced.nonnegative:
        run.log.append("no upper bound can be guessed for rewards of both signs")
        return trivial(reduced), Status.ROUNDING_LIMIT
    sign = 1.0 if reduced.maximise else -1.0
    bounds = trivial(reduced)
    lower, low, high = bounds.lower, reduced.start.copy(), reduced.start.copy()
    error, eps, sweeps = outward(reduced), 1e-3, 0
    try:
        while True:
            change = np.inf
            while change > 0.1 * eps:
                tiny = smallest_error(reduced, lower)
                change = _kernels.undiscounted.tighten(
                    *reduced.rows.arrays,
                    reduced.rows.away,
                    reduced.reward,
                    sign,
                    False,
                    error,
                    tiny,
                    equations.order,
                    lower,
                    low,
                )
                sweeps += 1
                run.clock.spend(1)
            x = lower.copy()
            x[FIXED:] = lower[FIXED:] * (1 + eps) + eps * run.tol  # (1)
            tiny = smallest_error(reduced, x)
            for _ in range(max(_PATIENCE, sweeps)):
                rose, below = _kernels.undiscounted.guess(
                    *reduced.rows.arrays,
                    reduced.rows.away,
                    reduced.reward,
                    sign,
                    error,
                    tiny,
                    equations.order,
                    lower,
                    x,
                    high,
                )
                run.clock.spend(1)
                if rose == 0 or below > 0:
                    break
            if rose == 0:  # (2)
                run.log.append(f"upper bound proven after {run.clock.iterations} sweeps")
                choice = low if reduced.maximise else high
                first = Bounds(lower, np.maximum(x, lower), choice)
                return narrowed(reduced, equations, first, run, inductive=True)
            if change == 0.0 and eps < 1e-15:
                return bounds, Status.ROUNDING_LIMIT
            eps *= 0.1
    except Unsolved as limit:
        bounds.lower[:] = lower
        choice = low if reduced.maximise else bounds.choice
        return Bounds(lower, bounds.upper, choice), Status[limit.status]
