"""Policies: probabilities, draws, weights, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    MarkovPolicy,
    StochasticPolicy,
    TabularMDP,
)


@pytest.fixture
def mdp() -> TabularMDP:
    """Three states with 2, 1 and 3 actions; identifiers with gaps."""
    return TabularMDP.from_sparse(
        np.eye(3)[[0, 1, 2, 0, 1, 2]], np.arange(6.0), [0, 0, 1, 2, 2, 2], [0, 4, 2, 0, 1, 4], 0.5
    )


@pytest.fixture
def stacked(mdp: TabularMDP) -> TabularMDP:
    """Two steps; in the second, every state has one action."""
    other = TabularMDP.from_dense(np.eye(3)[:, None], np.zeros((3, 1)), 0.5)
    return TabularMDP.from_layers([mdp, other])


WEIGHT = [0.25, 0.75, 1.0, 0.0, 0.5, 0.5]


def test_deterministic(mdp: TabularMDP):
    policy = DeterministicPolicy.from_actions(mdp, [4, 2, 1])
    assert policy.pair.tolist() == [1, 2, 4]
    again = DeterministicPolicy.from_pairs(mdp, [1, 2, 4])
    assert again.action.tolist() == [4, 2, 1]
    rng = np.random.default_rng(0)
    assert policy.act([2, 0], rng).tolist() == [1, 4]
    assert policy.pairs([2, 0], rng).tolist() == [4, 1]
    assert [x.tolist() for x in policy.probs(2)] == [[1], [1.0]]
    assert policy.weights(mdp).tolist() == [0, 1, 1, 0, 1, 0]
    assert "action=[4 2 1]" in repr(policy)


def test_deterministic_at_a_step(stacked: TabularMDP):
    assert DeterministicPolicy.from_actions(stacked, [0, 0, 0], h=1).pair.tolist() == [6, 7, 8]
    with pytest.raises(InvalidModelError, match="pair 0 does not belong to state 0"):
        DeterministicPolicy.from_pairs(stacked, [0, 2, 3], h=1)


@pytest.mark.parametrize(
    ("build", "given", "message"),
    [
        (
            "from_actions",
            [4, 0, 1],
            "action 0 is not admissible in state 1. 1 of 3 states .* lists",
        ),
        ("from_actions", [4, 2], r"action has shape \(2,\); \(3,\) expected"),
        ("from_actions", [4.0, 2.0, 1.0], "action has dtype float64"),
        ("from_actions", [True, True, True], "action has dtype bool"),
        ("from_pairs", [2, 1, 4], "pair 2 does not belong to state 0. 2 of 3 states"),
        ("from_pairs", [0, 2, 6], "pair 6 does not belong to state 2"),
        ("from_pairs", [-1, 2, 3], "pair -1 does not belong to state 0"),
        ("from_pairs", [0], r"pair has shape \(1,\)"),
    ],
)
def test_deterministic_refusals(mdp: TabularMDP, build: str, given: Any, message: str):
    with pytest.raises(InvalidModelError, match=message):
        getattr(DeterministicPolicy, build)(mdp, given)


def test_deterministic_shapes_must_agree():
    with pytest.raises(InvalidModelError, match=r"pair has shape \(2,\) and action \(1,\)"):
        DeterministicPolicy(np.array([0, 1]), np.array([0]))


def test_stochastic(mdp: TabularMDP):
    policy = StochasticPolicy.from_weights(mdp, WEIGHT)
    assert [x.tolist() for x in policy.probs(0)] == [[0, 4], [0.25, 0.75]]
    assert policy.weights(mdp).tolist() == WEIGHT
    assert repr(policy) == "StochasticPolicy(6 pairs on 3 states)"
    uniform = StochasticPolicy.uniform(mdp)
    assert uniform.weight.tolist() == [0.5, 0.5, 1.0, 1 / 3, 1 / 3, 1 / 3]


def test_stochastic_draws_follow_the_law(mdp: TabularMDP):
    policy = StochasticPolicy.from_weights(mdp, WEIGHT)
    rng, n = np.random.default_rng(1), 20_000
    for s in range(3):
        drawn = policy.pairs(np.full(n, s), rng)
        share = np.bincount(drawn, minlength=6) / n
        inside = np.repeat([0, 1, 2], [2, 1, 3]) == s
        assert np.all(share[~inside] == 0)
        assert share[inside] == pytest.approx(np.array(WEIGHT)[inside], abs=0.02)
    assert set(policy.act(np.full(50, 2), rng).tolist()) == {1, 4}
    assert policy.act([[0, 1], [2, 2]], rng).shape == (2, 2)
    assert policy.pairs(1, rng).tolist() == [2]
    for s in ([3], [-1], [0, 99]):
        with pytest.raises(InvalidModelError, match=r"a state is outside 0..2"):
            policy.pairs(s, rng)


class _Highest(np.random.Generator):
    """A generator whose uniform draws are the largest float below one."""

    def random(self, size: Any = None, *args: Any, **kwargs: Any) -> Any:
        return np.full(size, np.nextafter(1.0, 0.0))


def test_a_pair_of_weight_zero_is_never_drawn():
    """Not even where rounding lifts the largest draw to the end of the row."""
    S, A = 1000, 3
    mdp = TabularMDP.from_dense(
        np.broadcast_to(np.eye(S)[:, None], (S, A, S)), np.zeros((S, A)), 0.5
    )
    policy = StochasticPolicy.from_weights(mdp, np.tile([0.9, 0.1, 0.0], S))
    drawn = policy.pairs(np.arange(S), _Highest(np.random.PCG64(0)))
    assert np.all(policy.weight[drawn] > 0)
    assert np.all(mdp.pair_state[drawn] == np.arange(S))


def test_stochastic_on_stacked_kernels_uses_its_step(stacked: TabularMDP):
    weight = [0.25, 0.75, 1.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.0]
    policy = StochasticPolicy.from_weights(stacked, weight)
    assert policy.probs(0, 0)[0].tolist() == [0, 4]
    assert policy.probs(0, 1)[0].tolist() == [0]
    rng = np.random.default_rng(2)
    assert policy.pairs([0, 2], rng, h=1).tolist() == [6, 8]
    assert policy.act([0, 2], rng, h=1).tolist() == [0, 0]
    with pytest.raises(InvalidModelError, match=r"step 2 is outside the horizon 0..1"):
        policy.probs(0, 2)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([0.25, 0.7, 1.0, 0.0, 0.5, 0.4], "the weights of state 0 sum to 0.95. 2 of 3 .* Divide"),
        ([-0.25, 1.25, 1.0, 0.0, 0.5, 0.5], r"weight\[0\] is -0.25. 1 of 6"),
        ([0.25, 0.75, np.nan, 0.0, 0.5, 0.5], r"weight\[2\] is nan"),
        ([1e308, 1.7e308, 1.0, 0.0, 0.5, 0.5], "sum to inf"),
        ([1.0], r"weight has shape \(1,\); \(6,\), one per pair, expected"),
        (["1"] * 6, "weight has dtype <U1"),
    ],
)
def test_stochastic_refusals(mdp: TabularMDP, weight: Any, message: str):
    with pytest.raises(InvalidModelError, match=message):
        StochasticPolicy.from_weights(mdp, weight)


def test_stochastic_of_inconsistent_arrays():
    half, ids = np.array([0.5, 0.5]), np.array([0, 1])
    assert StochasticPolicy([0.5, 0.5], [0, 2], [0, 1]).weight.size == 2  # type: ignore[arg-type]
    for ptr, message in (
        ([0, 1], "state_ptr runs from 0 to 1; it must run from 0 to 2"),
        ([0, 2, 2], "state_ptr gives nothing to row 1. 1 of 2 rows"),
    ):
        with pytest.raises(InvalidModelError, match=message):
            StochasticPolicy(half, np.array(ptr), ids)
    with pytest.raises(InvalidModelError, match="no multiple of n_states = 2"):
        StochasticPolicy(half, np.array([0, 2]), ids, n_states=2)


def test_weights_belong_to_one_model(mdp: TabularMDP, stacked: TabularMDP):
    with pytest.raises(
        InvalidModelError, match="has 6 pairs and the model 9; it belongs to another"
    ):
        StochasticPolicy.uniform(mdp).weights(stacked)


def test_markov(stacked: TabularMDP):
    steps = (
        DeterministicPolicy.from_actions(stacked, [4, 2, 1], h=0),
        StochasticPolicy.uniform(stacked),
    )
    policy = MarkovPolicy(steps)
    rng = np.random.default_rng(3)
    assert policy.at(0) is steps[0]
    assert policy.probs(0, 0)[0].tolist() == [4]
    assert policy.probs(0, 1)[0].tolist() == [0]
    assert policy.act([0, 1], rng, h=0).tolist() == [4, 2]
    assert policy.pairs([0, 1], rng, h=1).tolist() == [6, 7]
    assert policy.weights(stacked, 0).tolist() == [0, 1, 1, 0, 1, 0, 0, 0, 0]
    assert repr(policy) == "MarkovPolicy(2 steps)"
    for h in (-1, 2):
        with pytest.raises(InvalidModelError, match=f"step {h} is outside the horizon 0..1"):
            policy.act([0], rng, h=h)


def test_arrays_are_read_only(mdp: TabularMDP):
    policy = StochasticPolicy.uniform(mdp)
    for array in (policy.weight, policy.state_ptr, policy.action_id):
        assert not array.flags.writeable
    assert not DeterministicPolicy.from_pairs(mdp, [0, 2, 3]).pair.flags.writeable
