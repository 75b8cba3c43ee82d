"""Random streams, simulated trajectories, generative samples and offline data sets.

Everything random draws from a `numpy.random.Generator` handed in. `streams` derives independent
generators from one root seed and a key, so that who draws first never matters.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels, validate
from mdplib.errors import InvalidModelError
from mdplib.policy import Policy
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


class Streams(NamedTuple):
    """Independent generators, one per purpose.

    Algorithms that share `instance` and `environment` see the same problem and the same noise.
    """

    instance: np.random.Generator
    environment: np.random.Generator
    algorithm: np.random.Generator
    evaluation: np.random.Generator


def streams(entropy: int, *key: int | str) -> Streams:
    """Derive the generators that belong to a key.

    Parameters
    ----------
    entropy : int
        Root seed.
    *key : int or str
        What the streams are for, such as an experiment's name and a replicate.

    Returns
    -------
    Streams

    Examples
    --------
    >>> a, b = streams(0, "study", 1), streams(0, "study", 2)
    >>> bool(a.instance.random() == streams(0, "study", 1).instance.random())
    True
    >>> bool(a.environment.random() == b.environment.random())
    False
    """
    numbers = [zlib.crc32(k.encode()) if isinstance(k, str) else int(k) for k in key]
    return Streams(
        *(
            np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(*numbers, purpose)))
            for purpose in range(len(Streams._fields))
        )
    )


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Simulated episodes of equal length.

    Parameters
    ----------
    states : (n, length + 1) int32
        States visited, the last one included.
    pairs, actions : (n, length) int32
        State-action pairs and action identifiers.
    rewards : (n, length) float64
        Expected rewards of the pairs.
    """

    states: Ints
    pairs: Ints
    actions: Ints
    rewards: Floats

    def returns(self, gamma: float) -> Floats:
        """Return the (n,) discounted sums of rewards."""
        return self.rewards @ gamma ** np.arange(self.rewards.shape[1])


def rollout(
    mdp: TabularMDP,
    policy: Policy,
    n: int,
    length: int,
    rng: np.random.Generator,
    start: ArrayLike | None = None,
) -> Trajectories:
    """Simulate n episodes at once.

    Parameters
    ----------
    mdp : TabularMDP
        The model; with a finite horizon `length` may not exceed it.
    policy : Policy
        How actions are chosen.
    n, length : int
        Number of episodes and of steps in each.
    rng : numpy.random.Generator
        Source of randomness.
    start : (n,) int array, optional
        First states; drawn from the initial law by default.

    Returns
    -------
    Trajectories

    Raises
    ------
    InvalidModelError
        If there is neither an initial law nor `start`, or `length` exceeds the horizon.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import StochasticPolicy
    >>> mdp = TabularMDP.from_dense([[[0.0, 1.0]], [[1.0, 0.0]]], [[1.0], [0.0]], 0.5)
    >>> rng = np.random.default_rng(0)
    >>> rollout(mdp, StochasticPolicy.uniform(mdp), 1, 3, rng, start=[0]).states
    array([[0, 1, 0, 1]], dtype=int32)
    """
    if mdp.horizon is not None and length > mdp.horizon:
        raise InvalidModelError(f"length is {length} and the horizon {mdp.horizon}; shorten it")
    states = np.empty((n, length + 1), dtype=np.int32)
    states[:, 0] = _first_states(mdp, n, rng) if start is None else np.asarray(start)
    pairs = np.empty((n, length), dtype=np.int32)
    rewards = np.empty((n, length))
    for h in range(length):
        pairs[:, h] = policy.pairs(states[:, h], rng, h)
        rewards[:, h] = mdp.layer(h).reward[pairs[:, h]]
        chosen, after = pairs[:, h].copy(), np.empty(n, dtype=np.int32)
        _kernels.simulation.successors(
            mdp.indptr, mdp.indices, mdp.data, chosen, rng.random(n), after
        )
        states[:, h + 1] = after
    return Trajectories(states, pairs, mdp.action_id[pairs], rewards)


def generative_counts(mdp: TabularMDP, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw n successors of every pair and count them.

    Parameters
    ----------
    mdp : TabularMDP
        The model that is sampled.
    n : int
        Samples per state-action pair, at least 1.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (nnz,) int64
        Count of each stored transition; those of a pair sum to n.

    Examples
    --------
    >>> import numpy as np
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], 0.5)
    >>> counts = generative_counts(mdp, 10, np.random.default_rng(0))
    >>> int(counts[:2].sum()), int(counts[2])
    (10, 10)
    """
    if n < 1:
        raise InvalidModelError(f"n is {n}; at least one sample per pair expected")
    # Binomial draws, one transition of every pair at a time: exact, and vectorised over pairs.
    width = np.diff(mdp.indptr)
    counts = np.zeros(mdp.nnz, dtype=np.int64)
    left = np.full(mdp.n_pairs, n, dtype=np.int64)
    mass = np.add.reduceat(mdp.data, mdp.indptr[:-1])
    for i in range(int(width.max())):
        rows = np.flatnonzero(width > i)
        j = mdp.indptr[rows] + i
        last = width[rows] == i + 1
        share = np.divide(mdp.data[j], mass[rows], out=np.zeros(rows.size), where=mass[rows] > 0)
        share[last] = 1.0
        counts[j] = rng.binomial(left[rows], np.clip(share, 0.0, 1.0))
        left[rows] -= counts[j]
        mass[rows] = np.maximum(mass[rows] - mdp.data[j], 0.0)
    return counts


def plugin_model(mdp: TabularMDP, counts: ArrayLike) -> TabularMDP:
    """Return the model whose transition law is the empirical one.

    Parameters
    ----------
    mdp : TabularMDP
        The model that was sampled; its rewards are kept.
    counts : (nnz,) int array
        Count of each stored transition of `mdp`, at least one per pair.

    Returns
    -------
    TabularMDP

    Raises
    ------
    InvalidModelError
        If a pair was never sampled.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], 0.5)
    >>> plugin_model(mdp, [3, 1, 4]).data
    array([0.75, 0.25, 1.  ])
    """
    counts = np.asarray(counts)
    if counts.shape != (mdp.nnz,):
        raise InvalidModelError(f"counts has shape {counts.shape}; ({mdp.nnz},) expected")
    total = np.add.reduceat(counts, mdp.indptr[:-1])
    validate.require(
        total > 0,
        lambda k: f"pair {k} (state {mdp.pair_state[k]}, action {mdp.action_id[k]}) has no sample",
        "Sample every pair, or leave the pair out of the model.",
        unit="pairs",
    )
    return mdp.replace(data=counts / np.repeat(total, np.diff(mdp.indptr)))


@dataclass(frozen=True, eq=False)
class OfflineData:
    """Transitions recorded under a behaviour policy.

    Parameters
    ----------
    h, s, a, t : (N,) int32
        Step, state, action and next state.
    r : (N,) float64
        Reward.
    pair : (N,) int32
        State-action pair in the model that was recorded.
    """

    h: Ints
    s: Ints
    a: Ints
    r: Floats
    t: Ints
    pair: Ints

    def __len__(self) -> int:
        return self.s.size

    def counts(self, mdp: TabularMDP) -> NDArray[np.int64]:
        """Count each stored transition of `mdp`, the model that was recorded.

        Returns
        -------
        (nnz,) int64
        """
        key = np.repeat(np.arange(mdp.n_pairs), np.diff(mdp.indptr)) * mdp.n_states + mdp.indices
        seen = self.pair.astype(np.int64) * mdp.n_states + self.t
        return np.bincount(np.searchsorted(key, seen), minlength=mdp.nnz)


def offline_dataset(
    mdp: TabularMDP, behaviour: Policy, n: int, length: int, rng: np.random.Generator
) -> OfflineData:
    """Record n episodes under a behaviour policy.

    Parameters
    ----------
    mdp : TabularMDP
        The model, with an initial law.
    behaviour : Policy
        How actions were chosen.
    n, length : int
        Number of episodes and of steps in each.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    OfflineData
        n * length transitions, episode by episode.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import StochasticPolicy
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], 0.5,
    ...                             initial=[1.0, 0.0])
    >>> uniform, rng = StochasticPolicy.uniform(mdp), np.random.default_rng(0)
    >>> data = offline_dataset(mdp, uniform, n=5, length=4, rng=rng)
    >>> len(data), int(data.counts(mdp).sum())
    (20, 20)
    """
    seen = rollout(mdp, behaviour, n, length, rng)
    return OfflineData(
        np.tile(np.arange(length, dtype=np.int32), n),
        seen.states[:, :-1].ravel(),
        seen.actions.ravel(),
        seen.rewards.ravel(),
        seen.states[:, 1:].ravel(),
        seen.pairs.ravel(),
    )


def _first_states(mdp: TabularMDP, n: int, rng: np.random.Generator) -> Ints:
    if mdp.initial is None:
        raise InvalidModelError("the model has no initial law; set initial= or give start=")
    return rng.choice(mdp.n_states, size=n, p=mdp.initial / mdp.initial.sum()).astype(np.int32)
