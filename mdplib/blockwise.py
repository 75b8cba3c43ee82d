"""Compressed rows block by block: temporaries fit the cache, whatever the size of the model.

A model of 2e8 transitions takes gigabytes; a mask or a difference over all of them would take
one or two more. Here everything is done on about `BLOCK` entries at a time, which is also faster,
since each block is read from memory once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]
BLOCK = 2**18
FIRST, LARGEST = 2**12, 2**23  # entries of the first and of the largest block of a `Growing`


class Growing:
    """An array that grows by blocks and is joined block by block.

    Parameters
    ----------
    dtype : dtype
        Type of the entries.

    Examples
    --------
    >>> column = Growing(np.int32)
    >>> column.extend(np.array([1, 2], dtype=np.int32))
    >>> column.join()
    array([1, 2], dtype=int32)
    """

    def __init__(self, dtype: Any):
        self._dtype = np.dtype(dtype)
        self._full: list[NDArray[Any]] = []
        self._tail = np.empty(FIRST, dtype=self._dtype)
        self._used = 0

    def extend(self, values: NDArray[Any]) -> None:
        """Append a copy of `values`."""
        done = 0
        while done < values.size:
            if self._used == self._tail.size:
                self._full.append(self._tail)
                self._tail = np.empty(min(2 * self._tail.size, LARGEST), dtype=self._dtype)
                self._used = 0
            n = min(values.size - done, self._tail.size - self._used)
            self._tail[self._used : self._used + n] = values[done : done + n]
            self._used += n
            done += n

    def join(self) -> NDArray[Any]:
        """Return one read-only array; the blocks are freed on the way."""
        blocks = [*self._full, self._tail[: self._used]]
        self._full, self._tail = [], np.empty(0, dtype=self._dtype)
        out = np.empty(sum(block.size for block in blocks), dtype=self._dtype)
        blocks.reverse()
        start = 0
        while blocks:
            block = blocks.pop()
            out[start : start + block.size] = block
            start += block.size
        out.flags.writeable = False
        return out


def blocks(ptr: Ints) -> Iterator[tuple[Ints, slice]]:
    """Cut rows into blocks of about `BLOCK` entries, never inside a row.

    Parameters
    ----------
    ptr : (n+1,) int32
        Row i has the entries ``ptr[i] <= j < ptr[i+1]``; from 0 upwards, never decreasing.

    Yields
    ------
    starts : (m,) int
        First entry of each row of the block, counted within the block.
    entries : slice
        The entries of the block.

    Examples
    --------
    >>> [(starts.tolist(), part) for starts, part in blocks(np.array([0, 2, 3], np.int32))]
    [([0, 2], slice(0, 3, None))]
    """
    first, rows = 0, ptr.size - 1
    while first < rows:
        target = int(ptr[first]) + BLOCK
        last = rows
        if target < ptr[-1]:  # a key of the same type: otherwise the whole of ptr is converted
            last = int(np.searchsorted(ptr, ptr.dtype.type(target), side="right")) - 1
        last = max(last, first + 1)
        start, end = int(ptr[first]), int(ptr[last])
        yield ptr[first:last] - start, slice(start, end)
        first = last


def rising(starts: Ints, values: Ints) -> bool:
    """Whether values rise strictly within each row; no row may be empty.

    Examples
    --------
    >>> starts, values = np.array([0, 2], np.int32), np.array([1, 3, 0], np.int32)
    >>> rising(starts, values), rising(starts[:1], values)
    (True, False)
    """
    good = values[1:] > values[:-1]
    good[starts[1:] - 1] = True
    return bool(good.all())


def rows_are_sound(
    state_ptr: Ints,
    action: Ints,
    indptr: Ints,
    indices: Ints,
    data: Floats,
    S: int,
    tolerance: float,
) -> bool:
    """Whether the rows of a model with consistent shapes have no fault at all.

    Every state has a pair and every pair a successor; actions are at least 0 and rise within a
    state; successors lie in 0..S-1 and rise within a pair; probabilities are finite, at least 0,
    and sum to one within `tolerance`.

    Examples
    --------
    >>> ptr, zero = np.array([0, 1], np.int32), np.array([0], np.int32)
    >>> [rows_are_sound(ptr, zero, ptr, zero, np.array([p]), 1, 1e-9) for p in (1.0, 0.9)]
    [True, False]
    """
    if not ((state_ptr[1:] > state_ptr[:-1]).all() and (indptr[1:] > indptr[:-1]).all()):
        return False
    for starts, part in blocks(state_ptr):
        actions = action[part]
        if actions.min() < 0 or not rising(starts, actions):
            return False
    for starts, part in blocks(indptr):
        successors, p = indices[part], data[part]
        if successors.min() < 0 or successors.max() >= S or not rising(starts, successors):
            return False
        if not (p.min() >= 0 and p.max() < np.inf):  # NaN fails both
            return False
        sums = np.add.reduceat(p, starts)
        if not max(sums.max() - 1, 1 - sums.min()) <= tolerance:
            return False
    return True


def row_sum_range(indptr: Ints, data: Floats) -> tuple[float, float]:
    """Return the least and the largest computed sum of a row; no row may be empty.

    Examples
    --------
    >>> row_sum_range(np.array([0, 2, 3], np.int32), np.array([0.25, 0.5, 1.0]))
    (0.75, 1.0)
    """
    low, high = np.inf, -np.inf
    for starts, part in blocks(indptr):
        sums = np.add.reduceat(data[part], starts)
        low, high = min(low, sums.min()), max(high, sums.max())
    return float(low), float(high)


def longest_row(ptr: Ints) -> int:
    """Return the number of entries of the longest row.

    Examples
    --------
    >>> longest_row(np.array([0, 2, 3], np.int32))
    2
    """
    step = BLOCK
    return max(
        int(np.diff(ptr[first : first + step + 1]).max()) for first in range(0, ptr.size - 1, step)
    )
