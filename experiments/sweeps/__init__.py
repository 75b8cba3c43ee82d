"""Certified gap against sweeps for every tabular solver."""

from pathlib import Path

from experiments.catalogue import EXPERIMENTS
from experiments.engine.cells import Experiment
from experiments.sweeps.analyse import analyse
from experiments.sweeps.cells import cells
from experiments.sweeps.figures import draw
from experiments.sweeps.run import run

EXPERIMENT = Experiment(
    name="sweeps",
    title=EXPERIMENTS["sweeps"],
    epoch=1,
    seed=20261122,
    cells=cells,
    run=run,
    analyse=analyse,
    draw=draw,
    expected=str(Path(__file__).with_name("expected.toml")),
)
