"""The experiment on groups of actions: small live cells, analysis and figures."""

import numpy as np
import pytest

from experiments.claims import judged, read_claims
from experiments.engine.cells import CLOCK, SCALES, Experiment, Finished, key
from experiments.grouping import analyse, cells, curve, figures, run
from experiments.grouping.cells import Curve, Guarantee, Probe, Rivals
from experiments.grouping.systems import Judge, groupings, schedulers, system
from experiments.style import paper
from mdplib import models, operators
from mdplib.policy import StochasticPolicy
from mdplib.sampling import streams

EXPECTED = str(figures.__file__).replace("figures.py", "expected.toml")


def row(cell, entropy=1):
    found = run.run(cell, streams(entropy, "grouping", cell.replicate))
    return {name: x for name, x in found.items() if name != CLOCK} | found.get(CLOCK, {})


def finished(*some):
    return [Finished(cell, row(cell)) for cell in some]


@pytest.fixture(scope="module")
def live():
    """A few cells of every family, with 40 repetitions each."""
    patch = pytest.MonkeyPatch()
    for module in (curve, __import__("experiments.grouping.guarantee", fromlist=["_"])):
        patch.setattr(module, "BATCH", 40)
    some = [
        Curve(model, budget, 0) for model in cells.MODELS for budget in cells.BUDGETS[model][1:4]
    ]
    some += [Guarantee(n, 0) for n in (100, 10_000)]
    some += [Probe(n, i) for n in (100, 1_000_000) for i in range(2)]
    some += [Rivals(i) for i in range(4)]
    found = finished(*some)
    patch.undo()
    return found


def test_cells_are_stable_and_scales_grow():
    """Addresses decide which rows are reused: they change on purpose only."""
    fixed = Experiment("grouping", "", 1, 7, cells=cells.cells, run=lambda c, s: {})
    assert key(fixed, Curve("tree", 384, 0)) == "1f0117e596aa3ee8324ee9336b8c3f6b"
    sets = [set(cells.cells(scale)) for scale in SCALES]
    assert sets[0] < sets[1] < sets[2]


def test_equal_cells_give_equal_rows(live):
    probe = Probe(100, 0)
    assert row(probe)["samples"] == row(probe)["samples"]
    rivals = Rivals(0)
    assert row(rivals) == row(rivals)
    assert row(rivals)["best"] != row(Rivals(0), entropy=2)["best"]


def test_losses_are_those_of_policies_of_the_model_itself():
    """The judge against an evaluation that knows nothing of groups."""
    for model in cells.MODELS:
        mdp, judge = system(model), Judge(system(model), "max")
        for grouping in groupings(model)[1:3]:
            group = np.arange(mdp.n_states) % grouping.n_groups
            own = grouping.of[mdp.action_id] == group[mdp.pair_state]
            weight = own / np.bincount(grouping.of)[group][mdp.pair_state]
            policy = StochasticPolicy.from_weights(mdp, weight)
            V = operators.evaluate_policy(mdp, policy)
            lost = float((judge.best - V).max())
            assert judge.groups(grouping, group[None])[0] == pytest.approx(lost, abs=1e-9)
            assert judge.single(policy) == pytest.approx(lost, abs=1e-9)
    assert system("tree") == models.tree_mdp(np.random.default_rng(0))
    assert set(schedulers(system("downlink"))) == set(row(Curve("downlink", 512, 0))["others"])


def test_budgets_are_kept(live):
    for cell, found in live:
        if isinstance(cell, Curve):
            S = system(cell.model).n_states
            for m, used in zip(found["groups"], found["samples"], strict=True):
                assert used <= cell.budget < used + S * m
            assert len(found["loss"]) == len(found["floor"]) == len(found["bound"])
            floors = np.array(found["floor"])
            assert (np.diff(floors) <= 1e-9).all()
            assert (np.array(found["loss"]).mean(axis=1) <= found["bound"]).all()


def test_the_u_shape_is_a_verdict(live):
    measured = analyse.analyse(live).measured
    for model in ("tree", "tree_myopic"):
        for end in ("fewest", "most"):
            assert measured[f"u/{model}/1536/{end}"].high < 0.0
    assert measured["exceeded/certificate/100"].estimate == 0.0
    assert measured["gain/100"].estimate > 4.0
    assert measured["factor/representatives"].estimate > 6.03
    assert measured["factor/value_aware"].estimate > 3.0
    assert measured["growth/samples"].high == pytest.approx(0.0, abs=1e-12)


def test_known_numbers_agree(live):
    judgements = {
        entry["claim"]["name"]: entry["judgement"]
        for entry in judged(EXPECTED, analyse.analyse(live).measured)
    }
    floors = [name for name in judgements if name.startswith("floor/")]
    assert len(floors) == 14
    assert all(judgements[name] == "agree" for name in floors)
    assert "differs" not in {judgements[name] for name in judgements if "/tree/6144/" in name}
    assert {claim.name for claim in read_claims(EXPECTED)} == set(judgements)


def test_an_inner_number_is_chosen_and_judged_on_different_repetitions():
    """Pure noise: honest differences are centred, those of the best one would be negative."""
    rng = np.random.default_rng(0)
    found = [analyse._against(rng.normal(size=(7, 20)), 0, i).estimate for i in range(400)]
    assert abs(np.mean(found)) < 4.5 * np.std(found) / 20
    naive = [(x := rng.normal(size=(7, 20)).mean(axis=1))[1:-1].min() - x[0] for _ in range(400)]
    assert np.mean(naive) < -0.2


def test_an_unfinished_sweep_is_drawn_without_what_is_missing(live):
    some = [each for each in live if not isinstance(each.cell, Rivals | Guarantee)]
    lopsided = [*some, Finished(Curve("tree", 1536, 1), some[0].row)]
    tables = analyse.analyse(lopsided).tables
    assert "tree" not in tables["losses"]
    assert "rivals" not in tables
    assert analyse.analyse([]).measured == {}


def test_figures_have_captions_and_numbers(live):
    with paper():
        drawings = list(figures.draw(analyse.analyse(live)))
    assert [d.name[0] for d in drawings] == list("123456")
    for drawing in drawings:
        assert len(drawing.numbers["caption"]) > 80
    lost = [Finished(c, {k: v for k, v in r.items() if k != "seconds"}) for c, r in live]
    with paper():
        assert len(list(figures.draw(analyse.analyse(lost)))) == 6
