r"""Ridge regression on features, step by step: what all data-driven robust methods share.

Problem       Samples (phi_tau, s'_tau) of one step; estimate, for every coordinate i, a functional
              of the unknown factor mu_i from ``Lambda^-1 sum_tau phi_tau f(V(s'_tau))``.
Algorithm     ``Lambda = sum_tau phi_tau phi_tau^T + ridge I``                                 (1)
              ``sigma_i = sqrt((Lambda^-1)_ii)``                                               (2)
              ``mass[j] = sum of phi_tau over samples whose next state is the j-th``           (3)
              ``estimate(f) = Lambda^-1 mass^T f(v)``, v the values of distinct next states.   (4)
              One Cholesky factor serves all right-hand sides of a step.
Guarantee     None by itself. The condition number of Lambda is estimated; a Gram matrix that
              cannot be factored is an error.
Cost          O(n d**2) for (1), by counts of distinct pairs where that is less; O(n d) for (3);
              memory O(m d) for m <= min(n, S) distinct next states.
Deviations    None.
References    Jin, Yang and Wang (2021), section 4; Liu and Xu (2024).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels
from mdplib.errors import InvalidModelError, SolverError

if TYPE_CHECKING:
    from mdplib.linear_offline import LinearData

Floats = NDArray[np.float64]
ILL_CONDITIONED = 1e-12  # reciprocal condition numbers below this are reported
_BLOCK = 8_000_000  # numbers in one temporary array


@dataclass(frozen=True, eq=False)
class Step:
    """Sums over the samples of one step.

    Parameters
    ----------
    gram : (d, d) float64
        Sum of phi phi^T, without the ridge.
    seen : (m,) int
        Distinct next states; the number S stands for "the episode is over".
    mass : (m, d) float64
        Sum of the features of the samples that led to each of them.
    n : int
        Number of samples.
    """

    gram: Floats
    seen: NDArray[np.intp]
    mass: Floats
    n: int


@dataclass(frozen=True, eq=False)
class Fit:
    """The regression of one step, ready for any right-hand side.

    Parameters
    ----------
    step : Step
        The sums.
    ridge : float
        Ridge of equation (1).
    factor : (d, d) float64
        Upper Cholesky factor of Lambda.
    inverse : (d, d) float64
        Inverse of Lambda.
    sigma : (d,) float64
        Equation (2).
    rcond : float
        Estimate of the reciprocal condition number of Lambda.
    """

    step: Step
    ridge: float
    factor: Floats
    inverse: Floats
    sigma: Floats
    rcond: float

    def solve(self, right: Floats) -> Floats:
        """Return Lambda^-1 `right` for one or several columns."""
        from scipy.linalg.lapack import dpotrs

        return dpotrs(self.factor, right)[0]

    def estimate(self, target: Floats) -> Floats:
        """Return Lambda^-1 mass^T `target`: (d,) for (m,), (d, c) for (m, c)."""
        return self.solve(self.step.mass.T @ target)  # (4)

    @property
    def unseen(self) -> Floats:
        """What the weights of each coordinate miss to sum to one, (d,): ridge Lambda^-1 1.

        Where features of a sample sum to one, ``1 - Lambda^-1 mass^T 1`` equals this without
        cancellation.
        """
        ones, total = np.ones(self.sigma.size), self.step.mass.sum(axis=0)
        if np.allclose(self.step.gram @ ones, total, rtol=1e-9, atol=0.0):
            return self.ridge * self.solve(ones)
        return ones - self.solve(total)

    def weights(self, order: NDArray[np.intp]) -> Iterator[tuple[slice, Floats]]:
        """Yield blocks of rows of the signed weights Lambda^-1 mass^T, columns in `order`."""
        d, m = self.sigma.size, max(order.size, 1)
        height = max(1, min(d, _BLOCK // m))
        mass = self.step.mass[order]  # whole rows move, so this is cheaper than moving columns
        for first in range(0, d, height):
            rows = slice(first, min(first + height, d))
            yield rows, self.inverse[rows] @ mass.T


def fit(step: Step, ridge: float) -> Fit:
    """Factor the ridge Gram matrix of one step.

    Raises
    ------
    InvalidModelError
        If the ridge is not positive and finite.
    SolverError
        If the matrix is singular to working precision.
    """
    from scipy.linalg.lapack import dpotrf

    check_ridge(ridge)
    d = step.gram.shape[0]
    matrix = step.gram + ridge * np.eye(d)  # (1)
    factor, failed = dpotrf(matrix, lower=0, clean=1)
    if failed:
        raise SolverError(
            f"the Gram matrix of {step.n} samples and {d} features plus ridge {ridge:.3g} is "
            f"singular to working precision (pivot {failed}); raise the ridge"
        )
    return from_factor(step, ridge, factor)


def from_factor(step: Step, ridge: float, factor: Floats) -> Fit:
    """Return the regression for a known upper Cholesky factor of ``gram + ridge I``."""
    from scipy.linalg.lapack import dpocon, dpotri

    norm = np.abs(step.gram).sum(axis=0).max() + ridge
    rcond = float(dpocon(factor, norm)[0])
    half = dpotri(factor)[0]
    inverse = half + half.T  # the lower half of `half` is zero
    np.fill_diagonal(inverse, np.diagonal(half))
    return Fit(step, ridge, factor, inverse, np.sqrt(np.diagonal(inverse)), rcond)  # (2)


def check_ridge(ridge: float) -> None:
    """Raise `InvalidModelError` unless the ridge is positive and finite."""
    if not (np.isfinite(ridge) and ridge > 0):
        raise InvalidModelError(
            f"ridge is {ridge!r}; a positive finite number expected (it keeps Lambda invertible)"
        )


def step_sums(data: LinearData, h: int, weight: Floats | None = None) -> Step:
    """Return the sums of step h, each sample counted `weight` times.

    Parameters
    ----------
    data : LinearData
        The samples.
    h : int
        Step, from 0.
    weight : (n,) float64, optional
        Nonnegative weight of each trajectory at this step.

    Returns
    -------
    Step
        Gram matrix (1) and sums by next state (3).
    """
    phi, pair, follow = data.features.phi, data.pair[h], data.next[h]
    S, d = data.features.n_states, phi.shape[1]
    here = pair >= 0
    if data.features.ends is not None:  # ending pairs have no features: nothing to learn from
        here &= ~data.features.ends[pair]
        pair = np.where(here, pair, np.int32(-1))
    weight = np.empty(0) if weight is None else np.ascontiguousarray(weight, dtype=np.float64)
    place = np.full(S + 1, -1, dtype=np.int64)
    most = min(pair.size, S + 1)
    seen, mass = np.empty(most, dtype=np.int64), np.empty((most, d))
    m = _kernels.regression_duals.collect(pair, follow, weight, phi, place, seen, mass)  # (3)
    gram = _gram(phi, pair[here], weight[here] if weight.size else weight)
    return Step(gram, seen[:m], mass[:m], int(np.count_nonzero(here)))


def _gram(phi: Floats, pair: NDArray[np.int32], weight: Floats) -> Floats:
    """Return the sum of phi phi^T over samples, by counts where pairs repeat often enough."""
    K = phi.shape[0]
    if pair.size >= K or weight.size:
        count = np.bincount(pair, weight if weight.size else None, minlength=K)
        used = np.flatnonzero(count)
        root = np.sqrt(count[used], dtype=np.float64)
        return _sum_of_squares(phi, used, root)
    return _sum_of_squares(phi, pair, None)


def _sum_of_squares(phi: Floats, rows: NDArray, scale: Floats | None) -> Floats:
    """Return the sum of phi_k phi_k^T scale_k**2 over `rows`, in blocks."""
    d = phi.shape[1]
    total, height = np.zeros((d, d)), max(1, _BLOCK // (8 * d))
    for first in range(0, rows.size, height):
        block = phi[rows[first : first + height]]
        if scale is not None:
            block *= scale[first : first + height, None]
        total += block.T @ block
    return total


def check_data(data: LinearData) -> None:
    """Raise `InvalidModelError` on empty data or rewards that a clip at zero would change."""
    if data.pair.size == 0 or not (data.pair >= 0).any():
        raise InvalidModelError("the data set is empty; collect at least one trajectory")
    reward = data.reward
    if not np.isfinite(reward).all():
        h, k = np.argwhere(~np.isfinite(reward))[0]
        raise InvalidModelError(f"reward[{h}, {k}] is {reward[h, k]}; finite rewards expected")
    if reward.min() < 0:
        h, k = np.argwhere(reward < 0)[0]
        raise InvalidModelError(
            f"reward[{h}, {k}] is {reward[h, k]}. {np.count_nonzero(reward < 0)} of {reward.size} "
            "rewards are off. Estimates are clipped at 0: add a constant to all rewards"
        )
