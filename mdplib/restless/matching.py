"""Schedule constraints: an arm that is pulled takes two units of workers' time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError
from mdplib.optim.builder import MipBuilder
from mdplib.restless.action_set import (
    LIMIT,
    ActionColumns,
    Actions,
    Ints,
    as_rows,
    binary,
    pulled,
    require_few,
)
from mdplib.restless.border import table, whole
from mdplib.restless.counts import LIMIT as LIMIT_COUNTS
from mdplib.restless.counts import best_by_kind, fewest_actions

SLOTS = 10


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """All actions whose arms can be scheduled with the workers.

    A unit is a worker in a slot in which the worker is free. A pulled arm takes `need` units in
    slots in which the arm is free, of any workers; at most `budget` arms are pulled.

    Parameters
    ----------
    arm_free : (J, T) bool array
        When each arm is free.
    worker_free : (W, T) bool array
        When each worker is free.
    budget : int
        Largest number of pulls.
    need : int
        Units that a pull takes.

    Raises
    ------
    InvalidModelError
        On wrong shapes, a negative budget, a need below one, or if no arm can ever be pulled.

    Examples
    --------
    >>> one_slot = Schedule(np.ones((3, 1)), np.ones((2, 1)), budget=3)
    >>> one_slot.enumerate().sum(axis=1).tolist()
    [0, 1, 1, 1]
    """

    arm_free: NDArray[np.bool_]
    worker_free: NDArray[np.bool_]
    budget: int
    need: int = 2
    n_levels = 2

    def __post_init__(self):
        for name in ("arm_free", "worker_free"):
            array = table(getattr(self, name), name)
            object.__setattr__(self, name, array)
        if self.arm_free.shape[1] != self.worker_free.shape[1]:
            raise InvalidModelError(
                f"arms have {self.arm_free.shape[1]} slots and workers "
                f"{self.worker_free.shape[1]}; give both the same"
            )
        whole(self.budget, "budget", 0)
        whole(self.need, "need", 1)
        if self.budget and (self._free @ self.arm_free.T).max() < self.need:
            raise InvalidModelError(
                f"no arm finds {self.need} free units: no arm can ever be pulled; free more slots"
            )

    @property
    def n_actions(self) -> int:
        """Number of components of an action."""
        return self.arm_free.shape[0]

    @property
    def n_arms(self) -> int:
        """Number of arms."""
        return self.arm_free.shape[0]

    @property
    def most(self) -> int:
        """Upper bound on the number of pulls."""
        return min(self.budget, self.n_arms, int(self._free.sum()) // self.need)

    @cached_property
    def _free(self) -> Ints:
        """Free units in each slot, (T,)."""
        return self.worker_free.sum(axis=0).astype(np.int64)

    def levels(self, a: ArrayLike) -> Ints:
        """Return the level of each arm: pulled or not."""
        return np.asarray(a, dtype=np.int64)

    def contains(self, a: ArrayLike) -> bool:
        """Tell whether the pulled arms can be scheduled, by augmenting paths over the units."""
        chosen = np.flatnonzero(binary(a, self.n_arms))
        if chosen.size > self.budget:
            return False
        units = np.argwhere(self.worker_free)[:, 1]
        taken = [-1] * units.size
        copies = [int(j) for j in chosen for _ in range(self.need)]

        def augment(copy: int, seen: set[int]) -> bool:
            for u in np.flatnonzero(self.arm_free[copies[copy], units]).tolist():
                if u not in seen:
                    seen.add(u)
                    if taken[u] < 0 or augment(taken[u], seen):
                        taken[u] = copy
                        return True
            return False

        return all(augment(copy, set()) for copy in range(len(copies)))

    def describe(self, builder: MipBuilder) -> ActionColumns:
        """Add the number y_js of units that arm j takes in slot s; workers are interchangeable.

        The rows in y form a network, so y needs no integrality once the action is fixed.
        """
        action = builder.columns(self.n_arms, upper=1.0, integer=True)
        arm, slot = np.nonzero(self.arm_free)
        y = builder.columns(arm.size, upper=float(self.need))
        for j in range(self.n_arms):
            mine = y[arm == j]
            weights = [1.0] * mine.size + [-float(self.need)]
            builder.row([*mine, action[j]], weights, lower=0.0, upper=0.0)
        for s, units in enumerate(self._free):
            mine = y[slot == s]
            if mine.size:
                builder.row(mine, upper=float(units))
        builder.row(action, upper=float(self.budget))
        return pulled(self.n_arms, action)

    @cached_property
    def _kinds(self) -> tuple[Ints, Ints, Ints]:
        """Return what Hall's condition says: slots of each kind of arm, of each arm, and room.

        Arms with the same free slots are of one kind. For every set of slots, the arms that have
        no other slots may not be more than its units can serve.
        """
        slots = self.arm_free.shape[1]
        masks = (np.arange(1 << slots)[:, None] >> np.arange(slots)) & 1
        mine, kind = np.unique(self.arm_free @ (1 << np.arange(slots)), return_inverse=True)
        inside = (mine[:, None] & ~np.arange(1 << slots)) == 0  # (K, 2^T)
        return inside.astype(np.int64), kind, masks @ self._free // self.need

    @cached_property
    def _inside_of_arms(self) -> Ints:
        """Return whether each arm has no slots but those of each set, (J, 2^T)."""
        inside, kind, _ = self._kinds
        return inside[kind]

    @cached_property
    def _counts(self) -> Ints | None:
        """Return the largest feasible numbers of arms of each kind, (m, K)."""
        if self.arm_free.shape[1] > SLOTS:
            return None
        inside, kind, room = self._kinds
        present = np.bincount(kind)
        counts, used = np.zeros((1, 0), dtype=np.int64), np.zeros((1, room.size), dtype=np.int64)
        for k, most in enumerate(np.minimum(present, self.budget).tolist()):
            n = np.arange(most + 1)
            more = (used[:, None] + n[:, None] * inside[k]).reshape(-1, room.size)
            fits = (more <= room).all(axis=1) & (more[:, -1] <= self.budget)
            both = np.column_stack([counts.repeat(n.size, axis=0), np.tile(n, len(counts))])
            counts, used = both[fits], more[fits]
            if len(counts) > LIMIT_COUNTS:
                return None
        extends = [
            (counts[:, k] < present[k]) & (used + inside[k] <= room).all(axis=1)
            for k in range(len(present))
        ]
        return counts[(used[:, -1] == self.budget) | ~np.any(extends, axis=0)]

    def maximise(self, gain: NDArray[np.float64]) -> Actions | None:
        """Return the action of the largest sum of gains (N,), None if programs must find it."""
        return None if self._counts is None else best_by_kind(self._counts, self._kinds[1], gain)

    def enumerate(self, limit: int = LIMIT) -> Actions:
        """Return all actions, by Hall's condition on every set of slots."""
        if self._counts is not None:
            require_few(fewest_actions(self._counts, self._kinds[1]), limit)
        use, room = self._inside_of_arms, self._kinds[2]
        found: list[tuple[int, ...]] = []

        def grow(members: tuple[int, ...], used: Ints) -> None:
            found.append(members)
            if len(found) > limit or len(members) == self.budget:
                return
            for j in range(members[-1] + 1 if members else 0, self.n_arms):
                more = used + use[j]
                if (more <= room).all():
                    grow((*members, j), more)

        grow((), np.zeros(room.size, dtype=np.int64))
        return as_rows(found, self.n_arms, limit)

    def sample(self, rng: np.random.Generator) -> Actions:
        """Draw arms in random order, each kept if the schedule still works out."""
        a = np.zeros(self.n_arms, dtype=np.int8)
        if self.arm_free.shape[1] > SLOTS:
            for j in rng.permutation(self.n_arms):
                a[j] = 1
                if not self.contains(a):
                    a[j] = 0
            return a
        use, left = self._inside_of_arms, self._kinds[2].copy()
        for j in rng.permutation(self.n_arms):
            if a.sum() < self.budget and (use[j] <= left).all():
                a[j] = 1
                left -= use[j]
        return a

    def __repr__(self) -> str:
        workers, slots = self.worker_free.shape
        return f"Schedule({self.n_arms} arms, {workers} workers, {slots} slots)"
