r"""P2MPO for an explicit list of models: the best worst case over models and their balls.

Problem       Candidate models M_1..M_n (one law of the first state), each with an adversary;
              ``max over policies of min over models of V^{pi, robust}_M(initial)``.            (1)
Algorithm     Models whose log-likelihood is within `confidence` of the best are kept.           (2)
              Branch and bound over deterministic Markov policies, state by state from the
              first step. With the choices made so far fixed and the rest free,
              ``min over models of the robust optimum`` bounds every completion,                (3)
              and that model's greedy completion, evaluated in all models, is a candidate.     (4)
Guarantee     The policy is optimal among deterministic Markov policies if `gap` is 0; otherwise
              `upper` bounds what any of them can reach.
Cost          Each node costs one robust backward induction per model; the number of nodes may
              be exponential in the number of reachable states and steps. Meant for small models.
Deviations    The paper's oracle is not specified; its policies may randomise, and a mixture can do
              better than (1) against models that no single law joins.
References    Blanchet, Lu, Zhang and Zhong (2023), Double pessimism is provably efficient for
              distributionally robust offline reinforcement learning, algorithm 1.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.policy import MarkovPolicy
from mdplib.solution import Provenance, Stats
from mdplib.tabular import TabularMDP
from solvers.robust.beta import true_worst
from solvers.robust.result import greedy

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP
    from mdplib.linear_offline import LinearData
    from mdplib.robust import Robustness

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class MaxMin:
    """The best policy found against the least favourable model.

    Parameters
    ----------
    policy : MarkovPolicy
        Deterministic.
    value : float
        Its least robust value over the models kept, at the initial law.
    upper : float
        Bound on that quantity for every deterministic Markov policy.
    values : (n,) float64
        Robust value of `policy` in each model kept.
    kept : tuple of int
        Models in the confidence set.
    stats : Stats
        Nodes and time.
    provenance : Provenance
        Method and options.
    """

    policy: MarkovPolicy
    value: float
    upper: float
    values: Floats
    kept: tuple[int, ...]
    stats: Stats
    provenance: Provenance

    @property
    def gap(self) -> float:
        """``upper - value``: 0 when optimality is proven."""
        return self.upper - self.value


def p2mpo(
    models: Sequence[LinearMDP | TabularMDP],
    robustness: Robustness,
    *,
    data: LinearData | None = None,
    confidence: float = np.inf,
    max_nodes: int = 20_000,
    tol: float = 1e-9,
) -> MaxMin:
    """Plan against the worst of several models, each made robust.

    Parameters
    ----------
    models : sequence of LinearMDP or TabularMDP
        Models with the same states, pairs, horizon and initial law. Tabular ones are taken with
        one factor per pair.
    robustness : Robustness
        Penalty or ball around the factors of each model.
    data : LinearData, optional
        Trajectories that select the confidence set (2).
    confidence : float
        Largest loss of log-likelihood against the best model.
    max_nodes : int
        Limit on the nodes of the search.
    tol : float
        Differences of value that do not matter, in units of reward.

    Returns
    -------
    MaxMin
        Policy, value, and a bound on the optimum.

    Raises
    ------
    InvalidModelError
        If the list is empty, the models differ in shape, or none has an initial law.
    NotApplicableError
        If `confidence` is finite and there are no data.

    Examples
    --------
    >>> from mdplib import models
    >>> from mdplib.robust import Robustness
    >>> one = models.five_state()
    >>> found = p2mpo([one], Robustness("tv", float("inf")))
    >>> found.gap <= 1e-9, round(found.value, 4)
    (True, 1.6243)

    References
    ----------
    Blanchet et al. (2023), algorithm 1.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    linear = [_linear(model) for model in models]
    _check(linear)
    kept = tuple(range(len(linear)))
    if np.isfinite(confidence):
        if data is None:
            raise NotApplicableError("a confidence set needs data=")
        likelihood = np.array([log_likelihood(model, data) for model in linear])
        kept = tuple(np.flatnonzero(likelihood >= likelihood.max() - confidence).tolist())  # (2)
    search = _Search([linear[i] for i in kept], robustness)
    pairs, value, upper, nodes = search.run(max_nodes, tol)
    return MaxMin(
        greedy(pairs, linear[0].features.action_id),
        value,
        upper,
        search.evaluate(pairs),
        kept,
        Stats(nodes, time.perf_counter() - wall, time.process_time() - cpu),
        Provenance("p2mpo", {"confidence": confidence, "tol": tol}, f"{len(linear)} models"),
    )


def log_likelihood(model: LinearMDP, data: LinearData) -> float:
    """Return the log-likelihood of the observed next states under a model."""
    total = 0.0
    for h in range(data.horizon):
        here = (data.pair[h] >= 0) & (data.next[h] >= 0)
        k, t = data.pair[h][here], data.next[h][here]
        p = np.einsum("nd,dn->n", model.features.phi[k], model.mu[h][:, t])
        with np.errstate(divide="ignore"):
            total += float(np.log(p).sum())
    return total


class _Search:
    """Branch and bound; a node is an (H, S) array of pairs, -1 where the choice is free."""

    def __init__(self, models: Sequence[LinearMDP], robustness: Robustness):
        self.models, self.robustness = models, robustness
        features = models[0].features
        self.ptr, self.S, self.H = features.state_ptr, features.n_states, models[0].horizon
        law = models[0].initial
        self.law = np.full(self.S, 1.0 / self.S) if law is None else law

    def run(self, max_nodes: int, tol: float) -> tuple[Ints, float, float, int]:
        """Return the best pairs, their value, an upper bound, and the number of nodes."""
        root = np.full((self.H, self.S), -1, dtype=np.int32)
        bound, chosen = self._bound(root)
        best, value = chosen, float(self.evaluate(chosen).min())
        queue, tie = [(-bound, 0, root, chosen)], itertools.count(1)
        nodes, upper = 1, bound
        while queue:
            upper = max(value, -queue[0][0])
            if upper <= value + tol or nodes >= max_nodes:
                break
            _, _, fixed, greedy_pairs = heapq.heappop(queue)
            at = self._branch(fixed, greedy_pairs)
            if at is None:
                continue
            h, s = at
            for k in range(self.ptr[s], self.ptr[s + 1]):
                child = fixed.copy()
                child[h, s] = k
                bound, chosen = self._bound(child)
                nodes += 1
                if bound <= value + tol:
                    continue
                reached = float(self.evaluate(chosen).min())  # (4)
                if reached > value:
                    best, value = chosen, reached  # (1)
                heapq.heappush(queue, (-bound, next(tie), child, chosen))
        else:
            upper = value + tol
        return best, value, max(upper, value), nodes

    def evaluate(self, pairs: Ints) -> Floats:
        """Return the robust value of a policy in each model, at the initial law."""
        return np.array([self.law @ self._backward(model, pairs)[0] for model in self.models])

    def _bound(self, fixed: Ints) -> tuple[float, Ints]:
        """Return (3) and the greedy completion in the model that attains it."""
        least, pairs = np.inf, fixed
        for model in self.models:
            V, chosen = self._backward(model, fixed)
            value = float(self.law @ V)
            if value < least:
                least, pairs = value, chosen  # (3)
        return least, pairs

    def _backward(self, model: LinearMDP, fixed: Ints) -> tuple[Floats, Ints]:
        """Robust backward induction with some choices fixed; values and pairs of step 0."""
        V, chosen = np.zeros(self.S), fixed.copy()
        for h in reversed(range(self.H)):
            w = true_worst(model, self.robustness, h, V)
            q = model.reward[h] + model.features.phi @ w
            for s in range(self.S):
                if fixed[h, s] < 0:
                    pairs = slice(self.ptr[s], self.ptr[s + 1])
                    chosen[h, s] = self.ptr[s] + int(np.argmax(q[pairs]))
            V = q[chosen[h]]
        return V, chosen

    def _branch(self, fixed: Ints, greedy_pairs: Ints) -> tuple[int, int] | None:
        """Return the first free choice, early steps first, at states with several pairs.

        Only states that some model reaches under the choices so far come into question, unless
        the adversary may go anywhere.
        """
        several = np.diff(self.ptr) > 1
        reach = self.law > 0
        for h in range(self.H):
            free = np.flatnonzero(reach & several & (fixed[h] < 0))
            if free.size:
                return h, int(free[0])
            if self.robustness.divergence == "tv":
                reach = np.ones(self.S, dtype=bool)
                continue
            after = np.zeros(self.S, dtype=bool)
            for model in self.models:
                phi = model.features.phi[greedy_pairs[h][reach]]
                after |= (phi @ (model.mu[h] > 0)).any(axis=0)
            reach = after
        return None


def _linear(model: LinearMDP | TabularMDP) -> LinearMDP:
    from mdplib.linear import LinearMDP

    return LinearMDP.from_tabular(model) if isinstance(model, TabularMDP) else model


def _check(models: Sequence[LinearMDP]) -> None:
    """Raise unless the models share their states, pairs and horizon."""
    if not models:
        raise InvalidModelError("the list of models is empty")
    first = models[0]
    for n, model in enumerate(models):
        if model.horizon != first.horizon or not np.array_equal(
            model.features.state_ptr, first.features.state_ptr
        ):
            raise InvalidModelError(
                f"model {n} has {model.n_pairs} pairs and horizon {model.horizon}; it must have "
                f"the states, pairs and horizon of model 0 ({first.n_pairs}, {first.horizon})"
            )
