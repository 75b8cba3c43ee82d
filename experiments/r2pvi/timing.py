"""Cells of figure 2: seconds to train, read off this process's own clock.

The row holds what was learnt, which is the same everywhere; the seconds go to the clock. They are
seconds of processor time in one thread, the least of a few runs in turn, so that a busy machine
matters little. Data and features are made before the clock starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import CLOCK, Row, Streams
from experiments.r2pvi import option
from experiments.r2pvi.cells import TIMED_METHODS, Method, Timing
from experiments.r2pvi.loop import Loop
from experiments.r2pvi.methods import learn
from experiments.r2pvi.published import HORIZON
from mdplib import models
from solvers.robust.compat import Compat

Floats = NDArray[np.float64]
STRENGTH: dict[Method, float] = {
    "pevi": 0.0, "tv": 3.0, "kl": 3.0, "chi2": 3.0, "drpvi": 0.1, "drvi_l": 0.1,
}  # fmt: skip
LEAST_RUNS, LEAST_SECONDS, MOST_RUNS = 3, 0.06, 30
LOOP_CHI2 = 2000  # the loop runs chi-square, of unknown published time, up to this n at d = 30


def run(cell: Timing, streams: Streams) -> Row:
    """Return a number per method that tells what was learnt, and on the clock the seconds."""
    start = float(streams.instance.uniform(95.0, 105.0))
    rises = streams.env.random((cell.n, HORIZON)) < 0.5
    work = _library(start, rises, cell) if cell.code == "library" else _loop(start, rises, cell)
    learnt: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for method, train in work.items():
        began = time.process_time()
        learnt[f"size_{method}"] = float(f"{np.abs(train()).sum():.6g}")
        once = time.process_time() - began
        seconds[f"seconds_{method}"] = once if cell.code == "loop" else least_time(train)
    return learnt | {CLOCK: seconds}


def least_time(train: Callable[[], object]) -> float:
    """Return the least processor time of a few runs; the first one has warmed everything up."""
    spent: list[float] = []
    while len(spent) < LEAST_RUNS or (sum(spent) < LEAST_SECONDS and len(spent) < MOST_RUNS):
        began = time.process_time()
        train()
        spent.append(time.process_time() - began)
    return min(spent)


def _library(
    start: float, rises: NDArray[np.bool_], cell: Timing
) -> dict[Method, Callable[[], Floats]]:
    """Return the training of each method with its defaults, by this library."""
    put = models.american_put(start, d=cell.d, horizon=HORIZON)
    data, switches = option.dataset(put, rises), Compat(cap="horizon")

    def train(method: Method) -> Floats:
        (found,) = learn(
            data, method, (STRENGTH[method],), switches, beta=option.BETA, ridge=option.RIDGE
        )
        return found.w

    return {method: partial(train, method) for method in TIMED_METHODS}


def _loop(
    start: float, rises: NDArray[np.bool_], cell: Timing
) -> dict[Method, Callable[[], Floats]]:
    """Return the training of each method by the plain loop."""
    put = models.american_put(start, d=cell.d, horizon=HORIZON)
    data = option.dataset(put, rises)
    state = np.concatenate([data.pair // 2, data.next[-1:]])
    phi, payoff = put.hats(put.prices)[state], put.payoff[state]
    chosen: list[Method] = [
        m for m in TIMED_METHODS if m != "chi2" or cell.n * cell.d <= LOOP_CHI2 * 30
    ]
    return {m: Loop(m, phi, payoff, STRENGTH[m], option.BETA, option.RIDGE).train for m in chosen}
