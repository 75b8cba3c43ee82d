r"""Linear models of tabular ones: the factors that explain given kernels.

Problem       Given features phi and kernels P_h, factors mu_h,i in the simplex that minimise
              ``sum_k |P_h(. | k) - sum_i phi_i(k) mu_h,i|_2^2``.                             (1)
Algorithm     Least squares; if its solution leaves the simplex, projected accelerated gradient
              descent with restarts.
Guarantee     `fit_factors` reports the misfit of every pair in total variation, whatever the
              search found. With features of full column rank and a linear model the factors are
              the only ones, up to rounding.
Cost          One factorisation of a d x d matrix; O(K d S) per step and iteration.
Deviations    None.
References    Beck and Teboulle (2009); O'Donoghue and Candes (2015) for the restarts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.features import Features
from mdplib.linear import LinearMDP
from mdplib.pairs import step_pairs

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
MISFIT = 1e-8  # total variation below which a model counts as linear in the features
_ITERATIONS = 20_000


def from_tabular(mdp: TabularMDP, features: Features | None = None) -> LinearMDP:
    """Return a tabular model as a linear one, see `LinearMDP.from_tabular`."""
    if features is None:
        hot = Features.one_hot(mdp)
        kernels = np.stack([kernel.toarray() for kernel in _kernels(mdp)])
        mu = _one_per_step(kernels, mdp.horizon or 0)
        reward = _rewards(mdp)
        return LinearMDP(hot, reward, mu, reward, mdp.initial, mdp.state_labels, mdp.action_labels)
    model, misfit = fit_factors(mdp, features)
    if misfit.max() > MISFIT:
        h, k = np.unravel_index(int(misfit.argmax()), misfit.shape)
        raise InvalidModelError(
            f"the law of {features.name(int(k))} at step {h} is {misfit[h, k]:.3g} away, in total "
            f"variation, from any mixture of factors. {np.count_nonzero(misfit > MISFIT)} of "
            f"{misfit.size} laws are off. Use other features, or fit_factors for the nearest model."
        )
    return model


def fit_factors(mdp: TabularMDP, features: Features) -> tuple[LinearMDP, Floats]:
    """Return the linear model nearest to a tabular one, and how far off it is.

    Parameters
    ----------
    mdp : TabularMDP
        With a finite horizon, gamma = 1 and no terminal reward; its pairs are those of the
        features, or of a lift of them.
    features : Features
        On the simplex.

    Returns
    -------
    model : LinearMDP
        With the rewards of `mdp` and the factors of problem (1).
    misfit : (H, K) float64
        Total variation between the law of each pair and its mixture of factors.

    Raises
    ------
    InvalidModelError
        If the pairs differ, or `mdp` is discounted.

    Examples
    --------
    >>> from mdplib import models
    >>> five = models.five_state()
    >>> model, misfit = fit_factors(five.tabular(), five.features)
    >>> bool(misfit.max() < 1e-12), model.horizon
    (True, 3)
    """
    reward = _rewards(mdp)
    ptr, action = step_pairs(mdp)
    K, S = features.n_pairs, features.n_states
    more = int(mdp.n_states == S + 1 and features.has_ends)
    same = np.array_equal(ptr[: ptr.size - more], features.state_ptr)
    if not same or not np.array_equal(action[: action.size - more], features.action_id):
        raise InvalidModelError(
            f"the model has {action.size} pairs on {mdp.n_states} states and the features {K} on "
            f"{S}, or their actions differ; they must describe the same pairs"
        )
    open_pairs = np.ones(K, dtype=bool) if features.ends is None else ~features.ends
    phi = features.phi[open_pairs]
    laws, misfits = [], []
    for kernel in _kernels(mdp):
        P = kernel[:K, :S].toarray()
        mu = nearest_factors(phi, P[open_pairs])
        laws.append(mu)
        misfits.append(0.5 * np.abs(features.phi @ mu - P).sum(axis=1))
    H = mdp.horizon or 0
    initial = None if mdp.initial is None else mdp.initial[:S]
    names = None if mdp.state_labels is None else mdp.state_labels[:S]
    model = LinearMDP(
        features,
        reward[:, :K],
        _one_per_step(np.stack(laws), H),
        initial=initial,
        state_labels=names,
        action_labels=mdp.action_labels,
    )
    return model, _one_per_step(np.stack(misfits), H)


def nearest_factors(phi: Floats, P: Floats, tolerance: float = 1e-12) -> Floats:
    """Solve problem (1) for one step.

    Parameters
    ----------
    phi : (K, d) float64
        Features.
    P : (K, S) float64
        Laws.
    tolerance : float
        Stop when no entry of a factor moves by more.

    Returns
    -------
    (d, S) float64
        Factors, in the simplex.

    Examples
    --------
    >>> P = np.array([[1.0, 0.0], [0.5, 0.5]])
    >>> np.abs(nearest_factors(P, P).round(12))
    array([[1., 0.],
           [0., 1.]])
    """
    free: Any = np.linalg.lstsq(phi, P, rcond=None)[0]
    used = phi.any(axis=0)
    if free[used].min(initial=0.0) >= -1e-10 and np.abs(free[used].sum(axis=1) - 1).max() < 1e-10:
        return project(free)
    gram, cross = phi.T @ phi, phi.T @ P
    step = 1.0 / np.linalg.eigvalsh(gram)[-1]
    mu = project(free)
    ahead: Any = mu
    momentum = 1.0
    for _ in range(_ITERATIONS):
        new = project(ahead - step * (gram @ ahead - cross))  # (1)
        moved = new - mu
        if np.abs(moved).max() <= tolerance:
            return new
        if np.sum((ahead - new) * moved) > 0:  # the momentum points uphill
            momentum = 1.0
        following = 0.5 * (1 + np.sqrt(1 + 4 * momentum**2))
        ahead = new + (momentum - 1) / following * moved
        mu, momentum = new, following
    return mu


def project(rows: Floats) -> Floats:
    """Return the nearest point of the simplex for each row.

    Examples
    --------
    >>> project(np.array([[0.5, 0.7], [2.0, 0.0]]))
    array([[0.4, 0.6],
           [1. , 0. ]])
    """
    S = rows.shape[1]
    sorted_rows = -np.sort(-rows, axis=1)
    excess = (np.cumsum(sorted_rows, axis=1) - 1) / np.arange(1, S + 1)
    last = np.count_nonzero(sorted_rows > excess, axis=1) - 1
    point = np.maximum(rows - excess[np.arange(rows.shape[0]), last][:, None], 0.0)
    return point / point.sum(axis=1, keepdims=True)


def _rewards(mdp: TabularMDP) -> Floats:
    """Return the rewards by step and pair, (H, K), of an undiscounted finite-horizon model."""
    if mdp.horizon is None or mdp.gamma != 1.0:
        raise InvalidModelError(
            f"the model has horizon {mdp.horizon} and gamma {mdp.gamma}; linear models have a "
            "finite horizon and no discounting. Use mdp.replace(gamma=1.0, horizon=H)"
        )
    if mdp.terminal is not None and mdp.terminal.any():
        raise InvalidModelError(
            "the model pays a terminal reward, which linear models do not have; add one step that "
            "pays it"
        )
    if not mdp.stationary:
        return mdp.reward.reshape(mdp.horizon, -1)
    return np.broadcast_to(mdp.reward, (mdp.horizon, mdp.n_pairs))


def _kernels(mdp: TabularMDP) -> list[Any]:
    """Return the kernels as sparse matrices: one of every step, or one for all."""
    import scipy.sparse as sp

    rows = sp.csr_array((mdp.data, mdp.indices, mdp.indptr), shape=(mdp.n_pairs, mdp.n_states))
    if mdp.stationary:
        return [rows]
    K = mdp.n_pairs // (mdp.horizon or 1)
    return [rows[h * K : (h + 1) * K] for h in range(mdp.horizon or 0)]


def _one_per_step(parts: Floats, H: int) -> Floats:
    """Repeat what is the same at all steps."""
    return parts if parts.shape[0] == H else np.broadcast_to(parts, (H, *parts.shape[1:]))
