r"""Coverage of linear models, exactly: what data of a behaviour policy can say about a target.

Problem       How well do data with Gram matrices ``M_h = sum_tau phi_tau phi_tau^T`` cover a
              policy, in the model or in every kernel near it?
Algorithm     Occupancies forward: ``w_h(k) = d_h(s) pi_h(k)``, ``d_{h+1} = (phi^T w_h) mu_h``. (1)
              Full coverage: ``kappa = min_h lambda_min(E phi phi^T)``.                         (2)
              Partial coverage: the largest c with, for all h, i and kernels P considered,
              ``M_h >= n c E_P[phi_i^2] e_i e_i^T``. M >= t e e^T holds exactly for
              ``t <= 1 / (e^T M^+ e)`` if e is in the range of M, else for t <= 0, so
              ``c = min_{h,i} 1 / (n E[phi_i^2] (M_h^+)_ii)``.                                  (3)
              Worst kernels: ``sup E_q U`` over a ball is minus the infimum for -U, step by step
              backwards; balls are rectangular, so this is the supremum over all of them.       (4)
Guarantee     Exact up to rounding. The ridge of ``Lambda_h = M_h + ridge I`` cancels in (3).
Cost          (1): O(H (K d + d S)). (3): O(H d^3). (4): H d inner problems of size S; its use for
              second moments H d times that.
Deviations    None.
References    Liu and Xu (2024) for (2); Tang, Liu and Xu (2025) for (3), whose assumption has
              ``Lambda_h >= ridge I + n c E[(phi_i 1_i)(phi_i 1_i)^T]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.linear import LinearMDP
from mdplib.policy import MarkovPolicy, Policy, StochasticPolicy
from mdplib.robust import RobustDual, Robustness

Floats = NDArray[np.float64]
_RANGE = 1e-9  # squared length of a unit vector outside the range of a Gram matrix


class Worst(NamedTuple):
    """Values that an adversary maximises, and the kernel that attains them.

    `value` is (H+1, S) float64, `mu` (H, d, S) float64: the factors, for `LinearMDP.with_mu`.
    """

    value: Floats
    mu: Floats


def mixed_policy(mdp: LinearMDP, first: Policy, second: Policy, share: float) -> MarkovPolicy:
    """Return the policy that plays `first` with probability `share` at each step, else `second`.

    Parameters
    ----------
    mdp : LinearMDP
        The model.
    first, second : Policy
        On its pairs.
    share : float
        In [0, 1].

    Returns
    -------
    MarkovPolicy

    Examples
    --------
    >>> from mdplib import models
    >>> five = models.five_state()
    >>> V, best = five.optimal()
    >>> mixed_policy(five, best, five.uniform, 0.5).probs(0)[1].max().round(6)
    np.float64(0.53125)
    """
    if not 0 <= share <= 1:
        raise InvalidModelError(f"share is {share!r}; a number from 0 to 1 expected")
    features = mdp.features
    steps = [
        StochasticPolicy(
            share * features.weights(first, h) + (1 - share) * features.weights(second, h),
            features.state_ptr,
            features.action_id,
        )
        for h in range(mdp.horizon)
    ]
    return MarkovPolicy(tuple(steps))


def occupancy(mdp: LinearMDP, policy: Policy, initial: ArrayLike | None = None) -> Floats:
    """Return the probability of playing each pair at each step (1).

    Parameters
    ----------
    mdp : LinearMDP
        The model.
    policy : Policy
        On its pairs.
    initial : (S,) array, optional
        Law of the first state, by default the model's.

    Returns
    -------
    (H, K) float64
        Rows sum to one, or to the probability that the episode is not over yet.

    Raises
    ------
    InvalidModelError
        If there is no law of the first state.

    Examples
    --------
    >>> from mdplib import models
    >>> five = models.five_state()
    >>> occupancy(five, five.uniform).sum(axis=1)
    array([1., 1., 1.])
    """
    features, law = mdp.features, mdp.initial
    if initial is not None:
        law = validate.frozen(initial, np.float64, "initial")
        validate.distribution(law, mdp.n_states, "initial")
    if law is None:
        raise InvalidModelError(
            "the model has no initial law; pass initial, or use mdp.replace(initial=...)"
        )
    found = np.empty((mdp.horizon, mdp.n_pairs))
    for h in range(mdp.horizon):
        found[h] = law[features.pair_state] * features.weights(policy, h)
        law = (found[h] @ features.phi) @ mdp.mu[h]  # (1)
    return found


def second_moments(mdp: LinearMDP, policy: Policy) -> Floats:
    """Return ``E phi phi^T`` under a policy at each step, (H, d, d).

    Examples
    --------
    >>> from mdplib import models
    >>> five = models.five_state()
    >>> second_moments(five, five.uniform)[0].round(3)
    array([[0.5, 0. , 0. , 0.2],
           [0. , 0. , 0. , 0. ],
           [0. , 0. , 0. , 0. ],
           [0.2, 0. , 0. , 0.1]])
    """
    phi = mdp.features.phi
    return np.stack([phi.T @ (weight[:, None] * phi) for weight in occupancy(mdp, policy)])


def full_coverage(moments: ArrayLike) -> float:
    """Return kappa (2), the least eigenvalue of any step's matrix.

    Parameters
    ----------
    moments : (H, d, d) array
        From `second_moments`, or Gram matrices divided by the number of trajectories.

    Returns
    -------
    float
        At least 0.

    Examples
    --------
    >>> full_coverage([[[0.5, 0.0], [0.0, 0.2]]])
    0.2
    """
    return max(0.0, float(np.linalg.eigvalsh(_matrices(moments))[:, 0].min()))  # (2)


def directions(moments: ArrayLike) -> Floats:
    """Return the largest t with ``M_h >= t e_i e_i^T``, for each step and coordinate.

    Parameters
    ----------
    moments : (H, d, d) array
        Positive semidefinite matrices M_h.

    Returns
    -------
    (H, d) float64
        ``1 / (M_h^+)_ii``, or 0 if e_i is not in the range of M_h.

    Examples
    --------
    >>> directions([[[2.0, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 0.0]]])
    array([[1.5, 1.5],
           [1. , 0. ]])
    """
    values, vectors = np.linalg.eigh(_matrices(moments))
    size = values.shape[1]
    kept = values > size * np.finfo(np.float64).eps * np.maximum(values[:, -1:], 0.0)
    squares = vectors**2
    outside = np.where(kept[:, None, :], 0.0, squares).sum(axis=2)
    inverse = np.where(kept, 1.0, 0.0) / np.where(kept, values, 1.0)
    diagonal = (squares * inverse[:, None, :]).sum(axis=2)
    inside = outside <= _RANGE
    return np.where(inside, 1.0, 0.0) / np.where(inside & (diagonal > 0), diagonal, 1.0)


def partial_coverage(moments: ArrayLike, target: ArrayLike) -> float:
    """Return the constant c of partial coverage (3).

    Parameters
    ----------
    moments : (H, d, d) array
        Of the behaviour: `second_moments`, or Gram matrices divided by the number n.
    target : (H, d) array
        Largest ``E[phi_i^2]`` of the target policy over the kernels considered: the diagonal of
        its `second_moments` for one kernel, or `worst_squares`.

    Returns
    -------
    float
        0 where some needed direction is not covered; inf if the target needs none.

    Examples
    --------
    >>> from mdplib import models
    >>> five = models.five_state()
    >>> V, best = five.optimal()
    >>> need = np.diagonal(second_moments(five, best), axis1=1, axis2=2)
    >>> round(partial_coverage(second_moments(five, five.uniform), need), 4)
    0.08
    """
    covered = directions(moments)
    need = validate.frozen(target, np.float64, "target", (2,))
    if need.shape != covered.shape:
        raise InvalidModelError(f"target has shape {need.shape}; {covered.shape} expected")
    validate.require(
        (np.isfinite(need) & (need >= 0)).ravel(),
        lambda j: f"target[{j // need.shape[1]}, {j % need.shape[1]}] is {need.flat[j]}",
        "Second moments are finite and at least 0.",
    )
    wanted = need > 0
    if not wanted.any():
        return float("inf")
    return float((covered[wanted] / need[wanted]).min())  # (3)


def admissible_balls(mdp: LinearMDP, robustness: Robustness, V: ArrayLike) -> Robustness:
    """Return the balls that hold every kernel a penalised adversary may choose.

    Parameters
    ----------
    mdp : LinearMDP
        The nominal model.
    robustness : Robustness
        Penalties lambda.
    V : (H+1, S) array
        Optimal robust values.

    Returns
    -------
    Robustness
        In mode "ball", with radius ``max_s V_{h+1}(s) / lambda_{h,i}``; 0 where lambda is inf.

    Examples
    --------
    >>> from mdplib import models
    >>> five = models.five_state()
    >>> balls = admissible_balls(five, Robustness("tv", 4.0), five.optimal()[0])
    >>> balls.table(3, 4)[:, 0]
    array([0.5 , 0.25, 0.  ])
    """
    if robustness.mode != "penalty":
        raise InvalidModelError("the robustness is a ball already; a penalty expected")
    V = np.asarray(V, dtype=np.float64)
    if V.shape != (mdp.horizon + 1, mdp.n_states):
        raise InvalidModelError(
            f"V has shape {V.shape}; ({mdp.horizon + 1}, {mdp.n_states}) expected"
        )
    price = robustness.table(mdp.horizon, mdp.dimension)
    return Robustness(robustness.divergence, V[1:].max(axis=1)[:, None] / price, "ball")


def worst_sum(
    mdp: LinearMDP, policy: Policy, reward: ArrayLike, balls: Robustness | None = None
) -> Worst:
    """Return the largest expected sum of a nonnegative reward over all kernels in balls (4).

    Parameters
    ----------
    mdp : LinearMDP
        The nominal model; its own rewards play no part.
    policy : Policy
        On its pairs.
    reward : (H, K) array
        What is summed.
    balls : Robustness, optional
        In mode "ball"; the nominal kernel alone by default.

    Returns
    -------
    Worst
        ``sup_P E_P[sum_{t >= h} reward_t | s_h = s]`` and a kernel that attains it.

    Examples
    --------
    >>> from mdplib import models
    >>> five = models.five_state()
    >>> fail = np.zeros((3, 80))
    >>> fail[2, 48:64] = 1.0  # in the fail state at the last step
    >>> round(float(worst_sum(five, five.uniform, fail).value[0, 0]), 6)
    0.00119
    >>> balls = Robustness("tv", 0.1, "ball")
    >>> round(float(worst_sum(five, five.uniform, fail, balls).value[0, 0]), 6)
    0.191071
    """
    H, d = mdp.horizon, mdp.dimension
    reward = np.asarray(reward, dtype=np.float64)
    if reward.shape != (H, mdp.n_pairs):
        raise InvalidModelError(f"reward has shape {reward.shape}; ({H}, {mdp.n_pairs}) expected")
    if balls is not None and balls.mode != "ball":
        raise InvalidModelError("the robustness is a penalty; balls expected (admissible_balls)")
    features = mdp.features
    divergence = "tv" if balls is None else balls.divergence
    radius = np.zeros((H, d)) if balls is None else balls.table(H, d)
    V, mu = np.zeros((H + 1, mdp.n_states)), mdp.mu.copy()
    for h in range(H - 1, -1, -1):
        varies = V[h + 1].min() < V[h + 1].max()  # else no kernel is worse than another
        for r in np.unique(radius[h][radius[h] > 0]) if varies else ():
            rows = radius[h] == r
            dual = RobustDual(divergence, "ball", float(r))
            mu[h, rows] = dual.minimiser(mdp.mu[h, rows], -V[h + 1])  # (4)
        q = reward[h] + features.phi @ (mu[h] @ V[h + 1])
        V[h] = np.add.reduceat(features.weights(policy, h) * q, features.state_ptr[:-1])
    return Worst(V, mu)


def bonus_sum(
    mdp: LinearMDP, policy: Policy, sigma: ArrayLike, balls: Robustness | None = None
) -> Worst:
    """Return Phi: the largest expected sum of ``sum_i phi_i sigma_{h,i}`` over kernels in balls.

    Parameters
    ----------
    mdp : LinearMDP
        The nominal model.
    policy : Policy
        The optimal (robust) policy, for the bound on suboptimality.
    sigma : (H, d) array
        Square roots of the diagonals of ``Lambda_h^-1``.
    balls : Robustness, optional
        In mode "ball", see `admissible_balls`; the nominal kernel alone by default.

    Returns
    -------
    Worst
        With values (H+1, S); its first row is Phi by first state.
    """
    sigma = np.asarray(sigma, dtype=np.float64)
    if sigma.shape != (mdp.horizon, mdp.dimension):
        raise InvalidModelError(
            f"sigma has shape {sigma.shape}; ({mdp.horizon}, {mdp.dimension}) expected"
        )
    return worst_sum(mdp, policy, sigma @ mdp.features.phi.T, balls)


def worst_squares(mdp: LinearMDP, policy: Policy, balls: Robustness | None = None) -> Floats:
    """Return the largest ``E_P[phi_i^2]`` at each step over all kernels in balls.

    Parameters
    ----------
    mdp : LinearMDP
        The nominal model, with an initial law.
    policy : Policy
        On its pairs.
    balls : Robustness, optional
        In mode "ball"; the nominal kernel alone by default.

    Returns
    -------
    (H, d) float64

    Examples
    --------
    >>> from mdplib import models
    >>> mdp = models.random_simplex_mdp(rng=np.random.default_rng(0))
    >>> alone = worst_squares(mdp, mdp.uniform)
    >>> bool(np.allclose(alone, np.diagonal(second_moments(mdp, mdp.uniform), axis1=1, axis2=2)))
    True
    """
    H, d = mdp.horizon, mdp.dimension
    if mdp.initial is None:
        raise InvalidModelError("the model has no initial law; use mdp.replace(initial=...)")
    found = np.empty((H, d))
    for h in range(H):
        for i in range(d):
            reward = np.zeros((H, mdp.n_pairs))
            reward[h] = mdp.features.phi[:, i] ** 2
            found[h, i] = mdp.initial @ worst_sum(mdp, policy, reward, balls).value[0]
    return found


def _matrices(moments: ArrayLike) -> Floats:
    """Return a checked stack of symmetric matrices."""
    M = validate.frozen(moments, np.float64, "moments", (3,))
    if not M.size or M.shape[1] != M.shape[2]:
        raise InvalidModelError(f"moments has shape {M.shape}; (H, d, d) expected")
    if not np.isfinite(M).all() or np.abs(M - M.transpose(0, 2, 1)).max() > 1e-9 * np.abs(M).max():
        raise InvalidModelError("moments are not symmetric matrices of finite numbers")
    return M
