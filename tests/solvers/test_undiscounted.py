"""Undiscounted solvers against every policy of small models, solved in fractions."""

from __future__ import annotations

import itertools
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdplib import UndiscountedMDP
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.solution import Status
from solvers.undiscounted import (
    certificate,
    certified_policy_iteration,
    equations,
    interval_iteration,
    optimistic_value_iteration,
    reduction,
)
from tests.enumeration import INF, build, chain_value, complaints, inside, problem, random_model
from tests.mutation import mutant

QUERIES: Any = list(itertools.product(("reachability", "expected_reward"), ("max", "min")))
METHODS = {
    "certified_policy_iteration": certified_policy_iteration.certified_policy_iteration,
    "interval_iteration": interval_iteration.interval_iteration,
    "optimistic_value_iteration": optimistic_value_iteration.optimistic_value_iteration,
}
TIGHT: dict[str, Any] = {"tol": 0.0, "rtol": 1e-9}

# ---------------------------------------------------------------------- random models


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sign", [1, -1])
def test_brackets_contain_the_optimum_and_the_policy(method, sign):
    rng = np.random.default_rng([7, sign + 1])
    for _ in range(60):
        model, target = random_model(rng, sign)
        for criterion, objective in QUERIES:
            said = complaints(METHODS[method], model, criterion, objective, target, **TIGHT)
            assert said == [], (model, target, criterion, objective)


@pytest.mark.parametrize("method", ["certified_policy_iteration", "interval_iteration"])
def test_rewards_of_both_signs_where_every_policy_arrives(method):
    rng = np.random.default_rng(8)
    for _ in range(40):
        model, _ = random_model(rng)
        S = len(model)
        model = [
            [
                ({t: p / 2 for t, p in row.items()} | {S: Fraction(1, 2)}, r - Fraction(1, 3))
                for row, r in pairs
            ]
            for pairs in model
        ] + [[({S: Fraction(1)}, Fraction(0))]]
        for objective in ("max", "min"):
            wrong = complaints(METHODS[method], model, "expected_reward", objective, {S}, tol=1e-9)
            assert wrong == [], (model, objective)


def test_rewards_of_both_signs_are_refused_where_a_policy_may_miss():
    model = [
        [({0: Fraction(1)}, Fraction(1)), ({1: Fraction(1)}, Fraction(-1))],
        [({1: Fraction(1)}, Fraction(0))],
    ]
    for name, solve in METHODS.items():
        with pytest.raises(NotApplicableError, match="rewards of both signs"):
            solve(build(model, "expected_reward", "max", {1}))
        average = problem([0, 1], [0, 1], [0], [1.0], [0], "average_reward", reward=[1.0])
        with pytest.raises(NotApplicableError, match=f"{name} needs a target"):
            solve(average)
        with pytest.raises(InvalidModelError, match="rtol is -1"):
            solve(build(model, "reachability", "max", {1}), rtol=-1)


# ----------------------------------------------------------------- a model with all edges

HALF, TENTH = Fraction(1, 2), Fraction(1, 10)
EDGES = [
    [({1: HALF, 2: HALF}, Fraction(1)), ({3: Fraction(1)}, Fraction(2))],
    [({1: Fraction(1)}, Fraction(0))],
    [({2: Fraction(1)}, Fraction(0))],
    [({3: 1 - TENTH, 4: TENTH}, Fraction(1)), ({3: Fraction(1)}, Fraction(0))],
    [({4: Fraction(1)}, Fraction(0))],
]
ANSWERS = {
    ("expected_reward", "min"): [12, 0, INF, 10, 0],
    ("expected_reward", "max"): [INF, 0, INF, INF, 0],
    ("reachability", "max"): [1, 1, 0, 1, 1],
    ("reachability", "min"): [0, 1, 0, 0, 1],
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("query", QUERIES)
def test_model_with_a_dead_end_a_choice_to_wait_and_two_goals(method, query):
    found = METHODS[method](build(EDGES, query[0], query[1], {1, 4}), **TIGHT)
    wanted = np.array(ANSWERS[query], dtype=float)
    assert (found.lower <= wanted).all()
    assert (wanted <= found.upper).all()
    assert np.array_equal(np.isinf(found.lower), np.isinf(wanted))
    assert found.ok
    assert complaints(METHODS[method], EDGES, query[0], query[1], {1, 4}, **TIGHT) == []


@pytest.mark.parametrize("method", METHODS)
def test_no_target_and_all_targets(method):
    model = [[({1: Fraction(1)}, Fraction(1))], [({0: Fraction(1)}, Fraction(0))]]
    for target in (set(), {0, 1}):
        for criterion, objective in QUERIES:
            assert complaints(METHODS[method], model, criterion, objective, target, **TIGHT) == []


# ----------------------------------------------------------------------- slow mixing


def slow_walk(n: int, p: Fraction = Fraction(7, 10)):
    """A chain of two ladders: each rung leads on or back to the start, with probability 1/2.

    State 0 chooses the ladder to the target with probability p. Expected steps: about 2^(n+1).
    """
    good, bad = 2 * n - 1, 2 * n
    model = [[({1: p, n: 1 - p}, Fraction(1))]]
    for first, last in ((1, good), (n, bad)):
        for i in range(n - 1):
            on = first + i + 1 if i < n - 2 else last
            model.append([({0: HALF, on: HALF}, Fraction(1))])
    return [*model, [({good: Fraction(1)}, Fraction(0))], [({bad: Fraction(1)}, Fraction(0))]]


def slow_steps(n: int) -> Fraction:
    """Expected steps from state 0: v = 1 + e + (1 - 2^-(n-1)) v, e the steps on a ladder."""
    on_ladder = sum(Fraction(1, 2**i) for i in range(n - 1))
    return (1 + on_ladder) * 2 ** (n - 1)


@pytest.mark.parametrize("n", [3, 20, 32])
def test_slow_mixing_is_certified_to_ten_digits(n):
    p = Fraction(7, 10)
    walk = slow_walk(n, p)
    solve = METHODS["certified_policy_iteration"]
    reach = solve(build(walk, "reachability", "max", {2 * n - 1}), tol=0, rtol=1e-10)
    assert reach.ok
    assert inside(p, reach.lower[0], reach.upper[0])
    steps = solve(build(walk, "expected_reward", "min", {2 * n - 1, 2 * n}), tol=0, rtol=1e-10)
    assert steps.ok
    assert inside(slow_steps(n), steps.lower[0], steps.upper[0])


def by_sweeps(mdp: UndiscountedMDP, epsilon: float) -> np.ndarray:
    """Value iteration that stops once values change little: the classical mistake."""
    assert mdp.target is not None
    x = mdp.target.astype(float)
    while True:
        new = np.add.reduceat(mdp.data * x[mdp.indices], mdp.indptr[:-1])
        new[mdp.target] = 1.0
        if np.abs(new - x).max() <= epsilon:
            return new
        x = new


def test_sweeps_that_stop_on_small_changes_are_refuted():
    mdp = build(slow_walk(20), "reachability", "max", {39})
    x = by_sweeps(mdp, 1e-6)
    found = METHODS["certified_policy_iteration"](mdp, tol=1e-9)
    assert x[0] < 0.5 < found.lower[0]
    reduced = reduction.reduce(mdp, "test")
    nodes = reduced.fixed
    nodes[reduced.node] = x
    nodes[: reduction.FIXED] = reduced.fixed[: reduction.FIXED]
    nothing = np.zeros(nodes.size)
    assert not certificate.superharmonic(reduced, nodes, nothing)
    assert not certificate.superharmonic(reduced, nodes * (1 + 1e-6), nothing)
    solve = METHODS["certified_policy_iteration"]
    steps = solve(build(slow_walk(20), "expected_reward", "min", {39, 40}), tol=0, rtol=1e-9)
    good = reduced.fixed
    good[reduced.node] = found.value + 1e-12 * steps.value
    assert certificate.superharmonic(reduced, good, nothing)
    good[reduced.node] = found.value - 1e-12 * steps.value
    assert certificate.subharmonic(reduced, good, nothing)


def test_interval_iteration_says_when_it_is_not_done():
    mdp = build(slow_walk(20), "reachability", "max", {39})
    for name in ("interval_iteration", "optimistic_value_iteration"):
        found = METHODS[name](mdp, max_iterations=2000)
        assert found.status is Status.ITERATION_LIMIT
        assert found.lower[0] <= 0.7 <= found.upper[0]
        assert METHODS[name](mdp, time_limit=0.0).status is Status.TIME_LIMIT
    stopped = METHODS["certified_policy_iteration"](mdp, max_iterations=10)
    assert stopped.status is Status.ITERATION_LIMIT
    assert stopped.lower[0] <= 0.7 <= stopped.upper[0]


# ---------------------------------------------------------------- tiny values, big models


@pytest.mark.parametrize("method", METHODS)
def test_tiny_probabilities_to_nine_digits(method):
    """Each of ten stages passes with probability 1/100, else back to an escape with 1/3."""
    n, p = 10, Fraction(1, 100)
    model = [[({i + 1: p, 0: (1 - p) / 3, n + 1: (1 - p) * 2 / 3}, Fraction(0))] for i in range(n)]
    model += [[({s: Fraction(1)}, Fraction(0))] for s in (n, n + 1)]
    found = METHODS[method](build(model, "reachability", "max", {n}), tol=0, rtol=1e-9)
    assert found.ok
    exact = chain_value([pairs[0] for pairs in model], "reachability", {n}, 1)
    assert exact[0] < Fraction(1, 10**19)
    for s in range(n + 2):
        assert inside(exact[s], found.lower[s], found.upper[s])
    assert found.relative_gap <= 1e-9


def test_progress_log_and_record():
    seen = []
    found = METHODS["certified_policy_iteration"](
        build(slow_walk(8), "reachability", "max", {15}), progress=lambda i, g: seen.append((i, g))
    )
    assert seen[-1][1] == found.gap
    assert "the graph decides 2 of 17 states" in found.stats.log[0]
    assert found.provenance.solver == "certified_policy_iteration"
    assert found.stats.trace[-1][1] == found.gap


# ------------------------------------------------------------------------------ mutants


def first_complaint(solve, tries: int = 150, **options) -> str:
    rng = np.random.default_rng([7, 2])
    for _ in range(tries):
        model, target = random_model(rng)
        for criterion, objective in QUERIES:
            try:
                said = complaints(solve, model, criterion, objective, target, **options)
            except (ArithmeticError, IndexError, ValueError, equations.Unsolved) as error:
                said = [repr(error)]
            if said:
                return said[0]
    return ""


def with_reduction(*changes):
    """The interval solver on a broken reduction."""
    broken = mutant(reduction, *changes)
    copy = mutant(interval_iteration)
    vars(copy)["reduce"] = broken.reduce
    return copy.interval_iteration


MUTANTS = {
    "no collapse": ("staying(mdp, open_) & maximise)", "staying(mdp, open_) & False)"),
    "no collapse of free components": ("(mdp, free & graphs.", "(mdp, ~free & graphs."),
    "policy stays in the component": (
        "    policy[owner] = leave\n",
        "    policy[owner] = leave\n"
        "        for k in np.flatnonzero(self.inside):\n"
        "            policy[mdp.pair_state[k]] = k\n",
    ),
    "any pair on the way to the exit": (
        "(policy < 0, inner, policy)",
        "(policy < 0, mdp.state_ptr[1:] - 1, policy)",
    ),
    "any pair where the value is one": ("(one | zero) & (pair >= 0)", "zero & (pair >= 0)"),
    "minimum infinite too early": ("some = graphs.prob1_max(", "some = graphs.prob1_min("),
    "maximum finite too long": ("every = graphs.prob1_min(", "every = graphs.prob1_max("),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_broken_reductions_are_caught(name):
    assert first_complaint(with_reduction(), tries=20, max_iterations=20_000, **TIGHT) == ""
    assert first_complaint(with_reduction(MUTANTS[name]), max_iterations=20_000, **TIGHT)


def without_rounding():
    """The certified solver with margins and checks that ignore rounding."""
    careless = mutant(
        certificate,
        ("return 1.01 * (3 * reduced.mdp.max_successors + 12) * UNIT", "return 0.0"),
        ("return n * 2.0**-1070 * (1 + 2 * float(np.max(np.abs(x), initial=0.0)))", "return 0.0"),
        ("np.nextafter(low[0] + low[1], -np.inf)", "low[0] + low[1]"),
        ("np.nextafter(high[0] + high[1], np.inf)", "high[0] + high[1]"),
    )
    copy = mutant(certified_policy_iteration)
    vars(copy)["certify"] = careless.certify
    return copy.certified_policy_iteration


def unchecked():
    """The certified solver that believes its floats: no margins, no checks, one unit in the end."""
    believing = mutant(
        certificate,
        ("outer = bound if check(reduced, *bound) else None", "outer = hi, lo"),
        ("inner = bound if check(reduced, *bound, mine) else None", "inner = hi, lo"),
    )
    copy = mutant(
        certified_policy_iteration,
        ("for _ in range(_ROUNDS):", "for _ in range(0):"),
        ("_SHARE = 1e-14", "_SHARE = 1e-6"),
    )
    vars(copy)["certify"] = believing.certify
    return copy.certified_policy_iteration


@pytest.mark.parametrize("broken", [without_rounding, unchecked])
def test_careless_certificates_are_caught(broken):
    assert "outside" in first_complaint(broken(), **TIGHT)


def test_a_policy_that_misses_the_target_is_not_certified():
    model = [
        [({0: HALF, 1: HALF}, Fraction(1)), ({2: Fraction(1)}, Fraction(1))],
        [({1: Fraction(1)}, Fraction(0))],
        [({0: Fraction(1)}, Fraction(1))],
    ]
    reduced = reduction.reduce(build(model, "expected_reward", "min", {1}), "test")
    loop = reduced.start.copy()
    node = reduced.node[0]
    loop[node] = np.flatnonzero(reduced.pair == 1)[0]
    assert certificate.reaches(reduced, reduced.start)
    assert not certificate.reaches(reduced, loop)
    clock = equations.Clock(1000, None)
    own = equations.Equations(reduced.rows, clock, reduced.ends)
    with pytest.raises(equations.Unsolved, match="may miss the target"):
        certificate.certify(reduced, own, loop, reduced.fixed, 0 * reduced.fixed, clock)


# ------------------------------------------------------------- models of others, or like them

PUBLISHED = {  # QVBS, qcomp.org: (file, query, objective, label, value at the initial state)
    ("ij.3", None, "max", "(((q1 + q2) + q3) = 1)", "1"),
    ("cdrive.2", None, "max", "((var6 = 0) & (var5 = 0))", "27560736/31878125"),
    ("pacman.MAXSTEPS-5", None, "min", "Crash", "5511/10000"),
    ("consensus.2.K-2", "steps", "max", "finished", "75"),
    ("consensus.2.K-2", "steps", "min", "finished", "48"),
    ("consensus.2.K-16", "steps", "max", "finished", "3267"),
    ("consensus.2.K-16", "steps", "min", "finished", "3072"),
    ("zeroconf.N-1000_K-8_reset-true", None, "max", "((l = 4) & (ip = 1))",
     "3074024910421/64024003074024910421"),
    ("zeroconf.N-1000_K-8_reset-true", None, "min", "((l = 4) & (ip = 1))",
     "322687697779/64024000322687697779"),
    ("csma.2-2", "time", "max", "all_delivered", "227630345357/3221225472"),
    ("csma.2-2", "time", "min", "all_delivered", "53954981353/805306368"),
    ("firewire_abst.delay-36", "time", "max", "done", "365"),
    ("firewire_abst.delay-36", "time", "min", "done", "409/4"),
    ("haddad-monmege.N-20_p-0.7", None, "max", "Target", "7/10"),
    ("herman.5", "steps", "max", "stable", "16/5"),
    ("coupon.5-2.B-5", "numberDraws", "max", "_ret0_", "751/126"),
}  # fmt: skip


def published(folder: Path):
    from mdplib.io.umb import read_umb

    for name, reward, objective, label, value in sorted(PUBLISHED, key=str):
        model = read_umb(folder / f"{name}.umb")
        if reward is None:
            yield model.reach(label, objective), Fraction(value)
        else:
            yield model.expected_reward(label, objective, reward), Fraction(value)


def generated():
    for n in (4, 9, 14):
        yield build(slow_walk(n), "reachability", "max", {2 * n - 1}), Fraction(7, 10)
        mdp = build(slow_walk(n), "expected_reward", "min", {2 * n - 1, 2 * n})
        yield mdp.replace(initial=np.eye(2 * n + 1)[0]), slow_steps(n)


def test_published_values_or_generated_ones():
    """Read the set where `MDPLIB_QVBS_DIR` points at it; like models otherwise."""
    folder = os.environ.get("MDPLIB_QVBS_DIR")
    for mdp, value in published(Path(folder)) if folder else generated():
        found = METHODS["certified_policy_iteration"](mdp, tol=0, rtol=1e-8)
        assert found.ok
        assert found.relative_gap <= 1e-8
        first = [0] if mdp.initial is None else np.flatnonzero(mdp.initial)
        s = first[np.argmax(found.value[first])]  # the worst of several initial states
        assert inside(value, found.lower[s], found.upper[s]), (mdp, value)
