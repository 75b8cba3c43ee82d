"""The checker on synthetic statements whose truth is known."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bounds import Instance, Model, Outcome, Rate, Theorem, Verdict, check
from bounds.arithmetic import optimal_value
from bounds.catalogue import CATALOGUE
from bounds.hypotheses import DISTRIBUTION, allowance
from bounds.probability import runs_to_decide
from bounds.theorem import Hypothesis, Kind
from mdplib.errors import NotApplicableError

POINT = Model([[1.0]], [1.0], [0, 1], 0.5)


def coin(failure: float, delta: float) -> Theorem:
    """lhs exceeds rhs with exactly the given probability."""
    return Theorem(
        id="synthetic:coin",
        statement="",
        source="",
        kind="high_probability",
        hypotheses=(),
        lhs=lambda instance: instance["u"],
        rhs=lambda instance: 1.0 - failure,
        sample=lambda instance, rng: instance.with_values({"u": float(rng.random())}),
        delta=lambda instance: delta,
    )


def power(true: float, stated: float, noise: float = 0.3) -> Theorem:
    """lhs grows like x ** true, up to noise."""
    return Theorem(
        id="synthetic:power",
        statement="",
        source="",
        kind="rate",
        hypotheses=(),
        lhs=lambda instance: instance["y"],
        rhs=lambda instance: instance["x"] ** stated,
        sample=lambda instance, rng: instance.with_values(
            {"y": instance["x"] ** true * float(np.exp(noise * rng.normal()))}
        ),
        rate=Rate(
            "x", stated, lambda i, x: i.with_values({"x": x}), lambda i: (10.0, 100.0, 1000.0)
        ),
    )


def plain(lhs, rhs, kind: Kind = "inequality", **changes) -> Theorem:
    blank = Theorem("synthetic:plain", "", "", kind, (), lambda i: lhs(i), lambda i: rhs(i))
    return replace(blank, **changes)


@pytest.mark.parametrize(
    ("failure", "delta", "runs", "outcome"),
    [
        (0.0, 0.05, 90, Outcome.HOLDS),
        (0.0, 0.05, 89, Outcome.INCONCLUSIVE),
        (0.01, 0.05, 1000, Outcome.HOLDS),
        (0.05, 0.05, 1000, Outcome.INCONCLUSIVE),
        (0.10, 0.05, 1000, Outcome.VIOLATED),
        (0.06, 0.05, 200, Outcome.INCONCLUSIVE),
    ],
)
def test_high_probability(failure, delta, runs, outcome):
    verdict = check(coin(failure, delta), Instance(POINT), n_runs=runs, seed=3)
    assert verdict.outcome is outcome
    assert verdict.n_runs == runs
    assert verdict.interval is not None
    assert (verdict.n_needed is None) or verdict.outcome is Outcome.INCONCLUSIVE


def test_too_few_runs_say_how_many_are_needed():
    verdict = check(coin(0.0, 0.05), Instance(POINT), n_runs=50)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.n_needed == 90
    assert "90 runs" in verdict.message


def test_wrong_decisions_are_rare_when_the_failure_probability_is_delta():
    """Coverage: at failure probability exactly delta, either decision is an error."""
    theorem, wrong = coin(0.1, 0.1), {Outcome.HOLDS: 0, Outcome.VIOLATED: 0}
    for seed in range(300):
        outcome = check(theorem, Instance(POINT), n_runs=60, seed=seed, confidence=0.95).outcome
        if outcome in wrong:
            wrong[outcome] += 1
    # VIOLATED at truth delta is a wrong decision: at most 5 % of 300, plus 3 standard errors.
    assert wrong[Outcome.VIOLATED] <= 15 + 12
    # HOLDS is right at the boundary itself, but must be as rare: the limit is at most delta.
    assert wrong[Outcome.HOLDS] <= 15 + 12


def test_several_instances_share_the_confidence():
    one = check(coin(0.0, 0.05), [Instance(POINT)], n_runs=90)
    two = check(coin(0.0, 0.05), [Instance(POINT)] * 2, n_runs=90)
    assert one.outcome is Outcome.HOLDS
    assert two.outcome is Outcome.INCONCLUSIVE
    assert two.n_needed == 104


def test_runs_to_decide_gives_up_at_the_boundary():
    assert runs_to_decide(5, 100, 0.05, 0.99) is None
    assert runs_to_decide(30, 100, 0.05, 0.99) == 100


@pytest.mark.parametrize(
    ("true", "stated", "outcome"),
    [
        (-0.5, -0.5, Outcome.HOLDS),
        (-0.7, -0.5, Outcome.HOLDS),
        (-0.3, -0.5, Outcome.VIOLATED),
        (1.5, 1.0, Outcome.VIOLATED),
        (1.5, 1.5, Outcome.HOLDS),
    ],
)
def test_rates(true, stated, outcome):
    verdict = check(power(true, stated), Instance(POINT), n_runs=200)
    assert verdict.outcome is outcome
    assert verdict.interval is not None
    assert true in verdict.interval


def test_noisy_rate_is_inconclusive():
    verdict = check(power(-0.5, -0.5, noise=3.0), Instance(POINT), n_runs=5)
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_vacuous_needs_every_instance():
    theorem = plain(lambda i: 1.0, lambda i: i["rhs"], trivial=lambda i: 10.0)
    loose, useful = (Instance(POINT, {"rhs": x}) for x in (20.0, 5.0))
    verdict = check(theorem, loose)
    assert verdict.outcome is Outcome.VACUOUS
    assert verdict.vacuous_factor == 2.0
    both = check(theorem, [loose, useful])
    assert both.outcome is Outcome.HOLDS
    assert both.n_vacuous == 1


def test_vacuous_with_high_probability():
    theorem = replace(coin(0.0, 0.05), trivial=lambda instance: 0.5)
    verdict = check(theorem, Instance(POINT))
    assert verdict.outcome is Outcome.VACUOUS
    assert verdict.n_runs == 0


def test_violation_names_the_worst_instance_and_its_numbers():
    theorem = plain(lambda i: i["x"], lambda i: 1.0)
    instances = [Instance(POINT, {"x": x}, f"x = {x}") for x in (0.5, 3.0, 2.0)]
    verdict = check(theorem, instances)
    assert verdict.outcome is Outcome.VIOLATED
    assert verdict.n_failures == 2
    assert verdict.worst is not None
    assert (verdict.worst.label, verdict.worst.lhs, verdict.worst.rhs) == ("x = 3.0", 3.0, 1.0)
    assert verdict.exact


@pytest.mark.parametrize(("multiple", "outcome"), [(0.5, Outcome.HOLDS), (4.0, Outcome.VIOLATED)])
def test_rounding_is_forgiven_but_nothing_more(multiple, outcome):
    model = Model([[0.25, 0.75], [0.5, 0.5]], [0.1, 0.7], [0, 1, 2], 0.9375)
    instance = Instance(model, {"V": optimal_value(model)})
    allowed = allowance(instance, np.ones(1))
    assert 0.0 < allowed < 1e-9
    verdict = check(plain(lambda i: 1.0 + multiple * allowed, lambda i: 1.0), instance)
    assert verdict.outcome is outcome


def test_an_excess_that_only_floats_have_is_not_a_violation():
    theorem = plain(lambda i: 1.0 if i.model.is_exact else 1.1, lambda i: 1.0)
    verdict = check(theorem, Instance(POINT))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.n_failures == 0


def test_large_instances_are_violated_in_floats():
    size = 9
    model = Model(np.eye(size), np.ones(size), np.arange(size + 1), 0.5)
    verdict = check(plain(lambda i: 2.0, lambda i: 1.0), Instance(model))
    assert verdict.outcome is Outcome.VIOLATED
    assert not verdict.exact
    assert "in floats" in verdict.message


def test_an_undecided_hypothesis_is_recorded_and_does_not_block():
    open_question = Hypothesis("open", "the chain mixes", lambda instance: None)
    theorem = plain(lambda i: 0.5, lambda i: 1.0, hypotheses=(open_question,))
    verdict = check(theorem, Instance(POINT))
    assert verdict.outcome is Outcome.HOLDS
    assert verdict.undecided == ("the chain mixes",)


def test_a_failed_hypothesis_excludes_one_instance_and_is_recorded():
    theorem = plain(lambda i: 0.5, lambda i: 1.0, hypotheses=(DISTRIBUTION,))
    wrong = Instance(POINT.replace(P=[[1.5]]))
    mixed = check(theorem, [Instance(POINT), wrong])
    assert (mixed.outcome, mixed.n_applicable) == (Outcome.HOLDS, 1)
    assert mixed.failed == (DISTRIBUTION.text,)
    assert check(theorem, wrong).outcome is Outcome.NOT_APPLICABLE
    with pytest.raises(NotApplicableError, match="probability distribution"):
        theorem.require(wrong)
    theorem.require(Instance(POINT))


def solver_with_error(shift: float, gap: float) -> Any:
    def solve(mdp):
        value = optimal_value(Model.from_mdp(mdp)) + shift
        return SimpleNamespace(value=value, lower=value - gap / 2, upper=value + gap / 2)

    return solve


@pytest.mark.parametrize("id", ["singh1994:greedy_loss", "denardo1967:residual_bound"])
def test_the_solver_is_an_argument(id):
    entry = CATALOGUE[id]
    good = entry.theorem.check(entry.tight(), solver=solver_with_error(0.0, 1e-9))
    assert good.outcome is Outcome.HOLDS
    assert good.tolerance >= 1e-9


def test_a_wrong_solver_is_told_from_a_wrong_theorem():
    """Its certificate lies; the statement survives in exact arithmetic and takes no blame."""
    entry = CATALOGUE["denardo1967:residual_bound"]
    verdict = entry.theorem.check(entry.tight(), solver=solver_with_error(-0.5, 1e-9))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "at fault" in verdict.message


def test_an_honest_loose_solver_is_allowed_its_gap():
    entry = CATALOGUE["denardo1967:residual_bound"]
    verdict = entry.theorem.check(entry.tight(), solver=solver_with_error(-0.01, 0.02))
    assert verdict.outcome is Outcome.HOLDS


def test_no_instance_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        check(plain(lambda i: 0.0, lambda i: 1.0), [])


def test_statements_need_their_parts():
    with pytest.raises(ValueError, match="needs sample"):
        plain(lambda i: 0.0, lambda i: 1.0, kind="high_probability")
    twice = (DISTRIBUTION, DISTRIBUTION)
    with pytest.raises(ValueError, match="different names"):
        plain(lambda i: 0.0, lambda i: 1.0, hypotheses=twice)


def test_verdict_shows_itself_and_survives_json():
    verdict = check(coin(0.2, 0.05), Instance(POINT, label="<coin>"), n_runs=200)
    assert repr(verdict).startswith("synthetic:coin: VIOLATED. ")
    html = verdict._repr_html_()
    assert "&lt;coin&gt;" in html
    assert "VIOLATED" in html
    import json

    assert Verdict.from_dict(json.loads(verdict.to_json())) == verdict
