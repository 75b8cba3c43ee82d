"""Sweeps: resuming, executors, failures, crashes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from experiments.engine import store as store_module
from experiments.engine.cells import key
from experiments.engine.executors import launcher
from experiments.engine.progress import progress
from experiments.engine.store import Store
from experiments.engine.sweep import sweep
from mdplib.errors import MdplibError, MissingExtraError
from tests.experiments import toy as toys
from tests.experiments.toy import Cell, toy

ROOT = Path(__file__).resolve().parents[2]


def rows(results):
    return {path.name: path.read_bytes() for path in (results / "toy/rows").glob("*.json")}


def counts(tally):
    return tally.total, tally.reused, tally.run, len(tally.failed)


def test_larger_scale_reuses_the_rows_of_the_smaller(tmp_path):
    assert counts(sweep(toy(), "smoke", tmp_path)) == (4, 0, 4, 0)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "toy/rows").iterdir()}
    assert counts(sweep(toy(), "default", tmp_path)) == (8, 4, 4, 0)
    assert counts(sweep(toy(), "default", tmp_path)) == (8, 8, 0, 0)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())


def test_a_new_epoch_recomputes(tmp_path):
    sweep(toy(), "smoke", tmp_path)
    assert counts(sweep(replace(toy(), epoch=2), "smoke", tmp_path)) == (4, 0, 4, 0)
    assert len(rows(tmp_path)) == 8


def test_common_random_numbers_across_algorithms(tmp_path):
    sweep(toy(), "default", tmp_path)
    found = Store(tmp_path / "toy").finished(toy(), "default")
    assert len({row["noise"] for _, row in found}) == 1
    assert all(row["noise"] not in row["many"] for _, row in found)


@pytest.fixture(scope="module")
def serial_rows(tmp_path_factory):
    results = tmp_path_factory.mktemp("serial")
    sweep(toy(), "default", results)
    return rows(results)


@pytest.mark.parametrize("executor", ["loky", "dask"])
def test_every_executor_writes_the_same_bytes(tmp_path, serial_rows, executor):
    tally = sweep(toy(), "default", tmp_path, executor=executor, jobs=2)
    assert counts(tally) == (8, 0, 8, 0)
    assert rows(tmp_path) == serial_rows


def test_dask_cluster_by_address(tmp_path, serial_rows):
    from distributed import LocalCluster

    cluster: Any = LocalCluster(n_workers=1, processes=False, dashboard_address=":0")
    with cluster:
        place = cluster.scheduler_address
        sweep(toy(), "default", tmp_path, executor="dask", scheduler=place)
    assert rows(tmp_path) == serial_rows


def test_mutant_row_that_depends_on_the_process_is_caught(tmp_path):
    mutant = toy(toys.leaks_the_process)
    sweep(mutant, "smoke", tmp_path / "serial")
    sweep(mutant, "smoke", tmp_path / "loky", executor="loky", jobs=1)
    assert rows(tmp_path / "serial") != rows(tmp_path / "loky")


def test_without_distributed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"cluster"):
        sweep(toy(), "smoke", tmp_path, executor="dask")


@pytest.mark.parametrize(
    ("options", "match"),
    [({"jobs": 0}, "--jobs 0"), ({"name": "loky", "address": "tcp://x:1"}, "only --executor dask")],
)
def test_unfit_executor_options(options, match):
    with pytest.raises(MdplibError, match=match):
        launcher(**({"name": "serial"} | options))


# ------------------------------------------------------------------- bad cells


@pytest.mark.parametrize("executor", ["serial", "loky"])
def test_one_bad_cell_does_not_stop_the_others(tmp_path, executor):
    tally = sweep(toy(toys.fails_for_one), "default", tmp_path, executor=executor, jobs=2)
    assert counts(tally) == (8, 0, 7, 1)
    bad = key(toy(), Cell(1, "b"))
    failure = json.loads((tmp_path / f"toy/failures/{bad}.json").read_text())
    assert failure["cell"] == {"n": 1, "algorithm": "b", "replicate": 0}
    assert "ValueError: cell 1b is bad" in failure["traceback"]
    assert counts(sweep(toy(), "default", tmp_path)) == (8, 7, 1, 0)  # the cause was mended
    assert not list((tmp_path / "toy/failures").iterdir())


def test_a_cell_that_fails_once_is_retried(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_MARKS", str(tmp_path))
    tally = sweep(toy(toys.fails_at_first), "smoke", tmp_path / "results")
    assert counts(tally) == (4, 0, 4, 0)


def test_a_cell_that_kills_its_worker_fails_alone(tmp_path):
    tally = sweep(toy(toys.kills_its_worker), "default", tmp_path, executor="loky", jobs=2)
    assert counts(tally) == (8, 0, 7, 1)
    (failed,) = tally.failed.values()
    assert failed.task.cell == Cell(1, "b")
    assert "worker" in failed.error


def test_undeclared_nan_is_a_failure(tmp_path):
    tally = sweep(toy(toys.nan), "smoke", tmp_path)
    assert counts(tally) == (4, 0, 0, 4)
    assert "allow_nan" in next(iter(tally.failed.values())).error
    assert counts(sweep(replace(toy(toys.nan), allow_nan=True), "smoke", tmp_path))[2:] == (4, 0)


def test_damaged_row_is_named_set_aside_and_recomputed(tmp_path):
    sweep(toy(), "smoke", tmp_path)
    sound = rows(tmp_path)
    victim = tmp_path / "toy/rows" / min(sound)
    victim.write_bytes(sound[victim.name][:40])
    said = []
    assert counts(sweep(toy(), "smoke", tmp_path, say=said.append)) == (4, 3, 1, 0)
    assert str(victim) in said[0]
    assert rows(tmp_path) == sound
    (aside,) = (tmp_path / "toy/damaged").iterdir()
    assert aside.read_bytes() == sound[victim.name][:40]


# ------------------------------------------------------------------ full disks


@pytest.mark.parametrize("executor", ["serial", "loky"])
def test_full_disk_stops_the_sweep_and_keeps_the_rows(tmp_path, monkeypatch, executor):
    real, calls = os.replace, []

    def full_after_five(source, target):
        calls.append(target)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(store_module.os, "replace", full_after_five)
        with pytest.raises(MdplibError, match=r"(?s)No space left.*--results") as caught:
            sweep(toy(), "paper", tmp_path, executor=executor, jobs=2)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    kept = rows(tmp_path)
    assert kept
    assert not list(tmp_path.glob("**/*.tmp"))
    tally = sweep(toy(), "paper", tmp_path)
    assert (tally.reused, tally.run) == (len(kept), 12 - len(kept))


def test_unwritable_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MdplibError, match=r"file.*--results"):
        sweep(toy(), "smoke", tmp_path / "file" / "results")


# --------------------------------------------------------------------- crashes


def start(tmp_path, log, *, executor="serial", run="slow"):
    code = (
        "import sys; from pathlib import Path\n"
        "from experiments.engine.sweep import sweep\n"
        "from tests.experiments import toy as t\n"
        "t.hear_interrupts()\n"
        f"print(sweep(t.toy(t.{run}), 'paper', Path(sys.argv[1]), executor={executor!r}, jobs=2))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"TOY_LOG": str(log)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for_rows(results, number, child):
    while len(rows(results) if (results / "toy/rows").exists() else ()) < number:
        assert child.poll() is None, child.communicate()
        time.sleep(0.01)


def finish(child):
    out, err = child.communicate()
    assert child.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("executor", ["serial", "loky"])
def test_kill_then_resume_without_recomputation(tmp_path, executor):
    log, results = tmp_path / "log", tmp_path / "results"
    child = start(results, log, executor=executor)
    wait_for_rows(results, 3, child)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    store = Store(results / "toy")
    kept = {found: store.read_record(found) for found in store.listed()}  # all are whole
    assert len(kept) >= 3
    before = Counter(log.read_text().split())

    finish(start(results, log, executor=executor))
    assert len(store.listed()) == 12
    after = Counter(log.read_text().split())
    for record in kept.values():
        assert record is not None
        cell = record[0]["cell"]
        name = f"{cell['n']}{cell['algorithm']}"
        assert after[name] == before[name]
    assert not list(results.glob("**/*.tmp"))


def test_two_sweeps_at_once_are_harmless(tmp_path):
    log, results = tmp_path / "log", tmp_path / "results"
    children = [start(results, log), start(results, log)]
    for child in children:
        assert "0 failed" in finish(child)
    sweep(toy(), "paper", tmp_path / "alone")
    assert rows(results) == rows(tmp_path / "alone")


def test_workers_end_with_a_killed_parent(tmp_path):
    """Only the parent is killed; its workers must not stay behind."""
    log, results = tmp_path / "log", tmp_path / "results"
    child = start(results, log, run="held", executor="loky")
    wait_for_rows(results, 2, child)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=300)  # returns once the last holder of the pipes has ended


@pytest.mark.parametrize("executor", ["serial", "loky", "dask"])
def test_interrupt_ends_workers_and_keeps_rows(tmp_path, executor):
    log, results = tmp_path / "log", tmp_path / "results"
    child = start(results, log, run="held", executor=executor)
    wait_for_rows(results, 2, child)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, err = child.communicate()
    assert err.decode().count("KeyboardInterrupt") >= 1
    store = Store(results / "toy")
    kept = store.listed()
    assert 2 <= len(kept) <= 6
    assert all(store.read_record(found) for found in kept)
    assert not list(results.glob("**/*.tmp"))


# ----------------------------------------------------------- manifest, progress


def test_manifest(tmp_path):
    sweep(toy(toys.fails_for_one), "smoke", tmp_path)
    (path,) = (tmp_path / "toy/runs").iterdir()
    manifest = json.loads(path.read_text())
    assert manifest["cells"] == {"total": 4, "run": 3, "reused": 0, "failed": 1}
    assert (manifest["scale"], manifest["executor"], manifest["seed"]) == ("smoke", "serial", 7)
    assert manifest["packages"]["numpy"]
    assert set(manifest) >= {"git", "platform", "cpu_count", "python", "started", "finished"}


def test_nothing_of_the_machine_is_in_the_rows(tmp_path):
    sweep(toy(), "smoke", tmp_path)
    record = json.loads(next((tmp_path / "toy/rows").iterdir()).read_text())
    assert set(record) == {"address", "row", "checksum"}
    timing = json.loads(next((tmp_path / "toy/timings").iterdir()).read_text())
    assert set(timing) == {"wall_s", "cpu_s", "host"}


def test_progress_off_a_terminal_is_sparse(monkeypatch):
    monkeypatch.setattr("experiments.engine.progress.LINE_EVERY_S", 0.0)
    stream = StringIO()
    with progress("toy", 3, 1, stream) as advance:
        advance()
    assert stream.getvalue().splitlines() == [
        "toy: 2 of 3 cells, 0 s left",
        "toy: 2 of 3 cells, stopped",
    ]


def test_progress_on_a_terminal_is_a_bar():
    stream = StringIO()
    stream.isatty = lambda: True
    with progress("toy", 2, 0, stream) as advance:
        advance()
    assert "toy:  50%" in stream.getvalue()
