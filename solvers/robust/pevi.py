r"""Pessimistic value iteration, the method without robustness.

Problem       Finite-horizon linear model, data of a behaviour policy; a good policy for the nominal
              model.
Algorithm     ``w_h = Lambda^-1 sum phi (r + V(s'))`` or, with known rewards,
              ``w_h = Lambda^-1 sum phi V(s')`` and ``Q = r + phi w - bonus``,                  (1)
              bonus ``beta sqrt(phi^T Lambda^-1 phi)``.
Guarantee     Suboptimality at most twice the expected sum of bonuses along the optimal policy
              when ``|phi (w - truth)| <= beta ||phi||`` in the norm of Lambda^-1; Jin et al. show
              this for beta of order d H sqrt(log(2 d H K / delta)), ridge 1.
Cost          O(n d**2) per step; no inner problem.
Deviations    Known rewards by default, so that comparisons with the robust methods are like for
              like; ``reward="regressed"`` is the published form.
References    Jin, Yang and Wang (2021), Is pessimism provably efficient for offline RL?,
              algorithm 2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from solvers.robust.compat import Compat, Penalty, resolve
from solvers.robust.pessimism import Options, run
from solvers.robust.result import PessimisticSolution

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP
    from mdplib.linear_offline import LinearData
    from solvers.robust.beta import Beta


def pevi(
    data: LinearData,
    *,
    beta: Beta = 1.0,
    ridge: float = 1.0,
    penalty: Penalty = "ellipsoid",
    reward: Literal["known", "regressed"] | None = None,
    delta: float = 0.05,
    model: LinearMDP | None = None,
    compat: Compat | Literal["public"] | None = None,
    fail_state: int | None = None,
    cap: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> PessimisticSolution:
    """Learn a policy from data, pessimistic about what they do not show, but not robust.

    Parameters
    ----------
    data : LinearData
        Trajectories with features and known rewards, at least 0.
    penalty : {"ellipsoid", "sum", "l2"}
        Form of the bonus.
    reward : {"known", "regressed"}, optional
        Whether the reward enters as it is or through the regression; "known" unless `compat`
        says otherwise. Rewards of pairs that end the episode are always known.
    beta, ridge, delta, model, compat, fail_state, cap, rng
        As in `solvers.r2pvi`.

    Returns
    -------
    PessimisticSolution
        V (H+1, S), w and sigma (H, d), policy.

    Raises
    ------
    InvalidModelError, NotApplicableError, SolverError
        As in `solvers.r2pvi`.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import models
    >>> from mdplib.linear_offline import LinearData
    >>> mdp = models.five_state()
    >>> data = LinearData.collect(mdp, mdp.uniform, 100, np.random.default_rng(0))
    >>> pevi(data, beta=0.1).robustness is None
    True

    References
    ----------
    Jin, Yang and Wang (2021), algorithm 2.
    """
    choices = replace(resolve(compat), penalty=penalty)
    if reward is not None:
        choices = replace(choices, reward=reward)
    options = Options(
        beta=beta,
        ridge=ridge,
        delta=delta,
        compat=choices,
        model=model,
        fail_state=fail_state,
        cap=cap,
        rng=rng,
        regressed=choices.reward == "regressed",
    )
    return run("pevi", data, None, options)  # (1)
