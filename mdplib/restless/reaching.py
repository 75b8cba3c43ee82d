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

LARGEST_BLOCK = 12


@dataclass(frozen=True, eq=False)
class _Block:
    """Interventions that share arms, the arms, and all subsets by size with the arms' levels."""

    taken: Ints
    arms: Ints
    subsets: Ints
    level: Ints
    ends: Ints  # where the subsets of each size end


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

    @cached_property
    def _blocks(self) -> list[_Block] | None:
        """Return what can be done in each part that shares no arm with others; None if too much."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        together = csr_array(self.reaches.T.astype(np.int64) @ self.reaches.astype(np.int64))
        n, part = connected_components(together, directed=False)
        blocks = []
        for i in range(n):
            taken = np.flatnonzero(part == i)
            if taken.size > LARGEST_BLOCK:
                return None
            arms = np.flatnonzero(self.reaches[:, taken].any(axis=1))
            subsets = (np.arange(1 << taken.size)[:, None] >> np.arange(taken.size)) & 1
            level = subsets @ self.reaches[np.ix_(arms, taken)].T.astype(np.int64)
            order = np.argsort(subsets.sum(axis=1), kind="stable")
            ends = np.cumsum([math.comb(taken.size, k) for k in range(taken.size + 1)])
            blocks.append(_Block(taken, arms, subsets[order], level[order], ends))
        return blocks

    def maximise_levels(self, weights: NDArray[np.float64]) -> Actions | None:
        """Return the action of the largest sum of weights (J, L), None if programs must find it.

        Interventions that share no arm, not even by others in between, are worth the sum of what
        they are worth apart: of each such block all subsets are compared, and the numbers taken
        from the blocks are chosen by dynamic programming.
        """
        if self._blocks is None:
            return None
        total = np.full(self.budget + 1, -np.inf)  # of the blocks so far, by interventions taken
        total[0], choices = 0.0, []
        for block in self._blocks:
            worth = weights[block.arms, block.level].sum(axis=1)
            starts = np.concatenate([[0], block.ends[:-1]])
            first = [
                int(a + np.argmax(worth[a:b])) for a, b in zip(starts, block.ends, strict=True)
            ]
            sums = np.full((len(first), self.budget + 1), -np.inf)
            for k in range(min(len(first), self.budget + 1)):
                sums[k, k:] = total[: self.budget + 1 - k] + worth[first[k]]
            choices.append((block, first, sums.argmax(axis=0)))
            total = sums.max(axis=0)
        a, left = np.zeros(self.n_actions, dtype=np.int8), self.budget
        for block, first, chosen in reversed(choices):
            k = int(chosen[left])
            a[block.taken] = block.subsets[first[k]]
            left -= k
        return a

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
