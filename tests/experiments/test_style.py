"""Figures: the same bytes twice, intervals drawn, numbers saved."""

import json

import matplotlib
import numpy as np
import pytest

from experiments.style import PAGE, band, bars, line, panels, paper, save
from mdplib.statistics import Interval

INTERVALS = [
    Interval(0.8, 1.0, 1.5, 0.95, "bootstrap", 9),
    Interval(0.4, 0.5, 0.6, 0.95, "exact", 8),
]


def figure():
    with paper():
        drawing, (left, right) = panels(1, 2, width=PAGE)
        curve = band(left, [1.0, 2.0], INTERVALS, label="a")
        points = bars(right, [1.0, 2.0], INTERVALS, label="b", number=1)
        formula = line(right, [1.0, 2.0], [1.0, 0.5], label="c")
    return drawing, [curve, points, formula]


def test_same_bytes_twice(tmp_path):
    for folder in ("one", "two"):
        drawing, curves = figure()
        save(drawing, {"caption": "Ω", "curves": curves}, tmp_path / folder, "fig")
    for kind in ("pdf", "png", "json"):
        one, two = (tmp_path / folder / f"fig.{kind}" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    assert b"CreationDate" not in (tmp_path / "one/fig.pdf").read_bytes()


def test_fonts_are_embedded_as_truetype(tmp_path):
    drawing, curves = figure()
    pdf, _, _ = save(drawing, {"caption": "c", "curves": curves}, tmp_path, "fig")
    assert b"/Type3" not in pdf.read_bytes()


def test_numbers_name_interval_and_n(tmp_path):
    drawing, curves = figure()
    _, _, path = save(drawing, {"caption": "c", "curves": curves}, tmp_path, "fig")
    numbers = json.loads(path.read_text())
    assert numbers["curves"][0]["interval"] == ["95 % bootstrap", "95 % exact"]
    assert numbers["curves"][0]["n"] == [9, 8]
    assert numbers["curves"][1]["low"] == [0.8, 0.4]
    assert numbers["aspect"] == pytest.approx(PAGE / 2.4, abs=1e-3)


def test_intervals_reach_their_limits():
    with paper():
        _, (left, right) = panels(1, 2)
        band(left, [1.0, 2.0], INTERVALS, label="a")
        bars(right, [1.0, 2.0], INTERVALS, label="b")
    (area,) = left.collections
    vertices = area.get_paths()[0].vertices
    assert {0.8, 1.5, 0.4, 0.6} <= set(np.asarray(vertices)[:, 1])
    (whiskers,) = right.collections
    heights = [np.asarray(path.vertices)[:, 1].tolist() for path in whiskers.get_paths()]
    assert heights == [[0.8, 1.5], [0.4, 0.6]]


def test_a_figure_needs_a_caption(tmp_path):
    with pytest.raises(ValueError, match="caption"):
        save(figure()[0], {}, tmp_path, "fig")


def test_settings_of_matplotlib_are_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    drawing, curves = figure()
    save(drawing, {"caption": "c", "curves": curves}, tmp_path, "fig")
    assert dict(matplotlib.rcParams) == before
