"""Hypotheses and cases that the statements on dynamical linear bandits share.

A case holds "system" (`bounds.dynamical_bandits.System`), "constants" (`Constants`) and "rounds".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from bounds.case import Case
from bounds.dynamical_bandits import Array, Constants, System, growth, spectral_radius
from bounds.theorem import Hypothesis

SLACK = 1.0 + 1e-12

STABLE = Hypothesis(
    "stable",
    "the spectral radius of A is below one",
    lambda case: spectral_radius(case["system"].A) < 1.0,
)
GROWTH = Hypothesis(
    "growth",
    "||A^k|| <= Phi rho^k for all k, with rho < 1",
    lambda case: bool(
        case["constants"].rho < 1.0
        and growth(case["system"].A, case["constants"].rho) <= case["constants"].Phi * SLACK
    ),
)
NORMS = Hypothesis(
    "norms",
    "Theta, Omega, B and U bound the norms of theta, omega, B and of the arms",
    lambda case: _norms_hold(case["system"], case["constants"]),
)
SCALE = Hypothesis(
    "scale",
    "the noise is sigma^2-subgaussian",
    lambda case: bool(case["constants"].sigma >= case["system"].sigma),
)
BOUNDED = Hypothesis(
    "bounded",
    "X bounds the norm of every state, surely",
    lambda case: _bounded(case["system"], case["constants"]),
)
DELTA = Hypothesis("delta", "0 < delta < 1", lambda case: bool(0.0 < case["constants"].delta < 1.0))
RIDGE = Hypothesis("ridge", "lambda > 0", lambda case: bool(case["constants"].ridge > 0.0))
ROUNDS = Hypothesis("rounds", "T >= 1", lambda case: bool(case["rounds"] >= 1))


def _norms_hold(system: System, c: Constants) -> bool:
    true = (
        np.linalg.norm(system.theta),
        np.linalg.norm(system.omega),
        np.linalg.norm(system.B, 2),
        np.linalg.norm(system.arms, axis=1).max(),
    )
    claimed = (c.Theta, c.Omega, c.B, c.U)
    return all(bool(a <= b * SLACK) for a, b in zip(true, claimed, strict=True))


def _bounded(system: System, c: Constants) -> bool:
    """Whether the a-priori bound on the states, noise included, is at most X."""
    if system.noise == "normal" and system.sigma > 0.0:
        return False
    push = system.sigma * np.sqrt(system.n)
    return bool(c.Phi * (c.B * c.U + push) / (1.0 - c.rho) <= c.X * SLACK)


def draw_system(rng: np.random.Generator, n: int, d: int, *, sigma: float, rho: float) -> System:
    """Return a random system with 2 d arms, most often not normal, at a spectral radius."""
    A = rng.normal(size=(n, n))
    A *= rho / spectral_radius(A)
    arms = np.vstack([np.eye(d), rng.uniform(-1.0, 1.0, (d, d))])
    return System(
        A, rng.normal(size=(n, d)) / n, rng.normal(size=n), rng.normal(size=d), arms, sigma
    )


def scalar_system(
    rho: float,
    b: float = 1.0,
    theta: float = 0.0,
    sigma: float = 0.0,
    arms: Iterable[float] = (1.0, -1.0),
) -> System:
    """Return the system of one state and one-dimensional arms, omega = 1."""
    return System(
        np.array([[rho]]),
        np.array([[b]]),
        np.array([1.0]),
        np.array([theta]),
        np.array([[u] for u in arms]),
        sigma,
    )


def case_of(system: System, rounds: int, label: str, *, extra: Any = None, **known: float) -> Case:
    """Return the case of a system whose constants are computed from it.

    Parameters
    ----------
    system : System
        The system.
    rounds : int
        T.
    label : str
        Name in verdicts.
    extra : mapping, optional
        Further values.
    **known : float
        Constants to set by hand.
    """
    c = replace(Constants.of(system), **known)
    return Case({"system": system, "constants": c, "rounds": rounds, **(extra or {})}, label)


def broken_of(case: Case, hypotheses: Iterable[Hypothesis]) -> dict[str, Case]:
    """Return, for each hypothesis of this module, the case with that one broken."""
    system, c = case["system"], case["constants"]
    changes: dict[str, dict[str, Any]] = {
        "stable": {"system": replace(system, A=np.eye(system.n))},
        "growth": {"constants": replace(c, Phi=0.5)},
        "norms": {"constants": replace(c, U=0.5 * c.U)},
        "scale": {"system": replace(system, sigma=2.0 * c.sigma + 1.0)},
        "bounded": {"constants": replace(c, X=0.0)},
        "delta": {"constants": replace(c, delta=1.0)},
        "ridge": {"constants": replace(c, ridge=0.0)},
        "rounds": {"rounds": 0},
    }
    return {h.name: case.with_values(changes[h.name]) for h in hypotheses if h.name in changes}


def rested(case: Case) -> Array:
    """Return the first state: "start" if the case holds one, zero otherwise."""
    return np.asarray(case.values.get("start", np.zeros(case["system"].n)), dtype=float)
