"""The rational numbers that floats stand for."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mdplib import TabularMDP, UndiscountedMDP
from mdplib.errors import InvalidModelError
from mdplib.rational import (
    _simplest,
    rationals,
    read_exactly,
    simplest_fraction,
    simplest_fractions,
    stored_fractions,
)

AWKWARD = (
    [0.0, 1.0, -0.0, 0.5, 0.7, -0.3, 1 / 3, 1e-14, 1 - 1e-14, math.pi, 5e-324, 1e-310, 2.0**-1022]
    + [1.5 * 2.0**-1074, 1.7976931348623157e308, 123456.789]
    + [2.0**k for k in (-1, -2, -30, -600, -1021, -1073, 40, 1000)]
    + [np.nextafter(2.0**k, side) for k in (-1, 0, -20) for side in (0, 9)]
)


def by_search(x: float, limit: int) -> Fraction | None:
    """Try denominators one after the other; Python's division rounds correctly."""
    for q in range(1, limit):
        near = math.floor(Fraction(x) * q)
        for p in (near, near + 1):
            if p / q == x:
                return Fraction(p, q)
    return None


@pytest.mark.parametrize("x", AWKWARD)
def test_rounds_back(x: float):
    found = simplest_fraction(x)
    assert found.numerator / found.denominator == x
    assert found.denominator <= Fraction(x).denominator
    assert simplest_fraction(-x) == -found


def test_equals_the_search_over_denominators():
    rng = np.random.default_rng(5)
    for _ in range(300):
        q = int(rng.integers(1, 400))
        x = int(rng.integers(-3 * q, 3 * q)) / q
        assert simplest_fraction(x) == by_search(x, q + 1)


@pytest.mark.parametrize("k", [-1, -3, -52, -300, -1000, -1060])
@pytest.mark.parametrize("side", [-1, 0, 1])
def test_no_simpler_fraction_rounds_to_it(k: int, side: int):
    """The two parents in the Stern-Brocot tree are the simplest on either side: both miss x."""
    x = 2.0**k
    if side:
        x = float(np.nextafter(x, side * np.inf))
    p, q = simplest_fraction(x).as_integer_ratio()
    if q == 1:
        return
    left = Fraction(pow(p, -1, q) * p // q, pow(p, -1, q))  # p l' - q l = 1
    right = Fraction(p - left.numerator, q - left.denominator)
    for parent in (left, right):
        assert parent.numerator / parent.denominator != x


def test_neighbours_and_ties():
    """At the ends of the interval the even mantissa wins, the odd one does not."""
    for x in (0.1, 0.3, 1 / 7, float(np.nextafter(0.25, 0)), float(np.nextafter(0.25, 1))):
        for y in (float(np.nextafter(x, 0)), float(np.nextafter(x, 1))):
            assert simplest_fraction(y) != simplest_fraction(x)
            assert float(simplest_fraction(y)) == y


def test_not_finite():
    for x in (math.inf, -math.inf, math.nan):
        with pytest.raises(InvalidModelError, match="not finite"):
            simplest_fraction(x)


def test_vectors():
    values = np.array([[0.1, 0.2], [0.1, -4.0]])
    tenth, fifth = Fraction(1, 10), Fraction(1, 5)
    assert simplest_fractions(values) == (tenth, fifth, tenth, Fraction(-4))
    assert stored_fractions(values)[0] == Fraction(0.1)


def one_row(*row: float, **more) -> UndiscountedMDP:
    n = len(row)
    arrays: Any = (
        [0, 1, *range(2, n + 1)],
        [0, n, *range(n + 1, 2 * n)],
        [*range(n), *range(1, n)],
        [*row, *[1.0] * (n - 1)],
        [0] * n,
    )
    target: Any = [n - 1]
    return UndiscountedMDP(*arrays, criterion="reachability", target=target, **more)


def test_reading_of_a_row():
    third = Fraction(1, 3)
    assert rationals(one_row(1 / 3, 1 / 3, 1 / 3))[0][:3] == (third,) * 3
    tiny = read_exactly(one_row(1e-14, 1 - 1e-14))
    assert tiny.probability[:2] == (Fraction(1, 10**14), 1 - Fraction(1, 10**14))
    assert "next to the stored numbers" in " ".join(tiny.log)
    rng = np.random.default_rng(3)
    for row in rng.dirichlet(np.ones(4), 200):
        found = read_exactly(one_row(*row))
        assert sum(found.probability[:4]) == 1
        if "divided" not in " ".join(found.log):
            for p, x in zip(row, found.probability, strict=False):
                assert abs(x - Fraction(p)) <= Fraction(p) * Fraction(8, 2**53)


def test_sloppy_rows():
    """Probabilities that a program computed in floating point."""
    cases = {
        (0.7, 1 - 0.7): ("7/10", "3/10"),
        (0.34, 0.33 - 2.0**-54, 0.33): ("17/50", "33/100", "33/100"),
        (0.1 * 0.99, 0.9 * 0.99, 0.1 * 0.01, 0.9 * 0.01): (
            "99/1000", "891/1000", "1/1000", "9/1000"
        ),
        (0.8999999999999998, 0.09999999999999999): ("9/10", "1/10"),
    }  # fmt: skip
    for row, wanted in cases.items():
        found = rationals(one_row(*row))[0]
        assert found[: len(row)] == tuple(Fraction(x) for x in wanted)


def test_row_that_is_off_is_divided():
    row = (2.0**-40, 1 - 2.0**-40 + 2.0**-51 + 2.0**-52)
    found = read_exactly(one_row(*row))
    total = Fraction(row[0]) + Fraction(row[1])
    assert found.probability[:2] == tuple(Fraction(p) / total for p in row)
    assert "divided by their exact sum" in found.log[-1]


def test_invisible_numbers_are_refused():
    least = Fraction(1, 10**400)
    with pytest.raises(InvalidModelError, match="rounds to 0"):
        rationals(one_row(0.0, 1.0, rational=(least, 1 - least, Fraction(1))))


def test_exact_data_has_precedence():
    numbers = (Fraction(0.5), Fraction(0.5), Fraction(1))
    assert rationals(one_row(0.5, 0.5, rational=numbers))[0] == numbers
    off = (Fraction(1, 2) + Fraction(1, 2**80), Fraction(1, 2), Fraction(1))
    with pytest.raises(InvalidModelError, match="row of pair 0 sums to"):
        rationals(one_row(0.5, 0.5, rational=off))


def test_discounted_readings():
    mdp = TabularMDP.from_dense([[[0.7, 0.3]], [[0.0, 1.0]]], [[0.1], [2.5]], gamma=0.95)
    stored, simplest = read_exactly(mdp), read_exactly(mdp, "simplest")
    assert stored.gamma == Fraction(0.95)
    assert stored.probability[0] == Fraction(0.7)
    assert simplest.gamma == Fraction(19, 20)
    assert simplest.probability[0] == Fraction(7, 10)
    assert simplest.reward == (Fraction(1, 10), Fraction(5, 2))
    with pytest.raises(InvalidModelError, match="'stored' or 'simplest'"):
        read_exactly(mdp, "decimal")  # type: ignore[arg-type]
    off = TabularMDP.from_dense([[[0.7, 0.3 + 1e-10]], [[0.0, 1.0]]], [[0.1], [2.5]], gamma=0.95)
    assert read_exactly(off, "simplest").probability[:2] == (Fraction(0.7), Fraction(0.3 + 1e-10))


def test_mutant_that_reaches_to_the_neighbours_is_caught():
    """An interval of one spacing on either side, not half of it, holds simpler numbers."""
    rng = np.random.default_rng(11)
    wrong = 0
    for m in rng.integers(1 << 52, 1 << 53, 200).tolist():
        mutant = _simplest(m - 1, 1 << 53, m + 1, 1 << 53, False)
        wrong += mutant.numerator / mutant.denominator != m / 2.0**53
    assert wrong > 0
