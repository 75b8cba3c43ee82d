"""Slow, obvious references in exact arithmetic. Nothing here uses the library's algorithms.

A model is read as plain lists of its stored arrays. Every float is the dyadic rational it is, so
the value returned is that of the model as stored, row sums that are not one included.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import fmpq, fmpq_mat

from mdplib.policy import Policy
from mdplib.tabular import TabularMDP

Number = Any  # Fraction or fmpq
Row = dict[int, Number]


def to_fmpq(x: float) -> fmpq:
    return fmpq(*float(x).as_integer_ratio())


def to_fraction(x: Number) -> Fraction:
    return x if isinstance(x, Fraction) else Fraction(int(x.p), int(x.q))


@dataclass(frozen=True)
class Choice:
    """One admissible action: identifier, reward, successor law."""

    action: int
    reward: Number
    row: Row


@dataclass(frozen=True)
class Plain:
    """A model as lists: ``choices[h][s]`` are the admissible actions; one layer if discounted."""

    S: int
    gamma: Number
    horizon: int | None
    terminal: list[Number]
    choices: list[list[list[Choice]]]


def plain(mdp: TabularMDP, number: Callable[[float], Number] = to_fmpq) -> Plain:
    """Read the stored arrays."""
    S, H = mdp.n_states, mdp.horizon
    state_ptr, indptr, indices = (x.tolist() for x in (mdp.state_ptr, mdp.indptr, mdp.indices))
    data = [number(p) for p in mdp.data.tolist()]
    action = mdp.action_id.tolist()
    rows = [dict(zip(indices[a:b], data[a:b], strict=True)) for a, b in itertools.pairwise(indptr)]
    reward = mdp.reward.tolist()
    choices = []
    for h in range(1 if H is None else H):
        base = 0 if mdp.stationary else h * S
        r = reward[h] if mdp.reward.ndim == 2 else reward
        choices.append(
            [
                [
                    Choice(action[k], number(r[k]), rows[k])
                    for k in range(state_ptr[base + s], state_ptr[base + s + 1])
                ]
                for s in range(S)
            ]
        )
    terminal = [] if mdp.terminal is None else [number(x) for x in mdp.terminal.tolist()]
    return Plain(S, number(mdp.gamma), H, terminal, choices)


def q(model: Plain, choice: Choice, V: Sequence[Number]) -> Number:
    """r + gamma sum_t P(t) V(t)."""
    total = sum((p * V[t] for t, p in choice.row.items()), start=model.gamma * 0)
    return choice.reward + model.gamma * total


# ------------------------------------------------------------------ linear equations


def gauss(A: list[list[Fraction]], b: list[Fraction]) -> list[Fraction]:
    """Solve A x = b by elimination over the rationals."""
    n = len(b)
    M = [[*row, c] for row, c in zip(A, b, strict=True)]
    for i in range(n):
        pivot = next(j for j in range(i, n) if M[j][i] != 0)
        M[i], M[pivot] = M[pivot], M[i]
        M[i] = [x / M[i][i] for x in M[i]]
        for j in range(n):
            if j != i and M[j][i] != 0:
                M[j] = [x - M[j][i] * y for x, y in zip(M[j], M[i], strict=True)]
    return [M[i][n] for i in range(n)]


def flint_solve(A: list[list[fmpq]], b: list[fmpq]) -> list[fmpq]:
    """Solve A x = b over the rationals, by FLINT."""
    n = len(b)
    x = fmpq_mat(n, n, [v for row in A for v in row]).solve(fmpq_mat(n, 1, list(b)))
    return [x[i, 0] for i in range(n)]


def chain_value(model: Plain, chosen: Sequence[Choice]) -> list[Number]:
    """Value of a Markov chain with rewards: (I - gamma P) V = r."""
    zero = model.gamma * 0
    A = [[-model.gamma * c.row.get(t, zero) for t in range(model.S)] for c in chosen]
    for s in range(model.S):
        A[s][s] += 1
    b = [c.reward for c in chosen]
    return gauss(A, b) if isinstance(model.gamma, Fraction) else flint_solve(A, b)


# --------------------------------------------------------------------------- optima


def optimum(
    mdp: TabularMDP, number: Callable[[float], Number] = to_fmpq
) -> list[Fraction] | list[list[Fraction]]:
    """Return V* exactly: (S,), or (H+1, S) for a finite horizon."""
    model = plain(mdp, number)
    if model.horizon is not None:
        return backward(model)
    return [to_fraction(v) for v in howard(model)]


def howard(model: Plain) -> list[Number]:
    """Policy iteration, ended by V = T V in exact arithmetic, which has one solution."""
    chosen = [max(choices, key=lambda c: c.reward) for choices in model.choices[0]]
    while True:
        V = chain_value(model, chosen)
        improved = False
        for s, choices in enumerate(model.choices[0]):
            best = max(choices, key=lambda c: q(model, c, V))
            if q(model, best, V) > V[s]:
                chosen[s], improved = best, True
        if not improved:
            return V


def backward(model: Plain) -> list[list[Fraction]]:
    """Exact backward induction."""
    assert model.horizon is not None
    values = [model.terminal]
    for h in range(model.horizon - 1, -1, -1):
        after = values[0]
        values.insert(0, [max(q(model, c, after) for c in cs) for cs in model.choices[h]])
    return [[to_fraction(v) for v in row] for row in values]


def deterministic_policies(model: Plain) -> Iterator[tuple[Choice, ...]]:
    """Every deterministic stationary policy, as its choices."""
    return itertools.product(*model.choices[0])


def optimum_by_enumeration(
    mdp: TabularMDP, number: Callable[[float], Number] = to_fmpq
) -> list[Fraction]:
    """V* as the pointwise maximum over all deterministic stationary policies."""
    model = plain(mdp, number)
    values = [chain_value(model, chosen) for chosen in deterministic_policies(model)]
    return [to_fraction(max(column)) for column in zip(*values, strict=True)]


# ------------------------------------------------------------------ value of a policy


def mixture(
    model: Plain, policy: Policy, number: Callable[[float], Number], h: int
) -> list[Choice]:
    """Average the choices of step h with the probabilities the policy states."""
    mixed = []
    for s, choices in enumerate(model.choices[min(h, len(model.choices) - 1)]):
        by_action = {c.action: c for c in choices}
        reward, row = model.gamma * 0, {}
        actions, weights = policy.probs(s, h)
        for a, w in zip(actions.tolist(), weights.tolist(), strict=True):
            c, w = by_action[a], number(w)
            reward += w * c.reward
            for t, p in c.row.items():
                row[t] = row.get(t, model.gamma * 0) + w * p
        mixed.append(Choice(-1, reward, row))
    return mixed


def policy_value(
    mdp: TabularMDP, policy: Policy, number: Callable[[float], Number] = to_fmpq
) -> list[Fraction] | list[list[Fraction]]:
    """Exact value of a policy from nothing but its `probs`: (S,), or (H+1, S)."""
    model = plain(mdp, number)
    if model.horizon is None:
        mixed = mixture(model, policy, number, 0)
        return [to_fraction(v) for v in chain_value(model, mixed)]
    values = [model.terminal]
    for h in range(model.horizon - 1, -1, -1):
        mixed = mixture(model, policy, number, h)
        values.insert(0, [q(model, c, values[0]) for c in mixed])
    return [[to_fraction(v) for v in row] for row in values]


# ---------------------------------------------------------------------- floating point


def naive_value_iteration(mdp: TabularMDP, sweeps: int) -> np.ndarray:
    """Textbook value iteration on dense numpy arrays (discounted models)."""
    V = np.zeros(mdp.n_states)
    for _ in range(sweeps):
        W = np.full(mdp.n_states, -np.inf)
        for s in range(mdp.n_states):
            for k in range(mdp.state_ptr[s], mdp.state_ptr[s + 1]):
                row = slice(mdp.indptr[k], mdp.indptr[k + 1])
                total = np.sum(mdp.data[row] * V[mdp.indices[row]])
                W[s] = max(W[s], mdp.reward[k] + mdp.gamma * total)
        V = W
    return V


def outside(
    lower: np.ndarray, upper: np.ndarray, exact: Sequence[Any]
) -> list[tuple[int, float, float, float]]:
    """List the entries (place, lower, exact, upper) with the exact value outside the bounds.

    NaN and infinite bounds are never accepted.
    """
    values = flat(exact)
    found = []
    low, high = np.ravel(lower).tolist(), np.ravel(upper).tolist()
    for i, (a, x, b) in enumerate(zip(low, values, high, strict=True)):
        if not (np.isfinite(a) and np.isfinite(b) and Fraction(a) <= x <= Fraction(b)):
            found.append((i, a, float(x), b))
    return found


def flat(exact: Sequence[Any]) -> list[Any]:
    """Return (S,) or (H+1, S) values as one list, row by row."""
    return [x for row in exact for x in (row if isinstance(row, list) else [row])]
