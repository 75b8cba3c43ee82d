"""Figure 1 of the paper, panel by panel: the method as written beside the released choices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.claims import read_claims
from experiments.engine.cells import Analysis, Drawing
from experiments.r2pvi import figures_more
from experiments.r2pvi.cells import FIG_1B, PENALTIES, RADII
from experiments.r2pvi.curves import Curve
from experiments.r2pvi.figure_one import PAIRS, Panel
from experiments.style import PAGE, look, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXPECTED = Path(__file__).with_name("expected.toml")
SIDES = {"written": "method as written", "public": "choices of the released code"}
NAMES = {
    "pevi": "PEVI", "tv": "R2PVI-TV", "kl": "R2PVI-KL", "chi2": "R2PVI-χ²", "drpvi": "DRPVI",
    "drvi_l": "DRVI-L",
}  # fmt: skip
COMMON = (
    "Lines: mean over the published data sets ({n}), evaluated exactly. Bands: 95 % bootstrap "
    "interval of the mean on fresh data sets ({fresh}). Open markers: read off the published "
    "figure, which evaluates by 100 episodes."
)


def draw(analysis: Analysis) -> Iterator[Drawing]:
    """Yield the figures of the experiment."""
    for name, maker in (("1a", figure_1a), ("1b", figure_1b), ("1c", figure_1c), ("1d", figure_1d)):
        if analysis.tables.get(name):
            yield maker(analysis.tables[name])
    yield from figures_more.draw(analysis)


def figure_1a(panel: Panel) -> Drawing:
    """Draw the four methods against the perturbation."""
    labels = {m: NAMES[m] for m in ("pevi", "tv", "kl", "chi2")}
    note = (
        "Figure 1(a): return in the perturbed five-state model, K = 100, λ = 0.1, ‖ξ‖₁ = 0.2. "
        f"{_told(panel, 20)} As written, the sum penalty alone makes TV and, mostly, KL cautious "
        "(λ = 0.1 truncates all values); the published χ² curve needs the released sign error, "
        "which minimises the dual. The published KL curve is reached by neither."
    )
    return _sides(
        "fig1a", panel, labels, note, "perturbation q", "return", {"0": 0, "0.5": 5, "1": 10}, "q"
    )


def figure_1b(panel: Panel) -> Drawing:
    """Draw R2PVI-TV for several penalties."""
    labels = {f"{x:g}": f"λ = {x:g}" for x in FIG_1B}
    note = (
        "Figure 1(b): R2PVI-TV in the perturbed five-state model, K = 100, ‖ξ‖₁ = 0.3. "
        f"{_told(panel, 20)} As written, every λ chooses the smallest u: the four lines are one; "
        "the published order of the lines is an effect of the released ℓ2 penalty, minimum over "
        "data and missing clip at 0."
    )
    return _sides(
        "fig1b", panel, labels, note, "perturbation q", "return", {"0": 0, "0.5": 5, "1": 10}, "q",
        prefix="lambda",
    )  # fmt: skip


def figure_1c(panel: Panel) -> Drawing:
    """Draw R2PVI-TV against lambda and DRPVI against rho."""
    labels = {"tv": "R2PVI-TV, against λ", "drpvi": "DRPVI, against ρ"}
    note = (
        "Figure 1(c): return at q = 0.9 against the penalty λ or the radius ρ, the same at all "
        f"steps and factors; K = 100, ‖ξ‖₁ = 0.2. {_told(panel, 20)} As written, R2PVI-TV does "
        "not depend on λ here; DRPVI rises with ρ either way."
    )
    return _sides(
        "fig1c", panel, labels, note, "λ or ρ", "return at q = 0.9", {"0": 0, "1": -1}, ""
    )


def figure_1d(panel: Panel) -> Drawing:
    """Draw the put: three pairs of penalty and radius, and PEVI."""
    labels = {"pevi/0": "PEVI"}
    labels |= {f"tv/{x:g}": f"R2PVI-TV, λ = {x:g}" for x in PENALTIES}
    labels |= {f"drpvi/{x:g}": f"DRPVI, ρ = {x:g}" for x in RADII}
    note = (
        "Figure 1(d): mean payoff of the American put against the chance p0 of a rise, N = 100, "
        f"d = 30. {_told(panel, 3)} Fresh data start anywhere in [95, 105], the published ones at "
        "100.5, 99.2 and 99.4, hence the bands. All evaluations start at 99.17, as published. The "
        "published ones share one set of 100 episodes, so their errors go together; replayed, "
        "those episodes give every published number to its three decimals (right)."
    )
    marks = {f"{p:g}": i for i, p in enumerate((0.2, 0.4, 0.6, 0.8, 1.0))}
    return _sides(
        "fig1d", panel, labels, note, "probability of a rise, p0", "mean payoff", marks, "p",
        numbers=_pair_numbers(),
    )  # fmt: skip


def _pair_numbers() -> dict[str, int]:
    """Return the look of each curve of figure 1(d): the members of a pair share a colour."""
    numbers = {"pevi/0": 6}
    for i, (penalty, radius) in enumerate(PAIRS):
        numbers |= {f"tv/{penalty:g}": i, f"drpvi/{radius:g}": i}
    return numbers


def _told(panel: Panel, n: int) -> str:
    fresh = sorted({i.n for side in panel.values() for c in side.values() for i in c.fresh})
    shown = f"{' or '.join(map(str, fresh))} replicates" if fresh else "none at this scale"
    return COMMON.format(n=n, fresh=shown)


def readings() -> dict[str, float]:
    """Return the published values by the name of their claim, without the side."""
    claims = (c for c in read_claims(EXPECTED) if c.name.endswith("/public"))
    return {claim.name.removesuffix("/public"): claim.value for claim in claims}


def _sides(
    figure_name: str, panel: Panel, labels: dict[str, str], caption: str,
    xlabel: str, ylabel: str, marks: dict[str, int], axis: str, *,
    prefix: str = "", numbers: dict[str, int] | None = None,
) -> Drawing:  # fmt: skip
    """Draw the two panels of a figure with the published values in both."""
    figure, axes = panels(1, 2, width=PAGE, height=2.9)
    known, drawn = readings(), {}
    for one, (side, title) in zip(axes, SIDES.items(), strict=True):
        curves = panel.get(side, {})  # type: ignore[call-overload]
        drawn[side] = []
        for number, (key, label) in enumerate(labels.items()):
            number = number if numbers is None else numbers[key]
            if key in curves:
                pair = key.split("/")[0] if numbers else None
                drawn[side].append(_curve(one, curves[key], label, number, pair))
                x = curves[key].x
                told = {
                    x[at]: known.get(f"{figure_name}/{prefix}{key}/{axis}{name}")
                    for name, at in marks.items()
                }
                drawn[side][-1]["published figure"] = _markers(one, told, number, pair)
        one.set_title(title)
        one.set_xlabel(xlabel)
    axes[1].sharey(axes[0])
    axes[0].set_ylabel(ylabel)
    _legend(figure, axes, columns=4 if len(labels) > 5 else 5)
    return Drawing(
        f"{figure_name.removeprefix('fig')}-{_SLUGS[figure_name]}",
        figure,
        {"caption": caption, "panels": drawn},
    )


_SLUGS = {"fig1a": "methods", "fig1b": "penalties", "fig1c": "strength", "fig1d": "put"}


def _curve(axes: Axes, curve: Curve, label: str, number: int, pair: str | None) -> dict[str, Any]:
    """Draw the means on published data as a line and fresh data as a band."""
    shape = look(number)
    style = {"color": shape["color"], "linestyle": shape["linestyle"], "marker": ""}
    if pair is not None:
        style["linestyle"] = "--" if pair == "drpvi" else "-"
    axes.plot(curve.x, curve.best, label=label, **style)
    if curve.fresh:
        low, high = [i.low for i in curve.fresh], [i.high for i in curve.fresh]
        axes.fill_between(curve.x, low, high, color=shape["color"], alpha=0.15, lw=0)
    return {
        "label": label,
        "x": curve.x,
        "published data": curve.published,
        "fresh data": [i.to_dict() for i in curve.fresh],
    }


def _markers(
    axes: Axes, told: dict[float, float | None], number: int, pair: str | None
) -> list[list[float]]:
    """Draw published values as open markers."""
    points = [[x, y] for x, y in told.items() if y is not None]
    shape = look(number)
    marker = {"tv": "o", "drpvi": "s"}.get(pair or "", shape["marker"])
    axes.plot(
        [x for x, _ in points], [y for _, y in points], linestyle="none", color=shape["color"],
        marker=marker, markerfacecolor="none", markersize=4.5, clip_on=False, zorder=3,
    )  # fmt: skip
    return points


def _legend(figure: Any, axes: list[Axes], columns: int) -> None:
    """Put one legend under the figure, with an entry for the open markers."""
    from matplotlib.lines import Line2D

    handles: dict[str, Any] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    handles["published figure"] = Line2D(
        [], [], linestyle="none", marker="o", color="black", markerfacecolor="none"
    )
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
