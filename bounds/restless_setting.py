"""What the statements on coupled restless bandits assume, and the instances they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bounds.case import Case
from bounds.restless_models import Array, Coupled, draw_policy, draws, example, listed
from bounds.theorem import Hypothesis, Scale

AFTER = "Standard; proved in the module"
MANY: Mapping[Scale, int] = {"smoke": 120, "default": 600, "paper": 4000}
SOME: Mapping[Scale, int] = {"smoke": 20, "default": 150, "paper": 1000}
PROGRAMS = 1e-7  # what the tolerances of a linear program may do to its value


def _laws(case: Case) -> bool:
    model: Coupled = case["model"]
    return all(
        bool((x >= 0).all() and np.allclose(x.sum(-1), 1.0, atol=1e-9))
        for x in (model.P, model.initial)
    )


def _within(model: Coupled) -> bool:
    """Whether all listed actions satisfy the rows of a model."""
    excess = model.C @ model.rows.T - model.room
    return bool((excess <= 1e-9).all())


def _actions(case: Case) -> bool:
    levels = set(case["model"].C.ravel().tolist())
    return len(case["model"].C) > 0 and levels <= set(range(case["model"].r.shape[1]))


def _free(case: Case) -> bool:
    model: Coupled = case["model"]
    return len({tuple(c) for c in model.C.tolist()}) == model.r.shape[1] ** len(model.r)


def _nested(case: Case) -> bool:
    large, small = case["model"], case["smaller"]
    kept = {tuple(c) for c in large.C.tolist()}
    same = all(
        np.array_equal(getattr(large, name), getattr(small, name))
        for name in ("P", "r", "initial", "rows")
    )
    return same and bool((small.room <= large.room).all()) and kept >= set(map(tuple, small.C))


LAWS = Hypothesis("laws", "transitions and first states of every arm are probability laws", _laws)
ACTIONS = Hypothesis("actions", "C is a nonempty set of levels that the arms have", _actions)
DISCOUNT = Hypothesis("discount", "0 <= gamma < 1", lambda case: 0 <= case["model"].gamma < 1)
ROWS = Hypothesis(
    "rows", "every action satisfies the rows of the relaxation", lambda case: _within(case["model"])
)
FREE = Hypothesis("free", "all combinations of levels are allowed", _free)
NESTED = Hypothesis("nested", "the smaller set and its rows are contained in the larger", _nested)
POSITIVE = Hypothesis(
    "positive", "no reward is negative", lambda case: bool((case["model"].r >= 0).all())
)


def random_cases(rng: np.random.Generator, n: int, rounding: float = 1e-9) -> Iterator[Case]:
    """Draw n cases of a model and a policy each."""
    for i, model in enumerate(draws(rng, n)):
        values = {"model": model, "policy": draw_policy(rng, model)}
        yield Case(values, f"random {i}", rounding)


def many(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    """Draw the instances of a statement that needs no program."""
    yield from random_cases(rng, MANY[scale])


def some(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    """Draw the instances of a statement that solves linear programs."""
    yield from random_cases(rng, SOME[scale], PROGRAMS)


def uniform(model: Coupled) -> Array:
    """Return the policy (H, n, A) that takes each action with equal probability."""
    A = len(model.C)
    return np.full((model.horizon, len(model.states), A), 1.0 / A)


def example_case(budget: int = 1) -> Case:
    """Return the two climbing arms, of which `budget` can be pulled."""
    model = example(budget)
    values = {"model": model, "policy": uniform(model)}
    return Case(values, f"two climbing arms, {budget} pulled", PROGRAMS)


def chance() -> Case:
    """Return two arms, each worth a pull half of the time, and one pull.

    The programs pull each arm when it is worth it, once in the mean. In truth both arms, or none,
    ask for the pull half of the time, and three quarters of that are had.
    """
    P = np.full((2, 2, 2, 2), 0.5)
    r = np.zeros((2, 2, 2))
    r[:, 1, 1] = 1.0
    rows, room = np.ones((1, 2)), np.ones(1)
    model = Coupled(P, r, listed(rows, room, 2), rows, room, np.full((2, 2), 0.5), 1, 0.5)
    values = {"model": model, "policy": uniform(model)}
    return Case(values, "two arms that ask for one pull by chance", PROGRAMS)


def one_state(rewards: Array, *, horizon: int = 3, gamma: float = 0.5) -> Coupled:
    """Return one arm with one state and a reward for each level."""
    r = np.asarray(rewards, dtype=float)[None, :, None]
    L = r.shape[1]
    rows, room = np.ones((1, 1)), np.array([L - 1.0])
    P, initial = np.ones((1, L, 1, 1)), np.ones((1, 1))
    return Coupled(P, r, listed(rows, room, L), rows, room, initial, horizon, gamma)


def broken_of(case: Case, hypotheses: Iterable[Hypothesis]) -> dict[str, Case]:
    """Return, for each hypothesis of this module, the case with that one broken."""
    model: Coupled = case["model"]
    changes: dict[str, dict[str, Any]] = {
        "laws": {"model": replace(model, P=1.25 * model.P)},
        "actions": {"model": replace(model, C=model.C[:0])},
        "discount": {"model": replace(model, gamma=1.0)},
        "rows": {"model": replace(model, room=model.room - 100.0)},
        "free": {"model": replace(model, C=model.C[:-1])},
        "nested": {"smaller": replace(model, room=model.room + 1.0)},
        "positive": {"model": replace(model, r=model.r - 1.5)},
    }
    return {h.name: case.with_values(changes[h.name]) for h in hypotheses if h.name in changes}
