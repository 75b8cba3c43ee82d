r"""What grouping costs, by the weights of a decomposition: sharp bounds.

Problem
-------
The kernels and rewards of a group share a part, up to weights beta_P and beta_r
(`bounds.li2024_weights`). How much does the best policy over groups lose, knowing only these?

Algorithm
---------
Follow, over groups, the policy h(s) = g(s, a*(s)) that plays the group of the best action, and
subtract the two decompositions of V*(s) and V^h(s).

Guarantee
---------
With rewards in [0, 1] the loss L = max (V* - V*_mu) satisfies

    L <= APX = (beta_r + gamma beta_P / (1 - gamma)) / (1 - gamma (1 - beta_P))             (1)
      <= beta_r / (1 - gamma) + gamma beta_P / (1 - gamma)^2.                               (2)

With D = max (V* - V^h), the shared parts differ by at most gamma (1 - beta_P) D, the rest by
beta_r + gamma beta_P / (1 - gamma); solve for D.

(1) is attained for every beta_P, beta_r and gamma, at once: one group of two actions in a state
that pays 1, the one that mu plays paying beta_r less and leaving for a worthless state with
probability beta_P,

    L = 1 / (1 - gamma) - (1 - beta_r) / (1 - gamma (1 - beta_P)) = APX.                    (3)

More is true. Let eta = 1 - min mu(a | s, g(s, a)) be the most that mu withholds from any action,
and R the range of the rewards, wherever they lie. Then the best action is among those played, the
weights shrink by eta, and

    L <= (eta beta_r + gamma eta beta_P R / (1 - gamma)) / (1 - gamma (1 - eta beta_P)).    (4)

For mu equal on groups of at most c actions, eta = 1 - 1 / c. (4) too is attained, for every eta.

Cost
----
Two plans; the bounds themselves are closed forms.

Deviations
----------
(2) is what the usual simulation argument gives. (4) multiplies both weights by eta, not the reward
weight alone, and the discount in the denominator sees it as well.

References
----------
li2024 for the decomposition; all constants derived here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array, Grouped, leaky
from bounds.li2024_chain import facts, horizon
from bounds.li2024_setting import AFTER, REWARDS, SETTING, SOME, broken_of, draw_models, many, some
from bounds.theorem import Entry, Hypothesis, Scale, Theorem
from mdplib.grouping.loss import approximation_bound, textbook_bound


def sharp(case: Case) -> float:
    """Return the sharp bound on the loss of grouping in the model of a case."""
    return approximation_bound(*facts(case).weights, case["model"].gamma)  # (1)


def _one_leak(case: Case) -> float:
    b_P, b_r, gamma = _weights(case)
    return (b_r + gamma * b_P) / (1.0 - gamma * (1.0 - b_P))


def _weights(case: Case) -> tuple[float, float, float]:
    return (*facts(case).weights, case["model"].gamma)


def leaky_case(b_P: float, b_r: float, gamma: float) -> Case:
    """Return the case of the model that attains the sharp bound."""
    values = {"model": leaky(b_P, b_r, gamma), "b_P": b_P, "b_r": b_r}
    return Case(values, f"two actions, weights {b_P:.3g} and {b_r:.3g}, discount {gamma:.3g}")


_approximation = Theorem(
    id="li2024:approximation",
    statement=r"$\|V^* - V^*_\mu\|_\infty \le \frac{\beta_r + \gamma \beta_P / (1 - \gamma)}"
    r"{1 - \gamma (1 - \beta_P)}$",
    source=AFTER,
    kind="inequality",
    hypotheses=(*SETTING, REWARDS),
    lhs=lambda case: facts(case).loss,
    rhs=sharp,
    trivial=horizon,
)
APPROXIMATION = Entry(
    theorem=_approximation,
    instances=many,
    tight=lambda: leaky_case(0.1, 0.0, 0.9),
    tightness=0.999999,
    mutant=_approximation.mutant(
        statement="a leak costs one step, not all that follow",
        rhs=_one_leak,
    ),
    broken=lambda: broken_of(leaky_case(0.1, 0.0, 0.9), (*SETTING, REWARDS)),
)


# --------------------------------------------------------------- the family that attains it

_FAMILY = Hypothesis(
    "weights",
    "0 <= beta_P, beta_r <= 1 and 0 <= gamma < 1",
    lambda case: bool(
        0 <= case["b_P"] <= 1 and 0 <= case["b_r"] <= 1 and 0 <= case["model"].gamma < 1
    ),
)


def _family(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for b in (0.01, 0.1, 0.5, 1.0):
        for gamma in (0.9, 0.99):
            yield leaky_case(b, 0.0, gamma)
            yield leaky_case(0.0, b, gamma)
    for _ in range(SOME[scale]):
        b_P, b_r = rng.beta(0.5, 0.5, 2)
        yield leaky_case(float(b_P), float(b_r), float(rng.uniform(0.0, 0.99)))


def _attained(case: Case) -> float:
    gamma = case["model"].gamma
    return 1.0 / (1.0 - gamma) - (1.0 - case["b_r"]) / (1.0 - gamma * (1.0 - case["b_P"]))  # (3)


def _claimed(case: Case) -> Array:
    return np.array([approximation_bound(case["b_P"], case["b_r"], case["model"].gamma)] * 2)


_sharpness = Theorem(
    id="li2024:sharpness",
    statement=r"Two actions in one group attain $\|V^* - V^*_\mu\|_\infty = "
    r"\frac{\beta_r + \gamma \beta_P / (1 - \gamma)}{1 - \gamma (1 - \beta_P)}$ for all "
    r"$\beta_P, \beta_r, \gamma$",
    source=AFTER,
    kind="identity",
    hypotheses=(_FAMILY,),
    lhs=lambda case: np.array([facts(case).loss, _attained(case)]),
    rhs=_claimed,
)
SHARPNESS = Entry(
    theorem=_sharpness,
    instances=_family,
    tight=lambda: leaky_case(0.25, 0.5, 0.9),
    tightness=0.999999,
    mutant=_sharpness.mutant(
        statement="the textbook bound is attained",
        rhs=lambda case: np.array(
            [textbook_bound(case["b_P"], case["b_r"], case["model"].gamma)] * 2
        ),
    ),
    broken=lambda: {"weights": leaky_case(0.25, 0.5, 0.9).with_values({"b_r": 1.5})},
)


# --------------------------------------------------------------------------- the textbook

_textbook = Theorem(
    id="li2024:approximation_textbook",
    statement=r"$\frac{\beta_r + \gamma \beta_P / (1 - \gamma)}{1 - \gamma (1 - \beta_P)} \le "
    r"\frac{\beta_r}{1 - \gamma} + \frac{\gamma \beta_P}{(1 - \gamma)^2}$, "
    r"and so is the loss",
    source=AFTER,
    kind="inequality",
    hypotheses=(*SETTING, REWARDS),
    lhs=lambda case: np.array([sharp(case), facts(case).loss]),
    rhs=lambda case: textbook_bound(*_weights(case)),  # (2)
)
TEXTBOOK = Entry(
    theorem=_textbook,
    instances=some,
    tight=lambda: leaky_case(0.0, 0.5, 0.9),
    tightness=0.999999,
    mutant=_textbook.mutant(
        statement="one factor of the horizon for the kernel as well",
        rhs=lambda case: sum(facts(case).weights) * horizon(case),
    ),
    broken=lambda: broken_of(leaky_case(0.0, 0.5, 0.9), (*SETTING, REWARDS)),
    witness=lambda: leaky_case(0.01, 0.0, 0.9),
)


# ------------------------------------------------------------------------ all actions played


def _withheld(model: Grouped) -> float:
    return 1.0 - float(model.mu.min())


def _shrunk(case: Case, eta: float) -> float:
    model: Grouped = case["model"]
    b_P, b_r, gamma = _weights(case)
    R, H = float(np.ptp(model.r)), 1.0 / (1.0 - gamma)
    return eta * (b_r + gamma * b_P * R * H) / (1.0 - gamma * (1.0 - eta * b_P))  # (4)


def _anywhere(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i, model in enumerate(draw_models(rng, SOME[scale])):
        size, start = 2.0 ** rng.integers(-3, 4), float(rng.normal())
        yield Case({"model": replace(model, r=size * model.r + start)}, f"random {i}")


def _both_played() -> Case:
    model = leaky(0.25, 0.5, 0.9)
    mu = np.array([[0.25, 0.75], [0.25, 0.75]])
    return Case({"model": replace(model, mu=mu, r=4.0 * model.r - 1.0)}, "both actions played")


_mixed = Theorem(
    id="li2024:approximation_mixed",
    statement=r"With $\eta = 1 - \min \mu$ and $R$ the range of the rewards, "
    r"$\|V^* - V^*_\mu\|_\infty \le \frac{\eta \beta_r + \gamma \eta \beta_P R / (1 - \gamma)}"
    r"{1 - \gamma (1 - \eta \beta_P)}$",
    source="Derived; sharper than the bound by the weights alone",
    kind="inequality",
    hypotheses=SETTING,
    lhs=lambda case: facts(case).loss,
    rhs=lambda case: _shrunk(case, _withheld(case["model"])),
    trivial=lambda case: float(np.ptp(case["model"].r)) * horizon(case) or np.inf,
)
MIXED = Entry(
    theorem=_mixed,
    instances=_anywhere,
    tight=_both_played,
    tightness=0.999999,
    mutant=_mixed.mutant(
        statement="the likeliest action counts, not the rarest",
        rhs=lambda case: _shrunk(case, 1.0 - float(case["model"].mu.max())),
    ),
    broken=lambda: broken_of(_both_played(), SETTING),
)
