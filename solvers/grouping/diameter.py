r"""Groupings of the smallest possible largest diameter.

Problem
-------
Given distances between actions, the partition into m groups that minimises the largest distance
within a group.

Algorithm
---------
The optimum is one of the distances, or zero. For a threshold t, groups of diameter at most t are
the colour classes of the graph

    {(a, b) : d(a, b) > t},                                                                  (1)

so the smallest t whose graph has m colours is found by bisection over the sorted distances. The
colouring is a search with backtracking, vertices by falling degree and a new colour at most once
per vertex; or a program with x_{ah} in {0, 1},

    sum_h x_{ah} = 1,   x_{ah} + x_{bh} <= 1 for every edge of (1).                          (2)

Guarantee
---------
The optimum.

Cost
----
Exponential in the worst case; about 30 actions are quick.

Deviations
----------
None.

References
----------
Hansen and Delattre (1978), hansen1978.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import SolverError
from mdplib.grouping.grouping import Grouping, as_groups
from solvers.grouping.clustering import checked

Method = Literal["colouring", "mip"]


def smallest_diameter(
    distance: ArrayLike, n_groups: int, *, method: Method = "colouring"
) -> Grouping:
    """Return a partition with the smallest possible largest diameter.

    Parameters
    ----------
    distance : (A, A) array_like
        Symmetric, zero diagonal.
    n_groups : int
        How many groups; fewer are used if that is no worse, and then split to make up the number.
    method : {"colouring", "mip"}
        Backtracking, or a program (2) solved by HiGHS.

    Returns
    -------
    Grouping
        With exactly `n_groups` groups.

    Raises
    ------
    InvalidModelError
        If the distances or the number of groups make no sense.

    Examples
    --------
    >>> d = np.abs(np.subtract.outer([0, 2, 3, 5], [0, 2, 3, 5]))
    >>> smallest_diameter(d, 2).of
    array([0, 0, 1, 1], dtype=int32)
    """
    d = checked(distance, n_groups)
    levels = np.unique(np.append(d[np.triu_indices(len(d), 1)], 0.0))
    colour = _colouring if method == "colouring" else _programmed
    low, high = 0, len(levels) - 1
    best = np.zeros(len(d), dtype=np.int64)
    while low < high:
        middle = (low + high) // 2
        found = colour(d > levels[middle], n_groups)  # (1)
        if found is None:
            low = middle + 1
        else:
            high, best = middle, found
    if high == len(levels) - 1:
        best = np.zeros(len(d), dtype=np.int64)
    return as_groups(_filled(best, n_groups))


def _filled(group: NDArray[np.int64], n_groups: int) -> NDArray[np.int64]:
    """Split groups until there are enough; no diameter grows."""
    group = np.unique(group, return_inverse=True)[1].astype(np.int64)
    while (used := int(group.max()) + 1) < n_groups:
        large = int(np.bincount(group).argmax())
        group[int(np.flatnonzero(group == large)[-1])] = used
    return group


def _colouring(edges: NDArray[np.bool_], n_colours: int) -> NDArray[np.int64] | None:
    """Return a colouring with at most so many colours, or None if there is none."""
    n = len(edges)
    order = np.argsort(-edges.sum(axis=1), kind="stable")
    near = [[i for i in range(k) if edges[order[k], order[i]]] for k in range(n)]
    word = [-1] * n
    k, used = 0, [0] * (n + 1)
    while 0 <= k < n:
        taken = {word[i] for i in near[k]}
        most = min(used[k] + 1, n_colours)
        colour = next((c for c in range(word[k] + 1, most) if c not in taken), None)
        if colour is None:
            word[k] = -1
            k -= 1
        else:
            word[k] = colour
            used[k + 1] = max(used[k], colour + 1)
            k += 1
    if k < 0:
        return None
    out = np.empty(n, dtype=np.int64)
    out[order] = word
    return out


def _programmed(edges: NDArray[np.bool_], n_colours: int) -> NDArray[np.int64] | None:
    """Do the same by a program (2)."""
    from mdplib.optim.backends import solve_mip
    from mdplib.optim.builder import MipBuilder
    from mdplib.optim.mip import MipStatus

    n = len(edges)
    builder = MipBuilder()
    x = builder.columns(n * n_colours, upper=1.0, integer=True).reshape(n, n_colours)
    for a in range(n):
        builder.row(x[a], np.ones(n_colours), lower=1.0, upper=1.0)
        for h in range(a + 1, n_colours):  # equal groups are not tried twice
            builder.row(x[a, h : h + 1], np.ones(1), lower=0.0, upper=0.0)
    for a, b in np.argwhere(np.triu(edges)):
        for h in range(n_colours):
            builder.row(np.array([x[a, h], x[b, h]]), np.ones(2), upper=1.0)  # (2)
    found = solve_mip(builder.arrays())
    if found.status is MipStatus.INFEASIBLE:
        return None
    if found.x is None:
        raise SolverError(f"the colouring program ended with {found.status}")
    return found.x[x].argmax(axis=1).astype(np.int64)
