r"""What grouped planning loses in all, and a certificate from fresh samples.

Problem
-------
K samples of each of the S m pairs of states and groups, n iterations, the greedy policy pi over
groups is deployed. What does it lose against the best policy over actions, or over groups?

Algorithm
---------
In advance: add the approximation (`bounds.li2024_approximation`) and the smaller of the two bounds
on estimation (`bounds.li2024_estimation`).

Afterwards: with any Q, its largest values V, its greedy policy pi, and K fresh samples of every
pair, let m be the mean of R + gamma V(s'), s2 its unbiased variance, B = 1 + gamma (max V - min V),

    W = sqrt(2 s2 l / K) + 7 B l / (3 (K - 1)),  l = log(4 S m / delta),
    up = max_{s,h} [m + W - V(s)]_+,  lo = max_s [V(s) - (m - W)(s, pi(s))]_+.

Guarantee
---------
With probability at least 1 - delta each,

    V* - V^{pi o mu} <= APX + min(E1, E2),                                                  (1)
    V*_mu - V^pi_mu <= (up + lo) / (1 - gamma).                                             (2)

(2): except with probability delta, |m - E| <= W for all pairs (Maurer and Pontil, two sides). Then
T_mu V <= V + up, so V*_mu <= V + up / (1 - gamma); and T_pi V >= V - lo likewise.

Cost
----
S m K fresh samples for (2).

Deviations
----------
(2) needs the fresh samples to be independent of V: the samples V was learned from have residual
zero, however wrong V is. This is the mutant.

References
----------
li2024 for the shape of (1); maurer2009 for W. All constants derived here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array, Grouped, leaky
from bounds.li2024_approximation import sharp
from bounds.li2024_chain import horizon
from bounds.li2024_estimation import (
    SAMPLED,
    arguments,
    broken_sampling,
    rivals,
    sampled_case,
    sampled_cases,
)
from bounds.li2024_samples import Draws, policy_loss, total_loss, with_fresh, with_plan
from bounds.li2024_setting import AFTER, normalised
from bounds.random_models import FEW
from bounds.theorem import Entry, Hypothesis, Scale, Theorem
from mdplib.grouping.loss import (
    certificate,
    estimation_bound,
    hoeffding_bound,
    weissman_bound,
)


def certified(draws: Draws, Q: Array, gamma: float, delta: float, n: int | None = None) -> float:
    """Return the certified loss of the policy greedy for Q.

    Parameters
    ----------
    draws : Draws
        At least two samples per pair, independent of Q.
    Q : (S, m) float64
        Any function.
    gamma, delta : float
        Discount factor; probability of failure.
    n : int, optional
        Samples per pair that the widths are to believe in; those drawn by default.

    Returns
    -------
    float
        Bound on max V*_mu - V^pi_mu, in the unit of the values; except with probability delta.
    """
    V, K = Q.max(1), draws.size
    seen = np.array([0.0, 1.0])[:, None, None, None] + gamma * V
    mean = (draws.counts * seen).sum((0, 3)) / K
    square = (draws.counts * (seen - mean[:, :, None]) ** 2).sum((0, 3))
    given = (mean, square / (K - 1), K if n is None else n, V, Q.argmax(1), gamma, delta)
    return float(certificate(*given))  # (2)


def compare(model: Grouped, K: int, delta: float, rng: np.random.Generator) -> dict[str, float]:
    """Return the loss of one learned policy, and all bounds on it.

    Parameters
    ----------
    model : Grouped
        The model.
    K : int
        Samples per pair, and as many fresh ones.
    delta : float
        Probability of failure, each.
    rng : numpy.random.Generator
        Source of the samples.

    Returns
    -------
    dict
        "loss", "certificate", "weissman", "hoeffding": against the best policy over groups.
    """
    case = with_fresh(sampled_case(model, K, "", n=iterations(model.gamma), delta=delta), rng)
    return {
        "loss": policy_loss(case),
        "certificate": certified(case["fresh"], case["Q"], model.gamma, delta),
        "weissman": weissman_bound(*arguments(case)),
        "hoeffding": hoeffding_bound(*arguments(case)),
    }


def iterations(gamma: float) -> int:
    """Return how many iterations leave less than 1e-9."""
    return int(np.ceil(np.log(1e-9 * (1.0 - gamma)) / np.log(gamma)))


def tree(
    level: int, n_levels: int = 6, *, S: int = 6, gamma: float = 0.9, seed: int = 0
) -> Grouped:
    """Return the tree model: actions that share ancestors are alike, weights 0.6^l per level.

    Parameters
    ----------
    level : int
        Groups are the nodes of this level, 2^level of them.
    n_levels : int
        Depth; 2^n_levels actions.
    S : int
        Number of states.
    gamma : float
        Discount factor.
    seed : int
        Of the draws: per level, kernels (Dirichlet 0.2), then rewards (uniform).

    Returns
    -------
    Grouped
        Actions of a group are played equally.

    Examples
    --------
    >>> [round(tree(level).facts.loss, 3) for level in (0, 2, 4)]
    [1.221, 0.424, 0.088]
    """
    rng, A = np.random.default_rng(seed), 2**n_levels
    share = 0.6 ** np.arange(n_levels + 1)
    P, r = np.zeros((S, A, S)), np.zeros((S, A))
    for depth, weight in enumerate(share / share.sum()):
        node = np.arange(A) >> (n_levels - depth)
        P += weight * rng.dirichlet(np.full(S, 0.2), (S, 2**depth))[:, node]
        r += weight * rng.random((S, 2**depth))[:, node]
    group = np.tile(np.arange(A) >> (n_levels - level), (S, 1))
    P /= P.sum(-1, keepdims=True)
    return Grouped(P, r, group, normalised(np.ones((S, A)), group, 2**level), gamma)


# ------------------------------------------------------------------------------------ in all


def _total(case: Case) -> float:
    return sharp(case) + estimation_bound(*arguments(case))  # (1)


def _totals(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    yield from sampled_cases(rng, scale)
    yield sampled_case(tree(5, gamma=0.5), 10_000, "tree, 32 groups", pooled=True)


def _mostly_grouping() -> Case:
    return sampled_case(leaky(0.5, 0.5, 0.5), 10**10, "the loss is that of grouping")


def _mostly_broken() -> dict[str, Case]:
    return broken_sampling(_mostly_grouping())


_sum = Theorem(
    id="li2024:total",
    statement=r"With probability at least $1 - \delta$, $V^* - V^{\hat\pi \circ \mu} \le "
    r"\frac{\beta_r + \gamma \beta_P / (1 - \gamma)}{1 - \gamma (1 - \beta_P)} + "
    r"\min(E_1, E_2)$, where $E_1, E_2$ bound estimation and planning",
    source=AFTER,
    kind="high_probability",
    hypotheses=SAMPLED,
    lhs=total_loss,
    rhs=_total,
    trivial=horizon,
    sample=with_plan,
    delta=lambda case: case["delta"],
)
TOTAL = Entry(
    theorem=_sum,
    instances=_totals,
    tight=_mostly_grouping,
    tightness=0.99,
    mutant=_sum.mutant(
        statement="without the approximation", rhs=lambda case: estimation_bound(*arguments(case))
    ),
    broken=_mostly_broken,
)


# --------------------------------------------------------------------------- the certificate

_TWO = Hypothesis(
    "fresh", "at least two fresh samples of every pair", lambda case: bool(case["K"] >= 2)
)
_HYPOTHESES = (*SAMPLED[:-2], _TWO, SAMPLED[-1])


def _certified(case: Case) -> float:
    return certified(case["fresh"], case["Q"], case["model"].gamma, case["delta"])


def _self_certified(case: Case) -> float:
    gamma = case["model"].gamma
    return certified(case["first"], case["Q"], gamma, case["delta"], 10**18)


def _runs(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    yield from sampled_cases(rng, scale)
    for K in (4_000, 100_000)[: FEW[scale] // 2]:
        yield sampled_case(tree(3), K, f"tree, 8 groups, K = {K}", n=200, pooled=K < 10_000)


def _broken_runs() -> dict[str, Case]:
    case = rivals()
    return broken_sampling(case, _HYPOTHESES) | {"fresh": case.with_values({"K": 1})}


_certificate = Theorem(
    id="li2024:certificate",
    statement=r"With probability at least $1 - \delta$ over fresh samples, "
    r"$V^*_\mu - V^{\hat\pi}_\mu \le (\mathrm{up} + \mathrm{lo}) / (1 - \gamma)$, the largest "
    r"residuals of $\hat V$ widened by empirical Bernstein bounds",
    source=AFTER,
    kind="high_probability",
    hypotheses=_HYPOTHESES,
    lhs=policy_loss,
    rhs=_certified,
    trivial=horizon,
    sample=with_fresh,
    delta=lambda case: case["delta"],
)
CERTIFICATE = Entry(
    theorem=_certificate,
    instances=_runs,
    tight=rivals,
    tightness=0.1,
    mutant=_certificate.mutant(
        statement="the samples it was learned from, widths left out", rhs=_self_certified
    ),
    broken=_broken_runs,
)
