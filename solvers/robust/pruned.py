r"""Sweeps over very many samples: whole chunks are ruled out before they are looked at.

Problem       The global maxima of `solvers.robust.inner`'s chi-square penalty and TV ball for m
              values, without the d x m signed weights.
Algorithm     Chunks of 512 neighbouring values. With the sums of phi, phi v and phi v**2 of each
              chunk, m1 and m2 are known at its ends. Inside, at a in [l, r],
              ``|m1(a) - (first + rest a)| <= (r - l) U``,
              ``|m2(a) - (second + rest a**2)| <= (r**2 - l**2) U``,
              ``U_i = sum_k |Lambda^-1|_ik (sum of phi in the chunk)_k``,                        (1)
              which bounds the dual on the chunk. Chunks whose bound exceeds the best value at an
              end are swept; three atoms with the same sums stand for all other samples.         (2)
Guarantee     The same maxima, up to rounding. Features must be nonnegative.
Cost          O(m d) for the sums, O(d**2) per chunk, and the sweeps of the few chunks left.
Deviations    None.
References    None; the bounds are elementary.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from solvers.robust.regression import Fit

Floats = NDArray[np.float64]
Sweep = Callable[[Floats, Floats, Floats, float, float, Floats, Floats], None]
CHUNK = 512


def chi2_value(m1: Floats, m2: Floats, c: Floats, top: float) -> Floats:
    """Return the penalised dual at given moments, clipped if `top` is finite."""
    if top < np.inf:
        m1, m2 = np.clip(m1, 0.0, top), np.clip(m2, 0.0, top * top)
    return m1 + (m1 * m1 - m2) / (4.0 * c)


def maxima(
    fit: Fit,
    v: Floats,
    strength: Floats,
    low: float,
    sweep: Sweep,
    *,
    top: float,
    floor: float | None,
) -> Floats:
    """Return the maxima over [low, max v] of the chi-square penalty, or of the TV ball.

    Parameters
    ----------
    fit : Fit
        Regression with nonnegative sums of features.
    v : (m,) float64
        Values in the order of ``fit.step.mass``, at least `low` >= 0.
    strength : (d,) float64
        Penalties, or radii of the ball.
    low : float
        Least threshold.
    sweep : callable
        Takes weights, sorted values, strengths, range, and two arrays for the results.
    top : float
        Upper end of the clip of moments; infinite for none.
    floor : float, optional
        Least value of the TV ball; None for the chi-square penalty.
    """
    order = np.argsort(v)
    v, mass = v[order], fit.step.mass[order]
    first, second, rest, bound, left, right = _ends(fit, v, mass, low)
    lower, upper = _bounds(first, second, rest, bound, left, right, strength, top, floor)
    best = lower.max(axis=0)
    for k in np.flatnonzero((upper > best).any(axis=1)):
        rows = np.flatnonzero(upper[k] > best)
        inside = slice(k * CHUNK, min((k + 1) * CHUNK, v.size))
        weight = fit.inverse[rows] @ mass[inside].T
        found = _sweep_chunk(
            weight, v[inside], first[k, rows], second[k, rows], rest[k, rows], strength[rows],
            float(left[k, 0]), float(right[k, 0]), sweep,
        )  # fmt: skip
        best[rows] = np.maximum(best[rows], found)
    return best


def _ends(fit: Fit, v: Floats, mass: Floats, low: float) -> tuple[Floats, ...]:
    """Return moments at the left end of each chunk, (C, d), U of (1), and the ends, (C, 1)."""
    starts = np.arange(0, v.size, CHUNK)
    powers = np.stack([np.ones_like(v), v, v * v])
    sums = np.empty((starts.size, 3, mass.shape[1]))
    for k, first in enumerate(starts):
        part = slice(first, first + CHUNK)
        sums[k] = powers[:, part] @ mass[part]
    bound = sums[:, 0] @ np.abs(fit.inverse)  # (1)
    moved = sums @ fit.inverse
    before = np.cumsum(moved, axis=0) - moved
    rest = moved[:, 0].sum(axis=0) - before[:, 0]
    left = np.maximum(low, np.append(low, v[starts[1:] - 1]))
    right = np.append(v[starts[1:] - 1], v[-1])
    return before[:, 1], before[:, 2], rest, bound, left[:, None], right[:, None]


def _bounds(
    first: Floats,
    second: Floats,
    rest: Floats,
    bound: Floats,
    left: Floats,
    right: Floats,
    c: Floats,
    top: float,
    floor: float | None,
) -> tuple[Floats, Floats]:
    """Return values at the left ends and upper bounds on the chunks, (C, d)."""
    slack1, slack2 = (right - left) * bound, (right**2 - left**2) * bound
    if floor is not None:
        at = first + rest * left - c * np.maximum(left - floor, 0.0)
        end = first + rest * right - c * np.maximum(right - floor, 0.0)
        kink = first + rest * np.clip(floor, left, right)
        upper = np.maximum(
            np.maximum(at, end), np.where((left < floor) & (floor < right), kink, at)
        )
        return at, upper + slack1 + 1e-12 * (1.0 + np.abs(upper))
    low1, high1 = first + rest * left, first + rest * right
    low2, high2 = second + rest * left**2, second + rest * right**2
    at = chi2_value(low1, low2, c, top)
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (first + 2.0 * c) / (1.0 - rest)
    a = np.clip(np.where(np.isfinite(a), a, left), left, right)
    plain = np.maximum(chi2_value(low1, low2, c, np.inf), chi2_value(high1, high2, c, np.inf))
    plain = np.maximum(plain, chi2_value(first + rest * a, second + rest * a * a, c, np.inf))
    size = np.maximum(np.abs(low1), np.abs(high1)) + slack1
    upper = plain + slack1 * (1.0 + size / (2.0 * c)) + slack2 / (4.0 * c)
    if top < np.inf:
        most = np.clip(np.maximum(low1, high1) + slack1, 0.0, top)
        least = np.clip(np.minimum(low2, high2) - slack2, 0.0, top * top)
        crude = most + (most * most - least) / (4.0 * c)
        inside = (np.minimum(low1, high1) >= slack1) & (np.maximum(low1, high1) + slack1 <= top)
        inside &= np.minimum(low2, high2) >= slack2
        inside &= np.maximum(low2, high2) + slack2 <= top * top
        upper = np.where(inside, np.minimum(upper, crude), crude)
    return at, upper + 1e-12 * (1.0 + np.abs(upper))


def _sweep_chunk(
    weight: Floats,
    v: Floats,
    first: Floats,
    second: Floats,
    rest: Floats,
    strength: Floats,
    left: float,
    right: float,
    sweep: Sweep,
) -> Floats:
    """Sweep one chunk; atoms at -left, left and beyond stand for the samples outside it."""
    if left > 0:
        one, two = first / left, second / left**2
        outside = np.column_stack([(two - one) / 2, (two + one) / 2])
    else:
        outside = np.zeros((weight.shape[0], 2))
    later = rest - weight.sum(axis=1)
    atoms = np.column_stack([outside, weight, later])  # (2)
    values = np.concatenate([[-left, left], v, [right + 1.0]])
    out, point = np.empty(strength.size), np.empty(strength.size)
    sweep(np.ascontiguousarray(atoms), values, strength, left, right, out, point)
    return out
