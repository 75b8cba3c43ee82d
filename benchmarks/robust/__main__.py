"""Measure the robust offline methods against plain loops, and at scale.

``python -m benchmarks.robust`` prints a table and writes build/bench/robust.json. Times are medians
of one process pinned to one BLAS thread, by the wall clock and in seconds of the processor (which
other programs disturb less); ratios are between numbers of the same run. What is timed: a whole
call from data to solution; for the loops, from a list of trajectories to the weights. The large run
includes the making of features, whose share is told apart; ``--threads`` gives it more BLAS
threads, which pay on an idle machine and wait for each other on a busy one. Duals of the loops are
local searches: their w may differ from the global maxima, and for KL balls so does the range of
multipliers.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.robust.instances import Generated, random_data
from benchmarks.robust.reference import Name, from_data
from mdplib import _kernels
from mdplib.linear_offline import LinearData
from mdplib.robust import Divergence, Robustness

Scaled = Literal["tv", "kl", "chi2", "tv ball"]
ROOT = Path(__file__).parents[2]
PENALTY, RADIUS, FLOOR = 1.0, 0.1, "fail_state"
TARGETS = {"tv": 100, "kl": 100, "chi2": 80, "tv ball": 80}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robust", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small instance, a few seconds")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the loops (default 3)")
    parser.add_argument("--samples", type=int, default=1_000_000, help="trajectories at scale")
    parser.add_argument("--threads", type=int, default=1, help="BLAS threads of the large run")
    parser.add_argument("--no-scale", action="store_true", help="leave out the large run")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder")
    return parser.parse_args(given)


def methods(data: LinearData) -> dict[Name, Callable[[], Any]]:
    """Return the library's calls that match the loops."""
    import solvers

    def penalty(divergence: Divergence) -> Callable[[], Any]:
        return lambda: solvers.r2pvi(data, Robustness(divergence, PENALTY), vmin=FLOOR)

    def ball(divergence: Divergence) -> Callable[[], Any]:
        return lambda: solvers.drpvi(data, Robustness(divergence, RADIUS, "ball"), vmin=FLOOR)

    return {
        "pevi": lambda: solvers.pevi(data),
        "tv": penalty("tv"),
        "kl": penalty("kl"),
        "chi2": penalty("chi2"),
        "tv ball": ball("tv"),
        "kl ball": ball("kl"),
    }


def median(call: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """Return the median wall and processor seconds of `repeats` calls, and the last result."""
    wall, cpu, result = [], [], None
    for _ in range(repeats):
        begun = time.perf_counter(), time.process_time()
        result = call()
        wall.append(time.perf_counter() - begun[0])
        cpu.append(time.process_time() - begun[1])
    return statistics.median(wall), statistics.median(cpu), result


def compare(n: int, d: int, H: int, repeats: int) -> list[dict[str, Any]]:
    """Time library and loops on one data set, one BLAS thread."""
    data = random_data(n, d, H, np.random.default_rng(0))
    rows = []
    with threadpool_limits(1):
        for name, call in methods(data).items():
            call()
            ours, ours_cpu, solution = median(call, 25)
            c = RADIUS if "ball" in name else PENALTY
            theirs, theirs_cpu, w = median(
                lambda n=name, c=c: from_data(n, data, c).solve(), repeats
            )
            row = {
                "method": name,
                "ms": 1e3 * ours,
                "cpu_ms": 1e3 * ours_cpu,
                "loop_s": theirs,
                "loop_cpu_s": theirs_cpu,
                "ratio": theirs / ours,
                "cpu_ratio": theirs_cpu / ours_cpu,
                "target": TARGETS.get(name),
                "largest_difference_of_w": float(np.abs(np.array(w) - solution.w).max()),
            }
            rows.append(row)
            wanted = f"  (target {row['target']})" if row["target"] else ""
            _say(
                f"{name:8} {1e3 * ours:8.2f} ms   loops {theirs:7.2f} s   {row['ratio']:6.0f} times"
                f", {row['cpu_ratio']:5.0f} by the processor{wanted}   w differs by "
                f"{row['largest_difference_of_w']:.1e}"
            )
    return rows


def duals(count: int = 1000, support: int = 1000) -> float:
    """Time `count` chi-square duals of `support` atoms with signed weights."""
    rng = np.random.default_rng(0)
    weight = (1 + rng.normal(size=(count, support))) / support
    v, c = np.sort(rng.random(support)), np.full(count, 0.5)
    out, point = np.empty(count), np.empty(count)

    def call() -> None:
        _kernels.regression_duals.chi2_penalty(weight, v, c, 0.0, 1.0, 1.0, 1.0, out, point)

    call()
    return median(call, 9)[0]


def scale(n: int, d: int, H: int, name: Scaled) -> dict[str, Any]:
    """Time one large run beside the bare Gram product on the same rows."""
    from solvers import solve_blocks

    robustness = (
        Robustness("tv", RADIUS, "ball") if name == "tv ball" else Robustness(name, PENALTY)
    )
    source = Generated(n, d, H)
    begun = time.perf_counter(), time.process_time()
    found = solve_blocks(source, robustness)
    wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    gram, gram_cpu = bare_gram(source)
    row = {
        "method": name,
        "seconds": wall,
        "cpu_s": cpu,
        "source_s": found.source_s,
        "source_cpu_s": found.source_cpu_s,
        "gram_s": gram,
        "gram_cpu_s": gram_cpu,
        "solver_over_gram": (wall - found.source_s) / gram,
        "solver_over_gram_cpu": (cpu - found.source_cpu_s) / gram_cpu,
        "peak_gib": peak() / 2**30,
    }
    _say(
        f"n={n}, d={d}, H={H}, {name}: {wall:.1f} s ({cpu:.1f} s of the processor), of which "
        f"{found.source_s:.1f} s ({found.source_cpu_s:.1f} s) making features; bare Gram products "
        f"{gram:.1f} s ({gram_cpu:.1f} s): ratio {row['solver_over_gram']:.2f} "
        f"({row['solver_over_gram_cpu']:.2f}); peak {row['peak_gib']:.2f} GiB"
    )
    return row


def bare_gram(source: Generated) -> tuple[float, float]:
    """Wall and processor seconds of the products phi^T phi alone, all steps.

    The product of one step, on resident rows, is timed three times; the median is multiplied by H.
    """
    phi = np.concatenate([block.phi for block in source.blocks(0)])
    wall, cpu, _ = median(lambda: phi.T @ phi, 3)
    return source.horizon * wall, source.horizon * cpu


def peak() -> int:
    """Return the peak of resident memory of this process, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(given: Sequence[str] | None = None) -> dict[str, Any]:
    """Run everything, print it, write it."""
    options = arguments(given)
    n, d, H = (60, 5, 4) if options.quick else (1000, 30, 20)
    _say(f"K={n}, d={d}, H={H}, one BLAS thread")
    numbers: dict[str, Any] = {"n": n, "d": d, "H": H, "machine": platform.machine()}
    numbers["compare"] = compare(n, d, H, 1 if options.quick else options.repeats)
    with threadpool_limits(1):
        numbers["chi2_duals_s"] = duals()
    _say(f"1000 chi-square duals of support 1000: {numbers['chi2_duals_s']:.3f} s")
    if not options.no_scale:
        size = (20_000, 20, 3) if options.quick else (options.samples, 100, 20)
        with threadpool_limits(options.threads):
            numbers["scale"] = [scale(*size, name) for name in get_args(Scaled)]
    numbers["peak_gib"] = peak() / 2**30
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "robust.json").write_text(json.dumps(numbers, indent=1) + "\n")
    return numbers


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
