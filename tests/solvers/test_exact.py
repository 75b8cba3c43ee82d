"""Exact solvers: against oracles, published fractions, and from the worst possible start."""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import solvers.tabular.exact as tabular
import solvers.undiscounted.exact as undiscounted
from mdplib import DeterministicPolicy, LabelledMDP, Solution, Status, TabularMDP, UndiscountedMDP
from mdplib.errors import InvalidModelError, MissingExtraError, NotApplicableError
from mdplib.exact.numbers import neighbours
from mdplib.exact.rows import ExactRows
from mdplib.io.umb import read_umb
from mdplib.models import garnet
from mdplib.rational import simplest_fraction
from mdplib.testing import random_mdp
from solvers.tabular.exact import exact_policy_iteration
from solvers.undiscounted.certified_policy_iteration import certified_policy_iteration
from solvers.undiscounted.exact import exact_undiscounted
from tests import oracles, undiscounted_oracle
from tests.undiscounted_family import Criterion, Objective, random_undiscounted

INF = float("inf")


def exact_of(solution: Solution) -> list[Any]:
    assert solution.exact is not None
    assert solution.ok
    low, high = neighbours(solution.exact)
    assert np.array_equal(np.ravel(solution.lower), low)
    assert np.array_equal(np.ravel(solution.upper), high)
    return list(solution.exact)


# -------------------------------------------------------------------------- discounted


@pytest.mark.parametrize("finite", [False, True])
def test_simplest_reading(finite: bool):
    """Decimals and small fractions mean what they say."""
    rng = np.random.default_rng(6)
    for _ in range(20):
        weights = rng.integers(0, 5, size=(4, 2, 4)) + np.eye(4, dtype=int)[:, None]
        P = weights / weights.sum(axis=2, keepdims=True)
        r = np.round(rng.normal(size=(4, 2)), 2)
        mdp = TabularMDP.from_dense(P, r, gamma=0.9, horizon=3 if finite else None)

        def number(x: float):
            return oracles.fmpq(*simplest_fraction(x).as_integer_ratio())

        found = exact_of(exact_policy_iteration(mdp, reading="simplest"))
        assert found == oracles.flat(oracles.optimum(mdp, number))
        assert found != exact_of(exact_policy_iteration(mdp))


def test_readings_are_named():
    mdp = TabularMDP.from_dense([[[1.0]]], [[0.1]], gamma=0.5)
    with pytest.raises(InvalidModelError, match="'stored' or 'simplest' expected"):
        exact_policy_iteration(mdp, reading="decimal")  # type: ignore[arg-type]
    solution = exact_policy_iteration(mdp, reading="simplest")
    assert exact_of(solution) == [Fraction(1, 5)]
    assert solution.provenance.options["reading"] == "simplest"
    assert any("simplest" in line for line in solution.stats.log)


def test_solves_the_optimality_equation_of_a_large_model():
    """Checked row by row with Python's fractions; denominators have thousands of bits."""
    mdp = garnet(60, 3, 4, np.random.default_rng(2), 0.95)
    V = exact_of(exact_policy_iteration(mdp))
    model = oracles.plain(mdp, Fraction)
    assert all(max(oracles.q(model, c, V) for c in model.choices[0][s]) == V[s] for s in range(60))
    assert max(v.denominator.bit_length() for v in V) > 5000


def worst(rough: Any):
    """Replace the policy of the floating-point run by the first pair of each state."""

    def run(mdp: TabularMDP, **options: Any) -> Solution:
        policy = DeterministicPolicy.from_pairs(mdp, mdp.state_ptr[:-1])
        return dataclasses.replace(rough(mdp, **options), policy=policy)

    return run


def test_any_start_ends_at_the_optimum(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tabular, "policy_iteration", worst(tabular.policy_iteration))
    improved = 0
    for i in range(60):
        mdp = random_mdp(np.random.default_rng([9, i]), finite_horizon=False, max_states=6)
        solution = exact_policy_iteration(mdp)
        assert exact_of(solution) == oracles.optimum(mdp)
        improved += solution.stats.iterations > 1
    assert improved > 20


def test_differences_below_rounding_are_seen():
    """Two actions whose values differ by less than a float can tell, either way."""
    for side in (0.0, 1.0):
        late = float(np.nextafter(0.2, side))
        P = [[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0, 1.0, 0]] * 2, [[0, 1.0, 0]] * 2]
        r = [[0.1, 0.0], [0.0, 0.0], [late, late]]
        mdp = TabularMDP.from_dense(P, r, gamma=0.5)
        solution = exact_policy_iteration(mdp)
        assert exact_of(solution)[0] == max(Fraction(0.1), Fraction(late) / 2)
        assert solution.policy.probs(0)[0] == (0 if side == 0.0 else 1)


@pytest.mark.parametrize("reading", ["stored", "simplest"])
@pytest.mark.parametrize("limit", [{"max_iterations": 0}, {"time_limit": 0.0}])
def test_limits_leave_true_bounds(reading: Any, limit: dict[str, Any]):
    mdp = garnet(30, 2, 3, np.random.default_rng(0), 0.9)
    truth = exact_of(exact_policy_iteration(mdp, reading=reading))
    solution = exact_policy_iteration(mdp, reading=reading, **limit)
    assert solution.status is (
        Status.TIME_LIMIT if "time_limit" in limit else Status.ITERATION_LIMIT
    )
    assert solution.exact is None
    assert not oracles.outside(solution.lower, solution.upper, truth)


# ------------------------------------------------------------------------ undiscounted


def edge_case() -> LabelledMDP:
    """Five states, seven choices, every infinity."""
    rows = [{1: 0.5, 2: 0.5}, {3: 1.0}, {1: 1.0}, {2: 1.0}, {3: 0.9, 4: 0.1}, {3: 1.0}, {4: 1.0}]
    indptr = np.cumsum([0] + [len(row) for row in rows])
    arrays: Any = (
        [0, 2, 3, 4, 6, 7],
        indptr,
        [t for row in rows for t in row],
        [p for row in rows for p in row.values()],
        [0, 1, 0, 0, 0, 1, 0],
    )
    cost = np.array([1.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    goal: Any = np.array([False, True, False, False, True])
    return LabelledMDP(*arrays, rewards={"cost": cost}, labels={"goal": goal})


def test_edge_case():
    """Values found by a model checker in rational arithmetic."""
    model = edge_case()
    for problem, values in (
        (model.expected_reward("goal", "min"), [12, 0, INF, 10, 0]),
        (model.expected_reward("goal", "max"), [INF, 0, INF, INF, 0]),
        (model.reach("goal", "max"), [1, 1, 0, 1, 1]),
        (model.reach("goal", "min"), [0, 1, 0, 0, 1]),
    ):
        assert exact_of(exact_undiscounted(problem)) == values
    costs = model.replace(rewards={"cost": -model.rewards["cost"]})
    assert exact_of(exact_undiscounted(costs.expected_reward("goal", "max"))) == [
        -12, 0, -INF, -10, 0,
    ]  # fmt: skip


def two_ladders(N: int, criterion: Criterion, p: float = 0.7) -> UndiscountedMDP:
    """Climb N steps to one of two ends; every step falls back to the start with 1/2."""
    rows = [{1: p, N + 1: 1 - p}]
    for first in (1, N + 1):
        rows += [{0: 0.5, i + 1: 0.5} for i in range(first, first + N - 1)]
        rows.append({first + N - 1: 1.0})
    paid: dict[str, Any] = {"reward": np.ones(len(rows))}
    arrays: Any = (
        np.arange(len(rows) + 1),
        np.cumsum([0] + [len(row) for row in rows]),
        [t for row in rows for t in sorted(row)],
        [row[t] for row in rows for t in sorted(row)],
        [0] * len(rows),
    )
    reach = criterion == "reachability"
    target: Any = [N] if reach else [N, 2 * N]
    return UndiscountedMDP(*arrays, criterion=criterion, target=target, **({} if reach else paid))


@pytest.mark.parametrize("N", [1, 20, 300])
def test_ladders(N: int):
    """A chain that mixes in 2^N steps, from which floating point takes all its digits."""
    assert exact_of(exact_undiscounted(two_ladders(N, "reachability")))[0] == Fraction(7, 10)
    steps = exact_of(exact_undiscounted(two_ladders(N, "expected_reward")))[0]
    assert steps == 3 * 2 ** (N - 1) - 2


def test_values_below_the_floats():
    N, p = 3, Fraction(1, 10**150)
    rows = [{i + 1: p, N + 1: 1 - p} for i in range(N)] + [{N: Fraction(1)}, {N + 1: Fraction(1)}]
    numbers = [row[t] for row in rows for t in sorted(row)]
    arrays: Any = (
        np.arange(N + 3),
        np.cumsum([0] + [len(row) for row in rows]),
        [t for row in rows for t in sorted(row)],
        [float(x) for x in numbers],
        [0] * (N + 2),
    )
    target: Any = [N]
    mdp = UndiscountedMDP(*arrays, criterion="reachability", target=target, rational=tuple(numbers))
    solution = exact_undiscounted(mdp)
    assert exact_of(solution)[0] == p**3
    assert (solution.lower[0], solution.upper[0]) == (0.0, 5e-324)


def test_any_policy_that_gets_there_is_a_start(monkeypatch: pytest.MonkeyPatch):
    """From the first proper policy, rational improvement alone ends at the optimum."""
    monkeypatch.setattr(
        undiscounted._Task, "rough", lambda self: np.array(self.reduced.start, dtype=np.int32)
    )
    improved = 0
    for criterion in get_args(Criterion):
        for objective in get_args(Objective):
            for i in range(90):
                mdp = random_undiscounted(np.random.default_rng([3, i]), criterion, objective)
                if undiscounted_oracle.mixed(mdp) and undiscounted_oracle.may_miss(mdp):
                    continue
                solution = exact_undiscounted(mdp)
                assert exact_of(solution) == undiscounted_oracle.optimum(mdp)
                improved += solution.stats.iterations > 1
    assert improved > 20


def test_mutant_that_never_improves_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tabular, "policy_iteration", worst(tabular.policy_iteration))
    monkeypatch.setattr(
        undiscounted._Task, "rough", lambda self: np.array(self.reduced.start, dtype=np.int32)
    )
    monkeypatch.setattr(ExactRows, "improve", lambda *_: ({}, {}))
    wrong = [0, 0]
    for i in range(120):
        rng = np.random.default_rng([9, i])
        mdp = random_mdp(rng, finite_horizon=False, max_states=6)
        wrong[0] += list(exact_policy_iteration(mdp).exact or ()) != oracles.optimum(mdp)
        asked = random_undiscounted(rng, "reachability", "max")
        found = list(exact_undiscounted(asked).exact or ())
        wrong[1] += found != undiscounted_oracle.optimum(asked)
    assert min(wrong) > 0


@pytest.mark.parametrize("limit", [{"max_iterations": 0}, {"time_limit": 0.0}])
def test_undiscounted_limits_leave_true_bounds(limit: dict[str, Any]):
    mdp = edge_case().expected_reward("goal", "min")
    solution = exact_undiscounted(mdp, **limit)
    assert solution.status is (
        Status.TIME_LIMIT if "time_limit" in limit else Status.ITERATION_LIMIT
    )
    assert solution.exact is None
    values = [12, 0, INF, 10, 0]
    assert np.all((solution.lower <= values) & (values <= solution.upper))


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch):
    model = edge_case()
    with pytest.raises(NotApplicableError, match="needs a target"):
        exact_undiscounted(model.average_reward())
    both = model.replace(rewards={"cost": np.array([1.0, -2, 0, 0, 1, 0, 0])})
    with pytest.raises(NotApplicableError, match="both signs"):
        exact_undiscounted(both.expected_reward("goal"))
    monkeypatch.setitem(__import__("sys").modules, "flint", None)
    with pytest.raises(MissingExtraError, match="flint"):
        exact_undiscounted(model.reach("goal"))


# Values at the initial state: facts of the Quantitative Verification Benchmark Set (qcomp.org).
REFERENCES: dict[str, list[tuple[Objective, str, str | None, str]]] = {
    "ij.3": [("max", "(((q1 + q2) + q3) = 1)", None, "1")],
    "cdrive.2": [("max", "((var6 = 0) & (var5 = 0))", None, "27560736/31878125")],
    "pacman.MAXSTEPS-5": [("min", "Crash", None, "5511/10000")],
    "consensus.2.K-2": [("max", "finished", "steps", "75"), ("min", "finished", "steps", "48")],
    "consensus.2.K-16": [
        ("max", "finished", "steps", "3267"),
        ("min", "finished", "steps", "3072"),
    ],
    "zeroconf.N-1000_K-8_reset-true": [
        ("max", "((l = 4) & (ip = 1))", None, "3074024910421/64024003074024910421"),
        ("min", "((l = 4) & (ip = 1))", None, "322687697779/64024000322687697779"),
    ],
    "csma.2-2": [
        ("max", "all_delivered", "time", "227630345357/3221225472"),
        ("min", "all_delivered", "time", "53954981353/805306368"),
    ],
    "firewire_abst.delay-36": [("max", "done", "time", "365"), ("min", "done", "time", "409/4")],
    "haddad-monmege.N-20_p-0.7": [("max", "Target", None, "7/10")],
    "herman.5": [("max", "stable", "steps", "16/5")],
    "coupon.5-2.B-5": [("max", "_ret0_", "numberDraws", "751/126")],
}


def test_benchmark_set():
    """Published fractions, of the models in the folder MDPLIB_QVBS_DIR if it is set."""
    folder = os.environ.get("MDPLIB_QVBS_DIR")
    files = {} if folder is None else {p.stem: p for p in Path(folder).glob("*.umb")}
    present = [name for name in REFERENCES if name in files]
    assert folder is None or present
    for name in present:
        model = read_umb(files[name])
        assert model.initial is not None
        for objective, target, reward, value in REFERENCES[name]:
            if reward is None:
                problem = model.reach(target, objective)
            else:
                problem = model.expected_reward(target, objective, reward)
            exact = exact_of(exact_undiscounted(problem))
            bracket = certified_policy_iteration(problem, tol=0.0, rtol=1e-8)
            assert max(exact[s] for s in np.flatnonzero(model.initial)) == Fraction(value), name
            assert bracket.relative_gap <= 1e-8
            for low, x, high in zip(bracket.lower, exact, bracket.upper, strict=True):
                assert low <= x <= high
