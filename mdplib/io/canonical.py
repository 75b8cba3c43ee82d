"""From the arrays of a file to a `LabelledMDP` and a report: one set of rules for all formats.

1. Probabilities are finite and at least 0; successors exist; every choice has a successor.
2. A state without a choice is an error, or gets a self-loop that pays nothing (`no_action`).
3. Explicit zeros are dropped, successors listed twice merged, rows sorted.
4. A row whose sum is off by more than 1e-6 is an error. A row that is off by more than rounding
   explains is divided by its sum, and counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.io.report import Report
from mdplib.labelled import LabelledMDP

MOST_RENORMALISED = 1e-6
NoAction = Literal["error", "absorb"]


@dataclass
class RawModel:
    """What a reader collects; `labelled` turns it into a model.

    Parameters
    ----------
    state_ptr, indptr, indices, data
        As in `LabelledMDP`, but rows may be unsorted, with zeros and duplicates, and pointers of
        any integer type; states may have no choice.
    rational : list of Fraction, optional
        Exact probabilities; `data` are their roundings then.
    rewards : dict of str to (K,) float64
        By pair.
    rational_rewards : dict of str to list of Fraction
        Exact rewards.
    labels : dict of str to (S,) bool
        Sets of states.
    action_id, pair_labels, state_labels, initial
        As in `LabelledMDP`; without `action_id` the pairs of a state are numbered from 0.
    infeasible : int
        Pairs the reader left out because their reward is ``-inf``.
    warnings : list of str
        For the report.
    """

    state_ptr: NDArray[Any]
    indptr: NDArray[Any]
    indices: NDArray[Any]
    data: NDArray[np.float64]
    rational: list[Fraction] | None = None
    rewards: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    rational_rewards: dict[str, list[Fraction]] = field(default_factory=dict)
    labels: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    action_id: NDArray[Any] | None = None
    pair_labels: list[str] | None = None
    state_labels: list[str] | None = None
    initial: NDArray[np.float64] | None = None
    infeasible: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.state_ptr.size - 1

    def pair_state(self) -> NDArray[np.int64]:
        """State of each pair."""
        return np.repeat(np.arange(self.n_states), np.diff(self.state_ptr))

    def pair_name(self, k: int) -> str:
        """Say which state and action the pair k is."""
        s = int(np.searchsorted(self.state_ptr, k, side="right")) - 1
        return f"s={s}, a={k - int(self.state_ptr[s])}"

    def row_of(self, j: int) -> str:
        """Say which pair the transition j belongs to."""
        return self.pair_name(int(np.searchsorted(self.indptr, j, side="right")) - 1)


def labelled(
    raw: RawModel,
    format: str,
    path: str | Path,
    *,
    no_action: NoAction = "error",
    verbatim: bool = False,
) -> tuple[LabelledMDP, Report]:
    """Apply the rules of this module.

    Parameters
    ----------
    raw : RawModel
        What the file says; changed in place.
    format : str
        For the report.
    path : str or Path
        For the messages.
    no_action : {"error", "absorb"}
        What to do about a state without a choice.
    verbatim : bool
        Keep zeros and row sums as they are, for files that mdplib wrote.

    Raises
    ------
    InvalidModelError
        Naming the file, the first offence and the remedy.
    """
    if no_action not in ("error", "absorb"):
        raise InvalidModelError(f"no_action is {no_action!r}; 'error' or 'absorb' expected")
    try:
        _check(raw)
        deadlocks = _absorb(raw, no_action)
        zeros = 0 if verbatim else _drop_zeros(raw)
        merged = _merge(raw)
        worst, where, renormalised = _renormalise(raw, verbatim)
        if raw.action_id is None:
            starts = np.repeat(raw.state_ptr[:-1], np.diff(raw.state_ptr))
            raw.action_id = np.arange(starts.size) - starts
        model = LabelledMDP(
            raw.state_ptr,
            raw.indptr,
            raw.indices,
            raw.data,
            raw.action_id,
            raw.rewards,
            raw.labels,
            raw.initial,
            raw.state_labels,  # type: ignore[arg-type]
            raw.pair_labels,  # type: ignore[arg-type]
            raw.rational,  # type: ignore[arg-type]
            raw.rational_rewards,  # type: ignore[arg-type]
        )
    except InvalidModelError as error:
        raise InvalidModelError(f"{path} cannot be used: {error}") from None
    return model, Report(
        format,
        worst,
        where,
        renormalised,
        merged,
        zeros,
        raw.infeasible,
        absorbing=count_absorbing(model),
        deadlocks=deadlocks,
        warnings=tuple(raw.warnings),
    )


def count_absorbing(model: Any) -> int:
    """Count the states whose only pair is a self-loop."""
    first = model.state_ptr[:-1]
    single = np.flatnonzero(np.diff(model.state_ptr) == 1)
    single = single[np.diff(model.indptr)[first[single]] == 1]
    return int(np.count_nonzero(model.indices[model.indptr[first[single]]] == single))


def _check(raw: RawModel) -> None:
    S = raw.n_states
    validate.pointers(raw.indptr, raw.indices.size, "indptr", "indices")
    validate.pointers(raw.state_ptr, raw.indptr.size - 1, "state_ptr", "the pairs")
    validate.require(
        np.diff(raw.indptr) > 0,
        lambda k: f"P[{raw.pair_name(k)}, :] has no successor",
        "Every row must sum to one.",
        unit="rows",
    )
    validate.require(
        (raw.indices >= 0) & (raw.indices < S),
        lambda j: f"P[{raw.row_of(j)}, :] has successor {raw.indices[j]} outside 0..{S - 1}",
        "Number the states from 0.",
        unit="transitions",
    )
    validate.require(
        np.isfinite(raw.data) & (raw.data >= 0) & _not_negative(raw.rational),
        lambda j: f"P[{raw.row_of(j)}, t={raw.indices[j]}] is {raw.data[j]}",
        "Probabilities are finite and at least 0.",
        unit="transitions",
    )


def _not_negative(rational: list[Fraction] | None) -> Any:
    return True if rational is None else np.array([p >= 0 for p in rational], dtype=bool)


def _absorb(raw: RawModel, no_action: NoAction) -> int:
    """Give every state without a choice a self-loop that pays nothing."""
    empty = np.diff(raw.state_ptr) == 0
    if no_action == "error":
        validate.require(
            ~empty,
            lambda s: f"state {s} has no action",
            "Give it one, or read with no_action='absorb' for a self-loop with reward 0.",
            unit="states",
        )
    states = np.flatnonzero(empty)
    if not states.size:
        return 0
    pairs = raw.state_ptr[states]  # the new pair comes before this one
    places = raw.indptr[pairs]
    raw.indices = np.insert(raw.indices, places, states)
    raw.data = np.insert(raw.data, places, 1.0)
    lengths = np.insert(np.diff(raw.indptr), pairs, 1)
    raw.indptr = np.concatenate([[0], np.cumsum(lengths)])
    raw.state_ptr = raw.state_ptr + np.concatenate([[0], np.cumsum(empty)])
    raw.rewards = {name: np.insert(r, pairs, 0.0) for name, r in raw.rewards.items()}
    if raw.action_id is not None:
        raw.action_id = np.insert(raw.action_id, pairs, 0)

    def filled(values: Any, at: NDArray[Any], value: Any) -> list[Any]:
        return np.insert(np.array(values, dtype=object), at, value).tolist()

    if raw.pair_labels is not None:
        raw.pair_labels = filled(raw.pair_labels, pairs, "")
    if raw.rational is not None:
        raw.rational = filled(raw.rational, places, Fraction(1))
    exact = raw.rational_rewards.items()
    raw.rational_rewards = {name: filled(r, pairs, Fraction(0)) for name, r in exact}
    raw.labels["deadlock"] = raw.labels.get("deadlock", np.zeros(raw.n_states, dtype=bool)) | empty
    return states.size


def _drop_zeros(raw: RawModel) -> int:
    zero = raw.data == 0 if raw.rational is None else np.array([p == 0 for p in raw.rational])
    count = int(np.count_nonzero(zero))
    if count:
        kept = np.add.reduceat(~zero, raw.indptr[:-1], dtype=np.int64)
        validate.require(
            kept > 0,
            lambda k: f"P[{raw.pair_name(k)}, :] sums to 0",
            "Every row must sum to one.",
            unit="rows",
        )
        raw.indptr = np.concatenate([[0], np.cumsum(kept)])
        raw.indices, raw.data = raw.indices[~zero], raw.data[~zero]
        if raw.rational is not None:
            raw.rational = [p for p in raw.rational if p != 0]
    return count


def _merge(raw: RawModel) -> int:
    """Sort the successors of every pair and add up those listed twice."""
    first = np.zeros(raw.indices.size, dtype=bool)
    first[raw.indptr[:-1]] = True
    indices = raw.indices.astype(np.int64)
    if np.all(first | (np.diff(indices, prepend=0) > 0)):
        return 0
    row = np.repeat(np.arange(raw.indptr.size - 1), np.diff(raw.indptr))
    order = np.lexsort((indices, row))
    row, indices, data = row[order], indices[order], raw.data[order]
    new = np.ones(indices.size, dtype=bool)
    new[1:] = (np.diff(row) != 0) | (np.diff(indices) != 0)
    starts = np.flatnonzero(new)
    raw.indices, raw.data = indices[starts], np.add.reduceat(data, starts)
    counts = np.bincount(row[starts], minlength=raw.indptr.size - 1)
    raw.indptr = np.concatenate([[0], np.cumsum(counts)])
    if raw.rational is not None:
        exact = [raw.rational[j] for j in order.tolist()]
        ends = [*starts[1:].tolist(), len(exact)]
        pieces = zip(starts.tolist(), ends, strict=True)
        raw.rational = [sum(exact[i:j], Fraction(0)) for i, j in pieces]
        raw.data = np.array([float(p) for p in raw.rational])
    return int(order.size - starts.size)


def _renormalise(raw: RawModel, verbatim: bool) -> tuple[float, str, int]:
    """Divide rows by their sums where those are off by more than rounding explains."""
    starts = raw.indptr[:-1]
    if raw.rational is not None:
        return _renormalise_exactly(raw, verbatim)
    with np.errstate(over="ignore"):
        total = np.add.reduceat(raw.data, starts)
    off = np.abs(total - 1)
    k = int(np.argmax(off))
    worst, where = float(off[k]), raw.pair_name(k) if off[k] else ""
    if worst > MOST_RENORMALISED and not verbatim:
        raise _row_error(float(total[k]), where, off)
    rounding = (int(np.diff(raw.indptr).max()) + 2) * 2.0**-52
    wrong = off > rounding
    if verbatim or not wrong.any():
        return worst, where, 0
    raw.data = raw.data / np.repeat(np.where(wrong, total, 1.0), np.diff(raw.indptr))
    return worst, where, int(np.count_nonzero(wrong))


def _renormalise_exactly(raw: RawModel, verbatim: bool) -> tuple[float, str, int]:
    exact = raw.rational or []
    ends = raw.indptr.tolist()
    total = [sum(exact[i:j], Fraction(0)) for i, j in itertools.pairwise(ends)]
    off = [abs(x - 1) for x in total]
    k = max(range(len(off)), key=off.__getitem__)
    worst, where = float(off[k]), raw.pair_name(k) if off[k] else ""
    if worst > MOST_RENORMALISED:
        raise _row_error(float(total[k]), where, np.array([float(x) for x in off]))
    if verbatim or not worst:
        return worst, where, 0
    lengths = np.diff(raw.indptr).tolist()
    divisor = [x for x, n in zip(total, lengths, strict=True) for _ in range(n)]
    raw.rational = [p / x for p, x in zip(exact, divisor, strict=True)]
    raw.data = np.array([float(p) for p in raw.rational])
    return worst, where, sum(x != 0 for x in off)


def _row_error(total: float, where: str, off: NDArray[np.float64]) -> InvalidModelError:
    count = np.count_nonzero(off > MOST_RENORMALISED)
    return InvalidModelError(
        f"P[{where}, :] sums to {total:.12g} (at most {MOST_RENORMALISED:g} from one is mended). "
        f"{count} of {off.size} rows are off, this one most. Mend the file."
    )


def pair_rewards(
    raw: RawModel,
    name: str,
    state: NDArray[np.float64] | None,
    choice: NDArray[np.float64] | None,
    branch: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Add up rewards of states, choices and branches to one per pair, branches by probability.

    Call it before `labelled`, which may change the rows. The reward of a state without a choice is
    dropped, as Storm does, with a warning.
    """
    result = np.zeros(raw.indptr.size - 1)
    if state is not None:
        _warn_dropped(raw, name, state != 0)
        result += state[raw.pair_state()]
    if choice is not None:
        result = choice if state is None else result + choice
    if branch is not None:
        with np.errstate(invalid="ignore", over="ignore"):
            result = result + np.add.reduceat(raw.data * branch, raw.indptr[:-1])
    return result


def exact_pair_rewards(
    raw: RawModel,
    name: str,
    parts: Mapping[str, list[Fraction] | None],
) -> list[Fraction]:
    """Do what `pair_rewards` does with exact numbers; keys "states", "choices", "branches"."""
    result = list(parts.get("choices") or [Fraction(0)] * (raw.indptr.size - 1))
    states, branches = parts.get("states"), parts.get("branches")
    if states is not None:
        _warn_dropped(raw, name, np.array([x != 0 for x in states]))
        result = [r + states[s] for r, s in zip(result, raw.pair_state().tolist(), strict=True)]
    if branches is not None:
        p = raw.rational or [Fraction(x) for x in raw.data.tolist()]
        ends = raw.indptr.tolist()
        for k, (i, j) in enumerate(itertools.pairwise(ends)):
            result[k] += sum((p[n] * branches[n] for n in range(i, j)), Fraction(0))
    return result


def _warn_dropped(raw: RawModel, name: str, paid: NDArray[np.bool_]) -> None:
    """Say which rewards are lost because their state has no choice to pay them."""
    lost = np.flatnonzero(paid & (np.diff(raw.state_ptr) == 0))
    if lost.size:
        raw.warnings.append(
            f"reward {name!r} of state {lost[0]} and {lost.size - 1} others is dropped: they have "
            "no choice (Storm does the same)"
        )
