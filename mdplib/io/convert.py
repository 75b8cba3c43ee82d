"""Loaders and writers by the name of the format, and what a format makes of each kind of model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from mdplib.errors import InvalidModelError
from mdplib.io.canonical import NoAction, count_absorbing
from mdplib.io.report import Report
from mdplib.labelled import LabelledMDP
from mdplib.tabular import TabularMDP
from mdplib.undiscounted import UndiscountedMDP

Model = TabularMDP | LabelledMDP | UndiscountedMDP
WRITABLE = (".npz", ".umb", ".json", ".jsonl", ".drn", ".csv")


def load(
    path: Path, format: str, *, gamma: float | None, no_action: NoAction, limit_gib: float
) -> tuple[Model, Report]:
    """Read a file whose format is known.

    Parameters
    ----------
    path : Path
        The file.
    format : str
        As `mdplib.io.recognise` returns it.
    gamma, no_action, limit_gib
        As for `mdplib.io.read`.
    """
    if format == "npz":
        return _load_npz(path, gamma, limit_gib)
    if format == "umb":
        from mdplib.io.umb import load_umb

        model, report, notes = load_umb(path, no_action=no_action, limit_gib=limit_gib)
        return _posed(path, model, notes), report
    if format in ("prism", "jani"):
        from mdplib.io import storm

        model = (storm.read_prism if format == "prism" else storm.read_jani)(path)
        return model, Report(format, absorbing=count_absorbing(model))
    if format == "drn":
        from mdplib.io.drn import load_drn as load_text
    elif format == "csv":
        from mdplib.io.craam import load_csv as load_text
    else:
        from mdplib.io.json_format import load_json as load_text
    return load_text(path, no_action=no_action, limit_gib=limit_gib)


def _load_npz(path: Path, gamma: float | None, limit_gib: float) -> tuple[Model, Report]:
    from mdplib.io import npz, npz_labelled

    if npz.is_foreign(path, limit_gib=limit_gib):
        return npz_labelled.load_foreign(path, gamma, limit_gib=limit_gib)
    kind = npz.kind_of(path, limit_gib=limit_gib)
    if kind in npz_labelled.KINDS:
        model = npz_labelled.load_labelled(path, kind, limit_gib=limit_gib)
    else:
        model = npz.load_npz(path, limit_gib=limit_gib)
    stationary = getattr(model, "stationary", True)
    return model, Report("npz", absorbing=count_absorbing(model) if stationary else 0)


def _posed(path: Path, model: LabelledMDP, notes: dict[str, Any]) -> Model:
    """Return the discounted problem if the file was written from one."""
    gamma, names = notes.get("gamma"), notes.get("action_labels")
    if gamma is None:
        return model
    try:
        mdp = model.discounted(float(gamma), "reward")
        return mdp if names is None else mdp.replace(action_labels=names)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidModelError(f"{path} cannot be used: {error}") from None


def save(model: Model, path: str | Path, format: str, *, lossy: bool = False) -> None:
    """Write a model in a format given by its suffix without the dot.

    Parameters
    ----------
    model, path, lossy
        As for `mdplib.io.write`.
    format : str
        Such as ``npz``.
    """
    if f".{format}" not in WRITABLE:
        suffix = f".{format}" if format else Path(path).suffix
        raise InvalidModelError(
            f"no format has the suffix {suffix!r}; writable: {', '.join(WRITABLE)}"
        )
    if format == "npz":
        from mdplib.io.npz import save_npz

        save_npz(model, path)
    elif format in ("json", "jsonl"):
        from mdplib.io.json_write import write_json

        write_json(model, path, lossy=lossy)
    elif format == "umb":
        from mdplib.io.umb import write_umb

        plain, missing, notes = labelled_from(model)
        if isinstance(model, TabularMDP):
            missing = tuple(name for name in missing if name not in ("gamma", "action_labels"))
        _require_nothing(missing, format, lossy)
        write_umb(plain, path, notes=notes)
    else:
        plain, missing, _ = labelled_from(model)
        _require_nothing(missing, format, lossy)
        if format == "drn":
            from mdplib.io.drn import write_drn as write_text
        else:
            from mdplib.io.craam import write_csv as write_text
        write_text(plain, path, lossy=lossy)


def labelled_from(model: Model) -> tuple[LabelledMDP, tuple[str, ...], dict[str, Any]]:
    """Return a model without its question, what that leaves out, and notes that keep some of it.

    Parameters
    ----------
    model : TabularMDP, LabelledMDP or UndiscountedMDP
        The model. The reward of a problem is called ``reward`` and its target ``target``.

    Raises
    ------
    InvalidModelError
        If kernels or rewards change with the step.
    """
    if isinstance(model, LabelledMDP):
        return model, (), {}
    names = ("state_ptr", "indptr", "indices", "data", "action_id", "initial", "state_labels")
    fields = {name: getattr(model, name) for name in names}
    if isinstance(model, UndiscountedMDP):
        fields["rational"] = model.rational
        if model.target is not None:
            fields["labels"] = {"target": model.target}
        if model.reward is not None:
            fields["rewards"] = {"reward": model.reward}
        if model.rational_reward is not None:
            fields["rational_rewards"] = {"reward": model.rational_reward}
        return LabelledMDP(**fields), ("criterion", "objective"), {}
    if not model.stationary or model.reward.ndim == 2:
        raise InvalidModelError(
            "only npz can hold kernels or rewards that change with the step; write that"
        )
    fields["rewards"] = {"reward": model.reward}
    notes: dict[str, Any] = {"gamma": repr(model.gamma)}
    if model.action_labels is not None:
        notes["action_labels"] = list(model.action_labels)
        fields["pair_labels"] = [model.action_labels[a] for a in model.action_id.tolist()]
    missing = [
        field.name
        for field in dataclasses.fields(model)
        if field.name in ("gamma", "horizon", "terminal", "action_labels")
        and getattr(model, field.name) is not None
    ]
    return LabelledMDP(**fields), tuple(missing), notes


def _require_nothing(missing: tuple[str, ...], format: str, lossy: bool) -> None:
    if missing and not lossy:
        raise InvalidModelError(
            f"{format} would lose {', '.join(missing)} of this model. Choose another format (npz "
            "holds everything), or pass lossy=True"
        )
