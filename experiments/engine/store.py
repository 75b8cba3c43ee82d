"""Where rows live: one JSON file per finished cell, written whole or not at all.

``results/schema.json`` names the version of this layout. An experiment has

- ``rows/<key>.json``      address, row and checksum; the same bytes on every machine,
- ``timings/<key>.json``   wall and processor time, host, what the cell read off a clock,
- ``failures/<key>.json``  cell and traceback of a cell that failed,
- ``damaged/``             row files that could not be read, moved aside,
- ``runs/``                one manifest per run.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments.engine.cells import (
    CLOCK,
    SCHEMA,
    Experiment,
    Finished,
    Row,
    Scale,
    canonical,
    digest,
    keyed_cells,
    restore,
)
from mdplib.errors import MdplibError

Kind = Literal["rows", "timings", "failures"]
FOREIGN_TMP_S = 86400.0  # a temporary file of another machine is stale after a day


class DamagedRowError(MdplibError):
    """A row file is not what was written."""


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: temporary file beside it, fsync, rename.

    Raises
    ------
    OSError
        If the folder is full or cannot be written; the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = f"{uuid.uuid4().hex}.{socket.gethostname()}.{os.getpid()}.tmp"
    tmp = path.with_name(f"{path.name}.{mark}")
    try:  # the name is known before the file exists: an interrupt cannot leave it behind
        handle = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(tmp, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(tmp)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON, whole or not at all."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_atomic(path, (text + "\n").encode())


def read_json(path: Path) -> Any | None:
    """Return the content of a JSON file, None if it is missing.

    Raises
    ------
    MdplibError
        If the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MdplibError(
            f"{path} is not readable JSON ({error}); delete it and run again"
        ) from None


def open_results(folder: Path, *, create: bool = True) -> Path:
    """Check the layout version of a results folder, and create it where it is missing.

    Parameters
    ----------
    folder : Path
        The results folder.
    create : bool
        Whether to create a missing folder.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    MdplibError
        If it was written with another layout version; nothing is touched.
    """
    mark = folder / "schema.json"
    found = read_json(mark)
    if found is None:
        if any(folder.glob("*/rows")):
            raise MdplibError(
                f"{folder} holds rows but no schema.json, so their layout is unknown; choose "
                "another folder with --results, or restore schema.json"
            )
        if create:
            write_json(mark, {"schema": SCHEMA})
        return folder
    version = found.get("schema") if isinstance(found, dict) else found
    if version != SCHEMA:
        raise MdplibError(
            f"{folder} was written with layout version {version!r}, this version of mdplib writes "
            f"{SCHEMA!r}; choose another folder with --results, or move this one away"
        )
    return folder


@dataclass(frozen=True)
class Store:
    """The files of one experiment.

    Parameters
    ----------
    folder : Path
        ``results/<experiment>``.
    """

    folder: Path

    def path(self, kind: Kind, key: str) -> Path:
        """Return the file of a cell."""
        return self.folder / kind / f"{key}.json"

    def has(self, key: str) -> bool:
        """Tell whether the row of a cell exists."""
        return self.path("rows", key).exists()

    def listed(self, kind: Kind = "rows") -> list[str]:
        """Return the keys on disk, sorted."""
        return sorted(path.stem for path in (self.folder / kind).glob("*.json"))

    def write_row(self, address: Row, row: Row) -> None:
        """Write a finished row and forget an earlier failure of its cell."""
        key = digest(address)
        record = {"address": address, "row": row}
        text = canonical(record | {"checksum": digest(record)})
        write_atomic(self.path("rows", key), (text + "\n").encode())
        self.path("failures", key).unlink(missing_ok=True)

    def read_record(self, key: str) -> tuple[Row, Row] | None:
        """Return address and row of a key, None if there is no row.

        Raises
        ------
        DamagedRowError
            If the file is truncated or altered.
        """
        path = self.path("rows", key)
        try:
            record = json.loads(path.read_bytes())
            checksum = record.pop("checksum")
            if checksum == digest(record) and key == digest(record["address"]):
                return record["address"], record["row"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, AttributeError, TypeError):
            pass
        raise DamagedRowError(f"{path} is damaged; run the experiment again to recompute it")

    def set_aside(self, key: str) -> Path:
        """Move a damaged row out of the way and return its new place."""
        aside = self.folder / "damaged" / f"{key}.{time.time_ns()}.json"
        aside.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another run was faster
            os.replace(self.path("rows", key), aside)
        return aside

    def clean(self) -> int:
        """Remove temporary files whose writer is gone and return their number."""
        removed = 0
        for tmp in self.folder.glob("*/*.tmp"):
            with suppress(FileNotFoundError):  # another run cleans as well
                if _is_stale(tmp):
                    tmp.unlink()
                    removed += 1
        return removed

    def finished(self, experiment: Experiment, scale: Scale) -> list[Finished]:
        """Return the finished cells of a scale, in the order of the cells.

        A row is given back together with its clock, where there is one.

        Raises
        ------
        DamagedRowError
            If a row file is damaged.
        """
        found = []
        for key, cell in keyed_cells(experiment, scale).items():
            record = self.read_record(key)
            if record is not None:
                clock = (read_json(self.path("timings", key)) or {}).get(CLOCK, {})
                row = record[1] | clock
                found.append(Finished(cell, {k: restore(v) for k, v in row.items()}))
        return found

    def records(self) -> Iterator[tuple[str, Row, Row]]:
        """Yield key, address and row of every row on disk, stale ones included."""
        for key in self.listed():
            record = self.read_record(key)
            if record is not None:
                yield key, *record


def _is_stale(tmp: Path) -> bool:
    """Tell whether the process that writes a temporary file is gone."""
    rest, pid = tmp.name.removesuffix(".tmp").rsplit(".", 1)
    if not rest.endswith("." + socket.gethostname()):
        return time.time() - tmp.stat().st_mtime > FOREIGN_TMP_S
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError):
        return False
    return False
