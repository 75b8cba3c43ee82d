"""The plain oracle of the robust theorems against a conic solver, the library and the solvers."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from bounds.linear_certificates import (
    admissible_radii,
    certificate,
    coverage,
    feature_use,
    largest_sum,
    theory_radius,
)
from bounds.linear_learners import measures, pevi, r2pvi, regressed
from bounds.linear_problem import (
    Problem,
    draw_counts,
    random_problem,
    robust_plan,
    robust_values,
)
from bounds.robust_inner import (
    DIVERGENCES,
    Ambiguity,
    ball,
    ball_tilt,
    divergence,
    penalty,
    tilt,
)
from mdplib import models
from mdplib.coverage import admissible_balls, bonus_sum, partial_coverage, worst_squares
from mdplib.robust import RobustDual, Robustness
from solvers.robust.compat import Compat
from solvers.robust.drpvi import drpvi as solver_drpvi
from solvers.robust.pevi import pevi as solver_pevi
from solvers.robust.planning import robust_planning
from solvers.robust.r2pvi import r2pvi as solver_r2pvi
from tests.bounds.offline_models import linear_data, linear_model, robustness


def law(rng: np.random.Generator, size: int, rows: int = 1) -> np.ndarray:
    """Random laws, some points of mass zero."""
    p = rng.dirichlet(np.ones(size), rows) * (rng.random((rows, size)) < 0.8)
    p[:, 0] += 1e-3
    return p / p.sum(axis=1, keepdims=True)


def conic(name: str, p: np.ndarray, V: np.ndarray, strength: float, mode: str) -> float:
    q = cp.Variable(p.size, nonneg=True)
    support = p > 0
    far = {
        "tv": 0.5 * cp.norm1(q - p),
        "kl": cp.sum(cp.kl_div(q[support], p[support])),
        "chi2": cp.sum(cp.square(q[support] - p[support]) / p[support]),
    }[name]
    limits: list[Any] = [cp.sum(q) == 1]
    if name != "tv":
        limits += [q[~support] == 0] if (~support).any() else []
    if mode == "ball":
        limits.append(far <= strength)
    goal = q @ V + (strength * far if mode == "penalty" else 0.0)
    problem = cp.Problem(cp.Minimize(goal), limits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver=cp.CLARABEL)
    assert problem.value is not None
    return float(problem.value)  # pyright: ignore


@pytest.mark.parametrize("mode", ["penalty", "ball"])
@pytest.mark.parametrize("name", DIVERGENCES)
def test_inner_values_equal_a_conic_solver(name, mode):
    rng = np.random.default_rng([1, DIVERGENCES.index(name)])
    function = penalty if mode == "penalty" else ball
    for _ in range(8):
        p, V = law(rng, 5)[0], 3 * rng.random(5)
        strength = float(10 ** rng.uniform(-1, 0.5))
        expected = conic(name, p, V, strength, mode)
        assert float(function(name, p, V, strength)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_inner_values_equal_their_minimisers_and_the_library(name):
    rng = np.random.default_rng([2, DIVERGENCES.index(name)])
    for _ in range(60):
        size = int(rng.integers(2, 9))
        p, V, strength = law(rng, size, 3), 3 * rng.random(size), float(10 ** rng.uniform(-2, 1))
        q = tilt(name, p, V, strength)
        value = penalty(name, p, V, strength)
        assert np.allclose(q @ V + strength * divergence(name, q, p), value, atol=1e-10)
        assert np.allclose(RobustDual(name, "penalty", strength).value(p, V), value, atol=1e-9)
        inside = ball_tilt(name, p, V, strength)
        assert np.allclose(inside @ V, ball(name, p, V, strength), atol=1e-8)
        assert (divergence(name, inside, p) <= strength + 1e-8).all()
        expected = RobustDual(name, "ball", strength).value(p, V)
        assert np.allclose(expected, ball(name, p, V, strength), atol=1e-8)


def test_known_inner_values():
    p, V = np.array([0.2, 0.3, 0.5]), np.array([0.0, 1.0, 3.0])
    table = {0.1: (0.08, 0.16093698, 0.4), 0.5: (0.4, 0.70973954, 1.04), 1: (0.8, 1.09285678, 1.41)}
    for strength, row in (table | {2: (1.3, 1.41236645, 1.605)}).items():
        assert [float(penalty(n, p, V, strength)) for n in DIVERGENCES] == pytest.approx(row)
    for radius, row in {0.05: (1.65, 1.402981), 0.2: (1.2, 1.013239), 0.5: (0.3, 0.594103)}.items():
        assert [float(ball(n, p, V, radius)) for n in ("tv", "kl")] == pytest.approx(row, abs=1e-6)


def test_the_clipped_chi_square_maximum_is_never_below_a_grid():
    rng = np.random.default_rng(3)
    for _ in range(100):
        W, V = 0.6 * rng.normal(size=(3, 5)) + 0.2, 3 * rng.random(5)
        strength = float(10 ** rng.uniform(-1.5, 1))
        found = regressed(Ambiguity("chi2", "penalty", strength), W, V, 3.0, "paper")
        levels = np.linspace(V.min(), V.max(), 4001)
        cut = np.minimum(V, levels[:, None])
        first, second = np.clip(W @ cut.T, 0, 3), np.clip(W @ (cut**2).T, 0, 9)
        grid = (first + (first**2 - second) / (4 * strength)).max(axis=1)
        assert (found >= grid - 1e-12).all()
        assert (found <= grid + 3e-3 * (1 + 3 / strength)).all()


@pytest.mark.parametrize("mode", ["penalty", "ball"])
@pytest.mark.parametrize("name", DIVERGENCES)
def test_plans_equal_those_of_the_solver(name, mode):
    rng = np.random.default_rng([4, DIVERGENCES.index(name)])
    for _ in range(3):
        problem = random_problem(rng, n_states=6, dimension=4)
        ambiguity = Ambiguity(name, mode, float(rng.uniform(0.1, 1.0)))
        best = robust_plan(problem, ambiguity)
        found = robust_planning(linear_model(problem), robustness(ambiguity))
        assert np.allclose(found.value, best.V, atol=1e-8)
        own = robust_values(problem, ambiguity, best.policy)
        assert np.allclose(own, best.V, atol=1e-12)


def test_published_values_of_the_five_states():
    """At a uniform strength the non-robust action stays optimal: robustness is idle there."""
    five = models.five_state()
    phi = five.features.phi.reshape(5, 16, 4)
    assert five.theta is not None
    problem = Problem(phi, five.theta, five.mu)
    tables = {
        "tv": {0.1: 0.09995, 0.3: 0.29985, 1: 0.9995, 2: 1.62425},
        "kl": {0.1: 1.345189, 0.6: 1.622705, 5: 1.624159},
        "chi2": {0.1: 1.622145, 1: 1.62404, 5: 1.624208},
    }
    for name, row in tables.items():
        for strength, value in row.items():
            best = robust_plan(problem, Ambiguity(name, "penalty", strength))  # pyright: ignore
            assert best.V[0, 0] == pytest.approx(value, abs=1e-6)
            assert phi[0, best.policy[0, 0], 3] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("mode", "off", "robust", "idle"),
    [("penalty", np.inf, 1.2484, 1.2486), ("ball", 0.0, 0.3759, 0.3757)],
)
def test_the_well_posed_variant_flips_where_theory_says(mode, off, robust, idle):
    """Only the goal factor of the first step is robust: now the adversary changes the action."""
    five = models.five_state()
    for strength, success in ((robust, 0.1), (idle, 0.5)):
        table = np.full((3, 4), off)
        table[0, 3] = strength
        found = robust_planning(five, Robustness("tv", table, mode))
        assert found.policy is not None
        chosen = np.flatnonzero(five.features.weights(found.policy, 0)[:16] > 0.5)
        assert five.features.phi[chosen, 3] == pytest.approx(success)


@pytest.mark.parametrize("target", ["paper", "shrink_to_one"])
@pytest.mark.parametrize("name", DIVERGENCES)
def test_learners_equal_those_of_the_solver(name, target):
    rng = np.random.default_rng([5, DIVERGENCES.index(name)])
    for i in range(3):
        problem = random_problem(rng, n_states=6, dimension=4)
        behaviour = rng.dirichlet(np.ones(3), 6)
        counts = draw_counts(problem, behaviour, 10 ** (i + 1), rng)
        data, ambiguity = linear_data(problem, counts), Ambiguity(name, "penalty", 0.7)
        plain = r2pvi(problem, counts, ambiguity, 0.8, ridge=0.5, target=target)
        compat = Compat(kl_target=target, dual_range="horizon" if name == "kl" else "values")
        found = solver_r2pvi(data, robustness(ambiguity), beta=0.8, ridge=0.5, compat=compat)
        assert np.allclose(found.V, plain.V, atol=1e-9)
        assert np.allclose(found.w, plain.w, atol=1e-9)
        assert np.allclose(found.sigma, plain.sigma, atol=1e-12)


def test_the_baselines_equal_those_of_the_solver():
    rng = np.random.default_rng(6)
    for i in range(3):
        problem = random_problem(rng, n_states=6, dimension=4)
        counts = draw_counts(problem, rng.dirichlet(np.ones(3), 6), 10 ** (i + 1), rng)
        data, inside = linear_data(problem, counts), Ambiguity("tv", "ball", 0.2)
        plain = r2pvi(problem, counts, inside, 0.8)
        found = solver_drpvi(data, robustness(inside), beta=0.8)
        assert np.allclose(found.V, plain.V, atol=1e-9)
        standard = solver_pevi(data, beta=0.8, reward="regressed")
        assert np.allclose(standard.V, pevi(problem, counts, 0.8).V, atol=1e-9)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_without_bonus_and_ridge_a_tabular_learner_plans_in_the_empirical_model(name):
    rng, (S, A, H) = np.random.default_rng([7, DIVERGENCES.index(name)]), (3, 2, 3)
    phi = np.eye(S * A).reshape(S, A, S * A)
    mu = rng.dirichlet(np.ones(S), (H, S * A))
    problem = Problem(phi, rng.random((H, S * A)), mu)
    counts = rng.integers(1, 20, size=(H, S, A, S))
    ambiguity = Ambiguity(name, "penalty", 0.4)
    seen = counts / counts.sum(axis=-1, keepdims=True)
    empirical = Problem(phi, problem.theta, seen.reshape(H, S * A, S))
    target = "paper"
    found = r2pvi(problem, counts, ambiguity, 0.0, ridge=1e-12, target=target)
    assert np.allclose(found.V, robust_plan(empirical, ambiguity).V, atol=1e-8)
    shrunk, _ = measures(phi, counts[0], 2.0)
    n = counts[0].sum(axis=-1).reshape(-1, 1)
    assert np.allclose(shrunk, n / (n + 2.0) * seen[0].reshape(-1, S))


def test_counts_have_the_law_of_trajectories():
    rng, n = np.random.default_rng(8), 200_000
    problem = random_problem(rng)
    behaviour = rng.dirichlet(np.ones(3), 5)
    counts = draw_counts(problem, behaviour, n, rng)
    here = np.eye(5)[0]
    for h in range(3):
        expected = here[:, None, None] * behaviour[:, :, None] * problem.kernel(h)
        assert counts[h].sum() == n
        assert (np.abs(counts[h] / n - expected) <= 5.5 * np.sqrt(expected / n) + 1e-9).all()
        here = expected.sum(axis=(0, 1))


@pytest.mark.parametrize(
    ("n", "row"),
    [(100, (2090, 24216, 8842)), (1600, (2346, 27297, 10045)), (102400, (2685, 31355, 11618))],
)
def test_published_multipliers(n, row):
    radius = partial(theory_radius, horizon=4, dimension=5, n=n, delta=0.05, strength=1.0)
    assert [round(radius(name)) for name in DIVERGENCES] == list(row)


def test_published_multipliers_are_those_of_the_solver():
    rng = np.random.default_rng(9)
    problem = random_problem(rng)
    data = linear_data(problem, draw_counts(problem, np.full((5, 3), 1 / 3), 500, rng))
    for name in DIVERGENCES:
        found = solver_r2pvi(data, Robustness(name, 0.5), beta="theory", delta=0.1)
        size = {"horizon": 3, "dimension": 3, "n": 500, "delta": 0.1, "strength": 0.5}
        assert float(found.beta[0]) == pytest.approx(theory_radius(name, **size))


@pytest.mark.parametrize("name", DIVERGENCES)
def test_sums_and_coverage_equal_those_of_the_library(name):
    rng = np.random.default_rng([10, DIVERGENCES.index(name)])
    problem = random_problem(rng)
    model, ambiguity = linear_model(problem), Ambiguity(name, "penalty", 2.0)
    counts = draw_counts(problem, np.full((5, 3), 1 / 3), 5000, rng)
    learned, best = r2pvi(problem, counts, ambiguity, 1.0), robust_plan(problem, ambiguity)
    radii = admissible_radii(best.V, 2.0)
    plain = largest_sum(problem, best.policy, learned.bonus, name, radii)
    found = robust_planning(model, robustness(ambiguity))
    assert found.policy is not None
    balls = admissible_balls(model, robustness(ambiguity), found.value)
    assert np.allclose(bonus_sum(model, found.policy, learned.sigma, balls).value[0], plain)
    use = feature_use(problem, best.policy, name, radii)
    squares = worst_squares(model, found.policy, balls)
    assert np.allclose(use, squares, atol=1e-7)
    seen = counts.sum(axis=-1)
    grams = np.einsum("hsa,sai,saj->hij", seen, problem.phi, problem.phi) / 5000
    assert coverage(problem, counts, use) == pytest.approx(
        partial_coverage(grams, squares), rel=1e-5
    )
    assert (certificate(problem, learned, ambiguity, best.policy, 1.0) <= 2 * plain + 1e-9).all()
