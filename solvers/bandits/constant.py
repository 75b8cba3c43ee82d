r"""Constant actions: an expert's, and the best there is.

Problem       To have something to compare with.
Algorithm     Plays one action in every round.
Guarantee     The clairvoyant has no regret: no policy has a better long-run reward than the best
              constant action.
Cost          Nothing.
Deviations    None.
References    Mussi, Metelli and Restelli (2023), theorem 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdplib.errors import InvalidModelError, NotApplicableError
from solvers.bandits.interface import Algorithm, Floats, Learner, Program, Task


@dataclass(frozen=True)
class Expert(Algorithm):
    """An action given beforehand.

    Parameters
    ----------
    u : tuple of float
        The action.

    Raises
    ------
    InvalidModelError
        If `u` is not finite; later, if it is not among the actions.

    Examples
    --------
    >>> Expert((1.0, 0.5, 0.0)).u
    (1.0, 0.5, 0.0)
    """

    u: tuple[float, ...]

    def __post_init__(self):
        u = np.asarray(self.u, dtype=np.float64)
        if u.ndim != 1 or not np.isfinite(u).all():
            raise InvalidModelError(f"u is {self.u!r}; a finite vector expected")
        object.__setattr__(self, "u", tuple(float(x) for x in u))

    def action(self, task: Task) -> Floats:
        """Return the action, which must be among those of the task."""
        u = np.array(self.u)
        if u.size != task.actions.dimension or not task.actions.contains(u):
            raise InvalidModelError(f"u is {self.u!r}, which is not among {task.actions!r}")
        return u

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return HoldLearner(task, self.action(task))

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        return Program("HOLD", u=self.action(task))


@dataclass(frozen=True)
class Clairvoyant(Algorithm):
    """The best constant action, which only those play who know h."""

    def action(self, task: Task) -> Floats:
        """Return the best constant action."""
        if task.h is None:
            raise NotApplicableError("h is known: the clairvoyant needs the Markov parameter h")
        return task.actions.best(task.h)[0]

    def learner(self, task: Task) -> Learner:
        """Return the learner in plain Python."""
        return HoldLearner(task, self.action(task))

    def program(self, task: Task) -> Program:
        """Return the learner as the compiled driver knows it."""
        return Program("HOLD", u=self.action(task))


class HoldLearner(Learner):
    """One action for ever."""

    def __init__(self, task: Task, u: Floats):
        super().__init__(task)
        self.u = u

    def choose(self) -> tuple[Floats, int]:
        """Return the action for all rounds."""
        return self.u, max(self.task.T - self.t, 1)

    def learn(self, u: Floats, count: int, total: float, last: float) -> None:
        """Learn nothing."""
