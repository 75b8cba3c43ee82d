"""What was promised against what was measured.

``expected.toml`` of an experiment lists claims::

    [[claim]]
    name = "slope/garnet"            # the measured quantity, from analyse
    quantity = "slope of ..."        # in words
    relation = "at most"             # "equals", "at most" or "at least"
    value = -0.5
    tolerance = 0.05
    source = "theorem, figure or table"

A claim *agrees* if the whole interval fulfils it within the tolerance, *differs* if no point of
the interval does, and is *unknown* otherwise, or if nothing was measured.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from experiments.engine.cells import plain
from mdplib.errors import MdplibError
from mdplib.statistics import Interval

Relation = Literal["equals", "at most", "at least"]
Judgement = Literal["agree", "differs", "unknown"]


@dataclass(frozen=True)
class Claim:
    """A published or proven value.

    Parameters
    ----------
    name : str
        The measured quantity it speaks of.
    quantity : str
        The same in words.
    relation : {"equals", "at most", "at least"}
        How the value bounds the quantity.
    value, tolerance : float
        The value, and how far off still counts as agreement.
    source : str
        Where the value comes from.
    """

    name: str
    quantity: str
    relation: Relation
    value: float
    tolerance: float
    source: str


def read_claims(path: str | Path) -> list[Claim]:
    """Return the claims of a file.

    Raises
    ------
    MdplibError
        Naming the file and the first claim that is incomplete.
    """
    try:
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("claim", [])
    except tomllib.TOMLDecodeError as error:
        raise MdplibError(f"{path} is not TOML: {error}") from None
    claims = []
    for number, entry in enumerate(entries):
        try:
            claim = Claim(**entry)
        except TypeError as error:
            raise MdplibError(f"{path}: claim {number}: {error}") from None
        if claim.relation not in get_args(Relation):
            raise MdplibError(
                f"{path}: claim {number}: relation {claim.relation!r}; one of {get_args(Relation)}"
            )
        claims.append(claim)
    return claims


def judge(claim: Claim, measured: Interval | None) -> Judgement:
    """Hold a claim against a measurement.

    Examples
    --------
    >>> claim = Claim("slope", "slope", "at most", -0.5, 0.05, "theory")
    >>> judge(claim, Interval(-0.6, -0.55, -0.5, 0.95, "bootstrap", 9))
    'agree'
    >>> judge(claim, Interval(-0.5, -0.45, -0.4, 0.95, "bootstrap", 9)), judge(claim, None)
    ('unknown', 'unknown')
    """
    if measured is None:
        return "unknown"
    low = -math.inf if claim.relation == "at most" else claim.value - claim.tolerance
    high = math.inf if claim.relation == "at least" else claim.value + claim.tolerance
    if low <= measured.low and measured.high <= high:
        return "agree"
    if measured.high < low or measured.low > high:
        return "differs"
    return "unknown"


def judged(path: str | Path | None, measured: Mapping[str, Interval]) -> list[dict[str, Any]]:
    """Return every claim of a file with its measurement and judgement, as plain values."""
    return [
        {
            "claim": vars(claim),
            "measured": _values(measured.get(claim.name)),
            "judgement": judge(claim, measured.get(claim.name)),
        }
        for claim in (read_claims(path) if path else [])
    ]


def _values(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {name: plain(value) for name, value in interval.to_dict().items()}
