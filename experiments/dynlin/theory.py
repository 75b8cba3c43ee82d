"""What is proven before any run: curves of the bounds, from `bounds`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bounds.dynamical_bandits import Constants, synthetic
from bounds.mussi2023_lower import guessing_bound, simple_bound
from bounds.mussi2023_regret import regret_bound
from bounds.mussi2023_switching import switching_bound
from experiments.dynlin.cells import SIGMA, SIGNS_D, SIGNS_RHO, SIGNS_SIGMA, TRUE_RHO


def upper_lines(t: Sequence[int]) -> dict[str, list[float]]:
    """Return the explicit upper bounds on the synthetic system, by label.

    Examples
    --------
    >>> lines = upper_lines([1000])
    >>> min(y[0] for label, y in lines.items() if label != "T·D") > lines["T·D"][0]
    True
    """
    system = synthetic(SIGMA)
    found: dict[str, list[float]] = {
        "bound, published radius": [],
        "bound, certified radius": [],
        "bound, RS-DynLin": [],
        "T·D": [],
    }
    for T in t:
        c = Constants.of(system, rho=TRUE_RHO, delta=1.0 / T)
        published = replace(c, ridge=math.log(T), X=c.X + 6.0 * SIGMA)
        found["bound, published radius"].append(
            regret_bound(system, published, T, "paper", "floor")
        )
        found["bound, certified radius"].append(regret_bound(system, c, T, "certified", "ceil"))
        found["bound, RS-DynLin"].append(switching_bound(system, c, T))
        found["T·D"].append(T * float(system.gaps.max()))
    return found


def lower_lines(t: Sequence[int]) -> dict[str, list[float]]:
    """Return the lower bounds on the family of signs, by label.

    Examples
    --------
    >>> both = lower_lines([10_000])
    >>> [round(y[0], 2) for y in both.values()]
    [51.61, 1.69]
    """
    family = (SIGNS_D, SIGNS_RHO, SIGNS_SIGMA)
    return {
        "lower bound, guessing signs": [guessing_bound(*family, T) for T in t],
        "lower bound, divergence": [simple_bound(*family, T) for T in t],
    }
