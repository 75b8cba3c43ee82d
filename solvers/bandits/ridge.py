"""Ridge regression of rewards on actions, the inverse kept by rank-one updates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
REFRESH = 10_000  # rank-one steps after which the inverse is computed anew


class Regression:
    """V = lambda I + sum n u u^T, b = sum u y, and the estimate V^-1 b.

    Parameters
    ----------
    d : int
        Number of components of an action.
    ridge : float
        lambda, above 0.

    Examples
    --------
    >>> fit = Regression(1, 1.0)
    >>> fit.add(np.array([1.0]), 3, 6.0)
    >>> fit.estimate, round(fit.logdet, 4)
    (array([1.5]), 1.3863)
    """

    def __init__(self, d: int, ridge: float):
        self.V = ridge * np.eye(d)
        self.V_inv: NDArray[Any] = np.eye(d) / ridge
        self.b = np.zeros(d)
        self.estimate = np.zeros(d)
        self.logdet = 0.0  # log(det V / lambda^d)
        self.steps = 0

    def width(self, u: Floats) -> float:
        """Return ||u||_{V^-1}."""
        return math.sqrt(max(float(u @ self.V_inv @ u), 0.0))

    def add(self, u: Floats, count: float, total: float) -> None:
        """Add `count` samples of action u whose rewards sum to `total`."""
        v = self.V_inv @ u
        growth = count * float(v @ u)
        self.V += count * np.outer(u, u)
        self.b += total * u
        self.logdet += math.log1p(growth)
        self.steps += 1
        if self.steps % REFRESH == 0:
            self.V_inv = np.linalg.inv(self.V)
            self.estimate = self.V_inv @ self.b
        else:
            step = (total - count * float(self.estimate @ u)) / (1 + growth)
            self.estimate = self.estimate + step * v
            self.V_inv -= count / (1 + growth) * np.outer(v, v)

    def error(self, h: Floats) -> float:
        """Return ||h^ - h||_V."""
        e = self.estimate - h
        return math.sqrt(max(float(e @ self.V @ e), 0.0))
