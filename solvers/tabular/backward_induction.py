r"""Backward induction for a finite horizon.

Problem       Finite horizon H, kernels and rewards stationary or per step; find V*_0..V*_H.
Algorithm     ``V_H = terminal``, ``V_h = T_h V_{h+1}`` for h = H-1, ..., 0, each step started
              from the middle of the bounds proven for the next one.                         (1)
Guarantee     Bounds are propagated with every rounding error; their width is due to rounding
              alone and grows at most linearly in H when gamma = 1.
Cost          One backup per step: O(H nnz).
Deviations    None.
References    Bellman (1957); Puterman (1994), section 4.5.
"""

from __future__ import annotations

from mdplib.certificates import bracket
from mdplib.errors import NotApplicableError
from mdplib.solution import Solution, Status
from mdplib.tabular import TabularMDP
from solvers.tabular.run import Run


def backward_induction(mdp: TabularMDP, *, tol: float = 1e-6) -> Solution:
    """Solve a finite-horizon model.

    Parameters
    ----------
    mdp : TabularMDP
        Model with a finite horizon.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.

    Returns
    -------
    Solution
        Values of shape (H+1, S) and a `MarkovPolicy`.

    Raises
    ------
    NotApplicableError
        If the horizon is infinite.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], gamma=1.0, horizon=3)
    >>> backward_induction(mdp).value[:, 0].round(9)
    array([3., 2., 1., 0.])
    """
    if mdp.horizon is None:
        raise NotApplicableError(
            "backward_induction needs a finite horizon; use value_iteration or set horizon=H"
        )
    run = Run("backward_induction", mdp, tol, None, mdp.horizon)
    found = bracket(mdp)  # (1)
    run.trace.append((mdp.horizon, found.gap))
    status = Status.OPTIMAL if found.gap <= tol else Status.ROUNDING_LIMIT
    return run.solution(found, status, mdp.horizon, guarantees=("mdplib:finite_error_propagation",))
