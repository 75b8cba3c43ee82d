"""The one place that decides how a kernel is compiled and where its machine code is kept.

Kernels are compiled on first call and cached on disk. Where neither the package folder nor the
user's cache folder can be written, numba refuses to cache; the kernel is then compiled for this
process only. `reassoc` and `contract` let the compiler reorder and fuse sums, which the rounding
bounds of `mdplib.certificates` allow for (they hold for every order of summation); they do not
license the assumption that values are finite.
"""

from collections.abc import Callable

from numba import njit

_FAST = {"reassoc", "contract"}


def kernel(function: Callable) -> Callable:
    """Compile `function` lazily, cached on disk where some cache folder is writable."""
    try:
        return njit(cache=True, fastmath=_FAST, nogil=True, error_model="numpy")(function)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        return njit(fastmath=_FAST, nogil=True, error_model="numpy")(function)
