r"""Simulation lemma, finite horizon.

Problem
-------
Two models M and M' over H steps with the same pairs and terminal rewards, one Markov policy pi.

Algorithm
---------
None.

Guarantee
---------
With d'_h the laws of the state under pi in M',

    V_0 - V'_0 = sum_h gamma^h d'_h [(r_h - r'_h) + gamma (P - P') V_{h+1}]_{pi_h},            (1)

V the value in M. With eps_r = max |r - r'|, eps = max ||P_k - P'_k||_1 / 2, R_h the range of r_h
and R_H that of the terminal rewards,

    ||V_0 - V'_0|| <= sum_{h<H} gamma^h [eps_r + (1 - (1 - eps)^h) R_h]
                      + gamma^H (1 - (1 - eps)^H) R_H.                                       (2)

(1) by induction from the last step. (2): couple both chains as in `bounds.simulation_coupling`;
they agree at step h with probability at least (1 - eps)^h. Attained by the leaking state.

Cost
----
H products of S x S matrices.

Deviations
----------
Proved here. For gamma = 1 and constant range, (2) is at most H eps_r + eps R H (H - 1) / 2: the
first step cannot be affected by transitions, hence H - 1. Texts often state eps_P H^2, with the L1
distance and without the half.

References
----------
kearns2002, lemma 4, for the form with orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import (
    average,
    finite_policy_value,
    identity,
    l1_distance,
    span,
    sup_norm,
    zeros,
)
from bounds.hypotheses import DISTRIBUTION, HORIZON, policy, second_model
from bounds.instance import Instance
from bounds.kearns2002 import broken, leak
from bounds.model import Array, Model
from bounds.random_models import COUNTS, example, finite, nearby
from bounds.random_models import policy as random_policy
from bounds.theorem import Entry, Scale, Theorem

_HYPOTHESES = (DISTRIBUTION, HORIZON, second_model("other"), policy("pi"))


def _difference(instance: Instance) -> Array:
    pi = instance["pi"]
    first = finite_policy_value(instance.model, pi)
    return (first - finite_policy_value(instance["other"], pi))[0]


def _through(instance: Instance, source: Model) -> Array:
    """Return the right side of (1) with the values of the given model inside."""
    model, other, pi = instance.model, instance["other"], instance["pi"]
    V = finite_policy_value(source, pi)
    law, total = identity(model), zeros(model, model.n_states)
    for h in range(model.steps):
        gain = model.reward(h) - other.reward(h) + model.gamma * ((model.P - other.P) @ V[h + 1])
        total = total + model.gamma**h * (law @ average(model, pi[h], gain))  # (1)
        law = law @ average(model, pi[h], other.P)
    return total


def _bound(instance: Instance, halves: int) -> Any:
    """Return the bound; the L1 distance is divided by `halves`, which should be 2."""
    model, other = instance.model, instance["other"]
    eps_r = sup_norm(model.r - other.r)
    apart = 1 - l1_distance(model.P, other.P) / halves
    gamma, H = model.gamma, model.steps
    steps = [gamma**h * (eps_r + (1 - apart**h) * span(model.reward(h))) for h in range(H)]
    return sum(steps) + gamma**H * (1 - apart**H) * span(model.last)  # (2)


def _range(instance: Instance) -> Any:
    model, other = instance.model, instance["other"]
    rewards = [np.concatenate([model.reward(h), other.reward(h)]) for h in range(model.steps)]
    total = sum(model.gamma**h * span(r) for h, r in enumerate(rewards))
    return total + model.gamma**model.steps * span(model.last)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(finite(rng, COUNTS[scale])):
        values = {"other": nearby(rng, model), "pi": random_policy(rng, model)}
        yield Instance(model, values, f"random {i}")


def _example() -> Instance:
    rng, model = np.random.default_rng(6), example(horizon=4)
    values = {"other": nearby(rng, model), "pi": random_policy(rng, model)}
    return Instance(model, values, "example")


_identity = Theorem(
    id="mdplib:finite_value_difference",
    statement=r"$V_0 - V'_0 = \sum_{h<H} \gamma^h E'_\pi[(r_h - r'_h)(s_h, a_h) "
    r"+ \gamma ((P - P') V_{h+1})(s_h, a_h)]$",
    source="Proof in the module",
    kind="identity",
    hypotheses=_HYPOTHESES,
    lhs=_difference,
    rhs=lambda instance: _through(instance, instance.model),
)
VALUE_DIFFERENCE = Entry(
    theorem=_identity,
    instances=_instances,
    tight=_example,
    tightness=0.99,
    mutant=_identity.mutant(
        statement="values of the other model inside",
        rhs=lambda instance: _through(instance, instance["other"]),
    ),
    broken=lambda: broken(_example()),
)

_lemma = Theorem(
    id="mdplib:finite_simulation_lemma",
    statement=r"$\|V_0 - V'_0\|_\infty \le \sum_{h<H} \gamma^h [\varepsilon_r + "
    r"(1 - (1-\varepsilon)^h) R_h] + \gamma^H (1 - (1-\varepsilon)^H) R_H$",
    source="Proof in the module",
    kind="inequality",
    hypotheses=_HYPOTHESES,
    lhs=lambda instance: sup_norm(_difference(instance)),
    rhs=lambda instance: _bound(instance, 2),
    trivial=_range,
)
SIMULATION_LEMMA = Entry(
    theorem=_lemma,
    instances=_instances,
    tight=lambda: leak(0.25, horizon=6),
    tightness=0.99,
    mutant=_lemma.mutant(
        statement="total variation halved once more", rhs=lambda instance: _bound(instance, 4)
    ),
    broken=lambda: broken(leak(0.25, horizon=6)),
)
