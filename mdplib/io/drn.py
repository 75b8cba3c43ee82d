"""The text format DRN of the model checker Storm, with decimal or exact numbers.

Storm prints ten significant digits by default, so the rows of a file miss one by about 1e-11.
Such rows are divided by their sums, which the report counts; a row off by more than 1e-6 is an
error. With ``@value_type: rational`` the numbers are read as fractions and kept as such.

A reward of a state counts in each of its choices. The reward model without a name is called
``default``. Names ``0, 1, ...`` of choices are taken for their numbers, ``__NOLABEL__`` for none.
Refused: parameters, observations, exit rates (continuous time).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mdplib.errors import InvalidModelError
from mdplib.io.canonical import NoAction, RawModel, exact_pair_rewards, labelled, pair_rewards
from mdplib.io.files import readable, refusal, replacing
from mdplib.io.numbers import exact, rounded, spelled
from mdplib.io.report import Report, lost
from mdplib.labelled import LabelledMDP

_TYPES = ("MDP", "DTMC")
_TOKEN = re.compile(r'"[^"]*"|\S+')
_STATE = re.compile(r"state\s+(\d{1,18})\s*([!{]\S*)?\s*(?:\[([^\]]*)\])?(.*)")
_ACTION = re.compile(r"\s+action\s+(\S+)\s*(?:\[([^\]]*)\])?\s*")
_BRANCH = re.compile(r"\s+(\d{1,18})\s*:\s*(\S+)\s*")
_NO_LABEL = "__NOLABEL__"


def read_drn(
    path: str | Path, *, no_action: NoAction = "error", limit_gib: float = 8.0
) -> LabelledMDP:
    """Read a model in the DRN format, compressed with gzip or not.

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
    LabelledMDP

    Raises
    ------
    InvalidModelError
        Naming the file, the line, what is wrong, and the remedy.
    OSError
        If it cannot be opened.
    """
    return load_drn(path, no_action=no_action, limit_gib=limit_gib)[0]


def load_drn(
    path: str | Path, *, no_action: NoAction = "error", limit_gib: float = 8.0
) -> tuple[LabelledMDP, Report]:
    """Do what `read_drn` does; return the report as well."""
    with readable(path, limit_gib) as file:
        text = text_of(path, file)
    lines = iter(enumerate(text.splitlines(), 1))
    number = 0
    try:
        head = _header(lines)
        body = _Body(head)
        for number, line in lines:  # noqa: B007 - the messages below name it
            if line.strip() and not line.lstrip().startswith("//"):
                body.take(line)
        raw = body.finish()
    except _Wrong as error:
        raise refusal(path, f"line {error.line or number}: {error}", "Mend the file.") from None
    except ValueError as error:
        raise refusal(path, f"line {number}: {error}", "Mend the file.") from None
    return labelled(raw, "drn", path, no_action=no_action)


def text_of(path: str | Path, file: Any) -> str:
    """Return the whole text of an opened file."""
    blocks = []
    while block := file.read(2**22):
        blocks.append(block)
    try:
        return b"".join(blocks).decode()
    except UnicodeDecodeError as error:
        raise refusal(path, f"it is no text in UTF-8 ({error})") from None


class _Wrong(Exception):
    def __init__(self, reason: str, line: int = 0):
        super().__init__(reason)
        self.line = line


@dataclass
class _Head:
    states: int = -1
    rewards: str = ""
    rational: bool = False


def _header(lines: Iterator[tuple[int, str]]) -> _Head:
    head = _Head()
    for number, line in lines:
        word, _, value = line.partition(":")
        word, value = word.strip(), value.strip()
        if not word or word.startswith("//"):
            continue
        if not word.startswith("@"):
            raise _Wrong(f"{line[:40]!r} before @model; a key starting with @ expected", number)
        if word == "@model":
            if head.states < 0:
                raise _Wrong("@nr_states is missing", number)
            return head
        if word == "@type" and value.upper() not in _TYPES:
            raise _Wrong(f"a model of type {value!r}; {' or '.join(_TYPES)} expected", number)
        if word == "@value_type":
            if value not in ("double", "rational"):
                raise _Wrong(f"numbers of type {value!r}; double or rational expected", number)
            head.rational = value == "rational"
        if word in ("@parameters", "@reward_models", "@nr_states", "@nr_choices"):
            following = next(lines, (number, ""))[1]
            if word == "@parameters" and following.strip():
                raise _Wrong(f"parameters {following.strip()[:40]!r}; give them values", number)
            if word == "@reward_models":
                head.rewards = following
            if word == "@nr_states":
                if not re.fullmatch(r"\s*\d{1,18}\s*", following):
                    raise _Wrong(f"@nr_states is {following.strip()[:40]!r}", number)
                head.states = int(following)
    raise _Wrong("there is no @model", 1)


def _names(line: str, count: int) -> list[str]:
    """Split the names of the reward models; one of them may be empty."""
    exactly = line.removesuffix(" ").split(" ") if line else []
    names = exactly if len(exactly) == count else line.split()
    if len(names) != count or len(set(names)) != count:
        raise _Wrong(f"@reward_models lists {line.split()} but there are {count} rewards")
    return [name or "default" for name in names]


@dataclass
class _Body:
    """The states, choices and transitions read so far."""

    head: _Head
    state_ptr: list[int] = field(default_factory=list)
    indptr: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    rewards: list[list[Any]] = field(default_factory=list)
    state_rewards: list[list[Any]] = field(default_factory=list)
    labels: dict[str, list[int]] = field(default_factory=dict)
    count: int | None = None

    def take(self, line: str) -> None:
        """Read one line."""
        if found := _BRANCH.fullmatch(line):
            if len(self.indptr) == (self.state_ptr or [0])[-1]:
                if not self.state_ptr:
                    raise _Wrong("a transition before the first state")
                self._choice("0", [])
            self.target.append(int(found[1]))
            self.values.append(self._number(found[2]))
        elif found := _ACTION.fullmatch(line):
            if not self.state_ptr:
                raise _Wrong("an action before the first state")
            self._choice(found[1], self._vector(found[2]))
        elif found := _STATE.fullmatch(line):
            self._state(found)
        else:
            raise _Wrong(f"{line.strip()[:40]!r} is no state, action or transition")

    def _state(self, found: re.Match[str]) -> None:
        state = len(self.state_ptr)
        if int(found[1]) != state:
            raise _Wrong(f"state {found[1]} where state {state} is expected")
        if found[2]:
            kind = "exit rates" if found[2].startswith("!") else "observations"
            raise _Wrong(f"{kind} are not read; only fully observed models in discrete time")
        self.state_ptr.append(len(self.indptr))
        self.state_rewards.append(self._vector(found[3]))
        for name in _TOKEN.findall(found[4]):
            self.labels.setdefault(name.strip('"'), []).append(state)

    def _choice(self, name: str, rewards: list[Any]) -> None:
        self.indptr.append(len(self.target))
        self.actions.append(name)
        self.rewards.append(rewards)

    def _vector(self, text: str | None) -> list[Any]:
        values = [self._number(word.strip()) for word in text.split(",")] if text else []
        if values and self.count is None:
            self.count = len(values)
        if values and len(values) != self.count:
            raise _Wrong(f"{len(values)} rewards where {self.count} are expected")
        return values

    def _number(self, text: str) -> Any:
        return exact(text) if self.head.rational else float(text)

    def finish(self) -> RawModel:
        """Return what was read."""
        S, count = len(self.state_ptr), self.count or 0
        if self.head.states != S or not S:
            raise _Wrong(f"it has {S} states and @nr_states is {self.head.states}")
        names = _names(self.head.rewards, count) if count else []
        ptr = np.array([*self.state_ptr, len(self.indptr)])
        raw = RawModel(
            ptr,
            np.array([*self.indptr, len(self.target)]),
            np.array(self.target, dtype=np.int64),
            _floats(self.values),
            self.values if self.head.rational else None,
        )
        for i, name in enumerate(names):
            states: list[Any]
            choices: list[Any]
            states, choices = (
                [row[i] if row else Fraction(0) if self.head.rational else 0.0 for row in rows]
                for rows in (self.state_rewards, self.rewards)
            )
            if self.head.rational:
                exactly = exact_pair_rewards(raw, name, {"states": states, "choices": choices})
                raw.rational_rewards[name] = exactly
                raw.rewards[name] = _floats(exactly)
            else:
                raw.rewards[name] = pair_rewards(raw, name, _floats(states), _floats(choices), None)
        for name, states in self.labels.items():
            raw.labels[name] = np.zeros(S, dtype=bool)
            raw.labels[name][states] = True
        if "init" in raw.labels:
            raw.initial = raw.labels["init"] / len(self.labels["init"])
        starts = np.repeat(ptr[:-1], np.diff(ptr))
        numbers = np.arange(starts.size) - starts
        if any(name != str(i) for name, i in zip(self.actions, numbers.tolist(), strict=True)):
            raw.pair_labels = ["" if name == _NO_LABEL else name for name in self.actions]
        return raw


def _floats(values: list[Any]) -> np.ndarray:
    return np.array([rounded(x) if isinstance(x, Fraction) else x for x in values], dtype=float)


# ------------------------------------------------------------------------ writing


def write_drn(model: LabelledMDP, path: str | Path, *, lossy: bool = False) -> None:
    """Write a model in the DRN format, atomically.

    Doubles are written with all their digits. With exact probabilities the value type is rational.

    Parameters
    ----------
    model : LabelledMDP
        The model.
    path : str or Path
        File to write, under exactly this name.
    lossy : bool
        Write also what the format cannot hold in full.

    Raises
    ------
    InvalidModelError
        Naming what would be lost, such as names of states.
    OSError
        If the disk is full or the folder cannot be written; a file that was there is untouched.
    """
    text = "\n".join(_text(model)) + "\n"
    with replacing(Path(path)) as file:
        file.write(text.encode("utf-8", "surrogatepass"))
        file.flush()
        if not lossy:
            try:
                again = read_drn(file.name)
            except InvalidModelError as error:
                raise InvalidModelError(f"drn cannot hold this model: {error}") from None
            lost(model, again, "drn")


def _text(model: LabelledMDP) -> Iterator[str]:
    rational = model.rational is not None
    names = list(model.rewards)
    yield "// Exported by mdplib"
    yield "@type: " + ("DTMC" if model.n_pairs == model.n_states else "MDP")
    yield "@value_type: " + ("rational" if rational else "double")
    yield "@parameters"
    yield ""
    yield "@reward_models"
    yield "".join(f"{name} " for name in names)
    yield from ("@nr_states", str(model.n_states), "@nr_choices", str(model.n_pairs), "@model")
    probabilities: Any = model.rational if rational else model.data.tolist()
    rewards: list[Any] = [
        model.rational_rewards.get(name) or [Fraction(x) for x in model.rewards[name].tolist()]
        if rational
        else model.rewards[name].tolist()
        for name in names
    ]
    shown: Any = spelled if rational else repr
    sets = dict(model.labels)
    if model.initial is not None:
        sets.setdefault("init", model.initial > 0)
    labels = {name: f'"{name}"' if re.search(r"\s|^$", name) else name for name in sorted(sets)}
    for s in range(model.n_states):
        marks = "".join(f" {word}" for name, word in labels.items() if sets[name][s])
        yield f"state {s}{marks}"
        for a, k in enumerate(range(model.state_ptr[s], model.state_ptr[s + 1])):
            name = str(a) if model.pair_labels is None else model.pair_labels[k] or _NO_LABEL
            paid = f" [{', '.join(shown(r[k]) for r in rewards)}]" if rewards else ""
            yield f"\taction {name}{paid}"
            for j in range(model.indptr[k], model.indptr[k + 1]):
                yield f"\t\t{model.indices[j]} : {shown(probabilities[j])}"
