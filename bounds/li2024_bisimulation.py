r"""Grouping actions that are close in the lax bisimulation metric.

Problem
-------
Total variation calls two kernels far apart that lead to different but equally good states. Measure
successors by how well they can imitate each other instead.

Algorithm
---------
d is the fixed point, over all pairs of state-action pairs, of

    d((s, a), (t, b)) = |r(s, a) - r(t, b)| + gamma W_1(P(. | s, a), P(. | t, b); d_H),     (1)

d_H(s, t) the Hausdorff distance of the actions of s and of t, W_1 the transport distance. Iterating
from the largest possible distance, range of r over 1 - gamma, gives upper bounds of d at every
step. On three states all mass moves from one state or to one state, so W_1 is a sum.

Guarantee
---------
|Q*(s, a) - Q*(t, b)| <= d((s, a), (t, b)), by induction over value iterations, since |V(s) - V(t)|
is at most the Hausdorff distance. With eps the largest d between actions of a group at a state,

    epsilon <= eps,    L <= eps / (1 - gamma),                                              (2)

by `bounds.li2024_chain`. And eps <= beta_r + gamma TV range(r) / (1 - gamma), for d_H is at most
range(r) / (1 - gamma).

Cost
----
(S A)^2 transports per iteration.

Deviations
----------
At most three states here. For actions the loss is eps / (1 - gamma) only; grouping *states* costs
another factor 2 / (1 - gamma), for then information is lost.

References
----------
taylor2008 for the metric; li2024 for grouping. The bound on the loss is derived here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array, Grouped
from bounds.li2024_chain import facts, horizon, leak
from bounds.li2024_setting import SETTING, broken_of, draw_models
from bounds.random_models import COUNTS
from bounds.theorem import Entry, Hypothesis, Scale, Theorem

STEPS = 60


def transport(p: Array, q: Array, d: Array) -> Array:
    """Return W_1 of laws (..., S), S at most 3, for a pseudometric d (S, S).

    Examples
    --------
    >>> float(transport(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 2.0 * (1.0 - np.eye(2))))
    2.0
    """
    difference = p - q
    # The state whose sign is alone is the only source, or the only sink.
    alone = np.abs(difference).argmax(-1)
    return (np.abs(difference) * d[alone]).sum(-1)


def lax_distance(P: Array, r: Array, gamma: float, steps: int = STEPS) -> Array:
    """Return an upper bound (S, A, S, A) of the lax bisimulation metric.

    Parameters
    ----------
    P, r : (S, A, S), (S, A) float64
        A model of at most three states.
    gamma : float
        Discount factor.
    steps : int
        Iterations; the bound is within range(r) gamma^steps / (1 - gamma) of the metric.

    Returns
    -------
    (S, A, S, A) float64
        In the unit of the values.

    Examples
    --------
    >>> P = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    >>> float(lax_distance(P, np.zeros((2, 2)), 0.5).max())  # both states look alike
    0.0
    """
    S = len(r)
    between = (1.0 - np.eye(S)) * float(np.ptp(r)) / (1.0 - gamma)
    paid = np.abs(r[:, :, None, None] - r)
    d = paid
    for _ in range(steps):
        moved = transport(P[:, :, None, None], P, between)
        d = paid + gamma * moved  # (1)
        there = d.min(3).max(1)
        between = np.maximum(there, there.T)
    return d


def group_diameter(case: Case, steps: int = STEPS) -> float:
    """Return the largest distance between two actions of a group at a state."""
    model: Grouped = case["model"]
    d = lax_distance(model.P, model.r, model.gamma, steps)
    own = d[np.arange(len(d)), :, np.arange(len(d)), :]
    same = model.group[:, :, None] == model.group[:, None, :]
    return float(np.where(same, own, 0.0).max())


_SMALL = Hypothesis("states", "at most three states", lambda case: len(case["model"].r) <= 3)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(8 * COUNTS[scale]):
        (model,) = draw_models(rng, 1, shape=(1 + i % 3, 4, 2))
        yield Case({"model": model}, f"random {i}")


def _broken() -> dict[str, Case]:
    (large,) = draw_models(np.random.default_rng(0), 1, shape=(4, 4, 2))
    return broken_of(leak(), SETTING) | {"states": Case({"model": large}, "four states")}


def _mirror() -> Case:
    """Return two states that imitate each other, and one group of the actions to either."""
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 1] = P[2, :, 2] = 1.0
    r = np.array([[1.0, 0.5], [1.0, 1.0], [1.0, 1.0]])
    mu = np.tile([0.0, 1.0], (3, 1))
    return Case({"model": Grouped(P, r, np.zeros((3, 2), dtype=int), mu, 0.75)}, "two twin states")


_bound = Theorem(
    id="li2024:bisimulation",
    statement=r"If the actions of each group are within $\epsilon$ in the lax bisimulation metric, "
    r"$\epsilon_Q \le \epsilon$ and $\|V^* - V^*_\mu\|_\infty \le \epsilon / (1 - \gamma)$",
    source="Derived from the chain; metric of Taylor, Precup and Panangaden",
    kind="inequality",
    hypotheses=(*SETTING, _SMALL),
    lhs=lambda case: np.array([facts(case).epsilon, facts(case).loss * (1 - case["model"].gamma)]),
    rhs=group_diameter,  # (2)
    trivial=lambda case: float(np.ptp(case["model"].r)) * horizon(case) or np.inf,
)
BISIMULATION = Entry(
    theorem=_bound,
    instances=_instances,
    tight=_mirror,
    tightness=0.999999,
    mutant=_bound.mutant(
        statement="rewards now, not later", rhs=lambda case: group_diameter(case, 0)
    ),
    broken=_broken,
    witness=leak,
)


def _by_variation(case: Case) -> float:
    model: Grouped = case["model"]
    f, R = facts(case), float(np.ptp(model.r))
    return f.weights[1] + model.gamma * float(f.tv.max()) * R * horizon(case)


_order = Theorem(
    id="li2024:bisimulation_variation",
    statement=r"The diameter of a group in the lax bisimulation metric is at most "
    r"$\beta_r + \gamma \mathrm{TV} \, R / (1 - \gamma)$, $R$ the range of the rewards",
    source="Derived; why the metric refines total variation",
    kind="inequality",
    hypotheses=(*SETTING, _SMALL),
    lhs=group_diameter,
    rhs=_by_variation,
)
VARIATION = Entry(
    theorem=_order,
    instances=_instances,
    tight=leak,
    tightness=0.999999,
    mutant=_order.mutant(
        statement="without the horizon",
        rhs=lambda case: facts(case).weights[1] + float(facts(case).tv.max()),
    ),
    broken=_broken,
)
