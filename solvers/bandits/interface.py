"""What every algorithm for dynamical linear bandits shares: a task, a plain learner, a program.

An algorithm is a frozen record of its hyper-parameters. `Algorithm.init` starts a learner written
in plain Python, to be read and to be stepped through::

    learner = algorithm.init(constants, T, actions)
    for _ in range(T):
        u = learner.act()
        learner.update(reward_of(u))

`Algorithm.program` describes the same learner to the compiled driver (`solvers.bandits.run`). Both
hold an action for some rounds and then learn from the rewards of those rounds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mdplib.action_sets import ActionSet, Ball
from mdplib.bandit_constants import Constants, check_delta, check_rounds
from mdplib.errors import InvalidModelError, NotApplicableError

Floats = NDArray[np.float64]
Ridge = float | Literal["log_T"]
TIE = 1e-12  # an index must be larger by this much, relatively, to beat an earlier arm


@dataclass(frozen=True, eq=False)
class Task:
    """What a learner is started with.

    Parameters
    ----------
    constants : Constants
        What it is told about the system.
    T : int
        Number of rounds.
    actions : FiniteArms, Polytope or Ball
        What it may play.
    h : (d,) float64, optional
        The cumulative Markov parameter, for learners that know it.
    seed : int
        Seed of the noise and of what the learner draws.
    """

    constants: Constants
    T: int
    actions: ActionSet
    h: Floats | None = None
    seed: int = 0

    def __post_init__(self):
        check_rounds(self.T)
        if self.actions.dimension != self.constants.d:
            raise InvalidModelError(
                f"the actions have {self.actions.dimension} components, but the constants speak "
                f"of d = {self.constants.d}"
            )

    @property
    def arms(self) -> Floats:
        """The arms (K, d); none for a ball."""
        if isinstance(self.actions, Ball):
            return np.empty((0, self.actions.dimension))
        return self.actions.arms

    def finite(self, name: str) -> Floats:
        """Return the arms, or raise because the named algorithm needs finitely many."""
        if isinstance(self.actions, Ball):
            raise NotApplicableError(f"finitely many actions: {name} plays arms, not a ball")
        return self.actions.arms

    def ridge(self, lambda_: Ridge) -> float:
        """Return the regulariser; "log_T" is log T, where T = 1 counts as 2."""
        return math.log(max(self.T, 2)) if lambda_ == "log_T" else float(lambda_)

    def failure(self, delta: float | None) -> float:
        """Return a probability of failure; by default 1 / T, where T = 1 counts as 2."""
        return 1.0 / max(self.T, 2) if delta is None else delta


@dataclass(frozen=True)
class Program:
    """A learner as the compiled driver knows it.

    Parameters
    ----------
    kind : str
        Name of a kind in `mdplib._kernels.bandits`.
    par : mapping of str to float
        Parameters, by the names of the kernels.
    capacity : int
        Number of switches that are kept.
    u : (d,) float64, optional
        The action of a learner that has but one.
    """

    kind: Literal["HOLD", "EPOCH", "SWITCH", "DISCOUNTED", "AR2", "EXP3", "UCB1"]
    par: Mapping[str, float] = field(default_factory=dict)
    capacity: int = 0
    u: Floats | None = None


class Learner(ABC):
    """A learner in plain Python: `act`, then `update` with the reward, in every round."""

    def __init__(self, task: Task):
        self.task = task
        self.t = 0  # rounds played
        self.decisions = 0
        self.beta = math.nan  # radius and width at the last choice
        self.width = math.nan
        self._left = 0
        self._length = 0
        self._total = 0.0
        self._u: Floats = np.zeros(task.actions.dimension)

    @abstractmethod
    def choose(self) -> tuple[Floats, int]:
        """Return the next action and for how many rounds it is held."""

    @abstractmethod
    def learn(self, u: Floats, count: int, total: float, last: float) -> None:
        """Use the rewards of an action whose rounds are over: their sum and the last."""

    def act(self) -> Floats:
        """Return the action of this round, (d,)."""
        if self._left == 0:
            self._u, self._left = self.choose()
            self._length, self._total = self._left, 0.0
            self.decisions += 1
        return self._u

    def update(self, y: float) -> None:
        """Take the reward of this round."""
        if self._left == 0:
            raise InvalidModelError("update() without act(): a round has one act and one update")
        self._left -= 1
        self._total += y
        self.t += 1
        if self._left == 0:
            self.learn(self._u, self._length, self._total, float(y))


class Algorithm(ABC):
    """Hyper-parameters of an algorithm; frozen records derive from it."""

    has_set: ClassVar[bool] = False

    def init(
        self,
        constants: Constants,
        T: int,
        actions: ActionSet,
        *,
        h: Floats | None = None,
        seed: int = 0,
    ) -> Learner:
        """Start a learner in plain Python.

        Parameters
        ----------
        constants : Constants
            What it is told about the system.
        T : int
            Number of rounds, at least 1.
        actions : FiniteArms, Polytope or Ball
            What it may play.
        h : (d,) float64, optional
            The cumulative Markov parameter, for learners that know it.
        seed : int
            Seed of what it draws.

        Returns
        -------
        Learner
            With `act` and `update`.

        Raises
        ------
        InvalidModelError
            If T < 1, or the actions and the constants disagree about d.
        NotApplicableError
            If the algorithm needs finitely many actions and has a ball.
        """
        return self.learner(Task(constants, T, actions, h, seed))

    @abstractmethod
    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""

    @abstractmethod
    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""


def first_best(index: Floats) -> int:
    """Return the first arm that no later one beats by more than rounding.

    Examples
    --------
    >>> first_best(np.array([1.0, 1.0 + 1e-14, 0.5]))
    0
    """
    best = 0
    for k in range(1, len(index)):
        if index[k] > index[best] + TIE * abs(index[best]):
            best = k
    return best


def optimistic(actions: ActionSet, estimate: Floats, V_inv: Floats, beta: float) -> Floats:
    """Return an action of largest <h^, u> + beta ||u||_{V^-1}, the first of the best arms."""
    if isinstance(actions, Ball):
        return actions.optimistic(estimate, V_inv, beta)[0]
    width = np.sqrt(np.maximum(((actions.arms @ V_inv) * actions.arms).sum(axis=1), 0.0))
    return actions.arms[first_best(actions.arms @ estimate + beta * width)]


def draw(seed: int, number: int) -> float:
    """Return the uniform number that a learner of this seed draws for the given time."""
    from mdplib import _kernels

    noise = _kernels.noise
    return float(noise.uniform(np.uint64(seed), np.uint64(noise.LEARNER), np.uint64(number)))


def check_ridge(lambda_: Ridge) -> None:
    """Raise unless lambda is "log_T" or a positive number."""
    if lambda_ != "log_T" and (isinstance(lambda_, str) or not (0 < float(lambda_) < math.inf)):
        raise InvalidModelError(f'lambda_ is {lambda_!r}; a number above 0 or "log_T" expected')


def check_deltas(*deltas: float | None) -> None:
    """Raise unless every given probability of failure lies in (0, 1)."""
    for delta in deltas:
        if delta is not None:
            check_delta(delta)


def check_choice(value: str, name: str, allowed: tuple[str, ...]) -> None:
    """Raise unless an option is one of those allowed."""
    if value not in allowed:
        raise InvalidModelError(f"{name} is {value!r}; one of {', '.join(allowed)} expected")


def check_positive(value: float, name: str) -> None:
    """Raise unless a number is finite and above 0."""
    if not 0 < value < math.inf:
        raise InvalidModelError(f"{name} is {value!r}; a finite number above 0 expected")
