"""Checks of linear models: factors, rewards and reward weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.features import TOLERANCE, Features

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Content:
    """What a fingerprint is taken of."""

    values: dict[str, Any]


def check_rewards(features: Features, reward: Floats) -> None:
    """Check that every reward, (H, K), is finite."""
    validate.require(
        np.isfinite(reward).ravel(),
        lambda i: (
            f"reward of {features.name(i % features.n_pairs)} at step {i // features.n_pairs} is "
            f"{reward.flat[i]}"
        ),
        "Rewards are finite.",
        unit="rewards",
    )


def check_factors(mu: Floats) -> None:
    """Check that every factor is a probability law."""
    d, S = mu.shape[1:]
    validate.require(
        (np.isfinite(mu) & (mu >= 0)).ravel(),
        lambda j: f"mu[h={j // S // d}, i={j // S % d}, t={j % S}] is {mu.flat[j]}",
        "Factors are probability laws: finite and at least 0.",
    )
    with np.errstate(over="ignore"):
        sums = mu.sum(axis=2).ravel()
    validate.require(
        np.abs(sums - 1) <= TOLERANCE,
        lambda j: f"mu[h={j // d}, i={j % d}, :] sums to {sums[j]:.12g}",
        "Factors are probability laws: divide each by its sum if the excess is rounding.",
        unit="factors",
    )


def check_theta(features: Features, reward: Floats, theta: Floats) -> None:
    """Check that theta, (H, d), explains the rewards of pairs that do not end the episode."""
    K, d = features.phi.shape
    if theta.shape != (reward.shape[0], d):
        raise InvalidModelError(f"theta has shape {theta.shape}; ({reward.shape[0]}, {d}) expected")
    validate.require(
        np.isfinite(theta).ravel(),
        lambda i: f"theta[h={i // d}, i={i % d}] is {theta.flat[i]}",
        "Reward weights are finite.",
    )
    explained = theta @ features.phi.T
    off = np.abs(explained - reward) > 1e-9 * (1 + np.abs(reward))
    if features.ends is not None:
        off[:, features.ends] = False
    validate.require(
        ~off.ravel(),
        lambda i: (
            f"reward of {features.name(i % K)} at step {i // K} is {reward.flat[i]}, but "
            f"<phi, theta> is {explained.flat[i]}"
        ),
        "Leave theta out if the rewards are not linear in the features.",
        unit="rewards",
    )
