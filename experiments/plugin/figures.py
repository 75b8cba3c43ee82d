"""Two figures: suboptimality under its bound, and the slopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from experiments.engine.cells import Analysis, Drawing
from experiments.instances import TITLES
from experiments.plugin.analyse import FIT_FROM, QUANTITIES, Table
from experiments.plugin.cells import DELTA, GAMMA
from experiments.style import PAGE, Curve, band, bars, line, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = {"suboptimality": "policy suboptimality", "value_error": "value error"}


def draw(analysis: Analysis) -> Iterator[Drawing]:
    """Yield the figures of the experiment."""
    if analysis.tables:
        yield suboptimality(analysis)
        yield slopes(analysis)


def suboptimality(analysis: Analysis) -> Drawing:
    """Draw mean and largest suboptimality against n, with the bound, one panel per model."""
    tables = analysis.tables
    figure, axes = panels(1, len(tables), width=PAGE, height=2.5)
    curves: dict[str, list[Curve]] = {}
    for panel, (model, table) in zip(axes, tables.items(), strict=True):
        curves[model] = _panel(panel, table)
        panel.set_title(TITLES[model])
        panel.set_xlabel("samples per state-action pair, n")
    axes[0].set_ylabel("suboptimality")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    runs = sorted({i.n for t in tables.values() for i in t.mean["suboptimality"]})
    caption = (
        f"Suboptimality of the plug-in policy against samples per pair, γ = {GAMMA:g}. Mean of "
        f"{' or '.join(map(str, runs))} runs with 95 % bootstrap interval, largest run, and the "
        f"Hoeffding bound at δ = {DELTA:g}; above the dotted line the bound says nothing. "
        "Points at which every run was optimal are not drawn."
    )
    return Drawing("1-suboptimality", figure, {"caption": caption, "panels": curves})


def _panel(axes: Axes, table: Table) -> list[Curve]:
    shown = [i for i, mean in enumerate(table.mean["suboptimality"]) if mean.estimate > 0.0]
    n = [table.n[i] for i in shown]
    mean = [table.mean["suboptimality"][i] for i in shown]
    axes.set_xscale("log")
    axes.set_yscale("log")
    curves = [
        line(axes, table.n, table.bound, label="Hoeffding bound", number=6),
        line(axes, table.n, [table.trivial] * len(table.n), label="range of values", number=3),
        band(axes, n, mean, label="mean, 95 %", number=0),
        line(axes, n, [table.largest[i] for i in shown], label="largest run", number=1),
    ]
    floor = min((i.estimate for i in mean), default=None)
    axes.set_ylim(bottom=None if floor is None else 0.5 * floor)
    return curves


def slopes(analysis: Analysis) -> Drawing:
    """Draw the fitted slopes with their intervals beside -1/2."""
    tables = analysis.tables
    figure, (axes,) = panels(height=2.3)
    curves = []
    for number, quantity in enumerate(QUANTITIES):
        found = [
            (at, table.slope[quantity])
            for at, table in enumerate(tables.values())
            if table.slope[quantity] is not None
        ]
        places = [at + 0.16 * (2 * number - 1) for at, _ in found]
        label = LABELS[quantity]
        if found:
            curves.append(bars(axes, places, [s for _, s in found], label=label, number=number))
    axes.axhline(-0.5, color="black", lw=0.8, ls="-", zorder=0)
    axes.annotate(
        "−1/2",
        (1.0, -0.5),
        (2, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=7,
        annotation_clip=False,
    )
    axes.set_xticks(range(len(tables)), [TITLES[model] for model in tables])
    axes.set_xlim(-0.5, len(tables) - 0.5)
    axes.set_ylabel("slope in log-log scale")
    figure.legend(loc="outside lower center", ncols=2)
    caption = (
        "Slope of the 0.9 quantile over the runs against n, with 95 % bootstrap interval over "
        f"runs. Fitted from n = {FIT_FROM}, while the quantile is positive; missing where fewer "
        "than three such n are left. The bounds promise −1/2 or steeper; a value estimate "
        "cannot be steeper in the limit, a policy can. Policy: max (V* − value of the plug-in "
        "policy). Value: max |V* − optimal value of the empirical model|."
    )
    fitted = {model: table.fitted for model, table in tables.items()}
    return Drawing("2-slopes", figure, {"caption": caption, "curves": curves, "fitted": fitted})
