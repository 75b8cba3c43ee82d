"""The models, their nested groupings, and the true loss of policies over groups."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import solvers
from experiments.grouping.cells import GAMMA, GROUPS, Model
from mdplib import models, operators
from mdplib.grouping import Grouping, lift
from mdplib.grouping.distances import dense_rows
from mdplib.policy import StochasticPolicy
from mdplib.tabular import TabularMDP
from solvers.grouping import evaluate

Floats = NDArray[np.float64]
SEED = 0  # of the tree: the instance whose numbers are known
LEVELS, POWERS, CAP = 6, 16, 3


@cache
def system(model: Model) -> TabularMDP:
    """Return a model; it is the same in all cells."""
    if model == "downlink":
        return models.downlink(cap=CAP, powers=POWERS, gamma=GAMMA[model])
    rng = np.random.default_rng(SEED)
    return models.tree_mdp(rng, n_levels=LEVELS, gamma=GAMMA[model])


def groupings(model: Model) -> list[Grouping]:
    """Return the groupings of a model, coarse ones first."""
    if model == "downlink":
        return [Grouping.contiguous([2 * POWERS // m] * m) for m in GROUPS[model]]
    return [Grouping.tree(int(m).bit_length() - 1, LEVELS) for m in GROUPS[model]]


def lifted(mdp: TabularMDP, grouping: Grouping) -> tuple[Floats, Floats]:
    """Return kernels (S, m, S) and rewards (S, m) of the lifted model, as dense arrays."""
    return dense_rows(lift(mdp, grouping))


class Judge:
    """Exact losses of policies on one model.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    over : {"max", "mean"}
        Largest or mean loss over the states.
    """

    def __init__(self, mdp: TabularMDP, over: Literal["max", "mean"]):
        self.mdp, self.over = mdp, over
        self.best = solvers.solve(mdp, "policy_iteration", tol=1e-10).require().value

    def groups(self, grouping: Grouping, policy: NDArray[np.int64]) -> Floats:
        """Return the losses of policies (n, S) over groups, (n,)."""
        P, r = lifted(self.mdp, grouping)
        return self._loss(evaluate(P, r, policy, self.mdp.gamma))

    def single(self, policy: StochasticPolicy) -> float:
        """Return the loss of one policy of the model itself."""
        return float(self._loss(operators.evaluate_policy(self.mdp, policy)))

    def _loss(self, value: Floats) -> Floats:
        lost = np.maximum(self.best - value, 0.0)
        return lost.max(axis=-1) if self.over == "max" else lost.mean(axis=-1)


def schedulers(mdp: TabularMDP) -> dict[str, StochasticPolicy]:
    """Return policies of the downlink that learn nothing.

    Returns
    -------
    dict
        Longest queue first at middle power, and the users at random at middle power, which is what
        taking turns amounts to for a policy without memory.
    """
    side = CAP + 1
    q1, q2 = np.divmod(np.arange(mdp.n_states), side)
    middle = POWERS // 2 - 1
    longest = np.where(q2 > q1, POWERS + middle, middle)
    greedy = (mdp.action_id == longest[mdp.pair_state]).astype(float)
    turns = 0.5 * np.isin(mdp.action_id, (middle, POWERS + middle))
    return {
        "longest queue, middle power": StochasticPolicy.from_weights(mdp, greedy),
        "users in turn, middle power": StochasticPolicy.from_weights(mdp, turns),
    }
