r"""Dynamical linear bandits, written plainly: what the theorems on them are tried with.

A hidden state and a reward follow

    x_{t+1} = A x_t + B u_t + eps_t,    y_t = <omega, x_t> + <theta, u_t> + eta_t,         (1)

and the learner, who sees (u_t, y_t) alone, chooses u_t among finitely many arms. Nothing here is
shared with the library's own bandits, so that each can be held against the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64] | NDArray[np.floating[Any]]
Noise = Literal["normal", "sign"]
POWERS = 20_000  # at most so many powers of A are looked at


@dataclass(frozen=True, eq=False)
class System:
    """A dynamical linear bandit with finitely many arms.

    Parameters
    ----------
    A : (n, n) ndarray
        Dynamics.
    B : (n, d) ndarray
        Effect of the arm on the state.
    omega : (n,) ndarray
        Reward of the state.
    theta : (d,) ndarray
        Immediate reward of the arm.
    arms : (K, d) ndarray
        The arms.
    sigma : float
        Standard deviation of every component of eps and of eta.
    noise : {"normal", "sign"}
        Gaussian, or plus and minus sigma with equal probability; both are sigma^2-subgaussian.

    Examples
    --------
    >>> synthetic().h.round(4), float(synthetic().J.max())
    (array([0.5625, 0.5   , 0.1111]), 0.8125)
    """

    A: Array
    B: Array
    omega: Array
    theta: Array
    arms: Array
    sigma: float
    noise: Noise = "normal"

    @property
    def n(self) -> int:
        """Dimension of the state."""
        return len(self.omega)

    @property
    def d(self) -> int:
        """Dimension of the arms."""
        return len(self.theta)

    @cached_property
    def g(self) -> Array:
        """Worth of a unit of state: g = (I - A)^{-T} omega, shape (n,)."""
        return np.linalg.solve(np.eye(self.n) - self.A.T, self.omega)

    @cached_property
    def h(self) -> Array:
        """Worth of a unit of arm in the long run: h = theta + B^T g, shape (d,)."""
        return self.theta + self.B.T @ self.g

    @cached_property
    def J(self) -> Array:
        """Long-run reward of each arm, shape (K,)."""
        return self.arms @ self.h

    @cached_property
    def gaps(self) -> Array:
        """How far each arm is from the best, shape (K,)."""
        return self.J.max() - self.J

    def rest(self, u: Array) -> Array:
        """Return the state (I - A)^{-1} B u that arm u holds without noise."""
        return np.linalg.solve(np.eye(self.n) - self.A, self.B @ u)

    def draw(self, rng: np.random.Generator, rounds: int) -> tuple[Array, Array]:
        """Return the noise eps (rounds, n) and eta (rounds,)."""
        shape = (rounds, self.n + 1)
        if self.noise == "normal":
            z = rng.normal(size=shape)
        else:
            z = 2.0 * rng.integers(0, 2, shape) - 1.0
        return self.sigma * z[:, 1:], self.sigma * z[:, 0]


def synthetic(sigma: float = 0.01) -> System:
    """Return the synthetic system of the paper, with the six arms that exhaust its budget."""
    arms = [[0, 0.5, 1], [0, 1, 0.5], [0.5, 0, 1], [0.5, 1, 0], [1, 0, 0.5], [1, 0.5, 0]]
    return System(
        np.diag([0.2, 0.0, 0.1]),
        np.diag([0.45, 0.0, 0.1]),
        np.array([1.0, 0.0, 0.1]),
        np.array([0.0, 0.5, 0.1]),
        np.array(arms, dtype=float),
        sigma,
    )


def spectral_radius(A: Array) -> float:
    """Return the largest modulus of an eigenvalue."""
    return float(np.abs(np.linalg.eigvals(A)).max())


def growth(A: Array, rho: float) -> float:
    """Return sup_k ||A^k|| / rho^k, infinite if no power of A / rho returns below one.

    Once ||(A / rho)^m|| <= 1, later powers cannot exceed the first m.

    Examples
    --------
    >>> growth(np.array([[0.5, 1.0], [0.0, 0.5]]), 0.8).__round__(4)
    1.6547
    """
    if rho <= 0:
        return 1.0 if not A.any() else math.inf
    power, largest = np.eye(len(A)), 1.0
    for _ in range(POWERS):
        power = power @ A / rho
        size = float(np.linalg.norm(power, 2))
        if size <= 1.0 + 1e-14:
            return largest
        largest = max(largest, size)
        if not size < 1e12:
            break
    return math.inf


@dataclass(frozen=True)
class Constants:
    """What the learner is told.

    Parameters
    ----------
    rho, Phi : float
        ||A^k|| <= Phi rho^k for all k.
    Theta, Omega, B, U : float
        Bounds on the norms of theta, omega, B and of the arms.
    sigma : float
        Scale of the noise.
    X : float
        Bound on the norm of the state.
    delta : float
        Allowed probability of failure.
    ridge : float
        Regulariser lambda.
    """

    rho: float
    Phi: float
    Theta: float
    Omega: float
    B: float
    U: float
    sigma: float
    X: float
    delta: float = 0.05
    ridge: float = 1.0

    @classmethod
    def of(
        cls, system: System, *, rho: float | None = None, delta: float = 0.05, ridge: float = 1.0
    ) -> Constants:
        """Return the constants of a known system; rho a little above the true one if None.

        X covers the states from rest, noise included only if it is bounded.
        """
        true = spectral_radius(system.A)
        rho = min(0.5 * (1.0 + true), 1.05 * true + 0.01) if rho is None else rho
        Phi = growth(system.A, rho)
        B = float(np.linalg.norm(system.B, 2))
        U = float(np.linalg.norm(system.arms, axis=1).max())
        push = system.sigma * math.sqrt(system.n) if system.noise == "sign" else 0.0
        return cls(
            rho=rho,
            Phi=Phi,
            Theta=float(np.linalg.norm(system.theta)),
            Omega=float(np.linalg.norm(system.omega)),
            B=B,
            U=U,
            sigma=system.sigma,
            X=Phi * (B * U + push) / (1.0 - rho),
            delta=delta,
            ridge=ridge,
        )

    @property
    def G(self) -> float:
        """Bound on ||g||."""
        return self.Omega * self.Phi / (1.0 - self.rho)

    @property
    def c1(self) -> float:
        """U times the largest bias of a sample taken at once."""
        return self.U * self.Omega * self.Phi * (self.U * self.B / (1.0 - self.rho) + self.X)

    @property
    def c2(self) -> float:
        """Bound on ||h||."""
        return self.Theta + self.Omega * self.B * self.Phi / (1.0 - self.rho)

    @property
    def s2(self) -> float:
        """Variance proxy of a sample."""
        return self.sigma**2 * (1.0 + (self.Omega * self.Phi) ** 2 / (1.0 - self.rho**2))

    def bias_scale(self, rounds: int) -> float:
        """Return C_b: a sample after H rounds is biased by at most C_b rho^H, in all epochs.

        Holds with probability 1 - delta for subgaussian noise and a start at rest.
        """
        spread = math.sqrt(2.0 * math.log(2.0 * rounds / self.delta) / (1.0 - self.rho**2))
        return (
            self.Omega * self.Phi * (2 * self.B * self.U / (1.0 - self.rho) + self.sigma * spread)
        )

    def state_worth(self, rounds: int) -> float:
        """Return Q: |g^T x_t| <= Q for t = 1..rounds + 1 with probability 1 - delta."""
        spread = math.sqrt(2.0 * math.log(2.0 * (rounds + 1) / self.delta) / (1.0 - self.rho**2))
        return self.G * self.Phi * (self.B * self.U / (1.0 - self.rho) + self.sigma * spread)

    def martingale(self, proxy: float, logdet: float) -> float:
        """Return the self-normalised radius of noise with a variance proxy.

        ``logdet`` is log(det V / lambda^d).
        """
        return math.sqrt(2.0 * proxy * (math.log(1.0 / self.delta) + 0.5 * logdet))


def expected_rewards(system: System, u: Array, x1: Array) -> tuple[Array, Array]:
    """Return E y_1..E y_T and E x_{T+1} when the arms u (T, d) are played from x1."""
    x, y = np.asarray(x1, dtype=float), np.empty(len(u))
    for t, arm in enumerate(u):
        y[t] = system.omega @ x + system.theta @ arm
        x = system.A @ x + system.B @ arm  # (1)
    return y, x
