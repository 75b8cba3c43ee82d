r"""What theory says about one run of an offline learner on a known model.

Problem
-------
A learner returned pessimistic values, widths, a multiplier and a policy. The model that produced
its data is known. Were its errors covered, what does that guarantee, and how much of it is lost?

Algorithm
---------
With R the worst mean of the adversary, r + phi R(Vhat_{h+1}) the exact backup of the learner's own
values, and Gamma its bonus,

    covered    -2 Gamma <= Qhat - (r + phi R(Vhat_{h+1})) <= 0 for every step and pair,       (1)
    beta_emp   max |R(mu_hi, Vhat_{h+1}) - w_hi| / sigma_hi,                                 (2)
    certificate  2 sum_h E[Gamma_h] under pi* and the worst kernel for Vhat,                 (3)
    theory     2 beta Phi with the multiplier of theory,                                    (4)

by backward induction; Phi is the largest sum of widths over the admissible kernels.

Guarantee
---------
If (1), then Vhat <= V^pihat and the loss of the policy is at most (3); with the sum of widths as
bonus, beta >= beta_emp implies (1) for rewards in [0, 1]. (4) bounds the loss with probability
1 - delta under the hypotheses of theorem 5.2: ridge 1, rewards in [0, 1], one lambda.

Cost
----
Backward inductions with exact inner problems of `mdplib.robust`.

Deviations
----------
(1) asks for what the proof uses, so it applies to every bonus and clip and to regressed rewards;
(2) is about estimates of worst means alone and is nan for learners that regress the reward. With
several lambdas (4) uses the largest multiplier; for balls and without robustness, whose constants
are not published, it is nan.

References
----------
tang2025, theorem 5.2 and its proof.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bounds.linear_certificates import theory_radius
from mdplib.coverage import admissible_balls, bonus_sum, worst_sum
from mdplib.errors import InvalidModelError
from mdplib.features import best_pairs
from mdplib.linear import LinearMDP
from mdplib.linear_offline import LinearData
from mdplib.policy import DeterministicPolicy, MarkovPolicy
from mdplib.robust import RobustDual, Robustness

Floats = NDArray[np.float64]
ROUNDING = 1e-9


class Pessimistic(Protocol):
    """What a learner must offer: see `solvers.robust.PessimisticSolution`."""

    @property
    def V(self) -> Floats:
        """Pessimistic values, (H + 1, S)."""
        ...

    @property
    def w(self) -> Floats:
        """Estimated worst means, (H, d)."""
        ...

    @property
    def sigma(self) -> Floats:
        """Widths, (H, d)."""
        ...

    @property
    def beta(self) -> Floats:
        """Multipliers, (H,)."""
        ...

    @property
    def reward(self) -> Floats:
        """Rewards that were given, (H, K); zero where they were regressed."""
        ...

    @property
    def policy(self) -> MarkovPolicy:
        """Greedy policy."""
        ...

    def bonus(self, h: int) -> Floats:
        """Return what was subtracted at step h, (K,)."""
        ...

    def q(self, h: int) -> Floats:
        """Return the clipped estimates at step h, (K,)."""
        ...


@dataclass(frozen=True)
class OfflineReport:
    """What theory says about one run; values are means over the law of the first state.

    Attributes
    ----------
    n : int
        Number of trajectories.
    beta : float
        Largest multiplier the learner ran with.
    beta_emp : float
        Multiplier that its estimates needed, (2).
    covered : bool
        Whether its errors were covered, (1).
    pessimistic : bool
        Whether its values are below those of its policy, at every step and state.
    value : float
        Estimated value.
    policy_value, optimal_value : float
        Robust values of its policy and of the best one.
    suboptimality, value_gap : float
        Optimal value minus that of the policy, and minus the estimate.
    certificate : float
        Guaranteed bound on the suboptimality if `covered`, (3).
    phi_sum : float
        Phi, for a multiplier of one.
    phi_bound : float
        2 beta Phi with the learner's multiplier; at least the certificate.
    theory_beta, theory_bound : float
        Multiplier of theory and the bound (4); nan where theory has none.
    trivial : float
        Largest possible return: sum over the steps of the largest reward.
    vacuous_factor : float
        theory_bound / trivial: 1 and more says nothing.
    certificate_factor : float
        certificate / trivial.
    """

    n: int
    beta: float
    beta_emp: float
    covered: bool
    pessimistic: bool
    value: float
    policy_value: float
    optimal_value: float
    suboptimality: float
    value_gap: float
    certificate: float
    phi_sum: float
    phi_bound: float
    theory_beta: float
    theory_bound: float
    trivial: float
    vacuous_factor: float
    certificate_factor: float

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes by name.

        Returns
        -------
        dict
            Plain numbers.
        """
        return asdict(self)


def offline_report(
    model: LinearMDP,
    data: LinearData,
    learned: Pessimistic,
    robustness: Robustness | None,
    *,
    delta: float = 0.05,
    initial: ArrayLike | None = None,
) -> OfflineReport:
    """Hold one run of a learner against theory.

    Parameters
    ----------
    model : LinearMDP
        The nominal model, known.
    data : LinearData
        What the learner saw; only the number of trajectories is used.
    learned : Pessimistic
        What it returned, such as `solvers.robust.PessimisticSolution`.
    robustness : Robustness or None
        The adversary of the learner; None for none.
    delta : float
        Failure probability of the bound of theory.
    initial : (S,) array, optional
        Law of the first state; that of the model by default.

    Returns
    -------
    OfflineReport
        Numbers only.

    Raises
    ------
    InvalidModelError
        If there is no law of the first state, or it is not a distribution over the states.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from mdplib import models
    >>> model = models.five_state()
    >>> data = LinearData.collect(model, model.uniform, 100, np.random.default_rng(0))
    >>> ignorant = SimpleNamespace(
    ...     V=np.zeros((4, 5)), w=np.zeros((3, 4)), sigma=np.ones((3, 4)), beta=np.full(3, 2.0),
    ...     reward=model.reward, policy=model.optimal()[1],
    ...     bonus=lambda h: np.full(80, 2.0), q=lambda h: np.zeros(80))
    >>> report = offline_report(model, data, ignorant, Robustness("tv", 1.0))
    >>> report.covered, report.beta_emp, report.certificate, report.vacuous_factor > 1
    (True, 0.0, 12.0, True)
    """
    adversary = Robustness("tv", np.inf) if robustness is None else robustness
    start = _first(model, initial)
    V, best = _plan(model, adversary, None)
    own, _ = _plan(model, adversary, learned.policy)
    means = np.stack([_means(model, adversary, h, learned.V[h + 1]) for h in _steps(model)])
    bonus = np.stack([learned.bonus(h) for h in _steps(model)])
    total = start @ _certificate(model, adversary, learned.V, best, bonus)
    balls = admissible_balls(model, adversary, V) if adversary.mode == "penalty" else adversary
    phi_sum = float(start @ bonus_sum(model, best, learned.sigma, balls).value[0])
    phi_bound = float(start @ worst_sum(model, best, 2.0 * bonus, balls).value[0])
    beta = _theory_beta(model, robustness, data.n_trajectories, delta)
    trivial = float(np.maximum(model.reward.max(axis=1), 0.0).sum())
    value, policy_value = float(start @ learned.V[0]), float(start @ own[0])
    optimal = float(start @ V[0])
    return OfflineReport(
        n=data.n_trajectories,
        beta=float(np.max(learned.beta)),
        beta_emp=_needed(model, learned, means),
        covered=_covered(model, learned, means, bonus),
        pessimistic=bool((own + _slack(own) >= learned.V).all()),
        value=value,
        policy_value=policy_value,
        optimal_value=optimal,
        suboptimality=optimal - policy_value,
        value_gap=optimal - value,
        certificate=float(total),
        phi_sum=phi_sum,
        phi_bound=phi_bound,
        theory_beta=beta,
        theory_bound=2.0 * beta * phi_sum,  # (4)
        trivial=trivial,
        vacuous_factor=2.0 * beta * phi_sum / trivial if trivial > 0 else float("nan"),
        certificate_factor=float(total) / trivial if trivial > 0 else float("nan"),
    )


def _steps(model: LinearMDP) -> range:
    return range(model.horizon)


def _slack(values: Floats) -> float:
    return ROUNDING * max(1.0, float(np.abs(values).max()))


def _first(model: LinearMDP, initial: ArrayLike | None) -> Floats:
    law = model.initial if initial is None else np.asarray(initial, dtype=np.float64)
    if law is None:
        raise InvalidModelError("the model has no law of the first state: pass `initial`.")
    if law.shape != (model.n_states,) or abs(law.sum() - 1.0) > 1e-9 or (law < 0).any():
        raise InvalidModelError(
            f"initial has shape {law.shape} and sum {law.sum():.6g}: need a distribution over "
            f"{model.n_states} states."
        )
    return law


def _strengths(model: LinearMDP, adversary: Robustness, h: int) -> list[tuple[Any, RobustDual]]:
    """Return the factors of step h by strength, with their inner problem."""
    row = adversary.table(model.horizon, model.dimension)[h]
    found = []
    for strength in np.unique(row):
        dual = RobustDual(adversary.divergence, adversary.mode, float(strength))
        found.append((np.flatnonzero(row == strength), dual))
    return found


def _means(model: LinearMDP, adversary: Robustness, h: int, V: Floats) -> Floats:
    """Return the worst means of V at step h, (d,)."""
    means = np.empty(model.dimension)
    for rows, dual in _strengths(model, adversary, h):
        means[rows] = dual.value(model.mu[h, rows], V)
    return means


def _plan(
    model: LinearMDP, adversary: Robustness, policy: MarkovPolicy | None
) -> tuple[Floats, MarkovPolicy]:
    """Return robust values and the policy they belong to: the best one if None is given."""
    ptr, phi = model.features.state_ptr, model.features.phi
    V, steps = np.zeros((model.horizon + 1, model.n_states)), []
    for h in reversed(_steps(model)):
        Q = model.reward[h] + phi @ _means(model, adversary, h, V[h + 1])
        if policy is None:
            pair = best_pairs(ptr, Q)
            V[h] = Q[pair]
            steps.append(DeterministicPolicy(pair, model.features.action_id[pair]))
        else:
            V[h] = np.add.reduceat(model.features.weights(policy, h) * Q, ptr[:-1])
    return V, MarkovPolicy(tuple(reversed(steps))) if policy is None else policy


def _certificate(
    model: LinearMDP, adversary: Robustness, V: Floats, policy: MarkovPolicy, bonus: Floats
) -> Floats:
    """Return the certificate by first state, (S,)."""
    total, starts = np.zeros(model.n_states), model.features.state_ptr[:-1]
    for h in reversed(_steps(model)):
        ahead = np.empty(model.dimension)
        for rows, dual in _strengths(model, adversary, h):
            ahead[rows] = dual.minimiser(model.mu[h, rows], V[h + 1]) @ total
        pairs = 2.0 * bonus[h] + model.features.phi @ ahead  # (3)
        total = np.add.reduceat(model.features.weights(policy, h) * pairs, starts)
    return total


def _needed(model: LinearMDP, learned: Pessimistic, means: Floats) -> float:
    if not np.allclose(learned.reward, model.reward):
        return float("nan")
    return float((np.abs(means - learned.w) / learned.sigma).max())  # (2)


def _covered(model: LinearMDP, learned: Pessimistic, means: Floats, bonus: Floats) -> bool:
    exact = model.reward + means @ model.features.phi.T
    off = np.stack([learned.q(h) for h in _steps(model)]) - exact
    slack = _slack(exact)
    return bool((off <= slack).all() and (off >= -2.0 * bonus - slack).all())  # (1)


def _theory_beta(model: LinearMDP, robustness: Robustness | None, n: int, delta: float) -> float:
    if robustness is None or robustness.mode != "penalty":
        return float("nan")
    table = robustness.table(model.horizon, model.dimension)
    found = [
        theory_radius(
            robustness.divergence,
            horizon=model.horizon,
            dimension=model.dimension,
            n=n,
            delta=delta,
            strength=float(strength),
        )
        for strength in np.unique(table[np.isfinite(table)])
    ]
    return max(found, default=float("nan"))
