r"""Samples of grouped models: a group is asked for, an action is drawn, a successor and a reward.

Problem
-------
A generative model of the original process, and a grouping: what does the high-level agent see?

Algorithm
---------
For each state and group K actions are drawn by mu, and for each of them a successor by P and a
reward that is 1 with probability r(s, a) and 0 otherwise. Only how often each successor came, with
and without reward, is kept: multinomial and binomial numbers, drawn at once for many repetitions.

Samples of single actions can be pooled instead, so that one data set serves a whole family of
groupings: with n samples of every action, mu = uniform, a group of c actions has c n of them. For
any other mu the means of the actions are weighted by it,

    P^(t | s, h) = sum_a mu(a | s, h) P^(t | s, a),   r^ likewise,                           (1)

which is worth (sum_a mu(a)^2 / n(a))^-1 samples of the group.

Guarantee
---------
Counts have exactly the law of K independent draws, the dependence of successor and reward by way
of the action included. S m K samples are used, not one more. (1) is unbiased for every mu, and
Hoeffding's inequality gives it the width of as many independent samples as it is worth.

Cost
----
One multinomial draw per state-action pair and repetition, whatever K.

Deviations
----------
None.

References
----------
After li2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.grouping.grouping import Grouping
from mdplib.grouping.lifting import LowLevelPolicy, checked
from mdplib.grouping.weights import check_rewards
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GroupSamples:
    """What was seen of a grouped model, in one or several repetitions.

    Parameters
    ----------
    counts : (..., S, m, S) int64
        Transitions seen.
    paid : (..., S, m, S) int64
        Transitions seen together with a reward of 1.
    """

    counts: Ints
    paid: Ints

    @property
    def n(self) -> Ints:
        """Number of samples of each state and group, (..., S, m)."""
        return self.counts.sum(axis=-1)

    @property
    def total(self) -> int:
        """Number of samples of one repetition."""
        shape = self.counts.shape[-3:]
        return int(self.counts.reshape(-1, *shape)[0].sum())

    def model(self) -> tuple[Floats, Floats]:
        """Return the empirical kernels (..., S, m, S) and rewards (..., S, m).

        Raises
        ------
        InvalidModelError
            If some state and group has no sample.
        """
        n = self.n
        if (n == 0).any():
            s, h = (int(i) for i in np.argwhere(n == 0)[0][-2:])
            raise InvalidModelError(
                f"group {h} of state {s} has no sample; raise the budget or use fewer groups"
            )
        return self.counts / n[..., None], self.paid.sum(axis=-1) / n

    def backup(self, V: Floats, gamma: float) -> tuple[Floats, Floats]:
        """Return mean and unbiased variance of reward plus discounted value, each (..., S, m).

        Parameters
        ----------
        V : (..., S) array
            A value that does not depend on these samples.
        gamma : float
            Discount.

        Returns
        -------
        mean, variance : (..., S, m) float64
            At least two samples of each state and group are needed for the variance.
        """
        ahead = gamma * V[..., None, None, :]
        n = self.n
        unpaid = self.counts - self.paid
        mean = (unpaid * ahead + self.paid * (1.0 + ahead)).sum(axis=-1) / n
        centre = mean[..., None]
        spread = unpaid * (ahead - centre) ** 2 + self.paid * (1.0 + ahead - centre) ** 2
        return mean, spread.sum(axis=-1) / np.maximum(n - 1, 1)


def draw(
    mdp: TabularMDP,
    grouping: Grouping,
    n: int,
    rng: np.random.Generator,
    *,
    mu: LowLevelPolicy | None = None,
    repetitions: int | None = None,
) -> GroupSamples:
    """Sample every state and group n times.

    Parameters
    ----------
    mdp : TabularMDP
        The model, rewards in [0, 1], every group present in every state.
    grouping : Grouping
        The groups.
    n : int
        Samples K of each state and group, at least one.
    rng : numpy.random.Generator
        Source of randomness.
    mu : LowLevelPolicy, optional
        How actions are chosen; uniformly by default.
    repetitions : int, optional
        Independent data sets, as the first axis of the result.

    Returns
    -------
    GroupSamples

    Raises
    ------
    InvalidModelError
        If n < 1 or a state lacks a group.
    NotApplicableError
        If a reward is outside [0, 1].

    Examples
    --------
    >>> from mdplib import models
    >>> mdp = models.tree_mdp(np.random.default_rng(0))
    >>> draw(mdp, Grouping.tree(1, 6), 10, np.random.default_rng(1)).total
    120
    """
    if n < 1:
        raise InvalidModelError(
            f"the budget gives {n} samples for each state and group; at least one is needed: "
            "raise it or use fewer groups"
        )
    check_rewards(mdp)
    mu = checked(mdp, grouping, mu)
    if mdp.reward.ndim == 2:
        raise InvalidModelError("rewards change with the step; sample the model of each step")
    S, m, R = mdp.n_states, grouping.n_groups, 1 if repetitions is None else repetitions
    counts = np.zeros((R, S, m, S), dtype=np.int64)
    paid = np.zeros((R, S, m, S), dtype=np.int64)
    for s in range(S):
        pairs = np.arange(mdp.state_ptr[s], mdp.state_ptr[s + 1])
        for h in range(m):
            own = pairs[mu.group[pairs] == h]
            if own.size == 0:
                raise InvalidModelError(f"state {s} has no action of group {h}")
            taken = rng.multinomial(n, _law(mu.weight[own]), size=R)
            for k, times in zip(own, taken.T, strict=True):
                part = slice(mdp.indptr[k], mdp.indptr[k + 1])
                seen = rng.multinomial(times, _law(mdp.data[part]))
                counts[:, s, h, mdp.indices[part]] += seen
                paid[:, s, h, mdp.indices[part]] += rng.binomial(seen, mdp.reward[k])
    one = repetitions is None
    return GroupSamples(counts[0] if one else counts, paid[0] if one else paid)


def draw_actions(
    mdp: TabularMDP, n: int, rng: np.random.Generator, *, repetitions: int | None = None
) -> GroupSamples:
    """Sample every action of every state n times: each action is a group of its own."""
    return draw(mdp, Grouping.singletons(int(mdp.action_id.max()) + 1), n, rng,
                repetitions=repetitions)  # fmt: skip


def pooled(samples: GroupSamples, grouping: Grouping) -> GroupSamples:
    """Pool the samples of single actions by group.

    Parameters
    ----------
    samples : GroupSamples
        Of `draw_actions`, equally many of each action.
    grouping : Grouping
        The groups, the same in all states.

    Returns
    -------
    GroupSamples
        What choosing each action of a group equally often gives.
    """
    if grouping.is_state_dependent:
        raise InvalidModelError("pooling needs a grouping that is the same in all states")
    onto = np.zeros((grouping.n_groups, grouping.n_actions), dtype=np.int64)
    onto[grouping.of, np.arange(grouping.n_actions)] = 1
    return GroupSamples(
        np.einsum("ga,...sat->...sgt", onto, samples.counts),
        np.einsum("ga,...sat->...sgt", onto, samples.paid),
    )


def reweighted(
    samples: GroupSamples, grouping: Grouping, w: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Return the model (1) from samples of single actions, for mu in proportion to a base measure.

    Parameters
    ----------
    samples : GroupSamples
        Of `draw_actions`; one data set serves all groupings and all base measures.
    grouping : Grouping
        The groups, the same in all states or one partition per state.
    w : (A,) or (S, A) array_like
        Weight of each action, at least 0, positive for some action of every group.

    Returns
    -------
    P : (..., S, m, S) float64
        Kernels.
    r : (..., S, m) float64
        Rewards.
    worth : (..., S, m) float64
        Independent samples of the group with the same width by Hoeffding's inequality.

    Raises
    ------
    InvalidModelError
        If shapes do not fit, a group has no weight, or an action that has some has no sample.

    Examples
    --------
    >>> from mdplib import models
    >>> mdp = models.tree_mdp(np.random.default_rng(0), n_levels=2)
    >>> seen = draw_actions(mdp, 8, np.random.default_rng(1))
    >>> P, r, worth = reweighted(seen, Grouping.one(4), [1.0, 1.0, 2.0, 0.0])
    >>> P.shape, worth[0].round(3)
    ((6, 1, 6), array([21.333]))
    """
    S, A = samples.counts.shape[-3:-1]
    if grouping.n_actions != A or grouping.of.shape[:-1] not in ((), (S,)):
        raise InvalidModelError(
            f"the samples are of {S} states and {A} actions, the grouping has shape "
            f"{grouping.of.shape}; samples of single actions expected"
        )
    base = np.asarray(w, dtype=np.float64)
    if base.shape not in ((A,), (S, A)):
        raise InvalidModelError(f"w has shape {base.shape}; ({A},) or ({S}, {A}) expected")
    base, of = np.broadcast_to(base, (S, A)), np.broadcast_to(grouping.of, (S, A))
    validate.require(
        np.isfinite(base) & (base >= 0.0),
        lambda i: f"w is {base.flat[i]} at action {i % A} of state {i // A}",
        "Weights are finite and at least 0.",
    )
    m = grouping.n_groups
    mu = base[:, None, :] * (of[:, None, :] == np.arange(m)[:, None])  # (s, h, a)
    sums = mu.sum(axis=-1)
    validate.require(
        sums > 0.0,
        lambda i: f"the weights of group {i % m} in state {i // m} are all zero",
        "Give some action of every group a positive weight.",
    )
    mu /= sums[..., None]
    n = samples.n
    played = mu.sum(axis=1) > 0.0
    validate.require(
        (n.reshape(-1, S, A) > 0).all(axis=0) | ~played,
        lambda i: f"action {i % A} of state {i // A} has no sample",
        "Raise the budget.",
    )
    least = np.maximum(n, 1)
    P = np.einsum("sha,...sat->...sht", mu, samples.counts / least[..., None])  # (1)
    r = np.einsum("sha,...sa->...sh", mu, samples.paid.sum(axis=-1) / least)  # (1)
    return P, r, 1.0 / np.einsum("sha,...sa->...sh", mu**2, 1.0 / least)


def _law(p: Floats) -> Floats:
    """Return probabilities whose sum cannot exceed one by rounding."""
    return p / max(float(p.sum()), 1.0) if p.size > 1 else np.ones(1)
