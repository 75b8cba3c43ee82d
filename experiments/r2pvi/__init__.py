"""Robust regularised pessimism on linear models: the published experiments, and beyond."""

from pathlib import Path

from experiments.catalogue import EXPERIMENTS
from experiments.engine.cells import Experiment
from experiments.r2pvi import analyse, cells, figures, run

EXPERIMENT = Experiment(
    name="r2pvi",
    title=EXPERIMENTS["r2pvi"],
    epoch=1,
    seed=20261123,
    cells=cells.cells,
    run=run.run,
    analyse=analyse.analyse,
    draw=figures.draw,
    expected=str(Path(__file__).with_name("expected.toml")),
)
