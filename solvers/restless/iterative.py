r"""Iterative rules: an action is put together one component at a time.

Problem
-------
An action of a coupled set without any program: what a hurried planner would do.

Algorithm
---------
Begin with nothing. With Q(a) the value of a partial action, add the component

    i* = argmax_{i open} [Q(a + e_i) - Q(a)] / size_i                                        (1)

while the difference is positive, or the set asks for more components. Which components are open
depends on the set:

    budget, interventions:  any, until B are taken; interventions go on until B are taken
    schedule:               those that leave the units of every set of slots sufficient (Hall)
    capacity:               worker by worker, smallest capacity first: what the worker can still
                            afford; size_i is the cost
    walks:                  nodes whose cheapest insertion into the tour keeps it short enough
    any other:              those for which a program can complete the partial action

size_i is 1 except for capacities. `iterative_myopic_policy` has Q(a) = r(s, a), and
`iterative_policy` any action value, such as a trained network.

Guarantee
---------
Actions are always in C. No bound on the loss: the first component can exclude the best pair.

Cost
----
At most N rounds of N values for each distinct joint state.

Deviations
----------
The rules of xu2025 for interventions, schedule and capacity, with their intent and not the slips
of the published code: an arm is charged once, a fit that equals the room left counts, the base
value is refreshed, and the network is used in every domain. Schedules are tested exactly, where
the published rule gives each arm two workers for good. The paper has no rule for walks.

References
----------
xu2025, the baselines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import SolverError
from mdplib.optim.backends import solve_mip
from mdplib.optim.builder import MipBuilder
from mdplib.optim.mip import MipStatus
from mdplib.restless.action_set import Actions, ActionSet
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.border import joint
from mdplib.restless.matching import Schedule
from mdplib.restless.packing import Capacity
from mdplib.restless.pulls import Budget
from mdplib.restless.reaching import Interventions
from mdplib.restless.walking import Walks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Gains = Callable[[int, Ints, Actions], Floats]
Values = Callable[[int, Ints, Actions], Floats]
_SMALL = 1e-9
_SLOTS = 12  # sets of slots are listed up to here


class _Room(Protocol):
    """What can still be added to a partial action."""

    size: Floats

    def open(self, a: Actions) -> Booleans: ...

    def take(self, i: int) -> None: ...

    def turn(self) -> bool:
        """Go on to other rooms, if there are; False if this is the end."""
        ...

    def short(self, a: Actions) -> bool:
        """Tell whether the set asks for more."""
        ...


class _Counted:
    """At most B, or exactly B."""

    def __init__(self, actions: Budget | Interventions):
        self.size, self.left = np.ones(actions.n_actions), actions.budget
        self.exact = isinstance(actions, Interventions)

    def open(self, a: Actions) -> Booleans:
        return (a == 0) & (self.left > 0)

    def take(self, i: int) -> None:
        self.left -= 1

    def turn(self) -> bool:
        return False

    def short(self, a: Actions) -> bool:
        return self.exact and self.left > 0


class _Units:
    """Workers' units: for every set of slots, what lies inside must fit."""

    def __init__(self, actions: Schedule):
        slots = actions.arm_free.shape[1]
        sets = np.arange(1 << slots)
        inside = (sets[:, None] >> np.arange(slots)) & 1
        self.room = inside @ actions.worker_free.sum(axis=0)
        mask = actions.arm_free @ (1 << np.arange(slots))
        self.use = actions.need * ((mask[:, None] & ~sets[None, :]) == 0)
        self.size, self.left = np.ones(actions.n_arms), actions.budget

    def open(self, a: Actions) -> Booleans:
        return (a == 0) & (self.left > 0) & (self.use <= self.room).all(axis=1)

    def take(self, i: int) -> None:
        self.room = self.room - self.use[i]
        self.left -= 1

    def turn(self) -> bool:
        return False

    def short(self, a: Actions) -> bool:
        return False


class _Workers:
    """One worker after the other, smallest capacity first."""

    def __init__(self, actions: Capacity):
        self.size = np.array(actions.cost)
        self.waiting = sorted(actions.capacity, reverse=True)
        self.left = self.waiting.pop()

    def open(self, a: Actions) -> Booleans:
        return (a == 0) & (self.size <= self.left + _SMALL)

    def take(self, i: int) -> None:
        self.left -= float(self.size[i])

    def turn(self) -> bool:
        if not self.waiting:
            return False
        self.left = self.waiting.pop()
        return True

    def short(self, a: Actions) -> bool:
        return False


class _Tour:
    """A closed tour through the chosen nodes; new ones go where they cost least."""

    def __init__(self, actions: Walks):
        self.distance, self.length = actions.distance, actions.length
        self.stops, self.walked, self.left = [actions.source] * 2, 0, actions.budget
        self.size = np.ones(actions.n_arms)

    def _detours(self) -> Ints:
        before, after = np.array(self.stops[:-1]), np.array(self.stops[1:])
        d = self.distance
        return d[before] + d[after] - d[before, after][:, None]

    def open(self, a: Actions) -> Booleans:
        fits = self.walked + self._detours().min(axis=0) <= self.length
        return (a == 0) & (self.left > 0) & fits

    def take(self, i: int) -> None:
        detours = self._detours()[:, i]
        at = int(np.argmin(detours))
        self.walked += int(detours[at])
        self.stops.insert(at + 1, i)
        self.left -= 1

    def turn(self) -> bool:
        return False

    def short(self, a: Actions) -> bool:
        return False


class _Program:
    """Any set: a program tells whether a partial action can be completed."""

    def __init__(self, actions: ActionSet):
        self.actions, self.size = actions, np.ones(actions.n_actions)
        self.known: dict[bytes, bool] = {}

    def _completes(self, a: Actions) -> bool:
        key = a.tobytes()
        if key not in self.known:
            self.known[key] = self.actions.contains(a) or self._solves(a)
        return self.known[key]

    def _solves(self, a: Actions) -> bool:
        builder = MipBuilder()
        columns = self.actions.describe(builder)
        for column in columns.action[a == 1]:
            builder.row([column], lower=1.0)
        found = solve_mip(builder.arrays())
        if found.status is MipStatus.INFEASIBLE:
            return False
        found.require()
        return True

    def open(self, a: Actions) -> Booleans:
        more = np.tile(a, (a.size, 1)) | np.eye(a.size, dtype=np.int8)
        return np.array([not a[i] and self._completes(row) for i, row in enumerate(more)])

    def take(self, i: int) -> None:
        pass

    def turn(self) -> bool:
        return False

    def short(self, a: Actions) -> bool:
        return not self.actions.contains(a)


def _rooms(actions: ActionSet) -> Callable[[], _Room]:
    """Return what makes an empty room for a set."""
    if isinstance(actions, Budget | Interventions):
        return lambda: _Counted(actions)
    if isinstance(actions, Schedule) and actions.arm_free.shape[1] <= _SLOTS:
        return lambda: _Units(actions)
    if isinstance(actions, Capacity):
        return lambda: _Workers(actions)
    if isinstance(actions, Walks):
        return lambda: _Tour(actions)
    program = _Program(actions)
    return lambda: program


@dataclass
class IterativePolicy:
    """Builds actions one component at a time; remembers what it has decided.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    gains : callable
        ``gains(h, s, a)`` is what each component adds to a partial action (N,) in state (J,).
    stationary : bool
        Whether the gains do not depend on h.
    """

    bandit: CoupledRestlessBandit
    gains: Gains
    stationary: bool
    _known: dict[tuple[int, bytes], Actions] = field(default_factory=dict, repr=False)

    def __post_init__(self):
        self._room = _rooms(self.bandit.actions)

    def __call__(self, h: int, s: Ints) -> Actions:
        """Return actions (n, N) for joint states (n, J) at step h."""
        when = 0 if self.stationary else h
        rows = np.ascontiguousarray(joint(s, self.bandit.n_arms, self.bandit.arms.n_states))
        for row in rows:
            key = (when, row.tobytes())
            if key not in self._known:
                self._known[key] = self._build(h, row)
        return np.array([self._known[when, row.tobytes()] for row in rows], dtype=np.int8)

    def _build(self, h: int, s: Ints) -> Actions:
        a = np.zeros(self.bandit.actions.n_actions, dtype=np.int8)
        room = self._room()
        gain = self.gains(h, s, a)
        while True:
            score = np.where(room.open(a), gain / room.size, -np.inf)
            i = int(np.argmax(score))  # (1)
            if score[i] > 0 or (room.short(a) and score[i] > -np.inf):
                a[i] = 1
                room.take(i)
                gain = self.gains(h, s, a)
            elif not room.turn():
                break
        if room.short(a):
            raise SolverError(
                f"no action of {self.bandit.actions!r} completes "
                f"{np.flatnonzero(a).tolist()}; the set is empty: relax its constraints"
            )
        return a


def iterative_myopic_policy(bandit: CoupledRestlessBandit) -> IterativePolicy:
    """Return the policy that adds what improves the reward of the next step most.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.

    Returns
    -------
    IterativePolicy

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.budget(3, 1, np.random.default_rng(0))
    >>> int(iterative_myopic_policy(bandit)(0, np.zeros((1, 3), dtype=int)).sum())
    1
    """
    actions, arms = bandit.actions, np.arange(bandit.n_arms)
    reaches = actions.levels(np.eye(actions.n_actions, dtype=np.int8))  # (N, J)
    linear = isinstance(actions, Interventions) or actions.n_actions == bandit.n_arms

    def gains(h: int, s: Ints, a: Actions) -> Floats:
        reward = bandit.level_rewards(s)
        level = actions.levels(a)
        if linear:
            up = reward[arms, np.minimum(level + 1, reward.shape[1] - 1)] - reward[arms, level]
            return reaches @ up
        return _differences(lambda k, x, b: bandit.reward(x, b))(h, s, a)

    return IterativePolicy(bandit, gains, stationary=True)


def _differences(q: Values) -> Gains:
    """Return what each component adds, from values of whole actions."""

    def gains(h: int, s: Ints, a: Actions) -> Floats:
        rows = np.concatenate([a[None], a[None] | np.eye(a.size, dtype=np.int8)])
        values = np.asarray(q(h, np.tile(s, (len(rows), 1)), rows))
        return values[1:] - values[0]

    return gains


def iterative_policy(bandit: CoupledRestlessBandit, q: Values) -> IterativePolicy:
    """Return the policy that adds what improves an action value most.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    q : callable
        ``q(h, s, a)`` gives values (n,) of states (n, J) and actions (n, N), which may be partial:
        such as an `ActionValue`.

    Returns
    -------
    IterativePolicy

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.capacity(4, 2, np.random.default_rng(0))
    >>> states = np.zeros((1, 4), dtype=int)
    >>> same = iterative_policy(bandit, lambda h, s, a: bandit.reward(s, a))
    >>> bool((same(0, states) == iterative_myopic_policy(bandit)(0, states)).all())
    True
    """
    return IterativePolicy(bandit, _differences(q), stationary=False)
