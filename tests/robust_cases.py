"""Instances of inner robust problems, ordinary and extreme, and what every solution must obey."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from mdplib.divergences import Divergence
from mdplib.robust import Mode, RobustDual
from tests import robust_oracle as oracle

KINDS: tuple[Divergence, ...] = ("tv", "kl", "chi2")
MODES: tuple[Mode, ...] = ("penalty", "ball")
EVERY: list[tuple[Divergence, Mode]] = [(d, m) for d in KINDS for m in MODES]


def case(
    rng: np.random.Generator, mode: Mode, size: int = 8
) -> tuple[np.ndarray, np.ndarray, float]:
    """A well scaled instance, some atoms without mass, some values equal."""
    n = int(rng.integers(1, size + 1))
    p = rng.dirichlet(np.ones(n))
    if n > 1 and rng.random() < 0.4:
        p[rng.integers(n)] = 0.0
    p /= p.sum()
    values = rng.uniform(-1.0, 3.0, n)
    if rng.random() < 0.3:
        values = np.round(values)
    strength = float(10.0 ** rng.uniform(-1.0, 1.0 if mode == "penalty" else 0.0))
    return p, values, strength


def extreme(rng: np.random.Generator, divergence: str, mode: Mode):
    """Hard instances: tiny atoms, ties, offsets, scales, strengths over 24 orders."""
    n = int(rng.integers(1, 9))
    p = rng.dirichlet(np.full(n, 10.0 ** rng.uniform(-2, 1)))
    if rng.random() < 0.3:
        p[rng.integers(n)] = 0.0
    if rng.random() < 0.3:
        p = p * 10.0 ** rng.uniform(-14, 0, n)
    if p.sum() == 0:
        p[0] = 1.0
    values = rng.random(n)
    if n > 1 and rng.random() < 0.2:  # the best refuge has no mass
        p[np.argmin(values)], p[np.argmax(values)] = 0.0, 0.5
    p = p / p.sum()
    if rng.random() < 0.4:
        values = np.round(values * 3) / 3
    if rng.random() < 0.2:
        values = values * 10.0 ** rng.uniform(-12, 2, n)
    values = values * 10.0 ** rng.integers(-7, 8) * rng.choice([-1, 1])
    if rng.random() < 0.3:
        values = values + 10.0 ** rng.integers(-3, 7) * rng.choice([-1, 1])
    if mode == "penalty":
        near = float(np.ptp(values) or 1.0) * 10.0 ** rng.uniform(-3, 3)
        return p, values, float(near if rng.random() < 0.6 else 10.0 ** rng.uniform(-12, 12))
    strength = 10.0 ** (rng.uniform(-2, 1) if rng.random() < 0.6 else rng.uniform(-12, 3))
    if rng.random() < 0.1:
        strength = 0.0
    elif rng.random() < 0.2:  # at the edge of saturation, or at a knot
        least = p[(p > 0) & (values == values[p > 0].min())].sum()
        edge = {"tv": np.cumsum(p)[rng.integers(n)], "kl": -np.log(least), "chi2": 1 / least - 1}
        strength = max(edge[divergence] * (1 + 10.0 ** rng.uniform(-16, -3)), 0.0)
    return p, values, float(strength)


def seed_of(divergence: Divergence, mode: Mode) -> int:
    """A number of its own for each kind of problem."""
    return 10 * KINDS.index(divergence) + MODES.index(mode)


def check_exactly(divergence: Divergence, mode: Mode, p: Any, values: Any, strength: float):
    """Bounds contain the truth and are narrow, and the minimiser attains the value."""
    dual = RobustDual(divergence, mode, strength)
    truth = oracle.infimum(divergence, mode, strength, p.tolist(), values.tolist())
    low, high = dual.bounds(p, values)
    scale = float(np.abs(values).max()) or 1.0
    assert Decimal(float(low)) <= truth <= Decimal(float(high))
    assert high - low <= 1e-12 * scale
    assert low <= dual.value(p, values) <= high
    check_minimiser(dual, p, values)


def check_minimiser(dual: Any, p: Any, values: Any):
    """The law returned is one, is near enough, and attains the value, to 1e-10."""
    q, far, value = dual.minimiser(p, values), dual.to_radius(p, values), dual.value(p, values)
    scale = float(np.abs(values).max()) or 1.0
    assert (q >= 0).all()
    assert abs(q.sum() - 1) <= 1e-12
    paid = dual.strength * far if dual.mode == "penalty" and far > 0 else 0.0
    assert abs(float(q @ values) + paid - value) <= 1e-10 * scale
    if dual.mode == "ball":
        assert far <= dual.strength * (1 + 1e-9) + 1e-13
