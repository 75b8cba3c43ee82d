r"""Bounds on V* and on the greedy policy when rows do not sum to one.

Problem
-------
Rows of gamma P may have different sums (semi-Markov discounting, stopping, row sums that are only
known to lie in an interval). Bracket V*, and the value of the policy just found.

Algorithm
---------
With a and b the smallest and largest row sum of gamma P, d = T V - V, pi greedy for V, and
s(x) = x b / (1 - b) if x >= 0, x a / (1 - a) otherwise:

    V* <= T V + s(max d)                                                                   (1)
    V* >= V^pi >= T V + t(min d),  t(x) = x a / (1 - a) if x >= 0, x b / (1 - b) otherwise    (2)

Guarantee
---------
(1): T(V + c) <= T V + phi(c) with phi(c) = b c for c >= 0 and a c for c < 0. From T V <= V + max d
follows T^2 V <= T V + phi(max d), then T^{m+1} V <= T^m V + phi^m(max d), and s sums the series.
(2) is the same for T_pi, since T_pi V = T V, with the inequalities reversed. With equal row sums
these are MacQueen's bounds.

Cost
----
One backup and the row sums.

Deviations
----------
Written with T V as the centre. The bounds on the policy just found are stated together with
those on V*.

References
----------
porteus1971; puterman1994, section 6.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import bellman, greedy, policy_value
from bounds.hypotheses import Hypothesis
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import COUNTS, discounted, vector
from bounds.theorem import Entry, Scale, Theorem


def _factors(model: Model) -> tuple[Any, Any]:
    sums = model.gamma * model.P.sum(axis=1)
    return sums.min(), sums.max()


def _left(instance: Instance) -> Array:
    model, V = instance.model, instance["V"]
    TV = bellman(model, V)
    return np.stack([instance.V_star - TV, TV - policy_value(model, greedy(model, V))])


def _bounds(instance: Instance, low: Any, high: Any) -> Array:
    d = bellman(instance.model, instance["V"]) - instance["V"]
    top, bottom = d.max(), d.min()
    up = high if top >= 0 else low
    down = low if bottom >= 0 else high
    upper, lower = top * up / (1 - up), bottom * down / (1 - down)  # (1)  # (2)
    return np.stack([np.full(d.size, upper), np.full(d.size, -lower)])


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        shares = rng.integers(4, 9, size=(model.n_pairs, 1)) / 8
        values = {"V": vector(rng, model.n_states)}
        yield Instance(model.replace(P=model.P * shares), values, f"random {i}")


def _tight() -> Instance:
    model = Model([[1.0, 0.0], [0.0, 0.5]], [1.0, 1.0], [0, 1, 2], 0.5)
    return Instance(model, {"V": np.zeros(2)}, "two loops with row sums 1 and 1/2")


def _broken() -> dict[str, Instance]:
    sound = _tight()
    model = sound.model
    return {
        "sign": sound.with_model(model.replace(P=[[1.5, -0.5], [0.0, 0.5]])),
        "row_sums": sound.with_model(model.replace(P=[[2.0, 0.0], [0.0, 0.5]])),
    }


_theorem = Theorem(
    id="porteus1971:bracket",
    statement=r"With row sums of $\gamma P$ in $[a, b]$ and $\pi$ greedy for $V$: "
    r"$TV + t(\min(TV - V)) \le V^\pi \le V^* \le TV + s(\max(TV - V))$",
    source="Bounds for unequal row sums; proof in the module",
    kind="inequality",
    hypotheses=(
        Hypothesis("sign", "P >= 0", lambda instance: bool((instance.model.P >= 0).all())),
        Hypothesis(
            "row_sums",
            "the row sums of gamma P are below one",
            lambda instance: bool(_factors(instance.model)[1] < 1),
        ),
    ),
    lhs=_left,
    rhs=lambda instance: _bounds(instance, *_factors(instance.model)),
)
BRACKET = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="smallest and largest row sum exchanged",
        rhs=lambda instance: _bounds(instance, *reversed(_factors(instance.model))),
    ),
    broken=_broken,
)
