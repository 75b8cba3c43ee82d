r"""D-LinUCB: LinUCB that forgets at a geometric rate.

Problem       A linear bandit whose parameter drifts; on a dynamical one a rival that does not know
              that its own actions make the drift.
Algorithm     ``V <- gamma V + u u^T + (1 - gamma) lambda I``,
              ``W <- gamma^2 W + u u^T + (1 - gamma^2) lambda I``, ``b <- gamma b + u y``;       (1)
              every round plays an arm of largest
              ``<V^-1 b, u> + beta (u^T V^-1 W V^-1 u)^(1/2)``,                              (2)
              ``beta = c sqrt(lambda) + sqrt(s (2 log(1/delta) + d log(1 + N U^2 / (d lambda))))``,
              ``N = (1 - gamma^(2 t)) / (1 - gamma^2)``, with s = sigma^2 and c = Theta for the
              radius "published", s2 and c2 for "noise".                                     (3)
Guarantee     None on dynamical bandits.
Cost          O(d**3 + K d**2) per round.
Deviations    ``forgets=False`` is the published code's variant whose radius speaks of discounts
              that V and b never see.
References    Russac, Vernade and Cappe (2019), Weighted linear bandits for non-stationary
              environments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mdplib.errors import InvalidModelError
from solvers.bandits.interface import (
    Algorithm,
    Floats,
    Learner,
    Program,
    Ridge,
    Task,
    check_choice,
    check_deltas,
    check_positive,
    check_ridge,
    first_best,
)


@dataclass(frozen=True)
class DLinUCB(Algorithm):
    """D-LinUCB.

    Parameters
    ----------
    gamma : float
        Discount in (0, 1].
    radius : {"noise", "published"}
        Radius of the confidence set.
    lambda_ : float or "log_T"
        Regulariser, above 0.
    delta : float, optional
        Probability of failure, 1 / T by default.
    norm : float, optional
        Takes the place of U in the radius; the budget in published code.
    forgets : bool
        Whether V and b are discounted.

    Raises
    ------
    InvalidModelError
        If a hyper-parameter is out of range.

    Examples
    --------
    >>> DLinUCB(gamma=1.5)
    Traceback (most recent call last):
    ...
    mdplib.errors.InvalidModelError: gamma is 1.5; 0 < gamma <= 1 expected
    """

    gamma: float = 0.999999
    radius: Literal["noise", "published"] = "noise"
    lambda_: Ridge = 1.0
    delta: float | None = None
    norm: float | None = None
    forgets: bool = True

    def __post_init__(self):
        if not 0 < self.gamma <= 1:
            raise InvalidModelError(f"gamma is {self.gamma!r}; 0 < gamma <= 1 expected")
        check_choice(self.radius, "radius", ("noise", "published"))
        check_ridge(self.lambda_)
        check_deltas(self.delta)
        if self.norm is not None:
            check_positive(self.norm, "norm")

    def factors(self, task: Task) -> dict[str, float]:
        """Return the numbers that the radius is made of, by the kernels' names."""
        told, published = task.constants, self.radius == "published"
        task.finite("D-LinUCB")
        return {
            "RIDGE": task.ridge(self.lambda_),
            "C2": told.Theta if published else told.c2,
            "S2": told.sigma**2 if published else told.s2,
            "REACH": told.U if self.norm is None else self.norm,
            "LOG_DELTA": math.log(1 / task.failure(self.delta)),
            "DISCOUNT": self.gamma,
            "FORGETS": float(self.forgets),
        }

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return DiscountLearner(task, self.factors(task))

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        return Program("DISCOUNTED", self.factors(task))


class DiscountLearner(Learner):
    """D-LinUCB in plain Python."""

    def __init__(self, task: Task, factors: dict[str, float]):
        super().__init__(task)
        self.factors = factors
        d = task.actions.dimension
        self.V, self.W = factors["RIDGE"] * np.eye(d), factors["RIDGE"] * np.eye(d)
        self.b = np.zeros(d)

    def radius(self) -> float:
        """Return beta after t rounds."""
        f, gamma, t = self.factors, self.factors["DISCOUNT"], self.t
        N = -math.expm1(2 * t * math.log(gamma)) / (1 - gamma**2) if gamma < 1 else float(t)
        d = self.task.actions.dimension
        growth = d * math.log1p(N * f["REACH"] ** 2 / (d * f["RIDGE"]))
        noise = math.sqrt(f["S2"] * (2 * f["LOG_DELTA"] + growth))
        return f["C2"] * math.sqrt(f["RIDGE"]) + noise  # (3)

    def choose(self) -> tuple[Floats, int]:
        """Return the optimistic arm for one round."""
        self.beta = self.radius()
        V_inv, arms = np.linalg.inv(self.V), self.task.arms
        spread = V_inv @ self.W @ V_inv
        width = np.sqrt(((arms @ spread) * arms).sum(axis=1))
        k = first_best(arms @ (V_inv @ self.b) + self.beta * width)  # (2)
        self.width = float(width[k])
        return arms[k], 1

    def learn(self, u: Floats, count: int, total: float, last: float) -> None:
        """Discount and add a sample."""
        f, d = self.factors, u.size
        gamma = f["DISCOUNT"] if f["FORGETS"] else 1.0
        sample, one = np.outer(u, u), f["RIDGE"] * np.eye(d)
        self.V = gamma * self.V + sample + (1 - gamma) * one  # (1)
        self.W = gamma**2 * self.W + sample + (1 - gamma**2) * one
        self.b = gamma * self.b + u * last
