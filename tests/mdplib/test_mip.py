"""Mixed-integer programs against enumeration, through every back end that is installed."""

import importlib.util
import itertools
from typing import Any

import numpy as np
import pytest

from mdplib.errors import InvalidModelError, MdplibError, MissingExtraError, SolverError
from mdplib.optim import (
    BACKENDS,
    MipArrays,
    MipBuilder,
    MipStatus,
    check_backend,
    from_pulp,
    solve_mip,
    to_pulp,
)
from mdplib.optim.canaries import canaries

MODULES = {"pulp": "pulp", "gurobi": "gurobipy", "scip": "pyscipopt"}
INSTALLED: list[Any] = [
    name for name in BACKENDS if importlib.util.find_spec(MODULES.get(name, "numpy")) is not None
]
ABSENT: list[Any] = [name for name in BACKENDS if name not in INSTALLED]


def random_program(rng: np.random.Generator) -> MipArrays:
    """Draw up to six binary columns and two bounded continuous ones."""
    binary, m = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    builder = MipBuilder(offset=float(rng.normal()))
    builder.columns(binary, upper=1.0, integer=True, cost=rng.normal(size=binary))
    builder.columns(2, lower=-1.0, upper=2.0, cost=rng.normal(size=2))
    A = rng.integers(-3, 4, size=(m, binary + 2)).astype(float)
    for row in A:
        builder.row(np.arange(binary + 2), row, lower=-4.0, upper=float(rng.integers(-3, 4)))
    return builder.arrays()


def brute_force(program: MipArrays) -> float:
    """Fix the binaries every way; the rest is a linear program for scipy."""
    from scipy.optimize import linprog

    n = int(program.integer.sum())
    A = program.A.toarray()
    best = np.inf
    for point in itertools.product((0.0, 1.0), repeat=n):
        used = A[:, :n] @ np.array(point)
        found: Any = linprog(
            program.c[n:],
            A_ub=np.vstack([A[:, n:], -A[:, n:]]),
            b_ub=np.concatenate([program.row_upper - used, used - program.row_lower]),
            bounds=list(zip(program.col_lower[n:], program.col_upper[n:], strict=True)),
        )
        if found.status == 0:
            best = min(best, float(program.c[:n] @ np.array(point)) + found.fun)
    return best + program.offset


@pytest.mark.parametrize("backend", INSTALLED)
def test_random_programs_equal_enumeration(backend):
    rng = np.random.default_rng(5)
    outcomes = set()
    for _ in range(25 if backend == "pulp" else 60):
        program = random_program(rng)
        truth = brute_force(program)
        result = solve_mip(program, backend, gap=0.0)
        outcomes.add(result.status)
        if np.isinf(truth):
            assert result.status is MipStatus.INFEASIBLE
            assert result.x is None
            continue
        assert result.status is MipStatus.OPTIMAL
        assert result.objective == pytest.approx(truth, abs=1e-6)
        assert result.bound <= truth + 1e-6
        assert result.gap <= 1e-6
        assert program.violation(result.require()) <= 1e-6
        assert program.objective(result.require()) == pytest.approx(result.objective)
    assert outcomes == {MipStatus.OPTIMAL, MipStatus.INFEASIBLE}


@pytest.mark.parametrize("backend", INSTALLED)
def test_the_canaries_sing(backend):
    check_backend(backend)


def test_a_lying_solver_is_caught(monkeypatch):
    honest = BACKENDS["highs"]

    def shy(program, gap, limit, start):
        """Return the bound of the relaxation as the optimum, as a broken release would."""
        relaxed = MipArrays(
            program.c, program.A, program.row_lower, program.row_upper,
            program.col_lower, program.col_upper, np.zeros(program.c.size, dtype=bool),
        )  # fmt: skip
        return honest(relaxed, gap, limit, start)

    monkeypatch.setitem(BACKENDS, "highs", shy)
    with pytest.raises(SolverError):
        check_backend("highs")


@pytest.mark.parametrize("backend", INSTALLED)
def test_an_unbounded_program_is_said_to_be_unbounded(backend):
    builder = MipBuilder()
    builder.row(builder.columns(2, cost=[-1.0, 1.0], integer=[True, False]), [1.0, -1.0], upper=0.5)
    builder.row([1], lower=0.0)
    program = builder.arrays()
    free = MipArrays(
        np.array([-1.0, 0.0]), program.A, program.row_lower, program.row_upper,
        program.col_lower, program.col_upper, program.integer,
    )  # fmt: skip
    result = solve_mip(free, backend)
    assert result.x is None
    assert result.status in (MipStatus.UNBOUNDED, MipStatus.FAILED)
    with pytest.raises(SolverError, match="found no point"):
        result.require()


def hard_knapsack() -> MipArrays:
    rng = np.random.default_rng(0)
    n = 60
    builder = MipBuilder()
    x = builder.columns(n, upper=1.0, integer=True, cost=-rng.integers(100, 200, n).astype(float))
    for _ in range(12):
        weights = rng.integers(100, 200, n).astype(float)
        builder.row(x, weights, upper=float(weights.sum() // 2))
    return builder.arrays()


@pytest.mark.parametrize("backend", ["highs", "scipy"])
def test_a_time_limit_returns_the_best_point_with_its_bound(backend):
    result = solve_mip(hard_knapsack(), backend, gap=0.0, time_limit=0.5)
    assert result.status is MipStatus.TIME_LIMIT
    assert result.x is not None
    assert result.bound < result.objective
    assert 0 < result.gap < 1
    assert "time limit" in result.status.sentence


def test_a_loose_gap_is_kept():
    program = hard_knapsack()
    loose = solve_mip(program, gap=0.02)
    assert loose.status is MipStatus.OPTIMAL
    assert loose.gap <= 0.02 + 1e-9
    assert loose.bound <= loose.objective


def test_a_start_is_accepted():
    program = next(c.program for c in canaries() if c.name == "knapsack")
    assert solve_mip(program, start=np.zeros(6)).objective == pytest.approx(-16.5)


def test_a_program_without_rows_and_one_without_integers():
    builder = MipBuilder()
    builder.columns(2, lower=-1.0, upper=2.0, cost=[1.0, -1.0])
    for backend in ("highs", "scipy"):
        result = solve_mip(builder.arrays(), backend)
        assert result.objective == pytest.approx(-3.0)
        assert result.bound == pytest.approx(-3.0)


@pytest.mark.parametrize("backend", ABSENT)
def test_an_absent_back_end_names_its_extra(backend):
    with pytest.raises(MissingExtraError, match=backend):
        solve_mip(canaries()[0].program, backend)


def test_bad_programs_are_named():
    builder = MipBuilder()
    builder.columns(2, lower=[0.0, 3.0], upper=[1.0, 2.0])
    with pytest.raises(InvalidModelError, match="column 1 has lower bound 3 and upper bound 2"):
        builder.arrays()
    with pytest.raises(InvalidModelError, match="names column 5; there are 2"):
        builder.row([5])
    bad = MipBuilder()
    bad.columns(1, cost=np.nan)
    with pytest.raises(InvalidModelError, match="c has an entry that is not finite"):
        bad.arrays()
    unknown: Any = "higs"
    with pytest.raises(MdplibError, match="did you mean 'highs'"):
        solve_mip(canaries()[0].program, unknown)
    with pytest.raises(MdplibError, match="gap -1"):
        solve_mip(canaries()[0].program, gap=-1.0)


def test_pulp_models_make_the_round_trip(tmp_path):
    from mdplib.optim.pulp_models import write

    for canary in canaries():
        again, names = from_pulp(to_pulp(canary.program))
        order = np.argsort([int(name[1:]) for name in names])
        assert again.c[order] == pytest.approx(canary.program.c)
        if canary.optimum is not None:
            assert solve_mip(again, gap=0.0).objective == pytest.approx(canary.optimum)
    write(canaries()[0].program, tmp_path / "knapsack.lp")
    assert "x5" in (tmp_path / "knapsack.lp").read_text()
    with pytest.raises(InvalidModelError, match="ending"):
        write(canaries()[0].program, tmp_path / "knapsack.txt")


def test_maximisation_and_constants_of_pulp():
    import pulp

    problem = pulp.LpProblem("p", pulp.LpMaximize)
    x = problem.add_variable("x", -2, 7, "Integer")
    y = problem.add_variable("y", None, None)
    problem += 2 * x - y + 5
    problem += x - y <= 1.5
    problem += y <= 3
    arrays, names = from_pulp(problem)
    result = solve_mip(arrays)
    assert -result.objective == pytest.approx(2 * 4 - 2.5 + 5)
    assert dict(zip(names, result.require(), strict=True)) == pytest.approx({"x": 4, "y": 2.5})
    with pytest.raises(InvalidModelError, match="no variable"):
        from_pulp(pulp.LpProblem("empty"))
