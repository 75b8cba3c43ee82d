r"""Loss of the policy that is greedy for approximate values, finite horizon.

Problem
-------
V_h is within eps_h of V*_h for h = 1, ..., H. How much is lost by acting greedily for V_{h+1} at
step h?

Algorithm
---------
None.

Guarantee
---------
    V*_0 - V^pi_0 <= 2 sum_{h < H} gamma^{h+1} eps_{h+1}.                                    (1)

At step h the greedy action loses at most 2 gamma eps_{h+1} against V*; the performance difference
lemma adds the losses with weights gamma^h. Attained by the instance of singh1994, repeated H
times.

Cost
----
One pass.

Deviations
----------
Proved here. When the terminal rewards are known, eps_H = 0 and H - 1 terms remain: for gamma = 1
and constant eps the loss is at most 2 (H - 1) eps, not 2 H eps.

References
----------
singh1994 for the discounted form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import finite_greedy, finite_optimal, finite_policy_value, span
from bounds.hypotheses import DISTRIBUTION, HORIZON, within
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import COUNTS, broken_model, broken_values, finite, vector
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def _loss(instance: Instance) -> Array:
    model = instance.model
    policy = finite_greedy(model, instance["V"])
    return instance.V_star[0] - finite_policy_value(model, policy)[0]


def loss_range(instance: Instance) -> Any:
    """Return the most that any policy can lose over the horizon."""
    model = instance.model
    rewards = sum(model.gamma**h * span(model.reward(h)) for h in range(model.steps))
    return rewards + model.gamma**model.steps * span(model.last)


def _bound(instance: Instance) -> Any:
    gamma, eps = instance.model.gamma, instance["eps"]
    return 2 * sum(gamma ** (h + 1) * eps[h + 1] for h in range(instance.model.steps))  # (1)


def _close(instance: Instance) -> bool:
    off = np.abs(instance["V"] - instance.V_star).max(axis=1) - instance["eps"]
    return within(off[1:].max(), 0, instance)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(finite(rng, COUNTS[scale])):
        V_star = finite_optimal(model)
        noise = vector(rng, *V_star.shape, scale=float(2.0 ** -rng.integers(1, 5)))
        V = np.round(V_star * 256) / 256 + noise
        eps = np.ceil(np.abs(V - V_star).max(axis=1) * 1024) / 1024
        yield Instance(model, {"V": V, "eps": eps}, f"random {i}")


def _tight() -> Instance:
    H = 5
    P = [[1.0, 0, 0], [0, 1.0, 0], [1.0, 0, 0], [0, 0, 1.0]]
    model = Model(P, [0.0, -2.0, 0.0, 10.0], [0, 1, 3, 4], 1.0, H)
    V = np.stack([np.array([-1.0, 1.0, 10.0 * (H - h)]) for h in range(H + 1)])
    return Instance(model, {"V": V, "eps": np.ones(H + 1)}, "stay or go, tied at each step")


_theorem = Theorem(
    id="mdplib:finite_greedy_loss",
    statement=r"If $\|V_h - V^*_h\|_\infty \le \varepsilon_h$ and $\pi_h$ is greedy for $V_{h+1}$, "
    r"then $\|V^*_0 - V^\pi_0\|_\infty \le 2 \sum_{h<H} \gamma^{h+1} \varepsilon_{h+1}$",
    source="Proof in the module",
    kind="inequality",
    hypotheses=(
        DISTRIBUTION,
        HORIZON,
        Hypothesis("eps", "V_h is within eps_h of V*_h for h >= 1", _close),
    ),
    lhs=_loss,
    rhs=_bound,
    trivial=loss_range,
    sensitivity=lambda instance: 1.0 + 2.0 * instance.model.steps,
)
GREEDY_LOSS = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="the factor 2 dropped", rhs=lambda instance: _bound(instance) / 2
    ),
    broken=lambda: broken_model(_tight()) | broken_values(_tight(), {"eps": np.full(6, 0.75)}),
)
