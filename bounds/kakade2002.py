r"""Performance difference lemma, discounted.

Problem
-------
Compare two stationary policies through the advantages of one of them.

Algorithm
---------
None.

Guarantee
---------
With A^mu(s, a) = Q^mu(s, a) - V^mu(s),

    V^pi - V^mu = (I - gamma P_pi)^{-1} sum_a pi(a | .) A^mu(., a).                           (1)

(I - gamma P_pi)(V^pi - V^mu) = r_pi - V^mu + gamma P_pi V^mu = sum_a pi(a | .) A^mu(., a).

Cost
----
Two linear solves.

Deviations
----------
The expectation is over the unnormalised discounted visits of pi, the policy whose advantages are
*not* taken. With the normalised visit distribution a factor 1 / (1 - gamma) appears in front.

References
----------
kakade2002, lemma 6.1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.arithmetic import average, policy_resolvent, policy_value, q_values
from bounds.hypotheses import DISCOUNT, DISTRIBUTION, policy
from bounds.instance import Instance
from bounds.model import Array
from bounds.random_models import COUNTS, broken_model, broken_values, discounted, example
from bounds.random_models import policy as random_policy
from bounds.theorem import Entry, Scale, Theorem


def _left(instance: Instance) -> Array:
    model = instance.model
    return policy_value(model, instance["pi"]) - policy_value(model, instance["mu"])


def _visits_times_advantage(instance: Instance, visitor: str) -> Array:
    model = instance.model
    V = policy_value(model, instance["mu"])
    advantage = q_values(model, V) - V[model.pair_state]
    mean = average(model, instance["pi"], advantage)
    return policy_resolvent(model, instance[visitor], mean)  # (1)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        values = {"pi": random_policy(rng, model), "mu": random_policy(rng, model)}
        yield Instance(model, values, f"random {i}")


def _tight() -> Instance:
    rng, model = np.random.default_rng(5), example()
    values = {"pi": random_policy(rng, model), "mu": random_policy(rng, model)}
    return Instance(model, values, "example")


def _broken() -> dict[str, Instance]:
    wrong = np.full(_tight().model.n_pairs, 0.75)
    return broken_model(_tight()) | broken_values(_tight(), {"pi": wrong, "mu": wrong})


_theorem = Theorem(
    id="kakade2002:performance_difference",
    statement=r"$V^\pi - V^\mu = (I - \gamma P_\pi)^{-1} \sum_a \pi(a|\cdot) A^\mu(\cdot, a)$",
    source="Lemma 6.1",
    kind="identity",
    hypotheses=(DISTRIBUTION, DISCOUNT, policy("pi"), policy("mu")),
    lhs=_left,
    rhs=lambda instance: _visits_times_advantage(instance, "pi"),
)
PERFORMANCE_DIFFERENCE = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="visits of mu in place of pi",
        rhs=lambda instance: _visits_times_advantage(instance, "mu"),
    ),
    broken=_broken,
)
