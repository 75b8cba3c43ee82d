r"""Low-level policies, and the decision process that the high-level agent sees.

Problem
-------
The agent chooses a group h of actions; a fixed low-level policy mu(a | s, h) chooses the action.
What does the agent face?

Algorithm
---------
Another decision process, with the groups as its actions:

    P_mu(t | s, h) = sum_a mu(a | s, h) P(t | s, a),  r_mu(s, h) = sum_a mu(a | s, h) r(s, a).  (1)

Rows are summed in one pass over the stored transitions, equal successors merged.

Guarantee
---------
A policy pi over groups has in the lifted model the value that the composed policy
mu(a | s, g(a)) pi(g(a) | s) has in the original one, up to rounding of the sums (1).

Cost
----
Time linear in the number of transitions, plus sorting the successors of each new row.

Deviations
----------
The grouping may depend on the state.

References
----------
After Li, Ju and Shroff (2024), li2024; the statement for any mu is derived.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.grouping.grouping import Grouping
from mdplib.policy import DeterministicPolicy, StochasticPolicy
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class LowLevelPolicy:
    """How an action is chosen within a group.

    Parameters
    ----------
    weight : (K,) float64
        mu(a | s, g(a)) of each state-action pair.
    group : (K,) int32
        Group of each pair.
    state_ptr : (S+1,) int32
        First pair of each state.

    Raises
    ------
    InvalidModelError
        If the weights of some group in some state do not sum to one.

    Examples
    --------
    >>> from mdplib import models
    >>> mdp = models.garnet(3, 4, 2, np.random.default_rng(0), 0.9)
    >>> LowLevelPolicy.uniform(mdp, Grouping([0, 0, 0, 1])).weight[:4]
    array([0.33333333, 0.33333333, 0.33333333, 1.        ])
    """

    weight: Floats
    group: Ints
    state_ptr: Ints

    def __post_init__(self):
        weight = validate.frozen(self.weight, np.float64, "weight")
        group = validate.frozen(self.group, np.int32, "group")
        state_ptr = validate.frozen(self.state_ptr, np.int32, "state_ptr")
        if not weight.size == group.size == state_ptr[-1]:
            raise InvalidModelError(
                f"{weight.size} weights, {group.size} groups and {state_ptr[-1]} state-action "
                "pairs; one weight and one group of each pair expected"
            )
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "group", group)
        object.__setattr__(self, "state_ptr", state_ptr)
        validate.require(
            np.isfinite(weight) & (weight >= 0.0),
            lambda k: f"weight[{k}] is {weight[k]}",
            "Probabilities are finite and at least 0.",
        )
        row, m = self._rows()
        sums = np.bincount(row, weight, minlength=int(row.max()) + 1)
        present = np.bincount(row, minlength=sums.size) > 0
        validate.require(
            ~present | (np.abs(sums - 1.0) <= _TOLERANCE),
            lambda i: f"the weights of group {i % m} in state {i // m} sum to {sums[i]:.12g}",
            "Divide them by their sum.",
            unit="groups",
        )

    def _rows(self) -> tuple[NDArray[np.int64], int]:
        """Return the number s m + h of each pair, and m."""
        m = int(self.group.max()) + 1
        state = np.repeat(np.arange(self.state_ptr.size - 1), np.diff(self.state_ptr))
        return state * m + self.group, m

    @classmethod
    def uniform(cls, mdp: TabularMDP, grouping: Grouping) -> LowLevelPolicy:
        """Choose uniformly among the actions of the group."""
        return cls._in_proportion(mdp, grouping, np.ones(mdp.n_pairs))

    @classmethod
    def from_base(cls, mdp: TabularMDP, grouping: Grouping, w: ArrayLike) -> LowLevelPolicy:
        """Choose in proportion to a base measure.

        Parameters
        ----------
        mdp : TabularMDP
            The model.
        grouping : Grouping
            The groups.
        w : (A,), (S, A) or (K,) array_like
            Weight of each action, of each action in each state, or of each state-action pair; in
            every group of every state some weight is positive.

        Raises
        ------
        InvalidModelError
            If a shape or weight is wrong, or (A,) and (K,) both fit and differ.
        """
        base = _per_pair(mdp, grouping, np.asarray(w, dtype=np.float64))
        return cls._in_proportion(mdp, grouping, base)

    @classmethod
    def _in_proportion(cls, mdp: TabularMDP, grouping: Grouping, base: Floats) -> LowLevelPolicy:
        """Divide the weights of the pairs by their sum in each group of each state."""
        validate.require(
            np.isfinite(base) & (base >= 0.0),
            lambda k: f"w[{k}] is {base[k]}",
            "Weights are finite and at least 0.",
        )
        group = grouping.pairs(mdp)
        m = grouping.n_groups
        row = mdp.pair_state.astype(np.int64) * m + group
        sums = np.bincount(row, base, minlength=mdp.n_states * m)
        validate.require(
            sums[row] > 0.0,
            lambda k: f"the weights of group {group[k]} in state {mdp.pair_state[k]} are all zero",
            "Give some action of every group a positive weight.",
        )
        return cls(base / sums[row], group, mdp.state_ptr)

    @classmethod
    def representative(
        cls, mdp: TabularMDP, grouping: Grouping, actions: ArrayLike
    ) -> LowLevelPolicy:
        """Choose one action per group.

        Parameters
        ----------
        mdp : TabularMDP
            The model.
        grouping : Grouping
            The groups.
        actions : (m,) or (S, m) array_like of int
            Action that stands for each group, in all states or in each.

        Raises
        ------
        InvalidModelError
            If an action is not in its group in some state that has the group.
        """
        chosen = np.asarray(actions)
        shape = (mdp.n_states, grouping.n_groups)
        if chosen.shape not in (shape, shape[1:]):
            raise InvalidModelError(
                f"actions has shape {chosen.shape}; {shape[1:]} or {shape} expected"
            )
        chosen = np.broadcast_to(chosen, shape)
        group = grouping.pairs(mdp)
        weight = (mdp.action_id == chosen[mdp.pair_state, group]).astype(np.float64)
        m = shape[1]
        row = mdp.pair_state.astype(np.int64) * m + group
        found = np.bincount(row, weight, minlength=mdp.n_states * m)
        there = np.bincount(row, minlength=mdp.n_states * m) > 0
        validate.require(
            ~there | (found > 0.0),
            lambda i: f"action {chosen.flat[i]} is not in group {i % m} of state {i // m}",
            "An action stands for its own group only; give one for each state if need be.",
            unit="representatives",
        )
        return cls(weight, group, mdp.state_ptr)


def lift(mdp: TabularMDP, grouping: Grouping, mu: LowLevelPolicy | None = None) -> TabularMDP:
    """Return the decision process whose actions are the groups, equation (1).

    Parameters
    ----------
    mdp : TabularMDP
        The model; kernels must not change with the step.
    grouping : Grouping
        The groups.
    mu : LowLevelPolicy, optional
        How actions are chosen; uniformly by default.

    Returns
    -------
    TabularMDP
        With the groups as action numbers, and all else as in `mdp`.

    Raises
    ------
    InvalidModelError
        If the kernels change with the step, or `mu` belongs to another grouping.

    Examples
    --------
    >>> from mdplib import models
    >>> mdp = models.garnet(3, 4, 2, np.random.default_rng(0), 0.9)
    >>> lift(mdp, Grouping([0, 0, 1, 1])).n_pairs
    6
    """
    from mdplib._kernels import grouping as kernels

    mu = checked(mdp, grouping, mu)
    order, rows, state_ptr, action = _layout(mdp, mu)
    first, successors, weights = kernels.merged_rows(
        order, rows, mdp.indptr, mdp.indices, mdp.data, mu.weight, mdp.n_states, action.size
    )
    reward = np.atleast_2d(mdp.reward)[:, order] * mu.weight[order]
    lifted = np.zeros((reward.shape[0], action.size))
    for step, row in enumerate(reward):
        lifted[step] = np.bincount(rows, row, minlength=action.size)
    return TabularMDP(
        state_ptr=state_ptr,
        indptr=first,
        indices=successors,
        data=weights,
        reward=lifted if mdp.reward.ndim == 2 else lifted[0],
        action_id=action,
        gamma=mdp.gamma,
        horizon=mdp.horizon,
        terminal=mdp.terminal,
        initial=mdp.initial,
        state_labels=mdp.state_labels,
    )


def compose(
    mdp: TabularMDP,
    grouping: Grouping,
    mu: LowLevelPolicy | None,
    policy: DeterministicPolicy | StochasticPolicy,
    lifted: TabularMDP | None = None,
) -> StochasticPolicy:
    """Return the policy of the original model that a policy over groups amounts to.

    Parameters
    ----------
    mdp : TabularMDP
        The original model.
    grouping : Grouping
        The groups.
    mu : LowLevelPolicy or None
        How actions are chosen; uniformly if None.
    policy : DeterministicPolicy or StochasticPolicy
        A policy of the lifted model.
    lifted : TabularMDP, optional
        The lifted model, if it is there already.

    Returns
    -------
    StochasticPolicy
        On `mdp`.
    """
    mu = checked(mdp, grouping, mu)
    order, rows, state_ptr, _ = _layout(mdp, mu)
    weight = np.zeros(mdp.n_pairs)
    if isinstance(policy, StochasticPolicy):
        high = policy.weight
    else:
        high = np.zeros(int(state_ptr[-1]))
        high[policy.pair] = 1.0
    if high.size != state_ptr[-1]:
        raise InvalidModelError(
            f"the policy has {high.size} pairs and the lifted model {state_ptr[-1]}"
        )
    weight[order] = high[rows] * mu.weight[order]
    return StochasticPolicy.from_weights(mdp, weight)


def checked(mdp: TabularMDP, grouping: Grouping, mu: LowLevelPolicy | None) -> LowLevelPolicy:
    """Return mu, or the uniform one, once it is known to belong to model and grouping."""
    if not mdp.stationary:
        raise InvalidModelError(
            "the kernels change with the step; group the model of each step by itself"
        )
    if mu is None:
        return LowLevelPolicy.uniform(mdp, grouping)
    if not np.array_equal(mu.group, grouping.pairs(mdp)):
        raise InvalidModelError("the low-level policy belongs to another grouping or model")
    return mu


def _per_pair(mdp: TabularMDP, grouping: Grouping, w: Floats) -> Floats:
    """Return the weight of each state-action pair."""
    grouping.pairs(mdp)  # every action of the model is one of the grouping
    A, K = grouping.n_actions, mdp.n_pairs
    if w.shape == (A,):
        if A == K and not np.array_equal(mdp.action_id, np.arange(A)):
            raise InvalidModelError(
                f"the model has {A} actions and {K} state-action pairs, so w can mean either; "
                f"give it as an array of shape ({mdp.n_states}, {A})"
            )
        return w[mdp.action_id]
    if w.shape == (mdp.n_states, A):
        return w[mdp.pair_state, mdp.action_id]
    if w.shape != (K,):
        raise InvalidModelError(
            f"w has shape {w.shape}; ({A},), ({mdp.n_states}, {A}) or ({K},) expected"
        )
    return w


def _layout(mdp: TabularMDP, mu: LowLevelPolicy) -> tuple[Ints, Ints, Ints, Ints]:
    """Return pairs ordered by new row, the row of each, and state_ptr and action_id of the rows."""
    m = int(mu.group.max()) + 1
    key = mdp.pair_state.astype(np.int64) * m + mu.group
    order = np.argsort(key, kind="stable").astype(np.int32)
    new = np.concatenate([[0], (np.diff(key[order]) != 0).astype(np.int32)])
    rows = np.cumsum(new, dtype=np.int32)
    keys = key[order][np.concatenate([[True], new[1:] != 0])]
    state_ptr = np.searchsorted(keys, np.arange(mdp.n_states + 1) * m).astype(np.int32)
    return order, rows, state_ptr, (keys % m).astype(np.int32)
