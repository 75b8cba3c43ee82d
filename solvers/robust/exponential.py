r"""The Kullback-Leibler ball on regression weights: a certified one-dimensional search.

Problem       ``nu_i = max over lambda in [low, high] of
              -lambda log max(x_i(1/lambda), exp(-cap/lambda)) - lambda radius_i``,              (1)
              ``x_i(t) = c_i + sum_j A_ij exp(-t v_j)`` with signed weights A: not concave.
Algorithm     ``t = 1/lambda`` is cut into windows of half width 1/(2 R), R the range of v. On each,
              x - 1 is replaced by its Taylor polynomial of degree 12 about the centre, all
              coordinates in one matrix product.                                                 (2)
              Branch and bound on the polynomials, see `mdplib._kernels.exponential_duals`.
Guarantee     The maximum over [low, high] is missed by at most `gap` (usually 1e-10 of the
              range); the remainder ``sum_j |A_ij| exp(-t v_j) (R half)**13 / 13!`` is included. (3)
              Where no weight is negative they are a law, the dual is concave, and
              `mdplib.robust` solves it over all lambda > 0.
Cost          O(W 13 m d) for W = R / low windows, independent of the number of dual evaluations.
Deviations    `low` is positive: with signed weights the supremum over all lambda > 0 is
              meaningless (one negative weight on the least value gives `cap`). A restricted
              range makes the robust value smaller, hence is sound. The default R / log(2 + n) is
              where ``exp(-R/lambda)`` falls below what n samples resolve.
References    Hu and Hong (2013) for the dual; Ma et al. (2022) for its regression.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels
from mdplib.robust import Rows, solve_rows

Floats = NDArray[np.float64]
_DEGREE = 12
_DEPTH = 30.0  # exp(-30) is about 1e-13: below, the floor would drown in rounding


def least_multiplier(spread: float, n: int) -> float:
    """Return the default lower end of the dual variable for values of range `spread`.

    Examples
    --------
    >>> round(least_multiplier(2.0, 1000), 4)
    0.2894
    """
    return spread / math.log(2 + n)


def kl_ball(
    weight: Floats,
    missing: Floats,
    v: Floats,
    radius: Floats,
    *,
    base: float,
    cap: float,
    low: float,
) -> tuple[Floats, Floats, Floats]:
    """Return the maxima (1), the multipliers where they are attained, and bounds on the miss.

    Parameters
    ----------
    weight : (d, m) float64
        Signed regression weights.
    missing : (d,) float64
        ``x(0) - 1``: what `weight` and the constant c together lack to sum to one, with the sign
        of an excess.
    v : (m,) float64
        Values, at least `base`.
    radius : (d,) float64
        Radii, positive.
    base : float
        Value that is subtracted before exponentials are taken.
    cap : float
        Largest possible value.
    low : float
        Least multiplier allowed, in units of value; raised to ``(cap - base) / 30``.

    Returns
    -------
    value, multiplier, gap : (d,) float64
        In units of value.
    """
    z = v - base
    spread, room = float(z.max(initial=0.0)), cap - base
    if room <= 0:
        d = radius.size
        return np.full(d, float(base)), np.full(d, low), np.zeros(d)
    low = max(low, room / _DEPTH)
    last, first = 1.0 / low, min(1.0 / low, float(radius.min()) / room)
    half = 0.5 * (last - first) or 0.5 * last
    count = 1
    if spread > 0:
        count = max(1, math.ceil((last - first) * spread))
        half = 0.5 * (last - first) / count or 1e-12 * last
    centre = np.asarray(first + half * (2.0 * np.arange(count) + 1.0), dtype=np.float64)
    taylor, error = _enclose(weight, missing, z, centre, half)
    value, point, gap = (np.empty(radius.size) for _ in range(3))
    slack = 1e-10 * max(room, 1e-300)
    _kernels.exponential_duals.kl_ball(
        taylor, error, centre, half, base, room, radius, slack, value, point, gap
    )  # (1)
    return value, 1.0 / point, gap


def _enclose(
    weight: Floats, missing: Floats, z: Floats, centre: Floats, half: float
) -> tuple[Floats, Floats]:
    """Return Taylor coefficients of x - 1 on every window, and bounds on the remainders."""
    d, m = weight.shape
    taylor, error = np.empty((centre.size, d, _DEGREE + 1)), np.empty((centre.size, d))
    size = np.abs(weight)
    powers = np.empty((m, _DEGREE + 1))
    tail = half ** (_DEGREE + 1) / math.factorial(_DEGREE + 1)
    for w, t in enumerate(centre):
        decay = np.exp(-t * z)
        powers[:, 0] = np.expm1(-t * z)
        term = decay
        for n in range(1, _DEGREE + 1):
            term = term * (-z / n)
            powers[:, n] = term
        taylor[w] = weight @ powers  # (2)
        taylor[w, :, 0] += missing
        late = np.exp(-(t - half) * z) * z ** (_DEGREE + 1)
        error[w] = size @ late * tail + 1e-15 * (size @ decay + np.abs(missing))  # (3)
    return taylor, error


def law_ball(weight: Floats, rest: Floats | None, v: Floats, radius: Floats, cap: float) -> Floats:
    """Return the ball's values for nonnegative weights, by the exact solver for laws.

    Parameters
    ----------
    weight : (r, m) float64
        Nonnegative weights.
    rest : (r,) float64, optional
        Mass of a further atom of value 0 (the shrunk target); without it the weights are divided
        by their sum B and the radius becomes ``radius + log B`` (the paper's target).
    v : (m,) float64
        Values.
    radius : (r,) float64
        Radii.
    cap : float
        Largest value; the answer where the radius becomes negative.
    """
    total = weight.sum(axis=1)
    if rest is not None:
        weight = np.column_stack([weight, np.maximum(rest, 0.0)])
        v = np.append(v, 0.0)
        total = weight.sum(axis=1)
    else:
        with np.errstate(divide="ignore"):
            radius = radius + np.log(total)
    fine = (radius > 0) & (total > 0)
    out = np.full(radius.size, float(cap))
    if fine.any():
        law = np.ascontiguousarray(weight[fine] / total[fine, None])
        rows = Rows(
            np.arange(0, law.size + 1, v.size, dtype=np.int32), np.empty(0, np.int32), law.ravel()
        )
        out[fine] = solve_rows("kl", "ball", radius[fine], rows, v).value
    return out
