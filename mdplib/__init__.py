"""Sequential decision problems, their operators, and proven bounds on their values.

Everything public is loaded on first use, so ``import mdplib`` stays light: no compiler, no
optimiser and no plotting library is imported before it is needed.

Examples
--------
>>> import mdplib
>>> mdp = mdplib.TabularMDP.from_dense(
...     P=[[[0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]],
...     r=[[1.0, 0.0], [0.0, 2.0]],
...     gamma=0.9,
... )
>>> mdp
TabularMDP(4 state-action pairs on 2 states, 5 transitions, gamma=0.9)
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_PUBLIC = {
    "TabularMDP": "mdplib.tabular",
    "LabelledMDP": "mdplib.labelled",
    "Features": "mdplib.features",
    "LinearMDP": "mdplib.linear",
    "LinearData": "mdplib.linear_offline",
    "UndiscountedMDP": "mdplib.undiscounted",
    "RobustDual": "mdplib.robust",
    "Robustness": "mdplib.robust",
    "Solution": "mdplib.solution",
    "Status": "mdplib.solution",
    "Stats": "mdplib.solution",
    "Provenance": "mdplib.solution",
    "DeterministicPolicy": "mdplib.policy",
    "StochasticPolicy": "mdplib.policy",
    "MarkovPolicy": "mdplib.policy",
    "MdplibError": "mdplib.errors",
    "InvalidModelError": "mdplib.errors",
    "SolverError": "mdplib.errors",
    "NotApplicableError": "mdplib.errors",
    "MissingExtraError": "mdplib.errors",
    "DynamicalLinearBandit": "mdplib.dynamical_bandit",
    "FiniteArms": "mdplib.action_sets",
    "Polytope": "mdplib.action_sets",
    "Ball": "mdplib.action_sets",
    "read": "mdplib.io",
    "read_with_report": "mdplib.io",
    "write": "mdplib.io",
}
_MODULES = (
    "action_sets",
    "bandit_constants",
    "bandit_simulation",
    "certificates",
    "concentration",
    "coverage",
    "dynamical_bandit",
    "divergences",
    "exact",
    "graphs",
    "io",
    "labelled",
    "linear",
    "models",
    "operators",
    "optim",
    "policy",
    "power_growth",
    "rational",
    "restless",
    "robust",
    "sampling",
    "solution",
    "spectral",
    "statistics",
    "streaming",
    "system_identification",
    "tabular",
    "testing",
    "undiscounted",
)
__all__ = ["__version__", *_PUBLIC, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from mdplib.action_sets import Ball as Ball
    from mdplib.action_sets import FiniteArms as FiniteArms
    from mdplib.action_sets import Polytope as Polytope
    from mdplib.dynamical_bandit import DynamicalLinearBandit as DynamicalLinearBandit
    from mdplib.errors import InvalidModelError as InvalidModelError
    from mdplib.errors import MdplibError as MdplibError
    from mdplib.errors import MissingExtraError as MissingExtraError
    from mdplib.errors import NotApplicableError as NotApplicableError
    from mdplib.errors import SolverError as SolverError
    from mdplib.features import Features as Features
    from mdplib.io import read as read
    from mdplib.io import read_with_report as read_with_report
    from mdplib.io import write as write
    from mdplib.labelled import LabelledMDP as LabelledMDP
    from mdplib.linear import LinearMDP as LinearMDP
    from mdplib.linear_offline import LinearData as LinearData
    from mdplib.policy import DeterministicPolicy as DeterministicPolicy
    from mdplib.policy import MarkovPolicy as MarkovPolicy
    from mdplib.policy import StochasticPolicy as StochasticPolicy
    from mdplib.robust import RobustDual as RobustDual
    from mdplib.robust import Robustness as Robustness
    from mdplib.solution import Provenance as Provenance
    from mdplib.solution import Solution as Solution
    from mdplib.solution import Stats as Stats
    from mdplib.solution import Status as Status
    from mdplib.tabular import TabularMDP as TabularMDP
    from mdplib.undiscounted import UndiscountedMDP as UndiscountedMDP


def __getattr__(name: str):
    """Load a public name or module on first use (PEP 562)."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return import_module(f"mdplib.{name}")
    raise AttributeError(f"module 'mdplib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
