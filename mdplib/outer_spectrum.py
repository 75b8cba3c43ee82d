r"""Powers of a matrix whose outermost eigenvalues lie on the unit circle, or nearly.

Problem       For a real M with spectral radius at most 1 bound ||M^k||_2 for all k >= K.
Algorithm     Split the spectrum into the outer eigenvalues, which do not die out within K powers,
              and the rest. A similarity S, from Schur vectors and a Sylvester equation, turns M
              into diag(D, N) + E with D diagonal and E small. If the outer eigenvalues are simple
              and far apart and from the rest, measured by E, then an exact block diagonalisation
              lies nearby:

                  S (I + F), where ||F|| = O(||E|| / separation).                               (1)

              So M^k = sum_j d_j^k C_j + (inner part)^k with C_j close to the computed rank-one
              matrices. As |d_j| <= 1 and a norm is convex, the sum is largest where |d_j| = 1;
              over the angles of one complex pair it is at most its largest value at the corners
              of a polygon around the circle, refined where that matters.                      (2)
              The inner part decays: ||N^m|| <= 1/2 for some m bounds it from K on.            (3)
Guarantee     The bound is proven with all rounding, or inf.
Cost          O(n^3), and a few hundred norms for one complex pair.
Deviations    Several pairs are treated as if their angles were independent.
References    Stewart and Sun (1990), "Matrix perturbation theory", theorem V.2.1.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from mdplib.matrix_bounds import (
    SLACK,
    UNIT,
    Inverse,
    Matrix,
    inverse,
    norm,
    norms,
    product_error,
    size,
)
from mdplib.matrix_powers import sweep

_NEGLIGIBLE = 1e-13  # what an inner eigenvalue may leave after K powers
_CORNERS = 20_000  # evaluations for several pairs
_ARCS = 1_000
_CLOSE = 1e-10


class _Splitting(NamedTuple):
    """M S = S (diag(D, N) + E), to within proven bounds."""

    D: NDArray[np.complex128]
    N: Matrix
    S: Matrix
    known: Inverse
    E: float


def outer_bound(M: Matrix, rounded: float, K: int) -> float:
    """Return a proven bound on sup_{k >= K} ||M^k||_2, or inf.

    Parameters
    ----------
    M : (n, n) float64
        Approximation of a real matrix of spectral radius at most 1.
    rounded : float
        Its distance from that matrix in Frobenius norm.
    K : int
        First power, at least 1.

    Returns
    -------
    float
        The bound, inf where the outer eigenvalues are not simple and separate.

    Examples
    --------
    >>> import math
    >>> M = np.array([[0.0, 4.0], [-0.25, 0.0]])  # turns by a quarter, between an ellipse's axes
    >>> abs(outer_bound(M, 0.0, 1000) - 4.0) < 1e-6
    True
    """
    split = _split(M, rounded, K)
    if split is None:
        return math.inf
    D, N, S, known, E = split
    m, n = D.size, len(M)
    shift = _outside(D, N, E)
    if shift is None:
        return math.inf
    F, inside = shift
    grown, back = norm(S).upper, known.norm  # of S and its inverse
    column = grown * F
    row = (F / (1 - F) + known.defect) * back
    wrong = m * (grown * row + column * (norm(known.X).upper + row)) * SLACK
    wrong += m * float(product_error(S, known.X))
    terms = _terms(D, S, known, 4 * inside)
    if terms is None:
        return math.inf
    condition = norm(S[:, :m]).upper * norm(known.X[:m]).upper * SLACK
    survives = min(1.0, (float(np.abs(D).max()) + 2 * inside) * (1 + 4 * UNIT)) ** K * SLACK
    bound = min(_largest(*terms), condition) * min(1.0, survives) + wrong
    if m < n:
        inner = sweep(N, inside, K, 0.5)  # (3)
        if inner.power is None:
            return math.inf
        decay = inner.upper * 0.5 ** (K // inner.power)
        bound += grown * (1 + F) * back / (1 - F) * decay * SLACK
    return bound * SLACK


def _split(M: Matrix, rounded: float, K: int) -> _Splitting | None:
    """Separate the eigenvalues that survive K powers from the rest."""
    least = _NEGLIGIBLE ** (1 / K)
    T, Z, m = linalg.schur(M, "complex", sort=lambda z: abs(z) > least)  # pyright: ignore
    if m == 0:
        return None
    D, Y = np.linalg.eig(T[:m, :m])
    N = T[m:, m:]
    outer, rest = Z[:, :m] @ Y, Z[:, m:]
    if m < len(M):
        try:
            X = linalg.solve_sylvester(T[:m, :m], -N, -T[:m, m:])
        except np.linalg.LinAlgError:
            return None
        rest = np.linalg.qr(Z[:, :m] @ X + rest)[0]
        N = rest.conj().T @ M @ rest
    S = np.concatenate([outer, rest], axis=1)
    known = inverse(S) if np.isfinite(S).all() else None
    if known is None:
        return None
    middle = linalg.block_diag(np.diag(D), N) if m < len(M) else np.diag(D)
    wrong = float(product_error(M, S) + product_error(S, middle)) + rounded * float(size(S))
    gap = M @ S - S @ middle
    E = known.times(gap, (wrong + UNIT * float(size(gap))) * SLACK)
    return _Splitting(D, N, S, known, E)


def _outside(D: NDArray[np.complex128], N: Matrix, E: float) -> tuple[float, float] | None:
    """Return ||F|| of the exact similarity S (I + F) and the distance of its blocks; or None."""
    m, n = D.size, D.size + len(N)
    E = E * math.sqrt(n) * SLACK  # Frobenius
    tilt = 0.0
    if len(N):
        apart = min(_least_singular(N - d * np.eye(len(N))) for d in D) - 2 * E
        if apart <= 2 * E:
            return None
        tilt = 2 * E / apart
    inside = E * (1 + tilt) * SLACK
    turns = 0.0
    if m > 1:
        distance = np.abs(D[:, None] - D[None, :]) + np.where(np.eye(m, dtype=bool), np.inf, 0.0)
        apart = distance.min(axis=1) * (1 - 1e-14) - 2 * inside
        if not (16 * inside < apart).all():
            return None
        turns = float(np.sqrt(((2 * inside / apart) ** 2).sum())) * SLACK
    F = (turns + tilt + tilt * (1 + turns)) * SLACK  # (1)
    return (F, inside) if F < 0.5 else None


def _least_singular(X: Matrix) -> float:
    """Return a lower bound on the least singular value."""
    known = inverse(X)
    return 0.0 if known is None else 1 / known.norm / SLACK


def _terms(
    D: NDArray[np.complex128], S: Matrix, known: Inverse, distance: float
) -> tuple[list[Matrix], list[Matrix]] | None:
    """Return R of each real eigenvalue, and C with 2 Re(e^{i phi} C) of each complex pair."""
    lines, pairs = [], []
    for j, d in enumerate(D):
        partner = int(np.argmin(np.abs(D - d.conj())))
        if abs(D[partner] - d.conj()) > distance + 8 * UNIT:
            return None
        C = np.outer(S[:, j], known.X[j])
        if partner == j:
            lines.append(np.real(C))
        elif j < partner:
            pairs.append(C)
    return lines, pairs


def _largest(lines: list[Matrix], pairs: list[Matrix]) -> float:
    """Bound ||sum_i s_i R_i + sum_j 2 Re(e^{i phi_j} C_j)|| over signs and angles."""
    apart = sum(norm(R).upper for R in lines) + sum(_around(0 * np.real(C), C) for C in pairs)
    signs = list(itertools.product((1.0, -1.0), repeat=max(0, len(lines) - 1)))
    if len(signs) > 64:
        return apart
    zero = np.zeros_like(np.real(pairs[0]) if pairs else lines[0])
    fixed = [
        sum((s * R for s, R in zip((1.0, *s), lines, strict=True)), zero) if lines else zero
        for s in signs
    ]
    if not pairs:
        return max(norm(R).upper for R in fixed)
    if len(pairs) == 1:
        return max(_around(R, pairs[0]) for R in fixed)
    corners = int((_CORNERS / len(signs)) ** (1 / len(pairs)))
    if corners < 12:
        return apart
    angle = 2 * np.pi * np.arange(corners) / corners
    circles = [_arm(C, angle) / math.cos(math.pi / corners) for C in pairs]
    together = np.array(fixed)
    for circle in circles:
        together = (together[:, None] + circle[None]).reshape(-1, *zero.shape)
    return min(apart, float(norms(together)[1].max()))  # (2)


def _arm(C: Matrix, angle: Matrix) -> Matrix:
    """Return 2 Re(e^{i angle} C) for each angle."""
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return 2 * (c * np.real(C) - s * np.imag(C))


def _around(R: Matrix, C: Matrix) -> float:
    """Bound ||R + 2 Re(e^{i phi} C)|| over phi: the circle lies inside the polygons tried."""
    half = math.pi / 32
    middle = half * (2 * np.arange(32) + 1)
    best, done = 0.0, 0.0
    while middle.size:
        enough = half < 1e-6 or middle.size > _ARCS
        ends = np.concatenate([middle - half, middle + half])
        on = norms(R + _arm(C, ends))[1].reshape(2, -1).max(axis=0)
        out = norms(R + _arm(C, middle) / math.cos(half))[1]
        high = np.maximum(on, out)
        best = max(best, float(on.max()))
        open_ = (high > best * (1 + _CLOSE)) & (not enough)
        done = max(done, float(high[~open_].max(initial=0.0)))
        half /= 2
        middle = np.concatenate([middle[open_] - half, middle[open_] + half])
    return max(best, done) * (1 + 1e-13)
