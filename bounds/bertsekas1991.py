r"""Without discounting, a fixed point is the optimal value if every policy comes to an end.

Problem
-------
Largest expected total reward V*, of either sign, until the states are left; rows may sum to less
than one, the rest leads to the end. A policy is proper if it ends with probability one.

Algorithm
---------
With (T V)(s) = max_k r_k + P_k V and tau the largest expected number of steps to the end:

    |V - V*| <= tau max |T V - V|                                                          (1)

so V = T V if and only if V = V*.

Guarantee
---------
Let every policy be proper, e = max |T V - V|; tau(s) = 1 + max_k P_k tau. Then
T(V + e tau) <= T V + e max_k P_k tau <= V + e tau, and T_pi^n (V + e tau) tends to V^pi for every
policy, as P_pi^n tends to 0: V* <= V + e tau. For pi greedy for V likewise
T_pi (V - e tau) >= V - e tau, hence V - e tau <= V^pi <= V*. For e = 0 the second half needs only
the greedy policy to be proper, and the first holds for every proper policy: then V is the best
value among them, whatever the others do. Equality for one state.

Cost
----
One backup, once tau is known.

Deviations
----------
A bound for any V instead of uniqueness alone.

References
----------
bertsekas1991; puterman1994, section 7.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bounds.arithmetic import bellman, sup_norm
from bounds.hypotheses import UNDISCOUNTED, Hypothesis
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import COUNTS, vector
from bounds.theorem import Entry, Scale, Theorem
from bounds.undiscounted import (
    NO_END_COMPONENT,
    STEPS,
    best_total,
    constant,
    has_end_component,
    reachability,
)


def _is_substochastic(instance: Instance) -> bool:
    P = instance.model.P
    return bool((P >= 0).all() and (P.sum(axis=1) <= 1).all())


def _residual(instance: Instance) -> Any:
    return sup_norm(bellman(instance.model, instance["V"]) - instance["V"])


def _steps(model: Model) -> Array:
    """Return the largest expected number of steps to the end."""
    ones = constant(model, 1)[model.pair_state]
    return best_total(model.replace(r=ones))


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    found = 0
    while found < COUNTS[scale]:
        model = reachability(rng, int(rng.integers(1, 5)))
        if not has_end_component(model):
            model = model.replace(r=vector(rng, model.n_pairs, scale=1.0))
            values = {"V": vector(rng, model.n_states)}
            yield Instance(model, values, f"random {found}", steps=STEPS)
            found += 1


def _tight() -> Instance:
    model = Model([[0.5]], [1.0], [0, 1], 1.0)
    return Instance(model, {"V": np.array([4.0])}, "one state, V = V* + 2", steps=STEPS)


def _broken() -> dict[str, Instance]:
    sound = _tight()
    return {
        "substochastic": sound.with_model(sound.model.replace(P=[[1.25]])),
        "undiscounted": sound.with_model(sound.model.replace(gamma=0.5)),
        "end_component": sound.with_model(sound.model.replace(P=[[1.0]])),
    }


_theorem = Theorem(
    id="bertsekas1991:proper_policy",
    statement=r"If every policy is proper, $|V - V^*| \le \tau \|TV - V\|_\infty$ with $\tau$ the "
    r"largest expected number of steps; so $V = TV$ if and only if $V = V^*$",
    source="Uniqueness of the solution of Bellman's equation; proof in the module",
    kind="inequality",
    hypotheses=(
        Hypothesis("substochastic", "P >= 0 with row sums of at most one", _is_substochastic),
        UNDISCOUNTED,
        NO_END_COMPONENT,
    ),
    lhs=lambda instance: np.abs(instance["V"] - best_total(instance.model)),
    rhs=lambda instance: _steps(instance.model) * _residual(instance),  # (1)
)
PROPER_POLICY = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="the number of steps dropped",
        rhs=lambda instance: constant(instance.model, 1) * _residual(instance),
    ),
    broken=_broken,
)
