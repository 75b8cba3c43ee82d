r"""Policies of coupled bandits that need no learning.

Problem
-------
Which action to take in a joint state, for problems far too large for exact values.

Algorithm
---------
Every policy here takes an action that maximises a sum of level weights, max_{a in C} sum_j
w_{j, level_j(a)}:

    myopic:        w = r_j(s_j, n)                                                           (1)
    fluid-priced:  w = r_j(s_j, n) + P_j(n) V_{j,h+1}, with V from the prices of the fluid
                   program; the prices themselves are left out, since C is respected as it is  (2)
    Whittle:       w = index_j(s_j) for a pull, 0 for none                                   (3)

or does without: idle, a random action, the best of K random actions by one-step reward.

Guarantee
---------
Actions are always in C. No bound on the loss; `fluid_bound` gives one afterwards.

Cost
----
One program over C for each distinct joint state, or one matrix product if C is enumerated.

Deviations
----------
(1)-(3) agree with xu2025 where that paper has them; iterative rules are in
`solvers.restless.iterative`.

References
----------
xu2025; whittle1988.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import NotApplicableError
from mdplib.optim.backends import Backend
from mdplib.restless.action_set import Actions, TooManyActionsError
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.border import joint, whole
from mdplib.restless.choice import best_action, has_rule
from mdplib.restless.simulation import JointPolicy
from solvers.restless.fluid import FluidBound, fluid_bound
from solvers.restless.whittle import whittle_indices

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weights = Callable[[int, Ints], Floats]
LISTED = 60_000
FEW = 1000  # actions that are compared faster, for many states at once, than a rule finds the best


@dataclass
class SeparablePolicy:
    """Takes the action of largest total weight; remembers what it has decided.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    weights : callable
        ``weights(h, s)`` maps joint states (n, J) to weights (n, J, L).
    stationary : bool
        Whether the weights do not depend on h.
    listed : (m, N) int8 array or None
        All actions, if they are to be compared one by one.
    backend, gap, time_limit
        As in `mdplib.optim.solve_mip`.
    """

    bandit: CoupledRestlessBandit
    weights: Weights
    stationary: bool
    listed: Actions | None
    backend: Backend = "highs"
    gap: float = 1e-6
    time_limit: float | None = None
    _known: dict[tuple[int, bytes], Actions] = field(default_factory=dict, repr=False)
    _hot: Floats | None = field(default=None, repr=False)

    def __call__(self, h: int, s: Ints) -> Actions:
        """Return actions (n, N) for joint states (n, J) at step h."""
        s = np.ascontiguousarray(joint(s, self.bandit.n_arms, self.bandit.arms.n_states))
        distinct, back = np.unique(s, axis=0, return_inverse=True)
        when = 0 if self.stationary else h
        keys = [(when, row.tobytes()) for row in distinct]
        new = [i for i, key in enumerate(keys) if key not in self._known]
        if new:
            found = self._decide(self.weights(h, distinct[new]))
            self._known.update({keys[i]: a for i, a in zip(new, found, strict=True)})
        return np.array([self._known[key] for key in keys], dtype=np.int8)[back.ravel()]

    def _decide(self, weights: Floats) -> list[Actions]:
        if self.listed is not None:
            return list(self.listed[self._compare(weights)])
        return [
            best_action(
                self.bandit.actions,
                w,
                backend=self.backend,
                gap=self.gap,
                time_limit=self.time_limit,
            ).action
            for w in weights
        ]

    def _compare(self, weights: Floats) -> Ints:
        """Return the first best row of `listed` for each weight matrix."""
        assert self.listed is not None
        L = self.bandit.actions.n_levels
        if self._hot is None:
            level = self.bandit.actions.levels(self.listed)
            hot = (level[:, :, None] == np.arange(1, L)).astype(np.float64)
            self._hot = hot.reshape(len(level), -1)
        gain = (weights[:, :, 1:L] - weights[:, :, :1]).reshape(len(weights), -1)
        hot = self._hot
        assert hot is not None
        return np.argmax(gain @ hot.T, axis=1)


def list_actions(bandit: CoupledRestlessBandit, limit: int = LISTED) -> Actions | None:
    """Return all actions, None if there are more than the limit, or than a few beside a rule."""
    try:
        return bandit.actions.enumerate(min(limit, FEW) if has_rule(bandit.actions) else limit)
    except TooManyActionsError:
        return None


def null_policy(bandit: CoupledRestlessBandit) -> JointPolicy:
    """Return the policy that never pulls.

    Raises
    ------
    NotApplicableError
        If doing nothing is not an action of the set.
    """
    nothing = np.zeros(bandit.actions.n_actions, dtype=np.int8)
    if not bandit.actions.contains(nothing):
        raise NotApplicableError(f"doing nothing is not in {bandit.actions!r}")
    return lambda h, s: np.tile(nothing, (len(s), 1))


def random_policy(bandit: CoupledRestlessBandit, rng: np.random.Generator) -> JointPolicy:
    """Return the policy that draws an action of the set in every state."""
    return lambda h, s: np.array([bandit.actions.sample(rng) for _ in s], dtype=np.int8)


def sampling_policy(
    bandit: CoupledRestlessBandit, rng: np.random.Generator, n: int = 100
) -> JointPolicy:
    """Return the policy that draws n >= 1 actions and takes the one of best one-step reward."""
    whole(n, "n", 1)

    def act(h: int, s: Ints) -> Actions:
        drawn = np.array([bandit.actions.sample(rng) for _ in range(n)], dtype=np.int8)
        rewards = bandit.reward(s[:, None, :], drawn[None, :, :])
        return drawn[np.argmax(rewards, axis=1)]

    return act


def myopic_policy(
    bandit: CoupledRestlessBandit,
    *,
    limit: int = LISTED,
    backend: Backend = "highs",
    gap: float = 1e-6,
    time_limit: float | None = None,
) -> SeparablePolicy:
    """Return the policy that maximises the expected reward of the next step, exactly.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    limit : int
        Sets with at most so many actions are enumerated, unless they have a rule of their own;
        others are left to a program.
    backend, gap, time_limit
        As in `mdplib.optim.solve_mip`.

    Returns
    -------
    SeparablePolicy

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.budget(3, 1, np.random.default_rng(0))
    >>> int(myopic_policy(bandit)(0, np.zeros((1, 3), dtype=int)).sum())
    1
    """
    weights = lambda h, s: bandit.level_rewards(s)  # (1)  # noqa: E731
    listed = list_actions(bandit, limit)
    return SeparablePolicy(bandit, weights, True, listed, backend, gap, time_limit)


def fluid_policy(
    bandit: CoupledRestlessBandit,
    bound: FluidBound | None = None,
    *,
    limit: int = LISTED,
    backend: Backend = "highs",
    gap: float = 1e-6,
    time_limit: float | None = None,
) -> SeparablePolicy:
    """Return the policy that looks ahead with the values of the fluid program.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    bound : FluidBound, optional
        Where the values come from, such as a `LagrangianBound`; computed if None.
    limit, backend, gap, time_limit
        As in `myopic_policy`.

    Returns
    -------
    SeparablePolicy

    Raises
    ------
    InvalidModelError
        If the bound is one of another bandit.

    Examples
    --------
    >>> from mdplib import restless
    >>> from mdplib.restless import simulate
    >>> bandit = restless.capacity(6, 2, np.random.default_rng(0))
    >>> priced, greedy = (
    ...     simulate(bandit, policy, 50, np.random.default_rng(1)).mean()
    ...     for policy in (fluid_policy(bandit), myopic_policy(bandit))
    ... )
    >>> bool(priced > greedy)
    True
    """
    listed = list_actions(bandit, limit)
    found = fluid_bound(bandit, backend=backend, listed=listed) if bound is None else bound
    found.check(bandit)
    arms = np.arange(bandit.n_arms)

    def weights(h: int, s: Ints) -> Floats:
        if not 0 <= h < bandit.horizon:
            raise NotApplicableError(f"step {h} is not one of 0..{bandit.horizon - 1}")
        return found.scores(bandit, h)[arms, s]  # (2)

    return SeparablePolicy(bandit, weights, False, listed, backend, gap, time_limit)


def whittle_policy(
    bandit: CoupledRestlessBandit,
    *,
    limit: int = LISTED,
    backend: Backend = "highs",
    gap: float = 1e-6,
    time_limit: float | None = None,
) -> SeparablePolicy:
    """Return the policy that maximises the sum of the Whittle indices of the pulled arms.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        Arms that are pulled or not, all of them indexable.
    limit, backend, gap, time_limit
        As in `myopic_policy`.

    Returns
    -------
    SeparablePolicy

    Raises
    ------
    NotApplicableError
        If some arm has more than two levels or is not indexable.
    """
    found = whittle_indices(bandit.arms, bandit.gamma)
    if not found.indexable.all():
        j = int(np.argmin(found.indexable))
        raise NotApplicableError(f"arm {j} is not indexable: there is no Whittle index for it")
    weights = np.zeros((bandit.n_arms, bandit.arms.n_states, 2))
    weights[:, :, 1] = found.index
    arms = np.arange(bandit.n_arms)
    by_state = lambda h, s: weights[arms, s]  # (3)  # noqa: E731
    listed = list_actions(bandit, limit)
    return SeparablePolicy(bandit, by_state, True, listed, backend, gap, time_limit)
