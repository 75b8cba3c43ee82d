"""Topological value iteration: bounds against exact rationals, and one pass where there is none
but trivial cycles."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mdplib import NotApplicableError, TabularMDP, _kernels
from mdplib.testing import random_mdp
from solvers import modified_policy_iteration
from solvers.tabular import topological as module
from solvers.tabular.topological import topological
from tests import oracles
from tests.mutation import mutant

SEED, TOL = 2011, 1e-6


def complaints(solver, mdp: TabularMDP, **options) -> list[tuple]:
    """Everything wrong with bounds and policy, in exact arithmetic."""
    solution = solver(mdp, tol=TOL, **options)
    found = oracles.outside(solution.lower, solution.upper, oracles.optimum(mdp))
    own = oracles.policy_value(mdp, solution.policy)
    found += oracles.outside(solution.lower, solution.upper, own)
    return found if solution.ok == (solution.gap <= TOL) else [*found, (solution.status,)]


def layered(layers: int, width: int, gamma: float, seed: int = 0) -> TabularMDP:
    """Groups of states that only lead on: cycles within a group, none between groups."""
    rng = np.random.default_rng([SEED, seed])

    def outcomes(s: int, a: int):
        layer = s // width
        after = min(layer + 1, layers - 1)
        yield 0.5, layer * width + int(rng.integers(width)), float(rng.integers(-4, 5))
        yield 0.5, after * width + int(rng.integers(width)), float(a)

    return TabularMDP.from_function(outcomes, 2, layers * width, gamma)


def test_bounds_and_policy_on_random_models():
    wrong = []
    for i in range(150):
        mdp = random_mdp(np.random.default_rng([SEED, i]), max_states=6)
        wrong += [(i, x) for x in complaints(topological, mdp)]
    assert not wrong, (len(wrong), wrong[:3])


@pytest.mark.parametrize("seed", range(10))
def test_bounds_and_policy_on_layers(seed: int):
    assert complaints(topological, layered(5, 3, 0.99, seed)) == []


def test_one_pass_suffices_without_cycles():
    """A corridor with a loop at every place: closed form, however near to one gamma is."""
    n, gamma = 50, 0.99999
    mdp = TabularMDP.from_dict(
        {
            s: {0: [(0.5, s, 0.0), (0.5, min(s + 1, n - 1), 0.0)], 1: [(1.0, s, s / 64)]}
            for s in range(n)
        },
        gamma,
    )
    solution = topological(mdp, tol=1e-3)
    assert solution.ok
    assert solution.stats.iterations <= 2
    assert "50 of one state" in solution.stats.log[0]
    assert oracles.outside(solution.lower, solution.upper, oracles.optimum(mdp)) == []


def test_layers_are_solved_with_less_work_than_the_whole():
    mdp = layered(100, 10, 0.9999)
    parts = topological(mdp, tol=1e-3)
    whole = modified_policy_iteration(mdp, tol=1e-3)
    assert parts.ok
    assert whole.ok
    assert np.all(parts.lower <= whole.upper)
    assert np.all(whole.lower <= parts.upper)
    assert parts.stats.iterations < whole.stats.iterations


def test_zero_probabilities_make_no_cycle():
    mdp = TabularMDP.from_sparse(
        __import__("scipy.sparse", fromlist=["csr_array"]).csr_array(
            (np.array([0.0, 1.0, 0.0, 1.0]), np.array([0, 1, 0, 1]), np.array([0, 2, 4]))
        ),
        [1.0, 2.0],
        [0, 1],
        [0, 0],
        0.5,
    )
    solution = topological(mdp, tol=1e-9)
    assert "2 strong components" in solution.stats.log[0]
    assert oracles.outside(solution.lower, solution.upper, [Fraction(3), Fraction(4)]) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "best = max(best, (reward[k] + gamma * total) / (1.0 - gamma * own))",
            "best = max(best, reward[k] + gamma * total)",
        ),
        ("shift = max(low, 0.0) / (1.0 - gamma * least)", "shift = max(high, 0.0) / (1.0 - gamma)"),
        ("return gamma * (high - max(low, 0.0))", "return 0.0"),
    ],
)
def test_mutants_of_the_kernels_lose_the_single_pass(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
):
    """No mutant can break the bounds: the certificate does not trust the kernel."""
    mdp = layered(6, 3, 0.99)
    good = topological(mdp, tol=1e-4)
    from mdplib._kernels import elimination

    bad = mutant(
        elimination,
        ("from mdplib._kernels.compile import kernel", "kernel = lambda function: function"),
        (old, new),
    )
    monkeypatch.setattr(_kernels, "elimination", bad)
    solution = topological(mdp, tol=1e-4, max_iterations=20 * good.stats.iterations)
    assert oracles.outside(solution.lower, solution.upper, oracles.optimum(mdp)) == []
    assert solution.stats.iterations > good.stats.iterations or not solution.ok


def test_mutant_with_the_order_reversed_needs_more_passes():
    bad = mutant(
        module,
        ("np.argsort(label, kind", "np.argsort(-label, kind"),
        ("label[part], np.arange", "-label[part], -np.arange"),
        ("(count + 1)).astype", "(count + 1) - 0.5).astype"),
    )
    try:
        worse = bad.topological(layered(6, 3, 0.99), tol=1e-6, max_iterations=400)
        good = topological(layered(6, 3, 0.99), tol=1e-6)
        assert worse.stats.iterations > good.stats.iterations
    except IndexError:
        pass


def test_limits_and_refusals():
    mdp = layered(6, 4, 0.999)
    limited = topological(mdp, tol=1e-9, max_iterations=1)
    assert limited.status.name == "ITERATION_LIMIT"
    assert oracles.outside(limited.lower, limited.upper, oracles.optimum(mdp)) == []
    assert topological(mdp, tol=1e-9, time_limit=0.0).status.name == "TIME_LIMIT"
    assert topological(mdp, tol=1e-15).status.name == "ROUNDING_LIMIT"
    with pytest.raises(NotApplicableError, match="topological needs an infinite horizon"):
        topological(mdp.replace(horizon=3))
