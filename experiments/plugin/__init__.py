"""Suboptimality of the plug-in policy against samples per state-action pair."""

from pathlib import Path

from experiments.catalogue import EXPERIMENTS
from experiments.engine.cells import Experiment
from experiments.plugin.analyse import analyse
from experiments.plugin.cells import cells
from experiments.plugin.figures import draw
from experiments.plugin.run import run

EXPERIMENT = Experiment(
    name="plugin",
    title=EXPERIMENTS["plugin"],
    epoch=1,
    seed=20261122,
    cells=cells,
    run=run,
    analyse=analyse,
    draw=draw,
    expected=str(Path(__file__).with_name("expected.toml")),
)
