"""The models of the comparison, each from its own stream of random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mdplib import TabularMDP, models, sampling

GAMMAS = (0.95, 0.99, 0.999)


@dataclass(frozen=True)
class Instance:
    """A model of the comparison.

    Parameters
    ----------
    name : str
        Short name.
    family : str
        Instances of one family are listed by size: a method that exceeds its limits on one is
        not tried on larger ones.
    build : callable
        Maps a discount factor to the model.
    nnz : int
        Number of transitions, about.
    quick : bool
        Whether the quick run has it.
    """

    name: str
    family: str
    build: Callable[[float], TabularMDP]
    nnz: int
    quick: bool = False


def _garnet(S: int, A: int, b: int) -> Instance:
    def build(gamma: float) -> TabularMDP:
        rng = sampling.streams(0, f"garnet-{S}-{A}-{b}").instance
        return models.garnet(S, A, b, rng, gamma=gamma, successors="stratified")

    name = f"garnet 1e{len(str(S)) - 1}/{A}/{b}"
    quick = (S, A, b) == (10_000, 4, 5)
    return Instance(name, f"garnet {A}/{b}", build, S * A * b, quick)


def _dense(gamma: float) -> TabularMDP:
    return models.dense(500, 10, sampling.streams(0, "dense").instance, gamma=gamma)


def _maze(n: int) -> Callable[[float], TabularMDP]:
    def build(gamma: float) -> TabularMDP:
        rng = sampling.streams(0, "maze").instance
        return models.maze(n, rng, wall=0.25, slip=0.1, gamma=gamma)

    return build


def _ncd(gamma: float) -> TabularMDP:
    rng = sampling.streams(0, "ncd").instance
    return models.decomposable(20, 1000, 4, 5, rng, gamma=gamma, coupling=1e-3)


def _taxi(gamma: float) -> TabularMDP:
    from mdplib.io import from_gymnasium

    return from_gymnasium("Taxi-v4", gamma=gamma)


INSTANCES: dict[str, Instance] = {
    one.name: one
    for one in [
        Instance("taxi", "taxi", _taxi, 3_000, quick=True),
        Instance("chain 1e3", "chain", lambda g: models.chain(1000, gamma=g), 4_000, quick=True),
        Instance("dense 500/10", "dense", _dense, 2_500_000, quick=True),
        Instance("ncd 20x1000", "ncd", _ncd, 480_000),
        Instance(
            "inventory 1e4/16",
            "inventory",
            lambda g: models.inventory(10_000, 16, gamma=g),
            3_360_000,
        ),
        Instance("queue 1e5", "queue", lambda g: models.queue(100_000, gamma=g), 1_200_000),
        Instance("forest 1e5", "forest", lambda g: models.forest(100_000, gamma=g), 300_000),
        Instance("forest 1e6", "forest", lambda g: models.forest(1_000_000, gamma=g), 3_000_000),
        Instance("maze 100x100", "maze", _maze(100), 75_000),
        Instance("maze 1000x1000", "maze", _maze(1000), 7_500_000),
        *(
            _garnet(S, A, b)
            for A, b in ((4, 5), (4, 20), (16, 5), (16, 20))
            for S in (1_000, 10_000, 100_000, 1_000_000)
        ),
    ]
}
