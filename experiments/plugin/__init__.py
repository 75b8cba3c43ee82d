"""Suboptimality of the plug-in policy against samples per state-action pair."""

from pathlib import Path

from experiments.catalogue import EXPERIMENTS
from experiments.engine.cells import Experiment
from experiments.plugin import analyse, cells, figures, run

EXPERIMENT = Experiment(
    name="plugin",
    title=EXPERIMENTS["plugin"],
    epoch=1,
    seed=20261122,
    cells=cells.cells,
    run=run.run,
    analyse=analyse.analyse,
    draw=figures.draw,
    expected=str(Path(__file__).with_name("expected.toml")),
)
