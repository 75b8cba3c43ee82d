"""The process in which a library solves: one request per line of standard input, one answer out.

Requests and answers are JSON objects. ``build`` writes the arrays of an instance, ``load`` reads
them and makes an adapter, ``solve`` runs it at one discount factor, ``bounds`` proves bounds from
a vector. An answer holds the seconds of what was asked, by the wall clock and of CPU time, or
``error``. Whatever a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tabular import adapters

Seconds = dict[str, float]


class Worker:
    """Answers requests."""

    def __init__(self):
        self.adapter: Any = None

    def build(self, name: str, gamma: float, folder: str) -> dict[str, Any]:
        """Write an instance; its sizes."""
        from benchmarks.tabular.instances import INSTANCES

        mdp = INSTANCES[name].build(gamma)
        adapters.save(mdp, Path(folder))
        return {"states": mdp.n_states, "pairs": mdp.n_pairs, "nnz": mdp.nnz}

    def load(self, library: str, method: str, folder: str) -> dict[str, Any]:
        """Make an adapter, compiled on a model of three states before the clock starts."""
        kind = adapters.ADAPTERS[library]
        model = adapters.load(Path(folder))
        if kind.compiled:
            small = kind(_three_states(), method)
            small.solve(small.problem(0.9, 1e-3))
        clock = Clock()
        self.adapter = kind(model, method)
        return clock.read()

    def solve(
        self,
        gamma: float,
        epsilon: float,
        repeats: int,
        enough: float,
        values: str,
        bounds: bool = False,
    ) -> dict[str, Any]:
        """Solve several times, but not on after `enough` seconds; the vector goes to a file."""
        runs: list[Seconds] = []
        clock = Clock()
        problem = self.adapter.problem(gamma, epsilon)
        construction = clock.read()
        result: Any = None
        while len(runs) <= repeats and sum(run["wall"] for run in runs) < enough:
            if runs:
                problem = self.adapter.problem(gamma, epsilon)
            clock = Clock()
            result = self.adapter.solve(problem)
            runs.append(clock.read())
        V = self.adapter.value(result)
        if bounds:
            np.savez(values, V=V, lower=result.lower, upper=result.upper)
        else:
            np.savez(values, V=V)
        # the first run is the warm-up wherever there was time for another
        return {"construction": construction, "first": runs[0], "runs": runs[1:] or runs}

    def bounds(self, gamma: float, values: str) -> dict[str, Any]:
        """Prove bounds from a vector, as the library under test does."""
        from mdplib import certificates

        mdp, _ = self.adapter.problem(gamma, 1.0)
        with np.load(values) as stored:
            V = stored["V"]
        found = certificates.bracket(mdp, V)
        np.savez(values, V=V, lower=found.lower, upper=found.upper)
        return {}


class Clock:
    """Seconds since it was made."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> Seconds:
        """Return wall and CPU seconds; the lesser is what a quiet machine would take."""
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return {"wall": wall, "cpu": cpu, "least": min(wall, cpu)}


def _three_states() -> adapters.Arrays:
    """Two actions in each of three states, with full rows."""
    return {
        "state_ptr": np.arange(0, 7, 2, dtype=np.int32),
        "indptr": np.arange(0, 19, 3, dtype=np.int32),
        "indices": np.tile(np.arange(3, dtype=np.int32), 6),
        "data": np.tile([0.25, 0.25, 0.5], 6),
        "reward": np.arange(6.0),
        "action_id": np.tile(np.arange(2, dtype=np.int32), 3),
    }


def answer(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request asks for; whatever goes wrong becomes part of the answer."""
    try:
        return getattr(worker, request.pop("do"))(**request)
    except ImportError as error:
        return {"error": "absent", "detail": str(error)}
    except adapters.NotOffered as error:
        return {"error": "not offered", "detail": str(error)}
    except MemoryError as error:
        return {"error": "memory", "detail": str(error)}
    except Exception as error:  # noqa: BLE001 - a library may raise anything; it is reported
        out_of_memory = "alloc" in str(error) or "memory" in str(error).lower()
        return {
            "error": "memory" if out_of_memory else "failed",
            "detail": f"{type(error).__name__}: {error}"[:300],
        }


def main() -> None:
    """Answer until the input ends."""
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    if limit:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print
    worker = Worker()
    for line in sys.stdin:
        answers.write(json.dumps(answer(worker, json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
