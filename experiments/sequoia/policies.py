"""Everybody who learns nothing, by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.sequoia.cells import Policy
from experiments.sequoia.variants import LARGE, LISTED
from mdplib.errors import NotApplicableError
from mdplib.restless import CoupledRestlessBandit, Walks
from mdplib.restless.simulation import JointPolicy
from solvers import restless

GAP = 5e-3  # of programs; they are needed beyond LARGE arms


def listed_up_to(bandit: CoupledRestlessBandit) -> int:
    """Return up to how many actions are compared one by one: all of them for LARGE arms."""
    return LISTED if bandit.n_arms <= LARGE else 0


def policy(
    name: Policy, bandit: CoupledRestlessBandit, rng: np.random.Generator
) -> JointPolicy | None:
    """Return a policy, None if there is no such rule for the domain.

    Parameters
    ----------
    name : str
        Who.
    bandit : CoupledRestlessBandit
        The problem.
    rng : numpy.random.Generator
        Source of the random actions.
    """
    how: dict[str, Any] = {"limit": listed_up_to(bandit), "gap": GAP}
    if isinstance(bandit.actions, Walks):
        how["time_limit"] = 0.0  # where no rule is exact a good walk is taken as it is
    try:
        if name == "null":
            return idle(bandit)
        if name == "random":
            return restless.random_policy(bandit, rng)
        if name == "sampling":
            return restless.sampling_policy(bandit, rng)
        if name == "myopic":
            return restless.myopic_policy(bandit, **how)
        if name == "iterative":
            return restless.iterative_myopic_policy(bandit)
        if name == "whittle":
            return restless.whittle_policy(bandit, **how)
        return restless.fluid_policy(bandit, **how)
    except NotApplicableError:
        return None


def idle(bandit: CoupledRestlessBandit) -> JointPolicy:
    """Return what pulls nothing; where the set asks for pulls, a yardstick and no policy."""
    nothing = np.zeros(bandit.actions.n_actions, dtype=np.int8)
    return lambda h, s: np.tile(nothing, (len(s), 1))
