r"""Values without discounting on small `Model`s, the same lines for floats and for rationals.

Problem
-------
Gains of policies; probabilities of ever entering a target; the best of all deterministic policies.

Algorithm
---------
Gain: the stationary law of each closed class of the chain gives its gain; a state outside takes
the average over the classes it ends in.                                                  (1)

Reachability: a model with gamma = 1 whose rows may sum to less than one. r_k is the probability
to enter the target in this step, P_k leads to the other states, the rest is lost. With R the
states from which the target can be reached under the policy, the value is 0 outside R and

    x_R = (I - P_RR)^{-1} r_R                                                             (2)

Guarantee
---------
Exact on rationals. (2) is the least non-negative solution: I - P_RR is invertible since every
state of R leaves R for good with positive probability.

Cost
----
One dense solve per policy, and all deterministic policies.

Deviations
----------
None.

References
----------
puterman1994, sections 8.2 and 7.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bounds.arithmetic import bellman, identity, one, solve, zeros
from bounds.hypotheses import Hypothesis
from bounds.instance import Instance
from bounds.model import Array, Model
from bounds.random_models import ragged

STEPS = 2.0**10  # bounds the conditioning of the small dyadic models drawn here


def policies(model: Model) -> Iterator[NDArray[np.intp]]:
    """Yield every deterministic policy as the pairs it takes, (S,)."""
    choices = [range(a, b) for a, b in itertools.pairwise(model.state_ptr.tolist())]
    for pair in itertools.product(*choices):
        yield np.array(pair, dtype=np.intp)


def reach(P: Array) -> NDArray[np.bool_]:
    """Return which states can reach which under a chain, (S, S)."""
    found = np.eye(P.shape[0], dtype=bool) | (P > 0)
    for _ in range(P.shape[0]):
        found = found @ found
    return found


def policy_gain(model: Model, pair: NDArray[np.intp]) -> Array:
    """Return the gain of every state under a policy, (S,).

    Examples
    --------
    >>> policy_gain(Model([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], [0, 1, 2], 1.0), np.array([0, 1]))
    array([0.5, 0.5])
    """
    P, r = model.P[pair], model.reward()[pair]
    connected = reach(P)
    closed = np.array([bool(connected[connected[s], s].all()) for s in range(model.n_states)])
    gain = zeros(model, model.n_states)
    for s in np.flatnonzero(closed):
        members = np.flatnonzero(connected[s])
        A = (identity(model) - P)[np.ix_(members, members)].T.copy()
        A[-1] = one(model)
        b = zeros(model, members.size)
        b[-1] = one(model)
        gain[s] = solve(A, b) @ r[members]  # (1)
    free = np.flatnonzero(~closed)
    if free.size:
        A = (identity(model) - P)[np.ix_(free, free)]
        gain[free] = solve(A, P[np.ix_(free, np.flatnonzero(closed))] @ gain[closed])  # (1)
    return gain


def best_gain(model: Model) -> Array:
    """Return the largest gain of every state, (S,)."""
    return np.max(np.stack([policy_gain(model, pair) for pair in policies(model)]), axis=0)


def policy_reach(model: Model, pair: NDArray[np.intp]) -> Array:
    """Return the probability to enter the target under a policy, (S,).

    Examples
    --------
    >>> policy_reach(Model([[0.5]], [0.25], [0, 1], 1.0), np.array([0]))
    array([0.5])
    """
    P, r = model.P[pair], model.reward()[pair]
    R = np.flatnonzero(reach(P)[:, np.asarray(r > 0, dtype=bool)].any(axis=1))
    value = zeros(model, model.n_states)
    if R.size:
        value[R] = solve((identity(model) - P)[np.ix_(R, R)], r[R])  # (2)
    return value


def best_reach(model: Model) -> Array:
    """Return the largest probability to enter the target, (S,)."""
    return np.max(np.stack([policy_reach(model, pair) for pair in policies(model)]), axis=0)


def best_total(model: Model) -> Array:
    """Return the largest expected total reward, (S,), if every policy leaves the states.

    Examples
    --------
    >>> best_total(Model([[0.5], [0.75]], [1.0, 0.25], [0, 2], 1.0))
    array([2.])
    """
    values = [
        solve(identity(model) - model.P[pair], model.reward()[pair]) for pair in policies(model)
    ]
    return np.max(np.stack(values), axis=0)


def has_end_component(model: Model) -> bool:
    """Tell whether some policy can stay in some set of states for ever.

    Examples
    --------
    >>> has_end_component(Model([[1.0], [0.5]], [0.0, 0.5], [0, 2], 1.0))
    True
    """
    inside = np.ones(model.n_states, dtype=bool)
    while inside.any():
        stays = model.P[:, inside].sum(axis=1) == 1
        kept = inside & np.logical_or.reduceat(stays, model.state_ptr[:-1])
        if (kept == inside).all():
            return True
        inside = kept
    return False


NO_END_COMPONENT = Hypothesis(
    "end_component",
    "no policy can stay in some set of states for ever",
    lambda instance: not has_end_component(instance.model),
)


def iterate(model: Model, V: Array, n: int) -> Array:
    """Return T^n V."""
    for _ in range(n):
        V = bellman(model, V)
    return V


def constant(model: Model, number: int) -> Array:
    """Return the vector of one number in the model's arithmetic."""
    return zeros(model, model.n_states) + number


def _is_reachability(instance: Instance) -> bool:
    model = instance.model
    P, r = model.P, model.reward()
    return bool((P >= 0).all() and (r >= 0).all() and (P.sum(axis=1) + r <= 1).all())


REACHABILITY = Hypothesis(
    "reachability", "P >= 0, r >= 0 and each row of P plus r is at most one", _is_reachability
)


def reachability(rng: np.random.Generator, n_states: int) -> Model:
    """Draw a reachability model: the last two states of a model become target and loss.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n_states : int
        Number of states besides these two.

    Returns
    -------
    Model
        Dyadic; it may have end components.
    """
    whole: Any = ragged(rng, n_states=n_states + 2, max_actions=3)
    pairs = int(whole.state_ptr[n_states])
    return Model(
        whole.P[:pairs, :n_states],
        whole.P[:pairs, n_states],
        whole.state_ptr[: n_states + 1],
        1.0,
    )
