"""Models as verification tools store them: labels, several rewards, and no criterion yet.

A file in one of the formats of model checking says how a system moves, names sets of states
(labels) and prices (rewards), and leaves the question open. `LabelledMDP` holds that; its methods
ask a question and return a problem that a solver takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP
    from mdplib.undiscounted import UndiscountedMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
Target = str | ArrayLike


@dataclass(frozen=True, eq=False, repr=False)
class LabelledMDP:
    """States, choices, labels and rewards, without a criterion.

    Parameters
    ----------
    state_ptr, indptr, indices, data : arrays
        Pairs and transitions, as in `TabularMDP`.
    action_id : (K,) int32
        Number of the action behind each pair, strictly increasing within a state.
    rewards : mapping of str to (K,) float64
        Expected immediate reward of each pair, by name.
    labels : mapping of str to (S,) bool
        Sets of states, by name.
    initial : (S,) float64, optional
        Distribution of the first state.
    state_labels : sequence of str, optional
        Distinct names of the states.
    pair_labels : sequence of str, optional
        Names of the pairs; they may repeat, also within a state.
    rational : sequence of Fraction, optional
        Exact probabilities, one per transition, each rounding to its entry of `data`.
    rational_rewards : mapping of str to sequence of Fraction
        Exact rewards where they are known, by name.

    Raises
    ------
    InvalidModelError
        Naming the first offending index, its value, how many are off, and the remedy.

    Examples
    --------
    >>> coin = LabelledMDP([0, 1, 2, 3], [0, 2, 3, 4], [1, 2, 1, 2], [0.5, 0.5, 1.0, 1.0],
    ...                    [0, 0, 0], labels={"heads": [False, True, False]})
    >>> coin
    LabelledMDP(3 state-action pairs on 3 states, 4 transitions, labels: heads)
    >>> coin.reach("heads")
    UndiscountedMDP(max reachability, 3 state-action pairs on 3 states, 4 transitions, 1 targets)
    """

    state_ptr: Ints
    indptr: Ints
    indices: Ints
    data: Floats
    action_id: Ints
    rewards: Mapping[str, Floats] = field(default_factory=dict)
    labels: Mapping[str, Bools] = field(default_factory=dict)
    initial: Floats | None = None
    state_labels: tuple[str, ...] | None = None
    pair_labels: tuple[str, ...] | None = None
    rational: tuple[Fraction, ...] | None = None
    rational_rewards: Mapping[str, tuple[Fraction, ...]] = field(default_factory=dict)

    def __post_init__(self):
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        for name in ("state_ptr", "indptr", "indices", "action_id"):
            put(name, validate.frozen(getattr(self, name), np.int32, name))
        put("data", validate.frozen(self.data, np.float64, "data"))
        validate.shapes(self)
        validate.rows(self)
        rewards = {}
        for name, values in self.rewards.items():
            where = f"reward {name!r}"
            rewards[name] = validate.frozen(values, np.float64, where)
            if rewards[name].size != self.n_pairs:
                raise InvalidModelError(
                    f"{where} has shape {rewards[name].shape}; ({self.n_pairs},) expected"
                )
            validate.rewards(self, rewards[name], where)
        put("rewards", MappingProxyType(rewards))
        put("labels", MappingProxyType({k: self._states(v, k) for k, v in self.labels.items()}))
        if self.initial is not None:
            put("initial", validate.frozen(self.initial, np.float64, "initial"))
            validate.distribution(self.initial, self.n_states, "initial")
        put("state_labels", validate.labels(self.state_labels, self.n_states, "state_labels"))
        if self.pair_labels is not None:
            put("pair_labels", tuple(str(name) for name in self.pair_labels))
            validate.length(self.pair_labels, self.n_pairs, "pair_labels")
        if self.rational is not None:
            put("rational", validate.rational(self.rational, self.data, "rational"))
        exact = {
            name: validate.rational(values, rewards[name], f"rational reward {name!r}")
            for name, values in self.rational_rewards.items()
        }
        put("rational_rewards", MappingProxyType(exact))

    def _states(self, values: ArrayLike, name: str) -> Bools:
        return validate.state_set(values, self.n_states, f"label {name!r}")

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
    def fingerprint(self) -> str:
        """Hash of the content, 32 hexadecimal digits; equal models have equal fingerprints."""
        return validate.fingerprint(self)

    # ------------------------------------------------------------- questions

    def states(self, target: Target) -> Bools:
        """Return a set of states as (S,) bool: a label, a mask, or a list of indices.

        Raises
        ------
        InvalidModelError
            If there is no such label or state.
        """
        if isinstance(target, str):
            if target not in self.labels:
                known = ", ".join(self.labels) or "none"
                raise InvalidModelError(f"no label {target!r}; the model has: {known}")
            return self.labels[target]
        return validate.state_set(target, self.n_states, "target")

    def reward(self, name: str | None) -> str:
        """Return the name of a reward; None stands for the only one there is."""
        known = ", ".join(self.rewards) or "none"
        if name is None:
            if len(self.rewards) != 1:
                raise InvalidModelError(f"name one of the model's rewards; it has: {known}")
            return next(iter(self.rewards))
        if name not in self.rewards:
            raise InvalidModelError(f"no reward {name!r}; the model has: {known}")
        return name

    def reach(self, target: Target, objective: Literal["max", "min"] = "max") -> UndiscountedMDP:
        """Ask for the probability of ever entering a set of states.

        Parameters
        ----------
        target : str or array
            A label, an (S,) mask, or indices of states.
        objective : {"max", "min"}
            Best or worst case over policies.
        """
        return self._ask("reachability", objective, target, None)

    def expected_reward(
        self,
        target: Target,
        objective: Literal["max", "min"] = "max",
        reward: str | None = None,
    ) -> UndiscountedMDP:
        """Ask for the expected reward collected before a set of states is entered.

        Parameters
        ----------
        target : str or array
            A label, an (S,) mask, or indices of states.
        objective : {"max", "min"}
            Best or worst case over policies.
        reward : str, optional
            Which reward; may be left out when there is one only.
        """
        return self._ask("expected_reward", objective, target, self.reward(reward))

    def average_reward(
        self, objective: Literal["max", "min"] = "max", reward: str | None = None
    ) -> UndiscountedMDP:
        """Ask for the long-run average of a reward per step."""
        return self._ask("average_reward", objective, None, self.reward(reward))

    def discounted(self, gamma: float, reward: str | None = None) -> TabularMDP:
        """Ask for the greatest expected discounted sum of a reward.

        Parameters
        ----------
        gamma : float
            Discount factor, 0 <= gamma < 1.
        reward : str, optional
            Which reward; may be left out when there is one only.
        """
        from mdplib.tabular import TabularMDP

        return TabularMDP(
            self.state_ptr,
            self.indptr,
            self.indices,
            self.data,
            self.rewards[self.reward(reward)],
            self.action_id,
            gamma,
            initial=self.initial,
            state_labels=self.state_labels,
        )

    def _ask(self, criterion: Any, objective: Any, target: Target | None, reward: str | None):
        from mdplib.undiscounted import UndiscountedMDP

        return UndiscountedMDP(
            self.state_ptr,
            self.indptr,
            self.indices,
            self.data,
            self.action_id,
            criterion,
            objective,
            None if target is None else self.states(target),
            None if reward is None else self.rewards[reward],
            self.initial,
            self.state_labels,
            self.rational,
            None if reward is None else self.rational_rewards.get(reward),
        )

    def replace(self, **changes: Any) -> LabelledMDP:
        """Return a copy with some fields changed, validated anew."""
        return dataclasses.replace(self, **changes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelledMDP):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        names = [
            f"{kind}: {', '.join(given)}"
            for kind, given in (("labels", self.labels), ("rewards", self.rewards))
            if given
        ]
        return (
            f"LabelledMDP({self.n_pairs} state-action pairs on {self.n_states} states, "
            f"{self.nnz} transitions{''.join(', ' + text for text in names)})"
        )
