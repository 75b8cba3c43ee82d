"""Where learning begins: the values of the fluid program, or a fit to the one-step reward."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdplib.optim.backends import Backend
from mdplib.restless.action_set import Actions
from mdplib.restless.bandit import CoupledRestlessBandit
from solvers.restless.action_value import ActionValue
from solvers.restless.fluid import fluid_bound
from solvers.restless.network import Adam

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def no_start(bandit: CoupledRestlessBandit) -> tuple[Floats, Floats]:
    """Return a base and a guess of zeros, see `fluid_start`."""
    H, J, S = bandit.horizon, bandit.n_arms, bandit.arms.n_states
    return np.zeros((H, J, S, bandit.actions.n_levels)), np.zeros((H + 1, J, S))


def fluid_start(
    bandit: CoupledRestlessBandit, backend: Backend = "highs", listed: Actions | None = None
) -> tuple[Floats, Floats]:
    """Return what the fluid program says of action values and of values.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    backend, listed
        As in `solvers.restless.fluid.fluid_bound`.

    Returns
    -------
    base : (H, J, S, L) float64
        Summed over the arms at their levels: an estimate of the best that follows from a joint
        state and an action. Never less than the optimum.
    guess : (H+1, J, S) float64
        Summed over the arms: the same for a joint state. ``base[h]`` is the one-step reward plus
        the expectation of ``guess[h + 1]``.
    """
    H, J = bandit.horizon, bandit.n_arms
    bound = fluid_bound(bandit, backend=backend, listed=listed)
    ahead = np.array([bound.ahead(bandit, h) for h in range(-1, H)]) / J
    base = np.stack([bound.scores(bandit, h) + ahead[h + 1] for h in range(H)])
    return base, np.moveaxis(bound.value, 1, 0) + ahead[:, None, None]


def diverse_samples(
    q: ActionValue, rng: np.random.Generator, states: int = 1000, random_actions: int = 10
) -> tuple[Ints, Actions]:
    """Return joint states and actions, feasible or not, that show what single arms contribute.

    For every state: all, none, each alone, all but each, and some random actions. The states: all
    ones, all zeros, unit states, all but unit states, and random ones.

    Parameters
    ----------
    q : ActionValue
        Its bandit is used.
    rng : numpy.random.Generator
        Source of randomness.
    states, random_actions : int
        How many random states, and random actions per state.

    Returns
    -------
    s : (n, J) int64
        Joint states.
    a : (n, N) int8
        Actions.
    """
    b = q.bandit
    J, N, S = b.n_arms, b.actions.n_actions, b.arms.n_states
    unit = np.eye(J, dtype=np.int64)
    fixed = np.concatenate([np.ones((1, J)), np.zeros((1, J)), unit, 1 - unit]).astype(np.int64)
    everywhere = np.concatenate([np.minimum(fixed, S - 1), rng.integers(0, S, (states, J))])
    each = np.eye(N, dtype=np.int8)
    plain = np.concatenate([np.ones((1, N)), np.zeros((1, N)), each, 1 - each]).astype(np.int8)
    rows_s, rows_a = [], []
    for s in everywhere:
        drawn = [b.actions.sample(rng) for _ in range(random_actions)]
        a = np.concatenate([plain, np.array(drawn, dtype=np.int8).reshape(-1, N)])
        rows_a.append(a)
        rows_s.append(np.tile(s, (len(a), 1)))
    return np.concatenate(rows_s), np.concatenate(rows_a)


def fit_myopic(
    q: ActionValue,
    rng: np.random.Generator,
    epochs: int,
    rate: float,
    fade: float,
    *,
    batch: int = 32,
    states: int = 1000,
) -> float:
    """Fit the network of an action value to the expected one-step reward, in place.

    Parameters
    ----------
    q : ActionValue
        Its network is trained.
    rng : numpy.random.Generator
        Source of randomness.
    epochs : int
        Passes over the samples; those at a rate below a millionth of the first are left out.
    rate, fade : float
        Of Adam; the rate is multiplied by `fade` after each epoch.
    batch, states : int
        Size of a minibatch, number of random states.

    Returns
    -------
    float
        Mean squared error of the last epoch.
    """
    s, a = diverse_samples(q, rng, states)
    y = q.bandit.reward(s, a) - q.base_value(0, s, a)
    adam = Adam(q.network.parameters.size, rate)
    error = np.inf
    for _ in range(epochs):
        if adam.rate < 1e-6 * rate:
            break
        total = 0.0
        for at in np.array_split(rng.permutation(len(y)), max(1, len(y) // batch)):
            x = q.encode(0, s[at], a[at])
            off = q.network(x) - y[at]
            total += float(off @ off)
            adam.step(q.network.parameters, q.network.gradient(x, 2.0 * off / len(at)))
        adam.rate *= fade
        error = total / len(y)
    return error
