r"""Optimality equations without discount, solved component by component.

Problem       ``w_s = opt_k (g_k + sum_t p_k(t) w_t)`` on nodes, where some nodes are fixed.  (1)
Algorithm     Strong components in order, successors first, nodes near the fixed ones first. Each
              is swept by Gauss-Seidel, self-loops solved for, until no value changes by more than
              asked; after as many sweeps as a direct solve would cost, by Howard's policy
              iteration with direct solves of

                  (I - P_pi) w = g_pi.                                                        (2)

Guarantee     None: floating point throughout. `solvers.undiscounted.certificate` proves what
              came out.
Cost          O(nnz) per sweep. A direct solve is refused where the envelope of the matrix in
              reverse Cuthill-McKee order is too large to factor; sweeps then go on.
Deviations    The diagonal of (2) is the sum of the other probabilities of the row, not one minus
              the self-loop, so it does not cancel.
References    Howard (1960); Dai, Mausam, Weld and Goldsmith (2011); Grassmann, Taksar and Heyman
              (1985).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels, graphs
from mdplib.errors import MdplibError
from solvers.undiscounted.reduction import Rows, sweep_order

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
UNIT = 2.0**-53

_DENSE = 200  # nodes up to which a dense solve is faster
_ENVELOPE = 4.0e7  # entries of the factors that are still stored
_SWEEP_COST = 1.0e-8  # seconds per transition
_MANY = 2000  # sweeps after which a direct solve is tried in any case
_FEW = 20  # sweeps before a component that needed a direct solve gets the next one
_WORK = 100_000_000  # transitions between looks at the clock


class Unsolved(MdplibError):
    """The equations could not be solved within the limits, or have no finite solution.

    Parameters
    ----------
    reason : str
        What happened.
    status : str
        Name of the status of a solve that ends here.
    """

    def __init__(self, reason: str, status: str = "ROUNDING_LIMIT"):
        super().__init__(reason)
        self.status = status


class Clock:
    """Limits of a solve, and what was spent.

    Parameters
    ----------
    max_iterations : int
        Limit on sweeps and direct solves together.
    time_limit : float or None
        Seconds.
    tick : callable, optional
        Called with the count now and then.
    """

    def __init__(
        self,
        max_iterations: int,
        time_limit: float | None,
        tick: Callable[[int], None] | None = None,
    ):
        self.max_iterations, self.time_limit, self.tick = max_iterations, time_limit, tick
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        self.iterations, self.direct = 0, 0

    def spend(self, iterations: int) -> None:
        """Count iterations; raise `Unsolved` beyond a limit."""
        self.iterations += iterations
        if self.tick is not None and iterations:
            self.tick(self.iterations)
        if self.time_limit is not None and time.perf_counter() - self.wall >= self.time_limit:
            raise Unsolved("the time limit was reached", "TIME_LIMIT")
        if self.iterations >= self.max_iterations:
            raise Unsolved("the iteration limit was reached", "ITERATION_LIMIT")


class Equations:
    """The equations (1) of one set of rows, with their components.

    Parameters
    ----------
    rows : Rows
        Nodes without pairs are fixed; from each other node a path leads to a fixed one.
    clock : Clock
        Limits.
    ends : (C+1,) int32, optional
        Ends of the components if the nodes are in the order of sweeps already.
    """

    def __init__(self, rows: Rows, clock: Clock, ends: Ints | None = None):
        self.rows, self.clock = rows, clock
        fixed = np.diff(rows.state_ptr) == 0
        if ends is None:
            self.order, self.ends = sweep_order(rows, fixed)
        else:
            self.order, self.ends = np.flatnonzero(~fixed).astype(np.int32), ends
        self.place = np.full(rows.n_states, -1, dtype=np.int32)
        weight = np.diff(rows.indptr[rows.state_ptr])[self.order]
        self.edges = np.add.reduceat(weight, self.ends[:-1]) if self.order.size else weight
        size = np.diff(self.ends).astype(np.float64)
        cost = 3 * (3e-4 + 1e-7 * size**1.5)
        sweeps = 2 * cost / (_SWEEP_COST * self.edges)
        self.budget = np.clip(sweeps, 30, _MANY).astype(np.int64)

    @property
    def largest(self) -> int:
        """Number of nodes of the largest component."""
        return int(np.diff(self.ends).max(initial=0))

    def solve(
        self,
        gain: Floats,
        sign: float,
        choice: Ints,
        w: Floats,
        goal: Floats,
        share: float,
    ) -> tuple[Floats, Ints]:
        """Solve (1) approximately.

        Parameters
        ----------
        gain : (K,) float64
            The g of each pair.
        sign : float
            1 for max, -1 for min.
        choice : (N,) int32
            First policy of direct solves; must reach the fixed nodes with probability one.
        w : (N,) float64
            First guess; holds the values of fixed nodes.
        goal, share : (N,) float64 and float
            Changes of at most ``goal + share |w|`` end the sweeps of a component, with the
            least goal of its nodes.

        Returns
        -------
        w, choice : arrays
            The solution and the policy that attains it.

        Raises
        ------
        Unsolved
            At a limit, or if values run away.
        """
        w, safe, choice, goal = w.copy(), choice, choice.copy(), goal.copy()
        if self.order.size:
            least = np.minimum.reduceat(goal[self.order], self.ends[:-1])
            goal[self.order] = np.repeat(least, np.diff(self.ends))
        budget, c = self.budget.copy(), 0
        while True:
            c, sweeps, finite = _kernels.undiscounted.sweep(
                *self.rows.arrays, self.rows.away, gain, sign, self.order, self.ends, c, budget,
                goal, share, _WORK, w, choice,
            )  # (1)  # fmt: skip
            if not finite:
                raise Unsolved("values grow without bound")
            if c == self.ends.size - 1:
                return w, choice
            self.clock.spend(sweeps)
            if budget[c] <= 0:
                if self._direct(c, gain, sign, safe, w, choice):
                    self.budget[c] = min(self.budget[c], _FEW)
                    c += 1
                else:
                    budget[c] = np.iinfo(np.int64).max

    def _direct(
        self, c: int, gain: Floats, sign: float, safe: Ints, w: Floats, choice: Ints
    ) -> bool:
        """Solve one component by policy iteration in place; False if it is too large."""
        nodes = self.order[self.ends[c] : self.ends[c + 1]]
        self.place[nodes] = np.arange(nodes.size, dtype=np.int32)
        try:
            if not self._leaves(nodes, choice):
                choice[nodes] = safe[nodes]
            noise = 8 * (self.rows.max_successors + 2) * UNIT
            for _ in range(10_000):
                found = self._evaluate(nodes, gain, w, choice)
                if found is None:
                    return False
                self.clock.direct += 1
                self.clock.spend(1)
                if not np.isfinite(found).all():
                    raise Unsolved("a policy met on the way never leaves some states")
                w[nodes] = found
                changes = _kernels.undiscounted.improve(
                    *self.rows.arrays, gain, sign, nodes, noise, w, choice
                )
                if changes == 0:
                    return True
            raise Unsolved("policy iteration did not settle")
        finally:
            self.place[nodes] = -1

    def _leaves(self, nodes: Ints, choice: Ints) -> bool:
        """Whether the policy leaves the component from each of its nodes."""
        import scipy.sparse as sp
        from scipy.sparse.csgraph import breadth_first_order

        n = nodes.size
        indptr, place = graphs.take_rows(self.rows.indptr, choice[nodes])
        row = np.repeat(np.arange(n), np.diff(indptr))
        column = self.place[self.rows.indices[place]]
        column[column < 0] = n
        back = sp.csr_array((np.ones(row.size), (column, row)), shape=(n + 1, n + 1))
        return breadth_first_order(back, n, return_predecessors=False).size == n + 1

    def _evaluate(self, nodes: Ints, gain: Floats, w: Floats, choice: Ints) -> Floats | None:
        """Solve (2) on a component; None if the factors would be too large."""
        import scipy.sparse as sp
        from scipy.sparse.linalg import splu

        n, pairs = nodes.size, choice[nodes]
        indptr, place = graphs.take_rows(self.rows.indptr, pairs)
        row = np.repeat(np.arange(n), np.diff(indptr))
        to, p = self.rows.indices[place], self.rows.data[place]
        column = self.place[to]
        outside = column < 0
        g = gain[pairs] + np.bincount(row[outside], (p * w[to])[outside], minlength=n)
        inner = ~outside
        entries = (
            np.concatenate((self.rows.away[pairs], -p[inner])),
            (np.concatenate((np.arange(n), row[inner])),
             np.concatenate((np.arange(n), column[inner]))),
        )  # fmt: skip
        matrix = sp.csc_array(sp.coo_array(entries, shape=(n, n)))
        try:
            if n <= _DENSE:
                return np.asarray(np.linalg.solve(matrix.toarray(), g), dtype=np.float64)
            if n > 2000 and envelope(matrix) > _ENVELOPE:
                return None
            factors = splu(
                matrix,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )  # (2)
        except (np.linalg.LinAlgError, RuntimeError, MemoryError) as error:
            raise Unsolved(f"a direct solve failed: {error}") from None
        return factors.solve(g)


def envelope(matrix) -> float:
    """Bound the entries of the factors: the envelope in reverse Cuthill-McKee order."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    order = reverse_cuthill_mckee(sp.csr_matrix(matrix), symmetric_mode=False)
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size)
    entries = sp.coo_array(matrix)
    a, b = rank[entries.row], rank[entries.col]
    reach = rank * 0
    np.maximum.at(reach, np.maximum(a, b), np.abs(a - b))
    return 2.0 * float(reach.sum())
