r"""What a dynamical linear bandit pays in the long run, and why a constant arm is enough.

Problem
-------
x_{t+1} = A x_t + B u_t + eps_t, y_t = <omega, x_t> + <theta, u_t> + eta_t with a hidden state: how
much does a sequence of arms earn, and which sequence earns most?

Algorithm
---------
With g = (I - A)^{-T} omega and h = theta + B^T g, (I - A) x_t = x_t - x_{t+1} + B u_t + eps_t gives

    y_t - <h, u_t> = eta_t + g^T eps_t + g^T (x_t - x_{t+1}).                               (1)

Summed and averaged over the noise,

    T J* - E sum y_t = E sum (J* - <h, u_t>) + g^T (E x_{T+1} - x_1).                       (2)

Rewards are linear in the arms, so the best of all policies, the adaptive ones included, plays at
round t the arm that maximises <c_t, u>, c_t = theta + sum_{k < T - t} B^T (A^T)^k omega, and earns

    W_T = sum_{k < T} omega^T A^k x_1 + sum_t max_u <c_t, u>.                               (3)

Guarantee
---------
With ||A^k|| <= Phi rho^k, states without noise obey

    ||x_t|| <= Phi (rho^{t-1} ||x_1|| + (1 - rho^{t-1}) B U / (1 - rho)) <= X
    for X = Phi max(||x_1||, B U / (1 - rho)),                                              (4)

the long-run worth of an arm obeys

    ||h|| <= Theta + Omega B Phi / (1 - rho),                                               (5)

and the best constant arm is optimal up to a constant that does not grow with T:

    |W_T - T J*| <= 2 G X,    G = Omega Phi / (1 - rho).                                    (6)

Proof of (6): by (2), W_T - T J* is at most g^T x_1 - g^T E x_{T+1}, and the best constant arm alone
earns T J* + g^T (x_1 - E x_{T+1}).

Cost
----
One pass over the rounds.

Deviations
----------
(1), (2), (4) and (6) are derived here; the paper states that a constant arm is optimal in the long
run, which is (6) divided by T. For finite T no constant arm need be optimal: the last arms can look
at theta alone. (4) is a maximum where a sum would do.

References
----------
mussi2023, theorem 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bounds.case import Case
from bounds.dynamical_bandits import Array, Constants, System, expected_rewards
from bounds.mussi2023_setting import (
    GROWTH,
    NORMS,
    ROUNDS,
    SLACK,
    STABLE,
    broken_of,
    case_of,
    draw_system,
    rested,
    scalar_system,
)
from bounds.random_models import FEW
from bounds.theorem import Entry, Hypothesis, Scale, Theorem

START = Hypothesis(
    "start",
    "X >= Phi max(||x_1||, B U / (1 - rho))",
    lambda case: bool(_state_bound(case["constants"], rested(case)) <= case["constants"].X * SLACK),
)


def _state_bound(c: Constants, start: Array) -> float:
    return c.Phi * max(float(np.linalg.norm(start)), c.B * c.U / (1.0 - c.rho))  # (4)


def best_total(system: System, rounds: int, start: Array) -> float:
    """Return W_T: what the best of all policies earns in expectation.

    Parameters
    ----------
    system : System
        The system.
    rounds : int
        T.
    start : (n,) ndarray
        First state.

    Returns
    -------
    float
        The expected sum of rewards.

    Examples
    --------
    >>> from bounds.mussi2023_setting import scalar_system
    >>> best_total(scalar_system(0.5, b=1.0, theta=-1.5), 2, np.zeros(1))
    2.0
    """
    c, adjoint, state = system.theta.copy(), system.omega.copy(), 0.0
    total = 0.0
    for _ in range(rounds):  # from the last round to the first
        total += float((system.arms @ c).max())
        state += float(adjoint @ start)
        c += system.B.T @ adjoint
        adjoint = system.A.T @ adjoint
    return total + state  # (3)


def _path(case: Case) -> tuple[Array, Array]:
    """Return arms (T, d) and noise (T, n + 1) of a case, drawn from its seed."""
    rng = np.random.default_rng(case["seed"])
    system, T = case["system"], case["rounds"]
    played = system.arms[rng.integers(0, len(system.arms), T)]
    return played, rng.normal(size=(T, system.n + 1)) * system.sigma


def _one_path(case: Case, worth: Array | None = None) -> tuple[Array, Array]:
    """Return both sides of (1) along one noisy path, shape (T,) each; g may be overruled."""
    system, (u, noise) = case["system"], _path(case)
    g = system.g if worth is None else worth
    x, lhs, rhs = rested(case), np.empty(len(u)), np.empty(len(u))
    for t, arm in enumerate(u):
        after = system.A @ x + system.B @ arm + noise[t, 1:]
        y = system.omega @ x + system.theta @ arm + noise[t, 0]
        lhs[t] = y - system.h @ arm
        rhs[t] = noise[t, 0] + g @ noise[t, 1:] + g @ (x - after)  # (1)
        x = after
    return lhs, rhs


def _regret(case: Case) -> float:
    system, (u, _) = case["system"], _path(case)
    y, _ = expected_rewards(system, u, rested(case))
    return float(len(u) * system.J.max() - y.sum())


def _by_gaps(case: Case, *, boundary: bool = True) -> float:
    system, (u, _) = case["system"], _path(case)
    _, last = expected_rewards(system, u, rested(case))
    edge = float(system.g @ (last - rested(case)))
    return float((system.J.max() - u @ system.h).sum()) + edge * boundary  # (2)


def _path_case(system: System, rounds: int, label: str, seed: int, start: Any = None) -> Case:
    start = np.zeros(system.n) if start is None else start
    return case_of(system, rounds, label, extra={"seed": seed, "start": start})


def _paths(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(8 * FEW[scale]):
        n, d = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        system = draw_system(rng, n, d, sigma=0.3, rho=float(rng.uniform(0.1, 0.95)))
        seed = int(rng.integers(0, 2**31))
        yield _path_case(system, 200, f"random {i}", seed, rng.normal(size=n))


def _tight_path() -> Case:
    return _path_case(scalar_system(0.9, sigma=0.1), 100, "scalar, rho = 0.9", 1, np.ones(1))


_reward = Theorem(
    id="mussi2023:poisson_reward",
    statement=r"$y_t - \langle h, u_t\rangle = \eta_t + g' \varepsilon_t + g' (x_t - x_{t+1})$ "
    r"with $g = (I - A')^{-1} \omega$, along every path",
    source="Derived: Poisson equation of the hidden state",
    kind="identity",
    hypotheses=(STABLE, ROUNDS),
    lhs=lambda case: _one_path(case)[0],
    rhs=lambda case: _one_path(case)[1],
)
POISSON_REWARD = Entry(
    theorem=_reward,
    instances=_paths,
    tight=_tight_path,
    tightness=0.999,
    mutant=_reward.mutant(
        statement="omega in the place of g",
        rhs=lambda case: _one_path(case, case["system"].omega)[1],
    ),
    broken=lambda: broken_of(_tight_path(), _reward.hypotheses),
)

_summed = Theorem(
    id="mussi2023:poisson_regret",
    statement=r"$T J^* - \sum_t E y_t = \sum_t (J^* - \langle h, u_t\rangle) "
    r"+ g' (E x_{T+1} - x_1)$",
    source="Derived: the previous identity, summed",
    kind="identity",
    hypotheses=(STABLE, ROUNDS),
    lhs=_regret,
    rhs=_by_gaps,
)
POISSON_REGRET = Entry(
    theorem=_summed,
    instances=_paths,
    tight=_tight_path,
    tightness=0.999,
    mutant=_summed.mutant(
        statement="the regret is the sum of the gaps",
        rhs=lambda case: _by_gaps(case, boundary=False),
    ),
    broken=lambda: broken_of(_tight_path(), _summed.hypotheses),
)


# ---------------------------------------------------------------- constant arms and sizes


def _distance(case: Case) -> float:
    best = best_total(case["system"], case["rounds"], rested(case))
    return abs(best - case["rounds"] * float(case["system"].J.max()))


def _edge(case: Case) -> float:
    return 2.0 * case["constants"].G * case["constants"].X  # (6)


def _started(system: System, rounds: int, label: str, start: Array, seed: int = 0) -> Case:
    case = case_of(system, rounds, label, extra={"start": start, "seed": seed})
    c = case["constants"]
    return case.with_values({"constants": replace(c, X=_state_bound(c, start))})


def _long(rng: np.random.Generator, scale: Scale) -> Iterator[Case]:
    for i in range(8 * FEW[scale]):
        n, d = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        system = draw_system(rng, n, d, sigma=0.0, rho=float(rng.uniform(0.1, 0.95)))
        T = int(10 ** rng.uniform(0, 3))
        seed = int(rng.integers(0, 2**31))
        yield _started(system, T, f"random {i}", rng.normal(size=n), seed)


def _indifferent() -> Case:
    """Return a case where every arm earns nothing in the long run, but the start can be sold."""
    rho = 0.8
    system = scalar_system(rho, b=1.0, theta=-1.0 / (1.0 - rho))
    c = Constants.of(system, rho=rho)
    start = np.array([1.0 / (1.0 - rho)])
    c = replace(c, X=_state_bound(c, start))
    values = {"system": system, "constants": c, "rounds": 200, "start": start, "seed": 0}
    return Case(values, "h = 0, start at the far end")


def _broken_start(case: Case, hypotheses: tuple[Hypothesis, ...]) -> dict[str, Case]:
    smaller = replace(case["constants"], X=0.5 * case["constants"].X)
    return broken_of(case, hypotheses) | {"start": case.with_values({"constants": smaller})}


_constant = Theorem(
    id="mussi2023:constant_policy",
    statement=r"The best of all policies earns $W_T$ with $|W_T - T \max_u \langle h, u\rangle| "
    r"\le 2 G X$: a constant arm is optimal in the long run",
    source="Theorem 2.1; constant derived",
    kind="inequality",
    hypotheses=(STABLE, GROWTH, NORMS, START, ROUNDS),
    lhs=_distance,
    rhs=_edge,
)
CONSTANT_POLICY = Entry(
    theorem=_constant,
    instances=_long,
    tight=_indifferent,
    tightness=0.99,
    mutant=_constant.mutant(
        statement="a constant arm is optimal for finite T",
        rhs=lambda case: 0.0,
    ),
    broken=lambda: _broken_start(_indifferent(), _constant.hypotheses),
)


def _sizes(case: Case) -> Array:
    """Return the norms of the states without noise."""
    system, (u, _) = case["system"], _path(case)
    x, sizes = rested(case), [float(np.linalg.norm(rested(case)))]
    for arm in u:
        x = system.A @ x + system.B @ arm
        sizes.append(float(np.linalg.norm(x)))
    return np.array(sizes)


def _steady() -> Case:
    system = scalar_system(0.8, arms=(1.0,))
    return _started(system, 200, "one arm, from rest", np.zeros(1))


def _steady_known() -> Case:
    case = _steady()
    c = Constants.of(case["system"], rho=0.8)
    return case.with_values({"constants": replace(c, X=_state_bound(c, np.zeros(1)))})


def _shear() -> Case:
    """Return a system whose state grows before it decays."""
    system = System(
        np.array([[0.5, 2.0], [0.0, 0.5]]),
        np.array([[0.0], [0.1]]),
        np.array([1.0, 0.0]),
        np.zeros(1),
        np.array([[1.0]]),
        0.0,
    )
    return _started(system, 60, "shear", np.array([0.0, 1.0]))


_states = Theorem(
    id="mussi2023:state_norm",
    statement=r"$\|x_t\| \le \Phi \max(\|x_1\|, B U / (1 - \rho))$ without noise",
    source="Derived",
    kind="inequality",
    hypotheses=(STABLE, GROWTH, NORMS, ROUNDS),
    lhs=_sizes,
    rhs=lambda case: _state_bound(case["constants"], rested(case)),
)
STATE_NORM = Entry(
    theorem=_states,
    instances=_long,
    tight=_steady_known,
    tightness=0.99,
    mutant=_states.mutant(
        statement="without the growth factor Phi",
        rhs=lambda case: _state_bound(replace(case["constants"], Phi=1.0), rested(case)),
    ),
    broken=lambda: broken_of(_steady_known(), _states.hypotheses),
    witness=_shear,
)

_worth = Theorem(
    id="mussi2023:markov_norm",
    statement=r"$\|h\| \le \Theta + \Omega B \Phi / (1 - \rho)$",
    source="Derived; used in the radius of theorem 3.1",
    kind="inequality",
    hypotheses=(STABLE, GROWTH, NORMS),
    lhs=lambda case: float(np.linalg.norm(case["system"].h)),
    rhs=lambda case: case["constants"].c2,  # (5)
)
MARKOV_NORM = Entry(
    theorem=_worth,
    instances=_long,
    tight=_steady_known,
    tightness=0.99,
    mutant=_worth.mutant(
        statement="the state acts once",
        rhs=lambda case: case["constants"].Theta + case["constants"].Omega * case["constants"].B,
    ),
    broken=lambda: broken_of(_steady_known(), _worth.hypotheses),
)
