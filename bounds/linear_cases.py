"""Cases of offline robust learning: random ones, crafted ones, and ways to break them.

A case holds the problem, the adversary, the data and what the learner made of them, so both sides
of a theorem read the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.linear_certificates import needed_radius
from bounds.linear_learners import Target, r2pvi
from bounds.linear_problem import Plan, Problem, draw_counts, random_problem, robust_plan
from bounds.model import Array
from bounds.robust_inner import DIVERGENCES, Ambiguity, Mode
from bounds.theorem import Hypothesis

EPS = 1e-10


def features_ok(problem: Problem) -> bool:
    """Tell whether the features lie in the simplex."""
    sums = problem.phi.sum(-1)
    return bool((problem.phi >= 0).all() and (np.abs(sums - 1.0) < EPS).all())


def factors_ok(problem: Problem) -> bool:
    """Tell whether the factors are distributions."""
    return bool((problem.mu >= 0).all() and (np.abs(problem.mu.sum(-1) - 1.0) < EPS).all())


def rewards_ok(problem: Problem) -> bool:
    """Tell whether rewards lie in [0, 1]."""
    rewards = problem.phi @ problem.theta.T
    return bool((rewards >= -EPS).all() and (rewards <= 1.0 + EPS).all())


FEATURES = Hypothesis(
    "features",
    "features are non-negative and sum to one",
    lambda case: features_ok(case["problem"]),
)
FACTORS = Hypothesis(
    "factors", "each factor is a probability distribution", lambda case: factors_ok(case["problem"])
)
REWARDS = Hypothesis("rewards", "rewards lie in [0, 1]", lambda case: rewards_ok(case["problem"]))
PENALTY = Hypothesis(
    "penalty",
    "deviating from the nominal law costs lambda > 0 per unit",
    lambda case: case["ambiguity"].mode == "penalty" and case["ambiguity"].strength > 0,
)
BALL = Hypothesis(
    "ball",
    "the adversary has a total variation ball of radius 0 < rho <= 1",
    lambda case: (
        case["ambiguity"].mode == "ball"
        and case["ambiguity"].divergence == "tv"
        and 0 < case["ambiguity"].strength <= 1
    ),
)
EVENT = Hypothesis(
    "event",
    "beta covers the errors: |R(mu_hi, Vhat_{h+1}) - w_hi| <= beta sigma_hi for all h, i",
    lambda case: (
        needed_radius(case["problem"], case["learned"], case["ambiguity"])
        <= case["beta"] * (1.0 + EPS)
    ),
)
TRAJECTORIES = Hypothesis("n", "there is a trajectory: K >= 1", lambda case: case["n"] >= 1)
DELTA = Hypothesis("delta", "0 < delta < 1", lambda case: bool(0 < case["delta"] < 1))
SETTING = (FEATURES, FACTORS, REWARDS)


def learn(case: Case, beta: float) -> Case:
    """Return the case with what R2PVI or DRPVI makes of its data at the given multiplier."""
    target: Target = "paper" if case["paper_target"] else "shrink_to_one"
    learned = r2pvi(case["problem"], case["counts"], case["ambiguity"], beta, target=target)
    return case.with_values({"learned": learned, "beta": beta})


def plan(case: Case) -> Plan:
    """Return the optimal robust plan of the true problem, kept as "best" by some cases."""
    if "best" in case.values:
        return case["best"]
    return robust_plan(case["problem"], case["ambiguity"])


def offline_case(
    problem: Problem,
    ambiguity: Ambiguity,
    counts: Array,
    beta: float,
    label: str,
    *,
    paper_target: bool = False,
) -> Case:
    """Return a case whose learner has run.

    Parameters
    ----------
    problem : Problem
        The truth.
    ambiguity : Ambiguity
        The adversary.
    counts : (H, S, A, S) array
        The data.
    beta : float
        Multiplier of the bonus.
    label : str
        Name of the case.
    paper_target : bool
        For "kl": regress exp(-V / lambda) itself instead of its distance from one.

    Returns
    -------
    Case
        Values problem, ambiguity, counts, beta, learned, paper_target.
    """
    values = {
        "problem": problem,
        "ambiguity": ambiguity,
        "counts": counts,
        "paper_target": paper_target,
    }
    return learn(Case(values, label), beta)


def covered_cases(rng: np.random.Generator, count: int, mode: Mode = "penalty") -> Iterator[Case]:
    """Draw cases whose multiplier covers the errors of their estimates.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    count : int
        Number of cases.
    mode : {"penalty", "ball"}
        Kind of adversary.

    Yields
    ------
    Case
        With beta found by repeated learning: estimates change with beta, so it is raised until
        the errors of its own estimates are covered.
    """
    for i in range(count):
        name = DIVERGENCES[i % 3] if mode == "penalty" else "tv"
        problem = random_problem(rng, fails=bool(i % 2))
        strength = float(10.0 ** rng.uniform(-1, 1)) if mode == "penalty" else float(rng.random())
        behaviour = rng.dirichlet(np.ones(problem.shape[2]), problem.shape[1])
        counts = draw_counts(problem, behaviour, int(10.0 ** rng.uniform(1, 5)), rng)
        case = offline_case(problem, Ambiguity(name, mode, strength), counts, 0.0, f"random {i}")
        yield covered(case)


def covered(case: Case) -> Case:
    """Return the case with the multiplier raised until it covers the errors."""
    for _ in range(200):
        needed = needed_radius(case["problem"], case["learned"], case["ambiguity"])
        if needed <= case["beta"]:
            return case
        case = learn(case, 1.02 * needed)
    raise RuntimeError(f"{case.label}: no multiplier covers its own errors")


def choice_problem(doubtful: float, safe: float, *, theta_stay: float = 0.0) -> Problem:
    """Return two steps, one choice: state 0 offers two lotteries over a good and a bad state.

    Parameters
    ----------
    doubtful, safe : float
        Probabilities of the good state, which pays one in the second step.
    theta_stay : float
        Reward of the safe action in the second step, for trajectories that are still in state 0.

    Returns
    -------
    Problem
        One-hot features: doubtful, safe, good, bad.
    """
    phi = np.zeros((3, 2, 4))
    phi[0, 0, 0] = phi[0, 1, 1] = 1.0
    phi[1, :, 2] = phi[2, :, 3] = 1.0
    theta = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, theta_stay, 1.0, 0.0]])
    first = [[0, doubtful, 1 - doubtful], [0, safe, 1 - safe], [0, 0, 1], [0, 0, 1]]
    return Problem(phi, theta, np.array([first, [[0, 0, 1.0]] * 4]))


def choice_counts(doubtful: tuple[int, int], safe: tuple[int, int], later: tuple[int, int, int]):
    """Return data for `choice_problem`.

    Parameters
    ----------
    doubtful, safe : (int, int)
        How often each lottery led to the good and the bad state.
    later : (int, int, int)
        How often each state was seen in the second step, shared by both actions.

    Returns
    -------
    (2, 3, 2, 3) int64
        Counts.
    """
    counts = np.zeros((2, 3, 2, 3), dtype=np.int64)
    counts[0, 0, 0, 1:], counts[0, 0, 1, 1:] = doubtful, safe
    counts[1, :, :, 2] = np.array(later)[:, None] // 2
    return counts


def broken_setting(case: Case) -> dict[str, Case]:
    """Return a case per hypothesis of `SETTING` in which only that one and later ones fail."""
    problem: Problem = case["problem"]
    theta = problem.theta.copy()
    theta[-1] += 1.5
    changes = {
        "features": replace(problem, phi=problem.phi * 1.5),
        "factors": replace(problem, mu=problem.mu * 0.5),
        "rewards": replace(problem, theta=theta),
    }
    return {name: case.with_values({"problem": changed}) for name, changed in changes.items()}


def broken_penalty(case: Case) -> dict[str, Case]:
    """Return broken cases for `SETTING` and `PENALTY`."""
    ball = replace(case["ambiguity"], mode="ball")
    return broken_setting(case) | {"penalty": case.with_values({"ambiguity": ball})}
