"""Measure the compiled bandit learners against rounds played one by one in Python, and at scale.

``python -m benchmarks.bandits`` prints a table and writes build/bench/bandits.json. What is timed:
a whole call from the bandit to regret at checkpoints, on one thread and after compilation; of both
programs alike the noise is made within. Times are medians; ratios are between numbers of the same
run. Both play under the same noise once and must agree. The large run plays ten algorithms.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bandits import reference
from mdplib import models
from mdplib.bandit_simulation import noise_block
from solvers import bandits

ROOT = Path(__file__).parents[2]
SECONDS, RATIO, MINUTES, GIB = 0.2, 200, 10.0, 2.0  # what is aimed at
TEN = (
    "dynlin_log", "dynlin_one", "dynlin_certified", "rs_dynlin", "lin_ucb_log", "lin_ucb",
    "d_lin_ucb", "ar2", "exp3", "batch_exp3",
)  # fmt: skip


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bandits", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and seeds, in seconds")
    parser.add_argument("--repeats", type=int, default=7, help="runs per median (default 7)")
    parser.add_argument("--no-scale", action="store_true", help="leave out the large run")
    parser.add_argument("--threads", type=int, help="threads of the large run")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder")
    return parser.parse_args(given)


def median(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Return the median of the seconds that calls took, by the clock and by the processor."""
    wall, cpu = [], []
    for _ in range(repeats):
        begun = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - begun[0])
        cpu.append(time.process_time() - begun[1])
    return statistics.median(wall), statistics.median(cpu)


def agreement(rounds: int = 3000) -> float:
    """Return the largest difference of regrets and certificates under the same noise."""
    bandit = models.dlb_synthetic()
    told = bandit.constants()
    noise = np.stack([noise_block(5, i, 0, rounds) for i in range(1 + bandit.n_states)], axis=1)
    regret, certificate, worst = reference.play(bandit, told, math.log(rounds), rounds, 5, noise)
    marks = np.arange(1, rounds + 1)
    ours = bandits.run(
        bandit, {"it": bandits.DynLinUCB("paper", "log_T")}, rounds, [5], checkpoints=marks,
        threads=1,
    )["it"]  # fmt: skip
    return float(
        max(
            np.abs(ours.regret[0] - regret).max(),
            np.abs(ours.certificate[0] - certificate).max() / certificate[-1],
            abs(ours.ratio[0, -1] - worst),
        )
    )


def compare(T: int, plain: int, repeats: int) -> dict[str, Any]:
    """Time one seed of DynLin-UCB, compiled for T rounds and plain for `plain` rounds."""
    bandit = models.dlb_synthetic()
    told = bandit.constants()
    algorithm = {"it": bandits.DynLinUCB("paper", "log_T")}
    difference = agreement()

    def ours() -> None:
        bandits.run(bandit, algorithm, T, 1, threads=1)

    def theirs() -> None:
        reference.play(bandit, told, math.log(plain), plain, 0)

    ours()
    wall, cpu = median(ours, repeats)
    slow, slow_cpu = median(theirs, max(3, repeats // 2))
    row = {
        "T": T,
        "seconds": wall,
        "cpu_s": cpu,
        "ns_per_round": 1e9 * wall / T,
        "plain_us_per_round": 1e6 * slow / plain,
        "ratio": slow / plain / (wall / T),
        "ratio_cpu": slow_cpu / plain / (cpu / T),
        "largest_difference": difference,
    }
    _say(
        f"DynLin-UCB, one seed, T={T}: {wall:.3f} s ({cpu:.3f} s of the processor; aim {SECONDS} s "
        f"for 1e6), {row['ns_per_round']:.0f} ns per round"
    )
    _say(
        f"plain Python: {row['plain_us_per_round']:.1f} us per round, {row['ratio']:.0f} times "
        f"slower ({row['ratio_cpu']:.0f} by processor time; aim {RATIO}); results differ by "
        f"{difference:.1e}"
    )
    return row


def each(T: int) -> dict[str, float]:
    """Return nanoseconds of the processor per round, noise included, of every algorithm."""
    bandit, found = models.dlb_synthetic(), {}
    for name, algorithm in bandits.standard(bandit).items():
        _, cpu = median(lambda a=algorithm: bandits.run(bandit, {"it": a}, T, 1, threads=1), 3)
        found[name] = 1e9 * cpu / T
        _say(f"  {name:18} {found[name]:6.0f} ns per round")
    return found


def scale(T: int, seeds: int, threads: int | None) -> dict[str, Any]:
    """Time ten algorithms."""
    bandit = models.dlb_synthetic()
    all_ = bandits.standard(bandit)
    begun = time.perf_counter(), time.process_time()
    bandits.run(bandit, {name: all_[name] for name in TEN}, T, seeds, threads=threads)
    wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    row = {"T": T, "seeds": seeds, "seconds": wall, "cpu_s": cpu, "peak_gib": peak() / 2**30}
    _say(
        f"ten algorithms, {seeds} seeds, T={T}: {wall:.1f} s ({cpu:.1f} s of the processor; aim "
        f"{MINUTES:g} min for 50 seeds of 1e6), peak {row['peak_gib']:.2f} GiB (aim {GIB:g})"
    )
    return row


def peak() -> int:
    """Return the peak of resident memory of this process, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(given: Sequence[str] | None = None) -> dict[str, Any]:
    """Run everything, print it, write it."""
    options = arguments(given)
    T, plain = (100_000, 3000) if options.quick else (1_000_000, 30_000)
    numbers: dict[str, Any] = {"machine": platform.machine(), "cores": os.cpu_count()}
    numbers["compare"] = compare(T, plain, 3 if options.quick else options.repeats)
    numbers["ns_per_round"] = each(T // 10)
    if not options.no_scale:
        size = (20_000, 4) if options.quick else (1_000_000, 50)
        numbers["scale"] = scale(*size, options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bandits.json").write_text(json.dumps(numbers, indent=1) + "\n")
    return numbers


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
