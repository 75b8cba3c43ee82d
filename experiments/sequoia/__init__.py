"""Coupled restless bandits: SEQUOIA, its rivals, and a certificate on every run."""

from pathlib import Path

from experiments.catalogue import EXPERIMENTS
from experiments.engine.cells import Experiment
from experiments.sequoia import analyse, cells, figures, run

EXPERIMENT = Experiment(
    name="sequoia",
    title=EXPERIMENTS["sequoia"],
    epoch=2,
    seed=20261123,
    cells=cells.cells,
    run=run.run,
    analyse=analyse.analyse,
    draw=figures.draw,
    expected=str(Path(__file__).with_name("expected.toml")),
)
