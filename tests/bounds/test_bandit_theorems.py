"""What the statements on dynamical linear bandits are made of, against plain recomputation."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bounds import load
from bounds.catalogue import select
from bounds.dynamical_bandits import (
    Constants,
    System,
    expected_rewards,
    growth,
    spectral_radius,
    synthetic,
)
from bounds.mussi2023 import best_total
from bounds.mussi2023_confidence import PUBLISHED_SET, draw_run, learner_case
from bounds.mussi2023_learners import (
    _block,
    _block_law,
    bias_sums,
    n_epochs,
    patience,
    play_blocks,
    play_epochs,
    radius,
)
from bounds.mussi2023_lower import guessing_bound, losses, simple_bound
from bounds.mussi2023_regret import regret_bound
from bounds.mussi2023_setting import draw_system, scalar_system
from bounds.mussi2023_switching import switching_bound
from bounds.verdict import Outcome
from mdplib import models

ADVERTISING_RHO = 0.666891


def advertising(sigma=0.01):
    bandit = models.dlb_advertising(sigma)
    arms = np.asarray(bandit.actions.arms)  # pyright: ignore[reportAttributeAccessIssue]
    return System(bandit.A, bandit.B, bandit.omega, bandit.theta, arms, sigma)


# ------------------------------------------------------------------- systems and constants


@pytest.mark.parametrize("make", [models.dlb_synthetic, models.dlb_advertising])
def test_the_plain_system_and_the_library_s_agree(make):
    bandit = make(0.01)
    arms = bandit.actions.arms
    plain = System(bandit.A, bandit.B, bandit.omega, bandit.theta, arms, 0.01)
    assert plain.h == pytest.approx(bandit.markov_parameter, abs=1e-14)
    assert plain.g == pytest.approx(bandit.g, abs=1e-14)
    assert plain.J.max() == pytest.approx(bandit.best[1], abs=1e-14)
    bracket = bandit.spectral_radius
    assert bracket.lower - 1e-12 <= spectral_radius(plain.A) <= bracket.upper + 1e-12
    for rho in (0.7, 0.8, 0.95):
        phi = bandit.phi(rho)
        assert phi.lower - 1e-9 <= growth(plain.A, rho) <= phi.upper + 1e-9


def test_numbers_of_the_synthetic_system():
    system = synthetic()
    assert system.h == pytest.approx([0.5625, 0.5, 1 / 9])
    assert sorted(system.J) == pytest.approx(
        [0.361111, 0.392361, 0.555556, 0.618056, 0.78125, 0.8125], abs=1e-6
    )
    c = replace(Constants.of(system, rho=0.2), X=math.sqrt(1.25) / 0.8, delta=1e-6)
    assert (c.c1, c.c2, c.s2) == pytest.approx((2.276925, 1.075207, 2.052083e-4), rel=1e-6)
    for ridge, wanted in (
        (1.0, (5.0071, 19.1797, 34.9258)),
        (math.log(1e6), (5.1091, 8.9295, 13.1818)),
    ):
        for t, beta in zip((1, 10**3, 10**6), wanted, strict=True):
            found = radius("paper", replace(c, ridge=ridge), 3, 10**6, t, 0.0, 0.0, 0.0)
            assert found == pytest.approx(beta, abs=1e-4)


def test_growth_is_a_bound_and_is_reached():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 4):
        A = rng.normal(size=(n, n))
        A *= 0.9 / spectral_radius(A)
        ratios = [np.linalg.norm(np.linalg.matrix_power(A, k), 2) / 0.95**k for k in range(200)]
        assert growth(A, 0.95) == pytest.approx(max(ratios), rel=1e-12)
    assert growth(A, 0.8) == math.inf


# ----------------------------------------------------------------------------- schedule


@pytest.mark.parametrize("rho", [Fraction(1, 5), Fraction(1, 10), Fraction(2, 3), Fraction(9, 10)])
def test_patience_is_the_rounded_logarithm_exactly(rho):
    for m in [*range(1, 400), 5**6, 5**6 + 1, 10**6, 10**6 + 1]:
        down, up = (patience(m, float(rho), r) for r in ("floor", "ceil"))
        assert m * rho**down >= 1 > m * rho ** (down + 1)
        assert m * rho**up <= 1
        assert up == 0 or m * rho ** (up - 1) > 1


@pytest.mark.parametrize(
    ("rho", "epochs", "last"), [(0.2, 137_206, 8), (ADVERTISING_RHO, 41_212, 27)]
)
def test_epochs_of_a_million_rounds(rho, epochs, last):
    assert n_epochs(10**6, rho, "floor") == epochs
    assert 1 + patience(epochs, rho, "floor") == last


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
def test_sums_by_stretches_equal_sums_by_epochs(rounding):
    for rho, M in ((0.02, 3), (0.2, 700), (0.5, 1024), (0.9, 2000)):
        H = np.array([patience(m, rho, rounding) for m in range(1, M + 1)])
        assert bias_sums(M, rho, rounding) == pytest.approx(
            ((rho**H).sum(), (rho ** (2.0 * H)).sum())
        )
        total = int((1 + H).sum())
        assert n_epochs(total, rho, rounding) == M
        assert n_epochs(total + 1, rho, rounding) == M + 1


def test_the_published_sum_of_biases_exceeds_its_logarithm():
    M, rho = 100_000, 0.2
    t = sum(1 + patience(m, rho, "floor") for m in range(1, M + 1))
    assert bias_sums(M, rho, "floor")[0] == pytest.approx(28.28, abs=0.005)
    assert math.log(math.e * (t + 1)) == pytest.approx(14.46, abs=0.005)
    assert bias_sums(M, rho, "ceil")[0] == pytest.approx(6.7, abs=0.05)
    growth_rate = (1 / rho - 1) / math.log(1 / rho)
    assert bias_sums(10**9, rho, "floor")[0] / math.log(10**9) == pytest.approx(
        growth_rate, rel=0.05
    )


# ------------------------------------------------------------------------- constant arms


def test_the_best_policy_is_found_by_enumeration():
    rng = np.random.default_rng(3)
    for _ in range(5):
        system = draw_system(rng, 2, 2, sigma=0.0, rho=0.8)
        start = rng.normal(size=2)
        best = max(
            expected_rewards(system, np.array(u), start)[0].sum()
            for u in itertools.product(system.arms, repeat=5)
        )
        assert best_total(system, 5, start) == pytest.approx(best, abs=1e-12)


def test_a_myopic_last_arm_beats_every_constant_arm():
    system = scalar_system(0.5, b=1.0, theta=-1.5)
    constant = max(
        expected_rewards(system, np.full((9, 1), u), np.zeros(1))[0].sum() for u in (1.0, -1.0)
    )
    assert best_total(system, 9, np.zeros(1)) > constant + 0.5


# ------------------------------------------------------------------------------ learners


def joint_law(system, x, u, k):
    """Mean and covariance of (x_{k+1}, sum of y), one round at a time."""
    n = system.n
    F, c = np.zeros((n + 1, n + 1)), np.zeros(n + 1)
    F[:n, :n], F[n, :n], F[n, n] = system.A, system.omega, 1.0
    c[:n], c[n] = system.B @ u, system.theta @ u
    mean, cov = np.append(x, 0.0), np.zeros((n + 1, n + 1))
    for _ in range(k):
        mean, cov = F @ mean + c, F @ cov @ F.T + system.sigma**2 * np.eye(n + 1)
    return mean, cov


@pytest.mark.parametrize("k", [1, 2, 7, 64, 1000])
def test_blocks_have_the_law_of_single_rounds(k):
    rng = np.random.default_rng(k)
    system = draw_system(rng, 3, 2, sigma=0.4, rho=0.9)
    x, u, n = rng.normal(size=3), system.arms[1], 3
    mean, cov = joint_law(system, x, u, k)
    power, root = _block_law(system, k)
    rest = system.rest(u)
    after = rest + power @ (x - rest)
    assert after == pytest.approx(mean[:n], abs=1e-9 * k)
    assert k * (system.h @ u) + system.g @ (x - after) == pytest.approx(mean[n], abs=1e-9 * k)
    # (x', sum of y) as linear images of (sum of eps, noise of x') and of sum of eta
    M = np.zeros((n + 1, 2 * n))
    M[:n, n:], M[n, :n], M[n, n:] = np.eye(n), system.g, -system.g
    law = system.sigma**2 * M @ root @ root.T @ M.T
    law[n, n] += k * system.sigma**2
    assert law == pytest.approx(cov, abs=1e-8 * k)
    draws = [_block(replace(system, sigma=0.0), x, u, k, rng) for _ in range(2)]
    assert draws[0][1] == pytest.approx(mean[n], abs=1e-9 * k)


def test_the_plain_epoch_learner_step_by_step():
    """One round at a time, with inverses and determinants taken anew."""
    system, T = replace(synthetic(), sigma=0.05), 120
    c = replace(Constants.of(system, rho=0.2), ridge=0.7)
    run = play_epochs(system, c, T, np.random.default_rng(4), kind="certified", rounding="floor")
    eps, eta = system.draw(np.random.default_rng(4), T)
    V, b, x, t, m, S = 0.7 * np.eye(3), np.zeros(3), np.zeros(3), 0, 1, [0.0, 0.0]
    while t < T:
        inverse = np.linalg.inv(V)
        estimate = inverse @ b
        logdet = math.log(np.linalg.det(V) / 0.7**3)
        beta = radius("certified", c, 3, T, t, S[0], S[1], logdet)
        index = [u @ estimate + beta * math.sqrt(u @ inverse @ u) for u in system.arms]
        k = int(np.flatnonzero(system.gaps == run.gap[m - 1])[0])
        assert index[k] >= max(index) - 1e-9  # ties may be broken either way
        assert run.beta[m - 1] == pytest.approx(beta)
        off = estimate - system.h
        assert run.error[m - 1] == pytest.approx(math.sqrt(off @ V @ off))
        u, H, y = system.arms[k], patience(m, 0.2, "floor"), 0.0
        length = min(H + 1, T - t)
        for _ in range(length):
            y = system.omega @ x + system.theta @ u + eta[t]
            x = system.A @ x + system.B @ u + eps[t]
            t += 1
        if length == H + 1:
            V, b = V + np.outer(u, u), b + y * u
            S[0], S[1] = S[0] + 0.2**H, S[1] + 0.2 ** (2 * H)
        m += 1
    assert len(run.beta) == m - 1


def test_the_block_learner_looks_when_the_determinant_has_doubled():
    system = synthetic()
    c = Constants.of(system, rho=0.2)
    run = play_blocks(system, c, 5000, np.random.default_rng(1))
    assert run.length.sum() == 5000
    volume = np.cumsum(np.log1p(run.length * run.width**2))
    steps = np.diff(volume, prepend=0.0)[:-1]
    assert (steps > math.log(2.0)).all()
    assert (np.log1p((run.length - 1) * run.width**2) <= math.log(2.0) + 1e-12).all()
    limit = system.d * math.log(1 + 5000 * c.U**2 / system.d) / math.log(2.0)
    assert len(run.length) - 1 <= limit
    assert (np.diff(run.beta) < 0.0).any()  # so the last radius bounds nothing by itself


def test_regret_of_the_block_learner_is_as_measured_elsewhere():
    system, T = synthetic(), 100_000
    c = Constants.of(system, rho=0.2, delta=1 / T)
    rng = np.random.default_rng(0)
    found = [play_blocks(system, c, T, rng) for _ in range(60)]
    assert np.mean([r.regret for r in found]) == pytest.approx(227.1, rel=0.08)
    assert max(r.ratio.max() for r in found) < 1.0


# ------------------------------------------------------------------------ sets and bounds


@pytest.mark.parametrize(("ridge", "rho"), [(1.0, 0.01), (10.0, 0.01), (10.0, 0.05)])
def test_the_published_set_is_left_when_arms_alternate(ridge, rho):
    system = replace(scalar_system(rho, sigma=1e-3), noise="sign")
    case = learner_case(system, 100, "", kind="paper", rounding="floor", forced=True)
    case = case.with_values({"constants": Constants.of(system, rho=rho, ridge=ridge)})
    assert PUBLISHED_SET.theorem.applies(case) == (None, ())
    down = draw_run(case, np.random.default_rng(0))["run"]
    up = draw_run(case.with_values({"rounding": "ceil"}), np.random.default_rng(0))["run"]
    assert down.ratio.max() > 1.05
    assert up.ratio.max() <= 1.0


def test_which_explicit_bounds_are_vacuous_at_a_million_rounds():
    T, system = 10**6, synthetic()
    trivial = T * system.gaps.max()
    c = replace(Constants.of(system, rho=0.2, delta=1 / T), X=math.sqrt(1.25) / 0.8)
    published = regret_bound(system, replace(c, ridge=math.log(T)), T, "paper", "floor")
    assert published == pytest.approx(5.27e5, rel=0.005)
    assert trivial == pytest.approx(4.51e5, rel=0.005)
    assert regret_bound(system, c, T, "certified", "ceil") == pytest.approx(
        0.285 * trivial, rel=0.01
    )
    assert switching_bound(system, c, T) > trivial
    assert switching_bound(system, c, 10**9) < 10**9 * system.gaps.max()


def test_guessing_signs_costs_thirty_times_the_simple_bound():
    sharp, simple = guessing_bound(1, 0.5, 1.0, 10**5), simple_bound(1, 0.5, 1.0, 10**5)
    assert sharp / simple == pytest.approx(30.5, abs=0.2)
    found = losses("sign", 1, 0.5, 1.0, 300, np.random.default_rng(2), 20_000)
    assert found.mean() == pytest.approx(guessing_bound(1, 0.5, 1.0, 300), rel=0.03)


def test_no_learner_is_below_the_lower_bound_as_in_the_reference_run():
    found = losses("oracle", 2, 0.8, 1.0, 2000, np.random.default_rng(6), 100)
    assert simple_bound(2, 0.8, 1.0, 2000) == pytest.approx(7.57, abs=0.01)
    assert found.mean() + 4 * found.std() / 10 >= guessing_bound(2, 0.8, 1.0, 2000)


# ---------------------------------------------------------------------------- catalogue


def test_the_group_holds_every_statement():
    entries = select(["dynlin"])
    assert len(entries) == 19
    assert {e.theorem.kind for e in entries.values()} == {
        "identity",
        "inequality",
        "high_probability",
        "rate",
    }
    vacuous = {id for id, e in entries.items() if e.expected is Outcome.VACUOUS}
    assert vacuous == {"mussi2023:regret_bound", "mussi2023:switching_bound"}


def test_cases_with_systems_and_runs_come_back(tmp_path):
    case = draw_run(learner_case(synthetic(), 50, "x"), np.random.default_rng(0))
    case.save(tmp_path / "x.npz")
    again = load(tmp_path / "x.npz")
    assert again["system"].h == pytest.approx(synthetic().h)
    assert (again["run"].beta == case["run"].beta).all()
    assert again["constants"] == case["constants"]
