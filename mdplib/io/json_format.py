"""Models as JSON: the format ``mdplib-mdp``, version 1, and its variant in lines.

One object with the keys

* ``format`` "mdplib-mdp", ``version`` 1;
* ``states``: their number, or their names; ``actions``: optional names, by number of the action;
* ``choices``: a list of ``[state, action, reward, [[successor, probability], ...]]``, with a fifth
  entry for the name of the pair if it has one. States and actions are numbers, or names of the
  lists above. The reward is a number; with the key ``rewards``, a list of names, it is a list;
* ``init``: optional object from state to probability; ``labels``: object from name to states;
* ``gamma``, ``horizon``, ``terminal``: a discounted or finite-horizon problem, with a reward;
* ``criterion``, ``objective``, ``target``: an undiscounted problem, as in `UndiscountedMDP`;
* without ``gamma`` and ``criterion``: a `LabelledMDP`.

Numbers may be strings, which are exact: ``"1/3"`` or ``"0.1"``. If a probability is, all become
exact numbers, JSON's own numbers being what their doubles are. Unknown keys are ignored.

In lines (``.jsonl``) the first line is the object without ``choices``, each other line a choice.
"""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.io.canonical import NoAction, RawModel, labelled
from mdplib.io.drn import text_of
from mdplib.io.files import readable, refusal
from mdplib.io.numbers import exact, rounded
from mdplib.io.report import Report
from mdplib.labelled import LabelledMDP
from mdplib.tabular import TabularMDP
from mdplib.undiscounted import UndiscountedMDP

FORMAT, VERSION = "mdplib-mdp", 1
Model = TabularMDP | LabelledMDP | UndiscountedMDP


def read_json(path: str | Path, *, no_action: NoAction = "error", limit_gib: float = 8.0) -> Model:
    """Read a model in the format of this module, compressed with gzip or not.

    Parameters
    ----------
    path : str or Path
        The file.
    no_action : {"error", "absorb"}
        What to do about a state without a choice.
    limit_gib : float
        Refuse files that unpack to more than this, in GiB.

    Returns
    -------
    TabularMDP, UndiscountedMDP or LabelledMDP
        As the file says.

    Raises
    ------
    InvalidModelError
        Naming the file, the place, what is wrong, and the remedy.
    OSError
        If it cannot be opened.
    """
    return load_json(path, no_action=no_action, limit_gib=limit_gib)[0]


def load_json(
    path: str | Path, *, no_action: NoAction = "error", limit_gib: float = 8.0
) -> tuple[Model, Report]:
    """Do what `read_json` does; return the report as well."""
    with readable(path, limit_gib) as file:
        text = text_of(path, file)
    try:
        content = _parsed(text)
        if content.get("format") != FORMAT:
            raise ValueError(f"format is {content.get('format')!r}; {FORMAT!r} expected")
        if content.get("version") != VERSION or isinstance(content.get("version"), bool):
            raise ValueError(f"version is {content.get('version')!r}; {VERSION} is read here")
        reading = _Reading(content)
        raw = reading.raw()
        model, report = labelled(raw, "json", path, no_action=no_action)
        return reading.posed(model), report
    except InvalidModelError as error:
        if str(error).startswith(str(path)):
            raise
        raise refusal(path, str(error), "Mend the file.") from None
    except (ValueError, RecursionError, OverflowError) as error:
        raise refusal(path, str(error), "Mend the file.") from None


def _parsed(text: str) -> dict[str, Any]:
    def refuse(name: str) -> NoReturn:
        raise ValueError(f"it holds {name}; only finite numbers are JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError(f"a key of {[k for k, _ in pairs][:9]} occurs twice")
        return found

    def load(part: str) -> Any:
        return json.loads(part, parse_constant=refuse, object_pairs_hook=once)

    first, _, rest = text.partition("\n")
    try:
        content = load(first)
        if isinstance(content, dict) and content.get("format") == FORMAT and rest.strip():
            content["choices"] = [load(line) for line in rest.splitlines() if line.strip()]
    except ValueError:
        content = load(text)
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    return content


class _Reading:
    """Turns the object of a file into arrays, naming the place of what is wrong."""

    def __init__(self, content: dict[str, Any]):
        self.content = content
        states = content.get("states")
        self.state_names = self._names("states") if isinstance(states, list) else None
        size = states if self.state_names is None else len(self.state_names)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"states is {states!r}; a number or a list of names expected")
        self.size: int = size
        self.choices = self._list(content.get("choices"), "choices")
        if self.size > 2 * len(self.choices) + 1:
            raise ValueError(f"{self.size} states and only {len(self.choices)} choices")
        self.state_number = self._numbering(self.state_names)
        self.action_names = self._names("actions") if content.get("actions") is not None else None
        self.action_number = self._numbering(self.action_names)
        self.many = content.get("rewards") is not None
        self.rewards = self._names("rewards") if self.many else ["reward"]

    def _names(self, key: str) -> list[str]:
        names = self._list(self.content.get(key), key)
        if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            raise ValueError(f"{key} are not distinct names")
        return names

    def _numbering(self, names: list[str] | None) -> dict[str, int]:
        return {name: i for i, name in enumerate(names or [])}

    def _list(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError(f"{where} is {str(value)[:40]}; a list expected")
        return value

    def _state(self, value: Any, where: str) -> int:
        s = self.state_number.get(value, value) if isinstance(value, str) else value
        if isinstance(s, bool) or not isinstance(s, int) or not 0 <= s < self.size:
            raise ValueError(f"{where}: {str(value)[:40]!r} is no state")
        return s

    def _action(self, value: Any, where: str) -> int:
        a = self.action_number.get(value, value) if isinstance(value, str) else value
        if isinstance(a, bool) or not isinstance(a, int) or not 0 <= a <= validate.INT32_LIMIT:
            raise ValueError(f"{where}: {str(value)[:40]!r} is no action")
        return a

    def _number(self, value: Any, where: str) -> float | Fraction:
        if isinstance(value, str):
            return exact(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{where}: {str(value)[:40]!r} is no number")
        return float(value)

    def raw(self) -> RawModel:
        """Return the arrays, with the choices grouped by state and sorted by action."""
        entries = []
        for i, choice in enumerate(self.choices):
            where = f"choices[{i}]"
            if len(self._list(choice, where)) not in (4, 5):
                raise ValueError(f"{where} has {len(choice)} entries; 4 or 5 expected")
            s, a = self._state(choice[0], where), self._action(choice[1], where)
            entries.append((s, a, i, choice))
        entries.sort(key=lambda entry: entry[:3])
        for (s, a, _, _), (t, b, i, _) in itertools.pairwise(entries):
            if (s, a) == (t, b):
                raise ValueError(f"choices[{i}] is another one of state {s} and action {a}")
        target: list[int] = []
        values: list[Any] = []
        indptr = [0]
        paid: list[list[Any]] = []
        for _, _, i, choice in entries:
            where = f"choices[{i}]"
            row = [self._list(pair, where) for pair in self._list(choice[3], where)]
            if any(len(pair) != 2 for pair in row):
                raise ValueError(f"{where} has a successor that is no [state, probability]")
            target += [self._state(t, where) for t, _ in row]
            values += [self._number(p, where) for _, p in row]
            indptr.append(len(target))
            given = self._list(choice[2], where) if self.many else [choice[2]]
            if len(given) != len(self.rewards):
                raise ValueError(f"{where} has {len(given)} rewards; {len(self.rewards)} expected")
            paid.append([self._number(r, where) for r in given])
        return self._raw(entries, target, values, indptr, paid)

    def _raw(
        self, entries: Any, target: list[int], values: Any, indptr: list[int], paid: Any
    ) -> RawModel:
        counts = np.bincount([s for s, *_ in entries], minlength=self.size)
        rational = _exactly(values)
        raw = RawModel(
            np.concatenate([[0], np.cumsum(counts)]),
            np.array(indptr),
            np.array(target, dtype=np.int64),
            _floats(values),
            rational,
            action_id=np.array([a for _, a, _, _ in entries]),
            state_labels=self.state_names,
        )
        for i, name in enumerate(self.rewards):
            column = [row[i] for row in paid]
            raw.rewards[name] = _floats(column)
            fractions = _exactly(column)
            if fractions is not None:
                raw.rational_rewards[name] = fractions
        names = [choice[4] if len(choice) == 5 else "" for *_, choice in entries]
        if any(len(choice) == 5 for *_, choice in entries):
            if not all(isinstance(name, str) for name in names):
                raise ValueError("a name of a choice is no string")
            raw.pair_labels = names
        self._sets(raw)
        return raw

    def _sets(self, raw: RawModel) -> None:
        labels = self.content.get("labels") or {}
        if not isinstance(labels, dict):
            raise ValueError("labels is no object from names to states")
        for name, states in labels.items():
            raw.labels[name] = self._mask(states, f"labels[{name!r}]")
        law = self.content.get("init")
        if law is not None:
            if not isinstance(law, dict):
                raise ValueError("init is no object from states to probabilities")
            raw.initial = np.zeros(self.size)
            for key, p in law.items():
                known = self.state_names is not None or not key.isdecimal()
                s = self._state(key if known else int(key[:18]), "init")
                raw.initial[s] = _float(self._number(p, "init"))

    def _mask(self, states: Any, where: str) -> np.ndarray:
        mask = np.zeros(self.size, dtype=bool)
        mask[[self._state(s, where) for s in self._list(states, where)]] = True
        return mask

    def posed(self, model: LabelledMDP) -> Model:
        """Add the question of the file, if it has one."""
        content = self.content
        if content.get("criterion") is not None:
            reward = None if content["criterion"] == "reachability" else self.rewards[0]
            target = content.get("target")
            return UndiscountedMDP(
                model.state_ptr,
                model.indptr,
                model.indices,
                model.data,
                model.action_id,
                content["criterion"],
                content.get("objective", "max"),
                None if target is None else self._mask(target, "target"),
                None if reward is None else model.rewards[reward],
                model.initial,
                model.state_labels,
                model.rational,
                None if reward is None else model.rational_rewards.get(reward),
            )
        if content.get("gamma") is None:
            return model
        terminal = content.get("terminal")
        if terminal is not None:
            terminal = _floats(
                [self._number(x, "terminal") for x in self._list(terminal, "terminal")]
            )
        return TabularMDP(
            model.state_ptr,
            model.indptr,
            model.indices,
            model.data,
            model.rewards[model.reward(None)],
            model.action_id,
            _float(self._number(content["gamma"], "gamma")),
            content.get("horizon"),
            terminal,
            model.initial,
            state_labels=model.state_labels,
            action_labels=self.action_names,  # type: ignore[arg-type]
        )


def _float(x: float | Fraction) -> float:
    return rounded(x) if isinstance(x, Fraction) else x


def _floats(values: list[Any]) -> np.ndarray:
    return np.array([_float(x) for x in values], dtype=float)


def _exactly(values: list[Any]) -> list[Fraction] | None:
    """Return all as Fractions if one of them is, else None."""
    if not any(isinstance(x, Fraction) for x in values):
        return None
    return [Fraction(x) for x in values]
