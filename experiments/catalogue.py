"""Every experiment by name; its module is imported on first use."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from mdplib.errors import MdplibError

if TYPE_CHECKING:
    from experiments.engine.cells import Experiment

EXPERIMENTS: dict[str, str] = {
    "plugin": "Plug-in policies: suboptimality against samples",
    "r2pvi": "Robust regularised pessimism on linear models: a replication",
    "dynlin": "Dynamical linear bandits: regret of optimistic learners and their rivals",
    "sequoia": "Coupled restless bandits: SEQUOIA, its rivals, and a certificate on every run",
    "grouping": "Groups of actions: approximation against estimation",
    "sweeps": "Certified gap against sweeps for every tabular solver",
}


def load(name: str) -> Experiment:
    """Return an experiment.

    Parameters
    ----------
    name : str
        A name in `EXPERIMENTS`.

    Raises
    ------
    MdplibError
        If there is none of that name; near matches are given.

    Examples
    --------
    >>> load("plugins")
    Traceback (most recent call last):
    ...
    mdplib.errors.MdplibError: no experiment 'plugins'; did you mean 'plugin'? known: ...
    """
    if name not in EXPERIMENTS:
        near = get_close_matches(name, EXPERIMENTS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise MdplibError(f"no experiment {name!r}; {hint}known: all, {', '.join(EXPERIMENTS)}")
    return import_module(f"experiments.{name}").EXPERIMENT


def chosen(name: str) -> list[str]:
    """Return the names that ``all`` or one name stands for."""
    return list(EXPERIMENTS) if name == "all" else [name]
