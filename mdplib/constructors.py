"""Constructors of `TabularMDP`, one per layout in use elsewhere.

Each takes the optional fields ``horizon``, ``terminal``, ``initial``, ``state_labels`` and
``action_labels`` of `TabularMDP` by keyword, and raises `InvalidModelError` with the place and
the remedy when the data are not a model. Rewards of transitions are averaged over the successor:
what is stored is r(s, a). Successors listed twice are merged and zero probabilities dropped;
nothing is ever renormalised. The class has them as static methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import assembly, validate
from mdplib.assembly import ModelFields, Outcome
from mdplib.errors import InvalidModelError

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP


def from_dense(
    P: ArrayLike, r: ArrayLike, gamma: float, **fields: Unpack[ModelFields]
) -> TabularMDP:
    """Build from full arrays.

    Parameters
    ----------
    P : (S, A, S) array, or (H, S, A, S) with ``horizon=H``
        Transition probabilities.
    r : (S, A) or (S, A, S) array, each possibly with a leading H
        Expected rewards, or rewards of transitions. ``-inf`` marks an action that is not
        available in that state; its row of P is ignored. Of two readings, (H, S, A) comes
        before (S, A, S).
    gamma : float
        Discount factor.
    **fields
        Optional fields of `TabularMDP`.

    Returns
    -------
    TabularMDP

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    TabularMDP(2 state-action pairs on 1 states, 2 transitions, gamma=0.5)
    """
    P = validate.frozen(P, np.float64, "P", (3, 4))
    r = validate.frozen(r, np.float64, "r", (2, 3, 4))
    S, A = P.shape[-3:-1]
    if P.shape[-1] != S:
        raise InvalidModelError(f"P has shape {P.shape}; (S, A, S) or (H, S, A, S) expected")
    H = fields.get("horizon")
    if P.ndim == 4 and P.shape[0] != H:
        raise InvalidModelError(f"P has {P.shape[0]} steps but horizon is {H}; make them equal")
    per_step_reward = H is not None and r.ndim >= 3 and r.shape[:3] == (H, S, A)
    if r.shape[int(per_step_reward) :] not in ((S, A), (S, A, S)):
        raise InvalidModelError(
            f"r has shape {r.shape} and P {P.shape}; (S, A) or (S, A, S) with S={S}, A={A}, "
            "with or without a leading H, expected"
        )
    if r.ndim - int(per_step_reward) == 3:
        r = _expectation(P, r, per_step_reward)
    available = np.asarray(r != -np.inf)  # a NaN is not: it is an error
    if per_step_reward and P.ndim == 3:
        if np.any(available != available[0]):
            raise InvalidModelError(
                "r marks different actions as unavailable (-inf) at different steps; "
                "give P with shape (H, S, A, S) then"
            )
        reward = r[:, available[0]]
        return assembly.from_rows(
            P[available[0]], reward, gamma, _coordinates(available[0]), fields
        )
    if P.ndim == 4:
        mask = np.broadcast_to(available, P.shape[:3])
        h, s, a = np.nonzero(mask)
        reward = np.broadcast_to(r, P.shape[:3])[mask]
        return assembly.from_rows(P[mask], reward, gamma, (s, a), fields, layer=h)
    return assembly.from_rows(P[available], r[available], gamma, _coordinates(available), fields)


def from_sparse(
    P: Any,
    r: ArrayLike,
    state: ArrayLike,
    action: ArrayLike,
    gamma: float,
    **fields: Unpack[ModelFields],
) -> TabularMDP:
    """Build from one sparse row per state-action pair, in any order.

    Parameters
    ----------
    P : (K, S) scipy sparse array or matrix
        Row k holds the successor law of pair k.
    r : (K,) array, or (H, K)
        Expected rewards.
    state, action : (K,) int arrays
        State and action of each pair.
    gamma : float
        Discount factor.
    **fields
        Optional fields of `TabularMDP`.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from mdplib import TabularMDP
    >>> TabularMDP.from_sparse(sp.eye_array(2), [1.0, 0.0], [0, 1], [0, 0], 0.5).nnz
    2
    """
    r = validate.frozen(r, np.float64, "r", (1, 2))
    return assembly.from_rows(P, r, gamma, (state, action), fields)


def from_dict(
    transitions: Mapping[Any, Mapping[int, Iterable[Outcome]]],
    gamma: float,
    **fields: Unpack[ModelFields],
) -> TabularMDP:
    """Build from ``{state: {action: [(probability, successor, reward), ...]}}``.

    Parameters
    ----------
    transitions : mapping
        States are either the integers 0..S-1 or any names, which become ``state_labels`` in
        the order of the mapping. Actions are integers.
    gamma : float
        Discount factor.
    **fields
        Optional fields of `TabularMDP`.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dict({"a": {0: [(1.0, "b", 1.0)]}, "b": {0: [(1.0, "b", 0.0)]}},
    ...                            gamma=0.5)
    >>> mdp.state_labels
    ('a', 'b')
    """
    if not isinstance(transitions, Mapping):
        raise InvalidModelError(
            f"transitions is a {type(transitions).__name__}; a mapping "
            "{state: {action: [(probability, successor, reward), ...]}} expected"
        )
    names = list(transitions)
    numbered = set(names) == set(range(len(names)))
    index = {name: name if numbered else i for i, name in enumerate(names)}
    if not numbered and fields.get("state_labels") is None:
        fields["state_labels"] = [str(name) for name in names]

    def outcomes(s: int, a: int) -> Iterable[Outcome]:
        for outcome in transitions[s if numbered else names[s]][a]:
            where = f"state {names[s]!r}, action {a}"
            p, t, r = assembly.triple(outcome, where)
            if t not in index:
                raise InvalidModelError(
                    f"{where} leads to {t!r}, which has no entry. Give every state an entry; "
                    "an absorbing one gets {0: [(1.0, itself, 0.0)]}."
                )
            yield p, index[t], r

    def actions(s: int) -> Iterable[int]:
        return transitions[s if numbered else names[s]]

    return from_function(outcomes, actions, len(names), gamma, **fields)


def from_function(
    outcomes: Callable[[int, int], Iterable[Outcome]],
    actions: Callable[[int], Iterable[int]] | int,
    n_states: int,
    gamma: float,
    **fields: Unpack[ModelFields],
) -> TabularMDP:
    """Build by asking a function for each state-action pair.

    Parameters
    ----------
    outcomes : callable
        ``outcomes(s, a)`` yields (probability, successor, reward) triples.
    actions : callable or int
        ``actions(s)`` yields the admissible actions of s; an int A means 0..A-1 everywhere.
    n_states : int
        Number of states.
    gamma : float
        Discount factor.
    **fields
        Optional fields of `TabularMDP`.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> def walk(s, a):
    ...     yield 1.0, (s + a) % 3, float(s == 2)
    >>> TabularMDP.from_function(walk, 2, 3, gamma=0.9).n_pairs
    6
    """
    state: list[int] = []
    action: list[int] = []
    reward: list[float] = []
    row: list[int] = []
    column: list[int] = []
    probability: list[float] = []
    for s in range(n_states):
        for a in range(actions) if isinstance(actions, int) else actions(s):
            where = f"state {s}, action {a}"
            triples = [assembly.triple(outcome, where) for outcome in outcomes(s, a)]
            for p, t, _ in triples:
                row.append(len(state))
                column.append(t)  # type: ignore[arg-type]
                probability.append(p)
            reward.append(assembly.mean_reward(triples))
            state.append(s)
            action.append(a)
    coordinates = (np.array(row, dtype=np.int64), np.array(column))
    return assembly.assemble(
        n_states,
        (np.array(state), np.array(action)),
        (*coordinates, validate.frozen(probability, np.float64, "the probabilities")),
        np.array(reward),
        gamma,
        fields,
    )


def from_layers(layers: Sequence[TabularMDP], **fields: Unpack[ModelFields]) -> TabularMDP:
    """Stack one model per step into a finite-horizon model with kernels per step.

    Parameters
    ----------
    layers : sequence of H TabularMDP
        Stationary models on the same states and with the same gamma; their horizons and
        initial laws are ignored.
    **fields
        Optional fields of `TabularMDP`; `horizon` is set to H.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> step = TabularMDP.from_dense([[[1.0]]], [[1.0]], 0.5)
    >>> TabularMDP.from_layers([step, step])
    TabularMDP(2 state-action pairs on 1 states, 2 transitions, gamma=0.5, horizon=2, ...
    """
    if not layers or fields.get("horizon") not in (None, len(layers)):
        raise InvalidModelError(
            f"{len(layers)} layers with horizon {fields.get('horizon')}; one per step expected"
        )
    S, gamma = layers[0].n_states, layers[0].gamma
    for h, layer in enumerate(layers):
        same = (layer.n_states, layer.gamma) == (S, gamma)
        if not same or layer.reward.ndim == 2 or not layer.stationary:
            raise InvalidModelError(
                f"layer {h} is {layer!r} and layer 0 has {S} states and gamma {gamma}; layers "
                "are stationary models of equal size and gamma, with one reward per pair"
            )
    from mdplib.tabular import TabularMDP

    fields["horizon"] = len(layers)
    pairs = np.cumsum([0] + [m.n_pairs for m in layers])
    nnz = np.cumsum([0] + [m.nnz for m in layers])
    parts = list(zip(layers, pairs, nnz, strict=False))
    return TabularMDP(
        np.concatenate([[0], *(m.state_ptr[1:] + k for m, k, _ in parts)]),
        np.concatenate([[0], *(m.indptr[1:] + j for m, _, j in parts)]),
        np.concatenate([m.indices for m in layers]),
        np.concatenate([m.data for m in layers]),
        np.concatenate([m.reward for m in layers]),
        np.concatenate([m.action_id for m in layers]),
        gamma,
        stationary=False,
        **cast("dict[str, Any]", fields),
    )


def from_mdptoolbox(P: Any, R: Any, gamma: float, **fields: Unpack[ModelFields]) -> TabularMDP:
    """Build from the pair (P, R) of MDPtoolbox.

    Parameters
    ----------
    P : (A, S, S) array, or a sequence of A sparse (S, S) matrices
        Transition probabilities, action first.
    R : (S,), (S, A) or (A, S, S) array, or a sequence of A sparse (S, S) matrices
        Rewards of states, pairs or transitions.
    gamma : float
        Discount factor.
    **fields
        Optional fields of `TabularMDP`.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> TabularMDP.from_mdptoolbox([[[0, 1], [1, 0]]], [[1.0], [0.0]], 0.5).n_pairs
    2
    """
    import scipy.sparse as sp

    blocks: list[Any] = [
        sp.csr_array(block)
        if hasattr(block, "tocsr")
        else sp.csr_array(validate.frozen(block, np.float64, f"P[{a}]", (2,)))
        for a, block in enumerate(P)
    ]
    if not blocks:
        raise InvalidModelError("P holds no action; A matrices of shape (S, S) expected")
    S, A = blocks[0].shape[0], len(blocks)
    for a, block in enumerate(blocks):
        if block.shape != (S, S):
            raise InvalidModelError(f"P[{a}] has shape {block.shape}; ({S}, {S}) expected")
    sparse = isinstance(R, list | tuple) and any(sp.issparse(block) for block in R)
    if (sparse and any(np.shape(block) != (S, S) for block in R)) or (sparse and len(R) != A):
        raise InvalidModelError(f"R is a list of {len(R)}; {A} matrices of shape ({S}, {S}) wanted")
    reward = np.empty(0) if sparse else validate.frozen(R, np.float64, "R", (1, 2, 3))
    if sparse or reward.shape == (A, S, S):
        paid = R if sparse else reward
        rows = [block.multiply(paid[a]).sum(axis=1) for a, block in enumerate(blocks)]
        reward = np.stack([np.asarray(row).reshape(S) for row in rows], axis=1)
    elif reward.shape == (S,):
        reward = np.repeat(reward[:, None], A, axis=1)
    elif reward.shape != (S, A):
        raise InvalidModelError(
            f"R has shape {reward.shape}; ({S},), ({S}, {A}) or ({A}, {S}, {S}) expected"
        )
    action, state = np.repeat(np.arange(A), S), np.tile(np.arange(S), A)
    stacked = sp.vstack(blocks, format="csr")
    return assembly.from_rows(stacked, reward.T.ravel(), gamma, (state, action), fields)


def from_quantecon(
    R: ArrayLike,
    Q: Any,
    beta: float,
    s_indices: ArrayLike | None = None,
    a_indices: ArrayLike | None = None,
    **fields: Unpack[ModelFields],
) -> TabularMDP:
    """Build from QuantEcon's `DiscreteDP` arguments, in either of its forms.

    Parameters
    ----------
    R : (S, A) array, or (L,) with index arrays
        Rewards; ``-inf`` marks an infeasible action.
    Q : (S, A, S) array, or (L, S) array or sparse matrix with index arrays
        Transition probabilities.
    beta : float
        Discount factor.
    s_indices, a_indices : (L,) int arrays, optional
        State and action of each pair.
    **fields
        Optional fields of `TabularMDP`.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> TabularMDP.from_quantecon([5.0, -1.0], [[0, 1], [0, 1]], 0.95, [0, 1], [0, 0]).nnz
    2
    """
    if s_indices is None or a_indices is None:
        return from_dense(Q, R, beta, **fields)
    reward = validate.frozen(R, np.float64, "R")
    state = validate.frozen(s_indices, np.int32, "s_indices")
    action = validate.frozen(a_indices, np.int32, "a_indices")
    Q = Q.tocsr() if hasattr(Q, "tocsr") else validate.frozen(Q, np.float64, "Q", (2,))
    if not Q.shape[0] == reward.size == state.size == action.size:
        raise InvalidModelError(
            f"R has {reward.size} entries, Q {Q.shape[0]} rows, s_indices {state.size} and "
            f"a_indices {action.size} entries; one of each per state-action pair expected"
        )
    keep = np.flatnonzero(reward != -np.inf)  # a NaN stays: it is an error
    rows, pairs = Q[keep], (state[keep], action[keep])
    return assembly.from_rows(rows, reward[keep], beta, pairs, fields)


def _expectation(P: NDArray, r: NDArray, per_step_reward: bool) -> NDArray[np.float64]:
    """Average rewards of transitions (last axis) over the successor law."""
    if P.ndim == 4 and not per_step_reward:
        r = np.broadcast_to(r, P.shape)
    weighted = np.where(P > 0, P * np.where(P > 0, r, 0.0), 0.0)
    return np.where(np.all(r == -np.inf, axis=-1), -np.inf, weighted.sum(axis=-1))


def _coordinates(mask: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
    """Return states and actions of the pairs marked in an (S, A) mask."""
    state, action = np.nonzero(mask)
    return state, action
