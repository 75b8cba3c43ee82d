"""Dense random models: every state can follow every other.

Law. For every state-action pair, independently, S uniform numbers on [0, 1) are drawn and divided
by their sum: they are the probabilities of the states 0..S-1. The expected reward is uniform on
[0, 1). The initial law is uniform.

Row sums. The division is part of the definition, not a correction. Each quotient is rounded once
and the sum at most S - 1 times, so the exact sum of a stored row is within S*2**-52 of one;
`TabularMDP.row_sum_bounds` proves the bound that the certificates use.

References: the usual random dense model of software comparisons, as ``example.rand`` of
MDPtoolbox (Chadès, Chapron, Cros, Garcia and Sabbadin 2014) without its mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdplib.models import arguments
from mdplib.tabular import TabularMDP

_CHUNK = 2**22  # transitions drawn at once


def dense(
    S: int,
    A: int,
    rng: np.random.Generator,
    gamma: float = 0.99,
    *,
    horizon: int | None = None,
) -> TabularMDP:
    """Draw a model with full rows (the law is given above).

    Parameters
    ----------
    S, A : int
        Numbers of states and of actions.
    rng : numpy.random.Generator
        Source of the draws.
    gamma : float
        Discount factor.
    horizon : int, optional
        Finite horizon; the drawn kernel is the same at every step.

    Returns
    -------
    TabularMDP

    Raises
    ------
    InvalidModelError
        If S or A is out of range.

    Examples
    --------
    >>> dense(20, 3, np.random.default_rng(0), gamma=0.95)
    TabularMDP(60 state-action pairs on 20 states, 1200 transitions, gamma=0.95)
    """
    S, A = arguments.count(S, "S"), arguments.count(A, "A")
    K = S * A
    P = np.empty((K, S))
    step = max(1, _CHUNK // S)
    for first in range(0, K, step):
        rows = P[first : first + step]
        rng.random(out=rows)
        rows /= rows.sum(axis=1, keepdims=True)
    reward = rng.random(K)
    indptr: Any = np.arange(0, K * S + 1, S)
    action: Any = np.tile(np.arange(A), S)
    successor: Any = np.tile(np.arange(S, dtype=np.int32), K)
    state_ptr: Any = np.arange(0, K + 1, A)
    flat = successor, P.reshape(-1)
    initial = np.full(S, 1 / S)
    return TabularMDP(
        state_ptr, indptr, flat[0], flat[1], reward, action, gamma, horizon, initial=initial
    )
