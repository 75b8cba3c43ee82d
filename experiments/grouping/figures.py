"""Six figures: the U, crossing curves, the best number of groups, guarantees, probes, rivals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.engine.cells import Analysis, Drawing
from experiments.grouping.analyse import RULES, Losses
from experiments.grouping.cells import DELTA, JUDGED_GROUPS, Model
from experiments.style import PAGE, Curve, band, bars, line, look, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mdplib.statistics import Interval

TITLES: dict[Model, str] = {
    "tree": "tree, γ = 0.9",
    "tree_myopic": "tree, γ = 0.7",
    "downlink": "downlink, γ = 0.9",
}
LOSS: dict[Model, str] = {
    "tree": "largest loss over the states",
    "tree_myopic": "largest loss over the states",
    "downlink": "mean loss over the states",
}
DECAY = 0.6  # of the tree's weights: the loss of m groups falls about as m ** log2(DECAY)
NAMES = {
    "linkage": "complete linkage",
    "farthest": "farthest first",
    "diameter": "least diameter",
    "value_aware": "value-aware",
    "best": "best of all",
    "representatives": "one action for each",
}


def draw(analysis: Analysis) -> Iterator[Drawing]:
    """Yield the figures of the experiment."""
    tables = analysis.tables
    if tables.get("losses"):
        yield shapes(tables["losses"])
        yield crossings(tables["losses"])
        yield best(tables["losses"])
    if tables.get("guarantees"):
        yield guarantees(tables["guarantees"])
    if tables.get("probes"):
        yield probes(tables["probes"])
    if tables.get("rivals", {}).get("mean"):
        yield rivals(tables["rivals"])


def _numbered(axes: Axes, m: list[int], name: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(m, [str(x) for x in m])
    axes.minorticks_off()
    axes.set_xlabel(name)


def _legend(figure: Any, axes: list[Axes], columns: int) -> None:
    seen: dict[str, Any] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            seen.setdefault(label, handle)
    figure.legend(seen.values(), seen.keys(), loc="outside lower center", ncols=columns)


def _budget(model: Model, budget: int) -> str:
    """Return the legend entry of a budget; those of the downlink are others than the trees'."""
    entry = f"N = {budget:,}".replace(",", " ")
    return f"{entry}, {model}" if model == "downlink" else entry


def shapes(tables: Mapping[Model, Losses]) -> Drawing:
    """Draw the loss against the number of groups for every budget, its floor, and its bound."""
    figure, axes = panels(2, len(tables), width=PAGE, height=2.3)
    curves: dict[str, list[Curve]] = {}
    for panel, (model, table) in zip(axes, tables.items(), strict=False):
        drawn = [
            band(
                panel, table.groups, [table.mean[budget, m] for m in table.groups],
                label=_budget(model, budget), number=i,
            )
            for i, budget in enumerate(table.budgets)
        ]  # fmt: skip
        drawn.append(line(panel, table.groups, table.floor, label="no estimation", number=6))
        _numbered(panel, table.groups, "")
        panel.set_title(TITLES[model])
        panel.set_ylabel(LOSS[model])
        panel.set_ylim(bottom=0.0)
        curves[model] = drawn
    for panel, (model, table) in zip(axes[len(tables) :], tables.items(), strict=True):
        curves[f"{model}, bound"] = [
            line(panel, table.groups, row.tolist(), label=f"N = {budget}", number=i)
            for i, (budget, row) in enumerate(zip(table.budgets, table.bound, strict=True))
        ]
        _numbered(panel, table.groups, "groups, m")
        panel.set_yscale("log")
        panel.set_ylabel("bound on the loss")
    _legend(figure, axes[: len(tables)], 4)
    runs = sorted({i.n for table in tables.values() for i in table.mean.values()})
    caption = (
        "Loss of the learner's policy against the number of groups, for several budgets of samples "
        "in all, N. Few groups leave good actions out, many groups leave few samples for each. "
        f"Mean of {' or '.join(map(str, runs))} repetitions with 95 % bootstrap interval; thin "
        "line: the loss of planning with the true grouped model. Below: the total bound at "
        f"δ = {DELTA:g}, one line per budget, which falls as N grows; it is least for more than "
        "the fewest groups only when N is large."
    )
    others = {TITLES[model]: table.others for model, table in tables.items() if table.others}
    if others:
        known = next(iter(others.values()))
        caption += " Downlink, without learning: " + "; ".join(
            f"{name} {value:.3g}" for name, value in known.items()
        )
        caption += "."
    return Drawing("1-shape", figure, {"caption": caption, "panels": curves, "others": others})


def crossings(tables: Mapping[Model, Losses]) -> Drawing:
    """Draw the loss against the budget for every number of groups."""
    figure, axes = panels(1, len(tables), width=PAGE, height=2.9)
    curves: dict[str, list[Curve]] = {}
    every = sorted({m for table in tables.values() for m in table.groups})
    for panel, (model, table) in zip(axes, tables.items(), strict=True):
        curves[model] = [
            band(
                panel, table.budgets, [table.mean[budget, m] for budget in table.budgets],
                label=f"m = {m}", number=every.index(m),
            )
            for m in table.groups
        ]  # fmt: skip
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("samples in all, N")
        panel.set_ylabel(LOSS[model])
        panel.set_title(TITLES[model])
    _legend(figure, axes, 7)
    caption = (
        "The same against the budget, one curve per number of groups: each levels off at its own "
        "floor, and the curves cross. Mean with 95 % bootstrap interval over repetitions."
    )
    return Drawing("2-crossings", figure, {"caption": caption, "panels": curves})


def best(tables: Mapping[Model, Losses]) -> Drawing:
    """Draw the best number of groups against the budget, measured and of the bound."""
    figure, axes = panels(1, len(tables), width=PAGE, height=2.7)
    curves: dict[str, list[Curve]] = {}
    for panel, (model, table) in zip(axes, tables.items(), strict=True):
        bound = [float(table.groups[int(row.argmin())]) for row in table.bound]
        drawn = [
            bars(panel, table.budgets, table.best, label="least loss", number=0),
            line(panel, table.budgets, bound, label="least bound", number=1),
        ]
        if model != "downlink":
            a = -np.log2(DECAY)
            n = np.array(table.budgets, dtype=float)
            slope = 1.0 / (2.0 * a + 1.0)
            law = table.best[0].estimate * (n / n[0]) ** slope
            drawn.append(line(panel, n.tolist(), law.tolist(), label="scaling law", number=6))
        panel.set_xscale("log")
        panel.set_yscale("log", base=2)
        panel.set_yticks(table.groups, [str(m) for m in table.groups])
        panel.minorticks_off()
        panel.set_xlabel("samples in all, N")
        panel.set_ylabel("best number of groups")
        panel.set_title(TITLES[model])
        curves[model] = drawn
    _legend(figure, axes, 3)
    caption = (
        "The number of groups with the least mean loss against the budget, with the 95 % "
        "bootstrap interval of that number; the minimiser of the total bound at δ = "
        f"{DELTA:g}; and the slope 1/(2a + 1) of the scaling law, where the loss of m groups "
        f"falls as m^(−a), a = −log₂ {DECAY:g}."
    )
    return Drawing("3-best", figure, {"caption": caption, "panels": curves})


def guarantees(table: Mapping[int, dict[str, Any]]) -> Drawing:
    """Draw the guarantees over the loss against the samples per pair."""
    figure, (axes,) = panels(height=2.6)
    n = list(table)
    names = {
        "hoeffding": "Hoeffding, a priori",
        "weissman": "L1, a priori",
        "certificate": "fresh data",
    }
    curves = [
        line(axes, n, [table[k][f"{key}_ratio"] for k in n], label=label, number=i)
        for i, (key, label) in enumerate(names.items())
    ]
    axes.axhline(1.0, color="black", lw=0.6)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("samples per state and group, K")
    axes.set_ylabel("guarantee / mean loss")
    axes.legend()
    runs = sorted({row["loss"].n for row in table.values()})
    caption = (
        f"Guarantees on the loss by estimation over its mean, tree model with {JUDGED_GROUPS} "
        f"groups, γ = 0.9, δ = {DELTA:g}: two bounds that are known before the data, and the "
        f"certificate from as many fresh samples. Means over {' or '.join(map(str, runs))} "
        "repetitions; no intervals, the ratios differ by orders of magnitude."
    )
    means = {str(k): table[k]["loss"].to_dict() for k in n}
    return Drawing("4-guarantees", figure, {"caption": caption, "curves": curves, "loss": means})


def probes(table: Mapping[str, Any]) -> Drawing:
    """Draw samples, groups and seconds of the cheap selection against the number of actions."""
    figure, axes = panels(1, 2 if table["seconds"] else 1, width=PAGE, height=2.5)
    wanted = [("samples", "samples drawn"), ("seconds", "seconds")]
    curves = []
    for panel, (name, label) in zip(axes, wanted, strict=False):
        values = np.array(table[name], dtype=float)
        panel.plot(table["actions"], np.median(values, axis=1), color=look(0)["color"])
        for x, each in zip(table["actions"], values, strict=True):
            panel.plot([x] * len(each), each, ls="none", marker=".", ms=3, color="0.5")
        panel.set_xscale("log")
        panel.set_ylim(0.0, 1.25 * values.max())
        panel.set_xlabel("actions")
        panel.set_ylabel(label)
        if name == "samples":  # seconds are never the same twice, so only the picture has them
            curves.append({"label": label, "x": table["actions"], "y": values.tolist()})
    caption = (
        "Choosing the number of groups by probing a few pairs of actions per group: what it costs "
        "does not grow with the number of actions. Points: models; line: median."
    )
    return Drawing(
        "5-probes", figure, {"caption": caption, "curves": curves, "groups": table["groups"]}
    )


def rivals(table: Mapping[str, Any]) -> Drawing:
    """Draw the loss of several groupings of random models against the number of groups."""
    figure, (axes,) = panels(height=3.1)
    mean: dict[str, list[Interval]] = table["mean"]
    m = table["groups"]
    curves = []
    for i, rule in enumerate(RULES):
        shown = [k for k in range(len(m)) if mean[rule][k].estimate > 1e-9]
        places = [m[k] + 0.1 * (i - 0.5 * (len(RULES) - 1)) for k in shown]
        means = [mean[rule][k] for k in shown]
        curves.append(bars(axes, places, means, label=NAMES[rule], number=i))
    axes.set_yscale("log")
    axes.set_xticks(m)
    axes.set_xlabel("groups, m")
    axes.set_ylabel("largest loss over the states")
    _legend(figure, [axes], 2)
    runs = len(next(iter(table["loss"].values())))
    caption = (
        f"Loss without estimation of several groupings of {runs} random models (3 states, 7 "
        "actions, γ = 0.9), uniform within groups but for the last. Grouping similar actions "
        "protects all of them alike; a good group per state is enough. Mean with 95 % bootstrap "
        "interval over models; points where no model loses anything are not drawn."
    )
    return Drawing("6-rivals", figure, {"caption": caption, "curves": curves})
