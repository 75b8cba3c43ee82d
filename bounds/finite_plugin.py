r"""Planning in the empirical model over H steps, with explicit constants.

Problem
-------
One kernel serves H steps; each pair is sampled n times; pihat is optimal in the empirical model.

Algorithm
---------
With B_h >= span(V*_h) and beta_h = B_h sqrt(log(2 K H / delta) / (2 n)), h = 1, ..., H.

Guarantee
---------
With probability at least 1 - delta,

    V*_0 - V^pihat_0 <= 2 sum_{h < H} (h + 1) gamma^{h+1} beta_{h+1}.                        (1)

Proof in `bounds.plugin`, equation 4 there.

Cost
----
K n samples and one backward induction.

Deviations
----------
Proved here. With fresh samples at each step the same union of K H events is needed. When terminal
rewards are known and equal, B_H = 0.

References
----------
kearns1999; hoeffding1963.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.arithmetic import finite_greedy, finite_optimal, finite_policy_value, span
from bounds.finite_greedy import loss_range
from bounds.hypotheses import DELTA, DISTRIBUTION, HORIZON, SAMPLES, within
from bounds.instance import Instance
from bounds.plugin import broken_sampling, draw, estimated_value, finite_loss, gamble
from bounds.random_models import FEW, ragged
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def _loss(instance: Instance) -> float:
    estimate = instance["estimate"]
    policy = finite_greedy(estimate, estimated_value(instance))
    return float((instance.V_star[0] - finite_policy_value(instance.model, policy)[0]).max())


def _bound(instance: Instance) -> float:
    model = instance.model
    events = model.n_pairs * model.steps
    spans, gamma = instance["B"], float(model.gamma)
    return finite_loss(spans, gamma, events, instance["n"], instance["delta"])  # (1)


def _spans_suffice(instance: Instance) -> bool:
    spans = np.array([span(V) for V in instance.V_star[1:]])
    return within((spans - instance["B"]).max(), 0.0, instance)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i in range(FEW[scale]):
        model = ragged(rng, n_states=3, gamma=1.0, horizon=3)
        B = np.array([span(V) for V in finite_optimal(model)[1:]])
        yield Instance(model, {"n": 256, "delta": 0.05, "B": B}, f"random {i}")


_theorem = Theorem(
    id="mdplib:finite_plugin_loss",
    statement=r"With probability at least $1-\delta$, $\|V^*_0 - V^{\hat\pi}_0\|_\infty \le "
    r"2 \sum_{h<H} (h+1) \gamma^{h+1} B_{h+1} \sqrt{\log(2KH/\delta)/(2n)}$",
    source="Proof in bounds.plugin",
    kind="high_probability",
    hypotheses=(
        DISTRIBUTION,
        HORIZON,
        SAMPLES,
        DELTA,
        Hypothesis("B", "the span of V*_h is at most B_h for h >= 1", _spans_suffice),
    ),
    lhs=_loss,
    rhs=_bound,
    trivial=loss_range,
    sensitivity=lambda instance: 1.0 + 4.0 * instance.model.steps,
    sample=draw,
    delta=lambda instance: instance["delta"],
)
LOSS = Entry(
    theorem=_theorem,
    instances=_instances,
    tight=lambda: gamble(horizon=2),
    tightness=0.15,
    mutant=_theorem.mutant(
        statement="n in place of its square root",
        rhs=lambda instance: _bound(instance) / np.sqrt(instance["n"]),
    ),
    broken=lambda: broken_sampling(gamble(horizon=2)),
)
