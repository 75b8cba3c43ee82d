"""Compiled kernels against their own Python source and against numpy; caching where none may write.

With the compiler switched off (NUMBA_DISABLE_JIT) both sides are the source, and numpy remains.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdplib import TabularMDP
from mdplib._kernels import bellman
from mdplib.testing import random_mdp
from solvers.tabular.policy_iteration import policy_iteration

ROOT = Path(__file__).parents[2]


def source(kernel: Any) -> Callable[..., Any]:
    return getattr(kernel, "py_func", kernel)


def models() -> list[TabularMDP]:
    drawn = [random_mdp(np.random.default_rng([0, i]), max_states=8) for i in range(40)]
    P = np.random.default_rng(1).dirichlet(np.ones(33), size=(33, 2))
    return [*drawn, TabularMDP.from_dense(P, np.cos(np.arange(66.0)).reshape(33, 2), 0.9)]


def dense_q(mdp: TabularMDP, V: np.ndarray) -> np.ndarray:
    """(S, A) values of the pairs by numpy, -inf where there is none."""
    P, r = mdp.to_dense()
    return r + mdp.gamma * (P @ V)


def without_self_loop(mdp: TabularMDP, V: np.ndarray, s: int) -> np.ndarray:
    """(A,) values x of the pairs of s that solve x = r + gamma (sum_{t != s} p V + p_s x)."""
    P, r = mdp.to_dense()
    stay = P[s, :, s]
    elsewhere = P[s] @ np.where(np.arange(mdp.n_states) == s, 0.0, V)
    return (r[s] + mdp.gamma * elsewhere) / (1 - mdp.gamma * stay)


@pytest.mark.parametrize("i", range(41))
def test_kernels_agree_with_their_source_and_with_numpy(i: int):
    mdp = models()[i]
    rng = np.random.default_rng(i)
    V = rng.normal(size=mdp.n_states)
    close = 1e-14 * mdp.max_successors * (mdp.max_reward + np.abs(V).max())
    q = dense_q(mdp, V)
    layer = mdp.layer()

    results = []
    for kernel in (bellman.backup, source(bellman.backup)):
        out, pair = np.full(mdp.n_states, np.nan), np.full(mdp.n_states, -1, dtype=np.int32)
        low, high, size = kernel(*layer, mdp.gamma, V, 0, mdp.n_states, out, pair)
        assert size == np.abs(out).max()
        assert np.max(np.abs(out - q.max(axis=1))) <= close
        assert np.all(q[np.arange(mdp.n_states), mdp.action_id[pair]] >= q.max(axis=1) - 2 * close)
        assert abs(low - np.min(out - V)) + abs(high - np.max(out - V)) <= close
        results.append(out)
    assert np.max(np.abs(results[0] - results[1])) <= close

    for kernel in (bellman.q_values, source(bellman.q_values)):
        out = np.full(mdp.n_pairs, np.nan)
        kernel(*layer[1:], mdp.gamma, V, 0, out)
        assert np.max(np.abs(out - q[mdp.pair_state, mdp.action_id])) <= close

    pair = (mdp.state_ptr[:-1] + rng.integers(np.diff(mdp.state_ptr))).astype(np.int32)
    rows = np.arange(mdp.n_states), mdp.action_id[pair]
    P, r = (x[rows] for x in mdp.to_dense())
    expected = V
    for _ in range(3):
        expected = r + mdp.gamma * (P @ expected)
    for kernel in (bellman.policy_sweeps, source(bellman.policy_sweeps)):
        swept = V.copy()
        kernel(pair, *layer[1:], mdp.gamma, swept, np.empty_like(V), 3)
        assert np.max(np.abs(swept - expected)) <= 4 * close

    for reverse in (False, True):
        expected = V.copy()
        for s in range(mdp.n_states)[:: -1 if reverse else 1]:
            expected[s] = without_self_loop(mdp, expected, s).max()
        for kernel in (bellman.gauss_seidel, source(bellman.gauss_seidel)):
            swept = V.copy()
            low, high = kernel(*layer, mdp.gamma, swept, reverse)
            room = close / (1 - mdp.gamma) ** 2  # staying is worth r / (1 - gamma), and amplifies
            assert np.max(np.abs(swept - expected)) <= 4 * mdp.n_states * room
            assert abs(low - np.min(swept - V)) + abs(high - np.max(swept - V)) <= room


def walk_to_a_goal() -> TabularMDP:
    """A step left or right costs 1 until state 0: classes that never mix."""

    def outcomes(s: int, a: int):
        yield 1.0, min(max(s + 2 * a - 1, 0), 19) if s else 0, -float(s > 0)

    return TabularMDP.from_function(outcomes, 2, 20, 0.95)


@pytest.mark.parametrize("mdp", [models()[-1], walk_to_a_goal()], ids=["mixing", "walk"])
def test_small_models_are_solved_in_one_call(mdp: TabularMDP):
    truth = policy_iteration(mdp, tol=1e-10).value
    for kernel in (bellman.small, source(bellman.small)):
        V, spare = np.zeros(mdp.n_states), np.empty(mdp.n_states)
        pair = np.empty(mdp.n_states, dtype=np.int32)
        work = kernel(*mdp.layer(), mdp.gamma, V, spare, pair, 1e-10, 30)
        assert 2 <= work <= 30 * 25
        assert np.max(np.abs(V - truth)) < 1e-8


@pytest.mark.parametrize("name", ["backup", "gauss_seidel"])
@np.errstate(invalid="ignore")
def test_infinite_values_follow_ieee_rules(name: str):
    """Fusing a product and a sum is allowed, the assumption that values are finite is not."""
    mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [2.0]], 0.5)
    V = np.array([np.inf, 1.0])
    if name == "backup":
        out, pair = np.empty(2), np.empty(2, dtype=np.int32)
        bellman.backup(*mdp.layer(), mdp.gamma, V, 0, 2, out, pair)
        assert out.tolist() == [np.inf, 2.5]
    else:
        V = np.array([1.0, np.inf])
        bellman.gauss_seidel(*mdp.layer(), mdp.gamma, V, False)
        assert V.tolist() == [np.inf, 4.0]


def test_model_arrays_are_never_written_to():
    mdp = models()[-1]
    before = mdp.replace().fingerprint
    out, pair = np.empty(mdp.n_states), np.empty(mdp.n_states, dtype=np.int32)
    S = mdp.n_states
    bellman.backup(*mdp.layer(), mdp.gamma, np.zeros(S), 0, S, out, pair)
    assert mdp.replace().fingerprint == before


# --------------------------------------------------------------------------- caching

SOLVE = """
from mdplib import TabularMDP, operators
mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
print(operators.bellman(mdp, [4.0])[0])
from mdplib._kernels import bellman
print(type(bellman.backup).__name__, bellman.__file__)
"""


def solve_elsewhere(tmp_path: Path, *, folder: str, home: str) -> list[str]:
    """Run a backup from a copy of the package, with the given places for compiled code.

    A cache folder counts as unwritable, for any user, where a file has its name.
    """
    shutil.copytree(
        ROOT / "mdplib", tmp_path / "mdplib", ignore=shutil.ignore_patterns("__pycache__")
    )
    cache, user = tmp_path / "mdplib" / "_kernels" / "__pycache__", tmp_path / "home"
    for place, state in ((cache, folder), (user, home)):
        if state == "blocked":
            place.write_text("not a folder")
        else:
            place.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "XDG_"))}
    environment |= {
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(user),
        "XDG_CACHE_HOME": str(user / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", SOLVE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    value, rest = done.stdout.splitlines()
    assert value == "3.0"
    assert str(tmp_path) in rest
    return [p.suffix for p in tmp_path.rglob("*.nb[ic]")]


def test_compiled_code_is_cached_beside_the_kernels(tmp_path: Path):
    assert solve_elsewhere(tmp_path, folder="free", home="blocked")
    assert list((tmp_path / "mdplib" / "_kernels" / "__pycache__").glob("bellman.backup*.nbc"))


def test_compiled_code_is_cached_in_the_home_folder_instead(tmp_path: Path):
    assert solve_elsewhere(tmp_path, folder="blocked", home="free")
    assert list((tmp_path / "home").rglob("bellman.backup*.nbc"))


def test_kernels_work_where_nothing_can_be_cached(tmp_path: Path):
    assert solve_elsewhere(tmp_path, folder="blocked", home="blocked") == []
