"""Which published numbers are reproduced, and by what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from experiments.claims import Judgement, judge, read_claims
from mdplib.statistics import Interval

Fate = Literal["as written", "released choices only", "neither", "unknown"]
FATES: tuple[Fate, ...] = ("as written", "released choices only", "neither", "unknown")
SECTIONS = {
    "fig1a": "figure 1(a)",
    "fig1b": "figure 1(b)",
    "fig1c": "figure 1(c)",
    "fig1d": "figure 1(d)",
    "claim_a": "claims on 1(a)",
    "claim_b": "claims on 1(b)",
    "claim_c": "claims on 1(c)",
    "claim_d": "claims on 1(d)",
    "fig2": "figure 2",
    "claim_time": "claims on 2",
}
SIDES = {
    "written": "written",
    "public": "public",
    "replay": "public",
    "library": "written",
    "loop": "public",
}


def ledger(path: str | Path, measured: Mapping[str, Interval]) -> dict[str, Counter[Fate]]:
    """Return how many published numbers of each section met which fate.

    Parameters
    ----------
    path : str or Path
        The claims.
    measured : mapping
        Measurements by claim.

    Returns
    -------
    dict of Counter
        By section. "as written" counts numbers that the method as written reproduces, whether or
        not the released choices do as well. The released choices may agree by exact evaluation or
        on the published test episodes. For figure 2 this library stands for the former, the
        plain loop for the latter.
    """
    judged: dict[str, dict[str, Judgement]] = {}
    for claim in read_claims(path):
        name, _, side = claim.name.rpartition("/")
        if side in SIDES and name.split("/")[0] in SECTIONS:
            sides, found = judged.setdefault(name, {}), judge(claim, measured.get(claim.name))
            if sides.get(SIDES[side]) != "agree":
                sides[SIDES[side]] = found
    counts: dict[str, Counter[Fate]] = {section: Counter() for section in SECTIONS}
    for name, sides in judged.items():
        counts[name.split("/")[0]][fate(sides)] += 1
    return counts


def fate(sides: Mapping[str, Judgement]) -> Fate:
    """Return the fate of one number from its two judgements.

    Examples
    --------
    >>> fate({"written": "differs", "public": "agree"})
    'released choices only'
    >>> fate({"written": "differs", "public": "unknown"})
    'unknown'
    """
    if sides.get("written") == "agree":
        return "as written"
    if sides.get("public") == "agree":
        return "released choices only"
    return "neither" if set(sides.values()) == {"differs"} else "unknown"
