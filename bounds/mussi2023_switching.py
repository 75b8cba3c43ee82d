r"""All samples, few switches: the confidence set and the regret of RS-DynLin.

Problem
-------
One sample per epoch throws most of the data away. What can be said of ridge regression on every
reward, if the arm changes rarely?

Algorithm
---------
`bounds.mussi2023_learners.play_blocks`: h^ and the arm are computed anew only when det V > (1 + C)
det V at the last time. With q_t = g^T x_t, zeta_t = eta_t + g^T eps_t and the identity of
`bounds.mussi2023`, from rest,

    V (h^ - h) = -lambda h + sum u_s zeta_s - u_t q_{t+1}
                 + sum over switches (u_s - u_{s-1}) q_s.

Guarantee
---------
With probability at least 1 - 2 delta, ||h^ - h||_V <= beta at all times, for

    beta = Q [sum over switches ||u_s - u_{s-1}||_{V^-1} + ||u_t||_{V^-1}] + c2 sqrt(lambda)
           + sqrt(2 sigma^2 (1 + G^2) [log(1/delta) + log(det V / lambda^d) / 2]),
    Q = G Phi [B U / (1 - rho) + sigma sqrt(2 log(2 (T + 1) / delta) / (1 - rho^2))]:       (1)

zeta_t has the variance proxy sigma^2 (1 + ||g||^2), and |q_t| <= Q for all t <= T + 1 with
probability 1 - delta. While h stays in the sets,

    sum (J* - <h, u_t>) <= sum over blocks of k min(D, 2 beta w),                           (2)

w = ||u||_{V^-1} at the start of the block. Inside a block det V grows by at most 1 + C, so w is at
most sqrt(1 + C) times the width of the moment, and

    regret <= max(D, 2 sqrt(1 + C) beta') sqrt(2 d T log(1 + T U^2 / (d lambda))),          (3)

where beta' bounds every beta that was used: with at most N = (d / log(1 + C)) log(1 + T U^2 /
(d lambda)) switches, beta' replaces the bracket of (1) by (2 N + 1) U / sqrt(lambda).

Cost
----
Logarithmic in T per draw.

Deviations
----------
Derived here; the paper has no such algorithm. beta is not monotone, since the switch terms
shrink, so (3) needs the largest beta and not the last.

References
----------
mussi2023 for the setting; abbasi2011, lemma 12 and theorem 4, for rare switching.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.dynamical_bandits import Constants, System, synthetic
from bounds.mussi2023_learners import play_blocks
from bounds.mussi2023_regret import HYPOTHESES, worst_gap
from bounds.mussi2023_setting import broken_of, case_of, draw_system, scalar_system
from bounds.random_models import FEW
from bounds.theorem import Entry, Scale, Theorem
from bounds.verdict import Outcome


def draw_blocks(case: Case, rng: np.random.Generator) -> Case:
    """Return the case with "run": one run of RS-DynLin, C = 1."""
    return case.with_values(
        {"run": play_blocks(case["system"], case["constants"], case["rounds"], rng)}
    )


def _logarithm(system: System, c: Constants, rounds: int) -> float:
    return system.d * math.log(1.0 + rounds * c.U**2 / (system.d * c.ridge))


def switching_bound(system: System, c: Constants, rounds: int, C: float = 1.0) -> float:
    """Return (3), from the constants alone.

    Parameters
    ----------
    system : System
        Supplies d and D.
    c : Constants
        What the learner is told.
    rounds : int
        T.
    C : float
        det V grows by 1 + C between two looks.

    Returns
    -------
    float
        Bound on the sum of the gaps, on the event that the sets hold.

    Examples
    --------
    >>> c = Constants.of(synthetic(), rho=0.2)
    >>> [f"{switching_bound(synthetic(), c, T) / T:.2g}" for T in (10**6, 10**10)]
    ['2.8', '0.062']
    """
    logdet = _logarithm(system, c, rounds)
    N = logdet / math.log1p(C)
    edge = c.state_worth(rounds) * (2.0 * N + 1.0) * c.U / math.sqrt(c.ridge)
    beta = edge + c.c2 * math.sqrt(c.ridge) + c.martingale(c.sigma**2 * (1.0 + c.G**2), logdet)
    widest = max(float(system.gaps.max()), 2.0 * math.sqrt(1.0 + C) * beta)
    return widest * math.sqrt(2.0 * rounds * logdet)  # (3)


def _random(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    yield case_of(synthetic(), 10_000, "the paper's synthetic system")
    for i in range(FEW[scale] // 2):
        n, d = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        system = draw_system(rng, n, d, sigma=0.3, rho=float(rng.uniform(0.1, 0.9)))
        yield case_of(system, 3000, f"random {i}")


def _persistent(ridge: float = 0.1, rounds: int = 60) -> Case:
    """Return a case of one arm whose effect comes late: rewards lack what is in the state."""
    rho = 0.9
    system = scalar_system(rho, sigma=1e-4, arms=(1.0,))
    case = case_of(system, rounds, "one arm, rho = 0.9")
    return case.with_values({"constants": Constants.of(system, rho=rho, ridge=ridge)})


def _easy(rounds: int = 1000) -> Case:
    """Return a case where the worse arm comes first, and almost everything is known."""
    system = scalar_system(0.05, b=0.02, theta=1.0, sigma=1e-3, arms=(-1.0, 1.0))
    case = case_of(system, rounds, "one dimension, the worse arm first")
    return case.with_values({"constants": Constants.of(system, rho=0.05, ridge=1.0)})


_set = Theorem(
    id="mussi2023:switching_set",
    statement=r"With every reward used, $\|\hat h - h\|_V \le Q (\sum \|u_s - u_{s-1}\|_{V^{-1}} "
    r"+ \|u_t\|_{V^{-1}}) + c_2 \sqrt{\lambda} + \sqrt{2 \sigma^2 (1 + G^2) (\log(1 / \delta) "
    r"+ \log(\mathrm{det} V / \lambda^d) / 2)}$ at all times, the sum over switches",
    source="Derived: RS-DynLin",
    kind="high_probability",
    hypotheses=HYPOTHESES,
    lhs=lambda case: case["run"].error[1:],
    rhs=lambda case: case["run"].beta[1:],  # (1)
    sample=draw_blocks,
    delta=lambda case: 2.0 * case["constants"].delta,
)
SWITCHING_SET = Entry(
    theorem=_set,
    instances=_random,
    tight=lambda: _persistent(),
    tightness=0.8,
    mutant=_set.mutant(
        statement="what is still in the state is ignored", rhs=lambda case: case["run"].steady[1:]
    ),
    broken=lambda: broken_of(_persistent(), HYPOTHESES),
)

_certificate = Theorem(
    id="mussi2023:switching_certificate",
    statement=r"$\sum_t (J^* - \langle h, u_t\rangle) \le \sum k \min(D, 2 \beta w)$ over the "
    "blocks of RS-DynLin",
    source="Derived: RS-DynLin",
    kind="high_probability",
    hypotheses=HYPOTHESES,
    lhs=lambda case: case["run"].regret,
    rhs=lambda case: case["run"].certificate(worst_gap(case)),  # (2)
    sample=draw_blocks,
    delta=lambda case: 2.0 * case["constants"].delta,
)
SWITCHING_CERTIFICATE = Entry(
    theorem=_certificate,
    instances=_random,
    tight=lambda: _easy(30),
    tightness=0.1,
    mutant=_certificate.mutant(
        statement="a block counts once, however long",
        rhs=lambda case: float(
            np.minimum(worst_gap(case), 2.0 * case["run"].beta[:-1] * case["run"].width).sum()
        ),
    ),
    broken=lambda: broken_of(_easy(30), HYPOTHESES),
    witness=lambda: case_of(replace(synthetic(), sigma=0.1), 3000, "synthetic, sigma = 0.1"),
)

_bound = Theorem(
    id="mussi2023:switching_bound",
    statement=r"RS-DynLin: $\sum_t (J^* - \langle h, u_t\rangle) \le "
    r"\max(D, 2 \sqrt{1 + C} \beta') \sqrt{2 d T \log(1 + T U^2 / (d \lambda))}$",
    source="Derived: RS-DynLin",
    kind="high_probability",
    hypotheses=HYPOTHESES,
    lhs=lambda case: case["run"].regret,
    rhs=lambda case: switching_bound(case["system"], case["constants"], case["rounds"]),
    trivial=lambda case: case["rounds"] * worst_gap(case),
    sample=draw_blocks,
    delta=lambda case: 2.0 * case["constants"].delta,
)
SWITCHING_BOUND = Entry(
    theorem=_bound,
    instances=_random,
    tight=_easy,
    tightness=0.001,
    mutant=_bound.mutant(
        statement="logarithmic in T, whatever the gaps",
        rhs=lambda case: (
            worst_gap(case) * _logarithm(case["system"], case["constants"], case["rounds"])
        ),
    ),
    broken=lambda: broken_of(_easy(), HYPOTHESES),
    witness=lambda: case_of(replace(synthetic(), sigma=0.1), 3000, "synthetic, sigma = 0.1"),
    expected=Outcome.VACUOUS,
)
