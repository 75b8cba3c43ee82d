r"""The smallest weights that write a group as a common part and a part of each action.

Problem
-------
Write the kernels and rewards of the actions of each group h as

    P(. | s, a) = (1 - b_P) P_1(. | s, h) + b_P P_2(. | s, a),
    r(s, a) = (1 - b_r) r_1(s, h) + b_r r_2(s, a),                                          (1)

with P_1, P_2 kernels and r_1, r_2 in [0, 1]. How small can b_P and b_r be?

Algorithm
---------
With the overlap nu(s, h) = sum_t min_{a in h} P(t | s, a),

    beta_P(s, h) = 1 - nu(s, h),  beta_r(s, h) = range of r(s, .) in h,

and beta_P, beta_r their largest values. The common part is P_1 = min_a P / nu, and r_1 the point
nearest to min r / (1 - beta_r) of [(max r - beta_r) / (1 - beta_r), 1].

Guarantee
---------
b_P >= beta_P and b_r >= beta_r in every (1): (1 - b_P) P_1 is below every kernel of the group, so
its mass is at most nu; two rewards differ by at most b_r.                                  (2)

The weights beta_P and beta_r themselves allow (1): (1 - beta_P) P_1 <= min_a P.            (3)

With TV the largest total variation between two actions of the group,

    TV <= beta_P <= (|h| - 1) TV.                                                           (4)

Left: P(. | s, a) and P(. | s, a') have at least nu in common. Right: what an action lacks of the
first one sums to at most |h| - 1 total variations. Equal on the left for two actions.

Cost
----
One pass over the kernels; pairs of actions for TV.

Deviations
----------
None.

References
----------
li2024 for the decomposition; the rest is derived here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array, Grouped, leaky
from bounds.li2024_chain import facts
from bounds.li2024_setting import (
    AFTER,
    DISTRIBUTION,
    EPS,
    REWARDS,
    SOME,
    broken_of,
    draw_groups,
    some,
)
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def mixed(parts: dict[str, Array], b_P: float, b_r: float, group: Array) -> tuple[Array, Array]:
    """Return the kernel and the rewards that parts P1, r1 (S, m) and P2, r2 (S, A) make up."""
    at = np.arange(len(group))[:, None], group
    P = (1.0 - b_P) * parts["P1"][at] + b_P * parts["P2"]
    return P, (1.0 - b_r) * parts["r1"][at] + b_r * parts["r2"]  # (1)


def _mixture(case: Case) -> bool:
    parts = {name: case[name] for name in ("P1", "P2", "r1", "r2")}
    P, r = mixed(parts, case["b_P"], case["b_r"], case["model"].group)
    gaps = np.abs(P - case["model"].P).max(), np.abs(r - case["model"].r).max()
    sums = [np.abs(parts[k].sum(-1) - 1.0).max() for k in ("P1", "P2")]
    low = min(float(x.min()) for x in parts.values())
    high = max(float(parts[k].max()) for k in ("r1", "r2"))
    return bool(max(*gaps, *sums) <= EPS and low >= 0.0 and high <= 1.0)


_PARTS = Hypothesis("parts", "kernel and rewards are mixtures as in the statement", _mixture)


def _mixtures(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(SOME[scale]):
        S, A = int(rng.integers(1, 6)), int(rng.integers(1, 9))
        m = int(rng.integers(1, A + 1))
        group = draw_groups(rng, 2, S, A, m)[i % 2]
        parts = {
            "P1": rng.dirichlet(np.full(S, 0.5), (S, m)),
            "P2": rng.dirichlet(np.full(S, 0.2), (S, A)),
            "r1": rng.random((S, m)),
            "r2": rng.random((S, A)),
        }
        b_P, b_r = (float(b) for b in rng.random(2))
        yield _mixture_case(parts, b_P, b_r, group, f"random {i}")


def _mixture_case(
    parts: dict[str, Array], b_P: float, b_r: float, group: Array, label: str
) -> Case:
    P, r = mixed(parts, b_P, b_r, group)
    unused = np.zeros(group.shape)  # the statement does not speak of mu
    model = Grouped(P / P.sum(-1, keepdims=True), r, group, unused, 0.0)
    return Case({"model": model, "b_P": b_P, "b_r": b_r, **parts}, label)


def _apart() -> Case:
    """Return parts of the actions with disjoint supports and rewards 0 and 1."""
    parts = {
        "P1": np.full((2, 1, 2), 0.5),
        "P2": np.tile(np.eye(2), (2, 1, 1)),
        "r1": np.full((2, 1), 0.5),
        "r2": np.tile([0.0, 1.0], (2, 1)),
    }
    return _mixture_case(parts, 0.25, 0.5, np.zeros((2, 2), dtype=np.int64), "parts apart")


_minimal = Theorem(
    id="li2024:weights_minimal",
    statement=r"Every $P = (1 - b_P) P_1 + b_P P_2$, $r = (1 - b_r) r_1 + b_r r_2$ with "
    r"$P_1, r_1$ common to the group has $\beta_P \le b_P$ and $\beta_r \le b_r$",
    source=AFTER,
    kind="inequality",
    hypotheses=(_PARTS,),
    lhs=lambda case: np.array(facts(case).weights),
    rhs=lambda case: np.array([case["b_P"], case["b_r"]]),  # (2)
)
MINIMAL = Entry(
    theorem=_minimal,
    instances=_mixtures,
    tight=_apart,
    tightness=0.999999,
    mutant=_minimal.mutant(
        statement="weights of a part of the group only",
        rhs=lambda case: 0.9 * np.array([case["b_P"], case["b_r"]]),
    ),
    broken=lambda: {"parts": _apart().with_values({"b_P": 0.3})},
)


# ------------------------------------------------------------------------------- the witness


def witness(model: Grouped, b_P: float, b_r: float) -> dict[str, Array]:
    """Return parts of the mixture, those of the actions multiplied by their weight.

    Parameters
    ----------
    model : Grouped
        The model.
    b_P, b_r : float
        Weights; the parts are sound when they are the smallest ones or larger.

    Returns
    -------
    dict
        "P1" (S, m, S), "r1" (S, m), and b_P P2 as "rest_P" (S, A, S), b_r r2 as "rest_r" (S, A).

    Examples
    --------
    >>> parts = witness(leaky(0.25, 0.0, 0.9), 0.25, 0.0)
    >>> parts["P1"][0, 0].tolist(), parts["rest_P"][0].tolist()
    ([1.0, 0.0], [[0.25, 0.0], [0.0, 0.25]])
    """
    S, m = len(model.r), model.n_groups
    member = (model.group[..., None] == np.arange(m)).swapaxes(1, 2)
    common = np.where(member[..., None], model.P[:, None], np.inf).min(2)
    common[~member.any(2)] = 1.0  # an empty group: any law
    nu = common.sum(-1, keepdims=True)
    P1 = np.where(nu > 0.0, common / np.where(nu > 0.0, nu, 1.0), 1.0 / S)
    low = np.where(member, model.r[:, None], 1.0).min(2)
    high = np.where(member, model.r[:, None], 0.0).max(2)
    left = max(1.0 - b_r, EPS)
    r1 = np.clip(np.maximum(low / left, (high - b_r) / left), 0.0, 1.0)
    at = np.arange(S)[:, None], model.group
    rest_P = model.P - (1.0 - b_P) * P1[at]
    return {"P1": P1, "r1": r1, "rest_P": rest_P, "rest_r": model.r - (1.0 - b_r) * r1[at]}


def _defects(case: Case, share: float = 1.0) -> Array:
    """Return what is wrong with the witness: negative parts, wrong sums, rewards out of range."""
    model: Grouped = case["model"]
    b_P, b_r = (share * b for b in facts(case).weights)
    parts = witness(model, b_P, b_r)
    wrong = [
        np.abs(parts["P1"].sum(-1) - 1.0),
        np.abs(parts["rest_P"].sum(-1) - b_P),
        -np.minimum(parts["rest_P"], 0.0),
        -np.minimum(parts["rest_r"], 0.0),
        np.maximum(parts["rest_r"] - b_r, 0.0),
    ]
    return np.array([float(x.max()) for x in wrong])


_witness = Theorem(
    id="li2024:weights_witness",
    statement=r"$\beta_P = 1 - \min_{s,h} \sum_{s'} \min_{a \in h} P(s'|s,a)$ and "
    r"$\beta_r = \max_{s,h} (\max_{a \in h} r - \min_{a \in h} r)$ allow the mixture: the "
    r"defects of the parts $P_1 = \min_a P / \nu$, $P_2$, $r_1$, $r_2$ are zero",
    source=AFTER,
    kind="identity",
    hypotheses=(DISTRIBUTION, REWARDS),
    lhs=lambda case: 1.0 + _defects(case),  # (3)
    rhs=lambda case: np.ones(5),
)
WITNESS = Entry(
    theorem=_witness,
    instances=some,
    tight=lambda: Case({"model": leaky(0.25, 0.5, 0.9)}, "two actions"),
    tightness=0.999999,
    mutant=_witness.mutant(
        statement="weights smaller by a millionth do as well",
        lhs=lambda case: 1.0 + _defects(case, 1.0 - 1e-6),
    ),
    broken=lambda: broken_of(
        Case({"model": leaky(0.25, 0.5, 0.9)}, "two actions"), (DISTRIBUTION, REWARDS)
    ),
)


# -------------------------------------------------------------------------- total variation


def _sizes(case: Case) -> Array:
    model: Grouped = case["model"]
    return (model.group[..., None] == np.arange(facts(case).tv.shape[1])).sum(1)


def _wheel() -> Case:
    """Return four actions, each of which avoids one state and treats the others alike."""
    P = np.tile((1.0 - np.eye(4)) / 3.0, (4, 1, 1))
    zeros = np.zeros((4, 4))
    model = Grouped(P, zeros, zeros.astype(np.int64), zeros + 0.25, 0.5)
    return Case({"model": model}, "each action avoids one state")


def _pair() -> Case:
    return Case({"model": leaky(0.25, 0.0, 0.5)}, "two actions")


_below = Theorem(
    id="li2024:weights_variation",
    statement=r"$\mathrm{TV}(s,h) \le \beta_P(s,h)$",
    source=AFTER,
    kind="inequality",
    hypotheses=(DISTRIBUTION,),
    lhs=lambda case: facts(case).tv,
    rhs=lambda case: facts(case).beta_P,  # (4)
)
VARIATION = Entry(
    theorem=_below,
    instances=some,
    tight=_pair,
    tightness=0.999999,
    mutant=_below.mutant(
        statement="the sum of absolute differences, twice the total variation",
        lhs=lambda case: 2.0 * facts(case).tv,
    ),
    broken=lambda: broken_of(_pair(), (DISTRIBUTION,)),
)
_above = Theorem(
    id="li2024:weights_overlap",
    statement=r"$\beta_P(s,h) \le (|h| - 1) \mathrm{TV}(s,h)$",
    source=AFTER,
    kind="inequality",
    hypotheses=(DISTRIBUTION,),
    lhs=lambda case: facts(case).beta_P,
    rhs=lambda case: np.maximum(_sizes(case) - 1, 0) * facts(case).tv,
)
OVERLAP = Entry(
    theorem=_above,
    instances=some,
    tight=_wheel,
    tightness=0.999999,
    mutant=_above.mutant(statement="equal for groups of any size", rhs=lambda case: facts(case).tv),
    broken=lambda: broken_of(_wheel(), (DISTRIBUTION,)),
)
