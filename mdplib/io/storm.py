"""PRISM and JANI models through the model checker Storm, and models of its Python package.

Storm is free software under the GPL, version 3, and is never imported here: `read_prism` and
`read_jani` start a process of their own that lets it build the model and writes a file, which is
read natively. `from_storm` takes a model that is already in memory, by the names of its attributes.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mdplib.errors import InvalidModelError, MissingExtraError
from mdplib.io import storm_worker
from mdplib.io.canonical import NoAction, RawModel, exact_pair_rewards, labelled, pair_rewards
from mdplib.io.drn import read_drn
from mdplib.io.numbers import exact, rounded
from mdplib.io.umb import read_umb
from mdplib.labelled import LabelledMDP

Constants = Mapping[str, int | float | bool | str]


def read_prism(
    path: str | Path,
    *,
    constants: Constants | None = None,
    properties: str | Path | None = None,
    exact: bool = False,
    python: str | Path | None = None,
    time_limit: float | None = None,
) -> LabelledMDP:
    """Build the reachable states of a PRISM program.

    Parameters
    ----------
    path : str or Path
        The program.
    constants : mapping, optional
        Values of constants the program leaves open.
    properties : str or Path, optional
        Properties, as text or file; the sets of states they name become labels.
    exact : bool
        Keep probabilities and rewards as fractions; names of choices are not kept then.
    python : str or Path, optional
        An interpreter that has stormpy, if not the running one.
    time_limit : float, optional
        Stop Storm after this many seconds.

    Returns
    -------
    LabelledMDP

    Raises
    ------
    MissingExtraError
        If stormpy is not installed.
    InvalidModelError
        If Storm refuses the program, with its reason, or takes too long.
    OSError
        If the file cannot be opened.
    """
    text = None if properties is None else str(properties)
    return _built("prism", path, constants, text, exact, python, time_limit)


def read_jani(
    path: str | Path,
    *,
    constants: Constants | None = None,
    exact: bool = False,
    python: str | Path | None = None,
    time_limit: float | None = None,
) -> LabelledMDP:
    """Build the reachable states of a JANI model.

    The sets of states that the properties of the file name become labels.

    Parameters
    ----------
    path, constants, exact, python, time_limit
        As for `read_prism`.

    Returns
    -------
    LabelledMDP

    Raises
    ------
    MissingExtraError, InvalidModelError, OSError
        As for `read_prism`.
    """
    return _built("jani", path, constants, None, exact, python, time_limit)


def _built(
    language: Literal["prism", "jani"],
    path: str | Path,
    constants: Constants | None,
    properties: str | None,
    exact: bool,
    python: str | Path | None,
    time_limit: float | None,
) -> LabelledMDP:
    with Path(path).open("rb"):
        pass  # a missing file is reported as such
    if python is None and importlib.util.find_spec("stormpy") is None:
        raise MissingExtraError("storm", "stormpy")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "model")
        task = {
            "language": language,
            "source": str(Path(path).resolve()),
            "constants": dict(constants or {}),
            "properties": properties,
            "exact": exact,
            "target": str(target),
        }
        try:
            done = subprocess.run(
                [str(python or sys.executable), storm_worker.__file__],
                input=json.dumps(task),
                capture_output=True,
                text=True,
                timeout=time_limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InvalidModelError(
                f"{path} cannot be used: Storm needs more than {time_limit:g} seconds to build it. "
                "Raise time_limit, or choose smaller constants"
            ) from None
        if done.returncode == storm_worker.MISSING:
            raise MissingExtraError("storm", "stormpy")
        if done.returncode:
            reason = done.stderr.strip() or f"it ended with code {done.returncode}"
            raise InvalidModelError(f"{path} cannot be used: Storm refuses it ({reason[-600:]})")
        return read_drn(target) if exact else read_umb(target)


# --------------------------------------------------------------- models in memory


def from_storm(model: Any, *, no_action: NoAction = "error") -> LabelledMDP:
    """Convert a sparse model of stormpy, whose numbers are floats or exact.

    Parameters
    ----------
    model : object
        Has ``nr_states``, ``transition_matrix``, ``labeling``, ``initial_states``,
        ``reward_models`` and, unless it is a chain, ``nondeterministic_choice_indices``. Each may
        be an attribute or a method, as may the ``column`` and ``value`` of an entry.
    no_action : {"error", "absorb"}
        What to do about a state without a choice.

    Returns
    -------
    LabelledMDP
        Exact numbers are kept as such.

    Raises
    ------
    InvalidModelError
        If it is not a Markov decision process or chain in discrete time.
    """
    kind = str(_get(model, "model_type", "MDP")).rsplit(".", 1)[-1].upper()
    if kind not in ("MDP", "DTMC"):
        raise InvalidModelError(f"the model is of type {kind}; MDP or DTMC expected")
    S = int(_get(model, "nr_states"))
    matrix = _get(model, "transition_matrix")
    K = int(_get(matrix, "nr_rows"))
    groups = _get(model, "nondeterministic_choice_indices", None)
    state_ptr = list(range(S + 1)) if groups is None else [int(k) for k in groups]
    indptr, target, values = [0], [], []
    for k in range(K):
        for entry in matrix.get_row(k):
            target.append(int(_get(entry, "column")))
            values.append(_number(_get(entry, "value")))
        indptr.append(len(target))
    fractions = any(isinstance(x, Fraction) for x in values)
    raw = RawModel(
        np.array(state_ptr),
        np.array(indptr),
        np.array(target, dtype=np.int64),
        _floats(values),
        [Fraction(x) for x in values] if fractions else None,
    )
    _names(model, raw, S, K)
    for name, reward in _get(model, "reward_models", {}).items():
        _reward(raw, name or "default", reward, matrix)
    return labelled(raw, "storm", "the model of Storm", no_action=no_action)[0]


def _names(model: Any, raw: RawModel, S: int, K: int) -> None:
    """Take over labels, initial states and names of choices."""
    labeling = _get(model, "labeling")
    for name in sorted(_get(labeling, "get_labels")):
        raw.labels[name] = np.zeros(S, dtype=bool)
    for s in range(S):
        for name in labeling.get_labels_of_state(s):
            raw.labels[name][s] = True
    initial = [int(s) for s in _get(model, "initial_states", ())]
    if initial:
        raw.initial = np.zeros(S)
        raw.initial[initial] = 1 / len(initial)
    has = _get(model, "has_choice_labeling", False)
    if has:
        choices = _get(model, "choice_labeling")
        named = [sorted(choices.get_labels_of_choice(k)) for k in range(K)]
        raw.pair_labels = [",".join(names) for names in named]


def _reward(raw: RawModel, name: str, reward: Any, matrix: Any) -> None:
    parts: dict[str, list[Any] | None] = {"states": None, "choices": None, "branches": None}
    if _get(reward, "has_state_rewards", False):
        parts["states"] = [_number(x) for x in _get(reward, "state_rewards")]
    if _get(reward, "has_state_action_rewards", False):
        parts["choices"] = [_number(x) for x in _get(reward, "state_action_rewards")]
    if _get(reward, "has_transition_rewards", False):
        rows = _get(reward, "transition_rewards")
        parts["branches"] = _branch_rewards(raw, rows)
    given = [values for values in parts.values() if values is not None]
    if raw.rational is not None and all(isinstance(x, Fraction) for v in given for x in v):
        raw.rational_rewards[name] = exact_pair_rewards(raw, name, parts)
        raw.rewards[name] = _floats(raw.rational_rewards[name])
    else:
        arrays = [None if values is None else _floats(values) for values in parts.values()]
        raw.rewards[name] = pair_rewards(raw, name, *arrays)


def _branch_rewards(raw: RawModel, rows: Any) -> list[Any]:
    """Return the reward of each transition from a matrix that may leave zeros out."""
    result: list[Any] = [Fraction(0) if raw.rational is not None else 0.0] * raw.indices.size
    for k in range(raw.indptr.size - 1):
        place = {int(raw.indices[j]): j for j in range(raw.indptr[k], raw.indptr[k + 1])}
        for entry in rows.get_row(k):
            column = int(_get(entry, "column"))
            if column in place:
                result[place[column]] = _number(_get(entry, "value"))
    return result


def _get(thing: Any, name: str, *default: Any) -> Any:
    """Return an attribute, or the result of a method, of that name."""
    found = getattr(thing, name, *default)
    return found() if callable(found) else found


def _number(x: Any) -> float | Fraction:
    return float(x) if isinstance(x, int | float) else exact(str(x))


def _floats(values: list[Any]) -> np.ndarray:
    return np.array([rounded(x) if isinstance(x, Fraction) else x for x in values], dtype=float)
