"""Models with many actions that are alike: a tree of actions, and a downlink scheduler.

Tree. There are A = 2**L actions, the leaves of a binary tree; action a passes through node
``a >> (L - l)`` on level l. Levels have weights w_l proportional to q**l. Each node of each level
has, in each state, a law of the next state drawn from the symmetric Dirichlet law and a reward
drawn uniformly from [0, 1]; an action mixes those of its nodes:

    P(. | s, a) = sum_l w_l D_l(. | s, node_l(a)),   r(s, a) = sum_l w_l U_l(s, node_l(a)).

Actions that share their first nodes differ by the weights of the other levels at most.

Downlink. Two users have buffers of up to `cap` packets; a state is (q1, q2) in lexicographic
order. Action a = p_levels i + p - 1 serves user i with power p = 1, ..., p_levels: a packet leaves
with probability 1 - exp(-kappa_i p) if there is one. Then packets arrive, one per user with
probability `arrival`, and are lost where the buffer is full. The reward is

    success / 2 + (1 - (q1 + q2) / (4 cap) - p / (2 p_levels)) / 2

with success the probability that a packet leaves.

References: both are made here to study groups of actions, after the questions of Li, Ju and Shroff
(2024), whose own experiments are not public.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mdplib.models import arguments
from mdplib.tabular import TabularMDP


def tree_mdp(
    rng: np.random.Generator,
    *,
    n_levels: int = 6,
    n_states: int = 6,
    q: float = 0.6,
    concentration: float = 0.2,
    gamma: float = 0.9,
) -> TabularMDP:
    """Draw a model whose actions are the leaves of a tree (defined above).

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws, level by level, the laws and then the rewards.
    n_levels : int
        Levels below the root, L >= 0; there are 2**L actions.
    n_states : int
        States S.
    q : float
        Ratio of the weights of two levels, positive.
    concentration : float
        Of the Dirichlet law; small values make nearly deterministic nodes.
    gamma : float
        Discount factor.

    Returns
    -------
    TabularMDP
        With rewards in [0, 1].

    Raises
    ------
    InvalidModelError
        If an argument is out of range.

    Examples
    --------
    >>> tree_mdp(np.random.default_rng(0), n_levels=2, n_states=3)
    TabularMDP(12 state-action pairs on 3 states, 36 transitions, gamma=0.9)
    """
    L = arguments.count(n_levels, "n_levels", 0)
    S = arguments.count(n_states, "n_states", 1)
    w = level_weights(L, q)
    concentration = arguments.number(concentration, "concentration", 1e-6, 1e6)
    A = 1 << L
    P, r = np.zeros((S, A, S)), np.zeros((S, A))
    for level in range(L + 1):
        laws = rng.dirichlet(np.full(S, concentration), size=(S, 1 << level))
        rewards = rng.random((S, 1 << level))
        node = np.arange(A) >> (L - level)
        P += w[level] * laws[:, node]
        r += w[level] * rewards[:, node]
    return TabularMDP.from_dense(P, np.minimum(r, 1.0), gamma)


def level_weights(n_levels: int, q: float = 0.6) -> np.ndarray:
    """Return the weights of the levels of the tree, (L+1,), from the root.

    Examples
    --------
    >>> level_weights(2, 0.5).round(3)
    array([0.571, 0.286, 0.143])
    """
    q = arguments.number(q, "q", 1e-6, 1e6)
    w = q ** np.arange(n_levels + 1)
    return w / w.sum()


def downlink(
    *,
    cap: int = 3,
    powers: int = 16,
    kappa: Sequence[float] = (0.05, 0.15),
    arrival: Sequence[float] = (0.4, 0.3),
    gamma: float = 0.9,
) -> TabularMDP:
    """Build the downlink scheduler (defined above).

    Parameters
    ----------
    cap : int
        Packets that a buffer holds.
    powers : int
        Levels of power; there are twice as many actions.
    kappa : (float, float)
        How much a unit of power helps each user.
    arrival : (float, float)
        Probability of a packet for each user.
    gamma : float
        Discount factor.

    Returns
    -------
    TabularMDP
        (cap + 1)**2 states, rewards in [0, 1].

    Raises
    ------
    InvalidModelError
        If an argument is out of range.

    Examples
    --------
    >>> downlink().n_states, downlink().n_actions
    (16, 32)
    """
    cap = arguments.count(cap, "cap", 1)
    powers = arguments.count(powers, "powers", 1)
    rates = [arguments.number(x, f"kappa[{i}]", 0.0, 1e6) for i, x in enumerate(kappa)]
    comes = [arguments.number(x, f"arrival[{i}]", 0.0, 1.0) for i, x in enumerate(arrival)]
    side, power = cap + 1, np.arange(1, powers + 1)
    P, r = np.zeros((side, side, 2, powers, side, side)), np.zeros((side, side, 2, powers))
    moves = [_arrivals(cap, p) for p in comes]  # (q, q')
    for q1 in range(side):
        for q2 in range(side):
            for i in range(2):
                full = (q1, q2)[i] > 0
                success = (1.0 - np.exp(-rates[i] * power)) * full
                served = (q1 - (i == 0) * full, q2 - (i == 1) * full)
                stay = np.multiply.outer(moves[0][q1], moves[1][q2])
                gone = np.multiply.outer(moves[0][served[0]], moves[1][served[1]])
                mix = success[:, None, None]
                P[q1, q2, i] = mix * gone + (1.0 - mix) * stay
                waste = (q1 + q2) / (4.0 * cap) + power / (2.0 * powers)
                r[q1, q2, i] = 0.5 * success + 0.5 * (1.0 - waste)
    S, A = side * side, 2 * powers
    return TabularMDP.from_dense(P.reshape(S, A, S), r.reshape(S, A), gamma)


def _arrivals(cap: int, p: float) -> np.ndarray:
    """Return the law of a buffer after arrivals, (q, q')."""
    law = np.diag(np.full(cap + 1, 1.0 - p)) + np.diag(np.full(cap, p), 1)
    law[cap, cap] = 1.0
    return law
