r"""What K samples of every state and group buy, and n iterations.

Problem
-------
Estimate the lifted model from K samples of each of its S m pairs, rewards in [0, 1], iterate Q n
times from zero, deploy the greedy policy. What does it lose against the best policy over groups?

Algorithm
---------
`bounds.li2024_samples`. Write Q_n for the result, pi for the greedy policy, H = 1 / (1 - gamma).

Guarantee
---------
Planning. From zero, values only grow, 0 <= Q* - Q_n <= gamma^n H, and the greedy policy is worth
at least max Q_n, for T_pi max Q_{n-1} = max Q_n >= max Q_{n-1}. So in the model that is iterated

    ||Q* - Q_n|| <= gamma^n H,    V* - V^pi <= gamma^n H.                                   (1)

The charge of (3) and (4) for planning is at most eps as soon as

    n >= log(2 H^2 / eps) / log(1 / gamma).                                                 (5)

Estimation. With probability at least 1 - delta each,

    ||Q_n - Q*_mu|| <= e = H^2 sqrt(log(2 S m / delta) / (2 K)) + gamma^n H,                (2)
    V*_mu - V^pi <= 2 e H,                                                                  (3)
    V*_mu - V^pi <= 2 H [ sqrt(log(4 S m / delta) / (2 K)) + gamma H min(1, d / 2) ]
                    + 2 gamma^n H^2,  d = sqrt(2 (S log 2 + log(2 S m / delta)) / K).       (4)

(2): V*_mu is not random and R + gamma V*_mu(s') lies in an interval of length H; Hoeffding, a union
over the pairs, and a contraction. (4): rewards by Hoeffding, kernels by Weissman et al., which
serves all policies at once, hence one factor H less but S under the root. Both need independent
samples only, so K may be pooled from samples of single actions.

Cost
----
K S m samples, n S^2 m operations.

Deviations
----------
(1) is 2 H times better for the policy than the 2 gamma^n H^2 that (3) and (4) charge for planning,
and attained: a road of n states to a state that pays for ever, against standing still. So already
log(H / eps) / log(1 / gamma) iterations are enough, and those of (5) are more than enough.

References
----------
li2024 for the algorithm; hoeffding1963, weissman2003, singh1994. All constants derived here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array, Grouped
from bounds.li2024_chain import horizon
from bounds.li2024_samples import iterate, policy_loss, with_plan
from bounds.li2024_setting import (
    AFTER,
    DELTA,
    ITERATIONS,
    REWARDS,
    SAMPLES,
    SETTING,
    SOME,
    broken_of,
    draw_models,
    normalised,
)
from bounds.random_models import FEW
from bounds.theorem import Entry, Hypothesis, Scale, Side, Theorem
from mdplib.grouping.loss import hoeffding_bound, iterations_needed, q_error_bound, weissman_bound

FULL = Hypothesis(
    "groups",
    "every state has every group",
    lambda case: bool(
        (case["model"].group[..., None] == np.arange(case["model"].n_groups)).any(1).all()
    ),
)
MODEL = (*SETTING, REWARDS, FULL)
SAMPLED = (*MODEL, DELTA, SAMPLES, ITERATIONS)


def broken_sampling(case: Case, hypotheses: tuple[Hypothesis, ...] = SAMPLED) -> dict[str, Case]:
    """Return copies of a case that break the hypotheses of the sampling statements, one each."""
    model: Grouped = case["model"]
    group = np.array(model.group)
    group[0], group[1:, -1] = 0, 1
    mu = normalised(np.ones(group.shape), group, int(group.max()) + 1)
    lacking = Grouped(model.P, model.r, group, mu, model.gamma)
    return broken_of(case, hypotheses) | {"groups": case.with_values({"model": lacking})}


def road(length: int, gamma: float) -> Grouped:
    """Return a road of states that pay nothing, to one that pays 1 for ever; or stand still.

    Parameters
    ----------
    length : int
        States of the road before the paying one, at least one.
    gamma : float
        Discount factor.

    Returns
    -------
    Grouped
        The first action stands still, at the start only; two groups of one action.
    """
    S = length + 1
    P = np.zeros((S, 2, S))
    P[np.arange(S), :, np.minimum(np.arange(S) + 1, length)] = 1.0
    P[0, 0] = np.eye(S)[0]
    r = np.zeros((S, 2))
    r[length] = 1.0
    group = np.tile([0, 1], (S, 1))
    return Grouped(P, r, group, np.ones((S, 2)), gamma)


def start_stuck(n: int) -> Case:
    """Return the road that n iterations do not see the end of, and one that they do by a step."""
    return Case({"model": road(n, 0.75), "n": n}, f"a road of {n} states")


def _lifted_plan(case: Case) -> Case:
    model: Grouped = case["model"]
    return case.with_values({"Q": iterate(*model.lifted(), model.gamma, case["n"])})


def _planned(case: Case) -> Array:
    case = _lifted_plan(case)
    error = np.abs(case["Q"] - case["model"].facts.Q_mu).max()
    return np.array([error, policy_loss(case)])


def _geometric(case: Case, more: int = 0) -> float:
    return case["model"].gamma ** (case["n"] + more) * horizon(case)  # (1)


def _plans(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    drawn = draw_models(rng, SOME[scale], shape=(4, 6, 3), per_state=False)
    for i, model in enumerate(drawn):
        yield Case({"model": model, "n": int(rng.integers(0, 60))}, f"random {i}")


_planning = Theorem(
    id="li2024:planning",
    statement=r"$n$ iterations from zero leave $\|Q_n - Q^*_\mu\|_\infty \le \gamma^n / "
    r"(1 - \gamma)$, and the greedy policy loses no more than that",
    source="Derived; the policy's loss is smaller than usually stated",
    kind="inequality",
    hypotheses=(*MODEL, ITERATIONS),
    lhs=_planned,
    rhs=_geometric,
    trivial=horizon,
)
PLANNING = Entry(
    theorem=_planning,
    instances=_plans,
    tight=lambda: start_stuck(3),
    tightness=0.999999,
    mutant=_planning.mutant(
        statement="one iteration more than was made", rhs=lambda case: _geometric(case, 1)
    ),
    broken=lambda: broken_sampling(start_stuck(3), (*MODEL, ITERATIONS)),
)


_ACCURACY = Hypothesis("eps", "eps > 0", lambda case: bool(case["eps"] > 0.0))


def _charged(case: Case, fewer: int = 0) -> Array:
    """Return what is charged for planning after the iterations of (5), and what is lost."""
    gamma = case["model"].gamma
    n = max(0, iterations_needed(gamma, case["eps"]) - fewer)  # (5)
    lost = policy_loss(_lifted_plan(case.with_values({"n": n})))
    return np.array([2.0 * gamma**n * horizon(case) ** 2, lost])


def _accuracies(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    drawn = draw_models(rng, SOME[scale] // 8, shape=(4, 6, 3), per_state=False)
    for i, model in enumerate(drawn):
        yield Case({"model": model, "eps": float(10 ** rng.uniform(-4, 2))}, f"random {i}")


def _just_enough() -> Case:
    return Case(
        {"model": road(3, 0.75), "eps": 32 * 0.75**8 * (1 + 1e-8)}, "eight iterations, just enough"
    )


_iterations = Theorem(
    id="li2024:iterations",
    statement=r"After $n \ge \log(2 / (\epsilon (1 - \gamma)^2)) / \log(1 / \gamma)$ iterations "
    r"planning costs at most $\epsilon$",
    source=AFTER,
    kind="inequality",
    hypotheses=(*MODEL, _ACCURACY),
    lhs=_charged,
    rhs=lambda case: case["eps"],
)
ENOUGH = Entry(
    theorem=_iterations,
    instances=_accuracies,
    tight=_just_enough,
    tightness=0.999999,
    mutant=_iterations.mutant(
        statement="one iteration less", lhs=lambda case: _charged(case, fewer=1)
    ),
    broken=lambda: (
        broken_sampling(_just_enough(), MODEL) | {"eps": _just_enough().with_values({"eps": 0.0})}
    ),
)


# ------------------------------------------------------------------------------- estimation


def arguments(case: Case) -> tuple[int, int, int, float, float, int]:
    """Return S, m, K, gamma, delta and n, the arguments of the bounds on estimation."""
    model: Grouped = case["model"]
    S = len(model.r)
    return S, model.n_groups, case["K"], model.gamma, case["delta"], case["n"]


def sampled_case(
    model: Grouped, K: int, label: str, *, n: int = 60, delta: float = 0.1, pooled: bool = False
) -> Case:
    """Return the case of K samples per pair, pooled or not, and n iterations."""
    return Case({"model": model, "K": K, "n": n, "delta": delta, "pooled": pooled}, label)


def sampled_cases(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    """Draw models of four states and seven actions in three groups, and K that tells something.

    Every other one has actions that differ by the noise of the samples, so that the policy errs.
    """
    for i in range(FEW[scale]):
        gamma, K = ((0.5, 3_000), (0.8, 100_000))[i % 2]
        (model,) = draw_models(rng, 1, shape=(4, 7, 3), gamma=gamma, per_state=False)
        yield sampled_case(model, K, f"random {i}")
        share = 2.0 / np.sqrt(K)
        P = (1.0 - share) * model.P[:, :1] + share * model.P
        r = (1.0 - share) * model.r[:, :1] + share * model.r
        yield sampled_case(replace(model, P=P, r=r), K, f"random {i}, hard to tell apart")


def lucky() -> Case:
    """Return a group of two actions, one that pays now and for ever, and one that never pays.

    A sample of the group tells which of them was drawn, by its reward and its successor.
    """
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 1] = P[2, :, 2] = 1.0
    r = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    zeros = np.zeros((3, 2), dtype=np.int64)
    model = Grouped(P, r, zeros, zeros + 0.5, 1.0 / 16.0)
    return sampled_case(model, 1000, "all or nothing")


def rivals(K: int = 1000) -> Case:
    """Return two groups of nearly equal worth, each of them all or nothing."""
    P = np.zeros((3, 4, 3))
    P[0, (0, 2), 1] = P[0, (1, 3), 2] = P[1, :, 1] = P[2, :, 2] = 1.0
    r = np.array([[1.0, 0.0, 1.0, 0.0], [1.0] * 4, [0.0] * 4])
    group = np.tile([0, 0, 1, 1], (3, 1))
    low = 0.5 - 0.39 / np.sqrt(K)  # the worse one looks better every seventh time
    mu = np.tile([low, 1.0 - low, 1.0 - low, low], (3, 1))
    return sampled_case(Grouped(P, r, group, mu, 1.0 / 16.0), K, "two rivals", delta=0.05)


def _q_error(case: Case) -> float:
    return float(np.abs(case["Q"] - case["model"].facts.Q_mu).max())


def _entry(
    name: str,
    statement: str,
    lhs: Side,
    bound: Callable[..., float],
    tight: Callable[[], Case],
    tightness: float,
) -> Entry:
    theorem = Theorem(
        id=f"li2024:{name}",
        statement=statement,
        source=AFTER,
        kind="high_probability",
        hypotheses=SAMPLED,
        lhs=lhs,
        rhs=lambda case: bound(*arguments(case)),
        trivial=horizon,
        sample=with_plan,
        delta=lambda case: case["delta"],
    )
    return Entry(
        theorem=theorem,
        instances=sampled_cases,
        tight=tight,
        tightness=tightness,
        mutant=theorem.mutant(
            statement="K in place of its square root",
            rhs=lambda case: bound(*arguments(case)) / np.sqrt(case["K"]),
        ),
        broken=lambda: broken_sampling(tight()),
    )


VALUE = _entry(
    "estimation_value",
    r"With probability at least $1 - \delta$, $\|Q_n - Q^*_\mu\|_\infty \le \frac{1}"
    r"{(1 - \gamma)^2} \sqrt{\log(2 S m / \delta) / (2 K)} + \gamma^n / (1 - \gamma)$",
    _q_error,
    q_error_bound,  # (2)
    lucky,
    0.4,
)
HOEFFDING = _entry(
    "estimation_hoeffding",
    r"With probability at least $1 - \delta$, $V^*_\mu - V^{\hat\pi}_\mu \le \frac{2}"
    r"{(1 - \gamma)^3} \sqrt{\log(2 S m / \delta) / (2 K)} + 2 \gamma^n / (1 - \gamma)^2$",
    policy_loss,
    hoeffding_bound,  # (3)
    rivals,
    0.18,
)
WEISSMAN = _entry(
    "estimation_weissman",
    r"With probability at least $1 - \delta$, $V^*_\mu - V^{\hat\pi}_\mu \le \frac{2}"
    r"{1 - \gamma} (\sqrt{\log(4 S m / \delta) / (2 K)} + \frac{\gamma}{1 - \gamma} "
    r"\min(1, d / 2)) + 2 \gamma^n / (1 - \gamma)^2$ with "
    r"$d = \sqrt{2 (S \log 2 + \log(2 S m / \delta)) / K}$",
    policy_loss,
    weissman_bound,  # (4)
    rivals,
    0.18,
)
