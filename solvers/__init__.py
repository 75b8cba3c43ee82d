"""Solvers: a problem in, a certified solution out.

`solve` picks a method from the problem's type and size; each method is also a function of its
own, and the table `METHODS` says what each needs, promises and costs.

Examples
--------
>>> import solvers
>>> from mdplib import TabularMDP
>>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], gamma=0.5)
>>> solvers.solve(mdp).status.name
'OPTIMAL'
"""

from importlib import import_module
from typing import TYPE_CHECKING

_PUBLIC = {
    "solve": "solvers.dispatch",
    "Method": "solvers.table",
    "METHODS": "solvers.table",
    "auto": "solvers.tabular.auto",
    "inexact_policy_iteration": "solvers.tabular.inexact_policy_iteration",
    "anderson": "solvers.tabular.anderson",
    "action_elimination": "solvers.tabular.action_elimination",
    "topological": "solvers.tabular.topological",
    "certified_policy_iteration": "solvers.undiscounted.certified_policy_iteration",
    "interval_iteration": "solvers.undiscounted.interval_iteration",
    "optimistic_value_iteration": "solvers.undiscounted.optimistic_value_iteration",
    "average_reward": "solvers.undiscounted.average_reward",
    "exact_undiscounted": "solvers.undiscounted.exact",
    "value_iteration": "solvers.tabular.value_iteration",
    "policy_iteration": "solvers.tabular.policy_iteration",
    "modified_policy_iteration": "solvers.tabular.modified_policy_iteration",
    "linear_programming": "solvers.tabular.linear_programming",
    "backward_induction": "solvers.tabular.backward_induction",
    "exact_policy_iteration": "solvers.tabular.exact",
    "robust_planning": "solvers.robust.planning",
    "robust_value_iteration": "solvers.robust.value_iteration",
    "RobustSolution": "solvers.robust.solution",
    "r2pvi": "solvers.robust.r2pvi",
    "r2pvi_path": "solvers.robust.r2pvi",
    "drpvi": "solvers.robust.drpvi",
    "va_drpvi": "solvers.robust.va_drpvi",
    "drvi_l": "solvers.robust.drvi_l",
    "pevi": "solvers.robust.pevi",
    "p2mpo": "solvers.robust.p2mpo",
    "Compat": "solvers.robust.compat",
    "PessimisticSolution": "solvers.robust.result",
    "OnlineRegression": "solvers.robust.online",
    "solve_blocks": "solvers.robust.blocks",
}
__all__ = [*_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from solvers.dispatch import solve as solve
    from solvers.robust.blocks import solve_blocks as solve_blocks
    from solvers.robust.compat import Compat as Compat
    from solvers.robust.drpvi import drpvi as drpvi
    from solvers.robust.drvi_l import drvi_l as drvi_l
    from solvers.robust.online import OnlineRegression as OnlineRegression
    from solvers.robust.p2mpo import p2mpo as p2mpo
    from solvers.robust.pevi import pevi as pevi
    from solvers.robust.planning import robust_planning as robust_planning
    from solvers.robust.r2pvi import r2pvi as r2pvi
    from solvers.robust.r2pvi import r2pvi_path as r2pvi_path
    from solvers.robust.result import PessimisticSolution as PessimisticSolution
    from solvers.robust.solution import RobustSolution as RobustSolution
    from solvers.robust.va_drpvi import va_drpvi as va_drpvi
    from solvers.robust.value_iteration import robust_value_iteration as robust_value_iteration
    from solvers.table import METHODS as METHODS
    from solvers.table import Method as Method
    from solvers.tabular.action_elimination import action_elimination as action_elimination
    from solvers.tabular.anderson import anderson as anderson
    from solvers.tabular.auto import auto as auto
    from solvers.tabular.backward_induction import backward_induction as backward_induction
    from solvers.tabular.exact import exact_policy_iteration as exact_policy_iteration
    from solvers.tabular.inexact_policy_iteration import (
        inexact_policy_iteration as inexact_policy_iteration,
    )
    from solvers.tabular.linear_programming import linear_programming as linear_programming
    from solvers.tabular.modified_policy_iteration import (
        modified_policy_iteration as modified_policy_iteration,
    )
    from solvers.tabular.policy_iteration import policy_iteration as policy_iteration
    from solvers.tabular.topological import topological as topological
    from solvers.tabular.value_iteration import value_iteration as value_iteration
    from solvers.undiscounted.average_reward import average_reward as average_reward
    from solvers.undiscounted.certified_policy_iteration import (
        certified_policy_iteration as certified_policy_iteration,
    )
    from solvers.undiscounted.exact import exact_undiscounted as exact_undiscounted
    from solvers.undiscounted.interval_iteration import interval_iteration as interval_iteration
    from solvers.undiscounted.optimistic_value_iteration import (
        optimistic_value_iteration as optimistic_value_iteration,
    )


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name == "bandits":
        return import_module("solvers.bandits")
    if name in _PUBLIC:
        # The functions share the names of their modules: bind them, or the module would win.
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'solvers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
