"""The experiments themselves, against plain recomputations."""

from pathlib import Path

import numpy as np
import pytest

from experiments.catalogue import EXPERIMENTS, load
from experiments.claims import judged, read_claims
from experiments.engine.cells import SCALES, Finished, keyed_cells
from experiments.instances import NAMES, instance
from experiments.plugin import analyse as plugin_analyse
from experiments.plugin import cells as plugin_cells
from experiments.plugin import figures
from experiments.plugin.run import run as run_plugin
from experiments.style import paper
from experiments.sweeps import analyse as sweeps_analyse
from experiments.sweeps import cells as sweeps_cells
from experiments.sweeps.run import run as run_sweeps
from mdplib.sampling import streams


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_scales_grow(name):
    experiment = load(name)
    smoke, default, paper = (set(keyed_cells(experiment, scale)) for scale in SCALES)
    assert smoke < default < paper
    assert experiment.name == name


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_folder_is_complete(name):
    folder = Path(str(load(name).expected)).parent
    for part in ("cells.py", "run.py", "analyse.py", "figures.py", "expected.toml", "README.md"):
        assert (folder / part).exists()


def dense(mdp):
    """Return P (K, S), r and the state of each pair."""
    P = np.zeros((mdp.n_pairs, mdp.n_states))
    for k in range(mdp.n_pairs):
        for j in range(mdp.indptr[k], mdp.indptr[k + 1]):
            P[k, mdp.indices[j]] += mdp.data[j]
    return P, mdp.reward, mdp.state_ptr


def plain_value_iteration(P, r, ptr, gamma):
    V = np.zeros(P.shape[1])
    for _ in range(300):
        V = np.maximum.reduceat(r + gamma * P @ V, ptr[:-1])
    return V


@pytest.mark.parametrize("model", NAMES)
def test_plugin_row_against_a_plain_recomputation(model):
    cell = plugin_cells.Cell(model, 32, 1)
    row = run_plugin(cell, streams(5, "plugin", 1))
    again = streams(5, "plugin", 1)
    mdp = instance(model, plugin_cells.GAMMA, again.instance)
    P, r, ptr = dense(mdp)
    V = plain_value_iteration(P, r, ptr, mdp.gamma)
    from mdplib.sampling import generative_counts

    counts = generative_counts(mdp, 32, again.env)
    P_hat, _, _ = dense(mdp.replace(data=counts / 32))
    V_hat = plain_value_iteration(P_hat, r, ptr, mdp.gamma)
    q = r + mdp.gamma * P_hat @ V_hat
    pair = [
        ptr[s] + int(np.argmax(q[ptr[s] : ptr[s + 1]] > V_hat[s] - 1e-9)) for s in range(V.size)
    ]
    V_pi = np.linalg.solve(np.eye(V.size) - mdp.gamma * P[pair], r[pair])
    assert row["value_error"] == pytest.approx(np.max(np.abs(V - V_hat)), abs=1e-7)
    assert row["suboptimality"] == pytest.approx(np.max(V - V_pi), abs=1e-7)
    K = mdp.n_pairs
    radius = np.ptp(V) * np.sqrt(np.log(2 * K / plugin_cells.DELTA) / 64)
    assert row["bound"] == pytest.approx(2 * mdp.gamma * radius / (1 - mdp.gamma) ** 2, rel=1e-6)


def synthetic(exponent, bound):
    """Return rows whose suboptimality is n ** exponent times noise."""
    rng = np.random.default_rng(3)
    return [
        Finished(
            cell,
            {
                "suboptimality": cell.n**exponent * rng.uniform(0.9, 1.1),
                "value_error": cell.n**-0.5 * rng.uniform(0.9, 1.1),
                "bound": bound,
                "range": 10.0,
                "gap": 0.0,
            },
        )
        for cell in plugin_cells.cells("default")
    ]


@pytest.mark.parametrize(
    ("exponent", "bound", "slope", "share"),
    [
        (-0.5, 2.0, "agree", "agree"),
        (-1.0, 2.0, "agree", "agree"),
        (-0.3, 2.0, "differs", "agree"),  # a rate too slow is caught
        (-0.5, 1e-6, "agree", "differs"),  # a bound too small is caught
    ],
)
def test_plugin_claims_are_judged(exponent, bound, slope, share):
    experiment = load("plugin")
    analysis = plugin_analyse.analyse(synthetic(exponent, bound))
    found = {
        entry["claim"]["name"]: entry["judgement"]
        for entry in judged(experiment.expected, analysis.measured)
    }
    for model in NAMES:
        assert found[f"slope/suboptimality/{model}"] == slope
        assert found[f"exceeded/{model}"] == share
        assert found[f"slope/value_error/{model}"] == "agree"


def test_plugin_analysis_of_policies_that_are_soon_optimal():
    rows = [
        Finished(cell, row | {"suboptimality": 1e-12 if cell.n > 100 else 1.0})
        for cell, row in synthetic(-0.5, 2.0)
    ]
    analysis = plugin_analyse.analyse(rows)
    assert analysis.tables["garnet"].slope["suboptimality"] is None
    assert "slope/suboptimality/garnet" not in analysis.measured
    with paper():
        first, second = figures.draw(analysis)
    assert first.numbers["panels"]["garnet"][2]["x"] == [10, 32, 100]
    assert second.numbers["fitted"]["garnet"]["suboptimality"] == [100]


@pytest.mark.parametrize("solver", sweeps_cells.SOLVERS)
def test_sweeps_row_is_certified(solver):
    row = run_sweeps(sweeps_cells.Cell("garnet", solver, 0), streams(5, "sweeps", 0))
    assert row["status"] == "OPTIMAL"
    assert row["gaps"][-1] <= 1e-8
    assert np.all(np.diff(row["iterations"]) > 0)
    best = sweeps_analyse.best_gap(row, row["iterations"])
    assert np.all(np.diff(best) <= 0)
    assert sweeps_analyse.iterations_to(row, 1e-8) == row["iterations"][-1]
    assert sweeps_analyse.iterations_to(row, 1e-30) == np.inf


def test_sweeps_solvers_meet_the_same_garnet():
    rows = [
        run_sweeps(sweeps_cells.Cell("garnet", solver, 3), streams(5, "sweeps", 3))
        for solver in sweeps_cells.SOLVERS
    ]
    assert len({row["value_scale"] for row in rows}) == 1


def test_sweeps_with_missing_cells_uses_complete_replicates():
    cells = [c for c in sweeps_cells.cells("smoke") if c.model == "garnet" and c.replicate < 3]
    rows = [Finished(c, run_sweeps(c, streams(5, "sweeps", c.replicate))) for c in cells[1:]]
    analysis = sweeps_analyse.analyse(rows)
    assert set(analysis.tables) == {"garnet"}
    assert analysis.tables["garnet"].replicates == 2


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_claim_names_a_source(name):
    claims = read_claims(str(load(name).expected))
    assert claims
    assert all(claim.source for claim in claims)
    assert len({claim.name for claim in claims}) == len(claims)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_rows_no_figures(name):
    experiment = load(name)
    assert experiment.analyse is not None
    assert experiment.draw is not None
    assert list(experiment.draw(experiment.analyse([]))) == []
