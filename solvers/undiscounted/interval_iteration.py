r"""Interval iteration: value iteration from below and from above, both proven at each step.

Problem       Minimal or maximal probability of reaching a target, or expected reward until it is
              reached.
Algorithm     On the reduced problem (`solvers.undiscounted.reduction`), by components, successors
              first, start from bounds l <= x* <= u and sweep

                  l_s <- max(l_s, opt_k (r_k + sum_{t != s} p_k(t) l_t) / (1 - p_k(s))),      (1)
                  u_s <- min(u_s, opt_k (r_k + sum_{t != s} p_k(t) u_t) / (1 - p_k(s))),      (2)

              each rounded outward. For a probability l = 0 and u = 1. For rewards, let h(s) be a
              lower bound on the probability of never coming back to s; then s is visited at most
              1 / h(s) times on average, and

                  u = sum_s max_k |r_k| / h(s).                                              (3)

              For a minimum of rewards (3) is computed for one policy that reaches the target.
Guarantee     (1) and (2) keep l <= x* <= u: x* solves the same equation and T is monotone. The
              policy is the one that last raised l (maximum) or lowered u (minimum): at that
              moment l_s <= T_pi l, and l has only grown since. So l <= value of pi, by the limit
              in `solvers.undiscounted.certificate`; u for the minimum likewise.
Cost          O(nnz) per sweep; the number of sweeps grows with the expected number of steps, so
              slow mixing models are better left to `certified_policy_iteration`.
Deviations    Haddad and Monmege update all states at once; here in place, by components. Bound
              (3) is that of Baier et al. with ranks in place of distances. Where it overflows,
              optimistic value iteration finds u.
References    Haddad and Monmege (2018); Baier, Klein, Leuschner, Parker and Wunderlich (2017).
"""

from __future__ import annotations

import numpy as np

from mdplib import _kernels, graphs
from mdplib.solution import Solution, Status
from mdplib.undiscounted import UndiscountedMDP
from solvers.undiscounted.certificate import Bounds, smallest_error
from solvers.undiscounted.equations import UNIT, Equations, Unsolved
from solvers.undiscounted.reduction import FIXED, Reduced, reduce
from solvers.undiscounted.run import Progress, Run, describe, trivial

_WORK = 100_000_000  # transitions between looks at the clock


def interval_iteration(
    mdp: UndiscountedMDP,
    *,
    tol: float = 1e-6,
    rtol: float = 0.0,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve reachability or expected reward to a target by interval iteration.

    Parameters
    ----------
    mdp : UndiscountedMDP
        A problem with a target.
    tol, rtol : float
        Wanted: ``upper - lower <= tol + rtol * |lower|`` in each state; tol may be 0.
    max_iterations : int
        Limit on sweeps of components.
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
        For the average reward, and for rewards of both signs where some policy may miss the
        target.

    Examples
    --------
    >>> from mdplib import LabelledMDP
    >>> walk = LabelledMDP([0, 1, 2, 3], [0, 1, 3, 4], [0, 0, 2, 2], [1.0, 0.5, 0.5, 1.0], [0] * 3)
    >>> found = interval_iteration(walk.reach([2]), tol=1e-12)
    >>> found.value.round(12), found.ok
    (array([0. , 0.5, 1. ]), True)
    """
    run = Run("interval_iteration", mdp, tol, rtol, max_iterations, time_limit, progress)
    reduced = reduce(mdp, "interval_iteration")
    run.log.append(describe(reduced))
    bounds, status = iterate(reduced, run)
    return run.solution(reduced, bounds, status, ("haddad2018:interval_iteration",))


def outward(reduced: Reduced) -> float:
    """Return the relative error of (1) and (2): of the residual and of the division by it."""
    return 1.01 * (6 * reduced.mdp.max_successors + 24) * UNIT


def iterate(reduced: Reduced, run: Run) -> tuple[Bounds, Status]:
    """Narrow bounds until they are as near as asked, or a limit is met."""
    first = trivial(reduced)
    if reduced.n_states == FIXED:
        return first, Status.OPTIMAL
    equations = Equations(reduced.rows, run.clock, reduced.ends)
    if reduced.mdp.criterion != "reachability":
        most = visits_bound(reduced, equations)
        if not np.isfinite(most):
            from solvers.undiscounted.optimistic_value_iteration import optimistic

            run.log.append("the bound from visits overflows; guess the upper bound instead")
            return optimistic(reduced, equations, run)
        run.log.append(f"rewards add up to at most {most:.3g}")
        first.upper[FIXED:] = most
        first.lower[FIXED:] = 0.0 if reduced.nonnegative else -most
    return narrowed(reduced, equations, first, run)


def narrowed(
    reduced: Reduced, equations: Equations, first: Bounds, run: Run, inductive: bool = False
) -> tuple[Bounds, Status]:
    """Sweep (1) and (2) from valid bounds.

    Parameters
    ----------
    reduced, equations, run
        The problem, its components, the limits.
    first : Bounds
        Valid for x* and for the value of its policy.
    inductive : bool
        Whether the policy of `first` proves its bound: l <= T_pi l (maximum), T_pi u <= u
        (minimum).
    """
    sign = 1.0 if reduced.maximise else -1.0
    inductive |= reduced.mdp.criterion == "reachability"
    inductive |= reduced.maximise and reduced.nonnegative
    lower, upper = first.lower.copy(), first.upper.copy()
    low, high = (np.full(lower.size, -1, dtype=np.int32) for _ in range(2))
    error, tiny = outward(reduced), smallest_error(reduced, upper)
    c, status = 0, Status.ROUNDING_LIMIT
    try:
        while True:
            c, sweeps = _kernels.undiscounted.intervals(
                *reduced.rows.arrays, reduced.rows.away, reduced.reward, sign, error, tiny,
                equations.order, equations.ends, c, _WORK,
                run.tol, run.rtol, lower, upper, low, high,
            )  # (1)  # (2)  # fmt: skip
            if c == equations.ends.size - 1:
                run.clock.iterations += sweeps
                break
            run.clock.spend(sweeps)
    except Unsolved as limit:
        status = Status[limit.status]
    changed = low if reduced.maximise else high
    if inductive or (changed[FIXED:] >= 0).all():
        choice = np.where(changed >= 0, changed, first.choice).astype(np.int32)
        return Bounds(lower, upper, choice), status
    run.log.append("stopped before a policy was found whose value the bounds are proven for")
    if reduced.maximise:
        return Bounds(first.lower, upper, first.choice), status
    return Bounds(lower, first.upper, first.choice), status


def visits_bound(reduced: Reduced, equations: Equations) -> float:
    """Return (3), rounded up; infinity where it overflows."""
    rows, reward, mine = equations.rows, np.abs(reduced.reward), equations
    if not reduced.proper:
        rows, reward = rows.chosen(reduced.start), reward[reduced.start[FIXED:]]
        mine = Equations(rows, equations.clock)
    _, label = graphs.strong_components(rows)
    h = np.full(reduced.n_states, -1.0)
    h[:FIXED] = 1.0
    shrink = 1 - outward(reduced)
    if not _kernels.undiscounted.escape(*rows.arrays, mine.order, label, shrink, h):
        return float("inf")
    largest = np.maximum.reduceat(reward, rows.state_ptr[FIXED:-1])
    with np.errstate(over="ignore"):
        total = float(np.sum(largest / h[FIXED:]))
    return total * (1 + 1e-9)  # (3)
