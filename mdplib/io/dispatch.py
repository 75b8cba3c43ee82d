"""One call to read a model from wherever it is, one to write it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from mdplib.errors import InvalidModelError
from mdplib.io.npz import load_npz, save_npz
from mdplib.tabular import TabularMDP

_ENVIRONMENT = re.compile(r"(?:[\w.]+:)?(?:[\w-]+/)?[\w.-]+-v\d+")


def read(source: str | Path, *, gamma: float | None = None) -> TabularMDP:
    """Read a model from a file, or build the one a name stands for.

    Parameters
    ----------
    source : str or Path
        A file, recognised by its content (npz); or a name in `mdplib.models.NAMED`; or the id of
        a Gymnasium environment such as ``FrozenLake8x8-v1``. A file comes first.
    gamma : float, optional
        Discount factor in place of the model's own; an environment has none and needs it.

    Returns
    -------
    TabularMDP

    Raises
    ------
    InvalidModelError
        If the file cannot be used, or the name stands for nothing.
    MissingExtraError
        If the name is an environment id and Gymnasium is not installed.

    Examples
    --------
    >>> read("forest", gamma=0.5)
    TabularMDP(6 state-action pairs on 3 states, 9 transitions, gamma=0.5)
    """
    from mdplib.models.named import NAMED

    path, name = Path(source), str(source)
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(4)
        if start != b"PK\x03\x04":
            raise InvalidModelError(
                f"{path} cannot be used: it starts with {start!r}, which is no format known here. "
                "Readable: npz files written by mdplib."
            )
        mdp = load_npz(path)
        return mdp if gamma is None else mdp.with_gamma(gamma)
    if name in NAMED:
        return NAMED[name](gamma)
    if isinstance(source, str) and _ENVIRONMENT.fullmatch(name):
        from mdplib.io.gymnasium import from_gymnasium

        if gamma is None:
            raise InvalidModelError(f"{name} has no discount factor of its own; pass gamma")
        return from_gymnasium(name, gamma)
    near = get_close_matches(name, NAMED, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidModelError(
        f"{name!r} is neither a file nor a known name.{hint} Readable: npz files, Gymnasium ids "
        f"(Name-v1), and {', '.join(NAMED)}."
    )


def write(mdp: TabularMDP, path: str | Path) -> None:
    """Write a model in the format of the suffix.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    path : str or Path
        Ends in ``.npz``.

    Raises
    ------
    InvalidModelError
        If no format has that suffix.

    Examples
    --------
    >>> from mdplib import models
    >>> write(models.forest(), "forest.txt")
    Traceback (most recent call last):
    ...
    mdplib.errors.InvalidModelError: no format has the suffix '.txt'; writable: .npz
    """
    suffix = Path(path).suffix
    if suffix.lower() != ".npz":
        raise InvalidModelError(f"no format has the suffix {suffix!r}; writable: .npz")
    save_npz(mdp, path)
