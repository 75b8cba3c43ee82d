r"""Groupings of one random model by several rules.

Problem       How much does a grouping lose that makes similar actions one, against one that keeps
              a good group in every state?
Algorithm     Kernels are drawn from Dirichlet(CONCENTRATION), rewards uniformly. Distances are
              max_s |r - r'| + gamma TV / (1 - gamma)                                         (1)
              for complete linkage and farthest first; value-aware grouping looks at V* and Q*.
              Actions are chosen uniformly within groups, but for `representatives`, where one
              action stands for its group. The best of all partitions is enumerated.
Guarantee     Losses are exact, the best one is the optimum.
Cost          877 small policy iterations, batched.
Deviations    None.
References    After Li, Ju and Shroff (2024) for the question.
"""

from __future__ import annotations

import numpy as np

from experiments.engine.cells import Row, Streams
from experiments.grouping.cells import Rivals
from mdplib.grouping.distances import kernel_distance
from mdplib.tabular import TabularMDP
from solvers import grouping as rules

STATES, ACTIONS, GAMMA, CONCENTRATION = 3, 7, 0.9, 0.2


def run(cell: Rivals, streams: Streams) -> Row:
    """Return the losses of all rules for 2, ..., ACTIONS - 1 groups."""
    rng = streams.instance
    P = rng.dirichlet(np.full(STATES, CONCENTRATION), size=(STATES, ACTIONS))
    mdp = TabularMDP.from_dense(P, rng.random((STATES, ACTIONS)), GAMMA)
    apart = kernel_distance(mdp, GAMMA / (1.0 - GAMMA))  # (1)
    sizes = range(2, ACTIONS)

    def losses(rule) -> list[float]:
        return [float(rules.grouping_losses(mdp, rule(apart, m).of[None])[0]) for m in sizes]

    return {
        "groups": list(sizes),
        "linkage": losses(rules.complete_linkage),
        "farthest": losses(rules.farthest_first),
        "diameter": losses(rules.smallest_diameter),
        "value_aware": [rules.value_aware_grouping(mdp, m)[1] for m in sizes],
        "representatives": [rules.representatives(mdp, m)[2] for m in sizes],
        "best": rules.best_groupings(mdp).loss[1:-1].tolist(),
    }
