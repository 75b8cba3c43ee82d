"""Reading and writing models.

`read` takes a file, the name of a built-in model or the id of a Gymnasium environment; `write`
chooses the format by the suffix. What belongs to one format is loaded with its module only:
Gymnasium is not imported before it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

_PUBLIC = {
    "read": "mdplib.io.dispatch",
    "write": "mdplib.io.dispatch",
    "load_npz": "mdplib.io.npz",
    "save_npz": "mdplib.io.npz",
    "from_gymnasium": "mdplib.io.gymnasium",
    "to_gymnasium": "mdplib.io.gymnasium",
}
__all__ = [*_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from mdplib.io.dispatch import read as read
    from mdplib.io.dispatch import write as write
    from mdplib.io.gymnasium import from_gymnasium as from_gymnasium
    from mdplib.io.gymnasium import to_gymnasium as to_gymnasium
    from mdplib.io.npz import load_npz as load_npz
    from mdplib.io.npz import save_npz as save_npz


def __getattr__(name: str):
    """Load a public name on first use (PEP 562)."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mdplib.io' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
