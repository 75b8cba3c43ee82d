"""Small random undiscounted models that have every awkward feature, with their exact numbers.

Ragged actions, repeated actions and other ties, end components with and without reward, states
that cannot be reached or left, stored zeros, tiny probabilities, empty and full target sets.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import numpy as np

from mdplib import UndiscountedMDP

Criterion = Literal["reachability", "expected_reward"]
Objective = Literal["max", "min"]
Row = dict[int, Fraction]

POLICIES = 24  # at most so many deterministic policies per model
TINY = (10**6, 10**9, 2**40, 3**40)


def random_undiscounted(
    rng: np.random.Generator, criterion: Criterion, objective: Objective, max_states: int = 6
) -> UndiscountedMDP:
    """Draw a model; `rational` and, with rewards, `rational_reward` hold its exact numbers."""
    S = int(rng.integers(1, max_states + 1))
    target = _target(rng, S)
    tiny, drained = rng.random() < 0.25, rng.random() < 0.3
    kind = str(rng.choice(["plus", "plus", "minus", "both"]))
    state_ptr, policies = [0], 1
    rows: list[Row] = []
    rewards: list[Fraction] = []
    action: list[int] = []
    for s in range(S):
        count = int(rng.integers(1, 4))
        while policies * count > POLICIES:
            count -= 1
        policies *= count
        first = len(rows)
        for _ in range(count):
            if len(rows) > first and rng.random() < 0.15:
                rows.append(rows[-1])  # a tie
                rewards.append(rewards[-1])
            else:
                rows.append(_row(rng, s, S, tiny))
                rewards.append(_reward(rng, kind))
            if drained and target.any():
                rows[-1] = _drain(rows[-1], int(np.argmax(target)))
        action += sorted(rng.choice(5, size=count, replace=False).tolist())
        state_ptr.append(len(rows))
    return _assemble(rng, criterion, objective, target, state_ptr, rows, rewards, action)


def simple(mdp: UndiscountedMDP) -> UndiscountedMDP:
    """Return the model without its exact numbers, which must then be guessed from the floats."""
    return mdp.replace(rational=None, rational_reward=None)


def _target(rng: np.random.Generator, S: int) -> np.ndarray:
    target = np.zeros(S, dtype=bool)
    chance = rng.random()
    if chance < 0.8:
        target[int(rng.integers(S))] = True
    elif chance < 0.95:
        target[:] = rng.random(S) < 0.4
    return target


def _row(rng: np.random.Generator, s: int, S: int, tiny: bool) -> Row:
    """Successors near s mostly, so that loops and chains of components appear."""
    kind = rng.random()
    if kind < 0.15:
        return {s: Fraction(1)}
    if kind < 0.35:
        return {int(rng.integers(S)): Fraction(1)}
    size = int(rng.integers(1, min(S, 3) + 1))
    near = np.arange(max(0, s - 1), min(S, s + 2)) if rng.random() < 0.5 else np.arange(S)
    chosen = sorted(rng.choice(near, size=min(size, near.size), replace=False).tolist())
    if tiny and len(chosen) > 1 and rng.random() < 0.5:
        rare = Fraction(1, TINY[int(rng.integers(len(TINY)))])
        row = dict.fromkeys(chosen, rare)
        row[chosen[int(rng.integers(len(chosen)))]] = 1 - rare * (len(chosen) - 1)
        return row
    weights = rng.integers(1, 6, size=len(chosen)).tolist()
    return {t: Fraction(w, sum(weights)) for t, w in zip(chosen, weights, strict=True)}


def _drain(row: Row, goal: int) -> Row:
    """Lead a tenth of the probability to the target."""
    drained = {t: p * Fraction(9, 10) for t, p in row.items()}
    drained[goal] = drained.get(goal, Fraction(0)) + Fraction(1, 10)
    return drained


def _reward(rng: np.random.Generator, kind: str) -> Fraction:
    if rng.random() < 0.45:
        return Fraction(0)
    size = Fraction(int(rng.integers(1, 10)), int(rng.integers(1, 4)))
    return -size if kind == "minus" or (kind == "both" and rng.random() < 0.5) else size


def _assemble(
    rng: np.random.Generator,
    criterion: Criterion,
    objective: Objective,
    target: np.ndarray,
    state_ptr: list[int],
    rows: list[Row],
    rewards: list[Fraction],
    action: list[int],
) -> UndiscountedMDP:
    indptr, indices, exact = [0], [], []
    for row in rows:
        stored = dict(row)
        if rng.random() < 0.1:
            stored.setdefault(int(rng.integers(target.size)), Fraction(0))
        for t in sorted(stored):
            indices.append(t)
            exact.append(stored[t])
        indptr.append(len(indices))
    paid: dict[str, Any] = {}
    if criterion == "expected_reward":
        paid = {"reward": np.array([float(r) for r in rewards]), "rational_reward": tuple(rewards)}
    return UndiscountedMDP(
        np.array(state_ptr),  # type: ignore[arg-type]
        np.array(indptr),  # type: ignore[arg-type]
        np.array(indices),  # type: ignore[arg-type]
        np.array([float(p) for p in exact]),
        np.array(action),  # type: ignore[arg-type]
        criterion,
        objective,
        target,
        rational=tuple(exact),
        **paid,
    )
