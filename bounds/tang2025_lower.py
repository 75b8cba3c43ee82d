r"""What no learner can beat: two problems that the data hardly tell apart.

Problem
-------
State 0 offers a doubtful lottery, which leads to a bad state of value 0 with probability e and to a
good state of value v otherwise, and a sure one, of value g. The doubtful one was tried n times and
failed k times. In problem 0 its failures have probability e_0, in problem 1 e_1 > e_0; its robust
worth is f(e) = R_lambda((e, 1 - e), (0, v)), and g = (f(e_0) + f(e_1)) / 2 lies in the middle.

Algorithm
---------
Any learner: a rule that accepts or refuses the doubtful lottery given k.

Guarantee
---------
With B_j the binomial law of k in problem j, the mean loss over the two problems is at least

    (f(e_0) - f(e_1)) / 4 * (1 - TV(B_0, B_1)),                                             (1)

with equality for the likelihood ratio rule: a wrong choice costs (f(e_0) - f(e_1)) / 2 in either
problem. Take e_1 - e_0 = sqrt(e_1 (1 - e_1) / (2 n)). Then KL(B_0 || B_1) <= n (e_1 - e_0)^2 /
(e_1 (1 - e_1)) = 1/2, TV <= 1/2 by Pinsker, and f is convex (D is jointly convex), so f(e_0) -
f(e_1) >= |f'(e_1)| (e_1 - e_0). If all other pairs were seen at least n times, each of the two
steps has width at most 1 / sqrt(n), Phi <= 2 / sqrt(n) in both problems, and the mean loss is at
least

    c Phi / 2, c = |f'(e_1)| sqrt(e_1 (1 - e_1)) / (8 sqrt(2)),                              (2)

with |f'(e)| = min(v, lambda) for tv; lambda (1 - x) / (e + (1 - e) x), x = exp(-v / lambda), for
kl; v + (1 - 2 e) v^2 / (4 lambda) for chi2 if e v <= 2 lambda, otherwise lambda / e^2.      (3)

The worst law fails with probability 1 for tv if v > lambda, e / (e + (1 - e) x) for kl, and
e + e (1 - e) v / (2 lambda), at most 1, for chi2.                                           (4)

Cost
----
n + 1 runs of each learner: losses are exact sums over k.

Deviations
----------
The source bounds the minimax loss by an unspecified constant times Phi over 2^d problems; two
problems suffice for one factor, and give the constant.

References
----------
tang2025, theorem 6.1; the closed forms and (1) to (3) are derived here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bounds.case import Case
from bounds.linear_certificates import admissible_radii, largest_sum
from bounds.linear_learners import measures, pevi, r2pvi
from bounds.linear_problem import Problem, robust_plan
from bounds.model import Array
from bounds.random_models import COUNTS
from bounds.robust_inner import DIVERGENCES, Ambiguity, Divergence, penalty
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def worth(case: Case, e: float) -> float:
    """Return f(e), the robust worth of a lottery that fails with probability e."""
    law, V = np.array([e, 1.0 - e]), np.array([0.0, case["v"]])
    return float(penalty(case["divergence"], law, V, case["strength"]))


def hard_problem(case: Case, e: float) -> Problem:
    """Return the problem whose doubtful lottery fails with probability e.

    Parameters
    ----------
    case : Case
        Values divergence, strength, v, e0, e1.
    e : float
        Probability of the bad state.

    Returns
    -------
    Problem
        States start, bad, good, middle; one-hot features doubtful, sure, bad, good, middle.
    """
    phi = np.zeros((4, 2, 5))
    phi[0, 0, 0] = phi[0, 1, 1] = 1.0
    phi[1, :, 2] = phi[2, :, 3] = phi[3, :, 4] = 1.0
    middle = 0.5 * (worth(case, case["e0"]) + worth(case, case["e1"]))
    theta = np.array([[0.0] * 5, [0.0, 0.0, 0.0, case["v"], middle]])
    first = np.array([[0, e, 1 - e, 0], [0, 0, 0, 1]] + [[0, 1, 0, 0]] * 3)
    return Problem(phi, theta, np.array([first, [[0, 1.0, 0, 0]] * 5]))


def hard_counts(case: Case, k: int) -> Array:
    """Return data in which the doubtful lottery failed k times, (2, 4, 2, 4) int64."""
    counts = np.zeros((2, 4, 2, 4), dtype=np.int64)
    n, others = case["n"], case["others"]
    counts[0, 0, 0, 1:3] = k, n - k
    counts[0, 0, 1, 3] = others
    counts[:, 1:, :, 1] = counts[1, 0, :, 1] = others
    return counts


def accepted(case: Case) -> Array:
    """Return whether each learner accepts the doubtful lottery after k failures.

    Parameters
    ----------
    case : Case
        See `hard_problem`, and n, others, beta.

    Returns
    -------
    (5, n + 1) bool
        R2PVI without and with a bonus, DRPVI, PEVI, and the likelihood ratio rule.
    """
    problem, n = hard_problem(case, case["e0"]), case["n"]
    ambiguity = Ambiguity(case["divergence"], "penalty", case["strength"])
    inside, rows = Ambiguity("tv", "ball", 0.1), []
    for k in range(n + 1):
        data = hard_counts(case, k)
        learned = (
            r2pvi(problem, data, ambiguity, 0.0),
            r2pvi(problem, data, ambiguity, case["beta"]),
            r2pvi(problem, data, inside, case["beta"]),
            pevi(problem, data, case["beta"]),
        )
        rows.append([x.policy[0, 0] == 0 for x in learned])
    first, second = _laws(case)
    return np.vstack([np.array(rows).T, first > second])


def _laws(case: Case) -> Array:
    """Return the binomial laws of the number of failures in both problems, (2, n + 1)."""
    k, n = np.arange(case["n"] + 1), case["n"]
    ways = np.array([math.comb(n, int(j)) for j in k], dtype=np.float64)
    return np.array([ways * e**k * (1.0 - e) ** (n - k) for e in (case["e0"], case["e1"])])


def losses(case: Case, takes: Array) -> Array:
    """Return the mean loss over both problems of rules that accept or refuse.

    Parameters
    ----------
    case : Case
        See `hard_problem`.
    takes : (m, n + 1) bool
        Whether each of m rules accepts the doubtful lottery after k failures.

    Returns
    -------
    (m,) float64
        Exact sums over k, values from the exact plans.
    """
    ambiguity = Ambiguity(case["divergence"], "penalty", case["strength"])
    total = np.zeros(len(takes))
    for law, e in zip(_laws(case), (case["e0"], case["e1"]), strict=True):
        problem = hard_problem(case, e)
        worst = ambiguity.value(problem.mu[0], robust_plan(problem, ambiguity).V[1])[:2]
        loss = worst.max() - np.where(takes, worst[0], worst[1])
        total = total + 0.5 * loss @ law
    return total


def _losses(case: Case) -> Array:
    return losses(case, accepted(case))


def _two_point_bound(case: Case, share: float = 0.25) -> float:
    first, second = _laws(case)
    distance = 0.5 * float(np.abs(first - second).sum())
    gap = worth(case, case["e0"]) - worth(case, case["e1"])
    return share * gap * (1.0 - distance)  # (1)


def slope(name: Divergence, e: float, v: float, strength: float) -> float:
    """Return |f'(e)|, (3).

    Examples
    --------
    >>> [round(slope(D, 0.25, 1.0, 2.0), 6) for D in DIVERGENCES]
    [1.0, 1.116387, 1.0625]
    """
    if name == "tv":
        return min(v, strength)
    if name == "kl":
        x = math.exp(-v / strength)
        return strength * (1.0 - x) / (e + (1.0 - e) * x)
    if e * v <= 2.0 * strength:
        return v + (1.0 - 2.0 * e) * v**2 / (4.0 * strength)
    return strength / e**2  # (3)


def _widths(case: Case) -> float:
    """Return the larger Phi of the two problems."""
    ambiguity, found = Ambiguity(case["divergence"], "penalty", case["strength"]), 0.0
    for e in (case["e0"], case["e1"]):
        problem = hard_problem(case, e)
        best, data = robust_plan(problem, ambiguity), hard_counts(case, 0)
        sigma = [np.sqrt(np.diag(measures(problem.phi, c, 1.0)[1])) for c in data]
        gains = np.einsum("sai,hi->hsa", problem.phi, np.array(sigma))
        radii = admissible_radii(best.V, ambiguity.strength)
        total = largest_sum(problem, best.policy, gains, ambiguity.divergence, radii)
        found = max(found, float(total[0]))
    return found


def _width_bound(case: Case, share: float = 1.0) -> float:
    e = case["e1"]
    steep = slope(case["divergence"], e, case["v"], case["strength"])
    c = steep * math.sqrt(e * (1.0 - e)) / (8.0 * math.sqrt(2.0))
    return share * 0.5 * c * _widths(case)  # (2)


def hard_case(name: Divergence, strength: float, v: float, e: float, n: int, label: str) -> Case:
    """Return the two problems at the distance that n observations cannot bridge."""
    values = {
        "divergence": name,
        "strength": strength,
        "v": v,
        "e0": e - math.sqrt(e * (1.0 - e) / (2.0 * n)),
        "e1": e,
        "n": n,
        "others": 100 * n,
        "beta": 0.5,
    }
    return Case(values, label)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(COUNTS[scale]):
        strength, v = float(10.0 ** rng.uniform(-0.7, 0.7)), float(rng.uniform(0.3, 1.0))
        e, n = float(rng.uniform(0.1, 0.6)), int(rng.integers(10, 30))
        yield hard_case(DIVERGENCES[i % 3], strength, v, e, n, f"random {i}")


def _tight() -> Case:
    return hard_case("tv", 2.0, 1.0, 0.5, 10, "even odds, ten observations")


def _separated(case: Case) -> bool:
    e, wanted = case["e1"], case["e1"] - case["e0"]
    return bool(abs(wanted - math.sqrt(e * (1.0 - e) / (2.0 * case["n"]))) < 1e-9)


_LOTTERIES = (
    Hypothesis("strength", "0 < lambda < inf", lambda c: 0 < c["strength"] < np.inf),
    Hypothesis("v", "0 < v <= 1", lambda c: 0 < c["v"] <= 1),
    Hypothesis("e", "0 <= e_0 <= e_1 < 1", lambda c: 0 <= c["e0"] <= c["e1"] < 1),
    Hypothesis("n", "n >= 1", lambda c: c["n"] >= 1),
)


def _broken() -> dict[str, Case]:
    changes = {"strength": 0.0, "v": 2.0, "e0": 0.75, "n": 0}
    names = {"e0": "e"}
    return {names.get(k, k): _tight().with_values({k: x}) for k, x in changes.items()}


_two_point = Theorem(
    id="tang2025:two_problems",
    statement=r"The mean loss of any learner over the two problems is at least "
    r"$\frac{1}{4} (f(\epsilon_0) - f(\epsilon_1)) (1 - TV(B_0, B_1))$",
    source="Hard instance of theorem 6.1, by two points",
    kind="inequality",
    hypotheses=_LOTTERIES,
    lhs=_two_point_bound,
    rhs=_losses,
)
TWO_PROBLEMS = Entry(
    theorem=_two_point,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_two_point.mutant(
        statement="one half in place of one quarter", lhs=lambda case: _two_point_bound(case, 0.5)
    ),
    broken=_broken,
)

_lower = Theorem(
    id="tang2025:lower_bound",
    statement=r"For $\epsilon_1 - \epsilon_0 = \sqrt{\epsilon_1 (1 - \epsilon_1) / (2 n)}$ the "
    r"mean loss of any learner is at least $\frac{1}{16 \sqrt 2} |f'(\epsilon_1)| "
    r"\sqrt{\epsilon_1 (1 - \epsilon_1)} \Phi$",
    source="Theorem 6.1, with a constant",
    kind="inequality",
    hypotheses=(
        *_LOTTERIES,
        Hypothesis("others", "all other pairs were seen n times", lambda c: c["others"] >= c["n"]),
        Hypothesis("separation", "e_0 and e_1 are as far apart as stated", _separated),
    ),
    lhs=_width_bound,
    rhs=_losses,
)
LOWER_BOUND = Entry(
    theorem=_lower,
    instances=_instances,
    tight=_tight,
    tightness=0.2,
    mutant=_lower.mutant(
        statement="a constant eight times larger", lhs=lambda case: _width_bound(case, 8.0)
    ),
    broken=lambda: (
        _broken()
        | {
            "others": _tight().with_values({"others": 1}),
            "separation": _tight().with_values({"e0": 0.1}),
        }
    ),
)


def closed_tilt(name: Divergence, e: float, v: float, strength: float, half: float = 1.0) -> float:
    """Return the failure probability of the worst law, (4), for half * chi2."""
    if name == "tv":
        return 1.0 if v > strength else e
    if name == "kl":
        return e / (e + (1.0 - e) * math.exp(-v / strength))
    return min(e + e * (1.0 - e) * v / (2.0 * half * strength), 1.0)  # (4)


def searched_tilt(name: Divergence, e: float, v: float, strength: float) -> float:
    """Return the minimiser of (1 - q) v + strength D(q || e) by bisection on its derivative."""
    low, high = e, 1.0
    for _ in range(100):
        q = 0.5 * (low + high)
        if name == "tv":
            steep = 1.0
        elif name == "kl":
            steep = math.log(q / e) - math.log((1.0 - q) / (1.0 - e)) if q < 1 else math.inf
        else:
            steep = 2.0 * (q - e) / (e * (1.0 - e))
        low, high = (q, high) if strength * steep < v else (low, q)
    return 0.5 * (low + high)


def _tilts(case: Case, half: float = 1.0) -> float:
    return closed_tilt(case["divergence"], case["e1"], case["v"], case["strength"], half)


_tilt = Theorem(
    id="tang2025:hard_tilt",
    statement=r"The worst law of the doubtful lottery fails with probability $1$ (TV, $v > "
    r"\lambda$), $\epsilon / (\epsilon + (1 - \epsilon) e^{-v/\lambda})$ (KL), $\min(1, \epsilon + "
    r"\epsilon (1 - \epsilon) v / (2 \lambda))$ ($\chi^2$)",
    source="Hard instance of theorem 6.1",
    kind="identity",
    hypotheses=_LOTTERIES,
    lhs=_tilts,
    rhs=lambda c: searched_tilt(c["divergence"], c["e1"], c["v"], c["strength"]),
)
HARD_TILT = Entry(
    theorem=_tilt,
    instances=_instances,
    tight=lambda: hard_case("chi2", 2.0, 1.0, 0.5, 10, "even odds, chi-square"),
    tightness=0.99,
    mutant=_tilt.mutant(
        statement="chi-square with a factor one half", lhs=lambda case: _tilts(case, 0.5)
    ),
    broken=_broken,
)
