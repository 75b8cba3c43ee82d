"""Cells on the five-state model: learn, and evaluate the policy exactly in perturbed models."""

from __future__ import annotations

import numpy as np

from experiments.engine.cells import Row, Streams
from experiments.r2pvi import published
from experiments.r2pvi.cells import Simulated
from experiments.r2pvi.methods import compat, learn
from experiments.r2pvi.published import QS
from mdplib import models
from mdplib.linear import LinearMDP
from mdplib.linear_offline import LinearData

BETA, RIDGE = 1.0, 0.1
FAIL = 3  # x4


def run(cell: Simulated, streams: Streams) -> Row:
    """Return, for each strength, the first-step u and the return at each perturbation.

    Returns are affine in the perturbation q, so two exact evaluations give all of them.
    """
    mdp = models.five_state(cell.xi)
    data = dataset(mdp, cell, streams)
    switches = compat(cell.choices, "simulated", cell.method)
    fail = {} if cell.choices == "written" else {"fail_state": FAIL}
    found = learn(
        data, cell.method, cell.strengths, switches, beta=BETA, ridge=RIDGE, corner=cell.corner,
        **fail,
    )  # fmt: skip
    kept, moved = (models.five_state(cell.xi, q=q) for q in (0.0, 1.0))
    u = mdp.features.phi[:, -1]
    ends = [(kept.evaluate(s.policy)[0, 0], moved.evaluate(s.policy)[0, 0]) for s in found]
    return {
        "u": [float(u[published.played(s.policy.steps[0])[0]]) for s in found],
        "returns": [[float((1.0 - q) * a + q * b) for q in QS] for a, b in ends],
        "estimate": [float(s.V[0, 0]) for s in found],
    }


def dataset(mdp: LinearMDP, cell: Simulated, streams: Streams) -> LinearData:
    """Return the data of a cell: uniform actions, published or fresh."""
    if cell.source == "fresh":
        return LinearData.collect(mdp, mdp.uniform, cell.n, streams.env)
    states, actions = published.simulated(cell.xi, cell.replicate, cell.n)
    pair = (mdp.features.state_ptr[states[:-1]] + actions).astype(np.int32)
    return LinearData(mdp.features, mdp.reward, pair, states[1:])
