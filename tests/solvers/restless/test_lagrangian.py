"""The best prices, against the program over the hull of all actions; discounted bounds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mdplib.errors import InvalidModelError, SolverError
from mdplib.optim import MipBuilder
from mdplib.optim.growing import GrowingProgram
from mdplib.restless import (
    Arms,
    Budget,
    Capacity,
    CoupledRestlessBandit,
    Interventions,
    Schedule,
    Walks,
    domains,
)
from mdplib.restless.arms import ladder
from mdplib.solution import Status
from solvers.restless import (
    discounted_bound,
    discounted_policy,
    fluid_bound,
    fluid_policy,
    joint_value_iteration,
    lagrangian_bound,
    whittle_indices,
)
from solvers.restless.fluid_discounted import discounted_price_bound
from solvers.restless.joint import initial_law, initial_value, joint_states

RHO = np.array([[0.2, 0.15, 0.1, 5.0], [0.1, 0.15, 0.2, 2.0], [0.1, 0.15, 0.2, 3.0]])
UP = np.array([[0.10, 0.80], [0.05, 0.75], [0.15, 0.90]])
FIRST = np.tile([0.8, 0.2, 0.0, 0.0], (3, 1))
KINDS = ["capacity", "budget", "interventions", "schedule", "walks"]


def three(capacity=(3, 2)) -> CoupledRestlessBandit:
    """Three arms of cost 3, 2, 2."""
    return CoupledRestlessBandit(ladder(UP, RHO), Capacity([3, 2, 2], capacity), FIRST)


def small(seed: int, kind: str) -> CoupledRestlessBandit:
    rng = np.random.default_rng(seed)
    J, L = int(rng.integers(3, 5)), 4 if kind == "interventions" else 2
    arms = Arms(rng.dirichlet(np.ones(3), size=(J, L, 3)), rng.normal(size=(J, L, 3)))
    path = [(i, i + 1) for i in range(J - 1)]
    free: Any = np.ones((J, 2)) if seed % 2 else np.eye(2)[rng.integers(0, 2, J)]
    sets: Any = {
        "capacity": lambda: Capacity(rng.integers(2, 4, J), rng.integers(3, 6, 2)),
        "budget": lambda: Budget(J, int(rng.integers(1, J))),
        "interventions": lambda: Interventions(rng.random((J, 3)) < 0.6, 2),
        "schedule": lambda: Schedule(free, np.ones((3, 2), dtype=bool), 2),
        "walks": lambda: Walks(J, path, 1, 2),
    }
    first = rng.dirichlet(np.ones(3), size=J)
    return CoupledRestlessBandit(arms, sets[kind](), first, horizon=4, gamma=0.9)


def hull_program(bandit: CoupledRestlessBandit, discounted: bool = False) -> float:
    """Value of the program over the hull: dense rows, every action a column, no shared code."""
    from scipy.optimize import linprog

    J, S, H = bandit.n_arms, bandit.arms.n_states, 1 if discounted else bandit.horizon
    L, gamma = bandit.arms.n_levels, bandit.gamma
    actions = bandit.actions.enumerate()
    level = bandit.actions.levels(actions)
    m = len(actions)

    def mu(j, h, s, n):
        return ((j * H + h) * S + s) * L + n

    def law(h, i):
        return J * H * S * L + h * m + i

    size = J * H * S * L + H * m
    cost, rows, right = np.zeros(size), [], []
    for j in range(J):
        for h in range(H):
            for s in range(S):
                for n in range(L):
                    cost[mu(j, h, s, n)] = -bandit.arms.r[j, n, s]
                row = np.zeros(size)
                for n in range(L):
                    row[mu(j, h, s, n)] += 1.0
                source = bandit.initial[j, s] if h == 0 else 0.0
                if discounted:
                    source *= 1.0 - gamma
                if discounted or h > 0:
                    for t in range(S):
                        for n in range(L):
                            flow = bandit.arms.P[j, n, t, s] * (gamma if discounted else 1.0)
                            row[mu(j, h if discounted else h - 1, t, n)] -= flow
                rows.append(row)
                right.append(source)
            for n in range(L):
                row = np.zeros(size)
                for s in range(S):
                    row[mu(j, h, s, n)] = 1.0
                for i in range(m):
                    row[law(h, i)] -= float(level[i, j] == n)
                rows.append(row)
                right.append(0.0)
    for h in range(H):
        row = np.zeros(size)
        row[law(h, 0) : law(h, 0) + m] = 1.0
        rows.append(row)
        right.append(1.0)
    found = linprog(cost, A_eq=np.array(rows), b_eq=np.array(right), bounds=(0, None))
    assert found.status == 0
    assert found.fun is not None
    return -found.fun / (1.0 - gamma if discounted else 1.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_the_program_over_the_hull(kind, seed):
    bandit = small(seed, kind)
    wanted, exact = hull_program(bandit), joint_value_iteration(bandit)
    fluid = fluid_bound(bandit)
    for limit in (0, 1000):
        bound = lagrangian_bound(bandit, fluid, tol=1e-9, gap=0.0, limit=limit)
        assert bound.upper == pytest.approx(wanted, abs=1e-8)
        assert bound.program == pytest.approx(wanted, abs=1e-8)
        assert bound.status is Status.OPTIMAL
        assert exact.initial - 1e-9 <= bound.upper <= fluid.upper
        value = initial_value(bandit, fluid_policy(bandit, bound))
        assert value <= exact.initial + 1e-9


def test_somewhere_the_hull_is_smaller_than_the_relaxation():
    gains = []
    for seed in range(6):
        bandit = small(seed, "capacity")
        assert isinstance(bandit.actions, Capacity)
        costs, room = bandit.actions.cost, bandit.actions.capacity
        loose = replace(bandit, actions=Capacity(costs, room, "assignment"))
        gains.append(fluid_bound(loose).upper - lagrangian_bound(loose, tol=1e-8).upper)
    assert max(gains) > 1e-3
    assert min(gains) >= 0.0


def test_the_fixture_of_three_arms():
    fluid = fluid_bound(three())
    bound = lagrangian_bound(three(), fluid, tol=1e-9)
    assert 5.814358872 - 5e-10 <= bound.upper / 20 < 5.817011372 - 5e-4
    assert bound.upper == pytest.approx(hull_program(three()), abs=1e-7)
    decoupled = lagrangian_bound(three((4, 3)))
    assert decoupled.upper / 20 == pytest.approx(6.935652117, abs=5e-10)
    assert decoupled.upper >= joint_value_iteration(three((4, 3))).initial


def test_every_stop_is_a_bound_and_more_rounds_do_no_harm():
    bandit = domains.capacity(5, 2, np.random.default_rng(4))
    exact, fluid = joint_value_iteration(bandit).initial, fluid_bound(bandit)
    found = [lagrangian_bound(bandit, fluid, tol=0.0, max_rounds=n) for n in (0, 1, 2, 4, 20)]
    uppers = [bound.upper for bound in found]
    assert uppers == sorted(uppers, reverse=True)
    assert uppers[0] == fluid.upper
    assert min(uppers) >= exact
    assert found[1].status is Status.ITERATION_LIMIT
    assert any(bound.program < exact for bound in found), "few columns prove nothing"
    late = lagrangian_bound(bandit, fluid, time_limit=0.0)
    assert (late.status, late.upper) == (Status.TIME_LIMIT, fluid.upper)
    assert "TIME_LIMIT" in repr(late)


def test_a_mutant_that_forgets_actions_is_caught():
    bandit = three()
    some = bandit.actions.enumerate()[:3]
    mutant = lagrangian_bound(bandit, fluid_bound(bandit, listed=some), listed=some)
    assert mutant.upper < joint_value_iteration(bandit).initial


@pytest.mark.parametrize("kind", ["capacity", "schedule", "walks", "interventions"])
def test_twenty_arms(kind):
    rng = np.random.default_rng(2)
    sizes = (20, 10, 5) if kind == "interventions" else (20, 5)
    bandit = getattr(domains, kind)(*sizes, rng)
    fluid = fluid_bound(bandit)
    bound = lagrangian_bound(bandit, fluid, tol=1e-3)
    assert bound.upper <= fluid.upper
    assert bound.gap <= 1e-3 * bound.upper


def test_what_cannot_be_is_said():
    bandit = three()
    with pytest.raises(SolverError, match="give >= 0"):
        lagrangian_bound(bandit, tol=-1.0)
    nothing = np.empty((0, 3), dtype=np.int8)
    with pytest.raises(SolverError, match="action set is empty"):
        lagrangian_bound(bandit, listed=nothing)
    with pytest.raises(SolverError, match="action set is empty"):
        discounted_bound(bandit, listed=nothing)
    with pytest.raises(SolverError, match=r"prices have shape \(2, 2\)"):
        discounted_price_bound(bandit, np.zeros((2, 2)))
    builder = MipBuilder()
    builder.row(builder.columns(1, cost=1.0), lower=1.0)
    growing = GrowingProgram(builder.arrays())
    with pytest.raises(InvalidModelError, match=r"outside rows 0\.\.0"):
        growing.add([1.0], [0, 1], [1], [1.0])
    with pytest.raises(InvalidModelError, match="not finite"):
        growing.add([np.nan], [0, 1], [0], [1.0])
    growing.add([-1.0], [0, 1], [0], [1.0])
    with pytest.raises(SolverError, match="HiGHS stopped with status"):
        growing.solve()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_discounted_bounds_and_policies(kind, seed):
    bandit = small(seed, kind)
    exact = joint_value_iteration(bandit, discounted=True, tol=1e-9)
    plain = discounted_bound(bandit)
    best = discounted_bound(bandit, hull=True, tol=1e-10)
    programmed = discounted_bound(bandit, hull=True, tol=1e-10, gap=0.0, limit=0)
    wanted = hull_program(bandit, discounted=True)
    assert best.upper == pytest.approx(wanted, abs=1e-7)
    assert programmed.upper == pytest.approx(wanted, abs=1e-7)
    assert exact.initial - 1e-8 <= best.upper <= plain.upper
    assert plain.upper <= plain.program + 1e-6
    value = discounted_value(bandit, discounted_policy(bandit, best))
    assert value <= exact.initial + 1e-8


def discounted_value(bandit: CoupledRestlessBandit, policy) -> float:
    """Exact value of a stationary policy, by one linear system over the joint states."""
    states = joint_states(bandit)
    taken = policy(0, states)
    level = bandit.actions.levels(taken)
    P = np.ones((len(states), len(states)))
    for j in range(bandit.n_arms):
        P *= bandit.arms.P[j][level[:, j, None], states[:, j, None], states[None, :, j]]
    r = bandit.reward(states, taken)
    V = np.linalg.solve(np.eye(len(states)) - bandit.gamma * P, r)
    return float(initial_law(bandit) @ V)


def test_discounted_fixtures():
    for capacity in ((3, 2), (4, 3)):
        bandit = three(capacity)
        exact = joint_value_iteration(bandit, discounted=True, tol=1e-7)
        bound = discounted_bound(bandit)
        assert exact.initial - 1e-7 <= bound.upper <= exact.initial + 1e-4
        assert "DiscountedBound(upper=" in repr(bound)


def test_any_discounted_prices_prove_a_bound():
    bandit, rng = three(), np.random.default_rng(0)
    exact = joint_value_iteration(bandit, discounted=True, tol=1e-7).initial
    for scale in (0.0, 1.0, 10.0, -3.0):
        price = scale * rng.normal(size=(3, 2))
        price[:, 0] = 0.0
        assert discounted_price_bound(bandit, price)[0] >= exact - 1e-7


def test_one_price_for_all_reproduces_the_order_of_whittle():
    """At a price the arms that are worth it are those whose index exceeds it."""
    rng = np.random.default_rng(1)
    bandit = CoupledRestlessBandit(
        domains.budget(6, 2, rng).arms, Budget(6, 2), np.tile([0.8, 0.2, 0, 0], (6, 1)), gamma=0.95
    )
    index = whittle_indices(bandit.arms, bandit.gamma).index
    for price in np.linspace(-0.5, 4.5, 41):
        prices = np.tile([0.0, price], (6, 1))
        _, value, _ = discounted_price_bound(bandit, prices)
        ahead = np.einsum("jnst,jt->jns", bandit.arms.P, value)
        worth = bandit.arms.r + bandit.gamma * ahead
        clear = np.abs(index - price) > 1e-6
        pulls = worth[:, 1] - worth[:, 0] > price
        assert (pulls == (index > price))[clear].all()
