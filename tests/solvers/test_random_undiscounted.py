"""Undiscounted solvers on random models: exact values, policies and brackets, no exception allowed.

The exact solver equals the oracle and its policy attains the value; a bracket in floating point
contains both the value and that of its policy. Some hundred models in the quick run, 25,000 per
criterion and objective in the slow one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, get_args

import numpy as np
import pytest

from mdplib import Solution, Status, UndiscountedMDP
from mdplib.errors import NotApplicableError
from mdplib.rational import rationals
from mdplib.solution import widths
from solvers.undiscounted.certified_policy_iteration import certified_policy_iteration
from solvers.undiscounted.exact import exact_undiscounted
from solvers.undiscounted.interval_iteration import interval_iteration
from solvers.undiscounted.optimistic_value_iteration import optimistic_value_iteration
from tests import undiscounted_oracle as oracle
from tests.undiscounted_family import Criterion, Objective, random_undiscounted, simple

SEED = 41_503
QUICK, SLOW, BLOCKS = 75, 25_000, 10
TOL, ENOUGH = 1e-6, 300
SOLVERS = {
    "exact": exact_undiscounted,
    "certified_policy_iteration": certified_policy_iteration,
    "interval_iteration": interval_iteration,
    "optimistic_value_iteration": optimistic_value_iteration,
}
KINDS = [(c, o) for c in get_args(Criterion) for o in get_args(Objective)]


@lru_cache(maxsize=4096)
def instance(criterion: Criterion, objective: Objective, i: int) -> UndiscountedMDP:
    """Model number i of a kind."""
    place = KINDS.index((criterion, objective))
    return random_undiscounted(np.random.default_rng([SEED, place, i]), criterion, objective)


@lru_cache(maxsize=4096)
def truth(mdp: UndiscountedMDP) -> tuple[list[Any], bool]:
    """The optimal value, and whether the problem is one that solvers must refuse."""
    return oracle.optimum(mdp), oracle.mixed(mdp) and oracle.may_miss(mdp)


def inside(low: float, x: Fraction | float, high: float) -> bool:
    """Whether ``low <= x <= high``, infinities included."""
    if isinstance(x, float):
        return low <= x <= high
    return (low == -math.inf or (math.isfinite(low) and Fraction(low) <= x)) and (
        high == math.inf or (math.isfinite(high) and x <= Fraction(high))
    )


def complaints(mdp: UndiscountedMDP, optimum: Sequence[Any], solution: Solution) -> list[str]:
    """Everything that is not true about a solution."""
    own = oracle.chain_value(oracle.plain(mdp), solution.policy.pair.tolist())  # type: ignore[union-attr]
    low, high = solution.lower.tolist(), solution.upper.tolist()
    found = [
        f"{what} at {s}: {x} outside [{low[s]!r}, {high[s]!r}]"
        for what, value in (("V*", optimum), ("V^pi", own))
        for s, x in enumerate(value)
        if not inside(low[s], x, high[s])
    ]
    if solution.exact is not None:
        if list(solution.exact) != list(optimum):
            found.append("exact is not V*")
        if own != list(optimum):
            found.append("the policy does not attain V*")
        if not np.all(np.nextafter(solution.lower, np.inf) >= solution.upper):
            found.append("the bounds are not neighbours")
    if not np.all((solution.lower <= solution.value) & (solution.value <= solution.upper)):
        found.append("value outside its own bounds")
    wanted = TOL * (1 + np.abs(np.where(np.isfinite(low), low, 0.0)))
    if solution.status is Status.OPTIMAL and solution.exact is None:
        too_wide = widths(solution.lower, solution.upper) > wanted * (1 + 1e-12)
        found += [f"OPTIMAL and too wide at {s}" for s in np.flatnonzero(too_wide)]
    return found


def options(method: str) -> dict[str, Any]:
    limited = method in ("interval_iteration", "optimistic_value_iteration")
    return {"tol": TOL, "rtol": TOL} | ({"max_iterations": ENOUGH} if limited else {})


def run(method: str, criterion: Criterion, objective: Objective, numbers: range) -> None:
    wrong = []
    for i in numbers:
        mdp = instance(criterion, objective, i)
        optimum, refused = truth(mdp)
        try:
            solution = SOLVERS[method](mdp, **options(method))
        except NotApplicableError:
            one_sign = method == "optimistic_value_iteration" and oracle.mixed(mdp)
            found = [] if refused or one_sign else ["refused"]
        else:
            found = ["not refused"] if refused else complaints(mdp, optimum, solution)
        if found:
            wrong.append((i, found))
    assert not wrong, f"{len(wrong)} of {len(numbers)} models, the first: {wrong[0]}"


@pytest.mark.parametrize("method", SOLVERS)
@pytest.mark.parametrize(("criterion", "objective"), KINDS)
def test_solutions_are_true(criterion: Criterion, objective: Objective, method: str):
    run(method, criterion, objective, range(QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("method", SOLVERS)
@pytest.mark.parametrize(("criterion", "objective"), KINDS)
def test_solutions_are_true_on_many_models(
    criterion: Criterion, objective: Objective, method: str, block: int
):
    size = SLOW // BLOCKS
    run(method, criterion, objective, range(block * size, (block + 1) * size))


def test_simple_fractions_are_read_from_the_floats():
    """Without the exact numbers beside them, the floats of simple models give the same value."""
    count = 0
    for criterion, objective in KINDS:
        for i in range(QUICK):
            mdp = instance(criterion, objective, i)
            if max(p.denominator for p in mdp.rational or ()) > 10**6 or truth(mdp)[1]:
                continue
            assert rationals(simple(mdp)) == (mdp.rational, mdp.rational_reward)
            assert list(exact_undiscounted(simple(mdp)).exact or ()) == truth(mdp)[0]
            count += 1
    assert count > 2 * QUICK


def test_the_family_is_awkward():
    """The draws contain what they are meant to contain."""
    models = [instance(c, o, i) for c, o in KINDS for i in range(QUICK)]
    values = [truth(m)[0] for m in models]
    n = len(models)
    assert sum(any(x == math.inf for x in v) for v in values) > n / 10
    assert sum(any(x == -math.inf for x in v) for v in values) > n / 50
    assert (
        sum(any(isinstance(x, Fraction) and x.denominator > 1 for x in v) for v in values) > n / 5
    )
    assert sum(min(p for p in m.rational or () if p) < Fraction(1, 10**5) for m in models) > n / 20
    assert sum(bool((m.data == 0).any()) for m in models) > n / 10
    assert sum(not np.any(m.target) for m in models) > n / 100
    assert sum(np.unique(np.diff(m.state_ptr)).size > 1 for m in models) > n / 4
    assert sum(truth(m)[1] for m in models) > n / 50
    ties = sum(any(row_of(m, k) == row_of(m, k + 1) for k in range(m.n_pairs - 1)) for m in models)
    assert ties > n / 10


def row_of(mdp: UndiscountedMDP, k: int) -> tuple[Any, ...]:
    a, b = int(mdp.indptr[k]), int(mdp.indptr[k + 1])
    reward = 0.0 if mdp.reward is None else float(mdp.reward[k])
    return mdp.pair_state[k], reward, *mdp.indices[a:b].tolist(), *mdp.data[a:b].tolist()


def test_a_wrong_solution_is_noticed():
    mdp = instance("reachability", "max", 3)
    optimum, _ = truth(mdp)
    solution = exact_undiscounted(mdp)
    assert complaints(mdp, optimum, solution) == []
    above = np.nextafter(solution.upper, np.inf)
    for change in (
        {"lower": above, "upper": above},
        {"value": above},
        {"exact": tuple(x + Fraction(1, 2**1000) for x in solution.exact or ())},
    ):
        assert complaints(mdp, optimum, dataclasses.replace(solution, **change))


def test_mutant_without_collapsed_components_is_noticed():
    """Iteration from above on the model as it is sticks at the wrong fixed point."""
    wrong = 0
    for i in range(QUICK):
        mdp = instance("reachability", "max", i)
        target = np.asarray(mdp.target)
        V = np.ones(mdp.n_states)
        for _ in range(2000):
            q = np.add.reduceat(mdp.data * V[mdp.indices], mdp.indptr[:-1])
            V = np.where(target, 1.0, np.maximum.reduceat(q, mdp.state_ptr[:-1]))
        optimum = truth(mdp)[0]
        mutant = dataclasses.replace(
            exact_undiscounted(mdp), lower=V - 1e-9, value=V, upper=V + 1e-9, exact=None
        )
        wrong += bool(complaints(mdp, optimum, mutant))
    assert wrong > QUICK / 10
