"""From vectorised moves to a `TabularMDP`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.assembly import ModelFields
from mdplib.tabular import TabularMDP

Move = tuple[int, ArrayLike, ArrayLike]


def tabulate(
    moves: Iterable[Move], reward: NDArray[np.float64], gamma: float, fields: ModelFields
) -> TabularMDP:
    """Build a model from moves made by all states at once.

    Parameters
    ----------
    moves : iterable of (action, successor, probability)
        Under `action`, state s goes to ``successor[s]`` with probability ``probability[s]``;
        both are broadcast to (S,). Moves of one pair to one successor are merged, those of
        probability 0 left out.
    reward : (S, A) float64
        Expected rewards; ``-inf`` marks an action that is not available.
    gamma : float
        Discount factor.
    fields : ModelFields
        Optional fields of `TabularMDP`.

    Returns
    -------
    TabularMDP

    Examples
    --------
    >>> flip = [(0, [1, 0], 0.25), (0, [0, 1], 0.75)]
    >>> tabulate(flip, np.zeros((2, 1)), 0.5, {}).data
    array([0.75, 0.25, 0.25, 0.75])
    """
    import scipy.sparse as sp

    S = reward.shape[0]
    available = reward > -np.inf
    rank = (np.cumsum(available) - 1).reshape(available.shape)
    rows, columns, weights = [], [], []
    for action, successor, probability in moves:
        p = np.where(available[:, action], np.broadcast_to(probability, S), 0.0)
        s = np.flatnonzero(p)
        rows.append(rank[s, action])
        columns.append(np.broadcast_to(successor, S)[s])
        weights.append(p[s])
    entries = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    P = sp.coo_array(entries, shape=(int(rank[-1, -1]) + 1, S)).tocsr()
    P.sum_duplicates()
    action: Any = np.nonzero(available)[1]
    return TabularMDP(
        np.concatenate([[0], np.cumsum(available.sum(axis=1))]),
        P.indptr,
        P.indices,
        P.data,
        reward[available],
        action,
        gamma,
        **cast("dict[str, Any]", fields),
    )


def point(n_states: int, s: int = 0) -> NDArray[np.float64]:
    """Return the law that puts all mass on state s."""
    law = np.zeros(n_states)
    law[s] = 1.0
    return law
