"""Features and linear models against enumeration, dense arithmetic and convex programs."""

from __future__ import annotations

import copy
import itertools
import pickle
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

import mdplib.features
import mdplib.linear
import mdplib.linear_fitting
import mdplib.linear_lift
from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    MarkovPolicy,
    StochasticPolicy,
    TabularMDP,
    models,
    operators,
)
from mdplib.io.npz import save_npz
from mdplib.linear import Features, LinearMDP
from mdplib.linear_fitting import fit_factors, nearest_factors, project
from mdplib.linear_lift import lift_policy
from tests.mutation import mutant

build: Any = Features  # takes lists as well


def small(seed: int = 0, H: int = 2) -> LinearMDP:
    """Return a random ragged model: 3 states with 2, 1 and 3 actions, d = 3."""
    rng = np.random.default_rng(seed)
    features = build([0, 2, 3, 6], rng.dirichlet(np.ones(3), 6), [0, 4, 1, 0, 2, 3])
    mu = rng.dirichlet(np.ones(3), (H, 3))
    return LinearMDP(features, rng.normal(size=(H, 6)), mu, initial=rng.dirichlet(np.ones(3)))


def ending(seed: int = 0) -> LinearMDP:
    """Return a random model in which the last pair of every state ends the episode."""
    rng = np.random.default_rng(seed)
    phi = rng.dirichlet(np.ones(2), (3, 2))
    ends = np.zeros((3, 2), dtype=bool)
    ends[:, 1] = True
    phi[ends] = 0.0
    features = Features.from_dense(phi, ends=ends)
    mu = rng.dirichlet(np.ones(3), (4, 2))
    return LinearMDP(features, rng.random((4, 6)), mu, initial=np.full(3, 1 / 3))


def random_policy(mdp: LinearMDP, rng: np.random.Generator) -> MarkovPolicy:
    ptr, steps = mdp.features.state_ptr, []
    for _ in range(mdp.horizon):
        weight = rng.random(mdp.n_pairs)
        weight /= np.repeat(np.add.reduceat(weight, ptr[:-1]), np.diff(ptr))
        steps.append(StochasticPolicy(weight, ptr, mdp.features.action_id))
    return MarkovPolicy(tuple(steps))


def path_value(mdp: LinearMDP, weights: Any, s: int, h: int = 0) -> float:
    """Sum over all paths: pair, factor and successor one after another."""
    if h == mdp.horizon:
        return 0.0
    total, features = 0.0, mdp.features
    for k in range(features.state_ptr[s], features.state_ptr[s + 1]):
        later = 0.0
        for i, t in itertools.product(range(mdp.dimension), range(mdp.n_states)):
            law = features.phi[k, i] * mdp.mu[h, i, t]
            later += law * path_value(mdp, weights, t, h + 1) if law else 0.0
        total += weights[h][k] * (mdp.reward[h, k] + later)
    return total


def deterministic_policies(mdp: LinearMDP) -> Any:
    ptr = mdp.features.state_ptr
    one = list(itertools.product(*(range(a, b) for a, b in itertools.pairwise(ptr.tolist()))))
    for choice in itertools.product(one, repeat=mdp.horizon):
        yield np.array(choice, dtype=np.int32)


# ---------------------------------------------------------------------- features


@pytest.mark.parametrize(
    ("phi", "words"),
    [
        ([[1.2, -0.2], [1.0, 0.0]], ("pair 0 (s=0, a=0)", "-0.2", "1 of 2 pairs", "at least 0")),
        ([[1.0, 0.0], [0.5, 0.6]], ("pair 1 (s=0, a=3)", "sums to 1.1", "1 of 2", "Divide")),
        ([[0.0, 0.0], [0.0, 0.0]], ("pair 0", "sums to 0", "2 of 2", "ends")),
        ([[1.0, 0.0], [np.nan, 1.0]], ("pair 1", "nan", "finite")),
        ([[1.0, 0.0], [np.inf, -np.inf]], ("pair 1", "inf", "finite")),
    ],
)
def test_features_off_the_simplex_are_named(phi: Any, words: tuple[str, ...]):
    with pytest.raises(InvalidModelError) as error:
        build([0, 2], phi, [0, 3])
    for word in words:
        assert word in str(error.value)


def test_only_declared_pairs_may_have_no_features():
    ends = np.array([False, True])
    assert build([0, 2], [[1.0, 0.0], [0.0, 0.0]], [0, 1], ends).has_ends
    with pytest.raises(InvalidModelError, match=r"pair 1 .* ends the episode"):
        build([0, 2], [[1.0, 0.0], [0.5, 0.5]], [0, 1], ends)
    with pytest.raises(InvalidModelError, match="ends has shape"):
        build([0, 2], [[1.0], [1.0]], [0, 1], np.array([0, 1]))


def test_features_that_are_not_on_the_simplex_make_no_linear_model():
    loose = build([0, 1], [[0.4, 0.4]], [0], simplex=False)
    with pytest.raises(InvalidModelError, match="simplex=False"):
        LinearMDP(loose, np.zeros((1, 1)), np.ones((1, 2, 1)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0, 1], [[1.0], [1.0]], [0, 1]), "state_ptr runs from 0 to 1"),
        (([0, 0, 2], [[1.0], [1.0]], [0, 1]), "gives nothing to row 0"),
        (([0, 2], [[1.0], [1.0]], [1, 1]), r"action_id\[1\] is 1"),
        (([0, 2], [[1.0], [1.0]], [0]), "action_id has shape"),
        (([0, 2], [1.0, 1.0], [0, 1]), "phi has 1 dimensions"),
        (([0, 2], np.empty((2, 0)), [0, 1]), "at least one feature"),
    ],
)
def test_malformed_features_are_refused(arguments: Any, words: str):
    with pytest.raises(InvalidModelError, match=words):
        build(*arguments)


def test_available_actions_of_dense_features():
    phi = np.full((2, 3, 2), 0.5)
    here = np.array([[True, False, True], [False, True, False]])
    features = Features.from_dense(phi, available=here)
    assert features.state_ptr.tolist() == [0, 2, 3]
    assert features.action_id.tolist() == [0, 2, 1]
    assert features.find([0, 1, 0], [2, 1, 0]).tolist() == [1, 2, 0]
    with pytest.raises(InvalidModelError, match=r"a\[1\] = 1 is not admissible in state 0"):
        features.find([0, 0], [0, 1])
    with pytest.raises(InvalidModelError, match=r"s\[0\] is 2, outside the states 0..1"):
        features.find([2], [0])
    with pytest.raises(InvalidModelError, match="available has shape"):
        Features.from_dense(phi, available=here[:1])


def test_greedy_breaks_ties_low():
    features = small().features
    assert features.greedy([1, 1, 0, 2, 3, 3]).pair.tolist() == [0, 2, 4]
    with pytest.raises(InvalidModelError, match="q has shape"):
        features.greedy([1.0])


def test_policies_of_another_model_are_refused():
    mdp, other = small(), models.five_state()
    for policy in (other.uniform, other.optimal()[1]):
        with pytest.raises(InvalidModelError, match="belongs to another model"):
            mdp.evaluate(policy)
    wrong = DeterministicPolicy(np.array([0, 1, 3], np.int32), np.array([0, 4, 0], np.int32))
    with pytest.raises(InvalidModelError, match="chooses pair 1 in state 1"):
        mdp.evaluate(wrong)


# ------------------------------------------------------------------------ models


@pytest.mark.parametrize("mdp", [small(1, 3), ending(2)], ids=["ragged", "ending"])
def test_evaluation_equals_the_sum_over_paths(mdp: LinearMDP):
    policy = random_policy(mdp, np.random.default_rng(5))
    weights = [mdp.features.weights(policy, h) for h in range(mdp.horizon)]
    V = mdp.evaluate(policy)
    for s in range(mdp.n_states):
        assert V[0, s] == pytest.approx(path_value(mdp, weights, s), abs=1e-12)


def test_the_optimum_is_that_of_the_best_deterministic_policy():
    mdp = small(3)
    values = []
    for pairs in deterministic_policies(mdp):
        weights = np.zeros((mdp.horizon, mdp.n_pairs))
        np.put_along_axis(weights, pairs, 1.0, axis=1)
        values.append([path_value(mdp, weights, s) for s in range(mdp.n_states)])
    V, policy = mdp.optimal()
    assert V[0] == pytest.approx(np.max(values, axis=0), abs=1e-12)
    assert mdp.evaluate(policy) == pytest.approx(V, abs=1e-12)
    assert not V[-1].any()


@pytest.mark.parametrize(
    "mdp",
    [
        small(4, 3),
        ending(5),
        models.five_state(),
        models.random_simplex_mdp(rng=np.random.default_rng(1)),
    ],
    ids=["ragged", "ending", "stationary", "random"],
)
def test_the_lift_is_the_same_process(mdp: LinearMDP):
    lifted = mdp.tabular()
    assert lifted.stationary == mdp.stationary
    over = int(mdp.features.has_ends)
    assert lifted.n_states == mdp.n_states + over
    rows = mdp.n_pairs + over
    P = lifted.to_sparse()[0].toarray()
    for h in range(mdp.horizon):
        first = 0 if lifted.stationary else h * rows
        found = P[first : first + mdp.n_pairs, : mdp.n_states]
        assert found == pytest.approx(mdp.kernel(h), abs=1e-15)
    rng = np.random.default_rng(0)
    for policy in (random_policy(mdp, rng), mdp.optimal()[1], mdp.uniform):
        above = lift_policy(mdp.features, policy, mdp.horizon, stacked=not lifted.stationary)
        V = operators.evaluate_policy(lifted, above)
        assert V[:, : mdp.n_states] == pytest.approx(mdp.evaluate(policy), abs=1e-12)
        assert mdp.evaluate(above) == pytest.approx(mdp.evaluate(policy), abs=1e-15)
    best = np.zeros(lifted.n_states)
    for h in range(mdp.horizon - 1, -1, -1):
        best = operators.bellman(lifted, best, h)
    assert best[: mdp.n_states] == pytest.approx(mdp.optimal()[0][0], abs=1e-12)


def test_stochastic_policies_of_a_stacked_lift_come_down():
    mdp = small(6, 3)
    lifted = mdp.tabular()
    uniform = StochasticPolicy.uniform(lifted)
    assert mdp.evaluate(uniform) == pytest.approx(mdp.evaluate(mdp.uniform), abs=1e-15)
    best = MarkovPolicy(
        tuple(operators.greedy(lifted, mdp.optimal()[0][h + 1], h) for h in range(3))
    )
    assert mdp.evaluate(best) == pytest.approx(mdp.optimal()[0], abs=1e-12)


def test_stochastic_policies_of_a_stacked_lift_may_change_with_the_step():
    for mdp in (small(6, 3), ending(7)):
        policy = random_policy(mdp, np.random.default_rng(1))
        layers = []
        for h in range(mdp.horizon):
            weight = mdp.features.weights(policy, h)
            layers.append(np.append(weight, 1.0) if mdp.features.has_ends else weight)
        above = StochasticPolicy.from_weights(mdp.tabular(), np.concatenate(layers))
        V = operators.evaluate_policy(mdp.tabular(), above)[:, : mdp.n_states]
        assert mdp.evaluate(above) == pytest.approx(V, abs=1e-12)
        assert mdp.evaluate(above) == pytest.approx(mdp.evaluate(policy), abs=1e-12)


def test_theta_says_nothing_about_pairs_that_end():
    mdp = ending()
    theta = np.random.default_rng(0).random((4, 2))
    reward = theta @ mdp.features.phi.T
    reward[:, mdp.features.ended] = 0.7
    assert mdp.replace(reward=reward, theta=theta).rewards_in_unit_interval
    reward[:, 0] += 0.1
    with pytest.raises(InvalidModelError, match=r"reward of pair 0 .* 4 of 24 rewards"):
        mdp.replace(reward=reward, theta=theta)


def test_perturbed_factors():
    mdp = small(7)
    law = np.array([0.0, 1.0, 0.0])
    other = mdp.with_factor(1, 2, law)
    changed = mdp.mu.copy()
    changed[1, 2] = law
    assert other == mdp.with_mu(changed)
    assert other.kernel(1) == pytest.approx(mdp.features.phi @ changed[1], abs=1e-15)
    assert other != mdp
    assert hash(other) != hash(mdp)
    with pytest.raises(InvalidModelError, match="step 2 is outside"):
        mdp.with_factor(2, 0, law)


def test_what_cannot_be_written_to_cannot_change():
    mdp = copy.deepcopy(small())
    for array in (mdp.mu, mdp.reward, mdp.features.phi):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    again = pickle.loads(pickle.dumps(mdp))
    assert again == mdp
    with pytest.raises(ValueError, match="read-only"):
        again.features.phi[0, 0] = 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mu": np.full((2, 3, 3), 0.4)}, r"mu\[h=0, i=0, :\] sums to 1.2. 6 of 6 factors"),
        ({"mu": -np.ones((2, 3, 3))}, r"mu\[h=0, i=0, t=0\] is -1.0"),
        ({"mu": np.ones((2, 3, 2))}, r"mu has shape \(2, 3, 2\)"),
        ({"reward": np.full((2, 6), np.nan)}, r"reward of pair 0 \(s=0, a=0\) at step 0 is nan"),
        ({"reward": np.zeros((2, 5))}, "reward has shape"),
        ({"reward": np.zeros((3, 6))}, "mu has shape"),
        ({"initial": [0.5, 0.4, 0.0]}, "initial sums to 0.9"),
        ({"theta": np.zeros((2, 3))}, r"<phi, theta> is 0.0. \d+ of 12 rewards"),
        ({"theta": np.zeros((2, 2))}, "theta has shape"),
        ({"theta": np.full((2, 3), np.inf)}, r"theta\[h=0, i=0\] is inf"),
        ({"state_labels": ["a"]}, "state_labels has 1 entries"),
    ],
)
def test_malformed_models_are_refused(changes: Any, words: str):
    with pytest.raises(InvalidModelError, match=words):
        small().replace(**changes)


def test_dense_arrays_make_a_model():
    rng = np.random.default_rng(2)
    phi, theta = rng.dirichlet(np.ones(3), (4, 2)), rng.random((5, 3))
    mu = rng.dirichlet(np.ones(4), 3)
    mdp = LinearMDP.from_dense(phi, theta, mu, initial=np.full(4, 0.25))
    assert mdp.horizon == 5
    assert mdp.stationary
    assert mdp.rewards_in_unit_interval
    assert not mdp.replace(reward=mdp.reward + 1, theta=theta + 1).rewards_in_unit_interval
    assert mdp.reward == pytest.approx(np.einsum("sai,hi->hsa", phi, theta).reshape(5, 8))
    with pytest.raises(InvalidModelError, match="theta has shape"):
        LinearMDP.from_dense(phi, theta[:, :2], mu)
    with pytest.raises(InvalidModelError, match="step 5 is outside"):
        mdp.kernel(5)


def test_files_keep_everything(tmp_path: Path):
    for mdp in (small(), ending(), models.five_state(), small().replace(state_labels=list("xyz"))):
        mdp.save(tmp_path / "model.npz")
        again = LinearMDP.load(tmp_path / "model.npz")
        assert again == mdp
        assert again.state_labels == mdp.state_labels
    save_npz(models.forest(), tmp_path / "other.npz")
    with pytest.raises(InvalidModelError, match="TabularMDP"):
        LinearMDP.load(tmp_path / "other.npz")
    data = bytearray((tmp_path / "model.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "model.npz").write_bytes(bytes(data))
    with pytest.raises(InvalidModelError, match=r"model\.npz"):
        LinearMDP.load(tmp_path / "model.npz")


# -------------------------------------------------------------- from tabular models


def test_one_hot_features_keep_a_tabular_model():
    rng = np.random.default_rng(3)
    for kernels in (rng.dirichlet(np.ones(3), (3, 2)), rng.dirichlet(np.ones(3), (4, 3, 2))):
        mdp = TabularMDP.from_dense(kernels, rng.random((3, 2)), 1.0, horizon=4)
        linear = LinearMDP.from_tabular(mdp)
        assert linear.dimension == 6
        assert linear.tabular().data == pytest.approx(mdp.data, abs=1e-15)
        assert linear.theta is not None
        V = operators.evaluate_policy(mdp, StochasticPolicy.uniform(mdp))
        assert linear.evaluate(linear.uniform) == pytest.approx(V, abs=1e-12)


def test_models_that_are_not_linear_are_refused():
    wood = models.forest(gamma=0.9)
    with pytest.raises(InvalidModelError, match="no discounting"):
        LinearMDP.from_tabular(wood)
    finite = wood.replace(gamma=1.0, horizon=2)
    with pytest.raises(InvalidModelError, match="terminal reward"):
        LinearMDP.from_tabular(finite.replace(terminal=np.ones(3)))
    with pytest.raises(InvalidModelError, match="must describe the same pairs"):
        LinearMDP.from_tabular(finite, small().features)
    ragged = TabularMDP.from_layers(
        [
            TabularMDP.from_dense(np.ones((1, 2, 1)), [[0.0, 1.0]], 1.0, horizon=1),
            TabularMDP.from_dense(np.ones((1, 2, 1)), [[0.0, -np.inf]], 1.0, horizon=1),
        ]
    )
    with pytest.raises(InvalidModelError, match="action sets of step 1 differ"):
        LinearMDP.from_tabular(ragged)
    moved = [
        TabularMDP.from_sparse(np.eye(2)[[0, 0, 1]], np.zeros(3), s, [0, 1, 2], 1.0, horizon=1)
        for s in ([0, 0, 1], [0, 1, 1])  # the same actions in the same order, of other states
    ]
    with pytest.raises(InvalidModelError, match="action sets of step 1 differ"):
        LinearMDP.from_tabular(TabularMDP.from_layers(moved))


@pytest.mark.parametrize("mdp", [small(8), ending(9), models.five_state()])
def test_factors_are_recovered_from_the_lift(mdp: LinearMDP):
    again = LinearMDP.from_tabular(mdp.tabular(), mdp.features)
    for h in range(mdp.horizon):
        assert again.kernel(h) == pytest.approx(mdp.kernel(h), abs=1e-9)
    if np.linalg.matrix_rank(mdp.features.phi) == mdp.dimension:
        assert again.mu == pytest.approx(mdp.mu, abs=1e-8)
    assert again.reward == pytest.approx(mdp.reward)


def test_the_misfit_of_a_model_that_is_not_linear_is_reported():
    rng = np.random.default_rng(10)
    features = Features.from_dense(rng.dirichlet(np.ones(2), (4, 2)))
    mdp = TabularMDP.from_dense(
        rng.dirichlet(np.ones(4) / 2, (4, 2)), rng.random((4, 2)), 1.0, horizon=2
    )
    model, misfit = fit_factors(mdp, features)
    P = mdp.to_dense()[0].reshape(8, 4)
    assert misfit[0] == pytest.approx(0.5 * np.abs(model.kernel(0) - P).sum(axis=1), abs=1e-12)
    worst = int(misfit[0].argmax())
    with pytest.raises(InvalidModelError, match=f"pair {worst} .* of 16 laws are off"):
        LinearMDP.from_tabular(mdp, features)


@pytest.mark.parametrize("seed", range(6))
def test_nearest_factors_against_a_convex_program(seed: int):
    rng = np.random.default_rng(seed)
    K, d, S = 12, 3, 4
    phi = rng.dirichlet(np.ones(d), K)
    P = rng.dirichlet(np.ones(S) * 0.3, K)
    mu = cp.Variable((d, S), nonneg=True)
    sums: Any = cp.sum(mu, axis=1) == 1
    program = cp.Problem(cp.Minimize(cp.sum_squares(phi @ mu - P)), [sums])
    program.solve(solver=cp.CLARABEL)
    found = nearest_factors(phi, P)
    assert found.min() >= 0
    assert found.sum(axis=1) == pytest.approx(np.ones(d), abs=1e-12)
    best = float(np.sum((phi @ np.asarray(mu.value) - P) ** 2))
    assert np.sum((phi @ found - P) ** 2) <= best + 1e-7


def test_projection_against_a_convex_program():
    rng = np.random.default_rng(0)
    for row in rng.normal(size=(20, 5)):
        x = cp.Variable(5, nonneg=True)
        total: Any = cp.sum(x) == 1
        cp.Problem(cp.Minimize(cp.sum_squares(x - row)), [total]).solve(solver=cp.CLARABEL)
        assert project(row[None])[0] == pytest.approx(np.asarray(x.value), abs=1e-6)


# ----------------------------------------------------------------------- mutants


def test_mutants_are_caught():
    mdp = small(1, 3)
    policy = random_policy(mdp, np.random.default_rng(5))
    weights = [mdp.features.weights(policy, h) for h in range(3)]
    truth = path_value(mdp, weights, 0)
    broken = mutant(
        mdplib.linear,
        (
            "V[h] = np.add.reduceat(weight * self.q_values(V[h + 1], h)",
            "V[h] = np.add.reduceat(weight * self.q_values(V[h], h)",
        ),
    )
    wrong = broken.LinearMDP(mdp.features, mdp.reward, mdp.mu).evaluate(policy)
    assert abs(wrong[0, 0] - truth) > 1e-3
    loose = mutant(mdplib.features, ("np.abs(sums - 1) <= TOLERANCE", "sums <= 1 + TOLERANCE"))
    assert loose.Features([0, 1], [[0.5, 0.4]], [0]).n_pairs == 1  # the check is what refuses it
    descent = mutant(mdplib.linear_fitting, ("gram @ ahead - cross", "gram @ ahead + cross"))
    rng = np.random.default_rng(0)
    phi, P = rng.dirichlet(np.ones(3), 12), rng.dirichlet(np.ones(4) * 0.3, 12)
    good = np.sum((phi @ nearest_factors(phi, P) - P) ** 2)
    assert np.sum((phi @ descent.nearest_factors(phi, P) - P) ** 2) > good + 1e-3
    unshifted = mutant(mdplib.linear_lift, ("h * K if stacked else 0", "0"))
    best = mdp.optimal()[1]
    with pytest.raises(InvalidModelError):
        operators.evaluate_policy(
            mdp.tabular(), unshifted.lift_policy(mdp.features, best, 3, stacked=True)
        )
