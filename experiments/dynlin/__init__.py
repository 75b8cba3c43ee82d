"""Dynamical linear bandits: regret of optimistic learners and their rivals."""

from pathlib import Path

from experiments.catalogue import EXPERIMENTS
from experiments.dynlin import analyse, cells, figures, run
from experiments.engine.cells import Experiment

EXPERIMENT = Experiment(
    name="dynlin",
    title=EXPERIMENTS["dynlin"],
    epoch=1,
    seed=20261123,
    cells=cells.cells,
    run=run.run,
    analyse=analyse.analyse,
    draw=figures.draw,
    expected=str(Path(__file__).with_name("expected.toml")),
)
