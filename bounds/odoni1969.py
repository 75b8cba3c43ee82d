r"""Bounds on the gain from one sweep of undiscounted value iteration.

Problem
-------
Average reward per step. Bracket the best gain g*, and the gain of the greedy policy, after one
backup of any V.

Algorithm
---------
With d = T V - V and pi greedy for V:

    min d <= g^pi <= g* <= max d                                                           (1)

Guarantee
---------
Let P* be the limit of the averages of the powers of P_pi, so P* P_pi = P* and g^pi = P* r_pi.
Then g^pi = P*(r_pi + P_pi V - V), and T_pi V = T V: so g^pi = P* d >= min d. For any policy,
r_pi + P_pi V - V <= d, so g^pi <= P* d <= max d. No assumption on the chains is needed: in a
multichain model (1) holds for every state, though no V makes it narrow. Equality where d is
constant.

Cost
----
One backup.

Deviations
----------
The gain of the greedy policy is bounded as well; multichain models are included.

References
----------
odoni1969; puterman1994, section 8.5.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.arithmetic import bellman, best_pairs, q_values
from bounds.hypotheses import DISTRIBUTION, UNDISCOUNTED
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import COUNTS, broken_model, ragged, vector
from bounds.theorem import Entry, Scale, Theorem
from bounds.undiscounted import STEPS, best_gain, policy_gain


def _left(instance: Instance) -> Array:
    model, V = instance.model, instance["V"]
    greedy = best_pairs(model, q_values(model, V))
    return np.stack([best_gain(model), -policy_gain(model, greedy)])


def _right(instance: Instance) -> Array:
    d = bellman(instance.model, instance["V"]) - instance["V"]
    return np.stack([np.full(d.size, d.max()), np.full(d.size, -d.min())])  # (1)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i in range(COUNTS[scale]):
        model = ragged(rng, n_states=int(rng.integers(2, 5)), gamma=1.0)
        values = {"V": vector(rng, model.n_states)}
        yield Instance(model, values, f"random {i}", steps=STEPS)


def _tight() -> Instance:
    """Wait for 1/4, or go round: nothing on the way out, 2 on the way back; gain 1."""
    model = Model([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0.25, 0.0, 2.0], [0, 2, 3], 1.0)
    return Instance(model, {"V": np.array([0.0, 1.0])}, "d is constant", steps=STEPS)


def _broken() -> dict[str, Instance]:
    sound = _tight()
    return {
        "distribution": broken_model(sound)["distribution"],
        "undiscounted": sound.with_model(sound.model.replace(gamma=0.5)),
    }


_theorem = Theorem(
    id="odoni1969:gain_bracket",
    statement=r"With $\pi$ greedy for $V$: $\min(TV - V) \le g^\pi \le g^* \le \max(TV - V)$",
    source="Bounds on the maximal gain; puterman1994, section 8.5; proof in the module",
    kind="inequality",
    hypotheses=(DISTRIBUTION, UNDISCOUNTED),
    lhs=_left,
    rhs=_right,
)
GAIN_BRACKET = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_theorem.mutant(
        statement="half the change in place of the change",
        rhs=lambda instance: _right(instance) / 2,
    ),
    broken=_broken,
)
