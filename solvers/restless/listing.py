"""The best rows of a list of actions: a separable part that is known, and a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.restless.embedding import output_bound, propagate
from solvers.restless.network import Layer

Ints = NDArray[np.int64]
Singles = NDArray[np.float32]
FEW = 128  # lists up to this length are gone through without a second thought
NEAR = 8
CHUNK = 4096


def leading(hot: Singles, layers: list[Layer], groups: Ints, most: int, linear: Singles) -> Ints:
    """Return the rows of largest value in single precision, among which double has to decide.

    Parameters
    ----------
    hot : (m, k) float32
        What the network sees of each action.
    layers, groups, most
        The network in one state, see `solvers.restless.embedding.propagate`.
    linear : (m,) float32
        The separable part.

    Returns
    -------
    (8,) int64
        Rows, all of them if there are fewer.
    """
    rows = promising(hot, layers, groups, most, linear)
    return rows[_largest(linear[rows] + _forward(layers, hot[rows]), NEAR)]


def promising(hot: Singles, layers: list[Layer], groups: Ints, most: int, linear: Singles) -> Ints:
    """Return the rows that can be best, as the network is bounded; arguments as in `leading`."""
    m = len(linear)
    if m <= FEW:
        return np.arange(m)
    high = output_bound(layers, propagate(layers, groups, most), groups, most)
    first = _largest(linear, FEW)
    reached = float((linear[first] + _forward(layers, hot[first])).max())
    slack = 1e-4 * (1.0 + abs(reached) + float(np.abs(linear).max()))
    return np.flatnonzero(linear + high >= reached - slack)


def _largest(x: NDArray, n: int) -> Ints:
    """Return where the n largest entries are, in rising order of place."""
    if n >= len(x):
        return np.arange(len(x))
    return np.sort(np.argpartition(x, len(x) - n)[len(x) - n :])


def _forward(layers: list[Layer], hot: Singles) -> Singles:
    """Return the network on rows of columns, in single precision, a cacheful at a time."""
    weights = [(W.T.astype(np.float32), b.astype(np.float32)) for W, b in layers]
    values = np.empty(len(hot), dtype=np.float32)
    for at in range(0, len(hot), CHUNK):
        x = hot[at : at + CHUNK]
        for W, b in weights[:-1]:
            x = x @ W
            x += b
            np.maximum(x, 0.0, out=x)
        W, b = weights[-1]
        values[at : at + CHUNK] = (x @ W)[:, 0] + b
    return values
