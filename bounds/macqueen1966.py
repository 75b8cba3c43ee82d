r"""Bounds on V* from one sweep of value iteration.

Problem
-------
After one backup T V of any V, bracket V* state by state.

Algorithm
---------
With d = T V - V:

    V* <= T V + gamma / (1 - gamma) max d                                                  (1)
    V* >= T V + gamma / (1 - gamma) min d                                                  (2)

Guarantee
---------
(1): T V <= V + max d; T is monotone and T(V + c) = T V + gamma c, so T^m V <= T V + (gamma + ... +
gamma^{m-1}) max d; let m grow. (2) likewise. Equality for V = V* + constant.

Cost
----
One backup.

Deviations
----------
Compared as V* - T V and T V - V*, so that lhs / rhs means something.

References
----------
macqueen1966; puterman1994, section 6.6.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.arithmetic import bellman
from bounds.hypotheses import DISCOUNT, DISTRIBUTION
from bounds.instance import Instance
from bounds.model import Array
from bounds.random_models import COUNTS, anchor, broken_model, discounted, vector
from bounds.theorem import Entry, Scale, Theorem


def _left(instance: Instance) -> Array:
    TV = bellman(instance.model, instance["V"])
    return np.stack([instance.V_star - TV, TV - instance.V_star])


def _right(instance: Instance) -> Array:
    gamma = instance.model.gamma
    return _widths(instance) * (gamma / (1 - gamma))


def _widths(instance: Instance) -> Array:
    d = bellman(instance.model, instance["V"]) - instance["V"]
    return np.stack([np.full(d.size, d.max()), np.full(d.size, -d.min())])  # (1)  # (2)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        yield Instance(model, {"V": vector(rng, model.n_states)}, f"random {i}")


def _tight() -> Instance:
    return Instance(anchor(), {"V": np.array([-2.0, -3.0])}, "V = V* - 4")


_theorem = Theorem(
    id="macqueen1966:bracket",
    statement=r"$TV + \frac{\gamma}{1-\gamma} \min(TV - V) \le V^* "
    r"\le TV + \frac{\gamma}{1-\gamma} \max(TV - V)$",
    source="Bounds of the modified method; puterman1994, section 6.6",
    kind="inequality",
    hypotheses=(DISTRIBUTION, DISCOUNT),
    lhs=_left,
    rhs=_right,
)
BRACKET = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="1 / (1 - gamma) dropped",
        rhs=lambda instance: instance.model.gamma * _widths(instance),
    ),
    broken=lambda: broken_model(_tight()),
)
