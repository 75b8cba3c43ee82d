"""Proven bounds on norms and inverses of small matrices, rounding included.

A product of n by n matrices, computed in any order, is off by at most c_n ||X||_F ||Y||_F in
Frobenius norm; c_n = 4 (n + 2) 2^-53 covers complex entries too. Everything here is built from
that: an approximate factorisation is computed freely and then judged by its residual.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[Any]

UNIT = 2.0**-53
SLACK = 1 + 1e-13  # covers the rounding of sums and roots of nonnegative numbers
_TINY = 1e-290  # covers underflow


class Bracket(NamedTuple):
    """A number between two proven bounds."""

    lower: float
    upper: float


def size(X: Matrix) -> Any:
    """Return an upper bound on the Frobenius norm of each matrix of a stack (..., m, n)."""
    return np.sqrt((np.abs(X) ** 2).sum(axis=(-2, -1))) * SLACK + _TINY


def product_error(X: Matrix, Y: Matrix) -> Any:
    """Return a bound on the error of the computed ``X @ Y`` in Frobenius norm."""
    return 4 * (X.shape[-1] + 2) * UNIT * size(X) * size(Y) * SLACK + _TINY


def norms(X: Matrix, error: Any = 0.0) -> tuple[Any, Any]:
    """Return proven bounds on the spectral norms of matrices within `error` of X (..., m, n).

    With V from the singular value decomposition, the columns of Y = X V are nearly orthogonal: the
    longest bounds the norm from below, Gershgorin's discs of Y* Y from above.

    Parameters
    ----------
    X : (..., m, n) ndarray
        The matrices; entries that are not finite give the bounds 0 and inf.
    error : float or (...) ndarray
        Largest distance of the matrices that are meant, in spectral norm.

    Returns
    -------
    lower, upper : (...) ndarray
        The bounds.

    Examples
    --------
    >>> lower, upper = norms(np.array([[3.0, 0.0], [4.0, 0.0]]))
    >>> bool(lower <= 5 <= upper), bool(upper - lower < 1e-11)
    (True, True)
    """
    known = np.isfinite(X).all(axis=(-2, -1))
    X = np.where(np.expand_dims(known, (-2, -1)), X, 0.0)
    unit = np.exp2(np.maximum(np.frexp(np.abs(X).max(axis=(-2, -1)))[1], -900.0))
    lower, upper = _norms(X / np.expand_dims(unit, (-2, -1)))  # a power of two: exact
    lower = np.maximum(lower * unit - error - _TINY, 0.0)
    return np.where(known, lower, 0.0), np.where(known, upper * unit + error + _TINY, np.inf)


def _norms(X: Matrix) -> tuple[Any, Any]:
    """Bound the norms of matrices whose entries are at most 1."""
    V = np.swapaxes(np.linalg.svd(X)[2], -1, -2).conj()
    star = np.swapaxes(V, -1, -2).conj()
    Y = X @ V
    off = size(star @ V - np.eye(V.shape[-1])) + product_error(star, V)
    star_Y = np.swapaxes(Y, -1, -2).conj()
    gram, slack = star_Y @ Y, product_error(star_Y, Y)
    shift = product_error(X, V)
    longest = np.sqrt((np.abs(gram).sum(axis=-1).max(axis=-1) + slack) / (1 - off)) * SLACK
    first = np.real(np.diagonal(gram, axis1=-2, axis2=-1)).max(axis=-1)
    shortest = np.sqrt(np.maximum(first - slack, 0.0) / (1 + off)) / SLACK
    return shortest - 2 * shift, longest + 2 * shift


def norm(X: Matrix, error: float = 0.0) -> Bracket:
    """Return proven bounds on the spectral norm of one matrix within `error` of X."""
    if X.size == 0:
        return Bracket(0.0, error)
    lower, upper = norms(X, error)
    return Bracket(float(lower), float(upper))


class Inverse(NamedTuple):
    """An approximate inverse X of S, and a bound on ||I - X S|| below one."""

    X: Matrix
    defect: float

    @property
    def norm(self) -> float:
        """Upper bound on the norm of the true inverse."""
        return norm(self.X).upper / (1 - self.defect) * SLACK

    def times(self, Y: Matrix, error: float = 0.0) -> float:
        """Return an upper bound on the norm of S^{-1} Y for a Y known up to `error`."""
        product = self.X @ Y
        wrong = float(product_error(self.X, Y)) + norm(self.X).upper * error
        return norm(product, wrong).upper / (1 - self.defect) * SLACK


def inverse(S: Matrix) -> Inverse | None:
    """Return the inverse of a square matrix with a proof, or None where doubles cannot give one."""
    try:
        X = np.linalg.inv(S)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(X).all():
        return None
    defect = float(size(X @ S - np.eye(len(S))) + product_error(X, S))
    return Inverse(X, defect) if defect < 0.5 else None


def is_normal(A: Matrix) -> bool:
    """Say whether A A^T = A^T A, in rational arithmetic."""
    if not np.allclose(A @ A.T, A.T @ A, rtol=0, atol=1e-12 * float(size(A)) ** 2):
        return False
    rows = _rational(A)
    columns = list(zip(*rows, strict=True))
    n = range(len(rows))
    return all(
        _dot(rows[i], rows[j]) == _dot(columns[i], columns[j]) for i in n for j in n if i <= j
    )


def is_nilpotent(A: Matrix) -> bool:
    """Say whether A^n = 0, in rational arithmetic."""
    rows, reach = _rational(A), 1
    while reach < len(rows):
        columns = list(zip(*rows, strict=True))
        rows = [[_dot(row, column) for column in columns] for row in rows]
        reach *= 2
    return not any(map(any, rows))


def _rational(A: Matrix) -> list[list[Fraction]]:
    return [[Fraction(float(x)) for x in row] for row in A]


def _dot(x: Any, y: Any) -> Fraction:
    return sum((a * b for a, b in zip(x, y, strict=True) if a and b), Fraction(0))
