r"""Loss of the greedy policy from the Bellman residual.

Problem
-------
V is arbitrary; its residual d = T V - V is known. How much is lost by acting greedily for V?

Algorithm
---------
None.

Guarantee
---------
    V* - V^pi <= gamma / (1 - gamma) (max d - min d) <= 2 gamma / (1 - gamma) ||T V - V||     (1)

V* <= T V + gamma / (1 - gamma) max d and V^pi >= T V + gamma / (1 - gamma) min d: the brackets of
MacQueen for V* and, since T_pi V = T V, for V^pi. The first inequality is checked; it is attained
on the instance of singh1994.

Cost
----
One backup.

Deviations
----------
Stated with the span in place of twice the norm, which is sharper and implies the original.

References
----------
williams1993; puterman1994, section 6.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import bellman, span
from bounds.hypotheses import DISCOUNT, DISTRIBUTION
from bounds.instance import Instance
from bounds.random_models import COUNTS, broken_model, discounted
from bounds.singh1994 import approximate, greedy_loss, loss_range, tight
from bounds.theorem import Entry, Scale, Theorem


def _residual_span(instance: Instance) -> Any:
    return span(bellman(instance.model, instance["V"]) - instance["V"])


def _bound(instance: Instance) -> Any:
    gamma = instance.model.gamma
    return gamma / (1 - gamma) * _residual_span(instance)  # (1)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i, model in enumerate(discounted(rng, COUNTS[scale])):
        yield approximate(rng, model, i)


_theorem = Theorem(
    id="williams1993:residual_loss",
    statement=r"If $\pi$ is greedy for $V$, then $\|V^* - V^\pi\|_\infty \le "
    r"\frac{\gamma}{1-\gamma} \, \mathrm{span}(TV - V)$",
    source="Span form of the bound 2 gamma / (1 - gamma) times the residual",
    kind="inequality",
    hypotheses=(DISTRIBUTION, DISCOUNT),
    lhs=greedy_loss,
    rhs=_bound,
    trivial=loss_range,
)
RESIDUAL_LOSS = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="1 / (1 - gamma) dropped",
        rhs=lambda instance: instance.model.gamma * _residual_span(instance),
    ),
    broken=lambda: broken_model(tight()),
)
