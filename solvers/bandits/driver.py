"""Runs of many learners over many seeds, in compiled code and in memory that no round adds to.

All learners of a seed meet the same noise. Seeds are shared among threads, which plain Python
starts: kernels release the interpreter's lock. An interrupt stops every thread after its current
piece of some hundred thousand rounds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels, validate
from mdplib.action_sets import Ball
from mdplib.bandit_constants import Constants, check_rounds
from mdplib.dynamical_bandit import DynamicalLinearBandit
from mdplib.errors import InvalidModelError
from solvers.bandits.interface import Algorithm, Program, Task
from solvers.bandits.result import Run, Runs

PIECE = 1 << 18  # learner-rounds per call of a kernel, about
CHECKPOINTS = 200

Told = Constants | Mapping[str, Constants] | None


def run(
    bandit: DynamicalLinearBandit,
    algorithms: Mapping[str, Algorithm] | Sequence[Algorithm] | Algorithm,
    T: int,
    seeds: int | Iterable[int],
    *,
    checkpoints: ArrayLike | None = None,
    constants: Told = None,
    threads: int | None = None,
) -> Runs:
    """Let algorithms play a bandit under the same noise.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The system.
    algorithms : mapping of str to Algorithm, or algorithms
        Who plays; without names, the names of the classes.
    T : int
        Number of rounds, at least 1.
    seeds : int or ints
        Seeds of the noise, 0 to 2**64 - 1; a number n stands for 0, ..., n - 1.
    checkpoints : (C,) ints, optional
        Strictly increasing numbers of rounds, at most T, which is added if missing; by default at
        most 200, evenly spaced in the logarithm.
    constants : Constants, or mapping of str to Constants, optional
        What the algorithms are told, or each of them by name; by default the truth.
    threads : int, optional
        Number of threads, by default as many as compiled code may use.

    Returns
    -------
    Runs
        Regret, certificates and coverage by name.

    Raises
    ------
    InvalidModelError
        If T, a seed or a checkpoint is out of range, there is no algorithm or no seed, or the
        default constants do not exist (see `DynamicalLinearBandit.constants`).
    NotApplicableError
        If an algorithm needs finitely many actions and the bandit has a ball.

    Examples
    --------
    >>> from mdplib import models
    >>> from solvers.bandits import Clairvoyant, DynLinUCB
    >>> found = run(models.dlb_synthetic(), [DynLinUCB(), Clairvoyant()], 1000, seeds=2)
    >>> found["Clairvoyant"].final, bool(found["DynLinUCB"].covered.all())
    (array([0., 0.]), True)
    """
    check_rounds(T)
    named = _named(algorithms)
    keys = _seeds(seeds)
    ends = _ends(checkpoints, int(T))
    told = _told(bandit, named, constants)
    programs = [
        algorithm.program(Task(told[name], int(T), bandit.actions, bandit.markov_parameter))
        for name, algorithm in named.items()
    ]
    plan = _Plan(bandit, programs, int(T), ends)
    workers = _kernels.threads.usable() if threads is None else threads
    if workers < 1:
        raise InvalidModelError(f"threads is {threads!r}; at least 1 expected")
    states = _each(plan, keys, min(workers, len(keys)))
    runs = {
        name: _gather(algorithm, a, states) for a, (name, algorithm) in enumerate(named.items())
    }
    return Runs(ends, tuple(keys), runs)


def default_checkpoints(T: int, count: int = CHECKPOINTS) -> NDArray[np.int64]:
    """Return at most `count` numbers of rounds up to T, evenly spaced in the logarithm.

    Examples
    --------
    >>> default_checkpoints(1000, 4)
    array([   1,   10,  100, 1000])
    """
    spaced = np.geomspace(1, T, count) if T > 1 else np.ones(1)
    return np.unique(np.append(np.round(spaced), T).astype(np.int64))


@dataclass(frozen=True, eq=False)
class _Plan:
    """What all seeds share."""

    bandit: DynamicalLinearBandit
    programs: list[Program]
    T: int
    ends: NDArray[np.int64]


@dataclass(eq=False)
class _State:
    """The state of all learners under one seed; arrays as in `mdplib._kernels.bandits`."""

    par: NDArray[np.float64]
    num: NDArray[np.float64]
    count: NDArray[np.int64]
    mat: NDArray[np.float64]
    vec: NDArray[np.float64]
    tab: NDArray[np.float64]
    jumps: NDArray[np.float64]
    hold: NDArray[np.int64]
    sums: NDArray[np.float64]
    mean: NDArray[np.float64]
    pulls: NDArray[np.int64]
    out: NDArray[np.float64]


def _begin(plan: _Plan) -> _State:
    """Return the state before the first round."""
    bandit, programs = plan.bandit, plan.programs
    a, d = len(programs), bandit.dimension
    K = 0 if isinstance(bandit.actions, Ball) else bandit.actions.arms.shape[0]
    most = max(program.capacity for program in programs)
    state = _State(
        np.zeros((a, max(24, d))), np.zeros((a, 8)), np.zeros((a, 8), dtype=np.int64),
        np.zeros((a, 5, d, d)), np.zeros((a, 6, d)), np.zeros((a, 4, K)), np.zeros((a, most, d)),
        np.zeros((a, 6), dtype=np.int64), np.zeros((a, 8)), np.tile(bandit.x0, (a, 1)),
        np.zeros((a, K), dtype=np.int64), np.zeros((a, 5, plan.ends.size)),
    )  # fmt: skip
    state.hold[:, _kernels.bandits.ARM] = -1
    for i, program in enumerate(programs):
        _load(program, bandit, state, i)
    return state


def _load(program: Program, bandit: DynamicalLinearBandit, state: _State, i: int) -> None:
    """Write the parameters of a learner, and its state before the first round."""
    linear, arms = _kernels.bandits_linear, _kernels.bandits_arms
    if program.u is not None:
        state.par[i, : program.u.size] = program.u
        if state.pulls.shape[1]:
            same = np.abs(bandit.actions.arms - program.u).max(axis=1) <= 1e-9  # pyright: ignore
            state.hold[i, _kernels.bandits.ARM] = int(np.argmax(same)) if same.any() else -1
        return
    for name, value in program.par.items():
        home = _kernels.bandits if name == "RANDOM" else linear
        place = getattr(arms if hasattr(arms, name) else home, name)
        state.par[i, place] = value
    if program.kind in ("EPOCH", "SWITCH", "DISCOUNTED"):
        linear.begin(
            state.par[i], state.num[i], state.mat[i], state.vec[i], state.tab[i], _arms(bandit)
        )
    elif program.kind == "EXP3":
        state.tab[i, 0] = 1.0


def _arms(bandit: DynamicalLinearBandit) -> NDArray[np.float64]:
    if isinstance(bandit.actions, Ball):
        return np.empty((0, bandit.dimension))
    return np.array(bandit.actions.arms)


def _one(plan: _Plan, seed: int, stop: threading.Event) -> _State:
    """Play all rounds of one seed, in pieces."""
    bandit, state = plan.bandit, _begin(plan)
    kernels = _kernels.bandits
    kinds = np.array([getattr(kernels, p.kind) for p in plan.programs], dtype=np.int64)
    radius = bandit.actions.radius if isinstance(bandit.actions, Ball) else 0.0
    w, arms, t = np.zeros(bandit.n_states), _arms(bandit), 0
    size = max(PIECE // len(plan.programs) // kernels.BLOCK, 1) * kernels.BLOCK
    while t < plan.T and not stop.is_set():
        until = min(t + size, plan.T)
        kernels.play(
            kinds, state.par, state.num, state.count, state.mat, state.vec, state.tab, state.jumps,
            state.hold, state.sums, state.mean, state.pulls, state.out, w, bandit.A, bandit.B,
            bandit.omega, bandit.theta, bandit.markov_parameter, bandit.g, bandit.x0, arms, radius,
            bandit.best[1], bandit.largest_gap, bandit.output_noise, bandit.state_noise,
            np.uint64(seed), t, until, plan.T, plan.ends,
        )  # fmt: skip
        t = until
    return state


def _each(plan: _Plan, seeds: list[int], workers: int) -> list[_State]:
    """Play every seed; one thread needs no pool."""
    stop = threading.Event()
    _one(_Plan(plan.bandit, plan.programs, 1, np.ones(1, dtype=np.int64)), seeds[0], stop)
    if workers == 1:
        return [_one(plan, seed, stop) for seed in seeds]
    play: Callable[[int], _State] = lambda seed: _one(plan, seed, stop)  # noqa: E731
    with ThreadPoolExecutor(workers, thread_name_prefix="mdplib-bandits") as pool:
        try:
            return list(pool.map(play, seeds))
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _gather(algorithm: Algorithm, a: int, states: list[_State]) -> Run:
    """Return the results of learner a, a row per seed."""
    kernels = _kernels.bandits
    out = np.stack([state.out[a] for state in states], axis=1)
    if not algorithm.has_set:
        out[3:] = np.nan
    out.flags.writeable = False
    hold = np.stack([state.hold[a] for state in states])
    return Run(
        *out,
        choices=hold[:, kernels.DECISIONS],
        switches=hold[:, kernels.CHANGES],
        pulls=np.stack([state.pulls[a] for state in states]),
        has_set=algorithm.has_set,
    )


def _named(
    algorithms: Mapping[str, Algorithm] | Sequence[Algorithm] | Algorithm,
) -> dict[str, Algorithm]:
    if isinstance(algorithms, Algorithm):
        algorithms = [algorithms]
    if not isinstance(algorithms, Mapping):
        names = [type(each).__name__ for each in algorithms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidModelError(
                f"algorithms has several of {', '.join(twice)}; a mapping can name each of them"
            )
        algorithms = dict(zip(names, algorithms, strict=True))
    if not algorithms:
        raise InvalidModelError("algorithms is empty; at least one expected")
    return dict(algorithms)


def _told(
    bandit: DynamicalLinearBandit, named: Mapping[str, Algorithm], constants: Told
) -> dict[str, Constants]:
    if isinstance(constants, Constants):
        return dict.fromkeys(named, constants)
    found = dict(constants or {})
    loose = sorted(set(found) - set(named))
    if loose:
        raise InvalidModelError(f"constants speaks of {', '.join(loose)}, who do not play")
    rest = [name for name in named if name not in found]
    if rest:
        found |= dict.fromkeys(rest, bandit.constants())
    return found


def _seeds(seeds: int | Iterable[int]) -> list[int]:
    keys = list(range(seeds)) if isinstance(seeds, int) else [int(seed) for seed in seeds]
    if not keys:
        raise InvalidModelError("seeds is empty; at least one expected")
    validate.require(
        np.array([0 <= seed < 2**64 for seed in keys]),
        lambda i: f"seeds[{i}] is {keys[i]}",
        "Seeds are integers from 0 to 2**64 - 1.",
    )
    return keys


def _ends(checkpoints: ArrayLike | None, T: int) -> NDArray[np.int64]:
    if checkpoints is None:
        return default_checkpoints(T)
    ends = np.atleast_1d(np.asarray(checkpoints))
    if ends.ndim != 1 or not ends.size or ends.dtype.kind not in "iu":
        raise InvalidModelError("checkpoints must be a non-empty sequence of integers")
    ends = ends.astype(np.int64)
    validate.require(
        (ends >= 1) & (ends <= T) & (np.diff(ends, prepend=0) > 0),
        lambda i: f"checkpoints[{i}] is {ends[i]}",
        f"Checkpoints increase strictly from at least 1 to at most T = {T}.",
    )
    return ends if ends[-1] == T else np.append(ends, T)
