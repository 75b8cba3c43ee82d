"""Models on disk and in other libraries: npz with a schema, Gymnasium both ways.

`read` decides by content what a file is; `write` keeps everything a model holds.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mdplib.errors import InvalidModelError
from mdplib.io.npz import load_npz as load_npz
from mdplib.io.npz import save_npz as save_npz

if TYPE_CHECKING:
    from mdplib.io.gymnasium import from_gymnasium as from_gymnasium
    from mdplib.io.gymnasium import to_gymnasium as to_gymnasium
    from mdplib.tabular import TabularMDP


def __getattr__(name: str):
    """Load the Gymnasium adapters on first use."""
    if name in ("from_gymnasium", "to_gymnasium"):
        return getattr(import_module("mdplib.io.gymnasium"), name)
    raise AttributeError(f"module 'mdplib.io' has no attribute {name!r}")


def read(path: str | Path) -> TabularMDP:
    """Read a model file, deciding by its content what it is.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    TabularMDP

    Raises
    ------
    InvalidModelError
        If the file does not exist, is of no known format, or is damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InvalidModelError(f"{path} cannot be read: {error.strerror}") from None
    if magic == b"PK\x03\x04":
        return load_npz(path)
    raise InvalidModelError(
        f"{path} is of no known format (it starts with {magic!r}); readable: npz files written by "
        "mdplib.write. Build other models with the constructors TabularMDP.from_*."
    )


def write(mdp: TabularMDP, path: str | Path) -> None:
    """Write a model so that `read` gives back an equal one.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    path : str or Path
        File with the ending ``.npz``; replaced only once the new one is complete.

    Raises
    ------
    InvalidModelError
        If the ending names no format.
    OSError
        If the file cannot be written; an existing file is then left as it was.
    """
    if Path(path).suffix != ".npz":
        raise InvalidModelError(f"{path}: the ending names no format that can be written; use .npz")
    save_npz(mdp, path)
