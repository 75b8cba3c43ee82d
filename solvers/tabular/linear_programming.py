r"""Linear programming, with the dual as occupancy measure.

Problem       Infinite-horizon discounted model, gamma < 1; find V* with V* = T V*.
Algorithm     ``min sum_s w(s) V(s)``, ``V(s) - gamma P_k V >= r_k`` for every pair k of s.  (1)
              The dual y >= 0 has ``sum_{k of t} y_k - gamma sum_k y_k P_k(t) = w(t)``:      (2)
              y_k counts the discounted visits of pair k from the initial weights w. The policy
              that takes the pair with the largest y in each state is evaluated exactly, and
              policy iteration removes what the tolerances of the linear program left.
Guarantee     Stops on the proven width of the bracket; HiGHS's own claim is not relied upon.
Cost          One linear program with S free variables and K rows.
Deviations    None.
References    d'Epenoux (1963); Puterman (1994), section 6.9.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from mdplib import operators, validate
from mdplib.errors import SolverError
from mdplib.optim.lp import solve_lp
from mdplib.policy import DeterministicPolicy
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers.tabular.policy_iteration import howard
from solvers.tabular.run import Floats, Progress, Run, need_discounted


def linear_programming(
    mdp: TabularMDP,
    *,
    weights: ArrayLike | None = None,
    tol: float = 1e-6,
    max_iterations: int = 10_000,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a discounted model by linear programming (HiGHS).

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    weights : (S,) array, optional
        Initial weights w > 0 of the states, 1/S by default. They must be positive, or the value
        of a state that is never visited would be free.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    max_iterations : int
        Limit on the policy evaluations that follow the linear program.
    time_limit : float, optional
        Limit in seconds, for the linear program and what follows it each.
    progress : callable, optional
        Called with (evaluations, gap) after each certificate.

    Returns
    -------
    Solution
        ``occupancy`` is the (K,) dual y of (2); with weights that sum to one it sums to
        1/(1 - gamma). Where HiGHS fails (gamma within about 1e-6 of 1, where it cannot tell
        1 - gamma from 0) policy iteration alone proves the bounds, ``occupancy`` is None, and
        ``provenance.options["highs"]`` says why.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.
    InvalidModelError
        If a weight is not positive.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], gamma=0.9)
    >>> solution = linear_programming(mdp)
    >>> solution.ok, round(float(solution.occupancy.sum()), 6)
    (True, 10.0)
    """
    import scipy.sparse as sp

    need_discounted(mdp, "linear_programming")
    S, K = mdp.n_states, mdp.n_pairs
    w = np.full(S, 1.0 / S) if weights is None else validate.frozen(weights, np.float64, "weights")
    validate.vector(w, S, "weights")
    validate.require(w > 0, lambda s: f"weights[{s}] is {w[s]}", "Weights must be positive.")
    run = Run("linear_programming", mdp, tol, time_limit, max_iterations, progress)
    owner = sp.csr_array((np.ones(K), mdp.pair_state, np.arange(K + 1)), shape=(K, S))
    discounted = sp.csr_array((mdp.gamma * mdp.data, mdp.indices, mdp.indptr), shape=(K, S))
    rows = sp.csr_array(owner - discounted)
    try:
        program = solve_lp(w, rows, mdp.reward, time_limit=time_limit)
    except SolverError as error:  # 1 - gamma is below its tolerances
        run.options = {"highs": str(error)}
        return run.iterate(np.zeros(S), howard(mdp))
    run.options = {"highs": "optimal" if program.optimal else "time limit"}
    V = operators.evaluate_policy(mdp, _heaviest(mdp, program.dual))
    solution = run.iterate(V, howard(mdp), iterations=1)
    occupancy = np.maximum(program.dual, 0.0) if program.optimal else None
    return dataclasses.replace(solution, occupancy=occupancy)


def _heaviest(mdp: TabularMDP, y: Floats) -> DeterministicPolicy:
    """Return the policy that takes the pair of largest occupancy in each state."""
    largest = np.maximum.reduceat(y, mdp.state_ptr[:-1])
    candidates = np.flatnonzero(y == largest[mdp.pair_state])
    _, first = np.unique(mdp.pair_state[candidates], return_index=True)
    return DeterministicPolicy.from_pairs(mdp, candidates[first])
