"""Nearly decomposable models: blocks that mix fast inside and hardly ever talk to each other.

Law. The states are split into `blocks` blocks of `size` states: block k holds the states
``k*size .. (k+1)*size - 1`` and has a level that is uniform on [0, 1). For every state-action
pair, independently:

* b successors inside the block of its state, one uniform state from each of b intervals of equal
  length, with probabilities 1 - coupling times the lengths of the b pieces into which b - 1
  independent uniform points cut [0, 1];
* one state, uniform among all states of the model, with probability `coupling`, added to what
  that state may have already;
* an expected reward that is the level of the block plus a uniform number on [0, 1).

The initial law is uniform.

With a small coupling the subdominant eigenvalues of every policy's chain are near one, one for
each block but one: values inside a block agree after a few sweeps, those of different blocks only
after 1 / ((1 - gamma) + coupling) of them.

References: Simon and Ando (1961), *Aggregation of variables in dynamic systems*, and Courtois
(1977), *Decomposability*, for nearly completely decomposable chains; the rows inside a block are
those of `mdplib.models.garnet` with stratified successors.
"""

from __future__ import annotations

import numpy as np

from mdplib.errors import InvalidModelError
from mdplib.models import arguments
from mdplib.tabular import TabularMDP


def decomposable(
    blocks: int,
    size: int,
    A: int,
    b: int,
    rng: np.random.Generator,
    gamma: float = 0.99,
    *,
    coupling: float = 1e-3,
    horizon: int | None = None,
) -> TabularMDP:
    """Draw a nearly decomposable model (the law is given above).

    Parameters
    ----------
    blocks, size : int
        Number of blocks and of states in each.
    A : int
        Number of actions.
    b : int
        Successors per pair inside the block, 1 <= b <= size.
    rng : numpy.random.Generator
        Source of the draws.
    gamma : float
        Discount factor.
    coupling : float
        Probability of leaving the law of the block, 0 <= coupling <= 1.
    horizon : int, optional
        Finite horizon; the drawn kernel is the same at every step.

    Returns
    -------
    TabularMDP

    Raises
    ------
    InvalidModelError
        If a parameter is out of range.

    Examples
    --------
    >>> decomposable(3, 10, 2, 4, np.random.default_rng(0), gamma=0.95).n_states
    30
    """
    import scipy.sparse as sp

    blocks, size = arguments.count(blocks, "blocks"), arguments.count(size, "size")
    A, b = arguments.count(A, "A"), arguments.count(b, "b")
    coupling = arguments.number(coupling, "coupling", 0.0, 1.0)
    if b > size:
        raise InvalidModelError(f"b is {b}; at most size={size} distinct successors exist")
    S = blocks * size
    K = S * A
    home = np.repeat(np.arange(blocks), size * A)
    edge = np.arange(b + 1) * size // b
    inside = edge[:-1] + np.floor(rng.random((K, b)) * np.diff(edge)).astype(np.int64)
    cuts = np.sort(rng.random((K, b - 1)), axis=1)
    pieces = (1 - coupling) * np.diff(cuts, axis=1, prepend=0.0, append=1.0)
    column = np.column_stack([inside + size * home[:, None], rng.integers(0, S, size=K)])
    weight = np.column_stack([pieces, np.full(K, coupling)])
    row = np.repeat(np.arange(K), b + 1)
    P = sp.coo_array((weight.ravel(), (row, column.ravel())), shape=(K, S)).tocsr()
    P.sum_duplicates()
    P.eliminate_zeros()
    reward = rng.random(blocks)[home] + rng.random(K)
    return TabularMDP(
        np.arange(0, K + 1, A, dtype=np.int32),
        P.indptr,
        P.indices,
        P.data,
        reward,
        np.tile(np.arange(A, dtype=np.int32), S),
        gamma,
        horizon,
        initial=np.full(S, 1 / S),
    )
