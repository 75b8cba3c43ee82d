r"""Good closed walks in graphs too large for `mdplib.restless.tours`.

Problem
-------
Among closed walks of at most L steps from a source, one whose nodes are worth much, where at most
B nodes count.

Algorithm
---------
As in `mdplib.restless.tours` a walk is two halves that meet. Halves grow by one step at a time;
each node keeps the sets of visited nodes that are worth most by the gains

    (w_i - price)+,                                                                          (1)

and at the end all pairs are tried. With the price at the B-th largest weight only the best nodes
have a gain, and all of them count; with a lower one there is more to collect than counts. Several
prices are tried.                                                                            (2)

Guarantee
---------
The nodes lie on a walk. They need not be the best.

Cost
----
For each price L/2 steps, each of which sorts `width` sets per arc: .05 s altogether with 100
nodes, 40 steps and a width of 60.

Deviations
----------
None.

References
----------
None.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdplib._kernels import beams as kernels

WIDTH = 60
RANKS = (1.0, 1.5, 2.0, 3.0)  # times B: the weights at which prices are tried


def good_walk(
    neighbours: list[list[int]],
    source: int,
    length: int,
    weight: NDArray[np.float64],
    budget: int,
    width: int = WIDTH,
) -> NDArray[np.int64]:
    """Return nodes on one closed walk that are worth much together.

    Parameters
    ----------
    neighbours : list of lists
        Adjacent nodes of each node.
    source, length : int
        Where the walk begins and ends, and its largest number of steps.
    weight : (J,) float64
        What each node is worth; those that are not positive never count.
    budget : int
        How many nodes count.
    width : int
        Sets that each node keeps.

    Returns
    -------
    (m,) int64
        At most `budget` nodes, the most valuable first.

    Examples
    --------
    >>> path = [[1], [0, 2], [1]]
    >>> good_walk(path, 0, 4, np.array([0.0, 1.0, 5.0]), 2).tolist()
    [2, 1]
    """
    n = len(neighbours)
    ptr = np.cumsum([0, *map(len, neighbours)])
    neighbour = np.array([v for each in neighbours for v in each], dtype=np.int64)
    weight = np.maximum(weight, 0.0)
    order = np.argsort(-weight, kind="stable")
    best, nodes = 0.0, np.empty(0, dtype=np.int64)
    enough = float(weight[order[:budget]].sum()) * (1.0 - 1e-14)  # no walk is worth more
    for rank in sorted({min(int(r * budget), n - 1) for r in RANKS}):
        price = (1.0 - 1e-6) * float(weight[order[rank]])  # nodes worth just this have a gain
        gain = np.maximum(weight - price, 0.0)  # (1)
        worth, sets = np.zeros((n, width)), np.zeros((n, width, (n + 63) // 64), dtype=np.uint64)
        count = np.zeros(n, dtype=np.int64)
        count[source] = 1
        half = (worth, sets, count)
        if gain[source] > 0.0:
            worth[source, 0] = gain[source]
            sets[source, 0, source >> 6] = np.uint64(1) << np.uint64(source & 63)
        for _ in range(length // 2):
            half = kernels.grow(*half, ptr, neighbour, gain)
        other = kernels.grow(*half, ptr, neighbour, gain) if length % 2 else half
        counted = order[gain[order] > 0.0]
        value, union = kernels.join(
            other, half, gain, weight, counted, source, budget, price
        )  # (2)
        if value > best:
            on = (union[counted >> 6] >> (counted & 63).astype(np.uint64)) & np.uint64(1) == 1
            best, nodes = value, counted[on][:budget]
        if best >= enough:
            break
    return nodes
