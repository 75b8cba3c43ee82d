"""Models of Storm: an imitation of its Python package, and the way through a process of its own."""

from __future__ import annotations

import importlib.util
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mdplib
from mdplib import InvalidModelError, LabelledMDP, MissingExtraError
from mdplib.io import from_storm, read_jani, read_prism, storm


def labelled_mdp(*fields: Any, **named: Any) -> LabelledMDP:
    return LabelledMDP(*fields, **named)


PRISM = """// a comment
mdp
const int N;
module m
  s : [0..N] init 0;
  [a] s=0 -> 0.25:(s'=1) + 0.75:(s'=2);
  [b] s=0 -> (s'=3);
  [] s=1 -> true;
  [go] s=3 -> 0.9:(s'=3) + 0.1:(s'=4);
  [] s=4 -> true;
endmodule
label "goal" = s=1 | s=4;
rewards "cost"
  [a] true : 1; [b] true : 2; s=3 : 5; s=2 : 7;
endrewards
"""
JANI = {"jani-version": 1, "name": "m", "type": "mdp"}


class Thing:
    """An object with given attributes, or with methods that return them."""

    def __init__(self, methods: bool, **members: Any):
        for name, value in members.items():
            fixed = callable(value) or name in ("nr_states", "transition_matrix")
            setattr(self, name, (lambda v=value: v) if methods and not fixed else value)


ROWS = [
    [(1, 0.25), (2, 0.75)],
    [(3, 1.0)],
    [(1, 1.0)],
    [(2, 1.0)],
    [(3, 0.9), (4, 0.1)],
    [(4, 1.0)],
]


def matrix(methods: bool, rows: list[list[tuple[int, Any]]], kind: Any) -> Thing:
    built = [[Thing(methods, column=c, value=kind(v)) for c, v in row] for row in rows]
    return Thing(methods, nr_rows=len(rows), get_row=lambda k: built[k])


def imitation(methods: bool = False, kind: Any = float, **changes: Any) -> Thing:
    """What Storm builds from the program above."""
    marks = [{"init"}, {"goal"}, {"deadlock"}, set(), {"goal"}]
    names = ["a", "b", "", "", "go", ""]
    cost = Thing(
        methods,
        has_state_rewards=True,
        state_rewards=[kind(x) for x in (0, 0, 0, 5, 0)],
        has_state_action_rewards=True,
        state_action_rewards=[kind(x) for x in (1, 2, 0, 0, 0, 0)],
        has_transition_rewards=True,
        transition_rewards=matrix(methods, [[(2, 4)], [], [], [], [], []], kind),
    )
    members: dict[str, Any] = {
        "model_type": "ModelType.MDP",
        "nr_states": 5,
        "transition_matrix": matrix(methods, ROWS, kind),
        "nondeterministic_choice_indices": [0, 2, 3, 4, 5, 6],
        "initial_states": [0],
        "labeling": Thing(
            methods,
            get_labels=lambda: {"init", "goal", "deadlock"},
            get_labels_of_state=lambda s: marks[s],
        ),
        "has_choice_labeling": True,
        "choice_labeling": Thing(
            methods, get_labels_of_choice=lambda k: {names[k]} if names[k] else set()
        ),
        "reward_models": {"cost": cost},
    }
    return Thing(methods, **{**members, **changes})


@pytest.mark.parametrize("methods", [False, True])
def test_a_model_in_memory(methods: bool):
    model = from_storm(imitation(methods))
    assert model.state_ptr.tolist() == [0, 2, 3, 4, 5, 6]
    assert model.data.tolist() == [0.25, 0.75, 1, 1, 1, 0.9, 0.1, 1]
    assert model.pair_labels == ("a", "b", "", "", "go", "")
    assert model.rewards["cost"].tolist() == [1 + 0.75 * 4, 2, 0, 0, 5, 0]
    assert np.flatnonzero(model.labels["goal"]).tolist() == [1, 4]
    assert model.initial is not None
    assert model.initial.tolist() == [1, 0, 0, 0, 0]
    assert model.rational is None


class Exact:
    """A number that only says what it is, as Storm's do."""

    def __init__(self, value: Any):
        self.value = Fraction(str(value))

    def __str__(self) -> str:
        return str(self.value)


def test_exact_numbers_stay_exact():
    model = from_storm(imitation(kind=Exact))
    assert model.rational is not None
    assert model.rational[5] == Fraction(9, 10)
    assert model.rational_rewards["cost"][0] == 4


def test_a_chain_in_memory():
    rows = [[(1, 1.0)], [(1, 1.0)]]
    chain = imitation(
        model_type="ModelType.DTMC",
        nr_states=2,
        transition_matrix=matrix(False, rows, float),
        labeling=Thing(False, get_labels=lambda: set(), get_labels_of_state=lambda s: set()),
        has_choice_labeling=False,
        reward_models={},
        initial_states=[0, 1],
    )
    delattr(chain, "nondeterministic_choice_indices")
    expected = labelled_mdp([0, 1, 2], [0, 1, 2], [1, 1], [1, 1], [0, 0], initial=[0.5, 0.5])
    assert from_storm(chain) == expected
    with pytest.raises(InvalidModelError, match="of type CTMC; MDP or DTMC expected"):
        from_storm(imitation(model_type="ModelType.CTMC"))


def test_without_stormpy(tmp_path: Path):
    path = tmp_path / "model.prism"
    path.write_text(PRISM)
    other = tmp_path / "model.jani"
    other.write_text(json.dumps(JANI))
    if importlib.util.find_spec("stormpy") is None:
        for read in (lambda: read_prism(path), lambda: read_jani(other)):
            with pytest.raises(MissingExtraError, match="extra 'storm'"):
                read()
        for file in (path, other):
            with pytest.raises(MissingExtraError, match="extra 'storm'"):
                mdplib.read(file)
    else:
        model = read_prism(path, constants={"N": 5})
        expected = [1.0, 2.0, 0.0, 0.0, 5.0, 0.0]
        assert model.rewards["cost"].tolist() == expected, "Storm drops the 7 of the deadlock"
        assert model.pair_labels == ("a", "b", "", "", "go", "")
        exact = read_prism(path, constants={"N": 5}, exact=True)
        assert exact.rational is not None
        assert exact.rational[5] == Fraction(9, 10)
        with pytest.raises(InvalidModelError, match="Storm refuses it"):
            read_jani(other)
    with pytest.raises(FileNotFoundError):
        read_prism(tmp_path / "absent")


FAKE = '''
"""Stands in for Storm's package: writes down what it is asked for."""
class exactly(type): pass
class Rational: pass
class BuilderOptions:
    def __init__(self, *given): self.calls = ["options of " + str(given)]
    def __getattr__(self, name): return lambda: self.calls.append(name)
def parse_prism_program(path): return ["prism"]
def parse_jani_model(path): return ["jani"], ["p"]
def parse_properties(text, model): return [text]
def instantiate_constants(model, constants, properties):
    if "bad" in constants: raise ValueError("no constant bad")
    return model + [constants], properties
class Build:
    def __getitem__(self, kind):
        return lambda model, options: (kind.__name__, model, options.calls)
build_model = Build()
class io:
    @staticmethod
    def export_to_umb(model, path): raise SystemExit("umb " + repr(model))
    @staticmethod
    def export_to_drn(model, path):
        open(path, "w").write("@type: DTMC\\n@nr_states\\n1\\n@model\\nstate 0\\n\\t0 : 1\\n")
'''


def test_the_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "stormpy.py").write_text(FAKE)
    path = tmp_path / "model.prism"
    path.write_text(PRISM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert read_prism(path, exact=True, python=sys.executable).n_states == 1
    with pytest.raises(InvalidModelError) as caught:
        read_prism(path, constants={"N": 3}, properties="P=?", python=sys.executable)
    for part in ("'float', ['prism', {'N': 3}]", "['P=?']", "set_build_choice_labels"):
        assert part in str(caught.value)
    with pytest.raises(InvalidModelError, match=r"'jani', \{\}\].*\['p'\]"):
        read_jani(path, python=sys.executable)
    with pytest.raises(InvalidModelError, match=r"Storm refuses it.*ValueError: no constant bad"):
        read_prism(path, constants={"bad": 1}, python=sys.executable)
    (tmp_path / "stormpy.py").write_text("import time\ntime.sleep(60)")
    with pytest.raises(InvalidModelError, match=r"needs more than 0\.2 seconds"):
        read_prism(path, python=sys.executable, time_limit=0.2)
    (tmp_path / "stormpy.py").write_text("raise ImportError")
    with pytest.raises(MissingExtraError):
        read_prism(path, python=sys.executable)


def test_the_core_never_imports_storm():
    source = Path(storm.__file__).read_text()
    assert "import stormpy" not in source
