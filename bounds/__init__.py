"""What theory promises, as objects that can be held against computed instances.

A `Theorem` has hypotheses and two sides; `check` returns a `Verdict`: HOLDS, VIOLATED, VACUOUS,
NOT_APPLICABLE or INCONCLUSIVE, with the evidence. `bounds.catalogue.CATALOGUE` lists the theorems,
each with an instance where it is tight, a mutant that must be caught, and one instance per
hypothesis that breaks it.

Examples
--------
>>> from bounds import catalogue
>>> entry = catalogue.CATALOGUE["denardo1967:contraction"]
>>> entry.theorem.check(entry.tight())
denardo1967:contraction: HOLDS. Holds on 1 of 1 instances; largest lhs / rhs is 1.
"""

from importlib import import_module
from typing import TYPE_CHECKING

_PUBLIC = {
    "Case": "bounds.case",
    "Entry": "bounds.theorem",
    "Hypothesis": "bounds.theorem",
    "Instance": "bounds.instance",
    "Model": "bounds.model",
    "Outcome": "bounds.verdict",
    "Rate": "bounds.theorem",
    "Theorem": "bounds.theorem",
    "Verdict": "bounds.verdict",
    "check": "bounds.checker",
    "check_all": "bounds.suite",
    "check_entry": "bounds.suite",
    "load": "bounds.subject",
    "plugin_bound": "bounds.plugin",
}
_MODULES = ("catalogue", "references")
__all__ = [
    "Case",
    "Entry",
    "Hypothesis",
    "Instance",
    "Model",
    "Outcome",
    "Rate",
    "Theorem",
    "Verdict",
    "catalogue",
    "check",
    "check_all",
    "check_entry",
    "load",
    "plugin_bound",
    "references",
]

if TYPE_CHECKING:
    from bounds import catalogue, references
    from bounds.case import Case
    from bounds.checker import check
    from bounds.instance import Instance
    from bounds.model import Model
    from bounds.plugin import plugin_bound
    from bounds.subject import load
    from bounds.suite import check_all, check_entry
    from bounds.theorem import Entry, Hypothesis, Rate, Theorem
    from bounds.verdict import Outcome, Verdict


def __getattr__(name: str):
    """Load a public name or module on first use (PEP 562)."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return import_module(f"bounds.{name}")
    raise AttributeError(f"module 'bounds' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
