r"""Inner robust problems of many rows at once, for callers that have checked their arguments.

Problem       For every row p of a compressed table, ``inf_q E_q V + strength D(q || p)``, or the
              infimum over ``D(q || p) <= strength``.
Algorithm     Row by row in compiled code; or, for a penalty with one strength for all rows, by
              one product of the table with a transformed vector:

                  tv    c + sum p min(V - c, strength),              c = least V             (1)
                  kl    c - strength log(1 + sum p (exp((c - V) / strength) - 1)).           (2)

Guarantee     ``lower <= infimum <= upper`` for the law p / sum(p), every rounding counted.
Cost          O(nnz), times a few for the balls.
Deviations    None.
References    Iyengar (2005); Nilim and El Ghaoui (2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels
from mdplib.divergences import NAMES, Divergence

Mode = Literal["penalty", "ball"]
Floats = NDArray[np.float64]
Indices = NDArray[np.integer]
_LEAST = 2.0**-1000  # strengths below it, in units of the largest value, act like it
_TINY = 2.0**-900
_UNIT = 2.0**-53
_WORTHWHILE = 500_000  # entries per thread below which a second one does not pay
_FAINT = 1e-250  # a partition sum below it is recomputed row by row


@dataclass(frozen=True, eq=False)
class Rows:
    """Laws as compressed rows.

    Parameters
    ----------
    indptr : (n+1,) int
        First entry of each row, absolute.
    indices : (nnz,) int32
        Successors; empty when every row stores all S entries in order.
    data : (nnz,) float64
        Probabilities.
    """

    indptr: Indices
    indices: NDArray[np.int32]
    data: Floats

    @staticmethod
    def dense(p: Floats) -> Rows:
        """Return a contiguous (..., S) array as rows, without copying it."""
        S = p.shape[-1]
        return Rows(
            np.arange(p.size // S + 1, dtype=np.int64) * S, np.empty(0, np.int32), p.reshape(-1)
        )

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.indptr.size - 1

    @property
    def is_dense(self) -> bool:
        """Whether every row stores every state."""
        return self.indices.size == 0

    @cached_property
    def longest(self) -> int:
        """Largest number of entries of a row."""
        return int(np.diff(self.indptr).max())

    @cached_property
    def total(self) -> Floats:
        """Sum of each row."""
        first, last = int(self.indptr[0]), int(self.indptr[-1])
        return np.add.reduceat(self.data[first:last], self.indptr[:-1] - first)

    @cached_property
    def atoms(self) -> NDArray[np.int64]:
        """Number of positive entries of each row."""
        first, last = int(self.indptr[0]), int(self.indptr[-1])
        positive = self.data[first:last] > 0
        return np.add.reduceat(positive, self.indptr[:-1] - first, dtype=np.int64)

    def take(self, which: Indices) -> Rows:
        """Return some of the rows, copied."""
        if self.is_dense:
            return Rows.dense(self.data.reshape(self.size, -1)[which])
        size = np.diff(self.indptr)[which]
        indptr = np.concatenate([[0], np.cumsum(size)])
        entries = np.arange(indptr[-1]) + np.repeat(self.indptr[which] - indptr[:-1], size)
        return Rows(indptr, self.indices[entries], self.data[entries])

    def times(self, x: Floats) -> Floats:
        """Return the sum of p x over each row."""
        if self.is_dense:
            first, last = int(self.indptr[0]), int(self.indptr[-1])
            return self.data[first:last].reshape(self.size, -1) @ x
        out, zero = np.empty(self.size), np.zeros(self.size)
        _kernels.bellman.q_values(self.indptr, self.indices, self.data, zero, 1.0, x, 0, out)
        return out


@dataclass(frozen=True, eq=False)
class Found:
    """Solved inner problems.

    Parameters
    ----------
    lower, upper, value : (n,) float64
        Proven bounds and estimate per row.
    table : (6, n) float64
        What the kernel found, in units of `scale`; see `mdplib._kernels.robust`.
    scale, refuge : float
        Unit, a power of two, and value of the best refuge.
    """

    lower: Floats
    upper: Floats
    value: Floats
    table: Floats
    scale: float
    refuge: float


def solve_rows(
    divergence: Divergence,
    mode: Mode,
    strength: Floats,
    rows: Rows,
    V: Floats,
    vmin: float | None = None,
    *,
    which: Indices | None = None,
    start: Floats | None = None,
) -> Found:
    """Solve the inner problem of every row, or of the rows `which`.

    Parameters
    ----------
    divergence, mode, strength : str, str, (n,) float64
        The problem; strength in units of V for a penalty.
    rows : Rows
        The nominal laws.
    V : (S,) float64
        The values.
    vmin : float, optional
        Value of the best refuge of an adversary in total variation, ``V.min()`` by default.
    which : (m,) int, optional
        Rows to solve; the other entries of the result are those of `start`.
    start : (6, n) float64, optional
        Table of an earlier call, to start searches from; overwritten.

    Returns
    -------
    Found
    """
    size = float(np.max(np.abs(V), initial=0.0))
    scale = 2.0 ** min(int(np.frexp(size)[1]), 1000) if size > 0 else 1.0
    refuge = float(V.min()) if vmin is None else float(vmin)
    table = np.zeros((6, rows.size)) if start is None else start
    which = np.arange(rows.size) if which is None else which
    if mode == "penalty":
        with np.errstate(over="ignore"):
            strength = np.maximum(strength / scale, _LEAST)
    X = V / scale

    def work(a: int, b: int) -> tuple[float]:
        _kernels.robust.solve_rows(
            NAMES.index(divergence), mode == "ball", strength, refuge / scale, rows.is_dense,
            rows.longest, rows.indptr, rows.indices, rows.data, X, which[a:b], table,
        )  # fmt: skip
        return (0.0,)

    if rows.data.size < 2 * _WORTHWHILE:
        work(0, which.size)
    else:
        edges = np.linspace(0, which.size, _kernels.threads.usable() + 1).astype(int)
        _kernels.threads.share(list(pairwise(edges.tolist())), work)
    lower, upper, value = table[:3] * scale
    return Found(lower, upper, value, table, scale, refuge)


def tilt_rows(
    divergence: Divergence, rows: Rows, V: Floats, found: Found
) -> tuple[Floats, Floats, Floats]:
    """Return the minimisers of solved rows.

    Returns
    -------
    q : (entries,) float64
        Entries of the minimisers on the stored entries of the rows.
    far : (n,) float64
        Their divergences from the nominal laws.
    moved : (n,) float64
        Mass that goes to the refuge in addition (total variation only).
    """
    first, last = int(rows.indptr[0]), int(rows.indptr[-1])
    starts, size = rows.indptr[:-1] - first, np.diff(rows.indptr)
    p = rows.data[first:last] / np.repeat(rows.total, size)
    x = np.tile(V, rows.size) if rows.is_dense else V[rows.indices[first:last]]
    x = x / found.scale
    base = np.minimum.reduceat(np.where(p > 0, x, np.inf), starts)
    if divergence == "tv":
        base = np.minimum(base, found.refuge / found.scale)
    x = np.where(p > 0, x - np.repeat(base, size), np.inf)
    a, b, c = (np.repeat(column, size) for column in found.table[3:])
    still, far = found.table[3] == -1.0, np.zeros(rows.size)
    alone = found.table[3] == np.inf if divergence == "kl" else found.table[5] == -1.0
    if divergence == "tv":
        q = np.where(x < a, p, np.where(x == a, p * b, 0.0))
        far = np.where(still, 0.0, found.table[5])
    else:
        least = np.add.reduceat(np.where(x == 0, p, 0.0), starts)
        with np.errstate(invalid="ignore", over="ignore"):
            w, terms = (_kl_ratio if divergence == "kl" else _chi2_ratio)(p, x, a, b, c, starts)
        q = np.where(np.repeat(alone, size), (x == 0) / np.repeat(least, size), w) * p
        far = np.add.reduceat(terms, starts)
        top = -np.log(least) if divergence == "kl" else (1.0 - least) / least
        far = np.where(alone, top, np.where(still, 0.0, far))
    moved = far if divergence == "tv" else np.zeros(rows.size)
    return np.where(np.repeat(still, size), p, q), far, moved


def _kl_ratio(
    p: Floats, x: Floats, tilt: Floats, log: Floats, share: Floats, starts: Indices
) -> tuple[Floats, Floats]:
    """Return q / p and the terms p (w log w - w + 1) of the divergence, w = q / p."""
    y = log - tilt * x
    w = np.exp(y)
    series = y * y * (0.5 + y * (1 / 3 + y * (0.125 + y * (1 / 30 + y / 144))))
    terms = np.where(np.abs(y) < 0.01, series, np.where(w > 0, y * w, 0.0) - np.expm1(y))
    return 1 - share + share * w, np.where(p > 0, p * share * terms, 0.0)


def _chi2_ratio(
    p: Floats, x: Floats, top: Floats, room: Floats, above: Floats, starts: Indices
) -> tuple[Floats, Floats]:
    """Return q / p and the terms p (q / p - 1)^2 of the divergence."""
    active, size = x <= top, np.diff(np.append(starts, p.size))
    full = np.repeat(np.logical_and.reduceat(active | (p == 0), starts), size)
    hang = np.where(full, 0.0, above)  # as in the kernel: it may be huge where all are active
    z = np.where(active, (top - x) + hang, 0.0)
    mean = np.where(full, np.repeat(np.add.reduceat(p * z, starts), size), room)
    ratio = np.where(active, ((top - x) + above) / room, 0.0)
    return ratio, p * ((z - mean) / room) ** 2


def has_product(divergence: Divergence, mode: Mode, strength: Floats) -> bool:
    """Whether `bounds_by_product` applies: a TV or KL penalty, one strength for all rows."""
    return (
        mode == "penalty"
        and divergence in ("tv", "kl")
        and bool(np.all(strength == strength[0]))
        and 1e-250 < strength[0] < 1e250
    )


def bounds_by_product(
    divergence: Divergence, strength: Floats, rows: Rows, V: Floats
) -> tuple[Floats, Floats]:
    """Return proven lower and upper bounds where `has_product`, by (1) or (2)."""
    price, base = float(strength[0]), float(V.min())
    e = 1.01 * (rows.longest + 32) * _UNIT
    u = V - base
    if divergence == "tv":
        excess = rows.times(np.minimum(u, price)) / rows.total  # (1)
        slack = e * excess
    else:
        t = u / price
        less = np.maximum(rows.times(np.expm1(-t)) / rows.total, -1.0)
        deep = less <= -0.5
        log = -np.log1p(np.where(deep, 0.0, less))
        faint = np.zeros(0, dtype=np.intp)
        if deep.any():
            z = rows.times(np.exp(-t)) / rows.total
            faint = np.flatnonzero(z < _FAINT)
            log = np.where(deep, -np.log(np.maximum(z, _FAINT)), log)
        excess = price * log  # (2)
        slack = e * excess
        if faint.size:
            found = solve_rows("kl", "penalty", strength, rows, V, which=faint)
            low, high = _around(base, excess, slack)
            low[faint], high[faint] = found.lower[faint], found.upper[faint]
            return low, high
    return _around(base, excess, slack)


def _around(base: float, excess: Floats, slack: Floats) -> tuple[Floats, Floats]:
    """Return ``base + excess`` -+ slack, the last roundings included."""
    last = 2 * _UNIT * (abs(base) + excess + slack) + _TINY * (excess > 0)
    return base + np.maximum(excess - slack, 0.0) - last, base + (excess + slack) + last
