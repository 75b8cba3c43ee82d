"""The data that the benchmark runs on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.features import Features
from mdplib.linear_offline import LinearData
from solvers.robust.blocks import Block

Floats = NDArray[np.float64]


def random_data(
    n: int, d: int, H: int, rng: np.random.Generator, S: int = 2000, A: int = 2
) -> LinearData:
    """Draw n trajectories of uniform actions in a random model with simplex features.

    Each factor law has 200 of the S states as its support, so that next states are mostly distinct.
    """
    phi = rng.dirichlet(np.full(d, 0.5), size=S * A)
    ptr = np.arange(0, S * A + 1, A, dtype=np.int32)
    features = Features(ptr, phi, np.tile(np.arange(A, dtype=np.int32), S))
    pair, follow = np.empty((H, n), dtype=np.int32), np.empty((H, n), dtype=np.int32)
    state = rng.integers(0, S, n)
    for h in range(H):
        support = rng.integers(0, S, (d, 200))
        pair[h] = ptr[state] + rng.integers(0, A, n)
        cumulated = phi[pair[h]].cumsum(axis=1)
        factor = (rng.random((n, 1)) > cumulated[:, :-1]).sum(axis=1)
        state = support[factor, rng.integers(0, 200, n)]
        follow[h] = state
    return LinearData(features, rng.random((H, S * A)), pair, follow)


@dataclass(frozen=True)
class Generated:
    """Samples made on the fly: no two rows of features are equal.

    A row is a random convex combination of a row of a fixed table of 1024 points of the simplex and
    a corner, so it costs a gather and a product. Every sample has a next state of its own, with
    `actions` pairs.
    """

    n: int
    dimension: int
    horizon: int
    actions: int = 2
    block: int = 4096
    seed: int = 0

    def count(self, h: int) -> int:
        """Return n."""
        return self.n

    def blocks(self, h: int) -> Iterator[Block]:
        """Yield step h, the same at every call."""
        rng = np.random.default_rng([self.seed, h])
        table = np.random.default_rng(self.seed).dirichlet(np.full(self.dimension, 0.3), size=1024)
        for first in range(0, self.n, self.block):
            m = min(self.block, self.n - first)
            follow = _mix(table, m * self.actions, rng).reshape(m, self.actions, self.dimension)
            yield Block(_mix(table, m, rng), follow, rng.random((m, self.actions)))


def _mix(table: Floats, m: int, rng: np.random.Generator) -> Floats:
    """Return m convex combinations of a row of the table and a corner of the simplex."""
    share = rng.random(m)
    out = table[rng.integers(0, table.shape[0], m)]
    out *= 1.0 - share[:, None]
    out[np.arange(m), rng.integers(0, table.shape[1], m)] += share
    return out
