r"""Variance-aware DRPVI: weighted regressions, with variances from a second data set.

Problem       As `solvers.robust.drpvi`, with a bonus that shrinks where next values vary little.
Algorithm     1. DRPVI on D' gives values V'.
              2. On D', with Lambda' of DRPVI, all coordinates at once,
                 ``z1 = Lambda'^-1 sum phi V'(s')``, ``z2 = Lambda'^-1 sum phi V'(s')**2``.     (1)
              3. ``s2(s, a) = max(1, clip_[0,H^2](phi z2) - clip_[0,H](phi z1)**2 - slack)``.    (2)
              4. The shared recursion on D with every sample weighted by 1/s2: Gram matrix, sums
                 and bonus use ``Sigma = sum phi phi^T / s2 + ridge I``, ridge 1/H**2.           (3)
Guarantee     Liu and Xu, theorem 5.2: with beta of order sqrt(d), full coverage and many samples,
              SubOpt <= beta sup sum_h E sum_i ||phi_i 1_i|| in the norm of Sigma^-1.
Cost          Twice DRPVI; weights vary by pair, so Gram matrices come from sums by pair.
Deviations    `slack` (of order d H**3 / sqrt(K kappa)) is 0 unless given: it only moves s2 towards
              1. The floor 1 assumes values in units of the reward range. ``Compat.va_bugs``
              regresses variances with ridge I on the method's own values, without splitting.
References    Liu and Xu (2024), algorithms 2 and 3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError
from mdplib.robust import Robustness
from solvers.robust.compat import Compat, KLTarget, Penalty, Vmin, resolve
from solvers.robust.pessimism import Options, run
from solvers.robust.recursion import Fits, caps
from solvers.robust.regression import Fit, check_data, fit, step_sums
from solvers.robust.result import PessimisticSolution

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP
    from mdplib.linear_offline import LinearData
    from solvers.robust.beta import Beta

Floats = NDArray[np.float64]


def va_drpvi(
    data: LinearData,
    robustness: Robustness,
    *,
    second: LinearData | None = None,
    beta: Beta = 1.0,
    first_beta: Beta | None = None,
    ridge: float | None = None,
    slack: float = 0.0,
    penalty: Penalty | None = None,
    vmin: Vmin | None = None,
    kl_target: KLTarget | None = None,
    delta: float = 0.05,
    model: LinearMDP | None = None,
    compat: Compat | Literal["public"] | None = None,
    fail_state: int | None = None,
    cap: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> PessimisticSolution:
    """Learn a robust policy with variance-weighted regressions.

    Parameters
    ----------
    data : LinearData
        Trajectories with features and known rewards; the second half serves as D' unless `second`
        is given.
    robustness : Robustness
        Balls (published) or penalties.
    second : LinearData, optional
        Independent data D' for values and variances.
    beta, first_beta : float, (H,) array, "theory", "bootstrap" or "calibrated"
        Multipliers of the bonus for the main run and for DRPVI on D' (the same by default).
    ridge : float, optional
        Ridge of the weighted regressions, 1/H**2 by default; DRPVI on D' uses 1.
    slack : float
        Taken off the estimated variance in (2).
    penalty, vmin, kl_target, delta, model, compat, fail_state, cap, rng
        As in `solvers.r2pvi`.

    Returns
    -------
    PessimisticSolution
        V (H+1, S), w and sigma (H, d), policy; sigma and inverse are those of (3).

    Raises
    ------
    InvalidModelError
        If there are fewer than two trajectories to split, or as in `solvers.r2pvi`.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import models
    >>> from mdplib.linear_offline import LinearData
    >>> from mdplib.robust import Robustness
    >>> mdp = models.five_state()
    >>> data = LinearData.collect(mdp, mdp.uniform, 100, np.random.default_rng(0))
    >>> va_drpvi(data, Robustness("tv", 0.1, "ball"), beta=0.1).w.shape
    (3, 4)

    References
    ----------
    Liu and Xu (2024), algorithms 2 and 3.
    """
    check_data(data)
    choices = resolve(compat, penalty, vmin, kl_target)
    options = Options(
        beta=beta,
        ridge=1.0 / data.horizon**2 if ridge is None else ridge,
        delta=delta,
        compat=choices,
        model=model,
        fail_state=fail_state,
        cap=cap,
        rng=rng,
    )
    if choices.va_bugs:
        return _public(data, robustness, options)
    if second is None:
        data, second = split(data)
    first = run(
        "drpvi",
        second,
        robustness,
        replace(options, beta=beta if first_beta is None else first_beta, ridge=1.0),
    )
    weights = np.ones(data.pair.shape)
    top = caps(data, choices, cap)
    for h in range(data.horizon - 1):
        one = fit(step_sums(second, h), 1.0)
        variance = variances(one, first.V[h + 1], data.features.phi, top[h + 1], slack)
        weights[h] = 1.0 / variance[data.pair[h]]
    return run("va_drpvi", data, robustness, options, Fits(data, options.ridge, weights))  # (3)


def split(data: LinearData) -> tuple[LinearData, LinearData]:
    """Return the two halves of the trajectories, the first the larger.

    Raises
    ------
    InvalidModelError
        If there is only one trajectory.
    """
    n = data.pair.shape[1]
    if n < 2:
        raise InvalidModelError("one trajectory cannot be split; give second= or more data")
    cut = (n + 1) // 2
    return data.subset(slice(0, cut)), data.subset(slice(cut, n))


def variances(one: Fit, V: Floats, phi: Floats, top: float, slack: float = 0.0) -> Floats:
    """Return the variance (2) of the next value for each row of `phi`, (K,).

    Parameters
    ----------
    one : Fit
        Regression on D'.
    V : (S,) float64
        Values V' of the next step.
    phi : (K, d) float64
        Features.
    top : float
        Upper end H of values.
    slack : float
        Taken off.
    """
    v = np.append(V, 0.0)[one.step.seen]
    z1, z2 = one.estimate(v), one.estimate(v * v)  # (1)
    square = np.clip(phi @ z2, 0.0, top * top)
    return np.maximum(1.0, square - np.clip(phi @ z1, 0.0, top) ** 2 - slack)  # (2)


def _public(data: LinearData, robustness: Robustness, options: Options) -> PessimisticSolution:
    """Run the released option code's weighting: ridge I for Lambda, own values, one data set."""
    weights, H = np.ones(data.pair.shape), data.horizon
    found = run("va_drpvi", data, robustness, options)
    for h in reversed(range(H - 1)):
        sums = step_sums(data, h)
        empty = fit(replace(sums, gram=np.zeros_like(sums.gram)), options.ridge)
        variance = variances(empty, found.V[h + 1], data.features.phi, float(H))
        weights[h] = 1.0 / variance[data.pair[h]]
        found = run("va_drpvi", data, robustness, options, Fits(data, options.ridge, weights))
    return found
