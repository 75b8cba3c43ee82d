r"""The inner problems of one step, on regression weights: from next values to w.

Problem       For every coordinate i and signed weights ``A = Lambda^-1 mass^T``, estimate the worst
              case of the value V under factor i: penalised, or over a ball.
Algorithm     Penalised, ``m1(a) = A min(v, a)``, ``m2(a) = A min(v, a)**2``:
              TV    ``w = m1(vmin + lambda)``                                                   (1)
              KL    ``w = -lambda log max(1 + A (e^{-v/lambda} - 1), e^{-cap/lambda})``          (2)
              chi2  ``w = max_a m1 + (m1**2 - m2) / (4 lambda)``, moments clipped                (3)
              Balls of radius rho:
              TV    ``w = max_a m1 - rho (a - vmin)^+``                                         (4)
              KL    see `solvers.robust.exponential`
              chi2  ``w = max_a m1 - sqrt(rho (m2 - m1**2)^+)``                                 (5)
              A strength that means "not robust" gives ``w = A v``.                             (6)
Guarantee     (3), (4), (5) are global maxima: every point of a segment between neighbouring values
              at which the dual can be largest is tried. KL balls: certified to 1e-10 of the range.
Cost          TV, KL: one right-hand side per distinct strength. Sweeps: O(m log m + m d) and one
              product for A, O(m d**2), in blocks of coordinates.
Deviations    The released code's choices, see `solvers.robust.compat`.
References    Panaganti et al. (2024) and Tang, Liu and Xu (2025) for penalties; Iyengar (2005)
              and Liu and Xu (2024) for balls.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels
from mdplib.errors import NotApplicableError
from solvers.robust import exponential, pruned
from solvers.robust.compat import Compat
from solvers.robust.regression import Fit

Floats = NDArray[np.float64]
_WORTHWHILE = 4_000_000  # entries of a sweep below which a second thread does not pay


@dataclass(frozen=True, eq=False)
class Inner:
    """The inner problems of one step.

    Parameters
    ----------
    fit : Fit
        The regression.
    v : (m,) float64
        Values of the distinct next states of the data.
    vmin : float
        Least value that the adversary can reach.
    cap : float
        Largest possible value of a next state.
    horizon : int
        Horizon H, the range that the released code uses.
    compat : Compat
        Choices.
    dual_low : float or None
        Least multiplier of KL balls; None for the default of `exponential.least_multiplier`.
    """

    fit: Fit
    v: Floats
    vmin: float
    cap: float
    horizon: int
    compat: Compat
    dual_low: float | None = None

    def solve(self, divergence: str, mode: str, strength: Floats) -> Floats:
        """Return w, (d,), for one strength per coordinate."""
        free = np.isinf(strength) if mode == "penalty" else strength == 0
        if free.all():
            return self.fit.estimate(self.v)  # (6)
        filled = np.where(free, 1.0, strength)
        w = _SOLVERS[divergence, mode](self, filled)
        if free.any():
            w = np.where(free, self.fit.estimate(self.v), w)  # (6)
        return w

    # --------------------------------------------------------- penalties

    def tv_penalty(self, strength: Floats) -> Floats:
        """Equation (1)."""
        level, which = levels(strength)
        found = self.fit.estimate(targets("tv", self.v, level, self.vmin))
        return found[np.arange(strength.size), which]

    def kl_penalty(self, strength: Floats) -> Floats:
        """Equation (2), or its unshrunk form stabilised by the least value."""
        level, which = levels(strength)
        at = (np.arange(strength.size), which)
        top = self._top
        if self.compat.kl_target == "shrink_to_one":
            x = self.fit.estimate(targets("kl", self.v, level))[at]
            return finished("kl", x, strength, top)
        low = float(self.v.min())
        x = self.fit.estimate(np.exp(-(self.v[:, None] - low) / level))[at]
        with np.errstate(divide="ignore"):
            log = np.log(np.maximum(x, 0.0))
        return low - strength * np.maximum(log, -(top - low) / strength)

    def chi2_penalty(self, strength: Floats) -> Floats:
        """Equation (3)."""
        if self.compat.dual_search == "local":
            return self._local(self._chi2_value, strength)
        sign = 1.0 if self.compat.chi2_sign == "max" else -1.0
        low, high = self._range
        top = self._top if self.compat.dual_clip else np.inf

        def sweep(weight: Floats, v: Floats, c: Floats, out: Floats, point: Floats) -> None:
            _kernels.regression_duals.chi2_penalty(
                weight, v, c, low, high, top, sign, out, point
            )  # (3)

        if sign > 0 and self._is_large():

            def part(weight, v, c, left, right, out, point) -> None:
                _kernels.regression_duals.chi2_penalty(
                    weight, v, c, left, right, top, 1.0, out, point
                )

            return pruned.maxima(self.fit, self.v, strength, low, part, top=top, floor=None)
        return self._sweep(sweep, strength)

    # ------------------------------------------------------------- balls

    def tv_ball(self, strength: Floats) -> Floats:
        """Equation (4)."""
        if self.compat.dual_search == "local":
            return self._local(self._tv_value, strength)
        low, high = self._range
        floor = self.vmin if self.compat.dual_floor else 0.0

        def sweep(weight: Floats, v: Floats, c: Floats, out: Floats, point: Floats) -> None:
            _kernels.regression_duals.tv_ball(weight, v, c, low, high, floor, out, point)  # (4)

        if self._is_large():

            def part(weight, v, c, left, right, out, point) -> None:
                _kernels.regression_duals.tv_ball(weight, v, c, left, right, floor, out, point)

            return pruned.maxima(self.fit, self.v, strength, low, part, top=np.inf, floor=floor)
        return self._sweep(sweep, strength)

    def chi2_ball(self, strength: Floats) -> Floats:
        """Equation (5)."""
        if self.compat.dual_search == "local":
            raise NotApplicableError("the released code has no chi-square ball")
        low, high = self._range
        top = self._top if self.compat.dual_clip else np.inf

        def sweep(weight: Floats, v: Floats, c: Floats, out: Floats, point: Floats) -> None:
            _kernels.regression_duals.chi2_ball(weight, v, c, low, high, top, out, point)  # (5)

        return self._sweep(sweep, strength)

    def kl_ball(self, strength: Floats) -> Floats:
        """Return the certified maximum of `exponential.kl_ball`."""
        if self.compat.dual_search == "local":
            return self._local(self._kl_value, strength)
        shrunk = self.compat.kl_target == "shrink_to_one"
        base = 0.0 if shrunk else float(self.v.min())
        missing = np.zeros(strength.size) if shrunk else -self.fit.unseen
        low = self.dual_low
        if low is None:
            low = exponential.least_multiplier(float(self.v.max()) - base, self.fit.step.n)
        out = np.empty(strength.size)
        for rows, weight in self.fit.weights(np.arange(self.v.size)):
            law = weight.min(axis=1) >= 0
            if law.any():
                rest = self.fit.unseen[rows][law]
                out[rows][law] = exponential.law_ball(
                    weight[law], rest if shrunk else None, self.v, strength[rows][law], self._top
                )
            if not law.all():
                out[rows][~law] = exponential.kl_ball(
                    weight[~law],
                    missing[rows][~law],
                    self.v,
                    strength[rows][~law],
                    base=base,
                    cap=self._top,
                    low=low,
                )[0]
        return out

    # ------------------------------------------------------------ shared

    @property
    def _top(self) -> float:
        """Upper end of values in clips."""
        return float(self.horizon) if self.compat.dual_range == "horizon" else self.cap

    @property
    def _range(self) -> tuple[float, float]:
        """Thresholds that a dual tries."""
        if self.compat.dual_range == "horizon":
            return 0.0, float(self.horizon)
        low = max(self.vmin, 0.0) if self.compat.dual_clip else self.vmin
        return low, max(float(self.v.max()), low)

    def _is_large(self) -> bool:
        """Whether ruling out chunks pays, and may be done: features at least 0, plain range."""
        return (
            self.v.size * self.fit.sigma.size >= _WORTHWHILE
            and self.compat.dual_range == "values"
            and 0.0 <= self._range[0] <= float(self.v.min())
            and float(self.fit.step.mass.min()) >= 0
        )

    def _sweep(self, sweep: Callable[..., None], strength: Floats) -> Floats:
        """Run a kernel over blocks of coordinates, values sorted once; threads share large ones."""
        order = np.argsort(self.v)
        v = self.v[order]
        out, point = np.empty(strength.size), np.empty(strength.size)

        def part(rows: slice, weight: Floats) -> None:
            sweep(weight, v, strength[rows], out[rows], point[rows])

        if v.size * strength.size < _WORTHWHILE:
            for rows, weight in self.fit.weights(order):
                part(rows, weight)
            return out
        with ThreadPoolExecutor(_kernels.threads.usable()) as pool:
            for rows, weight in self.fit.weights(order):
                middle = (rows.start + rows.stop + 1) // 2
                halves = slice(rows.start, middle), slice(middle, rows.stop)
                cut = middle - rows.start
                list(pool.map(part, halves, (weight[:cut], weight[cut:])))
        return out

    # ------------------------------------- the released code's local search

    def _local(self, dual: Callable[..., float], strength: Floats) -> Floats:
        """One Nelder-Mead run from H/2 per coordinate."""
        from scipy.optimize import minimize

        out = np.empty(strength.size)
        least = 1e-6 if dual == self._kl_value else 0.0
        for rows, block in self.fit.weights(np.arange(self.v.size)):
            for i, weight in zip(range(rows.start, rows.stop), block, strict=True):
                found = minimize(
                    lambda a, weight=weight, c=strength[i]: -dual(float(a[0]), weight, c),
                    [self.horizon / 2],
                    method="Nelder-Mead",
                    bounds=[(least, float(self.horizon))],
                )
                out[i] = -found.fun
        if dual == self._chi2_value and self.compat.chi2_sign == "min":
            return -out
        return out

    def _chi2_value(self, a: float, weight: Floats, c: float) -> float:
        cut = np.minimum(self.v, a)
        m1, m2 = weight @ cut, weight @ cut**2
        if self.compat.dual_clip:
            m1, m2 = np.clip(m1, 0, self._top), np.clip(m2, 0, self._top**2)
        g = m1 + (m1**2 - m2) / (4 * c)
        return float(g if self.compat.chi2_sign == "max" else -g)

    def _tv_value(self, a: float, weight: Floats, c: float) -> float:
        floor = self.vmin if self.compat.dual_floor else 0.0
        return float(weight @ np.minimum(self.v, a) - c * max(a - floor, 0.0))

    def _kl_value(self, a: float, weight: Floats, c: float) -> float:
        x = 1.0 + weight @ np.expm1(-self.v / a)
        return float(-a * np.log(max(x, 1e-6)) - a * c)


def levels(strength: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return the distinct strengths, and which of them each coordinate has."""
    if strength.min() == strength.max():
        return strength[:1], np.zeros(strength.size, dtype=np.intp)
    return np.unique(strength, return_inverse=True)


def targets(divergence: str, v: Floats, level: Floats, vmin: float = 0.0) -> Floats:
    """Return what TV or shrunk KL penalties regress, (m, u) for u penalties `level`."""
    if divergence == "tv":
        return np.minimum(v[:, None], vmin + level)  # (1)
    return np.expm1(-v[:, None] / level)


def finished(divergence: str, x: Floats, strength: Floats, top: float) -> Floats:
    """Return w from the regressed targets x, (d,)."""
    if divergence == "tv":
        return x
    with np.errstate(divide="ignore"):
        log = np.log1p(np.maximum(x, -1.0))
    return -strength * np.maximum(log, -top / strength)  # (2)


_SOLVERS = {
    ("tv", "penalty"): Inner.tv_penalty,
    ("kl", "penalty"): Inner.kl_penalty,
    ("chi2", "penalty"): Inner.chi2_penalty,
    ("tv", "ball"): Inner.tv_ball,
    ("kl", "ball"): Inner.kl_ball,
    ("chi2", "ball"): Inner.chi2_ball,
}
