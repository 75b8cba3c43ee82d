"""Small Markov decision processes with grouped actions, all their quantities by dense algebra.

Arrays are over states s, actions a and groups h, and every function takes any number of models of
one shape at once, so that ten thousand of them are analysed in a second. A group that has no action
at a state has reward minus infinity there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from bounds.model import Array
from mdplib.errors import InvalidModelError


@dataclass(frozen=True, eq=False)
class Facts:
    """What the statements on grouping speak of; leading axes count models.

    Parameters
    ----------
    V, Q : (..., S), (..., S, A) float64
        Optimal values of the model.
    V_mu, Q_mu : (..., S), (..., S, m) float64
        Optimal values of the lifted model.
    beta_P, beta_r, tv : (..., S, m) float64
        Per state and group: one minus the mass that the laws of its actions have in common, the
        range of their rewards, the largest total variation between two of its actions.
    spread : (..., S, m) float64
        Range of Q in the group.
    step_loss : (..., S) float64
        What one group action, followed by optimal actions, loses.
    """

    V: Array
    Q: Array
    V_mu: Array
    Q_mu: Array
    beta_P: Array
    beta_r: Array
    tv: Array
    spread: Array
    step_loss: Array

    @cached_property
    def loss(self) -> float:
        """Largest loss of the best policy over groups: max V* - V*_mu."""
        return float((self.V - self.V_mu).max())

    @cached_property
    def delta(self) -> float:
        """Largest loss of one step."""
        return float(self.step_loss.max())

    @cached_property
    def epsilon(self) -> float:
        """Largest range of Q in a group."""
        return float(self.spread.max())

    @cached_property
    def span(self) -> float:
        """Range of V*."""
        return float(np.ptp(self.V))

    @cached_property
    def weights(self) -> tuple[float, float]:
        """Minimal beta_P and beta_r of the whole grouping."""
        return float(self.beta_P.max()), float(self.beta_r.max())


@dataclass(frozen=True, eq=False)
class Grouped:
    """A model, a grouping of its actions and a policy inside the groups.

    Parameters
    ----------
    P : (S, A, S) float64
        Kernel.
    r : (S, A) float64
        Rewards.
    group : (S, A) int64
        Group of each action, which may differ between states.
    mu : (S, A) float64
        Probability of the action given the state and the action's group.
    gamma : float
        Discount factor.

    Raises
    ------
    InvalidModelError
        If shapes do not fit or a group is negative. What the arrays say is for the hypotheses of
        the theorems to judge.

    Examples
    --------
    >>> round(leaky(0.5, 0.2, 0.9).facts.loss, 9)
    8.545454545
    """

    P: Array
    r: Array
    group: Array
    mu: Array
    gamma: float

    def __post_init__(self):
        for name, kind in (("P", float), ("r", float), ("group", np.int64), ("mu", float)):
            array = np.array(getattr(self, name), dtype=kind)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        shape = self.r.shape
        if self.P.shape != (*shape, *shape[:1]) or {self.group.shape, self.mu.shape} != {shape}:
            raise InvalidModelError(
                f"P {self.P.shape}, r {shape}, group {self.group.shape}, mu {self.mu.shape}: need "
                "(S, A, S) and three times (S, A)."
            )
        if self.group.min() < 0:
            raise InvalidModelError("groups are numbered from zero; found a negative number.")

    @property
    def n_groups(self) -> int:
        """Number m of groups."""
        return int(self.group.max()) + 1

    @cached_property
    def facts(self) -> Facts:
        """Values, weights and losses, computed once."""
        return one_of(facts_of(*stacked([self])), 0)

    def lifted(self, mu: Array | None = None) -> tuple[Array, Array]:
        """Return kernel (S, m, S) and rewards (S, m) over groups, under mu or another weight."""
        P, r, member, own, _ = stacked([self])
        P_mu, r_mu = lift(P, r, member, own if mu is None else np.asarray(mu)[None])
        return P_mu[0], r_mu[0]


def stacked(models: Sequence[Grouped]) -> tuple[Array, Array, Array, Array, Array]:
    """Return P, r, membership (B, S, A, m), mu and gamma of models of one shape."""
    group = np.stack([model.group for model in models])
    member = group[..., None] == np.arange(max(model.n_groups for model in models))
    P = np.stack([model.P for model in models])
    r = np.stack([model.r for model in models])
    mu = np.stack([model.mu for model in models])
    return P, r, member, mu, np.array([float(model.gamma) for model in models])


def analysed(models: Sequence[Grouped]) -> list[Grouped]:
    """Compute the facts of many models of one shape at once and return the models."""
    facts = facts_of(*stacked(models))
    for i, model in enumerate(models):
        model.__dict__["facts"] = one_of(facts, i)
    return list(models)


def one_of(facts: Facts, i: int) -> Facts:
    """Return the facts of the i-th model."""
    return Facts(*(getattr(facts, f.name)[i] for f in fields(Facts)))


def lift(P: Array, r: Array, member: Array, mu: Array) -> tuple[Array, Array]:
    """Return kernels (B, S, m, S) and rewards (B, S, m) over groups."""
    weight = np.where(member, mu[..., None], 0.0).swapaxes(2, 3)
    r_mu = np.where(member.any(2), (weight @ r[..., None])[..., 0], -np.inf)
    return weight @ P, r_mu


def solve(P: Array, r: Array, gamma: Array) -> tuple[Array, Array]:
    """Return optimal values (B, S) and (B, S, A) by policy iteration on all models at once."""
    pair = r.argmax(2)
    while True:
        V = evaluate(P, r, gamma, pair)
        Q = r + gamma[:, None, None] * (P @ V[:, None, :, None])[..., 0]
        now = np.take_along_axis(Q, pair[..., None], 2)[..., 0]
        better = Q.max(2) > now + 1e-12 * (1.0 + np.abs(V).max(1, keepdims=True))
        if not better.any():
            return V, Q
        pair = np.where(better, Q.argmax(2), pair)


def evaluate(P: Array, r: Array, gamma: Array, pair: Array) -> Array:
    """Return values (B, S) of deterministic policies (B, S)."""
    rows = np.take_along_axis(P, pair[..., None, None], 2)[:, :, 0]
    paid = np.take_along_axis(r, pair[..., None], 2)
    return np.linalg.solve(np.eye(P.shape[1]) - gamma[:, None, None] * rows, paid)[..., 0]


def policy_values(P: Array, r: Array, gamma: float, weight: Array) -> Array:
    """Return the values (S,) of a randomised policy (S, A) of one model."""
    rows = np.einsum("sa,sat->st", weight, P)
    paid = np.where(weight > 0, weight * np.where(weight > 0, r, 0.0), 0.0).sum(1)
    return np.linalg.solve(np.eye(len(P)) - gamma * rows, paid)


def composed(model: Grouped, pi: Array) -> Array:
    """Return the weights (S, A) of drawing a group from pi (S, m) and an action from mu."""
    return np.take_along_axis(pi, model.group, 1) * model.mu


def overlap(P: Array, member: Array) -> Array:
    """Return the mass (B, S, m) that the laws of the actions of each group have in common."""
    common = [
        np.where(member[..., h, None], P, np.inf).min(2).sum(-1) for h in range(member.shape[3])
    ]
    return np.where(member.any(2), np.stack(common, axis=2), 1.0)


def group_range(x: Array, member: Array) -> Array:
    """Return the range (B, S, m) of x (B, S, A) in each group; zero in an empty one."""
    wide = x[..., None]
    top = np.where(member, wide, -np.inf).max(2)
    bottom = np.where(member, wide, np.inf).min(2)
    return np.where(member.any(2), top - bottom, 0.0)


def group_distance(distance: Array, member: Array) -> Array:
    """Return the largest distance (B, S, m) within groups, from distances (B, S, A, A)."""
    both = member[:, :, :, None] & member[:, :, None, :]
    return np.where(both, distance[..., None], 0.0).max((2, 3))


def variation(P: Array) -> Array:
    """Return total variations (B, S, A, A) between the laws of the actions of each state."""
    return 0.5 * np.abs(P[:, :, :, None] - P[:, :, None, :]).sum(-1)


def facts_of(P: Array, r: Array, member: Array, mu: Array, gamma: Array) -> Facts:
    """Return the facts of B models of one shape."""
    V, Q = solve(P, r, gamma)
    P_mu, r_mu = lift(P, r, member, mu)
    V_mu, Q_mu = solve(P_mu, r_mu, gamma)
    one_step = r_mu + gamma[:, None, None] * (P_mu @ V[:, None, :, None])[..., 0]
    return Facts(
        V,
        Q,
        V_mu,
        Q_mu,
        1.0 - overlap(P, member),
        group_range(r, member),
        group_distance(variation(P), member),
        group_range(Q, member),
        V - one_step.max(2),
    )


def leaky(b_P: float, b_r: float, gamma: float) -> Grouped:
    """Return two actions in one group, the worse one played: it pays b_r less and leaks b_P.

    Parameters
    ----------
    b_P, b_r : float
        Probability that the worse action leaves the paying state for good, and what it forgoes
        of the reward 1.
    gamma : float
        Discount factor.

    Returns
    -------
    Grouped
        Two states, the second absorbing and paying nothing.
    """
    P = np.zeros((2, 2, 2))
    P[0, 0, 0], P[0, 1] = 1.0, (1.0 - b_P, b_P)
    P[1, :, 1] = 1.0
    r = np.array([[1.0, 1.0 - b_r], [0.0, 0.0]])
    return Grouped(P, r, np.zeros((2, 2)), np.array([[0.0, 1.0], [0.0, 1.0]]), gamma)
