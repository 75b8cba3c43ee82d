r"""Bellman arithmetic on `Model`, the same lines for floats and for rationals.

Problem
-------
Evaluate policies, greedy policies and optimal values of small models without sharing code with
the library that is being judged.

Algorithm
---------
    (T V)(s) = max_{k of s} r_k + gamma P_k V                                             (1)
    V^pi = (I - gamma P_pi)^{-1} r_pi                                                     (2)
    V_h = max_{k of s} r_{h,k} + gamma P_k V_{h+1},    V_H = terminal                     (3)

Policies are weights on the pairs: (K,), or (H, K) when they change with the step. Ties go to
the lowest pair. Optimal values come from policy iteration.

Guarantee
---------
Exact on rationals. On floats, the rounding errors of dense linear algebra.

Cost
----
Dense: O(K S) for a backup, O(S^3) for an evaluation.

Deviations
----------
None.

References
----------
puterman1994, sections 4.5 and 6.4.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bounds.model import Array, Model
from mdplib.errors import SolverError

MAX_IMPROVEMENTS = 1000


def q_values(model: Model, V: Array, h: int = 0) -> Array:
    """Return r_k + gamma P_k V of step h, (K,)."""
    return model.reward(h) + model.gamma * (model.P @ V)


def state_max(model: Model, q: Array) -> Array:
    """Return the largest entry of q in each state, (S,)."""
    return np.maximum.reduceat(q, model.state_ptr[:-1])


def bellman(model: Model, V: Array, h: int = 0) -> Array:
    """Return T V of step h, (S,)."""
    return state_max(model, q_values(model, V, h))  # (1)


def best_pairs(model: Model, q: Array) -> NDArray[np.intp]:
    """Return the lowest maximising pair of each state, (S,)."""
    ptr = model.state_ptr
    return np.array([ptr[s] + int(np.argmax(q[ptr[s] : ptr[s + 1]])) for s in range(ptr.size - 1)])


def indicator(model: Model, pair: NDArray[np.intp]) -> Array:
    """Return the weights, (K,), of the policy that takes the given pairs."""
    weight = zeros(model, model.n_pairs)
    weight[pair] = one(model)
    return weight


def greedy(model: Model, V: Array, h: int = 0) -> Array:
    """Return the weights, (K,), of the policy greedy with respect to V at step h."""
    return indicator(model, best_pairs(model, q_values(model, V, h)))


def zeros(model: Model, *shape: int) -> Array:
    """Return zeros of the model's arithmetic."""
    return np.full(shape, Fraction(0), dtype=object) if model.is_exact else np.zeros(shape)


def one(model: Model) -> Any:
    """Return the number one of the model's arithmetic."""
    return Fraction(1) if model.is_exact else 1.0


def identity(model: Model) -> Array:
    """Return the (S, S) identity of the model's arithmetic."""
    matrix = zeros(model, model.n_states, model.n_states)
    np.fill_diagonal(matrix, one(model))
    return matrix


def average(model: Model, weight: Array, x: Array) -> Array:
    """Return sum over the pairs k of s of weight_k x_k: (S,) or (S, ...)."""
    product = (weight if x.ndim == 1 else weight[:, None]) * x
    return np.add.reduceat(product, model.state_ptr[:-1], axis=0)


def policy_backup(model: Model, weight: Array, V: Array, h: int = 0) -> Array:
    """Return T_pi V of step h, (S,)."""
    return average(model, weight, q_values(model, V, h))


def policy_resolvent(model: Model, weight: Array, right: Array) -> Array:
    """Return (I - gamma P_pi)^{-1} applied to a vector (S,) or a matrix (S, m)."""
    return solve(identity(model) - model.gamma * average(model, weight, model.P), right)


def policy_value(model: Model, weight: Array) -> Array:
    """Return V^pi of a stationary policy of a discounted model, (S,)."""
    return policy_resolvent(model, weight, average(model, weight, model.reward()))  # (2)


def solve(A: Array, b: Array) -> Array:
    """Solve A x = b, by LAPACK for floats and by elimination for rationals.

    Parameters
    ----------
    A : (S, S)
        Non-singular matrix.
    b : (S,) or (S, m)
        Right side.

    Returns
    -------
    ndarray
        Shape of b.

    Raises
    ------
    SolverError
        If A is singular.
    """
    if A.dtype != object:
        try:
            return np.linalg.solve(A, b)
        except np.linalg.LinAlgError as error:
            raise SolverError("I - gamma P_pi is singular: the value is not finite.") from error
    size = A.shape[0]
    right = b.reshape(size, -1)
    rows = np.concatenate([A, right], axis=1)
    for i in range(size):
        pivot = next((j for j in range(i, size) if rows[j, i] != 0), None)
        if pivot is None:
            raise SolverError("I - gamma P_pi is singular: the value is not finite.")
        rows[[i, pivot]] = rows[[pivot, i]]
        rows[i] = rows[i] / rows[i, i]
        for j in range(size):
            if j != i and rows[j, i] != 0:
                rows[j] = rows[j] - rows[j, i] * rows[i]
    return rows[:, size:].reshape(b.shape)


def optimal_value(model: Model) -> Array:
    """Return V* by policy iteration (discounted) or backward induction (finite horizon).

    Parameters
    ----------
    model : Model
        With non-negative rows and gamma times the largest row sum below one, or a finite horizon.

    Returns
    -------
    ndarray
        (S,), or (H+1, S).

    Raises
    ------
    SolverError
        If policy iteration does not settle.

    Examples
    --------
    >>> optimal_value(Model([[1.0], [1.0]], [0.0, 1.0], [0, 2], 0.5))
    array([2.])
    """
    if model.horizon is not None:
        return finite_optimal(model)
    pair = best_pairs(model, model.reward())
    for _ in range(MAX_IMPROVEMENTS):
        V = policy_value(model, indicator(model, pair))
        q = q_values(model, V)
        better = best_pairs(model, q)
        slack: Any = Fraction(0)
        if not model.is_exact:
            largest = float(np.abs(V).max() + np.abs(model.r).max())
            slack = 8 * model.n_states * np.finfo(float).eps * largest
        improved = q[better] - q[pair] > slack
        if not improved.any():
            return V
        pair = np.where(improved, better, pair)
    raise SolverError(f"policy iteration did not settle in {MAX_IMPROVEMENTS} improvements.")


def finite_optimal(model: Model) -> Array:
    """Return V*_h, (H+1, S), by backward induction."""
    V = zeros(model, model.steps + 1, model.n_states)
    V[-1] = model.last
    for h in range(model.steps - 1, -1, -1):
        V[h] = bellman(model, V[h + 1], h)  # (3)
    return V


def finite_greedy(model: Model, V: Array) -> Array:
    """Return the weights, (H, K), of the policy greedy at h with respect to V[h+1]."""
    return np.stack([greedy(model, V[h + 1], h) for h in range(model.steps)])


def finite_policy_value(model: Model, weight: Array) -> Array:
    """Return V^pi_h, (H+1, S), of a policy with weights (H, K)."""
    V = zeros(model, model.steps + 1, model.n_states)
    V[-1] = model.last
    for h in range(model.steps - 1, -1, -1):
        V[h] = policy_backup(model, weight[h], V[h + 1], h)
    return V


def sup_norm(x: Array) -> Any:
    """Return the largest absolute entry."""
    return np.abs(x).max()


def span(x: Array) -> Any:
    """Return the largest entry minus the smallest."""
    return x.max() - x.min()


def l1_distance(P: Array, other: Array) -> Any:
    """Return the largest L1 distance between rows of the same number."""
    return np.abs(P - other).sum(axis=1).max()
