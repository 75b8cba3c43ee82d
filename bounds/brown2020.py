r"""The fluid bound becomes the optimum as arms are copied and the budget grows with them.

Problem
-------
N copies of an arm with two states start in state 0; at each of H steps at most beta N of them are
pulled, an integer. The fluid bound per copy is W, for every N. What is the optimum per copy?

Algorithm
---------
Copies are exchangeable: the number k in state 1 is a state. With x_1 and x_0 pulls in the two
states, the next k is a sum of four binomial numbers. The oracle is backward induction on k.

Guarantee
---------
With sp the largest reward minus the smallest,

    0 <= W - V*_N / N <= sp [H (H - 1) / (4 sqrt(N)) + H (H + 1) / N].                       (1)

So if W > 0, bound / optimum tends to 1.

Proof. On the left, the flow of the copies under any policy, averaged, is feasible for W. On the
right, let W_h(m) be the fluid value of the last H - h steps from a share m in state 1. Moved mass
can copy the levels of its twin, so W_h is Lipschitz with (H - h) sp. From a share m = k / N take
the pulls of the fluid solution, each rounded down to a multiple of 1 / N: the change of at most
2 / N costs (H - h) sp times that, now and later. The next share has a mean absolute deviation of at
most 1 / (2 sqrt(N)), which costs (H - h - 1) sp times that. Sum over h. The right side says nothing
where it reaches H sp.

Cost
----
About H N^3 sums of N terms for the oracle, and one linear program.

Deviations
----------
The paper treats arms of several kinds and priority policies. Here the arms are alike, with two
states, the optimum itself is compared, and the constant is explicit; it is far from small. Only a
budget is meant: nothing is said about copies of schedules, walks or capacities.

References
----------
brown2020, for the order sqrt(N) of the whole loss; whittle1988, for the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bounds.case import Case
from bounds.restless_models import Array, Coupled, program_bound
from bounds.restless_setting import LAWS, PROGRAMS, broken_of
from bounds.theorem import Entry, Hypothesis, Scale, Theorem

LARGEST = 16


def _binomials(N: int, p: float) -> list[Array]:
    """Return the laws of the number of successes in 0..N trials."""
    laws = [np.ones(1)]
    for _ in range(N):
        laws.append(np.convolve(laws[-1], [1.0 - p, p]))
    return laws


def copies_optimum(model: Coupled, N: int) -> float:
    """Return the optimum of N copies of the one arm of a model, all in state 0 at first.

    Parameters
    ----------
    model : Coupled
        One arm, two states, two levels; its room is the share beta that can be pulled.
    N : int
        Number of copies; beta N is an integer.

    Returns
    -------
    float
    """
    P, r, B = model.P[0], model.r[0], round(float(model.room[0]) * N)
    laws = [[_binomials(N, float(P[n, s, 1])) for s in range(2)] for n in range(2)]

    def moved(s: int, k: int, x: int) -> Array:
        return np.convolve(laws[1][s][x], laws[0][s][k - x])

    options = []
    for k in range(N + 1):
        rows, gains = [], []
        for x1 in range(min(k, B) + 1):
            ones = moved(1, k, x1)
            for x0 in range(min(N - k, B - x1) + 1):
                rows.append(np.convolve(ones, moved(0, N - k, x0)))
                counts = np.array([[N - k - x0, k - x1], [x0, x1]])
                gains.append(float((counts * r).sum()))
        options.append((np.array(rows), np.array(gains)))
    V = np.zeros(N + 1)
    for _ in range(model.horizon):
        V = np.array([float((gains + rows @ V).max()) for rows, gains in options])
    return float(V[0])


def copied(P: Array, r: Array, beta: float, horizon: int, N: int, label: str) -> Case:
    """Return the case of N copies of an arm with laws P (L, S, S) and rewards r (L, S)."""
    model = Coupled(
        np.asarray(P)[None],
        np.asarray(r)[None],
        np.array([[0], [1]]),
        np.ones((1, 1)),
        np.array([beta]),
        np.array([[1.0, 0.0]]),
        horizon,
        0.5,
    )
    return Case({"model": model, "N": N}, label, PROGRAMS)


def _random(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range({"smoke": 12, "default": 60}.get(scale, 400)):
        P, r = rng.dirichlet([0.7, 0.7], (2, 2)), rng.random((2, 2))
        N = int(rng.choice([4, 8, LARGEST]))
        beta, horizon = float(rng.choice([0.25, 0.5, 0.75])), int(rng.integers(1, 5))
        yield copied(P, r, beta, horizon, N, f"random {i}, {N} copies")


def _by_chance() -> Case:
    """Return copies half of which, by chance, ask for the pulls at the second step."""
    P, r = np.full((2, 2, 2), 0.5), np.zeros((2, 2))
    r[1, 1] = 1.0
    return copied(P, r, 0.5, 2, 32, "32 copies that ask for 16 pulls by chance")


def gap(case: Case) -> float:
    """Return the fluid bound minus the optimum, per copy."""
    W = program_bound(case["model"], hull=False)
    return W - copies_optimum(case["model"], case["N"]) / case["N"]


def _spread(case: Case) -> float:
    return float(case["model"].r.max() - case["model"].r.min())


def _bound(case: Case) -> float:
    H, N = case["model"].horizon, case["N"]
    return _spread(case) * (H * (H - 1) / (4.0 * np.sqrt(N)) + H * (H + 1) / N)  # (1)


def _whole(case: Case) -> bool:
    pulls = float(case["model"].room[0]) * case["N"]
    return case["N"] >= 1 and 0 <= pulls <= case["N"] and abs(pulls - round(pulls)) < 1e-9


ALIKE = Hypothesis(
    "alike",
    "one kind of arm, with two states and two levels, that starts in state 0",
    lambda case: (
        case["model"].r.shape == (1, 2, 2) and case["model"].initial.tolist() == [[1.0, 0.0]]
    ),
)
WHOLE = Hypothesis("whole", "beta N is an integer from 0 to N", _whole)


def _broken() -> dict[str, Case]:
    case = _by_chance()
    late = replace(case["model"], initial=np.array([[0.0, 1.0]]))
    return broken_of(case, _copies.hypotheses) | {
        "alike": case.with_values({"model": late}),
        "whole": case.with_values({"N": 7}),
    }


_copies = Theorem(
    id="brown2020:copies",
    statement=r"$W - V^*_N / N \le \mathrm{sp}(r) (H (H - 1) / (4 \sqrt{N}) + "
    r"H (H + 1) / N)$ for $N$ copies of an arm with two states and the fluid bound $W$ per copy",
    source="Derived; the order in N is that of the paper",
    kind="inequality",
    hypotheses=(LAWS, ALIKE, WHOLE),
    lhs=gap,
    rhs=_bound,
    trivial=lambda case: case["model"].horizon * _spread(case),
)
COPIES = Entry(
    theorem=_copies,
    instances=_random,
    tight=_by_chance,
    tightness=0.1,
    mutant=_copies.mutant(statement="the fluid bound is the optimum", rhs=lambda case: 0.0),
    broken=_broken,
)
