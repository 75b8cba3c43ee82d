"""The comparison as a plot: ratios above, bandwidth of the sweep below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.tabular.measure import Sweep
from benchmarks.tabular.table import Line, geometric_mean
from experiments import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GOAL, SHARE_GOAL = 3.0, 0.7


def draw(found: Sequence[Line], sweeps: Sequence[Sweep], folder: Path) -> Path:
    """Draw both panels; return the PNG.

    Parameters
    ----------
    found : sequence of Line
        The comparison.
    sweeps : sequence of Sweep
        The bandwidths; may be empty.
    folder : Path
        Where ``tabular.png``, ``tabular.pdf`` and the numbers in ``tabular-figure.json`` go.
    """
    shown = [line for line in found if line.ratio is not None]
    names = list(dict.fromkeys(line.model for line in shown))
    rows = max(1, len(names))
    numbers: dict[str, Any] = {
        "caption": (
            "Above: seconds of the best peer over those of mdplib at equal proven accuracy; an "
            "arrow where no peer made it within the limits. Below: bytes of a sweep over its time, "
            "as a share of the bandwidth of a copy. Medians of one run, without intervals."
        )
    }
    with style.paper():
        from matplotlib.figure import Figure

        heights = [0.17 * rows + 0.9, 0.17 * len(sweeps) + 0.8] if sweeps else [0.17 * rows + 0.9]
        figure = Figure(figsize=(style.PAGE, sum(heights)), layout="constrained")
        axes = list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights).flat)
        numbers["ratios"] = _ratios(axes[0], shown, names)
        if sweeps:
            numbers["sweeps"] = _shares(axes[1], sweeps)
        folder.mkdir(parents=True, exist_ok=True)
        return style.save(figure, numbers, folder, "tabular-figure")[1]


def _ratios(axes: Axes, shown: Sequence[Line], names: Sequence[str]) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    gammas = sorted({line.gamma for line in shown})
    finite = [line.ratio for line in shown if line.ratio is not None and math.isfinite(line.ratio)]
    edge = 2 * max([*finite, GOAL])
    for i, gamma in enumerate(gammas):
        look: dict[str, Any] = style.look(i) | {"linestyle": "none"}
        mine = [line for line in shown if line.gamma == gamma]
        offset = (i - (len(gammas) - 1) / 2) * 0.22
        height = {name: rows + offset for rows, name in enumerate(names)}
        points = [(line.ratio, line.model) for line in mine if line.ratio is not None]
        known = [(x, height[name]) for x, name in points if math.isfinite(x)]
        alone = [height[name] for x, name in points if not math.isfinite(x)]
        label = rf"$\gamma = {gamma:g}$"
        axes.plot([x for x, _ in known], [y for _, y in known], label=label, **look)
        beyond: dict[str, Any] = look | {"marker": ">", "label": "_"}
        axes.plot([edge] * len(alone), alone, **beyond)
        numbers += [{"model": name, "gamma": gamma, "ratio": x} for x, name in points]
    axes.axvline(1.0, color="black", lw=0.8)
    mean = geometric_mean(finite)
    if math.isfinite(mean):
        axes.axvline(mean, color="black", lw=0.8, ls=":", label=f"geometric mean {mean:.2f}")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", color="0.9", lw=0.5)
    axes.set_axisbelow(True)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.set_xlabel("time of the best peer / time of mdplib")
    if shown:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return numbers


def _shares(axes: Axes, sweeps: Sequence[Sweep]) -> list[dict[str, Any]]:
    places = list(range(len(sweeps)))
    axes.barh(places, [one.share for one in sweeps], height=0.6, color=style.look(0)["color"])
    axes.axvline(SHARE_GOAL, color="black", lw=0.8, ls=":")
    axes.axvline(1.0, color="black", lw=0.8)
    axes.set_yticks(places, [one.model for one in sweeps])
    axes.set_ylim(len(sweeps) - 0.5, -0.5)
    axes.set_xlabel("bandwidth of a sweep / bandwidth of a copy")
    return [one.row() for one in sweeps]
