"""Simulation of dynamical linear bandits under actions fixed in advance.

The noise of round t is a function of the seed and of t alone (`mdplib._kernels.noise`), so every
player of the same seed meets the same noise, however the rounds are cut into pieces, and sums over
millions of rounds need no memory for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels, validate
from mdplib.bandit_constants import check_rounds
from mdplib.dynamical_bandit import DynamicalLinearBandit
from mdplib.errors import InvalidModelError

Floats = NDArray[np.float64]
OUTPUT, STATE, LEARNER = 0, 1, 1 << 32  # streams; component i of the state has STATE + i


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """Actions fixed in advance, each for some rounds.

    Parameters
    ----------
    actions : (m, d) float64
        The actions in order.
    lengths : (m,) int64
        For how many rounds each is played, at least 0, and at least 1 in all.

    Raises
    ------
    InvalidModelError
        If shapes disagree, an action is not finite, or there is no round.

    Examples
    --------
    >>> Schedule([[1.0, 0.0], [0.0, 1.0]], [10, 5]).rounds
    15
    """

    actions: Floats
    lengths: NDArray[np.int64]

    def __post_init__(self):
        actions = validate.frozen(self.actions, np.float64, "actions", ndim=(2,))
        lengths = validate.frozen(self.lengths, np.int64, "lengths")
        validate.length(lengths, actions.shape[0], "lengths")
        validate.require(
            np.asarray(np.isfinite(actions).all(axis=1)),
            lambda i: f"action {i} is {actions[i].tolist()}",
            "Actions must be finite.",
            unit="actions",
        )
        validate.require(
            lengths >= 0,
            lambda i: f"lengths[{i}] is {lengths[i]}",
            "An action is played for 0 rounds or more.",
        )
        object.__setattr__(self, "actions", actions)
        object.__setattr__(self, "lengths", lengths)
        check_rounds(self.rounds)

    @property
    def rounds(self) -> int:
        """Number of rounds T."""
        return int(self.lengths.sum())

    @classmethod
    def constant(cls, u: ArrayLike, rounds: int) -> Schedule:
        """Return the schedule that plays one action, (d,), in every round."""
        check_rounds(rounds)
        return cls(np.atleast_2d(np.asarray(u, dtype=np.float64)), np.array([int(rounds)]))

    @classmethod
    def each(cls, actions: ArrayLike) -> Schedule:
        """Return the schedule that plays each row of (T, d) once."""
        rows = np.asarray(actions, dtype=np.float64)
        return cls(rows, np.ones(rows.shape[0], dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Totals:
    """Sums over the first ``checkpoints[c]`` rounds of several runs.

    Parameters
    ----------
    checkpoints : (C,) int64
        Numbers of rounds.
    reward, expected, steady : (runs, C) float64
        Sums of the rewards y_t, of their expectations given the actions, and of <h, u_t>.
    state, mean : (runs, C, n) float64
        The state that follows those rounds, and its expectation.
    """

    checkpoints: NDArray[np.int64]
    reward: Floats
    expected: Floats
    steady: Floats
    state: Floats
    mean: Floats


def simulate(
    bandit: DynamicalLinearBandit,
    actions: ArrayLike | Schedule,
    seed: int | ArrayLike,
    *,
    start: int = 0,
    x: ArrayLike | None = None,
    noise: bool = True,
) -> Floats:
    """Return the reward of every round.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The system.
    actions : Schedule or (T, d) or (runs, T, d) array_like
        What is played; one schedule is played in all runs.
    seed : int or (runs,) ints
        Seeds of the noise, 0 to 2**64 - 1; one number gives run i the seed ``seed + i``.
    start : int
        Number of the first round, from 0; its noise is that of this number.
    x : (n,) array_like, optional
        State in the first round, by default the initial one.
    noise : bool
        Whether there is noise. Without it the rewards are the expected ones.

    Returns
    -------
    (T,) or (runs, T) float64
        The rewards; one axis where neither `actions` nor `seed` speaks of runs.

    Raises
    ------
    InvalidModelError
        On wrong shapes, actions that are not finite, or a seed out of range.

    Examples
    --------
    >>> from mdplib import models
    >>> plan = Schedule.constant([1.0, 0.5, 0.0], 5)
    >>> simulate(models.dlb_synthetic(), plan, 7, noise=False)
    array([0.25  , 0.7   , 0.79  , 0.808 , 0.8116])
    """
    plans, single = _plans(bandit, actions)
    seeds, alone = _seeds(seed, len(plans), single)
    plans = plans * len(seeds) if len(plans) == 1 else plans
    if start < 0:
        raise InvalidModelError(f"start is {start!r}; rounds are counted from 0")
    first = bandit.x0 if x is None else validate.frozen(x, np.float64, "x")
    validate.vector(first, bandit.n_states, "x")
    rewards = np.empty((len(seeds), plans[0].rounds))
    level = (bandit.output_noise, bandit.state_noise) if noise else (0.0, 0.0)
    for run, (plan, key) in enumerate(zip(plans, seeds, strict=True)):
        _kernels.bandit_simulation.play(
            bandit.A, bandit.B, bandit.omega, bandit.theta, plan.actions, plan.lengths,
            key, np.uint64(start), *level, first.copy(), rewards[run],
        )  # fmt: skip
    return rewards[0] if single and alone else rewards


def totals(
    bandit: DynamicalLinearBandit,
    actions: ArrayLike | Schedule,
    seed: int | ArrayLike,
    *,
    checkpoints: ArrayLike | None = None,
) -> Totals:
    """Return sums of rewards after some numbers of rounds, in memory that does not grow with them.

    Parameters
    ----------
    bandit : DynamicalLinearBandit
        The system.
    actions : Schedule or (T, d) or (runs, T, d) array_like
        What is played; one schedule is played in all runs.
    seed : int or (runs,) ints
        Seeds of the noise, as in `simulate`.
    checkpoints : (C,) ints, optional
        Strictly increasing numbers of rounds from 1 to T, by default T alone.

    Returns
    -------
    Totals
        The sums.

    Raises
    ------
    InvalidModelError
        On wrong shapes, actions that are not finite, a seed or a checkpoint out of range.

    Examples
    --------
    >>> from mdplib import models
    >>> bandit = models.dlb_synthetic(0.0)
    >>> found = totals(bandit, Schedule.constant([1.0, 0.5, 0.0], 10**6), 0)
    >>> boundary = bandit.g @ (bandit.x0 - found.mean[0, 0])  # the Poisson identity
    >>> bool(abs(found.expected[0, 0] - found.steady[0, 0] - boundary) < 1e-6)
    True
    """
    plans, single = _plans(bandit, actions)
    seeds, _ = _seeds(seed, len(plans), single)
    plans = plans * len(seeds) if len(plans) == 1 else plans
    ends = _ends(checkpoints, plans[0].rounds)
    n, runs, C = bandit.n_states, len(seeds), ends.size
    reward, expected, steady = (np.empty((runs, C)) for _ in range(3))
    state, mean = np.empty((runs, C, n)), np.empty((runs, C, n))
    for i, (plan, key) in enumerate(zip(plans, seeds, strict=True)):
        _kernels.bandit_simulation.sums(
            bandit.A, bandit.B, bandit.omega, bandit.theta, bandit.markov_parameter,
            plan.actions, plan.lengths, key, bandit.output_noise, bandit.state_noise,
            bandit.x0.copy(), bandit.x0.copy(), ends,
            reward[i], expected[i], steady[i], state[i], mean[i],
        )  # fmt: skip
    return Totals(ends, reward, expected, steady, state, mean)


def noise_block(seed: int, stream: int, start: int, n: int) -> Floats:
    """Return n standard normal numbers of a stream, from place `start` on.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.
    stream : int
        `OUTPUT` for the noise of the output, ``STATE + i`` for component i of the state,
        `LEARNER` and above for what a learner draws; 0 to 2**64 - 1.
    start, n : int
        First place (the round, counted from 0) and number of places.

    Returns
    -------
    (n,) float64
        The numbers; any way of cutting a range into blocks gives the same.

    Raises
    ------
    InvalidModelError
        If a number is out of range.

    Examples
    --------
    >>> whole = noise_block(1, OUTPUT, 0, 10)
    >>> bool((noise_block(1, OUTPUT, 4, 6) == whole[4:]).all())
    True
    """
    for name, value in (("seed", seed), ("stream", stream), ("start", start)):
        _word(value, name)
    if n < 0:
        raise InvalidModelError(f"n is {n!r}; at least 0 expected")
    return _kernels.noise.noise_block(np.uint64(seed), np.uint64(stream), np.uint64(start), n)


def _word(value: int, name: str) -> np.uint64:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InvalidModelError(f"{name} is {value!r}; an integer expected")
    if not 0 <= int(value) < 2**64:
        raise InvalidModelError(f"{name} is {value!r}; an integer from 0 to 2**64 - 1 expected")
    return np.uint64(int(value))


def _plans(
    bandit: DynamicalLinearBandit, actions: ArrayLike | Schedule
) -> tuple[list[Schedule], bool]:
    """Return the schedule of each run, and whether there is one schedule for all."""
    if isinstance(actions, Schedule):
        plans, single = [actions], True
    else:
        rows = np.asarray(actions, dtype=np.float64)
        if rows.ndim not in (2, 3) or not rows.size:
            raise InvalidModelError(
                f"actions has shape {rows.shape}; (T, d) or (runs, T, d) expected, none of them 0"
            )
        plans, single = (
            [Schedule.each(run) for run in rows.reshape(-1, *rows.shape[-2:])],
            rows.ndim == 2,
        )
    if plans[0].actions.shape[1] != bandit.dimension:
        raise InvalidModelError(
            f"the actions played have {plans[0].actions.shape[1]} components, those of the bandit "
            f"{bandit.dimension}"
        )
    return plans, single


def _seeds(seed: int | ArrayLike, runs: int, single: bool) -> tuple[list[np.uint64], bool]:
    """Return the seed of each run, and whether one number was given."""
    if isinstance(seed, (int, np.integer)):
        return [_word(int(seed) + i, "seed") for i in range(runs)], True
    seeds = [_word(s, "seed") for s in np.asarray(seed, dtype=object).reshape(-1)]
    if not seeds or (not single and len(seeds) != runs):
        wanted = "at least one" if single else str(runs)
        raise InvalidModelError(f"seed has {len(seeds)} entries; {wanted} expected, one per run")
    return seeds, False


def _ends(checkpoints: ArrayLike | None, rounds: int) -> NDArray[np.int64]:
    ends = np.array([rounds]) if checkpoints is None else np.asarray(checkpoints)
    if ends.ndim != 1 or ends.dtype.kind not in "iu" or not ends.size:
        raise InvalidModelError("checkpoints must be a non-empty sequence of integers")
    validate.require(
        (ends >= 1) & (ends <= rounds) & (np.diff(ends, prepend=0) > 0),
        lambda i: f"checkpoints[{i}] is {ends[i]}",
        f"Checkpoints increase strictly from at least 1 to at most T = {rounds}.",
    )
    return ends.astype(np.int64)
