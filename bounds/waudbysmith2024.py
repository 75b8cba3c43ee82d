r"""The certified gap of a run: what n simulated episodes and an upper bound prove.

Problem
-------
A policy is simulated n times and U is an upper bound on the optimum. How much of U does it lose?

Algorithm
---------
`mdplib.restless.certified_gap`: (U - L) / U with a lower confidence limit L of the value. L is
the mean m at which the wealth of a bettor against m,

    W(m) = prod_i (1 + b_i(m) (x_i - m)),   0 <= b_i(m) <= c / (m - low),  c < 1,

falls below 1 / delta. The bet b_i looks at x_1, ..., x_{i-1} only.

Guarantee
---------
With probability at least 1 - delta over the n episodes,

    (V* - V^pi) / U  <=  (U - V^pi) / U  <=  (U - L) / U                                    (1)

for the exact methods "betting", "hoeffding" and "empirical_bernstein", for all n >= 2. The
methods "student" and "bootstrap" are nominal: they fail where a rare episode is poor.

Proof. No x_i is below low, so all factors are positive, and if the mean is at most m their
expectations given the past are at most one: W(m) is a supermartingale that starts at one and
reaches 1 / delta with probability at most delta. W falls in m, so the limit is above the value
only if W at the value is at least 1 / delta. No upper end of the rewards is used. The first
inequality of (1) is V* <= U, which is sure.

Cost
----
n episodes a draw; the exact value by the joint model.

Deviations
----------
The published bets are for both sides and variables in [0, 1]. Here one side, and one end.

References
----------
waudbysmith2024; hoeffding1963, theorem 2; maurer2009, theorem 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.restless_models import Array, Coupled, draw_policy, draws, program_bound
from bounds.restless_setting import ACTIONS, LAWS, ROWS, broken_of, one_state
from bounds.theorem import Entry, Hypothesis, Scale, Theorem
from mdplib.restless.gap import EXACT, CertifiedGap, GapMethod, certified_gap

EPISODES = 50


def play(case: Case, rng: np.random.Generator) -> Array:
    """Return the total expected one-step rewards of independent episodes, (n,)."""
    model: Coupled = case["model"]
    P, r = model.joint
    n = case["episodes"]
    s = rng.choice(len(model.first), n, p=model.first / model.first.sum())
    total = np.zeros(n)
    for h in range(model.horizon):
        laws = np.cumsum(case["policy"][h], axis=1)[:, :-1]
        a = (rng.random(n)[:, None] >= laws[s]).sum(1)
        total += r[a, s]
        s = (rng.random(n)[:, None] >= np.cumsum(P[a, s], axis=1)[:, :-1]).sum(1)
    return total


def ends(model: Coupled) -> tuple[float, float]:
    """Return bounds on the total reward of an episode."""
    r = model.r.reshape(len(model.r), -1)
    return model.horizon * float(r.min(1).sum()), model.horizon * float(r.max(1).sum())


def run(case: Case, rng: np.random.Generator) -> Case:
    """Return the case with "found": the certified gap of fresh episodes."""
    low, high = ends(case["model"])
    found = certified_gap(
        play(case, rng),
        case["upper"],
        low=low,
        high=high,
        confidence=1.0 - case["delta"],
        method=case["method"],
        rng=rng,
    )
    return case.with_values({"found": found})


def true_gaps(case: Case) -> Array:
    """Return the exact distances of the policy to the optimum and to the bound, (2,)."""
    return case["gaps"]


def gap_case(
    model: Coupled, policy: Array, method: GapMethod, label: str, episodes: int = EPISODES
) -> Case:
    """Return the case of a policy whose exact gaps are known."""
    upper = program_bound(model, hull=False)
    value = float(model.first @ model.value(policy)[0])
    optimum = float(model.first @ model.optimum()[0])
    gaps = np.array([optimum - value, upper - value]) / upper
    values = {"model": model, "policy": policy, "method": method, "upper": upper, "gaps": gaps}
    return Case(values | {"episodes": episodes, "delta": 0.1}, label, 1e-7)


def _random(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    wanted = {"smoke": 1, "default": 4}.get(scale, 20)
    for method in EXACT:
        found = 0
        for model in draws(rng, 100):
            if found < wanted and program_bound(model, hull=False) > 0.1:
                found += 1
                policy = draw_policy(rng, model)
                yield gap_case(model, policy, method, f"random {found}, {method}")
    yield rare("betting")


def rare(method: GapMethod, episodes: int = 20) -> Case:
    """Return one arm whose episodes pay one, but nothing one time in twenty."""
    model = one_state(np.array([1.0]), horizon=1)
    P = np.tile(np.eye(2), (1, 1, 1, 1))
    r = np.array([[[1.0, 0.0]]])
    model = replace(model, P=P, r=r, initial=np.array([[0.95, 0.05]]))
    return gap_case(model, np.ones((1, 2, 1)), method, f"rarely poor, {method}", episodes)


def even() -> Case:
    """Return one arm whose episodes pay one or two, eight hundred times."""
    case = rare("betting", 800)
    model = replace(case["model"], r=np.array([[[2.0, 1.0]]]), initial=np.array([[0.5, 0.5]]))
    doubled = replace(
        model, r=np.array([[[2.0, 1.0], [4.0, 2.0]]]), P=np.tile(model.P, (1, 2, 1, 1))
    )
    larger = replace(doubled, C=np.array([[0], [1]]), room=np.array([1.0]))
    policy = np.tile(np.array([1.0, 0.0]), (1, 2, 1))
    return gap_case(larger, policy, "betting", "one or two, where twice that can be had", 800)


def _known(case: Case) -> bool:
    return case["method"] in EXACT


METHOD = Hypothesis("method", "the confidence limit is exact", _known)
EPISODE = Hypothesis("episodes", "at least two episodes", lambda case: case["episodes"] >= 2)
DELTA = Hypothesis("delta", "0 < delta < 1", lambda case: 0 < case["delta"] < 1)
UPPER = Hypothesis("upper", "the bound is positive", lambda case: case["upper"] > 0)


def _gap(case: Case) -> float:
    found: CertifiedGap = case["found"]
    return found.gap


def _estimate(case: Case) -> float:
    found: CertifiedGap = case["found"]
    return found.estimate


def _broken() -> dict[str, Case]:
    case = even()
    own = {
        "method": {"method": "student"},
        "episodes": {"episodes": 1},
        "delta": {"delta": 1.0},
        "upper": {"upper": 0.0},
    }
    return broken_of(case, _certified.hypotheses) | {
        name: case.with_values(change) for name, change in own.items()
    }


_certified = Theorem(
    id="waudbysmith2024:certified_gap",
    statement=r"With probability at least $1 - \delta$ over $n$ episodes, "
    r"$(V^* - V^\pi) / U \le (U - V^\pi) / U \le (U - L) / U$ for the fluid bound $U$ and an "
    r"exact lower confidence limit $L$",
    source="Confidence limits by betting, one-sided; proved in the module",
    kind="high_probability",
    hypotheses=(LAWS, ACTIONS, ROWS, METHOD, EPISODE, DELTA, UPPER),
    lhs=true_gaps,
    rhs=_gap,  # (1)
    sample=run,
    delta=lambda case: case["delta"],
)
CERTIFIED_GAP = Entry(
    theorem=_certified,
    instances=_random,
    tight=even,
    tightness=0.95,
    mutant=_certified.mutant(statement="the mean in place of the limit", rhs=_estimate),
    broken=_broken,
)
