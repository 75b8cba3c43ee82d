"""Named instances and generators, one family per file.

`NAMED` maps short names to small instances for the command line and for tests.
"""

from mdplib.models.american_puts import american_put as american_put
from mdplib.models.chains import chain as chain
from mdplib.models.decomposable import decomposable as decomposable
from mdplib.models.deep_seas import deep_sea as deep_sea
from mdplib.models.dense_kernels import dense as dense
from mdplib.models.dynamical_bandits import dlb_advertising as dlb_advertising
from mdplib.models.dynamical_bandits import dlb_synthetic as dlb_synthetic
from mdplib.models.five_states import five_state as five_state
from mdplib.models.forests import forest as forest
from mdplib.models.garnets import garnet as garnet
from mdplib.models.grids import gridworld as gridworld
from mdplib.models.grids import maze as maze
from mdplib.models.grouped_actions import downlink as downlink
from mdplib.models.grouped_actions import tree_mdp as tree_mdp
from mdplib.models.inventories import inventory as inventory
from mdplib.models.named import NAMED as NAMED
from mdplib.models.named import Named as Named
from mdplib.models.queues import queue as queue
from mdplib.models.simplex_models import hard_pair as hard_pair
from mdplib.models.simplex_models import random_simplex_mdp as random_simplex_mdp

__all__ = [
    "american_put",
    "chain",
    "decomposable",
    "deep_sea",
    "dense",
    "dlb_advertising",
    "dlb_synthetic",
    "downlink",
    "five_state",
    "forest",
    "garnet",
    "gridworld",
    "hard_pair",
    "inventory",
    "maze",
    "queue",
    "random_simplex_mdp",
    "tree_mdp",
]
