r"""Whittle indices of single arms, with a proof of indexability or of its failure.

Problem
-------
An arm that is pulled or not, discounted, with a subsidy w paid for not pulling. The Whittle index
of a state is the subsidy at which both are equally good; the arm is *indexable* if, as w grows,
the set of states in which not pulling is optimal only grows.

Algorithm
---------
Under a policy that pulls in the set D the value is affine in w, V = x + w y, and so is the
advantage of pulling,

    A_s(w) = r(s, 1) - r(s, 0) - w + gamma (P_1 - P_0)_s V = alpha_s + w beta_s.             (1)

From w = -infinity, where every state pulls, w moves to the next root of an A_s that contradicts
D, and the state changes sides. An arm is indexable exactly if no state ever comes back; the roots
are the indices.

Guarantee
---------
On the segment between two roots D is optimal, as no state wants to leave it: the path visits
optimal policies for every subsidy. Roots are computed in floats.

Cost
----
One solve of S linear equations per change: O(S^4) in all if indexable.

Deviations
----------
None.

References
----------
whittle1988; gast2023 compute the same path faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import NotApplicableError
from mdplib.restless.arms import Arms

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WhittleIndices:
    """Indices of all arms.

    Parameters
    ----------
    index : (J, S) float64
        Whittle index of each state; NaN for arms that are not indexable.
    indexable : (J,) bool
        Whether each arm is.
    """

    index: Floats
    indexable: NDArray[np.bool_]


def whittle_indices(arms: Arms, gamma: float) -> WhittleIndices:
    """Return the Whittle indices of arms with two levels.

    Parameters
    ----------
    arms : Arms
        Level 1 pulls, level 0 does not.
    gamma : float
        Discount factor in [0, 1).

    Returns
    -------
    WhittleIndices

    Raises
    ------
    NotApplicableError
        If the arms have other than two levels, or gamma is not in [0, 1).

    Examples
    --------
    >>> arms = Arms(np.ones((1, 2, 1, 1)), np.array([[[0.0], [3.0]]]))
    >>> whittle_indices(arms, 0.9).index
    array([[3.]])
    """
    if arms.n_levels != 2:
        raise NotApplicableError(
            f"Whittle indices are for arms that are pulled or not; these have {arms.n_levels} "
            "levels"
        )
    if not 0 <= gamma < 1:
        raise NotApplicableError(f"gamma is {gamma}; the indices here are discounted, in [0, 1)")
    rows = [_path(arms.P[j], arms.r[j], gamma) for j in range(arms.n_arms)]
    indexable = np.array([row is not None for row in rows])
    nothing = np.full(arms.n_states, np.nan)
    return WhittleIndices(np.array([nothing if r is None else r for r in rows]), indexable)


def _path(P: Floats, r: Floats, gamma: float) -> Floats | None:
    """Return the indices of one arm, None if it is not indexable."""
    S = P.shape[1]
    pulls = np.ones(S, dtype=bool)
    index = np.full(S, np.nan)
    w = -np.inf
    scale = max(1.0, float(np.abs(r).max())) / (1.0 - gamma)
    for _ in range(S):
        rows = pulls.astype(int)
        A = np.eye(S) - gamma * P[rows, np.arange(S)]
        solved = np.linalg.solve(A, np.stack([r[rows, np.arange(S)], 1.0 - rows], axis=1))
        moved = gamma * (P[1] - P[0]) @ solved
        alpha, beta = r[1] - r[0] + moved[:, 0], -1.0 + moved[:, 1]  # (1)
        falls, rises = pulls & (beta < 0), ~pulls & (beta > 0)
        root = np.full(S, np.inf)
        at = falls | rises
        root[at] = -alpha[at] / beta[at]
        next_w = max(float(root.min()), w)
        if not np.isfinite(next_w):
            return None  # some state pulls whatever the subsidy
        leaving = at & (root <= next_w + 1e-12 * scale)
        if (leaving & rises).any():
            return None  # a state that had stopped pulling would pull again
        index[leaving] = next_w
        pulls &= ~leaving
        w = next_w
        if not pulls.any():
            return index if _stays(P, r, gamma, w, scale) else None
    return None


def _stays(P: Floats, r: Floats, gamma: float, w: float, scale: float) -> bool:
    """Tell whether no state pulls again when the subsidy grows beyond w."""
    S = P.shape[1]
    A = np.eye(S) - gamma * P[0]
    solved = np.linalg.solve(A, np.stack([r[0], np.ones(S)], axis=1))
    moved = gamma * (P[1] - P[0]) @ solved
    beta = -1.0 + moved[:, 1]  # without pulls y is constant, so beta = -1
    alpha = r[1] - r[0] + moved[:, 0]
    return bool((beta < 0).all() and (alpha + w * beta <= 1e-9 * scale).all())
