"""What is computed: cells, their content addresses, their random streams.

A *cell* is a frozen dataclass whose fields are str, int, float, bool or tuples of them. Its
*address* is a hash of everything that decides its row; its *streams* depend on the experiment,
its seed and the cell's field ``replicate`` alone, so that all algorithms, and all points of a
grid, meet the same random numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal, NamedTuple, get_args, get_type_hints

import numpy as np

from mdplib.errors import MdplibError
from mdplib.sampling import Streams

SCHEMA = 1
CLOCK = "clock"  # entry of a row that goes to ``timings/``: what a clock said, never the same twice
Scale = Literal["smoke", "default", "paper"]
SCALES: tuple[Scale, ...] = get_args(Scale)
Row = dict[str, Any]


class Finished(NamedTuple):
    """A cell with its row, as read back from the results folder."""

    cell: Any
    row: Row


@dataclass(frozen=True)
class Analysis:
    """What the rows say: tables to draw, and measured quantities to hold against the claims.

    Parameters
    ----------
    tables : mapping
        Whatever the figures of the experiment need.
    measured : mapping of str to mdplib.statistics.Interval
        By the name that ``expected.toml`` uses.
    """

    tables: Mapping[str, Any]
    measured: Mapping[str, Any]


class Drawing(NamedTuple):
    """A figure, its file name without suffix, and the numbers drawn in it."""

    name: str
    figure: Any
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """A family of cells and the pure function that computes one.

    Parameters
    ----------
    name : str
        Folder of the results; also decides the random streams.
    title : str
        One line for reports.
    epoch : int
        Raised whenever the code changes the meaning of a row: old rows are then stale.
    seed : int
        Root of all random streams.
    cells : callable
        From a scale to its cells. A cell that two scales share is computed once.
    run : callable
        ``run(cell, streams) -> row``: pure, importable; the row holds scalars and small lists.
        Times that are themselves a result go into a dict under `CLOCK`: they are kept beside the
        row, which stays the same bytes everywhere, and given back to `analyse` with it.
    analyse : callable, optional
        ``analyse(finished) -> Analysis``, from a list of `Finished`.
    draw : callable, optional
        ``draw(analysis)`` yields `Drawing`.
    expected : str, optional
        Path of the claims, a TOML file.
    allow_nan : bool
        Whether a row may hold NaN. A missing value is None in any case.
    """

    name: str
    title: str
    epoch: int
    seed: int
    cells: Callable[[Scale], Iterable[Any]]
    run: Callable[[Any, Streams], Row]
    analyse: Callable[[Sequence[Finished]], Analysis] | None = None
    draw: Callable[[Analysis], Iterable[Drawing]] | None = None
    expected: str | None = None
    allow_nan: bool = False


def plain(value: Any, where: str = "value", *, allow_nan: bool = True) -> Any:
    """Return `value` as JSON values with one representation each.

    Parameters
    ----------
    value : scalar, list, tuple, numpy scalar or array
        What to represent. Infinities, and NaN where allowed, become ``{"float": "inf"}``.
    where : str
        Name of the value in error messages.
    allow_nan : bool
        Whether NaN is accepted.

    Returns
    -------
    None, bool, int, float, str, list or dict

    Raises
    ------
    MdplibError
        On NaN where it is not declared, and on any other type.

    Examples
    --------
    >>> plain((1, 2.5, float("-inf"), np.float64(0.5), None))
    [1, 2.5, {'float': '-inf'}, 0.5, None]
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        if math.isnan(value) and not allow_nan:
            raise MdplibError(
                f"{where} is NaN; return None for a missing value, or declare allow_nan=True "
                "in the experiment"
            )
        return {"float": repr(value)}
    if isinstance(value, list | tuple):
        return [plain(x, f"{where}[{i}]", allow_nan=allow_nan) for i, x in enumerate(value)]
    raise MdplibError(
        f"{where} is a {type(value).__name__}; rows and cells hold None, bool, int, float, str "
        "and lists of them"
    )


def restore(value: Any) -> Any:
    """Return what `plain` represented, tuples as lists.

    Examples
    --------
    >>> restore([1, {"float": "-inf"}])
    [1, -inf]
    """
    if isinstance(value, dict):
        return float(value["float"])
    return [restore(x) for x in value] if isinstance(value, list) else value


def canonical(value: Any) -> str:
    """Return the one JSON text of plain values: sorted keys, no blanks, ASCII.

    Examples
    --------
    >>> canonical({"b": 1, "a": [0.1, None]})
    '{"a":[0.1,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Return the BLAKE2b hash of the canonical text, 32 hexadecimal digits."""
    return hashlib.blake2b(canonical(value).encode(), digest_size=16).hexdigest()


def cell_values(cell: Any) -> Row:
    """Return the fields of a cell as plain values; an int in a float field becomes a float.

    Raises
    ------
    MdplibError
        If the cell is not a frozen dataclass of scalars and tuples, or holds NaN.
    """
    kind = type(cell)
    if not getattr(kind, "__dataclass_params__", None) or not kind.__dataclass_params__.frozen:
        raise MdplibError(f"a cell is a frozen dataclass, not a {kind.__name__}")
    hints, values = _hints(kind), {}
    for field in fields(cell):
        value = getattr(cell, field.name)
        if hints[field.name] is float and type(value) is int:
            value = float(value)
        where = f"{kind.__name__}.{field.name}"
        values[field.name] = plain(value, where, allow_nan=False)
    return values


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def address(experiment: Experiment, cell: Any) -> Row:
    """Return everything that decides the row of a cell."""
    return {
        "experiment": experiment.name,
        "epoch": experiment.epoch,
        "seed": experiment.seed,
        "schema": SCHEMA,
        "cell": cell_values(cell),
    }


def key(experiment: Experiment, cell: Any) -> str:
    """Return the content address of a cell: the hash of `address`.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Cell:
    ...     n: int
    ...     replicate: int = 0
    >>> toy = Experiment("toy", "A toy", 1, 7, cells=lambda scale: [], run=lambda c, s: {})
    >>> key(toy, Cell(3)) == key(toy, Cell(3)), key(toy, Cell(3)) == key(toy, Cell(4))
    (True, False)
    """
    return digest(address(experiment, cell))


def keyed_cells(experiment: Experiment, scale: Scale) -> dict[str, Any]:
    """Return the cells of a scale by key, in their order; duplicates collapse."""
    return {key(experiment, cell): cell for cell in experiment.cells(scale)}


def check_row(row: Any, cell: Any, *, allow_nan: bool) -> Row:
    """Return a row as plain values.

    Raises
    ------
    MdplibError
        If it is not a dict with string keys distinct from the fields of the cell, or holds
        something that cannot be represented.
    """
    if not isinstance(row, dict) or not all(isinstance(name, str) for name in row):
        raise MdplibError("run must return a dict with string keys")
    clash = sorted(set(row) & {field.name for field in fields(cell)})
    if clash:
        raise MdplibError(f"the row repeats the cell's field {clash[0]!r}; rename it in the row")
    return {name: plain(x, f"row[{name!r}]", allow_nan=allow_nan) for name, x in row.items()}
