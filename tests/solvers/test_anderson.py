"""Anderson acceleration: bounds against exact rationals, the safeguard, and the speed it buys."""

from __future__ import annotations

import numpy as np
import pytest

from mdplib import InvalidModelError, NotApplicableError, TabularMDP
from mdplib.testing import random_mdp
from solvers import value_iteration
from solvers.tabular import anderson as module
from solvers.tabular.anderson import Mixing, anderson
from tests import oracles
from tests.mutation import mutant

SEED, TOL = 1965, 1e-6


def complaints(solver, mdp: TabularMDP, **options) -> list[tuple]:
    """Everything wrong with bounds and policy, in exact arithmetic."""
    solution = solver(mdp, tol=TOL, **options)
    found = oracles.outside(solution.lower, solution.upper, oracles.optimum(mdp))
    own = oracles.policy_value(mdp, solution.policy)
    found += oracles.outside(solution.lower, solution.upper, own)
    return found if solution.ok == (solution.gap <= TOL) else [*found, (solution.status,)]


def blocks(count: int, size: int, gamma: float) -> TabularMDP:
    """Blocks of states that mix fast, and hardly with each other."""
    rng = np.random.default_rng(SEED)
    n = count * size
    P = np.zeros((n, 2, n))
    for s in range(n):
        first = s // size * size
        for a in range(2):
            P[s, a, first : first + size] = rng.dirichlet(np.ones(size)) * 0.998
            P[s, a, rng.integers(n)] += 0.002
    return TabularMDP.from_dense(P, rng.random((n, 2)) + np.arange(n)[:, None] // size, gamma)


def swim(n: int, gamma: float) -> TabularMDP:
    """Swim against the current: rewards at both ends, values of very different sizes."""

    def outcomes(s: int, a: int):
        if a == 0:
            yield 1.0, max(s - 1, 0), 0.005 * (s == 0)
        else:
            yield 0.35, min(s + 1, n - 1), 1.0 * (s == n - 1)
            yield 0.6, s, 1.0 * (s == n - 1)
            yield 0.05, max(s - 1, 0), 1.0 * (s == n - 1)

    return TabularMDP.from_function(outcomes, 2, n, gamma)


def test_bounds_and_policy_on_random_models():
    wrong = []
    for i in range(150):
        mdp = random_mdp(np.random.default_rng([SEED, i]), max_states=6)
        wrong += [(i, x) for x in complaints(anderson, mdp, memory=i % 5, max_iterations=60)]
    assert not wrong, (len(wrong), wrong[:3])


def test_steps_that_overshoot_are_rejected():
    mdp = swim(60, 0.9999)
    solution = anderson(mdp, tol=1e-6)
    assert solution.ok
    assert not solution.stats.log[0].startswith("0 ")
    assert oracles.outside(solution.lower, solution.upper, oracles.optimum(mdp)) == []


def test_nearly_decomposable_models_need_far_fewer_sweeps():
    mdp = blocks(4, 10, 0.999)
    fast, plain = anderson(mdp, tol=1e-6), value_iteration(mdp, tol=1e-6)
    assert fast.ok
    assert plain.ok
    assert fast.stats.iterations < plain.stats.iterations / 10
    assert np.all(fast.lower <= plain.upper)
    assert np.all(plain.lower <= fast.upper)


def test_no_memory_is_value_iteration():
    mdp = blocks(3, 5, 0.9)
    assert anderson(mdp, memory=0).stats.trace == value_iteration(mdp).stats.trace


def test_a_linear_map_is_solved_in_as_many_steps_as_it_has_eigenvalues():
    """x = A x + b with three eigenvalues: exact after three differences, whatever the size."""
    rng = np.random.default_rng(SEED)
    basis, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    basis[:, 0] = 1 / np.sqrt(12)
    basis, _ = np.linalg.qr(basis)  # the constants are an eigenspace: their mean is removed
    A = basis @ np.diag([0.5] + [0.9] * 5 + [0.3] * 6) @ basis.T
    b = rng.normal(size=12)
    mixing, x = Mixing(4), np.zeros(12)
    for _ in range(5):
        x = mixing.step(A @ x + b, A @ x + b - x)
    f = A @ x + b - x
    assert np.max(np.abs(f - f.mean())) < 1e-10


def test_the_ring_forgets_the_oldest_difference():
    rng = np.random.default_rng(SEED)
    long, short = Mixing(3), Mixing(3)
    seen = [(rng.normal(size=8), rng.normal(size=8)) for _ in range(9)]
    a = [long.step(image, residual) for image, residual in seen][-1]
    b = [short.step(image, residual) for image, residual in seen[-4:]][-1]
    assert np.max(np.abs(a - b)) < 1e-9


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("found.gap > _GROWTH * best.gap", "False"),
        ("return image - np.einsum", "return image + np.einsum"),
        ("residual = residual - residual.mean()", "residual = 0 * residual"),
    ],
)
def test_mutants_are_slower_but_never_wrong(old: str, new: str):
    """The certificate does not depend on the step, only the speed does."""
    mdp = swim(60, 0.9999) if new == "False" else blocks(4, 10, 0.999)
    good = anderson(mdp, tol=1e-6)
    bad = mutant(module, (old, new)).anderson(
        mdp, tol=1e-6, max_iterations=good.stats.iterations + 1
    )
    assert good.ok
    assert not bad.ok
    assert oracles.outside(bad.lower, bad.upper, oracles.optimum(mdp)) == []


def test_refusals():
    mdp = blocks(1, 3, 0.9)
    with pytest.raises(InvalidModelError, match="memory is -1"):
        anderson(mdp, memory=-1)
    with pytest.raises(NotApplicableError, match="anderson needs an infinite horizon"):
        anderson(mdp.replace(horizon=3))
