"""Features of state-action pairs: the rows phi(s, a) of linear models.

The pairs are those of `TabularMDP`: state s owns the consecutive numbers
``state_ptr[s] <= k < state_ptr[s+1]``. A row of features is a point of the simplex: at least 0,
and its entries sum to one. A row of zeros is allowed for pairs declared in `ends`: the episode is
over once they are played.

The *lift* of a model whose pairs may end adds one absorbing state S, with one pair K, for "over".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.pairs import best_pairs, step_pairs
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy, StochasticPolicy

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
TOLERANCE = 4e-10  # of a row sum; two of them stay within the tolerance of `TabularMDP`
_REMEDY = (
    "Rows of features are at least 0 and sum to one. Divide nonnegative rows by their sum if that "
    "is meant, or add a coordinate for what is missing; declare pairs that end the episode in "
    "`ends`; simplex=False keeps other features, for methods that do not need a linear model."
)


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """One row of features per state-action pair.

    Parameters
    ----------
    state_ptr : (S+1,) int32
        First pair of each state.
    phi : (K, d) float64
        Features: nonnegative rows that sum to one within 4e-10.
    action_id : (K,) int32
        Number of the action behind each pair, strictly increasing within a state.
    ends : (K,) bool, optional
        Pairs that end the episode; their rows are zero.
    simplex : bool
        False accepts any finite features; `LinearMDP` then refuses them.

    Raises
    ------
    InvalidModelError
        Naming the first offending pair, its value, how many are off, and the remedy.

    Examples
    --------
    >>> Features([0, 2, 3], [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], [0, 1, 0])
    Features(3 state-action pairs on 2 states, dimension 2)
    >>> Features([0, 1], [[0.6, 0.6]], [0])
    Traceback (most recent call last):
    ...
    mdplib.errors.InvalidModelError: phi of pair 0 (s=0, a=0) sums to 1.2. 1 of 1 pairs are off...
    """

    state_ptr: Ints
    phi: Floats
    action_id: Ints
    ends: Bools | None = None
    simplex: bool = True

    def __post_init__(self):
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("state_ptr", validate.frozen(self.state_ptr, np.int32, "state_ptr"))
        put("phi", validate.frozen(self.phi, np.float64, "phi", (2,)))
        put("action_id", validate.frozen(self.action_id, np.int32, "action_id"))
        put("simplex", bool(self.simplex))
        K = self.phi.shape[0]
        validate.pointers(self.state_ptr, K, "state_ptr", "phi", strict=True)
        if self.action_id.shape != (K,):
            raise InvalidModelError(f"action_id has shape {self.action_id.shape}; ({K},) expected")
        first = np.zeros(K, dtype=bool)
        first[self.state_ptr[:-1]] = True
        validate.require(
            (self.action_id >= 0) & (first | (np.diff(self.action_id, prepend=0) > 0)),
            lambda k: f"action_id[{k}] is {self.action_id[k]}",
            "Within a state the identifiers are at least 0 and strictly increasing.",
            unit="pairs",
        )
        if self.ends is not None:
            put("ends", _mask(self.ends, K))
        self._check_rows()

    def _check_rows(self) -> None:
        """Check every row of phi."""
        phi, ends = self.phi, self.ends
        if self.dimension < 1:
            raise InvalidModelError(f"phi has shape {phi.shape}; at least one feature expected")
        with np.errstate(invalid="ignore", over="ignore"):
            sums = phi.sum(axis=1)
        low = phi.min(axis=1)
        validate.require(
            np.isfinite(sums) & np.isfinite(low),
            lambda k: f"phi of {self.name(k)} is {phi[k]}",
            "Features are finite.",
            unit="pairs",
        )
        if ends is not None:
            validate.require(
                ~ends | ~phi.any(axis=1),
                lambda k: f"phi of {self.name(k)} is {phi[k]}, but the pair ends the episode",
                "Pairs in `ends` have features 0: nothing follows them.",
                unit="pairs",
            )
        if not self.simplex:
            return
        validate.require(
            low >= 0,
            lambda k: f"phi of {self.name(k)} has the entry {low[k]:.12g}",
            _REMEDY,
            unit="pairs",
        )
        good = np.abs(sums - 1) <= TOLERANCE
        validate.require(
            good if ends is None else good | ends,
            lambda k: f"phi of {self.name(k)} sums to {sums[k]:.12g}",
            _REMEDY,
            unit="pairs",
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore pickled features; their arrays are read-only again."""
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        self.__dict__.update(state)

    @classmethod
    def from_dense(
        cls,
        phi: ArrayLike,
        *,
        available: ArrayLike | None = None,
        ends: ArrayLike | None = None,
        simplex: bool = True,
    ) -> Features:
        """Build from a full array.

        Parameters
        ----------
        phi : (S, A, d) array
            Features of action a in state s.
        available : (S, A) bool array, optional
            Actions that exist; all by default.
        ends : (S, A) bool array, optional
            Actions that end the episode.
        simplex : bool
            See `Features`.

        Examples
        --------
        >>> Features.from_dense([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.0, 1.0]]]).n_pairs
        4
        """
        phi = validate.frozen(phi, np.float64, "phi", (3,))
        S, A = phi.shape[:2]
        here = np.ones((S, A), dtype=bool) if available is None else np.asarray(available)
        over = np.zeros((S, A), dtype=bool) if ends is None else np.asarray(ends)
        for name, mask in (("available", here), ("ends", over)):
            if mask.shape != (S, A) or mask.dtype != np.bool_:
                raise InvalidModelError(
                    f"{name} has shape {mask.shape} and dtype {mask.dtype}; a bool array of shape "
                    f"({S}, {A}) expected"
                )
        pointer: Any = np.concatenate([[0], np.cumsum(here.sum(axis=1))])
        action: Any = np.nonzero(here)[1]
        return cls(pointer, phi[here], action, over[here] if over.any() else None, simplex)

    @classmethod
    def one_hot(cls, mdp: TabularMDP) -> Features:
        """Return the features that make any tabular model linear: one coordinate per pair.

        Raises
        ------
        InvalidModelError
            If the model's action sets change with the step.
        """
        ptr, action = step_pairs(mdp)
        return cls(ptr, np.eye(action.size), action)

    # ------------------------------------------------------------ quantities

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.state_ptr.size - 1

    @property
    def n_pairs(self) -> int:
        """Number of state-action pairs K."""
        return self.phi.shape[0]

    @property
    def dimension(self) -> int:
        """Number of features d."""
        return self.phi.shape[1]

    @cached_property
    def n_actions(self) -> int:
        """Number of distinct actions over all states."""
        return int(np.unique(self.action_id).size)

    @cached_property
    def pair_state(self) -> Ints:
        """State of each pair, (K,) int32."""
        states = np.arange(self.n_states, dtype=np.int32)
        found = np.repeat(states, np.diff(self.state_ptr))
        found.flags.writeable = False
        return found

    @cached_property
    def ended(self) -> Bools:
        """`ends` as a mask, (K,) bool: all False where no pair ends the episode."""
        return np.zeros(self.n_pairs, dtype=bool) if self.ends is None else self.ends

    @cached_property
    def has_ends(self) -> bool:
        """Whether some pair ends the episode."""
        return bool(self.ended.any())

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content, 32 hexadecimal digits; equal features have equal fingerprints."""
        return validate.fingerprint(self)

    def name(self, k: int) -> str:
        """Say which pair k is."""
        s = int(np.searchsorted(self.state_ptr, k, side="right")) - 1
        return f"pair {k} (s={s}, a={self.action_id[k]})"

    def find(self, s: ArrayLike, a: ArrayLike) -> Ints:
        """Return the pairs of states and actions.

        Parameters
        ----------
        s, a : (n,) int arrays
            States and action identifiers.

        Returns
        -------
        (n,) int32

        Raises
        ------
        InvalidModelError
            If a state is outside the model, or an action is not admissible in its state.

        Examples
        --------
        >>> Features([0, 2, 3], np.ones((3, 1)), [0, 4, 1]).find([1, 0], [1, 4])
        array([2, 1], dtype=int32)
        """
        s, a = validate.frozen(s, np.int32, "s"), validate.frozen(a, np.int32, "a")
        validate.require(
            (s >= 0) & (s < self.n_states),
            lambda i: f"s[{i}] is {s[i]}, outside the states 0..{self.n_states - 1}",
            "Number the states from 0, as in the features.",
        )
        width = int(max(self.action_id.max(), a.max(initial=0))) + 1
        key = self.pair_state.astype(np.int64) * width + self.action_id
        wanted = s.astype(np.int64) * width + a
        k = np.minimum(np.searchsorted(key, wanted), key.size - 1)
        validate.require(
            (key[k] == wanted) & (a >= 0),
            lambda i: f"action a[{i}] = {a[i]} is not admissible in state {s[i]}",
            "features.action_id lists the actions of every state.",
        )
        return k.astype(np.int32)

    # -------------------------------------------------------------- policies

    def weights(self, policy: Policy, h: int = 0) -> Floats:
        """Return the probabilities that a policy gives to the pairs at step h.

        Parameters
        ----------
        policy : Policy
            On these pairs, or on those of a lift of them (see `LinearMDP.tabular`).
        h : int
            Step.

        Returns
        -------
        (K,) float64

        Raises
        ------
        InvalidModelError
            If the policy belongs to another model.
        """
        step = policy.at(h) if isinstance(policy, MarkovPolicy) else policy
        K, lifted = self.n_pairs, self.n_pairs + self.has_ends
        if isinstance(step, DeterministicPolicy):
            stacked = step.pair.size > 0 and step.pair.min() >= lifted
            pair = step.pair - (h * lifted if stacked else 0)
            pair = pair[: self.n_states] if pair.size == self.n_states + self.has_ends else pair
            weight = np.zeros(K)
            weight[self._checked_pairs(pair)] = 1.0
            return weight
        weight = step.weight if isinstance(step, StochasticPolicy) else step.weights(_pairs(self))
        if weight.size != K and weight.size % lifted == 0:
            layer = h if weight.size > lifted else 0
            weight = weight[layer * lifted : layer * lifted + K]
        sums = np.add.reduceat(weight, self.state_ptr[:-1]) if weight.size == K else np.zeros(1)
        if weight.size != K or not np.all(np.abs(sums - 1) <= validate.ROW_SUM_TOLERANCE):
            raise InvalidModelError(
                f"the policy has {weight.size} pairs and the features {K} on {self.n_states} "
                "states, or other action sets; it belongs to another model"
            )
        return weight

    def _checked_pairs(self, pair: Ints) -> Ints:
        """Return one pair per state, or raise `InvalidModelError`."""
        ptr = self.state_ptr
        if pair.shape != (self.n_states,):
            raise InvalidModelError(
                f"the policy is for {pair.size} states and the features have {self.n_states}; it "
                "belongs to another model"
            )
        validate.require(
            (ptr[:-1] <= pair) & (pair < ptr[1:]),
            lambda s: (
                f"the policy chooses pair {pair[s]} in state {s}, which owns "
                f"{ptr[s]}..{ptr[s + 1] - 1}"
            ),
            "It belongs to another model.",
            unit="states",
        )
        return pair

    def greedy(self, q: ArrayLike) -> DeterministicPolicy:
        """Return the policy that maximises q, (K,); ties go to the lowest action.

        Examples
        --------
        >>> Features([0, 2, 3], np.ones((3, 1)), [0, 4, 1]).greedy([1.0, 2.0, 0.0])
        DeterministicPolicy(action=[4 1])
        """
        pair = best_pairs(self.state_ptr, np.asarray(q, dtype=np.float64))
        return DeterministicPolicy(pair, self.action_id[pair])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Features):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        tail = f", {np.count_nonzero(self.ended)} pairs end" if self.has_ends else ""
        tail += "" if self.simplex else ", not on the simplex"
        return (
            f"Features({self.n_pairs} state-action pairs on {self.n_states} states, "
            f"dimension {self.dimension}{tail})"
        )


def _mask(ends: Any, K: int) -> Bools:
    mask = np.asarray(ends)
    if mask.shape != (K,) or mask.dtype != np.bool_:
        raise InvalidModelError(
            f"ends has shape {mask.shape} and dtype {mask.dtype}; a bool array of shape ({K},) "
            "expected"
        )
    mask = mask.copy()
    mask.flags.writeable = False
    return mask


def _pairs(features: Features) -> Any:
    """Pass features where a policy asks a model for its number of pairs."""
    return features
