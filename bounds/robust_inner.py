r"""Worst expected values in plain numpy: penalties and balls of three divergences.

Problem
-------
p is a distribution on S points, V a vector. How small can an adversary make the mean of V by
moving from p to q, if it pays strength * D(q || p), or if D(q || p) <= strength? D is the total
variation (half the sum of absolute differences; q may leave the support of p), the
Kullback-Leibler divergence or chi-square, sum (q - p)^2 / p.

Algorithm
---------
Penalty lambda, with [V]_a = min(V, a):

    tv    E_p [V]_a at a = min V + lambda,                                                  (1)
    kl    -lambda log E_p exp(-V / lambda),                                                 (2)
    chi2  E_p [V]_a - Var_p [V]_a / (4 lambda) where E_p (a - V)_+ = 2 lambda.              (3)

The level of (3) is the smallest of the levels (2 lambda + E_p V 1{V <= v}) / P(V <= v) over the
points v of the support, since leaving points out of E_p (a - V)_+ only raises the level needed.
Ball of radius rho:

    tv    max over the points a of V of E_p [V]_a - rho (a - min V),                        (4)
    kl    max over t > 0 of -log(E_p exp(-t V)) / t - rho / t,                              (5)
    chi2  max over a of E_p [V]_a - sqrt(rho Var_p [V]_a).                                  (6)

(5) and (6) are found by bisection on the divergence of the tilted law, which is monotone.

Guarantee
---------
Floating point; where a bisection ends the objective is stationary, so its error is of second
order. The tests hold the values against a conic solver and against the library's own duals.

Cost
----
O(S^2) per row for (3) and (4), 50 evaluations for (5) and (6).

Deviations
----------
Written for clarity and as a second opinion: `mdplib.robust` is the implementation to use.

References
----------
tang2025, liu2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bounds.model import Array

Divergence = Literal["tv", "kl", "chi2"]
Mode = Literal["penalty", "ball"]
DIVERGENCES: tuple[Divergence, ...] = ("tv", "kl", "chi2")
HALVINGS = 50


@dataclass(frozen=True)
class Ambiguity:
    """What the adversary may do, the same at every step and for every factor.

    Parameters
    ----------
    divergence : {"tv", "kl", "chi2"}
        How far q is from p.
    mode : {"penalty", "ball"}
        Whether the distance is paid for or limited.
    strength : float
        Price per unit (0 < lambda <= inf), or the radius (rho >= 0).

    Examples
    --------
    >>> p, V = np.array([0.2, 0.3, 0.5]), np.array([0.0, 1.0, 3.0])
    >>> [round(float(Ambiguity(D, "penalty", 0.5).value(p, V)), 8) for D in DIVERGENCES]
    [0.4, 0.70973954, 1.04]
    >>> [round(float(Ambiguity(D, "ball", 0.2).value(p, V)), 6) for D in ("tv", "kl")]
    [1.2, 1.013239]
    """

    divergence: Divergence
    mode: Mode
    strength: float

    def value(self, p: Array, V: Array) -> Array:
        """Return the worst mean of V for each row of p.

        Parameters
        ----------
        p : (..., S) float64
            Distributions.
        V : (S,) float64
            Values.

        Returns
        -------
        (...) float64
            Including the price paid, for a penalty.
        """
        function = penalty if self.mode == "penalty" else ball
        return function(self.divergence, p, V, self.strength)

    def worst(self, p: Array, V: Array) -> Array:
        """Return a minimiser for each row of p.

        Parameters
        ----------
        p : (..., S) float64
            Distributions.
        V : (S,) float64
            Values.

        Returns
        -------
        (..., S) float64
            Distributions.
        """
        if self.mode == "penalty":
            return tilt(self.divergence, p, V, self.strength)
        return ball_tilt(self.divergence, p, V, self.strength)


def divergence(name: Divergence, q: Array, p: Array) -> Array:
    """Return D(q || p) for each row.

    Parameters
    ----------
    name : {"tv", "kl", "chi2"}
        The divergence.
    q, p : (..., S) float64
        Distributions; for "kl" and "chi2" q vanishes where p does.

    Returns
    -------
    (...) float64
        The divergences.
    """
    if name == "tv":
        return 0.5 * np.abs(q - p).sum(-1)
    if name == "kl":
        ratio = np.where(q > 0, q, 1.0) / np.where(q > 0, np.where(p > 0, p, 1.0), 1.0)
        return (q * np.log(ratio)).sum(-1)
    return ((q - p) ** 2 / np.where(p > 0, p, 1.0)).sum(-1)


def penalty(name: Divergence, p: Array, V: Array, strength: float) -> Array:
    """Return min over q of E_q V + strength * D(q || p).

    Parameters
    ----------
    name : {"tv", "kl", "chi2"}
        The divergence.
    p : (..., S) float64
        Distributions.
    V : (S,) float64
        Values.
    strength : float
        Positive; inf gives the mean.

    Returns
    -------
    (...) float64
        The values.
    """
    if np.isinf(strength):
        return p @ V
    if name == "tv":
        return p @ np.minimum(V, V.min() + strength)  # (1)
    if name == "kl":
        return _log_mean(p, V, 1.0 / strength)  # (2)
    cut = np.minimum(V, _level(p, V, strength)[..., None])
    mean = (p * cut).sum(-1)
    variance = (p * (cut - mean[..., None]) ** 2).sum(-1)
    return mean - variance / (4.0 * strength)  # (3)


def tilt(name: Divergence, p: Array, V: Array, strength: float) -> Array:
    """Return the minimiser of `penalty`: arguments as there, result (..., S)."""
    if np.isinf(strength):
        return np.array(p)
    if name == "tv":
        return _moved(p, V, p * (V.min() + strength < V))
    if name == "kl":
        return _exponential(p, V, 1.0 / strength)
    level = _level(p, V, strength)[..., None]
    q = p * np.maximum(level - V, 0.0)
    return q / q.sum(-1, keepdims=True)


def ball(name: Divergence, p: Array, V: Array, radius: float) -> Array:
    """Return min of E_q V over D(q || p) <= radius: arguments as `penalty`."""
    if radius == 0:
        return p @ V
    if name == "tv":
        cut = np.minimum(V, V[:, None])
        return (p @ cut.T - radius * (V - V.min())).max(-1)  # (4)
    if np.ptp(V) == 0:
        return p @ V
    scale = _scale(name, p, V, radius)
    if name == "kl":
        return _log_mean(p, V, 1.0 / scale) - radius * scale  # (5)
    lowest = _lowest(p, V)
    cut = np.minimum(V - lowest[..., None], scale[..., None])
    mean = (p * cut).sum(-1)
    variance = (p * (cut - mean[..., None]) ** 2).sum(-1)
    return lowest + mean - np.sqrt(radius * variance)  # (6)


def ball_tilt(name: Divergence, p: Array, V: Array, radius: float) -> Array:
    """Return the minimiser of `ball`: arguments as there, result (..., S)."""
    if radius == 0 or np.ptp(V) == 0:
        return np.array(p)
    if name == "tv":
        order = np.argsort(-V, kind="stable")
        sorted_p = np.take(p, order, axis=-1)
        before = np.cumsum(sorted_p, axis=-1) - sorted_p
        taken = np.clip(radius - before, 0.0, sorted_p)
        moved = np.empty_like(taken)
        moved[..., order] = taken
        return _moved(p, V, moved)
    return _tilted(name, p, V, _scale(name, p, V, radius))


def _lowest(p: Array, V: Array) -> Array:
    """Return the least value on the support of each row."""
    return np.where(p > 0, V, np.inf).min(-1)


def _moved(p: Array, V: Array, taken: Array) -> Array:
    """Return p with the mass `taken` moved to the least value."""
    q = p - taken
    q[..., int(np.argmin(V))] += taken.sum(-1)
    return q


def _weights(p: Array, V: Array, rate: Array | float) -> Array:
    """Return p exp(-rate (V - lowest)), zero off the support."""
    above = np.where(p > 0, V - _lowest(p, V)[..., None], 0.0)
    return p * np.exp(-np.asarray(rate)[..., None] * above)


def _log_mean(p: Array, V: Array, rate: Array | float) -> Array:
    return _lowest(p, V) - np.log(_weights(p, V, rate).sum(-1)) / rate


def _exponential(p: Array, V: Array, rate: Array | float) -> Array:
    weights = _weights(p, V, rate)
    return weights / weights.sum(-1, keepdims=True)


def _level(p: Array, V: Array, strength: float) -> Array:
    """Return a with E_p (a - V)_+ = 2 strength."""
    inside = V[None, :] <= V[:, None]
    mass = p @ inside.T
    above = mass > 0
    levels = (2.0 * strength + (p * V) @ inside.T) / np.where(above, mass, 1.0)
    return np.where(above, levels, np.inf).min(-1)


def _tilted(name: Divergence, p: Array, V: Array, scale: Array) -> Array:
    if name == "kl":
        return _exponential(p, V, 1.0 / scale)
    q = p * np.maximum(scale[..., None] - (V - _lowest(p, V)[..., None]), 0.0)
    return q / q.sum(-1, keepdims=True)


def _scale(name: Divergence, p: Array, V: Array, radius: float) -> Array:
    """Return the scale at which the tilted law lies at the radius: the larger, the closer to p."""
    middle = np.log(np.ptp(V))
    low, high = np.full(p.shape[:-1], middle - 30.0), np.full(p.shape[:-1], middle + 30.0)
    for _ in range(HALVINGS):
        half = 0.5 * (low + high)
        far = divergence(name, _tilted(name, p, V, np.exp(half)), p) > radius
        low, high = np.where(far, half, low), np.where(far, high, half)
    return np.exp(high)
