"""Groupings of actions: which actions a high-level agent cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.tabular import TabularMDP

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False, init=False)
class Grouping:
    """A partition of the actions, the same in all states or one per state.

    Parameters
    ----------
    of : (A,) or (S, A) int array
        Group of each action, numbered from 0 with no number left out; -1 where a state has no
        such action (second form only).

    Raises
    ------
    InvalidModelError
        If an action has no group, or a number of a group is not used.

    Examples
    --------
    >>> pairs = Grouping([0, 0, 1, 1])
    >>> pairs.n_groups, pairs.members(1)
    (2, array([2, 3]))
    >>> Grouping([0, 2])
    Traceback (most recent call last):
    ...
    mdplib.errors.InvalidModelError: group 1 has no action. Number the groups from 0, without gaps.
    """

    of: Ints

    def __init__(self, of: ArrayLike):
        of = validate.frozen(of, np.int32, "of", (1, 2))
        object.__setattr__(self, "of", of)
        least = -1 if of.ndim == 2 else 0
        if of.size == 0:
            raise InvalidModelError("a grouping of no actions; give each action its group")
        if of.min() < least:
            at = tuple(int(i) for i in np.argwhere(of < least)[0])
            where = f"action {at[0]}" if of.ndim == 1 else f"action {at[1]} of state {at[0]}"
            raise InvalidModelError(f"{where} is in group {of[at]}; groups are numbered from 0")
        used = np.bincount(of[of >= 0].ravel(), minlength=1)
        if (used == 0).any():
            raise InvalidModelError(
                f"group {int(np.flatnonzero(used == 0)[0])} has no action. Number the groups from "
                "0, without gaps."
            )

    @classmethod
    def from_members(cls, members: Sequence[Sequence[int]], n_actions: int) -> Grouping:
        """Build from the list of the actions of each group.

        Raises
        ------
        InvalidModelError
            If an action is missing, repeated or unknown.

        Examples
        --------
        >>> Grouping.from_members([[0, 2], [1]], 3).of
        array([0, 1, 0], dtype=int32)
        >>> Grouping.from_members([[0, 2], [2]], 3)
        Traceback (most recent call last):
        ...
        mdplib.errors.InvalidModelError: action 2 is in groups 0 and 1; each action has one group
        """
        of = np.full(n_actions, -1, dtype=np.int32)
        for h, actions in enumerate(members):
            if len(actions) == 0:
                raise InvalidModelError(f"group {h} has no action; leave it out")
            for a in actions:
                if not (isinstance(a, (int, np.integer)) and 0 <= a < n_actions):
                    raise InvalidModelError(f"group {h} has action {a}; there are {n_actions}")
                if of[a] >= 0:
                    raise InvalidModelError(
                        f"action {a} is in groups {of[a]} and {h}; each action has one group"
                    )
                of[a] = h
        if (of < 0).any():
            raise InvalidModelError(
                f"action {int(np.flatnonzero(of < 0)[0])} is in no group; put it into one"
            )
        return cls(of)

    @classmethod
    def singletons(cls, n_actions: int) -> Grouping:
        """Put every action into a group of its own."""
        return cls(np.arange(n_actions, dtype=np.int32))

    @classmethod
    def one(cls, n_actions: int) -> Grouping:
        """Put all actions into one group."""
        return cls(np.zeros(n_actions, dtype=np.int32))

    @classmethod
    def contiguous(cls, sizes: Sequence[int]) -> Grouping:
        """Put the first actions into group 0, the next ones into group 1, by their sizes.

        Examples
        --------
        >>> Grouping.contiguous([1, 3]).of
        array([0, 1, 1, 1], dtype=int32)
        """
        for h, size in enumerate(sizes):
            if size < 1:
                raise InvalidModelError(f"group {h} has size {size}; at least 1 expected")
        return cls(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes))

    @classmethod
    def tree(cls, level: int, n_levels: int) -> Grouping:
        """Group 2**n_levels actions by their first `level` bits.

        Examples
        --------
        >>> Grouping.tree(1, 2).of
        array([0, 0, 1, 1], dtype=int32)
        """
        if not 0 <= level <= n_levels:
            raise InvalidModelError(f"level {level} is outside 0..{n_levels}")
        return cls((np.arange(1 << n_levels) >> (n_levels - level)).astype(np.int32))

    @cached_property
    def n_groups(self) -> int:
        """Number of groups m."""
        return int(self.of.max()) + 1

    @property
    def n_actions(self) -> int:
        """Number of actions A."""
        return self.of.shape[-1]

    @property
    def is_state_dependent(self) -> bool:
        """Whether every state has its own partition."""
        return self.of.ndim == 2

    def members(self, h: int, s: int | None = None) -> NDArray[np.int64]:
        """Return the actions of group h, in state s if the grouping depends on it.

        Raises
        ------
        InvalidModelError
            If there is no such group, or the state is needed and not given.
        """
        if not 0 <= h < self.n_groups:
            raise InvalidModelError(f"there is no group {h}; they are 0..{self.n_groups - 1}")
        if self.is_state_dependent and s is None:
            raise InvalidModelError("the grouping depends on the state; say which, with s=")
        row = self.of[s] if self.is_state_dependent else self.of
        return np.flatnonzero(row == h)

    def pairs(self, mdp: TabularMDP) -> Ints:
        """Return the group of each state-action pair of a model, (K,) int32.

        Raises
        ------
        InvalidModelError
            If the grouping has no group for an action of the model.
        """
        if not self.is_state_dependent:
            if mdp.action_id.max() >= self.n_actions:
                raise InvalidModelError(
                    f"the model has action {int(mdp.action_id.max())} and the grouping "
                    f"{self.n_actions} actions"
                )
            return self.of[mdp.action_id]
        if self.of.shape[0] != mdp.n_states or mdp.action_id.max() >= self.n_actions:
            raise InvalidModelError(
                f"the grouping has {self.of.shape[0]} states and {self.n_actions} actions, the "
                f"model {mdp.n_states} and {int(mdp.action_id.max()) + 1}"
            )
        group = self.of[mdp.pair_state, mdp.action_id]
        if group.min() < 0:
            k = int(np.flatnonzero(group < 0)[0])
            raise InvalidModelError(
                f"action {mdp.action_id[k]} of state {mdp.pair_state[k]} has no group"
            )
        return group

    def refines(self, other: Grouping) -> bool:
        """Tell whether every group lies within a group of the other.

        Raises
        ------
        InvalidModelError
            If they are groupings of other actions or states.

        Examples
        --------
        >>> Grouping([0, 1, 2, 2]).refines(Grouping([0, 0, 1, 1]))
        True
        """
        if self.n_actions != other.n_actions or (
            self.is_state_dependent and other.is_state_dependent and len(self.of) != len(other.of)
        ):
            raise InvalidModelError(
                f"groupings of shapes {self.of.shape} and {other.of.shape} do not compare"
            )
        fine, coarse = np.broadcast_arrays(self.of, other.of)
        for f, c in zip(np.atleast_2d(fine), np.atleast_2d(coarse), strict=True):
            for h in np.unique(f[f >= 0]):
                if np.unique(c[f == h]).size > 1:
                    return False
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grouping):
            return NotImplemented
        return np.array_equal(self.of, other.of)

    def __hash__(self) -> int:
        return hash((self.of.shape, self.of.tobytes()))

    def __repr__(self) -> str:
        own = ", one partition per state" if self.is_state_dependent else ""
        return f"Grouping({self.n_actions} actions in {self.n_groups} groups{own})"


def as_groups(of: ArrayLike) -> Grouping:
    """Return a grouping from any labels, renumbered in the order of first use.

    Parameters
    ----------
    of : (A,) or (S, A) array_like
        Labels; negative numbers in the second form mean that a state has no such action.

    Returns
    -------
    Grouping

    Examples
    --------
    >>> as_groups([7, 7, 3]).of
    array([0, 0, 1], dtype=int32)
    """
    labels = np.asarray(of)
    out = np.full(labels.shape, -1, dtype=np.int32)
    number = labels.dtype.kind in "if" and labels.ndim == 2
    there = labels >= 0 if number else np.ones(labels.shape, dtype=bool)
    _, first, inverse = np.unique(labels[there], return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int32)
    rank[np.argsort(first, kind="stable")] = np.arange(first.size, dtype=np.int32)
    out[there] = rank[inverse]
    return Grouping(out)
