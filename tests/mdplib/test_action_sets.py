"""Action sets: best and optimistic actions against dense searches, vertices against a hull."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.spatial import ConvexHull, HalfspaceIntersection

from mdplib import action_sets
from mdplib.action_sets import Ball, FiniteArms, Polytope
from mdplib.errors import InvalidModelError
from mdplib.vertices import enumerate_vertices


def budget_inequalities(d: int, c: float) -> tuple[np.ndarray, np.ndarray]:
    rows = np.vstack([-np.eye(d), np.eye(d), np.ones(d)])
    return rows, np.r_[np.zeros(d), np.ones(d), c]


def lexicographic(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.T[::-1])]


def corners(points: np.ndarray) -> np.ndarray:
    """The extreme points, once each, in lexicographic order, by another library."""
    return rounded(points[ConvexHull(points).vertices])


def rounded(points: np.ndarray) -> np.ndarray:
    return np.unique(np.round(points, 9) + 0.0, axis=0)


def index(u: np.ndarray, h: np.ndarray, V_inv: np.ndarray, beta: float) -> np.ndarray:
    return u @ h + beta * np.sqrt(np.maximum(np.einsum("ki,ij,kj->k", u, V_inv, u), 0))


def random_metric(rng: np.random.Generator, d: int) -> np.ndarray:
    M = rng.normal(size=(d, d))
    return np.linalg.inv(M @ M.T + 0.1 * np.eye(d))


@pytest.mark.parametrize(("d", "c"), [(1, 0.4), (2, 0.7), (2, 1.0), (3, 1.5), (3, 2.0), (4, 2.25)])
def test_budget_vertices_are_those_of_the_half_spaces(d: int, c: float):
    rows, right = budget_inequalities(d, c)
    found = Polytope.budget(d, c).vertices
    assert (rows @ found.T <= right[:, None] + 1e-12).all()
    for u in found:  # a vertex: d independent inequalities are tight
        tight = np.abs(rows @ u - right) < 1e-12
        assert np.linalg.matrix_rank(rows[tight]) == d
    if d > 1:  # as many as another algorithm finds
        inside = np.full(d, min(c / d, 1.0) / 2)
        points = HalfspaceIntersection(np.c_[rows, -right], inside).intersections
        np.testing.assert_allclose(found, corners(points), atol=1e-9)
    assert np.array_equal(lexicographic(found), found)
    greedy = found[np.abs(found.sum(axis=1) - min(c, d)) < 1e-12]
    assert np.array_equal(Polytope.budget(d, c, greedy=True).vertices, greedy)


def test_the_budget_of_the_paper():
    greedy = Polytope.budget(3, 1.5, greedy=True)
    arms = [[0, 0.5, 1], [0, 1, 0.5], [0.5, 0, 1], [0.5, 1, 0], [1, 0, 0.5], [1, 0.5, 0]]
    assert greedy.vertices.tolist() == arms
    full = Polytope.budget(3, 1.5).vertices.tolist()
    assert sorted(full) == sorted([*arms, [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert Polytope.budget(2, 9.0, greedy=True).vertices.tolist() == [[1.0, 1.0]]
    assert Polytope.budget(2, 0.0).vertices.tolist() == [[0.0, 0.0]]
    assert greedy.radius == pytest.approx(math.sqrt(1.25))


@pytest.mark.parametrize(("d", "c"), [(1, 0.4), (3, 1.5), (4, 2.0)])
def test_enumeration_from_inequalities(d: int, c: float):
    rows, right = budget_inequalities(d, c)
    wanted = Polytope.budget(d, c).vertices
    assert np.array_equal(Polytope.from_inequalities(rows, right).vertices, wanted)
    order = np.random.default_rng(0).permutation(len(rows))
    scale = np.random.default_rng(1).uniform(0.01, 100, len(rows))
    again = enumerate_vertices((rows * scale[:, None])[order], (right * scale)[order])
    np.testing.assert_allclose(again, wanted, atol=1e-12)
    flat = enumerate_vertices(np.vstack([rows, -np.ones(d)]), np.r_[right, -c])
    assert np.array_equal(flat, Polytope.budget(d, c, greedy=True).vertices)
    redundant = enumerate_vertices(
        np.vstack([rows, rows, np.zeros(d)]), np.r_[right, right + 1, 0.0]
    )
    assert np.array_equal(redundant, wanted)


def test_enumeration_of_random_polytopes():
    rng = np.random.default_rng(2)
    for d, m in ((2, 7), (3, 9), (4, 10)):
        G = np.vstack([rng.normal(size=(m, d)), np.eye(d), -np.eye(d)])
        c = np.r_[rng.uniform(0.1, 1, m), np.full(2 * d, 2.0)]
        found = enumerate_vertices(G, c)
        other = HalfspaceIntersection(np.c_[G, -c], np.zeros(d)).intersections
        np.testing.assert_allclose(rounded(found), corners(other), atol=2e-9)
        assert len(rounded(found)) == len(found)


def test_a_single_point_is_a_polytope():
    assert enumerate_vertices([[1.0], [-1.0]], [2.0, -2.0]).tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("G", "c", "words"),
    [
        ([[1.0, 0.0]], [0.0], "component 0 of the action is unbounded below"),
        ([[1.0, 0], [-1, 0], [0, -1]], [1.0, 1, 1], "component 1 .* unbounded above"),
        ([[1.0], [-1.0]], [0.0, -1.0], "the action set is empty"),
        ([[0.0, 0.0]], [-1.0], "0 <= -1.0: the action set is empty"),
        ([[0.0, 0.0]], [1.0], "unbounded"),
        ([[1.0, math.inf]], [1.0], "inequality 0"),
        ([[1.0]], [1.0, 2.0], "shape"),
        (np.ones((30, 12)), np.ones(30), "more than 200000"),
    ],
)
def test_bad_inequalities(G: object, c: object, words: str):
    with pytest.raises(InvalidModelError, match=words):
        enumerate_vertices(G, c)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("seed", range(5))
def test_vertices_are_as_good_as_the_whole_polytope(seed: int):
    rng = np.random.default_rng(seed)
    grid = np.array(
        [u for u in itertools.product(np.linspace(0, 1, 21), repeat=3) if sum(u) <= 1.5]
    )
    box = Polytope.budget(3, 1.5)
    for _ in range(10):
        h, V_inv, beta = rng.normal(size=3), random_metric(rng, 3), rng.exponential()
        u, value = box.optimistic(h, V_inv, beta)
        assert value == pytest.approx(index(grid, h, V_inv, beta).max(), abs=1e-9)
        assert value == pytest.approx(index(u[None], h, V_inv, beta)[0], abs=1e-12)
        assert box.contains(u)
        best, J = box.best(h)
        assert pytest.approx((grid @ h).max(), abs=1e-12) == J == best @ h
        assert box.worst(h)[1] == pytest.approx((grid @ h).min(), abs=1e-12)


def dense_circle(h: np.ndarray, V_inv: np.ndarray, beta: float, radius: float) -> float:
    """The largest index on a circle: an angular search refined around its best angle."""
    low, high = 0.0, 2 * math.pi
    for _ in range(6):
        angle = np.linspace(low, high, 4001)
        u = radius * np.c_[np.cos(angle), np.sin(angle)]
        best = int(np.argmax(index(u, h, V_inv, beta)))
        width = (high - low) / 4000
        low, high = angle[best] - 2 * width, angle[best] + 2 * width
    return float(index(u, h, V_inv, beta).max())


@pytest.mark.parametrize("seed", range(4))
def test_ball_against_angles(seed: int):
    rng = np.random.default_rng(seed)
    for _ in range(25):
        h, V_inv = rng.normal(size=2) * 10.0 ** rng.integers(-4, 2), random_metric(rng, 2)
        beta, radius = float(rng.choice([0.0, 0.1, 1.0, 10.0])), rng.uniform(0.5, 3)
        ball = Ball(2, radius)
        u, value = ball.optimistic(h, V_inv, beta)
        assert value == pytest.approx(dense_circle(h, V_inv, beta, radius), rel=1e-9)
        assert value == pytest.approx(index(u[None], h, V_inv, beta)[0], rel=1e-12)
        assert np.linalg.norm(u) == pytest.approx(radius, rel=1e-12)


@pytest.mark.parametrize("small", [0.0, 1e-300, 1e-40, 1e-17, 1e-9, 1e-4])
def test_ball_in_and_near_the_hard_case(small: float):
    # the widest axis of the ellipsoid carries nothing of the centre, or almost nothing
    V_inv = np.diag([4.0, 1.0])
    for across in (0.0, 0.1, 1.0, 5.0):
        h = np.array([small, across])
        u, value = Ball(2, 1.0).optimistic(h, V_inv, 1.5)
        assert value == pytest.approx(dense_circle(h, V_inv, 1.5, 1.0), rel=1e-9)
        assert value == pytest.approx(index(u[None], h, V_inv, 1.5)[0], rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 16])
def test_ball_against_its_dual_in_many_dimensions(d: int):
    rng = np.random.default_rng(d)
    for kind in range(12):
        h, V_inv = rng.normal(size=d), random_metric(rng, d)
        if kind % 3 == 0:  # repeated eigenvalues and a centre without the widest axes
            Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
            eigen = np.where(np.arange(d) < (d + 1) // 2, 4.0, 1.0)
            V_inv = (Q * eigen) @ Q.T
            h = Q @ np.where(np.arange(d) < (d + 1) // 2, 0.0, rng.normal(size=d))
        beta = rng.exponential()
        u, value = Ball(d, 1.0).optimistic(h, V_inv, beta)
        assert value == pytest.approx(index(u[None], h, V_inv, beta)[0], rel=1e-9)
        # dual bound: <h', h'> <= max over ||h'-h||_V <= beta for any multiplier mu > beta^2 / V
        V = np.linalg.inv(V_inv)
        top = beta**2 * np.linalg.eigvalsh(V_inv)[-1]
        multipliers = top * (1 + np.geomspace(1e-12, 1e4, 4000))
        eigen, Q = np.linalg.eigh(V)
        a = Q.T @ h
        w = beta**2 / eigen
        dual = (multipliers[:, None] * a**2 / (multipliers[:, None] - w)).sum(axis=1) + multipliers
        # sup ||h'||^2 = min_mu [mu + sum mu a^2 / (mu - w)]: one constraint, so strong duality
        assert value**2 <= dual.min() * (1 + 1e-9)
        assert value**2 == pytest.approx(dual.min(), rel=1e-4)
        directions = rng.normal(size=(2000, d))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        assert index(directions, h, V_inv, beta).max() <= value * (1 + 1e-9)


def test_ball_without_uncertainty_or_without_centre():
    ball = Ball(3, 2.0)
    assert ball.best([0.0, 0.0, 0.0])[0].tolist() == [2.0, 0.0, 0.0]
    u, value = ball.optimistic([0.0, 3.0, 4.0], np.eye(3), 0.0)
    np.testing.assert_allclose(u, [0, 1.2, 1.6])
    assert value == pytest.approx(10.0)
    u, value = ball.optimistic(np.zeros(3), np.diag([1.0, 9.0, 1.0]), 1.0)
    assert value == pytest.approx(6.0)
    assert abs(u[1]) == pytest.approx(2.0)
    assert ball.optimistic(np.zeros(3), np.zeros((3, 3)), 1.0)[1] == 0.0


def test_a_mutant_that_ignores_the_hard_case_is_caught(monkeypatch: pytest.MonkeyPatch):
    def easy(b: np.ndarray, below: np.ndarray, widest: np.ndarray) -> np.ndarray:
        high = np.linalg.norm(b)
        low = 0.0
        for _ in range(200):
            s = (low + high) / 2
            long = np.sum((b / (s + below + 1e-300)) ** 2) > 1
            low, high = (s, high) if long else (low, s)
        return b / (high + below + 1e-300)

    h, V_inv = np.array([0.0, 0.1]), np.diag([4.0, 1.0])
    monkeypatch.setattr(action_sets, "_secular", easy)
    u, _ = Ball(2, 1.0).optimistic(h, V_inv, 1.5)
    assert index(u[None], h, V_inv, 1.5)[0] < dense_circle(h, V_inv, 1.5, 1.0) - 0.1


def test_scaling_the_actions_and_the_parameter():
    rng = np.random.default_rng(0)
    h = rng.normal(size=3)
    for c in (0.1, 3.0):
        scaled = Polytope(c * Polytope.budget(3, 1.5).vertices)
        assert scaled.best(h / c)[1] == pytest.approx(Polytope.budget(3, 1.5).best(h)[1])
        assert Ball(3, c).best(h / c)[1] == pytest.approx(Ball(3, 1.0).best(h)[1])


def test_ties_go_to_the_first_arm():
    arms = FiniteArms(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    assert arms.best([1.0, 1.0])[0].tolist() == [1.0, 0.0]
    assert arms.optimistic([1.0, 1.0], np.eye(2), 1.0)[0].tolist() == [1.0, 0.0]


def test_membership():
    arms, box, ball = FiniteArms(np.eye(2)), Polytope.budget(2, 1.0), Ball(2, 1.0)
    assert arms.contains([1.0, 0.0])
    assert not arms.contains([0.5, 0.5])
    assert box.contains([0.5, 0.5])
    assert not box.contains([0.6, 0.6])
    assert ball.contains([0.6, 0.8])
    assert not ball.contains([0.7, 0.8])
    with pytest.raises(InvalidModelError, match="shape"):
        arms.contains([1.0])


def test_arrays_are_read_only_and_described():
    box = Polytope(np.array([[0.0, 1.0]]))
    with pytest.raises(ValueError, match="read-only"):
        box.vertices[0, 0] = 1.0
    assert repr(FiniteArms(np.eye(2))) == "FiniteArms(2 actions of 2 components)"
    assert (box.dimension, Ball(4, 1.0).dimension) == (2, 4)


@pytest.mark.parametrize("kind", [FiniteArms, Polytope])
@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.zeros((0, 2)), "the action set is empty"),
        (np.zeros((2, 0)), "the action set is empty"),
        ([[0.0, 1.0], [math.nan, 0.0]], r"\[1\] is \[nan, 0.0\]. 1 of 2 actions are off"),
        ([1.0, 2.0], "dimensions"),
        ([[math.inf]], "finite"),
    ],
)
def test_bad_points(kind: type, points: object, words: str):
    with pytest.raises(InvalidModelError, match=words):
        kind(points)


@pytest.mark.parametrize(
    ("d", "radius"), [(0, 1.0), (2, 0.0), (2, -1.0), (2, math.nan), (2, math.inf)]
)
def test_bad_balls(d: int, radius: float):
    with pytest.raises(InvalidModelError, match="expected"):
        Ball(d, radius)


@pytest.mark.parametrize(("d", "c"), [(0, 1.0), (2, -1.0), (2, math.inf)])
def test_bad_budgets(d: int, c: float):
    with pytest.raises(InvalidModelError, match="expected"):
        Polytope.budget(d, c)


@pytest.mark.parametrize("actions", [FiniteArms(np.eye(2)), Ball(2, 1.0)])
def test_bad_queries(actions: FiniteArms | Ball):
    for call in (
        lambda: actions.best([1.0]),
        lambda: actions.best([math.nan, 0.0]),
        lambda: actions.optimistic([1.0, 1.0], np.eye(3), 1.0),
        lambda: actions.optimistic([1.0, 1.0], np.full((2, 2), math.nan), 1.0),
        lambda: actions.optimistic([1.0, 1.0], np.eye(2), -1.0),
        lambda: actions.optimistic([1.0, 1.0], np.eye(2), math.nan),
    ):
        with pytest.raises(InvalidModelError):
            call()
