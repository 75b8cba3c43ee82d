"""Hypotheses and cases that the statements on grouped actions share.

A case holds "model" (`bounds.grouped_models.Grouped`). All statements come after Li, Ju and Shroff:
the setting and the shape of the results are theirs, the constants are derived in the modules that
hold the statements, because the text of the paper was not at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Grouped, analysed
from bounds.model import Array
from bounds.theorem import Hypothesis, Scale

AFTER = "After Li, Ju and Shroff; constants derived in the module, not quoted"
MANY: Mapping[Scale, int] = {"smoke": 10_000, "default": 20_000, "paper": 100_000}
SOME: Mapping[Scale, int] = {"smoke": 400, "default": 10_000, "paper": 40_000}
BATCH = 40
EPS = 1e-10
DISCOUNTS = (0.5, 0.9, 0.97)

DISTRIBUTION = Hypothesis(
    "distribution",
    "each row of P is a probability distribution",
    lambda case: _stochastic(case["model"].P),
)
DISCOUNT = Hypothesis(
    "discount", "0 <= gamma < 1", lambda case: bool(0.0 <= case["model"].gamma < 1.0)
)
REWARDS = Hypothesis(
    "rewards",
    "rewards lie in [0, 1]",
    lambda case: bool(case["model"].r.min() >= -EPS and case["model"].r.max() <= 1.0 + EPS),
)
MU = Hypothesis(
    "mu",
    "mu is a policy inside the groups: weights of the actions of a group sum to one at each state",
    lambda case: sums_to_one(case["model"], case["model"].mu),
)
DELTA = Hypothesis("delta", "0 < delta < 1", lambda case: bool(0.0 < case["delta"] < 1.0))
SAMPLES = Hypothesis(
    "samples",
    "each pair of state and group is sampled K >= 1 times",
    lambda case: bool(case["K"] >= 1),
)
ITERATIONS = Hypothesis("iterations", "n >= 0 iterations", lambda case: bool(case["n"] >= 0))
SETTING = (DISTRIBUTION, DISCOUNT, MU)


def _stochastic(P: Array) -> bool:
    return bool(P.min() >= 0.0 and np.abs(P.sum(-1) - 1.0).max() <= EPS)


def sums_to_one(model: Grouped, mu: Array) -> bool:
    """Tell whether mu (S, A) is non-negative and sums to one in each group at each state."""
    member = model.group[..., None] == np.arange(model.n_groups)
    sums = np.where(member, mu[..., None], 0.0).sum(1)
    return bool(mu.min() >= 0.0 and np.abs(sums - 1.0)[member.any(1)].max() <= EPS)


def normalised(weight: Array, group: Array, n_groups: int) -> Array:
    """Return mu (..., A) proportional to positive weights (..., A) inside each group."""
    member = group[..., None] == np.arange(n_groups)
    totals = np.where(member, weight[..., None], 0.0).sum(-2)
    return weight / np.take_along_axis(totals, group, -1)


def draw_groups(
    rng: np.random.Generator, B: int, S: int, A: int, m: int, per_state: bool = True
) -> Array:
    """Return groupings (B, S, A) into m groups; every other one changes with the state."""
    group = rng.integers(0, m, (B, S, A))
    same = (np.arange(B) % 2 == 0) | (not per_state)
    group[same] = group[same, :1]
    group[same, :, :m] = np.arange(m)
    return group


def draw_weights(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return positive weights of actions: equal, random, or all but concentrated on one."""
    kind = rng.integers(0, 3, (shape[0], *[1] * (len(shape) - 1)))
    random = rng.exponential(size=shape) + 1e-3
    return np.where(kind == 0, 1.0, np.where(kind == 1, random, random**12 + 1e-30))


def draw_arrays(
    rng: np.random.Generator, B: int, S: int, A: int, group: Array
) -> tuple[Array, Array]:
    """Return kernels (B, S, A, S) and rewards (B, S, A), the actions of a group alike in a part.

    The share of the part is random, 0 and 1 included, so that losses and weights take all sizes.
    """
    conc = rng.choice((0.1, 0.5, 2.0), B)

    def laws(*shape: int) -> Array:
        x = rng.gamma(conc.reshape(B, *[1] * (len(shape))), size=(B, *shape)) + 1e-12
        return x / x.sum(-1, keepdims=True)

    at = np.arange(B)[:, None, None], np.arange(S)[None, :, None], group
    b_P, b_r = (rng.beta(0.5, 0.5, (B, 1, 1)) for _ in range(2))
    P = (1.0 - b_P[..., None]) * laws(S, A, S)[at] + b_P[..., None] * laws(S, A, S)
    P /= P.sum(-1, keepdims=True)
    extreme = rng.random((B, 1, 1)) < 0.25
    paid, own = (np.where(extreme, x > 0.5, x) for x in rng.random((2, B, S, A)))
    return P, (1.0 - b_r) * paid[at] + b_r * own


def draw_batch(
    rng: np.random.Generator,
    B: int,
    *,
    S: int,
    A: int,
    m: int,
    gamma: float | None = None,
    per_state: bool = True,
) -> list[Grouped]:
    """Return B random models of one shape, analysed."""
    group = draw_groups(rng, B, S, A, m, per_state)
    P, r = draw_arrays(rng, B, S, A, group)
    mu = normalised(draw_weights(rng, (B, S, A)), group, m)
    gammas = rng.choice(DISCOUNTS, B) if gamma is None else np.full(B, gamma)
    return analysed([Grouped(*parts) for parts in zip(P, r, group, mu, gammas, strict=True)])


def draw_models(
    rng: np.random.Generator,
    n: int,
    *,
    shape: tuple[int, int, int] | None = None,
    gamma: float | None = None,
    per_state: bool = True,
) -> Iterator[Grouped]:
    """Draw n analysed models with at most five states and eight actions.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n : int
        How many.
    shape : tuple of int, optional
        Fixed S, A and m.
    gamma : float, optional
        Fixed discount factor.
    per_state : bool
        Whether every other grouping changes with the state; then a state may lack a group.

    Yields
    ------
    Grouped
        Batches of one shape follow each other.
    """
    while n > 0:
        actions = int(rng.integers(1, 9))
        drawn = (int(rng.integers(1, 6)), actions, int(rng.integers(1, actions + 1)))
        S, A, m = drawn if shape is None else shape
        yield from draw_batch(rng, min(n, BATCH), S=S, A=A, m=m, gamma=gamma, per_state=per_state)
        n -= BATCH


def random_cases(rng: np.random.Generator, n: int) -> Iterator[Case]:
    """Draw n cases of a model each."""
    for i, model in enumerate(draw_models(rng, n)):
        yield Case({"model": model}, f"random {i}")


def some(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    """Draw the instances of a statement that other statements cover as well."""
    yield from random_cases(rng, SOME[scale])


def many(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    """Draw the instances of a main statement: ten thousand at the smallest scale."""
    yield from random_cases(rng, MANY[scale])


def broken_of(case: Case, hypotheses: Iterable[Hypothesis]) -> dict[str, Case]:
    """Return, for each hypothesis of this module, the case with that one broken."""
    model: Grouped = case["model"]
    changes: dict[str, dict[str, Any]] = {
        "distribution": {"model": replace(model, P=1.25 * model.P)},
        "discount": {"model": replace(model, gamma=1.0)},
        "rewards": {"model": replace(model, r=model.r + 1.5)},
        "mu": {"model": replace(model, mu=0.5 * model.mu)},
        "delta": {"delta": 1.0},
        "samples": {"K": 0},
        "iterations": {"n": -1},
    }
    return {h.name: case.with_values(changes[h.name]) for h in hypotheses if h.name in changes}
