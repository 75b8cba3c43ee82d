r"""All partitions of a few actions, and the one that loses least.

Problem
-------
Which grouping into m groups has the smallest loss without estimation?

Algorithm
---------
Partitions are restricted growth strings: a_0 = 0 and

    0 <= a_i <= 1 + max(a_0, ..., a_{i-1}),                                                  (1)

so each partition appears once. The lifted models of all partitions with the same number of groups
are planned together, and

    L(g) = max_s V*(s) - V*_mu(s)                                                            (2)

with actions chosen uniformly, or by a base measure, within the groups.

Guarantee
---------
The optimum, up to the rounding of linear solves.

Cost
----
Bell numbers: 877 partitions of 7 actions, 4140 of 8, 115975 of 10.

Deviations
----------
None.

References
----------
Knuth, TAOCP 4A, section 7.2.1.5, for (1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError
from mdplib.grouping.distances import dense_rows
from mdplib.grouping.grouping import Grouping
from mdplib.tabular import TabularMDP
from solvers.grouping.planning import plan

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
MOST_ACTIONS = 10
CHUNK = 4096


@dataclass(frozen=True, eq=False)
class BestGroupings:
    """For every number of groups, the grouping that loses least.

    Parameters
    ----------
    groupings : tuple of A Grouping
        Number i has i + 1 groups.
    loss : (A,) float64
        Their losses (2).
    partitions : int
        How many were looked at.
    """

    groupings: tuple[Grouping, ...]
    loss: Floats
    partitions: int


def partitions(n_actions: int) -> Iterator[Ints]:
    """Yield every partition of a set, as the group of each element.

    Parameters
    ----------
    n_actions : int
        Elements, at least one.

    Yields
    ------
    (A,) int32
        Restricted growth string, equation (1).

    Examples
    --------
    >>> [p.tolist() for p in partitions(3)]
    [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [0, 1, 2]]
    """
    word = np.zeros(n_actions, dtype=np.int32)
    while True:
        yield word.copy()
        high = np.maximum.accumulate(word)
        i = n_actions - 1
        while i > 0 and word[i] > high[i - 1]:  # (1)
            i -= 1
        if i <= 0:
            return
        word[i] += 1
        word[i + 1 :] = 0


def grouping_losses(
    mdp: TabularMDP, groups: ArrayLike, *, w: ArrayLike | None = None, V: Floats | None = None
) -> Floats:
    """Return the loss (2) of many groupings with the same number of groups.

    Parameters
    ----------
    mdp : TabularMDP
        The model; every action is admissible in every state.
    groups : (n, A) array_like of int
        Group of each action, one grouping per row.
    w : (A,) array_like, optional
        Base measure of the low-level policy; uniform by default.
    V : (S,) array, optional
        Optimal value, if it is known.

    Returns
    -------
    (n,) float64
    """
    P, r = dense_rows(mdp)
    groups = np.atleast_2d(np.asarray(groups, dtype=np.int64))
    base = np.ones(P.shape[1]) if w is None else np.asarray(w, dtype=np.float64)
    V = plan(P, r, mdp.gamma).value if V is None else V
    losses = np.empty(len(groups))
    for at in range(0, len(groups), CHUNK):
        mu = weights(groups[at : at + CHUNK], base)
        above = np.einsum("nga,sat->nsgt", mu, P), np.einsum("nga,sa->nsg", mu, r)
        losses[at : at + CHUNK] = (V - plan(*above, mdp.gamma).value).max(axis=1)  # (2)
    return np.maximum(losses, 0.0)


def best_groupings(mdp: TabularMDP, *, w: ArrayLike | None = None) -> BestGroupings:
    """Return the grouping that loses least, for every number of groups.

    Parameters
    ----------
    mdp : TabularMDP
        At most `MOST_ACTIONS` actions, all of them admissible in every state.
    w : (A,) array_like, optional
        Base measure of the low-level policy; uniform by default.

    Returns
    -------
    BestGroupings

    Raises
    ------
    InvalidModelError
        If there are more actions, or some state lacks an action.

    Examples
    --------
    >>> from mdplib import models
    >>> found = best_groupings(models.garnet(3, 4, 2, np.random.default_rng(0), 0.9))
    >>> found.partitions, found.loss.round(3)
    (15, array([2.228, 0.499, 0.105, 0.   ]))
    """
    A = dense_rows(mdp)[1].shape[1]
    if A > MOST_ACTIONS:
        raise InvalidModelError(
            f"{A} actions have too many partitions; at most {MOST_ACTIONS} are enumerated, "
            "solvers.grouping has heuristics for more"
        )
    every = np.array(list(partitions(A)))
    size = every.max(axis=1)
    V = plan(*dense_rows(mdp), mdp.gamma).value
    chosen, losses = [], []
    for m in range(A):
        rows = every[size == m]
        loss = grouping_losses(mdp, rows, w=w, V=V)
        at = int(loss.argmin())
        chosen.append(Grouping(rows[at]))
        losses.append(loss[at])
    return BestGroupings(tuple(chosen), np.array(losses), len(every))


def weights(groups: NDArray[np.int64], base: Floats) -> Floats:
    """Return mu of many groupings, (n, m, A)."""
    m = int(groups.max()) + 1
    mu = (groups[:, None, :] == np.arange(m)[:, None]) * base
    return mu / mu.sum(axis=2, keepdims=True)
