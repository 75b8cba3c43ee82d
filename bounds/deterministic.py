"""Judge identities and inequalities, in floats first and in rationals when they look violated.

Problem
-------
Decide whether lhs = rhs, or lhs <= rhs entry by entry, when both are computed with rounding and V*
may come from a solver with a certified gap.

Algorithm
---------
Compute both sides in floats. The excess must be at most

    tolerance = rounding + sensitivity * (rounding + certified gap),                        (1)

where rounding bounds the error of a computed value and sensitivity that of lhs - rhs per unit of
error in V*.

A larger excess is recomputed in `fractions.Fraction`, V* included, on instances of at most
8 states and 40 pairs.

Guarantee
---------
A confirmed violation is a counterexample in exact arithmetic. An excess that disappears there
yields INCONCLUSIVE: rounding or the solver is at fault, not the theorem.

Cost
----
One evaluation of both sides; rational policy iteration only when needed.

Deviations
----------
Floats are taken at their exact value, so a row that sums to one only up to rounding leaves a
small allowance in exact arithmetic as well.

References
----------
None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from bounds.hypotheses import allowance
from bounds.instance import Instance
from bounds.model import Array
from bounds.subject import Subject
from bounds.theorem import Theorem
from bounds.verdict import Outcome, Verdict, Worst

Confirmation = Literal["none", "confirmed", "refuted", "unchecked"]


@dataclass(frozen=True)
class Comparison:
    """Both sides on one instance.

    Attributes
    ----------
    instance : Instance or Case
        The instance.
    lhs, rhs : float
        Entries that speak most against the statement.
    excess : float
        Largest lhs - rhs, or |lhs - rhs| of an identity, minus the tolerance.
    tolerance : float
        What was allowed.
    ratio : float or None
        Largest lhs / rhs over entries where rhs is positive beyond the tolerance.
    vacuous_factor : float or None
        Smallest rhs / trivial bound.
    confirmation : str
        Result of the recomputation in rationals.
    """

    instance: Subject
    lhs: float
    rhs: float
    excess: float
    tolerance: float
    ratio: float | None
    vacuous_factor: float | None
    confirmation: Confirmation = "none"


def sides(theorem: Theorem, instance: Subject) -> tuple[Array, Array]:
    """Return both sides as arrays of one shape.

    Parameters
    ----------
    theorem : Theorem
        The statement.
    instance : Instance or Case
        Where to evaluate it.

    Returns
    -------
    lhs, rhs : ndarray, (n,)
        Entries to compare.
    """
    lhs, rhs = np.broadcast_arrays(theorem.lhs(instance), theorem.rhs(instance))
    return np.ravel(lhs), np.ravel(rhs)


def tolerance(theorem: Theorem, instance: Subject, lhs: Array, rhs: Array) -> float:
    """Return what rounding and the solver's gap may add to lhs - rhs."""
    rounding = allowance(instance, lhs, rhs)
    return rounding + float(theorem.sensitivity(instance)) * (rounding + instance.radius)  # (1)


def largest_ratio(lhs: Array, rhs: Array, allowed: float) -> float | None:
    """Return the largest lhs / rhs where rhs exceeds the tolerance, None if nowhere."""
    positive = rhs > allowed
    return float((lhs[positive] / rhs[positive]).max()) if positive.any() else None


def vacuous_factor(theorem: Theorem, instance: Subject, rhs: Array) -> float | None:
    """Return the smallest rhs / trivial bound, None if there is no trivial bound."""
    if theorem.trivial is None:
        return None
    trivial = float(theorem.trivial(instance))
    return float(rhs.min()) / trivial if trivial > 0 else None


def compare(theorem: Theorem, instance: Subject) -> Comparison:
    """Evaluate both sides on one instance, in rationals as well if they look violated.

    Parameters
    ----------
    theorem : Theorem
        Identity or inequality.
    instance : Instance or Case
        Satisfies the hypotheses.

    Returns
    -------
    Comparison
        The evidence.
    """
    lhs, rhs = sides(theorem, instance)
    allowed = tolerance(theorem, instance, lhs, rhs)
    difference = lhs - rhs
    if theorem.kind == "identity":
        difference = np.abs(difference)
        at = int(np.argmax(np.abs(rhs)))
        ratio = float(lhs[at] / rhs[at]) if abs(rhs[at]) > allowed else None
    else:
        ratio = largest_ratio(lhs, rhs, allowed)
    worst = int(np.argmax(difference))
    excess = float(difference[worst]) - allowed
    confirmation: Confirmation = "none"
    if not excess <= 0:
        confirmation = _recheck(theorem, instance) if instance.can_be_exact else "unchecked"
    return Comparison(
        instance,
        float(lhs[worst]),
        float(rhs[worst]),
        excess,
        allowed,
        ratio,
        vacuous_factor(theorem, instance, rhs),
        confirmation,
    )


def _recheck(theorem: Theorem, instance: Subject) -> Confirmation:
    assert isinstance(instance, Instance)
    exact = instance.exact()
    if theorem.applies(exact)[0] is not None:
        return "refuted"
    lhs, rhs = sides(theorem, exact)
    difference: Any = lhs - rhs
    if theorem.kind == "identity":
        difference = np.abs(difference)
    allowed = tolerance(theorem, exact, lhs, rhs)
    return "confirmed" if difference.max() > allowed else "refuted"


def judge(
    theorem: Theorem, instances: Sequence[Subject], blank: Verdict
) -> tuple[Verdict, Subject]:
    """Return the verdict on an identity or inequality, and its worst instance.

    Parameters
    ----------
    theorem : Theorem
        Identity or inequality.
    instances : sequence of Instance or Case
        They satisfy the hypotheses.
    blank : Verdict
        To be filled in.

    Returns
    -------
    verdict : Verdict
        HOLDS, VIOLATED, VACUOUS or INCONCLUSIVE.
    worst : Instance or Case
        The instance that speaks most against the statement.
    """
    found = [compare(theorem, instance) for instance in instances]
    violated = [c for c in found if c.confirmation in ("confirmed", "unchecked")]
    doubtful = [c for c in found if c.confirmation == "refuted"]
    factors = [c.vacuous_factor for c in found if c.vacuous_factor is not None]
    n_vacuous = sum(factor >= 1.0 for factor in factors)
    ratios = [c.ratio for c in found if c.ratio is not None]
    if violated or doubtful:
        worst = max(violated or doubtful, key=lambda c: c.excess)
    else:
        worst = max(found, key=lambda c: -np.inf if c.ratio is None else c.ratio)
    outcome, message = _sentence(found, violated, doubtful, n_vacuous, ratios, worst)
    verdict = replace(
        blank,
        outcome=outcome,
        message=message,
        n_vacuous=n_vacuous,
        n_runs=len(found),
        n_failures=len(violated),
        tightness=max(ratios, default=None),
        tightness_median=float(np.median(ratios)) if ratios else None,
        tolerance=max(c.tolerance for c in found),
        vacuous_factor=min(factors, default=None),
        exact=worst.confirmation == "confirmed",
        worst=Worst(worst.instance.label, worst.lhs, worst.rhs),
    )
    return verdict, worst.instance


def _sentence(
    found: Sequence[Comparison],
    violated: Sequence[Comparison],
    doubtful: Sequence[Comparison],
    n_vacuous: int,
    ratios: Sequence[float],
    worst: Comparison,
) -> tuple[Outcome, str]:
    n = len(found)
    if violated:
        how = "in exact arithmetic" if worst.confirmation == "confirmed" else "in floats"
        return Outcome.VIOLATED, (
            f"Violated {how} on {len(violated)} of {n} instances: "
            f"{worst.lhs:.9g} against {worst.rhs:.9g}."
        )
    if doubtful:
        return Outcome.INCONCLUSIVE, (
            f"An excess of {worst.excess + worst.tolerance:.3g} in floats disappears in exact "
            f"arithmetic on {len(doubtful)} of {n} instances: the values supplied are at fault, "
            "not the statement."
        )
    if n_vacuous == n:
        return Outcome.VACUOUS, (
            f"On all {n} instances the bound is at least the range of the quantity."
        )
    tail = f"; largest lhs / rhs is {max(ratios):.6g}" if ratios else ""
    vacuous = f"; vacuous on {n_vacuous}" if n_vacuous else ""
    return Outcome.HOLDS, f"Holds on {n} of {n} instances{vacuous}{tail}."
