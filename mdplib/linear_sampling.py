"""Trajectories of linear and tabular environments, drawn side by side.

A linear environment is never made tabular: the successor of pair k is drawn in two stages, a
factor i with probability phi_i(k), then a state from mu_h,i. Both take one uniform number each;
an action takes one as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels, validate
from mdplib.errors import InvalidModelError
from mdplib.features import Features
from mdplib.linear import LinearMDP

if TYPE_CHECKING:
    from mdplib.policy import Policy
    from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


def collect(
    mdp: LinearMDP | TabularMDP,
    behaviour: Policy,
    n: int,
    rng: np.random.Generator,
    features: Features | None,
    start: ArrayLike | None,
) -> tuple[Features, Floats, Ints, Ints]:
    """Return the fields of `LinearData`, see `LinearData.collect`."""
    if isinstance(mdp, LinearMDP):
        if features not in (None, mdp.features):
            raise InvalidModelError("a LinearMDP has its own features; leave `features` out")
        features, reward, follow = mdp.features, mdp.reward, _mixture(mdp)
        H = mdp.horizon
    else:
        features, reward, follow = _tabular(mdp, features)
        H = int(reward.shape[0])
    s = _starts(mdp.initial, features.n_states, n, start, rng)
    pair, after = np.full((H, n), -1, dtype=np.int32), np.full((H, n), -1, dtype=np.int32)
    for h in range(H):
        weight = features.weights(behaviour, h)
        live = np.flatnonzero(s >= 0)
        if not live.size:
            break
        k = _draw(features.state_ptr, weight, s[live], rng.random(n)[live])
        reached = follow(h, k, rng.random((2, n))[:, live])
        if features.ends is not None:
            reached[features.ends[k]] = -1
        pair[h, live], after[h, live] = k, reached
        s = after[h]
    for array in (pair, after):
        array.flags.writeable = False
    return features, reward, pair, after


def _mixture(mdp: LinearMDP) -> Any:
    """Return the sampler of successors of a linear environment."""
    draw = _kernels.mixture.draw
    phi = mdp.features.phi.cumsum(axis=1)

    def follow(h: int, k: Ints, uniform: Floats) -> Ints:
        factor, out = np.empty(k.size, dtype=np.int32), np.empty(k.size, dtype=np.int32)
        draw(phi, k, uniform[0], factor)
        draw(mdp.mu[h].cumsum(axis=1), factor, uniform[1], out)
        return out

    return follow


def _tabular(mdp: TabularMDP, features: Features | None) -> tuple[Features, Floats, Any]:
    """Return features, rewards and the sampler of successors of a tabular environment."""
    if mdp.horizon is None:
        raise InvalidModelError("the model has no horizon; use mdp.replace(horizon=H, gamma=1.0)")
    features = Features.one_hot(mdp) if features is None else features
    K, S = features.n_pairs, features.n_states
    over = features.has_ends
    if mdp.n_states not in (S, S + over) or int(mdp.state_ptr[S]) != K:
        raise InvalidModelError(
            f"the environment has {mdp.n_states} states and the features {S} with {K} pairs; they "
            "must describe the same pairs (one more state, absorbing and last, may mean that the "
            "episode is over)"
        )
    rows = mdp.n_pairs if mdp.stationary else mdp.n_pairs // mdp.horizon
    reward = np.stack(
        [mdp.layer(h).reward[(0 if mdp.stationary else h * rows) :][:K] for h in range(mdp.horizon)]
    )

    def follow(h: int, k: Ints, uniform: Floats) -> Ints:
        first = 0 if mdp.stationary else h * rows
        found = mdp.indices[_draw(mdp.indptr, mdp.data, k + first, uniform[0])]
        return np.where(found < S, found, np.int32(-1))

    return features, reward, follow


def _starts(
    initial: Floats | None, S: int, n: int, start: ArrayLike | None, rng: np.random.Generator
) -> Ints:
    """Return or draw the first state of each trajectory."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InvalidModelError(f"n is {n!r}; at least one trajectory expected")
    if start is None:
        if initial is None:
            raise InvalidModelError(
                "the model has no initial law; pass start, or use mdp.replace(initial=...)"
            )
        ptr = np.array([0, S], dtype=np.int32)
        return _draw(ptr, initial[:S], np.zeros(n, dtype=np.int32), rng.random(n))
    s = validate.frozen(start, np.int32, "start", (0, 1))
    if s.shape not in ((), (n,)):
        raise InvalidModelError(f"start has shape {s.shape}; one state, or ({n},), expected")
    s = np.array(np.broadcast_to(s, n))
    validate.require(
        (s >= 0) & (s < S),
        lambda i: f"start[{i}] is {s[i]}, outside the states 0..{S - 1}",
        "Number the states from 0.",
    )
    return s


def _draw(ptr: Any, weight: Floats, row: Any, uniform: Floats) -> Ints:
    """Draw one position of each row by inversion."""
    out = np.empty(row.size, dtype=np.int32)
    _kernels.simulation.draw(
        ptr, np.ascontiguousarray(weight), np.ascontiguousarray(row), uniform, out
    )
    return out
