r"""One solve from V = 0, with the certified gap after each certificate.

Problem       How fast does the proven gap close, sweep by sweep, and how much of the a-priori
              estimate is left unused?
Algorithm     Run a solver to TOL and keep its trace of (iterations, gap). A-priori, after k
              sweeps of value iteration from zero,
              |V_k - V*| <= gamma^k max|r| / (1 - gamma)                                      (1)
Guarantee     Every gap in the trace is proven by the bracket of that moment.
Cost          One solve.
Deviations    None.
References    Puterman (1994), theorem 6.3.1 and section 6.3.
"""

from __future__ import annotations

import numpy as np

import solvers
from experiments.engine.cells import Row, Streams
from experiments.instances import instance
from experiments.sweeps.cells import GAMMA, Cell

TOL = 1e-8


def run(cell: Cell, streams: Streams) -> Row:
    """Return the trace of certified gaps and the scale of (1)."""
    mdp = instance(cell.model, GAMMA, streams.instance)
    solution = solvers.solve(mdp, cell.solver, tol=TOL)
    iterations, gaps = zip(*solution.stats.trace, strict=True)
    return {
        "iterations": list(iterations),
        "gaps": list(gaps),
        "status": solution.status.name,
        "value_scale": float(np.max(np.abs(mdp.reward))) / (1.0 - GAMMA),  # (1), at k = 0
    }
