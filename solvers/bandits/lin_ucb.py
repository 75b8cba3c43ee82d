r"""LinUCB: optimism with a sample in every round, blind to the hidden state.

Problem       A linear bandit; on a dynamical one the rewards are biased by what was played before,
              and the confidence sets fail.
Algorithm     Every round plays an action of largest ``<h^, u> + beta ||u||_{V^-1}`` and adds its
              reward to a ridge regression. Radius "noise":
              ``c2 sqrt(lambda) + sqrt(2 s2 (log(1 / delta) + d / 2 log(1 + t U^2 / (d lambda))))``;
              radius "published":
              ``Theta sqrt(lambda) + sqrt(2 log T + d log((d lambda + T c^2) / (d lambda)))``.  (1)
Guarantee     None on dynamical bandits; with omega = 0 or B = 0 the radius "noise" covers h in all
              rounds with probability at least 1 - delta.
Cost          O(d**2 + K d) per round for K arms, O(d**3) on a ball.
Deviations    Ties are broken by the smallest index.
References    Abbasi-Yadkori, Pal and Szepesvari (2011); as a rival, Mussi, Metelli and Restelli
              (2023), section 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from solvers.bandits.dynlin_ucb import EpochLearner
from solvers.bandits.interface import (
    Algorithm,
    Learner,
    Program,
    Ridge,
    Task,
    check_choice,
    check_deltas,
    check_positive,
    check_ridge,
)


@dataclass(frozen=True)
class LinUCB(Algorithm):
    """LinUCB.

    Parameters
    ----------
    radius : {"noise", "published"}
        Radius of the confidence set.
    lambda_ : float or "log_T"
        Regulariser, above 0.
    delta : float, optional
        Probability of failure of the radius "noise", 1 / T by default.
    norm : float, optional
        c in the radius "published", U by default; the budget in published code.
    random_first : bool
        Whether the first action is drawn, as in published code.

    Raises
    ------
    InvalidModelError
        If a hyper-parameter is out of range.

    Examples
    --------
    >>> LinUCB("published", lambda_="log_T")
    LinUCB(radius='published', lambda_='log_T', delta=None, norm=None, random_first=False)
    """

    radius: Literal["noise", "published"] = "noise"
    lambda_: Ridge = 1.0
    delta: float | None = None
    norm: float | None = None
    random_first: bool = False
    has_set: ClassVar[bool] = True

    def __post_init__(self):
        check_choice(self.radius, "radius", ("noise", "published"))
        check_ridge(self.lambda_)
        check_deltas(self.delta)
        if self.norm is not None:
            check_positive(self.norm, "norm")

    def factors(self, task: Task) -> dict[str, float]:
        """Return the numbers that the radius is made of, by the kernels' names."""
        told, ridge = task.constants, task.ridge(self.lambda_)
        c = told.U if self.norm is None else self.norm
        growth = told.d * math.log1p(task.T * c**2 / (told.d * ridge))
        fixed = told.Theta * math.sqrt(ridge) + math.sqrt(2 * math.log(task.T) + growth)  # (1)
        return {
            "RIDGE": ridge,
            "RHO": 0.0,
            "SCHEDULE": 0.0,
            "LAG": 0.0,
            "RADIUS": 0.0 if self.radius == "noise" else 2.0,
            "C1": 0.0,
            "C2": told.c2,
            "S2": told.s2,
            "CB": 0.0,
            "REACH": told.U,
            "LOG_DELTA": math.log(1 / task.failure(self.delta)),
            "FIXED": fixed,
            "FIRST": 0.0,
            "RANDOM": float(self.random_first),
        }

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return EpochLearner(task, self.factors(task))

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        return Program("EPOCH", self.factors(task))
