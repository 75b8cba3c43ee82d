r"""Quantities of the theory of offline robust learning, computed on a known problem.

Problem
-------
A learner returned Vhat, w and sigma. How wide was it off, and what does that say about its policy?

Algorithm
---------
With R the worst mean under the adversary and pi* the optimal robust policy,

    beta_emp = max over h, i of |R(mu_hi, Vhat_{h+1}) - w_hi| / sigma_hi,                    (1)
    certificate = 2 beta sum_h E[phi sigma_h], under pi* and the worst kernel for Vhat,      (2)
    Phi = sup sum_h E[phi sigma_h], under pi* and any kernel of balls of radius r_h,         (3)
    r_h = max V*_{h+1} / lambda,                                                            (4)

all by backward induction. The radii of theory, with H steps, d features, K trajectories:

    tv    16 H d sqrt(xi), xi = 2 log(1024 H sqrt(d) K^2 / delta),                          (5)
    kl    16 d lambda e^{H/lambda} sqrt(H / lambda + xi), xi = log(1024 d lambda^2 K^3 H / delta),
                                                                                            (6)
    chi2  8 d H^2 (1 + 1/lambda) sqrt(xi),
          xi = log(192 K^5 H^6 d^3 (1 + H / (2 lambda))^3 / delta).                          (7)

The coverage of the data is the largest c with Lambda_h - ridge I >= K c E[phi_i^2] e_i e_i' for all
h, i and kernels of (3); with M = Lambda_h - ridge I it is

    c = min over h, i of 1 / (K sup E[phi_i^2] (M^+)_ii), 0 if e_i is not in the range of M.  (8)

Guarantee
---------
See `bounds.tang2025_pessimism` and `bounds.tang2025_suboptimality`.

Cost
----
Backward inductions: one for (2) and (3), H d of them for (8).

Deviations
----------
xi of (6) is replaced by zero where it is negative, for tiny lambda.

References
----------
tang2025, theorem 5.2 and assumption 5.3.
"""

from __future__ import annotations

import numpy as np

from bounds.linear_learners import Learned
from bounds.linear_problem import Problem
from bounds.model import Array
from bounds.robust_inner import Ambiguity, Divergence, ball


def theory_radius(
    divergence: Divergence,
    *,
    horizon: int,
    dimension: int,
    n: float,
    delta: float,
    strength: float,
) -> float:
    """Return the multiplier beta that theory asks for.

    Parameters
    ----------
    divergence : {"tv", "kl", "chi2"}
        The divergence of the penalty.
    horizon, dimension : int
        H and d.
    n : float
        Number of trajectories K.
    delta : float
        Allowed failure probability.
    strength : float
        The penalty lambda.

    Returns
    -------
    float
        For ridge 1.

    Examples
    --------
    >>> size = {"horizon": 4, "dimension": 5, "n": 100, "delta": 0.05, "strength": 1.0}
    >>> [round(theory_radius(D, **size)) for D in ("tv", "kl", "chi2")]
    [2090, 24216, 8842]
    """
    H, d, lam = horizon, dimension, strength
    if divergence == "tv":
        xi = 2.0 * np.log(1024.0 * H * np.sqrt(d) / delta) + 4.0 * np.log(n)
        return float(16.0 * H * d * np.sqrt(xi))  # (5)
    if divergence == "kl":
        xi = np.log(1024.0 * d * H / delta) + 2.0 * np.log(lam) + 3.0 * np.log(n)
        with np.errstate(over="ignore"):
            grown = float(np.exp(H / lam))
        return float(16.0 * d * lam * grown * np.sqrt(H / lam + max(xi, 0.0)))  # (6)
    size = 192.0 * d**3 * H**6 * (1.0 + H / (2.0 * lam)) ** 3 / delta
    return float(
        8.0 * d * H**2 * (1.0 + 1.0 / lam) * np.sqrt(np.log(size) + 5.0 * np.log(n))
    )  # (7)


def errors(problem: Problem, learned: Learned, ambiguity: Ambiguity) -> Array:
    """Return R(mu, Vhat) - w at each step and factor, (H, d)."""
    steps = range(problem.shape[0])
    return np.stack([ambiguity.value(problem.mu[h], learned.V[h + 1]) for h in steps]) - learned.w


def needed_radius(problem: Problem, learned: Learned, ambiguity: Ambiguity) -> float:
    """Return the smallest multiplier for which every estimate is within its width.

    Parameters
    ----------
    problem : Problem
        The truth.
    learned : Learned
        Estimates.
    ambiguity : Ambiguity
        The adversary.

    Returns
    -------
    float
        beta_emp, (1).
    """
    return float((np.abs(errors(problem, learned, ambiguity)) / learned.sigma).max())  # (1)


def certificate(
    problem: Problem, learned: Learned, ambiguity: Ambiguity, policy: Array, beta: float
) -> Array:
    """Return what the policy of the learner loses at most, if beta covers its errors.

    Parameters
    ----------
    problem : Problem
        The truth.
    learned : Learned
        Estimates.
    ambiguity : Ambiguity
        The adversary.
    policy : (H, S) int64
        The optimal robust policy.
    beta : float
        Multiplier of the widths.

    Returns
    -------
    (S,) float64
        One bound per initial state.
    """
    H, S, _, _ = problem.shape
    total, states = np.zeros(S), np.arange(S)
    for h in range(H - 1, -1, -1):
        worst = ambiguity.worst(problem.mu[h], learned.V[h + 1])
        features = problem.phi[states, policy[h]]
        total = learned.bonus[h][states, policy[h]] * 2.0 * beta + features @ (worst @ total)  # (2)
    return total


def admissible_radii(V_star: Array, strength: float) -> Array:
    """Return the radius of the kernels that an adversary can afford, per step, (4)."""
    return V_star[1:].max(1) / strength  # (4)


def largest_sum(
    problem: Problem, policy: Array, gains: Array, divergence: Divergence, radii: Array
) -> Array:
    """Return the largest expected sum of gains over the kernels of the balls.

    Parameters
    ----------
    problem : Problem
        Centres of the balls and features.
    policy : (H, S) int64
        Actions.
    gains : (H, S, A) float64
        What each pair brings: bonuses divided by beta give Phi.
    divergence : {"tv", "kl", "chi2"}
        Of the balls.
    radii : (H,) float64
        Of the balls.

    Returns
    -------
    (S,) float64
        One value per initial state.
    """
    H, S, _, _ = problem.shape
    total, states = np.zeros(S), np.arange(S)
    for h in range(H - 1, -1, -1):
        ahead = -ball(divergence, problem.mu[h], -total, float(radii[h]))
        total = gains[h][states, policy[h]] + problem.phi[states, policy[h]] @ ahead  # (3)
    return total


def feature_use(problem: Problem, policy: Array, divergence: Divergence, radii: Array) -> Array:
    """Return the largest E[phi_i^2] at each step, over the kernels of the balls.

    Parameters
    ----------
    problem : Problem
        Centres of the balls, features, initial state.
    policy : (H, S) int64
        The optimal robust policy.
    divergence : {"tv", "kl", "chi2"}
        Of the balls.
    radii : (H,) float64
        Of the balls.

    Returns
    -------
    (H, d) float64
        Zero where the policy never uses the feature.
    """
    H, S, A, d = problem.shape
    use = np.zeros((H, d))
    for h in range(H):
        for i in range(d):
            gains = np.zeros((H, S, A))
            gains[h] = problem.phi[:, :, i] ** 2
            total = largest_sum(problem, policy, gains, divergence, radii)
            use[h, i] = total[problem.start]
    return use


def coverage(problem: Problem, counts: Array, use: Array) -> float:
    """Return the largest constant c of the robust partial coverage of the data.

    Parameters
    ----------
    problem : Problem
        Gives the features.
    counts : (H, S, A, S) array
        The data; each step sums to K.
    use : (H, d) float64
        See `feature_use`.

    Returns
    -------
    float
        Zero without coverage, inf if the policy uses no feature.
    """
    H, _, _, d = problem.shape
    rows, best = problem.phi.reshape(-1, d), np.inf
    for h in range(H):
        seen = counts[h].reshape(rows.shape[0], -1).sum(1).astype(np.float64)
        gram = rows.T @ (rows * seen[:, None])
        inverse = np.linalg.pinv(gram, hermitian=True)
        inside = np.abs(gram @ inverse - np.eye(d)).max(0) < 1e-6
        for i in np.flatnonzero(use[h] > 0):
            c = 1.0 / (counts[h].sum() * use[h, i] * inverse[i, i]) if inside[i] else 0.0  # (8)
            best = min(best, float(c))
    return best
