"""Breadth-first orders against scipy, and sweeps in them against sweeps of the model itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

from mdplib import TabularMDP, models, operators
from mdplib.certificates import bracket
from mdplib.ordering import goal_order


def maze(seed: int) -> TabularMDP:
    return models.maze(12, np.random.default_rng(seed), gamma=0.95)


def distances(mdp: TabularMDP, goals: np.ndarray) -> np.ndarray:
    """Fewest steps from each state to a goal, by scipy."""
    source = np.repeat(mdp.pair_state, np.diff(mdp.indptr))
    graph = csr_array((np.ones(mdp.nnz), (mdp.indices, source)), shape=(mdp.n_states, mdp.n_states))
    return shortest_path(graph, unweighted=True, indices=goals).min(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_states_come_by_distance_to_the_goal(seed: int):
    mdp = maze(seed)
    order = goal_order(mdp)
    assert order is not None
    assert sorted(order.order) == list(range(mdp.n_states))
    steps = distances(mdp, order.goals)[order.order]
    assert np.all(np.diff(steps[np.isfinite(steps)]) >= 0)
    assert np.all(np.isfinite(steps[: np.isfinite(steps).sum()]))


def test_the_copy_is_the_same_model():
    mdp = maze(0)
    order = goal_order(mdp)
    assert order is not None
    place = np.argsort(order.order)
    V = np.random.default_rng(0).random(mdp.n_states)
    copy = TabularMDP.from_sparse(
        csr_array((order.layer.data, order.layer.indices, order.layer.indptr)),
        order.layer.reward,
        gamma=mdp.gamma,
        state=np.repeat(np.arange(mdp.n_states), np.diff(order.layer.state_ptr)),
        action=mdp.action_id[
            np.concatenate([np.arange(*mdp.state_ptr[s : s + 2]) for s in order.order])
        ],
    )
    assert (
        np.max(np.abs(operators.bellman(copy, V[order.order])[place] - operators.bellman(mdp, V)))
        < 1e-14
    )


def test_sweeps_rise_to_the_optimal_value():
    mdp = maze(1)
    order = goal_order(mdp)
    assert order is not None
    V = bracket(mdp).lower.copy()
    V[order.goals] = 0.0
    truth = bracket(mdp, operators.evaluate_policy(mdp, operators.greedy(mdp, V)))
    for _ in range(60):
        before = V
        V, sweeps = order.rise(V, 2, 5, 0.2)
        assert sweeps >= 4
        assert np.all(before - 1e-12 <= V)
    truth = bracket(mdp, V)
    assert truth.gap < 1e-9
    assert np.all(truth.upper >= V)


def test_other_models_have_no_goals():
    assert goal_order(models.forest()) is None
    assert goal_order(models.garnet(20, 2, 3, np.random.default_rng(0), gamma=0.9)) is None
    tabular: Any = TabularMDP  # takes lists too
    never = tabular([0, 1], [0, 1], [0], [1.0], [-1.0], [0], 0.9)
    assert goal_order(never) is None
