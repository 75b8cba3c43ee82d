"""``mdplib check``: hold theorems against instances, and the checker against its controls."""

from __future__ import annotations

import json
import zlib
from argparse import Namespace
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from bounds.catalogue import CATALOGUE

from bounds import Entry, Instance, Outcome, Theorem, Verdict
from experiments.engine.cells import plain
from experiments.engine.store import open_results, read_json, write_json
from mdplib.errors import MdplibError
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers import solve

SEED = 20261122
RUNS = {"smoke": 300, "default": 1000, "paper": 10000}  # of a high-probability statement


def run(options: Namespace) -> int:
    """Print one verdict per theorem; exit code 1 if one is violated or a control fails."""
    names = selected(options.ids)
    open_results(options.results)
    path = options.results / "verdicts.json"
    kept = {entry["id"]: entry for entry in (read_json(path) or {}).get("verdicts", ())}
    good, shown = True, []
    for name in names:
        found = examine(CATALOGUE[name], options.scale, options.results / "worst")
        shown.append(found)
        good = good and sound(found)
        if not options.json:
            print(summary(found))
        kept[name] = found
        ordered = [kept[each] for each in CATALOGUE if each in kept]
        write_json(path, {"verdicts": ordered})
    if options.json:
        print(json.dumps(shown, indent=1, allow_nan=False, ensure_ascii=False))
    return 0 if good else 1


def selected(ids: Sequence[str]) -> list[str]:
    """Return the theorems that ids, papers or ``all`` stand for, in catalogue order.

    Raises
    ------
    MdplibError
        If something is unknown; near matches are given.
    """
    papers = {name.partition(":")[0] for name in CATALOGUE}
    for wanted in ids:
        if wanted not in {"all", *papers, *CATALOGUE}:
            near = get_close_matches(wanted, [*CATALOGUE, *papers], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise MdplibError(f"no theorem or paper {wanted!r}; {hint}mdplib list names them all")
    return [name for name in CATALOGUE if {"all", name, name.partition(":")[0]} & set(ids)]


def examine(entry: Entry, scale: Any, folder: Path) -> dict[str, Any]:
    """Check a theorem, its mutant and its broken hypotheses; return plain values."""
    theorem = entry.theorem
    rng = np.random.default_rng([SEED, zlib.crc32(theorem.id.encode())])
    verdict = _check(theorem, entry.instances(rng, scale), scale, folder)
    witness = entry.tight() if entry.witness is None else entry.witness()
    controls = [_control("mutant", _check(entry.mutant, witness, scale), Outcome.VIOLATED)]
    for name, instance in entry.broken().items():
        broken = _check(theorem, instance, scale)
        controls.append(_control(f"without {name}", broken, Outcome.NOT_APPLICABLE))
    interval = verdict.interval
    return {
        "id": theorem.id,
        "statement": theorem.statement,
        "source": theorem.source,
        "kind": theorem.kind,
        "scale": scale,
        "outcome": verdict.outcome.name,
        "message": verdict.message,
        "count": count(verdict),
        "interval": interval and {name: plain(x) for name, x in interval.to_dict().items()},
        "tightness": plain(verdict.tightness),
        "controls": controls,
    }


def _check(
    theorem: Theorem,
    instances: Instance | Iterable[Instance],
    scale: str,
    folder: Path | None = None,
) -> Verdict:
    return theorem.check(instances, solver=_solver, seed=SEED, n_runs=RUNS[scale], folder=folder)


def _solver(mdp: TabularMDP) -> Solution:
    return solve(mdp, tol=1e-9)


def _control(name: str, verdict: Verdict, wanted: Outcome) -> dict[str, Any]:
    return {"name": name, "outcome": verdict.outcome.name, "wanted": wanted.name}


def count(verdict: Verdict) -> str:
    """Say on how many instances, or in how many runs, the statement was tried."""
    if verdict.kind in ("identity", "inequality"):
        return f"{verdict.n_applicable} instances, {verdict.n_failures} violations"
    return f"{verdict.n_applicable} instances, {verdict.n_runs} runs, {verdict.n_failures} failures"


def sound(found: dict[str, Any]) -> bool:
    """Tell whether a theorem is not violated and every control came out as wanted."""
    controls = all(control["outcome"] == control["wanted"] for control in found["controls"])
    return controls and found["outcome"] != Outcome.VIOLATED.name


def summary(found: dict[str, Any]) -> str:
    """Return the lines for the terminal."""
    lines = [f"{found['outcome']:14} {found['id']}: {found['count']}"]
    if found["interval"]:
        i = found["interval"]
        lines[0] += f", interval [{i['low']:.4g}, {i['high']:.4g}] ({100 * i['confidence']:g} %)"
    if isinstance(found["tightness"], float):
        lines[0] += f", tightness {found['tightness']:.3g}"
    for control in found["controls"]:
        passed = control["outcome"] == control["wanted"]
        note = "" if passed else f", wanted {control['wanted']}"
        lines.append(
            f"  {'ok ' if passed else 'BAD'} {control['name']}: {control['outcome']}{note}"
        )
    return "\n".join(lines)
