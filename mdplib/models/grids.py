"""Grid worlds: reach the goal through walls, with a floor that may be slippery.

Definition. The states are the cells that are not walls, row by row. The actions 0..3 are up,
right, down, left. The agent moves in the chosen direction with probability 1 - 2*slip and in each
of the two perpendicular ones with probability slip; a move into a wall or over the edge leaves it
where it is. Every action in a cell that is not a goal pays `step_reward`, and `goal_reward` on
top when it enters a goal. Goals are absorbing and pay nothing.

Without slip and with the default rewards, V*(s) = -(1 - gamma**d) / (1 - gamma) for a cell at d
moves from the nearest goal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdplib.assembly import ModelFields
from mdplib.errors import InvalidModelError
from mdplib.models import arguments
from mdplib.models.tabulate import tabulate
from mdplib.tabular import TabularMDP

_DIRECTIONS = ((-1, 0), (0, 1), (1, 0), (0, -1))
_ACTIONS = ("up", "right", "down", "left")


def gridworld(
    text: str,
    *,
    slip: float = 0.0,
    step_reward: float = -1.0,
    goal_reward: float = 0.0,
    gamma: float = 0.99,
    horizon: int | None = None,
) -> TabularMDP:
    """Build a grid world from a map.

    Parameters
    ----------
    text : str
        One line per row, all of one length: ``#`` wall, ``.`` free, ``S`` start, ``G`` goal.
        Lines are stripped of surrounding blanks and empty ones skipped. Without an S the first
        state is uniform over the cells that are not goals.
    slip : float
        Probability of each perpendicular move, 0 <= slip <= 1/2.
    step_reward, goal_reward : float
        Rewards of a step and of entering a goal.
    gamma : float
        Discount factor.
    horizon : int, optional
        Finite horizon.

    Returns
    -------
    TabularMDP
        With labels ``row,column``.

    Raises
    ------
    InvalidModelError
        On lines of different lengths, an unknown sign, or no cell outside the goals.

    Examples
    --------
    >>> room = gridworld('''
    ...     S.#
    ...     ..G
    ... ''', gamma=0.9)
    >>> room.n_states, room.state_labels[-1]
    (5, '1,2')
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for y, line in enumerate(lines):
        if len(line) != len(lines[0]):
            raise InvalidModelError(
                f"row {y} of the map has {len(line)} cells, row 0 has {len(lines[0])}; "
                "all rows have the same length"
            )
        for x, sign in enumerate(line):
            if sign not in "#.SG":
                raise InvalidModelError(
                    f"cell {y},{x} of the map is {sign!r}; '#', '.', 'S' or 'G' expected"
                )
    cells = np.array([list(line) for line in lines])
    if not np.isin(cells, [".", "S"]).any():
        raise InvalidModelError("the map has no cell to start from; mark some with '.' or 'S'")
    free, goal = cells != "#", cells == "G"
    start = cells == "S"
    names = [f"{y},{x}" for y, x in np.argwhere(free).tolist()]
    return _build(
        free,
        goal,
        start if start.any() else free & ~goal,
        arguments.number(slip, "slip", 0.0, 0.5),
        (step_reward, goal_reward),
        gamma,
        {"horizon": horizon, "state_labels": names, "action_labels": _ACTIONS},
    )


def maze(
    n: int,
    rng: np.random.Generator,
    *,
    wall: float = 0.25,
    slip: float = 0.1,
    step_reward: float = -1.0,
    goal_reward: float = 0.0,
    gamma: float = 0.99,
    horizon: int | None = None,
    labels: bool = False,
) -> TabularMDP:
    """Draw an n x n grid world whose goal is the last cell.

    Every cell is a wall with probability `wall`, independently, except the first and the last
    one. Cells from which the goal cannot be reached are walled up, so every state has a way to
    the goal. The first state is uniform over those that are not the goal.

    Parameters
    ----------
    n : int
        Side of the grid, at least 2.
    rng : numpy.random.Generator
        Source of the walls: one uniform number per cell.
    wall : float
        Probability of a wall, 0 <= wall <= 1.
    slip, step_reward, goal_reward, gamma, horizon
        As in `gridworld`.
    labels : bool
        Label the states ``row,column``; costs memory on large grids.

    Returns
    -------
    TabularMDP
        The goal is the last state.

    Raises
    ------
    InvalidModelError
        If a parameter is out of range, or the goal happens to be walled in.

    Examples
    --------
    >>> maze(20, np.random.default_rng(1), gamma=0.99).n_actions
    4
    """
    from scipy import ndimage

    n = arguments.count(n, "n", 2)
    free = rng.random((n, n)) >= arguments.number(wall, "wall", 0.0, 1.0)
    free[0, 0] = free[-1, -1] = True
    component = ndimage.label(free)[0]  # pyright: ignore[reportIndexIssue]
    free = component == component[-1, -1]
    goal = np.zeros_like(free)
    goal[-1, -1] = True
    if free.sum() == 1:
        raise InvalidModelError("the goal is walled in; lower wall or draw again")
    fields: ModelFields = {"horizon": horizon, "action_labels": _ACTIONS}
    if labels:
        fields["state_labels"] = [f"{y},{x}" for y, x in np.argwhere(free).tolist()]
    return _build(
        free,
        goal,
        free & ~goal,
        arguments.number(slip, "slip", 0.0, 0.5),
        (step_reward, goal_reward),
        gamma,
        fields,
    )


def _build(
    free: NDArray[np.bool_],
    goal: NDArray[np.bool_],
    start: NDArray[np.bool_],
    slip: float,
    rewards: tuple[float, float],
    gamma: float,
    fields: ModelFields,
) -> TabularMDP:
    """Build from masks of the cells."""
    number = np.full(free.shape, -1, dtype=np.int64)
    S = int(free.sum())
    number[free] = s = np.arange(S)
    y, x = np.nonzero(free)
    final = goal[free]
    targets = []
    for dy, dx in _DIRECTIONS:
        t = number[
            np.clip(y + dy, 0, free.shape[0] - 1),
            np.clip(x + dx, 0, free.shape[1] - 1),
        ]
        targets.append(np.where(final | (t < 0), s, t))
    moves = []
    enters = np.zeros((S, 4))
    for a in range(4):
        for direction, p in ((a, 1 - 2 * slip), ((a + 1) % 4, slip), ((a + 3) % 4, slip)):
            t = targets[direction]
            moves.append((a, t, p))
            enters[:, a] += p * final[t]
    step_reward, goal_reward = rewards
    reward = step_reward + goal_reward * enters
    reward[final] = 0.0
    fields["initial"] = start[free] / start.sum()
    return tabulate(moves, reward, gamma, fields)
