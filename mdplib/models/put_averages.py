r"""American puts whose first price is uniform on an interval: averages without quadrature error.

Problem       ``1/(b-a) int_a^b V_0(s) ds`` for the value V_0(s) of starting at price s.     (1)
Algorithm     A rule holds where ``clip(hats(s) . c_h, 0, cap_h) >= payoff(s)``. The left side is
              piecewise linear in s, so the rule of step h switches at finitely many prices; a
              node of factor f = up**j down**(k-j) meets them at first prices switch / f.      (2)
              Between all of these, V_0 is linear in s, and the midpoint rule is exact.
              The optimal V_0 is convex in s (a maximum over stopping times of averages of convex
              payoffs), so midpoints average to at most (1) and trapezoids to at least (1).    (3)
Guarantee     Rules: exact up to rounding. Optimum: a bracket.
Cost          O(H^2) per piece; a few hundred pieces for 30 hats and 20 steps.
Deviations    None.
References    None: elementary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.models import arguments
from mdplib.models.american_puts import EXERCISE, HOLD, AmericanPut
from mdplib.policy import DeterministicPolicy, MarkovPolicy

Floats = NDArray[np.float64]


def rule_policy(
    put: AmericanPut, coefficients: ArrayLike, cap: ArrayLike | None = None
) -> MarkovPolicy:
    """Return the rule as a policy on the nodes of a put.

    Parameters
    ----------
    put : AmericanPut
        The put.
    coefficients : (H, d) array
        Value of holding at each step, by hat; for R2PVI, ``w - beta sigma``.
    cap : (H,) array, optional
        Upper clip of the value of holding; none by default.

    Returns
    -------
    MarkovPolicy
        It exercises where the payoff exceeds the clipped value of holding.

    Examples
    --------
    >>> from mdplib import models
    >>> put = models.american_put(99.0, horizon=3)
    >>> rule_policy(put, np.full((3, 30), 2.0)).probs(3, 2)  # price 99 * 0.98**2 = 95.08
    (array([1], dtype=int32), array([1.]))
    """
    c, top = _rule(put, coefficients, cap)
    base = 2 * np.arange(put.prices.size, dtype=np.int32)
    steps = []
    for h in range(put.horizon):
        action = np.where(_exercises(put, put.prices, c[h], top[h]), EXERCISE, HOLD)
        pair = (base + action).astype(np.int32)
        steps.append(DeterministicPolicy(pair, action.astype(np.int32)))
    return MarkovPolicy(tuple(steps))


def average_value(
    put: AmericanPut,
    coefficients: ArrayLike,
    cap: ArrayLike | None = None,
    *,
    low: float = 95.0,
    high: float = 105.0,
) -> float:
    """Return the value (1) of a rule for a first price uniform on [low, high].

    Parameters
    ----------
    put : AmericanPut
        The market; its own first prices play no part.
    coefficients, cap
        As in `rule_policy`.
    low, high : float
        Interval of first prices.

    Returns
    -------
    float

    Examples
    --------
    >>> from mdplib import models
    >>> put = models.american_put(p0=0.0, horizon=1)  # at once: the average of (100 - s)+
    >>> round(average_value(put, np.zeros((1, 30))), 12)
    1.25
    """
    c, top = _rule(put, coefficients, cap)
    if not 0 < low < high < np.inf:
        raise InvalidModelError(f"low is {low!r} and high {high!r}; 0 < low < high expected")
    cuts = [np.array([low, high])]
    for h in range(put.horizon):
        factor = put.up ** np.arange(h + 1) * put.down ** (h - np.arange(h + 1))
        met = np.divide.outer(_switches(put, c[h], top[h]), factor).ravel()  # (2)
        cuts.append(met[(met > low) & (met < high)])
    edge = np.unique(np.concatenate(cuts))
    middle = 0.5 * (edge[1:] + edge[:-1])
    V = np.zeros((middle.size, put.horizon + 1))
    for h in range(put.horizon - 1, -1, -1):
        factor = put.up ** np.arange(h + 1) * put.down ** (h - np.arange(h + 1))
        price = np.multiply.outer(middle, factor)
        held = (1 - put.p0) * V[:, :-1] + put.p0 * V[:, 1:]
        now = _exercises(put, price, c[h], top[h])
        V = np.where(now, np.maximum(0.0, put.strike - price), held)
    return float(V[:, 0] @ np.diff(edge)) / (high - low)  # (1)


def optimal_average(
    put: AmericanPut, *, low: float = 95.0, high: float = 105.0, pieces: int = 1000
) -> tuple[float, float]:
    """Return bounds on the optimal value for a first price uniform on [low, high] (3).

    Parameters
    ----------
    put : AmericanPut
        The market; its own first prices play no part.
    low, high : float
        Interval of first prices.
    pieces : int
        The bracket shrinks with its square.

    Returns
    -------
    lower, upper : float

    Examples
    --------
    >>> from mdplib import models
    >>> lower, upper = optimal_average(models.american_put(p0=0.5))
    >>> round(lower, 4), bool(0 <= upper - lower < 1e-4)
    (3.6805, True)
    """
    if not 0 < low < high < np.inf:
        raise InvalidModelError(f"low is {low!r} and high {high!r}; 0 < low < high expected")
    n = arguments.count(pieces, "pieces")
    s0 = np.linspace(low, high, 2 * n + 1)
    V = np.zeros((s0.size, put.horizon + 1))
    for h in range(put.horizon - 1, -1, -1):
        factor = put.up ** np.arange(h + 1) * put.down ** (h - np.arange(h + 1))
        payoff = np.maximum(0.0, put.strike - np.multiply.outer(s0, factor))
        V = np.maximum(payoff, (1 - put.p0) * V[:, :-1] + put.p0 * V[:, 1:])
    ends, middle = V[::2, 0], V[1::2, 0]
    return float(middle.mean()), float(0.5 * (ends[1:] + ends[:-1]).mean())  # (3)


def _rule(
    put: AmericanPut, coefficients: ArrayLike, cap: ArrayLike | None
) -> tuple[Floats, Floats]:
    """Return checked coefficients and caps."""
    c = validate.frozen(coefficients, np.float64, "coefficients", (2,))
    if c.shape != (put.horizon, put.d) or not np.isfinite(c).all():
        raise InvalidModelError(
            f"coefficients has shape {c.shape}; finite numbers of shape ({put.horizon}, {put.d}) "
            "expected"
        )
    top = np.full(put.horizon, np.inf) if cap is None else np.asarray(cap, dtype=np.float64)
    if top.shape != (put.horizon,) or not np.all(top >= 0):
        raise InvalidModelError(f"cap is {cap!r}; {put.horizon} numbers of at least 0 expected")
    return c, top


def _exercises(put: AmericanPut, price: Floats, c: Floats, cap: float) -> NDArray[np.bool_]:
    """Whether the payoff exceeds the clipped value of holding."""
    held = np.clip(put.hats(price) @ c, 0.0, cap)
    return np.maximum(0.0, put.strike - price) > held


def _switches(put: AmericanPut, c: Floats, cap: float) -> Floats:
    """Return all prices at which the rule of one step may switch, and the strike."""
    width = 100 / put.d
    knots = put.first + width * np.arange(-1, put.d + 1)
    edge = np.unique(np.concatenate([[0.0, put.strike, 1e3 * put.strike], knots[knots > 0]]))
    left, right = edge[:-1], edge[1:]
    held = put.hats(edge) @ c
    slope, base = np.diff(held) / (right - left), held[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        root = (put.strike - base + slope * left) / (slope + 1.0)  # hats meet strike - price
    root = root[np.isfinite(root) & (root > left) & (root < right)]
    capped = [put.strike - cap] if np.isfinite(cap) else []
    points = np.unique(np.concatenate([edge, root, capped]))
    points = points[points >= 0]
    middle = 0.5 * (points[1:] + points[:-1])
    now = _exercises(put, middle, c, cap)
    inner = points[1:-1][now[1:] != now[:-1]]
    return np.append(inner, put.strike)
