"""Solvers of models with grouped actions."""

from importlib import import_module

_PUBLIC = {
    "Planned": "solvers.grouping.planning",
    "plan": "solvers.grouping.planning",
    "evaluate": "solvers.grouping.planning",
    "GroupedSolution": "solvers.grouping.q_iteration",
    "grouped_q_iteration": "solvers.grouping.q_iteration",
    "Candidate": "solvers.grouping.selection",
    "candidates": "solvers.grouping.selection",
    "select": "solvers.grouping.selection",
    "select_priced": "solvers.grouping.selection",
    "ActionSampler": "solvers.grouping.cheap",
    "cheap_selection": "solvers.grouping.cheap",
    "partitions": "solvers.grouping.enumeration",
    "best_groupings": "solvers.grouping.enumeration",
    "grouping_losses": "solvers.grouping.enumeration",
    "complete_linkage": "solvers.grouping.clustering",
    "farthest_first": "solvers.grouping.clustering",
    "diameters": "solvers.grouping.clustering",
    "smallest_diameter": "solvers.grouping.diameter",
    "best_intervals": "solvers.grouping.intervals",
    "interval_diameters": "solvers.grouping.intervals",
    "interval_overlaps": "solvers.grouping.intervals",
    "value_aware": "solvers.grouping.covering",
    "value_aware_grouping": "solvers.grouping.covering",
    "representatives": "solvers.grouping.covering",
    "shrunk_model": "solvers.grouping.shrinkage",
    "certified_refinement": "solvers.grouping.refinement",
    "eliminated": "solvers.grouping.refinement",
}


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'solvers.grouping' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_PUBLIC)
