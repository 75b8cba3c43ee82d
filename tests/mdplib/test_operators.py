"""Operators against exact rational arithmetic, and the rounding bound they promise."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    MarkovPolicy,
    StochasticPolicy,
    TabularMDP,
    operators,
)
from mdplib.testing import finite_horizon_mdps, random_mdp, tabular_mdps
from tests import oracles


def exact_q(mdp: TabularMDP, V: np.ndarray, h: int = 0) -> list[list[Fraction]]:
    """r + gamma P V in rationals, per state and action."""
    model = oracles.plain(mdp)
    after = [oracles.to_fmpq(x) for x in V.tolist()]
    return [
        [oracles.to_fraction(oracles.q(model, c, after)) for c in choices]
        for choices in model.choices[h]
    ]


def awkward(mdp: TabularMDP, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, 1.0], mdp.n_states) * 10.0 ** rng.uniform(-12, 12, mdp.n_states)


def check_step(mdp: TabularMDP, seed: int, h: int) -> None:
    V = awkward(mdp, seed)
    q = exact_q(mdp, V, h)
    bound = Fraction(operators.rounding(mdp, V))
    flat = [x for row in q for x in row]
    computed = operators.q_values(mdp, V, h).tolist()
    assert all(abs(Fraction(a) - x) <= bound for a, x in zip(computed, flat, strict=True))
    TV, pair = operators.backup(mdp, V, h)
    assert all(abs(Fraction(a) - max(row)) <= bound for a, row in zip(TV.tolist(), q, strict=True))
    ptr = mdp.layer(h).state_ptr
    for s, row in enumerate(q):  # each kernel rounds in its own order
        assert ptr[s] <= pair[s] < ptr[s + 1]
        assert row[pair[s] - ptr[s]] >= max(row) - 2 * bound
    greedy = operators.greedy(mdp, V, h)
    assert greedy.pair.tolist() == pair.tolist()
    chosen = operators.policy_backup(mdp, greedy, V, h=h)
    assert np.max(np.abs(chosen - TV)) <= 2.01 * float(bound)
    assert np.array_equal(operators.bellman(mdp, V, h), TV)


@given(tabular_mdps(max_actions=4), st.integers(0, 10**6))
def test_discounted(mdp: TabularMDP, seed: int):
    check_step(mdp, seed, 0)


@given(finite_horizon_mdps(), st.integers(0, 10**6))
def test_every_step_of_a_finite_horizon(mdp: TabularMDP, seed: int):
    for h in range(mdp.horizon or 0):
        check_step(mdp, seed, h)


def test_ties_go_to_the_lowest_pair():
    P = np.broadcast_to([0.5, 0.25, 0.25], (3, 4, 3))
    mdp = TabularMDP.from_dense(P, [[1.0, 2.0, 2.0, 0.0], [0.0] * 4, [-1.0, -3.0, -1.0, -1.0]], 0.5)
    assert operators.backup(mdp, [4.0, -8.0, 16.0])[1].tolist() == [1, 4, 8]


def test_rounding_bound_is_not_slack_by_much():
    """Some sum comes within a factor of 30 of the bound: a tenth of it would be wrong."""
    closest = 0.0
    for i in range(300):
        mdp = random_mdp(np.random.default_rng([0, i]), max_states=8)
        V = np.random.default_rng(i).uniform(-1, 1, mdp.n_states)
        bound = operators.rounding(mdp, V)
        flat = [x for row in exact_q(mdp, V) for x in row]
        for a, x in zip(operators.q_values(mdp, V).tolist(), flat, strict=True):
            closest = max(closest, float(abs(Fraction(a) - x)) / bound)
    assert 1 / 30 < closest <= 1


@given(tabular_mdps(gammas=(0.5, 0.9, 0.99)), st.integers(0, 10**6))
def test_value_of_a_policy(mdp: TabularMDP, seed: int):
    rng = np.random.default_rng(seed)
    sizes = np.diff(mdp.state_ptr)
    chosen = DeterministicPolicy.from_pairs(mdp, mdp.state_ptr[:-1] + rng.integers(sizes))
    scale = max(mdp.max_reward, 1e-300) / (1 - mdp.gamma) ** 2
    for policy in (chosen, StochasticPolicy.uniform(mdp)):
        exact = np.array(oracles.policy_value(mdp, policy), dtype=float)
        value = operators.evaluate_policy(mdp, policy)
        assert value == pytest.approx(exact, rel=0, abs=1e-13 * scale)
        # The fixed point: T_pi V = V; repeated sweeps contract towards it.
        swept = operators.policy_backup(mdp, policy, np.zeros(mdp.n_states), n=5)
        far = np.max(np.abs(exact)) if exact.size else 0.0
        assert np.max(np.abs(swept - exact)) <= mdp.gamma**5 * far * (1 + 1e-8) + 1e-13 * scale


@given(finite_horizon_mdps())
def test_value_of_a_policy_over_steps(mdp: TabularMDP):
    policy = StochasticPolicy.uniform(mdp)
    exact = np.array(oracles.policy_value(mdp, policy), dtype=float)
    scale = mdp.max_reward + float(np.abs(np.asarray(mdp.terminal)).max()) + 1e-300
    assert operators.evaluate_policy(mdp, policy) == pytest.approx(exact, abs=1e-13 * 5 * scale)
    steps = MarkovPolicy(tuple(policy for _ in range(mdp.horizon or 0)))
    assert operators.evaluate_policy(mdp, steps) == pytest.approx(exact, abs=1e-13 * 5 * scale)


def test_large_models_are_solved_by_sparse_factors():
    n = 400
    mdp = TabularMDP.from_function(
        lambda s, a: [(0.5, (s + 1) % n, 1.0), (0.5, (s + 7 * a) % n, -1.0 * a)], 2, n, 0.95
    )
    policy = StochasticPolicy.uniform(mdp)
    V = operators.evaluate_policy(mdp, policy)
    P, r = operators.policy_model(mdp, policy)
    dense = np.linalg.solve(np.eye(n) - 0.95 * P.toarray(), r)
    assert np.max(np.abs(V - dense)) < 1e-11


def test_policy_model_is_the_average():
    mdp = random_mdp(np.random.default_rng(1), max_states=5)
    P, r = mdp.to_dense()
    policy = StochasticPolicy.uniform(mdp)
    weight = np.zeros(r.shape)
    for s in range(mdp.n_states):
        actions, w = policy.probs(s)
        weight[s, actions] = w
    chain, reward = operators.policy_model(mdp, policy)
    assert chain.toarray() == pytest.approx(np.einsum("sa,sat->st", weight, P), abs=1e-15)
    expected = (weight * np.where(np.isfinite(r), r, 0)).sum(1)
    assert reward == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_gauss_seidel_uses_new_values_at_once(reverse: bool):
    for i in range(30):
        mdp = random_mdp(np.random.default_rng([2, i]), max_states=6)
        V = np.random.default_rng(i).normal(size=mdp.n_states)
        expected, changes = V.copy(), []
        order = range(mdp.n_states)[::-1] if reverse else range(mdp.n_states)
        for s in order:
            own = slice(mdp.state_ptr[s], mdp.state_ptr[s + 1])
            elsewhere = np.where(np.arange(mdp.n_states) == s, 0.0, expected)
            stay = mdp.to_sparse()[0].toarray()[own, s]  # a self-loop is solved for
            q = operators.q_values(mdp, elsewhere)[own] / (1 - mdp.gamma * stay)
            new = float(np.max(q))
            changes.append(new - expected[s])
            expected[s] = new
        close = 1e-13 * (1 + mdp.max_reward) / (1 - mdp.gamma) ** 2
        low, high = operators.gauss_seidel(mdp, V, reverse)
        assert max(abs(low - min(changes)), abs(high - max(changes))) <= close
        assert np.max(np.abs(V - expected)) <= close


def test_residual():
    mdp = TabularMDP.from_dense([[[1.0, 0.0]], [[0.0, 1.0]]], [[1.0], [-1.0]], 0.5)
    assert operators.residual(mdp, [4.0, 0.0]) == (-1.0, -1.0)
    assert operators.residual(mdp, [0.0, 4.0]) == (-3.0, 1.0)


def test_arguments_are_left_alone():
    mdp = random_mdp(np.random.default_rng(3), max_states=4)
    V = np.ones(mdp.n_states)
    operators.backup(mdp, V)
    operators.policy_backup(mdp, operators.greedy(mdp, V), V, n=3)
    assert V.tolist() == [1.0] * mdp.n_states
    assert V.flags.writeable


# ------------------------------------------------------------------------ refusals

TWO = TabularMDP.from_dense(np.eye(2)[:, None].repeat(2, 1), np.zeros((2, 2)), 0.5)
STACKED = TabularMDP.from_layers([TWO, TWO])


@pytest.mark.parametrize(
    ("V", "message"),
    [
        ([0.0], r"V has shape \(1,\); \(2,\) expected"),
        ([[0.0, 0.0]], r"V has shape \(1, 2\)"),
        (["a", "b"], "V is not an array of numbers"),
        ([[0.0], [0.0, 1.0]], "V is not an array of numbers"),
    ],
)
def test_bad_vectors(V: Any, message: str):
    for function in (operators.backup, operators.q_values, operators.residual):
        with pytest.raises(InvalidModelError, match=message):
            function(TWO, V)


@pytest.mark.parametrize(
    "V",
    [
        np.zeros(1),
        np.zeros(3),
        np.zeros(2, dtype=int),
        np.zeros(2, dtype=np.float32),
        np.zeros(4)[::2],
        np.broadcast_to(0.0, 2),
    ],
)
def test_gauss_seidel_needs_a_vector_it_can_overwrite(V: np.ndarray):
    with pytest.raises(InvalidModelError, match="a writable contiguous float64 array"):
        operators.gauss_seidel(TWO, V)


@pytest.mark.parametrize("pair", [[100_000, 2], [-1, 2], [2, 0], [0, 4], [0]])
def test_pairs_outside_the_model_never_reach_a_kernel(pair: list[int]):
    policy = DeterministicPolicy(np.array(pair), np.zeros(len(pair), dtype=int))
    message = r"does not belong to state|pair has shape"
    with pytest.raises(InvalidModelError, match=message):
        operators.policy_backup(TWO, policy, np.zeros(2))
    with pytest.raises(InvalidModelError, match=message):
        operators.policy_model(TWO, policy)


def test_a_policy_for_another_step_or_model():
    first = operators.greedy(STACKED, np.zeros(2), 0)
    with pytest.raises(InvalidModelError, match="pair 0 does not belong to state 0"):
        operators.policy_backup(STACKED, first, np.zeros(2), h=1)
    with pytest.raises(InvalidModelError, match="belongs to another model"):
        operators.policy_backup(TWO, StochasticPolicy.uniform(STACKED), np.zeros(2))
    with pytest.raises(InvalidModelError, match="the model has no horizon"):
        operators.evaluate_policy(TWO, MarkovPolicy((operators.greedy(TWO, np.zeros(2)),)))
    with pytest.raises(InvalidModelError, match=r"step 1 is outside the horizon 0..0"):
        operators.evaluate_policy(STACKED, MarkovPolicy((first,)))
    for h in (-1, 2):
        with pytest.raises(InvalidModelError, match=rf"step {h} is outside the horizon 0..1"):
            operators.backup(STACKED, np.zeros(2), h)
