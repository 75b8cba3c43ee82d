r"""Which rational numbers the floats of a model stand for.

Problem       A file says 0.7 and stores the nearest double. Exact results need one agreed number.
Algorithm     A double x is the rounding of every real in an interval around it. The *simplest*
              rational of an interval, the one with the least denominator, is found by
              continued fractions: while both ends share their integer part a, take a and go on
              with the reciprocals of the rest.                                             (1)
              A row of n probabilities is read as the simplest rationals of its entries, if these
              sum to one. Otherwise rounding left its mark on more than the last bit (a program
              that computes 1 - 0.7 stores 0.30000000000000004). Then these are tried: the
              simplest rationals within (n + 4) 2^-53 of each entry, relatively; and, for these and
              for those before, the same with one entry replaced by what is left to one, if that
              is as near. Of those that sum to one the row with the least common denominator is
              taken.                                                                        (2)
              If there is none, the doubles are divided by their sum, exactly.
Guarantee     Integer arithmetic throughout; the rows of an undiscounted model sum to exactly one.
              Numbers differ from the doubles by at most (n + 4) 2^-53, relatively, or, after a
              division, by what the sum is off one.
Cost          One or two continued fractions per distinct double: below 40 steps each.
Deviations    A double that is an integer stands for itself.
References    Graham, Knuth, Patashnik (1994), section 4.5 (Stern-Brocot tree).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from mdplib.errors import InvalidModelError

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP
    from mdplib.undiscounted import UndiscountedMDP

Choice = Literal["stored", "simplest"]
Fractions = tuple[Fraction, ...]

_LEAST = -1074  # exponent of the smallest positive double
_BITS = 53


@dataclass(frozen=True)
class Reading:
    """The rational numbers that a model is taken to consist of.

    Parameters
    ----------
    probability : tuple of Fraction
        One per transition; the rows of an `UndiscountedMDP` sum to exactly one.
    reward : tuple of Fraction or None
        One per entry of ``mdp.reward``, row by row.
    gamma : Fraction or None
        Discount factor, where the model has one.
    terminal : tuple of Fraction or None
        Terminal rewards, where the model has them.
    log : tuple of str
        What was chosen, and for how many rows.
    """

    probability: Fractions
    reward: Fractions | None
    gamma: Fraction | None
    terminal: Fractions | None
    log: tuple[str, ...]


@lru_cache(maxsize=65536)
def simplest_fraction(x: float) -> Fraction:
    """Return the rational of least denominator that rounds to the double x.

    Parameters
    ----------
    x : float
        A finite number; an integer is returned as it is.

    Raises
    ------
    InvalidModelError
        If x is not finite.

    Examples
    --------
    >>> simplest_fraction(0.7), simplest_fraction(-1 / 3), simplest_fraction(1e-14)
    (Fraction(7, 10), Fraction(-1, 3), Fraction(1, 100000000000000))
    """
    x = float(x)
    if not math.isfinite(x):
        raise InvalidModelError(f"{x} is not finite; no rational number rounds to it")
    if x.is_integer():
        return Fraction(int(x))
    if x < 0:
        return -simplest_fraction(-x)
    mantissa, exponent = math.frexp(x)
    exponent = max(exponent - _BITS, _LEAST)
    m = int(math.ldexp(x, -exponent)) if exponent > _LEAST else _subnormal(mantissa, x)
    narrow = m == 1 << (_BITS - 1) and exponent > _LEAST  # doubles are closer below 2**k
    low, high = 4 * m - (1 if narrow else 2), 4 * m + 2
    closed = m % 2 == 0  # halfway cases round to even
    scale = exponent - 2
    if scale >= 0:
        return _simplest(low << scale, 1, high << scale, 1, closed)
    return _simplest(low, 1 << -scale, high, 1 << -scale, closed)


def _subnormal(mantissa: float, x: float) -> int:
    """Return x in units of the smallest double, for which a power of two is out of range."""
    return int(math.ldexp(mantissa, math.frexp(x)[1] - _LEAST))


def _simplest(ln: int, ld: int, hn: int, hd: int, closed: bool) -> Fraction:
    """Simplest rational between ln/ld and hn/hd, the ends included if `closed` (1)."""
    p0, q0, p1, q1 = 0, 1, 1, 0
    while True:
        a = ln // ld
        if not (closed and a * ld == ln):
            after = (a + 1) * hd
            if not (after < hn or (closed and after == hn)):
                p0, q0, p1, q1 = p1, q1, a * p1 + p0, a * q1 + q0
                ln, ld, hn, hd = hd, hn - a * hd, ld, ln - a * ld  # (1)
                continue
            a += 1
        return Fraction(a * p1 + p0, a * q1 + q0)


def simplest_fractions(values: ArrayLike) -> Fractions:
    """Apply `simplest_fraction` to every entry, once per distinct value.

    Examples
    --------
    >>> simplest_fractions([0.25, 0.1])
    (Fraction(1, 4), Fraction(1, 10))
    """
    distinct, place = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True)
    found = [simplest_fraction(x) for x in distinct.tolist()]
    return tuple(found[i] for i in place.ravel().tolist())


def stored_fractions(values: ArrayLike) -> Fractions:
    """Return every entry as the dyadic rational that the double is.

    Examples
    --------
    >>> stored_fractions([0.25, 0.1])[0]
    Fraction(1, 4)
    """
    return tuple(Fraction(x) for x in np.asarray(values, dtype=np.float64).ravel().tolist())


def rationals(
    mdp: UndiscountedMDP | TabularMDP, reading: Choice | None = None
) -> tuple[Fractions, Fractions | None]:
    """Return the exact probabilities and rewards of a model: see `read_exactly`.

    Examples
    --------
    >>> from mdplib import UndiscountedMDP
    >>> mdp = UndiscountedMDP([0, 1, 2, 3], [0, 2, 3, 4], [1, 2, 1, 2], [0.7, 0.3, 1, 1],
    ...                       [0, 0, 0], "reachability", target=[1])
    >>> rationals(mdp)[0][:2]
    (Fraction(7, 10), Fraction(3, 10))
    """
    found = read_exactly(mdp, reading)
    return found.probability, found.reward


def read_exactly(mdp: UndiscountedMDP | TabularMDP, reading: Choice | None = None) -> Reading:
    """Choose the rational numbers that a model stands for.

    Parameters
    ----------
    mdp : UndiscountedMDP or TabularMDP
        The model. `rational` and `rational_reward` of an `UndiscountedMDP` have precedence.
    reading : {"stored", "simplest"}, optional
        ``stored``: the doubles as they are. ``simplest``: the rows as described at the top of
        this module, every other number as the simplest rational. By default ``stored`` for
        a `TabularMDP`, whose rows may be off one and mean it, and ``simplest`` for an
        `UndiscountedMDP`, whose rows must sum to one; with ``stored`` its rows are divided by
        their sums where those are not one. A row of a `TabularMDP` that no simple numbers
        summing to one round to stays as stored.

    Returns
    -------
    Reading
        The numbers and a log of the choice.

    Raises
    ------
    InvalidModelError
        On an unknown reading.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[1.0]]], [[0.1]], gamma=0.9)
    >>> read_exactly(mdp, "simplest").gamma
    Fraction(9, 10)
    """
    discounted = hasattr(mdp, "gamma")
    if reading is None:
        reading = "stored" if discounted else "simplest"
    if reading not in get_args(Choice):
        raise InvalidModelError(f"reading is {reading!r}; 'stored' or 'simplest' expected")
    simplest = reading == "simplest"
    number = simplest_fractions if simplest else stored_fractions
    known = getattr(mdp, "rational", None)
    if known is not None:
        probability, log = known, ("the exact probabilities of the model were used",)
        _need_rows(known, mdp)
    elif discounted and not simplest:
        probability, log = number(mdp.data), ("every number is the double that is stored",)
    else:
        probability, log = _read_rows(mdp.data, mdp.indptr.tolist(), simplest, not discounted)
    reward = getattr(mdp, "rational_reward", None)
    if reward is not None:
        _need_visible(reward, "rational_reward", "whether it is 0 matters")
    elif mdp.reward is not None:
        reward = number(mdp.reward)
    terminal = getattr(mdp, "terminal", None)
    return Reading(
        probability,
        reward,
        number([mdp.gamma])[0] if discounted else None,  # type: ignore[union-attr]
        None if terminal is None else number(terminal),
        log,
    )


def _read_rows(
    data: np.ndarray, indptr: list[int], simplest: bool, divide: bool
) -> tuple[Fractions, tuple[str, ...]]:
    """Read the rows of probabilities, each different row once."""
    floats = data.tolist()
    seen: dict[tuple[float, ...], tuple[Sequence[Fraction], str]] = {}
    counts = dict.fromkeys(_LOG, 0)
    found: list[Fraction] = []
    for k in range(len(indptr) - 1):
        row = tuple(floats[indptr[k] : indptr[k + 1]])
        if row not in seen:
            seen[row] = _read_row(row, simplest, divide)
        numbers, how = seen[row]
        counts[how] += 1
        found.extend(numbers)
    return tuple(found), tuple(
        f"{count} of {len(indptr) - 1} rows {_LOG[how]}" for how, count in counts.items() if count
    )


_LOG = {
    "simplest": "were read as the simplest fractions that round to the stored numbers",
    "near": "were read as simple fractions next to the stored numbers, so that they sum to one",
    "stored": "are the stored numbers themselves",
    "divided": "were divided by their exact sum, which is not one",
}
_MANY = 16  # successors beyond which only the largest takes what is left to one


def _read_row(
    row: tuple[float, ...], simplest: bool, divide: bool
) -> tuple[Sequence[Fraction], str]:
    if simplest:
        numbers = [simplest_fraction(p) for p in row]
        if _sum(numbers) == 1:
            return numbers, "simplest"
        width = len(row) + 4
        wide = [_simplest_near(p, width) for p in row]
        near = [*_completed(numbers, row, width), *_completed(wide, row, width)]
        if near:
            return min(near, key=_common), "near"  # (2)
    numbers = [Fraction(p) for p in row]
    total = _sum(numbers)
    if total == 1 or not divide:
        return numbers, "stored"
    return [p / total for p in numbers], "divided"


def _simplest_near(p: float, width: int) -> Fraction:
    """Simplest rational within ``width 2^-53`` of p, relatively."""
    a, b = p.as_integer_ratio()
    if a == 0 or p.is_integer():
        return Fraction(p)
    one = 1 << _BITS
    return _simplest(a * (one - width), b * one, a * (one + width), b * one, True)


def _completed(
    numbers: list[Fraction], row: tuple[float, ...], width: int
) -> Iterator[list[Fraction]]:
    """Yield the numbers, each time with another one changed so that they sum to one."""
    missing = 1 - _sum(numbers)
    if missing == 0:
        yield numbers
        return
    places = range(len(row)) if len(row) <= _MANY else [row.index(max(row))]
    for i in places:
        rest, p = numbers[i] + missing, Fraction(row[i])
        if abs(rest - p) <= p * Fraction(width, 1 << _BITS):
            yield [*numbers[:i], rest, *numbers[i + 1 :]]


def _common(numbers: Iterable[Fraction]) -> int:
    return math.lcm(*(x.denominator for x in numbers))


def _sum(numbers: Iterable[Fraction]) -> Fraction:
    """Add over one common denominator."""
    numbers = list(numbers)
    common = _common(numbers)
    return Fraction(sum(x.numerator * (common // x.denominator) for x in numbers), common)


def _need_rows(known: Fractions, mdp: UndiscountedMDP | TabularMDP) -> None:
    """Refuse exact probabilities of which a row does not sum to one, or one vanishes as a float."""
    indptr = mdp.indptr.tolist()
    for k in range(len(indptr) - 1):
        total = _sum(known[indptr[k] : indptr[k + 1]])
        if total != 1:
            raise InvalidModelError(
                f"rational: the row of pair {k} sums to {total}; exact rows sum to exactly one"
            )
    _need_visible(known, "rational", "such a transition would be lost in floating point")


def _need_visible(known: Fractions, name: str, why: str) -> None:
    for i, x in enumerate(known):
        if x and not float(x):
            raise InvalidModelError(f"{name}[{i}] is not 0 and rounds to 0; {why}")
