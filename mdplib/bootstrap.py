r"""Bootstrap intervals for means, slopes and differences.

Problem
-------
A simulation gives n independent replicates; what may be said about a mean, a growth rate or the
difference of two algorithms?

Algorithm
---------
Means: the bootstrap, either bias-corrected and accelerated (BCa) or studentised (percentile-t).
With z0 the normal score of the share of resampled statistics below the estimate and a the
acceleration from the jackknife values t_i, whose mean is t,

    a = sum (t - t_i)^3 / (6 (sum (t - t_i)^2)^{3/2}),                                     (1)
    level(alpha) = Phi(z0 + (z0 + z_alpha) / (1 - a (z0 + z_alpha))).                      (2)

Slopes: least squares through the summaries of the replicates at each point, the interval from
percentiles over resampled replicates.

Guarantee
---------
Asymptotic coverage; the error of BCa and percentile-t is of order 1/n.

Cost
----
One vectorised pass over (n_resamples, n) indices, and n jackknife values for BCa.

Deviations
----------
Resampled statistics equal to the estimate count half in z0.

References
----------
Efron (1987), JASA 82, 171-185. Hall (1988), Annals of Statistics 16, 927-953.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.intervals import Interval, tail_error

BootstrapMethod = Literal["bca", "percentile_t", "percentile"]
FloatArray = NDArray[np.float64]
CHUNK = 5_000_000


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
    tail = tail_error(confidence)
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
    jackknife = _jackknife(data, statistic)
    deviation = jackknife.mean() - jackknife
    square = float(np.sum(deviation**2))
    acceleration = (
        0.0 if square == 0.0 else float(np.sum(deviation**3)) / (6.0 * square**1.5)
    )  # (1)
    z = z0 + ndtri(levels)
    return np.asarray(ndtr(z0 + z / (1.0 - acceleration * z)))  # (2)


def _jackknife(data: FloatArray, statistic: Callable[..., NDArray]) -> FloatArray:
    """Return the statistic without each replicate in turn, in blocks of bounded memory."""
    kept = np.arange(data.size - 1)
    block = max(1, CHUNK // data.size)
    values = []
    for start in range(0, data.size, block):
        left_out = np.arange(start, min(start + block, data.size))[:, None]
        values.append(statistic(data[kept + (kept >= left_out)], axis=-1))
    return np.concatenate(values)


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
    tail = tail_error(confidence)
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
    tail = tail_error(confidence)
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
