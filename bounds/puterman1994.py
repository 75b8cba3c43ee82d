r"""How many sweeps of value iteration suffice.

Problem
-------
Start value iteration at V. After how many sweeps is the iterate within eps of V*?

Algorithm
---------
The least m with

    gamma^m ||T V - V|| <= (1 - gamma) eps.                                                (1)

Guarantee
---------
||T^m V - V*|| <= gamma^m ||V - V*|| <= gamma^m ||T V - V|| / (1 - gamma) <= eps. Equality for
V = V* + c with c = gamma^{-m} eps. In closed form,
m = ceil(log(||T V - V|| / ((1 - gamma) eps)) / log(1 / gamma)).

Cost
----
One backup to know m.

Deviations
----------
m is found by multiplication, which does not round where the logarithms would.

References
----------
puterman1994, section 6.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import bellman, sup_norm
from bounds.hypotheses import DISCOUNT, DISTRIBUTION
from bounds.instance import Instance
from bounds.random_models import COUNTS, anchor, broken_model, broken_values, discounted, vector
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def sweeps(gamma: Any, residual: Any, target: Any) -> int:
    """Return the least m with gamma^m residual <= target.

    Parameters
    ----------
    gamma : float or Fraction
        Discount factor below one.
    residual : float or Fraction
        Norm of T V - V.
    target : float or Fraction
        (1 - gamma) eps, positive.

    Returns
    -------
    int
        Number of sweeps.

    Examples
    --------
    >>> sweeps(0.5, 16.0, 0.5)
    5
    """
    m = 0
    while residual > target:
        residual = gamma * residual
        m += 1
    return m  # (1)


def _after(instance: Instance, target: Any) -> Any:
    model, V = instance.model, instance["V"]
    for _ in range(sweeps(model.gamma, sup_norm(bellman(model, V) - V), target)):
        V = bellman(model, V)
    return sup_norm(V - instance.V_star)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        values = {"V": vector(rng, model.n_states), "eps": float(2.0 ** -rng.integers(0, 8))}
        yield Instance(model, values, f"random {i}")


def _tight() -> Instance:
    values = {"V": np.array([2.0, 1.0]) + 32.0, "eps": 1.0}
    return Instance(anchor(), values, "V = V* + 32 eps, gamma = 1/2")


_theorem = Theorem(
    id="puterman1994:sweeps",
    statement=r"$\|T^m V - V^*\|_\infty \le \varepsilon$ as soon as "
    r"$\gamma^m \|TV - V\|_\infty \le (1 - \gamma)\varepsilon$",
    source="Section 6.3",
    kind="inequality",
    hypotheses=(
        DISTRIBUTION,
        DISCOUNT,
        Hypothesis("eps", "eps > 0", lambda instance: bool(instance["eps"] > 0)),
    ),
    lhs=lambda instance: _after(instance, (1 - instance.model.gamma) * instance["eps"]),
    rhs=lambda instance: instance["eps"],
)
SWEEPS = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="(1 - gamma) dropped in the rule",
        lhs=lambda instance: _after(instance, instance["eps"]),
    ),
    broken=lambda: broken_model(_tight()) | broken_values(_tight(), {"eps": 0.0}),
)
