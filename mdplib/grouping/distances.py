r"""How different two actions are.

Problem
-------
Distances between actions to group by, each with a bound on what grouping costs.

Algorithm
---------
Over all states, with TV the total variation and W_d the transport cost for a metric d on states,

    d_TV(a, b) = max_s |r(s, a) - r(s, b)| + c TV(P(. | s, a), P(. | s, b)),                 (1)
    d_Q(a, b) = max_s |Q(s, a) - Q(s, b)|,                                                   (2)

and the lax bisimulation metric between state-action pairs is the least fixed point of

    d((s, a), (t, b)) = |r(s, a) - r(t, b)| + gamma W_{d_H}(P(. | s, a), P(. | t, b)),       (3)
    d_H(s, t) = max(max_a min_b d((s, a), (t, b)), max_b min_a d((s, a), (t, b))).           (4)

Guarantee
---------
If the actions of every group differ by at most eps in (2) at Q = Q*, or in (3) at every state, the
loss by grouping is at most eps / (1 - gamma). With c = gamma span V*, (1) bounds (2).

Cost
----
(1), (2): quadratic in the number of actions. (3): one small transport problem per couple of pairs
and round; for small models.

Deviations
----------
(3) is iterated from zero, so the result is below the metric by at most gamma^k times its size
after k rounds; what is left is returned with it. Transport programs are solved in floating point:
each returns the value of its dual, a lower bound, and says so if the gap exceeds 1e-9, which is
counted as missing.

References
----------
Taylor, Precup and Panangaden (2008), taylor2008, for (3) and (4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError, NotApplicableError, SolverError
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
_GAP = 1e-9  # of a transport program


@dataclass(frozen=True, eq=False)
class LaxBisimulation:
    """The lax bisimulation metric.

    Parameters
    ----------
    pairs : (K, K) float64
        Distances (3) between state-action pairs, from below.
    states : (S, S) float64
        Distances (4) between states.
    missing : float
        How far below the metric the distances can be.
    """

    pairs: Floats
    states: Floats
    missing: float

    def actions(self, mdp: TabularMDP) -> Floats:
        """Return the largest distance of two actions over the states, (A, A)."""
        S = mdp.n_states
        A = mdp.n_pairs // S
        same = self.pairs.reshape(S, A, S, A)[np.arange(S), :, np.arange(S)]
        return same.max(axis=0)


def kernel_distance(mdp: TabularMDP, factor: float) -> Floats:
    """Return the distance (1) by rewards and total variation.

    Parameters
    ----------
    mdp : TabularMDP
        The model; every action is admissible in every state.
    factor : float
        c, the worth of a unit of total variation; gamma / (1 - gamma) for rewards in [0, 1].

    Returns
    -------
    (A, A) float64

    Examples
    --------
    >>> P = [[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.0, 1.0]]]
    >>> mdp = TabularMDP.from_dense(P, [[0.0, 0.25], [0.0, 0.0]], 0.5)
    >>> kernel_distance(mdp, 1.0)[0]
    array([0.  , 0.75])
    """
    from scipy.spatial.distance import cdist

    if not 0.0 <= factor < np.inf:
        raise ValueError(f"factor is {factor}; a finite number of at least 0 expected")
    P, r = dense_rows(mdp)
    out = np.zeros((P.shape[1], P.shape[1]))
    for s in range(len(P)):
        tv = 0.5 * cdist(P[s], P[s], "cityblock")
        np.maximum(out, np.abs(r[s, :, None] - r[s]) + factor * tv, out=out)  # (1)
    return out


def value_distance(Q: ArrayLike) -> Floats:
    """Return the distance (2) by action values.

    Parameters
    ----------
    Q : (S, A) array_like
        Action values.

    Returns
    -------
    (A, A) float64

    Examples
    --------
    >>> value_distance([[1.0, 0.5], [0.0, 2.0]])[0]
    array([0., 2.])
    """
    q = np.asarray(Q, dtype=np.float64)
    if q.ndim != 2 or not np.isfinite(q).all():
        raise ValueError(f"Q has shape {q.shape}; finite values of shape (S, A) expected")
    out = np.zeros((q.shape[1], q.shape[1]))
    for row in q:
        np.maximum(out, np.abs(row[:, None] - row), out=out)  # (2)
    return out


def lax_bisimulation(
    mdp: TabularMDP, *, tol: float = 1e-3, max_rounds: int = 1000
) -> LaxBisimulation:
    """Return the lax bisimulation metric of a small model.

    Parameters
    ----------
    mdp : TabularMDP
        The model, discounted; every action is admissible in every state.
    tol : float
        How much may be missing, above 1e-9 / (1 - gamma).
    max_rounds : int
        Largest number of rounds.

    Returns
    -------
    LaxBisimulation

    Raises
    ------
    NotApplicableError
        If the model is not discounted.
    SolverError
        If a transport program could not be solved to 1e-9.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 0.5]], 0.5)
    >>> lax_bisimulation(mdp).actions(mdp).round(2)
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    if mdp.is_finite_horizon:
        raise NotApplicableError("the metric is of discounted models; this one has a horizon")
    floor = _GAP / (1.0 - mdp.gamma)
    if not tol > floor:
        raise ValueError(f"tol is {tol}; more than {floor:g}, the error of the programs, expected")
    P, r = dense_rows(mdp)
    S, A = r.shape
    rows, flat = P.reshape(S * A, S), r.ravel()
    far = np.abs(flat[:, None] - flat)
    most = float(far.max()) / (1.0 - mdp.gamma)
    d, states = np.zeros((S * A, S * A)), np.zeros((S, S))
    left = most
    for _ in range(max_rounds):
        if left + floor <= tol or left == 0.0:
            break
        for i in range(S * A):
            for j in range(i):
                d[i, j] = far[i, j] + mdp.gamma * transport(rows[i], rows[j], states)  # (3)
                d[j, i] = d[i, j]
        each = d.reshape(S, A, S, A)
        there = each.min(axis=3).max(axis=1)
        states = np.maximum(there, there.T)  # (4)
        left *= mdp.gamma
    return LaxBisimulation(d, states, left + floor if left > 0.0 else 0.0)


def transport(p: Floats, q: Floats, cost: Floats) -> float:
    """Return the least cost of moving one distribution to another.

    Parameters
    ----------
    p, q : (S,) array
        Distributions.
    cost : (S, S) array
        Cost of a unit from s to t, a metric.

    Returns
    -------
    float

    Examples
    --------
    >>> p, q, cost = np.array([1.0, 0.0]), np.array([0.25, 0.75]), np.array([[0, 2], [2, 0]])
    >>> transport(p, q, cost)
    1.5
    """
    gain, loss = np.maximum(p - q, 0.0), np.maximum(q - p, 0.0)  # what is common stays
    source, sink = np.flatnonzero(gain > 0.0), np.flatnonzero(loss > 0.0)
    part = np.asarray(cost, dtype=np.float64)[np.ix_(source, sink)]
    if source.size == 0 or sink.size == 0 or not part.any():
        return 0.0
    if source.size == 1:
        return float(loss[sink] @ part[0])
    if sink.size == 1:
        return float(gain[source] @ part[:, 0])
    from scipy.optimize import linprog

    n, m = part.shape
    need, room = gain[source], loss[sink] * (gain.sum() / loss.sum())
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    total = np.concatenate([need, room])
    found = linprog(part.ravel(), A_eq=sums[:-1], b_eq=total[:-1], method="highs")
    if found.fun is None:
        raise SolverError(f"the transport problem ended with {found.message}")
    price = np.append(found.eqlin.marginals[n:], 0.0)
    below = float(need @ (part - price).min(axis=1) + room @ price)  # feasible dual
    if found.fun - below > _GAP:
        raise SolverError(f"the transport problem ended with a gap of {found.fun - below:g}")
    return max(below, 0.0)


def dense_rows(mdp: TabularMDP) -> tuple[Floats, Floats]:
    """Return kernels (S, A, S) and rewards (S, A) of a model in which all actions are admissible.

    Raises
    ------
    InvalidModelError
        If some state lacks an action, or kernels or rewards change with the step.
    """
    S = mdp.n_states
    if not mdp.stationary or mdp.reward.ndim == 2:
        raise InvalidModelError("kernels or rewards change with the step; ask step by step")
    A, left = divmod(mdp.n_pairs, S)
    if left or not np.array_equal(mdp.action_id, np.tile(np.arange(A), S)):
        raise InvalidModelError("every action must be admissible in every state here")
    P = np.zeros((mdp.n_pairs, S))
    P[np.repeat(np.arange(mdp.n_pairs), np.diff(mdp.indptr)), mdp.indices] = mdp.data
    return P.reshape(S, A, S), mdp.reward.reshape(S, A)
