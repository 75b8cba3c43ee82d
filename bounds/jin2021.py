r"""PEVI on the event that its multiplier covers its errors.

Problem
-------
PEVI regresses reward plus value and subtracts beta sqrt(phi Lambda^{-1} phi). What is certain, for
these very data, once that covers the error of the regression at every step and pair?

Algorithm
---------
`bounds.linear_learners.pevi`.

Guarantee
---------
If |phi w_h - (r_h + P_h Vhat_{h+1})| <= beta sqrt(phi Lambda_h^{-1} phi) for all h, s and a,

    Vhat_h <= V^pihat_h at every step and state,                                            (1)
    V*_1 - V^pihat_1 <= 2 beta sum_h E[sqrt(phi Lambda_h^{-1} phi)],                         (2)

the expectation under pi* in the nominal process.

Cost
----
Backward inductions.

Deviations
----------
The multiplier of the source is c d H sqrt(log(2 d H K / delta)) with an unspecified constant c, so
the statement is tested given its event, and its rate K^{-1/2}.

References
----------
jin2021, the suboptimality of PEVI for linear models.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.linear_cases import (
    EPS,
    SETTING,
    TRAJECTORIES,
    broken_setting,
    choice_counts,
    choice_problem,
)
from bounds.linear_certificates import largest_sum
from bounds.linear_learners import pevi
from bounds.linear_problem import Problem, draw_counts, random_problem, robust_plan, robust_values
from bounds.model import Array
from bounds.random_models import COUNTS, FEW
from bounds.robust_inner import Ambiguity
from bounds.tang2025_pessimism import MANY
from bounds.tang2025_rates import (
    BY_TRAJECTORIES,
    SEES,
    broken_rate,
    rate_case,
    rate_shape,
    value_error,
)
from bounds.theorem import Entry, Hypothesis, Scale, Theorem

NOMINAL = Ambiguity("tv", "penalty", np.inf)


def _needed(case: Case) -> float:
    """Return the multiplier that covers the errors of the regression."""
    problem, learned, needed = case["problem"], case["learned"], 0.0
    for h in range(problem.shape[0]):
        target = problem.reward(h) + problem.kernel(h) @ learned.V[h + 1]
        error = np.abs(problem.phi @ learned.w[h] - target)
        needed = max(needed, float((error / learned.bonus[h]).max()))
    return needed


EVENT = Hypothesis(
    "event",
    "beta covers the errors: |phi w - (r + P Vhat)| <= beta sqrt(phi Lambda^-1 phi)",
    lambda case: _needed(case) <= case["beta"] * (1.0 + EPS),
)


def pevi_case(problem: Problem, counts: Array, beta: float, label: str) -> Case:
    """Return a case whose learner has run."""
    values = {"problem": problem, "counts": counts, "beta": beta}
    return Case(values | {"learned": pevi(problem, counts, beta)}, label)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(COUNTS[scale]):
        problem = random_problem(rng, fails=bool(i % 2))
        behaviour = rng.dirichlet(np.ones(3), 5)
        counts = draw_counts(problem, behaviour, int(10.0 ** rng.uniform(1, 5)), rng)
        case = pevi_case(problem, counts, 0.0, f"random {i}")
        while _needed(case) > case["beta"]:
            case = pevi_case(problem, counts, 1.02 * _needed(case), case.label)
        yield case


def _lucky() -> Case:
    problem = choice_problem(0.5, 0.0)
    counts = choice_counts((3, 0), (0, 0), (0, MANY, MANY))
    return pevi_case(problem, counts, 0.5, "lucky data")


def _few_data() -> Case:
    problem = choice_problem(1.0, 0.501)
    counts = choice_counts((3, 0), (501 * MANY, 499 * MANY), (MANY, MANY, MANY))
    return pevi_case(problem, counts, 0.5, "few data")


def _value(case: Case) -> Array:
    return robust_values(case["problem"], NOMINAL, case["learned"].policy)


def _loss(case: Case) -> Array:
    return robust_plan(case["problem"], NOMINAL).V[0] - _value(case)[0]


def _bound(case: Case, factor: float = 2.0) -> Array:
    problem, best = case["problem"], robust_plan(case["problem"], NOMINAL)
    gains, nominal = case["learned"].bonus, np.zeros(problem.shape[0])
    return factor * case["beta"] * largest_sum(problem, best.policy, gains, "tv", nominal)  # (2)


def _broken(case: Case) -> dict[str, Case]:
    return broken_setting(case) | {"event": case.with_values({"beta": 0.05})}


def _less_pessimistic(case: Case) -> Array:
    return pevi(case["problem"], case["counts"], 0.3 * case["beta"]).V


_pessimism = Theorem(
    id="jin2021:pessimism",
    statement=r"If $\beta \sqrt{\phi^\top \Lambda_h^{-1} \phi}$ covers the error of the regression "
    r"at each step and pair, then $\hat V_h \le V^{\hat\pi}_h$",
    source="Suboptimality of PEVI for linear models, its proof",
    kind="inequality",
    hypotheses=(*SETTING, EVENT),
    lhs=lambda case: case["learned"].V,  # (1)
    rhs=_value,
)
PESSIMISM = Entry(
    theorem=_pessimism,
    instances=_instances,
    tight=_lucky,
    tightness=0.99,
    mutant=_pessimism.mutant(
        statement="learned with less than a third of the multiplier", lhs=_less_pessimistic
    ),
    broken=lambda: _broken(_lucky()),
)

_suboptimality = Theorem(
    id="jin2021:suboptimality",
    statement=r"On the same event $V^*_1 - V^{\hat\pi}_1 \le 2 \beta \sum_h E_{\pi^*} "
    r"\sqrt{\phi^\top \Lambda_h^{-1} \phi}$",
    source="Suboptimality of PEVI for linear models, its event as hypothesis",
    kind="inequality",
    hypotheses=(*SETTING, EVENT),
    lhs=_loss,
    rhs=_bound,
    trivial=lambda case: float(case["problem"].shape[0]),
)
SUBOPTIMALITY = Entry(
    theorem=_suboptimality,
    instances=_instances,
    tight=_few_data,
    tightness=0.99,
    mutant=_suboptimality.mutant(
        statement="the factor 2 dropped", rhs=lambda case: _bound(case, 1.0)
    ),
    broken=lambda: _broken(_few_data()),
)


def _rate_draw(case: Case, rng: np.random.Generator) -> Case:
    problem: Problem = case["problem"]
    counts = draw_counts(problem, case["behaviour"], case["n"], rng)
    return case.with_values({"learned": pevi(problem, counts, case["beta"])})


def _rate_instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(FEW[scale] // 2):
        yield rate_case("tv", np.inf, rng, f"random {i}")


def _rate_tight() -> Case:
    return rate_case("tv", np.inf, np.random.default_rng(3), "one problem")


_rate = Theorem(
    id="jin2021:rate_value",
    statement=r"$|V^*_1 - \hat V_1| = O(K^{-1/2})$ with high probability",
    source="Suboptimality of PEVI with sufficient coverage",
    kind="rate",
    hypotheses=(*SETTING, TRAJECTORIES, SEES),
    lhs=value_error,
    rhs=rate_shape,
    sample=_rate_draw,
    rate=BY_TRAJECTORIES,
    constants="universal",
)
RATE_VALUE = Entry(
    theorem=_rate,
    instances=_rate_instances,
    tight=_rate_tight,
    tightness=-0.7,
    mutant=_rate.mutant(statement="rate 1 / K", rate=replace(BY_TRAJECTORIES, exponent=-1.0)),
    broken=lambda: broken_setting(_rate_tight()) | broken_rate(_rate_tight()),
)
