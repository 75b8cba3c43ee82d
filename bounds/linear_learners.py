r"""Offline learners for linear problems in plain numpy: R2PVI, DRPVI and PEVI.

Problem
-------
Counts of (h, s, a, s') from the nominal process are given. Find a policy whose robust value is
large, and a lower estimate of that value.

Algorithm
---------
Backwards from Vhat_{H+1} = 0, with Lambda = sum phi phi^T + ridge I over the data of step h,

    W = Lambda^{-1} sum phi 1{s'},  sigma_i = sqrt((Lambda^{-1})_ii),                       (1)
    Qhat = clip(phi (theta_h + w) - beta phi sigma, 0, H - h + 1),                          (2)

where w_i is the worst mean of Vhat_{h+1} under the signed measure W_i: for a penalty lambda

    tv    W [Vhat]_a at a = min Vhat + lambda,                                              (3)
    kl    -lambda log max(W exp(-Vhat / lambda), exp(-H / lambda)),                         (4)
    chi2  max over a of m1 + m1^2 / (4 lambda) - m2 / (4 lambda),
          m1 = clip(W [Vhat]_a, 0, H), m2 = clip(W [Vhat]_a^2, 0, H^2),                     (5)

and for a total-variation ball (DRPVI)

    max over a of W [Vhat]_a - rho (a - min [Vhat]_a).                                      (6)

PEVI regresses reward plus value and subtracts beta sqrt(phi Lambda^{-1} phi).               (7)

Guarantee
---------
`bounds.tang2025_pessimism`, `bounds.liu2024`, `bounds.jin2021`.

Cost
----
O(S^2 A d + d^3) per step.

Deviations
----------
Data enter as counts, so regressions run over distinct states; the minima of (3) and (6) are taken
over all states. The library's own learners are in `solvers.robust`; nothing is shared.

References
----------
tang2025, algorithms 1 to 4; liu2024, algorithm 1; jin2021, algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bounds.linear_problem import Problem
from bounds.model import Array
from bounds.robust_inner import Ambiguity
from mdplib.errors import NotApplicableError

Target = Literal["paper", "shrink_to_one"]


@dataclass(frozen=True, eq=False)
class Learned:
    """What a learner returns.

    Parameters
    ----------
    V : (H + 1, S) float64
        Estimated values.
    policy : (H, S) int64
        Greedy actions.
    w : (H, d) float64
        Estimated worst means.
    sigma : (H, d) float64
        Widths of the coordinates, (1).
    bonus : (H, S, A) float64
        What was subtracted, divided by beta.
    """

    V: Array
    policy: Array
    w: Array
    sigma: Array
    bonus: Array


def r2pvi(
    problem: Problem,
    counts: Array,
    ambiguity: Ambiguity,
    beta: float,
    *,
    ridge: float = 1.0,
    target: Target = "shrink_to_one",
) -> Learned:
    """Learn with a penalty or, for total variation, a ball (DRPVI).

    Parameters
    ----------
    problem : Problem
        Features and rewards are used; the factor laws are not.
    counts : (H, S, A, S) array
        The data.
    ambiguity : Ambiguity
        The adversary.
    beta : float
        Multiplier of the bonus.
    ridge : float
        Regularisation of the regression.
    target : {"paper", "shrink_to_one"}
        For "kl": what the regression of exp(-V / lambda) shrinks to without data, 0 or 1.

    Returns
    -------
    Learned
        The estimates.
    """
    H, S, A, d = problem.shape
    V, policy = np.zeros((H + 1, S)), np.zeros((H, S), dtype=np.int64)
    w, sigma, bonus = np.zeros((H, d)), np.zeros((H, d)), np.zeros((H, S, A))
    for h in range(H - 1, -1, -1):
        W, inverse = measures(problem.phi, counts[h], ridge)
        sigma[h] = np.sqrt(np.diag(inverse))  # (1)
        if h < H - 1:
            w[h] = regressed(ambiguity, W, V[h + 1], float(H), target)
        bonus[h] = problem.phi @ sigma[h]
        Q = problem.phi @ (problem.theta[h] + w[h]) - beta * bonus[h]
        Q = np.clip(Q, 0.0, H - h)  # (2)
        policy[h], V[h] = Q.argmax(1), Q.max(1)
    return Learned(V, policy, w, sigma, bonus)


def pevi(problem: Problem, counts: Array, beta: float, *, ridge: float = 1.0) -> Learned:
    """Learn without robustness: arguments and result as `r2pvi`."""
    H, S, A, d = problem.shape
    V, policy = np.zeros((H + 1, S)), np.zeros((H, S), dtype=np.int64)
    w, sigma, bonus = np.zeros((H, d)), np.zeros((H, d)), np.zeros((H, S, A))
    for h in range(H - 1, -1, -1):
        W, inverse = measures(problem.phi, counts[h], ridge)
        paid = np.einsum("sai,sa,sa->i", problem.phi, counts[h].sum(-1), problem.reward(h))
        w[h] = inverse @ paid + W @ V[h + 1]
        sigma[h] = np.sqrt(np.diag(inverse))
        quadratic = np.einsum("sai,ij,saj->sa", problem.phi, inverse, problem.phi)
        bonus[h] = np.sqrt(np.maximum(quadratic, 0.0))  # (7)
        Q = np.clip(problem.phi @ w[h] - beta * bonus[h], 0.0, H - h)
        policy[h], V[h] = Q.argmax(1), Q.max(1)
    return Learned(V, policy, w, sigma, bonus)


def measures(phi: Array, counts: Array, ridge: float) -> tuple[Array, Array]:
    """Return the signed measures of the factors and the inverse Gram matrix of one step.

    Parameters
    ----------
    phi : (S, A, d) float64
        Features.
    counts : (S, A, S) array
        Data of the step.
    ridge : float
        Regularisation.

    Returns
    -------
    W : (d, S) float64
        Regression of the indicators of the next states.
    inverse : (d, d) float64
        Inverse of Lambda.
    """
    rows = phi.reshape(-1, phi.shape[-1])
    seen = counts.reshape(rows.shape[0], -1).astype(np.float64)
    gram = rows.T @ (rows * seen.sum(1)[:, None]) + ridge * np.eye(rows.shape[1])
    inverse = np.linalg.inv(gram)
    return inverse @ (rows.T @ seen), inverse  # (1)


def regressed(ambiguity: Ambiguity, W: Array, V: Array, cap: float, target: Target) -> Array:
    """Return the estimated worst means.

    Parameters
    ----------
    ambiguity : Ambiguity
        The adversary.
    W : (d, S) float64
        Signed measures.
    V : (S,) float64
        Estimated values of the next step.
    cap : float
        The number of steps H, the range of the clips of (4) and (5).
    target : {"paper", "shrink_to_one"}
        See `r2pvi`.

    Returns
    -------
    (d,) float64
        One worst mean per factor.
    """
    strength = ambiguity.strength
    if ambiguity.mode == "ball":
        if ambiguity.divergence != "tv":
            raise NotApplicableError("the plain learner knows balls of total variation only")
        levels = np.append(V, 0.0)
        cut = np.minimum(V, levels[:, None])
        return (W @ cut.T - strength * (levels - cut.min(1))).max(1)  # (6)
    if np.isinf(strength):
        return W @ V
    if ambiguity.divergence == "tv":
        return W @ np.minimum(V, V.min() + strength)  # (3)
    if ambiguity.divergence == "chi2":
        return _chi_square(W, V, strength, cap)
    least = float(V.min()) if target == "paper" else 0.0
    falls = np.exp(-(V - least) / strength)
    scaled = W @ falls if target == "paper" else 1.0 + W @ (falls - 1.0)
    scaled = np.maximum(scaled, np.finfo(np.float64).tiny)
    return np.minimum(least - strength * np.log(scaled), cap)  # (4)


def _chi_square(W: Array, V: Array, strength: float, cap: float) -> Array:
    """Return the maximum of (5): every stationary point, root of a clip and knot is tried."""
    order = np.argsort(V, kind="stable")
    W, V = W[:, order], V[order]
    low, high = V[:-1], V[1:]
    mass = np.cumsum(W, 1)[:, :-1]
    A, C = np.cumsum(W * V, 1)[:, :-1], np.cumsum(W * V**2, 1)[:, :-1]
    B = W.sum(1, keepdims=True) - mass  # between the knots m1 = A + B a and m2 = C + B a^2
    with np.errstate(divide="ignore", invalid="ignore"):
        tried = [(A + 2.0 * strength) / (1.0 - B), -A / B, (cap - A) / B]
        tried += [np.sqrt((c - C) / B) for c in (0.0, cap**2)]
    inside = np.clip(np.where(np.isfinite(tried), tried, low), low, high)
    level = np.concatenate([np.broadcast_to(V, W.shape), *inside], 1)
    cut = np.minimum(V, level[..., None])
    first = np.clip((cut @ W[..., None])[..., 0], 0.0, cap)
    second = np.clip((cut**2 @ W[..., None])[..., 0], 0.0, cap**2)
    return (first + (first**2 - second) / (4.0 * strength)).max(1)  # (5)
