"""Vertices of small polytopes given by inequalities.

A vertex of {u : G u <= c} is a feasible point at which d independent inequalities are tight. All
choices of d rows are tried, in batches; flat polytopes are no exception. Linear programs say first
whether the set is empty or unbounded.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError

Floats = NDArray[np.float64]
MOST_CHOICES = 200_000
_BATCH = 20_000
_TOLERANCE = 1e-9


def enumerate_vertices(G: ArrayLike, c: ArrayLike) -> Floats:
    """Return the vertices of {u : G u <= c}, (K, d), in lexicographic order.

    Parameters
    ----------
    G : (m, d) array_like
        One inequality per row.
    c : (m,) array_like
        Right-hand sides.

    Returns
    -------
    (K, d) float64
        The vertices, each once.

    Raises
    ------
    InvalidModelError
        If the set is empty or unbounded, or d out of m rows can be chosen in too many ways.

    Examples
    --------
    >>> enumerate_vertices([[-1.0], [2.0]], [0.0, 3.0])
    array([[0. ],
           [1.5]])
    """
    G, c = _rows(G, c)
    m, d = G.shape
    choices = math.comb(m, d)
    if choices > MOST_CHOICES:
        raise InvalidModelError(
            f"{d} of {m} inequalities can be chosen in {choices} ways, more than {MOST_CHOICES}; "
            "give the vertices instead"
        )
    norm = np.linalg.norm(G, axis=1)
    _check_bounded(G / norm[:, None], c / norm)
    found = []
    every = itertools.combinations(range(m), d)
    while batch := list(itertools.islice(every, _BATCH)):
        index = np.array(batch)
        # of rows of norm one a determinant below the tolerance means parallel planes
        sound = np.abs(np.linalg.det(G[index] / norm[index][..., None])) > _TOLERANCE
        u = np.linalg.solve(G[index[sound]], c[index[sound]][..., None])[..., 0]
        scale = 1 + np.abs(u).max(axis=1, initial=0.0)
        feasible = (u @ G.T - c <= _TOLERANCE * scale[:, None] * norm).all(axis=1)
        found.append(u[feasible])
    points = np.concatenate(found) + 0.0
    scale = 1 + float(np.abs(points).max(initial=0.0))
    return _distinct(np.where(np.abs(points) < 1e-15 * scale, 0.0, points), 1e-8 * scale)


def _rows(G: ArrayLike, c: ArrayLike) -> tuple[Floats, Floats]:
    """Return the inequalities without those that say 0 <= something."""
    rows = validate.frozen(G, np.float64, "G", ndim=(2,))
    right = validate.frozen(c, np.float64, "c")
    if rows.shape[1] == 0 or right.shape != rows.shape[:1]:
        raise InvalidModelError(
            f"G has shape {rows.shape} and c {right.shape}; (m, d) with d >= 1 and (m,) expected"
        )
    validate.require(
        np.isfinite(rows).all(axis=1) & np.isfinite(right),
        lambda i: f"inequality {i} is {rows[i].tolist()} u <= {right[i]}",
        "Coefficients must be finite; leave an inequality out instead of bounding it by inf.",
        unit="inequalities",
    )
    norm = np.linalg.norm(rows, axis=1)
    validate.require(
        (norm > 0) | (right >= 0),
        lambda i: f"inequality {i} reads 0 <= {right[i]}: the action set is empty",
        "Correct it.",
        unit="inequalities",
    )
    kept = norm > 0
    return rows[kept], right[kept]


def _check_bounded(G: Floats, c: Floats) -> None:
    """Raise if the set is empty, or some component has no least or largest value."""
    from scipy.optimize import linprog

    for j in range(G.shape[1]):
        for sign, word in ((1.0, "below"), (-1.0, "above")):
            cost = np.zeros(G.shape[1])
            cost[j] = sign
            status = 3
            if G.size:
                status = linprog(cost, A_ub=G, b_ub=c, bounds=(None, None)).status
            if status == 4:  # undecided: the same without presolve
                status = linprog(
                    cost, A_ub=G, b_ub=c, bounds=(None, None), options={"presolve": False}
                ).status
            if status == 2:
                raise InvalidModelError(
                    "no point satisfies all inequalities: the action set is empty"
                )
            if status == 3:
                raise InvalidModelError(
                    f"component {j} of the action is unbounded {word}; the action set must be "
                    "compact, so add an inequality"
                )


def _distinct(points: Floats, tolerance: float) -> Floats:
    """Return the points in lexicographic order, those closer than the tolerance only once."""
    kept: list[Floats] = []
    order = np.lexsort(np.round(points / (10 * tolerance)).T[::-1])  # blind to rounding errors
    for u in points[order]:
        if not kept or np.abs(np.array(kept) - u).max(axis=1).min() > tolerance:
            kept.append(u)
    return np.array(kept)
