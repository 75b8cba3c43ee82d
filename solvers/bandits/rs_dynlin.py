r"""RS-DynLin: every reward counts, actions change rarely.

Problem       That of DynLin-UCB.
Algorithm     Ridge regression on all rewards. An action of largest
              ``<h^, u> + beta ||u||_{V^-1}`` is held until det V has grown by more than the factor
              1 + C since it was chosen: for ``floor(C / ||u||^2_{V^-1}) + 1`` rounds.         (1)
              As y_t = <h, u_t> + noise + g^T (x_t - x_{t+1}), errors made by the state telescope
              while an action is held, and only switches remain:
              ``beta = Q (sum over switches of ||u_s - u_{s-1}||_{V^-1} + ||u||_{V^-1})
              + G ||x_1|| ||u_1||_{V^-1} + c2 sqrt(lambda)
              + sqrt(2 sigma^2 (1 + G^2) (log(1 / delta) + log(det V / lambda^d) / 2))``,      (2)
              where ``|g^T x_t| <= Q`` and ||g|| <= G; the sum over switches is taken anew with the
              current V at every choice.
Guarantee     All sets ``||h^ - h||_V <= beta`` hold with probability at least 1 - delta - delta',
              and then the regret is at most the certificate, the sum over rounds of
              ``min(D, 2 beta ||u||_{V^-1})`` with beta and V of the choice. There are at most
              ``d log(1 + T U^2 / (d lambda)) / log(1 + C)`` changes, plus one.
Cost          O(S d**2) per choice after S switches; logarithmically many choices and switches.
Deviations    Ties are broken by the smallest index.
References    The identity is that of Mussi, Metelli and Restelli (2023), theorem 2.1; rare switches
              follow Abbasi-Yadkori, Pal and Szepesvari (2011), section 5.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdplib.dynamical_bandit import DynamicalLinearBandit
from solvers.bandits.interface import (
    TIE,
    Algorithm,
    Floats,
    Learner,
    Program,
    Ridge,
    Task,
    check_deltas,
    check_positive,
    check_ridge,
    optimistic,
)
from solvers.bandits.ridge import Regression


@dataclass(frozen=True)
class RSDynLin(Algorithm):
    """RS-DynLin.

    Parameters
    ----------
    C : float
        By how much det V grows, relatively, before a new choice; above 0.
    lambda_ : float or "log_T"
        Regulariser, above 0.
    delta, delta_state : float, optional
        Probability that noise breaks the sets, and that a state does, 1 / T by default.
    G, Q : float, optional
        Known bounds on ||g|| and ``|g^T x_t|``; by default those that the constants give.

    Raises
    ------
    InvalidModelError
        If a hyper-parameter is out of range.

    Examples
    --------
    >>> from mdplib import models
    >>> bandit = models.dlb_synthetic()
    >>> told = RSDynLin().factors(bandit.constants(), 10**5)["Q"]
    >>> knows = RSDynLin.informed(bandit, 10**5).factors(bandit.constants(), 10**5)["Q"]
    >>> bool(knows < told)
    True
    """

    C: float = 1.0
    lambda_: Ridge = 1.0
    delta: float | None = None
    delta_state: float | None = None
    G: float | None = None
    Q: float | None = None
    has_set: ClassVar[bool] = True

    def __post_init__(self):
        check_positive(self.C, "C")
        check_ridge(self.lambda_)
        check_deltas(self.delta, self.delta_state)
        for name in ("G", "Q"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                from mdplib.errors import InvalidModelError

                raise InvalidModelError(f"{name} is {value!r}; a finite number >= 0 expected")

    @classmethod
    def informed(
        cls, bandit: DynamicalLinearBandit, T: int, *, C: float = 1.0, lambda_: Ridge = 1.0
    ) -> RSDynLin:
        """Return the algorithm that is told ||g|| and the exact reach of g^T x_t.

        Parameters
        ----------
        bandit : DynamicalLinearBandit
            The system.
        T : int
            Number of rounds.
        C, lambda_ : float
            Hyper-parameters.

        Returns
        -------
        RSDynLin
            To measure what not knowing the system costs.
        """
        return cls(C=C, lambda_=lambda_, G=_norm(bandit.g), Q=reach(bandit, T, 1 / max(T, 2)))

    def factors(self, constants, T: int) -> dict[str, float]:
        """Return the numbers that the radius is made of, by the kernels' names."""
        delta = 1 / max(T, 2) if self.delta is None else self.delta
        state = delta if self.delta_state is None else self.delta_state
        ridge = math.log(max(T, 2)) if self.lambda_ == "log_T" else float(self.lambda_)
        G = constants.G if self.G is None else self.G
        return {
            "RIDGE": ridge,
            "RADIUS": 1.0,
            "C2": constants.c2,
            "S2": constants.sigma**2 * (1 + G**2),
            "REACH": constants.U,
            "LOG_DELTA": math.log(1 / delta),
            "FACTOR": self.C,
            "Q": constants.boundary(T, state) if self.Q is None else self.Q,
            "START": G * constants.start,
        }

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return SwitchLearner(task, self.factors(task.constants, task.T))

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        factors = self.factors(task.constants, task.T)
        d, ridge = task.constants.d, factors["RIDGE"]
        growth = d * math.log1p(task.T * task.actions.radius**2 / (d * ridge))
        most = min(task.T, int(growth / math.log1p(self.C) * (1 + 1e-9)) + 2)
        return Program("SWITCH", factors, capacity=most)


class SwitchLearner(Learner):
    """RS-DynLin in plain Python.

    Attributes
    ----------
    fit : Regression
        V, its inverse, and the estimate.
    jumps : list of (d,) float64
        Differences of the actions at every switch.
    """

    def __init__(self, task: Task, factors: dict[str, float]):
        super().__init__(task)
        self.factors = factors
        self.fit = Regression(task.actions.dimension, factors["RIDGE"])
        self.jumps: list[Floats] = []
        self._first: Floats | None = None

    def choose(self) -> tuple[Floats, int]:
        """Return an optimistic action and for how long det V allows to hold it."""
        self.beta = self.radius()
        u = optimistic(self.task.actions, self.fit.estimate, self.fit.V_inv, self.beta)
        self.width = self.fit.width(u)
        if self._first is None:
            self._first = u
        elif (u != self._u).any():
            self.jumps.append(u - self._u)
        rest = max(self.task.T - self.t, 1)
        square, C = self.width**2, self.factors["FACTOR"]
        if square * rest <= C:
            return u, rest
        return u, min(rest, math.floor(C / square * (1 + TIE)) + 1)  # (1)

    def radius(self) -> float:
        """Return beta for the next choice."""
        f, edges = self.factors, 0.0
        if self._first is not None:
            edges = sum(self.fit.width(jump) for jump in self.jumps) + self.fit.width(self._u)
            edges = f["Q"] * edges + f["START"] * self.fit.width(self._first)
        noise = math.sqrt(2 * f["S2"] * (f["LOG_DELTA"] + self.fit.logdet / 2))
        return edges + f["C2"] * math.sqrt(f["RIDGE"]) + noise  # (2)

    def learn(self, u: Floats, count: int, total: float, last: float) -> None:
        """Use the sum of all rewards of an action."""
        self.fit.add(u, count, total)


def reach(bandit: DynamicalLinearBandit, T: int, delta: float) -> float:
    """Bound ``|g^T x_t|`` in the rounds 1 to T + 1, with probability 1 - delta, for a known system.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The system.
    T : int
        Number of rounds, at least 1.
    delta : float
        Probability of failure, in (0, 1).

    Returns
    -------
    float
        Largest response of g^T x to any actions, plus the initial state's, plus the noise's.
    """
    row, paid, spread, start = bandit.g.copy(), 0.0, 0.0, abs(float(bandit.g @ bandit.x0))
    scale = _norm(row)
    for _ in range(100_000):
        response = bandit.B.T @ row
        paid += max(bandit.actions.best(response)[1], bandit.actions.best(-response)[1])
        spread += float(row @ row)
        row = bandit.A.T @ row
        start = max(start, abs(float(row @ bandit.x0)))
        if _norm(row) <= 1e-17 * scale:
            break
    noise = bandit.state_noise * math.sqrt(2 * spread * math.log(2 * (T + 1) / delta))
    return paid + start + noise


def _norm(x: Floats) -> float:
    return float(np.linalg.norm(x))
