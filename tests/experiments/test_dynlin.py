"""The experiment on dynamical linear bandits: cells, analysis and figures on made-up rows."""

import math

import numpy as np
import pytest

from experiments.claims import judged, read_claims
from experiments.dynlin import analyse, cells, figures
from experiments.dynlin.analyse import Runs, Setting, name_of, ratio_of_means, slope
from experiments.dynlin.cells import Cell
from experiments.dynlin.theory import lower_lines, upper_lines
from experiments.engine.cells import SCALES, Experiment, Finished, Scale, key
from experiments.style import paper

EXPECTED = str(figures.__file__).replace("figures.py", "expected.toml")
OPTIMISTS = {"dynlin_log", "dynlin_one", "dynlin_certified", "rs_dynlin", "lin_ucb", "lin_ucb_log"}


def made_up(scale: Scale = "smoke", exponent=0.55, rival=1.0, covered=1, certificate=3.0):
    """Return rows with regret c t ** exponent, c by algorithm, and a little noise."""
    finished = []
    for cell in cells.cells(scale):
        t = [round(10 ** (i / 4)) for i in range(4, 24)]
        t = [x for x in t if x < cell.rounds] + [cell.rounds]
        rng = np.random.default_rng(cell.replicate)
        ours = cell.algorithm.startswith(("dynlin", "rs"))
        size = {"rs_dynlin": 0.2, "dynlin_certified": 0.5}.get(cell.algorithm, 1.0)
        size *= 1.0 + abs(cell.rho - 0.2) * (cell.rho >= 0.0) + cell.sigma
        factor = size * rng.uniform(0.9, 1.1, cells.SEEDS)[:, None]
        regret = factor * np.array(t, dtype=float) ** (exponent if ours else rival)
        known = cell.algorithm in OPTIMISTS
        finished.append(
            Finished(
                cell,
                {
                    "checkpoints": t,
                    "regret": regret.tolist(),
                    "certificate": (certificate * regret).tolist() if ours else None,
                    "covered": [covered if ours else 0] * cells.SEEDS if known else None,
                    "ratio": [0.5] * cells.SEEDS if known else None,
                    "updates": [100] * cells.SEEDS,
                    "expected": regret[:, -1].tolist(),
                    "h_error": 0.01,
                    "radius_error": 0.02,
                },
            )
        )
    return finished


def judgements(finished):
    found = judged(EXPECTED, analyse.analyse(finished).measured)
    return {entry["claim"]["name"]: entry["judgement"] for entry in found}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr(analyse, "RESAMPLES", 200)


# --------------------------------------------------------------------------------- cells


def test_cells_are_stable():
    """Addresses decide which rows are reused: they change on purpose only."""
    fixed = Experiment("dynlin", "", 1, 7, cells=cells.cells, run=lambda c, s: {})
    cell = Cell("synthetic", "correct", 0.01, "dynlin_log", -1.0, 10_000, 0)
    assert key(fixed, cell) == "b2d614608a593cd649d60c4dd4d837ad"
    assert cell in set(cells.cells("smoke"))


def test_scales_contain_each_other_and_reach_the_paper():
    sets = [set(cells.cells(scale)) for scale in SCALES]
    assert sets[0] < sets[1] < sets[2]
    longest = [c for c in sets[2] if c.rounds == 1_000_000]
    main = [c for c in longest if (c.system, c.protocol, c.sigma) == ("synthetic", "correct", 0.01)]
    seeds = {c.replicate for c in main}
    assert len(seeds) * cells.SEEDS == 50
    assert {c.algorithm for c in main} == set(cells.EVERYONE)
    assert len(cells.EVERYONE) >= 10


def test_the_true_radius_is_computed_once():
    rhos = {c.rho for c in cells.cells("smoke") if c.system == "synthetic"}
    assert rhos == {-1.0, 0.0, 0.05, 0.1, 0.3, 0.4, 0.8}


# ------------------------------------------------------------------------------ analysis


def test_the_slope_of_a_power_is_its_exponent():
    t = [10, 30, 100, 300, 1000]
    power = np.array([2.0, 3.0])[:, None] * np.array(t, dtype=float) ** 0.7
    runs = Runs(t, power, None, None, None, [1, 1], power[:, -1], [])
    found = slope(runs, np.random.default_rng(0))
    assert found is not None
    assert found.estimate == pytest.approx(0.7)
    assert found.high - found.low < 1e-9
    power[0, 2] = 0.0  # no regret at the beginning of the last decade
    assert slope(runs, np.random.default_rng(0)) is None


def test_ratios_are_paired():
    noise = np.random.default_rng(1).lognormal(size=30)
    found = ratio_of_means(0.2 * noise, noise, np.random.default_rng(2))
    assert (found.low, found.estimate, found.high) == pytest.approx((0.2, 0.2, 0.2))


def test_names_of_settings():
    setting = Setting("synthetic", "public", 0.1, "exp3", -1.0, 10)
    assert name_of(setting) == "synthetic/exp3/public/sigma=0.1"


def test_claims_agree_with_rows_made_to_fit():
    found = judgements(made_up())
    assert found["slope/synthetic/dynlin_log"] == "agree"
    assert found["slope/synthetic/exp3"] == "agree"
    assert found["uncovered/synthetic/dynlin_certified"] == "agree"
    assert found["uncovered/synthetic/lin_ucb_log"] == "agree"
    assert found["above_certificate/advertising/rs_dynlin"] == "agree"
    assert found["minus/advertising/dynlin_log/expert"] == "agree"
    assert found["minus/synthetic/rho=0.4/true"] == "agree"
    assert found["ratio/synthetic/rs_dynlin/100000"] == "unknown"


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"exponent": 0.9}, "slope/synthetic/dynlin_log"),
        ({"rival": 0.5}, "slope/synthetic/exp3"),
        ({"covered": 0}, "uncovered/synthetic/rs_dynlin"),
        ({"certificate": 0.5}, "above_certificate/synthetic/dynlin_certified"),
        ({"rival": 0.3}, "minus/advertising/dynlin_log/expert"),
    ],
)
def test_claims_differ_from_rows_made_to_break_them(change, claim):
    assert judgements(made_up(**change))[claim] == "differs"


def test_every_claim_is_about_something_that_can_be_measured(monkeypatch):
    monkeypatch.setitem(cells.GRID, "paper", (cells.GRID["paper"][0], 1))
    measured = analyse.analyse(made_up("paper")).measured
    assert {claim.name for claim in read_claims(EXPECTED)} <= set(measured)


def test_nothing_finished_is_nothing_measured():
    analysis = analyse.analyse([])
    assert analysis.measured == {}
    assert list(figures.draw(analysis)) == []


# ------------------------------------------------------------------------------- figures


def test_all_figures_are_drawn():
    with paper():
        drawn = list(figures.draw(analyse.analyse(made_up())))
    assert [d.name for d in drawn] == [
        "1-synthetic",
        "2-noise",
        "3-radius",
        "4-advertising",
        "5-bounds",
        "6-refit",
        "7-public",
        "8-coverage",
    ]
    for drawing in drawn:
        assert len(drawing.numbers["caption"]) > 80
    right = drawn[2].numbers["points"][0]
    assert np.round(right["x"], 1).tolist() == [-0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.8]


def test_figures_are_left_out_where_rows_are_missing():
    part = [f for f in made_up() if f.cell.system == "advertising"]
    with paper():
        names = [d.name for d in figures.draw(analyse.analyse(part))]
    assert names == ["4-advertising", "8-coverage"]


def test_lines_of_theory():
    upper = upper_lines([100, 10_000])
    assert upper["T·D"] == pytest.approx([45.14, 4513.9], rel=1e-3)
    assert all(y[1] > upper["T·D"][1] for label, y in upper.items() if label != "T·D")
    lower = lower_lines([100, 10_000])
    for y in lower.values():
        assert y[1] / y[0] == pytest.approx(10.0, rel=0.05)
    assert lower["lower bound, divergence"][1] == pytest.approx(
        math.exp(-2) / 8 * 2 * 0.1 * 100 / 0.2
    )
