"""Tabular Markov decision processes as ragged state-action rows.

A *pair* k is an admissible action in a state. The pairs of state s are the consecutive integers
``state_ptr[s] <= k < state_ptr[s+1]``; pair k moves to ``indices[j]`` with probability
``data[j]``, ``indptr[k] <= j < indptr[k+1]``, and pays ``reward[k]`` in expectation. Action sets
may differ from state to state. Expected total discounted reward is maximised, over an infinite
horizon (``horizon is None``, gamma < 1) or over ``horizon`` steps, after which ``terminal`` is
paid.

Kernels and rewards may change with the step h of a finite horizon. Rewards alone: ``reward`` has
shape (H, K). Kernels as well: the layers are stacked, so the pairs of state s at step h are those
of row ``h*S + s`` of ``state_ptr``, which has H*S + 1 entries.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mdplib import constructors, exports, validate
from mdplib.errors import InvalidModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


class Layer(NamedTuple):
    """The arrays that govern one step: views, never copies (see the module's text)."""

    state_ptr: Ints
    indptr: Ints
    indices: Ints
    data: Floats
    reward: Floats


@dataclass(frozen=True, eq=False, repr=False)
class TabularMDP:
    """A finite Markov decision process, validated once and read-only afterwards.

    Most models are built by the constructors `from_dense`, `from_sparse`, `from_dict`,
    `from_function`, `from_mdptoolbox` and `from_quantecon`; this one takes the final arrays.

    Parameters
    ----------
    state_ptr : (S+1,) int32, or (H*S+1,) when `stationary` is False
        First pair of each state.
    indptr : (K+1,) int32
        First transition of each pair.
    indices : (nnz,) int32
        Successor states, strictly increasing within a pair.
    data : (nnz,) float64
        Probabilities; each pair's sum to one within 1e-9. Zeros are allowed.
    reward : (K,) float64, or (H, K)
        Expected immediate reward of each pair.
    action_id : (K,) int32
        Number of the action behind each pair, strictly increasing within a state.
    gamma : float
        Discount factor: 0 <= gamma < 1, or 0 <= gamma <= 1 with a finite horizon.
    horizon : int, optional
        Number of steps H >= 1; None for an infinite horizon.
    terminal : (S,) float64, optional
        Reward paid on leaving the last step; zeros by default. Finite horizon only.
    initial : (S,) float64, optional
        Distribution of the first state.
    stationary : bool
        False when the kernels of the H steps are stacked.
    state_labels, action_labels : sequence of str, optional
        Distinct names; `action_labels` is indexed by `action_id`.

    Raises
    ------
    InvalidModelError
        Naming the first offending index, its value, how many are off, and the remedy.

    Examples
    --------
    >>> mdp = TabularMDP([0, 2, 3], [0, 1, 2, 3], [0, 1, 1], [1.0, 1.0, 1.0],
    ...                  [0.0, 1.0, 2.0], [0, 1, 0], gamma=0.5)
    >>> mdp.n_states, mdp.n_pairs, mdp.nnz
    (2, 3, 3)
    >>> TabularMDP([0, 1], [0, 1], [0], [0.9], [0.0], [0], gamma=0.5)
    Traceback (most recent call last):
    ...
    mdplib.errors.InvalidModelError: P[s=0, a=0, :] sums to 0.9 (tolerance 1e-09). 1 of 1 ...
    """

    state_ptr: Ints
    indptr: Ints
    indices: Ints
    data: Floats
    reward: Floats
    action_id: Ints
    gamma: float
    horizon: int | None = None
    terminal: Floats | None = None
    initial: Floats | None = None
    stationary: bool = True
    state_labels: tuple[str, ...] | None = None
    action_labels: tuple[str, ...] | None = None

    def __post_init__(self):
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        for name in ("state_ptr", "indptr", "indices", "action_id"):
            put(name, validate.frozen(getattr(self, name), np.int32, name))
        put("data", validate.frozen(self.data, np.float64, "data"))
        put("reward", validate.frozen(self.reward, np.float64, "reward", (1, 2)))
        gamma, horizon = validate.criterion(self.gamma, self.horizon)
        put("gamma", gamma)
        put("horizon", horizon)
        put("stationary", bool(self.stationary))
        validate.shapes(self)
        self._check_shapes()
        validate.rows(self)
        validate.rewards(self, self.reward)
        if horizon is not None and self.terminal is None:
            put("terminal", np.zeros(self.n_states))
        if self.terminal is not None:
            if horizon is None:
                raise InvalidModelError("terminal rewards need a finite horizon; set horizon=H")
            put("terminal", validate.frozen(self.terminal, np.float64, "terminal"))
            validate.vector(self.terminal, self.n_states, "terminal")
        if self.initial is not None:
            put("initial", validate.frozen(self.initial, np.float64, "initial"))
            validate.distribution(self.initial, self.n_states, "initial")
        put("state_labels", validate.labels(self.state_labels, self.n_states, "state_labels"))
        most = int(self.action_id.max()) + 1
        names = validate.labels(self.action_labels, most, "action_labels", more=True)
        put("action_labels", names)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled or copied model; its arrays are read-only again."""
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        self.__dict__.update(state)

    def _check_shapes(self) -> None:
        pairs, H = self.n_pairs, self.horizon
        if not self.stationary and (H is None or (self.state_ptr.size - 1) % H):
            raise InvalidModelError(
                f"state_ptr describes {self.state_ptr.size - 1} stacked states over horizon {H}; "
                "a model with stationary=False needs a finite horizon and H*S states"
            )
        per_step = self.stationary and H is not None
        if self.reward.shape != (pairs,) and not (per_step and self.reward.shape == (H, pairs)):
            wanted = f"({pairs},)" + (f" or ({H}, {pairs})" if per_step else "")
            raise InvalidModelError(f"reward has shape {self.reward.shape}; {wanted} expected")

    from_dense = staticmethod(constructors.from_dense)
    from_sparse = staticmethod(constructors.from_sparse)
    from_dict = staticmethod(constructors.from_dict)
    from_function = staticmethod(constructors.from_function)
    from_layers = staticmethod(constructors.from_layers)
    from_mdptoolbox = staticmethod(constructors.from_mdptoolbox)
    from_quantecon = staticmethod(constructors.from_quantecon)
    to_sparse = exports.to_sparse
    to_dense = exports.to_dense
    to_dict = exports.to_dict
    to_mdptoolbox = exports.to_mdptoolbox
    to_quantecon = exports.to_quantecon

    # ------------------------------------------------------------ quantities

    @property
    def n_states(self) -> int:
        """Number of states S."""
        rows = self.state_ptr.size - 1
        return rows if self.stationary or self.horizon is None else rows // self.horizon

    @property
    def n_pairs(self) -> int:
        """Number of state-action pairs K (over all steps when the kernels are stacked)."""
        return self.indptr.size - 1

    @property
    def nnz(self) -> int:
        """Number of stored transitions."""
        return self.indices.size

    @cached_property
    def n_actions(self) -> int:
        """Number of distinct actions over all states."""
        return int(np.unique(self.action_id).size)

    @property
    def is_finite_horizon(self) -> bool:
        """Whether the horizon is finite."""
        return self.horizon is not None

    @cached_property
    def max_successors(self) -> int:
        """Largest number of stored transitions of one pair."""
        return int(np.diff(self.indptr).max())

    @cached_property
    def max_reward(self) -> float:
        """Largest magnitude of a reward."""
        return float(max(self.reward.max(), -self.reward.min()))

    @cached_property
    def pair_state(self) -> Ints:
        """State of each pair, (K,) int32."""
        rows = np.repeat(np.arange(self.state_ptr.size - 1), np.diff(self.state_ptr))
        return _read_only((rows % self.n_states).astype(np.int32))

    @cached_property
    def row_sum_bounds(self) -> tuple[float, float]:
        """Proven lower and upper bounds on the exact row sums of the stored probabilities."""
        sums = np.add.reduceat(self.data, self.indptr[:-1])
        slack = 0.0 if self.max_successors == 1 else self.max_successors * 2.0**-51
        return float(sums.min()) - slack, float(sums.max()) + slack

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content, 32 hexadecimal digits; equal models have equal fingerprints."""
        return validate.fingerprint(self)

    def layer(self, h: int = 0) -> Layer:
        """Arrays that govern step h.

        Parameters
        ----------
        h : int
            Step, 0 <= h < H; ignored for an infinite horizon.

        Returns
        -------
        Layer
            Views: pointers stay absolute, so `data` and `reward` are always the whole arrays.

        Raises
        ------
        InvalidModelError
            If h is outside the horizon.
        """
        if self.horizon is not None and not 0 <= h < self.horizon:
            raise InvalidModelError(f"step {h} is outside the horizon 0..{self.horizon - 1}")
        state_ptr, reward = self.state_ptr, self.reward
        if not self.stationary:
            state_ptr = state_ptr[h * self.n_states : (h + 1) * self.n_states + 1]
        if reward.ndim == 2:
            reward = reward[h]
        return Layer(state_ptr, self.indptr, self.indices, self.data, reward)

    def actions(self, s: int, h: int = 0) -> Ints:
        """Return the identifiers of the actions admissible in state s at step h."""
        ptr = self.layer(h).state_ptr
        return self.action_id[ptr[s] : ptr[s + 1]]

    # ------------------------------------------------------------ variations

    def replace(self, **changes: Any) -> TabularMDP:
        """Return a copy with some fields changed, validated anew.

        Examples
        --------
        >>> mdp = TabularMDP([0, 1], [0, 1], [0], [1.0], [1.0], [0], gamma=0.5)
        >>> mdp.replace(gamma=1.0, horizon=3)
        TabularMDP(1 state-action pairs on 1 states, 1 transitions, gamma=1.0, horizon=3)
        """
        return dataclasses.replace(self, **changes)

    def with_gamma(self, gamma: float) -> TabularMDP:
        """Return the same model with another discount factor."""
        return self.replace(gamma=gamma)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TabularMDP):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        tail = "" if self.horizon is None else f", horizon={self.horizon}"
        if not self.stationary:
            tail += ", kernels per step"
        return (
            f"TabularMDP({self.n_pairs} state-action pairs on {self.n_states} states, "
            f"{self.nnz} transitions, gamma={self.gamma!r}{tail})"
        )


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
