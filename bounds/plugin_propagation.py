r"""Planning in a wrong model, without probability.

Problem
-------
A model and an estimate of its transitions; pihat is optimal in the estimate. How much does it lose?

Algorithm
---------
None.

Guarantee
---------
With e = max_k |(Phat_k - P_k) V*|,

    V* - V^pihat <= 2 gamma e / (1 - gamma)^2.                                             (1)

Proof in `bounds.plugin`. Attained in the limit q -> 0 by the instance of `_chain`: the estimate is
pessimistic wherever the optimal policy goes and optimistic wherever the other one seems to lead,
both errors accumulate over the horizon 1 / (1 - gamma), and in truth the wrong action is repeated
for ever.

Cost
----
One plan.

Deviations
----------
Proved here.

References
----------
kearns1999; singh1994.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import sup_norm
from bounds.hypotheses import DISCOUNT, DISTRIBUTION, second_model
from bounds.instance import Instance
from bounds.model import Model
from bounds.plugin import loss_range, policy_loss
from bounds.random_models import COUNTS, broken_model, discounted, nearby
from bounds.theorem import Entry, Scale, Theorem


def _chain() -> Instance:
    """Return the instance that attains (1) as q -> 0, here q = 2^-12, gamma = 1/2, e = 1.

    State 0 stays (pair 0) or goes to state 1 for nothing (pair 1). States 1 and 2 are worth 0,
    3 is worth U = 1 / q and 4 is worth -U. In the estimate, staying and state 2 lead to 2, or with
    probability q to 3; going and state 1 lead to 1, or with probability q to 4.
    """
    gamma, q = 0.5, 2.0**-12
    error = gamma / (1 - gamma * (1 - q))
    r = [-2 * error + 2.0**-20, 0.0, 0.0, 0.0, (1 - gamma) / q, -(1 - gamma) / q]
    P, estimate = np.zeros((6, 5)), np.zeros((6, 5))
    P[[0, 1, 2, 3, 4, 5], [0, 1, 1, 2, 3, 4]] = 1.0
    estimate[[0, 3], 2] = estimate[[1, 2], 1] = 1 - q
    estimate[[0, 3], 3] = estimate[[1, 2], 4] = q
    estimate[4, 3] = estimate[5, 4] = 1.0
    model = Model(P, r, [0, 2, 3, 4, 5, 6], gamma)
    return Instance(model, {"estimate": model.replace(P=estimate)}, "optimism and pessimism leak")


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        estimate = model.replace(P=nearby(rng, model, share=0.5).P)
        yield Instance(model, {"estimate": estimate}, f"random {i}")


def _bound(instance: Instance, power: int) -> Any:
    model, estimate = instance.model, instance["estimate"]
    e = sup_norm((estimate.P - model.P) @ instance.V_star)
    return 2 * model.gamma * e / (1 - model.gamma) ** power  # (1)


def _broken_chain() -> dict[str, Instance]:
    sound = _chain()
    estimate = sound["estimate"]
    return broken_model(sound) | {
        "estimate": sound.with_values({"estimate": estimate.replace(P=estimate.P / 2)})
    }


_theorem = Theorem(
    id="mdplib:plugin_propagation",
    statement=r"$\|V^* - V^{\hat\pi}\|_\infty \le \frac{2\gamma}{(1-\gamma)^2} "
    r"\|(\hat P - P) V^*\|_\infty$",
    source="Proof in the module",
    kind="inequality",
    hypotheses=(DISTRIBUTION, DISCOUNT, second_model("estimate")),
    lhs=policy_loss,
    rhs=lambda instance: _bound(instance, 2),
    trivial=loss_range,
    sensitivity=lambda instance: 8.0 / (1.0 - float(instance.model.gamma)) ** 2,
)
PROPAGATION = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_chain,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="one factor 1 / (1 - gamma) dropped",
        rhs=lambda instance: _bound(instance, 1),
    ),
    broken=_broken_chain,
)
