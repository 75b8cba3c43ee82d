r"""Sharp simulation lemma, by coupling the two chains.

Problem
-------
The classical bound (kearns2002) exceeds the range of the values as soon as eps_P is of order 1 -
gamma. Find the bound that never does.

Algorithm
---------
None.

Guarantee
---------
With eps_r = max |r - r'|, eps = max ||P_k - P'_k||_1 / 2 (total variation) and R = max r - min r,

    ||V_M - V_M'|| <= (eps_r + gamma eps R / (1 - gamma + gamma eps)) / (1 - gamma).         (1)

Run both chains from the same state under pi; while they agree, use the same action and a maximal
coupling of the successors. They still agree after t steps with probability at least (1 - eps)^t.
Then the rewards differ by at most eps_r, otherwise by at most eps_r + R, so the difference is at
most

    sum_t gamma^t [eps_r + (1 - (1 - eps)^t) R],                                            (2)

which sums to (1). Attained for every eps and gamma by an absorbing state of reward 1 that leaks
with probability eps to an absorbing state of reward 0.

Cost
----
Two linear solves.

Deviations
----------
Proved here. Since gamma eps >= 0 in the denominator, (1) implies the classical bound.

References
----------
kearns2002 for the classical form.
"""

from __future__ import annotations

from typing import Any

from bounds.arithmetic import sup_norm
from bounds.instance import Instance
from bounds.kearns2002 import (
    HYPOTHESES,
    broken,
    difference,
    difference_range,
    distances,
    leak,
    pairs_of_models,
)
from bounds.theorem import Entry, Theorem


def _bound(instance: Instance, halves: int) -> Any:
    """Return the bound; the L1 distance is divided by `halves`, which should be 2."""
    eps_r, eps_P, R = distances(instance)
    gamma, eps = instance.model.gamma, eps_P / halves
    return (eps_r + gamma * eps * R / (1 - gamma + gamma * eps)) / (1 - gamma)  # (1)  # (2)


_theorem = Theorem(
    id="mdplib:simulation_coupling",
    statement=r"$\|V^\pi_M - V^\pi_{M'}\|_\infty \le \frac{1}{1-\gamma} \left(\varepsilon_r + "
    r"\frac{\gamma \varepsilon R}{1 - \gamma + \gamma\varepsilon}\right)$, "
    r"$\varepsilon = \frac12 \max_k \|P_k - P'_k\|_1$",
    source="Proof in the module",
    kind="inequality",
    hypotheses=HYPOTHESES,
    lhs=lambda instance: sup_norm(difference(instance)),
    rhs=lambda instance: _bound(instance, 2),
    trivial=difference_range,
)
SIMULATION_COUPLING = Entry(
    theorem=_theorem,
    instances=pairs_of_models,
    tight=lambda: leak(0.25),
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="total variation halved once more", rhs=lambda instance: _bound(instance, 4)
    ),
    broken=lambda: broken(leak(0.25)),
)
