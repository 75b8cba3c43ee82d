r"""How much grouping can cost: formulas shared by solvers and theorems.

Problem
-------
A policy over groups loses by approximation (the groups), estimation (K samples per state and
group) and planning (n iterations). How much, at most?

Algorithm
---------
With the decomposition weights beta_P, beta_r of a grouping, gamma the discount, rewards in [0, 1],
m groups, S states, failure probability delta, spans in the unit of values:

    approximation <= (beta_r + gamma beta_P / (1-gamma)) / (1 - gamma (1 - beta_P))          (1)
    approximation <= beta_r / (1-gamma) + gamma beta_P / (1-gamma)^2                         (2)
    approximation <= (beta_r + gamma TV span) / (1-gamma)                                    (3)
    error of Q <= (1-gamma)^-2 sqrt(ln(2 S m / delta) / (2K)) + gamma^n / (1-gamma)          (4)
    estimation <= 2 (4) / (1-gamma)                                                          (5)
    estimation <= 2/(1-gamma) [ sqrt(ln(4 S m / delta) / (2K)) + gamma/(1-gamma) min(1,
                  sqrt(2 (S ln 2 + ln(2 S m / delta)) / K) / 2) ] + 2 gamma^n / (1-gamma)^2  (6)
    planning <= eps as soon as n >= ln(2 / (eps (1-gamma)^2)) / ln(1/gamma)                  (7)
    W = sqrt(2 s^2 l / K) + 7 B l / (3 (K-1)),  l = ln(4 S m / delta)                        (8)
    certificate = (max (mean + W - V)_+ + max_s (V - mean_pi + W)_+) / (1-gamma)             (9)
    least loss of C m^-a + E sqrt(S m / N) at m = (2 a C / (E sqrt(S/N)))^(2/(2a+1))        (10)
    loss <= (1) + min((5), (6))                                                              (11)

and, for a function Q of states and actions, what one action by group loses and how far apart the
actions of a group are:

    delta = max_s [max_a Q(s, a) - max_h sum_a mu(a | s, h) Q(s, a)]                         (12)
    epsilon = max_{s,h} [max_{a in h} Q(s, a) - min_{a in h} Q(s, a)]                        (13)

Guarantee
---------
(1)-(3) hold for every low-level policy, and for the optimal Q

    delta <= approximation <= delta / (1-gamma) <= epsilon / (1-gamma) <= (3).

(4)-(6) and (11) hold with probability at least 1 - delta, (8) is two-sided for all S m pairs at
once. The proofs: `bounds.li2024_chain`, `bounds.li2024_approximation`, `bounds.li2024_estimation`,
`bounds.li2024_certificate`.

Cost
----
Constant.

Deviations
----------
(10) is a law of growth: logarithms are left out.

References
----------
After li2024, whose constants are not used; hoeffding1963 for (4), weissman2003 for (6),
maurer2009 for (8).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.concentration import empirical_bernstein_radius
from mdplib.errors import NotApplicableError

Floats = NDArray[np.float64]


def approximation_bound(beta_P: float, beta_r: float, gamma: float) -> float:
    """Return the sharp bound (1) on the loss by grouping.

    Raises
    ------
    NotApplicableError
        If beta_r > 1: rewards are not in [0, 1].

    Examples
    --------
    >>> round(approximation_bound(1.0, 1.0, 0.9), 9)
    10.0
    >>> approximation_bound(0.0, 0.0, 0.9)
    0.0
    """
    _discount(gamma)
    _share(beta_P, "beta_P")
    _share(beta_r, "beta_r")
    ahead = gamma * beta_P / (1.0 - gamma)
    return (beta_r + ahead) / (1.0 - gamma * (1.0 - beta_P))  # (1)


def textbook_bound(beta_P: float, beta_r: float, gamma: float) -> float:
    """Return the looser bound (2).

    Examples
    --------
    >>> textbook_bound(0.1, 0.0, 0.5)
    0.2
    """
    _discount(gamma)
    return beta_r / (1.0 - gamma) + gamma * beta_P / (1.0 - gamma) ** 2  # (2)


def variation_bound(tv: float, beta_r: float, gamma: float, span: float) -> float:
    """Return the bound (3) by total variation and the span of the optimal value."""
    _discount(gamma)
    return (beta_r + gamma * tv * span) / (1.0 - gamma)  # (3)


def q_error_bound(
    n_states: int, n_groups: int, n: int, gamma: float, delta: float, iterations: float = math.inf
) -> float:
    """Return the bound (4) on the error of Q of the lifted model."""
    _sampled(n, gamma, delta)
    log = math.log(2.0 * n_states * n_groups / delta)
    return math.sqrt(log / (2.0 * n)) / (1.0 - gamma) ** 2 + _left(gamma, iterations)  # (4)


def hoeffding_bound(
    n_states: int, n_groups: int, n: int, gamma: float, delta: float, iterations: float = math.inf
) -> float:
    """Return the bound (5) on the loss by estimation and planning.

    Parameters
    ----------
    n_states, n_groups : int
        S and m.
    n : int
        Samples K of each state and group, at least one.
    gamma, delta : float
        Discount and failure probability.
    iterations : float
        Iterations of Q from zero; infinitely many for exact planning.

    Examples
    --------
    >>> round(hoeffding_bound(6, 8, 100, 0.9, 0.1), 1)
    370.6
    """
    return (
        2.0 * q_error_bound(n_states, n_groups, n, gamma, delta, iterations) / (1.0 - gamma)
    )  # (5)


def weissman_bound(
    n_states: int, n_groups: int, n: int, gamma: float, delta: float, iterations: float = math.inf
) -> float:
    """Return the bound (6) on the loss by estimation and planning; arguments as above.

    Examples
    --------
    >>> round(weissman_bound(6, 8, 100, 0.9, 0.1), 1)
    46.2
    """
    _sampled(n, gamma, delta)
    reward = math.sqrt(math.log(4.0 * n_states * n_groups / delta) / (2.0 * n))
    log = n_states * math.log(2.0) + math.log(2.0 * n_states * n_groups / delta)
    kernel = min(1.0, 0.5 * math.sqrt(2.0 * log / n))
    planning = 2.0 * _left(gamma, iterations) / (1.0 - gamma)
    return 2.0 / (1.0 - gamma) * (reward + gamma / (1.0 - gamma) * kernel) + planning  # (6)


def estimation_bound(
    n_states: int, n_groups: int, n: int, gamma: float, delta: float, iterations: float = math.inf
) -> float:
    """Return the smaller one of the bounds (5) and (6)."""
    given = (n_states, n_groups, n, gamma, delta, iterations)
    return min(hoeffding_bound(*given), weissman_bound(*given))


def iterations_needed(gamma: float, eps: float) -> int:
    """Return how many iterations make the loss by planning at most `eps`, equation (7).

    Examples
    --------
    >>> n = iterations_needed(0.9, 0.01)
    >>> 2 * 0.9**n / 0.1**2 <= 0.01 < 2 * 0.9 ** (n - 1) / 0.1**2
    True
    """
    _discount(gamma)
    if eps <= 0.0:
        raise ValueError(f"eps is {eps}; a positive accuracy expected")
    if gamma == 0.0:
        return 1
    return max(0, math.ceil(math.log(2.0 / (eps * (1.0 - gamma) ** 2)) / -math.log(gamma)))  # (7)


def certificate_width(variance: Floats, n: int, span: ArrayLike, delta: float) -> Floats:
    """Return the widths (8) of the means of fresh samples, for all pairs at once.

    Parameters
    ----------
    variance : (..., S, m) float64
        Unbiased sample variances of reward plus discounted value.
    n : int
        Fresh samples of each pair, at least 2.
    span : float or (..., 1, 1) array
        Length B of the interval that holds every sample.
    delta : float
        Failure probability of all pairs together.

    Returns
    -------
    (..., S, m) float64
    """
    S, m = variance.shape[-2:]
    least = empirical_bernstein_radius(0.0, 1.0, n, delta / (S * m))  # 7 l / (3 (n-1))
    log = least * 3.0 * (n - 1) / 7.0
    return np.sqrt(2.0 * variance * log / n) + least * np.asarray(span)  # (8)


def certificate(
    mean: Floats, variance: Floats, n: int, V: Floats, policy: NDArray[np.int64], gamma: float,
    delta: float,
) -> Floats:  # fmt: skip
    """Return a bound on the loss by estimation and planning from fresh samples.

    Parameters
    ----------
    mean, variance : (..., S, m) float64
        Of reward plus discounted value V at fresh samples, see `GroupSamples.backup`.
    n : int
        Fresh samples of each pair, at least 2.
    V : (..., S) float64
        Value that was learnt from other samples.
    policy : (..., S) int64
        Policy that was learnt from other samples.
    gamma, delta : float
        Discount and failure probability.

    Returns
    -------
    (...) float64
        (up + lo) / (1 - gamma).
    """
    span = 1.0 + gamma * (V.max(axis=-1) - V.min(axis=-1))[..., None, None]
    width = certificate_width(variance, n, span, delta)
    up = np.maximum(mean + width - V[..., None], 0.0).max(axis=(-2, -1))
    own = np.take_along_axis(mean - width, policy[..., None], axis=-1)[..., 0]
    lo = np.maximum(V - own, 0.0).max(axis=-1)
    return (up + lo) / (1.0 - gamma)  # (9)


def total_bound(
    beta_P: float, beta_r: float, n_states: int, n_groups: int, n: int, gamma: float,
    delta: float, iterations: float = math.inf,
) -> float:  # fmt: skip
    """Return the bound (11) on the loss by groups, samples and iterations together.

    Examples
    --------
    >>> round(total_bound(0.0, 0.0, 6, 64, 1024, 0.9, 0.1), 2)
    15.77
    """
    given = (n_states, n_groups, n, gamma, delta, iterations)
    return approximation_bound(beta_P, beta_r, gamma) + estimation_bound(*given)  # (11)


def step_loss(Q: ArrayLike, group: ArrayLike, weight: ArrayLike) -> float:
    """Return the loss (12) of one action by group; the optimal Q gives ``delta <= loss``.

    Parameters
    ----------
    Q : (S, A) array_like
        Action values.
    group : (A,) or (S, A) array_like of int
        Group of each action.
    weight : (A,) or (S, A) array_like
        mu(a | s, g(a)).

    Examples
    --------
    >>> step_loss([[1.0, 0.0, 0.25]], [0, 0, 1], [0.5, 0.5, 1.0])
    0.5
    """
    q, of = _alike(Q, group)
    played = np.broadcast_to(np.asarray(weight, dtype=np.float64), q.shape)
    S, m = len(q), int(of.max()) + 1
    key = (np.arange(S)[:, None] * m + of).ravel()
    mean = np.bincount(key, (played * q).ravel(), minlength=S * m)
    mean[np.bincount(key, minlength=S * m) == 0] = -np.inf
    return float((q.max(axis=1) - mean.reshape(S, m).max(axis=1)).max())  # (12)


def value_spread(Q: ArrayLike, group: ArrayLike) -> float:
    """Return the spread (13); the optimal Q gives ``loss <= epsilon / (1 - gamma)``.

    Parameters
    ----------
    Q : (S, A) array_like
        Action values.
    group : (A,) or (S, A) array_like of int
        Group of each action.

    Examples
    --------
    >>> value_spread([[1.0, 0.0, 0.25]], [0, 0, 1])
    1.0
    """
    q, of = _alike(Q, group)
    S, m = len(q), int(of.max()) + 1
    key = np.arange(S)[:, None] * m + of
    high, low = np.full(S * m, -np.inf), np.full(S * m, np.inf)
    np.maximum.at(high, key, q)
    np.minimum.at(low, key, q)
    present = np.isfinite(high)
    return float((high[present] - low[present]).max())  # (13)


def best_number(
    scale: float, exponent: float, noise: float, n_states: int, samples: float
) -> float:
    """Return the number of groups (10) that minimises C m^-a + E sqrt(S m / N).

    Parameters
    ----------
    scale, exponent : float
        C and a of the approximation.
    noise : float
        E of the estimation.
    n_states : int
        S.
    samples : float
        N in all.

    Examples
    --------
    >>> m = best_number(1.0, 1.0, 1.0, 1, 4096.0)
    >>> round(m, 6), m < best_number(1.0, 1.0, 1.0, 1, 8192.0)
    (25.398417, True)
    """
    ratio = 2.0 * exponent * scale / (noise * math.sqrt(n_states / samples))
    return ratio ** (2.0 / (2.0 * exponent + 1.0))  # (10)


def _alike(Q: ArrayLike, group: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    q, of = np.asarray(Q, dtype=np.float64), np.asarray(group, dtype=np.int64)
    if q.ndim != 2 or of.shape not in (q.shape, q.shape[1:]):
        raise ValueError(f"Q has shape {q.shape} and group {of.shape}; (S, A) and (A,) expected")
    return q, np.broadcast_to(of, q.shape)


def _left(gamma: float, iterations: float) -> float:
    return 0.0 if math.isinf(iterations) else gamma**iterations / (1.0 - gamma)


def _discount(gamma: float) -> None:
    if not 0.0 <= gamma < 1.0:
        raise ValueError(f"gamma is {gamma}; 0 <= gamma < 1 expected")


def _share(x: float, name: str) -> None:
    if not x >= 0.0:
        raise ValueError(f"{name} is {x}; it lies in [0, 1]")
    if x > 1.0:
        raise NotApplicableError(
            f"{name} is {x} and the bound needs rewards in [0, 1]; shift and scale them"
            if name == "beta_r"
            else f"{name} is {x}; the weight of a kernel is at most 1"
        )


def _sampled(n: int, gamma: float, delta: float) -> None:
    _discount(gamma)
    if n < 1:
        raise ValueError(f"n is {n}: every state and group needs a sample; raise the budget")
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta is {delta}; 0 < delta < 1 expected")
