"""The same problems and data in the forms of the library and of the plain oracle."""

from __future__ import annotations

import numpy as np

from bounds.case import Case
from bounds.linear_learners import Learned
from bounds.linear_problem import Problem
from bounds.robust_inner import Ambiguity
from mdplib.linear import LinearMDP
from mdplib.linear_offline import LinearData
from mdplib.robust import Robustness
from solvers.robust.result import PessimisticSolution


def linear_model(problem: Problem) -> LinearMDP:
    initial = np.eye(problem.phi.shape[0])[problem.start]
    return LinearMDP.from_dense(problem.phi, problem.theta, problem.mu, initial=initial)


def linear_data(problem: Problem, counts: np.ndarray) -> LinearData:
    """Trajectories whose steps are shuffled: no learner looks across steps.

    Steps with fewer data are filled with trajectories that are over.
    """
    model = linear_model(problem)
    H, S, A, _ = problem.shape
    pair = np.repeat(np.arange(S * A), S)
    after = np.tile(np.arange(S), S * A)
    rows = np.full((2, H, int(counts.sum(axis=(1, 2, 3)).max())), -1, dtype=np.int32)
    for h in range(H):
        times = counts[h].ravel()
        rows[0, h, : times.sum()] = np.repeat(pair, times)
        rows[1, h, : times.sum()] = np.repeat(after, times)
    return LinearData(model.features, model.reward, rows[0], rows[1])


def robustness(ambiguity: Ambiguity) -> Robustness:
    return Robustness(ambiguity.divergence, ambiguity.strength, ambiguity.mode)


def learned_case(case: Case, found: PessimisticSolution) -> Case:
    """The case with a solver's output in place of the plain learner's."""
    problem: Problem = case["problem"]
    H, S, A, _ = problem.shape
    beta = float(found.beta[0])
    unit = np.stack([found.bonus(h).reshape(S, A) for h in range(H)]) / beta
    steps = [step.action for step in found.policy.steps]  # pyright: ignore
    policy = np.array(steps, dtype=np.int64)
    learned = Learned(np.array(found.V), policy, np.array(found.w), np.array(found.sigma), unit)
    return case.with_values({"learned": learned, "beta": beta})
