"""Bad input of every kind: each message names the place, the value, the count and the remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mdplib import InvalidModelError, TabularMDP, validate
from mdplib.errors import MdplibError

Fields = dict[str, Any]
GOOD: Fields = {
    "state_ptr": [0, 2, 3],
    "indptr": [0, 2, 3, 4],
    "indices": [0, 1, 1, 0],
    "data": [0.25, 0.75, 1.0, 1.0],
    "reward": [0.0, 1.0, -2.0],
    "action_id": [0, 3, 0],
    "gamma": 0.5,
}
NAN, INF = np.nan, np.inf
HUGE = 2**40
SUM = (
    r"P\[s=0, a=3, :\] sums to {} \(tolerance 1e-09\). "
    r"1 of 3 rows are off, this one most. Divide each row"
)

BAD: list[tuple[Fields, str]] = [
    # probabilities
    ({"data": [0.25, 0.75, 0.9, 1.0]}, SUM.format("0.9")),
    ({"data": [0.25, 0.75, 1 + 2e-9, 1.0]}, SUM.format("1.000000002")),
    ({"data": [0.25, 0.75, 0.0, 1.0]}, SUM.format("0")),
    ({"data": [0.2, 0.7, 0.9, 0.8]}, r"P\[s=1, a=0, :\] sums to 0.8 .* 3 of 3 rows"),
    ({"data": [1e308, 1.7e308, 1.0, 1.0]}, r"P\[s=0, a=0, :\] sums to inf"),
    (
        {"data": [-0.25, 1.25, 1.0, 1.0]},
        r"P\[s=0, a=0, t=0\] is -0.25. 1 of 4 transitions .* at le",
    ),
    ({"data": [0.25, NAN, NAN, 1.0]}, r"P\[s=0, a=0, t=1\] is nan. 2 of 4 transitions .* finite"),
    ({"data": [0.25, 0.75, INF, 1.0]}, r"P\[s=0, a=3, t=1\] is inf. 1 of 4"),
    # rewards
    (
        {"reward": [0.0, INF, -INF]},
        "reward of s=0, a=3 is inf. 2 of 3 rewards are off. .* leave an",
    ),
    ({"reward": [NAN, 0.0, 0.0]}, "reward of s=0, a=0 is nan. 1 of 3 rewards"),
    ({"reward": [0.0, 0.0]}, r"reward has shape \(2,\); \(3,\) expected"),
    ({"reward": [[0.0, 0.0, 0.0]]}, r"reward has shape \(1, 3\); \(3,\) expected"),
    ({"reward": [[0.0] * 3] * 3, "horizon": 2}, r"\(3,\) or \(2, 3\) expected"),
    ({"reward": [[[0.0]]]}, "reward has 3 dimensions .* 1 or 2 expected"),
    # discount factor and horizon
    *(
        ({"gamma": g}, rf"gamma is {g}; 0 <= gamma < 1 .* Set horizon=H")
        for g in (1, 1.5, -0.1, NAN)
    ),
    ({"gamma": 10**400}, "gamma is 1000"),
    ({"gamma": np.longdouble(1) - np.finfo(np.longdouble).epsneg}, "0 <= gamma < 1"),
    *(
        ({"gamma": g}, "gamma is .*; a real number expected")
        for g in ("0.9", None, True, np.True_, 0.5j, np.complex128(0.5), np.array([0.5]))
    ),
    *(({"gamma": g, "horizon": 2}, "gamma is .*; 0 <= gamma <= 1") for g in (1.1, -1, NAN)),
    *(
        ({"horizon": H}, "horizon is .*; an integer of at least 1 expected")
        for H in (0, -1, 2.0, True, "3", NAN)
    ),
    # states and pairs
    ({"state_ptr": [0, 3, 3]}, "state 1 has no action. 1 of 2 states are off. Give it one, for an"),
    ({"state_ptr": [0]}, "state_ptr has 1 entries; a model needs at least one state"),
    ({"state_ptr": []}, "state_ptr has 0 entries"),
    (
        {"state_ptr": [0, 2, 4]},
        "state_ptr runs from 0 to 4; it must run from 0 to 3, the length of",
    ),
    ({"state_ptr": [1, 2, 3]}, "state_ptr runs from 1 to 3"),
    ({"state_ptr": [0, 3, 2, 3]}, "state_ptr decreases from 3 to 2 at position 1. 1 of 3 entries"),
    ({"state_ptr": [0, 2**31 - 1, 1 - 2**31, 0, 3]}, "decreases from 2147483647 to -2147483647"),
    ({"state_ptr": [0.0, 2.0, 3.0]}, "state_ptr has dtype float64; numbers of type int32 expected"),
    ({"state_ptr": [[0, 2, 3]]}, "state_ptr has 2 dimensions"),
    ({"action_id": [0, 0, 0]}, r"action_id\[1\] is 0 \(pair s=0, a=0\). 1 of 3 pairs .* sort them"),
    ({"action_id": [3, 0, 0]}, r"action_id\[1\] is 0"),
    ({"action_id": [-1, 3, 0]}, r"action_id\[0\] is -1 .* at least 0"),
    ({"action_id": [0, HUGE, 0]}, f"action_id holds {HUGE} at position 1. 1 of 3 .* 32 bits"),
    ({"action_id": ["l", "r", "l"]}, "action_id has dtype <U1; numbers of type int32"),
    ({"action_id": [False, True, False]}, "action_id has dtype bool"),
    ({"action_id": [0, 1]}, r"action_id has shape \(2,\); \(3,\) expected"),
    # transitions
    ({"indices": [0, 2, 1, 0]}, r"P\[s=0, a=0, :\] has successor 2 outside 0..1. 1 of 4 .* from 0"),
    ({"indices": [-1, 1, 1, 0]}, "has successor -1 outside 0..1"),
    (
        {"indices": [1, 1, 1, 0]},
        r"P\[s=0, a=0, :\] lists successor 1 twice or out of order. 1 of 4",
    ),
    ({"indices": [1, 0, 1, 0]}, "lists successor 0 twice or out of order"),
    ({"indices": [0, 1, 1, HUGE]}, f"indices holds {HUGE} at position 3. 1 of 4"),
    ({"indices": [0, 1, 1, -HUGE]}, f"indices holds -{HUGE}"),
    ({"indices": np.array([0, 1, 1, 2**63], dtype=np.uint64)}, f"indices holds {2**63}"),
    ({"indices": [0, 1, 1, 2**70]}, "indices has dtype object"),
    ({"indptr": [0, 2, 2, 4]}, r"P\[s=0, a=3, :\] has no successor. 1 of 3 rows .* sum to one"),
    ({"indptr": [0, 2, 3, 5]}, "indptr runs from 0 to 5; it must run from 0 to 4"),
    ({"data": [0.25, 0.75, 1.0]}, "data has 3 entries and indices 4; each transition needs one of"),
    # types
    ({"data": ["0.25", "0.75", "1", "1"]}, "data has dtype <U4; numbers of type float64"),
    ({"data": [0.25, 0.75, None, 1.0]}, "data has dtype object"),
    ({"data": [0.25, 0.75, 1j, 1.0]}, "data has dtype complex128"),
    ({"data": [[0.25, 0.75], [1.0]]}, "data is ragged or mixed"),
    ({"data": None}, "data has 0 dimensions"),
    (
        {"data": np.ma.masked_array([0.25, 0.75, 1.0, 1.0], [False, False, False, True])},
        "data has masked entries",
    ),
    ({"reward": np.array(["2020-01-01"] * 3, "M8[D]")}, r"reward has dtype datetime64\[D\]"),
    ({"reward": np.array(["1e400", "0", "0"], np.longdouble)}, "reward of s=0, a=0 is inf"),
    # optional fields
    ({"terminal": [0.0, 0.0]}, "terminal rewards need a finite horizon; set horizon=H"),
    ({"terminal": [0.0], "horizon": 2}, r"terminal has shape \(1,\); \(2,\) expected"),
    ({"terminal": [0.0, NAN], "horizon": 2}, r"terminal\[1\] is nan. 1 of 2 entries"),
    ({"initial": [0.5, 0.6]}, "initial sums to 1.1 .* Divide it by its sum"),
    ({"initial": [1e308, 1.7e308]}, "initial sums to inf"),
    ({"initial": [-0.5, 1.5]}, r"initial\[0\] is -0.5. 1 of 2 entries .* at least 0"),
    ({"initial": [NAN, 1.0]}, r"initial\[0\] is nan"),
    ({"initial": [1.0]}, r"initial has shape \(1,\); \(2,\) expected"),
    ({"state_labels": ["a"]}, "state_labels has 1 entries; 2 expected"),
    ({"state_labels": ["a", "b", "c"]}, "state_labels has 3 entries; 2 expected"),
    (
        {"state_labels": ["a", "a"]},
        "state_labels holds 'a' more than once; labels must be distinct",
    ),
    ({"state_labels": "ab"}, "state_labels is 'ab'; a sequence of 2 names expected"),
    ({"state_labels": 5}, "state_labels is 5; a sequence"),
    ({"action_labels": ["a", "b", "c"]}, "action_labels has 3 entries; at least 4 expected"),
    ({"stationary": False}, "2 stacked states over horizon None; .* needs a finite horizon"),
    ({"stationary": False, "horizon": 3}, r"2 stacked states over horizon 3; .* H\*S states"),
]


def model(**changes: Any) -> TabularMDP:
    return TabularMDP(**(GOOD | changes))


def test_the_good_model_is_good():
    assert model().n_pairs == 3
    assert model(data=[0.25, 0.75 + 9e-10, 1.0, 1 - 9e-10]).nnz == 4
    assert model(reward=[True, False, True]).reward.tolist() == [1.0, 0.0, 1.0]
    assert model(action_labels=list("abcde")).n_actions == 2


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input(change: Fields, message: str):
    with pytest.raises(InvalidModelError, match=message) as caught:
        model(**change)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, MdplibError)


@pytest.mark.parametrize(("change", "message"), BAD[:8])
def test_bad_rows_of_stacked_kernels_name_the_step(change: Fields, message: str):
    """The same offences one layer further down."""
    good = model()
    stacked = TabularMDP.from_layers([good, good])
    data = np.concatenate([good.data, change["data"]])
    with pytest.raises(InvalidModelError, match=r"P\[h=1, s=[01], a=[03], "):
        stacked.replace(data=data)


def test_the_first_offence_is_named():
    mdp = TabularMDP.from_dense(np.full((50, 3, 50), 0.02), np.zeros((50, 3)), 0.5)
    data = mdp.data.copy()
    data[50 * (3 * 17 + 2) + 5] = -1.0
    data[50 * (3 * 30) + 1] = NAN
    with pytest.raises(InvalidModelError, match=r"P\[s=17, a=2, t=5\] is -1.0. 2 of 7500 trans"):
        mdp.replace(data=data)


@pytest.mark.parametrize(
    ("P", "r", "fields", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 2)), {}, "P has 2 dimensions .* 3 or 4 expected"),
        (np.ones((2, 3, 3)) / 3, np.ones((3, 2)), {}, r"P has shape \(2, 3, 3\); \(S, A, S\) or"),
        (np.ones((3, 2, 3)) / 3, np.ones((2, 3)), {}, r"r has shape \(2, 3\) and P \(3, 2, 3\)"),
        (np.ones((3, 2, 3)) / 3, np.ones(3), {}, "r has 1 dimensions"),
        (np.ones((4, 3, 2, 3)) / 3, np.ones((3, 2)), {}, "P has 4 steps but horizon is None; make"),
        (np.ones((4, 3, 2, 3)) / 3, np.ones((3, 2)), {"horizon": 5}, "4 steps but horizon is 5"),
        (np.ones((3, 2, 3)) / 3, np.ones((4, 3, 2)), {"horizon": 5}, r"r has shape \(4, 3, 2\)"),
        (np.zeros((2, 0, 2)), np.zeros((2, 0)), {}, "2 states and 0 state-action pairs"),
        (np.zeros((0, 2, 0)), np.zeros((0, 2)), {}, "0 states and 0 state-action pairs"),
        (np.eye(2)[:, None] + 0j, np.ones((2, 1)), {}, "P has dtype complex128"),
        ([[["1"]]], [[1.0]], {}, "P has dtype <U1"),
    ],
)
def test_bad_dense_input(P: Any, r: Any, fields: Fields, message: str):
    with pytest.raises(InvalidModelError, match=message):
        TabularMDP.from_dense(P, r, 0.5, **fields)


def test_unknown_fields_are_refused():
    with pytest.raises(TypeError, match="discount"):
        TabularMDP.from_dense(np.eye(2)[:, None], np.ones((2, 1)), 0.5, discount=1)  # type: ignore


def test_frozen_copies_only_what_somebody_can_write_to():
    ours = np.arange(3.0)
    ours.flags.writeable = False
    assert validate.frozen(ours, np.float64, "x") is ours
    for other in (np.arange(3.0), ours[::2], ours.astype(np.float32), np.frombuffer(bytearray(8))):
        copy = validate.frozen(other, np.float64, "x")
        assert not np.shares_memory(copy, other)
        assert not copy.flags.writeable
        assert copy.flags.c_contiguous
    constant = np.frombuffer(b"\0" * 8)
    assert validate.frozen(constant, np.float64, "x") is constant
