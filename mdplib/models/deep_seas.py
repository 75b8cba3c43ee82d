r"""Deep sea: a treasure that only N steps to the right, without exception, can reach.

Definition. The agent starts in the upper left corner of an N x N grid and sinks one row per step.
In row y and column x <= y one of two actions goes right: it costs ``cost / N``, pays 1 on top in
column N - 1, and moves to column x + 1 with probability 1 - slip, else straight down. The other
goes left, to column max(x - 1, 0), for nothing. Below the last row lies one absorbing state that
pays nothing. The horizon is N. Which of the two actions goes right is action 1 everywhere, or drawn
for each cell by a fair coin when `rng` is given.

Value. Off the diagonal V* = 0 (go left for ever). On the diagonal, with n = N - y steps to go,
q = 1 - slip and c = cost / N, going right to the end is worth

    q**(n-1) - c * (q**0 + q**1 + ... + q**(n-1)),

and V* of step h <= y is that or 0, whichever is larger; for h > y the horizon ends before the
last row and V* = 0. With slip=0 and cost=0.01 the first state is worth 0.99.

References: Osband et al. (2020), *Behaviour suite for reinforcement learning*, experiment
``deep_sea``; its stochastic variant has slip = 1/N. Cells right of the diagonal cannot be reached
and are left out here.
"""

from __future__ import annotations

import numpy as np

from mdplib.assembly import ModelFields
from mdplib.models import arguments
from mdplib.models.tabulate import point, tabulate
from mdplib.tabular import TabularMDP


def deep_sea(
    N: int,
    rng: np.random.Generator | None = None,
    *,
    slip: float = 0.0,
    cost: float = 0.01,
    gamma: float = 1.0,
) -> TabularMDP:
    """Build the deep sea (defined above).

    Parameters
    ----------
    N : int
        Depth, width and horizon, at least 1.
    rng : numpy.random.Generator, optional
        Draws which action goes right in each cell.
    slip : float
        Probability that a move to the right goes straight down.
    cost : float
        Total cost of N moves to the right, at least 0.
    gamma : float
        Discount factor.

    Returns
    -------
    TabularMDP
        With horizon N and N*(N+1)/2 + 1 states: cell (y, x) is state y*(y+1)/2 + x, labelled
        ``y,x``; the last one is labelled ``end``.

    Examples
    --------
    >>> deep_sea(10)
    TabularMDP(111 state-action pairs on 56 states, 111 transitions, gamma=1.0, horizon=10)
    """
    N = arguments.count(N, "N")
    slip = arguments.number(slip, "slip", 0.0, 1.0)
    c = arguments.number(cost, "cost", 0.0) / N
    y, x = np.tril_indices(N)
    end = y.size
    last = y == N - 1
    below = end if N == 1 else (y + 1) * (y + 2) // 2

    def cell(column: np.ndarray) -> np.ndarray:
        return np.append(np.where(last, end, below + column), end)

    right = np.ones(end, dtype=np.int64) if rng is None else rng.integers(0, 2, size=end)
    reward = np.full((end + 1, 2), -np.inf)
    reward[np.arange(end), right] = (x == N - 1) - c
    reward[np.arange(end), 1 - right] = 0.0
    reward[end, 0] = 0.0
    moves = []
    for a in (0, 1):
        goes_right = np.append(right == a, False)
        moves.append((a, cell(x + 1), np.where(goes_right, 1 - slip, 0.0)))
        moves.append((a, cell(x), np.where(goes_right, slip, 0.0)))
        moves.append((a, cell(np.maximum(x - 1, 0)), np.where(goes_right, 0.0, 1.0)))
    names = [f"{i},{j}" for i, j in zip(y.tolist(), x.tolist(), strict=True)] + ["end"]
    fields: ModelFields = {"horizon": N, "initial": point(end + 1), "state_labels": names}
    return tabulate(moves, reward, gamma, fields)
