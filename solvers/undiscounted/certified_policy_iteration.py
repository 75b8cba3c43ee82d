r"""Reachability and expected reward: float policy iteration, then a proof.

Problem       Minimal or maximal probability of reaching a target, or expected reward until it is
              reached.
Algorithm     The graph decides what it can (`solvers.undiscounted.reduction`). The equations
              that remain are solved in floating point, component by component
              (`solvers.undiscounted.equations`); the value of the policy found is refined by

                  x <- x + (I - P_pi)^{-1} (r_pi + P_pi x - x)                              (1)

              with x as an unevaluated sum of two floats, and the policy improved at x, until
              nothing changes. Bounds are then built and proven
              (`solvers.undiscounted.certificate`). If the equations are too hard, interval
              iteration takes over for the time that is left.
Guarantee     The bounds hold, rounding and readings of the model included, and the policy's own
              value lies between them. Their relative width is of the order of the unit roundoff
              times the expected number of steps, weighted by how much values change in a step.
Cost          Sweeps where they are cheap, direct solves where the model mixes slowly.
Deviations    None.
References    Howard (1960); Puterman (1994), section 7.2; Hartmanns and Kaminski (2020).
"""

from __future__ import annotations

import numpy as np

from mdplib import _kernels
from mdplib.solution import Solution, Status
from mdplib.undiscounted import UndiscountedMDP
from solvers.undiscounted.certificate import Bounds, add, certify, reaches, residuals
from solvers.undiscounted.equations import UNIT, Equations, Unsolved
from solvers.undiscounted.interval_iteration import iterate
from solvers.undiscounted.reduction import FIXED, Floats, Ints, Reduced, reduce
from solvers.undiscounted.run import Progress, Run, describe, trivial

_ROUNDS = 50  # refinements (1) before what is there must do
_SHARE = 1e-14  # relative change at which sweeps end


def certified_policy_iteration(
    mdp: UndiscountedMDP,
    *,
    tol: float = 1e-6,
    rtol: float = 0.0,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve reachability or expected reward to a target.

    Parameters
    ----------
    mdp : UndiscountedMDP
        A problem with a target.
    tol, rtol : float
        Wanted: ``upper - lower <= tol + rtol * |lower|`` in each state; tol may be 0.
    max_iterations : int
        Limit on sweeps and direct solves together.
    time_limit : float, optional
        Limit in seconds.
    progress : callable, optional
        Called with (iterations, gap) now and then.

    Returns
    -------
    Solution
        Infinite values have ``lower == upper == inf`` (or -inf). ``stats.iterations`` counts
        sweeps of components and direct solves.

    Raises
    ------
    NotApplicableError
        For the average reward, and for rewards of both signs where some policy may miss the
        target.

    Examples
    --------
    >>> from mdplib import LabelledMDP
    >>> walk = LabelledMDP([0, 1, 2, 3], [0, 1, 3, 4], [0, 0, 2, 2], [1.0, 0.5, 0.5, 1.0], [0] * 3)
    >>> found = certified_policy_iteration(walk.reach([2]), tol=1e-12)
    >>> found.value.round(12), found.ok
    (array([0. , 0.5, 1. ]), True)
    """
    run = Run("certified_policy_iteration", mdp, tol, rtol, max_iterations, time_limit, progress)
    reduced = reduce(mdp, "certified_policy_iteration")
    run.log.append(describe(reduced))
    guarantees = ("park1969:induction",)
    if reduced.n_states == FIXED:
        return run.solution(reduced, trivial(reduced), Status.OPTIMAL, guarantees)
    try:
        bounds = _solve(reduced, run)
        status = Status.ROUNDING_LIMIT
    except Unsolved as reason:
        run.log.append(f"policy iteration gave up: {reason}")
        if reason.status == "ROUNDING_LIMIT":
            run.log.append("interval iteration takes over")
            bounds, status = iterate(reduced, run)
        else:
            bounds, status = trivial(reduced), Status[reason.status]
    return run.solution(reduced, bounds, status, guarantees)


def _solve(reduced: Reduced, run: Run) -> Bounds:
    """Return proven bounds, as narrow as floats allow."""
    sign = 1.0 if reduced.maximise else -1.0
    equations = Equations(reduced.rows, run.clock, reduced.ends)
    run.log.append(
        f"{equations.ends.size - 1} components, the largest of {equations.largest} nodes"
    )
    nothing = np.zeros(reduced.n_states)
    hi, choice = equations.solve(
        reduced.reward, sign, reduced.start, reduced.fixed, nothing, _SHARE
    )
    if not reaches(reduced, choice):
        run.log.append("sweeps ended with a policy that may miss the target; start again from one "
                       "that does not")  # fmt: skip
        choice, hi = reduced.start.copy(), reduced.fixed
    hi, lo, choice = refine(reduced, choice, hi, run)
    run.log.append(f"policy settled after {run.clock.direct} direct solves")
    return certify(reduced, equations, choice, hi, lo, run.clock)


def refine(reduced: Reduced, choice: Ints, hi: Floats, run: Run) -> tuple[Floats, Floats, Ints]:
    """Apply (1) and improve the policy until both stand still.

    Returns
    -------
    hi, lo : (N,) float64
        The value of the policy as an unevaluated sum.
    choice : (N,) int32
        The policy.
    """
    sign, lo = (1.0 if reduced.maximise else -1.0), np.zeros(hi.size)
    nodes = np.arange(FIXED, reduced.n_states, dtype=np.int32)
    alone = np.concatenate((np.full(FIXED, -1), np.arange(nodes.size))).astype(np.int32)
    rows = reduced.rows
    noise = 8 * (reduced.mdp.max_successors + 2) * UNIT
    own, before = None, np.inf
    for _ in range(_ROUNDS):
        if own is None:
            own, before = Equations(rows.chosen(choice), run.clock), np.inf
        rho, size = residuals(reduced, hi, lo)
        mine = choice[FIXED:]
        goal = np.zeros(hi.size)
        goal[FIXED:] = UNIT * size[mine]
        excess = float(np.max(np.abs(rho[mine]) / np.maximum(size[mine], 1e-300)))
        if excess > 4 * UNIT and excess < 0.5 * before:
            before = excess
            w, _ = own.solve(rho[mine], 1.0, alone, np.zeros(hi.size), goal, 8 * UNIT)
            hi, lo = add(hi, lo, w)  # (1)
            continue
        choice = choice.copy()
        changes = _kernels.undiscounted.improve(
            *rows.arrays, reduced.reward, sign, nodes, noise, hi, choice
        )
        if changes == 0 or not reaches(reduced, choice):
            break
        own = None
    return hi, lo, choice
