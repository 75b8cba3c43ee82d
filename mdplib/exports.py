"""Exports of `TabularMDP` to the layouts of its constructors; the class has them as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from mdplib.tabular import TabularMDP


def to_sparse(mdp: TabularMDP) -> tuple[csr_array, NDArray[np.float64], NDArray, NDArray]:
    """Return ``(P, r, state, action)``, the arguments of `from_sparse`.

    Returns
    -------
    P : (K, S) csr_array
        Successor law of each pair (all steps below each other when kernels are stacked).
    r : (K,) float64, or (H, K)
        Expected rewards.
    state, action : (K,) int32
        State and action of each pair.
    """
    import scipy.sparse as sp

    shape = (mdp.n_pairs, mdp.n_states)
    P = sp.csr_array((mdp.data, mdp.indices, mdp.indptr), shape=shape, copy=True)
    return P, mdp.reward, mdp.pair_state, mdp.action_id


def to_dense(
    mdp: TabularMDP, limit_gib: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``(P, r)``, the arguments of `from_dense`.

    Parameters
    ----------
    limit_gib : float
        Refuse to build arrays larger than this, in GiB.

    Returns
    -------
    P : (S, A, S) float64, or (H, S, A, S)
        Zero rows where an action is not available.
    r : (S, A) float64, or (H, S, A)
        ``-inf`` where an action is not available.

    Raises
    ------
    InvalidModelError
        If the arrays would be larger than `limit_gib`.
    """
    S, A = mdp.n_states, int(mdp.action_id.max()) + 1
    H = 0 if mdp.stationary or mdp.horizon is None else mdp.horizon
    gib = max(H, 1) * S * A * S * 8 / 2**30
    if gib > limit_gib:
        raise InvalidModelError(
            f"dense arrays of {S} states and {A} actions need {gib:.3g} GiB, more than "
            f"limit_gib={limit_gib:g}; use to_sparse, or raise the limit"
        )
    state, action = mdp.pair_state, mdp.action_id
    per_step = mdp.reward.ndim == 2
    lead = (H,) if H else ()
    P = np.zeros((*lead, S, A, S))
    if not H:
        where: tuple = (state, action)
    else:
        sizes = np.diff(mdp.state_ptr[:: mdp.n_states])
        where = (np.repeat(np.arange(H), sizes), state, action)
    lengths = np.diff(mdp.indptr)
    P[(*(np.repeat(axis, lengths) for axis in where), mdp.indices)] = mdp.data
    r = np.full((*(mdp.reward.shape[:1] if per_step else lead), S, A), -np.inf)
    r[(slice(None), *where) if per_step else where] = mdp.reward
    return P, r


def to_dict(mdp: TabularMDP) -> dict[int, dict[int, list[tuple[float, int, float]]]]:
    """Return ``{s: {a: [(p, t, r), ...]}}``, the argument of `from_dict`."""
    _require_plain(mdp, "to_dict")
    result: dict[int, dict[int, list[tuple[float, int, float]]]] = {}
    for k, (s, a) in enumerate(zip(mdp.pair_state.tolist(), mdp.action_id.tolist(), strict=True)):
        row = slice(mdp.indptr[k], mdp.indptr[k + 1])
        r = float(mdp.reward[k])
        successors = zip(mdp.data[row].tolist(), mdp.indices[row].tolist(), strict=True)
        result.setdefault(s, {})[a] = [(p, t, r) for p, t in successors]
    return result


def to_mdptoolbox(mdp: TabularMDP) -> tuple[list[csr_array], NDArray[np.float64]]:
    """Return MDPtoolbox's pair: A sparse (S, S) matrices and R of shape (S, A).

    Raises
    ------
    InvalidModelError
        If some action is not available in some state (MDPtoolbox cannot say that).
    """
    _require_plain(mdp, "to_mdptoolbox")
    S, A = mdp.n_states, int(mdp.action_id.max()) + 1
    if mdp.n_pairs != S * A:
        s = int(np.flatnonzero(np.diff(mdp.state_ptr) != A)[0])
        raise InvalidModelError(
            f"state {s} has {mdp.actions(s).size} of {A} actions; MDPtoolbox needs all of "
            "them in every state. Use to_quantecon, which does not."
        )
    P, r, _, _ = to_sparse(mdp)
    return [P[a::A] for a in range(A)], r.reshape(S, A).copy()


def to_quantecon(mdp: TabularMDP) -> tuple[NDArray, csr_array, float, NDArray, NDArray]:
    """Return ``(R, Q, beta, s_indices, a_indices)``, the arguments of `DiscreteDP`."""
    _require_plain(mdp, "to_quantecon")
    P, r, state, action = to_sparse(mdp)
    return r.copy(), P, mdp.gamma, state.copy(), action.copy()


def _require_plain(mdp: TabularMDP, name: str) -> None:
    if not mdp.stationary or mdp.reward.ndim == 2:
        raise InvalidModelError(
            f"{name} cannot express kernels or rewards that change with the step; "
            "use to_dense or write the model as npz"
        )
