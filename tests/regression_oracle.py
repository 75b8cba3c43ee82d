"""Plain versions of what the data-driven robust methods compute, in loops over samples.

Inner problems of laws come from `tests.robust_oracle`; nothing is shared with `solvers.robust`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdplib.features import Features
from mdplib.linear import LinearMDP
from mdplib.linear_offline import LinearData
from tests import robust_oracle


def simplex_mdp(rng: np.random.Generator, S=6, A=3, d=4, H=3, concentration=1.0) -> LinearMDP:
    """Draw a linear model; its first states are uniform."""
    phi = rng.dirichlet(np.full(d, concentration), size=(S, A))
    mu = rng.dirichlet(np.full(S, 0.7), size=(H, d))
    return LinearMDP.from_dense(phi, rng.random((H, d)), mu, initial=np.full(S, 1 / S))


def one_hot_data(rng: np.random.Generator, n: int, S=4, A=2, H=4) -> LinearData:
    """Draw transitions with one feature per pair; first states and actions are uniform."""
    ptr = np.arange(0, S * A + 1, A, dtype=np.int32)
    features = Features(ptr, np.eye(S * A), np.tile(np.arange(A, dtype=np.int32), S))
    P = rng.dirichlet(np.full(S, 0.6), size=S * A)
    pair, follow = np.empty((H, n), dtype=np.int32), np.empty((H, n), dtype=np.int32)
    state = rng.integers(0, S, n)
    for h in range(H):
        pair[h] = state * A + rng.integers(0, A, n)
        state = np.array([rng.choice(S, p=P[k]) for k in pair[h]])
        follow[h] = state
    return LinearData(features, rng.random((H, S * A)), pair, follow)


def plug_in(data: LinearData, divergence: str, mode: str, strength: float) -> np.ndarray:
    """Return V (H+1, S) of the empirical tabular model, every pair visited at every step."""
    ptr, S = data.features.state_ptr, data.features.n_states
    V = np.zeros((data.horizon + 1, S))
    for h in range(data.horizon - 1, -1, -1):
        for s in range(S):
            best = -np.inf
            for k in range(ptr[s], ptr[s + 1]):
                after = [int(t) for p, t in zip(data.pair[h], data.next[h], strict=True) if p == k]
                law = [after.count(t) / len(after) for t in range(S)]
                worst = robust_oracle.infimum(
                    divergence, mode, strength, law, list(V[h + 1]), float(V[h + 1].min())
                )
                best = max(best, data.reward[h, k] + float(worst))
            V[h, s] = best
    return V


def sums(data: LinearData, h: int, weight=None) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return the Gram matrix and the features summed by next state, sample by sample."""
    d = data.features.dimension
    gram: np.ndarray = np.zeros((d, d))
    mass: dict[int, Any] = {}
    for n in range(data.n_trajectories):
        k, t = int(data.pair[h, n]), int(data.next[h, n])
        if k < 0 or (data.features.ends is not None and data.features.ends[k]):
            continue
        phi = data.features.phi[k] * (1.0 if weight is None else weight[n])
        gram += np.outer(phi, data.features.phi[k])
        mass[t] = mass.get(t, np.zeros(d)) + phi
    return gram, mass
