r"""How many groups, samples and iterations a budget is best spent on.

Problem
-------
A nested family of groupings with known weights beta, N_s samples and N_c products: which grouping,
how many samples K of each state and group, how many iterations n?

Algorithm
---------
For m groups

    K = floor(N_s / (S m)),   n = min(floor(N_c / (S m min(K, S))), enough),                 (1)

where *enough* makes the loss by planning small, and the grouping is the one that minimises

    approximation(beta) + estimation(m, K, n).                                               (2)

With prices instead of budgets,

    w_L (2) + w_s S m K + w_c n S m min(K, S)                                                (3)

is minimised over a geometric grid of K as well.

Guarantee
---------
The loss is at most the value of (2) with probability at least 1 - delta, see `loss`.

Cost
----
One evaluation of (2) per candidate, and per point of the grid for (3).

Deviations
----------
The published objective is not known; both forms are derived.

References
----------
After Li, Ju and Shroff (2024), li2024.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mdplib.errors import InvalidModelError
from mdplib.grouping.grouping import Grouping
from mdplib.grouping.loss import approximation_bound, estimation_bound, iterations_needed
from mdplib.grouping.weights import betas, check_rewards
from mdplib.tabular import TabularMDP

PLANNING = 1e-3  # loss by planning, in shares of the largest value, that is worth no more work


@dataclass(frozen=True)
class Candidate:
    """What is known about a grouping.

    Parameters
    ----------
    n_groups : int
        m.
    beta_P, beta_r : float
        Decomposition weights, or upper bounds on them.
    """

    n_groups: int
    beta_P: float
    beta_r: float


@dataclass(frozen=True)
class Choice:
    """One candidate with its share of the budget.

    Parameters
    ----------
    at : int
        Number of the candidate.
    n_groups, n, iterations : int
        m, K and n.
    approximation, estimation : float
        The two parts of (2).
    objective : float
        (2) or (3).
    """

    at: int
    n_groups: int
    n: int
    iterations: int
    approximation: float
    estimation: float
    objective: float


def candidates(mdp: TabularMDP, groupings: Iterable[Grouping]) -> list[Candidate]:
    """Return what the exact weights of some groupings say.

    Raises
    ------
    NotApplicableError
        If a reward is outside [0, 1], where the bounds do not hold.
    """
    check_rewards(mdp)
    found = []
    for grouping in groupings:
        known = betas(mdp, grouping)
        found.append(Candidate(grouping.n_groups, known.max_P, known.max_r))
    return found


def select(
    family: Sequence[Candidate],
    n_states: int,
    gamma: float,
    samples: int,
    *,
    work: float = math.inf,
    delta: float = 0.05,
) -> list[Choice]:
    """Return the candidates that the budgets allow, best ones first.

    Parameters
    ----------
    family : sequence of Candidate
        What may be chosen.
    n_states : int
        S.
    gamma : float
        Discount.
    samples : int
        N_s, samples in all; never exceeded.
    work : float
        N_c, products in all; never exceeded.
    delta : float
        Failure probability of the bounds.

    Returns
    -------
    list of Choice

    Raises
    ------
    InvalidModelError
        If not even the smallest number of groups gets a sample of every pair and an iteration.

    Examples
    --------
    >>> family = [Candidate(1, 0.6, 0.6), Candidate(2, 0.1, 0.1), Candidate(64, 0.0, 0.0)]
    >>> [choice.n_groups for choice in select(family, 6, 0.5, 100_000)]
    [2, 64, 1]
    """
    choices = []
    for at, candidate in enumerate(family):
        n = samples // (n_states * candidate.n_groups)
        if n < 1:
            continue
        each = n_states * candidate.n_groups * min(n, n_states)
        iterations = math.floor(min(work / each, _enough(gamma)))  # (1)
        if iterations >= 1:
            choices.append(_judged(at, candidate, n_states, n, iterations, gamma, delta))
    if not choices:
        least = min(c.n_groups for c in family) * n_states
        raise InvalidModelError(
            f"{samples} samples and {work:g} products are not enough: {least} samples and as many "
            "products give every state and group one; raise the budget or use fewer groups"
        )
    return sorted(choices, key=lambda choice: (choice.objective, choice.at))


def select_priced(
    family: Sequence[Candidate],
    n_states: int,
    gamma: float,
    *,
    loss: float = 1.0,
    sample: float,
    product: float = 0.0,
    delta: float = 0.05,
    most: int = 10**9,
) -> list[Choice]:
    """Return the candidates with their best numbers of samples at given prices, best ones first.

    Parameters
    ----------
    family, n_states, gamma, delta
        As in `select`.
    loss, sample, product : float
        Prices of a unit of loss, of a sample and of a product.
    most : int
        Largest K that is tried.

    Returns
    -------
    list of Choice
        With (3) as the objective.

    Examples
    --------
    >>> family = [Candidate(1, 0.6, 0.6), Candidate(2, 0.0, 0.1)]
    >>> select_priced(family, 6, 0.5, sample=1e-5)[0].n_groups
    2
    """
    if min(loss, sample) <= 0.0 or product < 0.0:
        raise InvalidModelError("prices of loss and samples are positive, those of products >= 0")
    chosen = []
    for at, candidate in enumerate(family):
        best: Choice | None = None
        for k in range(math.floor(8 * math.log2(most)) + 1):
            n = round(2.0 ** (k / 8))
            found = _judged(at, candidate, n_states, n, _enough(gamma), gamma, delta)
            pairs = n_states * candidate.n_groups
            cost = loss * found.objective + sample * pairs * n
            cost += product * found.iterations * pairs * min(n, n_states)  # (3)
            if best is None or cost < best.objective:
                best = Choice(**(vars(found) | {"objective": cost}))
        assert best is not None
        chosen.append(best)
    return sorted(chosen, key=lambda choice: (choice.objective, choice.at))


def _judged(
    at: int, candidate: Candidate, n_states: int, n: int, iterations: int, gamma: float,
    delta: float,
) -> Choice:  # fmt: skip
    m = candidate.n_groups
    approximation = approximation_bound(candidate.beta_P, candidate.beta_r, gamma)
    estimation = estimation_bound(n_states, m, n, gamma, delta, iterations)
    total = approximation + estimation  # (2)
    return Choice(at, m, n, iterations, approximation, estimation, total)


def _enough(gamma: float) -> int:
    return max(1, iterations_needed(gamma, PLANNING / (1.0 - gamma)))
