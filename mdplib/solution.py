"""What a solver returns: values with proven bounds, a policy, and a status that is true."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from fractions import Fraction
from functools import cache
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import MdplibError, SolverError
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy, StochasticPolicy

SCHEMA = 1


class Status(Enum):
    """Why a solver stopped; each member carries a sentence for the user.

    Examples
    --------
    >>> Status.OPTIMAL.sentence
    'the gap is proven to be at most tol'
    """

    OPTIMAL = "optimal"
    ITERATION_LIMIT = "iteration_limit"
    TIME_LIMIT = "time_limit"
    ROUNDING_LIMIT = "rounding_limit"

    @property
    def sentence(self) -> str:
        """The meaning of the status."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.OPTIMAL: "the gap is proven to be at most tol",
    Status.ITERATION_LIMIT: "max_iterations was reached before the gap came down to tol; the "
    "bounds hold: raise max_iterations or choose another method",
    Status.TIME_LIMIT: "time_limit was reached before the gap came down to tol; the bounds hold: "
    "raise time_limit or choose another method",
    Status.ROUNDING_LIMIT: "double precision cannot narrow the gap to tol; the bounds hold: raise "
    "tol, or use method='exact' where there is one",
}


@dataclass(frozen=True)
class Stats:
    """Effort of a solve.

    Parameters
    ----------
    iterations : int
        Sweeps, policy evaluations or steps of the horizon, as the method counts them.
    wall_s, cpu_s : float
        Seconds of wall clock and of processor time.
    trace : tuple of (int, float)
        Certified gap after so many iterations, where the method measured it.
    log : tuple of str
        What the method decided on the way, and why: one sentence per decision.
    """

    iterations: int
    wall_s: float
    cpu_s: float = 0.0
    trace: tuple[tuple[int, float], ...] = ()
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """Where a solution comes from.

    Parameters
    ----------
    solver : str
        Name of the method.
    options : mapping
        The options it ran with.
    model : str
        Fingerprint of the problem.
    versions : mapping
        Versions of Python and of the packages that did the arithmetic.
    """

    solver: str
    options: Mapping[str, Any]
    model: str
    versions: Mapping[str, str] = field(default_factory=lambda: versions())


def versions() -> dict[str, str]:
    """Return the versions of Python, mdplib and the numerical packages.

    Examples
    --------
    >>> sorted(versions())
    ['mdplib', 'numba', 'numpy', 'python', 'scipy']
    """
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    """Read the metadata once: it takes longer than a small solve."""
    found = {"python": platform.python_version()}
    for name in ("mdplib", "numpy", "scipy", "numba"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """A certified answer: ``lower <= V* <= upper`` is proven, rounding included.

    Parameters
    ----------
    value : (S,) float64, or (H+1, S) for a finite horizon
        Point estimate, inside the bounds.
    lower, upper : arrays like `value`
        Proven bounds on the optimal value. The value of `policy` lies in them as well.
    policy : Policy
        A policy whose value lies within the bounds.
    status : Status
        ``OPTIMAL`` only if `gap` is proven to be at most the tolerance asked for.
    stats : Stats
        Effort.
    provenance : Provenance
        Method, options, model, versions.
    guarantees : tuple of str
        Identifiers of the theorems behind the bounds.
    exact : tuple of Fraction, optional
        The optimal value in rational numbers, by state (row by row for a finite horizon); the
        float inf or -inf where it is infinite.
    occupancy : (K,) float64, optional
        Discounted occupancy of the pairs, where the method yields one.
    initial_law : (S,) float64, optional
        Distribution of the first state, for `initial`.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    policy: Policy
    status: Status
    stats: Stats
    provenance: Provenance
    guarantees: tuple[str, ...] = ()
    exact: tuple[Fraction | float, ...] | None = None
    occupancy: NDArray[np.float64] | None = None
    initial_law: NDArray[np.float64] | None = None

    @property
    def gap(self) -> float:
        """Largest difference between upper and lower bound; 0 when `exact` is known."""
        return 0.0 if self.exact is not None else float(np.max(widths(self.lower, self.upper)))

    @property
    def relative_gap(self) -> float:
        """Largest ``(upper - lower) / max(|lower|, |upper|)``, 0 where the bounds agree."""
        if self.exact is not None:
            return 0.0
        size = np.maximum(np.abs(self.lower), np.abs(self.upper))
        gaps = widths(self.lower, self.upper)
        with np.errstate(divide="ignore", invalid="ignore"):  # inf / inf is an unknown value
            share = np.where(np.isinf(gaps), np.inf, gaps / size)
        return float(np.max(np.where(gaps == 0, 0.0, share)))

    @property
    def ok(self) -> bool:
        """Whether the tolerance was proven to be met."""
        return self.status is Status.OPTIMAL

    @property
    def initial(self) -> tuple[float, float]:
        """Lower and upper bound on the expected value at the initial law.

        Raises
        ------
        MdplibError
            If the problem has no initial law.
        """
        if self.initial_law is None:
            raise MdplibError("the problem has no initial law; set initial= in the model")
        lower, upper = np.atleast_2d(self.lower)[0], np.atleast_2d(self.upper)[0]
        used = self.initial_law > 0  # an infinite value elsewhere does not matter
        law, n = self.initial_law[used], int(np.count_nonzero(used))
        if n == 1 and law[0] == 1:
            return float(lower[used][0]), float(upper[used][0])
        relative, tiny = n * 2.0**-51, n * 2.0**-1073  # more than the rounding of a product

        def outward(x: NDArray[np.float64], sign: float) -> float:
            total = float(law @ x)
            if np.isinf(total):
                return total
            return total + sign * (relative * float(law @ np.abs(x)) + tiny)

        return outward(lower[used], -1.0), outward(upper[used], 1.0)

    def require(self) -> Solution:
        """Return self if the status is OPTIMAL, else raise `SolverError` holding self."""
        if not self.ok:
            raise SolverError(
                f"{self.status.name}: {self.status.sentence} (gap {self.gap:.3g})", self
            )
        return self

    # ------------------------------------------------------------- rendering

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            ("status", f"{self.status.name}: {self.status.sentence}"),
            ("gap", f"{self.gap:.3g}"),
            ("bounds", f"[{self.lower.min():.10g}, {self.upper.max():.10g}] over all states"),
        ]
        if self.initial_law is not None:
            low, high = self.initial
            rows.append(("initial", f"[{low:.12g}, {high:.12g}]"))
        rows.append(("method", f"{self.provenance.solver}, {self.stats.iterations} iterations"))
        rows.append(("time", f"{self.stats.wall_s:.3g} s"))
        return rows

    def __repr__(self) -> str:
        return "Solution\n" + "\n".join(f"  {name:<8}{text}" for name, text in self._rows())

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{name}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in self._rows()
        )
        return f"<table>{cells}</table>"

    # --------------------------------------------------------------- storage

    def save(self, path: str | Path) -> None:
        """Write everything to one npz file, atomically.

        Parameters
        ----------
        path : str or Path
            File to write; replaced only once complete.
        """
        from mdplib.io.npz import write_arrays

        arrays = {"value": self.value, "lower": self.lower, "upper": self.upper}
        for name in ("occupancy", "initial_law"):
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        kind, more = _pack_policy(self.policy)
        head = {
            "policy": kind,
            "status": self.status.value,
            "stats": asdict(self.stats),
            "provenance": asdict(self.provenance),
            "guarantees": self.guarantees,
            "exact": None if self.exact is None else [_to_hex(x) for x in self.exact],
        }
        write_arrays(path, "mdplib.Solution", SCHEMA, json.dumps(head, default=str), arrays | more)

    @classmethod
    def load(cls, path: str | Path) -> Solution:
        """Read a file written by `save`.

        Raises
        ------
        InvalidModelError
            If the file is damaged, of another kind, or of a newer schema.
        """
        from mdplib.io.npz import read_arrays

        text, arrays = read_arrays(path, "mdplib.Solution", SCHEMA)
        head = json.loads(text)
        stats = head["stats"]
        stats["trace"] = tuple((int(i), float(g)) for i, g in stats["trace"])
        stats["log"] = tuple(stats.get("log", ()))
        return cls(
            arrays["value"],
            arrays["lower"],
            arrays["upper"],
            _unpack_policy(head["policy"], arrays),
            Status(head["status"]),
            Stats(**stats),
            Provenance(**head["provenance"]),
            tuple(head["guarantees"]),
            None if head["exact"] is None else tuple(map(_from_hex, head["exact"])),
            arrays.get("occupancy"),
            arrays.get("initial_law"),
        )


def widths(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``upper - lower``, 0 where the two agree on an infinite value."""
    with np.errstate(invalid="ignore"):
        return np.where(lower == upper, 0.0, upper - lower)


def _to_hex(x: Fraction | float) -> str:
    """Write a fraction in hexadecimal: decimal digits are limited in Python, and slow."""
    if isinstance(x, float):
        return str(x)
    return f"{x.numerator:x}/{x.denominator:x}"


def _from_hex(text: str) -> Fraction | float:
    if text.lstrip("-") == "inf":
        return float(text)
    numerator, denominator = text.split("/")
    return Fraction(int(numerator, 16), int(denominator, 16))


def _pack_policy(policy: Policy) -> tuple[str, dict[str, NDArray]]:
    if isinstance(policy, DeterministicPolicy):
        return "deterministic", {"pair": policy.pair, "action": policy.action}
    if isinstance(policy, StochasticPolicy):
        return "stochastic", {
            "weight": policy.weight,
            "state_ptr": policy.state_ptr,
            "action_id": policy.action_id,
            "n_states": np.array([policy.n_states]),
        }
    if isinstance(policy, MarkovPolicy) and all(
        isinstance(step, DeterministicPolicy) for step in policy.steps
    ):
        pair = np.stack([step.pair for step in policy.steps])  # type: ignore[union-attr]
        action = np.stack([step.action for step in policy.steps])  # type: ignore[union-attr]
        return "markov", {"pair": pair, "action": action}
    raise MdplibError(f"a policy of type {type(policy).__name__} cannot be stored yet")


def _unpack_policy(kind: str, arrays: Mapping[str, NDArray]) -> Policy:
    if kind == "deterministic":
        return DeterministicPolicy(arrays["pair"], arrays["action"])
    if kind == "stochastic":
        n_states = int(arrays["n_states"][0])
        return StochasticPolicy(
            arrays["weight"], arrays["state_ptr"], arrays["action_id"], n_states
        )
    rows = zip(arrays["pair"], arrays["action"], strict=True)
    return MarkovPolicy(tuple(DeterministicPolicy(pair, action) for pair, action in rows))
