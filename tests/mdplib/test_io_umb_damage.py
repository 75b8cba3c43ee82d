"""UMB files that are damaged, hostile, or no models: a refusal that names file and place."""

from __future__ import annotations

import gzip
import io as streams
import json
import lzma
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdplib import InvalidModelError
from mdplib.io import read_umb, write_umb
from mdplib.io.files import members
from tests.mdplib.test_io_umb import ARRAYS, INDEX, archive, changed, doubles, rich, stored, words


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.umb"


def bits(value: int) -> dict[str, bytes]:
    return {"state-is-initial.bin": words(value)}


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"format-version": 2}, {}, "format-version 2; version 1 is read here"),
    ({"format-version": None}, {}, "format-version None"),
    ({"format-version": True}, {}, "format-version True"),
    ({"transition-system": None}, {}, "transition-system is missing"),
    ({"transition-system/#states": None}, {}, "#states is None"),
    ({"transition-system/#states": -1}, {}, "#states is -1; a count expected"),
    ({"transition-system/#states": 1.5}, {}, "#states is 1.5"),
    ({"transition-system/#states": 10**18}, {}, r"#states is 1000000000000000000.*2\*\*31"),
    ({"transition-system/#branches": 2**31 - 1}, {}, "announces 32 GiB, more than limit_gib=8"),
    ({"transition-system/#choices": 0}, {}, "5 states, 0 choices"),
    ({"transition-system/#states": 6}, {}, "state-to-choices.bin has 48 bytes.* asks for 56"),
    ({"transition-system/#choices": 8}, {}, "choice-to-branches.bin has 64 bytes.* asks for 72"),
    ({"transition-system/#branches": 8}, {}, "branch-to-target.bin has 72 bytes.* asks for 64"),
    ({"transition-system/#players": 2}, {}, "a game of 2 players"),
    ({"transition-system/#observations": 3}, {}, "has 3 observations"),
    ({"transition-system/time": "stochastic"}, {}, "its time is 'stochastic'"),
    ({"transition-system/#initial-states": 2}, {}, "marks 1 initial states and announces 2"),
    ({"transition-system/branch-probability-type/type": "double-interval"}, {}, "have type"),
    ({"transition-system/branch-probability-type/size": 32}, {}, "of 32 bits"),
    ({"transition-system/branch-probability-type": 3}, {}, "type of probabilities is missing"),
    ({"annotations": []}, {}, "annotations is missing from its index or no JSON object"),
    ({"annotations/aps/deadlock/alias": "Goal"}, {}, "two labels named 'Goal'"),
    ({"annotations/rewards/default/alias": "Cost"}, {}, "two rewards named 'Cost'"),
    ({"annotations/rewards/default/type/type": "string"}, {}, "has type 'string'"),
    ({"annotations/rewards/default/applies-to": []}, {}, "announces reward 'default' and does"),
    ({"annotations/aps/deadlock/alias": 3}, {}, "no proper alias"),
    ({}, {"state-to-choices.bin": None}, "has no state-to-choices.bin, and 5 is not 7"),
    ({}, {"branch-to-target.bin": None}, "has no branch-to-target.bin"),
    ({}, {"branch-to-probability.bin": None}, "has no branch-to-probability.bin"),
    ({}, {"annotations/aps/deadlock/states/values.bin": None}, "has no annotations/aps/deadlock"),
    ({}, {"state-to-choices.bin": words(0, 2, 1, 4, 6, 7)}, "does not rise from 0 to 7"),
    ({}, {"state-to-choices.bin": words(0, 2, 2**63, 4, 6, 7)}, "does not rise"),
    ({}, {"state-to-choices.bin": words(0, 2, 2, 4, 6, 7)}, "state 1 has no action"),
    ({}, {"choice-to-branches.bin": words(0, 2, 2, 4, 5, 7, 8, 9)}, "choice 1 .* has no branch"),
    ({}, {"branch-to-target.bin": words(1, 2, 9, 1, 2, 3, 4, 3, 4)}, "branch 2 leads to state 9"),
    ({}, bits(0b100001), "marks element 5 of 5"),
    ({}, {"actions/choices/strings.bin": b"abgosta"}, "does not fit strings.bin"),
    ({}, {"actions/choices/values.bin": b"\xff" * 28}, "asks for strings that are not there"),
    ({}, {"actions/choices/strings.bin": b"abgosta\xff"}, "does not fit its index"),
]


@pytest.mark.parametrize(("index", "arrays", "message"), REFUSED)
def test_refusals_name_the_file_and_the_place(
    index: dict[str, Any], arrays: dict[str, Any], message: str, path: Path
):
    merged = {name: data for name, data in {**ARRAYS, **arrays}.items() if data is not None}
    path.write_bytes(archive(changed(index), merged))
    with pytest.raises(InvalidModelError, match=message) as caught:
        read_umb(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [-0.25, np.nan, np.inf, 0.75])
def test_rows_are_checked(value: float, path: Path):
    data = doubles(value, 0.5, 1, 1, 1, 0.9, 0.1, 1, 1)
    path.write_bytes(archive(INDEX, {**ARRAYS, "branch-to-probability.bin": data}))
    message = "s=0, a=0, :] sums to 1.25.*1 of 7 rows" if value == 0.75 else f"is {value}"
    with pytest.raises(InvalidModelError, match=message.replace("]", r"\]")):
        read_umb(path)


def test_rational_numbers_with_denominator_zero(path: Path):
    write_umb(rich(), path)
    content = stored(path)
    index = json.loads(content.pop("index.json"))
    name = "branch-to-probability.bin"
    content[name] = content[name][:8] + bytes(8) + content[name][16:]
    path.write_bytes(archive(index, content))
    with pytest.raises(InvalidModelError, match="number 0 has denominator 0"):
        read_umb(path)


def test_what_is_no_archive(path: Path):
    for content in (b"", b"\x1f\x8b", b"x" * 2000, gzip.compress(b"x" * 2000), gzip.compress(b"")):
        path.write_bytes(content)
        with pytest.raises(InvalidModelError):
            read_umb(path)
    path.write_bytes(archive(INDEX, ARRAYS)[:-4])
    with pytest.raises(InvalidModelError, match="damaged or cut short"):
        read_umb(path)
    path.write_bytes(lzma.compress(archive(INDEX, ARRAYS, packed=False))[:-4])
    with pytest.raises(InvalidModelError, match="damaged or cut short"):
        read_umb(path)
    for text in (b"{", b"[]", b"[" * 100_000, b"\xff"):
        path.write_bytes(archive(text, ARRAYS))
        with pytest.raises(InvalidModelError, match="its index is no JSON"):
            read_umb(path)
    with pytest.raises(FileNotFoundError):
        read_umb(path.with_name("absent"))


def test_a_bomb_is_refused_before_memory_is_taken(path: Path):
    stream = streams.BytesIO()
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        text = json.dumps(INDEX).encode()
        info = tarfile.TarInfo("index.json")
        info.size = len(text)
        tar.addfile(info, streams.BytesIO(text))
        info = tarfile.TarInfo("branch-to-target.bin")
        info.size = 2**30
        packed.write(info.tobuf())
        for _ in range(64):
            packed.write(bytes(2**20))
    path.write_bytes(stream.getvalue())
    tracemalloc.start()
    with pytest.raises(InvalidModelError, match="has 1073741824 bytes, and its index asks for 72"):
        read_umb(path)
    with pytest.raises(InvalidModelError, match=r"unpacks to more than limit_gib=0\.01"):
        _exhaust(path)
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


def _exhaust(path: Path) -> None:
    for _ in members(path, limit_gib=0.01):
        pass


def survives(content: bytes, path: Path) -> str | None:
    """The complaint about some content, or None if there is none."""
    path.write_bytes(content)
    try:
        assert read_umb(path).n_states == 5
    except InvalidModelError as error:
        return str(error)
    return None


def test_fuzz(path: Path):
    """Whatever the damage: a refusal, or a model that satisfies every check."""
    plain, packed = archive(INDEX, ARRAYS, packed=False), archive(INDEX, ARRAYS)
    rng = np.random.default_rng(5)
    complaints = []
    for round_ in range(900):
        content = bytearray(plain)
        if round_ % 3 == 0:
            del content[int(rng.integers(len(content))) :]
        else:
            for _ in range(int(rng.integers(1, 4))):
                content[int(rng.integers(len(content)))] = int(rng.integers(256))
        complaints.append(survives(bytes(content), path))
    assert 300 < sum(c is not None for c in complaints) < 900
    for _ in range(300):
        content = bytearray(packed)
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        complaints.append(survives(bytes(content), path))
    assert all(str(path) in complaint for complaint in complaints if complaint)
