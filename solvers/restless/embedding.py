r"""A ReLU network inside a program: maximise it over an action set, exactly.

Problem
-------
max over a in C of linear(a) + f(x(a)), f a ReLU network whose input is affine in the columns that
describe the action.

Algorithm
---------
The first layer is affine in the columns, z = c + W l. Bounds L <= z <= U:

    interval: at most K of the columns are one, so U = c + the K largest positive weights,   (1)
    and through later layers by the signs of the weights;
    CROWN: each unstable unit is bounded by lines, alpha z <= x <= U (z - L) / (U - L) with
    alpha in {0, 1}, substituted back to the columns, where (1) applies;                     (2)

the tighter of both counts. A unit with U <= 0 is zero and vanishes; with L >= 0 it is linear and
needs no variable of its own; otherwise

    x >= z,  x <= z - L (1 - y),  x <= U y,  x >= 0,  y binary.                              (3)

Guarantee
---------
At the optimum the program's value equals the forward pass, within the solver's feasibility
tolerance times the weights; the caller recomputes it.

Cost
----
One program; its size is that of the action set plus three rows for each unstable unit.

Deviations
----------
The published code uses one big-M of 1e5 for every unit and keeps all units: ``tight=False``.

References
----------
xu2025; zhang2018 for (2); fischetti2018 for (3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.optim.builder import MipBuilder
from solvers.restless.network import Layer

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LOOSE = 1e5


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds on the inputs of the ReLUs of each hidden layer.

    Parameters
    ----------
    lower, upper : tuple of (m,) float64
        One pair per hidden layer.
    """

    lower: tuple[Floats, ...]
    upper: tuple[Floats, ...]

    @property
    def unstable(self) -> int:
        """Number of units whose sign is not known."""
        return sum(int(((lo < 0) & (up > 0)).sum()) for lo, up in self)

    def __iter__(self):
        return iter(zip(self.lower, self.upper, strict=True))


def box(c: Floats, W: Floats, groups: Ints, most: int) -> tuple[Floats, Floats]:
    """Return bounds on c + W l, where each group of columns has at most one, and at most `most` do.

    Parameters
    ----------
    c : (m,) float64
        Constants.
    W : (m, k) float64
        Weights.
    groups : (k,) int64
        Group of each column: the arm.
    most : int
        Largest number of columns that are one.

    Returns
    -------
    lower, upper : (m,) float64

    Examples
    --------
    >>> box(np.zeros(1), np.array([[3.0, -1.0, 2.0]]), np.arange(3), 1)
    (array([-1.]), array([3.]))
    """
    n = int(groups.max(initial=-1)) + 1
    if n == 0 or most == 0:
        return c.copy(), c.copy()
    high, low = np.zeros((len(c), n)), np.zeros((len(c), n))
    for k, group in enumerate(groups):
        high[:, group] = np.maximum(high[:, group], W[:, k])
        low[:, group] = np.minimum(low[:, group], W[:, k])
    keep = min(most, n)
    top = -np.sort(-high, axis=1)[:, :keep].sum(axis=1)
    bottom = np.sort(low, axis=1)[:, :keep].sum(axis=1)
    return c + bottom, c + top  # (1)


def propagate(layers: list[Layer], groups: Ints, most: int, *, crown: bool = True) -> Bounds:
    """Return bounds on the units of a network whose first layer acts on the columns.

    Parameters
    ----------
    layers : list of (W, b)
        The network, its first layer already restricted to the columns.
    groups, most
        As in `box`.
    crown : bool
        Whether (2) is used besides intervals.

    Returns
    -------
    Bounds
    """
    W, c = layers[0]
    lower, upper = [], []
    lo, up = box(c, W, groups, most)
    lower.append(lo)
    upper.append(up)
    for depth in range(1, len(layers) - 1):
        W, c = layers[depth]
        low_x, up_x = np.maximum(lower[-1], 0.0), np.maximum(upper[-1], 0.0)
        plus, minus = np.maximum(W, 0.0), np.minimum(W, 0.0)
        lo = c + plus @ low_x + minus @ up_x
        up = c + plus @ up_x + minus @ low_x
        if crown:
            above = _substituted(layers, lower, upper, depth, groups, most)
            mirrored = [*layers[:depth], (-W, -c)]
            below = -_substituted(mirrored, lower, upper, depth, groups, most)
            lo, up = np.maximum(lo, below), np.minimum(up, above)
        lower.append(np.minimum(lo, up))
        upper.append(up)
    return Bounds(tuple(lower), tuple(upper))


def output_bound(layers: list[Layer], bounds: Bounds, groups: Ints, most: int) -> float:
    """Return an upper bound on the output of a network, by lines substituted back to the columns.

    Parameters
    ----------
    layers, groups, most
        As in `propagate`.
    bounds : Bounds
        Its result.

    Returns
    -------
    float
    """
    depth = len(layers) - 1
    return float(
        _substituted(layers, list(bounds.lower), list(bounds.upper), depth, groups, most)[0]
    )


def majorant(layers: list[Layer], bounds: Bounds) -> tuple[Floats, float]:
    """Return weights and a constant: an affine function of the columns above the network's output.

    Parameters
    ----------
    layers : list of (W, b)
        As in `propagate`.
    bounds : Bounds
        Its result.

    Returns
    -------
    weights : (k,) float64
    constant : float
    """
    depth = len(layers) - 1
    M, c = _lines(layers, list(bounds.lower), list(bounds.upper), depth)
    return M[0], float(c[0])


def _substituted(
    layers: list[Layer],
    lower: list[Floats],
    upper: list[Floats],
    depth: int,
    groups: Ints,
    most: int,
) -> Floats:
    """Return upper bounds on layer `depth` by lines substituted back to the columns."""
    M, c = _lines(layers, lower, upper, depth)
    return box(c, M, groups, most)[1]


def _lines(
    layers: list[Layer], lower: list[Floats], upper: list[Floats], depth: int
) -> tuple[Floats, Floats]:
    """Return the lines above layer `depth`, as functions of the columns: weights, constants."""
    M, c = layers[depth][0], layers[depth][1].copy()
    for k in range(depth - 1, -1, -1):
        lo, up = lower[k], upper[k]
        unstable = (lo < 0) & (up > 0)
        chord = np.where(unstable, up / np.where(unstable, up - lo, 1.0), (lo >= 0).astype(float))
        offset = np.where(unstable, -chord * lo, 0.0)
        alpha = np.where(unstable, (up > -lo).astype(float), (lo >= 0).astype(float))
        plus, minus = np.maximum(M, 0.0), np.minimum(M, 0.0)
        c = c + plus @ offset
        M = plus * chord + minus * alpha  # (2)
        W, b = layers[k]
        c = c + M @ b
        M = M @ W
    return M, c


def embed(
    builder: MipBuilder,
    columns: Ints,
    layers: list[Layer],
    bounds: Bounds,
    *,
    tight: bool = True,
) -> tuple[Ints, Floats, float]:
    """Add the units of a network to a program.

    Parameters
    ----------
    builder : MipBuilder
        Receives columns and rows.
    columns : (k,) int64
        Columns on which the first layer acts.
    layers : list of (W, b)
        The network, its first layer restricted to the columns.
    bounds : Bounds
        From `propagate`.
    tight : bool
        False ignores the bounds and uses 1e5 for every unit.

    Returns
    -------
    columns : (n,) int64
        Columns in which the output is affine.
    weights : (n,) float64
        Their weights.
    constant : float
        The rest.
    """
    at, W, c = columns, layers[0][0], layers[0][1]
    for k, (lo, up) in enumerate(bounds):
        if not tight:
            lo, up = np.full_like(lo, -LOOSE), np.full_like(up, LOOSE)
        active, linear = up > 0, (lo >= 0) & (up > 0)
        next_W, next_c = layers[k + 1]
        switched = np.flatnonzero(active & ~linear)
        x = builder.columns(switched.size, upper=up[switched])
        y = builder.columns(switched.size, upper=1.0, integer=True)
        n, m, own = switched.size, at.size, W[switched]
        pre = np.repeat(np.arange(n), m), np.tile(at, n)
        rows, places = np.concatenate([np.arange(n), pre[0]]), np.concatenate([x, pre[1]])
        weights = np.concatenate([np.ones(n), -own.ravel()])
        builder.entries(n, rows, places, weights, lower=c[switched])  # (3)
        rows, places = np.concatenate([rows, np.arange(n)]), np.concatenate([places, y])
        weights = np.concatenate([weights, -lo[switched]])
        builder.entries(n, rows, places, weights, upper=c[switched] - lo[switched])  # (3)
        pairs, both = np.tile(np.arange(n), 2), np.concatenate([x, y])
        weights = np.concatenate([np.ones(n), -up[switched]])
        builder.entries(n, pairs, both, weights, upper=0.0)  # (3)
        through = next_W[:, linear] @ W[linear]
        c = next_c + next_W[:, linear] @ c[linear]
        W = np.concatenate([through, next_W[:, switched]], axis=1)
        at = np.concatenate([at, x])
    return at, W[0], float(c[0])
