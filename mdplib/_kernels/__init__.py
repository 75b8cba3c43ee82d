"""Compiled kernels: arrays in, arrays or codes out.

The kernel modules import numba, so they are loaded on first use only.
"""

from importlib import import_module

_MODULES = (
    "bellman",
    "elimination",
    "evaluation",
    "graph",
    "ordering",
    "simulation",
    "threads",
    "undiscounted",
    "validation",
)


def __getattr__(name: str):
    """Load a kernel module on first use."""
    if name in _MODULES:
        return import_module(f"mdplib._kernels.{name}")
    raise AttributeError(f"module 'mdplib._kernels' has no attribute {name!r}")
