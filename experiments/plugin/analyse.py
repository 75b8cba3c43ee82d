"""Means with intervals, fitted slopes, and how often the bound was exceeded."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import Analysis, Finished, Row
from experiments.instances import NAMES, Name
from experiments.plugin.bound import suboptimality_bound, trivial_bound
from mdplib.statistics import Interval, bootstrap_mean, clopper_pearson, slope_fit

Quantity = Literal["suboptimality", "value_error"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
FIT_FROM = 100  # smallest n of the fits
POSITIVE = 0.8  # share of non-zero runs from which a point enters a fit
QUANTILE = 0.9  # of the runs at one n: what the fit follows


@dataclass(frozen=True)
class Table:
    """Everything drawn for one model.

    Parameters
    ----------
    n : list of int
        Samples per pair.
    mean : dict
        For each quantity, an interval of the mean at each n.
    largest : list of float
        Largest suboptimality seen at each n.
    bound, trivial : list of float, float
        Largest bound over the instances at each n; largest range of values.
    slope : dict
        For each quantity, the fitted slope, None where too few points are fit for it.
    fitted : dict
        For each quantity, the n that entered the fit.
    """

    n: list[int]
    mean: dict[str, list[Interval]]
    largest: list[float]
    bound: list[float]
    trivial: float
    slope: dict[str, Interval | None]
    fitted: dict[str, list[int]]


def analyse(finished: Sequence[Finished]) -> Analysis:
    """Return a `Table` per model, and the measured quantities that the claims speak of."""
    tables: dict[str, Table] = {}
    measured: dict[str, Interval] = {}
    for model in NAMES:
        rows: dict[int, list[Row]] = defaultdict(list)
        for cell, row in finished:
            if cell.model == model:
                rows[cell.n].append(row)
        if min(map(len, rows.values()), default=0) < 2:
            continue
        tables[model] = table = _table(model, dict(sorted(rows.items())))
        runs = [row["suboptimality"] > suboptimality_bound(row, n) for n in rows for row in rows[n]]
        measured[f"exceeded/{model}"] = clopper_pearson(sum(runs), len(runs))
        for quantity, slope in table.slope.items():
            if slope is not None:
                measured[f"slope/{quantity}/{model}"] = slope
    return Analysis(tables, measured)


def _table(model: Name, rows: dict[int, list[Row]]) -> Table:
    rng = np.random.default_rng(zlib.crc32(model.encode()))
    samples = {
        quantity: {n: np.array([row[quantity] for row in rows[n]]) for n in rows}
        for quantity in QUANTITIES
    }
    fits = {quantity: _fit(samples[quantity], rng) for quantity in QUANTITIES}
    return Table(
        n=list(rows),
        mean={
            quantity: [bootstrap_mean(x, rng, method="percentile") for x in sample.values()]
            for quantity, sample in samples.items()
        },
        largest=[float(x.max()) for x in samples["suboptimality"].values()],
        bound=[max(suboptimality_bound(row, n) for row in rows[n]) for n in rows],
        trivial=max(trivial_bound(row) for each in rows.values() for row in each),
        slope={quantity: fit[0] for quantity, fit in fits.items()},
        fitted={quantity: fit[1] for quantity, fit in fits.items()},
    )


def _fit(
    sample: dict[int, NDArray[np.float64]], rng: np.random.Generator
) -> tuple[Interval | None, list[int]]:
    """Fit the slope of the log of the 0.9 quantile on log n, on points that are mostly positive."""
    full = max(x.size for x in sample.values())
    points = [
        n
        for n, x in sample.items()
        if n >= FIT_FROM and x.size == full and np.mean(x > 0.0) >= POSITIVE
    ]
    if len(points) < 3:
        return None, points
    with np.errstate(divide="ignore"):
        y = np.log(np.stack([sample[n] for n in points]))
    return slope_fit(np.log(points), y, rng, quantile=QUANTILE, paired=True), points
