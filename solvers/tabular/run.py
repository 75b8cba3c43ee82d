"""What every tabular method shares: limits, the certified loop, and the final `Solution`.

A method improves a value vector in its own way; the loop here certifies the vector, decides
whether to stop and why, and keeps the best bracket found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.certificates import Bracket, backed_up, bracket
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.solution import Provenance, Solution, Stats, Status
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Progress = Callable[[int, float], None]
Improve = Callable[[Floats, Bracket], tuple[Floats, int]]

# Checks without a better gap after which rounding is blamed, when rounding dominates the gap:
_STALLED = 50
_HOPELESS = 2  # ... and its share of the best bracket alone exceeds the tolerance


@dataclass
class Run:
    """One solve under way.

    Parameters
    ----------
    solver : str
        Name of the method.
    mdp : TabularMDP
        The problem.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    time_limit : float or None
        Seconds of wall clock.
    max_iterations : int
        Limit on the method's own count.
    progress : callable or None
        Called with (iterations, gap) after each certificate.
    options : mapping
        Further options of the method, for the record.
    """

    solver: str
    mdp: TabularMDP
    tol: float
    time_limit: float | None
    max_iterations: int
    progress: Progress | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("tol", "time_limit", "max_iterations"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise InvalidModelError(f"{name} is {value!r}; a number of at least 0 expected")
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self.trace: list[tuple[int, float]] = []
        self.log: list[str] = []

    def iterate(self, V: Floats | None, improve: Improve, iterations: int = 0) -> Solution:
        """Certify and improve V until the tolerance or a limit is reached.

        Parameters
        ----------
        V : (S,) float64, optional
            First vector; zeros are certified without a sweep.
        improve : callable
            Maps a vector and its bracket to the next vector and the iterations it took.
        iterations : int
            Count so far.

        Returns
        -------
        Solution
            From the best bracket found.
        """
        best, stalled = bracket(self.mdp, V), 0
        found = best
        V = np.zeros(self.mdp.n_states) if V is None else V
        while True:
            self.trace.append((iterations, found.gap))
            if self.progress is not None:
                self.progress(iterations, found.gap)
            status = self._verdict(best, iterations, stalled)
            if status is not None:
                # the gap that steers is a bound on that of the vectors, which may be narrower
                met = np.max(best.upper - best.lower) <= self.tol
                return self.solution(best, Status.OPTIMAL if met else status, iterations)
            V, work = improve(V, found)
            iterations += work
            if not np.isfinite(V).all():
                V = best.midpoint
            found = backed_up(self.mdp, V)
            stalled = 0 if found.gap < best.gap else stalled + 1
            best = found if found.gap < best.gap else best

    def _verdict(self, best: Bracket, iterations: int, stalled: int) -> Status | None:
        if best.gap <= self.tol:
            return Status.OPTIMAL
        patience = _HOPELESS if self.tol < best.rounding else _STALLED
        if stalled >= patience and best.gap <= 4 * best.rounding:
            return Status.ROUNDING_LIMIT
        if self.expired():
            return Status.TIME_LIMIT
        return Status.ITERATION_LIMIT if iterations >= self.max_iterations else None

    def expired(self) -> bool:
        """Whether the time limit has passed."""
        elapsed = time.perf_counter() - self._wall
        return self.time_limit is not None and elapsed >= self.time_limit

    def solution(
        self,
        found: Bracket,
        status: Status,
        iterations: int,
        *,
        guarantees: tuple[str, ...] = ("macqueen1966:bracket", "porteus1971:bracket"),
        **more: Any,
    ) -> Solution:
        """Assemble the `Solution` from a bracket."""
        options = {
            "tol": self.tol,
            "time_limit": self.time_limit,
            "max_iterations": self.max_iterations,
            **self.options,
        }
        return Solution(
            value=read_only(np.clip(found.midpoint, found.lower, found.upper)),
            lower=read_only(found.lower),
            upper=read_only(found.upper),
            policy=found.policy,
            status=status,
            stats=Stats(
                iterations,
                time.perf_counter() - self._wall,
                time.process_time() - self._cpu,
                tuple(self.trace),
                tuple(self.log),
            ),
            provenance=Provenance(self.solver, options, self.mdp.fingerprint),
            guarantees=guarantees,
            initial_law=self.mdp.initial,
            **more,
        )


def start(mdp: TabularMDP, V0: ArrayLike | None) -> Floats | None:
    """Return the first value vector: `V0`, or None for zeros."""
    if V0 is None:
        return None
    V = np.array(V0, dtype=np.float64)
    if V.shape != (mdp.n_states,) or not np.isfinite(V).all():
        raise InvalidModelError(
            f"V0 has shape {V.shape} or entries that are not finite; a finite vector of shape "
            f"({mdp.n_states},) expected"
        )
    return V


def start_below(mdp: TabularMDP, V0: ArrayLike | None) -> Floats:
    """Return a vector W <= V* with T W >= W: the lower bound that `V0` proves."""
    return bracket(mdp, start(mdp, V0)).lower


def raised(V: Floats, found: Bracket) -> Floats:
    """Return the larger of V and its lower bound.

    If T V >= V, the result W keeps T W >= W and W <= V*: sweeps from it rise monotonically.
    """
    return np.maximum(V, found.lower)


def need_discounted(mdp: TabularMDP, solver: str) -> None:
    """Refuse a finite horizon."""
    if mdp.horizon is not None:
        raise NotApplicableError(
            f"{solver} needs an infinite horizon and the model has horizon {mdp.horizon}; "
            "use backward_induction"
        )


def read_only(array: Floats) -> Floats:
    """Make an array read-only in place and return it."""
    array.flags.writeable = False
    return array
