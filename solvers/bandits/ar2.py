r"""AR2: alternate between the arm believed best and arms that have waited, and restart.

Problem       Arms whose rewards are autoregressive of order one; on a dynamical bandit a rival that
              takes the arms for unrelated.
Algorithm     Within an epoch each arm is played once. Then odd rounds play the leader, the arm of
              the higher guess among the former leader and the arm just played; even rounds play the
              arm that has waited longest since it was triggered, else the leader. Guesses decay by
              alpha per round. Arm i, last played tau rounds ago, is triggered when
              ``guess(leader) - guess(i) <= c1 sigma sqrt((alpha^2 - alpha^(2 tau + 2))
              / (1 - alpha^2))``,                                                            (1)
              where an epoch has ``ceil(K / (alpha sigma)^3)`` rounds,                       (2)
              ``c0 = sqrt(4 log(1 / (alpha sigma)) + 4 log(epoch) + 2 log(4 K))``, c1 = 24 c0.   (3)
Guarantee     None on dynamical bandits.
Cost          O(K) per round.
Deviations    No reflection of rewards at a boundary.
References    Chen, Golrezaei and Bouneffouf (2023), Non-stationary bandits with auto-regressive
              temporal dependency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mdplib.errors import InvalidModelError
from solvers.bandits.interface import Algorithm, Floats, Learner, Program, Task, check_positive


@dataclass(frozen=True)
class AR2(Algorithm):
    """AR2.

    Parameters
    ----------
    alpha : float, optional
        Autoregression in (0, 1), by default the told spectral radius, at least 0.001.
    sigma : float, optional
        Scale of the noise, above 0, by default the told one, at least 0.001.

    Raises
    ------
    InvalidModelError
        If `alpha` or `sigma` is out of range.

    Examples
    --------
    >>> from mdplib import models
    >>> bandit = models.dlb_synthetic()
    >>> told = AR2().factors(Task(bandit.constants(), 10**6, bandit.actions))
    >>> round(told["PERIOD"] / 1e8, 3), round(told["C0"], 3)
    (7.5, 10.628)
    """

    alpha: float | None = None
    sigma: float | None = None

    def __post_init__(self):
        if self.alpha is not None and not 0 < self.alpha < 1:
            raise InvalidModelError(f"alpha is {self.alpha!r}; 0 < alpha < 1 expected")
        if self.sigma is not None:
            check_positive(self.sigma, "sigma")

    def factors(self, task: Task) -> dict[str, float]:
        """Return the numbers of the algorithm, by the kernels' names."""
        K = len(task.finite("AR2"))
        alpha = max(task.constants.rho, 1e-3) if self.alpha is None else self.alpha
        sigma = max(task.constants.sigma, 1e-3) if self.sigma is None else self.sigma
        period = math.ceil(K / (alpha * sigma) ** 3 * (1 - 1e-12))  # (2)
        inside = 4 * math.log(1 / (alpha * sigma)) + 4 * math.log(period) + 2 * math.log(4 * K)
        c0 = math.sqrt(max(inside, 0.0))  # (3)
        return {"ALPHA": alpha, "SCALE": 24 * c0 * sigma, "PERIOD": float(period), "C0": c0}

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return AR2Learner(task, self.factors(task))

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        factors = self.factors(task)
        return Program("AR2", {name: factors[name] for name in ("ALPHA", "SCALE", "PERIOD")})


class AR2Learner(Learner):
    """AR2 in plain Python."""

    def __init__(self, task: Task, factors: dict[str, float]):
        super().__init__(task)
        self.factors = factors
        self._restart()

    def _restart(self) -> None:
        K = len(self.task.arms)
        self.guess, self.age, self.waited = np.zeros(K), np.zeros(K), np.zeros(K)
        self.clock = 0
        self.leader = 0
        self.arm = 0

    def choose(self) -> tuple[Floats, int]:
        """Return the arm of one round."""
        if self.clock >= self.factors["PERIOD"]:
            self._restart()
        K = self.guess.size
        if self.clock < K:
            self.arm = self.clock
        elif (self.clock - K) % 2 == 0 or not self.waited.any():
            self.arm = self.leader
        else:
            self.arm = int(np.argmax(self.waited))
        return self.task.arms[self.arm], 1

    def learn(self, u: Floats, count: int, total: float, last: float) -> None:
        """Update guesses, the leader, and who waits."""
        alpha, arm = self.factors["ALPHA"], self.arm
        self.guess *= alpha
        self.age *= alpha**2
        self.waited[self.waited > 0] += 1
        self.guess[arm], self.age[arm], self.waited[arm] = alpha * last, alpha**2, 0.0
        self.clock += 1
        if self.clock == 1 or self.guess[arm] > self.guess[self.leader]:
            self.leader = arm
        if self.clock >= self.guess.size:
            self.waited[self.leader] = 0.0
            spread = np.sqrt(np.maximum(alpha**2 - alpha**2 * self.age, 0) / (1 - alpha**2))
            close = self.guess[self.leader] - self.guess <= self.factors["SCALE"] * spread  # (1)
            close[self.leader] = False
            self.waited[close & (self.waited == 0)] = 1.0
