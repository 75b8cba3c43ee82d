"""The automatic method: what it decides, that every stage alone converges, and what it guards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import solvers
from mdplib import Status, TabularMDP, models
from mdplib.testing import random_mdp
from solvers.tabular import auto as module
from solvers.tabular.auto import auto
from tests import oracles
from tests.mutation import mutant


@pytest.mark.parametrize(
    ("mdp", "word"),
    [
        (models.chain(300, gamma=0.999), "elimination"),
        (models.queue(2000, gamma=0.99), "elimination"),
        (models.decomposable(5, 200, 4, 5, np.random.default_rng(0), gamma=0.999), "BiCGSTAB"),
        (models.maze(60, np.random.default_rng(0), gamma=0.99), "breadth-first"),
    ],
    ids=["chain", "queue", "decomposable", "maze"],
)
def test_decisions_are_logged_and_right(mdp: TabularMDP, word: str):
    solution = auto(mdp, tol=1e-7)
    assert solution.ok
    assert word in solution.stats.log[0]
    slow = solvers.solve(mdp, "modified_policy_iteration", tol=1e-5)
    assert np.all(np.maximum(solution.lower, slow.lower) <= np.minimum(solution.upper, slow.upper))


def test_models_that_fall_apart_are_solved_by_components(monkeypatch: pytest.MonkeyPatch):
    """... once BiCGSTAB fails on them, which is made sure of here."""

    def breaks_down(self: Any, V: np.ndarray, tol: float, most: int):
        return np.full_like(V, np.nan), 1, np.nan

    monkeypatch.setattr(module.PolicyRows, "krylov", breaks_down)
    monkeypatch.setattr(module, "_SMALL", 0)
    rng = np.random.default_rng(3)
    width, layers = 40, 30

    def outcomes(s: int, a: int):
        layer = s // width
        after = min(layer + 1, layers - 1)
        yield 0.5, layer * width + int(rng.integers(width)), float(rng.integers(-4, 5))
        yield 0.5, after * width + int(rng.integers(width)), float(a)

    mdp = TabularMDP.from_function(outcomes, 2, layers * width, 0.9999)
    solution = auto(mdp, max_iterations=5000)
    assert solution.ok
    assert any("components" in line for line in solution.stats.log), solution.stats.log


def test_mixing_models_need_no_decision():
    mdp = models.garnet(500, 4, 5, np.random.default_rng(0), gamma=0.999)
    solution = auto(mdp)
    assert solution.ok
    assert solution.stats.log == ()
    assert solution.stats.iterations < 100


@pytest.mark.parametrize("stage", ["small", "sweep", "band", "krylov", "rise"])
def test_every_stage_alone_keeps_its_promise(stage: str, monkeypatch: pytest.MonkeyPatch):
    start = module.Auto.__init__

    def begin(self: Any, run: Any) -> None:
        start(self, run)
        self.stage = getattr(self, stage)

    monkeypatch.setattr(module.Auto, "__init__", begin)
    for i in range(60):
        mdp = random_mdp(np.random.default_rng([8, i]), max_states=7)
        solution = auto(mdp, max_iterations=5000 if stage == "rise" else 200_000)
        exact = oracles.optimum(mdp)
        assert list(oracles.outside(solution.lower, solution.upper, exact)) == []
        if mdp.gamma <= (
            0.99 if stage == "rise" else 0.9999
        ):  # rising takes 1 / (1 - gamma) sweeps
            assert solution.status in (Status.OPTIMAL, Status.ROUNDING_LIMIT), (i, mdp.gamma)


def test_order_of_states_changes_nothing_but_the_order():
    mdp = models.decomposable(4, 50, 3, 4, np.random.default_rng(1), gamma=0.99)
    order = np.random.default_rng(2).permutation(mdp.n_states)
    place = np.argsort(order)
    P, r, state, action = mdp.to_sparse()
    shuffled = TabularMDP.from_sparse(P[:, order], r, state=place[state], action=action, gamma=0.99)
    a, b = auto(mdp, tol=1e-8), auto(shuffled, tol=1e-8)
    assert np.all(np.maximum(a.lower[order], b.lower) <= np.minimum(a.upper[order], b.upper))


def test_equal_models_take_equal_paths():
    mdp = models.decomposable(4, 50, 3, 4, np.random.default_rng(1), gamma=0.99)
    a, b = auto(mdp), auto(mdp.replace())
    assert (a.stats.iterations, a.stats.log) == (b.stats.iterations, b.stats.log)
    assert np.array_equal(a.value, b.value)


def stubborn() -> list[TabularMDP]:
    return [random_mdp(np.random.default_rng([8, i]), max_states=7) for i in range(60)]


MUTANTS = {
    # sweeps around the middle oscillate on classes that never meet; nothing else is tried
    "never changes its mind": (
        "sweep",
        ("if self._stuck(2) or self._band_cost() < cost or left > _KRYLOV:", "if False:"),
    ),
    "rises from anywhere": (
        "rise",
        ("return raised(V, self.found) if before else self.found.lower.copy()", "return V.copy()"),
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_fail_to_converge(name: str):
    stage, change = MUTANTS[name]
    broken: Any = mutant(module, change)
    start = broken.Auto.__init__

    def begin(self: Any, run: Any) -> None:
        start(self, run)
        self.stage = getattr(self, stage)

    broken.Auto.__init__ = begin
    good = [m for m in stubborn() if m.gamma <= 0.999 and m.max_reward < 1e3]
    assert not all(broken.auto(m, max_iterations=3000).ok for m in good)
    assert all(auto(m, max_iterations=3000).ok for m in good)
