"""Numbers written as text, exact or rounded, with a bound on what they may cost."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from mdplib.errors import InvalidModelError

_EXACT = re.compile(r"[+-]?(?:\d{1,4000}/\d{1,4000}|\d{1,4000}(?:\.\d{0,4000})?|\.\d{1,4000})")
_POWER = re.compile(r"[eE]([+-]?\d{1,4})")
_MOST_POWER = 4000
_MOST_BITS = 13_000


def exact(text: str) -> Fraction:
    """Return the number that a text stands for: ``3``, ``1/3``, ``0.25`` or ``1.5e-7``.

    Raises
    ------
    ValueError
        If it is none, or has more than 4000 digits.

    Examples
    --------
    >>> exact("2/6"), exact("2.5e-1")
    (Fraction(1, 3), Fraction(1, 4))
    """
    found = _EXACT.match(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no number")
    try:
        value = Fraction(found[0])
    except ZeroDivisionError:
        raise ValueError(f"{text[:40]!r} has denominator 0") from None
    rest = text[found.end() :]
    if rest:
        power = _POWER.fullmatch(rest)
        if power is None or "/" in found[0] or abs(int(power[1])) > _MOST_POWER:
            raise ValueError(f"{text[:40]!r} is no number")
        value *= Fraction(10) ** int(power[1])
    return value


def rounded(x: Fraction) -> float:
    """Return the double nearest to `x`; infinity beyond the largest one."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def spelled(x: Fraction) -> str:
    """Write a number so that `exact` reads it.

    Raises
    ------
    InvalidModelError
        If it has too many digits for that.
    """
    if max(x.numerator.bit_length(), x.denominator.bit_length()) > _MOST_BITS:
        raise InvalidModelError(
            "an exact number has more than 3900 digits, too many to write as text; write umb"
        )
    return str(x)
