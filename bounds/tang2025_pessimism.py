r"""R2PVI on the event that its multiplier covers its errors: pessimism and two certificates.

Problem
-------
R2PVI subtracted beta sum_i phi_i sigma_i and returned Vhat and the policy pihat. What is certain,
for these very data, once |R(mu_hi, Vhat_{h+1}) - w_hi| <= beta sigma_hi for all steps and factors?

Algorithm
---------
`bounds.linear_learners.r2pvi`.

Guarantee
---------
With V^pi the robust values of a policy, V* the optimal ones, pi* an optimal policy,

    Vhat_h <= V^pihat_h at every step and state,                                            (1)
    V*_1 - V^pihat_1 <= 2 beta sum_h E[sum_i phi_i sigma_hi], under pi* and Ptilde,           (2)

Ptilde the worst kernel for Vhat, and the right side of (2) is at most

    2 beta Phi = 2 beta sup sum_h E[sum_i phi_i sigma_hi],                                   (3)

the supremum over the kernels whose factors are within max V*_{h+1} / lambda of the nominal ones.

(1), backwards: R is nondecreasing, so w - beta sigma <= R(Vhat_{h+1}) <= R(V^pihat_{h+1}); clipping
at H - h + 1 lowers the left side, and clipping at 0 is harmless because V^pihat >= 0. Only the
upper half of the event is used. (2): at (s, pi*), Qhat >= phi (theta + R(Vhat)) - 2 beta phi sigma
(the upper clip does not bind that: phi (theta + R(Vhat)) <= 1 + (H - h)), and R(V*) - R(Vhat) <=
E[V* - Vhat] under the minimiser for Vhat, so V*_h - Vhat_h <= E[V*_{h+1} - Vhat_{h+1}] + 2 beta
phi sigma; iterate and use (1). (3): the minimiser q for Vhat has lambda D(q || mu) <= E_mu Vhat -
E_q Vhat <= max Vhat <= max V*.

Cost
----
Backward inductions.

Deviations
----------
The source states (3) with the multiplier of theory and high probability; (1) to (3) are its proof
with the event as a hypothesis, so they hold or fail on each data set, and beta can be any number
that covers. (2) needs no supremum and is smaller. In the last step nothing is estimated, yet the
learner subtracts the bonus there as well, and (2) counts it twice; once would do.

References
----------
tang2025, theorem 5.2 and its proof; liu2024, lemma D.1 for balls.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.case import Case
from bounds.linear_cases import (
    EVENT,
    PENALTY,
    SETTING,
    broken_penalty,
    choice_counts,
    choice_problem,
    covered_cases,
    learn,
    offline_case,
    plan,
)
from bounds.linear_certificates import admissible_radii, certificate, largest_sum
from bounds.linear_problem import robust_values
from bounds.model import Array
from bounds.random_models import COUNTS
from bounds.robust_inner import Ambiguity
from bounds.theorem import Entry, Scale, Theorem

MANY = 10**8


def value_of_learned(case: Case) -> Array:
    """Return the robust values of the learned policy, (H + 1, S)."""
    return robust_values(case["problem"], case["ambiguity"], case["learned"].policy)


def suboptimality(case: Case) -> Array:
    """Return V*_1 - V^pihat_1, (S,)."""
    return plan(case).V[0] - value_of_learned(case)[0]


def certified(case: Case) -> Array:
    """Return the right side of (2), (S,)."""
    policy, learned = plan(case).policy, case["learned"]
    return certificate(case["problem"], learned, case["ambiguity"], policy, case["beta"])  # (2)


def phi_sum(case: Case) -> Array:
    """Return Phi of (3), (S,)."""
    best, ambiguity = plan(case), case["ambiguity"]
    radii = admissible_radii(best.V, ambiguity.strength)
    gains = case["learned"].bonus
    return largest_sum(case["problem"], best.policy, gains, ambiguity.divergence, radii)  # (3)


def _less_pessimistic(case: Case) -> Array:
    return learn(case, 0.3 * case["beta"])["learned"].V


def _nominal_sum(case: Case) -> Array:
    best, ambiguity = plan(case), case["ambiguity"]
    radii = np.zeros(case["problem"].shape[0])
    gains = case["learned"].bonus
    total = largest_sum(case["problem"], best.policy, gains, ambiguity.divergence, radii)
    return 2.0 * case["beta"] * total


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    yield from covered_cases(rng, 2 * COUNTS[scale])


def _lucky() -> Case:
    """Return three successes out of three at even odds, with beta just covering that."""
    problem = choice_problem(0.5, 0.0)
    counts = choice_counts((3, 0), (0, 0), (0, MANY, MANY))
    return offline_case(problem, Ambiguity("tv", "penalty", 2.0), counts, 0.5, "lucky data")


def _unlucky() -> Case:
    """Return a case where the better lottery was tried three times, and is passed over."""
    problem = choice_problem(1.0, 0.501)
    counts = choice_counts((3, 0), (501 * MANY, 499 * MANY), (MANY, MANY, MANY))
    return offline_case(problem, Ambiguity("tv", "penalty", 2.0), counts, 0.5, "few data")


def _avoided() -> Case:
    """Return a case whose adversary moves to a state that the nominal process never sees."""
    problem = choice_problem(1.0, 0.0)
    counts = choice_counts((MANY, 0), (0, MANY), (MANY, MANY, 0))
    return offline_case(problem, Ambiguity("tv", "penalty", 0.5), counts, 0.5, "unseen state")


def _broken_for(case: Case) -> dict[str, Case]:
    return broken_penalty(case) | {"event": case.with_values({"beta": 0.1 * case["beta"]})}


_HYPOTHESES = (*SETTING, PENALTY, EVENT)


def _horizon(case: Case) -> float:
    return float(case["problem"].shape[0])


_pessimism = Theorem(
    id="tang2025:pessimism",
    statement=r"If $|R_\lambda(\mu_{h,i}, \hat V_{h+1}) - w_{h,i}| \le \beta \sigma_{h,i}$ for all "
    r"$h, i$, then $\hat V_h \le V^{\hat\pi,\lambda}_h$",
    source="Proof of theorem 5.2",
    kind="inequality",
    hypotheses=_HYPOTHESES,
    lhs=lambda case: case["learned"].V,  # (1)
    rhs=value_of_learned,
)
PESSIMISM = Entry(
    theorem=_pessimism,
    instances=_instances,
    tight=_lucky,
    tightness=0.99,
    mutant=_pessimism.mutant(
        statement="learned with less than a third of the multiplier", lhs=_less_pessimistic
    ),
    broken=lambda: _broken_for(_lucky()),
)

_certificate = Theorem(
    id="tang2025:certificate",
    statement=r"On the same event $V^{*,\lambda}_1 - V^{\hat\pi,\lambda}_1 \le 2 \beta \sum_h "
    r"E_{\pi^*, \tilde P} \sum_i \phi_i \sigma_{h,i}$ with $\tilde P$ the worst kernel for "
    r"$\hat V$",
    source="Proof of theorem 5.2",
    kind="inequality",
    hypotheses=_HYPOTHESES,
    lhs=suboptimality,
    rhs=certified,
    trivial=_horizon,
)
CERTIFICATE = Entry(
    theorem=_certificate,
    instances=_instances,
    tight=_unlucky,
    tightness=0.99,
    mutant=_certificate.mutant(
        statement="the factor 2 dropped", rhs=lambda case: certified(case) / 2.0
    ),
    broken=lambda: _broken_for(_unlucky()),
)

_instance_dependent = Theorem(
    id="tang2025:admissible_kernels",
    statement=r"On the same event $2 \beta \sum_h E_{\pi^*, \tilde P} \sum_i \phi_i \sigma_{h,i} "
    r"\le 2 \beta \Phi$, the supremum over factors within $\max V^*_{h+1} / \lambda$ of the "
    r"nominal ones",
    source="Theorem 5.2 with the event as hypothesis",
    kind="inequality",
    hypotheses=_HYPOTHESES,
    lhs=certified,
    rhs=lambda case: 2.0 * case["beta"] * phi_sum(case),
    trivial=_horizon,
)
ADMISSIBLE_KERNELS = Entry(
    theorem=_instance_dependent,
    instances=_instances,
    tight=_unlucky,
    tightness=0.99,
    mutant=_instance_dependent.mutant(
        statement="the nominal kernel in place of the supremum", rhs=_nominal_sum
    ),
    witness=_avoided,
    broken=lambda: _broken_for(_unlucky()),
)
