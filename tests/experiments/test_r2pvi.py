"""The replication of R2PVI: cells, exact evaluation, published data sets and episodes."""

import math
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pytest

from experiments.catalogue import load
from experiments.engine.cells import SCALES, Experiment, canonical, check_row, key, keyed_cells
from experiments.engine.store import Store
from experiments.engine.sweep import sweep
from experiments.r2pvi import cells, guarantee, methods, option, published, simulated, timing
from experiments.r2pvi.loop import Loop
from experiments.r2pvi.run import run
from mdplib import models
from mdplib.models.five_states import target_return
from mdplib.sampling import streams

EXPERIMENT = load("r2pvi")
PUT = cells.Option("tv", "public", cells.PENALTIES, 100, 30, "published", 1)
BOX = cells.Simulated("1a", "tv", "public", 0.2, (0.1,), 100, "published", 0)
BOUND = cells.Guarantee("kl", 1.0, 5, 400, 1.0, 1.0, 2)


def test_addresses_are_stable():
    assert key(EXPERIMENT, PUT) == "7b5b77bb566ccad4bd1d66231a9007dc"
    assert key(EXPERIMENT, BOX) == "ff73ef7204d7349893efb6ae18659bb3"
    assert key(EXPERIMENT, BOUND) == "10a3b8d74d612679467ee9999964d2c9"


def test_scales_nest_and_no_cell_is_repeated():
    smoke, default, paper = (set(cells.cells(scale)) for scale in SCALES)
    assert len(keyed_cells(EXPERIMENT, "paper")) == len(paper)
    assert smoke < default < paper


@pytest.mark.parametrize(
    "cell",
    [
        BOX,
        replace(BOX, method="chi2", choices="written", source="fresh"),
        replace(BOX, method="drpvi", strengths=(0.0, 0.5), corner=True),
        replace(PUT, method="pevi", strengths=(0.0,), source="fresh", hold=0.9),
        BOUND,
        cells.Truth("option"),
    ],
)
def test_rows_are_pure(cell):
    rows = [run(cell, streams(3, "r2pvi", cell.replicate)) for _ in range(2)]
    first, second = (canonical(check_row(row, cell, allow_nan=False)) for row in rows)
    assert first == second


def test_methods_meet_the_same_data():
    mdp = models.five_state(0.2)
    found = [
        simulated.dataset(mdp, replace(BOX, method=m, source="fresh"), streams(3, "r2pvi", 0))
        for m in ("tv", "kl")
    ]
    np.testing.assert_array_equal(found[0].pair, found[1].pair)


# ---------------------------------------------------------------- five-state model


def test_published_data_follow_the_model():
    states, actions = published.simulated(0.2, 4, 100)
    mdp = models.five_state(0.2)
    np.testing.assert_allclose(published.action_size(0.2), mdp.features.phi[:16, -1])
    pair = mdp.features.state_ptr[states[:-1]] + actions
    for h in range(2):  # at the last step the released code moves from x3 as it likes
        law = (mdp.features.phi @ mdp.mu[h])[pair[h]]
        assert (law[np.arange(100), states[h + 1]] > 0).all()
    assert (states[0] == 0).all()


@pytest.mark.parametrize("q", [0.3, 0.9])
def test_returns_are_the_closed_form(q):
    """A return is affine in q: the ends determine every other point."""
    row = run(BOX, streams(3, "r2pvi", 0))
    later = target_return(row["u"][0], q)
    at = published.QS.index(q)
    assert row["returns"][0][at] <= later + 1e-12
    mdp = models.five_state(0.2, q=q)
    data = simulated.dataset(models.five_state(0.2), BOX, streams(3, "r2pvi", 0))
    switches = methods.compat("public", "simulated", "tv")
    (found,) = methods.learn(data, "tv", (0.1,), switches, beta=1.0, ridge=0.1, fail_state=3)
    assert row["returns"][0][at] == pytest.approx(mdp.evaluate(found.policy)[0, 0], abs=1e-12)


@pytest.mark.parametrize(
    ("method", "choices", "u"),
    [("pevi", "public", 0.405), ("tv", "public", 0.200), ("tv", "written", 0.100)],
)
def test_live_figure_1a(method, choices, u):
    """The twenty published data sets give the mean first-step u of the released code's rerun."""
    cell = replace(BOX, method=method, choices=choices)
    found = [run(replace(cell, replicate=r), streams(3, "r2pvi", r))["u"][0] for r in range(20)]
    assert np.mean(found) == pytest.approx(u, abs=1e-9)


def test_live_figure_1b():
    cell = replace(BOX, xi=0.3, strengths=cells.FIG_1B)
    rows = [run(replace(cell, replicate=r), streams(3, "r2pvi", r)) for r in range(20)]
    told = np.mean([[one[0] for one in row["returns"]] for row in rows], axis=0)
    np.testing.assert_allclose(told, [1.574, 1.608, 1.659, 1.723], atol=0.05)
    written = [
        run(replace(cell, choices="written", replicate=r), streams(3, "r", r)) for r in (0, 1)
    ]
    assert {u for row in written for u in row["u"]} == {0.0}


def test_live_figure_1c():
    cell = replace(BOX, strengths=cells.GRID[::9])
    told = []
    for method in ("tv", "drpvi"):
        rows = [
            run(replace(cell, method=method, replicate=r), streams(3, "r2pvi", r))
            for r in range(20)
        ]
        told.append(np.mean([[one[9] for one in row["returns"]] for row in rows], axis=0))
    np.testing.assert_allclose(told, [[1.071, 0.809], [0.788, 1.035]], atol=2e-3)


def test_corner_alone_is_what_the_exact_plan_says():
    cell = replace(
        BOX, method="tv", choices="written", strengths=(0.75, 2.0), n=3000, source="fresh",
        corner=True,
    )  # fmt: skip
    assert run(cell, streams(3, "r2pvi", 0))["u"] == pytest.approx([0.1, 0.5])


def test_truth_of_the_five_state_model():
    row = run(cells.Truth("five_state"), streams(3, "r2pvi", 0))
    assert row["flip_rho"] == pytest.approx(0.37575, abs=1e-5)
    assert row["flip_lambda"] == pytest.approx(1.2485, abs=1e-4)
    assert row["optimum_kl"][0] == pytest.approx(1.345189, abs=1e-6)


# ----------------------------------------------------------------------- the put


def test_exact_returns_equal_the_model_s_evaluation():
    put = models.american_put([99.0, 101.0], d=12, horizon=published.HORIZON)
    rises = np.random.default_rng(1).random((60, published.HORIZON)) < 0.5
    data = option.dataset(put, rises)
    switches = methods.compat("written", "option", "tv")
    (found,) = methods.learn(data, "tv", (4.0,), switches, beta=0.1, ridge=1.0)
    mine = option.returns(put, found.policy, (0.3, 0.7))
    for at, p in enumerate((0.3, 0.7)):
        np.testing.assert_allclose(mine[at], put.with_probability(p).evaluate(found.policy)[0])


def test_data_set_of_the_put():
    put = models.american_put(100.0, d=10, horizon=3)
    rises = np.array([[True, False, True], [False, False, False]])
    data = option.dataset(put, rises)
    price = put.prices[data.pair // 2]
    np.testing.assert_allclose(price[:, 0], [100.0, 102.0, 102.0 * 0.98])
    np.testing.assert_allclose(price[:, 1], [100.0, 98.0, 98.0 * 0.98])
    assert (data.pair % 2 == 0).all()
    held = np.array([[True, False, True], [True, True, True]])
    data = option.dataset(put, rises, held)
    assert data.pair[:, 0].tolist() == [0, 2 * int(data.pair[1, 0] // 2) + 1, -1]
    assert data.next[1:, 0].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("method", "strengths", "told"),
    [
        ("pevi", (0.0,), [[6.279, 5.020, 2.199, 0.295, 0.0]]),
        (
            "tv",
            cells.PENALTIES,
            [
                [1.407, 1.318, 1.140, 0.877, 0.553],
                [3.798, 3.304, 2.121, 0.870, 0.0],
                [4.769, 4.319, 2.211, 0.572, 0.0],
            ],
        ),
    ],
)
def test_live_figure_1d_to_three_decimals(method, strengths, told):
    """Published seeds, released choices, published episodes: every published number."""
    cell = replace(PUT, method=method, strengths=strengths)
    rows = [run(replace(cell, replicate=r), streams(3, "r2pvi", r)) for r in range(3)]
    np.testing.assert_allclose(np.mean([r["replayed"] for r in rows], axis=0), told, atol=5.1e-4)


def test_a_wrong_penalty_does_not_reproduce_figure_1d():
    """The mutant: the sum penalty in place of the released one."""
    cell = replace(PUT, choices="written")
    rows = [run(replace(cell, replicate=r), streams(3, "r2pvi", r)) for r in range(3)]
    means = np.mean([r["replayed"] for r in rows], axis=0)[:, 0]
    assert np.abs(means - [1.407, 3.798, 4.769]).min() > 0.1


# ------------------------------------------------------------------- time, bounds


def test_times_go_to_the_clock_and_nothing_else_does():
    cell = cells.Timing(60, 8, "library", 0)
    rows = [timing.run(cell, streams(3, "r2pvi", 0)) for _ in range(2)]
    clocks = [row.pop("clock") for row in rows]
    assert rows[0] == rows[1]
    assert set(clocks[0]) == {f"seconds_{m}" for m in cells.TIMED_METHODS}
    assert min(clocks[0].values()) > 0


@pytest.mark.parametrize("method", ["pevi", "tv", "kl", "chi2", "drpvi"])
def test_the_loop_learns_what_the_library_does(method):
    """The loop is the released code's work written anew, so the public choices must equal it."""
    put = models.american_put(99.5, d=6, horizon=published.HORIZON)
    rises = np.random.default_rng(2).random((40, published.HORIZON)) < 0.5
    data = option.dataset(put, rises)
    state = np.concatenate([data.pair // 2, data.next[-1:]])
    strength = 0.1 if method == "drpvi" else 3.0
    loop = Loop(method, put.hats(put.prices)[state], put.payoff[state], strength).train()
    switches = methods.compat("public", "option", method)
    (found,) = methods.learn(data, method, (strength,), switches, beta=0.1, ridge=1.0)
    np.testing.assert_allclose(found.w, loop, atol=2e-3 if method in ("chi2", "drpvi") else 1e-8)


@pytest.mark.parametrize("divergence", cells.DIVERGENCES)
def test_guarantees_hold_where_beta_is_valid(divergence):
    for replicate in range(4):
        cell = replace(BOUND, divergence=divergence, replicate=replicate)
        row = run(cell, streams(3, "r2pvi", replicate))
        if row["needed"] <= guarantee.BETA:
            assert row["slack"] >= -1e-9
            assert row["margin"] >= -1e-9
        assert 0 <= row["suboptimality"] <= row["gap"] + 1e-9
        assert row["certificate"] <= 2 * guarantee.BETA * row["phi"] + 1e-9
        assert row["theory"] > guarantee.STEPS  # says nothing at this size
        assert row["phi"] <= 20 / math.sqrt(row["coverage"] * cell.n)


def test_first_cells_of_every_family_run():
    seen = {}
    for cell in cells.cells("smoke"):
        if not isinstance(cell, cells.Timing):
            seen.setdefault(type(cell), []).append(cell)
    assert set(seen) == {cells.Truth, cells.Simulated, cells.Option, cells.Guarantee}
    for family in seen.values():
        for cell in islice(family, 1):
            assert check_row(run(cell, streams(3, "r2pvi", 0)), cell, allow_nan=False)


@dataclass(frozen=True)
class Tick:
    replicate: int = 0


def test_clocks_lie_beside_the_rows(tmp_path):
    """Rows keep their bytes; what a clock said comes back with them, or is missing."""
    ticks = iter(range(1, 9))
    clocked = Experiment(
        "tick", "Ticks", 1, 7, cells=lambda scale: [Tick()],
        run=lambda cell, streams: {"x": 1.0, "clock": {"seconds": float(next(ticks))}},
    )  # fmt: skip
    found = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        sweep(clocked, "smoke", folder)
        store = Store(folder / "tick")
        (path,) = (folder / "tick/rows").iterdir()
        found.append((path.read_bytes(), store.finished(clocked, "smoke")[0].row))
    assert found[0][0] == found[1][0]
    assert found[0][1] == {"x": 1.0, "seconds": 1.0}
    assert found[1][1] == {"x": 1.0, "seconds": 2.0}
    next((tmp_path / "b/tick/timings").iterdir()).unlink()
    assert Store(tmp_path / "b/tick").finished(clocked, "smoke")[0].row == {"x": 1.0}
