"""Coupled restless bandits: arms that move on their own, and actions that are tied together.

Examples
--------
>>> import numpy as np
>>> from mdplib import restless
>>> bandit = restless.capacity(n_arms=6, budget=2, rng=np.random.default_rng(0))
>>> bandit
CoupledRestlessBandit(6 arms of 4 states, Capacity(6 arms, 2 workers), horizon 20)
"""

from importlib import import_module
from typing import TYPE_CHECKING

_PUBLIC = {
    "Arms": "mdplib.restless.arms",
    "CoupledRestlessBandit": "mdplib.restless.bandit",
    "ActionSet": "mdplib.restless.action_set",
    "Budget": "mdplib.restless.pulls",
    "Capacity": "mdplib.restless.packing",
    "Schedule": "mdplib.restless.matching",
    "Walks": "mdplib.restless.walking",
    "Interventions": "mdplib.restless.reaching",
    "PulpActions": "mdplib.restless.modelled",
    "budget": "mdplib.restless.domains",
    "capacity": "mdplib.restless.domains",
    "schedule": "mdplib.restless.domains",
    "walks": "mdplib.restless.domains",
    "interventions": "mdplib.restless.domains",
    "simulate": "mdplib.restless.simulation",
    "CertifiedGap": "mdplib.restless.gap",
    "certified_gap": "mdplib.restless.gap",
    "reward_range": "mdplib.restless.gap",
}
__all__ = [*_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from mdplib.restless.action_set import ActionSet as ActionSet
    from mdplib.restless.arms import Arms as Arms
    from mdplib.restless.bandit import CoupledRestlessBandit as CoupledRestlessBandit
    from mdplib.restless.domains import budget as budget
    from mdplib.restless.domains import capacity as capacity
    from mdplib.restless.domains import interventions as interventions
    from mdplib.restless.domains import schedule as schedule
    from mdplib.restless.domains import walks as walks
    from mdplib.restless.gap import CertifiedGap as CertifiedGap
    from mdplib.restless.gap import certified_gap as certified_gap
    from mdplib.restless.gap import reward_range as reward_range
    from mdplib.restless.matching import Schedule as Schedule
    from mdplib.restless.modelled import PulpActions as PulpActions
    from mdplib.restless.packing import Capacity as Capacity
    from mdplib.restless.pulls import Budget as Budget
    from mdplib.restless.reaching import Interventions as Interventions
    from mdplib.restless.simulation import simulate as simulate
    from mdplib.restless.walking import Walks as Walks


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'mdplib.restless' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
