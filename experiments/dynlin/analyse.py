"""Regret curves with intervals, slopes, coverage, and paired comparisons."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bounds.mussi2023_lower import guessing_bound
from experiments.dynlin.cells import (
    OURS,
    SIGMA,
    SIGNS_D,
    SIGNS_RHO,
    SIGNS_SIGMA,
    TRUE_RHO,
    Name,
)
from experiments.engine.cells import Analysis, Finished, Row
from mdplib.statistics import (
    Interval,
    bootstrap_mean,
    clopper_pearson,
    paired_difference,
)

Floats = NDArray[np.float64]
RESAMPLES = 2000


class Setting(NamedTuple):
    """Everything of a cell but the batch."""

    system: str
    protocol: str
    sigma: float
    algorithm: Name
    rho: float
    rounds: int


@dataclass(frozen=True)
class Runs:
    """All seeds of one setting.

    Parameters
    ----------
    t : list of int
        Checkpoints.
    regret : (seeds, checkpoints) ndarray
        Sum of the gaps up to each checkpoint.
    certificate : ndarray or None
        What the learner itself could prove, same shape.
    covered : list of int or None
        Whether the confidence sets held throughout, per seed.
    ratio : list of float or None
        Largest error over radius, per seed.
    updates : list of int
        How often the estimate changed, per seed.
    expected : (seeds,) ndarray
        T J* minus the sum of the rewards without noise.
    rows : list of dict
        The rows.
    """

    t: list[int]
    regret: Floats
    certificate: Floats | None
    covered: list[int] | None
    ratio: list[float] | None
    updates: list[int]
    expected: Floats
    rows: list[Row]

    @property
    def final(self) -> Floats:
        """Regret after all rounds, per seed."""
        return self.regret[:, -1]


def analyse(finished: Sequence[Finished]) -> Analysis:
    """Return the runs by `Setting`, their mean curves, and the measured quantities."""
    rows: dict[Setting, list[Row]] = defaultdict(list)
    for cell, row in sorted(finished, key=lambda each: each.cell.replicate):
        key = Setting(cell.system, cell.protocol, cell.sigma, cell.algorithm, cell.rho, cell.rounds)
        rows[key].append(row)
    runs = {key: _gather(each) for key, each in rows.items()}
    tables = {"runs": runs, "curves": {key: _curve(key, found) for key, found in runs.items()}}
    return Analysis(tables, _measured(runs))


def _gather(rows: list[Row]) -> Runs:
    def joined(name: str) -> list | None:
        return None if rows[0][name] is None else [x for row in rows for x in row[name]]

    certificate = joined("certificate")
    return Runs(
        t=rows[0]["checkpoints"],
        regret=np.array(joined("regret"), dtype=float),
        certificate=None if certificate is None else np.array(certificate, dtype=float),
        covered=joined("covered"),
        ratio=joined("ratio"),
        updates=joined("updates") or [],
        expected=np.array(joined("expected"), dtype=float),
        rows=rows,
    )


def _rng(key: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def resampled_means(values: Floats, rng: np.random.Generator) -> Floats:
    """Return the column means of resampled rows, one row per resample.

    Parameters
    ----------
    values : (n, k) ndarray
        Independent replicates, n >= 2.
    rng : numpy.random.Generator
        Source of the resamples.

    Returns
    -------
    (RESAMPLES, k) ndarray
        Means.
    """
    n = len(values)
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES)
    return counts.astype(float) @ values / n


def _percentile(draws: Floats, estimate: float, n: int) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(low), estimate, float(high), 0.95, "bootstrap, percentile", n)


def _curve(key: Setting, runs: Runs) -> list[Interval]:
    """Return the mean regret at every checkpoint."""
    draws, n = resampled_means(runs.regret, _rng(key)), len(runs.regret)
    means = runs.regret.mean(axis=0)
    return [_percentile(x, float(y), n) for x, y in zip(draws.T, means, strict=True)]


def slope(runs: Runs, rng: np.random.Generator) -> Interval | None:
    """Return the slope of log mean regret on log t over the last decade.

    None where a resample could have no regret at all.
    """
    late = [i for i, t in enumerate(runs.t) if t >= runs.t[-1] / 10]
    values = runs.regret[:, late]
    if (values[:, 0] <= 0.0).any():
        return None
    x = np.log([runs.t[i] for i in late])
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    estimate = float(np.log(values.mean(axis=0)) @ weights)
    return _percentile(np.log(resampled_means(values, rng)) @ weights, estimate, len(values))


def ratio_of_means(a: Floats, b: Floats, rng: np.random.Generator) -> Interval:
    """Return an interval for mean(a) / mean(b), pairs resampled together."""
    draws = resampled_means(np.stack([a, b], axis=1), rng)
    return _percentile(draws[:, 0] / draws[:, 1], float(a.mean() / b.mean()), a.size)


# ------------------------------------------------------------------ measured quantities


def _measured(runs: Mapping[Setting, Runs]) -> dict[str, Interval]:
    if not runs:
        return {}
    measured: dict[str, Interval] = {}
    longest = max(key.rounds for key in runs)
    for key, found in runs.items():
        if len(found.regret) < 2:
            continue
        if key.rounds == longest:
            measured |= _of_one(key, found)
        measured[f"regret/{name_of(key)}/{key.rounds}"] = bootstrap_mean(found.final, _rng(key))
        epochs = found.updates[0]
        if len(set(found.updates)) == 1:
            n = len(found.updates)
            exact = Interval(epochs, epochs, epochs, 1.0, "the same in every run", n)
            measured[f"updates/{name_of(key)}/{key.rounds}"] = exact
        if key.system == "signs" and key.rounds == longest:
            measured[f"above_lower/{key.algorithm}"] = _above_lower(key, found)
    for system in sorted({key.system for key in runs}):
        horizons = sorted({key.rounds for key in runs if key.system == system})
        for rounds in horizons:
            found = _compared(runs, system, rounds)
            measured |= {f"{name}/{rounds}": x for name, x in found.items()}
        measured |= _compared(runs, system, horizons[-1])
    return measured


def name_of(key: Setting) -> str:
    """Return the name of a setting in claims.

    Examples
    --------
    >>> name_of(Setting("synthetic", "correct", 0.01, "dynlin_log", 0.4, 1000))
    'synthetic/dynlin_log/rho=0.4'
    """
    parts = [key.system, key.algorithm]
    if key.protocol != "correct":
        parts.append(key.protocol)
    if key.system == "synthetic" and key.sigma != SIGMA:
        parts.append(f"sigma={key.sigma:g}")
    if key.rho >= 0.0:
        parts.append(f"rho={key.rho:g}")
    return "/".join(parts)


def _above_lower(key: Setting, runs: Runs) -> Interval:
    """Return the mean regret over the lower bound of the family of signs."""
    bound = guessing_bound(SIGNS_D, SIGNS_RHO, SIGNS_SIGMA, key.rounds)
    return bootstrap_mean(runs.final / bound, _rng(("lower", key)))


def _of_one(key: Setting, runs: Runs) -> dict[str, Interval]:
    name, found = name_of(key), {}
    steepness = slope(runs, _rng(("slope", key)))
    if steepness is not None:
        found[f"slope/{name}"] = steepness
    if runs.covered is not None:
        n = len(runs.covered)
        found[f"uncovered/{name}"] = clopper_pearson(n - sum(runs.covered), n, 0.9)
    if runs.certificate is not None and runs.covered is not None:
        above = (runs.regret > runs.certificate * (1 + 1e-9) + 1e-9).any(axis=1)
        broken = int(np.sum(above & (np.array(runs.covered) > 0)))
        found[f"above_certificate/{name}"] = clopper_pearson(broken, len(runs.regret), 0.9)
    return found


def _compared(runs: Mapping[Setting, Runs], system: str, rounds: int) -> dict[str, Interval]:
    found: dict[str, Interval] = {}

    def get(algorithm: Name, protocol: str = "correct", rho: float = -1.0) -> Runs | None:
        sigma = next((k.sigma for k in runs if k.system == system and k.sigma == SIGMA), None)
        if sigma is None:
            return None
        return runs.get(Setting(system, protocol, sigma, algorithm, rho, rounds))

    paper = get("dynlin_log")
    if paper is None:
        return found
    for other in ("rs_dynlin", "dynlin_certified"):
        mine = get(other)
        if mine is not None:
            rng = _rng((system, rounds, other))
            found[f"ratio/{system}/{other}"] = ratio_of_means(mine.final, paper.final, rng)
    for other in ("lin_ucb_log", "expert", "dynlin_one"):
        mine = get(other)
        if mine is not None:
            difference = paired_difference(paper.final, mine.final, _rng((system, rounds, other)))
            found[f"minus/{system}/dynlin_log/{other}"] = difference
    for rho in sorted({k.rho for k in runs if k.rho >= 0.0}):
        mine = get("dynlin_log", rho=rho)
        if mine is not None and math.isfinite(rho) and rho != TRUE_RHO:
            difference = paired_difference(mine.final, paper.final, _rng((system, rounds, rho)))
            found[f"minus/{system}/rho={rho:g}/true"] = difference
    return found


def shares(runs: Mapping[Setting, Runs]) -> dict[Setting, Interval]:
    """Return how often the confidence sets failed, per setting that has them."""
    return {
        key: clopper_pearson(len(found.covered) - sum(found.covered), len(found.covered), 0.95)
        for key, found in runs.items()
        if found.covered is not None
    }


def is_ours(algorithm: str) -> bool:
    """Tell whether an algorithm has confidence sets that are meant to hold."""
    return algorithm in (*OURS, "dynlin_one")
