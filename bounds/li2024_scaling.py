r"""The best number of groups, and how it moves with the budget.

Problem
-------
N samples in all, K = N / (S m) for each pair. Few groups approximate badly, many estimate badly.
How many are best?

Algorithm
---------
Let f(m) = C m^-a + E sqrt(S m / N), approximation plus estimation without logarithms; a = 1 / p for
actions on which kernels and rewards are Lipschitz in p dimensions.

Guarantee
---------
The derivative of f changes its sign once, from minus to plus, at

    m* = (2 a C / (E sqrt(S / N)))^(2 / (2 a + 1)),                                         (1)

so f(m*) <= f(m) for all m > 0. There E sqrt(S m* / N) = 2 a C m*^-a, hence

    f(m*) = (1 + 2 a) C m*^-a, of order N^(-a / (2 a + 1)),  m* of order N^(1 / (2 a + 1)). (2)

Without any assumption on the approximation A(m), and for any estimation h(m) / sqrt(N) with h
growing in m, the smallest minimiser over any list of numbers of groups does not fall as N grows,

    argmin A(m) + h(m) / sqrt(N) <= argmin A(m) + h(m) / sqrt(N')  for N <= N':             (3)

m < m' is beaten by m' at N as soon as sqrt(N) (A(m) - A(m')) > h(m') - h(m), and then at N' too.
E1, with K = N / (S m) and planning left out, is of this form.

Cost
----
None.

Deviations
----------
K is not rounded; (3) says nothing where N / (S m) is a handful.

References
----------
li2024 for the trade-off; derived here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array
from bounds.li2024_setting import AFTER, SOME
from bounds.theorem import Entry, Hypothesis, Scale, Theorem
from mdplib.grouping.loss import best_number

_POSITIVE = Hypothesis(
    "positive",
    "C, a, E, S and N are positive",
    lambda case: bool(min(case[x] for x in "CaESN") > 0),
)
_GROUPS = Hypothesis("m", "numbers of groups are positive", lambda case: bool(case["m"].min() > 0))


def trade(case: Case, m: Array | float, N: float | None = None) -> Array:
    """Return C m^-a + E sqrt(S m / N)."""
    noise = case["E"] * np.sqrt(case["S"] * m / (case["N"] if N is None else N))
    return np.asarray(case["C"] * m ** -case["a"] + noise)


def _best(case: Case, N: float | None = None) -> float:
    budget = case["N"] if N is None else N
    return best_number(case["C"], case["a"], case["E"], case["S"], budget)  # (1)


def _trades(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(SOME[scale]):
        C, E, N = (float(10 ** rng.uniform(-1, low)) for low in (1, 1, 7))
        a = 1.0 / float(rng.integers(1, 6))
        values = {"C": C, "a": a, "E": E, "S": int(rng.integers(1, 50)), "N": 10.0 * N}
        yield Case({**values, "m": 10.0 ** rng.uniform(0, 5, 40)}, f"random {i}")


def _exact() -> Case:
    case = Case({"C": 1.0, "a": 0.5, "E": 1.0, "S": 4, "N": 4096.0, "m": np.ones(1)}, "at m*")
    return case.with_values({"m": np.array([_best(case)])})


def _broken() -> dict[str, Case]:
    return {
        "positive": _exact().with_values({"N": 0.0}),
        "m": _exact().with_values({"m": np.zeros(1)}),
    }


_minimiser = Theorem(
    id="li2024:best_number",
    statement=r"$C m^{-a} + E \sqrt{S m / N}$ is smallest at "
    r"$m^* = (2 a C / (E \sqrt{S / N}))^{2 / (2 a + 1)}$",
    source=AFTER,
    kind="inequality",
    hypotheses=(_POSITIVE, _GROUPS),
    lhs=lambda case: trade(case, _best(case)),
    rhs=lambda case: trade(case, case["m"]),
)
MINIMISER = Entry(
    theorem=_minimiser,
    instances=_trades,
    tight=_exact,
    tightness=0.999999,
    mutant=_minimiser.mutant(
        statement="where approximation and estimation are equal",
        lhs=lambda case: trade(
            case,
            (case["C"] / (case["E"] * np.sqrt(case["S"] / case["N"]))) ** (2 / (2 * case["a"] + 1)),
        ),
    ),
    broken=_broken,
    witness=lambda: _exact().with_values({"a": 0.25, "m": _exact()["m"] / 2}),
)


def _laws(case: Case) -> Array:
    """Return the least loss, and m*, at 64 times the budget."""
    more = _best(case, 64.0 * case["N"])
    return np.array([trade(case, more, 64.0 * case["N"]), more])


def _predicted(case: Case, exponent: float = 1.0) -> Array:
    a, m = case["a"], _best(case)
    least = (1.0 + 2.0 * a) * case["C"] * m**-a
    step = 64.0 ** (exponent / (2.0 * a + 1.0))
    return np.array([least * step**-a, m * step])  # (2)


_law = Theorem(
    id="li2024:scaling",
    statement=r"The best number of groups grows like $N^{1 / (2 a + 1)}$ and its loss "
    r"$(1 + 2 a) C m^{* -a}$ falls like $N^{-a / (2 a + 1)}$",
    source=AFTER,
    kind="identity",
    hypotheses=(_POSITIVE,),
    lhs=_laws,
    rhs=_predicted,
)
LAW = Entry(
    theorem=_law,
    instances=_trades,
    tight=_exact,
    tightness=0.999999,
    mutant=_law.mutant(
        statement="in proportion to the square of that", rhs=lambda case: _predicted(case, 2.0)
    ),
    broken=lambda: {"positive": _broken()["positive"]},
)


# ------------------------------------------------------------------------- any approximation

_GROWING = Hypothesis(
    "growing", "h grows with m", lambda case: bool((np.diff(case["h"]) > 0.0).all())
)
_BUDGETS = Hypothesis("budgets", "0 < N <= N'", lambda case: bool(0.0 < case["N"] <= case["more"]))


def _smallest(case: Case, N: float) -> int:
    """Return one plus the place of the smallest minimiser in the list."""
    return 1 + int(np.argmin(case["A"] + case["h"] / np.sqrt(N)))


def _lists(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(SOME[scale]):
        m = np.arange(1, int(rng.integers(3, 30)))
        S, delta = int(rng.integers(1, 20)), 0.1
        h = 8.0 * np.sqrt(S * m * np.log(2.0 * S * m / delta))  # E1 at gamma = 1/2
        A = rng.random(len(m)) * 10.0 ** rng.uniform(-3, 0)
        N, factor = (10.0 ** rng.uniform(low, 6.0) for low in (2.0, 0.0))
        yield Case({"A": A, "h": h, "N": float(N), "more": float(N * factor)}, f"random {i}")


def _jump() -> Case:
    values = {"A": np.array([1.0, 0.0]), "h": np.array([1.0, 2.0]), "N": 0.25, "more": 4.0}
    return Case(values, "two numbers of groups")


def _same() -> Case:
    return _jump().with_values({"N": 4.0})


_moves = Theorem(
    id="li2024:best_number_monotone",
    statement=r"For every approximation $A(m)$ and every growing $h(m)$, the best number of groups "
    r"$\mathrm{argmin} \, A(m) + h(m) / \sqrt{N}$ does not fall as $N$ grows",
    source="Derived",
    kind="inequality",
    hypotheses=(_GROWING, _BUDGETS),
    lhs=lambda case: _smallest(case, case["N"]),
    rhs=lambda case: _smallest(case, case["more"]),  # (3)
)
MONOTONE = Entry(
    theorem=_moves,
    instances=_lists,
    tight=_same,
    tightness=0.999999,
    mutant=_moves.mutant(
        statement="it does not move", rhs=lambda case: _smallest(case, min(case["N"], 0.25))
    ),
    broken=lambda: {
        "growing": _jump().with_values({"h": np.array([2.0, 1.0])}),
        "budgets": _jump().with_values({"more": 0.1}),
    },
    witness=_same,
)
