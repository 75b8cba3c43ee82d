r"""Problems without discounting: reachability, expected reward to a target, average reward.

Every row is a probability distribution: a stored float stands for a number that rounds to it, and
the numbers of a row sum to one. (A discounted model may leave its rows off by 1e-9 and mean it;
here the value can depend on whether a set of states is left at all, so a row must be meant to sum
to one.) Bounds hold for every such reading, `rational` included.

- ``reachability``: the probability that a target state is ever entered. States of the target have
  value 1.
- ``expected_reward``: the reward collected before a target state is entered; where the target is
  not reached with probability one, it is infinite, with the sign of the rewards. So for rewards of
  at least 0 the maximum is infinite if some policy may miss the target, the minimum only if
  every policy may. States of the target have value 0, whatever their own rewards.
- ``average_reward``: the limit of the expected reward per step.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
Criterion = Literal["reachability", "expected_reward", "average_reward"]
Objective = Literal["max", "min"]


@dataclass(frozen=True, eq=False, repr=False)
class UndiscountedMDP:
    """A finite Markov decision process with an undiscounted criterion.

    `LabelledMDP.reach`, `.expected_reward` and `.average_reward` build these from a model with
    labels; this constructor takes the final arrays.

    Parameters
    ----------
    state_ptr, indptr, indices, data : arrays
        Pairs and transitions, as in `TabularMDP`; rows sum to one up to rounding.
    action_id : (K,) int32
        Number of the action behind each pair, strictly increasing within a state.
    criterion : {"reachability", "expected_reward", "average_reward"}
        What is asked.
    objective : {"max", "min"}
        Best or worst case over policies.
    target : (S,) bool or indices, optional
        The target states; needed by the first two criteria, refused by the last.
    reward : (K,) float64, optional
        Expected immediate reward of each pair; needed by the last two criteria.
    initial : (S,) float64, optional
        Distribution of the first state.
    state_labels : sequence of str, optional
        Distinct names of the states.
    rational : sequence of Fraction, optional
        Exact probabilities, one per transition, each rounding to its entry of `data`.
    rational_reward : sequence of Fraction, optional
        Exact rewards, one per pair, each rounding to its entry of `reward`.

    Raises
    ------
    InvalidModelError
        Naming the first offending index, its value, how many are off, and the remedy.

    Examples
    --------
    >>> UndiscountedMDP([0, 1, 2], [0, 2, 3], [0, 1, 1], [0.5, 0.5, 1.0], [0, 0],
    ...                 "expected_reward", "min", [1], reward=[1.0, 0.0])
    UndiscountedMDP(min expected_reward, 2 state-action pairs on 2 states, 3 transitions, 1 targets)
    """

    state_ptr: Ints
    indptr: Ints
    indices: Ints
    data: Floats
    action_id: Ints
    criterion: Criterion
    objective: Objective = "max"
    target: Bools | None = None
    reward: Floats | None = None
    initial: Floats | None = None
    state_labels: tuple[str, ...] | None = None
    rational: tuple[Fraction, ...] | None = None
    rational_reward: tuple[Fraction, ...] | None = None

    def __post_init__(self):
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        for name in ("state_ptr", "indptr", "indices", "action_id"):
            put(name, validate.frozen(getattr(self, name), np.int32, name))
        put("data", validate.frozen(self.data, np.float64, "data"))
        validate.shapes(self)
        validate.rows(self, (self.max_successors + 2) * 2.0**-52)
        for name, known in (("criterion", Criterion), ("objective", Objective)):
            if getattr(self, name) not in get_args(known):
                raise InvalidModelError(
                    f"{name} is {getattr(self, name)!r}; one of {', '.join(get_args(known))} "
                    "expected"
                )
        average, reach = self.criterion == "average_reward", self.criterion == "reachability"
        for name, needed in (("target", not average), ("reward", not reach)):
            if (getattr(self, name) is not None) != needed:
                verb = "needs a" if needed else "takes no"
                raise InvalidModelError(f"{self.criterion} {verb} {name}")
        if self.target is not None:
            put("target", validate.state_set(self.target, self.n_states, "target"))
        if self.reward is not None:
            put("reward", validate.frozen(self.reward, np.float64, "reward"))
            if self.reward.size != self.n_pairs:
                raise InvalidModelError(
                    f"reward has shape {self.reward.shape}; ({self.n_pairs},) expected"
                )
            validate.rewards(self, self.reward)
        if self.initial is not None:
            put("initial", validate.frozen(self.initial, np.float64, "initial"))
            validate.distribution(self.initial, self.n_states, "initial")
        put("state_labels", validate.labels(self.state_labels, self.n_states, "state_labels"))
        if self.rational is not None:
            put("rational", validate.rational(self.rational, self.data, "rational"))
        if self.rational_reward is not None:
            if self.reward is None:
                raise InvalidModelError("rational_reward needs a reward beside it")
            known = validate.rational(self.rational_reward, self.reward, "rational_reward")
            put("rational_reward", known)

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.state_ptr.size - 1

    @property
    def n_pairs(self) -> int:
        """Number of state-action pairs K."""
        return self.indptr.size - 1

    @property
    def nnz(self) -> int:
        """Number of stored transitions."""
        return self.indices.size

    @cached_property
    def max_successors(self) -> int:
        """Largest number of stored transitions of one pair."""
        return int(np.diff(self.indptr).max())

    @cached_property
    def pair_state(self) -> Ints:
        """State of each pair, (K,) int32."""
        states = np.arange(self.n_states, dtype=np.int32)
        found = np.repeat(states, np.diff(self.state_ptr))
        found.flags.writeable = False
        return found

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content, 32 hexadecimal digits; equal models have equal fingerprints."""
        return validate.fingerprint(self)

    def replace(self, **changes: Any) -> UndiscountedMDP:
        """Return a copy with some fields changed, validated anew."""
        return dataclasses.replace(self, **changes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UndiscountedMDP):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        tail = "" if self.target is None else f", {np.count_nonzero(self.target)} targets"
        return (
            f"UndiscountedMDP({self.objective} {self.criterion}, {self.n_pairs} state-action "
            f"pairs on {self.n_states} states, {self.nnz} transitions{tail})"
        )
