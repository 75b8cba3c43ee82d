"""Figure 2, the well-posed variant, guarantees against truth, and the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.engine.cells import Analysis, Drawing
from experiments.r2pvi.cells import CORNERED, DIVERGENCES, TIMED
from experiments.r2pvi.evidence import Sweep
from experiments.r2pvi.figure_two import PUBLISHED, Times
from experiments.r2pvi.guarantee import ACTIONS, BETA, STATES, STEPS
from experiments.r2pvi.ledger import FATES, SECTIONS
from experiments.style import PAGE, band, line, look, panels
from mdplib.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {
    "pevi": "PEVI", "tv": "R2PVI-TV", "kl": "R2PVI-KL", "chi2": "R2PVI-χ²", "drpvi": "DRPVI",
    "drvi_l": "DRVI-L",
}  # fmt: skip
LEAST_BETA = 0.01  # where the axis of figure 5 begins
DIVERGENCE_NAMES = {"tv": "total variation", "kl": "Kullback-Leibler", "chi2": "χ²"}


def draw(analysis: Analysis) -> Iterator[Drawing]:
    """Yield every figure whose rows are there."""
    tables = analysis.tables
    if "times" in tables:
        yield times(tables["times"])
    if "behaviour" in tables:
        yield behaviour(tables["behaviour"])
    if "corner" in tables or "uniform" in tables:
        yield well_posed(tables)
    if "size" in tables:
        yield bounds(tables["size"])
        yield needed(tables)
    if "dimension" in tables or "coverage" in tables:
        yield ablations(tables)
    if "ledger" in tables:
        yield ledger(tables["ledger"])


def times(tables: dict[str, Times]) -> Drawing:
    """Draw training time over that of PEVI, against d and against N, for each program."""
    figure, axes = panels(2, 2, width=PAGE, height=2.1)
    axis = {"d": [s for s in TIMED if s[0] == 1000], "N": [s for s in TIMED if s[1] == 30]}
    drawn: dict[str, Any] = {}
    for row, absolute in enumerate((False, True)):
        for column, (what, sizes) in enumerate(axis.items()):
            one = axes[2 * row + column]
            x = [size[1] if what == "d" else size[0] for size in sizes]
            drawn[f"{'seconds' if absolute else 'ratio'} against {what}"] = _programs(
                one, tables, sizes, x, absolute=absolute
            )
            one.set_xscale("log")
            one.set_yscale("log")
            one.set_xticks(x, [f"{v:,}" for v in x])
            one.xaxis.set_minor_locator(_none())
            one.set_xlabel("features d (N = 1000)" if what == "d" else "trajectories N (d = 30)")
    axes[0].set_ylabel("time / time of PEVI")
    axes[2].set_ylabel("seconds")
    for one in axes[:2]:
        one.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
        one.yaxis.set_minor_locator(_none())
    _two_legends(figure, tables)
    shown = "" if "loop" in tables else " The loop runs at the larger scales only."
    caption = (
        "Figure 2: training time on the American put. Seconds of processor time in one thread, "
        "least of several runs (loop: one run), on the machine of this report: times are "
        "measurements, kept beside the rows, and no two runs agree. Published: other hardware, "
        "λ, ρ and β not stated. The loop inverts the Gram matrix at every query, as the released "
        "code does, and that shared cost hides what a dual costs; without it every method here "
        f"costs about the same, and two orders of magnitude less.{shown}"
    )
    return Drawing("2-time", figure, {"caption": caption, "panels": drawn})


_STYLES: dict[str, tuple[Any, float]] = {
    "library": ("-", 1.3),
    "loop": ("--", 1.0),
    "published": (":", 1.0),
}
_PROGRAMS = {"library": "this library", "loop": "plain loop", "published": "published"}


def _programs(
    axes: Axes, tables: dict[str, Times], sizes: list[Any], x: list[int], *, absolute: bool
) -> dict[str, Any]:
    """Draw every program's methods; return the numbers."""
    drawn: dict[str, Any] = {}
    for code, found in tables.items():
        style, width = _STYLES[code]
        for number, method in enumerate(PUBLISHED):
            values = [
                found.seconds.get(method, {}).get(s) if absolute else found.ratio(method, s)
                for s in sizes
            ]
            points = [(a, b) for a, b in zip(x, values, strict=True) if b is not None]
            if not points or (method == "pevi" and not absolute):
                continue
            shape = look(number)
            axes.plot(
                *zip(*points, strict=True), color=shape["color"], linestyle=style, lw=width,
                marker=shape["marker"],
                markerfacecolor="none" if code == "published" else shape["color"],
            )  # fmt: skip
            drawn[f"{method}, {_PROGRAMS[code]}"] = {"x": x, "y": values}
    return drawn


def _none() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _two_legends(figure: Any, tables: dict[str, Times]) -> None:
    """Say colours by method and line styles by program, below the panels."""
    from matplotlib.lines import Line2D

    handles = []
    for number, method in enumerate(PUBLISHED):
        shape = look(number)
        handles.append(
            Line2D([], [], color=shape["color"], marker=shape["marker"], label=NAMES[method])
        )
    handles += [
        Line2D([], [], color="black", linestyle=_STYLES[code][0], label=_PROGRAMS[code])
        for code in tables
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)


def behaviour(curves: Any) -> Drawing:
    """Draw what the put's policies lose when the behaviour exercises at random."""
    figure, axes = panels(1, 2, width=PAGE, height=2.6)
    titles = {"1": "behaviour always holds", "0.9": "behaviour exercises at times"}
    drawn: dict[str, Any] = {}
    for one, (hold, title) in zip(axes, titles.items(), strict=True):
        drawn[title] = [
            band(one, curve.x, curve.fresh, label=f"λ = {strength}", number=number)
            for number, (strength, curve) in enumerate(curves[hold].items())
        ]
        one.set_title(title)
        one.set_xlabel("probability of a rise, p0")
    axes[1].sharey(axes[0])
    axes[0].set_ylabel("mean payoff")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    n = next(iter(curves["1"].values())).fresh[0].n
    caption = (
        "Behaviour of the put's data, R2PVI-TV as written, N = 100, d = 30: always holding, as in "
        "the released data, against exercising with probability 0.1 at every step. (With the "
        "probability 1/2 of which the text speaks, no episode is left after some seven steps.) "
        f"Means over {n} data sets and all starts in [95, 105], 95 % bootstrap interval."
    )
    return Drawing("1e-behaviour", figure, {"caption": caption, "panels": drawn})


def well_posed(tables: Any) -> Drawing:
    """Draw the first-step u against the data: uniform penalties beside the corner alone."""
    figure, axes = panels(1, 3, width=PAGE, height=2.7)
    drawn: dict[str, Any] = {"uniform": [], "corner": [], "return": []}
    for number, (method, points) in enumerate(tables.get("uniform", {}).items()):
        drawn["uniform"].append(_points(axes[0], points, NAMES[method], number))
    for number, (strength, points) in enumerate(tables.get("corner", {}).items()):
        label = f"λ = {strength:g}"
        drawn["corner"].append(_points(axes[1], points, label, number))
        worst = tables["corner_returns"][strength]
        drawn["return"].append(_points(axes[2], worst, label, number))
    for one, title, ylabel in zip(
        axes,
        ("all factors robust, λ = 0.1", "only factor (1, 4) robust", "the same, at q = 1"),
        ("mean first-step u", "mean first-step u", "return at q = 1"),
        strict=True,
    ):
        one.set_xscale("log")
        one.set_title(title)
        one.set_xlabel("trajectories K")
        one.set_ylabel(ylabel)
    for one in axes[:2]:
        one.set_ylim(0.05, 0.55)
        for level in (0.1, 0.5):
            one.axhline(level, color="black", lw=0.5, zorder=0)
    places: tuple[tuple[Axes, Any], ...] = (
        (axes[0], "outside lower left"),
        (axes[1], "outside lower right"),
    )
    for one, place in places:
        handles, labels = one.get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc=place, ncols=len(labels) // 2)
    caption = (
        "What more data do, five-state model, ‖ξ‖₁ = 0.2, methods as written, β = 1. Left: with "
        "λ = 0.1 everywhere the exact robust policy plays the largest u = 0.5 for each divergence, "
        "so the caution at K = 100 comes from pessimism and goes with the data, except that of TV, "
        "where λ truncates all values to nearly one number and the bonus decides. Middle "
        "and right: with only the factor that the benchmark perturbs made robust, the exact policy "
        "plays the smallest u = 0.1 if λ < 1.2485 and the largest beyond, and that is what is "
        "learnt. Bands: 95 % bootstrap interval of the mean."
    )
    return Drawing("3-well-posed", figure, {"caption": caption, "panels": drawn})


def _points(axes: Axes, points: dict[int, Interval], label: str, number: int) -> dict[str, Any]:
    return band(axes, list(points), list(points.values()), label=label, number=number)


def bounds(sweeps: dict[str, Sweep]) -> Drawing:
    """Draw suboptimality, value gap, certificate and bounds against K, a panel per divergence."""
    shown = {k: sweeps[k] for k in (*DIVERGENCES, "kl_3") if k in sweeps}
    figure, axes = panels(1, len(shown), width=PAGE, height=2.9)
    drawn = {}
    for one, (label, sweep) in zip(axes, shown.items(), strict=True):
        drawn[label] = _bounds(one, sweep, 2.0 * BETA)
        one.set_xlabel("trajectories K")
        name = "KL, λ = 3" if label == "kl_3" else f"{DIVERGENCE_NAMES[label]}, λ = 1"
        one.set_title(name)
    axes[0].set_ylabel("value")
    _same_limits(axes)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    n = next(iter(shown.values())).rows["gap"].shape[0]
    caption = (
        f"Promise and truth on {n} random simplex models (S = {STATES}, A = {ACTIONS}, d = 5, "
        f"H = {STEPS}), β = 1, uniform behaviour: means with 95 % bootstrap intervals, evaluated "
        "exactly at the uniform start. The certificate is 2 Σ E Γ under π* and the worst kernel "
        "for V̂; 2βΦ takes the worst admissible kernel. The bound of theorem 5.2 is the latter with "
        "its own β, and says nothing above the dotted line, the horizon. Means of zero are not "
        "drawn."
    )
    return Drawing("4-bounds", figure, {"caption": caption, "panels": drawn})


def _same_limits(axes: list[Axes]) -> None:
    """Give panels in a row the same values, named at the first one."""
    limits = [one.get_ylim() for one in axes if one.axison]
    for one in axes:
        one.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    for one in axes[1:]:
        one.tick_params(labelleft=False)


def _bounds(axes: Axes, sweep: Sweep, factor: float) -> list[Any]:
    """Draw one panel of bounds against the axis of a sweep."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    phi = Sweep(sweep.x, {"phi": factor * sweep.rows["phi"]}, sweep.beta)
    drawn = [
        line(axes, sweep.x, [float(STEPS)] * len(sweep.x), label="horizon", number=3),
        band(axes, sweep.x, sweep.mean("theory"), label="theorem 5.2", number=6),
        band(axes, sweep.x, phi.mean("phi"), label="2βΦ, β = 1", number=4),
        band(axes, sweep.x, sweep.mean("certificate"), label="certificate, β = 1", number=2),
        band(axes, sweep.x, sweep.mean("gap"), label="V* − V̂", number=0),
    ]
    lost = sweep.mean("suboptimality")
    kept = [i for i, found in enumerate(lost) if found.low > 1e-12]
    x, y = [sweep.x[i] for i in kept], [lost[i] for i in kept]
    drawn.append(band(axes, x, y, label="suboptimality", number=1))
    return drawn


def needed(tables: Any) -> Drawing:
    """Draw the smallest valid beta against that of theory, over K, d and coverage."""
    kinds = {
        "size": "trajectories K (d = 5)",
        "dimension": "features d (K = 1600)",
        "coverage": "share of uniform actions",
    }
    kinds = {kind: text for kind, text in kinds.items() if kind in tables}
    figure, axes = panels(1, len(kinds), width=PAGE, height=2.7)
    drawn: dict[str, list[Any]] = {}
    for one, (kind, text) in zip(axes, kinds.items(), strict=True):
        drawn[kind] = []
        one.set_xscale("log")
        one.set_yscale("log")
        for number, (label, sweep) in enumerate(tables[kind].items()):
            name = "KL, λ = 3" if label == "kl_3" else f"{DIVERGENCE_NAMES[label]}, λ = 1"
            drawn[kind].append(_quantiles(one, sweep, name, number))
            theory = line(one, sweep.x, sweep.beta, label="", number=number)
            theory["label"] = f"theory, {name}"
            drawn[kind].append(theory)
        one.set_xlabel(text)
        if kind == "dimension":
            _ticks(one, next(iter(tables[kind].values())).x)
    axes[0].set_ylabel("β")
    every = [s for kind in kinds for s in tables[kind].values()]
    axes[0].set_ylim(LEAST_BETA, 2.0 * max(b for s in every for b in s.beta))
    for one in axes[1:]:
        one.set_ylim(axes[0].get_ylim())
        one.tick_params(labelleft=False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    n = max(s.rows["needed"].shape[0] for kind in kinds for s in tables[kind].values())
    caption = (
        "The smallest β for which every estimate lies within its width (points: median, bands: "
        f"least to largest of {n} models) and, thin lines above, the β of theorem 5.2 at δ = 0.05. "
        "About 1 to 2 is enough; theory asks for thousands. Where all values are clipped to zero "
        "the estimates are exact and the smallest β is 0; it is drawn at the axis."
    )
    return Drawing("5-beta", figure, {"caption": caption, "panels": drawn})


def _ticks(axes: Axes, x: list[float]) -> None:
    """Put ticks at the points alone."""
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.xaxis.set_minor_locator(_none())


def _quantiles(axes: Axes, sweep: Sweep, label: str, number: int) -> dict[str, Any]:
    """Draw the median and the range of the smallest valid beta."""
    rows = np.maximum(sweep.rows["needed"], LEAST_BETA)
    ranges = [
        Interval(float(y.min()), float(np.median(y)), float(y.max()), 1.0, "range of runs", y.size)
        for y in rows.T
    ]
    return band(axes, sweep.x, ranges, label=label, number=number)


def ablations(tables: Any) -> Drawing:
    """Draw the guarantees against the dimension and against the coverage."""
    kinds = [kind for kind in ("dimension", "coverage") if kind in tables]
    figure, axes = panels(len(kinds), 3, width=PAGE, height=2.2)
    drawn: dict[str, Any] = {}
    for row, kind in enumerate(kinds):
        for column, divergence in enumerate(DIVERGENCES):
            one = axes[3 * row + column]
            if divergence not in tables[kind]:
                one.set_axis_off()
                continue
            sweep = tables[kind][divergence]
            if kind == "coverage":
                sweep = Sweep(
                    [float(np.median(c)) for c in sweep.rows["coverage"].T], sweep.rows, sweep.beta
                )
            drawn[f"{kind}, {divergence}"] = _bounds(one, sweep, 2.0 * BETA)
            one.set_title(DIVERGENCE_NAMES[divergence] if row == 0 else "")
            if kind == "dimension":
                _ticks(one, sweep.x)
            one.set_xlabel("features d" if kind == "dimension" else "coverage constant c†, median")
        axes[3 * row].set_ylabel("value")
        _same_limits(axes[3 * row : 3 * row + 3])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    caption = (
        "The curves of the previous figures at K = 1600, λ = 1. Above: against the number of "
        "features. Below: against the coverage of the data, features with concentration "
        f"{CORNERED:g}, when the behaviour avoids the first coordinate ever more; everything grows "
        "as coverage falls, at most as its power −1/2. Means with 95 % bootstrap intervals."
    )
    return Drawing("6-ablations", figure, {"caption": caption, "panels": drawn})


def ledger(counts: Any) -> Drawing:
    """Draw how many published numbers are reproduced by what."""
    from matplotlib.ticker import MaxNLocator

    names = [name for name in SECTIONS if sum(counts[name].values())]
    figure, (axes,) = panels(1, 1, width=PAGE, height=2.6)
    left = np.zeros(len(names))
    colours = ("#009E73", "#E69F00", "#D55E00", "#BBBBBB")
    for fate, colour in zip(FATES, colours, strict=True):
        width = np.array([counts[name][fate] for name in names], dtype=float)
        axes.barh(range(len(names)), width, left=left, color=colour, label=fate, height=0.7)
        for at, (start, size) in enumerate(zip(left, width, strict=True)):
            if size:
                axes.text(start + size / 2, at, f"{size:g}", ha="center", va="center", fontsize=7)
        left += width
    axes.set_yticks(range(len(names)), [SECTIONS[name] for name in names])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("published numbers and claims")
    figure.legend(loc="outside lower center", ncols=len(FATES))
    caption = (
        "Which published numbers are reproduced: by the method as written (perhaps by the released "
        "choices as well), only by the choices of the released code, by neither, or not measured "
        "at this scale. Published data sets, exact evaluation; tolerance: the Monte-Carlo error of "
        "the published evaluation, or none where its episodes are replayed. Figure 2: this library "
        "for the former, a plain loop for the latter, tolerance one half."
    )
    return Drawing(
        "7-ledger", figure, {"caption": caption, "counts": {k: dict(counts[k]) for k in names}}
    )
