"""Average reward against every deterministic policy, its stationary laws solved in fractions."""

from __future__ import annotations

import itertools
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mdplib import InvalidModelError, NotApplicableError, Status, UndiscountedMDP
from solvers.undiscounted import average_reward as module
from solvers.undiscounted import components, relative_values
from tests.mutation import mutant
from tests.oracles import gauss

SEED = 8_550
VARIANTS = ["auto", "value_iteration", "policy_iteration"]
Rows = list[dict[int, Fraction]]
model_of: Any = UndiscountedMDP
average_reward: Any = module.average_reward


# ------------------------------------------------------------------------------- oracle


def closed_classes(rows: Rows) -> list[set[int]]:
    """Closed classes of a chain: states whose reachable set reaches back."""
    n = len(rows)
    reach = [{s} for s in range(n)]
    for _ in range(n):
        reach = [set.union({s}, *(reach[t] for t in rows[s])) for s in range(n)]
    found = [reach[s] for s in range(n) if all(s in reach[t] for t in reach[s])]
    return [c for i, c in enumerate(found) if c not in found[:i]]


def chain_gain(rows: Rows, reward: list[Fraction]) -> list[Fraction]:
    """Gain of every state: stationary law of each class, then the probability to enter it."""
    n, gain = len(rows), {}
    for members in map(sorted, closed_classes(rows)):
        m = len(members)
        A = [[rows[s].get(t, Fraction(0)) - (s == t) for s in members] for t in members[:-1]]
        law = gauss([*A, [Fraction(1)] * m], [Fraction(0)] * (m - 1) + [Fraction(1)])
        value = sum((x * reward[s] for x, s in zip(law, members, strict=True)), Fraction(0))
        gain.update(dict.fromkeys(members, value))
    free = [s for s in range(n) if s not in gain]
    A = [[Fraction(s == t) - rows[s].get(t, Fraction(0)) for t in free] for s in free]
    b = [sum((p * gain[t] for t, p in rows[s].items() if t in gain), Fraction(0)) for s in free]
    gain.update(zip(free, gauss(A, b) if free else [], strict=True))
    return [gain[s] for s in range(n)]


def pairs_of(mdp: UndiscountedMDP) -> tuple[Rows, list[Fraction]]:
    """Rows and rewards as fractions, the exact ones of the model where it has them."""
    data = mdp.rational or [Fraction(p) for p in mdp.data.tolist()]
    assert mdp.reward is not None
    reward = mdp.rational_reward or [Fraction(r) for r in mdp.reward.tolist()]
    rows = [
        {int(mdp.indices[j]): data[j] for j in range(a, b) if data[j] > 0}
        for a, b in itertools.pairwise(mdp.indptr.tolist())
    ]
    return rows, list(reward)


def policy_gain(mdp: UndiscountedMDP, pair: tuple[int, ...]) -> list[Fraction]:
    assert all(mdp.pair_state[k] == s for s, k in enumerate(pair)), "a pair of another state"
    rows, reward = pairs_of(mdp)
    return chain_gain([rows[k] for k in pair], [reward[k] for k in pair])


def optimum(mdp: UndiscountedMDP) -> list[Fraction]:
    """Best gain of every state over all deterministic policies."""
    choices = [range(a, b) for a, b in itertools.pairwise(mdp.state_ptr.tolist())]
    gains = [policy_gain(mdp, pair) for pair in itertools.product(*choices)]
    best = max if mdp.objective == "max" else min
    return [best(column) for column in zip(*gains, strict=True)]


def outside(solution, exact: list[Fraction]) -> list[tuple]:
    low, high = solution.lower.tolist(), solution.upper.tolist()
    return [
        (s, low[s], float(x), high[s])
        for s, x in enumerate(exact)
        if not Fraction(low[s]) <= x <= Fraction(high[s])
    ]


# ------------------------------------------------------------------------------- models


def build(
    choices: list[list[tuple[float, dict[int, float]]]],
    objective: str = "max",
    **more,
) -> UndiscountedMDP:
    """States as lists of (reward, row)."""
    pairs = [pair for state in choices for pair in state]
    return model_of(
        np.cumsum([0, *map(len, choices)]),
        np.cumsum([0, *(len(row) for _, row in pairs)]),
        [t for _, row in pairs for t in sorted(row)],
        [row[t] for _, row in pairs for t in sorted(row)],
        [a for state in choices for a in range(len(state))],
        "average_reward",
        objective,
        reward=[r for r, _ in pairs],
        **more,
    )


def random_model(i: int) -> UndiscountedMDP:
    """Up to five states, sparse rows of eighths: multichain, periodic and unichain ones."""
    rng = np.random.default_rng([SEED, i])
    n = int(rng.integers(1, 6))
    choices = []
    for _ in range(n):
        state = []
        for _ in range(int(rng.integers(1, 4))):
            successors = rng.choice(n, size=int(rng.integers(1, min(n, 2) + 1)), replace=False)
            weight = rng.multinomial(8, np.full(successors.size, 1 / successors.size))
            row = {int(t): w / 8 for t, w in zip(successors, weight, strict=True)}
            state.append((float(rng.integers(-8, 9)) * 10.0 ** float(rng.integers(-1, 3)), row))
        choices.append(state)
    return build(choices, "max" if i % 2 else "min")


def thirds(objective: str = "max") -> UndiscountedMDP:
    """A ring of three states with probabilities 1/3, 2/3 and rewards of tenths, known exactly."""
    third, rewards = Fraction(1, 3), [Fraction(1, 10), Fraction(7, 10), Fraction(-3, 10)]
    exact = [{(s + 1) % 3: 2 * third, s: third} for s in range(3)]
    return build(
        [
            [(float(r), {t: float(p) for t, p in row.items()})]
            for r, row in zip(rewards, exact, strict=True)
        ],
        objective,
        rational=[row[t] for row in exact for t in sorted(row)],
        rational_reward=rewards,
    )


def multichain() -> UndiscountedMDP:
    """State 0 gambles between two absorbing states of gains 1 and 2, or stays for 1.4."""
    return build(
        [
            [(0.0, {1: 0.5, 2: 0.5}), (1.4, {0: 1.0})],
            [(1.0, {1: 1.0})],
            [(2.0, {2: 1.0})],
        ]
    )


def slow_ring(n: int) -> UndiscountedMDP:
    """Walk on a ring of n states, slightly to the right: uniform law, reward 1 at one place."""
    right, left = 0.5 + 2.0**-9, 0.5 - 2.0**-9
    return build([[(float(s == 0), {(s + 1) % n: right, (s - 1) % n: left})] for s in range(n)])


# -------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("variant", VARIANTS)
def test_bounds_hold_the_exact_optimum_and_the_policy_s_gain(variant: str):
    wrong = []
    for i in range(150):
        mdp = random_model(i)
        solution = average_reward(mdp, variant=variant, tol=1e-7)
        exact = optimum(mdp)
        own = policy_gain(mdp, tuple(solution.policy.pair.tolist()))
        wrong += [(i, "g*", x) for x in outside(solution, exact)]
        wrong += [(i, "g^pi", x) for x in outside(solution, own)]
        wrong += [] if solution.ok else [(i, solution.status)]
    assert not wrong, (len(wrong), wrong[:3])


def test_the_random_models_are_of_every_kind():
    kinds = set()
    for i in range(150):
        mdp = random_model(i)
        exact = optimum(mdp)
        kinds.add((mdp.objective, len(set(exact)) > 1))
    assert len(kinds) == 4


@pytest.mark.parametrize("objective", ["max", "min"])
def test_readings_of_the_floats_are_covered(objective: str):
    mdp = thirds(objective)
    solution = average_reward(mdp, tol=1e-12)
    assert solution.ok
    assert outside(solution, [Fraction(1, 6)] * 3) == []
    assert outside(solution, optimum(mdp)) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_period_does_no_harm(variant: str):
    mdp = build([[(1.0, {1: 1.0})], [(0.0, {2: 1.0})], [(0.5, {0: 1.0})]])
    solution = average_reward(mdp, variant=variant, tol=1e-10)
    assert solution.ok
    assert outside(solution, [Fraction(1, 2)] * 3) == []


def test_multichain_gains_differ_by_state():
    solution = average_reward(multichain(), tol=1e-9)
    assert solution.ok
    assert outside(solution, [Fraction(3, 2), Fraction(1), Fraction(2)]) == []
    assert solution.policy.pair[0] == 0
    assert "3 maximal end components" in solution.stats.log[0]


def test_a_component_is_left_through_its_gate():
    """From 0 and 1, a component of gain 0, the policy goes to 1, whose second pair leaves."""
    mdp = build(
        [
            [(0.0, {0: 1.0}), (-5.0, {1: 1.0})],
            [(0.0, {0: 1.0}), (-9.0, {0: 0.5, 2: 0.5})],
            [(3.0, {2: 1.0})],
        ]
    )
    solution = average_reward(mdp, tol=1e-9)
    assert solution.ok
    assert outside(solution, [Fraction(3)] * 3) == []
    assert solution.policy.action.tolist() == [1, 1, 0]


def corridor(n: int) -> UndiscountedMDP:
    """From the middle to either end, thrown back half of the time: 2^n steps; or stay for 1/8."""
    rows = [{0: 1.0}, *({i - 1: 0.5, n: 0.5} for i in range(1, n)), {n - 1: 0.5, n + 1: 0.5}]
    rows += [*({n: 0.5, i + 1: 0.5} for i in range(n + 1, 2 * n)), {2 * n: 1.0}]
    choices = [[(float(s == 2 * n), row)] for s, row in enumerate(rows)]
    choices[n].append((0.125, {n: 1.0}))
    return build(choices)


def test_long_ways_between_components_are_solved_and_checked():
    n = 16
    solution = average_reward(corridor(n), tol=1e-8)
    assert solution.ok
    assert solution.stats.iterations < 200
    assert outside(solution, optimum(corridor(n))) == []
    assert solution.policy.action[n] == 0
    own = policy_gain(corridor(n), tuple(solution.policy.pair.tolist()))
    assert outside(solution, own) == []


@pytest.mark.parametrize(
    ("guess", "check"),
    [
        (("guess = x - room", "guess = x + 1e-6"), ("bool((least >= guess).all())", "True")),
        (("guess = x + room", "guess = x - 1e-6"), ("bool((value <= guess).all())", "True")),
    ],
)
def test_a_wrong_guess_is_not_believed(
    guess: tuple[str, str], check: tuple[str, str], monkeypatch: pytest.MonkeyPatch
):
    """A guess that fails the check changes no bound; without the check it would."""
    mdp = corridor(12)
    for changes, harm in (((guess,), False), ((guess, check), True)):
        monkeypatch.setattr(module, "components", mutant(components, *changes))
        solution = average_reward(mdp, tol=1e-9, max_iterations=300)
        assert bool(outside(solution, optimum(mdp))) == harm


def test_slow_mixing_calls_for_linear_solves():
    mdp = slow_ring(200)
    sweeps = average_reward(mdp, variant="value_iteration", tol=1e-9, max_iterations=2000)
    assert sweeps.status is Status.ITERATION_LIMIT
    solution = average_reward(mdp, tol=1e-9)
    assert solution.ok
    assert solution.stats.iterations < 200
    assert any("linear solves" in sentence for sentence in solution.stats.log)
    assert np.all(sweeps.lower <= solution.upper)
    assert np.all(solution.lower <= sweeps.upper)
    assert outside(solution, [Fraction(1, 200)] * 200) == []


def test_policies_with_several_closed_classes_are_made_unichain():
    """Greedy for V = 0 every state stays; the best component-wide plan is the ring."""
    n = 6
    mdp = build(
        [[(1.0, {s: 1.0}), (-1.0, {(s + 1) % n: 1.0})] for s in range(n - 1)]
        + [[(4.0, {n - 1: 1.0}), (-1.0, {0: 1.0})]]
    )
    for variant in VARIANTS:
        solution = average_reward(mdp, variant=variant, tol=1e-9)
        assert solution.ok
        assert outside(solution, [Fraction(4)] * n) == []
        assert policy_gain(mdp, tuple(solution.policy.pair.tolist())) == [4] * n


def test_limits_keep_valid_bounds():
    mdp = slow_ring(50)
    for limit in ({"max_iterations": 3}, {"time_limit": 0.0}):
        solution = average_reward(mdp, tol=1e-9, **limit)
        expected = "ITERATION_LIMIT" if "max_iterations" in limit else "TIME_LIMIT"
        assert solution.status.name == expected
        assert outside(solution, [Fraction(1, 50)] * 50) == []
    assert average_reward(mdp, tol=0.0).status is Status.ROUNDING_LIMIT


def test_relative_tolerance_and_progress():
    seen: list[tuple[int, float]] = []
    mdp = thirds()
    solution = average_reward(
        mdp, tol=0.0, rtol=1e-3, progress=lambda i, gap: seen.append((i, gap))
    )
    assert solution.ok
    assert np.all(solution.upper - solution.lower <= 1e-3 * np.abs(solution.lower))
    assert tuple(seen) == solution.stats.trace


def test_a_reward_free_model_is_solved_at_once():
    solution = average_reward(build([[(0.0, {1: 1.0})], [(0.0, {0: 1.0})]]), tol=1e-300)
    assert solution.ok
    assert solution.stats.iterations == 1


def test_refusals():
    reach = model_of([0, 1], [0, 1], [0], [1.0], [0], "reachability", target=[0])
    with pytest.raises(NotApplicableError, match="not 'reachability'"):
        average_reward(reach)
    with pytest.raises(InvalidModelError, match="variant is 'sor'"):
        average_reward(thirds(), variant="sor")
    with pytest.raises(InvalidModelError, match="tol is nan"):
        average_reward(thirds(), tol=float("nan"))


# ------------------------------------------------------------------------------ mutants


def complaints(solver: ModuleType, mdp: UndiscountedMDP, **options) -> list[tuple]:
    solution = solver.average_reward(mdp, **options)
    exact = optimum(mdp)
    own = policy_gain(mdp, tuple(solution.policy.pair.tolist()))
    found = outside(solution, exact) + outside(solution, own)
    return found if solution.ok else [*found, (solution.status,)]


def test_mutant_bracket_from_one_side():
    bad = mutant(module, ("np.maximum.reduceat(d, self.start) + slack", "low + 2 * slack"))
    assert complaints(bad, slow_ring(4), tol=1e-6)


def sevenths(i: int) -> UndiscountedMDP:
    """A chain of three states whose probabilities are sevenths, known exactly."""
    rng = np.random.default_rng([SEED, 7, i])
    weights = rng.multinomial(4, [1 / 3] * 3, size=3) + 1
    exact = [[Fraction(int(w), 7) for w in row] for row in weights]
    return build(
        [[(float(rng.integers(-4, 5)), {t: float(p) for t, p in enumerate(row)})] for row in exact],
        rational=[p for row in exact for p in row],
    )


def test_mutant_without_slack_for_rounding_and_readings():
    old, new = "        return u * terms + n * 2.0**-1073", "        return 0 * terms"
    bad = mutant(module, (old, new))
    models = [sevenths(i) for i in range(20)]
    for mdp in models:
        assert outside(average_reward(mdp, tol=0.0), optimum(mdp)) == []
    assert any(outside(bad.average_reward(mdp, tol=1e-15), optimum(mdp)) for mdp in models)


def test_mutant_without_laziness():
    bad = mutant(module, ("_TAU = 0.75", "_TAU = 1.0"))
    mdp = build([[(1.0, {1: 1.0})], [(0.0, {0: 1.0})]])
    options = {"variant": "value_iteration", "tol": 1e-6, "max_iterations": 500}
    assert complaints(bad, mdp, **options)
    assert complaints(module, mdp, **options) == []


def test_mutant_objective_ignored():
    bad = mutant(module, ('sign = 1.0 if mdp.objective == "max" else -1.0', "sign = 1.0"))
    mdp = multichain().replace(objective="min")
    assert complaints(bad, mdp, tol=1e-6)
    assert complaints(module, mdp, tol=1e-6) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value[:M] = np.maximum(value[:M], upper)", "value[:M] = upper"),
        ("low[:M] = lower", "low[:M] = upper"),
        ("low[rises], row[rises] = value[rises], best[rises]", "low[rises] = value[rises]"),
        ("np.where(gate[leaving], chosen[leaving], step)", "chosen[leaving]"),
    ],
)
def test_mutants_of_the_way_between_components(old: str, new: str, monkeypatch):
    """Some model of the family shows the wrong bound, the wrong policy, or no end."""
    monkeypatch.setattr(module, "components", mutant(components, (old, new)))
    gate = build(
        [
            [(0.0, {0: 1.0}), (-5.0, {1: 1.0})],
            [(0.0, {0: 1.0}), (-9.0, {0: 0.5, 2: 0.5})],
            [(3.0, {2: 1.0})],
        ]
    )
    models = [gate, multichain(), *map(random_model, range(150))]

    def caught(mdp: UndiscountedMDP) -> bool:
        try:
            return bool(complaints(module, mdp, tol=1e-4, max_iterations=2000))
        except (AssertionError, IndexError, InvalidModelError, StopIteration):
            return True

    assert any(map(caught, models))


def test_mutant_evaluation_of_the_wrong_equation_is_only_slow(monkeypatch):
    """Wrong relative values cannot break the bounds, only the speed."""
    bad = mutant(relative_values, ("sp.eye_array(n) - P + ones", "sp.eye_array(n) + P + ones"))
    monkeypatch.setattr(module, "relative_values", bad)
    solution = average_reward(slow_ring(12), variant="policy_iteration", tol=1e-6)
    assert outside(solution, [Fraction(1, 12)] * 12) == []
    assert any("did not narrow" in sentence for sentence in solution.stats.log)
