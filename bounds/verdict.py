"""What came out of holding a theorem against instances."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from html import escape
from typing import Any

from mdplib.statistics import Interval


class Outcome(Enum):
    """The five possible answers.

    Examples
    --------
    >>> Outcome.VACUOUS.sentence
    'the bound is no better than the range of the quantity'
    """

    HOLDS = "holds"
    VIOLATED = "violated"
    VACUOUS = "vacuous"
    NOT_APPLICABLE = "not_applicable"
    INCONCLUSIVE = "inconclusive"

    @property
    def sentence(self) -> str:
        """The meaning of the outcome."""
        return _SENTENCES[self]


_SENTENCES = {
    Outcome.HOLDS: "no evidence against the statement, and enough evidence for it",
    Outcome.VIOLATED: "the statement is false on the worst instance",
    Outcome.VACUOUS: "the bound is no better than the range of the quantity",
    Outcome.NOT_APPLICABLE: "a hypothesis fails on every instance",
    Outcome.INCONCLUSIVE: "the evidence does not decide",
}


@dataclass(frozen=True)
class Worst:
    """The instance that speaks most against the statement.

    Attributes
    ----------
    label : str
        Name of the instance.
    lhs, rhs : float or None
        Both sides there, at the component that speaks most against the statement.
    path : str or None
        File it was saved to, readable by `bounds.load`.
    """

    label: str
    lhs: float | None = None
    rhs: float | None = None
    path: str | None = None


@dataclass(frozen=True, repr=False)
class Verdict:
    """Outcome of a check, with the evidence.

    Attributes
    ----------
    theorem : str
        Id of the theorem.
    kind : str
        Kind of the theorem.
    outcome : Outcome
        The answer.
    message : str
        One sentence.
    n_instances : int
        Instances offered; `n_applicable` satisfied the hypotheses, `n_vacuous` of these had a
        bound no better than the trivial one.
    n_runs, n_failures : int
        Independent runs (high probability: on the worst instance; rate: replicates per point;
        otherwise the applicable instances) and how many of them violated the inequality.
    interval : Interval or None
        Failure probability on the worst instance, or slope.
    limit : float or None
        What the interval is compared with: delta, or the exponent.
    tightness, tightness_median : float or None
        Largest and median lhs / rhs over the instances; with high probability, of the
        (1 - delta) quantile; for a rate, the constant observed in front of the rate.
    tolerance : float
        Largest allowance made for rounding and for the certified gap of the solver.
    vacuous_factor : float or None
        Smallest rhs / trivial bound over the instances, where a trivial bound is known.
    n_needed : int or None
        Runs that would probably decide, if inconclusive.
    exact : bool
        Whether a violation was confirmed in rational arithmetic.
    worst : Worst or None
        The instance that speaks most against the statement.
    undecided, failed : tuple of str
        Texts of the hypotheses that could not be decided, and that failed, on some instance.

    Examples
    --------
    >>> Verdict("example:thm1", "inequality", Outcome.HOLDS, "Holds on 3 instances.", 3, 3)
    example:thm1: HOLDS. Holds on 3 instances.
    """

    theorem: str
    kind: str
    outcome: Outcome
    message: str
    n_instances: int
    n_applicable: int
    n_vacuous: int = 0
    n_runs: int = 0
    n_failures: int = 0
    interval: Interval | None = None
    limit: float | None = None
    tightness: float | None = None
    tightness_median: float | None = None
    tolerance: float = 0.0
    vacuous_factor: float | None = None
    n_needed: int | None = None
    exact: bool = False
    worst: Worst | None = None
    undecided: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{self.theorem}: {self.outcome.name}. {self.message}"

    def _repr_html_(self) -> str:
        """Return a small table for notebooks."""
        rows = [("outcome", f"{self.outcome.name} ({self.outcome.sentence})")]
        rows.append(("evidence", self.message))
        if self.interval is not None:
            rows.append(("interval", repr(self.interval)))
        if self.tightness is not None:
            rows.append(("tightness", f"{self.tightness:.6g} (largest lhs / rhs)"))
        if self.worst is not None:
            rows.append(("worst instance", self.worst.label))
        rows += [("undecided hypothesis", text) for text in self.undecided]
        rows += [("failed hypothesis", text) for text in self.failed]
        body = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows)
        return f"<table><caption>{escape(self.theorem)}</caption>{body}</table>"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Every attribute by name.

        Examples
        --------
        >>> verdict = Verdict("a:b", "identity", Outcome.HOLDS, "Holds.", 1, 1)
        >>> Verdict.from_dict(verdict.to_dict()) == verdict
        True
        """
        return {
            **asdict(self),
            "outcome": self.outcome.value,
            "failed": list(self.failed),
            "undecided": list(self.undecided),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what `to_dict` wrote.

        Parameters
        ----------
        data : mapping
            Plain values, perhaps after a passage through JSON.

        Returns
        -------
        Verdict
            The same verdict.
        """
        interval, worst = data["interval"], data["worst"]
        changes = {
            "outcome": Outcome(data["outcome"]),
            "interval": None if interval is None else Interval(**interval),
            "worst": None if worst is None else Worst(**worst),
            "undecided": tuple(data["undecided"]),
            "failed": tuple(data["failed"]),
        }
        return cls(**{**data, **changes})

    def to_json(self) -> str:
        """Return the verdict as one line of JSON.

        Returns
        -------
        str
            JSON text that `from_dict` reads after `json.loads`.
        """
        return json.dumps(self.to_dict(), ensure_ascii=False)
