"""What is varied: the model, the solver, the replicate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from experiments.engine.cells import Scale
from experiments.instances import NAMES, Name

GAMMA = 0.95
Solver = Literal["value_iteration", "gauss_seidel", "modified_policy_iteration", "policy_iteration"]
SOLVERS: tuple[Solver, ...] = get_args(Solver)
GARNETS: dict[Scale, int] = {"smoke": 5, "default": 50, "paper": 500}


@dataclass(frozen=True)
class Cell:
    """One solve.

    Parameters
    ----------
    model : str
        Name in `experiments.instances`.
    solver : str
        Name in `solvers.METHODS`.
    replicate : int
        Number of the Garnet; 0 for the fixed models.
    """

    model: Name
    solver: Solver
    replicate: int


def cells(scale: Scale) -> Iterator[Cell]:
    """Yield the cells of a scale; only the Garnet has replicates."""
    for model in NAMES:
        for replicate in range(GARNETS[scale] if model == "garnet" else 1):
            for solver in SOLVERS:
                yield Cell(model, solver, replicate)
