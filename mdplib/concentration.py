r"""Radii of deviation for independent samples: pure formulas, constants explicit.

Problem
-------
n independent samples X_i in an interval of length `range`, or n draws of a letter from an
alphabet of S: how far can the empirical mean, or the empirical distribution, be from the truth,
except with probability delta?

Algorithm
---------
Each function solves the tail bound of its source for the radius. `sides` is 1 or 2 and divides
delta by the number of tails.

    Hoeffding            range * sqrt(log(sides / delta) / (2 n))                          (1)
    Weissman et al.      sqrt(2 (log(2^S - 2) + log(1 / delta)) / n)        (L1 distance)  (2)
    Bernstein            sqrt(2 var L / n) + range L / (3 n),      L = log(sides / delta)  (3)
    empirical Bernstein  sqrt(2 s^2 L / n) + 7 range L / (3 (n - 1)),
                         L = log(2 sides / delta), s^2 with n - 1 in its denominator       (4)

Guarantee
---------
The deviation exceeds the radius with probability at most delta, for every n >= 1 (n >= 2 in (4)).

Cost
----
Constant.

Deviations
----------
None. Texts differ: (3) with 2/3 in place of 1/3 comes from inverting the quadratic crudely, and
(4) is one-sided in its source, so two sides need 4 / delta.

References
----------
Hoeffding (1963), JASA 58, 13-30, theorem 2. Weissman, Ordentlich, Seroussi, Verdu and Weinberger
(2003), Inequalities for the L1 deviation of the empirical distribution, HP Labs HPL-2003-97.
Boucheron, Lugosi and Massart (2013), Concentration Inequalities, theorem 2.10.
Maurer and Pontil (2009), Empirical Bernstein bounds and sample variance penalization, COLT,
theorem 4.
"""

from __future__ import annotations

import math
from typing import Literal

__all__ = [
    "bernstein_radius",
    "empirical_bernstein_radius",
    "hoeffding_radius",
    "hoeffding_sample_size",
    "l1_radius",
    "l1_sample_size",
]

Sides = Literal[1, 2]


def _check(n: int, delta: float, scale: float, least: int = 1) -> None:
    if n < least:
        raise ValueError(f"n = {n} samples: need at least {least}.")
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta = {delta}: need a probability strictly between 0 and 1.")
    if not scale >= 0.0:
        raise ValueError(f"range, variance or radius {scale}: must not be negative.")


def hoeffding_radius(range: float, n: int, delta: float, *, sides: Sides = 2) -> float:
    """Return Hoeffding's radius for the mean of n bounded samples.

    Parameters
    ----------
    range : float
        Length of the interval that contains every sample, in the unit of the samples.
    n : int
        Number of samples.
    delta : float
        Probability of exceeding the radius.
    sides : {1, 2}
        Deviations in one direction or in both.

    Returns
    -------
    float
        The radius, in the unit of the samples; equation (1) of the module.

    Raises
    ------
    ValueError
        If n < 1, delta is not in (0, 1) or range is negative.

    Examples
    --------
    >>> round(hoeffding_radius(1.0, 1000, 0.05), 6)
    0.042947
    """
    _check(n, delta, range)
    return range * math.sqrt(math.log(sides / delta) / (2.0 * n))  # (1)


def hoeffding_sample_size(range: float, radius: float, delta: float, *, sides: Sides = 2) -> int:
    """Return the least n whose Hoeffding radius is at most `radius`.

    Parameters
    ----------
    range : float
        Length of the interval that contains every sample.
    radius : float
        Wanted accuracy, positive, in the unit of the samples.
    delta : float
        Probability of exceeding the radius.
    sides : {1, 2}
        Deviations in one direction or in both.

    Returns
    -------
    int
        Number of samples.

    Raises
    ------
    ValueError
        If radius is not positive, delta is not in (0, 1) or range is negative.

    Examples
    --------
    >>> hoeffding_sample_size(1.0, 0.05, 0.05)
    738
    """
    _check(1, delta, range)
    if not radius > 0.0:
        raise ValueError(f"radius = {radius}: need a positive accuracy.")
    n = max(1, math.floor((range / radius) ** 2 * math.log(sides / delta) / 2.0))  # (1)
    while hoeffding_radius(range, n, delta, sides=sides) > radius:
        n += 1
    return n


def l1_radius(n_letters: int, n: int, delta: float) -> float:
    """Return the L1 radius of an empirical distribution.

    Parameters
    ----------
    n_letters : int
        Size S of the alphabet.
    n : int
        Number of samples.
    delta : float
        Probability that the L1 distance exceeds the radius.

    Returns
    -------
    float
        The radius (not halved), equation (2) of the module, at most 2; 0 for one letter.

    Raises
    ------
    ValueError
        If n < 1, n_letters < 1 or delta is not in (0, 1).

    Examples
    --------
    >>> round(l1_radius(2, 1000, 0.05), 6)
    0.085894
    """
    _check(n, delta, 0.0)
    if n_letters < 1:
        raise ValueError(f"n_letters = {n_letters}: need at least one letter.")
    if n_letters == 1:
        return 0.0
    return min(2.0, math.sqrt(2.0 * (_log_subsets(n_letters) - math.log(delta)) / n))  # (2)


def _log_subsets(n_letters: int) -> float:
    """Return log(2^S - 2), the log of the number of proper non-empty subsets."""
    return n_letters * math.log(2.0) + math.log1p(-(2.0 ** (1 - n_letters)))


def l1_sample_size(n_letters: int, radius: float, delta: float) -> int:
    """Return the least n whose L1 radius is at most `radius`.

    Parameters
    ----------
    n_letters : int
        Size S of the alphabet, at least 2.
    radius : float
        Wanted L1 distance, in (0, 2).
    delta : float
        Probability of exceeding it.

    Returns
    -------
    int
        Number of samples.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> l1_sample_size(2, 0.1, 0.05)
    738
    """
    _check(1, delta, radius)
    if n_letters < 2 or not 0.0 < radius < 2.0:
        raise ValueError(
            f"n_letters = {n_letters}, radius = {radius}: need two letters or more "
            "and a radius strictly between 0 and 2."
        )
    n = max(1, math.floor(2.0 * (_log_subsets(n_letters) - math.log(delta)) / radius**2))  # (2)
    while l1_radius(n_letters, n, delta) > radius:
        n += 1
    return n


def bernstein_radius(
    variance: float, range: float, n: int, delta: float, *, sides: Sides = 2
) -> float:
    """Return Bernstein's radius for the mean of n bounded samples of known variance.

    Parameters
    ----------
    variance : float
        Variance of one sample, squared unit of the samples.
    range : float
        Length of the interval that contains every sample.
    n : int
        Number of samples.
    delta : float
        Probability of exceeding the radius.
    sides : {1, 2}
        Deviations in one direction or in both.

    Returns
    -------
    float
        The radius, in the unit of the samples; equation (3) of the module.

    Raises
    ------
    ValueError
        If n < 1, delta is not in (0, 1), or variance or range is negative.

    Examples
    --------
    >>> round(bernstein_radius(0.01, 1.0, 1000, 0.05), 6)
    0.009819
    """
    _check(n, delta, min(variance, range))
    log = math.log(sides / delta)
    return math.sqrt(2.0 * variance * log / n) + range * log / (3.0 * n)  # (3)


def empirical_bernstein_radius(
    sample_variance: float, range: float, n: int, delta: float, *, sides: Sides = 2
) -> float:
    """Return the radius of Maurer and Pontil, from the variance seen in the sample.

    Parameters
    ----------
    sample_variance : float
        Sample variance with n - 1 in its denominator, squared unit of the samples.
    range : float
        Length of the interval that contains every sample.
    n : int
        Number of samples, at least 2.
    delta : float
        Probability of exceeding the radius.
    sides : {1, 2}
        Deviations in one direction or in both.

    Returns
    -------
    float
        The radius, in the unit of the samples; equation (4) of the module.

    Raises
    ------
    ValueError
        If n < 2, delta is not in (0, 1), or variance or range is negative.

    Examples
    --------
    >>> round(empirical_bernstein_radius(0.01, 1.0, 1000, 0.05), 6)
    0.019597
    """
    _check(n, delta, min(sample_variance, range), least=2)
    log = math.log(2.0 * sides / delta)
    return math.sqrt(2.0 * sample_variance * log / n) + 7.0 * range * log / (3.0 * (n - 1))  # (4)
