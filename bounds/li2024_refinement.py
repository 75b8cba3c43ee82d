r"""Finer groups never lose more, if one base measure decides inside all of them.

Problem
-------
Groups are split. Does the best policy over groups get better, and do the weights shrink?

Algorithm
---------
A base measure w(a | s) > 0 induces, in every grouping, mu(a | s, h) = w(a | s) / w(h | s).

Guarantee
---------
If fine groups are parts of coarse ones and both policies inside the groups come from w,

    V*_coarse <= V*_fine,                                                                   (1)

since playing a coarse group is playing one of its fine groups at random, with probabilities
w(fine | s) / w(coarse | s). And the smallest weights, the total variation within groups and the
range of Q* within groups do not grow,

    beta_P(fine) <= beta_P(coarse), likewise beta_r, TV and epsilon,                        (2)

being maxima over fewer pairs of actions, or sums of minima over fewer actions.

(1) needs the common measure: three actions that pay 1, 0, 0, first in one group where the good one
is played, then split into {0, 1} and {2} with action 1 played. The value falls from 1 / (1 - gamma)
to 0. (2) does not speak of mu.

Cost
----
Two plans for each grouping.

Deviations
----------
The paper says that finer grouping lowers the approximation error; the condition on mu is added.

References
----------
li2024 for the question; derived here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array, Facts, Grouped, analysed
from bounds.li2024_chain import facts
from bounds.li2024_setting import (
    AFTER,
    BATCH,
    DISCOUNT,
    DISTRIBUTION,
    EPS,
    SETTING,
    SOME,
    broken_of,
    draw_batch,
    draw_weights,
    normalised,
)
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def _refines(case: Case) -> bool:
    fine, coarse = case["fine"].group, case["model"].group
    together = fine[:, :, None] == fine[:, None, :]
    return bool((coarse[:, :, None] == coarse[:, None, :])[together].all())


def _from_base(case: Case) -> bool:
    pairs = [(m.mu, normalised(case["w"], m.group, m.n_groups)) for m in _both(case)]
    return bool(case["w"].min() > 0 and max(np.abs(a - b).max() for a, b in pairs) <= EPS)


def _both(case: Case) -> tuple[Grouped, Grouped]:
    return case["model"], case["fine"]


REFINES = Hypothesis("refines", "each fine group is part of a coarse group", _refines)
BASE = Hypothesis(
    "base",
    "both policies inside the groups come from one base measure: mu(a|s,h) = w(a|s) / w(h|s)",
    _from_base,
)


def _instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    left = SOME[scale]
    while left > 0:
        B, S, A = min(left, BATCH), int(rng.integers(1, 6)), int(rng.integers(1, 9))
        m = int(rng.integers(1, A + 1))
        fine = draw_batch(rng, B, S=S, A=A, m=m)
        w = draw_weights(rng, (B, S, A))
        merged = rng.integers(0, m, (B, S, m))
        for i in range(B):
            fine[i] = replace(fine[i], mu=normalised(w[i], fine[i].group, m))
        coarse = [_merged(model, merged[i], w[i]) for i, model in enumerate(fine)]
        for i, pair in enumerate(zip(analysed(coarse), analysed(fine), strict=True)):
            yield _case(*pair, w[i], f"random {left - i}")
        left -= B


def _merged(fine: Grouped, into: Array, w: Array) -> Grouped:
    group = np.take_along_axis(into, fine.group, 1)
    return replace(fine, group=group, mu=normalised(w, group, into.shape[1]))


def _case(coarse: Grouped, fine: Grouped, w: Array, label: str) -> Case:
    return Case({"model": coarse, "fine": fine, "w": w}, label)


def bandit_case(fine_mu: tuple[float, ...], coarse_mu: tuple[float, ...], label: str) -> Case:
    """Return one state with actions that pay 1, 0, 0; coarse: one group, fine: {0, 1} and {2}."""
    P, r = np.ones((1, 3, 1)), np.array([[1.0, 0.0, 0.0]])
    coarse = Grouped(P, r, np.array([[0, 0, 0]]), np.array([coarse_mu]), 0.5)
    fine = Grouped(P, r, np.array([[0, 0, 1]]), np.array([fine_mu]), 0.5)
    return _case(coarse, fine, np.full((1, 3), 1.0 / 3.0), label)


def helpful() -> Case:
    """Return a split that helps, with equal weights."""
    return bandit_case((0.5, 0.5, 1.0), (1 / 3, 1 / 3, 1 / 3), "the split helps")


def harmful() -> Case:
    """Return a split that hurts, since the policies inside the groups have nothing in common."""
    return bandit_case((0.0, 1.0, 1.0), (1.0, 0.0, 0.0), "the split hurts")


def _idle() -> Case:
    case = helpful()
    models = [replace(m, r=np.full((1, 3), 0.5)) for m in _both(case)]
    return _case(models[0], models[1], case["w"], "actions that all pay the same")


def _crossing() -> dict[str, Case]:
    case = helpful()
    fine = replace(case["fine"], group=np.array([[0, 1, 1]]))
    coarse = replace(case["model"], group=np.array([[0, 0, 1]]), mu=np.array([[0.5, 0.5, 1.0]]))
    return {"refines": case.with_values({"fine": fine, "model": coarse})}


def _broken() -> dict[str, Case]:
    return broken_of(helpful(), SETTING) | _crossing() | {"base": harmful()}


_value = Theorem(
    id="li2024:refinement",
    statement=r"If $\mu$ comes from one base measure, finer groups are worth no less: "
    r"$V^*_{\mu} \le V^*_{\mu'}$ for $g'$ finer than $g$",
    source=AFTER,
    kind="inequality",
    hypotheses=(*SETTING, REFINES, BASE),
    lhs=lambda case: facts(case).V_mu,
    rhs=lambda case: case["fine"].facts.V_mu,  # (1)
)
VALUE = Entry(
    theorem=_value,
    instances=_instances,
    tight=_idle,
    tightness=0.999999,
    mutant=_value.mutant(
        statement="coarse groups are worth no less",
        lhs=lambda case: case["fine"].facts.V_mu,
        rhs=lambda case: facts(case).V_mu,
    ),
    broken=_broken,
    witness=helpful,
)


def _sizes(f: Facts) -> Array:
    return np.array([*f.weights, float(f.tv.max()), f.epsilon])


_KERNEL = (DISTRIBUTION, DISCOUNT, REFINES)
_weights = Theorem(
    id="li2024:refinement_weights",
    statement=r"$\beta_P$, $\beta_r$, $\mathrm{TV}$ and $\epsilon_Q$ of finer groups are no larger",
    source=AFTER,
    kind="inequality",
    hypotheses=_KERNEL,
    lhs=lambda case: _sizes(case["fine"].facts),
    rhs=lambda case: _sizes(facts(case)),  # (2)
)
WEIGHTS = Entry(
    theorem=_weights,
    instances=_instances,
    tight=helpful,
    tightness=0.999999,
    mutant=_weights.mutant(
        statement="the weights fall with the number of groups",
        rhs=lambda case: _sizes(facts(case)) * case["model"].n_groups / case["fine"].n_groups,
    ),
    broken=lambda: broken_of(helpful(), _KERNEL) | _crossing(),
)
