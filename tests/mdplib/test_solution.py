"""Solutions: derived quantities, rendering, and storage of every kind."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import solvers
from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    MarkovPolicy,
    MdplibError,
    Provenance,
    Solution,
    SolverError,
    Stats,
    Status,
    StochasticPolicy,
    TabularMDP,
    UndiscountedMDP,
)
from mdplib.solution import versions
from mdplib.testing import random_mdp
from tests import oracles

MDP = TabularMDP.from_dense(
    [[[0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]],
    [[1.0, 0.0], [0.0, 2.0]],
    0.9,
    initial=[0.25, 0.75],
)


def made_up(**changes: Any) -> Solution:
    fields: dict[str, Any] = {
        "value": np.array([1.0, -1.0]),
        "lower": np.array([0.5, -1.25]),
        "upper": np.array([1.5, -0.5]),
        "policy": DeterministicPolicy(np.array([0, 2]), np.array([0, 0])),
        "status": Status.TIME_LIMIT,
        "stats": Stats(7, 0.25, 0.5, ((0, 8.0), (7, 1.0))),
        "provenance": Provenance("value_iteration", {"tol": 1e-6, "time_limit": None}, "f" * 32),
        "guarantees": ("macqueen1966:bounds",),
    }
    return Solution(**(fields | changes))


# -------------------------------------------------------------------- quantities


def test_gap_ok_and_require():
    solution = made_up()
    assert solution.gap == 1.0
    assert not solution.ok
    with pytest.raises(SolverError, match=r"TIME_LIMIT: .* \(gap 1\)") as caught:
        solution.require()
    assert caught.value.solution is solution
    done = made_up(status=Status.OPTIMAL)
    assert done.require() is done
    assert made_up(exact=(Fraction(1), Fraction(-1))).gap == 0.0


def test_every_status_has_a_sentence():
    for status in Status:
        assert status.sentence.strip()
        assert status is Status.OPTIMAL or "the bounds hold" in status.sentence


def test_initial_needs_a_law():
    with pytest.raises(MdplibError, match="no initial law; set initial="):
        _ = made_up().initial


finite = st.floats(-1e300, 1e300, allow_subnormal=True)


@given(st.lists(st.tuples(finite, finite, st.integers(0, 9)), min_size=1, max_size=8))
def test_initial_bounds_contain_the_exact_expectations(rows: list[tuple[float, float, int]]):
    weight = np.array([w for _, _, w in rows], dtype=float)
    weight[0] += 1
    law = weight / weight.sum()
    lower = np.array([min(a, b) for a, b, _ in rows])
    upper = np.array([max(a, b) for a, b, _ in rows])
    solution = made_up(value=lower, lower=lower, upper=upper, initial_law=law)
    low, high = solution.initial
    assert Fraction(low) <= sum(map(Fraction.__mul__, map(Fraction, law), map(Fraction, lower)))
    assert Fraction(high) >= sum(map(Fraction.__mul__, map(Fraction, law), map(Fraction, upper)))


def test_initial_bounds_of_denormal_values():
    tiny = np.array([5e-324, 5e-324])
    solution = made_up(value=tiny, lower=-tiny, upper=tiny, initial_law=np.array([0.5, 0.5]))
    low, high = solution.initial
    assert low <= -5e-324
    assert high >= 5e-324


def test_initial_of_a_finite_horizon_is_that_of_the_first_step():
    mdp = MDP.replace(gamma=1.0, horizon=3)
    low, high = solvers.solve(mdp).initial
    exact = oracles.optimum(mdp)[0]
    assert Fraction(low) <= exact[0] / 4 + exact[1] * 3 / 4 <= Fraction(high)  # type: ignore[index]


def test_versions_are_read_once_and_cannot_be_spoilt():
    versions()["numpy"] = "wrong"
    assert versions()["numpy"] == np.__version__


# --------------------------------------------------------------------- rendering


def test_repr_fits_a_screen():
    text = repr(solvers.solve(MDP))
    assert len(text.splitlines()) <= 8
    for word in ("OPTIMAL", "gap", "bounds", "initial", "auto", "time"):
        assert word in text


def test_html_is_escaped():
    provenance = Provenance("<script>alert(1)</script>", {}, "f" * 32)
    page = made_up(provenance=provenance)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.startswith("<table>")
    assert page.count("<tr>") == page.count("</tr>")


# ----------------------------------------------------------------------- storage


def same(a: Any, b: Any) -> bool:
    """Equality through dataclasses, arrays and tuples."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
        )
    return a == b


def stored() -> dict[str, Solution]:
    plain = random_mdp(np.random.default_rng(0), max_states=6, gammas=[0.9])
    finite = random_mdp(np.random.default_rng(1), finite_horizon=True)
    other = TabularMDP.from_layers([MDP, MDP])
    return {
        "deterministic": solvers.solve(plain),
        "initial law": solvers.solve(MDP),
        "occupancy": solvers.solve(MDP, "linear_programming"),
        "exact": solvers.solve(plain, "exact"),
        "exact, finite horizon": solvers.solve(finite, "exact"),
        "markov": solvers.solve(finite),
        "stochastic": made_up(policy=StochasticPolicy.uniform(MDP)),
        "stochastic, kernels per step": made_up(policy=StochasticPolicy.uniform(other)),
    }


@pytest.mark.parametrize("name", stored())
def test_save_and_load(name: str, tmp_path: Path):
    solution = stored()[name]
    solution.save(tmp_path / "solution.npz")
    again = Solution.load(tmp_path / "solution.npz")
    assert same(again.policy, solution.policy)
    assert again.exact == solution.exact
    assert same(again, solution)
    assert again.stats.trace == solution.stats.trace
    assert repr(again) == repr(solution)
    assert [p.name for p in tmp_path.iterdir()] == ["solution.npz"]


def test_saving_replaces_a_file(tmp_path: Path):
    path = tmp_path / "solution.npz"
    made_up().save(path)
    made_up(status=Status.OPTIMAL).save(str(path))
    assert Solution.load(str(path)).status is Status.OPTIMAL


def test_a_policy_that_cannot_be_stored_leaves_the_file_alone(tmp_path: Path):
    path = tmp_path / "solution.npz"
    made_up().save(path)
    mixed = MarkovPolicy((StochasticPolicy.uniform(MDP),))
    with pytest.raises(MdplibError, match="MarkovPolicy cannot be stored"):
        made_up(policy=mixed).save(path)
    assert Solution.load(path).status is Status.TIME_LIMIT


def test_damaged_files(tmp_path: Path):
    """No byte may be changed, and no tail lost, without an error that names the file."""
    path = tmp_path / "solution.npz"
    solvers.solve(MDP).save(path)
    content = path.read_bytes()
    intact = Solution.load(path)
    for size in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(InvalidModelError, match=r"solution\.npz"):
            Solution.load(path)
    rng = np.random.default_rng(2)
    for place in rng.choice(len(content), 200, replace=False).tolist():
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        try:
            again = Solution.load(path)
        except InvalidModelError:
            continue
        assert same(again, intact), f"byte {place} changed and nobody noticed"


def test_files_of_another_kind(tmp_path: Path):
    path = tmp_path / "other.npz"
    np.savez(path, value=np.zeros(3))
    with pytest.raises(InvalidModelError, match=r"other\.npz"):
        Solution.load(path)
    from mdplib.io import save_npz

    save_npz(MDP, path)
    with pytest.raises(InvalidModelError, match=r"other\.npz"):
        Solution.load(path)
    path.write_text(json.dumps({"value": 1}))
    with pytest.raises(InvalidModelError, match=r"other\.npz"):
        Solution.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("value.npy", b"not an array")
    with pytest.raises(InvalidModelError, match=r"other\.npz"):
        Solution.load(path)


problem: Any = UndiscountedMDP  # takes lists too


def undiscounted(initial: list[float]) -> Solution:
    """Reward 2 per step until state 1, which state 2 never reaches."""
    mdp = problem(
        [0, 1, 2, 3],
        [0, 2, 3, 4],
        [0, 1, 1, 2],
        [0.5, 0.5, 1.0, 1.0],
        [0, 0, 0],
        "expected_reward",
        "max",
        [1],
        [2.0, 0.0, 1.0],
        initial,
    )
    return solvers.solve(mdp, tol=1e-9)


def test_infinite_values_have_no_gap():
    solution = undiscounted([1.0, 0.0, 0.0])
    assert solution.lower[2] == solution.upper[2] == np.inf
    assert solution.gap <= 1e-9
    assert solution.relative_gap <= 1e-9
    assert solution.initial == (solution.lower[0], solution.upper[0])
    low, high = undiscounted([0.5, 0.5, 0.0]).initial
    assert low <= 2.0 <= high
    assert undiscounted([0.5, 0.0, 0.5]).initial == (np.inf, np.inf)


def test_infinite_exact_values_survive_storage(tmp_path):
    mdp = problem(
        [0, 1, 2], [0, 1, 2], [0, 1], [1.0, 1.0], [0, 0], "expected_reward", "min", [1], [1.0, 0.0]
    )
    solution = solvers.solve(mdp, "exact")
    assert solution.exact == (np.inf, 0)
    solution.save(tmp_path / "s.npz")
    again = Solution.load(tmp_path / "s.npz")
    assert again.exact == solution.exact
    assert again.stats.log == solution.stats.log
