"""One family of small, awkward models, drawn by hypothesis or by a numpy generator.

A model is built from integers, choices and lists alone, which come from a `Source`; so the two
ways of drawing share every line that decides what a model looks like. The family holds what breaks
solvers: varying action sets with gaps in the identifiers, ties, duplicated actions, stored zeros,
probabilities of 1e-12, rows whose sum is off by up to 9e-10, several recurrent classes, absorbing
and unreachable states, rewards from 1e-6 to 1e6 in one model, gamma from 0 to 1 - 1e-9.

States are drawn first as if there were the largest number of them; a second step maps what they
drew onto the states there are. So a state or an action can be left out without a change to the
others, which is what lets hypothesis reduce an example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from mdplib.tabular import TabularMDP

T = TypeVar("T")
Row = dict[int, float]
Layout = Literal["any", "classes", "downwards"]

GAMMAS = (0.5, 0.9, 0.0, 0.99, 0.999, 0.9999, 1 - 1e-6, 1 - 1e-9)
FINITE_GAMMAS = (1.0, 0.9, 0.0, 0.5, 0.9999)
_KINDS = ("stay", "weights", "weights", "weights", "one", "tiny")
_LAYOUTS: tuple[Layout, ...] = ("any", "any", "classes", "downwards")
_WEIGHTS = (1, 0, 2, 3, 7)  # the simplest first: hypothesis shrinks towards it
_DEFECTS = (0.0, 1e-10, -1e-10, 9e-10, -9e-10)
_TINY = 1e-12
_SCALES = (1.0, 1e-6, 1e6)


class Source(Protocol):
    """Where the integers, choices and lists come from."""

    def integer(self, low: int, high: int) -> int:
        """Return an integer of low..high."""
        ...

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        ...

    def several(self, low: int, high: int, make: Callable[[Source], T]) -> list[T]:
        """Return low..high things that `make` draws from the source it is given."""
        ...


@dataclass(frozen=True)
class NumpySource:
    """Draws from a numpy generator."""

    rng: np.random.Generator

    def integer(self, low: int, high: int) -> int:
        """Return a uniform integer of low..high."""
        return int(self.rng.integers(low, high, endpoint=True))

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options, uniformly."""
        return options[int(self.rng.integers(len(options)))]

    def several(self, low: int, high: int, make: Callable[[Source], T]) -> list[T]:
        """Return a uniform number of things."""
        return [make(self) for _ in range(self.integer(low, high))]


@dataclass(frozen=True)
class Size:
    """Largest dimensions of a model.

    Parameters
    ----------
    states, actions : int
        Largest number of states, and of actions per state.
    horizon : int
        Longest horizon.
    """

    states: int = 6
    actions: int = 3
    horizon: int = 4


def random_mdp(
    rng: np.random.Generator,
    *,
    finite_horizon: bool = False,
    max_states: int = 6,
    max_actions: int = 3,
    max_horizon: int = 4,
    gammas: Sequence[float] | None = None,
) -> TabularMDP:
    """Draw a model of the family.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    finite_horizon : bool
        Draw a finite-horizon model instead of a discounted one.
    max_states, max_actions, max_horizon : int
        Largest dimensions; actions are counted per state.
    gammas : sequence of float, optional
        Discount factors to choose from, by default `GAMMAS` or `FINITE_GAMMAS`.

    Returns
    -------
    TabularMDP

    Examples
    --------
    >>> random_mdp(np.random.default_rng(3), max_states=4).n_states <= 4
    True
    """
    source, size = NumpySource(rng), Size(max_states, max_actions, max_horizon)
    if finite_horizon:
        return finite_horizon_model(source, size, gammas or FINITE_GAMMAS)
    return discounted_model(source, size, gammas or GAMMAS)


def discounted_model(source: Source, size: Size, gammas: Sequence[float]) -> TabularMDP:
    """Build a model with an infinite horizon."""
    gamma = source.choice(gammas)
    # Rows must not make gamma times the row sum reach 1, where the value is infinite.
    plan = _Plan(source, size, (1 - gamma) / 4)
    layer, _, initial = plan.draw(layers=1, rewards=1)
    return _model(layer, gamma, initial=initial)


def finite_horizon_model(source: Source, size: Size, gammas: Sequence[float]) -> TabularMDP:
    """Build a model whose kernels and rewards may change with the step."""
    gamma, H = source.choice(gammas), source.integer(1, size.horizon)
    kind = source.choice(("stationary", "rewards per step", "kernels per step"))
    layers = H if kind == "kernels per step" else 1
    rewards = H if kind == "rewards per step" else 1
    pairs, terminal, initial = _Plan(source, size, 1.0).draw(layers, rewards)
    return _model(
        pairs,
        gamma,
        horizon=H,
        terminal=terminal if source.choice((False, True)) else None,
        initial=initial,
        stationary=layers == 1,
    )


class _Draft(NamedTuple):
    """One action as drawn, before the number of states is known."""

    kind: str
    target: int
    mask: int
    digits: int
    defect: float
    gap: int
    twin: bool
    rewards: list[float]


class _Pair(NamedTuple):
    """One action of one state."""

    action: int
    row: Row
    rewards: list[float]


class _Plan:
    """What holds for the whole model, and how its states are drawn and then mapped."""

    def __init__(self, source: Source, size: Size, slack: float):
        self.source, self.size = source, size
        self.defects = [d for d in _DEFECTS if abs(d) <= slack]
        self.layout = source.choice(_LAYOUTS)
        self.classes = source.integer(1, 3)
        self.fine = source.choice((False, True))
        self.scale = source.choice((*_SCALES, None))

    def draw(
        self, layers: int, rewards: int
    ) -> tuple[list[list[_Pair]], np.ndarray, np.ndarray | None]:
        """Return the pairs of every state and layer, a terminal reward, and an initial law."""
        actions = self.size.actions

        def state(source: Source) -> tuple[list[list[_Draft]], float, int]:
            drafts = [
                source.several(1, actions, lambda inner: self._draft(inner, rewards))
                for _ in range(layers)
            ]
            return drafts, self._reward(source), source.choice(_WEIGHTS)

        drawn = self.source.several(1, self.size.states, state)
        S = len(drawn)
        pairs = [
            self._pairs(drafts[layer], s, S)
            for layer in range(layers)
            for s, (drafts, _, _) in enumerate(drawn)
        ]
        initial = None
        if self.source.choice((False, True)):
            weight = np.array([w for _, _, w in drawn], dtype=float)
            initial = weight / weight.sum() if weight.any() else np.eye(S)[0]
        return pairs, np.array([terminal for _, terminal, _ in drawn]), initial

    def _draft(self, source: Source, rewards: int) -> _Draft:
        most = self.size.states
        return _Draft(  # always as many draws, whatever they are needed for
            source.choice(_KINDS),
            source.integer(0, most - 1),
            source.integer(1, 2**most - 1),
            source.integer(0, len(_WEIGHTS) ** most - 1),
            source.choice(self.defects),
            source.choice((1, 1, 1, 2)),
            source.choice((False, False, False, True)),
            [self._reward(source) for _ in range(rewards)],
        )

    def _reward(self, source: Source) -> float:
        """Draw from a coarse grid (ties) or a fine one, in one scale or in all at once."""
        scale = self.scale or source.choice(_SCALES)
        if self.fine:
            return scale * (source.integer(-(10**6), 10**6) / 7e5)
        return scale * source.integer(-2, 2)

    def _pairs(self, drafts: list[_Draft], s: int, S: int) -> list[_Pair]:
        pairs: list[_Pair] = []
        action = -1
        for draft in drafts:
            action += draft.gap
            if draft.twin and pairs:
                pairs.append(pairs[-1]._replace(action=action))
            else:
                row = _row(draft, s, self._allowed(s, S))
                pairs.append(_Pair(action, row, draft.rewards))
        return pairs

    def _allowed(self, s: int, S: int) -> list[int]:
        if self.layout == "classes":  # classes that never meet
            return list(range(s % self.classes, S, self.classes))
        return list(range(s + 1 if self.layout == "downwards" else S))


def _row(draft: _Draft, s: int, allowed: list[int]) -> Row:
    """Map a draft onto the allowed successors: support from a bit mask, weights from digits."""
    if draft.kind == "stay":
        row = {s: 1.0}
    elif draft.kind == "one":
        row = {allowed[draft.target % len(allowed)]: 1.0}
    else:
        mask = draft.mask & (2 ** len(allowed) - 1) or 1
        weight, digits = {}, draft.digits
        for i, t in enumerate(allowed):
            if mask >> i & 1:
                digits, digit = divmod(digits, len(_WEIGHTS))
                weight[t] = _WEIGHTS[digit]
        if not any(weight.values()):
            weight[next(iter(weight))] = 1
        first, *rest = weight
        tiny = draft.kind == "tiny" and any(weight[t] for t in rest)
        total = sum(weight[t] for t in (rest if tiny else weight))
        row = {t: (1 - _TINY if tiny else 1) * (w / total) for t, w in weight.items()}
        if tiny:
            row[first] = _TINY
    return {t: p * (1 + draft.defect) for t, p in row.items()}


def _model(states: list[list[_Pair]], gamma: float, **fields: Any) -> TabularMDP:
    """Assemble the arrays; `states` runs over the layers and, within them, the states."""
    pairs = [pair for state in states for pair in state]
    reward = np.array([pair.rewards for pair in pairs], dtype=float).T
    return TabularMDP(
        np.concatenate([[0], np.cumsum([len(state) for state in states])]),
        np.concatenate([[0], np.cumsum([len(pair.row) for pair in pairs])]),
        np.array([t for pair in pairs for t in pair.row]),
        np.array([p for pair in pairs for p in pair.row.values()]),
        reward if reward.shape[0] > 1 else reward[0],
        np.array([pair.action for pair in pairs]),
        gamma,
        **fields,
    )
