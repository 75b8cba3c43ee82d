"""From rows to figures and judged claims; reads and writes files only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.claims import judged
from experiments.engine.cells import Experiment, Scale, keyed_cells
from experiments.engine.store import Store, write_json
from experiments.style import paper, save


def publish(experiment: Experiment, scale: Scale, results: Path) -> dict[str, Any]:
    """Analyse the finished rows of a scale, draw the figures, judge the claims.

    Parameters
    ----------
    experiment : Experiment
        Whose rows.
    scale : {"smoke", "default", "paper"}
        Only rows of this scale are used, so that figures do not depend on other runs.
    results : Path
        The results folder.

    Returns
    -------
    dict
        What ``analysis.json`` holds: scale, counts of cells, claims with their judgement.
    """
    store = Store(results / experiment.name)
    finished = store.finished(experiment, scale)
    measured = {}
    if finished and experiment.analyse:
        analysis = experiment.analyse(finished)
        measured = analysis.measured
        with paper():
            for drawing in experiment.draw(analysis) if experiment.draw else ():
                save(drawing.figure, drawing.numbers, store.folder / "figures", drawing.name)
    summary = {
        "scale": scale,
        "cells": {"finished": len(finished), "total": len(keyed_cells(experiment, scale))},
        "claims": judged(experiment.expected, measured),
    }
    write_json(store.folder / "analysis.json", summary)
    return summary
