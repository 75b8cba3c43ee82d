"""The coupled restless bandit: arms, an action set, a horizon and a first state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.restless.action_set import ActionSet
from mdplib.restless.arms import Arms
from mdplib.restless.border import joint, whole

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class CoupledRestlessBandit:
    """Arms that move independently, given an action from a joint set.

    Parameters
    ----------
    arms : Arms
        Transition laws and expected rewards of the J arms at each level.
    actions : ActionSet
        Which joint actions there are, and the levels that the arms feel.
    initial : (J, S) array
        Law of the first state of each arm, independent over arms.
    horizon : int
        Number of steps of an episode.
    gamma : float
        Discount factor of the discounted criterion.

    Raises
    ------
    InvalidModelError
        If the parts do not fit together.

    Examples
    --------
    >>> from mdplib.restless import Budget
    >>> from mdplib.restless.arms import ladder
    >>> arms = ladder(np.array([[0.1, 0.8]] * 2), np.array([[0.0, 1.0]] * 2))
    >>> bandit = CoupledRestlessBandit(arms, Budget(2, 1), np.array([[1.0, 0.0]] * 2), horizon=3)
    >>> float(bandit.reward([0, 0], [1, 0]))
    0.9
    """

    arms: Arms
    actions: ActionSet
    initial: Floats
    horizon: int = 20
    gamma: float = 0.99

    def __post_init__(self):
        initial = validate.frozen(self.initial, np.float64, "initial", (2,))
        object.__setattr__(self, "initial", initial)
        if not isinstance(self.arms, Arms) or not hasattr(self.actions, "describe"):
            kinds = f"{type(self.arms).__name__} and {type(self.actions).__name__}"
            raise InvalidModelError(f"arms and actions are {kinds}; give Arms and an action set")
        J, S = self.arms.n_arms, self.arms.n_states
        if self.actions.n_arms != J:
            raise InvalidModelError(
                f"the action set speaks of {self.actions.n_arms} arms and there are {J}"
            )
        if self.actions.n_levels > self.arms.n_levels:
            raise InvalidModelError(
                f"the action set has {self.actions.n_levels} levels and the arms "
                f"{self.arms.n_levels}; give the arms a law for each level"
            )
        if initial.shape != (J, S):
            raise InvalidModelError(f"initial has shape {initial.shape}; give ({J}, {S})")
        off = (initial.min(axis=1) < 0) | ~(np.abs(initial.sum(axis=1) - 1) <= 1e-9)
        if off.any():
            j = int(np.argmax(off))
            raise InvalidModelError(
                f"initial[{j}] sums to {initial[j].sum():.12g} ({int(off.sum())} rows are off); "
                "give probability laws"
            )
        whole(self.horizon, "horizon", 1)
        if not 0 <= self.gamma < 1:
            raise InvalidModelError(f"gamma {self.gamma}; give a discount factor in [0, 1)")

    @property
    def n_arms(self) -> int:
        """Number of arms."""
        return self.arms.n_arms

    def level_rewards(self, s: ArrayLike) -> Floats:
        """Return the expected one-step reward of each arm at each level.

        Parameters
        ----------
        s : (..., J) int array
            Joint states.

        Returns
        -------
        (..., J, L) float64
        """
        s = joint(s, self.n_arms, self.arms.n_states)
        return np.moveaxis(self.arms.r, 1, 2)[np.arange(self.n_arms), s]

    def reward(self, s: ArrayLike, a: ArrayLike) -> Floats:
        """Return the expected one-step reward of joint states (..., J) and actions (..., N)."""
        s = joint(s, self.n_arms, self.arms.n_states)
        level = self.actions.levels(a)
        if (
            level.shape[-1:] != (self.n_arms,)
            or not 0 <= level.min(initial=0) <= level.max(initial=0) < self.arms.n_levels
        ):
            raise InvalidModelError(
                f"actions of shape {np.shape(a)} with entries up to {np.max(a, initial=0)}; give "
                f"0-1 vectors of length {self.actions.n_actions}"
            )
        level, s = np.broadcast_arrays(level, s)
        return self.arms.r[np.arange(self.n_arms), level, s].sum(axis=-1)

    def __repr__(self) -> str:
        states = f"{self.n_arms} arms of {self.arms.n_states} states"
        return f"CoupledRestlessBandit({states}, {self.actions!r}, horizon {self.horizon})"
