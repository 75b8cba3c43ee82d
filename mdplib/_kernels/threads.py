"""One pass over the states of a large model, shared among threads.

Kernels release the interpreter's lock, so plain threads do: unlike a parallel region of the
compiler they may be used from several threads at once and after a fork. There are as many as
``numba.get_num_threads()`` says, which follows NUMBA_NUM_THREADS and the limits that workers set.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numba
import numpy as np
from numpy.typing import NDArray

WORTHWHILE = 1_000_000  # transitions per thread below which a second thread does not pay

Extremes = tuple[float, ...]


def usable() -> int:
    """Return the number of threads that a sweep may use."""
    return numba.get_num_threads()


def cuts(state_ptr: NDArray[np.int32], indptr: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Return ranges of states with about equal numbers of transitions, one per thread.

    For the rows of a single policy pass its pointers as `indptr` and ``arange(S+1)``, or the
    pointers twice, as `state_ptr`; one range means one thread.
    """
    n = state_ptr.size - 1
    first, last = indptr[state_ptr[0]], indptr[state_ptr[-1]]
    most = min(usable(), int(last - first) // WORTHWHILE)
    if most < 2:
        return [(0, n)]
    ends = np.linspace(first, last, most + 1)[1:-1]
    pairs = np.searchsorted(indptr, ends)
    inner = np.searchsorted(state_ptr, pairs)
    edges = [0, *(int(i) for i in inner), n]
    return [(a, b) for a, b in pairwise(edges) if a < b]


def share(parts: list[tuple[int, int]], work: Callable[[int, int], Extremes]) -> Extremes:
    """Run `work` on every range of states; merge a minimum and maxima, in the order returned."""
    if len(parts) == 1:
        return work(*parts[0])
    pool = _pool(os.getpid(), usable())
    others = [pool.submit(work, *part) for part in parts[1:]]
    low, *highs = work(*parts[0])
    for other in others:
        least, *most = other.result()
        low, highs = min(low, least), list(map(max, highs, most))
    return (low, *highs)


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="mdplib")
