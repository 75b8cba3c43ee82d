"""Checks made once, at the border: each names the first offence, the count, and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP

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


def rows(mdp: TabularMDP) -> None:
    """Check every state-action row of a model whose array shapes are already consistent."""
    S = mdp.n_states
    indices, data, action = mdp.indices, mdp.data, mdp.action_id

    def pair(k: int) -> str:
        row = int(np.searchsorted(mdp.state_ptr, k, side="right")) - 1
        step = "" if mdp.stationary else f"h={row // S}, "
        return f"{step}s={row % S}, a={action[k]}"

    def transition(j: int) -> str:
        return pair(int(np.searchsorted(mdp.indptr, j, side="right")) - 1)

    require(
        np.diff(mdp.state_ptr) > 0,
        lambda i: f"state {i % S} has no action" + ("" if mdp.stationary else f" at h={i // S}"),
        "Give it one, for an absorbing state a self-loop with reward 0.",
        unit="states",
    )
    first = np.zeros(mdp.n_pairs, dtype=bool)
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
    first = np.zeros(mdp.nnz, dtype=bool)
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
        sums = np.add.reduceat(data, mdp.indptr[:-1])
    require(
        np.abs(sums - 1) <= ROW_SUM_TOLERANCE,
        lambda k: f"P[{pair(k)}, :] sums to {sums[k]:.12g} (tolerance {ROW_SUM_TOLERANCE:g})",
        "Divide each row by its sum if the excess is rounding.",
        unit="rows",
    )
    reward = mdp.reward.reshape(-1)
    require(
        np.isfinite(reward),
        lambda i: f"reward of {pair(i % mdp.n_pairs)} is {reward[i]}",
        "Rewards must be finite; leave an action out instead of paying -inf.",
        unit="rewards",
    )
