"""The published "improvement over the best baseline", under every reading of it.

How the published number was averaged is not known. A reading chooses

- the rewards: raw, or with the reward of doing nothing taken off;
- the rival: myopic; the best published baseline, in each setting or on each instance, the iterative
  rule with the learner's own network among them; the same with the rules that know the fluid
  program or the Whittle indices among the baselines;
- the average: mean of the ratios, or ratio of the sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np

from experiments.sequoia.scores import CONFIDENCE, Floats, Scores, Setting, generator, iterative
from mdplib.statistics import Interval

RESAMPLES = 2000
PUBLISHED = ("random", "sampling", "myopic", "iterative")
THEORY = ("whittle", "fluid")
Rewards = Literal["raw", "null off"]
Rival = Literal[
    "myopic",
    "best of setting",
    "best of instance",
    "best of setting, fluid",
    "best of instance, fluid",
]
Average = Literal["mean of settings", "mean of instances", "ratio of sums"]


class Reading(NamedTuple):
    """What is divided by what, and averaged how."""

    rewards: Rewards
    rival: Rival
    average: Average

    @property
    def name(self) -> str:
        """Name in claims."""
        return "/".join(part.replace(", ", "+").replace(" ", "_") for part in self)


def readings() -> Iterator[Reading]:
    """Yield all readings."""
    for rewards in get_args(Rewards):
        for rival in get_args(Rival):
            for average in get_args(Average):
                yield Reading(rewards, rival, average)


def improvements(scores: Mapping[Setting, Scores], learner: str) -> dict[Reading, Interval]:
    """Return the improvement of a learner under every reading.

    Parameters
    ----------
    scores : mapping
        By setting; settings in which the learner, myopic and doing nothing have not all played on
        some instance are left out.
    learner : str
        Name of the learner.

    Returns
    -------
    dict
        Relative improvements with intervals: instances resampled within settings.
    """
    parts = {}
    for setting, each in scores.items():
        at = each.instances(learner, "myopic", "null")
        if at:
            parts[setting] = (each, at)
    found = {}
    for reading in readings() if parts else ():
        pairs = [_pair(each, at, learner, reading) for each, at in parts.values()]
        found[reading] = _interval(pairs, reading)
    return found


def _pair(each: Scores, at: list[int], learner: str, reading: Reading) -> tuple[Floats, Floats]:
    """Return the rewards of the learner and of its rival on the instances of a setting."""
    idle = each.mean("null", at) if reading.rewards == "null off" else np.zeros(len(at))
    mine = each.mean(learner, at) - idle
    if reading.rival == "myopic":
        return mine, each.mean("myopic", at) - idle
    names = (*PUBLISHED, iterative(learner)) + (THEORY if "fluid" in reading.rival else ())
    played = [each.mean(n, at) for n in names if set(at) <= set(each.rewards.get(n, {}))]
    rivals = np.array(played) - idle
    if "instance" in reading.rival:
        return mine, rivals.max(axis=0)
    return mine, rivals[rivals.mean(axis=1).argmax()]


def _improvement(pairs: list[tuple[Floats, Floats]], average: Average) -> Floats:
    """Return the improvement for arrays whose last axis are instances."""
    if average == "mean of settings":
        return np.mean([m.mean(axis=-1) / o.mean(axis=-1) - 1.0 for m, o in pairs], axis=0)
    if average == "mean of instances":
        return np.mean([(m / o - 1.0).mean(axis=-1) for m, o in pairs], axis=0)
    mine = np.sum([m.mean(axis=-1) for m, _ in pairs], axis=0)
    return mine / np.sum([o.mean(axis=-1) for _, o in pairs], axis=0) - 1.0


def _interval(pairs: list[tuple[Floats, Floats]], reading: Reading) -> Interval:
    """Return the improvement with an interval, infinite if some setting has a single instance."""
    n, estimate = sum(len(m) for m, _ in pairs), float(_improvement(pairs, reading.average))
    how = "bootstrap of instances within settings, percentile"
    if min(len(m) for m, _ in pairs) < 2:
        return Interval(-np.inf, estimate, np.inf, CONFIDENCE, how, n)
    rng = generator(reading.name)
    drawn = []
    for mine, other in pairs:
        at = rng.integers(len(mine), size=(RESAMPLES, len(mine)))
        drawn.append((mine[at], other[at]))
    tail = 0.5 * (1.0 - CONFIDENCE)
    low, high = np.quantile(_improvement(drawn, reading.average), [tail, 1.0 - tail])
    low, high = min(float(low), estimate), max(float(high), estimate)
    return Interval(low, estimate, high, CONFIDENCE, how, n)
