"""Every constructor against arrays written out by hand, and there and back again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given

from mdplib import InvalidModelError, TabularMDP
from mdplib.testing import finite_horizon_mdps, tabular_mdps
from mdplib.testing.contracts import without_zeros
from tests import oracles

INF = np.inf
# States 0, 1; action 1 is not available in state 1.
P = np.array([[[0.25, 0.75], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])
R = np.array([[1.0, 2.0], [3.0, -INF]])
ROWS = [[0.25, 0.75], [1.0, 0.0], [0.0, 1.0]]
EXPECTED = TabularMDP(
    np.array([0, 2, 3]),
    np.array([0, 2, 3, 4]),
    np.array([0, 1, 0, 1]),
    np.array([0.25, 0.75, 1.0, 1.0]),
    np.array([1.0, 2.0, 3.0]),
    np.array([0, 1, 0]),
    0.9,
)


def random_dense(seed: int, *lead: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(3), size=(*lead, 3, 2)), rng.normal(size=(*lead, 3, 2))


# --------------------------------------------------------------------------- dense


def test_dense():
    assert TabularMDP.from_dense(P, R, 0.9) == EXPECTED
    assert TabularMDP.from_dense(P.tolist(), R.tolist(), 0.9) == EXPECTED
    assert TabularMDP.from_dense(np.asfortranarray(P), R, 0.9) == EXPECTED
    assert TabularMDP.from_dense(np.eye(2, dtype=int)[:, None], [[1], [2]], 0.5).nnz == 2


def test_dense_rewards_of_transitions_are_averaged():
    r = np.array([[[4.0, 0.0], [2.0, np.nan]], [[7.0, 3.0], [-INF, -INF]]])
    r[0, 1, 1] = 99.0  # never paid: P is 0 there
    assert TabularMDP.from_dense(P, r, 0.9) == EXPECTED


def test_dense_rewards_on_impossible_transitions_do_not_matter():
    r = np.array([[[4.0, 0.0], [2.0, np.nan]], [[INF, 3.0], [-INF, -INF]]])
    assert TabularMDP.from_dense(P, r, 0.9) == EXPECTED


def test_dense_unavailable_means_minus_infinity_and_nothing_else():
    for bad in (np.nan, INF):
        with pytest.raises(InvalidModelError, match=rf"reward of s=0, a=1 is {bad}. 1 of 3"):
            TabularMDP.from_dense(P, [[1.0, bad], [3.0, -INF]], 0.9)
    with pytest.raises(InvalidModelError, match="reward of s=1, a=0 is nan"):
        TabularMDP.from_dense(P, [[[1.0, 0], [2, 0]], [[0, np.nan], [-INF, -INF]]], 0.9)
    with pytest.raises(InvalidModelError, match=r"state 1 has no action. 1 of 2 states"):
        TabularMDP.from_dense(P, [[1.0, 2.0], [-INF, -INF]], 0.9)


@pytest.mark.parametrize("shape", ["(S, A)", "(H, S, A)", "(S, A, S)", "(H, S, A, S)"])
@pytest.mark.parametrize("kernels", [False, True])
def test_dense_every_mixture_of_shapes(shape: str, kernels: bool):
    """All say the same model, one layer at a time."""
    H, S, A = 4, 3, 2
    rng = np.random.default_rng(2)
    kernel, _ = random_dense(0, H)
    if not kernels:
        kernel = kernel[0]
    r = rng.normal(size={"(S, A)": (S, A), "(H, S, A)": (H, S, A)}.get(shape, (H, S, A, S)))
    r = r[0] if shape == "(S, A, S)" else r
    mdp = TabularMDP.from_dense(kernel, r, 1.0, horizon=H)
    for h in range(H):
        p = kernel[h] if kernels else kernel
        expected = r[h] if shape.startswith("(H") else r
        if shape.endswith("S)"):
            expected = (p * expected).sum(-1)
        layer = mdp.layer(h)
        pairs = slice(int(layer.state_ptr[0]), int(layer.state_ptr[-1]))
        assert layer.reward[pairs] == pytest.approx(expected.ravel(), abs=1e-15)
        first = int(layer.indptr[pairs.start])
        assert layer.data[first : first + p.size].tolist() == p.ravel().tolist()
    assert mdp.stationary is not kernels


def test_dense_with_actions_that_come_and_go():
    kernel, r = random_dense(3, 2)
    r[1, 0, 1] = -INF
    mdp = TabularMDP.from_dense(kernel, r, 1.0, horizon=2)
    assert (mdp.actions(0, 0).tolist(), mdp.actions(0, 1).tolist()) == ([0, 1], [0])
    back, rewards = mdp.to_dense()
    assert TabularMDP.from_dense(back, rewards, 1.0, horizon=2) == mdp
    with pytest.raises(InvalidModelError, match="different actions as unavailable"):
        TabularMDP.from_dense(kernel[0], r, 1.0, horizon=2)


def test_dense_of_two_readings_takes_the_steps():
    r = np.arange(8.0).reshape(2, 2, 2)
    mdp = TabularMDP.from_dense(np.full((2, 2, 2), 0.5), r, 1.0, horizon=2)
    assert mdp.layer(1).reward.tolist() == [4.0, 5.0, 6.0, 7.0]


def test_to_dense_refuses_giants():
    n = 20_000
    mdp = TabularMDP.from_sparse(sp.eye_array(n, format="csr"), np.zeros(n), range(n), [0] * n, 0.5)
    with pytest.raises(InvalidModelError, match=r"need 2.98 GiB, more than limit_gib=1; use to_sp"):
        mdp.to_dense()


# -------------------------------------------------------------------------- sparse


@pytest.mark.parametrize(
    "form", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, np.array]
)
def test_sparse_in_any_order_and_form(form: Any):
    order = [2, 0, 1]
    rows = form(np.array(ROWS)[order])
    r, state, action = np.array([[3.0, 1.0, 2.0], [1, 0, 0], [0, 0, 1]])
    pairs = state.astype(int), action.astype(int)
    assert TabularMDP.from_sparse(rows, r, *pairs, 0.9) == EXPECTED


def test_sparse_duplicates_are_merged_and_unsorted_columns_sorted():
    rows = sp.coo_array(
        ([0.75, 0.125, 0.125, 1.0, 1.0], ([0, 0, 0, 1, 2], [1, 0, 0, 0, 1])), shape=(3, 2)
    )
    assert TabularMDP.from_sparse(rows, [1, 2, 3], [0, 0, 1], [0, 1, 0], 0.9) == EXPECTED


def test_sparse_leaves_its_argument_alone():
    rows = sp.csr_array((np.array([0.75, 0.25]), np.array([1, 0]), np.array([0, 2, 2]))[:3], (2, 2))
    rows = sp.vstack([rows[:1], sp.csr_array([[0.0, 1.0]])], format="csr")
    before = rows.copy()
    mdp = TabularMDP.from_sparse(rows, [0.0, 0.0], [0, 1], [0, 0], 0.5)
    mdp.to_sparse()[0].data[:] = 0.0
    assert (rows.indices.tolist(), rows.data.tolist()) == (
        before.indices.tolist(),
        before.data.tolist(),
    )
    assert mdp.data.sum() == 2.0


# ------------------------------------------------------------------- dict, function


def test_dict_by_number_and_by_name():
    table = {
        1: {0: [(1.0, 1, 3.0)]},
        0: {1: [(1.0, 0, 2.0)], 0: [(0.25, 0, 4.0), (0.5, 1, 0.0), (0.25, 1, 0.0)]},
    }
    assert TabularMDP.from_dict(table, 0.9) == EXPECTED
    names = {"x": {0: [(1.0, "y", 1.0)]}, ("y", 1): {0: [(1.0, "x", 0.0)]}}
    with pytest.raises(InvalidModelError, match="state 'x', action 0 leads to 'y', which has no"):
        TabularMDP.from_dict(names, 0.9)
    names = {"x": {0: [(1.0, "y", 1.0)]}, "y": {0: [(1.0, "x", 0.0)]}}
    assert TabularMDP.from_dict(names, 0.9).state_labels == ("x", "y")
    assert TabularMDP.from_dict(names, 0.9, state_labels=["a", "b"]).state_labels == ("a", "b")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "0 states and 0 state-action pairs; at least one"),
        ({0: {}}, "1 states and 0 state-action pairs"),
        ({0: {0: [(1.0, 0, 0.0)]}, 1: {}}, "state 1 has no action. 1 of 2"),
        ({0: {0: []}}, r"P\[s=0, a=0, :\] has no successor. 1 of 1 rows"),
        ({0: {0: [(1.0, 0)]}}, r"state 0, action 0 has the outcome \(1.0, 0\); numbers"),
        ({0: {0: [("1", 0, 0.0)]}}, r"has the outcome \('1', 0, 0.0\)"),
        ({0: {0: [(1.0, 0, None)]}}, r"has the outcome \(1.0, 0, None\)"),
        ({0: {0: [1.0]}}, "has the outcome 1.0"),
        ({0: {"left": [(1.0, 0, 0.0)]}}, "action has dtype <U4; numbers of type int32"),
        ({0: {0: [(-0.5, 0, 0.0), (1.5, 0, 0.0)]}}, r"P\[s=0, a=0, t=0\] is -0.5. 1 of 2"),
        ([[(1.0, 0, 0.0)]], "transitions is a list; a mapping"),
    ],
)
def test_dict_refusals(table: Any, message: str):
    with pytest.raises(InvalidModelError, match=message):
        TabularMDP.from_dict(table, 0.9)


def test_function():
    def outcomes(s: int, a: int):
        for t in range(2):
            yield P[s, a, t], t, R[s, a]

    mdp = TabularMDP.from_function(outcomes, lambda s: [[1, 0], [0]][s], 2, 0.9)
    assert mdp == EXPECTED
    whole = TabularMDP.from_function(lambda s, a: [(1.0, s, a)], 3, 2, 0.5)
    assert whole.action_id.tolist() == [0, 1, 2, 0, 1, 2]
    for bad, message in (
        (lambda s, a: [(1.0, 2, 0.0)], r"P\[s=0, a=0, t=2\] leads outside the states 0..1. 4 of 4"),
        (lambda s, a: [(1.0, 0.0, 0.0)], "successors have dtype float64; integers"),
        (lambda s, a: [(1.0, "0", 0.0)], "successors have dtype <U1"),
    ):
        with pytest.raises(InvalidModelError, match=message):
            TabularMDP.from_function(bad, 2, 2, 0.5)


def test_a_programming_error_in_the_function_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        TabularMDP.from_function(lambda s, a: [(1 / a, 0, 0.0)], 1, 1, 0.5)


# ------------------------------------------------------------------------ MDPtoolbox

TOOLBOX = np.array([[[0.25, 0.75], [0.0, 1.0]], [[1.0, 0.0], [0.5, 0.5]]])  # (A, S, S)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("form", ["states", "pairs", "transitions", "sparse transitions"])
def test_mdptoolbox_every_form(sparse: bool, form: str):
    triple = np.arange(8.0).reshape(2, 2, 2)
    R, expected = {
        "states": (np.array([5.0, 6.0]), [5.0, 5.0, 6.0, 6.0]),
        "pairs": (np.array([[1.0, 2.0], [3.0, 4.0]]), [1.0, 2.0, 3.0, 4.0]),
        "transitions": (triple, [0.75, 4.0, 3.0, 6.5]),
        "sparse transitions": ([sp.csr_array(x) for x in triple], [0.75, 4.0, 3.0, 6.5]),
    }[form]
    kernel = [sp.csc_array(x) for x in TOOLBOX] if sparse else TOOLBOX
    mdp = TabularMDP.from_mdptoolbox(kernel, R, 0.9)
    assert mdp.reward.tolist() == expected
    assert np.array_equal(mdp.to_dense()[0], TOOLBOX.transpose(1, 0, 2))
    blocks, rewards = mdp.to_mdptoolbox()
    assert TabularMDP.from_mdptoolbox(blocks, rewards, 0.9) == mdp
    assert all(np.array_equal(b.toarray(), x) for b, x in zip(blocks, TOOLBOX, strict=True))


@pytest.mark.parametrize(
    ("kernel", "R", "message"),
    [
        ([], [], "P holds no action"),
        ([np.eye(2), np.eye(3)], [0, 0], r"P\[1\] has shape \(3, 3\); \(2, 2\) expected"),
        ([[1, 0]], [0], r"P\[0\] has 1 dimensions"),
        ([[["a"]]], [0], r"P\[0\] has dtype <U1"),
        ([np.eye(2)], [0, 0, 0], r"R has shape \(3,\); \(2,\), \(2, 1\) or \(1, 2, 2\) expected"),
        ([np.eye(2) * 0.9], [0, 0], r"P\[s=0, a=0, :\] sums to 0.9 .* 2 of 2 rows"),
    ],
)
def test_mdptoolbox_refusals(kernel: Any, R: Any, message: str):
    with pytest.raises(InvalidModelError, match=message):
        TabularMDP.from_mdptoolbox(kernel, R, 0.9)


def test_mdptoolbox_cannot_say_everything():
    with pytest.raises(InvalidModelError, match="state 1 has 1 of 2 actions; MDPtoolbox needs all"):
        EXPECTED.to_mdptoolbox()
    steps = EXPECTED.replace(horizon=2, reward=np.zeros((2, 3)))
    for export in (steps.to_mdptoolbox, steps.to_dict, steps.to_quantecon):
        with pytest.raises(InvalidModelError, match="cannot express kernels or rewards that"):
            export()


# ------------------------------------------------------------------------- QuantEcon


@pytest.mark.parametrize("form", [np.array, sp.csr_array, sp.coo_array, sp.csc_matrix])
def test_quantecon_pairs(form: Any):
    rows = form([*ROWS, [0.5, 0.5]])
    R = np.array([1.0, 2.0, 3.0, -INF])
    mdp = TabularMDP.from_quantecon(R, rows, 0.9, [0, 0, 1, 1], [0, 1, 0, 1])
    assert mdp == EXPECTED


def test_quantecon_product():
    assert TabularMDP.from_quantecon(R, P, 0.9) == EXPECTED
    back = EXPECTED.to_quantecon()
    assert TabularMDP.from_quantecon(*back) == EXPECTED
    assert [x.flags.writeable for x in (back[0], back[3], back[4])] == [True] * 3


def test_mdptoolbox_sparse_rewards_are_never_filled_in():
    """Full arrays would take 7 GB."""
    n = 30_000
    P = [sp.eye_array(n, format="csr")]
    R = [sp.csr_array(([2.0, 3.0], ([0, 5], [0, 6])), shape=(n, n))]
    mdp = TabularMDP.from_mdptoolbox(P, R, 0.5)
    assert mdp.reward[:7].tolist() == [2, 0, 0, 0, 0, 0, 0], "what is impossible pays nothing"
    for bad in (R * 2, [sp.csr_array((n, 2))]):
        with pytest.raises(InvalidModelError, match=rf"1 matrices of shape \({n}, {n}\) wanted"):
            TabularMDP.from_mdptoolbox(P, bad, 0.5)


def test_quantecon_example_of_its_manual():
    mdp = TabularMDP.from_quantecon(
        [5.0, 10.0, -1.0], [[0.5, 0.5], [0, 1], [0, 1]], 0.95, [0, 0, 1], [0, 1, 0]
    )
    V = np.array([-8.0 - 4 / 7, -20.0])
    value = [int(x.p) / int(x.q) for x in oracles.howard(oracles.plain(mdp))]
    assert value == pytest.approx(V, abs=1e-9)


@pytest.mark.parametrize(
    ("R", "Q", "s", "a", "message"),
    [
        ([1.0, np.nan], ROWS[:2], [0, 1], [0, 0], "reward of s=1, a=0 is nan. 1 of 2 rewards"),
        (
            [1.0, 2.0],
            ROWS,
            [0, 0],
            [0, 1],
            "R has 2 entries, Q 3 rows, s_indices 2 and a_indices 2",
        ),
        ([1.0, 2.0], ROWS[:2], [0, 0, 1], [0, 1], "s_indices 3"),
        ([1.0, 2.0], ROWS[:2], [0.0, 1.0], [0, 1], "s_indices has dtype float64"),
        ([1.0, 2.0], ROWS[:2], [0, 0], [1, 1], "s=0, a=1 is listed more than once. 1 of 2 pairs"),
        ([1.0, -INF], ROWS[:2], [0, 1], [0, 0], "state 1 has no action"),
    ],
)
def test_quantecon_refusals(R: Any, Q: Any, s: Any, a: Any, message: str):
    with pytest.raises(InvalidModelError, match=message):
        TabularMDP.from_quantecon(R, Q, 0.9, s, a)


# -------------------------------------------------------------------------- layers


def test_layers_refusals():
    with pytest.raises(InvalidModelError, match="0 layers with horizon None"):
        TabularMDP.from_layers([])
    with pytest.raises(InvalidModelError, match="2 layers with horizon 3"):
        TabularMDP.from_layers([EXPECTED, EXPECTED], horizon=3)
    with pytest.raises(InvalidModelError, match=r"layer 1 is .*gamma=0.5.* layer 0 has 2 states"):
        TabularMDP.from_layers([EXPECTED, EXPECTED.with_gamma(0.5)])
    with pytest.raises(InvalidModelError, match=r"layer 0 is .* kernels per step"):
        TabularMDP.from_layers([TabularMDP.from_layers([EXPECTED, EXPECTED])])


def test_layers_are_the_layers():
    kernel, r = random_dense(5, 3)
    steps = [TabularMDP.from_dense(kernel[h], r[h], 0.5) for h in range(3)]
    fields: Any = {"terminal": [1.0, 2.0, 3.0], "initial": [1.0, 0.0, 0.0]}
    stacked = TabularMDP.from_layers(steps, **fields)
    assert stacked == TabularMDP.from_dense(kernel, r, 0.5, horizon=3, **fields)


# ------------------------------------------------------------------- there and back


@given(tabular_mdps(gammas=(0.5, 0.9)))
def test_conversions_keep_the_value(mdp: TabularMDP):
    """Stored zeros are dropped on the way; nothing else may change, the exact value least."""
    exact = oracles.optimum(mdp)
    P, r = mdp.to_dense()
    assert oracles.optimum(TabularMDP.from_dense(P, r, mdp.gamma)) == exact
    assert oracles.optimum(without_zeros(mdp)) == exact


@given(finite_horizon_mdps())
def test_conversions_keep_the_value_of_every_step(mdp: TabularMDP):
    P, r = mdp.to_dense()
    again = TabularMDP.from_dense(P, r, mdp.gamma, horizon=mdp.horizon, terminal=mdp.terminal)
    assert oracles.optimum(again) == oracles.optimum(mdp)
