r"""Finer groups as long as a certificate says that they pay.

Problem
-------
N samples: split groups where that helps, and stop before estimation costs more than grouping
saves, without being fooled by one's own choice.

Algorithm
---------
A pilot, one tenth of the samples, estimates Q of single actions. For m = 1, 2, 4, ... a policy over
the value-aware grouping for the pilot's Q is learnt from fresh samples, and judged with others:
with V, pi learnt, m^ and W mean and width (`loss.certificate_width`) of r + gamma V under pi,

    V^pi(s) >= V(s) - max_s' [V(s') - (m^ - W)(s', pi(s'))]_+ / (1-gamma) =: floor(s).       (1)

The next level is tried as long as the mean of the floor over the states rises; the best level is
returned.

Guarantee
---------
(1) holds for all levels together with probability at least 1 - delta, which is shared out among
them. The policy's value is therefore at least the floor that comes with it, whatever the pilot
said.

Cost
----
N samples at most; the levels share what the pilot leaves evenly.

Deviations
----------
The published method fixes the family of groupings beforehand.

References
----------
maurer2009 for the widths; the scheme is derived.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.grouping.distances import dense_rows
from mdplib.grouping.grouping import Grouping
from mdplib.grouping.lifting import LowLevelPolicy, compose
from mdplib.grouping.loss import certificate_width
from mdplib.grouping.samples import draw, draw_actions
from mdplib.policy import DeterministicPolicy, StochasticPolicy
from mdplib.tabular import TabularMDP
from solvers.grouping.covering import value_aware
from solvers.grouping.planning import plan

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Refined:
    """A policy over groups that were found while learning.

    Parameters
    ----------
    grouping : Grouping
        The groups.
    policy : StochasticPolicy
        On the original model.
    floor : (S,) float64
        Proven lower bound on the policy's value, equation (1).
    levels : tuple of (int, float)
        Number of groups and mean floor of every level that was tried.
    samples : int
        Samples drawn.
    delta : float
        Probability that some floor is wrong.
    """

    grouping: Grouping
    policy: StochasticPolicy
    floor: Floats
    levels: tuple[tuple[int, float], ...]
    samples: int
    delta: float


def certified_refinement(
    mdp: TabularMDP,
    samples: int,
    rng: np.random.Generator,
    *,
    delta: float = 0.05,
    most_groups: int | None = None,
) -> Refined:
    """Learn groups and a policy over them, refined until the certificate stops it.

    Parameters
    ----------
    mdp : TabularMDP
        Source of the samples: discounted, rewards in [0, 1], all actions admissible everywhere.
    samples : int
        N; never exceeded.
    rng : numpy.random.Generator
        Source of randomness.
    delta : float
        Failure probability of the floors.
    most_groups : int, optional
        Largest m.

    Returns
    -------
    Refined

    Raises
    ------
    InvalidModelError
        If the budget is too small for the pilot.

    Examples
    --------
    >>> from mdplib import models
    >>> mdp = models.tree_mdp(np.random.default_rng(0), n_levels=3)
    >>> found = certified_refinement(mdp, 200_000, np.random.default_rng(1))
    >>> found.grouping.n_groups > 1, found.samples <= 200_000
    (True, True)
    """
    S, A = dense_rows(mdp)[1].shape
    pilot = samples // (10 * S * A)
    if pilot < 1:
        raise InvalidModelError(
            f"{samples} samples leave none for each of {S * A} state-action pairs in the pilot, "
            f"which takes a tenth; {10 * S * A} are needed"
        )
    P, r = draw_actions(mdp, pilot, rng).model()
    Q = r + mdp.gamma * P @ plan(P, r, mdp.gamma).value
    sizes = [m for m in _doubling(A) if m <= (most_groups or A)]
    used, share = pilot * S * A, (samples - pilot * S * A) // len(sizes)
    best: tuple[float, Grouping, StochasticPolicy, Floats] | None = None
    levels: list[tuple[int, float]] = []
    for m in sizes:
        n = share // (2 * S * m)
        if n < 2:
            break
        grouping = value_aware(Q, m)
        policy, floor = _learnt(mdp, grouping, n, delta / len(sizes), rng)
        used += 2 * S * m * n
        levels.append((m, float(floor.mean())))
        if best is not None and levels[-1][1] <= best[0]:
            break
        best = levels[-1][1], grouping, policy, floor
    if best is None:
        raise InvalidModelError(f"{samples} samples are too few to learn one group; raise them")
    return Refined(best[1], best[2], best[3], tuple(levels), used, delta)


def _doubling(n: int) -> list[int]:
    sizes = [1]
    while sizes[-1] * 2 < n:
        sizes.append(sizes[-1] * 2)
    return [*sizes, n] if n > 1 else sizes


def _learnt(
    mdp: TabularMDP, grouping: Grouping, n: int, delta: float, rng: np.random.Generator
) -> tuple[StochasticPolicy, Floats]:
    """Return a policy learnt from n samples of each pair, and its floor from n others."""
    found = plan(*draw(mdp, grouping, n, rng).model(), mdp.gamma)
    V, s = found.value, np.arange(mdp.n_states)
    mean, variance = draw(mdp, grouping, n, rng).backup(V, mdp.gamma)
    span = 1.0 + mdp.gamma * float(V.max() - V.min())
    width = certificate_width(variance, n, span, delta)
    low = (mean - width)[s, found.policy]
    floor = V - max(float((V - low).max()), 0.0) / (1.0 - mdp.gamma)  # (1)
    pair = (s * grouping.n_groups + found.policy).astype(np.int32)
    high = DeterministicPolicy(pair, found.policy.astype(np.int32))
    return compose(mdp, grouping, None, high), np.maximum(floor, 0.0)


def eliminated(mdp: TabularMDP, grouping: Grouping, lower: Floats, upper: Floats) -> LowLevelPolicy:
    """Return the low-level policy that leaves out actions known to be worse than their fellows.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    grouping : Grouping
        The groups.
    lower, upper : (K,) array
        Bounds on the optimal Q of each state-action pair.

    Returns
    -------
    LowLevelPolicy
        Uniform over the actions of a group whose upper bound reaches the group's largest lower
        bound. Where the bounds hold, no group is worth less than before.

    Raises
    ------
    InvalidModelError
        If a lower bound is above its upper bound.
    """
    if (lower > upper).any():
        k = int(np.flatnonzero(lower > upper)[0])
        raise InvalidModelError(f"lower[{k}] = {lower[k]} is above upper[{k}] = {upper[k]}")
    row = mdp.pair_state.astype(np.int64) * grouping.n_groups + grouping.pairs(mdp)
    reached = np.full(mdp.n_states * grouping.n_groups, -np.inf)
    np.maximum.at(reached, row, lower)
    return LowLevelPolicy.from_base(mdp, grouping, (upper >= reached[row]).astype(np.float64))
