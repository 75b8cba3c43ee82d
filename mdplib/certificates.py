r"""From any value vector to proven bounds on the optimal value.

Problem       Given V, find ``lower <= V* <= upper``, true in exact arithmetic for the model as
              stored, whatever rounding did to V, to the backup or to the row sums.
Algorithm     One backup. Let d = T V - V and let every row sum lie in [lo, hi]. For a
              constant c, T(V + c) <= T V + gamma sigma c with sigma = hi if c >= 0 and
              sigma = lo if c < 0. With

                  c = max(d) / (1 - gamma sigma),                                            (1)

              T(V + c) <= V + c, so V* <= V + c by monotonicity, and applying T once more

                  V* <= T V + gamma sigma c.                                                 (2)

              The lower bound mirrors it with min(d), where sigma = lo if c >= 0 and
              sigma = hi if c < 0. With exact row sums these are MacQueen's bounds.
Guarantee     Computed quantities are widened: the backup by ``operators.rounding``, and every
              later operation by more than its own relative error. The greedy policy of V obeys
              the same lower bound, since T_pi V = T V up to the same error; so its value lies
              in the bracket too.
Cost          One sweep.
Deviations    The bounds of MacQueen (1966) and Porteus (1971) assume row sums equal to one and
              exact arithmetic; here both are dropped.
References    MacQueen (1966); Porteus (1971); Puterman (1994), section 6.6.3; Higham (2002).

Finite horizon: with e = max(upper_{h+1} - V_{h+1}), ``upper_h = T_h V_{h+1} + gamma sigma e``,
likewise below, each widened by the rounding of one backup.                                   (3)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import operators
from mdplib.errors import InvalidModelError
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
_SAFE = 16 * operators.UNIT  # more than the relative error of a dozen scalar operations
_ONE = 4 * operators.UNIT  # more than that of the last addition, and of the slack itself


@dataclass(frozen=True, eq=False)
class Bracket:
    """Proven bounds on a value.

    Parameters
    ----------
    lower, upper : (S,) float64, or (H+1, S)
        The bounds.
    policy : Policy
        A policy whose value lies between them.
    rounding : float
        How much of the gap is owed to rounding alone; no further iteration can remove it.
    """

    lower: Floats
    upper: Floats
    policy: Policy
    rounding: float

    @property
    def gap(self) -> float:
        """Largest difference between upper and lower bound."""
        return float(np.max(self.upper - self.lower))

    @property
    def midpoint(self) -> Floats:
        """The middle of the bounds."""
        return np.clip(0.5 * self.lower + 0.5 * self.upper, self.lower, self.upper)


class Shifted(Bracket):
    """Bounds ``TV + below <= V* <= TV + above`` from one backup; the vectors are made on demand.

    So a method that looks at the gap only, sweep after sweep, pays for no vector.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    TV : (S,) float64
        The backup.
    pair : (S,) int32
        A pair of each state that attains it.
    change : tuple of float
        Least and largest entry of the computed ``TV - V``.
    size : float
        Largest magnitude in TV.
    """

    def __init__(
        self, mdp: TabularMDP, TV: Floats, pair: Ints, change: tuple[float, float], size: float
    ):
        swing = max(abs(change[0]), abs(change[1]))  # |V| <= size + swing
        error = operators.rounding_of_size(mdp, size + swing)
        below, above, owed = _shifts(mdp, change, size, error, (1.0, 1.0))
        reach = size + max(abs(below), abs(above))
        if not np.isfinite(2 * reach):
            _finished(TV + below, TV + above, _greedy(mdp, pair), owed)
        self.__dict__.update(
            TV=TV, pair=pair, change=change, below=below, above=above, rounding=owed, _mdp=mdp,
            _gap=(above - below) + 4 * operators.UNIT * reach,
        )  # fmt: skip

    TV: Floats
    pair: Ints
    change: tuple[float, float]
    below: float
    above: float
    _mdp: TabularMDP
    _gap: float

    @cached_property
    def lower(self) -> Floats:  # type: ignore[override]
        """Lower bound."""
        return self.TV + self.below  # (2)

    @cached_property
    def upper(self) -> Floats:  # type: ignore[override]
        """Upper bound."""
        return self.TV + self.above  # (2)

    @cached_property
    def policy(self) -> DeterministicPolicy:  # type: ignore[override]
        """The greedy policy of V."""
        return _greedy(self._mdp, self.pair)

    @property
    def gap(self) -> float:
        """No entry of ``upper - lower`` exceeds it."""
        return self._gap

    @property
    def midpoint(self) -> Floats:
        """The middle of the bounds."""
        return self.TV + 0.5 * (self.below + self.above)


def _greedy(mdp: TabularMDP, pair: Ints) -> DeterministicPolicy:
    return DeterministicPolicy(pair, mdp.action_id[pair])


@np.errstate(over="ignore", invalid="ignore")
def bracket(mdp: TabularMDP, V: ArrayLike | None = None) -> Bracket:
    """Prove bounds on the optimal value from any vector.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    V : (S,) array, or (H+1, S) for a finite horizon
        Any finite vector; the nearer to the optimal value, the tighter the bounds. Left out, it
        is zero; for a finite horizon each step then starts from the bounds of the next one.

    Returns
    -------
    Bracket
        With the greedy policy of V.

    Raises
    ------
    InvalidModelError
        If V has the wrong shape or is not finite, or if the bounds would not be finite: for
        rewards or V near the largest float, or gamma times a row sum of 1 or more.

    Examples
    --------
    >>> from mdplib import TabularMDP
    >>> found = bracket(TabularMDP.from_dense([[[1.0]]], [[1.0]], 0.5), [1.5])
    >>> bool(found.lower[0] <= 2 <= found.upper[0]), found.gap < 1e-13
    (True, True)
    """
    V = None if V is None else _finite(mdp, V)
    if mdp.horizon is None:
        return backed_up(mdp, V)
    steps: list[DeterministicPolicy] = []

    def step(h: int, after: Floats) -> Floats:
        TV, pair = operators.backup(mdp, after, h)
        steps.append(DeterministicPolicy(pair, mdp.action_id[pair]))
        return TV

    lower, upper, slack = _finite_horizon(mdp, V, step)
    return _finished(lower, upper, MarkovPolicy(tuple(reversed(steps))), slack)


def backed_up(mdp: TabularMDP, V: Floats | None) -> Shifted:
    """Do as `bracket` for a discounted model and a vector known to be finite and contiguous."""
    return Shifted(mdp, *operators.backup_and_range(mdp, V))


@np.errstate(over="ignore", invalid="ignore")
def bracket_policy(mdp: TabularMDP, policy: Policy, V: ArrayLike | None = None) -> Bracket:
    """Prove bounds on the value of a policy.

    Parameters
    ----------
    mdp : TabularMDP
        The model.
    policy : Policy
        The policy.
    V : (S,) array, or (H+1, S), optional
        Any finite vector; by default the value computed by `operators.evaluate_policy`.

    Returns
    -------
    Bracket
        On the value of `policy`.

    Examples
    --------
    >>> from mdplib import StochasticPolicy, TabularMDP
    >>> mdp = TabularMDP.from_dense([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> found = bracket_policy(mdp, StochasticPolicy.uniform(mdp))
    >>> bool(found.lower[0] <= 1 <= found.upper[0])
    True
    """
    V = _finite(mdp, operators.evaluate_policy(mdp, policy) if V is None else V)
    most = int(np.diff(mdp.state_ptr).max())
    averaging = 1 + 2 * most  # (n + 2)(1 + 2m) covers the m + m n roundings of an average
    if mdp.horizon is None:
        error = operators.rounding(mdp, V) * averaging
        TV = operators.policy_backup(mdp, policy, V)
        return _discounted(mdp, V, TV, policy, error, _weight_sums(mdp, policy, 0))

    def step(h: int, after: Floats) -> Floats:
        return operators.policy_backup(mdp, policy, after, h=h)

    sums = [_weight_sums(mdp, policy, h) for h in range(mdp.horizon)]
    spread = (min(low for low, _ in sums), max(high for _, high in sums))
    lower, upper, slack = _finite_horizon(mdp, V, step, averaging, spread)
    return _finished(lower, upper, policy, slack)


def _finished(lower: Floats, upper: Floats, policy: Policy, rounding: float) -> Bracket:
    """Refuse bounds that overflowed: they would not be bounds."""
    finite = np.isfinite(lower) & np.isfinite(upper)
    if not finite.all():
        bad = np.argwhere(~finite)
        raise InvalidModelError(
            f"the bounds at {bad[0].tolist()} overflow double precision, {len(bad)} of "
            f"{lower.size} in all; rewards or V are too large: scale them down"
        )
    return Bracket(lower, upper, policy, float(rounding))


def _discounted(
    mdp: TabularMDP,
    V: Floats,
    TV: Floats,
    policy: Policy,
    error: float,
    weight_sums: tuple[float, float] = (1.0, 1.0),
) -> Bracket:
    change = TV - V
    extremes = float(change.min()), float(change.max())
    below, above, owed = _shifts(mdp, extremes, _largest(TV), error, weight_sums)
    return _finished(TV + below, TV + above, policy, owed)  # (2)


def _shifts(
    mdp: TabularMDP,
    change: tuple[float, float],
    size: float,
    error: float,
    weight_sums: tuple[float, float],
) -> tuple[float, float, float]:
    """Return what to add to TV for the bounds of (2), and the share of the gap owed to rounding.

    `change` is the computed range of TV - V, `size` the largest magnitude in TV, `error` the
    rounding error of an entry of TV.
    """
    (least, most), gamma = change, mdp.gamma
    sums = mdp.row_sum_bounds[0] * weight_sums[0], mdp.row_sum_bounds[1] * weight_sums[1]
    low, low_error = _shift(least - error - _SAFE * abs(least), gamma, (sums[1], sums[0]))
    high, high_error = _shift(most + error + _SAFE * abs(most), gamma, sums)
    last = _ONE * (size + max(abs(low), abs(high)))
    slack = error + last + max(low_error, high_error)
    return low - slack, high + slack, 2 * (slack + error / (1 - gamma))


def _shift(extreme: float, gamma: float, sums: tuple[float, float]) -> tuple[float, float]:
    """Return ``gamma sigma c`` of (1) and a bound on its rounding error.

    `sums` holds the row sum to use for c < 0 and the one for c >= 0.
    """
    sigma = sums[1] if extreme >= 0 else sums[0]
    room = (1 - gamma) - gamma * (sigma - 1)
    if room <= 0:
        raise InvalidModelError(
            f"gamma = {gamma!r} times the row sum {sigma!r} is not below 1; lower gamma or make "
            "the rows sum to one more precisely"
        )
    cancellation = ((1 - gamma) + gamma * abs(sigma - 1)) / room
    shift = gamma * sigma * (extreme / room)  # (1)
    return shift, _SAFE * cancellation * abs(shift)


def _finite_horizon(
    mdp: TabularMDP,
    V: Floats | None,
    step: Callable[[int, Floats], Floats],
    averaging: int = 1,
    weight_sums: tuple[float, float] = (1.0, 1.0),
) -> tuple[Floats, Floats, float]:
    """Propagate bounds backwards from the terminal reward, as in (3)."""
    H, terminal = mdp.horizon or 0, np.asarray(mdp.terminal)
    sums = mdp.row_sum_bounds[0] * weight_sums[0], mdp.row_sum_bounds[1] * weight_sums[1]
    lower, upper = np.empty((H + 1, mdp.n_states)), np.empty((H + 1, mdp.n_states))
    lower[H] = upper[H] = terminal
    owed = most = 0.0
    for h in range(H - 1, -1, -1):
        if h == H - 1:
            after = terminal
        else:
            after = 0.5 * (lower[h + 1] + upper[h + 1]) if V is None else V[h + 1]
        TV = step(h, after)
        error = averaging * operators.rounding(mdp, after)
        below = float(np.min(lower[h + 1] - after))
        above = float(np.max(upper[h + 1] - after))
        below *= mdp.gamma * (sums[0] if below >= 0 else sums[1])
        above *= mdp.gamma * (sums[1] if above >= 0 else sums[0])
        shift = max(abs(below), abs(above))
        slack = error + _SAFE * shift + _ONE * (_largest(TV) + shift)
        lower[h] = TV + (below - slack)  # (3)
        upper[h] = TV + (above + slack)  # (3)
        owed = mdp.gamma * owed + 2 * slack
        most = max(most, owed)
    return lower, upper, most


def _weight_sums(mdp: TabularMDP, policy: Policy, h: int) -> tuple[float, float]:
    """Bound the sums of the policy's weights over the states' pairs."""
    policy = operators.policy_at(mdp, policy, h)
    if isinstance(policy, DeterministicPolicy):
        return 1.0, 1.0
    ptr = mdp.layer(h).state_ptr
    sums = np.add.reduceat(policy.weights(mdp, h)[: ptr[-1]], ptr[:-1])
    slack = 2 * int(np.diff(ptr).max()) * operators.UNIT
    return float(sums.min()) - slack, float(sums.max()) + slack


def _largest(*arrays: Floats) -> float:
    """Sum of the largest magnitudes: no entry of a sum or difference exceeds it."""
    return sum(max(-float(x.min()), float(x.max())) for x in arrays)


def _finite(mdp: TabularMDP, V: ArrayLike | None) -> Floats:
    """Return V as a float array of the right shape with finite entries."""
    V = np.ascontiguousarray(V, dtype=np.float64)
    shape = (mdp.n_states,) if mdp.horizon is None else (mdp.horizon + 1, mdp.n_states)
    if V.shape != shape:
        raise InvalidModelError(f"V has shape {V.shape}; {shape} expected")
    if not np.isfinite(V).all():
        place = np.argwhere(~np.isfinite(V))[0].tolist()
        raise InvalidModelError(f"V{place} is not finite; no bound can be proven from it")
    return V
