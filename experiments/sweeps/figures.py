"""One figure: the certified gap against iterations, a panel per model."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.engine.cells import Analysis, Drawing
from experiments.instances import TITLES
from experiments.style import PAGE, Curve, band, line, panels
from experiments.sweeps.analyse import FLOOR, apriori
from experiments.sweeps.cells import GAMMA, SOLVERS

LABELS: dict[str, str] = {
    "value_iteration": "value iteration",
    "gauss_seidel": "Gauss-Seidel",
    "modified_policy_iteration": "modified policy iteration",
    "policy_iteration": "policy iteration",
}


def draw(analysis: Analysis) -> Iterator[Drawing]:
    """Yield the figures of the experiment."""
    if analysis.tables:
        yield gaps(analysis)


def gaps(analysis: Analysis) -> Drawing:
    """Draw the certified gap of every solver, and the a-priori width."""
    tables = analysis.tables
    figure, axes = panels(1, len(tables), width=PAGE, height=2.6)
    curves: dict[str, list[Curve]] = {}
    for panel, (model, table) in zip(axes, tables.items(), strict=True):
        last = max(max(curve.k) for curve in table.curves.values())
        k = sorted({round(last ** (i / 40)) for i in range(41)})
        drawn = [line(panel, k, apriori(table.scale, k).tolist(), label="a-priori width", number=6)]
        for number, solver in enumerate(SOLVERS):
            curve = table.curves[solver]
            drawn.append(band(panel, curve.k, curve.gap, label=LABELS[solver], number=number))
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(TITLES[model])
        panel.set_xlabel("iterations of the method")
        curves[model] = drawn
    axes[0].set_ylabel("certified gap")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    n = {TITLES[model]: table.replicates for model, table in tables.items()}
    counts = ", ".join(f"{model}: {number}" for model, number in n.items())
    caption = (
        f"Proven width of the bracket around V* after k iterations from V = 0, γ = {GAMMA:g}, and "
        "the a-priori width 2 γ^k max|r| / (1 − γ). Geometric mean over instances with 95 % "
        f"bootstrap interval (instances: {counts}; a fixed model has no interval). An iteration is "
        f"a sweep, or a policy improvement for policy iteration. Gaps below {FLOOR:g} are drawn "
        "there; the a-priori width speaks of plain value iteration."
    )
    return Drawing("1-gap", figure, {"caption": caption, "panels": curves})
