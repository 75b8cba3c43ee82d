"""Action sets: enumeration, independent feasibility, programs and samples say the same."""

import itertools
from typing import Any

import numpy as np
import pytest

from mdplib.errors import InvalidModelError, SolverError
from mdplib.restless import (
    Budget,
    Capacity,
    Interventions,
    PulpActions,
    Schedule,
    Walks,
    domains,
    tube,
)
from mdplib.restless.action_set import TooManyActionsError
from mdplib.restless.choice import best_action, separable_program, worth

SEEDS = range(12)
ONES = np.ones((2, 2), dtype=bool)


def small(kind: str, seed: int) -> Any:
    """Draw an action set on at most eight arms."""
    rng = np.random.default_rng(seed)
    J = int(rng.integers(3, 9))
    if kind == "budget":
        return Budget(J, int(rng.integers(0, J + 2)))
    if kind == "capacity":
        cost = rng.integers(2, 7, J)
        return Capacity(cost, np.append(rng.integers(1, 8, int(rng.integers(1, 4))), cost.min()))
    if kind == "schedule":
        while True:
            free = rng.random((J, 4)) < 0.5
            workers = rng.random((int(rng.integers(1, 4)), 4)) < 0.6
            if (workers.sum(axis=0) @ free.T >= 2).any():
                return Schedule(free, workers, int(rng.integers(1, J + 1)))
    if kind == "walks":
        tree = [(int(rng.integers(0, v)), v) for v in range(1, J)]
        more = [(int(u), int(v)) for u, v in rng.integers(0, J, (int(rng.integers(0, 4)), 2))]
        length = None if rng.random() < 0.5 else int(rng.integers(0, 8))
        return Walks(J, tree + more, int(rng.integers(J)), int(rng.integers(1, 4)), length)
    N = int(rng.integers(2, 7))
    return Interventions(rng.random((J, N)) < 0.4, int(rng.integers(0, N + 1)))


KINDS = ("budget", "capacity", "schedule", "walks", "interventions")


def everything(n: int) -> np.ndarray:
    return np.array(list(itertools.product((0, 1), repeat=n)), dtype=np.int8)


def packs(costs: list[int], rooms: list[int]) -> bool:
    """Try every assignment of arms to workers."""
    return any(
        all(sum(c for c, w in zip(costs, to, strict=True) if w == i) <= room
            for i, room in enumerate(rooms))
        for to in itertools.product(range(len(rooms)), repeat=len(costs))
    )  # fmt: skip


def walkable(walks: Walks, members: set[int]) -> bool:
    """Follow every closed walk, step by step."""
    ways: dict[int, set[int]] = {v: {v} for v in range(walks.n_arms)}
    for u, v in walks.edges:
        ways[u].add(v)
        ways[v].add(u)
    bit = {v: 1 << i for i, v in enumerate(sorted(members))}
    places = {(walks.source, bit.get(walks.source, 0))}
    for _ in range(walks.length):
        places = {(v, seen | bit.get(v, 0)) for u, seen in places for v in ways[u]}
    return (walks.source, (1 << len(members)) - 1) in places


def schedulable(plan: Schedule, members: list[int]) -> bool:
    """Flow from arms to slots, by linear programming over all assignments of units."""
    from scipy.optimize import linprog

    units = np.argwhere(plan.worker_free)[:, 1]
    if not members:
        return True
    pairs = [(j, u) for j in members for u in range(units.size) if plan.arm_free[j, units[u]]]
    if not pairs:
        return False
    by_arm = np.array([[float(j == i) for j, _ in pairs] for i in members])
    by_unit = np.array([[float(u == k) for _, u in pairs] for k in range(units.size)])
    found: Any = linprog(
        np.zeros(len(pairs)), A_ub=by_unit, b_ub=np.ones(units.size), A_eq=by_arm,
        b_eq=np.full(len(members), float(plan.need)), bounds=(0, 1),
    )  # fmt: skip
    return found.status == 0


def truth(actions: Any, a: np.ndarray) -> bool:
    """Decide membership from the definition alone."""
    members = np.flatnonzero(a).tolist()
    if isinstance(actions, Interventions):
        return len(members) == actions.budget
    if isinstance(actions, Capacity):
        return packs([int(actions.cost[j]) for j in members], [int(k) for k in actions.capacity])
    if len(members) > actions.budget:
        return False
    if isinstance(actions, Schedule):
        return schedulable(actions, members)
    return walkable(actions, set(members)) if isinstance(actions, Walks) else True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS[:6])
def test_contains_and_enumerate_follow_the_definition(kind, seed):
    actions = small(kind, seed)
    if actions.n_actions > 7 and kind == "capacity":
        actions = Capacity(actions.cost[:6], [*actions.capacity[:2], min(actions.cost[:6])])
    rows = everything(actions.n_actions)
    wanted = np.array([truth(actions, a) for a in rows])
    assert [actions.contains(a) for a in rows] == wanted.tolist()
    listed = actions.enumerate()
    assert sorted(map(tuple, listed.tolist())) == sorted(map(tuple, rows[wanted].tolist()))
    assert listed.sum(axis=1).max(initial=0) <= actions.most


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_program_finds_the_best_action(kind, seed):
    actions = small(kind, seed)
    rng = np.random.default_rng(100 + seed)
    rows = actions.enumerate()
    for _ in range(4):
        weights = rng.normal(size=(actions.n_arms, actions.n_levels)).round(2)
        best = float(worth(actions, weights, rows).max())
        choice = best_action(actions, weights, gap=0.0)
        assert actions.contains(choice.action)
        assert choice.value == pytest.approx(best, abs=1e-6)
        assert choice.bound >= best - 1e-6
        listed = best_action(actions, weights, "enumerate", listed=rows)
        assert listed.value == best
        assert listed.gap == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_actions(kind):
    rng = np.random.default_rng(3)
    for seed in SEEDS:
        actions = small(kind, seed)
        drawn = np.array([actions.sample(rng) for _ in range(10)])
        assert all(actions.contains(a) for a in drawn)


def test_free_circulating_loops_do_not_visit_a_station():
    """A mutant of the walk without one arc per step pulls stations that no walk reaches."""
    actions = Walks(5, [(0, 1), (1, 2), (2, 3), (3, 4)], source=0, budget=2)
    weights = np.zeros((5, 2))
    weights[:, 1] = 1, 1, 2, 5, 9
    assert best_action(actions, weights).value == 3.0
    assert not actions.contains([0, 0, 0, 1, 1])


def test_the_public_graphs():
    """533 sets of visited stations and 3,931 actions on the smallest graph with five pulls."""
    actions = Walks(20, tube.edges(20), tube.SOURCES[20], 5)
    assert len(actions.enumerate()) == 3931
    for n in tube.SOURCES:
        assert (Walks(n, tube.edges(n), tube.SOURCES[n], 5).distance >= 0).all()


def test_too_many_actions_are_refused_before_memory_is_gone():
    with pytest.raises(TooManyActionsError, match="more than 200000 actions"):
        Budget(40, 20).enumerate()
    with pytest.raises(TooManyActionsError, match="more than 10 actions"):
        Capacity([1] * 8, [8]).enumerate(10)
    for kind in KINDS[2:]:
        actions = small(kind, 1)
        n = len(actions.enumerate())
        if n > 1:
            with pytest.raises(TooManyActionsError):
                actions.enumerate(n - 1)
        assert len(actions.enumerate(n)) == n


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Capacity([3, 0], [4]), "arm 1 costs 0"),
        (lambda: Capacity([3, 4], [2]), "no arm can ever be pulled"),
        (lambda: Capacity([3, np.inf], [2]), "finite"),
        (lambda: Walks(4, [(0, 1), (2, 3)], 0, 2), "not connected: node 2"),
        (lambda: Walks(2, [(0, 5)], 0, 2), "node 5 is not one of 0..1"),
        (lambda: Schedule(ONES, ~ONES, 1), "no arm can ever be pulled"),
        (lambda: Schedule(ONES, ONES[:, :1], 1), "2 slots and workers 1"),
        (lambda: Interventions(ONES, 4), "budget 4 of 2"),
        (lambda: Budget(0, 1), "n_arms is 0; give at least 1"),
        (lambda: Budget(3, 1).contains([0, 2, 0]), "component 1 of the action is 2"),
        (lambda: Budget(3, 1).contains([0, 1]), "shape"),
        (lambda: best_action(Budget(2, 1), [[0, 1]]), "weights have shape"),
        (lambda: best_action(Budget(1, 1), [[0, np.nan]]), "is nan"),
    ],
)
def test_bad_sets_are_named(make, message):
    with pytest.raises(InvalidModelError, match=message):
        make()


def test_a_time_limit_returns_the_incumbent_with_its_bound():
    rng = np.random.default_rng(0)
    bandit = domains.capacity(80, 20, rng)
    weights = np.stack([np.zeros(80), rng.random(80)], axis=1)
    choice = best_action(bandit.actions, weights, gap=0.0, time_limit=0.2)
    assert bandit.actions.contains(choice.action)
    assert choice.bound >= choice.value - 1e-9
    assert choice.value > 0


def test_a_time_limit_before_any_point_is_an_error(monkeypatch):
    from mdplib.optim import BACKENDS
    from mdplib.optim.mip import MipStatus

    nothing = lambda program, gap, limit, start: (MipStatus.TIME_LIMIT, None, -np.inf)  # noqa: E731
    monkeypatch.setitem(BACKENDS, "highs", nothing)
    with pytest.raises(SolverError, match="time limit"):
        best_action(Budget(2, 1), [[0, 1], [0, 1]], "mip")


def test_a_pulp_model_is_an_action_set():
    import pulp

    problem = pulp.LpProblem("conflicts", pulp.LpMaximize)
    pull = [problem.add_variable(f"p{j}", cat="Binary") for j in range(5)]
    slack = problem.add_variable("slack", 0, 2)
    for j in range(4):
        problem += pull[j] + pull[j + 1] <= 1
    problem += pulp.lpSum(pull) + slack == 3
    actions = PulpActions.from_pulp(problem, [f"p{j}" for j in range(5)])
    rows = everything(5)
    wanted = [bool((a[:-1] + a[1:] <= 1).all() and 1 <= a.sum() <= 3) for a in rows]
    assert [actions.contains(a) for a in rows] == wanted
    assert sorted(map(tuple, actions.enumerate().tolist())) == sorted(
        map(tuple, rows[wanted].tolist())
    )
    weights = np.array([[0.0, w] for w in (1.0, 3.0, 1.0, 3.0, 1.5)])
    assert best_action(actions, weights).action.tolist() == [0, 1, 0, 1, 0]
    rng = np.random.default_rng(1)
    assert all(actions.contains(actions.sample(rng)) for _ in range(10))
    with pytest.raises(InvalidModelError, match="no variable 'q'"):
        PulpActions.from_pulp(problem, ["q"])
    with pytest.raises(InvalidModelError, match="make it binary"):
        PulpActions.from_pulp(problem, ["slack"])
    problem += pulp.lpSum(pull) >= 4
    with pytest.raises(InvalidModelError, match="no action satisfies"):
        PulpActions.from_pulp(problem, ["p0"])


def test_the_program_of_separable_weights_prices_what_no_action_changes():
    actions = Budget(2, 1)
    program, columns, constant = separable_program(actions, [[2.0, 5.0], [1.0, 1.5]])
    assert constant == 3.0
    x = np.zeros(program.shape[1])
    assert -program.objective(x) == 3.0
    x[columns.action[0]] = 1.0
    assert -program.objective(x) == 6.0
