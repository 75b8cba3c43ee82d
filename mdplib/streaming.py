"""Models built from a stream of rows: one pass, in little more memory than the model takes.

A `TabularBuilder` takes state-action pairs in the order of their states, one at a time or in
batches of arrays, and hands over the arrays of `TabularMDP` without copying them once more. Rows
are kept in blocks that are freed as they are joined, so at no time do two copies of the model
exist; memory peaks at the size of the model plus one block of each array (at most 96 MiB).
Pointers and successors are 32-bit integers: a model has at most 2**31 - 1 transitions, and the
builder refuses the batch that would exceed it, or a limit of your own, before taking it in.

Order. States come as 0, 1, 2, ..., all pairs of one before those of the next; within a state the
actions rise. Successors may come in any order: those listed twice are merged and zero
probabilities dropped, as in the constructors of `TabularMDP`. Nothing is renormalised.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.assembly import ModelFields
from mdplib.blockwise import Growing
from mdplib.errors import InvalidModelError
from mdplib.tabular import TabularMDP

Row = tuple[int, int, float, ArrayLike, ArrayLike]
Batch = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike, ArrayLike, ArrayLike]
_COLUMNS: dict[str, Any] = {
    "state_ptr": np.int32,
    "indptr": np.int32,
    "indices": np.int32,
    "data": np.float64,
    "reward": np.float64,
    "action_id": np.int32,
}
_REACH = validate.INT32_LIMIT
_ROWS = 4096  # single rows handed on together


class TabularBuilder:
    """Collects state-action pairs and builds a `TabularMDP` from them.

    Parameters
    ----------
    n_states : int, optional
        Number of states S. When given, a successor outside 0..S-1 is refused as it comes;
        otherwise S is one more than the last state, and successors are checked at the end.
    max_bytes : int, optional
        Refuse to grow beyond so many bytes of model.

    Raises
    ------
    InvalidModelError
        If a parameter is out of range.

    Examples
    --------
    >>> builder = TabularBuilder()
    >>> builder.append(0, 0, 1.0, [0, 1], [0.5, 0.5])
    >>> builder.append(1, 0, 0.0, [1], [1.0])
    >>> builder.build(gamma=0.9)
    TabularMDP(2 state-action pairs on 2 states, 3 transitions, gamma=0.9)
    """

    def __init__(self, n_states: int | None = None, *, max_bytes: int | None = None):
        for name, value in (("n_states", n_states), ("max_bytes", max_bytes)):
            if value is not None and (not isinstance(value, (int, np.integer)) or value < 1):
                raise InvalidModelError(f"{name} is {value!r}; an integer of at least 1 expected")
        self._limits = n_states, max_bytes
        self._start()

    def _start(self) -> None:
        self._last = -1
        self._pairs = self._transitions = 0
        self._waiting: list[Row] = []
        self._columns = {name: Growing(dtype) for name, dtype in _COLUMNS.items()}
        self._columns["indptr"].extend(np.zeros(1, dtype=np.int32))

    @property
    def n_pairs(self) -> int:
        """Pairs taken in so far."""
        return self._pairs + len(self._waiting)

    @property
    def nnz(self) -> int:
        """Transitions taken in so far."""
        self._flush()
        return self._transitions

    @property
    def nbytes(self) -> int:
        """Bytes of the model so far."""
        self._flush()
        return _bytes(self._last + 1, self._pairs, self._transitions)

    def append(
        self,
        state: int,
        action: int,
        reward: float,
        successors: ArrayLike,
        probabilities: ArrayLike,
    ) -> None:
        """Add one pair; errors in it may be reported some rows later.

        Parameters
        ----------
        state, action : int
            The pair.
        reward : float
            Its expected reward.
        successors, probabilities : (n,) array_like
            Where it leads.
        """
        self._waiting.append((state, action, reward, successors, probabilities))
        if len(self._waiting) >= _ROWS:
            self._flush()

    def append_batch(
        self,
        state: ArrayLike,
        action: ArrayLike,
        reward: ArrayLike,
        indptr: ArrayLike,
        indices: ArrayLike,
        data: ArrayLike,
    ) -> None:
        """Add n pairs at once, as compressed rows.

        Parameters
        ----------
        state, action : (n,) int
            The pairs; states go on from the last one of the batch before.
        reward : (n,) float
            Expected rewards.
        indptr : (n+1,) int
            Row i has the transitions ``indptr[i] <= j < indptr[i+1]``; begins with 0.
        indices : (m,) int
            Successors.
        data : (m,) float
            Probabilities.

        Raises
        ------
        InvalidModelError
            On inconsistent lengths, a state out of order or skipped, or a model too large.
        """
        self._flush()
        self._take(state, action, reward, indptr, indices, data)

    def build(self, gamma: float, **fields: Unpack[ModelFields]) -> TabularMDP:
        """Validate and return the model; the builder is empty afterwards.

        Parameters
        ----------
        gamma : float
            Discount factor.
        **fields
            Optional fields of `TabularMDP`.

        Returns
        -------
        TabularMDP

        Raises
        ------
        InvalidModelError
            If states are missing, or as `TabularMDP`.
        """
        self._flush()
        n_states = self._limits[0]
        if self._last < 0 or (n_states is not None and self._last + 1 != n_states):
            raise InvalidModelError(
                f"rows of {self._last + 1} states came, "
                f"{'at least 1' if n_states is None else n_states} expected; every state needs a "
                "row, an absorbing one a self-loop with reward 0"
            )
        self._columns["state_ptr"].extend(np.array([self._pairs], dtype=np.int32))
        arrays: dict[str, Any] = {name: column.join() for name, column in self._columns.items()}
        self._start()
        return TabularMDP(**arrays, gamma=gamma, **cast("dict[str, Any]", fields))

    def _flush(self) -> None:
        """Hand on the single rows that wait."""
        if not self._waiting:
            return
        rows, self._waiting = self._waiting, []
        successors = [np.atleast_1d(row[3]) for row in rows]
        probabilities = [np.atleast_1d(row[4]) for row in rows]
        for row, t, p in zip(rows, successors, probabilities, strict=True):
            if t.shape != p.shape or t.ndim != 1:
                raise InvalidModelError(
                    f"the row s={row[0]}, a={row[1]} has successors of shape {t.shape} and "
                    f"probabilities of shape {p.shape}; one list of each, equally long, expected"
                )
        ends = np.cumsum([0, *(t.size for t in successors)])
        head: Any = zip(*(row[:3] for row in rows), strict=True)
        self._take(*head, ends, np.concatenate(successors), np.concatenate(probabilities))

    def _take(self, *given: ArrayLike) -> None:
        names = ("state", "action", "reward", "indptr", "indices", "data")
        types = (np.int32, np.int32, np.float64, np.int64, np.int32, np.float64)
        state, action, reward, indptr, indices, data = (
            _array(x, dtype, name) for x, dtype, name in zip(given, types, names, strict=True)
        )
        if not state.size:
            return
        _lengths(state, action, reward, indptr, indices, data)
        self._order(state)
        indptr, indices, data = _sorted(indptr, indices, data, state, action)
        n_states = self._limits[0]
        if n_states is not None:
            validate.require(
                (indices >= 0) & (indices < n_states),
                lambda j: (
                    f"{_place(state, action, indptr, j)} has successor {indices[j]} "
                    f"outside 0..{n_states - 1}"
                ),
                "Number the states from 0.",
                unit="transitions of this batch",
            )
        self._room(int(state[-1]) + 1, state.size, indices.size)
        new = np.flatnonzero(np.diff(state, prepend=self._last))
        parts = {
            "state_ptr": (new + self._pairs).astype(np.int32),
            "indptr": (indptr[1:] + self._transitions).astype(np.int32),
            "indices": indices,
            "data": data,
            "reward": reward,
            "action_id": action,
        }
        for name, values in parts.items():
            self._columns[name].extend(values)
        self._last = int(state[-1])
        self._pairs += state.size
        self._transitions += indices.size

    def _order(self, state: NDArray[np.int32]) -> None:
        """Check that states go on without a gap."""
        step = np.diff(state.astype(np.int64), prepend=self._last)
        validate.require(
            ((step == 0) | (step == 1)) & (state >= 0),
            lambda i: (
                f"pair {self._pairs + i} belongs to state {state[i]} and comes after state "
                f"{state[i] - step[i]}"
            ),
            "States come in order, 0, 1, 2, ..., and each has at least one action.",
            unit="pairs of this batch",
        )
        n_states = self._limits[0]
        if n_states is not None and state[-1] >= n_states:
            raise InvalidModelError(
                f"a row belongs to state {state[-1]} outside 0..{n_states - 1}; raise n_states"
            )

    def _room(self, states: int, pairs: int, transitions: int) -> None:
        """Refuse what does not fit, with the size it would have."""
        pairs, transitions = pairs + self._pairs, transitions + self._transitions
        size = _bytes(states, pairs, transitions)
        told = f"the model would have {transitions:,} transitions ({size / 2**30:.3g} GiB)"
        if max(pairs + 1, transitions) > _REACH:
            raise InvalidModelError(
                f"{told} of {pairs:,} pairs; 32-bit indices reach to {_REACH:,}. "
                "Aggregate states or drop negligible transitions"
            )
        most = self._limits[1]
        if most is not None and size > most:
            raise InvalidModelError(
                f"{told}; max_bytes allows {most / 2**30:.3g} GiB. Raise it if memory permits"
            )


def from_rows(
    rows: Iterable[Row | Batch],
    gamma: float,
    *,
    n_states: int | None = None,
    max_bytes: int | None = None,
    **fields: Unpack[ModelFields],
) -> TabularMDP:
    """Build a model from rows that are generated one by one, or in batches.

    Parameters
    ----------
    rows : iterable
        Of (state, action, reward, successors, probabilities), in the order of the states; or of
        batches (states, actions, rewards, indptr, indices, data), as in
        `TabularBuilder.append_batch`. Both may occur.
    gamma : float
        Discount factor.
    n_states, max_bytes : int, optional
        As in `TabularBuilder`.
    **fields
        Optional fields of `TabularMDP`.

    Returns
    -------
    TabularMDP

    Raises
    ------
    InvalidModelError
        If an item is neither a row nor a batch, or as `TabularBuilder`.

    Examples
    --------
    >>> def walk(n):
    ...     for s in range(n):
    ...         yield s, 0, float(s), [max(s - 1, 0), min(s + 1, n - 1)], [0.5, 0.5]
    >>> from_rows(walk(1000), gamma=0.99)
    TabularMDP(1000 state-action pairs on 1000 states, 2000 transitions, gamma=0.99)
    """
    builder = TabularBuilder(n_states, max_bytes=max_bytes)
    for number, item in enumerate(rows):
        if isinstance(item, tuple) and len(item) == 5:
            builder.append(*item)
        elif isinstance(item, tuple) and len(item) == 6:
            builder.append_batch(*item)
        else:
            raise InvalidModelError(
                f"item {number} is {type(item).__name__} {item!r:.60}; a tuple (state, action, "
                "reward, successors, probabilities), or a batch of six arrays, expected"
            )
    return builder.build(gamma, **fields)


def _array(values: ArrayLike, dtype: Any, name: str) -> NDArray[Any]:
    """Return a one-dimensional array of the type, without a copy where it has it already."""
    if isinstance(values, np.ndarray) and values.dtype == dtype and values.ndim == 1:
        return values
    return validate.frozen(values, dtype, name)


def _bytes(states: int, pairs: int, transitions: int) -> int:
    """Bytes of the arrays of a model."""
    return 4 * (states + 1) + 16 * pairs + 4 + 12 * transitions


def _lengths(state, action, reward, indptr, indices, data) -> None:
    """Check that the arrays of a batch belong together."""
    n, m = state.size, indices.size
    if not action.size == reward.size == n or indptr.size != n + 1 or data.size != m:
        raise InvalidModelError(
            f"the batch has {n} states, {action.size} actions, {reward.size} rewards and "
            f"{indptr.size} pointers, {m} successors and {data.size} probabilities; one of each "
            "per pair, a pointer more, and one of each per transition expected"
        )
    validate.pointers(indptr, m, "indptr", "indices")


def _place(state, action, indptr, j: int) -> str:
    k = int(np.searchsorted(indptr, j, side="right")) - 1
    return f"P[s={state[k]}, a={action[k]}, :]"


def _sorted(indptr, indices, data, state, action):
    """Return the rows with increasing successors and without zeros; untouched if they are so."""
    rising = np.ones(indices.size, dtype=bool)
    np.greater(indices[1:], indices[:-1], out=rising[1:])
    starts = indptr[:-1]
    rising[starts[starts < indices.size]] = True
    if rising.all() and data.all():
        return indptr, indices, data
    import scipy.sparse as sp

    validate.require(  # before sums could hide them
        np.isfinite(data) & (data >= 0),
        lambda j: f"{_place(state, action, indptr, j)} has probability {data[j]}",
        "Probabilities are finite and at least 0.",
        unit="transitions of this batch",
    )
    if indices.size and indices.min() < 0:
        j = int(np.argmin(indices))
        raise InvalidModelError(
            f"{_place(state, action, indptr, j)} has successor {indices[j]}; number the states "
            "from 0"
        )
    shape = (indptr.size - 1, int(indices.max(initial=0)) + 1)
    rows = sp.csr_array((data.copy(), indices.copy(), indptr.copy()), shape=shape)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows.indptr, rows.indices, rows.data
