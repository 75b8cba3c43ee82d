"""Divergences against exact sums, their inequalities, and the closed forms."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest

from mdplib import InvalidModelError, divergences
from mdplib.divergences import Divergence, distance, saturation, two_point
from mdplib.robust import RobustDual
from tests.mutation import mutant
from tests.robust_cases import KINDS


def exactly(divergence: str, q: np.ndarray, p: np.ndarray) -> float:
    """The sum over the atoms in rational arithmetic, logarithms to 50 digits."""
    pairs = [(Fraction(x), Fraction(y)) for x, y in zip(q.tolist(), p.tolist(), strict=True)]
    if divergence == "tv":
        return float(sum(abs(x - y) for x, y in pairs) / 2)
    if any(y == 0 < x for x, y in pairs):
        return float("inf")
    if divergence == "chi2":
        return float(sum((x - y) ** 2 / y for x, y in pairs if y))
    with localcontext() as context:
        context.prec = 50
        total = Decimal(0)
        for x, y in pairs:
            if x:
                ratio = x / y
                log = (Decimal(ratio.numerator) / Decimal(ratio.denominator)).ln()
                total += Decimal(x.numerator) / Decimal(x.denominator) * log
            total += (Decimal(y.numerator) / Decimal(y.denominator)) - (
                Decimal(x.numerator) / Decimal(x.denominator)
            )  # the laws' sums differ by rounding; sum q log(q / p) - q + p does not care
        return float(total)


def laws(seed: int, near: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    p = rng.dirichlet(np.full(n, 0.5))
    if n > 2:
        p[0] = 0.0
    p /= p.sum()
    q = (1 - near) * p + near * rng.dirichlet(np.ones(n)) * (p > 0)
    return q / q.sum(), p


@pytest.mark.parametrize("near", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("divergence", KINDS)
def test_sums(divergence: Divergence, near: float):
    for seed in range(30):
        q, p = laws(seed, near)
        truth = exactly(divergence, q, p)
        assert distance(divergence, q, p) == pytest.approx(truth, rel=1e-7, abs=1e-18)
        assert distance(divergence, p, p) == 0.0


@pytest.mark.parametrize("tiny", [0.0, 5e-324, 1e-300, 1e-20, 1e-16, 1e-3])
@pytest.mark.parametrize("divergence", KINDS)
def test_atoms_that_almost_vanish(divergence: Divergence, tiny: float):
    q, p = np.array([tiny, 1.0]), np.array([0.6, 0.4])
    assert distance(divergence, q, p) == pytest.approx(exactly(divergence, q, p), rel=1e-12)


def test_conventions():
    assert distance("tv", [1.0, 0.0], [0.0, 1.0]) == 1.0
    assert distance("kl", [1.0, 0.0], [0.0, 1.0]) == np.inf
    assert distance("chi2", [1.0, 0.0], [0.0, 1.0]) == np.inf
    assert distance("kl", [1.0, 0.0], [0.5, 0.5]) == pytest.approx(np.log(2))
    assert distance("chi2", [1.0, 0.0], [0.5, 0.5]) == 1.0
    assert distance("tv", np.eye(3), np.full(3, 1 / 3)).shape == (3,)
    with pytest.raises(InvalidModelError, match="divergence is 'js'"):
        distance(cast("Any", "js"), [1.0], [1.0])


def test_inequalities():
    """KL <= log(1 + chi2), and Pinsker's and Cauchy's bounds on TV."""
    for seed in range(60):
        q, p = laws(seed)
        tv, kl, chi2 = (float(distance(d, q, p)) for d in KINDS)
        assert kl <= np.log1p(chi2) + 1e-12
        assert 2 * tv**2 <= kl + 1e-12
        assert 4 * tv**2 <= chi2 + 1e-12


@pytest.mark.parametrize("divergence", KINDS)
def test_saturation_is_where_the_ball_reaches_the_least_value(divergence: Divergence):
    p, V = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.5, 0.5]]), np.array([0.0, 0.0, 2.0, 3.0])
    for row, radius in zip(p, saturation(divergence, p, V), strict=True):
        least = 0.0 if divergence == "tv" else V[row > 0].min()
        at = RobustDual(divergence, "ball", float(radius) * (1 + 1e-12))
        below = RobustDual(divergence, "ball", float(radius) * 0.99)
        assert at.value(row, V) == pytest.approx(least, abs=1e-9)
        assert below.value(row, V) > least + 1e-4


@pytest.mark.parametrize("divergence", KINDS)
@pytest.mark.parametrize("price", [0.01, 0.3, 5.0])
def test_two_points(divergence: Divergence, price: float):
    for low in (0.01, 0.4, 0.95):
        value, tilted = two_point(divergence, low, 1.5, price)
        dual = RobustDual(divergence, strength=price)
        p, V = [low, 1 - low], [0.0, 1.5]
        assert dual.value(p, V) == pytest.approx(value, rel=1e-10)
        assert dual.minimiser(p, V)[0] == pytest.approx(tilted, rel=1e-10)
        # the infimum over a grid of laws, straight from the definition
        q = np.linspace(0, 1, 4001)
        far = distance(divergence, np.stack([q, 1 - q], -1), p)
        grid = float(np.min((1 - q) * 1.5 + price * far))
        assert value - 1e-12 <= grid <= value + 1e-2


@pytest.mark.parametrize(
    ("low", "v", "price"), [(0.0, 1, 1), (1.0, 1, 1), (0.5, 0, 1), (0.5, 1, 0)]
)
def test_two_points_refuse(low: float, v: float, price: float):
    with pytest.raises(InvalidModelError, match="expected"):
        two_point("tv", low, v, price)


@pytest.mark.parametrize(
    ("old", "new", "divergence"),
    [
        ("0.5 * np.abs", "np.abs", "tv"),
        ("(q - p) ** 2 / p", "0.5 * (q - p) ** 2 / p", "chi2"),
        ("(q - p), 0.0), p)", "(q - p), 0.0), 0.0)", "kl"),
    ],
)
def test_mutants_are_caught(old: str, new: str, divergence: Divergence):
    q, p = np.array([0.0, 0.3, 0.7]), np.array([0.2, 0.3, 0.5])
    wrong = mutant(divergences, (old, new)).distance(divergence, q, p)
    assert abs(wrong - exactly(divergence, q, p)) > 1e-3
    assert distance(divergence, q, p) == pytest.approx(exactly(divergence, q, p))
