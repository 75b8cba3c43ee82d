"""What a loader did to a file on the way to a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplib.errors import InvalidModelError


@dataclass(frozen=True)
class Report:
    """Everything a loader noticed, repaired or left out.

    Parameters
    ----------
    format : str
        Name of the format: npz, umb, drn, json, csv, prism, jani, named or gymnasium.
    worst_row_error : float
        Largest distance of a row sum from one, in the file.
    worst_row : str
        Which pair that is; empty if every row sums to one exactly.
    renormalised : int
        Rows divided by their sum.
    merged_duplicates : int
        Transitions that were added to another one of the same pair and successor.
    dropped_zeros : int
        Transitions of probability zero that were left out.
    infeasible : int
        Pairs left out because their reward is ``-inf``.
    absorbing : int
        States whose only pair is a self-loop.
    deadlocks : int
        States without a choice, which were given a self-loop.
    warnings : tuple of str
        Sentences about anything else.

    Examples
    --------
    >>> print(Report("drn", worst_row_error=1e-11, worst_row="s=0, a=0", renormalised=1))
    drn: worst row sum off by 1e-11 at s=0, a=0; 1 rows renormalised
    """

    format: str
    worst_row_error: float = 0.0
    worst_row: str = ""
    renormalised: int = 0
    merged_duplicates: int = 0
    dropped_zeros: int = 0
    infeasible: int = 0
    absorbing: int = 0
    deadlocks: int = 0
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = []
        if self.worst_row:
            parts.append(f"worst row sum off by {self.worst_row_error:.3g} at {self.worst_row}")
        counted = (
            (self.renormalised, "rows renormalised"),
            (self.merged_duplicates, "duplicate transitions merged"),
            (self.dropped_zeros, "zero probabilities dropped"),
            (self.infeasible, "infeasible pairs left out"),
            (self.absorbing, "absorbing states"),
            (self.deadlocks, "states without a choice given a self-loop"),
        )
        parts += [f"{count} {what}" for count, what in counted if count]
        parts += self.warnings
        return f"{self.format}: {'; '.join(parts) or 'nothing to report'}"

    def adding(self, *warnings: str) -> Report:
        """Return a copy with more warnings."""
        return dataclasses.replace(self, warnings=(*self.warnings, *warnings))


def lost(model: Any, again: Any, format: str) -> None:
    """Refuse to write a model that a file of some format does not give back.

    Parameters
    ----------
    model, again : model
        The model, and what the format makes of it.
    format : str
        For the message.

    Raises
    ------
    InvalidModelError
        Naming the fields that differ.
    """
    if type(again) is type(model) and again == model:
        return
    missing = [
        field.name
        for field in dataclasses.fields(model)
        if not _same(getattr(model, field.name), getattr(again, field.name, None))
    ]
    raise InvalidModelError(
        f"{format} would lose {', '.join(missing) or 'the kind of model'} of this model. Choose "
        "another format (npz holds everything), or pass lossy=True"
    )


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return ours.keys() == theirs.keys() and all(_same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
        return ours.tobytes() == theirs.tobytes()
    return type(ours) is type(theirs) and ours == theirs
