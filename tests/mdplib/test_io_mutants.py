"""Broken copies of the readers: what the tests of the formats rely on does catch them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mdplib import InvalidModelError
from mdplib.io import canonical, craam, umb
from mdplib.io.canonical import RawModel
from tests.mutation import mutant


def thirds() -> RawModel:
    """A row printed with ten digits, another with a successor twice and a zero."""
    return RawModel(
        np.array([0, 2, 3]),
        np.array([0, 2, 5, 6]),
        np.array([0, 1, 1, 0, 1, 0]),
        np.array([0.3333333333, 0.6666666666, 0.25, 0.0, 0.75, 1.0]),
        rewards={"r": np.array([1.0, 2.0, 3.0])},
    )


def sound(module: ModuleType) -> bool:
    """Whether the rules of the module's text hold."""
    model, report = module.labelled(thirds(), "test", "file")
    model.reach([1])  # refuses rows that do not sum to one up to rounding
    counted = (report.renormalised, report.merged_duplicates, report.dropped_zeros)
    off = thirds()
    off.data[0] = 0.33333
    try:
        module.labelled(off, "test", "file")
    except InvalidModelError:
        refused = True
    else:
        refused = False
    return (
        refused
        and counted == (1, 1, 1)
        and model.indptr.tolist() == [0, 2, 3, 4]
        and np.allclose(model.data, [1 / 3, 2 / 3, 1, 1], rtol=0, atol=1e-10)
        and report.worst_row_error == pytest.approx(1e-10, rel=1e-3)
    )


def test_the_rules_hold():
    assert sound(canonical)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("wrong = off > rounding", "wrong = off > 1"),
        ("MOST_RENORMALISED = 1e-6", "MOST_RENORMALISED = 1e-2"),
        ("indices[starts], np.add.reduceat(data, starts)", "indices[starts], data[starts]"),
        ("zeros = 0 if verbatim else _drop_zeros(raw)", "zeros = 0"),
        ("return int(order.size - starts.size)", "return 0"),
        ("return worst, where, int(np.count_nonzero(wrong))", "return worst, where, 0"),
        ("np.lexsort((indices, row))", "np.lexsort((row, indices))"),
    ],
)
def test_mutants_of_the_rules_are_caught(old: str, new: str):
    broken = mutant(canonical, (old, new))
    try:
        caught = not sound(broken)
    except (InvalidModelError, ValueError):
        caught = True
    assert caught


def test_mutant_that_reads_bits_from_the_other_end():
    mask = np.array([0b10010], dtype="<u8").tobytes()
    arrays = {"bits": mask}
    assert np.flatnonzero(umb._bits("file", arrays, "bits", 5)).tolist() == [1, 4]
    broken = mutant(umb, ('bitorder="little"', 'bitorder="big"'))
    try:
        found = np.flatnonzero(broken._bits("file", arrays, "bits", 5)).tolist()
    except InvalidModelError:
        found = []
    assert found != [1, 4]


def test_mutant_that_averages_rewards_without_the_law(tmp_path: Path):
    path = tmp_path / "table.csv"
    rows = "0,0,0,0.25,4\n0,0,1,0.75,8\n1,0,1,1,3\n"
    path.write_text("idstatefrom,idaction,idstateto,probability,reward\n" + rows)
    assert craam.read_csv(path).rewards["reward"].tolist() == [7, 3]
    broken = mutant(craam, ("np.where(possible, r * p, 0.0)", "np.where(possible, r, 0.0)"))
    assert broken.read_csv(path).rewards["reward"].tolist() == [12, 3]


def test_mutant_that_forgets_the_rewards_of_states():
    raw = thirds()
    state, choice = np.array([10.0, 20.0]), np.array([1.0, 2.0, 3.0])
    assert canonical.pair_rewards(raw, "r", state, choice, None).tolist() == [11, 12, 23]
    broken = mutant(canonical, ("result += state[raw.pair_state()]", "pass"))
    assert broken.pair_rewards(raw, "r", state, choice, None).tolist() != [11, 12, 23]
