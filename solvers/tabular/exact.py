r"""Policy iteration in rational numbers.

Problem       Discounted or finite-horizon model whose floats are read as the dyadic rationals
              they are; find V* exactly.
Algorithm     Start from the policy that floating-point policy iteration ends with.
              ``V = (I - gamma P_pi)^{-1} r_pi``, solved over the rationals one strong component
              of the policy's graph at a time, successors first;                             (1)
              ``pi(s) <- argmax_k r_k + gamma P_k V`` where strictly better.                 (2)
              A finite horizon needs (2) only, from the last step to the first.
Guarantee     The result solves V = T V exactly. `lower` and `upper` are the floats next to it on
              either side.
Cost          One or two evaluations in general. A component of m states costs a dense rational
              solve: practical up to a few hundred states per component, and to thousands of
              states when the optimal policy moves through small components.
Deviations    None.
References    Howard (1960); Puterman (1994), section 6.4.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.certificates import Bracket
from mdplib.errors import MissingExtraError
from mdplib.policy import DeterministicPolicy, MarkovPolicy
from mdplib.solution import Solution, Status
from mdplib.tabular import TabularMDP
from solvers.tabular.policy_iteration import policy_iteration
from solvers.tabular.run import Progress, Run

if TYPE_CHECKING:
    from flint import fmpq


def exact_policy_iteration(
    mdp: TabularMDP,
    *,
    tol: float = 0.0,
    max_iterations: int = 10_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Solve a model in rational arithmetic.

    Parameters
    ----------
    mdp : TabularMDP
        Discounted or finite-horizon model.
    tol : float
        Accepted for uniformity; the result has gap 0.
    max_iterations : int
        Limit on rational policy evaluations. An optimal policy that was not proven optimal in
        time is returned with the bounds of the floating-point run and status ITERATION_LIMIT.
    time_limit : float, optional
        Seconds, checked between evaluations; then as for `max_iterations`, with TIME_LIMIT.
    V0 : (S,) array, optional
        Where the floating-point run starts.
    progress : callable, optional
        Called with (evaluations, gap of the floating-point run) before each evaluation.

    Returns
    -------
    Solution
        With `exact` set: one `Fraction` per state, or row by row per step and state.

    Raises
    ------
    MissingExtraError
        Without python-flint (extra ``exact``).

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], gamma=0.5)
    >>> exact_policy_iteration(mdp).exact
    (Fraction(8, 5), Fraction(4, 5))
    """
    try:
        import flint  # noqa: F401
    except ImportError:
        raise MissingExtraError("exact", "flint") from None
    run = Run("exact", mdp, tol, time_limit, max_iterations, progress)
    model = _RationalModel(mdp)
    if mdp.horizon is not None:
        return _backward(run, model)
    rough = policy_iteration(mdp, tol=0.0, max_iterations=1000, time_limit=time_limit, V0=V0)
    assert isinstance(rough.policy, DeterministicPolicy)
    pair = np.array(rough.policy.pair)
    for iteration in range(1, max_iterations + 1):
        if run.expired():
            break
        if progress is not None:
            progress(iteration, rough.gap)
        V = model.evaluate(pair)  # (1)
        better = model.improve(pair, V)  # (2)
        if better is None:
            policy = DeterministicPolicy.from_pairs(mdp, model.first_greedy(V))
            return _finish(run, [V], policy, iteration)
        pair = better
    status = Status.TIME_LIMIT if run.expired() else Status.ITERATION_LIMIT
    return run.solution(Bracket(rough.lower, rough.upper, rough.policy, 0.0), status, 0)


class _RationalModel:
    """The rows of a model as rationals, converted once."""

    def __init__(self, mdp: TabularMDP):
        self.mdp = mdp
        self.gamma = _rational(mdp.gamma)
        self.data = [_rational(p) for p in mdp.data.tolist()]
        self.reward = [_rational(r) for r in mdp.reward.ravel().tolist()]
        self.indices = mdp.indices.tolist()
        self.indptr = mdp.indptr.tolist()

    def q(self, k: int, V: list[fmpq], h: int = 0) -> fmpq:
        """Value of pair k when V follows: r_k + gamma P_k V."""
        total = sum(
            (self.data[j] * V[self.indices[j]] for j in range(*self.indptr[k : k + 2])),
            start=_rational(0.0),
        )
        offset = h * self.mdp.n_pairs if self.mdp.reward.ndim == 2 else 0
        return self.reward[offset + k] + self.gamma * total

    def improve(self, pair: NDArray, V: list[fmpq]) -> NDArray | None:
        """Strictly better choices (2), or None when there is none."""
        ptr = self.mdp.state_ptr.tolist()
        better, changed = pair.copy(), False
        for s in range(self.mdp.n_states):
            best = V[s]
            for k in range(ptr[s], ptr[s + 1]):
                q = self.q(k, V)
                if q > best:
                    best, better[s], changed = q, k, True
        return better if changed else None

    def first_greedy(self, V: list[fmpq], h: int = 0) -> NDArray:
        """Lowest maximising pair of each state."""
        ptr = self.mdp.layer(h).state_ptr.tolist()
        chosen = np.empty(self.mdp.n_states, dtype=np.int32)
        for s in range(self.mdp.n_states):
            chosen[s] = max(range(ptr[s], ptr[s + 1]), key=lambda k: self.q(k, V, h))
        return chosen

    def evaluate(self, pair: NDArray) -> list[fmpq]:
        """Value of a policy, one strong component at a time (1)."""
        V: list[Any] = [None] * self.mdp.n_states
        for block in _components(self.mdp, pair):
            self._solve_block(block, pair, V)
        return V

    def _solve_block(self, block: list[int], pair: NDArray, V: list[Any]) -> None:
        from flint import fmpq_mat

        place = {s: i for i, s in enumerate(block)}
        m = len(block)
        A, b = fmpq_mat(m, m), fmpq_mat(m, 1)
        for i, s in enumerate(block):
            k = int(pair[s])
            A[i, i] = 1
            outside = _rational(0.0)
            for j in range(*self.indptr[k : k + 2]):
                t, p = self.indices[j], self.data[j]
                if t in place:
                    A[i, place[t]] -= self.gamma * p
                elif p:
                    outside += p * V[t]
            b[i, 0] = self.reward[k] + self.gamma * outside
        x = A.solve(b) if m > 1 else fmpq_mat(1, 1, [b[0, 0] / A[0, 0]])
        for i, s in enumerate(block):
            V[s] = x[i, 0]


def _components(mdp: TabularMDP, pair: NDArray) -> list[list[int]]:
    """Strong components of the policy's graph, each after all those it can move to."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    S = mdp.n_states
    rows = sp.csr_array((mdp.data, mdp.indices, mdp.indptr), shape=(mdp.n_pairs, S))
    graph = sp.csr_array(rows[pair])
    graph.eliminate_zeros()
    count, label = connected_components(graph, directed=True, connection="strong")
    source = np.repeat(np.arange(S), np.diff(graph.indptr))
    edges = np.unique(np.stack([label[source], label[graph.indices]], axis=1), axis=0)
    edges = edges[edges[:, 0] != edges[:, 1]]
    waiting = np.bincount(edges[:, 0], minlength=count)
    before: list[list[int]] = [[] for _ in range(count)]
    for c, d in edges.tolist():
        before[d].append(c)
    members: list[list[int]] = [[] for _ in range(count)]
    for s, c in enumerate(label.tolist()):
        members[c].append(s)
    ready = np.flatnonzero(waiting == 0).tolist()
    order = []
    while ready:
        d = ready.pop()
        order.append(members[d])
        for c in before[d]:
            waiting[c] -= 1
            if waiting[c] == 0:
                ready.append(c)
    return order


def _backward(run: Run, model: _RationalModel) -> Solution:
    mdp = run.mdp
    assert mdp.horizon is not None
    assert mdp.terminal is not None
    values = [[_rational(x) for x in mdp.terminal.tolist()]]
    steps = []
    for h in range(mdp.horizon - 1, -1, -1):
        pair = model.first_greedy(values[-1], h)  # (2)
        steps.append(DeterministicPolicy.from_pairs(mdp, pair, h))
        values.append([model.q(k, values[-1], h) for k in pair.tolist()])
    policy = MarkovPolicy(tuple(reversed(steps)))
    return _finish(run, list(reversed(values)), policy, mdp.horizon)


def _finish(run: Run, values: list[list[fmpq]], policy: Any, iterations: int) -> Solution:
    """Round every value outwards to floats and assemble the solution."""
    exact = [Fraction(int(x.p), int(x.q)) for row in values for x in row]
    shape = (run.mdp.n_states,) if run.mdp.horizon is None else (-1, run.mdp.n_states)
    near = [float(x) for x in exact]
    lower = [
        v if Fraction(v) <= x else np.nextafter(v, -np.inf)
        for v, x in zip(near, exact, strict=True)
    ]
    upper = [
        v if Fraction(v) >= x else np.nextafter(v, np.inf) for v, x in zip(near, exact, strict=True)
    ]
    found = Bracket(np.reshape(lower, shape), np.reshape(upper, shape), policy, 0.0)
    run.trace.append((iterations, 0.0))
    return run.solution(
        found,
        Status.OPTIMAL,
        iterations,
        guarantees=("blackwell1962:optimality_equation",),
        exact=tuple(exact),
    )


def _rational(x: float) -> fmpq:
    from flint import fmpq

    return fmpq(*float(x).as_integer_ratio())
