r"""Bellman operators on tabular models.

Problem       ``(T V)(s) = max_k r_k + gamma sum_t P_k(t) V(t)`` over the pairs k of s;  (1)
              ``T_pi`` has the policy's average in place of the maximum.  (2)
Algorithm     One pass over the rows of the model, compiled on first use.
Guarantee     Every entry of a computed product is within ``rounding(mdp, V)`` of the exact one.
Cost          O(nnz) time and O(S) memory per application.
Deviations    None.
References    Puterman (1994), sections 4.3 and 6.2.

For a finite horizon each function takes the step `h` and the value of the next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels
from mdplib.errors import InvalidModelError
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy
from mdplib.tabular import Layer, TabularMDP

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
UNIT = 2.0**-53
_MATRIX = 32  # states from which a full model is treated as a matrix
_SERIAL = 2_000_000  # transitions below which one thread does a sweep


def value_vector(mdp: TabularMDP, V: ArrayLike) -> Floats:
    """Return `V` as a read-only contiguous (S,) float64 view, or raise `InvalidModelError`."""
    try:
        vector = np.ascontiguousarray(V, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidModelError(f"V is not an array of numbers: {error}") from None
    if vector.shape != (mdp.n_states,):
        raise InvalidModelError(f"V has shape {vector.shape}; ({mdp.n_states},) expected")
    vector = vector.view()
    vector.flags.writeable = False
    return vector


def backup(mdp: TabularMDP, V: ArrayLike, h: int = 0) -> tuple[Floats, Ints]:
    """Apply the optimality operator (1).

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    V : (S,) array
        Value of the next state.
    h : int
        Step; ignored for an infinite horizon.

    Returns
    -------
    TV : (S,) float64
        The maximum.
    pair : (S,) int32
        The lowest pair that attains it.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> backup(mdp, [4.0])
    (array([3.]), array([1], dtype=int32))
    """
    return backup_and_range(mdp, value_vector(mdp, V), h)[:2]


def backup_and_range(
    mdp: TabularMDP, V: Floats | None, h: int = 0
) -> tuple[Floats, Ints, tuple[float, float], float]:
    """Apply the optimality operator (1); find the range of ``T V - V`` in the same pass.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    V : (S,) float64, contiguous; or None for zeros, which costs O(K) only
        Value of the next state.
    h : int
        Step; ignored for an infinite horizon.

    Returns
    -------
    TV, pair
        As `backup` returns them.
    change : tuple of float
        Least and largest entry of ``T V - V``.
    size : float
        Largest magnitude in ``T V``.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> backup_and_range(mdp, np.array([4.0]))
    (array([3.]), array([1], dtype=int32), (-1.0, -1.0), 3.0)
    """
    S, layer, kernels = mdp.n_states, mdp.layer(h), _kernels.bellman
    out, pair = np.empty(S), np.empty(S, dtype=np.int32)
    if V is None:
        first = int(layer.state_ptr[0])
        found = kernels.best_of(layer.state_ptr, layer.reward[first:], np.zeros(S), 0, S, out, pair)
    elif _is_full(mdp, layer):
        q = q_values(mdp, V, h)
        found = kernels.best_of(layer.state_ptr, q, V, 0, S, out, pair)
    elif mdp.nnz < _SERIAL:
        found = kernels.backup(*layer, mdp.gamma, V, 0, S, out, pair)  # (1)
    else:
        from mdplib._kernels import threads

        def work(a: int, b: int) -> tuple[float, ...]:
            return kernels.backup(*layer, mdp.gamma, V, a, b, out, pair)  # (1)

        found = threads.share(_parts(mdp, h), work)
    low, high, size = found
    return out, pair, (low, high), size


def _parts(mdp: TabularMDP, h: int) -> list[tuple[int, int]]:
    """Ranges of states for the threads, found once per model, step and number of threads."""
    from mdplib._kernels import threads

    known = mdp.__dict__.setdefault("_parts", {})
    key = (threads.usable(), 0 if mdp.stationary else h)
    if key not in known:
        layer = mdp.layer(h)
        known[key] = threads.cuts(layer.state_ptr, layer.indptr)
    return known[key]


def _is_full(mdp: TabularMDP, layer: Layer) -> bool:
    """Whether every row stores every state: then the products are one matrix-vector product."""
    first, last = layer.state_ptr[0], layer.state_ptr[-1]
    S = mdp.n_states
    return S >= _MATRIX and int(layer.indptr[last] - layer.indptr[first]) == int(last - first) * S


def bellman(mdp: TabularMDP, V: ArrayLike, h: int = 0) -> Floats:
    """Return ``T V``, the first result of `backup`."""
    return backup(mdp, V, h)[0]


def greedy(mdp: TabularMDP, V: ArrayLike, h: int = 0) -> DeterministicPolicy:
    """Return the policy that maximises (1); ties go to the lowest action."""
    pair = backup(mdp, V, h)[1]
    return DeterministicPolicy(pair, mdp.action_id[pair])


def residual(mdp: TabularMDP, V: ArrayLike) -> tuple[float, float]:
    """Return the least and the largest entry of ``T V - V``.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> residual(TabularMDP.from_dense([[[1.0]]], [[1.0]], 0.5), [0.0])
    (1.0, 1.0)
    """
    change = bellman(mdp, V) - np.asarray(V)
    return float(change.min()), float(change.max())


def q_values(mdp: TabularMDP, V: ArrayLike, h: int = 0) -> Floats:
    """Return ``r + gamma P V`` for every pair of step h.

    Returns
    -------
    (K,) float64
        In the order of the pairs; only those of step h when kernels change with the step.
    """
    V, layer = value_vector(mdp, V), mdp.layer(h)
    ptr, indptr, indices, data, reward = layer
    first, last = int(ptr[0]), int(ptr[-1])
    if _is_full(mdp, layer):
        rows = data[indptr[first] : indptr[last]].reshape(-1, mdp.n_states)
        return reward[first:last] + mdp.gamma * (rows @ V)
    out = np.empty(last - first)
    _kernels.bellman.q_values(indptr, indices, data, reward, mdp.gamma, V, first, out)
    return out


def gauss_seidel(mdp: TabularMDP, V: Floats, reverse: bool = False) -> tuple[float, float]:
    """Sweep (1) over the states in place, using new values at once.

    Parameters
    ----------
    mdp : TabularMDP
        An infinite-horizon model.
    V : (S,) float64
        Overwritten.
    reverse : bool
        Go from the last state to the first.

    Returns
    -------
    tuple of float
        Least and largest change of an entry.

    Raises
    ------
    InvalidModelError
        If V cannot be overwritten in place.
    """
    if V.shape != (mdp.n_states,) or V.dtype != np.float64 or not V.flags.carray:
        raise InvalidModelError(
            f"V has shape {V.shape} and dtype {V.dtype}; a writable contiguous float64 array of "
            f"shape ({mdp.n_states},) expected"
        )
    return _kernels.bellman.gauss_seidel(*mdp.layer(), mdp.gamma, V, reverse)


def policy_backup(mdp: TabularMDP, policy: Policy, V: ArrayLike, n: int = 1, h: int = 0) -> Floats:
    """Apply ``T_pi`` (2) n times.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    policy : Policy
        The policy; its part for step h is used.
    V : (S,) array
        Value of the next state.
    n : int
        Number of applications.
    h : int
        Step; ignored for an infinite horizon.

    Returns
    -------
    (S,) float64
    """
    V, policy = np.array(value_vector(mdp, V)), policy_at(mdp, policy, h)
    if isinstance(policy, DeterministicPolicy):
        _, indptr, indices, data, reward = mdp.layer(h)
        _kernels.bellman.policy_sweeps(
            policy.pair, indptr, indices, data, reward, mdp.gamma, V, np.empty_like(V), n
        )
        return V
    P, r = policy_model(mdp, policy, h)
    for _ in range(n):
        V = r + mdp.gamma * (P @ V)  # (2)
    return V


def policy_at(mdp: TabularMDP, policy: Policy, h: int = 0) -> Policy:
    """Return the part of a policy for step h, checked against the model.

    Raises
    ------
    InvalidModelError
        If the policy has steps and the model none, or chooses pairs of other states.
    """
    if isinstance(policy, MarkovPolicy):
        if mdp.horizon is None:
            raise InvalidModelError(
                "a MarkovPolicy has one part per step and the model has no horizon; pass one of "
                "its steps"
            )
        policy = policy.at(h)
    if isinstance(policy, DeterministicPolicy):
        DeterministicPolicy.from_pairs(mdp, policy.pair, h)
    return policy


def policy_model(mdp: TabularMDP, policy: Policy, h: int = 0) -> tuple[csr_array, Floats]:
    """Return the Markov chain and reward that a policy induces.

    Returns
    -------
    P_pi : (S, S) csr_array
    r_pi : (S,) float64
    """
    import scipy.sparse as sp

    policy = policy_at(mdp, policy, h)
    ptr, indptr, indices, data, reward = mdp.layer(h)
    if isinstance(policy, DeterministicPolicy):
        select = policy.pair
        rows = sp.csr_array((data, indices, indptr), shape=(mdp.n_pairs, mdp.n_states))
        return rows[select], reward[select]
    weight = policy.weights(mdp, h)[ptr[0] : ptr[-1]]
    columns = np.arange(ptr[0], ptr[-1], dtype=np.int32)
    average = sp.csr_array((weight, columns, ptr - ptr[0]), shape=(mdp.n_states, mdp.n_pairs))
    rows = sp.csr_array((data, indices, indptr), shape=(mdp.n_pairs, mdp.n_states))
    return sp.csr_array(average @ rows), np.asarray(average @ reward)


def evaluate_policy(mdp: TabularMDP, policy: Policy) -> Floats:
    """Return the value of a policy, by a direct sparse solve or by recursion over the steps.

    Returns
    -------
    (S,) float64, or (H+1, S) for a finite horizon
        Up to rounding; `mdplib.certificates.bracket_policy` proves bounds.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> evaluate_policy(mdp, greedy(mdp, [0.0]))
    array([2.])
    """
    if mdp.horizon is not None:
        V = np.empty((mdp.horizon + 1, mdp.n_states))
        V[-1] = mdp.terminal
        for h in range(mdp.horizon - 1, -1, -1):
            V[h] = policy_backup(mdp, policy, V[h + 1], h=h)
        return V
    P, r = policy_model(mdp, policy)
    return solve_discounted(P, r, mdp.gamma)


def solve_discounted(P: csr_array, r: Floats, gamma: float) -> Floats:
    """Solve ``(I - gamma P) x = r`` directly: dense when small, sparse LU otherwise."""
    n = r.shape[0]
    if n <= 256:
        return np.asarray(np.linalg.solve(np.eye(n) - gamma * P.toarray(), r), dtype=np.float64)
    import scipy.sparse as sp
    from scipy.sparse.linalg import splu

    return splu(sp.csc_array(sp.eye_array(n) - gamma * P)).solve(r)


def rounding(mdp: TabularMDP, V: ArrayLike) -> float:
    """Bound the rounding error of any entry of a backup of `V`.

    A row of n transitions takes n products, n - 1 sums in some order, one product with gamma and
    one sum with the reward, so the error is at most ``g(|r| + gamma p|V|)`` with
    ``g = (n+2) u / (1 - (n+2) u)`` (Higham 2002, section 3.1), plus underflow.

    Returns
    -------
    float
        In units of reward.
    """
    return rounding_of_size(mdp, float(np.max(np.abs(V), initial=0.0)))


def rounding_of_size(mdp: TabularMDP, largest: float) -> float:
    """Do as `rounding` for vectors whose entries are at most `largest` in magnitude."""
    n = mdp.max_successors + 2
    magnitude = mdp.max_reward + mdp.gamma * mdp.row_sum_bounds[1] * largest
    return 1.01 * n * UNIT * magnitude + n * 2.0**-1073
