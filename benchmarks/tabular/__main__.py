"""Measure, and write the table, the numbers and the plot."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.tabular import measure, table
from benchmarks.tabular.adapters import ADAPTERS
from benchmarks.tabular.compare import Measurement, Settings, compare
from benchmarks.tabular.instances import GAMMAS, INSTANCES, Instance
from benchmarks.tabular.session import ROOT

_PEERS = ROOT / ".venv-peers" / "bin" / "python"
_QUICK: dict[str, tuple[str, ...]] = {
    "mdplib": ("auto",),
    "quantecon": ("mpi", "dense mpi"),
    "mdpsolver": ("mpi",),
    "mdptoolbox": ("pi",),
    "stormpy": ("vi",),
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few models and methods, a minute")
    parser.add_argument("--only", help="models whose names contain one of these, comma-separated")
    parser.add_argument("--gammas", help="discount factors, comma-separated; default .95,.99,.999")
    parser.add_argument("--repeats", type=int, default=3, help="runs after the first (default 3)")
    parser.add_argument("--limit", type=float, help="seconds for one solve (default 60, quick 3)")
    parser.add_argument("--memory", type=float, help="GiB for one process (default: 60 %% of all)")
    parser.add_argument("--peers", help="libraries to compare with, comma-separated, or none")
    parser.add_argument(
        "--peers-python", type=Path, default=_PEERS, help="interpreter that has the libraries"
    )
    parser.add_argument("--no-sweeps", action="store_true", help="leave out the bandwidths")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder")
    return parser.parse_args(given)


def chosen(options: argparse.Namespace) -> list[Instance]:
    """Return the models to measure."""
    words = [word.strip() for word in (options.only or "").split(",") if word.strip()]
    found = [
        one
        for one in INSTANCES.values()
        if (any(word in one.name for word in words) if words else one.quick or not options.quick)
    ]
    if not found:
        raise SystemExit(f"no model matches {options.only!r}; known: {', '.join(INSTANCES)}")
    return found


def settings(options: argparse.Namespace) -> Settings:
    """Return what to measure and how."""
    peers = [name for name in ADAPTERS if name != table.OURS]
    if options.peers is not None:
        wanted = [name for name in options.peers.split(",") if name and name != "none"]
        unknown = set(wanted) - set(peers)
        if unknown:
            raise SystemExit(f"no peer {', '.join(sorted(unknown))}; known: {', '.join(peers)}")
        peers = wanted
    methods = {name: kind.methods for name, kind in ADAPTERS.items()}
    if options.quick:
        methods = _QUICK
    python: dict[str, Path] = {table.OURS: Path(sys.executable)}
    if options.peers_python.exists():
        python |= dict.fromkeys(peers, Path(options.peers_python))
    gammas = [float(g) for g in options.gammas.split(",")] if options.gammas else GAMMAS
    if not all(0 <= gamma < 1 for gamma in gammas):
        raise SystemExit(f"gammas are {gammas}; numbers from 0 to 1, without 1, expected")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Settings(
        python=python,
        gammas=sorted(gammas),
        repeats=options.repeats,
        limit=options.limit or (3.0 if options.quick else 60.0),
        memory=int(options.memory * 2**30 if options.memory else 0.6 * total),
        methods={name: methods[name] for name in (table.OURS, *peers)},
    )


def main(given: Sequence[str] | None = None) -> None:
    """Run the comparison."""
    options = arguments(given)
    instances, plan = chosen(options), settings(options)
    options.out.mkdir(parents=True, exist_ok=True)
    about = _about(plan, options.peers_python)
    print(" · ".join(f"{name} {value}" for name, value in about["versions"].items()), flush=True)
    results: list[Measurement] = []
    try:
        for found in compare(instances, plan):
            results += found
            _progress(found)
            table.write_csv(results, options.out / "tabular.csv")
    except KeyboardInterrupt:
        print("interrupted; what follows is what was measured until then", flush=True)
    lines = table.lines(results)
    report = [table.text(lines, list(plan.methods))]
    sweeps: list[measure.Sweep] = []
    small = {"latency": measure.latency(), "cold start": measure.cold_start()}
    report += [
        "",
        f"solve on 16 states: {1e3 * small['latency']:.3f} ms",
        f"first solve of a fresh process, imports included: {small['cold start'][0]:.2f} s "
        f"(the whole process {small['cold start'][1]:.2f} s)",
    ]
    if not options.no_sweeps:
        bandwidth = measure.copy_bandwidth(2**23 if options.quick else 2**26)
        report.append(f"bandwidth of a copy, read and written: {bandwidth / 1e9:.1f} GB/s")
        for name in ("garnet 1e5/4/20", "forest 1e5") if options.quick else measure.LARGE:
            sweeps.append(measure.sweep(name, bandwidth))
            report.append(
                f"sweep of {name}: {1e3 * sweeps[-1].seconds:.1f} ms, "
                f"{100 * sweeps[-1].share:.0f} % of the copy"
            )
    print("\n" + "\n".join(report))
    (options.out / "tabular.txt").write_text("\n".join(report) + "\n")
    _write(options.out / "tabular.json", about, small, results, sweeps)
    from benchmarks.tabular import figure

    print(f"\nwritten: {figure.draw(lines, sweeps, options.out)} and the numbers beside it")


def _progress(found: Sequence[Measurement]) -> None:
    for one in found:
        told = f"{one.seconds:.4g} s" if one.seconds is not None else ""
        note = f"{one.note} {one.detail[:60]}".strip()
        print(f"{one.model:<18}{one.gamma:>7g} {one.library:<11}{one.method:<13}{told:<14}{note}")
    sys.stdout.flush()


def _about(plan: Settings, peers_python: Path) -> dict[str, Any]:
    """Versions, machine and settings, for the record."""
    ask = (
        "import json, platform\n"
        "from importlib.metadata import PackageNotFoundError, version\n"
        "found = {'python': platform.python_version()}\n"
        "for name in %r:\n"
        "    try: found[name] = version(name)\n"
        "    except PackageNotFoundError: found[name] = 'absent'\n"
        "print(json.dumps(found))\n"
    )
    versions: dict[str, str] = {}
    for python, names in (
        (Path(sys.executable), ["mdplib", "numpy", "scipy", "numba"]),
        (peers_python, ["quantecon", "mdpsolver", "pymdptoolbox", "stormpy"]),
    ):
        if python.exists():
            done = subprocess.run([str(python), "-c", ask % names], capture_output=True, text=True)
            versions = json.loads(done.stdout) | versions if not done.returncode else versions
        else:
            versions |= dict.fromkeys(names, "absent")
    return {
        "versions": versions,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "repeats": plan.repeats,
        "limit": plan.limit,
        "memory": plan.memory,
    }


def _write(path: Path, about: Any, small: Any, results: Any, sweeps: Any) -> None:
    """Write everything as JSON; numbers that are not finite become None."""
    from experiments.engine.store import write_json

    rows = [one.row() for one in results]
    for row in rows:
        for name, value in row.items():
            if isinstance(value, float) and not abs(value) < float("inf"):
                row[name] = None
    write_json(
        path,
        {"about": about, "small": small, "results": rows, "sweeps": [one.row() for one in sweeps]},
    )


if __name__ == "__main__":
    main()
