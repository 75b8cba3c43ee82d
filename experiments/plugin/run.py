r"""One plug-in policy, judged exactly.

Problem       A generative model gives n samples of every state-action pair; how far from optimal
              is the policy that is optimal for the empirical model?
Algorithm     Draw counts N_k(t), put P^_k(t) = N_k(t)/n                                      (1)
              solve (P^, r, gamma) for pi^, and evaluate pi^ in the true model:
              max_s V*(s) - V^{pi^}(s)                                                        (2)
              The bound: the loss exceeds bounds.plugin_bound at the span of V* with
              probability at most DELTA.                                                      (3)
Guarantee     V* is certified to TOL, V^{pi^} comes from a direct linear solve.
Cost          Two policy iterations and one linear solve.
Deviations    Rewards are known, as in the bound that is tested.
References    Kearns and Singh (1999); constants proved in `bounds.plugin`.
"""

from __future__ import annotations

import numpy as np

import solvers
from bounds import plugin_bound
from experiments.engine.cells import Row, Streams
from experiments.instances import instance
from experiments.plugin.cells import DELTA, GAMMA, Cell
from mdplib import operators, sampling

TOL = 1e-9


def run(cell: Cell, streams: Streams) -> Row:
    """Return suboptimality, value error, bound and range of values."""
    mdp = instance(cell.model, GAMMA, streams.instance)
    best = solvers.solve(mdp, "policy_iteration", tol=TOL).require()
    counts = sampling.generative_counts(mdp, cell.n, streams.env)
    empirical = sampling.plugin_model(mdp, counts)  # (1)
    plugin = solvers.solve(empirical, "policy_iteration", tol=TOL).require()
    span = float(best.upper.max() - best.lower.min())
    V = operators.evaluate_policy(mdp, plugin.policy)
    return {
        "suboptimality": max(float(np.max(best.value - V)), 0.0),  # (2)
        "value_error": float(np.max(np.abs(best.value - plugin.value))),
        "bound": plugin_bound(mdp, span, cell.n, DELTA),  # (3)
        "range": float(np.ptp(mdp.reward)) / (1.0 - GAMMA),
        "gap": best.gap,
    }
