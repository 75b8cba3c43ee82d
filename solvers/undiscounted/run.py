"""What the methods for undiscounted problems share: limits, stopping, and the final `Solution`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.solution import Provenance, Solution, Stats, Status, widths
from mdplib.undiscounted import UndiscountedMDP
from solvers.undiscounted.certificate import Bounds
from solvers.undiscounted.equations import Clock
from solvers.undiscounted.reduction import FIXED, Reduced

Floats = NDArray[np.float64]
Progress = Callable[[int, float], None]


class Run:
    """One solve under way.

    Parameters
    ----------
    solver : str
        Name of the method.
    mdp : UndiscountedMDP
        The problem.
    tol, rtol : float
        Wanted: ``upper - lower <= tol + rtol * |lower|`` in each state.
    max_iterations, time_limit, progress
        As for every method.
    """

    def __init__(
        self,
        solver: str,
        mdp: UndiscountedMDP,
        tol: float,
        rtol: float,
        max_iterations: int,
        time_limit: float | None,
        progress: Progress | None,
    ):
        self.options = {
            "tol": tol,
            "rtol": rtol,
            "max_iterations": max_iterations,
            "time_limit": time_limit,
        }
        for name, value in self.options.items():
            if value is not None and not value >= 0:
                raise InvalidModelError(f"{name} is {value!r}; a number of at least 0 expected")
        self.solver, self.mdp, self.tol, self.rtol = solver, mdp, tol, rtol
        self.progress, self.gap = progress, float("inf")
        self.clock = Clock(max_iterations, time_limit, self._tick)
        self.trace: list[tuple[int, float]] = []
        self.log: list[str] = []

    def _tick(self, iterations: int) -> None:
        if self.progress is not None:
            self.progress(iterations, self.gap)

    def narrow(self, lower: Floats, upper: Floats) -> bool:
        """Whether the bounds are as near as asked."""
        finite = np.where(np.isfinite(lower), np.abs(lower), 0.0)
        return bool((widths(lower, upper) <= self.tol + self.rtol * finite).all())

    def note(self, lower: Floats, upper: Floats) -> None:
        """Record the width of the bounds."""
        self.gap = float(np.max(widths(lower, upper)))
        self.trace.append((self.clock.iterations, self.gap))
        if self.progress is not None:
            self.progress(self.clock.iterations, self.gap)

    def solution(
        self,
        reduced: Reduced,
        bounds: Bounds,
        status: Status,
        guarantees: tuple[str, ...],
        more: Mapping[str, Any] | None = None,
    ) -> Solution:
        """Assemble the answer for the model from bounds on the nodes."""
        one, other = reduced.values(bounds.lower), reduced.values(bounds.upper)
        lower, upper = (one, other) if reduced.sign > 0 else (other, one)
        if self.narrow(lower, upper):
            status = Status.OPTIMAL
        with np.errstate(invalid="ignore"):
            value = np.clip(0.5 * lower + 0.5 * upper, lower, upper)
        value = np.where(np.isfinite(lower), np.where(np.isfinite(upper), value, lower), upper)
        for array in (value, lower, upper):
            array.flags.writeable = False
        self.note(lower, upper)
        return Solution(
            value,
            lower,
            upper,
            reduced.complete(bounds.choice),
            status,
            Stats(
                self.clock.iterations,
                time.perf_counter() - self.clock.wall,
                time.process_time() - self.clock.cpu,
                tuple(self.trace),
                tuple(self.log),
            ),
            Provenance(self.solver, {**self.options, **(more or {})}, self.mdp.fingerprint),
            guarantees,
            initial_law=self.mdp.initial,
        )


def describe(reduced: Reduced) -> str:
    """Say in one sentence what the graph left to compute."""
    mdp = reduced.mdp
    nodes = reduced.n_states - FIXED
    infinite = int(np.count_nonzero(reduced.node == 2))
    open_ = int(np.count_nonzero(reduced.node >= FIXED))
    return (
        f"the graph decides {mdp.n_states - open_} of {mdp.n_states} states ({infinite} infinite) "
        f"and leaves {nodes} nodes with {reduced.pair.size} pairs"
    )


def trivial(reduced: Reduced) -> Bounds:
    """Return bounds that need no computation: from 0 to 1, or to infinity."""
    nodes = np.arange(reduced.n_states) >= FIXED
    reach = reduced.mdp.criterion == "reachability"
    lower, upper = reduced.fixed, reduced.fixed
    lower[nodes] = 0.0 if reduced.nonnegative else -np.inf
    upper[nodes] = 1.0 if reach else np.inf
    return Bounds(lower, upper, reduced.start)
