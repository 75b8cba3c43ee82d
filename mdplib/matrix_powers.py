"""Powers of a matrix one by one, with bounds on what rounding does to them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mdplib.matrix_bounds import SLACK, UNIT, Matrix, norms, size

_FIRST, _LARGEST = 32, 1024  # powers per batch


class Sweep(NamedTuple):
    """What the first powers showed.

    Parameters
    ----------
    lower, upper : float
        Bounds on the largest norm of M^0, ..., M^(count - 1).
    count : int
        How many powers, M^0 included, `lower` and `upper` are about.
    power : int or None
        The least K with a norm of M^K proven to be at most the goal; then K = count.
    """

    lower: float
    upper: float
    count: int
    power: int | None


def sweep(M: Matrix, rounded: float, most: int, goal: float = 1.0) -> Sweep:
    """Bound the norms of M^k until one is at most `goal`, or for k < `most`.

    Parameters
    ----------
    M : (n, n) ndarray
        Approximation of the matrix that is meant.
    rounded : float
        Its distance from that matrix in Frobenius norm.
    most : int
        Largest number of powers.
    goal : float
        When to stop.

    Returns
    -------
    Sweep
        With e_k the error of power k, ``e_k <= c (f_0 + ... + f_{k-1}) max_j (f_j + e_j)`` where
        f_j is the norm of the computed power and c the error of one product, per unit of f.

    Examples
    --------
    >>> sweep(np.array([[0.0, 2.0], [0.0, 0.0]]), 0.0, 10)
    Sweep(lower=1.99..., upper=2.00..., count=2, power=2)
    """
    n = len(M)
    step = (4 * (n + 2) * UNIT * float(size(M)) + rounded) * SLACK
    P = np.eye(n, dtype=M.dtype)
    lower, upper, count, batch = 1.0, 1.0, 1, _FIRST
    total, largest = math.sqrt(n) * SLACK, math.sqrt(n) * SLACK
    while count < most:
        stack = np.empty((min(batch, most - count), n, n), dtype=M.dtype)
        for i in range(len(stack)):
            P = P @ M
            stack[i] = P
        f = size(stack)
        before = (total + np.concatenate([[0.0], np.cumsum(f)[:-1]])) * SLACK
        largest = max(largest, float(f.max()))
        drift = step * before
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(drift < 0.5, drift * largest / (1 - drift) * SLACK, np.inf)
        if not np.isfinite(f).all() or not np.isfinite(error).all():
            return Sweep(lower, math.inf, count, None)
        low, high = norms(stack, error)
        small = np.flatnonzero(high <= goal)
        end = int(small[0]) if small.size else len(stack)
        if end:
            lower, upper = max(lower, float(low[:end].max())), max(upper, float(high[:end].max()))
        count += end
        if small.size:
            return Sweep(lower, upper, count, count)
        total, batch = float(before[-1] + f[-1]) * SLACK, min(2 * batch, _LARGEST)
    return Sweep(lower, upper, count, None)
