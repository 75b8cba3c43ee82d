"""Models from streams of rows against the constructors that take all of it at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from mdplib import InvalidModelError, TabularMDP, blockwise, models, streaming
from mdplib.streaming import TabularBuilder, from_rows
from mdplib.testing import tabular_mdps


def single(mdp: TabularMDP) -> Iterator[streaming.Row]:
    """The pairs of a model one by one."""
    for k in range(mdp.n_pairs):
        row = slice(mdp.indptr[k], mdp.indptr[k + 1])
        yield (
            int(mdp.pair_state[k]),
            int(mdp.action_id[k]),
            float(mdp.reward[k]),
            mdp.indices[row].tolist(),
            mdp.data[row].tolist(),
        )


def batch(mdp: TabularMDP, first: int, last: int) -> tuple[Any, ...]:
    """The pairs first..last-1 of a model as a batch."""
    start, end = mdp.indptr[first], mdp.indptr[last]
    return (
        mdp.pair_state[first:last],
        mdp.action_id[first:last],
        mdp.reward[first:last],
        mdp.indptr[first : last + 1] - start,
        mdp.indices[start:end],
        mdp.data[start:end],
    )


def same(a: TabularMDP, b: TabularMDP) -> bool:
    fields = ("state_ptr", "indptr", "indices", "data", "reward", "action_id")
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in fields)


@given(tabular_mdps(), st.data())
def test_streams_give_the_model_itself(mdp: TabularMDP, data: st.DataObject):
    """Rows, batches of any sizes, and a mixture of both; zeros go, as in every constructor."""
    wanted = TabularMDP.from_sparse(*mdp.to_sparse(), mdp.gamma)
    assert same(from_rows(single(mdp), mdp.gamma), wanted)
    cut = sorted({0, mdp.n_pairs, *data.draw(st.lists(st.integers(0, mdp.n_pairs)))})
    parts: list[Any] = []
    for first, last in pairwise(cut):
        if data.draw(st.booleans()):
            parts.append(batch(mdp, first, last))
        else:
            parts += list(single(mdp))[first:last]
    assert same(from_rows(parts, mdp.gamma, n_states=mdp.n_states), wanted)


def test_rows_may_come_unsorted_with_duplicates_and_zeros():
    rows = [
        (0, 2, 1.0, [1, 0, 1], [0.25, 0.5, 0.25]),
        (1, 0, 0.0, np.array([1, 0]), [1.0, 0.0]),
    ]
    mdp = from_rows(rows, 0.5, initial=[1.0, 0.0], state_labels=["a", "b"])
    assert mdp.indices.tolist() == [0, 1, 1]
    assert mdp.data.tolist() == [0.5, 0.5, 1.0]
    assert mdp.action_id.tolist() == [2, 0]
    assert mdp.state_labels == ("a", "b")


def test_the_input_stays_as_it_was():
    indices, data = np.array([1, 0, 0, 1], dtype=np.int32), np.array([0.5, 0.5, 0.5, 0.5])
    builder = TabularBuilder()
    builder.append_batch([0, 1], [0, 0], [1, 2], [0, 2, 4], indices, data)
    assert builder.build(0.5).indices.tolist() == [0, 1, 0, 1]
    assert indices.tolist() == [1, 0, 0, 1]


def test_many_blocks(monkeypatch: pytest.MonkeyPatch):
    """Blocks of every size, from smaller than a batch to larger."""
    mdp = models.garnet(300, 3, 4, np.random.default_rng(0))
    for first, largest in ((1, 1), (2, 64), (4096, 4096)):
        monkeypatch.setattr(blockwise, "FIRST", first)
        monkeypatch.setattr(blockwise, "LARGEST", largest)
        monkeypatch.setattr(streaming, "_ROWS", 7)
        batches = [batch(mdp, k, min(k + 50, mdp.n_pairs)) for k in range(0, mdp.n_pairs, 50)]
        assert same(from_rows(batches, mdp.gamma), mdp)
        assert same(from_rows(single(mdp), mdp.gamma), mdp)


def test_a_builder_counts_and_starts_anew():
    builder = TabularBuilder(2)
    builder.append(0, 0, 0.0, [1], [1.0])
    builder.append_batch([1], [0], [1.0], [0, 1], [1], [1.0])
    assert (builder.n_pairs, builder.nnz) == (2, 2)
    assert builder.nbytes == 12 + 12 + 8 + 16 + 16 + 8
    one = builder.build(0.5)
    assert (builder.n_pairs, builder.nnz) == (0, 0)
    builder.append_batch([0, 1], [0, 0], [0.0, 1.0], [0, 1, 2], [1, 1], [1.0, 1.0])
    assert same(builder.build(0.5), one)


BAD: list[tuple[list[Any], str]] = [
    ([(1, 0, 0.0, [0], [1.0])], "pair 0 belongs to state 1 and comes after state -1. 1 of 1"),
    ([(-1, 0, 0.0, [0], [1.0])], "pair 0 belongs to state -1"),
    (
        [(0, 0, 0.0, [0], [1.0]), (2, 0, 0.0, [0], [1.0])],
        "pair 1 belongs to state 2 and comes after state 0. 1 of 2 pairs .* in order",
    ),
    (
        [([0, 1], [0, 0], [0, 0], [0, 1, 2], [0, 0], [1, 1]), (0, 0, 0.0, [0], [1.0])],
        "pair 2 belongs to state 0 and comes after state 1",
    ),
    ([(0, 0, 0.0, [0, 1], [1.0])], r"s=0, a=0 has successors of shape \(2,\) and .* \(1,\)"),
    ([(0, 0, 0.0, [[0]], [[1.0]])], r"s=0, a=0 has successors of shape \(1, 1\)"),
    ([(0, 0, 0.0, [0.5], [1.0])], "indices has dtype float64"),
    ([(0, 0, 0.0, [2**31], [1.0])], "indices holds 2147483648 at position 0"),
    ([(0, 0, 0.0, [1], [1.0])], r"P\[s=0, a=0, :\] has successor 1 outside 0..0"),
    ([(0, 0, 0.0, [0, 0], [0.5, np.nan])], r"P\[s=0, a=0, :\] has probability nan. 1 of 2"),
    ([(0, 0, 0.0, [0, 0], [1.5, -0.5])], r"P\[s=0, a=0, :\] has probability -0.5"),
    ([(0, 0, 0.0, [1, -1], [0.5, 0.5])], r"P\[s=0, a=0, :\] has successor -1; number"),
    ([(0, 0, 0.0, [0], [0.9])], r"P\[s=0, a=0, :\] sums to 0.9"),
    ([(0, 0, 0.0, [0], [0.0])], r"P\[s=0, a=0, :\] has no successor"),
    ([(0, 0, 0.0, [], [])], "indices has dtype|has no successor"),
    ([(0, 0, np.inf, [0], [1.0])], "reward of s=0, a=0 is inf"),
    ([(0, 1, 0.0, [0], [1.0]), (0, 0, 0.0, [0], [1.0])], r"action_id\[1\] is 0 .* increasing"),
    ([([0], [0], [0.0], [0, 1], [0, 0], [1.0])], "the batch has 1 states, 1 actions, 1 rewards"),
    ([([0], [0], [0.0], [0, 2], [0], [1.0])], "indptr runs from 0 to 2; it must run from 0 to 1"),
    ([([0, 0], [0, 1], [0, 0], [0, 2, 1], [0], [1])], "indptr decreases from 2 to 1"),
    ([], "rows of 0 states came, at least 1 expected"),
    ([[0, 0, 0.0, [0], [1.0]]], r"item 0 is list \[0, .* a tuple"),
    ([(0, 0, 0.0)], "item 0 is tuple"),
]


@pytest.mark.parametrize(("rows", "message"), BAD)
def test_bad_rows(rows: list[Any], message: str):
    with pytest.raises(InvalidModelError, match=message):
        from_rows(rows, 0.5)


def test_a_declared_number_of_states_is_held_to():
    with pytest.raises(InvalidModelError, match="rows of 1 states came, 3 expected"):
        from_rows([(0, 0, 0.0, [0], [1.0])], 0.5, n_states=3)
    with pytest.raises(InvalidModelError, match=r"belongs to state 1 outside 0..0; raise n_states"):
        from_rows([(0, 0, 0.0, [0], [1.0]), (1, 0, 0.0, [0], [1.0])], 0.5, n_states=1)
    with pytest.raises(InvalidModelError, match=r"has successor 5 outside 0..1. 1 of 1 trans"):
        from_rows([(0, 0, 0.0, [5], [1.0])], 0.5, n_states=2)
    for value in (0, -1, 1.5):
        with pytest.raises(InvalidModelError, match="n_states is"):
            TabularBuilder(value)  # type: ignore[arg-type]


def test_sizes_are_refused_before_memory_is_taken(monkeypatch: pytest.MonkeyPatch):
    rows = [(s, 0, 0.0, [0], [1.0]) for s in range(200)]
    with pytest.raises(InvalidModelError, match=r"have 200 trans.*max_bytes allows 9.31e-07 GiB"):
        from_rows(rows, 0.5, max_bytes=1000)
    monkeypatch.setattr(streaming, "_REACH", 100)
    with pytest.raises(InvalidModelError, match=r"200 transitions \(.* GiB\) of 200 pairs; 32-bit"):
        from_rows(rows, 0.5)


def peak_over_size() -> float:
    """Largest memory during a build, over that of the model."""
    S, A, b, part = 100_000, 2, 5, 1000
    n = part * A
    action = np.tile(np.arange(A, dtype=np.int32), part)
    indices = np.tile(np.arange(b, dtype=np.int32), n)
    indptr, data, reward = np.arange(0, n * b + 1, b), np.full(n * b, 1 / b), np.zeros(n)

    def stream() -> Iterator[streaming.Batch]:
        for s in range(0, S, part):
            state = np.repeat(np.arange(s, s + part, dtype=np.int32), A)
            yield state, action, reward, indptr, indices, data

    tracemalloc.start()
    mdp = from_rows(stream(), 0.9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / (12 * mdp.nnz + 16 * mdp.n_pairs + 4 * mdp.n_states)


def test_memory_peaks_near_the_size_of_the_model(monkeypatch: pytest.MonkeyPatch):
    """The traced peak is the model and its largest array, which is half of it.

    Resident memory peaks lower still, since pages of an array count once they are written.
    """
    monkeypatch.setattr(blockwise, "LARGEST", 2**14)
    assert peak_over_size() < 1.75
    kept = []

    def join_and_keep(self: blockwise.Growing) -> np.ndarray:
        kept.append([*self._full, self._tail])
        return np.concatenate([*self._full, self._tail[: self._used]])

    monkeypatch.setattr(blockwise.Growing, "join", join_and_keep)
    assert peak_over_size() > 1.75  # mutant: blocks live on


# -------------------------------------------------------------------- blockwise checks


@given(tabular_mdps(), st.integers(1, 9))
def test_blocks_cover_every_row_once(mdp: TabularMDP, size: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "BLOCK", size)
        starts = [s + part.start for s, part in blockwise.blocks(mdp.indptr)]
        parts = [part for _, part in blockwise.blocks(mdp.indptr)]
        low, high = blockwise.row_sum_range(mdp.indptr, mdp.data)
        longest = blockwise.longest_row(mdp.indptr)
    assert np.array_equal(np.concatenate(starts), mdp.indptr[:-1])
    assert [p.start for p in parts] == [0, *(p.stop for p in parts[:-1])]
    assert parts[-1].stop == mdp.nnz
    P = sp.csr_array((mdp.data, mdp.indices, mdp.indptr), shape=(mdp.n_pairs, mdp.n_states))
    sums = P.sum(axis=1)
    assert low == pytest.approx(sums.min(), abs=1e-15)
    assert high == pytest.approx(sums.max(), abs=1e-15)
    assert longest == mdp.max_successors


@given(tabular_mdps(), st.integers(1, 9), st.data())
def test_faults_are_found_in_every_block(mdp: TabularMDP, size: int, data: st.DataObject):
    """A fault in one place, wherever it is, makes the blockwise check fail."""

    def sound(**changes: Any) -> bool:
        names = ("state_ptr", "action_id", "indptr", "indices", "data")
        given: Any = [changes.get(name, getattr(mdp, name)) for name in names]
        with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
            patch.setattr(blockwise, "BLOCK", size)
            return blockwise.rows_are_sound(*given, S=mdp.n_states, tolerance=1e-9)

    def with_entry(name: str, i: int, value: Any) -> np.ndarray:
        changed = getattr(mdp, name).copy()
        changed[i] = value
        return changed

    assert sound()
    j = data.draw(st.integers(0, mdp.nnz - 1))
    k = data.draw(st.integers(0, mdp.n_pairs - 1))
    for value in (np.nan, np.inf, -0.5, mdp.data[j] + 0.5):
        assert not sound(data=with_entry("data", j, value))
    for value in (-1, mdp.n_states):
        assert not sound(indices=with_entry("indices", j, value))
    if j not in mdp.indptr:
        assert not sound(indices=with_entry("indices", j, mdp.indices[j - 1]))
    if k not in mdp.state_ptr:
        assert not sound(action_id=with_entry("action_id", k, mdp.action_id[k - 1]))
    assert not sound(action_id=with_entry("action_id", k, -1))
    if mdp.n_pairs > 1:
        k = min(max(k, 1), mdp.n_pairs - 1)
        assert not sound(indptr=with_entry("indptr", k, mdp.indptr[k - 1]))
