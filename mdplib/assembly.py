"""From pairs and transitions in any order to the sorted arrays of `TabularMDP`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP


Outcome = tuple[float, Hashable, float]


class ModelFields(TypedDict, total=False):
    """The optional fields every constructor passes on to `TabularMDP`."""

    horizon: int | None
    terminal: ArrayLike | None
    initial: ArrayLike | None
    state_labels: Sequence[str] | None
    action_labels: Sequence[str] | None


def from_rows(
    rows: Any,
    reward: NDArray[np.float64],
    gamma: float,
    pairs: tuple[ArrayLike, ArrayLike],
    fields: ModelFields,
    layer: NDArray | None = None,
) -> TabularMDP:
    """Build from one row per pair, dense or sparse."""
    import scipy.sparse as sp

    if hasattr(rows, "tocoo"):
        if rows.ndim != 2:
            raise InvalidModelError(f"P has shape {rows.shape}; (K, S) expected")
        matrix: Any = sp.coo_array(rows)
        n_rows, S = matrix.shape
        entries = (matrix.row, matrix.col, validate.frozen(matrix.data, np.float64, "P"))
    else:
        matrix = validate.frozen(rows, np.float64, "P", (2,))
        n_rows, S = matrix.shape
        r, c = np.nonzero(matrix)
        entries = (r, c, matrix[r, c])
    state = validate.frozen(pairs[0], np.int32, "state")
    action = validate.frozen(pairs[1], np.int32, "action")
    if not n_rows == state.size == action.size == reward.shape[-1]:
        raise InvalidModelError(
            f"P has {n_rows} rows, r {reward.shape[-1]} entries, state {state.size} and "
            f"action {action.size}; one of each per state-action pair expected"
        )
    return assemble(S, (state, action), entries, reward, gamma, fields, layer)


def assemble(
    n_states: int,
    pairs: tuple[NDArray, NDArray],
    entries: tuple[NDArray, NDArray, NDArray],
    reward: NDArray[np.float64],
    gamma: float,
    fields: ModelFields,
    layer: NDArray | None = None,
) -> TabularMDP:
    """Sort the pairs, merge duplicate successors, and hand over to `TabularMDP`."""
    import scipy.sparse as sp

    from mdplib.tabular import TabularMDP

    (state, action), (row, column, p) = pairs, entries
    state = validate.frozen(state, np.int32, "state")
    action = validate.frozen(action, np.int32, "action")
    K = state.size
    if n_states < 1 or K < 1:
        raise InvalidModelError(
            f"the model has {n_states} states and {K} state-action pairs; at least one of each "
            "expected"
        )
    validate.require(
        (state >= 0) & (state < n_states),
        lambda k: f"pair {k} belongs to state {state[k]} outside 0..{n_states - 1}",
        "Number the states from 0.",
        unit="pairs",
    )
    place = lambda j: f"P[s={state[row[j]]}, a={action[row[j]]}, t={column[j]}]"  # noqa: E731
    if column.size and column.dtype.kind not in "iu":
        raise InvalidModelError(f"successors have dtype {column.dtype}; integers expected")
    validate.require(
        (column >= 0) & (column < n_states),
        lambda j: f"{place(j)} leads outside the states 0..{n_states - 1}",
        "Number the states from 0.",
        unit="transitions",
    )
    validate.require(
        np.isfinite(p) & (p >= 0),
        lambda j: f"{place(j)} is {p[j]}",
        "Probabilities are finite and at least 0.",
        unit="transitions",
    )
    step = np.zeros(K, dtype=np.int32) if layer is None else layer
    order = np.lexsort((action, state, step))
    key = np.stack([step, state, action])[:, order]
    again = np.flatnonzero(np.all(np.diff(key, axis=1) == 0, axis=0))
    if again.size:
        _, s, a = key[:, again[0]]
        raise InvalidModelError(
            f"the pair s={s}, a={a} is listed more than once. {again.size} of {K} pairs are "
            "off. Merge them, or number the actions of a state differently."
        )
    rank = np.empty(K, dtype=np.int64)
    rank[order] = np.arange(K)
    P = sp.coo_array((p, (rank[row], column)), shape=(K, n_states)).tocsr()
    P.sum_duplicates()
    P.eliminate_zeros()
    P.sort_indices()
    layers = 1 if layer is None else int(fields.get("horizon") or 1)
    count = np.bincount(step * n_states + state, minlength=layers * n_states)
    return TabularMDP(
        np.concatenate([[0], np.cumsum(count)]),
        P.indptr,
        P.indices,
        P.data,
        reward[..., order],
        action[order],
        gamma,
        stationary=layer is None,
        **cast("dict[str, Any]", fields),
    )


def triple(outcome: Any, where: str) -> Outcome:
    """Return an outcome as (probability, successor, reward) with numbers where they belong."""
    try:
        p, t, r = outcome
        if not isinstance(p, str) and not isinstance(r, str):
            return float(p), t, float(r)
    except (TypeError, ValueError):
        pass
    raise InvalidModelError(
        f"{where} has the outcome {outcome!r}; numbers (probability, successor, reward) expected"
    )


def mean_reward(triples: Sequence[Outcome]) -> float:
    """Average the rewards; exact when they agree, so that exports convert back bit for bit."""
    rewards = {r for p, _, r in triples if p != 0}
    if len(rewards) == 1:
        return rewards.pop()
    return float(sum(p * r for p, _, r in triples if p != 0))
