r"""Bound, certificate and truth on one random linear model.

Problem       A learner subtracts beta times its uncertainty. Is its estimate below the value of its
              policy, and how far is its policy from optimal, measured and promised?
Algorithm     Plan robustly with the true factors, learn from data, evaluate the policy robustly.
              ``needed = max_{h,i} |R(mu_hi, Vhat_{h+1}) - w_hi| / sigma_hi``                  (1)
              ``certificate = 2 sum_h E Gamma_h`` under pi* and the worst kernel for Vhat      (2)
              ``Phi = sup sum_h E sum_i phi_i sigma_hi`` over the admissible kernels           (3)
              theory: ``2 beta Phi`` with the constants of theorem 5.2                         (4)
Guarantee     If ``needed <= beta``, the estimate is below the policy's value and the
              suboptimality below (2), which is below ``2 beta Phi``: no randomness is left.
Cost          Two robust evaluations and one plan; the coverage constant H d more.
Deviations    None.
References    Tang, Liu and Xu (2025), theorem 5.2 and assumption 5.3.
"""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from experiments.engine.cells import Row, Streams
from experiments.r2pvi.cells import Guarantee
from mdplib import coverage, models
from mdplib.linear import LinearMDP
from mdplib.linear_offline import LinearData
from mdplib.policy import DeterministicPolicy, Policy
from mdplib.robust import NoEffectWarning, RobustDual, Robustness
from solvers.robust import beta as constants
from solvers.robust.planning import robust_planning
from solvers.robust.r2pvi import r2pvi

Floats = NDArray[np.float64]
STATES, ACTIONS, STEPS = 8, 4, 4
BETA, RIDGE, DELTA = 1.0, 1.0, 0.05


def run(cell: Guarantee, streams: Streams) -> Row:
    """Return (1)-(4), the truth they speak of, and the coverage of the behaviour.

    The factor of the fail state is deterministic, where KL and chi-square have no effect.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)
        return _run(cell, streams)


def _run(cell: Guarantee, streams: Streams) -> Row:
    mdp = models.random_simplex_mdp(
        STATES, ACTIONS, cell.d, STEPS, streams.instance, concentration=cell.concentration
    )
    robustness = Robustness(cell.divergence, cell.strength)
    behaviour = coverage.mixed_policy(mdp, mdp.uniform, avoiding(mdp), cell.spread)
    data = LinearData.collect(mdp, behaviour, cell.n, streams.env)
    best = robust_planning(mdp, robustness)
    learnt = r2pvi(data, robustness, beta=BETA, ridge=RIDGE, kl_target="shrink_to_one")
    value = robust_planning(mdp, robustness, policy=learnt.policy).value
    dual = RobustDual(cell.divergence, "penalty", cell.strength)
    after = list(zip(mdp.mu, learnt.V[1:], strict=True))
    truth = np.stack([dual.value(mu, V) for mu, V in after])
    worst = np.stack([dual.minimiser(mu, V) for mu, V in after])
    bonus = np.array([learnt.bonus(h) for h in range(STEPS)])
    promised = mdp.replace(mu=worst, reward=2.0 * bonus, theta=None).evaluate(best.policy)[0]
    balls = coverage.admissible_balls(mdp, robustness, best.value)
    phi = coverage.bonus_sum(mdp, best.policy, learnt.sigma, balls).value[0]
    law = np.asarray(mdp.initial)
    beta = theory(cell)
    return {
        "needed": float((np.abs(truth - learnt.w) / learnt.sigma).max()),  # (1)
        "slack": float((value[0] - learnt.V[0]).min()),
        "gap": float(law @ (best.value[0] - learnt.V[0])),
        "suboptimality": float(law @ (best.value[0] - value[0])),
        "certificate": float(law @ promised),  # (2)
        "margin": float((promised - best.value[0] + value[0]).min()),
        "phi": float(law @ phi),  # (3)
        "theory": 2.0 * beta * float(law @ phi),  # (4)
        "beta_theory": beta,
        "coverage": covered(mdp, learnt.inverse, cell.n, best.policy, balls),
    }


def theory(cell: Guarantee) -> float:
    """Return the multiplier of theorem 5.2 for a cell."""
    size = (cell.n, cell.d, STEPS, DELTA)
    if cell.divergence == "tv":
        return constants.tv_constant(*size)
    one = constants.kl_constant if cell.divergence == "kl" else constants.chi2_constant
    return one(*size, cell.strength)


def avoiding(mdp: LinearMDP) -> DeterministicPolicy:
    """Return the policy that plays the least of the first coordinate in every state."""
    ptr, first = mdp.features.state_ptr, mdp.features.phi[:, 0]
    pair = [a + int(np.argmin(first[a:b])) for a, b in pairwise(ptr)]
    return DeterministicPolicy(np.array(pair, np.int32), mdp.features.action_id[pair])


def covered(mdp: LinearMDP, inverse: Floats, n: int, best: Policy, balls: Robustness) -> float:
    """Return the constant of partial coverage of the data, from the inverse Gram matrices."""
    gram = np.linalg.inv(inverse) - RIDGE * np.eye(mdp.dimension)
    moments = 0.5 * (gram + gram.transpose(0, 2, 1)) / n
    return coverage.partial_coverage(moments, coverage.worst_squares(mdp, best, balls))
