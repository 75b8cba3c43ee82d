r"""Policy iteration on many small dense models at once.

Problem
-------
Hundreds of empirical models of the same small size, one per repetition: an optimal policy of each.

Algorithm
---------
For all models together

    V = (I - gamma P_pi)^{-1} r_pi,                                                          (1)
    Q = r + gamma P V,   pi(s) = argmax_h Q(s, h),                                           (2)

keeping a choice that is within 1e-11 of the best one, until no model changes. Of equal choices,
up to 1e-11, the first one is returned, or one at random: with few samples most choices are equal.

Guarantee
---------
Each model ends at a policy whose value satisfies the optimality equation up to 1e-11 and the
rounding of the linear solves.

Cost
----
Per round one solve of size S and S m S products per model; a few rounds.

Deviations
----------
Models that have settled are not touched again.

References
----------
Howard (1960), howard1960.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError, SolverError

Floats = NDArray[np.float64]
_KEEP = 1e-11
_MOST_ROUNDS = 1000


@dataclass(frozen=True, eq=False)
class Planned:
    """Optimal policies of a batch of models.

    Parameters
    ----------
    policy : (..., S) int64
        Choice in each state.
    value : (..., S) float64
        Value of that policy in its model.
    """

    policy: NDArray[np.int64]
    value: Floats


def plan(
    P: ArrayLike, r: ArrayLike, gamma: float, *, rng: np.random.Generator | None = None
) -> Planned:
    """Return an optimal policy of each model.

    Parameters
    ----------
    P : (..., S, m, S) array_like
        Kernels.
    r : (..., S, m) array_like
        Rewards.
    gamma : float
        Discount, 0 <= gamma < 1.
    rng : numpy.random.Generator, optional
        Chooses among equal choices; the first one is taken if it is not given.

    Returns
    -------
    Planned

    Raises
    ------
    InvalidModelError
        If the shapes do not fit or gamma is out of range.

    Examples
    --------
    >>> P = [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]]
    >>> plan(P, [[0.0, 1.0], [2.0, 0.0]], 0.5)
    Planned(policy=array([0, 0]), value=array([2., 4.]))
    """
    P, r = np.asarray(P, dtype=np.float64), np.asarray(r, dtype=np.float64)
    if P.ndim < 3 or P.shape[:-1] != r.shape or P.shape[-1] != P.shape[-3]:
        raise InvalidModelError(
            f"P has shape {P.shape} and r {r.shape}; (..., S, m, S) and (..., S, m) expected"
        )
    if not 0.0 <= gamma < 1.0:
        raise InvalidModelError(f"gamma is {gamma}; 0 <= gamma < 1 expected")
    shape, (S, m) = r.shape[:-1], r.shape[-2:]
    P, r = P.reshape(-1, S, m, S), r.reshape(-1, S, m)
    policy, value = r.argmax(axis=2), np.zeros((len(r), S))
    live = np.arange(len(r))
    for _ in range(_MOST_ROUNDS):
        value[live] = evaluate(P[live], r[live], policy[live], gamma)
        Q = r[live] + gamma * np.einsum("ismt,it->ism", P[live], value[live])
        own = np.take_along_axis(Q, policy[live][:, :, None], axis=2)[:, :, 0]
        better = Q.max(axis=2) > own + _KEEP
        policy[live] = np.where(better, Q.argmax(axis=2), policy[live])
        live = live[better.any(axis=1)]
        if live.size == 0:
            Q = r + gamma * np.einsum("ismt,it->ism", P, value)
            ties = (Q.max(axis=2, keepdims=True) - _KEEP <= Q).astype(np.float64)
            policy = (ties if rng is None else ties * rng.random(ties.shape)).argmax(axis=2)  # (2)
            return Planned(policy.reshape(shape), value.reshape(shape))
    raise SolverError(f"{live.size} models did not settle in {_MOST_ROUNDS} rounds")


def evaluate(P: Floats, r: Floats, policy: NDArray[np.int64], gamma: float) -> Floats:
    """Return the values of policies, equation (1).

    Parameters
    ----------
    P : (n, S, m, S) array, or (S, m, S) for all
        Kernels.
    r : (n, S, m) array, or (S, m)
        Rewards.
    policy : (n, S) int array
        Choices.
    gamma : float
        Discount.

    Returns
    -------
    (n, S) float64
    """
    S = policy.shape[-1]
    s = np.arange(S)
    if P.ndim == 3:
        P_pi, r_pi = P[s, policy], r[s, policy]
    else:
        i = np.arange(len(policy))[:, None]
        P_pi, r_pi = P[i, s, policy], r[i, s, policy]
    solved = np.linalg.solve(np.eye(S) - gamma * P_pi, r_pi[..., None])  # (1)
    return np.asarray(solved[..., 0], dtype=np.float64)
