"""The dense arithmetic of bounds against the library's operators, closed forms and fractions."""

from fractions import Fraction

import numpy as np
import pytest

from bounds import Instance, Model, arithmetic
from bounds.arithmetic import (
    bellman,
    finite_optimal,
    finite_policy_value,
    greedy,
    optimal_value,
    policy_value,
    solve,
)
from bounds.azar2013 import hard_model
from bounds.model import exact_array
from bounds.plugin import draw, plugin_bound, q_error
from bounds.random_models import finite, policy, ragged
from mdplib import operators
from mdplib.errors import InvalidModelError, NotApplicableError, SolverError
from mdplib.tabular import TabularMDP


@pytest.fixture
def model() -> Model:
    return ragged(np.random.default_rng(1), n_states=5, gamma=0.875)


def test_operators_of_the_library_agree(model):
    mdp, V = model.to_mdp(), np.arange(5.0)
    np.testing.assert_allclose(bellman(model, V), operators.bellman(mdp, V), rtol=1e-14)
    pair = operators.greedy(mdp, V).pair.astype(np.intp)
    np.testing.assert_array_equal(np.flatnonzero(greedy(model, V)), pair)
    chosen = arithmetic.indicator(model, pair)
    np.testing.assert_allclose(
        policy_value(model, chosen),
        operators.evaluate_policy(mdp, operators.greedy(mdp, V)),
        rtol=1e-12,
    )


def test_model_survives_the_round_trip(model):
    again = Model.from_mdp(model.to_mdp())
    np.testing.assert_array_equal(again.P, model.P)
    np.testing.assert_array_equal(again.r, model.r)
    steps = ragged(np.random.default_rng(2), horizon=3)
    again = Model.from_mdp(steps.to_mdp())
    assert again.horizon == 3
    np.testing.assert_array_equal(again.r, steps.r)
    np.testing.assert_array_equal(again.last, steps.last)


def test_floats_and_fractions_agree(model):
    exact = model.exact()
    V = optimal_value(exact)
    assert all(isinstance(x, Fraction) for x in V)
    assert (bellman(exact, V) == V).all()
    np.testing.assert_allclose(optimal_value(model), V.astype(float), rtol=1e-13)


def test_finite_horizon_agrees_with_fractions_and_with_its_own_policy():
    for model in finite(np.random.default_rng(3), 4):
        V = finite_optimal(model)
        np.testing.assert_allclose(V, finite_optimal(model.exact()).astype(float), atol=1e-13)
        best = arithmetic.finite_greedy(model, V)
        np.testing.assert_allclose(finite_policy_value(model, best), V, atol=1e-13)
        worse = finite_policy_value(model, policy(np.random.default_rng(0), model))
        assert (worse <= V + 1e-13).all()


def test_rational_elimination_pivots():
    A = exact_array([[0.0, 2.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    x = solve(A, exact_array([5.0, 1.0, 3.0]))
    assert (A @ x == exact_array([5.0, 1.0, 3.0])).all()


@pytest.mark.parametrize("exact", [False, True])
def test_singular_systems_are_refused(exact):
    A = np.zeros((2, 2))
    with pytest.raises(SolverError, match="singular"):
        solve(exact_array(A) if exact else A, exact_array(np.ones(2)) if exact else np.ones(2))


def test_closed_form_of_the_hard_model():
    for gamma in (0.5, 0.9, 0.999):
        assert optimal_value(hard_model(gamma))[0] == pytest.approx(0.75 / (1 - gamma))


def test_error_of_the_hard_model_has_the_exact_binomial_law():
    """The sampled error against 1 / (1 - gamma k / n) - V, summed over the binomial law."""
    gamma, n = 0.5, 12
    model = hard_model(gamma)
    p, V = model.P[0, 0], optimal_value(model)[0]
    k = np.arange(n + 1)
    from math import comb

    law = np.array([comb(n, i) * p**i * (1 - p) ** (n - i) for i in k])
    error = np.abs(1 / (1 - gamma * k / n) - V)
    mean, square = float(law @ error), float(law @ error**2)
    rng = np.random.default_rng(8)
    start = Instance(model, {"n": n})
    sampled = np.array([q_error(draw(start, rng)) for _ in range(3000)])
    assert sampled.mean() == pytest.approx(mean, abs=4 * np.sqrt((square - mean**2) / 3000))
    assert set(np.round(sampled, 12)) <= set(np.round(error, 12))


@pytest.mark.parametrize(
    "arrays",
    [
        ([[1.0, 0.0]], [1.0], [0, 1]),
        ([[1.0]], [1.0, 2.0], [0, 1]),
        ([[1.0], [1.0]], [1.0, 2.0], [0, 1]),
        ([[1.0, 0.0]], [1.0], [0, 0, 1]),
    ],
)
def test_shapes_are_checked(arrays):
    with pytest.raises(InvalidModelError, match="need"):
        Model(arrays[0], arrays[1], arrays[2], 0.5)


def test_models_are_read_only(model):
    with pytest.raises(ValueError, match="read-only"):
        model.P[0, 0] = 0.5


def test_infinite_horizon_has_no_steps(model):
    with pytest.raises(NotApplicableError, match="finite"):
        _ = model.steps
    with pytest.raises(NotApplicableError, match="finite"):
        _ = model.last


def test_instances_survive_a_file(tmp_path, model):
    values = {"V": np.arange(5.0), "eps": 0.25, "n": 3, "other": model, "note": "text"}
    Instance(model, values, "a label").save(tmp_path / "x.npz")
    again = Instance.load(tmp_path / "x.npz")
    assert (again.label, again["eps"], again["n"], again["note"]) == ("a label", 0.25, 3, "text")
    np.testing.assert_array_equal(again["V"], values["V"])
    np.testing.assert_array_equal(again["other"].P, model.P)
    steps = Instance(ragged(np.random.default_rng(2), horizon=3))
    steps.save(tmp_path / "y.npz")
    assert Instance.load(tmp_path / "y.npz").model.horizon == 3


def test_instances_of_validated_models():
    mdp = TabularMDP.from_dense([[[1.0]]], [[1.0]], 0.5)
    instance = Instance.from_mdp(mdp, {"V": np.zeros(1)})
    assert instance.V_star.tolist() == [2.0]
    assert instance.label == mdp.fingerprint[:8]


def test_plugin_bound_is_the_formula():
    mdp = ragged(np.random.default_rng(5), gamma=0.75).to_mdp()
    beta = 3.0 * np.sqrt(np.log(2 * mdp.n_pairs / 0.1) / (2 * 500))
    assert plugin_bound(mdp, 3.0, 500, 0.1) == pytest.approx(2 * 0.75 * beta / 0.25**2)
    steps = ragged(np.random.default_rng(5), gamma=1.0, horizon=4).to_mdp()
    radius = np.sqrt(np.log(2 * steps.n_pairs * 4 / 0.1) / (2 * 500))
    spans = np.array([3.0, 2.0, 1.0, 0.5])
    expected = 2 * radius * (1 * 3 + 2 * 2 + 3 * 1 + 4 * 0.5)
    assert plugin_bound(steps, spans, 500, 0.1) == pytest.approx(expected)
    assert plugin_bound(steps, 2.0, 500, 0.1) == pytest.approx(2 * radius * 2 * 10)
