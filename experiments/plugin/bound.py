"""The explicit bound that the plug-in policy is held against."""

from __future__ import annotations

from experiments.engine.cells import Row
from experiments.plugin.cells import DELTA, GAMMA
from mdplib.concentration import hoeffding_radius


def suboptimality_bound(row: Row, n: int) -> float:
    """Return what the suboptimality exceeds with probability at most `DELTA`."""
    span = (row["reward_high"] - row["reward_low"]) / (1.0 - GAMMA)
    error = GAMMA * hoeffding_radius(span, n, DELTA / row["n_pairs"])
    return 2.0 * error / (1.0 - GAMMA) ** 2


def trivial_bound(row: Row) -> float:
    """Return what the suboptimality cannot exceed: the range of values."""
    return (row["reward_high"] - row["reward_low"]) / (1.0 - GAMMA)
