"""Inventory control: order now, sell what demand takes, lose what it misses.

Definition. The state 0..S-1 is the stock; the first one is 0. Action a orders ``a * lot`` units,
which raises the stock at once to y = min(s + a*lot, S - 1); only what fits is delivered and paid.
Then a demand D is drawn, min(D, y) units are sold and the stock becomes max(y - D, 0). The
reward is

    price * E[min(D, y)] - holding * s - unit_cost * (y - s) - order_cost * [a > 0].

D has the law of a Poisson variable of mean `demand` conditioned on D <= `most`. Conditioning is
part of the definition, not a correction: the tail of the Poisson law is cut off (8e-8 for a mean
of 5 and most=20, far more than rounding), so the unconditional weights would not be a law.

Row sums. The most + 1 weights are divided by their computed sum, and the demands that empty the
stock are merged by addition. Each of the two steps moves the exact sum of a stored row by at most
about (most + 1)*2**-53 away from one; together less than (most + 1)*2**-51.
`TabularMDP.row_sum_bounds` proves the bound that the certificates use.

References: stochastic inventory control with lost sales, as in Puterman (1994), section 3.2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mdplib.models import arguments
from mdplib.models.tabulate import point, tabulate
from mdplib.tabular import TabularMDP


def inventory(
    S: int = 100,
    A: int = 16,
    *,
    lot: int = 2,
    demand: float = 5.0,
    most: int = 20,
    price: float = 2.0,
    holding: float = 0.05,
    unit_cost: float = 1.0,
    order_cost: float = 3.0,
    ragged: bool = False,
    gamma: float = 0.99,
    horizon: int | None = None,
) -> TabularMDP:
    """Build the inventory problem (defined above).

    Parameters
    ----------
    S : int
        Capacity plus one, at least 2.
    A : int
        Number of order sizes 0, lot, ..., (A-1)*lot.
    lot : int
        Units per order step.
    demand : float
        Mean of the Poisson law before conditioning, in units per step.
    most : int
        Largest demand.
    price, holding, unit_cost, order_cost : float
        Revenue per unit sold, cost per unit in stock, per unit bought and per order.
    ragged : bool
        Leave out orders that do not fit instead of delivering a part.
    gamma : float
        Discount factor.
    horizon : int, optional
        Finite horizon.

    Returns
    -------
    TabularMDP

    Examples
    --------
    >>> inventory(30, 4, gamma=0.95).n_pairs, inventory(30, 4, ragged=True, gamma=0.95).n_pairs
    (120, 108)
    """
    S, A = arguments.count(S, "S", 2), arguments.count(A, "A")
    lot = arguments.count(lot, "lot")
    law = truncated_poisson(demand, most)
    d = np.arange(law.size)
    stock = np.arange(S)
    sold = np.minimum(d, stock[:, None]) @ law
    moves = []
    reward = np.empty((S, A))
    for a in range(A):
        y = np.minimum(stock + a * lot, S - 1)
        moves += [(a, np.maximum(y - n, 0), p) for n, p in enumerate(law)]
        bought = unit_cost * (y - stock) + order_cost * (a > 0)
        reward[:, a] = price * sold[y] - holding * stock - bought
        if ragged:
            reward[stock + a * lot > S - 1, a] = -np.inf
    return tabulate(moves, reward, gamma, {"horizon": horizon, "initial": point(S)})


def truncated_poisson(mean: float, most: int) -> NDArray[np.float64]:
    """Return the law of a Poisson variable conditioned on being at most `most`.

    Parameters
    ----------
    mean : float
        Mean before conditioning, above 0.
    most : int
        Largest value.

    Returns
    -------
    (most+1,) float64

    Examples
    --------
    >>> truncated_poisson(1.0, 2)
    array([0.4, 0.4, 0.2])
    """
    mean = arguments.number(mean, "demand", math.ulp(0.0))
    d = range(arguments.count(most, "most", 0) + 1)
    log_weight = np.array([n * math.log(mean) - math.lgamma(n + 1) for n in d])
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum()
