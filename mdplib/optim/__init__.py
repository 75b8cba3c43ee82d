"""Thin typed layer over optimisation back ends: the only place that knows one."""

from importlib import import_module


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name in ("LinearProgramResult", "solve_lp"):
        return getattr(import_module("mdplib.optim.lp"), name)
    raise AttributeError(f"module 'mdplib.optim' has no attribute {name!r}")
