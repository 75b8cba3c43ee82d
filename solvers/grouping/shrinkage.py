r"""Between group and action: estimates that share samples as far as the actions are alike.

Problem
-------
Samples of single actions, few of each. Estimating every action alone is noisy, giving every action
its group's estimate is biased.

Algorithm
---------
For each state and action mix the action's own estimate with that of the other actions of its group,

    P~(. | s, a) = (1 - lambda) P^_others + lambda P^_a,                                     (1)

and the reward alike. With v_a the estimated variance of the action's estimate, v_o that of the
others', and d^2 the squared distance of the two, an unbiased estimate of the squared bias is
d^2 - v_a - v_o. These are noisy, so means over all states and the actions of the group take
their places; b^2 is that of the bias, no less than zero. The mean squared error of (1) is then
least at

    lambda = 1 - v_a / (v_a + v_o + b^2).                                                    (2)

Kernel and reward are weighed together: their variances and distances add, those of the kernel times
the square of `scale`, the span of values that a change of the kernel is worth.

Guarantee
---------
(2) lies in [0, 1]; with equal actions it tends to the share of the action's own samples, with
different ones to 1 as samples grow. It is a heuristic as long as the estimates of b^2 are noisy.

Cost
----
Linear in the size of the counts.

Deviations
----------
Variances take the place of confidence widths, which are too wide to weigh with.

References
----------
James and Stein (1961), james1961, for shrinkage; the weights are derived.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.grouping.grouping import Grouping
from mdplib.grouping.samples import GroupSamples, pooled

Floats = NDArray[np.float64]


def shrunk_model(
    samples: GroupSamples, grouping: Grouping, *, scale: float = 1.0
) -> tuple[Floats, Floats, Floats]:
    """Return estimates (1) of the kernels and rewards of all actions.

    Parameters
    ----------
    samples : GroupSamples
        Of single actions, see `mdplib.grouping.draw_actions`; at least two of each.
    grouping : Grouping
        Which actions may be alike, the same in all states.
    scale : float
        What a unit of the kernel's error is worth beside one of the reward; gamma times the
        span of the values is a good choice.

    Returns
    -------
    P : (..., S, A, S) float64
        Kernels.
    r : (..., S, A) float64
        Rewards.
    weight : (..., S, A) float64
        lambda.

    Raises
    ------
    InvalidModelError
        If some action has fewer than two samples.

    Examples
    --------
    >>> from mdplib import models
    >>> from mdplib.grouping import draw_actions
    >>> mdp = models.tree_mdp(np.random.default_rng(0))
    >>> seen = draw_actions(mdp, 4, np.random.default_rng(1))
    >>> P, r, weight = shrunk_model(seen, Grouping.tree(4, 6))
    >>> P.shape, bool(np.allclose(P.sum(axis=-1), 1.0)), bool(0 <= weight.min() <= 1)
    ((6, 64, 6), True, True)
    """
    n = samples.n
    if n.min() < 2:
        raise InvalidModelError(
            f"some action has {int(n.min())} samples; two of each are needed for a variance"
        )
    own_P, own_r = samples.model()
    every = pooled(samples, grouping)
    others_n = every.n[..., grouping.of] - n
    shared = others_n > 0
    rest = np.maximum(others_n, 1)
    counts = every.counts[..., grouping.of, :] - samples.counts
    paid = (every.paid[..., grouping.of, :] - samples.paid).sum(axis=-1)
    others_P, others_r = counts / rest[..., None], paid / rest
    v_own = _variance(own_P, own_r, n, scale)
    v_rest = _variance(others_P, others_r, np.maximum(rest, 2), scale)
    apart = scale**2 * ((own_P - others_P) ** 2).sum(axis=-1) + (own_r - others_r) ** 2
    onto = (grouping.of[:, None] == grouping.of).astype(np.float64)
    onto /= onto.sum(axis=0)
    apart, v_own, v_rest = (x.mean(axis=-2, keepdims=True) @ onto for x in (apart, v_own, v_rest))
    bias = np.maximum(apart - v_own - v_rest, 0.0)
    all_ = v_own + v_rest + bias
    weight = np.where(all_ > 0.0, 1.0 - v_own / np.where(all_ > 0.0, all_, 1.0), n / (n + rest))
    weight = np.where(shared, weight, 1.0)  # (2)
    P = (1.0 - weight)[..., None] * others_P + weight[..., None] * own_P  # (1)
    return P, (1.0 - weight) * others_r + weight * own_r, weight


def _variance(P: Floats, r: Floats, n: NDArray[np.int64], scale: float) -> Floats:
    """Return unbiased estimates of the squared errors, kernels and rewards added."""
    return (scale**2 * (1.0 - (P**2).sum(axis=-1)) + r * (1.0 - r)) / (n - 1)
