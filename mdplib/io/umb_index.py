"""The index of a UMB file: counts, types and names, checked before any array is unpacked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mdplib import validate
from mdplib.io import files
from mdplib.io.files import refusal

INDEX = "index.json"
OWN_NAMES = "mdplib/state-names/"
_MOST_INDEX = 2**26
_ID = re.compile(r"[^/\x00]{1,4096}")


@dataclass
class Index:
    """What the index says, as far as it matters here.

    `sizes` maps each array to the sizes it may have in bytes; () means any.
    `labels` maps identifiers to names, `rewards` to (name, type, bits).
    """

    states: int
    choices: int
    branches: int
    initial: int | None
    probability: tuple[str, int]
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    rewards: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_index(path: str | Path, limit_gib: float) -> Index:
    """Find and check the index of a file.

    Raises
    ------
    InvalidModelError
        If it is missing, damaged, of another version, too large, or describes something that a
        `LabelledMDP` is not.
    """
    for member in files.members(path, limit_gib=limit_gib):
        if member.name.removeprefix("./") == INDEX:
            if member.size > _MOST_INDEX:
                raise refusal(path, f"its index has {member.size} bytes")
            return _parsed(path, member.content(), limit_gib)
    raise refusal(path, f"it has no {INDEX}", "UMB files have one.")


def _parsed(path: str | Path, text: bytes, limit_gib: float) -> Index:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refusal(path, f"its index is no JSON ({error})") from None
    if not isinstance(content, dict):
        raise refusal(path, "its index is no JSON object")
    version = content.get("format-version")
    if version != 1 or isinstance(version, bool):
        raise refusal(
            path, f"it has format-version {version!r}; version 1 is read here", "Upgrade mdplib."
        )
    system = _mapping(path, content.get("transition-system"), "transition-system")
    index = _system(path, system)
    gib = 8 * (index.states + index.choices + 2 * index.branches) / 2**30
    if gib > limit_gib:
        raise refusal(
            path,
            f"its index announces {gib:.3g} GiB, more than limit_gib={limit_gib:g}",
            "If the file is trusted, raise limit_gib.",
        )
    _main_sizes(index, system)
    groups = content.get("annotations")
    groups = {} if groups is None else _mapping(path, groups, "annotations")
    for group, entries in groups.items():
        entries = _mapping(path, entries, f"annotations/{group}")
        for id_, entry in entries.items():
            _annotation(path, index, group, id_, _mapping(path, entry, f"annotation {id_}"))
    about = content.get("file-data")
    about = about.get("parameters") if isinstance(about, dict) else None
    notes = about.get("mdplib") if isinstance(about, dict) else None
    index.notes = notes if isinstance(notes, dict) else {}
    if content.get("valuations"):
        index.warnings.append("valuations of states are not read")
    return index


def _system(path: str | Path, system: dict[str, Any]) -> Index:
    def count(name: str, default: int | None = None) -> int:
        value = system.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise refusal(path, f"{name} is {value!r}; a count expected")
        return value

    if system.get("time", "discrete") != "discrete":
        raise refusal(
            path,
            f"its time is {system['time']!r}; models in discrete time are read here",
            "Convert it, for instance to its embedded or uniformised chain.",
        )
    if count("#players", 1) > 1:
        raise refusal(path, f"it is a game of {system['#players']} players", "Fix all but one.")
    if count("#observations", 0) > 0:
        raise refusal(
            path,
            f"it has {system['#observations']} observations",
            "Only models whose state is observed are read here.",
        )
    S, K, B = count("#states"), count("#choices"), count("#branches")
    for name, value in (("#states", S), ("#choices", K), ("#branches", B)):
        if value > validate.INT32_LIMIT:
            raise refusal(
                path,
                f"{name} is {value}",
                "Models of up to 2**31 - 1 states, choices and branches are read here.",
            )
    if min(S, K, B) < 1:
        raise refusal(path, f"it has {S} states, {K} choices and {B} branches")
    initial = count("#initial-states") if "#initial-states" in system else None
    kind = _type(path, system.get("branch-probability-type", {"type": "double"}), "probabilities")
    if kind[0] not in ("double", "rational"):
        raise refusal(path, f"its probabilities have type {kind[0]!r}", "Export doubles.")
    return Index(S, K, B, initial, kind)


def _main_sizes(index: Index, system: dict[str, Any]) -> None:
    S, K, B = index.states, index.choices, index.branches
    index.sizes = {
        "state-to-choices.bin": (8 * (S + 1),),
        "choice-to-branches.bin": (8 * (K + 1),),
        "branch-to-target.bin": (8 * B,),
        "branch-to-probability.bin": (B * index.probability[1] // 8,),
        "state-is-initial.bin": _bit_sizes(S),
        "actions/choices/values.bin": (4 * K,),
        "actions/choices/string-mapping.bin": (),
        "actions/choices/strings.bin": (),
        f"{OWN_NAMES}string-mapping.bin": (8 * (S + 1),),
        f"{OWN_NAMES}strings.bin": (),
    }
    names = system.get("#choice-actions")
    if isinstance(names, int) and not isinstance(names, bool) and names >= 0:
        index.sizes["actions/choices/string-mapping.bin"] = (8 * (names + 1),)
    if system.get("#branch-actions"):
        index.warnings.append("names of branches are not read")


def _bit_sizes(size: int) -> tuple[int, ...]:
    return (-(-size // 8), 8 * -(-size // 64))


def _annotation(
    path: str | Path, index: Index, group: str, id_: str, entry: dict[str, Any]
) -> None:
    if not _ID.fullmatch(id_):
        raise refusal(path, f"an annotation has the identifier {id_[:80]!r}")
    name = entry.get("alias", id_)
    where = entry.get("applies-to", [])
    if not isinstance(name, str) or not isinstance(where, list):
        raise refusal(path, f"the annotation {id_!r} has no proper alias or applies-to")
    sizes = {"states": index.states, "choices": index.choices, "branches": index.branches}
    folder = f"annotations/{group}/{id_}"
    if group == "aps":
        if "states" not in where:
            index.warnings.append(f"label {name!r} is not about states and not read")
            return
        _fresh(path, name, index.labels.values(), "label")
        index.labels[id_] = name
        index.sizes[f"{folder}/states/values.bin"] = _bit_sizes(index.states)
    elif group == "rewards":
        kind, bits = _type(path, entry.get("type"), f"reward {name!r}")
        if kind not in ("double", "rational", "int", "uint"):
            raise refusal(path, f"reward {name!r} has type {kind!r}", "Export doubles.")
        _fresh(path, name, (known for known, _, _ in index.rewards.values()), "reward")
        index.rewards[id_] = (name, kind, bits)
        for part in ("states", "choices", "branches"):
            if part in where:
                index.sizes[f"{folder}/{part}/values.bin"] = (sizes[part] * bits // 8,)
    elif group == "mdplib":
        part = "choices" if id_ == "action-id" else "states"
        wide = _bit_sizes(index.states) if id_ == "init" else (8 * sizes[part],)
        index.sizes[f"{folder}/{part}/values.bin"] = wide
    else:
        index.warnings.append(f"annotation {group}/{name} is not read")


def _fresh(path: str | Path, name: str, known: Any, what: str) -> None:
    if name in known:
        raise refusal(path, f"it has two {what}s named {name!r}")


def _type(path: str | Path, value: Any, what: str) -> tuple[str, int]:
    given = _mapping(path, value, f"the type of {what}")
    kind = given.get("type")
    bits = given.get("size", 128 if kind == "rational" else 64)
    fits = isinstance(bits, int) and not isinstance(bits, bool)
    if not isinstance(kind, str) or not fits or not 64 <= bits <= 2**24 or bits % 64:
        raise refusal(path, f"{what} have type {kind!r} of {bits!r} bits")
    if bits % 128 if kind == "rational" else bits != 64:
        raise refusal(path, f"{what} have type {kind!r} of {bits} bits")
    return kind, bits


def _mapping(path: str | Path, value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refusal(path, f"{name} is missing from its index or no JSON object")
    return value
