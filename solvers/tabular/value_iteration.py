r"""Value iteration with certified stopping.

Problem       Infinite-horizon discounted model, gamma < 1; find V* with V* = T V*.
Algorithm     ``V_{k+1} = T V_k + const``                                                    (1)
              where the constant puts V_{k+1} in the middle of the bracket that T V_k proves; a
              constant changes neither the greedy policy nor the span of T V - V. Variant
              ``gauss_seidel``: sweeps in place, in alternating order, from the larger of V
              and its proven lower bound. T V >= V holds throughout, so V rises to V*.       (2)
Guarantee     Stops on the proven width of the bracket, never on the increment.
Cost          O(nnz) per sweep. The width shrinks at least by gamma per sweep, and much faster
              when the chain under the current policies mixes.
Deviations    The shift by a constant is the extrapolation of Porteus (1971).
References    MacQueen (1966); Porteus (1971); Puterman (1994), section 6.3.
"""

from __future__ import annotations

from typing import Literal

from numpy.typing import ArrayLike

from mdplib import operators
from mdplib.certificates import Bracket
from mdplib.errors import InvalidModelError
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers.tabular.run import (
    Floats,
    Progress,
    Run,
    need_discounted,
    raised,
    start,
    start_below,
)

_SWEEPS = 4  # Gauss-Seidel sweeps between two certificates, each of which costs one more


def value_iteration(
    mdp: TabularMDP,
    *,
    variant: Literal["jacobi", "gauss_seidel"] = "jacobi",
    tol: float = 1e-6,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a discounted model by successive approximation.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    variant : {"jacobi", "gauss_seidel"}
        Sweep from the old vector (1), or in place (2).
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    max_iterations : int
        Limit on sweeps.
    time_limit : float, optional
        Limit in seconds; the best bracket so far is returned with status TIME_LIMIT.
    V0 : (S,) array, optional
        First vector, zeros by default.
    progress : callable, optional
        Called with (sweeps, gap) after each certificate.

    Returns
    -------
    Solution
        ``stats.iterations`` counts sweeps, those of the certificates included.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], gamma=0.9)
    >>> solution = value_iteration(mdp, tol=1e-9)
    >>> solution.status.name, solution.gap <= 1e-9
    ('OPTIMAL', True)
    """
    need_discounted(mdp, "value_iteration")
    if variant not in ("jacobi", "gauss_seidel"):
        raise InvalidModelError(f"variant is {variant!r}; 'jacobi' or 'gauss_seidel' expected")
    run = Run(
        "value_iteration", mdp, tol, time_limit, max_iterations, progress, {"variant": variant}
    )

    def jacobi(V: Floats, found: Bracket) -> tuple[Floats, int]:
        return found.midpoint, 1  # (1)

    def gauss_seidel(V: Floats, found: Bracket) -> tuple[Floats, int]:
        V = raised(V, found)
        for sweep in range(_SWEEPS):
            operators.gauss_seidel(mdp, V, reverse=bool(sweep % 2))  # (2)
        return V, _SWEEPS + 1

    if variant == "jacobi":
        return run.iterate(start(mdp, V0), jacobi)
    return run.iterate(start_below(mdp, V0), gauss_seidel)
