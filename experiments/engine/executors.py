"""Who computes: one core, all cores (loky), or a Dask cluster, with the same rows.

Only plain data travels: a `Task` goes out, an `Outcome` comes back, and the caller writes the
files, so a cluster needs no shared folder. A task whose cell raises is attempted a second
time after the others. When a worker dies, the tasks it may have been running are repeated one at
a time, so that only the guilty one fails.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args

from experiments.engine.cells import CLOCK, Experiment, Row, check_row
from mdplib.errors import MdplibError, MissingExtraError
from mdplib.sampling import Streams, streams

ExecutorName = Literal["serial", "loky", "dask"]
EXECUTORS: tuple[ExecutorName, ...] = get_args(ExecutorName)
ATTEMPTS = 2
ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
Launch = Callable[[], AbstractContextManager[tuple[Executor, int]]]


@dataclass(frozen=True)
class Task:
    """One cell to compute, with all that a worker needs."""

    key: str
    cell: Any
    run: Callable[[Any, Streams], Row]
    experiment: str
    seed: int
    allow_nan: bool


@dataclass(frozen=True)
class Outcome:
    """A computed row, or the traceback that took its place.

    Parameters
    ----------
    task : Task
        What was computed.
    row : dict, optional
        Plain values; None after a failure.
    error : str
        Traceback of a failure.
    wall_s, cpu_s : float
        Seconds of the last attempt.
    host : str
        Where it ran.
    clock : dict
        What the cell itself read off a clock, see `experiments.engine.cells.CLOCK`.
    """

    task: Task
    row: Row | None = None
    error: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    host: str = ""
    clock: Row = field(default_factory=dict)


def tasks_for(experiment: Experiment, cells: dict[str, Any]) -> list[Task]:
    """Return a task per keyed cell."""
    e = experiment
    return [Task(key, cell, e.run, e.name, e.seed, e.allow_nan) for key, cell in cells.items()]


@contextmanager
def single_threaded() -> Iterator[None]:
    """Hold numerical libraries to one thread: no oversubscription, and the same sums everywhere."""
    from threadpoolctl import threadpool_limits

    numba = sys.modules.get("numba")
    before = numba.get_num_threads() if numba else 1
    with threadpool_limits(1):
        if numba:
            numba.set_num_threads(1)
        try:
            yield
        finally:
            if numba:
                numba.set_num_threads(before)


def perform(task: Task) -> Outcome:
    """Compute one cell; whatever it raises is returned, not lost."""
    wall, cpu = time.perf_counter(), time.process_time()
    row, error, clock = None, "", {}
    generators = streams(task.seed, task.experiment, getattr(task.cell, "replicate", 0))
    try:
        with single_threaded():
            found = task.run(task.cell, generators)
            if isinstance(found, dict) and CLOCK in found:
                clock = check_row(found[CLOCK], task.cell, allow_nan=False)
                found = {name: value for name, value in found.items() if name != CLOCK}
            row = check_row(found, task.cell, allow_nan=task.allow_nan)
    except Exception:  # noqa: BLE001  stored beside the rows, retried and reported
        error = traceback.format_exc()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Outcome(task, row, error, wall, cpu, socket.gethostname(), clock)


def execute(tasks: list[Task], launch: Launch) -> Generator[Outcome, None, None]:
    """Yield one outcome per task, as they come.

    Parameters
    ----------
    tasks : list of Task
        What to compute.
    launch : callable
        Opens an executor and says how many tasks it should hold at once; see `launcher`.

    Yields
    ------
    Outcome
        A task that failed is attempted twice before it is yielded as failed.
    """
    waiting, suspects = deque(tasks), deque[Task]()
    attempts: Counter[str] = Counter()
    while waiting or suspects:
        with launch() as (pool, width):
            running: dict[Future[Outcome], Task] = {}
            intact = True
            while intact and (waiting or suspects or running):
                while (waiting or suspects) and len(running) < (1 if suspects else width):
                    queue = suspects or waiting
                    try:
                        running[pool.submit(perform, queue[0])] = queue[0]
                    except BrokenExecutor:  # a worker died; the running tasks will say so
                        break
                    queue.popleft()
                alone = len(running) == 1
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                intact = bool(running)
                for future in done:
                    task, crash = running.pop(future), _crash(future)
                    if isinstance(crash, BrokenExecutor):
                        intact = False
                        if not alone:
                            suspects.append(task)
                            continue
                    outcome = _lost(task, crash) if crash else future.result()
                    attempts[task.key] += 1
                    if outcome.error and attempts[task.key] < ATTEMPTS:
                        waiting.append(task)
                    else:
                        yield outcome
            suspects.extend(running.values())


def _crash(future: Future[Outcome]) -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()


def _lost(task: Task, crash: BaseException) -> Outcome:
    """Describe a task whose worker died or could not be reached."""
    text = "".join(traceback.format_exception(crash))
    return Outcome(task, error=f"{text}\nThe worker that ran this cell was lost.\n")


def launcher(name: ExecutorName, jobs: int | None = None, address: str | None = None) -> Launch:
    """Return what `execute` needs to open an executor.

    Parameters
    ----------
    name : {"serial", "loky", "dask"}
        In this process; in `jobs` processes; on a Dask cluster.
    jobs : int, optional
        Number of worker processes; by default one per usable core.
    address : str, optional
        Dask scheduler; by default a cluster of `jobs` processes on this machine.

    Raises
    ------
    MdplibError
        If jobs < 1, or an address is given to another executor than dask.
    """
    if jobs is not None and jobs < 1:
        raise MdplibError(f"--jobs {jobs}: need at least one")
    if address is not None and name != "dask":
        raise MdplibError(f"--address {address}: only --executor dask takes an address")
    if name == "serial":
        return lambda: nullcontext((_Immediate(), 1))
    if name == "loky":
        return partial(_loky, jobs or _usable_cores())
    return partial(_dask, jobs or _usable_cores(), address)


def _usable_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class _Immediate(Executor):
    """Runs each task at once, in this process."""

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def _follow(parent: int) -> None:
    """Make this worker end with its parent, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)  # the parent was killed

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _loky(jobs: int) -> Iterator[tuple[Executor, int]]:
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(jobs, initializer=_follow, initargs=(os.getpid(),), env=ONE_THREAD)
    try:
        yield pool, 2 * jobs
    except BaseException:
        pool.shutdown(wait=True, kill_workers=True)
        raise
    pool.shutdown(wait=True)


@contextmanager
def _dask(jobs: int, address: str | None) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise MissingExtraError("cluster", "distributed") from None

    if address is None:
        place = LocalCluster(n_workers=jobs, threads_per_worker=1, **_LOCAL_CLUSTER)
    else:
        place = nullcontext(address)
    with place as target:
        try:
            client = Client(target, timeout=20)
        except OSError as error:
            raise MdplibError(
                f"no Dask scheduler answers at {address} ({error}); check --address"
            ) from None
        with client:
            client.wait_for_workers(1, timeout=60)
            counts: Any = client.ncores()
            yield client.get_executor(pure=False, retries=0), 2 * sum(counts.values())


_LOCAL_CLUSTER: dict[str, Any] = {
    "dashboard_address": ":0",
    "memory_limit": 0,  # no limit
    "silence_logs": 50,
    "env": ONE_THREAD,
    "preload": ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"],
}
