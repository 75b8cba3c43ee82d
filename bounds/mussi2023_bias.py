r"""How far the state is from rest when an epoch's reward is kept, and what all epochs add up to.

Problem
-------
Epoch m holds an arm 1 + H_m rounds and keeps the last reward. What is left of the past in it, and
do the remainders add up?

Algorithm
---------
The paper takes H_m = floor(log m / log(1/rho)); rounding up is the alternative.

Guarantee
---------
Without noise, from a state of norm at most X,

    |y - <h, u>| = |omega^T A^{H_m} (x - (I - A)^{-1} B u)| <= (c1 / U) rho^{H_m},
    c1 = U Omega Phi (U B / (1 - rho) + X).                                                 (1)

Rounding up gives rho^{H_m} <= 1 / m; rounding down only rho^{H_m} < 1 / (rho m). So, with e = 0 if
rounded up and e = 1 if rounded down,

    sum_{m <= M} rho^{H_m} <= rho^{-e} (1 + log M),                                         (2)
    sum_{m <= M} rho^{2 H_m} <= rho^{-2e} pi^2 / 6.                                         (3)

Cost
----
One run; the sums are taken stretch by stretch of constant H.

Deviations
----------
The published radius has log(e (t + 1)) in the place of the first sum. Rounded up, that is right.
Rounded down, as published, the sum grows like (1/rho - 1) / log(1/rho) times log M: for rho = 0.2
and 100 000 epochs it is 28.3 against 14.5. This is the mutant of (2). The proof in the paper was
not at hand; only the algorithm and the radius were.

References
----------
mussi2023, algorithm 1 and theorem 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bounds.case import Case
from bounds.dynamical_bandits import Array, Constants
from bounds.mussi2023_learners import bias_sums, n_epochs, patience, play_epochs
from bounds.mussi2023_setting import (
    BOUNDED,
    GROWTH,
    NORMS,
    ROUNDS,
    STABLE,
    broken_of,
    case_of,
    draw_system,
    scalar_system,
)
from bounds.random_models import FEW
from bounds.theorem import Entry, Hypothesis, Scale, Theorem


def _biases(case: Case) -> Array:
    """Return the size of the bias of every epoch when the arms are played in turn."""
    run = play_epochs(
        case["system"],
        case["constants"],
        case["rounds"],
        np.random.default_rng(0),
        rounding=case["rounding"],
        forced=True,
    )
    return np.abs(run.bias)


def _bias_bounds(case: Case, *, rest: bool = True) -> Array:
    c: Constants = case["constants"]
    M = len(_biases(case))
    H = np.array([patience(m, c.rho, case["rounding"]) for m in range(1, M + 1)])
    scale = c.c1 / c.U if rest else c.Omega * c.Phi * c.X
    return scale * c.rho**H  # (1)


def _silent(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(6 * FEW[scale]):
        n, d = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        system = draw_system(rng, n, d, sigma=0.0, rho=float(rng.uniform(0.1, 0.9)))
        rounding = "ceil" if i % 2 else "floor"
        yield case_of(system, 400, f"random {i}", extra={"rounding": rounding})


def _flipping() -> Case:
    """Arms +1 and -1 in turn: every epoch begins near the wrong end."""
    system = scalar_system(0.1)
    case = case_of(system, 400, "arms +1 and -1 in turn", extra={"rounding": "floor"})
    return case.with_values({"constants": Constants.of(system, rho=0.1)})


_bias = Theorem(
    id="mussi2023:epoch_bias",
    statement=r"The last reward of epoch $m$ is biased by at most $(c_1 / U) \rho^{H_m}$",
    source="Derived; behind the first term of the radius of theorem 3.1",
    kind="inequality",
    hypotheses=(STABLE, GROWTH, NORMS, BOUNDED, ROUNDS),
    lhs=_biases,
    rhs=_bias_bounds,
)
EPOCH_BIAS = Entry(
    theorem=_bias,
    instances=_silent,
    tight=_flipping,
    tightness=0.99,
    mutant=_bias.mutant(
        statement="only the state is left over, not the rest it moves to",
        rhs=lambda case: _bias_bounds(case, rest=False),
    ),
    broken=lambda: broken_of(_flipping(), _bias.hypotheses),
)


# --------------------------------------------------------------------------- the sums

_RHO = Hypothesis("rho", "0 < rho < 1", lambda case: bool(0.0 < case["rho"] < 1.0))
_EPOCHS = Hypothesis("epochs", "M >= 1", lambda case: bool(case["M"] >= 1))


def _schedules(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for rounding in ("ceil", "floor"):
        for rho in (0.02, 0.2, 0.5, 0.9, 0.999, *rng.uniform(0.01, 0.99, 2 * FEW[scale])):
            M = int(10 ** rng.uniform(1, 5))
            yield _schedule(float(rho), M, rounding)


def _schedule(rho: float, M: int, rounding: str) -> Case:
    values = {"rho": rho, "M": M, "rounding": rounding}
    return Case(values, f"rho = {rho:.3g}, {M} epochs, {rounding}")


def _slack(case: Case) -> float:
    return case["rho"] ** -1.0 if case["rounding"] == "floor" else 1.0


def _published(case: Case) -> float:
    """Return log(e (t + 1)) with t the rounds of M epochs of the published schedule."""
    M, rho = case["M"], case["rho"]
    t = sum(1 + patience(m, rho, "floor") for m in range(1, M + 1))
    assert n_epochs(t, rho, "floor") == M
    return math.log(math.e * (t + 1))


def _broken_schedule() -> dict[str, Case]:
    return {"rho": _schedule(1.0, 10, "ceil"), "epochs": _schedule(0.5, 0, "ceil")}


_sum = Theorem(
    id="mussi2023:bias_sum",
    statement=r"$\sum_{m \le M} \rho^{H_m} \le 1 + \log M$ if $H_m$ is rounded up, and "
    r"$1 / \rho$ times that if it is rounded down",
    source="Derived; stands for the logarithm in the radius of theorem 3.1",
    kind="inequality",
    hypotheses=(_RHO, _EPOCHS),
    lhs=lambda case: bias_sums(case["M"], case["rho"], case["rounding"])[0],
    rhs=lambda case: _slack(case) * (1.0 + math.log(case["M"])),  # (2)
)
BIAS_SUM = Entry(
    theorem=_sum,
    instances=_schedules,
    tight=lambda: _schedule(0.5, 1, "ceil"),
    tightness=0.99,
    mutant=_sum.mutant(statement="rounded down, at most log(e (t + 1))", rhs=_published),
    broken=_broken_schedule,
    witness=lambda: _schedule(0.2, 100_000, "floor"),
)

_squares = Theorem(
    id="mussi2023:bias_square_sum",
    statement=r"$\sum_m \rho^{2 H_m} \le \pi^2 / 6$ if $H_m$ is rounded up, and $1 / \rho^2$ "
    "times that if it is rounded down",
    source="Derived; why the certified radius does not grow with T",
    kind="inequality",
    hypotheses=(_RHO, _EPOCHS),
    lhs=lambda case: bias_sums(case["M"], case["rho"], case["rounding"])[1],
    rhs=lambda case: _slack(case) ** 2 * math.pi**2 / 6.0,  # (3)
)
BIAS_SQUARE_SUM = Entry(
    theorem=_squares,
    instances=_schedules,
    tight=lambda: _schedule(0.9999, 1_000_000, "ceil"),
    tightness=0.99,
    mutant=_squares.mutant(
        statement="rounded down, at most pi^2 / 6", rhs=lambda case: math.pi**2 / 6.0
    ),
    broken=_broken_schedule,
    witness=lambda: _schedule(0.2, 100_000, "floor"),
)
