"""Files: exact round trips, damage of every kind, hostile content, failures while writing."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mdplib
import solvers
from mdplib import InvalidModelError, Solution, TabularMDP, io, models
from mdplib.io import load_npz, npz, save_npz

ROOT = Path(__file__).parent.parent.parent


def stacked() -> TabularMDP:
    layers = [models.garnet(4, 2, 2, np.random.default_rng(i), gamma=0.5) for i in range(3)]
    return TabularMDP.from_layers(layers, terminal=[0.1, -0.0, 5e-324, 1e300])


MODELS: dict[str, Callable[[], TabularMDP]] = {
    "plain": lambda: models.forest(gamma=0.1 + 0.2),
    "labels": lambda: models.gridworld("S#\n.G", gamma=0.0).replace(
        state_labels=["ä\n", "\ud800", '"\\'], action_labels=["", "1", "2", "3"]
    ),
    "no initial law": lambda: models.chain(3).replace(initial=None),
    "horizon": lambda: models.deep_sea(3).replace(terminal=np.arange(7) / 3),
    "rewards per step": lambda: models.forest(gamma=1.0, horizon=2).replace(
        reward=np.arange(12.0).reshape(2, 6) / 7
    ),
    "kernels per step": stacked,
    "stored zeros": lambda: models.forest().replace(
        data=[0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.5, 0.5 - 1e-10, 1.0]
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


@pytest.mark.parametrize("name", MODELS)
def test_round_trip_keeps_every_bit(name: str, path: Path):
    mdp = MODELS[name]()
    io.write(mdp, path)
    again = io.read(path)
    for field in dataclasses.fields(TabularMDP):
        ours, theirs = getattr(mdp, field.name), getattr(again, field.name)
        assert type(ours) is type(theirs), field.name
        if isinstance(ours, np.ndarray):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            assert ours.tobytes() == theirs.tobytes(), field.name
            assert not theirs.flags.writeable
        else:
            assert ours == theirs, field.name
    assert again.fingerprint == mdp.fingerprint
    assert sorted(p.name for p in path.parent.iterdir()) == ["model.npz"]


def test_numpy_alone_can_read_the_arrays(path: Path):
    mdp = models.queue(5)
    save_npz(mdp, path)
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["data"].tobytes() == mdp.data.tobytes()
        assert arrays["reward"].tolist() == mdp.reward.tolist()
        head = json.loads(arrays["__head__"].tobytes())
    assert (head["format"], head["kind"], head["schema"]) == ("mdplib", "mdplib.TabularMDP", 1)
    assert json.loads(head["head"])["fingerprint"] == mdp.fingerprint


def test_equal_models_give_equal_files(tmp_path: Path):
    for name in ("a", "b"):
        save_npz(models.forest(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_solutions_use_the_same_container(path: Path):
    solution = solvers.solve(models.forest())
    solution.save(path)
    again = Solution.load(path)
    assert again.lower.tobytes() == solution.lower.tobytes()
    with pytest.raises(InvalidModelError, match=r"holds a mdplib\.Solution, not"):
        load_npz(path)
    save_npz(models.forest(), path)
    with pytest.raises(InvalidModelError, match=r"holds a mdplib\.TabularMDP, not"):
        Solution.load(path)


def test_other_numeric_arrays_pass_too(path: Path):
    arrays = {
        "flags": np.array([True, False]),
        "empty": np.zeros((0, 3)),
        "scalar": np.array(3, dtype=np.int16),
        "strided": np.arange(12.0).reshape(3, 4).T[::2],
        "big_endian": np.arange(3, dtype=">i4"),
    }
    npz.write_arrays(path, "test", 1, "text", arrays)
    head, found = npz.read_arrays(path, "test", 1)
    assert head == "text"
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert np.array_equal(found[name], array)
    with pytest.raises(InvalidModelError, match="'bad' has dtype object"):
        npz.write_arrays(path, "test", 1, "", {"bad": np.array([None])})
    with pytest.raises(InvalidModelError, match=r"'\.\./x' is not an identifier"):
        npz.write_arrays(path, "test", 1, "", {"../x": np.zeros(1)})


# ------------------------------------------------------------------------ damage


def survives(content: bytes, path: Path, mdp: TabularMDP) -> str | None:
    """Load `content`: the complaint, or None if the very model came back."""
    path.write_bytes(content)
    try:
        found = load_npz(path)
    except InvalidModelError as error:
        complaint = str(error)
    else:
        assert found == mdp
        return None
    assert str(path) in complaint
    return complaint


def test_every_truncation_is_reported(path: Path):
    mdp = models.forest()
    save_npz(mdp, path)
    whole = path.read_bytes()
    assert survives(whole, path, mdp) is None
    for size in [*range(0, len(whole), 7), len(whole) - 1]:
        complaint = survives(whole[:size], path, mdp)
        assert complaint is not None
        assert "damaged or cut short" in complaint
        assert "Restore it from a copy" in complaint


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_no_flipped_bit_goes_unnoticed(flip: int, path: Path):
    """A flip is reported, or it hits a byte that means nothing and the very model comes back."""
    mdp = models.forest(2)
    save_npz(mdp, path)
    whole = path.read_bytes()
    harmless = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(0, len(whole), 1 if flip == 0xFF else 3):
            damaged = bytearray(whole)
            damaged[i] ^= flip
            harmless += survives(bytes(damaged), path, mdp) is None
    assert harmless < 0.2 * len(whole)


def repack(path: Path, change: Callable[[str, bytes], bytes | None], compress: int = 0) -> None:
    """Rewrite every member of a file."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", compress) as archive:
        for name, content in members.items():
            changed = change(name, content)
            if changed is not None:
                archive.writestr(name, changed)


def edit_head(**changes: object) -> Callable[[str, bytes], bytes]:
    def change(name: str, content: bytes) -> bytes:
        if name != "__head__.npy":
            return content
        start = content.index(b"\n") + 1
        about = json.loads(content[start:]) | changes
        return as_npy(np.frombuffer(json.dumps(about).encode(), np.uint8))

    return change


def as_npy(array: np.ndarray) -> bytes:
    import io as streams

    stream = streams.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0))
    return stream.getvalue()


@pytest.mark.parametrize("compress", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_repacked_files_are_read(compress: int, path: Path):
    save_npz(models.forest(50), path)
    repack(path, lambda name, content: content, compress)
    assert load_npz(path) == models.forest(50)


def replace(member: str, content: bytes | None) -> Callable[[str, bytes], bytes | None]:
    return lambda name, old: content if name == member else old


def object_array() -> bytes:
    import io as streams

    stream = streams.BytesIO()
    np.save(stream, np.array([print], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace("reward.npy", as_npy(np.arange(6.0))), "its checksum does not fit"),
        (replace("reward.npy", None), "its checksum does not fit"),
        (replace("reward.npy", b"junk"), "not an npy array of version 1.0"),
        (replace("reward.npy", object_array()), "the header of a numeric array"),
        (replace("reward.npy", as_npy(np.zeros((2, 3), order="F"))), "declares shape"),
        (replace("__head__.npy", as_npy(np.frombuffer(b"[1]", np.uint8))), "its header is damaged"),
        (replace("__head__.npy", as_npy(np.frombuffer(b"{", np.uint8))), "damaged or cut short"),
        (replace("__head__.npy", None), "was not written by mdplib.*numpy.load"),
        (edit_head(schema=2), "it has schema 2, and this version reads up to 1. Upgrade mdplib"),
        (edit_head(schema="1"), "its header is damaged"),
        (edit_head(head="{}"), "its checksum does not fit"),
        (edit_head(kind="mdplib.Policy"), "holds a mdplib.Policy, not a mdplib.TabularMDP"),
    ],
)
def test_changed_members_are_refused(change: Callable, message: str, path: Path):
    save_npz(models.forest(), path)
    repack(path, change)
    with pytest.raises(InvalidModelError, match=message):
        load_npz(path)


@pytest.mark.parametrize(
    ("head", "arrays", "message"),
    [
        ({"fingerprint": "0"}, {}, "has fingerprint [0-9a-f]{32}, but 0 was stored"),
        ({"gamma": 1.5}, {}, "not a model: gamma is 1.5"),
        ({"surprise": 1}, {}, "not a model: .*surprise"),
        ({}, {"data": np.array([0.5] * 9)}, r"not a model: P\[s=0, a=1, :\] sums to 0.5"),
        ({}, {"extra": np.zeros(2)}, "not a model: .*extra"),
        ({}, {"indices": np.array([0, 10**12] * 4 + [0])}, r"not a model: .*2\*\*31"),
    ],
)
def test_a_valid_container_with_a_wrong_model(head: dict, arrays: dict, message: str, path: Path):
    save_npz(models.forest(), path)
    text, stored = npz.read_arrays(path, npz.KIND, npz.SCHEMA)
    npz.write_arrays(
        path, npz.KIND, npz.SCHEMA, json.dumps(json.loads(text) | head), stored | arrays
    )
    with pytest.raises(InvalidModelError, match=message):
        load_npz(path)


def test_foreign_files_are_refused(path: Path):
    np.savez(path, P=np.zeros((2, 2)))
    with pytest.raises(InvalidModelError, match=r"not written by mdplib\. mdplib\.read"):
        load_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InvalidModelError, match=r"it holds 'readme\.txt'"):
        load_npz(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the duplicate it is told to write
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.npy", b"1")
            archive.writestr("data.npy", b"2")
    with pytest.raises(InvalidModelError, match=r"it holds 'data\.npy'"):
        load_npz(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("data.npy", b"1")
    with pytest.raises(InvalidModelError, match="compressed by other means"):
        load_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(300):
            archive.writestr(f"x{i}.npy", b"")
    with pytest.raises(InvalidModelError, match="more than 256 arrays"):
        load_npz(path)
    with pytest.raises(FileNotFoundError):
        load_npz(path.with_name("absent.npz"))


# -------------------------------------------------------------------------- bombs


def peak_while_refusing(path: Path, message: str, **options: float) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidModelError, match=message):
            load_npz(path, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_is_refused_before_memory_is_taken(path: Path):
    save_npz(models.forest(), path)
    size = 2**28
    repack(path, replace("reward.npy", bytes(size)), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    message = r"unpacks to 0\.25 GiB, more than limit_gib=0\.1\. If the file is trusted, raise"
    assert peak_while_refusing(path, message, limit_gib=0.1) < 2**20


def test_an_absurd_shape_is_refused_before_memory_is_taken(path: Path):
    save_npz(models.forest(), path)
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999999,), }"
    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117).encode() + b"\n"
    repack(path, replace("reward.npy", header + bytes(48)))
    assert peak_while_refusing(path, r"declares shape \(999999999999999999,\) but holds") < 2**20


def test_sizes_that_no_compression_reaches_are_refused(path: Path):
    """The directory of the zip claims 3.9 GB for a member of 48 bytes."""
    save_npz(models.forest(), path)
    repack(path, lambda name, content: content, zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    raw[entry + 24 : entry + 28] = (3_900_000_000).to_bytes(4, "little")
    path.write_bytes(bytes(raw))
    assert peak_while_refusing(path, "cannot unpack from") < 2**20


# ------------------------------------------------------------------ interruptions


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(
    error: BaseException, path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_npz(models.forest(), path)
    whole = np.lib.format.write_array
    calls = []

    def fails(stream, array, **options):
        calls.append(1)
        if len(calls) == 4:
            stream.write(b"half")
            raise error
        whole(stream, array, **options)

    monkeypatch.setattr(np.lib.format, "write_array", fails)
    with pytest.raises(type(error)):
        save_npz(models.queue(50), path)
    assert load_npz(path) == models.forest()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_disk_that_is_really_full(tmp_path: Path):
    """The kernel refuses to let the file grow beyond 4 kB."""
    code = """
import resource, sys
from mdplib import io, models
io.write(models.forest(), sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    io.write(models.forest(1000), sys.argv[1])
except OSError as error:
    print(error.errno)
print(io.read(sys.argv[1]) == models.forest())
"""
    target = tmp_path / "model.npz"
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.split() == [str(errno.EFBIG), "True"], done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]


def test_files_have_the_usual_permissions(path: Path):
    save_npz(models.forest(), path)
    reference = path.with_name("reference")
    reference.touch()
    assert path.stat().st_mode == reference.stat().st_mode


def test_a_folder_that_does_not_exist(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        save_npz(models.forest(), tmp_path / "absent" / "model.npz")


# ----------------------------------------------------------------------- dispatch


def test_read_takes_files_names_and_environments(path: Path, monkeypatch: pytest.MonkeyPatch):
    io.write(models.queue(4), path)
    assert io.read(str(path)) == models.queue(4)
    assert io.read(path, gamma=0.5) == models.queue(4, gamma=0.5)
    renamed = path.rename(path.with_name("anything.dat"))
    assert io.read(renamed) == models.queue(4), "content decides, not the suffix"
    assert mdplib.read("forest") == models.forest()
    assert io.read("riverswim", gamma=0.25).gamma == 0.25
    assert io.read("CliffWalking-v1", gamma=0.9).n_states == 49
    monkeypatch.chdir(path.parent)
    io.write(models.chain(3), "forest.npz")
    os.rename("forest.npz", "forest")
    assert io.read("forest") == models.chain(3), "a file comes before a name"


def test_what_cannot_be_read_or_written(tmp_path: Path):
    with pytest.raises(InvalidModelError, match=r"Did you mean 'riverswim'\?.*Readable: files"):
        io.read("riverswin")
    with pytest.raises(InvalidModelError, match="neither a file nor a known name"):
        io.read(tmp_path / "absent.npz")
    with pytest.raises(InvalidModelError, match="no discount factor of its own; pass gamma"):
        io.read("FrozenLake-v1")
    (tmp_path / "text").write_text("discount: 0.95")
    with pytest.raises(InvalidModelError, match=r"starts with b'disc'.*Readable: npz, UMB"):
        io.read(tmp_path / "text")
    (tmp_path / "empty").touch()
    with pytest.raises(InvalidModelError, match="starts with b''"):
        io.read(tmp_path / "empty")
    with pytest.raises(InvalidModelError, match=r"no format has the suffix '\.xml'"):
        io.write(models.forest(), tmp_path / "model.xml")


def test_gymnasium_is_imported_only_when_needed():
    code = "import sys, mdplib.io as io; io.read('forest'); io.from_gymnasium; "
    code += "print([m for m in ('gymnasium', 'numba', 'scipy.stats') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
