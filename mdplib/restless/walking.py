"""Path constraints: one worker walks through a graph and pulls arms on the way."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib._kernels import tours as kernels
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
from mdplib.restless.beams import good_walk
from mdplib.restless.border import whole
from mdplib.restless.tours import HalfWalks, half_walks

COMPARED = 20  # pulls up to which sets of visited arms are compared


@dataclass(frozen=True, repr=False)
class Walks:
    """All actions whose arms lie on a closed walk from the source of at most `length` steps.

    Parameters
    ----------
    n_arms : int
        Number of nodes; every node is an arm.
    edges : iterable of (int, int)
        Undirected edges; repeated ones and loops change nothing, as the walk may wait at a node.
    source : int
        Where the walk begins and ends.
    budget : int
        Largest number of pulls.
    length : int, optional
        Steps of the walk; twice the budget if None.

    Raises
    ------
    InvalidModelError
        If an edge or the source is not a node, or the graph is not connected.

    Examples
    --------
    >>> path = Walks(4, [(0, 1), (1, 2), (2, 3)], source=0, budget=2)
    >>> path.contains([0, 1, 1, 0]), path.contains([0, 0, 0, 1])
    (True, False)
    """

    n_arms: int
    edges: tuple[tuple[int, int], ...]
    source: int
    budget: int
    length: int
    n_levels = 2

    def __init__(
        self,
        n_arms: int,
        edges: Iterable[tuple[int, int]],
        source: int,
        budget: int,
        length: int | None = None,
    ):
        whole(n_arms, "n_arms", 1)
        whole(source, "source", 0)
        whole(budget, "budget", 0)
        listed = [_edge(i, edge) for i, edge in enumerate(edges)]
        pairs = tuple(sorted({(min(u, v), max(u, v)) for u, v in listed if u != v}))
        steps = 2 * budget if length is None else whole(length, "length", 0)
        for name, value in (
            ("n_arms", n_arms),
            ("edges", pairs),
            ("source", source),
            ("budget", budget),
            ("length", steps),
        ):
            object.__setattr__(self, name, value)
        for node in [source, *(node for pair in listed for node in pair)]:
            if not 0 <= node < n_arms:
                raise InvalidModelError(f"node {node} is not one of 0..{n_arms - 1}")
        if (self.distance[source] < 0).any():
            lost = int(np.argmax(self.distance[source] < 0))
            raise InvalidModelError(
                f"the graph is not connected: node {lost} cannot be reached from the source "
                f"{source} ({int((self.distance[source] < 0).sum())} such nodes); add edges"
            )

    @property
    def n_actions(self) -> int:
        """Number of components of an action."""
        return self.n_arms

    @property
    def most(self) -> int:
        """Upper bound on the number of pulls."""
        return min(self.budget, int(self._near.sum()))

    @cached_property
    def _neighbours(self) -> list[list[int]]:
        lists: list[list[int]] = [[] for _ in range(self.n_arms)]
        for u, v in self.edges:
            lists[u].append(v)
            lists[v].append(u)
        return lists

    @cached_property
    def distance(self) -> NDArray[np.int64]:
        """Length of a shortest path between any two nodes, (J, J); -1 if there is none."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import shortest_path

        u, v = np.array(self.edges, dtype=np.int64).reshape(-1, 2).T
        graph = coo_array((np.ones(u.size), (u, v)), shape=(self.n_arms, self.n_arms))
        found = shortest_path(graph.tocsr(), directed=False, unweighted=True)
        return np.where(np.isinf(found), -1, found).astype(np.int64)

    @cached_property
    def _near(self) -> NDArray[np.bool_]:
        return 2 * self.distance[self.source] <= self.length

    def levels(self, a: ArrayLike) -> Ints:
        """Return the level of each arm: pulled or not."""
        return np.asarray(a, dtype=np.int64)

    def contains(self, a: ArrayLike) -> bool:
        """Tell whether some walk visits the pulled arms.

        By dynamic programming over the sets of arms visited; beyond 20 arms by search over (node,
        visited), which can be long.
        """
        chosen = np.flatnonzero(binary(a, self.n_arms)).tolist()
        if len(chosen) > self.budget:
            return False
        if len(chosen) <= COMPARED:
            return self._fits(chosen)
        bit = {node: 1 << i for i, node in enumerate(chosen)}
        full = (1 << len(chosen)) - 1
        start = (0, self.source, bit.get(self.source, 0))
        queue: list[tuple[int, int, int]] = [start]
        seen = {start[1:]}
        while queue:
            steps, node, visited = heapq.heappop(queue)
            if node == self.source and visited == full:
                return True
            if steps == self.length:
                continue
            for other in self._neighbours[node]:
                state = (other, visited | bit.get(other, 0))
                if state not in seen:
                    seen.add(state)
                    heapq.heappush(queue, (steps + 1, *state))
        return False

    def describe(self, builder: MipBuilder) -> ActionColumns:
        """Add both halves of a closed walk as two units of flow in time that meet.

        Read from both ends, a closed walk of at most L steps is two walks of at most L/2 steps
        from the source to one node. Two units leave the source, wait there if they like, and
        arrive at the same node; integer flows decompose into such walks. This has half the steps
        of a walk in time, and a walk and its reverse are the same.
        """
        columns = self.outline(builder)
        action, T, source = columns.action, (self.length + 1) // 2, self.source
        arcs = [(source, source), *(arc for u, v in self.edges for arc in ((u, v), (v, u)))]
        entering: dict[tuple[int, int], list[int]] = {}
        leaving: dict[tuple[int, int], list[int]] = {}
        here = {source}
        for t in range(T):
            possible = [(u, v) for u, v in arcs if u in here]
            arcs_now = builder.columns(len(possible), upper=2.0, integer=True)
            for (u, v), column in zip(possible, arcs_now.tolist(), strict=True):
                leaving.setdefault((u, t), []).append(column)
                entering.setdefault((v, t + 1), []).append(column)
            here = {v for _, v in possible}
        if T:
            builder.row(leaving[source, 0], lower=2.0, upper=2.0)
            if self.length % 2:  # one unit has a step less
                builder.row(leaving[source, 0][1:], upper=1.0)
        for place in sorted(entering):
            if place[1] < T:
                into, out = entering[place], leaving.get(place, [])
                weights = [1.0] * len(into) + [-1.0] * len(out)
                builder.row(into + out, weights, lower=0.0, upper=0.0)
        meet = dict(
            zip(
                sorted(here),
                builder.columns(len(here), upper=1.0, integer=True).tolist(),
                strict=True,
            )
        )
        builder.row(list(meet.values()), lower=1.0, upper=1.0)
        for v, column in meet.items() if T else ():
            into = entering[v, T]
            builder.row([*into, column], [1.0] * len(into) + [-2.0], lower=0.0, upper=0.0)
        for j in range(self.n_arms):
            if j != source and self._near[j]:
                visits = [c for t in range(1, T) for c in entering.get((j, t), [])]
                visits += [meet[j]] if j in meet else []
                builder.row([action[j], *visits], [1.0] + [-1.0] * len(visits), upper=0.0)
        return columns

    def outline(self, builder: MipBuilder) -> ActionColumns:
        """Add columns and rows that hold for all walks, and for more: arms in reach, the budget.

        See `mdplib.restless.action_set.Outlined`.
        """
        action = builder.columns(self.n_arms, upper=self._near.astype(np.float64), integer=True)
        builder.row(action, upper=float(self.budget))
        return pulled(self.n_arms, action)

    @cached_property
    def _halves(self) -> HalfWalks | None:
        return half_walks(self._neighbours, self.source, self.length, self._near)

    def maximise(self, gain: NDArray[np.float64]) -> Actions | None:
        """Return the action of the largest sum of gains (N,), None if programs must find it.

        See `mdplib.restless.tours`.
        """
        return None if self._halves is None else self._pulling(self._walk(gain, self.budget))

    def approximate(self, gain: NDArray[np.float64]) -> tuple[Actions, float]:
        """Return an action of a large sum of gains, and a bound on all: that of the outline.

        See `mdplib.restless.beams`; the action is best where `maximise` knows a best one.
        """
        largest = np.sort(np.where(self._near, np.maximum(gain, 0.0), 0.0))[::-1]
        a = self._pulling(self._walk(gain, self.budget))
        return a, float(largest[: self.budget].sum())

    def _walk(self, gain: NDArray[np.float64], budget: int) -> Ints:
        """Return nodes on a walk, up to a budget of them, that are worth most or at least much."""
        if self._halves is not None:
            return self._halves.best(gain, budget)
        return good_walk(self._neighbours, self.source, self.length, gain, budget)

    def _pulling(self, nodes: Ints) -> Actions:
        a = np.zeros(self.n_arms, dtype=np.int8)
        a[nodes] = 1
        return a

    def enumerate(self, limit: int = LIMIT) -> Actions:
        """Return all actions: shortest tours through sets of nodes, one node added at a time."""
        long = self._walk(np.ones(self.n_arms), self.n_arms).size  # all choices on it are actions
        require_few(sum(math.comb(long, k) for k in range(self.budget + 1)), limit)
        near = np.flatnonzero(self._near).tolist()
        found: list[tuple[int, ...]] = []

        def grow(members: tuple[int, ...]) -> None:
            found.append(members)
            if len(found) > limit or len(members) == self.budget:
                return
            for j in near:
                if (not members or j > members[-1]) and self._fits([*members, j]):
                    grow((*members, j))

        grow(())
        return as_rows(found, self.n_arms, limit)

    def _fits(self, members: list[int]) -> bool:
        """Tell whether a closed walk is long enough for all of some nodes."""
        inner = self.distance[np.ix_(members, members)]
        return bool(kernels.tour_fits(inner, self.distance[self.source, members], self.length))

    def sample(self, rng: np.random.Generator) -> Actions:
        """Draw a random closed walk and up to B of the nodes on it."""
        away, node, visited = self.distance[self.source], self.source, {self.source}
        for t in range(self.length):
            left = self.length - t - 1
            options = [v for v in [node, *self._neighbours[node]] if away[v] <= left]
            node = int(rng.choice(options))
            visited.add(node)
        a = np.zeros(self.n_arms, dtype=np.int8)
        members = np.array(sorted(visited))
        a[rng.choice(members, min(self.budget, members.size), replace=False)] = 1
        return a

    def __repr__(self) -> str:
        return f"Walks({self.n_arms} nodes, {len(self.edges)} edges, {self.length} steps)"


def _edge(i: int, edge: tuple[int, int]) -> tuple[int, int]:
    """Return an edge as two whole numbers."""
    ends = tuple(edge)
    if len(ends) != 2:
        raise InvalidModelError(f"edge {i} is {ends!r}; give two nodes")
    return whole(ends[0], f"an end of edge {i}", 0), whole(ends[1], f"an end of edge {i}", 0)
