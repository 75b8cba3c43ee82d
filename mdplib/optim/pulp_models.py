"""Models written with PuLP, both ways: arrays from a model, a model from arrays.

PuLP is a convenient language for the constraints of an action set; it is converted once to
arrays, and solves go through `solve_mip`. The other way round, any solver that PuLP reaches can
solve arrays, and a program can be written to an LP or MPS file to be looked at.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError, MissingExtraError
from mdplib.optim.builder import MipBuilder
from mdplib.optim.mip import MipArrays, MipStatus

if TYPE_CHECKING:
    import pulp

Floats = NDArray[np.float64]


def _pulp() -> Any:
    try:
        import pulp
    except ImportError:
        raise MissingExtraError("pulp", "pulp") from None
    return pulp


def from_pulp(problem: pulp.LpProblem) -> tuple[MipArrays, tuple[str, ...]]:
    """Return the arrays of a PuLP model, to be minimised.

    Parameters
    ----------
    problem : pulp.LpProblem
        Linear model; a maximisation gets its costs negated.

    Returns
    -------
    arrays : MipArrays
        The program; columns in the order of ``problem.variables()``.
    names : tuple of str
        Names of the columns.

    Raises
    ------
    MissingExtraError
        If PuLP is not installed.
    InvalidModelError
        If it is no PuLP model, or has no variable.

    Examples
    --------
    >>> import pulp
    >>> problem = pulp.LpProblem("knapsack", pulp.LpMaximize)
    >>> x = [problem.add_variable(f"x{j}", cat="Binary") for j in range(2)]
    >>> problem += 3 * x[0] + 2 * x[1]
    >>> problem += x[0] + x[1] <= 1
    >>> arrays, names = from_pulp(problem)
    >>> arrays.c.tolist(), names
    ([-3.0, -2.0], ('x0', 'x1'))
    """
    pulp = _pulp()
    if not isinstance(problem, pulp.LpProblem):
        raise InvalidModelError(f"a PuLP model is expected and not {type(problem).__name__}")
    variables = problem.variables()
    if not variables:
        raise InvalidModelError("the PuLP model has no variable; add constraints that use some")
    place = {variable.name: j for j, variable in enumerate(variables)}
    sign = -1.0 if problem.sense == pulp.LpMaximize else 1.0
    objective = problem.objective if problem.objective is not None else {}
    cost = np.zeros(len(variables))
    for variable, weight in objective.items():
        cost[place[variable.name]] += sign * weight
    builder = MipBuilder(offset=sign * float(getattr(objective, "constant", 0.0) or 0.0))
    builder.columns(
        len(variables),
        lower=[-np.inf if v.lowBound is None else v.lowBound for v in variables],
        upper=[np.inf if v.upBound is None else v.upBound for v in variables],
        cost=cost,
        integer=[v.cat == pulp.LpInteger for v in variables],
    )
    for constraint in problem.constraints():
        terms = list(constraint.items())
        right = -float(constraint.constant)
        builder.row(
            [place[variable.name] for variable, _ in terms],
            [float(weight) for _, weight in terms],
            lower=-np.inf if constraint.sense == pulp.LpConstraintLE else right,
            upper=np.inf if constraint.sense == pulp.LpConstraintGE else right,
        )
    return builder.arrays(), tuple(place)


def to_pulp(program: MipArrays, name: str = "program") -> pulp.LpProblem:
    """Return a program as a PuLP model with columns ``x0``, ``x1``, ...

    Parameters
    ----------
    program : MipArrays
        The program.
    name : str
        Name of the model.

    Returns
    -------
    pulp.LpProblem

    Raises
    ------
    MissingExtraError
        If PuLP is not installed.

    Examples
    --------
    >>> from mdplib.optim import MipBuilder
    >>> builder = MipBuilder()
    >>> builder.row(builder.columns(1, upper=3.0, cost=-1.0), upper=2.0)
    >>> len(to_pulp(builder.arrays()).constraints())
    1
    """
    pulp = _pulp()
    problem = pulp.LpProblem(name, pulp.LpMinimize)
    limits = [
        (None if np.isinf(low) else float(low), None if np.isinf(high) else float(high))
        for low, high in zip(program.col_lower, program.col_upper, strict=True)
    ]
    x = [
        problem.add_variable(f"x{j}", low, high, "Integer" if program.integer[j] else "Continuous")
        for j, (low, high) in enumerate(limits)
    ]
    problem += pulp.lpSum(c * v for c, v in zip(program.c, x, strict=True)) + program.offset
    A = program.A
    for i in range(A.shape[0]):
        entries = range(int(A.indptr[i]), int(A.indptr[i + 1]))
        activity = pulp.lpSum(float(A.data[e]) * x[A.indices[e]] for e in entries)
        low, high = float(program.row_lower[i]), float(program.row_upper[i])
        if low == high:
            problem += activity == low, f"row{i}"
            continue
        if np.isfinite(low):
            problem += activity >= low, f"row{i}_lower"
        if np.isfinite(high):
            problem += activity <= high, f"row{i}_upper"
    return problem


def write(program: MipArrays, path: Path | str) -> None:
    """Write a program to a file, to be looked at or given to another solver.

    Parameters
    ----------
    program : MipArrays
        The program.
    path : Path or str
        Ends in .lp or .mps.

    Raises
    ------
    InvalidModelError
        On another ending.
    MissingExtraError
        If PuLP is not installed.
    """
    suffix = Path(path).suffix
    if suffix not in (".lp", ".mps"):
        raise InvalidModelError(f"{path} ends in {suffix!r}; give it the ending .lp or .mps")
    problem = to_pulp(program)
    (problem.writeLP if suffix == ".lp" else problem.writeMPS)(str(path))


def _default(pulp: Any, gap: float, time_limit: float | None) -> Any:
    """Return CBC from the path, else the CBC that older releases bundle, else HiGHS."""
    options = {"msg": False, "gapRel": gap, "timeLimit": time_limit}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name in ("COIN_CMD", "PULP_CBC_CMD"):
            if hasattr(pulp, name):
                solver = getattr(pulp, name)(threads=1, **options)
                if solver.available():
                    return solver
    return pulp.HiGHS(**options)


def solve(
    program: MipArrays, gap: float, time_limit: float | None, solver: Any = None
) -> tuple[MipStatus, Floats | None, float]:
    """Solve a program with a solver of PuLP: CBC where there is one, otherwise HiGHS.

    Parameters
    ----------
    program : MipArrays
        The program.
    gap : float
        Relative gap.
    time_limit : float or None
        Seconds.
    solver : pulp solver, optional
        Such as ``pulp.getSolver("HiGHS")``.

    Returns
    -------
    status : MipStatus
        How it ended.
    x : (n,) float64 or None
        The point.
    bound : float
        PuLP reports none: the value at an optimal point less the gap, otherwise -inf.

    Raises
    ------
    MissingExtraError
        If PuLP is not installed.
    """
    pulp = _pulp()
    problem = to_pulp(program)
    if solver is None:
        solver = _default(pulp, gap, time_limit)
    problem.solve(solver)
    variables = {v.name: v.value() for v in problem.variables()}
    values = [variables.get(f"x{j}", 0.0) for j in range(program.c.size)]
    complete = None not in values
    status = {
        pulp.LpStatusOptimal: MipStatus.OPTIMAL,
        pulp.LpStatusInfeasible: MipStatus.INFEASIBLE,
        pulp.LpStatusUnbounded: MipStatus.UNBOUNDED,
    }.get(problem.status, MipStatus.FAILED)
    if status is MipStatus.OPTIMAL and problem.sol_status == pulp.LpSolutionIntegerFeasible:
        status = MipStatus.TIME_LIMIT
    if status is MipStatus.INFEASIBLE:
        return status, None, np.inf
    if status is not MipStatus.OPTIMAL:
        has_point = status is MipStatus.TIME_LIMIT and complete
        return status, np.array(values) if has_point else None, -np.inf
    x = np.array(values, dtype=np.float64)
    value = float(program.c @ x)
    return status, x, value - gap * abs(value + program.offset)
