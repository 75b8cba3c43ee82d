"""Means with intervals, fitted slopes, and how often the bound was exceeded."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import Analysis, Finished, Row
from experiments.instances import NAMES, Name
from mdplib.statistics import Interval, bootstrap_mean, clopper_pearson, slope_fit

Quantity = Literal["suboptimality", "value_error"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
FIT_FROM = 100  # smallest n of the fits
QUANTILE = 0.9  # of the runs at one n: what the fit follows
RESOLUTION = 1e-8  # what is smaller cannot be told from zero: the tolerance of V*, and rounding


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
        above = [row["suboptimality"] > row["bound"] for each in rows.values() for row in each]
        measured[f"exceeded/{model}"] = clopper_pearson(sum(above), len(above), 0.9)
        for quantity, slope in table.slope.items():
            if slope is not None:
                measured[f"slope/{quantity}/{model}"] = slope
    return Analysis(tables, measured)


def _table(model: Name, rows: dict[int, list[Row]]) -> Table:
    rng = np.random.default_rng(zlib.crc32(model.encode()))
    samples = {
        quantity: {n: _resolved([row[quantity] for row in rows[n]]) for n in rows}
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
        bound=[max(row["bound"] for row in each) for each in rows.values()],
        trivial=max(row["range"] for each in rows.values() for row in each),
        slope={quantity: fit[0] for quantity, fit in fits.items()},
        fitted={quantity: fit[1] for quantity, fit in fits.items()},
    )


def _resolved(values: list[float]) -> NDArray[np.float64]:
    array = np.array(values)
    return np.where(array > RESOLUTION, array, 0.0)


def _quantile_is_safe(x: NDArray[np.float64]) -> bool:
    """Tell whether the quantile of a resample is zero with probability below 1e-6 only."""
    from scipy.special import bdtr

    positive_at_most = x.size - 1 - math.ceil(QUANTILE * (x.size - 1))
    return bool(bdtr(positive_at_most, x.size, np.mean(x > 0.0)) < 1e-6)


def _fit(
    sample: dict[int, NDArray[np.float64]], rng: np.random.Generator
) -> tuple[Interval | None, list[int]]:
    """Fit the slope of the log of the 0.9 quantile on log n, where that quantile is not zero."""
    full = max(x.size for x in sample.values())
    points = [
        n for n, x in sample.items() if n >= FIT_FROM and x.size == full and _quantile_is_safe(x)
    ]
    if len(points) < 3:
        return None, points
    with np.errstate(divide="ignore"):
        y = np.log(np.stack([sample[n] for n in points]))
    return slope_fit(np.log(points), y, rng, quantile=QUANTILE, paired=True), points
