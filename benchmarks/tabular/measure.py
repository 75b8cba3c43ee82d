"""What a sweep, a tiny solve and a cold start take.

Bandwidth. A sweep reads 12 bytes per transition (successor and probability), 12 per pair (reward
and pointer) and 12 per state (pointer and V), and writes 12 per state (T V and its pair). That
over the time of `mdplib.operators.backup` is compared with the bandwidth of a copy, bytes read
and written, measured in the same run with one thread and with all. The gathers of V are not
counted: where V does not fit the cache they cost extra, and the share falls.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.tabular.instances import INSTANCES
from benchmarks.tabular.session import ROOT
from mdplib import TabularMDP, models

LARGE = ("garnet 1e5/16/20", "garnet 1e6/4/5", "garnet 1e6/4/20", "maze 1000x1000", "forest 1e6")
_COPIED = 2**26  # entries: 1 GiB read and written


@dataclass(frozen=True)
class Sweep:
    """The bandwidth of a sweep.

    Parameters
    ----------
    model : str
        The model.
    bytes : int
        What a sweep reads and writes at least.
    seconds : float
        Median time of a sweep.
    share : float
        Its bandwidth over that of the copy.
    """

    model: str
    bytes: int
    seconds: float
    share: float

    def row(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def seconds_of(run: Callable[[], object], repeats: int) -> list[float]:
    """Time a call several times, sorted; one more call before is not counted."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return sorted(times)


def copy_bandwidth(entries: int = _COPIED, repeats: int = 7) -> float:
    """Return the best bytes per second of a copy, over one thread and all of them."""
    import numba

    @numba.njit(parallel=True)
    def spread(source, target):
        for i in numba.prange(source.size):
            target[i] = source[i]

    source, target = np.ones(entries), np.zeros(entries)
    best = seconds_of(lambda: np.copyto(target, source), repeats)[0]
    best = min(best, seconds_of(lambda: spread(source, target), repeats)[0])
    return 16 * entries / best


def sweep_bytes(mdp: TabularMDP) -> int:
    """Return what a sweep reads and writes at least."""
    return 12 * mdp.nnz + 12 * mdp.n_pairs + 24 * mdp.n_states


def sweep(name: str, bandwidth: float, repeats: int = 7) -> Sweep:
    """Measure the sweep of one model."""
    from mdplib import operators

    mdp = INSTANCES[name].build(0.99)
    V = np.random.default_rng(0).random(mdp.n_states)
    seconds = statistics.median(seconds_of(lambda: operators.backup(mdp, V), repeats))
    moved = sweep_bytes(mdp)
    return Sweep(name, moved, seconds, moved / seconds / bandwidth)


def latency(states: int = 16, repeats: int = 500) -> float:
    """Return the median seconds of `solve` on a small model, everything compiled."""
    import solvers

    mdp = models.garnet(states, 4, 3, np.random.default_rng(0), gamma=0.99)
    return statistics.median(seconds_of(lambda: solvers.solve(mdp), repeats))


def cold_start() -> tuple[float, float]:
    """Return the seconds of the first solve of a fresh process, and of the process as a whole."""
    code = (
        "import time; start = time.perf_counter()\n"
        "import numpy as np, solvers\n"
        "from mdplib import models\n"
        "mdp = models.garnet(1000, 4, 5, np.random.default_rng(0), gamma=0.99)\n"
        "solvers.solve(mdp).require()\n"
        "print(time.perf_counter() - start)\n"
    )
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    found = (0.0, 0.0)
    for _ in range(2):  # the first run fills the caches of byte code and of machine code
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found = float(done.stdout), time.perf_counter() - start
    return found
