"""Random instances of the five kinds of coupling.

The arms climb a ladder of four states. Pulled, an arm steps up with probability in [0.7, 0.9),
otherwise in [0, 0.2), or down. The reward is paid for the state reached. The first B arms pay
(0.20, 0.15, 0.10, K) with K in {4, 5, 6}: on the way up they pay less and less before they pay a
lot, which a short-sighted rule does not see. The others pay (0.10, 0.15, 0.20, K), K in {1, 2, 3}.
Each arm begins in state 1 with probability 0.2, otherwise in state 0 (xu2025).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.restless import tube
from mdplib.restless.arms import ladder
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.matching import Schedule
from mdplib.restless.packing import Capacity
from mdplib.restless.pulls import Budget
from mdplib.restless.reaching import Interventions
from mdplib.restless.walking import Walks

Floats = NDArray[np.float64]
HORIZON, GAMMA = 20, 0.99
WEIGHT = 3.0  # of every intervention that reaches an arm


def _check(n_arms: int, budget: int) -> None:
    if n_arms < 1 or not 0 < budget <= n_arms:
        raise InvalidModelError(f"{n_arms} arms and budget {budget}; give 1 <= budget <= n_arms")


def _rewards(n_arms: int, budget: int, rng: np.random.Generator) -> Floats:
    """Return the reward of each state of each arm, (J, 4)."""
    rho = np.tile([0.10, 0.15, 0.20, 0.0], (n_arms, 1))
    rho[:budget, :3] = 0.20, 0.15, 0.10
    rho[:budget, 3] = rng.integers(4, 7, size=budget)
    rho[budget:, 3] = rng.integers(1, 4, size=n_arms - budget)
    return rho


def _initial(n_arms: int) -> Floats:
    return np.tile([0.8, 0.2, 0.0, 0.0], (n_arms, 1))


def _pulled_or_not(n_arms: int, budget: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    _check(n_arms, budget)
    up = np.stack([rng.uniform(0.0, 0.2, n_arms), rng.uniform(0.7, 0.9, n_arms)], axis=1)
    return up, _rewards(n_arms, budget, rng)


def budget(n_arms: int, budget: int, rng: np.random.Generator) -> CoupledRestlessBandit:
    """Draw a bandit in which any B arms can be pulled.

    Parameters
    ----------
    n_arms, budget : int
        Number of arms J and of pulls B.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    CoupledRestlessBandit
    """
    up, rho = _pulled_or_not(n_arms, budget, rng)
    actions = Budget(n_arms, budget)
    return CoupledRestlessBandit(ladder(up, rho), actions, _initial(n_arms), HORIZON, GAMMA)


def capacity(n_arms: int, budget: int, rng: np.random.Generator) -> CoupledRestlessBandit:
    """Draw a bandit in which B workers of capacity 2..7 pull arms that cost 2..6.

    Parameters
    ----------
    n_arms, budget : int
        Number of arms J and of workers B.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    CoupledRestlessBandit
    """
    up, rho = _pulled_or_not(n_arms, budget, rng)
    cost = rng.integers(2, 7, size=n_arms)
    room = rng.integers(2, 8, size=budget)
    room[np.argmax(room)] = max(room.max(), cost.min())  # some arm can always be pulled
    return CoupledRestlessBandit(
        ladder(up, rho), Capacity(cost, room), _initial(n_arms), HORIZON, GAMMA
    )


def schedule(
    n_arms: int, budget: int, rng: np.random.Generator, *, slots: int = 5
) -> CoupledRestlessBandit:
    """Draw a bandit in which B workers meet arms in time slots, two units for a pull.

    An arm is free in two slots, a worker in three; arms prefer the slots that workers do not.

    Parameters
    ----------
    n_arms, budget : int
        Number of arms J, and of workers and of pulls B.
    rng : numpy.random.Generator
        Source of randomness.
    slots : int
        Number of slots, at least 3.

    Returns
    -------
    CoupledRestlessBandit
    """
    up, rho = _pulled_or_not(n_arms, budget, rng)
    if slots < 3:
        raise InvalidModelError(f"{slots} slots; a worker is free in three")
    while True:
        law = np.sort(rng.random(slots))
        law /= law.sum()
        arm_free = _free(rng, n_arms, 2, law)
        worker_free = _free(rng, budget, 3, law[::-1])
        if (worker_free.sum(axis=0) @ arm_free.T >= 2).any():
            break
    actions = Schedule(arm_free, worker_free, budget)
    return CoupledRestlessBandit(ladder(up, rho), actions, _initial(n_arms), HORIZON, GAMMA)


def _free(rng: np.random.Generator, n: int, k: int, law: Floats) -> NDArray[np.bool_]:
    free = np.zeros((n, law.size), dtype=bool)
    for row in free:
        row[rng.choice(law.size, k, replace=False, p=law)] = True
    return free


def walks(n_arms: int, budget: int, rng: np.random.Generator) -> CoupledRestlessBandit:
    """Draw a bandit on a graph of stations: a closed walk of 2B steps, B pulls on the way.

    Parameters
    ----------
    n_arms : {20, 40, 60, 80, 100}
        Number of stations.
    budget : int
        Largest number of pulls B.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    CoupledRestlessBandit
    """
    up, rho = _pulled_or_not(n_arms, budget, rng)
    actions = Walks(n_arms, tube.edges(n_arms), tube.SOURCES[n_arms], budget)
    return CoupledRestlessBandit(ladder(up, rho), actions, _initial(n_arms), HORIZON, GAMMA)


def interventions(
    n_arms: int,
    n_actions: int,
    budget: int,
    rng: np.random.Generator,
    *,
    points: int | None = None,
) -> CoupledRestlessBandit:
    r"""Draw a bandit in which B of N interventions are taken, several of which help an arm.

    An arm reached by n taken interventions steps up with probability

        phi(3 n) = 0.98 A (sigma(3 b n - x) - sigma(-x)) + 0.01,

    sigma the logistic function. For most arms the first intervention does almost nothing and the
    third a lot, so that choosing one at a time fails.

    With `points` the arms are those that the published programs see, which put a line of so many
    equally spaced points in place of phi, from 0 to what reaches the arm, and 0 at 0. The draws
    are the same, so the largest error is that of ``arms.P`` against a bandit without `points`.

    Parameters
    ----------
    n_arms, n_actions, budget : int
        Arms J, interventions N, and how many are taken B.
    rng : numpy.random.Generator
        Source of randomness.
    points : int, optional
        Break points of a piecewise linear phi, at least 2; 10 in the published code. None: phi.

    Returns
    -------
    CoupledRestlessBandit

    Raises
    ------
    InvalidModelError
        If there are fewer than two points, or the interventions need more arms than there are:
        three for each block of three, and three for each one left over.

    Examples
    --------
    >>> exact = interventions(12, 6, 3, np.random.default_rng(0))
    >>> fitted = interventions(12, 6, 3, np.random.default_rng(0), points=10)
    >>> round(float(np.abs(fitted.arms.P - exact.arms.P).max()), 9)  # at 0: the rest is exact
    0.01
    """
    if points is not None and points < 2:
        raise InvalidModelError(f"points {points}; give at least 2")
    if not 0 < budget <= n_actions:
        raise InvalidModelError(f"budget {budget} of {n_actions} interventions")
    n_bad = -(-n_arms * budget // n_actions)
    bad, good = np.arange(n_bad), np.arange(n_bad, n_arms)
    order = rng.permutation(n_actions)
    reaches = np.zeros((n_arms, n_actions), dtype=bool)
    for chosen, pool in ((order[:budget], good), (order[budget:], bad)):
        blocks = [chosen[i : i + 3] for i in range(0, len(chosen) - len(chosen) % 3, 3)]
        blocks += [chosen[i : i + 1] for i in range(len(chosen) - len(chosen) % 3, len(chosen))]
        if 3 * len(blocks) > len(pool):
            raise InvalidModelError(
                f"{len(chosen)} interventions need {3 * len(blocks)} arms of their kind and there "
                f"are {len(pool)}; give more arms or fewer interventions"
            )
        arms = rng.permutation(pool)[: 3 * len(blocks)].reshape(-1, 3)
        for block, members in zip(blocks, arms, strict=True):
            reaches[np.ix_(members, block)] = True
    scale, slope, shift = np.empty(n_arms), np.ones(n_arms), np.empty(n_arms)
    scale[good] = np.round(rng.uniform(0.7, 1.0, good.size), 1)
    slope[good] = np.round(rng.uniform(1.4, 1.9, good.size), 1)
    shift[good] = rng.integers(9, 11, good.size)
    scale[bad] = np.round(rng.uniform(0.2, 0.5, bad.size), 1)
    shift[bad] = rng.integers(1, 3, bad.size)
    actions = Interventions(reaches, budget)

    def phi(v: Floats) -> Floats:
        rise = _logistic(slope[:, None] * v - shift[:, None]) - _logistic(-shift)[:, None]
        return 0.98 * scale[:, None] * rise + 0.01

    v = np.arange(actions.n_levels, dtype=np.float64) * WEIGHT
    up = phi(v)
    if points is not None:
        share = np.arange(points, dtype=np.float64) / (points - 1)
        at = WEIGHT * actions.degree[:, None] * share  # (J, points)
        line = phi(at)
        line[at == 0.0] = 0.0
        for j, degree in enumerate(actions.degree.tolist()):
            up[j, : degree + 1] = np.interp(v[: degree + 1], at[j], line[j])
    rho = _rewards(n_arms, min(budget, n_arms), rng)
    return CoupledRestlessBandit(ladder(up, rho), actions, _initial(n_arms), HORIZON, GAMMA)


def _logistic(x: Floats) -> Floats:
    from scipy.special import expit

    return expit(x)
