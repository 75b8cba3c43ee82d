"""The law of Garnet models."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from mdplib import TabularMDP, models
from mdplib.models import garnets


def is_uniform(sets: np.ndarray, S: int) -> bool:
    """Whether every subset occurs about equally often (Hoeffding, fails once in 1e9)."""
    n, b = sets.shape
    seen = Counter(map(tuple, np.sort(sets, axis=1).tolist()))
    m = math.comb(S, b)
    radius = math.sqrt(math.log(2 * m / 1e-9) / (2 * n))
    return len(seen) == m and all(abs(c / n - 1 / m) <= radius for c in seen.values())


@pytest.mark.parametrize(("S", "b"), [(5, 2), (7, 3), (6, 5), (6, 6), (4, 1)])
def test_garnet_successor_sets_are_uniform(S: int, b: int):
    mdp = models.garnet(S, 20_000 // S, b, np.random.default_rng(0))
    sets = mdp.indices.reshape(-1, b)
    assert np.all(np.diff(sets, axis=1) > 0)
    assert is_uniform(sets, S)


def test_both_ways_to_draw_subsets_are_used():
    assert not garnets._dense(7, 3)
    assert garnets._dense(6, 5)


def test_biased_subsets_are_caught():
    """Mutant: Floyd's method with the bound of the draw off by one."""

    def mutant(S: int, b: int, n: int, rng: np.random.Generator) -> np.ndarray:
        chosen = np.full((n, b), -1)
        for i, j in enumerate(range(S - b, S)):
            t = rng.integers(0, j, size=n)
            chosen[:, i] = np.where((chosen[:, :i] == t[:, None]).any(axis=1), j, t)
        return chosen

    rng = np.random.default_rng(0)
    assert is_uniform(garnets._subsets(7, 3, 20_000, rng), 7)
    assert not is_uniform(mutant(7, 3, 20_000, rng), 7)


def cuts_the_interval(pieces: np.ndarray) -> bool:
    """Whether each of b pieces exceeds c with probability (1 - c)**(b - 1) (Hoeffding)."""
    n, b = pieces.shape
    levels = (0.1, 0.3, 0.6)
    radius = math.sqrt(math.log(2 * len(levels) * b / 1e-9) / (2 * n))
    return all(
        np.abs((pieces > c).mean(axis=0) - (1 - c) ** (b - 1)).max() <= radius for c in levels
    )


def test_garnet_pieces_have_their_law():
    mdp = models.garnet(50, 400, 4, np.random.default_rng(1))
    assert cuts_the_interval(mdp.data.reshape(-1, 4))
    uniform = np.random.default_rng(1).random((20_000, 4))
    assert not cuts_the_interval(uniform / uniform.sum(axis=1, keepdims=True)), "mutant"
    assert abs(mdp.reward.mean() - 0.5) <= math.sqrt(math.log(2 / 1e-9) / (2 * mdp.n_pairs))
    assert 0 <= mdp.reward.min() <= mdp.reward.max() < 1


def test_garnet_rows_sum_to_one_exactly():
    mdp = models.garnet(40, 3, 9, np.random.default_rng(2))
    for row in mdp.data.reshape(-1, 9).tolist():
        assert sum(map(Fraction, row)) == 1


def test_garnet_ragged_action_sets():
    S, A = 20_000, 3
    mdp = models.garnet(S, A, 1, np.random.default_rng(3), ragged=True)
    sets = Counter(tuple(mdp.actions(s).tolist()) for s in range(S))
    radius = math.sqrt(math.log(2 * 7 / 1e-9) / (2 * S))
    for actions, count in sets.items():
        assert abs(count / S - 1 / 3 / math.comb(A, len(actions))) <= radius
    assert len(sets) == 7


def test_garnet_is_stratified_on_demand_and_determined_by_the_seed():
    draw: Callable[[int], TabularMDP] = lambda seed: models.garnet(  # noqa: E731
        100, 2, 5, np.random.default_rng(seed), successors="stratified"
    )
    assert np.array_equal(draw(0).indices.reshape(-1, 5) // 20, np.tile(np.arange(5), (200, 1)))
    assert draw(0) == draw(0)
    assert draw(0) != draw(1)
