r"""Sparse linear equations over the integers by lifting an approximate solution.

Problem       Solve A x = b exactly, where A is an integer matrix whose rows, divided by their
              scales, are those of I - gamma P, or of I - P on the transient states.
Algorithm     With a floating-point LU factorisation of A and e bits per step,

                  c = round(2^e A^{-1} r),    r <- 2^e r - A c,    r = b at first.           (1)

              The residual r is computed over the integers, so every step adds e correct bits
              to x. From time to time a common denominator D is guessed: the shortest vector
              of a lattice of dimension three gives that of two sums of entries of x, further
              entries complete it, and N = round(D x).                                       (2)
              The guess is right if and only if A N = D b over the integers.                 (3)
Guarantee     (3) is checked for every answer: no rounding error can survive it. Where doubles
              cannot factorise A well enough there is no answer.
Cost          1.5 (bits of the determinant) / e steps at most, each a sparse triangular solve and
              a sparse product; as few as the answer has bits where it is simple.
Deviations    Wan's algorithm bounds the error of the approximation; (3) makes that superfluous.
References    Wan (2006), "An algorithm to solve integer linear systems exactly using numerical
              methods"; Dixon (1982); Monagan (2004) on early termination.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.exact.numbers import SHORT, RationalVector, quotient

_WIDEST, _NARROWEST = 44, 8  # bits gained per lifting step
_TURNS = 64  # entries, or sums of entries, that may add to the denominator
_ODD = 0x9E3779B97F4A7C15  # scatters the bits of small integers
_MARGIN = 12  # bits by which a denominator must be too small to be a coincidence


class TimeExpired(Exception):
    """The caller's time was up."""


@dataclass(frozen=True)
class IntegerSystem:
    """Equations ``A x = b`` over the integers.

    Parameters
    ----------
    indptr, indices : int arrays
        Rows of A in compressed form; each holds its diagonal entry.
    entries : list of int
        The entries.
    right : list of int
        b.
    scale : list of int
        Positive number that row i was multiplied by to clear its denominators.
    """

    indptr: NDArray[Any]
    indices: NDArray[Any]
    entries: list[int]
    right: list[int]
    scale: list[int]

    @property
    def n(self) -> int:
        """Number of unknowns."""
        return len(self.right)


def holds(system: IntegerSystem, x: RationalVector) -> bool:
    """Whether A N = D b over the integers (3)."""
    N, D = x.numerator, x.denominator
    ptr, place, a = system.indptr.tolist(), system.indices.tolist(), system.entries
    return all(
        sum(a[j] * N[place[j]] for j in range(ptr[i], ptr[i + 1])) == D * b  # (3)
        for i, b in enumerate(system.right)
    )


class _DivergedError(Exception):
    """Doubles do not gain the wanted bits per step."""


def lift(system: IntegerSystem, expired: Callable[[], bool]) -> RationalVector | None:
    """Solve by lifting; None where doubles are not good enough."""
    try:
        factors = _Factors(system)
    except (RuntimeError, OverflowError):  # singular in double precision
        return None
    for e in range(_WIDEST, _NARROWEST - 1, -4):
        try:
            return _Lifting(system, factors, e).run(expired)
        except _DivergedError:
            continue
    return None


class _Factors:
    """A in double precision, its rows divided by their scales, and its LU factorisation."""

    def __init__(self, system: IntegerSystem):
        import scipy.sparse as sp
        from scipy.sparse.linalg import splu

        n = system.n
        rows = np.repeat(np.arange(n), np.diff(system.indptr)).tolist()
        floats = np.array([a / system.scale[i] for a, i in zip(system.entries, rows, strict=True)])
        A = sp.csr_array((floats, system.indices, system.indptr), shape=(n, n))
        self.lu = splu(sp.csc_array(A))
        with np.errstate(divide="ignore"):
            pivots = np.log2(np.abs(self.lu.U.diagonal()))
        self.bits = float(pivots.sum()) + _determinant_bits(system)
        right = [quotient(b, s) for b, s in zip(system.right, system.scale, strict=True)]
        self.x = self.lu.solve(np.array(right))
        if not (np.isfinite(self.x).all() and math.isfinite(self.bits) and self.x.any()):
            raise OverflowError("not representable")


def _determinant_bits(system: IntegerSystem) -> float:
    """Bits by which the denominator of x may exceed the determinant of the rows over their scales.

    Common factors g_i of the rows of A (they cleared the denominators of b) count once, as
    their least common multiple, since A / g is an integer matrix as well.
    """
    ptr, a = system.indptr.tolist(), system.entries
    common = [math.gcd(*a[i:j]) for i, j in itertools.pairwise(ptr)]
    own = sum(_log2(s) - _log2(g) for s, g in zip(system.scale, common, strict=True))
    shared = 1
    for g in set(common):
        shared = math.lcm(shared, g)
    return own + _log2(shared)


def _log2(x: int) -> float:
    shift = max(x.bit_length() - 64, 0)
    return math.log2(x >> shift) + shift


class _Lifting:
    """The iteration (1) with residuals in limbs of e/2 bits, all rows at a time."""

    def __init__(self, system: IntegerSystem, factors: _Factors, e: int):
        self.system, self.factors, self.e, self.w = system, factors, e, e // 2
        self.top = math.frexp(float(np.abs(factors.x).max()))[1]  # |x| <= 2^top
        if self.top > e:
            raise _DivergedError
        c = np.rint(np.ldexp(factors.x, e - self.top))
        first = [int(v) for v in c.tolist()]
        ptr, place, a = system.indptr.tolist(), system.indices.tolist(), system.entries
        residual = [
            (b << (e - self.top)) - sum(a[j] * first[place[j]] for j in range(ptr[i], ptr[i + 1]))
            for i, b in enumerate(system.right)
        ]
        self.steps = [c.astype(np.int64)]
        widest = max(max(abs(x) for x in row).bit_length() for row in (a, residual))
        self.limbs = -(-(widest + 2) // self.w) + 1
        self.matrix = self._split_matrix(a)
        self.r = np.ascontiguousarray(_to_limbs(residual, self.limbs + 3, self.w).T)
        shift = self.w * np.arange(self.limbs + 3)[:, None]
        parts = [math.frexp(s) if s < 1 << 1000 else _frexp(s) for s in system.scale]
        mantissa = np.array([1 / m for m, _ in parts])
        exponent = np.array([x for _, x in parts])
        with np.errstate(under="ignore"):
            self.weight = np.ldexp(mantissa, shift - exponent)
        if not np.isfinite(self.weight).all():
            raise _DivergedError

    def _split_matrix(self, a: list[int]) -> Any:
        """Write A as limbs, one block of rows for each: A = sum_l 2^(w l) block_l."""
        import scipy.sparse as sp

        parts = _to_limbs(a, self.limbs, self.w)
        n = self.system.n
        blocks = []
        for column in parts.T:
            place = (self.system.indices, self.system.indptr)
            block = sp.csr_array((column, *place), shape=(n, n), copy=True)
            block.eliminate_zeros()
            blocks.append(block)
        while len(blocks) > 1 and blocks[-1].nnz == 0:
            blocks.pop()
        return sp.csr_array(sp.vstack(blocks))

    def step(self) -> None:
        """One step of (1)."""
        e, w, n = self.e, self.w, self.system.n
        y = self.factors.lu.solve((self.r * self.weight).sum(axis=0))
        c = np.rint(y * 2.0**e)  # (1)
        if not np.abs(c).max() <= 2.0 ** (e + 1) or self.r[-2:].any():
            raise _DivergedError
        c = c.astype(np.int64)
        self.steps.append(c)
        high = c >> w
        r = np.zeros_like(self.r)
        r[2:] = self.r[:-2]
        low_part = (self.matrix @ (c - (high << w))).reshape(-1, n)
        r[: len(low_part)] -= low_part
        r[1 : len(low_part) + 1] -= (self.matrix @ high).reshape(-1, n)
        half, carry = 1 << (w - 1), np.zeros(n, dtype=np.int64)
        for limb in r:
            limb += carry
            carry = (limb + half) >> w
            limb -= carry << w
        if carry.any():
            raise _DivergedError
        self.r = r  # (1)

    def run(self, expired: Callable[[], bool]) -> RationalVector | None:
        """Lift until a guess passes (3), or until the determinant says that none will."""
        bound = 1.5 * (self.factors.bits + self.system.n.bit_length()) + self.top + 64
        last = max(3, math.ceil(bound / self.e) + 1)
        check = 3
        while True:
            for count in range(len(self.steps), check):
                if count % 64 == 0 and expired():
                    raise TimeExpired
                self.step()
            found = self.guess()
            if found is not None and holds(self.system, found):
                return found
            if check >= last:
                return None
            check = last if 2.5 * check > last else 2 * check

    def guess(self) -> RationalVector | None:
        """Guess denominator and numerators from the bits known so far (2)."""
        from flint import fmpz

        n, steps = self.system.n, np.stack(self.steps, axis=1)
        size = self.e * len(self.steps) - self.top
        if size <= 4 * _MARGIN:
            return None
        some = _half(n, len(self.steps))
        sums = np.stack([steps[some].sum(axis=0), steps[~some].sum(axis=0)])
        D = _denominator(_assemble(sums, self.e), size, n)
        if D is None:
            return None
        X = [fmpz(x) for x in _assemble(steps, self.e)]
        for turn in range(_TURNS):
            N, off = _numerators(X, D, size)
            if not off:
                short = D.bit_length() <= SHORT
                return (
                    RationalVector([int(x) for x in N], int(D)) if short else RationalVector(N, D)
                )
            chosen = _half(len(off), turn)
            rest = sum((x for x, use in zip(off, chosen, strict=True) if use), start=off[0])
            more = _denominator([D * rest], size, D * n)
            if more is None or (D * more).bit_length() + 2 * _MARGIN > size:
                return None
            D *= more
        return None


def _numerators(X: list[Any], D: Any, size: int) -> tuple[list[Any], list[Any]]:
    """Return the integers next to ``D X / 2^size``, and those X for which that is not near one."""
    from flint import fmpz

    cut = max(size - D.bit_length() - 4 * _MARGIN, 0)  # lower bits do not matter
    size -= cut
    near, half = fmpz(1) << (size - _MARGIN), fmpz(1) << (size - 1)
    N, off = [], []
    for x in X:
        scaled = D * (x >> cut)
        N.append((scaled + half) >> size)  # (2)
        if abs(scaled - (N[-1] << size)) > near:
            off.append(x)
    return N, off


def _half(n: int, turn: int) -> NDArray[np.bool_]:
    """Pick about half of n places, other ones every turn."""
    mixed = (np.arange(1, n + 1, dtype=np.uint64) + np.uint64(977 * turn)) * np.uint64(_ODD)
    return (mixed >> np.uint64(40)) % np.uint64(2) == 1


def _denominator(X: Sequence[Any], size: int, error: Any) -> Any | None:
    """Least D with every ``D X / 2^size`` near an integer, None where no small one stands out.

    The lattice spanned by the columns X with ``weight`` below them and by 2^size times the unit
    vectors holds the vector (D X - N 2^size, D weight), which is short if D is the denominator.
    """
    from flint import fmpz, fmpz_mat

    m, slack = len(X), int(error).bit_length() + 2
    weight = fmpz(1) << slack
    unit = [[fmpz(int(i == j)) << size for j in range(m)] + [fmpz(0)] for i in range(m)]
    short = fmpz_mat([[*(fmpz(x) for x in X), weight], *unit]).lll()
    row = min(range(m + 1), key=lambda i: max(abs(short[i, j]) for j in range(m + 1)))
    D = abs(short[row, m]) // weight
    bits = D.bit_length()
    if D == 0 or bits + -(-bits // m) + slack + _MARGIN > size:
        return None
    return D


def _to_limbs(values: Sequence[int], limbs: int, w: int) -> NDArray[np.int64]:
    """Write integers in balanced digits of w bits, lowest first."""
    half, base = 1 << (w - 1), 1 << w
    found = np.zeros((len(values), limbs), dtype=np.int64)
    for i, x in enumerate(values):
        row = found[i]
        j = 0
        while x:
            digit = ((x + half) & (base - 1)) - half
            row[j] = digit
            x = (x - digit) >> w
            j += 1
    return found


def _frexp(x: int) -> tuple[float, int]:
    """Mantissa and exponent of an integer beyond the doubles."""
    shift = x.bit_length()
    return (x >> (shift - 64)) / 2.0**64, shift


def _assemble(steps: NDArray[np.int64], e: int) -> list[int]:
    """Return ``sum_k c_k 2^(e (K-1-k))`` for every row of steps."""
    n, K = steps.shape
    if K % 2:
        steps = np.concatenate([np.zeros((n, 1), dtype=np.int64), steps], axis=1)
    bound = int(np.abs(steps).max()) + 1
    if bound.bit_length() + 1 > 2 * e:
        return [_horner(row, e) for row in steps.tolist()]
    width = 2 * e // 8
    digits = (steps[:, ::-1] + bound).astype("<i8")  # lowest first, made positive
    offset = bound * sum(1 << (e * k) for k in range(steps.shape[1]))
    packed = np.zeros((n, steps.shape[1] // 2, 2, max(width, 8)), dtype=np.uint8)
    packed[..., :8] = digits.reshape(n, -1, 2, 1).view(np.uint8)
    low = np.ascontiguousarray(packed[:, :, 0, :width])
    high = np.ascontiguousarray(packed[:, :, 1, :width])
    return [
        int.from_bytes(a.tobytes(), "little")
        + (int.from_bytes(b.tobytes(), "little") << e)
        - offset
        for a, b in zip(low, high, strict=True)
    ]


def _horner(row: list[int], e: int) -> int:
    total = 0
    for c in row:
        total = (total << e) + c
    return total
