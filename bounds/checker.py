"""Hold a theorem against instances.

The hypotheses are checked first; an instance where one fails says nothing about the statement. What
remains is judged by the kind of the statement: `bounds.deterministic`, `bounds.probability` or
`bounds.growth`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bounds import deterministic, growth, probability
from bounds.instance import Instance, Solver
from bounds.subject import Subject
from bounds.theorem import Theorem
from bounds.verdict import Outcome, Verdict, Worst


def check(
    theorem: Theorem,
    instances: Subject | Iterable[Subject],
    *,
    solver: Solver | None = None,
    seed: int = 0,
    n_runs: int = 300,
    confidence: float = 0.99,
    folder: Path | None = None,
) -> Verdict:
    """Hold a theorem against instances.

    Parameters
    ----------
    theorem : Theorem
        The statement.
    instances : Instance, Case, or iterable of them
        At least one.
    solver : callable, optional
        ``solver(mdp) -> Solution`` supplies V*, and its certified gap enters the tolerance;
        policy iteration of this package if None.
    seed : int
        Entropy of the random streams: run i on instance j uses the stream (j, i).
    n_runs : int
        High probability: independent runs per instance. Rate: replicates per point.
    confidence : float
        Each decision (HOLDS, VIOLATED) on random evidence is wrong with probability at most
        1 - confidence.
    folder : Path, optional
        Where to save the worst instance; created if missing.

    Returns
    -------
    Verdict
        The outcome with its evidence.

    Raises
    ------
    ValueError
        If there is no instance.

    Examples
    --------
    >>> from bounds.catalogue import CATALOGUE
    >>> entry = CATALOGUE["singh1994:greedy_loss"]
    >>> check(entry.mutant, entry.tight()).outcome.name
    'VIOLATED'
    """
    offered = [instances] if isinstance(instances, Subject) else list(instances)
    if not offered:
        raise ValueError(f"no instance to hold {theorem.id} against: give at least one.")
    if solver is not None:
        offered = [x.with_solver(solver) if isinstance(x, Instance) else x for x in offered]
    applicable: list[Subject] = []
    failed: dict[str, None] = {}
    undecided: dict[str, None] = {}
    for instance in offered:
        failure, open_questions = theorem.applies(instance)
        undecided |= dict.fromkeys(open_questions)
        if failure is None:
            applicable.append(instance)
        else:
            failed[failure] = None
    blank = Verdict(
        theorem.id,
        theorem.kind,
        Outcome.NOT_APPLICABLE,
        "",
        len(offered),
        len(applicable),
        undecided=tuple(undecided),
        failed=tuple(failed),
    )
    if not applicable:
        reason = "; ".join(failed)
        return replace(
            blank,
            message=f"On all {len(offered)} instances this fails: {reason}.",
            worst=Worst(offered[0].label),
        )
    if theorem.kind == "high_probability":
        verdict, worst = probability.judge(theorem, applicable, blank, seed, n_runs, confidence)
    elif theorem.kind == "rate":
        verdict, worst = growth.judge(theorem, applicable, blank, seed, n_runs, confidence)
    else:
        verdict, worst = deterministic.judge(theorem, applicable, blank)
    return verdict if folder is None else _saved(verdict, worst, folder)


def _saved(verdict: Verdict, instance: Subject, folder: Path) -> Verdict:
    """Write the worst instance and note its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{verdict.theorem.replace(':', '-')}.npz"
    instance.save(path)
    worst = verdict.worst or Worst(instance.label)
    return replace(verdict, worst=replace(worst, path=str(path)))
