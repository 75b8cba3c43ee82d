r"""From the gains of the end components to the gain of every state.

Problem       Each maximal end component has a gain within proven bounds; a policy that ends in
              component m earns its gain. Find bounds on the best expected gain of every state,
              and a policy that attains it.
Algorithm     Every component becomes one node with the extra choice to stay; then, from below
              and from above,

                  ``x <- max(stay, max_k P_k x)``                                           (1)

              moved outwards by its rounding error. Where that is slow, policy iteration finds x,
              and with t the expected number of steps until the stay,

                  ``x - e t``, ``x + e t``                                                  (2)

              are taken as bounds if a backup does not lower the one nor raise the other.
Guarantee     The quotient has no end component besides the stays, so every policy ends in one;
              (1) is monotone, and both sequences stay on their side of the fixed point. The
              policy changes a choice only where the lower bound rises, so its value is at
              least the lower bound. (2) is checked, not believed: a vector that its policy's
              backup does not lower is a lower bound, one that no backup raises an upper bound.
Cost          O(nnz outside the components) per sweep.
Deviations    The rows of the model are kept; only their successors are renamed, so that merging
              probabilities adds no rounding.
References    de Alfaro (1997); Haddad and Monmege (2018); Ashok et al. (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib import graphs, operators
from mdplib.tabular import TabularMDP
from mdplib.undiscounted import UndiscountedMDP

Floats = NDArray[np.float64]
Ints = NDArray[Any]  # of any width
Bools = NDArray[np.bool_]
_QUIET = 50  # sweeps without progress after which rounding is blamed
_GUESS = 32  # sweeps before (2) is tried, and again after eight times as many
_ROUNDS = 40  # of policy iteration
_AFFORDABLE = 50_000  # nodes up to which linear systems are factorised


@dataclass(frozen=True, eq=False)
class Part:
    """The pairs inside the end components as a model of its own.

    Parameters
    ----------
    mdp : TabularMDP
        One step; components one after the other.
    start : (M,) int
        First state of each component.
    state, pair : (n,), (k,) int
        Numbers of states and pairs in the whole model.
    label : (S,) int
        Component of each state of the whole model, -1 outside.
    inside : (K,) bool
        Pairs that stay in their component.
    """

    mdp: TabularMDP
    start: Ints
    state: Ints
    pair: Ints
    label: Ints
    inside: Bools


@dataclass(frozen=True, eq=False)
class Way:
    """Bounds on the gain of every state, and the choices outside and out of the components.

    Parameters
    ----------
    lower, upper : (S,) float64
        Proven bounds.
    choice : (N,) int
        Chosen pair of each node of the quotient, -1 for staying.
    node : (S,) int
        Node of each state: its component, or a number of its own.
    converged : bool
        Whether narrower bounds of the components could narrow these.
    sweeps : int
        Effort.
    """

    lower: Floats
    upper: Floats
    choice: Ints
    node: Ints
    converged: bool
    sweeps: int


def restrict(mdp: UndiscountedMDP, label: Ints, inside: Bools, reward: Floats) -> Part:
    """Build the model of the pairs inside the components."""
    state: Ints = np.flatnonzero(label >= 0)
    state = state[np.argsort(label[state], kind="stable")]
    number = np.full(mdp.n_states, -1)
    number[state] = np.arange(state.size)
    _, pair = graphs.take_rows(mdp.state_ptr, state)
    pair = pair[inside[pair]]
    counts = np.bincount(number[mdp.pair_state[pair]], minlength=state.size)
    ptr, entries = graphs.take_rows(mdp.indptr, pair)
    real = mdp.data[entries] > 0
    ptr = np.concatenate([[0], np.cumsum(real)])[ptr]
    entries = entries[real]
    rows = np.repeat(np.arange(pair.size), np.diff(ptr))
    successor = number[mdp.indices[entries]]
    order = np.lexsort((successor, rows))
    model = TabularMDP(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        ptr.astype(np.int32),
        successor[order].astype(np.int32),
        mdp.data[entries[order]],
        reward[pair],
        mdp.action_id[pair],
        horizon=1,
        gamma=1.0,
    )
    start = np.flatnonzero(np.diff(label[state], prepend=-1))
    return Part(model, start, state, pair, label, inside)


def steer(
    mdp: UndiscountedMDP,
    part: Part,
    lower: Floats,
    upper: Floats,
    stop: Callable[[Floats, Floats, int], bool],
) -> Way:
    """Bound the best expected gain of every state.

    Parameters
    ----------
    mdp : UndiscountedMDP
        The whole model.
    part : Part
        Its end components.
    lower, upper : (M,) float64
        Bounds on their gains.
    stop : callable
        ``stop(lower, upper, sweeps)`` ends the iteration.
    """
    S, M = mdp.n_states, lower.size
    if M == 1:
        choice = np.array([-1])
        return Way(np.full(S, lower[0]), np.full(S, upper[0]), choice, np.zeros(S, int), True, 0)
    quotient = _Quotient(mdp, part.label, part.inside, M)
    node = quotient.node
    low, high = np.full(quotient.size, lower.min()), np.full(quotient.size, upper.max())
    low[:M] = lower
    row = np.concatenate([np.full(M, -1), quotient.first()])
    quiet, sweeps, width, guess = 0, 0, np.inf, _GUESS
    while not stop(low[node], high[node], sweeps) and quiet < _QUIET:
        value, best = quotient.backup(low, -1)
        rises = value > low
        low[rises], row[rises] = value[rises], best[rises]  # (1)
        value, _ = quotient.backup(high, +1)
        value[:M] = np.maximum(value[:M], upper)
        high = np.minimum(high, value)  # (1)
        sweeps += 1
        if sweeps == guess and quotient.size <= _AFFORDABLE:
            guess *= 8
            low, row = quotient.from_below(low, row, lower)
            high = quotient.from_above(high, row, upper)
        now = float((high - low).max())
        quiet, width = (0, now) if now < width else (quiet + 1, width)
    converged = width <= 4 * float((upper - lower).max()) + 1e-9 * float(np.abs(high).max())
    choice = np.where(row >= 0, quotient.pair[row], -1) if quotient.pair.size else row
    return Way(low[node], high[node], choice, node, converged, sweeps)


class _Quotient:
    """The pairs outside and out of the components, by node."""

    def __init__(self, mdp: UndiscountedMDP, label: Ints, inside: Bools, count: int):
        found = graphs.quotient(mdp, label, inside)
        self.node, self.pair, self.count = found.block, found.pair, count
        self.size = found.state_ptr.size - 1
        self.ptr, self.data, self.successor = found.indptr, found.data, found.indices
        self.owners = np.flatnonzero(np.diff(found.state_ptr))
        self.begin = found.state_ptr[self.owners]
        self.error = 1.02 * operators.UNIT * (3 * mdp.max_successors + 12)

    def first(self) -> Ints:
        """Return the first row of each node outside the components."""
        return self.begin[self.owners >= self.count]

    def products(self, x: Floats, side: int) -> Floats:
        """Return P_k x of every row, moved to one side by its error."""
        q = np.add.reduceat(self.data * x[self.successor], self.ptr[:-1])
        return q + side * (self.error * float(np.abs(x).max()) + 2.0**-1060)

    def backup(self, x: Floats, side: int) -> tuple[Floats, Ints]:
        """Return max_k P_k x per node, moved to one side by its error, and a maximising row."""
        value, best = np.full(self.size, -np.inf), np.full(self.size, -1)
        if self.pair.size:
            q = self.products(x, side)
            top = np.maximum.reduceat(q, self.begin)
            value[self.owners] = top
            sizes = np.diff(self.begin, append=self.pair.size)
            hits = np.flatnonzero(q == np.repeat(top, sizes))[::-1]
            best[np.repeat(self.owners, sizes)[hits]] = hits
        return value, best

    def evaluate(self, row: Ints, right: Floats) -> Floats:
        """Solve ``x = right + P x`` under the chosen rows; nodes that stay have none."""
        import scipy.sparse as sp
        from scipy.sparse.linalg import splu

        goes = np.flatnonzero(row >= 0)
        ptr, place = graphs.take_rows(self.ptr, row[goes])
        at = np.repeat(goes, np.diff(ptr))
        shape = (self.size, self.size)
        P = sp.coo_array((self.data[place], (at, self.successor[place])), shape=shape)
        return splu(sp.csc_array(sp.eye_array(self.size) - P)).solve(right)

    def improve(self, row: Ints, stay: Floats) -> tuple[Ints, Floats, Floats]:
        """Return the rows of a better policy, its value, and twice its error per step (2)."""
        row = row.copy()
        stays = np.full(self.size, -np.inf)
        stays[: self.count] = stay
        for _ in range(_ROUNDS):
            x = self.evaluate(row, np.where(row < 0, stays, 0.0))
            value, best = self.backup(x, 0)
            gain = 1e-12 * float(np.abs(x).max())
            back, out = stays > np.maximum(x, value) + gain, value > np.maximum(x, stays) + gain
            row[back], row[out] = -1, best[out]
            if not (back | out).any():
                break
        off = np.where(row < 0, 0.0, self.products(x, 0)[row] - x)
        unit = 2 * float(np.abs(off).max()) + 4 * self.error * float(np.abs(x).max())
        return row, x, unit * self.evaluate(row, np.ones(self.size))

    def from_below(self, low: Floats, row: Ints, stay: Floats) -> tuple[Floats, Ints]:
        """Return a better lower bound and its policy, if (2) proves one."""
        found, x, room = self.improve(row, stay)
        guess = x - room
        least = np.where(found < 0, np.inf, self.products(guess, -1)[found])
        least[: self.count] = np.where(found[: self.count] < 0, stay, least[: self.count])
        proven = bool((least >= guess).all()) and float((guess - low).min()) >= -room.max()
        return (guess, found) if proven else (low, row)  # (2)

    def from_above(self, high: Floats, row: Ints, stay: Floats) -> Floats:
        """Return a better upper bound, if (2) proves one."""
        _, x, room = self.improve(row, stay)
        guess = x + room
        value, _ = self.backup(guess, +1)
        value[: self.count] = np.maximum(value[: self.count], stay)
        return np.minimum(high, guess) if bool((value <= guess).all()) else high  # (2)


def policy(
    mdp: UndiscountedMDP, part: Part, stay: NDArray[np.int32], way: Way
) -> NDArray[np.int32]:
    """Return the pair of every state: stay, leave through the chosen pair, or go to its state."""
    found = np.asarray(mdp.state_ptr[:-1], dtype=np.int32).copy()
    found[part.state] = part.pair[stay]
    if way.choice.size == 1:
        return found
    chosen = way.choice[way.node]
    outside = part.label < 0
    found[outside] = chosen[outside]
    leaving = np.flatnonzero(~outside & (chosen >= 0))
    if leaving.size:
        _route(mdp, part, found, leaving, chosen)
    return found


def _route(mdp, part: Part, found: NDArray[np.int32], leaving: Ints, chosen: Ints) -> None:
    """Lead the states of components that are left to the state of the chosen pair."""
    gate = np.zeros(mdp.n_states, dtype=bool)
    gate[mdp.pair_state[chosen[leaving]]] = True
    step = graphs.towards(mdp, gate, part.inside)[1][leaving]
    found[leaving] = np.where(gate[leaving], chosen[leaving], step)
