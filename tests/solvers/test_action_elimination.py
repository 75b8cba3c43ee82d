"""Action elimination: bounds against exact rationals, and no pair of an optimal policy is lost."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mdplib import NotApplicableError, TabularMDP
from mdplib.testing import random_mdp
from solvers.tabular import action_elimination as module
from solvers.tabular.action_elimination import action_elimination, restricted, undominated
from tests import oracles
from tests.mutation import mutant

SEED, TOL = 1967, 1e-6


def draw(i: int) -> TabularMDP:
    return random_mdp(np.random.default_rng([SEED, i]), max_states=6)


def complaints(solver, mdp: TabularMDP, **options) -> list[tuple]:
    """Everything wrong with bounds and policy, in exact arithmetic."""
    solution = solver(mdp, tol=TOL, **options)
    found: list[Any] = oracles.outside(solution.lower, solution.upper, oracles.optimum(mdp))
    own = oracles.policy_value(mdp, solution.policy)
    found += oracles.outside(solution.lower, solution.upper, own)
    if not np.array_equal(mdp.pair_state[solution.policy.pair], np.arange(mdp.n_states)):
        found.append(("pairs of other states",))
    return found if solution.ok == (solution.gap <= TOL) else [*found, (solution.status,)]


def wide() -> TabularMDP:
    """Fifteen states, 12 actions each: most of them are soon seen to be bad."""
    rng = np.random.default_rng(SEED)
    P = rng.dirichlet(np.ones(15) / 4, size=(15, 12))
    return TabularMDP.from_dense(P, rng.random((15, 12)), 0.95)


def test_bounds_and_policy_on_random_models():
    wrong = [
        (i, x)
        for i in range(150)
        for x in complaints(action_elimination, draw(i), max_iterations=60)
    ]
    assert not wrong, (len(wrong), wrong[:3])


def test_dropped_pairs_are_never_optimal():
    """With bounds a random distance away, the pairs that stay contain every optimal one."""
    rng, dropped = np.random.default_rng(SEED), 0
    for i in range(150):
        mdp = draw(i)
        exact: Any = oracles.optimum(mdp)
        plain = oracles.plain(mdp, Fraction)
        scale = float(max(abs(x) for x in exact)) + 1e-3
        for width in (0.0, 1e-15, 1e-12, 1e-3):
            value = np.array([float(x) for x in exact])
            room = scale * (width * rng.random((2, value.size)) + 2.0**-51)
            keep = undominated(mdp, value - room[0], value + room[1])
            dropped += np.count_nonzero(~keep)
            k = 0
            for s, choices in enumerate(plain.choices[0]):
                for choice in choices:
                    assert keep[k] or oracles.q(plain, choice, exact) < exact[s], (i, s, k)
                    k += 1
    assert dropped > 500


def test_most_pairs_go_and_the_policy_is_that_of_the_whole_model():
    mdp = wide()
    solution = action_elimination(mdp, tol=1e-9)
    assert solution.ok
    assert solution.provenance.model == mdp.fingerprint
    assert "macqueen1967:elimination" in solution.guarantees
    left = int(solution.stats.log[-1].split(":")[1].split(" of ")[0])
    assert left < mdp.n_pairs / 4
    exact = oracles.optimum(mdp)
    assert oracles.outside(solution.lower, solution.upper, exact) == []
    own = oracles.policy_value(mdp, solution.policy)
    assert oracles.outside(solution.lower, solution.upper, own) == []


def test_restriction_keeps_rows():
    mdp = wide()
    keep = np.ones(mdp.n_pairs, dtype=bool)
    keep[1::2] = False
    P, r = mdp.to_dense()
    Q, q = restricted(mdp, keep).to_dense()
    half = np.arange(0, 12, 2)
    assert np.array_equal(P[:, half], Q[:, half] if Q.shape[1] > 6 else Q)
    assert np.array_equal(r[:, half], q[:, half] if q.shape[1] > 6 else q)


@pytest.mark.parametrize(
    "change",
    [
        ("q = operators.q_values(mdp, upper)", "q = operators.q_values(mdp, lower)"),
        ("mdp.reward[pair]", "mdp.reward[: pair.size]"),
        ("DeterministicPolicy.from_actions(mdp, policy.action)", "policy"),
    ],
)
def test_mutants_are_caught(change: tuple[str, str]):
    bad = mutant(module, change)
    assert complaints(action_elimination, wide()) == []

    def caught() -> bool:
        try:
            return bool(complaints(bad.action_elimination, wide(), max_iterations=3000))
        except (KeyError, StopIteration, ValueError):
            return True

    assert caught() or not keeps_every_optimal_pair(bad)


def keeps_every_optimal_pair(solver) -> bool:
    """Whether the way to a state of uncertain value stays; V* = (2, 4)."""
    mdp = TabularMDP.from_dict(
        {0: {0: [(1.0, 1, 0.0)], 1: [(1.0, 0, 0.9)]}, 1: {0: [(1.0, 1, 2.0)]}}, 0.5
    )
    return bool(solver.undominated(mdp, np.array([1.9, 0.0]), np.array([2.1, 4.5]))[0])


def test_a_pair_with_uncertain_successors_stays():
    assert keeps_every_optimal_pair(module)


def test_refuses_a_finite_horizon():
    with pytest.raises(NotApplicableError, match="action_elimination needs an infinite horizon"):
        action_elimination(wide().replace(horizon=3))


def corridor(n: int) -> TabularMDP:
    """Step right, or left at a loss; a reward at the end: one pair per state is soon left."""

    def outcomes(s: int, a: int):
        yield 0.75, min(s + 1, n - 1) if a else max(s - 1, 0), float(s == n - 1) - 2.0 * (a == 0)
        yield 0.25, s, 0.0

    return TabularMDP.from_function(outcomes, 2, n, 0.999)


@pytest.mark.parametrize(
    "change",
    [
        None,
        ("return (x if np.isfinite(x).all() else V), n + 1", "return 1e9 - x, n + 1"),
        ("return (x if np.isfinite(x).all() else V), n + 1", "return x * np.nan, n + 1"),
    ],
)
def test_the_last_policy_is_evaluated_and_a_useless_solve_does_no_harm(
    change: tuple[str, str] | None,
):
    solver = module if change is None else mutant(module, change)
    mdp = corridor(30)
    solution = solver.action_elimination(mdp, tol=1e-6)
    assert solution.ok
    assert oracles.outside(solution.lower, solution.upper, oracles.optimum(mdp)) == []
    assert "30 of" in solution.stats.log[-1]
    sweeps = solution.stats.iterations
    assert (sweeps < 85) == (change is None), sweeps
