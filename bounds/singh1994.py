r"""Loss of the policy that is greedy for an approximate value.

Problem
-------
V is within eps of V*. How much is lost by acting greedily for V?

Algorithm
---------
None.

Guarantee
---------
If ||V - V*|| <= eps and pi is greedy for V, then

    V* - V^pi <= 2 gamma eps / (1 - gamma).                                                (1)

T_pi V = T V, so V* - T_pi V* = (T V* - T V) + (T_pi V - T_pi V*) <= 2 gamma eps, and
V* - V^pi = (I - gamma P_pi)^{-1} (V* - T_pi V*). Attained: state 1 may stay for -2 gamma eps or go
to state 0, which is absorbing and free; V errs by -eps at 0 and +eps at 1, the two actions tie,
and ties go to staying.

Cost
----
One backup.

Deviations
----------
The bound holds for every way of breaking ties; it is attained by an unfavourable one. For an
approximate Q within eps of Q* the constant is 2 eps / (1 - gamma), without gamma: the two are often
confused.

References
----------
singh1994.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import greedy, optimal_value, policy_value, span, sup_norm
from bounds.hypotheses import DISCOUNT, DISTRIBUTION, within
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import COUNTS, broken_model, broken_values, discounted, vector
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def greedy_loss(instance: Instance) -> Array:
    """Return V* - V^pi, (S,), for pi greedy with respect to the parameter V."""
    model = instance.model
    return instance.V_star - policy_value(model, greedy(model, instance["V"]))


def loss_range(instance: Instance) -> Any:
    """Return the most that any policy can lose: span(r) / (1 - gamma)."""
    return span(instance.model.r) / (1 - instance.model.gamma)


def approximate(rng: np.random.Generator, model: Model, i: int) -> Instance:
    """Return an instance whose V is off by at most its eps; both are dyadic."""
    V_star = optimal_value(model)
    scale = float(2.0 ** -rng.integers(1, 5))
    V = np.round(V_star * 256) / 256 + vector(rng, model.n_states, scale=scale)
    eps = np.ceil(sup_norm(V - V_star) * 1024) / 1024
    return Instance(model, {"V": V, "eps": float(eps)}, f"random {i}")


def tight() -> Instance:
    """Return the instance that attains the bound, eps = 1 and gamma = 7/8."""
    gamma, eps = 0.875, 1.0
    P = [[1.0, 0, 0], [0, 1.0, 0], [1.0, 0, 0], [0, 0, 1.0]]
    model = Model(P, [0.0, -2 * gamma * eps, 0.0, 10.0], [0, 1, 3, 4], gamma)
    return Instance(model, {"V": np.array([-eps, eps, 80.0]), "eps": eps}, "stay or go, tied")


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        yield approximate(rng, model, i)


def _bound(instance: Instance) -> Any:
    gamma = instance.model.gamma
    return 2 * gamma * instance["eps"] / (1 - gamma)  # (1)


_theorem = Theorem(
    id="singh1994:greedy_loss",
    statement=r"If $\|V - V^*\|_\infty \le \varepsilon$ and $\pi$ is greedy for $V$, then "
    r"$\|V^* - V^\pi\|_\infty \le 2\gamma\varepsilon/(1-\gamma)$",
    source="Upper bound on the loss of the greedy policy",
    kind="inequality",
    hypotheses=(
        DISTRIBUTION,
        DISCOUNT,
        Hypothesis(
            "eps",
            "V is within eps of V*",
            lambda instance: within(
                sup_norm(instance["V"] - instance.V_star), instance["eps"], instance
            ),
        ),
    ),
    lhs=greedy_loss,
    rhs=_bound,
    trivial=loss_range,
    sensitivity=lambda instance: 1.0 + 2.0 / (1.0 - float(instance.model.gamma)),
)
GREEDY_LOSS = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="gamma in place of 2 gamma", rhs=lambda instance: _bound(instance) / 2
    ),
    broken=lambda: broken_model(tight()) | broken_values(tight(), {"eps": 0.75}),
)
