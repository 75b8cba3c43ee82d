"""The comparison as text, CSV and numbers."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tabular.compare import Measurement

OURS = "mdplib"
_SIGNS = {"time": "> limit", "memory": "memory", "died": "died", "not tried": "> limit"}


@dataclass(frozen=True)
class Line:
    """One model at one discount factor.

    Parameters
    ----------
    model : str
        The model.
    gamma : float
        Discount factor.
    best : dict of str to Measurement
        The fastest run of each library that counts; a library without one is left out.
    failed : dict of str to str
        Why the other libraries have none.
    """

    model: str
    gamma: float
    best: dict[str, Measurement]
    failed: dict[str, str]

    @property
    def ratio(self) -> float | None:
        """Seconds of the best peer over ours; infinite if none made it, None if we did not."""
        if OURS not in self.best:
            return None
        peers = [m.seconds or 0.0 for name, m in self.best.items() if name != OURS]
        if not peers and set(self.failed.values()) <= {"absent"}:
            return None
        return min(peers) / (self.best[OURS].seconds or math.nan) if peers else math.inf


def lines(results: Sequence[Measurement]) -> list[Line]:
    """Reduce measurements to the best method of each library."""
    groups: dict[tuple[str, float], list[Measurement]] = {}
    for one in results:
        groups.setdefault((one.model, one.gamma), []).append(one)
    found = []
    for (model, gamma), group in groups.items():
        best: dict[str, Measurement] = {}
        failed: dict[str, str] = {}
        for one in group:
            seconds = math.inf if one.note or one.seconds is None else one.seconds
            known = best.get(one.library)
            if math.isfinite(seconds) and (known is None or seconds < (known.seconds or 0.0)):
                best[one.library] = one
            elif seconds == math.inf:
                failed[one.library] = _worse(failed.get(one.library), one.note)
        failed = {name: why for name, why in failed.items() if name not in best}
        found.append(Line(model, gamma, best, failed))
    return found


def geometric_mean(ratios: Sequence[float]) -> float:
    """Return the geometric mean of finite ratios, not a number if there are none."""
    logs = [math.log(x) for x in ratios if math.isfinite(x)]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def text(found: Sequence[Line], libraries: Sequence[str]) -> str:
    """Return the table as text, with the geometric mean of the ratios."""
    peers = [name for name in libraries if name != OURS]
    head = f"{'model':<18}{'gamma':>7}{OURS:>11}" + "".join(f"{p:>24}" for p in peers)
    out = [head + f"{'ratio':>10}"]
    for line in found:
        ours = line.best.get(OURS)
        cell = f"{ours.seconds:>11.3g}" if ours else f"{_sign(line.failed.get(OURS, '')):>11}"
        row = f"{line.model:<18}{line.gamma:>7g}{cell}"
        for peer in peers:
            one = line.best.get(peer)
            shown = f"{one.seconds:.3g} ({one.method})" if one else _sign(line.failed.get(peer, ""))
            row += f"{shown:>24}"
        ratio = line.ratio
        shown = "-" if ratio is None else "alone" if ratio == math.inf else f"{ratio:.2f}"
        out.append(row + f"{shown:>10}")
    ratios = [line.ratio for line in found if line.ratio is not None]
    finite = [x for x in ratios if math.isfinite(x)]
    out.append("")
    out.append(
        "Seconds of the solve; the best method of each library. ratio: best peer over mdplib."
    )
    if finite:
        slower = [f"{x.model} at {x.gamma:g}" for x in found if x.ratio is not None and x.ratio < 1]
        out.append(
            f"Geometric mean of the ratio: {geometric_mean(finite):.2f} over {len(finite)} cases; "
            f"no peer made it in {len(ratios) - len(finite)} more."
        )
        out.append("Slower than a peer: " + (", ".join(slower) if slower else "nowhere") + ".")
    return "\n".join(out)


def write_csv(results: Sequence[Measurement], path: Path) -> None:
    """Write every measurement."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(Measurement("", 0, "", "").row()))
        writer.writeheader()
        writer.writerows(one.row() for one in results)


def _worse(known: str | None, note: str) -> str:
    """Of two reasons, the one that says more."""
    rank = ["missed", "time", "slower", "not tried", "memory", "died", "failed", "absent"]
    notes = [x for x in (known, note) if x]
    return min(notes, key=lambda x: rank.index(x) if x in rank else -1) if notes else ""


def _sign(note: str) -> str:
    return _SIGNS.get(note, note if len(note) < 20 else "failed") or "-"
