r"""UCB1: upper bounds on the mean rewards of unrelated arms.

Problem       K arms with independent rewards of bounded range.
Algorithm     Every arm once; then an arm of largest ``mean + range sqrt(2 log(t) / pulls)``.  (1)
Guarantee     None on dynamical bandits.
Cost          O(K) per round.
Deviations    Ties are broken by the smallest index.
References    Auer, Cesa-Bianchi and Fischer (2002), Finite-time analysis of the multiarmed bandit
              problem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from solvers.bandits.interface import (
    Algorithm,
    Floats,
    Learner,
    Program,
    Task,
    check_positive,
    first_best,
)


@dataclass(frozen=True)
class UCB1(Algorithm):
    """UCB1.

    Parameters
    ----------
    range_ : float, optional
        Range of the rewards, above 0, by default 4 (Theta + Omega B / (1 - rho)) U.

    Raises
    ------
    InvalidModelError
        If `range_` is not a finite number above 0.

    Examples
    --------
    >>> UCB1(range_=1.0)
    UCB1(range_=1.0)
    """

    range_: float | None = None

    def __post_init__(self):
        if self.range_ is not None:
            check_positive(self.range_, "range_")

    def factors(self, task: Task) -> dict[str, float]:
        """Return the numbers of the algorithm, by the kernels' names."""
        task.finite("UCB1")
        told = task.constants
        wide = 4 * (told.Theta + told.Omega * told.B / (1 - told.rho)) * told.U
        return {"BONUS": wide if self.range_ is None else self.range_}

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return UCB1Learner(task, self.factors(task)["BONUS"])

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        return Program("UCB1", self.factors(task))


class UCB1Learner(Learner):
    """UCB1 in plain Python."""

    def __init__(self, task: Task, bonus: float):
        super().__init__(task)
        self.bonus = bonus
        self.pulls, self.mean = np.zeros(len(task.arms)), np.zeros(len(task.arms))
        self.arm = 0

    def choose(self) -> tuple[Floats, int]:
        """Return the arm of one round."""
        if (self.pulls == 0).any():
            self.arm = int(np.argmin(self.pulls))
        else:
            spread = np.sqrt(2 * math.log(max(1, self.t)) / self.pulls)
            self.arm = first_best(self.mean + self.bonus * spread)  # (1)
        return self.task.arms[self.arm], 1

    def learn(self, u: Floats, count: int, total: float, last: float) -> None:
        """Add a reward to the mean of its arm."""
        self.pulls[self.arm] += 1
        self.mean[self.arm] += (last - self.mean[self.arm]) / self.pulls[self.arm]
