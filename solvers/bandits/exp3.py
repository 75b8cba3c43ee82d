r"""Exp3: exponential weights for arms whose rewards may be anything.

Problem       Adversarial rewards of K arms; on a dynamical bandit a rival without a model.
Algorithm     Arm k is drawn with probability ``(1 - mix) w_k / sum w + mix / K``,              (1)
              its reward y mapped to ``g = (y + 2 M) / (4 M)``,                              (2)
              and ``w_k <- w_k exp(mix / K g / p_k)``, with                                  (3)
              ``mix = min(1, sqrt(K log K / ((e - 1) 2 T / 3)))``.                           (4)
Guarantee     Against oblivious rewards in [0, 1], regret O(sqrt(T K log K)); none on dynamical
              bandits, whose rewards depend on what was played before.
Cost          O(K) per round.
Deviations    Weights are rescaled where the largest exceeds 1e100.
References    Auer, Cesa-Bianchi, Freund and Schapire (2002), The nonstochastic multiarmed bandit
              problem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mdplib.errors import InvalidModelError
from solvers.bandits.interface import (
    Algorithm,
    Floats,
    Learner,
    Program,
    Task,
    check_positive,
    draw,
)


@dataclass(frozen=True)
class Exp3(Algorithm):
    """Exp3.

    Parameters
    ----------
    mix : float, optional
        Share of uniform play in (0, 1], by default that of equation (4).
    scale : float, optional
        M, above 0, by default (Theta + Omega B / (1 - rho)) U.

    Raises
    ------
    InvalidModelError
        If `mix` or `scale` is out of range.

    Examples
    --------
    >>> from mdplib import models
    >>> bandit = models.dlb_synthetic()
    >>> found = Exp3().factors(Task(bandit.constants(), 10**6, bandit.actions))
    >>> round(found["MIX"], 7), round(found["SHIFT"] / 2, 4)
    (0.0030635, 1.2021)
    """

    mix: float | None = None
    scale: float | None = None

    def __post_init__(self):
        if self.mix is not None and not 0 < self.mix <= 1:
            raise InvalidModelError(f"mix is {self.mix!r}; 0 < mix <= 1 expected")
        if self.scale is not None:
            check_positive(self.scale, "scale")

    def factors(self, task: Task) -> dict[str, float]:
        """Return the numbers of the algorithm, by the kernels' names."""
        return weights(task, self.mix, self.scale, batch=1, late=False)

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return WeightLearner(task, self.factors(task))

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        return Program("EXP3", self.factors(task))


def weights(
    task: Task, mix: float | None, scale: float | None, batch: int, late: bool
) -> dict[str, float]:
    """Return the numbers of exponential weights on batches, by the kernels' names."""
    K, told = len(task.finite("Exp3")), task.constants
    M = scale or (told.Theta + told.Omega * told.B / (1 - told.rho)) * told.U
    if mix is None:
        mix = min(1.0, math.sqrt(K * math.log(K) / ((math.e - 1) * 2 * task.T / batch / 3)))  # (4)
    return {
        "MIX": mix,
        "RATE": mix / K,
        "SHIFT": 2 * (M or 1.0),
        "SPAN": 4 * (M or 1.0),
        "BATCH": float(batch),
        "LATE": float(late and batch > 2),
    }


class WeightLearner(Learner):
    """Exp3, on batches of rounds, in plain Python."""

    def __init__(self, task: Task, factors: dict[str, float]):
        super().__init__(task)
        self.factors = factors
        self.weight = np.ones(len(task.arms))
        self.arm, self.chance, self.draws = 0, 1.0, 0
        self._carried: float | None = None  # of a late learner: rewards not yet credited
        self._redraw = True

    def choose(self) -> tuple[Floats, int]:
        """Draw an arm and hold it for a batch, or for a part of it."""
        f, K, batch = self.factors, self.weight.size, int(self.factors["BATCH"])
        if self._redraw:
            share = self.weight / self.weight.sum()
            p = (1 - f["MIX"]) * share + f["MIX"] / K  # (1)
            number = draw(self.task.seed, self.draws)
            self.arm = min(int(np.searchsorted(np.cumsum(p), number, side="right")), K - 1)
            self.chance = float(p[self.arm])
            self.draws += 1
        if f["LATE"]:
            return self.task.arms[self.arm], 2 if self._redraw else batch - 2
        return self.task.arms[self.arm], batch

    def learn(self, u: Floats, count: int, total: float, last: float) -> None:
        """Credit the mean reward of a batch."""
        if self.factors["LATE"] and not self._redraw:
            self._carried, self._redraw = total, True
            return
        self._redraw = not self.factors["LATE"]
        f = self.factors
        mean = (total + (self._carried or 0.0)) / f["BATCH"]
        gain = (mean + f["SHIFT"]) / f["SPAN"]  # (2)
        self.weight[self.arm] *= math.exp(f["RATE"] * gain / self.chance)  # (3)
        if self.weight[self.arm] > 1e100:
            self.weight = np.maximum(self.weight * 1e-100, 1e-300)


def positive_batch(batch: int | None) -> None:
    """Raise unless a batch has at least one round."""
    if batch is not None and (not isinstance(batch, int) or batch < 1):
        raise InvalidModelError(f"batch is {batch!r}; an integer of at least 1 expected")
