"""Linear programs through HiGHS.

HiGHS works in floating point with its own tolerances, so nothing here is a proof: callers turn
the primal and dual vectors into certificates of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import SolverError

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
    import highspy

    m, n = A.shape
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n, m
    lp.col_cost_ = c
    lp.col_lower_, lp.col_upper_ = np.full(n, -highspy.kHighsInf), np.full(n, highspy.kHighsInf)
    lp.row_lower_, lp.row_upper_ = row_lower, np.full(m, highspy.kHighsInf)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = A.indptr.astype(np.int32)
    lp.a_matrix_.index_ = A.indices.astype(np.int32)
    lp.a_matrix_.value_ = A.data
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    if time_limit is not None:
        highs.setOptionValue("time_limit", float(time_limit))
    highs.passModel(lp)
    highs.run()
    status = highs.getModelStatus()
    done = status == highspy.HighsModelStatus.kOptimal
    if not done and status != highspy.HighsModelStatus.kTimeLimit:
        raise SolverError(f"HiGHS stopped with status {highs.modelStatusToString(status)}")
    solution = highs.getSolution()
    return LinearProgramResult(
        np.array(solution.col_value),
        np.array(solution.row_dual),
        highs.getInfo().objective_function_value,
        done,
    )
