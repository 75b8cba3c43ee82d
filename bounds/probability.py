"""Judge statements that hold with probability at least 1 - delta.

Problem
-------
lhs <= rhs may fail with probability at most delta. Decide from independent runs.

Algorithm
---------
On each instance, n seeded runs give k failures. With c the confidence divided over the
m instances (c = 1 - (1 - confidence) / m), one-sided Clopper-Pearson limits decide:

    VIOLATED if some lower limit > delta,                                                   (1)
    HOLDS    if all upper limits <= delta,                                                  (2)

and otherwise INCONCLUSIVE, with the number of runs that would decide if the failure rate stays
what it is.

Guarantee
---------
Each of the two decisions is wrong with probability at most 1 - confidence, whatever the failure
probability: the limits are exact.

Cost
----
n_runs draws per instance whose bound is not vacuous.

Deviations
----------
None.

References
----------
Clopper and Pearson (1934), Biometrika 26, 404-413.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bounds.deterministic import largest_ratio, sides, tolerance, vacuous_factor
from bounds.subject import Subject
from bounds.theorem import Theorem
from bounds.verdict import Outcome, Verdict, Worst
from mdplib.statistics import Interval, clopper_pearson

RUN_LIMIT = 10_000_000


@dataclass(frozen=True)
class Runs:
    """Evidence from the runs on one instance; n = 0 if its bound is vacuous."""

    instance: Subject
    n: int
    failures: int
    delta: float
    interval: Interval | None
    quantile: float | None
    tolerance: float
    vacuous_factor: float | None

    @property
    def rate(self) -> float:
        """Observed failure rate."""
        return self.failures / self.n if self.n else 0.0


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the random stream of a run.

    Parameters
    ----------
    seed : int
        Entropy.
    *key : int
        Address of the stream, such as (instance, run).

    Returns
    -------
    numpy.random.Generator
        Independent of every other address.

    Examples
    --------
    >>> float(generator(1, 2, 3).random()) == float(generator(1, 2, 3).random())
    True
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def run(
    theorem: Theorem, instance: Subject, number: int, seed: int, n_runs: int, confidence: float
) -> Runs:
    """Run one instance n times and count the failures.

    Parameters
    ----------
    theorem : Theorem
        High-probability statement.
    instance : Instance or Case
        Satisfies the hypotheses.
    number : int
        Address of the instance among the streams.
    seed : int
        Entropy of the streams.
    n_runs : int
        Number of runs.
    confidence : float
        Of each limit of the interval.

    Returns
    -------
    Runs
        The evidence.
    """
    assert theorem.sample is not None
    assert theorem.delta is not None
    delta = float(theorem.delta(instance))
    failures, ratios, allowed, factor = 0, [], 0.0, None
    for i in range(n_runs):
        drawn = theorem.sample(instance, generator(seed, number, i))
        lhs, rhs = sides(theorem, drawn)
        if i == 0:
            allowed = tolerance(theorem, drawn, lhs, rhs)
            factor = vacuous_factor(theorem, drawn, rhs)
            if factor is not None and factor >= 1.0:
                return Runs(instance, 0, 0, delta, None, None, allowed, factor)
        failures += bool((lhs > rhs + allowed).any())
        ratio = largest_ratio(lhs, rhs, allowed)
        if ratio is not None:
            ratios.append(ratio)
    low = clopper_pearson(failures, n_runs, confidence, side="lower").low
    high = clopper_pearson(failures, n_runs, confidence, side="upper").high
    name = "Clopper-Pearson, each limit"
    interval = Interval(low, failures / n_runs, high, confidence, name, n_runs)
    quantile = float(np.quantile(ratios, 1.0 - delta, method="higher")) if ratios else None
    return Runs(instance, n_runs, failures, delta, interval, quantile, allowed, factor)


def runs_to_decide(failures: int, n: int, delta: float, confidence: float) -> int | None:
    """Return about how many runs would decide if the failure rate stayed what it is.

    Parameters
    ----------
    failures, n : int
        What was seen.
    delta : float
        Allowed failure probability.
    confidence : float
        Of the one-sided limit.

    Returns
    -------
    int or None
        None if more than ten million, as when the rate equals delta.

    Examples
    --------
    >>> runs_to_decide(0, 50, 0.05, 0.99)
    90
    """
    rate = failures / n

    def decides(size: int) -> bool:
        k = round(rate * size)
        low = clopper_pearson(k, size, confidence, side="lower").low
        return clopper_pearson(k, size, confidence, side="upper").high <= delta or low > delta

    high = n
    while not decides(high):
        high *= 2
        if high > RUN_LIMIT:
            return None
    low = high // 2 if high > n else n - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def judge(
    theorem: Theorem,
    instances: Sequence[Subject],
    blank: Verdict,
    seed: int,
    n_runs: int,
    confidence: float,
) -> tuple[Verdict, Subject]:
    """Return the verdict on a high-probability statement, and its worst instance.

    Parameters
    ----------
    theorem : Theorem
        High-probability statement.
    instances : sequence of Instance or Case
        They satisfy the hypotheses.
    blank : Verdict
        To be filled in.
    seed : int
        Entropy of the streams.
    n_runs : int
        Runs per instance.
    confidence : float
        Of the whole decision.

    Returns
    -------
    verdict : Verdict
        HOLDS, VIOLATED, VACUOUS or INCONCLUSIVE.
    worst : Instance or Case
        The instance with the largest failure rate.
    """
    each = 1.0 - (1.0 - confidence) / len(instances)
    found = [run(theorem, x, i, seed, n_runs, each) for i, x in enumerate(instances)]
    informative = [r for r in found if r.interval is not None]
    factors = [r.vacuous_factor for r in found if r.vacuous_factor is not None]
    base = replace(
        blank,
        n_vacuous=len(found) - len(informative),
        tolerance=max(r.tolerance for r in found),
        vacuous_factor=min(factors, default=None),
    )
    if not informative:
        message = f"On all {len(found)} instances the bound is at least the range of the quantity."
        worst = found[0]
        return (
            replace(
                base, outcome=Outcome.VACUOUS, message=message, worst=Worst(worst.instance.label)
            ),
            worst.instance,
        )
    worst = max(informative, key=lambda r: (r.rate - r.delta, r.quantile or 0.0))
    quantiles = [r.quantile for r in informative if r.quantile is not None]
    outcome, message, needed = _decide(informative, worst, each)
    verdict = replace(
        base,
        outcome=outcome,
        message=message,
        n_runs=worst.n,
        n_failures=worst.failures,
        interval=worst.interval,
        limit=worst.delta,
        tightness=max(quantiles, default=None),
        tightness_median=float(np.median(quantiles)) if quantiles else None,
        n_needed=needed,
        worst=Worst(worst.instance.label),
    )
    return verdict, worst.instance


def _decide(
    informative: Sequence[Runs], worst: Runs, confidence: float
) -> tuple[Outcome, str, int | None]:
    def limits(runs: Runs) -> tuple[float, float]:
        assert runs.interval is not None
        return runs.interval.low, runs.interval.high

    low, high = limits(worst)
    seen = (
        f"{worst.failures} of {worst.n} runs fail on the worst of {len(informative)} instances: "
        f"failure probability in [{low:.4g}, {high:.4g}] at {100 * confidence:.4g} %, "
        f"delta = {worst.delta:.4g}"
    )
    if any(limits(r)[0] > r.delta for r in informative):  # (1)
        return Outcome.VIOLATED, f"{seen}.", None
    if all(limits(r)[1] <= r.delta for r in informative):  # (2)
        return Outcome.HOLDS, f"{seen}.", None
    open_runs = [r for r in informative if limits(r)[1] > r.delta]
    needs = [runs_to_decide(r.failures, r.n, r.delta, confidence) for r in open_runs]
    needed = None if None in needs else max(n for n in needs if n is not None)
    advice = (
        "no affordable number of runs would" if needed is None else f"about {needed} runs would"
    )
    return Outcome.INCONCLUSIVE, f"{seen}; {advice} decide.", needed
