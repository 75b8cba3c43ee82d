"""Spectral radius of a small matrix, with proven bounds.

The radius is the largest over the blocks of states that reach each other. It is exact where such a
block is one state; else the tighter of two brackets holds, one by the residual of approximate
eigenvectors, one by norms and traces of A^k, k = 2^j, which needs no eigenvectors.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg
from scipy.sparse.csgraph import connected_components

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.matrix_bounds import (
    UNIT,
    Bracket,
    Matrix,
    inverse,
    is_nilpotent,
    is_normal,
    norm,
    product_error,
    size,
)

Floats = NDArray[np.float64]
_SQUARINGS = 60


def square(A: ArrayLike, name: str) -> Floats:
    """Return a finite square matrix, or say what is wrong with it."""
    matrix = validate.frozen(A, np.float64, name, ndim=(2,))
    n = matrix.shape[0]
    if matrix.shape != (n, n) or n == 0:
        raise InvalidModelError(f"{name} has shape {matrix.shape}; (n, n) with n >= 1 expected")
    finite(matrix, name)
    return matrix


def finite(array: Floats, name: str) -> None:
    """Raise where an array holds something else than finite numbers."""
    flat = array.reshape(-1)

    def where(i: int) -> str:
        place = ", ".join(str(j) for j in np.unravel_index(i, array.shape))
        return f"{name}[{place}] is {flat[i]}"

    validate.require(np.isfinite(flat), where, f"The entries of {name} must be finite.")


def blocks(A: Floats, connection: Literal["weak", "strong"]) -> list[NDArray[np.intp]]:
    """Return the classes of indices that entries of A connect one way ("weak") or both."""
    count, label = connected_components(A != 0, connection=connection)
    return [np.flatnonzero(label == i) for i in range(count)]


def spectral_radius(A: ArrayLike) -> Bracket:
    """Return proven bounds on the largest modulus of an eigenvalue.

    Parameters
    ----------
    A : (n, n) array_like
        Finite matrix.

    Returns
    -------
    Bracket
        Lower and upper bound; equal for triangular matrices and their permutations.

    Raises
    ------
    InvalidModelError
        If A is not square or not finite.

    References
    ----------
    Horn and Johnson (2013), "Matrix Analysis", section 5.6, for norms of powers; Bauer and Fike
    (1960) for eigenvectors.

    Examples
    --------
    >>> spectral_radius([[0.2, 5.0], [0.0, 0.1]])
    Bracket(lower=0.2, upper=0.2)
    """
    A = square(A, "A")
    with np.errstate(over="ignore", invalid="ignore"):
        parts = [_block_radius(A[np.ix_(i, i)]) for i in blocks(A, "strong")]
    return Bracket(max(p.lower for p in parts), max(p.upper for p in parts))


def _block_radius(A: Floats) -> Bracket:
    """Bound the spectral radius of a block in which every state reaches every other."""
    if len(A) == 1:
        return Bracket(abs(float(A[0, 0])), abs(float(A[0, 0])))
    lower, upper = radius_by_eigenvectors(A)
    if not upper - lower < 1e-10 * upper:
        safe = radius_by_squaring(A)
        lower = max(lower, safe.lower)
        upper = min(upper, safe.upper, bound_by_schur_vectors(A))
    if is_normal(A):
        largest = norm(A)
        lower, upper = max(lower, largest.lower), min(upper, largest.upper)
    if lower == 0 and is_nilpotent(A):
        return Bracket(0.0, 0.0)
    return Bracket(lower, upper)


def radius_by_eigenvectors(A: Matrix) -> Bracket:
    """Return bounds on the spectral radius through approximate eigenvectors W.

    A is similar to D + E with D diagonal and ||E|| = ||W^{-1} (A W - W D)||, so every eigenvalue is
    within ||E|| of an entry of D, and a connected cluster of such discs holds as many eigenvalues
    as entries (Bauer and Fike).
    """
    try:
        D, W = np.linalg.eig(A)
    except np.linalg.LinAlgError:
        return Bracket(0.0, np.inf)
    known = inverse(W)
    if known is None:
        return Bracket(0.0, np.inf)
    AW, WD = A @ W, W * D
    error = float(product_error(A, W) + product_error(W, np.diag(D))) + UNIT * float(size(AW))
    E = known.times(AW - WD, error)
    top = float(np.abs(D).max())
    margin = 4 * UNIT * top
    return Bracket(max(0.0, top - margin - (2 * len(A) - 1) * E), top + margin + E)


def radius_by_squaring(A: Matrix) -> Bracket:
    """Return bounds by ||A^k||^(1/k) and ``(|trace A^k| / n)^(1/k)``, k = 1, 2, 4, ..."""
    n = len(A)
    B, wrong, exponent, k = np.array(A), 0.0, 0.0, 1.0
    lower, upper = 0.0, np.inf
    for _ in range(_SQUARINGS):
        shift = 1 - int(np.frexp(float(size(B)) + wrong)[1])  # scaling by powers of two is exact
        B, wrong = np.ldexp(B, shift), float(np.ldexp(wrong, shift))
        exponent -= shift / k
        scale, slack = 2.0**exponent, 64 * UNIT * (2 + abs(exponent))
        trace = abs(float(np.trace(B))) - n * (wrong + n * UNIT * float(size(B)))
        if trace > 0:
            lower = max(lower, scale * (trace / n) ** (1 / k) * (1 - slack))
        upper = min(upper, scale * (float(size(B)) + wrong) ** (1 / k) * (1 + slack))
        norm_B = float(size(B))
        error = float(product_error(B, B))
        B, wrong, k = B @ B, 2 * norm_B * wrong + wrong**2 + error, 2 * k
        if not B.any() and wrong == 0:
            break
    return Bracket(lower, upper)


def bound_by_schur_vectors(A: Floats) -> float:
    """Return an upper bound: the least norm of S^{-1} A S over scaled Schur vectors S."""
    Z = linalg.schur(A, output="complex")[1]
    least = np.inf
    for scale in 10.0 ** np.arange(0.0, -8.0, -0.5):
        S = Z * scale ** np.arange(len(A))
        known = inverse(S)
        if known is not None:
            least = min(least, known.times(A @ S, float(product_error(A, S))))
    return least
