"""Service control of a queue: faster service costs more, waiting customers cost as well.

Definition. The state 0..S-1 is the number of customers; the first one is 0. In each step at most
one thing happens. Under action a, the number goes up by one with probability `arrival` if
s < S - 1, down by one with probability ``service[a]`` if s > 0, and stays otherwise. The reward
is ``-(holding * s + service_cost[a])``.

References: a uniformised M/M/1 queue with controlled service rate, as in Puterman (1994), section
11.5.4, with a finite waiting room.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mdplib.errors import InvalidModelError
from mdplib.models import arguments
from mdplib.models.tabulate import point, tabulate
from mdplib.tabular import TabularMDP


def queue(
    S: int = 100,
    *,
    arrival: float = 0.3,
    service: Sequence[float] = (0.2, 0.3, 0.4, 0.5),
    holding: float = 0.01,
    service_cost: Sequence[float] = (0.0, 0.5, 1.5, 4.0),
    gamma: float = 0.99,
    horizon: int | None = None,
) -> TabularMDP:
    """Build the queue (defined above).

    Parameters
    ----------
    S : int
        States, at least 2; the waiting room holds S - 1 customers.
    arrival : float
        Probability of an arrival.
    service : sequence of A float
        Probability of a departure under each action; arrival + service[a] is at most 1.
    holding : float
        Cost per customer and step.
    service_cost : sequence of A float
        Cost of each action per step.
    gamma : float
        Discount factor.
    horizon : int, optional
        Finite horizon.

    Returns
    -------
    TabularMDP

    Raises
    ------
    InvalidModelError
        If a probability is out of range or the two sequences differ in length.

    Examples
    --------
    >>> queue(50, gamma=0.95)
    TabularMDP(200 state-action pairs on 50 states, 592 transitions, gamma=0.95)
    """
    S = arguments.count(S, "S", 2)
    arrival = arguments.number(arrival, "arrival", 0.0, 1.0)
    if len(service) != len(service_cost) or not service:
        raise InvalidModelError(
            f"service has {len(service)} entries and service_cost {len(service_cost)}; "
            "one of each per action expected"
        )
    s = np.arange(S)
    up = np.where(s < S - 1, arrival, 0.0)
    moves = []
    reward = np.empty((S, len(service)))
    for a, (rate, price) in enumerate(zip(service, service_cost, strict=True)):
        rate = arguments.number(rate, f"service[{a}]", 0.0, 1.0)
        if arrival + rate > 1:
            raise InvalidModelError(
                f"arrival + service[{a}] is {arrival + rate}; at most 1 expected"
            )
        down = np.where(s > 0, rate, 0.0)
        moves.append((a, np.minimum(s + 1, S - 1), up))
        moves.append((a, np.maximum(s - 1, 0), down))
        moves.append((a, s, 1 - up - down))
        reward[:, a] = -(holding * s + arguments.number(price, f"service_cost[{a}]"))
    return tabulate(moves, reward, gamma, {"horizon": horizon, "initial": point(S)})
