"""Claims about a dynamical linear bandit, and which of them it refutes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mdplib.action_sets import Ball
from mdplib.bandit_constants import Constants
from mdplib.errors import InvalidModelError

if TYPE_CHECKING:
    from mdplib.dynamical_bandit import DynamicalLinearBandit

_ROUNDING = 1e-12  # relative: claims computed in another order are not called false


def told(
    bandit: DynamicalLinearBandit,
    rho_bar: float | None,
    phi_bar: float | None,
    misspecified: bool,
) -> Constants:
    """Return the true constants, but for the claims about A; X is 0."""
    rho = bandit.spectral_radius.upper if rho_bar is None else float(rho_bar)
    return Constants(
        rho=rho,
        Phi=_growth(bandit, rho, misspecified) if phi_bar is None else phi_bar,
        Theta=_norm(bandit.theta),
        Omega=_norm(bandit.omega),
        B=float(np.linalg.norm(bandit.B, 2)),
        U=bandit.actions.radius,
        X=0.0,
        sigma=max(bandit.state_noise, bandit.output_noise),
        d=bandit.dimension,
        start=_norm(bandit.x0),
    )


def with_state_bound(
    bandit: DynamicalLinearBandit, claims: Constants, U: float | None, X: float | None
) -> Constants:
    """Return the claims with U and X; see `DynamicalLinearBandit.constants` for the default X."""
    claims = claims if U is None else replace(claims, U=U)
    if X is None:
        X = claims.U / (1 - claims.rho)
        refuted = least_state_bound(bandit) > X
        if refuted:
            X = max(X, claims.reach)
    return replace(claims, X=X)


def _growth(bandit: DynamicalLinearBandit, rho: float, misspecified: bool) -> float:
    """Return the upper bound on Phi that goes with a claimed radius."""
    radius = bandit.spectral_radius
    if rho < radius.lower:
        if not misspecified:
            raise InvalidModelError(_false("rho", rho, "rho(A)", radius.lower))
        rho = radius.upper
    found = bandit.phi(rho)
    if found.upper == math.inf:
        raise InvalidModelError(
            f"Phi(A; {rho:.6g}) = sup_k ||A^k|| / {rho:.6g}^k is at least {found.lower:.6g}, "
            "but no bound from above was found: nearly equal eigenvalues of A on that circle "
            f"may lack eigenvectors. Claim a larger rho_bar, such as {(1 + 9 * rho) / 10:.4g}"
        )
    return found.upper


def violations(bandit: DynamicalLinearBandit, claims: Constants) -> tuple[str, ...]:
    """Return the claims that the bandit refutes, a sentence for each."""
    if claims.d != bandit.dimension:
        return (f"d = {claims.d} is false: the actions have {bandit.dimension} components",)
    truths = {
        "rho": ("rho(A)", bandit.spectral_radius.lower),
        "Theta": ("||theta||", _norm(bandit.theta)),
        "Omega": ("||omega||", _norm(bandit.omega)),
        "B": ("||B||_2", float(np.linalg.norm(bandit.B, 2))),
        "U": ("max ||u||", bandit.actions.radius),
        "X": ("max(||x_1||, max_u ||(I - A)^{-1} B u||)", least_state_bound(bandit)),
        "sigma": ("the noise's deviation", max(bandit.state_noise, bandit.output_noise)),
        "start": ("||x_1||", _norm(bandit.x0)),
    }
    found = [
        _false(name, getattr(claims, name), what, least)
        for name, (what, least) in truths.items()
        if getattr(claims, name) < least * (1 - _ROUNDING)
    ]
    if claims.rho >= bandit.spectral_radius.lower:
        least = bandit.phi(claims.rho).lower
        if claims.Phi < least * (1 - _ROUNDING):
            found.append(_false("Phi", claims.Phi, "sup_k ||A^k|| / rho^k", least))
    return tuple(found)


def least_state_bound(bandit: DynamicalLinearBandit) -> float:
    """Return the largest norm of the initial state and of the states that actions rest in."""
    if isinstance(bandit.actions, Ball):
        resting = bandit.steady_state(np.eye(bandit.dimension)).T
        largest = float(np.linalg.norm(resting, 2)) * bandit.actions.radius
    else:
        largest = float(np.linalg.norm(bandit.steady_state(bandit.actions.arms), axis=1).max())
    return max(largest, _norm(bandit.x0))


def _norm(x: np.ndarray) -> float:
    return float(np.linalg.norm(x))


def _false(name: str, claimed: float, what: str, least: float) -> str:
    return f"{name} = {claimed:.6g} is false: {name} >= {what} fails, {claimed:.10g} < {least:.10g}"
