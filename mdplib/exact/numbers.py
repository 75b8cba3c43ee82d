"""Rational vectors over one denominator, as fractions and as the doubles around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import MissingExtraError

SHORT = 2000  # bits up to which Python's integers are as fast as FLINT's


@dataclass(frozen=True)
class RationalVector:
    """Rational numbers over one denominator.

    Parameters
    ----------
    numerator : list of int, or of FLINT's integers
        One per entry.
    denominator : int, or one of FLINT's integers
        Positive.
    """

    numerator: list[Any]
    denominator: Any

    def fractions(self) -> list[Fraction]:
        """Return the entries in lowest terms."""
        from flint import fmpz

        D = fmpz(self.denominator)
        if D.bit_length() <= SHORT:
            return _reduced(self.numerator, int(D))
        # Every prime that D shares with some numerator divides `shared`.
        product = fmpz(1)
        for x in self.numerator:
            product = product * (x if x else 1) % D
        shared = part = D.gcd(product)
        while shared != 1:
            shared = (D // part).gcd(shared)
            part *= shared
        whole, found = int(D), []
        for x in self.numerator:
            g = part.gcd(x % part) if x else D
            ratio = (int(x), whole) if g == 1 else (int(x // g), int(D // g))
            found.append(fraction(*ratio))
        return found

    def floats(self) -> NDArray[np.float64]:
        """Return the nearest doubles; infinite beyond the largest."""
        D = int(self.denominator)
        return np.array([quotient(int(x), D) for x in self.numerator], dtype=np.float64)


def _reduced(numerators: Sequence[Any], D: int) -> list[Fraction]:
    """Reduce short fractions, equal ones once."""
    seen: dict[int, Fraction] = {}
    found = []
    for numerator in numerators:
        x = int(numerator)
        if x not in seen:
            g = math.gcd(x, D)
            seen[x] = fraction(x // g, D // g)
        found.append(seen[x])
    return found


class _Ratio:
    """Numerator and denominator known to be coprime: spares `Fraction` a slow check."""

    __slots__ = ("denominator", "numerator")

    def __init__(self, numerator: int, denominator: int):
        self.numerator, self.denominator = numerator, denominator


Rational.register(_Ratio)


def fraction(numerator: int, denominator: int) -> Fraction:
    """Return a `Fraction` from coprime integers, the second positive, without checking."""
    return Fraction(_Ratio(numerator, denominator))  # type: ignore[call-overload]


def quotient(a: int, b: int) -> float:
    """Return a / b correctly rounded, infinite beyond the largest double."""
    try:
        return a / b
    except OverflowError:
        return math.inf if a > 0 else -math.inf


def need_flint() -> None:
    """Raise `MissingExtraError` unless python-flint is there."""
    try:
        import flint  # noqa: F401
    except ImportError:
        raise MissingExtraError("exact", "flint") from None


def neighbours(
    exact: Sequence[Fraction | float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the doubles next to each number: the largest below or at it, the least above or at it.

    Examples
    --------
    >>> low, high = neighbours([Fraction(1, 2), Fraction(1, 3), Fraction(1, 10**400)])
    >>> low[0] == high[0], bool(low[1] < high[1]), low[2], high[2]
    (np.True_, True, np.float64(0.0), np.float64(5e-324))
    """
    known: dict[int, tuple[float, float]] = {}
    low, high = np.empty(len(exact)), np.empty(len(exact))
    for i, x in enumerate(exact):
        pair = known.get(id(x))
        if pair is None:
            pair = known[id(x)] = _around(x)
        low[i], high[i] = pair
    return low, high


def _around(x: Fraction | float) -> tuple[float, float]:
    if isinstance(x, float):
        return x, x
    try:
        near = x.numerator / x.denominator
    except OverflowError:
        largest = float(np.finfo(np.float64).max)
        return (largest, math.inf) if x > 0 else (-math.inf, -largest)
    a, b = near.as_integer_ratio()
    error = a * x.denominator - b * x.numerator
    if error == 0:
        return near, near
    return (
        (near, math.nextafter(near, math.inf))
        if error < 0
        else (math.nextafter(near, -math.inf), near)
    )
