"""Random streams, simulated episodes, generative samples and offline data sets.

Episodes are drawn side by side. In each step every episode takes one uniform number for its action
and one for its successor, whatever the policy; so two policies run from equal generators meet the
same noise (common random numbers), and a run is determined by the seed alone.

Rewards are the model's expected rewards: no noise is added to them.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels, validate
from mdplib.errors import InvalidModelError
from mdplib.offline import Counts, OfflineData, pair_visits
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


class Streams(NamedTuple):
    """Independent generators for the four uses of randomness in an experiment."""

    instance: np.random.Generator
    env: np.random.Generator
    algorithm: np.random.Generator
    evaluation: np.random.Generator


def streams(entropy: int, *key: int | str) -> Streams:
    """Return the random streams of one place in a tree of experiments.

    Parameters
    ----------
    entropy : int
        Root of the tree, at least 0.
    *key : int or str
        Path in the tree, for instance the name of an experiment and the number of a replicate.
        Integers lie in 0..2**32-1; a string stands for its CRC-32.

    Returns
    -------
    Streams
        Stream i has the seed sequence of entropy `entropy` and spawn key ``(*key, i)``. Equal
        arguments give equal streams; nothing else is shared.

    Raises
    ------
    InvalidModelError
        If an integer is out of range.

    Examples
    --------
    >>> a, b = streams(7, "toy", 0), streams(7, "toy", 0)
    >>> a.env.random() == b.env.random(), a.env.random() == a.algorithm.random()
    (True, False)
    """
    spawn = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    for i, part in enumerate(spawn):
        if not 0 <= part < 2**32:
            raise InvalidModelError(f"key[{i}] is {part}; an integer from 0 to 2**32 - 1 expected")
    if entropy < 0:
        raise InvalidModelError(f"entropy is {entropy}; at least 0 expected")
    return Streams(
        *(
            np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(*spawn, i)))
            for i in range(len(Streams._fields))
        )
    )


@dataclass(frozen=True, eq=False, repr=False)
class Trajectories:
    """n episodes of equal length.

    Parameters
    ----------
    states, actions, pairs : (n, length) int32
        State, action identifier and state-action pair k of each step.
    rewards : (n, length) float64
        Expected reward of each pair.
    final : (n,) int32
        State reached by the last step.
    terminal : (n,) float64
        Terminal reward of `final` where the episodes run to the model's horizon, else 0.
    gamma : float
        Discount factor of the model.
    """

    states: Ints
    actions: Ints
    pairs: Ints
    rewards: Floats
    final: Ints
    terminal: Floats
    gamma: float

    def __post_init__(self):
        for name in ("states", "actions", "pairs", "rewards", "final", "terminal"):
            getattr(self, name).flags.writeable = False

    @property
    def successors(self) -> Ints:
        """State reached by each step, (n, length)."""
        return np.concatenate([self.states[:, 1:], self.final[:, None]], axis=1)

    def returns(self, gamma: float | None = None) -> Floats:
        """Return the discounted sum of the rewards of each episode.

        Parameters
        ----------
        gamma : float, optional
            Discount factor, by default the model's.

        Returns
        -------
        (n,) float64
            ``sum_h gamma**h r_h + gamma**length * terminal``.
        """
        g = self.gamma if gamma is None else gamma
        length = self.rewards.shape[1]
        return self.rewards @ g ** np.arange(length) + g**length * self.terminal

    def __repr__(self) -> str:
        n, length = self.states.shape
        return f"Trajectories({n} episodes of {length} steps)"


def rollout(
    mdp: TabularMDP,
    policy: Policy,
    n: int,
    length: int | None,
    rng: np.random.Generator,
    *,
    start: ArrayLike | None = None,
) -> Trajectories:
    """Simulate n episodes of a policy.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    policy : Policy
        The policy; a Markov policy is asked for its step h.
    n : int
        Number of episodes.
    length : int or None
        Steps per episode, at most the horizon; None stands for the horizon.
    rng : numpy.random.Generator
        Source of the draws.
    start : int or (n,) int array, optional
        First states; by default drawn from the model's initial law.

    Returns
    -------
    Trajectories

    Raises
    ------
    InvalidModelError
        If `length` exceeds the horizon, or there is neither `start` nor an initial law.

    Examples
    --------
    >>> from mdplib import StochasticPolicy, models
    >>> sea = models.deep_sea(5)
    >>> rollout(sea, StochasticPolicy.uniform(sea), 100, None, np.random.default_rng(0))
    Trajectories(100 episodes of 5 steps)
    """
    length = _check_length(mdp, length)
    s = _first_states(mdp, n, start, rng)
    states, pairs = np.empty((n, length), np.int32), np.empty((n, length), np.int32)
    rewards = np.empty((n, length))
    weights = None
    for step in range(length):
        h = 0 if mdp.horizon is None else step
        layer = mdp.layer(h)
        for_action, for_successor = rng.random((2, n))
        present = policy.at(step) if isinstance(policy, MarkovPolicy) else policy
        if isinstance(present, DeterministicPolicy):
            k = present.pair[s]
        else:
            if weights is None or present is not policy or not mdp.stationary:
                weights = np.ascontiguousarray(present.weights(mdp, h), dtype=np.float64)
            k = _draw(layer.state_ptr, weights, s, for_action)
        states[:, step], pairs[:, step] = s, k
        rewards[:, step] = layer.reward[k]
        s = layer.indices[_draw(layer.indptr, layer.data, k, for_successor)]
    paid = np.zeros(n)
    if mdp.terminal is not None and length == mdp.horizon:
        paid = mdp.terminal[s]
    return Trajectories(states, mdp.action_id[pairs], pairs, rewards, s, paid, mdp.gamma)


def generative_counts(mdp: TabularMDP, n: ArrayLike, rng: np.random.Generator) -> Counts:
    """Sample n successors of every pair, independently, and count them.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    n : int or (K,) int array
        Samples per pair, at least 0.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    (nnz,) int64
        How often each stored transition was drawn: the counts of pair k are multinomial with the
        row's probabilities divided by their sum. Transitions of probability zero count 0.

    Examples
    --------
    >>> from mdplib import models
    >>> counts = generative_counts(models.forest(), 10, np.random.default_rng(0))
    >>> np.add.reduceat(counts, models.forest().indptr[:-1])
    array([10, 10, 10, 10, 10, 10])
    """
    K = mdp.n_pairs
    wanted = np.asarray(n)
    if wanted.dtype.kind not in "iu" or wanted.shape not in ((), (K,)) or np.any(wanted < 0):
        raise InvalidModelError(f"n is {n!r}; a count, or one for each of the {K} pairs, expected")
    wanted = np.broadcast_to(wanted, K)
    possible = np.flatnonzero(mdp.data)
    ptr = np.searchsorted(possible, mdp.indptr)
    size = np.diff(ptr)
    counts = np.zeros(mdp.nnz, dtype=np.int64)
    for m in np.unique(size):
        k = np.flatnonzero(size == m)
        place = possible[ptr[k][:, None] + np.arange(m)]
        p = mdp.data[place]
        p /= p.sum(axis=1, keepdims=True)
        counts[place] = rng.multinomial(wanted[k], p)
    return counts


def plugin_model(mdp: TabularMDP, counts: ArrayLike) -> TabularMDP:
    """Return the certainty-equivalent model: observed frequencies in place of probabilities.

    Parameters
    ----------
    mdp : TabularMDP
        Gives everything but the probabilities: rows, rewards, discount factor, horizon, labels.
    counts : (nnz,) int array
        How often each stored transition was seen, as from `generative_counts`.

    Returns
    -------
    TabularMDP
        On the same rows; transitions never seen keep their place with probability 0.

    Raises
    ------
    InvalidModelError
        If a pair was never sampled; no row is made up for it.

    Examples
    --------
    >>> from mdplib import models
    >>> plugin_model(models.forest(), [1, 3, 4, 2, 2, 4, 0, 4, 4]).data[:5]
    array([0.25, 0.75, 1.  , 0.5 , 0.5 ])
    """
    counts, visits = pair_visits(mdp, counts)
    state, action = mdp.pair_state, mdp.action_id
    validate.require(
        visits > 0,
        lambda k: f"pair {k} (s={state[k]}, a={action[k]}) was never sampled",
        "Sample every pair, or use OfflineData.model, which has options for such pairs.",
        unit="pairs",
    )
    return mdp.replace(data=counts / np.repeat(visits, np.diff(mdp.indptr)))


def offline_dataset(
    mdp: TabularMDP,
    behaviour: Policy,
    n_episodes: int,
    length: int | None,
    rng: np.random.Generator,
    *,
    start: ArrayLike | None = None,
) -> OfflineData:
    """Collect the transitions of a behaviour policy.

    Parameters
    ----------
    mdp, n_episodes, length, rng, start
        As in `rollout`.
    behaviour : Policy
        The policy that collects.

    Returns
    -------
    OfflineData
        Of ``n_episodes * length`` transitions, episode after episode.
    """
    runs = rollout(mdp, behaviour, n_episodes, length, rng, start=start)
    steps = np.arange(runs.states.shape[1], dtype=np.int32)
    return OfflineData(
        s=runs.states.ravel(),
        a=runs.actions.ravel(),
        r=runs.rewards.ravel(),
        t=runs.successors.ravel(),
        h=np.tile(steps, n_episodes),
        pair=runs.pairs.ravel(),
    )


def _check_length(mdp: TabularMDP, length: int | None) -> int:
    """Return the number of steps of an episode."""
    length = mdp.horizon if length is None else length
    if length is None:
        raise InvalidModelError("the model has no horizon; say how long the episodes are")
    if length < 0 or (mdp.horizon is not None and length > mdp.horizon):
        most = "" if mdp.horizon is None else f", and at most the horizon {mdp.horizon},"
        raise InvalidModelError(f"length is {length}; at least 0{most} expected")
    return length


def _first_states(
    mdp: TabularMDP, n: int, start: ArrayLike | None, rng: np.random.Generator
) -> Ints:
    """Return or draw the first state of each episode."""
    if n < 1:
        raise InvalidModelError(f"n is {n}; at least one episode expected")
    if start is None:
        if mdp.initial is None:
            raise InvalidModelError(
                "the model has no initial law; pass start, or use mdp.replace(initial=...)"
            )
        ptr = np.array([0, mdp.n_states], dtype=np.int32)
        return _draw(ptr, mdp.initial, np.zeros(n, dtype=np.int32), rng.random(n))
    s = validate.frozen(start, np.int32, "start", (0, 1))
    if s.shape not in ((), (n,)):
        raise InvalidModelError(f"start has shape {s.shape}; one state, or ({n},), expected")
    s = np.array(np.broadcast_to(s, n))
    validate.require(
        (s >= 0) & (s < mdp.n_states),
        lambda i: f"start[{i}] is {s[i]}, outside the states 0..{mdp.n_states - 1}",
        "Number the states from 0.",
    )
    return s


def _draw(ptr: Any, weight: Any, row: Any, uniform: Any) -> Ints:
    """Draw one position of each row by inversion."""
    out = np.empty(row.size, dtype=np.int32)
    _kernels.simulation.draw(ptr, weight, np.ascontiguousarray(row), uniform, out)
    return out
