"""Samples of a lifted model, Q iteration on them, and what its policy loses.

The counts of K samples of every state and group are drawn directly from their law, so K may be a
billion. A sample draws an action from mu, a reward that is 0 or 1, and a successor; reward and
successor share the action. Pooled samples are the K mu(a | s, h) of each action, as when one set of
samples of single actions serves many groupings; means of independent samples are all the bounds
use, so they hold for these too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bounds.case import Case
from bounds.grouped_models import Array, Grouped, composed, policy_values


@dataclass(frozen=True, eq=False)
class Draws:
    """Samples of every state and group, by what came out.

    Parameters
    ----------
    counts : (2, S, m, S) int64
        How often reward 0, or 1, came with each successor; both sum to K.
    """

    counts: Array

    @property
    def size(self) -> int:
        """Samples K of each pair."""
        return int(self.counts[:, 0, 0].sum())

    @property
    def model(self) -> tuple[Array, Array]:
        """Empirical kernel (S, m, S) and mean rewards (S, m)."""
        return self.counts.sum(0) / self.size, self.counts[1].sum(-1) / self.size


def draw(model: Grouped, K: int, rng: np.random.Generator, *, pooled: bool = False) -> Draws:
    """Draw K samples of every state and group.

    Parameters
    ----------
    model : Grouped
        Every state has every group; rewards lie in [0, 1].
    K : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.
    pooled : bool
        Whether the numbers of samples per action are K mu(a | s, h), which must be whole.

    Returns
    -------
    Draws
        The counts.
    """
    member = (model.group[..., None] == np.arange(model.n_groups)).swapaxes(1, 2)
    weight = np.where(member, model.mu[:, None], 0.0)  # (S, m, A)
    played = np.rint(K * weight).astype(np.int64) if pooled else rng.multinomial(K, weight)
    paid = rng.binomial(played, np.clip(model.r, 0.0, 1.0)[:, None])
    by_reward = np.stack([played - paid, paid])
    return Draws(rng.multinomial(by_reward, model.P[:, None]).sum(3))


def iterate(P: Array, r: Array, gamma: float, n: int) -> Array:
    """Return Q_n of n iterations from zero, (S, m)."""
    Q = np.zeros_like(r)
    for _ in range(n):
        Q = r + gamma * (P @ Q.max(1))
    return Q


def with_plan(case: Case, rng: np.random.Generator) -> Case:
    """Return the case with "Q": n iterations in the empirical model of K samples."""
    P, r = draw(case["model"], case["K"], rng, pooled=case["pooled"]).model
    return case.with_values({"Q": iterate(P, r, case["model"].gamma, case["n"])})


def with_fresh(case: Case, rng: np.random.Generator) -> Case:
    """Return the case with "Q" as in `with_plan`, and "first" and "fresh", two sets of draws."""
    model, K, pooled = case["model"], case["K"], case["pooled"]
    first, fresh = (draw(model, K, rng, pooled=pooled) for _ in range(2))
    Q = iterate(*first.model, model.gamma, case["n"])
    return case.with_values({"Q": Q, "first": first, "fresh": fresh})


def deployed(model: Grouped, Q: Array) -> Array:
    """Return the values (S,) in the model of the policy that is greedy for Q, first group first."""
    pi = np.eye(model.n_groups)[Q.argmax(1)]
    return policy_values(model.P, model.r, model.gamma, composed(model, pi))


def policy_loss(case: Case) -> float:
    """Return max V*_mu - V of the greedy policy."""
    model = case["model"]
    return float((model.facts.V_mu - deployed(model, case["Q"])).max())


def total_loss(case: Case) -> float:
    """Return max V* - V of the greedy policy."""
    model = case["model"]
    return float((model.facts.V - deployed(model, case["Q"])).max())
