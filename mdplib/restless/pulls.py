"""The plain budget: at most B arms, any B."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.optim.builder import MipBuilder
from mdplib.restless.action_set import LIMIT, ActionColumns, Actions, Ints, as_rows, binary, pulled
from mdplib.restless.border import whole

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Budget:
    """All actions that pull at most B of the arms.

    Parameters
    ----------
    n_arms : int
        Number of arms, J.
    budget : int
        Largest number of pulls, B; at least 0.

    Raises
    ------
    InvalidModelError
        If there is no arm, or the budget is negative.

    Examples
    --------
    >>> Budget(3, 1).enumerate()
    array([[0, 0, 0],
           [1, 0, 0],
           [0, 1, 0],
           [0, 0, 1]], dtype=int8)
    """

    n_arms: int
    budget: int
    n_levels = 2

    def __post_init__(self):
        whole(self.n_arms, "n_arms", 1)
        whole(self.budget, "budget", 0)

    @property
    def n_actions(self) -> int:
        """Number of components of an action."""
        return self.n_arms

    @property
    def most(self) -> int:
        """Largest number of pulls."""
        return min(self.budget, self.n_arms)

    def levels(self, a: ArrayLike) -> Ints:
        """Return the level of each arm: pulled or not."""
        return np.asarray(a, dtype=np.int64)

    def contains(self, a: ArrayLike) -> bool:
        """Tell whether at most B arms are pulled."""
        return int(binary(a, self.n_arms).sum()) <= self.budget

    def describe(self, builder: MipBuilder) -> ActionColumns:
        """Add one row: the sum is at most B."""
        action = builder.columns(self.n_arms, upper=1.0, integer=True)
        builder.row(action, upper=float(self.budget))
        return pulled(self.n_arms, action)

    def maximise(self, gain: Floats) -> Actions:
        """Return the action of the largest sum of gains (N,): the best ones, if positive."""
        best = np.argsort(-gain, kind="stable")[: self.budget]
        a = np.zeros(self.n_arms, dtype=np.int8)
        a[best[gain[best] > 0.0]] = 1
        return a

    def enumerate(self, limit: int = LIMIT) -> Actions:
        """Return all actions, by their sorted members."""
        total = sum(math.comb(self.n_arms, k) for k in range(self.most + 1))
        sizes = range(self.most + 1) if total <= limit else range(0)
        chosen = [c for k in sizes for c in itertools.combinations(range(self.n_arms), k)]
        return as_rows(chosen if total <= limit else [()] * (limit + 1), self.n_arms, limit)

    def sample(self, rng: np.random.Generator) -> Actions:
        """Draw B arms without replacement."""
        a = np.zeros(self.n_arms, dtype=np.int8)
        a[rng.choice(self.n_arms, self.most, replace=False)] = 1
        return a
