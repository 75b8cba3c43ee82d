"""The pairs of a model, step by step: which are the same at every step, and which is best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


def best_pairs(state_ptr: Ints, q: Floats) -> Ints:
    """Return the lowest pair of each state at which q is largest, (S,) int32."""
    if q.shape != (int(state_ptr[-1]),):
        raise InvalidModelError(f"q has shape {q.shape}; ({int(state_ptr[-1])},) expected")
    best = np.repeat(np.maximum.reduceat(q, state_ptr[:-1]), np.diff(state_ptr))
    place = np.where(q >= best, np.arange(q.size), q.size)
    return np.minimum.reduceat(place, state_ptr[:-1]).astype(np.int32)


def step_pairs(mdp: TabularMDP) -> tuple[Ints, Ints]:
    """Return state_ptr and action_id of one step, the same at every step.

    Raises
    ------
    InvalidModelError
        If the action sets of a model with stacked kernels change with the step.
    """
    S, K = mdp.n_states, int(mdp.state_ptr[mdp.n_states])
    ptr, action = mdp.state_ptr[: S + 1], mdp.action_id[:K]
    for h in range(0 if mdp.stationary else mdp.horizon or 0):
        rows = mdp.state_ptr[h * S : (h + 1) * S + 1]
        same = np.array_equal(rows - rows[0], ptr)
        if not same or not np.array_equal(mdp.action_id[rows[0] : rows[-1]], action):
            raise InvalidModelError(
                f"the action sets of step {h} differ from those of step 0; linear models have "
                "the same pairs at every step"
            )
    return ptr, action
