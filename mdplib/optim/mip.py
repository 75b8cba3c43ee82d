"""Mixed-integer programs as plain arrays, and what a solver said about one.

A program is ``minimise c @ x + offset`` subject to ``row_lower <= A @ x <= row_upper`` and
``col_lower <= x <= col_upper``, with some columns integer. `mdplib.optim.builder`
collects columns and rows block by block; `mdplib.optim.backends.solve_mip` hands the arrays to a
solver.

The bound that a solver reports holds up to its own feasibility tolerances; it is not a proof in
exact arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from mdplib import validate
from mdplib.errors import InvalidModelError, SolverError

Floats = NDArray[np.float64]


class MipStatus(Enum):
    """How a solve ended.

    Examples
    --------
    >>> MipStatus.TIME_LIMIT.sentence
    'the time limit was reached; the point, if any, is the best found and the bound holds'
    """

    OPTIMAL = "optimal"
    TIME_LIMIT = "time_limit"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    FAILED = "failed"

    @property
    def sentence(self) -> str:
        """The meaning of the status."""
        return _SENTENCES[self]


_SENTENCES = {
    MipStatus.OPTIMAL: "the point is optimal within the gap asked for",
    MipStatus.TIME_LIMIT: "the time limit was reached; the point, if any, is the best found and "
    "the bound holds",
    MipStatus.INFEASIBLE: "no point satisfies all rows and bounds",
    MipStatus.UNBOUNDED: "the objective is unbounded",
    MipStatus.FAILED: "the solver gave up",
}


@dataclass(frozen=True, eq=False)
class MipResult:
    """Answer of a solver.

    Parameters
    ----------
    status : MipStatus
        How it ended.
    x : (n,) float64 or None
        Best point found, integer columns rounded; None if there is none.
    objective : float
        Its value; +inf without a point.
    bound : float
        Proven lower bound on the optimal value, within the solver's tolerances.
    seconds : float
        Wall time of the solve.
    backend : str
        Who solved it.
    """

    status: MipStatus
    x: Floats | None
    objective: float
    bound: float
    seconds: float
    backend: str

    @property
    def gap(self) -> float:
        """Relative gap ``(objective - bound) / max(1e-10, |objective|)``; inf without a point."""
        if self.x is None:
            return float("inf")
        return max(0.0, self.objective - self.bound) / max(1e-10, abs(self.objective))

    def require(self) -> Floats:
        """Return the point.

        Raises
        ------
        SolverError
            If there is none; the message says why.
        """
        if self.x is None:
            raise SolverError(f"{self.backend} found no point: {self.status.sentence}")
        return self.x


@dataclass(frozen=True, eq=False)
class MipArrays:
    """A mixed-integer program, to be minimised.

    Parameters
    ----------
    c : (n,) array
        Costs.
    A : (m, n) csr_array
        Rows.
    row_lower, row_upper : (m,) array
        Bounds on the rows; infinite where there is none.
    col_lower, col_upper : (n,) array
        Bounds on the columns.
    integer : (n,) bool array
        Which columns are integer.
    offset : float
        Constant of the objective.

    Raises
    ------
    InvalidModelError
        On shapes that do not fit, NaN, infinite costs, or a lower bound above its upper bound;
        the message names the first column or row.

    Examples
    --------
    >>> from mdplib.optim import MipBuilder
    >>> builder = MipBuilder()
    >>> x = builder.columns(2, upper=1.0, cost=[-2.0, -3.0], integer=True)
    >>> builder.row(x, [1.0, 1.0], upper=1.0)
    >>> builder.arrays()
    MipArrays(2 columns, 2 integer, 1 row, 2 entries)
    """

    c: Floats
    A: csr_array
    row_lower: Floats
    row_upper: Floats
    col_lower: Floats
    col_upper: Floats
    integer: NDArray[np.bool_]
    offset: float = 0.0

    def __post_init__(self):
        m, n = self.A.shape
        for name, size in (
            ("c", n),
            ("row_lower", m),
            ("row_upper", m),
            ("col_lower", n),
            ("col_upper", n),
        ):
            array = validate.frozen(getattr(self, name), np.float64, name)
            if array.shape != (size,):
                raise InvalidModelError(f"{name} has shape {array.shape}; A asks for ({size},)")
            object.__setattr__(self, name, array)
        object.__setattr__(self, "integer", validate.frozen(self.integer, np.bool_, "integer"))
        if self.integer.shape != (n,):
            raise InvalidModelError(f"integer has shape {self.integer.shape}; A asks for ({n},)")
        if not np.isfinite(self.c).all() or not np.isfinite(self.A.data).all():
            where = "c" if not np.isfinite(self.c).all() else "A"
            raise InvalidModelError(f"{where} has an entry that is not finite; give numbers")
        for kind, low, high in (
            ("column", self.col_lower, self.col_upper),
            ("row", self.row_lower, self.row_upper),
        ):
            crossed = np.flatnonzero(~(low <= high))
            if crossed.size:
                j = int(crossed[0])
                raise InvalidModelError(
                    f"{kind} {j} has lower bound {low[j]:g} and upper bound {high[j]:g} "
                    f"({crossed.size} such {kind}s); exchange or widen them"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        m, n = self.A.shape
        return int(m), int(n)

    def violation(self, x: ArrayLike) -> float:
        """Return the largest amount by which a point breaks a row, a bound or integrality.

        Parameters
        ----------
        x : (n,) array
            The point.

        Returns
        -------
        float
            Zero for a feasible point.
        """
        x = np.asarray(x, dtype=np.float64)
        activity = self.A @ x
        fraction = np.abs(x - np.round(x))[self.integer]
        excesses = (
            self.row_lower - activity,
            activity - self.row_upper,
            self.col_lower - x,
            x - self.col_upper,
            fraction,
        )
        return max(0.0, *(float(e.max()) for e in excesses if e.size))

    def with_cost(self, c: Floats, offset: float) -> MipArrays:
        """Return the same rows and columns with another objective."""
        return replace(self, c=c, offset=offset)

    def objective(self, x: ArrayLike) -> float:
        """Return ``c @ x + offset``."""
        return float(self.c @ np.asarray(x, dtype=np.float64)) + self.offset

    def __repr__(self) -> str:
        m, n = self.shape
        rows, whole = "1 row" if m == 1 else f"{m} rows", int(self.integer.sum())
        return f"MipArrays({n} columns, {whole} integer, {rows}, {self.A.nnz} entries)"
