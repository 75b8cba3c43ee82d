r"""The multiplier of theory covers the errors of R2PVI, and so does a calibrated one.

Problem
-------
R2PVI runs on K trajectories with some multiplier. The largest error of its estimates, measured in
widths, is beta_emp. How often is beta_emp at most the multiplier of theory?

Algorithm
---------
`bounds.linear_learners.r2pvi`, with the regression target of the paper.

Guarantee
---------
With ridge 1 and the radii listed in `bounds.linear_certificates`, with probability at least
1 - delta,

    beta_emp <= beta.                                                                      (1)

Calibrated multiplier: on N data sets drawn from the known problem, k were covered. If

    L(k, N) >= 1 - delta, L the lower Clopper-Pearson limit at confidence 1 - 1e-9,           (2)

then a fresh data set is covered with probability at least 1 - delta, unless the N data sets were
drawn with luck of probability 1e-9.

Cost
----
n_runs data sets.

Deviations
----------
The proof of (1) is uniform over value functions of the shape that the learner produces with
multipliers between 0 and beta, so the event is observed for the multipliers 0 and 1: with the one
of theory Vhat vanishes at sizes one can compute and there is nothing to estimate. (1) is loose by
three orders of magnitude and more.

References
----------
tang2025, theorem 5.2; Clopper and Pearson (1934), Biometrika 26, 404-413.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

import numpy as np

from bounds.case import Case
from bounds.linear_cases import (
    DELTA,
    PENALTY,
    SETTING,
    TRAJECTORIES,
    broken_penalty,
    choice_problem,
    learn,
    offline_case,
)
from bounds.linear_certificates import needed_radius, theory_radius
from bounds.linear_problem import Problem, draw_counts, random_problem
from bounds.random_models import FEW
from bounds.robust_inner import Ambiguity, Divergence
from bounds.theorem import Entry, Hypothesis, Scale, Theorem
from mdplib.statistics import clopper_pearson

LUCK = 1e-9


def radius(case: Case) -> float:
    """Return the multiplier of theory for the case."""
    H, _, _, d = case["problem"].shape
    ambiguity = case["ambiguity"]
    return theory_radius(
        ambiguity.divergence,
        horizon=H,
        dimension=d,
        n=case["n"],
        delta=case["delta"],
        strength=ambiguity.strength,
    )


def sampled_case(
    problem: Problem,
    ambiguity: Ambiguity,
    behaviour: np.ndarray,
    n: int,
    delta: float,
    label: str,
    *,
    beta: float = 1.0,
) -> Case:
    """Return a case that `draw` fills with data; until then it holds those of seed 0.

    Parameters
    ----------
    problem : Problem
        The truth.
    ambiguity : Ambiguity
        The adversary.
    behaviour : (S, A) float64
        Probabilities of the actions.
    n : int
        Number of trajectories K.
    delta : float
        Allowed failure probability.
    label : str
        Name of the case.
    beta : float
        Multiplier with which the learner runs.

    Returns
    -------
    Case
        Values of `offline_case`, and behaviour, n, delta.
    """
    counts = draw_counts(problem, behaviour, n, np.random.default_rng(0))
    case = offline_case(problem, ambiguity, counts, beta, label, paper_target=True)
    return case.with_values({"behaviour": behaviour, "n": n, "delta": delta})


def draw(case: Case, rng: np.random.Generator) -> Case:
    """Return the case with fresh data and what the learner makes of them."""
    counts = draw_counts(case["problem"], case["behaviour"], case["n"], rng)
    return learn(case.with_values({"counts": counts}), case["beta"])


def beta_emp(case: Case) -> float:
    """Return the multiplier that the data at hand would have needed."""
    return needed_radius(case["problem"], case["learned"], case["ambiguity"])


def _largest_needed(case: Case) -> float:
    return max(beta_emp(case), beta_emp(learn(case, 0.0)))


def _uniform(problem: Problem) -> np.ndarray:
    _, S, A, _ = problem.shape
    return np.full((S, A), 1.0 / A)


def broken_sampling(case: Case) -> dict[str, Case]:
    """Return broken cases for the hypotheses of the high-probability statements."""
    return broken_penalty(case) | {
        "n": case.with_values({"n": 0}),
        "delta": case.with_values({"delta": 0.0}),
    }


def _instances(name: Divergence) -> Callable[[np.random.Generator, Scale], Iterator[Case]]:
    def draws(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
        for i in range(FEW[scale]):
            problem = random_problem(rng, fails=bool(i % 2))
            ambiguity = Ambiguity(name, "penalty", float(rng.choice([0.5, 1.0, 3.0])))
            n = int(10.0 ** rng.uniform(1.5, 4.0))
            yield sampled_case(problem, ambiguity, _uniform(problem), n, 0.05, f"random {i}")

    return draws


def long_case() -> Case:
    """Six steps that each pay one, whatever happens, and eight trajectories."""
    H = 6
    problem = Problem(np.ones((1, 1, 1)), np.ones((H, 1)), np.ones((H, 1, 1)))
    return sampled_case(
        problem, Ambiguity("tv", "penalty", 20.0), np.ones((1, 1)), 8, 0.05, "six sure steps"
    )


def rare_case(name: Divergence, strength: float, n: int) -> Case:
    """Return a case where a cheap adversary lives on a successor that the data seldom show."""
    problem = choice_problem(1.0 - 0.4 / n, 0.5)
    behaviour = np.array([[0.999, 0.001], [0.5, 0.5], [0.5, 0.5]])
    ambiguity = Ambiguity(name, "penalty", strength)
    return sampled_case(problem, ambiguity, behaviour, n, 0.05, "rare successor")


def even_case(name: Divergence, strength: float) -> Case:
    """Two lotteries and ten trajectories."""
    problem, even = choice_problem(0.9, 0.5), np.full((3, 2), 0.5)
    return sampled_case(
        problem, Ambiguity(name, "penalty", strength), even, 10, 0.05, "two lotteries"
    )


def _event(
    name: Divergence,
    tight: Callable[[], Case],
    tightness: float,
    mutant: Callable[[Case], float],
    how: str,
    witness: Callable[[], Case],
    formula: str,
) -> Entry:
    theorem = Theorem(
        id=f"tang2025:confidence_{name}",
        statement=r"With probability at least $1 - \delta$, for all $h, i$, "
        r"$|R_\lambda(\mu_{h,i}, \hat V_{h+1}) - w_{h,i}| \le \beta \sigma_{h,i}$ with "
        rf"$\beta = {formula}$",
        source="Theorem 5.2, its confidence event",
        kind="high_probability",
        hypotheses=(*SETTING, PENALTY, TRAJECTORIES, DELTA),
        lhs=_largest_needed,
        rhs=radius,  # (1)
        sample=draw,
        delta=lambda case: case["delta"],
    )
    return Entry(
        theorem=theorem,
        instances=_instances(name),
        tight=tight,
        tightness=tightness,
        mutant=theorem.mutant(statement=how, rhs=mutant),
        broken=lambda: broken_sampling(tight()),
        witness=witness,
    )


def _without_exponential(case: Case) -> float:
    H = case["problem"].shape[0]
    return radius(case) * float(np.exp(-H / case["ambiguity"].strength))


def _without_inverse(case: Case) -> float:
    H, _, _, d = case["problem"].shape
    size = {"horizon": H, "dimension": d, "n": case["n"], "delta": case["delta"]}
    return theory_radius("chi2", strength=1e9, **size)


CONFIDENCE_TV = _event(
    "tv",
    long_case,
    1e-3,
    lambda case: 1.0,
    "a multiplier of one, however many steps",
    long_case,
    r"16 H d \sqrt{2 \log(1024 H \sqrt{d} K^2 / \delta)}",
)
CONFIDENCE_KL = _event(
    "kl",
    lambda: even_case("kl", 1.0),
    1e-4,
    _without_exponential,
    "the factor exp(H / lambda) dropped",
    lambda: rare_case("kl", 0.05, 10**5),
    r"16 d \lambda e^{H/\lambda} \sqrt{H/\lambda + \log(1024 d \lambda^2 K^3 H / \delta)}",
)
CONFIDENCE_CHI2 = _event(
    "chi2",
    lambda: even_case("chi2", 2.0),
    1e-3,
    _without_inverse,
    "the factor 1 + 1 / lambda dropped",
    lambda: rare_case("chi2", 2e-10, 10**9),
    r"8 d H^2 (1 + 1/\lambda) \sqrt{\log(192 K^5 H^6 d^3 (1 + H/(2\lambda))^3 / \delta)}",
)


def calibration(case: Case, n_sets: int, rng: np.random.Generator) -> Mapping[str, int]:
    """Return how many of `n_sets` fresh data sets the multiplier of a case covers.

    Parameters
    ----------
    case : Case
        Made by `sampled_case`.
    n_sets : int
        Number of data sets N.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict
        n_sets and n_covered.
    """
    covered = sum(beta_emp(draw(case, rng)) <= case["beta"] for _ in range(n_sets))
    return {"n_sets": n_sets, "n_covered": covered}


def _calibrated(case: Case) -> bool:
    k, n = case["n_covered"], case["n_sets"]
    limit = clopper_pearson(k, n, 1.0 - LUCK, side="lower").low
    return bool(limit >= 1.0 - case["delta"])  # (2)


def _calibrated_case(problem: Problem, ambiguity: Ambiguity, n: int, label: str) -> Case:
    """Raise the multiplier until all of 150 data sets are covered."""
    case = sampled_case(problem, ambiguity, _uniform(problem), n, 0.2, label, beta=0.5)
    for attempt in range(60):
        found = calibration(case, 150, np.random.default_rng([7, attempt]))
        case = case.with_values(found)
        if found["n_covered"] == found["n_sets"]:
            return case
        case = case.with_values({"beta": 1.3 * case["beta"]})
    raise RuntimeError(f"{label}: no multiplier covers every data set")


def _calibrated_instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(FEW[scale]):
        name: Divergence = ("tv", "kl")[i % 2]
        problem = random_problem(rng, dimension=2, fails=bool(i % 2))
        yield _calibrated_case(problem, Ambiguity(name, "penalty", 1.0), 200, f"random {i}")


@cache
def _calibrated_tight() -> Case:
    problem = choice_problem(0.7, 0.4, theta_stay=0.5)
    return _calibrated_case(problem, Ambiguity("tv", "penalty", 2.0), 200, "two lotteries")


def _with_less(case: Case) -> float:
    return beta_emp(learn(case, 0.3 * case["beta"])) / 0.3


_calibration = Theorem(
    id="mdplib:calibrated_multiplier",
    statement=r"If $k$ of $N$ simulated data sets are covered by $\beta$ and the lower "
    r"Clopper-Pearson limit of $k / N$ is at least $1 - \delta$, then a fresh data set is covered "
    r"with probability at least $1 - \delta$",
    source="Guarantee of the module",
    kind="high_probability",
    hypotheses=(
        *SETTING,
        PENALTY,
        TRAJECTORIES,
        DELTA,
        Hypothesis("calibrated", "enough simulated data sets are covered", _calibrated),
    ),
    lhs=beta_emp,
    rhs=lambda case: case["beta"],
    sample=draw,
    delta=lambda case: case["delta"],
)
CALIBRATED_MULTIPLIER = Entry(
    theorem=_calibration,
    instances=_calibrated_instances,
    tight=_calibrated_tight,
    tightness=0.4,
    mutant=_calibration.mutant(statement="less than a third of the multiplier", lhs=_with_less),
    broken=lambda: (
        broken_sampling(_calibrated_tight())
        | {"calibrated": _calibrated_tight().with_values({"n_covered": 75})}
    ),
)
