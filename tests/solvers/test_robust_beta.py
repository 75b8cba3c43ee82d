"""The multiplier of the bonus: theory, bootstrap, calibration, coverage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import solvers
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.linear import LinearMDP
from mdplib.linear_offline import LinearData
from mdplib.policy import StochasticPolicy
from mdplib.robust import Robustness
from solvers.robust import beta as rules
from tests import regression_oracle


def data_and_model(seed=0, n=80):
    rng = np.random.default_rng(seed)
    mdp = regression_oracle.simplex_mdp(rng)
    return mdp, LinearData.collect(mdp, mdp.uniform, n, rng)


@pytest.mark.parametrize(
    ("K", "tv", "kl", "chi2"),
    [
        (100, 2090, 24216, 8842),
        (1600, 2346, 27297, 10045),
        (25600, 2577, 30063, 11118),
        (102400, 2685, 31355, 11618),
    ],
)
def test_constants_of_the_theorem(K, tv, kl, chi2):
    assert rules.tv_constant(K, 5, 4, 0.05) == pytest.approx(tv, abs=1)
    assert rules.kl_constant(K, 5, 4, 0.05, 1.0) == pytest.approx(kl, abs=1)
    assert rules.chi2_constant(K, 5, 4, 0.05, 1.0) == pytest.approx(chi2, abs=1)


def test_constants_at_the_edges():
    assert rules.kl_constant(1, 1, 1, 0.9, 1e-3) == math.inf
    assert rules.kl_constant(1, 1, 1, 0.9, 0.02) > 0  # the logarithm is negative here
    H, lam = 1, 0.02
    assert math.log(1024 * lam**2 / 0.9) < 0
    assert rules.kl_constant(1, 1, 1, 0.9, lam) == pytest.approx(
        16 * lam * math.exp(H / lam) * math.sqrt(H / lam)
    )


@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
def test_theory_in_a_run(divergence):
    _, data = data_and_model()
    found = solvers.r2pvi(data, Robustness(divergence, 1.0), beta="theory")
    one: Any = {
        "tv": lambda: rules.tv_constant(80, 4, 3, 0.05),
        "kl": lambda: rules.kl_constant(80, 4, 3, 0.05, 1.0),
        "chi2": lambda: rules.chi2_constant(80, 4, 3, 0.05, 1.0),
    }
    np.testing.assert_allclose(found.beta, one[divergence]())
    assert not found.stats.log
    other = solvers.r2pvi(data, Robustness(divergence, 1.0), beta="theory", ridge=0.5)
    assert "ridge 1" in other.stats.log[0]
    assert "order" in solvers.pevi(data, beta="theory").stats.log[0]
    ball = solvers.drpvi(data, Robustness(divergence, 0.1, "ball"), beta="theory")
    assert ball.beta[0] == pytest.approx(2 * 3 * math.sqrt(math.log(2 * 4 * 3 * 80 / 0.05)))


def test_theory_takes_the_largest_constant_of_a_step():
    table = np.array([[1.0, 2.0, np.inf], [np.inf] * 3])
    found, _ = rules.theory("penalty", "kl", table, 100, 3, 0.1)
    by = [rules.kl_constant(100, 3, 2, 0.1, x) for x in (1.0, 2.0)]
    assert found[0] == max(by)
    assert found[1] == rules.tv_constant(100, 3, 2, 0.1)


def test_infinite_theory_is_cut_and_said():
    _, data = data_and_model()
    found = solvers.r2pvi(data, Robustness("kl", 0.001), beta="theory")
    assert np.isfinite(found.V).all()
    assert any("1e200" in line for line in found.stats.log)


@pytest.mark.parametrize("penalty", ["sum", "l2", "ellipsoid"])
def test_calibrated_is_the_smallest_that_covers_every_feature(penalty):
    mdp, data = data_and_model(1)
    robustness = Robustness("chi2", 0.6)
    found = solvers.r2pvi(data, robustness, beta="calibrated", model=mdp, penalty=penalty)
    rng = np.random.default_rng(0)
    for h in range(2):
        error = found.w[h] - rules.true_worst(mdp, robustness, h, found.V[h + 1])
        trial = rng.dirichlet(np.full(4, 0.2), size=2000)
        trial = np.vstack([trial, np.eye(4)])
        if penalty != "sum":
            dual = error / found.sigma[h] ** 2
            if penalty == "ellipsoid":
                dual = np.linalg.solve(found.inverse[h], error)
            trial = np.vstack([trial, rng.normal(size=(500, 4)), dual])
        size = {
            "sum": trial @ found.sigma[h],
            "l2": np.sqrt((trial**2) @ found.sigma[h] ** 2),
            "ellipsoid": np.sqrt(np.einsum("kd,de,ke->k", trial, found.inverse[h], trial)),
        }[penalty]
        ratio = np.abs(trial @ error) / size
        assert ratio.max() <= found.beta[h] + 1e-9
        assert ratio.max() >= found.beta[h] - 1e-9  # attained


def test_bootstrap_is_reproducible_and_of_the_right_size():
    mdp, data = data_and_model(2, n=200)
    robustness = Robustness("tv", 0.6)

    def run(seed):
        rng = np.random.default_rng(seed)
        return solvers.r2pvi(data, robustness, beta="bootstrap", rng=rng)

    one, two = run(0), run(0)
    assert one.beta[0] == two.beta[0]
    assert "nominal" in one.stats.log[0]
    true = solvers.r2pvi(data, robustness, beta="calibrated", model=mdp)
    assert 0.3 * true.beta.max() < one.beta[0] < 10 * true.beta.max() + 0.5


def test_bootstrap_of_regressed_rewards():
    _, data = data_and_model(3, n=60)
    found = solvers.pevi(
        data, beta="bootstrap", rng=np.random.default_rng(0), reward="regressed", delta=0.2
    )
    assert (found.beta > 0).all()


def test_wrong_rules():
    _, data = data_and_model(4)
    robustness = Robustness("tv", 1.0)
    with pytest.raises(NotApplicableError, match="model="):
        solvers.r2pvi(data, robustness, beta="calibrated")
    with pytest.raises(NotApplicableError, match="rng="):
        solvers.r2pvi(data, robustness, beta="bootstrap")
    wrong: Any = "guess"
    with pytest.raises(InvalidModelError, match="guess"):
        solvers.r2pvi(data, robustness, beta=wrong)
    for bad in (-1.0, np.nan, np.inf, [1.0, 2.0]):
        with pytest.raises(InvalidModelError, match="beta"):
            solvers.r2pvi(data, robustness, beta=bad)
    assert solvers.r2pvi(data, robustness, beta=[1.0, 2.0, 3.0]).beta[2] == 3.0


def test_bonuses_scale_with_samples_and_coverage():
    """Phi sqrt(K) is flat in K, and grows like the root of the coverage that is lost."""
    data = regression_oracle.one_hot_data(np.random.default_rng(5), 4, H=2)
    ptr, H, S = data.features.state_ptr, 2, 4
    mu = np.full((H, 8, S), 1 / S)
    mdp = LinearMDP(data.features, data.reward, mu, initial=np.full(S, 1 / S))
    uncertainty = {}
    for n in (500, 8000):
        for share in (0.5, 0.05):
            weight = np.tile([share, 1 - share], 4)
            behaviour = StochasticPolicy(weight, ptr, mdp.features.action_id)
            data = LinearData.collect(mdp, behaviour, n, np.random.default_rng(6))
            found = solvers.r2pvi(data, Robustness("tv", 1.0), beta=1.0)
            uncertainty[n, share] = found.bonus(0)[::2].mean() * math.sqrt(n)
    for share in (0.5, 0.05):
        assert uncertainty[8000, share] == pytest.approx(uncertainty[500, share], rel=0.25)
    ratio = uncertainty[8000, 0.05] / uncertainty[8000, 0.5]
    assert ratio == pytest.approx(math.sqrt(0.5 / 0.05), rel=0.1)
