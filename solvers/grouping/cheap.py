r"""Choosing the number of groups without looking at every action.

Problem
-------
Actions are ordered, neighbours are alike, and there may be a million of them. Into how many
intervals should they be grouped, with N samples to learn from afterwards? The choice may not cost
more when there are more actions.

Algorithm
---------
Intervals are halved level by level: m = 1, 2, 4, ... In each group q pairs of actions, one from its
first and one from its last third, are drawn and sampled K_p times in every state. With
x(a) = a / (A - 1), the constants

    L_r ~ |r(s,a) - r(s,a')| / |x - x'|,   L_P ~ TV(P(.|s,a), P(.|s,a')) / |x - x'|          (1)

are upper quantiles over all probes so far, both differences reduced by what chance alone puts into
them: sqrt(1 / (pi K_p)) at most for the reward and sqrt(S / (pi K_p)) for the variation. For m
groups |x - x'| <= 1/m, and

    (L_r / m + gamma min(L_P / m, 1) span) / (1-gamma) + noise estimation(m, N / (S m))      (2)

is the objective; the scan stops when it has risen twice in a row.

Guarantee
---------
None without the assumption behind (1): an action unlike its neighbours that no probe meets cannot
be noticed at a cost below the number of actions. 2 S q K_p samples are drawn per group looked at
that has two actions, however many actions there are.

Cost
----
4 m* groups at most, m* the number chosen, or the last level that N can serve.

Deviations
----------
The published selection rests on an assumption that is not public; this one is derived. `noise`
below one makes up for the looseness of the a priori bound.

References
----------
After Li, Ju and Shroff (2024), li2024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.grouping.loss import estimation_bound

Floats = NDArray[np.float64]


class ActionSampler(Protocol):
    """A generative model that is asked about single actions."""

    @property
    def n_states(self) -> int:
        """Number of states S."""
        ...

    @property
    def n_actions(self) -> int:
        """Number of actions A; they are ordered."""
        ...

    @property
    def gamma(self) -> float:
        """Discount."""
        ...

    def sample(
        self, s: int, a: int, n: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], float]:
        """Return how often each successor came, (S,), and the mean reward, of n samples."""
        ...


@dataclass(frozen=True)
class Level:
    """One number of groups.

    Parameters
    ----------
    n_groups : int
        m.
    approximation, estimation : float
        The two parts of (2).
    """

    n_groups: int
    approximation: float
    estimation: float

    @property
    def objective(self) -> float:
        """Their sum."""
        return self.approximation + self.estimation


@dataclass(frozen=True)
class Selected:
    """The number of groups, and what it took to choose it.

    Parameters
    ----------
    n_groups : int
        m.
    levels : tuple of Level
        Every number that was looked at.
    slope_r, slope_P : float
        L_r and L_P.
    samples : int
        Samples drawn.
    """

    n_groups: int
    levels: tuple[Level, ...]
    slope_r: float
    slope_P: float
    samples: int


def cheap_selection(
    model: ActionSampler,
    samples: int,
    rng: np.random.Generator,
    *,
    most_groups: int | None = None,
    pairs: int = 4,
    probes: int = 200,
    quantile: float = 0.95,
    noise: float = 1.0,
    span: float | None = None,
    delta: float = 0.05,
) -> Selected:
    """Choose the number of intervals of ordered actions.

    Parameters
    ----------
    model : ActionSampler
        The generative model; rewards in [0, 1].
    samples : int
        N, samples for learning afterwards.
    rng : numpy.random.Generator
        Source of randomness.
    most_groups : int, optional
        Largest m to look at; what N allows by default.
    pairs : int
        q, pairs of actions per group.
    probes : int
        K_p, samples per probed action and state.
    quantile : float
        Of the ratios (1).
    noise : float
        Factor of the estimation in (2); 1 is the proven bound.
    span : float, optional
        max V* - min V*, or a bound on it; 1 / (1 - gamma) by default.
    delta : float
        Failure probability of the estimation.

    Returns
    -------
    Selected

    Raises
    ------
    InvalidModelError
        If the budget gives no sample to some state of a single group.
    """
    S, A, gamma = model.n_states, model.n_actions, model.gamma
    if samples < S:
        raise InvalidModelError(f"{samples} samples for {S} states; raise the budget")
    span = 1.0 / (1.0 - gamma) if span is None else span
    ratios_r: list[float] = []
    ratios_P: list[float] = []
    levels: list[Level] = []
    used, rises, m = 0, 0, 1
    while m <= min(A, most_groups or A) and samples // (S * m) >= 1 and rises < 2:
        for h in range(m):
            low, high = h * A // m, (h + 1) * A // m
            used += _probe(model, low, high, pairs, probes, rng, ratios_r, ratios_P)
        slope_r = float(np.quantile(ratios_r, quantile)) if ratios_r else 0.0  # (1)
        slope_P = float(np.quantile(ratios_P, quantile)) if ratios_P else 0.0
        width = 0.0 if m == A else 1.0 / m
        far = min(slope_r * width, 1.0) + gamma * min(slope_P * width, 1.0) * span
        left = noise * estimation_bound(S, m, samples // (S * m), gamma, delta)
        levels.append(Level(m, far / (1.0 - gamma), left))  # (2)
        rising = len(levels) > 1 and levels[-1].objective > levels[-2].objective
        rises = rises + 1 if rising else 0
        m *= 2
    best = min(levels, key=lambda level: level.objective)
    return Selected(best.n_groups, tuple(levels), slope_r, slope_P, used)


def _probe(
    model: ActionSampler, low: int, high: int, pairs: int, probes: int,
    rng: np.random.Generator, ratios_r: list[float], ratios_P: list[float],
) -> int:  # fmt: skip
    """Sample pairs of actions of one group; return how many samples it took."""
    if high - low < 2:
        return 0
    S, used = model.n_states, 0
    scale = max(model.n_actions - 1, 1)
    chance_r, chance_P = math.sqrt(1.0 / (math.pi * probes)), math.sqrt(S / (math.pi * probes))
    for _ in range(pairs):
        third = max((high - low) // 3, 1)
        a, b = low + int(rng.integers(third)), high - 1 - int(rng.integers(third))
        apart = (b - a) / scale
        worst_r = worst_P = 0.0
        for s in range(S):
            one, r_one = model.sample(s, a, probes, rng)
            two, r_two = model.sample(s, b, probes, rng)
            variation = 0.5 * float(np.abs(one - two).sum()) / probes
            worst_P = max(worst_P, variation - chance_P)
            worst_r = max(worst_r, abs(r_one - r_two) - chance_r)
        used += 2 * S * probes
        ratios_P.append(worst_P / apart)
        ratios_r.append(worst_r / apart)
    return used
