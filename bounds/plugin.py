r"""Planning in the empirical model: what n samples per pair buy, with explicit constants.

Problem
-------
Rewards are known; a generative model gives n independent successors of each of K pairs. Plan
optimally in the empirical model Phat and use its optimal policy pihat in the true one. How far are
Qhat* from Q*, and V^pihat from V*?

Algorithm
---------
With e = max_k |(Phat_k - P_k) V*| and B >= span(V*),

    beta = B sqrt(log(2 K / delta) / (2 n)),                                               (1)
    ||Q* - Qhat*|| <= gamma e / (1 - gamma),                                               (2)
    V* - V^pihat <= 2 gamma e / (1 - gamma)^2,                                             (3)

and e <= beta with probability at least 1 - delta. For H steps with one kernel, B_h >= span(V*_h),
beta_h = B_h sqrt(log(2 K H / delta) / (2 n)),

    V*_0 - V^pihat_0 <= 2 sum_{h < H} (h + 1) gamma^{h+1} beta_{h+1}.                        (4)

Guarantee
---------
(1): V* is not random, P_k V* is the mean of a variable in an interval of length span(V*),
Hoeffding on both sides and a union over the pairs. (2): the operator That of the empirical model
is a contraction with fixed point Qhat*, so ||Q* - Qhat*|| <= ||Q* - That Q*|| / (1 - gamma), and
Q* - That Q* = gamma (P - Phat) V*. (3): g(s) = Q*(s, pi*(s)) - Q*(s, pihat(s)) <= 2 ||Q* -
Qhat*||, because pihat is greedy for Qhat*; and V* - V^pihat = (I - gamma P_pihat)^{-1} g. (4): the
error of Qhat*_h is at most the sum over j >= h of gamma^{j-h+1} beta_{j+1}; the loss adds twice
these errors with weights gamma^h; exchange the sums. The union is over K H events: the same
samples serve every step. (3) without probability is the subject of `bounds.plugin_propagation`,
where it is attained.

Cost
----
K n samples and one plan.

Deviations
----------
Texts that apply the loss of a policy greedy for an approximate V (2 gamma eps / (1 - gamma)) to
Vhat* overlook that pihat is greedy for Vhat* in the *empirical* model; the argument through Q is
needed and its constant is 2 / (1 - gamma). (3) costs one horizon factor more than necessary: see
`azar2013`.

References
----------
kearns1999 for the plan in the empirical model; hoeffding1963; singh1994. Constants proved here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bounds.arithmetic import (
    best_pairs,
    indicator,
    optimal_value,
    policy_value,
    q_values,
    span,
    sup_norm,
)
from bounds.hypotheses import DELTA, DISCOUNT, DISTRIBUTION, SAMPLES, within
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import FEW, broken_model, ragged
from bounds.theorem import Entry, Hypothesis, Scale, Theorem
from mdplib.concentration import hoeffding_radius
from mdplib.tabular import TabularMDP


def plugin_bound(mdp: TabularMDP, V_star_span: ArrayLike, n: int, delta: float) -> float:
    """Return the loss that planning with n samples per pair exceeds with probability delta at most.

    Parameters
    ----------
    mdp : TabularMDP
        Gives K, gamma and the horizon; its probabilities and rewards are not used.
    V_star_span : float, or (H,) array_like for a finite horizon
        Upper bound B on the span of V*; for H steps, on those of V*_1, ..., V*_H (a single number
        serves them all).
    n : int
        Samples per pair.
    delta : float
        Probability of failure, in (0, 1).

    Returns
    -------
    float
        Equation (3) of the module with e = beta, or (4); in the unit of the values.

    Raises
    ------
    ValueError
        If n < 1, delta is not in (0, 1) or a span is negative.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[1.0]]], [[1.0]], 0.5)
    >>> round(plugin_bound(mdp, 2.0, 1000, 0.05), 4)
    0.3436
    """
    spans = np.asarray(V_star_span, dtype=np.float64)
    if mdp.horizon is None:
        beta = hoeffding_radius(float(spans), n, delta / mdp.n_pairs)  # (1)
        return 2.0 * mdp.gamma * beta / (1.0 - mdp.gamma) ** 2  # (3)
    pairs = mdp.n_pairs if not mdp.stationary else mdp.n_pairs * mdp.horizon
    return finite_loss(np.broadcast_to(spans, (mdp.horizon,)), mdp.gamma, pairs, n, delta)


def finite_loss(spans: Array, gamma: float, events: int, n: int, delta: float) -> float:
    """Return (4) for spans (H,) and the number of events in the union."""
    radii = [hoeffding_radius(float(B), n, delta / events) for B in spans]
    return 2.0 * sum((h + 1) * gamma ** (h + 1) * beta for h, beta in enumerate(radii))  # (4)


def draw(instance: Instance, rng: np.random.Generator) -> Instance:
    """Add the empirical model of n successors per pair.

    Parameters
    ----------
    instance : Instance
        Its parameter n is the number of samples.
    rng : numpy.random.Generator
        Source of the successors.

    Returns
    -------
    Instance
        With the parameters "estimate" and "V_hat", its optimal value, which is always computed
        by this package: a solver would spend its time on thousands of tiny models.
    """
    n, model = int(instance["n"]), instance.model
    instance.optimal(model)  # known once, before copies are made
    estimate = model.replace(P=rng.multinomial(n, model.P) / n)
    return instance.with_values({"estimate": estimate, "V_hat": optimal_value(estimate)})


def estimated_value(instance: Instance) -> Array:
    """Return the optimal value of the estimate, drawn or given."""
    drawn = instance.values.get("V_hat")
    return instance.optimal(instance["estimate"]) if drawn is None else drawn


def q_error(instance: Instance) -> Any:
    """Return ||Q* - Qhat*|| of the model and its estimate."""
    model, estimate = instance.model, instance["estimate"]
    return sup_norm(
        q_values(model, instance.V_star) - q_values(estimate, estimated_value(instance))
    )


def policy_loss(instance: Instance) -> Any:
    """Return ||V* - V^pihat|| for the policy that is optimal in the estimate."""
    model, estimate = instance.model, instance["estimate"]
    pair = best_pairs(estimate, q_values(estimate, estimated_value(instance)))
    return sup_norm(instance.V_star - policy_value(model, indicator(model, pair)))


def _radius(instance: Instance) -> float:
    model = instance.model
    return hoeffding_radius(instance["B"], instance["n"], instance["delta"] / model.n_pairs)


def _value_bound(instance: Instance) -> float:
    gamma = float(instance.model.gamma)
    return gamma * _radius(instance) / (1 - gamma)  # (2)


def _loss_bound(instance: Instance) -> float:
    return 2 * _value_bound(instance) / (1 - float(instance.model.gamma))


def loss_range(instance: Instance) -> Any:
    """Return the most that any policy can lose: span(r) / (1 - gamma)."""
    return span(instance.model.r) / (1 - instance.model.gamma)


SPAN = Hypothesis(
    "B",
    "the span of V* is at most B",
    lambda instance: within(span(instance.V_star), instance["B"], instance),
)


def sampled(model: Model, n: int, delta: float, label: str) -> Instance:
    """Return an instance with B the span of its V*, rounded up."""
    B = float(np.ceil(span(optimal_value(model)) * 256) / 256)
    return Instance(model, {"n": n, "delta": delta, "B": B}, label)


def _sampling_instances(rng: np.random.Generator, scale: Scale) -> Iterator[Instance]:
    for i in range(FEW[scale]):
        model = ragged(rng, n_states=3, gamma=(0.25, 0.5)[i % 2])
        yield sampled(model, 512, 0.05, f"random {i}")


def loop() -> Instance:
    """Return one state that pays 1 and survives with probability 1/2, at gamma = 1/16."""
    model = Model([[0.5, 0.5], [0.0, 1.0]], [1.0, 0.0], [0, 1, 2], 1 / 16)
    return sampled(model, 1024, 0.05, "survive or stop")


def gamble(horizon: int | None = None) -> Instance:
    """Return a state with two gambles of nearly the same chance to reach a paying state."""
    low, high = 0.5, 0.5 + 6 / 256
    P = [[0, low, 1 - low], [0, high, 1 - high], [0, 1.0, 0], [0, 0, 1.0]]
    gamma = 1 / 16 if horizon is None else 1.0
    model = Model(P, [0.0, 0.0, 1.0, 0.0], [0, 2, 3, 4], gamma, horizon)
    if horizon is None:
        return sampled(model, 1024, 0.05, "two gambles")
    B = np.array([span(V) for V in optimal_value(model)[1:]])
    return Instance(model, {"n": 1024, "delta": 0.05, "B": B}, "two gambles")


def broken_sampling(instance: Instance) -> dict[str, Instance]:
    """Return copies that break the hypotheses of the sampling statements, one each."""
    return broken_model(instance) | {
        "samples": instance.with_values({"n": 0}),
        "delta": instance.with_values({"delta": 1.0}),
        "B": instance.with_values({"B": instance["B"] / 2}),
    }


_SAMPLING = (DISTRIBUTION, DISCOUNT, SAMPLES, DELTA, SPAN)
_value = Theorem(
    id="kearns1999:plugin_value",
    statement=r"With probability at least $1-\delta$, $\|Q^* - \hat Q^*\|_\infty \le "
    r"\frac{\gamma B}{1-\gamma} \sqrt{\log(2K/\delta)/(2n)}$",
    source="Indirect algorithm; constants proved in the module",
    kind="high_probability",
    hypotheses=_SAMPLING,
    lhs=q_error,
    rhs=_value_bound,
    trivial=lambda instance: instance.model.gamma * loss_range(instance),
    sensitivity=lambda instance: 2.0,
    sample=draw,
    delta=lambda instance: instance["delta"],
)
VALUE = Entry(
    theorem=_value,
    instances=_sampling_instances,
    tight=loop,
    tightness=0.55,
    mutant=_value.mutant(
        statement="log(2 K / delta) dropped",
        rhs=lambda instance: (
            _value_bound(instance) / np.sqrt(np.log(2 * instance.model.n_pairs / instance["delta"]))
        ),
    ),
    broken=lambda: broken_sampling(loop()),
)

_loss = Theorem(
    id="kearns1999:plugin_loss",
    statement=r"With probability at least $1-\delta$, $\|V^* - V^{\hat\pi}\|_\infty \le "
    r"\frac{2\gamma B}{(1-\gamma)^2} \sqrt{\log(2K/\delta)/(2n)}$",
    source="Indirect algorithm; constants proved in the module",
    kind="high_probability",
    hypotheses=_SAMPLING,
    lhs=policy_loss,
    rhs=_loss_bound,
    trivial=loss_range,
    sensitivity=lambda instance: 1.0 + 4.0 / (1.0 - float(instance.model.gamma)),
    sample=draw,
    delta=lambda instance: instance["delta"],
)
LOSS = Entry(
    theorem=_loss,
    instances=_sampling_instances,
    tight=gamble,
    tightness=0.15,
    mutant=_loss.mutant(
        statement="n in place of its square root",
        rhs=lambda instance: _loss_bound(instance) / np.sqrt(instance["n"]),
    ),
    broken=lambda: broken_sampling(gamble()),
)
