r"""DRPVI, a ball of total variation around each factor: its certificate, and shrinking ranges.

Problem
-------
The adversary may move every factor by rho in total variation. What is certain about DRPVI once its
multiplier covers its errors? How large can the spread of robust values be?

Algorithm
---------
`bounds.linear_learners.r2pvi` with a ball.

Guarantee
---------
If |C_rho(mu_hi, Vhat_{h+1}) - nu_hi| <= beta sigma_hi for all h and i,

    V*_1 - V^pihat_1 <= 2 beta sup sum_h E[sum_i phi_i sigma_hi],                            (1)

under pi*, the supremum over the kernels of the balls. With rewards in [0, 1] and the whole state
space open to the adversary, the robust values of any policy and the optimal ones have

    max V_h - min V_h <= (1 - (1 - rho)^{H-h+1}) / rho.                                      (2)

(1): the proof of `bounds.tang2025_pessimism`, where the worst kernel for Vhat lies in the balls by
definition. (2): moving a share rho of mu to the least value is allowed, so C_rho(V) <= (1 - rho)
max V + rho min V, and C_rho(V) >= min V: the range at h is at most one plus 1 - rho times the range
at h + 1.

Cost
----
Backward inductions.

Deviations
----------
The source has a multiplier of order sqrt(d) H with unspecified constants, so only the statement
given its event and the rate K^{-1/2} can be tested; it prints the bound without the factor 2. (2)
needs no failing state: the least value, whichever state has it, is refuge enough. For a penalty the
range is at most 1 + lambda, `mdplib:penalty_range`.

References
----------
liu2024, theorem 4.4 and the lemma on the range of values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.linear_cases import (
    BALL,
    EVENT,
    SETTING,
    TRAJECTORIES,
    broken_setting,
    choice_counts,
    choice_problem,
    covered_cases,
    offline_case,
    plan,
)
from bounds.linear_certificates import largest_sum
from bounds.linear_problem import Problem, random_problem, robust_values
from bounds.model import Array
from bounds.random_models import COUNTS, FEW
from bounds.robust_inner import Ambiguity
from bounds.tang2025_confidence import draw
from bounds.tang2025_pessimism import MANY, suboptimality
from bounds.tang2025_rates import (
    BY_TRAJECTORIES,
    SEES,
    broken_rate,
    rate_case,
    rate_shape,
    value_error,
)
from bounds.theorem import Entry, Scale, Theorem


def _bound(case: Case, factor: float = 2.0) -> Array:
    best, ambiguity, learned = plan(case), case["ambiguity"], case["learned"]
    radii = np.full(case["problem"].shape[0], ambiguity.strength)
    total = largest_sum(case["problem"], best.policy, learned.bonus, "tv", radii)
    return factor * case["beta"] * total  # (1)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    yield from covered_cases(rng, COUNTS[scale], "ball")


def _few_data() -> Case:
    problem = choice_problem(1.0, 0.501)
    counts = choice_counts((3, 0), (501 * MANY, 499 * MANY), (MANY, MANY, MANY))
    return offline_case(problem, Ambiguity("tv", "ball", 1e-3), counts, 0.5, "few data")


def _broken(case: Case) -> dict[str, Case]:
    chi2 = replace(case["ambiguity"], divergence="chi2")
    return broken_setting(case) | {"ball": case.with_values({"ambiguity": chi2})}


_suboptimality = Theorem(
    id="liu2024:suboptimality",
    statement=r"If $|C_\rho(\mu_{h,i}, \hat V_{h+1}) - \nu_{h,i}| \le \beta \sigma_{h,i}$ for all "
    r"$h, i$, then $V^{*,\rho}_1 - V^{\hat\pi,\rho}_1 \le 2 \beta \sup_P \sum_h E_{\pi^*, P} "
    r"\sum_i \phi_i \sigma_{h,i}$",
    source="Theorem 4.4 with the event as hypothesis",
    kind="inequality",
    hypotheses=(*SETTING, BALL, EVENT),
    lhs=suboptimality,
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
    broken=lambda: _broken(_few_data()) | {"event": _few_data().with_values({"beta": 0.05})},
)


def _ranges(case: Case) -> Array:
    values = robust_values(case["problem"], case["ambiguity"], case["policy"])
    return np.ptp(np.stack([plan(case).V[:-1], values[:-1]]), axis=-1)


def _shrunk(case: Case, unit: float = 1.0) -> Array:
    H, rho = case["problem"].shape[0], unit * case["ambiguity"].strength
    return (1.0 - (1.0 - rho) ** np.arange(H, 0, -1)) / rho  # (2)


def _range_instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(COUNTS[scale]):
        problem = random_problem(rng, horizon=5, fails=bool(i % 2))
        H, S, A, _ = problem.shape
        values = {
            "problem": problem,
            "ambiguity": Ambiguity("tv", "ball", float(rng.uniform(0.05, 0.9))),
            "policy": rng.integers(0, A, (H, S)),
        }
        yield Case(values, f"random {i}")


def _two_absorbing_states() -> Case:
    phi, H = np.eye(2)[:, None], 6
    problem = Problem(phi, np.tile([0.0, 1.0], (H, 1)), np.tile(np.eye(2), (H, 1, 1)))
    values = {
        "problem": problem,
        "ambiguity": Ambiguity("tv", "ball", 0.25),
        "policy": np.zeros((H, 2), dtype=np.int64),
    }
    return Case(values, "a good and a bad state")


_shrinkage = Theorem(
    id="liu2024:range_shrinkage",
    statement=r"With a total variation ball of radius $\rho$ around each factor, "
    r"$\max V_h - \min V_h \le (1 - (1 - \rho)^{H-h+1}) / \rho$",
    source="Range shrinkage of the robust value functions",
    kind="inequality",
    hypotheses=(*SETTING, BALL),
    lhs=_ranges,
    rhs=_shrunk,
    trivial=lambda case: float(case["problem"].shape[0]),
)
RANGE_SHRINKAGE = Entry(
    theorem=_shrinkage,
    instances=_range_instances,
    tight=_two_absorbing_states,
    tightness=0.99,
    mutant=_shrinkage.mutant(
        statement="the radius doubled, as for the full sum of absolute differences",
        rhs=lambda case: _shrunk(case, 2.0),
    ),
    broken=lambda: _broken(_two_absorbing_states()),
)


def _rate_instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(FEW[scale] // 2):
        yield rate_case("tv", float(rng.uniform(0.05, 0.4)), rng, f"random {i}", "ball")


def _rate_tight() -> Case:
    return rate_case("tv", 0.2, np.random.default_rng(3), "one problem", "ball")


_rate = Theorem(
    id="liu2024:rate_value",
    statement=r"$|V^{*,\rho}_1 - \hat V_1| = O(K^{-1/2})$ with high probability",
    source="Theorem 4.4 and its corollary",
    kind="rate",
    hypotheses=(*SETTING, BALL, TRAJECTORIES, SEES),
    lhs=value_error,
    rhs=rate_shape,
    sample=draw,
    rate=BY_TRAJECTORIES,
    constants="universal",
)
RATE_VALUE = Entry(
    theorem=_rate,
    instances=_rate_instances,
    tight=_rate_tight,
    tightness=-0.7,
    mutant=_rate.mutant(statement="rate 1 / K", rate=replace(BY_TRAJECTORIES, exponent=-1.0)),
    broken=lambda: _broken(_rate_tight()) | broken_rate(_rate_tight()),
)
