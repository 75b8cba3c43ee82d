r"""Which states can, must or need not reach which: the graph of a model, without numbers.

Problem       Everything that depends only on which probabilities are positive: strong
              components, states that reach a target with probability 0 or 1 under some or all
              policies, maximal end components and the model in which these are collapsed.
Algorithm     A state has maximal probability 0 if no path leads to the target; minimal
              probability 0 unless it lies in the attractor: the least set that holds the target
              and each state all of whose pairs may enter the set. Minimal probability 1: no path
              that avoids the target leads to minimal probability 0. Maximal probability 1: the
              greatest set X from each state of which a path leads to the target by pairs that
              surely stay in X. End components: drop the pairs that may leave their strong
              component until nothing changes, looking again only at components that lost a pair.
Guarantee     Exact; a stored probability of 0 is no transition. All readings of a model (see
              `mdplib.undiscounted`) have the same graph.
Cost          O(nnz) per pass. One pass each, except for maximal probability 1 and end components,
              whose number of passes is at most S, and small unless components are nested deeply.
Deviations    Targets count as absorbing: what happens after the first visit is ignored.
References    Tarjan (1972); de Alfaro (1997), chapters 3 and 4; Baier and Katoen (2008),
              section 10.6.

Every function takes any model with the ragged arrays `state_ptr`, `indptr`, `indices`, `data` of
one step: `UndiscountedMDP`, `LabelledMDP`, and `TabularMDP` unless its kernels change with the
step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels
from mdplib.errors import InvalidModelError, NotApplicableError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


class Ragged(Protocol):
    """The arrays of a model that this module reads; see `UndiscountedMDP`."""

    @property
    def state_ptr(self) -> Ints:
        """Pairs of each state, (S+1)."""
        ...

    @property
    def indptr(self) -> Ints:
        """Transitions of each pair, (K+1)."""
        ...

    @property
    def indices(self) -> Ints:
        """Successor of each transition."""
        ...

    @property
    def data(self) -> Floats:
        """Probability of each transition."""
        ...

    @property
    def n_states(self) -> int:
        """Number of states S."""
        ...


@dataclass(frozen=True, eq=False)
class Quotient:
    """A model in which sets of states are collapsed into one.

    Parameters
    ----------
    state_ptr, indptr, indices, data : arrays
        Rows over blocks. A block may have no pair. Successors of a row that fall into the same
        block are listed one by one, not added up, so no number is rounded.
    block : (S,) int32
        Block of each state of the original model.
    pair : (K',) int32
        Original number of each pair.
    """

    state_ptr: Ints
    indptr: Ints
    indices: Ints
    data: Floats
    block: Ints
    pair: Ints

    @property
    def n_states(self) -> int:
        """Number of blocks."""
        return self.state_ptr.size - 1


@dataclass(frozen=True, eq=False)
class _Edges:
    """Transitions that count, forwards and backwards."""

    edge: Bools
    back_ptr: Ints
    back: Ints
    pair_state: Ints


def _forwards(mdp: Ragged, pairs: Bools | None) -> Bools:
    if mdp.state_ptr.size != mdp.n_states + 1:
        raise NotApplicableError(
            "graph analysis needs one kernel for all steps and the model has one per step"
        )
    edge = mdp.data > 0
    if pairs is not None:
        _mask(pairs, mdp.indptr.size - 1, "pairs")
        edge &= np.repeat(pairs, np.diff(mdp.indptr))
    return edge


def _edges(mdp: Ragged, pairs: Bools | None = None) -> _Edges:
    edge = _forwards(mdp, pairs)
    S = mdp.n_states
    back_ptr = np.empty(S + 1, dtype=np.int32)
    back = np.empty(int(np.count_nonzero(edge)), dtype=np.int32)
    _kernels.graph.predecessors(mdp.indptr, mdp.indices, edge, back_ptr, back)
    states = np.arange(S, dtype=np.int32)
    return _Edges(edge, back_ptr, back, np.repeat(states, np.diff(mdp.state_ptr)))


def _mask(values: Bools, size: int, name: str) -> Bools:
    if not (isinstance(values, np.ndarray) and values.dtype == bool and values.shape == (size,)):
        raise InvalidModelError(f"{name} must be a boolean array of shape ({size},)")
    return values


def strong_components(mdp: Ragged, pairs: Bools | None = None) -> tuple[int, Ints]:
    """Find the strongly connected components.

    Parameters
    ----------
    mdp : model
        The model.
    pairs : (K,) bool, optional
        Pairs that count; all by default.

    Returns
    -------
    count : int
        Number of components.
    label : (S,) int32
        Component of each state. A transition never leads to a component of a higher number: in
        the order of the numbers, successors come first.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.9)
    >>> strong_components(mdp)
    (2, array([1, 0], dtype=int32))
    """
    edge = _forwards(mdp, pairs)
    label = np.full(mdp.n_states, -1, dtype=np.int32)
    count = _kernels.graph.components(mdp.state_ptr, mdp.indptr, mdp.indices, edge, label)
    return int(count), label


def reachable(mdp: Ragged, start: Bools, pairs: Bools | None = None) -> Bools:
    """Return the states that some path from `start` visits, `start` included; (S,) bool.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.9)
    >>> reachable(mdp, np.array([False, True]))
    array([False,  True])
    """
    seen = _mask(start, mdp.n_states, "start").copy()
    edge = _forwards(mdp, pairs)
    _kernels.graph.forward(mdp.state_ptr, mdp.indptr, mdp.indices, edge, seen)
    return seen


def towards(
    mdp: Ragged, target: Bools, pairs: Bools | None = None, avoid: Bools | None = None
) -> tuple[Ints, Ints]:
    """Find shortest paths to a set of states.

    Parameters
    ----------
    mdp : model
        The model.
    target : (S,) bool
        Where to go.
    pairs : (K,) bool, optional
        Pairs that may be used; all by default.
    avoid : (S,) bool, optional
        States that no path may start in or pass through.

    Returns
    -------
    distance : (S,) int32
        Least number of transitions, -1 where there is no path.
    pair : (S,) int32
        A pair with a successor one nearer; -1 in the target and where there is no path. If all
        successors of `pairs` have paths too, the policy of these pairs reaches the target with
        probability one.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.9)
    >>> towards(mdp, np.array([False, True]))
    (array([1, 0], dtype=int32), array([ 0, -1], dtype=int32))
    """
    distance = np.where(_mask(target, mdp.n_states, "target"), 0, -1).astype(np.int32)
    step = np.full(mdp.n_states, -1, dtype=np.int32)
    edges = _edges(mdp, pairs)
    allowed = np.ones(mdp.indptr.size - 1, dtype=bool)
    stop = np.zeros(mdp.n_states, dtype=bool) if avoid is None else avoid.copy()
    _kernels.graph.backward(
        edges.back_ptr, edges.back, edges.pair_state, allowed, stop, distance, step
    )
    return distance, step


def can_reach(
    mdp: Ragged, target: Bools, pairs: Bools | None = None, avoid: Bools | None = None
) -> Bools:
    """Return the states from which some path leads to `target`, itself included; (S,) bool.

    `pairs` and `avoid` are those of `towards`.
    """
    return towards(mdp, target, pairs, avoid)[0] >= 0


def prob0_max(mdp: Ragged, target: Bools) -> Bools:
    """Return the states that no policy leads to `target`; (S,) bool."""
    return ~can_reach(mdp, target)


def prob0_min(mdp: Ragged, target: Bools) -> Bools:
    """Return the states from which some policy surely avoids `target`; (S,) bool.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> P = [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]
    >>> prob0_min(TabularMDP.from_dense(P, np.zeros((2, 2)), 0.9), np.array([False, True]))
    array([ True, False])
    """
    hit = _mask(target, mdp.n_states, "target").copy()
    edges = _edges(mdp)
    _kernels.graph.avoidable(edges.back_ptr, edges.back, edges.pair_state, mdp.state_ptr, hit)
    return ~hit


def prob1_min(mdp: Ragged, target: Bools) -> Bools:
    """Return the states from which every policy reaches `target` with probability one."""
    return ~can_reach(mdp, prob0_min(mdp, target), avoid=target)


def prob1_max(mdp: Ragged, target: Bools, pairs: Bools | None = None) -> Bools:
    """Return the states from which some policy of `pairs` reaches `target` with probability one.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> P = [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]
    >>> prob1_max(TabularMDP.from_dense(P, np.zeros((2, 2)), 0.9), np.array([False, True]))
    array([ True,  True])
    """
    gone = np.zeros(mdp.n_states, dtype=bool)
    _mask(target, mdp.n_states, "target")
    edges = _edges(mdp, pairs)
    allowed = np.ones(mdp.indptr.size - 1, dtype=bool) if pairs is None else pairs.copy()
    _kernels.graph.almost_sure(
        edges.back_ptr, edges.back, edges.pair_state, allowed, target.copy(), gone
    )
    return ~gone


def staying(mdp: Ragged, states: Bools) -> Bools:
    """Return the pairs of `states` all of whose successors lie in `states`; (K,) bool."""
    _mask(states, mdp.n_states, "states")
    leaving = ~states[mdp.indices] & (mdp.data > 0)
    return np.repeat(states, np.diff(mdp.state_ptr)) & (
        np.add.reduceat(leaving, mdp.indptr[:-1], dtype=np.int32) == 0
    )


def maximal_end_components(mdp: Ragged, pairs: Bools | None = None) -> tuple[Ints, Bools]:
    """Find the maximal end components: sets of states that a policy can roam for ever.

    Parameters
    ----------
    mdp : model
        The model.
    pairs : (K,) bool, optional
        Pairs that may be used; all by default.

    Returns
    -------
    label : (S,) int32
        Number of the component of each state, -1 outside all of them.
    inside : (K,) bool
        The pairs that stay inside their component.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.9)
    >>> maximal_end_components(mdp)
    (array([-1,  0], dtype=int32), array([False,  True]))
    """
    edges = _edges(mdp, pairs)
    n_pairs = mdp.indptr.size - 1
    inside = np.ones(n_pairs, dtype=bool) if pairs is None else pairs.copy()
    label = np.empty(mdp.n_states, dtype=np.int32)
    _kernels.graph.end_components(
        mdp.state_ptr, mdp.indptr, mdp.indices, edges.edge, edges.back_ptr, edges.back,
        edges.pair_state, inside, label,
    )  # fmt: skip
    return label, inside


def quotient(mdp: Ragged, label: Ints, inside: Bools, sets: int = 0) -> Quotient:
    """Collapse sets of states into one block each.

    Parameters
    ----------
    mdp : model
        The model.
    label : (S,) int32
        Number of the set that each state belongs to, from 0 without gaps; -1 for states that
        remain by themselves.
    inside : (K,) bool
        Pairs to leave out.
    sets : int
        Least number of sets; those without a state become blocks without pairs.

    Returns
    -------
    Quotient
        Sets first, in the order of their numbers, then the other states in order.
    """
    alone = label < 0
    sets = max(sets, int(label.max(initial=-1)) + 1)
    block = np.where(alone, sets + np.cumsum(alone) - 1, label).astype(np.int32)
    owner = np.repeat(block, np.diff(mdp.state_ptr))
    kept = np.flatnonzero(~inside)
    pair = kept[np.argsort(owner[kept], kind="stable")].astype(np.int32)
    n_blocks = sets + int(np.count_nonzero(alone))
    state_ptr = np.searchsorted(owner[pair], np.arange(n_blocks + 1)).astype(np.int32)
    indptr, place = take_rows(mdp.indptr, pair)
    return Quotient(state_ptr, indptr, block[mdp.indices[place]], mdp.data[place], block, pair)


def take_rows(indptr: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return the pointers of the chosen rows, and the old positions of their entries."""
    first = indptr[rows]
    length = indptr[rows + 1] - first
    new = np.zeros(rows.size + 1, dtype=np.int32)
    np.cumsum(length, out=new[1:])
    place = np.repeat(first - new[:-1], length) + np.arange(new[-1], dtype=np.int32)
    return new, place
