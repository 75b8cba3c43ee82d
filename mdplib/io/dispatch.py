"""One call to read a model from wherever it is, one to write it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, overload

from mdplib.errors import InvalidModelError
from mdplib.io import convert
from mdplib.io.canonical import NoAction, count_absorbing
from mdplib.io.convert import Model
from mdplib.io.files import readable
from mdplib.io.report import Report
from mdplib.labelled import LabelledMDP
from mdplib.tabular import TabularMDP

_ENVIRONMENT = re.compile(r"(?:[\w.]+:)?(?:[\w-]+/)?[\w.-]+-v\d+")
_START = 2**16
_PRISM = re.compile(rb"(?:\s|//[^\n]*\n)*(?:mdp|dtmc|nondeterministic|probabilistic)\b")
_DRN = re.compile(rb"(?:\s|//[^\n]*\n)*@[a-z_]+")
_JSON = re.compile(rb"\s*\{")
_CSV = re.compile(rb"[^\n]*\bidstatefrom\b[^\n]*\n?")
Format = Literal["npz", "umb", "drn", "json", "csv", "prism", "jani"]
READABLE = "npz, UMB, DRN, JSON, CSV; PRISM and JANI with the extra 'storm'"


@overload
def read(
    source: str | Path,
    *,
    gamma: float,
    reward: str | None = ...,
    no_action: NoAction = ...,
    limit_gib: float = ...,
) -> TabularMDP: ...


@overload
def read(
    source: str | Path,
    *,
    gamma: None = ...,
    reward: str | None = ...,
    no_action: NoAction = ...,
    limit_gib: float = ...,
) -> Model: ...


def read(
    source: str | Path,
    *,
    gamma: float | None = None,
    reward: str | None = None,
    no_action: NoAction = "error",
    limit_gib: float = 8.0,
) -> Model:
    """Read a model from a file, or build the one a name stands for.

    Parameters
    ----------
    source : str or Path
        A file, recognised by its content whatever its suffix: npz, UMB, DRN, JSON, CSV, and with
        the extra ``storm`` PRISM and JANI; or a name in `mdplib.models.NAMED`; or the id of a
        Gymnasium environment such as ``FrozenLake8x8-v1``. A file comes first.
    gamma : float, optional
        Discount factor in place of the model's own; asks the discounted question of a model that
        has none. An environment has none and needs it.
    reward : str, optional
        Which reward of a labelled model `gamma` discounts; may be left out if there is one only.
    no_action : {"error", "absorb"}
        What to do about a state without a choice: refuse the file, or give the state a self-loop
        that pays nothing.
    limit_gib : float
        Refuse files that unpack to more than this, in GiB.

    Returns
    -------
    TabularMDP
        If the file has a discount factor or `gamma` is given.
    UndiscountedMDP
        If the file has an undiscounted criterion.
    LabelledMDP
        Otherwise: its methods ask the question.

    Raises
    ------
    InvalidModelError
        If the file cannot be used, or the name stands for nothing.
    MissingExtraError
        If Gymnasium or stormpy is needed and not installed.

    Examples
    --------
    >>> read("forest", gamma=0.5)
    TabularMDP(6 state-action pairs on 3 states, 9 transitions, gamma=0.5)
    """
    return read_with_report(
        source, gamma=gamma, reward=reward, no_action=no_action, limit_gib=limit_gib
    )[0]


def read_with_report(
    source: str | Path,
    *,
    gamma: float | None = None,
    reward: str | None = None,
    no_action: NoAction = "error",
    limit_gib: float = 8.0,
) -> tuple[Model, Report]:
    """Do what `read` does, and report what was noticed, repaired or left out on the way.

    Parameters
    ----------
    source, gamma, reward, no_action, limit_gib
        As for `read`.

    Returns
    -------
    model : TabularMDP, UndiscountedMDP or LabelledMDP
    report : Report

    Examples
    --------
    >>> print(read_with_report("forest")[1])
    named: nothing to report
    """
    from mdplib.models.named import NAMED

    path, name = Path(source), str(source)
    if path.is_file():
        format = recognise(path, limit_gib=limit_gib)
        model, report = convert.load(
            path, format, gamma=gamma, no_action=no_action, limit_gib=limit_gib
        )
        return _asked(model, gamma, reward, path), report
    if name in NAMED:
        model = NAMED[name](gamma)
        return model, Report("named", absorbing=count_absorbing(model) if model.stationary else 0)
    if isinstance(source, str) and _ENVIRONMENT.fullmatch(name):
        from mdplib.io.gymnasium import from_gymnasium

        if gamma is None:
            raise InvalidModelError(f"{name} has no discount factor of its own; pass gamma")
        model = from_gymnasium(name, gamma)
        return model, Report("gymnasium", absorbing=count_absorbing(model))
    near = get_close_matches(name, NAMED, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidModelError(
        f"{name!r} is neither a file nor a known name.{hint} Readable: files ({READABLE}), "
        f"Gymnasium ids (Name-v1), and {', '.join(NAMED)}."
    )


def _asked(model: Model, gamma: float | None, reward: str | None, path: Path) -> Model:
    """Ask the discounted question if a discount factor is given."""
    if isinstance(model, LabelledMDP):
        if gamma is not None:
            return model.discounted(gamma, reward)
        if reward is not None:
            raise InvalidModelError(f"reward is {reward!r} but there is no gamma to discount it")
        return model
    if gamma is None:
        return model
    if isinstance(model, TabularMDP):
        return model.with_gamma(gamma)
    raise InvalidModelError(f"{path} holds an undiscounted problem; read it without gamma")


def recognise(path: str | Path, *, limit_gib: float = 8.0) -> Format:
    """Return the format of a file, by its first bytes.

    Parameters
    ----------
    path : str or Path
        The file, compressed with gzip or not.
    limit_gib : float
        As for `read`.

    Raises
    ------
    InvalidModelError
        If it is in no format known here.
    """
    with readable(path, limit_gib) as file:
        start = file.read(_START)
    if start.startswith(b"PK\x03\x04"):
        return "npz"
    if start[257:262] == b"ustar" or start.startswith((b"index.json\0", b"./index.json\0")):
        return "umb"
    if _CSV.match(start):
        return "csv"
    if _JSON.match(start):
        return "jani" if b'"jani-version"' in start else "json"
    if _DRN.match(start):
        return "drn"
    if _PRISM.match(start):
        return "prism"
    raise InvalidModelError(
        f"{path} cannot be used: it starts with {start[:4]!r}, which is no format known here. "
        f"Readable: {READABLE}."
    )


def write(model: Model, path: str | Path, *, lossy: bool = False) -> None:
    """Write a model in the format of the suffix, unless something would be lost.

    Parameters
    ----------
    model : TabularMDP, LabelledMDP or UndiscountedMDP
        The model.
    path : str or Path
        Ends in ``.npz``, which holds everything, or ``.umb``, ``.json``, ``.jsonl``, ``.drn`` or
        ``.csv``.
    lossy : bool
        Write also what the format cannot hold in full.

    Raises
    ------
    InvalidModelError
        If no format has that suffix, or naming what would be lost.
    OSError
        If the disk is full or the folder cannot be written; a file that was there is untouched.

    Examples
    --------
    >>> from mdplib import models
    >>> write(models.forest(), "forest.txt")
    Traceback (most recent call last):
    ...
    mdplib.errors.InvalidModelError: no format has the suffix '.txt'; writable: .npz, .umb, ...
    """
    suffix = Path(path).suffix
    convert.save(model, path, suffix.lower().removeprefix("."), lossy=lossy)
