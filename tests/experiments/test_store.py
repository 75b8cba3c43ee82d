"""Addresses, streams, rows on disk."""

import errno
import json
import math
import os
import socket
import subprocess
from dataclasses import dataclass, replace

import numpy as np
import pytest

from experiments.engine import store as store_module
from experiments.engine.cells import (
    address,
    canonical,
    check_row,
    key,
    keyed_cells,
    plain,
    restore,
)
from experiments.engine.frames import frame
from experiments.engine.store import DamagedRowError, Store, open_results, write_atomic
from mdplib.errors import MdplibError, MissingExtraError
from tests.experiments.toy import Cell, toy


def test_key_depends_on_everything_that_decides_a_row_and_on_nothing_else():
    base = key(toy(), Cell(1, "a"))
    assert base == "5f973d09ba8ad7230576d2bfb66799ce"  # fixed for ever, or raise SCHEMA
    assert key(replace(toy(), title="other"), Cell(1, "a")) == base
    changed = [
        key(toy(), Cell(2, "a")),
        key(toy(), Cell(1, "b")),
        key(replace(toy(), epoch=2), Cell(1, "a")),
        key(replace(toy(), seed=8), Cell(1, "a")),
        key(replace(toy(), name="toy2"), Cell(1, "a")),
    ]
    assert len({base, *changed}) == 6


def test_scales_share_the_keys_of_shared_cells():
    smoke, default = keyed_cells(toy(), "smoke"), keyed_cells(toy(), "default")
    assert set(smoke) < set(default)


def test_an_int_in_a_float_field_is_the_same_cell():
    @dataclass(frozen=True)
    class WithFloat:
        x: float

    assert key(toy(), WithFloat(1)) == key(toy(), WithFloat(1.0))  # type: ignore[arg-type]


@dataclass
class Thawed:
    n: int


@dataclass(frozen=True)
class Nested:
    n: object


@pytest.mark.parametrize("cell", [Thawed(1), Nested({"a": 1}), Nested(float("nan")), 3])
def test_unfit_cells_are_refused(cell):
    with pytest.raises(MdplibError):
        address(toy(), cell)


@pytest.mark.parametrize(
    "value",
    [0.1, -0.0, 1e-320, math.inf, -math.inf, math.nan, True, None, 2**80, "é\n", [1, [2.5, None]]],
)
def test_values_survive_the_file(value):
    back = restore(json.loads(canonical(plain(value))))
    assert repr(back) == repr(value)


def test_numpy_values_become_plain():
    value = [np.float64(0.5), np.int32(3), np.bool_(True), np.arange(3), np.str_("x")]
    assert canonical(plain(value)) == '[0.5,3,true,[0,1,2],"x"]'


@pytest.mark.parametrize("row", [[1], {"n": 1}, {1: 2}, {"x": object()}, {"x": {"y": 1}}])
def test_unfit_rows_are_refused(row):
    with pytest.raises(MdplibError):
        check_row(row, Cell(1, "a"), allow_nan=False)


def test_nan_only_where_declared():
    with pytest.raises(MdplibError, match="row\\['x'\\]\\[1\\] is NaN"):
        check_row({"x": [0.0, math.nan]}, Cell(1, "a"), allow_nan=False)
    assert check_row({"x": math.nan}, Cell(1, "a"), allow_nan=True) == {"x": {"float": "nan"}}


@pytest.fixture
def store(tmp_path):
    return Store(open_results(tmp_path / "results") / "toy")


def write_one(store, row=None):
    where = address(toy(), Cell(1, "a"))
    store.write_row(where, {"x": 1.5} if row is None else row)
    return key(toy(), Cell(1, "a"))


def test_row_round_trip(store):
    found = write_one(store)
    assert store.listed() == [found]
    assert store.read_record(found) == (address(toy(), Cell(1, "a")), {"x": 1.5})
    assert store.read_record("0" * 32) is None


@pytest.mark.parametrize(
    "harm",
    [
        lambda b: b[: len(b) // 2],
        lambda b: b"",
        lambda b: b.replace(b"1.5", b"1.6"),
        lambda b: b.replace(b'"n":1', b'"n":2'),
        lambda b: b"[]",
        lambda b: b"\xff" + b,
    ],
)
def test_damage_is_detected_and_the_file_set_aside(store, harm):
    found = write_one(store)
    path = store.path("rows", found)
    damaged = harm(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(DamagedRowError, match=found):
        store.read_record(found)
    assert store.set_aside(found).read_bytes() == damaged
    assert not path.exists()


def only_whole_rows(store):
    """Tell whether a folder holds whole rows and nothing half written."""
    if list(store.folder.glob("*/*.tmp")):
        return False
    try:
        return all(store.read_record(found) for found in store.listed())
    except DamagedRowError:
        return False


class FullFile:
    """A file on a full disk: takes a few bytes, then fails."""

    def __init__(self, handle, mode):
        self.file = open(handle, mode)  # noqa: SIM115

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        self.file.write(data[:7])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("name", "broken"), [("fdopen", FullFile), ("fsync", full), ("replace", full)]
)
def test_full_disk_leaves_nothing_half_written(store, monkeypatch, name, broken):
    with monkeypatch.context() as patch:
        patch.setattr(store_module.os, name, broken)
        with pytest.raises(OSError, match="No space"):
            write_one(store)
    assert store.listed() == []
    assert only_whole_rows(store)


def test_interrupt_right_after_the_file_exists_leaves_nothing(store, monkeypatch):
    really_open = os.open

    def interrupted(path, *arguments, **options):
        os.close(really_open(path, *arguments, **options))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store_module.os, "open", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_one(store)
    assert store.listed() == []
    assert only_whole_rows(store)


def test_mutant_that_writes_in_place_is_caught(store, monkeypatch):
    def in_place(path, data):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FullFile(path, "wb") as file:
            file.write(data)

    monkeypatch.setattr(store_module, "write_atomic", in_place)
    with pytest.raises(OSError, match="No space"):
        write_one(store)
    assert not only_whole_rows(store)


def test_stale_temporary_files_go_and_live_ones_stay(store):
    write_one(store)
    child = subprocess.Popen(["true"])
    child.wait()
    host, rows = socket.gethostname(), store.folder / "rows"
    dead = rows / f"k.json.abc.{host}.{child.pid}.tmp"
    live = rows / f"k.json.abc.{host}.{os.getpid()}.tmp"
    foreign = rows / "k.json.abc.elsewhere.org.1.tmp"
    old = rows / "k.json.abd.elsewhere.org.1.tmp"
    for path in (dead, live, foreign, old):
        path.touch()
    os.utime(old, (0, 0))
    assert store.clean() == 2
    assert not dead.exists()
    assert not old.exists()
    assert live.exists()
    assert foreign.exists()


def test_other_layout_is_refused_and_untouched(tmp_path):
    write_atomic(tmp_path / "schema.json", b'{"schema": 99}')
    with pytest.raises(MdplibError, match=rf"{tmp_path}.*version 99.*writes 1.*--results"):
        open_results(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["schema.json"]
    assert (tmp_path / "schema.json").read_bytes() == b'{"schema": 99}'


def test_rows_without_layout_are_refused(store):
    write_one(store)
    (store.folder.parent / "schema.json").unlink()
    with pytest.raises(MdplibError, match=r"no schema\.json"):
        open_results(store.folder.parent)


def test_frame(store):
    found = write_one(store, {"x": [1.0, 2.0], "y": {"float": "inf"}})
    table = frame("toy", store.folder.parent)
    assert table.columns == ["key", "epoch", "algorithm", "n", "replicate", "x", "y"]
    assert table.row(0) == (found, 1, "a", 1, 0, [1.0, 2.0], math.inf)


def test_frame_without_polars(store, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(MissingExtraError, match=r"frames"):
        frame("toy", store.folder.parent)
