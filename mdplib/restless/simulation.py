"""Many episodes at once, with common random numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.border import whole

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
JointPolicy = Callable[[int, Ints], NDArray]
"""``policy(h, s)`` maps step and joint states (n, J) to actions (n, N)."""


def first_states(bandit: CoupledRestlessBandit, u: Floats) -> Ints:
    """Return the states at which the distribution functions of `initial` pass u, (n, J)."""
    reached = np.cumsum(bandit.initial, axis=1)[:, :-1]
    return (u[..., None] >= reached).sum(axis=-1)


def step(bandit: CoupledRestlessBandit, s: Ints, a: NDArray, u: Floats) -> Ints:
    """Return the next states.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    s : (n, J) int array
        Joint states.
    a : (n, N) array
        Actions.
    u : (n, J) array
        Uniform numbers: arm j moves to the state at which its distribution function passes u.

    Returns
    -------
    (n, J) int64
    """
    level = bandit.actions.levels(a)
    rows = bandit.arms.P[np.arange(bandit.n_arms), level, s]
    return (u[..., None] >= np.cumsum(rows, axis=-1)[..., :-1]).sum(axis=-1)


def simulate(
    bandit: CoupledRestlessBandit,
    policy: JointPolicy,
    episodes: int,
    rng: np.random.Generator,
    *,
    check: bool = False,
) -> Floats:
    """Return the expected one-step rewards along simulated episodes.

    The same generator state gives every policy the same uniform numbers: episode i, step h and
    arm j always use number (i, h, j).

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    policy : callable
        ``policy(h, s)`` maps step h and joint states (n, J) to actions (n, N).
    episodes : int
        Number of episodes, n.
    rng : numpy.random.Generator
        Source of the uniform numbers.
    check : bool
        Whether to test each distinct action for feasibility, independently of any program.

    Returns
    -------
    (n, H) float64
        Expected reward of each step, given the state and the action.

    Raises
    ------
    InvalidModelError
        If there is no episode, or the policy returns a wrong shape, entries that are neither 0
        nor 1, or, with `check`, an infeasible action.

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.capacity(4, 1, np.random.default_rng(0))
    >>> idle = lambda h, s: np.zeros((len(s), 4), dtype=np.int8)
    >>> simulate(bandit, idle, 3, np.random.default_rng(1)).shape
    (3, 20)
    """
    H, J, N = bandit.horizon, bandit.n_arms, bandit.actions.n_actions
    whole(episodes, "episodes", 1)
    u = rng.random((episodes, H + 1, J))
    s = first_states(bandit, u[:, 0])
    rewards = np.empty((episodes, H))
    allowed: dict[bytes, bool] = {}
    for h in range(H):
        a = np.asarray(policy(h, s))
        if a.shape != (episodes, N):
            raise InvalidModelError(
                f"the policy returned shape {a.shape} at step {h}; give ({episodes}, {N})"
            )
        off = np.argwhere((a != 0) & (a != 1))
        if len(off):
            i, k = (int(x) for x in off[0])
            raise InvalidModelError(
                f"at step {h} of episode {i} component {k} of the action is {a[i, k]} "
                f"({len(off)} such entries); give 0 or 1"
            )
        if check:
            _check(bandit, a, h, allowed)
        rewards[:, h] = bandit.reward(s, a)
        s = step(bandit, s, a, u[:, h + 1])
    return rewards


def _check(bandit: CoupledRestlessBandit, a: NDArray, h: int, allowed: dict[bytes, bool]) -> None:
    for action in np.unique(a, axis=0):
        key = action.tobytes()
        if key not in allowed:
            allowed[key] = bandit.actions.contains(action)
        if not allowed[key]:
            raise InvalidModelError(
                f"at step {h} the policy takes {np.flatnonzero(action).tolist()}, which is not in "
                f"{bandit.actions!r}"
            )
