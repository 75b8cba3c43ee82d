r"""What no policy of a coupled restless bandit can exceed.

Problem
-------
Arms that move on their own share a set C of joint actions. The optimum needs all joint states.
Which numbers bound it from above without them?

Algorithm
---------
For prices lambda_{hj}(n) of the levels, let V_j(lambda) be the best of arm j alone, when it pays
the price of each level it takes. For laws mu_{hj} of state and level of the arms,

    Lagrangian:  max sum mu r,  the mu flow, and some law on C has the levels of mu at each step,
    fluid:       the same with the rows of a linear relaxation of C, at the mean levels.

Guarantee
---------
    any policy <= optimum <= Lagrangian bound <= fluid bound                                (1)
    optimum <= sum_j V_j(lambda) + sum_h max_{a in C} lambda_h(a)  for all prices           (2)
    the four numbers of (1) grow with C, the last with its rows                             (3)
    if C contains all combinations, optimum = Lagrangian = fluid bound = sum of the arms    (4)

(1): the marginals of any policy flow, and its actions have a law at each step; a mean of actions
satisfies the rows. (2): pay lambda_h(a) at each step; the arms alone do no worse than together.
(3): there is more to choose from. (4): the best policies of the arms together are a policy. The
discounted bounds hold for the discounted occupation, divided by 1 / (1 - gamma).

Cost
----
Two linear programs with H J S L columns; the oracle lists joint states.

Deviations
----------
The paper on the algorithm, xu2025, has no bounds.

References
----------
hawkins2003; adelman2008; whittle1988 for a budget in the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.restless_models import (
    Array,
    Coupled,
    arm_values,
    listed,
    price_bound,
    program_bound,
    separate_optimum,
)
from bounds.restless_setting import (
    ACTIONS,
    AFTER,
    DISCOUNT,
    FREE,
    LAWS,
    NESTED,
    ROWS,
    broken_of,
    chance,
    example_case,
    many,
    some,
)
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def ladder(case: Case) -> Array:
    """Return policy, optimum, Lagrangian and fluid bound of the finite horizon, (4,)."""
    model: Coupled = case["model"]
    values = [model.value(case["policy"])[0], model.optimum()[0]]
    bounds = [program_bound(model, hull=hull) for hull in (True, False)]
    return np.array([*(float(model.first @ V) for V in values), *bounds])


def discounted_ladder(case: Case) -> Array:
    """Return policy, optimum, Lagrangian and fluid bound of the discounted criterion, (4,)."""
    model: Coupled = case["model"]
    values = [model.discounted_value(case["policy"][0]), model.discounted_optimum()]
    bounds = [program_bound(model, hull=hull, discounted=True) for hull in (True, False)]
    return np.array([*(float(model.first @ V) for V in values), *bounds])


def _chain(name: str, statement: str, rungs: Callable[[Case], Array], *more: Hypothesis) -> Entry:
    theorem = Theorem(
        id=f"hawkins2003:{name}",
        statement=statement,
        source=AFTER,
        kind="inequality",
        hypotheses=(LAWS, ACTIONS, ROWS, *more),
        lhs=lambda case: rungs(case)[:-1],
        rhs=lambda case: rungs(case)[1:],  # (1)
    )
    return Entry(
        theorem=theorem,
        instances=some,
        tight=example_case,
        tightness=0.999,
        mutant=theorem.mutant(
            statement="the Lagrangian bound can be reached",
            lhs=lambda case: rungs(case)[2],
            rhs=lambda case: rungs(case)[1],
        ),
        broken=lambda: broken_of(example_case(), theorem.hypotheses),
        witness=chance,
    )


CHAIN = _chain(
    "chain",
    r"$V^\pi \le V^* \le$ Lagrangian bound $\le$ fluid bound, for the horizon $H$",
    ladder,
)
DISCOUNTED = _chain(
    "chain_discounted",
    r"$V^\pi \le V^* \le$ Lagrangian bound $\le$ fluid bound, for the discount factor $\gamma$",
    discounted_ladder,
    DISCOUNT,
)


# ---------------------------------------------------------------------------- prices


def _optimum(case: Case) -> float:
    model: Coupled = case["model"]
    return float(model.first @ model.optimum()[0])


def _priced(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for case in many(rng, scale):
        model: Coupled = case["model"]
        J, L, _ = model.r.shape
        price = rng.normal(0.0, 0.5, (model.horizon, J, L))
        yield case.with_values({"price": price})


def _fair() -> Case:
    """Return two arms for one pull; at price 0.5 either arm, or none, is as good."""
    case = example_case(1)
    price = np.zeros((3, 2, 2))
    price[:, :, 1] = 0.45
    return case.with_values({"price": price})


def _shape(case: Case) -> bool:
    J, L, _ = case["model"].r.shape
    return np.shape(case["price"]) == (case["model"].horizon, J, L)


PRICES = Hypothesis("prices", "there is a price for every step, arm and level", _shape)
_prices = Theorem(
    id="hawkins2003:prices",
    statement=r"$V^* \le \sum_j V_j(\lambda) + \sum_h \max_{a \in C} \lambda_h(a)$ "
    r"for all prices $\lambda$, of either sign",
    source=AFTER,
    kind="inequality",
    hypotheses=(LAWS, ACTIONS, PRICES),
    lhs=_optimum,
    rhs=lambda case: price_bound(case["model"], case["price"]),  # (2)
)
PRICED = Entry(
    theorem=_prices,
    instances=_priced,
    tight=_fair,
    tightness=0.99,
    mutant=_prices.mutant(
        statement="the prices paid are not added again",
        rhs=lambda case: arm_values(case["model"], case["price"]),
    ),
    broken=lambda: {
        **broken_of(_fair(), _prices.hypotheses),
        "prices": _fair().with_values({"price": np.zeros((1, 2, 2))}),
    },
)


# ------------------------------------------------------------------------ larger sets


def _numbers(model: Coupled) -> Array:
    bounds = [program_bound(model, hull=hull) for hull in (True, False)]
    return np.array([float(model.first @ model.optimum()[0]), *bounds])


def _pairs(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for case in some(rng, scale):
        model: Coupled = case["model"]
        room = model.room + rng.integers(0, 4, len(model.room))
        larger = replace(model, room=room, C=listed(model.rows, room, model.r.shape[1]))
        yield case.with_values({"model": larger, "smaller": model})


def _grown(before: int, after: int) -> Case:
    smaller = example_case(before)["model"]
    return example_case(after).with_values({"smaller": smaller})


_monotone = Theorem(
    id="hawkins2003:monotone",
    statement=r"If $C$ and its rows contain $C'$ and its rows, then the optimum, the Lagrangian "
    r"bound and the fluid bound over $C$ are at least those over $C'$",
    source=AFTER,
    kind="inequality",
    hypotheses=(LAWS, ACTIONS, ROWS, NESTED),
    lhs=lambda case: _numbers(case["smaller"]),
    rhs=lambda case: _numbers(case["model"]),  # (3)
)
MONOTONE = Entry(
    theorem=_monotone,
    instances=_pairs,
    tight=lambda: _grown(2, 3),
    tightness=0.999,
    mutant=_monotone.mutant(
        statement="more actions never help",
        lhs=lambda case: _numbers(case["model"]),
        rhs=lambda case: _numbers(case["smaller"]),
    ),
    broken=lambda: broken_of(_grown(2, 3), _monotone.hypotheses),
    witness=lambda: _grown(1, 2),
)


# ------------------------------------------------------------------------- decoupling


def _all_free(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for case in some(rng, scale):
        model: Coupled = case["model"]
        room = model.rows.sum(1) * (model.r.shape[1] - 1)
        yield case.with_values(
            {"model": replace(model, room=room, C=listed(model.rows, room, model.r.shape[1]))}
        )


_decoupled = Theorem(
    id="hawkins2003:decoupled",
    statement=r"If all combinations of levels are allowed, then the optimum, the Lagrangian bound "
    r"and the fluid bound equal $\sum_j V^*_j$, the sum of the arms on their own",
    source=AFTER,
    kind="identity",
    hypotheses=(LAWS, ACTIONS, ROWS, FREE),
    lhs=lambda case: _numbers(case["model"]),
    rhs=lambda case: separate_optimum(case["model"]),  # (4)
)
DECOUPLED = Entry(
    theorem=_decoupled,
    instances=_all_free,
    tight=lambda: example_case(2),
    tightness=0.999,
    mutant=_decoupled.mutant(
        statement="the best arm stands for all",
        rhs=lambda case: separate_optimum(case["model"]) / len(case["model"].r),
    ),
    broken=lambda: broken_of(example_case(2), _decoupled.hypotheses),
)
