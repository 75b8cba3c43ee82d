"""Models to test with, and contracts to test against.

`tabular_mdps` and `finite_horizon_mdps` are hypothesis strategies; `random_mdp` draws from the same
family with a numpy generator, fast enough for thousands of models. `check_model` and
`check_solver` are the contracts every model and solver of this library keeps: use them on your
own. Only the strategies need hypothesis (extra ``testing``).

Examples
--------
>>> import numpy as np
>>> from mdplib.testing import check_model, random_mdp
>>> check_model(random_mdp(np.random.default_rng(0)))
"""

from importlib import import_module
from typing import TYPE_CHECKING

_PUBLIC = {
    "tabular_mdps": "mdplib.testing.strategies",
    "finite_horizon_mdps": "mdplib.testing.strategies",
    "random_mdp": "mdplib.testing.family",
    "check_model": "mdplib.testing.contracts",
    "check_solver": "mdplib.testing.contracts",
}
__all__ = [*_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from mdplib.testing.contracts import check_model as check_model
    from mdplib.testing.contracts import check_solver as check_solver
    from mdplib.testing.family import random_mdp as random_mdp
    from mdplib.testing.strategies import finite_horizon_mdps as finite_horizon_mdps
    from mdplib.testing.strategies import tabular_mdps as tabular_mdps


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mdplib.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
