"""One family of small, awkward models, drawn by hypothesis or by a numpy generator.

A model is built from integers and choices alone, which come from a `Source`; so the two ways of
drawing share every line that decides what a model looks like. The family holds what breaks
solvers: varying action sets with gaps in the identifiers, ties, duplicated actions, stored zeros,
probabilities of 1e-12, rows whose sum is off by up to 9e-10, several recurrent classes, absorbing
and unreachable states, rewards from 1e-6 to 1e6 in one model, gamma from 0 to 1 - 1e-9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from mdplib.tabular import TabularMDP

T = TypeVar("T")
Row = dict[int, float]

GAMMAS = (0.5, 0.9, 0.0, 0.99, 0.999, 0.9999, 1 - 1e-6, 1 - 1e-9)
FINITE_GAMMAS = (1.0, 0.9, 0.0, 0.5, 0.9999)
_WEIGHTS = (1, 0, 2, 3, 7)  # the simplest first: hypothesis shrinks towards it
_DEFECTS = (0.0, 1e-10, -1e-10, 9e-10, -9e-10)
_TINY = 1e-12
_SCALES = (1.0, 1e-6, 1e6)


class Source(Protocol):
    """Where the integers and choices come from."""

    def integer(self, low: int, high: int) -> int:
        """Return an integer of low..high."""
        ...

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options."""
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
    S = source.integer(1, size.states)
    # Rows must not make gamma times the row sum reach 1, where the value is infinite.
    kernel = _Kernel(source, size, S, (1 - gamma) / 4)
    return kernel.model(kernel.rewards(kernel.n_pairs), gamma)


def finite_horizon_model(source: Source, size: Size, gammas: Sequence[float]) -> TabularMDP:
    """Build a model whose kernels and rewards may change with the step."""
    H, S = source.integer(1, size.horizon), source.integer(1, size.states)
    kind = source.choice(("stationary", "rewards per step", "kernels per step"))
    kernel = _Kernel(source, size, S, 1.0, H if kind == "kernels per step" else 1)
    if kind == "rewards per step":
        reward = np.stack([kernel.rewards(kernel.n_pairs) for _ in range(H)])
    else:
        reward = kernel.rewards(kernel.n_pairs)
    return kernel.model(
        reward,
        source.choice(gammas),
        horizon=H,
        terminal=kernel.rewards(S) if source.choice((False, True)) else None,
        stationary=kind != "kernels per step",
    )


class _Kernel:
    """Rows of one or several stacked layers, grown state by state."""

    def __init__(self, source: Source, size: Size, S: int, slack: float, layers: int = 1):
        self.source, self.S = source, S
        self.rows: list[Row] = []
        self.action: list[int] = []
        self.counts: list[int] = []
        self.same_as_last: list[bool] = []
        self.defects = [d for d in _DEFECTS if abs(d) <= slack]
        self.classes = source.integer(1, min(3, S))
        self.layout = source.choice(("any", "any", "classes", "downwards"))
        for _ in range(layers):
            for s in range(S):
                self._add_state(s, size.actions)
        self.scale = source.choice((*_SCALES, None))
        self.fine = source.choice((False, True))

    @property
    def n_pairs(self) -> int:
        return len(self.rows)

    def _add_state(self, s: int, most: int) -> None:
        count, action = self.source.integer(1, most), -1
        for k in range(count):
            action += self.source.choice((1, 1, 1, 2))
            twin = k > 0 and self.source.choice((False, False, False, True))
            self.rows.append(self.rows[-1] if twin else self._row(s))
            self.same_as_last.append(twin)
            self.action.append(action)
        self.counts.append(count)

    def _row(self, s: int) -> Row:
        """Draw a row: its support as a bit mask, its weights as digits."""
        allowed = self._allowed(s)
        kind = self.source.choice(("stay", "weights", "weights", "weights", "one", "tiny"))
        if kind == "stay":
            row = {s: 1.0}
        elif kind == "one":
            row = {self.source.choice(allowed): 1.0}
        else:
            mask = self.source.integer(1, 2 ** len(allowed) - 1)
            support = [t for i, t in enumerate(allowed) if mask >> i & 1]
            row = self._weigh(support)
            if kind == "tiny" and len(row) > 1:
                first, *rest = row
                share = (1 - _TINY) / sum(row[t] for t in rest) if any(map(row.get, rest)) else 0
                row = {first: _TINY if share else 1.0, **{t: share * row[t] for t in rest}}
        defect = self.source.choice(self.defects)
        return {t: p * (1 + defect) for t, p in sorted(row.items())}

    def _weigh(self, support: list[int]) -> Row:
        digits = self.source.integer(0, len(_WEIGHTS) ** len(support) - 1)
        weight = []
        for _ in support:
            digits, digit = divmod(digits, len(_WEIGHTS))
            weight.append(_WEIGHTS[digit])
        if not any(weight):
            weight[0] = 1
        total = sum(weight)
        return {t: w / total for t, w in zip(support, weight, strict=True)}

    def _allowed(self, s: int) -> list[int]:
        if self.layout == "classes":  # classes that never meet
            return list(range(s % self.classes, self.S, self.classes))
        return list(range(s + 1 if self.layout == "downwards" else self.S))

    def rewards(self, count: int) -> np.ndarray:
        """Draw rewards: on a coarse grid (ties) or fine, in one scale or in all at once."""
        reward = []
        for k in range(count):
            if count == self.n_pairs and self.same_as_last[k]:
                reward.append(reward[-1])
                continue
            scale = self.scale or self.source.choice(_SCALES)
            step = self.source.integer(-(10**6), 10**6) / 7e5 if self.fine else None
            reward.append(scale * (self.source.integer(-2, 2) if step is None else step))
        return np.array(reward, dtype=float)

    def model(self, reward: np.ndarray, gamma: float, **fields: Any) -> TabularMDP:
        initial = None
        if self.source.choice((False, True)):
            law = self._weigh(list(range(self.S)))
            initial = np.array([law[s] for s in range(self.S)])
        return TabularMDP(
            np.concatenate([[0], np.cumsum(self.counts)]),
            np.concatenate([[0], np.cumsum([len(row) for row in self.rows])]),
            np.array([t for row in self.rows for t in row]),
            np.array([p for row in self.rows for p in row.values()]),
            reward,
            np.array(self.action),
            gamma,
            initial=initial,
            **fields,
        )
