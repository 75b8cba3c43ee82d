"""VA-DRPVI: variances, weights, split data, and what the released code does instead."""

from __future__ import annotations

import numpy as np
import pytest

import solvers
from mdplib.errors import InvalidModelError
from mdplib.linear_offline import LinearData
from mdplib.robust import Robustness
from solvers import Compat
from solvers.robust import regression, va_drpvi
from tests import regression_oracle

BALL = Robustness("tv", 0.1, "ball")


def sample(seed=0, n=200, reward_scale=1.0) -> LinearData:
    rng = np.random.default_rng(seed)
    mdp = regression_oracle.simplex_mdp(rng)
    data = LinearData.collect(mdp, mdp.uniform, n, rng)
    return LinearData(data.features, reward_scale * data.reward, data.pair, data.next)


def test_variances_by_samples():
    data = sample(1)
    V = np.random.default_rng(2).random(6) * 5
    one = regression.fit(regression.step_sums(data, 0), 1.0)
    phi = data.features.phi[data.pair[0]]
    y = V[data.next[0]]
    inverse = np.linalg.inv(phi.T @ phi + np.eye(4))
    z1, z2 = inverse @ phi.T @ y, inverse @ phi.T @ y**2
    for slack in (0.0, 0.5):
        found = va_drpvi.variances(one, V, data.features.phi, 3.0, slack)
        for k, x in enumerate(data.features.phi):
            raw = min(max(x @ z2, 0), 9.0) - min(max(x @ z1, 0), 3.0) ** 2 - slack
            assert found[k] == pytest.approx(max(1.0, raw), abs=1e-12)


def test_small_values_have_variance_one_and_leave_drpvi():
    """Rewards below 1/3 keep every variance below 1: the weights are 1."""
    data = sample(3, reward_scale=0.2)
    found = solvers.va_drpvi(data, BALL, beta=0.2, ridge=1.0)
    half = solvers.drpvi(data.subset(slice(0, 100)), BALL, beta=0.2)
    np.testing.assert_allclose(found.V, half.V, atol=1e-12)


def test_weighted_regressions_by_samples():
    data, second = sample(4, reward_scale=20.0), sample(5, reward_scale=20.0)
    first = solvers.drpvi(second, BALL, beta=0.3)
    found = solvers.va_drpvi(data, BALL, second=second, beta=0.3)
    for h in range(3):
        weight = np.ones(data.n_trajectories)
        if h < 2:
            one = regression.fit(regression.step_sums(second, h), 1.0)
            spread = va_drpvi.variances(one, first.V[h + 1], data.features.phi, found.cap[h + 1])
            weight = 1 / spread[data.pair[h]]
            assert weight.min() < 0.9  # variances matter here
        gram, mass = regression_oracle.sums(data, h, weight)
        inverse = np.linalg.inv(gram + np.eye(4) / 9)
        np.testing.assert_allclose(found.inverse[h], inverse, atol=1e-10)
        if h < 2:
            states = list(mass)
            v, low = found.V[h + 1], found.V[h + 1].min()
            knots = np.r_[low, v[states]]
            z = (
                inverse
                @ np.stack([mass[t] for t in states]).T
                @ np.minimum(v[states][:, None], knots)
            )
            np.testing.assert_allclose(found.w[h], (z - 0.1 * (knots - low)).max(1), atol=1e-10)
            assert (found.w[h] != 0).all()  # every coordinate, not the first alone


def test_data_are_split_in_halves():
    data = sample(6, n=7)
    one, two = va_drpvi.split(data)
    assert (one.n_trajectories, two.n_trajectories) == (4, 3)
    np.testing.assert_array_equal(np.hstack([one.pair, two.pair]), data.pair)
    given = solvers.va_drpvi(one, BALL, second=two)
    np.testing.assert_array_equal(solvers.va_drpvi(data, BALL).V, given.V)
    with pytest.raises(InvalidModelError, match="split"):
        solvers.va_drpvi(data.subset(slice(0, 1)), BALL)


def test_released_weighting_is_without_effect():
    """With ridge I for Lambda the moments explode, are clipped, and the variance is 1."""
    data = sample(7, reward_scale=1.0)
    broken = solvers.va_drpvi(data, BALL, beta=0.2, ridge=1.0, compat=Compat(va_bugs=True))
    plain = solvers.drpvi(data, BALL, beta=0.2)
    np.testing.assert_allclose(broken.V, plain.V, atol=1e-12)


def test_penalties_are_accepted():
    found = solvers.va_drpvi(sample(8), Robustness("tv", 0.5), beta=0.2)
    assert found.w.shape == (3, 4)
