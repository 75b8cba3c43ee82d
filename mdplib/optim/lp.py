"""Linear programs through HiGHS.

HiGHS works in floating point with its own tolerances, so nothing here is a proof: callers turn
the primal and dual vectors into certificates of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import SolverError
from mdplib.optim.mip import MipArrays

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearProgramResult:
    """Primal and dual vectors of a linear program.

    Parameters
    ----------
    x : (n,) float64
        Primal point.
    dual : (m,) float64
        Multipliers of the rows; non-negative for rows ``A x >= b`` of a minimisation.
    objective : float
        Value at x.
    optimal : bool
        Whether HiGHS claims optimality (within its tolerances); False after its time limit.
    """

    x: Floats
    dual: Floats
    objective: float
    optimal: bool


def solve_lp(
    c: Floats,
    A: csr_array,
    row_lower: Floats,
    *,
    time_limit: float | None = None,
) -> LinearProgramResult:
    """Minimise ``c @ x`` subject to ``A @ x >= row_lower``, x free.

    Parameters
    ----------
    c : (n,) float64
        Costs.
    A : (m, n) csr_array
        Rows.
    row_lower : (m,) float64
        Right-hand sides.
    time_limit : float, optional
        Seconds.

    Returns
    -------
    LinearProgramResult

    Raises
    ------
    SolverError
        If HiGHS finds the program infeasible, unbounded, or fails.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> result = solve_lp(np.ones(1), sp.csr_array([[1.0], [2.0]]), np.array([1.0, 4.0]))
    >>> result.x.tolist(), result.dual[1].item()
    ([2.0], 0.5)
    """
    m, n = A.shape
    free = np.full(n, np.inf)
    return _run(c, A, (row_lower, np.full(m, np.inf)), (-free, free), 0.0, time_limit)


def solve_relaxation(program: MipArrays, *, time_limit: float | None = None) -> LinearProgramResult:
    """Minimise a mixed-integer program without its integrality.

    Parameters
    ----------
    program : MipArrays
        The program.
    time_limit : float, optional
        Seconds.

    Returns
    -------
    LinearProgramResult
        The dual of a row is the rate at which the optimal value changes with its bound.

    Raises
    ------
    SolverError
        If HiGHS finds the program infeasible, unbounded, or fails.

    Examples
    --------
    >>> from mdplib.optim import MipBuilder
    >>> builder = MipBuilder()
    >>> builder.row(builder.columns(2, upper=1.0, cost=[-2.0, -1.0], integer=True), upper=1.5)
    >>> result = solve_relaxation(builder.arrays())
    >>> result.x.tolist(), result.dual.tolist(), result.objective
    ([1.0, 0.5], [-1.0], -2.5)
    """
    rows = (program.row_lower, program.row_upper)
    columns = (program.col_lower, program.col_upper)
    return _run(program.c, program.A, rows, columns, program.offset, time_limit)


def _run(
    c: Floats,
    A: csr_array,
    rows: tuple[Floats, Floats],
    columns: tuple[Floats, Floats],
    offset: float,
    time_limit: float | None,
) -> LinearProgramResult:
    import highspy

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    if time_limit is not None:
        highs.setOptionValue("time_limit", float(time_limit))
    highs.passModel(highs_program(c, A, rows, columns))
    highs.run()
    status = highs.getModelStatus()
    done = status == highspy.HighsModelStatus.kOptimal
    if not done and status != highspy.HighsModelStatus.kTimeLimit:
        raise SolverError(f"HiGHS stopped with status {highs.modelStatusToString(status)}")
    solution = highs.getSolution()
    return LinearProgramResult(
        np.array(solution.col_value),
        np.array(solution.row_dual),
        highs.getInfo().objective_function_value + offset,
        done,
    )


def highs_program(
    c: Floats, A: csr_array, rows: tuple[Floats, Floats], columns: tuple[Floats, Floats]
) -> Any:
    """Return the arrays of a linear program as HiGHS takes them."""
    import highspy

    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = A.shape
    lp.col_cost_ = c
    lp.col_lower_, lp.col_upper_ = columns
    lp.row_lower_, lp.row_upper_ = rows
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = A.indptr.astype(np.int32)
    lp.a_matrix_.index_ = A.indices.astype(np.int32)
    lp.a_matrix_.value_ = A.data
    return lp
