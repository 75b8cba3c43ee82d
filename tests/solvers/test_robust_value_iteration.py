"""Robust value iteration: fixed points, brackets, limits, worst kernels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import solvers
from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    NotApplicableError,
    Status,
    StochasticPolicy,
    TabularMDP,
    models,
    operators,
)
from mdplib.divergences import Divergence
from mdplib.robust import Mode, NoEffectWarning, Robustness
from mdplib.robust_rows import Rows, bounds_by_product, solve_rows
from solvers.robust import value_iteration as module
from solvers.robust.solution import RobustSolution
from solvers.robust.value_iteration import robust_value_iteration
from tests import robust_oracle as oracle
from tests.mutation import mutant
from tests.robust_cases import EVERY

INF = float("inf")


def model(seed: int, S: int = 6, A: int = 3, gamma: float = 0.8) -> TabularMDP:
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(S, 0.7), (S, A))
    P[P < 0.05] = 0.0
    P /= P.sum(axis=-1, keepdims=True)
    return TabularMDP.from_dense(P, rng.normal(size=(S, A)), gamma, initial=np.full(S, 1 / S))


def quietly(mdp: TabularMDP, robustness: Robustness, **options: Any) -> RobustSolution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)
        return robust_value_iteration(mdp, robustness, **options)


def fixed_point(mdp: TabularMDP, robustness: Robustness, weight: Any = None) -> np.ndarray:
    """Plain iteration with one independent inner solve per pair."""
    law, r = mdp.to_dense()
    S, A, _ = law.shape
    price = robustness.table(1, mdp.n_pairs)[0].reshape(S, A)
    V = np.zeros(S)
    while True:
        w = [[float(oracle.infimum(robustness.divergence, robustness.mode, float(price[s, a]),
                                   law[s, a].tolist(), V.tolist())) for a in range(A)]
             for s in range(S)]  # fmt: skip
        Q = r + mdp.gamma * np.array(w)
        new = Q.max(axis=1) if weight is None else (Q * weight).sum(axis=1)
        if np.abs(new - V).max() < 1e-11:
            return new
        V = new


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_the_fixed_point_of_an_independent_operator(divergence: Divergence, mode: Mode):
    mdp = model(1, S=3, A=2, gamma=0.25)
    price = 10.0 ** np.random.default_rng(2).uniform(-1, 0.5, mdp.n_pairs)
    price[1] = INF if mode == "penalty" else 0.0
    robustness = Robustness(divergence, price, mode)
    truth = fixed_point(mdp, robustness)
    for sweeps in (0, 10):
        solution = quietly(mdp, robustness, sweeps=sweeps, tol=1e-9)
        assert solution.status is Status.OPTIMAL
        assert (solution.lower <= truth + 1e-10).all()
        assert (truth - 1e-10 <= solution.upper).all()
        assert solution.gap <= 1e-9
    weight = np.random.default_rng(3).dirichlet([1.0, 1.0], 3)
    policy = StochasticPolicy.from_weights(mdp, weight.reshape(-1))
    found = quietly(mdp, robustness, policy=policy, tol=1e-9)
    assert found.policy is policy
    assert found.value == pytest.approx(fixed_point(mdp, robustness, weight), abs=2e-9)


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_one_strength_for_all_pairs(divergence: Divergence, mode: Mode):
    """The products used for TV and KL penalties, and the row by row kernels, agree."""
    mdp = model(4)
    uniform = quietly(mdp, Robustness(divergence, 0.7, mode), tol=1e-10)
    nearly = np.full(mdp.n_pairs, 0.7)
    nearly[0] = np.nextafter(0.7, 1.0)
    rows = quietly(mdp, Robustness(divergence, nearly, mode), tol=1e-10)
    assert uniform.value == pytest.approx(rows.value, abs=1e-9)
    assert uniform.ok
    assert rows.ok


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
@pytest.mark.parametrize("price", [0.05, 1.0])
def test_the_worst_kernel_explains_the_value(divergence: Divergence, mode: Mode, price: float):
    mdp = model(5, gamma=0.9)
    solution = quietly(mdp, Robustness(divergence, price, mode), tol=1e-10)
    priced = solution.priced_model
    assert isinstance(priced, TabularMDP)
    assert isinstance(solution.worst, TabularMDP)
    assert priced.gamma == mdp.gamma
    assert (solution.worst.reward == mdp.reward).all()
    assert operators.evaluate_policy(priced, solution.policy) == pytest.approx(
        solution.value, abs=1e-8
    )
    assert solvers.solve(priced, "exact").value == pytest.approx(solution.value, abs=1e-8)
    assert solution.initial[0] <= float(solution.value.mean()) <= solution.initial[1]


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_policies_are_evaluated_and_none_is_better(divergence: Divergence, mode: Mode):
    mdp, robustness = model(6, S=3, A=2), Robustness(divergence, 0.5, mode)
    best = quietly(mdp, robustness, tol=1e-9)
    again = quietly(mdp, robustness, policy=best.policy, tol=1e-9)
    assert again.value == pytest.approx(best.value, abs=2e-9)
    for choice in np.ndindex(2, 2, 2):
        policy = DeterministicPolicy.from_actions(mdp, np.array(choice))
        found = quietly(mdp, robustness, policy=policy, tol=1e-9)
        assert (found.lower <= best.upper).all()
        onehot = StochasticPolicy.from_weights(mdp, policy.weights(mdp))
        same = quietly(mdp, robustness, policy=onehot, tol=1e-9)
        assert same.value == pytest.approx(found.value, abs=2e-9)


@pytest.mark.parametrize(("mode", "off"), [("penalty", INF), ("ball", 0.0)])
@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
def test_without_strength_it_is_value_iteration(divergence: Divergence, mode: Mode, off: float):
    mdp = model(7, gamma=0.95)
    truth = solvers.solve(mdp, "exact")
    found = robust_value_iteration(mdp, Robustness(divergence, off, mode), tol=1e-9)
    assert (found.lower <= truth.upper).all()
    assert (truth.lower <= found.upper).all()
    assert found.gap <= 1e-9


def test_an_adversary_that_may_do_anything_leads_to_the_worst_state():
    """A TV ball of radius one: V(s) = max r + gamma min V."""
    mdp = model(8)
    reward = mdp.reward.reshape(6, 3).max(axis=1)
    least = reward.min() / (1 - mdp.gamma)
    found = robust_value_iteration(mdp, Robustness("tv", 1.0, "ball"), tol=1e-9)
    assert found.value == pytest.approx(reward + mdp.gamma * least, abs=1e-9)


@pytest.mark.parametrize(("divergence", "mode"), EVERY)
def test_brackets_hold_from_any_vector(divergence: Divergence, mode: Mode):
    """Every certificate on the way contains the solution, from hostile starts too."""
    mdp, robustness = model(9), Robustness(divergence, 0.3, mode)
    truth = quietly(mdp, robustness, tol=1e-10)
    rng = np.random.default_rng(10)
    for V0 in (rng.normal(size=6) * 1e6, np.full(6, -1e9), rng.normal(size=6) * 1e-9):
        for most in (1, 12, 40):
            found = quietly(mdp, robustness, V0=V0, max_iterations=most, tol=1e-12)
            assert (found.lower <= truth.upper).all()
            assert (truth.lower <= found.upper).all()
        assert quietly(mdp, robustness, V0=V0, tol=1e-7).ok


def test_limits_and_progress():
    mdp, robustness = model(11, gamma=0.999), Robustness("chi2", 0.3, "ball")
    seen: list[tuple[int, float]] = []
    few = quietly(
        mdp, robustness, max_iterations=30, tol=1e-13, progress=lambda n, gap: seen.append((n, gap))
    )
    assert few.status is Status.ITERATION_LIMIT
    assert list(few.stats.trace) == seen
    assert few.stats.iterations == seen[-1][0] >= 30
    assert quietly(mdp, robustness, time_limit=0.0).status is Status.TIME_LIMIT
    hopeless = quietly(mdp, robustness, tol=1e-15)
    assert hopeless.status is Status.ROUNDING_LIMIT
    assert 1e-15 < hopeless.gap < 1e-7
    assert hopeless.provenance.options["sweeps"] == 10


def test_refusals():
    mdp = model(12)
    with pytest.raises(NotApplicableError, match="robust_planning"):
        robust_value_iteration(mdp.replace(horizon=3), Robustness("tv", 1.0))
    with pytest.raises(InvalidModelError, match=r"shape \(5,\)"):
        robust_value_iteration(mdp, Robustness("tv", np.ones(5)))
    for name, value in (("sweeps", -1), ("tol", -1.0), ("max_iterations", -1), ("sweeps", 1.5)):
        with pytest.raises(InvalidModelError, match=name):
            robust_value_iteration(mdp, Robustness("tv", 1.0), **{name: value})  # type: ignore[arg-type]
    with pytest.raises(InvalidModelError, match="V0"):
        robust_value_iteration(mdp, Robustness("tv", 1.0), V0=np.zeros(5))
    with pytest.warns(NoEffectWarning, match="law 0 of step 0"):
        robust_value_iteration(models.chain(4, gamma=0.5), Robustness("kl", 1.0))


def test_large_sparse_models():
    mdp = models.garnet(10_000, 4, 5, np.random.default_rng(0), 0.95)
    for divergence, mode in EVERY:
        solution = robust_value_iteration(mdp, Robustness(divergence, 0.2, mode), tol=1e-5)
        assert solution.ok


# ------------------------------------------------------------- products and mutants


@pytest.mark.parametrize("divergence", ["tv", "kl"])
@pytest.mark.parametrize("price", [1e-12, 1e-6, 1e-2, 0.3, 10.0, 1e6, 1e12])
def test_products_bound_what_rows_bound(divergence: Divergence, price: float):
    rng = np.random.default_rng(13)
    p = rng.dirichlet(np.full(9, 0.2), 30)
    p[rng.random(p.shape) < 0.3] = 0.0
    p[:, 4] += 1e-9
    p /= p.sum(axis=-1, keepdims=True)
    V, strength = rng.normal(size=9) * 1e3, np.full(30, price)
    dense = Rows.dense(p)
    mask = p > 0
    sparse = Rows(
        np.concatenate([[0], np.cumsum(mask.sum(axis=1))]),
        np.broadcast_to(np.arange(9, dtype=np.int32), p.shape)[mask],
        p[mask],
    )
    truth = solve_rows(divergence, "penalty", strength, dense, V)
    for rows in (dense, sparse, sparse.take(np.arange(30)), dense.take(np.arange(30))):
        low, high = bounds_by_product(divergence, strength, rows, V)
        assert (low <= truth.upper).all()
        assert (truth.lower <= high).all()
        assert (high - low <= 1e-11 * 1e3).all()
    exact = [float(oracle.infimum(divergence, "penalty", price, row.tolist(), V.tolist()))
             for row in p[:5]]  # fmt: skip
    assert truth.value[:5] == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("np.min(L - V), np.max(U - V)", "np.max(L - V), np.min(U - V)"),
        ("gamma * (extreme / (1 - gamma))", "gamma * extreme"),
        ("np.maximum.reduceat(high", "np.minimum.reduceat(high"),
        ("self.strength = self.strength[pair]", "self.strength = 0 * self.strength[pair]"),
    ],
)
def test_mutants_are_caught(old: str, new: str):
    mdp, robustness = model(14, gamma=0.6), Robustness("chi2", 0.4, "ball")
    truth = quietly(mdp, robustness, tol=1e-11)

    def faults(solver: Any) -> int:
        count = 0
        policy = truth.policy
        for most, chosen in ((1, None), (25, None), (1000, None), (1000, policy)):
            found = solver(mdp, robustness, max_iterations=most, tol=1e-9, policy=chosen)
            count += int((found.lower > truth.upper).any() or (truth.lower > found.upper).any())
            count += int((found.lower > found.upper).any())
        return count

    assert faults(module.robust_value_iteration) == 0
    assert faults(mutant(module, (old, new)).robust_value_iteration) > 0
