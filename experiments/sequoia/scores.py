"""Rewards, bounds and what follows from them, by setting, policy and instance."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import Finished, Row
from experiments.sequoia.cells import Bounded, Domain, Played, Trained
from mdplib.restless.gap import GapMethod, certified_gap
from mdplib.statistics import Interval

Floats = NDArray[np.float64]
STEPS = 20
PAPER = {20: 5, 40: 10, 100: 20}  # from J to B
CONFIDENCE = 0.95
CLOCKED = "seconds_"  # readings of the clock
SEQUOIA = "sequoia"  # the default learner
ITERATIVE_DQN = "iterative_dqn"


class Setting(NamedTuple):
    """A domain at a size."""

    domain: Domain
    n_arms: int
    budget: int

    @property
    def published(self) -> bool:
        """Whether the paper has this size."""
        return PAPER.get(self.n_arms) == self.budget


@dataclass
class Scores:
    """Everything played in one setting.

    Parameters
    ----------
    upper : dict of int to float
        Smallest proven bound on the reward of an episode, by instance.
    bounds : dict of int to Row
        All bounds.
    rewards : dict of str to dict of int to (episodes,) float64
        By policy and instance. Learners go by their variant, the default one as "sequoia".
    seconds : dict of str to dict of int to Row
        Readings of the clock, by policy (or "bounds") and instance.
    runs : dict of str to dict of int to Row
        Rows of the learners.
    """

    upper: dict[int, float] = field(default_factory=dict)
    bounds: dict[int, Row] = field(default_factory=dict)
    rewards: dict[str, dict[int, Floats]] = field(default_factory=dict)
    seconds: dict[str, dict[int, Row]] = field(default_factory=dict)
    runs: dict[str, dict[int, Row]] = field(default_factory=dict)

    def instances(self, *policies: str) -> list[int]:
        """Return the instances with a bound on which all these policies have played."""
        shared = set(self.upper)
        for policy in policies:
            shared &= set(self.rewards.get(policy, {}))
        return sorted(shared)

    def mean(self, policy: str, instances: Sequence[int]) -> Floats:
        """Return the mean reward of an episode, by instance."""
        return np.array([self.rewards[policy][i].mean() for i in instances])

    def bound(self, instances: Sequence[int]) -> Floats:
        """Return the bounds of instances."""
        return np.array([self.upper[i] for i in instances])

    def share(self, policy: str) -> Floats:
        """Return the shares of the bound that are earned, by instance."""
        at = self.instances(policy)
        return self.mean(policy, at) / self.bound(at)

    def normalised(self, policy: str) -> Floats:
        """Return the same with the reward of doing nothing taken off both."""
        at = self.instances(policy, "null")
        idle = self.mean("null", at)
        return (self.mean(policy, at) - idle) / (self.bound(at) - idle)

    def per_step(self, policy: str) -> Floats:
        """Return the mean rewards of a step, by instance."""
        return self.mean(policy, self.instances(policy)) / STEPS

    def gaps(self, policy: str, method: GapMethod = "betting") -> Floats:
        """Return the certified gaps, by instance: proven confidence, or Student's nominal one."""
        return np.array(
            [
                certified_gap(
                    self.rewards[policy][i],
                    self.upper[i],
                    low=self.bounds[i]["lowest"],
                    confidence=CONFIDENCE,
                    method=method,
                ).gap
                for i in self.instances(policy)
            ]
        )

    def differences(self, policy: str, rival: str) -> list[Floats]:
        """Return per-step differences of paired episodes, an array per instance."""
        at = self.instances(policy, rival)
        mine, other = self.rewards.get(policy, {}), self.rewards.get(rival, {})
        return [(mine[i][: len(other[i])] - other[i][: len(mine[i])]) / STEPS for i in at]


def collect(finished: Sequence[Finished]) -> dict[Setting, Scores]:
    """Return the scores of all settings that have bounds, the smallest first.

    Of runs that differ only in training or in episodes, the longest counts.
    """
    found: dict[Setting, Scores] = defaultdict(Scores)
    for cell, row in sorted(finished, key=_length):
        if isinstance(cell, Bounded | Played | Trained):
            _file(found[Setting(cell.domain, cell.n_arms, cell.budget)], cell, row)
    bounded = [item for item in found.items() if item[1].upper]
    return dict(sorted(bounded, key=lambda item: item[0].n_arms))


def _length(each: Finished) -> tuple[int, int, int]:
    """Return instance, training episodes and episodes of a cell."""
    cell = each.cell
    return cell.replicate, getattr(cell, "training", 0), getattr(cell, "episodes", 0)


def _file(scores: Scores, cell: Bounded | Played | Trained, row: Row) -> None:
    """Put a row where it belongs."""
    i, name = cell.replicate, "bounds"
    if isinstance(cell, Bounded):
        scores.upper[i], scores.bounds[i] = row["upper"], row
    elif row["rewards"] is None:
        return
    else:
        name = cell.policy if isinstance(cell, Played) else named(cell.variant)
        scores.rewards.setdefault(name, {})[i] = np.array(row["rewards"])
    if isinstance(cell, Trained):
        scores.runs.setdefault(name, {})[i] = row
        if row.get(ITERATIVE_DQN) is not None:
            scores.rewards.setdefault(iterative(name), {})[i] = np.array(row[ITERATIVE_DQN])
    seconds = {k.removeprefix(CLOCKED): v for k, v in row.items() if k.startswith(CLOCKED)}
    if seconds:
        scores.seconds.setdefault(name, {})[i] = seconds


def named(variant: str) -> str:
    """Return the name under which a variant plays."""
    return SEQUOIA if variant == "default" else variant


def iterative(learner: str) -> str:
    """Return the name of the iterative rule with the network of a learner.

    Examples
    --------
    >>> iterative("sequoia"), iterative("published")
    ('iterative_dqn', 'iterative_published')
    """
    return ITERATIVE_DQN if learner == SEQUOIA else f"iterative_{learner}"


def student(values: Floats, what: str = "over instances") -> Interval:
    """Return Student's interval of a mean over independent instances.

    A single value has no interval: the limits are infinite.

    Examples
    --------
    >>> bool(student(np.array([1.0, 2.0, 3.0])).high > 3.0)
    True
    """
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Interval(-np.inf, mean, np.inf, CONFIDENCE, f"Student, {what}", n)
    half = quantile(0.5 * (1.0 + CONFIDENCE), n - 1) * float(values.std(ddof=1)) / np.sqrt(n)
    return Interval(mean - half, mean, mean + half, CONFIDENCE, f"Student, {what}", n)


def within(arrays: Sequence[Floats]) -> Interval:
    """Return an interval of the mean over the instances played, episodes alone being random."""
    means = np.array([x.mean() for x in arrays])
    squares = np.array([x.var(ddof=1) / len(x) for x in arrays])
    error = float(np.sqrt(squares.sum())) / len(arrays)
    least = min(len(x) for x in arrays) - 1
    half = quantile(0.5 * (1.0 + CONFIDENCE), least) * error
    mean = float(means.mean())
    total = sum(len(x) for x in arrays)
    return Interval(mean - half, mean, mean + half, CONFIDENCE, "Student, over episodes", total)


def quantile(level: float, freedom: int) -> float:
    """Return a quantile of Student's law."""
    from scipy.special import stdtrit

    return float(stdtrit(max(1, freedom), level))


def generator(*key: object) -> np.random.Generator:
    """Return the generator of a bootstrap, the same for equal keys."""
    return np.random.default_rng(zlib.crc32(repr(key).encode()))
