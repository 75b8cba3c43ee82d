r"""What the graph alone decides, and the equations that remain.

Problem       ``x_b = opt_k (r_k + sum_t p_k(t) x_t)`` has more than one solution while a policy
              can stay for ever in states without a value of their own. Find the states with
              value 0, 1 or infinity, and collapse the rest so that the solution is unique.
Algorithm     Reachability: the states of probability 0 and 1 (`mdplib.graphs`) become the two
              fixed nodes; for the maximum, the maximal end components of the others are
              collapsed, for the minimum there are none (a policy could stay there, and the
              minimum would be 0). Expected reward r >= 0, after a change of sign if r <= 0: the
              maximum is infinite outside ``prob1_min``; inside, no end component avoids the
              target. The minimum is infinite outside ``prob1_max``; inside, only pairs that stay
              there are kept, and the maximal end components of pairs with reward 0 are collapsed.
              States whose value is 0 since no reward need (minimum) or can (maximum) be met
              become fixed, too.
Guarantee     The nodes keep their values: inside a collapsed component every state reaches every
              other with probability one at no reward. In the result every policy reaches a fixed
              node with probability one, except for the minimum of rewards, where every policy
              that does not has infinite reward: it stays for ever in an end component with a
              positive reward. A policy of the result becomes one of the model by leading all
              states of a component to the one that leaves it.
Cost          A few passes over the graph.
Deviations    Rewards of both signs are accepted if every policy reaches the target with
              probability one from every state; the value is finite then.
References    de Alfaro (1997); Haddad and Monmege (2018); Baier, Klein, Leuschner, Parker and
              Wunderlich (2017); Bertsekas and Tsitsiklis (1991).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib import graphs
from mdplib.errors import NotApplicableError
from mdplib.policy import DeterministicPolicy
from mdplib.undiscounted import UndiscountedMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

ZERO, ONE, INFINITE = 0, 1, 2  # the nodes of known value
FIXED = 3  # the other nodes follow


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows over nodes without transitions from a node to itself; rewards come separately."""

    state_ptr: Ints
    indptr: Ints
    indices: Ints
    data: Floats

    @cached_property
    def away(self) -> Floats:
        """Probability of each pair to move to another node, (K,)."""
        moved = np.add.reduceat(self.data, self.indptr[:-1]) if self.data.size else self.data + 0
        moved.flags.writeable = False
        return moved

    @cached_property
    def max_successors(self) -> int:
        """Largest number of transitions of a pair."""
        return int(np.diff(self.indptr).max(initial=0))

    @property
    def n_states(self) -> int:
        """Number of nodes."""
        return self.state_ptr.size - 1

    @property
    def arrays(self) -> tuple[Ints, Ints, Ints, Floats]:
        """The arrays that kernels take."""
        return self.state_ptr, self.indptr, self.indices, self.data

    def chosen(self, choice: Ints) -> Rows:
        """Return the rows of one pair per node; nodes without pairs keep none."""
        has = np.diff(self.state_ptr) > 0
        state_ptr = np.concatenate(([0], np.cumsum(has))).astype(np.int32)
        indptr, place = graphs.take_rows(self.indptr, choice[has])
        arrays = (state_ptr, indptr, self.indices[place], self.data[place])
        for array in arrays:
            array.flags.writeable = False
        return Rows(*arrays)


@dataclass(frozen=True, eq=False)
class Reduced:
    """The undecided part of a problem, with rewards of at least 0 where they have one sign.

    Parameters
    ----------
    mdp : UndiscountedMDP
        The problem.
    maximise : bool
        Objective after the change of sign.
    sign : float
        -1 if the rewards were negated, else 1.
    state_ptr, indptr, indices, data, reward : arrays
        Rows over nodes; the first `FIXED` nodes have known values and no pairs.
    pair : (K',) int32
        Pair of the model behind each pair.
    node : (S,) int32
        Node of each state.
    start : (N,) int32
        A pair of each node such that this policy reaches a fixed node with probability one; -1
        for the fixed nodes.
    ends : (C+1,) int32
        Strong component c, successors first, holds the nodes ``FIXED + ends[c]`` to ``FIXED +
        ends[c+1] - 1``.
    inside : (K,) bool
        Pairs inside collapsed components.
    policy : (S,) int32
        An optimal pair for each state whose value the graph decides; -1 elsewhere.
    proper : bool
        Whether every policy reaches a fixed node with probability one.
    """

    mdp: UndiscountedMDP
    maximise: bool
    sign: float
    state_ptr: Ints
    indptr: Ints
    indices: Ints
    data: Floats
    reward: Floats
    pair: Ints
    node: Ints
    start: Ints
    ends: Ints
    inside: Bools
    policy: Ints
    proper: bool

    @property
    def n_states(self) -> int:
        """Number of nodes N, the fixed ones included."""
        return self.state_ptr.size - 1

    @cached_property
    def rows(self) -> Rows:
        """The rows without rewards, and without transitions from a node to itself."""
        owner = np.repeat(np.arange(self.n_states, dtype=np.int32), np.diff(self.state_ptr))
        length = np.diff(self.indptr)
        place = np.flatnonzero((self.indices != np.repeat(owner, length)) & (self.data > 0))
        pair = np.repeat(np.arange(self.pair.size), length)
        indptr = _pointers(np.bincount(pair[place], minlength=self.pair.size))
        indices, data = self.indices[place], self.data[place]
        for array in (indptr, indices, data):
            array.flags.writeable = False
        return Rows(self.state_ptr, indptr, indices, data)

    @property
    def fixed(self) -> Floats:
        """Values of the fixed nodes, 0 for the infinite one, which no pair enters; (N,)."""
        x = np.zeros(self.n_states)
        x[ONE] = 1.0 if self.mdp.criterion == "reachability" else 0.0
        return x

    @property
    def nonnegative(self) -> bool:
        """Whether all rewards are at least 0."""
        return bool((self.reward >= 0).all())

    def values(self, x: Floats) -> Floats:
        """Return values of nodes as values of the states of the model."""
        known = x.copy()
        known[INFINITE] = np.inf
        return self.sign * known[self.node] + 0.0

    def complete(self, choice: Ints) -> DeterministicPolicy:
        """Return the policy of the model behind one pair per node.

        Parameters
        ----------
        choice : (N,) int32
            Pair of each node; entries of fixed nodes are ignored.
        """
        mdp, policy = self.mdp, self.policy.copy()
        leave = self.pair[choice[FIXED:]]
        owner = mdp.pair_state[leave]
        exits = np.zeros(mdp.n_states, dtype=bool)
        exits[owner] = True
        if self.inside.any():
            inner = graphs.towards(mdp, exits, self.inside)[1]
            policy = np.where(policy < 0, inner, policy)
        policy[owner] = leave
        return DeterministicPolicy(policy, mdp.action_id[policy])


def reduce(mdp: UndiscountedMDP, solver: str) -> Reduced:
    """Decide what the graph decides.

    Raises
    ------
    NotApplicableError
        For other criteria, and for rewards of both signs where some policy may miss the target.
    """
    if mdp.criterion == "reachability":
        return _reachability(mdp)
    if mdp.criterion == "expected_reward":
        return _expected_reward(mdp)
    raise NotApplicableError(
        f"{solver} needs a target: criterion reachability or expected_reward, not {mdp.criterion}"
    )


def _reachability(mdp: UndiscountedMDP) -> Reduced:
    target = mdp.target
    assert target is not None
    maximise = mdp.objective == "max"
    policy = _first(mdp)
    reward = np.zeros(mdp.n_pairs)
    if maximise:
        one, zero = graphs.prob1_max(mdp, target), graphs.prob0_max(mdp, target)
        _, pair = graphs.towards(mdp, target, graphs.staying(mdp, one))
    else:
        zero = graphs.prob0_min(mdp, target)
        one = graphs.prob1_min(mdp, target)
        pair = _pair_in(mdp, graphs.staying(mdp, zero))
    policy = np.where((one | zero) & (pair >= 0), pair, policy).astype(np.int32)
    open_ = ~(one | zero)
    label, inside = _collapsed(mdp, graphs.staying(mdp, open_) & maximise)
    return _reduced(mdp, maximise, 1.0, reward, zero, one, open_, label, inside, policy, None)


def _expected_reward(mdp: UndiscountedMDP) -> Reduced:
    target, reward = mdp.target, mdp.reward
    assert target is not None
    assert reward is not None
    counted = np.where(np.repeat(target, np.diff(mdp.state_ptr)), 0.0, reward)
    low, high = counted.min() < 0, counted.max() > 0
    sign = -1.0 if low and not high else 1.0
    maximise = (mdp.objective == "max") == (sign > 0)
    every = graphs.prob1_min(mdp, target)
    if low and high and not every.all():
        s = int(np.argmin(every))
        raise NotApplicableError(
            "rewards of both signs need every policy to reach the target with probability one, "
            f"and from state {s} some policy does not ({np.count_nonzero(~every)} of {every.size} "
            "states); without that the total reward need not exist"
        )
    counted = sign * counted + 0.0
    if maximise or (low and high):
        return _improper_is_infinite(mdp, maximise, sign, counted, every, target)
    return _improper_is_avoided(mdp, sign, counted, target)


def _improper_is_infinite(
    mdp: UndiscountedMDP,
    maximise: bool,
    sign: float,
    reward: Floats,
    every: Bools,
    target: Bools,
) -> Reduced:
    """Reduce where all policies that matter are proper: finite values only on `every`."""
    avoid = graphs.prob0_min(mdp, target)
    stay = _pair_in(mdp, graphs.staying(mdp, avoid))
    _, astray = graphs.towards(mdp, avoid, avoid=target)
    missing = np.where(stay >= 0, stay, astray)
    paid = np.zeros(mdp.n_states, dtype=bool)
    paid[mdp.pair_state[reward != 0]] = True
    zero = target | (every & ~graphs.can_reach(mdp, paid, avoid=target))
    policy = np.where(every, np.where(zero, _first(mdp), -1), missing).astype(np.int32)
    label, inside = _collapsed(mdp, np.zeros(mdp.n_pairs, dtype=bool))
    nothing = np.zeros(mdp.n_states, dtype=bool)
    open_ = every & ~zero
    return _reduced(mdp, maximise, sign, reward, zero, nothing, open_, label, inside, policy, None)


def _improper_is_avoided(
    mdp: UndiscountedMDP, sign: float, reward: Floats, target: Bools
) -> Reduced:
    """Reduce the minimum of rewards >= 0, which only proper policies keep finite."""
    some = graphs.prob1_max(mdp, target)
    free = reward == 0
    zero = graphs.prob1_max(mdp, target, free & graphs.staying(mdp, some))
    _, rest = graphs.towards(mdp, target, free & graphs.staying(mdp, zero))
    open_ = some & ~zero
    policy = np.where(open_, -1, np.where(rest >= 0, rest, _first(mdp))).astype(np.int32)
    label, inside = _collapsed(mdp, free & graphs.staying(mdp, open_))
    nothing = np.zeros(mdp.n_states, dtype=bool)
    allowed = graphs.staying(mdp, some)
    return _reduced(mdp, False, sign, reward, zero, nothing, open_, label, inside, policy, allowed)


def _first(mdp: UndiscountedMDP) -> Ints:
    return mdp.state_ptr[:-1].copy()


def _pair_in(mdp: UndiscountedMDP, pairs: Bools) -> Ints:
    """Return one of `pairs` for each state, -1 where there is none."""
    found = np.full(mdp.n_states, -1, dtype=np.int32)
    chosen = np.flatnonzero(pairs)[::-1]
    found[mdp.pair_state[chosen]] = chosen
    return found


def _collapsed(mdp: UndiscountedMDP, pairs: Bools) -> tuple[Ints, Bools]:
    if not pairs.any():
        return np.full(mdp.n_states, -1, dtype=np.int32), pairs
    return graphs.maximal_end_components(mdp, pairs)


def _reduced(
    mdp: UndiscountedMDP,
    maximise: bool,
    sign: float,
    reward: Floats,
    zero: Bools,
    one: Bools,
    open_: Bools,
    label: Ints,
    inside: Bools,
    policy: Ints,
    allowed: Bools | None,
) -> Reduced:
    """Collapse, keep the pairs of undecided states, and find a proper policy."""
    label = np.where(label >= 0, label + FIXED, label)
    label[~open_], label[zero], label[one] = INFINITE, ZERO, ONE
    out = inside | np.repeat(~open_, np.diff(mdp.state_ptr))
    if allowed is not None:
        out |= ~allowed
    q, ends = _ordered(_without_loops(graphs.quotient(mdp, label, out, sets=FIXED)))
    policy = np.where(open_, -1, policy).astype(np.int32)
    arrays = (q.state_ptr, q.indptr, q.indices, q.data, reward[q.pair], q.pair, q.block)
    for array in (*arrays, policy):
        array.flags.writeable = False
    start = graphs.towards(q, np.arange(q.n_states) < FIXED)[1]
    return Reduced(mdp, maximise, sign, *arrays, start, ends, inside, policy, allowed is None)


def _without_loops(q: graphs.Quotient) -> graphs.Quotient:
    """Drop pairs that never leave their node: no policy that reaches a fixed node uses them."""
    if q.pair.size == 0:
        return q
    owner = np.repeat(np.arange(q.n_states, dtype=np.int32), np.diff(q.state_ptr))
    moves = (q.indices != np.repeat(owner, np.diff(q.indptr))) & (q.data > 0)
    useful = np.add.reduceat(moves, q.indptr[:-1], dtype=np.int32) > 0
    if useful.all():
        return q
    indptr, place = graphs.take_rows(q.indptr, np.flatnonzero(useful).astype(np.int32))
    state_ptr = _pointers(np.bincount(owner[useful], minlength=q.n_states))
    return graphs.Quotient(
        state_ptr, indptr, q.indices[place], q.data[place], q.block, q.pair[useful]
    )


def _pointers(length: NDArray[Any]) -> Ints:
    return np.concatenate(([0], np.cumsum(length))).astype(np.int32)


def sweep_order(rows: graphs.Ragged, fixed: Bools) -> tuple[Ints, Ints]:
    """Order the nodes by components, successors first, then by distance to the fixed nodes.

    Returns
    -------
    order : (n,) int32
        The nodes that are not fixed.
    ends : (C+1,) int32
        Component c is ``order[ends[c] : ends[c+1]]``.
    """
    distance = graphs.towards(rows, fixed)[0]
    _, label = graphs.strong_components(rows)
    nodes = np.flatnonzero(~fixed)
    order = nodes[np.lexsort((distance[nodes], label[nodes]))].astype(np.int32)
    first = np.flatnonzero(np.diff(label[order], prepend=-1)) if nodes.size else nodes
    return order, np.append(first, nodes.size).astype(np.int32)


def _ordered(q: graphs.Quotient) -> tuple[graphs.Quotient, Ints]:
    """Renumber the nodes in the order of sweeps, so that neighbours lie near in memory."""
    order, ends = sweep_order(q, np.arange(q.n_states) < FIXED)
    order = np.concatenate((np.arange(FIXED), order)).astype(np.int32)
    number = np.empty(q.n_states, dtype=np.int32)
    number[order] = np.arange(q.n_states, dtype=np.int32)
    state_ptr, pairs = graphs.take_rows(q.state_ptr, order)
    indptr, place = graphs.take_rows(q.indptr, pairs)
    moved = graphs.Quotient(
        state_ptr, indptr, number[q.indices[place]], q.data[place], number[q.block], q.pair[pairs]
    )
    return moved, ends
