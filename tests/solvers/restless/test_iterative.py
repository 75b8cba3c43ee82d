"""Iterative rules, against greedy choices made by brute force."""

import itertools
from typing import Any

import numpy as np
import pytest

from mdplib.errors import SolverError
from mdplib.restless import (
    Budget,
    Capacity,
    CoupledRestlessBandit,
    Interventions,
    PulpActions,
    Schedule,
    Walks,
    domains,
    simulate,
)
from mdplib.restless.arms import Arms, ladder
from solvers.restless import (
    ActionValue,
    Network,
    fluid_bound,
    iterative_myopic_policy,
    iterative_policy,
    joint_value_iteration,
    myopic_policy,
)
from solvers.restless.iterative import _Counted
from solvers.restless.joint import initial_value, joint_states

KINDS = ["capacity", "schedule", "walks", "interventions", "budget"]


def draw(kind: str, seed: int = 1) -> CoupledRestlessBandit:
    sizes = (20, 10, 5) if kind == "interventions" else (20, 5)
    return getattr(domains, kind)(*sizes, np.random.default_rng(seed))


def paying(gain, actions: Any) -> CoupledRestlessBandit:
    """Arms of one state that pay `gain` (J, L) at once."""
    r = np.asarray(gain, dtype=np.float64)[:, :, None]
    P = np.ones((*r.shape, 1))
    return CoupledRestlessBandit(Arms(P, r), actions, np.ones((len(r), 1)), horizon=2)


def pays(*gains: float) -> np.ndarray:
    return np.array([[0.0, g] for g in gains])


def act(bandit: CoupledRestlessBandit) -> list[int]:
    return iterative_myopic_policy(bandit)(0, np.zeros((1, bandit.n_arms), dtype=int))[0].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_actions_are_feasible_and_never_better_than_the_best(kind):
    bandit = draw(kind)
    rewards = [
        simulate(bandit, policy, 3, np.random.default_rng(0), check=True).sum(axis=1)
        for policy in (iterative_myopic_policy(bandit), iterative_policy(bandit, score(bandit)))
    ]
    assert rewards[0] == pytest.approx(rewards[1])
    s = np.random.default_rng(1).integers(0, 4, (20, 20))
    best, rule = myopic_policy(bandit), iterative_myopic_policy(bandit)
    assert (bandit.reward(s, rule(0, s)) <= bandit.reward(s, best(0, s)) + 1e-9).all()


def score(bandit: CoupledRestlessBandit):
    return lambda h, s, a: bandit.reward(s, a)


@pytest.mark.parametrize("seed", range(3))
def test_a_budget_and_schedules_take_arms_in_the_order_of_their_gain(seed):
    rng = np.random.default_rng(seed)
    free = rng.random((8, 3)) < 0.6
    for actions in (Budget(8, 3), Schedule(free, np.ones((3, 3), dtype=bool), 4)):
        gains = rng.normal(size=8)
        a = np.zeros(8, dtype=np.int8)
        for j in np.argsort(-gains):
            a[j] = gains[j] > 0
            if not actions.contains(a):
                a[j] = 0
        assert act(paying(pays(*gains), actions)) == a.tolist()


def test_many_slots_are_left_to_programs():
    rng = np.random.default_rng(0)
    free = rng.random((5, 13)) < 0.3
    free[0, :2] = True
    actions = Schedule(free, np.ones((1, 13), dtype=bool), 2)
    a = act(paying(pays(3.0, 2.0, 1.0, -1.0, 0.5), actions))
    assert actions.contains(a)
    assert a[0] == 1


def test_workers_buy_the_best_gain_for_its_cost_smallest_first():
    actions = Capacity(cost=[2, 3, 3, 5], capacity=[5, 3])
    bandit = paying(pays(1.0, 2.0, 1.9, 6.0), actions)
    # the worker of 3 takes arm 1 (2/3 each), the worker of 5 arm 3 (6/5): an exact fit twice
    assert act(bandit) == [0, 1, 0, 1]
    assert act(paying(pays(1.0, 2.0, 1.9, 2.0), actions)) == [1, 1, 1, 0]
    assert act(paying(pays(-1.0, -2.0, 0.0, -2.0), actions)) == [0, 0, 0, 0]


def test_walks_insert_the_best_node_that_fits():
    path = [(i, i + 1) for i in range(6)]
    actions = Walks(7, path, source=3, budget=3, length=6)
    assert act(paying(pays(9, 1, 0, 0, 0, 1, 2), actions)) == [1, 1, 0, 0, 0, 0, 0]
    ring = Walks(6, [(i, (i + 1) % 6) for i in range(6)], source=0, budget=3)
    assert act(paying(pays(0, 1, 0, 2, 0, 1.5), ring)) == [0, 1, 0, 1, 0, 1], "all around the ring"


def test_walks_follow_a_greedy_rule_written_again():
    """Insertion into the tour: lengths from a breadth-first search, one arm at a time."""
    rng = np.random.default_rng(5)
    edges = [(0, 1), (1, 2), (2, 3), (3, 0), (2, 4), (4, 5), (5, 6), (6, 0), (1, 7)]
    d = np.full((8, 8), 99)
    for u, v in edges:
        d[u, v] = d[v, u] = 1
    np.fill_diagonal(d, 0)
    for k in range(8):
        d = np.minimum(d, d[:, [k]] + d[[k]])
    actions = Walks(8, edges, source=0, budget=3)
    for _ in range(20):
        gains = rng.normal(size=8)
        tour, chosen = [0, 0], set()
        for j in np.argsort(-gains):
            plans = [[*tour[:i], int(j), *tour[i:]] for i in range(1, len(tour))]
            lengths = [sum(d[u, v] for u, v in itertools.pairwise(p)) for p in plans]
            if gains[j] > 0 and min(lengths) <= 6 and len(chosen) < 3:
                tour = plans[int(np.argmin(lengths))]
                chosen.add(int(j))
        found = act(paying(pays(*gains), actions))
        assert set(np.flatnonzero(found).tolist()) == chosen
        assert actions.contains(found)


def test_interventions_are_taken_one_at_a_time_and_fall_into_the_trap():
    reaches = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=bool)
    gain = np.array([[0.0, 0.1, 5.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    bandit = paying(gain, Interventions(reaches, 2))
    assert act(bandit) == [0, 0, 1, 1], "the pair worth 5 is not seen"
    s = np.zeros((1, 3), dtype=int)
    assert myopic_policy(bandit)(0, s).tolist() == [[1, 1, 0, 0]]
    worse = paying(-gain, Interventions(reaches, 2))
    assert sum(act(worse)) == 2, "the set asks for two, at a loss if need be"
    assert act(worse)[0] == 1


def test_any_set_through_its_program():
    import pulp

    problem = pulp.LpProblem("pairs", pulp.LpMaximize)
    pull = [problem.add_variable(f"p{j}", cat="Binary") for j in range(4)]
    problem += pull[0] == pull[1]
    problem += pulp.lpSum(pull) == 2
    actions = PulpActions.from_pulp(problem, [f"p{j}" for j in range(4)])
    assert act(paying(pays(1.0, -3.0, 0.5, 0.4), actions)) == [1, 1, 0, 0]
    assert act(paying(pays(0.1, -3.0, 0.5, -0.4), actions)) == [0, 0, 1, 1]


def test_a_set_that_promises_and_does_not_keep_is_an_error():
    class Broken(Interventions):
        def contains(self, a) -> bool:
            return False

        def describe(self, builder):
            columns = super().describe(builder)
            builder.row(columns.action, upper=0.0)
            return columns

    from solvers.restless import iterative

    bandit = paying(np.zeros((2, 2)), Broken(np.eye(2, dtype=bool), 1))
    policy = iterative.iterative_myopic_policy(bandit)
    room = iterative._Program(bandit.actions)
    policy._room = lambda: room
    with pytest.raises(SolverError, match="relax its constraints"):
        policy(0, np.zeros((1, 2), dtype=int))


def test_a_mutant_without_rooms_is_caught():
    bandit = draw("capacity")
    policy = iterative_myopic_policy(bandit)
    policy._room = lambda: _Counted(Budget(20, 15))
    with pytest.raises(ValueError, match="which is not in Capacity"):
        simulate(bandit, policy, 2, np.random.default_rng(0), check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_can_be_followed_step_by_step(kind):
    bandit, rng = draw(kind), np.random.default_rng(0)
    S, L, J = 4, bandit.actions.n_levels, 20
    base = np.zeros((bandit.horizon, J, S, L))
    network = Network.random(J * (L - 1) * S + J * S + 1, (8,), rng)
    q = ActionValue(bandit, network, base)
    rewards = simulate(bandit, iterative_policy(bandit, q), 2, np.random.default_rng(1), check=True)
    assert rewards.shape == (2, 20)


def test_with_values_of_the_arms_the_rule_looks_ahead():
    """The separable values of the fluid bound, followed greedily, beat the myopic rule."""
    up = np.array([[0.10, 0.80], [0.05, 0.75], [0.15, 0.90]])
    rho = np.array([[0.2, 0.15, 0.1, 5.0], [0.1, 0.15, 0.2, 2.0], [0.1, 0.15, 0.2, 3.0]])
    first = np.tile([0.8, 0.2, 0.0, 0.0], (3, 1))
    bandit = CoupledRestlessBandit(ladder(up, rho), Capacity([3, 2, 2], [3, 2]), first)
    bound, arms = fluid_bound(bandit), np.arange(3)

    def ahead(h, s, a):
        return bound.scores(bandit, h)[arms, s, bandit.actions.levels(a)].sum(axis=1)

    optimum = joint_value_iteration(bandit).initial
    greedy = initial_value(bandit, iterative_myopic_policy(bandit))
    looking = initial_value(bandit, iterative_policy(bandit, ahead))
    assert greedy < looking <= optimum + 1e-9
    states = joint_states(bandit)
    taken = iterative_policy(bandit, ahead)(0, states)
    assert all(bandit.actions.contains(a) for a in np.unique(taken, axis=0))
