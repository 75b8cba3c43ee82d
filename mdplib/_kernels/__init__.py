"""Compiled kernels: arrays in, arrays or codes out.

The kernel modules import numba, so they are loaded on first use only.
"""

from importlib import import_module

_MODULES = (
    "bandit_simulation",
    "bandits",
    "bandits_arms",
    "bandits_ball",
    "bandits_linear",
    "bandits_noise",
    "bellman",
    "elimination",
    "evaluation",
    "exponential_duals",
    "graph",
    "noise",
    "mixture",
    "ordering",
    "robust",
    "regression_duals",
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
