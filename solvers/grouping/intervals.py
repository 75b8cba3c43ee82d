r"""Best contiguous groups of ordered actions.

Problem
-------
Actions are ordered, as powers or prices are, and groups are to be intervals; every interval has a
cost, and those of the groups are summed, or the largest counts.

Algorithm
---------
With c(i, j) the cost of the actions i, ..., j - 1,

    best_k(j) = min_{i < j} combine(best_{k-1}(i), c(i, j)),                                 (1)

combine being + or max.

Guarantee
---------
The optimum.

Cost
----
m A^2 combinations.

Deviations
----------
Of equal solutions the one with the earliest breaks is returned.

References
----------
Bellman (1961), bellman1961.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError
from mdplib.grouping.grouping import Grouping
from solvers.grouping.clustering import checked

Floats = NDArray[np.float64]


def best_intervals(
    cost: ArrayLike, n_groups: int, *, combine: Literal["max", "sum"] = "max"
) -> tuple[Grouping, float]:
    """Return the best partition of 0..A-1 into intervals, and what it costs.

    Parameters
    ----------
    cost : (A+1, A+1) array_like
        cost[i, j] of the actions i, ..., j - 1; only i < j is read.
    n_groups : int
        How many intervals.
    combine : {"max", "sum"}
        How costs of groups are put together.

    Returns
    -------
    grouping : Grouping
        The intervals.
    total : float
        Their cost.

    Raises
    ------
    InvalidModelError
        If the costs are not square or the number of groups makes no sense.

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 5.0, 6.0])
    >>> best_intervals(interval_diameters(np.abs(np.subtract.outer(x, x))), 2)
    (Grouping(4 actions in 2 groups), 1.0)
    """
    c = np.asarray(cost, dtype=np.float64)
    A = c.shape[0] - 1
    if c.ndim != 2 or c.shape[0] != c.shape[1] or A < 1:
        raise InvalidModelError(f"cost has shape {c.shape}; (A+1, A+1) expected")
    if not 1 <= n_groups <= A:
        raise InvalidModelError(f"{n_groups} intervals of {A} actions; 1..{A} expected")
    put = np.maximum if combine == "max" else np.add
    c = np.where(np.arange(A + 1)[:, None] < np.arange(A + 1), c, np.inf)
    best = c[0].copy()
    breaks = np.zeros((n_groups, A + 1), dtype=np.int64)
    for k in range(1, n_groups):
        each = put(best[:, None], c)  # (1)
        each[:k] = np.inf
        breaks[k] = each.argmin(axis=0)
        best = each.min(axis=0)
    ends = [A]
    for k in range(n_groups - 1, 0, -1):
        ends.append(int(breaks[k, ends[-1]]))
    sizes = np.diff([0, *reversed(ends)])
    return Grouping.contiguous(sizes.tolist()), float(best[A])


def interval_diameters(distance: ArrayLike) -> Floats:
    """Return the largest distance within each interval, (A+1, A+1), for `best_intervals`.

    Parameters
    ----------
    distance : (A, A) array_like
        Symmetric, zero diagonal.

    Examples
    --------
    >>> interval_diameters([[0.0, 2.0], [2.0, 0.0]])[0]
    array([0., 0., 2.])
    """
    d = checked(distance, 1)
    A = len(d)
    out = np.zeros((A + 1, A + 1))
    for j in range(1, A + 1):
        reach = np.maximum.accumulate(d[:j, j - 1][::-1])[::-1]
        out[:j, j] = np.maximum(out[:j, j - 1], reach)
    return out


def interval_overlaps(P: ArrayLike) -> Floats:
    """Return beta_P of each interval of actions, (A+1, A+1), one pass per left end.

    Parameters
    ----------
    P : (S, A, S) array_like
        Kernels.

    Examples
    --------
    >>> interval_overlaps([[[1.0, 0.0], [0.75, 0.25]], [[0.0, 1.0], [0.0, 1.0]]])[0]
    array([0.  , 0.  , 0.25])
    """
    P = np.asarray(P, dtype=np.float64)
    A = P.shape[1]
    out = np.zeros((A + 1, A + 1))
    for i in range(A):
        least = np.minimum.accumulate(P[:, i:], axis=1)
        out[i, i + 1 :] = np.maximum(1.0 - least.sum(axis=2), 0.0).max(axis=0)
    return out
