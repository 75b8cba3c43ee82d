r"""The backward recursion that all pessimistic methods share.

Problem       Regressions of every step; find w_h, bonuses and the greedy policy.
Algorithm     ``V_H = 0``; for h = H-1, ..., 0:
              ``w_h = inner problem at V_{h+1}`` (zero at h = H-1),                             (1)
              ``Q_h = clip(r_h + phi w_h - bonus_h, 0, cap_h)``,                                (2)
              ``V_h(s) = max of Q_h over the pairs of s``, ties to the first pair.              (3)
Guarantee     If ``|w - truth| <= beta sigma`` throughout, ``V_h`` is at most the robust value of
              the greedy policy, and its suboptimality is at most twice the sum of bonuses along
              the optimal policy under the worst kernel for V.
Cost          One product of the K features with a vector per step, beside the regressions.
Deviations    Choices in `solvers.robust.compat`.
References    Jin, Yang and Wang (2021), algorithm 1; Tang, Liu and Xu (2025), algorithm 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels, validate
from mdplib.errors import InvalidModelError
from mdplib.solution import Provenance, Stats
from solvers.robust.compat import Compat
from solvers.robust.inner import Inner
from solvers.robust.regression import ILL_CONDITIONED, Fit, fit, step_sums
from solvers.robust.result import PessimisticSolution, bonus, bonus_rows, clip, greedy

if TYPE_CHECKING:
    from mdplib.linear import Features
    from mdplib.linear_offline import LinearData

Floats = NDArray[np.float64]
BetaAt = Callable[[int, Floats, Floats, Fit], float]  # h, w_h, V_{h+1}, regression -> beta_h
_KEEP = 2**30  # bytes of regressions kept for later runs


class Fits:
    """The regressions of all steps, computed when first needed and kept while they are small."""

    def __init__(self, data: LinearData, ridge: float, weights: Floats | None = None):
        self.data, self.ridge, self.weights = data, ridge, weights
        self._kept: dict[int, Fit] = {}
        self._bytes = 0
        self.least_rcond = np.inf

    def __getitem__(self, h: int) -> Fit:
        if h in self._kept:
            return self._kept[h]
        weight = None if self.weights is None else self.weights[h]
        found = fit(step_sums(self.data, h, weight), self.ridge)
        self.least_rcond = min(self.least_rcond, found.rcond)
        self._bytes += found.step.mass.nbytes
        if self._bytes <= _KEEP:
            self._kept[h] = found
        return found


@dataclass(eq=False)
class Recursion:
    """One method's run over the steps.

    Parameters
    ----------
    data : LinearData
        Samples, features and known rewards.
    fits : Fits
        Regressions.
    compat : Compat
        Choices.
    cap : (H+1,) float64
        Upper end of values by step.
    fail_state : int or None
        A state known to be absorbing with reward 0, valued 0.
    dual_low : float or None
        Least multiplier of KL balls.
    regressed : bool
        Whether rewards are regressed into w.
    """

    data: LinearData
    fits: Fits
    compat: Compat
    cap: Floats
    fail_state: int | None = None
    dual_low: float | None = None
    regressed: bool = False
    log: list[str] = field(default_factory=list)

    def run(
        self,
        divergence: str,
        mode: str,
        strength: Floats,
        beta: BetaAt,
        solver: str,
        options: Mapping[str, Any],
        robustness: Any = None,
    ) -> PessimisticSolution:
        """Go back from the last step; `strength` is (H, d)."""
        begun = time.perf_counter(), time.process_time()
        features, H = self.data.features, self.data.horizon
        S, d = features.n_states, features.phi.shape[1]
        V, pairs = np.zeros((H + 1, S)), np.empty((H, S), dtype=np.int32)
        w, sigma, betas = np.zeros((H, d)), np.empty((H, d)), np.empty(H)
        inverse = np.empty((H, d, d))
        reward = self._reward()
        rows = bonus_rows(features, self.compat.penalty)
        linear = features.simplex and self.compat.penalty == "sum"
        for h in reversed(range(H)):
            one = self.fits[h]
            sigma[h], inverse[h] = one.sigma, one.inverse
            if h < H - 1 and one.step.seen.size:
                w[h] = self.inner(h, one, V[h + 1]).solve(divergence, mode, strength[h])  # (1)
            elif h < H - 1:
                self.log.append(f"no sample of step {h} has a next state: what follows counts 0")
            if self.regressed:
                w[h] += one.solve(self.reward_mass(h))
            betas[h] = beta(h, w[h], V[h + 1], one)
            if linear:  # one product serves value and bonus
                raw = features.phi @ (w[h] - betas[h] * sigma[h])
            else:
                raw = features.phi @ w[h]
                raw -= bonus(rows, sigma[h], inverse[h], betas[h], self.compat.penalty)
            raw += reward[h]
            q = clip(raw, features.phi, self.cap[h], self.compat.clip_low)  # (2)
            _kernels.bellman.best_of(features.state_ptr, q, V[h + 1], 0, S, V[h], pairs[h])  # (3)
            if self.fail_state is not None:
                V[h, self.fail_state] = 0.0
        return PessimisticSolution(
            V, w, sigma, betas, inverse, greedy(pairs, features.action_id), self.cap, reward,
            features, robustness, self.compat,
            Stats(
                H,
                time.perf_counter() - begun[0],
                time.process_time() - begun[1],
                log=tuple(self.log) + self._conditioning(),
            ),
            Provenance(solver, dict(options), f"{self.data!r}"),
        )  # fmt: skip

    def inner(self, h: int, one: Fit, V: Floats) -> Inner:
        """Return the inner problems of step h for next values V (S,)."""
        v = np.append(V, 0.0)[one.step.seen]
        kind = self.compat.vmin
        vmin = 0.0 if kind == "fail_state" else float(v.min())
        if kind == "states":
            vmin = min(vmin, float(V.min()))
        return Inner(
            one, v, vmin, float(self.cap[h + 1]), self.data.horizon, self.compat, self.dual_low
        )

    def _reward(self) -> Floats:
        """Rewards that enter Q: known ones, or those of ending pairs alone."""
        if not self.regressed:
            return self.data.reward
        ends = ~self.data.features.phi.any(axis=1)
        return np.where(ends, self.data.reward, 0.0)

    def reward_mass(self, h: int, weight: Floats | None = None) -> Floats:
        """Return the sum over samples of phi times reward, (d,)."""
        here = self.data.pair[h] >= 0
        phi = self.data.features.phi
        weight = None if weight is None else weight[here]
        count = np.bincount(self.data.pair[h][here], weight, minlength=phi.shape[0])
        return phi.T @ (count * self.data.reward[h])

    def _conditioning(self) -> tuple[str, ...]:
        rcond = self.fits.least_rcond
        if rcond >= ILL_CONDITIONED:
            return ()
        return (
            f"ill-conditioned Gram matrix: reciprocal condition number about {rcond:.1e}; raise "
            "the ridge or drop features that the data do not tell apart",
        )


def caps(data: LinearData, compat: Compat, given: ArrayLike | None = None) -> Floats:
    """Return the upper ends of values, (H+1,).

    ``H - h`` when rewards are at most 1 (or `compat` says so), else the sums of the largest
    rewards from step h on; `given` replaces both.
    """
    H = data.horizon
    if given is not None:
        cap = validate.frozen(given, np.float64, "cap")
        if cap.shape != (H + 1,) or not (np.isfinite(cap).all() and cap.min() >= 0):
            raise InvalidModelError(
                f"cap has shape {cap.shape}; ({H + 1},) finite numbers of at least 0 expected"
            )
        return cap
    if compat.cap == "horizon" or data.reward.max() <= 1:
        return np.arange(H, -1, -1.0)
    most = data.reward.max(axis=1)
    return np.append(np.cumsum(most[::-1])[::-1], 0.0)


def check_state(features: Features, state: int | None) -> None:
    """Raise `InvalidModelError` if `state` is outside the model."""
    if state is not None and not 0 <= state < features.n_states:
        raise InvalidModelError(
            f"fail_state is {state}; a state from 0 to {features.n_states - 1} expected"
        )
