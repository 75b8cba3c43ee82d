"""Robust planning: exact recursions, enumeration, worst kernels, published numbers."""

from __future__ import annotations

import warnings
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    MarkovPolicy,
    NotApplicableError,
    StochasticPolicy,
    TabularMDP,
    models,
    operators,
)
from mdplib.divergences import Divergence
from mdplib.features import Features
from mdplib.linear import LinearMDP
from mdplib.robust import Mode, NoEffectWarning, Robustness
from solvers import backward_induction
from solvers.robust.planning import robust_planning
from solvers.robust.solution import RobustSolution
from tests import robust_oracle as oracle
from tests.robust_cases import EVERY

INF = float("inf")


def random_model(seed: int, H: int = 3, S: int = 4, A: int = 2, gamma: float = 1.0) -> TabularMDP:
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(S, 0.7), (H, S, A))
    P[P < 0.05] = 0.0
    P /= P.sum(axis=-1, keepdims=True)
    return TabularMDP.from_dense(
        P, rng.random((H, S, A)), gamma, horizon=H, terminal=rng.random(S),
        initial=np.full(S, 1 / S),
    )  # fmt: skip


def random_linear(seed: int, H: int = 3, S: int = 5, A: int = 3, d: int = 4) -> LinearMDP:
    rng = np.random.default_rng(seed)
    mu = rng.dirichlet(np.full(S, 0.6), (H, d))
    mu[mu < 0.05] = 0.0
    mu /= mu.sum(axis=-1, keepdims=True)
    return LinearMDP.from_dense(
        rng.dirichlet(np.ones(d), (S, A)), rng.random((H, d)), mu, initial=np.full(S, 1 / S)
    )


def strengths(seed: int, mode: Mode, H: int, d: int) -> np.ndarray:
    """A table with some factors that are not robust."""
    rng = np.random.default_rng(seed)
    table = 10.0 ** rng.uniform(-1.0, 0.5, (H, d))
    table[rng.random((H, d)) < 0.2] = INF if mode == "penalty" else 0.0
    return table


def quietly(mdp: Any, robustness: Robustness, policy: Any = None) -> RobustSolution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)
        return robust_planning(mdp, robustness, policy=policy)


def exact_values(mdp: TabularMDP, robustness: Robustness) -> list[list[Fraction]]:
    """Backward induction with every inner problem to 50 digits, in rational arithmetic."""
    H, gamma = mdp.horizon or 0, Fraction(mdp.gamma)
    table = robustness.table(H, mdp.n_pairs // H)
    V = [[Fraction(x) for x in np.asarray(mdp.terminal)]]
    for h in range(H - 1, -1, -1):
        layer, new = mdp.layer(h), []
        for s in range(mdp.n_states):
            best = None
            for k in range(layer.state_ptr[s], layer.state_ptr[s + 1]):
                law = np.zeros(mdp.n_states)
                row = slice(layer.indptr[k], layer.indptr[k + 1])
                law[layer.indices[row]] = layer.data[row]
                worst = oracle.infimum(
                    robustness.divergence, robustness.mode,
                    float(table[h, k - layer.state_ptr[0]]), law.tolist(), V[0],
                )  # fmt: skip
                q = Fraction(float(layer.reward[k])) + gamma * Fraction(worst)
                best = q if best is None else max(best, q)
            new.append(best)
        V.insert(0, new)
    return V


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_tabular_bounds_contain_the_exact_recursion(
    divergence: Divergence, mode: Mode, gamma: float
):
    mdp = random_model(1, gamma=gamma)
    robustness = Robustness(divergence, strengths(2, mode, 3, 8), mode)
    solution = quietly(mdp, robustness)
    truth = np.array(exact_values(mdp, robustness), dtype=object)
    for found, exact in ((solution.lower, truth), (truth, solution.upper)):
        pairs = zip(found.ravel().tolist(), exact.ravel().tolist(), strict=True)
        assert all(Fraction(a) <= Fraction(b) for a, b in pairs)
    assert solution.ok
    assert solution.gap < 1e-12
    assert solution.initial[0] <= solution.initial[1]


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_one_hot_features_give_the_tabular_program(divergence: Divergence, mode: Mode):
    """Against the exact tabular recursion, written independently: to 1e-8 and far below."""
    rng = np.random.default_rng(4)
    P, r = rng.dirichlet(np.full(4, 0.8), (3, 4, 2)), rng.random((3, 4, 2))
    mdp = TabularMDP.from_dense(P, r, 1.0, horizon=3)
    linear = LinearMDP.from_dense(np.eye(8).reshape(4, 2, 8), r.reshape(3, 8), P.reshape(3, 8, 4))
    table = strengths(5, mode, 3, 8)
    found = robust_planning(linear, Robustness(divergence, table, mode))
    tabular = robust_planning(mdp, Robustness(divergence, table, mode))
    truth = np.array(exact_values(mdp, Robustness(divergence, table, mode)), dtype=float)
    assert found.value == pytest.approx(truth, abs=1e-12)
    assert tabular.value == pytest.approx(truth, abs=1e-12)


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
@pytest.mark.parametrize("gamma", [1.0, 0.6])
def test_the_worst_kernel_explains_the_value(divergence: Divergence, mode: Mode, gamma: float):
    """Exact evaluation in the worst kernel, plus what it costs; and nothing does better there."""
    mdp = random_model(6, gamma=gamma)
    robustness = Robustness(divergence, strengths(7, mode, 3, 8), mode)
    solution = quietly(mdp, robustness)
    worst = solution.worst
    assert isinstance(worst, TabularMDP)
    priced = solution.priced_model
    assert isinstance(priced, TabularMDP)
    assert operators.evaluate_policy(priced, solution.policy) == pytest.approx(
        solution.value, abs=1e-12
    )
    assert backward_induction(priced).value == pytest.approx(solution.value, abs=1e-12)
    assert (solution.penalty >= 0).all()
    assert (solution.penalty > 0).any() == (mode == "penalty")
    if mode == "ball":
        radius = robustness.table(3, 8).reshape(-1)
        assert (solution.divergence <= radius * (1 + 1e-9) + 1e-12).all()
    if divergence == "tv":
        assert worst.nnz != mdp.nnz, "mass moves to states outside the support"


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_worst_factors_explain_the_value_of_a_linear_model(divergence: Divergence, mode: Mode):
    mdp = random_linear(8)
    robustness = Robustness(divergence, strengths(9, mode, 3, 4), mode)
    solution = robust_planning(mdp, robustness)
    worst = solution.worst_model
    assert isinstance(worst, LinearMDP)
    assert (worst.mu == solution.worst).all()
    priced = worst.replace(reward=mdp.reward + solution.penalty @ mdp.features.phi.T, theta=None)
    assert priced.evaluate(solution.policy) == pytest.approx(solution.value, abs=1e-12)
    assert priced.optimal()[0] == pytest.approx(solution.value, abs=1e-12)


def test_enumeration_of_policies_and_extreme_kernels():
    """Two states: every law is an end of an interval; the value is max over pi of min over q."""
    H, S, A, radius = 2, 2, 2, 0.3
    rng = np.random.default_rng(10)
    P, r = rng.dirichlet([1.0, 1.0], (H, S, A)), rng.random((H, S, A))
    solution = robust_planning(
        TabularMDP.from_dense(P, r, 1.0, horizon=H), Robustness("tv", radius, "ball")
    )
    best = np.full(S, -INF)
    for choice in product(range(A), repeat=H * S):
        pi = np.reshape(choice, (H, S))
        worst = np.full(S, INF)
        for signs in product((-radius, radius), repeat=H * S):
            shift, V = np.reshape(signs, (H, S)), np.zeros(S)
            for h in range(H - 1, -1, -1):
                first = np.clip(P[h, np.arange(S), pi[h], 0] + shift[h], 0, 1)
                V = r[h, np.arange(S), pi[h]] + first * V[0] + (1 - first) * V[1]
            worst = np.minimum(worst, V)
        best = np.maximum(best, worst)
    assert solution.value[0] == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_no_policy_beats_the_robust_one(divergence: Divergence, mode: Mode):
    mdp = random_linear(11, H=2, S=2, A=2, d=3)
    robustness = Robustness(divergence, 0.4, mode)
    best = quietly(mdp, robustness)
    again = quietly(mdp, robustness, best.policy)
    assert again.policy is best.policy
    assert again.value == pytest.approx(best.value, abs=1e-12)
    values = []
    for pair in product(*([(0, 1), (2, 3)] * 2)):
        steps = tuple(
            DeterministicPolicy(np.array(p), mdp.features.action_id[list(p)])
            for p in (pair[:2], pair[2:])
        )
        values.append(quietly(mdp, robustness, MarkovPolicy(steps)).value[0])
    assert np.max(values, axis=0) == pytest.approx(best.value[0], abs=1e-12)


def test_random_policies_average_the_worst_cases():
    """One step left: Q is the reward; two steps: the adversary sees the average value."""
    mdp = random_linear(12, H=2)
    robustness = Robustness("kl", 0.5)
    solution = robust_planning(mdp, robustness, policy=mdp.uniform)
    phi = mdp.features.phi.reshape(5, 3, 4)
    last = mdp.reward[1].reshape(5, 3).mean(axis=1)
    w = [float(oracle.infimum("kl", "penalty", 0.5, row.tolist(), last.tolist()))
         for row in mdp.mu[0]]  # fmt: skip
    first = (mdp.reward[0].reshape(5, 3) + phi @ w).mean(axis=1)
    assert solution.value[1] == pytest.approx(last, abs=1e-14)
    assert solution.value[0] == pytest.approx(first, abs=1e-12)
    tabular = random_model(13)
    uniform = StochasticPolicy.uniform(tabular)
    nominal = robust_planning(tabular, Robustness("tv", INF), policy=uniform)
    assert nominal.value == pytest.approx(operators.evaluate_policy(tabular, uniform), abs=1e-12)


@pytest.mark.parametrize(("mode", "off"), [("penalty", INF), ("ball", 0.0)])
@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
def test_without_strength_it_is_the_nominal_program(divergence: Divergence, mode: Mode, off: float):
    mdp, linear = random_model(14), random_linear(15)
    found = robust_planning(mdp, Robustness(divergence, off, mode))
    assert found.value == pytest.approx(backward_induction(mdp).value, abs=1e-12)
    assert (found.divergence == 0).all()
    assert isinstance(found.worst, TabularMDP)
    assert found.worst.to_dense()[0] == pytest.approx(mdp.to_dense()[0], abs=1e-15)
    values, _ = linear.optimal()
    assert robust_planning(linear, Robustness(divergence, off, mode)).value == pytest.approx(
        values, abs=1e-12
    )


# ------------------------------------------------------------- the five-state model


def five_states(norm: float = 0.2, p: float = 0.001) -> LinearMDP:
    """Three steps; from x1 an action u leads to the goal x5 with probability u."""
    actions = np.array(list(product((-1, 1), repeat=4)))
    u = 0.3 + actions.sum(axis=1) * norm / 4
    phi = np.zeros((5, 16, 4))
    for s in range(3):
        phi[s, :, s], phi[s, :, 3] = 1 - u, u
    phi[3, :, 2] = phi[4, :, 3] = 1.0
    mu = np.zeros((4, 5))
    mu[0, [1, 3]] = mu[1, [2, 3]] = 1 - p, p
    mu[2, 3] = mu[3, 4] = 1.0
    theta = np.zeros((3, 4))
    theta[1:, 3] = 1.0
    return LinearMDP.from_dense(phi, theta, mu)


def at_x1(robustness: Robustness, norm: float = 0.2) -> tuple[float, float]:
    """Robust optimum at x1 and the u chosen there."""
    mdp = five_states(norm)
    solution = quietly(mdp, robustness)
    assert isinstance(solution.policy, MarkovPolicy)
    pair = int(solution.policy.steps[0].pairs(np.array([0]), np.random.default_rng(0))[0])
    return float(solution.value[0, 0]), float(mdp.features.phi[pair, 3])


PUBLISHED = {
    "tv": ([0.1, 0.2, 0.3, 0.6, 1, 2], [0.09995, 0.1999, 0.29985, 0.5997, 0.9995, 1.62425]),
    "kl": (
        [0.1, 0.2, 0.3, 0.6, 1, 2, 5],
        [1.345189, 1.582959, 1.615463, 1.622705, 1.623595, 1.62399, 1.624159],
    ),
    "chi2": (
        [0.1, 0.2, 0.3, 0.6, 1, 2, 5],
        [1.622145, 1.623197, 1.623548, 1.623899, 1.62404, 1.624145, 1.624208],
    ),
}


@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
def test_numbers_of_the_five_state_model(divergence: Divergence):
    for price, value in zip(*PUBLISHED[divergence], strict=True):
        found, u = at_x1(Robustness(divergence, float(price)))
        assert found == pytest.approx(value, abs=6e-6)
        assert u == pytest.approx(0.5)
    m = 0.5
    later = 2 * m + 0.999 * m * (1 - m)
    assert at_x1(Robustness(divergence, INF))[0] == pytest.approx(0.999 * 0.5 * later + 2 * m)


def test_the_library_model_is_the_same():
    known: list[tuple[Divergence, float, float]] = [("kl", 0.1, 1.345189), ("tv", 0.6, 0.5997)]
    for divergence, price, value in known:
        robustness = Robustness(divergence, price)
        found = quietly(models.five_state(0.2), robustness).value[0, 0]
        assert found == pytest.approx(value, abs=6e-6)
        assert found == pytest.approx(at_x1(robustness)[0], abs=1e-12)


def test_the_robust_policy_turns_where_only_the_goal_is_uncertain():
    def one_factor(mode: Mode, strength: float) -> Robustness:
        table = np.full((3, 4), INF if mode == "penalty" else 0.0)
        table[0, 3] = strength
        return Robustness("tv", table, mode)

    for radius, u in ((0.3757, 0.5), (0.3758, 0.1)):
        assert at_x1(one_factor("ball", radius))[1] == pytest.approx(u)
    for price, u in ((1.2486, 0.5), (1.2484, 0.1)):
        assert at_x1(one_factor("penalty", price))[1] == pytest.approx(u)


# ------------------------------------------------------------- borders


def test_pairs_that_end_the_episode_are_worth_their_reward():
    """State 0 may stop for 0.4 or go on; what comes after is at the adversary's mercy."""
    ptr, action, ends = np.array([0, 2, 3]), np.array([0, 1, 0]), np.array([True, False, False])
    features = Features(ptr, np.array([[0.0], [1.0], [1.0]]), action, ends)
    reward = np.array([[0.4, 0.0, 0.0], [0.4, 0.0, 1.0]])
    mdp = LinearMDP(features, reward, np.full((2, 1, 2), 0.5))
    for radius, first in ((0.0, 0.7), (0.25, 0.55), (0.5, 0.4), (1.0, 0.4)):
        solution = robust_planning(mdp, Robustness("tv", radius, "ball"))
        assert solution.value[0, 0] == pytest.approx(first, abs=1e-12)
        priced = solution.priced_model
        assert isinstance(priced, LinearMDP)
        assert priced.evaluate(solution.policy) == pytest.approx(solution.value, abs=1e-12)


def test_deterministic_laws_are_pointed_out():
    mdp = five_states()
    with pytest.warns(NoEffectWarning, match=r"kl robustness has no effect on law 2 of step 0"):
        robust_planning(mdp, Robustness("kl", 1.0))
    with pytest.warns(NoEffectWarning, match=r"6 of 12 robust laws"):
        robust_planning(mdp, Robustness("chi2", 1.0, "ball"))
    table = np.array([[1.0, 1.0, INF, INF]])
    robust_planning(mdp, Robustness("kl", table))  # a warning here would be an error
    robust_planning(mdp, Robustness("tv", 1.0))


def test_refusals():
    mdp = random_linear(16)
    with pytest.raises(NotApplicableError, match="robust_value_iteration"):
        robust_planning(TabularMDP.from_dense([[[1.0]]], [[1.0]], 0.5), Robustness("tv", 1.0))
    with pytest.raises(InvalidModelError, match=r"shape \(7,\)"):
        robust_planning(mdp, Robustness("tv", np.ones(7)))
    wrong = DeterministicPolicy(np.zeros(5, dtype=int), np.zeros(5, dtype=int))
    with pytest.raises(InvalidModelError, match="belong"):
        robust_planning(mdp, Robustness("tv", 1.0), policy=wrong)
    with pytest.raises(InvalidModelError, match="shape"):
        robust_planning(random_model(1), Robustness("tv", 1.0), policy=MarkovPolicy((wrong,) * 3))


def test_a_solution_read_back_keeps_the_bounds(tmp_path: Path):
    from mdplib.errors import MdplibError

    solution = robust_planning(random_linear(17), Robustness("tv", 0.5))
    solution.save(tmp_path / "robust.npz")
    again = RobustSolution.load(tmp_path / "robust.npz")
    assert isinstance(again, RobustSolution)
    assert (again.lower == solution.lower).all()
    with pytest.raises(MdplibError, match="does not know its model"):
        _ = again.worst


def test_large_sparse_models_need_no_full_arrays():
    """Ten thousand states: a full (K, S) array would take gigabytes."""
    import tracemalloc

    from mdplib.models import garnet

    mdp = garnet(10_000, 3, 4, np.random.default_rng(0), 0.9).replace(horizon=3)
    tracemalloc.start()
    for divergence, mode in EVERY:
        solution = robust_planning(mdp, Robustness(divergence, 0.3, mode))
        assert solution.gap < 1e-12
    worst: Any = robust_planning(mdp, Robustness("tv", 0.3, "ball")).worst
    assert worst.nnz <= 3 * (mdp.nnz + mdp.n_pairs)
    assert tracemalloc.get_traced_memory()[1] < 2e8
    tracemalloc.stop()
