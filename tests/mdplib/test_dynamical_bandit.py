"""The system and its constants: published numbers, identities, invariances, and false claims."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdplib
from mdplib import Ball, DynamicalLinearBandit, FiniteArms, Polytope, models
from mdplib.bandit_constants import Constants, check_delta, check_rounds
from mdplib.bandit_simulation import Schedule, noise_block, simulate, totals
from mdplib.errors import InvalidModelError
from mdplib.power_growth import growth

new: Any = DynamicalLinearBandit  # takes lists too
SYNTHETIC, ADVERTISING = models.dlb_synthetic(), models.dlb_advertising()


def random_bandit(
    seed: int, n: int, d: int, rho: float, sigma: float = 0.1
) -> DynamicalLinearBandit:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= rho / max(1e-3, float(np.abs(np.linalg.eigvals(A)).max()))
    return new(
        A, rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d),
        rng.uniform(-1, 1, (5, d)), sigma, sigma, rng.normal(size=n),
    )  # fmt: skip


def published_radius(told: Constants, t: int, ridge: float, delta: float) -> float:
    """The radius of theorem 3.1, from the factors."""
    bias = told.c1 / math.sqrt(ridge) * math.log(math.e * (t + 1))
    volume = told.d / 2 * math.log(1 + t * told.U**2 / (told.d * ridge))
    return bias + told.c2 * math.sqrt(ridge) + math.sqrt(
        2 * told.s2 * (math.log(1 / delta) + volume)
    )  # fmt: skip


def epochs(rho: float, rounds: int) -> tuple[int, int]:
    """Number of epochs of 1 + floor(log m / log(1/rho)) rounds, and the length of the last."""
    played, m, H = 0, 0, 0
    power = 1.0
    exact = Fraction(rho).limit_denominator(1000)
    threshold = Fraction(1)
    while played < rounds:
        m += 1
        if abs(float(exact) - rho) < 1e-15:  # rho^-H <= m decides in fractions
            while threshold / exact <= m:
                threshold, H = threshold / exact, H + 1
        else:
            while power / rho <= m:
                power, H = power / rho, H + 1
        played += 1 + H
    return m, 1 + H


def test_synthetic_numbers():
    np.testing.assert_allclose(SYNTHETIC.markov_parameter, [0.5625, 0.5, 1 / 9], rtol=1e-15)
    J = SYNTHETIC.steady_reward(SYNTHETIC.actions.arms)  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_allclose(
        J, [0.361111, 0.555556, 0.392361, 0.78125, 0.618056, 0.8125], atol=5e-7
    )
    u, best = SYNTHETIC.best
    assert (u.tolist(), best) == ([1.0, 0.5, 0.0], 0.8125)
    assert 0.8125 - sorted(J)[-2] == pytest.approx(0.03125)
    assert SYNTHETIC.largest_gap == pytest.approx(0.8125 - 0.361111, abs=1e-6)
    myopic, _ = SYNTHETIC.actions.best(SYNTHETIC.theta)
    assert myopic.tolist() == [0.0, 1.0, 0.5]
    assert SYNTHETIC.steady_reward(myopic) == pytest.approx(0.5556, abs=5e-5)
    told = SYNTHETIC.constants()
    wanted = {
        "rho": 0.2, "Phi": 1.0, "U": 1.118034, "Omega": 1.004988, "Theta": 0.509902, "B": 0.45,
        "X": 1.397542, "c1": 2.276925, "c2": 1.075207, "sigma": 0.01, "start": 0.0,
    }  # fmt: skip
    for name, value in wanted.items():
        assert getattr(told, name) == pytest.approx(value, abs=5e-7), name
    assert told.s2 == pytest.approx(2.052083e-4, abs=5e-11)
    assert told.rho == 0.2
    assert told.Phi == 1.0


@pytest.mark.parametrize(
    ("ridge", "radii"),
    [(1.0, (5.0071, 19.1797, 34.9258)), (math.log(1e6), (5.1091, 8.9295, 13.1818))],
)
def test_synthetic_published_radius(ridge: float, radii: tuple[float, ...]):
    told = SYNTHETIC.constants()
    for t, radius in zip((1, 1000, 10**6), radii, strict=True):
        assert published_radius(told, t, ridge, 1e-6) == pytest.approx(radius, abs=5e-5)


def test_epochs_of_the_published_schedule():
    assert epochs(0.2, 10**6) == (137206, 8)
    assert epochs(ADVERTISING.constants().rho, 10**6) == (41212, 27)


def test_advertising_numbers():
    assert ADVERTISING.omega.tolist() == [-0.61, -0.04, -0.13]
    assert ADVERTISING.theta.tolist() == [0.13, 0.41, 0.02]
    eigenvalues = np.linalg.eigvals(ADVERTISING.A)
    real = eigenvalues[np.abs(eigenvalues.imag) < 1e-9].real
    pair = eigenvalues[eigenvalues.imag > 1e-9]
    assert real == pytest.approx(-0.0378, abs=5e-5)
    assert pair == pytest.approx(0.6139 + 0.2605j, abs=7e-5)
    radius = ADVERTISING.spectral_radius
    assert radius.lower == pytest.approx(0.666891, abs=5e-7)
    assert radius.upper - radius.lower < 1e-12
    Phi = ADVERTISING.phi()
    assert Phi.lower == pytest.approx(2.7812, abs=5e-5)
    assert Phi.upper == pytest.approx(2.7812, abs=5e-5)
    told = ADVERTISING.constants()
    assert np.linalg.norm(ADVERTISING.A, 2) == pytest.approx(0.9745, abs=5e-5)
    assert pytest.approx(0.385606, abs=5e-7) == told.B
    assert told.Omega == pytest.approx(0.62498, abs=5e-6)
    assert told.Theta == pytest.approx(0.430581, abs=5e-7)
    assert pytest.approx(3.356, abs=5e-4) == told.X
    assert told.reach == pytest.approx(
        3.599, abs=1e-3
    )  # above X: the published bound proves nothing
    assert np.linalg.norm(ADVERTISING.markov_parameter) == pytest.approx(0.275, abs=5e-4)


def test_the_published_states_are_sums_of_three_outputs():
    C = np.array([[0.25, -0.14, 0.01], [-0.55, 0.20, -0.13], [-0.31, -0.10, -0.01]])
    D = np.array([[0.11, 0.10, 0.01], [0.01, 0.36, 0.01], [0.01, -0.05, 0.0]])
    np.testing.assert_allclose(C.sum(axis=0), ADVERTISING.omega, atol=1e-15)
    np.testing.assert_allclose(D.sum(axis=0), ADVERTISING.theta, atol=1e-15)
    np.testing.assert_allclose(np.diag([1, 0, 0.1]).sum(axis=0), SYNTHETIC.omega)
    np.testing.assert_allclose(np.diag([0, 0.5, 0.1]).sum(axis=0), SYNTHETIC.theta)


@pytest.mark.parametrize("bandit", [SYNTHETIC, ADVERTISING])
def test_long_run_rewards_are_means_after_a_burn_in(bandit: DynamicalLinearBandit):
    told = bandit.constants()
    for u in bandit.actions.arms:  # pyright: ignore[reportAttributeAccessIssue]
        y = simulate(bandit, Schedule.constant(u, 400), 0, noise=False)
        distance = np.linalg.norm(bandit.x0 - bandit.steady_state(u))
        error = told.Omega * told.Phi * told.rho**200 * distance
        assert abs(y[200:].mean() - bandit.steady_reward(u)) <= error + 1e-14


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 5), st.floats(0.0, 0.95))
def test_h_is_the_sum_of_its_markov_parameters(seed: int, n: int, d: int, rho: float):
    bandit = random_bandit(seed, n, d, rho)
    rows = bandit.markov_parameters(900)
    scale = 1 + np.abs(rows).sum()
    assert np.abs(rows.sum(axis=0) - bandit.markov_parameter).max() < 1e-9 * scale
    u = np.zeros((12, d))
    u[0] = 1.0
    y = simulate(bandit, u, 0, noise=False, x=np.zeros(n))  # the response to one impulse
    np.testing.assert_allclose(y, rows[:12].sum(axis=1), atol=1e-9 * scale)


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 4), st.floats(0.0, 0.95))
def test_other_coordinates_change_nothing_that_is_seen(seed: int, n: int, d: int, rho: float):
    bandit = random_bandit(seed, n, d, rho)
    rng = np.random.default_rng(seed)
    T = np.linalg.qr(rng.normal(size=(n, n)))[0] @ np.diag(rng.uniform(0.5, 2, n))
    other = bandit.similar(T)
    np.testing.assert_allclose(
        other.markov_parameter, bandit.markov_parameter, atol=1e-8, rtol=1e-8
    )
    u = rng.uniform(-1, 1, (40, d))
    a, b = (simulate(x, u, 0, noise=False) for x in (bandit, other))
    np.testing.assert_allclose(a, b, atol=1e-8 * (1 + np.abs(a).max()))
    assert other.best[1] == pytest.approx(bandit.best[1], abs=1e-8)
    assert (other.x0 @ other.g) == pytest.approx(bandit.x0 @ bandit.g, abs=1e-6)


def test_phi_depends_on_the_coordinates():
    other = ADVERTISING.similar(np.diag([1.0, 5.0, 1.0]))
    assert abs(other.phi().upper - ADVERTISING.phi().upper) > 0.1
    assert other.constants().c2 != pytest.approx(ADVERTISING.constants().c2)
    with pytest.raises(InvalidModelError, match="singular"):
        ADVERTISING.similar(np.zeros((3, 3)))


@given(st.integers(0, 10**6), st.floats(0.1, 10.0))
def test_scaling_actions_against_h_keeps_the_rewards(seed: int, c: float):
    bandit = random_bandit(seed, 3, 2, 0.7)
    arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
    other = dataclasses.replace(
        bandit, B=bandit.B / c, theta=bandit.theta / c, actions=FiniteArms(arms * c)
    )
    assert other.best[1] == pytest.approx(bandit.best[1])
    np.testing.assert_allclose(other.markov_parameter * c, bandit.markov_parameter)


def transposeless(bandit: DynamicalLinearBandit) -> np.ndarray:
    """The mutant: h with (I - A)^{-1} in place of its transpose."""
    return bandit.theta + bandit.B.T @ np.linalg.solve(
        np.eye(bandit.n_states) - bandit.A, bandit.omega
    )


def test_h_without_the_transpose_is_caught():
    u = np.array([1.0, 0.5, 0.0])
    y = simulate(ADVERTISING, Schedule.constant(u, 300), 0, noise=False)[-1]
    assert y == pytest.approx(u @ ADVERTISING.markov_parameter, abs=1e-12)
    assert abs(y - u @ transposeless(ADVERTISING)) > 0.01


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.floats(0.0, 0.95))
def test_the_sizes_bound_what_they_should(seed: int, n: int, d: int, rho: float):
    bandit = random_bandit(seed, n, d, rho)
    told = bandit.constants()
    assert np.linalg.norm(bandit.markov_parameter) <= told.c2 * (1 + 1e-9)
    assert np.linalg.norm(bandit.g) <= told.G * (1 + 1e-9)
    rng = np.random.default_rng(seed)
    arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
    u = arms[rng.integers(0, 5, 60)]
    mean = totals(bandit, u, 0, checkpoints=np.arange(1, 61)).mean[0]
    assert np.linalg.norm(mean, axis=1).max() <= told.reach * (1 + 1e-9)


def test_the_bias_of_an_epoch_is_bounded_and_the_bound_is_not_vacuous():
    ratios = []
    for seed in range(20):
        n = 1 + seed % 4
        bandit = random_bandit(seed, n, 2, 0.2 + 0.7 * (seed % 7) / 7)
        bandit = dataclasses.replace(bandit, x0=np.zeros(n))
        told = bandit.constants(X=bandit.constants().reach)
        rng = np.random.default_rng(seed)
        arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
        H = rng.integers(0, 12, 40)
        k = rng.integers(0, 5, 40)
        ends = np.cumsum(H + 1)
        y = simulate(bandit, Schedule(arms[k], H + 1), 0, noise=False)[ends - 1]
        bias = np.abs(y - bandit.steady_reward(arms[k]))
        bound = told.c1 / told.U * told.rho**H
        assert (bias <= bound * (1 + 1e-9) + 1e-13).all()
        ratios.append((bias / bound).max())
    assert max(ratios) > 0.2


def test_certified_constants_are_those_of_the_formulas():
    told = ADVERTISING.constants()
    T, delta = 1000, 0.05
    wander = told.sigma * math.sqrt(2 * math.log(2 * T / delta) / (1 - told.rho**2))
    wanted = told.Omega * told.Phi * (2 * told.B * told.U / (1 - told.rho) + told.start + wander)
    assert told.bias(T, delta) == pytest.approx(wanted)
    wander = told.sigma * math.sqrt(2 * math.log(2 * (T + 1) / delta) / (1 - told.rho**2))
    G = told.Omega * told.Phi / (1 - told.rho)
    wanted = G * told.Phi * (told.B * told.U / (1 - told.rho) + wander)
    assert told.boundary(T, delta) == pytest.approx(wanted)
    assert pytest.approx(G) == told.G
    assert SYNTHETIC.constants().reach + 6 * 0.01 == pytest.approx(0.689, abs=5e-4)


def noisy_paths(bandit: DynamicalLinearBandit, u: np.ndarray, runs: int) -> np.ndarray:
    """Return the states (runs, T, n) in rounds 1 to T, by numpy alone."""
    T, n = len(u), bandit.n_states
    z = np.array([[noise_block(s, 1 + i, 0, T) for i in range(n)] for s in range(runs)])
    x = np.empty((runs, T, n))
    x[:, 0] = bandit.x0
    for t in range(T - 1):
        x[:, t + 1] = x[:, t] @ bandit.A.T + bandit.B @ u[t] + bandit.state_noise * z[:, :, t]
    return x


def test_probability_bounds_hold_and_the_mutant_without_noise_fails():
    bandit, T, runs = models.dlb_advertising(0.1), 300, 200
    told, delta = bandit.constants(), 0.05
    rng = np.random.default_rng(0)
    k = rng.integers(0, 6, T)
    u = bandit.actions.arms[k]  # pyright: ignore[reportAttributeAccessIssue]
    x = noisy_paths(bandit, u, runs)
    assert (np.abs(x @ bandit.g).max(axis=1) <= told.boundary(T, delta)).mean() >= 1 - delta
    assert (np.linalg.norm(x, axis=2).max(axis=1) <= told.state_bound(T, delta, 3)).mean() >= 0.95
    # the bias of an epoch of one round that begins in x
    bias = np.abs((x - bandit.steady_state(u)) @ bandit.omega).max(axis=1)
    assert (bias <= told.bias(T, delta)).mean() >= 1 - delta
    mean = simulate(bandit, u, 0, noise=False)
    still = np.abs(mean - u @ bandit.markov_parameter).max()
    assert (bias <= still).mean() < 0.05  # the largest bias without noise is no bound


FALSE = [
    ("rho_bar", {"rho_bar": 0.6}, r"rho = 0.6 is false: rho >= rho\(A\) fails, 0.6 < 0.66689"),
    ("phi_bar", {"phi_bar": 2.0}, r"Phi = 2 is false: Phi >= sup_k .* fails, 2 < 2.78121"),
    ("Theta", {"Theta": 0.4}, r"Theta >= \|\|theta\|\| fails, 0.4 < 0.43058"),
    ("Omega", {"Omega": 0.6}, r"Omega >= \|\|omega\|\| fails, 0.6 < 0.62497"),
    ("B", {"B": 0.3}, r"B >= \|\|B\|\|_2 fails, 0.3 < 0.385606"),
    ("U", {"U": 1.0}, r"U >= max \|\|u\|\| fails, 1 < 1.118033"),
    ("sigma", {"sigma": 0.001}, r"sigma >= the noise's deviation fails, 0.001 < 0.01"),
    ("X", {"X": 0.5}, r"X >= .* fails, 0.5 < 0.6458"),
]


@pytest.mark.parametrize(("name", "claim", "words"), FALSE, ids=[case[0] for case in FALSE])
def test_false_claims_are_found(name: str, claim: dict[str, Any], words: str):
    with pytest.raises(InvalidModelError, match=words):
        ADVERTISING.constants(**claim)
    told = ADVERTISING.constants(**claim, misspecified=True)
    found = ADVERTISING.violations(told)
    assert len(found) == 1
    with pytest.raises(InvalidModelError, match=words):
        ADVERTISING.check(told)


def test_several_false_claims_are_all_named():
    told = dataclasses.replace(ADVERTISING.constants(), rho=0.1, Omega=0.0, d=3)
    assert len(ADVERTISING.violations(told)) == 2
    assert ADVERTISING.violations(dataclasses.replace(told, d=2))[0].startswith("d = 2")
    assert ADVERTISING.violations(ADVERTISING.constants()) == ()
    # a Phi that is true for one radius is false for a smaller one
    loose = ADVERTISING.constants(0.9)
    assert loose.Phi < 2.0
    assert ADVERTISING.violations(dataclasses.replace(loose, rho=0.67))[0].startswith("Phi")


def test_a_start_that_is_left_out_is_found():
    bandit = dataclasses.replace(SYNTHETIC, x0=np.array([3.0, 0.0, 4.0]))
    told = bandit.constants(X=10.0)
    assert told.start == 5.0
    found = bandit.violations(dataclasses.replace(told, start=1.0, X=4.0))
    assert [sentence.split()[0] for sentence in found] == ["X", "start"]


def test_truths_in_other_orders_of_rounding_are_accepted():
    rho = float(np.abs(np.linalg.eigvals(ADVERTISING.A)).max())
    told = ADVERTISING.constants(rho, Omega=math.sqrt(0.61**2 + 0.04**2 + 0.13**2))
    assert told.Phi == pytest.approx(2.78121582, abs=1e-6)
    assert ADVERTISING.constants(0.8).Phi < told.Phi


def test_phi_that_cannot_be_bounded_is_an_error_that_says_what_to_do():
    A = np.array([[0.5, 1.0], [0.0, 0.5]])
    bandit = new(A, np.eye(2), [1.0, 0.0], [0.0, 0.0], np.eye(2))
    assert bandit.phi().upper == math.inf
    assert bandit.phi(0.4) == (math.inf, math.inf)
    with pytest.raises(InvalidModelError, match=r"Claim a larger rho_bar, such as 0\.55"):
        bandit.constants()
    assert bandit.constants(0.55).Phi == growth(A, 0.55).upper
    nilpotent = dataclasses.replace(bandit, A=np.array([[0.0, 1.0], [0.0, 0.0]]))
    assert nilpotent.spectral_radius == (0.0, 0.0)
    with pytest.raises(InvalidModelError, match="larger rho_bar"):
        nilpotent.constants()
    assert nilpotent.constants(0.5).Phi == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("n", "d", "rho"), [(1, 1, 0.0), (1, 1, 0.999), (16, 4, 0.999), (16, 1, 0.5)]
)
def test_edges_of_size_and_stability(n: int, d: int, rho: float):
    bandit = random_bandit(7, n, d, rho)
    told = bandit.constants()
    assert math.isfinite(told.c1)
    assert told.rho == pytest.approx(rho, abs=1e-6)
    assert bandit.violations(told) == ()
    y = simulate(bandit, Schedule.constant(np.ones(d), 50), 0)
    assert np.isfinite(y).all()


def test_a_system_without_memory():
    bandit = new(
        np.zeros((2, 2)), np.eye(2), [1.0, 2.0], [0.5, 0.5], FiniteArms(np.array([[1.0, 0.0]]))
    )
    assert bandit.constants().rho == 0
    assert bandit.constants().Phi == 1
    np.testing.assert_allclose(bandit.markov_parameter, bandit.theta + bandit.B.T @ bandit.omega)
    y = simulate(bandit, Schedule.constant([1.0, 0.0], 3), 0)
    assert y.tolist() == [0.5, 1.5, 1.5]  # one round late
    assert bandit.largest_gap == 0.0


def test_balls_and_polytopes():
    ball = dataclasses.replace(ADVERTISING, actions=Ball(3, 2.0))
    u, J = ball.best
    assert pytest.approx(2 * np.linalg.norm(ball.markov_parameter)) == J
    assert np.linalg.norm(u) == pytest.approx(2.0)
    assert ball.largest_gap == pytest.approx(2 * J)
    assert ball.constants().U == 2.0
    assert ball.violations(dataclasses.replace(ball.constants(), X=1e-3))
    full = models.dlb_advertising(greedy=False)
    assert isinstance(full.actions, Polytope)
    assert full.actions.vertices.shape == (10, 3)
    assert full.best[1] >= ADVERTISING.best[1]
    assert (
        full.largest_gap > ADVERTISING.largest_gap
    )  # h has a negative component: 0 is no longer worst


BAD = [
    ({"A": [[1.0]]}, r"spectral radius of A is at least 1; rho\(A\) < 1"),
    ({"A": [[-1.2]]}, "is at least 1.2"),
    ({"A": [[math.nan]]}, r"A\[0, 0\] is nan"),
    ({"A": [[0.5, 0.0]]}, "A has shape"),
    ({"B": [[1.0, 2.0], [0.0, 0.0]]}, "B has shape"),
    ({"B": np.zeros((1, 0))}, "B has shape"),
    ({"B": [[1.0, math.inf]]}, r"B\[0, 1\] is inf"),
    ({"omega": [1.0, 1.0]}, "omega has shape"),
    ({"theta": [1.0]}, "theta has shape"),
    ({"theta": [1.0, math.nan]}, r"theta\[1\] is nan"),
    ({"actions": [[1.0, 2.0, 3.0]]}, "the actions have 3 components, but theta has 2"),
    ({"actions": Ball(3, 1.0)}, "the actions have 3 components"),
    ({"actions": np.zeros((0, 2))}, "the action set is empty"),
    ({"actions": [[math.nan, 0.0]]}, "Actions must be finite"),
    ({"state_noise": -0.1}, "state_noise is -0.1"),
    ({"output_noise": math.inf}, "output_noise is inf"),
    ({"x0": [0.0, 0.0]}, "x0 has shape"),
    ({"x0": math.nan}, r"x0\[0\] is nan"),
]


@pytest.mark.parametrize(("change", "words"), BAD)
def test_bad_systems(change: dict[str, object], words: str):
    good = {
        "A": [[0.5]],
        "B": [[1.0, 2.0]],
        "omega": [1.0],
        "theta": [0.0, 1.0],
        "actions": np.eye(2),
    }
    new(**good)
    with pytest.raises(InvalidModelError, match=words):
        new(**(good | change))  # pyright: ignore[reportArgumentType]


def test_a_radius_that_cannot_be_told_from_one():
    A = np.diag([1.0] * 3) + np.triu(np.ones((3, 3)), 1)
    T = np.array([[1.0, 0.1, 0.3], [0.2, 1.0, 0.1], [0.3, 0.2, 1.0]])
    with pytest.raises(InvalidModelError, match="spectral radius of A"):
        new(T @ A @ np.linalg.inv(T), np.eye(3), np.ones(3), np.ones(3), np.eye(3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rho": 1.0}, "0 <= rho < 1"),
        ({"rho": -0.1}, "0 <= rho < 1"),
        ({"rho": math.nan}, "0 <= rho < 1"),
        ({"Phi": 0.99}, r"Phi >= \|\|A\^0\|\| = 1"),
        ({"Phi": math.inf}, "1 <= Phi < inf"),
        ({"Omega": -1.0}, "0 <= Omega < inf"),
        ({"X": math.inf}, "0 <= X < inf"),
        ({"sigma": "a"}, "sigma is 'a'; a number expected"),
        ({"d": 0}, "d is 0"),
        ({"d": 1.5}, "d is 1.5"),
    ],
)
def test_bad_constants(change: dict[str, object], words: str):
    with pytest.raises(InvalidModelError, match=words):
        dataclasses.replace(SYNTHETIC.constants(), **change)  # pyright: ignore[reportArgumentType]


def test_bad_rounds_and_failure_probabilities():
    told = SYNTHETIC.constants()
    for rounds in (0, -1, 0.5, math.nan, math.inf):
        for call in (told.bias, told.boundary, lambda T, x: told.state_bound(T, x, 3)):
            with pytest.raises(InvalidModelError, match=r"T is .*; an integer with T >= 1"):
                call(rounds, 0.1)  # pyright: ignore[reportArgumentType]
    for delta in (0.0, 1.0, -0.1, 2.0, math.nan):
        for call in (told.bias, told.boundary):
            with pytest.raises(InvalidModelError, match="0 < delta < 1"):
                call(10, delta)
    check_rounds(1)
    check_delta(0.5)
    for rho_bar in (1.0, 1.5, math.nan, -0.1):
        with pytest.raises(InvalidModelError):
            SYNTHETIC.constants(rho_bar)
    with pytest.raises(InvalidModelError, match="count"):
        SYNTHETIC.markov_parameters(0)


def test_systems_are_frozen_public_and_described():
    assert mdplib.DynamicalLinearBandit is DynamicalLinearBandit
    with pytest.raises(dataclasses.FrozenInstanceError):
        SYNTHETIC.state_noise = 1.0  # pyright: ignore[reportAttributeAccessIssue]
    for array in (SYNTHETIC.A, SYNTHETIC.x0, SYNTHETIC.g, SYNTHETIC.markov_parameter):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    assert "rho(A)=0.2" in repr(SYNTHETIC)
    assert SYNTHETIC.fingerprint == models.dlb_synthetic().fingerprint
    assert SYNTHETIC.fingerprint != models.dlb_synthetic(0.1).fingerprint
    others = Polytope(2.0 * Polytope.budget(3, 1.5, greedy=True).vertices)
    assert SYNTHETIC.fingerprint != dataclasses.replace(SYNTHETIC, actions=others).fingerprint
    with pytest.raises(InvalidModelError):
        models.dlb_synthetic(-1.0)
