r"""Best closed walks without programs, for graphs of which half a walk can see little.

Problem
-------
Among closed walks of at most L steps from a source, one whose nodes are worth most, where at most
B nodes count.

Algorithm
---------
Read from both ends, a closed walk is two walks of at most ceil(L/2) and floor(L/2) steps from the
source to one node, where they meet. Of all sets of nodes that a half can visit on the way to node
v, only those in no other such set matter:                                                   (1)

    H_{t+1}(v) = maximal sets of H_t(v) and {A + v : A in H_t(u), u next to v}.

For given weights, all pairs of H(v) are gone through in falling order of the sum of what both are
worth, until that sum, less what they surely share, is at most the best value found.        (2)

Guarantee
---------
Exact. Weights that are not positive are never counted.

Cost
----
The sum over v of |H(v)|, squared at worst; on the underground map with 40 stations and 20 steps
13,000 sets, found in 30 ms, and milliseconds per maximum. There is no walk library beyond `LIMIT`
sets or 64 nodes within reach: see `mdplib.restless.beams` for what is done then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib._kernels import tours as kernels

LIMIT = 60_000  # sets, over all nodes
Words = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class HalfWalks:
    """What two halves of a closed walk can visit.

    Parameters
    ----------
    nodes : (k,) int64
        The nodes within reach; bit i of a set is nodes[i].
    source : int
        Number of the source among them.
    first, second : (n,) uint64
        Maximal sets of the longer and of the shorter half, by the node where it ends.
    first_ptr, second_ptr : (k + 1,) int64
        Where the sets of each node begin.
    """

    nodes: NDArray[np.int64]
    source: int
    first: Words
    second: Words
    first_ptr: NDArray[np.int64]
    second_ptr: NDArray[np.int64]

    def best(self, gain: NDArray[np.float64], budget: int) -> NDArray[np.int64]:
        """Return the nodes that count on a best walk.

        Parameters
        ----------
        gain : (J,) float64
            What each node is worth.
        budget : int
            How many nodes count.

        Returns
        -------
        (m,) int64
            At most `budget` nodes with positive gains.
        """
        weight = np.maximum(gain[self.nodes], 0.0)
        union = kernels.best_union(
            self.first, self.second, self.first_ptr, self.second_ptr, weight, self.source, budget
        )  # (2)
        visited = (union >> np.arange(weight.size, dtype=np.uint64)) & np.uint64(1) == 1
        counted = np.flatnonzero(visited & (weight > 0.0))
        best = counted[np.argsort(-weight[counted], kind="stable")[:budget]]
        return self.nodes[best]


def half_walks(
    neighbours: list[list[int]], source: int, length: int, near: NDArray[np.bool_]
) -> HalfWalks | None:
    """Return the maximal sets of both halves, None if there are too many.

    Parameters
    ----------
    neighbours : list of lists
        Adjacent nodes of each node.
    source, length : int
        Where the walk begins and ends, and its largest number of steps.
    near : (J,) bool
        Nodes that some such walk can visit.

    Examples
    --------
    >>> path = half_walks([[1], [0, 2], [1]], 0, 4, np.ones(3, dtype=bool))
    >>> path.best(np.array([0.0, 1.0, 5.0]), 2).tolist()
    [2, 1]
    """
    nodes = np.flatnonzero(near)
    if nodes.size > 64:
        return None
    number = {int(v): i for i, v in enumerate(nodes)}
    adjacent = [[number[w] for w in neighbours[v] if w in number] for v in nodes]
    start = number[source]
    sets: list[Words] = [np.empty(0, dtype=np.uint64) for _ in nodes]
    sets[start] = np.array([1 << start], dtype=np.uint64)
    bits = [np.uint64(1) << np.uint64(v) for v in range(nodes.size)]
    layers = [sets]
    for _ in range((length + 1) // 2):
        grown = [[sets[v], *(sets[u] | bits[v] for u in adjacent[v])] for v in range(nodes.size)]
        sets = [_maximal(np.concatenate(each), nodes.size) for each in grown]  # (1)
        layers.append(sets)
        if sum(map(len, sets)) > LIMIT:
            return None
    shorter = layers[length // 2]
    return HalfWalks(
        nodes, start, np.concatenate(sets), np.concatenate(shorter), _starts(sets), _starts(shorter)
    )


def _starts(sets: list[Words]) -> NDArray[np.int64]:
    """Return where the sets of each node begin when all are in one row."""
    return np.cumsum([0, *map(len, sets)])


def _maximal(sets: Words, n_bits: int) -> Words:
    """Return the sets that are in no other one."""
    distinct = np.unique(sets)
    falling = np.argsort(-np.bitwise_count(distinct).astype(np.int64), kind="stable")
    return distinct[falling][kernels.maximal(distinct[falling], n_bits)]
