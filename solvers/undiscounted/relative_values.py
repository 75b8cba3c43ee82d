r"""Relative values of a policy of a model whose states fall into communicating components.

Problem       Given a policy of each component, find V with ``V + g = r_pi + P_pi V``.       (1)
Algorithm     If the policy's chain has several closed classes in a component, keep the one with
              the largest change d = T V - V and lead all other states to it along shortest
              paths; the component communicates, so there are some.                         (2)
              Then, with a state i of the closed class, ``(I - P + 1 e_i^T) x = r`` has one
              solution, x(i) is the gain and x solves (1).                                  (3)
Guarantee     None: any vector is good enough for the bracket that is taken from it.
Cost          One sparse factorisation when the chain is small or has a small bandwidth, else at
              most a few hundred steps of BiCGSTAB.
Deviations    (2) follows the idea of policy iteration for communicating models; the class is
              chosen by d rather than by the classes' gains.
References    Howard (1960); Puterman (1994), section 9.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib import graphs, operators
from mdplib.policy import DeterministicPolicy
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[Any]  # of any width

_DIRECT = 500  # states up to which a factorisation comes first whatever its fill
_AFFORDABLE = 4_000  # ... and up to which it comes second
_BAND = 32  # bandwidth up to which it is affordable for any number of states
_STEPS = 400  # of BiCGSTAB


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Relative values (n,) and gains (M,) up to rounding, or NaN where the solve failed."""

    V: Floats
    gain: Floats


def evaluate(mdp: TabularMDP, start: Ints, pair: NDArray[np.int32], d: Floats) -> Evaluation:
    """Find relative values of the policy, made unichain by (2).

    Parameters
    ----------
    mdp : TabularMDP
        Communicating components, one after the other.
    start : (M,) int
        First state of each component.
    pair : (n,) int32
        The policy.
    d : (n,) float64
        Change T V - V of the vector that the policy is greedy for.

    Returns
    -------
    Evaluation
        V of (1).
    """
    pair = pair.copy()
    P, r, closed = _chain(mdp, pair)
    component = np.repeat(np.arange(start.size), np.diff(start, append=mdp.n_states))
    best = np.full(start.size, -np.inf)
    np.maximum.at(best, component[closed >= 0], d[closed >= 0])
    reference = np.full(start.size, -1)
    top = np.flatnonzero((closed >= 0) & (d == best[component]))
    reference[component[top[::-1]]] = top[::-1]
    chosen = closed == closed[reference][component]
    if (closed >= 0).sum() > chosen.sum():
        _lead(mdp, pair, chosen & (closed >= 0))  # (2)
        P, r, closed = _chain(mdp, pair)
    V = _solve(P, r, reference, component)
    return Evaluation(V, V[reference])  # (1)


def _chain(mdp: TabularMDP, pair: NDArray[np.int32]) -> tuple[Any, Floats, Ints]:
    """Return the policy's chain and reward, and the closed class of each state or -1."""
    from scipy.sparse.csgraph import connected_components

    P, r = operators.policy_model(mdp, DeterministicPolicy(pair, mdp.action_id[pair]))
    P.eliminate_zeros()
    count, label = connected_components(P, directed=True, connection="strong")
    rows = np.repeat(np.arange(mdp.n_states), np.diff(P.indptr))
    leaves = np.zeros(count, dtype=bool)
    leaves[label[rows[label[rows] != label[P.indices]]]] = True
    return P, r, np.where(leaves[label], -1, label)


def _lead(mdp: TabularMDP, pair: NDArray[np.int32], goal: NDArray[np.bool_]) -> None:
    """Change the policy where it does not reach the goal, along shortest paths to where it does."""
    chosen = np.zeros(mdp.n_pairs, dtype=bool)
    chosen[pair] = True
    reaches = graphs.can_reach(mdp, goal, chosen)
    step = graphs.towards(mdp, reaches)[1]
    pair[~reaches] = step[~reaches]


def _solve(P: Any, r: Floats, reference: Ints, component: Ints) -> Floats:
    import scipy.sparse as sp
    from scipy.sparse.linalg import LinearOperator, bicgstab, splu

    n = r.size
    at = reference[component]
    rows = np.repeat(np.arange(n), np.diff(P.indptr))
    band = int(np.abs(rows - P.indices).max(initial=0))

    def product(x: Floats) -> Floats:
        return x - P @ x + x[at]  # (3)

    if n > _DIRECT and band > _BAND:
        operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
        x, failed = bicgstab(operator, r, rtol=1e-11, maxiter=_STEPS)
        if failed == 0 or n > _AFFORDABLE:
            return x
    ones = sp.coo_array((np.ones(n), (np.arange(n), at)), shape=(n, n))
    try:
        return splu(sp.csc_array(sp.eye_array(n) - P + ones)).solve(r)  # (3)
    except RuntimeError:  # exactly singular
        return np.full(n, np.nan)
