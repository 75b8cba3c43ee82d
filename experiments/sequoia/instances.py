"""The instances: the library's random domains, and versions of five arms for exact values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiments.sequoia.cells import Domain
from mdplib import restless
from mdplib.restless import Arms, CoupledRestlessBandit, Interventions, Walks

RING = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (1, 3))  # five stations and a short cut
FIVE, TWO = 5, 2


def instance(
    domain: Domain, n_arms: int, budget: int, rng: np.random.Generator
) -> CoupledRestlessBandit:
    """Return a random instance of a domain.

    Parameters
    ----------
    domain : str
        Kind of coupling.
    n_arms, budget : int
        J and B; there are J / 2 interventions.
    rng : numpy.random.Generator
        Source of randomness. Equal states give equal arms in all domains but interventions.

    Returns
    -------
    CoupledRestlessBandit

    Examples
    --------
    >>> instance("budget", 4, 1, np.random.default_rng(0)).n_arms
    4
    """
    if domain == "interventions":
        return restless.interventions(n_arms, n_arms // 2, budget, rng)
    draw = {
        "capacity": restless.capacity,
        "schedule": restless.schedule,
        "walks": restless.walks,
        "budget": restless.budget,
    }[domain]
    return draw(n_arms, budget, rng)


def small(domain: Domain, rng: np.random.Generator) -> CoupledRestlessBandit:
    """Return an instance of five arms, with 1024 joint states.

    Walks go around a ring with a short cut. Interventions are five of the twelve arms of a larger
    instance with six interventions, three of which are taken: the three arms that need all of one
    block, and two that a second block reaches.

    Examples
    --------
    >>> small("interventions", np.random.default_rng(0)).actions
    Interventions(3 of 6 on 5 arms)
    """
    if domain == "walks":
        return replace(restless.budget(FIVE, TWO, rng), actions=Walks(FIVE, RING, 0, TWO))
    if domain != "interventions":
        return instance(domain, FIVE, TWO, rng)
    whole = restless.interventions(12, 6, 3, rng)
    assert isinstance(whole.actions, Interventions)
    reached = np.flatnonzero(whole.actions.degree)
    kept = reached[-FIVE:]  # good arms come last
    return CoupledRestlessBandit(
        Arms(whole.arms.P[kept], whole.arms.r[kept]),
        Interventions(whole.actions.reaches[kept], whole.actions.budget),
        whole.initial[kept],
        whole.horizon,
        whole.gamma,
    )
