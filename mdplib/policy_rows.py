r"""The rows of one deterministic policy, gathered for repeated use.

Problem       Evaluate a policy: ``V = r + gamma P V`` with the S rows that it chooses.         (1)
Algorithm     Copy the rows once; then Jacobi sweeps, Gauss-Seidel sweeps, elimination within a
              band, or the Krylov method BiCGSTAB.                                             (2)
Guarantee     None: results are estimates, which the caller certifies.
Cost          O(nnz of the policy) per sweep or product; O(S below above) for elimination,
              where below and above say how far rows reach from the diagonal.
Deviations    Elimination without pivoting: I - gamma P is diagonally dominant by rows.
References    Golub and Van Loan (2013), sections 4.1 and 4.3; van der Vorst (1992).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
_SERIAL = 2_000_000  # transitions below which one thread does a sweep


class PolicyRows:
    """The transition matrix and reward of a policy.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    pair : (S,) int32
        The pair chosen in each state.
    h : int
        Step, for a finite horizon.

    Attributes
    ----------
    below, above : int
        Largest distance of a successor from its state, downwards and upwards.
    nnz : int
        Number of transitions.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [2.0]], gamma=0.5)
    >>> rows = PolicyRows(mdp, np.array([0, 1], dtype=np.int32))
    >>> rows.solve_band()
    array([2.66666667, 4.        ])
    """

    def __init__(self, mdp: TabularMDP, pair: Ints, h: int = 0):
        S = self.n_states = pair.size
        self.gamma = mdp.gamma
        room = min(mdp.nnz, S * mdp.max_successors)
        self._ptr, self.r = np.empty(S + 1, dtype=np.int32), np.empty(S)
        column, weight = np.empty(room, dtype=np.int32), np.empty(room)
        nnz, below, above = _kernels.evaluation.gather(
            pair, *mdp.layer(h)[1:], self._ptr, column, weight, self.r
        )
        self.nnz, self.below, self.above = int(nnz), int(below), int(above)
        self._column, self._weight = column[: self.nnz], weight[: self.nnz]
        self._parts: list[tuple[int, int]] | None = None

    @property
    def _rows(self) -> tuple[Ints, Ints, Floats]:
        return self._ptr, self._column, self._weight

    @property
    def is_full(self) -> bool:
        """Whether every state can move to every state."""
        return self.nnz == self.n_states * self.n_states

    @property
    def band_cost(self) -> float:
        """Multiplications of an elimination within the band."""
        width = self.below + self.above + 1
        return float(self.n_states) * (self.below * self.above + 3 * width)

    def sweeps(self, V: Floats, most: int, narrow: float = 0.0) -> Sweeps:
        """Apply (1) until the span of the change is at most `narrow`, at most `most` times.

        Parameters
        ----------
        V : (S,) float64
            Overwritten.
        most : int
            Largest number of sweeps.
        narrow : float
            Span, in units of reward.
        """
        spare = np.empty_like(V)
        if self._parts is None:
            self._parts = [(0, self.n_states)]
            if self.nnz >= _SERIAL:
                from mdplib._kernels.threads import cuts

                self._parts = cuts(np.arange(self.n_states + 1, dtype=np.int32), self._ptr)
        if self.is_full or len(self._parts) > 1:
            return self._shared_sweeps(V, spare, most, narrow)
        n, low, high, first = _kernels.evaluation.sweeps(
            *self._rows, self.r, self.gamma, V, spare, most, narrow
        )
        return Sweeps(spare if n % 2 else V, n, (low, high), first)

    def _shared_sweeps(self, V: Floats, spare: Floats, most: int, narrow: float) -> Sweeps:
        """Do the same with one call per sweep: BLAS products, or several threads."""
        from mdplib._kernels.threads import share

        assert self._parts is not None
        low = high = first = 0.0
        n = 0
        while n < most:
            if self.is_full:
                np.matmul(self._weight.reshape(self.n_states, -1), V, out=spare)
                spare *= self.gamma
                spare += self.r  # (1)
                V -= spare
                low, high = -float(V.max()), -float(V.min())
            else:
                before, after = V, spare

                def work(a: int, b: int, before=before, after=after) -> tuple[float, ...]:
                    return _kernels.evaluation.sweep(
                        *self._rows, self.r, self.gamma, before, a, b, after
                    )

                low, high = share(self._parts, work)
            V, spare, n = spare, V, n + 1
            first = high - low if n == 1 else first
            if high - low <= narrow:
                break
        return Sweeps(V, n, (low, high), first)

    def gauss_seidel(self, V: Floats, most: int, cut: float = 0.0, turn: bool = True) -> int:
        """Sweep in place until a sweep's largest change is at most `cut` times the first one's.

        Parameters
        ----------
        V : (S,) float64
            Overwritten.
        most : int
            Largest number of sweeps.
        cut : float
            Factor.
        turn : bool
            Sweep forwards and backwards in turn.

        Returns
        -------
        int
            Number of sweeps.
        """
        first = 0.0
        for n in range(most):
            change = _kernels.evaluation.gauss_seidel(
                *self._rows, self.r, self.gamma, V, turn and n % 2 == 1
            )
            first = change if n == 0 else first
            if change <= cut * first:
                return n + 1
        return most

    def solve_band(self) -> Floats:
        """Solve (1) by elimination within the band."""
        backwards = self.below > self.above  # then rows are long and few are met
        below, above = sorted((self.below, self.above))
        band = np.empty((self.n_states, below + above + 1))
        _kernels.evaluation.fill_band(*self._rows, self.gamma, below, backwards, band)
        x = self.r[::-1].copy() if backwards else self.r.copy()
        _kernels.evaluation.solve_band(band, below, above, x)
        return x[::-1].copy() if backwards else x

    def krylov(self, V: Floats, tol: float, most: int) -> tuple[Floats, int, float]:
        """Improve V by BiCGSTAB (2).

        Parameters
        ----------
        V : (S,) float64
            First vector; not changed.
        tol : float
            Largest wanted entry of ``r + gamma P V - V``.
        most : int
            Limit on products with P.

        Returns
        -------
        V : (S,) float64
            The estimate; not finite where the method broke down.
        products : int
        residual : float
            The method's own idea of its residual.
        """
        x, work = V.copy(), np.empty((5, self.n_states))
        with np.errstate(all="ignore"):
            n, size = _kernels.evaluation.bicgstab(  # (2)
                *self._rows, self.r, self.gamma, x, tol, most, work
            )
        return x, n, size


class Sweeps:
    """What a series of sweeps did: the vector, their number, the last range, the first span."""

    def __init__(self, V: Floats, n: int, change: tuple[float, float], first_span: float):
        self.V, self.n, self.change, self.first_span = V, n, change, first_span

    @property
    def span(self) -> float:
        """Span of the last change."""
        return self.change[1] - self.change[0]

    @property
    def rate(self) -> float:
        """Factor by which the span shrank per sweep, 1 when that cannot be told."""
        if self.n < 2 or self.first_span <= 0:
            return 1.0
        return float((self.span / self.first_span) ** (1 / (self.n - 1)))
