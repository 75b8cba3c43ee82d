"""The sets' own rules for the best action, against going through all actions."""

from __future__ import annotations

import numpy as np
import pytest

from mdplib._kernels import tours as kernels
from mdplib.optim.mip import MipStatus
from mdplib.restless import (
    Budget,
    Capacity,
    Interventions,
    Schedule,
    Walks,
    domains,
    matching,
    packing,
    tours,
    walking,
)
from mdplib.restless.action_set import TooManyActionsError
from mdplib.restless.beams import good_walk
from mdplib.restless.choice import best_action, maximised, worth


def graph(rng: np.random.Generator) -> Walks:
    """A random connected graph, and walks of an even or odd number of steps."""
    n = int(rng.integers(2, 9))
    tree = [(int(rng.integers(v)), v) for v in range(1, n)]
    ends = rng.integers(0, n, (int(rng.integers(0, 4)), 2)).tolist()
    more = [(u, v) for u, v in ends]
    source, budget = int(rng.integers(n)), int(rng.integers(1, n + 1))
    return Walks(n, [*tree, *more], source, budget, int(rng.integers(0, 9)))


def stations(n: int, budget: int) -> Walks:
    """Walks on the underground map."""
    actions = domains.walks(n, budget, np.random.default_rng(0)).actions
    assert isinstance(actions, Walks)
    return actions


def gains(rng: np.random.Generator, n: int) -> np.ndarray:
    kind = int(rng.integers(3))
    drawn = [rng.normal(size=n), rng.random(n), rng.integers(-1, 4, n).astype(float)]
    return drawn[kind]


@pytest.mark.parametrize("seed", range(60))
def test_best_walks_equal_all_actions(seed):
    rng = np.random.default_rng(seed)
    actions = graph(rng)
    every = actions.enumerate()
    for _ in range(5):
        gain = gains(rng, actions.n_arms)
        best = actions.maximise(gain)
        assert best is not None
        assert actions.contains(best)
        assert gain @ best == pytest.approx((every @ gain).max(), abs=1e-12)


def test_best_walks_on_twenty_stations_equal_all_actions():
    actions = domains.walks(20, 5, np.random.default_rng(0)).actions
    every, rng = actions.enumerate(), np.random.default_rng(1)
    for _ in range(50):
        weights = rng.normal(size=(20, 2))
        choice = best_action(actions, weights)
        assert choice.value == pytest.approx(worth(actions, weights, every).max())
        assert choice.bound == choice.value
        assert actions.contains(choice.action)


def test_best_walks_on_forty_stations_are_walks_and_beat_what_is_drawn():
    actions = domains.walks(40, 10, np.random.default_rng(0)).actions
    rng = np.random.default_rng(1)
    drawn = np.array([actions.sample(rng) for _ in range(300)])
    for _ in range(3):
        weights = np.abs(rng.normal(size=(40, 2)))
        best = maximised(actions, weights)
        assert best is not None
        assert actions.contains(best)
        assert worth(actions, weights, best) >= worth(actions, weights, drawn).max()


@pytest.mark.parametrize("seed", range(60))
def test_good_walks_are_walks_and_next_to_the_best(seed):
    rng = np.random.default_rng(seed)
    actions = graph(rng)
    every = actions.enumerate()
    gain = gains(rng, actions.n_arms)
    found = good_walk(actions._neighbours, actions.source, actions.length, gain, actions.budget)
    a = np.zeros(actions.n_arms, dtype=np.int8)
    a[found] = 1
    assert actions.contains(a)
    assert 0.6 * (every @ gain).max() <= gain @ a <= (every @ gain).max() + 1e-12


def test_good_walks_on_forty_stations_lose_little():
    actions = stations(40, 10)
    rng, shares = np.random.default_rng(1), []
    for _ in range(20):
        gain = rng.normal(size=40)
        best = actions.maximise(gain)
        assert best is not None
        good = good_walk(actions._neighbours, actions.source, actions.length, gain, 10)
        shares.append(gain[good].sum() / (gain @ best))
    assert max(shares) <= 1.0 + 1e-12
    assert np.mean(shares) > 0.98


def test_walks_among_a_hundred_stations_come_with_a_bound():
    """Programs need more than a minute for a gap of 5 percent."""
    actions = stations(100, 20)
    assert actions.maximise(np.ones(100)) is None
    rng = np.random.default_rng(1)
    drawn = np.array([actions.sample(rng) for _ in range(100)])
    weights = np.abs(rng.normal(size=(100, 2)))
    choice = best_action(actions, weights, time_limit=0.0)
    assert choice.status is MipStatus.TIME_LIMIT
    assert actions.contains(choice.action)
    assert worth(actions, weights, drawn).max() < choice.value < choice.bound < 1.25 * choice.value
    with pytest.raises(TooManyActionsError):
        actions.enumerate()
    star = Walks(70, [(0, v) for v in range(1, 70)], 0, 3)
    leaves = best_action(star, np.arange(140.0).reshape(70, 2) ** 2)
    assert leaves.status is MipStatus.OPTIMAL
    assert np.flatnonzero(leaves.action).tolist() == [67, 68, 69]


def test_rules_without_proof_are_checked_by_programs(monkeypatch):
    """A rule that finds little is improved upon within the gap, and so is its bound."""
    monkeypatch.setattr(tours, "LIMIT", 3)
    monkeypatch.setattr(walking, "good_walk", lambda *_: np.array([], dtype=np.int64))
    actions = domains.walks(20, 5, np.random.default_rng(0)).actions
    rng = np.random.default_rng(1)
    for _ in range(3):
        weights = np.abs(rng.normal(size=(20, 2)))
        best = worth(actions, weights, actions.enumerate()).max()
        program = best_action(actions, weights)
        assert program.value == pytest.approx(best)
        assert program.bound == pytest.approx(best, rel=1e-5)
        tried = best_action(actions, weights, time_limit=0.0)
        assert tried.value == weights[:, 0].sum() < best <= tried.bound + 1e-12


@pytest.mark.parametrize("seed", range(40))
def test_both_ways_to_look_for_a_walk_agree(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    actions = graph(rng)
    asked = (rng.random((30, actions.n_arms)) < 0.4).astype(np.int8)
    by_sets = [actions.contains(a) for a in asked]
    monkeypatch.setattr(walking, "COMPARED", 0)
    assert [actions.contains(a) for a in asked] == by_sets


@pytest.mark.parametrize("seed", range(40))
def test_best_packings_equal_all_actions(seed):
    rng = np.random.default_rng(seed)
    J = int(rng.integers(2, 9))
    costs, rooms = rng.integers(2, 5, J), rng.integers(2, 9, int(rng.integers(1, 4)))
    if costs.min() > rooms.max():
        rooms[0] = costs.min()
    actions = Capacity(costs, rooms)
    every = actions.enumerate()
    for _ in range(5):
        gain = gains(rng, J)
        best = actions.maximise(gain)
        assert best is not None
        assert actions.contains(best)
        assert gain @ best == pytest.approx((every @ gain).max(), abs=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_best_interventions_equal_all_actions(seed):
    """Sparse graphs have many blocks, dense ones have one; some interventions reach nobody."""
    rng = np.random.default_rng(seed)
    J, N = (int(x) for x in rng.integers([1, 1], [8, 9]))
    actions = Interventions(rng.random((J, N)) < rng.random() / 2, int(rng.integers(0, N + 1)))
    every = actions.enumerate()
    for _ in range(5):
        weights = rng.normal(size=(J, actions.n_levels + int(rng.integers(2))))
        best = maximised(actions, weights)
        assert best is not None
        assert actions.contains(best)
        value = worth(actions, weights, best)
        assert value == pytest.approx(worth(actions, weights, every).max(), abs=1e-12)


def test_interventions_that_all_share_arms_are_left_to_programs():
    rng = np.random.default_rng(0)
    ring = np.eye(14, dtype=bool) | np.eye(14, k=1, dtype=bool)
    actions, weights = Interventions(ring, 4), rng.normal(size=(14, 3))
    assert maximised(actions, weights) is None
    value = worth(actions, weights, actions.enumerate()).max()
    assert best_action(actions, weights).value == pytest.approx(value)


@pytest.mark.parametrize("seed", range(40))
def test_best_schedules_equal_all_actions(seed):
    rng = np.random.default_rng(seed)
    J, W, T = (int(x) for x in rng.integers([2, 1, 1], [9, 4, 5]))
    arms, workers = rng.random((J, T)) < 0.6, rng.random((W, T)) < 0.7
    arms[0], workers[0] = True, True
    need = int(rng.integers(1, min(T, 2) + 1))
    actions = Schedule(arms, workers, int(rng.integers(1, J + 1)), need)
    every = actions.enumerate()
    for _ in range(5):
        gain = gains(rng, J)
        best = actions.maximise(gain)
        assert best is not None
        assert actions.contains(best)
        assert gain @ best == pytest.approx((every @ gain).max(), abs=1e-12)


def test_schedules_are_drawn_alike_by_hall_and_by_augmenting_paths(monkeypatch):
    actions = domains.schedule(12, 4, np.random.default_rng(0)).actions
    quick = [actions.sample(np.random.default_rng(seed)) for seed in range(30)]
    monkeypatch.setattr(matching, "SLOTS", 0)
    plain = [actions.sample(np.random.default_rng(seed)) for seed in range(30)]
    np.testing.assert_array_equal(quick, plain)
    assert all(actions.contains(a) for a in plain)


@pytest.mark.parametrize("domain", ["capacity", "schedule"])
def test_forty_arms_equal_programs(domain):
    rng = np.random.default_rng(1)
    actions = getattr(domains, domain)(40, 10, rng).actions
    for _ in range(3):
        weights = rng.normal(size=(40, 2))
        exact, program = best_action(actions, weights), best_action(actions, weights, "mip")
        assert exact.value == pytest.approx(program.value, rel=1e-6)
        assert actions.contains(exact.action)


@pytest.mark.parametrize("domain", ["capacity", "schedule", "walks"])
def test_sets_that_are_too_large_say_so_before_they_are_listed(domain):
    large = getattr(domains, domain)(40, 10, np.random.default_rng(0)).actions
    with pytest.raises(TooManyActionsError, match="more than 200000 actions"):
        large.enumerate(200_000)
    small = getattr(domains, domain)(20, 5, np.random.default_rng(0)).actions
    n = len(small.enumerate(100_000))
    assert len(small.enumerate(n)) == n, "the lower bound is no larger than the number itself"


def test_many_different_costs_are_left_to_programs(monkeypatch):
    rng = np.random.default_rng(0)
    odd = Capacity(rng.random(14) + 0.1, rng.random(4) * 3.0 + 1.0)
    assert odd.maximise(np.ones(14)) is None
    weights = rng.normal(size=(14, 2))
    value = worth(odd, weights, odd.enumerate()).max()
    assert best_action(odd, weights).value == pytest.approx(value)
    monkeypatch.setattr(packing, "LIMIT_COUNTS", 2)
    assert Capacity([2, 3, 4, 2], [5, 5]).maximise(np.ones(4)) is None
    long = Schedule(np.ones((3, 11), dtype=bool), np.ones((1, 11), dtype=bool), 2)
    assert long.maximise(np.ones(3)) is None


@pytest.mark.parametrize("seed", range(10))
def test_budgets_take_the_best(seed):
    rng = np.random.default_rng(seed)
    actions = Budget(6, int(rng.integers(0, 7)))
    gain = gains(rng, 6)
    assert gain @ actions.maximise(gain) == pytest.approx((actions.enumerate() @ gain).max())


def test_too_many_sets_are_left_to_programs(monkeypatch):
    monkeypatch.setattr(tours, "LIMIT", 3)
    actions = domains.walks(20, 5, np.random.default_rng(0)).actions
    weights = np.random.default_rng(1).normal(size=(20, 2))
    assert maximised(actions, weights) is None
    rows = actions.enumerate()
    assert best_action(actions, weights).value == pytest.approx(worth(actions, weights, rows).max())
    far = Walks(70, [(0, v) for v in range(1, 70)], 0, 3)
    assert far.maximise(np.ones(70)) is None


def test_maximal_sets():
    rng = np.random.default_rng(0)
    for _ in range(20):
        sets = np.unique(rng.integers(1, 256, 40).astype(np.uint64))
        sets = sets[np.argsort(-np.bitwise_count(sets).astype(int), kind="stable")]
        plain = [all(a == b or a & b != a for b in sets.tolist()) for a in sets.tolist()]
        assert kernels.maximal(sets, 8).tolist() == plain


def test_losing_one_set_of_a_half_would_be_noticed(monkeypatch):
    def careless(sets, n_bits):
        keep = np.ones(sets.size, dtype=bool)
        keep[1:2] = False
        return keep

    monkeypatch.setattr(kernels, "maximal", careless)
    seeds = iter(range(20))
    with pytest.raises(AssertionError):
        all(test_best_walks_equal_all_actions(seed) is None for seed in seeds)
