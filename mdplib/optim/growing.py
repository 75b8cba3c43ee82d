"""A linear program that receives columns between solves, for column generation.

The solver keeps its basis, so each solve continues from the one before. As in `mdplib.optim.lp`,
nothing here is a proof: callers turn the vectors into certificates of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError, SolverError
from mdplib.optim.lp import LinearProgramResult, highs_program
from mdplib.optim.mip import MipArrays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class GrowingProgram:
    """A program without its integrality, to be minimised, to which columns are added.

    Parameters
    ----------
    program : MipArrays
        Where it begins.

    Examples
    --------
    >>> from mdplib.optim import MipBuilder
    >>> builder = MipBuilder()
    >>> builder.row(builder.columns(1, cost=3.0), lower=2.0)
    >>> growing = GrowingProgram(builder.arrays())
    >>> growing.solve().objective
    6.0
    >>> growing.add([1.0], [0, 1], [0], [1.0])
    >>> growing.solve().objective
    2.0
    """

    def __init__(self, program: MipArrays):
        import highspy

        self.offset, self.n_rows = program.offset, program.shape[0]
        self._names = highspy.HighsModelStatus
        self._highs: Any = highspy.Highs()
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        rows = (program.row_lower, program.row_upper)
        columns = (program.col_lower, program.col_upper)
        self._highs.passModel(highs_program(program.c, program.A, rows, columns))

    def add(self, cost: ArrayLike, start: ArrayLike, row: ArrayLike, value: ArrayLike) -> None:
        """Add columns that are not negative.

        Parameters
        ----------
        cost : (k,) array
            Their costs.
        start : (k + 1,) int array
            Column i has the entries start[i] to start[i + 1].
        row, value : (e,) array
            Row and coefficient of each entry.

        Raises
        ------
        InvalidModelError
            If a row does not exist, or a number is not finite.
        """
        costs, values = np.asarray(cost, dtype=np.float64), np.asarray(value, dtype=np.float64)
        starts, rows = np.asarray(start, dtype=np.int32), np.asarray(row, dtype=np.int32)
        if rows.size and not (rows.min() >= 0 and rows.max() < self.n_rows):
            raise InvalidModelError(f"a column has an entry outside rows 0..{self.n_rows - 1}")
        if not (np.isfinite(costs).all() and np.isfinite(values).all()):
            raise InvalidModelError("a cost or coefficient of a new column is not finite")
        k = costs.size
        free, zero = np.full(k, np.inf), np.zeros(k)
        self._highs.addCols(k, costs, zero, free, values.size, starts[:k], rows, values)

    def solve(self, time_limit: float | None = None) -> LinearProgramResult:
        """Solve from the basis of the last solve.

        Parameters
        ----------
        time_limit : float, optional
            Seconds.

        Returns
        -------
        LinearProgramResult

        Raises
        ------
        SolverError
            If HiGHS finds the program infeasible, unbounded, or fails.
        """
        highs = self._highs
        if time_limit is not None:
            spent = highs.getRunTime()  # the clock of HiGHS runs over all solves
            highs.setOptionValue("time_limit", float(spent + max(time_limit, 1e-3)))
        highs.run()
        status = highs.getModelStatus()
        done = status == self._names.kOptimal
        if not done and status != self._names.kTimeLimit:
            raise SolverError(f"HiGHS stopped with status {highs.modelStatusToString(status)}")
        found = highs.getSolution()
        objective = highs.getInfo().objective_function_value + self.offset
        return LinearProgramResult(
            np.array(found.col_value), np.array(found.row_dual), objective, done
        )
