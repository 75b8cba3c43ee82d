"""Ridge regressions: sums, factors, conditioning, and bad input."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import solvers
from mdplib.errors import InvalidModelError, SolverError
from mdplib.features import Features
from mdplib.linear_offline import LinearData
from mdplib.robust import Robustness
from solvers.robust import regression
from tests import regression_oracle


def sample(rng, n=50) -> LinearData:
    mdp = regression_oracle.simplex_mdp(rng)
    return LinearData.collect(mdp, mdp.uniform, n, rng)


def ending(rng, n=40) -> LinearData:
    """Two states, a waiting pair with features and a pair that ends the episode."""
    features = Features(
        np.array([0, 2, 4]),
        np.array([[0.7, 0.3], [0.0, 0.0], [0.2, 0.8], [0.0, 0.0]]),
        np.array([0, 1, 0, 1]),
        np.array([False, True, False, True]),
    )
    pair, follow = np.full((3, n), -1, np.int32), np.full((3, n), -1, np.int32)
    for t in range(n):
        s = int(rng.integers(2))
        for h in range(3):
            stop = rng.random() < 0.3
            pair[h, t] = 2 * s + stop
            if stop:
                break
            s = int(rng.integers(2))
            follow[h, t] = s
    return LinearData(features, np.tile([0.0, 0.5, 0.0, 0.9], (3, 1)), pair, follow)


@pytest.mark.parametrize("make", [sample, ending])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_equal_a_loop_over_samples(make, weighted):
    rng = np.random.default_rng(0)
    data = make(rng)
    weight = rng.integers(0, 3, data.n_trajectories).astype(float) if weighted else None
    for h in range(data.horizon):
        gram, mass = regression_oracle.sums(data, h, weight)
        found = regression.step_sums(data, h, weight)
        np.testing.assert_allclose(found.gram, gram, atol=1e-12)
        assert sorted(found.seen) == sorted(mass)
        for state, row in zip(found.seen, found.mass, strict=True):
            np.testing.assert_allclose(row, mass[int(state)], atol=1e-12)


def test_gram_from_counts_equals_gram_from_rows():
    rng = np.random.default_rng(1)
    few, many = sample(rng, 5), sample(rng, 300)  # fewer, and more, samples than the 18 pairs
    for data in (few, many):
        for h in range(data.horizon):
            phi = data.features.phi[data.pair[h]]
            np.testing.assert_allclose(regression.step_sums(data, h).gram, phi.T @ phi, atol=1e-11)


def test_factor_serves_inverse_sigma_and_right_hand_sides():
    rng = np.random.default_rng(2)
    step = regression.step_sums(sample(rng), 0)
    one = regression.fit(step, 0.3)
    inverse = np.linalg.inv(step.gram + 0.3 * np.eye(4))
    np.testing.assert_allclose(one.inverse, inverse, atol=1e-12)
    np.testing.assert_allclose(one.sigma, np.sqrt(np.diag(inverse)), atol=1e-12)
    target = rng.normal(size=(step.seen.size, 3))
    np.testing.assert_allclose(one.estimate(target), inverse @ step.mass.T @ target, atol=1e-12)
    order = rng.permutation(step.seen.size)
    blocks = [block for _, block in one.weights(order)]
    np.testing.assert_allclose(np.vstack(blocks), (inverse @ step.mass.T)[:, order], atol=1e-12)


def test_weights_in_blocks_of_coordinates(monkeypatch):
    rng = np.random.default_rng(3)
    one = regression.fit(regression.step_sums(sample(rng), 0), 1.0)
    order = np.arange(one.step.seen.size)
    whole = np.vstack([block for _, block in one.weights(order)])
    monkeypatch.setattr(regression, "_BLOCK", 2 * order.size)
    parts = list(one.weights(order))
    assert [rows for rows, _ in parts] == [slice(0, 2), slice(2, 4)]
    np.testing.assert_allclose(np.vstack([block for _, block in parts]), whole, atol=1e-13)


def test_what_the_weights_miss_to_sum_to_one():
    rng = np.random.default_rng(4)
    data = sample(rng)
    for ridge in (1e-9, 0.5):
        one = regression.fit(regression.step_sums(data, 1), ridge)
        direct = 1 - one.inverse @ one.step.mass.sum(axis=0)
        np.testing.assert_allclose(one.unseen, direct, atol=1e-11)
    scaled = Features(data.features.state_ptr, 0.5 * data.features.phi, data.features.action_id,
                      simplex=False)  # fmt: skip
    one = regression.fit(regression.step_sums(dataclasses.replace(data, features=scaled), 1), 0.5)
    direct = 1 - one.inverse @ one.step.mass.sum(axis=0)
    np.testing.assert_allclose(one.unseen, direct, atol=1e-11)


def test_one_hot_ridge_shrinks_the_mean_by_the_counts():
    data = regression_oracle.one_hot_data(np.random.default_rng(5), 200)
    gamma = 0.7
    found = solvers.r2pvi(data, Robustness("tv", 0.4), beta=0.0, ridge=gamma)
    for h in range(data.horizon - 1):
        level = found.V[h + 1].min() + 0.4
        for k in range(8):
            y = found.V[h + 1][data.next[h][data.pair[h] == k]]
            n = y.size
            expected = n / (n + gamma) * np.minimum(y, level).mean()
            assert found.w[h, k] == pytest.approx(expected, abs=1e-12)
            assert found.sigma[h, k] == pytest.approx(1 / np.sqrt(n + gamma), rel=1e-12)


@pytest.mark.parametrize("ridge", [0.0, -1.0, np.nan, np.inf])
def test_ridge_must_be_positive(ridge):
    data = sample(np.random.default_rng(6))
    with pytest.raises(InvalidModelError, match="ridge"):
        solvers.r2pvi(data, Robustness("tv", 1.0), ridge=ridge)


def test_ill_conditioned_and_singular_gram_matrices():
    data = regression_oracle.one_hot_data(np.random.default_rng(7), 3)  # most pairs unseen
    found = solvers.r2pvi(data, Robustness("tv", 1.0), ridge=1e-14)
    assert any("ill-conditioned" in line for line in found.stats.log)
    assert not solvers.r2pvi(data, Robustness("tv", 1.0), ridge=1.0).stats.log
    gram = np.ones((2, 2)) * 1e20
    with pytest.raises(SolverError, match="raise the ridge"):
        regression.fit(regression.Step(gram, np.arange(1), np.ones((1, 2)), 1), 1e-3)


def test_bad_data():
    data = sample(np.random.default_rng(8))
    empty: Any = np.full((3, 4), -1, dtype=np.int32)
    with pytest.raises(InvalidModelError):
        dataclasses.replace(data, pair=empty, next=empty)
    with pytest.raises(InvalidModelError, match="state"):
        solvers.r2pvi(data, Robustness("tv", 1.0), fail_state=6)
    with pytest.raises(InvalidModelError, match="reward"):
        dataclasses.replace(data, reward=np.full(data.reward.shape, np.nan))
    shifted = dataclasses.replace(data, reward=data.reward - 2)
    with pytest.raises(InvalidModelError, match="add a constant"):
        solvers.r2pvi(shifted, Robustness("tv", 1.0))


def test_pairs_that_end_the_episode_keep_their_known_value():
    data = ending(np.random.default_rng(9))
    found = solvers.r2pvi(data, Robustness("tv", 0.3), beta=5.0)
    for h in range(3):
        q = found.q(h)
        assert q[1] == 0.5
        assert q[3] == 0.9
        assert found.bonus(h)[1] == 0.0
    np.testing.assert_allclose(found.V[2], [0.5, 0.9])
