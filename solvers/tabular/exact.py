r"""Policy iteration in rational numbers.

Problem       Discounted or finite-horizon model whose floats are read as rational numbers; find
              V* exactly.
Algorithm     Start from the policy that floating-point policy iteration ends with.
              ``V = (I - gamma P_pi)^{-1} r_pi``, solved over the rationals by
              `mdplib.exact`;                                                       (1)
              ``pi(s) <- argmax_k r_k + gamma P_k V`` where strictly better. Pairs whose value in
              floating point is below V by more than twice its proven error need no exact
              comparison.                                                                  (2)
              A finite horizon needs (2) only, from the last step to the first.
Guarantee     The result solves V = T V exactly. `lower` and `upper` are the floats next to it on
              either side.
Cost          One or two evaluations in general. What is practical depends on the length of the
              numbers: n states with random doubles have values of about 105 n bits. Measured on
              one core: random sparse models of 200, 500, 1000 and 2000 states 0.5, 2, 7 and 40 s, a
              birth-death chain of 1000 states 4 s, all as stored; the chain with probabilities in
              tenths, reading ``simplest``, 0.2 s. Time grows faster than n^2 (n^3 where elimination
              fills up), so a few thousand states are the limit, unless the values are simple.
Deviations    None.
References    Howard (1960); Puterman (1994), section 6.4.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import operators
from mdplib.certificates import Bracket
from mdplib.exact.lifting import TimeExpired
from mdplib.exact.numbers import RationalVector, fraction, need_flint, neighbours
from mdplib.exact.rows import ExactRows
from mdplib.policy import DeterministicPolicy, MarkovPolicy
from mdplib.rational import Reading, read_exactly
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
    reading: Literal["stored", "simplest"] = "stored",
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
        Seconds, also checked within an evaluation; then as for `max_iterations`, with TIME_LIMIT.
    V0 : (S,) array, optional
        Where the floating-point run starts.
    progress : callable, optional
        Called with (evaluations, gap of the floating-point run) before each evaluation.
    reading : {"stored", "simplest"}
        Which rational numbers the floats stand for: themselves, or the simplest that round to
        them (see `mdplib.rational`), as for a model written in decimals or small fractions.

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
    >>> mdp = TabularMDP.from_dense([[[0.5, 0.5]], [[1.0, 0.0]]], [[1.0], [0.0]], gamma=0.9)
    >>> exact_policy_iteration(mdp, reading="simplest").exact
    (Fraction(200, 29), Fraction(180, 29))
    """
    need_flint()
    options = {"reading": reading}
    run = Run("exact", mdp, tol, time_limit, max_iterations, progress, options)
    numbers = read_exactly(mdp, reading)
    run.log.extend(numbers.log)
    if mdp.horizon is not None:
        return _backward(run, numbers)
    rows = ExactRows(mdp.indptr, mdp.indices, numbers)
    rough = policy_iteration(mdp, tol=0.0, max_iterations=1000, time_limit=time_limit, V0=V0)
    assert isinstance(rough.policy, DeterministicPolicy)
    pair = np.array(rough.policy.pair)
    for iteration in range(1, max_iterations + 1):
        if run.expired():
            break
        if progress is not None:
            progress(iteration, rough.gap)
        try:
            V = rows.evaluate(pair.tolist(), expired=run.expired)  # (1)
        except TimeExpired:
            break
        better, greedy = _improve(mdp, rows, pair, V)
        if not better:
            policy = DeterministicPolicy.from_pairs(mdp, greedy)
            return _finish(run, V.fractions(), policy, iteration)
        run.log.append(f"evaluation {iteration}: better actions in {len(better)} states")
        for s, k in better.items():
            pair[s] = k
    status = Status.TIME_LIMIT if run.expired() else Status.ITERATION_LIMIT
    return run.solution(_widened(mdp, rough, reading), status, 0)


def _improve(
    mdp: TabularMDP, rows: ExactRows, pair: NDArray, V: RationalVector
) -> tuple[dict[int, int], NDArray]:
    """Strictly better choices by (2), and the lowest maximising pairs if there are none."""
    near = V.floats()
    owner = mdp.pair_state
    with np.errstate(over="ignore", invalid="ignore"):
        q = (
            operators.q_values(mdp, near)
            if np.isfinite(near).all()
            else np.full(owner.size, np.nan)
        )
        room = 4 * operators.rounding(mdp, near) + 2.0**-50 * (mdp.max_reward + np.abs(near).max())
        close = ~(q < near[owner] - room)  # (2); with overflow every pair is compared
    close[pair] = False
    better, equal = rows.improve(owner, np.flatnonzero(close).tolist(), V, q)
    greedy = pair.copy()
    for s, ties in equal.items():
        greedy[s] = min(pair[s], ties[0])
    return better, greedy


def _widened(mdp: TabularMDP, rough: Solution, reading: str) -> Bracket:
    """Bounds of the floating-point run, for the reading asked for.

    They hold for the stored numbers. Numbers that differ by 2^-53 of themselves move a backup of
    V by at most ``2^-53 (|r| + 3 |V|)``, and the value by that over 1 - gamma.
    """
    lower, upper = rough.lower, rough.upper
    if reading == "simplest":
        size = mdp.max_reward + float(max(np.abs(lower).max(), np.abs(upper).max()))
        room = (1 - mdp.gamma) - abs(mdp.row_sum_bounds[1] - 1) - 2.0**-50
        error = 2.0**-50 * size / room if room > 0 else np.inf
        lower, upper = np.nextafter(lower - error, -np.inf), np.nextafter(upper + error, np.inf)
    return Bracket(lower, upper, rough.policy, 0.0)


# ---------------------------------------------------------------------- finite horizon


def _backward(run: Run, numbers: Reading) -> Solution:
    mdp = run.mdp
    assert mdp.horizon is not None
    assert numbers.terminal is not None
    steps = _Steps(mdp, numbers)
    values = [[_rational(x) for x in numbers.terminal]]
    chosen = []
    for h in range(mdp.horizon - 1, -1, -1):
        pair, best = steps.backup(values[-1], h)  # (2)
        chosen.append(DeterministicPolicy.from_pairs(mdp, pair, h))
        values.append(best)
    policy = MarkovPolicy(tuple(reversed(chosen)))
    exact = [fraction(int(x.p), int(x.q)) for row in reversed(values) for x in row]
    return _finish(run, exact, policy, mdp.horizon)


class _Steps:
    """Backups of a finite horizon; numbers are kept apart, as their denominators grow."""

    def __init__(self, mdp: TabularMDP, numbers: Reading):
        assert numbers.gamma is not None
        assert numbers.reward is not None
        self.mdp = mdp
        self.gamma = _rational(numbers.gamma)
        self.data = [_rational(p) for p in numbers.probability]
        self.reward = [_rational(r) for r in numbers.reward]
        self.indices = mdp.indices.tolist()
        self.indptr = mdp.indptr.tolist()

    def backup(self, V: list[fmpq], h: int) -> tuple[NDArray, list[fmpq]]:
        """Lowest maximising pair of each state at step h, and its value."""
        ptr = self.mdp.layer(h).state_ptr.tolist()
        base = h * self.mdp.n_pairs if self.mdp.reward.ndim == 2 else 0
        chosen = np.empty(self.mdp.n_states, dtype=np.int32)
        best: list[Any] = []
        for s in range(self.mdp.n_states):
            values = [self.q(k, base, V) for k in range(ptr[s], ptr[s + 1])]
            best.append(max(values))
            chosen[s] = ptr[s] + values.index(best[-1])
        return chosen, best

    def q(self, k: int, base: int, V: list[fmpq]) -> fmpq:
        """Value of pair k when V follows: r_k + gamma P_k V."""
        total = sum(
            (self.data[j] * V[self.indices[j]] for j in range(*self.indptr[k : k + 2])),
            start=self.gamma * 0,
        )
        return self.reward[base + k] + self.gamma * total


def _rational(x: Fraction) -> fmpq:
    from flint import fmpq

    return fmpq(x.numerator, x.denominator)


def _finish(run: Run, exact: list[Fraction], policy: Any, iterations: int) -> Solution:
    """Round every value outwards to floats and assemble the solution."""
    shape = (run.mdp.n_states,) if run.mdp.horizon is None else (-1, run.mdp.n_states)
    lower, upper = (x.reshape(shape) for x in neighbours(exact))
    run.trace.append((iterations, 0.0))
    return run.solution(
        Bracket(lower, upper, policy, 0.0),
        Status.OPTIMAL,
        iterations,
        guarantees=("blackwell1962:optimality_equation",),
        exact=tuple(exact),
    )
