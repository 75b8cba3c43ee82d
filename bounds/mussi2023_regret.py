r"""Regret of the epoch learner: certified along the run, and bounded beforehand.

Problem
-------
How much less than T J* does an optimistic learner earn whose confidence sets hold?

Algorithm
---------
`bounds.mussi2023_learners.play_epochs`; u_m maximises <h^, u> + beta_m ||u||_{V^-1}.

Guarantee
---------
Let w_m = ||u_m||_{V^-1}, L_m = 1 + H_m, D = J* - min_U <h, u>, and M the epochs begun in T rounds.
While h stays in the sets,

    sum over t of (J* - <h, u_t>) <= CERT = sum_m L_m min(D, 2 beta_m w_m),                 (1)

since <h, u*> is at most the index of u*, so that of u_m, and <h, u_m> is at least the index minus
2 beta_m w_m. With sum L_m^2 <= L_M T, sum min(1, w_m^2) <= 2 log(det V / lambda^d), and
Cauchy-Schwarz,

    CERT <= max(D, 2 beta_M) sqrt(2 d L_M T log(1 + M U^2 / (d lambda))),                   (2)

where beta_M is bounded beforehand by log(det V / lambda^d) <= d log(1 + M U^2 / (d lambda)). So for
failures of probability delta' in all,

    E R(T) <= (2) + delta' T D + 2 G X,                                                     (3)

which is O~(d sqrt(T) / (1 - rho)^{3/2}) in the paper.

Cost
----
One run per draw.

Deviations
----------
(2) and (3) are derived; the paper gives the order. On the paper's synthetic system (2) is vacuous
for a million rounds with the radius, the schedule and the X of its code (1.17 T D), and says
something from 50 000 rounds on with the certified radius and H rounded up (0.29 T D for a million).
(1) is far below it.

References
----------
mussi2023, theorem 3.2; abbasi2011, lemma 11.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.dynamical_bandits import Constants, System, synthetic
from bounds.mussi2023_confidence import draw_run, learner_case
from bounds.mussi2023_learners import Radius, Rounding, bias_sums, n_epochs, patience, radius
from bounds.mussi2023_setting import (
    DELTA,
    GROWTH,
    NORMS,
    RIDGE,
    ROUNDS,
    SCALE,
    STABLE,
    broken_of,
    draw_system,
    scalar_system,
)
from bounds.random_models import FEW
from bounds.theorem import Entry, Scale, Theorem
from bounds.verdict import Outcome

HYPOTHESES = (STABLE, GROWTH, NORMS, SCALE, DELTA, RIDGE, ROUNDS)


def worst_gap(case: Case) -> float:
    """Return D."""
    return float(case["system"].gaps.max())


def regret_bound(
    system: System, c: Constants, rounds: int, kind: Radius, rounding: Rounding
) -> float:
    """Return (2), from the constants alone.

    Parameters
    ----------
    system : System
        Supplies d and D.
    c : Constants
        What the learner is told.
    rounds : int
        T.
    kind : {"certified", "paper", "unbiased"}
        The radius.
    rounding : {"floor", "ceil"}
        The schedule.

    Returns
    -------
    float
        Bound on the sum of the gaps, on the event that the sets hold.

    Examples
    --------
    >>> from dataclasses import replace
    >>> system, T = synthetic(), 1_000_000
    >>> c = Constants.of(system, rho=0.2, delta=1 / T, ridge=math.log(T))
    >>> c = replace(c, X=c.U / (1 - c.rho))
    >>> f"{regret_bound(system, c, T, 'paper', 'floor'):.3g}"
    '5.27e+05'
    """
    d, M = system.d, n_epochs(rounds, c.rho, rounding)
    logdet = d * math.log(1.0 + M * c.U**2 / (d * c.ridge))
    S1, S2 = bias_sums(M, c.rho, rounding)
    beta = radius(kind, c, d, rounds, rounds, S1, S2, logdet)
    length = 1 + patience(M, c.rho, rounding)
    widest = max(float(system.gaps.max()), 2.0 * beta)
    return widest * math.sqrt(2.0 * length * rounds * logdet)  # (2)


def _bound(case: Case) -> float:
    kind, rounding = case["radius"], case["rounding"]
    return regret_bound(case["system"], case["constants"], case["rounds"], kind, rounding)


def _noise_alone(case: Case) -> float:
    """Return (2) with the radius of the noise alone, and nothing for D."""
    system, c, T = case["system"], case["constants"], case["rounds"]
    M = n_epochs(T, c.rho, case["rounding"])
    logdet = system.d * math.log(1.0 + M * c.U**2 / (system.d * c.ridge))
    length = 1 + patience(M, c.rho, case["rounding"])
    return 2.0 * c.martingale(c.s2, logdet) * math.sqrt(2.0 * length * T * logdet)


def expected_regret_bound(
    system: System, c: Constants, rounds: int, kind: Radius, rounding: Rounding
) -> float:
    """Return (3): a bound on T J* - E sum y_t; arguments as for `regret_bound`.

    Examples
    --------
    >>> c = Constants.of(synthetic(), rho=0.2, delta=1e-4)
    >>> bound = expected_regret_bound(synthetic(), c, 10_000, "certified", "ceil")
    >>> bound > regret_bound(synthetic(), c, 10_000, "certified", "ceil")
    True
    """
    failure = c.delta * (1 if kind == "paper" else 2) * rounds * float(system.gaps.max())
    still = c.Phi * c.B * c.U / (1.0 - c.rho)  # bound on the expected state
    return regret_bound(system, c, rounds, kind, rounding) + failure + 2.0 * c.G * still  # (3)


def _random(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    yield learner_case(synthetic(), 100, "the paper's synthetic system")
    for i in range(FEW[scale] // 2):
        n, d = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        system = draw_system(rng, n, d, sigma=0.1, rho=float(rng.uniform(0.5, 0.8)))
        yield learner_case(system, 100, f"random {i}")


def _easy(rounds: int = 120) -> Case:
    """Return a case where the worse arm comes first, and almost everything is known."""
    system = scalar_system(0.05, b=0.02, theta=1.0, sigma=1e-3, arms=(-1.0, 1.0))
    case = learner_case(system, rounds, "one dimension, the worse arm first")
    c = Constants.of(system, rho=0.05, ridge=0.01)
    return case.with_values({"constants": c})


def _slow() -> Case:
    """Return a case of long epochs, and a longer arm that is a little worse in the end."""
    rho = 0.9
    system = System(
        np.array([[rho]]),
        np.array([[0.0, 0.3]]),
        np.ones(1),
        np.array([0.3, 0.3]),
        np.array([[1.0, 0.0], [0.0, 0.95]]),
        0.05,
    )
    case = learner_case(system, 300, "long epochs")
    return case.with_values({"constants": Constants.of(system, rho=rho)})


_certificate = Theorem(
    id="mussi2023:certificate",
    statement=r"$\sum_t (J^* - \langle h, u_t\rangle) \le \sum_m L_m \min(D, 2 \beta_m w_m)$",
    source="Derived; within the proof of theorem 3.2",
    kind="high_probability",
    hypotheses=HYPOTHESES,
    lhs=lambda case: case["run"].regret,
    rhs=lambda case: case["run"].certificate(worst_gap(case)),  # (1)
    sample=draw_run,
    delta=lambda case: 2.0 * case["constants"].delta,
)
_beforehand = Theorem(
    id="mussi2023:regret_bound",
    statement=r"$\sum_t (J^* - \langle h, u_t\rangle) \le \max(D, 2 \beta_M) "
    r"\sqrt{2 d L_M T \log(1 + M U^2 / (d \lambda))}$",
    source="Theorem 3.2; constants derived",
    kind="high_probability",
    hypotheses=HYPOTHESES,
    lhs=lambda case: case["run"].regret,
    rhs=_bound,
    trivial=lambda case: case["rounds"] * worst_gap(case),
    sample=draw_run,
    delta=lambda case: 2.0 * case["constants"].delta,
)


def _vacuous(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    yield from _random(rng, scale)
    T = 10_000
    pairs: tuple[tuple[Radius, Rounding], ...] = (("certified", "ceil"), ("paper", "floor"))
    for kind, rounding in pairs:
        case = learner_case(
            synthetic(), T, f"synthetic, {T} rounds, {kind}", kind=kind, rounding=rounding
        )
        ridge = math.log(T) if kind == "paper" else 1.0
        known = replace(Constants.of(synthetic(), rho=0.2), delta=1.0 / T, ridge=ridge)
        yield case.with_values({"constants": replace(known, X=known.U / (1.0 - known.rho))})


CERTIFICATE = Entry(
    theorem=_certificate,
    instances=_random,
    tight=lambda: _easy(30),
    tightness=0.3,
    mutant=_certificate.mutant(
        statement="an epoch counts once, however long",
        rhs=lambda case: float(
            np.minimum(worst_gap(case), 2.0 * case["run"].beta * case["run"].width).sum()
        ),
    ),
    broken=lambda: broken_of(_easy(30), HYPOTHESES),
    witness=_slow,
)
REGRET_BOUND = Entry(
    theorem=_beforehand,
    instances=_vacuous,
    tight=_easy,
    tightness=0.01,
    mutant=_beforehand.mutant(statement="the radius of the noise alone", rhs=_noise_alone),
    broken=lambda: broken_of(_easy(), HYPOTHESES),
    expected=Outcome.VACUOUS,
)
