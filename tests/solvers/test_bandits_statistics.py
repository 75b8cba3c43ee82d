"""Regret, coverage and certificates of bandit learners over many seeds."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mdplib import DynamicalLinearBandit, FiniteArms, models
from mdplib.statistics import clopper_pearson
from solvers import bandits
from solvers.bandits.interface import Task
from tests.solvers.bandit_oracles import waits

T = 100_000
SEEDS = 20
Bandit: Any = DynamicalLinearBandit  # takes lists as well
Arms: Any = FiniteArms
NON_NORMAL = Bandit(
    A=[[0.6, 0.5, 0.0], [0.0, 0.5, 0.3], [0.0, 0.0, 0.4]],
    B=[[0.3, 0.0], [0.0, 0.3], [0.2, 0.1]],
    omega=[0.5, 0.2, 0.1],
    theta=[0.1, 0.3],
    actions=Arms([[1.0, 0.0], [0.0, 1.0], [0.7, 0.7], [-0.5, 0.5]]),
    state_noise=0.3,
    output_noise=0.3,
)


def told_as_in_the_table(bandit: DynamicalLinearBandit, sigma: float = 0.01):
    """The bound on the state that the reference runs were told: it is valid with noise."""
    c = bandit.constants()
    return replace(c, X=0.689 if sigma == 0.01 else c.state_bound(T, 1 / T, 3))


@pytest.fixture(scope="module")
def synthetic():
    bandit = models.dlb_synthetic()
    named = {
        "paper, log T": bandits.DynLinUCB("paper", "log_T"),
        "paper, 1": bandits.DynLinUCB("paper", 1.0),
        "paper_ceil": bandits.DynLinUCB("paper_ceil", "log_T"),
        "certified": bandits.DynLinUCB(),
        "rs": bandits.RSDynLin(),
        "lin": bandits.LinUCB("noise", "log_T"),
    }
    marks = [10_000, 25_000, T]
    c = told_as_in_the_table(bandit)
    return bandits.run(bandit, named, T, SEEDS, checkpoints=marks, constants=c)


@pytest.fixture(scope="module")
def advertising():
    bandit = models.dlb_advertising()
    named = {
        "paper": bandits.DynLinUCB("paper", "log_T"),
        "certified": bandits.DynLinUCB(),
        "rs": bandits.RSDynLin(),
        "lin": bandits.LinUCB("noise", "log_T"),
    }
    return bandits.run(bandit, named, T, 10, checkpoints=[10_000, T])


@pytest.mark.parametrize(
    ("name", "mean", "error"),
    [
        ("paper, log T", 1831.5, 0.8),
        ("paper, 1", 4221.8, 1.9),
        ("paper_ceil", 1968.2, 0.9),
        ("certified", 565.7, 1.4),
        ("lin", 8729.6, 1147.7),
    ],
)
def test_reference_regrets_are_met(synthetic, name: str, mean: float, error: float):
    run = synthetic[name]
    both = math.hypot(error, run.standard_error[-1])
    assert abs(run.final.mean() - mean) <= 3 * both


def test_reference_of_rare_switches(synthetic):
    run = synthetic["rs"]
    assert run.final.mean() == pytest.approx(227.1, rel=0.03)
    assert (run.choices == 33).all()
    assert set(run.switches) <= {28, 29, 30}
    assert run.ratio[:, -1].max() == pytest.approx(0.66, abs=0.02)


def test_rare_switches_need_a_quarter_of_the_regret(synthetic, advertising):
    assert (synthetic["rs"].final <= synthetic["paper, log T"].final / 4).all()
    assert (advertising["rs"].final <= advertising["paper"].final / 4).all()
    assert synthetic["rs"].covered.all()
    assert advertising["rs"].covered.all()


def test_orderings_under_the_same_noise(synthetic, advertising):
    order = [synthetic[name].final for name in ("rs", "certified", "paper, log T", "paper, 1")]
    for better, worse in itertools.pairwise(order):
        assert (better < worse).all()
    for name in ("paper", "certified", "rs"):
        assert (advertising[name].final < advertising["lin"].final).all()


def test_regret_is_below_the_certificate_and_that_below_the_theorem(synthetic, advertising):
    for bandit, runs in (
        (models.dlb_synthetic(), synthetic),
        (models.dlb_advertising(), advertising),
    ):
        D, d = bandit.largest_gap, bandit.dimension
        for name, run in runs.items():
            assert (run.regret[run.covered] <= run.certificate[run.covered]).all(), name
        # The theorem, with the last radius of the certified set bounded by its largest terms.
        c = bandit.constants()
        M = bandits.n_epochs(T, c.rho, "ceil")
        L = 1 + waits(M, c.rho, "ceil")
        S2 = sum(c.rho ** (2 * waits(m, c.rho, "ceil")) for m in range(1, 2000)) + 1 / 1999
        growth = d * math.log(1 + M * c.U**2 / d)
        noise = math.sqrt(2 * c.s2 * (math.log(T) + growth / 2))
        beta = c.bias(T, 1 / T) * math.sqrt(S2) + c.c2 + noise
        theorem = max(D, 2 * beta) * math.sqrt(2 * L * T * growth)
        assert (runs["certified"].certificate[:, -1] <= theorem).all()


def test_expected_regret_and_its_boundary(synthetic):
    bandit = models.dlb_synthetic()
    c = bandit.constants()
    for run in synthetic.values():
        assert (np.diff(run.regret, prepend=0.0) >= 0).all()
        assert np.abs(run.expected - run.regret).max() <= 2 * c.G * c.reach
        spread = math.sqrt(T * 0.01**2 * (1 + float(bandit.g @ bandit.g)))
        assert np.abs(run.realised - run.expected).max() <= 6 * spread


def test_regret_grows_like_the_root(synthetic):
    run = synthetic["certified"]
    allowed = 2 * (math.log(T) / math.log(25_000)) ** 1.5 * 1.1
    assert run.mean[2] / run.mean[1] <= allowed


def covered(bandit, algorithm, rounds: int, seeds: int, constants=None):
    run = bandits.run(bandit, {"it": algorithm}, rounds, seeds, constants=constants)["it"]
    return run, int(run.covered.sum())


@pytest.mark.parametrize(
    "algorithm",
    [
        bandits.DynLinUCB("certified", 1.0, 0.05),
        bandits.DynLinUCB("certified", 0.1, 0.025, 0.025),
        bandits.DynLinUCB("paper_ceil", 1.0, 0.05),
        bandits.RSDynLin(1.0, 1.0, 0.025, 0.025),
    ],
    ids=["certified", "certified, small ridge", "paper_ceil", "rs"],
)
def test_the_sets_cover_as_often_as_claimed(algorithm):
    bandit, seeds = models.dlb_synthetic(), 200
    c = told_as_in_the_table(bandit)
    run, k = covered(bandit, algorithm, 2000, seeds, c)
    assert clopper_pearson(k, seeds, 0.9998).high >= 0.9  # not refuted at 1e-4
    assert clopper_pearson(k, seeds, 0.95).low >= 0.95
    assert run.ratio[:, -1].max() > 0.2  # and not by being empty


def test_the_set_that_ignores_the_bias_fails():
    bandit, seeds = models.dlb_synthetic(), 200
    run, k = covered(bandit, bandits.LinUCB("noise", "log_T", 0.05), 2000, seeds)
    assert clopper_pearson(k, seeds, 0.9999).high < 0.95
    assert run.ratio[:, -1].max() > 1.5
    # The certified schedule without its term for the bias fails as well.
    still = replace(bandit.constants(), Omega=0.0)
    keeps = replace(still, Theta=bandit.constants().c2, sigma=math.sqrt(bandit.constants().s2))
    run, k = covered(bandit, bandits.DynLinUCB("paper", 0.01, 0.05), 2000, seeds, keeps)
    assert clopper_pearson(k, seeds, 0.9999).high < 0.95


def test_a_system_that_is_not_normal_is_covered():
    c = NON_NORMAL.constants(0.9)
    run, k = covered(NON_NORMAL, bandits.DynLinUCB(delta=0.05), 20_000, 100, c)
    assert k == 100
    assert run.ratio[:, -1].max() > 0.1
    _, k = covered(NON_NORMAL, bandits.RSDynLin(delta=0.05), 20_000, 100, c)
    assert k == 100


def test_a_claimed_radius_of_zero_fails_and_larger_ones_cost():
    bandit = models.dlb_synthetic()
    means = []
    for rho in (0.0, 0.2, 0.3, 0.4, 0.8):
        c = bandit.constants(rho, 1.0, X=0.689, misspecified=True)
        algorithm = bandits.DynLinUCB("paper", "log_T", paper_edge=True)
        run, k = covered(bandit, algorithm, T, 5, c)
        means.append(run.final.mean())
        assert k == (0 if rho == 0 else 5), rho
    assert means[1] < means[2] < means[3] < means[4]
    assert means[0] > 2 * means[1]
    for found, reference in zip(means[1:4], (1831, 2190, 2673), strict=True):
        assert found == pytest.approx(reference, rel=0.02)


def test_little_noise_leaves_the_bias():
    finals = []
    for sigma in (0.001, 0.01):
        bandit = models.dlb_synthetic(sigma)
        c = told_as_in_the_table(bandit, sigma)
        run, _ = covered(bandit, bandits.DynLinUCB("paper", "log_T"), T, 3, c)
        finals.append(run.final.mean())
    assert finals[0] > 1000
    assert abs(finals[1] / finals[0] - 1) < 0.06


def test_sums_of_biases():
    M, rho = 100_000, 0.2
    t = sum(1 + waits(m, rho, "floor") for m in range(1, M + 1))
    floor = sum(rho ** waits(m, rho, "floor") for m in range(1, M + 1))
    ceil = sum(rho ** waits(m, rho, "ceil") for m in range(1, M + 1))
    assert floor == pytest.approx(28.28, abs=0.01)
    assert floor > math.log(math.e * (t + 1))
    assert ceil <= 1 + math.log(M)


def test_learners_keep_those_sums():
    bandit = models.dlb_synthetic(0.0)
    pairs: Any = (("paper", "floor"), ("certified", "ceil"))
    for radius, rounding in pairs:
        learner = bandits.DynLinUCB(radius).init(bandit.constants(), 5000, bandit.actions)
        for _ in range(5000):
            learner.act()
            learner.update(0.0)
        epochs = learner.m - 1 if learner._left else learner.m  # pyright: ignore
        S1 = sum(0.2 ** waits(m, 0.2, rounding) for m in range(1, epochs + 1))
        assert pytest.approx(S1, rel=1e-9) == learner.S1  # pyright: ignore


def test_epochs_are_as_many_as_counted_and_radii_as_computed():
    for bandit, epochs in ((models.dlb_synthetic(), 137_206), (models.dlb_advertising(), 41_212)):
        run = bandits.run(bandit, {"it": bandits.DynLinUCB("paper")}, 10**6, 1)["it"]
        assert run.choices[0] == epochs == bandits.n_epochs(10**6, bandit.constants().rho)
    bandit = models.dlb_synthetic()
    table: Any = {1.0: (5.0071, 19.1797, 34.9258), "log_T": (5.1091, 8.9295, 13.1818)}
    for lambda_, betas in table.items():
        task = Task(bandit.constants(), 10**6, bandit.actions)
        learner = bandits.DynLinUCB("paper", lambda_).learner(task)
        for t, beta in zip((1, 1000, 10**6), betas, strict=True):
            learner.t = t
            assert learner.radius() == pytest.approx(beta, abs=5e-5)  # pyright: ignore


def test_no_algorithm_beats_the_lower_bound():
    d, rho, sigma, rounds, seeds = 2, 0.8, 0.1, 2000, 10
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=d)))
    found: dict[str, list] = {}
    for signs in corners:
        bandit = Bandit(
            A=[[rho]], B=[sigma / math.sqrt(rounds) * signs], omega=[1.0], theta=np.zeros(d),
            actions=Arms(corners), state_noise=sigma,
        )  # fmt: skip
        named = bandits.standard(bandit)
        del named["clairvoyant"]
        for name, run in bandits.run(bandit, named, rounds, seeds).items():
            found.setdefault(name, []).append(run.final)
    least = math.exp(-2) / 8 * d * sigma * math.sqrt(rounds) / (1 - rho)
    for name, finals in found.items():
        each = np.array(finals).mean(axis=0)
        error = each.std(ddof=1) / math.sqrt(seeds)
        assert each.mean() >= least - 4 * error, name


def test_published_slips_can_be_switched_one_by_one():
    bandit, rounds = models.dlb_synthetic(), 5000
    published = bandits.Faithful()
    none = bandits.Faithful(**dict.fromkeys(published.__dataclass_fields__, False))
    assert none.bandit(bandit) is bandit
    assert published.bandit(bandit).output_noise == pytest.approx(math.sqrt(3) * 0.01)
    assert pytest.approx(1.397542, abs=1e-6) == published.constants(bandit, rounds).X
    assert none.constants(bandit, rounds).X < 1

    def finals(preset):
        named = preset.algorithms(bandit, rounds)
        c = preset.constants(bandit, rounds)
        runs = bandits.run(preset.bandit(bandit), named, rounds, 2, constants=c)
        return {name: run.realised[:, -1].tolist() for name, run in runs.items()}

    base = finals(published)
    moved = {
        "long_first_epoch": {"dynlin_log", "dynlin_one"},
        "random_first_action": {"dynlin_log", "lin_ucb_log"},
        "small_state_bound": {"dynlin_log", "dynlin_one"},
        "summed_output_noise": {"exp3", "lin_ucb"},
        "late_credit": {"batch_exp3"},
        "blind_discount": {"d_lin_ucb_log"},
        "budget_norm": {"lin_ucb", "d_lin_ucb"},
    }
    for field, names in moved.items():
        other = finals(replace(published, **{field: False}))
        changed = {name for name in base if base[name] != other[name]}
        assert names <= changed, field
        if field in ("late_credit", "blind_discount"):
            assert changed == names
    ads = models.dlb_advertising()
    for slip, batch in ((True, 14), (False, 27)):
        named = bandits.Faithful(complex_radius=slip).algorithms(ads, 10**6)
        task = Task(ads.constants(), 10**6, ads.actions)
        assert named["batch_exp3"].factors(task)["BATCH"] == batch  # pyright: ignore


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "algorithm", "mean", "error"),
    [
        ("paper, log T", bandits.DynLinUCB("paper", "log_T"), 7374.1, 4.6),
        ("paper, 1", bandits.DynLinUCB("paper", 1.0), 16625.8, 5.5),
    ],
)
def test_reference_regrets_of_a_million_rounds(name, algorithm, mean: float, error: float):
    bandit = models.dlb_synthetic()
    c = told_as_in_the_table(bandit)
    marks = [100_000, 10**6]
    run = bandits.run(bandit, {name: algorithm}, 10**6, 10, checkpoints=marks, constants=c)[name]
    assert abs(run.final.mean() - mean) <= 3 * math.hypot(error, run.standard_error[-1])
    assert run.covered.all()
    slope = math.log10(run.mean[1] / run.mean[0])
    assert slope <= 0.5 + 1.5 / math.log(10**6) + 0.05


@pytest.mark.slow
def test_a_million_certified_rounds():
    bandit = models.dlb_synthetic()
    run = bandits.run(bandit, {"it": bandits.DynLinUCB()}, 10**6, 10)["it"]
    assert run.covered.all()
    assert run.final.mean() < 2232
