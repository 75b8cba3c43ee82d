"""The systems that are played, and what their learners are told."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from experiments.dynlin.cells import SIGNS_D, SIGNS_RHO, Cell
from mdplib import bandit_simulation, models
from mdplib import system_identification as identification
from mdplib.action_sets import Ball, FiniteArms, Polytope
from mdplib.bandit_constants import Constants
from mdplib.dynamical_bandit import DynamicalLinearBandit

EXPERT = (1641952.0, 259591273.0, 716354611.0)  # budgets of the expert, in units of the source
BUDGET = 1.5
LAGS, ORDER, DATA_ROUNDS = 30, 3, 5_000  # of the identification
SPREAD = 6.0  # standard deviations of the noise allowed for in the bound X


def system(cell: Cell, rng: np.random.Generator) -> DynamicalLinearBandit:
    """Return the system of a cell; a refit and a member of the family of signs are drawn.

    Parameters
    ----------
    cell : Cell
        Its name, noise and rounds.
    rng : numpy.random.Generator
        Draws the data of a refit, and signs.

    Returns
    -------
    DynamicalLinearBandit
    """
    if cell.system == "synthetic":
        return models.dlb_synthetic(cell.sigma)
    if cell.system == "advertising":
        return advertising_truth(cell)
    if cell.system == "refit":
        return refit(advertising_truth(cell), rng)
    return signs(cell.sigma, cell.rounds, rng)


def advertising_truth(cell: Cell) -> DynamicalLinearBandit:
    """Return the system that a refit imitates."""
    return models.dlb_advertising(cell.sigma)


def refit(bandit: DynamicalLinearBandit, rng: np.random.Generator) -> DynamicalLinearBandit:
    """Return the system identified from simulated rounds of another, with the same noise levels.

    Inputs are uniform among all vertices of the budget polytope: arms that always spend the whole
    budget leave one direction unexcited.
    """
    wide = Polytope.budget(bandit.dimension, BUDGET)
    u = identification.random_inputs(wide, DATA_ROUNDS, rng)
    y = bandit_simulation.simulate(bandit, u, int(rng.integers(2**62)))
    found = identification.fit_open_loop(u, y, LAGS, order=ORDER, at_rest=True)
    return found.bandit(
        bandit.actions, state_noise=bandit.state_noise, output_noise=bandit.output_noise
    )


def signs(sigma: float, rounds: int, rng: np.random.Generator) -> DynamicalLinearBandit:
    """Return a member of the family of the lower bound."""
    b = np.asarray(sigma / math.sqrt(rounds) * (2.0 * rng.integers(0, 2, SIGNS_D) - 1.0), float)
    arms = np.array(list(itertools.product((-1.0, 1.0), repeat=SIGNS_D)))
    return DynamicalLinearBandit(
        A=np.array([[SIGNS_RHO]]),
        B=b[None, :],
        omega=np.ones(1),
        theta=np.zeros(SIGNS_D),
        actions=FiniteArms(arms),
        state_noise=sigma,
    )


def told(bandit: DynamicalLinearBandit, rho: float) -> Constants:
    """Return what a learner is told: the truth, or all of it but the spectral radius.

    X bounds the state without noise, and allows for six standard deviations of it.
    """
    c = bandit.constants()
    X = c.Phi * c.B * c.U / (1.0 - c.rho) + SPREAD * c.sigma
    if rho < 0.0:
        return bandit.constants(X=X)
    return bandit.constants(rho, X=X, misspecified=True)


def expert_split() -> NDArray[np.float64]:
    """Return the expert's split of the budget: in proportion, but at most one per campaign.

    Examples
    --------
    >>> expert_split().round(3)
    array([0.003, 0.497, 1.   ])
    """
    u, left, open_ = np.zeros(len(EXPERT)), BUDGET, np.ones(len(EXPERT), dtype=bool)
    wanted = np.array(EXPERT)
    while left > 0.0 and open_.any():
        share = np.where(open_, left * wanted / wanted[open_].sum(), 0.0)
        full = open_ & (u + share >= 1.0)
        if not full.any():
            return u + share
        left -= float((1.0 - u[full]).sum())
        u[full], open_ = 1.0, open_ & ~full
    return u


def expert_arm(bandit: DynamicalLinearBandit) -> tuple[float, ...] | None:
    """Return the arm nearest to the expert's split, None where arms have other dimensions.

    Examples
    --------
    >>> expert_arm(models.dlb_advertising())
    (0.0, 0.5, 1.0)
    """
    if isinstance(bandit.actions, Ball) or bandit.dimension != len(EXPERT):
        return None
    arms = bandit.actions.arms
    return tuple(arms[np.argmin(((arms - expert_split()) ** 2).sum(axis=1))].tolist())
