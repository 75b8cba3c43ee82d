r"""Penalties and balls are two views of one adversary, and the algebra of worst means.

Problem
-------
R_lambda(V) is the least of E_q V + lambda D(q || p) over q, C_rho(V) the least of E_q V over
D(q || p) <= rho. How do they depend on each other, on lambda and on V?

Algorithm
---------
`bounds.robust_inner`; the two sides of (1) come from different formulas.

Guarantee
---------
With q a minimiser for lambda and rho = D(q || p),

    R_lambda(V) = C_rho(V) + lambda rho,                                                    (1)
    t R_a + (1 - t) R_b <= R_{ta + (1-t)b}, and R_a <= R_b for a <= b,                        (2)
    R(W) - R(V) <= max (W - V),                                                             (3)
    min V <= R_kl <= R_chi2 <= E_p V for one lambda, and R_tv <= E_p V,                       (4)
    lambda D(q || p) <= E_p V - E_q V <= max V - min V,                                      (5)
    max_s f - min_s f <= 1 + lambda, f(s) = max_a [r + phi R_tv(V)], 0 <= r <= 1.             (6)

(1): q is admissible for the ball and nothing in the ball does better, or q would not minimise. (2):
R is the lower envelope of nondecreasing affine functions of lambda; rho of (1) is its slope, so a
smaller lambda is a larger ball. (3): so is R of V, with weights q that sum to one; it contains
monotonicity (W <= V), translations (W = V + c, both ways) and nonexpansiveness. (4): kl <= chi2,
and q = p costs nothing. (5): E_q V + lambda D <= E_p V. (6): every worst mean lies between min V
and min V + lambda.

Cost
----
O(S^2).

Deviations
----------
The source says that lambda acts like 1 / rho; (1) makes that exact for one factor and one V. With
one lambda for all steps and factors the matching radii differ from place to place, so the two
models plan alike only if their multipliers are matched one by one.

References
----------
tang2025 for the setting; proofs above.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.case import Case
from bounds.model import Array
from bounds.random_models import COUNTS
from bounds.robust_inner import DIVERGENCES, Divergence, ball, divergence, penalty, tilt
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def _is_law(case: Case) -> bool:
    p = case["p"]
    return bool((p >= 0).all() and abs(p.sum() - 1.0) < 1e-10)


LAW = Hypothesis("law", "p is a probability distribution", _is_law)
STRENGTH = Hypothesis("strength", "0 < lambda < inf", lambda case: 0 < case["strength"] < np.inf)


def inner_case(name: str, p: Array, V: Array, strength: float, label: str) -> Case:
    """Return a case of one inner problem, with a second vector W = -V and a second strength."""
    values = {"divergence": name, "p": p, "V": V, "strength": strength}
    return Case(values | {"W": -V, "other": 2.0 * strength, "t": 0.5}, label)


def _draws(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(6 * COUNTS[scale]):
        S = int(rng.integers(2, 8))
        p = rng.dirichlet(np.ones(S)) * (rng.random(S) < 0.8)
        p = p / p.sum() if p.sum() > 0 else np.eye(S)[0]
        V, W = 3.0 * rng.random((2, S))
        a, b = np.sort(10.0 ** rng.uniform(-1.5, 1.0, 2))
        case = inner_case(DIVERGENCES[i % 3], p, V, float(a), f"random {i}")
        yield case.with_values({"W": W, "other": float(b), "t": float(rng.random())})


def _two_points(name: Divergence = "tv", strength: float = 1.0) -> Case:
    return inner_case(name, np.array([0.25, 0.75]), np.array([0.0, 2.0]), strength, "two points")


def _broken() -> dict[str, Case]:
    case = _two_points()
    return {
        "law": case.with_values({"p": np.array([0.5, 0.75])}),
        "strength": case.with_values({"strength": 0.0}),
    }


def _value(case: Case, vector: str = "V", strength: str = "strength") -> Array:
    return penalty(case["divergence"], case["p"], case[vector], case[strength])


def _cost(case: Case) -> Array:
    q = tilt(case["divergence"], case["p"], case["V"], case["strength"])
    return divergence(case["divergence"], q, case["p"])


def _ball_and_price(case: Case, price: float = 1.0) -> Array:
    rho = _cost(case)
    inside = ball(case["divergence"], case["p"], case["V"], float(rho))
    return inside + price * case["strength"] * rho  # (1)


_duality = Theorem(
    id="mdplib:robust_duality",
    statement=r"$R_\lambda(V) = C_\rho(V) + \lambda \rho$ at $\rho = D(q^* \| p) = "
    r"\partial R_\lambda / \partial \lambda$",
    source="Proof in the module",
    kind="identity",
    hypotheses=(LAW, STRENGTH),
    lhs=_value,
    rhs=_ball_and_price,
)
DUALITY = Entry(
    theorem=_duality,
    instances=_draws,
    tight=_two_points,
    tightness=0.99,
    mutant=_duality.mutant(
        statement="the distance counted twice, as for the full sum of absolute differences",
        rhs=lambda case: _ball_and_price(case, 2.0),
    ),
    broken=_broken,
)


def _mixture(case: Case) -> Array:
    low, high = float(_value(case)), float(_value(case, strength="other"))
    return np.array([case["t"] * low + (1 - case["t"]) * high, low])


def _at_mixture(case: Case) -> Array:
    middle = case["t"] * case["strength"] + (1 - case["t"]) * case["other"]
    found = float(penalty(case["divergence"], case["p"], case["V"], middle))
    return np.array([found, float(_value(case, strength="other"))])  # (2)


_concavity = Theorem(
    id="mdplib:robust_concavity",
    statement=r"$R_\lambda$ is nondecreasing and concave in $\lambda$",
    source="Proof in the module",
    kind="inequality",
    hypotheses=(
        LAW,
        STRENGTH,
        Hypothesis(
            "other", "lambda is at most the other strength", lambda c: c["other"] >= c["strength"]
        ),
        Hypothesis("t", "0 <= t <= 1", lambda c: 0 <= c["t"] <= 1),
    ),
    lhs=_mixture,
    rhs=_at_mixture,
)
CONCAVITY = Entry(
    theorem=_concavity,
    instances=_draws,
    tight=lambda: _two_points(strength=2.0),
    tightness=0.99,
    mutant=_concavity.mutant(
        statement="convex in lambda",
        lhs=lambda case: _at_mixture(case)[0],
        rhs=lambda case: _mixture(case)[0],
    ),
    witness=lambda: _two_points("kl"),
    broken=lambda: (
        _broken()
        | {
            "other": _two_points().with_values({"other": 0.5}),
            "t": _two_points().with_values({"t": 1.5}),
        }
    ),
)

_nonexpansive = Theorem(
    id="mdplib:robust_nonexpansive",
    statement=r"$R_\lambda(W) - R_\lambda(V) \le \max_s (W - V)(s)$",
    source="Proof in the module",
    kind="inequality",
    hypotheses=(LAW, STRENGTH),
    lhs=lambda case: _value(case, "W") - _value(case),
    rhs=lambda case: (case["W"] - case["V"]).max(),  # (3)
)
NONEXPANSIVE = Entry(
    theorem=_nonexpansive,
    instances=_draws,
    tight=lambda: _two_points().with_values({"W": np.array([0.75, 2.75])}),
    tightness=0.99,
    mutant=_nonexpansive.mutant(
        statement="the nominal mean of the difference",
        rhs=lambda case: case["p"] @ (case["W"] - case["V"]),
    ),
    witness=lambda: _two_points("kl").with_values({"W": np.array([1.0, 2.0])}),
    broken=_broken,
)


def _ordered(case: Case, names: tuple[Divergence, ...]) -> list[float]:
    p, V, strength = case["p"], case["V"], case["strength"]
    return [float(penalty(name, p, V, strength)) for name in names]


def _smaller(case: Case) -> Array:
    tv, kl, chi2 = _ordered(case, DIVERGENCES)
    return np.array([case["V"].min(), kl, chi2, case["V"].min(), tv])


def _larger(case: Case) -> Array:
    tv, kl, chi2 = _ordered(case, DIVERGENCES)
    mean = float(case["p"] @ case["V"])
    return np.array([kl, chi2, mean, tv, mean])  # (4)


_order = Theorem(
    id="mdplib:robust_order",
    statement=r"$\min V \le R^{KL}_\lambda \le R^{\chi^2}_\lambda \le E_p V$ and "
    r"$\min V \le R^{TV}_\lambda \le E_p V$",
    source="Proof in the module",
    kind="inequality",
    hypotheses=(LAW, STRENGTH),
    lhs=_smaller,
    rhs=_larger,
)
ORDER = Entry(
    theorem=_order,
    instances=_draws,
    tight=lambda: _two_points(strength=1e4),
    tightness=0.99,
    mutant=_order.mutant(
        statement="chi-square below Kullback-Leibler",
        lhs=lambda case: _ordered(case, ("chi2",)),
        rhs=lambda case: _ordered(case, ("kl",)),
    ),
    witness=_two_points,
    broken=_broken,
)


def _paid(case: Case, unit: float = 1.0) -> Array:
    V, p = case["V"], case["p"]
    q = tilt(case["divergence"], p, V, case["strength"])
    return np.array([unit * case["strength"] * float(_cost(case)), float((p - q) @ V)])


def _gained(case: Case) -> Array:
    V, p = case["V"], case["p"]
    q = tilt(case["divergence"], p, V, case["strength"])
    return np.array([float((p - q) @ V), float(np.ptp(V))])  # (5)


def _sure_loss() -> Case:
    p, V = np.array([0.0, 1.0]), np.array([0.0, 2.0])
    return inner_case("tv", p, V, 1.999, "all on the larger of two values")


_worst_distance = Theorem(
    id="tang2025:worst_distance",
    statement=r"$\lambda D(q^* \| p) \le E_p V - E_{q^*} V \le \max V - \min V$",
    source="Robustly admissible kernels, section 5",
    kind="inequality",
    hypotheses=(LAW, STRENGTH),
    lhs=_paid,
    rhs=_gained,
)
WORST_DISTANCE = Entry(
    theorem=_worst_distance,
    instances=_draws,
    tight=_sure_loss,
    tightness=0.99,
    mutant=_worst_distance.mutant(
        statement="the full sum of absolute differences", lhs=lambda case: _paid(case, 2.0)
    ),
    broken=_broken,
)


def _penalty_range(case: Case) -> float:
    w = penalty("tv", case["laws"], case["V"], case["strength"])
    return float(np.ptp((case["r"] + case["phi"] @ w).max(1)))


def _range_draws(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(COUNTS[scale]):
        S, A, d = 5, 2, 3
        values = {
            "phi": rng.dirichlet(np.ones(d), (S, A)),
            "laws": rng.dirichlet(np.full(S, 0.3), d),
            "r": rng.random((S, A)),
            "V": 4.0 * rng.random(S),
            "strength": float(rng.uniform(0.1, 2.0)),
        }
        yield Case(values, f"random {i}")


def _range_tight() -> Case:
    values = {
        "phi": np.eye(2)[:, None],
        "laws": np.eye(2),
        "r": np.array([[0.0], [1.0]]),
        "V": np.array([0.0, 3.0]),
        "strength": 0.5,
    }
    return Case(values, "a good and a bad state")


_penalty_bounds_range = Theorem(
    id="mdplib:penalty_range",
    statement=r"With a total variation penalty $\max_s f - \min_s f \le 1 + \lambda$ for $f = "
    r"\max_a [r + \langle \phi, R_\lambda(V) \rangle]$ and $r \in [0, 1]$",
    source="Proof in the module",
    kind="inequality",
    hypotheses=(
        Hypothesis(
            "laws",
            "features and factors are probability distributions",
            lambda case: all(
                bool((x >= 0).all() and (np.abs(x.sum(-1) - 1.0) < 1e-10).all())
                for x in (case["phi"], case["laws"])
            ),
        ),
        Hypothesis(
            "r", "rewards lie in [0, 1]", lambda c: bool((c["r"] >= 0).all() and c["r"].max() <= 1)
        ),
        STRENGTH,
    ),
    lhs=_penalty_range,
    rhs=lambda case: 1.0 + case["strength"],  # (6)
)
PENALTY_RANGE = Entry(
    theorem=_penalty_bounds_range,
    instances=_range_draws,
    tight=_range_tight,
    tightness=0.99,
    mutant=_penalty_bounds_range.mutant(
        statement="at most lambda", rhs=lambda case: case["strength"]
    ),
    broken=lambda: {
        "laws": _range_tight().with_values({"phi": 2.0 * np.eye(2)[:, None]}),
        "r": _range_tight().with_values({"r": np.array([[0.0], [2.0]])}),
        "strength": _range_tight().with_values({"strength": 0.0}),
    },
)
