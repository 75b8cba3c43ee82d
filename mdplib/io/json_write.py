"""Writing models as JSON; see `mdplib.io.json_format`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mdplib.errors import InvalidModelError
from mdplib.io.files import replacing
from mdplib.io.json_format import FORMAT, VERSION, Model, read_json
from mdplib.io.numbers import spelled
from mdplib.io.report import lost
from mdplib.labelled import LabelledMDP
from mdplib.tabular import TabularMDP


def write_json(
    model: Model, path: str | Path, *, lines: bool | None = None, lossy: bool = False
) -> None:
    """Write a model as JSON, atomically.

    Parameters
    ----------
    model : TabularMDP, LabelledMDP or UndiscountedMDP
        The model; kernels and rewards must not change with the step.
    path : str or Path
        File to write, under exactly this name.
    lines : bool, optional
        One line per choice; by default if the name ends in ``.jsonl``.
    lossy : bool
        Write also what the format does not give back bit for bit, such as stored zeros.

    Raises
    ------
    InvalidModelError
        Naming what would be lost.
    OSError
        If the disk is full or the folder cannot be written; a file that was there is untouched.

    Examples
    --------
    >>> import tempfile
    >>> from mdplib import models
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(models.forest(), Path(folder, "forest.json"))
    ...     read_json(Path(folder, "forest.json")) == models.forest()
    True
    """
    if isinstance(model, TabularMDP) and (not model.stationary or model.reward.ndim == 2):
        raise InvalidModelError(
            "json cannot hold kernels or rewards that change with the step; write npz"
        )
    head, choices = _head(model), _choices(model)
    if lines is None:
        lines = Path(path).suffix.lower() == ".jsonl"
    with replacing(Path(path)) as file:
        start = json.dumps(head)
        if lines:
            file.write(f"{start}\n".encode())
        else:
            file.write(f'{start[:-1]},\n"choices": ['.encode())
        for i, choice in enumerate(choices):
            between = "" if lines else ("\n" if i == 0 else ",\n")
            file.write(f"{between}{json.dumps(choice)}{chr(10) if lines else ''}".encode())
        file.write(b"" if lines else b"\n]}\n")
        file.flush()
        if not lossy:
            lost(model, read_json(file.name), "json")


def _states(mask: Any) -> list[int]:
    return np.flatnonzero(mask).tolist()


def _head(model: Model) -> dict[str, Any]:
    head: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    head["states"] = list(model.state_labels) if model.state_labels else model.n_states
    if model.initial is not None:
        names = model.state_labels or list(map(str, range(model.n_states)))
        chosen = np.flatnonzero(model.initial).tolist()
        head["init"] = {names[s]: float(model.initial[s]) for s in chosen}
    if isinstance(model, TabularMDP):
        if model.action_labels is not None:
            head["actions"] = list(model.action_labels)
        head["gamma"] = repr(model.gamma)
        if model.horizon is not None and model.terminal is not None:
            head["horizon"] = model.horizon
            head["terminal"] = model.terminal.tolist()
    elif isinstance(model, LabelledMDP):
        head["rewards"] = list(model.rewards)
        head["labels"] = {name: _states(mask) for name, mask in model.labels.items()}
    else:
        head["criterion"], head["objective"] = model.criterion, model.objective
        if model.target is not None:
            head["target"] = _states(model.target)
    return head


def _choices(model: Model) -> Iterator[list[Any]]:
    """Yield the choices; exact numbers become strings."""
    rational = None if isinstance(model, TabularMDP) else model.rational
    data = model.data.tolist() if rational is None else list(map(spelled, rational))
    names = model.pair_labels if isinstance(model, LabelledMDP) else None
    paid = _paid(model)
    indices, indptr, action = (a.tolist() for a in (model.indices, model.indptr, model.action_id))
    ptr = model.state_ptr.tolist()
    for s in range(model.n_states):
        for k in range(ptr[s], ptr[s + 1]):
            row = [[indices[j], data[j]] for j in range(indptr[k], indptr[k + 1])]
            yield [s, action[k], paid[k], row, *([] if names is None else [names[k]])]


def _paid(model: Model) -> list[Any]:
    """Return the reward entry of each choice."""
    if isinstance(model, LabelledMDP):
        columns = [
            list(map(spelled, model.rational_rewards[name]))
            if name in model.rational_rewards
            else values.tolist()
            for name, values in model.rewards.items()
        ]
        return [[column[k] for column in columns] for k in range(model.n_pairs)]
    if model.reward is None:
        return [0.0] * model.n_pairs
    exact = None if isinstance(model, TabularMDP) else model.rational_reward
    return model.reward.tolist() if exact is None else list(map(spelled, exact))
