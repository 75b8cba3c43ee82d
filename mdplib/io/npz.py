"""Models and arrays in npz files that say what they hold and prove that they still hold it.

Format. An npz file (a zip of npy arrays, readable with `numpy.load`) whose member ``__head__``
holds UTF-8 text as bytes, a JSON object with

* ``format`` "mdplib", ``kind`` (what is stored), ``schema`` (its version, an integer),
* ``head``, text whose meaning belongs to the kind,
* ``checksum``, a BLAKE2b hash of all of the above and of every array.

Arrays are numeric, C-ordered, of npy version 1.0; nothing is ever unpickled. The schema of a kind
rises when a field is added or changes its meaning, or the fingerprint is computed differently.

Reading treats a file as hostile: names, types and declared sizes are checked against the limit
before any memory is taken, then sizes against the data, then the checksum. Writing goes to a
temporary file in the same folder, which replaces the target once it is complete and on disk, and
is removed on any failure.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.io.files import rebuilt, refusal, replacing
from mdplib.tabular import TabularMDP

if TYPE_CHECKING:
    from mdplib.labelled import LabelledMDP
    from mdplib.undiscounted import UndiscountedMDP

KIND, SCHEMA = "mdplib.TabularMDP", 1
_HEAD = "__head__"
_ARRAYS = ("state_ptr", "indptr", "indices", "data", "reward", "action_id")
_OPTIONAL = ("terminal", "initial")
_MOST_MEMBERS = 256
_BLOCK = 2**24
_MOST_INFLATION = 1032  # of DEFLATE: 258 bytes from two bits
_NPY = re.compile(
    rb"\{'descr': '([<>|][biuf]\d{1,2})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n"
)
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)


def save_npz(mdp: TabularMDP | LabelledMDP | UndiscountedMDP, path: str | Path) -> None:
    """Write a model, atomically.

    Parameters
    ----------
    mdp : TabularMDP, LabelledMDP or UndiscountedMDP
        The model; every field is kept.
    path : str or Path
        File to write, under exactly this name.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; a file that was there is untouched.

    Examples
    --------
    >>> import tempfile
    >>> from mdplib import models
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_npz(models.forest(), Path(folder, "forest.npz"))
    ...     load_npz(Path(folder, "forest.npz")) == models.forest()
    True
    """
    if not isinstance(mdp, TabularMDP):
        from mdplib.io.npz_labelled import save_labelled

        save_labelled(mdp, path)
        return
    arrays = {name: getattr(mdp, name) for name in (*_ARRAYS, *_OPTIONAL)}
    head = {
        "gamma": mdp.gamma,
        "horizon": mdp.horizon,
        "stationary": mdp.stationary,
        "state_labels": mdp.state_labels,
        "action_labels": mdp.action_labels,
        "fingerprint": mdp.fingerprint,
    }
    present = {name: array for name, array in arrays.items() if array is not None}
    write_arrays(path, KIND, SCHEMA, json.dumps(head), present)


def load_npz(path: str | Path, *, limit_gib: float = 8.0) -> TabularMDP:
    """Read a discounted or finite-horizon model written by `save_npz`; `mdplib.read` takes any.

    Parameters
    ----------
    path : str or Path
        The file.
    limit_gib : float
        Refuse files that declare more than this, in GiB.

    Returns
    -------
    TabularMDP
        With the fingerprint of the one that was written.

    Raises
    ------
    InvalidModelError
        If the file is damaged, of another kind, of a newer schema, too large, or not a model.
    OSError
        If it cannot be opened.
    """
    text, arrays = read_arrays(path, KIND, SCHEMA, limit_gib=limit_gib)
    return rebuilt(path, text, lambda head: TabularMDP(**arrays, **head))


def write_arrays(
    path: str | Path, kind: str, schema: int, head: str, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write named arrays and a text to one file, atomically.

    Parameters
    ----------
    path : str or Path
        File to write, under exactly this name.
    kind : str
        What is stored.
    schema : int
        Version of the layout of that kind.
    head : str
        Text that belongs to the arrays, usually JSON.
    arrays : mapping of str to numeric array
        Written in the order of the mapping.

    Raises
    ------
    InvalidModelError
        If an array is not numeric or its name cannot be a file name.
    OSError
        If the disk is full or the folder cannot be written; a file that was there is untouched.
    """
    kept = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in kept.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise InvalidModelError(f"array {name!r} has dtype {array.dtype}; numbers expected")
        if not name.isidentifier() or name == _HEAD:
            raise InvalidModelError(f"array name {name!r} is not an identifier; rename it")
    about = {"format": "mdplib", "kind": kind, "schema": schema, "head": head}
    about["checksum"] = _checksum(kind, schema, head, kept)
    text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    with (
        replacing(Path(path)) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        for name, array in {_HEAD: text, **kept}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def read_arrays(
    path: str | Path, kind: str, schema: int, *, limit_gib: float = 8.0
) -> tuple[str, dict[str, NDArray[Any]]]:
    """Read a file written by `write_arrays`.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : str
        What it should hold.
    schema : int
        Newest version that the caller understands.
    limit_gib : float
        Refuse files that declare more than this, in GiB.

    Returns
    -------
    head : str
        The text.
    arrays : dict of str to array
        The arrays.

    Raises
    ------
    InvalidModelError
        Naming the file, what is wrong with it, and the remedy.
    OSError
        If it cannot be opened.
    """
    with _damage(path), zipfile.ZipFile(path) as archive:
        members = _members(path, archive, limit_gib)
        if _HEAD not in members:
            raise refusal(
                path,
                "it was not written by mdplib",
                "mdplib.read takes foreign arrays P, R and gamma; load others with numpy.load.",
            )
        about = _about(path, _read_member(archive, members.pop(_HEAD)), kind, schema)
        arrays = {name: _read_member(archive, info) for name, info in members.items()}
    head = about["head"]
    if about["checksum"] != _checksum(kind, about["schema"], head, arrays):
        raise refusal(path, "its checksum does not fit its content")
    return head, arrays


def is_foreign(path: str | Path, *, limit_gib: float = 8.0) -> bool:
    """Whether an npz file was written by something else than mdplib."""
    with _damage(path), zipfile.ZipFile(path) as archive:
        return _HEAD not in _members(path, archive, limit_gib)


def foreign_arrays(path: str | Path, *, limit_gib: float = 8.0) -> dict[str, NDArray[Any]]:
    """Read the arrays of an npz file that something else than mdplib wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    limit_gib : float
        Refuse files that declare more than this, in GiB.

    Raises
    ------
    InvalidModelError
        If it is damaged, too large, or holds anything but numeric arrays.
    OSError
        If it cannot be opened.
    """
    with _damage(path), zipfile.ZipFile(path) as archive:
        members = _members(path, archive, limit_gib)
        return {name: _read_member(archive, info, True) for name, info in members.items()}


def kind_of(path: str | Path, *, limit_gib: float = 8.0) -> str:
    """Return what a file written by mdplib says it holds."""
    with _damage(path), zipfile.ZipFile(path) as archive:
        members = _members(path, archive, limit_gib)
        return str(_header(path, _read_member(archive, members[_HEAD]))["kind"])


@contextlib.contextmanager
def _damage(path: str | Path) -> Iterator[None]:
    """Turn what the modules for zip files raise on damage into a refusal."""
    try:
        yield
    except InvalidModelError:
        raise
    except _DAMAGE as error:
        raise refusal(path, f"it is damaged or cut short ({error})") from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise
        raise refusal(path, f"it is damaged or cut short ({error})") from error


def _checksum(kind: str, schema: int, head: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([kind, schema, head]).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _members(
    path: str | Path, archive: zipfile.ZipFile, limit_gib: float
) -> dict[str, zipfile.ZipInfo]:
    """List the arrays of a file after checking every header of the zip."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename or not name.isidentifier() or name in members:
            raise refusal(path, f"it holds {info.filename!r}, which is no array of this format")
        if info.flag_bits & 1 or info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise refusal(path, f"{info.filename!r} is encrypted or compressed by other means")
        packed = info.compress_size
        if info.compress_type == zipfile.ZIP_STORED:
            honest = info.file_size == packed
        else:
            honest = info.file_size <= _MOST_INFLATION * packed
        if not honest:
            raise refusal(
                path, f"{info.filename!r} cannot unpack from {packed} to {info.file_size} bytes"
            )
        members[name] = info
        if len(members) > _MOST_MEMBERS:
            raise refusal(path, f"it holds more than {_MOST_MEMBERS} arrays")
    declared = sum(info.file_size for info in members.values()) / 2**30
    if declared > limit_gib:
        remedy = "If the file is trusted, raise limit_gib."
        reason = f"it unpacks to {declared:.3g} GiB, more than limit_gib={limit_gib:g}"
        raise refusal(path, reason, remedy)
    return members


def _header(path: str | Path, text: NDArray[Any]) -> dict[str, Any]:
    """Decode the header of the format."""
    about = json.loads(text.tobytes().decode())
    expected = {"format": str, "kind": str, "schema": int, "head": str, "checksum": str}
    if not isinstance(about, dict) or any(
        not isinstance(about.get(name), type_) for name, type_ in expected.items()
    ):
        raise refusal(path, "its header is damaged")
    return about


def _about(path: str | Path, text: NDArray[Any], kind: str, schema: int) -> dict[str, Any]:
    """Check what the header of the format says."""
    about = _header(path, text)
    if about["kind"] != kind:
        raise refusal(path, f"it holds a {about['kind']}, not a {kind}", "Use that one's loader.")
    if about["schema"] > schema:
        raise refusal(
            path,
            f"it has schema {about['schema']}, and this version reads up to {schema}",
            "Upgrade mdplib.",
        )
    return about


def _read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, fortran: bool = False
) -> NDArray[Any]:
    """Read one array; raise ValueError if its header and its size disagree."""
    with archive.open(info) as opened:
        member: Any = opened
        start = member.read(10)
        if start[:8] != b"\x93NUMPY\x01\x00":
            raise ValueError(f"{info.filename} is not an npy array of version 1.0")
        length = int.from_bytes(start[8:], "little")
        found = _NPY.fullmatch(member.read(length))
        if found is None:
            raise ValueError(f"{info.filename} does not start with the header of a numeric array")
        dtype = np.dtype(found[1].decode())
        shape = tuple(int(n) for n in found[3].decode().split(",") if n.strip())
        expected = info.file_size - 10 - length
        if (found[2] == b"True" and not fortran) or math.prod(shape) * dtype.itemsize != expected:
            raise ValueError(f"{info.filename} declares shape {shape} but holds {expected} bytes")
        turned = found[2] == b"True"
        array = np.empty(shape[::-1] if turned else shape, dtype)
        view = array.reshape(-1).view(np.uint8).data
        filled = 0
        while filled < expected:
            got = member.readinto(view[filled : filled + _BLOCK])
            if not got:
                raise EOFError(f"{info.filename} ends after {filled} of {expected} bytes")
            filled += got
        if member.read(1):
            raise ValueError(f"{info.filename} is longer than it declares")
    return array.T if turned else array
