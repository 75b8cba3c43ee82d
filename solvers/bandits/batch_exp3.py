r"""Batch-Exp3: exponential weights on batches of rounds, long enough for the state to settle.

Problem       Rewards that remember what was played before.
Algorithm     Exp3 on T / B batches of ``B = ceil(log M / log(1 / rho))`` rounds, where M is the
              number of epochs of DynLin-UCB with lengths rounded down (1); the mean reward of a
              batch is credited to the arm that was held in it.
Guarantee     That of Exp3 on batches, against rewards that forget within a batch.
Cost          O(K) per batch.
Deviations    ``credit="previous"`` closes a batch two rounds after the arm has changed, as the
              published code does: all but two of its rewards are the previous arm's.
References    Arora, Dekel and Tewari (2012), Online bandit learning against an adaptive adversary;
              Mussi, Metelli and Restelli (2023), section 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from solvers.bandits.exp3 import WeightLearner, positive_batch, weights
from solvers.bandits.interface import Algorithm, Learner, Program, Task, check_choice


@dataclass(frozen=True)
class BatchExp3(Algorithm):
    """Batch-Exp3.

    Parameters
    ----------
    batch : int, optional
        B, by default that of equation (1).
    mix, scale : float, optional
        As in `Exp3`.
    credit : {"own", "previous"}
        Whose rewards an estimate is made of.

    Raises
    ------
    InvalidModelError
        If a hyper-parameter is out of range.

    Examples
    --------
    >>> from mdplib import models
    >>> bandit = models.dlb_synthetic()
    >>> BatchExp3().factors(Task(bandit.constants(), 10**6, bandit.actions))["BATCH"]
    8.0
    """

    batch: int | None = None
    mix: float | None = None
    scale: float | None = None
    credit: Literal["own", "previous"] = "own"

    def __post_init__(self):
        positive_batch(self.batch)
        check_choice(self.credit, "credit", ("own", "previous"))

    def factors(self, task: Task) -> dict[str, float]:
        """Return the numbers of the algorithm, by the kernels' names."""
        batch = self.batch
        if batch is None:
            rho = task.constants.rho
            M = n_epochs(task.T, rho)
            batch = 1
            if rho > 0 and M > 1:
                batch = max(1, math.ceil(math.log(M) / math.log(1 / rho) - 1e-12))  # (1)
        return weights(task, self.mix, self.scale, batch, self.credit == "previous")

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return WeightLearner(task, self.factors(task))

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        return Program("EXP3", self.factors(task))


def n_epochs(T: int, rho: float, rounding: Literal["floor", "ceil"] = "floor") -> int:
    """Return how many epochs of 1 + H_m rounds begin within T rounds.

    Parameters
    ----------
    T : int
        Number of rounds.
    rho : float
        Told spectral radius, in [0, 1).
    rounding : {"floor", "ceil"}
        How H_m is rounded.

    Returns
    -------
    int
        The number.

    Examples
    --------
    >>> n_epochs(10**6, 0.2)
    137206
    """
    if rho <= 0:
        return T
    m, H, left, edge = 0, 0, T, 1.0  # edge = rho^-H: the epochs that wait H rounds end near it
    while left > 0:
        last = edge / rho if rounding == "floor" else edge
        tie = 1e-12 * last
        end = math.ceil(last - tie) - 1 if rounding == "floor" else math.floor(last + tie)
        count = max(end - m, 0)
        fits = -(-left // (1 + H))
        if fits <= count:
            return m + fits
        m, left = m + count, left - count * (1 + H)
        H, edge = H + 1, edge / rho
    return m
