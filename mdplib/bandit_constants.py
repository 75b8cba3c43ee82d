"""What the learner of a dynamical linear bandit is told, and the factors that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from mdplib.errors import InvalidModelError


def check_rounds(rounds: float) -> None:
    """Raise unless there is at least one round."""
    if not math.isfinite(rounds) or rounds < 1 or rounds != int(rounds):
        raise InvalidModelError(f"T is {rounds!r}; an integer with T >= 1 expected")


def check_delta(delta: float, name: str = "delta") -> None:
    """Raise unless a probability of failure lies in (0, 1)."""
    if not 0 < delta < 1:
        raise InvalidModelError(f"{name} is {delta!r}; 0 < {name} < 1 expected")


@dataclass(frozen=True)
class Constants:
    """Bounds on a dynamical linear bandit that its learner is told: the bars of the literature.

    Whether they are true is a question to the system: `DynamicalLinearBandit.check`.

    Parameters
    ----------
    rho : float
        At least the spectral radius of A; 0 <= rho < 1.
    Phi : float
        At least ``sup_k ||A^k|| / rho**k``; at least 1.
    Theta, Omega, B, U : float
        At least ||theta||, ||omega||, ||B||_2 and the norm of every action.
    X : float
        Bound on ||x_t|| that the published radius uses. Under Gaussian noise none holds surely.
    sigma : float
        At least the standard deviation, or the subgaussian scale, of every noise.
    d : int
        Number of components of an action.
    start : float
        At least ||x_1||.

    Raises
    ------
    InvalidModelError
        If a value is not a number or out of range.

    References
    ----------
    Mussi, Metelli and Restelli (2023), assumptions 2.1 and 2.2 and theorem 3.1.

    Examples
    --------
    >>> told = Constants(
    ...     rho=0.5, Phi=1.0, Theta=1.0, Omega=2.0, B=3.0, U=1.0, X=4.0, sigma=0.1, d=2
    ... )
    >>> told.c1, told.c2, told.G
    (20.0, 13.0, 4.0)
    """

    rho: float
    Phi: float
    Theta: float
    Omega: float
    B: float
    U: float
    X: float
    sigma: float
    d: int
    start: float = 0.0

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
                raise InvalidModelError(f"{field.name} is {value!r}; a number expected")
            if field.name != "d":
                object.__setattr__(self, field.name, float(value))
        if not 0 <= self.rho < 1:
            raise InvalidModelError(f"rho is {self.rho!r}; 0 <= rho < 1 expected")
        if not 1 <= self.Phi < math.inf:
            raise InvalidModelError(
                f"Phi is {self.Phi!r}; 1 <= Phi < inf expected, as Phi >= ||A^0|| = 1"
            )
        for name in ("Theta", "Omega", "B", "U", "X", "sigma", "start"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise InvalidModelError(f"{name} is {value!r}; 0 <= {name} < inf expected")
        if not isinstance(self.d, (int, np.integer)) or self.d < 1:
            raise InvalidModelError(f"d is {self.d!r}; an integer of at least 1 expected")

    @property
    def c1(self) -> float:
        """Factor of the bias in the published radius, U Omega Phi (U B / (1 - rho) + X)."""
        return self.U * self.Omega * self.Phi * (self.U * self.B / (1 - self.rho) + self.X)

    @property
    def c2(self) -> float:
        """Bound on ||h||, Theta + Omega B Phi / (1 - rho)."""
        return self.Theta + self.Omega * self.B * self.Phi / (1 - self.rho)

    @property
    def s2(self) -> float:
        """Variance proxy of an epoch's sample, sigma^2 (1 + Omega^2 Phi^2 / (1 - rho^2))."""
        return self.sigma**2 * (1 + (self.Omega * self.Phi) ** 2 / (1 - self.rho**2))

    @property
    def G(self) -> float:
        """Bound on the norm of the Poisson vector g, Omega Phi / (1 - rho)."""
        return self.Omega * self.Phi / (1 - self.rho)

    @property
    def reach(self) -> float:
        """Bound on the state without noise, Phi (start + B U / (1 - rho))."""
        return self.Phi * (self.start + self.B * self.U / (1 - self.rho))

    def noise_reach(self, count: int, delta: float) -> float:
        """Bound `count` scalars <a, noise part of x_t> in modulus with probability 1 - delta.

        Parameters
        ----------
        count : int
            How many scalars, at least 1; each may have its own time t.
        delta : float
            Probability of failure, in (0, 1).

        Returns
        -------
        float
            sigma Phi sqrt(2 log(2 count / delta) / (1 - rho^2)), for vectors a of norm 1.

        Raises
        ------
        InvalidModelError
            If `count` or `delta` is out of range.
        """
        check_rounds(count)
        check_delta(delta)
        return (
            self.sigma * self.Phi * math.sqrt(2 * math.log(2 * count / delta) / (1 - self.rho**2))
        )

    def bias(self, rounds: int, delta: float) -> float:
        """Return C_b: with probability 1 - delta each epoch of H + 1 rounds has bias <= C_b rho^H.

        Parameters
        ----------
        rounds : int
            Number of rounds T, at least 1; no more epochs than that.
        delta : float
            Probability of failure, in (0, 1).

        Returns
        -------
        float
            Omega Phi [2 B U / (1 - rho) + start + sigma sqrt(2 log(2 T / delta) / (1 - rho^2))].
            The bias of an epoch that starts in x and plays u is omega^T A^H (x - x_u), where x_u is
            the resting state; the powers of A inside x continue A^H, so Phi enters once.

        Raises
        ------
        InvalidModelError
            If `rounds` or `delta` is out of range.
        """
        told = self.Omega * self.Phi * (2 * self.B * self.U / (1 - self.rho) + self.start)
        return told + self.Omega * self.noise_reach(rounds, delta)

    def boundary(self, rounds: int, delta: float) -> float:
        """Return Q: with probability 1 - delta, ``|<g, x_t>| <= Q`` in the rounds 1 to T + 1.

        Parameters
        ----------
        rounds : int
            Number of rounds T, at least 1.
        delta : float
            Probability of failure, in (0, 1).

        Returns
        -------
        float
            G Phi [start + B U / (1 - rho) + sigma sqrt(2 log(2 (T + 1) / delta) / (1 - rho^2))].

        Raises
        ------
        InvalidModelError
            If `rounds` or `delta` is out of range.
        """
        check_rounds(rounds)
        return self.G * (self.reach + self.noise_reach(rounds + 1, delta))

    def state_bound(self, rounds: int, delta: float, n: int) -> float:
        """Return X: with probability 1 - delta, ||x_t|| <= X in the rounds 1 to T, for n states.

        Parameters
        ----------
        rounds : int
            Number of rounds T, at least 1.
        delta : float
            Probability of failure, in (0, 1).
        n : int
            Number of components of the state.

        Returns
        -------
        float
            The reach without noise plus sqrt(n) times that of each component.

        Raises
        ------
        InvalidModelError
            If a number is out of range.
        """
        check_rounds(n)
        return self.reach + math.sqrt(n) * self.noise_reach(rounds * n, delta)
