"""Replay of transitions, drawn by priority."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdplib.restless.action_set import Actions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Replay:
    """The last transitions, each drawn with probability proportional to priority^alpha.

    Parameters
    ----------
    capacity : int
        How many are kept.
    alpha : float
        0 draws uniformly.
    beta : float
        Exponent of the weights that undo the preference, scaled to a largest weight of one.

    Examples
    --------
    >>> replay = Replay(2, 1.0, 0.5)
    >>> for h in range(3):
    ...     replay.add(h, np.array([h]), np.array([1]))
    >>> sorted(replay.steps[: len(replay)].tolist())
    [1, 2]
    """

    def __init__(self, capacity: int, alpha: float, beta: float):
        self.capacity, self.alpha, self.beta = capacity, alpha, beta
        self.priority = np.zeros(capacity)
        self.steps = np.zeros(capacity, dtype=np.int64)
        self.states: Ints | None = None
        self.actions: Actions | None = None
        self._next, self._size = 0, 0

    def __len__(self) -> int:
        return self._size

    def add(self, h: int, s: Ints, a: NDArray) -> None:
        """Add a transition with the largest priority so far."""
        if self.states is None or self.actions is None:
            self.states = np.zeros((self.capacity, len(s)), dtype=np.int64)
            self.actions = np.zeros((self.capacity, len(a)), dtype=np.int8)
        at = self._next
        self.priority[at] = self.priority.max() or 1.0
        self.steps[at], self.states[at], self.actions[at] = h, s, a
        self._next = (at + 1) % self.capacity
        self._size = min(self._size + 1, self.capacity)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints, Actions, Floats]:
        """Draw n transitions with replacement.

        Returns
        -------
        at : (n,) int64
            Their places, for `update`.
        h, s, a : arrays
            Steps (n,), states (n, J), actions (n, N).
        weight : (n,) float64
            Importance weights.
        """
        assert self.states is not None
        assert self.actions is not None
        law = self.priority[: self._size] ** self.alpha
        law = law / law.sum()
        at = rng.choice(self._size, size=n, p=law)
        weight = (self._size * law[at]) ** -self.beta
        return at, self.steps[at], self.states[at], self.actions[at], weight / weight.max()

    def update(self, at: Ints, error: Floats) -> None:
        """Set the priorities of transitions to the size of their errors."""
        self.priority[at] = error + 1e-6
