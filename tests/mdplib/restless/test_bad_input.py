"""What is wrong with an input is said, with the place and the remedy, and never passed over."""

import sys
from typing import Any

import numpy as np
import pytest

from mdplib.errors import InvalidModelError, MdplibError, MissingExtraError, SolverError
from mdplib.optim import BACKENDS, MipBuilder, from_pulp, solve_mip, solve_relaxation
from mdplib.optim.mip import MipStatus
from mdplib.restless import (
    Arms,
    Budget,
    Capacity,
    CoupledRestlessBandit,
    Interventions,
    PulpActions,
    Schedule,
    Walks,
    domains,
    reaching,
    simulate,
)
from mdplib.restless.action_set import TooManyActionsError
from mdplib.restless.arms import ladder
from mdplib.restless.choice import best_action
from solvers import restless as solver

nan, inf = float("nan"), float("inf")
ANY: Any = object()


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


BANDIT = domains.capacity(4, 2, rng())
OTHER = domains.capacity(5, 2, rng())
START = np.zeros((1, 4), dtype=int)


def bandit(**changed: Any) -> CoupledRestlessBandit:
    parts: dict[str, Any] = {
        "arms": BANDIT.arms, "actions": BANDIT.actions, "initial": BANDIT.initial,
    }  # fmt: skip
    return CoupledRestlessBandit(**(parts | changed))


def program(*, upper: float = 1.0, rows: tuple[dict, ...] = (), integer: bool = True):
    builder = MipBuilder()
    x = builder.columns(2, upper=upper, cost=[-1.0, -1.0], integer=integer)
    for row in rows:
        builder.row(**{"columns": x, **row})
    return builder.arrays()


def pulp_set(names: tuple[str, ...] = ("p0", "p1"), least: int = 0) -> PulpActions:
    import pulp

    problem = pulp.LpProblem()
    pull = [problem.add_variable(f"p{j}", cat="Binary") for j in range(2)]
    problem += pull[0] + pull[1] >= least
    return PulpActions.from_pulp(problem, names)


ones: Any = np.ones
full: Any = np.full
SETS = [
    (lambda: Budget(3, -1), "budget is -1; give at least 0"),
    (lambda: Budget(0, 1), "n_arms is 0; give at least 1"),
    (lambda: Budget(3, ANY), "budget is <object"),
    (lambda: Budget(3, 1.5), "budget is 1.5; give a whole number"),  # pyright: ignore
    (lambda: Capacity([1, -1], [2]), "arm 1 costs -1; give positive costs"),
    (lambda: Capacity([1, 0], [2]), "arm 1 costs 0"),
    (lambda: Capacity([1, nan], [2]), r"cost\[1\] is nan \(1 such entries\); give finite"),
    (lambda: Capacity([1], [inf]), r"capacity\[0\] is inf"),
    (lambda: Capacity([1, 2], [2, -3]), "worker 1 has capacity -3"),
    (lambda: Capacity([3, 4], [2]), "cheapest arm costs 3: no arm can ever be pulled; raise"),
    (lambda: Capacity([3, 4], []), "capacity is empty"),
    (lambda: Capacity([], [2]), "cost is empty"),
    (lambda: Capacity(["a"], [2]), "cost has dtype"),
    (lambda: Capacity([[1, 2], [3, 4]], [2]), "cost has 2 dimensions"),
    (lambda: Schedule(ones((2, 3)), ones((2, 2)), 1), "3 slots and workers 2; give both"),
    (lambda: Schedule(ones(3), ones((2, 3)), 1), "arm_free has 1 dimensions"),  # pyright: ignore
    (lambda: Schedule(ones((0, 3)), ones((2, 3)), 1), r"arm_free has shape \(0, 3\)"),
    (lambda: Schedule(ones((2, 1)), full((2, 1), 0), 1), "no arm finds 2 free units"),
    (lambda: Schedule(full((2, 2), nan), ones((2, 2)), 1), r"arm_free\[0, 0\] is nan \(4"),
    (lambda: Schedule(ones((2, 2)), 2 * ones((2, 2)), 1), r"worker_free\[0, 0\] is 2"),
    (lambda: Schedule(ones((2, 2)), ones((2, 2)), -1), "budget is -1"),
    (lambda: Schedule(ones((2, 2)), ones((2, 2)), 1, need=0), "need is 0; give at least 1"),
    (lambda: Walks(4, [(0, 1), (2, 3)], 0, 2), r"node 2 cannot be reached .* \(2 such nodes\)"),
    (lambda: Walks(2, [], 0, 1), "not connected"),
    (lambda: Walks(3, [(0, 1), (1, 7)], 0, 2), r"node 7 is not one of 0\.\.2"),
    (lambda: Walks(3, [(0, 1), (9, 9)], 0, 2), r"node 9 is not one of 0\.\.2"),
    (lambda: Walks(3, [(0, 1), (1, -1)], 0, 2), "an end of edge 1 is -1"),
    (lambda: Walks(3, [(0, 1), (1, 1.5)], 0, 2), "an end of edge 1 is 1.5"),  # pyright: ignore
    (lambda: Walks(3, [(0, 1, 2)], 0, 2), r"edge 0 is \(0, 1, 2\); give two"),  # pyright: ignore
    (lambda: Walks(3, [(0, 1), (1, 2)], 5, 2), "node 5 is not one of"),
    (lambda: Walks(3, [(0, 1), (1, 2)], 0, -1), "budget is -1"),
    (lambda: Walks(3, [(0, 1), (1, 2)], 0, 1, length=-1), "length is -1"),
    (lambda: Interventions(ones(3), 1), "reaches has 1 dimensions"),  # pyright: ignore
    (lambda: Interventions(ones((2, 3)), 4), "budget 4 of 3 interventions"),
    (lambda: Interventions(ones((2, 3)), -1), "budget is -1"),
    (lambda: Interventions(full((2, 3), nan), 1), r"reaches\[0, 0\] is nan"),
    (lambda: Interventions(3 * ones((2, 3)), 1), r"reaches\[0, 0\] is 3 \(6 such"),
    (lambda: pulp_set(least=3), "no action satisfies the constraints; relax them"),
    (lambda: pulp_set(("p0", "p9")), "no variable 'p9'; it has p0, p1"),
    (lambda: pulp_set(("p0", "p0")), "name each once"),
    (lambda: PulpActions.from_pulp("model", ["p0"]), "a PuLP model is expected and not str"),
    (lambda: PulpActions(program(), np.array([0, 9])), r"give some of 0\.\.1"),
    (lambda: PulpActions(program(), np.array([], dtype=int)), "give some of"),
    (lambda: domains.capacity(3, 5, rng()), "give 1 <= budget <= n_arms"),
    (lambda: domains.capacity(3, 0, rng()), "give 1 <= budget <= n_arms"),
    (lambda: domains.walks(25, 5, rng()), "no graph of 25 stations; there are 20, 40"),
    (lambda: domains.interventions(5, 8, 4, rng()), "give more arms or fewer interventions"),
    (lambda: domains.interventions(20, 10, 5, rng(), points=1), "points 1; give at least 2"),
    (lambda: domains.schedule(5, 2, rng(), slots=2), "a worker is free in three"),
]


@pytest.mark.parametrize(("make", "message"), SETS, ids=[m for _, m in SETS])
def test_action_sets(make, message):
    with pytest.raises(InvalidModelError, match=message):
        make()


def test_empty_budgets_are_sets_with_one_action():
    path = [(0, 1), (1, 2)]
    room = Schedule(ones((3, 2)), ones((3, 2)), 0)
    for actions in (Budget(3, 0), room, Walks(3, path, 0, 0), Interventions(ones((3, 3)), 0)):
        assert actions.enumerate().tolist() == [[0, 0, 0]]
        assert not best_action(actions, ones((3, 4))).action.any()
        assert not actions.sample(rng()).any()
        one = CoupledRestlessBandit(
            ladder(full((3, 4), 0.5), ones((3, 2))), actions, np.tile([1.0, 0.0], (3, 1))
        )
        bound = solver.lagrangian_bound(one)
        assert bound.upper == pytest.approx(3 * 20)
        states = np.zeros((1, 3), dtype=int)
        assert not solver.iterative_myopic_policy(one)(0, states).any()
        assert not solver.fluid_policy(one, bound)(0, states).any()


def test_repeated_edges_and_loops_change_nothing():
    plain = Walks(3, [(0, 1), (1, 2)], 0, 2)
    again = Walks(3, [(0, 1), (1, 0), (1, 2), (1, 2), (2, 2)], 0, 2)
    assert again.edges == plain.edges


ARMS = [
    (lambda: Arms(ones((2, 2, 3)), ones((2, 2))), "P has 3 dimensions"),
    (lambda: Arms(full((1, 2, 1, 1), nan), np.zeros((1, 2, 1))), r"P\[0, 0\] sums to nan"),
    (lambda: Arms(np.array([[[[1.5, -0.5], [0, 1]]]]), np.zeros((1, 1, 2))), "smallest entry -0.5"),
    (lambda: Arms(np.array([[[[0.5, 0.4], [0, 1]]]]), np.zeros((1, 1, 2))), r"0.9 .*\(1 rows"),
    (lambda: Arms(ones((1, 2, 1, 1)), np.array([[[nan], [0]]])), r"r\[0, 0, 0\] is nan"),
    (lambda: Arms(ones((1, 2, 1, 1)), np.zeros((1, 1, 1))), "r has shape"),
    (lambda: ladder(np.array([[0.5, 1.5]]), np.array([[0, 1.0]])), "smallest entry -0.5"),
    (lambda: ladder(np.array([0.5]), np.array([[0, 1.0]])), "up has shape"),
    (lambda: bandit(initial=0.5 * BANDIT.initial), r"initial\[0\] sums to 0.5 \(4 rows"),
    (lambda: bandit(initial=nan * BANDIT.initial), r"initial\[0\] sums to nan"),
    (lambda: bandit(initial=ones((3, 4))), r"initial has shape \(3, 4\); give \(4, 4\)"),
    (lambda: bandit(horizon=0), "horizon is 0; give at least 1"),
    (lambda: bandit(horizon=2.5), "horizon is 2.5; give a whole number"),
    (lambda: bandit(gamma=nan), "gamma nan"),
    (lambda: bandit(actions=None), "arms and actions are Arms and NoneType"),
    (lambda: bandit(arms=None), "give Arms and an action set"),
    (lambda: bandit(actions=Budget(3, 1)), "speaks of 3 arms and there are 4"),
    (lambda: BANDIT.reward([9, 0, 0, 0], [0, 0, 0, 0]), r"arm 0 is in state 9; states are 0\.\.3"),
    (lambda: BANDIT.reward([0, -1, 0, 0], [0, 0, 0, 0]), "arm 1 is in state -1"),
    (lambda: BANDIT.reward([0, 0], [0, 0, 0, 0]), r"joint states have shape \(2,\)"),
    (lambda: BANDIT.reward([0.5, 0, 0, 0], [0, 0, 0, 0]), "dtype float64; give whole numbers"),
    (lambda: BANDIT.reward([0, 0, 0, 0], [0, 0, 0, 5]), "entries up to 5; give 0-1 vectors"),
    (lambda: BANDIT.actions.contains([1, 0]), r"an action has shape \(2,\); it must be \(4,\)"),
    (lambda: BANDIT.actions.contains([1, 0, nan, 0]), "component 2 of the action is nan"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), ARMS, ids=[m for _, m in ARMS])
def test_arms_bandits_states_and_actions(make, message):
    with pytest.raises(InvalidModelError, match=message):
        make()


def always(value: Any):
    return lambda h, s: full((len(s), 4), value)


CALLS = [
    (lambda: best_action(BANDIT.actions, ones((3, 2))), "weights have shape"),
    (lambda: best_action(BANDIT.actions, ones((3, 2)), "enumerate"), "weights have shape"),
    (lambda: best_action(BANDIT.actions, full((4, 2), nan)), r"weights\[0, 0\] is nan"),
    (lambda: best_action(BANDIT.actions, full((4, 2), nan), "enumerate"), "is nan; give fin"),
    (lambda: best_action(BANDIT.actions, ones((4, 2)), ANY), "no method"),
    (lambda: best_action(BANDIT.actions, ones((4, 2)), "mip", backend=ANY), "known: highs, scipy"),
    (lambda: solver.fluid_bound(BANDIT, backend=ANY, listed=None), "known: highs"),
    (lambda: Budget(30, 10).enumerate(100), "more than 100 actions; raise the limit"),
    (lambda: simulate(BANDIT, always(0), 0, rng()), "episodes is 0; give at least 1"),
    (lambda: simulate(BANDIT, always(nan), 2, rng()), "step 0 of episode 0 component 0 .* is nan"),
    (lambda: simulate(BANDIT, always(7), 2, rng()), r"is 7 \(8 such entries\); give 0 or 1"),
    (lambda: simulate(BANDIT, always(1), 2, rng(), check=True), "which is not in Capacity"),
    (lambda: simulate(BANDIT, lambda h, s: np.zeros(4), 2, rng()), r"returned shape \(4,\)"),
    (lambda: solver.myopic_policy(BANDIT)(0, START + 9), "arm 0 is in state 9"),
    (lambda: solver.myopic_policy(BANDIT)(0, START[:, :2]), "joint states have shape"),
    (lambda: solver.iterative_myopic_policy(BANDIT)(0, START[:, :3]), "joint states have shape"),
    (lambda: solver.fluid_policy(BANDIT)(25, START), r"step 25 is not one of 0\.\.19"),
    (lambda: solver.fluid_policy(BANDIT, solver.fluid_bound(OTHER)), "compute the bound of this"),
    (lambda: solver.lagrangian_bound(BANDIT, solver.fluid_bound(OTHER)), "compute the bound of"),
    (lambda: solver.discounted_policy(BANDIT, solver.discounted_bound(OTHER)), "not applicable"),
    (lambda: solver.sampling_policy(BANDIT, rng(), 0), "n is 0; give at least 1"),
    (lambda: solver.whittle_indices(BANDIT.arms, 1.0), "gamma is 1.0"),
    (lambda: solver.Network([(np.array([[nan]]), np.zeros(1))]), "layer 0 has weights that are"),
    (lambda: solver.Network([]), "one output"),
    (
        lambda: solver.Network([(ones((2, 2)), np.zeros(2)), (ones((1, 3)), np.zeros(1))]),
        "layer 1 takes 3 inputs and layer 0 gives 2",
    ),
    (
        lambda: solver.ActionValue(
            BANDIT, solver.Network.random(3, (2,), rng()), np.zeros((20, 4, 4, 2))
        ),
        "the network takes 3 inputs; the bandit has 33",
    ),
]


@pytest.mark.parametrize(("make", "message"), CALLS, ids=[m for _, m in CALLS])
def test_choices_simulations_policies_and_networks(make, message):
    with pytest.raises(MdplibError, match=message):
        make()


PROGRAMS = [
    (lambda: program(rows=({"columns": [5]},)), "names column 5; there are 2"),
    (lambda: program(rows=({"columns": [-1]},)), "names column -1"),
    (lambda: program(rows=({"values": [nan, 1.0]},)), "A has an entry that is not finite"),
    (lambda: program(rows=({"upper": nan},)), "upper bound nan"),
    (lambda: program(rows=({"lower": 2.0, "upper": 1.0},)), "exchange or widen them"),
    (lambda: program(upper=-1.0), r"column 0 has lower bound 0 and upper bound -1 \(2 such"),
    (lambda: solve_mip(program(), gap=-1.0), "give gap >= 0"),
    (lambda: solve_mip(program(), gap=nan), "give gap >= 0"),
    (lambda: solve_mip(program(), time_limit=0.0), "time_limit > 0"),
    (lambda: solve_mip(program(), start=[1.0]), r"start has shape \(1,\); give 2"),
    (lambda: solve_mip(program(), start=[nan, 0.0]), "finite numbers"),
    (lambda: solve_mip(program(rows=({"lower": 3.0},))).require(), "no point satisfies all rows"),
    (lambda: solve_mip(program(upper=inf)).require(), "the objective is unbounded"),
    (lambda: solve_mip(program(upper=inf, integer=False)).require(), "objective is unbounded"),
    (lambda: solve_relaxation(program(upper=inf)), "Unbounded"),
    (lambda: solve_relaxation(program(rows=({"lower": 3.0},))), "Infeasible"),
    (lambda: from_pulp(ANY), "a PuLP model is expected"),
]


@pytest.mark.parametrize(("make", "message"), PROGRAMS, ids=[m for _, m in PROGRAMS])
def test_programs(make, message):
    with pytest.raises(MdplibError, match=message):
        make()


@pytest.mark.parametrize(
    ("backend", "module"), [("gurobi", "gurobipy"), ("scip", "pyscipopt"), ("pulp", "pulp")]
)
def test_a_solver_that_is_missing_names_its_extra(backend, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=module) as caught:
        best_action(BANDIT.actions, ones((4, 2)), "mip", backend=backend)
    assert caught.value.extra == backend
    monkeypatch.setattr(reaching, "LARGEST_BLOCK", 0)  # nothing but a program finds the best
    levels = domains.interventions(12, 6, 3, rng())
    with pytest.raises(MissingExtraError):
        solver.myopic_policy(levels, limit=0, backend=backend)(0, np.zeros((1, 12), dtype=int))


def late(point: list[float] | None, bound: float):
    return lambda program, gap, limit, start: (
        MipStatus.TIME_LIMIT, None if point is None else np.array(point), bound
    )  # fmt: skip


def test_a_time_limit_returns_the_incumbent_with_its_bound_and_status(monkeypatch):
    monkeypatch.setitem(BACKENDS, "highs", late([1.0, 0.0, 0.0], -9.0))
    choice = best_action(Budget(3, 1), [[0, 2], [0, 5], [0, 1]], "mip", time_limit=1.0)
    assert choice.action.tolist() == [1, 0, 0]
    assert (choice.value, choice.bound, choice.status) == (2.0, 9.0, MipStatus.TIME_LIMIT)
    assert choice.gap == pytest.approx(3.5)
    monkeypatch.setitem(BACKENDS, "highs", late(None, -9.0))
    with pytest.raises(SolverError, match="time limit was reached"):
        best_action(Budget(3, 1), [[0, 2], [0, 5], [0, 1]], "mip", time_limit=1.0)


def test_a_solver_that_returns_a_point_outside_the_program_is_caught(monkeypatch):
    monkeypatch.setitem(BACKENDS, "highs", late([1.0, 1.0, 1.0], -9.0))
    with pytest.raises(SolverError, match="breaks a row or bound by 2"):
        best_action(Budget(3, 1), [[0, 2], [0, 5], [0, 1]], "mip")


def test_a_late_fluid_program_still_proves_its_bound():
    large = domains.capacity(20, 5, rng())
    rushed = solver.fluid_bound(large, time_limit=1e-9)
    assert rushed.upper >= solver.fluid_bound(large).upper - 1e-6


def test_sets_too_large_to_list_are_left_to_programs():
    with pytest.raises(TooManyActionsError):
        domains.capacity(20, 5, rng()).actions.enumerate(10)
    assert solver.myopic_policy(BANDIT, limit=1).listed is None
