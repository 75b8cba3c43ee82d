"""Rows to curves: what the published data gave, exactly, and what fresh data give, with bands."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import Finished, Row
from mdplib.statistics import Interval, bootstrap_mean

Floats = NDArray[np.float64]
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Curve:
    """One method along one axis.

    Parameters
    ----------
    x : list of float
        Abscissae.
    published : list of float
        Means on the published data sets, evaluated exactly; empty if a replicate is missing.
    fresh : list of Interval
        Means on fresh data; empty with fewer than two replicates.
    """

    x: list[float]
    published: list[float]
    fresh: list[Interval]

    @property
    def best(self) -> list[float]:
        """The published means where they are known, else the fresh ones."""
        return self.published or [i.estimate for i in self.fresh]


def exact(value: float, n: int, method: str = "exact, published data") -> Interval:
    """Return a number as an interval of width zero.

    Examples
    --------
    >>> exact(1.5, 20).high
    1.5
    """
    return Interval(float(value), float(value), float(value), 1.0, method, n)


def grouped(finished: Iterable[Finished], kind: type[Kind]) -> dict[Kind, dict[int, Row]]:
    """Return the rows of a family of cells by cell without its replicate, and by replicate."""
    groups: dict[Any, dict[int, Row]] = defaultdict(dict)
    for cell, row in finished:
        if isinstance(cell, kind):
            same: Any = cell
            groups[replace(same, replicate=0)][same.replicate] = row
    return {cell: dict(sorted(rows.items())) for cell, rows in groups.items()}


def table(rows: dict[int, Row], pick: Callable[[Row], Sequence[float]]) -> Floats:
    """Return what `pick` finds in each row, (replicates, points)."""
    return np.array([pick(row) for row in rows.values()], dtype=np.float64)


def means(values: Floats, name: str) -> list[Interval]:
    """Return the mean of each column with its bootstrap interval; nothing from under two rows."""
    if len(values) < 2:
        return []
    return [
        bootstrap_mean(column, np.random.default_rng(zlib.crc32(f"{name}{i}".encode())),
                       method="percentile")
        for i, column in enumerate(values.T)
    ]  # fmt: skip


def curve(
    x: Sequence[float],
    name: str,
    published: Floats | None,
    replicates: int,
    fresh: Floats | None,
) -> Curve | None:
    """Return a curve, None if there is nothing to draw.

    Parameters
    ----------
    x : sequence of float
        Abscissae.
    name : str
        Decides the resampling.
    published, fresh : (rows, points) array, optional
        Values; `published` counts only if it has all its `replicates`.
    replicates : int
        Number of published data sets.
    fresh : (rows, points) array, optional
        Values on fresh data.
    """
    known = published is not None and len(published) == replicates
    left = published.mean(axis=0).tolist() if published is not None and known else []
    right = means(fresh, name) if fresh is not None else []
    return Curve(list(x), left, right) if left or right else None


def crossing(x: Sequence[float], first: Sequence[float], second: Sequence[float]) -> float:
    """Return where `second` overtakes `first` for good, by linear interpolation.

    Returns
    -------
    float
        ``inf`` if it is never above at the end, ``-inf`` if it is above from the start.

    Examples
    --------
    >>> crossing([0.0, 1.0], [1.0, 0.0], [0.0, 1.0])
    0.5
    >>> crossing([0.0, 1.0], [1.0, 1.0], [0.0, 0.5])
    inf
    """
    lead = np.asarray(second) - np.asarray(first)
    below = np.flatnonzero(lead < 0)
    if not below.size:
        return float("-inf")
    at = int(below[-1])
    if at == len(x) - 1:
        return float("inf")
    share = -lead[at] / (lead[at + 1] - lead[at])
    return float(x[at] + share * (x[at + 1] - x[at]))
