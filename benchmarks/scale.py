"""Build and solve a large model from a stream of rows, within a limit of memory.

The rows are those of a Garnet with stratified successors, drawn in batches and handed to
`mdplib.streaming.TabularBuilder` as they come. Times are those of the wall clock; the peak is the
largest resident memory of the process so far.

Run ``python -m benchmarks.scale``; ``--states 1000000`` for a smaller one.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mdplib import TabularMDP
from mdplib.streaming import Batch, from_rows

RELATIVE = 1e-6
_BATCH = 2**20  # transitions drawn at once


def rows(S: int, A: int, b: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Draw the rows of a Garnet, in batches for `mdplib.streaming.from_rows`."""
    edge = np.arange(b + 1) * S // b
    width = np.diff(edge)
    step = max(1, _BATCH // (A * b))
    for first in range(0, S, step):
        states = np.arange(first, min(first + step, S), dtype=np.int32)
        n = states.size * A
        successors = (edge[:-1] + np.floor(rng.random((n, b)) * width)).astype(np.int32)
        cuts = np.sort(rng.random((n, b - 1)), axis=1)
        p = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
        state, action = np.repeat(states, A), np.tile(np.arange(A, dtype=np.int32), states.size)
        indptr = np.arange(0, n * b + 1, b)
        yield state, action, rng.random(n), indptr, successors.reshape(-1), p.reshape(-1)


def peak() -> int:
    """Return the peak of resident memory of this process, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def model_bytes(mdp: TabularMDP) -> int:
    """Return the bytes of the arrays of a model."""
    arrays = (mdp.state_ptr, mdp.indptr, mdp.indices, mdp.data, mdp.reward, mdp.action_id)
    return sum(array.nbytes for array in arrays)


def main(given: Sequence[str] | None = None) -> dict[str, Any]:
    """Build, solve, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--states", type=int, default=10_000_000)
    parser.add_argument("--actions", type=int, default=4)
    parser.add_argument("--successors", type=int, default=5)
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--memory", type=float, default=24.0, help="limit in GiB (default 24)")
    parser.add_argument("--out", type=Path, help="write the numbers here, as JSON")
    options = parser.parse_args(given)
    limit = int(options.memory * 2**30)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    import solvers

    rng = np.random.default_rng(0)
    start = time.perf_counter()
    stream = rows(options.states, options.actions, options.successors, rng)
    mdp = from_rows(stream, options.gamma, n_states=options.states, max_bytes=limit)
    built = time.perf_counter()
    numbers: dict[str, Any] = {
        "model": repr(mdp),
        "model bytes": model_bytes(mdp),
        "build seconds": built - start,
        "peak after build": peak(),
    }
    _say(f"{mdp}, {numbers['model bytes'] / 2**30:.2f} GiB")
    _say(f"built in {built - start:.1f} s, peak {numbers['peak after build'] / 2**30:.2f} GiB")
    tol = RELATIVE * (1 + 0.5 / (1 - options.gamma))  # rewards are uniform on [0, 1)
    begun = time.perf_counter()
    solution = solvers.solve(mdp, options.method, tol=tol)
    numbers |= {
        "solve seconds": time.perf_counter() - begun,
        "peak": peak(),
        "status": solution.status.name,
        "gap": solution.gap,
        "iterations": solution.stats.iterations,
        "solver": solution.provenance.solver,
    }
    _say(
        f"solved in {numbers['solve seconds']:.1f} s by {numbers['solver']}: "
        f"{numbers['status']}, {numbers['iterations']} iterations, gap {solution.gap:.3g}; "
        f"peak {numbers['peak'] / 2**30:.2f} GiB"
    )
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(numbers, indent=1) + "\n")
    return numbers


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
