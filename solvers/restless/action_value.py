r"""Action values of a coupled bandit: separable scores plus a network, maximised over the set.

Problem
-------
Q_h(s, a) for joint states and actions, such that the best action can be found in each state.

Algorithm
---------
    Q_h(s, a) = sum_j base_h[j, s_j, level_j(a)] + f(x_h(s, a)).                             (1)

"gated" inputs are [level_j(a) = n][s_j = k] for n >= 1, [s_j = k], and h / H: for a fixed state
they are affine in the levels, and the network can tell what an action does in each state. "raw"
inputs are (a, s), as in the published code.

The best action is found by going through all actions where they were listed (one product per
layer), and otherwise by a program with the network inside, see `solvers.restless.embedding`. In a
long list the base is known for all actions at once, and with an upper bound F on f over the set
only the actions

    base(s, a) + F >= best Q found so far                                                    (2)

need the network. Where a program is needed, an affine function u >= f comes first: if

    max over C of base(s, a) + u(a) <= (1 + gap) Q(s, a) at its maximiser a,               (3)

that action is within the gap, and the network needs no program. Over walks, whose programs are too
large, branch and bound goes on from there (`solvers.restless.branching`).

Guarantee
---------
The action is in the set. The program's value is compared with (1); `Choice.bound` bounds every
action.

Cost
----
Listed: O(m (J L + sum of layer products)) for m actions. Otherwise one program, or branching.

Deviations
----------
The published code has no base, and raw inputs.

References
----------
xu2025.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError, SolverError
from mdplib.optim.backends import Backend, solve_mip
from mdplib.optim.builder import MipBuilder
from mdplib.optim.mip import MipArrays, MipResult, MipStatus
from mdplib.restless.action_set import ActionColumns, Actions, Outlined
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.choice import Choice, approximated, maximised, worth
from solvers.restless.branching import branch
from solvers.restless.embedding import embed, majorant, propagate
from solvers.restless.listing import FEW, leading
from solvers.restless.network import Layer, Network

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Inputs = Literal["gated", "raw"]
ROWS = 8192


def n_inputs(bandit: CoupledRestlessBandit, inputs: Inputs) -> int:
    """Return the number of inputs of a network."""
    J, S, L = bandit.n_arms, bandit.arms.n_states, bandit.actions.n_levels
    return bandit.actions.n_actions + J if inputs == "raw" else J * (L - 1) * S + J * S + 1


@dataclass(frozen=True, eq=False, repr=False)
class ActionValue:
    """Q of (1).

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    network : Network
        f.
    base : (H, J, S, L) float64
        Separable scores.
    inputs : {"gated", "raw"}
        What the network sees.
    listed : (m, N) int8 array or None
        All actions, if they are to be compared one by one.

    Raises
    ------
    InvalidModelError
        If the network takes another number of inputs, or the base has another shape.
    """

    bandit: CoupledRestlessBandit
    network: Network
    base: Floats
    inputs: Inputs = "gated"
    listed: Actions | None = None

    def __post_init__(self):
        if self.inputs not in get_args(Inputs):
            raise InvalidModelError(f"inputs {self.inputs!r}; one of {get_args(Inputs)}")
        wanted, given = n_inputs(self.bandit, self.inputs), self.network.layers[0][0].shape[1]
        if wanted != given:
            raise InvalidModelError(f"the network takes {given} inputs; the bandit has {wanted}")
        b = self.bandit
        shape = (b.horizon, b.n_arms, b.arms.n_states, b.actions.n_levels)
        if self.base.shape != shape:
            raise InvalidModelError(f"base has shape {self.base.shape}; give {shape}")

    def with_network(self, network: Network) -> ActionValue:
        """Return the same with another network."""
        copy = replace(self, network=network)
        for kept in ("_hot", "_described"):
            if kept in self.__dict__:
                copy.__dict__[kept] = self.__dict__[kept]
        return copy

    def encode(self, h: ArrayLike, s: Ints, a: NDArray) -> Floats:
        """Return the inputs, (n, k), for steps (n,), states (n, J) and actions (n, N)."""
        s, a = np.atleast_2d(s), np.atleast_2d(a)
        if self.inputs == "raw":
            return np.concatenate([a, s], axis=1).astype(np.float64)
        b = self.bandit
        n, J, S, L = len(s), b.n_arms, b.arms.n_states, b.actions.n_levels
        level = b.actions.levels(a)
        gate = np.zeros((n, J, L, S))
        rows, arms = np.arange(n)[:, None], np.arange(J)
        gate[rows, arms, level, s] = 1.0
        here = np.zeros((n, J, S))
        here[rows, arms, s] = 1.0
        time = np.broadcast_to(np.asarray(h, dtype=np.float64), (n,))[:, None] / b.horizon
        return np.concatenate([gate[:, :, 1:].reshape(n, -1), here.reshape(n, -1), time], axis=1)

    def base_value(self, h: ArrayLike, s: Ints, a: NDArray) -> Floats:
        """Return the separable part, (n,)."""
        s = np.atleast_2d(s)
        level = self.bandit.actions.levels(np.atleast_2d(a))
        steps = np.broadcast_to(np.asarray(h), (len(s),))[:, None]
        return self.base[steps, np.arange(self.bandit.n_arms), s, level].sum(axis=1)

    def __call__(self, h: ArrayLike, s: Ints, a: NDArray) -> Floats:
        """Return Q, (n,), for steps (n,), states (n, J) and actions (n, N)."""
        return self.base_value(h, s, a) + self.network(self.encode(h, s, a))  # (1)

    @cached_property
    def _hot(self) -> NDArray[np.float32]:
        assert self.listed is not None
        if self.inputs == "raw":
            return self.listed.astype(np.float32)
        level = self.bandit.actions.levels(self.listed)
        L = self.bandit.actions.n_levels
        hot = level[:, :, None] == np.arange(1, L)
        return hot.reshape(len(level), -1).astype(np.float32)

    def restricted(self, h: int, s: Ints) -> tuple[list[Layer], Ints, int]:
        """Return the network as a function of the columns of the action in one state.

        Parameters
        ----------
        h : int
            Step.
        s : (J,) int array
            Joint state.

        Returns
        -------
        layers : list of (W, b)
            The first acts on levels (j, n), n >= 1, or on the components of the action.
        groups : (k,) int64
            Arm, or component, of each column.
        most : int
            Largest number of groups that are not zero.
        """
        W, b = self.network.layers[0]
        actions, J = self.bandit.actions, self.bandit.n_arms
        if self.inputs == "raw":
            N = actions.n_actions
            first = (W[:, :N], b + W[:, N:] @ np.asarray(s, dtype=np.float64))
            return [first, *self.network.layers[1:]], np.arange(N), actions.most
        S, L = self.bandit.arms.n_states, actions.n_levels
        gate = W[:, : J * (L - 1) * S].reshape(len(W), J, L - 1, S)
        here = W[:, J * (L - 1) * S : -1].reshape(len(W), J, S)
        arms = np.arange(J)
        columns = np.moveaxis(gate[:, arms, :, s], 0, 1).reshape(len(W), -1)
        constant = b + here[:, arms, s].sum(axis=1) + W[:, -1] * (h / self.bandit.horizon)
        most = actions.most if actions.n_actions == J else J
        return [(columns, constant), *self.network.layers[1:]], np.repeat(arms, L - 1), most

    def best(
        self,
        h: int,
        s: Ints,
        *,
        backend: Backend = "highs",
        gap: float = 1e-6,
        time_limit: float | None = None,
        tight: bool = True,
        branching: bool = True,
    ) -> Choice:
        """Return the best action in one state.

        Parameters
        ----------
        h : int
            Step.
        s : (J,) int array
            Joint state.
        backend, gap, time_limit
            As in `mdplib.optim.solve_mip`, where actions are not listed.
        tight : bool
            False uses one big-M for every unit, and nothing but the program.
        branching : bool
            Whether branch and bound takes the place of a program over walks, which is too large to
            be solved; see `solvers.restless.branching`.

        Returns
        -------
        Choice
            If the time limit strikes, the best action found, with status TIME_LIMIT; if none was
            found, the best of a few drawn from the set.

        Raises
        ------
        SolverError
            If the program's value differs from the forward pass.
        """
        s = np.asarray(s, dtype=np.int64)
        if self.listed is not None:
            return self._best_listed(h, s)
        b = self.bandit
        layers, groups, most = self.restricted(h, s)
        _, columns, builder = self._described
        base = self.base[h, np.arange(b.n_arms), s]
        own = columns.action if self.inputs == "raw" else columns.level[:, 1:].ravel()
        exists = own >= 0
        layers[0] = (layers[0][0][:, exists], layers[0][1])
        bounds = propagate(layers, groups[exists], most)
        start = self._separable(columns, base)
        if tight:
            line = majorant(layers, bounds)
            quick, ruled = self._above(
                h, s, own[exists], line, base, start, gap, time_limit, backend
            )
            if quick.gap <= gap or quick.status is not MipStatus.OPTIMAL:  # (3)
                return quick
            if branching and ruled and self._arms_alone and isinstance(b.actions, Outlined):
                return self._branch(h, s, layers, most, gap, time_limit)
        program = builder.copy()
        at, weights, more = embed(program, own[exists], layers, bounds, tight=tight)
        cost = np.zeros(program.n_columns)
        cost[: start[0].size] = start[0]
        np.subtract.at(cost, at, weights)
        arrays = program.arrays().with_cost(cost, -(start[1] + more))
        found = solve_mip(arrays, backend, gap=gap, time_limit=time_limit)
        if found.x is None and found.status is MipStatus.TIME_LIMIT:
            return self._some(h, s, -found.bound)
        choice = self._chosen(h, s, found, columns)
        value = choice.value
        if tight and found.status is MipStatus.OPTIMAL:
            off = abs(value + found.objective)
            if off > 1e-4 * max(1.0, abs(value)) and value < -found.objective - gap * abs(value):
                raise SolverError(
                    f"the program says {-found.objective:.9g} and the forward pass {value:.9g}; "
                    "weights of this size exceed the solver's tolerances: scale the network down"
                )
        return choice

    def _above(
        self,
        h: int,
        s: Ints,
        own: Ints,
        line: tuple[Floats, float],
        base: Floats,
        start: tuple[Floats, float],
        gap: float,
        time_limit: float | None,
        backend: Backend,
    ) -> tuple[Choice, bool]:
        """Return the maximiser of base + u with its Q, the maximum as its bound; if by a rule."""
        actions, (weights, more) = self.bandit.actions, line
        described, columns, _ = self._described
        worths = base[:, : actions.n_levels].copy()
        if self.inputs == "gated":
            here = worths[:, 1:]
            here[columns.level[:, 1:] >= 0] += weights
        elif self._arms_alone:
            worths[:, 1] += weights
        else:
            worths = None
        chosen, ruled = None if worths is None else maximised(actions, worths), True
        if worths is not None and chosen is not None:
            bound, status = float(worth(actions, worths, chosen)), MipStatus.OPTIMAL
        elif worths is not None and (good := approximated(actions, worths)) is not None:
            chosen, bound, ruled = good.action, good.bound, False
            status = MipStatus.OPTIMAL if time_limit is None else good.status  # taken as it is
        if chosen is not None:
            value = float(self(h, s[None], chosen[None])[0])
            return Choice(chosen, value, max(bound + more, value), status), ruled
        cost = start[0].copy()
        np.subtract.at(cost, own, weights)
        program = described.with_cost(cost, -(start[1] + more))
        found = solve_mip(program, backend, gap=gap / 4, time_limit=time_limit)
        if found.x is None and found.status is MipStatus.TIME_LIMIT:
            return self._some(h, s, -found.bound), False
        return self._chosen(h, s, found, columns), False

    @property
    def _arms_alone(self) -> bool:
        """Whether the components of an action are the arms, pulled or not."""
        actions = self.bandit.actions
        return actions.n_levels == 2 and actions.n_actions == actions.n_arms

    def _branch(
        self, h: int, s: Ints, layers: list[Layer], most: int, gap: float, time_limit: float | None
    ) -> Choice:
        """Return what branch and bound finds, within the gap unless the time is up."""
        base = self.base[h, np.arange(self.bandit.n_arms), s]
        actions = self.bandit.actions
        deadline = None if time_limit is None else perf_counter() + time_limit

        def best_of(gain: Floats) -> Actions:
            worths = base.copy()
            worths[:, 1] += gain
            chosen = maximised(actions, worths)
            assert chosen is not None
            return chosen

        return branch(
            layers,
            most,
            best_of,
            lambda a: float(worth(actions, base, a)),
            lambda a: float(self(h, s[None], a[None])[0]),
            span=float(np.ptp(base, axis=1).sum()),
            gap=gap,
            deadline=deadline,
        )

    @cached_property
    def _described(self) -> tuple[MipArrays, ActionColumns, MipBuilder]:
        """Return the program of the action set without an objective, described once."""
        builder = MipBuilder()
        columns = self.bandit.actions.describe(builder)
        return builder.arrays(), columns, builder

    def _separable(self, columns: ActionColumns, base: Floats) -> tuple[Floats, float]:
        """Return minus the separable part as costs of the set's columns, and what is constant."""
        cost = np.zeros(self._described[2].n_columns)
        start = np.where(columns.level[:, 0] < 0, base[:, 0], 0.0)
        for n in range(self.bandit.actions.n_levels):
            has = columns.level[:, n] >= 0
            np.subtract.at(cost, columns.level[has, n], (base[:, n] - start)[has])
        return cost, float(start.sum())

    def _chosen(self, h: int, s: Ints, found: MipResult, columns: ActionColumns) -> Choice:
        action = np.round(found.require()[columns.action]).astype(np.int8)
        value = float(self(h, s[None], action[None])[0])
        return Choice(action, value, max(-found.bound, value), found.status)

    def _some(self, h: int, s: Ints, bound: float) -> Choice:
        """Return the best of some feasible actions, marked as what it is."""
        rng = np.random.default_rng(0)
        drawn = np.array([self.bandit.actions.sample(rng) for _ in range(32)], dtype=np.int8)
        values = self(h, np.tile(s, (len(drawn), 1)), drawn)
        at = int(np.argmax(values))
        return Choice(drawn[at], float(values[at]), bound, MipStatus.TIME_LIMIT)

    def _best_listed(self, h: int, s: Ints) -> Choice:
        assert self.listed is not None
        layers, groups, most = self.restricted(h, s)
        own = self.base[h, np.arange(self.bandit.n_arms), s]
        if self.inputs == "raw":
            level = self.bandit.actions.levels(self.listed)
            linear = own[np.arange(len(own)), level].sum(axis=1).astype(np.float32)
        else:
            gain = (own[:, 1:] - own[:, :1]).ravel()
            linear = self._hot @ gain.astype(np.float32)
        near = leading(self._hot, layers, groups, most, linear)  # (2)
        exact = self(h, np.tile(s, (len(near), 1)), self.listed[near])
        at = int(np.argmax(exact))
        value = float(exact[at])
        return Choice(self.listed[near[at]], value, value, MipStatus.OPTIMAL)

    def best_listed(self, h: Ints, s: Ints) -> tuple[Actions, Floats]:
        """Return best actions of the list, (n, N), and their Q, (n,).

        Parameters
        ----------
        h : (n,) int64
            Steps.
        s : (n, J) int64
            Joint states.
        """
        assert self.listed is not None
        n, m = len(s), len(self.listed)
        chosen, values = np.empty(n, dtype=np.int64), np.empty(n)
        if m > FEW:
            found = [self.best(int(k), row) for k, row in zip(h, s, strict=True)]
            actions = np.array([choice.action for choice in found], dtype=np.int8)
            return actions.reshape(n, -1), np.array([choice.value for choice in found])
        for at in range(0, n, ROWS // m):
            part = slice(at, at + ROWS // m)
            k = len(s[part])
            states, steps = np.repeat(s[part], m, axis=0), np.repeat(h[part], m)
            each = self(steps, states, np.tile(self.listed, (k, 1))).reshape(k, m)
            chosen[part], values[part] = each.argmax(axis=1), each.max(axis=1)
        return self.listed[chosen], values
