r"""DRVI-L: a Kullback-Leibler ball around every factor, the dual regressed at each multiplier.

Problem       As `solvers.robust.drpvi` with KL balls of radius rho.
Algorithm     ``nu_i = max over a in [low, high] of -a log(1 + Lambda^-1 sum phi
              (e^{-V(s')/a} - 1))_i - a rho_i``, the bonus of DRPVI.                             (1)
Guarantee     The inner maximum is global, certified to 1e-10 of the range of values, see
              `solvers.robust.exponential`. The published analysis assumes that the optimal dual
              variable is bounded from below, which `dual_low` makes explicit.
Cost          As KL balls in `solvers.robust.drpvi`.
Deviations    The released code floors the argument of the logarithm at 1e-6 and runs Nelder-Mead
              from H/2 on [1e-6, H]; ``compat="public"`` does that. The global optimum of that
              program is meaningless once a regression falls below its floor.
References    Ma, Liang, Xia, Zhang, Blanchet, Liu, Zhao and Zhou (2022), Distributionally robust
              offline reinforcement learning with linear function approximation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from mdplib.errors import NotApplicableError
from mdplib.robust import Robustness
from solvers.robust.compat import Compat, Penalty, resolve
from solvers.robust.pessimism import Options, run
from solvers.robust.result import PessimisticSolution

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP
    from mdplib.linear_offline import LinearData
    from solvers.robust.beta import Beta


def drvi_l(
    data: LinearData,
    robustness: Robustness,
    *,
    beta: Beta = 1.0,
    ridge: float = 1.0,
    penalty: Penalty | None = None,
    dual_low: float | None = None,
    delta: float = 0.05,
    model: LinearMDP | None = None,
    compat: Compat | Literal["public"] | None = None,
    fail_state: int | None = None,
    cap: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> PessimisticSolution:
    """Learn a robust policy from data against Kullback-Leibler balls.

    Parameters
    ----------
    data : LinearData
        Trajectories with features and known rewards, at least 0.
    robustness : Robustness
        Kullback-Leibler, mode "ball"; radius 0 means not robust.
    dual_low : float, optional
        Lower bound on the dual variable, in units of value.
    beta, ridge, penalty, delta, model, compat, fail_state, cap, rng
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
        If `robustness` is not a Kullback-Leibler ball.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import models
    >>> from mdplib.linear_offline import LinearData
    >>> from mdplib.robust import Robustness
    >>> mdp = models.five_state()
    >>> data = LinearData.collect(mdp, mdp.uniform, 100, np.random.default_rng(0))
    >>> drvi_l(data, Robustness("kl", 0.1, "ball"), beta=0.1).w.shape
    (3, 4)

    References
    ----------
    Ma et al. (2022), algorithm DRVI-L.
    """
    if (robustness.divergence, robustness.mode) != ("kl", "ball"):
        raise NotApplicableError(
            "drvi_l takes Kullback-Leibler balls; drpvi takes balls of every divergence"
        )
    options = Options(
        beta=beta,
        ridge=ridge,
        delta=delta,
        compat=resolve(compat, penalty, None, "shrink_to_one"),
        model=model,
        fail_state=fail_state,
        cap=cap,
        rng=rng,
        dual_low=dual_low,
    )
    return run("drvi_l", data, robustness, options)  # (1)
