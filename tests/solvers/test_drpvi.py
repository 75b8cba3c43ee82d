"""DRPVI and DRVI-L: the empirical tabular model, loops, duality, and certified KL balls."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import solvers
from benchmarks.robust import reference
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.linear_offline import LinearData
from mdplib.robust import Robustness
from solvers import Compat
from solvers.robust.planning import robust_planning
from tests import regression_oracle

DIVERGENCES: Any = ("tv", "kl", "chi2")


def data_and_model(seed=0, n=80):
    rng = np.random.default_rng(seed)
    mdp = regression_oracle.simplex_mdp(rng)
    return mdp, LinearData.collect(mdp, mdp.uniform, n, rng)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("radius", [0.03, 0.2, 0.6])
def test_one_hot_features_give_the_empirical_tabular_model(divergence, radius):
    data = regression_oracle.one_hot_data(np.random.default_rng(1), 150)
    exact = regression_oracle.plug_in(data, divergence, "ball", radius)
    found = solvers.drpvi(  # chi-square feels the ridge as its root: the mass it takes varies
        data, Robustness(divergence, radius, "ball"), beta=0.0, ridge=1e-18, kl_target="paper"
    )
    np.testing.assert_allclose(found.V, exact, atol=1e-8)


def test_tv_ball_equals_or_beats_loops():
    _, data = data_and_model(2)
    w = reference.from_data("tv ball", data, 0.15, 0.1, 0.5).solve()
    robustness = Robustness("tv", 0.15, "ball")
    local = Compat(vmin="fail_state", dual_search="local")
    same = solvers.drpvi(data, robustness, beta=0.1, ridge=0.5, compat=local)
    np.testing.assert_allclose(same.w, w, atol=1e-9)
    exact = solvers.drpvi(data, robustness, beta=0.1, ridge=0.5, vmin="fail_state")
    assert (exact.w[1] >= w[1] - 1e-12).all()


def test_all_knots_of_the_tv_ball_by_brute_force():
    _, data = data_and_model(3)
    robustness = Robustness("tv", 0.1, "ball")
    found = solvers.drpvi(data, robustness, beta=0.2, ridge=0.3)
    for h in range(2):
        y, phi = found.V[h + 1][data.next[h]], data.features.phi[data.pair[h]]
        low = found.V[h + 1].min()
        knots = np.r_[low, y]
        z = found.inverse[h] @ phi.T @ np.minimum(y[:, None], knots)
        np.testing.assert_allclose(found.w[h], (z - 0.1 * (knots - low)).max(1), atol=1e-12)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_radius_zero_is_pessimism_alone(divergence):
    _, data = data_and_model(4)
    plain = solvers.pevi(data, beta=0.3, penalty="sum")
    found = solvers.drpvi(data, Robustness(divergence, 0.0, "ball"), beta=0.3)
    np.testing.assert_allclose(found.V, plain.V, atol=1e-12)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_tabular_values_fall_with_the_radius(divergence):
    data = regression_oracle.one_hot_data(np.random.default_rng(5), 60)
    values = [
        solvers.drpvi(data, Robustness(divergence, rho, "ball"), beta=0.1).V
        for rho in (0.0, 0.05, 0.2, 0.8)
    ]
    for high, low in itertools.pairwise(values):
        assert (low <= high + 1e-9).all()


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_balls_are_the_best_penalty_minus_its_price(divergence):
    """On laws (one-hot features): C_rho = max over lambda of R_lambda - lambda rho."""
    data = regression_oracle.one_hot_data(np.random.default_rng(6), 200, H=2)
    rho = 0.1
    ball = solvers.drpvi(
        data, Robustness(divergence, rho, "ball"), beta=0.0, ridge=1e-12, kl_target="paper"
    )
    lambdas = np.geomspace(0.02, 20, 400)
    path = solvers.r2pvi_path(
        data, divergence, lambdas.tolist(), beta=0.0, ridge=1e-12, kl_target="paper"
    )
    best = np.max([one.w[0] - x * rho for one, x in zip(path, lambdas, strict=True)], axis=0)
    assert (ball.w[0] >= best - 1e-9).all()
    np.testing.assert_allclose(ball.w[0], best, atol=2e-3)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_valid_beta_gives_pessimism(divergence):
    for seed in range(3):
        mdp, data = data_and_model(seed + 20, n=400)
        robustness = Robustness(divergence, 0.1, "ball")
        found = solvers.drpvi(data, robustness, beta="calibrated", model=mdp)
        reached = robust_planning(mdp, robustness, policy=found.policy).value
        assert (reached + 1e-10 >= found.V).all()
        assert found.V.max() > 0.3


def test_kl_ball_certified_against_a_grid_of_multipliers():
    _, data = data_and_model(7, n=60)
    found = solvers.drpvi(data, Robustness("kl", 0.2, "ball"), beta=0.1, ridge=0.5)
    for h in range(2):
        y, phi = found.V[h + 1][data.next[h]], data.features.phi[data.pair[h]]
        cap = found.cap[h + 1]
        low = max(y.max() / np.log(62), cap / 30)
        trial = np.geomspace(low, cap / 0.2, 3000)
        x = 1 + found.inverse[h] @ phi.T @ np.expm1(-y[:, None] / trial)
        with np.errstate(divide="ignore"):
            log = np.log(np.maximum(x, 0.0))
        dual = -trial * np.maximum(log, -cap / trial) - 0.2 * trial
        assert (found.w[h] >= dual.max(1) - 1e-9).all()
        np.testing.assert_allclose(found.w[h], dual.max(1), atol=1e-4)


def test_a_lower_end_of_the_multiplier_lowers_the_estimate():
    _, data = data_and_model(8, n=60)
    robustness = Robustness("kl", 0.2, "ball")
    wide = solvers.drpvi(data, robustness, beta=0.1, dual_low=0.2)
    narrow = solvers.drpvi(data, robustness, beta=0.1, dual_low=2.0)
    assert (narrow.w[1] <= wide.w[1] + 1e-9).all()
    assert (narrow.w[1] < wide.w[1] - 1e-4).any()
    with pytest.raises(InvalidModelError, match="dual_low"):
        solvers.drpvi(data, robustness, dual_low=-1.0)


def test_drvi_l_is_the_shrunk_kl_ball():
    _, data = data_and_model(9)
    robustness = Robustness("kl", 0.1, "ball")
    one = solvers.drvi_l(data, robustness, beta=0.2)
    two = solvers.drpvi(data, robustness, beta=0.2)
    np.testing.assert_array_equal(one.V, two.V)
    with pytest.raises(NotApplicableError, match="drpvi"):
        solvers.drvi_l(data, Robustness("tv", 0.1, "ball"))
    with pytest.raises(NotApplicableError):
        solvers.drvi_l(data, Robustness("kl", 0.1))


def test_drvi_l_of_the_released_code_equals_loops():
    """Floor 1e-6, Nelder-Mead from H/2 on [1e-6, H]; the loops here floor elsewhere."""
    data = regression_oracle.one_hot_data(np.random.default_rng(10), 200, H=3)
    w = reference.from_data("kl ball", data, 0.1, 0.0, 0.5).solve()
    choices = replace(Compat(dual_search="local"), dual_range="horizon")
    found = solvers.drvi_l(data, Robustness("kl", 0.1, "ball"), beta=0.0, ridge=0.5, compat=choices)
    np.testing.assert_allclose(found.w, w, atol=2e-4)


def test_wrong_options():
    _, data = data_and_model(11)
    with pytest.raises(NotApplicableError, match="r2pvi"):
        solvers.drpvi(data, Robustness("tv", 1.0))
    with pytest.raises(NotApplicableError, match="chi-square"):
        solvers.drpvi(data, Robustness("chi2", 0.1, "ball"), compat="public")
