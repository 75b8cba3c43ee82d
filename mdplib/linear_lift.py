"""The lift: a linear model, and policies on its pairs, as their tabular counterparts.

Kernels are stacked by step unless the factors are the same at every step. If some pairs end the
episode, the lift has one more state, absorbing and last, with one pair, for "over".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdplib.features import Features
from mdplib.linear import LinearMDP
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy, StochasticPolicy

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP

OVER = "(over)"


def lift(mdp: LinearMDP) -> TabularMDP:
    """Return a linear model as a tabular one, see `LinearMDP.tabular`.

    Examples
    --------
    >>> from mdplib import models
    >>> lift(models.five_state())
    TabularMDP(80 state-action pairs on 5 states, 160 transitions, gamma=1.0, horizon=3)
    """
    import scipy.sparse as sp

    from mdplib.tabular import TabularMDP

    features, S = mdp.features, mdp.n_states
    over = features.has_ends
    state, action = features.pair_state, features.action_id
    initial, names = mdp.initial, mdp.state_labels
    reward = mdp.reward
    phi = sp.csr_array(features.phi)
    if over:
        state, action = np.append(state, np.int32(S)), np.append(action, np.int32(0))
        initial = None if initial is None else np.append(initial, 0.0)
        names = None if names is None else (*names, OVER)
        reward = np.hstack([reward, np.zeros((mdp.horizon, 1))])

    def rows(h: int) -> Any:
        kernel = phi @ sp.csr_array(mdp.mu[h])
        if not over:
            return kernel
        last = sp.csr_array(np.append(features.ended, True)[:, None].astype(float))
        empty = sp.csr_array((1, S))
        return sp.hstack([sp.vstack([kernel, empty]), last], format="csr")

    labels: Any = {"state_labels": names, "action_labels": mdp.action_labels, "initial": initial}
    if mdp.stationary:
        return TabularMDP.from_sparse(
            rows(0), reward, state, action, 1.0, horizon=mdp.horizon, **labels
        )
    layers = [
        TabularMDP.from_sparse(rows(h), reward[h], state, action, 1.0, horizon=1)
        for h in range(mdp.horizon)
    ]
    return TabularMDP.from_layers(layers, **labels)


def lift_policy(
    features: Features, policy: Policy, horizon: int, *, stacked: bool = False
) -> MarkovPolicy:
    """Return a policy on the pairs of features as one on the pairs of a lift.

    Parameters
    ----------
    features : Features
        The features.
    policy : Policy
        On their pairs, or on the lift already.
    horizon : int
        Number of steps H.
    stacked : bool
        Whether the kernels of the lift are stacked by step.

    Returns
    -------
    MarkovPolicy

    Examples
    --------
    >>> from mdplib import models, operators
    >>> mdp = models.random_simplex_mdp(rng=np.random.default_rng(0))
    >>> V, policy = mdp.optimal()
    >>> same = operators.evaluate_policy(mdp.tabular(), lift_policy(mdp.features, policy, 4,
    ...                                                             stacked=True))
    >>> bool(np.abs(same - V).max() < 1e-12)
    True
    """
    K, over = features.n_pairs + features.has_ends, features.has_ends
    ptr, action = features.state_ptr, features.action_id
    if over:
        ptr, action = np.append(ptr, np.int32(K)), np.append(action, np.int32(0))
    steps: list[DeterministicPolicy | StochasticPolicy] = []
    pointers: Any = ptr
    if stacked:
        shifted = ptr[1:] + K * np.arange(horizon)[:, None]
        pointers = np.concatenate([[0], shifted.ravel()])
        actions = np.tile(action, horizon)
    else:
        actions = action
    for h in range(horizon):
        weight = features.weights(policy, h)
        if over:
            weight = np.append(weight, 1.0)
        chosen = np.flatnonzero(weight == 1.0)
        if chosen.size == ptr.size - 1:
            pair: Any = chosen + (h * K if stacked else 0)
            steps.append(DeterministicPolicy(pair, action[chosen]))
        else:
            full = np.tile(weight, horizon) if stacked else weight
            steps.append(StochasticPolicy(full, pointers, actions, ptr.size - 1))
    return MarkovPolicy(tuple(steps))
