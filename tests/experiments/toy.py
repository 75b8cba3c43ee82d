"""A toy experiment that worker processes can import."""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.engine.cells import Experiment


@dataclass(frozen=True)
class Cell:
    n: int
    algorithm: str
    replicate: int = 0


def cells(scale):
    sizes = {"smoke": 2, "default": 4, "paper": 6}
    for n in range(sizes[scale]):
        for algorithm in ("a", "b"):
            yield Cell(n, algorithm)


def run(cell, streams):
    return {
        "noise": streams.env.random(),
        "many": streams.algorithm.random(3),
        "infinite": float("inf") if cell.n else None,
        "n_squared": cell.n**2,
    }


def fails_for_one(cell, streams):
    if cell == Cell(1, "b"):
        raise ValueError("cell 1b is bad")
    return run(cell, streams)


def fails_at_first(cell, streams):
    """Fail at the first attempt of each cell; the file remembers."""
    mark = Path(os.environ["TOY_MARKS"]) / f"{cell.n}{cell.algorithm}"
    if cell.n == 0 and not mark.exists():
        mark.touch()
        raise ValueError("only once")
    return run(cell, streams)


def kills_its_worker(cell, streams):
    if cell == Cell(1, "b"):
        os._exit(7)
    return run(cell, streams)


def slow(cell, streams):
    """Append to a log, so that tests can count computations."""
    with open(os.environ["TOY_LOG"], "a") as log:
        log.write(f"{cell.n}{cell.algorithm}\n")
    time.sleep(0.2)
    return run(cell, streams)


def hear_interrupts():
    """Undo what a shell without job control does to what it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def held(cell, streams):
    """Stop before the seventh cell until somebody interrupts."""
    while cell.n >= 3:
        time.sleep(0.05)
    return run(cell, streams)


def nan(cell, streams):
    return {"x": float("nan")}


def toy(run=run, **changes):
    toy = Experiment("toy", "A toy", epoch=1, seed=7, cells=cells, run=run)
    return replace(toy, **changes)


def leaks_the_process(cell, streams):
    """A broken run: its row depends on where it ran."""
    return run(cell, streams) | {"pid": os.getpid()}
