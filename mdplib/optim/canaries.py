"""Tiny mixed-integer programs with known optima, to be solved before a long experiment.

Solvers of this kind have returned wrong optima with status "optimal" in some releases. The
programs below are small enough to be enumerated here, and they use what larger ones use:
equalities, big-M switches, negative bounds, degenerate and infeasible rows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mdplib.errors import SolverError
from mdplib.optim.backends import Backend, solve_mip
from mdplib.optim.builder import MipBuilder
from mdplib.optim.mip import MipArrays, MipStatus


@dataclass(frozen=True)
class Canary:
    """A program with binary columns only, apart from `n_switched` columns that they decide."""

    name: str
    program: MipArrays
    optimum: float | None


def canaries() -> list[Canary]:
    """Return the programs; the optimum is None for the infeasible one.

    Examples
    --------
    >>> [canary.name for canary in canaries()][:3]
    ['knapsack', 'cover', 'assignment']
    """
    found = [("knapsack", _knapsack()), ("cover", _cover()), ("assignment", _assignment())]
    found += [("parity", _parity()), ("walk", _walk())]
    known = [Canary(name, program, _enumerated(program)) for name, program in found]
    return [*known, Canary("switch", _switch(), -7.0), Canary("infeasible", _infeasible(), None)]


def check_backend(backend: Backend = "highs") -> None:
    """Solve the canaries with a back end.

    Parameters
    ----------
    backend : str
        As in `solve_mip`.

    Raises
    ------
    SolverError
        Naming the first program whose answer is wrong, with both values.

    Examples
    --------
    >>> check_backend("highs")
    """
    for canary in canaries():
        result = solve_mip(canary.program, backend, gap=0.0)
        if canary.optimum is None:
            right = result.status is MipStatus.INFEASIBLE
        else:
            right = result.x is not None and abs(result.objective - canary.optimum) < 1e-6
            right = right and result.bound <= canary.optimum + 1e-6
        if not right:
            raise SolverError(
                f"{backend} is wrong on the canary {canary.name!r}: status {result.status.name}, "
                f"value {result.objective:g}, bound {result.bound:g}; the optimum is "
                f"{canary.optimum}. Use another back end or another release of it."
            )


def _enumerated(program: MipArrays) -> float:
    n = program.c.size
    points = np.array(list(itertools.product((0.0, 1.0), repeat=n)))
    activity = points @ program.A.toarray().T
    fits = (activity >= program.row_lower - 1e-9) & (activity <= program.row_upper + 1e-9)
    return float((points[fits.all(axis=1)] @ program.c).min()) + program.offset


def _knapsack() -> MipArrays:
    builder = MipBuilder()
    x = builder.columns(6, upper=1.0, integer=True, cost=[-9.0, -7.5, -6.0, -4.0, -3.5, -1.0])
    builder.row(x, [5.0, 4.0, 4.0, 3.0, 2.0, 1.0], upper=9.5)
    return builder.arrays()


def _cover() -> MipArrays:
    builder = MipBuilder(offset=2.0)
    x = builder.columns(7, upper=1.0, integer=True, cost=[3.0, 2.0, 2.0, 4.0, 1.0, 2.5, 3.5])
    builder.rows([x[[0, 1]], x[[1, 2, 3]], x[[3, 4]], x[[4, 5, 6]], x[[0, 6]]], lower=1.0)
    return builder.arrays()


def _assignment() -> MipArrays:
    cost = np.array([4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 3.0, 2.0, 2.0])
    builder = MipBuilder()
    x = builder.columns(9, upper=1.0, integer=True, cost=cost).reshape(3, 3)
    builder.rows([*x, *x.T], lower=1.0, upper=1.0)
    return builder.arrays()


def _parity() -> MipArrays:
    """Return an equality that halves cannot meet: 2 x0 + 2 x1 + 3 x2 + 3 x3 = 5."""
    builder = MipBuilder()
    x = builder.columns(4, upper=1.0, integer=True, cost=[1.0, 2.0, -1.0, -0.5])
    builder.row(x, [2.0, 2.0, 3.0, 3.0], lower=5.0, upper=5.0)
    return builder.arrays()


def _walk() -> MipArrays:
    """Return closed walks of two steps on a triangle with loops, as flows from a unit source."""
    arcs = [(u, v) for u in range(3) for v in range(3)]
    builder = MipBuilder()
    cost = np.array([0.0, -1.0, -3.0, -2.0, 0.5, -1.0, -1.0, -2.0, 1.0])
    x = [builder.columns(9, upper=1.0, integer=True, cost=cost / (t + 1)) for t in range(2)]
    out = [[k for k, (u, _) in enumerate(arcs) if u == node] for node in range(3)]
    into = [[k for k, (_, v) in enumerate(arcs) if v == node] for node in range(3)]
    builder.row(x[0][out[0]], lower=1.0, upper=1.0)
    builder.row(x[0], lower=1.0, upper=1.0)
    builder.row(x[1][into[0]], lower=1.0, upper=1.0)
    for node in range(3):
        columns = np.concatenate([x[0][into[node]], x[1][out[node]]])
        builder.row(columns, [1.0] * 3 + [-1.0] * 3, lower=0.0, upper=0.0)
    return builder.arrays()


def _switch() -> MipArrays:
    """Return two big-M switches y <= M z of which only one pays."""
    builder = MipBuilder()
    z = builder.columns(2, upper=1.0, integer=True, cost=[0.0, 3.0])
    y = builder.columns(2, lower=-1.0, upper=10.0, cost=-1.0)
    builder.rows([[y[0], z[0]], [y[1], z[1]]], [[1.0, -7.0], [1.0, -2.0]], upper=0.0)
    return builder.arrays()


def _infeasible() -> MipArrays:
    builder = MipBuilder()
    x = builder.columns(2, upper=1.0, integer=True)
    builder.row(x, [2.0, 2.0], lower=1.0, upper=1.0)
    return builder.arrays()
