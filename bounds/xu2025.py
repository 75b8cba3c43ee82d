r"""The discounted operator on joint states, and what a target network that stands still can learn.

Problem
-------
The joint model has an optimality operator, with the listed actions C in place of a program,

    (T V)(s) = max_{a in C} r(s, a) + gamma E[V(s') | s, a].

SEQUOIA regresses on r(s, a) + gamma max_{a' in C} Q'(s', a') with a target Q' that follows Q by
Q' <- Q' + tau (Q - Q') and starts at Q' = r, the one-step regression. What does Q become?

Algorithm
---------
The regression is exact: one update of Q, one step of Q', n times.

Guarantee
---------
    ||T V - T W|| <= gamma ||V - W||                                                        (1)
    V <= W  implies  T V <= T W                                                             (2)
    tau = 0:  Q is the value of looking two steps ahead, however many updates               (3)
    rewards in [0, R]:
        ||Q - (two steps ahead)|| <= (1 - (1 - tau)^(n-1)) gamma^2 R / (1 - gamma)          (4)
    tau = 1:  ||Q - Q*|| <= gamma^n ||r - Q*||                                              (5)

(1), (2): the joint laws are products of laws, hence laws, and a maximum is a monotone contraction.
(3): Q' = r at all times. (4): Q' - r lies in [0, gamma R / (1 - gamma)] times the weight
1 - (1 - tau)^(n-1) of everything learned after the start; one more step multiplies by gamma. (5):
Q-value iteration.

With the published tau = 1e-6 and 2000 updates, (4) has the factor 0.002: what is learned is the
two-step value, not the long-run one.

Cost
----
The oracle lists joint states.

Deviations
----------
The statements say what the exact regression gives; a network adds errors, see `bounds.munos2007`.

References
----------
xu2025 for the algorithm; its public code has tau = 1e-6.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.restless_models import Array, Coupled
from bounds.restless_setting import (
    ACTIONS,
    AFTER,
    DISCOUNT,
    LAWS,
    POSITIVE,
    broken_of,
    example_case,
    many,
    one_state,
)
from bounds.theorem import Entry, Hypothesis, Scale, Theorem

SETTING = (LAWS, ACTIONS, DISCOUNT)


def _same_shape(case: Case) -> bool:
    n = len(case["model"].states)
    return np.shape(case["V"]) == np.shape(case["W"]) == (n,)


FUNCTIONS = Hypothesis("functions", "V and W are functions of the joint state", _same_shape)
ORDERED = Hypothesis("ordered", "V <= W", lambda case: bool((case["V"] <= case["W"]).all()))


def _functions(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for case in many(rng, scale):
        n = len(case["model"].states)
        V = rng.normal(0.0, 2.0, n)
        yield case.with_values({"V": V, "W": V + rng.normal(0.0, 1.0, n)})


def _ordered(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for case in _functions(rng, scale):
        yield case.with_values({"W": np.maximum(case["V"], case["W"])})


def _shifted() -> Case:
    case = example_case()
    V = np.arange(4.0)
    return replace(case.with_values({"V": V, "W": V + 1.0}), rounding=1e-9)


def _moved(case: Case) -> tuple[Array, Array]:
    model: Coupled = case["model"]
    return model.operator(case["V"]), model.operator(case["W"])


def _distance(case: Case) -> float:
    V, W = _moved(case)
    return float(np.abs(V - W).max())


_contraction = Theorem(
    id="xu2025:contraction",
    statement=r"$\|TV - TW\|_\infty \le \gamma \|V - W\|_\infty$ for the operator on joint states",
    source=AFTER,
    kind="inequality",
    hypotheses=(*SETTING, FUNCTIONS),
    lhs=_distance,
    rhs=lambda case: case["model"].gamma * float(np.abs(case["V"] - case["W"]).max()),  # (1)
)
CONTRACTION = Entry(
    theorem=_contraction,
    instances=_functions,
    tight=_shifted,
    tightness=0.999,
    mutant=_contraction.mutant(
        statement="one application contracts like two",
        rhs=lambda case: case["model"].gamma ** 2 * float(np.abs(case["V"] - case["W"]).max()),
    ),
    broken=lambda: {
        **broken_of(_shifted(), SETTING),
        "functions": _shifted().with_values({"V": np.zeros(3)}),
    },
)

_order = Theorem(
    id="xu2025:order",
    statement=r"$V \le W$ implies $TV \le TW$ for the operator on joint states",
    source=AFTER,
    kind="inequality",
    hypotheses=(*SETTING, FUNCTIONS, ORDERED),
    lhs=lambda case: _moved(case)[0],  # (2)
    rhs=lambda case: _moved(case)[1],
)
ORDER = Entry(
    theorem=_order,
    instances=_ordered,
    tight=lambda: _shifted().with_values({"W": _shifted()["V"]}),
    tightness=0.999,
    mutant=_order.mutant(
        statement="the operator reverses the order",
        lhs=lambda case: _moved(case)[1],
        rhs=lambda case: _moved(case)[0],
    ),
    broken=lambda: {
        **broken_of(_shifted(), SETTING),
        "functions": _shifted().with_values({"V": np.zeros(3)}),
        "ordered": _shifted().with_values({"W": -np.ones(4)}),
    },
    witness=_shifted,
)


# -------------------------------------------------------------------- the target network


def learned(model: Coupled, updates: int, tau: float) -> Array:
    """Return Q after exact updates with a target that follows by tau, (A, n)."""
    target = model.joint[1].copy()
    Q = target
    for _ in range(updates):
        Q = model.q_values(target.max(0), model.gamma)
        target = target + tau * (Q - target)
    return Q


def two_steps(model: Coupled) -> Array:
    """Return the value of two steps by enumeration, arm by arm, without joint arrays, (A, n)."""
    arms = range(len(model.r))
    best = {
        tuple(t): max(sum(model.r[j, c[j], t[j]] for j in arms) for c in model.C)
        for t in model.states.tolist()
    }
    Q = np.zeros((len(model.C), len(model.states)))
    for (a, c), (i, s) in itertools.product(enumerate(model.C), enumerate(model.states)):
        now = sum(model.r[j, c[j], s[j]] for j in arms)
        later = sum(np.prod([model.P[j, c[j], s[j], t[j]] for j in arms]) * best[t] for t in best)
        Q[a, i] = now + model.gamma * later
    return Q


def _updated(rng: np.random.Generator, scale: Scale, taus: tuple[float, ...]) -> Iterator[Case]:
    for case in itertools.islice(many(rng, scale), {"smoke": 40}.get(scale, 300)):
        n, tau = int(rng.integers(1, 40)), float(rng.choice(taus))
        yield case.with_values({"updates": n, "tau": tau})


def _learner(updates: int, tau: float) -> Case:
    case = example_case().with_values({"updates": updates, "tau": tau})
    return replace(case, rounding=1e-9)


def _steady(updates: int, tau: float) -> Case:
    model = one_state(np.array([1.0]))
    return Case({"model": model, "updates": updates, "tau": tau}, "one state that pays one")


def _broken_learner(*hypotheses: Hypothesis) -> dict[str, Case]:
    own = {
        "frozen": {"tau": 1.0},
        "follows": {"tau": 2.0},
        "copied": {"tau": 0.5},
        "updates": {"updates": 0},
    }
    case = _learner(30, 0.0)
    changed = {name: case.with_values(change) for name, change in own.items()}
    found = {**broken_of(case, hypotheses), **changed}
    return {h.name: found[h.name] for h in hypotheses}


UPDATES = Hypothesis("updates", "at least one update", lambda case: case["updates"] >= 1)
FROZEN = Hypothesis("frozen", "the target does not move", lambda case: case["tau"] == 0)
FOLLOWS = Hypothesis("follows", "0 <= tau <= 1", lambda case: 0 <= case["tau"] <= 1)
COPIED = Hypothesis("copied", "the target is copied", lambda case: case["tau"] == 1)


def _learned(case: Case) -> Array:
    return learned(case["model"], case["updates"], case["tau"])


def _target(
    name: str,
    statement: str,
    sides: tuple[Callable[[Case], object], Callable[[Case], object]],
    taus: tuple[float, ...],
    *hypotheses: Hypothesis,
    tight: Callable[[], Case],
    mutant: tuple[str, Callable[[Case], object]],
    witness: Callable[[], Case],
) -> Entry:
    theorem = Theorem(
        id=f"xu2025:{name}",
        statement=statement,
        source="Derived from the update rule of the public code",
        kind="identity" if taus == (0.0,) else "inequality",
        hypotheses=(*SETTING, UPDATES, *hypotheses),
        lhs=sides[0],
        rhs=sides[1],
    )
    return Entry(
        theorem=theorem,
        instances=lambda rng, scale: _updated(rng, scale, taus),
        tight=tight,
        tightness=0.99,
        mutant=theorem.mutant(statement=mutant[0], rhs=mutant[1]),
        broken=lambda: _broken_learner(*theorem.hypotheses),
        witness=witness,
    )


def _long_run(case: Case) -> Array:
    model: Coupled = case["model"]
    return model.q_values(model.discounted_optimum(), model.gamma)


def _drift(case: Case, power: float = 2.0) -> float:
    model: Coupled = case["model"]
    moved = 1.0 - (1.0 - case["tau"]) ** (case["updates"] - 1)
    return moved * model.gamma**power * float(model.joint[1].max()) / (1.0 - model.gamma)  # (4)


def _from_start(case: Case, extra: int = 0) -> float:
    model: Coupled = case["model"]
    start = float(np.abs(model.joint[1] - _long_run(case)).max())
    return model.gamma ** (case["updates"] + extra) * start  # (5)


LOOKAHEAD = _target(
    "lookahead",
    r"With a frozen target, $Q(s, a) = r(s, a) + \gamma \sum_{s'} P(s'|s, a) \max_{a' \in C} "
    r"r(s', a')$ after any number of updates: two steps of look-ahead",
    (_learned, lambda case: two_steps(case["model"])),  # (3)
    (0.0,),
    FROZEN,
    tight=lambda: _learner(30, 0.0),
    mutant=("it becomes the long-run value", _long_run),
    witness=lambda: _learner(30, 0.0),
)
SLOW_TARGET = _target(
    "slow_target",
    r"With rewards in $[0, R]$ and a target that follows by $\tau$, $Q$ after $n$ updates is "
    r"within $(1 - (1 - \tau)^{n-1}) \gamma^2 R / (1 - \gamma)$ of two steps of look-ahead",
    (lambda case: np.abs(_learned(case) - two_steps(case["model"])), _drift),
    (0.0, 1e-6, 0.01, 0.1, 1.0),
    FOLLOWS,
    POSITIVE,
    tight=lambda: _steady(60, 1.0),
    mutant=("discounted once more", lambda case: _drift(case, 3.0)),
    witness=lambda: _steady(60, 1.0),
)
MOVING_TARGET = _target(
    "moving_target",
    r"With a target copied after every update, $\|Q - Q^*\|_\infty \le \gamma^n "
    r"\|r - Q^*\|_\infty$",
    (lambda case: float(np.abs(_learned(case) - _long_run(case)).max()), _from_start),
    (1.0,),
    COPIED,
    tight=lambda: _steady(5, 1.0),
    mutant=("an update too many", lambda case: _from_start(case, 1)),
    witness=lambda: _steady(5, 1.0),
)
