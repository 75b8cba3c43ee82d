"""What is varied: model, method, the choices it is run with, data, replicate.

Each family of cells has its own class; `run` picks the computation by the class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from experiments.engine.cells import Scale

Method = Literal["pevi", "tv", "kl", "chi2", "drpvi", "drvi_l", "va_drpvi", "va_tv"]
Choices = Literal["written", "public", "public_max"]
Source = Literal["published", "fresh"]
Divergence = Literal["tv", "kl", "chi2"]
DIVERGENCES: tuple[Divergence, ...] = get_args(Divergence)

PUBLISHED_SIMULATED, PUBLISHED_OPTION = 20, 3  # replications behind the published curves
NEXT_TO_ZERO = 1e-9  # a penalty of zero is the limit from above
GRID = (0.0, *(round(i / 9, 6) for i in range(1, 10)))  # the ten strengths of figure 1(c)
FIG_1B = (0.1, 0.2, 0.3, 0.6)
PENALTIES, RADII = (1.0, 3.0, 5.0), (0.2, 0.1, 0.025)  # of figure 1(d), in pairs
CORNER = (0.25, 0.75, 1.0, 1.2, 1.3, 2.0)  # penalties of the factor that the benchmark perturbs
TIMED = ((1000, 30), (1000, 60), (1000, 120), (5000, 30), (10000, 30))  # (n, d) of figure 2
TIMED_METHODS: tuple[Method, ...] = ("pevi", "tv", "kl", "chi2", "drpvi", "drvi_l")

# Replicates on fresh data: simulated model, option; seeds of the guarantees; sizes of the latter.
FRESH: dict[Scale, tuple[int, int, int]] = {
    "smoke": (5, 0, 3),
    "default": (50, 10, 20),
    "paper": (200, 40, 40),
}
SIZES: dict[Scale, tuple[int, ...]] = {
    "smoke": (100, 1600, 25600),
    "default": (100, 400, 1600, 6400, 25600, 102400),
    "paper": (100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 102400),
}
DIMENSIONS = (3, 5, 10, 20)
COVERAGE = (1.0, 0.3, 0.1, 0.03, 0.01)
CORNERED = 0.2  # concentration of the features where coverage is varied


@dataclass(frozen=True)
class Simulated:
    """Policies learnt on one data set of the five-state model, for several strengths.

    Parameters
    ----------
    figure : str
        What the cell is for; part of its name only.
    method, choices : str
        Method, and whether as written or as in the released code.
    xi : float
        Size of the action effects, ``norm1(xi)``.
    strengths : tuple of float
        Penalties lambda; radii rho for the constrained method.
    n : int
        Trajectories.
    source : {"published", "fresh"}
        Data of the published seeds, or from our own streams.
    replicate : int
        Number of the data set.
    corner : bool
        Whether only the factor (1, 4), which the benchmark perturbs, is robust.
    """

    figure: str
    method: Method
    choices: Choices
    xi: float
    strengths: tuple[float, ...]
    n: int
    source: Source
    replicate: int
    corner: bool = False


@dataclass(frozen=True)
class Option:
    """Exercise policies learnt on one data set of the American put, for several strengths.

    Parameters
    ----------
    method, choices, strengths, n, source, replicate
        As in `Simulated`.
    d : int
        Features.
    hold : float
        Probability with which the behaviour holds at a step; the released code always holds.
    """

    method: Method
    choices: Choices
    strengths: tuple[float, ...]
    n: int
    d: int
    source: Source
    replicate: int
    hold: float = 1.0


@dataclass(frozen=True)
class Timing:
    """Training time of all methods on one data set of the American put.

    Parameters
    ----------
    n, d : int
        Trajectories and features.
    code : {"library", "loop"}
        This library, or a plain loop that inverts the Gram matrix at every query.
    replicate : int
        Number of the data set.
    """

    n: int
    d: int
    code: Literal["library", "loop"]
    replicate: int


@dataclass(frozen=True)
class Guarantee:
    """Bound, certificate and truth on a random simplex model.

    Parameters
    ----------
    divergence : str
        Divergence of the penalty.
    strength : float
        Penalty.
    d : int
        Features.
    n : int
        Trajectories.
    spread : float
        The behaviour is uniform with this probability at a step; otherwise it avoids the first
        coordinate.
    concentration : float
        Of the random features: near 0 they are near the corners of the simplex.
    replicate : int
        Number of the model and of the data set.
    """

    divergence: Divergence
    strength: float
    d: int
    n: int
    spread: float
    concentration: float
    replicate: int


@dataclass(frozen=True)
class Truth:
    """Exact values of a benchmark model.

    Parameters
    ----------
    model : {"five_state", "option"}
        Which.
    replicate : int
        Always 0.
    """

    model: Literal["five_state", "option"]
    replicate: int = 0


Cell = Simulated | Option | Timing | Guarantee | Truth


def cells(scale: Scale) -> Iterator[Cell]:
    """Yield the cells of a scale."""
    simulated, option, guarantees = FRESH[scale]
    yield Truth("five_state")
    yield Truth("option")
    yield from _published(scale)
    for replicate in range(simulated):
        yield from _simulated("fresh", replicate)
        yield from _sizes(scale, replicate)
    for replicate in range(option):
        yield from _option("fresh", replicate)
    yield from _timings(scale)
    for replicate in range(guarantees):
        yield from _guarantees(scale, replicate)


def _published(scale: Scale) -> Iterator[Cell]:
    """Yield the cells on the data sets behind the published figures."""
    for replicate in range(PUBLISHED_SIMULATED):
        yield from _simulated("published", replicate)
    for replicate in range(PUBLISHED_OPTION):
        yield from _option("published", replicate)
        if scale == "paper":
            yield from _unpublished(replicate)


def _simulated(source: Source, replicate: int) -> Iterator[Simulated]:
    """Yield figures 1(a) to 1(c)."""
    both: tuple[Choices, ...] = ("written", "public")
    for choices in both:
        for method in ("pevi", "tv", "kl", "chi2"):
            yield Simulated("1a", method, choices, 0.2, (0.1,), 100, source, replicate)
        yield Simulated("1b", "tv", choices, 0.3, FIG_1B, 100, source, replicate)
        for method in ("tv", "drpvi"):
            yield Simulated("1c", method, choices, 0.2, GRID, 100, source, replicate)
    yield Simulated("1a", "chi2", "public_max", 0.2, (0.1,), 100, source, replicate)
    yield Simulated("1a", "chi2", "public", 0.2, (0.2,), 100, source, replicate)


def _sizes(scale: Scale, replicate: int) -> Iterator[Simulated]:
    """Yield what happens with more data: uniform penalties, and the corner alone."""
    for n in (100, 1000, 10_000) if scale == "smoke" else (100, 300, 1000, 3000, 10_000, 100_000):
        if replicate >= 20 and n > 10_000:
            continue
        for method in ("pevi", "tv", "kl", "chi2"):
            yield Simulated("size", method, "written", 0.2, (0.1,), n, "fresh", replicate)
        yield Simulated("corner", "tv", "written", 0.2, CORNER, n, "fresh", replicate, corner=True)


def _option(source: Source, replicate: int) -> Iterator[Option]:
    """Yield figure 1(d) and, on fresh data, a behaviour that exercises at times."""
    both: tuple[Choices, ...] = ("written", "public")
    methods: dict[Method, tuple[float, ...]] = {"pevi": (0.0,), "tv": PENALTIES, "drpvi": RADII}
    for choices in both:
        for method, strengths in methods.items():
            yield Option(method, choices, strengths, 100, 30, source, replicate)
    if source == "fresh":
        yield Option("tv", "written", PENALTIES, 100, 30, source, replicate, hold=0.9)


def _unpublished(replicate: int) -> Iterator[Option]:
    """Yield the variance-weighted methods, of which the notebook of the released code tells."""
    both: tuple[Choices, ...] = ("written", "public")
    for choices in both:
        yield Option("va_drpvi", choices, (0.2,), 100, 30, "published", replicate)
        yield Option("va_tv", choices, (1.0,), 100, 30, "published", replicate)


def _timings(scale: Scale) -> Iterator[Timing]:
    """Yield figure 2; the loop runs on the small instances only unless the scale is paper."""
    for n, d in TIMED:
        yield Timing(n, d, "library", 0)
        if scale == "paper" or (scale == "default" and (n, d) in TIMED[:2]):
            yield Timing(n, d, "loop", 0)


def _guarantees(scale: Scale, replicate: int) -> Iterator[Guarantee]:
    """Yield growing data, growing dimension and shrinking coverage."""
    every = 2 if scale == "smoke" else 1
    for divergence in DIVERGENCES:
        for n in SIZES[scale]:
            yield Guarantee(divergence, 1.0, 5, n, 1.0, 1.0, replicate)
        for d in DIMENSIONS[::every]:
            yield Guarantee(divergence, 1.0, d, 1600, 1.0, 1.0, replicate)
        for spread in COVERAGE[::every]:
            yield Guarantee(divergence, 1.0, 5, 1600, spread, CORNERED, replicate)
    for n in SIZES[scale]:
        yield Guarantee("kl", 3.0, 5, n, 1.0, 1.0, replicate)
