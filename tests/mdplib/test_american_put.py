"""The American put against walks over its tree, closed forms and quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mdplib import InvalidModelError, LinearData, MarkovPolicy, models, operators
from mdplib.linear import LinearMDP
from mdplib.linear_fitting import fit_factors
from mdplib.linear_lift import lift_policy
from mdplib.models import american_puts, put_averages
from mdplib.policy import StochasticPolicy
from tests.mutation import mutant

S0 = 99.17022004702574  # 95 + 10 * 0.417022004702574


def tree_value(s: float, p0: float, h: int, H: int, strike: float = 100.0) -> float:
    """Return the optimal value by a recursion over prices, without a lattice."""
    if h == H:
        return 0.0
    held = 0.0
    if p0 > 0:
        held += p0 * tree_value(1.02 * s, p0, h + 1, H, strike)
    if p0 < 1:
        held += (1 - p0) * tree_value(0.98 * s, p0, h + 1, H, strike)
    return max(strike - s, held, 0.0)


def rule_value(
    put: american_puts.AmericanPut, s: float, c: np.ndarray, cap: Any, h: int = 0
) -> float:
    """Follow a rule over the tree."""
    if h == put.horizon:
        return 0.0
    payoff = max(0.0, put.strike - s)
    if payoff > np.clip(put.hats(s) @ c[h], 0.0, np.inf if cap is None else cap[h]):
        return payoff
    rise, fall = (rule_value(put, x * s, c, cap, h + 1) for x in (put.up, put.down))
    return put.p0 * rise + (1 - put.p0) * fall


@pytest.mark.parametrize(
    ("p0", "value"),
    [(0.2, 21.16), (0.4, 8.83), (0.5, 3.905), (0.6, 1.926), (0.8, 0.830), (1.0, 0.830)],
)
def test_reference_values(p0: float, value: float):
    put = models.american_put(S0).with_probability(p0)
    V, policy = put.optimal()
    digits = 2 if value > 5 else 3
    assert round(float(V[0, 0]), digits) == value
    assert put.evaluate(policy) == pytest.approx(V, abs=1e-12)
    above = np.flatnonzero(put.prices > 110)  # worth nothing either way: ties hold
    assert above.size
    assert not any(policy.probs(int(s), 19)[0][0] for s in above)


@pytest.mark.parametrize("s0", [95.0, 99.0, 103.0])
def test_the_lattice_against_the_tree(s0: float):
    put = models.american_put(s0, p0=0.45, horizon=7)
    assert put.optimal()[0][0, 0] == pytest.approx(tree_value(s0, 0.45, 0, 7), abs=1e-12)
    cheap = models.american_put(s0, p0=0.45, horizon=7, strike=97.0)
    assert cheap.optimal()[0][0, 0] == pytest.approx(tree_value(s0, 0.45, 0, 7, 97.0), abs=1e-12)


def test_states_are_the_nodes():
    put = models.american_put([95.0, 104.0], horizon=6)
    assert put.prices.size == put.level.size == 2 * 28
    for i, s0 in enumerate(put.s0):
        for k in range(7):
            for j in range(k + 1):
                s = put.start[i] + k * (k + 1) // 2 + j
                assert put.level[s] == k
                assert put.prices[s] == pytest.approx(s0 * 1.02**j * 0.98 ** (k - j), rel=1e-14)
                fall, rise = (int(x[s]) for x in put.successors)
                if k < 6:
                    assert put.prices[fall] == pytest.approx(0.98 * put.prices[s], rel=1e-14)
                    assert put.prices[rise] == pytest.approx(1.02 * put.prices[s], rel=1e-14)
                else:
                    assert fall == rise == s


def test_the_tabular_model_is_the_same_option():
    put = models.american_put([S0, 103.0], p0=0.4, horizon=8)
    V, policy = put.optimal()
    rng = np.random.default_rng(0)
    hold = rng.random((8, put.prices.size))
    ptr, action = put.features.state_ptr, put.features.action_id
    mixed = MarkovPolicy(
        tuple(
            StochasticPolicy(np.stack([row, 1 - row], axis=1).ravel(), ptr, action) for row in hold
        )
    )
    for one in (policy, mixed, put.hold):
        above = lift_policy(put.features, one, put.horizon)
        lifted = operators.evaluate_policy(put.mdp, above)
        assert lifted[:, :-1] == pytest.approx(put.evaluate(one), abs=1e-12)
        assert not lifted[:, -1].any()
    best = np.zeros(put.mdp.n_states)
    for h in range(7, -1, -1):
        best = operators.bellman(put.mdp, best, h)
    assert best[:-1] == pytest.approx(V[0], abs=1e-12)


# ---------------------------------------------------------------------- features


def test_published_hats_leave_the_simplex_outside_the_anchors():
    put = models.american_put(S0)
    inside = (put.prices >= 80) & (put.prices <= 180 - 100 / 30)
    sums = put.hats(put.prices).sum(axis=1)
    assert sums[inside] == pytest.approx(1.0, abs=1e-12)
    below = put.prices < 80
    assert below.any()
    assert np.all(sums[below] < 1)
    assert put.hats(77.2).sum() == pytest.approx(1 - 2.8 / (100 / 30))
    assert not put.features.simplex
    assert np.all(put.features.phi[1::2] == 0)
    assert put.features.ended.tolist() == [False, True] * put.prices.size


def test_clamped_hats_stay_on_the_simplex():
    put = models.american_put(S0, features="simplex")
    assert put.features.simplex
    assert put.hats(np.array([60.0, 80.0, 300.0])).sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    inside = put.prices >= 80
    rough = models.american_put(S0)
    assert put.hats(put.prices[inside]) == pytest.approx(rough.hats(put.prices[inside]))


@pytest.mark.parametrize("price", [81.0, 99.9, 120.0])
def test_hats_interpolate(price: float):
    put = models.american_put(d=60)
    anchors = 80 + 100 / 60 * np.arange(60)
    assert put.hats(price) @ anchors == pytest.approx(price, abs=1e-10)


def test_how_far_the_option_is_from_a_linear_model():
    put = models.american_put(S0, horizon=6, features="simplex")
    model, misfit = fit_factors(put.mdp, put.features)
    assert 0.05 < misfit.max() <= 1.0  # hats of width 3.3 cannot tell moves of 2 per cent apart
    assert not misfit[:, put.features.ended].any()
    with pytest.raises(InvalidModelError, match="Use other features"):
        LinearMDP.from_tabular(put.mdp, put.features)
    assert model.reward == pytest.approx(put.reward)


# -------------------------------------------------------------------------- data


def test_data_of_holding_walk_down_the_lattice():
    put = models.american_put(S0)
    data = LinearData.collect(put.mdp, put.hold, 200, np.random.default_rng(0), put.features)
    assert (put.level[data.states] == np.arange(20)[:, None]).all()
    ratio = put.prices[data.next] / put.prices[data.states]
    assert np.isin(ratio.round(10), (0.98, 1.02)).all()
    assert data.reward == pytest.approx(put.reward)


def test_every_trajectory_may_have_its_own_first_price():
    s0 = np.random.default_rng(1).uniform(95, 105, 30)
    put = models.american_put(s0, horizon=5)
    data = LinearData.collect(
        put.mdp, put.hold, 30, np.random.default_rng(0), put.features, start=put.start
    )
    assert put.prices[data.states[0]] == pytest.approx(s0)
    steps = put.prices[data.next] / put.prices[data.states]
    assert np.isin(steps.round(10), (0.98, 1.02)).all()


def test_exercising_ends_the_data():
    put = models.american_put(S0, horizon=10)
    data = LinearData.collect(put.mdp, put.uniform, 500, np.random.default_rng(0), put.features)
    alive = (data.pair >= 0).sum(axis=1)
    assert alive[0] == 500
    assert 150 < alive[1] < 350  # 250 +- 4.5 standard deviations of 11.2 and more
    exercised = (data.pair >= 0) & (data.pair % 2 == 1)
    assert np.all(data.next[exercised] == -1)


# ---------------------------------------------------------------------- averages


@pytest.mark.parametrize("kind", ["published", "simplex"])
@pytest.mark.parametrize("cap", [None, 3.0])
def test_averages_of_rules_against_quadrature(kind: Any, cap: float | None):
    put = models.american_put(p0=0.4, horizon=6, d=30, features=kind)
    rng = np.random.default_rng(3)
    anchors = 80 + 100 / 30 * np.arange(30)
    c = np.maximum(0, 100 - anchors) + rng.normal(0.3, 1.5, (6, 30))
    top = None if cap is None else np.full(6, cap)
    exact = put_averages.average_value(put, c, top)
    n = 1000
    s0 = 95 + 10 * (np.arange(n) + 0.5) / n
    many = models.american_put(s0, p0=0.4, horizon=6, features=kind)
    V = many.evaluate(put_averages.rule_policy(many, c, top))
    assert exact == pytest.approx(V[0, many.start].mean(), abs=1e-2)
    for s in s0[::200]:
        one = models.american_put(s, p0=0.4, horizon=6, features=kind)
        found = one.evaluate(put_averages.rule_policy(one, c, top))[0, 0]
        assert found == pytest.approx(rule_value(put, s, c, top), abs=1e-12)


def test_quadrature_approaches_the_exact_average():
    put = models.american_put(p0=0.4, horizon=3)
    c = np.random.default_rng(0).normal(3.0, 2.0, (3, 30))
    exact = put_averages.average_value(put, c)
    errors = []
    for n in (100, 5000):
        s0 = 95 + 10 * (np.arange(n) + 0.5) / n
        many = models.american_put(s0, p0=0.4, horizon=3)
        V = many.evaluate(put_averages.rule_policy(many, c))
        errors.append(abs(V[0, many.start].mean() - exact))
    assert errors[1] < 5e-4
    assert errors[1] < errors[0]


def test_the_optimal_average_is_bracketed():
    put = models.american_put(p0=0.6)
    low, high = put_averages.optimal_average(put, pieces=10)
    finer = put_averages.optimal_average(put, pieces=2000)
    assert low <= finer[0] <= finer[1] <= high
    assert finer[1] - finer[0] < 1e-5
    s0 = 95 + 10 * (np.arange(1000) + 0.5) / 1000
    many = models.american_put(s0, p0=0.6)
    assert many.optimal()[0][0, many.start].mean() == pytest.approx(finer[0], abs=1e-3)
    c = np.random.default_rng(0).normal(2.0, 2.0, (20, 30))
    assert put_averages.average_value(put, c) <= finer[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"s0": []}, "s0 is empty"),
        ({"s0": [100.0, -1.0]}, r"s0\[1\] is -1.0"),
        ({"p0": 1.5}, "p0 is 1.5"),
        ({"strike": 0.0}, "strike is 0.0"),
        ({"d": 0}, "d is 0"),
        ({"horizon": 0}, "horizon is 0"),
        ({"features": "hats"}, "features is 'hats'"),
        ({"s0": [100.0, np.nan, np.inf]}, r"s0\[1\] is nan. 2 of 3 prices"),
        ({"first": np.nan}, "first is nan"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, words: str):
    with pytest.raises(InvalidModelError, match=words):
        models.american_put(**arguments)


def test_wrong_rules_are_refused():
    put = models.american_put(horizon=2)
    for call, words in (
        (lambda: put_averages.rule_policy(put, np.zeros((2, 3))), "coefficients has shape"),
        (lambda: put_averages.average_value(put, np.zeros((2, 30)), [1.0]), "cap is"),
        (lambda: put_averages.average_value(put, np.zeros((2, 30)), low=1.0, high=0.5), "low is"),
        (lambda: put_averages.optimal_average(put, pieces=0), "pieces is 0"),
        (lambda: put.with_probability(-0.1), "p0 is"),
    ):
        with pytest.raises(InvalidModelError, match=words):
            call()


def test_mutants_are_caught():
    held = "(1 - self.p0) * V[fall] + self.p0 * V[rise]"
    swapped = mutant(american_puts, (held, "self.p0 * V[fall] + (1 - self.p0) * V[rise]"))
    assert abs(swapped.american_put(S0, p0=0.2).optimal()[0][0, 0] - 21.16) > 1
    wrong_strike = models.american_put(S0, p0=0.2, strike=1000.0).optimal()[0][0, 0]
    assert wrong_strike > 900  # what a strike equal to the number of trajectories does
    blind = mutant(put_averages, ("return np.append(inner, put.strike)", "return points[:0]"))
    put = models.american_put(p0=0.4, horizon=3)
    c = np.random.default_rng(0).normal(3.0, 2.0, (3, 30))
    assert abs(blind.average_value(put, c) - put_averages.average_value(put, c)) > 1e-3
