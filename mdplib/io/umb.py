"""The unified Markov binary format (UMB) of the probabilistic model checkers.

A file is a tar archive, usually compressed with gzip: ``index.json`` with counts, types and names,
and one file of little-endian numbers per array. Storm writes it from PRISM and JANI models, so
this is the way in for those: no other tool is needed to read it.

Read: Markov decision processes and Markov chains in discrete time; initial states (their
uniform distribution; the set becomes the label ``init``); labels; rewards of states, choices and
branches, added up per pair; names of choices; probabilities as doubles or exact fractions.
Refused: games, partial observation, continuous time, intervals. Skipped with a warning:
valuations of states, names of branches, other annotations.

Written: everything a `LabelledMDP` holds. What the format has no place for goes into annotations of
the group ``mdplib``, which other tools ignore.

A file is treated as hostile: sizes are compared with the counts before anything is unpacked, the
counts with what is really there before any array is made.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.io import files
from mdplib.io.canonical import NoAction, RawModel, exact_pair_rewards, labelled, pair_rewards
from mdplib.io.files import refusal
from mdplib.io.numbers import rounded
from mdplib.io.report import Report
from mdplib.io.umb_index import OWN_NAMES, Index, read_index
from mdplib.io.umb_write import write_umb
from mdplib.labelled import LabelledMDP

__all__ = ["load_umb", "read_umb", "write_umb"]


def read_umb(
    path: str | Path, *, no_action: NoAction = "error", limit_gib: float = 8.0
) -> LabelledMDP:
    """Read a model in the UMB format.

    Parameters
    ----------
    path : str or Path
        The file.
    no_action : {"error", "absorb"}
        What to do about a state without a choice: refuse the file, or give the state a self-loop
        that pays nothing.
    limit_gib : float
        Refuse files that unpack to more than this, in GiB.

    Returns
    -------
    LabelledMDP

    Raises
    ------
    InvalidModelError
        Naming the file, what is wrong with it, and the remedy.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> coin = LabelledMDP([0, 1, 2], [0, 2, 3], [0, 1, 1], [0.5, 0.5, 1.0], [0, 0],
    ...                    labels={"heads": [False, True]}, initial=[1.0, 0.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_umb(coin, Path(folder, "coin.umb"))
    ...     read_umb(Path(folder, "coin.umb")) == coin
    True
    """
    return load_umb(path, no_action=no_action, limit_gib=limit_gib)[0]


def load_umb(
    path: str | Path, *, no_action: NoAction = "error", limit_gib: float = 8.0
) -> tuple[LabelledMDP, Report, dict[str, Any]]:
    """Do what `read_umb` does; return the report and mdplib's own notes as well."""
    index = read_index(path, limit_gib)
    arrays = _arrays(path, index, limit_gib)
    try:
        raw = _raw(path, index, arrays)
    except (KeyError, ValueError, TypeError, OverflowError, IndexError) as error:
        if isinstance(error, InvalidModelError):
            raise
        raise refusal(path, f"its content does not fit its index ({error})") from error
    verbatim = index.notes.get("verbatim") is True
    model, report = labelled(raw, "umb", path, no_action=no_action, verbatim=verbatim)
    return model, report, index.notes


def _arrays(path: str | Path, index: Index, limit_gib: float) -> dict[str, bytes]:
    """Unpack the files the index speaks of, after comparing their sizes."""
    found: dict[str, bytes] = {}
    for member in files.members(path, limit_gib=limit_gib):
        name = member.name.removeprefix("./")
        sizes = index.sizes.get(name)
        if sizes is None:
            continue
        if name in found:
            raise refusal(path, f"it holds {name!r} twice")
        if sizes and member.size not in sizes:
            raise refusal(
                path,
                f"{name} has {member.size} bytes, and its index asks for {sizes[-1]}",
            )
        found[name] = member.content()
    return found


def _raw(path: str | Path, index: Index, arrays: dict[str, bytes]) -> RawModel:
    S, K, B = index.states, index.choices, index.branches
    if "branch-to-target.bin" not in arrays:
        raise refusal(path, "it has no branch-to-target.bin")
    if "branch-to-probability.bin" not in arrays and B != K:
        raise refusal(path, "it has no branch-to-probability.bin")
    target = np.frombuffer(arrays["branch-to-target.bin"], "<u8")
    if target.size and int(target.max()) >= S:
        j = int(np.argmax(target >= S))
        raise refusal(path, f"branch {j} leads to state {target[j]}, and there are {S} states")
    raw = RawModel(
        _pointer(path, arrays, "state-to-choices.bin", S, K),
        _pointer(path, arrays, "choice-to-branches.bin", K, B),
        target.astype(np.int64),
        np.ones(B),
        warnings=list(index.warnings),
    )
    name = "branch-to-probability.bin"
    if name in arrays:
        raw.data, raw.rational = _numbers(arrays[name], *index.probability)
    _check_rows(path, raw)
    for id_, label in index.labels.items():
        raw.labels[label] = _bits(path, arrays, f"annotations/aps/{id_}/states/values.bin", S)
    _initial(path, index, arrays, raw)
    _rewards(path, index, arrays, raw)
    names = "actions/choices/"
    if f"{names}values.bin" in arrays:
        raw.pair_labels = _strings(path, arrays, names, "<u4", K)
    _own(path, index, arrays, raw)
    return raw


def _check_rows(path: str | Path, raw: RawModel) -> None:
    """Refuse choices without branches, which the sums below could not take."""
    empty = np.flatnonzero(np.diff(raw.indptr) == 0)
    if empty.size:
        raise refusal(path, f"choice {empty[0]} ({raw.pair_name(int(empty[0]))}) has no branch")


def _initial(path: str | Path, index: Index, arrays: dict[str, bytes], raw: RawModel) -> None:
    name = "state-is-initial.bin"
    if name not in arrays:
        return
    chosen = _bits(path, arrays, name, index.states)
    if index.initial is not None and np.count_nonzero(chosen) != index.initial:
        raise refusal(
            path,
            f"it marks {np.count_nonzero(chosen)} initial states and announces {index.initial}",
        )
    if chosen.any():
        raw.initial = chosen / np.count_nonzero(chosen)
        if index.notes.get("init") is not False:
            raw.labels.setdefault("init", chosen)


def _rewards(path: str | Path, index: Index, arrays: dict[str, bytes], raw: RawModel) -> None:
    for id_, (name, kind, size) in index.rewards.items():
        parts: dict[str, Any] = {}
        exact: dict[str, list[Fraction] | None] = {}
        for where in ("states", "choices", "branches"):
            file = f"annotations/rewards/{id_}/{where}/values.bin"
            if file in arrays:
                parts[where], exact[where] = _numbers(arrays[file], kind, size)
                finite = np.isfinite(parts[where])
                if not finite.all():
                    i = int(np.argmin(finite))
                    raise refusal(path, f"reward {name!r} of {where} {i} is {parts[where][i]}")
        if not parts:
            raise refusal(path, f"it announces reward {name!r} and does not hold it")
        if kind == "rational":
            raw.rational_rewards[name] = exact_pair_rewards(raw, name, exact)
            raw.rewards[name] = np.array([rounded(x) for x in raw.rational_rewards[name]])
        else:
            raw.rewards[name] = pair_rewards(
                raw, name, parts.get("states"), parts.get("choices"), parts.get("branches")
            )


def _own(path: str | Path, index: Index, arrays: dict[str, bytes], raw: RawModel) -> None:
    """Read what `write_umb` keeps in annotations of its own."""
    ids = "annotations/mdplib/action-id/choices/values.bin"
    if ids in arrays:
        raw.action_id = np.frombuffer(arrays[ids], "<u8").astype(np.int64)
    init = "annotations/mdplib/init/states/values.bin"
    if init in arrays:
        raw.labels["init"] = _bits(path, arrays, init, index.states)
    law = "annotations/mdplib/initial-law/states/values.bin"
    if law in arrays:
        raw.initial = np.frombuffer(arrays[law], "<f8").astype(np.float64)
    if f"{OWN_NAMES}strings.bin" in arrays:
        raw.state_labels = _words(path, arrays, OWN_NAMES)


def _pointer(
    path: str | Path, arrays: dict[str, bytes], name: str, size: int, end: int
) -> NDArray[np.int64]:
    if name not in arrays:
        if size != end:
            raise refusal(path, f"it has no {name}, and {size} is not {end}")
        return np.arange(size + 1)
    found = np.frombuffer(arrays[name], "<u8")
    if found[0] != 0 or found[-1] != end or np.any(found[1:] < found[:-1]):
        raise refusal(path, f"{name} does not rise from 0 to {end}")
    return found.astype(np.int64)


def _bits(path: str | Path, arrays: dict[str, bytes], name: str, size: int) -> NDArray[np.bool_]:
    if name not in arrays:
        raise refusal(path, f"it has no {name}")
    bits = np.unpackbits(np.frombuffer(arrays[name], np.uint8), bitorder="little")
    if bits[size:].any():
        raise refusal(path, f"{name} marks element {size + int(np.argmax(bits[size:]))} of {size}")
    return bits[:size].astype(bool)


def _numbers(
    data: bytes, kind: str, size: int
) -> tuple[NDArray[np.float64], list[Fraction] | None]:
    """Decode numbers of a type of the index, and keep the exact ones."""
    if kind == "double":
        return np.frombuffer(data, "<f8").astype(np.float64), None
    if kind in ("int", "uint"):
        return np.frombuffer(data, "<i8" if kind == "int" else "<u8").astype(np.float64), None
    half = size // 16
    exact = []
    for i in range(0, len(data), 2 * half):
        top = int.from_bytes(data[i : i + half], "little", signed=True)
        bottom = int.from_bytes(data[i + half : i + 2 * half], "little")
        if bottom == 0:
            raise ValueError(f"number {i // (2 * half)} has denominator 0")
        exact.append(Fraction(top, bottom))
    return np.array([rounded(x) for x in exact]), exact


def _strings(
    path: str | Path, arrays: dict[str, bytes], folder: str, dtype: str, count: int
) -> list[str]:
    """Decode one string per element: numbers into a list of strings."""
    words = _words(path, arrays, folder)
    number = np.frombuffer(arrays[f"{folder}values.bin"], dtype)
    if number.size != count or (count and int(number.max()) >= len(words)):
        raise refusal(path, f"{folder}values.bin asks for strings that are not there")
    return [words[i] for i in number.tolist()]


def _words(path: str | Path, arrays: dict[str, bytes], folder: str) -> list[str]:
    mapping = np.frombuffer(arrays.get(f"{folder}string-mapping.bin", b""), "<u8")
    text = arrays.get(f"{folder}strings.bin", b"")
    rising = mapping.size and mapping[0] == 0 and np.all(mapping[1:] >= mapping[:-1])
    if not rising or mapping[-1] != len(text):
        raise refusal(path, f"{folder}string-mapping.bin does not fit strings.bin")
    pieces = itertools.pairwise(mapping.tolist())
    return [text[i:j].decode("utf-8", "surrogatepass") for i, j in pieces]
