r"""Robust regularised pessimistic value iteration.

Problem       Finite-horizon d-rectangular linear model, known features, data of a behaviour policy;
              find a policy that does well against an adversary who pays lambda times a divergence.
Algorithm     The recursion of `solvers.robust.recursion` with, at step h,
              TV    ``w = Lambda^-1 sum phi min(V(s'), vmin + lambda)``                         (1)
              KL    ``w = -lambda log max(1 + Lambda^-1 sum phi (e^{-V/lambda} - 1), floor)``
              chi2  ``w_i = max_a m1 + (m1**2 - m2)/(4 lambda)``, by one sorted sweep
              and the bonus ``beta sum_i phi_i sqrt((Lambda^-1)_ii)``. No data splitting.
Guarantee     Theorem 5.2 with ``beta="theory"``: suboptimality at most twice the largest sum of
              bonuses over admissible kernels, with probability 1 - delta. With any beta for which
              ``|w - truth| <= beta sigma``, V is a lower bound on the policy's robust value.
Cost          Per step O(n d**2) for the Gram matrix, O(d**3) for its factor, O(K d) for values;
              chi2 adds O(m log m + m d**2) for m distinct next states.
Deviations    KL regresses ``e^{-V/lambda} - 1`` unless ``kl_target="paper"``: without data the
              published target estimates H, the most optimistic value there is.
References    Tang, Liu and Xu (2025), Robust offline reinforcement learning with linearly
              structured f-divergence regularization, algorithms 1-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from mdplib.errors import NotApplicableError
from mdplib.robust import Robustness
from solvers.robust.compat import Compat, KLTarget, Penalty, Vmin, resolve
from solvers.robust.pessimism import Options, run
from solvers.robust.recursion import Fits
from solvers.robust.result import PessimisticSolution

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP
    from mdplib.linear_offline import LinearData
    from mdplib.robust import Divergence
    from solvers.robust.beta import Beta


def r2pvi(
    data: LinearData,
    robustness: Robustness,
    *,
    beta: Beta = 1.0,
    ridge: float = 1.0,
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
    """Learn a robust policy from data under a divergence penalty.

    Parameters
    ----------
    data : LinearData
        Trajectories with features and known rewards, at least 0.
    robustness : Robustness
        Divergence and penalties lambda > 0, in units of value; inf means not robust.
    beta : float, (H,) array, "theory", "bootstrap" or "calibrated"
        Multiplier of the bonus, see `solvers.robust.beta`.
    ridge : float
        Positive ridge of the regressions (1 in the theory).
    penalty : {"sum", "l2", "ellipsoid"}, optional
        Form of the bonus; "sum" unless `compat` says otherwise.
    vmin : {"states", "data", "fail_state"}, optional
        Least value the TV adversary can reach: over all states (default), over next states of
        the data (optimistic), or 0 (always sound).
    kl_target : {"shrink_to_one", "paper"}, optional
        What KL regresses.
    delta : float
        Probability of failure for "theory", level of "bootstrap".
    model : LinearMDP, optional
        The truth, which "calibrated" needs.
    compat : Compat, "public" or None
        Choices of published code, see `solvers.robust.compat`; named options go first.
    fail_state : int, optional
        A state known to be absorbing with reward 0; it is valued 0.
    cap : (H+1,) array, optional
        Upper ends of values; H - h by default, more where rewards exceed 1.
    rng : Generator, optional
        Needed by "bootstrap".

    Returns
    -------
    PessimisticSolution
        V (H+1, S), w and sigma (H, d), policy.

    Raises
    ------
    InvalidModelError
        On empty data, negative rewards, a ridge that is not positive, or wrong shapes.
    NotApplicableError
        If `robustness` is a ball (use `drpvi`), or an option lacks what it needs.
    SolverError
        If a Gram matrix is singular to working precision.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import models
    >>> from mdplib.linear_offline import LinearData
    >>> from mdplib.robust import Robustness
    >>> mdp = models.five_state()
    >>> data = LinearData.collect(mdp, mdp.uniform, 100, np.random.default_rng(0))
    >>> found = r2pvi(data, Robustness("tv", 0.5), beta=0.1)
    >>> found.V.shape, bool((found.V >= 0).all())
    ((4, 5), True)

    References
    ----------
    Tang, Liu and Xu (2025), algorithms 1-4.
    """
    _need_penalty(robustness)
    choices = resolve(compat, penalty, vmin, kl_target)
    options = Options(
        beta=beta,
        ridge=ridge,
        delta=delta,
        compat=choices,
        model=model,
        fail_state=fail_state,
        cap=cap,
        rng=rng,
    )
    return run("r2pvi", data, robustness, options)


def r2pvi_path(
    data: LinearData,
    divergence: Divergence,
    lambdas: Sequence[float],
    *,
    beta: Beta = 1.0,
    ridge: float = 1.0,
    penalty: Penalty | None = None,
    vmin: Vmin | None = None,
    kl_target: KLTarget | None = None,
    delta: float = 0.05,
    model: LinearMDP | None = None,
    compat: Compat | Literal["public"] | None = None,
    fail_state: int | None = None,
    cap: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[PessimisticSolution, ...]:
    """Run `r2pvi` for several penalties on the same regressions.

    The Gram matrices, their factors and the sums by next state are computed once; each penalty
    then costs a right-hand side per step (TV, KL) or a sweep (chi2). Values, hence their order,
    differ between penalties below the last steps.

    Parameters
    ----------
    data : LinearData
        Trajectories.
    divergence : {"tv", "kl", "chi2"}
        Divergence.
    lambdas : sequence of float
        Penalties, positive; inf means not robust.
    beta, ridge, penalty, vmin, kl_target, delta, model, compat, fail_state, cap, rng
        As in `r2pvi`.

    Returns
    -------
    tuple of PessimisticSolution
        One per penalty, equal to what `r2pvi` returns for it.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import models
    >>> from mdplib.linear_offline import LinearData
    >>> mdp = models.five_state()
    >>> data = LinearData.collect(mdp, mdp.uniform, 50, np.random.default_rng(0))
    >>> [len(r2pvi_path(data, "tv", [0.1, 1.0, float("inf")]))]
    [3]
    """
    fits = Fits(data, ridge)
    options = Options(
        beta=beta,
        ridge=ridge,
        delta=delta,
        compat=resolve(compat, penalty, vmin, kl_target),
        model=model,
        fail_state=fail_state,
        cap=cap,
        rng=rng,
    )
    return tuple(
        run("r2pvi", data, Robustness(divergence, float(one)), options, fits) for one in lambdas
    )


def _need_penalty(robustness: Robustness) -> None:
    if robustness.mode != "penalty":
        raise NotApplicableError("r2pvi takes penalties; for balls use drpvi")
