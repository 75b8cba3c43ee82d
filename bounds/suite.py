"""Check whole catalogue entries: the theorem, its tight instance, its mutant, its broken instances.

A theorem that holds proves little by itself: the bound may be loose, or the checker blind. Each
entry is therefore checked in four roles, and each role has an outcome it must have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bounds.catalogue import select
from bounds.checker import check
from bounds.instance import Solver
from bounds.probability import generator
from bounds.theorem import Entry, Scale
from bounds.verdict import Outcome, Verdict

Role = Literal["theorem", "tight", "mutant", "broken"]
RUNS: Mapping[Scale, int] = {"smoke": 300, "default": 1500, "paper": 6000}
CONFIDENCE = 0.99


@dataclass(frozen=True)
class RoleVerdict:
    """A verdict and the role it was asked in.

    Attributes
    ----------
    id : str
        Id of the catalogue entry.
    role : {"theorem", "tight", "mutant", "broken"}
        What was checked.
    detail : str
        Instances, or the name of the broken hypothesis.
    expected : Outcome
        Outcome the role must have.
    verdict : Verdict
        What came out.
    reached : float or None
        Role "tight": lhs / rhs (the slope, for a rate); `wanted` is its least value.
    wanted : float or None
        See `reached`.
    """

    id: str
    role: Role
    detail: str
    expected: Outcome
    verdict: Verdict
    reached: float | None = None
    wanted: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the outcome is the expected one, and a tight instance as tight as promised."""
        if self.verdict.outcome is not self.expected:
            return False
        return self.wanted is None or (self.reached is not None and self.reached >= self.wanted)

    def __repr__(self) -> str:
        mark = "ok" if self.ok else f"NOT OK (expected {self.expected.name})"
        tail = "" if self.reached is None else f" Reached {self.reached:.4g} of {self.wanted:.4g}."
        return f"{self.role:8s}{mark}: {self.verdict!r}{tail}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            The attributes by name, and "ok".
        """
        return {
            "id": self.id,
            "role": self.role,
            "detail": self.detail,
            "expected": self.expected.value,
            "ok": self.ok,
            "reached": self.reached,
            "wanted": self.wanted,
            "verdict": self.verdict.to_dict(),
        }


def check_entry(
    entry: Entry,
    *,
    solver: Solver | None = None,
    scale: Scale = "smoke",
    seed: int = 0,
    folder: Path | None = None,
) -> list[RoleVerdict]:
    """Check one catalogue entry in all its roles.

    Parameters
    ----------
    entry : Entry
        The entry.
    solver : callable, optional
        ``solver(mdp) -> Solution`` supplies V* wherever a statement needs it; policy iteration of
        this package if None.
    scale : {"smoke", "default", "paper"}
        How many instances and runs.
    seed : int
        Entropy of instances and runs; it determines every number in the verdicts.
    folder : Path, optional
        Where to save the worst instance of the roles "theorem" and "tight".

    Returns
    -------
    list of RoleVerdict
        Roles "theorem", "tight", "mutant", and "broken" once per hypothesis.

    Examples
    --------
    >>> from bounds.catalogue import CATALOGUE
    >>> [v.role for v in check_entry(CATALOGUE["macqueen1966:bracket"]) if v.ok]
    ['theorem', 'tight', 'mutant', 'broken', 'broken']
    """
    theorem, id, runs = entry.theorem, entry.theorem.id, RUNS[scale]
    # The address of the stream that draws instances lies outside those of the runs.
    drawn = list(entry.instances(generator(seed, *id.encode()), scale))
    main = check(
        theorem,
        drawn,
        solver=solver,
        seed=seed,
        n_runs=runs,
        confidence=CONFIDENCE,
        folder=None if folder is None else folder / "theorem",
    )
    tight = check(
        theorem,
        entry.tight(),
        solver=solver,
        seed=seed + 1,
        n_runs=runs,
        confidence=CONFIDENCE,
        folder=None if folder is None else folder / "tight",
    )
    witness = (entry.witness or entry.tight)()
    mutant = check(
        entry.mutant, witness, solver=solver, seed=seed + 2, n_runs=runs, confidence=CONFIDENCE
    )
    reached = tight.tightness
    if theorem.kind == "rate":
        reached = None if tight.interval is None else tight.interval.estimate
    results = [
        RoleVerdict(id, "theorem", f"{len(drawn)} random instances", entry.expected, main),
        RoleVerdict(
            id, "tight", entry.tight().label, Outcome.HOLDS, tight, reached, entry.tightness
        ),
        RoleVerdict(id, "mutant", entry.mutant.statement, Outcome.VIOLATED, mutant),
    ]
    for name, instance in entry.broken().items():
        verdict = check(theorem, instance, solver=solver, seed=seed, n_runs=runs)
        results.append(RoleVerdict(id, "broken", name, Outcome.NOT_APPLICABLE, verdict))
    return results


def check_all(
    solver: Solver | None = None,
    scale: Scale = "smoke",
    seed: int = 0,
    *,
    names: Sequence[str] = ("all",),
    folder: Path | None = None,
    progress: Callable[[str, list[RoleVerdict]], None] | None = None,
) -> dict[str, list[RoleVerdict]]:
    """Check the catalogue, or the part of it that is named.

    Parameters
    ----------
    solver : callable, optional
        ``solver(mdp) -> Solution``; policy iteration of this package if None.
    scale : {"smoke", "default", "paper"}
        How many instances and runs.
    seed : int
        Entropy of every stream.
    names : sequence of str
        Theorem ids, paper keys, or "all".
    folder : Path, optional
        Where to save the worst instances, one folder per role.
    progress : callable, optional
        ``progress(id, verdicts)`` is called after each entry.

    Returns
    -------
    dict
        Theorem id to its verdicts, in the order of the catalogue.

    Raises
    ------
    KeyError
        If a name is not in the catalogue.

    Examples
    --------
    >>> found = check_all(names=["singh1994", "porteus1971:bracket"])
    >>> all(v.ok for verdicts in found.values() for v in verdicts)
    True
    """
    found = {}
    for id, entry in select(names).items():
        found[id] = check_entry(entry, solver=solver, scale=scale, seed=seed, folder=folder)
        if progress is not None:
            progress(id, found[id])
    return found
