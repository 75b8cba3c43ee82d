"""The benchmark harness with libraries that exist only here: sloppy, wrong, greedy, absent."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from benchmarks import scale
from benchmarks.restless import __main__ as restless
from benchmarks.tabular import __main__ as command
from benchmarks.tabular import adapters, compare, figure, measure, table, worker
from benchmarks.tabular.compare import Measurement, Settings
from benchmarks.tabular.instances import INSTANCES, Instance
from benchmarks.tabular.session import Session
from mdplib import TabularMDP, models, operators

PYTHON = Path("python")


def small(S: int = 20, name: str = "small") -> Instance:
    def build(gamma: float) -> TabularMDP:
        return models.garnet(S, 2, 3, np.random.default_rng(0), gamma=gamma)

    return Instance(name, "small", build, 6 * S)


class Fake(adapters.Adapter):
    """A library whose vector is off by `miss` times what was asked for."""

    module = "math"
    methods = ("only",)
    miss: ClassVar[float] = 0.5

    def problem(self, gamma: float, epsilon: float) -> Any:
        arrays: Any = [self.model[name] for name in adapters.FIELDS]
        return TabularMDP(*arrays, gamma=gamma), epsilon

    def solve(self, problem: Any) -> Any:
        mdp, epsilon = problem
        V = np.zeros(mdp.n_states)
        for _ in range(300):
            V = operators.bellman(mdp, V)
        return V + self.miss * epsilon


class Sloppy(Fake):
    miss = 30.0


class Wrong(Fake):
    def solve(self, problem: Any) -> Any:
        return super().solve(problem) + 1.0


class Greedy(Fake):
    def solve(self, problem: Any) -> Any:
        raise MemoryError("9 exbibytes")


class Broken(Fake):
    def solve(self, problem: Any) -> Any:
        raise ZeroDivisionError("oh")


class Absent(Fake):
    module = "a_library_that_nobody_wrote"


class Elsewhere(Fake):
    def __init__(self, model: adapters.Arrays, method: str):
        raise adapters.NotOffered("only for other models")


class InProcess:
    """A session without a process."""

    slow: ClassVar[tuple[str, ...]] = ()
    asked: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, python: Path, memory: int = 0):
        self.worker, self.library = worker.Worker(), ""

    def ask(self, do: str, limit: float, **request: Any) -> dict[str, Any]:
        self.library = request.get("library", self.library)
        self.asked.append((do, self.library))
        self.method = request.get("method", getattr(self, "method", ""))
        if do == "solve" and (self.library in self.slow or self.method == "slow"):
            return {"error": "time", "detail": f"more than {limit:g} s"}
        return json.loads(json.dumps(worker.answer(self.worker, {"do": do, **request})))

    def close(self) -> None: ...

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *error: object) -> None: ...


FAKES = {
    "good": Fake,
    "sloppy": Sloppy,
    "wrong": Wrong,
    "greedy": Greedy,
    "broken": Broken,
    "slow": Fake,
    "absent": Absent,
    "elsewhere": Elsewhere,
}


def prepared(patch: pytest.MonkeyPatch) -> Settings:
    patch.setattr(adapters, "ADAPTERS", {"mdplib": adapters.Mdplib, **FAKES})
    patch.setattr(InProcess, "slow", ("slow",))
    patch.setattr(InProcess, "asked", [])
    instances = {name: small(S, name) for name, S in (("small", 20), ("larger", 40))}
    patch.setattr("benchmarks.tabular.instances.INSTANCES", instances)
    return Settings(
        python=dict.fromkeys(["mdplib", *FAKES], PYTHON),
        gammas=[0.5, 0.9],
        repeats=2,
        limit=5.0,
        methods={"mdplib": ("auto",), **dict.fromkeys(FAKES, ("only",))},
    )


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    return prepared(monkeypatch)


@pytest.fixture(scope="module")
def run() -> tuple[list[list[Measurement]], list[tuple[str, str]]]:
    """Results on a small and a larger model, and what the workers were asked."""
    with pytest.MonkeyPatch.context() as patch:
        plan = prepared(patch)
        found = list(compare.compare([small(20), small(40, "larger")], plan, session=InProcess))
        return found, list(InProcess.asked)


@pytest.fixture
def results(run: tuple[list[list[Measurement]], Any]) -> list[list[Measurement]]:
    return run[0]


def test_every_library_is_judged(results: list[list[Measurement]]):
    assert len(results) == 2
    notes = {(m.library, m.gamma): m.note for m in results[0]}
    for gamma in (0.5, 0.9):
        found = {library: note for (library, g), note in notes.items() if g == gamma}
        assert "elsewhere" not in found
        assert found["mdplib"] == found["good"] == found["sloppy"] == ""
        assert (found["wrong"], found["broken"], found["absent"]) == ("missed", "failed", "absent")
        later = "time" if gamma == 0.5 else "not tried"
        assert found["slow"] == later
        assert found["greedy"] == ("memory" if gamma == 0.5 else "not tried")


def test_runs_that_count_are_within_eps(results: list[list[Measurement]]):
    for one in results[0]:
        if not one.note:
            assert one.error is not None
            assert one.error <= 1
            assert one.eps > 1e-6
            assert one.seconds is not None
            assert one.wall is not None
            assert 0 < one.seconds <= one.wall
    wrong = [m for m in results[0] if m.library == "wrong"]
    assert all(m.error is not None and m.error > 1e3 for m in wrong)


def test_a_sloppy_library_is_asked_again(run: tuple[list[list[Measurement]], Any]):
    """Error 30 eps at first: two lower tolerances lead to .3 eps."""
    sloppy = next(m for m in run[0][0] if m.library == "sloppy")
    assert sloppy.error == pytest.approx(0.3, abs=0.1)
    count = run[1].count
    assert count(("solve", "sloppy")) == 2 * 2 * 3  # models, discount factors, tolerances
    assert count(("solve", "wrong")) == 2 * 2 * 4
    assert count(("solve", "good")) == 2 * 2


def test_what_fails_on_a_small_model_is_not_tried_on_a_larger_one(
    run: tuple[list[list[Measurement]], Any],
):
    notes = {m.library: m.note for m in run[0][1]}
    assert notes["slow"] == notes["greedy"] == "not tried"
    assert notes["good"] == ""
    assert run[1].count(("solve", "slow")) == 1


def test_a_slower_method_is_ended_but_tried_at_other_discount_factors(settings: Settings):
    """Its limit is not the general one, so it tells nothing about larger models."""
    settings = replace(settings, methods={"mdplib": ("auto",), "good": ("only", "slow")})
    both = list(compare.compare([small(20), small(40, "larger")], settings, session=InProcess))
    for found in both:
        assert [m.note for m in found if m.method == "slow"] == ["slower", "slower"]
        assert [m.note for m in found if m.method == "only"] == ["", ""]
    assert table.lines(both[0])[0].best["good"].method == "only"


def test_bounds_from_the_vector_replace_a_missing_reference(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    exact = compare._Model._solve

    def without_reference(self: Any, one: Any, gamma: float, epsilon: float, **more: Any) -> Any:
        if one is self.checker and epsilon < 1e-5:
            return {"error": "time"}
        return exact(self, one, gamma, epsilon, **more)

    def solve(self: Any, one: Any, gamma: float, epsilon: float, repeats: int, **more: Any) -> Any:
        return without_reference(self, one, gamma, epsilon, repeats=repeats, **more)

    monkeypatch.setattr(compare._Model, "_solve", solve)
    chosen = dict.fromkeys(("good", "wrong"), ("only",)) | {"mdplib": ("auto",)}
    (found,) = compare.compare([small()], replace(settings, methods=chosen), session=InProcess)
    notes = {m.library: m.note for m in found}
    assert notes == {"mdplib": "", "good": "", "wrong": "missed"}
    assert ("bounds", "mdplib") in InProcess.asked


def test_an_instance_that_cannot_be_built_is_reported(settings: Settings):
    (found,) = compare.compare(
        [Instance("unknown", "small", lambda g: models.chain(3), 1)], settings, session=InProcess
    )
    assert all("could not be built" in m.note for m in found)
    line = table.lines(found)[0]
    assert line.ratio is None


def made(library: str, seconds: float | None, note: str = "", method: str = "m") -> Measurement:
    return Measurement("model", 0.9, library, method, seconds=seconds, note=note)


def test_ratios():
    def ratio(*some: Measurement) -> float | None:
        return table.lines(some)[0].ratio

    assert ratio(made("mdplib", 2.0), made("a", 6.0), made("b", 4.0), made("b", 5.0)) == 2.0
    assert ratio(made("mdplib", 2.0), made("a", 0.1, "missed"), made("b", 4.0)) == 2.0
    assert ratio(made("mdplib", 2.0), made("a", None, "time")) == math.inf
    assert ratio(made("mdplib", 2.0), made("a", None, "absent")) is None
    assert ratio(made("mdplib", 2.0, "missed"), made("a", 1.0)) is None
    assert ratio(made("mdplib", 2.0)) is None
    assert table.geometric_mean([2.0, 8.0, math.inf]) == pytest.approx(4.0)
    assert math.isnan(table.geometric_mean([]))


def test_the_table_names_the_best_method_and_the_losses():
    some = [
        made("mdplib", 2.0, method="auto"),
        made("a", 1.0, method="slow one"),
        made("a", 0.5, method="quick one"),
        made("b", None, "time"),
        made("c", None, "absent"),
        made("d", 3.0, "missed"),
    ]
    told = table.text(table.lines(some), ["mdplib", "a", "b", "c", "d"])
    assert "0.5 (quick one)" in told
    assert "slow one" not in told
    for word in ("> limit", "absent", "missed", "0.25"):
        assert word in told
    assert "Slower than a peer: model at 0.9." in told
    assert "Geometric mean of the ratio: 0.25 over 1 cases" in told


def test_files(results: list[list[Measurement]], tmp_path: Path):
    some = results[0] + results[1]
    table.write_csv(some, tmp_path / "tabular.csv")
    with (tmp_path / "tabular.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(some)
    assert {row["library"] for row in rows} == {m.library for m in some}
    sweeps = [measure.Sweep("small", 1000, 1e-6, 0.8)]
    command._write(tmp_path / "tabular.json", {}, {}, some, sweeps)
    stored = json.loads((tmp_path / "tabular.json").read_text())
    assert stored["sweeps"][0]["share"] == 0.8
    assert len(stored["results"]) == len(some)


def test_figure(results: list[list[Measurement]], tmp_path: Path):
    """Also where no peer made it, and without sweeps."""
    lines = table.lines(results[0])
    lines.append(table.Line("alone", 0.9, {"mdplib": made("mdplib", 1.0)}, {"slow": "time"}))
    picture = figure.draw(lines, [measure.Sweep("small", 1000, 1e-6, 0.8)], tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((tmp_path / "tabular-figure.json").read_text())
    assert {"small", "alone"} == {one["model"] for one in numbers["ratios"]}
    assert numbers["caption"]
    figure.draw([], [], tmp_path / "empty")


# ------------------------------------------------------------------------- processes


def test_a_process_answers_and_is_ended_when_it_takes_too_long(tmp_path: Path):
    import sys

    with Session(Path(sys.executable)) as session:
        built = session.ask("build", 120, name="chain 1e3", gamma=0.9, folder=str(tmp_path))
        assert built == {"states": 1000, "pairs": 2000, "nnz": 3998}
        assert session.ask("nothing", 60)["error"] == "failed"
        assert session.ask("build", 0.0, name="taxi", gamma=0.9, folder="")["error"] == "time"
        assert session.ask("build", 60, name="taxi", gamma=0.9, folder="")["error"] == "died"
    assert adapters.load(tmp_path)["reward"].size == 2000


def test_the_memory_of_a_process_is_limited(tmp_path: Path):
    import sys

    with Session(Path(sys.executable), 2**26) as session:
        found = session.ask("build", 60, name="dense 500/10", gamma=0.9, folder=str(tmp_path))
    assert found["error"] in ("died", "memory", "absent", "failed")


# ------------------------------------------------------------------------- the command


def test_options_choose_models_and_peers(tmp_path: Path):
    read = command.arguments
    assert {one.name for one in command.chosen(read([]))} == set(INSTANCES)
    assert [one.name for one in command.chosen(read(["--only", "chain,taxi"]))] == [
        "taxi",
        "chain 1e3",
    ]
    assert 2 <= len(command.chosen(read(["--quick"]))) <= 6
    with pytest.raises(SystemExit, match="no model matches 'nonsense'"):
        command.chosen(read(["--only", "nonsense"]))
    with pytest.raises(SystemExit, match="no peer foo; known: quantecon"):
        command.settings(read(["--peers", "foo"]))
    with pytest.raises(SystemExit, match="gammas are"):
        command.settings(read(["--gammas", "1.0"]))
    plan = command.settings(read(["--peers", "none", "--gammas", "0.99,0.5"]))
    assert plan.gammas == [0.5, 0.99]
    assert list(plan.methods) == ["mdplib"]
    missing = command.settings(read(["--peers-python", str(tmp_path / "python")]))
    assert list(missing.python) == ["mdplib"]
    assert "quantecon" in missing.methods


def test_definitions_of_the_models():
    """Sizes, and the two that no other test builds."""
    sizes = {}
    for name in ("taxi", "chain 1e3", "dense 500/10", "ncd 20x1000", "garnet 1e3/16/20"):
        mdp = INSTANCES[name].build(0.95)
        sizes[name] = mdp.n_states, mdp.n_pairs
        assert mdp.gamma == 0.95
        assert 0.9 < mdp.nnz / INSTANCES[name].nnz < 1.4
    assert sizes == {
        "taxi": (501, 3001),
        "chain 1e3": (1000, 2000),
        "dense 500/10": (500, 5000),
        "ncd 20x1000": (20_000, 80_000),
        "garnet 1e3/16/20": (1000, 16_000),
    }
    garnets = [name for name in INSTANCES if name.startswith("garnet")]
    assert len(garnets) == 16
    again = INSTANCES["garnet 1e3/16/20"].build(0.95)
    assert again == mdp


def test_sweeps_count_their_bytes():
    mdp = models.chain(100, gamma=0.9)
    assert measure.sweep_bytes(mdp) == 12 * 398 + 12 * 200 + 24 * 100
    times = measure.seconds_of(lambda: None, 3)
    assert len(times) == 3
    assert times == sorted(times)
    assert measure.copy_bandwidth(2**12, 1) > 0
    assert measure.latency(4, 2) > 0


def test_scale_streams_a_garnet(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    try:
        numbers = scale.main(
            ["--states", "2000", "--memory", "64", "--out", str(tmp_path / "scale.json")]
        )
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert numbers["status"] == "OPTIMAL"
    assert numbers["gap"] <= 1e-6 * 51
    assert numbers["model bytes"] == 4 * 2001 + 4 * 8001 + 12 * 40_000 + 12 * 8000
    assert json.loads((tmp_path / "scale.json").read_text()) == numbers
    assert "peak" in capsys.readouterr().out


def test_coupled_bandits_are_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--quick", "--no-training", "--domains", "schedule", "--out", str(tmp_path)]
    row = restless.main(options)["domains"]["schedule"]
    assert row["embedding"]["tight_ms"] > 0
    assert json.loads((tmp_path / "restless.json").read_text())["domains"]["schedule"] == row
    assert "20 arms, best of" in capsys.readouterr().out
