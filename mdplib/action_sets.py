"""Compact sets of actions: finite sets of arms, polytopes by their vertices, balls.

A convex function of the action, such as <h, u> + beta ||u||_{V^{-1}}, is largest at an extreme
point: a polytope needs no grid, its arms are its vertices. Over a ball the same function is largest
along the longest vector of the ellipsoid {h~ : ||h~ - h||_V <= beta}, which solves a secular
equation in one unknown.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError

Floats = NDArray[np.float64]


def _points(u: ArrayLike, name: str) -> Floats:
    points = validate.frozen(u, np.float64, name, ndim=(2,))
    if points.shape[0] == 0 or points.shape[1] == 0:
        raise InvalidModelError(
            f"{name} has shape {points.shape}: the action set is empty; (K, d) with K >= 1 actions "
            "of d >= 1 components expected"
        )
    validate.require(
        np.asarray(np.isfinite(points).all(axis=1)),
        lambda i: f"{name}[{i}] is {points[i].tolist()}",
        "Actions must be finite.",
        unit="actions",
    )
    return points


def _positive(value: float, name: str, strict: bool = True) -> float:
    if not math.isfinite(value) or value < 0 or (strict and value == 0):
        raise InvalidModelError(
            f"{name} is {value!r}; a finite number {'above' if strict else 'at least'} 0 expected"
        )
    return float(value)


def _coefficients(h: ArrayLike, d: int) -> Floats:
    array = np.asarray(h, dtype=np.float64)
    validate.vector(array, d, "h")
    return array


def _metric(V_inv: ArrayLike, d: int, beta: float) -> Floats:
    inverse = np.asarray(V_inv, dtype=np.float64)
    if inverse.shape != (d, d) or not np.isfinite(inverse).all():
        raise InvalidModelError(f"V_inv has shape {inverse.shape}; finite ({d}, {d}) expected")
    _positive(beta, "beta", strict=False)
    return inverse


class _Arms:
    """What finite sets and polytopes share: the best action is one of finitely many."""

    @property
    def arms(self) -> Floats:
        """The actions that matter, (K, d)."""
        raise NotImplementedError

    @property
    def dimension(self) -> int:
        """Number of components d of an action."""
        return self.arms.shape[1]

    @property
    def radius(self) -> float:
        """Largest Euclidean norm of an action."""
        return float(np.sqrt((self.arms**2).sum(axis=1).max()))

    def best(self, h: ArrayLike) -> tuple[Floats, float]:
        """Return an action of largest <h, u> and the value.

        Parameters
        ----------
        h : (d,) array_like
            Finite coefficients.

        Returns
        -------
        u : (d,) float64
            The first of the arms that are best.
        value : float
            <h, u>.

        Raises
        ------
        InvalidModelError
            If `h` has the wrong length or is not finite.
        """
        value = self.arms @ _coefficients(h, self.dimension)
        k = int(np.argmax(value))
        return self.arms[k], float(value[k])

    def worst(self, h: ArrayLike) -> tuple[Floats, float]:
        """Return an action of least <h, u> and the value; like `best`."""
        u, value = self.best(-_coefficients(h, self.dimension))
        return u, -value

    def optimistic(self, h_hat: ArrayLike, V_inv: ArrayLike, beta: float) -> tuple[Floats, float]:
        """Return an action of largest <h_hat, u> + beta ||u||_{V^{-1}} and the value.

        Parameters
        ----------
        h_hat : (d,) array_like
            Centre of the ellipsoid.
        V_inv : (d, d) array_like
            Inverse of V, symmetric and positive.
        beta : float
            Radius of the ellipsoid, at least 0.

        Returns
        -------
        u : (d,) float64
            The first of the arms that are best.
        value : float
            The largest <h, u> over the set and over ||h - h_hat||_V <= beta.

        Raises
        ------
        InvalidModelError
            On wrong shapes, entries that are not finite, or a negative `beta`.
        """
        arms, inverse = self.arms, _metric(V_inv, self.dimension, beta)
        width = np.sqrt(np.maximum(((arms @ inverse) * arms).sum(axis=1), 0.0))
        index = arms @ _coefficients(h_hat, self.dimension) + beta * width
        k = int(np.argmax(index))
        return arms[k], float(index[k])


@dataclass(frozen=True, eq=False, repr=False)
class FiniteArms(_Arms):
    """Finitely many actions.

    Parameters
    ----------
    u : (K, d) float64
        One action per row.

    Raises
    ------
    InvalidModelError
        If there is no action, or one is not finite.

    Examples
    --------
    >>> arms = FiniteArms([[1.0, 0.0], [0.0, 1.0]])
    >>> arms.best([0.2, 0.3])
    (array([0., 1.]), 0.3)
    """

    u: Floats

    def __post_init__(self):
        object.__setattr__(self, "u", _points(self.u, "u"))

    @property
    def arms(self) -> Floats:
        """The actions, (K, d)."""
        return self.u

    def contains(self, u: ArrayLike, tolerance: float = 1e-9) -> bool:
        """Say whether `u` is within `tolerance` of one of the actions, in every component."""
        point = _coefficients(u, self.dimension)
        return bool((np.abs(self.u - point).max(axis=1) <= tolerance).any())

    def __repr__(self) -> str:
        return f"FiniteArms({self.u.shape[0]} actions of {self.dimension} components)"


@dataclass(frozen=True, eq=False, repr=False)
class Polytope(_Arms):
    """Convex hull of finitely many vertices.

    Parameters
    ----------
    vertices : (K, d) float64
        One vertex per row.

    Raises
    ------
    InvalidModelError
        If there is no vertex, or one is not finite.

    Examples
    --------
    >>> Polytope.budget(3, 1.5), Polytope.budget(3, 1.5, greedy=True)
    (Polytope(10 vertices in 3 dimensions), Polytope(6 vertices in 3 dimensions))
    """

    vertices: Floats

    def __post_init__(self):
        object.__setattr__(self, "vertices", _points(self.vertices, "vertices"))

    @property
    def arms(self) -> Floats:
        """The vertices, (K, d)."""
        return self.vertices

    @classmethod
    def budget(cls, d: int, c: float, *, greedy: bool = False) -> Polytope:
        """Return {u in [0, 1]^d : sum u <= c}, or its face sum u = min(c, d).

        Parameters
        ----------
        d : int
            Number of components, at least 1.
        c : float
            Budget, at least 0.
        greedy : bool
            Whether the budget must be used up. That loses nothing where h >= 0.

        Returns
        -------
        Polytope
            With its vertices in lexicographic order: zeros, ones, and at most one entry between.

        Raises
        ------
        InvalidModelError
            If `d` is below 1 or `c` is negative or not finite.
        """
        if d < 1:
            raise InvalidModelError(f"d is {d!r}; an integer of at least 1 expected")
        _positive(c, "c", strict=False)
        full = min(math.floor(c), d)
        rest = c - full if full < d else 0.0
        rows: list[tuple[float, ...]] = []
        for u in itertools.product((0.0, 1.0), repeat=d):
            if sum(u) == full and rest > 0:
                rows += [(*u[:j], rest, *u[j + 1 :]) for j in range(d) if u[j] == 0]
            if sum(u) <= full and not (greedy and (rest > 0 or sum(u) < full)):
                rows.append(u)
        return cls(np.array(sorted(rows)))

    @classmethod
    def from_inequalities(cls, G: ArrayLike, c: ArrayLike) -> Polytope:
        """Return {u : G u <= c} by its vertices.

        Parameters
        ----------
        G : (m, d) array_like
            One inequality per row.
        c : (m,) array_like
            Right-hand sides.

        Returns
        -------
        Polytope
            With its vertices in lexicographic order.

        Raises
        ------
        InvalidModelError
            If no point satisfies all inequalities, they leave some component unbounded, or there
            are more than 200 000 ways to choose d of them.

        Examples
        --------
        >>> Polytope.from_inequalities([[-1, 0], [0, -1], [1, 1]], [0, 0, 1]).vertices
        array([[0., 0.],
               [0., 1.],
               [1., 0.]])
        """
        from mdplib import vertices

        return cls(vertices.enumerate_vertices(G, c))

    def contains(self, u: ArrayLike, tolerance: float = 1e-9) -> bool:
        """Say whether `u` is within `tolerance` of a convex combination of the vertices."""
        from scipy.optimize import nnls

        point = _coefficients(u, self.dimension)
        rows = np.vstack([self.vertices.T, np.ones(self.vertices.shape[0])])
        return bool(nnls(rows, np.append(point, 1.0))[1] <= tolerance)

    def __repr__(self) -> str:
        return f"Polytope({self.vertices.shape[0]} vertices in {self.dimension} dimensions)"


@dataclass(frozen=True)
class Ball:
    """All actions of Euclidean norm at most `radius`.

    Parameters
    ----------
    d : int
        Number of components, at least 1.
    radius : float
        Above 0.

    Raises
    ------
    InvalidModelError
        If `d` is below 1 or `radius` is not a finite number above 0.

    Examples
    --------
    >>> Ball(2, 10.0).best([0.6, 0.8])
    (array([6., 8.]), 10.0)
    """

    d: int
    radius: float

    def __post_init__(self):
        if isinstance(self.d, bool) or not isinstance(self.d, (int, np.integer)) or self.d < 1:
            raise InvalidModelError(f"d is {self.d!r}; an integer of at least 1 expected")
        _positive(self.radius, "radius")

    @property
    def dimension(self) -> int:
        """Number of components d of an action."""
        return self.d

    def best(self, h: ArrayLike) -> tuple[Floats, float]:
        """Return the action of largest <h, u> and the value; the first axis where h is zero."""
        return self._along(_coefficients(h, self.d))

    def worst(self, h: ArrayLike) -> tuple[Floats, float]:
        """Return the action of least <h, u> and the value; like `best`."""
        u, value = self.best(-_coefficients(h, self.d))
        return u, -value

    def optimistic(self, h_hat: ArrayLike, V_inv: ArrayLike, beta: float) -> tuple[Floats, float]:
        """Return an action of largest <h_hat, u> + beta ||u||_{V^{-1}} and the value.

        With V^{-1} = Q diag(v) Q^T, a = Q^T h_hat and w = beta sqrt(v) the longest vector of the
        ellipsoid is Q (a + w z), where z_i = w_i a_i / (mu - w_i^2) and ||z|| = 1, mu >= max w^2.
        Where a vanishes on the widest axes even mu = max w^2 may leave ||z|| < 1; the rest of z
        then lies along those axes, either way round.

        Parameters
        ----------
        h_hat : (d,) array_like
            Centre of the ellipsoid.
        V_inv : (d, d) array_like
            Inverse of V, symmetric and positive.
        beta : float
            Radius of the ellipsoid, at least 0.

        Returns
        -------
        u : (d,) float64
            The action.
        value : float
            The largest <h, u> over the ball and over ||h - h_hat||_V <= beta.

        Raises
        ------
        InvalidModelError
            On wrong shapes, entries that are not finite, or a negative `beta`.

        References
        ----------
        More and Sorensen (1983) on the equation and its hard case.

        Examples
        --------
        >>> u, value = Ball(2, 1.0).optimistic([0.0, 0.0], [[4.0, 0.0], [0.0, 1.0]], 3.0)
        >>> np.abs(u), value
        (array([1., 0.]), 6.0)
        """
        v, Q = np.linalg.eigh(_metric(V_inv, self.d, beta))
        a, w = Q.T @ _coefficients(h_hat, self.d), beta * np.sqrt(np.maximum(v, 0.0))
        if not w.any():
            return self._along(Q @ a)
        widest = w**2 >= w.max() ** 2 * (1 - 1e-14)
        z = _secular(w * a, w.max() ** 2 - w**2, widest)
        return self._along(Q @ (a + w * z))

    def _along(self, h: Floats) -> tuple[Floats, float]:
        norm = float(np.linalg.norm(h))
        u = self.radius * (h / norm if norm > 0 else np.eye(self.d)[0])
        return u, self.radius * norm

    def contains(self, u: ArrayLike, tolerance: float = 1e-9) -> bool:
        """Say whether the norm of `u` is at most the radius plus `tolerance`."""
        return bool(np.linalg.norm(_coefficients(u, self.d)) <= self.radius + tolerance)


def _secular(b: Floats, below: Floats, widest: NDArray[np.bool_]) -> Floats:
    """Return the unit vector z_i = b_i / (s + below_i), s >= 0, completed along the widest axes."""
    low, high = 0.0, float(np.linalg.norm(b))
    for _ in range(200):
        s = (low + high) / 2
        if s in (low, high):
            break
        with np.errstate(over="ignore"):
            long = np.sum((b / (s + below)) ** 2) > 1
        low, high = (s, high) if long else (low, s)
    z = np.zeros(b.size)
    if high > 0 or not widest.all():
        z[~widest] = b[~widest] / (high + below[~widest])
    missing = math.sqrt(max(0.0, 1.0 - float(z @ z)))
    along = np.where(widest, b, 0.0)
    scale = np.abs(along).max()
    along = along / scale if scale > 0 else np.eye(b.size)[int(np.flatnonzero(widest)[-1])]
    return z + missing * along / float(np.linalg.norm(along))


ActionSet = FiniteArms | Polytope | Ball
