"""Thin typed layer over optimisation back ends: the only place that knows one."""

from importlib import import_module

_PUBLIC = {
    "LinearProgramResult": "mdplib.optim.lp",
    "solve_lp": "mdplib.optim.lp",
    "solve_relaxation": "mdplib.optim.lp",
    "MipArrays": "mdplib.optim.mip",
    "MipBuilder": "mdplib.optim.builder",
    "MipResult": "mdplib.optim.mip",
    "MipStatus": "mdplib.optim.mip",
    "BACKENDS": "mdplib.optim.backends",
    "solve_mip": "mdplib.optim.backends",
    "from_pulp": "mdplib.optim.pulp_models",
    "to_pulp": "mdplib.optim.pulp_models",
    "check_backend": "mdplib.optim.canaries",
}


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mdplib.optim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_PUBLIC)
