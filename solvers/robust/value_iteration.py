r"""Robust value iteration for discounted models, with certified stopping.

Problem       Infinite horizon, gamma < 1; the law of every pair is chosen by an adversary near
              the nominal one, anew at every visit. Find V* = T V*,

                  (T V)(s) = max_k r_k + gamma inf_q E_q V + strength_k D(q || P_k),          (1)

              the infimum over a ball for mode "ball" (no price then), or for a given policy
              the fixed point of its average. A price is discounted like the value it lowers.
Algorithm     One sweep of (1), of which dual and primal points prove L <= T V <= U. Since the
              infimum is monotone and moves with constants, with c = min(L - V)

                  V* >= L + gamma c / (1 - gamma),                                            (2)

              and above likewise with U. The next vector is the middle of these bounds, after
              `sweeps` further sweeps of the policy that attained the maximum.                (3)
Guarantee     The bounds hold whatever rounding did; the policy returned attains the lower one.
Cost          One inner problem per pair and sweep, one per state and sweep of a policy. TV and
              KL penalties with one price for all pairs cost one product with the kernel.
Deviations    Published stopping rules bound the increment; here the width of the bracket is
              proven. Sweeps of the policy: modified policy iteration with a robust evaluation.
References    Iyengar (2005); Nilim and El Ghaoui (2005); Kaufman and Schaefer (2013);
              MacQueen (1966); Porteus (1971).
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import _kernels, operators
from mdplib.certificates import Bracket
from mdplib.divergences import Divergence
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.policy import DeterministicPolicy, Policy
from mdplib.robust import Robustness, warn_without_effect
from mdplib.robust_rows import Mode, Rows, bounds_by_product, has_product, solve_rows
from mdplib.solution import Status
from mdplib.tabular import TabularMDP
from solvers.robust.planning import average
from solvers.robust.solution import RobustSolution
from solvers.tabular.run import Progress, Run, start

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
_UNIT = 2.0**-53
_SAFE = 16 * _UNIT
_STALLED = 50  # sweeps without a narrower bracket after which rounding is blamed


def robust_value_iteration(
    mdp: TabularMDP,
    robustness: Robustness,
    *,
    policy: Policy | None = None,
    sweeps: int = 10,
    tol: float = 1e-6,
    max_iterations: int = 1_000_000,
    time_limit: float | None = None,
    V0: ArrayLike | None = None,
    progress: Progress | None = None,
) -> RobustSolution:
    """Solve a discounted model whose laws are chosen by an adversary.

    Parameters
    ----------
    mdp : TabularMDP
        Nominal model with an infinite horizon.
    robustness : Robustness
        Divergence, mode, and a strength for all pairs or one per pair, (K,).
    policy : Policy, optional
        Evaluate this stationary policy instead of optimising.
    sweeps : int
        Sweeps of the policy between two certificates (3).
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.
    max_iterations : int
        Limit on sweeps.
    time_limit : float, optional
        Limit in seconds; the best bracket so far is returned with status TIME_LIMIT.
    V0 : (S,) array, optional
        First vector, zeros by default.
    progress : callable, optional
        Called with (sweeps, gap) after each certificate.

    Returns
    -------
    RobustSolution
        ``stats.iterations`` counts sweeps, those of policies included. Its worst kernel is
        stationary.

    Raises
    ------
    NotApplicableError
        If the horizon is finite.
    InvalidModelError
        If strengths, policy or limits do not fit.

    Warns
    -----
    NoEffectWarning
        If KL or chi-square robustness is asked for where a nominal law is deterministic.

    Examples
    --------
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], gamma=0.5)
    >>> solution = robust_value_iteration(mdp, Robustness("tv", 0.25, "ball"), tol=1e-9)
    >>> solution.status.name, solution.value.round(9)
    ('OPTIMAL', array([1.14285714, 0.        ]))
    """
    if mdp.horizon is not None:
        raise NotApplicableError(
            f"robust_value_iteration needs an infinite horizon and the model has horizon "
            f"{mdp.horizon}; use robust_planning"
        )
    if isinstance(sweeps, bool) or not isinstance(sweeps, (int, np.integer)) or sweeps < 0:
        raise InvalidModelError(f"sweeps is {sweeps!r}; an integer of at least 0 expected")
    operator = _Operator(mdp, robustness, policy)
    warn_without_effect(robustness, [(operator.rows, operator.strength)])
    options = {"sweeps": int(sweeps)}
    run = Run("robust_value_iteration", mdp, tol, time_limit, max_iterations, progress, options)
    V = start(mdp, V0)
    best, status, iterations = _iterate(run, operator, V, int(sweeps))
    found = run.solution(best, status, iterations, guarantees=())
    fields: dict[str, Any] = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
    if policy is not None:
        fields["policy"] = policy
    return RobustSolution(**fields, mdp=mdp, robustness=robustness)


def _iterate(
    run: Run, operator: _Operator, V: Floats | None, sweeps: int
) -> tuple[Bracket, Status, int]:
    """Certify and improve V until the tolerance or a limit is reached."""
    V = np.zeros(run.mdp.n_states) if V is None else V
    best = found = operator.bracket(V)
    iterations, stalled = 1, 0
    while True:
        run.trace.append((iterations, found.gap))
        if run.progress is not None:
            run.progress(iterations, found.gap)
        if best.gap <= run.tol:
            return best, Status.OPTIMAL, iterations
        patience = 2 if run.tol < best.rounding else _STALLED
        if stalled >= patience and best.gap <= 4 * best.rounding:
            return best, Status.ROUNDING_LIMIT, iterations
        if run.expired():
            return best, Status.TIME_LIMIT, iterations
        if iterations >= run.max_iterations:
            return best, Status.ITERATION_LIMIT, iterations
        V = operator.improve(found.midpoint, found.policy, sweeps)  # (3)
        found = operator.bracket(V)
        iterations += sweeps + 1
        stalled = 0 if found.gap < best.gap else stalled + 1
        best = found if found.gap < best.gap else best


class _Operator:
    """The robust operator of a model or policy, and what it remembers between sweeps."""

    def __init__(self, mdp: TabularMDP, robustness: Robustness, policy: Policy | None):
        self.mdp = mdp
        self.divergence: Divergence = robustness.divergence
        self.mode: Mode = robustness.mode
        self.rows, self.reward = Rows(mdp.indptr, mdp.indices, mdp.data), mdp.reward
        self.strength = np.ascontiguousarray(robustness.table(1, mdp.n_pairs)[0])
        self.start = np.zeros((6, mdp.n_pairs))
        self.fixed, self.weight = policy is not None, None
        self._chosen: tuple[Ints, _Operator] | None = None
        if policy is None:
            return
        policy = operators.policy_at(mdp, policy)
        if isinstance(policy, DeterministicPolicy):
            self._restrict(policy.pair)
        else:
            self.weight = policy.weights(mdp)

    def _restrict(self, pair: Ints) -> None:
        """Keep one pair per state."""
        self.rows, self.reward = self.rows.take(pair), self.reward[pair]
        self.strength = self.strength[pair]
        self.start = self.start[:, pair].copy()

    def infimum(self, V: Floats) -> tuple[Floats, Floats]:
        """Bound the infimum in (1) for every row."""
        if has_product(self.divergence, self.mode, self.strength):
            return bounds_by_product(self.divergence, self.strength, self.rows, V)
        found = solve_rows(
            self.divergence, self.mode, self.strength, self.rows, V, start=self.start
        )
        return found.lower, found.upper

    def bracket(self, V: Floats) -> Bracket:
        """Prove bounds on the fixed point from any vector."""
        mdp, gamma = self.mdp, self.mdp.gamma
        low, high = (self.reward + gamma * x for x in self.infimum(V))  # (1)
        size = mdp.max_reward + gamma * float(np.max(np.abs(V)))
        L, U, pair = self._reduce(low, high)
        L, U = L - 4 * _UNIT * size, U + 4 * _UNIT * size
        below, above = (_shift(float(x), gamma) for x in (np.min(L - V), np.max(U - V)))
        last = _SAFE * (abs(below) + abs(above)) + 4 * _UNIT * (size + abs(below) + abs(above))
        lower, upper = L + (below - last), U + (above + last)  # (2)
        if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
            raise InvalidModelError("the bounds overflow double precision; scale the rewards down")
        owed = (float(np.max(U - L)) + 2 * last) / (1 - gamma)
        return Bracket(lower, upper, DeterministicPolicy(pair, mdp.action_id[pair]), owed)

    def _reduce(self, low: Floats, high: Floats) -> tuple[Floats, Floats, Ints]:
        """From rows to states: the maximum and a pair that attains the lower one, or averages."""
        ptr, S = self.mdp.state_ptr, self.mdp.n_states
        if self.weight is not None:
            return *average(ptr, self.weight, low, high), ptr[:-1]
        if low.size == S:
            return low, high, ptr[:-1]
        L, pair = np.empty(S), np.empty(S, dtype=np.int32)
        _kernels.bellman.best_of(ptr, low, np.zeros(S), 0, S, L, pair)
        return L, np.maximum.reduceat(high, ptr[:-1]), pair

    def improve(self, V: Floats, policy: Policy, sweeps: int) -> Floats:
        """Sweep the operator of `policy`, or this one where its policy is fixed."""
        one = self if self.fixed or self.rows.size == V.size else self._of(policy)
        for _ in range(sweeps):
            low, high = one.infimum(V)
            q = one.reward + self.mdp.gamma * (0.5 * low + 0.5 * high)
            V = q if one.weight is None else one._reduce(q, q)[0]
        return V

    def _of(self, policy: Policy) -> _Operator:
        """Return the operator of a greedy policy, kept for as long as the policy stays."""
        assert isinstance(policy, DeterministicPolicy)
        if self._chosen is None or not np.array_equal(self._chosen[0], policy.pair):
            one = copy.copy(self)
            one._restrict(policy.pair)
            self._chosen = policy.pair, one
        return self._chosen[1]


def _shift(extreme: float, gamma: float) -> float:
    """Return what (2) adds."""
    return gamma * (extreme / (1 - gamma))
