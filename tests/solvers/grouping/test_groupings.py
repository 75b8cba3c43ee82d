"""Rules that choose groups, against enumeration."""

import itertools
import math

import numpy as np
import pytest

import solvers.grouping.covering as covering
from mdplib import TabularMDP, models
from mdplib.errors import InvalidModelError
from mdplib.grouping import Grouping, LowLevelPolicy, betas, kernel_distance, lift, value_distance
from mdplib.grouping.distances import dense_rows
from mdplib.operators import evaluate_policy
from mdplib.policy import DeterministicPolicy
from solvers import grouping as rules
from solvers.grouping.covering import one_step_losses
from tests.mutation import mutant

BELL = {1: 1, 2: 2, 3: 5, 4: 15, 5: 52, 6: 203, 7: 877, 8: 4140}


def random_model(seed, S=3, A=7, gamma=0.9):
    rng = np.random.default_rng(seed)
    return TabularMDP.from_dense(
        rng.dirichlet(np.full(S, 0.2), size=(S, A)), rng.random((S, A)), gamma
    )


def brute_value(mdp):
    """Optimal value by going through every deterministic policy on the model itself."""
    sizes = np.diff(mdp.state_ptr)
    best = np.full(mdp.n_states, -np.inf)
    for choice in itertools.product(*[range(n) for n in sizes]):
        pair = (mdp.state_ptr[:-1] + np.array(choice)).astype(np.int32)
        V = evaluate_policy(mdp, DeterministicPolicy(pair, mdp.action_id[pair]))
        best = np.maximum(best, V)
    return best


def points(seed, n, dimensions=2):
    x = np.random.default_rng(seed).random((n, dimensions))
    return np.sqrt(((x[:, None] - x) ** 2).sum(axis=-1))


# ------------------------------------------------------------------------ planning


def test_plans_are_optimal_policies():
    rng = np.random.default_rng(0)
    P, r = rng.dirichlet(np.full(3, 0.3), size=(40, 3, 4)), rng.random((40, 3, 4))
    found = rules.plan(P, r, 0.9)
    for i in range(40):
        mdp = TabularMDP.from_dense(P[i], r[i], 0.9)
        np.testing.assert_allclose(found.value[i], brute_value(mdp), atol=1e-9)
    again = rules.evaluate(P, r, found.policy, 0.9)
    np.testing.assert_allclose(again, found.value, atol=1e-12)
    one = rules.plan(P[0], r[0], 0.9)
    assert one.value.shape == (3,)


def test_ties_go_to_the_first_choice_or_to_chance():
    P, r = np.full((500, 1, 3, 1), 1.0), np.broadcast_to([1.0, 1.0, 0.0], (500, 1, 3))
    assert (rules.plan(P, r, 0.5).policy == 0).all()
    drawn = rules.plan(P, r, 0.5, rng=np.random.default_rng(0)).policy.ravel()
    share = (drawn == 1).mean()
    assert set(drawn) == {0, 1}
    assert abs(share - 0.5) < 4.5 * math.sqrt(0.25 / 500)


def test_plans_refuse_what_is_no_model():
    with pytest.raises(InvalidModelError, match="expected"):
        rules.plan(np.ones((2, 3, 4)), np.ones((2, 3)), 0.9)
    with pytest.raises(InvalidModelError, match="gamma"):
        rules.plan(np.ones((1, 1, 1)), np.ones((1, 1)), 1.0)


# ------------------------------------------------------------------------ enumeration (T14)


@pytest.mark.parametrize("n", BELL)
def test_all_partitions_come_once(n):
    found = [tuple(p) for p in rules.partitions(n)]
    assert len(found) == len(set(found)) == BELL[n]
    for word in found[:: max(1, len(found) // 100)]:
        Grouping(word)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_groupings_are_the_best(seed):
    """Against a loop over assignments, each evaluated on the model itself."""
    mdp = random_model(seed, S=2, A=4)
    V = brute_value(mdp)
    best = [math.inf] * 5
    for word in itertools.product(range(4), repeat=4):
        used = sorted(set(word))
        if used != list(range(len(used))):
            continue
        lifted = lift(mdp, Grouping(word))
        best[len(used)] = min(best[len(used)], float((V - brute_value(lifted)).max()))
    found = rules.best_groupings(mdp)
    assert found.partitions == 15
    np.testing.assert_allclose(found.loss, best[1:], atol=1e-9)
    assert (np.diff(found.loss) <= 1e-12).all()  # one base measure: finer is never worse
    for m, grouping in enumerate(found.groupings, start=1):
        assert grouping.n_groups == m
        lost = (V - brute_value(lift(mdp, grouping))).max()
        assert lost == pytest.approx(found.loss[m - 1], abs=1e-9)
    w = np.array([1.0, 2.0, 3.0, 4.0])
    losses = rules.grouping_losses(mdp, [[0, 0, 1, 1]], w=w)
    mu = LowLevelPolicy.from_base(mdp, Grouping([0, 0, 1, 1]), w)
    lifted = lift(mdp, Grouping([0, 0, 1, 1]), mu)
    assert losses[0] == pytest.approx(float((V - brute_value(lifted)).max()), abs=1e-9)


def test_many_actions_are_not_enumerated():
    with pytest.raises(InvalidModelError, match="11 actions have too many partitions"):
        rules.best_groupings(random_model(0, S=2, A=11))


# ------------------------------------------------------------------------ diameters


@pytest.mark.parametrize("seed", range(6))
def test_least_diameters_are_those_of_enumeration(seed):
    d = points(seed, 7)
    if seed == 0:
        d = np.round(3 * d)  # many equal distances
    words = np.array(list(rules.partitions(7)))
    for m in range(1, 8):
        least = min(
            rules.diameters(d, Grouping(word)).max() for word in words[words.max(axis=1) == m - 1]
        )
        for method in ("colouring", "mip"):
            found = rules.smallest_diameter(d, m, method=method)
            assert found.n_groups == m
            assert rules.diameters(d, found).max() == least
        linked, far = rules.complete_linkage(d, m), rules.farthest_first(d, m)
        assert linked.n_groups == far.n_groups == m
        assert rules.diameters(d, linked).max() >= least
        if seed:
            assert least <= rules.diameters(d, far).max() <= 2 * least + 1e-12


def test_thirty_actions_are_coloured():
    d = points(1, 30)
    found = rules.diameters(d, rules.smallest_diameter(d, 6)).max()
    assert found <= rules.diameters(d, rules.complete_linkage(d, 6)).max()


@pytest.mark.parametrize("seed", range(5))
def test_best_intervals_are_those_of_enumeration(seed):
    rng = np.random.default_rng(seed)
    A = 7
    cost = rng.random((A + 1, A + 1))
    for m in range(1, A + 1):
        for combine, put in (("max", max), ("sum", math.fsum)):
            least = min(
                put(cost[i, j] for i, j in itertools.pairwise((0, *cuts, A)))
                for cuts in itertools.combinations(range(1, A), m - 1)
            )
            grouping, total = rules.best_intervals(cost, m, combine=combine)
            assert grouping.n_groups == m
            assert (np.diff(grouping.of) >= 0).all()
            assert total == pytest.approx(least)
    mdp = random_model(seed)
    P, _ = dense_rows(mdp)
    overlaps, d = rules.interval_overlaps(P), kernel_distance(mdp, 1.0)
    reach = rules.interval_diameters(d)
    for i, j in itertools.combinations(range(A + 1), 2):
        of = np.array([1] * i + [0] * (j - i) + [1] * (A - j))
        assert reach[i, j] == d[i:j, i:j].max()
        found = betas(mdp, Grouping(of if i or j < A else of * 0))
        assert overlaps[i, j] == pytest.approx(found.beta_P[:, 0].max(), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rules.complete_linkage(np.ones((2, 3)), 1), "shape"),
        (lambda: rules.complete_linkage([[0, 1], [2, 0]], 1), r"distance\[0, 1\] differs"),
        (lambda: rules.complete_linkage([[0, -1], [-1, 0]], 1), "at least 0"),
        (lambda: rules.smallest_diameter([[0, 1], [1, 0]], 3), "3 groups of 2 actions"),
        (lambda: rules.farthest_first([[0, 1], [1, 0]], 0), "0 groups"),
        (lambda: rules.best_intervals(np.zeros((3, 3)), 3), "3 intervals of 2 actions"),
        (lambda: rules.best_intervals(np.zeros((3, 2)), 1), "shape"),
        (lambda: rules.value_aware([[1.0, 2.0]], 3), "3 groups of 2 actions"),
        (lambda: rules.representatives(random_model(0), 8), "8 groups of 7 actions"),
    ],
)
def test_bad_questions_are_refused(call, said):
    with pytest.raises(InvalidModelError, match=said):
        call()


# ------------------------------------------------------------------------ value-aware


def test_one_step_losses_are_the_definition():
    rng = np.random.default_rng(0)
    Q, word = rng.random((4, 5)), np.array([0, 1, 1, 0, 2])
    for w in (None, rng.random(5)):
        base = np.ones(5) if w is None else w
        for s, found in enumerate(one_step_losses(Q, word, w)[0]):
            each = [
                Q[s].max() - np.average(Q[s, word == h], weights=base[word == h]) for h in range(3)
            ]
            assert found == pytest.approx(min(each))


@pytest.mark.parametrize("seed", range(8))
def test_value_aware_groupings_lose_little(seed):
    mdp = random_model(seed)
    V = brute_value(mdp)
    P, r = dense_rows(mdp)
    Q = r + 0.9 * P @ V
    best = rules.best_groupings(mdp).loss
    for m in range(1, 8):
        grouping, lost = rules.value_aware_grouping(mdp, m)
        assert grouping.n_groups == m
        assert lost == pytest.approx((V - brute_value(lift(mdp, grouping))).max(), abs=1e-8)
        assert best[m - 1] - 1e-9 <= lost
        delta = one_step_losses(Q, rules.value_aware(Q, m).of).max()
        other = rules.grouping_losses(mdp, rules.value_aware(Q, m).of)[0]
        assert delta - 1e-9 <= other <= delta / 0.1 + 1e-9  # chain A1
        groups, actions, alone = rules.representatives(mdp, m)
        mu = LowLevelPolicy.representative(mdp, groups, actions)
        assert alone == pytest.approx((V - brute_value(lift(mdp, groups, mu))).max(), abs=1e-8)
        if m >= mdp.n_states:
            assert alone <= 1e-9


def test_value_aware_groupings_beat_similarity_on_random_models():
    """The factor of the random family, here on a few models: linkage / value-aware."""
    linked, aware, alone, best = [], [], [], []
    for seed in range(12):
        mdp = random_model(seed)
        d = kernel_distance(mdp, 9.0)
        sizes = range(2, 7)
        linked += [rules.grouping_losses(mdp, rules.complete_linkage(d, m).of)[0] for m in sizes]
        aware += [rules.value_aware_grouping(mdp, m)[1] for m in sizes]
        alone += [rules.representatives(mdp, m)[2] for m in sizes]
        best += rules.best_groupings(mdp).loss[1:-1].tolist()
    assert np.sum(linked) >= 4.0 * np.sum(aware)
    assert np.sum(linked) >= 6.03 * np.sum(alone)
    assert np.sum(aware) <= 1.05 * np.sum(best)


def test_a_descent_that_does_not_move_is_caught():
    idle = mutant(
        covering,
        ("        if each[at] >= value - _LESS:\n            return word", "        return word"),
    )
    worse = [
        idle.value_aware_grouping(random_model(seed), 2)[1]
        - rules.value_aware_grouping(random_model(seed), 2)[1]
        for seed in range(8)
    ]
    assert max(worse) > 0.1


def test_distances_by_value_group_what_is_worth_the_same():
    Q = np.array([[1.0, 0.0, 0.99, 0.02], [0.5, 2.0, 0.51, 2.0]])
    assert rules.complete_linkage(value_distance(Q), 2) == Grouping([0, 1, 0, 1])
    mdp = models.garnet(3, 4, 2, np.random.default_rng(0), 0.9)
    ragged = mdp.replace(
        state_ptr=[0, 3, 7, 11], indptr=mdp.indptr[:12], indices=mdp.indices[:22],
        data=mdp.data[:22], reward=mdp.reward[:11], action_id=[0, 1, 2, *range(4), *range(4)],
    )  # fmt: skip
    with pytest.raises(InvalidModelError, match="admissible in every state"):
        kernel_distance(ragged, 1.0)
