"""The contracts users import: they pass on good models and solvers, and catch broken ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings

import solvers
from mdplib import DeterministicPolicy, InvalidModelError, Solution, Status, TabularMDP
from mdplib.testing import (
    check_model,
    check_solver,
    finite_horizon_mdps,
    random_mdp,
    tabular_mdps,
)
from tests import oracles


def draws(n: int, **options: Any) -> list[TabularMDP]:
    return [random_mdp(np.random.default_rng([5, i]), **options) for i in range(n)]


MODELS = draws(12, gammas=[0.9])


# ------------------------------------------------------------------------ the family


def test_the_same_generator_gives_the_same_models():
    for finite in (False, True):
        a = random_mdp(np.random.default_rng(1), finite_horizon=finite)
        assert a == random_mdp(np.random.default_rng(1), finite_horizon=finite)
        assert a != random_mdp(np.random.default_rng(2), finite_horizon=finite)


@given(tabular_mdps(max_states=3, max_actions=2, gammas=(0.75,)))
def test_strategies_keep_their_limits(mdp: TabularMDP):
    assert mdp.n_states <= 3
    assert np.diff(mdp.state_ptr).max() <= 2
    assert mdp.gamma == 0.75


@given(finite_horizon_mdps(max_states=2, max_horizon=3))
def test_strategies_of_finite_horizon_keep_their_limits(mdp: TabularMDP):
    assert mdp.n_states <= 2
    assert mdp.horizon in (1, 2, 3)


FEATURES: dict[str, Callable[[TabularMDP], Any]] = {
    "varying action sets": lambda m: np.unique(np.diff(m.state_ptr)).size > 1,
    "gaps in the identifiers": lambda m: m.action_id.max() >= np.diff(m.state_ptr).max(),
    "stored zero": lambda m: (m.data == 0).any(),
    "tiny probability": lambda m: ((m.data > 0) & (m.data < 1e-11)).any(),
    "row sum above one": lambda m: m.row_sum_bounds[0] > 1 or m.row_sum_bounds[1] > 1 + 1e-11,
    "row sum below one": lambda m: m.row_sum_bounds[0] < 1 - 1e-11,
    "two rewards far apart": lambda m: 0 < np.abs(m.reward).min() * 1e9 < np.abs(m.reward).max(),
    "gamma next to one": lambda m: m.gamma > 1 - 1e-8,
    "gamma zero": lambda m: m.gamma == 0,
    "initial law": lambda m: m.initial is not None,
}


@pytest.mark.parametrize("name", FEATURES)
def test_the_family_has_it(name: str):
    assert sum(bool(FEATURES[name](mdp)) for mdp in draws(300)) >= 10


@pytest.mark.parametrize("name", ["stored zero", "tiny probability", "row sum above one"])
def test_examples_shrink(name: str):
    """Hypothesis finds the feature and reduces it to a model of at most two states."""
    options = settings(max_examples=500, database=None, derandomize=True)
    models = tabular_mdps(max_states=4, max_actions=2)
    assert find(models, FEATURES[name], settings=options).n_states <= 2


def test_finite_horizon_draws_have_all_three_kinds():
    kinds = {
        (m.stationary, m.reward.ndim) for m in draws(60, finite_horizon=True) if m.horizon != 1
    }
    assert kinds == {(True, 1), (True, 2), (False, 1)}


# ------------------------------------------------------------------------ check_model


class _Writable(TabularMDP):
    """Forgets to freeze."""

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "data", self.data.copy())


class _Careless(TabularMDP):
    """Fingerprint that does not see the rewards."""

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return str(self.n_pairs)


class _Unsure(TabularMDP):
    """Row sums claimed to be one."""

    row_sum_bounds = (1.0, 1.0)  # type: ignore[assignment]


class _Shuffled(TabularMDP):
    """Export with two rewards exchanged."""

    def to_quantecon(self):  # type: ignore[override]
        R, *rest = super().to_quantecon()
        return R[::-1], *rest


def rebuilt(kind: type[TabularMDP], mdp: TabularMDP) -> TabularMDP:
    return kind(**{f.name: getattr(mdp, f.name) for f in dataclasses.fields(mdp)})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (_Writable, "data can be written to"),
        (_Careless, "equal fingerprints"),
        (_Unsure, "sums outside row_sum_bounds"),
        (_Shuffled, "to_quantecon and back gives another model"),
    ],
)
def test_broken_models_are_caught(kind: type[TabularMDP], message: str):
    P = np.array([[[0.1, 0.2, 0.7], [1 + 5e-10, 0, 0]]] * 3)
    good = TabularMDP.from_dense(P, np.arange(6.0).reshape(3, 2), 0.5)
    check_model(good)
    with pytest.raises(AssertionError, match=message):
        check_model(rebuilt(kind, good))


# ------------------------------------------------------------------------ check_solver


TABULAR = {"discounted", "finite_horizon"}


@pytest.mark.parametrize(
    "method", [n for n, m in solvers.METHODS.items() if TABULAR & {*m.requires}]
)
def test_good_solvers_pass(method: str):
    def solver(mdp: TabularMDP, /, *, tol: float) -> Solution:
        return solvers.solve(mdp, method, tol=tol)

    finite = "finite_horizon" in solvers.METHODS[method].requires
    models = draws(8, finite_horizon=finite, gammas=[1.0, 0.5] if finite else [0.9, 0.0])
    check_solver(solver, models)
    check_solver(solver, models, tol=1e-300)
    check_solver(solver, models, exact_value=oracles.optimum)


def shifted(solution: Solution, low: float, high: float) -> Solution:
    lower, upper = solution.lower + low, solution.upper + high
    return dataclasses.replace(solution, lower=lower, upper=upper, value=0.5 * (lower + upper))


def worst(mdp: TabularMDP) -> DeterministicPolicy:
    """The policy that takes the least immediate reward."""
    pair = [
        a + int(np.argmin(mdp.reward[a:b]))
        for a, b in zip(mdp.state_ptr[:-1], mdp.state_ptr[1:], strict=True)
    ]
    return DeterministicPolicy.from_pairs(mdp, pair)


BROKEN: dict[str, tuple[Callable[[Solution, TabularMDP], Solution], str]] = {
    "bounds too high": (lambda s, m: shifted(s, 1, 1), "the optimal value"),
    "bounds too low": (lambda s, m: shifted(s, -1, -1), "the optimal value"),
    "crossed": (lambda s, m: dataclasses.replace(s, lower=s.upper + 1), "value outside the bounds"),
    "too modest": (lambda s, m: shifted(s, -1, 1), "the status is OPTIMAL but the gap"),
    "status": (
        lambda s, m: dataclasses.replace(s, status=Status.TIME_LIMIT),
        "the status is TIME_LIMIT but",
    ),
    "not a number": (
        lambda s, m: dataclasses.replace(s, upper=np.full_like(s.upper, np.nan)),
        "upper is not finite",
    ),
    "shape": (lambda s, m: dataclasses.replace(s, lower=s.lower[:, None]), "lower has shape"),
    "policy": (lambda s, m: dataclasses.replace(s, policy=worst(m)), "the policy's own value"),
    "actions": (
        lambda s, m: dataclasses.replace(
            s,
            policy=DeterministicPolicy(s.policy.pair, s.policy.action + 9),  # type: ignore[union-attr]
        ),
        "the policy takes",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("reference", [None, oracles.optimum])
def test_broken_solvers_are_caught(name: str, reference: Any):
    change, message = BROKEN[name]

    def solver(mdp: TabularMDP, /, *, tol: float) -> Solution:
        return change(solvers.policy_iteration(mdp, tol=tol), mdp)

    with pytest.raises(AssertionError, match=message):
        check_solver(solver, MODELS, tol=1e-3, exact_value=reference)


def test_a_solver_that_writes_to_the_model_is_caught():
    def solver(mdp: TabularMDP, /, *, tol: float) -> Solution:
        mdp.reward.flags.writeable = True
        mdp.reward[0] += 1.0
        return solvers.policy_iteration(mdp, tol=tol)

    with pytest.raises(AssertionError, match="the solver wrote to the model"):
        check_solver(solver, draws(1))


def test_a_solver_that_varies_is_caught():
    calls = iter(range(100))

    def solver(mdp: TabularMDP, /, *, tol: float) -> Solution:
        V0 = np.full(mdp.n_states, float(next(calls)))
        return solvers.value_iteration(mdp, tol=tol, V0=V0)

    with pytest.raises(AssertionError, match="two calls differ"):
        check_solver(solver, MODELS)


def test_errors_of_the_solver_come_through():
    def solver(mdp: TabularMDP, /, *, tol: float) -> Solution:
        raise InvalidModelError("no")

    with pytest.raises(InvalidModelError, match="no"):
        check_solver(solver, MODELS)
