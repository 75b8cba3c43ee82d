"""The model class: quantities, layers, equality, immutability."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from mdplib import InvalidModelError, TabularMDP
from mdplib.testing import check_model, finite_horizon_mdps, random_mdp, tabular_mdps


def arrays(**changes: Any) -> dict[str, Any]:
    """Two states; the first has actions 0 and 3."""
    fields = {
        "state_ptr": [0, 2, 3],
        "indptr": [0, 2, 3, 4],
        "indices": [0, 1, 1, 0],
        "data": [0.25, 0.75, 1.0, 1.0],
        "reward": [0.0, 1.0, -2.0],
        "action_id": [0, 3, 0],
        "gamma": 0.5,
    }
    return fields | changes


@given(tabular_mdps())
def test_discounted_models_keep_the_contract(mdp: TabularMDP):
    check_model(mdp)


@given(finite_horizon_mdps())
def test_finite_horizon_models_keep_the_contract(mdp: TabularMDP):
    check_model(mdp)


def test_quantities():
    mdp = TabularMDP(**arrays())
    assert (mdp.n_states, mdp.n_pairs, mdp.nnz, mdp.n_actions) == (2, 3, 4, 2)
    assert (mdp.max_successors, mdp.max_reward) == (2, 2.0)
    assert mdp.pair_state.tolist() == [0, 0, 1]
    assert mdp.actions(0).tolist() == [0, 3]
    assert mdp.is_finite_horizon is False
    assert repr(mdp) == "TabularMDP(3 state-action pairs on 2 states, 4 transitions, gamma=0.5)"


def test_layers_of_stacked_kernels():
    one = TabularMDP(**arrays())
    two = TabularMDP.from_dense([[[0.0, 1.0]], [[1.0, 0.0]]], [[5.0], [6.0]], 0.5)
    mdp = TabularMDP.from_layers([one, two])
    assert (mdp.n_states, mdp.n_pairs, mdp.horizon, mdp.stationary) == (2, 5, 2, False)
    assert mdp.layer(0).state_ptr.tolist() == [0, 2, 3]
    assert mdp.layer(1).state_ptr.tolist() == [3, 4, 5]
    assert mdp.pair_state.tolist() == [0, 0, 1, 0, 1]
    assert mdp.actions(0, 1).tolist() == [0]
    assert np.shares_memory(mdp.layer(1).state_ptr, mdp.state_ptr)
    for h in (-1, 2):
        with pytest.raises(InvalidModelError, match=rf"step {h} is outside the horizon 0..1"):
            mdp.layer(h)


def test_rewards_per_step_are_rows():
    mdp = TabularMDP(**arrays(horizon=2, gamma=1.0, reward=[[1, 2, 3], [4, 5, 6]]))
    assert mdp.layer(1).reward.tolist() == [4.0, 5.0, 6.0]
    assert mdp.terminal is not None
    assert mdp.terminal.tolist() == [0.0, 0.0]


def test_row_sum_bounds_contain_the_exact_sums():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 17, 200):
        P = rng.dirichlet(np.ones(n) * 0.3, size=(n, 2)) * (1 + rng.uniform(-9e-10, 9e-10))
        mdp = TabularMDP.from_dense(P, np.zeros((n, 2)), 0.5)
        low, high = map(Fraction, mdp.row_sum_bounds)
        for a, b in zip(mdp.indptr[:-1], mdp.indptr[1:], strict=True):
            assert low <= sum(map(Fraction, mdp.data[a:b].tolist())) <= high
        assert high - low < 2e-9


def test_deterministic_rows_have_exact_sums():
    mdp = TabularMDP.from_dense(np.eye(3)[:, None], np.zeros((3, 1)), 0.5)
    assert mdp.row_sum_bounds == (1.0, 1.0)


# ------------------------------------------------------------------------ immutability


def test_fields_and_arrays_cannot_be_assigned():
    mdp = TabularMDP(**arrays())
    with pytest.raises(dataclasses.FrozenInstanceError):
        mdp.gamma = 0.9  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        mdp.reward[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        mdp.pair_state[0] = 1


def test_the_callers_arrays_stay_his_own():
    data = np.array([0.25, 0.75, 1.0, 1.0])
    mdp = TabularMDP(**arrays(data=data))
    data[0] = 7.0
    assert mdp.data[0] == 0.25
    assert data.flags.writeable


def test_a_read_only_view_of_writable_memory_is_copied():
    data = np.array([0.25, 0.75, 1.0, 1.0])
    view = data.view()
    view.flags.writeable = False
    mdp = TabularMDP(**arrays(data=view))
    before = mdp.fingerprint
    data[0] = 7.0
    assert mdp.data[0] == 0.25
    assert mdp.replace().fingerprint == before


def test_arrays_nobody_can_write_to_are_not_copied():
    mdp = TabularMDP(**arrays())
    assert mdp.with_gamma(0.25).data is mdp.data


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_are_equal_and_read_only(twin: Any):
    mdp = random_mdp(np.random.default_rng(1))
    assert mdp.pair_state is not None  # a cached array travels along
    other = twin(mdp)
    assert other == mdp
    assert hash(other) == hash(mdp)
    for name in ("state_ptr", "data", "reward", "pair_state"):
        assert not getattr(other, name).flags.writeable


# -------------------------------------------------------------------------- equality


@pytest.mark.parametrize(
    "change",
    [
        {"gamma": 0.25},
        {"reward": [0.0, 1.0, math.nextafter(-2.0, 0)]},
        {"action_id": [0, 2, 0]},
        {"data": [0.75, 0.25, 1.0, 1.0]},
        {"horizon": 2},
        {"initial": [1.0, 0.0]},
        {"state_labels": ["a", "b"]},
        {"action_labels": ["a", "b", "c", "d"]},
    ],
)
def test_every_field_counts_in_the_fingerprint(change: dict[str, Any]):
    assert TabularMDP(**arrays(**change)) != TabularMDP(**arrays())
    assert TabularMDP(**arrays(**change)) == TabularMDP(**arrays(**change))


def test_fingerprint_does_not_depend_on_the_types_given():
    plain = TabularMDP(**arrays(horizon=2))
    typed = TabularMDP(
        **arrays(
            state_ptr=np.array([0, 2, 3], dtype=np.uint8),
            data=np.asfortranarray(np.array([0.25, 0.75, 1.0, 1.0])),
            reward=[0, 1, -2],
            gamma=np.float32(0.5),
            horizon=np.int64(2),
            stationary=np.True_,
        )
    )
    assert typed == plain
    assert type(typed.horizon) is int
    assert type(typed.gamma) is float


def test_fingerprint_is_stable_across_versions():
    """Stored solutions name their model by it: changing it breaks them."""
    assert TabularMDP(**arrays()).fingerprint == "a520ad296d7f9af7959fcf0286c7c055"


def test_comparison_with_something_else():
    assert TabularMDP(**arrays()) != "a model"
