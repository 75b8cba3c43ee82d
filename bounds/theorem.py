"""The shape of a statement that can be checked, and of a catalogue entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bounds.instance import Solver
from bounds.subject import Subject
from bounds.verdict import Outcome, Verdict
from mdplib.errors import NotApplicableError

Kind = Literal["identity", "inequality", "high_probability", "rate"]
Scale = Literal["smoke", "default", "paper"]
Side = Callable[[Any], Any]  # of an Instance or a Case, whichever the theorem is about


@dataclass(frozen=True)
class Hypothesis:
    """A condition of a theorem.

    Parameters
    ----------
    name : str
        Short key, unique within a theorem.
    text : str
        The condition in words.
    check : callable
        ``check(instance)`` is True, False, or None when it cannot be decided.
    """

    name: str
    text: str
    check: Callable[[Any], bool | None]


@dataclass(frozen=True)
class Rate:
    """How fast the left side may grow: lhs <= constant * variable ** exponent.

    Parameters
    ----------
    variable : str
        Its symbol, for messages.
    exponent : float
        Upper bound on the slope in doubly logarithmic scale.
    at : callable
        ``at(instance, x)`` is the instance where the variable equals x.
    grid : callable
        ``grid(instance)`` lists the values of the variable.
    tolerance : float
        Excess of the slope allowed for the finite grid.
    quantile : float
        Quantile of the left side, over replicates, whose growth is fitted.
    """

    variable: str
    exponent: float
    at: Callable[[Any, float], Subject]
    grid: Callable[[Any], Iterable[float]]
    tolerance: float = 0.05
    quantile: float = 0.9


def _one(instance: Subject) -> float:
    return 1.0


@dataclass(frozen=True)
class Theorem:
    """A published statement with both of its sides as functions.

    Parameters
    ----------
    id : str
        ``paper:name``; the paper is a key of `bounds.references.REFERENCES`.
    statement : str
        LaTeX, one sentence.
    source : str
        Where in the paper, or which proof.
    kind : {"identity", "inequality", "high_probability", "rate"}
        How it is judged.
    hypotheses : tuple of Hypothesis
        Checked in order, up to the first that fails.
    lhs, rhs : callable
        ``lhs(instance)`` and ``rhs(instance)``: numbers or arrays of one shape, compared entry by
        entry. They must run on floats and, if identity or inequality, on rationals.
    trivial : callable, optional
        A bound on the left side that needs no theorem; where rhs reaches it, rhs is vacuous.
    sensitivity : callable
        Lipschitz constant of lhs - rhs in V*: multiplies rounding and the solver's gap.
    sample : callable, optional
        High probability and rate: ``sample(instance, rng)`` adds one draw of the data.
    delta : callable, optional
        High probability: allowed probability of failure.
    rate : Rate, optional
        Rate: what grows how fast.
    constants : {"explicit", "universal"}
        With an unspecified universal constant only the rate can be tested.

    Examples
    --------
    >>> from bounds.catalogue import CATALOGUE
    >>> theorem = CATALOGUE["denardo1967:contraction"].theorem
    >>> theorem.kind, theorem.constants
    ('inequality', 'explicit')
    """

    id: str
    statement: str
    source: str
    kind: Kind
    hypotheses: tuple[Hypothesis, ...]
    lhs: Side
    rhs: Side
    trivial: Side | None = None
    sensitivity: Callable[[Any], float] = _one
    sample: Callable[[Any, np.random.Generator], Subject] | None = None
    delta: Callable[[Any], float] | None = None
    rate: Rate | None = None
    constants: Literal["explicit", "universal"] = "explicit"

    def __post_init__(self):
        needed = {"high_probability": (self.sample, self.delta), "rate": (self.sample, self.rate)}
        if None in needed.get(self.kind, ()):
            raise ValueError(f"{self.id}: a {self.kind} statement needs sample, and delta or rate.")
        names = [hypothesis.name for hypothesis in self.hypotheses]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.id}: hypotheses need different names, not {names}.")

    @property
    def paper(self) -> str:
        """Key of the paper in `bounds.references.REFERENCES`."""
        return self.id.partition(":")[0]

    def applies(self, instance: Subject) -> tuple[str | None, tuple[str, ...]]:
        """Check the hypotheses in order.

        Parameters
        ----------
        instance : Instance or Case
            The instance.

        Returns
        -------
        failed : str or None
            Text of the first hypothesis that fails.
        undecided : tuple of str
            Texts of the hypotheses before it that could not be decided.
        """
        undecided = []
        for hypothesis in self.hypotheses:
            answer = hypothesis.check(instance)
            if answer is None:
                undecided.append(hypothesis.text)
            elif not answer:
                return hypothesis.text, tuple(undecided)
        return None, tuple(undecided)

    def require(self, instance: Subject) -> None:
        """Raise unless no hypothesis fails.

        Parameters
        ----------
        instance : Instance or Case
            The instance.

        Raises
        ------
        NotApplicableError
            Naming the first hypothesis that fails.
        """
        failed, _ = self.applies(instance)
        if failed is not None:
            raise NotApplicableError(failed)

    def check(
        self,
        instances: Subject | Iterable[Subject],
        *,
        solver: Solver | None = None,
        seed: int = 0,
        n_runs: int = 300,
        confidence: float = 0.99,
        folder: Path | None = None,
    ) -> Verdict:
        """Hold the theorem against instances: see `bounds.checker.check`."""
        from bounds.checker import check

        return check(
            self,
            instances,
            solver=solver,
            seed=seed,
            n_runs=n_runs,
            confidence=confidence,
            folder=folder,
        )

    def mutant(
        self,
        *,
        statement: str,
        lhs: Side | None = None,
        rhs: Side | None = None,
        rate: Rate | None = None,
    ) -> Theorem:
        """Return a wrong copy, for testing that the checker catches it.

        Parameters
        ----------
        statement : str
            What was broken.
        lhs, rhs : callable, optional
            Wrong sides.
        rate : Rate, optional
            Wrong rate.

        Returns
        -------
        Theorem
            With "mutant" appended to its id.
        """
        return replace(
            self,
            id=f"{self.id}-mutant",
            statement=statement,
            lhs=self.lhs if lhs is None else lhs,
            rhs=self.rhs if rhs is None else rhs,
            rate=self.rate if rate is None else rate,
        )


@dataclass(frozen=True)
class Entry:
    """A theorem with the instances that keep it, and the checker, honest.

    Parameters
    ----------
    theorem : Theorem
        The statement.
    instances : callable
        ``instances(rng, scale)`` draws instances that satisfy the hypotheses.
    tight : callable
        Returns the instance where the statement is tight, or the tightest known.
    tightness : float
        lhs / rhs reached there, at least.
    mutant : Theorem
        A wrong copy, violated on the tight instance (or on `witness`).
    broken : callable
        Returns, for the name of each hypothesis, an instance where it fails.
    witness : callable, optional
        Returns the instance that refutes the mutant; the tight one if None.
    expected : Outcome
        What the random instances must give: VACUOUS for a published bound that says nothing at
        sizes one can compute.
    """

    theorem: Theorem
    instances: Callable[[np.random.Generator, Scale], Iterable[Subject]]
    tight: Callable[[], Subject]
    tightness: float
    mutant: Theorem
    broken: Callable[[], Mapping[str, Subject]] = field(repr=False)
    witness: Callable[[], Subject] | None = None
    expected: Outcome = Outcome.HOLDS
