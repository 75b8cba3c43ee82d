"""Tabular solvers against closed forms, limits and statuses, and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

import solvers
from mdplib import InvalidModelError, NotApplicableError, Solution, Status, TabularMDP, models
from mdplib.errors import MdplibError, MissingExtraError, SolverError

DISCOUNTED = [name for name, m in solvers.METHODS.items() if "discounted" in m.requires]
ITERATIVE = ["value_iteration", "gauss_seidel", "modified_policy_iteration"]


def two_states(gamma: float) -> TabularMDP:
    """State 0: stay for 1, or move to state 1 for 0; state 1 pays 2 for ever."""
    return TabularMDP.from_dict(
        {0: {0: [(1.0, 0, 1.0)], 1: [(1.0, 1, 0.0)]}, 1: {0: [(1.0, 1, 2.0)]}}, gamma
    )


def chain(n: int, gamma: float) -> TabularMDP:
    """Walk right for nothing, or cash in 1 at the right end: V*(s) = gamma^(n-1-s)/(1-gamma)."""

    def outcomes(s: int, a: int):
        yield 1.0, min(s + a, n - 1), float(s == n - 1 and a == 1)

    return TabularMDP.from_function(outcomes, 2, n, gamma)


def contains(solution: Solution, exact: Sequence[Fraction | float]) -> bool:
    low, high = solution.lower.ravel().tolist(), solution.upper.ravel().tolist()
    return all(Fraction(a) <= x <= Fraction(b) for a, x, b in zip(low, exact, high, strict=True))


@pytest.mark.parametrize("method", DISCOUNTED)
@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 0.9, 0.99])
def test_two_state_closed_form(method: str, gamma: float):
    solution = solvers.solve(two_states(gamma), method, tol=1e-9)
    g = Fraction(gamma)
    exact = [max(1 / (1 - g), g * 2 / (1 - g)), 2 / (1 - g)]
    assert solution.status is Status.OPTIMAL
    assert contains(solution, exact)
    assert solution.policy.probs(0)[0][0] == int(gamma > 0.5), "ties go to the lowest action"


@pytest.mark.parametrize("method", DISCOUNTED)
def test_chain_closed_form(method: str):
    n, gamma = 40, 0.95
    solution = solvers.solve(chain(n, gamma), method, tol=1e-8)
    g = Fraction(gamma)
    assert solution.ok
    assert contains(solution, [g ** (n - 1 - s) / (1 - g) for s in range(n)])


@pytest.mark.parametrize("method", DISCOUNTED)
@pytest.mark.parametrize("constant", [-1e6, 1e6])
def test_several_recurrent_classes_do_not_stop_convergence(method: str, constant: float):
    """A start far from V* with classes that never meet: shifts by constants must not oscillate."""
    mdp = TabularMDP.from_dict(
        {
            0: {0: [(1.0, 0, 0.0)]},
            1: {0: [(1.0, 0, -1.0)], 1: [(0.5, 1, -1.0), (0.5, 2, 3.0)]},
            2: {0: [(1.0, 2, 1.0)], 1: [(1.0, 1, 0.5)]},
        },
        gamma=0.9,
    )
    V0 = None if method == "linear_programming" else np.full(3, constant)
    truth = solvers.solve(mdp, "exact").exact
    assert truth is not None
    solution = solvers.solve(mdp, method, tol=1e-7, max_iterations=20_000, V0=V0)
    assert solution.ok
    assert contains(solution, list(truth))


@pytest.mark.parametrize("method", ITERATIVE)
def test_iteration_limit_keeps_valid_bounds(method: str):
    mdp = models.chain(30, gamma=0.99)
    truth = solvers.solve(mdp, "exact").exact
    assert truth is not None
    solution = solvers.solve(mdp, method, tol=1e-9, max_iterations=2)
    assert solution.status is Status.ITERATION_LIMIT
    assert solution.gap > 1e-9
    assert contains(solution, list(truth))
    with pytest.raises(SolverError, match="ITERATION_LIMIT") as caught:
        solution.require()
    assert caught.value.solution is solution


@pytest.mark.parametrize("method", DISCOUNTED)
def test_time_limit_of_zero_returns_the_first_bracket(method: str):
    mdp = chain(30, 0.99)
    solution = solvers.solve(mdp, method, tol=1e-9, time_limit=0.0)
    if method == "linear_programming":  # its first vector is already the solution
        assert solution.status in (Status.OPTIMAL, Status.TIME_LIMIT)
    else:
        assert solution.status is Status.TIME_LIMIT
    truth = solvers.solve(mdp, "exact").exact
    assert truth is not None
    assert contains(solution, list(truth))


@pytest.mark.parametrize("method", [m for m in DISCOUNTED if m != "exact"])
def test_rounding_limit_is_named(method: str):
    solution = solvers.solve(chain(10, 0.99), method, tol=1e-15)
    assert solution.status is Status.ROUNDING_LIMIT
    assert 1e-15 < solution.gap < 1e-9
    assert solvers.solve(chain(10, 0.99), "exact", tol=0.0).ok


def test_exact_is_the_fixed_point():
    mdp = chain(12, 0.875)
    exact = solvers.solve(mdp, "exact").exact
    assert exact is not None
    g = Fraction(mdp.gamma)
    for s in range(12):
        q = [Fraction(s == 11 and a == 1) + g * exact[min(s + a, 11)] for a in (0, 1)]
        assert exact[s] == max(q)


def test_linear_programming_dual_is_the_occupancy_measure():
    """The dual equals the discounted visits summed from powers of the policy's chain."""
    mdp = chain(6, 0.5)
    w = np.arange(1.0, 7.0) / 21
    solution = solvers.linear_programming(mdp, weights=w)
    assert solution.occupancy is not None
    P, r, state, action = mdp.to_sparse()
    at, visits = w.copy(), np.zeros(mdp.n_pairs)
    chosen = np.flatnonzero(action == np.array([solution.policy.probs(s)[0][0] for s in state]))
    for _ in range(200):
        step = np.zeros(mdp.n_pairs)
        step[chosen] = at
        visits += step
        at = 0.5 * (step @ P)
    assert solution.occupancy == pytest.approx(visits, abs=1e-9)
    assert solution.occupancy @ r == pytest.approx(w @ solution.value, abs=1e-6)


def test_backward_induction_closed_form():
    mdp = two_states(0.5).replace(gamma=1.0, horizon=4, terminal=[10.0, 0.0])
    solution = solvers.solve(mdp)
    assert solution.provenance.solver == "backward_induction"
    assert solution.value.shape == (5, 2)
    # From state 0: stay for 1 each and collect 10, or move and earn 2 for the rest.
    assert solution.value[:, 0] == pytest.approx([14, 13, 12, 11, 10], abs=1e-12)
    assert solution.value[:, 1] == pytest.approx([8, 6, 4, 2, 0], abs=1e-12)
    exact = solvers.solve(mdp, "exact")
    assert exact.exact is not None
    assert contains(solution, list(exact.exact))


def test_auto_chooses_by_kind():
    assert solvers.solve(chain(10, 0.9)).provenance.solver == "auto"
    assert solvers.solve(chain(9, 0.9).replace(horizon=3)).provenance.solver == "backward_induction"


def test_progress_sees_every_certificate():
    seen: list[tuple[int, float]] = []
    solution = solvers.solve(
        chain(10, 0.9), "value_iteration", progress=lambda i, gap: seen.append((i, gap))
    )
    assert tuple(seen) == solution.stats.trace
    iterations, gap = seen[-1]
    assert iterations == solution.stats.iterations
    assert 0.9 * gap <= solution.gap <= gap


def test_refusals():
    mdp = chain(5, 0.9)
    with pytest.raises(MdplibError, match="did you mean 'gauss_seidel'"):
        solvers.solve(mdp, "gauss_siedel")
    with pytest.raises(NotApplicableError, match="use backward_induction"):
        solvers.value_iteration(mdp.replace(horizon=2))
    with pytest.raises(NotApplicableError, match="use exact or backward_induction"):
        solvers.solve(mdp.replace(horizon=2), "policy_iteration")
    with pytest.raises(NotApplicableError, match="needs a finite horizon"):
        solvers.backward_induction(mdp)
    with pytest.raises(NotApplicableError, match="takes no V0"):
        solvers.solve(mdp.replace(horizon=2), V0=np.zeros(5))
    with pytest.raises(MdplibError, match="type dict"):
        solvers.solve({})  # type: ignore[arg-type]
    with pytest.raises(InvalidModelError, match="tol is -1"):
        solvers.solve(mdp, tol=-1)
    with pytest.raises(InvalidModelError, match="tol is nan"):
        solvers.solve(mdp, tol=float("nan"))
    with pytest.raises(InvalidModelError, match=r"V0 has shape \(4,\)"):
        solvers.solve(mdp, V0=np.zeros(4))
    with pytest.raises(InvalidModelError, match="variant is 'sor'"):
        solvers.value_iteration(mdp, variant="sor")  # type: ignore[arg-type]
    with pytest.raises(InvalidModelError, match="inner_sweeps is -1"):
        solvers.modified_policy_iteration(mdp, inner_sweeps=-1)
    with pytest.raises(InvalidModelError, match=r"weights\[1\] is 0.0"):
        solvers.linear_programming(mdp, weights=[1, 0, 1, 1, 1])


def test_exact_without_flint_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "flint", None)
    with pytest.raises(MissingExtraError, match=r'pip install -e "\.\[exact\]"'):
        solvers.exact_policy_iteration(chain(3, 0.5))


def test_table_is_complete():
    from pathlib import Path

    files = {p.stem for p in Path(solvers.__file__).parent.glob("tabular/*.py")}
    named = {m.module for m in solvers.METHODS.values()}
    assert files - {"__init__", "run"} == {
        name.rsplit(".", 1)[1] for name in named if name.startswith("solvers.tabular.")
    }
    assert all(callable(m.function) for m in solvers.METHODS.values())


def test_linear_programming_survives_the_failure_of_its_optimiser(
    monkeypatch: pytest.MonkeyPatch,
):
    def fails(*_: object, **__: object):
        raise SolverError("HiGHS stopped with status Unbounded")

    monkeypatch.setattr("solvers.tabular.linear_programming.solve_lp", fails)
    solution = solvers.linear_programming(two_states(0.75), tol=1e-9)
    assert solution.ok
    assert contains(solution, [Fraction(6), Fraction(8)])
    assert solution.occupancy is None
    assert "Unbounded" in solution.provenance.options["highs"]
