"""Inner robust problems against exact arithmetic, conic primals, closed forms, algebra."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from mdplib.divergences import Divergence, distance
from mdplib.robust import Mode, RobustDual
from tests.robust_cases import EVERY, KINDS, case, check_exactly, check_minimiser, extreme, seed_of

P, V = np.array([0.2, 0.3, 0.5]), np.array([0.0, 1.0, 3.0])
INF = float("inf")


# ------------------------------------------------------------- exact arithmetic


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_bounds_hold_in_exact_arithmetic(divergence: Divergence, mode: Mode):
    """60 digits, hard instances: bounds contain the truth, are narrow, and q attains it."""
    rng = np.random.default_rng(seed_of(divergence, mode))
    for _ in range(60):
        check_exactly(divergence, mode, *extreme(rng, divergence, mode))


@pytest.mark.slow
@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_bounds_hold_in_exact_arithmetic_at_length(divergence: Divergence, mode: Mode):
    rng = np.random.default_rng(1000 + seed_of(divergence, mode))
    for _ in range(1500):
        check_exactly(divergence, mode, *extreme(rng, divergence, mode))


# ------------------------------------------------------------- conic primals


def primal(divergence: str, mode: str, strength: float, p: np.ndarray, values: np.ndarray) -> float:
    """Solve for the law itself, in epigraph form."""
    import cvxpy as cp

    on = p > 0
    weight, worth = p[on], values[on]
    q = cp.Variable(weight.size, nonneg=True)
    if divergence == "tv":
        extra = cp.Variable(nonneg=True)  # mass on the least value of all states
        far = 0.5 * (cp.norm1(q - weight) + extra)
        expected, mass = q @ worth + extra * values.min(), cp.sum(q) + extra
        # mass on a state of the support counts as a change there, never as less
    elif divergence == "kl":
        far, expected, mass = cp.sum(cp.rel_entr(q, weight)), q @ worth, cp.sum(q)
    else:
        far = cp.sum_squares(cp.multiply(q - weight, 1 / np.sqrt(weight)))
        expected, mass = q @ worth, cp.sum(q)
    if mode == "penalty":
        objective, within = expected + strength * far, [mass == 1]
    else:
        objective, within = expected, [mass == 1, far <= strength]
    problem = cp.Problem(cp.Minimize(objective), cast("Any", within))
    if divergence == "tv":
        problem.solve(solver=cp.HIGHS)
    else:
        tight = {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9}
        with warnings.catch_warnings():  # it may miss its own tolerance; 1e-7 is judged below
            warnings.filterwarnings("ignore", "Solution may be inaccurate")
            problem.solve(solver=cp.CLARABEL, **tight)
    return float(cast("float", problem.value))


def agrees_with_primal(rng: np.random.Generator, divergence: Divergence, mode: Mode):
    p, values, strength = case(rng, mode)
    p = np.where(p > 1e-3, p, 0.0)  # what the conic solver resolves
    p /= p.sum()
    if divergence == "kl" and mode == "penalty":
        strength = max(strength, 0.25)
    dual = RobustDual(divergence, mode, strength)
    assert abs(dual.value(p, values) - primal(divergence, mode, strength, p, values)) <= 1e-7
    check_minimiser(dual, p, values)
    if dual.to_radius(p, values) > 0:
        q = dual.minimiser(p, values)
        assert distance(divergence, q, p) == pytest.approx(dual.to_radius(p, values), abs=1e-9)


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_duals_equal_conic_primals(divergence: Divergence, mode: Mode):
    rng = np.random.default_rng(100 + seed_of(divergence, mode))
    for _ in range(20):
        agrees_with_primal(rng, divergence, mode)


@pytest.mark.slow
@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_a_thousand_duals_equal_conic_primals(divergence: Divergence, mode: Mode):
    rng = np.random.default_rng(200 + seed_of(divergence, mode))
    for _ in range(170):
        agrees_with_primal(rng, divergence, mode)


# ------------------------------------------------------------- numbers and closed forms


@pytest.mark.parametrize(
    ("strength", "tv", "kl", "chi2"),
    [
        (0.1, 0.08, 0.16093698, 0.40),
        (0.5, 0.40, 0.70973954, 1.04),
        (1.0, 0.80, 1.09285678, 1.41),
        (2.0, 1.30, 1.41236645, 1.605),
    ],
)
def test_penalty_numbers(strength: float, tv: float, kl: float, chi2: float):
    found = [RobustDual(d, strength=strength).value(P, V) for d in KINDS]
    assert found == pytest.approx([tv, kl, chi2], abs=5e-9)


@pytest.mark.parametrize(
    ("radius", "tv", "kl"),
    [(0.05, 1.65, 1.402981), (0.2, 1.2, 1.013239), (0.5, 0.3, 0.594103), (1.0, 0.0, 0.21073)],
)
def test_ball_numbers(radius: float, tv: float, kl: float):
    found = [RobustDual(d, "ball", radius).value(P, V) for d in ("tv", "kl")]
    assert found == pytest.approx([tv, kl], abs=5e-7)


@pytest.mark.parametrize("low", [1e-9, 0.01, 0.3, 0.9])
@pytest.mark.parametrize("v", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("price", [1e-3, 0.2, 1.0, 30.0])
def test_two_points(low: float, v: float, price: float):
    p, values, high = [low, 1 - low], [0.0, v], 1 - low
    tv, kl, chi2 = (RobustDual(d, strength=price) for d in KINDS)
    assert tv.value(p, values) == pytest.approx(high * min(v, price), rel=1e-12)
    assert kl.value(p, values) == pytest.approx(
        -price * np.log(low + high * np.exp(-v / price)), rel=1e-9
    )
    inner = low * v <= 2 * price
    closed = high * v - low * high * v * v / (4 * price) if inner else price * high / low
    assert chi2.value(p, values) == pytest.approx(closed, rel=1e-9)
    tilted = [float(d.minimiser(p, values)[0]) for d in (tv, kl, chi2)]
    assert tilted[0] == pytest.approx(1.0 if v > price else low, rel=1e-12)
    assert tilted[1] == pytest.approx(low / (low + high * np.exp(-v / price)), rel=1e-9)
    assert tilted[2] == pytest.approx(min(1.0, low + low * high * v / (2 * price)), rel=1e-9)


# ------------------------------------------------------------- algebra


@pytest.fixture(params=range(8))
def instance(request: pytest.FixtureRequest) -> Iterator[Any]:
    return cast("Any", np.random.default_rng(400 + request.param))


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_algebra(instance: np.random.Generator, divergence: Divergence, mode: Mode):
    p, values, s = case(instance, mode)
    dual = RobustDual(divergence, mode, s)
    value, n = dual.value(p, values), p.size
    scaled = RobustDual(divergence, mode, s * 2.5 if mode == "penalty" else s)
    assert dual.value(p, values + 7) == pytest.approx(value + 7, abs=1e-12)
    assert scaled.value(p, 2.5 * values) == pytest.approx(2.5 * value, abs=1e-12)
    bump = instance.uniform(0, 1, n)
    assert value - 1e-12 <= dual.value(p, values + bump) <= value + bump.max() + 1e-12
    least = values.min() if divergence == "tv" else values[p > 0].min()
    assert least - 1e-12 <= value <= p @ values + 1e-12
    grid = s * np.array([0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75])
    path = np.array([RobustDual(divergence, mode, x).value(p, values) for x in grid])
    bend = path[:-2] + path[2:] - 2 * path[1:-1]
    if mode == "penalty":  # rising and concave in the price
        assert (np.diff(path) >= -1e-12).all()
        assert (bend <= 1e-12).all()
    else:  # falling and convex in the radius for tv; in the root of it for the others
        assert (np.diff(path) <= 1e-12).all()
        assert (bend >= -1e-12).all()


def test_smaller_divergences_give_smaller_values(instance: np.random.Generator):
    """KL(q || p) <= chi2(q || p), so the adversary that pays for KL pays less."""
    p, values, s = case(instance, "penalty")
    kl, chi2 = (RobustDual(d, strength=s).value(p, values) for d in ("kl", "chi2"))
    assert kl <= chi2 + 1e-12
    kl, chi2 = (RobustDual(d, "ball", s).value(p, values) for d in ("kl", "chi2"))
    assert kl <= chi2 + 1e-12


@pytest.mark.parametrize("divergence", KINDS)
def test_penalty_and_ball_are_dual(instance: np.random.Generator, divergence: Divergence):
    p, values, s = case(instance, "penalty")
    dual = RobustDual(divergence, strength=s)
    radius = dual.to_radius(p, values)
    ball = RobustDual(divergence, "ball", radius)
    assert ball.value(p, values) == pytest.approx(dual.value(p, values) - s * radius, abs=1e-9)
    if radius > 1e-9 and divergence != "tv":
        assert ball.to_penalty(p, values) == pytest.approx(s, rel=1e-6)
        assert ball.minimiser(p, values) == pytest.approx(dual.minimiser(p, values), abs=1e-6)
    price = ball.to_penalty(p, values)
    if 0 < price < INF:  # C(rho) = sup over prices of R - price rho, attained at the multiplier
        there = RobustDual(divergence, strength=price).value(p, values) - price * radius
        assert there == pytest.approx(ball.value(p, values), abs=1e-9)


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_derivative_is_the_slope(instance: np.random.Generator, divergence: Divergence, mode: Mode):
    p, values, s = case(instance, mode)
    step = 1e-5 * s

    def at(x: float) -> float:
        return float(RobustDual(divergence, mode, x).value(p, values))

    left, right = (at(s) - at(s - step)) / step, (at(s + step) - at(s)) / step
    slope = float(RobustDual(divergence, mode, s).derivative(p, values))
    slack = 1e-3 * (abs(left) + abs(right)) + 1e-6
    assert min(left, right) - slack <= slope <= max(left, right) + slack


@pytest.mark.parametrize("divergence", KINDS)
def test_limits(divergence: Divergence):
    p, values = np.array([0.0, 0.25, 0.25, 0.5]), np.array([-1.0, 2.0, 2.0, 3.0])
    least = -1.0 if divergence == "tv" else 2.0
    mean = pytest.approx(2.5, abs=1e-12)
    assert RobustDual(divergence).value(p, values) == mean
    assert RobustDual(divergence, "ball", 0.0).value(p, values) == mean
    assert RobustDual(divergence, strength=1e12).value(p, values) == pytest.approx(2.5, abs=1e-9)
    assert RobustDual(divergence, strength=1e-12).value(p, values) == pytest.approx(least, abs=1e-9)
    for radius in (5.0, 1e12, INF):
        dual = RobustDual(divergence, "ball", radius)
        assert dual.value(p, values) == least
        assert dual.minimiser(p, values) @ values == least
        assert dual.to_penalty(p, values) == 0.0
    for price in (1e-300, 1e-12, 1.0, 1e12, 1e300):
        low, high = RobustDual(divergence, strength=price).bounds(p, values)
        assert least - 1e-15 <= low <= high <= 2.5 + 1e-12
        assert high - low < 1e-12


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_nothing_to_gain(divergence: Divergence, mode: Mode):
    """Constants, one state, one atom: the bounds meet."""
    dual = RobustDual(divergence, mode, 0.3)
    assert dual.bounds([0.1] * 10, [1 / 3] * 10) == (1 / 3, 1 / 3)
    assert dual.bounds([1.0], [-7.7]) == (-7.7, -7.7)
    assert dual.to_radius([1.0], [-7.7]) == 0.0
    if divergence != "tv":
        assert dual.bounds([0.0, 1.0, 0.0], [1.0, 2.0, 3.0]) == (2.0, 2.0)
        assert dual.minimiser([0.0, 1.0, 0.0], [1.0, 2.0, 3.0]).tolist() == [0, 1, 0]
    else:
        assert dual.value([0.0, 1.0, 0.0], [1.0, 2.0, 3.0]) == pytest.approx(
            1.3 if mode == "penalty" else 1.7
        )


def test_truncation_is_exact_where_it_is_inactive(instance: np.random.Generator):
    p, values, _ = case(instance, "penalty")
    mean, top = float(p @ values), float(values[p > 0].max())
    price = max((top - mean) / 2, 1e-3)
    var = float(p @ (values - mean) ** 2)
    closed = mean - var / (4 * price)
    assert RobustDual("chi2", strength=price).value(p, values) == pytest.approx(closed, abs=1e-12)
    wide = float(np.ptp(values)) or 1.0
    assert RobustDual("tv", strength=wide).value(p, values) == pytest.approx(mean, abs=1e-12)
