r"""Losses by estimation, and what is known about them before and after the data.

Problem       Eight groups on the tree model, K samples of every state and group: how much looser
              than the loss are the bounds on it?
Algorithm     Learn from K samples; the loss is max_s V*_mu(s) - V^{pi^}_mu(s)                (1)
              Draw K fresh samples of each state and group for the certificate.               (2)
Guarantee     The loss is exact; each bound holds with probability 1 - DELTA.
Cost          Linear solves of small dense models, all repetitions at once.
Deviations    None.
References    The formulas of `mdplib.grouping.loss`.
"""

from __future__ import annotations

import numpy as np

from experiments.engine.cells import Row, Streams
from experiments.grouping.cells import BATCH, DELTA, JUDGED_GROUPS, Guarantee
from experiments.grouping.systems import LEVELS, lifted, system
from mdplib.grouping import Grouping, draw, loss
from solvers.grouping import evaluate, plan


def run(cell: Guarantee, streams: Streams) -> Row:
    """Return losses and bounds of a batch of repetitions."""
    mdp = system("tree")
    gamma = mdp.gamma
    grouping = Grouping.tree(JUDGED_GROUPS.bit_length() - 1, LEVELS)
    P, r = lifted(mdp, grouping)
    best = plan(P, r, gamma).value
    seen = draw(mdp, grouping, cell.n, streams.env, repetitions=BATCH)
    learnt = plan(*seen.model(), gamma, rng=streams.algorithm)
    lost = (best - evaluate(P, r, learnt.policy, gamma)).max(axis=1)  # (1)
    fresh = draw(mdp, grouping, cell.n, streams.env, repetitions=BATCH)
    mean, variance = fresh.backup(learnt.value, gamma)
    certified = loss.certificate(
        mean, variance, cell.n, learnt.value, learnt.policy, gamma, DELTA
    )  # (2)
    known = (mdp.n_states, JUDGED_GROUPS, cell.n, gamma, DELTA)
    return {
        "loss": np.maximum(lost, 0.0).tolist(),
        "certificate": certified.tolist(),
        "hoeffding": loss.hoeffding_bound(*known),
        "weissman": loss.weissman_bound(*known),
    }
