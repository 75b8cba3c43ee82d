r"""The five-state linear model on which robust offline methods are compared.

Three steps. States x1, x2, x3, a fail state x4 (pays nothing) and a goal state x5 (pays 1 per
step); the start is x1. The 16 actions are sign vectors a; each succeeds with probability
``u(a) = delta + <xi, a>``, where xi has four equal entries that sum to `xi_norm`. Features:

    phi(x1) = (1-u, 0, 0, u)    phi(x2) = (0, 1-u, 0, u)    phi(x3) = (0, 0, 1-u, u)
    phi(x4) = (0, 0, 1, 0)      phi(x5) = (0, 0, 0, 1)

Factors, the same at every step: mu_1 goes to x2, mu_2 to x3, each with probability 1-p, else to
x4; mu_3 goes to x4; mu_4 to x5. Rewards: nothing at the first step, then phi_4.

The target environment with perturbation q changes the first step alone: mu_1 goes to x2 surely,
and mu_4 goes to x5 with probability 1-q and to x4 with probability q. A policy that plays u1
there and the best action later then earns ``(1 - u1) V2 + 2 (1 - q) u1``, where
``V2 = 2m + (1-p) m (1-m)`` and m is the largest u. So the best first action is the one with the
largest u as long as ``q < 1 - V2/2`` and the one with the smallest u beyond.

References: Liu and Xu (2024), *Distributionally robust off-dynamics reinforcement learning*;
Tang, Liu and Xu (2025), *Robust offline reinforcement learning with linearly structured
f-divergence regularization*.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.linear import Features, LinearMDP
from mdplib.models import arguments

Floats = NDArray[np.float64]
STATES = ("x1", "x2", "x3", "fail", "goal")
ACTIONS = tuple("".join(signs) for signs in product("-+", repeat=4))
_PLUSES = np.array([name.count("+") for name in ACTIONS])


def five_state(
    xi_norm: float = 0.2, *, delta: float = 0.3, p: float = 0.001, q: float | None = None
) -> LinearMDP:
    """Return the five-state model, or its target environment (see above).

    Parameters
    ----------
    xi_norm : float
        Sum of the entries of xi.
    delta : float
        Success probability of a balanced action.
    p : float
        Probability of slipping into the fail state.
    q : float, optional
        Perturbation of the target environment; by default the nominal model is returned.

    Returns
    -------
    LinearMDP
        With d = 4 features, H = 3 steps and 16 actions in each of the 5 states.

    Raises
    ------
    InvalidModelError
        If a probability leaves [0, 1].

    Examples
    --------
    >>> V, policy = five_state().optimal()
    >>> round(float(V[0, 0]), 5), int(policy.act(0, np.random.default_rng(0)))
    (1.62425, 15)
    >>> round(float(five_state(q=0.9).evaluate(policy)[0, 0]), 6)
    0.724875
    """
    u = success(xi_norm, delta)
    arguments.number(p, "p", 0.0, 1.0)
    phi = np.zeros((5, 16, 4))
    for s in range(3):
        phi[s, :, s], phi[s, :, 3] = 1 - u, u
    phi[3, :, 2] = phi[4, :, 3] = 1.0
    theta = np.zeros((3, 4))
    theta[1:, 3] = 1.0
    mu = np.zeros((3, 4, 5))
    mu[:, 0, 1] = mu[:, 1, 2] = 1 - p
    mu[:, 0, 3] = mu[:, 1, 3] = p
    mu[:, 2, 3] = mu[:, 3, 4] = 1.0
    if q is not None:
        arguments.number(q, "q", 0.0, 1.0)
        mu[0, 0] = [0, 1, 0, 0, 0]
        mu[0, 3] = [0, 0, 0, q, 1 - q]
    features = Features.from_dense(phi)
    start = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    reward = theta @ features.phi.T
    return LinearMDP(features, reward, mu, theta, start, STATES, ACTIONS)


def success(xi_norm: float = 0.2, delta: float = 0.3) -> Floats:
    """Return the success probability u of each of the 16 actions.

    Examples
    --------
    >>> success()[[0, 1, 3, 15]]
    array([0.1, 0.2, 0.3, 0.5])
    """
    arguments.number(xi_norm, "xi_norm")
    arguments.number(delta, "delta")
    u = (delta + xi_norm * np.array([-1.0, -0.5, 0.0, 0.5, 1.0]))[_PLUSES]
    if u.min() < 0 or u.max() > 1:
        raise InvalidModelError(
            f"success probabilities delta +- xi_norm run from {u.min():.6g} to {u.max():.6g}; "
            "choose delta and xi_norm such that they stay in [0, 1]"
        )
    return u


def continuation(xi_norm: float = 0.2, delta: float = 0.3, p: float = 0.001) -> float:
    """Return V2, the optimal value of x2 at the second step.

    Examples
    --------
    >>> round(continuation(), 12), round(continuation(0.3), 12)
    (1.24975, 1.43976)
    """
    m = float(success(xi_norm, delta).max())
    return 2 * m + (1 - p) * m * (1 - m)


def target_return(
    u1: float, q: float, *, xi_norm: float = 0.2, delta: float = 0.3, p: float = 0.001
) -> float:
    """Return what u1 at the first step and the best actions later earn in the target environment.

    Examples
    --------
    >>> round(target_return(0.5, 0.0), 6), round(target_return(0.1, 1.0), 6)
    (1.624875, 1.124775)
    """
    return (1 - u1) * continuation(xi_norm, delta, p) + 2 * (1 - q) * u1


def flip(xi_norm: float = 0.2, delta: float = 0.3, p: float = 0.001) -> float:
    """Return the perturbation q beyond which the smallest u1 is best.

    Examples
    --------
    >>> round(flip(), 6)
    0.375125
    """
    return 1 - continuation(xi_norm, delta, p) / 2
