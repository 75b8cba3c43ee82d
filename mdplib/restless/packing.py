"""Capacity constraints: workers with capacities share out the arms they can afford."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mdplib.errors import InvalidModelError
from mdplib.optim.mip import MipBuilder
from mdplib.restless.action_set import LIMIT, ActionColumns, Actions, Ints, as_rows, binary, pulled

_SMALL = 1e-9


@dataclass(frozen=True, repr=False)
class Capacity:
    """All actions whose arms can be packed into the workers' capacities.

    Parameters
    ----------
    cost : sequence of float
        Cost c_j > 0 of pulling each arm.
    capacity : sequence of float
        Capacity of each worker.

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
    n_levels = 2
    _packs: dict[tuple[int, ...], bool] = field(default_factory=dict, init=False, compare=False)

    def __init__(self, cost: Sequence[float] | ArrayLike, capacity: Sequence[float] | ArrayLike):
        costs = np.asarray(cost, dtype=np.float64).ravel()
        capacities = np.asarray(capacity, dtype=np.float64).ravel()
        if not costs.size or not np.isfinite(costs).all() or not np.isfinite(capacities).all():
            raise InvalidModelError("costs and capacities must be finite, with at least one arm")
        if (costs <= 0).any():
            j = int(np.argmax(costs <= 0))
            raise InvalidModelError(f"arm {j} costs {costs[j]:g}; give positive costs")
        if not capacities.size or capacities.max() < costs.min():
            largest = capacities.max() if capacities.size else 0.0
            raise InvalidModelError(
                f"the largest capacity is {largest:g} and the cheapest arm costs "
                f"{costs.min():g}: no arm can ever be pulled; raise a capacity"
            )
        object.__setattr__(self, "cost", tuple(costs.tolist()))
        object.__setattr__(self, "capacity", tuple(capacities.tolist()))
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

    def enumerate(self, limit: int = LIMIT) -> Actions:
        """Return all actions; every subset of an action is one, so the search can prune."""
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
