"""Mixed-integer programs as plain arrays, and what a solver said about one.

A program is ``minimise c @ x + offset`` subject to ``row_lower <= A @ x <= row_upper`` and
``col_lower <= x <= col_upper``, with some columns integer. `MipBuilder` collects columns and rows
block by block; `mdplib.optim.backends.solve_mip` hands the arrays to a solver.

The bound that a solver reports holds up to its own feasibility tolerances; it is not a proof in
exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array

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

    def objective(self, x: ArrayLike) -> float:
        """Return ``c @ x + offset``."""
        return float(self.c @ np.asarray(x, dtype=np.float64)) + self.offset

    def __repr__(self) -> str:
        m, n = self.shape
        rows, whole = "1 row" if m == 1 else f"{m} rows", int(self.integer.sum())
        return f"MipArrays({n} columns, {whole} integer, {rows}, {self.A.nnz} entries)"


@dataclass
class MipBuilder:
    """Collects columns and rows; `arrays` returns the program.

    Columns are numbered in the order in which they are added, and every method that adds some
    returns their numbers.

    Examples
    --------
    >>> builder = MipBuilder()
    >>> x = builder.columns(3, upper=1.0, integer=True)
    >>> builder.rows([[0, 1], [1, 2]], upper=1.0)  # x0 + x1 <= 1, x1 + x2 <= 1
    >>> builder.arrays().shape
    (2, 3)
    """

    offset: float = 0.0
    n_columns: int = 0
    n_rows: int = 0
    _columns: list[tuple[Floats, Floats, Floats, NDArray[np.bool_]]] = field(default_factory=list)
    _bounds: list[tuple[Floats, Floats]] = field(default_factory=list)
    _entries: list[tuple[NDArray, NDArray, Floats]] = field(default_factory=list)

    def columns(
        self,
        n: int,
        *,
        lower: ArrayLike = 0.0,
        upper: ArrayLike = np.inf,
        cost: ArrayLike = 0.0,
        integer: ArrayLike = False,
    ) -> NDArray[np.int64]:
        """Add n columns.

        Parameters
        ----------
        n : int
            How many.
        lower, upper, cost, integer : number or (n,) array
            Bounds, costs, integrality.

        Returns
        -------
        (n,) int64
            Their numbers.
        """
        kinds = ((lower, np.float64), (upper, np.float64), (cost, np.float64), (integer, np.bool_))
        parts: list[Any] = [np.broadcast_to(np.asarray(x, kind), (n,)).copy() for x, kind in kinds]
        self._columns.append((parts[0], parts[1], parts[2], parts[3]))
        self.n_columns += n
        return np.arange(self.n_columns - n, self.n_columns)

    def row(
        self,
        columns: ArrayLike,
        values: ArrayLike = 1.0,
        *,
        lower: float = -np.inf,
        upper: float = np.inf,
    ) -> None:
        """Add one row ``lower <= values @ x[columns] <= upper``."""
        columns = np.asarray(columns, dtype=np.int64).ravel()
        weights = np.broadcast_to(np.asarray(values, dtype=np.float64), columns.shape)
        place = np.full(columns.shape, self.n_rows)
        self._append(place, columns, weights, np.array([lower]), np.array([upper]))

    def rows(
        self,
        columns: Sequence[ArrayLike] | NDArray,
        values: Any = 1.0,
        *,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
    ) -> None:
        """Add rows, one for each list of columns.

        Parameters
        ----------
        columns : (m, w) array, or m lists of column numbers
            The columns of each row.
        values : number, or shaped like `columns`
            Their coefficients.
        lower, upper : number or (m,) array
            Bounds of the rows.
        """
        lists = [np.asarray(c, dtype=np.int64).ravel() for c in columns]
        m = len(lists)
        if m == 0:
            return
        if np.ndim(values) == 0:
            weights = [np.full(c.shape, values, dtype=np.float64) for c in lists]
        else:
            given = list(values)
            weights = [
                np.broadcast_to(np.asarray(v, dtype=np.float64), c.shape)
                for v, c in zip(given, lists, strict=True)
            ]
        place = np.repeat(np.arange(self.n_rows, self.n_rows + m), [c.size for c in lists])
        low = np.broadcast_to(np.asarray(lower, dtype=np.float64), (m,)).copy()
        high = np.broadcast_to(np.asarray(upper, dtype=np.float64), (m,)).copy()
        self._append(place, np.concatenate(lists), np.concatenate(weights), low, high)

    def _append(
        self, place: NDArray, columns: NDArray, values: Floats, low: Floats, high: Floats
    ) -> None:
        outside = (columns < 0) | (columns >= self.n_columns)
        if outside.any():
            raise InvalidModelError(
                f"a row names column {int(columns[outside][0])}; there are {self.n_columns}"
            )
        self._entries.append((place, columns, values))
        self._bounds.append((low, high))
        self.n_rows += low.size

    def arrays(self) -> MipArrays:
        """Return the program.

        Returns
        -------
        MipArrays
            With duplicate entries of a row added up.
        """
        empty: list[NDArray] = [np.empty(0)]
        parts: list[Any] = [
            np.concatenate([c[k] for c in self._columns] or empty) for k in range(4)
        ]
        entries = [np.concatenate([e[k] for e in self._entries] or empty) for k in range(3)]
        places = (entries[0].astype(np.int64), entries[1].astype(np.int64))
        A = coo_array((entries[2], places), shape=(self.n_rows, self.n_columns)).tocsr()
        bounds = [np.concatenate([b[k] for b in self._bounds] or empty) for k in range(2)]
        return MipArrays(
            parts[2],
            csr_array(A),
            bounds[0],
            bounds[1],
            parts[0],
            parts[1],
            parts[3].astype(np.bool_),
            self.offset,
        )
