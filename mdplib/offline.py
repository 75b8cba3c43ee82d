"""Offline data: transitions collected by a behaviour policy, and the model they suggest.

`mdplib.sampling.offline_dataset` collects them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import assembly, validate
from mdplib.errors import InvalidModelError
from mdplib.tabular import TabularMDP

if TYPE_CHECKING:
    from mdplib.assembly import ModelFields

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Counts = NDArray[np.int64]
Unvisited = Literal["error", "drop", "stay"]


@dataclass(frozen=True, eq=False, repr=False)
class OfflineData:
    """Transitions collected by a behaviour policy, episode after episode.

    Parameters
    ----------
    s, a, t : (N,) int32
        State, action identifier and successor of each transition.
    r : (N,) float64
        Reward.
    h : (N,) int32
        Step within its episode.
    pair : (N,) int32
        State-action pair k of the model that the data come from.

    Examples
    --------
    >>> from mdplib import StochasticPolicy, models, sampling
    >>> wood = models.forest()
    >>> uniform = StochasticPolicy.uniform(wood)
    >>> data = sampling.offline_dataset(wood, uniform, 20, 10, np.random.default_rng(0))
    >>> data, int(data.counts(wood).sum())
    (OfflineData(200 transitions), 200)
    """

    s: Ints
    a: Ints
    r: Floats
    t: Ints
    h: Ints
    pair: Ints

    def __post_init__(self):
        for name in ("s", "a", "t", "h", "pair"):
            column = validate.frozen(getattr(self, name), np.int32, name)
            object.__setattr__(self, name, column)
            if column.shape != self.s.shape:
                raise InvalidModelError(f"{name} has shape {column.shape}, s {self.s.shape}")
        object.__setattr__(self, "r", validate.frozen(self.r, np.float64, "r"))
        validate.vector(self.r, self.s.size, "r")

    def counts(self, mdp: TabularMDP) -> Counts:
        """Return how often each stored transition of `mdp` occurs, (nnz,) int64.

        Raises
        ------
        InvalidModelError
            If some transition is impossible in `mdp`.
        """
        return np.bincount(self._place(mdp), minlength=mdp.nnz).astype(np.int64)

    def step_counts(self, mdp: TabularMDP) -> Counts:
        """Return the counts of each step apart, (H, nnz) int64, for a finite horizon H.

        Raises
        ------
        InvalidModelError
            If the horizon is infinite, or some transition is impossible in `mdp`.
        """
        if mdp.horizon is None:
            raise InvalidModelError("the model has no horizon; use counts")
        shape = (mdp.horizon, mdp.nnz)
        key = self.h.astype(np.int64) * mdp.nnz + self._place(mdp)
        return np.bincount(key, minlength=mdp.horizon * mdp.nnz).astype(np.int64).reshape(shape)

    def _place(self, mdp: TabularMDP) -> Counts:
        """Return the position of each transition in ``mdp.indices``."""
        S, K = mdp.n_states, mdp.n_pairs
        owner = np.repeat(np.arange(K, dtype=np.int64), np.diff(mdp.indptr))
        key = owner * S + mdp.indices
        wanted = self.pair.astype(np.int64) * S + self.t
        place = np.minimum(np.searchsorted(key, wanted), mdp.nnz - 1)
        known = (self.pair >= 0) & (self.pair < K) & (self.t >= 0) & (self.t < S)
        known &= (key[place] == wanted) & (mdp.data[place] > 0)
        if mdp.horizon is not None:
            known &= (self.h >= 0) & (self.h < mdp.horizon)
        k = np.clip(self.pair, 0, K - 1)
        known &= (mdp.pair_state[k] == self.s) & (mdp.action_id[k] == self.a)
        validate.require(
            known,
            lambda i: (
                f"transition {i} (h={self.h[i]}, s={self.s[i]}, a={self.a[i]}, t={self.t[i]}) "
                "cannot happen in this model"
            ),
            "Use the model that the data were drawn from.",
            unit="transitions",
        )
        return place

    def model(self, mdp: TabularMDP, unvisited: Unvisited = "error") -> TabularMDP:
        """Return the empirical model: frequencies and mean rewards of the data.

        Parameters
        ----------
        mdp : TabularMDP
            Gives states, pairs, discount factor, horizon, initial law and labels.
        unvisited : {"error", "drop", "stay"}
            What happens to a pair that never occurs: refuse; leave the action out, which is
            refused where a state loses its last one; or let it stay in its state for reward 0.

        Returns
        -------
        TabularMDP
            With the observed transitions only.

        Raises
        ------
        InvalidModelError
            If a pair never occurs and `unvisited` does not cover it.
        """
        if unvisited not in get_args(Unvisited):
            raise InvalidModelError(
                f"unvisited is {unvisited!r}; one of {', '.join(get_args(Unvisited))} expected"
            )
        if mdp.reward.ndim == 2:
            raise InvalidModelError(
                "the rewards of this model change with the step, so their mean over the data means "
                "nothing; stack the model with TabularMDP.from_layers first"
            )
        counts, visits = pair_visits(mdp, self.counts(mdp))
        _check_visits(mdp, visits, unvisited)
        reward = np.bincount(self.pair, self.r, mdp.n_pairs) / np.maximum(visits, 1)
        return _rebuild(mdp, counts, visits, reward, unvisited)

    def __repr__(self) -> str:
        return f"OfflineData({self.s.size} transitions)"


def pair_visits(mdp: TabularMDP, counts: ArrayLike) -> tuple[Counts, Counts]:
    """Return checked counts of transitions, (nnz,), and their sums by pair, (K,).

    Raises
    ------
    InvalidModelError
        If `counts` does not have one count of at least 0 per stored transition, or a transition
        of probability zero was counted.
    """
    given = np.asarray(counts)
    if given.dtype.kind not in "iu" or given.shape != (mdp.nnz,):
        raise InvalidModelError(
            f"counts has dtype {given.dtype} and shape {given.shape}; one integer for each of the "
            f"{mdp.nnz} stored transitions expected"
        )
    given = given.astype(np.int64)
    validate.require(
        (given >= 0) & ((given == 0) | (mdp.data > 0)),
        lambda j: f"counts[{j}] is {given[j]} for a transition of probability {mdp.data[j]}",
        "Counts are at least 0, and impossible transitions do not occur.",
        unit="counts",
    )
    return given, np.add.reduceat(given, mdp.indptr[:-1])


def _check_visits(mdp: TabularMDP, visits: Counts, unvisited: Unvisited) -> None:
    """Raise if some pair was never visited and `unvisited` does not cover it."""
    if unvisited == "error":
        validate.require(
            visits > 0,
            lambda k: f"pair {k} (s={mdp.pair_state[k]}, a={mdp.action_id[k]}) never occurs",
            "Collect more data, or say what such pairs do: unvisited='drop' or 'stay'.",
            unit="pairs",
        )
    elif unvisited == "drop":
        validate.require(
            np.add.reduceat(visits, mdp.state_ptr[:-1]) > 0,
            lambda i: f"no action of state {i % mdp.n_states} occurs in the data",
            "Collect more data, or use unvisited='stay'.",
            unit="states",
        )


def _rebuild(
    mdp: TabularMDP, counts: Counts, visits: Counts, reward: Floats, unvisited: Unvisited
) -> TabularMDP:
    """Assemble the model of the observed frequencies."""
    S, K = mdp.n_states, mdp.n_pairs
    seen = np.flatnonzero(counts)
    row = np.repeat(np.arange(K), np.diff(mdp.indptr))[seen]
    column = mdp.indices[seen]
    p = counts[seen] / visits[row]
    kept = np.ones(K, dtype=bool)
    if unvisited == "drop":
        kept = visits > 0
    elif unvisited == "stay":
        idle = np.flatnonzero(visits == 0)
        row = np.concatenate([row, idle])
        column = np.concatenate([column, mdp.pair_state[idle]])
        p = np.concatenate([p, np.ones(idle.size)])
    step = np.repeat(np.arange(mdp.state_ptr.size - 1) // S, np.diff(mdp.state_ptr))
    fields: ModelFields = {
        "horizon": mdp.horizon,
        "terminal": mdp.terminal,
        "initial": mdp.initial,
        "state_labels": mdp.state_labels,
        "action_labels": mdp.action_labels,
    }
    return assembly.assemble(
        S,
        (mdp.pair_state[kept], mdp.action_id[kept]),
        ((np.cumsum(kept) - 1)[row], column, p),
        reward[kept],
        mdp.gamma,
        fields,
        None if mdp.stationary else step[kept],
    )
