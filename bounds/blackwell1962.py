r"""Stationary deterministic policies suffice, and their best value solves the optimality equation.

Problem
-------
Discounted model with finitely many stationary deterministic policies.

Algorithm
---------
Enumeration of all of them: small models only.

Guarantee
---------
With U(s) = max over stationary deterministic pi of V^pi(s),

    V* = U,                                                                                (1)
    T U = U.                                                                               (2)

One policy attains all the maxima at once: policy improvement from any policy is monotone in every
state and stops only where T V = V, whose solution is unique.

Cost
----
One linear solve per policy; the number of policies is the product of the numbers of actions.

Deviations
----------
None.

References
----------
blackwell1962; puterman1994, section 6.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from bounds.arithmetic import bellman, indicator, policy_value
from bounds.hypotheses import DISCOUNT, DISTRIBUTION
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import COUNTS, DISCOUNTS, broken_model, example, ragged
from bounds.theorem import Entry, Scale, Theorem


def values_of_all(model: Model) -> Array:
    """Return V^pi for every stationary deterministic policy, (n_policies, S).

    Parameters
    ----------
    model : Model
        Discounted, with few policies.

    Returns
    -------
    (n_policies, S) ndarray
        In the arithmetic of the model.

    Examples
    --------
    >>> values_of_all(Model([[1.0], [1.0]], [0.0, 1.0], [0, 2], 0.5))
    array([[0.],
           [2.]])
    """
    choices = [range(a, b) for a, b in itertools.pairwise(model.state_ptr.tolist())]
    values = [
        policy_value(model, indicator(model, np.array(pair)))
        for pair in itertools.product(*choices)
    ]
    return np.stack(values)


def _left(instance: Instance) -> Array:
    best = values_of_all(instance.model).max(axis=0)
    return np.concatenate([instance.V_star, bellman(instance.model, best)])  # (2)


def _right(instance: Instance) -> Array:
    best = values_of_all(instance.model).max(axis=0)
    return np.concatenate([best, best])  # (1)


def _mutant_right(instance: Instance) -> Array:
    worst = values_of_all(instance.model).min(axis=0)
    return np.concatenate([worst, worst])


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i in range(COUNTS[scale]):
        model = ragged(rng, n_states=3, gamma=DISCOUNTS[i % len(DISCOUNTS)])
        yield Instance(model, label=f"random {i}")


def _tight() -> Instance:
    return Instance(example(), label="example")


_theorem = Theorem(
    id="blackwell1962:optimality_equation",
    statement=r"$V^* = \max_\pi V^\pi$ over stationary deterministic policies, and $TV^* = V^*$",
    source="Optimality of stationary policies; puterman1994, section 6.2",
    kind="identity",
    hypotheses=(DISTRIBUTION, DISCOUNT),
    lhs=_left,
    rhs=_right,
)
OPTIMALITY_EQUATION = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(statement="the worst policy in place of the best", rhs=_mutant_right),
    broken=lambda: broken_model(_tight()),
)
