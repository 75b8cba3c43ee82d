r"""Topological value iteration: strong components one after the other, successors first.

Problem       Infinite-horizon discounted model, gamma < 1; find V* with V* = T V*.
Algorithm     The strong components of the graph of all actions, in an order in which successors
              come first. A state without company is solved in closed form,

                  ``V(s) = max_k (r_k + gamma sum_{t != s} P_k(t) V(t)) / (1 - gamma P_k(s))``; (1)

              a larger component is backed up and raised by ``min(T V - V) / (1 - gamma beta)``,
              beta the least probability to stay in it, and swept under its greedy policy, until
              the range of T V - V in it is small.                                          (2)
Guarantee     One certificate of the whole model stops the iteration; V rises monotonically to V*
              from a proven lower bound, and no component is visited before its successors are
              done, so their error enters once.
Cost          O(nnz) per pass on a graph without cycles, whatever gamma is; otherwise the sweeps
              that each component needs by itself. No gain over modified policy iteration when
              one component holds most states.
Deviations    Components share one tolerance, chosen so that the certificate of the whole is met.
References    Dai, Mausam, Weld and Goldsmith (2011); Tarjan (1972).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdplib import graphs
from mdplib.certificates import Bracket
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers.tabular.run import (
    Floats,
    Improve,
    Progress,
    Run,
    need_discounted,
    raised,
    start_below,
)

_SWEEPS = 16  # of a policy after each backup
_CHUNK = 4_000_000  # states visited between two looks at the clock


def topological(
    mdp: TabularMDP,
    *,
    tol: float = 1e-6,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a discounted model component by component.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    max_iterations : int
        Limit on sweeps.
    time_limit : float, optional
        Limit in seconds; the best bracket so far is returned with status TIME_LIMIT.
    V0 : (S,) array, optional
        First vector, zeros by default.
    progress : callable, optional
        Called with (sweeps, gap) after each certificate.

    Returns
    -------
    Solution
        ``stats.iterations`` counts visits to states, S of them making one, rounded up, and one
        for each certificate.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [2.0]], gamma=0.999)
    >>> solution = topological(mdp, tol=1e-6)
    >>> solution.status.name, solution.stats.log[0]
    ('OPTIMAL', '2 strong components, 2 of one state, the largest of 1 states')
    """
    need_discounted(mdp, "topological")
    run = Run("topological", mdp, tol, time_limit, max_iterations, progress)
    return run.iterate(start_below(mdp, V0), by_components(run))


def by_components(run: Run) -> Improve:
    """Return one pass over all components; each pass is four times finer than the one before."""
    from mdplib._kernels import elimination

    mdp = run.mdp
    count, label = graphs.strong_components(mdp)
    part = np.argsort(label, kind="stable").astype(np.int32)
    ptr = np.searchsorted(label[part], np.arange(count + 1)).astype(np.int32)
    alone = int(np.count_nonzero(np.diff(ptr) == 1))
    run.log.append(
        f"{count} strong components, {alone} of one state, the largest of "
        f"{int(np.diff(ptr).max())} states"
    )
    pair, spare = np.zeros(mdp.n_states, dtype=np.int32), np.zeros(mdp.n_states)
    wanted = 2 * run.tol * (1 - mdp.gamma)
    done = 0

    def improve(V: Floats, found: Bracket) -> tuple[Floats, int]:
        nonlocal wanted, done
        wanted /= 4
        V, c, visited = raised(V, found), 0, 0
        while c < count:
            c, more = elimination.components(
                ptr,
                part,
                label,
                *mdp.layer(),
                mdp.gamma,
                V,
                pair,
                spare,
                _SWEEPS,
                wanted,
                c,
                _CHUNK,
            )  # (1)  # (2)
            visited += more
            if run.expired() or done + visited / mdp.n_states > run.max_iterations:
                break
        sweeps = 1 + -(-visited // mdp.n_states)
        done += sweeps
        return V, sweeps

    return improve
