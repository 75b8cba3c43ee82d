"""Named instances and generators, one family per file.

`NAMED` maps short names to small instances for the command line and for tests.
"""

from mdplib.models.chains import chain as chain
from mdplib.models.decomposable import decomposable as decomposable
from mdplib.models.deep_seas import deep_sea as deep_sea
from mdplib.models.dense_kernels import dense as dense
from mdplib.models.forests import forest as forest
from mdplib.models.garnets import garnet as garnet
from mdplib.models.grids import gridworld as gridworld
from mdplib.models.grids import maze as maze
from mdplib.models.inventories import inventory as inventory
from mdplib.models.named import NAMED as NAMED
from mdplib.models.named import Named as Named
from mdplib.models.queues import queue as queue

__all__ = [
    "chain",
    "decomposable",
    "deep_sea",
    "dense",
    "forest",
    "garnet",
    "gridworld",
    "inventory",
    "maze",
    "queue",
]
