"""Groupings, lifted models and decomposition weights against dense and exact oracles."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdplib.grouping.lifting as lifting
from mdplib import TabularMDP, models
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.grouping import Grouping, LowLevelPolicy, as_groups, betas, compose, decompose, lift
from mdplib.operators import evaluate_policy
from mdplib.policy import DeterministicPolicy, StochasticPolicy
from tests.mutation import mutant


def dense(mdp):
    P = np.zeros((mdp.n_pairs, mdp.n_states))
    for k in range(mdp.n_pairs):
        part = slice(mdp.indptr[k], mdp.indptr[k + 1])
        P[k, mdp.indices[part]] = mdp.data[part]
    return P


def random_case(seed, ragged=True):
    """A model, perhaps with missing actions, a grouping, perhaps by state, and weights."""
    rng = np.random.default_rng(seed)
    S, A = int(rng.integers(1, 6)), int(rng.integers(1, 9))
    P = rng.dirichlet(np.full(S, 0.4), size=(S, A))
    r = rng.random((S, A))
    keep = rng.random((S, A)) < 0.8
    keep[:, 0] |= ~keep.any(axis=1)
    if not ragged:
        keep[:] = True
    mdp = _ragged(P, r, keep)
    m = int(rng.integers(1, A + 1))
    of = np.concatenate([np.arange(m), rng.integers(m, size=A - m)])
    rng.shuffle(of)
    return mdp, Grouping(of), rng.random(mdp.n_pairs) + 0.05, rng


def _ragged(P, r, keep):
    S = len(P)
    rows = np.argwhere(keep)
    return TabularMDP(
        state_ptr=np.concatenate([[0], np.cumsum(keep.sum(axis=1))]).astype(np.int32),
        indptr=(np.arange(len(rows) + 1) * S).astype(np.int32),
        indices=np.tile(np.arange(S, dtype=np.int32), len(rows)),
        data=P[keep].ravel(),
        reward=r[keep],
        action_id=rows[:, 1].astype(np.int32),
        gamma=0.9,
    )


# ------------------------------------------------------------------------ groupings


def test_groupings_are_partitions():
    grouping = Grouping.from_members([[1, 2], [0]], 3)
    assert grouping == Grouping([1, 0, 0])
    assert hash(grouping) == hash(Grouping([1, 0, 0]))
    assert grouping.members(0).tolist() == [1, 2]
    assert Grouping.singletons(4).refines(Grouping.one(4))
    assert not Grouping.one(4).refines(Grouping.singletons(4))
    assert Grouping.contiguous([1, 2]).of.tolist() == [0, 1, 1]
    for level in range(3):
        assert Grouping.tree(level + 1, 3).refines(Grouping.tree(level, 3))
    assert as_groups(["b", "a", "b"]) == Grouping([0, 1, 0])
    assert as_groups([[5, -1], [3, 5]]) == Grouping([[0, -1], [1, 0]])
    assert Grouping([[0, 1], [0, 0]]).refines(Grouping.one(2))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Grouping([0, 2]), "group 1 has no action"),
        (lambda: Grouping([0, -1]), "action 1 is in group -1"),
        (lambda: Grouping(np.zeros(0, dtype=int)), "no actions"),
        (lambda: Grouping([[0, -2]]), "action 1 of state 0"),
        (lambda: Grouping.from_members([[0], [0, 1]], 2), "action 0 is in groups 0 and 1"),
        (lambda: Grouping.from_members([[0]], 2), "action 1 is in no group"),
        (lambda: Grouping.from_members([[5]], 2), "group 0 has action 5"),
        (lambda: Grouping.from_members([[0, 1], []], 2), "group 1 has no action"),
        (lambda: Grouping.tree(4, 3), "level 4"),
        (lambda: Grouping.one(2).members(1), "no group 1"),
        (lambda: Grouping.one(2).refines(Grouping.one(3)), "do not compare"),
        (lambda: Grouping([[0, 1], [1, 0]]).members(0), "depends on the state"),
    ],
)
def test_bad_groupings_are_refused(make, said):
    with pytest.raises(InvalidModelError, match=said):
        make()


def test_groupings_must_fit_the_model():
    mdp = models.garnet(3, 4, 2, np.random.default_rng(0), 0.9)
    with pytest.raises(InvalidModelError, match="action 3"):
        lift(mdp, Grouping.singletons(3))
    with pytest.raises(InvalidModelError, match="2 states"):
        lift(mdp, Grouping(np.zeros((2, 4), dtype=int)))
    with pytest.raises(InvalidModelError, match="action 1 of state 2 has no group"):
        lift(mdp, Grouping([[0, 0, 0, 0], [0, 0, 0, 0], [0, -1, 0, 0]]))
    other = LowLevelPolicy.uniform(mdp, Grouping.one(4))
    with pytest.raises(InvalidModelError, match="another grouping"):
        lift(mdp, Grouping.singletons(4), other)
    group = Grouping.one(4).pairs(mdp)
    with pytest.raises(InvalidModelError, match=r"group 0 in state 0 sum to 1\.2"):
        LowLevelPolicy(np.full(12, 0.3), group, mdp.state_ptr)
    with pytest.raises(InvalidModelError, match="all zero"):
        LowLevelPolicy.from_base(mdp, Grouping.singletons(4), [1.0, 0.0, 1.0, 1.0])
    with pytest.raises(InvalidModelError, match="shape"):
        LowLevelPolicy.from_base(mdp, Grouping.one(4), np.ones(5))


# ------------------------------------------------------------------------ lifting


def by_hand(mdp, grouping, weight):
    """Kernel rows and rewards of the lifted model as a dictionary, exactly."""
    group, P = grouping.pairs(mdp), dense(mdp)
    rows = {}
    for k in range(mdp.n_pairs):
        key = (int(mdp.pair_state[k]), int(group[k]))
        law, pay = rows.setdefault(key, ([Fraction(0)] * mdp.n_states, Fraction(0)))
        w = Fraction(float(weight[k]))
        law = [x + w * Fraction(float(p)) for x, p in zip(law, P[k], strict=True)]
        rows[key] = (law, pay + w * Fraction(float(mdp.reward[k])))
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_lifted_models_are_the_exact_mixtures(seed):
    mdp, grouping, w, _ = random_case(seed)
    mu = LowLevelPolicy.from_base(mdp, grouping, w)
    lifted = lift(mdp, grouping, mu)
    rows = by_hand(mdp, grouping, mu.weight)
    keys = list(zip(lifted.pair_state.tolist(), lifted.action_id.tolist(), strict=True))
    assert keys == sorted(rows)
    P = dense(lifted)
    for k, key in enumerate(keys):
        law, pay = rows[key]
        np.testing.assert_allclose(P[k], [float(x) for x in law], atol=1e-15)
        assert lifted.reward[k] == pytest.approx(float(pay), abs=1e-15)


@pytest.mark.parametrize("seed", range(20))
def test_a_policy_over_groups_is_worth_what_the_composed_one_is(seed):
    """Lemma 0: two evaluations on different models agree."""
    mdp, grouping, w, rng = random_case(seed)
    mu = LowLevelPolicy.from_base(mdp, grouping, w)
    lifted = lift(mdp, grouping, mu)
    raw = rng.random(lifted.n_pairs) + 1e-3
    total = np.add.reduceat(raw, lifted.state_ptr[:-1])
    pi = StochasticPolicy.from_weights(lifted, raw / total[lifted.pair_state])
    composed = compose(mdp, grouping, mu, pi)
    np.testing.assert_allclose(
        evaluate_policy(mdp, composed), evaluate_policy(lifted, pi), atol=1e-10
    )


def test_a_lift_that_forgets_the_weights_is_caught():
    wrong = mutant(
        lifting,
        ("reward = np.atleast_2d(mdp.reward)[:, order] * mu.weight[order]",
         "reward = np.atleast_2d(mdp.reward)[:, order]"),
    )  # fmt: skip
    mdp, grouping = models.garnet(3, 4, 2, np.random.default_rng(0), 0.9), Grouping([0, 0, 1, 1])
    assert not np.allclose(wrong.lift(mdp, grouping).reward, lift(mdp, grouping).reward)


def test_groupings_may_depend_on_the_state_and_horizons_are_kept():
    mdp = models.garnet(3, 4, 2, np.random.default_rng(1), 1.0, horizon=5)
    grouping = Grouping([[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1]])
    lifted = lift(mdp, grouping)
    assert lifted.horizon == 5
    assert lifted.n_pairs == 6
    P, group = dense(mdp), grouping.pairs(mdp)
    own = P[4:8][group[4:8] == 1].mean(axis=0)
    np.testing.assert_allclose(dense(lifted)[3], own)
    per_step = mdp.replace(reward=np.arange(5)[:, None] * np.ones((5, 12)))
    assert lift(per_step, grouping).reward[3].tolist() == [3.0] * 6
    layers = TabularMDP.from_dense(np.full((2, 2, 2, 2), 0.5), np.zeros((2, 2, 2)), 1.0, horizon=2)
    with pytest.raises(InvalidModelError, match="change with the step"):
        lift(layers, Grouping.one(2))


def test_singletons_change_nothing_and_one_group_leaves_one_policy():
    """T3 bit by bit, T4: the value of one group is that of playing mu."""
    mdp = models.garnet(5, 3, 2, np.random.default_rng(3), 0.9)
    same = lift(mdp, Grouping.singletons(3))
    for name in ("state_ptr", "indptr", "indices", "data", "reward", "action_id"):
        np.testing.assert_array_equal(getattr(same, name), getattr(mdp, name))
    alone = lift(mdp, Grouping.one(3))
    P, r = dense(mdp).reshape(5, 3, 5).mean(axis=1), mdp.reward.reshape(5, 3).mean(axis=1)
    np.testing.assert_allclose(
        evaluate_policy(alone, StochasticPolicy.uniform(alone)),
        np.linalg.solve(np.eye(5) - 0.9 * P, r),
        atol=1e-12,
    )


def test_representatives_and_duplicates():
    """T2, T17: a representative's values are its action's; equal actions lose nothing."""
    mdp = models.garnet(4, 3, 2, np.random.default_rng(2), 0.9)
    grouping = Grouping.one(3)
    mu = LowLevelPolicy.representative(mdp, grouping, [1])
    P = dense(mdp)
    np.testing.assert_allclose(dense(lift(mdp, grouping, mu)), P[1::3])
    by_state = LowLevelPolicy.representative(mdp, grouping, [[0], [1], [2], [0]])
    np.testing.assert_allclose(dense(lift(mdp, grouping, by_state)), P[[0, 4, 8, 9]])
    with pytest.raises(InvalidModelError, match="shape"):
        LowLevelPolicy.representative(mdp, grouping, [1, 2])
    with pytest.raises(InvalidModelError, match="action 2 is not in group 0 of state 0"):
        LowLevelPolicy.representative(mdp, Grouping([0, 0, 1]), [2, 2])
    P, r = dense(mdp).reshape(4, 3, 4), mdp.reward.reshape(4, 3)
    copied = TabularMDP.from_dense(np.repeat(P, 2, axis=1), np.repeat(r, 2, axis=1), 0.9)
    pairs = Grouping([0, 0, 1, 1, 2, 2])
    found = betas(copied, pairs)
    assert found.max_P <= 1e-15
    assert found.max_r == found.max_tv == 0.0
    np.testing.assert_allclose(dense(lift(copied, pairs)), dense(mdp), atol=1e-15)


def test_policies_of_another_size_are_refused():
    mdp = models.garnet(3, 4, 2, np.random.default_rng(0), 0.9)
    pair = np.array([0, 1, 2], dtype=np.int32)
    with pytest.raises(InvalidModelError, match="lifted model"):
        compose(mdp, Grouping.one(4), None, StochasticPolicy.uniform(mdp))
    high = DeterministicPolicy(pair, np.zeros(3, dtype=np.int32))
    assert compose(mdp, Grouping.one(4), None, high).weight.tolist() == [0.25] * 12


# ------------------------------------------------------------------------ weights


def exact_betas(mdp, grouping):
    """Weights by comparing all actions of a group, in fractions."""
    P, group = dense(mdp), grouping.pairs(mdp)
    found = {}
    for s in range(mdp.n_states):
        for h in range(grouping.n_groups):
            own = [
                k
                for k in range(mdp.state_ptr[s], mdp.state_ptr[s + 1])
                if group[k] == h
            ]  # fmt: skip
            if not own:
                continue
            laws = [[Fraction(float(x)) for x in P[k]] for k in own]
            nu = sum(min(column) for column in zip(*laws, strict=True))
            tv = max(
                sum(abs(x - y) for x, y in zip(p, q, strict=True)) / 2 for p in laws for q in laws
            )
            pay = [Fraction(float(mdp.reward[k])) for k in own]
            found[s, h] = (float(1 - nu), float(max(pay) - min(pay)), float(tv))
    return found


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_weights_are_the_exact_ones(seed):
    mdp, grouping, _, _ = random_case(seed)
    found, exact = betas(mdp, grouping), exact_betas(mdp, grouping)
    for s in range(mdp.n_states):
        for h in range(grouping.n_groups):
            beta_P, beta_r, tv = exact.get((s, h), (0.0, 0.0, 0.0))
            assert found.beta_P[s, h] == pytest.approx(beta_P, abs=1e-12)
            assert found.beta_r[s, h] == pytest.approx(beta_r, abs=1e-15)
            assert found.tv[s, h] == pytest.approx(tv, abs=1e-12)
    size = np.bincount(grouping.of).max()
    assert found.max_tv <= found.max_P + 1e-12
    assert found.max_P <= max(size - 1, 0) * found.max_tv + 1e-12


@pytest.mark.parametrize("seed", range(30))
def test_decompositions_are_witnesses(seed):
    """T6: all parts are laws or rewards in [0, 1], and they add up."""
    mdp, grouping, _, _ = random_case(seed, ragged=seed % 2 == 0)
    d = decompose(mdp, grouping)
    s, h = mdp.pair_state, grouping.pairs(mdp)
    for law in (d.P_common.reshape(-1, mdp.n_states), d.P_own):
        assert law.min() >= 0.0
        np.testing.assert_allclose(law.sum(axis=1), 1.0, atol=1e-9)
    for pay in (d.r_common, d.r_own):
        assert 0.0 <= pay.min() <= pay.max() <= 1.0
    P = (1.0 - d.beta_P) * d.P_common[s, h] + d.beta_P * d.P_own
    np.testing.assert_allclose(P, dense(mdp), atol=1e-12)
    r = (1.0 - d.beta_r) * d.r_common[s, h] + d.beta_r * d.r_own
    np.testing.assert_allclose(r, mdp.reward, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_no_smaller_weights_are_possible(seed):
    """T6: with beta_P less by 1e-6 some part would need a negative probability, by a program."""
    from scipy.optimize import linprog

    mdp, grouping, _, _ = random_case(seed, ragged=False)
    found = betas(mdp, grouping)
    if found.max_P < 1e-5:
        return
    s, h = np.unravel_index(found.beta_P.argmax(), found.beta_P.shape)
    own = np.flatnonzero((mdp.pair_state == s) & (grouping.pairs(mdp) == h))
    least = dense(mdp)[own].min(axis=0)
    # largest mass of a common part c <= P_k for all k: what is common to all actions
    top = linprog(-np.ones(mdp.n_states), A_ub=np.eye(mdp.n_states), b_ub=least)
    assert top.fun is not None
    assert -top.fun == pytest.approx(1.0 - found.max_P, abs=1e-9)
    assert -top.fun < 1.0 - (found.max_P - 1e-6)


def test_generated_weights_bound_the_smallest_ones():
    """A model made with weights (b_P, b_r) has no larger smallest weights."""
    rng = np.random.default_rng(5)
    b_P, b_r, S, A = 0.3, 0.2, 4, 6
    grouping = Grouping([0, 0, 0, 1, 1, 1])
    common = rng.dirichlet(np.ones(S), size=(S, 2))[:, grouping.of]
    P = (1 - b_P) * common + b_P * rng.dirichlet(np.ones(S), size=(S, A))
    r = (1 - b_r) * rng.random((S, 2))[:, grouping.of] + b_r * rng.random((S, A))
    found = betas(TabularMDP.from_dense(P, r, 0.9), grouping)
    assert 0.0 < found.max_P <= b_P + 1e-12
    assert 0.0 < found.max_r <= b_r + 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_weights_do_not_depend_on_names_and_fall_under_refinement(seed):
    """T7, T8: relabelled groups and permuted actions change nothing; refinement never raises."""
    mdp, grouping, _, rng = random_case(seed, ragged=False)
    A = grouping.n_actions
    found = betas(mdp, grouping)
    names = rng.permutation(grouping.n_groups)
    renamed = betas(mdp, Grouping(names[grouping.of]))
    assert renamed.max_P == found.max_P
    order = rng.permutation(A)
    S = mdp.n_states
    P, r = dense(mdp).reshape(S, A, S), mdp.reward.reshape(S, A)
    permuted = TabularMDP.from_dense(P[:, order], r[:, order], 0.9)
    again = betas(permuted, Grouping(grouping.of[order]))
    np.testing.assert_allclose([again.max_P, again.max_r], [found.max_P, found.max_r], atol=1e-12)
    fine = as_groups(grouping.of * A + rng.integers(2, size=A))
    assert fine.refines(grouping)
    finer = betas(mdp, fine)
    assert finer.max_P <= found.max_P + 1e-12
    assert finer.max_r <= found.max_r + 1e-15


def test_rewards_outside_the_unit_interval_have_no_decomposition():
    mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 2.0]], 0.5)
    with pytest.raises(NotApplicableError, match=r"rewards lie in \[0, 2\]"):
        decompose(mdp, Grouping.one(2))
    layers = TabularMDP.from_dense(np.full((2, 2, 2, 2), 0.5), np.zeros((2, 2, 2)), 1.0, horizon=2)
    with pytest.raises(NotApplicableError, match="step"):
        betas(layers, Grouping.one(2))
