"""Every library on every model, at equal proven accuracy.

Accuracy. For a model and a discount factor, eps = 1e-6 (1 + max |V*|). A run counts if its vector
is proven to be within eps of V*, by bounds that `solvers.solve` proves at a fiftieth of eps, or by
those that follow from the vector itself. A run that misses is repeated with its tolerance lowered
by 10, three times at most; after that it is reported as missed. `solvers.solve` gets no such
help and is held to more: the width of its own bounds is at most eps.

Time. Each library solves in a process of its own, under a limit of time and of memory. The seconds
are those of the solve alone, construction apart; the first run of several is left out, the median
of the others counts, and of wall and CPU time the lesser: on a busy machine the wall clock counts
the work of others, and CPU time counts all threads.

A method that exceeds the limit at one discount factor is not tried at larger ones, and one that
exceeds its limits at all of them is not tried on larger models of the family. A method that takes
more than 3 seconds and 5 times as long as another one of its library is ended as slower.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tabular.adapters import ADAPTERS
from benchmarks.tabular.instances import Instance
from benchmarks.tabular.session import Session

RELATIVE = 1e-6
_TIGHTER = (1.0, 0.1, 0.01, 0.001)
_OURS = "mdplib"
_PATIENCE, _WORSE = 3.0, 5.0
_LIMITS = ("time", "memory", "died", "not tried")


@dataclass(frozen=True)
class Settings:
    """What to measure and how.

    Parameters
    ----------
    python : dict of str to Path
        Interpreter of each library.
    gammas : sequence of float
        Discount factors, rising.
    repeats : int
        Runs after the first one.
    limit : float
        Seconds for one solve, and for one construction.
    memory : int
        Bytes of address space of a process.
    methods : dict of str to tuple of str
        Methods of each library.
    scratch : Path or None
        Where the arrays of the models go for the time of their measurement.
    """

    python: dict[str, Path]
    gammas: Sequence[float]
    repeats: int = 3
    limit: float = 60.0
    memory: int = 0
    methods: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {name: kind.methods for name, kind in ADAPTERS.items()}
    )
    scratch: Path | None = None


@dataclass(frozen=True)
class Measurement:
    """One method on one model at one discount factor.

    Parameters
    ----------
    model, library, method : str
        What was run.
    gamma : float
        Discount factor.
    seconds, wall, cpu : float or None
        Median of the solve: the lesser, the wall clock, the CPU time. None if it failed.
    first : float or None
        The first run, with whatever the library does only once.
    construction : float or None
        Making the library's model from arrays.
    error : float or None
        Proven bound on the error of the vector, in units of eps.
    eps : float
        The accuracy asked for, in units of reward.
    note : str
        "" for a run that counts; otherwise why it does not.
    detail : str
        What the library said.
    """

    model: str
    gamma: float
    library: str
    method: str
    seconds: float | None = None
    wall: float | None = None
    cpu: float | None = None
    first: float | None = None
    construction: float | None = None
    error: float | None = None
    eps: float = float("nan")
    note: str = ""
    detail: str = ""

    def row(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def compare(
    instances: Sequence[Instance], settings: Settings, *, session: Callable[..., Any] = Session
) -> Iterator[list[Measurement]]:
    """Measure one model after the other.

    Parameters
    ----------
    instances : sequence of Instance
        The models; those of one family by size.
    settings : Settings
        What to measure and how.
    session : callable
        Starts a worker; a stand-in for tests.

    Yields
    ------
    list of Measurement
        Of one model.
    """
    given_up: set[tuple[str, str, str]] = set()
    for instance in instances:
        with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
            one = _Model(instance, settings, Path(folder), session)
            problem = one.prepare()
            results: list[Measurement] = []
            for library, methods in settings.methods.items():
                for method in methods:
                    key = (instance.family, library, method)
                    skip = problem or ("not tried" if key in given_up else "")
                    found = one.skipped(library, method, skip) if skip else one.run(library, method)
                    if found and all(m.note in _LIMITS for m in found):
                        given_up.add(key)
                    results += found
            one.close()
        yield results


class _Model:
    """One model: its files, its reference bounds, and the runs on it."""

    def __init__(self, instance: Instance, settings: Settings, folder: Path, session: Any):
        self.instance, self.settings, self.folder, self.session = (
            instance,
            settings,
            folder,
            session,
        )
        self.eps: dict[float, float] = {}
        self.bounds: dict[float, tuple[np.ndarray, np.ndarray]] = {}
        self.best: dict[tuple[str, float], float] = {}
        self.checker: Any = None

    def prepare(self) -> str:
        """Write the model and prove reference bounds; return what went wrong."""
        settings = self.settings
        with self.session(settings.python[_OURS], settings.memory) as worker:
            built = worker.ask(
                "build",
                20 * settings.limit,
                name=self.instance.name,
                gamma=settings.gammas[0],
                folder=str(self.folder),
            )
        if "error" in built:
            return f"the model could not be built: {built['error']} {built.get('detail', '')}"
        self.checker = self._load(_OURS, "auto", self.session(settings.python[_OURS]))
        reward = np.load(self.folder / "reward.npy")
        for gamma in settings.gammas:
            largest = float(np.abs(reward).max()) / (1 - gamma)
            rough = self._solve(self.checker, gamma, 1e-3 * largest, repeats=0, bounds=True)
            if "error" in rough:
                return f"no reference: {rough['error']} {rough.get('detail', '')}"
            self.eps[gamma] = RELATIVE * (1 + float(np.abs(self._values()["V"]).max()))
            fine = self._solve(self.checker, gamma, self.eps[gamma] / 50, repeats=0, bounds=True)
            if "error" in fine:  # a new worker, and bounds from each vector instead
                self.checker = self._load(_OURS, "auto", self.session(settings.python[_OURS]))
                self.bounds[gamma] = _no_bounds(self._states())
            else:
                stored = self._values()
                self.bounds[gamma] = stored["lower"], stored["upper"]
        return ""

    def skipped(
        self,
        library: str,
        method: str,
        note: str,
        detail: str = "",
        gammas: Sequence[float] | None = None,
    ) -> list[Measurement]:
        """Return entries for runs that are left out, at all discount factors or at some."""
        chosen = self.settings.gammas if gammas is None else gammas
        return [self._entry(gamma, library, method, note, detail) for gamma in chosen]

    def run(self, library: str, method: str) -> list[Measurement]:
        """Measure one method at all discount factors."""
        settings = self.settings
        if library not in settings.python:
            return self.skipped(library, method, "absent")
        results: list[Measurement] = []
        waiting = list(settings.gammas)
        while waiting:  # with a new worker after one that was ended
            with self.session(settings.python[library], settings.memory) as worker:
                loaded = worker.ask(
                    "load",
                    settings.limit + 30,
                    library=library,
                    method=method,
                    folder=str(self.folder),
                )
                if loaded.get("error") == "not offered":
                    return []
                if "error" in loaded:
                    note, detail = loaded["error"], loaded.get("detail", "")
                    return results + self.skipped(library, method, note, detail, waiting)
                while waiting:
                    results.append(self._measure(worker, waiting.pop(0), library, method, loaded))
                    if results[-1].note in _LIMITS:
                        return results + self.skipped(library, method, "not tried", "", waiting)
                    if results[-1].note == "slower":
                        break
        return results

    def close(self) -> None:
        """End the worker that proves bounds."""
        if self.checker is not None:
            self.checker.close()

    def _measure(
        self, worker: Any, gamma: float, library: str, method: str, loaded: dict[str, Any]
    ) -> Measurement:
        eps, limit = self.eps[gamma], self._limit(library, gamma)
        entry = self._entry(gamma, library, method)
        for factor in _TIGHTER[:1] if library == _OURS else _TIGHTER:
            answer = self._solve(
                worker,
                gamma,
                factor * eps,
                self.settings.repeats,
                bounds=library == _OURS,
                limit=limit,
                spare=2 * loaded["wall"],
            )
            if "error" in answer:
                if entry.note == "missed":  # the tighter run failed: what counts is the miss
                    return entry
                note = answer["error"]
                if note == "time" and limit < self.settings.limit:
                    note = "slower"
                return self._entry(gamma, library, method, note, answer.get("detail", ""))
            median = {
                name: statistics.median(run[name] for run in answer["runs"])
                for name in ("least", "wall", "cpu")
            }
            error = self._error(gamma, library) / eps
            slow = median["least"] > self.settings.limit
            entry = self._entry(
                gamma,
                library,
                method,
                note="time" if slow else "" if error <= 1 else "missed",
                seconds=median["least"],
                wall=median["wall"],
                cpu=median["cpu"],
                first=answer["first"]["least"],
                construction=answer["construction"]["least"] + loaded["least"],
                error=error,
            )
            if entry.note != "missed":
                break
        if not entry.note and entry.seconds is not None:
            best = self.best.get((library, gamma), float("inf"))
            self.best[library, gamma] = min(best, entry.seconds)
        return entry

    def _limit(self, library: str, gamma: float) -> float:
        """Seconds that a method gets: no more than make sense beside its library's best one."""
        best = self.best.get((library, gamma))
        if best is None:
            return self.settings.limit
        return min(self.settings.limit, max(_PATIENCE, _WORSE * best))

    def _error(self, gamma: float, library: str) -> float:
        """Return a proven bound on the error of the vector that was stored last."""
        stored = self._values()
        V = stored["V"]
        if not np.isfinite(V).all():
            return float("inf")
        error = _distance(V, *self.bounds[gamma])
        if library == _OURS:
            return min(error, _distance(V, stored["lower"], stored["upper"]))
        if error > self.eps[gamma]:
            proven = self.checker.ask("bounds", 60, gamma=gamma, values=str(self._file))
            if "error" not in proven:
                stored = self._values()
                error = min(error, _distance(V, stored["lower"], stored["upper"]))
        return error

    def _solve(
        self,
        worker: Any,
        gamma: float,
        epsilon: float,
        repeats: int,
        *,
        bounds: bool,
        limit: float | None = None,
        spare: float = 0.0,
    ) -> dict[str, Any]:
        limit = 5 * self.settings.limit if limit is None else limit
        enough = min(5.0, limit / 2)
        return worker.ask(
            "solve",
            limit + enough + spare,
            enough=enough,
            gamma=gamma,
            epsilon=epsilon,
            repeats=repeats,
            values=str(self._file),
            bounds=bounds,
        )

    def _load(self, library: str, method: str, worker: Any) -> Any:
        limit = 5 * self.settings.limit + 60
        worker.ask("load", limit, library=library, method=method, folder=str(self.folder))
        return worker

    def _states(self) -> int:
        return np.load(self.folder / "state_ptr.npy", mmap_mode="r").size - 1

    @property
    def _file(self) -> Path:
        return self.folder / "V.npz"

    def _values(self) -> dict[str, np.ndarray]:
        with np.load(self._file) as stored:
            return dict(stored)

    def _entry(
        self, gamma: float, library: str, method: str, note: str = "", detail: str = "", **more: Any
    ) -> Measurement:
        return Measurement(
            self.instance.name,
            gamma,
            library,
            method,
            eps=self.eps.get(gamma, float("nan")),
            note=note,
            detail=detail,
            **more,
        )


def _distance(V: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """Largest possible distance of V from what lies between the bounds."""
    return float(max((upper - V).max(), (V - lower).max()))


def _no_bounds(states: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(states, -np.inf), np.full(states, np.inf)
