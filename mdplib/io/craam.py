"""Transition tables as comma-separated values, in the layout of craam.

The first line is ``idstatefrom,idaction,idstateto,probability,reward``; each further line is a
transition. Identifiers count from 0. Rewards of transitions are averaged over the successor. The
layout has no discount factor, no initial law and no names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.io.canonical import NoAction, RawModel, labelled
from mdplib.io.drn import text_of
from mdplib.io.files import readable, refusal, replacing
from mdplib.io.report import Report, lost
from mdplib.labelled import LabelledMDP

COLUMNS = ("idstatefrom", "idaction", "idstateto", "probability", "reward")
REWARD = "reward"


def read_csv(
    path: str | Path, *, no_action: NoAction = "error", limit_gib: float = 8.0
) -> LabelledMDP:
    r"""Read a table of transitions; its rewards are called ``reward``.

    Parameters
    ----------
    path : str or Path
        The file; columns may come in any order.
    no_action : {"error", "absorb"}
        What to do about a state that only appears as a successor.
    limit_gib : float
        Refuse files that are larger than this, in GiB.

    Returns
    -------
    LabelledMDP

    Raises
    ------
    InvalidModelError
        Naming the file, what is wrong with it, and the remedy.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> table = "idstatefrom,idaction,idstateto,probability,reward\n0,0,0,0.5,1\n0,0,0,0.5,3\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "loop.csv").write_text(table)
    ...     read_csv(Path(folder, "loop.csv")).discounted(0.5).reward
    array([2.])
    """
    return load_csv(path, no_action=no_action, limit_gib=limit_gib)[0]


def load_csv(
    path: str | Path, *, no_action: NoAction = "error", limit_gib: float = 8.0
) -> tuple[LabelledMDP, Report]:
    """Do what `read_csv` does; return the report as well."""
    with readable(path, limit_gib) as file:
        lines = [line for line in text_of(path, file).splitlines() if line.strip()]
    names = [name.strip().strip('"') for name in lines[0].split(",")] if lines else []
    if sorted(names) != sorted(COLUMNS):
        raise refusal(
            path,
            f"its columns are {','.join(names)[:80]!r}",
            f"Columns {','.join(COLUMNS)} expected; robust tables with outcomes are not read.",
        )
    if len(lines) < 2:
        raise refusal(path, "it has no transition")
    table = _table(path, lines[1:], len(names))
    state, action, target, p, r = (table[:, names.index(name)] for name in COLUMNS)
    raw = from_transitions(path, state, action, target, p, r)
    return labelled(raw, "csv", path, no_action=no_action)


def _table(path: str | Path, lines: list[str], columns: int) -> NDArray[np.float64]:
    try:
        table = np.loadtxt(lines, delimiter=",", ndmin=2)
    except ValueError as error:
        raise refusal(path, f"a line after the first is no row of numbers ({error})") from None
    if table.shape[1] != columns:
        raise refusal(path, f"its rows have {table.shape[1]} entries; {columns} expected")
    return table


def from_transitions(
    path: str | Path,
    state: NDArray[np.float64],
    action: NDArray[np.float64],
    target: NDArray[np.float64],
    p: NDArray[np.float64],
    r: NDArray[np.float64] | None,
) -> RawModel:
    """Group transitions in any order by state and action.

    Parameters
    ----------
    path : str or Path
        For the messages.
    state, action, target : (n,) arrays
        Whole numbers from 0.
    p : (n,) array
        Probabilities.
    r : (n,) array, optional
        Rewards of transitions.
    """
    for name, ids in (("state", state), ("action", action), ("successor", target)):
        good = (ids >= 0) & (ids < 2**31 - 1) & (ids == np.floor(ids))
        if not good.all():
            i = int(np.argmin(good))
            raise refusal(path, f"row {i + 1} has {name} {ids[i]:g}; numbers from 0 expected")
    S = int(max(state.max(), target.max())) + 1
    if 2 * state.size < S:
        raise refusal(path, f"its states go up to {S - 1} and it has {state.size} transitions")
    good = np.isfinite(p) & (p >= 0)
    if not good.all():
        i = int(np.argmin(good))
        raise refusal(path, f"row {i + 1} has probability {p[i]}")
    infeasible = 0
    if r is not None:
        keep, infeasible = _feasible(state, action, p, r)
        if not keep.any():
            raise refusal(path, "every action has reward -inf")
        state, action, target, p, r = (x[keep] for x in (state, action, target, p, r))
    order = np.lexsort((target, action, state))
    s, a, t = (ids[order].astype(np.int64) for ids in (state, action, target))
    new = np.ones(s.size, dtype=bool)
    new[1:] = (np.diff(s) != 0) | (np.diff(a) != 0)
    starts = np.flatnonzero(new)
    counts = np.bincount(s[starts], minlength=S)
    raw = RawModel(
        np.concatenate([[0], np.cumsum(counts)]),
        np.append(starts, s.size),
        t,
        p[order].astype(float),
        action_id=a[starts],
    )
    if r is not None:
        raw.rewards[REWARD] = mean_rewards(r[order], raw.data, raw.indptr)
        raw.infeasible = infeasible
    return raw


def _feasible(
    state: NDArray[Any], action: NDArray[Any], p: NDArray[Any], r: NDArray[Any]
) -> tuple[NDArray[np.bool_], int]:
    """Mark the transitions of pairs that may be chosen, and count the other pairs."""
    bad = np.flatnonzero((r == -np.inf) & (p > 0))
    if not bad.size:
        return np.ones(state.size, dtype=bool), 0
    wide = int(action.max()) + 1
    pair = state.astype(np.int64) * wide + action.astype(np.int64)
    out = np.unique(pair[bad])
    return ~np.isin(pair, out), int(out.size)


def mean_rewards(
    r: NDArray[np.float64], p: NDArray[np.float64], indptr: NDArray[Any]
) -> NDArray[np.float64]:
    """Average rewards of transitions; exact where all of a row agree."""
    starts = indptr[:-1]
    possible = p > 0
    low = np.minimum.reduceat(np.where(possible, r, np.inf), starts)
    high = np.maximum.reduceat(np.where(possible, r, -np.inf), starts)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.add.reduceat(np.where(possible, r * p, 0.0), starts)
    return np.where(low == high, low, mean)


def write_csv(model: LabelledMDP, path: str | Path, *, lossy: bool = False) -> None:
    """Write a model with one reward as a table of transitions, atomically.

    Parameters
    ----------
    model : LabelledMDP
        The model.
    path : str or Path
        File to write, under exactly this name.
    lossy : bool
        Write also what the layout cannot hold in full.

    Raises
    ------
    InvalidModelError
        Naming what would be lost: names, labels, the initial law, exact numbers.
    OSError
        If the disk is full or the folder cannot be written; a file that was there is untouched.
    """
    if len(model.rewards) != 1:
        raise InvalidModelError(
            f"csv holds one reward and the model has {len(model.rewards)}; choose with "
            "model.replace(rewards=...)"
        )
    (reward,) = model.rewards.values()
    lengths = np.diff(model.indptr)
    pair_state = np.repeat(np.arange(model.n_states), np.diff(model.state_ptr))
    columns = (
        np.repeat(pair_state, lengths).tolist(),
        np.repeat(model.action_id, lengths).tolist(),
        model.indices.tolist(),
        model.data.tolist(),
        np.repeat(reward, lengths).tolist(),
    )
    with replacing(Path(path)) as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        for row in zip(*columns, strict=True):
            file.write((",".join(map(repr, row)) + "\n").encode())
        file.flush()
        if not lossy:
            lost(model, read_csv(file.name), "csv")
