r"""Average reward, certified: relative value iteration, policy iteration where mixing is slow.

Problem       Given P and r, find the optimal gain ``g*(s)``: the largest (smallest) long-run
              average of the rewards from each state.
Algorithm     In every maximal end component (the graph decides what they are), with d = T V - V,

                  ``min d <= g* <= max d``                                                  (1)

              and ``V <- V + tau d``, centred, which is value iteration on the chain that rests
              with probability 1 - tau, so periods do no harm.                              (2)
              Where the width of (1) shrinks too slowly, the greedy policy is evaluated by a
              linear solve and V becomes its relative value.                                (3)
              With several components, `solvers.undiscounted.components` decides which one to
              steer to, from the bounds (1).
Guarantee     (1) holds for every V in every model, multichain ones included, and the greedy
              policy's gain obeys the lower bound: its stationary law mu gives
              ``g^pi = mu r = mu (r + P V - V) = mu d``, and for any policy ``mu d <= max d``.
              Convergence needs the gain to be constant, and within an end component it is.
              Rounding is counted, and so is every reading of the stored floats as
              probabilities that sum to one.
Cost          O(nnz) per sweep; the width shrinks with the mixing of the lazy chain.
Deviations    (1) is evaluated per end component, so that multichain models need no policy
              iteration with lexicographic improvement.
References    Odoni (1969); Puterman (1994), sections 8.5 and 9.5; Schweitzer (1971);
              Ashok, Chatterjee, Daca, Kretinsky, Meggendorfer (2017).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mdplib import graphs, operators
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.policy import DeterministicPolicy
from mdplib.solution import Provenance, Solution, Stats, Status
from mdplib.tabular import TabularMDP
from mdplib.undiscounted import UndiscountedMDP
from solvers.undiscounted import components, relative_values

Floats = NDArray[np.float64]
Ints = NDArray[Any]  # of any width
Progress = Callable[[int, float], None]
Variant = Literal["auto", "value_iteration", "policy_iteration"]

_TAU = 0.75  # period 2 contracts by 1/2, real eigenvalues lose a quarter of their rate
_WATCH = 16  # sweeps over which the contraction is measured
_PATIENCE = 400  # sweeps still needed beyond which a linear solve is tried
_STALLED = 30  # sweeps without a narrower bracket after which rounding is blamed
_UNHELPFUL = 3  # linear solves in a row without a larger gain, after which they have failed
_FAILURES = 2  # linear solves that did not help, after which none are tried


@dataclass
class Search:
    """Bounds on the gain of every end component, and what it takes to narrow them.

    Parameters
    ----------
    mdp : TabularMDP
        The pairs that stay inside the components, one step, components one after the other.
    start : (M,) int
        First state of each component.
    variant : {"auto", "value_iteration", "policy_iteration"}
        Whether to use (2), (3), or to decide.
    """

    mdp: TabularMDP
    start: Ints
    variant: Variant
    log: list[str] = field(default_factory=list)

    def __post_init__(self):
        n = self.mdp.n_states
        self.sizes = np.diff(self.start, append=n)
        self.V = np.zeros(n)
        self.lower = np.full(self.start.size, -np.inf)
        self.upper = np.full(self.start.size, np.inf)
        self.pair = np.asarray(self.mdp.state_ptr[:-1], dtype=np.int32).copy()
        self.goal, self.rounding, self.failures, self.stalled = 0.0, 0.0, 0, 0
        self.widths: list[float] = []
        self._restore: tuple[Floats, float] | None = None
        self._first_solve, self._gain, self._unhelpful = True, -np.inf, 0

    def sweep(self) -> None:
        """Apply (1) to V, keep the better bounds, and move V."""
        TV, pair = operators.backup(self.mdp, self.V)
        d = TV - self.V
        slack = self._slack(d)
        low = np.minimum.reduceat(d, self.start) - slack  # (1)
        high = np.maximum.reduceat(d, self.start) + slack  # (1)
        better = low > self.lower
        take = np.repeat(better, self.sizes)
        self.pair[take] = pair[take]
        self.lower[better] = low[better]
        before = self.width
        self.upper = np.minimum(self.upper, high)
        self.rounding = float(2 * slack.max())
        self.stalled = 0 if self.width < before or not np.isfinite(before) else self.stalled + 1
        self.widths.append(float((high - low).max()))
        self._move(d, pair)

    @property
    def width(self) -> float:
        """Largest width of the bounds."""
        return float((self.upper - self.lower).max())

    def _slack(self, d: Floats) -> Floats:
        """Bound, per component, what rounding and the reading of the floats add to d."""
        n, u = self.mdp.max_successors, 1.02 * operators.UNIT
        size = np.maximum.reduceat(np.abs(self.V), self.start)
        change = np.maximum.reduceat(np.abs(d), self.start)
        # n + 2 roundings of a backup; a reading moves a probability by less than 2(n + 4) units
        # and a reward by one.
        terms = (n + 3) * self.mdp.max_reward + (3 * n + 10) * size + 4 * change
        return u * terms + n * 2.0**-1073

    def _move(self, d: Floats, pair: NDArray[np.int32]) -> None:
        if self._restore is not None and not self._helps():
            return
        if self._wants_solve():
            if self._restore is None:
                self._restore = (self._centred(self.V + _TAU * d), self.widths[-1])
            found = relative_values.evaluate(self.mdp, self.start, pair, d)
            if np.isfinite(found.V).all():
                gain = float(found.gain.sum())
                self._unhelpful = 0 if gain > self._gain + self.rounding else self._unhelpful + 1
                self._gain = max(gain, self._gain)
                self.V = self._centred(found.V)  # (3)
                return
            self._failed("a linear solve failed")
            return
        self.V = self._centred(self.V + _TAU * d)  # (2)

    def _helps(self) -> bool:
        """Whether linear solves go on: while the gain rises, or once the bracket is narrower."""
        assert self._restore is not None
        _, width = self._restore
        if self.widths[-1] < 0.9 * width or self.widths[-1] <= 2 * self.rounding:
            self._restore, self._gain = None, -np.inf
            return True
        if self._unhelpful <= _UNHELPFUL:
            return True
        self._failed("linear solves did not narrow the bracket")
        return False

    def _failed(self, why: str) -> None:
        assert self._restore is not None
        self.failures += 1
        self.log.append(f"after {len(self.widths)} sweeps {why}")
        self.V, self._restore = self._restore[0], None

    def _wants_solve(self) -> bool:
        if self.variant == "value_iteration" or self.failures >= _FAILURES:
            return False
        if self._restore is not None:
            return True
        if self.variant == "policy_iteration":
            return True
        if not self._first_solve:
            return self.widths[-1] > 4 * self.rounding
        if len(self.widths) <= _WATCH or self.widths[-1] <= 4 * self.rounding:
            return False
        rate = (self.widths[-1] / self.widths[-1 - _WATCH]) ** (1 / _WATCH)
        goal = max(self.goal, self.rounding)
        if 0 < rate < 1 and np.log(goal / self.widths[-1]) / np.log(rate) < _PATIENCE:
            return False
        self._first_solve = False
        self.log.append(
            f"after {len(self.widths)} sweeps the width shrinks by {rate:.4g} per sweep: greedy "
            "policies are evaluated by linear solves"
        )
        return True

    def _centred(self, V: Floats) -> Floats:
        """Move each component to the middle of its range: a constant changes no bound."""
        middle = np.maximum.reduceat(V, self.start) + np.minimum.reduceat(V, self.start)
        return V - np.repeat(0.5 * middle, self.sizes)


def average_reward(
    mdp: UndiscountedMDP,
    *,
    variant: Variant = "auto",
    tol: float = 1e-6,
    rtol: float = 0.0,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Find the optimal long-run average reward of every state.

    Parameters
    ----------
    mdp : UndiscountedMDP
        With criterion "average_reward"; unichain, communicating or multichain.
    variant : {"auto", "value_iteration", "policy_iteration"}
        How end components are solved: by sweeps (2), by linear solves (3), or by sweeps until
        they prove slow.
    tol, rtol : float
        Stop when ``upper - lower <= tol + rtol |lower|`` in every state; reward per step.
    max_iterations : int
        Limit on sweeps.
    time_limit : float, optional
        Limit in seconds; the best bounds so far are returned with status TIME_LIMIT.
    progress : callable, optional
        Called with (sweeps, gap) now and then.

    Returns
    -------
    Solution
        Gains; ``policy`` attains them within the bounds.

    Raises
    ------
    NotApplicableError
        If the criterion is another one.

    Examples
    --------
    >>> mdp = UndiscountedMDP([0, 2, 3], [0, 1, 2, 3], [0, 1, 0], [1.0, 1.0, 1.0], [0, 1, 0],
    ...                       "average_reward", reward=[1.0, 0.0, 3.0])
    >>> solution = average_reward(mdp, tol=1e-9)
    >>> [round(float(g), 6) for g in solution.value], solution.policy.action.tolist()
    ([1.5, 1.5], [1, 0])
    """
    if mdp.criterion != "average_reward":
        raise NotApplicableError(
            f"average_reward solves the criterion 'average_reward', not {mdp.criterion!r}"
        )
    if variant not in get_args(Variant):
        raise InvalidModelError(f"variant is {variant!r}; one of {get_args(Variant)} expected")
    limits = {"tol": tol, "rtol": rtol, "max_iterations": max_iterations, "time_limit": time_limit}
    for name, value in limits.items():
        if value is not None and not value >= 0:
            raise InvalidModelError(f"{name} is {value!r}; a number of at least 0 expected")
    return _Solve(mdp, variant, tol, rtol, max_iterations, time_limit, progress).run()


class _Solve:
    """One solve under way: components first, then the way to them."""

    def __init__(self, mdp, variant, tol, rtol, max_iterations, time_limit, progress):
        self.mdp, self.variant, self.tol, self.rtol = mdp, variant, tol, rtol
        self.max_iterations, self.time_limit, self.progress = max_iterations, time_limit, progress
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        self.trace: list[tuple[int, float]] = []
        self.iterations = 0

    def run(self) -> Solution:
        mdp = self.mdp
        assert mdp.reward is not None
        label, inside = graphs.maximal_end_components(mdp)
        sign = 1.0 if mdp.objective == "max" else -1.0
        part = components.restrict(mdp, label, inside, sign * mdp.reward)
        search = Search(part.mdp, part.start, self.variant)
        count = part.start.size
        search.log.append(
            f"{count} maximal end component{'s' if count > 1 else ''} on "
            f"{part.mdp.n_states} of {mdp.n_states} states"
        )
        status, lower, upper, pair = self._refine(search, part)
        if sign < 0:
            lower, upper = -upper, -lower
        return self._solution(lower, upper, pair, status, search)

    def _refine(self, search: Search, part: components.Part):
        """Narrow the bounds of the components until those of the states are narrow enough."""
        share = 1.0 if part.start.size == 1 else 0.5
        while True:
            status = self._sweeps(search, share)
            way = components.steer(self.mdp, part, search.lower, search.upper, self._stop)
            self.iterations += way.sweeps
            self._note(float((way.upper - way.lower).max()))
            met = self._met(way.lower, way.upper)
            if met or status is not Status.OPTIMAL or not way.converged:
                pair = components.policy(self.mdp, part, search.pair, way)
                if met:
                    status = Status.OPTIMAL
                elif status is Status.OPTIMAL:
                    status = self._limit() or Status.ROUNDING_LIMIT
                return status, way.lower, way.upper, pair
            share /= 8

    def _sweeps(self, search: Search, share: float) -> Status:
        check = 1
        while True:
            search.sweep()
            self.iterations += 1
            wanted = share * (self.tol + self.rtol * np.abs(search.lower))
            search.goal = float(wanted.min())
            if (search.upper - search.lower <= wanted).all():
                self._note(search.width)
                return Status.OPTIMAL
            if search.stalled >= _STALLED and search.width <= 8 * search.rounding:
                self._note(search.width)
                return Status.ROUNDING_LIMIT
            if (limit := self._limit()) is not None:
                return limit
            if self.iterations >= check:
                self._note(search.width)
                check = max(check + 1, int(1.2 * self.iterations))

    def _met(self, lower: Floats, upper: Floats) -> bool:
        return bool((upper - lower <= self.tol + self.rtol * np.abs(lower)).all())

    def _stop(self, lower: Floats, upper: Floats, sweeps: int) -> bool:
        over = self.iterations + sweeps >= self.max_iterations
        return over or self._late() or self._met(lower, upper)

    def _late(self) -> bool:
        elapsed = time.perf_counter() - self.wall
        return self.time_limit is not None and elapsed >= self.time_limit

    def _limit(self) -> Status | None:
        if self._late():
            return Status.TIME_LIMIT
        over = self.iterations >= self.max_iterations
        return Status.ITERATION_LIMIT if over else None

    def _note(self, width: float) -> None:
        self.trace.append((self.iterations, width))
        if self.progress is not None:
            self.progress(self.iterations, width)

    def _solution(self, lower, upper, pair, status, search) -> Solution:
        value = np.clip(0.5 * lower + 0.5 * upper, lower, upper)
        for array in (value, lower, upper):
            array.flags.writeable = False
        options = {
            "variant": self.variant,
            "tol": self.tol,
            "rtol": self.rtol,
            "max_iterations": self.max_iterations,
            "time_limit": self.time_limit,
        }
        stats = Stats(
            self.iterations,
            time.perf_counter() - self.wall,
            time.process_time() - self.cpu,
            tuple(self.trace),
            tuple(search.log),
        )
        return Solution(
            value,
            lower,
            upper,
            DeterministicPolicy(pair, self.mdp.action_id[pair]),
            status,
            stats,
            Provenance("average_reward", options, self.mdp.fingerprint),
            guarantees=("odoni1969:gain_bracket",),
            initial_law=self.mdp.initial,
        )
