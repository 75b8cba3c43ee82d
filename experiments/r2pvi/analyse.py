"""From rows to tables and measured quantities: figure 1, figure 2, guarantees, truth, ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.engine.cells import Analysis, Finished
from experiments.r2pvi import evidence, figure_one, figure_two
from experiments.r2pvi.ledger import ledger

EXPECTED = Path(__file__).with_name("expected.toml")


def analyse(finished: Sequence[Finished]) -> Analysis:
    """Return the tables of all figures, and the measured quantities that the claims speak of."""
    tables: dict[str, object] = {}
    measured = {}
    parts = (figure_one.analyse, figure_two.analyse, evidence.guarantees, evidence.truth)
    for part in parts:
        found, numbers = part(finished)
        tables |= found
        measured |= numbers
    tables |= evidence.sizes(finished) | figure_one.behaviours(finished)
    if measured:
        tables["ledger"] = ledger(EXPECTED, measured)
    return Analysis(tables, measured)
