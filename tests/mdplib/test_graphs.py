"""Graph analysis against definitions: every policy, every subset, written without the library."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from mdplib import LabelledMDP, TabularMDP, graphs
from mdplib._kernels import graph as kernels
from mdplib.errors import InvalidModelError, NotApplicableError
from tests.mutation import mutant

problem: Any = LabelledMDP  # takes lists too

# A model here is a list over states of lists over pairs of dicts successor -> probability.


def random_rows(rng, n_states: int, n_actions: int = 2):
    rows = []
    for _ in range(n_states):
        pairs = []
        for _ in range(rng.integers(1, n_actions + 1)):
            width = int(rng.integers(1, min(3, n_states) + 1))
            support = sorted(rng.choice(n_states, width, replace=False).tolist())
            pairs.append(dict.fromkeys(support, 1.0 / width))
        rows.append(pairs)
    return rows


def build(rows) -> LabelledMDP:
    state_ptr, indptr, indices, data, action = [0], [0], [], [], []
    for pairs in rows:
        for a, row in enumerate(pairs):
            indices += sorted(row)
            data += [row[t] for t in sorted(row)]
            indptr.append(len(indices))
            action.append(a)
        state_ptr.append(len(action))
    return problem(state_ptr, indptr, indices, data, action)


def closure(successors, start: set[int]) -> set[int]:
    seen, stack = set(start), list(start)
    while stack:
        for t in successors[stack.pop()]:
            if t not in seen:
                seen.add(t)
                stack.append(t)
    return seen


def by_enumeration(rows, target: set[int]):
    """Sets of states with max/min reach probability 0/1, by running through all policies."""
    S = len(rows)
    zero, one = [], []
    for choice in itertools.product(*(range(len(pairs)) for pairs in rows)):
        chain = [set() if s in target else set(rows[s][a]) for s, a in enumerate(choice)]
        miss = {s for s in range(S) if not closure(chain, {s}) & target}
        zero.append(miss)
        one.append({s for s in range(S) if not closure(chain, {s}) & miss})
    return {
        "prob0_max": set.intersection(*zero),
        "prob0_min": set.union(*zero),
        "prob1_max": set.union(*one),
        "prob1_min": set.intersection(*one),
    }


def end_components(rows) -> set[frozenset[int]]:
    S, found = len(rows), []
    for size in range(1, S + 1):
        for T in itertools.combinations(range(S), size):
            inside = [[row for row in rows[s] if set(row) <= set(T)] for s in range(S)]
            edges = [set().union(*inside[s]) if s in T else set() for s in range(S)]
            if all(inside[s] for s in T) and all(closure(edges, {s}) == set(T) for s in T):
                found.append(frozenset(T))
    return {T for T in found if not any(other > T for other in found)}


def mask(S: int, states) -> np.ndarray:
    found = np.zeros(S, dtype=bool)
    found[list(states)] = True
    return found


def cases(count: int = 120):
    rng = np.random.default_rng(20)
    for _ in range(count):
        rows = random_rows(rng, int(rng.integers(1, 7)))
        size = int(rng.integers(0, min(3, len(rows) + 1)))
        yield rows, set(rng.choice(len(rows), size, replace=False).tolist())


def disagreements(module) -> set[str]:
    wrong = set()
    for rows, target in cases():
        mdp, wanted = build(rows), by_enumeration(rows, target)
        for name, states in wanted.items():
            found = getattr(module, name)(mdp, mask(len(rows), target))
            if set(np.flatnonzero(found).tolist()) != states:
                wrong.add(name)
        label, inside = module.maximal_end_components(mdp)
        groups = {frozenset(np.flatnonzero(label == i).tolist()) for i in range(label.max() + 1)}
        if groups != end_components(rows):
            wrong.add("maximal_end_components")
        same = [
            label[mdp.indices[mdp.indptr[k] : mdp.indptr[k + 1]]] == label[s]
            for s in range(len(rows))
            for k in range(mdp.state_ptr[s], mdp.state_ptr[s + 1])
        ]
        owner = np.repeat(np.arange(len(rows)), np.diff(mdp.state_ptr))
        stays = np.array([bool(x.all()) for x in same]) & (label[owner] >= 0)
        if not np.array_equal(inside, stays):
            wrong.add("inside")
    return wrong


def test_sets_agree_with_all_policies_and_all_subsets():
    assert disagreements(graphs) == set()


@pytest.mark.parametrize(
    ("change", "caught"),
    [
        (("return ~can_reach(mdp, target)", "return ~reachable(mdp, target)"), "prob0_max"),
        (("return ~hit", "return ~can_reach(mdp, target)"), "prob0_min"),
        (("prob0_min(mdp, target), avoid=target)", "prob0_min(mdp, target))"), "prob1_min"),
        (("return ~gone", "return can_reach(mdp, target)"), "prob1_max"),
    ],
)
def test_broken_sets_are_caught(change, caught):
    assert caught in disagreements(mutant(graphs, change))


def test_paths_lead_nearer():
    for rows, target in cases(40):
        mdp = build(rows)
        distance, pair = graphs.towards(mdp, mask(len(rows), target))
        for s in range(len(rows)):
            steps, seen = 0, {s}
            while not seen & target and steps <= len(rows):
                seen = set().union(*(set(row) for t in seen for row in rows[t]))
                steps += 1
            assert distance[s] == (steps if seen & target else -1)
            if distance[s] > 0:
                row = rows[s][pair[s] - mdp.state_ptr[s]]
                assert min(distance[t] for t in row if distance[t] >= 0) == distance[s] - 1
            else:
                assert pair[s] == -1


def test_strong_components_come_after_their_successors():
    for rows, _ in cases(60):
        mdp = build(rows)
        count, label = graphs.strong_components(mdp)
        edges = [set().union(*map(set, pairs)) for pairs in rows]
        reach = [closure(edges, {s}) for s in range(len(rows))]
        assert set(label.tolist()) == set(range(count))
        for s, t in itertools.product(range(len(rows)), repeat=2):
            assert (label[s] == label[t]) == (t in reach[s] and s in reach[t])
            assert t not in reach[s] or label[t] <= label[s]


def test_a_mask_of_pairs_restricts_everything():
    mdp = build([[{1: 1.0}, {0: 1.0}], [{0: 1.0}]])
    only = np.array([False, True, True])
    assert graphs.strong_components(mdp, only)[0] == 2
    assert graphs.strong_components(mdp)[0] == 1
    assert graphs.reachable(mdp, mask(2, {0}), only).tolist() == [True, False]
    label, inside = graphs.maximal_end_components(mdp, only)
    assert label.tolist() == [0, -1]
    assert inside.tolist() == [False, True, False]


def test_stored_zeros_are_no_transitions():
    mdp = problem([0, 1, 2], [0, 2, 3], [0, 1, 1], [1.0, 0.0, 1.0], [0, 0])
    assert graphs.prob0_max(mdp, mask(2, {1})).tolist() == [True, False]
    assert graphs.maximal_end_components(mdp)[0].tolist() == [0, 1]
    assert graphs.staying(mdp, mask(2, {0})).tolist() == [True, False]


def test_quotient_keeps_the_rows_that_leave():
    rows = [[{1: 1.0}], [{0: 1.0}, {0: 0.5, 2: 0.25, 3: 0.25}], [{2: 1.0}], [{3: 1.0}, {0: 1.0}]]
    mdp = build(rows)
    label, inside = graphs.maximal_end_components(mdp)
    q = graphs.quotient(mdp, label, inside)
    assert len({q.block[0], q.block[1]}) == 1
    assert len(set(q.block.tolist())) == 3 == q.n_states
    assert q.pair.tolist() == [
        k for b in range(3) for k in q.pair[q.state_ptr[b] : q.state_ptr[b + 1]]
    ]
    assert sorted(q.pair.tolist()) == [2, 5]
    i = q.pair.tolist().index(2)
    row = slice(q.indptr[i], q.indptr[i + 1])
    assert q.data[row].tolist() == [0.5, 0.25, 0.25]
    assert q.indices[row].tolist() == q.block[[0, 2, 3]].tolist()


def test_long_chains_need_few_passes_and_no_recursion():
    n = 200_000
    walk = [[{0: 1.0}], *([{s - 1: 0.5, s + 1: 0.5}] for s in range(1, n - 1)), [{n - 1: 1.0}]]
    mdp = build(walk)
    goal = mask(n, {n - 1})
    assert np.flatnonzero(graphs.prob1_max(mdp, goal)).tolist() == [n - 1]
    assert graphs.strong_components(mdp)[0] == 3
    assert graphs.maximal_end_components(mdp)[0].max() == 1


def test_kernels_that_change_with_the_step_are_refused():
    P = np.full((2, 2, 1, 2), 0.5)
    stacked = TabularMDP.from_dense(P, np.zeros((2, 2, 1)), 1.0, horizon=2)
    with pytest.raises(NotApplicableError, match="one per step"):
        graphs.strong_components(stacked)
    with pytest.raises(InvalidModelError, match="target must be a boolean"):
        graphs.prob0_max(build([[{0: 1.0}]]), np.array([0]))


def test_a_component_that_loses_a_state_is_split_again():
    broken = mutant(kernels, ("dirty[part[s]] = True\n                        left", "left"))
    rows = [[{1: 1.0}], [{2: 1.0}], [{0: 0.5, 3: 0.5}, {1: 1.0}], [{3: 1.0}]]
    wanted = {frozenset({1, 2}), frozenset({3})}
    assert end_components(rows) == wanted

    def groups(kernel):
        mdp = build(rows)
        edges = graphs._edges(mdp)
        inside, label = np.ones(mdp.n_pairs, dtype=bool), np.empty(4, dtype=np.int32)
        kernel(
            mdp.state_ptr, mdp.indptr, mdp.indices, edges.edge, edges.back_ptr, edges.back,
            edges.pair_state, inside, label,
        )  # fmt: skip
        return {frozenset(np.flatnonzero(label == i).tolist()) for i in range(label.max() + 1)}

    assert groups(kernels.end_components) == wanted
    source = getattr(broken.end_components, "py_func", broken.end_components)
    assert groups(source) != wanted
