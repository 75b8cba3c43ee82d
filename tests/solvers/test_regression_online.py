"""One trajectory at a time, and in blocks: the same numbers as the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import solvers
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.linear_offline import LinearData
from mdplib.robust import Robustness
from solvers import Compat
from solvers.robust import blocks
from solvers.robust.online import OnlineRegression
from tests import regression_oracle
from tests.solvers.test_regression import ending

KINDS: Any = [("tv", 0.5, "penalty"), ("kl", 0.5, "penalty"), ("chi2", 0.5, "penalty"),
              ("tv", 0.1, "ball"), ("kl", 0.1, "ball"), ("chi2", 0.1, "ball")]  # fmt: skip


def data_and_model(seed=0, n=150):
    rng = np.random.default_rng(seed)
    mdp = regression_oracle.simplex_mdp(rng)
    return mdp, LinearData.collect(mdp, mdp.uniform, n, rng)


def batch(data, robustness, **options):
    solve = solvers.r2pvi if robustness.mode == "penalty" else solvers.drpvi
    return solve(data, robustness, **options)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]} {kind[2]}")
def test_trajectories_one_at_a_time_equal_the_batch(kind):
    mdp, data = data_and_model()
    online = OnlineRegression(mdp.features, mdp.reward, ridge=0.3)
    robustness = Robustness(*kind)
    for n in range(150):
        online.step(data.pair[:, n], data.next[:, n])
        if n + 1 in (1, 40, 150):
            found = online.solve(robustness, beta=0.2)
            whole = batch(data.subset(slice(0, n + 1)), robustness, beta=0.2, ridge=0.3)
            np.testing.assert_allclose(found.V, whole.V, atol=1e-9)
            np.testing.assert_allclose(found.w, whole.w, atol=1e-9)
            np.testing.assert_allclose(found.sigma, whole.sigma, atol=1e-9)
    assert online.n_trajectories == 150


def test_long_streams_keep_their_accuracy():
    rng = np.random.default_rng(1)
    mdp = regression_oracle.simplex_mdp(rng, S=30, d=6, H=2)
    data = LinearData.collect(mdp, mdp.uniform, 3000, rng)
    online = OnlineRegression(mdp.features, mdp.reward, ridge=1e-6)
    for n in range(3000):
        online.step(data.pair[:, n], data.next[:, n])
    whole = solvers.r2pvi(data, Robustness("tv", 0.5), ridge=1e-6)
    found = online.solve(Robustness("tv", 0.5))
    np.testing.assert_allclose(found.V, whole.V, atol=1e-9)


def test_episodes_that_end_early():
    data = ending(np.random.default_rng(2))
    online = OnlineRegression(data.features, data.reward)
    for n in range(data.n_trajectories):
        online.step(data.pair[:, n], data.next[:, n])
    whole = solvers.r2pvi(data, Robustness("tv", 0.2), beta=0.1)
    np.testing.assert_allclose(online.solve(Robustness("tv", 0.2), beta=0.1).V, whole.V, atol=1e-12)


def test_bad_trajectories():
    mdp, _ = data_and_model()
    online = OnlineRegression(mdp.features, mdp.reward)
    with pytest.raises(InvalidModelError, match="no trajectory"):
        online.solve(Robustness("tv", 1.0))
    with pytest.raises(InvalidModelError, match="shape"):
        online.step([0, 1], [0, 1])
    with pytest.raises(InvalidModelError, match="follow"):
        online.step([0, 1, 2], [0, 6, 0])
    with pytest.raises(InvalidModelError, match="ridge"):
        OnlineRegression(mdp.features, mdp.reward, ridge=0.0)
    with pytest.raises(InvalidModelError, match="reward"):
        OnlineRegression(mdp.features, mdp.reward[:, :3])


# ------------------------------------------------------------------------ blocks


class FromData:
    """The samples of a table, in blocks; distinct next states of a block are listed once."""

    def __init__(self, data: LinearData, size: int = 37, announce: int = 0):
        self.data, self.size, self.announce = data, size, announce
        self.horizon, self.dimension = data.horizon, data.dimension

    def count(self, h):
        return self.data.n_trajectories + self.announce

    def blocks(self, h):
        features, A = self.data.features, 3
        for first in range(0, self.data.n_trajectories, self.size):
            part = slice(first, first + self.size)
            states, which = np.unique(self.data.next[h][part], return_inverse=True)
            follow = features.phi.reshape(-1, A, self.dimension)[states]
            later = min(h + 1, self.horizon - 1)
            reward = self.data.reward[later].reshape(-1, A)[states]
            yield blocks.Block(features.phi[self.data.pair[h][part]], follow, reward, which)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]} {kind[2]}")
@pytest.mark.parametrize("vmin", ["fail_state", "data"])
def test_blocks_equal_the_table(kind, vmin):
    _, data = data_and_model(3)
    robustness, choices = Robustness(*kind), Compat(vmin=vmin)
    found = solvers.solve_blocks(FromData(data), robustness, beta=0.2, ridge=0.4, compat=choices)
    whole = batch(data, robustness, beta=0.2, ridge=0.4, compat=choices)
    np.testing.assert_allclose(found.w, whole.w, atol=1e-9)
    np.testing.assert_allclose(found.sigma, whole.sigma, atol=1e-12)
    for h in range(3):
        q = found.q(h, data.features.phi, data.reward[h])
        np.testing.assert_allclose(q, whole.q(h), atol=1e-9)


@pytest.mark.parametrize("penalty", ["l2", "ellipsoid"])
def test_blocks_with_other_bonuses(penalty):
    _, data = data_and_model(4)
    choices = Compat(vmin="fail_state", penalty=penalty)
    found = solvers.solve_blocks(FromData(data), Robustness("tv", 0.5), compat=choices)
    whole = solvers.r2pvi(data, Robustness("tv", 0.5), compat=choices)
    np.testing.assert_allclose(found.w, whole.w, atol=1e-10)


def test_next_states_one_to_one_and_ends():
    phi = np.eye(2)
    follow, reward = phi[:, None], np.array([[0.3], [0.9]])

    class Source:
        horizon, dimension = 2, 2

        def count(self, h):
            return 2

        def blocks(self, h):
            yield blocks.Block(phi, follow, reward, None if self.direct else np.array([-1, 1]))

        direct = True

    source = Source()
    found = solvers.solve_blocks(source, Robustness("tv", np.inf), beta=0.0)
    np.testing.assert_allclose(found.w[0], [0.15, 0.45])
    source.direct = False
    found = solvers.solve_blocks(source, Robustness("tv", np.inf), beta=0.0)
    np.testing.assert_allclose(found.w[0], [0.0, 0.45])


def test_bad_sources():
    _, data = data_and_model(5, n=40)
    robustness = Robustness("tv", 0.5)
    with pytest.raises(InvalidModelError, match="announced"):
        solvers.solve_blocks(FromData(data, announce=1), robustness)
    with pytest.raises(InvalidModelError, match="expected in all"):
        solvers.solve_blocks(FromData(data, announce=-1), robustness)
    with pytest.raises(InvalidModelError, match="no samples"):
        solvers.solve_blocks(FromData(data, announce=-40), robustness)
    with pytest.raises(NotApplicableError, match="vmin"):
        solvers.solve_blocks(FromData(data), robustness, compat=Compat())
