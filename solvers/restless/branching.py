r"""Branch and bound for a network over an action set that maximises affine functions by a rule.

Problem
-------
The largest value of g(a) + f(a) over a set C of 0-1 vectors, f a network with ReLUs and g a
function for which a rule finds the maximum of g(a) + w . a over C for any w.

Algorithm
---------
A node fixes some components of a. With them put into the constants of the first layer, f has an
affine majorant over the rest, u(a) >= f(a), and

    max over C of g(a) + u(a)                                                                (1)

bounds every action of the node. Fixed components take part with a gain beyond all others, so that
the rule respects them if it can; if it does not, the node is empty.                         (2)

The maximiser of (1) is an action of C, so its own value g + f is a lower bound. The node of the
largest bound is split by the component that moves the undecided units of the first layer most, as
they matter for the output,

    sum over undecided k of |W1_ki| (|W2|' ... |Wn|')_k.                                     (3)

Guarantee
---------
The bound holds for every action of C, whenever the search stops.

Cost
----
Per node one pass of interval and affine bounds through the network, and one call of the rule.

Deviations
----------
None.

References
----------
None.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mdplib.optim.mip import MipStatus
from mdplib.restless.action_set import Actions
from mdplib.restless.choice import Choice
from solvers.restless.embedding import majorant, propagate
from solvers.restless.network import Layer

Floats = NDArray[np.float64]
FREE = -1


def branch(
    layers: list[Layer],
    most: int,
    best_of: Callable[[Floats], Actions],
    separable: Callable[[Actions], float],
    value: Callable[[Actions], float],
    *,
    span: float,
    gap: float,
    deadline: float | None = None,
) -> Choice:
    """Return a best action, within a gap or until a deadline.

    Parameters
    ----------
    layers : list of (W, b)
        The network f as a function of the action.
    most : int
        Largest number of ones of an action.
    best_of : callable
        Maps w (N,) to the action that maximises g(a) + w . a.
    separable, value : callable
        g(a), and g(a) + f(a).
    span : float
        Largest difference of two values of g.
    gap : float
        Relative gap at which to stop.
    deadline : float, optional
        Reading of ``time.perf_counter`` at which to stop.

    Returns
    -------
    Choice
        Its status is TIME_LIMIT if the search stopped before the gap.
    """
    (W, b), deeper = layers[0], layers[1:]
    weight = np.ones(1)
    for later, _ in reversed(deeper):
        weight = np.abs(later).T @ weight
    beyond = 1.0 + span + 2.0 * _reach(layers)
    best, best_value, dropped = None, -np.inf, -np.inf

    def open_node(fixed: NDArray[np.int64]) -> tuple[float, int]:
        """Return the bound (1), -inf if the node is empty, and the component to split by."""
        nonlocal best, best_value
        free, ones = fixed == FREE, fixed == 1
        rest: list[Layer] = [(W[:, free], b + W[:, ones].sum(axis=1)), *deeper]
        groups, left = np.arange(int(free.sum())), max(0, most - int(ones.sum()))
        bounds = propagate(rest, groups, left)
        slopes, constant = majorant(rest, bounds)
        gain = np.zeros(fixed.size)
        gain[free] = slopes
        a = best_of(gain + np.where(free, 0.0, np.where(ones, beyond, -beyond)))
        if (a[~free] != fixed[~free]).any():
            return -np.inf, FREE  # (2)
        reached = value(a)
        if reached > best_value:
            best, best_value = a, reached
        if not free.any():
            return reached, FREE
        bound = separable(a) + float(gain @ a) + constant  # (1)
        undecided = (bounds.lower[0] < 0) & (bounds.upper[0] > 0)
        moved = weight[undecided] @ np.abs(rest[0][0][undecided])  # (3)
        at = int(np.argmax(moved * (1 + a[free])))
        return max(bound, reached), int(np.flatnonzero(free)[at])

    start = np.full(W.shape[1], FREE)
    bound, at = open_node(start)
    count, heap = 1, [(-bound, 0, start, at)]
    while heap and -heap[0][0] > best_value + gap * abs(best_value):
        if deadline is not None and time.perf_counter() > deadline:
            break
        _, _, fixed, at = heapq.heappop(heap)
        for choice in (1, 0):
            child = fixed.copy()
            child[at] = choice
            bound, then = open_node(child)
            count += 1
            if bound > best_value + gap * abs(best_value):
                heapq.heappush(heap, (-bound, count, child, then))
            else:
                dropped = max(dropped, bound)
    assert best is not None
    bound = max(best_value, dropped, -heap[0][0] if heap else -np.inf)
    done = bound <= best_value + gap * abs(best_value)
    return Choice(best, best_value, bound, MipStatus.OPTIMAL if done else MipStatus.TIME_LIMIT)


def _reach(layers: list[Layer]) -> float:
    """Return what the slopes of a majorant sum up to at most."""
    slope = np.ones(1)
    for W, _ in reversed(layers):
        slope = np.abs(W).T @ slope
    return float(slope.sum())
