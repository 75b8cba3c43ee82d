"""Mean losses with intervals, the best number of groups, guarantees against losses, rivals."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import Analysis, Finished, Row
from experiments.grouping.cells import Curve, Guarantee, Model, Probe, Rivals
from mdplib.statistics import Interval, bootstrap_mean, clopper_pearson, slope_fit

Floats = NDArray[np.float64]
RESAMPLES = 2000
RULES = ("linkage", "farthest", "diameter", "value_aware", "best", "representatives")


@dataclass(frozen=True)
class Losses:
    """Everything about one model.

    Parameters
    ----------
    groups, budgets : list of int
        Numbers of groups, m; samples in all, N.
    loss : (budgets, groups, repetitions) float64
        True losses of the learners.
    mean : dict
        Interval of the mean loss for each (N, m).
    floor : list of float
        Loss of each number of groups without estimation.
    bound : (budgets, groups) float64
        Total bound on the loss.
    best : list of Interval
        The best number of groups at each budget.
    others : dict
        Losses of policies that learn nothing, by name.
    """

    groups: list[int]
    budgets: list[int]
    loss: Floats
    mean: dict[tuple[int, int], Interval]
    floor: list[float]
    bound: Floats
    best: list[Interval]
    others: dict[str, float]


def analyse(finished: Sequence[Finished]) -> Analysis:
    """Return the tables of the figures and the measured quantities of the claims."""
    rows: dict[type, list[Finished]] = defaultdict(list)
    for each in sorted(finished, key=lambda each: each.cell.replicate):
        rows[type(each.cell)].append(each)
    tables: dict[str, Any] = {}
    measured: dict[str, Interval] = {}
    parts: tuple[tuple[str, type, Callable[..., tuple[Any, dict[str, Interval]]]], ...] = (
        ("losses", Curve, _losses),
        ("guarantees", Guarantee, _guarantees),
        ("probes", Probe, _probes),
        ("rivals", Rivals, _rivals),
    )
    for name, kind, summarise in parts:
        if rows[kind]:
            tables[name], found = summarise(rows[kind])
            measured |= found
    return Analysis(tables, measured)


def _rng(*key: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def _percentile(draws: Floats, estimate: float, n: int, confidence: float = 0.95) -> Interval:
    tail = 0.5 * (1.0 - confidence)
    low, high = np.quantile(draws, [tail, 1.0 - tail], method="inverted_cdf")
    return Interval(float(low), estimate, float(high), confidence, "bootstrap, percentile", n)


# ------------------------------------------------------------------ losses


def _losses(finished: list[Finished]) -> tuple[dict[Model, Losses], dict[str, Interval]]:
    by_model: dict[Model, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for cell, row in finished:
        by_model[cell.model][cell.budget].append(row)
    tables, measured = {}, {}
    for model, rows in by_model.items():
        if len({len(each) for each in rows.values()}) != 1:
            continue  # an unfinished sweep: budgets must have the same repetitions
        tables[model] = _table(model, dict(sorted(rows.items())))
        measured |= _measured(model, tables[model])
    return tables, measured


def _table(model: Model, rows: dict[int, list[Row]]) -> Losses:
    any_row = next(iter(rows.values()))[0]
    groups, budgets = any_row["groups"], list(rows)
    loss = np.array(
        [np.concatenate([row["loss"] for row in each], axis=1) for each in rows.values()]
    )
    mean = {
        (budget, m): bootstrap_mean(loss[i, k], _rng(model, budget, m), method="percentile")
        for i, budget in enumerate(budgets)
        for k, m in enumerate(groups)
    }
    best = [
        _percentile(
            np.array(groups, dtype=float)[_argmins(loss[i], _rng("best", model, budget))],
            float(groups[int(loss[i].mean(axis=1).argmin())]),
            loss.shape[2],
        )
        for i, budget in enumerate(budgets)
    ]
    bound = np.array([each[0]["bound"] for each in rows.values()])
    return Losses(
        groups, budgets, loss, mean, any_row["floor"], bound, best,
        dict(zip(any_row["others"], any_row["other_losses"], strict=True)),
    )  # fmt: skip


def _argmins(loss: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the best row of (groups, repetitions) losses in each resample of the repetitions."""
    n = loss.shape[1]
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES)
    return (loss @ counts.T).argmin(axis=0)


def _measured(model: Model, table: Losses) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    n = table.loss.shape[2]
    for i, budget in enumerate(table.budgets):
        found |= {f"loss/{model}/{budget}/{m}": table.mean[budget, m] for m in table.groups}
        found[f"best/{model}/{budget}"] = table.best[i]
        for end, k in (("fewest", 0), ("most", len(table.groups) - 1)):
            found[f"u/{model}/{budget}/{end}"] = _against(table.loss[i], k, (model, budget, end))
    for m, floor in zip(table.groups, table.floor, strict=True):
        found[f"floor/{model}/{m}"] = Interval(floor, floor, floor, 1.0, "exact", 1)
    paths = np.array(
        [_argmins(x, _rng("path", model, i)) for i, x in enumerate(table.loss)], dtype=float
    )
    own = np.array([x.mean(axis=1).argmin() for x in table.loss], dtype=float)
    steps = np.diff(paths, axis=0).min(axis=0)
    found[f"steps/{model}"] = _percentile(steps, float(np.diff(own).min()), n)
    sizes = np.log(np.array(table.groups, dtype=float))
    slopes = np.polyfit(np.log(table.budgets), sizes[paths.astype(int)], 1)[0]
    slope = np.polyfit(np.log(table.budgets), sizes[own.astype(int)], 1)[0]
    found[f"growth/{model}"] = _percentile(slopes, float(slope), n)
    return found


def _against(loss: Floats, end: int, key: object) -> Interval:
    """Return how much less the best inner number of groups loses than one at the end.

    The inner one is chosen on the first half of the repetitions and judged on the second, so that
    the choice does not flatter it.
    """
    half = loss.shape[1] // 2
    inner = 1 + int(loss[1:-1, :half].mean(axis=1).argmin())
    difference = loss[inner, half:] - loss[end, half:]
    return bootstrap_mean(difference, _rng("against", key), method="percentile")


# ------------------------------------------------------------------ guarantees


def _guarantees(finished: list[Finished]) -> tuple[dict[int, dict[str, Any]], dict[str, Interval]]:
    rows: dict[int, list[Row]] = defaultdict(list)
    for cell, row in finished:
        rows[cell.n].append(row)
    tables: dict[int, dict[str, Any]] = {}
    measured: dict[str, Interval] = {}
    for n, each in sorted(rows.items()):
        loss = np.concatenate([row["loss"] for row in each])
        table: dict[str, Any] = {"loss": bootstrap_mean(loss, _rng("loss", n), method="percentile")}
        for name in ("hoeffding", "weissman", "certificate"):
            bound = np.concatenate([np.atleast_1d(row[name]) for row in each])
            bound = np.broadcast_to(bound, loss.shape) if bound.size == loss.size else bound[:1]
            table[name] = float(np.mean(bound))
            table[f"{name}_ratio"] = float(np.mean(bound) / loss.mean())
            failures = int((loss > bound + 1e-12).sum())
            measured[f"exceeded/{name}/{n}"] = clopper_pearson(failures, loss.size, 0.9)
        gain = min(table["hoeffding"], table["weissman"]) / table["certificate"]
        measured[f"gain/{n}"] = Interval(gain, gain, gain, 1.0, "ratio of means", loss.size)
        tables[n] = table
    return tables, measured


# ------------------------------------------------------------------ probes


def _probes(finished: list[Finished]) -> tuple[dict[str, Any], dict[str, Interval]]:
    sizes = sorted({each.cell.n_actions for each in finished})
    rows = {n: [each.row for each in finished if each.cell.n_actions == n] for n in sizes}
    table: dict[str, Any] = {"actions": sizes}
    for name in ("samples", "groups"):
        table[name] = [[row[name] for row in rows[n]] for n in sizes]
    seconds = [[row["seconds"] for row in rows[n] if "seconds" in row] for n in sizes]
    known = all(len(x) == len(y) for x, y in zip(seconds, table["samples"], strict=True))
    table["seconds"] = seconds if known else []  # a clock may have been lost
    measured: dict[str, Interval] = {}
    if known and len(seconds[0]) > 1:
        y = np.log(np.array(seconds))
        measured["growth/seconds"] = slope_fit(np.log(sizes), y, _rng("seconds"), paired=True)
    if all(len(x) > 1 for x in table["samples"]):
        y = np.log(np.array(table["samples"], dtype=float))
        measured["growth/samples"] = slope_fit(np.log(sizes), y, _rng("samples"), paired=True)
    return table, measured


# ------------------------------------------------------------------ rivals


def _rivals(finished: list[Finished]) -> tuple[dict[str, Any], dict[str, Interval]]:
    rows = [each.row for each in finished]
    groups = rows[0]["groups"]
    loss = {rule: np.array([row[rule] for row in rows], dtype=float) for rule in RULES}
    mean = {
        rule: [bootstrap_mean(x, _rng(rule, i), method="percentile") for i, x in enumerate(part.T)]
        for rule, part in loss.items()
        if len(part) > 1
    }
    measured: dict[str, Interval] = {}
    if len(rows) > 1:
        for rule in RULES:
            each = loss[rule].mean(axis=1)
            measured[f"loss/{rule}"] = bootstrap_mean(each, _rng(rule), method="percentile")
        for rule in ("value_aware", "best", "representatives"):
            measured[f"factor/{rule}"] = _ratio(loss["linkage"], loss[rule])
    return {"groups": groups, "mean": mean, "loss": loss}, measured


def _ratio(above: Floats, below: Floats) -> Interval:
    """Return an interval of the ratio of mean losses, models resampled in pairs."""
    n = len(above)
    counts = _rng("ratio").multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES)
    a, b = above.mean(axis=1), below.mean(axis=1)
    draws = (counts @ a) / np.maximum(counts @ b, 1e-300)
    return _percentile(draws, float(a.mean() / b.mean()), n)
