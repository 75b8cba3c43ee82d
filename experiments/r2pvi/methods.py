"""One door to all methods, as written in the papers or with the choices of the released code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.r2pvi.cells import NEXT_TO_ZERO, Choices, Method
from mdplib.robust import Robustness

if TYPE_CHECKING:
    from mdplib.linear_offline import LinearData
    from solvers.robust.compat import Compat
    from solvers.robust.result import PessimisticSolution

Code = Literal["simulated", "option"]
DIVERGENCE: dict[Method, Literal["tv", "kl", "chi2"]] = {
    "tv": "tv",
    "kl": "kl",
    "chi2": "chi2",
    "va_tv": "tv",
    "drpvi": "tv",
    "va_drpvi": "tv",
    "drvi_l": "kl",
}
BALLS: tuple[Method, ...] = ("drpvi", "va_drpvi", "drvi_l")


def compat(choices: Choices, code: Code, method: Method = "tv") -> Compat:
    """Return the switches of the solvers for one of the released programs.

    ``written`` cuts values at the number of steps that remain; for KL it regresses
    ``exp(-V/lambda)`` with floor ``exp(-H/lambda)``, as the paper does.

    Examples
    --------
    >>> compat("written", "simulated").penalty, compat("public", "option").chi2_sign
    ('sum', 'max')
    """
    from solvers.robust.compat import Compat

    if choices == "written":
        if method == "kl":
            return Compat(kl_target="paper", dual_range="horizon", cap="horizon")
        return Compat(cap="horizon")
    public = Compat.public(code)
    return replace(public, chi2_sign="max") if choices == "public_max" else public


def robustness(method: Method, strength: float, corner: bool, shape: tuple[int, int]) -> Robustness:
    """Return the ambiguity of a method: uniform, or of the last factor of the first step alone."""
    ball = method in BALLS
    value = strength if ball else max(strength, NEXT_TO_ZERO)
    table = np.full(shape, value)
    if corner:
        table[:] = 0.0 if ball else np.inf
        table[0, -1] = value
    return Robustness(DIVERGENCE[method], table, "ball" if ball else "penalty")


def learn(
    data: LinearData,
    method: Method,
    strengths: Sequence[float],
    switches: Compat,
    *,
    beta: float,
    ridge: float,
    corner: bool = False,
    **known: Any,
) -> list[PessimisticSolution]:
    """Return what a method learns for each strength.

    Parameters
    ----------
    data : LinearData
        Trajectories.
    method : str
        Name in `experiments.r2pvi.cells.Method`.
    strengths : sequence of float
        Penalties or radii.
    switches : Compat
        Choices.
    beta, ridge : float
        Multiplier of the bonus and ridge of the regressions.
    corner : bool
        Whether only the last factor of the first step is robust.
    **known
        ``fail_state`` or ``cap`` of the solvers.
    """
    from solvers.robust.drpvi import drpvi
    from solvers.robust.drvi_l import drvi_l
    from solvers.robust.pevi import pevi
    from solvers.robust.r2pvi import r2pvi
    from solvers.robust.va_drpvi import va_drpvi

    shape = (data.horizon, data.features.dimension)
    common: dict[str, Any] = {"beta": beta, "ridge": ridge, "compat": switches, **known}
    if method == "pevi":
        return [pevi(data, **common)] * len(strengths)
    functions: dict[Method, Any] = {
        "drpvi": drpvi, "drvi_l": drvi_l, "va_drpvi": va_drpvi, "va_tv": va_drpvi,
    }  # fmt: skip
    if method in ("va_drpvi", "va_tv") and not switches.va_bugs:
        common["ridge"] = 1.0 / data.horizon**2
    function = functions.get(method, r2pvi)
    return [function(data, robustness(method, x, corner, shape), **common) for x in strengths]
