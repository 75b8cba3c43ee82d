r"""What grouping costs, as a chain of ever simpler bounds.

Problem
-------
The best policy over groups loses L = max (V* - V*_mu). How much is that, in terms one can see?

Algorithm
---------
With T_mu the optimality operator of the lifted model,

    delta = max_s [V*(s) - (T_mu V*)(s)]                                 loss of one group action,
    epsilon = max_{s,h} range of Q*(s, .) in group h,
    beta_r = max_{s,h} range of r(s, .) in group h,
    TV = max_{s,h} largest total variation between the laws of two actions of group h.

Guarantee
---------
    delta <= L                                                                              (1)
    L <= delta / (1 - gamma)                                                                (2)
    delta <= epsilon                                                                        (3)
    epsilon <= beta_r + gamma TV (max V* - min V*)                                          (4)

    L <= (delta^ + 2 ||Q - Q*||) / (1 - gamma),  delta^ = max_s [max_a Q - max_h E_mu Q]     (5)

for any function Q. So L <= (beta_r + gamma TV (max V* - min V*)) / (1 - gamma).

(1): V*_mu = T_mu V*_mu <= T_mu V*. (2): T_mu V* >= V* - delta, and T_mu is monotone and a
contraction. (3): the group of the best action has a mean of Q* within epsilon of its largest. (4):
two laws integrate V* to within TV times its range. (5): delta <= delta^ + 2 ||Q - Q*||, so groups
may be chosen by an estimate. All five are attained.

Cost
----
Two plans.

Deviations
----------
The paper bounds the loss by the weights of a decomposition; see `bounds.li2024_approximation`. The
chain needs no rewards in [0, 1].

References
----------
li2024 for the question; all constants derived here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array, Facts, Grouped, leaky
from bounds.li2024_setting import AFTER, SETTING, broken_of, many, some
from bounds.theorem import Entry, Scale, Side, Theorem


def facts(case: Case) -> Facts:
    """Return the facts of the model of a case."""
    return case["model"].facts


def horizon(case: Case) -> float:
    """Return 1 / (1 - gamma)."""
    return 1.0 / (1.0 - case["model"].gamma)


def _by_distance(case: Case, share: float = 1.0) -> float:
    f = facts(case)
    return f.weights[1] + share * case["model"].gamma * float(f.tv.max()) * f.span  # (4)


def _lower_links(case: Case) -> Array:
    f = facts(case)
    return np.array([f.delta, f.loss, f.delta * horizon(case), f.epsilon * horizon(case)])


def _upper_links(case: Case) -> Array:
    f, H = facts(case), horizon(case)
    return np.array([f.loss, f.delta * H, f.epsilon * H, _by_distance(case) * H])


def poorer() -> Case:
    """Return one state whose group plays the action without reward, for ever."""
    P = np.ones((1, 2, 1))
    group, mu = np.zeros((1, 2), dtype=np.int64), np.array([[0.0, 1.0]])
    model = Grouped(P, np.array([[1.0, 0.5]]), group, mu, 0.75)
    return Case({"model": model}, "one state, the poorer action played")


def once() -> Case:
    """Return a state left after one step, whose group plays the action without reward."""
    model = leaky(1.0, 0.5, 0.75)
    P = model.P.copy()
    P[0, 0] = P[0, 1]
    return Case({"model": replace(model, P=P)}, "one poor step")


def leak() -> Case:
    """Return two actions of equal reward, the one that may leave played."""
    return Case({"model": leaky(0.5, 0.0, 0.75)}, "the leaking action played")


def _link(
    name: str,
    statement: str,
    lhs: Side,
    rhs: Side,
    tight: Callable[[], Case],
    mutant: tuple[str, Side],
) -> Entry:
    theorem = Theorem(
        id=f"li2024:{name}",
        statement=statement,
        source=AFTER,
        kind="inequality",
        hypotheses=SETTING,
        lhs=lhs,
        rhs=rhs,
    )
    return Entry(
        theorem=theorem,
        instances=some,
        tight=tight,
        tightness=0.99,
        mutant=theorem.mutant(statement=mutant[0], rhs=mutant[1]),
        broken=lambda: broken_of(tight(), SETTING),
    )


_chain = Theorem(
    id="li2024:chain",
    statement=r"$\delta_\mu \le L \le \delta_\mu / (1 - \gamma) \le \epsilon_Q / (1 - \gamma) \le "
    r"(\beta_r + \gamma \mathrm{TV} \, \mathrm{sp} V^*) / (1 - \gamma)$ for the loss "
    r"$L = \|V^* - V^*_\mu\|_\infty$",
    source=AFTER,
    kind="inequality",
    hypotheses=SETTING,
    lhs=_lower_links,
    rhs=_upper_links,
)
CHAIN = Entry(
    theorem=_chain,
    instances=many,
    tight=poorer,
    tightness=0.99,
    mutant=_chain.mutant(
        statement="the loss of one step stands for that of all",
        rhs=lambda case: np.minimum(_upper_links(case), facts(case).delta),
    ),
    broken=lambda: broken_of(poorer(), SETTING),
)
STEP = _link(
    "chain_step",
    r"$\delta_\mu \le L$: what one group action loses, the best policy over groups loses",
    lambda case: facts(case).delta,
    lambda case: facts(case).loss,  # (1)
    once,
    (
        "the loss of one step is lost at every step",
        lambda case: facts(case).loss * (1.0 - case["model"].gamma),
    ),
)
LOSS = _link(
    "chain_loss",
    r"$L \le \delta_\mu / (1 - \gamma)$",
    lambda case: facts(case).loss,
    lambda case: facts(case).delta * horizon(case),  # (2)
    poorer,
    ("the loss of one step stands for that of all", lambda case: facts(case).delta),
)
SPREAD = _link(
    "chain_spread",
    r"$\delta_\mu \le \epsilon_Q$, the largest range of $Q^*(s, \cdot)$ in a group",
    lambda case: facts(case).delta,
    lambda case: facts(case).epsilon,  # (3)
    poorer,
    ("half the range", lambda case: 0.5 * facts(case).epsilon),
)
DISTANCE = _link(
    "chain_distance",
    r"$\epsilon_Q \le \beta_r + \gamma \mathrm{TV} \, \mathrm{sp} V^*$",
    lambda case: facts(case).epsilon,
    _by_distance,
    leak,
    ("half the range of the values", lambda case: _by_distance(case, 0.5)),
)


# ------------------------------------------------------------------------- an estimate of Q


def _estimated(case: Case, times: float = 2.0) -> float:
    model: Grouped = case["model"]
    Q = case["Q"]
    error = float(np.abs(Q - model.facts.Q).max())
    means = np.array([(model.mu * Q * (model.group == h)).sum(1) for h in range(model.n_groups)])
    present = np.array([(model.group == h).any(1) for h in range(model.n_groups)])
    step = (Q.max(1) - np.where(present, means, -np.inf).max(0)).max()
    return (float(step) + times * error) * horizon(case)  # (5)


def _noisy(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for case in some(rng, scale):
        Q = facts(case).Q
        size = 10.0 ** rng.uniform(-3, 0)
        yield case.with_values({"Q": Q + size * rng.uniform(-1.0, 1.0, Q.shape)})


def _misjudged() -> Case:
    case = poorer()
    return case.with_values({"Q": facts(case).Q + np.array([[-0.125, 0.125]])})


_estimate = Theorem(
    id="li2024:chain_estimate",
    statement=r"For every $Q$, $L \le (\hat\delta + 2 \|Q - Q^*\|_\infty) / (1 - \gamma)$ with "
    r"$\hat\delta = \max_s (\max_a Q - \max_h \sum_a \mu Q)$",
    source="Derived; why groups may be chosen by estimated values",
    kind="inequality",
    hypotheses=SETTING,
    lhs=lambda case: facts(case).loss,
    rhs=_estimated,
)
ESTIMATE = Entry(
    theorem=_estimate,
    instances=_noisy,
    tight=_misjudged,
    tightness=0.999999,
    mutant=_estimate.mutant(
        statement="the error counted once", rhs=lambda case: _estimated(case, 1.0)
    ),
    broken=lambda: broken_of(_misjudged(), SETTING),
)
