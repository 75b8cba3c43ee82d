"""Proven bounds on spectral radii and growths of powers, against rational and constructed oracles.

The oracle of the radius is a construction (triangular forms under unimodular changes of
coordinates, exact over the dyadic numbers); that of the growth multiplies fractions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdplib import matrix_bounds, matrix_powers, models, outer_spectrum, power_growth
from mdplib.errors import InvalidModelError
from mdplib.power_growth import growth, similarity_bound
from mdplib.spectral import (
    bound_by_schur_vectors,
    radius_by_eigenvectors,
    radius_by_squaring,
    spectral_radius,
)

ADVERTISING = np.array([[0.38, 0.33, 0.60], [0.07, 0.76, -0.54], [0.18, 0.34, 0.05]])
JORDAN = np.array([[0.9, 1.0, 0.0], [0.0, 0.9, 1.0], [0.0, 0.0, 0.9]])


def unimodular(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return integer matrices T and T^{-1}."""
    T, back = np.eye(n), np.eye(n)
    for _ in range(2 * n):
        i, j = rng.integers(0, n, 2)
        if i != j:
            c = int(rng.integers(-2, 3))
            step = np.eye(n)
            step[i, j] = c
            T, step[i, j] = T @ step, -c
            back = step @ back
    return T, back


def dyadic_case(seed: int, n: int) -> tuple[np.ndarray, float]:
    """Return a full matrix without rounding errors, and its spectral radius."""
    rng = np.random.default_rng(seed)
    T, back = unimodular(rng, n)
    inner = np.triu(rng.integers(-8, 9, (n, n)) / 16.0)
    A = T @ inner @ back
    assert np.array_equal(back @ A @ T, inner)  # all numbers are short dyadic fractions
    return A, float(np.abs(np.diag(inner)).max())


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("seed", range(6))
def test_radius_brackets_the_truth_defective_or_not(n: int, seed: int):
    A, rho = dyadic_case(seed, n)
    found = spectral_radius(A)
    assert found.lower <= rho <= found.upper
    for bracket in (radius_by_eigenvectors(A), radius_by_squaring(A)):
        assert bracket.lower <= rho <= bracket.upper
    assert bound_by_schur_vectors(A) >= rho


def test_radius_is_tight_where_eigenvectors_are_well_conditioned():
    rng = np.random.default_rng(0)
    for n in (2, 3, 5, 16):
        A = rng.normal(size=(n, n)) / math.sqrt(n)
        found = spectral_radius(A)
        assert found.upper - found.lower < 1e-9
        assert found.lower <= np.abs(np.linalg.eigvals(A)).max() * (1 + 1e-12)


def test_radius_is_exact_for_triangles_permuted_triangles_and_nilpotent_matrices():
    rng = np.random.default_rng(1)
    A = np.triu(rng.normal(size=(7, 7)))
    order = rng.permutation(7)
    true = float(np.abs(np.diag(A)).max())
    assert spectral_radius(A) == spectral_radius(A[np.ix_(order, order)]) == (true, true)
    assert spectral_radius([[1, -1], [1, -1]]) == (0.0, 0.0)
    assert spectral_radius(np.zeros((3, 3))) == (0.0, 0.0)
    assert spectral_radius([[1, -1], [1, -1 + 2**-40]]).upper > 0


def test_radius_of_a_defective_matrix_needs_no_eigenvectors():
    T, back = unimodular(np.random.default_rng(3), 4)
    A = T @ (0.75 * np.eye(4) + np.diag([1.0, 1.0, 1.0], 1)) @ back
    assert radius_by_eigenvectors(A).upper > 1.1 * 0.75  # eigenvectors alone are no help
    found = spectral_radius(A)
    assert 0.75 - 1e-6 < found.lower <= 0.75 <= found.upper < 0.75 * 1.02


def test_radius_of_complex_pairs_and_of_equal_moduli():
    c, s = math.cos(1.0), math.sin(1.0)
    A = 0.5 * np.array([[c, -s, 1.0], [s, c, 0.0], [1.0, 0.0, -1.0]])
    found = spectral_radius(A)
    assert found.lower <= np.abs(np.linalg.eigvals(A)).max() <= found.upper
    found = spectral_radius([[0.0, 2.0], [0.125, 0.0]])  # eigenvalues +-1/2
    assert found.lower <= 0.5 <= found.upper
    assert found.upper - found.lower < 1e-12


def exact_norm_bounds(A: Sequence[Sequence[Fraction | int]]) -> tuple[float, float]:
    """Return bounds on ||A||_2 by the exact trace of (A^T A)^16."""
    n = len(A)
    gram = [[sum(A[k][i] * A[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    for _ in range(4):
        gram = [
            [sum(gram[i][k] * gram[k][j] for k in range(n)) for j in range(n)] for i in range(n)
        ]
    trace = sum(gram[i][i] for i in range(n))
    scale = 0
    while trace > 2**64:
        trace, scale = trace / 2**64, scale + 64
    root = float(trace) ** (1 / 32) * 2.0 ** (scale / 32)
    return root / n ** (1 / 32) * (1 - 1e-12), root * (1 + 1e-12)


def exact_growth(A: np.ndarray, r: float, most: int) -> tuple[float, float]:
    """Return bounds on max_{k <= most} ||A^k|| / r^k in rational arithmetic."""
    n = len(A)
    M = [[Fraction(float(x)) / Fraction(r) for x in row] for row in A]
    P, lower, upper = M, 1.0, 1.0
    for _ in range(most):
        low, high = exact_norm_bounds(P)
        lower, upper = max(lower, low), max(upper, high)
        P = [[sum(P[i][k] * M[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    return lower, upper


@pytest.mark.parametrize("seed", range(8))
def test_growth_contains_rational_powers(seed: int):
    A, rho = dyadic_case(seed, 2 + seed % 2)
    r = (rho + 1.0) / 2 + 0.5
    low, high = exact_growth(A, r, 12)
    found = growth(A, r)
    assert found.upper >= low
    assert found.upper - found.lower < 1e-6 * found.upper
    assert 1 <= found.lower <= found.upper
    if matrix_powers.sweep(A / r, 1e-15, 1000).count <= 12:  # then the powers seen are all
        assert found.lower <= high


@pytest.mark.parametrize("r", [0.901, 0.91, 0.95, 0.99, 2.0])
def test_growth_of_a_jordan_block(r: float):
    k = np.arange(20_000, dtype=np.longdouble)
    x = np.longdouble(0.9) / np.longdouble(r)
    # J^k / r^k = x^k (I + k N / .9 + k (k - 1) / 2 N^2 / .81)
    diagonal, first = x**k, k * x**k / np.longdouble(0.9)
    second = k * (k - 1) / 2 * x**k / np.longdouble(0.81)
    frobenius = np.sqrt(3 * diagonal**2 + 2 * first**2 + second**2)
    top = int(np.argmax(frobenius))
    norms = []
    for j in range(max(0, top - 400), top + 400):
        a, b, c = (float(v[j]) for v in (diagonal, first, second))
        norms.append(np.linalg.norm([[a, b, c], [0, a, b], [0, 0, a]], 2))
    found = growth(JORDAN, r)
    assert found.lower <= max(norms) * (1 + 1e-6)
    assert found.upper >= max(norms) * (1 - 1e-9)
    if r >= 0.91:
        assert found.upper - found.lower < 1e-8 * found.upper
    assert found.upper <= 3 * found.lower  # the similarity close to the circle


def test_growth_on_the_circle():
    assert growth(JORDAN, 0.9).upper == math.inf
    assert growth(JORDAN, 0.89) == (math.inf, math.inf)  # below the radius
    found = growth(ADVERTISING, spectral_radius(ADVERTISING).upper)
    assert found.upper - found.lower < 1e-6
    assert found.lower <= 2.781215825 <= found.upper + 1e-8
    W = np.linalg.eig(ADVERTISING)[1]
    assert found.upper < np.linalg.cond(W) < 3.87  # the certificate of the literature: 3.869
    assert growth(models.dlb_synthetic().A, 0.2) == (1.0, 1.0)
    nearby = growth(ADVERTISING, float(np.abs(np.linalg.eigvals(ADVERTISING)).max()))
    assert abs(nearby.upper - found.upper) < 1e-6


def test_growth_of_an_elliptic_rotation_is_known():
    for a in (1.0, 2.0, 7.0):
        c, s = math.cos(0.3), math.sin(0.3)
        A = 0.9 * np.array([[c, -s * a], [s / a, c]])  # similar to a turn by diag(1, 1/a)
        found = growth(A, spectral_radius(A).upper)
        assert found.upper == pytest.approx(a, rel=1e-6)
        assert found.lower == pytest.approx(a, rel=1e-4)
        assert found.lower <= a * (1 + 1e-9)


def test_growth_of_companions_with_a_defective_zero():
    A = np.zeros((5, 5))
    A[0, :2] = [0.5, 0.2]
    A[1:, :-1] += np.eye(4)
    found = growth(A, spectral_radius(A).upper)
    M, P, seen = A / spectral_radius(A).upper, np.eye(5), []
    for _ in range(400):
        P = P @ M
        seen.append(np.linalg.norm(P, 2))
    assert found.lower <= max(seen) * (1 + 1e-9)
    assert max(seen) <= found.upper * (1 + 1e-9)
    assert found.upper - found.lower < 1e-9


def test_growth_of_normal_matrices_is_one():
    rng = np.random.default_rng(0)
    S = rng.normal(size=(5, 5))
    S = S + S.T
    S *= 0.5 / np.abs(np.linalg.eigvalsh(S)).max()
    assert growth(S, spectral_radius(S).upper) == (1.0, 1.0)
    circulant = np.array([[0.5, 0.25, 0.125], [0.125, 0.5, 0.25], [0.25, 0.125, 0.5]])
    assert growth(circulant, spectral_radius(circulant).upper) == (1.0, 1.0)
    assert growth(0.3 * np.eye(4), 0.3) == (1.0, 1.0)  # a repeated eigenvalue, in blocks
    Q = np.linalg.qr(rng.normal(size=(6, 6)))[0] * 0.9  # normal up to rounding only
    assert growth(Q, spectral_radius(Q).upper).upper == pytest.approx(1, abs=1e-9)


def test_growth_of_nilpotent_matrices():
    N = np.diag([1.0, 1.0, 1.0], 1)
    found = growth(N, 0.5)
    assert found.lower <= 8 <= found.upper
    assert found.upper - found.lower < 1e-9
    assert growth(N, 0.0) == (math.inf, math.inf)
    assert growth(np.zeros((2, 2)), 0.0) == (1.0, 1.0)  # 0^0 = 1
    found = growth([[1, -1], [1, -1]], 0.01)
    assert found.lower <= 200 <= found.upper
    assert growth([[0.0, 1e200], [0.0, 0.0]], 0.5).upper >= 2e200


def test_growth_of_several_pairs():
    rng = np.random.default_rng(1)

    def turn(x: float) -> np.ndarray:
        return np.array([[math.cos(x), -math.sin(x)], [math.sin(x), math.cos(x)]])

    D = np.zeros((5, 5))
    D[:2, :2], D[2:4, 2:4], D[4, 4] = turn(1.0), turn(2**0.5), -1.0
    T = rng.normal(size=(5, 5))
    A = 0.8 * T @ D @ np.linalg.inv(T)
    found = growth(A, spectral_radius(A).upper)
    assert 1 < found.lower <= found.upper < np.linalg.cond(T)
    assert found.upper < found.lower * 1.05


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 5), st.floats(0.3, 0.999))
def test_growth_bounds_every_power(seed: int, n: int, rho: float):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= rho / max(1e-3, float(np.abs(np.linalg.eigvals(A)).max()))
    radius = spectral_radius(A)
    for r in (radius.upper, min(0.9999, radius.upper * 1.01), 0.9999):
        found = growth(A, r)
        M, P, seen = A / r, np.eye(n), 1.0
        for _ in range(150):
            P = P @ M
            seen = max(seen, float(np.linalg.norm(P, 2)))
        assert seen <= found.upper * (1 + 1e-9)
        assert 1 <= found.lower <= found.upper


def test_larger_radii_grow_less():
    values = [growth(ADVERTISING, r) for r in (0.667, 0.67, 0.7, 0.8, 0.95)]
    for tight, loose in itertools.pairwise(values):
        assert loose.lower <= tight.upper
    assert values[-1].upper < values[0].lower


@pytest.mark.parametrize("r", [0.91, 0.95, 0.99])
def test_similarity_bounds_are_bounds(r: float):
    assert growth(JORDAN, r).lower <= similarity_bound(JORDAN, r) < math.inf
    assert similarity_bound(JORDAN, 0.9) == math.inf
    assert growth(ADVERTISING, r).lower <= similarity_bound(ADVERTISING, r)


def test_norm_bounds_hold_up_to_rounding_and_are_tight():
    rng = np.random.default_rng(5)
    for n, scale in ((1, 1.0), (3, 1e-200), (8, 1e200), (16, 1.0)):
        X = rng.normal(size=(n, n)) * scale
        low, high = matrix_bounds.norm(X)
        assert low <= np.linalg.norm(X, 2) * (1 + 1e-14)
        assert np.linalg.norm(X, 2) <= high * (1 + 1e-14)
        assert high - low < 1e-10 * high
    Z = rng.integers(-9, 10, (3, 3)).astype(float)
    exact_low, exact_high = exact_norm_bounds([[Fraction(x) for x in row] for row in Z.tolist()])
    found = matrix_bounds.norm(Z)
    assert found.lower <= exact_high
    assert exact_low <= found.upper
    assert matrix_bounds.norm(np.zeros((2, 2))).lower == 0


def test_inverses_are_judged():
    assert matrix_bounds.inverse(np.array([[1.0, 2.0], [2.0, 4.0]])) is None
    hilbert = 1.0 / (np.arange(14)[:, None] + np.arange(14)[None, :] + 1)
    assert matrix_bounds.inverse(hilbert) is None  # doubles cannot
    known = matrix_bounds.inverse(np.diag([1.0, 0.5]))
    assert known is not None
    assert 2 <= known.norm < 2 + 1e-9


def test_rational_recognition():
    assert matrix_bounds.is_normal(np.array([[0.1, 0.2], [-0.2, 0.1]]))
    assert not matrix_bounds.is_normal(np.array([[0.1, 0.2], [-0.2, 0.1 + 2**-50]]))
    assert matrix_bounds.is_nilpotent(np.array([[0.3, -0.3], [0.3, -0.3]]))
    assert not matrix_bounds.is_nilpotent(np.array([[0.3, -0.3], [0.3, -0.3 + 2**-50]]))


def naive_growth(A: np.ndarray, rho: float, most: int) -> float:
    """The mutant: ratios of underflowing powers; Python's max skips what is not a number."""
    best = 1.0
    for k in range(1, most):
        with np.errstate(all="ignore"):
            ratio = np.linalg.norm(np.linalg.matrix_power(A, k), 2) / np.float64(rho) ** k
        best = max(best, float(ratio))
    return best


def test_the_naive_ratio_is_caught():
    A = np.array([[0.2, 1.0], [0.0, 0.1]])
    true = growth(A, 0.2)
    with np.errstate(all="ignore"):
        bad = [
            np.linalg.norm(np.linalg.matrix_power(A, k), 2) / np.float64(0.2) ** k
            for k in range(1, 1000)
        ]
    assert np.isnan(bad).sum() > 500  # silent, and the denormal ones before are garbage
    assert max(x for x in bad if np.isfinite(x)) > true.upper + 0.1
    assert naive_growth(A, 0.2, 1000) > true.upper + 0.1
    assert naive_growth(A, 0.2, 300) == pytest.approx(true.upper, rel=1e-9)


def test_the_modal_bound_matters_and_its_parts_are_needed(monkeypatch: pytest.MonkeyPatch):
    r = spectral_radius(ADVERTISING).upper
    monkeypatch.setattr(power_growth, "outer_bound", lambda *_: math.inf)
    assert growth(ADVERTISING, r).upper == math.inf
    monkeypatch.undo()
    true = outer_spectrum.outer_bound(ADVERTISING / r, 1e-15, 4096)
    monkeypatch.setattr(
        outer_spectrum, "_around", lambda R, C: 2 * matrix_bounds.norm(C.real).upper
    )
    assert outer_spectrum.outer_bound(ADVERTISING / r, 1e-15, 4096) < 0.999 * true


@pytest.mark.parametrize(
    ("A", "words"),
    [
        ([[1.0, 2.0]], "shape"),
        ([[math.nan]], r"A\[0, 0\] is nan"),
        (np.zeros((0, 0)), "shape"),
        ([1.0], "dimensions"),
    ],
)
def test_bad_matrices(A: object, words: str):
    for call in (spectral_radius, lambda x: growth(x, 0.5), lambda x: similarity_bound(x, 0.5)):
        with pytest.raises(InvalidModelError, match=words):
            call(A)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("r", [-1.0, math.nan, math.inf])
def test_bad_radii(r: float):
    for call in (growth, similarity_bound):
        with pytest.raises(InvalidModelError, match="finite number"):
            call([[0.5]], r)
