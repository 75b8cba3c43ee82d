"""Undiscounted values of small models against the solvers, closed forms and fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import solvers
from bounds import Instance, Model
from bounds.catalogue import CATALOGUE
from bounds.hypotheses import allowance
from bounds.random_models import ragged
from bounds.undiscounted import (
    best_gain,
    best_reach,
    has_end_component,
    iterate,
    reach,
    reachability,
)
from mdplib import UndiscountedMDP


def arrays(model: Model, P: np.ndarray, r: np.ndarray | None, **more) -> UndiscountedMDP:
    """The model as the solvers take it."""
    rows, columns = np.nonzero(P)
    ptr = np.searchsorted(rows, np.arange(P.shape[0] + 1)).astype(np.int32)
    state_ptr = model.state_ptr.astype(np.int32)
    action = (np.arange(P.shape[0]) - np.repeat(state_ptr[:-1], np.diff(state_ptr))).astype(int)
    criterion = "average_reward" if r is not None else "reachability"
    make: Any = UndiscountedMDP
    return make(state_ptr, ptr, columns, P[rows, columns], action, criterion, reward=r, **more)


@pytest.mark.parametrize("seed", range(12))
def test_gains_agree_with_the_solver(seed: int):
    model = ragged(np.random.default_rng(seed), n_states=4, gamma=1.0)
    solution = solvers.solve(arrays(model, model.P, model.r), tol=1e-8)
    gain = best_gain(model.exact())
    assert all(isinstance(x, Fraction) for x in gain)
    for low, x, high in zip(solution.lower, gain, solution.upper, strict=True):
        assert low <= x <= high
    np.testing.assert_allclose(best_gain(model), gain.astype(float), atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_reachability_agrees_with_the_solver(seed: int):
    model = reachability(np.random.default_rng(seed), 3)
    n, pairs = model.n_states, model.n_pairs
    # Two more states with a loop each: the target, and the loss that takes what a row lacks.
    P = np.zeros((pairs + 2, n + 2))
    P[:pairs, :n], P[:pairs, n] = model.P, model.r
    P[:pairs, n + 1] = 1 - P[:pairs].sum(axis=1)
    P[pairs, n] = P[pairs + 1, n + 1] = 1.0
    whole = Model(P, np.zeros(pairs + 2), [*model.state_ptr, pairs + 1, pairs + 2], 1.0)
    solution = solvers.solve(arrays(whole, P, None, target=[n]), tol=1e-8)
    for low, x, high in zip(
        solution.lower, best_reach(model.exact()), solution.upper, strict=False
    ):
        assert low <= x <= high


def test_a_chain_and_who_reaches_whom():
    P = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert reach(P).tolist() == [[True, True, True], [False, True, True], [False, False, True]]


def test_an_end_component_keeps_the_iteration_above_the_value():
    """From 1 the iterates of a model with a loop never come down; the least fixed point is less."""
    model = Model([[1.0], [0.0]], [0.0, 0.25], [0, 2], 1.0)
    assert has_end_component(model)
    assert iterate(model, np.ones(1), 50)[0] == 1.0
    assert best_reach(model)[0] == 0.25


def test_an_undiscounted_instance_brings_its_norm(tmp_path):
    instance = CATALOGUE["odoni1969:gain_bracket"].tight()
    assert isinstance(instance, Instance)
    assert instance.steps is not None
    assert 0 < allowance(instance) < 1e-6
    assert allowance(instance.with_model(instance.model)) == allowance(instance)
    assert instance.exact().steps == instance.steps
    instance.save(tmp_path / "instance.npz")
    again = Instance.load(tmp_path / "instance.npz")
    assert again.steps == instance.steps
    assert CATALOGUE["odoni1969:gain_bracket"].theorem.check(again).outcome.name == "HOLDS"
    bare = Instance(instance.model, instance.values)
    assert allowance(bare) == float("inf"), "nothing is judged without the norm"
