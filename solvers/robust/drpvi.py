r"""Distributionally robust pessimistic value iteration, for balls of three divergences.

Problem       As `solvers.robust.r2pvi`, against an adversary who may choose any factor within a
              ball of given radius.
Algorithm     The shared recursion with, for z(a) = Lambda^-1 sum phi min(V(s'), a),
              TV    ``nu_i = max_a z_i(a) - rho_i (a - vmin)^+``, over all knots                (1)
              chi2  ``nu_i = max_a m1 - sqrt(rho_i (m2 - m1**2)^+)``, over all candidates       (2)
              KL    ``nu_i = max_lambda -lambda log(1 + Lambda^-1 sum phi (e^{-V/lambda} - 1))
              - lambda rho_i``, certified branch and bound                                     (3)
              and the bonus ``beta sum_i phi_i sqrt((Lambda^-1)_ii)``.
Guarantee     TV: theorem 4.4 of Liu and Xu (full coverage; its constant is an order only). Inner
              maxima are global. With beta at least the error over sigma, V is a lower bound.
Cost          O(n d**2) per step for the Gram matrix and as much for the signed weights; sweeps
              O(m log m + m d); KL 13 m d per window, see `solvers.robust.exponential`.
Deviations    TV subtracts vmin as in (1), which needs no fail state; `Compat.dual_floor` undoes it.
              KL and chi2 balls on regression weights are not published; KL restricts lambda from
              below, which is sound (`dual_low`).
References    Liu and Xu (2024), Minimax optimal and computationally efficient algorithms for
              distributionally robust offline reinforcement learning, algorithm 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from mdplib.errors import NotApplicableError
from mdplib.robust import Robustness
from solvers.robust.compat import Compat, KLTarget, Penalty, Vmin, resolve
from solvers.robust.pessimism import Options, run
from solvers.robust.result import PessimisticSolution

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP
    from mdplib.linear_offline import LinearData
    from solvers.robust.beta import Beta


def drpvi(
    data: LinearData,
    robustness: Robustness,
    *,
    beta: Beta = 1.0,
    ridge: float = 1.0,
    penalty: Penalty | None = None,
    vmin: Vmin | None = None,
    kl_target: KLTarget | None = None,
    dual_low: float | None = None,
    delta: float = 0.05,
    model: LinearMDP | None = None,
    compat: Compat | Literal["public"] | None = None,
    fail_state: int | None = None,
    cap: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> PessimisticSolution:
    """Learn a robust policy from data against a ball around every factor.

    Parameters
    ----------
    data : LinearData
        Trajectories with features and known rewards, at least 0.
    robustness : Robustness
        Divergence and radii of mode "ball"; 0 means not robust.
    dual_low : float, optional
        Least multiplier of KL balls, in units of value; by default the range of values over
        log(2 + n), below which n samples resolve nothing.
    beta, ridge, penalty, vmin, kl_target, delta, model, compat, fail_state, cap, rng
        As in `solvers.r2pvi`.

    Returns
    -------
    PessimisticSolution
        V (H+1, S), w and sigma (H, d), policy.

    Raises
    ------
    InvalidModelError, SolverError
        As in `solvers.r2pvi`.
    NotApplicableError
        If `robustness` is a penalty, or an option lacks what it needs.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import models
    >>> from mdplib.linear_offline import LinearData
    >>> from mdplib.robust import Robustness
    >>> mdp = models.five_state()
    >>> data = LinearData.collect(mdp, mdp.uniform, 100, np.random.default_rng(0))
    >>> found = drpvi(data, Robustness("tv", 0.1, "ball"), beta=0.1)
    >>> found.w.shape
    (3, 4)

    References
    ----------
    Liu and Xu (2024), algorithm 1.
    """
    if robustness.mode != "ball":
        raise NotApplicableError("drpvi takes balls; for penalties use r2pvi")
    options = Options(
        beta=beta,
        ridge=ridge,
        delta=delta,
        compat=resolve(compat, penalty, vmin, kl_target),
        model=model,
        fail_state=fail_state,
        cap=cap,
        rng=rng,
        dual_low=dual_low,
    )
    return run("drpvi", data, robustness, options)
