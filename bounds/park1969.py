r"""A vector that a backup does not raise lies above the value.

Problem
-------
Largest probability V* to ever enter a target: the least non-negative fixed point of
(T u)(s) = max_k r_k + P_k u. Other fixed points may lie above it, so that T u = u proves nothing;
prove an upper bound nevertheless.

Algorithm
---------
None: a property of u.

    u >= 0 and T u <= u imply V* <= u                                                      (1)

Guarantee
---------
(1): T is monotone and 0 <= u, so T^n 0 <= T^n u <= u for all n, and T^n 0, the probability to
enter within n steps, rises to V*. End components do no harm. Equality for u = V*.

Cost
----
One backup.

Deviations
----------
The principle for monotone maps on lattices, stated for reachability.

References
----------
park1969; puterman1994, section 7.2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.arithmetic import bellman, q_values
from bounds.hypotheses import UNDISCOUNTED, Hypothesis
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import COUNTS, broken_values
from bounds.theorem import Entry, Scale, Theorem
from bounds.undiscounted import (
    REACHABILITY,
    STEPS,
    best_reach,
    constant,
    iterate,
    reachability,
)


def _inductive(instance: Instance) -> bool:
    u = instance["u"]
    return bool((u >= 0).all() and (bellman(instance.model, u) <= u).all())


def _worst(instance: Instance) -> Array:
    model = instance.model
    return np.minimum.reduceat(q_values(model, instance["u"]), model.state_ptr[:-1])


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i in range(COUNTS[scale]):
        model = reachability(rng, int(rng.integers(1, 5)))
        # T maps [0, 1] into itself, so iterates of 1 fall; few enough to be exact in floats.
        u = iterate(model, constant(model, 1), int(rng.integers(0, 7)))
        yield Instance(model, {"u": u}, f"random {i}", steps=STEPS)


def _tight() -> Instance:
    """Stay for ever, try once, or give up: T u = u for every u >= 1/2, and V* = 1/2."""
    model = Model([[1.0], [0.0], [0.0]], [0.0, 0.5, 0.0], [0, 3], 1.0)
    return Instance(model, {"u": np.array([0.5])}, "u = V*", steps=STEPS)


def _broken() -> dict[str, Instance]:
    sound = _tight()
    return {
        "reachability": sound.with_model(sound.model.replace(r=[0.5, 0.5, 0.0])),
        "undiscounted": sound.with_model(sound.model.replace(gamma=0.5)),
        "inductive": broken_values(sound, {"u": np.array([0.25])})["u"],
    }


_theorem = Theorem(
    id="park1969:induction",
    statement=r"If $u \ge 0$ and $Tu \le u$, then $V^* \le u$ for the least fixed point "
    r"$V^* = \lim_n T^n 0$",
    source="Fixpoint induction; proof in the module",
    kind="inequality",
    hypotheses=(
        REACHABILITY,
        UNDISCOUNTED,
        Hypothesis("inductive", "u >= 0 and T u <= u", _inductive),
    ),
    lhs=lambda instance: best_reach(instance.model),
    rhs=lambda instance: instance["u"],
)
INDUCTION = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="a backup with the worst action in place of u",
        rhs=_worst,
    ),
    broken=_broken,
)
