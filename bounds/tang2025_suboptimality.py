r"""R2PVI with the multiplier of theory: instance-dependent and coverage bounds.

Problem
-------
R2PVI runs on K trajectories with ridge 1 and the multiplier beta of theory. How far is its policy
from the optimal robust one?

Algorithm
---------
`bounds.linear_learners.r2pvi`; multipliers and coverage of `bounds.linear_certificates`.

Guarantee
---------
With probability at least 1 - delta, with Phi the largest expected sum of widths over the kernels
that the adversary can afford,

    V*_1 - V^pihat_1 <= 2 beta Phi.                                                         (1)

If Lambda_h - I >= K c E[phi_i^2] e_i e_i' for all h, i and all those kernels, then at each step

    sum_i E[phi_i] sigma_hi <= d / sqrt(c K),                                               (2)
    V*_1 - V^pihat_1 <= 2 beta H d / sqrt(c K),                                             (3)

which is 32 d^2 H^2 sqrt(xi / (c K)) for total variation, 32 d^2 H lambda e^{H/lambda}
sqrt((H / lambda + xi) / (c K)) for Kullback-Leibler and 16 d^2 H^3 (1 + 1/lambda) sqrt(xi / (c K))
for chi-square. (2): the i-th diagonal entry of Lambda^{-1} is at most 1 / (1 + K c E[phi_i^2]), and
E[phi_i]^2 <= E[phi_i^2]; (3) is (1) with (2) at each of H steps.

Cost
----
One learner and a backward induction per draw; H d inductions for c.

Deviations
----------
c is computed from the data at hand, the largest that works. (1) and (3) are vacuous at sizes that
come from simulated trajectories: beta is in the thousands. The cases where they say something are
drawn as counts of 10^14 trajectories. A direction e_i that no data span keeps its width for ever,
even if every pair is seen: from one initial state with fewer actions than features Phi does not
fall with K at all and c = 0, while PEVI's width sqrt(phi Lambda^{-1} phi) does fall. In (2) the
bound is attained by uniform features.

References
----------
tang2025, theorem 5.2, assumption 5.3 and the corollary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bounds.case import Case
from bounds.linear_cases import (
    DELTA,
    PENALTY,
    SETTING,
    TRAJECTORIES,
    broken_penalty,
    choice_problem,
    covered_cases,
    offline_case,
    plan,
)
from bounds.linear_certificates import admissible_radii, coverage, feature_use, largest_sum
from bounds.linear_problem import Problem, random_problem
from bounds.model import Array
from bounds.random_models import COUNTS, FEW
from bounds.robust_inner import Ambiguity, Divergence
from bounds.tang2025_confidence import broken_sampling, draw, radius, sampled_case
from bounds.tang2025_pessimism import phi_sum, suboptimality
from bounds.theorem import Entry, Hypothesis, Scale, Theorem
from bounds.verdict import Outcome


def _draw_with_theory(case: Case, rng: np.random.Generator) -> Case:
    return draw(case.with_values({"beta": radius(case)}), rng)


def _loss(case: Case) -> float:
    return float(suboptimality(case)[case["problem"].start])


def _instance_bound(case: Case) -> float:
    return 2.0 * radius(case) * float(phi_sum(case)[case["problem"].start])  # (1)


def data_coverage(case: Case) -> float:
    """Return the largest coverage constant of the data of a case that knows its feature use."""
    return coverage(case["problem"], case["counts"], case["use"])


def with_use(case: Case) -> Case:
    """Return the case with the largest E[phi_i^2], which do not depend on the data."""
    best, ambiguity = plan(case), case["ambiguity"]
    radii = admissible_radii(best.V, ambiguity.strength)
    use = feature_use(case["problem"], best.policy, ambiguity.divergence, radii)
    return case.with_values({"use": use, "best": best})


def _coverage_bound(case: Case, power: float = 0.5) -> float:
    H, _, _, d = case["problem"].shape
    c = data_coverage(case)
    return 2.0 * radius(case) * H * d / (c * case["n"]) ** power if c > 0 else np.inf  # (3)


def _squared_widths(case: Case) -> float:
    best, ambiguity, learned = plan(case), case["ambiguity"], case["learned"]
    problem: Problem = case["problem"]
    gains = np.einsum("sai,hi->hsa", problem.phi, learned.sigma**2)
    radii = admissible_radii(best.V, ambiguity.strength)
    total = largest_sum(problem, best.policy, gains, ambiguity.divergence, radii)
    return 2.0 * radius(case) * float(total[problem.start])


def _horizon(case: Case) -> float:
    return float(case["problem"].shape[0])


def _instances(name: Divergence) -> Callable[[np.random.Generator, Scale], Iterator[Case]]:
    def draws(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
        for i in range(2 * FEW[scale]):
            problem = random_problem(rng, fails=bool(i % 2))
            ambiguity = Ambiguity(name, "penalty", float(rng.choice([0.5, 1.0, 3.0])))
            behaviour = rng.dirichlet(np.ones(3), 5)
            n = int(10.0 ** rng.uniform(2.0, 5.0))
            yield with_use(sampled_case(problem, ambiguity, behaviour, n, 0.05, f"random {i}"))

    return draws


def huge_case(name: Divergence, width: float) -> Case:
    """Two lotteries, the better one tried just so often that beta sigma equals `width`."""
    n, safe = 10**14, 1.0 - 0.9 * width
    problem = choice_problem(1.0, safe, theta_stay=0.25)
    mu = problem.mu.copy()
    mu[0, 1] = 0.9 * mu[0, 1] + 0.1 * np.eye(3)[0]
    mu[0, 1, 1], mu[0, 1, 2] = safe - 0.025, 0.925 - safe
    problem = Problem(problem.phi, problem.theta, mu)
    even = np.full((3, 2), 0.5)
    ambiguity = Ambiguity(name, "penalty", 4.0)
    case = sampled_case(problem, ambiguity, even, n, 0.05, "10^14 trajectories, one rare action")
    rare = (radius(case) / width) ** 2 / n
    behaviour = even.copy()
    behaviour[0] = rare, 1.0 - rare
    return with_use(sampled_case(problem, ambiguity, behaviour, n, 0.05, case.label))


def _bound(
    id: str,
    name: Divergence,
    statement: str,
    source: str,
    rhs: Callable[[Case], float],
    tight: Callable[[], Case],
    tightness: float,
    mutant: Callable[[Case], float],
    how: str,
) -> Entry:
    theorem = Theorem(
        id=id,
        statement=statement,
        source=source,
        kind="high_probability",
        hypotheses=(*SETTING, PENALTY, TRAJECTORIES, DELTA),
        lhs=_loss,
        rhs=rhs,
        trivial=_horizon,
        sample=_draw_with_theory,
        delta=lambda case: case["delta"],
    )
    return Entry(
        theorem=theorem,
        instances=_instances(name),
        tight=tight,
        tightness=tightness,
        mutant=theorem.mutant(statement=how, rhs=mutant),
        broken=lambda: broken_sampling(tight()),
        expected=Outcome.VACUOUS,
    )


def _theorem_52(name: Divergence) -> Entry:
    return _bound(
        f"tang2025:suboptimality_{name}",
        name,
        r"With probability at least $1 - \delta$, $V^{*,\lambda}_1 - V^{\hat\pi,\lambda}_1 \le "
        r"2 \beta \sup_P \sum_h E_{\pi^*, P} \sum_i \phi_i \sqrt{(\Lambda_h^{-1})_{ii}}$",
        "Theorem 5.2",
        _instance_bound,
        lambda: huge_case(name, 0.4),
        0.4,
        _squared_widths,
        "the squares of the widths",
    )


def _corollary(name: Divergence) -> Entry:
    return _bound(
        f"tang2025:coverage_{name}",
        name,
        r"With probability at least $1 - \delta$, $V^{*,\lambda}_1 - V^{\hat\pi,\lambda}_1 \le "
        r"2 \beta H d / \sqrt{c K}$ for data of robust partial coverage $c$",
        "Corollary of theorem 5.2 under assumption 5.3",
        _coverage_bound,
        lambda: huge_case(name, 0.1),
        0.05,
        lambda case: _coverage_bound(case, 1.0),
        "the fast rate 1 / (c K)",
    )


SUBOPTIMALITY_TV, SUBOPTIMALITY_KL, SUBOPTIMALITY_CHI2 = map(_theorem_52, ("tv", "kl", "chi2"))
COVERAGE_TV, COVERAGE_KL, COVERAGE_CHI2 = map(_corollary, ("tv", "kl", "chi2"))


def _step_sums(case: Case) -> Array:
    """Return the left side of (2) for each step, at its worst kernel."""
    best, ambiguity, learned = plan(case), case["ambiguity"], case["learned"]
    problem: Problem = case["problem"]
    radii, sums = admissible_radii(best.V, ambiguity.strength), []
    for h in range(problem.shape[0]):
        gains = np.zeros_like(learned.bonus)
        gains[h] = learned.bonus[h]  # (2), its left side
        total = largest_sum(problem, best.policy, gains, ambiguity.divergence, radii)
        sums.append(total[problem.start])
    return np.array(sums)


def _step_bound(case: Case, power: float = 1.0) -> float:
    d = case["problem"].shape[3]
    n = case["counts"][0].sum()
    return d**power / np.sqrt(case["c"] * n)  # (2)


def _with_coverage(case: Case) -> Case:
    known = with_use(case)
    return known.with_values({"c": data_coverage(known)})


def _coverage_instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for case in covered_cases(rng, COUNTS[scale]):
        found = _with_coverage(case)
        if found["c"] > 0:
            yield found


def _uniform_features() -> Case:
    """One state and one action with features 1/d each: seen often, in every direction."""
    d = 3
    phi = np.full((2, d, d), 1.0 / d)
    phi[1] = np.eye(d)
    mu = np.tile(np.array([[1.0, 0.0]]), (1, d, 1))
    problem = Problem(phi, np.full((1, d), 0.5), mu)
    counts = np.zeros((1, 2, d, 2), dtype=np.int64)
    counts[0, 1, :, 0] = 10**6
    ambiguity = Ambiguity("tv", "penalty", 1.0)
    return _with_coverage(offline_case(problem, ambiguity, counts, 0.0, "uniform features"))


def _covers(case: Case) -> bool:
    return bool(0 < case["c"] <= data_coverage(case) * (1.0 + 1e-9))


_partial = Theorem(
    id="tang2025:partial_coverage",
    statement=r"If $\Lambda_h - I \succeq K c\, E_{\pi^*, P}[\phi_i^2] e_i e_i^\top$ for all "
    r"$h, i, P$, then $\sum_i E_{\pi^*, P}[\phi_i] \sqrt{(\Lambda_h^{-1})_{ii}} \le d / \sqrt{cK}$",
    source="Assumption 5.3 and its corollary",
    kind="inequality",
    hypotheses=(
        *SETTING,
        PENALTY,
        Hypothesis("coverage", "the data have coverage c > 0", _covers),
    ),
    lhs=_step_sums,
    rhs=_step_bound,
)
PARTIAL_COVERAGE = Entry(
    theorem=_partial,
    instances=_coverage_instances,
    tight=_uniform_features,
    tightness=0.99,
    mutant=_partial.mutant(
        statement="sqrt(d) in place of d", rhs=lambda case: _step_bound(case, 0.5)
    ),
    broken=lambda: (
        broken_penalty(_uniform_features())
        | {"coverage": _uniform_features().with_values({"c": 1e3})}
    ),
)
