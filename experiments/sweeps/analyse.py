"""Gap against iterations on a common grid, and iterations to a tolerance."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import Analysis, Finished, Row
from experiments.instances import NAMES, Name
from experiments.sweeps.cells import GAMMA, SOLVERS
from mdplib.statistics import Interval, bootstrap_mean, clopper_pearson, paired_difference

TOLERANCE = 1e-6  # for counting iterations
FLOOR = 1e-12  # smallest gap drawn


@dataclass(frozen=True)
class Curve:
    """Certified gap of one solver on one model.

    Parameters
    ----------
    k : list of int
        Iterations.
    gap : list of Interval
        Geometric mean over the replicates, as an interval; of width zero for a fixed model.
    """

    k: list[int]
    gap: list[Interval]


@dataclass(frozen=True)
class Table:
    """Everything drawn for one model.

    Parameters
    ----------
    curves : dict
        By solver.
    scale : float
        Largest ``max|r| / (1 - gamma)``, the a-priori error before the first sweep.
    replicates : int
        Number of instances.
    """

    curves: dict[str, Curve]
    scale: float
    replicates: int


def analyse(finished: Sequence[Finished]) -> Analysis:
    """Return a `Table` per model, and the measured quantities that the claims speak of."""
    tables: dict[str, Table] = {}
    measured: dict[str, Interval] = {}
    for model in NAMES:
        rows = {
            solver: {
                c.replicate: row for c, row in finished if (c.model, c.solver) == (model, solver)
            }
            for solver in SOLVERS
        }
        complete = sorted(set.intersection(*(set(found) for found in rows.values())))
        if not complete:
            continue
        kept = {solver: [found[i] for i in complete] for solver, found in rows.items()}
        tables[model] = _table(model, kept)
        measured |= _measured(model, kept)
    return Analysis(tables, measured)


def _table(model: Name, rows: dict[str, list[Row]]) -> Table:
    rng = np.random.default_rng(zlib.crc32(model.encode()))
    curves = {solver: _curve(found, rng) for solver, found in rows.items()}
    scale = max(row["value_scale"] for found in rows.values() for row in found)
    return Table(curves, scale, len(rows["policy_iteration"]))


def _curve(rows: list[Row], rng: np.random.Generator) -> Curve:
    """Average the logarithm of the gap at every iteration that some replicate certified."""
    k = sorted({i for row in rows for i in row["iterations"] if i > 0})
    if len(k) > 60:
        k = sorted({k[round(i)] for i in np.linspace(0, len(k) - 1, 60)})
    gaps = np.stack([best_gap(row, k) for row in rows], axis=1)
    means = []
    for each in np.log(np.maximum(gaps, FLOOR)):
        if each.size == 1:
            mean = Interval(each[0], each[0], each[0], 1.0, "one fixed model", 1)
        else:
            mean = bootstrap_mean(each, rng, method="percentile")
        low, middle, high = (float(np.exp(x)) for x in (mean.low, mean.estimate, mean.high))
        means.append(Interval(low, middle, high, mean.confidence, mean.method, mean.n))
    return Curve(k, means)


def best_gap(row: Row, k: Sequence[int]) -> NDArray[np.float64]:
    """Return the smallest gap certified within each number of iterations.

    Examples
    --------
    >>> best_gap({"iterations": [0, 2, 4], "gaps": [8.0, 2.0, 3.0]}, [1, 2, 5])
    array([8., 2., 2.])
    """
    best = np.minimum.accumulate(row["gaps"])
    return best[np.searchsorted(row["iterations"], k, side="right") - 1]


def iterations_to(row: Row, tolerance: float) -> float:
    """Return the iterations after which the certified gap is at most a tolerance, or inf."""
    reached = np.flatnonzero(np.asarray(row["gaps"]) <= tolerance)
    return float(row["iterations"][reached[0]]) if reached.size else float("inf")


def apriori(scale: float, k: NDArray[np.float64] | Sequence[int]) -> NDArray[np.float64]:
    """Return ``2 gamma^k max|r| / (1 - gamma)``: the width of a bracket of the a-priori error."""
    return 2.0 * scale * GAMMA ** np.asarray(k, dtype=float)


def _measured(model: Name, rows: dict[str, list[Row]]) -> dict[str, Interval]:
    jacobi = rows["value_iteration"]
    above = sum(
        bool(
            np.any(
                best_gap(row, row["iterations"]) > apriori(row["value_scale"], row["iterations"])
            )
        )
        for row in jacobi
    )
    measured = {f"above_apriori/{model}": clopper_pearson(above, len(jacobi), 0.9)}
    steps = {s: np.array([iterations_to(r, TOLERANCE) for r in found]) for s, found in rows.items()}
    if len(jacobi) > 1 and all(np.isfinite(x).all() for x in steps.values()):
        rng = np.random.default_rng(zlib.crc32(model.encode()))
        apart = paired_difference(steps["gauss_seidel"], steps["value_iteration"], rng)
        measured[f"gauss_seidel_minus_jacobi/{model}"] = apart
        fewer = paired_difference(steps["policy_iteration"], steps["value_iteration"], rng)
        measured[f"policy_minus_value_iteration/{model}"] = fewer
    return measured
