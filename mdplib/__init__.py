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
    "UndiscountedMDP": "mdplib.undiscounted",
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
    "read": "mdplib.io",
    "read_with_report": "mdplib.io",
    "write": "mdplib.io",
}
_MODULES = (
    "certificates",
    "concentration",
    "exact",
    "graphs",
    "io",
    "labelled",
    "models",
    "operators",
    "optim",
    "policy",
    "rational",
    "sampling",
    "solution",
    "statistics",
    "streaming",
    "tabular",
    "testing",
    "undiscounted",
)
__all__ = ["__version__", *_PUBLIC, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from mdplib.errors import InvalidModelError as InvalidModelError
    from mdplib.errors import MdplibError as MdplibError
    from mdplib.errors import MissingExtraError as MissingExtraError
    from mdplib.errors import NotApplicableError as NotApplicableError
    from mdplib.errors import SolverError as SolverError
    from mdplib.io import read as read
    from mdplib.io import read_with_report as read_with_report
    from mdplib.io import write as write
    from mdplib.labelled import LabelledMDP as LabelledMDP
    from mdplib.policy import DeterministicPolicy as DeterministicPolicy
    from mdplib.policy import MarkovPolicy as MarkovPolicy
    from mdplib.policy import StochasticPolicy as StochasticPolicy
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
