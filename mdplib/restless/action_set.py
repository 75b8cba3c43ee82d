"""What a set of joint actions answers: what it contains, and how a program describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError
from mdplib.optim.builder import MipBuilder

Ints = NDArray[np.int64]
Actions = NDArray[np.int8]
LIMIT = 200_000


class TooManyActionsError(InvalidModelError):
    """The set has more actions than the caller wants to list."""


@dataclass(frozen=True, eq=False)
class ActionColumns:
    """Where a program holds the action.

    Parameters
    ----------
    action : (N,) int64
        Columns of the components of the action.
    level : (J, L) int64
        Columns that are one where arm j feels level n; -1 for levels an arm does not have, and
        for level 0 of arms with two levels, where ``level[j, 1]`` is the action itself.
    """

    action: Ints
    level: Ints


class ActionSet(Protocol):
    """A finite set of 0-1 vectors of length N, and how the J arms feel each of them."""

    @property
    def n_actions(self) -> int:
        """Number of components of an action, N."""
        ...

    @property
    def n_arms(self) -> int:
        """Number of arms, J."""
        ...

    @property
    def n_levels(self) -> int:
        """Number of levels an arm can feel, L."""
        ...

    @property
    def most(self) -> int:
        """Upper bound on the number of ones of an action."""
        ...

    def levels(self, a: ArrayLike) -> Ints:
        """Return the level each arm feels, (..., J), for actions (..., N)."""
        ...

    def contains(self, a: ArrayLike) -> bool:
        """Tell whether an action is in the set; shares no code with `describe`."""
        ...

    def describe(self, builder: MipBuilder) -> ActionColumns:
        """Add columns and rows that hold exactly for the actions of the set."""
        ...

    def enumerate(self, limit: int = LIMIT) -> Actions:
        """Return all actions, (n, N); raises TooManyActionsError beyond the limit."""
        ...

    def sample(self, rng: np.random.Generator) -> Actions:
        """Draw one action, (N,)."""
        ...


@runtime_checkable
class Outlined(ActionSet, Protocol):
    """An action set with a smaller program that holds for its actions and for others.

    The set, and what its program describes without integrality, contain every smaller action.
    """

    def outline(self, builder: MipBuilder) -> ActionColumns:
        """Add columns and rows that hold for all actions of the set."""
        ...


def binary(a: ArrayLike, n: int) -> Actions:
    """Return an action as int8 after checking its shape and its entries.

    Raises
    ------
    InvalidModelError
        If it is not a 0-1 vector of length n.

    Examples
    --------
    >>> binary([0, 1, 1], 3)
    array([0, 1, 1], dtype=int8)
    """
    array = np.asarray(a)
    if array.shape != (n,):
        raise InvalidModelError(f"an action has shape {array.shape}; it must be ({n},)")
    if not np.isin(array, (0, 1)).all():
        at = int(np.flatnonzero(~np.isin(array, (0, 1)))[0])
        raise InvalidModelError(f"component {at} of the action is {array[at]}; give 0 or 1")
    return array.astype(np.int8)


def pulled(n_arms: int, action: Ints) -> ActionColumns:
    """Return the columns of a set whose components are the arms, pulled or not."""
    level = np.full((n_arms, 2), -1, dtype=np.int64)
    level[:, 1] = action
    return ActionColumns(action, level)


def require_few(n: float, limit: int) -> None:
    """Raise TooManyActionsError if a set has n actions or more, and n is beyond the limit."""
    if n > limit:
        raise TooManyActionsError(
            f"the set has more than {limit} actions; raise the limit, or solve programs instead "
            "of enumerating"
        )


def as_rows(chosen: list[Any], n: int, limit: int) -> Actions:
    """Return sets of components as 0-1 rows, sorted; raise beyond the limit."""
    require_few(len(chosen), limit)
    rows = np.zeros((len(chosen), n), dtype=np.int8)
    for i, members in enumerate(sorted(tuple(sorted(m)) for m in chosen)):
        rows[i, list(members)] = 1
    return rows
