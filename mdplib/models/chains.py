"""RiverSwim: a small reward downstream, a large one upstream against the current.

Definition. States 0..S-1 along a river; the first state is 0. Action 0 drifts: from s to
max(s - 1, 0) for sure, and pays `small` in state 0. Action 1 swims: to s + 1 with probability
`right`, to s - 1 with probability `left`, and stays otherwise; at either end the mass that would
leave the river stays. Swimming pays `large` in state S - 1. All other rewards are zero.

With right=1 and left=0, V*(s) = max(large * gamma**(S-1-s), small * gamma**s) / (1 - gamma) for
nonnegative rewards.

References: Strehl and Littman (2008), *An analysis of model-based interval estimation for Markov
decision processes*, for the problem; the inner probabilities are those of Osband, Russo and Van
Roy (2013), *(More) efficient reinforcement learning via posterior sampling*. Papers differ in the
two end states; the definition above is what this module builds.
"""

from __future__ import annotations

import numpy as np

from mdplib.errors import InvalidModelError
from mdplib.models import arguments
from mdplib.models.tabulate import point, tabulate
from mdplib.tabular import TabularMDP


def chain(
    S: int = 6,
    *,
    right: float = 0.35,
    left: float = 0.05,
    small: float = 0.005,
    large: float = 1.0,
    gamma: float = 0.99,
    horizon: int | None = None,
) -> TabularMDP:
    """Build the river (defined above).

    Parameters
    ----------
    S : int
        States, at least 2.
    right, left : float
        Probabilities that a swimmer advances and falls back; their sum is at most 1.
    small, large : float
        Rewards at the two ends.
    gamma : float
        Discount factor.
    horizon : int, optional
        Finite horizon.

    Returns
    -------
    TabularMDP

    Examples
    --------
    >>> chain(6, gamma=0.95)
    TabularMDP(12 state-action pairs on 6 states, 22 transitions, gamma=0.95)
    """
    S = arguments.count(S, "S", 2)
    right = arguments.number(right, "right", 0.0, 1.0)
    left = arguments.number(left, "left", 0.0, 1.0)
    if right + left > 1:
        raise InvalidModelError(f"right + left is {right + left}; at most 1 expected")
    s = np.arange(S)
    up, down = np.where(s < S - 1, right, 0.0), np.where(s > 0, left, 0.0)
    moves = [
        (0, np.maximum(s - 1, 0), 1.0),
        (1, np.minimum(s + 1, S - 1), up),
        (1, np.maximum(s - 1, 0), down),
        (1, s, 1 - up - down),
    ]
    reward = np.zeros((S, 2))
    reward[0, 0] = arguments.number(small, "small")
    reward[-1, 1] = arguments.number(large, "large")
    fields = {"horizon": horizon, "initial": point(S), "action_labels": ("drift", "swim")}
    return tabulate(moves, reward, gamma, fields)  # type: ignore[arg-type]
