"""`solve`: one entry for every problem and method."""

from __future__ import annotations

from difflib import get_close_matches
from inspect import signature

from numpy.typing import ArrayLike

from mdplib.errors import MdplibError, NotApplicableError
from mdplib.labelled import LabelledMDP
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from mdplib.undiscounted import UndiscountedMDP
from solvers.table import METHODS, Kind
from solvers.tabular.run import Progress

_AUTOMATIC: dict[Kind, str] = {
    "discounted": "auto",
    "finite_horizon": "backward_induction",
    "reachability": "certified_policy_iteration",
    "expected_reward": "certified_policy_iteration",
    "average_reward": "average_reward",
}


def solve(
    problem: TabularMDP | UndiscountedMDP,
    method: str = "auto",
    *,
    tol: float = 1e-6,
    rtol: float | None = None,
    time_limit: float | None = None,
    max_iterations: int | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a problem with proven bounds.

    Parameters
    ----------
    problem : TabularMDP or UndiscountedMDP
        The problem; its type, horizon and criterion decide which methods apply.
    method : str
        "auto", or a name in `solvers.METHODS`.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    rtol : float, optional
        Without discounting: a gap of ``tol + rtol |lower|`` is enough in each state.
    time_limit : float, optional
        Seconds; the best bounds so far are returned with status TIME_LIMIT.
    max_iterations : int, optional
        Limit on the method's own count of iterations.
    V0 : (S,) array, optional
        First value vector of an iterative method.
    progress : callable, optional
        Called with (iterations, gap) as the solve goes on.

    Returns
    -------
    Solution

    Raises
    ------
    NotApplicableError
        If the method does not solve this kind of problem, or does not take an option.
    MdplibError
        If the method, or the type of problem, is unknown.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], gamma=0.5)
    >>> solution = solve(mdp, "value_iteration", tol=1e-9)
    >>> bool(solution.lower[0] <= 2 <= solution.upper[0])
    True
    >>> solve(mdp, "value_iterations")
    Traceback (most recent call last):
    ...
    mdplib.errors.MdplibError: no method 'value_iterations'; did you mean 'value_iteration'? ...
    """
    kind = _kind(problem)
    if method == "auto":
        method = _AUTOMATIC[kind]
    if method == "exact" and isinstance(problem, UndiscountedMDP):
        method = "exact_undiscounted"
    if method not in METHODS:
        near = get_close_matches(method, METHODS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise MdplibError(f"no method {method!r}; {hint}known: {', '.join(METHODS)}")
    entry = METHODS[method]
    if kind not in entry.requires:
        others = [name for name, other in METHODS.items() if kind in other.requires]
        raise NotApplicableError(
            f"{method} solves {' and '.join(entry.requires)} problems and this one is {kind}; "
            f"use {' or '.join(others)}"
        )
    given = {
        "rtol": rtol,
        "time_limit": time_limit,
        "max_iterations": max_iterations,
        "V0": V0,
        "progress": progress,
    }
    options = {name: value for name, value in given.items() if value is not None}
    if options:
        accepted = signature(entry.function).parameters
        refused = [name for name in options if name not in accepted]
        if refused:
            raise NotApplicableError(f"{method} takes no {' or '.join(refused)}")
    return entry.function(problem, tol=tol, **dict(entry.options), **options)


def _kind(problem: object) -> Kind:
    if isinstance(problem, TabularMDP):
        return "discounted" if problem.horizon is None else "finite_horizon"
    if isinstance(problem, UndiscountedMDP):
        return problem.criterion
    if isinstance(problem, LabelledMDP):
        raise MdplibError(
            "a LabelledMDP says how a system moves, not what is asked; ask by .reach, "
            ".expected_reward, .average_reward or .discounted and solve the result"
        )
    raise MdplibError(
        f"no solver for a problem of type {type(problem).__name__}; TabularMDP or "
        "UndiscountedMDP expected"
    )
