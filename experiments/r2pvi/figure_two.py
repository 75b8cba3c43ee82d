"""Figure 2: training times, as seconds and over those of PEVI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.engine.cells import Finished, Row
from experiments.r2pvi.cells import TIMED, Timing
from experiments.r2pvi.curves import exact
from mdplib.statistics import Interval

PUBLISHED: dict[str, tuple[float, ...]] = {  # seconds, in the order of `TIMED`
    "pevi": (0.804, 1.838, 5.558, 4.066, 8.153),
    "tv": (1.078, 1.953, 4.975, 5.048, 8.993),
    "kl": (1.041, 1.786, 6.306, 5.019, 9.032),
    "drpvi": (1.702, 3.493, 16.66, 6.773, 13.40),
    "drvi_l": (1.643, 4.120, 16.19, 7.013, 15.04),
}
ONCE = "one machine, processor time"


@dataclass(frozen=True)
class Times:
    """Seconds of one program by method and size.

    Parameters
    ----------
    seconds : dict
        By method, then by (n, d).
    """

    seconds: dict[str, dict[tuple[int, int], float]]

    def ratio(self, method: str, size: tuple[int, int]) -> float | None:
        """Return the time over that of PEVI, None where either is missing."""
        mine, base = (self.seconds.get(m, {}).get(size) for m in (method, "pevi"))
        return mine / base if mine and base else None


def analyse(finished: Sequence[Finished]) -> tuple[dict[str, Any], dict[str, Interval]]:
    """Return the times by program, the published ones among them, and what was measured."""
    found: dict[str, dict[str, dict[tuple[int, int], float]]] = {"library": {}, "loop": {}}
    for cell, row in finished:
        if isinstance(cell, Timing):
            for method, spent in _seconds(row).items():
                found[cell.code].setdefault(method, {})[cell.n, cell.d] = spent
    tables = {code: Times(seconds) for code, seconds in found.items() if seconds}
    if not tables:
        return {}, {}
    measured: dict[str, Interval] = {}
    for code, times in tables.items():
        named = {name: exact(x, 1, ONCE) for name, x in _measured(times).items()}
        measured |= {f"{name}/{code}": x for name, x in named.items()}
    for method, by_size in tables["loop"].seconds.items() if "loop" in tables else ():
        for size in TIMED[:2]:
            if size in by_size:
                measured[f"rerun/fig2/{method}/{name(size)}"] = exact(by_size[size], 1, ONCE)
    known = {m: dict(zip(TIMED, x, strict=True)) for m, x in PUBLISHED.items()}
    return {"times": tables | {"published": Times(known)}}, measured


def _seconds(row: Row) -> dict[str, float]:
    """Return the seconds of a row by method; none if its clock was lost."""
    prefix = "seconds_"
    return {k.removeprefix(prefix): float(x) for k, x in row.items() if k.startswith(prefix)}


def name(size: tuple[int, int]) -> str:
    """Return how the claims call a size.

    Examples
    --------
    >>> name((1000, 30))
    'n1000d30'
    """
    return f"n{size[0]}d{size[1]}"


def _measured(times: Times) -> dict[str, float]:
    """Return seconds, ratios and growth of one program."""
    found: dict[str, float] = {}
    for method, by_size in times.seconds.items():
        for size, spent in by_size.items():
            found[f"fig2/seconds/{method}/{name(size)}"] = spent
            ratio = times.ratio(method, size)
            if ratio is not None and method != "pevi":
                found[f"fig2/ratio/{method}/{name(size)}"] = ratio
    for method in ("tv", "kl"):
        ratios = [times.ratio(method, size) for size in TIMED]
        if None not in ratios:
            found[f"claim_time/{method}"] = max(x for x in ratios if x is not None)
    for method in ("drpvi", "drvi_l"):
        found |= _growth(times, method)
    return found


def _growth(times: Times, method: str) -> dict[str, float]:
    """Return how a method's time grows in d and N, compared with R2PVI-TV."""
    mine, base = times.seconds.get(method, {}), times.seconds.get("tv", {})
    small, wide, long = TIMED[0], TIMED[2], TIMED[4]
    found: dict[str, float] = {}
    if {small, wide} <= mine.keys() & base.keys():
        found[f"claim_time/d/{method}"] = (mine[wide] / mine[small]) / (base[wide] / base[small])
    if {small, long} <= mine.keys() & base.keys():
        extra, least = mine[long] - mine[small], base[long] - base[small]
        if least > 0:  # else the growth is below what the clock tells
            found[f"claim_time/n/{method}"] = extra / least
    return found
