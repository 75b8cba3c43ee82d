"""What is varied: the model, the number of groups, the budget, the number of actions, the batch.

Each family of cells has its own class; `run` picks the computation by the class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from experiments.engine.cells import Scale

Model = Literal["tree", "tree_myopic", "downlink"]
MODELS: tuple[Model, ...] = get_args(Model)
GAMMA: dict[Model, float] = {"tree": 0.9, "tree_myopic": 0.7, "downlink": 0.9}
GROUPS: dict[Model, tuple[int, ...]] = {
    "tree": (1, 2, 4, 8, 16, 32, 64),
    "tree_myopic": (1, 2, 4, 8, 16, 32, 64),
    "downlink": (2, 4, 8, 16, 32),
}
BUDGETS: dict[Model, tuple[int, ...]] = {  # samples in all: states * groups * samples per pair
    "tree": tuple(384 * 4**k for k in range(6)),
    "tree_myopic": tuple(384 * 4**k for k in range(6)),
    "downlink": tuple(512 * 4**k for k in range(5)),
}
DELTA = 0.05
JUDGED_GROUPS = 8  # of the tree model, where the guarantees are compared
PAIR_SAMPLES = (100, 1000, 10_000, 100_000)
ACTIONS = (100, 1000, 10_000, 100_000, 1_000_000)
BATCH = 200  # repetitions per cell
# From a scale to batches of learners, batches of guarantees, probes per size, random models.
GRID: dict[Scale, tuple[int, int, int, int]] = {
    "smoke": (1, 1, 3, 15),
    "default": (10, 3, 10, 60),
    "paper": (40, 10, 20, 200),
}


@dataclass(frozen=True)
class Curve:
    """Losses of grouped learners for every number of groups, at one budget.

    Parameters
    ----------
    model : str
        Which model.
    budget : int
        Samples in all.
    replicate : int
        Number of the batch.
    """

    model: Model
    budget: int
    replicate: int


@dataclass(frozen=True)
class Guarantee:
    """Losses and guarantees of learners with eight groups on the tree model.

    Parameters
    ----------
    n : int
        Samples per state and group.
    replicate : int
        Number of the batch.
    """

    n: int
    replicate: int


@dataclass(frozen=True)
class Probe:
    """One selection of the number of groups from few samples.

    Parameters
    ----------
    n_actions : int
        Actions of the model.
    replicate : int
        Number of the model.
    """

    n_actions: int
    replicate: int


@dataclass(frozen=True)
class Rivals:
    """Groupings of one random model by several rules, and the best ones of all.

    Parameters
    ----------
    replicate : int
        Number of the model.
    """

    replicate: int


Cell = Curve | Guarantee | Probe | Rivals


def cells(scale: Scale) -> Iterator[Cell]:
    """Yield the cells of a scale; larger scales contain the smaller ones."""
    learners, guarantees, probes, models = GRID[scale]
    for model in MODELS:
        for budget in BUDGETS[model]:
            for replicate in range(learners):
                yield Curve(model, budget, replicate)
    for n in PAIR_SAMPLES:
        for replicate in range(guarantees):
            yield Guarantee(n, replicate)
    for n_actions in ACTIONS:
        for replicate in range(probes):
            yield Probe(n_actions, replicate)
    for replicate in range(models):
        yield Rivals(replicate)
