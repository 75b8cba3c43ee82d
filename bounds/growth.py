"""Judge rates: how fast a quantity may grow with n, or with the horizon.

Problem
-------
lhs <= C x^exponent for an unspecified constant C and all x of a range. Decide from replicates on
a grid.

Algorithm
---------
At each x the chosen quantile of lhs over the replicates is taken; the slope of its logarithm on
log x is fitted by least squares, with a bootstrap interval [low, high] over replicates:

    HOLDS    if high <= exponent + tolerance,                                               (1)
    VIOLATED if low > exponent + tolerance,                                                 (2)

and otherwise INCONCLUSIVE. The tolerance belongs to the finite grid, where terms of lower order
still bend the line, so it enters both comparisons.

Guarantee
---------
Statistical only: a rate is a statement about a limit, and a finite grid cannot refute it.

Cost
----
n_runs draws per grid point.

Deviations
----------
None.

References
----------
None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bounds.deterministic import sides
from bounds.probability import generator
from bounds.subject import Subject
from bounds.theorem import Rate, Theorem
from bounds.verdict import Outcome, Verdict, Worst
from mdplib.statistics import Interval, slope_fit


@dataclass(frozen=True)
class Fit:
    """Slope on one instance, and the largest observed constant in front of the rate."""

    instance: Subject
    slope: Interval
    constant: float


def measure(
    theorem: Theorem, instance: Subject, x: float, n_runs: int, seed: int, key: tuple[int, ...]
) -> tuple[np.ndarray, float]:
    """Return the replicates of the left side at one grid point, and the right side there.

    Parameters
    ----------
    theorem : Theorem
        Rate statement.
    instance : Instance or Case
        Satisfies the hypotheses.
    x : float
        Value of the variable.
    n_runs : int
        Number of replicates.
    seed : int
        Entropy of the streams.
    key : tuple of int
        Address of the grid point among the streams.

    Returns
    -------
    values : (n_runs,) float64
        Largest entry of the left side, per replicate.
    shape : float
        Right side: the rate without its constant.
    """
    assert theorem.sample is not None
    assert theorem.rate is not None
    there = theorem.rate.at(instance, x)
    values = np.empty(n_runs)
    shape = 1.0
    for i in range(n_runs):
        lhs, rhs = sides(theorem, theorem.sample(there, generator(seed, *key, i)))
        values[i] = float(lhs.max())
        shape = float(rhs.max())
    return values, shape


def fit(
    theorem: Theorem, instance: Subject, number: int, seed: int, n_runs: int, confidence: float
) -> Fit:
    """Fit the slope on one instance.

    Parameters
    ----------
    theorem : Theorem
        Rate statement.
    instance : Instance or Case
        Satisfies the hypotheses.
    number : int
        Address of the instance among the streams.
    seed : int
        Entropy of the streams.
    n_runs : int
        Replicates per point.
    confidence : float
        Of the bootstrap interval.

    Returns
    -------
    Fit
        Slope and constant.
    """
    assert theorem.rate is not None
    rate: Rate = theorem.rate
    grid = [float(x) for x in rate.grid(instance)]
    rows = [measure(theorem, instance, x, n_runs, seed, (number, j)) for j, x in enumerate(grid)]
    values = np.array([row for row, _ in rows])
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    slope = slope_fit(
        np.log(grid),
        logs,
        generator(seed, number, len(grid)),
        confidence=confidence,
        quantile=rate.quantile,
    )
    quantiles = np.quantile(values, rate.quantile, axis=1, method="higher")
    constant = float(np.max(quantiles / np.array([shape for _, shape in rows])))
    return Fit(instance, slope, constant)


def judge(
    theorem: Theorem,
    instances: Sequence[Subject],
    blank: Verdict,
    seed: int,
    n_runs: int,
    confidence: float,
) -> tuple[Verdict, Subject]:
    """Return the verdict on a rate, and its worst instance.

    Parameters
    ----------
    theorem : Theorem
        Rate statement.
    instances : sequence of Instance or Case
        They satisfy the hypotheses.
    blank : Verdict
        To be filled in.
    seed : int
        Entropy of the streams.
    n_runs : int
        Replicates per grid point.
    confidence : float
        Of the whole decision.

    Returns
    -------
    verdict : Verdict
        HOLDS, VIOLATED or INCONCLUSIVE.
    worst : Instance or Case
        The instance with the steepest slope.
    """
    assert theorem.rate is not None
    rate = theorem.rate
    each = 1.0 - (1.0 - confidence) / len(instances)
    found = [fit(theorem, x, i, seed, n_runs, each) for i, x in enumerate(instances)]
    worst = max(found, key=lambda f: f.slope.high)
    limit = rate.exponent + rate.tolerance
    if all(f.slope.high <= limit for f in found):  # (1)
        outcome = Outcome.HOLDS
    elif any(f.slope.low > limit for f in found):  # (2)
        outcome = Outcome.VIOLATED
        worst = max(found, key=lambda f: f.slope.low)
    else:
        outcome = Outcome.INCONCLUSIVE
    message = (
        f"Steepest slope in {rate.variable} over {len(found)} instances: "
        f"{worst.slope.estimate:.4g} in [{worst.slope.low:.4g}, {worst.slope.high:.4g}] at "
        f"{100 * each:.4g} %, stated {rate.exponent:.4g} (+ {rate.tolerance:.2g} for the grid)."
    )
    constants = [f.constant for f in found]
    verdict = replace(
        blank,
        outcome=outcome,
        message=message,
        n_runs=n_runs,
        interval=worst.slope,
        limit=rate.exponent,
        tightness=max(constants),
        tightness_median=float(np.median(constants)),
        worst=Worst(worst.instance.label),
    )
    return verdict, worst.instance
