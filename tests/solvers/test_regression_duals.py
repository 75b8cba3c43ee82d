"""Duals under signed weights: never below a grid or an optimiser, and where they say they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from mdplib import _kernels
from mdplib._kernels import regression_duals
from solvers.robust import exponential
from tests import mutation

TOP = (np.inf, 3.0, 0.8)


def clip(x, top):
    return np.clip(x, 0, top) if np.isfinite(top) else x


def moments(weight, v, a):
    cut = np.minimum(v[:, None], np.atleast_1d(a))
    return weight @ cut, weight @ cut**2


def chi2(weight, v, c, a, top):
    m1, m2 = moments(weight, v, a)
    m1, m2 = clip(m1, top), clip(m2, top**2)
    return m1 + (m1**2 - m2) / (4 * c[:, None])


def chi2_ball(weight, v, c, a, top):
    m1, m2 = moments(weight, v, a)
    m1, m2 = clip(m1, top), clip(m2, top**2)
    return m1 - np.sqrt(c[:, None] * np.maximum(m2 - m1**2, 0))


def tv_ball(weight, v, c, a, floor):
    return moments(weight, v, a)[0] - c[:, None] * np.maximum(a - floor, 0)


def cases(count, seed=0):
    """Signed weights, laws, ties, single atoms, ranges that cut the values."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        m, d = int(rng.integers(1, 9)), 3
        v = rng.random(m) * 3 if rng.random() < 0.7 else rng.integers(0, 3, m).astype(float)
        v.sort()
        weight = rng.normal(size=(d, m)) * rng.choice([0.1, 0.5, 1.0])
        if rng.random() < 0.3:
            weight = rng.dirichlet(np.ones(m), size=d)
        c = rng.choice([0.05, 0.3, 1.0, 5.0], size=d)
        low = float(rng.choice([0.0, v[0], 0.1]))
        high = max(low, float(rng.choice([v[-1], 3.0, 0.7])))
        yield weight, v, c, low, high, float(rng.choice(TOP)), float(rng.choice([0.0, 0.2]))


def run(kernel, weight, *rest):
    out, point = np.empty(weight.shape[0]), np.empty(weight.shape[0])
    kernel(weight, *rest, out, point)
    return out, point


def grid(v, low, high, n=2001, *more):
    inside = [a for a in (*v, *more) if low <= a <= high]
    return np.unique(np.r_[np.linspace(low, high, n), inside])


KERNELS = ("chi2_penalty", "chi2_ball", "tv_ball")


def shortfall(kernels, name) -> float:
    """How far one sweep falls below a grid, at most, over many cases."""
    worst = 0.0
    for weight, v, c, low, high, top, floor in cases(120):
        a = grid(v, low, high, 2001, floor)
        if name == "chi2_penalty":
            for sign in (1.0, -1.0):
                out, _ = run(kernels.chi2_penalty, weight, v, c, low, high, top, sign)
                best = (sign * chi2(weight, v, c, a, top)).max(1)
                worst = max(worst, float((best - sign * out).max()))
        elif name == "chi2_ball":
            out, _ = run(kernels.chi2_ball, weight, v, c, low, high, top)
            worst = max(worst, float((chi2_ball(weight, v, c, a, top).max(1) - out).max()))
        else:
            out, _ = run(kernels.tv_ball, weight, v, c, low, high, floor)
            worst = max(worst, float((tv_ball(weight, v, c, a, floor).max(1) - out).max()))
    return worst


@pytest.mark.parametrize("name", KERNELS)
def test_sweeps_are_never_below_a_grid(name):
    assert shortfall(regression_duals, name) <= 1e-12


def test_sweeps_report_a_point_that_attains_them():
    for weight, v, c, low, high, top, floor in cases(150, seed=1):
        rows = np.arange(3)
        out, point = run(regression_duals.chi2_penalty, weight, v, c, low, high, top, 1.0)
        np.testing.assert_allclose(chi2(weight, v, c, point, top)[rows, rows], out, atol=1e-10)
        assert ((low <= point) & (point <= high)).all()
        out, point = run(regression_duals.chi2_ball, weight, v, c, low, high, top)
        at = chi2_ball(weight, v, c, point, top)[rows, rows]
        np.testing.assert_allclose(at, out, atol=1e-7)  # a square root near zero
        out, point = run(regression_duals.tv_ball, weight, v, c, low, high, floor)
        np.testing.assert_allclose(tv_ball(weight, v, c, point, floor)[rows, rows], out, atol=1e-12)


def test_sweep_against_a_fine_grid_and_local_optimisers():
    rng = np.random.default_rng(2)
    gains = []
    for _ in range(6):
        m, d = 100, 3
        v = np.sort(rng.random(m) * 3)
        weight = (1 + 4 * rng.normal(size=(d, m))) / m
        c = np.array([0.1, 0.5, 2.0])
        out, _ = run(regression_duals.chi2_penalty, weight, v, c, 0.0, v[-1], 3.0, 1.0)
        fine = chi2(weight, v, c, grid(v, 0.0, v[-1], 20_000), 3.0).max(1)
        assert (out >= fine - 1e-12).all()
        assert (out <= fine + 5e-5).all()
        for i in range(d):
            found = minimize(
                lambda a, w=weight[i : i + 1], v=v, c=c[i : i + 1]: -chi2(w, v, c, a, 3.0)[0, 0],
                [1.5],
                method="Nelder-Mead",
                bounds=[(0.0, v[-1])],
            )
            gains.append(out[i] + found.fun)
    assert min(gains) >= -1e-12
    assert max(gains) > 5e-4  # signed weights do trap a local optimiser


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("chi2_penalty", "a = up / down", "a = right"),
        ("chi2_penalty", "if not inside:", "if False:"),
        ("chi2_ball", "4.0 * l2 * q0 - rho * q1 * q1,", "0.0,"),
        ("tv_ball", "radius[i] * max(right - floor, 0.0)", "radius[i] * (right - 0.5 * floor)"),
    ],
)
def test_sweeps_without_one_kind_of_candidate_are_caught(name, old, new):
    assert shortfall(mutation.mutant(regression_duals, (old, new)), name) > 1e-9


def test_two_point_closed_forms():
    e, v = 0.3, 2.0
    for lam in (0.1, 0.5, 4.0):
        out, _ = run(
            regression_duals.chi2_penalty, np.array([[e, 1 - e]]), np.array([0.0, v]),
            np.array([lam]), 0.0, v, np.inf, 1.0,
        )  # fmt: skip
        exact = (1 - e) * v - e * (1 - e) * v**2 / (4 * lam) if e * v <= 2 * lam else None
        assert out[0] == pytest.approx(lam * (1 - e) / e if exact is None else exact, rel=1e-12)


def test_numbers_of_a_three_point_law():
    p, v = np.array([[0.2, 0.3, 0.5]]), np.array([0.0, 1.0, 3.0])
    for lam, value in ((0.1, 0.40), (0.5, 1.04), (1.0, 1.41), (2.0, 1.605)):
        out, _ = run(regression_duals.chi2_penalty, p, v, np.array([lam]), 0.0, 3.0, 3.0, 1.0)
        assert out[0] == pytest.approx(value, abs=1e-12)
    for rho, value in ((0.05, 1.65), (0.2, 1.2), (0.5, 0.3), (1.0, 0.0)):
        out, _ = run(regression_duals.tv_ball, p, v, np.array([rho]), 0.0, 3.0, 0.0)
        assert out[0] == pytest.approx(value, abs=1e-12)
    for rho, value in ((0.05, 1.402981), (0.2, 1.013239), (0.5, 0.594103), (1.0, 0.21073)):
        for missing, base in ((np.zeros(1), 0.0), (p.sum(1) - 1, 0.0)):
            found, _, gap = exponential.kl_ball(
                p, missing, v, np.array([rho]), base=base, cap=3.0, low=0.02
            )
            assert found[0] == pytest.approx(value, abs=2e-6)
            assert gap[0] <= 1e-9
        assert exponential.law_ball(p, None, v, np.array([rho]), 3.0)[0] == pytest.approx(
            value, abs=1e-6
        )


def kl_value(weight, missing, v, rho, base, cap, multiplier):
    x = missing[:, None] + weight @ np.expm1(-(v - base)[:, None] / multiplier)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(x > -1, np.log1p(np.maximum(x, -1.0)), -np.inf)
    floor = -(cap - base) / multiplier
    return base - multiplier * (np.maximum(log, floor) + rho[:, None])


def test_kl_ball_is_certified_on_signed_weights():
    rng = np.random.default_rng(3)
    for _ in range(60):
        m, d = int(rng.integers(1, 9)), 3
        v = np.sort(rng.random(m) * 3)
        weight = rng.normal(size=(d, m)) * 0.4
        rho = rng.choice([0.05, 0.3, 1.0], size=d)
        low, cap = max(0.2 * v[-1], 4.0 / 30), 4.0
        for base, missing in ((0.0, np.zeros(d)), (v[0], weight.sum(1) - 1)):
            found, at, gap = exponential.kl_ball(
                weight, missing, v, rho, base=base, cap=cap, low=low
            )
            high = max(low, (cap - base) / rho.min())
            trial = np.geomspace(low, high, 4001)
            dual = kl_value(weight, missing, v, rho, base, cap, trial).max(1)
            assert (found + gap >= dual - 1e-12).all()
            assert gap.max() <= 1e-9
            exact = kl_value(weight, missing, v, rho, base, cap, at)[range(d), range(d)]
            np.testing.assert_allclose(found, exact, atol=1e-9)


def test_kl_ball_of_a_law_and_of_signed_weights_agree():
    rng = np.random.default_rng(4)
    v = np.sort(rng.random(6)) + 0.5
    law = rng.dirichlet(np.ones(6), size=4)
    rho = np.array([0.02, 0.1, 0.3, 0.6])
    exact = exponential.law_ball(law, None, v, rho, 2.0)
    found, _, _ = exponential.kl_ball(law, np.zeros(4), v, rho, base=0.0, cap=2.0, low=0.004)
    assert (found <= exact + 1e-9).all()  # the restricted range can only lower it
    assert np.abs(found - exact)[:2].max() < 1e-8


def test_constant_values_and_an_empty_range():
    found, _, _ = exponential.kl_ball(
        np.array([[0.6, 0.4]]), np.zeros(1), np.ones(2), np.array([0.1]), base=0.0, cap=1.0, low=0.1
    )
    assert found[0] == pytest.approx(1.0 - 0.1 * 0.1, abs=1e-9)
    found, _, _ = exponential.kl_ball(
        np.array([[1.0]]), np.zeros(1), np.zeros(1), np.array([0.1]), base=0.0, cap=0.0, low=0.1
    )
    assert found[0] == 0.0


def test_kernels_are_listed():
    assert _kernels.regression_duals is regression_duals
    assert _kernels.exponential_duals.kl_ball is not None
