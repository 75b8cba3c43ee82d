"""Linear models in npz files, in the format of `mdplib.io.npz`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mdplib.io.files import rebuilt
from mdplib.io.npz import read_arrays, write_arrays
from mdplib.linear import Features, LinearMDP

KIND, SCHEMA = "mdplib.LinearMDP", 1
_ROWS = ("state_ptr", "phi", "action_id", "ends")
_ARRAYS = ("reward", "mu", "theta", "initial")


def save_linear(mdp: LinearMDP, path: str | Path) -> None:
    """Write a linear model, atomically.

    Parameters
    ----------
    mdp : LinearMDP
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
    ...     save_linear(models.five_state(), Path(folder, "five.npz"))
    ...     load_linear(Path(folder, "five.npz")) == models.five_state()
    True
    """
    arrays = {name: getattr(mdp.features, name) for name in _ROWS}
    arrays |= {name: getattr(mdp, name) for name in _ARRAYS}
    head = {
        "state_labels": mdp.state_labels,
        "action_labels": mdp.action_labels,
        "fingerprint": mdp.fingerprint,
    }
    present = {name: array for name, array in arrays.items() if array is not None}
    write_arrays(path, KIND, SCHEMA, json.dumps(head), present)


def load_linear(path: str | Path, *, limit_gib: float = 8.0) -> LinearMDP:
    """Read a linear model written by `save_linear`.

    Parameters
    ----------
    path : str or Path
        The file.
    limit_gib : float
        Refuse files that declare more than this, in GiB.

    Returns
    -------
    LinearMDP
        With the fingerprint of the one that was written.

    Raises
    ------
    InvalidModelError
        If the file is damaged, of another kind, of a newer schema, too large, or not a model.
    OSError
        If it cannot be opened.
    """
    text, arrays = read_arrays(path, KIND, SCHEMA, limit_gib=limit_gib)

    def build(head: dict[str, Any]) -> LinearMDP:
        rows: dict[str, Any] = {name: arrays.pop(name) for name in _ROWS if name in arrays}
        return LinearMDP(Features(**rows), **arrays, **head)

    return rebuilt(path, text, build)
