r"""Policy iteration: evaluate the policy exactly, act greedily, repeat.

Problem       Infinite-horizon discounted model, gamma < 1; find V* with V* = T V*.
Algorithm     ``V <- (I - gamma P_pi)^{-1} r_pi``, pi greedy for V: elimination within the band
              of P_pi where that is narrow, else a direct solve.                             (1)
              Once the greedy policy repeats, sweeps T V remove what rounding left.          (2)
Guarantee     Stops on the proven width of the bracket.
Cost          One solve (banded, dense below 257 states, or sparse LU) per improvement; the
              number of improvements is small in practice and finite in exact arithmetic. Fill-in
              of the factors limits it to models whose chains are sparse and local.
Deviations    None.
References    Howard (1960); Puterman (1994), section 6.4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdplib import operators
from mdplib.certificates import Bracket, Shifted
from mdplib.policy_rows import PolicyRows
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers.tabular.run import Floats, Improve, Progress, Run, need_discounted, start

_BAND = 4096  # multiplications per state up to which elimination within the band is chosen


def policy_iteration(
    mdp: TabularMDP,
    *,
    tol: float = 1e-6,
    max_iterations: int = 10_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a discounted model by Howard's policy iteration.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    max_iterations : int
        Limit on policy evaluations.
    time_limit : float, optional
        Limit in seconds; the best bracket so far is returned with status TIME_LIMIT.
    V0 : (S,) array, optional
        Vector whose greedy policy comes first, zeros by default.
    progress : callable, optional
        Called with (evaluations, gap) after each certificate.

    Returns
    -------
    Solution
        ``stats.iterations`` counts policy evaluations.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], gamma=0.9)
    >>> policy_iteration(mdp, tol=1e-9).stats.iterations
    1
    """
    need_discounted(mdp, "policy_iteration")
    run = Run("policy_iteration", mdp, tol, time_limit, max_iterations, progress)
    return run.iterate(start(mdp, V0), howard(mdp))


def howard(mdp: TabularMDP) -> Improve:
    """Return the improvement step (1), which falls back to (2) when the policy repeats."""
    evaluated = np.full(mdp.n_states, -1, dtype=np.int32)

    def improve(V: Floats, found: Bracket) -> tuple[Floats, int]:
        nonlocal evaluated
        assert isinstance(found, Shifted)
        if np.array_equal(found.pair, evaluated):
            return found.midpoint, 1  # (2)
        evaluated = found.pair
        rows = PolicyRows(mdp, evaluated)
        if rows.band_cost < _BAND * mdp.n_states:
            return rows.solve_band(), 1  # (1)
        return operators.evaluate_policy(mdp, found.policy), 1  # (1)

    return improve
