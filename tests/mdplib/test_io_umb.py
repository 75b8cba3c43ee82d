"""UMB: files as Storm writes them, exact round trips, damage, hostile sizes."""

from __future__ import annotations

import gzip
import io as streams
import json
import lzma
import os
import tarfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mdplib
from mdplib import InvalidModelError, LabelledMDP, models
from mdplib.io import read_umb, read_with_report, write_umb
from mdplib.io.files import members


def labelled_mdp(*fields: Any, **named: Any) -> LabelledMDP:
    return LabelledMDP(*fields, **named)


TEN40 = 10**40
FOLDER = os.environ.get("MDPLIB_QVBS_DIR")

# The program of tests/mdplib/test_io_edge.py, as Storm exports it. State 2 was a deadlock that paid
# 7: Storm added the self-loop and dropped the 7.
INDEX: dict[str, Any] = {
    "annotations": {
        "aps": {
            "0x47oal": {
                "alias": "Goal",
                "applies-to": ["states"],
                "type": {"size": 1, "type": "bool"},
            },
            "deadlock": {
                "alias": "deadlock",
                "applies-to": ["states"],
                "type": {"size": 1, "type": "bool"},
            },
        },
        "rewards": {
            "0x43ost": {
                "alias": "Cost",
                "applies-to": ["states", "choices"],
                "lower": 0,
                "type": {"size": 64, "type": "double"},
            },
            "default": {"applies-to": ["choices"], "type": {"size": 64, "type": "double"}},
        },
    },
    "file-data": {"creation-date": 1795391296, "tool": "Storm"},
    "format-revision": 0,
    "format-version": 1,
    "transition-system": {
        "#branch-actions": 0,
        "#branches": 9,
        "#choice-actions": 5,
        "#choices": 7,
        "#initial-states": 1,
        "#observations": 0,
        "#players": 1,
        "#states": 5,
        "branch-probability-type": {"size": 64, "type": "double"},
        "time": "discrete",
    },
}


def words(*values: int) -> bytes:
    return np.array(values, dtype="<u8").tobytes()


def doubles(*values: float) -> bytes:
    return np.array(values, dtype="<f8").tobytes()


ARRAYS: dict[str, bytes] = {
    "state-to-choices.bin": words(0, 2, 3, 4, 6, 7),
    "state-is-initial.bin": words(1),
    "choice-to-branches.bin": words(0, 2, 3, 4, 5, 7, 8, 9),
    "branch-to-target.bin": words(1, 2, 3, 1, 2, 3, 4, 3, 4),
    "branch-to-probability.bin": doubles(0.5, 0.5, 1, 1, 1, 0.9, 0.1, 1, 1),
    "actions/choices/values.bin": np.array([1, 2, 0, 0, 3, 4, 0], dtype="<u4").tobytes(),
    "actions/choices/string-mapping.bin": words(0, 0, 1, 2, 4, 8),
    "actions/choices/strings.bin": b"abgostay",
    "annotations/aps/0x47oal/states/values.bin": words(0b10010),
    "annotations/aps/deadlock/states/values.bin": words(0b00100),
    "annotations/rewards/0x43ost/states/values.bin": doubles(0, 0, 0, 0, 0),
    "annotations/rewards/0x43ost/choices/values.bin": doubles(1, 2, 0, 0, 1, 0, 0),
    "annotations/rewards/default/choices/values.bin": doubles(1, 0, 0, 0, 0, 0, 0),
}


def archive(index: Any, arrays: dict[str, bytes], *, last: bool = False, packed: bool = True):
    """A file laid out as Storm does, directories included."""
    text = index if isinstance(index, bytes) else json.dumps(index).encode()
    parts = list(arrays.items())
    parts.insert(len(parts) if last else 0, ("index.json", text))
    stream = streams.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        folder = tarfile.TarInfo("annotations/")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in parts:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, streams.BytesIO(data))
    return gzip.compress(stream.getvalue(), mtime=0) if packed else stream.getvalue()


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The index with other entries, addressed by a path with slashes; None deletes."""
    index = json.loads(json.dumps(INDEX))
    for path, value in changes.items():
        *folders, name = path.split("/")
        place = index
        for folder in folders:
            place = place[folder]
        if value is None:
            del place[name]
        else:
            place[name] = value
    return index


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.umb"


def stored(path: Path) -> dict[str, bytes]:
    return {member.name: member.content() for member in members(path)}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("packing", [bytes, gzip.compress, lzma.compress])
def test_a_file_of_storm(path: Path, last: bool, packing: Callable[[bytes], bytes]):
    path.write_bytes(packing(archive(INDEX, ARRAYS, last=last, packed=False)))
    model, report = read_with_report(path)
    assert isinstance(model, LabelledMDP)
    assert model.state_ptr.tolist() == [0, 2, 3, 4, 6, 7]
    assert model.indices.tolist() == [1, 2, 3, 1, 2, 3, 4, 3, 4]
    assert model.data.tolist() == [0.5, 0.5, 1, 1, 1, 0.9, 0.1, 1, 1]
    assert model.pair_labels == ("a", "b", "", "", "go", "stay", "")
    assert {name: np.flatnonzero(m).tolist() for name, m in model.labels.items()} == {
        "Goal": [1, 4],
        "deadlock": [2],
        "init": [0],
    }
    assert model.rewards["Cost"].tolist() == [1, 2, 0, 0, 1, 0, 0]
    assert model.rewards["default"].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert model.initial is not None
    assert model.initial.tolist() == [1, 0, 0, 0, 0]
    assert (report.format, report.absorbing, report.deadlocks) == ("umb", 3, 0)


def test_arrays_written_again_are_the_same_bytes(path: Path):
    path.write_bytes(archive(INDEX, ARRAYS))
    write_umb(read_umb(path), path)
    again = stored(path)
    del again["index.json"]
    expected = dict(ARRAYS)
    del expected["annotations/rewards/0x43ost/states/values.bin"]  # added to the choices
    assert again == expected
    write_umb(read_umb(path), path.with_name("twice"))
    assert path.read_bytes() == path.with_name("twice").read_bytes()


def test_arrays_of_real_files_are_the_same_bytes(path: Path):
    for original in sorted(Path(FOLDER).glob("*.umb")) if FOLDER else ():
        model = read_umb(original)
        write_umb(model, path)
        assert read_umb(path) == model
        ours, theirs = stored(path), stored(original)
        for name in theirs.keys() - {"index.json"}:
            if "rewards" not in name or "/states/" not in name:  # added to the choices
                assert ours[name] == theirs[name], (original.name, name)


def rich() -> LabelledMDP:
    """Everything the format has no place for."""
    third = Fraction(1, 3)
    return labelled_mdp(
        [0, 2, 3, 4],
        [0, 2, 4, 5, 6],
        [0, 1, 1, 2, 1, 2],
        [1 / 3, 2 / 3, 0.0, 1.0, 1.0, 1.0],
        [1, 7, 0, 3],
        {"b": [0.1, -2.5, 1e300, 0.0], "a b": [1, 0, 0, 0], "a_b": [0, 0, 1 / 7, -1 / 7]},
        {"A b": [True, False, True], "ä\ud800": [False, False, True], "": [False] * 3},
        [0.25, 0.5, 0.25],
        ["x", "", "ö\n"],
        ["go", "", "go", "ünder"],
        [third, 2 * third, Fraction(0), Fraction(1), Fraction(1), Fraction(1)],
        {"a_b": [Fraction(0), Fraction(0), Fraction(1, 7), Fraction(-1, 7)]},
    )


MODELS = {
    "rich": rich,
    "no initial law": lambda: rich().replace(initial=None),
    "init is another set": lambda: rich().replace(labels={"init": [True, False, False]}),
    "init is the support": lambda: rich().replace(
        initial=[0.5, 0.5, 0.0], labels={"init": [True, True, False]}
    ),
    "init without a law": lambda: rich().replace(
        initial=None, labels={"init": [True, True, False]}
    ),
    "long numbers": lambda: rich().replace(
        rational=[
            Fraction(10**40 + 1, 3 * 10**40),
            Fraction(2 * 10**40 - 1, 3 * 10**40),
            0,
            1,
            1,
            1,
        ]
    ),
    "rows off by 1e-10": lambda: rich().replace(
        rational=None, data=[0.5, 0.5 + 1e-10, 0.0, 1.0, 1.0, 1.0]
    ),
    "a chain": lambda: labelled_mdp([0, 1], [0, 1], [0], [1.0], [0]),
}


@pytest.mark.parametrize("name", MODELS)
def test_round_trip_keeps_everything(name: str, path: Path):
    model = MODELS[name]()
    write_umb(model, path)
    again = read_umb(path)
    assert again == model
    assert again.state_labels == model.state_labels
    assert again.rational == model.rational
    assert mdplib.read(path) == model


def test_discounted_problems_come_back_as_such(path: Path):
    mdp = models.gridworld("S#\n.G", gamma=0.9).replace(action_labels=list("urdl"))
    mdplib.write(mdp, path)
    assert mdplib.read(path) == mdp
    assert mdplib.read(path, gamma=0.5) == mdp.with_gamma(0.5)
    assert list(read_umb(path).rewards) == ["reward"]
    with pytest.raises(InvalidModelError, match="umb would lose horizon, terminal"):
        mdplib.write(models.deep_sea(3), path)


def test_several_initial_states(path: Path):
    path.write_bytes(
        archive(
            changed({"transition-system/#initial-states": 2}),
            {**ARRAYS, "state-is-initial.bin": words(0b1001)},
        )
    )
    model = read_umb(path)
    assert model.initial is not None
    assert model.initial.tolist() == [0.5, 0, 0, 0.5, 0]
    assert np.flatnonzero(model.labels["init"]).tolist() == [0, 3]


def test_rewards_of_states_choices_and_branches_add_up(path: Path):
    index = changed({"annotations/rewards/0x43ost/applies-to": ["states", "choices", "branches"]})
    folder = "annotations/rewards/0x43ost"
    arrays = {
        **ARRAYS,
        f"{folder}/states/values.bin": doubles(10, 20, 30, 40, 50),
        f"{folder}/branches/values.bin": doubles(2, 4, 0, 0, 0, 10, 20, 0, 0),
    }
    path.write_bytes(archive(index, arrays))
    expected = [10 + 1 + 3, 12, 20, 30, 41 + 9 + 2, 40, 50]
    assert read_umb(path).rewards["Cost"].tolist() == expected


def test_a_chain_needs_no_pointer(path: Path):
    system = {"#states": 2, "#choices": 2, "#branches": 2, "#players": 0, "time": "discrete"}
    index = {"format-version": 1, "transition-system": system}
    path.write_bytes(archive(index, {"branch-to-target.bin": words(1, 1)}))
    assert read_umb(path) == labelled_mdp([0, 1, 2], [0, 1, 2], [1, 1], [1.0, 1.0], [0, 0])


def test_unsorted_branches_are_sorted_merged_and_counted(path: Path):
    arrays = {**ARRAYS, "branch-to-target.bin": words(2, 2, 3, 1, 2, 4, 3, 3, 4)}
    arrays["branch-to-probability.bin"] = doubles(0.5, 0.5, 1, 1, 1, 0.1, 0.9, 1, 1)
    path.write_bytes(archive(INDEX, arrays))
    model, report = read_with_report(path)
    assert isinstance(model, LabelledMDP)
    assert model.indices.tolist() == [2, 3, 1, 2, 3, 4, 3, 4]
    assert model.data.tolist() == [1, 1, 1, 1, 0.9, 0.1, 1, 1]
    assert report.merged_duplicates == 1
