r"""Robust planning on a known model with a finite horizon.

Problem       Finite horizon; the law of every factor (d-rectangular linear model) or pair
              ((s,a)-rectangular tabular model) is chosen by an adversary near the nominal one,
              at a price or within a ball. Find V_h, the maximum of Q_h over the pairs of each
              state (for a given policy its average), where

                  w_{h,i} = inf_q E_q V_{h+1} + strength_{h,i} D(q || mu_{h,i}),              (1)
                  Q_h = r_h + phi w_h    (tabular: r_h + gamma w_h).                          (2)

Algorithm     Backward induction; each inner problem is solved to rounding by `mdplib.robust`.
Guarantee     (1) is monotone and moves with constants: if V <= W + e then w(V) <= w(W) + e, (3)
              which carries bounds from step to step. The dual and primal bounds of (1) and
              every rounding are counted. The policy returned attains the lower bound.
Cost          One inner problem per factor or pair and step: O(H d S) or O(H nnz).
Deviations    None.
References    Iyengar (2005); Nilim and El Ghaoui (2005); Liu and Xu (2024); Tang et al. (2025).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdplib import _kernels, operators
from mdplib.errors import InvalidModelError, NotApplicableError
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy
from mdplib.robust import Robustness, warn_without_effect
from mdplib.robust_rows import Rows, solve_rows
from mdplib.solution import Provenance, Stats, Status
from mdplib.tabular import TabularMDP
from solvers.robust.solution import RobustSolution, tabular_rows, tabular_strengths

if TYPE_CHECKING:
    from mdplib.linear import LinearMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
_UNIT = 2.0**-53


class _Tabular:
    """Every pair is a factor of its own."""

    def __init__(self, mdp: TabularMDP, robustness: Robustness):
        if mdp.horizon is None:
            raise NotApplicableError(
                "robust_planning needs a finite horizon; use robust_value_iteration or set "
                "horizon=H"
            )
        self.mdp, self.H = mdp, mdp.horizon
        self.terminal = np.asarray(mdp.terminal)
        self.strengths = tabular_strengths(mdp, robustness)
        self.action_id, self.initial = mdp.action_id, mdp.initial

    def rows(self, h: int) -> Rows:
        return tabular_rows(self.mdp, h)[0]

    def strength(self, h: int) -> Floats:
        return self.strengths[h]

    def state_ptr(self, h: int) -> Ints:
        return self.mdp.layer(h).state_ptr

    def weights(self, policy: Policy, h: int) -> Floats:
        ptr = self.state_ptr(h)
        return operators.policy_at(self.mdp, policy, h).weights(self.mdp, h)[ptr[0] : ptr[-1]]

    def q(self, h: int, w: Floats) -> tuple[Floats, Floats]:
        """Return (2) and a bound on its rounding error."""
        ptr, gamma = self.state_ptr(h), self.mdp.gamma
        reward = self.mdp.layer(h).reward[ptr[0] : ptr[-1]]
        size = np.abs(reward) + gamma * np.abs(w)
        return reward + gamma * w, 4 * _UNIT * size  # (2)


class _Linear:
    """The factors are the laws that the features mix."""

    def __init__(self, mdp: LinearMDP, robustness: Robustness):
        self.mdp, self.H = mdp, mdp.horizon
        S = mdp.features.n_states
        self.terminal = np.zeros(S)
        self.table = robustness.table(self.H, mdp.features.dimension)
        self.action_id, self.initial = mdp.features.action_id, mdp.initial

    def rows(self, h: int) -> Rows:
        return Rows.dense(np.ascontiguousarray(self.mdp.mu[h]))

    def strength(self, h: int) -> Floats:
        return np.ascontiguousarray(self.table[h])

    def state_ptr(self, h: int) -> Ints:
        return self.mdp.features.state_ptr

    def weights(self, policy: Policy, h: int) -> Floats:
        return self.mdp.features.weights(policy, h)

    def q(self, h: int, w: Floats) -> tuple[Floats, Floats]:
        """Return (2) and a bound on its rounding error."""
        phi, reward = self.mdp.features.phi, self.mdp.reward[h]
        size = np.abs(reward) + phi @ np.abs(w)
        return reward + phi @ w, 1.01 * (phi.shape[1] + 4) * _UNIT * size  # (2)


def robust_planning(
    mdp: LinearMDP | TabularMDP,
    robustness: Robustness,
    *,
    policy: Policy | None = None,
    tol: float = 1e-6,
) -> RobustSolution:
    """Find the robust value, and the policy that attains it, by backward induction.

    Parameters
    ----------
    mdp : LinearMDP or TabularMDP
        Nominal model with a finite horizon. Adversaries in total variation may move mass to
        any state.
    robustness : Robustness
        Divergence, mode and strengths: per step and factor for a `LinearMDP`, per step and
        pair for a `TabularMDP` (per step alone where steps have different numbers of pairs).
    policy : Policy, optional
        Evaluate this policy instead of optimising.
    tol : float
        Wanted bound on ``max(upper - lower)``, in units of reward.

    Returns
    -------
    RobustSolution
        Values of shape (H+1, S). The gap is due to rounding alone.

    Raises
    ------
    NotApplicableError
        If the horizon is infinite.
    InvalidModelError
        If the strengths do not fit the model, or the policy does not.

    Warns
    -----
    NoEffectWarning
        If KL or chi-square robustness is asked for where a nominal law is deterministic.

    Examples
    --------
    >>> P = [[[0.0, 0.9, 0.1]], [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]]
    >>> mdp = TabularMDP.from_dense(P, [[0.0], [1.0], [0.0]], gamma=1.0, horizon=2)
    >>> robust_planning(mdp, Robustness("tv", 0.25, "ball")).value[0].round(9)
    array([0.65, 1.75, 0.  ])
    """
    wall, cpu = time.perf_counter(), time.process_time()
    tabular = isinstance(mdp, TabularMDP)
    problem = _Tabular(mdp, robustness) if tabular else _Linear(mdp, robustness)
    steps = [(problem.rows(h), problem.strength(h)) for h in range(problem.H)]
    warn_without_effect(robustness, steps)
    H, S = problem.H, problem.terminal.size
    lower, upper = np.empty((H + 1, S)), np.empty((H + 1, S))
    lower[H] = upper[H] = problem.terminal
    chosen: list[DeterministicPolicy] = []
    for h in range(H - 1, -1, -1):
        low, high = _bounds_on_q(problem, robustness, h, lower[h + 1], upper[h + 1])
        ptr = problem.state_ptr(h)
        if policy is None:
            pair = np.empty(S, dtype=np.int32)
            _kernels.bellman.best_of(ptr, low, np.zeros(S), 0, S, lower[h], pair)
            upper[h] = np.maximum.reduceat(high, ptr[:-1] - ptr[0])
            chosen.append(DeterministicPolicy(pair, problem.action_id[pair]))
        else:
            lower[h], upper[h] = average(ptr, problem.weights(policy, h), low, high)
    gap = float(np.max(upper - lower))
    return RobustSolution(
        _read_only(np.clip(0.5 * (lower + upper), lower, upper)),
        _read_only(lower),
        _read_only(upper),
        MarkovPolicy(tuple(reversed(chosen))) if policy is None else policy,
        Status.OPTIMAL if gap <= tol else Status.ROUNDING_LIMIT,
        Stats(H, time.perf_counter() - wall, time.process_time() - cpu, ((H, gap),)),
        Provenance("robust_planning", {"tol": tol}, mdp.fingerprint),
        initial_law=problem.initial,
        mdp=mdp,
        robustness=robustness,
    )


def _bounds_on_q(
    problem: _Tabular | _Linear, robustness: Robustness, h: int, lower: Floats, upper: Floats
) -> tuple[Floats, Floats]:
    """Return proven bounds on Q_h from bounds on V_{h+1}."""
    after = np.clip(0.5 * (lower + upper), lower, upper)
    below = float(np.min(lower - after)) * (1 + 2 * _UNIT)
    above = float(np.max(upper - after)) * (1 + 2 * _UNIT)
    found = solve_rows(
        robustness.divergence, robustness.mode, problem.strength(h), problem.rows(h), after
    )  # (1)
    if not (np.isfinite(found.lower).all() and np.isfinite(found.upper).all()):
        raise InvalidModelError("values overflow double precision; scale the rewards down")
    low, high = found.lower + below, found.upper + above  # (3)
    low, error = problem.q(h, low - 2 * _UNIT * np.abs(low))
    high, more = problem.q(h, high + 2 * _UNIT * np.abs(high))
    return low - error - 2 * _UNIT * np.abs(low), high + more + 2 * _UNIT * np.abs(high)


def average(ptr: Ints, weight: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Average bounds on Q over a policy's choices in each state, the rounding counted."""
    starts = ptr[:-1] - ptr[0]
    most = int(np.diff(ptr).max()) + 2
    size = np.add.reduceat(weight * np.maximum(np.abs(low), np.abs(high)), starts)
    slack = 1.01 * most * _UNIT * size
    lower, upper = (np.add.reduceat(weight * q, starts) for q in (low, high))
    return lower - slack, upper + slack


def _read_only(array: Floats) -> Floats:
    array.flags.writeable = False
    return array
