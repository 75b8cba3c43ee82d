r"""How wide the bonus is: a number, the theorem's constant, the bootstrap, or the truth.

Problem       Choose beta_h such that ``|w_{h,i} - truth_{h,i}| <= beta_h sigma_{h,i}`` for all i.
Algorithm     "theory": the constants of theorem 5.2 with K trajectories, confidence 1 - delta,
              TV    ``16 H d sqrt(xi)``,
                    ``xi = 2 log(1024 H d^{1/2} K^2 / delta)``                                   (1)
              KL    ``16 d lambda e^{H/lambda} sqrt(H/lambda + xi)``,
                    ``xi = log(1024 d lambda^2 K^3 H / delta)``                                  (2)
              chi2  ``8 d H^2 (1 + 1/lambda) sqrt(xi)``,
                    ``xi = log(192 K^5 H^6 d^3 (1 + H/(2 lambda))^3 / delta)``                   (3)
              Balls ``c sqrt(d) H sqrt(log(2 d H K / delta))``, PEVI
              ``c d H sqrt(log(2 d H K / delta))``; both with c = 1, which no theorem states.   (4)
              "bootstrap": the 1 - delta quantile over resampled sets of trajectories of the
              largest ``|w* - w| / sigma`` over h and i.                                         (5)
              "calibrated": the smallest beta_h for which the event holds, from the true factors:
              ``beta_h = max_i |R_i(V_{h+1}) - w_{h,i}| / sigma_{h,i}``.                         (6)
Guarantee     theory: with probability 1 - delta where (1)-(3) apply (ridge 1, rewards in [0, 1]).
              bootstrap: none; it sees the noise of w at a fixed V_{h+1} and not the ridge's bias.
              calibrated: the event holds, so pessimism and the certificate are deterministic.
Cost          bootstrap: one regression per step and resample. calibrated: the exact inner problem.
Deviations    xi is kept above 0. The l2 and ellipsoid penalties use their dual norms in (5), (6).
References    Tang, Liu and Xu (2025), theorem 5.2; Efron (1979).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError, NotApplicableError
from solvers.robust.recursion import BetaAt, Recursion
from solvers.robust.regression import Fit, fit, step_sums

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP

Floats = NDArray[np.float64]
Beta = float | ArrayLike | Literal["theory", "bootstrap", "calibrated"]
RESAMPLES = 200


def tv_constant(K: int, d: int, H: int, delta: float) -> float:
    """Return the TV constant (1).

    Examples
    --------
    >>> round(tv_constant(100, 5, 4, 0.05))
    2090
    """
    xi = 2 * math.log(1024 * H * math.sqrt(d) * K**2 / delta)
    return 16 * H * d * math.sqrt(max(xi, 0.0))  # (1)


def kl_constant(K: int, d: int, H: int, delta: float, reg_lambda: float) -> float:
    """Return the KL constant (2).

    Examples
    --------
    >>> round(kl_constant(100, 5, 4, 0.05, 1.0))
    24216
    """
    if H / reg_lambda > 700:
        return math.inf
    xi = math.log(1024 * d * reg_lambda**2 * K**3 * H / delta)
    grow = math.exp(H / reg_lambda)
    return 16 * d * reg_lambda * grow * math.sqrt(H / reg_lambda + max(xi, 0.0))  # (2)


def chi2_constant(K: int, d: int, H: int, delta: float, reg_lambda: float) -> float:
    """Return the chi-square constant (3).

    Examples
    --------
    >>> round(chi2_constant(100, 5, 4, 0.05, 1.0))
    8842
    """
    xi = math.log(192 * K**5 * H**6 * d**3 * (1 + H / (2 * reg_lambda)) ** 3 / delta)
    return 8 * d * H**2 * (1 + 1 / reg_lambda) * math.sqrt(max(xi, 0.0))  # (3)


def ball_constant(K: int, d: int, H: int, delta: float) -> float:
    """Return the order of DRPVI's constant (4), with c = 1."""
    return math.sqrt(d) * H * math.sqrt(math.log(2 * d * H * K / delta))  # (4)


def pevi_constant(K: int, d: int, H: int, delta: float) -> float:
    """Return the order of PEVI's constant (4), with c = 1."""
    return d * H * math.sqrt(math.log(2 * d * H * K / delta))  # (4)


def theory(
    method: str, divergence: str, strength: Floats, K: int, d: int, delta: float
) -> tuple[Floats, tuple[str, ...]]:
    """Return the theorem's beta of every step, (H,), and remarks.

    Parameters
    ----------
    method : {"penalty", "ball", "pevi"}
        Which theorem.
    divergence : str
        Divergence of the penalty.
    strength : (H, d) float64
        Strengths; of the finite ones in a step the one with the largest constant counts.
    K, d : int
        Numbers of trajectories and features.
    delta : float
        Probability of failure.
    """
    H = strength.shape[0]
    if method != "penalty":
        constant = pevi_constant if method == "pevi" else ball_constant
        remark = "theory beta: the order of the published constant with c = 1"
        return np.full(H, constant(K, d, H, delta)), (remark,)
    beta = np.empty(H)
    for h in range(H):
        lambdas = np.unique(strength[h][np.isfinite(strength[h])])
        if divergence == "tv" or lambdas.size == 0:
            beta[h] = tv_constant(K, d, H, delta)
        else:
            one = kl_constant if divergence == "kl" else chi2_constant
            beta[h] = max(one(K, d, H, delta, float(x)) for x in lambdas)
    return beta, ()


def check_delta(delta: float) -> None:
    """Raise `InvalidModelError` unless 0 < delta < 1."""
    if not 0 < delta < 1:
        raise InvalidModelError(f"delta is {delta!r}; a probability between 0 and 1 expected")


def fixed(beta: ArrayLike, H: int) -> BetaAt:
    """Return the rule that uses a number, or one number per step."""
    table = np.asarray(beta, dtype=np.float64)
    if table.shape not in ((), (H,)) or not (np.isfinite(table).all() and table.min() >= 0):
        raise InvalidModelError(
            f"beta is {beta!r}; a finite number of at least 0, or {H} of them, expected"
        )
    table = np.broadcast_to(table, (H,))
    return lambda h, w, V, one: float(table[h])


def deviation(error: Floats, one: Fit, penalty: str) -> float:
    """Return the least beta for which the penalty covers an error (d,) of w at every feature.

    Features are nonnegative for "sum", arbitrary for the other two, whose dual norms these are.
    """
    scaled = error / one.sigma
    if penalty == "sum":
        return float(np.abs(scaled).max())
    if penalty == "l2":
        return float(np.linalg.norm(scaled))
    return float(np.linalg.norm(one.factor @ error))


def calibrated(
    model: LinearMDP, robustness: Any, penalty: str, vmin_zero: bool, pevi: bool = False
) -> BetaAt:
    """Return rule (6) for a known model."""

    def rule(h: int, w: Floats, V: Floats, one: Fit) -> float:
        truth = true_worst(model, robustness, h, V, 0.0 if vmin_zero else None)
        if pevi:
            if model.theta is None:
                raise NotApplicableError("a regressed reward needs a model with theta")
            truth = truth + model.theta[h]
        return deviation(w - truth, one, penalty)  # (6)

    return rule


def true_worst(
    model: LinearMDP, robustness: Any, h: int, V: Floats, vmin: float | None = None
) -> Floats:
    """Return the exact worst-case next values of step h per factor, (d,), for V (S,)."""
    from mdplib.robust import RobustDual

    mu = model.mu[h]
    if robustness is None:
        return mu @ V
    strength = robustness.table(model.horizon, mu.shape[0])[h]
    out = np.empty(mu.shape[0])
    for level in np.unique(strength):
        rows = strength == level
        if level == (np.inf if robustness.mode == "penalty" else 0.0):
            out[rows] = mu[rows] @ V
            continue
        dual = RobustDual(robustness.divergence, robustness.mode, float(level))
        out[rows] = dual.value(mu[rows], V, vmin)
    return out


def bootstrap(
    recursion: Recursion,
    robustness: tuple[str, str, Floats],
    V: Floats,
    w: Floats,
    delta: float,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> float:
    """Return (5) at given values V (H+1, S) and weights w (H, d).

    Parameters
    ----------
    recursion : Recursion
        The run that gave V and w.
    robustness : (divergence, mode, strength)
        Inner problem; strength is (H, d).
    V, w : arrays
        Values and weights of that run.
    delta : float
        1 - level of the quantile; the level is nominal.
    rng : Generator
        Source of the multinomial counts, one per trajectory.
    resamples : int
        Number of resampled data sets.
    """
    data, (divergence, mode, strength) = recursion.data, robustness
    n, H = data.pair.shape[1], data.horizon
    worst = np.zeros(resamples)
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=resamples).astype(np.float64)
    for h in range(H):
        base = recursion.fits[h]
        for b in range(resamples):
            one = fit(step_sums(data, h, counts[b]), recursion.fits.ridge)
            again = np.zeros(w.shape[1])
            if h < H - 1:
                again = recursion.inner(h, one, V[h + 1]).solve(divergence, mode, strength[h])
            if recursion.regressed:
                again += one.solve(recursion.reward_mass(h, counts[b]))
            found = deviation(again - w[h], base, recursion.compat.penalty)
            worst[b] = max(worst[b], found)
    return float(np.quantile(worst, 1 - delta, method="higher"))  # (5)
