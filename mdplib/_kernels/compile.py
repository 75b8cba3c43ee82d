"""The one place that decides how a kernel is compiled and where its machine code is kept.

Kernels are compiled on first call and cached on disk. Where neither the package folder nor the
user's cache folder can be written, numba refuses to cache; the kernel is then compiled for this
process only. `contract` lets the compiler fuse a product and a sum, which rounds once instead of
twice; sums keep the order in which they are written, and nothing licenses the assumption that
values are finite.
"""

from collections.abc import Callable

from numba import njit

_FAST = {"contract"}


def inlined(function: Callable) -> Callable:
    """Compile `function` into the kernels of its file that call it: calls cost a row's worth."""
    return njit(fastmath=_FAST, inline="always", error_model="numpy")(function)


def kernel(function: Callable) -> Callable:
    """Compile `function` lazily, cached on disk where some cache folder is writable."""
    try:
        return njit(cache=True, fastmath=_FAST, nogil=True, error_model="numpy")(function)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        return njit(fastmath=_FAST, nogil=True, error_model="numpy")(function)
