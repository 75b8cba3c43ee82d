r"""Plain learners for dynamical linear bandits: one sample per epoch, and all samples.

Problem
-------
Play a system of `bounds.dynamical_bandits` and record everything its theorems speak of.

Algorithm
---------
`play_epochs`: epoch m plays one arm 1 + H_m rounds, H_m the rounding of

    log m / log(1 / rho),                                                                   (1)

and uses the last reward for ridge regression. With V, S1 = sum rho^{H_l}, S2 = sum rho^{2 H_l}
over the epochs completed, the radius is one of

    certified  C_b min(U S1 / sqrt(lambda), sqrt(S2)) + c2 sqrt(lambda)
               + sqrt(2 s2 [log(1/delta) + log(det V / lambda^d) / 2]),                     (2)
    paper      c1 log(e (t + 1)) / sqrt(lambda) + c2 sqrt(lambda)
               + sqrt(2 s2 [log(1/delta) + d log(1 + t U^2 / (d lambda)) / 2]),             (3)
    unbiased   (2) without its first term.

`play_blocks` uses every reward, and chooses anew only when det V has grown by the factor 1 + C. In
between the arm is constant, so a block of k rounds needs no loop: with S_k = sum_{j<k} A^j,

    sum of y = k <h, u> + g^T (x - x') + sum of eta + g^T (sum of eps),                     (4)

and (sum of eps, noise of x') is Gaussian with covariances k I, S_k and sum_j A^j A^{jT}, times
sigma^2: the run is exact in law. Its radius is

    Q [sum over switches of ||u_s - u_{s-1}||_{V^-1} + ||u_t||_{V^-1}] + c2 sqrt(lambda)
      + sqrt(2 sigma^2 (1 + G^2) [log(1/delta) + log(det V / lambda^d) / 2]).               (5)

Guarantee
---------
Those of `bounds.mussi2023_confidence` and `bounds.mussi2023_switching`.

Cost
----
Epochs: about 30 microseconds each. Blocks: logarithmic in the number of rounds.

Deviations
----------
Rounding in (1) is exact: a power of 1 / rho is not missed by an error of the logarithm. The
learner plays the arms `forced`, in turn, if given: the confidence sets do not care who chooses.

References
----------
mussi2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from bounds.dynamical_bandits import Array, Constants, System

Rounding = Literal["floor", "ceil"]
Radius = Literal["certified", "paper", "unbiased"]


def patience(m: int, rho: float, rounding: Rounding) -> int:
    """Return H_m.

    Examples
    --------
    >>> [patience(m, 0.2, "floor") for m in (1, 4, 5, 125)]
    [0, 0, 1, 3]
    >>> [patience(m, 0.2, "ceil") for m in (1, 4, 5, 126)]
    [0, 1, 1, 4]
    """
    H = int(math.log(m) / math.log(1.0 / rho))  # (1)
    while m * rho ** (H + 1) >= 1.0 - 1e-12:
        H += 1
    while H > 0 and m * rho**H < 1.0 - 1e-12:
        H -= 1
    return H + int(rounding == "ceil" and m * rho**H > 1.0 + 1e-12)


def bias_sums(M: int, rho: float, rounding: Rounding) -> tuple[float, float]:
    """Return S1 and S2 over the first M epochs.

    Examples
    --------
    >>> [round(x, 2) for x in bias_sums(100_000, 0.2, "floor")]
    [28.28, 5.0]
    """
    S1 = S2 = 0.0
    m = 1
    while m <= M:  # H is constant on stretches
        H = patience(m, rho, rounding)
        last = min(M, _last(m, H, rho, rounding))
        S1 += (last - m + 1) * rho**H
        S2 += (last - m + 1) * rho ** (2 * H)
        m = last + 1
    return S1, S2


def _last(m: int, H: int, rho: float, rounding: Rounding) -> int:
    """Return the last epoch whose H is that of epoch m."""
    edge = rho ** -(H if rounding == "ceil" else H + 1)
    last = max(m, int(edge) - 2)
    while patience(last + 1, rho, rounding) == H:
        last += 1
    return last


def n_epochs(rounds: int, rho: float, rounding: Rounding) -> int:
    """Return how many epochs begin within the rounds.

    Examples
    --------
    >>> n_epochs(1_000_000, 0.2, "floor")
    137206
    """
    m, t = 1, 0
    while True:
        H = patience(m, rho, rounding)
        last = _last(m, H, rho, rounding)
        if t + (last - m + 1) * (1 + H) >= rounds:
            return m - 1 + -(-(rounds - t) // (1 + H))
        t += (last - m + 1) * (1 + H)
        m = last + 1


def radius(
    kind: Radius, c: Constants, d: int, rounds: int, t: int, S1: float, S2: float, logdet: float
) -> float:
    """Return (2), (3), or (2) without the bias, after t rounds."""
    lam = c.ridge
    if kind == "paper":
        logdet = d * math.log(1.0 + t * c.U**2 / (d * lam))
        bias = c.c1 / math.sqrt(lam) * math.log(math.e * (t + 1))  # (3)
    else:
        bias = c.bias_scale(rounds) * min(c.U * S1 / math.sqrt(lam), math.sqrt(S2))  # (2)
    return bias * (kind != "unbiased") + c.c2 * math.sqrt(lam) + c.martingale(c.s2, logdet)


@dataclass(frozen=True)
class EpochRun:
    """What happened, per epoch; the last epoch may be cut short.

    Attributes
    ----------
    error, beta : (M,) ndarray
        ||h^ - h||_V and its radius when the epoch begins.
    length, gap, width : (M,) ndarray
        Rounds played, gap of the arm, ||u||_{V^-1}.
    bias : (M,) ndarray
        Bias of the sample given the past.
    t, S1, S2, logdet : (M,) ndarray
        What the radius is made of, when the epoch begins.
    """

    error: Array
    beta: Array
    length: Array
    gap: Array
    width: Array
    bias: Array
    t: Array
    S1: Array
    S2: Array
    logdet: Array

    @property
    def ratio(self) -> Array:
        """Error over radius, shape (M,)."""
        return self.error / self.beta

    @property
    def regret(self) -> float:
        """Sum of the gaps over the rounds."""
        return float(self.length @ self.gap)

    def certificate(self, D: float, factor: float = 2.0) -> float:
        """Return sum of L_m min(D, 2 beta_m w_m)."""
        return float(self.length @ np.minimum(D, factor * self.beta * self.width))


def play_epochs(
    system: System,
    c: Constants,
    rounds: int,
    rng: np.random.Generator,
    *,
    kind: Radius = "certified",
    rounding: Rounding = "ceil",
    forced: bool = False,
) -> EpochRun:
    """Play one run from a state at rest."""
    arms, n, d = system.arms, system.n, system.d
    x, hidden = np.zeros(n), _noise_reward(system, rounds, rng)
    powers, rests = [np.eye(n)], np.array([system.rest(u) for u in arms])
    V, inverse = c.ridge * np.eye(d), np.eye(d) / c.ridge
    b, estimate, rows = np.zeros(d), np.zeros(d), []
    S1 = S2 = logdet = 0.0
    t, m = 0, 1
    while t < rounds:
        beta = radius(kind, c, d, rounds, t, S1, S2, logdet)
        widths = np.sqrt(((arms @ inverse) * arms).sum(axis=1))
        k = (m - 1) % len(arms) if forced else int(np.argmax(arms @ estimate + beta * widths))
        u, H = arms[k], patience(m, c.rho, rounding)
        off = estimate - system.h
        error = math.sqrt(max(off @ V @ off, 0.0))
        while len(powers) < H + 2:
            powers.append(powers[-1] @ system.A)
        bias = float(system.omega @ powers[H] @ (x - rests[k]))
        length = min(H + 1, rounds - t)
        gap, width = system.gaps[k], widths[k]
        rows.append((error, beta, length, gap, width, bias, t, S1, S2, logdet))
        t += length
        if length == H + 1:
            y = system.J[k] + bias + hidden[t - 1]
            direction = inverse @ u
            logdet += math.log1p(u @ direction)
            inverse -= np.outer(direction, direction) / (1.0 + u @ direction)
            V += np.outer(u, u)
            b += y * u
            estimate = inverse @ b
            S1 += c.rho**H
            S2 += c.rho ** (2 * H)
        x = rests[k] + powers[length] @ (x - rests[k])
        m += 1
    return EpochRun(*np.array(rows).T)


def _noise_reward(system: System, rounds: int, rng: np.random.Generator) -> Array:
    """Return the part of the rewards that does not depend on the arms."""
    eps, eta = system.draw(rng, rounds)
    x, y = np.zeros(system.n), eta
    for t in range(rounds):
        y[t] += system.omega @ x
        x = system.A @ x + eps[t]
    return y


@dataclass(frozen=True)
class BlockRun:
    """What happened, per block of constant arm.

    Attributes
    ----------
    error, edge, steady : (N + 1,) ndarray
        ||h^ - h||_V, the first term of its radius, and the rest, before each block and at the end.
    length, gap, width : (N,) ndarray
        Rounds, gap of the arm and ||u||_{V^-1} when the block begins.
    """

    error: Array
    edge: Array
    steady: Array
    length: Array
    gap: Array
    width: Array

    @property
    def beta(self) -> Array:
        """Radius before each block and at the end, shape (N + 1,)."""
        return self.edge + self.steady

    @property
    def ratio(self) -> Array:
        """Error over radius, shape (N + 1,)."""
        return self.error / self.beta

    @property
    def regret(self) -> float:
        """Sum of the gaps over the rounds."""
        return float(self.length @ self.gap)

    def certificate(self, D: float) -> float:
        """Return sum of k min(D, 2 beta w) over the blocks."""
        return float(self.length @ np.minimum(D, 2.0 * self.beta[:-1] * self.width))


def play_blocks(
    system: System,
    c: Constants,
    rounds: int,
    rng: np.random.Generator,
    *,
    C: float = 1.0,
) -> BlockRun:
    """Play one run from a state at rest."""
    arms, h, Q = system.arms, system.h, c.state_worth(rounds)
    V, b, x = c.ridge * np.eye(system.d), np.zeros(system.d), np.zeros(system.n)
    jumps: list[Array] = []
    played: Array | None = None
    radii, rows, t = [], [], 0
    while True:
        inverse = np.linalg.inv(V)
        estimate = inverse @ b
        logdet = np.linalg.slogdet(V / c.ridge)[1]
        edges = jumps if played is None else [*jumps, played]
        edge = Q * sum(math.sqrt(v @ inverse @ v) for v in edges)  # (5)
        noise = c.martingale(c.sigma**2 * (1.0 + c.G**2), max(float(logdet), 0.0))
        off, beta = estimate - h, edge + c.c2 * math.sqrt(c.ridge) + noise
        radii.append((math.sqrt(max(off @ V @ off, 0.0)), edge, beta - edge))
        if t == rounds:
            return BlockRun(*np.array(radii).T, *np.array(rows).T)
        widths = np.sqrt(((arms @ inverse) * arms).sum(axis=1))
        k = int(np.argmax(arms @ estimate + beta * widths))
        u = arms[k]
        wanted = C / widths[k] ** 2 if widths[k] > 0 else math.inf
        length = int(min(rounds - t, math.floor(min(wanted, rounds)) + 1))
        rows.append((length, system.gaps[k], widths[k]))
        if played is not None and (u != played).any():
            jumps.append(u - played)
        x, total = _block(system, x, u, length, rng)
        V += length * np.outer(u, u)
        b += total * u
        played, t = u, t + length


def _block(
    system: System, x: Array, u: Array, k: int, rng: np.random.Generator
) -> tuple[Array, float]:
    """Return the state after k rounds of arm u, and the sum of the rewards."""
    power, root = _block_law(system, k)
    z = system.sigma * (root @ rng.normal(size=2 * system.n))
    rest = system.rest(u)
    after = rest + power @ (x - rest) + z[system.n :]
    noise = system.sigma * math.sqrt(k) * rng.normal() + system.g @ z[: system.n]
    return after, float(k * (system.h @ u) + system.g @ (x - after) + noise)  # (4)


@lru_cache(maxsize=4096)
def _block_law(system: System, k: int) -> tuple[Array, Array]:
    """Return A^k and a square root of the covariance of (sum of eps, noise of the state)."""
    n = system.n
    power, total, gram = np.eye(n), np.zeros((n, n)), np.zeros((n, n))
    for bit in bin(k)[2:]:  # doubling: A^m, sum A^j, sum A^j A^jT for j < m
        gram = gram + power @ gram @ power.T
        total = total + power @ total
        power = power @ power
        if bit == "1":
            gram = gram + power @ power.T
            total = total + power
            power = power @ system.A
    covariance = np.block([[k * np.eye(n), total.T], [total, gram]])
    values, vectors = np.linalg.eigh(covariance)
    return power, vectors * np.sqrt(np.maximum(values, 0.0))
