"""Every solver on random models of the awkward family: certificates against exact rationals.

No exception is allowed: the bounds contain the exact optimal value of every state, the exact
value of the policy lies in them too, and the status says the truth. Some hundred models in the
quick run, 10,000 per method in the slow one.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

import solvers
from mdplib import Solution, Status, TabularMDP
from mdplib.testing import random_mdp
from tests import oracles

SEED = 20_261
TOL = 1e-6
QUICK, SLOW, BLOCKS = 300, 10_000, 10
# Enough for most discount factors; the others must report the limit and keep their bounds.
LIMITED = {
    "value_iteration": 40,
    "gauss_seidel": 100,
    "modified_policy_iteration": 200,
    "anderson": 60,
    "action_elimination": 60,
}
KINDS = ("discounted", "finite_horizon")
PAIRS = [(n, k) for n, m in solvers.METHODS.items() for k in m.requires if k in KINDS]


@cache
def instance(kind: str, i: int) -> tuple[TabularMDP, Any]:
    """Model number i of a kind with its exact optimal value."""
    finite = kind == "finite_horizon"
    rng = np.random.default_rng([SEED, int(finite), i])
    mdp = random_mdp(rng, finite_horizon=finite, max_states=5 if finite else 7)
    return mdp, oracles.optimum(mdp)


def complaints(mdp: TabularMDP, exact: Any, solution: Solution) -> list[str]:
    """Everything that is not true about a solution."""
    found = []
    for what, value in (("V*", exact), ("V^pi", oracles.policy_value(mdp, solution.policy))):
        found += [
            f"{what} at {i}: {x!r} outside [{a!r}, {b!r}]"
            for i, a, x, b in oracles.outside(solution.lower, solution.upper, value)
        ]
    if solution.exact is not None and list(solution.exact) != oracles.flat(exact):
        found.append("exact is not V*")
    if not np.all((solution.lower <= solution.value) & (solution.value <= solution.upper)):
        found.append("value outside its own bounds")
    if (solution.status is Status.OPTIMAL) != (solution.gap <= TOL):
        found.append(f"{solution.status.name} with gap {solution.gap}")
    if solution.exact is None and solution.gap != np.max(solution.upper - solution.lower):
        found.append("gap is not the largest difference")
    return found


def run(method: str, kind: str, numbers: range) -> None:
    wrong = []
    for i in numbers:
        mdp, exact = instance(kind, i)
        solution = solvers.solve(mdp, method, tol=TOL, max_iterations=LIMITED.get(method))
        if found := complaints(mdp, exact, solution):
            wrong.append((i, mdp.gamma, found))
    assert not wrong, f"{len(wrong)} of {len(numbers)} models, the first: {wrong[0]}"


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_certificates_are_true(method: str, kind: str):
    run(method, kind, range(QUICK))


def test_vectors_narrower_than_the_bound_on_their_gap_count():
    """Values of 1e9: the bound on the gap stays above the tolerance, the vectors do not."""
    run("auto", "discounted", range(4519, 4520))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_certificates_are_true_on_many_models(method: str, kind: str, block: int):
    size = SLOW // BLOCKS
    run(method, kind, range(block * size, (block + 1) * size))


def test_the_family_is_awkward():
    """The draws contain what they are meant to contain."""
    models = [instance("discounted", i)[0] for i in range(QUICK)]
    assert len({m.gamma for m in models}) == 8
    assert sum(bool(np.any(np.diff(np.diff(m.state_ptr)))) for m in models) > QUICK / 4
    assert sum(m.nnz > np.count_nonzero(m.data) for m in models) > QUICK / 4
    assert sum(bool(np.any(m.data == 1e-12)) for m in models) > QUICK / 10
    off = [m.row_sum_bounds[1] > 1 + 1e-11 or m.row_sum_bounds[0] < 1 - 1e-11 for m in models]
    assert sum(off) > QUICK / 4
    assert {round(np.log10(m.max_reward)) for m in models if m.max_reward} >= {-6, 0, 6}
    ties = 0
    for m in models:
        model = oracles.plain(m)
        V = oracles.howard(model)
        for choices in model.choices[0]:
            ties += [oracles.q(model, c, V) for c in choices].count(
                max(oracles.q(model, c, V) for c in choices)
            ) > 1
    assert ties > QUICK / 2


def test_a_wrong_bound_is_noticed():
    mdp, exact = instance("discounted", 1)
    solution = solvers.solve(mdp, "exact")
    assert complaints(mdp, exact, solution) == []

    above = np.nextafter(solution.upper, np.inf)
    for change in (
        {"lower": above, "upper": above},
        {"value": above},
        {"status": Status.ROUNDING_LIMIT},
        {"exact": tuple(x + Fraction(1, 2**1000) for x in solution.exact or ())},
    ):
        assert complaints(mdp, exact, dataclasses.replace(solution, **change))
