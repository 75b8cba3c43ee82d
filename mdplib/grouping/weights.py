r"""How alike the actions of a group are.

Problem
-------
Write all kernels and rewards of a group as a common part and a part of each action,

    P(. | s, a) = (1 - beta_P) P_1(. | s, g(a)) + beta_P P_2(. | s, a),
    r(s, a) = (1 - beta_r) r_1(s, g(a)) + beta_r r_2(s, a),                                  (1)

P_1, P_2 kernels, r_1, r_2 in [0, 1], with the smallest weights beta_P and beta_r.

Algorithm
---------
With the overlap nu(s, h) = sum_t min_{a in h} P(t | s, a),

    beta_P(s, h) = 1 - nu(s, h),   beta_r(s, h) = max_{a in h} r - min_{a in h} r,           (2)

and the weights of the grouping are the largest ones. The witness is

    P_1 = min_a P / nu,   P_2 = (P - (1 - beta_P) P_1) / beta_P,                             (3)
    r_1 = clip(min r / (1 - beta_r)) to [max((max r - beta_r) / (1 - beta_r), 0), 1].        (4)

Guarantee
---------
No smaller weights allow (1), and the witness fulfils it up to rounding. The largest total variation
between two actions of a group is at most beta_P, and beta_P is at most that times the number of
actions less one.

Cost
----
Linear in the transitions, and for the total variation in the pairs of actions of a group.

Deviations
----------
None.

References
----------
The model (1) is that of li2024; (2)-(4) are derived.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import NotApplicableError
from mdplib.grouping.grouping import Grouping
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Betas:
    """Local decomposition weights.

    Parameters
    ----------
    beta_P, beta_r, tv : (S, m) float64
        Weights (2) and the largest total variation within each group; 0 where a state has none of
        the group's actions.
    """

    beta_P: Floats
    beta_r: Floats
    tv: Floats

    @property
    def max_P(self) -> float:
        """Smallest weight beta_P of the whole grouping."""
        return float(self.beta_P.max())

    @property
    def max_r(self) -> float:
        """Smallest weight beta_r of the whole grouping."""
        return float(self.beta_r.max())

    @property
    def max_tv(self) -> float:
        """Largest total variation between two actions of one group."""
        return float(self.tv.max())


@dataclass(frozen=True, eq=False)
class Decomposition:
    """A witness of (1) with the smallest weights.

    Parameters
    ----------
    beta_P, beta_r : float
        The weights.
    P_common : (S, m, S) float64
        P_1.
    P_own : (K, S) float64
        P_2, one row per state-action pair.
    r_common : (S, m) float64
        r_1.
    r_own : (K,) float64
        r_2.
    """

    beta_P: float
    beta_r: float
    P_common: Floats
    P_own: Floats
    r_common: Floats
    r_own: Floats


def betas(mdp: TabularMDP, grouping: Grouping) -> Betas:
    """Return the smallest decomposition weights (2), state by state and group by group.

    Parameters
    ----------
    mdp : TabularMDP
        The model; kernels and rewards must not change with the step.
    grouping : Grouping
        The groups.

    Returns
    -------
    Betas

    Examples
    --------
    >>> P = [[[1.0, 0.0], [0.8, 0.2]], [[0.0, 1.0], [0.0, 1.0]]]
    >>> mdp = TabularMDP.from_dense(P, [[0.5, 0.25], [0.0, 0.0]], 0.9)
    >>> found = betas(mdp, Grouping.one(2))
    >>> round(found.max_P, 6), found.max_r, round(found.max_tv, 6)
    (0.2, 0.25, 0.2)
    """
    from mdplib._kernels import grouping as kernels

    _stationary(mdp)
    group = grouping.pairs(mdp)
    shape = (mdp.n_states, grouping.n_groups)
    key = mdp.pair_state.astype(np.int64) * shape[1] + group
    order = np.argsort(key, kind="stable")
    ptr = np.searchsorted(key[order], np.arange(shape[0] * shape[1] + 1))
    own, tv = kernels.overlaps(ptr, order, mdp.indptr, mdp.indices, mdp.data, mdp.n_states)
    high = np.full(shape[0] * shape[1], -np.inf)
    low = np.full(shape[0] * shape[1], np.inf)
    np.maximum.at(high, key, mdp.reward)
    np.minimum.at(low, key, mdp.reward)
    present = np.isfinite(high)
    beta_r = np.where(present, np.where(present, high, 0.0) - np.where(present, low, 0.0), 0.0)
    beta_P = np.where(present, np.clip(own, 0.0, 1.0), 0.0)
    return Betas(beta_P.reshape(shape), beta_r.reshape(shape), tv.reshape(shape))  # (2)


def decompose(mdp: TabularMDP, grouping: Grouping) -> Decomposition:
    """Return kernels and rewards that show (1) with the smallest weights.

    Parameters
    ----------
    mdp : TabularMDP
        The model, rewards in [0, 1]; dense arrays of its size are made.
    grouping : Grouping
        The groups.

    Returns
    -------
    Decomposition

    Raises
    ------
    NotApplicableError
        If a reward is outside [0, 1].
    """
    _stationary(mdp)
    check_rewards(mdp)
    found = betas(mdp, grouping)
    beta_P, beta_r = found.max_P, found.max_r
    S, m = found.beta_P.shape
    P = _dense_rows(mdp)
    key = mdp.pair_state.astype(np.int64) * m + grouping.pairs(mdp)
    least = np.full((S * m, S), np.inf)
    np.minimum.at(least, key, P)
    least[~np.isfinite(least)] = 1.0 / S
    common = least / np.maximum(least.sum(axis=1, keepdims=True), 1e-300)  # (3)
    common[least.sum(axis=1) <= 0.0] = 1.0 / S
    own = np.maximum(P - (1.0 - beta_P) * common[key], 0.0)  # (1)
    rest = own.sum(axis=1, keepdims=True)  # beta_P, up to rounding
    own = np.where(rest > 0.0, own / np.where(rest > 0.0, rest, 1.0), 1.0 / S)
    high, low = np.full(S * m, 0.0), np.full(S * m, 1.0)
    np.maximum.at(high, key, mdp.reward)
    np.minimum.at(low, key, mdp.reward)
    r_common = np.zeros(S * m)
    if beta_r < 1.0:
        floor = np.maximum((high - beta_r) / (1.0 - beta_r), 0.0)
        r_common = np.clip(
            np.maximum(np.minimum(low / (1.0 - beta_r), 1.0), floor), 0.0, 1.0
        )  # (4)
    r_own = np.zeros(mdp.n_pairs)
    if beta_r > 0.0:
        r_own = np.clip((mdp.reward - (1.0 - beta_r) * r_common[key]) / beta_r, 0.0, 1.0)
    return Decomposition(
        beta_P, beta_r, common.reshape(S, m, S), own, r_common.reshape(S, m), r_own
    )


def check_rewards(mdp: TabularMDP) -> None:
    """Raise `NotApplicableError` unless all rewards lie in [0, 1]."""
    if mdp.reward.min() < 0.0 or mdp.reward.max() > 1.0:
        raise NotApplicableError(
            f"rewards lie in [{mdp.reward.min():g}, {mdp.reward.max():g}] and the bound needs "
            "them in [0, 1]; shift and scale them"
        )


def _dense_rows(mdp: TabularMDP) -> Floats:
    P = np.zeros((mdp.n_pairs, mdp.n_states))
    P[np.repeat(np.arange(mdp.n_pairs), np.diff(mdp.indptr)), mdp.indices] = mdp.data
    return P


def _stationary(mdp: TabularMDP) -> None:
    if not mdp.stationary or mdp.reward.ndim == 2:
        raise NotApplicableError("kernels or rewards change with the step; ask step by step")
