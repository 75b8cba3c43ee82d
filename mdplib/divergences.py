r"""Divergences between probability laws, and the closed forms they lead to.

Half the L1 distance, relative entropy and Pearson's chi-square without a factor::

    tv    D(q || p) = 1/2 sum |q - p|
    kl    D(q || p) = sum q log(q / p)
    chi2  D(q || p) = sum (q - p)^2 / p

KL and chi-square are infinite unless q vanishes where p does.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError

Divergence = Literal["tv", "kl", "chi2"]
NAMES: tuple[str, ...] = get_args(Divergence)
Floats = NDArray[np.float64]


def check_name(divergence: object) -> None:
    """Refuse an unknown divergence."""
    if divergence not in NAMES:
        raise InvalidModelError(f"divergence is {divergence!r}; one of {', '.join(NAMES)} expected")


def distance(divergence: Divergence, q: ArrayLike, p: ArrayLike) -> Floats:
    """Return D(q || p) along the last axis.

    Parameters
    ----------
    divergence : {"tv", "kl", "chi2"}
        Which one.
    q, p : (..., S) array
        Laws; they are broadcast against each other.

    Returns
    -------
    (...) float64
        In nats for "kl".

    Examples
    --------
    >>> [round(float(distance(d, [0.5, 0.5], [0.2, 0.8])), 6) for d in ("tv", "kl", "chi2")]
    [0.3, 0.223144, 0.5625]
    >>> float(distance("kl", [0.5, 0.5], [1.0, 0.0]))
    inf
    """
    check_name(divergence)
    q, p = np.broadcast_arrays(np.asarray(q, float), np.asarray(p, float))
    if divergence == "tv":
        return np.asarray(0.5 * np.abs(q - p).sum(-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        if divergence == "chi2":
            terms = np.where(q == p, 0.0, (q - p) ** 2 / p)
        else:  # every term is at least 0, so nothing cancels in the sum
            change = (q - p) / p
            log = np.where(change < -0.5, np.log(q / p), np.log1p(change))
            terms = np.where(q > 0, np.maximum(q * log - (q - p), 0.0), p)
            terms = np.where((p == 0) & (q > 0), np.inf, terms)
    return np.asarray(terms.sum(-1))


def saturation(divergence: Divergence, p: ArrayLike, V: ArrayLike) -> Floats:
    """Return the radius from which on a ball lets the adversary reach the least value.

    Parameters
    ----------
    divergence : {"tv", "kl", "chi2"}
        Which one.
    p : (..., S) array
        Nominal laws.
    V : (S,) array
        Values; the least one over all states for "tv", over the support of p for the others.

    Returns
    -------
    (...) float64
        ``1 - m``, ``-log m``, ``1/m - 1`` with m the mass of the least value.

    Examples
    --------
    >>> [float(saturation(d, [0.25, 0.75], [0.0, 1.0]).round(6)) for d in ("tv", "kl", "chi2")]
    [0.75, 1.386294, 3.0]
    """
    check_name(divergence)
    law, worth = np.asarray(p, float), np.asarray(V, float)
    law = law / law.sum(-1, keepdims=True)
    if divergence != "tv":
        worth = np.where(law > 0, worth, np.inf)
    least = np.where(worth == np.min(worth, -1, keepdims=True), law, 0.0).sum(-1)
    if divergence == "tv":
        return np.asarray(1 - least)
    return np.asarray(-np.log(least) if divergence == "kl" else 1 / least - 1)


def two_point(divergence: Divergence, low: float, v: float, price: float) -> tuple[float, float]:
    """Return the penalised worst case of a law on two points, in closed form.

    The nominal law gives 0 with probability `low` and v with probability 1 - low::

        tv    (1 - low) min(v, price)
        kl    -price log(low + (1 - low) exp(-v / price))
        chi2  (1 - low) v - low (1 - low) v^2 / (4 price)    if low v <= 2 price,
              price (1 - low) / low                          otherwise

    Parameters
    ----------
    divergence : {"tv", "kl", "chi2"}
        Which one.
    low : float
        Probability of the value 0, in (0, 1).
    v : float
        The other value, > 0.
    price : float
        Price per unit of divergence, > 0.

    Returns
    -------
    value, tilted : float
        The infimum, and the probability of 0 that attains it.

    Raises
    ------
    InvalidModelError
        If an argument is out of range.

    Examples
    --------
    >>> two_point("tv", 0.25, 1.0, 0.5)
    (0.375, 1.0)
    """
    check_name(divergence)
    for name, x, top in (("low", low, 1.0), ("v", v, np.inf), ("price", price, np.inf)):
        if not 0 < x < top:
            raise InvalidModelError(f"{name} is {x}; a number between 0 and {top:g} expected")
    high = 1 - low
    if divergence == "tv":
        return high * min(v, price), 1.0 if v > price else low
    if divergence == "kl":
        less = np.exp(-v / price)
        mass = low + high * less
        return float(-price * np.log(mass)), float(low / mass)
    if low * v <= 2 * price:
        return high * v - low * high * v * v / (4 * price), low + low * high * v / (2 * price)
    return price * high / low, 1.0
