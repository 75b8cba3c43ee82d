r"""What errors of regression and of integer programs cost a policy on joint states.

Problem
-------
Fitted iteration makes an error e_k in every regression, and the program that acts stops at a
relative gap g: its action has at least max Q - g ``|max Q|``. What does the policy lose?

Algorithm
---------
With T the optimality operator of the joint model, on values or on Q,

    V_{k+1} = T V_k + e_k,     Q_{k+1} = T Q_k + e_k,     Q_h = r + P max Q_{h+1} + e_h,

and the policy is greedy in V_n, or acts in the last Q within the gap.

Guarantee
---------
    V* - V^pi <= 2 gamma / (1 - gamma) [sum_k gamma^(n-1-k) ||e_k|| + gamma^n ||V* - V_0||]  (1)
    V* - V^pi <= [2 sum_k gamma^(n-1-k) ||e_k|| + 2 gamma^n ||Q* - Q_0|| + g ||max Q_n||]
                 / (1 - gamma)                                                              (2)
    V*_h - V^pi_h <= sum_{k >= h} [2 ||e_k|| + g ||max Q_k||]    for the finite horizon      (3)
    V*_h - V^pi_h <= (1 - (1 - g)^(H-h)) V*_h    if Q is exact and no reward is negative     (4)

If all ``||e_k||`` are at most epsilon, (1) becomes 2 gamma epsilon / (1 - gamma)^2 plus what is
left of the start.

(1): the bracket bounds ||V* - V_n||, by contraction; a greedy policy loses 2 gamma / (1 - gamma)
times that. (2): a policy whose action lacks at most t in Q_n lacks 2 ||Q_n - Q*|| + t in Q*, at
each step. (3): ``|max Q_h - V*_h|`` and max Q_h - V^pi_h each collect one error a step, the
latter also the gap. (4): by induction backwards, V^pi_h >= r + (1 - g)^(H-h-1) P V*_{h+1}
>= (1 - g)^(H-h-1) Q*_h(s, pi). All four are attained.

Cost
----
The oracle lists joint states.

Deviations
----------
(1) is published as a limit for n to infinity; the finite form, (2), (3) and (4) are derived here.
No norm but the largest entry is used.

References
----------
munos2007, for (1); singh1994, the loss of a greedy policy; xu2025, programs that stop at a gap.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from bounds.case import Case
from bounds.restless_models import Array, Coupled, greedy
from bounds.restless_setting import (
    ACTIONS,
    DISCOUNT,
    LAWS,
    POSITIVE,
    broken_of,
    many,
    one_state,
)
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def _finite_gap(case: Case) -> bool:
    return 0 <= case["share"] <= 1


GAP = Hypothesis("gap", "the relative gap is in [0, 1]", _finite_gap)


def _fits(shape: Callable[[Coupled], tuple[int, ...]]) -> Callable[[Case], bool]:
    def check(case: Case) -> bool:
        errors, wanted = np.shape(case["errors"]), shape(case["model"])
        return errors[1:] == wanted and errors[0] >= 1 and np.shape(case["start"]) == wanted

    return check


def _per_state(model: Coupled) -> tuple[int, ...]:
    return (len(model.states),)


def _per_action(model: Coupled) -> tuple[int, ...]:
    return (len(model.C), len(model.states))


def within_gap(Q: Array, share: float) -> Array:
    """Return the policy of the last action within a relative gap of the best, (..., n, A)."""
    return greedy(Q, share * np.abs(Q.max(-2))[..., None])


def _optimal_pairs(model: Coupled) -> Array:
    return model.q_values(model.discounted_optimum(), model.gamma)


def _sum(case: Case) -> float:
    """Return the discounted sum of the largest errors."""
    sizes = [float(np.abs(e).max()) for e in case["errors"]]
    n = len(sizes)
    return sum(case["model"].gamma ** (n - 1 - k) * size for k, size in enumerate(sizes))


def _start(case: Case, optimum: Array) -> float:
    left = case["model"].gamma ** len(case["errors"])
    return left * float(np.abs(optimum - case["start"]).max())


# --------------------------------------------------------------------- errors of values


def _loss_of_values(case: Case) -> Array:
    model: Coupled = case["model"]
    V = case["start"]
    for e in case["errors"]:
        V = model.operator(V) + e
    policy = greedy(model.q_values(V, model.gamma))
    return model.discounted_optimum() - model.discounted_value(policy)


def _bound_of_values(case: Case, times: float = 2.0) -> float:
    gamma = case["model"].gamma
    bracket = _sum(case) + _start(case, case["model"].discounted_optimum())
    return times * gamma / (1.0 - gamma) * bracket  # (1)


def _noisy(
    shape: Callable[[Coupled], tuple[int, ...]], optimum: Callable[[Coupled], Array]
) -> Callable[[np.random.Generator, Scale], Iterator[Case]]:
    def instances(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
        for case in itertools.islice(many(rng, scale), {"smoke": 60}.get(scale, 4000)):
            n, size = int(rng.integers(1, 8)), 10.0 ** rng.uniform(-3, 0)
            wanted = shape(case["model"])
            errors = size * rng.uniform(-1.0, 1.0, (n, *wanted))
            share = float(rng.choice([0.0, 0.02, 0.2]))
            near = optimum(case["model"]) + size * rng.uniform(-1.0, 1.0, wanted)
            start = near if rng.random() < 0.8 else rng.normal(0.0, 1.0, wanted)
            yield case.with_values({"errors": errors, "start": start, "share": share})

    return instances


def _two_places() -> Case:
    """Return an arm that is paid for staying, and an error that makes leaving look as good."""
    P = np.zeros((1, 2, 2, 2))
    P[0, 0, :, 0] = P[0, 1, :, 1] = 1.0
    r = np.array([[[0.25, 0.25], [0.0, 0.0]]])
    rows, room, initial = np.ones((1, 1)), np.ones(1), np.array([[1.0, 0.0]])
    model = Coupled(P, r, np.array([[0], [1]]), rows, room, initial, 3, 0.5)
    values = {"errors": np.array([[-0.25, 0.25]]), "start": np.full(2, 0.5)}
    return Case({"model": model, **values}, "paid for the level that looks no better")


VALUES = Hypothesis("errors", "an error and a start for every state", _fits(_per_state))
PAIRS = Hypothesis("errors", "an error and a start for every pair", _fits(_per_action))
STEPS = Hypothesis(
    "errors",
    "an error for every step and pair",
    lambda case: np.shape(case["errors"]) == (case["model"].horizon, *_per_action(case["model"])),
)


def _broken(case: Case, theorem: Theorem) -> dict[str, Case]:
    found = broken_of(case, theorem.hypotheses)
    own = {"errors": {"errors": np.zeros((1, 7))}, "gap": {"share": 2.0}}
    names = {h.name for h in theorem.hypotheses}
    return found | {k: case.with_values(v) for k, v in own.items() if k in names}


_propagation = Theorem(
    id="munos2007:propagation",
    statement=r"$V^* - V^\pi \le \frac{2 \gamma}{1 - \gamma} (\sum_k \gamma^{n-1-k} "
    r"\|e_k\|_\infty + \gamma^n \|V^* - V_0\|_\infty)$ for $\pi$ greedy in $V_n$, "
    r"$V_{k+1} = T V_k + e_k$ on joint states",
    source="The bound in the largest norm that the paper starts from, for finite n",
    kind="inequality",
    hypotheses=(LAWS, ACTIONS, DISCOUNT, VALUES),
    lhs=_loss_of_values,
    rhs=_bound_of_values,
)
PROPAGATION = Entry(
    theorem=_propagation,
    instances=_noisy(_per_state, Coupled.discounted_optimum),
    tight=_two_places,
    tightness=0.99,
    mutant=_propagation.mutant(
        statement="an error counts once", rhs=lambda case: _bound_of_values(case, 1.0)
    ),
    broken=lambda: _broken(_two_places(), _propagation),
)


# --------------------------------------------------------------- errors of Q, and the gap


def _fitted(case: Case) -> Array:
    model: Coupled = case["model"]
    Q = case["start"]
    for e in case["errors"]:
        Q = model.q_values(Q.max(0), model.gamma) + e
    return Q


def _loss_of_pairs(case: Case) -> Array:
    model: Coupled = case["model"]
    policy = within_gap(_fitted(case), case["share"])
    return model.discounted_optimum() - model.discounted_value(policy)


def _bound_of_pairs(case: Case, gap: float = 1.0) -> float:
    model: Coupled = case["model"]
    optimum = _optimal_pairs(model)
    lack = gap * case["share"] * float(np.abs(_fitted(case).max(0)).max())
    return (2.0 * (_sum(case) + _start(case, optimum)) + lack) / (1.0 - model.gamma)  # (2)


def _two_levels() -> Case:
    """Return one state with Q* = (2, 1), seen as (1.75, 1.25): a gap of two sevenths."""
    values = {
        "model": one_state(np.array([1.0, 0.0])),
        "errors": np.array([[[-0.25], [0.25]]]),
        "start": np.array([[2.0], [1.0]]),
        "share": 2.0 / 7.0,
    }
    return Case(values, "one state, the worse level within the gap")


_pairs = Theorem(
    id="munos2007:fitted_gap",
    statement=r"$V^* - V^\pi \le (2 \sum_k \gamma^{n-1-k} \|e_k\|_\infty + 2 \gamma^n "
    r"\|Q^* - Q_0\|_\infty + g \|\max Q_n\|_\infty) / (1 - \gamma)$ for actions within the "
    r"relative gap $g$ in $Q_n$, $Q_{k+1} = T Q_k + e_k$",
    source="Derived",
    kind="inequality",
    hypotheses=(LAWS, ACTIONS, DISCOUNT, PAIRS, GAP),
    lhs=_loss_of_pairs,
    rhs=_bound_of_pairs,
)
FITTED_GAP = Entry(
    theorem=_pairs,
    instances=_noisy(_per_action, _optimal_pairs),
    tight=_two_levels,
    tightness=0.99,
    mutant=_pairs.mutant(
        statement="the gap costs nothing", rhs=lambda case: _bound_of_pairs(case, 0.0)
    ),
    broken=lambda: _broken(_two_levels(), _pairs),
)


# ------------------------------------------------------------------------ finite horizon


def _backward(case: Case) -> Array:
    """Return Q_h of all steps, (H, A, n)."""
    model: Coupled = case["model"]
    Q, V = [], np.zeros(len(model.states))
    for e in case["errors"][::-1]:
        Q.append(model.q_values(V) + e)
        V = Q[-1].max(0)
    return np.array(Q[::-1])


def _losses(case: Case) -> Array:
    model: Coupled = case["model"]
    policy = within_gap(_backward(case), case["share"])
    return (model.optimum() - model.value(policy))[:-1]


def _bounds(case: Case, times: float = 2.0) -> Array:
    lack = case["share"] * np.abs(_backward(case).max(1)).max(1)
    errors = np.abs(case["errors"]).max((1, 2))
    return np.cumsum((times * errors + lack)[::-1])[::-1][:, None]  # (3)


def _stepwise(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for case in many(rng, scale):
        model: Coupled = case["model"]
        size, share = 10.0 ** rng.uniform(-3, 0), float(rng.choice([0.0, 0.02, 0.2]))
        errors = size * rng.uniform(-1.0, 1.0, (model.horizon, *_per_action(model)))
        yield case.with_values({"errors": errors, "share": share})


def _tied() -> Case:
    values = {
        "model": one_state(np.array([0.5, 0.0])),
        "errors": np.tile(np.array([[-0.25], [0.25]]), (3, 1, 1)),
        "share": 0.0,
    }
    return Case(values, "one state, the worse level tied at every step")


_finite = Theorem(
    id="munos2007:fitted_finite",
    statement=r"$V^*_h - V^\pi_h \le \sum_{k \ge h} (2 \|e_k\|_\infty + g \|\max Q_k\|_\infty)$ "
    r"for actions within the relative gap $g$ in $Q_h = r + P \max Q_{h+1} + e_h$",
    source="Derived",
    kind="inequality",
    hypotheses=(LAWS, ACTIONS, STEPS, GAP),
    lhs=_losses,
    rhs=_bounds,
)
FITTED_FINITE = Entry(
    theorem=_finite,
    instances=_stepwise,
    tight=_tied,
    tightness=0.99,
    mutant=_finite.mutant(statement="an error counts once", rhs=lambda case: _bounds(case, 1.0)),
    broken=lambda: _broken(_tied(), _finite),
)


# ---------------------------------------------------------------------- exact Q and a gap


def _gap_losses(case: Case) -> Array:
    model: Coupled = case["model"]
    V = model.optimum()
    Q = np.array([model.q_values(later) for later in V[1:]])
    return (V - model.value(within_gap(Q, case["share"])))[:-1]


def _gap_bounds(case: Case) -> Array:
    model: Coupled = case["model"]
    left = model.horizon - np.arange(model.horizon)
    return (1.0 - (1.0 - case["share"]) ** left)[:, None] * model.optimum()[:-1]  # (4)


def _stopped(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for case in many(rng, scale):
        yield case.with_values({"share": float(rng.choice([0.02, 0.1, 0.5]))})


def _leaky_ladder() -> Case:
    """Return three steps to a reward of one, each of which loses a quarter for the lazy."""
    g, P, r = 0.25, np.zeros((1, 2, 4, 4)), np.zeros((1, 2, 4))
    for s in range(4):
        P[0, 0, s, min(s + 1, 3)] = 1.0
        P[0, 1, s, min(s + 1, 3)] = 1.0 - g
        P[0, 1, s, 3] += g
    r[0, :, 2] = 1.0, 1.0 - g
    rows, room, initial = np.ones((1, 1)), np.ones(1), np.eye(4)[:1]
    model = Coupled(P, r, np.array([[0], [1]]), rows, room, initial, 3, 0.5)
    return Case({"model": model, "share": g}, "a quarter lost at each of three steps")


_gap = Theorem(
    id="munos2007:program_gap",
    statement=r"$V^*_h - V^\pi_h \le (1 - (1 - g)^{H-h}) V^*_h$ for actions within the relative "
    r"gap $g$ in $Q^*_h$, without negative rewards",
    source="Derived",
    kind="inequality",
    hypotheses=(LAWS, ACTIONS, POSITIVE, GAP),
    lhs=_gap_losses,
    rhs=_gap_bounds,
)
PROGRAM_GAP = Entry(
    theorem=_gap,
    instances=_stopped,
    tight=_leaky_ladder,
    tightness=0.99,
    mutant=_gap.mutant(
        statement="the gap is lost once",
        rhs=lambda case: case["share"] * case["model"].optimum()[:-1],
    ),
    broken=lambda: _broken(_leaky_ladder(), _gap),
)
