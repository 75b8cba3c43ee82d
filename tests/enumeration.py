"""Small undiscounted models as lists of fractions, and their values by trying every policy.

Nothing here is shared with the library: a model is a list over states of pairs
(row {successor: Fraction}, reward Fraction), chains are solved by Gaussian elimination in
fractions, and which states miss the target is found by naive search.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np

from mdplib import UndiscountedMDP
from mdplib.solution import Status

INF = float("inf")
problem: Any = UndiscountedMDP  # takes lists too


def build(model, criterion, objective, target) -> UndiscountedMDP:
    state_ptr, indptr, indices, rational, reward, action = [0], [0], [], [], [], []
    for pairs in model:
        for a, (row, r) in enumerate(pairs):
            for t in sorted(row):
                indices.append(t)
                rational.append(row[t])
            indptr.append(len(indices))
            reward.append(r)
            action.append(a)
        state_ptr.append(len(action))
    mask = np.zeros(len(model), dtype=bool)
    mask[list(target)] = True
    paid = {}
    if criterion == "expected_reward":
        paid = {"reward": [float(r) for r in reward], "rational_reward": reward}
    return problem(
        state_ptr,
        indptr,
        indices,
        [float(p) for p in rational],
        action,
        criterion,
        objective,
        mask,
        rational=rational,
        **paid,
    )


def reach_from(chain, start) -> set[int]:
    seen, stack = {start}, [start]
    while stack:
        for t in chain[stack.pop()][0]:
            if t not in seen:
                seen.add(t)
                stack.append(t)
    return seen


def eliminate(rows: list[list[Fraction]]) -> list[Fraction]:
    """Solve a square system given as rows with the right-hand side last."""
    n = len(rows)
    for i in range(n):
        pivot = next(j for j in range(i, n) if rows[j][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for j in range(n):
            if j != i and rows[j][i] != 0:
                factor = rows[j][i]
                rows[j] = [x - factor * y for x, y in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]


def chain_value(chain, criterion, target, sign) -> list:
    """Value of a Markov chain [(row, reward)] in fractions, inf where it is infinite."""
    S = len(chain)
    stopped = [({s: Fraction(1)}, Fraction(0)) if s in target else chain[s] for s in range(S)]
    reach = [reach_from(stopped, s) for s in range(S)]
    miss = {s for s in range(S) if not reach[s] & target}
    if criterion == "reachability":
        known = dict.fromkeys(miss, Fraction(0)) | dict.fromkeys(target, Fraction(1))
    else:
        known = {s: sign * INF for s in range(S) if reach[s] & miss}
        known |= dict.fromkeys(target, Fraction(0))
    rest = [s for s in range(S) if s not in known]
    rows = []
    for s in rest:
        row, r = stopped[s]
        right = r if criterion == "expected_reward" else Fraction(0)
        right += sum((p * known[t] for t, p in row.items() if t in known), Fraction(0))
        rows.append([Fraction(int(s == t)) - row.get(t, Fraction(0)) for t in rest] + [right])
    solved = dict(zip(rest, eliminate(rows), strict=True))
    return [known.get(s, solved.get(s)) for s in range(S)]


def infinite_sign(model, target) -> int:
    rewards = [r for s, pairs in enumerate(model) if s not in target for _, r in pairs]
    return -1 if any(r < 0 for r in rewards) else 1


def optimum(model, criterion, objective, target) -> list:
    best = max if objective == "max" else min
    values = [
        chain_value(list(chain), criterion, target, infinite_sign(model, target))
        for chain in itertools.product(*model)
    ]
    return [best(column) for column in zip(*values, strict=True)]


def random_model(rng, sign: int = 1):
    """Small models with ties, end components, reward 0, dead ends; sometimes thirds."""
    S = int(rng.integers(2, 6))
    part = int(rng.choice([2, 3, 4, 10]))
    model = []
    for _ in range(S):
        pairs = []
        for _ in range(rng.integers(1, 4 if S < 5 else 3)):
            width = int(rng.integers(1, min(3, S) + 1))
            support = rng.choice(S, width, replace=False).tolist()
            cuts = sorted(rng.choice(np.arange(1, max(part, width)), width - 1, replace=False))
            ends = [0, *(int(c) for c in cuts), max(part, width)]
            row = {
                t: Fraction(b - a, ends[-1])
                for t, (a, b) in zip(support, itertools.pairwise(ends), strict=True)
            }
            pairs.append((row, sign * Fraction(int(rng.choice([0, 0, 1, 1, 2, 5])), part)))
        model.append(pairs)
    size = int(rng.integers(0, 2)) + int(rng.random() < 0.9)
    if S > 3 and rng.random() < 0.5:  # two states that can move to each other for ever, a dead end
        for s in (0, 1):
            model[s] = [({1 - s: Fraction(1)}, sign * Fraction(int(rng.integers(0, 2)))), *model[s]]
        model[2] = [({2: Fraction(1)}, Fraction(0))]
        return model, {3}
    return model, set(rng.choice(S, min(size, S), replace=False).tolist())


def inside(x, lower, upper) -> bool:
    if isinstance(x, float):
        return lower == upper == x
    return (lower == -INF or Fraction(float(lower)) <= x) and (
        upper == INF or x <= Fraction(float(upper))
    )


def complaints(solve, model, criterion, objective, target, **options) -> list[str]:
    """What is wrong with a solution; empty if nothing is."""
    found = solve(build(model, criterion, objective, target), **options)
    exact = optimum(model, criterion, objective, target)
    first = [sum(map(len, model[:s])) for s in range(len(model))]
    chain = [model[s][found.policy.pair[s] - first[s]] for s in range(len(model))]
    own = chain_value(chain, criterion, target, infinite_sign(model, target))
    said = []
    for s, (lower, upper) in enumerate(zip(found.lower, found.upper, strict=True)):
        if not inside(exact[s], lower, upper):
            said.append(f"value {exact[s]} of {s} outside [{lower}, {upper}]")
        if not inside(own[s], lower, upper):
            said.append(f"policy value {own[s]} of {s} outside [{lower}, {upper}]")
        if not lower <= found.value[s] <= upper:
            said.append(f"estimate of {s} outside its bounds")
    if found.status is Status.OPTIMAL and not (found.relative_gap <= 1e-8 or options["tol"]):
        said.append(f"relative gap {found.relative_gap} called optimal")
    if found.status is not Status.OPTIMAL:
        said.append(f"status {found.status}")
    return said
