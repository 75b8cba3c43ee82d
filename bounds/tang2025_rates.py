r"""How fast R2PVI learns: rates in the number of trajectories.

Problem
-------
K trajectories of a behaviour that sees all directions of the feature space at every step. How do
the error of Vhat and the loss of the policy fall with K?

Algorithm
---------
`bounds.linear_learners.r2pvi` with ridge 1 and multiplier 1.

Guarantee
---------
For constants that depend on the problem,

    |V*_1 - Vhat_1| <= C K^{-1/2}, V*_1 - V^pihat_1 <= C K^{-1/2},                           (1)

with high probability, and neither is faster: the bonus itself falls like K^{-1/2}, and two
lotteries whose values differ by K^{-1/2} are told apart only with a fixed probability.      (2)

Cost
----
n_runs learners per grid point.

Deviations
----------
Only rates are tested; constants of theory are the subject of `bounds.tang2025_suboptimality`. On a
fixed problem the loss vanishes at finite K, because finitely many actions have gaps; its rate is
seen on the family (2), where the gap shrinks with K. The 0.9 quantile stands for delta = 0.1.

References
----------
tang2025, theorem 5.2 and its corollary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.linear_cases import (
    PENALTY,
    SETTING,
    TRAJECTORIES,
    broken_penalty,
    choice_problem,
    plan,
)
from bounds.linear_problem import Problem, random_problem
from bounds.random_models import FEW
from bounds.robust_inner import DIVERGENCES, Ambiguity, Divergence, Mode
from bounds.tang2025_confidence import draw, sampled_case
from bounds.tang2025_pessimism import value_of_learned
from bounds.theorem import Entry, Hypothesis, Rate, Scale, Theorem

GRID = (4_000.0, 90_000.0, 2_000_000.0)
TOLERANCE = 0.1


def spread(problem: Problem, behaviour: np.ndarray) -> float:
    """Return the least eigenvalue of E[phi phi'] over the steps, in the nominal process."""
    H, S, _, _ = problem.shape
    here, least = np.eye(S)[problem.start], np.inf
    for h in range(H):
        played = here[:, None] * behaviour
        gram = np.einsum("sa,sai,saj->ij", played, problem.phi, problem.phi)
        least = min(least, float(np.linalg.eigvalsh(gram)[0]))
        here = np.einsum("sa,sat->t", played, problem.kernel(h))
    return least


def rate_case(
    name: Divergence,
    strength: float,
    rng: np.random.Generator,
    label: str,
    mode: Mode = "penalty",
) -> Case:
    """Draw a problem whose uniform behaviour sees every direction."""
    behaviour = np.full((5, 3), 1.0 / 3.0)
    while True:
        problem = random_problem(rng)
        if spread(problem, behaviour) > 0.01:
            ambiguity = Ambiguity(name, mode, strength)
            return _known(sampled_case(problem, ambiguity, behaviour, 1000, 0.1, label))


def _known(case: Case) -> Case:
    """Return the case with its optimal value, which does not depend on the data."""
    return case.with_values({"optimum": float(plan(case).V[0, case["problem"].start])})


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(3 * FEW[scale] // 2):
        yield rate_case(DIVERGENCES[i % 3], float(rng.uniform(0.5, 3.0)), rng, f"random {i}")


def _tight() -> Case:
    return rate_case("tv", 1.0, np.random.default_rng(3), "one problem")


def value_error(case: Case) -> float:
    """Return |V*_1 - Vhat_1| at the initial state."""
    return abs(case["optimum"] - float(case["learned"].V[0, case["problem"].start]))


def _loss(case: Case) -> float:
    return case["optimum"] - float(value_of_learned(case)[0, case["problem"].start])


def rate_shape(case: Case) -> float:
    """Return K^{-1/2}."""
    return case["n"] ** -0.5  # (1)


SEES = Hypothesis(
    "spread",
    "the behaviour sees every direction of the feature space at every step",
    lambda case: spread(case["problem"], case["behaviour"]) > 0.01,
)
_HYPOTHESES = (*SETTING, PENALTY, TRAJECTORIES, SEES)


def broken_rate(case: Case) -> dict[str, Case]:
    """Return broken cases for the last two hypotheses: no data, or of one action only."""
    one_action = np.zeros_like(case["behaviour"])
    one_action[:, 0] = 1.0
    return {
        "n": case.with_values({"n": 0}),
        "spread": case.with_values({"behaviour": one_action}),
    }


BY_TRAJECTORIES = Rate(
    "K",
    -0.5,
    lambda case, x: case.with_values({"n": int(x)}),
    lambda case: GRID,
    tolerance=TOLERANCE,
)
_value = Theorem(
    id="tang2025:rate_value",
    statement=r"$|V^{*,\lambda}_1 - \hat V_1| = O(K^{-1/2})$ with high probability",
    source="Theorem 5.2 and its corollary",
    kind="rate",
    hypotheses=_HYPOTHESES,
    lhs=value_error,
    rhs=rate_shape,
    sample=draw,
    rate=BY_TRAJECTORIES,
    constants="universal",
)
RATE_VALUE = Entry(
    theorem=_value,
    instances=_instances,
    tight=_tight,
    tightness=-0.7,
    mutant=_value.mutant(statement="rate 1 / K", rate=replace(BY_TRAJECTORIES, exponent=-1.0)),
    broken=lambda: broken_penalty(_tight()) | broken_rate(_tight()),
)


def _close_lotteries(case: Case, x: float) -> Case:
    """Return the two lotteries whose values differ by the width of their estimates."""
    problem = choice_problem(0.5 + 0.5 / np.sqrt(x), 0.5)
    return _known(case.with_values({"problem": problem, "n": int(x)}))  # (2)


def _close_case(name: Divergence, strength: float, label: str) -> Case:
    problem, behaviour = choice_problem(0.5, 0.5), np.full((3, 2), 0.5)
    return sampled_case(problem, Ambiguity(name, "penalty", strength), behaviour, 1000, 0.1, label)


def _close_instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(3 * FEW[scale] // 2):
        name: Divergence = DIVERGENCES[i % 3]
        yield _close_case(name, float(rng.uniform(0.5, 3.0)), f"close lotteries {i}")


def _broken_lotteries() -> dict[str, Case]:
    case = _close_case("tv", 1.0, "close lotteries")
    return broken_penalty(case) | {"n": case.with_values({"n": 0})}


_by_family = replace(BY_TRAJECTORIES, at=_close_lotteries)
_loss_rate = Theorem(
    id="tang2025:rate_suboptimality",
    statement=r"$V^{*,\lambda}_1 - V^{\hat\pi,\lambda}_1 = O(K^{-1/2})$ with high probability, "
    r"where the values of two lotteries differ by $K^{-1/2} / 2$",
    source="Corollary of theorem 5.2",
    kind="rate",
    hypotheses=(*SETTING, PENALTY, TRAJECTORIES),
    lhs=_loss,
    rhs=rate_shape,
    sample=draw,
    rate=_by_family,
    constants="universal",
)
RATE_SUBOPTIMALITY = Entry(
    theorem=_loss_rate,
    instances=_close_instances,
    tight=lambda: _close_case("tv", 1.0, "close lotteries"),
    tightness=-0.55,
    mutant=_loss_rate.mutant(statement="rate 1 / K", rate=replace(_by_family, exponent=-1.0)),
    broken=_broken_lotteries,
)
