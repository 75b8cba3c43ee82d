"""Cells on the American put: learn on one lattice of prices, evaluate exactly on others.

All trajectories of a data set start at one price, so they live on one lattice; the test starts
elsewhere. The lattices stand side by side in one model, so a learnt policy speaks of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import Row, Streams
from experiments.r2pvi import published
from experiments.r2pvi.cells import Option
from experiments.r2pvi.methods import compat, learn
from experiments.r2pvi.published import CHANCES, HORIZON
from mdplib import models
from mdplib.linear_offline import LinearData
from mdplib.models.american_puts import AmericanPut
from mdplib.policy import MarkovPolicy

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BETA, RIDGE = 0.1, 1.0
STARTS = tuple(95.25 + 0.5 * i for i in range(20))  # midpoints of twenty parts of [95, 105]


def run(cell: Option, streams: Streams) -> Row:
    """Return, for each strength, the returns from the published test price and from any start.

    On published data, also the means over the published test episodes.
    """
    if cell.source == "published":
        start, rises = published.training_price(cell.replicate), published.moves(cell.n)
    else:
        start = float(streams.instance.uniform(95.0, 105.0))
        rises = streams.env.random((cell.n, HORIZON)) < 0.5
    held = None
    if cell.hold < 1.0:
        held = streams.algorithm.random((cell.n, HORIZON)) < cell.hold
    put = models.american_put([start, published.TEST_PRICE, *STARTS], d=cell.d, horizon=HORIZON)
    data = dataset(put, rises, held)
    switches = compat(cell.choices, "option", cell.method)
    found = learn(data, cell.method, cell.strengths, switches, beta=BETA, ridge=RIDGE)
    values = np.array([returns(put, s.policy, CHANCES)[:, put.start[1:]] for s in found])
    row: Row = {
        "start": start,
        "returns": values[:, :, 0].tolist(),
        "anywhere": values[:, :, 1:].mean(axis=2).tolist(),
    }
    if cell.source == "published":
        row["replayed"] = [
            [published.option_return(put, s.policy, p) for p in CHANCES] for s in found
        ]
    return row


def returns(put: AmericanPut, policy: MarkovPolicy, chances: Sequence[float]) -> Floats:
    """Return the exact expected payoff from each first state, (chances, S), by recursion.

    Parameters
    ----------
    put : AmericanPut
        Prices and payoffs; its own probability is not used.
    policy : MarkovPolicy
        Whether to exercise, by step and state.
    chances : sequence of float
        Probabilities of a rise.
    """
    p, (fall, rise) = np.asarray(chances)[:, None], put.successors
    V = np.zeros((p.size, put.prices.size))
    for h in reversed(range(put.horizon)):
        exercised = published.played(policy.steps[h]) % 2 == 1
        V = np.where(exercised, put.payoff, (1.0 - p) * V[:, fall] + p * V[:, rise])
    return V


def dataset(put: AmericanPut, rises: Bools, held: Bools | None = None) -> LinearData:
    """Return trajectories from the first price of a put.

    Parameters
    ----------
    put : AmericanPut
        The model.
    rises : (n, H) bool
        Moves of the price.
    held : (n, H) bool, optional
        Where the behaviour holds; the first False exercises and ends. Always, by default.
    """
    n, H = rises.shape
    ups = np.concatenate([np.zeros((n, 1), int), rises.cumsum(axis=1)], axis=1).T
    level = np.arange(H + 1)[:, None]
    state = level * (level + 1) // 2 + ups
    pair, follow = 2 * state[:-1], state[1:]
    if held is not None:
        ended = np.cumsum(~held.T, axis=0)  # positive from the step of exercise on
        before = ended - ~held.T
        pair = np.where(before > 0, -1, pair + ~held.T)
        follow = np.where(ended > 0, -1, follow)
    return LinearData(put.features, put.reward, pair.astype(np.int32), follow.astype(np.int32))
