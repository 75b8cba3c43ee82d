r"""No learner does better: lower bounds on the regret in dynamical linear bandits.

Problem
-------
How small can the regret of any learner be, on the worst system of a family?

Algorithm
---------
The family: one state, A = rho, omega = 1, theta = 0, B = b^T, arms [-1, 1]^d, from rest, Gaussian
noise of the state with standard deviation sigma, and b in {+-sigma / sqrt(T)}^d. The learner may
even see the state, and so z_t = <b, u_t> + eps_t. Here h = b / (1 - rho).

Guarantee
---------
Flipping the sign of b_i changes the law of T rounds by a divergence of at most
T (2 sigma / sqrt(T))^2 / (2 sigma^2) = 2, so by Bretagnolle and Huber every learner has, averaged
over the 2^d signs,

    E sum (J* - <h, u_t>) >= (e^{-2} / 8) d sigma sqrt(T) / (1 - rho).                      (1)

More exactly: given all other signs, what is seen of the i-th by round t can be simulated from
t - 1 observations of b_i plus noise, whatever arms in [-1, 1] are played (z = u z' + sqrt(1 - u^2)
noise). Guessing a sign from t - 1 such observations errs with probability at least
F(-sqrt((t - 1) / T)), F the Gaussian distribution function. The loss is linear in u, so

    E sum (J* - <h, u_t>) >= [2 d sigma / ((1 - rho) sqrt(T))] sum_{t=1}^T F(-sqrt((t - 1) / T)),
                                                                                            (2)

which is about 0.516 d sigma sqrt(T) / (1 - rho), thirty times (1), and attained for d = 1 by the
learner that plays the sign of the sum of z.

True regret, T J* - E sum y_t, is smaller by at most d sigma / ((1 - rho)^2 sqrt(T)). |J| <= 1 needs
T >= (d sigma / (1 - rho))^2.

Cost
----
A few hundred runs of a learner on the family.

Deviations
----------
The paper has a lower bound of order d sqrt(T) / (1 - rho)^{1/2}; its exponent is recalled, not
read. (1) and (2) are derived and stronger in rho. Learners are simulated: the right side of an
inequality is a mean over runs plus four standard errors.

References
----------
mussi2023, theorem 2.2; bretagnolle1979.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from bounds.case import Case
from bounds.dynamical_bandits import Array, Constants, System
from bounds.mussi2023_learners import play_blocks, play_epochs
from bounds.mussi2023_setting import ROUNDS
from bounds.theorem import Entry, Hypothesis, Rate, Scale, Theorem

Learner = Literal["sign", "oracle", "epochs", "blocks", "still"]
RUNS = 600
TIME_GRID = (32.0, 128.0, 512.0, 2048.0)
HORIZON_GRID = (2.0, 8.0, 32.0, 128.0)


def hard_system(b: Array, rho: float, sigma: float) -> System:
    """Return the member b of the family, its arms the vertices of the cube."""
    d = len(b)
    arms = np.array(list(itertools.product((-1.0, 1.0), repeat=d)))
    return System(np.array([[rho]]), b[None, :], np.ones(1), np.zeros(d), arms, sigma)


def simple_bound(d: int, rho: float, sigma: float, rounds: int) -> float:
    """Return (1)."""
    return math.exp(-2.0) / 8.0 * d * sigma * math.sqrt(rounds) / (1.0 - rho)  # (1)


def guessing_bound(d: int, rho: float, sigma: float, rounds: int) -> float:
    """Return (2).

    Parameters
    ----------
    d : int
        Dimension of the arms.
    rho, sigma : float
        Memory and noise of the state.
    rounds : int
        T.

    Returns
    -------
    float
        What every learner loses on average over the family.

    Examples
    --------
    >>> round(guessing_bound(1, 0.0, 1.0, 10_000) / 100, 3)
    0.516
    """
    from scipy.special import ndtr

    errors = ndtr(-np.sqrt(np.arange(rounds) / rounds)).sum()
    return float(2.0 * d * sigma / ((1.0 - rho) * math.sqrt(rounds)) * errors)  # (2)


def losses(
    learner: Learner,
    d: int,
    rho: float,
    sigma: float,
    rounds: int,
    rng: np.random.Generator,
    runs: int = RUNS,
) -> Array:
    """Return the sum of the gaps in each run, b drawn uniformly from the family.

    Parameters
    ----------
    learner : {"sign", "oracle", "epochs", "blocks", "still"}
        Signs of the sum of z (d = 1 only); optimism with the state seen; the learner of one
        sample per epoch; that of rarely changing arms; the arm zero.
    d, rho, sigma, rounds
        The family.
    rng : numpy.random.Generator
        Draws signs and noise.
    runs : int
        Number of runs; the epoch and the block learner take a twentieth.

    Returns
    -------
    (runs,) ndarray
        Losses.
    """
    size = sigma / math.sqrt(rounds)
    if learner in ("epochs", "blocks"):
        return _plain(learner, d, rho, sigma, rounds, rng, max(2, runs // 20))
    b = size * (2.0 * rng.integers(0, 2, (runs, d)) - 1.0)
    if learner == "still":
        return rounds * np.abs(b).sum(axis=1) / (1.0 - rho)
    if learner == "sign":
        z = b + sigma * rng.normal(size=(runs, rounds - 1))
        seen = np.hstack([np.zeros((runs, 1)), np.cumsum(z, axis=1)])
        right = np.sign(seen) * np.sign(b)
        return (size / (1.0 - rho)) * (1.0 - right).sum(axis=1)
    return _oracle(b, rho, sigma, rounds, rng)


def _plain(
    learner: Learner,
    d: int,
    rho: float,
    sigma: float,
    rounds: int,
    rng: np.random.Generator,
    runs: int,
) -> Array:
    found = np.empty(runs)
    for i in range(runs):
        b = sigma / math.sqrt(rounds) * (2.0 * rng.integers(0, 2, d) - 1.0)
        system = hard_system(b, rho, sigma)
        c = Constants.of(system, rho=rho, delta=1.0 / rounds)
        play = play_epochs if learner == "epochs" else play_blocks
        found[i] = play(system, c, rounds, rng).regret
    return found


def _oracle(b: Array, rho: float, sigma: float, rounds: int, rng: np.random.Generator) -> Array:
    """Play optimistically on z, for all rows of b (runs, d) at once."""
    runs, d = b.shape
    arms = np.array(list(itertools.product((-1.0, 1.0), repeat=d)))
    inverse = np.broadcast_to(np.eye(d), (runs, d, d)).copy()
    seen, loss = np.zeros((runs, d)), np.zeros(runs)
    prior = sigma * math.sqrt(d / rounds)
    every = np.arange(runs)
    for t in range(rounds):
        beta = prior + sigma * math.sqrt(2.0 * math.log(rounds) + d * math.log1p(t))
        estimate = np.einsum("rij,rj->ri", inverse, seen)
        width = np.sqrt(np.einsum("ki,rij,kj->rk", arms, inverse, arms))
        u = arms[np.argmax(estimate @ arms.T + beta * width, axis=1)]
        loss += np.abs(b).sum(axis=1) - (b * u).sum(axis=1)
        z = (b * u).sum(axis=1) + sigma * rng.normal(size=runs)
        seen += u * z[:, None]
        v = np.einsum("rij,rj->ri", inverse, u)
        inverse -= v[:, :, None] * v[:, None, :] / (1.0 + (u * v).sum(axis=1))[every, None, None]
    return loss / (1.0 - rho)


# ------------------------------------------------------------------------- inequalities


def _family(case: Case) -> tuple[int, float, float, int]:
    return case["d"], case["rho"], case["sigma"], case["rounds"]


def _mean_loss(case: Case) -> float:
    rng = np.random.default_rng(case["seed"])
    found = losses(case["learner"], *_family(case), rng, case["runs"])
    return float(found.mean() + 4.0 * found.std(ddof=1) / math.sqrt(len(found)))


def _case(learner: Learner, d: int, rho: float, sigma: float, rounds: int, seed: int = 0) -> Case:
    values = {
        "learner": learner,
        "d": d,
        "rho": rho,
        "sigma": sigma,
        "rounds": rounds,
        "seed": seed,
        "runs": RUNS,
    }
    return Case(values, f"{learner}, d = {d}, rho = {rho:g}, T = {rounds}")


def _learners(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    everyone: tuple[Learner, ...] = ("sign", "oracle", "epochs", "blocks", "still")
    for learner in everyone:
        for d in (1,) if learner == "sign" else (1, 2):
            rho = float(rng.choice([0.2, 0.5, 0.8]))
            seed = int(rng.integers(0, 2**31))
            yield _case(learner, d, rho, 0.1, 200, seed)


def _best() -> Case:
    return _case("sign", 1, 0.5, 0.1, 200).with_values({"runs": 20_000})


_RHO = Hypothesis("rho", "0 < rho < 1", lambda case: bool(0.0 < case["rho"] < 1.0))
_NOISE = Hypothesis("noise", "sigma > 0", lambda case: bool(case["sigma"] > 0.0))
_SMALL = Hypothesis(
    "small",
    "T >= (d sigma / (1 - rho))^2, so that |J| <= 1",
    lambda case: bool(case["rounds"] >= (case["d"] * case["sigma"] / (1.0 - case["rho"])) ** 2),
)
_HYPOTHESES = (_RHO, _NOISE, ROUNDS, _SMALL)


def _broken() -> dict[str, Case]:
    return {
        "rho": _best().with_values({"rho": 1.0}),
        "noise": _best().with_values({"sigma": 0.0}),
        "rounds": _best().with_values({"rounds": 0}),
        "small": _best().with_values({"sigma": 100.0}),
    }


_simple = Theorem(
    id="mussi2023:lower_bound",
    statement=r"Every learner loses at least $(e^{-2} / 8) d \sigma \sqrt{T} / (1 - \rho)$ on "
    "average over the family of signs",
    source="Derived; stronger in the spectral radius than theorem 2.2 as recalled",
    kind="inequality",
    hypotheses=_HYPOTHESES,
    lhs=lambda case: simple_bound(*_family(case)),
    rhs=_mean_loss,
)
LOWER_BOUND = Entry(
    theorem=_simple,
    instances=_learners,
    tight=_best,
    tightness=0.027,
    mutant=_simple.mutant(
        statement="another factor 1 / (1 - rho)",
        lhs=lambda case: simple_bound(*_family(case)) / (1.0 - case["rho"]),
    ),
    broken=_broken,
    witness=lambda: _case("sign", 1, 0.99, 0.1, 200),
)

_guessing = Theorem(
    id="mussi2023:guessing_bound",
    statement=r"Every learner loses at least $2 d \sigma / ((1 - \rho) \sqrt{T}) "
    r"\sum_t F(-\sqrt{(t - 1) / T})$ on average over the family of signs, and one with "
    "$d = 1$ loses no more",
    source="Derived: guessing a sign from Gaussian observations",
    kind="inequality",
    hypotheses=_HYPOTHESES,
    lhs=lambda case: guessing_bound(*_family(case)),
    rhs=_mean_loss,
)
GUESSING_BOUND = Entry(
    theorem=_guessing,
    instances=_learners,
    tight=_best,
    tightness=0.95,
    mutant=_guessing.mutant(
        statement="half as much again", lhs=lambda case: 1.5 * guessing_bound(*_family(case))
    ),
    broken=_broken,
)


# -------------------------------------------------------------------------------- rates


def _draw_mean(case: Case, rng: np.random.Generator) -> Case:
    found = losses(case["learner"], *_family(case), rng, runs=30)
    return case.with_values({"mean": float(found.mean())})


def _at_rounds(case: Case, x: float) -> Case:
    return case.with_values({"rounds": int(x)})


def _at_memory(case: Case, x: float) -> Case:
    return case.with_values({"rho": 1.0 - 1.0 / x})


_by_rounds = Rate("T", -0.5, _at_rounds, lambda case: TIME_GRID, tolerance=0.05)
_by_memory = Rate("1 / (1 - rho)", -0.5, _at_memory, lambda case: HORIZON_GRID, tolerance=0.05)
_rate = Theorem(
    id="mussi2023:lower_rate_rounds",
    statement=r"The least regret of any learner is at least of order $\sqrt{T}$: its inverse is "
    r"$O(T^{-1/2})$",
    source="Theorem 2.2",
    kind="rate",
    hypotheses=_HYPOTHESES,
    lhs=lambda case: 1.0 / case["mean"],
    rhs=lambda case: case["rounds"] ** -0.5,
    sample=_draw_mean,
    rate=_by_rounds,
    constants="universal",
)
LOWER_RATE_ROUNDS = Entry(
    theorem=_rate,
    instances=lambda rng, scale: [_best()],
    tight=_best,
    tightness=-0.55,
    mutant=_rate.mutant(statement="linear in T", rate=replace(_by_rounds, exponent=-1.0)),
    broken=_broken,
)

_memory = replace(
    _rate,
    id="mussi2023:lower_rate_memory",
    statement=r"The least regret of any learner is at least of order $(1 - \rho)^{-1/2}$; on this "
    r"family it is of order $(1 - \rho)^{-1}$",
    source="Theorem 2.2 as recalled, not read: exponent 1/2",
    rhs=lambda case: (1.0 - case["rho"]) ** 0.5,
    rate=_by_memory,
)
LOWER_RATE_MEMORY = Entry(
    theorem=_memory,
    instances=lambda rng, scale: [_best()],
    tight=_best,
    tightness=-1.05,
    mutant=_memory.mutant(
        statement="of order (1 - rho)^(-3/2)", rate=replace(_by_memory, exponent=-1.5)
    ),
    broken=_broken,
)
