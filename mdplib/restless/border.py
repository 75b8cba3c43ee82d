"""Checks at the border of coupled bandits: each names the offence and the remedy."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def whole(value: Any, name: str, least: int) -> int:
    """Return a whole number that is at least as large as asked for.

    Raises
    ------
    InvalidModelError
        If it is not whole, or too small.

    Examples
    --------
    >>> whole(np.int64(3), "budget", 0)
    3
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidModelError(f"{name} is {value!r}; give a whole number") from None
    if number < least:
        raise InvalidModelError(f"{name} is {number}; give at least {least}")
    return number


def numbers(values: ArrayLike, name: str) -> Floats:
    """Return a vector of finite numbers, at least one.

    Raises
    ------
    InvalidModelError
        On another shape, and on entries that are not finite numbers; the first is named.
    """
    array = validate.frozen(values, np.float64, name, (1,))
    if not array.size:
        raise InvalidModelError(f"{name} is empty; give at least one number")
    off = np.flatnonzero(~np.isfinite(array))
    if off.size:
        raise InvalidModelError(
            f"{name}[{off[0]}] is {array[off[0]]} ({off.size} such entries); give finite numbers"
        )
    return array


def table(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    """Return a read-only table of truth values with at least one entry.

    Raises
    ------
    InvalidModelError
        If it is not a table, is empty, or an entry is neither 0 nor 1.
    """
    array = validate.frozen(values, np.float64, name, (2,))
    if 0 in array.shape:
        raise InvalidModelError(f"{name} has shape {array.shape}; give at least one entry")
    off = np.argwhere((array != 0) & (array != 1))
    if len(off):
        i, k = (int(x) for x in off[0])
        raise InvalidModelError(
            f"{name}[{i}, {k}] is {array[i, k]:g} ({len(off)} such entries); give 0 or 1"
        )
    return validate.frozen(array == 1, np.bool_, name, (2,))


def joint(s: ArrayLike, n_arms: int, n_states: int) -> Ints:
    """Return joint states (..., J) as integers.

    Raises
    ------
    InvalidModelError
        If the last axis is not J long, or an entry is not a state.

    Examples
    --------
    >>> joint([0, 4], 2, 4)
    Traceback (most recent call last):
    ...
    mdplib.errors.InvalidModelError: arm 1 is in state 4; states are 0..3
    """
    states = np.asarray(s)
    if states.dtype.kind not in "iu":
        raise InvalidModelError(f"joint states have dtype {states.dtype}; give whole numbers")
    if states.ndim < 1 or states.shape[-1] != n_arms:
        raise InvalidModelError(f"joint states have shape {states.shape}; give (..., {n_arms})")
    if states.size and not (states.min() >= 0 and states.max() < n_states):
        at = np.argwhere((states < 0) | (states >= n_states))[0]
        raise InvalidModelError(
            f"arm {at[-1]} is in state {states[tuple(at)]}; states are 0..{n_states - 1}"
        )
    return states.astype(np.int64, copy=False)
