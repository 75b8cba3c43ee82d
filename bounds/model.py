"""A model as plain arrays, in floating point or in exact rationals, right or wrong.

`mdplib.TabularMDP` refuses whatever is not a Markov decision process. A theorem must also be asked
about arrays that break one of its hypotheses, and a suspected violation must be recomputed in
rational numbers; so the statements of this package are written for `Model`, which checks shapes
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.tabular import TabularMDP

Array = NDArray[Any]
Scalar = float | Fraction
DENSE_LIMIT = 20_000_000


def exact_array(values: ArrayLike) -> Array:
    """Return the same numbers as an object array of `fractions.Fraction`.

    Parameters
    ----------
    values : array_like
        Floats or rationals; every float is a rational number, so nothing is rounded.

    Returns
    -------
    ndarray of object
        Same shape.

    Examples
    --------
    >>> exact_array([0.5, 0.75])
    array([Fraction(1, 2), Fraction(3, 4)], dtype=object)
    """
    source = np.asarray(values)
    result = np.empty(source.shape, dtype=object)
    result.ravel()[:] = [Fraction(x) for x in source.ravel().tolist()]
    return result


def _read_only(values: ArrayLike) -> Array:
    array = np.array(values)
    if array.dtype != object:
        array = array.astype(np.float64)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Model:
    """Arrays of a decision process; only their shapes are checked.

    Parameters
    ----------
    P : (K, S)
        Row k holds the law of the successor of pair k, if it is a law.
    r : (K,), or (H, K) when rewards change with the step
        Expected immediate reward.
    state_ptr : (S+1,) int
        State s owns the pairs ``state_ptr[s] <= k < state_ptr[s+1]``, at least one.
    gamma : float or Fraction
        Discount factor.
    horizon : int, optional
        Number of steps H; None for an infinite horizon.
    terminal : (S,), optional
        Reward after the last step; zeros by default.

    Raises
    ------
    InvalidModelError
        If the shapes do not fit.

    Examples
    --------
    >>> model = Model([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0], [0, 1, 2], 0.5)
    >>> model.n_states, model.n_pairs, model.exact().gamma
    (2, 2, Fraction(1, 2))
    """

    P: Array
    r: Array
    state_ptr: NDArray[np.intp]
    gamma: Scalar
    horizon: int | None = None
    terminal: Array | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            P: ArrayLike,
            r: ArrayLike,
            state_ptr: ArrayLike,
            gamma: Scalar,
            horizon: int | None = None,
            terminal: ArrayLike | None = None,
        ) -> None: ...

    def __post_init__(self):
        object.__setattr__(self, "P", _read_only(self.P))
        object.__setattr__(self, "r", _read_only(self.r))
        pointer = np.array(self.state_ptr, dtype=np.intp)
        pointer.flags.writeable = False
        object.__setattr__(self, "state_ptr", pointer)
        pairs, states = self.P.shape if self.P.ndim == 2 else (-1, -1)
        rewards = {(pairs,)} if self.horizon is None else {(pairs,), (self.horizon, pairs)}
        increasing = pointer.ndim == 1 and bool((np.diff(pointer) > 0).all())
        if self.r.shape not in rewards or pointer.shape != (states + 1,) or not increasing:
            raise InvalidModelError(
                f"P {self.P.shape}, r {self.r.shape}, state_ptr {pointer.shape}, horizon "
                f"{self.horizon} do not fit: need (K, S), (K,) or (H, K), and S + 1 strictly "
                "increasing pointers."
            )
        if pointer[0] != 0 or pointer[-1] != pairs:
            raise InvalidModelError(
                f"state_ptr runs from {pointer[0]} to {pointer[-1]}: need 0 to K = {pairs}."
            )
        if self.horizon is not None:
            last = np.zeros(states) if self.terminal is None else self.terminal
            object.__setattr__(self, "terminal", _read_only(last))

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.P.shape[1]

    @property
    def n_pairs(self) -> int:
        """Number of state-action pairs K."""
        return self.P.shape[0]

    @property
    def is_exact(self) -> bool:
        """Whether the arrays hold rationals."""
        return self.P.dtype == object

    @cached_property
    def pair_state(self) -> NDArray[np.intp]:
        """State of each pair, (K,)."""
        return np.repeat(np.arange(self.n_states), np.diff(self.state_ptr))

    @property
    def steps(self) -> int:
        """Number of steps H of a finite horizon."""
        if self.horizon is None:
            raise NotApplicableError("the horizon is finite")
        return self.horizon

    @property
    def last(self) -> Array:
        """Terminal rewards of a finite horizon, (S,)."""
        if self.terminal is None:
            raise NotApplicableError("the horizon is finite")
        return self.terminal

    def reward(self, h: int = 0) -> Array:
        """Return the (K,) rewards of step h."""
        return self.r[h] if self.r.ndim == 2 else self.r

    def replace(
        self,
        *,
        P: ArrayLike | None = None,
        r: ArrayLike | None = None,
        gamma: Scalar | None = None,
    ) -> Model:
        """Return a copy with other transitions, rewards or discount factor.

        Parameters
        ----------
        P, r : array_like, optional
            New arrays of fitting shape.
        gamma : float, optional
            New discount factor, not checked.

        Returns
        -------
        Model
            The copy.
        """
        return replace(
            self,
            P=self.P if P is None else P,
            r=self.r if r is None else r,
            gamma=self.gamma if gamma is None else gamma,
        )

    def exact(self) -> Model:
        """Return the same model in rational numbers.

        Returns
        -------
        Model
            Arrays of `fractions.Fraction`; nothing is rounded.
        """
        last = None if self.terminal is None else exact_array(self.terminal)
        return Model(
            exact_array(self.P),
            exact_array(self.r),
            self.state_ptr,
            Fraction(self.gamma),
            self.horizon,
            last,
        )

    @classmethod
    def from_mdp(cls, mdp: TabularMDP) -> Model:
        """Read the arrays of a validated model.

        Parameters
        ----------
        mdp : TabularMDP
            With one kernel for all steps, and K * S at most 20 million.

        Returns
        -------
        Model
            Dense copy.

        Raises
        ------
        NotApplicableError
            If kernels change with the step, or the dense array would be too large.
        """
        if not mdp.stationary:
            raise NotApplicableError("one kernel serves every step")
        if mdp.n_pairs * mdp.n_states > DENSE_LIMIT:
            raise NotApplicableError(f"K * S is at most {DENSE_LIMIT} (dense arrays)")
        P = np.zeros((mdp.n_pairs, mdp.n_states))
        rows = np.repeat(np.arange(mdp.n_pairs), np.diff(mdp.indptr))
        P[rows, mdp.indices] = mdp.data
        return cls(
            P, mdp.reward, mdp.state_ptr.astype(np.intp), mdp.gamma, mdp.horizon, mdp.terminal
        )

    def to_mdp(self) -> TabularMDP:
        """Return the validated model that solvers take.

        Returns
        -------
        TabularMDP
            Zero probabilities dropped; actions numbered within each state.

        Raises
        ------
        InvalidModelError
            If the arrays are not a Markov decision process.
        """
        P = self.P.astype(np.float64)
        rows, columns = np.nonzero(P)
        counts = np.bincount(rows, minlength=self.n_pairs)
        last = None if self.terminal is None else self.terminal.astype(np.float64)
        return TabularMDP(
            self.state_ptr.astype(np.int32),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
            columns.astype(np.int32),
            P[rows, columns],
            self.r.astype(np.float64),
            (np.arange(self.n_pairs) - self.state_ptr[self.pair_state]).astype(np.int32),
            float(self.gamma),
            horizon=self.horizon,
            terminal=last,
        )


def pointers(action_counts: Sequence[int]) -> NDArray[np.intp]:
    """Return `state_ptr` for states with the given numbers of actions.

    Parameters
    ----------
    action_counts : sequence of int
        Number of actions of each state.

    Returns
    -------
    (S+1,) ndarray of int
        First pair of each state, and K.

    Examples
    --------
    >>> pointers([2, 1])
    array([0, 2, 3])
    """
    return np.concatenate([[0], np.cumsum(action_counts)]).astype(np.intp)
