"""Formulas for the loss, samples of grouped models, distances of actions, the two models."""

import math

import numpy as np
import pytest

import mdplib.grouping.samples as samples_module
from mdplib import TabularMDP, models
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.grouping import (
    Grouping,
    GroupSamples,
    LowLevelPolicy,
    betas,
    draw,
    draw_actions,
    kernel_distance,
    lax_bisimulation,
    lift,
    loss,
    pooled,
    value_distance,
)
from mdplib.grouping.distances import dense_rows, transport
from mdplib.models.grouped_actions import level_weights
from tests.mutation import mutant


def policy_iteration(P, r, gamma):
    """Optimal value of a dense model: enumerate improvements, solve exactly."""
    S = len(P)
    s, pi = np.arange(S), np.zeros(S, dtype=int)
    while True:
        V = np.linalg.solve(np.eye(S) - gamma * P[s, pi], r[s, pi])
        Q = r + gamma * P @ V
        better = Q.max(axis=1) > Q[s, pi] + 1e-12
        if not better.any():
            return V
        pi = np.where(better, Q.argmax(axis=1), pi)


def exact_loss(mdp, grouping):
    return (
        policy_iteration(*dense_rows(mdp), mdp.gamma)
        - policy_iteration(*dense_rows(lift(mdp, grouping)), mdp.gamma)
    ).max()


# ------------------------------------------------------------------------ models (T13)

TREE = {
    0.9: (
        (1.221, 0.663, 0.424, 0.215, 0.088, 0.026, 0.0),
        (8.87, 7.95, 6.81, 5.18, 3.43, 1.63, 0.0),
        (6.78, 6.97),
    ),
    0.7: ((0.439, 0.259, 0.158, 0.078, 0.032, 0.010, 0.0), None, None),
}


@pytest.mark.parametrize("gamma", [0.9, 0.7])
def test_the_tree_has_the_known_losses_and_bounds(gamma):
    floors, bounds, values = TREE[gamma]
    mdp = models.tree_mdp(np.random.default_rng(0), gamma=gamma)
    w = level_weights(6)
    for level, floor in enumerate(floors):
        grouping = Grouping.tree(level, 6)
        assert exact_loss(mdp, grouping) == pytest.approx(floor, abs=6e-4)
        found = betas(mdp, grouping)
        assert max(found.max_P, found.max_r) <= w[level + 1 :].sum() + 1e-12
        if bounds is not None:
            bound = loss.approximation_bound(found.max_P, found.max_r, gamma)
            assert bound == pytest.approx(bounds[level], abs=6e-3)
    if values is not None:
        V = policy_iteration(*dense_rows(mdp), gamma)
        np.testing.assert_allclose([V.min(), V.max()], values, atol=6e-3)
    tails = [w[level + 1 :].sum() for level in range(7)]
    np.testing.assert_allclose(tails, [0.588, 0.342, 0.193, 0.105, 0.051, 0.019, 0.0], atol=6e-4)


def test_the_downlink_has_the_known_weights():
    mdp = models.downlink()
    assert mdp.reward.min() == pytest.approx(0.125)
    assert mdp.reward.max() == pytest.approx(0.690518, abs=1e-6)
    known = {
        2: (0.5390, 0.2344), 4: (0.3917, 0.1704), 8: (0.2183, 0.1091), 16: (0.0839, 0.0443),
        32: (0.0, 0.0),
    }  # fmt: skip
    for m, (beta_P, beta_r) in known.items():
        found = betas(mdp, Grouping.contiguous([32 // m] * m))
        assert found.max_P == pytest.approx(beta_P, abs=6e-5)
        assert found.max_tv == pytest.approx(beta_P, abs=6e-5)
        assert found.max_r == pytest.approx(beta_r, abs=6e-5)


def test_a_step_of_the_downlink_by_simulation():
    """The kernel of one pair against the definition played 20,000 times."""
    rng, n = np.random.default_rng(3), 20_000
    mdp = models.downlink()
    q1, q2, p = 3, 1, 7
    s, a = 4 * q1 + q2, 16 + p - 1
    served = rng.random(n) < 1.0 - math.exp(-0.15 * p)
    one = np.minimum(q1 + (rng.random(n) < 0.4), 3)
    two = np.minimum(q2 - served + (rng.random(n) < 0.3), 3)
    seen = np.bincount(4 * one + two, minlength=16) / n
    law = dense_rows(mdp)[0][s, a]
    assert np.abs(seen - law).max() <= 4.5 * math.sqrt(0.25 / n)
    success = 1.0 - math.exp(-0.15 * p)
    reward = 0.5 * success + 0.5 * (1.0 - 0.5 * (q1 + q2) / 6 - 0.5 * p / 16)
    assert dense_rows(mdp)[1][s, a] == pytest.approx(reward)


# ------------------------------------------------------------------------ formulas


def test_the_sharp_bound_is_attained():
    """T5: two states for the kernel, one for the reward."""
    for gamma in (0.9, 0.99):
        for b in (0.01, 0.1, 0.5, 1.0):
            P = [[[1.0, 0.0], [1.0 - b, b]], [[0.0, 1.0], [0.0, 1.0]]]
            mdp = TabularMDP.from_dense(P, [[1.0, 1.0], [0.0, 0.0]], gamma)
            mu = LowLevelPolicy.representative(mdp, Grouping.one(2), [1])
            lost = policy_iteration(*dense_rows(mdp), gamma) - policy_iteration(
                *dense_rows(lift(mdp, Grouping.one(2), mu)), gamma
            )
            found = betas(mdp, Grouping.one(2))
            bound = loss.approximation_bound(found.max_P, found.max_r, gamma)
            assert lost.max() == pytest.approx(bound, rel=1e-8)
            one = TabularMDP.from_dense([[[1.0], [1.0]]], [[b, 0.0]], gamma)
            assert b / (1.0 - gamma) == pytest.approx(
                loss.approximation_bound(0.0, betas(one, Grouping.one(2)).max_r, gamma), rel=1e-12
            )


def test_limits_of_the_bounds():
    """T15: gamma to 0, and weights of one."""
    assert loss.approximation_bound(0.7, 0.3, 0.0) == pytest.approx(0.3)
    assert loss.approximation_bound(1.0, 1.0, 0.9) == pytest.approx(10.0)
    for beta_P in (0.0, 0.2, 1.0):
        sharp = loss.approximation_bound(beta_P, 0.1, 0.9)
        assert sharp <= loss.textbook_bound(beta_P, 0.1, 0.9) + 1e-12
    assert loss.variation_bound(0.5, 0.1, 0.9, 2.0) == pytest.approx((0.1 + 0.9) / 0.1)


def test_a_priori_bounds_have_the_known_values():
    """Table of section 3.4: E2 46.2, 14.6, 4.62, 1.46 and E1 371, 117, 37, 11.7 for delta = .1."""
    for n, e2, e1 in ((100, 46.2, 371.0), (1000, 14.6, 117.0), (10_000, 4.62, 37.0)):
        assert loss.weissman_bound(6, 8, n, 0.9, 0.1) == pytest.approx(e2, rel=5e-3)
        assert loss.hoeffding_bound(6, 8, n, 0.9, 0.1) == pytest.approx(e1, rel=5e-3)
    assert loss.estimation_bound(6, 8, 100, 0.9, 0.1) == loss.weissman_bound(6, 8, 100, 0.9, 0.1)
    finite = loss.hoeffding_bound(6, 8, 100, 0.9, 0.1, iterations=10)
    assert finite - loss.hoeffding_bound(6, 8, 100, 0.9, 0.1) == pytest.approx(2 * 0.9**10 / 0.01)
    n = loss.iterations_needed(0.9, 1e-3)
    late = loss.weissman_bound(6, 8, 100, 0.9, 0.1, n) - loss.weissman_bound(6, 8, 100, 0.9, 0.1)
    assert 0.9e-3 < late <= 1e-3


def test_the_best_number_of_groups_minimises_the_law():
    C, a, E, S, N = 2.0, 0.7, 3.0, 6, 1e5
    m = loss.best_number(C, a, E, S, N)

    def law(x):
        return C * x**-a + E * math.sqrt(S * x / N)

    assert law(m) < min(law(0.99 * m), law(1.01 * m))


@pytest.mark.parametrize(
    "call",
    [
        lambda: loss.approximation_bound(0.5, -0.1, 0.9),
        lambda: loss.textbook_bound(0.5, 0.1, 1.0),
        lambda: loss.estimation_bound(6, 8, 0, 0.9, 0.1),
        lambda: loss.estimation_bound(6, 8, 10, 0.9, 1.0),
        lambda: loss.iterations_needed(0.9, 0.0),
    ],
)
def test_formulas_refuse_what_makes_no_sense(call):
    with pytest.raises(ValueError, match=r"\d"):
        call()


def test_the_sharp_bound_needs_rewards_in_the_unit_interval():
    with pytest.raises(NotApplicableError, match=r"beta_r is 1\.5 .* shift and scale"):
        loss.approximation_bound(0.5, 1.5, 0.9)
    with pytest.raises(NotApplicableError, match="beta_P"):
        loss.approximation_bound(1.5, 0.5, 0.9)


# ------------------------------------------------------------------------ samples


def test_samples_have_the_law_of_the_lifted_model():
    """Means of 4000 repetitions, within 4.5 standard errors; the budget is kept exactly (T18)."""
    mdp = models.tree_mdp(np.random.default_rng(1), n_levels=3, n_states=3)
    grouping, n, R = Grouping.tree(1, 3), 5, 4000
    seen = draw(mdp, grouping, n, np.random.default_rng(2), repetitions=R)
    assert seen.counts.shape == (R, 3, 2, 3)
    assert (seen.n == n).all()
    assert seen.total == 3 * 2 * n
    P, r = dense_rows(lift(mdp, grouping))
    found_P, found_r = seen.model()
    error = 4.5 * math.sqrt(0.25 / (n * R))
    assert np.abs(found_P.mean(axis=0) - P).max() <= error
    assert np.abs(found_r.mean(axis=0) - r).max() <= error


def test_reward_and_successor_share_the_action():
    """An action that pays moves one way, the other action the other way: counts show it."""
    P = [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]
    mdp = TabularMDP.from_dense(P, [[1.0, 0.0], [1.0, 0.0]], 0.5)
    seen = draw(mdp, Grouping.one(2), 1000, np.random.default_rng(0))
    np.testing.assert_array_equal(seen.paid[..., 0], seen.counts[..., 0])
    assert (seen.paid[..., 1] == 0).all()
    apart = mutant(samples_module, ("rng.binomial(seen, mdp.reward[k])",
                                    "rng.binomial(seen, mdp.reward.mean())"))  # fmt: skip
    wrong = apart.draw(mdp, Grouping.one(2), 1000, np.random.default_rng(0))
    assert (wrong.paid[..., 1] > 0).any()


def test_backups_are_sample_means_and_variances():
    mdp = models.tree_mdp(np.random.default_rng(1), n_levels=2, n_states=3)
    seen = draw(mdp, Grouping.tree(1, 2), 50, np.random.default_rng(2))
    V = np.array([0.3, 1.0, 2.5])
    mean, variance = seen.backup(V, 0.9)
    for s in range(3):
        for h in range(2):
            x = []
            for t in range(3):
                paid, all_ = seen.paid[s, h, t], seen.counts[s, h, t]
                x += [1.0 + 0.9 * V[t]] * paid + [0.9 * V[t]] * (all_ - paid)
            assert mean[s, h] == pytest.approx(np.mean(x))
            assert variance[s, h] == pytest.approx(np.var(x, ddof=1))


def test_pooled_samples_are_sums():
    """T2: c n samples of a group are n of each of its c actions."""
    mdp = models.tree_mdp(np.random.default_rng(1), n_levels=3, n_states=3)
    seen = draw_actions(mdp, 4, np.random.default_rng(2), repetitions=7)
    for level in range(4):
        some = pooled(seen, Grouping.tree(level, 3))
        assert (some.n == 4 * 2 ** (3 - level)).all()
        step = 2 ** (3 - level)
        np.testing.assert_array_equal(some.counts[:, :, 0], seen.counts[:, :, :step].sum(axis=2))
        assert some.paid.sum() == seen.paid.sum()


def test_samples_say_what_is_missing():
    mdp = models.tree_mdp(np.random.default_rng(1), n_levels=1, n_states=2)
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidModelError, match="at least one is needed"):
        draw(mdp, Grouping.one(2), 0, rng)
    negative = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, -1.0]], 0.5)
    with pytest.raises(NotApplicableError, match="shift and scale"):
        draw(negative, Grouping.one(2), 1, rng)
    empty = GroupSamples(np.zeros((2, 1, 2), dtype=int), np.zeros((2, 1, 2), dtype=int))
    with pytest.raises(InvalidModelError, match="group 0 of state 0 has no sample"):
        empty.model()
    with pytest.raises(InvalidModelError, match="same in all states"):
        pooled(draw_actions(mdp, 1, rng), Grouping([[0, 1], [1, 0]]))
    with pytest.raises(InvalidModelError, match="state 0 has no action of group 1"):
        draw(mdp, Grouping([[0, 0], [0, 1]]), 1, rng)


# ------------------------------------------------------------------------ distances


def test_distances_bound_what_grouping_costs():
    """Loss <= diameter of d_Q / (1 - gamma) <= that of d_TV with c = gamma span."""
    for seed in range(10):
        mdp = models.garnet(4, 6, 3, np.random.default_rng(seed), 0.8)
        grouping = Grouping([0, 0, 0, 1, 1, 1])
        P, r = dense_rows(mdp)
        V = policy_iteration(P, r, 0.8)
        d_Q = value_distance(r + 0.8 * P @ V)
        d_TV = kernel_distance(mdp, 0.8 * np.ptp(V))
        own = grouping.of[:, None] == grouping.of
        assert exact_loss(mdp, grouping) <= (d_Q * own).max() / 0.2 + 1e-9
        assert (d_Q <= d_TV + 1e-9).all()


def test_the_lax_bisimulation_metric_bounds_values():
    """``|Q(s,a) - Q(t,b)| <= d`` for the optimal Q; equal actions have distance zero."""
    rng = np.random.default_rng(4)
    P = rng.dirichlet(np.ones(3), size=(3, 2))
    P, r = np.repeat(P, 2, axis=1), np.repeat(rng.random((3, 2)), 2, axis=1)
    mdp = TabularMDP.from_dense(P, r, 0.6)
    found = lax_bisimulation(mdp, tol=1e-6)
    Q = (r + 0.6 * P @ policy_iteration(P, r, 0.6)).ravel()
    assert (np.abs(Q[:, None] - Q) <= found.pairs + found.missing + 1e-9).all()
    apart = found.actions(mdp)
    assert apart[0, 1] == apart[2, 3] == 0.0
    assert (apart[:2, 2:] > 0.1).all()
    assert found.missing <= 1e-6
    d = found.pairs
    assert (d[:, :, None] <= d[:, None, :] + d[None].transpose(0, 2, 1) + 1e-5).all()


def test_transport_is_the_linear_program():
    from scipy.optimize import linprog

    rng = np.random.default_rng(0)
    for _ in range(20):
        S = int(rng.integers(2, 6))
        p, q = rng.dirichlet(np.ones(S), size=2)
        x = rng.random((S, 2))
        cost = np.sqrt(((x[:, None] - x) ** 2).sum(axis=-1))
        sums = np.vstack([np.kron(np.eye(S), np.ones(S)), np.kron(np.ones(S), np.eye(S))])
        program = linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([p, q]))
        assert transport(p, q, cost) == pytest.approx(program.fun, abs=1e-9)
