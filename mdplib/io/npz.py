"""Arrays in one npz file, with a kind, a schema version and a checksum.

Files are written beside their destination and moved there once complete, so a crash or a full
disk never leaves half a file. Nothing is unpickled, and the sizes a file declares are compared
with its length before any memory is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.tabular import TabularMDP

KIND = "mdplib.TabularMDP"
SCHEMA = 1
_ARRAYS = ("state_ptr", "indptr", "indices", "data", "reward", "action_id")
_OPTIONAL = ("terminal", "initial")


def save_npz(mdp: TabularMDP, path: str | Path) -> None:
    """Write a model to an npz file, atomically.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    path : str or Path
        Destination.

    Raises
    ------
    OSError
        If it cannot be written; an existing file is then left as it was.
    """
    names = [*_ARRAYS, *(name for name in _OPTIONAL if getattr(mdp, name) is not None)]
    head = {
        "gamma": mdp.gamma.hex(),
        "horizon": mdp.horizon,
        "stationary": mdp.stationary,
        "state_labels": mdp.state_labels,
        "action_labels": mdp.action_labels,
    }
    write_arrays(path, KIND, SCHEMA, json.dumps(head), {n: getattr(mdp, n) for n in names})


def load_npz(path: str | Path) -> TabularMDP:
    """Read a model written by `save_npz`.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    TabularMDP
        Equal, bit for bit, to the one that was written.

    Raises
    ------
    InvalidModelError
        If the file is damaged, holds something else, or has a newer schema.
    """
    text, arrays = read_arrays(path, KIND, SCHEMA)
    try:
        head = json.loads(text)
        head["gamma"] = float.fromhex(head["gamma"])
        return TabularMDP(**arrays, **head)
    except InvalidModelError as error:
        raise InvalidModelError(f"{path} does not hold a valid model: {error}") from None
    except (TypeError, ValueError, KeyError) as error:
        raise _damaged(path, f"its fields are wrong ({error})") from None


def write_arrays(
    path: str | Path, kind: str, schema: int, head: str, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a text and named arrays to one npz file, atomically.

    Parameters
    ----------
    path : str or Path
        Destination.
    kind : str
        What the file holds.
    schema : int
        Version of its layout.
    head : str
        Text stored beside the arrays.
    arrays : mapping of str to array
        The arrays; none may need pickling.
    """
    path = Path(path)
    meta = {"kind": kind, "schema": schema, "checksum": _checksum(head, arrays), "head": head}
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, mdplib=np.array(json.dumps(meta)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read_arrays(path: str | Path, kind: str, schema: int) -> tuple[str, dict[str, NDArray[Any]]]:
    """Read a file written by `write_arrays`, checking everything that can be checked.

    Returns
    -------
    head : str
    arrays : dict of str to array

    Raises
    ------
    InvalidModelError
        If the file is missing, damaged, of another kind, or of a newer schema.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {
                info.filename.removesuffix(".npy"): _member(archive, info)
                for info in _checked_members(path, archive)
            }
        meta = json.loads(str(arrays.pop("mdplib")))
        found = (meta["kind"], meta["schema"])
        head, checksum = meta["head"], meta["checksum"]
    except OSError as error:
        raise InvalidModelError(f"{path} cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, NotImplementedError) as error:
        raise _damaged(path, str(error) or type(error).__name__) from None
    if found[0] != kind:
        raise InvalidModelError(f"{path} holds a {found[0]}, not a {kind}")
    if found[1] > schema:
        raise InvalidModelError(
            f"{path} has schema {found[1]} and this version reads up to {schema}; upgrade mdplib"
        )
    if checksum != _checksum(head, arrays):
        raise _damaged(path, "the checksum of its content does not match")
    return head, arrays


def _checked_members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members after comparing declared sizes with the length of the file."""
    length = path.stat().st_size
    members = archive.infolist()
    for info in members:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError(f"member {info.filename} is compressed; these files never are")
    if sum(info.file_size for info in members) > length:
        raise ValueError("its members claim more bytes than the file has")
    return members


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array, after comparing its declared shape with the bytes that are there."""
    raw = archive.read(info)
    stream = io.BytesIO(raw)
    version = npy.read_magic(stream)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = reader(stream)
    size = dtype.itemsize
    for n in shape:
        size *= int(n)
    if dtype.hasobject or size != len(raw) - stream.tell():
        raise ValueError(f"member {info.filename} does not hold the array it declares")
    stream.seek(0)
    return npy.read_array(stream, allow_pickle=False)


def _checksum(head: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.blake2b(head.encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _damaged(path: str | Path, reason: str) -> InvalidModelError:
    return InvalidModelError(f"{path} is damaged: {reason}. Write it anew from its source.")
