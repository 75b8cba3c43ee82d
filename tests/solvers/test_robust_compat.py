"""Choices of the released code: the figures they give, and what each of them changes."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import solvers
from mdplib import models
from mdplib.errors import InvalidModelError
from mdplib.linear_offline import LinearData
from mdplib.models.five_states import success
from mdplib.robust import Robustness
from solvers import Compat
from solvers.robust.compat import resolve
from tests import regression_oracle

PUBLIC = Compat.public()
SEEDS = 60


def first_pair(found: Any) -> int:
    return found.policy.steps[0].pair[0]


def mean_first_action(solve, xi_norm=0.2) -> tuple[float, float]:
    """Mean success probability of the first action over data sets, and its standard error."""
    five, u = models.five_state(xi_norm), success(xi_norm, 0.3)
    chosen = []
    for seed in range(SEEDS):
        data = LinearData.collect(five, five.uniform, 100, np.random.default_rng(seed))
        chosen.append(u[first_pair(solve(data))])
    return float(np.mean(chosen)), float(np.std(chosen) / np.sqrt(SEEDS))


def penalised(divergence: Any, reg_lambda=0.1, **changes):
    choices = replace(PUBLIC, **changes)
    return lambda data: solvers.r2pvi(
        data, Robustness(divergence, reg_lambda), ridge=0.1, fail_state=3, compat=choices
    )


@pytest.mark.parametrize(
    ("solve", "published"),
    [
        (penalised("tv"), (0.191, 0.200)),
        (penalised("kl"), (0.314, 0.315)),
        (penalised("chi2"), (0.100, 0.100)),
        (penalised("chi2", 0.2), (0.125, 0.125)),
        (penalised("chi2", chi2_sign="max"), (0.358, 0.360)),
        (lambda data: solvers.pevi(data, ridge=0.1, fail_state=3, compat=PUBLIC), (0.395, 0.405)),
    ],
    ids=["tv", "kl", "chi2 .1", "chi2 .2", "chi2 with the right sign", "pevi"],
)
def test_first_action_of_the_five_state_experiment(solve, published):
    mean, error = mean_first_action(solve)
    assert published[0] - 3 * error - 0.01 <= mean <= published[1] + 3 * error + 0.01


@pytest.mark.parametrize(
    ("reg_lambda", "published"), [(0.1, 0.24), (0.2, 0.29), (0.3, 0.405), (0.6, 0.525)]
)
def test_first_action_by_penalty(reg_lambda, published):
    mean, error = mean_first_action(penalised("tv", reg_lambda), 0.3)
    assert mean == pytest.approx(published, abs=3 * error + 3 * 0.2 / np.sqrt(20) * 0.5)


def test_the_papers_bonus_takes_the_least_action_always():
    mean, error = mean_first_action(penalised("tv", penalty="sum"))
    assert (mean, error) == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-12))


def test_many_nominal_samples_choose_the_largest_action():
    five, u = models.five_state(), success(0.2, 0.3)
    data = LinearData.collect(five, five.uniform, 100_000, np.random.default_rng(0))
    assert u[first_pair(solvers.pevi(data, ridge=0.1))] == pytest.approx(0.5)
    for divergence in ("kl", "chi2"):
        found = solvers.r2pvi(data, Robustness(divergence, 0.1), ridge=0.1, fail_state=3)
        assert u[first_pair(found)] == pytest.approx(0.5)


def rich(seed=0, n=8) -> LinearData:
    """Few samples and rewards above 1, so that every choice shows."""
    rng = np.random.default_rng(seed)
    mdp = regression_oracle.simplex_mdp(rng, S=8, H=4)
    data = LinearData.collect(mdp, mdp.uniform, n, rng)
    return LinearData(data.features, 4 * data.reward, data.pair, data.next)


@pytest.mark.parametrize("field", [one.name for one in fields(Compat)])
def test_every_choice_has_an_effect(field):
    changed: Any = replace(Compat(), **{field: getattr(PUBLIC, field)})
    if field == "strike":
        option = Compat.public("option")
        assert option.believed_strike(100.0, 1000) == 1000.0
        assert PUBLIC.believed_strike(100.0, 1000) == Compat().believed_strike(100.0, 1000) == 100.0
        return
    assert changed != Compat()
    found = []
    for compat in (Compat(), changed):
        runs = []
        for seed in range(4):
            data = rich(seed)
            runs += [
                solvers.r2pvi(data, Robustness("tv", 0.5), beta=3.0, compat=compat),
                solvers.r2pvi(data, Robustness("kl", 2.0), beta=0.1, compat=compat),
                solvers.r2pvi(data, Robustness("chi2", 0.1), beta=0.1, ridge=0.01, compat=compat),
                solvers.drpvi(data, Robustness("tv", 0.3, "ball"), beta=0.1, compat=compat),
                solvers.pevi(data, beta=0.1, compat=compat),
                solvers.va_drpvi(data, Robustness("tv", 0.1, "ball"), beta=0.1, compat=compat),
            ]
        found.append([run.V for run in runs])
    assert any(not np.allclose(a, b) for a, b in zip(*found, strict=True))


def test_presets_and_options():
    assert Compat.public("option").chi2_sign == "max"
    assert resolve("public") == PUBLIC
    assert resolve(None) == Compat()
    assert resolve("public", vmin="states", kl_target="shrink_to_one").penalty == "l2"
    wrong: Any = "private"
    with pytest.raises(InvalidModelError, match="private"):
        resolve(wrong)
    with pytest.raises(InvalidModelError, match="experiment"):
        Compat.public(wrong)
    with pytest.raises(InvalidModelError, match="chi2_sign"):
        Compat(chi2_sign=wrong)
    with pytest.raises(InvalidModelError, match="clip_low"):
        Compat(clip_low=wrong)


def test_fail_state_is_worth_nothing():
    five = models.five_state()
    data = LinearData.collect(five, five.uniform, 50, np.random.default_rng(1))
    found = solvers.r2pvi(data, Robustness("tv", 0.5), fail_state=3)
    assert not found.V[:, 3].any()
