"""Guarantees against truth, benchmark values, and what more data do."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.engine.cells import Finished
from experiments.r2pvi.cells import CORNERED, DIVERGENCES, Guarantee, Simulated, Truth
from experiments.r2pvi.curves import Floats, exact, grouped, means, table
from experiments.r2pvi.guarantee import BETA, STEPS
from experiments.r2pvi.truth import OPTION_CHANCES, PENALTIES
from mdplib.statistics import Interval, clopper_pearson, slope_fit

Measured = dict[str, Interval]
QUANTITIES = ("needed", "gap", "suboptimality", "certificate", "phi", "theory", "coverage")
ROUNDING = 1e-9  # what a difference of values may be below zero
FIT_FROM = 400  # smallest K of the slopes; below it truncation and clipping dominate


@dataclass(frozen=True)
class Sweep:
    """Quantities of one divergence along one axis.

    Parameters
    ----------
    x : list of float
        Abscissae.
    rows : dict
        By quantity, (replicates, points).
    beta : list of float
        The constant of theory at each point.
    """

    x: list[float]
    rows: dict[str, Floats]
    beta: list[float]

    def mean(self, quantity: str) -> list[Interval]:
        """Return the mean over replicates at each point, with its bootstrap interval."""
        return means(self.rows[quantity], quantity)


def guarantees(finished: Sequence[Finished]) -> tuple[dict[str, Any], Measured]:
    """Return the sweeps over K, d and coverage, and what was measured."""
    groups = grouped(finished, Guarantee)
    sweeps: dict[str, dict[str, Sweep]] = {"size": {}, "dimension": {}, "coverage": {}}
    for label, divergence, strength in (*((d, d, 1.0) for d in DIVERGENCES), ("kl_3", "kl", 3.0)):
        own = {
            c: r for c, r in groups.items() if (c.divergence, c.strength) == (divergence, strength)
        }
        plain = {c: r for c, r in own.items() if c.concentration != CORNERED}
        kinds = {
            "size": {c.n: r for c, r in plain.items() if c.d == 5},
            "dimension": {c.d: r for c, r in plain.items() if c.n == 1600},
            "coverage": {c.spread: r for c, r in own.items() if c.concentration == CORNERED},
        }
        for kind, rows in kinds.items():
            if label == "kl_3" and kind != "size":
                continue
            drawn = _sweep(rows)
            if drawn:
                sweeps[kind][label] = drawn
    measured = _slopes(sweeps["size"]) | _coverage(sweeps["coverage"])
    for divergence in DIVERGENCES:
        every = [
            r for c, rows in groups.items() if c.divergence == divergence for r in rows.values()
        ]
        if every:
            measured |= _validity(divergence, every)
    return {name: found for name, found in sweeps.items() if found}, measured


def _sweep(rows: dict[Any, dict[int, Any]]) -> Sweep | None:
    """Return the replicates that every point has, None if there are fewer than two."""
    rows = dict(sorted(rows.items()))
    shared = sorted(set.intersection(*(set(r) for r in rows.values()))) if rows else []
    if len(shared) < 2:
        return None
    values = {
        q: np.array([[found[i][q] for found in rows.values()] for i in shared]) for q in QUANTITIES
    }
    beta = [found[shared[0]]["beta_theory"] for found in rows.values()]
    return Sweep([float(x) for x in rows], values, beta)


def _slopes(sweeps: dict[str, Sweep]) -> Measured:
    """Return the fitted rate of the value estimate, and that of Phi."""
    found: Measured = {}
    for label, sweep in sweeps.items():
        kept = [i for i, x in enumerate(sweep.x) if x >= FIT_FROM]
        if len(kept) < 2:
            continue
        x = np.log([sweep.x[i] for i in kept])
        for quantity in ("gap", "phi"):
            y = sweep.rows[quantity][:, kept].T
            if len(kept) < 2 or (y <= 0).any():
                continue
            rng = np.random.default_rng(zlib.crc32(f"{label}{quantity}".encode()))
            slope = slope_fit(x, np.log(y), rng, paired=True)
            if quantity == "gap":
                found[f"bound/slope/{label}"] = found[f"bound/slope_from_below/{label}"] = slope
            elif label == "tv":
                found["bound/phi_rate"] = slope
    return found


def _coverage(sweeps: dict[str, Sweep]) -> Measured:
    """Return the largest ratio of Phi to the bound of partial coverage, H d / sqrt(c K)."""
    ratios = [
        (s.rows["phi"] * np.sqrt(s.rows["coverage"] * 1600) / (STEPS * 5)).max()
        for s in sweeps.values()
    ]
    if not ratios:
        return {}
    n = sum(s.rows["phi"].size for s in sweeps.values())
    return {"bound/phi_coverage": exact(max(ratios), n, "largest of the runs")}


def _validity(divergence: str, rows: list[Any]) -> Measured:
    """Return how often the guarantee failed where beta was valid, and how often it was."""
    valid = [r for r in rows if r["needed"] <= BETA]
    failed = sum(r["slack"] < -ROUNDING or r["margin"] < -ROUNDING for r in valid)
    enough = sum(r["needed"] <= 2.0 for r in rows)
    least = min(r["theory"] for r in rows) / STEPS
    found = {
        f"bound/theory/{divergence}": exact(least, len(rows), "least of the runs"),
        f"bound/beta2/{divergence}": clopper_pearson(enough, len(rows), 0.95),
    }
    if valid:
        share = failed / len(valid)
        found[f"bound/valid/{divergence}"] = exact(share, len(valid), "every valid run")
    return found


def truth(finished: Sequence[Finished]) -> tuple[dict[str, Any], Measured]:
    """Return the exact values of the benchmark models."""
    found: Measured = {}
    tables: dict[str, Any] = {}
    for cell, row in finished:
        if not isinstance(cell, Truth):
            continue
        tables[cell.model] = row
        if cell.model == "option":
            for p, value in zip(OPTION_CHANCES, row["optimum"], strict=True):
                found[f"exact/option/p{p:g}"] = _known(value)
            continue
        for name, at in (("v2/0.2", "v2_0.2"), ("v2/0.3", "v2_0.3"), ("v1/0.2", "v1_0.2")):
            found[f"exact/{name}"] = _known(row[at])
        for what in ("q", "rho", "lambda"):
            found[f"exact/flip/{what}"] = _known(row[f"flip_{what}"])
        for divergence in DIVERGENCES:
            for x, value in zip(PENALTIES, row[f"optimum_{divergence}"], strict=True):
                found[f"exact/optimum/{divergence}/{x:g}"] = _known(value)
            found[f"exact/argmax/{divergence}"] = _known(min(row[f"u_{divergence}"]))
    return ({"truth": tables} if tables else {}), found


def _known(value: float) -> Interval:
    return exact(value, 1, "exact")


def sizes(finished: Sequence[Finished]) -> dict[str, Any]:
    """Return the mean first-step u against n: uniform penalties, and the corner alone."""
    uniform: dict[str, dict[int, Interval]] = {}
    corner: dict[float, dict[int, Interval]] = {}
    returns: dict[float, dict[int, Interval]] = {}
    for cell, rows in sorted(grouped(finished, Simulated).items(), key=lambda item: item[0].n):
        if cell.figure not in ("size", "corner") or len(rows) < 2:
            continue
        u = means(table(rows, lambda r: r["u"]), f"{cell.method}{cell.n}")
        if cell.figure == "size":
            uniform.setdefault(cell.method, {})[cell.n] = u[0]
            continue
        worst = means(table(rows, lambda r: [one[-1] for one in r["returns"]]), f"q{cell.n}")
        for strength, at_u, at_q in zip(cell.strengths, u, worst, strict=True):
            corner.setdefault(strength, {})[cell.n] = at_u
            returns.setdefault(strength, {})[cell.n] = at_q
    found = {"uniform": uniform, "corner": corner, "corner_returns": returns}
    return {name: curves for name, curves in found.items() if curves}
