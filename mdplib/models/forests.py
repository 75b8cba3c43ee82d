"""Forest management: wait for old wood, or cut before a fire.

Definition. The state 0..S-1 is the age class of a forest. Action 0 waits: with probability p a
fire brings the forest back to state 0, otherwise it grows to min(s + 1, S - 1); waiting pays r1 in
state S - 1 and nothing elsewhere. Action 1 cuts: the forest goes back to state 0; cutting pays 0
in state 0, r2 in state S - 1 and 1 in between. The first state is 0.

An optimal policy waits in state 0, and if it waits in some state s >= 1 it waits in every older
one but possibly the last. S=3, r1=4, r2=2, p=0.1, gamma=0.9 has V* = (26.244, 29.484, 33.484).

References: the example ``forest`` of MDPtoolbox (Chadès, Chapron, Cros, Garcia and Sabbadin 2014).
"""

from __future__ import annotations

import numpy as np

from mdplib.models import arguments
from mdplib.models.tabulate import point, tabulate
from mdplib.tabular import TabularMDP


def forest(
    S: int = 3,
    r1: float = 4.0,
    r2: float = 2.0,
    p: float = 0.1,
    *,
    gamma: float = 0.9,
    horizon: int | None = None,
) -> TabularMDP:
    """Build the forest (defined above).

    Parameters
    ----------
    S : int
        Age classes, at least 2.
    r1, r2 : float
        Rewards of waiting and of cutting in the oldest class.
    p : float
        Probability of a fire.
    gamma : float
        Discount factor.
    horizon : int, optional
        Finite horizon.

    Returns
    -------
    TabularMDP

    Examples
    --------
    >>> forest(gamma=0.9)
    TabularMDP(6 state-action pairs on 3 states, 9 transitions, gamma=0.9)
    """
    S = arguments.count(S, "S", 2)
    p = arguments.number(p, "p", 0.0, 1.0)
    s = np.arange(S)
    moves = [(0, np.minimum(s + 1, S - 1), 1 - p), (0, 0, p), (1, 0, 1.0)]
    reward = np.zeros((S, 2))
    reward[1:, 1] = 1.0
    reward[-1] = arguments.number(r1, "r1"), arguments.number(r2, "r2")
    fields = {"horizon": horizon, "initial": point(S), "action_labels": ("wait", "cut")}
    return tabulate(moves, reward, gamma, fields)  # type: ignore[arg-type]
