r"""Groupings that keep a good group in every state.

Problem
-------
The loss of a grouping does not ask that all actions of a group be alike, only that every state have
some good group. Find m groups with that in mind.

Algorithm
---------
With gaps G(s, a) = V(s) - Q(s, a), the one-step loss of a grouping under a base measure w is

    delta(g) = max_s min_h sum_{a in h} mu(a | h) G(s, a),                                   (1)

and its loss is at most delta(g) / (1 - gamma), and at least delta(g). A start: a few actions that
cover the states, chosen greedily to lower (1), each in a group of its own, and the others
together. Then single actions are moved to other groups, and pairs of actions exchanged, as long as
the objective falls: first (1), ties by its sum over the states; then, if the model is known, the
loss itself.                                                                                 (2)

Where the low-level policy is free too, one action can stand for its whole group; then m actions
are chosen, greedily and by exchanges, so that the model restricted to them loses least.      (3)

Guarantee
---------
No single move or exchange improves the result, and no exchange that of (3). The objective is
never above that of the start.

Cost
----
Per step A (m - 1) + A (A - 1) / 2 evaluations of the objective: S A m products for (1), planning
in a lifted model for the loss.

Deviations
----------
None: the published method groups by similarity, and this replaces it.

References
----------
After li2024 for the problem; the objective is derived.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError
from mdplib.grouping.distances import dense_rows
from mdplib.grouping.grouping import Grouping, as_groups
from mdplib.tabular import TabularMDP
from solvers.grouping.enumeration import grouping_losses, weights
from solvers.grouping.planning import plan

Floats = NDArray[np.float64]
Words = NDArray[np.int64]
Objective = Callable[[Words], Floats]
_LESS = 1e-10


def one_step_losses(Q: ArrayLike, groups: ArrayLike, w: ArrayLike | None = None) -> Floats:
    """Return the one-step loss (1) of groupings with equally many groups, state by state.

    Parameters
    ----------
    Q : (S, A) array_like
        Action values; V is their maximum.
    groups : (n, A) array_like of int
        Group of each action, one grouping per row.
    w : (A,) array_like, optional
        Base measure; uniform by default.

    Returns
    -------
    (n, S) float64
        The maximum over the states is (1).

    Examples
    --------
    >>> one_step_losses([[1.0, 0.0, 0.5]], [[0, 0, 1], [0, 1, 1]])
    array([[0.5],
           [0. ]])
    """
    q = np.asarray(Q, dtype=np.float64)
    gap = q.max(axis=1, keepdims=True) - q
    base = np.ones(q.shape[1]) if w is None else np.asarray(w, dtype=np.float64)
    mu = weights(np.atleast_2d(np.asarray(groups, dtype=np.int64)), base)
    return np.einsum("nga,sa->nsg", mu, gap).min(axis=2)  # (1)


def value_aware(Q: ArrayLike, n_groups: int, *, w: ArrayLike | None = None) -> Grouping:
    """Return a grouping with a small one-step loss for given action values.

    Parameters
    ----------
    Q : (S, A) array_like
        Action values, optimal or estimated.
    n_groups : int
        How many groups m.
    w : (A,) array_like, optional
        Base measure of the low-level policy; uniform by default.

    Returns
    -------
    Grouping

    Raises
    ------
    InvalidModelError
        If there are fewer actions than groups.

    Examples
    --------
    >>> value_aware([[1.0, 0.0, 0.2, 0.1], [0.0, 0.9, 0.2, 0.1]], 3).of
    array([0, 1, 2, 2], dtype=int32)
    """
    q = np.asarray(Q, dtype=np.float64)
    A = q.shape[1]
    if not 1 <= n_groups <= A:
        raise InvalidModelError(f"{n_groups} groups of {A} actions; 1..{A} expected")

    def objective(words: Words) -> Floats:
        each = one_step_losses(q, words, w)
        return each.max(axis=1) + 1e-6 * each.mean(axis=1)

    return as_groups(_descend(_covered(q, n_groups), n_groups, objective))


def value_aware_grouping(
    mdp: TabularMDP, n_groups: int, *, w: ArrayLike | None = None
) -> tuple[Grouping, float]:
    """Return a grouping of a known model with a small loss, and that loss.

    Parameters
    ----------
    mdp : TabularMDP
        The model; every action is admissible in every state.
    n_groups : int
        How many groups m.
    w : (A,) array_like, optional
        Base measure of the low-level policy; uniform by default.

    Returns
    -------
    grouping : Grouping
        No move of an action and no exchange of two lowers its loss.
    loss : float
        max_s V*(s) - V*_mu(s).

    Examples
    --------
    >>> from mdplib import models
    >>> mdp = models.garnet(3, 6, 2, np.random.default_rng(0), 0.9)
    >>> grouping, loss = value_aware_grouping(mdp, 3)
    >>> grouping.n_groups, round(loss, 6)
    (3, 0.097663)
    """
    P, r = dense_rows(mdp)
    V = plan(P, r, mdp.gamma).value
    Q = r + mdp.gamma * P @ V
    start = value_aware(Q, n_groups, w=w)

    def objective(words: Words) -> Floats:
        return grouping_losses(mdp, words, w=w, V=V)

    found = _descend(start.of.astype(np.int64), n_groups, objective)  # (2)
    return as_groups(found), float(objective(found[None])[0])


def representatives(mdp: TabularMDP, n_groups: int) -> tuple[Grouping, NDArray[np.int64], float]:
    """Return groups with one action each that stands for the others, chosen by (3).

    Parameters
    ----------
    mdp : TabularMDP
        The model; every action is admissible in every state.
    n_groups : int
        How many groups m.

    Returns
    -------
    grouping : Grouping
        Every other action joins the one whose Q is nearest in the largest difference.
    actions : (m,) int64
        The action that stands for each group, for `LowLevelPolicy.representative`.
    loss : float
        max_s V*(s) minus the optimal value with these actions alone.

    Raises
    ------
    InvalidModelError
        If there are fewer actions than groups.

    Examples
    --------
    >>> from mdplib import models
    >>> mdp = models.garnet(3, 6, 2, np.random.default_rng(0), 0.9)
    >>> representatives(mdp, 3)[2]
    0.0
    """
    P, r = dense_rows(mdp)
    A = P.shape[1]
    if not 1 <= n_groups <= A:
        raise InvalidModelError(f"{n_groups} groups of {A} actions; 1..{A} expected")
    V = plan(P, r, mdp.gamma).value
    Q = r + mdp.gamma * P @ V

    def losses(sets: Words) -> Floats:
        kept = np.moveaxis(P[:, sets], 1, 0), np.moveaxis(r[:, sets], 1, 0)
        return (V - plan(*kept, mdp.gamma).value).max(axis=1)

    kept = np.empty(0, dtype=np.int64)
    for _ in range(n_groups):
        others = np.setdiff1d(np.arange(A), kept)
        sets = np.array([np.append(kept, a) for a in others])
        kept = sets[int(losses(sets).argmin())]
    value = float(losses(kept[None])[0])
    while n_groups < A:
        others = np.setdiff1d(np.arange(A), kept)
        swaps = np.array([np.where(kept == a, b, kept) for a in kept for b in others])
        each = losses(swaps)
        at = int(each.argmin())
        if each[at] >= value - _LESS:
            break
        kept, value = swaps[at], float(each[at])  # (3)
    kept = np.sort(kept)
    apart = np.abs(Q[:, :, None] - Q[:, None, kept]).max(axis=0)
    apart[kept, np.arange(n_groups)] = -1.0
    return Grouping(apart.argmin(axis=1).astype(np.int32)), kept, max(value, 0.0)


def _covered(Q: Floats, n_groups: int) -> Words:
    """Return a start: actions that cover the states, alone, and the others together."""
    gap = Q.max(axis=1, keepdims=True) - Q
    alone: list[int] = []
    left = np.full(len(Q), np.inf)
    for _ in range(n_groups - 1):
        worst = np.minimum(left[:, None], gap)
        score = worst.max(axis=0) + 1e-6 * worst.mean(axis=0)
        score[alone] = np.inf
        alone.append(int(score.argmin()))
        left = np.minimum(left, gap[:, alone[-1]])
    word = np.full(Q.shape[1], n_groups - 1, dtype=np.int64)
    word[alone] = np.arange(n_groups - 1)
    return word


def _descend(word: Words, n_groups: int, objective: Objective) -> Words:
    """Return the end of a steepest descent by moves and exchanges of actions."""
    if n_groups in (1, len(word)):
        return word
    value = float(objective(word[None])[0])
    while True:
        near = _neighbours(word, n_groups)
        each = objective(near)
        at = int(each.argmin())
        if each[at] >= value - _LESS:
            return word
        word, value = near[at], float(each[at])


def _neighbours(word: Words, n_groups: int) -> Words:
    """Return the words with one action moved or two actions exchanged, no group left empty."""
    A = len(word)
    sizes = np.bincount(word, minlength=n_groups)
    found = []
    for a in np.flatnonzero(sizes[word] > 1):
        for h in range(n_groups):
            if h != word[a]:
                moved = word.copy()
                moved[a] = h
                found.append(moved)
    for a in range(A):
        for b in range(a + 1, A):
            if word[a] != word[b]:
                swapped = word.copy()
                swapped[[a, b]] = word[[b, a]]
                found.append(swapped)
    return np.array(found)
