r"""Sparse linear equations of Markov chains over the rationals.

Problem       Solve A x = b exactly for an M-matrix A with rational entries, its rows scaled to
              integers.
Algorithm     Lifting (`mdplib.exact.lifting`). Where doubles cannot factorise A well enough, and
              for a few unknowns: Gaussian elimination, always of the unknown with the least
              work, (entries of its row - 1) x (entries of its column - 1). Where that fills up:
              the dense solver of FLINT.
Guarantee     Exact. No pivot of the elimination is zero: A is an M-matrix up to the scales of its
              rows, and so are its Schur complements.
Cost          Elimination: entries created, times the length of the numbers.
Deviations    None.
References    Markowitz (1957); Berman and Plemmons (1994), chapter 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mdplib.errors import SolverError
from mdplib.exact.lifting import IntegerSystem, TimeExpired, lift
from mdplib.exact.numbers import RationalVector, need_flint

if TYPE_CHECKING:
    from flint import fmpq

_FEW = 24  # unknowns up to which elimination is faster than lifting
_MANY = 2000  # unknowns beyond which a dense rational solve is out of reach
_FILL = 40  # new entries per row after which elimination gives up


def solve(system: IntegerSystem, expired: Callable[[], bool] | None = None) -> RationalVector:
    """Solve ``A x = b`` exactly.

    Parameters
    ----------
    system : IntegerSystem
        Equations with one solution.
    expired : callable, optional
        Asked from time to time; True ends the work by `TimeExpired`.

    Returns
    -------
    RationalVector
        The solution.

    Raises
    ------
    SolverError
        If A is singular.
    MissingExtraError
        Without python-flint (extra ``exact``).

    Examples
    --------
    >>> import numpy as np
    >>> half = IntegerSystem(np.array([0, 2, 4]), np.array([0, 1, 0, 1]), [2, -1, -1, 3],
    ...                      [0, 1], [2, 2])
    >>> solve(half).fractions()
    [Fraction(1, 5), Fraction(2, 5)]
    """
    need_flint()
    if not any(system.right):
        return RationalVector([0] * system.n, 1)
    if system.n > _FEW:
        found = lift(system, expired or (lambda: False))
        if found is not None:
            return found
    found = eliminate(system, _FILL * system.n if system.n > _FEW else None, expired)
    if found is None and system.n > _MANY:
        raise SolverError(
            f"{system.n} equations are too close to singular for lifting, and too entangled for "
            f"elimination (more than {_FILL} new entries per row); use a floating-point method",
            None,
        )
    return dense(system) if found is None else found


def eliminate(
    system: IntegerSystem, limit: int | None = None, expired: Callable[[], bool] | None = None
) -> RationalVector | None:
    """Solve by Gaussian elimination, or return None once `limit` entries were created.

    Parameters
    ----------
    system : IntegerSystem
        Equations of an M-matrix, so that diagonal pivots do.
    limit : int, optional
        Number of new entries after which to give up.
    expired : callable, optional
        As in `solve`.
    """
    from flint import fmpq

    ptr, place = system.indptr.tolist(), system.indices.tolist()
    rows: list[dict[int, fmpq]] = []
    users: list[set[int]] = [set() for _ in range(system.n)]
    for i, s in enumerate(system.scale):
        row = {}
        for j in range(ptr[i], ptr[i + 1]):
            if system.entries[j]:
                row[place[j]] = fmpq(system.entries[j], s)
                users[place[j]].add(i)
        rows.append(row)
    right = [fmpq(b, s) for b, s in zip(system.right, system.scale, strict=True)]
    order = _eliminate_all(rows, users, right, limit, expired or (lambda: False))
    if order is None:
        return None
    x: list[Any] = [None] * system.n
    for i in reversed(order):
        x[i] = right[i]
        for t, a in rows[i].items():
            if t != i:
                x[i] -= a * x[t]
    D = math.lcm(*(int(v.q) for v in x))
    return RationalVector([int(v.p) * (D // int(v.q)) for v in x], D)


def _eliminate_all(
    rows: list[dict[int, fmpq]],
    users: list[set[int]],
    right: list[fmpq],
    limit: int | None,
    expired: Callable[[], bool],
) -> list[int] | None:
    """Eliminate every unknown, that with the least work first; return the order."""
    from heapq import heapify, heappop, heappush

    def work(i: int) -> int:
        return (len(rows[i]) - 1) * (len(users[i]) - 1)

    queue = [(work(i), i) for i in range(len(rows))]
    heapify(queue)
    order: list[int] = []
    done = [False] * len(rows)
    while queue:
        cost, i = heappop(queue)
        if done[i]:
            continue
        if cost != work(i):
            heappush(queue, (work(i), i))
            continue
        if len(order) % 64 == 0 and expired():
            raise TimeExpired
        done[i] = True
        order.append(i)
        created = _eliminate_one(i, rows, users, right)
        if limit is not None:
            limit -= created
            if limit < 0:
                return None
    return order


def _eliminate_one(
    i: int, rows: list[dict[int, fmpq]], users: list[set[int]], right: list[fmpq]
) -> int:
    """Solve equation i for unknown i and substitute it; return the number of new entries."""
    row, created = rows[i], 0
    pivot = row.get(i)
    if not pivot:
        raise SolverError(f"the equations are singular: no pivot is left for unknown {i}", None)
    for t in row:
        users[t].discard(i)
        if t != i:
            row[t] = row[t] / pivot
    right[i] = right[i] / pivot
    for u in users[i]:
        other = rows[u]
        factor = other.pop(i)
        for t, a in row.items():
            if t == i:
                continue
            old = other.get(t)
            if old is None:
                other[t] = -factor * a
                users[t].add(u)
                created += 1
            else:
                other[t] = old - factor * a
        if right[i]:
            right[u] = right[u] - factor * right[i]
    return created


def dense(system: IntegerSystem) -> RationalVector:
    """Solve by the dense solver of FLINT."""
    from flint import fmpz_mat

    n = system.n
    A = fmpz_mat(n, n)
    ptr, place = system.indptr.tolist(), system.indices.tolist()
    for i in range(n):
        for j in range(ptr[i], ptr[i + 1]):
            A[i, place[j]] = system.entries[j]
    try:
        x: Any = A.solve(fmpz_mat(n, 1, system.right))
    except ZeroDivisionError:
        raise SolverError("the equations are singular", None) from None
    N, D = x.numer_denom()
    return RationalVector([int(N[i, 0]) for i in range(n)], int(D))
