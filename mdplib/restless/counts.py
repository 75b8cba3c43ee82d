"""Best actions of sets that only care how many arms of each kind are pulled.

Arms are of one kind if the set cannot tell them apart. Of each kind the best arms are pulled, so
that an action is a vector of counts; with the sums of the best gains of every kind at hand, all
vectors are rated at once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LIMIT = 100_000  # vectors of counts
Ints = NDArray[np.int64]


def best_by_kind(counts: Ints, kind: Ints, gain: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return the action of the largest sum of gains.

    Parameters
    ----------
    counts : (m, K) int64
        Feasible numbers of arms of each kind; all that are largest are among them, and fewer arms
        are always feasible.
    kind : (J,) int64
        Kind of each arm, in 0..K-1.
    gain : (J,) float64
        What pulling each arm is worth; arms that are worth nothing are not pulled.

    Returns
    -------
    (J,) int8

    Examples
    --------
    >>> best_by_kind(np.array([[1, 1], [0, 2]]), np.array([0, 1, 1]), np.array([1.0, 3.0, 2.0]))
    array([0, 1, 1], dtype=int8)
    """
    value, ranked = np.zeros(len(counts)), []
    for k in range(counts.shape[1]):
        mine = np.flatnonzero(kind == k)
        mine = mine[np.argsort(-gain[mine], kind="stable")]
        ranked.append(mine[gain[mine] > 0.0])
        sums = np.concatenate([[0.0], np.cumsum(gain[ranked[k]])])
        value += sums[np.minimum(counts[:, k], len(ranked[k]))]
    a = np.zeros(kind.size, dtype=np.int8)
    for arms, n in zip(ranked, counts[int(np.argmax(value))].tolist(), strict=True):
        a[arms[:n]] = 1
    return a


def fewest_actions(counts: Ints, kind: Ints) -> float:
    """Return a lower bound on the number of actions: those below one vector of counts.

    Examples
    --------
    >>> fewest_actions(np.array([[1, 1], [0, 2]]), np.array([0, 1, 1]))
    6.0
    """
    below = np.ones(len(counts))
    for k, present in enumerate(np.bincount(kind, minlength=counts.shape[1]).tolist()):
        ways = np.cumsum([math.comb(present, n) for n in range(int(counts[:, k].max()) + 1)])
        below *= ways.astype(np.float64)[counts[:, k]]
    return float(below.max())
