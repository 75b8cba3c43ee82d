"""What is varied: the model, the samples per pair, the replicate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from experiments.engine.cells import Scale
from experiments.instances import NAMES, Name

GAMMA = 0.9
DELTA = 0.05
# From a scale to replicates, points per decade of n, last decade.
GRID: dict[Scale, tuple[int, int, int]] = {
    "smoke": (10, 2, 4),
    "default": (50, 2, 6),
    "paper": (400, 4, 7),
}


@dataclass(frozen=True)
class Cell:
    """One plug-in policy.

    Parameters
    ----------
    model : str
        Name in `experiments.instances`.
    n : int
        Samples per state-action pair.
    replicate : int
        Number of the data set, and of the Garnet.
    """

    model: Name
    n: int
    replicate: int


def cells(scale: Scale) -> Iterator[Cell]:
    """Yield the cells of a scale; n runs over a geometric grid from 10."""
    replicates, per_decade, last = GRID[scale]
    for model in NAMES:
        for i in range(per_decade, last * per_decade + 1):
            for replicate in range(replicates):
                yield Cell(model, round(10 ** (i / per_decade)), replicate)
