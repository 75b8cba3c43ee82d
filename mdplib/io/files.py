"""Refusals that name the file, atomic replacement, checked rebuilding, tar archives on a budget."""

from __future__ import annotations

import contextlib
import gzip
import json
import lzma
import os
import secrets
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeVar

from mdplib.errors import InvalidModelError

_BLOCK = 2**22
_RECORD = 512
_MOST_DICTIONARY = 2**28
_MOST_NAME = 2**16
_MOST_MEMBERS = 2**16
Model = TypeVar("Model")


def refusal(
    path: str | Path, reason: str, remedy: str = "Restore it from a copy, or write it anew."
) -> InvalidModelError:
    """Return the error that says why a file cannot be used."""
    return InvalidModelError(f"{path} cannot be used: {reason}. {remedy}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """Open a temporary file that replaces `path` on success and vanishes on failure."""
    spare = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        with spare.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        spare.replace(path)
    except BaseException:
        spare.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def readable(path: str | Path, limit_gib: float = 8.0) -> Iterator[IO[bytes]]:
    """Open a file that may be compressed with gzip or xz; reading damage becomes a refusal."""
    with Path(path).open("rb") as raw:
        start = raw.read(6)
        raw.seek(0)
        if start.startswith(b"\x1f\x8b"):
            unpacked: Any = gzip.GzipFile(fileobj=raw)
        elif start == b"\xfd7zXZ\x00":
            unpacked = contextlib.nullcontext(_Xz(raw))
        else:
            unpacked = contextlib.nullcontext(raw)
        with unpacked as opened:
            yield _Budget(opened, path, limit_gib)  # type: ignore[misc]


class _Xz:
    """A stream that unpacks xz with a bound on the memory its dictionary may take."""

    def __init__(self, raw: IO[bytes]):
        self.raw = raw
        self.unpacker = lzma.LZMADecompressor(memlimit=_MOST_DICTIONARY)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end."""
        found = b""
        while size and not found and not self.unpacker.eof:
            packed = self.raw.read(2**16) if self.unpacker.needs_input else b""
            if self.unpacker.needs_input and not packed:
                raise EOFError("the compressed data end early")
            found = self.unpacker.decompress(packed, max_length=size)
        return found


class _Budget:
    """A stream that refuses to give more than a budget."""

    def __init__(self, stream: Any, path: str | Path, limit_gib: float):
        self.stream, self.path, self.limit = stream, path, limit_gib
        self.left = int(limit_gib * 2**30)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        try:
            found = self.stream.read(min(size, self.left + 1))
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise refusal(self.path, f"it is damaged or cut short ({error})") from error
        self.left -= len(found)
        if self.left < 0:
            raise refusal(
                self.path,
                f"it unpacks to more than limit_gib={self.limit:g} GiB",
                "If the file is trusted, raise limit_gib.",
            )
        return found

    def exactly(self, size: int) -> bytes:
        """Return exactly `size` bytes; memory grows with what is there, not with `size`."""
        found = bytearray()
        while len(found) < size:
            block = self.read(min(_BLOCK, size - len(found)))
            if not block:
                raise refusal(self.path, f"it ends {size - len(found)} bytes early")
            found += block
        return bytes(found)

    def skip(self, size: int) -> None:
        """Pass over `size` bytes."""
        while size:
            block = self.read(min(_BLOCK, size))
            if not block:
                raise refusal(self.path, f"it ends {size} bytes early")
            size -= len(block)


class Member:
    """A file in an archive, whose content is read only if it is asked for."""

    def __init__(self, name: str, size: int, stream: _Budget):
        self.name, self.size, self._stream = name, size, stream
        self._taken = False

    def content(self) -> bytes:
        """Return the bytes of the file."""
        self._taken = True
        return self._stream.exactly(self.size)

    def pass_over(self) -> None:
        """Move on to the next header."""
        if not self._taken:
            self._stream.skip(self.size)
        self._stream.skip(-self.size % _RECORD)


def members(path: str | Path, *, limit_gib: float = 8.0) -> Iterator[Member]:
    """Go through the regular files of a tar archive, compressed with gzip or xz or not.

    Parameters
    ----------
    path : str or Path
        The archive.
    limit_gib : float
        Refuse to unpack more than this, in GiB.

    Yields
    ------
    Member

    Raises
    ------
    InvalidModelError
        If the archive is damaged, cut short or too large.
    """
    with readable(path, limit_gib) as opened:
        stream: Any = opened
        longer: str | None = None
        for _ in range(_MOST_MEMBERS):
            head = stream.exactly(_RECORD)
            if not any(head):
                break
            name, size, kind = _header(path, head)
            member = Member(longer or name, size, stream)
            if kind in b"xL":
                if size > _MOST_NAME:
                    raise refusal(path, f"a name in it has {size} bytes")
                longer = _long_name(path, kind, member.content())
            else:
                longer = None
                if kind in b"0\x00":
                    yield member
            member.pass_over()
        else:
            raise refusal(path, f"it holds more than {_MOST_MEMBERS} files")
        while stream.read(_BLOCK):  # to the end: the checksum of gzip is there
            pass


def _header(path: str | Path, head: bytes) -> tuple[str, int, bytes]:
    """Return name, size and kind of a header block, after its checksum."""
    plain = sum(head) - sum(head[148:156]) + 8 * 32
    size = _octal(head[124:136])
    if _octal(head[148:156]) != plain or size is None:
        raise refusal(path, "a header of the archive is damaged, or it is no tar archive")
    parts = (head[345:500], head[:100]) if head[257:263] == b"ustar\x00" else (head[:100],)
    names = [part.split(b"\x00")[0].decode("utf-8", "replace") for part in parts]
    return "/".join(name for name in names if name), size, head[156:157]


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \x00")
    if not digits or any(d not in b"01234567" for d in digits):
        return None
    return int(digits, 8)


def _long_name(path: str | Path, kind: bytes, content: bytes) -> str | None:
    if kind == b"L":
        return content.split(b"\x00")[0].decode("utf-8", "replace")
    for line in content.split(b"\n"):
        _, _, field = line.partition(b" ")
        key, _, value = field.partition(b"=")
        if key == b"path":
            return value.decode("utf-8", "replace")
        if key == b"size":
            raise refusal(path, "a file in it has 8 GiB or more")
    return None


def write_archive(path: str | Path, content: Iterable[tuple[str, bytes]]) -> None:
    """Write a tar archive compressed with gzip, atomically; equal content, equal bytes."""
    with (
        replacing(Path(path)) as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, data in content:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))


def rebuilt(path: str | Path, text: str, build: Callable[[dict[str, Any]], Model]) -> Model:
    """Return a model from the head of its file, checked against its stored fingerprint.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    text : str
        The head, JSON.
    build : callable
        From the head without the fingerprint to the model.

    Raises
    ------
    InvalidModelError
        If the content is not a model, or another one than was written.
    """
    try:
        head = dict(json.loads(text))
        fingerprint = head.pop("fingerprint")
        model: Any = build(head)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise refusal(path, f"its content is not a model: {reason}") from error
    if model.fingerprint != fingerprint:
        raise refusal(
            path,
            f"the model in it has fingerprint {model.fingerprint}, but {fingerprint} was stored",
        )
    return model
