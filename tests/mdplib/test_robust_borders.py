"""Inner robust problems: refuges, batches, mutants and refusals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import numpy as np
import pytest

from mdplib import InvalidModelError, _kernels
from mdplib.divergences import Divergence
from mdplib.robust import Mode, RobustDual, Robustness
from tests import robust_oracle as oracle
from tests.mutation import mutant
from tests.robust_cases import EVERY, case, check_exactly, check_minimiser, extreme, seed_of

P, V = np.array([0.2, 0.3, 0.5]), np.array([0.0, 1.0, 3.0])
INF = float("inf")


# ------------------------------------------------------------- refuges


def test_refuges_of_total_variation():
    p, values = [0.5, 0.5, 0.0], [2.0, 4.0, 1.0]
    dual = RobustDual("tv", strength=0.5)
    assert dual.value(p, values) == 1.5
    assert dual.minimiser(p, values).tolist() == [0.0, 0.0, 1.0]
    assert dual.value(p, values, vmin=0.0) == 0.5, "a refuge outside the states"
    assert dual.minimiser(p, values, vmin=0.0).tolist() == [0.0, 0.0, 0.0]
    assert dual.value(p, values, vmin=2.0) == 2.25, "state 2 may not be used"
    assert dual.minimiser(p, values, vmin=2.0).tolist() == [1.0, 0.0, 0.0]
    assert dual.value(p, values, vmin=3.0) == 2.25, "the support is always open"
    ball = RobustDual("tv", "ball", 0.75)
    assert ball.minimiser(p, values, vmin=0.0).tolist() == [0.25, 0.0, 0.0]
    assert ball.value(p, values, vmin=0.0) == 0.5


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
@pytest.mark.parametrize("vmin", [-1.0, 0.4])
def test_refuges_in_exact_arithmetic(divergence: Divergence, mode: Mode, vmin: float):
    rng = np.random.default_rng(5)
    for _ in range(20):
        p, values, strength = case(rng, mode)
        truth = oracle.infimum(divergence, mode, strength, p.tolist(), values.tolist(), vmin)
        low, high = RobustDual(divergence, mode, strength).bounds(p, values, vmin)
        assert Decimal(float(low)) <= truth <= Decimal(float(high))


# ------------------------------------------------------------- many rows


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_batches_are_rows(divergence: Divergence, mode: Mode):
    rng = np.random.default_rng(3)
    p, values = rng.dirichlet(np.full(7, 0.3), (2, 3)), rng.normal(size=7)
    p[p < 1e-3] = 0.0
    p /= p.sum(axis=-1, keepdims=True)
    dual = RobustDual(divergence, mode, 0.4)
    batch = [dual.value, dual.to_radius, dual.to_penalty, dual.derivative]
    for method in batch:
        whole = method(p, values)
        assert whole.shape == (2, 3)
        assert whole[1, 2] == method(p[1, 2], values)
    q = dual.minimiser(p, values)
    assert q.shape == p.shape
    assert (q[0, 1] == dual.minimiser(p[0, 1], values)).all()
    low, high = dual.bounds(p, values)
    assert (low <= high).all()
    assert low.shape == (2, 3)


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_long_rows(divergence: Divergence, mode: Mode):
    """Support 1000: the bounds stay narrow, and q attains the value."""
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(size=990), np.full(10, 3.0)])
    p = rng.dirichlet(np.full(1000, 0.05), 20)
    dual = RobustDual(divergence, mode, 0.3)
    low, high = dual.bounds(p, values)
    assert (high - low < 1e-10).all()
    for row in p[:5]:
        check_minimiser(dual, row, values)


def test_adversarial_orders_of_the_selection():
    """Sorted, reversed, constant and organ-pipe values, for the selection of the TV ball."""
    n = 257
    for values in (
        np.arange(n),
        np.arange(n)[::-1],
        np.zeros(n),
        np.minimum(np.arange(n), np.arange(n)[::-1]),
        np.arange(n) % 3,
    ):
        p, floats = np.full(n, 1 / n), values.astype(float)
        for radius in (0.0, 1e-6, 1 / n, 0.3, 0.5, 1 - 1 / n, 1.0):
            truth = oracle.infimum("tv", "ball", radius, p.tolist(), floats.tolist())
            low, high = RobustDual("tv", "ball", radius).bounds(p, floats)
            assert Decimal(float(low)) <= truth <= Decimal(float(high))


# ------------------------------------------------------------- mutants

INTERPRETED = (
    "from mdplib._kernels.compile import inlined, kernel",
    "inlined = kernel = lambda f: f",
)
MUTANTS: dict[str, tuple[Divergence, Mode, str, str]] = {
    "no shift": ("kl", "penalty", "base = low if off or", "base = 0.0 if code else low if off or"),
    "chi2 halved": ("chi2", "penalty", "var / (4.0 * strength)", "var / (2.0 * strength)"),
    "cut at strength": ("chi2", "penalty", "(2.0 * strength * total", "(strength * total"),
    "no root": ("chi2", "ball", "LEAST), math.sqrt(radius)", "LEAST), radius"),
    "wrong atoms": ("chi2", "ball", "square - room * s", "square + room * s"),
    "first tilt": ("kl", "ball", "if width <= 4.0 * e * mean", "if width <= 4.0 * mean"),
    "radius added": ("kl", "ball", "(log - radius) / tilt", "(log + radius) / tilt"),
    "all of the atom": ("tv", "ball", "stay = min(max(at + over - need, 0.0), at)", "stay = at"),
    "only the support": ("tv", "penalty", "else min(low, refuge)", "else low"),
    "twice the price": ("tv", "penalty", "s += p[j] * strength", "s += p[j] * 2.0 * strength"),
    "no rounding": ("tv", "penalty", "return 1.01 * (n + 32.0) * UNIT", "return 0.0 * n"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", [None, *MUTANTS])
def test_mutants_are_caught(name: str | None, monkeypatch: pytest.MonkeyPatch):
    """Broken copies of the kernels, interpreted, fail where the true ones, interpreted, pass."""
    kinds: list[tuple[Divergence, Mode]] = EVERY
    changes: list[tuple[str, str]] = []
    if name is not None:
        first, second, old, new = MUTANTS[name]
        kinds, changes = [(first, second)], [(old, new)]
    broken = mutant(_kernels.robust, INTERPRETED, *changes)
    monkeypatch.setattr(_kernels, "robust", broken)
    caught = [d for d, m in kinds if not survives(d, m, 60 if name else 10)]
    assert bool(caught) == (name is not None)


def survives(divergence: Divergence, mode: Mode, n: int) -> bool:
    rng = np.random.default_rng(seed_of(divergence, mode))
    try:
        for _ in range(n):
            check_exactly(divergence, mode, *extreme(rng, divergence, mode))
    except (AssertionError, ArithmeticError, ValueError):
        return False
    return True


def minimised(p: np.ndarray, values: np.ndarray) -> float:
    """The sign of the released code: the least, not the largest, value of the concave dual."""
    cuts = np.linspace(values.min(), values.max(), 1001)
    inside = np.minimum(values, cuts[:, None])
    mean = inside @ p
    return float(np.min(mean - (inside**2 @ p - mean**2) / 4))


def full_distance(p: np.ndarray, values: np.ndarray) -> float:
    """Total variation as the full L1 distance."""
    return float(RobustDual("tv", strength=2.0).value(p, values))


@pytest.mark.parametrize(("divergence", "wrong"), [("chi2", minimised), ("tv", full_distance)])
def test_other_conventions_are_caught(divergence: Divergence, wrong: Any):
    truth = float(oracle.infimum(divergence, "penalty", 1.0, P.tolist(), V.tolist()))
    assert abs(wrong(P, V) - truth) > 0.1
    assert truth == pytest.approx(RobustDual(divergence, strength=1.0).value(P, V))


# ------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("p", "values", "message"),
    [
        ([0.5, 0.6], [0.0, 1.0], "sums to 1.1"),
        ([[0.5, 0.5], [0.5, 0.4]], [0.0, 1.0], r"p\[1\] sums to 0.9. 1 of 2 laws"),
        ([1.5, -0.5], [0.0, 1.0], r"p\[1\] is -0.5"),
        ([np.nan, 1.0], [0.0, 1.0], r"p\[0\] is nan"),
        ([0.5, 0.5], [0.0, np.nan], r"V\[1\] is nan"),
        ([0.5, 0.5], [0.0, INF], r"V\[1\] is inf"),
        ([0.5, 0.5], [0.0, 1.0, 2.0], "one probability per value"),
        ([0.5, 0.5], [[0.0, 1.0]], "V has shape"),
        ([], [], "p has shape"),
        (1.0, [1.0], "p has shape"),
        (["a", "b"], [0.0, 1.0], "p has dtype"),
        ([[1.0], [0.5, 0.5]], [0.0, 1.0], "ragged"),
    ],
)
def test_bad_laws_and_values(p: Any, values: Any, message: str):
    for method in ("value", "bounds", "minimiser", "to_radius", "to_penalty", "derivative"):
        with pytest.raises(InvalidModelError, match=message):
            getattr(RobustDual("tv", strength=1.0), method)(p, values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("l2", "penalty", 1.0), "divergence is 'l2'"),
        (("tv", "budget", 1.0), "mode is 'budget'"),
        (("tv", "penalty", 0.0), "strength is 0"),
        (("tv", "penalty", -1.0), "strength is -1"),
        (("tv", "penalty", float("nan")), "strength is nan"),
        (("kl", "ball", -1e-3), "strength is -0.001"),
        (("kl", "ball", float("nan")), "strength is nan"),
        (("kl", "ball", [1.0, 2.0]), "strength has shape"),
        (("kl", "ball", "1"), "strength has dtype"),
        (("kl", "ball", True), "strength has dtype"),
    ],
)
def test_bad_duals(arguments: Any, message: str):
    with pytest.raises(InvalidModelError, match=message):
        RobustDual(*arguments)
    with pytest.raises(InvalidModelError, match="vmin"):
        RobustDual("tv").value([1.0], [1.0], vmin=float("nan"))


def test_strength_tables():
    assert Robustness("tv", 2.0).table(2, 3).tolist() == [[2.0] * 3] * 2
    assert Robustness("tv", [1.0, 2.0]).table(2, 3)[:, 0].tolist() == [1.0, 2.0]
    assert Robustness("tv", [1.0, 2.0, 3.0]).table(2, 3)[1].tolist() == [1.0, 2.0, 3.0]
    assert Robustness("tv", [[1.0], [INF]]).table(2, 2).tolist() == [[1, 1], [INF, INF]]
    assert Robustness("tv", [[1.0, 2.0]]).table(2, 2).tolist() == [[1, 2], [1, 2]]
    table = Robustness("kl", [[0.0, 1.0, 2.0]] * 2, "ball").table(2, 3)
    assert not table.flags.writeable
    with pytest.raises(InvalidModelError, match=r"\(2, 1\) for one strength per step or \(1, 2\)"):
        Robustness("tv", [1.0, 2.0]).table(2, 2)
    with pytest.raises(InvalidModelError, match=r"shape \(4,\)"):
        Robustness("tv", np.ones(4)).table(2, 3)
    with pytest.raises(InvalidModelError, match=r"shape \(3, 2\)"):
        Robustness("tv", np.ones((3, 2))).table(2, 3)
    with pytest.raises(InvalidModelError, match=r"strength\[1\] is 0.0. 1 of 2"):
        Robustness("tv", [1.0, 0.0])
    with pytest.raises(InvalidModelError, match="divergence"):
        Robustness(cast("Any", "hellinger"), 1.0)
    with pytest.raises(InvalidModelError, match="mode"):
        Robustness("tv", 1.0, cast("Any", "both"))
    with pytest.raises(InvalidModelError, match="dtype"):
        Robustness("tv", cast("Any", "many"))


def test_duals_of_a_table():
    table = Robustness("chi2", [[1.0, 2.0], [3.0, 4.0]], "ball")
    assert table.dual(1, 0) == RobustDual("chi2", "ball", 3.0)
    assert Robustness("tv", 2.0).dual(5, 7).strength == 2.0
    assert Robustness("tv", [[1.0], [3.0]]).dual(1, 9).strength == 3.0
    assert Robustness("tv", [1.0, 3.0]).dual(1, 2, H=2, d=3).strength == 3.0
    with pytest.raises(InvalidModelError, match="pass H and d"):
        Robustness("tv", [1.0, 3.0]).dual(1, 2)
    with pytest.raises(InvalidModelError, match="no strength at step 2"):
        table.dual(2, 0)
    assert repr(Robustness("tv", 2.0)) == "Robustness('tv', 2., 'penalty')"
