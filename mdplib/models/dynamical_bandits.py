"""The two dynamical linear bandits of Mussi, Metelli and Restelli (2023).

In both three outputs are added up, so omega = C^T 1 and theta = D^T 1, and the actions share a
budget: u in [0, 1]^3 with sum u <= 1.5, of which the vertices that spend it all are the arms.
"""

from __future__ import annotations

import numpy as np

from mdplib.action_sets import Polytope
from mdplib.dynamical_bandit import DynamicalLinearBandit


def dlb_synthetic(sigma: float = 0.01, *, greedy: bool = True) -> DynamicalLinearBandit:
    """Return the synthetic system: three states, three components, h = (0.5625, 0.5, 0.111...).

    Parameters
    ----------
    sigma : float
        Standard deviation of all noise; 0.001, 0.01 and 0.1 in the paper.
    greedy : bool
        Whether the six arms that spend the budget are the only ones, as in the published code;
        otherwise all ten vertices of the budget polytope are there.

    Returns
    -------
    DynamicalLinearBandit
        With spectral radius 0.2 and Phi = 1; u* = (1, 0.5, 0) with J* = 0.8125.

    Raises
    ------
    InvalidModelError
        If `sigma` is negative or not finite.

    References
    ----------
    Mussi, Metelli and Restelli (2023), section 5.1, with the entry 0.45 of B that gives their h.

    Examples
    --------
    >>> bandit = dlb_synthetic()
    >>> bandit.best
    (array([1. , 0.5, 0. ]), 0.8125)
    """
    return DynamicalLinearBandit(
        A=np.diag([0.2, 0.0, 0.1]),
        B=np.diag([0.45, 0.0, 0.1]),
        omega=np.array([1.0, 0.0, 0.1]),
        theta=np.array([0.0, 0.5, 0.1]),
        actions=Polytope.budget(3, 1.5, greedy=greedy),
        state_noise=sigma,
        output_noise=sigma,
    )


def dlb_advertising(sigma: float = 0.01, *, greedy: bool = True) -> DynamicalLinearBandit:
    """Return the system that was fitted to the advertising budgets of three campaigns.

    Parameters
    ----------
    sigma : float
        Standard deviation of all noise.
    greedy : bool
        Whether the six arms that spend the budget are the only ones, as in the published code;
        otherwise all ten vertices of the budget polytope are there.

    Returns
    -------
    DynamicalLinearBandit
        With a complex pair of eigenvalues on the circle of radius 0.667, and Phi = 2.7812.

    Raises
    ------
    InvalidModelError
        If `sigma` is negative or not finite.

    References
    ----------
    Mussi, Metelli and Restelli (2023), section 5.2: the matrices of the fit that the authors
    published; the budgets and rewards themselves are not public.

    Examples
    --------
    >>> bandit = dlb_advertising()
    >>> bandit.best[0], round(bandit.best[1], 6)
    (array([1. , 0. , 0.5]), 0.304586)
    """
    return DynamicalLinearBandit(
        A=np.array([[0.38, 0.33, 0.60], [0.07, 0.76, -0.54], [0.18, 0.34, 0.05]]),
        B=np.array([[0.14, 0.34, -0.05], [-0.17, 0.03, -0.01], [0.04, -0.09, 0.17]]),
        omega=np.array([-0.61, -0.04, -0.13]),
        theta=np.array([0.13, 0.41, 0.02]),
        actions=Polytope.budget(3, 1.5, greedy=greedy),
        state_noise=sigma,
        output_noise=sigma,
    )
