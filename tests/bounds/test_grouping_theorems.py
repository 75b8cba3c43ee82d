"""What the statements on grouped actions are made of, against plain recomputation."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog, minimize_scalar

from bounds import load
from bounds.case import Case
from bounds.catalogue import CATALOGUE, select
from bounds.grouped_models import Grouped, composed, leaky, policy_values
from bounds.li2024_approximation import sharp
from bounds.li2024_bisimulation import lax_distance, transport
from bounds.li2024_certificate import compare, tree
from bounds.li2024_estimation import lucky, rivals, road, sampled_case
from bounds.li2024_refinement import harmful
from bounds.li2024_samples import deployed, draw, iterate
from bounds.li2024_setting import MANY, draw_models, normalised
from bounds.verdict import Outcome
from mdplib import models
from mdplib.errors import InvalidModelError
from mdplib.grouping import Grouping, LowLevelPolicy, betas, compose, lift
from mdplib.grouping import draw as library_draw
from mdplib.grouping.loss import approximation_bound, best_number, estimation_bound
from mdplib.operators import evaluate_policy
from mdplib.policy import StochasticPolicy
from mdplib.statistics import clopper_pearson
from mdplib.tabular import TabularMDP

EVERY = list(select(["grouping"]))
MAIN = ("li2024:chain", "li2024:approximation")
COVERAGE = [id for id in EVERY if CATALOGUE[id].theorem.kind == "high_probability"]


def small(n, **fixed):
    return list(draw_models(np.random.default_rng(8), n, **fixed))


def library(model):
    """Return the same model, grouping and low-level policy in the library's own form."""
    mdp = TabularMDP.from_dense(model.P, model.r, model.gamma)
    grouping = Grouping(model.group)
    return mdp, grouping, LowLevelPolicy.from_base(mdp, grouping, model.mu.ravel())


# ------------------------------------------------------------------------- the plain model


@pytest.mark.parametrize("model", small(12, shape=(3, 4, 2)))
def test_values_are_those_of_the_best_of_all_policies(model):
    S, A = model.r.shape

    def best(policies):
        values = [policy_values(model.P, model.r, model.gamma, weight) for weight in policies]
        top = np.max(values, axis=0)
        assert any(np.allclose(v, top, atol=1e-9) for v in values)
        return top

    every = (np.eye(A)[list(u)] for u in itertools.product(range(A), repeat=S))
    assert best(every) == pytest.approx(model.facts.V, abs=1e-9)
    present = [sorted(set(row)) for row in model.group.tolist()]
    grouped = (composed(model, np.eye(2)[list(u)]) for u in itertools.product(*present))
    assert best(grouped) == pytest.approx(model.facts.V_mu, abs=1e-9)


def test_values_by_iteration_over_the_horizon():
    for model in small(10, gamma=0.5):
        values = np.zeros(len(model.r))
        for _ in range(60):
            values = np.max(model.r + model.gamma * model.P @ values, axis=1)
        assert values == pytest.approx(model.facts.V, abs=1e-12)


def test_distances_by_their_definitions():
    for model in small(25, shape=(4, 5, 2)):
        S, A = model.r.shape
        subsets = [list(b) for k in range(S + 1) for b in itertools.combinations(range(S), k)]
        for s in range(S):
            for h in range(model.n_groups):
                own = [a for a in range(A) if model.group[s, a] == h]
                if not own:
                    assert model.facts.tv[s, h] == model.facts.beta_r[s, h] == 0.0
                    continue
                pairs = list(itertools.product(own, own))
                tv = max(
                    abs(model.P[s, a, b].sum() - model.P[s, c, b].sum())
                    for a, c in pairs
                    for b in subsets
                )
                spread = max(abs(model.facts.Q[s, a] - model.facts.Q[s, c]) for a, c in pairs)
                rewards = max(abs(model.r[s, a] - model.r[s, c]) for a, c in pairs)
                assert model.facts.tv[s, h] == pytest.approx(tv, abs=1e-12)
                assert model.facts.spread[s, h] == pytest.approx(spread, abs=1e-12)
                assert model.facts.beta_r[s, h] == pytest.approx(rewards, abs=1e-12)


def test_the_smallest_weight_of_a_kernel_by_linear_programming():
    """A common part of mass 1 - b exists iff b >= beta_P."""
    for model in small(8, shape=(4, 5, 2)):
        for s, h in itertools.product(range(4), range(2)):
            own = model.P[s, model.group[s] == h]
            if len(own) == 0:
                continue
            found = linprog(-np.ones(4), A_ub=np.tile(np.eye(4), (len(own), 1)), b_ub=own.ravel())
            assert found.fun is not None
            assert 1.0 + found.fun == pytest.approx(model.facts.beta_P[s, h], abs=1e-6)


def test_one_model_alone_has_the_facts_it_has_among_many():
    for model in small(30):
        alone = Grouped(model.P, model.r, model.group, model.mu, model.gamma).facts
        assert alone.loss == pytest.approx(model.facts.loss, abs=1e-10)
        assert alone.weights == model.facts.weights


def test_wrong_shapes_are_refused():
    P, r = np.ones((1, 2, 1)), np.zeros((1, 2))
    with pytest.raises(InvalidModelError, match=r"need \(S, A, S\)"):
        Grouped(P, r, np.zeros((1, 3), dtype=np.int64), r, 0.5)
    with pytest.raises(InvalidModelError, match="negative"):
        Grouped(P, r, np.array([[0, -1]]), r, 0.5)


# ------------------------------------------------------------------------------ the library


def test_the_library_lifts_composes_and_weighs_as_the_statements_say():
    rng = np.random.default_rng(4)
    for model in small(15, shape=(4, 6, 3), per_state=False):
        mdp, grouping, mu = library(model)
        lifted = lift(mdp, grouping, mu)
        P_mu, r_mu = model.lifted()
        assert lifted.reward == pytest.approx(r_mu.ravel(), abs=1e-12)
        found = np.zeros((12, 4))
        for k in range(12):
            part = slice(lifted.indptr[k], lifted.indptr[k + 1])
            found[k, lifted.indices[part]] = lifted.data[part]
        assert found == pytest.approx(P_mu.reshape(12, 4), abs=1e-12)
        pi = rng.dirichlet(np.ones(3), 4)
        high = StochasticPolicy(pi.ravel(), lifted.state_ptr, lifted.action_id)
        values = evaluate_policy(mdp, compose(mdp, grouping, mu, high))
        assert values == pytest.approx(policy_values(P_mu, r_mu, model.gamma, pi), abs=1e-10)
        weights = betas(mdp, grouping)
        assert weights.beta_P == pytest.approx(model.facts.beta_P, abs=1e-12)
        assert weights.beta_r == pytest.approx(model.facts.beta_r, abs=1e-12)
        assert weights.tv == pytest.approx(model.facts.tv, abs=1e-12)


def test_the_tree_is_the_library_s_and_has_its_reference_losses():
    mdp = models.tree_mdp(np.random.default_rng(0))
    P, r = tree(3).P, tree(3).r
    dense = TabularMDP.from_dense(P, r, 0.9)
    assert mdp.reward == pytest.approx(dense.reward, abs=1e-12)
    assert mdp.data == pytest.approx(dense.data, abs=1e-12)
    made = [tree(level) for level in range(7)]
    losses = [1.221, 0.663, 0.424, 0.215, 0.088, 0.026, 0.0]
    assert [model.facts.loss for model in made] == pytest.approx(losses, abs=6e-4)
    bounds = [8.87, 7.95, 6.81, 5.18, 3.43, 1.63, 0.0]
    assert [sharp(Case({"model": model})) for model in made] == pytest.approx(bounds, abs=6e-3)
    assert (made[0].facts.V.min(), made[0].facts.V.max()) == pytest.approx((6.78, 6.97), abs=6e-3)
    tails = [0.588, 0.342, 0.193, 0.105, 0.051, 0.019, 0.0]
    for model, tail in zip(made, tails, strict=True):
        assert max(model.facts.weights) <= tail + 5e-4


# -------------------------------------------------------------------------- approximation


@pytest.mark.parametrize("id", MAIN)
def test_no_violation_in_ten_thousand_models(id):
    entry = CATALOGUE[id]
    verdict = entry.theorem.check(entry.instances(np.random.default_rng(123), "smoke"))
    assert verdict.outcome is Outcome.HOLDS
    assert (verdict.n_applicable, verdict.n_failures) == (MANY["smoke"], 0)
    assert MANY["smoke"] == 10_000


@pytest.mark.parametrize("id", MAIN)
def test_random_models_alone_refute_a_bound_smaller_by_a_hundredth(id):
    theorem = CATALOGUE[id].theorem
    wrong = theorem.mutant(statement="too small", rhs=lambda case: 0.99 * theorem.rhs(case))
    verdict = wrong.check([Case({"model": model}) for model in small(5000)])
    assert verdict.outcome is Outcome.VIOLATED


def test_random_models_cover_small_and_large_weights_and_come_close_to_the_bound():
    drawn = small(3000)
    weights = np.array([model.facts.weights for model in drawn])
    for low, high in ((0.0, 0.05), (0.05, 0.5), (0.5, 0.95), (0.95, 1.0)):
        assert ((weights >= low) & (weights <= high)).mean(0).min() > 0.01
    cases = [Case({"model": model}) for model in drawn]
    ratios = [c["model"].facts.loss / sharp(c) for c in cases if sharp(c) > 1e-6]
    assert max(ratios) > 0.9
    assert {model.gamma for model in drawn} == {0.5, 0.9, 0.97}


@pytest.mark.parametrize("gamma", [Fraction(9, 10), Fraction(99, 100), Fraction(0)])
@pytest.mark.parametrize("b_P", [Fraction(0), Fraction(1, 100), Fraction(1, 2), Fraction(1)])
@pytest.mark.parametrize("b_r", [Fraction(0), Fraction(1, 10), Fraction(1)])
def test_the_family_attains_the_bound_in_exact_arithmetic(gamma, b_P, b_r):
    good = 1 / (1 - gamma)  # stays and is paid 1 for ever
    played = (1 - b_r) / (1 - gamma * (1 - b_P))  # V = 1 - b_r + gamma (1 - b_P) V
    bound = (b_r + gamma * b_P / (1 - gamma)) / (1 - gamma * (1 - b_P))
    assert good - played == bound
    loss = leaky(float(b_P), float(b_r), float(gamma)).facts.loss
    assert loss == pytest.approx(float(bound), rel=1e-9)
    assert approximation_bound(float(b_P), float(b_r), float(gamma)) == pytest.approx(float(bound))


def test_without_discounting_only_the_reward_counts():
    assert approximation_bound(0.7, 0.3, 0.0) == 0.3
    assert approximation_bound(1.0, 1.0, 0.9) == pytest.approx(10.0)


def test_the_shrunk_weights_are_the_right_ones():
    """Leaving b for a worthless state with probability eta b is leaving with weight eta b."""
    entry = CATALOGUE["li2024:approximation_mixed"].theorem
    for eta in (0.5, 0.75, 0.99):
        model = leaky(0.25, 0.5, 0.9)
        shared = replace(model, mu=np.tile([1.0 - eta, eta], (2, 1)))
        case = Case({"model": shared})
        assert entry.rhs(case) == pytest.approx(leaky(0.25 * eta, 0.5 * eta, 0.9).facts.loss)
        assert entry.rhs(case) == pytest.approx(shared.facts.loss)
        assert entry.rhs(case) < sharp(case)


def test_rewards_out_of_range_are_reported_not_ignored():
    model = leaky(0.1, 0.0, 0.9)
    rich = replace(model, r=8.0 * model.r)
    verdict = CATALOGUE["li2024:approximation"].theorem.check(Case({"model": rich}, "rich"))
    assert verdict.outcome is Outcome.NOT_APPLICABLE
    assert "rewards lie in [0, 1]" in verdict.message
    b_P, b_r = rich.facts.weights
    assert rich.facts.loss > approximation_bound(b_P, b_r, 0.9)  # and the bound is false there


# ----------------------------------------------------------------------------- refinement


def test_refining_can_hurt_when_no_base_measure_joins_the_policies():
    theorem, case = CATALOGUE["li2024:refinement"].theorem, harmful()
    verdict = theorem.check(case)
    assert verdict.outcome is Outcome.NOT_APPLICABLE
    assert "base measure" in verdict.message
    assert (theorem.lhs(case) > theorem.rhs(case) + 1.0).all()
    assert (theorem.lhs(case)[0], theorem.rhs(case)[0]) == (2.0, 0.0)


def test_losses_and_weights_fall_along_the_levels_of_a_tree():
    made = [tree(level, 4, S=3, gamma=0.7, seed=5).facts for level in range(5)]
    table = np.array([(f.loss, *f.weights, f.tv.max(), f.epsilon) for f in made])
    assert (np.diff(table, axis=0) <= 1e-12).all()
    assert table[-1] == pytest.approx(0.0, abs=1e-12)


# ----------------------------------------------------------------------------- estimation


def test_samples_have_the_law_of_the_generative_model():
    """One sample: action by mu, reward and successor given the action, against enumeration."""
    model = small(1, shape=(3, 4, 2), per_state=False)[0]
    model = replace(model, mu=normalised(np.array([[1.0, 2.0, 3.0, 4.0]] * 3), model.group, 2))
    rng, n = np.random.default_rng(1), 4000
    seen = np.sum([draw(model, 1, rng).counts for _ in range(n)], axis=0)
    for h, s, t in itertools.product(range(2), range(3), range(3)):
        own = [a for a in range(4) if model.group[s, a] == h]
        for paid in (0, 1):
            law = sum(
                model.mu[s, a] * model.P[s, a, t] * (model.r[s, a] if paid else 1 - model.r[s, a])
                for a in own
            )
            interval = clopper_pearson(int(seen[paid, s, h, t]), n, 0.9999)
            assert interval.low <= law <= interval.high


def test_reward_and_successor_share_the_action():
    counts = draw(lucky()["model"], 1000, np.random.default_rng(0)).counts
    assert counts[1, 0, 0].tolist() == [0, counts[1, 0, 0].sum(), 0]
    assert counts[0, 0, 0].tolist() == [0, 0, 1000 - counts[1, 0, 0].sum()]


def test_pooled_samples_have_fixed_numbers_of_each_action():
    model = rivals(1000)["model"]
    model = replace(model, mu=np.full(model.mu.shape, 0.5))
    counts = draw(model, 1000, np.random.default_rng(0), pooled=True).counts
    assert counts[1, 0, 0].sum() == counts[0, 0, 0].sum() == 500
    assert (counts.sum((0, 3)) == 1000).all()


def test_the_library_samples_the_same_law():
    model = tree(2, 4, S=3)
    mdp, grouping, mu = library(model)
    K, n = 50, 400
    rng = np.random.default_rng(2)
    plain = np.array([draw(model, K, rng).counts for _ in range(n)])
    taken = library_draw(mdp, grouping, K, rng, mu=mu, repetitions=n)
    theirs = np.stack([taken.counts - taken.paid, taken.paid], axis=1)
    scale = plain.std(0) + theirs.std(0) + 0.05
    assert (np.abs(plain.mean(0) - theirs.mean(0)) / scale * np.sqrt(n / 2) < 4.5).all()
    assert plain.var(0).sum() == pytest.approx(theirs.var(0).sum(), rel=0.05)


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_planning_loses_exactly_the_geometric_tail_on_the_road(n):
    model = road(n, 0.75)
    Q = iterate(*model.lifted(), 0.75, n)
    loss = (model.facts.V - deployed(model, Q)).max()
    assert loss == pytest.approx(0.75**n / 0.25, rel=1e-12)
    seen = iterate(*model.lifted(), 0.75, n + 1)
    assert deployed(model, seen) == pytest.approx(model.facts.V, abs=1e-12)


def test_planning_loses_less_than_half_of_what_is_usually_charged():
    for model in small(100, shape=(4, 6, 3), per_state=False):
        for n in (0, 1, 3, 10):
            Q = iterate(*model.lifted(), model.gamma, n)
            loss = (model.facts.V_mu - deployed(model, Q)).max()
            assert loss <= model.gamma**n / (1.0 - model.gamma) + 1e-9


@pytest.mark.parametrize("id", COVERAGE)
def test_coverage_is_judged_by_exact_intervals(id):
    entry = CATALOGUE[id]
    verdict = entry.theorem.check(entry.tight(), n_runs=200, seed=3)
    assert verdict.outcome is Outcome.HOLDS
    interval = verdict.interval
    assert interval is not None
    assert verdict.limit is not None
    assert interval.high == clopper_pearson(verdict.n_failures, 200, 0.99, side="upper").high
    assert interval.high <= verdict.limit


@pytest.mark.parametrize(("K", "ratios"), [(100, (9.67, 46.2, 371)), (1000, (2.17, 14.6, 117))])
def test_the_certificate_beats_the_bounds_in_advance_by_the_known_factors(K, ratios):
    rng = np.random.default_rng(K)
    rows = [compare(tree(3), K, 0.1, rng) for _ in range(25)]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    certificate, weissman, hoeffding = ratios
    assert mean["certificate"] == pytest.approx(certificate, rel=0.05)
    assert mean["weissman"] == pytest.approx(weissman, rel=0.005)
    assert mean["hoeffding"] == pytest.approx(hoeffding, rel=0.005)
    assert all(row["loss"] <= row["certificate"] for row in rows)
    assert mean["loss"] == pytest.approx({100: 0.225, 1000: 0.0425}[K], rel=0.35)
    assert 4.5 < mean["weissman"] / mean["certificate"] < 9.0


def test_the_total_bound_is_attained_up_to_estimation():
    case = CATALOGUE["li2024:total"].tight()
    assert isinstance(case, Case)
    model = case["model"]
    assert model.facts.loss == pytest.approx(sharp(case))
    assert estimation_bound(2, 1, case["K"], 0.5, 0.1, case["n"]) < 1e-3


def test_identical_actions_cost_nothing_however_they_are_played():
    rng = np.random.default_rng(0)
    model = small(1, shape=(4, 4, 4), per_state=False)[0]
    group = np.tile(np.repeat(np.arange(4), 3), (4, 1))
    mu = normalised(rng.exponential(size=(4, 12)), group, 4)
    copies = Grouped(model.P.repeat(3, 1), model.r.repeat(3, 1), group, mu, model.gamma)
    assert copies.facts.loss == pytest.approx(0.0, abs=1e-12)
    assert copies.facts.weights == pytest.approx((0.0, 0.0), abs=1e-12)
    case = sampled_case(copies, 50, "copies")
    assert CATALOGUE["li2024:total"].theorem.applies(case) == (None, ())


# ------------------------------------------------------------------------ the rest, and all


@pytest.mark.parametrize("a", [1.0, 0.5, 0.2])
def test_the_best_number_of_groups_by_numerical_minimisation(a):
    for N in (1e3, 1e6):
        found = minimize_scalar(
            lambda x, N=N: 2.0 * np.exp(-a * x) + 3.0 * np.sqrt(5 * np.exp(x) / N),
            bounds=(-10.0, 20.0),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert np.exp(found.x) == pytest.approx(best_number(2.0, a, 3.0, 5, N), rel=1e-4)


def test_transport_by_linear_programming():
    rng = np.random.default_rng(3)
    for _ in range(30):
        points = rng.random((3, 2))
        d = np.linalg.norm(points[:, None] - points, axis=-1)
        p, q = rng.dirichlet(np.ones(3), 2)
        rows = [np.kron(np.eye(3)[i], np.ones(3)) for i in range(3)]
        columns = [np.kron(np.ones(3), np.eye(3)[j]) for j in range(3)]
        found = linprog(d.ravel(), A_eq=[*rows, *columns], b_eq=[*p, *q])
        assert transport(p, q, d) == pytest.approx(found.fun, abs=1e-9)


def test_the_metric_bounds_all_differences_of_optimal_values():
    for model in small(20, shape=(3, 3, 2), gamma=0.5):
        Q = model.facts.Q
        d = lax_distance(model.P, model.r, model.gamma)
        assert (np.abs(Q[:, :, None, None] - Q) <= d + 1e-9).all()
        assert d == pytest.approx(d.transpose(2, 3, 0, 1), abs=1e-12)
        longer = lax_distance(model.P, model.r, model.gamma, 61)
        assert longer == pytest.approx(d, abs=1e-12)


@pytest.mark.parametrize("id", ["li2024:approximation", "li2024:certificate", "li2024:refinement"])
def test_cases_survive_a_file(id, tmp_path):
    entry = CATALOGUE[id]
    case = entry.tight()
    case.save(tmp_path / "case.npz")
    again = load(tmp_path / "case.npz")
    first, second = (entry.theorem.check(c, seed=5, n_runs=120) for c in (case, again))
    assert first == second


def test_the_sources_say_that_constants_are_derived():
    for id in EVERY:
        source = CATALOGUE[id].theorem.source
        assert "erived" in source
        assert not source.startswith("Theorem")
