"""``mdplib list``: what there is."""

from __future__ import annotations

from argparse import Namespace

from bounds.catalogue import CATALOGUE
from experiments.catalogue import EXPERIMENTS
from mdplib import models
from solvers import METHODS


def run(options: Namespace) -> int:
    """Print experiments, solvers, models and theorems."""
    _section("experiments", EXPERIMENTS)
    _section("solvers", {name: f"{', '.join(m.requires)}; {m.cost}" for name, m in METHODS.items()})
    _section("models", {name: named.title for name, named in models.NAMED.items()})
    _section(
        "theorems", {name: f"{e.theorem.kind}; {e.theorem.source}" for name, e in CATALOGUE.items()}
    )
    return 0


def _section(title: str, entries: dict[str, str]) -> None:
    print(f"{title}:")
    width = max(map(len, entries), default=0)
    for name, text in entries.items():
        print(f"  {name:{width}}  {text}")
