r"""Fast maximisation in training: few actions per state, many states at once.

Problem
-------
Each update of a learner wants the largest action value in dozens of states, over thousands of
actions or a set that can't be listed.

Algorithm
---------
A pool of likely actions is gathered once. In each state the base rates the pool,

    base(s, a) = sum_j base_h[j, s_j, level_j(a)],                                           (1)

one product for all states, and the network sees the best few only.                          (2)

Guarantee
---------
The value is that of a feasible action, hence at most the largest. It is the largest if the pool
has all actions and the network's values differ by less than the base's between the best action
and the best one left out.

Cost
----
O(n m J L) for n states and m actions in the pool, and the network on n times a few rows.

Deviations
----------
The published code solves a program in each state.

References
----------
xu2025.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdplib.optim.backends import Backend
from mdplib.restless.action_set import Actions
from mdplib.restless.simulation import first_states, step
from solvers.restless.action_value import ActionValue
from solvers.restless.policies import SeparablePolicy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
EPISODES = 25  # in which likely actions are gathered
TIME_LIMIT = 10.0  # seconds for one of them


class Shortlist:
    """Maximises action values over the actions that their base rates highest.

    Parameters
    ----------
    q : ActionValue
        Its base rates; all maximised values must have that base.
    pool : (m, N) int8 array
        Feasible actions.
    n : int
        How many actions the network sees in each state.

    Examples
    --------
    >>> from mdplib import restless
    >>> from solvers.restless.action_value import n_inputs
    >>> from solvers.restless.network import Network
    >>> rng = np.random.default_rng(0)
    >>> bandit = restless.budget(6, 2, rng)
    >>> net = Network.random(n_inputs(bandit, "gated"), (4,), rng)
    >>> q = ActionValue(bandit, net, np.zeros((20, 6, 4, 2)), listed=bandit.actions.enumerate())
    >>> h, s = np.zeros(5, dtype=int), rng.integers(0, 4, (5, 6))
    >>> short = Shortlist(q, q.listed, n=len(q.listed))
    >>> bool(np.allclose(short.best(q, h, s)[1], q.best_listed(h, s)[1]))
    True
    """

    def __init__(self, q: ActionValue, pool: Actions, n: int):
        level = q.bandit.actions.levels(pool)
        hot = level[:, :, None] == np.arange(1, q.bandit.actions.n_levels)
        self.pool, self.n = pool, min(n, len(pool))
        self._hot = hot.reshape(len(pool), -1).astype(np.float32)

    def best(self, q: ActionValue, h: Ints, s: Ints) -> tuple[Actions, Floats]:
        """Return good actions, (n, N), and their Q, (n,), for steps (n,) and states (n, J)."""
        k, m = len(s), self.n
        base = q.base[h[:, None], np.arange(s.shape[1]), s]
        gain = (base[:, :, 1:] - base[:, :, :1]).reshape(k, -1).astype(np.float32)
        rating = gain @ self._hot.T  # (1)
        rows = np.argpartition(rating, len(self.pool) - m, axis=1)[:, -m:]
        actions = self.pool[rows].reshape(k * m, -1)
        values = q(np.repeat(h, m), np.repeat(s, m, axis=0), actions).reshape(k, m)  # (2)
        first = values.argmax(axis=1)
        return self.pool[rows[np.arange(k), first]], values.max(axis=1)


def likely_actions(
    q: ActionValue, n: int, rng: np.random.Generator, backend: Backend = "highs", gap: float = 0.02
) -> Actions:
    """Return up to n different feasible actions: the base's along episodes, and random ones.

    Parameters
    ----------
    q : ActionValue
        Its base decides, in episodes in which every third action is random.
    n : int
        Largest number of actions.
    rng : numpy.random.Generator
        Source of randomness.
    backend, gap
        Of the programs, where actions are not listed.

    Returns
    -------
    (m, N) int8 array
    """
    b, arms = q.bandit, np.arange(q.bandit.n_arms)
    take = SeparablePolicy(
        b, lambda h, s: q.base[h, arms, s], False, q.listed, backend, gap, TIME_LIMIT
    )
    found: dict[bytes, Actions] = {}
    s = first_states(b, rng.random((EPISODES, b.n_arms)))
    for h in range(b.horizon):
        best = take(h, s)
        drawn = np.array([b.actions.sample(rng) for _ in s], dtype=np.int8)
        found |= {a.tobytes(): a for a in np.concatenate([best, drawn])}
        a = np.where(rng.random((len(s), 1)) < 1 / 3, drawn, best)
        s = step(b, s, a, rng.random(s.shape))
    for _ in range(n - len(found)):
        a = np.asarray(b.actions.sample(rng), dtype=np.int8)
        found.setdefault(a.tobytes(), a)
    return np.array(list(found.values())[:n], dtype=np.int8)
