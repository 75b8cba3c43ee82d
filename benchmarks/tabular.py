"""Speed of the tabular solvers against a plain reference, as ratios within one run.

The reference is value iteration with one sparse product per sweep (scipy), stopped by the norm
bound ``gamma ||T V - V|| / (1 - gamma) <= tol / 2``, the usual implementation. Every row is the
median of several runs after a warm-up; ratios above one say how many times faster than the
reference a solver reaches the same *certified* accuracy.

Run: ``make bench``, or ``python benchmarks/tabular.py --repeats 5``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import solvers
from mdplib import TabularMDP, models, sampling

RELATIVE_TOL = 1e-6


def reference(mdp: TabularMDP, tol: float) -> np.ndarray:
    """Value iteration by sparse products, stopped by the norm bound."""
    P, r, _, _ = mdp.to_sparse()
    V = np.zeros(mdp.n_states)
    while True:
        TV = np.maximum.reduceat(r + mdp.gamma * (P @ V), mdp.state_ptr[:-1])
        if mdp.gamma * np.max(np.abs(TV - V)) / (1 - mdp.gamma) <= tol / 2:
            return TV
        V = TV


def instances() -> dict[str, TabularMDP]:
    """Models small enough for a laptop, at two discount factors."""
    chosen = {}
    for gamma in (0.95, 0.99):
        rng = sampling.streams(0, "benchmark").instance
        chosen[f"garnet 1e4 x 4 x 5, {gamma}"] = models.garnet(10_000, 4, 5, rng, gamma=gamma)
        chosen[f"forest 1e5, {gamma}"] = models.forest(100_000, gamma=gamma)
        chosen[f"queue 1e4, {gamma}"] = models.queue(10_000, gamma=gamma)
        chosen[f"chain 1e3, {gamma}"] = models.chain(1_000, gamma=gamma)
    return chosen


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds of `repeats` runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description="Speed of the tabular solvers, as ratios")
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    names = ["value_iteration", "gauss_seidel", "modified_policy_iteration"]
    solvers.solve(models.chain(10, gamma=0.9), names[0])  # compile
    print(f"{'model':<26}{'reference':>12}" + "".join(f"{name:>27}" for name in names))
    for label, mdp in instances().items():
        scale = float(np.max(np.abs(solvers.solve(mdp, names[2], tol=1e-3).value)))
        tol = RELATIVE_TOL * (1 + scale)
        base = median_seconds(lambda mdp=mdp, tol=tol: reference(mdp, tol), repeats)
        row = f"{label:<26}{base:>10.3f} s"
        for name in names:
            solvers.solve(mdp, name, tol=tol).require()
            seconds = median_seconds(
                lambda mdp=mdp, name=name, tol=tol: solvers.solve(mdp, name, tol=tol), repeats
            )
            row += f"{seconds:>14.3f} s {base / seconds:>8.1f} x"
        print(row, flush=True)


if __name__ == "__main__":
    main()
