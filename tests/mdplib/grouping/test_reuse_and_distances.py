"""Samples of actions reused for many groupings, low-level policies, distances of actions."""

from fractions import Fraction

import numpy as np
import pytest

import mdplib.grouping.distances as distances_module
import mdplib.grouping.lifting as lifting_module
import mdplib.grouping.samples as samples_module
from mdplib import TabularMDP, models
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.grouping import (
    Grouping,
    LowLevelPolicy,
    draw_actions,
    kernel_distance,
    lax_bisimulation,
    lift,
    pooled,
    reweighted,
    value_distance,
)
from tests.mdplib.grouping.dense_groups import grouped, lost
from tests.mutation import mutant

# ------------------------------------------------------------------------ reused samples


def test_reweighted_samples_are_the_weighted_means():
    """Against fractions, over a nested family and two base measures from one data set."""
    mdp = models.tree_mdp(np.random.default_rng(1), n_levels=3, n_states=2)
    seen = draw_actions(mdp, 7, np.random.default_rng(2))
    for level in range(4):
        grouping = Grouping.tree(level, 3)
        for w in (np.ones(8), np.arange(1.0, 9.0)):
            P, r, worth = reweighted(seen, grouping, w)
            for s in range(2):
                for h in range(grouping.n_groups):
                    own = grouping.members(h).tolist()
                    mass = sum(Fraction(float(w[a])) for a in own)
                    mu = {a: Fraction(float(w[a])) / mass for a in own}
                    pay = sum(mu[a] * Fraction(int(seen.paid[s, a].sum()), 7) for a in own)
                    assert r[s, h] == pytest.approx(float(pay), abs=1e-14)
                    for t in range(2):
                        law = sum(mu[a] * Fraction(int(seen.counts[s, a, t]), 7) for a in own)
                        assert P[s, h, t] == pytest.approx(float(law), abs=1e-14)
                    assert worth[s, h] == pytest.approx(7 / float(sum(x**2 for x in mu.values())))
        every = pooled(seen, grouping).model()
        P, r, worth = reweighted(seen, grouping, np.ones(8))
        np.testing.assert_allclose(P, every[0], atol=1e-14)
        np.testing.assert_allclose(r, every[1], atol=1e-14)
        np.testing.assert_allclose(worth, 7 * 8 / grouping.n_groups)


def test_reweighted_samples_are_unbiased_and_a_mutant_is_not():
    mdp = models.tree_mdp(np.random.default_rng(1), n_levels=2, n_states=3)
    w = np.array([1.0, 5.0, 2.0, 0.0])
    seen = draw_actions(mdp, 6, np.random.default_rng(3), repetitions=3000)
    grouping = Grouping([[0, 0, 1, 1], [0, 1, 1, 0], [1, 0, 1, 0]])
    exact = lift(mdp, grouping, LowLevelPolicy.from_base(mdp, grouping, w))
    law, pay = distances_module.dense_rows(exact)

    def off(module):
        P, r, _ = module.reweighted(seen, grouping, w)
        return max(np.abs(P.mean(axis=0) - law).max(), np.abs(r.mean(axis=0) - pay).max())

    limit = 4.5 * np.sqrt(0.25 / (6 * 3000))
    assert off(samples_module) <= limit
    played = "    mu = (mu > 0.0) / (mu > 0.0).sum(axis=-1)[..., None]\n"
    wrong = mutant(samples_module, ("    mu /= sums[..., None]\n", played))
    assert off(wrong) > 2 * limit


def test_reweighting_says_what_is_wrong():
    mdp = models.tree_mdp(np.random.default_rng(1), n_levels=1, n_states=2)
    seen = draw_actions(mdp, 2, np.random.default_rng(0))
    with pytest.raises(InvalidModelError, match="2 states and 2 actions"):
        reweighted(seen, Grouping.one(3), np.ones(3))
    with pytest.raises(InvalidModelError, match="w has shape"):
        reweighted(seen, Grouping.one(2), np.ones(3))
    with pytest.raises(InvalidModelError, match=r"w is -1\.0 at action 1 of state 0"):
        reweighted(seen, Grouping.one(2), [1.0, -1.0])
    with pytest.raises(InvalidModelError, match="group 1 in state 0 are all zero"):
        reweighted(seen, Grouping.singletons(2), [1.0, 0.0])
    none = samples_module.GroupSamples(seen.counts * 0, seen.paid * 0)
    with pytest.raises(InvalidModelError, match="action 0 of state 0 has no sample"):
        reweighted(none, Grouping.one(2), np.ones(2))


# ------------------------------------------------------------------------ low-level policies


def test_base_measures_are_by_action_state_or_pair_and_never_ambiguous():
    mdp = models.garnet(2, 3, 2, np.random.default_rng(0), 0.9)
    grouping = Grouping([0, 0, 1])
    w = np.array([1.0, 3.0, 2.0])
    by_action = LowLevelPolicy.from_base(mdp, grouping, w)
    for same in (np.tile(w, (2, 1)), np.tile(w, 2)):
        np.testing.assert_array_equal(
            LowLevelPolicy.from_base(mdp, grouping, same).weight, by_action.weight
        )
    np.testing.assert_allclose(by_action.weight, [0.25, 0.75, 1.0] * 2)
    ragged = TabularMDP(
        state_ptr=np.array([0, 1, 3], dtype=np.int32),
        indptr=np.arange(4, dtype=np.int32),
        indices=np.zeros(3, dtype=np.int32),
        data=np.ones(3),
        reward=np.zeros(3),
        action_id=np.array([1, 0, 2], dtype=np.int32),
        gamma=0.5,
    )
    with pytest.raises(InvalidModelError, match=r"w can mean either.*\(2, 3\)"):
        LowLevelPolicy.from_base(ragged, Grouping.one(3), w)
    by_state = LowLevelPolicy.from_base(ragged, Grouping.one(3), np.tile(w, (2, 1)))
    np.testing.assert_allclose(by_state.weight, [1.0, 1 / 3, 2 / 3])
    assert LowLevelPolicy.uniform(ragged, Grouping.one(3)).weight.tolist() == [1.0, 0.5, 0.5]


def test_low_level_policies_of_wrong_size_are_refused():
    mdp = models.garnet(2, 3, 2, np.random.default_rng(0), 0.9)
    group = Grouping.one(3).pairs(mdp)
    with pytest.raises(InvalidModelError, match="5 weights, 6 groups and 6 state-action pairs"):
        LowLevelPolicy(np.ones(5), group, mdp.state_ptr)
    with pytest.raises(InvalidModelError, match=r"weight\[0\] is -1"):
        LowLevelPolicy(np.full(6, -1.0), group, mdp.state_ptr)
    kept = LowLevelPolicy.uniform(mdp, Grouping.one(3))
    with pytest.raises(ValueError, match="read-only"):
        kept.group[0] = 1


def test_empty_groups_by_size_are_refused():
    with pytest.raises(InvalidModelError, match="group 1 has size 0"):
        Grouping.contiguous([2, 0])
    with pytest.raises(InvalidModelError, match="group 0 has size -1"):
        Grouping.contiguous([-1])


def test_a_lift_by_pairs_in_another_order_is_caught():
    """Weights belong to pairs, also when a group's actions are not neighbours."""
    rng = np.random.default_rng(3)
    P, r, w = rng.dirichlet(np.ones(3), size=(3, 5)), rng.random((3, 5)), rng.random(5) + 0.1
    of = np.arange(5) % 2
    mdp = TabularMDP.from_dense(P, r, 0.9)

    def off(module):
        mu = module.LowLevelPolicy.from_base(mdp, Grouping(of), w)
        law, pay = distances_module.dense_rows(module.lift(mdp, Grouping(of), mu))
        exact = grouped(P, r, of, w)
        return max(np.abs(law - exact[0]).max(), np.abs(pay - exact[1]).max())

    assert off(lifting_module) <= 1e-14
    change = (")[:, order] * mu.weight[order]", ")[:, order] * mu.weight")
    assert off(mutant(lifting_module, change)) > 1e-3


# ------------------------------------------------------------------------ bisimulation


def deterministic_metric(step, r, gamma, rounds):
    """Distances of pairs when every action leads to one state: no transport at all."""
    S, A = r.shape
    d = np.zeros((S, A, S, A))
    for _ in range(rounds):
        far = [[max(max(min(d[s, a, t, b] for b in range(A)) for a in range(A)),
                    max(min(d[s, a, t, b] for a in range(A)) for b in range(A)))
                for t in range(S)] for s in range(S)]  # fmt: skip
        d = np.array([[[[abs(r[s, a] - r[t, b]) + gamma * far[step[s, a]][step[t, b]]
                         for b in range(A)] for t in range(S)] for a in range(A)]
                      for s in range(S)])  # fmt: skip
    return d.reshape(S * A, S * A)


def test_the_metric_of_deterministic_models_needs_no_transport():
    rng = np.random.default_rng(8)
    S, A, gamma = 4, 3, 0.6
    step, r = rng.integers(S, size=(S, A)), rng.random((S, A))
    mdp = TabularMDP.from_dense(np.eye(S)[step], r, gamma)
    exact = deterministic_metric(step, r, gamma, 80)
    found = lax_bisimulation(mdp, tol=1e-8)
    assert (found.pairs <= exact + 1e-12).all()
    assert (exact <= found.pairs + found.missing).all()
    wrong = mutant(distances_module, ("np.maximum(there, there.T)  # (4)", "there"))
    other = wrong.lax_bisimulation(mdp, tol=1e-8)
    assert np.abs(other.pairs - exact).max() > 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_groups_that_are_close_by_the_metric_lose_little(seed):
    """Loss <= diameter of d_Q / (1 - gamma) <= that of the metric."""
    rng = np.random.default_rng(seed)
    P, r = rng.dirichlet(np.ones(3), size=(3, 4)), rng.random((3, 4))
    mdp, of = TabularMDP.from_dense(P, r, 0.5), np.array([0, 0, 1, 1])
    L, V = lost(P, r, of, np.ones(4), 0.5)
    found = lax_bisimulation(mdp, tol=1e-3)
    same = of[:, None] == of
    by_Q = (value_distance(r + 0.5 * P @ V) * same).max()
    by_metric = (found.actions(mdp) * same).max() + found.missing
    assert by_Q / 0.5 >= L - 1e-9
    assert by_Q <= by_metric + 1e-9


def test_distances_say_what_they_need():
    finite = models.garnet(2, 2, 2, np.random.default_rng(0), 1.0, horizon=3)
    with pytest.raises(NotApplicableError, match="horizon"):
        lax_bisimulation(finite)
    mdp = models.garnet(2, 2, 2, np.random.default_rng(0), 0.5)
    with pytest.raises(ValueError, match="tol is 0"):
        lax_bisimulation(mdp, tol=0.0)
    with pytest.raises(ValueError, match="factor is -1"):
        kernel_distance(mdp, -1.0)
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        value_distance([1.0, 2.0])
    early = lax_bisimulation(mdp, max_rounds=2)
    assert early.missing > 1e-3
