"""Garnet: random models with a given number of successors per pair.

Law. For every state-action pair, independently:

* the set of successors is uniform among the sets of b distinct states (``"uniform"``), or has one
  uniform state from each of the b intervals ``i*S//b <= t < (i+1)*S//b`` (``"stratified"``);
* the probabilities, in the order of the successors, are the lengths of the b pieces into which
  b - 1 independent uniform points cut [0, 1], that is Dirichlet(1, ..., 1);
* the expected reward is uniform on [0, 1).

With ``ragged=True`` the number of admissible actions of a state is uniform on 1..A and the set of
them is uniform among the sets of that size. The initial law is uniform.

Row sums are exactly one: the cuts are multiples of 2**-53, so every piece is one as well and no
rounding occurs, in whatever order a row is summed.

References: Archibald, McKinnon and Thomas (1995), *On the generation of Markov decision
processes*, for the family; its parameters are given there as (S, A, b).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.models import arguments
from mdplib.tabular import TabularMDP

Successors = Literal["uniform", "stratified"]
_CHUNK = 65_536


def garnet(
    S: int,
    A: int,
    b: int,
    rng: np.random.Generator,
    gamma: float = 0.99,
    *,
    horizon: int | None = None,
    successors: Successors = "uniform",
    ragged: bool = False,
) -> TabularMDP:
    """Draw a Garnet (the law is given above).

    Parameters
    ----------
    S, A : int
        Numbers of states and of actions.
    b : int
        Successors per pair, 1 <= b <= S.
    rng : numpy.random.Generator
        Source of the draws.
    gamma : float
        Discount factor.
    horizon : int, optional
        Finite horizon; the drawn kernel is the same at every step.
    successors : {"uniform", "stratified"}
        Law of the successor sets.
    ragged : bool
        Draw the action sets as well.

    Returns
    -------
    TabularMDP

    Raises
    ------
    InvalidModelError
        If S, A or b is out of range.

    Examples
    --------
    >>> garnet(100, 4, 5, np.random.default_rng(0), gamma=0.95)
    TabularMDP(400 state-action pairs on 100 states, 2000 transitions, gamma=0.95)
    """
    S, A, b = (arguments.count(value, name) for value, name in ((S, "S"), (A, "A"), (b, "b")))
    if b > S:
        raise InvalidModelError(f"b is {b}; at most S={S} distinct successors exist")
    if successors not in ("uniform", "stratified"):
        raise InvalidModelError(f"successors is {successors!r}; 'uniform' or 'stratified' expected")
    state_ptr, action = _action_sets(S, A, rng, ragged)
    K = action.size
    indices, data = np.empty((K, b), dtype=np.int32), np.empty((K, b))
    reward = np.empty(K)
    draw = _stratified if successors == "stratified" else _subsets
    step = max(1, min(_CHUNK, 2**24 // S)) if draw is _subsets and _dense(S, b) else _CHUNK
    for first in range(0, K, step):
        part = slice(first, min(first + step, K))
        n = part.stop - first
        indices[part] = draw(S, b, n, rng)
        cuts = np.sort(rng.random((n, b - 1)), axis=1)
        data[part] = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
        reward[part] = rng.random(n)
    indptr: Any = np.arange(0, K * b + 1, b)
    flat = indices.ravel(), data.ravel()
    initial = np.full(S, 1 / S)
    return TabularMDP(
        state_ptr, indptr, flat[0], flat[1], reward, action, gamma, horizon, initial=initial
    )


def _action_sets(
    S: int, A: int, rng: np.random.Generator, ragged: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the pointers of the states and the action of every pair."""
    if not ragged:
        return np.arange(0, S * A + 1, A), np.tile(np.arange(A), S)
    size = rng.integers(1, A + 1, size=S)
    rank = rng.permuted(np.tile(np.arange(A), (S, 1)), axis=1)
    return np.concatenate([[0], np.cumsum(size)]), np.nonzero(rank < size[:, None])[1]


def _dense(S: int, b: int) -> bool:
    """Whether shuffling all states costs less than b*b comparisons."""
    return b * b > 4 * S


def _subsets(S: int, b: int, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw n uniform sets of b distinct states, each in increasing order.

    Sparse sets by Floyd's method: for j = S-b, ..., S-1 add a uniform t <= j, or j itself if t
    is in the set already (Bentley and Floyd 1987). Dense ones by shuffling.
    """
    if _dense(S, b):
        shuffled = rng.permuted(np.tile(np.arange(S), (n, 1)), axis=1)
        return np.sort(shuffled[:, :b], axis=1)
    chosen = np.full((n, b), -1, dtype=np.int64)
    for i, j in enumerate(range(S - b, S)):
        t = rng.integers(0, j + 1, size=n)
        taken = (chosen[:, :i] == t[:, None]).any(axis=1)
        chosen[:, i] = np.where(taken, j, t)
    return np.sort(chosen, axis=1)


def _stratified(S: int, b: int, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw n sets with one uniform state from each of b intervals."""
    edge = np.arange(b + 1) * S // b
    width = np.diff(edge)
    return edge[:-1] + np.floor(rng.random((n, b)) * width).astype(np.int64)
