"""The rows of a model over the integers: policies evaluated and actions compared without rounding.

A pair k has the value ``r_k + gamma sum_t p_kt V(t)``. Its probabilities are kept as integers
over one denominator per pair, and V as integers over one denominator (`RationalVector`), so that
a comparison is a few products of long and short integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.exact.lifting import IntegerSystem
from mdplib.exact.linear import solve
from mdplib.exact.numbers import RationalVector
from mdplib.rational import Reading

Row = tuple[int, tuple[tuple[int, int], ...], int, int]


class ExactRows:
    """Rows of chosen pairs, converted on first use.

    Parameters
    ----------
    indptr : (K+1,) int array
        First transition of each pair.
    successors : (nnz,) int array
        State (or block of states) that each transition leads to; may repeat within a pair.
    reading : Reading
        Probabilities and rewards; without rewards they are 0.
    """

    def __init__(self, indptr: NDArray[Any], successors: NDArray[Any], reading: Reading):
        self._indptr = indptr
        self._successors = successors
        self._reading = reading
        self._rows: dict[int, Row] = {}
        gamma = Fraction(1) if reading.gamma is None else reading.gamma
        self._gamma = gamma.numerator, gamma.denominator

    def row(self, k: int) -> Row:
        """Return (denominator, ((successor, numerator), ...), reward's numerator, denominator)."""
        known = self._rows.get(k)
        if known is not None:
            return known
        a, b = int(self._indptr[k]), int(self._indptr[k + 1])
        p = self._reading.probability[a:b]
        common = math.lcm(*(x.denominator for x in p))
        merged: dict[int, int] = {}
        for t, x in zip(self._successors[a:b].tolist(), p, strict=True):
            if x:
                merged[t] = merged.get(t, 0) + x.numerator * (common // x.denominator)
        reward = self._reading.reward
        rn, rd = (0, 1) if reward is None else reward[k].as_integer_ratio()
        found = common, tuple(sorted(merged.items())), rn, rd
        self._rows[k] = found
        return found

    def excess(self, k: int, s: int, V: RationalVector) -> Any:
        """Return a number with the sign of ``r_k + gamma P_k V - V(s)``."""
        common, row, rn, rd = self.row(k)
        N, D = V.numerator, V.denominator
        gn, gd = self._gamma
        total = 0
        for t, p in row:
            total = total + p * N[t]
        scale = gd * common
        return (rn * scale) * D + (gn * rd) * total - (rd * scale) * N[s]

    def evaluate(
        self,
        pair: Sequence[int],
        fixed: Sequence[int | None] | None = None,
        expired: Callable[[], bool] | None = None,
    ) -> RationalVector:
        """Return the value of a policy.

        Parameters
        ----------
        pair : sequence of int
            Pair of each state; of no account where the value is fixed.
        fixed : sequence of int or None, optional
            Known value of each state, None where it is to be found.
        expired : callable, optional
            As in `exact_linear.solve`.
        """
        n = len(pair)
        values = [None] * n if fixed is None else fixed
        unknown = [s for s in range(n) if values[s] is None]
        place = dict(zip(unknown, range(len(unknown)), strict=True))
        x = solve(self._system(pair, values, unknown, place), expired)
        D = x.denominator
        numerator = [
            x.numerator[place[s]] if value is None else value * D for s, value in enumerate(values)
        ]
        return RationalVector(numerator, D)

    def _system(
        self,
        pair: Sequence[int],
        values: Sequence[int | None],
        unknown: list[int],
        place: dict[int, int],
    ) -> IntegerSystem:
        """``(I - gamma P) x = r + gamma P (fixed values)``, every row times its denominators."""
        gn, gd = self._gamma
        indptr, indices, entries, right, scales = [0], [], [], [], []
        for s in unknown:
            common, row, rn, rd = self.row(int(pair[s]))
            scale = gd * common * rd
            total, entry = rn * gd * common, {place[s]: scale}
            for t, p in row:
                value = values[t]
                if value is None:
                    entry[place[t]] = entry.get(place[t], 0) - gn * rd * p
                else:
                    total += gn * rd * p * value
            indices.extend(entry)
            entries.extend(entry.values())
            indptr.append(len(indices))
            right.append(total)
            scales.append(scale)
        return IntegerSystem(np.array(indptr), np.array(indices), entries, right, scales)

    def improve(
        self,
        state: NDArray[Any],
        candidates: Iterable[int],
        V: RationalVector,
        rough: NDArray[np.float64],
    ) -> tuple[dict[int, int], dict[int, list[int]]]:
        """Compare pairs with V exactly.

        Parameters
        ----------
        state : (K,) int array
            State (or block) of each pair.
        candidates : iterable of int
            Pairs to look at, in rising order.
        V : RationalVector
            Value of each state.
        rough : (K,) float64
            Approximate value of each pair, which decides between several better ones.

        Returns
        -------
        better : dict
            For each state where some candidate exceeds V, one of those.
        equal : dict
            For each state the candidates that equal V.
        """
        better: dict[int, int] = {}
        equal: dict[int, list[int]] = {}
        for k in candidates:
            s = int(state[k])
            sign = self.excess(k, s, V)
            if sign > 0:
                better[s] = max(better.get(s, k), k, key=rough.__getitem__)
            elif sign == 0:
                equal.setdefault(s, []).append(k)
        return better, equal
