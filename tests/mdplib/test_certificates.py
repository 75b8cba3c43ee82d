"""Brackets against exact rationals, for every kind of vector, and broken brackets that are caught.

The functions named ``check_*`` state what a bracket promises and take the function under test, so
the same checks judge the library and its mutants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    MarkovPolicy,
    StochasticPolicy,
    TabularMDP,
    certificates,
    operators,
)
from mdplib.certificates import Bracket, bracket, bracket_policy
from mdplib.testing import finite_horizon_mdps, random_mdp, tabular_mdps
from tests import oracles
from tests.mutation import mutant

Floats = np.ndarray


# ------------------------------------------------------------------------- the vectors


def vectors(rng: np.random.Generator, exact: Any) -> Iterator[tuple[str, Floats]]:
    """Vectors to start a bracket from: useless, excellent, and malicious."""
    V = np.array(exact, dtype=float)
    signs = rng.choice([-1.0, 1.0], V.shape)
    yield "zero", np.zeros(V.shape)
    yield "rounded optimum", V
    yield "optimum, last bits off", V * (1 + rng.integers(-8, 9, V.shape) * 2.0**-53)
    yield "optimum, neighbour float", np.nextafter(V, signs * np.inf)
    yield "near", V + rng.normal(size=V.shape) * 10.0 ** rng.uniform(-15, 3)
    yield "above", V + 10.0 ** rng.uniform(-16, 8)
    yield "below", V - 10.0 ** rng.uniform(-16, 8)
    yield "one entry far off", V + 1e17 * (np.arange(V.size) == 0).reshape(V.shape)
    yield "huge", signs * 1e250
    yield "all scales", signs * 10.0 ** rng.uniform(-300, 250, V.shape)
    yield "denormal", signs * 5e-324 * rng.integers(0, 4, V.shape)
    yield "minus zero", np.full(V.shape, -0.0)


def policies(rng: np.random.Generator, mdp: TabularMDP) -> Iterator[Any]:
    """A stochastic policy whose weights are a little off, and a deterministic one."""
    sizes = np.diff(mdp.state_ptr)
    weight = rng.integers(0, 4, mdp.n_pairs) + 0.0
    weight[mdp.state_ptr[:-1]] += 1
    weight /= np.repeat(np.add.reduceat(weight, mdp.state_ptr[:-1]), sizes)
    room = 1.0 if mdp.horizon is not None else 1 - mdp.gamma
    off = rng.choice([0.0, 1e-10, -1e-10]) if room > 1e-8 else 0.0
    yield StochasticPolicy.from_weights(mdp, weight * (1 + off))
    chosen = mdp.state_ptr[:-1] + rng.integers(sizes)
    layers = np.reshape(chosen, (-1, mdp.n_states))
    steps = [DeterministicPolicy(pair, mdp.action_id[pair]) for pair in layers]
    if mdp.horizon is None:
        yield steps[0]
    else:
        yield MarkovPolicy(tuple(steps * (mdp.horizon // len(steps))))


# -------------------------------------------------------------------------- the checks


def check_optimum(make: Callable[..., Bracket], mdp: TabularMDP, V: Any, exact: Any) -> None:
    """V* and the exact value of the bracket's policy lie in the bracket."""
    found = make(mdp, V)
    assert oracles.outside(found.lower, found.upper, exact) == []
    value = oracles.policy_value(mdp, found.policy)
    assert oracles.outside(found.lower, found.upper, value) == []
    assert found.gap >= 0


def check_policy(
    make: Callable[..., Bracket], mdp: TabularMDP, policy: Any, V: Any, exact: Any
) -> None:
    """The exact value of the policy lies in the bracket."""
    found = make(mdp, policy, V)
    assert oracles.outside(found.lower, found.upper, exact) == []


def check_all(module: Any, mdp: TabularMDP, rng: np.random.Generator) -> None:
    """Every promise, on one model and every kind of vector."""
    exact = oracles.optimum(mdp)
    for _, V in vectors(rng, exact):
        check_optimum(module.bracket, mdp, V, exact)
    if mdp.horizon is not None:
        check_optimum(module.bracket, mdp, None, exact)
    for policy in policies(rng, mdp):
        value = oracles.policy_value(mdp, policy)
        check_policy(module.bracket_policy, mdp, policy, None, value)
        for _, V in vectors(rng, value):
            check_policy(module.bracket_policy, mdp, policy, V, value)


@given(mdp=tabular_mdps(), seed=st.integers(0, 2**32 - 1))
def test_discounted(mdp: TabularMDP, seed: int):
    check_all(certificates, mdp, np.random.default_rng(seed))


@given(mdp=finite_horizon_mdps(), seed=st.integers(0, 2**32 - 1))
def test_finite_horizon(mdp: TabularMDP, seed: int):
    check_all(certificates, mdp, np.random.default_rng(seed))


@pytest.mark.parametrize("finite_horizon", [False, True])
def test_many_models(finite_horizon: bool):
    for i in range(60):
        rng = np.random.default_rng([1, i])
        mdp = random_mdp(rng, finite_horizon=finite_horizon, max_states=8, max_actions=4)
        check_all(certificates, mdp, rng)


def test_oracles_agree_with_each_other():
    """Elimination with Fractions, FLINT, and enumeration of all policies."""
    for i in range(40):
        mdp = random_mdp(np.random.default_rng([2, i]), max_states=4)
        exact = oracles.optimum(mdp)
        assert exact == oracles.optimum(mdp, Fraction)
        assert exact == oracles.optimum_by_enumeration(mdp)
        if mdp.gamma <= 0.9:
            rough = oracles.naive_value_iteration(mdp, 300)
            scale = 1 + mdp.max_reward / (1 - mdp.gamma)
            assert rough == pytest.approx(np.array(exact, dtype=float), abs=1e-11 * scale)
        finite = random_mdp(np.random.default_rng([3, i]), finite_horizon=True)
        assert oracles.optimum(finite) == oracles.optimum(finite, Fraction)


# ---------------------------------------------------------------------- special models


def test_row_sums_off_by_the_tolerance_with_gamma_near_one():
    """Row sums move V* here far more than the gap of the naive bounds."""
    for defect in (1e-10, -1e-10, 9e-10, -9e-10):
        rows = [[0.5 * (1 + defect), 0.5 * (1 + defect)], [0.25, 0.75 + defect]]
        for gamma in (0.99, 0.9999, 1 - 1e-8):
            for r in ([1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]):
                mdp = TabularMDP.from_dense(np.array(rows)[:, None], np.array(r)[:, None], gamma)
                exact = oracles.optimum(mdp)
                for _, V in vectors(np.random.default_rng(0), exact):
                    check_optimum(bracket, mdp, V, exact)


def one_state(p: float, r: float, gamma: float) -> TabularMDP:
    """A self-loop whose only probability is p."""
    return TabularMDP.from_dense([[[p]]], [[r]], gamma)


def test_gamma_times_row_sum_of_one_is_refused():
    """Beyond it the value is infinite, and no vector proves anything."""
    mdp = one_state(1 + 5e-10, 0.0, 1 - 1e-10)
    for V in ([0.0], [1.0], [-1.0], [1e200]):
        with pytest.raises(InvalidModelError, match="is not below 1; lower gamma"):
            bracket(mdp, V)


@pytest.mark.parametrize("power", [20, 30, 40, 50, 53])
def test_gamma_next_to_one(power: int):
    """A deterministic model has exact row sums, so gamma may come as near to 1 as floats do."""
    mdp = TabularMDP.from_dense(
        np.eye(3)[:, [2, 0, 1]].reshape(3, 1, 3), [[1.0], [-2.0], [1.5]], 1 - 2.0**-power
    )
    exact = oracles.optimum(mdp)
    for _, V in vectors(np.random.default_rng(1), exact):
        check_optimum(bracket, mdp, V, exact)


def test_room_that_nearly_cancels():
    """1 - gamma and the excess of the row sum agree to all their digits."""
    for delta in (2.0**-52, 2.0**-51, 2.0**-40, 2.0**-31):
        mdp = one_state(1 + delta, 1.0, 1 - delta)
        exact = oracles.optimum(mdp)
        for V in ([0.0], [1.0], [-1e9], [float(exact[0])]):  # type: ignore[arg-type]
            check_optimum(bracket, mdp, V, exact)


def test_many_successors_and_cancelling_sums():
    """Long rows of V with alternating huge entries: the error of the sum dominates."""
    rng = np.random.default_rng(4)
    S = 40
    P = rng.dirichlet(np.ones(S), size=(S, 2))
    mdp = TabularMDP.from_dense(P, rng.normal(size=(S, 2)), 0.75)
    exact = oracles.optimum(mdp)
    for V in (rng.permutation([1e16, -1e16] * (S // 2)), np.where(np.arange(S) % 2, 1e8, -1e8)):
        check_optimum(bracket, mdp, V, exact)


def test_tiny_probabilities_and_rewards():
    P = np.array([[[1e-300, 1.0]], [[5e-324, 1.0]]])
    for scale in (5e-324, 1e-310, 1e-290, 1e290):
        mdp = TabularMDP.from_dense(P, np.array([[1.0], [-3.0]]) * scale, 0.9)
        exact = oracles.optimum(mdp)
        for name, V in vectors(np.random.default_rng(5), exact):
            if name not in ("huge", "all scales") or scale < 1:
                check_optimum(bracket, mdp, V, exact)


# ------------------------------------------------------------------------- the gap


@given(mdp=tabular_mdps(gammas=(0.5, 0.9, 0.0, 0.99)))
def test_gap_shrinks_as_the_vector_approaches_the_optimum(mdp: TabularMDP):
    V = np.array(oracles.optimum(mdp), dtype=float)
    scale = 1 + mdp.max_reward / (1 - mdp.gamma)
    direction = np.cos(np.arange(V.size) * 2.3)
    gaps = [bracket(mdp, V + scale * size * direction).gap for size in (1.0, 1e-3, 1e-6, 0.0)]
    for size, gap in zip((1.0, 1e-3, 1e-6, 0.0), gaps, strict=True):
        # |T V - V| <= (1 + gamma) |V - V*|, and the row sums spread the bounds by 2e-9 at most.
        slack = size * 2 * (1 + mdp.gamma) / (1 - mdp.gamma) + 1e-12 / (1 - mdp.gamma)
        assert gap <= scale * slack * 1.01


@given(mdp=tabular_mdps())
def test_the_rounding_share_is_what_remains_at_the_optimum(mdp: TabularMDP):
    found = bracket(mdp, np.array(oracles.optimum(mdp), dtype=float))
    # A rounded optimum has a residual of a few units in the last place of its own.
    assert found.gap <= 4 * found.rounding


def test_constant_shifts_cost_next_to_nothing():
    """MacQueen's bounds do not see a constant; the norm bound would be 2e5 wide."""
    P = [[[0.5, 0.5], [1.0, 0.0]], [[0.25, 0.75], [0.0, 1.0]]]
    mdp = TabularMDP.from_dense(P, [[1.0, 0.5], [-1.0, 2.0]], 0.99)
    V = np.array(oracles.optimum(mdp), dtype=float)
    assert bracket(mdp, V + 1024).gap < 1e-8


def test_finite_horizon_gap_is_rounding_only():
    for i in range(50):
        mdp = random_mdp(np.random.default_rng([7, i]), finite_horizon=True)
        found = bracket(mdp)
        scale = mdp.max_reward + np.abs(np.asarray(mdp.terminal)).max()
        assert found.gap <= 1e-13 * scale * (mdp.horizon or 0) ** 2 + 1e-300
        assert found.gap <= 2 * found.rounding


# ------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite(bad: float):
    mdp = random_mdp(np.random.default_rng(8), max_states=3)
    V = np.zeros(mdp.n_states)
    V[-1] = bad
    with pytest.raises(InvalidModelError, match=rf"V\[{mdp.n_states - 1}\] is not finite"):
        bracket(mdp, V)
    with pytest.raises(InvalidModelError, match="not finite"):
        bracket_policy(mdp, operators.greedy(mdp, np.zeros(mdp.n_states)), V)
    with pytest.raises(InvalidModelError, match=r"V has shape \(7,\)"):
        bracket(mdp, np.zeros(7))


def test_overflow_is_an_error_not_a_bound():
    mdp = TabularMDP.from_dense(np.eye(2)[:, None], [[1e308], [-1e308]], 0.99)
    with pytest.raises(InvalidModelError, match=r"at \[0\] overflow .* 2 of 2 .* scale them"):
        bracket(mdp, np.zeros(2))
    zero = mdp.replace(gamma=0.0)
    with pytest.raises(InvalidModelError, match="overflow"):
        bracket(zero, [-1.7e308, 1.7e308])
    with pytest.raises(InvalidModelError, match="overflow"):
        bracket(mdp.replace(gamma=1.0, horizon=3))
    with pytest.raises(InvalidModelError, match="overflow"):
        bracket_policy(mdp, operators.greedy(mdp, np.zeros(2)), np.zeros(2))


def test_markov_policy_needs_a_horizon():
    mdp = random_mdp(np.random.default_rng(9))
    step = operators.greedy(mdp, np.zeros(mdp.n_states))
    with pytest.raises(InvalidModelError, match="the model has no horizon"):
        bracket_policy(mdp, MarkovPolicy((step,)))


# ------------------------------------------------------------------------ mutants

NO_ROUNDING = (
    ("_SAFE = 16 * operators.UNIT", "_SAFE = 0.0"),
    ("_ONE = 4 * operators.UNIT", "_ONE = 0.0"),
)
MUTANTS: dict[str, tuple[tuple[str, str], ...]] = {
    "no rounding at all": (
        *NO_ROUNDING,
        ("error = operators.rounding_of_size(mdp, size + swing)", "error = 0.0"),
        ("error = averaging * operators.rounding(mdp, after)", "error = 0.0"),
        ("error = operators.rounding(mdp, V) * averaging", "error = 0.0"),
    ),
    "rounding of the backup forgotten": (
        ("error = operators.rounding_of_size(mdp, size + swing)", "error = 0.0"),
    ),
    "rounding added after the division": (
        ("least - error - _SAFE * abs(least)", "least"),
        ("most + error + _SAFE * abs(most)", "most"),
    ),
    "row sums taken as one": (("    low, low_error", "    sums = 1.0, 1.0\n    low, low_error"),),
    "row sums swapped": (
        ("abs(least), gamma, (sums[1], sums[0]))", "abs(least), gamma, sums)"),
        ("abs(most), gamma, sums)", "abs(most), gamma, (sums[1], sums[0]))"),
    ),
    "weights of the policy taken to sum to one": (
        ("policy, error, _weight_sums(mdp, policy, 0))", "policy, error)"),
    ),
    "min and max swapped": (("(least, most), gamma = change", "(most, least), gamma = change"),),
    "norm of the residual in place of its extremes, halved": (
        (
            "(least, most), gamma = change, mdp.gamma",
            "most, gamma = 0.5 * float(np.max(np.abs(change))), mdp.gamma\n    least = -most",
        ),
    ),
    "gamma forgotten in the shift": (
        ("shift = gamma * sigma * (extreme / room)", "shift = extreme / room"),
    ),
    "1 - gamma forgotten": (
        ("shift = gamma * sigma * (extreme / room)", "shift = gamma * sigma * extreme"),
    ),
    "T not applied once more": (
        (
            "Shifted(mdp, *operators.backup_and_range(mdp, V))",
            "Shifted(mdp, V, *operators.backup_and_range(mdp, V)[1:])",
        ),
    ),
    "finite horizon: the distance to the bounds forgotten": (
        ("lower[h] = TV + (below - slack)", "lower[h] = TV - slack"),
        ("upper[h] = TV + (above + slack)", "upper[h] = TV + slack"),
    ),
    "finite horizon: no rounding": (
        ("error = averaging * operators.rounding(mdp, after)", "error = 0.0"),
        *NO_ROUNDING,
    ),
    "finite horizon: row sums taken as one": (
        ("below *= mdp.gamma * (sums[0] if below >= 0 else sums[1])", "below *= mdp.gamma"),
        ("above *= mdp.gamma * (sums[1] if above >= 0 else sums[0])", "above *= mdp.gamma"),
    ),
    "finite horizon: row sums swapped": (
        ("(sums[0] if below >= 0 else sums[1])", "(sums[1] if below >= 0 else sums[0])"),
        ("(sums[1] if above >= 0 else sums[0])", "(sums[0] if above >= 0 else sums[1])"),
    ),
}


@cache
def targets() -> tuple[tuple[TabularMDP, int], ...]:
    """Models for the mutants, with the seed of their vectors."""
    return tuple(
        (random_mdp(np.random.default_rng([10, i]), finite_horizon=i % 2 == 1), i)
        for i in range(40)
    )


def check_targets(module: Any) -> None:
    for mdp, i in targets():
        check_all(module, mdp, np.random.default_rng([11, i]))


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name: str):
    broken: Any = mutant(certificates, *MUTANTS[name])
    with pytest.raises(AssertionError):
        check_targets(broken)


def test_the_unbroken_copy_passes():
    check_targets(mutant(certificates))
