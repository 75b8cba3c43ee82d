r"""The lifted model and its values: choosing groups is again a Markov decision process.

Problem
-------
A policy inside the groups is fixed. What is a policy over the groups worth in the original model?

Algorithm
---------
Lift: the kernel and reward of a group are the means over its actions,

    P_mu(. | s, h) = sum_a mu(a | s, h) P(. | s, a),  r_mu(s, h) = sum_a mu(a | s, h) r(s, a). (1)

Compose: draw h from pi(. | s), then a from mu(. | s, h),

    (pi o mu)(a | s) = pi(g(s, a) | s) mu(a | s, g(s, a)).                                  (2)

Guarantee
---------
The composed policy is worth in the model what pi is worth in the lifted model,

    V^{pi o mu} = V^{pi}_mu.                                                                (3)

Both chains have the same kernel sum_h pi(h | s) P_mu(. | s, h) and the same rewards.

Drawing a from mu(. | s, h) and then s' from P(. | s, a) is therefore a generative model of the
lifted model, reward included.

Cost
----
One pass over the kernel; two linear solves.

Deviations
----------
The grouping may change with the state.

References
----------
li2024 for the setting; the proof is two lines.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array, Grouped, composed, policy_values
from bounds.li2024_setting import AFTER, SETTING, SOME, broken_of, draw_models
from bounds.theorem import Entry, Hypothesis, Scale, Theorem

ROUNDING = 1e-10


def _is_policy(case: Case) -> bool:
    pi, model = case["pi"], case["model"]
    member = model.group[..., None] == np.arange(model.n_groups)
    absent = ~member.any(1)
    return bool(
        pi.min() >= 0.0 and np.abs(pi.sum(1) - 1.0).max() <= ROUNDING and (pi[absent] == 0).all()
    )


HIGH = Hypothesis("pi", "pi is a policy over the groups that each state has", _is_policy)


def _original(case: Case) -> Array:
    model = case["model"]
    weight = composed(model, case["pi"])  # (2)
    return policy_values(model.P, model.r, model.gamma, weight)


def _lifted(case: Case, mu: Array | None = None) -> Array:
    model = case["model"]
    P_mu, r_mu = model.lifted(mu)  # (1)
    return policy_values(P_mu, r_mu, model.gamma, case["pi"])  # (3)


def _one_action(case: Case) -> Array:
    """Return the values when a group is taken for the likeliest of its actions."""
    model = case["model"]
    best = np.zeros_like(model.mu)
    for h in range(model.n_groups):
        inside = np.where(model.group == h, model.mu, -1.0)
        there = np.flatnonzero(inside.max(1) >= 0.0)
        best[there, inside[there].argmax(1)] = 1.0
    return _lifted(case, best)


def draw_policy(rng: np.random.Generator, model: Grouped) -> Array:
    """Return a random policy (S, m) over the groups that each state has."""
    member = (model.group[..., None] == np.arange(model.n_groups)).any(1)
    weight = np.where(member, rng.exponential(size=member.shape), 0.0)
    return weight / weight.sum(1, keepdims=True)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i, model in enumerate(draw_models(rng, SOME[scale])):
        yield Case({"model": model, "pi": draw_policy(rng, model)}, f"random {i}", ROUNDING)


def _tight() -> Case:
    rng = np.random.default_rng(7)
    (model,) = draw_models(rng, 1, shape=(4, 6, 3), gamma=0.9)
    return Case({"model": model, "pi": draw_policy(rng, model)}, "example", ROUNDING)


def _broken() -> dict[str, Case]:
    wrong = _tight().with_values({"pi": 0.5 * _tight()["pi"]})
    return broken_of(_tight(), SETTING) | {"pi": wrong}


_lemma = Theorem(
    id="li2024:lifting",
    statement=r"$V^{\pi \circ \mu} = V^{\pi}_{\mu}$: the composed policy is worth in the model "
    r"what $\pi$ is worth in the lifted model",
    source=AFTER,
    kind="identity",
    hypotheses=(*SETTING, HIGH),
    lhs=_original,
    rhs=_lifted,
)
LIFTING = Entry(
    theorem=_lemma,
    instances=_instances,
    tight=_tight,
    tightness=0.99,
    mutant=_lemma.mutant(
        statement="a group stands for the likeliest of its actions", rhs=_one_action
    ),
    broken=_broken,
)
