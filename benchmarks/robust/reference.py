"""Robust offline methods as a first draft would write them: loops, one inverse per query.

The reference that `python -m benchmarks.robust` measures against, and an oracle of the tests. It
shares nothing with `solvers.robust`. Bonuses are sums over coordinates, values are clipped to
[0, H - h], the least value of the TV adversary is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Name = Literal["pevi", "tv", "kl", "chi2", "tv ball", "kl ball"]


@dataclass
class Loop:
    """One method on a list of trajectories.

    `phi[k]` are the features of pair k, `pairs_of[s]` the pairs of state s, `reward[h][k]` the
    rewards, and `trajectories` lists of (pair, next state).
    """

    method: Name
    phi: NDArray[np.float64]
    pairs_of: list[range]
    reward: NDArray[np.float64]
    trajectories: list[list[tuple[int, int]]]
    strength: float
    beta: float = 1.0
    ridge: float = 1.0
    shrink: bool = True
    Lambda: list[NDArray[np.float64]] = field(default_factory=list)
    w: list[NDArray] = field(default_factory=list)

    def solve(self) -> list[NDArray]:
        """Return w of every step."""
        H, d = self.reward.shape[0], self.phi.shape[1]
        self.Lambda = [self.ridge * np.eye(d) for _ in range(H)]
        self.w = [np.zeros(d) for _ in range(H)]
        for h in range(H - 1, -1, -1):
            for trajectory in self.trajectories:
                feature = self.phi[trajectory[h][0]]
                self.Lambda[h] += np.outer(feature, feature)
            if h < H - 1:
                self.w[h] = self.weights(h)
        return self.w

    def q(self, h: int, k: int) -> float:
        """Value of one pair."""
        inverse = np.linalg.inv(self.Lambda[h])
        feature = self.phi[k]
        if self.method == "pevi":
            bonus = self.beta * math.sqrt(feature @ inverse @ feature)
        else:
            bonus = 0.0
            for i in range(len(feature)):
                bonus += self.beta * feature[i] * math.sqrt(inverse[i, i])
        value = self.reward[h][k] + feature @ self.w[h] - bonus
        return min(max(value, 0.0), float(len(self.w) - h))

    def value(self, h: int, s: int) -> float:
        """Value of one state."""
        return max(self.q(h, k) for k in self.pairs_of[s])

    def weights(self, h: int) -> NDArray:
        """Solve the inner problem of one step."""
        rows, values = [], []
        for trajectory in self.trajectories:
            k, s = trajectory[h]
            rows.append(self.phi[k])
            values.append(self.value(h + 1, s))
        Phi, y = np.array(rows), np.array(values)
        inverse = np.linalg.inv(self.Lambda[h])
        c, top = self.strength, float(len(self.w) - h - 1)
        if self.method == "pevi":
            return inverse @ Phi.T @ y
        if self.method == "tv":
            return inverse @ Phi.T @ np.minimum(y, c)
        if self.method == "kl":
            if self.shrink:
                x = 1.0 + inverse @ Phi.T @ (np.exp(-y / c) - 1.0)
            else:
                x = inverse @ Phi.T @ np.exp(-y / c)
            return -c * np.log(np.maximum(x, math.exp(-top / c)))
        return np.array([self.search(i, inverse, Phi, y, top) for i in range(Phi.shape[1])])

    def search(self, i: int, inverse: NDArray, Phi: NDArray, y: NDArray, top: float) -> float:
        """Maximise the dual of one coordinate from the middle of the range."""
        c, H = self.strength, len(self.w)

        def dual(at: NDArray) -> float:
            a = float(at[0])
            if self.method == "kl ball":
                x = (inverse @ Phi.T @ (np.exp(-y / a) - 1.0))[i] + 1.0
                return a * math.log(max(x, math.exp(-top / a))) + a * c
            m1 = (inverse @ Phi.T @ np.minimum(y, a))[i]
            if self.method == "tv ball":
                return -m1 + c * a
            m2 = (inverse @ Phi.T @ np.minimum(y, a) ** 2)[i]
            m1, m2 = min(max(m1, 0.0), top), min(max(m2, 0.0), top**2)
            return -(m1 + m1**2 / (4 * c) - m2 / (4 * c))

        low = 0.05 if self.method == "kl ball" else 0.0
        found = minimize(dual, H / 2, method="Nelder-Mead", bounds=[(low, H)])
        return -float(found.fun)


def from_data(
    method: Name,
    data,
    strength: float,
    beta: float = 1.0,
    ridge: float = 1.0,
    shrink: bool = True,
) -> Loop:
    """Set up the loops for a `LinearData` whose episodes do not end early."""
    ptr = data.features.state_ptr
    pairs = [range(ptr[s], ptr[s + 1]) for s in range(data.features.n_states)]
    n, H = data.pair.shape[1], data.pair.shape[0]
    trajectories = [
        [(int(data.pair[h, t]), int(data.next[h, t])) for h in range(H)] for t in range(n)
    ]
    return Loop(
        method, data.features.phi, pairs, data.reward, trajectories, strength, beta, ridge, shrink
    )
