"""What the statements on coupled restless bandits are made of, against plain recomputation."""

import itertools
import math

import numpy as np
import pytest

from bounds import load
from bounds.brown2020 import COPIES, copied, copies_optimum, gap
from bounds.case import Case
from bounds.catalogue import CATALOGUE, select
from bounds.munos2007 import within_gap
from bounds.restless_models import (
    Coupled,
    draw,
    draw_policy,
    draws,
    example,
    greedy,
    listed,
    price_bound,
    program_bound,
)
from bounds.restless_setting import chance
from bounds.suite import check_entry
from bounds.waudbysmith2024 import EPISODES, gap_case, play, rare, run
from bounds.xu2025 import learned, two_steps
from mdplib import restless
from mdplib.errors import InvalidModelError, SolverError
from mdplib.restless.arms import ladder
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.gap import EXACT, betting_limit, certified_gap, reward_range
from mdplib.statistics import clopper_pearson
from solvers.restless import (
    evaluate_joint,
    fluid_bound,
    fluid_policy,
    joint_value_iteration,
    lagrangian_bound,
)

EVERY = list(select(["sequoia"]))


def library(model):
    """Return a model whose rows are one budget as the library's own bandit."""
    arms = restless.Arms(model.P, model.r)
    actions = restless.Budget(len(model.r), int(model.room[0]))
    return CoupledRestlessBandit(arms, actions, model.initial, model.horizon, model.gamma)


def budgeted(n, seed=3):
    """Return n models with two levels, one budget and gamma 0.9."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        model = draw(rng)
        J, L, _ = model.r.shape
        if L > 2:
            continue
        rows, room = np.ones((1, J)), np.array([float(rng.integers(1, J + 1))])
        C = listed(rows, room, 2)
        parts = (model.P, model.r, C, rows, room, model.initial, model.horizon, 0.9)
        found.append(Coupled(*parts))
    return found


def spec_arms(C):
    """Return three ladders of four states, paid for the state they reach."""
    rho = np.array([[0.2, 0.15, 0.1, 5.0], [0.1, 0.15, 0.2, 2.0], [0.1, 0.15, 0.2, 3.0]])
    arms = ladder(np.array([[0.10, 0.80], [0.05, 0.75], [0.15, 0.90]]), rho)
    first = np.tile([0.8, 0.2, 0.0, 0.0], (3, 1))
    C, rows = np.array(C), np.array([[3.0, 2.0, 2.0]])
    room = np.array([float((C @ rows[0]).max())])
    return Coupled(arms.P, arms.r, C, rows, room, first, 20, 0.99)


PAIRS = [c for c in itertools.product((0, 1), repeat=3) if sum(c) <= 2]
ALL = list(itertools.product((0, 1), repeat=3))


# ------------------------------------------------------------------------- plain models


def test_the_published_numbers_of_three_arms():
    model = spec_arms(PAIRS)
    V = model.optimum()[0]
    assert model.first @ V / 20 == pytest.approx(5.814358872, abs=1e-8)
    assert V[[0, -1]] == pytest.approx([114.811637855, 132.809295666], abs=1e-8)
    idle = np.tile(np.eye(len(PAIRS))[PAIRS.index((0, 0, 0))], (20, 64, 1))
    assert model.first @ model.value(idle)[0] / 20 == pytest.approx(0.424760028, abs=1e-8)
    myopic = np.tile(greedy(model.joint[1]), (20, 1, 1))
    assert model.first @ model.value(myopic)[0] / 20 == pytest.approx(3.991821934, abs=1e-8)
    ahead = np.tile(greedy(two_steps(model)), (20, 1, 1))
    assert model.first @ model.value(ahead)[0] / 20 == pytest.approx(4.926158889, abs=1e-8)
    W = model.discounted_optimum()
    assert W[[0, -1]] == pytest.approx([641.7781110, 659.5531824], abs=1e-6)
    assert program_bound(model, hull=True) / 20 <= 5.817011372 + 1e-8
    free = spec_arms(ALL)
    assert program_bound(free, hull=True) / 20 == pytest.approx(6.935652117, abs=1e-8)


def test_what_a_frozen_target_has_learned_is_the_two_step_value():
    model = spec_arms(PAIRS)
    assert learned(model, 2000, 0.0) == pytest.approx(two_steps(model), abs=1e-10)
    moved = np.abs(learned(model, 2000, 1e-6) - two_steps(model)).max()
    far = np.abs(model.q_values(model.discounted_optimum(), 0.99) - two_steps(model)).max()
    assert 0 < moved < 0.002 * far  # the published rate: 0.2 per cent of the way, at most
    assert np.abs(learned(model, 2000, 1.0) - two_steps(model)).max() > 0.99 * far


def test_values_are_those_of_the_solvers():
    for model in budgeted(8):
        bandit = library(model)
        exact = joint_value_iteration(bandit)
        assert model.optimum() == pytest.approx(exact.value, abs=1e-10)
        discounted = joint_value_iteration(bandit, discounted=True, tol=1e-9)
        assert model.discounted_optimum() == pytest.approx(discounted.value, abs=1e-8)
        assert program_bound(model, hull=False) == pytest.approx(
            fluid_bound(bandit).upper, rel=1e-6, abs=1e-6
        )
        found = lagrangian_bound(bandit, tol=1e-7)
        assert found.program - 1e-5 <= program_bound(model, hull=True) <= found.upper + 1e-6


def test_the_best_prices_are_those_of_the_program():
    """Strong duality: no price goes below the program over the hull, and some price reaches it."""
    rng = np.random.default_rng(0)
    for model in budgeted(4):
        J, L, _ = model.r.shape
        least = program_bound(model, hull=True)
        for _ in range(20):
            price = rng.normal(0.0, 0.3, (model.horizon, J, L))
            assert price_bound(model, price) >= least - 1e-7
        best = fluid_bound(library(model)).price  # of a budget: rows and hull agree
        price = np.moveaxis(best, 0, 1)
        assert price_bound(model, price) == pytest.approx(least, abs=1e-5)


def test_the_bounds_are_strict_somewhere():
    case = chance()
    model = case["model"]
    assert float(model.first @ model.optimum()[0]) == pytest.approx(0.75)
    assert program_bound(model, hull=True) == pytest.approx(1.0)
    models = list(draws(np.random.default_rng(1), 25))
    gaps = [program_bound(m, hull=False) - program_bound(m, hull=True) for m in models]
    assert sum(gap > 1e-6 for gap in gaps) >= 8
    assert min(gaps) >= -1e-8


def test_policies_by_simulation():
    rng = np.random.default_rng(5)
    for model in draws(rng, 4):
        policy = draw_policy(rng, model)
        value = float(model.first @ model.value(policy)[0])
        x = play(Case({"model": model, "policy": policy, "episodes": 4000}), rng)
        assert abs(x.mean() - value) <= 4.5 * x.std() / np.sqrt(x.size) + 1e-12


def test_copies_are_arms_side_by_side():
    rng = np.random.default_rng(6)
    for N, pulls in ((2, 1), (3, 1), (3, 2), (4, 2)):
        P, r = rng.dirichlet([0.7, 0.7], (2, 2)), rng.random((2, 2))
        rows, room = np.ones((1, N)), np.array([float(pulls)])
        first = np.tile([1.0, 0.0], (N, 1))
        arms = (np.tile(P, (N, 1, 1, 1)), np.tile(r, (N, 1, 1)))
        joint = Coupled(*arms, listed(rows, room, 2), rows, room, first, 3, 0.5)
        one = copied(P, r, pulls / N, 3, N, "copies")["model"]
        assert copies_optimum(one, N) == pytest.approx(joint.optimum()[0][0], abs=1e-10)
        bound = program_bound(joint, hull=False)
        assert N * program_bound(one, hull=False) == pytest.approx(bound, abs=1e-6)


def test_what_chance_costs_copies():
    """The mean of (K - N / 2)+ for binomial K is N / 2 times the central probability / 2."""
    case = COPIES.tight()
    assert isinstance(case, Case)
    for N in (4, 8, 16):
        central = math.comb(N, N // 2) / 2**N
        assert gap(case.with_values({"N": N})) == pytest.approx(central / 4, abs=1e-8)


def test_actions_within_a_gap():
    Q = np.array([[10.0, -10.0], [9.5, -10.5], [9.0, -11.0]])
    assert within_gap(Q, 0.0).argmax(1).tolist() == [0, 0]
    assert within_gap(Q, 0.06).argmax(1).tolist() == [1, 1]
    assert within_gap(Q, 0.2).argmax(1).tolist() == [2, 2]


def test_wrong_shapes_and_impossible_programs_are_refused():
    model = example()
    parts = (model.P, model.r, model.C, model.rows, np.ones(2), model.initial, 3, 0.5)
    with pytest.raises(InvalidModelError, match="rows has shape"):
        Coupled(*parts)
    parts = (model.P, model.r, model.C, model.rows, -np.ones(1), model.initial, 3, 0.5)
    with pytest.raises(SolverError, match="linear program"):
        program_bound(Coupled(*parts), hull=False)


def test_cases_are_saved(tmp_path):
    case = run(rare("betting"), np.random.default_rng(0))
    case.save(tmp_path / "case.npz")
    again = load(tmp_path / "case.npz")
    assert isinstance(again, Case)
    assert again["found"] == case["found"]
    assert np.array_equal(again["model"].P, case["model"].P)


def test_the_group_has_its_statements():
    assert {CATALOGUE[id].theorem.paper for id in EVERY} >= {"hawkins2003", "xu2025", "munos2007"}
    assert len(EVERY) >= 15


# ----------------------------------------------------------------------- certified gaps


def wealth_limit(x, low, delta, guess):
    """Return the limit by definition: bets and wealth one episode at a time, over a grid."""
    n, need = len(x), np.log(1 / delta)
    for m in np.linspace(low, max(x), 4001)[1:]:
        wealth, seen = 0.0, guess**2
        for i in range(n):
            bet = np.sqrt(2 * need / (n * seen / (i + 1)))
            wealth += np.log(1 + min(bet, 0.9 / (m - low)) * (x[i] - m))
            seen += (x[i] - np.mean(x[: i + 1])) ** 2
        if wealth < need:
            return m
    raise AssertionError


def test_the_betting_limit_by_its_definition():
    rng = np.random.default_rng(2)
    for x in (rng.random(8), rng.exponential(1.0, 12), 3.0 + rng.random(30)):
        plain = wealth_limit(x.tolist(), 0.0, 0.1, 0.2)
        step = x.max() / 4000
        assert plain - step - 1e-9 <= betting_limit(x, 0.0, 0.1, guess=0.2) <= plain


LAWS = {
    "rarely poor": lambda rng, n: 1.0 - (rng.random(n) < 0.05),
    "rarely rich": lambda rng, n: (rng.random(n) < 0.05) * 1.0,
    "even": lambda rng, n: rng.random(n),
    "skewed": lambda rng, n: rng.beta(4.0, 0.3, n),
}
MEANS = {"rarely poor": 0.95, "rarely rich": 0.05, "even": 0.5, "skewed": 4.0 / 4.3}


def misses(method, law, n=20, runs=500):
    failed = 0
    for i in range(runs):
        x = LAWS[law](np.random.default_rng(i), n)
        found = certified_gap(x, 1.0, low=0.0, high=1.0, confidence=0.9, method=method)
        failed += found.limit > MEANS[law]
    return failed


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("law", LAWS)
def test_exact_limits_cover_whatever_the_law(method, law):
    assert clopper_pearson(misses(method, law), 500, 0.999, side="lower").low <= 0.1


@pytest.mark.parametrize("method", ["student", "bootstrap"])
def test_nominal_limits_do_not(method):
    assert clopper_pearson(misses(method, "rarely poor"), 500, 0.999, side="lower").low > 0.1
    assert not certified_gap([1.0, 2.0], 3.0, method=method).exact


def test_bets_that_look_ahead_are_caught():
    """Mutant: bet only on the episodes that win."""

    def limit(x):
        need, grid = np.log(10.0), np.linspace(0.01, 1.0, 200)
        wealth = [np.log1p(np.maximum(0.0, 0.9 / m * (x - m))).sum() for m in grid]
        return grid[np.argmax(np.array(wealth) < need)]

    failed = sum(limit(LAWS["even"](np.random.default_rng(i), 20)) > 0.5 for i in range(300))
    assert clopper_pearson(failed, 300, 0.999, side="lower").low > 0.1


def test_more_episodes_and_betting_bring_the_limit_closer():
    rng = np.random.default_rng(4)
    x = np.clip(rng.normal(0.8, 0.05, 2000), 0.0, 1.0)
    gaps = {m: certified_gap(x, 1.0, high=1.0, method=m).gap for m in EXACT}
    assert gaps["betting"] < gaps["empirical_bernstein"] < gaps["hoeffding"]
    assert certified_gap(x[:50], 1.0).gap > gaps["betting"] > 0.19


def test_a_gap_on_the_library_s_own_bandit_holds():
    bandit = restless.capacity(3, 2, np.random.default_rng(0))
    bound = fluid_bound(bandit)
    policy = fluid_policy(bandit, bound)
    low, high = reward_range(bandit)
    x = restless.simulate(bandit, policy, 400, np.random.default_rng(1)).sum(axis=1)
    first = bandit.initial[0]
    for row in bandit.initial[1:]:
        first = np.kron(first, row)
    value = float(first @ evaluate_joint(bandit, policy)[0])
    for method in EXACT:
        found = certified_gap(x, bound.upper, low=low, high=high, method=method)
        assert found.exact
        assert found.limit <= value
        assert found.gap >= (bound.upper - value) / bound.upper >= 0
        assert low <= found.limit <= found.mean <= high
    assert repr(found) == repr(certified_gap(x, bound.upper, low=low, high=high, method=method))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": [1.0]}, "at least two"),
        ({"rewards": [1.0, np.nan]}, "finite"),
        ({"rewards": [1.0, -3.0]}, r"reward 1 is -3 \(1 are off\)"),
        ({"upper": 0.0}, "positive"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"method": "hoeffding"}, "give high"),
        ({"method": "luck"}, "no method"),
    ],
)
def test_bad_input(change, message):
    rewards = change.pop("rewards", [1.0, 2.0])
    upper = change.pop("upper", 3.0)
    with pytest.raises(InvalidModelError, match=message):
        certified_gap(rewards, upper, **change)


def test_degenerate_rewards():
    assert certified_gap([2.0, 2.0], 3.0, low=2.0).gap == pytest.approx(1.0 / 3.0)
    assert certified_gap([0.0, 0.0], 3.0).limit == 0.0
    assert certified_gap(np.full(1000, 3.0), 3.0).gap < 0.01


def test_true_gaps_are_those_of_the_definition():
    model = example()
    policy = np.full((3, 4, 3), 1.0 / 3.0)
    case = gap_case(model, policy, "betting", "example")
    value = float(model.first @ model.value(policy)[0])
    assert case["gaps"] == pytest.approx([(2.55 - value) / 2.55] * 2)
    assert case["episodes"] == EPISODES


@pytest.mark.parametrize("id", ["hawkins2003:chain_discounted", "munos2007:propagation"])
def test_roles_have_their_outcomes_for_another_seed(id):
    assert [repr(v) for v in check_entry(CATALOGUE[id], seed=77) if not v.ok] == []
