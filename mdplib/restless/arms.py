"""The arms of a restless bandit: J small decision processes, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Arms:
    """J independent arms with the same number of states and of levels.

    A *level* is what an arm feels of the action: pulled or not, or how many of the actions that
    reach it are taken. Arms with fewer levels repeat their last one.

    Parameters
    ----------
    P : (J, L, S, S) array
        P[j, n, s, t] is the probability that arm j moves from s to t at level n.
    r : (J, L, S) array
        Expected reward of one step of arm j from s at level n.

    Raises
    ------
    InvalidModelError
        On wrong shapes, entries that are not finite, and rows that are not probability laws; the
        message names the first arm, level and state, and says how many rows are off.

    Examples
    --------
    >>> lazy = Arms(P=[[[[1.0]], [[1.0]]]], r=[[[0.0], [1.0]]])
    >>> lazy, lazy.n_levels
    (Arms(1 arm of 1 state, 2 levels), 2)
    """

    P: Floats
    r: Floats

    def __post_init__(self):
        object.__setattr__(self, "P", validate.frozen(self.P, np.float64, "P", (4,)))
        object.__setattr__(self, "r", validate.frozen(self.r, np.float64, "r", (3,)))
        P, r = self.P, self.r
        if P.ndim != 4 or P.shape[2] != P.shape[3] or 0 in P.shape:
            raise InvalidModelError(f"P has shape {P.shape}; give (J, L, S, S)")
        if r.shape != P.shape[:3]:
            raise InvalidModelError(f"r has shape {r.shape}; P asks for {P.shape[:3]} = (J, L, S)")
        if not np.isfinite(r).all():
            j, n, s = (int(i[0]) for i in np.nonzero(~np.isfinite(r)))
            raise InvalidModelError(f"r[{j}, {n}, {s}] is {r[j, n, s]}; give finite rewards")
        off = (P.min(axis=3) < 0) | ~(np.abs(P.sum(axis=3) - 1) <= 1e-9)
        if off.any():
            j, n, s = (int(i[0]) for i in np.nonzero(off))
            raise InvalidModelError(
                f"row {s} of P[{j}, {n}] sums to {P[j, n, s].sum():.12g} with smallest entry "
                f"{P[j, n, s].min():.3g} ({int(off.sum())} rows are off); give probability laws"
            )

    @property
    def n_arms(self) -> int:
        """Number of arms, J."""
        return self.P.shape[0]

    @property
    def n_levels(self) -> int:
        """Number of levels, L."""
        return self.P.shape[1]

    @property
    def n_states(self) -> int:
        """Number of states of each arm, S."""
        return self.P.shape[2]

    @classmethod
    def from_next_state_rewards(cls, P: Floats, rho: Floats) -> Arms:
        """Return arms whose reward is paid for the state they move to.

        Parameters
        ----------
        P : (J, L, S, S) array
            Transition probabilities.
        rho : (J, S) array
            Reward of arm j for being in a state after the step.

        Returns
        -------
        Arms
            With ``r[j, n, s] = sum_t P[j, n, s, t] rho[j, t]``.
        """
        P, rho = np.asarray(P, dtype=np.float64), np.asarray(rho, dtype=np.float64)
        return cls(P, np.einsum("jnst,jt->jns", P, rho))

    def __repr__(self) -> str:
        arms = "1 arm" if self.n_arms == 1 else f"{self.n_arms} arms"
        states = "1 state" if self.n_states == 1 else f"{self.n_states} states"
        return f"Arms({arms} of {states}, {self.n_levels} levels)"


def ladder(up: Floats, rho: Floats) -> Arms:
    """Return arms that climb a ladder of states, one step up or down at a time.

    Parameters
    ----------
    up : (J, L) array
        Probability of a step up at each level; otherwise a step down. At the ends the arm stays.
    rho : (J, S) array
        Reward for each state reached.

    Returns
    -------
    Arms

    Examples
    --------
    >>> ladder(np.array([[0.25, 0.75]]), np.array([[0.0, 1.0]])).r
    array([[[0.25, 0.25],
            [0.75, 0.75]]])
    """
    up, rho = np.asarray(up, dtype=np.float64), np.asarray(rho, dtype=np.float64)
    if up.ndim != 2 or rho.ndim != 2 or up.shape[0] != rho.shape[0]:
        raise InvalidModelError(f"up has shape {up.shape}, rho {rho.shape}; give (J, L), (J, S)")
    J, L = up.shape
    S = rho.shape[1]
    P = np.zeros((J, L, S, S))
    for s in range(S):
        P[:, :, s, min(s + 1, S - 1)] += up
        P[:, :, s, max(s - 1, 0)] += 1.0 - up
    return Arms.from_next_state_rewards(P, rho)
