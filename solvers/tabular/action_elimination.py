r"""Value iteration that drops actions proven not to be optimal.

Problem       Infinite-horizon discounted model, gamma < 1; find V* with V* = T V*.
Algorithm     Value iteration from the middle of the bracket ``L <= V* <= U`` that each sweep
              proves. Once in a while a pair k of state s is dropped if

                  ``r_k + gamma P_k U < L(s)``,                                             (1)

              and the model is rebuilt from the pairs that are left. Once every state has one
              pair left, V* is the value of that policy, and

                  ``(I - gamma P) V = r``                                                   (2)

              is solved by BiCGSTAB as long as this narrows the bracket.
Guarantee     By (1) the pair's optimal value is below V*(s), so the smaller model has the same
              V*, and its bracket proves bounds for the whole model. Rounding is counted in (1).
Cost          O(nnz) per sweep at first; where one action stays per state, a sweep of the smaller
              model costs what a sweep of one policy costs. A test costs a sweep, and is made
              when the gap has shrunk by a constant factor.
Deviations    Rebuilding waits until a share of the pairs is gone.
References    MacQueen (1967); Puterman (1994), section 6.7.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import graphs, operators
from mdplib.certificates import Bracket
from mdplib.policy import DeterministicPolicy
from mdplib.policy_rows import PolicyRows
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers.tabular.run import Floats, Improve, Progress, Run, need_discounted, start

_SHRINK = 0.7  # of the gap between two tests
_PAUSE = 8  # sweeps between two tests, at least
_PRODUCTS = 500  # with P, per linear solve
_WORTH = 0.1  # share of the pairs that must go before the model is rebuilt


def action_elimination(
    mdp: TabularMDP,
    *,
    tol: float = 1e-6,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a discounted model by value iteration on ever fewer actions.

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
        ``stats.iterations`` counts sweeps and tests, whatever the size of the model then;
        ``stats.log`` tells how many pairs were dropped, and when.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], gamma=0.9)
    >>> solution = action_elimination(mdp, tol=1e-9)
    >>> solution.status.name, solution.policy.action.tolist()
    ('OPTIMAL', [1])
    """
    need_discounted(mdp, "action_elimination")
    run = Run("action_elimination", mdp, tol, time_limit, max_iterations, progress)
    found = run.iterate(start(mdp, V0), eliminating(run))
    policy = found.policy
    assert isinstance(policy, DeterministicPolicy)
    return dataclasses.replace(
        found,
        policy=DeterministicPolicy.from_actions(mdp, policy.action),
        provenance=dataclasses.replace(found.provenance, model=mdp.fingerprint),
        guarantees=("macqueen1967:elimination", "macqueen1966:bracket", "porteus1971:bracket"),
    )


def eliminating(run: Run) -> Improve:
    """Return the improvement step; it replaces the model of the run by smaller ones."""
    tested, sweeps, before, useless = np.inf, 0, np.inf, False
    held = np.zeros(run.mdp.n_states)
    enough = 0.25 * run.tol * (1 - run.mdp.gamma)

    def improve(V: Floats, found: Bracket) -> tuple[Floats, int]:
        nonlocal tested, sweeps, before, held, useless
        V, sweeps = found.midpoint, sweeps + 1
        if run.mdp.n_pairs == run.mdp.n_states:
            if useless or found.gap > 0.5 * before:  # then sweeps, from before the last solve
                V = held if not useless and found.gap > before else V
                useless = True
                return V, 1
            before, held = found.gap, V
            x, n, _ = PolicyRows(run.mdp, run.mdp.state_ptr[:-1]).krylov(
                V, enough, _PRODUCTS
            )  # (2)
            return (x if np.isfinite(x).all() else V), n + 1
        if sweeps < _PAUSE or found.gap > _SHRINK * tested:
            return V, 1
        tested, sweeps = found.gap, 0
        keep = undominated(run.mdp, found.lower, found.upper)
        left = int(np.count_nonzero(keep))
        if left <= (1 - _WORTH) * run.mdp.n_pairs:
            run.log.append(f"gap {found.gap:.3g}: {left} of {run.mdp.n_pairs} pairs are left")
            run.mdp = restricted(run.mdp, keep)
        return V, 2

    return improve


def undominated(mdp: TabularMDP, lower: Floats, upper: Floats) -> NDArray[np.bool_]:
    """Return the pairs that (1) does not exclude, (K,) bool; at least one per state.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    lower, upper : (S,) float64
        Proven bounds on its optimal value.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], gamma=0.5)
    >>> undominated(mdp, np.array([1.9]), np.array([2.1])).tolist()
    [False, True]
    """
    from mdplib._kernels import elimination

    q = operators.q_values(mdp, upper)
    error = operators.rounding(mdp, upper)
    q += error + 4 * operators.UNIT * float(np.abs(q).max())
    keep = np.ones(mdp.n_pairs, dtype=np.bool_)
    elimination.undominated(mdp.state_ptr, q, lower, keep)  # (1)
    return keep


def restricted(mdp: TabularMDP, keep: NDArray[np.bool_]) -> TabularMDP:
    """Return the model of some of the pairs, at least one per state."""
    pair = np.flatnonzero(keep).astype(np.int32)
    indptr, place = graphs.take_rows(mdp.indptr, pair)
    counts = np.add.reduceat(keep.astype(np.int32), mdp.state_ptr[:-1])
    return TabularMDP(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        indptr,
        mdp.indices[place],
        mdp.data[place],
        mdp.reward[pair],
        mdp.action_id[pair],
        mdp.gamma,
        initial=mdp.initial,
    )
