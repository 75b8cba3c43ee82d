r"""Groupings by similarity of actions.

Problem
-------
Given how different any two actions are, put similar ones together: groups of small diameter.

Algorithm
---------
Complete linkage merges the two groups whose union has the smallest diameter. Farthest first picks
centres, each as far as possible from the ones before, and gives every action to its nearest
centre:

    c_{i+1} = argmax_a min_{j <= i} d(a, c_j).                                               (1)

Guarantee
---------
If d satisfies the triangle inequality, (1) has at most twice the smallest possible largest
diameter. Complete linkage has no constant factor, and usually does better.

Cost
----
Quadratic in the number of actions.

Deviations
----------
Equal distances go to the smaller number.

References
----------
Gonzalez (1985), gonzalez1985.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError
from mdplib.grouping.grouping import Grouping, as_groups

Floats = NDArray[np.float64]


def complete_linkage(distance: ArrayLike, n_groups: int) -> Grouping:
    """Group by complete linkage.

    Parameters
    ----------
    distance : (A, A) array_like
        Symmetric, zero diagonal.
    n_groups : int
        How many groups.

    Returns
    -------
    Grouping

    Examples
    --------
    >>> d = np.abs(np.subtract.outer([0, 1, 5, 6], [0, 1, 5, 6]))
    >>> complete_linkage(d, 2).of
    array([0, 0, 1, 1], dtype=int32)
    """
    d = checked(distance, n_groups)
    if n_groups == len(d):
        return Grouping.singletons(len(d))
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(d, checks=False), "complete")
    tree[:, 2] = np.arange(len(tree))  # cut by number of merges: equal heights cannot merge more
    return as_groups(fcluster(tree, len(d) - n_groups - 0.5, "distance"))


def farthest_first(distance: ArrayLike, n_groups: int, *, first: int = 0) -> Grouping:
    """Group around centres far from each other, equation (1).

    Parameters
    ----------
    distance, n_groups
        As in `complete_linkage`.
    first : int
        The first centre.

    Returns
    -------
    Grouping

    Examples
    --------
    >>> d = np.abs(np.subtract.outer([0, 1, 5, 6], [0, 1, 5, 6]))
    >>> farthest_first(d, 2).of
    array([0, 0, 1, 1], dtype=int32)
    """
    d = checked(distance, n_groups)
    near, group = d[first].copy(), np.zeros(len(d), dtype=np.int64)
    near[first] = -1.0
    for centre in range(1, n_groups):
        chosen = int(near.argmax())  # (1)
        closer = d[chosen] < near
        group[closer], near[closer] = centre, d[chosen][closer]
        group[chosen], near[chosen] = centre, -1.0
    return as_groups(group)


def diameters(distance: ArrayLike, grouping: Grouping) -> Floats:
    """Return the largest distance within each group, (m,).

    Examples
    --------
    >>> d = np.abs(np.subtract.outer([0, 1, 5, 6], [0, 1, 5, 6]))
    >>> diameters(d, Grouping([0, 0, 0, 1]))
    array([5., 0.])
    """
    d = np.asarray(distance, dtype=np.float64)
    own = [grouping.members(h) for h in range(grouping.n_groups)]
    return np.array([d[np.ix_(a, a)].max() for a in own])


def checked(distance: ArrayLike, n_groups: int) -> Floats:
    """Return a matrix of distances, or raise `InvalidModelError` with what is wrong."""
    d = np.asarray(distance, dtype=np.float64)
    if d.ndim != 2 or d.shape[0] != d.shape[1] or d.size == 0:
        raise InvalidModelError(f"distance has shape {d.shape}; (A, A) expected")
    if not np.isfinite(d).all() or (d < 0.0).any() or (np.diag(d) != 0.0).any():
        raise InvalidModelError("distances are finite, at least 0, and 0 on the diagonal")
    if not np.allclose(d, d.T, rtol=1e-9, atol=1e-12):
        i, j = (int(k) for k in np.argwhere(~np.isclose(d, d.T, rtol=1e-9, atol=1e-12))[0])
        raise InvalidModelError(f"distance[{i}, {j}] differs from distance[{j}, {i}]")
    if not 1 <= n_groups <= len(d):
        raise InvalidModelError(f"{n_groups} groups of {len(d)} actions; 1..{len(d)} expected")
    return d
