"""One small instance of each family, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdplib.models.chains import chain
from mdplib.models.deep_seas import deep_sea
from mdplib.models.forests import forest
from mdplib.models.garnets import garnet
from mdplib.models.grids import gridworld, maze
from mdplib.models.inventories import inventory
from mdplib.models.queues import queue
from mdplib.tabular import TabularMDP

_ROOMS = """
    S....#.....
    .....#.....
    ...........
    .....#.....
    .....#.....
    #.####.....
    .....###.##
    .....#.....
    .....#.....
    ...........
    .....#....G
"""


@dataclass(frozen=True)
class Named:
    """A named instance; calling it builds the model.

    Parameters
    ----------
    title : str
        What it is, in a few words.
    gamma : float
        Discount factor unless another is asked for.
    build : callable
        Maps a discount factor to the model.
    """

    title: str
    gamma: float
    build: Callable[[float], TabularMDP]

    def __call__(self, gamma: float | None = None) -> TabularMDP:
        """Build the model, with its own discount factor by default."""
        return self.build(self.gamma if gamma is None else gamma)


NAMED: dict[str, Named] = {
    "riverswim": Named("RiverSwim with 6 states", 0.99, lambda g: chain(6, gamma=g)),
    "riverswim-1000": Named("RiverSwim with 1000 states", 0.99, lambda g: chain(1000, gamma=g)),
    "forest": Named("forest management with 3 ages", 0.9, lambda g: forest(3, gamma=g)),
    "forest-1000": Named("forest management, 1000 ages", 0.99, lambda g: forest(1000, gamma=g)),
    "deep-sea": Named("deep sea, 10 x 10, horizon 10", 1.0, lambda g: deep_sea(10, gamma=g)),
    "four-rooms": Named(
        "four rooms with slip 0.1", 0.99, lambda g: gridworld(_ROOMS, slip=0.1, gamma=g)
    ),
    "maze": Named(
        "random maze, 50 x 50, seed 1", 0.99, lambda g: maze(50, np.random.default_rng(1), gamma=g)
    ),
    "queue": Named("service control, 100 states", 0.99, lambda g: queue(100, gamma=g)),
    "inventory": Named("inventory, 100 states, 16 orders", 0.99, lambda g: inventory(100, gamma=g)),
    "garnet": Named(
        "Garnet(100, 4, 5), seed 0",
        0.99,
        lambda g: garnet(100, 4, 5, np.random.default_rng(0), gamma=g),
    ),
}
