"""What runs of learners leave behind: regret at checkpoints, certificates, coverage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdplib.statistics import Interval, clopper_pearson

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """Runs of one algorithm, a row per seed.

    Parameters
    ----------
    regret : (seeds, checkpoints) float64
        Sum of J* - <h, u_t>: what playing these actions for ever would lose.
    expected : (seeds, checkpoints) float64
        t J* minus the expected rewards given the actions; exact, by the Poisson identity.
    realised : (seeds, checkpoints) float64
        t J* minus the rewards.
    certificate : (seeds, checkpoints) float64
        Sum of ``min(D, 2 beta ||u||_{V^-1})``, which bounds `regret` while the sets hold; NaN for
        algorithms without sets.
    ratio : (seeds, checkpoints) float64
        Largest ``||h^ - h||_V / beta`` at the choices so far; NaN for algorithms without sets.
    choices : (seeds,) int64
        How often an action was chosen.
    switches : (seeds,) int64
        How often the action changed.
    pulls : (seeds, K) int64
        Rounds that each arm was played; K = 0 on a ball.
    has_set : bool
        Whether the algorithm has confidence sets for h.
    """

    regret: Floats
    expected: Floats
    realised: Floats
    certificate: Floats
    ratio: Floats
    choices: Integers
    switches: Integers
    pulls: Integers
    has_set: bool

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Whether h was in all sets of a seed, (seeds,); false for algorithms without sets."""
        return self.ratio[:, -1] <= 1.0

    def coverage(self, confidence: float = 0.95) -> Interval:
        """Return an exact interval for the probability that all sets of a run contain h."""
        return clopper_pearson(int(self.covered.sum()), self.covered.size, confidence)

    @property
    def final(self) -> Floats:
        """Regret after all rounds, (seeds,)."""
        return self.regret[:, -1]

    @property
    def mean(self) -> Floats:
        """Mean regret at each checkpoint, (checkpoints,)."""
        return self.regret.mean(axis=0)

    @property
    def standard_error(self) -> Floats:
        """Standard error of the mean, (checkpoints,); NaN for a single seed."""
        n = len(self.regret)
        if n < 2:
            return np.full(self.regret.shape[1], np.nan)
        return self.regret.std(axis=0, ddof=1) / np.sqrt(n)


@dataclass(frozen=True, eq=False, repr=False)
class Runs(Mapping[str, Run]):
    """Runs of several algorithms under the same noise, by name.

    Parameters
    ----------
    checkpoints : (C,) int64
        Numbers of rounds; the last is T.
    seeds : tuple of int
        Seeds, in the order of the rows.
    runs : mapping of str to Run
        By the name of the algorithm.
    """

    checkpoints: Integers
    seeds: tuple[int, ...]
    runs: Mapping[str, Run]

    def __getitem__(self, name: str) -> Run:
        return self.runs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def at(self, t: int) -> int:
        """Return the column of a checkpoint; KeyError if `t` is none."""
        places = np.flatnonzero(self.checkpoints == t)
        if not places.size:
            raise KeyError(t)
        return int(places[0])

    def __repr__(self) -> str:
        lines = [f"{len(self.seeds)} seeds, {int(self.checkpoints[-1])} rounds"]
        for name, run in self.items():
            sets = f", sets held in {int(run.covered.sum())}" if run.has_set else ""
            error = run.standard_error[-1]
            lines.append(f"  {name:20} regret {run.final.mean():.6g} ± {error:.2g}{sets}")
        return "\n".join(lines)
