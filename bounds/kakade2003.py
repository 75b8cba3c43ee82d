r"""Performance difference lemma, finite horizon.

Problem
-------
Compare two Markov policies over H steps through the advantages of one of them.

Algorithm
---------
None.

Guarantee
---------
With d_0 = I, d_{h+1} = d_h P_{pi_h} (laws of the state at step h, one row per first state) and
A^mu_h(s, a) = Q^mu_h(s, a) - V^mu_h(s),

    V^pi_0 - V^mu_0 = sum_{h < H} gamma^h d_h sum_a pi_h(a | .) A^mu_h(., a).                 (1)

V^pi_h - V^mu_h = sum_a pi_h(a | .) A^mu_h(., a) + gamma P_{pi_h} (V^pi_{h+1} - V^mu_{h+1}), and the
difference is zero at H.

Cost
----
H products of S x S matrices.

Deviations
----------
The visits are those of pi, the advantages those of mu.

References
----------
kakade2003, lemma 5.2.1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.arithmetic import average, finite_policy_value, identity, q_values, zeros
from bounds.hypotheses import DISTRIBUTION, HORIZON, policy
from bounds.instance import Instance
from bounds.model import Array
from bounds.random_models import COUNTS, broken_model, broken_values, example, finite
from bounds.random_models import policy as random_policy
from bounds.theorem import Entry, Scale, Theorem


def _left(instance: Instance) -> Array:
    model = instance.model
    return (
        finite_policy_value(model, instance["pi"])[0]
        - finite_policy_value(model, instance["mu"])[0]
    )


def _visits_times_advantage(instance: Instance, visitor: str) -> Array:
    model, pi, moves = instance.model, instance["pi"], instance[visitor]
    V = finite_policy_value(model, instance["mu"])
    law, total = identity(model), zeros(model, model.n_states)
    for h in range(model.steps):
        advantage = q_values(model, V[h + 1], h) - V[h][model.pair_state]
        total = total + model.gamma**h * (law @ average(model, pi[h], advantage))  # (1)
        law = law @ average(model, moves[h], model.P)
    return total


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(finite(rng, COUNTS[scale])):
        values = {"pi": random_policy(rng, model), "mu": random_policy(rng, model)}
        yield Instance(model, values, f"random {i}")


def _tight() -> Instance:
    rng, model = np.random.default_rng(5), example(horizon=4)
    values = {"pi": random_policy(rng, model), "mu": random_policy(rng, model)}
    return Instance(model, values, "example")


def _broken() -> dict[str, Instance]:
    wrong = _tight()["pi"] + 0.25
    return broken_model(_tight()) | broken_values(_tight(), {"pi": wrong, "mu": wrong})


_theorem = Theorem(
    id="kakade2003:finite_performance_difference",
    statement=r"$V^\pi_0 - V^\mu_0 = \sum_{h<H} \gamma^h E_\pi[A^\mu_h(s_h, a_h)]$",
    source="Lemma 5.2.1",
    kind="identity",
    hypotheses=(DISTRIBUTION, HORIZON, policy("pi"), policy("mu")),
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
