"""DynLin-UCB the way it is usually programmed: a class for the system, one for the learner.

Every round of Python draws noise, moves the state, and adds to the curves; every choice inverts V
and goes through the arms. `noise` may hand over the library's own noise, to compare results.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mdplib import DynamicalLinearBandit
from mdplib.bandit_constants import Constants

Array = NDArray[np.float64]


class System:
    """The hidden state."""

    def __init__(self, bandit: DynamicalLinearBandit, seed: int, noise: Array | None):
        self.bandit = bandit
        self.rng = np.random.default_rng(seed)
        self.noise = noise
        self.x = np.array(bandit.x0)
        self.t = 0

    def step(self, u: Array) -> float:
        """Return the reward of u and move on."""
        b = self.bandit
        given = self.noise
        z = self.rng.normal(size=1 + b.n_states) if given is None else given[self.t]
        y = b.omega @ self.x + b.theta @ u + b.output_noise * z[0]
        self.x = b.A @ self.x + b.B @ u + b.state_noise * z[1:]
        self.t += 1
        return float(y)


class Learner:
    """DynLin-UCB with the published radius and schedule."""

    def __init__(self, arms: Array, told: Constants, ridge: float, T: int):
        self.arms, self.told, self.ridge, self.T = arms, told, ridge, T
        self.V, self.b = ridge * np.eye(told.d), np.zeros(told.d)
        self.estimate = np.zeros(told.d)
        self.t, self.m, self.left = 0, 0, 0
        self.u = arms[0]
        self.beta = self.width = 0.0

    def radius(self) -> float:
        """Return the published radius after t rounds."""
        c, d = self.told, self.told.d
        growth = d / 2 * math.log(1 + self.t * c.U**2 / (d * self.ridge))
        noise = math.sqrt(2 * c.s2 * (math.log(self.T) + growth))
        bias = c.c1 / math.sqrt(self.ridge) * math.log(math.e * (self.t + 1))
        return bias + c.c2 * math.sqrt(self.ridge) + noise

    def act(self) -> Array:
        """Return the action of this round."""
        if self.left == 0:
            self.m += 1
            self.beta = self.radius()
            inverse = np.linalg.inv(self.V)
            best = -math.inf
            for u in self.arms:
                width = math.sqrt(u @ inverse @ u)
                index = self.estimate @ u + self.beta * width
                if index > best + 1e-12 * abs(best) or best == -math.inf:
                    best, self.u, self.width = index, u, width
            self.left = 1 + int(math.log(self.m) / math.log(1 / self.told.rho) + 1e-12)
        return self.u

    def update(self, y: float) -> None:
        """Take the reward of this round; the last of an epoch counts."""
        self.t += 1
        self.left -= 1
        if self.left == 0:
            self.V = self.V + np.outer(self.u, self.u)
            self.b = self.b + self.u * y
            self.estimate = np.linalg.solve(self.V, self.b)


def play(
    bandit: DynamicalLinearBandit, told: Constants, ridge: float, T: int, seed: int,
    noise: Array | None = None,
) -> tuple[Array, Array, float]:  # fmt: skip
    """Play T rounds; return the regret and the certificate after each, and the largest error."""
    h, best, D = bandit.markov_parameter, bandit.best[1], bandit.largest_gap
    system = System(bandit, seed, noise)
    arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
    learner = Learner(arms, told, ridge, T)
    regret, certificate, worst = np.zeros(T), np.zeros(T), 0.0
    for t in range(T):
        begins = learner.left == 0
        u = learner.act()
        if begins:
            e = learner.estimate - h
            worst = max(worst, math.sqrt(e @ learner.V @ e) / learner.beta)
        learner.update(system.step(u))
        before = t - 1 if t else 0
        regret[t] = regret[before] + best - h @ u
        certificate[t] = certificate[before] + min(D, 2 * learner.beta * learner.width)
    return regret, certificate, worst
