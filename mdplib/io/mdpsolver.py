"""The four ways in which MDPSolver takes transition probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from mdplib import assembly, validate
from mdplib.assembly import ModelFields
from mdplib.errors import InvalidModelError
from mdplib.io.drn import text_of
from mdplib.io.files import readable, refusal
from mdplib.tabular import TabularMDP

Ragged = Sequence[Sequence[Any]]


def from_mdpsolver(
    discount: float,
    rewards: Ragged,
    *,
    tranMatWithZeros: Ragged | None = None,
    tranMatElementwise: Ragged | None = None,
    tranMatProbs: Ragged | None = None,
    tranMatColumns: Ragged | None = None,
    tranMatFromFile: str | Path | None = None,
    **fields: Unpack[ModelFields],
) -> TabularMDP:
    """Build from the arguments of MDPSolver's ``model.mdp``; exactly one form is given.

    Parameters
    ----------
    discount : float
        Discount factor.
    rewards : nested lists [s][a]
        Expected rewards; states may have different numbers of actions.
    tranMatWithZeros : nested lists [s][a][t], optional
        Full rows.
    tranMatElementwise : rows [s, a, t, p], optional
        Transitions, in any order.
    tranMatProbs, tranMatColumns : nested lists [s][a][i], optional
        Probabilities and their successors.
    tranMatFromFile : str or Path, optional
        Comma-separated rows s, a, t, p, with or without a header.
    **fields
        Optional fields of `TabularMDP`.

    Raises
    ------
    InvalidModelError
        Naming the place, what is wrong, and the remedy.

    Examples
    --------
    >>> from_mdpsolver(0.8, [[1], [0]], tranMatElementwise=[[0, 0, 1, 1.0], [1, 0, 1, 1.0]])
    TabularMDP(2 state-action pairs on 2 states, 2 transitions, gamma=0.8)
    """
    given = [tranMatWithZeros, tranMatElementwise, tranMatProbs, tranMatFromFile]
    if sum(form is not None for form in given) != 1 or (
        (tranMatProbs is None) != (tranMatColumns is None)
    ):
        raise InvalidModelError(
            "give exactly one of tranMatWithZeros, tranMatElementwise, tranMatFromFile, or "
            "tranMatProbs together with tranMatColumns"
        )
    pairs = [(s, a) for s, row in enumerate(rewards) for a in range(len(row))]
    reward = validate.frozen([r for row in rewards for r in row], np.float64, "rewards")
    if tranMatFromFile is not None:
        entries = _elements(_from_file(tranMatFromFile))
    elif tranMatElementwise is not None:
        entries = _elements(tranMatElementwise)
    elif tranMatWithZeros is not None:
        entries = _nested(tranMatWithZeros, None)
    else:
        entries = _nested(tranMatProbs or [], tranMatColumns)
    number = {pair: k for k, pair in enumerate(pairs)}
    missing = next((e for e in entries if e[:2] not in number), None)
    if missing is not None:
        raise InvalidModelError(f"s={missing[0]}, a={missing[1]} has a transition and no reward")
    state, action = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
    rows = np.array([number[e[:2]] for e in entries], dtype=np.int64)
    target = np.array([e[2] for e in entries], dtype=np.int64)
    p = np.array([e[3] for e in entries], dtype=np.float64)
    return assembly.assemble(
        len(rewards), (state, action), (rows, target, p), reward, discount, fields
    )


def _elements(rows: Ragged) -> list[tuple[int, int, int, float]]:
    result = []
    for i, row in enumerate(rows):
        if len(row) != 4 or any(x != int(x) for x in row[:3]):
            raise InvalidModelError(f"row {i} is {list(row)}; [state, action, successor, p] wanted")
        result.append((int(row[0]), int(row[1]), int(row[2]), float(row[3])))
    return result


def _nested(probabilities: Ragged, columns: Ragged | None) -> list[tuple[int, int, int, float]]:
    result = []
    for s, rows in enumerate(probabilities):
        for a, row in enumerate(rows):
            targets = range(len(probabilities)) if columns is None else columns[s][a]
            if len(targets) != len(row):
                raise InvalidModelError(
                    f"s={s}, a={a} has {len(row)} probabilities for {len(targets)} successors"
                )
            pairs = zip(targets, row, strict=True)
            result += [(s, a, int(t), float(p)) for t, p in pairs]
    return result


def _from_file(path: str | Path) -> Any:
    with readable(path) as file:
        lines = [line for line in text_of(path, file).splitlines() if line.strip()]
    if lines and not lines[0].strip()[:1].isdigit():
        lines = lines[1:]
    try:
        table = np.loadtxt(lines, delimiter=",", ndmin=2) if lines else np.empty((0, 4))
    except ValueError as error:
        raise refusal(path, f"it is no table of numbers ({error})") from None
    if not np.isfinite(table).all():
        raise refusal(path, "it holds numbers that are not finite")
    return table.tolist()
