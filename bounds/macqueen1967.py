r"""A test that proves actions not to be optimal.

Problem
-------
Given L <= V* <= U, find pairs that no optimal policy uses.

Algorithm
---------
With Q*_k = r_k + gamma P_k V*, for a pair k of state s:

    V*(s) - Q*_k >= L(s) - (r_k + gamma P_k U)                                             (1)

Guarantee
---------
(1): V*(s) >= L(s), and P_k V* <= P_k U since P_k >= 0. Where the right side is positive, k is not
optimal, in this or any later bracket. Equality for L = U = V*.

Cost
----
One backup for all pairs.

Deviations
----------
Stated for any bracket rather than for that of one sweep.

References
----------
macqueen1967; puterman1994, section 6.7.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.arithmetic import optimal_value, q_values
from bounds.hypotheses import DISCOUNT, DISTRIBUTION, Hypothesis, allowance
from bounds.instance import Instance
from bounds.model import Array
from bounds.random_models import COUNTS, anchor, broken_model, broken_values, discounted
from bounds.theorem import Entry, Scale, Theorem


def _is_bracket(instance: Instance) -> bool:
    V = instance.V_star
    below, above = (instance["L"] - V).max(), (V - instance["U"]).max()
    if instance.model.is_exact:
        return bool(below <= 0 and above <= 0)
    allowed = allowance(instance) + instance.radius
    return bool(below <= allowed and above <= allowed)


def _test(instance: Instance, after: str) -> Array:
    model = instance.model
    return instance["L"][model.pair_state] - q_values(model, instance[after])


def _advantage(instance: Instance) -> Array:
    model, V = instance.model, instance.V_star
    return V[model.pair_state] - q_values(model, V)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        V = optimal_value(model)  # rounded outwards to multiples of 1/64, so the bounds are dyadic
        values = {"L": (np.floor(64 * V) - 1) / 64, "U": (np.ceil(64 * V) + 1) / 64}
        yield Instance(model, values, f"random {i}")


def _tight() -> Instance:
    V = np.array([2.0, 1.0])
    return Instance(anchor(), {"L": V, "U": V}, "L = U = V*")


def _witness() -> Instance:
    values = {"L": np.array([0.0, 1.0]), "U": np.array([2.0, 1.0])}
    return Instance(anchor(), values, "the best successor is uncertain")


def _broken() -> dict[str, Instance]:
    values = broken_values(_tight(), {"U": np.array([1.0, 1.0])})
    return broken_model(_tight()) | {"bracket": values["U"]}


_theorem = Theorem(
    id="macqueen1967:elimination",
    statement=r"With $L \le V^* \le U$: $L(s) - (r_k + \gamma P_k U) \le V^*(s) - Q^*_k$, "
    r"so a pair whose left side is positive is not optimal",
    source="Test for suboptimal actions; puterman1994, section 6.7",
    kind="inequality",
    hypotheses=(
        DISTRIBUTION,
        DISCOUNT,
        Hypothesis("bracket", "L <= V* <= U", _is_bracket),
    ),
    lhs=lambda instance: _test(instance, "U"),  # (1)
    rhs=_advantage,
    sensitivity=lambda instance: 2.0,
)
ELIMINATION = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="the lower bound of the successors in place of the upper one",
        lhs=lambda instance: _test(instance, "L"),
    ),
    broken=_broken,
    witness=_witness,
)
