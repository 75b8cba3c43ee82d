r"""Exact intervals for a probability.

Problem
-------
k of n independent trials showed an event; what may be said about its probability?

Algorithm
---------
The interval of Clopper and Pearson, the set of p not rejected by either one-sided binomial test:

    sum_{j >= k} C(n, j) low^j (1 - low)^(n - j) = tail,                                   (1)
    sum_{j <= k} C(n, j) high^j (1 - high)^(n - j) = tail,                                 (2)

solved by the inverse incomplete beta function.

Guarantee
---------
It covers with probability at least the confidence, for every n and every p.

Cost
----
Constant.

Deviations
----------
The limits at k = 0 and k = n are 0 and 1, as is usual.

References
----------
Clopper and Pearson (1934), Biometrika 26, 404-413.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["two-sided", "lower", "upper"]


@dataclass(frozen=True)
class Interval:
    """A confidence interval and what it was made from.

    Attributes
    ----------
    low, estimate, high : float
        Limits and point estimate, in the unit of the data.
    confidence : float
        Probability, over repetitions, that the interval contains the truth.
    method : str
        Name of the construction.
    n : int
        Number of independent replicates.

    Examples
    --------
    >>> Interval(0.1, 0.2, 0.3, 0.95, "example", 50)
    0.2 [0.1, 0.3] (95 %, example, n = 50)
    """

    low: float
    estimate: float
    high: float
    confidence: float
    method: str
    n: int

    def __contains__(self, value: float) -> bool:
        """Tell whether `value` lies between the limits, ends included."""
        return self.low <= value <= self.high

    def __repr__(self) -> str:
        return (
            f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}] "
            f"({100 * self.confidence:.6g} %, {self.method}, n = {self.n})"
        )

    def to_dict(self) -> dict[str, float | str | int]:
        """Return the fields as plain JSON values.

        Returns
        -------
        dict
            The six fields by name.
        """
        return {
            "low": float(self.low),
            "estimate": float(self.estimate),
            "high": float(self.high),
            "confidence": float(self.confidence),
            "method": self.method,
            "n": int(self.n),
        }


def clopper_pearson(
    k: int, n: int, confidence: float = 0.95, *, side: Side = "two-sided"
) -> Interval:
    """Return the exact binomial interval for a probability.

    Parameters
    ----------
    k : int
        Number of events, 0 <= k <= n.
    n : int
        Number of independent trials, at least 1.
    confidence : float
        Coverage, guaranteed for every n and every probability.
    side : {"two-sided", "lower", "upper"}
        "lower" gives [low, 1] and "upper" gives [0, high], with the whole error on one side.

    Returns
    -------
    Interval
        Limits and k / n.

    Raises
    ------
    ValueError
        If k, n or confidence is out of range.

    Notes
    -----
    Equations (1) and (2) of the module; Clopper and Pearson (1934).

    Examples
    --------
    >>> clopper_pearson(60, 1000, 0.99)
    0.06 [0.04229, 0.08203] (99 %, Clopper-Pearson, n = 1000)
    >>> clopper_pearson(0, 90, 0.99, side="upper").high < 0.05
    True
    """
    from scipy.special import betaincinv

    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"k = {k} events in n = {n} trials: need n >= 1 and 0 <= k <= n.")
    tail = tail_error(confidence, side)
    low, high = 0.0, 1.0
    if side != "upper" and k > 0:
        low = float(betaincinv(k, n - k + 1, tail))  # (1)
    if side != "lower" and k < n:
        high = float(betaincinv(k + 1, n - k, 1.0 - tail))  # (2)
    name = "Clopper-Pearson" if side == "two-sided" else f"Clopper-Pearson, {side}"
    return Interval(low, k / n, high, confidence, name, n)


def tail_error(confidence: float, side: Side = "two-sided") -> float:
    """Return the error allowed at one end."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence = {confidence}: need a number strictly between 0 and 1.")
    return (1.0 - confidence) / (2.0 if side == "two-sided" else 1.0)


def runs_needed(failure_rate: float, confidence: float = 0.99, *, failures: int = 0) -> int:
    """Return how many runs certify a failure rate when at most `failures` of them fail.

    Parameters
    ----------
    failure_rate : float
        The rate to certify, strictly between 0 and 1.
    confidence : float
        Confidence of the one-sided upper limit.
    failures : int
        Failures that are allowed to occur.

    Returns
    -------
    int
        Smallest n whose one-sided Clopper-Pearson upper limit is at most `failure_rate`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> runs_needed(0.05, 0.99)
    90
    >>> runs_needed(0.05, 0.99, failures=1)
    130
    """
    from scipy.special import betainc

    tail = tail_error(confidence, "upper")
    if not 0.0 < failure_rate < 1.0 or failures < 0:
        raise ValueError(
            f"failure_rate = {failure_rate}, failures = {failures}: need a rate strictly between "
            "0 and 1 and a non-negative count."
        )

    def certified(n: int) -> bool:
        # P(Binomial(n, rate) <= failures) <= tail
        return bool(betainc(n - failures, failures + 1, 1.0 - failure_rate) <= tail)

    high = failures + 1
    while not certified(high):
        high *= 2
    low = failures
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if certified(middle) else (middle, high)
    return high
