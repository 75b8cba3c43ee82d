"""Dynamical linear bandits: rewards linear in an action and in a hidden state that it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import bandit_claims, validate
from mdplib.action_sets import ActionSet, Ball, FiniteArms, Polytope
from mdplib.bandit_constants import Constants
from mdplib.errors import InvalidModelError
from mdplib.matrix_bounds import Bracket
from mdplib.power_growth import growth
from mdplib.spectral import finite, spectral_radius, square

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class DynamicalLinearBandit:
    """Rewards linear in the action and in a hidden state that the actions move.

    Round t pays ``y_t = <omega, x_t> + <theta, u_t> + eta_t``, then the state moves:
    ``x_{t+1} = A x_t + B u_t + eps_t``. The learner sees its actions and rewards alone.

    Parameters
    ----------
    A : (n, n) float64
        Dynamics, of spectral radius below 1.
    B : (n, d) float64
        How actions move the state.
    omega : (n,) float64
        Reward of the state.
    theta : (d,) float64
        Reward of the action.
    actions : FiniteArms, Polytope or Ball
        The actions, of d components; rows of numbers stand for finitely many arms.
    state_noise, output_noise : float
        Standard deviations of each component of eps, and of eta; both are Gaussian.
    x0 : (n,) float64 or float
        State x_1 in the first round.

    Raises
    ------
    InvalidModelError
        If shapes disagree, a number is not finite or a deviation negative, or A is not stable.

    References
    ----------
    Mussi, Metelli and Restelli (2023), "Dynamical linear bandits", section 2.

    Examples
    --------
    >>> echo = DynamicalLinearBandit(
    ...     A=[[0.5]], B=[[1.0, 0.0]], omega=[1.0], theta=[0.0, 1.5], actions=np.eye(2)
    ... )
    >>> echo.markov_parameter, echo.best
    (array([2. , 1.5]), (array([1., 0.]), 2.0))
    """

    A: Floats
    B: Floats
    omega: Floats
    theta: Floats
    actions: ActionSet
    state_noise: float = 0.0
    output_noise: float = 0.0
    x0: Floats = field(default=0.0)  # pyright: ignore[reportAssignmentType]

    def __post_init__(self):
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("A", square(self.A, "A"))
        n = self.A.shape[0]
        put("B", _array(self.B, "B", (n, None)))
        d = self.B.shape[1]
        put("omega", _array(self.omega, "omega", (n,)))
        put("theta", _array(self.theta, "theta", (d,)))
        start = np.asarray(self.x0)
        put("x0", _array(np.full(n, start[()]) if start.ndim == 0 else self.x0, "x0", (n,)))
        if not isinstance(self.actions, get_args(ActionSet)):
            put("actions", FiniteArms(self.actions))  # pyright: ignore[reportArgumentType]
        if self.actions.dimension != d:
            raise InvalidModelError(
                f"the actions have {self.actions.dimension} components, but theta has {d}"
            )
        for name in ("state_noise", "output_noise"):
            value = float(getattr(self, name))
            if not 0 <= value < math.inf:
                raise InvalidModelError(
                    f"{name} is {value!r}; a finite standard deviation of at least 0 expected"
                )
            put(name, value)
        radius = self.spectral_radius
        if radius.upper >= 1:
            known = f"is at least {radius.lower:.6g}"
            if radius.lower < 1:
                known = f"lies in [{radius.lower:.17g}, {radius.upper:.17g}]"
            raise InvalidModelError(
                f"the spectral radius of A {known}; rho(A) < 1 is needed: the state must settle"
            )

    @property
    def n_states(self) -> int:
        """Number of components n of the state."""
        return self.A.shape[0]

    @property
    def dimension(self) -> int:
        """Number of components d of an action."""
        return self.theta.size

    @property
    def fingerprint(self) -> str:
        """Hash of the content."""
        return validate.fingerprint(self) + validate.fingerprint(self.actions)

    @cached_property
    def spectral_radius(self) -> Bracket:
        """Proven bounds on the spectral radius of A; see `mdplib.spectral`."""
        return spectral_radius(self.A)

    def phi(self, rho_bar: float | None = None) -> Bracket:
        """Return proven bounds on Phi(A; rho_bar) = sup_k ||A^k||_2 / rho_bar^k, where 0^0 = 1.

        Parameters
        ----------
        rho_bar : float, optional
            At least the spectral radius; by default its proven upper bound.

        Returns
        -------
        Bracket
            Infinite where `rho_bar` is below the spectral radius; the upper bound is infinite too
            where no bound was found (see `mdplib.power_growth`).

        Raises
        ------
        InvalidModelError
            If `rho_bar` is negative or not a number.
        """
        r = self.spectral_radius.upper if rho_bar is None else float(rho_bar)
        if r not in self._growths:
            self._growths[r] = growth(self.A, r)
        return self._growths[r]

    @cached_property
    def _growths(self) -> dict[float, Bracket]:
        return {}

    @cached_property
    def g(self) -> Floats:
        """Poisson vector g = (I - A)^{-T} omega, (n,).

        ``y_t = <h, u_t> + eta_t + <g, eps_t> + <g, x_t - x_{t+1}>`` in every round.
        """
        return _fixed(np.linalg.solve((np.eye(self.n_states) - self.A).T, self.omega))

    @cached_property
    def markov_parameter(self) -> Floats:
        """Cumulative Markov parameter h = theta + B^T (I - A)^{-T} omega, (d,)."""
        return _fixed(self.theta + self.B.T @ self.g)

    def markov_parameters(self, count: int) -> Floats:
        """Return what an action adds to the reward of its own and of each later round.

        Parameters
        ----------
        count : int
            Number of rounds, at least 1.

        Returns
        -------
        (count, d) float64
            theta, then ``B^T (A^T)^s omega`` for s = 0, 1, ...; the rows add up to h.

        Raises
        ------
        InvalidModelError
            If `count` is below 1.
        """
        if count < 1:
            raise InvalidModelError(f"count is {count!r}; an integer of at least 1 expected")
        rows, w = [self.theta], self.omega
        for _ in range(count - 1):
            rows.append(self.B.T @ w)
            w = self.A.T @ w
        return np.array(rows)

    def steady_reward(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return J(u) = <h, u>, the long-run reward of playing u for ever; (...) for u (..., d)."""
        return np.asarray(u, dtype=np.float64) @ self.markov_parameter

    def steady_state(self, u: ArrayLike) -> Floats:
        """Return (I - A)^{-1} B u, where the state rests under u without noise; (..., n)."""
        push = np.asarray(u, dtype=np.float64) @ self.B.T
        rest = np.linalg.solve(np.eye(self.n_states) - self.A, push[..., None])
        return np.asarray(rest[..., 0], dtype=np.float64)

    @cached_property
    def best(self) -> tuple[Floats, float]:
        """The best constant action u* and its long-run reward J*.

        No policy, adaptive or not, has a better long-run reward (theorem 2.1).
        """
        return self.actions.best(self.markov_parameter)

    @cached_property
    def largest_gap(self) -> float:
        """D = J* - min J(u), the most that a round of the worst action costs."""
        return self.best[1] - self.actions.worst(self.markov_parameter)[1]

    def similar(self, T: ArrayLike) -> DynamicalLinearBandit:
        """Return the system in the coordinates T x: equal rewards without noise, equal h.

        Parameters
        ----------
        T : (n, n) array_like
            Invertible.

        Returns
        -------
        DynamicalLinearBandit
            ``(T A T^{-1}, T B, T^{-T} omega)``, with the same noise levels.

        Raises
        ------
        InvalidModelError
            If T is singular, or the transformed A cannot be told to be stable.
        """
        T = square(T, "T")
        if np.linalg.matrix_rank(T) < len(T):
            raise InvalidModelError("T is singular; a change of coordinates is invertible")
        return DynamicalLinearBandit(
            A=_fixed(np.linalg.solve(T.T, (T @ self.A).T).T),
            B=T @ self.B,
            omega=_fixed(np.linalg.solve(T.T, self.omega)),
            theta=self.theta,
            actions=self.actions,
            state_noise=self.state_noise,
            output_noise=self.output_noise,
            x0=T @ self.x0,
        )

    def constants(
        self,
        rho_bar: float | None = None,
        phi_bar: float | None = None,
        *,
        Theta: float | None = None,
        Omega: float | None = None,
        B: float | None = None,
        U: float | None = None,
        X: float | None = None,
        sigma: float | None = None,
        misspecified: bool = False,
    ) -> Constants:
        """Return what a learner of this system is told; by default the truth.

        Parameters
        ----------
        rho_bar, phi_bar : float, optional
            Claims about the powers of A. By default the proven upper bounds on the spectral radius,
            and on Phi(A; rho_bar).
        Theta, Omega, B, U, sigma : float, optional
            Claimed sizes, by default the true ones.
        X : float, optional
            Claimed bound on the state, by default U / (1 - rho_bar) as in the published code, or
            where the system refutes that, the reach of the state without noise.
        misspecified : bool
            Whether false claims are meant, and not checked.

        Returns
        -------
        Constants
            The claims.

        Raises
        ------
        InvalidModelError
            If a claim is false, or Phi(A; rho_bar) could not be bounded.

        Examples
        --------
        >>> from mdplib import models
        >>> models.dlb_synthetic().constants(0.1)
        Traceback (most recent call last):
        ...
        mdplib.errors.InvalidModelError: rho = 0.1 is false: rho >= rho(A) fails, 0.1 < 0.2
        """
        told = bandit_claims.told(self, rho_bar, phi_bar, misspecified)
        given = {"Theta": Theta, "Omega": Omega, "B": B, "sigma": sigma}
        told = replace(told, **{name: x for name, x in given.items() if x is not None})
        told = bandit_claims.with_state_bound(self, told, U, X)
        if not misspecified:
            self.check(told)
        return told

    def violations(self, told: Constants) -> tuple[str, ...]:
        """Return the claims of `told` that this system refutes, each with both numbers.

        Parameters
        ----------
        told : Constants
            Claims.

        Returns
        -------
        tuple of str
            One sentence per false claim; empty where none is refuted. Noise exceeds any bound on
            the state, so X is held against the initial state and the states that actions rest in.
        """
        return bandit_claims.violations(self, told)

    def check(self, told: Constants) -> None:
        """Raise if this system refutes a claim.

        Parameters
        ----------
        told : Constants
            Claims.

        Raises
        ------
        InvalidModelError
            Naming every false claim and both sides of the inequality that fails.
        """
        found = self.violations(told)
        if found:
            raise InvalidModelError("; ".join(found))

    def __repr__(self) -> str:
        radius = f"{self.spectral_radius.upper:.4g}"
        return (
            f"DynamicalLinearBandit({self.n_states} hidden components, {self.actions!r}, "
            f"rho(A)={radius}, noise {self.state_noise:g} and {self.output_noise:g})"
        )


def _array(values: ArrayLike, name: str, shape: tuple[int | None, ...]) -> Floats:
    """Return a finite array of the given shape, where None stands for any length from 1 on."""
    array = validate.frozen(values, np.float64, name, ndim=(len(shape),))
    fits = all(
        have == want if want is not None else have > 0
        for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("d" if want is None else str(want) for want in shape)
        comma = "," if len(shape) == 1 else ""
        raise InvalidModelError(f"{name} has shape {array.shape}; ({wanted}{comma}) expected")
    finite(array, name)
    return array


def _fixed(x: ArrayLike) -> Floats:
    fixed = np.array(x, dtype=np.float64)
    fixed.flags.writeable = False
    return fixed


__all__ = ["Ball", "Constants", "DynamicalLinearBandit", "FiniteArms", "Polytope"]
