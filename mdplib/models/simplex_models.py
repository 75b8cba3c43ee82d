r"""Random linear models with simplex features, and the two-state family of the lower bound.

Random models. The last state fails: it is absorbing and pays nothing, and the last coordinate is
its own (phi = e_d there, mu_d stays, theta_d = 0). All else is drawn independently: features of
the other states from Dirichlet(`concentration`, ..., `concentration`) on the d coordinates,
factors 1..d-1 of each step from Dirichlet(1, ..., 1) on the S states, reward weights 1..d-1
uniform on [0, 1). The start is uniform on the states that do not fail.

Hard models. Two states; the first is left with probability eps, the second is absorbing and pays
nothing. An action is a bit vector a of n bits; the features of (first state, a) put 1/n on
coordinate (j, a_j) for every bit j, those of the second state are e_{2n+1}. Coordinate (j, b) pays
1/2 + gap/2 if b is the right bit of step h and 1/2 - gap/2 otherwise. So a policy loses, at every
step at which it is still in the first state, gap times the share of wrong bits. A regularised
adversary raises eps to eps + Delta, see `tilted_exit`.

References: Tang, Liu and Xu (2025) for the two-state family (in outline: the rewards are ours).
"""

from __future__ import annotations

from itertools import product
from math import exp

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.divergences import Divergence, check_name
from mdplib.errors import InvalidModelError
from mdplib.linear import LinearMDP
from mdplib.models import arguments

Floats = NDArray[np.float64]


def random_simplex_mdp(
    S: int = 8,
    A: int = 4,
    d: int = 5,
    H: int = 4,
    rng: np.random.Generator | None = None,
    *,
    concentration: float = 1.0,
) -> LinearMDP:
    """Draw a linear model with simplex features (the law is given above).

    Parameters
    ----------
    S, A, d, H : int
        States (with the fail state), actions, features (with that of the fail state), steps.
    rng : numpy.random.Generator
        Source of the draws.
    concentration : float
        Of the features: near 0 they are near the corners of the simplex.

    Returns
    -------
    LinearMDP

    Raises
    ------
    InvalidModelError
        If a size is out of range or there is no generator.

    Examples
    --------
    >>> random_simplex_mdp(rng=np.random.default_rng(0))
    LinearMDP(32 state-action pairs on 8 states, dimension 5, horizon=4)
    """
    if rng is None:
        raise InvalidModelError("rng is missing; pass a numpy.random.Generator")
    S, d = arguments.count(S, "S", 2), arguments.count(d, "d", 2)
    A, H = arguments.count(A, "A"), arguments.count(H, "H")
    arguments.number(concentration, "concentration", 1e-6)
    phi = np.zeros((S, A, d))
    phi[:-1] = rng.dirichlet(np.full(d, concentration), size=(S - 1, A))
    phi[-1, :, -1] = 1.0
    mu = np.zeros((H, d, S))
    mu[:, :-1] = rng.dirichlet(np.ones(S), size=(H, d - 1))
    mu[:, -1, -1] = 1.0
    theta = np.zeros((H, d))
    theta[:, :-1] = rng.random((H, d - 1))
    start = np.full(S, 1 / (S - 1))
    start[-1] = 0.0
    return LinearMDP.from_dense(phi, theta, mu, initial=start)


def hard_pair(
    bits: ArrayLike, *, eps: float = 0.1, gap: float = 0.1, stay: float | None = None
) -> LinearMDP:
    """Return a model of the two-state family of the lower bound (see above).

    Parameters
    ----------
    bits : (H, n) bool or 0/1 array
        The right bits of each step.
    eps : float
        Probability of leaving the first state.
    gap : float
        Reward lost per step when every bit is wrong.
    stay : float, optional
        Probability of staying in the first state in a perturbed environment; 1 - eps by default.

    Returns
    -------
    LinearMDP
        With d = 2n + 1 and 2**n actions in both states.

    Examples
    --------
    >>> mdp = hard_pair([[1, 0], [0, 0]], eps=0.2, gap=0.1)
    >>> V, policy = mdp.optimal()
    >>> round(float(V[0, 0]), 6), [int(step.action[0]) for step in policy.steps]
    (0.99, [2, 0])
    """
    right = np.asarray(bits)
    if right.ndim != 2 or not right.size or not np.isin(right, (0, 1)).all():
        raise InvalidModelError(
            f"bits has shape {right.shape}; an (H, n) array of 0 and 1 expected"
        )
    H, n = right.shape
    if n > 12:
        raise InvalidModelError(f"bits has {n} columns; at most 12 (2**12 actions) expected")
    arguments.number(eps, "eps", 0.0, 1.0)
    arguments.number(gap, "gap", 0.0, 1.0)
    leave = eps if stay is None else 1 - arguments.number(stay, "stay", 0.0, 1.0)
    phi = np.zeros((2, 2**n, 2 * n + 1))
    for index, action in enumerate(product((0, 1), repeat=n)):
        phi[0, index, 2 * np.arange(n) + np.array(action)] = 1 / n
    phi[1, :, -1] = 1.0
    theta = np.zeros((H, 2 * n + 1))
    theta[:, :-1] = 0.5 - gap / 2
    for h, j in np.ndindex(H, n):
        theta[h, 2 * j + int(right[h, j])] += gap
    mu = np.empty((H, 2 * n + 1, 2))
    mu[:] = [1 - leave, leave]
    mu[:, -1] = [0.0, 1.0]
    return LinearMDP.from_dense(phi, theta, mu, initial=[1.0, 0.0])


def tilted_exit(divergence: Divergence, eps: float, v: float, strength: float) -> float:
    """Return the exit probability that a penalised adversary chooses: eps + Delta.

    Parameters
    ----------
    divergence : {"tv", "kl", "chi2"}
        As in `mdplib.divergences`.
    eps : float
        Nominal probability of moving from value v to value 0.
    v : float
        Value of staying, at least 0.
    strength : float
        Price per unit of divergence, > 0.

    Returns
    -------
    float

    Examples
    --------
    >>> [round(tilted_exit(d, 0.2, 3.0, 2.0), 6) for d in ("tv", "kl", "chi2")]
    [1.0, 0.528396, 0.32]
    """
    check_name(divergence)
    arguments.number(eps, "eps", 0.0, 1.0)
    arguments.number(v, "v", 0.0)
    arguments.number(strength, "strength", 0.0)
    if strength == 0:
        raise InvalidModelError("strength is 0; a positive price expected")
    if divergence == "tv":
        return 1.0 if v > strength else eps
    if divergence == "kl":
        return eps / (eps + (1 - eps) * exp(-v / strength)) if eps > 0 else 0.0
    return min(1.0, eps + eps * (1 - eps) * v / (2 * strength))
