r"""Contraction of the Bellman operators, and what follows from it.

Problem
-------
Discounted model; T is the optimality operator, T_pi that of a policy; the norm is the largest
absolute entry.

Algorithm
---------
None: these are properties.

Guarantee
---------
    ||T V - T W|| <= gamma ||V - W||                                                       (1)
    ||T_pi V - T_pi W|| <= gamma ||V - W||                                                 (2)
    ||V - V*|| <= ||T V - V|| / (1 - gamma)                                                (3)
    ||T^m V - V*|| <= gamma^m ||V - V*||                                                   (4)

(1): max_k a_k - max_k b_k <= max_k (a_k - b_k), and P_k (V - W) <= ||V - W|| because a row is a
distribution. (2) likewise. (3): ||V - V*|| <= ||V - T V|| + ||T V - T V*||; hence V = T V if and
only if V = V*. (4): (1) m times with W = V* = T V*. All are attained by V = W + constant.

Cost
----
One backup, m in (4).

Deviations
----------
None.

References
----------
denardo1967; puterman1994, section 6.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import bellman, policy_backup, sup_norm
from bounds.hypotheses import DISCOUNT, DISTRIBUTION, policy
from bounds.instance import Instance
from bounds.model import Array
from bounds.random_models import (
    COUNTS,
    anchor,
    broken_model,
    broken_values,
    discounted,
    vector,
)
from bounds.random_models import policy as random_policy
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        V, W = vector(rng, model.n_states), vector(rng, model.n_states)
        values = {"V": V, "W": W, "pi": random_policy(rng, model), "m": int(rng.integers(0, 6))}
        yield Instance(model, values, f"random {i}")


def _tight() -> Instance:
    V_star = np.array([2.0, 1.0])
    values = {"V": V_star + 3.0, "W": V_star, "pi": np.array([1.0, 0.5, 0.5]), "m": 3}
    return Instance(anchor(), values, "V = V* + constant")


def _distance(instance: Instance) -> Any:
    return sup_norm(instance["V"] - instance["W"])


def _contraction_left(instance: Instance) -> Any:
    model = instance.model
    return sup_norm(bellman(model, instance["V"]) - bellman(model, instance["W"]))


def _policy_left(instance: Instance) -> Any:
    model, pi = instance.model, instance["pi"]
    left, right = (policy_backup(model, pi, instance[name]) for name in ("V", "W"))
    return sup_norm(left - right)


def _iterate(instance: Instance) -> Array:
    V = instance["V"]
    for _ in range(instance["m"]):
        V = bellman(instance.model, V)
    return V


def _residual(instance: Instance) -> Any:
    return sup_norm(bellman(instance.model, instance["V"]) - instance["V"])


def _broken() -> dict[str, Instance]:
    return broken_model(_tight())


def _broken_policy() -> dict[str, Instance]:
    return _broken() | broken_values(_tight(), {"pi": np.array([1.0, 0.5, 1.0])})


def _broken_power() -> dict[str, Instance]:
    return _broken() | broken_values(_tight(), {"m": -1})


_contraction = Theorem(
    id="denardo1967:contraction",
    statement=r"$\|TV - TW\|_\infty \le \gamma \|V - W\|_\infty$",
    source="Contraction property",
    kind="inequality",
    hypotheses=(DISTRIBUTION, DISCOUNT),
    lhs=_contraction_left,
    rhs=lambda instance: instance.model.gamma * _distance(instance),  # (1)
)
CONTRACTION = Entry(
    theorem=_contraction,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_contraction.mutant(
        statement="gamma squared in place of gamma",
        rhs=lambda instance: instance.model.gamma**2 * _distance(instance),
    ),
    broken=_broken,
)

_policy_contraction = Theorem(
    id="denardo1967:policy_contraction",
    statement=r"$\|T_\pi V - T_\pi W\|_\infty \le \gamma \|V - W\|_\infty$",
    source="Contraction property",
    kind="inequality",
    hypotheses=(DISTRIBUTION, DISCOUNT, policy("pi")),
    lhs=_policy_left,
    rhs=lambda instance: instance.model.gamma * _distance(instance),  # (2)
)
POLICY_CONTRACTION = Entry(
    theorem=_policy_contraction,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_policy_contraction.mutant(
        statement="gamma squared in place of gamma",
        rhs=lambda instance: instance.model.gamma**2 * _distance(instance),
    ),
    broken=_broken_policy,
)

_residual_bound = Theorem(
    id="denardo1967:residual_bound",
    statement=r"$\|V - V^*\|_\infty \le \|TV - V\|_\infty / (1 - \gamma)$; "
    r"so $V = TV$ if and only if $V = V^*$",
    source="Fixed point of a contraction; puterman1994, section 6.2",
    kind="inequality",
    hypotheses=(DISTRIBUTION, DISCOUNT),
    lhs=lambda instance: sup_norm(instance["V"] - instance.V_star),
    rhs=lambda instance: _residual(instance) / (1 - instance.model.gamma),  # (3)
)
RESIDUAL_BOUND = Entry(
    theorem=_residual_bound,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_residual_bound.mutant(statement="1 / (1 - gamma) dropped", rhs=_residual),
    broken=_broken,
)


def _geometric_right(instance: Instance) -> Any:
    return instance.model.gamma ** instance["m"] * sup_norm(instance["V"] - instance.V_star)


_geometric = Theorem(
    id="denardo1967:geometric",
    statement=r"$\|T^m V - V^*\|_\infty \le \gamma^m \|V - V^*\|_\infty$",
    source="Fixed point of a contraction; puterman1994, section 6.3",
    kind="inequality",
    hypotheses=(
        DISTRIBUTION,
        DISCOUNT,
        Hypothesis("m", "m >= 0 sweeps", lambda instance: instance["m"] >= 0),
    ),
    lhs=lambda instance: sup_norm(_iterate(instance) - instance.V_star),
    rhs=_geometric_right,  # (4)
    sensitivity=lambda instance: 2.0,
)
GEOMETRIC = Entry(
    theorem=_geometric,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_geometric.mutant(
        statement="gamma to the power m + 1",
        rhs=lambda instance: instance.model.gamma * _geometric_right(instance),
    ),
    broken=_broken_power,
)
