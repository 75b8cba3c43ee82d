r"""Grouped model-based Q iteration.

Problem
-------
A generative model, groups of actions with a low-level policy, K samples for every state and group:
a policy over groups.

Algorithm
---------
Draw K times an action by mu(. | s, h), a successor and a reward; with the empirical model

    P^(t | s, h) = count / K,   r^(s, h) = mean reward,                                      (1)
    Q_0 = 0,   Q_{i+1} = r^ + gamma P^ max_h' Q_i,                                           (2)

n times, and pi(s) = argmax_h Q_n(s, h), the first one of equal choices; or plan exactly.

Guarantee
---------
With probability at least 1 - delta the loss against the best policy over the groups is at most
`mdplib.grouping.loss.estimation_bound`, and against the best policy of all that plus the loss by
grouping.

Cost
----
S m K samples; n S m min(K, S) products.

Deviations
----------
Stops at n iterations or plans by policy iteration; rewards may be known.

References
----------
After Li, Ju and Shroff (2024), li2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.grouping.grouping import Grouping
from mdplib.grouping.lifting import LowLevelPolicy, compose, lift
from mdplib.grouping.samples import GroupSamples, draw
from mdplib.operators import q_values
from mdplib.policy import DeterministicPolicy, StochasticPolicy
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupedSolution:
    """What grouped Q iteration learnt.

    Parameters
    ----------
    Q : (S, m) float64
        Estimated values of the groups.
    group : (S,) int64
        Chosen group of each state.
    policy : StochasticPolicy
        The same as a policy of the original model.
    samples : int
        Samples drawn, S m K.
    work : int
        Products of all iterations; 0 for exact planning.
    """

    Q: Floats
    group: NDArray[np.int64]
    policy: StochasticPolicy
    samples: int
    work: int


def grouped_q_iteration(
    mdp: TabularMDP,
    grouping: Grouping,
    n: int,
    rng: np.random.Generator,
    *,
    mu: LowLevelPolicy | None = None,
    iterations: int | None = None,
    known_rewards: bool = False,
) -> GroupedSolution:
    """Learn a policy over groups from samples.

    Parameters
    ----------
    mdp : TabularMDP
        Source of the samples: discounted, rewards in [0, 1], every group present in every state.
    grouping : Grouping
        The groups.
    n : int
        Samples K of each state and group.
    rng : numpy.random.Generator
        Source of randomness.
    mu : LowLevelPolicy, optional
        How actions are chosen; uniformly by default.
    iterations : int, optional
        n of (2); exact planning if not given.
    known_rewards : bool
        Whether r is given and only P is estimated.

    Returns
    -------
    GroupedSolution

    Raises
    ------
    InvalidModelError
        If there are no samples, or no iterations.
    NotApplicableError
        If rewards lie outside [0, 1].

    Examples
    --------
    >>> from mdplib import models
    >>> mdp = models.tree_mdp(np.random.default_rng(0))
    >>> found = grouped_q_iteration(mdp, Grouping.tree(2, 6), 100, np.random.default_rng(1))
    >>> found.Q.shape, found.samples
    ((6, 4), 2400)
    """
    seen = draw(mdp, grouping, n, rng, mu=mu)
    model = empirical_model(seen, mdp.gamma)
    if known_rewards:
        model = model.replace(reward=lift(mdp, grouping, mu).reward)
    Q, work = (planned(model), 0) if iterations is None else iterated(model, iterations)
    Q = Q.reshape(mdp.n_states, grouping.n_groups)
    group = Q.argmax(axis=1)
    pair = np.arange(mdp.n_states) * grouping.n_groups + group
    high = DeterministicPolicy(pair.astype(np.int32), group.astype(np.int32))
    return GroupedSolution(Q, group, compose(mdp, grouping, mu, high), seen.total, work)


def empirical_model(seen: GroupSamples, gamma: float) -> TabularMDP:
    """Return the empirical model (1): as many transitions as were seen at most.

    Parameters
    ----------
    seen : GroupSamples
        One repetition.
    gamma : float
        Discount.
    """
    P, r = seen.model()  # (1)
    S, m = r.shape
    rows, t = np.nonzero(P.reshape(S * m, S))
    return TabularMDP(
        state_ptr=np.arange(0, S * m + 1, m, dtype=np.int32),
        indptr=np.searchsorted(rows, np.arange(S * m + 1)).astype(np.int32),
        indices=t.astype(np.int32),
        data=P.reshape(S * m, S)[rows, t],
        reward=r.ravel(),
        action_id=np.tile(np.arange(m, dtype=np.int32), S),
        gamma=gamma,
    )


def iterated(model: TabularMDP, iterations: int) -> tuple[Floats, int]:
    """Return Q_n of (2), (K,), and the number of products."""
    if iterations < 1:
        raise InvalidModelError(f"{iterations} iterations; at least one expected")
    V, Q = np.zeros(model.n_states), model.reward
    for _ in range(iterations):
        Q = q_values(model, V)  # (2)
        V = np.maximum.reduceat(Q, model.state_ptr[:-1])
    return Q, iterations * model.nnz


def planned(model: TabularMDP) -> Floats:
    """Return Q of an optimal policy, (K,)."""
    from solvers.tabular.policy_iteration import policy_iteration

    return q_values(model, policy_iteration(model, tol=1e-9).require().value)
