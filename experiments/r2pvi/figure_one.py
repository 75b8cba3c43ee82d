"""Figure 1: tables of its four panels, and the numbers that the claims speak of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from experiments.engine.cells import Finished
from experiments.r2pvi.cells import (
    FIG_1B,
    GRID,
    PENALTIES,
    PUBLISHED_OPTION,
    PUBLISHED_SIMULATED,
    RADII,
    Choices,
    Method,
    Option,
    Simulated,
)
from experiments.r2pvi.curves import Curve, crossing, curve, exact, grouped, means, table
from experiments.r2pvi.published import CHANCES, QS
from mdplib.statistics import Interval

Measured = dict[str, Interval]
Panel = dict[Choices, dict[str, Curve]]
AT_09 = 9  # place of q = 0.9
KEPT: tuple[Choices, ...] = get_args(Choices)
FIG_1A: tuple[Method, ...] = ("pevi", "tv", "kl", "chi2")
PAIRS = tuple(zip(PENALTIES, RADII, strict=True))


def analyse(finished: Sequence[Finished]) -> tuple[dict[str, Any], Measured]:
    """Return the four panels by name, and what was measured."""
    simulated, option = grouped(finished, Simulated), grouped(finished, Option)
    panels: dict[str, Panel] = {
        "1a": _panel("1a", {m: (m, 0.2, (0.1,)) for m in FIG_1A}, simulated),
        "1b": _panel("1b", {f"{x:g}": ("tv", 0.3, FIG_1B) for x in FIG_1B}, simulated),
        "1c": _panel("1c", {m: (m, 0.2, GRID) for m in ("tv", "drpvi")}, simulated),
        "1d": _option_panel(option),
    }
    measured: Measured = {}
    for choices in ("written", "public"):
        measured |= {f"{k}/{choices}": v for k, v in _readings(panels, choices).items()}
        measured |= {f"{k}/{choices}": v for k, v in _claims(panels, choices).items()}
        measured |= {f"{k}/{choices}": v for k, v in _claims_option(panels, choices).items()}
        measured |= {f"{k}/{choices}": v for k, v in _spread(option, choices).items()}
    measured |= _replays(option)
    measured |= _reruns(panels, simulated)
    return {name: panel for name, panel in panels.items() if panel}, measured


def _rows(
    groups: dict[Simulated, Any], figure: str, method: Method, choices: Choices,
    xi: float, strengths: tuple[float, ...], source: str,
) -> dict[int, Any]:  # fmt: skip
    for cell, rows in groups.items():
        found = (cell.figure, cell.method, cell.choices, cell.xi, cell.strengths, cell.source)
        if found == (figure, method, choices, xi, strengths, source):
            return rows
    return {}


def _panel(
    name: str, wanted: dict[str, tuple[Any, float, tuple[float, ...]]], groups: dict[Simulated, Any]
) -> Panel:
    """Return the curves of one panel by choices and label."""
    panel: Panel = {}
    for choices in KEPT:
        for label, (method, xi, strengths) in wanted.items():
            at = FIG_1B.index(float(label)) if name == "1b" else 0
            x = list(strengths) if name == "1c" else list(QS)
            values = {}
            for source in ("published", "fresh"):
                rows = _rows(groups, name, method, choices, xi, strengths, source)
                if rows and name == "1c":
                    values[source] = table(rows, lambda r: [one[AT_09] for one in r["returns"]])
                elif rows:
                    values[source] = table(rows, lambda r, at=at: r["returns"][at])
            drawn = curve(
                x, f"{name}{label}{choices}", values.get("published"), PUBLISHED_SIMULATED,
                values.get("fresh"),
            )  # fmt: skip
            if drawn:
                panel.setdefault(choices, {})[label] = drawn
    return panel


def _option_panel(groups: dict[Option, Any]) -> Panel:
    """Return the curves of figure 1(d) and the unpublished ones, by choices and label."""
    panel: Panel = {}
    names: dict[tuple[Method, Choices], tuple[float, ...]] = {
        (c.method, c.choices): c.strengths for c in groups if c.hold == 1.0
    }
    for (method, choices), strengths in names.items():
        rows = {
            cell.source: found
            for cell, found in groups.items()
            if (cell.method, cell.choices, cell.hold) == (method, choices, 1.0)
        }
        for at, strength in enumerate(strengths):
            label = f"{method}/{strength:g}"
            values = {
                source: table(found, lambda r, at=at: r["returns"][at])
                for source, found in rows.items()
            }
            drawn = curve(
                CHANCES, f"1d{label}{choices}", values.get("published"), PUBLISHED_OPTION,
                values.get("fresh"),
            )  # fmt: skip
            if drawn:
                panel.setdefault(choices, {})[label] = drawn
    return panel


def behaviours(finished: Sequence[Finished]) -> dict[str, Any]:
    """Return R2PVI-TV as written from any start, by behaviour and penalty."""
    found: dict[str, dict[str, Curve]] = {}
    for cell, rows in grouped(finished, Option).items():
        if (cell.method, cell.choices, cell.source) != ("tv", "written", "fresh"):
            continue
        for at, strength in enumerate(cell.strengths):
            values = table(rows, lambda r, at=at: r["anywhere"][at])
            label = f"{cell.hold:g}"
            drawn = curve(CHANCES, f"hold{label}{strength}", None, 0, values)
            if drawn:
                found.setdefault(label, {})[f"{strength:g}"] = drawn
    return {"behaviour": found} if len(found) == 2 else {}


def _readings(panels: dict[str, Panel], choices: Choices) -> Measured:
    """Return the numbers read off the figures, measured on the published data."""
    found: Measured = {}
    for label, c in _known(panels, "1a", choices).items():
        for q, at in (("0", 0), ("0.5", 5), ("1", 10)):
            found[f"fig1a/{label}/q{q}"] = exact(c.published[at], PUBLISHED_SIMULATED)
    for label, c in _known(panels, "1b", choices).items():
        for q, at in (("0", 0), ("0.5", 5), ("1", 10)):
            found[f"fig1b/lambda{label}/q{q}"] = exact(c.published[at], PUBLISHED_SIMULATED)
    for label, c in _known(panels, "1c", choices).items():
        for name, at in (("0", 0), ("1", -1)):
            found[f"fig1c/{label}/{name}"] = exact(c.published[at], PUBLISHED_SIMULATED)
    for label, c in _known(panels, "1d", choices).items():
        for p, value in zip(c.x, c.published, strict=True):
            found[f"fig1d/{label}/p{p:g}"] = exact(value, PUBLISHED_OPTION)
    return found


def _known(panels: dict[str, Panel], name: str, choices: Choices) -> dict[str, Curve]:
    curves = panels[name].get(choices, {})
    return {label: c for label, c in curves.items() if c.published}


def _claims(panels: dict[str, Panel], choices: Choices) -> Measured:
    """Return what the panels on the five-state model are said to show."""
    found: dict[str, float] = {}
    a, b, c = (_known(panels, name, choices) for name in ("1a", "1b", "1c"))
    for method in ("tv", "kl", "chi2"):
        if {"pevi", method} <= a.keys():
            mine, rival = a[method].published, a["pevi"].published
            found[f"claim_a/crossing/{method}"] = crossing(QS, rival, mine)
            found[f"claim_a/nominal/{method}"] = rival[0] - mine[0]
            found[f"claim_a/robust/{method}"] = mine[-1] - rival[-1]
    fall = {label: curve.published[0] - curve.published[-1] for label, curve in b.items()}
    for low, high in (("0.1", "0.2"), ("0.2", "0.3"), ("0.3", "0.6")):
        if {low, high} <= fall.keys():
            found[f"claim_b/flatter/{low}-{high}"] = fall[high] - fall[low]
    if {"tv", "drpvi"} <= c.keys():
        tv, drpvi = c["tv"].published, c["drpvi"].published
        found["fig1c/crossing"] = crossing(GRID, tv, drpvi)
        found["fig1c/flat"] = float(np.ptp(tv[6:]))
        found["claim_c/tv"], found["claim_c/drpvi"] = tv[0] - tv[-1], drpvi[-1] - drpvi[0]
    return {name: exact(value, PUBLISHED_SIMULATED) for name, value in found.items()}


def _claims_option(panels: dict[str, Panel], choices: Choices) -> Measured:
    """Return what figure 1(d) is said to show."""
    found: dict[str, float] = {}
    curves = _known(panels, "1d", choices)
    for penalty, radius in PAIRS:
        name = f"{penalty:g}"
        tv, drpvi = curves.get(f"tv/{name}"), curves.get(f"drpvi/{radius:g}")
        pevi = curves.get("pevi/0")
        if tv and drpvi:
            apart = np.abs(np.subtract(tv.published, drpvi.published))
            found[f"claim_d/overlay/{name}"] = float(apart.max())
        if tv and pevi:
            found[f"claim_d/low/{name}"] = pevi.published[0] - tv.published[0]
            found[f"claim_d/high/{name}"] = tv.published[3] - pevi.published[3]
    return {name: exact(value, PUBLISHED_OPTION) for name, value in found.items()}


STD, STD_RERUN = "fig1d/std/tv/5/p0.2", "fig1d/std_rerun/tv/5/p0.2"


def _spread(groups: dict[Option, Any], choices: Choices) -> Measured:
    """Return the standard deviation over the published replications at one point."""
    for cell, rows in groups.items():
        told = (cell.method, cell.choices, cell.source)
        if told == ("tv", choices, "published") and len(rows) == PUBLISHED_OPTION:
            std = table(rows, lambda r: [r["returns"][-1][0]]).std()
            return dict.fromkeys((STD, STD_RERUN), exact(std, PUBLISHED_OPTION))
    return {}


def _replays(groups: dict[Option, Any]) -> Measured:
    """Return figure 1(d) as the released choices give it on the published test episodes."""
    found: Measured = {}
    told = "released choices, published data and test episodes"
    for cell, rows in groups.items():
        if (cell.choices, cell.source, len(rows)) != ("public", "published", PUBLISHED_OPTION):
            continue
        for at, strength in enumerate(cell.strengths):
            values = table(rows, lambda r, at=at: r["replayed"][at])
            label = f"fig1d/{cell.method}/{strength:g}"
            for p, mean in zip(CHANCES, values.mean(axis=0), strict=True):
                found[f"{label}/p{p:g}/replay"] = exact(mean, PUBLISHED_OPTION, told)
            if label == "fig1d/tv/5":
                std = exact(values[:, 0].std(), PUBLISHED_OPTION, told)
                found[f"{STD}/replay"] = found[f"{STD_RERUN}/replay"] = std
    return found


def _reruns(panels: dict[str, Panel], groups: dict[Simulated, Any]) -> Measured:
    """Return the numbers that a rerun of the released code gave."""
    found: Measured = {}
    for cell, rows in groups.items():
        u = table(rows, lambda r: r["u"])
        public = cell.source == "published" and len(rows) == PUBLISHED_SIMULATED
        if public and cell.choices != "written" and cell.figure in ("1a", "1b"):
            found |= _rerun(cell, u.mean(axis=0), table(rows, _end_returns).mean(axis=0))
        if cell.source == "fresh" and len(rows) >= 2:
            found |= _fresh_u(cell, u)
    for label, c in _known(panels, "1c", "public").items():
        for i, value in enumerate(c.published):
            found[f"rerun/fig1c/{label}/{i}"] = exact(value, PUBLISHED_SIMULATED)
    return found


def _end_returns(row: Any) -> list[float]:
    return [row["returns"][0][0], row["returns"][0][-1]]


def _rerun(cell: Simulated, u: Any, ends: Any) -> Measured:
    """Return mean u, and the ends of the line, of one curve of figure 1(a) or 1(b)."""
    if cell.figure == "1b":
        return {
            f"rerun/fig1b/lambda{x:g}/u1": exact(value, PUBLISHED_SIMULATED)
            for x, value in zip(cell.strengths, u, strict=True)
        }
    name: str = cell.method
    if cell.choices == "public_max":
        name += "_max"
    elif cell.strengths != (0.1,):
        name += f"_{cell.strengths[0]:g}"
    values = {"u1": u[0], "q0": ends[0], "q1": ends[1]}
    return {
        f"rerun/fig1a/{name}/{what}": exact(value, PUBLISHED_SIMULATED)
        for what, value in values.items()
    }


def _fresh_u(cell: Simulated, u: Any) -> Measured:
    """Return the mean of u on fresh data where a claim speaks of it."""
    name = ""
    if cell.figure == "1a" and cell.strengths == (0.1,):
        kept = {"public": cell.method, "public_max": "chi2_max"}
        if cell.choices == "written" and cell.method == "tv":
            kept["written"] = "tv_written"
        name = f"fresh/{kept[cell.choices]}" if cell.choices in kept else ""
    if cell.figure == "size" and cell.n == 100_000:
        name = f"large/{cell.method}"
    return {f"rerun/{name}/u1": means(u[:, :1], name)[0]} if name else {}
