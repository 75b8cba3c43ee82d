"""A policy's rows against dense linear algebra; threads and matrix products against one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mdplib import TabularMDP, models, operators, policy_rows
from mdplib._kernels import threads
from mdplib.policy_rows import PolicyRows
from mdplib.testing import random_mdp


def instance(i: int) -> tuple[TabularMDP, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Model, a random policy, its dense matrix and reward, and a vector."""
    rng = np.random.default_rng([5, i])
    mdp = random_mdp(rng, max_states=9)
    mdp = mdp.with_gamma(min(mdp.gamma, 0.99))
    pair = (mdp.state_ptr[:-1] + rng.integers(np.diff(mdp.state_ptr))).astype(np.int32)
    P, r, _, _ = mdp.to_sparse()
    return mdp, pair, P.toarray()[pair], r[pair], rng.normal(size=mdp.n_states)


@pytest.mark.parametrize("i", range(40))
def test_sweeps_and_solves_agree_with_dense_algebra(i: int):
    mdp, pair, P, r, V = instance(i)
    rows, n, g = PolicyRows(mdp, pair), mdp.n_states, mdp.gamma
    size = (np.abs(r).max() + 1) / (1 - g)

    expected = V
    for _ in range(3):
        expected = r + g * (P @ expected)
    done = rows.sweeps(V.copy(), 3, -1.0)
    assert done.n == 3
    assert np.max(np.abs(done.V - expected)) <= 1e-13 * size
    last = r + g * (P @ expected) - expected
    again = rows.sweeps(expected.copy(), 1)
    assert abs(again.span - (last.max() - last.min())) <= 1e-12 * size

    seidel = V.copy()
    assert rows.gauss_seidel(seidel, 1) == 1
    expected = V.copy()
    for s in range(n):
        others = P[s] @ np.where(np.arange(n) == s, 0.0, expected)
        expected[s] = (r[s] + g * others) / (1 - g * P[s, s])
    assert np.max(np.abs(seidel - expected)) <= 1e-11 * size

    truth = np.linalg.solve(np.eye(n) - g * P, r)
    assert np.max(np.abs(rows.solve_band() - truth)) <= 1e-10 * size
    distance = np.subtract.outer(np.arange(n), np.arange(n))
    stored = np.zeros((n, n), dtype=bool)
    for s, k in enumerate(pair):
        stored[s, mdp.indices[mdp.indptr[k] : mdp.indptr[k + 1]]] = True
    assert rows.below == max(0, distance[stored].max())
    assert rows.above == max(0, -distance[stored].min())

    x, products, residual = rows.krylov(V, 1e-12 * size, 400)
    if residual <= 1e-12 * size:  # may break down; then it says so
        assert np.max(np.abs(x - truth)) <= 1e-9 * size / (1 - g)
        assert products <= 400


def test_krylov_converges_where_sweeps_are_slow():
    mdp = models.queue(500, gamma=0.999)
    rows = PolicyRows(mdp, mdp.state_ptr[:-1].copy())
    x, products, residual = rows.krylov(np.zeros(500), 1e-8, 2000)
    assert residual <= 1e-8
    assert np.max(np.abs(x - rows.solve_band())) <= 1e-4
    assert products < rows.sweeps(np.zeros(500), 20_000, 1e-8).n


def test_rate_is_that_of_the_second_eigenvalue():
    """Two states that swap with probability 1/4: the span shrinks by gamma (1 - 2/4)."""
    mdp = TabularMDP.from_dense([[[0.75, 0.25]], [[0.25, 0.75]]], [[1.0], [0.0]], 0.8)
    done = PolicyRows(mdp, np.array([0, 1], dtype=np.int32)).sweeps(np.array([1.0, 5.0]), 8)
    assert done.rate == pytest.approx(0.4, rel=1e-6)
    assert PolicyRows(mdp, np.array([0, 1], dtype=np.int32)).sweeps(np.zeros(2), 1).rate == 1.0


def test_a_full_model_is_swept_by_matrix_products():
    rng = np.random.default_rng(3)
    P = rng.dirichlet(np.ones(40), size=(40, 2))
    mdp = TabularMDP.from_dense(P, rng.random((40, 2)), 0.9)
    pair = mdp.state_ptr[:-1].copy()
    rows, V = PolicyRows(mdp, pair), rng.random(40)
    assert rows.is_full
    expected = V
    for _ in range(5):
        before, expected = expected, mdp.reward[pair] + 0.9 * (P[:, 0] @ expected)
    done = rows.sweeps(V.copy(), 5, -1.0)
    assert np.max(np.abs(done.V - expected)) < 1e-13
    assert done.change == pytest.approx(((expected - before).min(), (expected - before).max()))
    TV, chosen, change, size = operators.backup_and_range(mdp, V)
    assert size == np.abs(TV).max()
    q = mdp.reward.reshape(40, 2) + 0.9 * P @ V
    assert np.max(np.abs(TV - q.max(axis=1))) < 1e-13
    assert np.array_equal(chosen, mdp.state_ptr[:-1] + q.argmax(axis=1))
    assert change == pytest.approx(((TV - V).min(), (TV - V).max()))


# ------------------------------------------------------------------------- threads


def test_threads_do_what_one_thread_does(monkeypatch: pytest.MonkeyPatch):
    mdp = models.garnet(400, 3, 4, np.random.default_rng(0), gamma=0.9)
    V = np.random.default_rng(1).random(400)
    alone = operators.backup_and_range(mdp, V)
    pair = alone[1]
    swept = PolicyRows(mdp, pair).sweeps(V.copy(), 7)

    for module in (operators, policy_rows):
        monkeypatch.setattr(module, "_SERIAL", 0)
    monkeypatch.setattr(threads, "WORTHWHILE", 100)
    monkeypatch.setattr(threads, "usable", lambda: 3)
    parts = threads.cuts(mdp.state_ptr, mdp.indptr)
    assert len(parts) == 3
    assert [a for a, _ in parts] == [0, *(b for _, b in parts[:-1])]
    together: Any = operators.backup_and_range(mdp, V)
    assert np.array_equal(alone[0], together[0])
    assert np.array_equal(alone[1], together[1])
    assert alone[2:] == together[2:]
    shared = PolicyRows(mdp, pair).sweeps(V.copy(), 7)
    assert np.array_equal(swept.V, shared.V)
    assert (swept.n, swept.change, swept.first_span) == (shared.n, shared.change, shared.first_span)


def test_small_models_use_one_thread():
    mdp = models.garnet(100, 2, 3, np.random.default_rng(0), gamma=0.9)
    assert threads.cuts(mdp.state_ptr, mdp.indptr) == [(0, 100)]


def test_an_error_in_a_thread_is_raised():
    def work(a: int, b: int) -> tuple[float, float]:
        if a:
            raise MemoryError
        return 0.0, 0.0

    with pytest.raises(MemoryError):
        threads.share([(0, 1), (1, 2)], work)
