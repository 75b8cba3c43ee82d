"""R2PVI: the empirical tabular model, a loop implementation, and the certificate."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from typing import Any

import numpy as np
import pytest

import solvers
from benchmarks.robust import reference
from mdplib import models
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.linear import LinearMDP
from mdplib.linear_offline import LinearData
from mdplib.robust import NoEffectWarning, RobustDual, Robustness
from solvers import Compat
from solvers.robust.planning import robust_planning
from tests import regression_oracle

DIVERGENCES: Any = ("tv", "kl", "chi2")


def data_and_model(seed=0, n=80, **shape) -> tuple[LinearMDP, LinearData]:
    rng = np.random.default_rng(seed)
    mdp = regression_oracle.simplex_mdp(rng, **shape)
    return mdp, LinearData.collect(mdp, mdp.uniform, n, rng)


# ------------------------------------------------------------- plug-in and loops


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("reg_lambda", [0.3, 1.0, 4.0])
def test_one_hot_features_give_the_empirical_tabular_model(divergence, reg_lambda):
    data = regression_oracle.one_hot_data(np.random.default_rng(1), 150)
    exact = regression_oracle.plug_in(data, divergence, "penalty", reg_lambda)
    found = solvers.r2pvi(data, Robustness(divergence, reg_lambda), beta=0.0, ridge=1e-12)
    np.testing.assert_allclose(found.V, exact, atol=1e-8)
    if divergence == "kl":
        target = solvers.r2pvi(
            data, Robustness("kl", reg_lambda), beta=0.0, ridge=1e-12, kl_target="paper"
        )
        np.testing.assert_allclose(target.V, exact, atol=1e-8)


@pytest.mark.parametrize("method", DIVERGENCES)
@pytest.mark.parametrize("beta", [0.0, 0.2])
def test_vectorised_equals_loops(method, beta):
    _, data = data_and_model(2)
    loop = reference.from_data(method, data, 0.7, beta, 0.5)
    w = np.array(loop.solve())
    choices = Compat(vmin="fail_state", dual_search="local" if method == "chi2" else "global")
    found = solvers.r2pvi(data, Robustness(method, 0.7), beta=beta, ridge=0.5, compat=choices)
    np.testing.assert_allclose(found.w, w, atol=1e-9)
    for h in range(3):
        q = [loop.q(h, k) for k in range(data.features.n_pairs)]
        np.testing.assert_allclose(found.q(h), q, atol=1e-9)
    exact = solvers.r2pvi(data, Robustness(method, 0.7), beta=beta, ridge=0.5, vmin="fail_state")
    assert (exact.w[1] >= w[1] - 1e-9).all()  # the same next values, the global maximum


def test_unshrunk_kl_target_equals_loops():
    _, data = data_and_model(3)
    w = reference.from_data("kl", data, 0.4, 0.1, 1.0, shrink=False).solve()
    found = solvers.r2pvi(data, Robustness("kl", 0.4), beta=0.1, kl_target="paper")
    np.testing.assert_allclose(found.w, w, atol=1e-10)


# ----------------------------------------------------------------- certificate


def certificate(mdp: LinearMDP, robustness: Robustness, found) -> np.ndarray:
    """Twice the bonuses along the optimal policy under the worst kernel for V-hat, (S,)."""
    best: Any = robust_planning(mdp, robustness)
    table = robustness.table(mdp.horizon, mdp.dimension)
    total = np.zeros(mdp.n_states)
    for h in reversed(range(mdp.horizon)):
        worst = np.stack(
            [
                RobustDual(robustness.divergence, robustness.mode, table[h, i]).minimiser(
                    mdp.mu[h, i], found.V[h + 1]
                )
                for i in range(mdp.dimension)
            ]
        )
        pairs = best.policy.steps[h].pair
        total = 2 * found.bonus(h)[pairs] + mdp.features.phi[pairs] @ (worst @ total)
    return total


@pytest.mark.filterwarnings("ignore::mdplib.robust.NoEffectWarning")  # of the fail state
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("n", [100, 1600])
def test_valid_beta_gives_pessimism_and_the_certificate(divergence, n):
    robustness = Robustness(divergence, 1.0)
    for seed in range(3):
        rng = np.random.default_rng([seed, n])
        mdp = models.random_simplex_mdp(8, 4, 5, 4, rng)
        data = LinearData.collect(mdp, mdp.uniform, n, rng)
        optimum = robust_planning(mdp, robustness).value
        for beta in ("calibrated", 2.0):
            found = solvers.r2pvi(data, robustness, beta=beta, model=mdp)
            valid = all(
                empirical_beta(mdp, robustness, found, h) <= found.beta[h] + 1e-9 for h in range(4)
            )
            assert valid or beta == 2.0
            if not valid:
                continue
            reached = robust_planning(mdp, robustness, policy=found.policy).value
            assert (reached + 1e-10 >= found.V).all()
            loss = optimum[0] - reached[0]
            assert (loss <= certificate(mdp, robustness, found) + 1e-10).all()


def empirical_beta(mdp, robustness, found, h) -> float:
    level = robustness.table(mdp.horizon, mdp.dimension)[h]
    truth = [
        RobustDual(robustness.divergence, robustness.mode, level[i]).value(
            mdp.mu[h, i], found.V[h + 1]
        )
        for i in range(mdp.dimension)
    ]
    return float((np.abs(found.w[h] - truth) / found.sigma[h]).max())


@pytest.mark.filterwarnings("ignore::mdplib.robust.NoEffectWarning")
def test_value_error_decays_like_the_root_of_the_sample_size():
    errors, sizes = [], (400, 6400)
    for n in sizes:
        gaps = []
        for seed in range(4):
            rng = np.random.default_rng(seed)
            mdp = models.random_simplex_mdp(8, 4, 5, 4, rng)
            data = LinearData.collect(mdp, mdp.uniform, n, rng)
            robustness = Robustness("kl", 1.0)
            found = solvers.r2pvi(data, robustness)
            exact = robust_planning(mdp, robustness).value
            gaps.append(np.abs(found.V[0] - exact[0]).max())
        errors.append(np.mean(gaps))
    slope = np.log(errors[1] / errors[0]) / np.log(sizes[1] / sizes[0])
    assert -0.7 <= slope <= -0.4


# --------------------------------------------------------------- options, mutants


def test_raw_q_is_linear_in_the_features():
    mdp, data = data_and_model(4)
    found = solvers.r2pvi(data, Robustness("chi2", 0.5), beta=0.7)
    assert mdp.theta is not None
    for h in range(3):
        linear = data.features.phi @ (mdp.theta[h] + found.w[h] - 0.7 * found.sigma[h])
        np.testing.assert_allclose(found.q(h, clipped=False), linear, atol=1e-12)


def test_penalties_are_ordered():
    _, data = data_and_model(5)
    found = {
        kind: solvers.r2pvi(data, Robustness("tv", 0.5), penalty=kind)
        for kind in ("sum", "l2", "ellipsoid")
    }
    for h in range(3):
        whole = found["sum"].bonus(h)
        assert (found["l2"].bonus(h) <= whole + 1e-12).all()
        assert (found["ellipsoid"].bonus(h) <= whole + 1e-12).all()
        inside = (data.features.phi > 0.05).sum(axis=1) > 1
        assert (found["l2"].bonus(h)[inside] < whole[inside]).all()  # l2 is another method
        phi, sigma = data.features.phi, found["sum"].sigma[h]
        np.testing.assert_allclose(whole, sum(phi[:, i] * sigma[i] for i in range(4)), atol=1e-12)
        np.testing.assert_allclose(
            found["ellipsoid"].bonus(h),
            [np.sqrt(x @ found["sum"].inverse[h] @ x) for x in phi],
            atol=1e-12,
        )


def test_values_are_clipped_unless_told_otherwise():
    _, data = data_and_model(6, n=5)
    found = solvers.r2pvi(data, Robustness("tv", 0.5), beta=3.0)
    assert (found.V >= 0).all()
    assert (found.cap[:, None] >= found.V).all()
    loose = solvers.r2pvi(
        data, Robustness("tv", 0.5), beta=3.0, compat=dataclasses.replace(Compat(), clip_low=False)
    )
    assert loose.V.min() < 0


def test_least_value_over_the_data_is_optimistic():
    """A state that pays nothing and is never seen: only the minimum over states knows it."""
    phi = np.ones((2, 1, 1))
    mu = np.array([[[1.0, 0.0]]] * 2)
    mdp = LinearMDP.from_dense(phi, np.array([[0.0], [0.0]]), mu, initial=np.array([1.0, 0.0]))
    mdp = LinearMDP(mdp.features, np.array([[0.0, 0.0], [1.0, 0.0]]), mu, initial=mdp.initial)
    data = LinearData.collect(mdp, mdp.uniform, 50, np.random.default_rng(0))
    robustness = Robustness("tv", 0.3)
    true = robust_planning(mdp, robustness).value[0, 0]
    for vmin in ("states", "fail_state"):
        found = solvers.r2pvi(data, robustness, beta=0.0, ridge=1e-9, vmin=vmin)
        assert found.V[0, 0] == pytest.approx(true, abs=1e-7) == pytest.approx(0.3)
    wrong = solvers.r2pvi(data, robustness, beta=0.0, ridge=1e-9, vmin="data")
    assert wrong.V[0, 0] > true + 0.5


def test_unshrunk_kl_is_optimistic_without_data():
    data = regression_oracle.one_hot_data(np.random.default_rng(7), 4)
    unseen = ~np.isin(np.arange(8), data.pair[0])
    assert unseen.any()
    shrunk = solvers.r2pvi(data, Robustness("kl", 2.0), beta=0.0)
    paper = solvers.r2pvi(data, Robustness("kl", 2.0), beta=0.0, kl_target="paper")
    np.testing.assert_allclose(shrunk.w[0, unseen], 0.0, atol=1e-12)
    np.testing.assert_allclose(paper.w[0, unseen], 3.0, atol=1e-12)  # all there is to gain


def test_tabular_estimates_fall_with_beta_and_rise_with_lambda():
    data = regression_oracle.one_hot_data(np.random.default_rng(8), 60)
    for divergence in DIVERGENCES:
        by_beta = [
            solvers.r2pvi(data, Robustness(divergence, 0.7), beta=b).V for b in (0.0, 0.1, 1.0)
        ]
        path = solvers.r2pvi_path(data, divergence, [0.2, 0.7, 3.0, np.inf], beta=0.0)
        for high, low in itertools.pairwise(by_beta):
            assert (low <= high + 1e-12).all()
        for low, high in itertools.pairwise(path):
            assert (low.V <= high.V + 1e-12).all()


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_infinite_penalties_are_pessimism_alone(divergence):
    _, data = data_and_model(9)
    plain = solvers.pevi(data, beta=0.3, penalty="sum")
    found = solvers.r2pvi(data, Robustness(divergence, np.inf), beta=0.3)
    np.testing.assert_allclose(found.V, plain.V, atol=1e-12)
    large = solvers.r2pvi(
        data, Robustness(divergence, 1e7), beta=0.3, compat=Compat(dual_clip=False)
    )
    if divergence != "chi2":  # chi-square maximises a signed regression, which may exceed it
        np.testing.assert_allclose(large.V, plain.V, atol=1e-5)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_strengths_per_step_and_factor(divergence):
    _, data = data_and_model(10)
    table = np.random.default_rng(0).choice([0.2, 0.9, np.inf], size=(3, 4))
    found = solvers.r2pvi(data, Robustness(divergence, table), beta=0.1)
    for h in range(2):
        for i in range(4):
            alone = np.full((3, 4), np.inf)
            alone[h] = table[h, i]
            # same next values, one strength for all factors of this step
            again = solvers.r2pvi(
                data, Robustness(divergence, np.where(np.arange(3)[:, None] > h, table, alone)),
                beta=0.1,
            )  # fmt: skip
            assert found.w[h, i] == pytest.approx(again.w[h, i], abs=1e-12)
    scalar = solvers.r2pvi(data, Robustness(divergence, 0.4))
    for shape in ((3, 1), (1, 4), (3, 4)):
        same = solvers.r2pvi(data, Robustness(divergence, np.full(shape, 0.4)))
        np.testing.assert_array_equal(same.V, scalar.V)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_path_equals_single_runs(divergence):
    _, data = data_and_model(11)
    lambdas = [0.1, 0.5, 2.0, np.inf]
    path = solvers.r2pvi_path(data, divergence, lambdas, beta=0.2, ridge=0.4)
    for reg_lambda, found in zip(lambdas, path, strict=True):
        alone = solvers.r2pvi(data, Robustness(divergence, reg_lambda), beta=0.2, ridge=0.4)
        np.testing.assert_array_equal(found.V, alone.V)


def test_rewards_above_one_raise_the_caps():
    _, data = data_and_model(12)
    rich = dataclasses.replace(data, reward=5 * data.reward)
    found = solvers.r2pvi(rich, Robustness("tv", np.inf), beta=0.0)
    assert found.V.max() > 3
    np.testing.assert_allclose(found.cap, np.append(rich.reward.max(1)[::-1].cumsum()[::-1], 0))
    public = solvers.r2pvi(rich, Robustness("tv", np.inf), beta=0.0, compat=Compat(cap="horizon"))
    assert public.V.max() == 3
    given = solvers.r2pvi(rich, Robustness("tv", np.inf), beta=0.0, cap=[2.0, 2.0, 1.0, 0.0])
    assert given.V.max() == 2
    with pytest.raises(InvalidModelError, match="cap"):
        solvers.r2pvi(data, Robustness("tv", 1.0), cap=[1.0])


def test_wrong_options():
    _, data = data_and_model(13)
    with pytest.raises(NotApplicableError, match="drpvi"):
        solvers.r2pvi(data, Robustness("tv", 0.1, "ball"))
    with pytest.raises(InvalidModelError):
        solvers.r2pvi(data, Robustness("tv", np.ones((2, 2))))
    with pytest.raises(InvalidModelError):
        Robustness("kl", 0.0)
    wrong: Any = "l1"
    with pytest.raises(InvalidModelError, match="penalty"):
        solvers.r2pvi(data, Robustness("tv", 1.0), penalty=wrong)
    with pytest.raises(InvalidModelError, match="delta"):
        solvers.r2pvi(data, Robustness("tv", 1.0), delta=0.0)


def test_warning_where_robustness_has_no_effect():
    five = models.five_state()
    data = LinearData.collect(five, five.uniform, 20, np.random.default_rng(0))
    for divergence in ("kl", "chi2"):
        with pytest.warns(NoEffectWarning, match="deterministic"):
            solvers.r2pvi(data, Robustness(divergence, 0.1), model=five)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solvers.r2pvi(data, Robustness("tv", 0.1), model=five)
        table = np.full((3, 4), np.inf)
        table[:, :2] = 0.5
        solvers.r2pvi(data, Robustness("kl", table), model=five)


def test_solution_describes_itself():
    _, data = data_and_model(14)
    found = solvers.r2pvi(data, Robustness("tv", 1.0))
    assert "r2pvi" in repr(found)
    assert found.initial(np.full(6, 1 / 6)) == pytest.approx(found.V[0].mean())
    with pytest.raises(ValueError, match="read-only"):
        found.V[0, 0] = 1.0
    with pytest.raises(InvalidModelError, match="horizon"):
        found.q(3)


def test_a_step_without_samples_counts_nothing_and_says_so():
    """Half of the holders of a put exercise at each step: the last steps have no samples."""
    put = models.american_put()
    rng = np.random.default_rng(1)
    data = LinearData.collect(put.mdp, put.uniform, 20, rng, features=put.features)
    assert (data.next[-2] < 0).all()
    kinds: Any = ("tv", "kl", "chi2")
    for divergence in kinds:
        found = solvers.r2pvi(data, Robustness(divergence, 3.0), beta=0.1)
        assert np.isfinite(found.V).all()
        assert not found.w[-2].any()
        assert any("no sample of step 18" in line for line in found.stats.log)
