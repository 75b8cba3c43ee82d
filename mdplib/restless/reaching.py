"""Multiple interventions: each action reaches several arms, each arm counts what reaches it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError
from mdplib.optim.builder import MipBuilder
from mdplib.restless.action_set import LIMIT, ActionColumns, Actions, Ints, as_rows, binary
from mdplib.restless.border import table, whole


@dataclass(frozen=True, eq=False, repr=False)
class Interventions:
    """All actions that take exactly B of the N interventions.

    The level of an arm is the number of taken interventions that reach it.

    Parameters
    ----------
    reaches : (J, N) bool array
        Which interventions reach which arm.
    budget : int
        Number of interventions taken, B; at most N.

    Raises
    ------
    InvalidModelError
        On a wrong shape, or if B is not in 0..N.

    Examples
    --------
    >>> two = Interventions([[1, 1, 0], [0, 0, 1]], budget=2)
    >>> two.levels(two.enumerate()).tolist()
    [[2, 0], [1, 1], [1, 1]]
    """

    reaches: NDArray[np.bool_]
    budget: int

    def __post_init__(self):
        reaches = table(self.reaches, "reaches")
        if whole(self.budget, "budget", 0) > reaches.shape[1]:
            raise InvalidModelError(
                f"budget {self.budget} of {reaches.shape[1]} interventions; give 0..N"
            )
        object.__setattr__(self, "reaches", reaches)

    @property
    def n_actions(self) -> int:
        """Number of interventions, N."""
        return self.reaches.shape[1]

    @property
    def n_arms(self) -> int:
        """Number of arms, J."""
        return self.reaches.shape[0]

    @property
    def most(self) -> int:
        """Number of interventions taken."""
        return self.budget

    @cached_property
    def degree(self) -> Ints:
        """Number of interventions that reach each arm, (J,)."""
        return self.reaches.sum(axis=1).astype(np.int64)

    @property
    def n_levels(self) -> int:
        """One more than the largest degree."""
        return int(self.degree.max()) + 1

    def levels(self, a: ArrayLike) -> Ints:
        """Return how many of the taken interventions reach each arm."""
        return np.asarray(a, dtype=np.int64) @ self.reaches.T.astype(np.int64)

    def contains(self, a: ArrayLike) -> bool:
        """Tell whether exactly B interventions are taken."""
        return int(binary(a, self.n_actions).sum()) == self.budget

    def describe(self, builder: MipBuilder) -> ActionColumns:
        """Add level columns y_jn, one of which is one, with sum_n n y_jn = sum of what reaches j.

        This is exact for any dependence of an arm on its level: no piecewise linear fit.
        """
        action = builder.columns(self.n_actions, upper=1.0, integer=True)
        builder.row(action, lower=float(self.budget), upper=float(self.budget))
        level = np.full((self.n_arms, self.n_levels), -1, dtype=np.int64)
        for j, degree in enumerate(self.degree.tolist()):
            y = builder.columns(degree + 1, upper=1.0, integer=degree > 1)
            level[j, : degree + 1] = y
            builder.row(y, lower=1.0, upper=1.0)
            reaching = action[self.reaches[j]]
            weights = np.concatenate([np.arange(degree + 1.0), -np.ones(reaching.size)])
            builder.row(np.concatenate([y, reaching]), weights, lower=0.0, upper=0.0)
        return ActionColumns(action, level)

    def enumerate(self, limit: int = LIMIT) -> Actions:
        """Return all actions."""
        if math.comb(self.n_actions, self.budget) > limit:
            return as_rows([()] * (limit + 1), self.n_actions, limit)
        chosen = list(itertools.combinations(range(self.n_actions), self.budget))
        return as_rows(chosen, self.n_actions, limit)

    def sample(self, rng: np.random.Generator) -> Actions:
        """Draw B interventions without replacement."""
        a = np.zeros(self.n_actions, dtype=np.int8)
        a[rng.choice(self.n_actions, self.budget, replace=False)] = 1
        return a

    def __repr__(self) -> str:
        return f"Interventions({self.budget} of {self.n_actions} on {self.n_arms} arms)"
