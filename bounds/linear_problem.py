"""Small linear Markov decision processes, exact robust planning in them, and data from them.

Everything is a dense array over steps h, states s, actions a and features i, so each line can be
read beside its formula. Data are counts of (h, s, a, s'): the law of the counts of n trajectories
is drawn directly, so n may be astronomical.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bounds.model import Array
from bounds.robust_inner import Ambiguity
from mdplib.errors import InvalidModelError


@dataclass(frozen=True, eq=False)
class Problem:
    """A linear Markov decision process of H steps with known rewards.

    Parameters
    ----------
    phi : (S, A, d) float64
        Features of state-action pairs; meant to be non-negative with sum one.
    theta : (H, d) float64
        Rewards are ``phi @ theta[h]``.
    mu : (H, d, S) float64
        Laws of the factors: the next state of (s, a) has law ``phi[s, a] @ mu[h]``.
    start : int
        Initial state.

    Raises
    ------
    InvalidModelError
        If shapes do not fit, or the initial state does not exist.

    Examples
    --------
    >>> phi = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    >>> mu = np.array([[[1.0, 0.0], [0.25, 0.75]]])
    >>> Problem(phi, np.array([[0.0, 1.0]]), mu).shape
    (1, 2, 2, 2)
    """

    phi: Array
    theta: Array
    mu: Array
    start: int = 0

    def __post_init__(self):
        for name, dimensions in (("phi", 3), ("theta", 2), ("mu", 3)):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.ndim != dimensions:
                raise InvalidModelError(f"{name} has {array.ndim} axes, not {dimensions}.")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        S, _, d = self.phi.shape
        H = self.theta.shape[0]
        if self.theta.shape != (H, d) or self.mu.shape != (H, d, S):
            raise InvalidModelError(
                f"theta has shape {self.theta.shape} and mu {self.mu.shape}: need (H, {d}) and "
                f"(H, {d}, {S}) for features of shape {self.phi.shape}."
            )
        if not 0 <= self.start < S:
            raise InvalidModelError(f"initial state {self.start} is not one of the {S} states.")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """H, S, A, d."""
        return (self.theta.shape[0], *self.phi.shape)

    def reward(self, h: int) -> Array:
        """Return the rewards of step h, (S, A)."""
        return self.phi @ self.theta[h]

    def kernel(self, h: int) -> Array:
        """Return the nominal kernel of step h, (S, A, S)."""
        return self.phi @ self.mu[h]


@dataclass(frozen=True, eq=False)
class Plan:
    """Values and a policy.

    Parameters
    ----------
    V : (H + 1, S) float64
        Values; V[H] = 0.
    policy : (H, S) int64
        Actions.
    """

    V: Array
    policy: Array


def robust_plan(problem: Problem, ambiguity: Ambiguity) -> Plan:
    """Return the optimal robust values and an optimal policy by backward induction.

    Parameters
    ----------
    problem : Problem
        The nominal process.
    ambiguity : Ambiguity
        The adversary.

    Returns
    -------
    Plan
        Values of the nominal process if the strength is infinite (penalty) or zero (ball).
    """
    H, S, _, _ = problem.shape
    V, policy = np.zeros((H + 1, S)), np.zeros((H, S), dtype=np.int64)
    for h in range(H - 1, -1, -1):
        Q = robust_backup(problem, ambiguity, h, V[h + 1])
        policy[h] = Q.argmax(1)
        V[h] = Q.max(1)
    return Plan(V, policy)


def robust_values(problem: Problem, ambiguity: Ambiguity, policy: Array) -> Array:
    """Return the robust values of a policy.

    Parameters
    ----------
    problem : Problem
        The nominal process.
    ambiguity : Ambiguity
        The adversary.
    policy : (H, S) int64
        Actions.

    Returns
    -------
    (H + 1, S) float64
        V[H] = 0.
    """
    H, S, _, _ = problem.shape
    V, states = np.zeros((H + 1, S)), np.arange(S)
    for h in range(H - 1, -1, -1):
        V[h] = robust_backup(problem, ambiguity, h, V[h + 1])[states, policy[h]]
    return V


def robust_backup(problem: Problem, ambiguity: Ambiguity, h: int, V: Array) -> Array:
    """Return phi (theta_h + w_h) with w_h the worst means of V, (S, A)."""
    return problem.phi @ (problem.theta[h] + ambiguity.value(problem.mu[h], V))


def draw_counts(problem: Problem, behaviour: Array, n: int, rng: np.random.Generator) -> Array:
    """Draw n trajectories and return how often each (h, s, a, s') occurs.

    Parameters
    ----------
    problem : Problem
        The nominal process.
    behaviour : (S, A) float64
        Probabilities of the actions.
    n : int
        Number of trajectories.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (H, S, A, S) int64
        Counts; each step sums to n.
    """
    H, S, A, _ = problem.shape
    counts = np.empty((H, S, A, S), dtype=np.int64)
    here = np.zeros(S, dtype=np.int64)
    here[problem.start] = n
    for h in range(H):
        chosen = rng.multinomial(here, behaviour)
        kernel = np.maximum(problem.kernel(h), 0.0)
        counts[h] = rng.multinomial(chosen, kernel / kernel.sum(-1, keepdims=True))
        here = counts[h].sum((0, 1))
    return counts


def random_problem(
    rng: np.random.Generator,
    *,
    n_states: int = 5,
    n_actions: int = 3,
    dimension: int = 3,
    horizon: int = 3,
    fails: bool = False,
) -> Problem:
    """Draw a problem whose features lie in the simplex.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n_states, n_actions, dimension, horizon : int
        S, A, d and H.
    fails : bool
        Whether the last state is absorbing with reward zero; it takes the last feature for itself
        and its kernel.

    Returns
    -------
    Problem
        Rewards in [0, 1]; the initial state is 0.

    Examples
    --------
    >>> problem = random_problem(np.random.default_rng(0), fails=True)
    >>> problem.shape, problem.kernel(0)[-1, 0].round(12).tolist()
    ((3, 5, 3, 3), [0.0, 0.0, 0.0, 0.0, 1.0])
    """
    S, A, d, H = n_states, n_actions, dimension, horizon
    phi = rng.dirichlet(np.full(d, 0.5), (S, A))
    mu = rng.dirichlet(np.full(S, 0.5), (H, d))
    theta = rng.random((H, d))
    if fails:
        phi[-1], mu[:, -1], theta[:, -1] = np.eye(d)[-1], np.eye(S)[-1], 0.0
    return Problem(phi, theta, mu)
