"""The text formats: DRN, JSON, tables. Files written by hand, exact round trips, damage."""

from __future__ import annotations

import gzip
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mdplib
from mdplib import InvalidModelError, LabelledMDP, TabularMDP, models
from mdplib.io import (
    read_csv,
    read_drn,
    read_with_report,
    write_csv,
    write_drn,
)
from tests.mdplib.test_io_json import JSON, put


def labelled_mdp(*fields: Any, **named: Any) -> LabelledMDP:
    return LabelledMDP(*fields, **named)


def tabular_mdp(*fields: Any, **named: Any) -> TabularMDP:
    return TabularMDP(*fields, **named)


# As Storm exports it: ten digits, an unnamed reward model (the name before the blank).
DRN = """// Exported by storm
// Original model type: MDP
@type: MDP
@value_type: double
@parameters

@reward_models
 Cost 
@nr_states
4
@nr_choices
5
@model
state 0 [0, 0.5] init
//[s=0]
	action a [1, 1]
		1 : 0.07692307692
		2 : 0.9230769231
	action b [0, 2]
		3 : 1
state 1 [0, 0] Goal
	action __NOLABEL__ [0, 0]
		1 : 1
state 2 [0, 0] deadlock
	action __NOLABEL__ [0, 0]
		2 : 1
state 3 [0, 0] Goal init
	action __NOLABEL__ [0, 0]
		3 : 1
"""
EXACT = DRN.replace("double", "rational").replace("0.07692307692", "1/13")
EXACT = EXACT.replace("0.9230769231", "12/13")
CSV = """idstatefrom,idaction,idstateto,probability,reward
1,0,1,1,0
0,1,0,0.25,4
0,1,1,0.25,8
0,1,1,0.5,10
0,0,1,1,0.5
0,0,0,0,99
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model"


# ----------------------------------------------------------------------------- DRN


def test_drn_with_ten_digits_is_mended_and_says_so(path: Path):
    model, report = read_with_report(put(path, DRN))
    assert isinstance(model, LabelledMDP)
    assert model.data[:2].tolist() == pytest.approx([1 / 13, 12 / 13], abs=1e-10)
    assert model.data[:2].sum() == pytest.approx(1, abs=2e-16)
    assert (report.renormalised, report.worst_row) == (1, "s=0, a=0")
    assert report.worst_row_error == pytest.approx(2e-11, rel=1e-3)
    assert model.rewards["Cost"].tolist() == [1.5, 2.5, 0, 0, 0]
    assert model.rewards["default"].tolist() == [1, 0, 0, 0, 0]
    assert model.pair_labels == ("a", "b", "", "", "")
    assert model.initial is not None
    assert model.initial.tolist() == [0.5, 0, 0, 0.5]
    assert np.flatnonzero(model.labels["Goal"]).tolist() == [1, 3]
    assert model.reach("Goal").n_pairs == 5, "rows sum to one up to rounding"


def test_drn_with_fractions_keeps_them(path: Path):
    model, report = read_with_report(put(path, EXACT))
    assert isinstance(model, LabelledMDP)
    assert model.rational is not None
    assert model.rational[:2] == (Fraction(1, 13), Fraction(12, 13))
    assert model.rational_rewards["Cost"][0] == Fraction(3, 2)
    assert report.renormalised == 0


@pytest.mark.parametrize("text", [DRN, EXACT])
def test_drn_round_trip(text: str, path: Path):
    model = read_drn(put(path, text))
    again = path.with_suffix(".drn")
    mdplib.write(model, again)
    assert read_drn(again) == model
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(again.read_bytes()))
    assert mdplib.read(packed) == model


def test_drn_of_a_chain_without_actions(path: Path):
    text = (
        "@type: DTMC\n@nr_states\n2\n@model\nstate 0 init\n\t0 : 0.5\n\t1 : 0.5\nstate 1\n\t1 : 1\n"
    )
    model = read_drn(put(path, text))
    assert (model.n_pairs, model.pair_labels, dict(model.rewards)) == (2, None, {})


def test_drn_says_what_it_would_lose(path: Path):
    model = read_drn(put(path, DRN))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"state_labels": list("abcd")}, "lose state_labels"),
        ({"initial": [1.0, 0, 0, 0]}, "lose initial"),
        ({"action_id": [0, 7, 0, 0, 0]}, "lose action_id"),
        ({"labels": {}}, "lose labels of"),
        ({"pair_labels": ["a b", "b", "", "", ""]}, "drn cannot hold this model.*line 1[0-9]"),
        ({"data": [0.5, 0.5 + 1e-10, 1, 1, 1, 1]}, "lose data"),
    ]
    for changes, message in cases:
        with pytest.raises(InvalidModelError, match=message):
            write_drn(model.replace(**changes), path)
    assert read_drn(path) == model, "a refused model leaves the old file"
    write_drn(model.replace(state_labels=list("abcd")), path, lossy=True)
    assert read_drn(path) == model
    with pytest.raises(InvalidModelError, match="drn would lose gamma, action_labels"):
        mdplib.write(models.forest(), path.with_suffix(".drn"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@type: MDP", "@type: CTMC", "line 3: a model of type 'CTMC'; MDP or DTMC expected"),
        ("@parameters\n", "@parameters\np q", "line .*parameters 'p q'; give them values"),
        ("@nr_states\n4", "@nr_states\n99999999999999999", "4 states and @nr_states is 9999"),
        ("@nr_states\n4", "@nr_states\nmany", "@nr_states is 'many'"),
        ("@nr_states\n4\n", "", "@nr_states is missing"),
        ("@model", "@modal", "before @model"),
        ("double", "interval", "numbers of type 'interval'"),
        ("state 1", "state 2", "line 21: state 2 where state 1 is expected"),
        ("state 1", "state 1 {3}", "line 21: observations are not read"),
        ("state 1", "state 1 !0.5", "line 21: exit rates are not read"),
        ("state 1", "estate 1", "line 21: 'estate 1.*is no state, action or transition"),
        ("action a [1, 1]", "action a [1]", "line 16: 1 rewards where 2 are expected"),
        (" Cost", " Cost Time Money", "lists .* but there are 2 rewards"),
        ("0.9230769231", "0.92", "sums to 0.99692307692.*1 of 5 rows are off"),
        ("0.9230769231", "nan", r"P\[s=0, a=0, t=2\] is nan"),
        ("0.9230769231", "x", "line 18: could not convert"),
        ("3 : 1\nstate 1", "7 : 1\nstate 1", "has successor 7 outside 0..3"),
        ("\taction b [0, 2]\n\t\t3 : 1\n", "\taction b [0, 2]\n", "a=1, :] has no successor"),
        ("\taction __NOLABEL__ [0, 0]\n\t\t2 : 1\n", "", "state 2 has no action"),
        ("[0, 0] deadlock", "[0, nan] deadlock", "reward 'Cost' of s=2, a=0 is nan"),
    ],
)
def test_drn_refusals(old: str, new: str, message: str, path: Path):
    assert old in DRN
    with pytest.raises(InvalidModelError, match=message.replace("]", r"\]").replace(r"\\]", r"\]")):
        read_drn(put(path, DRN.replace(old, new)))


# -------------------------------------------------------------------------- tables


def test_csv_by_hand(path: Path):
    model, report = read_with_report(put(path, CSV))
    assert isinstance(model, LabelledMDP)
    assert model.discounted(0.9) == tabular_mdp(
        [0, 2, 3], [0, 1, 3, 4], [1, 0, 1, 1], [1, 0.25, 0.75, 1], [0.5, 8.0, 0], [0, 1, 0], 0.9
    )
    assert (report.merged_duplicates, report.dropped_zeros, report.absorbing) == (1, 1, 1)
    assert mdplib.read(path, gamma=0.9) == model.discounted(0.9)


def test_csv_columns_in_any_order_and_infeasible_actions(path: Path):
    lines = [line.split(",") for line in CSV.splitlines()]
    turned = "\n".join(",".join(reversed(line)) for line in lines)
    assert mdplib.read(put(path, turned)) == read_csv(put(path.with_name("x"), CSV))
    model, report = read_with_report(put(path, CSV + "1,5,0,1,-inf\n"))
    assert model == read_csv(path.with_name("x"))
    assert report.infeasible == 1


def test_csv_round_trip_and_losses(path: Path):
    mdp = models.garnet(6, 3, 2, np.random.default_rng(0), gamma=0.5).replace(initial=None)
    model = labelled_mdp(
        mdp.state_ptr, mdp.indptr, mdp.indices, mdp.data, mdp.action_id, {"reward": mdp.reward}
    )
    write_csv(model, path)
    assert read_csv(path) == model
    with pytest.raises(InvalidModelError, match="csv would lose initial"):
        write_csv(model.replace(initial=[1.0, 0, 0, 0, 0, 0]), path)
    with pytest.raises(InvalidModelError, match="csv would lose gamma"):
        mdplib.write(mdp, path.with_suffix(".csv"))
    with pytest.raises(InvalidModelError, match="csv holds one reward and the model has 0"):
        write_csv(model.replace(rewards={}), path)
    mdplib.write(mdp, path.with_suffix(".csv"), lossy=True)
    assert mdplib.read(path.with_suffix(".csv"), gamma=0.5) == mdp


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("reward\n", "reward,idoutcome\n", "robust tables with outcomes are not read"),
        ("0,0,1,1,0.5", "0,0,1,1", "is no row of numbers"),
        ("0,0,1,1,0.5", "0,0,1,x,0.5", "is no row of numbers"),
        ("0,0,1,1,0.5", "0,0,1.5,1,0.5", "row 5 has successor 1.5; numbers from 0 expected"),
        ("0,0,1,1,0.5", "-1,0,1,1,0.5", "row 5 has state -1"),
        ("0,0,1,1,0.5", "0,nan,1,1,0.5", "row 5 has action nan"),
        ("0,0,1,1,0.5", "0,0,1000000,1,0.5", "go up to 1000000 and it has 6 transitions"),
        ("0,0,1,1,0.5", "0,0,1,nan,0.5", "row 5 has probability nan"),
        ("0,0,1,1,0.5", "0,0,1,-1,0.5", "row 5 has probability -1"),
        ("0,0,1,1,0.5", "0,0,1,1,nan", "is nan"),
        ("0,0,1,1,0.5", "0,0,1,0.5,0.5", "sums to 0.5"),
        ("1,0,1,1,0", "0,2,1,1,0", "state 1 has no action"),
        (CSV[CSV.index("\n") :], "\n", "has no transition"),
    ],
)
def test_csv_refusals(old: str, new: str, message: str, path: Path):
    with pytest.raises(InvalidModelError, match=message):
        read_csv(put(path, CSV.replace(old, new, 1)))


def test_negative_fractions_that_round_to_zero(path: Path):
    text = EXACT.replace("1/13", "-1e-4000").replace("12/13", "1")
    with pytest.raises(InvalidModelError, match=r"P\[s=0, a=0, t=1\] is -0.0"):
        read_drn(put(path, text))


# ---------------------------------------------------------------------------- fuzz


@pytest.mark.parametrize("text", [DRN, EXACT, json.dumps(JSON), CSV])
def test_fuzz(text: str, path: Path):
    """Whatever the damage: a refusal, or a model that satisfies every check."""
    rng = np.random.default_rng(3)
    plain = text.encode()
    complaints = []
    for round_ in range(400):
        content = bytearray(plain)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(len(content)))
            if round_ % 4 == 0:
                del content[at : at + int(rng.integers(30))]
            elif round_ % 4 == 1:
                content[at:at] = plain[at // 2 : at // 2 + int(rng.integers(30))]
            else:
                content[at] = (
                    int(rng.integers(256)) if round_ % 8 < 4 else b"0123456789-e/,."[at % 15]
                )
            content = content or bytearray(b" ")
        path.write_bytes(bytes(content))
        try:
            model, report = read_with_report(path)
            assert model.n_states >= 1
            complaints.append(str(report))
        except InvalidModelError as error:
            complaints.append(str(error))
        except mdplib.MissingExtraError:
            raise AssertionError(content) from None
    assert len(set(complaints)) > 20
