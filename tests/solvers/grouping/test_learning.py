"""Learning over groups, choosing their number, refining and shrinking."""

import math

import numpy as np
import pytest

import solvers.grouping.shrinkage as shrinkage
from mdplib import TabularMDP, models
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.grouping import Grouping, draw_actions, lift, loss
from mdplib.grouping.distances import dense_rows
from mdplib.operators import evaluate_policy
from mdplib.statistics import bootstrap_mean, clopper_pearson
from solvers import grouping as rules
from solvers.grouping.selection import PLANNING, Candidate
from tests.mutation import mutant


def tree(**changes):
    return models.tree_mdp(np.random.default_rng(0), **changes)


def losses(mdp, grouping, n, repetitions, seed):
    """Losses of grouped learners, evaluated on the lifted model, largest over the states."""
    from mdplib.grouping import draw

    rng = np.random.default_rng(seed)
    P, r = dense_rows(mdp)
    V = rules.plan(P, r, mdp.gamma).value
    found = rules.plan(
        *draw(mdp, grouping, n, rng, repetitions=repetitions).model(), mdp.gamma, rng=rng
    )
    lifted = dense_rows(lift(mdp, grouping))
    return (V - rules.evaluate(*lifted, found.policy, mdp.gamma)).max(axis=1)


# ------------------------------------------------------------------------ Q iteration


def standard_q_iteration(mdp, n, rng, iterations):
    """Plain model-based Q iteration on single actions, loops only (T3)."""
    S, A = mdp.n_states, mdp.n_actions
    P, r = dense_rows(mdp)
    P_hat, r_hat = np.zeros((S, A, S)), np.zeros((S, A))
    for s in range(S):
        for a in range(A):
            taken = rng.multinomial(n, [1.0], size=1)[0]  # the draw of the one action of a group
            seen = rng.multinomial(taken, P[s, a] / max(P[s, a].sum(), 1.0))[0]
            paid = rng.binomial(seen, r[s, a])
            P_hat[s, a], r_hat[s, a] = seen / n, paid.sum() / n
    Q = np.zeros((S, A))
    for _ in range(iterations):
        Q = r_hat + mdp.gamma * P_hat @ Q.max(axis=1)
    return Q


def test_singletons_are_standard_q_iteration():
    mdp = tree(n_levels=2, n_states=3)
    grouping = Grouping.singletons(4)
    found = rules.grouped_q_iteration(mdp, grouping, 20, np.random.default_rng(7), iterations=25)
    plain = standard_q_iteration(mdp, 20, np.random.default_rng(7), 25)
    np.testing.assert_allclose(found.Q, plain, rtol=0, atol=1e-14)
    assert found.group.tolist() == plain.argmax(axis=1).tolist()


def test_one_group_is_one_policy():
    """T4: the loss is that of mu, whatever the samples."""
    mdp = tree()
    expected = losses(mdp, Grouping.one(64), 1000, 2, 0)
    for n, seed in ((1, 1), (7, 2)):
        np.testing.assert_allclose(losses(mdp, Grouping.one(64), n, 3, seed), expected[0])
    found = rules.grouped_q_iteration(mdp, Grouping.one(64), 3, np.random.default_rng(0))
    np.testing.assert_allclose(found.policy.weight, 1 / 64)


def test_iterations_approach_the_plan():
    """T10: ``||Q_n - Q|| <= gamma^n / (1-gamma)``; enough iterations are enough."""
    mdp, grouping = tree(), Grouping.tree(3, 6)
    exact = rules.grouped_q_iteration(mdp, grouping, 50, np.random.default_rng(1))
    assert exact.work == 0
    for n in (1, 5, 20, 80):
        found = rules.grouped_q_iteration(mdp, grouping, 50, np.random.default_rng(1), iterations=n)
        assert np.abs(found.Q - exact.Q).max() <= 0.9**n / 0.1 + 1e-9
        assert 0 < found.work <= n * 6 * 8 * 6
    enough = loss.iterations_needed(0.9, 1e-9)
    found = rules.grouped_q_iteration(
        mdp, grouping, 50, np.random.default_rng(1), iterations=2 * enough
    )
    assert np.abs(found.Q - exact.Q).max() < 1e-9


def test_the_composed_policy_is_worth_its_group_policy():
    mdp, grouping = tree(n_levels=3), Grouping.tree(2, 3)
    found = rules.grouped_q_iteration(mdp, grouping, 30, np.random.default_rng(3))
    lifted = dense_rows(lift(mdp, grouping))
    value = rules.evaluate(*lifted, found.group[None], 0.9)[0]
    np.testing.assert_allclose(evaluate_policy(mdp, found.policy), value, atol=1e-10)
    known = rules.grouped_q_iteration(
        mdp, grouping, 30, np.random.default_rng(3), known_rewards=True, iterations=1
    )
    np.testing.assert_allclose(known.Q, lifted[1])


def test_learning_refuses_what_it_cannot_do():
    mdp, rng = tree(n_levels=1), np.random.default_rng(0)
    with pytest.raises(InvalidModelError, match="at least one"):
        rules.grouped_q_iteration(mdp, Grouping.one(2), 0, rng)
    with pytest.raises(InvalidModelError, match="0 iterations"):
        rules.grouped_q_iteration(mdp, Grouping.one(2), 1, rng, iterations=0)
    large = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 3.0]], 0.5)
    with pytest.raises(NotApplicableError, match=r"\[0, 1\]"):
        rules.grouped_q_iteration(large, Grouping.one(2), 1, rng)


def test_the_exact_model_loses_the_floor():
    """T12: with very many samples only the loss by grouping is left."""
    mdp = tree(n_levels=4)
    for level, abs_ in ((1, 2e-3), (3, 2e-3)):
        grouping = Grouping.tree(level, 4)
        P, r = dense_rows(mdp)
        V = rules.plan(P, r, 0.9).value
        floor = (V - rules.plan(*dense_rows(lift(mdp, grouping)), 0.9).value).max()
        found = losses(mdp, grouping, 10**7, 5, 1)
        np.testing.assert_allclose(found, floor, atol=abs_)


def test_copied_actions_are_better_grouped():
    """T2: with copies grouped the loss is less at the same budget."""
    P, r = dense_rows(tree(n_levels=3))
    copied = TabularMDP.from_dense(np.repeat(P, 4, axis=1), np.repeat(r, 4, axis=1), 0.9)
    apart = losses(copied, Grouping.singletons(32), 4, 200, 0)
    together = losses(copied, Grouping.contiguous([4] * 8), 16, 200, 1)
    gain = bootstrap_mean(apart - together, np.random.default_rng(2))
    assert gain.low > 0.0


def test_the_loss_is_least_between_the_extremes():
    """T11: at N = 1536 eight groups beat one and sixty-four by more than three standard errors."""
    mdp = tree()
    found = {m: losses(mdp, Grouping.tree(int(math.log2(m)), 6), 1536 // (6 * m), 200, m)
             for m in (1, 8, 64)}  # fmt: skip
    error = 3.0 * found[8].std(ddof=1) / math.sqrt(200)
    assert found[8].mean() + error < found[1].mean()
    assert found[8].mean() + error < found[64].mean() - 3.0 * found[64].std() / math.sqrt(200)


def test_bounds_hold_as_often_as_they_say():
    """T9: loss against the total bound and the certificate, by exact intervals."""
    from mdplib.grouping import betas, draw

    mdp, grouping, n, delta = tree(n_levels=4), Grouping.tree(2, 4), 60, 0.1
    rng = np.random.default_rng(5)
    P, r = dense_rows(lift(mdp, grouping))
    best = rules.plan(P, r, 0.9).value
    learnt = rules.plan(*draw(mdp, grouping, n, rng, repetitions=400).model(), 0.9)
    lost = (best - rules.evaluate(P, r, learnt.policy, 0.9)).max(axis=1)
    mean, variance = draw(mdp, grouping, n, rng, repetitions=400).backup(learnt.value, 0.9)
    certified = loss.certificate(mean, variance, n, learnt.value, learnt.policy, 0.9, delta)
    failures = clopper_pearson(int((lost > certified).sum()), 400, 0.95)
    assert failures.low <= delta
    assert (certified < loss.weissman_bound(6, 4, n, 0.9, delta)).mean() > 0.99
    V = rules.plan(*dense_rows(mdp), 0.9).value
    found = betas(mdp, grouping)
    total = loss.approximation_bound(found.max_P, found.max_r, 0.9)
    total += loss.estimation_bound(6, 4, n, 0.9, delta)
    all_lost = (V - rules.evaluate(P, r, learnt.policy, 0.9)).max(axis=1)
    assert (all_lost <= total).all()


# ------------------------------------------------------------------------ selection


def test_selection_is_the_smallest_bound_within_the_budgets():
    mdp = tree(gamma=0.5)
    family = rules.candidates(mdp, [Grouping.tree(level, 6) for level in range(7)])
    for samples, work in ((2000, math.inf), (10**5, 10**5), (10**8, math.inf)):
        ranked = rules.select(family, 6, 0.5, samples, work=work)
        for choice in ranked:
            each = 6 * choice.n_groups
            assert each * choice.n <= samples < each * (choice.n + 1)  # T18
            assert choice.iterations * each * min(choice.n, 6) <= work
            candidate = family[choice.at]
            total = loss.approximation_bound(candidate.beta_P, candidate.beta_r, 0.5)
            total += loss.estimation_bound(
                6, choice.n_groups, choice.n, 0.5, 0.05, choice.iterations
            )
            assert choice.objective == pytest.approx(total)
        objectives = [choice.objective for choice in ranked]
        assert objectives == sorted(objectives)
    sizes = [rules.select(family, 6, 0.5, 10**k)[0].n_groups for k in range(2, 11)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert 2 * 0.5 ** rules.select(family, 6, 0.5, 10**8)[0].iterations / 0.25 <= PLANNING / 0.5


def test_selection_with_prices_is_a_minimum_over_samples():
    family = [Candidate(1, 0.5, 0.3), Candidate(4, 0.2, 0.1), Candidate(32, 0.0, 0.0)]
    chosen = rules.select_priced(family, 5, 0.5, sample=1e-6, product=1e-9)
    for choice in chosen:
        for factor in (0.5, 2.0):
            n = round(choice.n * factor)
            total = choice.approximation + loss.estimation_bound(
                5, choice.n_groups, n, 0.5, 0.05, choice.iterations
            )
            cost = total + 1e-6 * 5 * choice.n_groups * n
            cost += 1e-9 * choice.iterations * 5 * choice.n_groups * min(n, 5)
            assert cost >= choice.objective * (1 - 1e-9)
    cheap = rules.select_priced(family, 5, 0.5, sample=1e-12)[0]
    dear = rules.select_priced(family, 5, 0.5, sample=1e-1)[0]
    assert cheap.n_groups > dear.n_groups


def test_budgets_that_are_too_small_are_refused():
    with pytest.raises(InvalidModelError, match="12 samples and as many products"):
        rules.select([Candidate(2, 0.1, 0.1)], 6, 0.5, 11)
    with pytest.raises(InvalidModelError, match="prices"):
        rules.select_priced([Candidate(2, 0.1, 0.1)], 6, 0.5, sample=0.0)


class Line:
    """Actions on a line; kernels and rewards are linear in the place, so slopes are known."""

    n_states, gamma = 2, 0.5

    def __init__(self, n_actions, odd=None):
        self.n_actions, self.odd, self.asked = n_actions, odd, []

    def sample(self, s, a, n, rng):
        self.asked.append(a)
        x = a / (self.n_actions - 1)
        p = 0.2 + 0.5 * x
        return rng.multinomial(n, [p, 1.0 - p]), rng.binomial(n, 0.1 + 0.8 * x) / n


@pytest.mark.parametrize("A", [100, 10_000, 1_000_000])
def test_cheap_selection_costs_the_same_for_any_number_of_actions(A):
    model = Line(A)
    found = rules.cheap_selection(
        model, 10**6, np.random.default_rng(0), most_groups=16, probes=20_000
    )
    assert found.samples == 2 * 2 * 4 * 20_000 * (1 + 2 + 4 + 8 + 16)
    assert len(set(model.asked)) <= 2 * 4 * 31
    assert found.slope_r == pytest.approx(0.8, abs=0.2)
    assert found.slope_P == pytest.approx(0.5, abs=0.15)
    for level in found.levels:
        estimation = loss.estimation_bound(2, level.n_groups, 10**6 // (2 * level.n_groups), 0.5,
                                           0.05)  # fmt: skip
        assert level.estimation == pytest.approx(estimation)
    best = min(found.levels, key=lambda level: level.objective)
    assert found.n_groups == best.n_groups


def test_cheap_selection_takes_more_groups_when_there_are_more_samples():
    sizes = [
        rules.cheap_selection(Line(4096), N, np.random.default_rng(0), probes=2000).n_groups
        for N in (10**3, 10**5, 10**7)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    with pytest.raises(InvalidModelError, match="1 samples for 2 states"):
        rules.cheap_selection(Line(10), 1, np.random.default_rng(0))


# ------------------------------------------------------------------------ refinement, shrinkage


def test_floors_are_lower_bounds_and_refinement_pays():
    """Floors are below the value of the policy they come with, in every one of 40 runs."""
    mdp, wrong, sizes = tree(n_levels=4), 0, []
    for seed in range(40):
        found = rules.certified_refinement(mdp, 300_000, np.random.default_rng(seed))
        value = evaluate_policy(mdp, found.policy)
        wrong += bool((found.floor > value + 1e-9).any())
        sizes.append(found.grouping.n_groups)
        assert found.samples <= 300_000
        tried = [floor for _, floor in found.levels]
        assert found.floor.mean() == max(tried)
    assert clopper_pearson(wrong, 40, 0.95).low <= 0.05
    assert np.mean(np.array(sizes) > 1) > 0.9
    one = evaluate_policy(mdp, rules.grouped_q_iteration(
        mdp, Grouping.one(16), 10, np.random.default_rng(0)).policy)  # fmt: skip
    assert found.floor.mean() > one.mean()  # what is proven beats what no grouping could do
    with pytest.raises(InvalidModelError, match="960 are needed"):
        rules.certified_refinement(mdp, 959, np.random.default_rng(0))


def test_elimination_keeps_what_may_be_best():
    mdp = tree(n_levels=2, n_states=3)
    P, r = dense_rows(mdp)
    Q = (r + 0.9 * P @ rules.plan(P, r, 0.9).value).ravel()
    grouping = Grouping.tree(1, 2)
    sure = rules.eliminated(mdp, grouping, Q, Q)
    group = grouping.pairs(mdp)
    for s in range(3):
        for h in range(2):
            own = np.flatnonzero((mdp.pair_state == s) & (group == h))
            assert sure.weight[own[Q[own].argmax()]] == 1.0
    unsure = rules.eliminated(mdp, grouping, Q - 100.0, Q + 100.0)
    np.testing.assert_allclose(unsure.weight, 0.5)
    with pytest.raises(InvalidModelError, match="above"):
        rules.eliminated(mdp, grouping, Q + 1.0, Q)


def test_shrinkage_is_as_good_as_the_better_extreme():
    """Mean squared error of the kernels, with few and with many samples."""
    mdp = tree(n_levels=4)
    P, _ = dense_rows(mdp)
    grouping = Grouping.tree(2, 4)
    wrong = mutant(shrinkage, ("weight[..., None] * own_P  # (1)", "own_P  # (1)"))
    for n in (2, 20, 100, 1000):
        seen = draw_actions(mdp, n, np.random.default_rng(1), repetitions=100)
        found, rewards, weight = rules.shrunk_model(seen, grouping)
        assert ((weight >= 0.0) & (weight <= 1.0)).all()
        assert ((rewards >= 0.0) & (rewards <= 1.0)).all()
        own = seen.model()[0]
        group = own.reshape(100, 6, 4, 4, 6).mean(axis=3)[:, :, grouping.of]
        bad = wrong.shrunk_model(seen, grouping)[0]
        errors = [((x - P) ** 2).sum(axis=-1).mean() for x in (found, own, group, bad)]
        assert errors[0] < (0.95 if n >= 100 else 1.08) * min(errors[1:3])
        assert errors[3] > min(errors[1:3])
    alone, _, ones = rules.shrunk_model(seen, Grouping.singletons(16))
    np.testing.assert_allclose(alone, own)
    assert (ones == 1.0).all()
    with pytest.raises(InvalidModelError, match="two of each"):
        rules.shrunk_model(draw_actions(mdp, 1, np.random.default_rng(0)), grouping)
