r"""Errors of backward induction add up.

Problem
-------
Backward induction with an error at every step: how far are the values from V*?

Algorithm
---------
None.

Guarantee
---------
With e_H = ||V_H - terminal|| and e_h = ||V_h - T_h V_{h+1}||,

    ||V_h - V*_h|| <= sum_{j >= h} gamma^{j-h} e_j.                                         (1)

||V_h - V*_h|| <= e_h + ||T_h V_{h+1} - T_h V*_{h+1}|| <= e_h + gamma ||V_{h+1} - V*_{h+1}||.
Attained when V_h - V*_h is a non-negative constant at each step.

Cost
----
One pass.

Deviations
----------
Proved here.

References
----------
bellman1957 for backward induction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import bellman, finite_optimal, sup_norm
from bounds.hypotheses import DISTRIBUTION, HORIZON
from bounds.instance import Instance
from bounds.model import Array
from bounds.random_models import COUNTS, broken_model, example, finite, vector
from bounds.theorem import Entry, Scale, Theorem


def _left(instance: Instance) -> Array:
    return np.abs(instance["V"] - instance.V_star).max(axis=1)


def _step_errors(instance: Instance) -> list[Any]:
    model, V = instance.model, instance["V"]
    errors = [sup_norm(V[h] - bellman(model, V[h + 1], h)) for h in range(model.steps)]
    return [*errors, sup_norm(V[-1] - model.last)]


def _right(instance: Instance) -> Array:
    total, sums = 0 * instance.model.gamma, []
    for error in reversed(_step_errors(instance)):
        total = error + instance.model.gamma * total  # (1)
        sums.append(total)
    return np.array(sums[::-1])


def _mutant_right(instance: Instance) -> Array:
    errors = _step_errors(instance)
    return np.array([max(errors[h:]) for h in range(len(errors))])


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(finite(rng, COUNTS[scale])):
        noise = vector(rng, model.steps + 1, model.n_states, scale=0.25)
        V = np.round(finite_optimal(model) * 256) / 256 + noise
        yield Instance(model, {"V": V}, f"random {i}")


def _tight() -> Instance:
    model = example(horizon=3)
    V = finite_optimal(model) + np.array([4.0, 3.0, 1.0, 0.5])[:, None]
    return Instance(model, {"V": V}, "V = V* + constants that grow backwards")


_theorem = Theorem(
    id="mdplib:finite_error_propagation",
    statement=r"$\|V_h - V^*_h\|_\infty \le \sum_{j \ge h} \gamma^{j-h} "
    r"\|V_j - T_j V_{j+1}\|_\infty$",
    source="Proof in the module",
    kind="inequality",
    hypotheses=(DISTRIBUTION, HORIZON),
    lhs=_left,
    rhs=_right,
)
ERROR_PROPAGATION = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(statement="largest error in place of the sum", rhs=_mutant_right),
    broken=lambda: broken_model(_tight()),
)
