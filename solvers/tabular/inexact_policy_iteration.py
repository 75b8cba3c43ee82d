r"""Inexact policy iteration: evaluate the greedy policy as exactly as the next step needs.

Problem       Infinite-horizon discounted model, gamma < 1; find V* with V* = T V*.
Algorithm     pi greedy for V, V^ the middle of the bracket; improve V^ by BiCGSTAB until
              ``max |r_pi + gamma P_pi V - V| <= forcing span(T V^ - V^) / 2``.              (1)
              The result is kept if one sweep of pi confirms that the span of the residual has
              halved, else ``V <- T_pi^20 W`` from the larger W of the proven lower bounds.   (2)
Guarantee     Stops on the proven width of the bracket.
Cost          O(nnz of the policy) per product, two products per Krylov step. Worth it where the
              chain mixes slowly: the number of products grows with the square root of what
              sweeps would take.
Deviations    The test in (2): Krylov methods overflow on ill-scaled chains near gamma = 1.
References    Dembo, Eisenstat and Steihaug (1982); van der Vorst (1992); Gargiani et al. (2024).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdplib.certificates import Bracket, Shifted
from mdplib.errors import InvalidModelError
from mdplib.policy_rows import PolicyRows
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers.tabular.run import Floats, Progress, Run, need_discounted, raised, start_below

_SWEEPS = 20
_PRODUCTS = 500  # with P, per evaluation


def inexact_policy_iteration(
    mdp: TabularMDP,
    *,
    forcing: float = 0.05,
    tol: float = 1e-6,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a discounted model by policy iteration with Krylov evaluations.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    forcing : float
        Accuracy of an evaluation relative to the residual before it (1), between 0 and 1.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    max_iterations : int
        Limit on products and sweeps.
    time_limit : float, optional
        Limit in seconds; the best bracket so far is returned with status TIME_LIMIT.
    V0 : (S,) array, optional
        First vector, zeros by default.
    progress : callable, optional
        Called with (products and sweeps, gap) after each certificate.

    Returns
    -------
    Solution
        ``stats.iterations`` counts products and sweeps.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.

    Examples
    --------
    >>> from mdplib import models
    >>> inexact_policy_iteration(models.chain(100, gamma=0.99), tol=1e-9).ok
    True
    """
    need_discounted(mdp, "inexact_policy_iteration")
    if not 0 < forcing < 1:
        raise InvalidModelError(f"forcing is {forcing!r}; a number between 0 and 1 expected")
    options = {"forcing": forcing}
    run = Run("inexact_policy_iteration", mdp, tol, time_limit, max_iterations, progress, options)
    enough = 0.25 * tol * (1 - mdp.gamma)

    def improve(V: Floats, found: Bracket) -> tuple[Floats, int]:
        assert isinstance(found, Shifted)
        span = found.change[1] - found.change[0]
        rows = PolicyRows(mdp, found.pair)
        x, n, _ = rows.krylov(found.midpoint, max(0.5 * forcing * span, enough), _PRODUCTS)  # (1)
        if np.isfinite(x).all():
            checked = rows.sweeps(x, 1)
            if np.isfinite(checked.span) and checked.span <= 0.5 * span:
                return checked.V, n + 2
        run.log.append(f"BiCGSTAB refused at gap {found.gap:.3g}")
        done = rows.sweeps(raised(safe[0], found), _SWEEPS)  # (2)
        safe[0] = done.V
        return done.V, n + done.n + 1

    first = start_below(mdp, V0)
    safe = [first.copy()]  # the last vector known to lie below V*
    return run.iterate(first, improve)
