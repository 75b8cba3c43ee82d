"""Checks made once, at the border: each names the first offence, the count, and the remedy."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import blockwise
from mdplib.errors import InvalidModelError

ROW_SUM_TOLERANCE = 1e-9
INT32_LIMIT = int(np.iinfo(np.int32).max)


def frozen(array: ArrayLike, dtype: Any, name: str, ndim: tuple[int, ...] = (1,)) -> NDArray[Any]:
    """Return a read-only C-contiguous copy (or the same array when nobody can write to it).

    Parameters
    ----------
    array : array_like
        The data.
    dtype : numpy dtype
        Wanted type; integers and booleans are accepted for a floating type, but neither
        floats nor booleans for integers, and integers that do not fit are refused.
    name : str
        Name used in messages.
    ndim : tuple of int
        Accepted numbers of dimensions.

    Raises
    ------
    InvalidModelError
        On a wrong shape or type, or an integer overflow.
    """
    try:
        given = np.asarray(array)
    except ValueError as error:
        raise InvalidModelError(f"{name} is ragged or mixed: {error}") from None
    if given.ndim not in ndim:
        wanted = " or ".join(str(n) for n in ndim)
        raise InvalidModelError(
            f"{name} has {given.ndim} dimensions (shape {given.shape}); {wanted} expected"
        )
    if np.ma.is_masked(array):
        raise InvalidModelError(f"{name} has masked entries; fill or drop them")
    wanted = np.dtype(dtype)
    if given.size and given.dtype.kind not in ("iu" if wanted.kind == "i" else "iubf"):
        raise InvalidModelError(
            f"{name} has dtype {given.dtype}; numbers of type {wanted} expected. Convert it "
            f"with np.asarray({name}, dtype=...) where that is meant"
        )
    if wanted.kind == "i" and not np.can_cast(given.dtype, wanted):
        require(
            (given <= INT32_LIMIT) & (given >= -INT32_LIMIT),
            lambda i: f"{name} holds {given.flat[i]} at position {i}",
            "Indices are stored in 32 bits: at most 2**31 - 1.",
        )
    if given.dtype == wanted and given.flags.c_contiguous and _immutable(given):
        return given
    with np.errstate(over="ignore"):  # an overflow gives inf, which is refused where it matters
        copy = np.array(given, dtype=wanted, order="C", copy=True)
    copy.flags.writeable = False
    return copy


def _immutable(array: Any) -> bool:
    """Whether neither the array nor the memory it is a view of can be written to."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return array is None or isinstance(array, bytes)


def require(
    good: NDArray[np.bool_],
    describe: Callable[[int], str],
    remedy: str,
    *,
    unit: str = "entries",
) -> None:
    """Raise `InvalidModelError` unless every element of `good` is true.

    Parameters
    ----------
    good : (n,) bool array
        The verdict per element.
    describe : callable
        Maps the first offending position to a sentence without a final full stop.
    remedy : str
        What to do.
    unit : str
        What is counted.
    """
    bad = np.flatnonzero(~np.asarray(good))
    if bad.size:
        raise InvalidModelError(
            f"{describe(int(bad[0]))}. {bad.size} of {good.size} {unit} are off. {remedy}"
        )


def pointers(ptr: NDArray[Any], end: int, name: str, target: str, *, strict: bool = False) -> None:
    """Check a CSR pointer array: from 0 to `end`, never decreasing (always rising if strict)."""
    if ptr.size < 2:
        raise InvalidModelError(f"{name} has {ptr.size} entries; a model needs at least one state")
    if ptr[0] != 0 or ptr[-1] != end:
        raise InvalidModelError(
            f"{name} runs from {ptr[0]} to {ptr[-1]}; it must run from 0 to {end}, "
            f"the length of {target}"
        )
    require(
        ptr[1:] >= ptr[:-1],
        lambda i: f"{name} decreases from {ptr[i]} to {ptr[i + 1]} at position {i}",
        "Pointers of a compressed array never decrease.",
    )
    require(
        (ptr[1:] > ptr[:-1]) | (not strict),
        lambda i: f"{name} gives nothing to row {i}",
        "Every row needs at least one entry.",
        unit="rows",
    )


def distribution(p: NDArray[np.float64], size: int, name: str) -> None:
    """Check that `p` is a probability vector of length `size`."""
    if p.shape != (size,):
        raise InvalidModelError(f"{name} has shape {p.shape}; ({size},) expected")
    require(
        np.isfinite(p) & (p >= 0),
        lambda i: f"{name}[{i}] is {p[i]}",
        "Probabilities are finite and at least 0.",
    )
    with np.errstate(over="ignore"):
        total = float(p.sum())
    if abs(total - 1) > ROW_SUM_TOLERANCE:
        raise InvalidModelError(
            f"{name} sums to {total:.12g} (tolerance {ROW_SUM_TOLERANCE:g}). "
            "Divide it by its sum if the excess is rounding."
        )


def labels(values: object, size: int, name: str, *, more: bool = False) -> tuple[str, ...] | None:
    """Return `values` as a tuple of `size` (or `more`) distinct strings, or None."""
    if values is None:
        return None
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InvalidModelError(f"{name} is {values!r}; a sequence of {size} names expected")
    result = tuple(str(v) for v in values)
    if len(result) < size or (len(result) > size and not more):
        wanted = f"at least {size}" if more else str(size)
        raise InvalidModelError(f"{name} has {len(result)} entries; {wanted} expected")
    if len(set(result)) != len(result):
        seen: set[str] = set()
        twice = next(v for v in result if v in seen or seen.add(v))
        raise InvalidModelError(f"{name} holds {twice!r} more than once; labels must be distinct")
    return result


def vector(x: NDArray[np.float64], size: int, name: str) -> None:
    """Check that `x` is a finite vector of length `size`."""
    if x.shape != (size,):
        raise InvalidModelError(f"{name} has shape {x.shape}; ({size},) expected")
    require(np.isfinite(x), lambda i: f"{name}[{i}] is {x[i]}", "Entries must be finite.")


def criterion(gamma: Any, horizon: Any) -> tuple[float, int | None]:
    """Check discount factor and horizon together; return them as float and int (or None)."""
    if isinstance(gamma, bool) or not isinstance(gamma, (int, float, np.integer, np.floating)):
        raise InvalidModelError(f"gamma is {gamma!r}; a real number expected")
    if horizon is None:
        if not 0 <= gamma < 1 or float(gamma) == 1:  # the last for types wider than float
            raise InvalidModelError(
                f"gamma is {gamma}; 0 <= gamma < 1 expected with an infinite horizon. "
                "Set horizon=H for a finite-horizon model, where gamma may be 1."
            )
        return float(gamma), None
    if isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer)) or horizon < 1:
        raise InvalidModelError(f"horizon is {horizon!r}; an integer of at least 1 expected")
    if not 0 <= gamma <= 1:
        raise InvalidModelError(f"gamma is {gamma}; 0 <= gamma <= 1 expected")
    return float(gamma), int(horizon)


class Rows(Protocol):
    """What `rows` checks: pairs grouped by state, successors grouped by pair."""

    @property
    def state_ptr(self) -> NDArray[np.int32]:
        """See `TabularMDP`."""
        ...

    @property
    def indptr(self) -> NDArray[np.int32]:
        """See `TabularMDP`."""
        ...

    @property
    def indices(self) -> NDArray[np.int32]:
        """See `TabularMDP`."""
        ...

    @property
    def data(self) -> NDArray[np.float64]:
        """See `TabularMDP`."""
        ...

    @property
    def action_id(self) -> NDArray[np.int32]:
        """See `TabularMDP`."""
        ...

    @property
    def n_states(self) -> int:
        """Number of states S."""
        ...


def shapes(model: Rows) -> None:
    """Check the pointers of a model, and that its arrays have consistent lengths."""
    pairs = model.indptr.size - 1
    pointers(model.state_ptr, pairs, "state_ptr", "the pairs")
    pointers(model.indptr, model.indices.size, "indptr", "indices")
    if model.data.size != model.indices.size:
        raise InvalidModelError(
            f"data has {model.data.size} entries and indices {model.indices.size}; "
            "each transition needs one of both"
        )
    if model.action_id.shape != (pairs,):
        shape = model.action_id.shape
        raise InvalidModelError(f"action_id has shape {shape}; ({pairs},) expected")


def pair_name(model: Rows, k: int) -> str:
    """Say which step (of a stacked model), state and action the pair k is."""
    S = model.n_states
    row = int(np.searchsorted(model.state_ptr, k, side="right")) - 1
    step = "" if model.state_ptr.size == S + 1 else f"h={row // S}, "
    return f"{step}s={row % S}, a={model.action_id[k]}"


def rows(mdp: Rows, tolerance: float = ROW_SUM_TOLERANCE) -> None:
    """Check every state-action row of a model whose array shapes are already consistent.

    Parameters
    ----------
    mdp : Rows
        The model.
    tolerance : float
        Largest distance of a row sum from one.

    Raises
    ------
    InvalidModelError
        Naming the first offence; for row sums the worst row.
    """
    S = mdp.n_states
    indices, data, action = mdp.indices, mdp.data, mdp.action_id
    with np.errstate(over="ignore"):
        if blockwise.rows_are_sound(mdp.state_ptr, action, mdp.indptr, indices, data, S, tolerance):
            return
    stacked = mdp.state_ptr.size != S + 1

    def pair(k: int) -> str:
        return pair_name(mdp, k)

    def transition(j: int) -> str:
        return pair(int(np.searchsorted(mdp.indptr, j, side="right")) - 1)

    require(
        np.diff(mdp.state_ptr) > 0,
        lambda i: f"state {i % S} has no action" + (f" at h={i // S}" if stacked else ""),
        "Give it one, for an absorbing state a self-loop with reward 0.",
        unit="states",
    )
    first = np.zeros(mdp.indptr.size - 1, dtype=bool)
    first[mdp.state_ptr[:-1]] = True
    require(
        (action >= 0) & (first | (np.diff(action, prepend=0) > 0)),
        lambda k: f"action_id[{k}] is {action[k]} (pair {pair(k)})",
        "Within a state the action identifiers are at least 0 and strictly increasing; the "
        "constructors from_* sort them.",
        unit="pairs",
    )
    require(
        np.diff(mdp.indptr) > 0,
        lambda k: f"P[{pair(k)}, :] has no successor",
        "Every row must sum to one.",
        unit="rows",
    )
    require(
        (indices >= 0) & (indices < S),
        lambda j: f"P[{transition(j)}, :] has successor {indices[j]} outside 0..{S - 1}",
        "Number the states from 0.",
        unit="transitions",
    )
    first = np.zeros(indices.size, dtype=bool)
    first[mdp.indptr[:-1]] = True
    require(
        first | (np.diff(indices, prepend=0) > 0),
        lambda j: f"P[{transition(j)}, :] lists successor {indices[j]} twice or out of order",
        "Successors are strictly increasing within a row; the constructors from_* sort and merge.",
        unit="transitions",
    )
    require(
        np.isfinite(data) & (data >= 0),
        lambda j: f"P[{transition(j)}, t={indices[j]}] is {data[j]}",
        "Probabilities are finite and at least 0.",
        unit="transitions",
    )
    with np.errstate(over="ignore"):
        off = np.abs(np.add.reduceat(data, mdp.indptr[:-1]) - 1)
    if (off > tolerance).any():
        k = int(np.argmax(off))
        with np.errstate(over="ignore"):
            total = float(data[mdp.indptr[k] : mdp.indptr[k + 1]].sum())
        digits = 17 if off[k] < 1e-11 else 12
        raise InvalidModelError(
            f"P[{pair(k)}, :] sums to {total:.{digits}g} (tolerance {tolerance:.3g}). "
            f"{np.count_nonzero(off > tolerance)} of {off.size} rows are off, this one most. "
            "Divide each row by its sum if the excess is rounding."
        )


def rewards(mdp: Rows, reward: NDArray[np.float64], name: str = "reward") -> None:
    """Check that every reward, (K,) or (H, K), is finite."""
    flat, pairs = reward.reshape(-1), mdp.indptr.size - 1
    require(
        np.isfinite(flat),
        lambda i: f"{name} of {pair_name(mdp, i % pairs)} is {flat[i]}",
        "Rewards must be finite; leave an action out instead of paying -inf.",
        unit="rewards",
    )


def length(values: Any, size: int, name: str) -> None:
    """Check the length of a sequence."""
    if len(values) != size:
        raise InvalidModelError(f"{name} has {len(values)} entries; {size} expected")


def state_set(values: ArrayLike, size: int, name: str) -> NDArray[np.bool_]:
    """Return a set of states as a read-only (S,) mask: from a mask, or from indices."""
    given = np.asarray(values)
    if given.dtype == np.bool_:
        if given.shape != (size,):
            raise InvalidModelError(f"{name} has shape {given.shape}; ({size},) expected")
        mask = given.copy()
    else:
        index = given.reshape(-1) if given.size else np.empty(0, dtype=np.int64)
        if index.dtype.kind not in "iu":
            raise InvalidModelError(
                f"{name} has dtype {given.dtype}; a mask or indices of states expected"
            )
        require(
            (index >= 0) & (index < size),
            lambda i: f"{name} holds state {index[i]} outside 0..{size - 1}",
            "Number the states from 0.",
        )
        mask = np.zeros(size, dtype=bool)
        mask[index] = True
    mask.flags.writeable = False
    return mask


def rational(values: Any, floats: NDArray[np.float64], name: str) -> tuple[Fraction, ...]:
    """Return exact numbers as Fractions, checked against the floats that they round to."""
    exact = tuple(Fraction(x) for x in values)
    length(exact, floats.size, name)
    require(
        np.array([float(x) for x in exact]) == floats,
        lambda i: f"{name}[{i}] is {exact[i]}, which does not round to {floats[i]!r}",
        "Exact numbers and floats must describe the same model.",
    )
    return exact


def fingerprint(model: Any) -> str:
    """Hash the fields of a dataclass of arrays, mappings and plain values."""
    digest = hashlib.blake2b(digest_size=16)

    def add(name: str, value: Any) -> None:
        if isinstance(value, np.ndarray):
            digest.update(f"{name}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).view(np.uint8).data)
        elif isinstance(value, Mapping):
            for key in sorted(value):
                add(f"{name}[{key!r}]", value[key])
        elif isinstance(value, tuple) and value and isinstance(value[0], Fraction):
            numbers = [f"{x.numerator:x}/{x.denominator:x}" for x in value]  # decimals are limited
            digest.update(f"{name}={numbers}".encode())
        else:
            digest.update(f"{name}={value!r}".encode())

    for field in dataclasses.fields(model):
        add(field.name, getattr(model, field.name))
    return digest.hexdigest()
