"""Exact values of small undiscounted models by trying every deterministic policy.

Nothing here uses the library's algorithms: states are bits of an integer, graph searches are
loops to a fixed point, equations are solved by elimination over the integers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mdplib import UndiscountedMDP

Number = Fraction | float
# Scaled row: common denominator, ((successor, numerator), ...), reward numerator, denominator.
Row = tuple[int, tuple[tuple[int, int], ...], int, int]


@dataclass(frozen=True)
class Plain:
    """A model as lists."""

    S: int
    target: frozenset[int]
    pairs: list[range]
    rows: list[Row]
    after: list[int]  # successors of each pair, as bits
    endless: float  # the infinite value of a policy that may miss the target
    best: Callable[..., Any]
    probability: bool


def plain(mdp: UndiscountedMDP) -> Plain:
    """Read the exact numbers of a model."""
    assert mdp.rational is not None
    assert mdp.target is not None
    target = frozenset(s for s in range(mdp.n_states) if mdp.target[s])
    ptr, indptr, indices = mdp.state_ptr.tolist(), mdp.indptr.tolist(), mdp.indices.tolist()
    rewards = mdp.rational_reward or (Fraction(0),) * mdp.n_pairs
    rows, after = [], []
    for k in range(mdp.n_pairs):
        entries = [(indices[j], mdp.rational[j]) for j in range(indptr[k], indptr[k + 1])]
        entries = [(t, p) for t, p in entries if p]
        common = math.lcm(*(p.denominator for _, p in entries))
        row = tuple((t, p.numerator * (common // p.denominator)) for t, p in entries)
        rows.append((common, row, rewards[k].numerator, rewards[k].denominator))
        after.append(sum(1 << t for t, _ in row))
    pairs = [range(a, b) for a, b in itertools.pairwise(ptr)]
    counted = [rewards[k] for s in range(mdp.n_states) if s not in target for k in pairs[s]]
    negative = any(r < 0 for r in counted) and not any(r > 0 for r in counted)
    return Plain(
        mdp.n_states,
        target,
        pairs,
        rows,
        after,
        -math.inf if negative else math.inf,
        max if mdp.objective == "max" else min,
        mdp.criterion == "reachability",
    )


def chain_value(model: Plain, policy: Sequence[int]) -> list[Number]:
    """Value of one policy, given as the pair of each state."""
    goal = sum(1 << s for s in model.target)
    steps = [model.after[k] for k in policy]
    hit = _into(steps, goal, 0)
    lost = ~hit & ((1 << model.S) - 1)
    if not model.probability:
        lost = _into(steps, lost, goal)  # may miss the target
    values: list[Number] = [Fraction(0)] * model.S
    asked = []
    for s in range(model.S):
        if s in model.target:
            values[s] = Fraction(int(model.probability))
        elif lost >> s & 1:
            values[s] = Fraction(0) if model.probability else model.endless
        else:
            asked.append(s)
    for s, x in zip(asked, _solve(model, policy, asked), strict=True):
        values[s] = x
    return values


def optimum(mdp: UndiscountedMDP) -> list[Number]:
    """The best value of each state over all deterministic policies."""
    model = plain(mdp)
    values = [chain_value(model, policy) for policy in itertools.product(*model.pairs)]
    return [model.best(column) for column in zip(*values, strict=True)]


def may_miss(mdp: UndiscountedMDP) -> bool:
    """Whether some policy misses the target with positive probability from some state."""
    model = plain(mdp.replace(criterion="reachability", reward=None, rational_reward=None))
    return any(
        x != 1 for policy in itertools.product(*model.pairs) for x in chain_value(model, policy)
    )


def mixed(mdp: UndiscountedMDP) -> bool:
    """Whether rewards of both signs can be met before the target."""
    if mdp.rational_reward is None or mdp.target is None:
        return False
    met = [mdp.rational_reward[k] for k in range(mdp.n_pairs) if not mdp.target[mdp.pair_state[k]]]
    return any(r < 0 for r in met) and any(r > 0 for r in met)


def _into(steps: Sequence[int], goal: int, stop: int) -> int:
    """States with a path into `goal` that does not pass through `stop`, as bits."""
    found = goal
    while True:
        more = found
        for s, after in enumerate(steps):
            if after & found and not stop >> s & 1:
                more |= 1 << s
        if more == found:
            return found
        found = more


def _solve(model: Plain, policy: Sequence[int], asked: list[int]) -> list[Fraction]:
    """Equations of the chain on the states in question, by fraction-free elimination."""
    n, place = len(asked), {s: i for i, s in enumerate(asked)}
    M = []
    for i, s in enumerate(asked):
        common, entries, rn, rd = model.rows[policy[s]]
        line = [0] * (n + 1)
        line[i] = common * rd
        line[n] = 0 if model.probability else rn * common
        for t, p in entries:
            if t in place:
                line[place[t]] -= p * rd
            elif model.probability and t in model.target:
                line[n] += p * rd
        M.append(line)
    last = 1
    for i in range(n):
        if M[i][i] == 0:
            j = next(j for j in range(i + 1, n) if M[j][i] != 0)
            M[i], M[j] = M[j], M[i]
        pivot, row = M[i][i], M[i]
        for j in range(n):
            if j != i:
                other, factor = M[j], M[j][i]
                M[j] = [(pivot * x - factor * y) // last for x, y in zip(other, row, strict=True)]
        last = pivot
    return [Fraction(M[i][n], M[i][i]) for i in range(n)]
