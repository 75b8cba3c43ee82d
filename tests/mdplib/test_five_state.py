"""The five-state model, random simplex models and the hard pair against closed forms."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from mdplib import InvalidModelError, models
from mdplib.divergences import distance
from mdplib.models import five_states, simplex_models
from mdplib.policy import DeterministicPolicy, MarkovPolicy
from mdplib.robust import RobustDual
from tests.mutation import mutant

NORMS = (0.1, 0.2, 0.3)


def signs() -> list[tuple[int, ...]]:
    return list(itertools.product((-1, 1), repeat=4))


def plays(mdp: Any, first: int) -> MarkovPolicy:
    """Return the policy that plays one action at the first step and the best ones later."""
    best = mdp.optimal()[1].steps
    action = np.full(5, first, dtype=np.int32)
    pair = (16 * np.arange(5) + first).astype(np.int32)
    return MarkovPolicy((DeterministicPolicy(pair, action), *best[1:]))


@pytest.mark.parametrize("xi_norm", NORMS)
def test_every_number_of_the_model(xi_norm: float):
    mdp, p = models.five_state(xi_norm), 0.001
    for index, a in enumerate(signs()):
        u = 0.3 + sum(xi_norm / 4 * x for x in a)
        laws = [
            [0, (1 - u) * (1 - p), 0, (1 - u) * p, u],
            [0, 0, (1 - u) * (1 - p), (1 - u) * p, u],
            [0, 0, 0, 1 - u, u],
            [0, 0, 0, 1, 0],
            [0, 0, 0, 0, 1],
        ]
        for h in range(3):
            assert mdp.kernel(h)[index::16] == pytest.approx(np.array(laws), abs=1e-15)
            paid = [u, u, u, 0, 1] if h else [0, 0, 0, 0, 0]
            assert mdp.reward[h, index::16] == pytest.approx(paid, abs=1e-15)
    assert mdp.rewards_in_unit_interval
    assert mdp.action_labels is not None
    assert mdp.action_labels[1] == "---+"


@pytest.mark.parametrize(("xi_norm", "V1", "V2"), [(0.2, 1.62425, 1.24975), (0.3, None, 1.43976)])
def test_reference_values(xi_norm: float, V1: float | None, V2: float):
    V = models.five_state(xi_norm).optimal()[0]
    assert V[1, 1] == pytest.approx(V2, abs=1e-12)
    assert five_states.continuation(xi_norm) == pytest.approx(V2, abs=1e-12)
    m = 0.3 + xi_norm
    assert V[0, 0] == pytest.approx(0.999 * (1 - m) * V2 + 2 * m, abs=1e-12)
    if V1 is not None:
        assert V[0, 0] == pytest.approx(V1, abs=2e-7)


@pytest.mark.parametrize("xi_norm", NORMS)
@pytest.mark.parametrize("q", [0.0, 0.3, 0.37, 0.38, 0.9, 1.0])
def test_returns_in_the_target_environment(xi_norm: float, q: float):
    target = models.five_state(xi_norm, q=q)
    nominal = models.five_state(xi_norm)
    u = five_states.success(xi_norm)
    returns = []
    for first in range(16):
        closed = five_states.target_return(u[first], q, xi_norm=xi_norm)
        returns.append(target.evaluate(plays(nominal, first))[0, 0])
        assert returns[-1] == pytest.approx(closed, abs=1e-12)
    flipped = q > five_states.flip(xi_norm)
    assert returns[0 if flipped else 15] == max(returns)
    assert target.optimal()[0][0, 0] == pytest.approx(max(returns), abs=1e-12)


def test_the_flip():
    assert five_states.flip(0.2) == pytest.approx(0.375125, abs=1e-12)
    for xi_norm in NORMS:
        q0 = five_states.flip(xi_norm)
        low, high = (five_states.target_return(u, q0, xi_norm=xi_norm) for u in (0.1, 0.4))
        assert low == pytest.approx(high, abs=1e-12)
        for q, action in ((q0 - 1e-6, 15), (q0 + 1e-6, 0)):
            policy = models.five_state(xi_norm, q=q).optimal()[1]
            assert policy.probs(0, 0)[0].tolist() == [action]


def test_only_total_variation_can_describe_the_perturbation():
    nominal, target = models.five_state().mu, models.five_state(q=0.4).mu
    assert distance("tv", target[0, 3], nominal[0, 3]) == pytest.approx(0.4)
    assert distance("kl", target[0, 3], nominal[0, 3]) == np.inf
    assert distance("chi2", target[0, 3], nominal[0, 3]) == np.inf
    assert np.array_equal(target[1:], nominal[1:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"xi_norm": 0.4}, "run from -0.1 to 0.7"),
        ({"delta": 0.9}, "run from 0.7 to 1.1"),
        ({"p": -0.1}, "p is -0.1"),
        ({"q": 1.5}, "q is 1.5"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, words: str):
    with pytest.raises(InvalidModelError, match=words):
        models.five_state(**arguments)


def test_mutants_of_the_five_state_model_are_caught():
    slip = mutant(five_states, ("mu[0, 3] = [0, 0, 0, q, 1 - q]", "mu[0, 3] = [0, 0, 0, 1 - q, q]"))
    wrong = slip.five_state(q=0.9).evaluate(plays(models.five_state(), 0))[0, 0]
    assert abs(wrong - five_states.target_return(0.1, 0.9)) > 1e-2


# ------------------------------------------------------------------ random models


def test_random_models_have_a_fail_state():
    mdp = models.random_simplex_mdp(rng=np.random.default_rng(0))
    assert (mdp.n_states, mdp.n_pairs, mdp.dimension, mdp.horizon) == (8, 32, 5, 4)
    fail = slice(28, 32)
    for h in range(4):
        assert mdp.kernel(h)[fail, 7].tolist() == [1.0] * 4
        assert not mdp.reward[h, fail].any()
    assert mdp.initial is not None
    assert mdp.initial.tolist() == [1 / 7] * 7 + [0.0]
    assert mdp.rewards_in_unit_interval
    assert not mdp.stationary
    assert mdp == models.random_simplex_mdp(rng=np.random.default_rng(0))
    assert mdp != models.random_simplex_mdp(rng=np.random.default_rng(1))


def test_features_of_random_models_are_dirichlet():
    phi = models.random_simplex_mdp(2001, 2, 5, 1, np.random.default_rng(0)).features.phi[:4000]
    # Dirichlet(1, ..., 1) on 5 coordinates: mean 1/5, variance 4/150; 4000 independent rows
    assert np.abs(phi.mean(axis=0) - 0.2).max() < 5 * np.sqrt(4 / 150 / 4000)
    assert phi.var(axis=0) == pytest.approx(np.full(5, 4 / 150), rel=0.15)
    sharp = models.random_simplex_mdp(
        50, 2, 5, 1, np.random.default_rng(0), concentration=0.01
    ).features.phi
    assert np.median(sharp.max(axis=1)) > 0.95


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "rng is missing"),
        ({"S": 1, "rng": np.random.default_rng(0)}, "S is 1"),
        ({"d": 1, "rng": np.random.default_rng(0)}, "d is 1"),
        ({"concentration": 0.0, "rng": np.random.default_rng(0)}, "concentration is 0.0"),
    ],
)
def test_wrong_sizes_are_refused(arguments: Any, words: str):
    with pytest.raises(InvalidModelError, match=words):
        models.random_simplex_mdp(**arguments)


# ---------------------------------------------------------------------- hard pair


@pytest.mark.parametrize("eps", [0.0, 0.25])
def test_losses_of_the_hard_pair(eps: float):
    rng = np.random.default_rng(0)
    bits, gap = rng.integers(0, 2, (3, 2)), 0.2
    mdp = models.hard_pair(bits, eps=eps, gap=gap)
    V, best = mdp.optimal()
    alive = (1 - eps) ** np.arange(3)
    assert V[0, 0] == pytest.approx((0.5 + gap / 2) * alive.sum(), abs=1e-12)
    assert V[0, 1] == 0.0
    for h in range(3):
        assert best.probs(0, h)[0][0] == 2 * bits[h, 0] + bits[h, 1]
    for choice in itertools.product(range(4), repeat=3):
        pairs = [np.array([a, 4], np.int32) for a in choice]
        policy = MarkovPolicy(
            tuple(DeterministicPolicy(k, np.array([k[0], 0], np.int32)) for k in pairs)
        )
        played = np.array([[a >> 1, a & 1] for a in choice])
        loss = gap * float(alive @ (played != bits).mean(axis=1))
        assert mdp.evaluate(policy)[0, 0] == pytest.approx(V[0, 0] - loss, abs=1e-12)


@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
@pytest.mark.parametrize("strength", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("eps", [0.05, 0.4])
def test_the_tilted_exit_is_the_adversarys_choice(divergence: Any, strength: float, eps: float):
    v = 1.7
    q = np.linspace(0, 1, 200_001)
    law = np.stack([q, 1 - q], axis=1)
    cost = (1 - q) * v + strength * distance(divergence, law, np.array([eps, 1 - eps]))
    found = simplex_models.tilted_exit(divergence, eps, v, strength)
    assert found == pytest.approx(q[np.argmin(cost)], abs=6e-6)
    dual = RobustDual(divergence, strength=strength)
    chosen = dual.minimiser(np.array([eps, 1 - eps]), np.array([0.0, v]))
    assert chosen[0] == pytest.approx(found, abs=1e-12)


def test_the_perturbed_hard_pair():
    mdp = models.hard_pair([[0, 1], [1, 1]], eps=0.1, stay=0.6)
    assert mdp.kernel(0)[0].tolist() == [0.6, 0.4]
    assert mdp.kernel(0)[4].tolist() == [0.0, 1.0]
    for bits in ([0, 1], [[0, 2]], np.zeros((2, 13), int), np.zeros((0, 2), int)):
        with pytest.raises(InvalidModelError, match="bits has"):
            models.hard_pair(bits)
    with pytest.raises(InvalidModelError, match="strength is 0"):
        simplex_models.tilted_exit("tv", 0.1, 1.0, 0.0)
