r"""Breadth-first order from the goals of a model, and sweeps in that order.

Problem       Models in which every step costs until an absorbing state is reached: mazes,
              stochastic shortest paths with a discount.
Algorithm     Number the states by the fewest steps to a goal and copy the model in that order:
              Gauss-Seidel then carries news outwards from the goals, one ring of states per state
              rather than per sweep.                                                          (1)
Guarantee     From V with T V >= V, sweeps rise and stay below V*.
Cost          O(nnz) time and memory for the copy; O(nnz) per sweep.
Deviations    None.
References    Bertsekas (2012), section 2.3.3; Puterman (1994), section 6.3.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels
from mdplib.tabular import Layer, TabularMDP

Floats = NDArray[np.float64]


class GoalOrder:
    """A copy of a model whose states are ordered by distance to its goals.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    goal : (S,) bool
        The goals.

    Attributes
    ----------
    goals : (n,) int64
        The goals.
    order : (S,) int32
        The states, nearest first; those that cannot reach a goal come last.
    """

    def __init__(self, mdp: TabularMDP, goal: NDArray[np.bool_]):
        layer, kernels = mdp.layer(), _kernels.ordering
        self.gamma, self.goals = mdp.gamma, np.flatnonzero(goal)
        self.order = np.empty(mdp.n_states, dtype=np.int32)
        place = np.empty_like(self.order)
        kernels.breadth_first(*layer[:4], goal, self.order, place)
        self.layer = Layer._make(np.empty_like(array) for array in layer)
        kernels.permute(*layer, self.order, place, *self.layer)

    def rise(self, V: Floats, rounds: int, inner: int, cut: float) -> tuple[Floats, int]:
        """Sweep in the order (1): a greedy sweep and at most `inner` of its policy, per round.

        Parameters
        ----------
        V : (S,) float64
            In the model's own order; for the guarantee T V >= V.
        rounds, inner : int
            Numbers of sweeps.
        cut : float
            A round ends when a sweep changes V by less than this times its first one.

        Returns
        -------
        V : (S,) float64
        sweeps : int
            Their number.
        """
        ordered, pair, done = V[self.order], np.empty(self.order.size, dtype=np.int32), 0
        for _ in range(rounds):
            n, _ = _kernels.bellman.rise(*self.layer, self.gamma, ordered, pair, inner, cut)
            done += n
        out = np.empty_like(V)
        out[self.order] = ordered
        return out, done


def goal_order(mdp: TabularMDP) -> GoalOrder | None:
    """Return the order of a model with goals and a cost per step elsewhere, else None.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.

    Examples
    --------
    >>> from mdplib import models
    >>> goal_order(models.forest()) is None
    True
    >>> mdp = TabularMDP([0, 1, 2], [0, 1, 2], [1, 1], [1.0, 1.0], [-1.0, 0.0], [0, 0], 0.9)
    >>> goal_order(mdp).order
    array([1, 0], dtype=int32)
    """
    state_ptr, indptr, indices, _, reward = mdp.layer()
    goal = np.zeros(mdp.n_states, dtype=bool)
    if _kernels.ordering.find_goals(state_ptr, indptr, indices, reward, goal) == 0:
        return None
    return GoalOrder(mdp, goal)
