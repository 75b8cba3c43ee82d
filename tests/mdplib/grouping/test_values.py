"""What groups cost, on random models: the chain, refinement, names, affine rewards, reuse."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdplib.grouping.distances as distances_module
import mdplib.grouping.loss as loss_module
import mdplib.grouping.weights as weights_module
from mdplib import TabularMDP, models
from mdplib.grouping import (
    Grouping,
    LowLevelPolicy,
    as_groups,
    betas,
    decompose,
    kernel_distance,
    lift,
    loss,
)
from tests.mdplib.grouping.dense_groups import grouped, lost, optimal, random_case
from tests.mutation import mutant


def links(seed, module=loss, weigh=betas):
    """All quantities of the chain, in the order in which they may not fall; then (1), (2)."""
    P, r, of, w, gamma, _ = random_case(seed)
    mdp, grouping = TabularMDP.from_dense(P, r, gamma), Grouping(of)
    L, V = lost(P, r, of, w, gamma)
    Q = r + gamma * P @ V
    mu = w / np.bincount(of, w)[of]
    found = weigh(mdp, grouping)
    delta, epsilon = module.step_loss(Q, of, mu), module.value_spread(Q, of)
    by_tv = module.variation_bound(found.max_tv, found.max_r, gamma, float(np.ptp(V)))
    left = 1.0 - gamma
    weights = found.max_P, found.max_r, gamma
    sharp, textbook = module.approximation_bound(*weights), module.textbook_bound(*weights)
    return [delta, L, delta / left, epsilon / left, by_tv], [L, sharp, textbook]


def broken_links(seeds, module=loss, weigh=betas):
    def falls(chain):
        return any(b < a - 1e-9 * max(1.0, a) for a, b in pairwise(chain))

    return [seed for seed in seeds if any(map(falls, links(seed, module, weigh)))]


# ------------------------------------------------------------------------ chain (T5)


@given(st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_the_chain_of_bounds_holds(seed):
    assert not broken_links([seed])


@pytest.mark.parametrize(
    "change",
    [
        ("(q.max(axis=1) - mean.reshape(S, m).max(axis=1)).max())  # (12)",
         "(q.max(axis=1) - mean.reshape(S, m).min(axis=1)).max())"),
        ("high[present] - low[present]", "0.3 * high[present] - 0.3 * low[present]"),
        ("return (beta_r + gamma * tv * span)", "return (beta_r + 0.3 * gamma * tv * span)"),
        ("(beta_r + ahead) / (1.0 - gamma * (1.0 - beta_P))  # (1)", "(beta_r + ahead)"),
        ("gamma * beta_P / (1.0 - gamma) ** 2  # (2)", "gamma * beta_P / (1.0 - gamma)"),
    ],
)  # fmt: skip
def test_the_chain_catches_broken_formulas(change):
    assert broken_links(range(150), mutant(loss_module, change))


def test_weights_below_the_smallest_are_caught_where_the_bound_is_attained():
    P = np.array([[[1.0, 0.0], [0.6, 0.4]], [[0.0, 1.0], [0.0, 1.0]]])
    r, of, w = np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([0, 0]), np.array([1e-12, 1.0])
    mdp, (L, _) = TabularMDP.from_dense(P, r, 0.9), lost(P, r, of, w, 0.9)
    wrong = mutant(weights_module, ("np.clip(own, 0.0, 1.0)", "0.99 * np.clip(own, 0.0, 1.0)"))
    right, low = (
        loss.approximation_bound(found.max_P, found.max_r, 0.9)
        for found in (betas(mdp, Grouping(of)), wrong.betas(mdp, Grouping(of)))
    )
    assert right == pytest.approx(L, rel=1e-9)
    assert low < L - 1e-3


def test_terms_of_the_chain_refuse_other_shapes():
    with pytest.raises(ValueError, match=r"group \(3,\)"):
        loss.step_loss([[1.0, 0.0]], [0, 0, 1], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"Q has shape \(2,\)"):
        loss.value_spread([1.0, 0.0], [0, 1])


def test_terms_of_the_chain_may_differ_by_state():
    Q = [[1.0, 0.0], [0.0, 3.0]]
    assert loss.value_spread(Q, [[0, 0], [0, 1]]) == 1.0
    assert loss.step_loss(Q, [[0, 0], [0, 1]], [[0.5, 0.5], [1.0, 1.0]]) == 0.5


# ------------------------------------------------------------------------ T7, T8, T15, T16


@given(st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_refinement_never_costs(seed):
    """T7: with one base measure loss and weights fall along a chain of refinements."""
    P, r, of, w, gamma, rng = random_case(seed)
    A = len(of)
    mdp = TabularMDP.from_dense(P, r, gamma)
    before = None
    while True:
        grouping = Grouping(of)
        mu = LowLevelPolicy.from_base(mdp, grouping, w)
        P_mu = lift(mdp, grouping, mu)
        V = optimal(P, r, gamma) - optimal(*distances_module.dense_rows(P_mu), gamma)
        found = betas(mdp, grouping)
        now = (float(V.max()), found.max_P, found.max_r, found.max_tv)
        if before is not None:
            assert all(b <= a + 1e-9 for a, b in zip(before, now, strict=True))
        if grouping.n_groups == A:
            break
        before = now
        finer = as_groups(of * A + rng.integers(2, size=A))
        assert finer.refines(grouping)
        of = np.asarray(finer.of)
    assert now[0] <= 1e-9
    assert now[1:] == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("seed", range(10))
def test_states_and_actions_may_be_renamed(seed):
    """T8."""
    P, r, of, w, gamma, rng = random_case(seed)
    S, A = r.shape
    states, actions = rng.permutation(S), rng.permutation(A)
    P2, r2 = P[states][:, actions][:, :, states], r[states][:, actions]
    mdp, other = (TabularMDP.from_dense(*x, gamma) for x in ((P, r), (P2, r2)))
    one, two = betas(mdp, Grouping(of)), betas(other, Grouping(of[actions]))
    np.testing.assert_allclose(two.beta_P, one.beta_P[states], atol=1e-12)
    np.testing.assert_allclose(two.tv, one.tv[states], atol=1e-12)
    np.testing.assert_allclose(two.beta_r, one.beta_r[states], atol=1e-15)
    L, _ = lost(P, r, of, w, gamma)
    assert lost(P2, r2, of[actions], w[actions], gamma)[0] == pytest.approx(L, abs=1e-9)
    d = kernel_distance(mdp, 1.0)
    np.testing.assert_allclose(kernel_distance(other, 1.0), d[actions][:, actions], atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_affine_rewards_scale_the_loss(seed):
    """T16: r -> (r + c) / (1 + c) divides loss and beta_r by 1 + c and leaves the rest."""
    P, r, of, w, gamma, _ = random_case(seed)
    c = 0.7
    L, _ = lost(P, r, of, w, gamma)
    assert lost(P, (r + c) / (1 + c), of, w, gamma)[0] == pytest.approx(L / (1 + c), abs=1e-9)
    one, two = (
        betas(TabularMDP.from_dense(P, x, gamma), Grouping(of)) for x in (r, (r + c) / (1 + c))
    )
    assert two.max_r == pytest.approx(one.max_r / (1 + c), abs=1e-12)
    assert (two.max_P, two.max_tv) == (one.max_P, one.max_tv)


@pytest.mark.parametrize("seed", range(10))
def test_without_a_future_only_rewards_count(seed):
    """T15: for gamma = 0 the loss is at most beta_r."""
    P, r, of, w, _, _ = random_case(seed)
    found = betas(TabularMDP.from_dense(P, r, 0.0), Grouping(of))
    assert lost(P, r, of, w, 0.0)[0] <= found.max_r + 1e-12
    assert loss.approximation_bound(found.max_P, found.max_r, 0.0) == found.max_r


def test_equal_rows_have_weight_zero_exactly_and_tiny_weights_a_witness():
    third = np.array([1.0, 1.0, 1.0]) / 3.0
    for shift in (0.0, 1e-13, 1e-9, 1e-4):
        P = np.tile(third, (3, 2, 1))
        P[0, 1] += [shift, -shift, 0.0]
        mdp = TabularMDP.from_dense(P, np.full((3, 2), 0.5), 0.9)
        d = decompose(mdp, Grouping.one(2))
        assert d.beta_P == pytest.approx(shift, rel=1e-2, abs=0.0)
        np.testing.assert_allclose(d.P_own.sum(axis=1), 1.0, atol=1e-12)
        assert d.P_own.min() >= 0.0
        again = (1 - d.beta_P) * d.P_common.repeat(2, axis=1) + d.beta_P * d.P_own.reshape(3, 2, 3)
        np.testing.assert_allclose(again, P, atol=1e-15)


def test_disjoint_laws_have_nothing_in_common():
    P = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]
    d = decompose(TabularMDP.from_dense(P, [[1.0, 0.0], [0.0, 1.0]], 0.9), Grouping.one(2))
    assert (d.beta_P, d.beta_r) == (1.0, 1.0)
    np.testing.assert_array_equal(d.P_own, np.reshape(P, (4, 2)))
    np.testing.assert_array_equal(d.r_own, [1.0, 0.0, 0.0, 1.0])


# ------------------------------------------------------------------------ the downlink's floor


def test_the_downlink_loses_what_many_samples_leave():
    """Floors below the mean losses known at 256 samples a pair; with two groups they agree."""
    mdp = models.downlink()
    P, r = distances_module.dense_rows(mdp)
    V = optimal(P, r, 0.9)
    floors = []
    for m in (2, 4, 8, 16, 32):
        P_mu, r_mu = grouped(P, r, np.arange(32) * m // 32, np.ones(32))
        floors.append(float((V - optimal(P_mu, r_mu, 0.9)).mean()))
    assert floors[0] == pytest.approx(0.306, abs=1e-3)
    assert floors[1:4] == pytest.approx([0.10767, 0.03292, 0.00868], abs=1e-5)
    table = (0.306, 0.115, 0.067, 0.065, 0.071)
    assert all(x <= y + 2e-3 for x, y in zip(floors, table, strict=True))
    assert floors == sorted(floors, reverse=True)
    assert floors[-1] == 0.0


def test_the_total_bound_has_the_known_values_on_the_tree():
    """N = 393216: 10.48 10.33 10.30 10.28 10.87 12.48 15.77, least at m = 8."""
    mdp = models.tree_mdp(np.random.default_rng(0))
    known = (10.48, 10.33, 10.30, 10.28, 10.87, 12.48, 15.77)
    for level, value in enumerate(known):
        found, m = betas(mdp, Grouping.tree(level, 6)), 1 << level
        bound = loss.total_bound(found.max_P, found.max_r, 6, m, 393216 // (6 * m), 0.9, 0.1)
        assert bound == pytest.approx(value, abs=6e-3)
