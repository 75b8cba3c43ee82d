"""Run the missing cells of an experiment and keep every finished row.

A sweep may be stopped at any moment, killed, or run twice at once on one folder: finished rows
are complete files, they are reused and never recomputed, and equal cells give equal bytes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.engine.cells import CLOCK, Experiment, Scale, address, cell_values, keyed_cells
from experiments.engine.executors import ExecutorName, Outcome, execute, launcher, tasks_for
from experiments.engine.progress import progress
from experiments.engine.provenance import surroundings
from experiments.engine.store import DamagedRowError, Store, open_results, write_json
from mdplib.errors import MdplibError

Say = Callable[[str], None]


@dataclass
class Tally:
    """What a sweep did.

    Parameters
    ----------
    total, reused, run : int
        Cells of the scale, rows found, rows computed.
    failed : dict
        Outcome of each cell that failed, by key.
    """

    total: int = 0
    reused: int = 0
    run: int = 0
    failed: dict[str, Outcome] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.total} cells: {self.run} computed, {self.reused} reused, "
            f"{len(self.failed)} failed"
        )


def missing_cells(
    experiment: Experiment, scale: Scale, store: Store, say: Say = lambda text: None
) -> dict[str, Any]:
    """Return the cells of a scale without a sound row, by key.

    A damaged row is named, moved aside and counted as missing.
    """
    missing = {}
    for key, cell in keyed_cells(experiment, scale).items():
        try:
            if store.read_record(key) is not None:
                continue
        except DamagedRowError:
            place = store.path("rows", key)
            say(f"{place} is damaged: moved to {store.set_aside(key)}, will be computed again")
        missing[key] = cell
    return missing


def sweep(
    experiment: Experiment,
    scale: Scale,
    results: Path,
    *,
    executor: ExecutorName = "serial",
    jobs: int | None = None,
    scheduler: str | None = None,
    say: Say = lambda text: None,
) -> Tally:
    """Compute every missing cell of a scale.

    Parameters
    ----------
    experiment : Experiment
        What to run.
    scale : {"smoke", "default", "paper"}
        How much of it.
    results : Path
        The results folder.
    executor, jobs, scheduler
        Where to run it; see `experiments.engine.executors.launcher`.
    say : callable
        Receives one-line messages.

    Returns
    -------
    Tally
        Counts, and the cells that failed twice; their tracebacks are in ``failures/``.

    Raises
    ------
    MdplibError
        If the folder has another layout or cannot be written. Finished rows are kept.
    """
    launch = launcher(executor, jobs, scheduler)
    began, tally = datetime.now(UTC), Tally(total=len(keyed_cells(experiment, scale)))
    with _writing(results, tally):
        store = Store(open_results(results) / experiment.name)
        store.clean()
        todo = missing_cells(experiment, scale, store, say)
    tally.reused = tally.total - len(todo)
    try:
        with (
            progress(experiment.name, tally.total, tally.reused) as advance,
            closing(execute(tasks_for(experiment, todo), launch)) as outcomes,
        ):
            for outcome in outcomes:
                with _writing(store.folder, tally):
                    _keep(experiment, store, outcome, tally)
                advance()
    finally:
        if todo:
            with suppress(OSError):
                _write_manifest(store, experiment, scale, executor, began, tally)
    return tally


@contextmanager
def _writing(folder: Path, tally: Tally) -> Iterator[None]:
    """Turn a full disk or a folder without permission into one sentence with a remedy."""
    try:
        yield
    except OSError as error:
        raise MdplibError(
            f"cannot use {error.filename or folder}: {error.strerror or error}; "
            f"{tally.reused + tally.run} finished rows are kept: free space or choose another "
            "folder with --results, then run the same command again"
        ) from error


def _keep(experiment: Experiment, store: Store, outcome: Outcome, tally: Tally) -> None:
    """Write what a task left behind."""
    key, cell = outcome.task.key, outcome.task.cell
    if outcome.row is None:
        tally.failed[key] = outcome
        failure = {"cell": cell_values(cell), "traceback": outcome.error, "host": outcome.host}
        write_json(store.path("failures", key), failure)
        return
    store.write_row(address(experiment, cell), outcome.row)
    tally.run += 1
    timing = {"wall_s": outcome.wall_s, "cpu_s": outcome.cpu_s, "host": outcome.host}
    if outcome.clock:
        timing[CLOCK] = outcome.clock
    write_json(store.path("timings", key), timing)


def _write_manifest(
    store: Store,
    experiment: Experiment,
    scale: Scale,
    executor: ExecutorName,
    began: datetime,
    tally: Tally,
) -> None:
    manifest = surroundings() | {
        "experiment": experiment.name,
        "epoch": experiment.epoch,
        "seed": experiment.seed,
        "scale": scale,
        "executor": executor,
        "started": began.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "cells": {
            "total": tally.total,
            "run": tally.run,
            "reused": tally.reused,
            "failed": len(tally.failed),
        },
    }
    stamp = began.strftime("%Y%m%dT%H%M%S.%f")
    name = f"{stamp}-{socket.gethostname()}-{os.getpid()}.json"
    write_json(store.folder / "runs" / name, manifest)
