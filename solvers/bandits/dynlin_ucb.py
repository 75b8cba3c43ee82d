r"""DynLin-UCB: optimism with one sample per epoch, epochs long enough for the state to settle.

Problem       A dynamical linear bandit with unknown A, B, omega and theta; bounds on their sizes
              and on the powers of A are told. Small regret against the best constant action.
Algorithm     Epoch m = 1, 2, ... plays, for 1 + H_m rounds, an action of largest
              ``<h^, u> + beta ||u||_{V^-1}``,                                               (1)
              where ``H_m = log m / log(1 / rho)`` rounded down or up,                       (2)
              and uses its last reward alone: ``V += u u^T``, ``b += u y``, ``h^ = V^-1 b``. (3)
              Radius "paper", after t rounds, and "paper_ceil", with H_m rounded up:
              ``c1 / sqrt(lambda) log(e (t + 1)) + c2 sqrt(lambda)
              + sqrt(2 s2 (log(1 / delta) + d / 2 log(1 + t U^2 / (d lambda))))``.           (4)
              Radius "certified", H_m rounded up, S1 and S2 the sums of rho^H_l and of its square:
              ``C_b min(U S1 / sqrt(lambda), sqrt(S2)) + c2 sqrt(lambda)
              + sqrt(2 s2 (log(1 / delta) + log(det V / lambda^d) / 2))``.                   (5)
Guarantee     Certified: all sets ``||h^ - h||_V <= beta`` hold with probability at least
              1 - delta - delta', and then the regret is at most the certificate of the run,
              ``sum_m (1 + H_m) min(D, 2 beta ||u_m||_{V^-1})``. "paper_ceil" has it if the
              claimed X bounds every state; "paper" may lack it for small rho, where rounding down
              makes the sum of biases larger than the radius allows for.
Cost          O(d**2 + K d) per epoch for K arms, O(d**3) on a ball; O(n**2) per round is the
              system's. Memory independent of T.
Deviations    Ties are broken by the smallest index. With rho = 0 later epochs wait one round,
              unless `paper_edge`: a state that forgets at once still lags by a round.
References    Mussi, Metelli and Restelli (2023), Dynamical linear bandits, algorithm 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from solvers.bandits.interface import (
    TIE,
    Algorithm,
    Floats,
    Learner,
    Program,
    Ridge,
    Task,
    check_choice,
    check_deltas,
    check_ridge,
    draw,
    optimistic,
)
from solvers.bandits.ridge import Regression

Radius = Literal["paper", "paper_ceil", "certified"]


@dataclass(frozen=True)
class DynLinUCB(Algorithm):
    """DynLin-UCB.

    Parameters
    ----------
    radius : {"certified", "paper", "paper_ceil"}
        Radius of the confidence set, and rounding of the lengths of epochs.
    lambda_ : float or "log_T"
        Regulariser, above 0.
    delta : float, optional
        Probability that noise breaks the sets, 1 / T by default.
    delta_state : float, optional
        delta', the probability that a state exceeds its bound, by default that of noise.
    paper_edge : bool
        Whether epochs have one round for ever where rho = 0 is told.
    first_epoch : int, optional
        Number of rounds of the first epoch, 1 by default; 2 in published code.
    random_first : bool
        Whether the first action is drawn, as in published code.

    Raises
    ------
    InvalidModelError
        If `lambda_`, `delta`, `delta_state`, `radius` or `first_epoch` is out of range.

    Examples
    --------
    >>> from mdplib import models
    >>> bandit = models.dlb_synthetic(sigma=0.0)
    >>> learner = DynLinUCB(lambda_=1.0).init(bandit.constants(), 100, bandit.actions)
    >>> learner.act()
    array([0. , 0.5, 1. ])
    """

    radius: Radius = "certified"
    lambda_: Ridge = 1.0
    delta: float | None = None
    delta_state: float | None = None
    paper_edge: bool = False
    first_epoch: int | None = None
    random_first: bool = False
    has_set: ClassVar[bool] = True

    def __post_init__(self):
        from mdplib.errors import InvalidModelError

        check_choice(self.radius, "radius", ("paper", "paper_ceil", "certified"))
        check_ridge(self.lambda_)
        check_deltas(self.delta, self.delta_state)
        if self.first_epoch is not None and self.first_epoch < 1:
            raise InvalidModelError(f"first_epoch is {self.first_epoch!r}; at least 1 expected")

    def factors(self, task: Task) -> dict[str, float]:
        """Return the numbers that radius and schedule are made of, by the kernels' names."""
        told, delta = task.constants, task.failure(self.delta)
        still = told.Omega == 0 or told.B == 0  # the state earns nothing or never moves
        state = delta if self.delta_state is None else self.delta_state
        return {
            "RIDGE": task.ridge(self.lambda_),
            "RHO": told.rho,
            "SCHEDULE": 1.0 if self.radius == "paper" else 2.0,
            "LAG": 0.0 if still or self.paper_edge else 1.0,
            "RADIUS": 1.0 if self.radius == "certified" else 0.0,
            "C1": told.c1,
            "C2": told.c2,
            "S2": told.s2,
            "CB": told.bias(task.T, state),
            "REACH": told.U,
            "LOG_DELTA": math.log(1 / delta),
            "FIRST": float(self.first_epoch or 0),
            "RANDOM": float(self.random_first),
        }

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return EpochLearner(task, self.factors(task))

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        return Program("EPOCH", self.factors(task))


class EpochLearner(Learner):
    """DynLin-UCB, and algorithms without waits, in plain Python.

    Attributes
    ----------
    fit : Regression
        V, its inverse, and the estimate.
    m, H : int
        Number of the epoch, and how many rounds it waits.
    S1, S2 : float
        Sums of rho^H and of its square over the epochs completed.
    """

    def __init__(self, task: Task, factors: dict[str, float]):
        super().__init__(task)
        self.factors = factors
        self.fit = Regression(task.actions.dimension, factors["RIDGE"])
        self.m = self.H = 0
        self.S1 = self.S2 = 0.0
        self._decay, self._edge = 1.0, 1.0  # rho^H and rho^-H

    def choose(self) -> tuple[Floats, int]:
        """Return an optimistic action and the length of the next epoch."""
        self.beta = self.radius()
        u = optimistic(self.task.actions, self.fit.estimate, self.fit.V_inv, self.beta)  # (1)
        if self.m == 0 and self.factors["RANDOM"]:
            arms = self.task.finite("a random first action")
            u = arms[int(len(arms) * draw(self.task.seed, 0))]
        self.width = self.fit.width(u)
        self.m += 1
        self._wait()
        first = int(self.factors["FIRST"])
        return u, first if self.m == 1 and first else 1 + self.H

    def _wait(self) -> None:
        rho, schedule = self.factors["RHO"], self.factors["SCHEDULE"]
        if schedule and rho > 0:
            while self._short(rho, schedule):  # (2)
                self._edge /= rho
                self._decay *= rho
                self.H += 1
        elif self.m == 2:
            self.H = int(self.factors["LAG"])
            self._decay = 0.0 if self.H or self.factors["CB"] == 0 else 1.0

    def _short(self, rho: float, schedule: float) -> bool:
        if schedule == 1:
            return self.m * (1 + TIE) >= self._edge / rho
        return self.m > self._edge * (1 + TIE)

    def radius(self) -> float:
        """Return beta for the next epoch."""
        f, d, t = self.factors, self.task.actions.dimension, self.t
        if f["RADIUS"] == 2:
            return f["FIXED"]
        root = math.sqrt(f["RIDGE"])
        if f["RADIUS"] == 1:
            bias = f["CB"] * min(f["REACH"] * self.S1 / root, math.sqrt(self.S2))  # (5)
            growth = self.fit.logdet
        else:
            bias = f["C1"] / root * (1 + math.log(t + 1)) if f["C1"] > 0 else 0.0  # (4)
            growth = d * math.log1p(t * f["REACH"] ** 2 / (d * f["RIDGE"]))
        noise = math.sqrt(2 * f["S2"] * (f["LOG_DELTA"] + growth / 2))
        return bias + f["C2"] * root + noise

    def learn(self, u: Floats, count: int, total: float, last: float) -> None:
        """Use the last reward of an epoch."""
        self.S1 += self._decay
        self.S2 += self._decay**2
        self.fit.add(u, 1, last)  # (3)


__all__ = ["DynLinUCB", "EpochLearner"]
