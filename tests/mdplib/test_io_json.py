"""JSON, and npz for every kind of model: files by hand, exact round trips, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mdplib
from mdplib import InvalidModelError, LabelledMDP, TabularMDP, models
from mdplib.io import npz, read_json, read_umb
from mdplib.io.json_write import write_json


def labelled_mdp(*fields: Any, **named: Any) -> LabelledMDP:
    return LabelledMDP(*fields, **named)


def tabular_mdp(*fields: Any, **named: Any) -> TabularMDP:
    return TabularMDP(*fields, **named)


JSON: dict[str, Any] = {
    "format": "mdplib-mdp",
    "version": 1,
    "states": ["start", "end"],
    "actions": ["wait", "go"],
    "gamma": "0.95",
    "init": {"start": 1},
    "choices": [
        ["end", "wait", 0, [["end", 1]]],
        ["start", "go", "1/3", [["end", "2/3"], ["start", "1/3"]]],
        [0, 0, 2, [[0, 1.0]]],
    ],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model"


def put(path: Path, text: str | dict[str, Any]) -> Path:
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def test_json_by_hand(path: Path):
    mdp = mdplib.read(put(path, JSON))
    assert isinstance(mdp, TabularMDP)
    assert mdp == tabular_mdp(
        [0, 2, 3],
        [0, 1, 3, 4],
        [0, 0, 1, 1],
        [1.0, 1 / 3, 2 / 3, 1.0],
        [2.0, 1 / 3, 0.0],
        [0, 1, 0],
        0.95,
        initial=[1.0, 0.0],
        state_labels=["start", "end"],
        action_labels=["wait", "go"],
    )


def test_json_in_lines(path: Path):
    head = {key: value for key, value in JSON.items() if key != "choices"}
    lines = "\n".join(map(json.dumps, [head, *JSON["choices"]]))
    assert mdplib.read(put(path, lines)) == read_json(put(path.with_name("x"), JSON))


def labelled() -> LabelledMDP:
    return labelled_mdp(
        [0, 2, 3],
        [0, 2, 3, 4],
        [0, 1, 1, 1],
        [1 / 3, 2 / 3, 1.0, 1.0],
        [0, 4, 2],
        {"x": [1.0, 2.0, 0.1], "y": [0.0, -0.5, 0.0]},
        {"goal": [False, True], "": [False, False]},
        [0.1, 0.9],
        ["0", "1"],
        ["a", "", "a"],
        [Fraction(1, 3), Fraction(2, 3), Fraction(1), Fraction(1)],
        {"y": [Fraction(0), Fraction(-1, 2), Fraction(0)]},
    )


ANY: dict[str, Callable[[], Any]] = {
    "discounted": lambda: models.gridworld("S#\n.G", gamma=0.1 + 0.2),
    "finite horizon": lambda: models.deep_sea(3).replace(terminal=np.arange(7) / 3),
    "labelled": labelled,
    "bare": lambda: labelled().replace(
        rewards={}, labels={}, rational_rewards={}, pair_labels=None, rational=None, initial=None
    ),
    "reach": lambda: labelled().reach("goal", "min"),
    "expected reward": lambda: labelled().expected_reward("goal", "max", "y"),
    "average reward": lambda: labelled().average_reward("min", "x"),
}


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".npz"])
@pytest.mark.parametrize("name", ANY)
def test_every_kind_round_trips(name: str, suffix: str, path: Path):
    model = ANY[name]()
    target = path.with_suffix(suffix)
    mdplib.write(model, target)
    again = mdplib.read(target)
    assert type(again) is type(model)
    assert again == model
    if not isinstance(again, TabularMDP):
        assert again.rational == model.rational


def test_json_refuses_what_it_cannot_hold(path: Path):
    layers = [models.forest(), models.forest(r1=5.0)]
    with pytest.raises(InvalidModelError, match="json cannot hold kernels or rewards that change"):
        write_json(TabularMDP.from_layers(layers), path)
    zeros = models.forest().replace(data=[0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.5, 0.5, 1.0])
    with pytest.raises(InvalidModelError, match="json would lose indptr, indices, data"):
        write_json(zeros, path)
    write_json(zeros, path, lossy=True)
    assert mdplib.read(path).nnz == zeros.nnz - 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "format is 'other'; 'mdplib-mdp' expected"),
        ({"version": 2}, "version is 2; 1 is read here"),
        ({"version": True}, "version is True"),
        ({"states": 0}, "states is 0"),
        ({"states": 10**18}, "1000000000000000000 states and only 3 choices"),
        ({"states": ["a", "a"]}, "states are not distinct names"),
        ({"choices": 3}, "choices is 3; a list expected"),
        ({"choices": [[0, 0, 1]]}, r"choices\[0\] has 3 entries"),
        ({"choices": [[2, 0, 1, [[0, 1]]]]}, r"choices\[0\]: '2' is no state"),
        ({"choices": [["end", "run", 1, [[0, 1]]]]}, "'run' is no action"),
        ({"choices": [[0, True, 1, [[0, 1]]]]}, "'True' is no action"),
        ({"choices": [[0, 0, 1, [[0, 1]]], [0, 0, 1, [[0, 1]]]]}, "another one of state 0"),
        ({"choices": [[0, 0, 1, [[0, 1]]]]}, "state 1 has no action"),
        ({"choices": [[0, 0, None, [[0, 1]]]]}, "'None' is no number"),
        ({"choices": [[0, 0, 1, [[0, "1e99999"]]]]}, "'1e99999' is no number"),
        ({"choices": [[0, 0, 1, [[0, "1/0"]]]]}, "'1/0' has denominator 0"),
        ({"choices": [[0, 0, 1, [0]]]}, "a list expected"),
        ({"choices": [[0, 0, 1, [[0]]]]}, "no .state, probability."),
        ({"choices": [[0, 0, 1, []], [1, 0, 1, [[1, 1]]]]}, "has no successor"),
        ({"gamma": 1}, "gamma is 1"),
        ({"gamma": []}, "is no number"),
        ({"horizon": "3"}, "horizon is '3'"),
        ({"init": {"start": 0.5}}, "initial sums to 0.5"),
        ({"init": [1, 0]}, "init is no object"),
        ({"init": {"begin": 1}}, "'begin' is no state"),
        ({"labels": {"goal": 1}}, r"labels\['goal'\] is 1; a list expected"),
        ({"criterion": "reachability"}, "needs a target"),
        ({"criterion": "hope", "target": [0]}, "criterion is 'hope'"),
        ({"rewards": ["a", "b"]}, "is 2; a list expected|is 0; a list expected"),
    ],
)
def test_json_refusals(changes: dict[str, Any], message: str, path: Path):
    with pytest.raises(InvalidModelError, match=message) as caught:
        read_json(put(path, {**JSON, **changes}))
    assert str(path) in str(caught.value)


def test_json_is_strict_about_numbers_and_keys(path: Path):
    for text in ('{"format": NaN}', '{"a": 1, "a": 2}', "[1]", "{", "[" * 100_000, "1" * 5000):
        with pytest.raises(InvalidModelError):
            read_json(put(path, text))


@pytest.mark.parametrize("suffix", [".json", ".npz", ".drn"])
def test_numbers_too_long_for_text(suffix: str, path: Path):
    tiny = Fraction(1, 10**5000)
    long = labelled().replace(
        rational=[Fraction(1, 3) + tiny, Fraction(2, 3) - tiny, Fraction(1), Fraction(1)]
    )
    with pytest.raises(InvalidModelError, match=r"more than 3900 digits.*write umb"):
        mdplib.write(long, path.with_suffix(suffix), lossy=True)
    mdplib.write(long, path.with_suffix(".umb"))
    assert read_umb(path.with_suffix(".umb")).rational == long.rational


@pytest.mark.parametrize(
    "changes",
    [
        {"rational": ["1/0", "2/3", "1", "1"]},
        {"rational": "1"},
        {"rational": [1, 2, 3, 4]},
        {"labels": ["a"]},
        {"rewards": 3},
        {"rational_rewards": []},
        {"rational_rewards": {"z": []}},
        {"pair_labels": 3},
        {"state_labels": ["a"]},
        {"more": 1},
        {"fingerprint": ""},
    ],
)
def test_npz_with_a_sound_checksum_and_a_bad_head(changes: dict[str, Any], path: Path):
    mdplib.write(labelled(), path.with_suffix(".npz"))
    kind = "mdplib.LabelledMDP"
    head, arrays = npz.read_arrays(path.with_suffix(".npz"), kind, 1)
    npz.write_arrays(path, kind, 1, json.dumps({**json.loads(head), **changes}), arrays)
    with pytest.raises(InvalidModelError, match=str(path)):
        mdplib.read(path)
    npz.write_arrays(path, kind, 1, "[]", arrays)
    with pytest.raises(InvalidModelError, match="'fingerprint' is missing"):
        mdplib.read(path)
    npz.write_arrays(path, kind, 1, head, {**arrays, "state_ptr": np.array([0, 9])})
    with pytest.raises(InvalidModelError, match="state_ptr"):
        mdplib.read(path)
