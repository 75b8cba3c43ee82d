"""Solvers of mixed-integer programs behind one function."""

from __future__ import annotations

import time
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import MdplibError, MissingExtraError, SolverError
from mdplib.optim.mip import MipArrays, MipResult, MipStatus

Backend = Literal["highs", "scipy", "pulp", "gurobi", "scip"]
Floats = NDArray[np.float64]
Found = tuple[MipStatus, Floats | None, float]
"""Status, point, and lower bound without the offset."""


def require_known(backend: str) -> None:
    """Raise MdplibError unless a back end has this name."""
    if backend not in BACKENDS:
        near = get_close_matches(str(backend), BACKENDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise MdplibError(f"no back end {backend!r}; {hint}known: {', '.join(BACKENDS)}")


def solve_mip(
    program: MipArrays,
    backend: Backend = "highs",
    *,
    gap: float = 1e-6,
    time_limit: float | None = None,
    start: ArrayLike | None = None,
) -> MipResult:
    """Minimise a mixed-integer program.

    Parameters
    ----------
    program : MipArrays
        The program.
    backend : {"highs", "scipy", "pulp", "gurobi", "scip"}
        Who solves it; the last three need an extra. "pulp" uses its default solver, see
        `mdplib.optim.pulp_models.solver` for another one.
    gap : float
        Relative gap at which the solver may stop.
    time_limit : float, optional
        Seconds; the best point so far is returned with its bound and status TIME_LIMIT.
    start : (n,) array, optional
        A feasible point to start from; only HiGHS and Gurobi use it.

    Returns
    -------
    MipResult
        Point, value, bound, status. Integer columns are rounded to integers.

    Raises
    ------
    MissingExtraError
        If the back end is not installed.
    MdplibError
        If it is unknown.
    SolverError
        If the solver returns a point that breaks a row by more than 1e-5, relative to the size
        of the program's right-hand sides.

    Examples
    --------
    >>> from mdplib.optim import MipBuilder
    >>> builder = MipBuilder()
    >>> x = builder.columns(3, upper=1.0, cost=[-5.0, -4.0, -3.0], integer=True)
    >>> builder.row(x, [2.0, 3.0, 1.0], upper=5.0)
    >>> result = solve_mip(builder.arrays())
    >>> result.x.tolist(), result.objective, result.status.name
    ([1.0, 1.0, 0.0], -9.0, 'OPTIMAL')
    """
    require_known(backend)
    if not gap >= 0 or (time_limit is not None and not time_limit > 0):
        raise MdplibError(f"gap {gap}, time_limit {time_limit}; give gap >= 0, time_limit > 0")
    started = time.perf_counter()
    point = None if start is None else np.asarray(start, dtype=np.float64)
    if point is not None and (point.shape != program.c.shape or not np.isfinite(point).all()):
        raise MdplibError(
            f"start has shape {point.shape}; give {program.c.size} finite numbers, one per column"
        )
    status, x, bound = BACKENDS[backend](program, gap, time_limit, point)
    seconds = time.perf_counter() - started
    if x is None:
        return MipResult(status, None, np.inf, bound + program.offset, seconds, backend)
    x = np.where(program.integer, np.round(x), x)
    x = np.clip(x, program.col_lower, program.col_upper)
    _check(program, x, backend)
    return MipResult(status, x, program.objective(x), bound + program.offset, seconds, backend)


def _check(program: MipArrays, x: Floats, backend: str) -> None:
    bounds = np.concatenate([program.row_lower, program.row_upper])
    bounds = bounds[np.isfinite(bounds)]
    size = max(1.0, float(np.abs(bounds).max())) if bounds.size else 1.0
    broken = program.violation(x)
    if broken > 1e-5 * size:
        raise SolverError(
            f"{backend} returned a point that breaks a row or bound by {broken:.3g} after its "
            "integer columns were rounded; tighten big-M coefficients or scale the rows"
        )


def _highs(program: MipArrays, gap: float, limit: float | None, start: Floats | None) -> Found:
    import highspy

    from mdplib.optim.lp import highs_program

    rows = (program.row_lower, program.row_upper)
    lp = highs_program(program.c, program.A, rows, (program.col_lower, program.col_upper))
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    lp.integrality_ = [kinds[int(i)] for i in program.integer]
    highs = highspy.Highs()
    for name, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", float(gap))):
        highs.setOptionValue(name, value)
    highs.setOptionValue("mip_abs_gap", 1e-9 if gap < 1e-6 else 1e-6)
    if limit is not None:
        highs.setOptionValue("time_limit", float(limit))
    highs.passModel(lp)
    if start is not None:
        solution = highspy.HighsSolution()
        solution.col_value = start.tolist()
        highs.setSolution(solution)
    highs.run()
    found, info = highs.getModelStatus(), highs.getInfo()
    names = highspy.HighsModelStatus
    status = {
        names.kOptimal: MipStatus.OPTIMAL,
        names.kModelEmpty: MipStatus.OPTIMAL,
        names.kTimeLimit: MipStatus.TIME_LIMIT,
        names.kInfeasible: MipStatus.INFEASIBLE,
        names.kUnbounded: MipStatus.UNBOUNDED,
    }.get(found, MipStatus.FAILED)
    if found == names.kUnboundedOrInfeasible:
        status = _which(program, gap, limit)
    has_point = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    x = np.array(highs.getSolution().col_value) if has_point else None
    if status is MipStatus.INFEASIBLE:
        return status, None, np.inf
    if status is MipStatus.UNBOUNDED:
        return status, None, -np.inf
    mixed = bool(program.integer.any())
    bound = info.mip_dual_bound if mixed else info.objective_function_value
    if not mixed and status is not MipStatus.OPTIMAL:
        bound = -np.inf
    return status, x, float(bound)


def _which(program: MipArrays, gap: float, limit: float | None) -> MipStatus:
    """Tell an infeasible from an unbounded program: without costs it cannot be unbounded."""
    from dataclasses import replace

    status, _, _ = _highs(replace(program, c=np.zeros(program.c.size)), gap, limit, None)
    return MipStatus.INFEASIBLE if status is MipStatus.INFEASIBLE else MipStatus.UNBOUNDED


def _scipy(program: MipArrays, gap: float, limit: float | None, start: Floats | None) -> Found:
    from scipy.optimize import Bounds, LinearConstraint, milp

    options: dict[str, Any] = {"mip_rel_gap": gap}
    if limit is not None:
        options["time_limit"] = limit
    constraints = []
    if program.shape[0]:
        constraints = [LinearConstraint(program.A, program.row_lower, program.row_upper)]
    found = milp(
        program.c,
        integrality=program.integer.astype(int),
        bounds=Bounds(program.col_lower, program.col_upper),
        constraints=constraints,
        options=options,  # pyright: ignore[reportArgumentType]
    )
    codes = {
        0: MipStatus.OPTIMAL,
        1: MipStatus.TIME_LIMIT,
        2: MipStatus.INFEASIBLE,
        3: MipStatus.UNBOUNDED,
    }
    status = codes.get(int(found.status), MipStatus.FAILED)
    if status is MipStatus.INFEASIBLE:
        return status, None, np.inf
    bound: Any = getattr(found, "mip_dual_bound", None)
    if bound is None:
        bound = found.fun if status is MipStatus.OPTIMAL else -np.inf
    return status, found.x, float(bound)


def _pulp(program: MipArrays, gap: float, limit: float | None, start: Floats | None) -> Found:
    from mdplib.optim import pulp_models

    return pulp_models.solve(program, gap, limit)


def _gurobi(program: MipArrays, gap: float, limit: float | None, start: Floats | None) -> Found:
    try:
        import gurobipy as gp  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError("gurobi", "gurobipy") from None
    with gp.Env(params={"OutputFlag": 0, "Threads": 1}) as env, gp.Model(env=env) as model:
        kinds = np.where(program.integer, "I", "C")
        x = model.addMVar(
            program.c.size,
            lb=program.col_lower,
            ub=program.col_upper,
            obj=program.c,
            vtype=kinds,  # pyright: ignore[reportArgumentType]
        )
        for rows, sense in ((program.row_lower, ">"), (program.row_upper, "<")):
            at = np.flatnonzero(np.isfinite(rows))
            if at.size:
                model.addMConstr(program.A[at], x, sense, rows[at])
        model.Params.MIPGap = gap
        if limit is not None:
            model.Params.TimeLimit = limit
        if start is not None:
            x.Start = start
        model.optimize()
        codes = {
            gp.GRB.OPTIMAL: MipStatus.OPTIMAL,
            gp.GRB.TIME_LIMIT: MipStatus.TIME_LIMIT,
            gp.GRB.INFEASIBLE: MipStatus.INFEASIBLE,
            gp.GRB.UNBOUNDED: MipStatus.UNBOUNDED,
        }
        status = codes.get(model.Status, MipStatus.FAILED)
        if status in (MipStatus.INFEASIBLE, MipStatus.UNBOUNDED):
            return status, None, np.inf if status is MipStatus.INFEASIBLE else -np.inf
        point = np.array(x.X) if model.SolCount else None
        return status, point, float(model.ObjBound)


def _scip(program: MipArrays, gap: float, limit: float | None, start: Floats | None) -> Found:
    try:
        import pyscipopt  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError("scip", "pyscipopt") from None
    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("limits/gap", gap)
    if limit is not None:
        model.setParam("limits/time", limit)
    infinite = model.infinity()
    columns = [
        model.addVar(
            lb=max(low, -infinite), ub=min(high, infinite), obj=cost, vtype="I" if whole else "C"
        )
        for low, high, cost, whole in zip(
            program.col_lower, program.col_upper, program.c, program.integer, strict=True
        )
    ]
    A = program.A
    for i in range(A.shape[0]):
        entries = range(int(A.indptr[i]), int(A.indptr[i + 1]))
        activity = pyscipopt.quicksum(A.data[e] * columns[A.indices[e]] for e in entries)
        if np.isfinite(program.row_lower[i]):
            model.addCons(activity >= program.row_lower[i])
        if np.isfinite(program.row_upper[i]):
            model.addCons(activity <= program.row_upper[i])
    model.optimize()
    codes = {
        "optimal": MipStatus.OPTIMAL,
        "gaplimit": MipStatus.OPTIMAL,
        "timelimit": MipStatus.TIME_LIMIT,
        "infeasible": MipStatus.INFEASIBLE,
        "unbounded": MipStatus.UNBOUNDED,
    }
    status = codes.get(model.getStatus(), MipStatus.FAILED)
    if status in (MipStatus.INFEASIBLE, MipStatus.UNBOUNDED):
        return status, None, np.inf if status is MipStatus.INFEASIBLE else -np.inf
    x = np.array([model.getVal(v) for v in columns]) if model.getNSols() else None
    return status, x, float(model.getDualbound())


BACKENDS: dict[str, Callable[[MipArrays, float, float | None, Floats | None], Found]] = {
    "highs": _highs,
    "scipy": _scipy,
    "pulp": _pulp,
    "gurobi": _gurobi,
    "scip": _scip,
}
"""Every back end by name."""
