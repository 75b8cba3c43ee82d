r"""Value iteration with Anderson acceleration, safeguarded.

Problem       Infinite-horizon discounted model, gamma < 1; find V* with V* = T V*.
Algorithm     Keep the last m+1 vectors V_i with f_i = T V_i - V_i, both less their mean: a
              constant changes no certificate. With weights alpha of sum one that minimise

                  ``|| sum_i alpha_i f_i ||_2``,                                            (1)
                  ``V <- sum_i alpha_i T V_i``.                                             (2)

              A step is accepted if the proven gap of its vector is at most a constant times the
              best gap so far; otherwise the memory is cleared and the iteration goes on with
              T V of the best vector.                                                       (3)
Guarantee     Stops on the proven width of the bracket. Between two accepted steps there is at
              most one rejected one, and a rejected one is followed by a plain sweep from the
              best vector, which contracts.
Cost          One sweep per iteration and O(m S) for the weights.
Deviations    Type II, on differences; acceptance by the certificate instead of a residual norm.
References    Anderson (1965); Walker and Ni (2011); Zhang, O'Donoghue and Boyd (2020); Geist and
              Scherrer (2018).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdplib.certificates import Bracket
from mdplib.errors import InvalidModelError
from mdplib.solution import Solution
from mdplib.tabular import TabularMDP
from solvers.tabular.run import Floats, Improve, Progress, Run, need_discounted, start

_GROWTH = 2.0  # of the best gap so far that an accelerated step may cause


def anderson(
    mdp: TabularMDP,
    *,
    memory: int = 6,
    tol: float = 1e-6,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a discounted model by accelerated value iteration.

    Parameters
    ----------
    mdp : TabularMDP
        Infinite-horizon model.
    memory : int
        Number m of earlier vectors combined in (2); 0 gives value iteration.
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
        ``stats.iterations`` counts sweeps, rejected ones included; ``stats.log`` tells how many.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], gamma=0.9)
    >>> solution = anderson(mdp, tol=1e-9)
    >>> solution.status.name, solution.gap <= 1e-9
    ('OPTIMAL', True)
    """
    need_discounted(mdp, "anderson")
    if memory < 0:
        raise InvalidModelError(f"memory is {memory}; at least 0 expected")
    run = Run("anderson", mdp, tol, time_limit, max_iterations, progress, {"memory": memory})
    return run.iterate(start(mdp, V0), accelerated(run, memory))


def accelerated(run: Run, memory: int) -> Improve:
    """Return the step (2) under the safeguard (3)."""
    mixing = Mixing(memory)
    best: Bracket | None = None
    rejected = 0

    def improve(V: Floats, found: Bracket) -> tuple[Floats, int]:
        nonlocal best, rejected
        if best is not None and found.gap > _GROWTH * best.gap:
            rejected += 1
            mixing.clear()
            return best.midpoint, 1  # (3)
        if best is None or found.gap <= best.gap:
            best = found
        TV = found.midpoint
        W = mixing.step(TV, TV - V)
        return (W if np.isfinite(W).all() else TV), 1

    def counted(V: Floats, found: Bracket) -> tuple[Floats, int]:
        V, work = improve(V, found)
        run.log[:] = [f"{rejected} accelerated steps were rejected"]
        return V, work

    return counted


class Mixing:
    """The memory of (1): differences of images and of residuals, in a ring.

    Parameters
    ----------
    memory : int
        How many differences are kept.
    """

    def __init__(self, memory: int):
        self.memory = memory
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.images: Floats | None = None  # (m, S) differences of T V
        self.residuals: Floats | None = None  # (m, S) differences of f
        self.gram = np.zeros((self.memory, self.memory))
        self.kept, self.place = 0, 0
        self.last: tuple[Floats, Floats] | None = None

    def step(self, image: Floats, residual: Floats) -> Floats:
        """Return the combination (2) after adding T V and T V - V of one more vector."""
        if self.memory == 0:
            return image
        residual = residual - residual.mean()
        if self.last is not None:
            self._add(image - self.last[0], residual - self.last[1])
        self.last = image, residual
        m = self.kept
        if self.images is None or self.residuals is None:
            return image
        right = np.einsum("ij,j->i", self.residuals[:m], residual)  # not BLAS: threads cost more
        scale = np.sqrt(np.diagonal(self.gram)[:m])
        scale[~((scale > 0) & np.isfinite(scale))] = 1.0
        gram = self.gram[:m, :m] / np.outer(scale, scale)
        if not (np.isfinite(gram).all() and np.isfinite(right).all()):
            return image
        weights = np.linalg.lstsq(gram, right / scale, rcond=1e-10)[0] / scale  # (1)
        return image - np.einsum("i,ij->j", weights, self.images[:m])  # (2)

    def _add(self, image: Floats, residual: Floats) -> None:
        """Replace the oldest difference."""
        if self.images is None or self.residuals is None:
            self.images = np.empty((self.memory, image.size))
            self.residuals = np.empty((self.memory, image.size))
        i = self.place
        self.images[i], self.residuals[i] = image, residual
        self.kept = max(self.kept, i + 1)
        self.place = (i + 1) % self.memory
        row = np.einsum("ij,j->i", self.residuals[: self.kept], residual)
        self.gram[i, : self.kept] = self.gram[: self.kept, i] = row
