"""Offline data for linear models: pairs and successors by step, features in a table.

A data set holds n trajectories of at most H steps as two (H, n) arrays of indices, the pairs
played and the states reached; features and known rewards are looked up. 10**6 trajectories of
20 steps take 160 MB, whatever the dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.features import Features
from mdplib.linear import LinearMDP
from mdplib.linear_checks import check_rewards

if TYPE_CHECKING:
    from mdplib.offline import OfflineData
    from mdplib.policy import Policy
    from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


class Transitions(NamedTuple):
    """The distinct transitions of one step.

    `pair` and `next` are (m,) int32, `next` being -1 where the episode ends; `count`, (m,)
    int64, says how often each occurs.
    """

    pair: Ints
    next: Ints
    count: NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class LinearData:
    """Trajectories of a behaviour policy, by step.

    Parameters
    ----------
    features : Features
        Table of features; pairs and states are numbered as there.
    reward : (H, K) float64
        Known rewards.
    pair : (H, n) int32
        Pair played by each trajectory at each step; -1 once it is over.
    next : (H, n) int32
        State reached; -1 if the episode ended with this pair or before.

    Raises
    ------
    InvalidModelError
        If there is no transition at all, or an index is outside the model.

    Examples
    --------
    >>> from mdplib import models
    >>> five = models.five_state()
    >>> LinearData.collect(five, five.uniform, 100, np.random.default_rng(0))
    LinearData(100 trajectories, horizon 3, dimension 4)
    """

    features: Features
    reward: Floats
    pair: Ints
    next: Ints

    def __post_init__(self):
        for name in ("pair", "next"):
            value = validate.frozen(getattr(self, name), np.int32, name, (2,))
            object.__setattr__(self, name, value)
        features, H = self.features, self.pair.shape[0]
        reward: Any = np.asarray(self.reward)
        if reward.ndim == 1:
            reward = np.broadcast_to(reward, (H, reward.size))
        reward = validate.frozen(reward, np.float64, "reward", (2,))
        object.__setattr__(self, "reward", reward)
        if self.next.shape != self.pair.shape:
            raise InvalidModelError(
                f"next has shape {self.next.shape} and pair {self.pair.shape}; both are (H, n)"
            )
        if not self.pair.size or self.pair.max() < 0:
            raise InvalidModelError(
                f"the data hold no transition (pair has shape {self.pair.shape}); collect at least "
                "one trajectory"
            )
        if reward.shape != (H, features.n_pairs):
            raise InvalidModelError(
                f"reward has shape {reward.shape}; ({H}, {features.n_pairs}) expected"
            )
        check_rewards(features, reward)
        self._check_indices()

    def _check_indices(self) -> None:
        """Check pairs and states against the features, step by step to save memory."""
        features = self.features
        K, S, ends = features.n_pairs, features.n_states, features.ends
        for h in range(self.horizon):
            pair, after = self.pair[h], self.next[h]
            for name, index, end in (("pair", pair, K), ("next", after, S)):
                if index.min() < -1 or index.max() >= end:
                    what = "pairs" if name == "pair" else "states"
                    validate.require(
                        (index >= -1) & (index < end),
                        lambda i, n=name, x=index, e=end, w=what, h=h: (
                            f"{n}[h={h}, {i}] is {x[i]}, outside the {w} 0..{e - 1} of the model"
                        ),
                        "Number them as in the features; -1 means that the episode is over.",
                        unit="entries of that step",
                    )
            over = pair < 0
            if ends is not None:
                over = over | ends[pair]
            validate.require(
                over == (after < 0),
                lambda i, h=h: (
                    f"trajectory {i} plays pair {self.pair[h, i]} at step {h} and reaches state "
                    f"{self.next[h, i]}"
                ),
                "Every pair leads to a state, except those that end the episode, and -1, which "
                "lead to -1.",
                unit="trajectories",
            )

    # ---------------------------------------------------------- constructors

    @classmethod
    def collect(
        cls,
        mdp: LinearMDP | TabularMDP,
        behaviour: Policy,
        n: int,
        rng: np.random.Generator,
        features: Features | None = None,
        *,
        start: ArrayLike | None = None,
    ) -> LinearData:
        """Draw independent trajectories of a behaviour policy.

        Parameters
        ----------
        mdp : LinearMDP or TabularMDP
            The environment, with a finite horizon.
        behaviour : Policy
            The policy that collects.
        n : int
            Number of trajectories.
        rng : numpy.random.Generator
            Source of the draws.
        features : Features, optional
            For a tabular environment: one-hot by default. If they have one state less than the
            environment and pairs that end, the last state of the environment means "over".
        start : int or (n,) int array, optional
            First states; by default drawn from the initial law.

        Returns
        -------
        LinearData

        Raises
        ------
        InvalidModelError
            If n < 1, the horizon is infinite, or there is neither `start` nor an initial law.
        """
        from mdplib.linear_sampling import collect

        return cls(*collect(mdp, behaviour, n, rng, features, start))

    @classmethod
    def from_offline(
        cls,
        data: OfflineData,
        features: Features,
        reward: ArrayLike,
        *,
        horizon: int | None = None,
    ) -> LinearData:
        """Arrange the transitions of a tabular data set by step and episode.

        Parameters
        ----------
        data : OfflineData
            Episode after episode, each from step 0.
        features : Features
            Pairs are found by state and action. A successor that is one past the last state
            means "over" if the features have pairs that end.
        reward : (H, K) or (K,) array
            Known rewards.
        horizon : int, optional
            H, by default the longest episode.

        Returns
        -------
        LinearData

        Raises
        ------
        InvalidModelError
            If there are no data, an episode does not begin with step 0 or skips one, or a state
            or action is not in the features.
        """
        if not data.s.size:
            raise InvalidModelError("the data hold no transition; collect at least one trajectory")
        step = data.h
        before = np.concatenate([[-1], step[:-1]])
        validate.require(
            (step == 0) | ((step == before + 1) & (before >= 0)),
            lambda i: f"transition {i} has step {step[i]} after step {before[i]}",
            "Transitions come episode after episode, in the order of their steps from 0.",
            unit="transitions",
        )
        H = int(step.max()) + 1 if horizon is None else horizon
        if step.max() >= H:
            raise InvalidModelError(f"the data have step {step.max()}; horizon {H} is too short")
        here = (data.s != features.n_states) | (not features.has_ends)
        episode = np.cumsum(step == 0) - 1
        shape = (H, int(episode[-1]) + 1)
        pair, after = np.full(shape, -1, dtype=np.int32), np.full(shape, -1, dtype=np.int32)
        k = features.find(data.s[here], data.a[here])
        reached = data.t[here]
        if features.ends is not None:
            reached = np.where(features.ends[k], np.int32(-1), reached)
        place = step[here], episode[here]
        pair[place], after[place] = k, reached
        paid: Any = reward
        return cls(features, paid, pair, after)

    # ------------------------------------------------------------ quantities

    @property
    def horizon(self) -> int:
        """Number of steps H."""
        return self.pair.shape[0]

    @property
    def n_trajectories(self) -> int:
        """Number of trajectories n."""
        return self.pair.shape[1]

    @property
    def dimension(self) -> int:
        """Number of features d."""
        return self.features.dimension

    @cached_property
    def states(self) -> Ints:
        """State of each trajectory at each step, (H, n) int32; -1 once it is over."""
        found = np.where(self.pair >= 0, self.features.pair_state[self.pair], np.int32(-1))
        found.flags.writeable = False
        return found

    @cached_property
    def rewards_in_unit_interval(self) -> bool:
        """Whether every known reward lies in [0, 1], as most bounds assume."""
        return bool(self.reward.min() >= 0 and self.reward.max() <= 1)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each pair was played at each step, (H, K) int64."""
        K = self.features.n_pairs
        found = np.stack([np.bincount(row[row >= 0], minlength=K) for row in self.pair])
        found.flags.writeable = False
        return found

    def transitions(self, h: int) -> Transitions:
        """Return the distinct transitions of step h, in increasing order, and their counts."""
        self._check_step(h)
        live = self.pair[h] >= 0
        width = self.features.n_states + 1
        key = self.pair[h][live].astype(np.int64) * width + (self.next[h][live] + 1)
        found, count = np.unique(key, return_counts=True)
        pair, after = np.divmod(found, width)
        return Transitions(pair.astype(np.int32), (after - 1).astype(np.int32), count)

    def gram(self, h: int) -> Floats:
        """Return ``sum_tau phi_tau phi_tau^T`` of step h, (d, d), without a ridge."""
        self._check_step(h)
        phi, count = self.features.phi, self.counts[h]
        seen = np.flatnonzero(count)
        total = np.zeros((self.dimension, self.dimension))
        for first in range(0, seen.size, 65_536):
            k = seen[first : first + 65_536]
            total += (phi[k] * count[k, None]).T @ phi[k]
        return total

    def _check_step(self, h: int) -> None:
        if not 0 <= h < self.horizon:
            raise InvalidModelError(f"step {h} is outside the horizon 0..{self.horizon - 1}")

    # ------------------------------------------------------------ variations

    def subset(self, which: Any) -> LinearData:
        """Return some trajectories: a slice, indices (they may repeat), or a mask.

        Examples
        --------
        >>> from mdplib import models
        >>> five = models.five_state()
        >>> data = LinearData.collect(five, five.uniform, 10, np.random.default_rng(0))
        >>> data.subset(slice(0, 4)).n_trajectories, data.subset([0, 0, 1]).n_trajectories
        (4, 3)
        """
        return replace(self, pair=self.pair[:, which], next=self.next[:, which])

    @classmethod
    def concatenate(cls, parts: Sequence[LinearData]) -> LinearData:
        """Join data sets of equal features, rewards and horizon."""
        if not parts:
            raise InvalidModelError("there is nothing to join; at least one data set expected")
        first = parts[0]
        for i, part in enumerate(parts):
            same = part.features is first.features or part.features == first.features
            if not same or not np.array_equal(part.reward, first.reward):
                raise InvalidModelError(
                    f"data set {i} has other features or rewards than the first"
                )
        pair = np.concatenate([part.pair for part in parts], axis=1)
        after = np.concatenate([part.next for part in parts], axis=1)
        return cls(first.features, first.reward, pair, after)

    def __repr__(self) -> str:
        return (
            f"LinearData({self.n_trajectories} trajectories, horizon {self.horizon}, "
            f"dimension {self.dimension})"
        )
