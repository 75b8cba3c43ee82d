r"""Growth of the powers of a matrix, with proven bounds.

Problem       For a real n by n matrix A and r >= 0 bound Phi(A; r) = sup_{k >= 0} ||A^k||_2 / r^k,
              where 0^0 = 1.
Algorithm     Phi is the largest over the blocks that no entry connects. For a block let M = A / r.
              If ||M|| <= 1, or the block is normal, its growth is 1. Else
              a similarity with ||S^{-1} M S|| <= 1 bounds the growth by cond(S);               (1)
              once ||M^K|| <= 1, no later power exceeds the first K;                            (2)
              where eigenvalues lie so near the circle of radius r that no such K is in reach,

                  M^k = sum_j lambda_j^k C_j + N^k                                              (3)

              over these eigenvalues, which must be simple; the sum is at most its largest value
              over all angles, and N^k decays.
Guarantee     lower <= Phi <= upper, all rounding included; powers of M neither overflow nor
              underflow. Where r lies inside the bracket of rho(A) it is read as being at least
              rho(A). A growth that could not be bounded has the upper bound inf: nearly equal
              eigenvalues on the circle may have no eigenvectors.
Cost          At most 2^16 products of matrices, 2^24 / n^3 for n > 6, and as many norms.
Deviations    (1) is tried for scaled Schur vectors and for the Lyapunov equation of the middle
              between rho(A) and r, which stand in for the linear matrix inequality; eigenvectors
              are a case of (3).
References    Trefethen and Embree (2005), "Spectra and pseudospectra", chapter 16; Stewart and Sun
              (1990), "Matrix perturbation theory", theorem V.2.1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from mdplib import matrix_bounds as mb
from mdplib.errors import InvalidModelError
from mdplib.matrix_bounds import SLACK, UNIT, Bracket, Matrix
from mdplib.matrix_powers import sweep
from mdplib.outer_spectrum import outer_bound
from mdplib.spectral import blocks, spectral_radius, square

Floats = NDArray[np.float64]
_MOST = 1 << 16
_MODAL = 1 << 11  # powers looked at one by one where eigenvalues lie on the circle


def growth(A: ArrayLike, r: float) -> Bracket:
    """Return proven bounds on Phi(A; r) = sup_k ||A^k||_2 / r^k, where 0^0 = 1.

    Parameters
    ----------
    A : (n, n) array_like
        Finite matrix.
    r : float
        At least 0. Below the spectral radius the supremum is infinite.

    Returns
    -------
    Bracket
        Lower and upper bound; the upper one is inf where the growth could not be bounded.

    Raises
    ------
    InvalidModelError
        If A is not square or not finite, or r is negative or not a number.

    References
    ----------
    The module says how.

    Examples
    --------
    >>> found = growth([[0.5, 1.0], [0.0, 0.5]], 0.8)  # a Jordan block
    >>> found.upper - found.lower < 1e-11, round(found.upper, 4)
    (True, 1.6547)
    >>> growth([[0.5, 1.0], [0.0, 0.5]], 0.5).upper  # on the circle its powers grow for ever
    inf
    """
    A = square(A, "A")
    if not 0 <= r < math.inf:
        raise InvalidModelError(f"r is {r!r}; a finite number of at least 0 expected")
    with np.errstate(over="ignore", invalid="ignore"):
        parts = [_block(A[np.ix_(i, i)], float(r)) for i in blocks(A, "weak")]
    return Bracket(max(p.lower for p in parts), max(p.upper for p in parts))


def _block(A: Floats, r: float) -> Bracket:
    """Bound the growth of a block that does not fall apart."""
    if r == 0:
        return Bracket(math.inf, math.inf) if A.any() else Bracket(1.0, 1.0)
    radius = spectral_radius(A)
    if r < radius.lower:
        return Bracket(math.inf, math.inf)
    if len(A) == 1 or mb.is_normal(A) or mb.norm(A).upper <= r:
        return Bracket(1.0, 1.0)
    M, rounded = A / r, UNIT * float(mb.size(A / r))
    if not math.isfinite(rounded):
        return Bracket(1.0, math.inf)
    seen = sweep(M, rounded, min(_MODAL, _budget(len(A))))
    if seen.power is not None:
        return Bracket(seen.lower, seen.upper)  # (2)
    tail = outer_bound(M, rounded, seen.count)  # (3)
    if tail < math.inf:
        return Bracket(seen.lower, max(seen.upper, tail))
    seen = sweep(M, rounded, _budget(len(A)))
    if seen.power is not None:
        return Bracket(seen.lower, seen.upper)  # (2)
    return Bracket(seen.lower, max(seen.lower, similarity_bound(A, r)))


def _budget(n: int) -> int:
    return int(min(_MOST, (1 << 24) // n**3))


def similarity_bound(A: ArrayLike, r: float) -> float:
    """Return the least condition number found of an S with ||S^{-1} A S||_2 <= r, proven.

    Parameters
    ----------
    A : (n, n) array_like
        Finite matrix.
    r : float
        Above the spectral radius.

    Returns
    -------
    float
        An upper bound on sup_k ||A^k|| / r^k; inf where no such S was found.

    Raises
    ------
    InvalidModelError
        If A is not square or not finite, or r is not above 0.

    Examples
    --------
    >>> A = [[0.5, 1.0], [0.0, 0.5]]
    >>> growth(A, 0.8).upper < similarity_bound(A, 0.8) < 3
    True
    """
    A = square(A, "A")
    if not 0 < r < math.inf:
        raise InvalidModelError(f"r is {r!r}; a finite number above 0 expected")
    M, rounded = A / r, UNIT * float(mb.size(A / r))
    least = math.inf
    for S in [*_scaled_schur_vectors(M), *_lyapunov_factors(M)]:
        known = mb.inverse(S)
        if known is None:
            continue
        wrong = float(mb.product_error(M, S)) + rounded * float(mb.size(S))
        if known.times(M @ S, wrong) <= 1:  # (1)
            least = min(least, mb.norm(S).upper * known.norm * SLACK)
    return least


def _scaled_schur_vectors(M: Floats) -> list[Matrix]:
    """Return Schur vectors scaled by powers of a small number, which shrinks what is not normal."""
    T, Z = linalg.schur(M, output="complex")
    n = len(M)
    order = np.arange(n)
    low, high = -300.0 / max(1, n), 0.0  # of the logarithm of the scale
    for _ in range(60):
        middle = (low + high) / 2
        scaled = T * np.exp(middle * (order[None, :] - order[:, None]))
        inside = np.linalg.norm(np.triu(scaled), 2) <= 1
        low, high = (middle, high) if inside else (low, middle)
    return [Z * np.exp((low - back) * order) for back in (1e-9, 1e-3, 0.1, 1.0)]


def _lyapunov_factors(M: Floats) -> list[Matrix]:
    """Return L^{-T} for P = L L^T with M^T P M <= s^2 P, for several s up to 1."""
    radius = float(np.abs(np.linalg.eigvals(M)).max())
    factors = []
    for share in (0.25, 0.5, 0.75, 0.9, 0.99, 0.9999):
        s = radius + share * (1 - radius)
        if not radius < s <= 1:
            continue
        try:
            P = linalg.solve_discrete_lyapunov((M / s).T, np.eye(len(M)))
            L = np.linalg.cholesky((P + P.T) / 2)
            factors.append(np.linalg.inv(L).T)
        except (np.linalg.LinAlgError, linalg.LinAlgWarning):
            continue
    return factors
