"""Every entry of the catalogue in its four roles, and the catalogue as a whole."""

import json

import numpy as np
import pytest

from bounds.catalogue import CATALOGUE, GROUPS, select
from bounds.instance import Instance
from bounds.references import REFERENCES
from bounds.suite import check_all, check_entry
from bounds.verdict import Outcome, Verdict

IDS = list(CATALOGUE)
DETERMINISTIC = [id for id, e in CATALOGUE.items() if e.theorem.kind in ("identity", "inequality")]


@pytest.mark.parametrize("id", IDS)
def test_every_role_has_its_outcome(id):
    verdicts = check_entry(CATALOGUE[id], seed=2026)
    assert [repr(v) for v in verdicts if not v.ok] == []
    assert [v.role for v in verdicts[:3]] == ["theorem", "tight", "mutant"]
    names = [hypothesis.name for hypothesis in CATALOGUE[id].theorem.hypotheses]
    assert sorted(v.detail for v in verdicts[3:]) == sorted(names)


@pytest.mark.parametrize("id", IDS)
def test_a_broken_instance_breaks_its_own_hypothesis_and_no_other(id):
    theorem = CATALOGUE[id].theorem
    for name, instance in CATALOGUE[id].broken().items():
        own = next(h for h in theorem.hypotheses if h.name == name)
        assert own.check(instance) is False
        before = theorem.hypotheses[: theorem.hypotheses.index(own)]
        assert all(h.check(instance) for h in before), name


@pytest.mark.parametrize("id", IDS)
def test_instances_satisfy_the_hypotheses(id):
    entry = CATALOGUE[id]
    drawn = list(entry.instances(np.random.default_rng(9), "smoke"))
    assert drawn
    for instance in [*drawn, entry.tight()]:
        assert entry.theorem.applies(instance) == (None, ())


@pytest.mark.parametrize("id", DETERMINISTIC)
def test_mutants_of_exact_statements_are_refuted_in_exact_arithmetic(id):
    entry = CATALOGUE[id]
    witness = (entry.witness or entry.tight)()
    verdict = entry.mutant.check(witness)
    assert verdict.outcome is Outcome.VIOLATED
    if isinstance(witness, Instance):
        assert verdict.exact
    else:  # no rational form: the excess must be far above what rounding allows
        worst = verdict.worst
        assert worst is not None
        assert worst.lhs is not None
        assert worst.rhs is not None
        assert abs(worst.lhs - worst.rhs) > 100 * verdict.tolerance


@pytest.mark.parametrize("id", DETERMINISTIC)
def test_statements_hold_exactly_in_rational_arithmetic(id):
    """The sides are evaluated in fractions throughout: no tolerance anywhere."""
    entry = CATALOGUE[id]
    offered = [*entry.instances(np.random.default_rng(4), "smoke"), entry.tight()]
    instances = [x for x in offered if isinstance(x, Instance)]
    for instance in [x for x in instances if x.model.n_states <= 4 and x.can_be_exact][:4]:
        exact = instance.exact()
        lhs, rhs = (np.asarray(f(exact)) for f in (entry.theorem.lhs, entry.theorem.rhs))
        assert (lhs == rhs if entry.theorem.kind == "identity" else lhs <= rhs).all()


def test_tight_means_99_percent_for_exact_statements():
    for id in DETERMINISTIC:
        if isinstance(CATALOGUE[id].tight(), Instance):
            assert CATALOGUE[id].tightness >= 0.99


def test_ids_and_references_agree():
    for id, entry in CATALOGUE.items():
        assert entry.theorem.id == id
        assert entry.theorem.paper in REFERENCES
        assert entry.theorem.statement.count("$") % 2 == 0
        assert entry.mutant.id == f"{id}-mutant"
        assert entry.mutant.hypotheses == entry.theorem.hypotheses


def test_every_reference_is_used_somewhere():
    from pathlib import Path

    import bounds

    text = "".join(
        p.read_text() for p in Path(bounds.__file__).parent.glob("*.py") if p.stem != "references"
    )
    assert [key for key in REFERENCES if key not in text] == []
    assert "1994" in str(REFERENCES["singh1994"])


def test_select_by_paper_and_by_id():
    assert list(select(["kearns2002"])) == [i for i in IDS if i.startswith("kearns2002:")]
    assert select() == CATALOGUE
    for group, members in GROUPS.items():
        found = select([group])
        assert {e.theorem.id for e in found.values()} == {
            m for one in members for m in select([one])
        }
        assert all(member in REFERENCES or member in CATALOGUE for member in members)
    with pytest.raises(KeyError, match="singh1995"):
        select(["singh1995"])


def test_check_all_reports_saves_and_serialises(tmp_path):
    seen = []
    found = check_all(
        names=["singh1994"], folder=tmp_path, progress=lambda id, verdicts: seen.append(id)
    )
    assert seen == ["singh1994:greedy_loss"]
    for result in found["singh1994:greedy_loss"]:
        data = json.loads(json.dumps(result.to_dict()))
        assert data["ok"]
        assert Verdict.from_dict(data["verdict"]) == result.verdict
    tight = found["singh1994:greedy_loss"][1].verdict
    assert tight.worst is not None
    assert tight.worst.path is not None
    again = Instance.load(tmp_path / "tight" / "singh1994-greedy_loss.npz")
    assert again.label == tight.worst.label
    assert CATALOGUE["singh1994:greedy_loss"].theorem.check(again).tightness == tight.tightness


def test_a_wrong_role_is_reported():
    from dataclasses import replace

    entry = CATALOGUE["denardo1967:contraction"]
    blunt = replace(entry, mutant=entry.theorem, tightness=1.5)
    results = {v.role: v for v in check_entry(blunt)}
    assert not results["mutant"].ok
    assert not results["tight"].ok
    assert "NOT OK" in repr(results["mutant"])


def test_the_seed_determines_the_verdicts():
    entry = CATALOGUE["kearns1999:plugin_value"]
    first, again, other = (check_entry(entry, seed=s)[1].verdict for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_library_s_solver_satisfies_the_theorems():
    from solvers import solve

    found = check_all(
        lambda mdp: solve(mdp, tol=1e-9),
        names=["denardo1967", "blackwell1962", "porteus1971", "singh1994", "mdplib"],
    )
    assert [v for verdicts in found.values() for v in verdicts if not v.ok] == []
