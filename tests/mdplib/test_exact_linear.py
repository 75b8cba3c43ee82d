"""Sparse rational equations against FLINT's dense solver and against the definition."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq

from mdplib.errors import SolverError
from mdplib.exact import lifting
from mdplib.exact.lifting import IntegerSystem, TimeExpired, holds, lift
from mdplib.exact.linear import dense, eliminate, solve
from mdplib.exact.numbers import RationalVector, fraction, neighbours
from tests import oracles

Rows = list[dict[int, Fraction]]


def clear(rows: Rows, right: list[Fraction]) -> IntegerSystem:
    """Clear the denominators of every row."""
    indptr, indices, entries, integers, scale = [0], [], [], [], []
    for row, b in zip(rows, right, strict=True):
        s = math.lcm(b.denominator, *(x.denominator for x in row.values()))
        for t in sorted(row):
            indices.append(t)
            entries.append(int(row[t] * s))
        indptr.append(len(indices))
        integers.append(int(b * s))
        scale.append(s)
    return IntegerSystem(np.array(indptr), np.array(indices), entries, integers, scale)


def equations(
    rng: np.random.Generator, n: int, *, stored: bool, loss: Fraction, blocks: int = 1
) -> tuple[Rows, list[Fraction]]:
    """I - (1 - loss) P with successors in the own block; dyadic numbers if `stored`."""
    rows: Rows = []
    right = []
    for i in range(n):
        own = np.flatnonzero(np.arange(n) % blocks == i % blocks)
        chosen = rng.choice(own, size=min(3, own.size), replace=False).tolist()
        weights = rng.integers(1, 9, len(chosen)).tolist()
        share = rng.dirichlet(np.ones(len(chosen))).tolist()
        row = {i: Fraction(1)}
        for t, w, x in zip(chosen, weights, share, strict=True):
            p = Fraction(x) if stored else Fraction(w, sum(weights))
            row[t] = row.get(t, Fraction(0)) - (1 - loss) * p
        rows.append(row)
        right.append(
            Fraction(float(rng.normal())) if stored else Fraction(int(rng.integers(-9, 9)))
        )
    return rows, right


def by_flint(rows: Rows, right: list[Fraction]) -> list[Fraction]:
    def number(x: Fraction) -> fmpq:
        return fmpq(x.numerator, x.denominator)

    A = [[number(row.get(t, Fraction(0))) for t in range(len(rows))] for row in rows]
    return [oracles.to_fraction(x) for x in oracles.flint_solve(A, [number(b) for b in right])]


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("n", [1, 2, 5, 30, 80])
def test_all_ways_agree(n: int, stored: bool):
    for seed in range(3):
        rng = np.random.default_rng([seed, n])
        rows, right = equations(rng, n, stored=stored, loss=Fraction(1, 20))
        system, truth = clear(rows, right), by_flint(rows, right)
        lifted, eliminated = lift(system, lambda: False), eliminate(system)
        assert lifted is not None
        assert eliminated is not None
        for x in (lifted, eliminated, dense(system), solve(system)):
            assert x.fractions() == truth
            assert holds(system, x)


@pytest.mark.parametrize("loss", [Fraction(1, 10**6), Fraction(1, 2**60), Fraction(1, 10**40)])
def test_close_to_singular(loss: Fraction):
    rows, right = equations(np.random.default_rng(1), 40, stored=False, loss=loss)
    assert solve(clear(rows, right)).fractions() == by_flint(rows, right)


def test_many_denominators():
    """Blocks that know nothing of each other have denominators of their own."""
    rows, right = equations(
        np.random.default_rng(4), 90, stored=False, loss=Fraction(1, 7), blocks=30
    )
    found = lift(clear(rows, right), lambda: False)
    assert found is not None
    assert found.fractions() == by_flint(rows, right)


def test_few_bits_need_few_steps(monkeypatch: pytest.MonkeyPatch):
    """A simple answer ends the lifting long before the determinant would."""
    n = 400
    rows = [{i: Fraction(1), (i + 1) % n: Fraction(-1, 3)} for i in range(n)]
    steps, count = lifting._Lifting.step, []
    monkeypatch.setattr(lifting._Lifting, "step", lambda self: (count.append(1), steps(self))[1])
    assert solve(clear(rows, [Fraction(2)] * n)).fractions() == [Fraction(3)] * n
    assert len(count) < 10


def test_right_side_of_zeros():
    rows, right = equations(np.random.default_rng(4), 30, stored=False, loss=Fraction(1, 7))
    assert solve(clear(rows, [0 * b for b in right])).fractions() == [0] * 30


def test_large_and_tiny_values():
    rows, right = equations(np.random.default_rng(8), 40, stored=False, loss=Fraction(1, 9))
    for factor in (Fraction(10**30), Fraction(1, 10**30), Fraction(1, 10**330)):
        x = solve(clear(rows, [b * factor for b in right])).fractions()
        assert x == [y * factor for y in by_flint(rows, right)]


@pytest.mark.parametrize("n", [2, 30])
def test_singular(n: int):
    rows = [{i: Fraction(1), (i + 1) % n: Fraction(-1)} for i in range(n)]
    with pytest.raises(SolverError, match="singular"):
        solve(clear(rows, [Fraction(1)] * n))


def test_time():
    rows, right = equations(np.random.default_rng(2), 120, stored=True, loss=Fraction(1, 20))
    with pytest.raises(TimeExpired):
        solve(clear(rows, right), lambda: True)


def test_a_wrong_guess_is_never_returned(monkeypatch: pytest.MonkeyPatch):
    """Mutant: a guess off by one in one numerator is refused, and another way is taken."""
    rows, right = equations(np.random.default_rng(3), 40, stored=False, loss=Fraction(1, 20))
    system, truth = clear(rows, right), by_flint(rows, right)
    guess = lifting._Lifting.guess

    def wrong(self):
        found = guess(self)
        if found is not None:
            found.numerator[17] += 1
        return found

    monkeypatch.setattr(lifting._Lifting, "guess", wrong)
    assert lift(system, lambda: False) is None
    assert solve(system).fractions() == truth


def test_limbs_and_digits():
    rng = np.random.default_rng(0)
    for e in range(8, 48, 4):
        steps = rng.integers(-(2**e), 2**e, size=(5, 7))
        assert lifting._assemble(steps, e) == [lifting._horner(row, e) for row in steps.tolist()]
        values = [int(x) ** 3 for x in rng.integers(-(2**20), 2**20, 50)] + [0, 1, -1]
        limbs = lifting._to_limbs(values, 40, e // 2)
        assert np.abs(limbs).max() <= 2 ** (e // 2 - 1)
        back = [sum(d << (e // 2 * j) for j, d in enumerate(row)) for row in limbs.tolist()]
        assert back == values


@pytest.mark.parametrize("bits", [50, 5000])
def test_lowest_terms(bits: int):
    D = (1 << bits) * 3**5 * 7
    numerators = [0, 1, 3, -D, 2 * D, 21 << (bits // 2), -(5**40), 7]
    assert RationalVector(numerators, D).fractions() == [Fraction(x, D) for x in numerators]


def test_fraction_is_a_fraction():
    x = fraction(-3, 8)
    assert (x, type(x), hash(x)) == (Fraction(-3, 8), Fraction, hash(Fraction(-3, 8)))
    assert x + 1 == Fraction(5, 8)


def test_neighbours():
    top = Fraction(np.finfo(np.float64).max)
    values = [Fraction(1, 3), Fraction(-1, 3), Fraction(1, 10**400), Fraction(-1, 10**400)]
    values += [2 * top, -2 * top, top, Fraction(0), Fraction(1, 10**320)]
    low, high = neighbours([*values, math.inf, -math.inf])
    for a, x, b in zip(low.tolist(), values, high.tolist(), strict=False):
        assert a == -math.inf or Fraction(a) <= x
        assert b == math.inf or x <= Fraction(b)
        assert a == b or math.nextafter(a, math.inf) == b
    assert low[-2] == high[-2] == math.inf
    assert low[-1] == high[-1] == -math.inf
