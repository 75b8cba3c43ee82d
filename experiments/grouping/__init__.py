"""Grouped actions: the trade-off between approximation and estimation, exactly judged."""

from pathlib import Path

from experiments.catalogue import EXPERIMENTS
from experiments.engine.cells import Experiment
from experiments.grouping import analyse, cells, figures, run

EXPERIMENT = Experiment(
    name="grouping",
    title=EXPERIMENTS["grouping"],
    epoch=1,
    seed=20261123,
    cells=cells.cells,
    run=run.run,
    analyse=analyse.analyse,
    draw=figures.draw,
    expected=str(Path(__file__).with_name("expected.toml")),
)
