"""What is made of the rows of the R2PVI replication: tables, claims, ledger, figures."""

import re
from collections import Counter

import numpy as np
import pytest

from experiments.catalogue import load
from experiments.claims import judged, read_claims
from experiments.engine.cells import Finished
from experiments.r2pvi import cells, evidence, figure_one, figure_two, figures
from experiments.r2pvi.analyse import analyse
from experiments.r2pvi.curves import crossing
from experiments.r2pvi.ledger import FATES, SECTIONS, fate
from experiments.style import paper, save

EXPERIMENT = load("r2pvi")
CLAIMS = read_claims(str(EXPERIMENT.expected))
NAMES = {claim.name for claim in CLAIMS}


def synthetic(cell):
    """Return a plausible row without any learning."""
    rng = np.random.default_rng(cell.replicate)
    if isinstance(cell, cells.Simulated):
        u = [0.1 + 0.4 * min(s, 1.0) for s in cell.strengths]
        lines = [[1.6 - q * (0.2 + 2 * one) for q in np.linspace(0, 1, 11)] for one in u]
        return {"u": u, "returns": lines, "estimate": [0.0] * len(u)}
    if isinstance(cell, cells.Option):
        rows = [[5.0 - s, 4.0 - s, 2.0, 1.0, 0.0] for s in cell.strengths]
        row = {"start": 100.0, "returns": rows, "anywhere": rows}
        return row | ({"replayed": rows} if cell.source == "published" else {})
    if isinstance(cell, cells.Timing):
        return {
            f"seconds_{m}": cell.n * cell.d * (1 + i) for i, m in enumerate(cells.TIMED_METHODS)
        }
    if isinstance(cell, cells.Guarantee):
        phi = cell.d / np.sqrt(cell.n) * rng.uniform(0.9, 1.1)
        return {
            "needed": 0.9, "slack": 0.0, "gap": phi, "suboptimality": phi**2,
            "certificate": 1.5 * phi, "margin": 0.1, "phi": phi, "theory": 1e4 * phi,
            "beta_theory": 5e3, "coverage": 0.05 * cell.spread,
        }  # fmt: skip
    if cell.model == "option":
        return {"chances": [], "optimum": [21.16, 8.83, 3.905, 1.926, 0.83, 0.83]}
    row = {"v2_0.2": 1.24975, "v2_0.3": 1.43976, "v1_0.2": 1.62425}
    row |= {"flip_q": 0.375, "flip_rho": 0.37575, "flip_lambda": 1.2485}
    for divergence in cells.DIVERGENCES:
        row |= {f"optimum_{divergence}": [1.0] * 7, f"u_{divergence}": [0.5] * 7}
    return row


@pytest.fixture(scope="module")
def rows():
    return {
        scale: [Finished(cell, synthetic(cell)) for cell in cells.cells(scale)]
        for scale in ("smoke", "default")
    }


# ------------------------------------------------------------------------ claims


def test_claims_file_holds_every_reading():
    qs, ps = ("0", "0.5", "1"), ("0.2", "0.4", "0.6", "0.8", "1")
    wanted = {f"fig1a/{m}/q{q}" for m in ("pevi", "tv", "kl", "chi2") for q in qs}
    wanted |= {f"fig1b/lambda{x:g}/q{q}" for x in cells.FIG_1B for q in qs}
    wanted |= {f"fig1c/{m}/{x}" for m in ("tv", "drpvi") for x in "01"}
    wanted |= {"fig1c/crossing", "fig1c/flat"}
    curves = ["pevi/0", *(f"tv/{x:g}" for x in cells.PENALTIES)]
    curves += [f"drpvi/{x:g}" for x in cells.RADII]
    curves += ["va_drpvi/0.2", "va_tv/1"]
    wanted |= {f"fig1d/{c}/p{p}" for c in curves for p in ps}
    for name in wanted:
        assert {f"{name}/written", f"{name}/public"} <= NAMES
    assert {f"fig1d/{c}/p{p}/replay" for c in curves for p in ps} <= NAMES
    for method in figure_two.PUBLISHED:
        for size in cells.TIMED:
            for code in ("library", "loop"):
                assert f"fig2/seconds/{method}/{figure_two.name(size)}/{code}" in NAMES
    for letter in ("a", "b", "c", "d", "time"):
        assert any(name.startswith(f"claim_{letter}/") for name in NAMES)


def test_claims_are_well_formed():
    assert len(NAMES) == len(CLAIMS)
    for claim in CLAIMS:
        assert claim.tolerance >= 0
        assert claim.source
        assert re.fullmatch(r"[a-z0-9_]+(/[A-Za-z0-9_.-]+)+", claim.name)
    sided = {n.rpartition("/")[0] for n in NAMES if n.endswith("/written")}
    assert sided == {n.rpartition("/")[0] for n in NAMES if n.endswith("/public")}


def test_published_seconds_are_said_once():
    told = {claim.name: claim.value for claim in CLAIMS}
    for method, seconds in figure_two.PUBLISHED.items():
        for size, value in zip(cells.TIMED, seconds, strict=True):
            assert told[f"fig2/seconds/{method}/{figure_two.name(size)}/library"] == value


def test_everything_that_is_measured_is_claimed(rows):
    measured = analyse(rows["default"]).measured
    extra = {name for name in measured if name not in NAMES}
    unpublished = {"rerun/large/tv/u1", "rerun/fresh/chi2/u1"}
    assert all(name in unpublished or "/chi2/" in name for name in extra)


def test_every_claim_can_be_measured(rows):
    """Synthetic rows of all cells of the largest scale leave no claim without a measurement."""
    kept = [c for c in cells.cells("paper") if c.replicate < 20]
    measured = analyse([Finished(cell, synthetic(cell)) for cell in kept]).measured
    assert not NAMES - set(measured) - {"rerun/fig2/chi2/n1000d60"}


# ---------------------------------------------------------------------- analysis


def test_synthetic_rows_give_known_numbers(rows):
    measured = analyse(rows["smoke"]).measured
    assert measured["fig1b/lambda0.2/q1/written"].estimate == pytest.approx(1.6 - 0.56)
    assert measured["claim_b/flatter/0.1-0.2/public"].estimate == pytest.approx(0.08)
    assert measured["fig1d/tv/3/p0.4/public"].estimate == pytest.approx(1.0)
    assert measured["bound/slope/tv"].estimate == pytest.approx(-0.5, abs=0.05)
    assert measured["fig2/ratio/tv/n1000d30/library"].estimate == pytest.approx(2.0)
    assert measured["bound/valid/kl"].estimate == 0.0


def test_a_broken_guarantee_is_caught(rows):
    spoilt = [
        Finished(cell, row | {"slack": -0.1}) if isinstance(cell, cells.Guarantee) else (cell, row)
        for cell, row in rows["smoke"]
    ]
    measured = analyse([Finished(*x) for x in spoilt]).measured
    entries = judged(EXPERIMENT.expected, measured)
    found = {entry["claim"]["name"]: entry["judgement"] for entry in entries}
    assert found["bound/valid/tv"] == "differs"


def test_an_incomplete_set_of_published_data_is_not_a_measurement(rows):
    less = [x for x in rows["smoke"] if not (isinstance(x.cell, cells.Simulated)
            and x.cell.source == "published" and x.cell.replicate == 7)]  # fmt: skip
    measured = analyse(less).measured
    assert "fig1a/tv/q0/written" not in measured
    assert "fig1d/tv/1/p0.2/written" in measured


def test_lost_clocks_leave_times_unknown(rows):
    bare = [Finished(c, {} if isinstance(c, cells.Timing) else r) for c, r in rows["smoke"]]
    analysis = analyse(bare)
    assert "times" not in analysis.tables
    assert not any(name.startswith("fig2/") for name in analysis.measured)


def test_crossings():
    x = [0.0, 0.5, 1.0]
    assert crossing(x, [1, 1, 1], [0, 1, 2]) == 0.5
    assert crossing(x, [1, 1, 1], [2, 2, 2]) == -np.inf
    assert crossing(x, [1, 1, 1], [2, 0, 2]) == 0.75


@pytest.mark.parametrize(
    ("written", "public", "expected"),
    [
        ("agree", "differs", "as written"),
        ("differs", "agree", "released choices only"),
        ("differs", "differs", "neither"),
        ("unknown", "differs", "unknown"),
    ],
)
def test_fates(written, public, expected):
    assert fate({"written": written, "public": public}) == expected


def test_ledger_counts_every_published_number_once(rows):
    counts = analyse(rows["smoke"]).tables["ledger"]
    assert set(counts) == set(SECTIONS)
    assert sum(counts["fig1a"].values()) == 12
    assert sum(counts["fig1b"].values()) == 12
    assert sum(counts["fig1c"].values()) == 6
    assert sum(counts["fig1d"].values()) == 35 + 10 + 2
    assert sum(counts["fig2"].values()) == 45
    assert set(sum(counts.values(), Counter())) <= set(FATES)


# ----------------------------------------------------------------------- figures


def test_figures_of_complete_rows(rows, tmp_path):
    with paper():
        drawn = list(figures.draw(analyse(rows["default"])))
    assert [d.name[:2] for d in drawn] == [
        "1a", "1b", "1c", "1d", "2-", "1e", "3-", "4-", "5-", "6-", "7-",
    ]  # fmt: skip
    for drawing in drawn:
        assert len(drawing.numbers["caption"]) > 100
    save(drawn[0].figure, drawn[0].numbers, tmp_path, drawn[0].name)


@pytest.mark.parametrize("family", [cells.Simulated, cells.Option, cells.Timing, cells.Guarantee])
def test_figures_of_partial_rows(rows, family):
    part = [x for x in rows["smoke"] if isinstance(x.cell, family)]
    with paper():
        for some in (part, part[: len(part) // 2], part[:1]):
            for drawing in figures.draw(analyse(some)):
                assert drawing.numbers["caption"]


def test_no_rows_nothing():
    assert not figure_one.analyse([])[0]
    assert not figure_two.analyse([])[0]
    assert not evidence.guarantees([])[0]
    assert not list(figures.draw(analyse([])))
