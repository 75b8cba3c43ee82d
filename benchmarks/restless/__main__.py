"""Measure decisions, training and bounds of coupled restless bandits.

``python -m benchmarks.restless`` prints a table and writes build/bench/restless.json. Everything
runs in one thread. What is timed: a decision, from a joint state to the best joint action, by
comparing all listed actions (20 arms) and by programs within a gap of 2 % (40 arms); a whole
training with the default settings; the fluid bound with its policy. Decisions are timed with a
network on the values of the fluid program, as the default trains it, and with one fitted to the
one-step reward alone, which leaves everything to the program, or over walks to branch and bound.
The same programs with one big-M of 1e5 for every unit are the reference of tight embedding. Times
are medians over random states, by the wall clock; ratios are between numbers of the same run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mdplib import restless
from mdplib.optim import check_backend
from mdplib.restless import CoupledRestlessBandit
from mdplib.restless.choice import Choice
from solvers.restless import ActionValue, Network, Settings, fluid_bound, fluid_policy, sequoia
from solvers.restless.action_value import n_inputs
from solvers.restless.warm_start import fit_myopic

ROOT = Path(__file__).parents[2]
LISTED_MS, PROGRAM_MS, TRAINING_S, FLUID_S = 5.0, 40.0, 300.0, 1.0  # what is aimed at
HIDDEN, GAP = (16, 32), 0.02
DOMAINS = ("capacity", "schedule", "walks", "interventions")
Decide = Callable[[int, np.ndarray], Choice]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restless", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few states, short training")
    parser.add_argument("--states", type=int, default=30, help="decisions per median (default 30)")
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, default=DOMAINS, help="which")
    parser.add_argument("--no-training", action="store_true", help="leave out the training")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder")
    return parser.parse_args(given)


def instance(domain: str, n_arms: int) -> CoupledRestlessBandit:
    """Return an instance with a budget of a quarter of the arms."""
    rng = np.random.default_rng(n_arms)
    if domain == "interventions":
        return restless.interventions(n_arms, n_arms // 2, n_arms // 4, rng)
    draw = {"capacity": restless.capacity, "schedule": restless.schedule, "walks": restless.walks}
    return draw[domain](n_arms, n_arms // 4, rng)


def learnt(bandit: CoupledRestlessBandit, listed: bool) -> ActionValue:
    """Return an action value after an episode of training from the fluid values."""
    how = Settings(
        episodes=1, hidden=HIDDEN, validate_every=0, listed=Settings.listed if listed else 0
    )
    return sequoia(bandit, np.random.default_rng(0), how).policy.q


def fitted(bandit: CoupledRestlessBandit) -> ActionValue:
    """Return an action value that is a network alone, fitted to the one-step reward."""
    rng = np.random.default_rng(0)
    shape = (bandit.horizon, bandit.n_arms, bandit.arms.n_states, bandit.actions.n_levels)
    network = Network.random(n_inputs(bandit, "raw"), HIDDEN, rng)
    q = ActionValue(bandit, network, np.zeros(shape), "raw")
    fit_myopic(q, rng, 5, 1e-3, 0.9)
    return q


def decisions(bandit: CoupledRestlessBandit, decide: Decide, n: int) -> list[float]:
    """Return the milliseconds of n decisions, after one that warms up."""
    rng = np.random.default_rng(1)
    S, H = bandit.arms.n_states, bandit.horizon
    taken = []
    for _ in range(n + 1):
        h, s = int(rng.integers(H)), rng.integers(0, S, bandit.n_arms)
        begun = time.perf_counter()
        choice = decide(h, s)
        taken.append(1e3 * (time.perf_counter() - begun))
        if not bandit.actions.contains(choice.action):
            raise AssertionError(f"{bandit!r}: an infeasible action at step {h}, state {s}")
    return taken[1:]


def programs(q: ActionValue, tight: bool = True, branching: bool = True) -> Decide:
    """Return decisions within the gap, by programs where they are needed."""
    return lambda h, s: q.best(h, s, gap=GAP, tight=tight, branching=branching)


def embedding(bandit: CoupledRestlessBandit, n: int) -> dict[str, float]:
    """Return the milliseconds of programs of a bare network, tight and with M = 1e5."""
    q = fitted(bandit)
    tight = decisions(bandit, programs(q, branching=False), n)
    loose = decisions(bandit, programs(q, tight=False), n)
    return {
        "tight_ms": statistics.median(tight),
        "loose_ms": statistics.median(loose),
        "ratio": statistics.median(loose) / statistics.median(tight),
        "ratio_of_means": sum(loose) / sum(tight),
    }


def fluid(domain: str, n_arms: int) -> float:
    """Return the median seconds of the fluid bound with its policy, three times."""
    bandit, taken = instance(domain, n_arms), []
    for _ in range(3):
        begun = time.perf_counter()
        fluid_policy(bandit, fluid_bound(bandit))
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def training(domain: str, episodes: int | None) -> dict[str, float]:
    """Return seconds of a training with the default settings, and its updates."""
    how = Settings() if episodes is None else replace(Settings(), episodes=episodes)
    begun = time.perf_counter()
    found = sequoia(instance(domain, 20), np.random.default_rng(0), how)
    return {"seconds": time.perf_counter() - begun, "updates": float(len(found.losses))}


def measure(domain: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one domain, and say so."""
    n, large = 5 if options.quick else options.states, instance(domain, 40)
    small = instance(domain, 20)
    listed = learnt(small, listed=True)
    if listed.listed is None:
        raise AssertionError(f"{small!r} has too many actions to be listed")
    row: dict[str, Any] = {
        "actions": len(listed.listed),
        "listed_ms": statistics.median(decisions(small, listed.best, n)),
        "program_ms": statistics.median(decisions(large, programs(learnt(large, listed=False)), n)),
        "bare_ms": statistics.median(decisions(large, programs(fitted(large)), n)),
        "embedding": embedding(small, n),
        "fluid_s": fluid(domain, 40),
    }
    told = row["embedding"]
    _say(f"{domain}")
    _say(
        f"  20 arms, best of {row['actions']} actions: {row['listed_ms']:.2f} ms "
        f"(aim {LISTED_MS:g})"
    )
    _say(
        f"  40 arms, decision within {GAP:.0%}: {row['program_ms']:.1f} ms (aim {PROGRAM_MS:g})"
        f"; bare network {row['bare_ms']:.1f} ms"
    )
    _say(
        f"  20 arms, bare network: {told['tight_ms']:.1f} ms; with M = 1e5 {told['loose_ms']:.1f} "
        f"ms, {told['ratio']:.1f} times (means {told['ratio_of_means']:.1f})"
    )
    _say(f"  40 arms, fluid bound and policy: {row['fluid_s']:.2f} s (aim {FLUID_S:g})")
    if not options.no_training:
        row["training"] = training(domain, 10 if options.quick else None)
        _say(
            f"  20 arms, training of {row['training']['updates']:g} updates: "
            f"{row['training']['seconds']:.0f} s (aim {TRAINING_S:g})"
        )
    return row


def main(given: Sequence[str] | None = None) -> dict[str, Any]:
    """Run everything, print it, write it."""
    options = arguments(given)
    check_backend("highs")
    numbers: dict[str, Any] = {"machine": platform.machine(), "cores": os.cpu_count()}
    with threadpool_limits(1):
        numbers["domains"] = {domain: measure(domain, options) for domain in options.domains}
    ratios = [row["embedding"]["ratio"] for row in numbers["domains"].values()]
    numbers["embedding_ratio"] = math.exp(statistics.fmean(map(math.log, ratios)))
    _say(f"tight embedding: {numbers['embedding_ratio']:.1f} times faster, geometric mean")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "restless.json").write_text(json.dumps(numbers, indent=1) + "\n")
    return numbers


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
