"""The robust theorems, asked about what the solvers return, and the report on single runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bounds import load
from bounds.case import Case
from bounds.catalogue import CATALOGUE, select
from bounds.linear_cases import covered, offline_case
from bounds.linear_learners import Target
from bounds.linear_learners import pevi as plain_pevi
from bounds.linear_problem import draw_counts, random_problem
from bounds.offline_report import offline_report
from bounds.robust_inner import DIVERGENCES, Ambiguity
from bounds.tang2025_confidence import draw
from bounds.tang2025_lower import TWO_PROBLEMS, hard_counts, hard_problem, losses
from bounds.tang2025_rates import rate_case
from bounds.tang2025_suboptimality import data_coverage, with_use
from bounds.theorem import Theorem
from bounds.verdict import Outcome
from mdplib import models
from mdplib.errors import InvalidModelError
from mdplib.features import Features
from mdplib.linear import LinearMDP
from mdplib.linear_offline import LinearData
from mdplib.robust import Robustness
from solvers.robust.drpvi import drpvi
from solvers.robust.pevi import pevi
from solvers.robust.r2pvi import r2pvi
from tests.bounds.offline_models import learned_case, linear_data, linear_model, robustness

EVENTS = ("tang2025:pessimism", "tang2025:certificate", "tang2025:admissible_kernels")


def solved_cases(name, seeds, *, factor=1.0, target: Target = "shrink_to_one"):
    """What the solver makes of random data with a multiplier that covers, times a factor."""
    cases = []
    for seed in range(seeds):
        rng = np.random.default_rng([11, DIVERGENCES.index(name), seed])
        problem = random_problem(rng)
        n, strength = int(10 ** rng.uniform(1, 4)), float(10 ** rng.uniform(-0.5, 0.5))
        counts = draw_counts(problem, rng.dirichlet(np.ones(3), 5), n, rng)
        ambiguity = Ambiguity(name, "penalty", strength)
        case = covered(offline_case(problem, ambiguity, counts, 0.0, f"seed {seed}"))
        data = linear_data(problem, counts)
        beta = factor * 1.05 * case["beta"] + 1e-6
        found = r2pvi(data, robustness(ambiguity), beta=beta, kl_target=target)
        cases.append(learned_case(case, found))
    return cases


@pytest.mark.parametrize("name", DIVERGENCES)
def test_pessimism_and_certificates_hold_for_the_solver_wherever_the_event_does(name):
    cases = solved_cases(name, 25)
    for id in EVENTS:
        verdict = CATALOGUE[id].theorem.check(cases)
        assert verdict.outcome in (Outcome.HOLDS, Outcome.VACUOUS), verdict
        assert verdict.n_applicable >= 20


def test_without_the_event_the_theorem_does_not_apply_and_may_fail():
    pessimism = CATALOGUE["tang2025:pessimism"].theorem
    cases = solved_cases("kl", 25, factor=0.05, target="paper")
    applies = [pessimism.applies(case)[0] is None for case in cases]
    assert not all(applies)
    bare = replace(pessimism, hypotheses=pessimism.hypotheses[:-1])
    assert bare.check(cases).outcome is Outcome.VIOLATED
    covered_ones = [case for case, yes in zip(cases, applies, strict=True) if yes]
    assert not covered_ones or pessimism.check(covered_ones).outcome is Outcome.HOLDS


def test_the_published_kl_target_is_optimistic_where_there_are_no_data():
    """At multiplier one the published target overestimates more often than the default."""
    failures = {}
    for target in ("paper", "shrink_to_one"):
        failures[target] = 0
        for seed in range(30):
            rng = np.random.default_rng([12, seed])
            model = models.random_simplex_mdp(rng=rng)
            data = LinearData.collect(model, model.uniform, 30, rng)
            adversary = Robustness("kl", np.where(np.arange(5) == 4, np.inf, 3.0)[None])
            found = r2pvi(data, adversary, beta=1.0, kl_target=target)
            report = offline_report(model, data, found, adversary)
            failures[target] += not report.pessimistic
            assert report.pessimistic or not report.covered
    assert failures["shrink_to_one"] == 0
    assert failures["paper"] > 0


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_error_of_the_value_falls_like_the_root_of_the_sample(name):
    """Two-sided: no slower than -0.4 and no faster than -0.7."""
    theorem = CATALOGUE["tang2025:rate_value"].theorem
    case = rate_case(name, 1.0, np.random.default_rng(13), name)
    verdict = theorem.check(case, n_runs=60)
    assert verdict.outcome is Outcome.HOLDS
    assert verdict.interval is not None
    assert -0.7 <= verdict.interval.low <= verdict.interval.high <= -0.4


def test_vacuous_bounds_say_by_how_much():
    for name in DIVERGENCES:
        entry = CATALOGUE[f"tang2025:suboptimality_{name}"]
        verdict = entry.theorem.check(entry.instances(np.random.default_rng(0), "smoke"))
        assert verdict.outcome is Outcome.VACUOUS
        assert verdict.vacuous_factor is not None
        assert verdict.vacuous_factor > 10


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_report_agrees_with_the_theorems(name):
    certificate: Theorem = CATALOGUE["tang2025:certificate"].theorem
    widths: Theorem = CATALOGUE["tang2025:admissible_kernels"].theorem
    event = certificate.hypotheses[-1]
    for case in solved_cases(name, 4) + solved_cases(name, 4, factor=0.3):
        problem, ambiguity = case["problem"], case["ambiguity"]
        data, start = linear_data(problem, case["counts"]), problem.start
        found = r2pvi(data, robustness(ambiguity), beta=case["beta"])
        report = offline_report(linear_model(problem), data, found, robustness(ambiguity))
        assert report.suboptimality == pytest.approx(certificate.lhs(case)[start], abs=1e-8)
        assert report.certificate == pytest.approx(certificate.rhs(case)[start], abs=1e-6)
        assert report.phi_bound == pytest.approx(widths.rhs(case)[start], abs=1e-6)
        assert (report.beta_emp <= report.beta) == bool(event.check(case))
        assert report.covered or not event.check(case)
        assert report.phi_bound == pytest.approx(2 * report.beta * report.phi_sum)
        assert report.n == data.n_trajectories
        if report.covered:
            assert report.pessimistic
            assert -1e-9 <= report.suboptimality <= report.certificate + 1e-9
            assert report.certificate <= report.phi_bound + 1e-9


def test_reports_on_other_learners():
    rng = np.random.default_rng(14)
    model = models.random_simplex_mdp(rng=rng)
    data = LinearData.collect(model, model.uniform, 800, rng)
    standard = offline_report(model, data, pevi(data, beta=2.0), None)
    regressed = offline_report(model, data, pevi(data, beta=2.0, reward="regressed"), None)
    inside = Robustness("tv", 0.1, "ball")
    robust = offline_report(model, data, drpvi(data, inside, beta=2.0), inside)
    for report in (standard, regressed, robust):
        assert report.covered
        assert report.pessimistic
        assert 0 <= report.suboptimality <= report.certificate
        assert np.isnan(report.theory_bound)
    assert np.isnan(regressed.beta_emp)
    assert standard.beta_emp > 0
    assert robust.optimal_value < standard.optimal_value


def test_the_report_sees_through_an_inflated_estimate():
    rng = np.random.default_rng(15)
    model = models.random_simplex_mdp(rng=rng)
    data, adversary = LinearData.collect(model, model.uniform, 400, rng), Robustness("tv", 1.0)
    honest = r2pvi(data, adversary, beta=1.5)
    assert offline_report(model, data, honest, adversary).covered
    inflated = replace(honest, w=honest.w + 2.0, V=honest.V + 2.0)
    report = offline_report(model, data, inflated, adversary)
    assert not report.covered
    assert not report.pessimistic


def test_pairs_that_end_the_episode_are_known():
    """State 0 may stop for 0.6 or go on; nobody pays after that."""
    ends = np.array([False, True, False])
    phi = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    features = Features(np.array([0, 2, 3]), phi, np.array([0, 1, 0]), ends=ends)
    reward = np.array([[0.0, 0.6, 1.0], [0.0, 0.6, 1.0]])
    mu = np.tile(np.array([[0.3, 0.7], [0.0, 1.0]]), (2, 1, 1))
    model = LinearMDP(features, reward, mu, initial=np.array([1.0, 0.0]))
    data = LinearData.collect(model, model.uniform, 500, np.random.default_rng(18))
    for strength in (0.1, 5.0):
        adversary = Robustness("tv", strength)
        report = offline_report(model, data, r2pvi(data, adversary, beta=2.0), adversary)
        go = 0.3 * 0.6 + 0.7 * min(1.0, 0.6 + strength)
        assert report.optimal_value == pytest.approx(max(0.6, go))
        assert report.covered
        assert report.pessimistic
        assert report.suboptimality <= report.certificate


def test_bad_first_laws_are_named():
    rng = np.random.default_rng(17)
    model = models.random_simplex_mdp(rng=rng).replace(initial=None)
    data = LinearData.collect(model, model.uniform, 10, rng, start=0)
    found, adversary = r2pvi(data, Robustness("tv", 1.0)), Robustness("tv", 1.0)
    with pytest.raises(InvalidModelError, match="no law of the first state"):
        offline_report(model, data, found, adversary)
    with pytest.raises(InvalidModelError, match="distribution over 8 states"):
        offline_report(model, data, found, adversary, initial=np.ones(8))


def test_the_bound_of_theory_becomes_informative_at_astronomical_sizes():
    """Counts of trajectories can be drawn at any size: where does the bound fall below H?"""
    case = rate_case("tv", 1.0, np.random.default_rng(19), "informative")
    bound = CATALOGUE["tang2025:suboptimality_tv"].theorem.rhs
    factors = []
    for n in (10**4, 10**7, 10**12):
        drawn = draw(case.with_values({"n": n, "delta": 0.05}), np.random.default_rng(20))
        factors.append(float(bound(drawn)) / 3.0)
    assert factors[0] > 50
    assert factors[1] > 1
    assert factors[2] < 1


def test_widths_of_unspanned_directions_never_shrink():
    """One initial state, two actions, three features: the sum of widths stays, PEVI's falls."""
    rng = np.random.default_rng(21)
    problem = random_problem(rng, n_actions=2)
    even, adversary = np.full((5, 2), 0.5), Ambiguity("tv", "penalty", 1.0)
    sums, norms = [], []
    for n in (10**4, 10**12):
        counts = draw_counts(problem, even, n, rng)
        case = with_use(offline_case(problem, adversary, counts, 1.0, "two actions"))
        sums.append(case["learned"].bonus[0, 0].min())
        norms.append(plain_pevi(problem, counts, 1.0).bonus[0, 0].max())
        assert data_coverage(case) == 0.0
    assert sums[1] > 0.8 * sums[0] > 0.03
    assert norms[1] < 1e-3 * norms[0]


def test_no_solver_beats_two_problems():
    case = TWO_PROBLEMS.tight()
    assert isinstance(case, Case)
    ambiguity = Ambiguity(case["divergence"], "penalty", case["strength"])
    problem, takes = hard_problem(case, case["e0"]), []
    for k in range(case["n"] + 1):
        data = linear_data(problem, hard_counts(case, k))
        found = (
            r2pvi(data, robustness(ambiguity), beta=0.0),
            r2pvi(data, robustness(ambiguity), beta=0.3),
            drpvi(data, Robustness("tv", 0.05, "ball"), beta=0.3),
            pevi(data, beta=0.3),
        )
        takes.append([float(data.features.weights(x.policy, 0)[0]) for x in found])
    mean = losses(case, np.array(takes).T > 0.5)
    bound = TWO_PROBLEMS.theorem.lhs(case)
    assert (mean >= bound - 1e-12).all()
    assert (mean <= 1.5 * bound).all()  # ten observations leave little to choose


@pytest.mark.parametrize("id", select(["r2pvi"]))
def test_tight_cases_survive_a_file(id, tmp_path):
    entry = CATALOGUE[id]
    case = entry.tight()
    case.save(tmp_path / "case.npz")
    again = load(tmp_path / "case.npz")
    assert entry.theorem.applies(again) == (None, ())
    if entry.theorem.kind in ("identity", "inequality"):
        assert entry.theorem.check(again).worst == entry.theorem.check(case).worst
