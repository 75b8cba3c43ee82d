"""Writing the unified Markov binary format; see `mdplib.io.umb`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.io import files
from mdplib.io.umb_index import INDEX, OWN_NAMES
from mdplib.labelled import LabelledMDP


def write_umb(
    model: LabelledMDP, path: str | Path, *, notes: Mapping[str, Any] | None = None
) -> None:
    """Write a model in the UMB format, atomically; equal models give equal files.

    Parameters
    ----------
    model : LabelledMDP
        The model; every field is kept.
    path : str or Path
        File to write, under exactly this name.
    notes : mapping, optional
        What else `mdplib.read` should know, such as ``gamma``; other tools do not see it.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; a file that was there is untouched.
    """
    writer = _Writer(model, notes or {})
    files.write_archive(path, [(INDEX, writer.index()), *writer.content.items()])


class _Writer:
    """Collects the arrays of a file and what the index says about them."""

    def __init__(self, model: LabelledMDP, notes: Mapping[str, Any]):
        self.model, self.notes = model, notes
        self.content: dict[str, bytes] = {}
        self.annotations: dict[str, dict[str, Any]] = {}
        self.strings: dict[str, int] = {}
        S, K = model.n_states, model.n_pairs
        if K != S:
            self.content["state-to-choices.bin"] = _packed(model.state_ptr, "<u8")
        self.support = None if model.initial is None else model.initial > 0
        init = model.labels.get("init")
        if self.support is not None:
            self.content["state-is-initial.bin"] = _bitset(self.support)
        self.content["choice-to-branches.bin"] = _packed(model.indptr, "<u8")
        self.content["branch-to-target.bin"] = _packed(model.indices, "<u8")
        self.probability = self._exact_or_double(
            "branch-to-probability.bin", model.data, model.rational
        )
        if model.pair_labels is not None:
            self._text("actions/choices/", model.pair_labels, "<u4")
        plain = init is not None and self.support is not None and np.array_equal(init, self.support)
        for name in sorted(model.labels):
            if name == "init" and plain:
                continue
            group = "mdplib" if name == "init" and self.support is not None else "aps"
            id_ = self._annotation(group, name, "states", {"size": 1, "type": "bool"})
            self.content[f"annotations/{group}/{id_}/states/values.bin"] = _bitset(
                model.labels[name]
            )
        for name in sorted(model.rewards):
            self._reward(name)
        self._own()

    def _reward(self, name: str) -> None:
        id_ = self._annotation("rewards", name, "choices", {})
        self.annotations["rewards"][id_]["type"] = self._exact_or_double(
            f"annotations/rewards/{id_}/choices/values.bin",
            self.model.rewards[name],
            self.model.rational_rewards.get(name),
        )

    def _own(self) -> None:
        """Keep what the format has no place for."""
        model = self.model
        group = "annotations/mdplib"
        starts = np.repeat(model.state_ptr[:-1], np.diff(model.state_ptr))
        if np.any(model.action_id != np.arange(model.n_pairs) - starts):
            self._annotation("mdplib", "action-id", "choices", {"size": 64, "type": "uint"})
            self.content[f"{group}/action-id/choices/values.bin"] = _packed(model.action_id, "<u8")
        if self.support is not None and model.initial is not None:
            uniform = self.support / np.count_nonzero(self.support)
            if uniform.tobytes() != model.initial.tobytes():
                self._annotation("mdplib", "initial-law", "states", {"size": 64, "type": "double"})
                self.content[f"{group}/initial-law/states/values.bin"] = _packed(
                    model.initial, "<f8"
                )
        if model.state_labels is not None:
            self._words(OWN_NAMES, model.state_labels)

    def _annotation(self, group: str, name: str, where: str, kind: dict[str, Any]) -> str:
        taken = self.annotations.setdefault(group, {})
        id_ = plain = _identifier(name)
        number = 1
        while id_ in taken:
            number += 1
            id_ = f"{plain}-{number}"
        taken[id_] = {"alias": name, "applies-to": [where], "type": kind}
        return id_

    def _exact_or_double(
        self, name: str, values: NDArray[np.float64], exact: Any
    ) -> dict[str, Any]:
        if exact is None:
            self.content[name] = _packed(values, "<f8")
            return {"size": 64, "type": "double"}
        most = max(max(x.numerator.bit_length() + 1, x.denominator.bit_length()) for x in exact)
        half = 8 * (-(-most // 64))
        self.content[name] = b"".join(
            x.numerator.to_bytes(half, "little", signed=True)
            + x.denominator.to_bytes(half, "little")
            for x in exact
        )
        return {"size": 16 * half, "type": "rational"}

    def _text(self, folder: str, names: tuple[str, ...], dtype: str) -> None:
        words = sorted(set(names))
        number = {word: i for i, word in enumerate(words)}
        self.content[f"{folder}values.bin"] = _packed(np.array([number[n] for n in names]), dtype)
        self._words(folder, words)
        self.strings[folder] = len(words)

    def _words(self, folder: str, words: Iterable[str]) -> None:
        coded = [word.encode("utf-8", "surrogatepass") for word in words]
        ends = np.cumsum([0, *map(len, coded)])
        self.content[f"{folder}string-mapping.bin"] = _packed(ends, "<u8")
        self.content[f"{folder}strings.bin"] = b"".join(coded)

    def index(self) -> bytes:
        """Return the text of the index."""
        model = self.model
        notes: dict[str, Any] = {"verbatim": True, **self.notes}
        if self.support is not None and "init" not in model.labels:
            notes["init"] = False
        content = {
            "format-version": 1,
            "format-revision": 0,
            "file-data": {"tool": "mdplib", "parameters": {"mdplib": notes}},
            "transition-system": {
                "time": "discrete",
                "#players": int(model.n_pairs != model.n_states),
                "#states": model.n_states,
                "#initial-states": 0 if self.support is None else int(self.support.sum()),
                "#choices": model.n_pairs,
                "#choice-actions": self.strings.get("actions/choices/", 0),
                "#branches": model.nnz,
                "#branch-actions": 0,
                "#observations": 0,
                "branch-probability-type": self.probability,
            },
            "annotations": self.annotations,
        }
        return (json.dumps(content, indent=4) + "\n").encode()


def _packed(values: Any, dtype: str) -> bytes:
    return np.asarray(values).astype(dtype).tobytes()


def _bitset(mask: NDArray[np.bool_]) -> bytes:
    """Pack a mask into 64-bit words, lowest bit first."""
    padded = np.zeros(-(-mask.size // 64) * 64, dtype=bool)
    padded[: mask.size] = mask
    return np.packbits(padded, bitorder="little").tobytes()


def _identifier(name: str) -> str:
    """Spell a name with lower-case letters, digits and underscores, the way Storm does."""
    spelled = [
        chr(c) if chr(c) in "abcdefghijklmnopqrstuvwxyz0123456789_-" else f"0x{c:02x}"
        for c in name.replace(" ", "_").encode("utf-8", "surrogatepass")
    ]
    return "".join(spelled) or "0x"
