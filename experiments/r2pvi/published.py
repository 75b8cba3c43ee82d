"""The data sets and test episodes behind the published figures, drawn again from their seeds.

The released code seeds numpy's legacy generator, whose streams are frozen, so its data are facts
that can be recomputed: five-state model, replicate r from seed r, an action and a successor per
step; American put, moves of seed 1 in every replicate and a training price of seed r. The test
episodes serve one purpose: to tell an error of the published Monte-Carlo evaluation from a
difference of the policies. Everything else here is evaluated exactly.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.random import RandomState  # the legacy generator, as an object: its streams are frozen
from numpy.typing import NDArray

from mdplib.models.american_puts import AmericanPut
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy

Ints = NDArray[np.int32]

STEPS, ACTIONS, DELTA, SLIP = 3, 16, 0.3, 0.001
QS = tuple(round(i / 10, 1) for i in range(11))  # perturbations of figures 1(a) to 1(c)
HORIZON = 20  # of the put
CHANCES = (0.2, 0.4, 0.6, 0.8, 1.0)  # of a rise, in the test environments of the put
TEST_PRICE = float(RandomState(1).uniform(95.0, 105.0))  # of every published evaluation


def action_size(xi: float) -> NDArray[np.float64]:
    """Return u(a) = delta + <xi, a> of the 16 actions, in the order of the model.

    Examples
    --------
    >>> float(action_size(0.2)[0]), round(float(action_size(0.2)[15]), 12)
    (0.09999999999999998, 0.5)
    """
    signs = np.array(list(product((-1.0, 1.0), repeat=4)))
    return DELTA + signs.sum(axis=1) * xi / 4


@lru_cache(maxsize=64)
def simulated(xi: float, seed: int, n: int) -> tuple[Ints, Ints]:
    """Return states (H+1, n) and actions (H, n) of a published data set.

    Parameters
    ----------
    xi : float
        ``norm1(xi)``.
    seed : int
        Number of the replicate.
    n : int
        Trajectories; 100 were published.
    """
    rng, u = RandomState(seed), action_size(xi)
    states, actions = np.zeros((STEPS + 1, n), np.int32), np.zeros((STEPS, n), np.int32)
    for j in range(n):
        for h in range(STEPS):
            a = int(rng.choice(ACTIONS, size=1)[0])
            law = _successors(h, int(states[h, j]), float(u[a]))
            actions[h, j], states[h + 1, j] = a, 1 + int(rng.choice(4, size=1, p=law)[0])
    return states, actions


def _successors(h: int, s: int, u: float) -> list[float]:
    """Return the law of x2 to x5 after state s at step h, which is never x2 at the last step."""
    if s >= 3:
        return [0.0, 0.0, float(s == 3), float(s == 4)]
    law = [0.0, 0.0, 0.0, u]
    if h == STEPS - 1:
        law[2] = 1.0 - u  # nothing is left to earn
        return law
    law[s] = (1.0 - u) * (1.0 - SLIP)
    law[2] = (1.0 - u) * SLIP
    return law


def training_price(seed: int) -> float:
    """Return the first price of a published data set of the put.

    Examples
    --------
    >>> round(training_price(1), 3), round(TEST_PRICE, 3)
    (99.17, 99.17)
    """
    return float(RandomState(seed).uniform(95.0, 105.0))


def moves(n: int) -> NDArray[np.bool_]:
    """Return whether the price rises, (n, HORIZON), the same for every published replicate."""
    return RandomState(1).random_sample((n, HORIZON)) < 0.5


def option_return(put: AmericanPut, policy: MarkovPolicy, p0: float, episodes: int = 100) -> float:
    """Return the mean payoff over the published test episodes, from the last start of a put.

    Every replicate meets the episodes of seed 1, whose first number is the price; a step that
    exercises draws nothing.
    """
    rng = RandomState(1)
    rng.uniform(95.0, 105.0)
    exercised = [played(step) % 2 == 1 for step in policy.steps]
    (fall, rise), total = put.successors, 0.0
    for _ in range(episodes):
        state, over = int(put.start[1]), False
        for stops in exercised:
            if not over and stops[state]:
                total, over = total + put.payoff[state], True
            else:
                state = int(rise[state] if rng.random_sample() < p0 else fall[state])
    return float(total) / episodes


def played(step: Policy) -> Ints:
    """Return the pair of each state of a deterministic policy."""
    if not isinstance(step, DeterministicPolicy):
        raise TypeError(f"a deterministic policy is needed, not a {type(step).__name__}")
    return step.pair
