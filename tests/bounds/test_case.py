"""Cases: what a theorem without a tabular model is asked about."""

import numpy as np
import pytest

from bounds import load
from bounds.case import Case
from bounds.instance import Instance
from bounds.model import Model
from bounds.suite import check_entry
from bounds.theorem import Entry, Hypothesis, Theorem
from bounds.verdict import Outcome
from mdplib.errors import InvalidModelError
from mdplib.statistics import Interval


def square(factor: float = 1.0, trivial: float | None = None) -> Theorem:
    """(x + y)^2 <= 2 factor (x^2 + y^2)."""
    return Theorem(
        id="mdplib:square",
        statement="$(x + y)^2 \\le 2 (x^2 + y^2)$",
        source="a test",
        kind="inequality",
        hypotheses=(Hypothesis("finite", "x is finite", lambda c: bool(np.isfinite(c["x"]))),),
        lhs=lambda c: (c["x"] + c["y"]) ** 2,
        rhs=lambda c: 2 * factor * (c["x"] ** 2 + c["y"] ** 2),
        trivial=None if trivial is None else lambda c: trivial,
    )


def entry(expected: Outcome = Outcome.HOLDS, trivial: float | None = None) -> Entry:
    theorem = square(trivial=trivial)
    return Entry(
        theorem=theorem,
        instances=lambda rng, scale: [
            Case({"x": x, "y": y}, "r") for x, y in rng.normal(size=(9, 2))
        ],
        tight=lambda: Case({"x": 3.0, "y": 3.0}, "equal"),
        tightness=0.99,
        mutant=theorem.mutant(statement="half", rhs=lambda c: c["x"] ** 2 + c["y"] ** 2),
        broken=lambda: {"finite": Case({"x": np.inf, "y": 1.0})},
        expected=expected,
    )


def test_every_role_of_an_entry_on_cases():
    assert [v.ok for v in check_entry(entry())] == [True] * 4


def test_a_vacuous_bound_may_be_what_is_expected():
    found = check_entry(entry(Outcome.VACUOUS, trivial=1e-9))[0]
    assert found.ok
    assert found.verdict.vacuous_factor is not None
    assert found.verdict.vacuous_factor > 1
    assert not check_entry(entry(Outcome.VACUOUS))[0].ok


def test_rounding_is_forgiven_and_nothing_else():
    theorem = square()
    case = Case({"x": 1.0, "y": 1.0 - 1e-12}, rounding=1e-15)
    assert theorem.check(case).outcome is Outcome.HOLDS
    below = square(factor=1 - 1e-6)
    assert below.check(Case({"x": 1.0, "y": 1.0})).outcome is Outcome.VIOLATED
    assert below.check(Case({"x": 1.0, "y": 1.0}, rounding=1e-5)).outcome is Outcome.HOLDS


def test_saved_cases_come_back(tmp_path):
    inner = Interval(0.1, 0.2, 0.3, 0.95, "name", 7)
    values = {
        "x": 1,
        "y": 2.5,
        "s": "text",
        "a": np.eye(2),
        "t": (1, (np.ones(3), None)),
        "i": inner,
    }
    Case(values, "all kinds", 1e-7).save(tmp_path / "case.npz")
    again = load(tmp_path / "case.npz")
    assert isinstance(again, Case)
    assert (again.label, again.rounding) == ("all kinds", 1e-7)
    assert again["x"] == 1
    assert again["s"] == "text"
    assert (again["a"] == np.eye(2)).all()
    assert again["t"][1][1] is None
    assert again["i"] == inner


def test_instances_come_back_as_instances(tmp_path):
    Instance(Model([[1.0]], [1.0], [0, 1], 0.5)).save(tmp_path / "x.npz")
    assert isinstance(load(tmp_path / "x.npz"), Instance)


def test_what_cannot_be_stored_is_named(tmp_path):
    with pytest.raises(InvalidModelError, match="f is a function"):
        Case({"f": lambda: 1}).save(tmp_path / "x.npz")


def test_foreign_classes_are_not_loaded(tmp_path):
    path = tmp_path / "x.npz"
    with path.open("wb") as file:
        arrays = {"label": "", "rounding": 1e-9, "case.x@class": "subprocess:Popen"}
        np.savez_compressed(file, allow_pickle=False, **arrays)  # pyright: ignore
    with pytest.raises(InvalidModelError, match="not one of this library"):
        load(path)
