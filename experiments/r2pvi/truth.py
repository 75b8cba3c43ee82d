"""Exact values of the benchmark models, without data."""

from __future__ import annotations

import warnings

import numpy as np

from experiments.engine.cells import Row, Streams
from experiments.r2pvi import published
from experiments.r2pvi.cells import DIVERGENCES, Truth
from mdplib import models
from mdplib.linear import LinearMDP
from mdplib.models import five_states
from mdplib.robust import NoEffectWarning, Robustness
from solvers.robust.planning import robust_planning

PENALTIES = (0.1, 0.2, 0.3, 0.6, 1.0, 2.0, 5.0)
OPTION_CHANCES = (0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
CORNER_RADII = tuple(round(i / 100, 2) for i in range(0, 101, 2))
CORNER_PENALTIES = tuple(round(i / 50, 2) for i in range(1, 101))


def run(cell: Truth, streams: Streams) -> Row:
    """Return the numbers of one model; the streams are not used."""
    return _five_state() if cell.model == "five_state" else _option()


def _five_state() -> Row:
    mdp = models.five_state(0.2)
    row: Row = {
        "v2_0.2": five_states.continuation(0.2),
        "v2_0.3": five_states.continuation(0.3),
        "v1_0.2": float(mdp.optimal()[0][0, 0]),
        "flip_q": five_states.flip(0.2),
        "flip_rho": flip(mdp, "ball", 0.0, 1.0),
        "flip_lambda": flip(mdp, "penalty", 2.0, 0.5),
        "penalties": list(PENALTIES),
    }
    for divergence in DIVERGENCES:
        found = [plan(mdp, Robustness(divergence, x)) for x in PENALTIES]
        row[f"optimum_{divergence}"] = [value for value, _ in found]
        row[f"u_{divergence}"] = [u for _, u in found]
    return row


def plan(mdp: LinearMDP, robustness: Robustness) -> tuple[float, float]:
    """Return the robust optimum at x1 and the u of its first action; ties go to the largest u."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)  # KL and chi-square at Dirac factors
        found = robust_planning(mdp, robustness)
    action = found.policy.act(np.zeros(1, int), np.random.default_rng(0))[0]
    u = mdp.features.phi[action, -1]  # pair k of x1 is its action k
    return float(found.value[0, 0]), float(u)


def corner(mdp: LinearMDP, mode: str, strength: float) -> Robustness:
    """Return total-variation robustness of the last factor of the first step alone."""
    ball = mode == "ball"
    table = np.full((mdp.horizon, mdp.dimension), 0.0 if ball else np.inf)
    table[0, -1] = strength
    return Robustness("tv", table, "ball" if ball else "penalty")


def flip(mdp: LinearMDP, mode: str, large: float, small: float) -> float:
    """Return the strength between two at which the best u leaves the largest, by bisection."""
    top = float(mdp.features.phi[:16, -1].max())
    for _ in range(50):
        middle = 0.5 * (large + small)
        if plan(mdp, corner(mdp, mode, middle))[1] == top:
            large = middle
        else:
            small = middle
    return 0.5 * (large + small)


def _option() -> Row:
    put = models.american_put(published.TEST_PRICE, horizon=published.HORIZON)
    starts = put.start[0]
    values = [float(put.with_probability(p).optimal()[0][0, starts]) for p in OPTION_CHANCES]
    return {"chances": list(OPTION_CHANCES), "optimum": values}
