"""What the data-driven robust methods return: a pessimistic value, its policy, its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.policy import DeterministicPolicy, MarkovPolicy
from mdplib.solution import Provenance, Stats
from solvers.robust.compat import Compat

if TYPE_CHECKING:
    from mdplib.linear import Features

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class PessimisticSolution:
    """A policy from data with a pessimistic estimate of its robust value.

    ``Q_h = clip(reward_h + phi (w_h + [no bonus] - bonus_h))``: on the event that
    ``|w_{h,i} - true_i| <= beta_h sigma_{h,i}`` for all h and i, `V` is a lower bound on the robust
    value of `policy`.

    Parameters
    ----------
    V : (H+1, S) float64
        Pessimistic values, in units of reward; V[H] is 0.
    w : (H, d) float64
        Estimated worst-case next values per coordinate.
    sigma : (H, d) float64
        ``sqrt((Lambda_h^-1)_ii)``.
    beta : (H,) float64
        Multiplier of the bonus at each step.
    inverse : (H, d, d) float64
        Inverses of the Gram matrices, ridge included.
    policy : MarkovPolicy
        Greedy policy on the pairs of `features`.
    cap : (H+1,) float64
        Upper end of the clip at each step.
    reward : (H, K) float64
        Rewards that enter Q (zero where the reward is regressed into `w`).
    features : Features
        Features of the pairs.
    robustness : Robustness
        Divergence, mode and strengths; None for PEVI.
    compat : Compat
        Choices the method ran with.
    stats : Stats
        Effort; `log` holds one sentence per remark (conditioning, theory constants, ...).
    provenance : Provenance
        Method, options, versions.
    """

    V: Floats
    w: Floats
    sigma: Floats
    beta: Floats
    inverse: Floats
    policy: MarkovPolicy
    cap: Floats
    reward: Floats
    features: Features
    robustness: Any
    compat: Compat
    stats: Stats
    provenance: Provenance

    def __post_init__(self):
        for name in ("V", "w", "sigma", "beta", "inverse", "cap", "reward"):
            array = getattr(self, name)
            array = validate.frozen(array, np.float64, name, ndim=(array.ndim,))
            object.__setattr__(self, name, array)

    @property
    def horizon(self) -> int:
        """Number of steps H."""
        return self.w.shape[0]

    def bonus(self, h: int) -> Floats:
        """Return what pessimism takes off each pair at step h, (K,), in units of reward."""
        self._check(h)
        return bonus(
            bonus_rows(self.features, self.compat.penalty),
            self.sigma[h],
            self.inverse[h],
            self.beta[h],
            self.compat.penalty,
        )

    def q(self, h: int, *, clipped: bool = True) -> Floats:
        """Return the pessimistic Q of each pair at step h, (K,), in units of reward."""
        self._check(h)
        raw = self.reward[h] + self.features.phi @ self.w[h] - self.bonus(h)
        return clip(raw, self.features.phi, self.cap[h], self.compat.clip_low) if clipped else raw

    def initial(self, law: NDArray[np.float64]) -> float:
        """Return the mean of ``V[0]`` under the law (S,) of the first state."""
        return float(self.V[0] @ law)

    def _check(self, h: int) -> None:
        if not 0 <= h < self.horizon:
            raise InvalidModelError(f"step {h} is outside the horizon 0..{self.horizon - 1}")

    def __repr__(self) -> str:
        H, d = self.w.shape
        lines = [
            f"method    {self.provenance.solver}, H={H}, d={d}, {self.V.shape[1]} states",
            f"V[0]      [{self.V[0].min():.6g}, {self.V[0].max():.6g}] over all states",
            f"beta      [{self.beta.min():.4g}, {self.beta.max():.4g}] over steps",
            f"time      {self.stats.wall_s:.3g} s",
            *(f"note      {line}" for line in self.stats.log),
        ]
        return "PessimisticSolution\n" + "\n".join("  " + line for line in lines)


def bonus(phi: Floats, sigma: Floats, inverse: Floats, beta: float, penalty: str) -> Floats:
    """Return beta times the uncertainty of each row of `phi` under one of the three penalties.

    Rows are those of `bonus_rows`.
    """
    if beta == 0:
        return np.zeros(phi.shape[0])
    if penalty == "sum":
        return phi @ (beta * sigma)
    if penalty == "l2":
        return beta * np.sqrt((phi * phi) @ (sigma * sigma))
    return beta * np.sqrt(np.maximum(np.einsum("kd,kd->k", phi @ inverse, phi), 0.0))


def bonus_rows(features: Features, penalty: str) -> Floats:
    """Return what `bonus` takes: absolute values, or signed features for "ellipsoid"."""
    if features.simplex or penalty == "ellipsoid":
        return features.phi
    return np.abs(features.phi)


def clip(q: Floats, phi: Floats, cap: float, clip_low: bool) -> Floats:
    """Return q clipped to [0, cap]; pairs that end the episode have a known value, left alone."""
    top = np.where(phi.any(axis=1), cap, np.inf) if (q > cap).any() else np.inf
    return np.clip(q, 0.0 if clip_low else -np.inf, top)


def greedy(pairs: NDArray[np.int32], action_id: NDArray[np.int32]) -> MarkovPolicy:
    """Return the policy that plays `pairs`, (H, S)."""
    return MarkovPolicy(tuple(DeterministicPolicy(pair, action_id[pair]) for pair in pairs))
