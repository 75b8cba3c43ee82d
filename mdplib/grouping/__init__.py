"""Groups of actions: lifted models, how alike the actions are, what grouping can cost.

Examples
--------
>>> import numpy as np
>>> from mdplib import grouping, models
>>> mdp = models.tree_mdp(np.random.default_rng(0))
>>> groups = grouping.Grouping.tree(3, 6)
>>> grouping.lift(mdp, groups).n_pairs, round(grouping.betas(mdp, groups).max_r, 3)
(48, 0.068)
"""

from importlib import import_module
from typing import TYPE_CHECKING

_PUBLIC = {
    "Grouping": "mdplib.grouping.grouping",
    "as_groups": "mdplib.grouping.grouping",
    "LowLevelPolicy": "mdplib.grouping.lifting",
    "lift": "mdplib.grouping.lifting",
    "compose": "mdplib.grouping.lifting",
    "Betas": "mdplib.grouping.weights",
    "Decomposition": "mdplib.grouping.weights",
    "betas": "mdplib.grouping.weights",
    "decompose": "mdplib.grouping.weights",
    "dense_rows": "mdplib.grouping.distances",
    "kernel_distance": "mdplib.grouping.distances",
    "value_distance": "mdplib.grouping.distances",
    "lax_bisimulation": "mdplib.grouping.distances",
    "GroupSamples": "mdplib.grouping.samples",
    "draw": "mdplib.grouping.samples",
    "draw_actions": "mdplib.grouping.samples",
    "pooled": "mdplib.grouping.samples",
    "reweighted": "mdplib.grouping.samples",
}
__all__ = [*_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from mdplib.grouping.distances import dense_rows as dense_rows
    from mdplib.grouping.distances import kernel_distance as kernel_distance
    from mdplib.grouping.distances import lax_bisimulation as lax_bisimulation
    from mdplib.grouping.distances import value_distance as value_distance
    from mdplib.grouping.grouping import Grouping as Grouping
    from mdplib.grouping.grouping import as_groups as as_groups
    from mdplib.grouping.lifting import LowLevelPolicy as LowLevelPolicy
    from mdplib.grouping.lifting import compose as compose
    from mdplib.grouping.lifting import lift as lift
    from mdplib.grouping.samples import GroupSamples as GroupSamples
    from mdplib.grouping.samples import draw as draw
    from mdplib.grouping.samples import draw_actions as draw_actions
    from mdplib.grouping.samples import pooled as pooled
    from mdplib.grouping.samples import reweighted as reweighted
    from mdplib.grouping.weights import Betas as Betas
    from mdplib.grouping.weights import Decomposition as Decomposition
    from mdplib.grouping.weights import betas as betas
    from mdplib.grouping.weights import decompose as decompose


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'mdplib.grouping' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
