"""PEVI: loops, regressed rewards, and its certificate."""

from __future__ import annotations

import numpy as np
import pytest

import solvers
from benchmarks.robust import reference
from mdplib.errors import NotApplicableError
from mdplib.linear_offline import LinearData
from tests import regression_oracle


def data_and_model(seed=0, n=80):
    rng = np.random.default_rng(seed)
    mdp = regression_oracle.simplex_mdp(rng)
    return mdp, LinearData.collect(mdp, mdp.uniform, n, rng)


def test_vectorised_equals_loops():
    _, data = data_and_model(1)
    loop = reference.from_data("pevi", data, 0.0, 0.3, 0.5)
    w = loop.solve()
    found = solvers.pevi(data, beta=0.3, ridge=0.5)
    np.testing.assert_allclose(found.w, w, atol=1e-10)
    for h in range(3):
        q = [loop.q(h, k) for k in range(data.features.n_pairs)]
        np.testing.assert_allclose(found.q(h), q, atol=1e-10)


def test_regressed_rewards_by_samples():
    _, data = data_and_model(2)
    found = solvers.pevi(data, beta=0.2, reward="regressed")
    assert not found.reward.any()
    for h in range(3):
        right = np.zeros(4)
        for n in range(80):
            k = data.pair[h, n]
            v = found.V[h + 1][data.next[h, n]]
            right += data.features.phi[k] * (data.reward[h, k] + v)
        np.testing.assert_allclose(found.w[h], found.inverse[h] @ right, atol=1e-11)


@pytest.mark.parametrize("reward", ["known", "regressed"])
def test_calibrated_beta_gives_pessimism(reward):
    for seed in range(4):
        mdp, data = data_and_model(seed, n=300)
        found = solvers.pevi(data, beta="calibrated", model=mdp, reward=reward)
        assert (mdp.evaluate(found.policy) + 1e-10 >= found.V).all()
        optimum = mdp.optimal()
        total = np.zeros(mdp.n_states)
        for h in reversed(range(mdp.horizon)):
            pairs = optimum[1].steps[h].pairs(np.arange(mdp.n_states), np.random.default_rng(0))
            total = 2 * found.bonus(h)[pairs] + mdp.kernel(h)[pairs] @ total
        loss = optimum[0][0] - mdp.evaluate(found.policy)[0]
        assert (loss <= total + 1e-10).all()


def test_calibrated_beta_with_regressed_rewards_needs_theta():
    mdp, data = data_and_model(3)
    bare = mdp.replace(theta=None)
    with pytest.raises(NotApplicableError, match="theta"):
        solvers.pevi(data, beta="calibrated", model=bare, reward="regressed")


def test_many_samples_find_the_optimum():
    mdp, data = data_and_model(4, n=30_000)
    found = solvers.pevi(data, beta=0.1)
    np.testing.assert_allclose(found.V, mdp.optimal()[0], atol=0.05)
