"""A plain loop for the American put: what training costs when nothing is shared.

One inverse of the Gram matrix per query, one regression of all d coordinates per evaluation of
a dual, one local search per coordinate: the work that the published timings measure, written anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.r2pvi.cells import Method

Floats = NDArray[np.float64]


@dataclass
class Loop:
    """A method trained sample by sample.

    Parameters
    ----------
    method : str
        "pevi", "tv", "kl", "chi2", "drpvi" or "drvi_l".
    phi : (H+1, n, d) float64
        Features of the prices of each trajectory.
    payoff : (H+1, n) float64
        What exercising there pays.
    strength, beta, ridge : float
        Penalty or radius, multiplier of the bonus, ridge.
    """

    method: Method
    phi: Floats
    payoff: Floats
    strength: float
    beta: float = 0.1
    ridge: float = 1.0
    w: list[Floats] = field(default_factory=list)
    gram: list[Floats] = field(default_factory=list)

    def train(self) -> Floats:
        """Return the weights, (H, d)."""
        H, d = self.phi.shape[0] - 1, self.phi.shape[2]
        self.w = [np.zeros(d) for _ in range(H)]
        self.gram = [self.ridge * np.eye(d) for _ in range(H)]
        for h in range(H - 1, -1, -1):
            for row in self.phi[h]:
                self.gram[h] += np.outer(row, row)
            if h < H - 1:
                self.w[h] = self.weights(h, self.next_values(h))
        return np.array(self.w)

    def hold(self, row: Floats, h: int) -> float:
        """Return the estimate of holding at one price."""
        inverse = np.linalg.inv(self.gram[h])
        if self.method == "pevi":
            width = np.sqrt(row @ inverse @ row)
        else:
            width = np.sqrt(row @ np.diag(np.diagonal(inverse)) @ row)
        return min(float(row @ self.w[h]) - self.beta * float(width), len(self.w) - h)

    def next_values(self, h: int) -> Floats:
        """Return the estimated value after each trajectory's step h."""
        after = zip(self.phi[h + 1], self.payoff[h + 1], strict=True)
        return np.array([max(self.hold(row, h + 1), pay) for row, pay in after])

    def weights(self, h: int, y: Floats) -> Floats:
        """Return the estimate of the worst-case next value of each coordinate."""
        inverse: Floats = np.asarray(np.linalg.inv(self.gram[h]), np.float64)
        phi, lam, H = self.phi[h], self.strength, len(self.w)
        if self.method == "pevi":
            total = np.zeros(phi.shape[1])
            for row, value in zip(phi, y, strict=True):
                total += inverse @ (row * value)
            return total
        if self.method == "tv":
            return inverse @ phi.T @ np.minimum(y, y.min() + lam)
        if self.method == "kl":
            tilted = inverse @ phi.T @ np.exp(-y / lam)
            return -lam * np.log(np.maximum(tilted, np.exp(-H / lam)))
        return np.array([self.searched(inverse, phi, y, i) for i in range(phi.shape[1])])

    def searched(self, inverse: Floats, phi: Floats, y: Floats, i: int) -> float:
        """Return the value of one coordinate by a local search from half the horizon."""
        from scipy.optimize import minimize

        H = len(self.w)
        low = 1e-6 if self.method == "drvi_l" else 0.0
        negative = partial(self.negative_dual, inverse=inverse, phi=phi, y=y, i=i)
        return -float(minimize(negative, H / 2, method="Nelder-Mead", bounds=[(low, H)]).fun)

    def negative_dual(self, x: Floats, inverse: Floats, phi: Floats, y: Floats, i: int) -> float:
        """Return minus the dual of coordinate i at x, every coordinate regressed on the way."""
        a, s = float(x[0]), self.strength
        if self.method == "drvi_l":
            tilted = (inverse @ phi.T @ (np.exp(-y / a) - 1.0))[i] + 1.0
            return a * np.log(max(tilted, 1e-6)) + a * s
        first = (inverse @ phi.T @ np.minimum(y, a))[i]
        if self.method == "drpvi":
            return -(first - s * a)
        second = (inverse @ phi.T @ np.minimum(y, a) ** 2)[i]
        return -(first + (first**2 - second) / (4 * s))
