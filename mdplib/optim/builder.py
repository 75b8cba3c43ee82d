"""Mixed-integer programs, collected block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array

from mdplib.errors import InvalidModelError
from mdplib.optim.mip import MipArrays

Floats = NDArray[np.float64]


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
        place = np.repeat(np.arange(m), [c.size for c in lists])
        entries = np.concatenate(lists), np.concatenate(weights)
        self.entries(m, place, *entries, lower=lower, upper=upper)

    def entries(
        self,
        n: int,
        rows: ArrayLike,
        columns: ArrayLike,
        values: ArrayLike = 1.0,
        *,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
    ) -> NDArray[np.int64]:
        """Add n rows by their entries, for blocks that numpy can lay out at once.

        Parameters
        ----------
        n : int
            How many rows.
        rows : int array
            Row of each entry, from 0 within the block.
        columns, values : arrays of the same size, or one number for all values
            Column and coefficient of each entry.
        lower, upper : number or (n,) array
            Bounds of the rows.

        Returns
        -------
        (n,) int64
            Numbers of the rows.

        Raises
        ------
        InvalidModelError
            If an entry names a row or column that does not exist.
        """
        place = np.asarray(rows, dtype=np.int64).ravel()
        at = np.asarray(columns, dtype=np.int64).ravel()
        weights = np.broadcast_to(np.asarray(values, dtype=np.float64).ravel(), at.shape)
        outside = (place < 0) | (place >= n)
        if outside.any():
            raise InvalidModelError(
                f"an entry names row {int(place[outside][0])} of a block of {n} rows"
            )
        low = np.broadcast_to(np.asarray(lower, dtype=np.float64), (n,)).copy()
        high = np.broadcast_to(np.asarray(upper, dtype=np.float64), (n,)).copy()
        first = self.n_rows
        self._append(first + place, at, weights, low, high)
        return np.arange(first, self.n_rows)

    def copy(self) -> MipBuilder:
        """Return a builder that begins with the same columns and rows."""
        return MipBuilder(
            self.offset,
            self.n_columns,
            self.n_rows,
            list(self._columns),
            list(self._bounds),
            list(self._entries),
        )

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
