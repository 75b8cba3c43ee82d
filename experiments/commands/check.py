"""``mdplib check``: hold theorems against instances, and the checker against its controls."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bounds import Outcome, Verdict, check_entry
from bounds.catalogue import CATALOGUE, GROUPS, select
from bounds.theorem import Scale
from experiments.engine.cells import plain
from experiments.engine.store import open_results, read_json, write_json
from mdplib.errors import MdplibError
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers import solve

SEED = 20261122


def run(options: Namespace) -> int:
    """Print one verdict per theorem; exit code 1 if one is violated or a control fails."""
    shown = []
    for found in verdicts(selected(options.ids), options.scale, options.results):
        shown.append(found)
        if not options.json:
            print(summary(found), flush=True)
    if options.json:
        print(json.dumps(shown, indent=1, allow_nan=False, ensure_ascii=False))
    return 0 if all(map(sound, shown)) else 1


def verdicts(names: Sequence[str], scale: Scale, results: Path) -> Iterator[dict[str, Any]]:
    """Examine theorems one by one and keep ``verdicts.json`` up to date after each."""
    path = open_results(results) / "verdicts.json"
    for name in names:
        found = examine(name, scale, results / "worst")
        kept = {entry["id"]: entry for entry in (read_json(path) or {}).get("verdicts", ())}
        kept[name] = found
        write_json(path, {"verdicts": [kept[each] for each in CATALOGUE if each in kept]})
        yield found


def selected(ids: Sequence[str]) -> list[str]:
    """Return the theorems that ids, papers, groups or ``all`` stand for, in catalogue order.

    Raises
    ------
    MdplibError
        If something is unknown; near matches are given.
    """
    papers = {entry.theorem.paper for entry in CATALOGUE.values()}
    for wanted in ids:
        if wanted not in {"all", *GROUPS, *papers, *CATALOGUE}:
            near = get_close_matches(wanted, [*CATALOGUE, *papers, *GROUPS], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise MdplibError(f"no theorem or paper {wanted!r}; {hint}mdplib list names them all")
    return list(select(ids))


def examine(name: str, scale: Scale, folder: Path) -> dict[str, Any]:
    """Check a theorem, its tight instance, its mutant and its broken hypotheses.

    Returns
    -------
    dict
        Plain values: the verdict on the theorem, and under "controls" the other roles.
    """
    theorem = CATALOGUE[name].theorem
    first, *others = check_entry(
        CATALOGUE[name], solver=_solver, scale=scale, seed=SEED, folder=folder
    )
    verdict, interval = first.verdict, first.verdict.interval
    return {
        "id": name,
        "statement": theorem.statement,
        "source": theorem.source,
        "kind": theorem.kind,
        "scale": scale,
        "outcome": verdict.outcome.name,
        "message": verdict.message,
        "count": count(verdict),
        "interval": interval and {key: plain(x) for key, x in interval.to_dict().items()},
        "tightness": plain(verdict.tightness),
        "vacuous_factor": plain(verdict.vacuous_factor),
        "tightest": None if theorem.kind == "rate" else plain(others[0].reached),
        "controls": [
            {
                "name": f"{other.role} ({other.detail})",
                "outcome": other.verdict.outcome.name,
                "wanted": other.expected.name,
                "ok": other.ok,
            }
            for other in others
        ],
    }


def _solver(mdp: TabularMDP) -> Solution:
    return solve(mdp, tol=1e-9)


def count(verdict: Verdict) -> str:
    """Say on how many instances, and in how many runs, the statement was tried."""
    instances = f"{verdict.n_applicable} instances"
    if verdict.kind in ("identity", "inequality"):
        return f"{instances}, {verdict.n_failures} violations"
    failures = f", {verdict.n_failures} failures" if verdict.kind == "high_probability" else ""
    return f"{instances}, {verdict.n_runs} runs{failures}"


def sound(found: dict[str, Any]) -> bool:
    """Tell whether a theorem is not violated and every control came out as it must."""
    return found["outcome"] != Outcome.VIOLATED.name and all(c["ok"] for c in found["controls"])


def summary(found: dict[str, Any]) -> str:
    """Return the lines for the terminal."""
    line = f"{found['outcome']:14} {found['id']}: {found['count']}"
    if found["interval"]:
        i = found["interval"]
        line += f", interval [{i['low']:.4g}, {i['high']:.4g}] ({100 * i['confidence']:g} %)"
    if found["outcome"] == Outcome.VACUOUS.name and found["vacuous_factor"] is not None:
        line += f", the bound is {found['vacuous_factor']:.4g} times the range of the quantity"
    if isinstance(found["tightness"], float):
        line += f", tightness {found['tightness']:.3g}"
    if isinstance(found["tightest"], float):
        line += f" (tight instance {found['tightest']:.3g})"
    controls = (
        f"  {'ok ' if c['ok'] else 'BAD'} {c['name']}: {c['outcome']}"
        + ("" if c["ok"] else f", wanted {c['wanted']}")
        for c in found["controls"]
    )
    return "\n".join([line, *controls])
