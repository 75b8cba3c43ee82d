r"""Interval iteration: from below and from above to the same limit.

Problem
-------
Largest probability V* to ever enter a target, on a model without end components: no set of states
in which some policy can stay for ever.

Algorithm
---------
With (T u)(s) = max_k r_k + P_k u, iterate T from 0 and from 1.

Guarantee
---------
With S states and eta the smallest positive probability of a transition or of a row to leave them:

    T^n 0 <= V* <= T^n 1                                                                   (1)
    T^n 1 - T^n 0 <= (1 - eta^S)^{floor(n / S)}                                            (2)

(1): T is monotone, T V* = V*, and 0 <= V* <= 1. (2): the left side is at most the largest
probability to be still among the S states after n steps. Let X_0 be the outside and X_{i+1} the
states all of whose pairs may enter X_0, ..., X_i; without end components some state is added
until all are. So every policy leaves within S steps with probability at least eta^S. Equality
for one state.

Cost
----
Two backups per step.

Deviations
----------
Stated for maximal probabilities; eta^S per S steps from all states, whatever their distance.

References
----------
haddad2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.hypotheses import UNDISCOUNTED, Hypothesis
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import COUNTS, broken_values
from bounds.theorem import Entry, Scale, Theorem
from bounds.undiscounted import (
    NO_END_COMPONENT,
    REACHABILITY,
    STEPS,
    best_reach,
    constant,
    has_end_component,
    iterate,
    reachability,
)


def _rate(instance: Instance, times: int = 1) -> Any:
    model, n = instance.model, instance["n"]
    positive = np.concatenate([model.P.ravel(), 1 - model.P.sum(axis=1)])
    eta = positive[positive > 0].min()
    return (1 - eta**model.n_states) ** (times * (n // model.n_states))


def _left(instance: Instance) -> Array:
    model, n = instance.model, instance["n"]
    V = best_reach(model)
    below, above = (iterate(model, constant(model, x), n) for x in (0, 1))
    return np.stack([above - below, below - V, V - above])  # (1)


def _right(instance: Instance, times: int = 1) -> Array:
    nothing = constant(instance.model, 0)
    return np.stack([nothing + _rate(instance, times), nothing, nothing])  # (2)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    found = 0
    while found < COUNTS[scale]:
        model = reachability(rng, int(rng.integers(1, 5)))
        if not has_end_component(model):
            values = {"n": int(rng.integers(0, 13))}
            yield Instance(model, values, f"random {found}", steps=STEPS)
            found += 1


def _tight() -> Instance:
    model = Model([[0.5]], [0.25], [0, 1], 1.0)
    return Instance(model, {"n": 3}, "one state, three steps", steps=STEPS)


def _broken() -> dict[str, Instance]:
    sound = _tight()
    return {
        "reachability": sound.with_model(sound.model.replace(r=[0.75])),
        "undiscounted": sound.with_model(sound.model.replace(gamma=0.5)),
        "end_component": sound.with_model(sound.model.replace(P=[[1.0]], r=[0.0])),
        "n": broken_values(sound, {"n": -1})["n"],
    }


_theorem = Theorem(
    id="haddad2018:interval_iteration",
    statement=r"Without end components $T^n 0 \le V^* \le T^n 1$ and "
    r"$T^n 1 - T^n 0 \le (1 - \eta^S)^{\lfloor n / S \rfloor}$",
    source="Convergence of interval iteration; proof in the module",
    kind="inequality",
    hypotheses=(
        REACHABILITY,
        UNDISCOUNTED,
        NO_END_COMPONENT,
        Hypothesis("n", "n >= 0 steps", lambda instance: instance["n"] >= 0),
    ),
    lhs=_left,
    rhs=_right,
)
INTERVAL_ITERATION = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="twice the exponent",
        rhs=lambda instance: _right(instance, 2),
    ),
    broken=_broken,
)
