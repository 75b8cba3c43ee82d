"""Certified gap against sweeps for every tabular solver."""

from pathlib import Path

from experiments.catalogue import EXPERIMENTS
from experiments.engine.cells import Experiment
from experiments.sweeps import analyse, cells, figures, run

EXPERIMENT = Experiment(
    name="sweeps",
    title=EXPERIMENTS["sweeps"],
    epoch=1,
    seed=20261122,
    cells=cells.cells,
    run=run.run,
    analyse=analyse.analyse,
    draw=figures.draw,
    expected=str(Path(__file__).with_name("expected.toml")),
)
