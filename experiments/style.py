"""One look for all figures, intervals always drawn, numbers always saved.

Figures are `matplotlib.figure.Figure` objects; nothing here touches pyplot or leaves a trace in
the settings of matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.engine.cells import plain
from experiments.engine.store import write_atomic, write_json
from mdplib.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.25, 6.75  # inches
MARKERS = 10  # at most about so many per curve
STYLE = Path(__file__).with_name("paper.mplstyle")
Curve = dict[str, Any]


@contextmanager
def paper() -> Iterator[None]:
    """Draw in the house style inside this block.

    Examples
    --------
    >>> with paper():
    ...     figure, axes = panels(1, 2, width=PAGE)
    >>> len(axes), float(figure.get_figwidth())
    (2, 6.75)
    """
    import matplotlib
    from matplotlib import style

    with matplotlib.rc_context(), style.context(str(STYLE)):
        yield


def panels(
    rows: int = 1, columns: int = 1, *, width: float = COLUMN, height: float = 2.4
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes, row by row.

    Parameters
    ----------
    rows, columns : int
        Grid of the panels.
    width : float
        Inches, `COLUMN` or `PAGE`.
    height : float
        Inches per row.

    Returns
    -------
    Figure, list of Axes
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * rows))
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def look(number: int) -> dict[str, Any]:
    """Return colour, line style and marker of the curve with that number."""
    import matplotlib

    cycle = list(matplotlib.rcParams["axes.prop_cycle"])
    return cycle[number % len(cycle)]


def band(
    axes: Axes, x: Sequence[float], y: Sequence[Interval], *, label: str, number: int = 0
) -> Curve:
    """Draw a curve through the estimates with its intervals as a band.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    x : sequence of float
        Abscissae.
    y : sequence of Interval
        Estimates and limits at the abscissae.
    label : str
        Name in the legend.
    number : int
        Selects colour, line style and marker.

    Returns
    -------
    dict
        The numbers drawn, for `save`.
    """
    shape = look(number)
    curve = _numbers(x, y, label)
    every = max(1, round(len(x) / MARKERS))
    axes.plot(x, curve["estimate"], label=label, markevery=every, **shape)
    axes.fill_between(x, curve["low"], curve["high"], color=shape["color"], alpha=0.2, lw=0)
    return curve


def bars(
    axes: Axes, x: Sequence[float], y: Sequence[Interval], *, label: str, number: int = 0
) -> Curve:
    """Draw points with their intervals as error bars; arguments and result as for `band`."""
    shape = look(number)
    curve = _numbers(x, y, label)
    estimate = np.asarray(curve["estimate"])
    below = np.maximum(estimate - curve["low"], 0.0)
    above = np.maximum(curve["high"] - estimate, 0.0)
    axes.errorbar(
        x,
        estimate,
        yerr=[below.tolist(), above.tolist()],  # arrays of one entry make matplotlib complain
        label=label,
        color=shape["color"],
        marker=shape["marker"],
        linestyle="none",
    )
    return curve


def line(
    axes: Axes, x: Sequence[float], y: Sequence[float], *, label: str, number: int = 6
) -> Curve:
    """Draw a curve without uncertainty, such as a formula: thin, without markers."""
    axes.plot(x, y, label=label, **(look(number) | {"lw": 0.8, "marker": ""}))
    return {"label": label, "x": list(x), "y": list(y), "interval": "none: exact"}


def _numbers(x: Sequence[float], y: Sequence[Interval], label: str) -> Curve:
    return {
        "label": label,
        "x": list(x),
        "low": [i.low for i in y],
        "estimate": [i.estimate for i in y],
        "high": [i.high for i in y],
        "n": [i.n for i in y],
        "interval": sorted({f"{100 * i.confidence:g} % {i.method}" for i in y}),
    }


def _plain(value: Any) -> Any:
    """Return nested mappings and sequences as JSON values."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(x) for x in value] if isinstance(value, list | tuple) else plain(value)


def save(
    figure: Figure, numbers: dict[str, Any], folder: Path, name: str
) -> tuple[Path, Path, Path]:
    """Write a figure as PDF and PNG, and the numbers drawn in it as JSON.

    The same figure gives the same bytes: no dates are stored.

    Parameters
    ----------
    figure : Figure
        What to write.
    numbers : dict
        What was drawn. Must have a ``caption`` that says what the intervals are.
    folder : Path
        Where to write.
    name : str
        File name without suffix.

    Returns
    -------
    tuple of Path
        The PDF, the PNG and the JSON file.

    Raises
    ------
    ValueError
        If there is no caption.
    """
    if not numbers.get("caption"):
        raise ValueError(f"figure {name!r} has no caption; put one in its numbers")
    paths: list[Path] = []
    kinds: tuple[tuple[Literal["pdf", "png"], dict[str, None]], ...] = (
        ("pdf", {"CreationDate": None, "Producer": None, "Creator": None}),
        ("png", {"Software": None}),
    )
    with paper():
        for kind, metadata in kinds:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=metadata)
            paths.append(folder / f"{name}.{kind}")
            write_atomic(paths[-1], buffer.getvalue())
    paths.append(folder / f"{name}.json")
    width, height = (float(x) for x in figure.get_size_inches())
    size = {"aspect": round(width / height, 3), "width": round(width, 3)}
    write_json(paths[-1], _plain(numbers | size))
    return paths[0], paths[1], paths[2]
