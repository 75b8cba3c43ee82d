"""Identification: exact without noise, consistent with it; only invariants are compared."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from mdplib import Ball, DynamicalLinearBandit, Polytope, models
from mdplib import system_identification as identification
from mdplib.bandit_simulation import simulate
from mdplib.errors import InvalidModelError
from mdplib.system_identification import (
    StateSpace,
    fit_closed_loop,
    fit_open_loop,
    ho_kalman,
    random_inputs,
)

new: Any = DynamicalLinearBandit  # takes lists too
EVERY = Polytope.budget(3, 1.5)


@pytest.fixture(autouse=True)
def one_thread():
    """Small factorisations are slower on several threads."""
    with threadpool_limits(1):
        yield


def outputs_of_three(u: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Simulate the three outputs of the advertising system with numpy."""
    bandit = models.dlb_advertising()
    C, D = OUTPUT_C, OUTPUT_D
    x, y = np.zeros(3), np.empty((len(u), 3))
    for t in range(len(u)):
        y[t] = C @ x + D @ u[t] + sigma * rng.normal(size=3)
        x = bandit.A @ x + bandit.B @ u[t] + sigma * rng.normal(size=3)
    return y


OUTPUT_C = np.array([[0.25, -0.14, 0.01], [-0.55, 0.20, -0.13], [-0.31, -0.10, -0.01]])
OUTPUT_D = np.array([[0.11, 0.10, 0.01], [0.01, 0.36, 0.01], [0.01, -0.05, 0.0]])


def invariants(system: StateSpace, bandit: DynamicalLinearBandit) -> tuple[float, float, float]:
    """Return the errors of the Markov parameters, of h, and of the eigenvalues."""
    refit = system.bandit(bandit.actions)
    markov = np.abs(refit.markov_parameters(40) - bandit.markov_parameters(40)).max()
    h = np.abs(refit.markov_parameter - bandit.markov_parameter).max()
    a, b = (np.sort_complex(np.linalg.eigvals(x)) for x in (refit.A, bandit.A))
    return float(markov), float(h), float(np.abs(a - b).max())


@pytest.mark.parametrize("kind", ["vertices", "binary", "gaussian"])
def test_round_trip_without_noise(kind: str):
    bandit = models.dlb_advertising(0.0)
    rng = np.random.default_rng(0)
    u = {
        "vertices": random_inputs(EVERY, 800, rng),
        "binary": rng.integers(0, 2, (800, 3)).astype(float),
        "gaussian": random_inputs(Ball(3, 1.0), 800, rng),
    }[kind]
    y = simulate(bandit, u, 0)
    for system in (
        fit_open_loop(u, y, 62, order=3, at_rest=True),
        fit_open_loop(u, y, 62, order=3),
        fit_closed_loop(u, y, 8, order=3),
    ):
        markov, h, eigenvalues = invariants(system, bandit)
        assert markov < 1e-8
        assert h < 1e-8
        assert eigenvalues < 1e-6
        assert system.singular_values[3] < 1e-6 * system.singular_values[0]
        assert system.residual.max() < 1e-8


def test_round_trip_from_a_state_that_is_not_zero_forgets_it():
    bandit = dataclasses.replace(models.dlb_advertising(0.0), x0=np.ones(3))
    u = random_inputs(EVERY, 800, np.random.default_rng(0))
    y = simulate(bandit, u, 0)
    assert invariants(fit_open_loop(u, y, 62, order=3), bandit)[1] < 1e-8
    assert invariants(fit_closed_loop(u, y, 8, order=3), bandit)[1] < 1e-8
    assert invariants(fit_open_loop(u, y, 62, order=3, at_rest=True), bandit)[1] > 1e-5


@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 3), (2, 1), (4, 2), (6, 3)])
def test_round_trip_of_random_systems(n: int, d: int):
    rng = np.random.default_rng(n)
    A = rng.normal(size=(n, n))
    A *= 0.5 / np.abs(np.linalg.eigvals(A)).max()
    bandit = new(A, rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d), np.eye(d))
    u = rng.normal(size=(800, d))
    y = simulate(bandit, u, 0)
    for system in (
        fit_open_loop(u, y, 45, order=n, at_rest=True),
        fit_closed_loop(u, y, 2 * n + 1, order=n),
    ):
        refit = system.bandit(bandit.actions)
        np.testing.assert_allclose(
            refit.markov_parameters(30), bandit.markov_parameters(30), atol=1e-6
        )
        np.testing.assert_allclose(refit.markov_parameter, bandit.markov_parameter, atol=1e-6)


def test_several_outputs_and_runs():
    rng = np.random.default_rng(1)
    bandit = models.dlb_advertising()
    u = random_inputs(EVERY, 800, rng).reshape(4, 200, 3)
    y = np.array([outputs_of_three(run, 0.0, rng) for run in u])
    for system in (
        fit_open_loop(u, y, 62, order=3, at_rest=True),
        fit_closed_loop(u, y, 5, order=3),
    ):
        truth = StateSpace(bandit.A, bandit.B, OUTPUT_C, OUTPUT_D, np.zeros(0), np.zeros(0))
        np.testing.assert_allclose(
            system.markov_parameters(30), truth.markov_parameters(30), atol=1e-8
        )
        refit = system.bandit(bandit.actions)
        np.testing.assert_allclose(refit.markov_parameter, bandit.markov_parameter, atol=1e-8)
        one = system.bandit(bandit.actions, weights=[1.0, 0.0, 0.0], output_noise=0.5)
        assert one.output_noise == 0.5
        np.testing.assert_allclose(one.theta, OUTPUT_D[0], atol=1e-8)


def test_noise_is_averaged_out():
    bandit = models.dlb_advertising(0.01)
    errors: dict[str, list[float]] = {"open": [], "closed": [], "predictor": []}
    for T in (1_500, 12_000):
        mean = np.zeros(3)
        for seed in range(3):
            u = random_inputs(EVERY, T, np.random.default_rng(seed))
            y = simulate(bandit, u, seed)
            fits = (
                fit_open_loop(u, y, 24, order=3, at_rest=True),
                fit_closed_loop(u, y, 8, order=3, ridge=1e-6),
                fit_closed_loop(u, y, 8, order=3, ridge=1e-6, realise_predictor=True),
            )
            for i, system in enumerate(fits):
                h = system.bandit(EVERY).markov_parameter
                mean[i] += np.linalg.norm(h - bandit.markov_parameter) / 3
        for name, value in zip(errors, mean, strict=True):
            errors[name].append(float(value))
    for name, (few, many) in errors.items():
        assert many < 0.7 * few, (name, few, many)
        assert many < 0.02, (name, few, many)


def test_feedback_needs_the_closed_loop():
    # actions that follow the last reward: the open loop takes noise for an effect
    bandit = new([[0.8]], [[0.5]], [1.0], [0.2], [[-1.0], [1.0]], 0.3, 0.0)
    T = 20_000
    z = np.random.default_rng(0).normal(size=(T, 2))
    x, u, y = 0.0, np.zeros((T, 1)), np.zeros(T)
    for t in range(T):
        u[t] = -0.7 * y[t - 1] + z[t, 1] if t else z[t, 1]
        y[t] = x + 0.2 * u[t, 0]
        x = 0.8 * x + 0.5 * u[t, 0] + 0.3 * z[t, 0]
    h = bandit.markov_parameter
    closed = fit_closed_loop(u, y, 5, order=1).bandit(bandit.actions).markov_parameter
    assert abs(closed - h) < 0.1 * abs(h)
    open_ = fit_open_loop(u, y, 40, order=1).bandit(bandit.actions).markov_parameter
    assert abs(open_ - h) > 3 * abs(closed - h)


def test_the_predictor_is_fed_the_direct_effect_too():
    # the mutant takes [F, B] for the predictor's input, without F D
    bandit = models.dlb_advertising(0.01)
    u = random_inputs(EVERY, 15_000, np.random.default_rng(0))
    y = simulate(bandit, u, 0)
    system = fit_closed_loop(u, y, 12, order=3, realise_predictor=True)
    right = np.linalg.norm(system.bandit(EVERY).markov_parameter - bandit.markov_parameter)

    def forgetful(phi: np.ndarray, psi: np.ndarray, order: int, residual: np.ndarray) -> StateSpace:
        direct = psi.copy()
        direct[0] = 0.0
        found = keep(phi, direct, order, residual)
        return StateSpace(found.A, found.B, found.C, psi[0], found.singular_values, residual)

    keep = identification._undo_feedback
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identification, "_undo_feedback", forgetful)
        mutant = fit_closed_loop(u, y, 12, order=3, realise_predictor=True)
    wrong = np.linalg.norm(mutant.bandit(EVERY).markov_parameter - bandit.markov_parameter)
    assert wrong > 5 * right


def test_ho_kalman_needs_the_right_shift():
    bandit = models.dlb_advertising()
    G = bandit.markov_parameters(20)[:, None, :]
    system = ho_kalman(G, order=3)
    np.testing.assert_allclose(system.markov_parameters(20), G, atol=1e-10)
    observability = np.concatenate(
        [system.C @ np.linalg.matrix_power(system.A, k) for k in range(10)]
    )
    gram = observability.T @ observability  # balanced
    np.testing.assert_allclose(gram, np.diag(system.singular_values[:3]), atol=1e-10)
    wrong = ho_kalman(np.roll(G, 1, axis=0), order=3)
    assert np.abs(wrong.markov_parameters(20) - G).max() > 1e-2


def test_lower_orders_are_the_best_of_their_size():
    bandit = models.dlb_advertising()
    G = bandit.markov_parameters(40)[:, None, :]
    errors = [np.abs(ho_kalman(G, order=n).markov_parameters(40) - G).max() for n in (1, 2, 3)]
    assert errors[2] < 1e-10 < errors[1]
    assert errors[1] <= 2.5 * ho_kalman(G, order=2).singular_values[2]


def test_fixed_budgets_do_not_excite_every_lag():
    bandit = models.dlb_advertising(0.0)
    u = random_inputs(bandit.actions, 1000, np.random.default_rng(0))
    y = simulate(bandit, u, 0)
    for call in (fit_open_loop, fit_closed_loop):
        with pytest.raises(InvalidModelError, match="do not excite every lag"):
            call(u, y, 10, order=3)
        with pytest.raises(InvalidModelError, match=r"do not excite every lag: .* rank 0"):
            call(0 * u, y, 10, order=3)
    assert fit_open_loop(u, y, 10, order=3, ridge=1e-9).A.shape == (3, 3)  # at the caller's risk


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"u": np.zeros((5, 3, 1, 1))}, "shape"),
        ({"y": np.zeros(99)}, "shape"),
        ({"y": np.full(100, np.nan)}, r"y\[0, 0, 0\] is nan"),
        ({"u": np.full((100, 3), np.inf)}, r"u\[0, 0, 0\] is inf"),
        ({"length": 0}, "length is 0"),
        ({"length": 2.5}, "length is 2.5"),
        ({"length": 200}, "too few rounds"),
        ({"length": 60}, "do not excite"),
        ({"length": 7, "order": 0}, "order is 0"),
        ({"length": 7, "order": 40}, "order is 40"),
        ({"ridge": -1.0}, "ridge is -1.0"),
    ],
)
def test_bad_data(change: dict[str, object], words: str):
    rng = np.random.default_rng(0)
    good = {"u": rng.normal(size=(100, 3)), "y": rng.normal(size=100), "length": 7, "order": 2}
    given = good | change
    u, y, length = given.pop("u"), given.pop("y"), given.pop("length")
    for call in (fit_open_loop, fit_closed_loop):
        with pytest.raises(InvalidModelError, match=words):
            call(u, y, length, **given)  # pyright: ignore[reportArgumentType]


def test_bad_markov_parameters():
    with pytest.raises(InvalidModelError, match="dimensions"):
        ho_kalman(np.zeros((5, 3)), order=1)
    with pytest.raises(InvalidModelError, match="is nan"):
        ho_kalman(np.full((5, 1, 1), np.nan), order=1)
    with pytest.raises(InvalidModelError, match="More of them allow"):
        ho_kalman(np.zeros((2, 1, 1)), order=1)
    with pytest.raises(InvalidModelError, match="has rank 0"):
        ho_kalman(np.zeros((9, 1, 1)), order=1)
    with pytest.raises(InvalidModelError, match="Ask for at most 1 states"):
        ho_kalman(0.5 ** np.arange(9.0).reshape(-1, 1, 1), order=2)
    system = ho_kalman(2.0 ** np.arange(9.0).reshape(-1, 1, 1), order=1)
    with pytest.raises(InvalidModelError, match="spectral radius"):
        system.bandit(Ball(1, 1.0))
    with pytest.raises(InvalidModelError, match="weights"):
        system.bandit(Ball(1, 1.0), weights=[1.0, 2.0])
    assert repr(system) == "StateSpace(1 inputs, 1 states, 1 outputs)"
