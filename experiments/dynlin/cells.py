"""What is varied: the system, the protocol, the algorithm, what it is told, rounds, the batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from experiments.engine.cells import Scale

SystemName = Literal["synthetic", "advertising", "refit", "signs"]
Name = Literal[
    "dynlin_log",
    "dynlin_one",
    "dynlin_certified",
    "rs_dynlin",
    "lin_ucb_log",
    "lin_ucb",
    "d_lin_ucb_log",
    "d_lin_ucb",
    "ar2",
    "exp3",
    "batch_exp3",
    "ucb1",
    "expert",
]
Protocol = Literal["correct", "public"]
EVERYONE: tuple[Name, ...] = get_args(Name)[:-1]
OURS: tuple[Name, ...] = ("dynlin_log", "dynlin_certified", "rs_dynlin")
PUBLIC: tuple[Name, ...] = (
    "dynlin_log",
    "dynlin_one",
    "lin_ucb_log",
    "lin_ucb",
    "d_lin_ucb_log",
    "d_lin_ucb",
    "ar2",
    "exp3",
    "batch_exp3",
)
SIGMA = 0.01
SIGMAS = (0.001, 0.01, 0.1)
RHOS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.8)
TRUE_RHO = 0.2  # of the synthetic system
SIGNS_SIGMA, SIGNS_RHO, SIGNS_D = 0.1, 0.8, 2  # the family of the lower bound
SEEDS = 5  # per cell
SIDE_ROUNDS = 100_000  # no longer runs of the refit, the public protocol, other noises
# From a scale to the numbers of rounds and to batches of seeds; larger scales contain the smaller.
GRID: dict[Scale, tuple[tuple[int, ...], int]] = {
    "smoke": ((10_000,), 4),
    "default": ((10_000, 100_000), 6),
    "paper": ((10_000, 100_000, 1_000_000), 10),
}


@dataclass(frozen=True)
class Cell:
    """A batch of seeds of one algorithm on one system.

    Parameters
    ----------
    system : str
        Where it is played; "signs" is the family of the lower bound.
    protocol : {"correct", "public"}
        "public" repeats what the published code does, its slips included.
    sigma : float
        Standard deviation of every noise.
    algorithm : str
        Who plays.
    rho : float
        Spectral radius that the algorithm is told; -1 for the true one.
    rounds : int
        T.
    replicate : int
        Number of the batch. Equal batches see equal noise, whatever else differs.
    """

    system: SystemName
    protocol: Protocol
    sigma: float
    algorithm: Name
    rho: float
    rounds: int
    replicate: int


def cells(scale: Scale) -> Iterator[Cell]:
    """Yield the cells of a scale."""
    horizons, batches = GRID[scale]
    grid = dict.fromkeys(_grid())  # figures share settings
    for batch in range(batches):
        for algorithm in OURS:  # one shorter run, so that the family has a rate at every scale
            yield Cell("signs", "correct", SIGNS_SIGMA, algorithm, -1.0, horizons[0] // 10, batch)
    for rounds in horizons:
        for batch in range(batches):
            for system, protocol, sigma, algorithm, rho in grid:
                side = system == "refit" or protocol == "public"
                side |= system == "synthetic" and sigma != SIGMA
                if rounds > SIDE_ROUNDS and side:
                    continue
                yield Cell(system, protocol, sigma, algorithm, rho, rounds, batch)


def _grid() -> Iterator[tuple[SystemName, Protocol, float, Name, float]]:
    for algorithm in EVERYONE:
        yield "synthetic", "correct", SIGMA, algorithm, -1.0
    for sigma in SIGMAS:
        for algorithm in (*OURS, "lin_ucb_log"):
            yield "synthetic", "correct", sigma, algorithm, -1.0
    for rho in RHOS:
        for algorithm in OURS:
            yield "synthetic", "correct", SIGMA, algorithm, rho if rho != TRUE_RHO else -1.0
    for algorithm in (*EVERYONE, "expert"):
        yield "advertising", "correct", SIGMA, algorithm, -1.0
    for algorithm in (*OURS, "lin_ucb_log", "expert"):
        yield "refit", "correct", SIGMA, algorithm, -1.0
    for algorithm in PUBLIC:
        yield "synthetic", "public", SIGMA, algorithm, -1.0
    for algorithm in OURS:
        yield "signs", "correct", SIGNS_SIGMA, algorithm, -1.0
