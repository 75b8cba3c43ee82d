"""Labelled and undiscounted models in npz files; see `mdplib.io.npz` for the container."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mdplib.errors import InvalidModelError
from mdplib.io.canonical import count_absorbing
from mdplib.io.files import rebuilt, refusal
from mdplib.io.npz import foreign_arrays, read_arrays, write_arrays
from mdplib.io.numbers import exact, spelled
from mdplib.io.report import Report
from mdplib.labelled import LabelledMDP
from mdplib.tabular import TabularMDP
from mdplib.undiscounted import UndiscountedMDP

SCHEMA = 1
KINDS: dict[str, type] = {
    "mdplib.LabelledMDP": LabelledMDP,
    "mdplib.UndiscountedMDP": UndiscountedMDP,
}
_ROWS = ("state_ptr", "indptr", "indices", "data", "action_id")


def save_labelled(model: LabelledMDP | UndiscountedMDP, path: str | Path) -> None:
    """Write a model, atomically; every field is kept.

    Parameters
    ----------
    model : LabelledMDP or UndiscountedMDP
        The model.
    path : str or Path
        File to write, under exactly this name.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; a file that was there is untouched.
    """
    arrays: dict[str, Any] = {name: getattr(model, name) for name in _ROWS}
    head: dict[str, Any] = {
        "state_labels": model.state_labels,
        "rational": _text(model.rational),
    }
    if isinstance(model, LabelledMDP):
        head |= {
            "rewards": list(model.rewards),
            "labels": list(model.labels),
            "pair_labels": model.pair_labels,
            "rational_rewards": {k: _text(v) for k, v in model.rational_rewards.items()},
        }
        arrays["rewards"] = _stack(list(model.rewards.values()), model.n_pairs, np.float64)
        arrays["labels"] = _stack(list(model.labels.values()), model.n_states, np.bool_)
        arrays["initial"] = model.initial
    else:
        head |= {
            "criterion": model.criterion,
            "objective": model.objective,
            "rational_reward": _text(model.rational_reward),
        }
        arrays |= {name: getattr(model, name) for name in ("target", "reward", "initial")}
    head["fingerprint"] = model.fingerprint
    present = {name: array for name, array in arrays.items() if array is not None}
    kind = next(name for name, known in KINDS.items() if isinstance(model, known))
    write_arrays(path, kind, SCHEMA, json.dumps(head), present)


def load_labelled(
    path: str | Path, kind: str, *, limit_gib: float = 8.0
) -> LabelledMDP | UndiscountedMDP:
    """Read a model written by `save_labelled`.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : str
        A key of `KINDS`.
    limit_gib : float
        Refuse files that declare more than this, in GiB.

    Raises
    ------
    InvalidModelError
        If the file is damaged, of another kind, of a newer schema, too large, or not a model.
    OSError
        If it cannot be opened.
    """
    text, fields = read_arrays(path, kind, SCHEMA, limit_gib=limit_gib)

    def build(head: dict[str, Any]) -> LabelledMDP | UndiscountedMDP:
        for name in ("rational", "rational_reward"):
            if name in head:
                head[name] = _fractions(head[name])
        for name in ("rewards", "labels"):
            if name in head:
                head[name] = dict(zip(head[name], fields.pop(name), strict=True))
        if "rational_rewards" in head:
            known = head["rational_rewards"].items()
            head["rational_rewards"] = {name: _fractions(values) for name, values in known}
        return KINDS[kind](**fields, **head)

    return rebuilt(path, text, build)


def _stack(rows: list[Any], width: int, dtype: Any) -> Any:
    return np.array(rows, dtype=dtype).reshape(len(rows), width)


def _text(values: tuple[Fraction, ...] | None) -> list[str] | None:
    return None if values is None else [spelled(x) for x in values]


def _fractions(values: list[str] | None) -> list[Fraction] | None:
    return None if values is None else [exact(x) for x in values]


def load_foreign(
    path: str | Path, gamma: float | None, *, limit_gib: float = 8.0
) -> tuple[TabularMDP, Report]:
    """Read an npz file of the arrays P, R (or r) and possibly gamma, with a report.

    Parameters
    ----------
    path : str or Path
        The file.
    gamma : float, optional
        Discount factor in place of the file's own.
    limit_gib : float
        Refuse files that declare more than this, in GiB.

    Raises
    ------
    InvalidModelError
        If arrays are missing or do not fit each other.
    OSError
        If it cannot be opened.
    """
    arrays = foreign_arrays(path, limit_gib=limit_gib)
    rewards = arrays.get("R", arrays.get("r"))
    if "P" not in arrays or rewards is None:
        raise refusal(
            path,
            f"it holds the arrays {', '.join(sorted(arrays))[:80] or 'none'}",
            "Arrays P and R expected, and gamma.",
        )
    if gamma is None:
        if "gamma" not in arrays or arrays["gamma"].size != 1:
            raise refusal(path, "it has no array gamma", "Pass gamma.")
        gamma = float(arrays["gamma"].reshape(()))
    P, guess = arrays["P"], None
    if P.ndim != 3:
        raise refusal(path, f"P has shape {P.shape}", "Shape (S, A, S) or (A, S, S) expected.")
    by_state, by_action = P.shape[0] == P.shape[2], P.shape[1] == P.shape[2]
    if by_state and by_action:
        guess = f"P of shape {P.shape} was read as (state, action, successor)"
    try:
        if by_action and not by_state:
            model = TabularMDP.from_mdptoolbox(P, rewards, gamma)
        else:
            if rewards.ndim == 1:
                rewards = np.repeat(rewards[:, None], P.shape[1], axis=1)
            model = TabularMDP.from_dense(P, rewards, gamma)
    except InvalidModelError as error:
        raise refusal(path, str(error), "Mend the arrays.") from None
    return model, Report(
        "npz",
        infeasible=P.shape[0] * P.shape[1] - model.n_pairs,
        absorbing=count_absorbing(model),
        warnings=() if guess is None else (guess,),
    )
