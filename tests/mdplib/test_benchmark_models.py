"""The dense and the nearly decomposable model against slow constructions and their laws."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mdplib import InvalidModelError, models


def test_dense_is_a_normalised_table_of_uniform_numbers():
    S, A = 13, 3
    mdp = models.dense(S, A, np.random.default_rng(5), gamma=0.9)
    rng = np.random.default_rng(5)
    P = np.array([[rng.random(S) for _ in range(A)] for _ in range(S)])
    for s in range(S):
        for a in range(A):
            P[s, a] /= P[s, a].sum()
    found, reward = mdp.to_dense()
    assert np.array_equal(found, P)
    assert np.array_equal(reward, rng.random(S * A).reshape(S, A))
    assert mdp.initial is not None
    assert mdp.initial.tolist() == [1 / S] * S


def test_dense_drawn_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch):
    import mdplib.models.dense_kernels as module

    whole = models.dense(11, 2, np.random.default_rng(0))
    for chunk in (1, 25, 100):
        monkeypatch.setattr(module, "_CHUNK", chunk)
        assert models.dense(11, 2, np.random.default_rng(0)) == whole


def test_dense_row_sums_are_as_stated():
    S = 200
    mdp = models.dense(S, 2, np.random.default_rng(1))
    for k in range(mdp.n_pairs):
        total = sum(Fraction(p) for p in mdp.data[mdp.indptr[k] : mdp.indptr[k + 1]].tolist())
        assert abs(total - 1) <= Fraction(S, 2**52)


def test_decomposable_row_by_row():
    """The same draws, put together one pair at a time."""
    blocks, size, A, b, coupling = 4, 9, 2, 3, 0.125
    S, K = blocks * size, blocks * size * A
    mdp = models.decomposable(
        blocks, size, A, b, np.random.default_rng(7), gamma=0.9, coupling=coupling
    )
    rng = np.random.default_rng(7)
    inside, cuts = rng.random((K, b)), rng.random((K, b - 1))
    outside = rng.integers(0, S, size=K)
    level, noise = rng.random(blocks), rng.random(K)
    for k in range(K):
        block = k // A // size
        law: dict[int, float] = {}
        edge = [i * size // b for i in range(b + 1)]
        points = [0.0, *sorted(cuts[k]), 1.0]
        for i in range(b):
            t = block * size + edge[i] + int(inside[k, i] * (edge[i + 1] - edge[i]))
            law[t] = law.get(t, 0.0) + (1 - coupling) * (points[i + 1] - points[i])
        law[int(outside[k])] = law.get(int(outside[k]), 0.0) + coupling
        row = slice(mdp.indptr[k], mdp.indptr[k + 1])
        found = dict(zip(mdp.indices[row].tolist(), mdp.data[row].tolist(), strict=True))
        assert found == pytest.approx(law, abs=1e-15)
        assert mdp.reward[k] == pytest.approx(level[block] + noise[k], abs=1e-15)


def test_decomposable_stays_in_its_block_without_coupling():
    mdp = models.decomposable(3, 20, 2, 4, np.random.default_rng(0), coupling=0.0)
    block = np.repeat(mdp.pair_state // 20, np.diff(mdp.indptr))
    assert np.array_equal(mdp.indices // 20, block)


def test_decomposable_leaves_its_block_as_often_as_stated():
    blocks, coupling = 5, 0.01
    mdp = models.decomposable(blocks, 50, 4, 5, np.random.default_rng(3), coupling=coupling)
    away = mdp.indices // 50 != np.repeat(mdp.pair_state // 50, np.diff(mdp.indptr))
    rows = np.zeros(mdp.n_pairs)
    np.add.at(rows, np.repeat(np.arange(mdp.n_pairs), np.diff(mdp.indptr)), away * mdp.data)
    assert set(np.round(rows, 12)) == {0.0, coupling}
    share = float(np.mean(rows > 0))  # of 1000 pairs, each with probability 4/5
    assert abs(share - (1 - 1 / blocks)) < 0.06


@pytest.mark.parametrize(
    ("sizes", "coupling", "message"),
    [
        ((0, 5, 2, 2), 0.1, "blocks is 0"),
        ((2, 0, 2, 2), 0.1, "size is 0"),
        ((2, 5, 0, 2), 0.1, "A is 0"),
        ((2, 5, 2, 0), 0.1, "b is 0"),
        ((2, 5, 2, 6), 0.1, "b is 6; at most size=5"),
        ((2, 5, 2, 2), 1.5, "coupling is 1.5; a number from 0.0 to 1.0"),
        ((2, 5, 2, 2), float("nan"), "coupling is nan"),
    ],
)
def test_bad_parameters(sizes: tuple[int, int, int, int], coupling: float, message: str):
    with pytest.raises(InvalidModelError, match=message):
        models.decomposable(*sizes, np.random.default_rng(0), coupling=coupling)


def test_bad_parameters_of_dense():
    for S, A, message in ((0, 2, "S is 0"), (2, 0, "A is 0")):
        with pytest.raises(InvalidModelError, match=message):
            models.dense(S, A, np.random.default_rng(0))
