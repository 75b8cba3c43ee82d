r"""Modified policy iteration: greedy step, then a few sweeps with the greedy policy.

Problem       Infinite-horizon discounted model, gamma < 1; find V* with V* = T V*.
Algorithm     pi greedy for V, W the larger of V and the lower bound that T V proves,
              ``V <- T_pi^m W``,                                                             (1)
              where m is given, or sweeps go on until the span of the change is a tenth of that
              of T V - V: then the next greedy step has something new to decide.             (2)
              The first V is itself a proven lower bound, so T V >= V holds throughout and V
              rises monotonically to V*.
Guarantee     Stops on the proven width of the bracket.
Cost          O(nnz) per greedy step and O(nnz of the policy) per inner sweep: with A actions an
              inner sweep costs 1/A of a full one.
Deviations    Raising V to the proven lower bound before the inner sweeps.
References    Puterman and Shin (1978); Puterman (1994), section 6.5.
"""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from mdplib.certificates import Bracket, Shifted
from mdplib.errors import InvalidModelError
from mdplib.policy_rows import PolicyRows
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers.tabular.run import Floats, Progress, Run, need_discounted, raised, start_below

_MOST = 100


def modified_policy_iteration(
    mdp: TabularMDP,
    *,
    inner_sweeps: int | None = None,
    tol: float = 1e-6,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a discounted model by modified policy iteration.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    inner_sweeps : int, optional
        Sweeps m with the greedy policy after each greedy step (1); 0 gives value iteration. By
        default as many as (2) says, at most 100.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    max_iterations : int
        Limit on sweeps, greedy and inner ones together.
    time_limit : float, optional
        Limit in seconds; the best bracket so far is returned with status TIME_LIMIT.
    V0 : (S,) array, optional
        First vector, zeros by default.
    progress : callable, optional
        Called with (sweeps, gap) after each certificate.

    Returns
    -------
    Solution
        ``stats.iterations`` counts greedy and inner sweeps.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], gamma=0.9)
    >>> modified_policy_iteration(mdp, tol=1e-9).ok
    True
    """
    need_discounted(mdp, "modified_policy_iteration")
    if inner_sweeps is not None and inner_sweeps < 0:
        raise InvalidModelError(f"inner_sweeps is {inner_sweeps}; at least 0 expected")
    options = {"inner_sweeps": inner_sweeps}
    run = Run("modified_policy_iteration", mdp, tol, time_limit, max_iterations, progress, options)

    gamma, most = mdp.gamma, _MOST if inner_sweeps is None else inner_sweeps
    enough = 0.5 * tol * (1 - gamma) / gamma if gamma > 0 else math.inf

    def improve(V: Floats, found: Bracket) -> tuple[Floats, int]:
        assert isinstance(found, Shifted)
        low, high = found.change
        narrow = max(0.1 * (high - low), enough) if inner_sweeps is None else -1.0  # (2)
        done = PolicyRows(mdp, found.pair).sweeps(raised(V, found), most, narrow)  # (1)
        return done.V, done.n + 1

    return run.iterate(start_below(mdp, V0), improve)
