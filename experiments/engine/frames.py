"""Rows as a data frame, for people who explore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.engine.cells import SCHEMA, restore
from experiments.engine.store import Store
from mdplib.errors import MissingExtraError

if TYPE_CHECKING:
    import polars


def frame(experiment: str, results: str | Path = "results") -> polars.DataFrame:
    """Return every row of an experiment, one line per cell.

    Parameters
    ----------
    experiment : str
        Name of the experiment.
    results : str or Path
        The results folder.

    Returns
    -------
    polars.DataFrame
        Columns: key, epoch, the fields of the cell, the entries of the row. Rows of all scales,
        and of earlier epochs, are included: filter by ``epoch``.

    Raises
    ------
    MissingExtraError
        If polars is not installed.
    """
    try:
        import polars
    except ImportError:
        raise MissingExtraError("frames", "polars") from None

    lines = []
    for key, address, row in Store(Path(results) / experiment).records():
        values = {name: restore(value) for name, value in (address["cell"] | row).items()}
        if address["schema"] == SCHEMA:
            lines.append({"key": key, "epoch": address["epoch"]} | values)
    return polars.DataFrame(lines, infer_schema_length=None)
