"""The best action for separable weights: one linear problem over the action set."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError, MdplibError, SolverError
from mdplib.optim.backends import Backend, require_known, solve_mip
from mdplib.optim.builder import MipBuilder
from mdplib.optim.mip import MipArrays, MipStatus
from mdplib.restless.action_set import ActionColumns, Actions, ActionSet

Method = Literal["auto", "mip", "enumerate"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Choice:
    """An action, what it is worth, and what could at most be had.

    Parameters
    ----------
    action : (N,) int8
        The action.
    value : float
        Its value.
    bound : float
        Upper bound on the value of every action of the set.
    status : MipStatus
        OPTIMAL, or TIME_LIMIT if the action is the best found in time.
    """

    action: Actions
    value: float
    bound: float
    status: MipStatus

    @property
    def gap(self) -> float:
        """Relative gap between bound and value."""
        return max(0.0, self.bound - self.value) / max(1e-10, abs(self.value))


Template = tuple[MipArrays, ActionColumns]


def template(actions: ActionSet) -> Template:
    """Return the program of an action set without an objective, to be used for many weights."""
    builder = MipBuilder()
    columns = actions.describe(builder)
    return builder.arrays(), columns


def separable_program(
    actions: ActionSet, weights: ArrayLike, described: Template | None = None
) -> tuple[MipArrays, ActionColumns, float]:
    """Return the program that maximises a sum of level weights over an action set.

    Parameters
    ----------
    actions : ActionSet
        The set.
    weights : (J, L) array
        Worth of arm j at level n; columns beyond the levels of the set are ignored.
    described : optional
        ``template(actions)``, if it is at hand.

    Returns
    -------
    program : MipArrays
        To be minimised: minus the worth.
    columns : ActionColumns
        Where the action is.
    constant : float
        Worth that no action changes; it is part of the program's offset.

    Raises
    ------
    InvalidModelError
        If the weights have the wrong shape or are not finite.
    """
    w = _finite(actions, weights)
    arrays, columns = template(actions) if described is None else described
    cost = np.zeros(arrays.c.size)
    base = np.where(columns.level[:, 0] < 0, w[:, 0], 0.0)
    for n in range(actions.n_levels):
        has = columns.level[:, n] >= 0
        cost[columns.level[has, n]] -= (w[:, n] - base)[has]
    program = MipArrays(
        cost,
        arrays.A,
        arrays.row_lower,
        arrays.row_upper,
        arrays.col_lower,
        arrays.col_upper,
        arrays.integer,
        -float(base.sum()),
    )
    return program, columns, float(base.sum())


def maximised(actions: ActionSet, weights: ArrayLike) -> Actions | None:
    """Return the best action by a rule of the set itself, None if it knows none.

    Parameters
    ----------
    actions : ActionSet
        Asked for ``maximise(gain)``, where it has such a method: the action of the largest sum of
        gains (N,) of pulled arms, or None; or for ``maximise_levels(weights)`` if arms have more
        than two levels.
    weights : (J, L) array
        Worth of arm j at level n.

    Examples
    --------
    >>> from mdplib.restless import Budget
    >>> maximised(Budget(3, 1), [[0, 1], [0, 3], [0, 2]])
    array([0, 1, 0], dtype=int8)
    """
    by_level = getattr(actions, "maximise_levels", None)
    if by_level is not None:
        return by_level(_finite(actions, weights))
    rule = getattr(actions, "maximise", None)
    if rule is None:
        return None
    w = _finite(actions, weights)
    return rule(w[:, 1] - w[:, 0])


def approximated(actions: ActionSet, weights: ArrayLike) -> Choice | None:
    """Return a good action and a bound by a rule of the set, None if it knows none.

    Parameters
    ----------
    actions : ActionSet
        Asked for ``approximate(gain)``, where it has such a method: an action of a large sum of
        gains (N,) of pulled arms, and an upper bound on the sum of every action.
    weights : (J, L) array
        Worth of arm j at level n.

    Returns
    -------
    Choice or None
        Its status is TIME_LIMIT, as for any action that was found and not proven best.
    """
    rule = getattr(actions, "approximate", None)
    if rule is None:
        return None
    w = _finite(actions, weights)
    action, bound = rule(w[:, 1] - w[:, 0])
    value = float(worth(actions, w, action))
    return Choice(action, value, max(value, float(w[:, 0].sum()) + bound), MipStatus.TIME_LIMIT)


def has_rule(actions: ActionSet) -> bool:
    """Tell whether the set finds its best action itself, so that nothing need be listed."""
    return maximised(actions, np.zeros((actions.n_arms, actions.n_levels))) is not None


def _finite(actions: ActionSet, weights: ArrayLike) -> Floats:
    """Return weights (J, L) after a check of shape and entries."""
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 2 or w.shape[0] != actions.n_arms or w.shape[1] < actions.n_levels:
        raise InvalidModelError(
            f"weights have shape {w.shape}; give ({actions.n_arms}, {actions.n_levels})"
        )
    if not np.isfinite(w).all():
        j, n = (int(i[0]) for i in np.nonzero(~np.isfinite(w)))
        raise InvalidModelError(f"weights[{j}, {n}] is {w[j, n]}; give finite weights")
    return w


def worth(actions: ActionSet, weights: ArrayLike, a: ArrayLike) -> Floats:
    """Return the sum over arms of the weight at the level they feel, for actions (..., N)."""
    w = np.asarray(weights, dtype=np.float64)
    level = actions.levels(a)
    return w[np.arange(actions.n_arms), level].sum(axis=-1)


def best_action(
    actions: ActionSet,
    weights: ArrayLike,
    method: Method = "auto",
    *,
    listed: Actions | None = None,
    described: Template | None = None,
    backend: Backend = "highs",
    gap: float = 1e-6,
    time_limit: float | None = None,
) -> Choice:
    """Return an action of the set of largest worth.

    Parameters
    ----------
    actions : ActionSet
        The set.
    weights : (J, L) array
        Worth of arm j at level n.
    method : {"auto", "mip", "enumerate"}
        How it is found: "auto" asks the set for a rule of its own (`Budget`, `Walks`), and solves a
        program if it has none, or one that is not good enough for the gap.
    listed : (n, N) int8 array, optional
        All actions, if they have been enumerated before.
    described : optional
        ``template(actions)``, if it is at hand: saves describing the set again.
    backend, gap, time_limit
        As in `mdplib.optim.solve_mip`. No program is begun after the time limit if a rule of the
        set has found an action.

    Returns
    -------
    Choice
        Ties go to the first action of the enumeration.

    Raises
    ------
    SolverError
        If the set is empty, or the time limit strikes before any action is found.
    MdplibError
        If the method is unknown.

    Examples
    --------
    >>> from mdplib.restless import Budget
    >>> best_action(Budget(3, 1), [[0, 1], [0, 3], [0, 2]]).action
    array([0, 1, 0], dtype=int8)
    """
    if method == "enumerate":
        rows = actions.enumerate() if listed is None else listed
        if not len(rows):
            raise SolverError("the action set is empty; relax its constraints")
        values = worth(actions, _finite(actions, weights), rows)
        at = int(np.argmax(values))
        value = float(values[at])
        return Choice(rows[at], value, value, MipStatus.OPTIMAL)
    if method not in ("auto", "mip"):
        raise MdplibError(f"no method {method!r}; one of {get_args(Method)}")
    require_known(backend)
    began = time.perf_counter()
    chosen = maximised(actions, weights) if method == "auto" else None
    if chosen is not None:
        value = float(worth(actions, weights, chosen))
        return Choice(chosen, value, value, MipStatus.OPTIMAL)
    tried = approximated(actions, weights) if method == "auto" else None
    if tried is not None and tried.gap <= gap:
        return replace(tried, status=MipStatus.OPTIMAL)
    left = None if time_limit is None else time_limit - (time.perf_counter() - began)
    if tried is not None and left is not None and left <= 0.0:
        return tried
    program, columns, _ = separable_program(actions, weights, described)
    found = solve_mip(program, backend, gap=gap, time_limit=left)
    if tried is not None and found.x is None:
        return tried
    action = np.round(found.require()[columns.action]).astype(np.int8)
    value = float(worth(actions, weights, action))
    choice = Choice(action, value, -found.bound, found.status)
    if tried is None:
        return choice
    bound = min(choice.bound, tried.bound)
    best = tried if tried.value > value else choice
    return Choice(best.action, best.value, max(bound, best.value), found.status)
