"""Exact joint values, Whittle indices, the fluid bound and policies on small bandits."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mdplib import TabularMDP
from mdplib.errors import NotApplicableError
from mdplib.restless import (
    Arms,
    Budget,
    Capacity,
    CoupledRestlessBandit,
    Interventions,
    domains,
    simulate,
)
from mdplib.restless.arms import ladder
from solvers import solve
from solvers.restless.fluid import fluid_bound, price_bound
from solvers.restless.joint import (
    evaluate_joint,
    initial_law,
    initial_value,
    joint_states,
    joint_value_iteration,
)
from solvers.restless.policies import (
    fluid_policy,
    myopic_policy,
    null_policy,
    random_policy,
    sampling_policy,
    whittle_policy,
)
from solvers.restless.whittle import whittle_indices

RHO = np.array([[0.2, 0.15, 0.1, 5.0], [0.1, 0.15, 0.2, 2.0], [0.1, 0.15, 0.2, 3.0]])
UP = np.array([[0.10, 0.80], [0.05, 0.75], [0.15, 0.90]])
FIRST = np.tile([0.8, 0.2, 0.0, 0.0], (3, 1))


def three(capacity=(3, 2)) -> CoupledRestlessBandit:
    """Three arms of cost 3, 2, 2."""
    return CoupledRestlessBandit(ladder(UP, RHO), Capacity([3, 2, 2], capacity), FIRST)


def small(seed: int, kind: str = "capacity") -> CoupledRestlessBandit:
    rng = np.random.default_rng(seed)
    J, L = int(rng.integers(2, 5)), 4 if kind == "interventions" else 2
    arms = Arms(rng.dirichlet(np.ones(3), size=(J, L, 3)), rng.normal(size=(J, L, 3)))
    sets: Any = {
        "capacity": lambda: Capacity(rng.integers(1, 4, J), rng.integers(3, 5, 2)),
        "budget": lambda: Budget(J, int(rng.integers(1, J))),
        "interventions": lambda: Interventions(rng.random((J, 3)) < 0.6, 2),
    }
    first = rng.dirichlet(np.ones(3), size=J)
    return CoupledRestlessBandit(arms, sets[kind](), first, horizon=6, gamma=0.9)


def as_tabular(bandit: CoupledRestlessBandit, finite: bool) -> TabularMDP:
    """Build the joint model by brute force."""
    states, actions = joint_states(bandit), bandit.actions.enumerate()
    P = np.ones((len(states), len(actions), len(states)))
    for j in range(bandit.n_arms):
        level, now = bandit.actions.levels(actions)[:, j], states[:, j]
        P *= bandit.arms.P[j][level[None, :, None], now[:, None, None], now[None, None, :]]
    r = bandit.reward(states[:, None, :], actions[None])
    if finite:
        return TabularMDP.from_dense(P, r, gamma=1.0, horizon=bandit.horizon)
    return TabularMDP.from_dense(P, r, gamma=bandit.gamma)


def test_the_fixture_of_three_arms():
    bandit = three()
    exact = joint_value_iteration(bandit)
    per_step = 1.0 / bandit.horizon
    assert exact.initial * per_step == pytest.approx(5.814358872, abs=5e-10)
    assert exact.value[0, 0] == pytest.approx(114.811637855, abs=5e-9)
    assert exact.value[0, -1] == pytest.approx(132.809295666, abs=5e-9)
    assert exact.gap < 1e-9
    null, myopic = null_policy(bandit), myopic_policy(bandit)
    assert initial_value(bandit, null) * per_step == pytest.approx(0.424760028, abs=5e-10)
    assert initial_value(bandit, myopic) * per_step == pytest.approx(3.991821934, abs=5e-10)
    bound = fluid_bound(bandit)
    assert exact.initial <= bound.upper <= bound.program + 1e-9
    assigned = fluid_bound(replace(bandit, actions=Capacity([3, 2, 2], [3, 2], "assignment")))
    assert assigned.program * per_step == pytest.approx(5.817011372, abs=5e-9)
    assert exact.initial <= assigned.upper <= assigned.program + 1e-9
    assert bound.program < assigned.program - 1e-3, "patterns are the hull here"
    endless = joint_value_iteration(bandit, discounted=True, tol=1e-7)
    assert endless.value[0] == pytest.approx(641.7781110, abs=1e-6)
    assert endless.value[-1] == pytest.approx(659.5531824, abs=1e-6)


def test_without_coupling_the_bound_is_the_value():
    bandit = three((4, 3))
    exact, bound = joint_value_iteration(bandit), fluid_bound(bandit)
    assert exact.initial / 20 == pytest.approx(6.935652117, abs=5e-10)
    assert bound.upper == pytest.approx(exact.initial, abs=1e-6)
    assert bound.upper >= exact.initial
    policy = fluid_policy(bandit, bound)
    assert initial_value(bandit, policy) == pytest.approx(exact.initial)


@pytest.mark.parametrize("kind", ["capacity", "budget", "interventions"])
@pytest.mark.parametrize("seed", range(4))
def test_joint_values_equal_the_tabular_solver(kind, seed):
    bandit = small(seed, kind)
    exact = joint_value_iteration(bandit)
    tabular = solve(as_tabular(bandit, True), tol=1e-9)
    assert exact.value == pytest.approx(tabular.value, abs=1e-9)
    assert (exact.lower <= tabular.upper).all()
    assert (exact.upper >= tabular.lower).all()
    endless = joint_value_iteration(bandit, discounted=True, tol=1e-8)
    assert endless.status.name == "OPTIMAL"
    certified = solve(as_tabular(bandit, False), tol=1e-9)
    assert (endless.lower <= certified.upper).all()
    assert (endless.upper >= certified.lower).all()
    assert evaluate_joint(bandit, exact.policy) == pytest.approx(exact.value, abs=1e-9)
    assert initial_law(bandit).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["capacity", "budget", "interventions"])
@pytest.mark.parametrize("seed", range(6))
def test_bound_optimum_policies_in_this_order(kind, seed):
    bandit = small(seed, kind)
    exact, bound = joint_value_iteration(bandit), fluid_bound(bandit)
    assert bound.upper >= exact.initial - 1e-9
    assert bound.upper <= bound.program + 1e-6
    rng = np.random.default_rng(seed)
    for policy in (
        myopic_policy(bandit),
        fluid_policy(bandit, bound),
        sampling_policy(bandit, rng),
    ):
        assert initial_value(bandit, policy) <= exact.initial + 1e-9


def test_any_prices_prove_a_bound_and_wrong_signs_do_not_break_it():
    bandit = three()
    exact, bound = joint_value_iteration(bandit), fluid_bound(bandit)
    rng = np.random.default_rng(0)
    for price in (0 * bound.price, -bound.price, bound.price + rng.normal(size=bound.price.shape)):
        price[:, :, 0] = 0.0
        upper, _, _ = price_bound(bandit, price)
        assert upper >= exact.initial
        assert upper >= bound.upper - 1e-9
    free, _, _ = price_bound(bandit, 0 * bound.price)
    assert free > 1.05 * bound.upper, "prices matter"


def test_the_bound_grows_with_the_action_set():
    values = [fluid_bound(three(c)).upper for c in ((3,), (3, 2), (4, 2), (4, 3))]
    assert values == sorted(values)


def test_a_mutant_of_the_bound_without_the_last_step_is_caught():
    bandit = three()
    bound = fluid_bound(bandit)
    short = bound.upper - float(bandit.arms.r.max())
    assert short < joint_value_iteration(bandit).initial


def test_simulated_means_agree_with_exact_values():
    bandit = three()
    for policy in (myopic_policy(bandit), fluid_policy(bandit)):
        rewards = simulate(bandit, policy, 4000, np.random.default_rng(1), check=True).sum(axis=1)
        error = rewards.std() / np.sqrt(rewards.size)
        assert abs(rewards.mean() - initial_value(bandit, policy)) < 4.5 * error


def subsidised(P, r, w: float, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of pulling and of not pulling under a subsidy, by enumeration of policies."""
    S = P.shape[1]
    best = np.full(S, -np.inf)
    for rows in itertools.product((0, 1), repeat=S):
        rows = np.array(rows)
        paid = r[rows, np.arange(S)] + w * (rows == 0)
        V = np.linalg.solve(np.eye(S) - gamma * P[rows, np.arange(S)], paid)
        best = np.maximum(best, V)
    return r[1] + gamma * P[1] @ best, r[0] + w + gamma * P[0] @ best


def test_whittle_indices_of_the_fixture():
    found = whittle_indices(ladder(UP, RHO), 0.95)
    assert found.indexable.all()
    assert found.index[1] == pytest.approx([1.0485203, 1.2378834, 1.5231053, 1.3669215], abs=5e-8)


def test_whittle_indices_are_where_both_actions_are_equally_good():
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(40):
        P = rng.dirichlet(0.3 * np.ones(4), size=(1, 2, 4))
        r = rng.normal(size=(1, 2, 4)).round(1)
        found = whittle_indices(Arms(P, r), 0.9)
        outcomes.append(bool(found.indexable[0]))
        grid = np.linspace(-40, 40, 101)
        pulls = np.array([np.subtract(*subsidised(P[0], r[0], w, 0.9)) > 1e-9 for w in grid])
        monotone = (np.diff(pulls.astype(int), axis=0) <= 0).all()
        if found.indexable[0]:
            assert monotone
            for s, w in enumerate(found.index[0]):
                act, rest = subsidised(P[0], r[0], w, 0.9)
                assert act[s] == pytest.approx(rest[s], abs=1e-8)
        else:
            assert np.isnan(found.index).all()
    assert outcomes.count(True) > 20


def test_an_arm_that_is_not_indexable_is_told():
    """Found by search: a state stops pulling and pulls again as the subsidy grows."""
    rng = np.random.default_rng(5)
    for _ in range(3000):
        P = rng.dirichlet(0.15 * np.ones(3), size=(1, 2, 3))
        r = np.array([[[0.0, 0.0, 0.0], rng.normal(size=3)]])
        found = whittle_indices(Arms(P, r), 0.95)
        if not found.indexable[0]:
            break
    else:
        raise AssertionError("no arm drawn was without index")
    grid = np.linspace(-20, 20, 1001)
    pulls = np.array([np.subtract(*subsidised(P[0], r[0], w, 0.95)) > 1e-9 for w in grid])
    assert (np.diff(pulls.astype(int), axis=0) > 0).any()


def test_the_whittle_policy_on_a_budget():
    bandit = CoupledRestlessBandit(ladder(UP, RHO), Budget(3, 1), FIRST, gamma=0.95)
    index = whittle_indices(bandit.arms, 0.95).index
    policy = whittle_policy(bandit)
    states = joint_states(bandit)
    best = np.argmax(index[np.arange(3), states], axis=1)
    assert (policy(0, states).argmax(axis=1) == best).all()


def test_programs_and_enumeration_choose_equally_well():
    bandit = domains.interventions(12, 6, 3, np.random.default_rng(2))
    listed, programmed = myopic_policy(bandit), myopic_policy(bandit, limit=1)
    assert listed.listed is not None
    assert programmed.listed is None
    s = np.random.default_rng(3).integers(0, 4, (6, 12))
    assert bandit.reward(s, listed(0, s)) == pytest.approx(bandit.reward(s, programmed(0, s)))


def test_what_does_not_apply_is_said():
    bandit = small(0, "interventions")
    with pytest.raises(NotApplicableError, match="doing nothing is not in"):
        null_policy(bandit)
    with pytest.raises(NotApplicableError, match="these have 4 levels"):
        whittle_policy(domains.interventions(20, 10, 5, np.random.default_rng(0)))
    with pytest.raises(NotApplicableError, match="joint states are more than"):
        joint_value_iteration(domains.budget(20, 5, np.random.default_rng(0)))
    rng = np.random.default_rng(0)
    assert random_policy(bandit, rng)(0, np.zeros((4, bandit.n_arms), dtype=int)).shape == (4, 3)


@pytest.mark.parametrize("kind", ["capacity", "schedule", "walks", "interventions"])
def test_large_instances_are_within_ten_percent_of_the_bound(kind):
    rng = np.random.default_rng(1)
    if kind == "interventions":
        bandit = domains.interventions(20, 10, 5, rng)
    else:
        bandit = getattr(domains, kind)(20, 5, rng)
    bound = fluid_bound(bandit)
    policy = fluid_policy(bandit, bound)
    mean = simulate(bandit, policy, 30, np.random.default_rng(2), check=True).sum(axis=1).mean()
    assert 0.85 < mean / bound.upper <= 1.02
