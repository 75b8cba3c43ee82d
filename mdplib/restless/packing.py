"""Capacity constraints: workers with capacities share out the arms they can afford."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

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
from mdplib.restless.border import numbers
from mdplib.restless.counts import LIMIT as LIMIT_COUNTS
from mdplib.restless.counts import best_by_kind, fewest_actions

_SMALL = 1e-9
PATTERNS = 400
Formulation = Literal["patterns", "assignment"]


@dataclass(frozen=True, repr=False)
class Capacity:
    """All actions whose arms can be packed into the workers' capacities.

    Parameters
    ----------
    cost : sequence of float
        Cost c_j > 0 of pulling each arm.
    capacity : sequence of float
        Capacity of each worker.
    formulation : {"patterns", "assignment"}
        How programs describe the set. Patterns say how many arms of each cost a worker pulls, and
        are assigned one by one only if there are too many; assignments say which worker pulls
        which arm. Actions are the same, the relaxation of patterns is smaller.

    Raises
    ------
    InvalidModelError
        If a cost is not positive, a number is not finite, or no worker can afford any arm.

    Examples
    --------
    >>> Capacity(cost=[3, 2, 2], capacity=[3, 2]).enumerate().sum(axis=1).tolist()
    [0, 1, 2, 2, 1, 2, 1]
    """

    cost: tuple[float, ...]
    capacity: tuple[float, ...]
    formulation: Formulation
    n_levels = 2
    _packs: dict[tuple[int, ...], bool] = field(default_factory=dict, init=False, compare=False)

    def __init__(
        self,
        cost: Sequence[float] | ArrayLike,
        capacity: Sequence[float] | ArrayLike,
        formulation: Formulation = "patterns",
    ):
        if formulation not in get_args(Formulation):
            raise InvalidModelError(
                f"formulation {formulation!r}; one of {', '.join(get_args(Formulation))}"
            )
        costs, capacities = numbers(cost, "cost"), numbers(capacity, "capacity")
        if (costs <= 0).any():
            j = int(np.argmax(costs <= 0))
            raise InvalidModelError(f"arm {j} costs {costs[j]:g}; give positive costs")
        if (capacities < 0).any():
            i = int(np.argmax(capacities < 0))
            raise InvalidModelError(f"worker {i} has capacity {capacities[i]:g}; give >= 0")
        if capacities.max() < costs.min():
            raise InvalidModelError(
                f"the largest capacity is {capacities.max():g} and the cheapest arm costs "
                f"{costs.min():g}: no arm can ever be pulled; raise a capacity"
            )
        object.__setattr__(self, "cost", tuple(costs.tolist()))
        object.__setattr__(self, "capacity", tuple(capacities.tolist()))
        object.__setattr__(self, "formulation", formulation)
        object.__setattr__(self, "_packs", {})

    @property
    def n_actions(self) -> int:
        """Number of components of an action."""
        return len(self.cost)

    @property
    def n_arms(self) -> int:
        """Number of arms."""
        return len(self.cost)

    @property
    def most(self) -> int:
        """Upper bound on the number of pulls: each worker fills up with the cheapest arms."""
        cheapest = np.cumsum(np.sort(self.cost))
        each = [int(np.searchsorted(cheapest, k + _SMALL, side="right")) for k in self.capacity]
        total = int(np.searchsorted(cheapest, sum(self.capacity) + _SMALL, side="right"))
        return min(sum(each), total)

    @cached_property
    def _sizes(self) -> tuple[float, ...]:
        return tuple(sorted(set(self.cost), reverse=True))

    @cached_property
    def _kind(self) -> tuple[int, ...]:
        return tuple(self._sizes.index(c) for c in self.cost)

    def levels(self, a: ArrayLike) -> Ints:
        """Return the level of each arm: pulled or not."""
        return np.asarray(a, dtype=np.int64)

    def _fits(self, counts: tuple[int, ...]) -> bool:
        """Tell whether so many arms of each cost can be packed; answers are kept."""
        known = self._packs.get(counts)
        if known is None:
            items = [self._sizes[k] for k, n in enumerate(counts) for _ in range(n)]
            known = _pack(items, tuple(sorted(self.capacity)))
            self._packs[counts] = known
        return known

    def contains(self, a: ArrayLike) -> bool:
        """Tell whether the pulled arms can be packed, by a search over the workers."""
        chosen = np.flatnonzero(binary(a, self.n_arms))
        counts = np.bincount([self._kind[j] for j in chosen], minlength=len(self._sizes))
        return self._fits(tuple(counts.tolist()))

    def describe(self, builder: MipBuilder) -> ActionColumns:
        """Add how often each maximal pattern of costs is used by the workers of each capacity.

        A pattern says how many arms of each cost one worker pulls. Arms of equal cost, and workers
        of equal capacity, are interchangeable, so no assignment is needed; the relaxation is the
        hull of what each worker can do alone. With more than `PATTERNS` patterns arms are assigned
        to workers one by one.
        """
        if self.formulation == "assignment":
            return self._assign(builder)
        counts, group, workers = self._patterns
        if len(counts) > PATTERNS or not len(counts):
            return self._assign(builder)
        action = builder.columns(self.n_arms, upper=1.0, integer=True)
        used = builder.columns(len(counts), upper=workers[group], integer=True)
        for g, n in enumerate(workers.tolist()):
            builder.row(used[group == g], upper=float(n))
        kind = np.array(self._kind)
        for k in range(len(self._sizes)):
            mine, has = action[kind == k], counts[:, k] > 0
            columns = np.concatenate([mine, used[has]])
            weights = np.concatenate([np.ones(mine.size), -counts[has, k]])
            builder.row(columns, weights, upper=0.0)
        return pulled(self.n_arms, action)

    @cached_property
    def _patterns(self) -> tuple[NDArray[np.float64], Ints, NDArray[np.float64]]:
        """Return patterns (m, costs), the group of each, and the workers of each group."""
        rooms, workers = np.unique(self.capacity, return_counts=True)
        present = np.bincount(self._kind, minlength=len(self._sizes)).tolist()
        found: list[tuple[int, ...]] = []
        group: list[int] = []

        def grow(g: int, counts: tuple[int, ...], room: float) -> None:
            k = len(counts)
            if len(found) > PATTERNS:
                return
            if k == len(self._sizes):
                full = all(
                    n == most or size > room + _SMALL
                    for n, most, size in zip(counts, present, self._sizes, strict=True)
                )
                if full and any(counts):
                    found.append(counts)
                    group.append(g)
                return
            size = self._sizes[k]
            for n in range(min(present[k], int((room + _SMALL) / size)) + 1):
                grow(g, (*counts, n), room - n * size)

        for g, room in enumerate(rooms.tolist()):
            grow(g, (), room)
        counts = np.array(found, dtype=np.float64).reshape(-1, len(self._sizes))
        return counts, np.array(group, dtype=np.int64), workers.astype(np.float64)

    def _assign(self, builder: MipBuilder) -> ActionColumns:
        """Add assignments x_ij of arms to workers: one worker per arm, capacities respected."""
        cost, capacity = np.array(self.cost), np.array(self.capacity)
        action = builder.columns(self.n_arms, upper=1.0, integer=True)
        worker, arm = np.nonzero(cost[None, :] <= capacity[:, None] + _SMALL)
        x = builder.columns(worker.size, upper=1.0, integer=True)
        for j in range(self.n_arms):
            mine = x[arm == j]
            builder.row([*mine, action[j]], [1.0] * mine.size + [-1.0], lower=0.0, upper=0.0)
        for i, limit in enumerate(self.capacity):
            mine = worker == i
            if mine.any():
                builder.row(x[mine], cost[arm[mine]], upper=limit)
        order = np.argsort(capacity, kind="stable")
        for i, k in itertools.pairwise(order):  # equal workers by falling load
            if capacity[i] == capacity[k] and (worker == i).any():
                columns = np.concatenate([x[worker == i], x[worker == k]])
                loads = np.concatenate([cost[arm[worker == i]], -cost[arm[worker == k]]])
                builder.row(columns, loads, lower=0.0)
        return pulled(self.n_arms, action)

    @cached_property
    def _loads(self) -> Ints | None:
        """Return how many arms of each cost can be pulled at once, largest counts, (m, costs)."""
        counts, group, workers = self._patterns
        if not 0 < len(counts) <= PATTERNS:
            return None
        present = np.bincount(self._kind, minlength=len(self._sizes))
        place = np.cumprod(np.concatenate([[1], present[:-1] + 1]))  # mixed radix
        found = np.zeros((1, present.size), dtype=np.int64)
        for g, n in enumerate(workers.astype(int).tolist()):
            mine = counts[group == g].astype(np.int64)
            for _ in range(n if len(mine) else 0):
                more = np.minimum(found[:, None] + mine, present).reshape(-1, present.size)
                _, first = np.unique(more @ place, return_index=True)
                found = more[first]
                if len(found) > LIMIT_COUNTS:
                    return None
        return found

    def maximise(self, gain: NDArray[np.float64]) -> Actions | None:
        """Return the action of the largest sum of gains (N,), None if programs must find it."""
        if self._loads is None:
            return None
        return best_by_kind(self._loads, np.array(self._kind), gain)

    def enumerate(self, limit: int = LIMIT) -> Actions:
        """Return all actions; every subset of an action is one, so the search can prune."""
        if self._loads is not None:
            require_few(fewest_actions(self._loads, np.array(self._kind)), limit)
        found: list[tuple[int, ...]] = []

        def grow(members: tuple[int, ...], counts: tuple[int, ...]) -> None:
            found.append(members)
            if len(found) > limit:
                return
            for j in range(members[-1] + 1 if members else 0, self.n_arms):
                k = self._kind[j]
                more = (*counts[:k], counts[k] + 1, *counts[k + 1 :])
                if self._fits(more):
                    grow((*members, j), more)

        grow((), (0,) * len(self._sizes))
        return as_rows(found, self.n_arms, limit)

    def sample(self, rng: np.random.Generator) -> Actions:
        """Draw a maximal packing: workers and arms in random order, first fit."""
        a = np.zeros(self.n_arms, dtype=np.int8)
        order = rng.permutation(self.n_arms)
        for i in rng.permutation(len(self.capacity)):
            left = self.capacity[i] + _SMALL
            for j in order:
                if not a[j] and self.cost[j] <= left:
                    a[j] = 1
                    left -= self.cost[j]
        return a

    def __repr__(self) -> str:
        return f"Capacity({self.n_arms} arms, {len(self.capacity)} workers)"


def _pack(items: list[float], room: tuple[float, ...]) -> bool:
    """Tell whether items, largest first, fit into bins: search, tightest bin first.

    Bins with equal room are tried once, and rooms that failed are remembered.
    """
    failed: set[tuple[int, tuple[float, ...]]] = set()

    def place(at: int, room: tuple[float, ...]) -> bool:
        if at == len(items):
            return True
        room = tuple(left for left in room if left + _SMALL >= items[-1])
        if sum(items[at:]) > sum(room) + _SMALL or (at, room) in failed:
            return False
        for i, left in enumerate(room):
            if left + _SMALL >= items[at] and (i == 0 or room[i - 1] != left):
                rest = sorted((*room[:i], round(left - items[at], 12), *room[i + 1 :]))
                if place(at + 1, tuple(rest)):
                    return True
        failed.add((at, room))
        return False

    return place(0, room)
