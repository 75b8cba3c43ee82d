r"""Simulation lemma: how far the value of a policy moves when the model moves.

Problem
-------
Two discounted models M and M' with the same pairs, one policy pi. Bound V^pi_M - V^pi_M'.

Algorithm
---------
None.

Guarantee
---------
    V_M - V_M' = (I - gamma P'_pi)^{-1} [(r - r')_pi + gamma ((P - P') V_M)_pi]               (1)
    ||V_M - V_M'|| <= eps_r / (1 - gamma) + gamma R eps_P / (2 (1 - gamma)^2)               (2)

with eps_r = max |r - r'|, eps_P = max ||P_k - P'_k||_1 and R = max r - min r. (1): multiply by
I - gamma P'_pi and use V_M = r_pi + gamma P_pi V_M. (2): a row difference sums to zero, so
|(P_k - P'_k) V_M| <= eps_P span(V_M) / 2, span(V_M) <= R / (1 - gamma), and the resolvent has norm
1 / (1 - gamma).

Cost
----
Two linear solves.

Deviations
----------
The source states an order of magnitude. Texts differ by a factor 2 in the last term of (2)
according to whether they use the largest value or half the span; half the span is used here. (2)
is attained in the limit eps_P -> 0 by an absorbing state of reward 1 that leaks to one of reward
0, and for every eps_P after the correction of `bounds.simulation_coupling`.

References
----------
kearns2002, lemma 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import average, l1_distance, policy_resolvent, policy_value, span, sup_norm
from bounds.hypotheses import DISCOUNT, DISTRIBUTION, policy, second_model
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import COUNTS, broken_model, discounted, example, nearby
from bounds.random_models import policy as random_policy
from bounds.theorem import Entry, Scale, Theorem

HYPOTHESES = (DISTRIBUTION, DISCOUNT, second_model("other"), policy("pi"))


def difference(instance: Instance) -> Array:
    """Return V^pi of the model minus V^pi of the other model, (S,)."""
    pi = instance["pi"]
    return policy_value(instance.model, pi) - policy_value(instance["other"], pi)


def distances(instance: Instance) -> tuple[Any, Any, Any]:
    """Return eps_r, eps_P (L1, not halved) and the range R of the rewards."""
    model, other = instance.model, instance["other"]
    return sup_norm(model.r - other.r), l1_distance(model.P, other.P), span(model.r)


def difference_range(instance: Instance) -> Any:
    """Return the bound on the difference that holds for any two models."""
    rewards = np.concatenate([instance.model.r, instance["other"].r])
    return span(rewards) / (1 - instance.model.gamma)


def leak(probability: float, horizon: int | None = None) -> Instance:
    """Return an absorbing state of reward 1 that leaks, in the other model, to one of reward 0."""
    gamma = 0.5 if horizon is None else 1.0
    model = Model([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0], [0, 1, 2], gamma, horizon)
    other = model.replace(P=[[1 - probability, probability], [0.0, 1.0]])
    pi = np.ones(2) if horizon is None else np.ones((horizon, 2))
    return Instance(model, {"other": other, "pi": pi}, f"leak {probability:.3g}")


def pairs_of_models(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    """Draw a model, another one nearby and a policy."""
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        values = {"other": nearby(rng, model), "pi": random_policy(rng, model)}
        yield Instance(model, values, f"random {i}")


def broken(instance: Instance) -> dict[str, Instance]:
    """Return one copy per hypothesis of this file, each with that hypothesis broken."""
    other = instance["other"]
    worse = broken_model(instance.with_model(other))["distribution"].model
    return broken_model(instance) | {
        "other": instance.with_values({"other": worse}),
        "pi": instance.with_values({"pi": instance["pi"] / 2}),
    }


def _through(instance: Instance, source: Model) -> Array:
    """Return the right side of (1) with the value of the given model inside."""
    model, other, pi = instance.model, instance["other"], instance["pi"]
    V = policy_value(source, pi)
    gain = model.r - other.r + model.gamma * ((model.P - other.P) @ V)
    return policy_resolvent(other, pi, average(model, pi, gain))  # (1)


def _bound(instance: Instance, power: int) -> Any:
    eps_r, eps_P, R = distances(instance)
    gamma = instance.model.gamma
    return eps_r / (1 - gamma) + gamma * R * eps_P / (2 * (1 - gamma) ** power)  # (2)


def _example() -> Instance:
    rng, model = np.random.default_rng(6), example()
    values = {"other": nearby(rng, model), "pi": random_policy(rng, model)}
    return Instance(model, values, "example")


_identity = Theorem(
    id="kearns2002:value_difference",
    statement=r"$V^\pi_M - V^\pi_{M'} = (I - \gamma P'_\pi)^{-1} "
    r"[(r - r')_\pi + \gamma ((P - P') V^\pi_M)_\pi]$",
    source="Identity behind lemma 4; proof in the module",
    kind="identity",
    hypotheses=HYPOTHESES,
    lhs=difference,
    rhs=lambda instance: _through(instance, instance.model),
)
VALUE_DIFFERENCE = Entry(
    theorem=_identity,
    instances=pairs_of_models,
    tight=_example,
    tightness=0.99,
    mutant=_identity.mutant(
        statement="value of the other model inside",
        rhs=lambda instance: _through(instance, instance["other"]),
    ),
    broken=lambda: broken(_example()),
)

_lemma = Theorem(
    id="kearns2002:simulation_lemma",
    statement=r"$\|V^\pi_M - V^\pi_{M'}\|_\infty \le \frac{\varepsilon_r}{1-\gamma} "
    r"+ \frac{\gamma R}{2 (1-\gamma)^2} \max_k \|P_k - P'_k\|_1$",
    source="Lemma 4, with constants; proof in the module",
    kind="inequality",
    hypotheses=HYPOTHESES,
    lhs=lambda instance: sup_norm(difference(instance)),
    rhs=lambda instance: _bound(instance, 2),
    trivial=difference_range,
)
SIMULATION_LEMMA = Entry(
    theorem=_lemma,
    instances=pairs_of_models,
    tight=lambda: leak(2.0**-20),
    tightness=0.99,
    mutant=_lemma.mutant(
        statement="one factor 1 / (1 - gamma) dropped", rhs=lambda instance: _bound(instance, 1)
    ),
    broken=lambda: broken(leak(2.0**-20)),
)
