r"""Intervals for simulated quantities: exact binomial, bootstrap, slopes, paired differences.

Problem
-------
A simulation gives n independent replicates; what may be said, at a stated confidence, about
a probability, a mean, a growth rate or the difference of two algorithms?

Algorithm
---------
Probabilities: the exact interval of Clopper and Pearson, the set of p not rejected by either
one-sided binomial test,

    sum_{j >= k} C(n, j) low^j (1 - low)^(n - j) = alpha_side,                            (1)
    sum_{j <= k} C(n, j) high^j (1 - high)^(n - j) = alpha_side,                          (2)

solved by the inverse incomplete beta function. Means: the bootstrap, either bias-corrected and
accelerated (BCa) or studentised (percentile-t). Slopes: least squares on the summary of
the replicates at each point, the interval from percentiles over resampled replicates.

Guarantee
---------
Clopper-Pearson covers with probability at least the confidence, for every n and p. The
bootstrap covers asymptotically; BCa and percentile-t have an error of order 1/n.

Cost
----
One vectorised pass over (n_resamples, n) indices.

Deviations
----------
The limits at k = 0 and k = n are 0 and 1, as is usual.

References
----------
Clopper and Pearson (1934), Biometrika 26, 404-413. Efron (1987), JASA 82, 171-185.
Hall (1988), Annals of Statistics 16, 927-953.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Interval",
    "bootstrap",
    "bootstrap_mean",
    "clopper_pearson",
    "paired_difference",
    "runs_needed",
    "slope_fit",
]

Side = Literal["two-sided", "lower", "upper"]
BootstrapMethod = Literal["bca", "percentile_t", "percentile"]
FloatArray = NDArray[np.float64]


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
    tail = _tail(confidence, side)
    low, high = 0.0, 1.0
    if side != "upper" and k > 0:
        low = float(betaincinv(k, n - k + 1, tail))  # (1)
    if side != "lower" and k < n:
        high = float(betaincinv(k + 1, n - k, 1.0 - tail))  # (2)
    name = "Clopper-Pearson" if side == "two-sided" else f"Clopper-Pearson, {side}"
    return Interval(low, k / n, high, confidence, name, n)


def _tail(confidence: float, side: Side = "two-sided") -> float:
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

    tail = _tail(confidence, "upper")
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


def bootstrap(
    x: ArrayLike,
    statistic: Callable[..., NDArray],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    method: Literal["bca", "percentile"] = "bca",
) -> Interval:
    """Return a bootstrap interval for a statistic of independent replicates.

    Parameters
    ----------
    x : array_like, shape (n,)
        The replicates, n >= 2.
    statistic : callable
        Vectorised: ``statistic(array, axis=-1)`` reduces the last axis, as `numpy.mean` does.
    rng : numpy.random.Generator
        Source of the resampled indices.
    confidence : float
        Nominal coverage.
    n_resamples : int
        Number of resamples.
    method : {"bca", "percentile"}
        Bias-corrected and accelerated (Efron 1987), or plain percentiles.

    Returns
    -------
    Interval
        A sample without variation gives an interval of width zero.

    Raises
    ------
    ValueError
        If x is not a vector of at least two finite numbers or an option is out of range.

    Examples
    --------
    >>> bootstrap(np.arange(40.0), np.median, np.random.default_rng(1)).estimate
    19.5
    """
    data = _replicates(x)
    tail = _tail(confidence)
    estimate = float(statistic(data, axis=-1))
    draws = np.asarray(statistic(data[_indices(rng, n_resamples, data.size)], axis=-1))
    levels = np.array([tail, 1.0 - tail])
    name = "bootstrap, percentile"
    if method == "bca":
        levels = _bca_levels(data, statistic, estimate, draws, levels)
        name = "bootstrap, BCa"
    low, high = np.quantile(draws, levels)
    return Interval(float(low), estimate, float(high), confidence, name, data.size)


def _replicates(x: ArrayLike) -> FloatArray:
    data = np.asarray(x, dtype=np.float64)
    if data.ndim != 1 or data.size < 2:
        raise ValueError(f"replicates have shape {data.shape}: need a vector of at least two.")
    if not np.isfinite(data).all():
        where = int(np.flatnonzero(~np.isfinite(data))[0])
        raise ValueError(f"replicate {where} is {data[where]}: need finite numbers.")
    return data


def _indices(rng: np.random.Generator, n_resamples: int, n: int) -> NDArray[np.int64]:
    if n_resamples < 2:
        raise ValueError(f"n_resamples = {n_resamples}: need at least two.")
    return rng.integers(n, size=(n_resamples, n))


def _bca_levels(
    data: FloatArray,
    statistic: Callable[..., NDArray],
    estimate: float,
    draws: FloatArray,
    levels: FloatArray,
) -> FloatArray:
    """Return the percentile levels corrected for bias z0 and acceleration a (Efron 1987)."""
    from scipy.special import ndtr, ndtri

    below = np.mean(draws < estimate) + 0.5 * np.mean(draws == estimate)
    floor = 0.5 / draws.size
    z0 = ndtri(np.clip(below, floor, 1.0 - floor))
    keep = ~np.eye(data.size, dtype=bool)
    jackknife = np.asarray(
        statistic(np.tile(data, (data.size, 1))[keep].reshape(data.size, -1), axis=-1)
    )
    deviation = jackknife.mean() - jackknife
    square = float(np.sum(deviation**2))
    acceleration = 0.0 if square == 0.0 else float(np.sum(deviation**3)) / (6.0 * square**1.5)
    z = z0 + ndtri(levels)
    return np.asarray(ndtr(z0 + z / (1.0 - acceleration * z)))


def bootstrap_mean(
    x: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    method: BootstrapMethod = "bca",
) -> Interval:
    """Return a bootstrap interval for the mean of independent replicates.

    Parameters
    ----------
    x : array_like, shape (n,)
        The replicates, n >= 2.
    rng : numpy.random.Generator
        Source of the resampled indices.
    confidence : float
        Nominal coverage.
    n_resamples : int
        Number of resamples.
    method : {"bca", "percentile_t", "percentile"}
        BCa by default. "percentile_t" studentises each resample by its own standard error and
        covers better for few, skewed replicates, at the price of longer intervals (Hall 1988).

    Returns
    -------
    Interval
        Interval for the expected value.

    Raises
    ------
    ValueError
        If x is not a vector of at least two finite numbers or an option is out of range.

    Examples
    --------
    >>> interval = bootstrap_mean([1.0, 2.0, 3.0, 4.0], np.random.default_rng(0))
    >>> interval.low < interval.estimate < interval.high
    True
    """
    if method != "percentile_t":
        return bootstrap(
            x, np.mean, rng, confidence=confidence, n_resamples=n_resamples, method=method
        )
    data = _replicates(x)
    tail = _tail(confidence)
    sample = data[_indices(rng, n_resamples, data.size)]
    mean = float(data.mean())
    error = float(data.std(ddof=1)) / math.sqrt(data.size)
    errors = sample.std(axis=1, ddof=1) / math.sqrt(data.size)
    shift = sample.mean(axis=1) - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(errors > 0.0, shift / errors, np.copysign(np.inf, shift))
    t[(errors == 0.0) & (shift == 0.0)] = 0.0
    t_low, t_high = np.quantile(t, [tail, 1.0 - tail], method="closest_observation")
    low, high = (mean, mean) if error == 0.0 else (mean - t_high * error, mean - t_low * error)
    return Interval(float(low), mean, float(high), confidence, "bootstrap, percentile-t", data.size)


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    method: BootstrapMethod = "bca",
) -> Interval:
    """Return an interval for the mean of a - b, replicate by replicate.

    Replicate i of both samples must have seen the same random numbers (the same instance, the
    same stream); the common part of the noise then cancels.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        Results of two algorithms on the same n replicates.
    rng, confidence, n_resamples, method
        As for `bootstrap_mean`.

    Returns
    -------
    Interval
        Interval for E[a - b].

    Raises
    ------
    ValueError
        If the shapes differ or either sample is unfit.

    Examples
    --------
    >>> noise = np.array([3.0, -1.0, 4.0, 0.5])
    >>> paired_difference(noise + 1.0, noise, np.random.default_rng(0))
    1 [1, 1] (95 %, bootstrap, BCa, paired, n = 4)
    """
    left, right = _replicates(a), _replicates(b)
    if left.size != right.size:
        raise ValueError(f"{left.size} replicates against {right.size}: pairs need equal numbers.")
    interval = bootstrap_mean(
        left - right, rng, confidence=confidence, n_resamples=n_resamples, method=method
    )
    return Interval(
        interval.low,
        interval.estimate,
        interval.high,
        confidence,
        interval.method + ", paired",
        interval.n,
    )


def slope_fit(
    x: ArrayLike,
    y: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    quantile: float | None = None,
    paired: bool = False,
) -> Interval:
    """Return the least-squares slope of y on x, with a bootstrap interval over replicates.

    At each point the replicates are summarised (mean, or a quantile), a line is fitted
    through the summaries, and the fit is repeated on resampled replicates. Callers take logs.

    Parameters
    ----------
    x : array_like, shape (n_points,)
        Abscissae, at least two different ones.
    y : array_like, shape (n_points, n_replicates)
        Ordinates. A value of minus infinity (log of zero) is accepted if the summary is finite.
    rng : numpy.random.Generator
        Source of the resampled indices.
    confidence : float
        Nominal coverage of the percentile interval.
    n_resamples : int
        Number of resamples.
    quantile : float, optional
        Summarise by this quantile; by the mean if None.
    paired : bool
        Replicate i shares its random numbers across the points: resample whole replicates.

    Returns
    -------
    Interval
        Slope in units of y per unit of x; n is the number of replicates.

    Raises
    ------
    ValueError
        If shapes do not fit, x is constant or a summary is not finite.

    Examples
    --------
    >>> x = np.log([10.0, 100.0, 1000.0])
    >>> y = np.stack([-0.5 * x, 1.0 - 0.5 * x], axis=1)
    >>> round(slope_fit(x, y, np.random.default_rng(0), paired=True).estimate, 12)
    -0.5
    """
    abscissa = np.asarray(x, dtype=np.float64)
    values = np.asarray(y, dtype=np.float64)
    if values.ndim == 1:
        values = values[:, None]
    if abscissa.ndim != 1 or values.ndim != 2 or values.shape[0] != abscissa.size:
        raise ValueError(
            f"x has shape {abscissa.shape} and y {values.shape}: need (n_points,) "
            "and (n_points, n_replicates)."
        )
    centred = abscissa - abscissa.mean()
    if not np.any(centred):
        raise ValueError("x is constant: a slope needs two different points.")
    weights = centred / np.sum(centred**2)
    points, n = values.shape
    shape = (n_resamples, 1, n) if paired else (n_resamples, points, n)
    picks = np.broadcast_to(rng.integers(n, size=shape), (n_resamples, points, n))
    resampled = np.take_along_axis(np.broadcast_to(values, picks.shape), picks, axis=2)
    estimate = float(weights @ _summaries(values, quantile))
    slopes = _summaries(resampled, quantile) @ weights
    tail = _tail(confidence)
    low, high = np.quantile(slopes, [tail, 1.0 - tail])
    return Interval(
        float(low), estimate, float(high), confidence, "least squares, bootstrap of replicates", n
    )


def _summaries(values: FloatArray, quantile: float | None) -> FloatArray:
    if quantile is None:
        summary = values.mean(axis=-1)
    else:
        summary = np.quantile(values, quantile, axis=-1, method="higher")
    if not np.isfinite(summary).all():
        raise ValueError(
            "a summary of the replicates is not finite: use a higher quantile, or "
            "more replicates, or drop the points where the quantity is zero."
        )
    return np.asarray(summary)
