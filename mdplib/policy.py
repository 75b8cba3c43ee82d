"""Policies: how an action is chosen in a state, at a step.

Every policy answers three questions. ``probs(s, h)``: which actions, with which probabilities.
``act(s, rng, h)``: draw actions for an array of states. ``weights(mdp, h)``: its probabilities
on all K pairs of a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels, validate
from mdplib.errors import InvalidModelError

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP


class Policy(Protocol):
    """What every tabular policy offers."""

    def probs(self, s: int, h: int = 0) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the actions used in state s at step h and their probabilities."""
        ...

    def act(self, s: Any, rng: np.random.Generator, h: int = 0) -> NDArray[np.int32]:
        """Draw one action for each entry of s."""
        ...

    def pairs(self, s: Any, rng: np.random.Generator, h: int = 0) -> NDArray[np.int32]:
        """Draw one state-action pair (its number k) for each entry of s."""
        ...

    def weights(self, mdp: TabularMDP, h: int = 0) -> NDArray[np.float64]:
        """Return the probability of each of the K pairs of `mdp` in its state."""
        ...


@dataclass(frozen=True, eq=False)
class DeterministicPolicy:
    """One action per state.

    Parameters
    ----------
    pair : (S,) int32
        Number k of the chosen state-action pair.
    action : (S,) int32
        Identifier of the chosen action.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> DeterministicPolicy.from_actions(mdp, [1]).pair
    array([1], dtype=int32)
    """

    pair: NDArray[np.int32]
    action: NDArray[np.int32]

    def __post_init__(self):
        object.__setattr__(self, "pair", validate.frozen(self.pair, np.int32, "pair"))
        object.__setattr__(self, "action", validate.frozen(self.action, np.int32, "action"))
        if self.pair.shape != self.action.shape:
            raise InvalidModelError(
                f"pair has shape {self.pair.shape} and action {self.action.shape}; one of each "
                "per state expected"
            )

    @classmethod
    def from_pairs(cls, mdp: TabularMDP, pair: ArrayLike, h: int = 0) -> DeterministicPolicy:
        """Build from pair numbers, checking that each belongs to its state at step h."""
        pair = validate.frozen(pair, np.int32, "pair")
        ptr = mdp.layer(h).state_ptr
        if pair.shape != (mdp.n_states,):
            raise InvalidModelError(f"pair has shape {pair.shape}; ({mdp.n_states},) expected")
        validate.require(
            (ptr[:-1] <= pair) & (pair < ptr[1:]),
            lambda s: f"pair {pair[s]} does not belong to state {s}",
            "State s owns the pairs state_ptr[s] <= k < state_ptr[s+1].",
            unit="states",
        )
        return cls(pair, mdp.action_id[pair])

    @classmethod
    def from_actions(cls, mdp: TabularMDP, action: ArrayLike, h: int = 0) -> DeterministicPolicy:
        """Build from action identifiers, checking that each is admissible at step h."""
        action = validate.frozen(action, np.int32, "action")
        ptr = mdp.layer(h).state_ptr
        if action.shape != (mdp.n_states,):
            raise InvalidModelError(f"action has shape {action.shape}; ({mdp.n_states},) expected")
        owner = np.repeat(np.arange(mdp.n_states), np.diff(ptr))
        chosen = np.flatnonzero(mdp.action_id[ptr[0] : ptr[-1]] == action[owner])
        pair = np.full(mdp.n_states, -1, dtype=np.int32)
        pair[owner[chosen]] = ptr[0] + chosen
        validate.require(
            pair >= 0,
            lambda s: f"action {action[s]} is not admissible in state {s}",
            "mdp.actions(s) lists those that are.",
            unit="states",
        )
        return cls(pair, action)

    def probs(self, s: int, h: int = 0) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the one action of state s, with probability one."""
        return self.action[s : s + 1], np.ones(1)

    def act(self, s: Any, rng: np.random.Generator, h: int = 0) -> NDArray[np.int32]:
        """Return the action of each entry of s; `rng` is not used."""
        return self.action[s]

    def pairs(self, s: Any, rng: np.random.Generator, h: int = 0) -> NDArray[np.int32]:
        """Return the pair of each entry of s; `rng` is not used."""
        return self.pair[s]

    def weights(self, mdp: TabularMDP, h: int = 0) -> NDArray[np.float64]:
        """Return the (K,) indicator of the chosen pairs."""
        weight = np.zeros(mdp.n_pairs)
        weight[self.pair] = 1.0
        return weight

    def __repr__(self) -> str:
        return f"DeterministicPolicy(action={np.array2string(self.action, threshold=12)})"


@dataclass(frozen=True, eq=False)
class StochasticPolicy:
    """A distribution over the admissible actions of each state.

    Parameters
    ----------
    weight : (K,) float64
        Probability of each pair in its state.
    state_ptr : (S+1,) int32, or (H*S+1,)
        First pair of each state, as in the model; with kernels per step, of each step and state.
    action_id : (K,) int32
        Action of each pair, as in the model.
    n_states : int, optional
        Number of states S, needed with kernels per step only.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> StochasticPolicy.uniform(mdp).probs(0)
    (array([0, 1], dtype=int32), array([0.5, 0.5]))
    """

    weight: NDArray[np.float64]
    state_ptr: NDArray[np.int32]
    action_id: NDArray[np.int32]
    n_states: int | None = None

    def __post_init__(self):
        weight = validate.frozen(self.weight, np.float64, "weight")
        ptr = validate.frozen(self.state_ptr, np.int32, "state_ptr")
        action = validate.frozen(self.action_id, np.int32, "action_id")
        for name, array in (("weight", weight), ("state_ptr", ptr), ("action_id", action)):
            object.__setattr__(self, name, array)
        if weight.shape != action.shape:
            raise InvalidModelError(
                f"weight has shape {weight.shape}; {action.shape}, one per pair, expected"
            )
        validate.pointers(ptr, weight.size, "state_ptr", "weight", strict=True)
        if self.n_states is None:
            object.__setattr__(self, "n_states", ptr.size - 1)
        elif self.n_states < 1 or (ptr.size - 1) % self.n_states:
            raise InvalidModelError(
                f"state_ptr describes {ptr.size - 1} states, which is no multiple of "
                f"n_states = {self.n_states}"
            )
        validate.require(
            np.isfinite(weight) & (weight >= 0),
            lambda k: f"weight[{k}] is {weight[k]}",
            "Probabilities are finite and at least 0.",
        )
        with np.errstate(over="ignore"):
            sums = np.add.reduceat(weight, ptr[:-1])
        validate.require(
            np.abs(sums - 1) <= validate.ROW_SUM_TOLERANCE,
            lambda s: f"the weights of state {s} sum to {sums[s]:.12g}",
            "Divide them by their sum if the excess is rounding.",
            unit="states",
        )

    @classmethod
    def uniform(cls, mdp: TabularMDP) -> StochasticPolicy:
        """Choose uniformly among the admissible actions of each state."""
        return cls.from_weights(
            mdp, 1.0 / np.repeat(np.diff(mdp.state_ptr), np.diff(mdp.state_ptr))
        )

    @classmethod
    def from_weights(cls, mdp: TabularMDP, weight: ArrayLike) -> StochasticPolicy:
        """Build from one probability per pair of `mdp`."""
        weight = validate.frozen(weight, np.float64, "weight")
        return cls(weight, mdp.state_ptr, mdp.action_id, mdp.n_states)

    def _row(self, s: Any, h: int) -> Any:
        """Row of `state_ptr` that holds state s at step h."""
        rows, S = self.state_ptr.size - 1, self.n_states or 1
        if rows == S:
            return s
        if not 0 <= h < rows // S:
            raise InvalidModelError(f"step {h} is outside the horizon 0..{rows // S - 1}")
        return np.asarray(s) + h * S

    def probs(self, s: int, h: int = 0) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the admissible actions of state s at step h and their probabilities."""
        row = self._row(s, h)
        pairs = slice(self.state_ptr[row], self.state_ptr[row + 1])
        return self.action_id[pairs], self.weight[pairs]

    def pairs(self, s: Any, rng: np.random.Generator, h: int = 0) -> NDArray[np.int32]:
        """Draw one pair for each entry of s, by inversion of the distribution function."""
        s = np.atleast_1d(s)
        if s.size and not 0 <= s.min() <= s.max() < (self.n_states or 1):
            raise InvalidModelError(f"a state is outside 0..{(self.n_states or 1) - 1}")
        row = np.ascontiguousarray(self._row(s.ravel(), h))
        out = np.empty(row.size, dtype=np.int32)
        _kernels.simulation.draw(self.state_ptr, self.weight, row, rng.random(row.size), out)
        return out.reshape(s.shape)

    def act(self, s: Any, rng: np.random.Generator, h: int = 0) -> NDArray[np.int32]:
        """Draw one action for each entry of s."""
        return self.action_id[self.pairs(s, rng, h)]

    def weights(self, mdp: TabularMDP, h: int = 0) -> NDArray[np.float64]:
        """Return the (K,) probabilities."""
        if self.weight.size != mdp.n_pairs:
            raise InvalidModelError(
                f"the policy has {self.weight.size} pairs and the model {mdp.n_pairs}; it belongs "
                "to another model"
            )
        return self.weight

    def __repr__(self) -> str:
        return f"StochasticPolicy({self.weight.size} pairs on {self.state_ptr.size - 1} states)"


@dataclass(frozen=True, eq=False)
class MarkovPolicy:
    """One policy per step of a finite horizon.

    Parameters
    ----------
    steps : tuple of H policies
        The policy used at step h.

    Examples
    --------
    >>> import numpy as np
    >>> now, later = (DeterministicPolicy(np.array([k]), np.array([k])) for k in (1, 0))
    >>> MarkovPolicy((now, later)).probs(0, h=1)
    (array([0], dtype=int32), array([1.]))
    """

    steps: tuple[DeterministicPolicy | StochasticPolicy, ...]

    def at(self, h: int) -> DeterministicPolicy | StochasticPolicy:
        """Return the policy of step h, or raise `InvalidModelError` outside the horizon."""
        if not 0 <= h < len(self.steps):
            raise InvalidModelError(f"step {h} is outside the horizon 0..{len(self.steps) - 1}")
        return self.steps[h]

    def probs(self, s: int, h: int = 0) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the actions of state s at step h and their probabilities."""
        return self.at(h).probs(s, h)

    def act(self, s: Any, rng: np.random.Generator, h: int = 0) -> NDArray[np.int32]:
        """Draw one action for each entry of s at step h."""
        return self.at(h).act(s, rng, h)

    def pairs(self, s: Any, rng: np.random.Generator, h: int = 0) -> NDArray[np.int32]:
        """Draw one pair for each entry of s at step h."""
        return self.at(h).pairs(s, rng, h)

    def weights(self, mdp: TabularMDP, h: int = 0) -> NDArray[np.float64]:
        """Return the probability of each pair at step h."""
        return self.at(h).weights(mdp, h)

    def __repr__(self) -> str:
        return f"MarkovPolicy({len(self.steps)} steps)"
