r"""How far a simulated policy can be from an upper bound on all policies.

A run of a policy comes with an upper bound U on the optimum and with the total rewards of n
independent episodes. The *certified gap* is

    (U - L) / U,

where L is a lower confidence limit of the value of the policy. With the stated confidence the
policy loses at most this share of U, hence of the optimum.

How L is computed decides whether that confidence is proven. Rewards are bounded below, and a
lower limit of a mean needs no more: *betting* is exact for every number of episodes. *Hoeffding*
and *empirical Bernstein* are exact too, need an upper end of the range, and are wider. The limits
of *Student* and of the *bootstrap* are nominal: exact for normal rewards at best.

No exact limit from n episodes can be closer than about log(1 / delta) / n of the distance to the
lowest reward: episodes of the lowest reward may be so rare that none was seen. Fifty episodes cost
at least six per cent at 95 %, a thousand a third of a per cent.

References
----------
waudbysmith2024, betting; maurer2009, empirical Bernstein; hoeffding1963.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.restless.bandit import CoupledRestlessBandit

GapMethod = Literal["betting", "empirical_bernstein", "hoeffding", "student", "bootstrap"]
Floats = NDArray[np.float64]
EXACT = ("betting", "empirical_bernstein", "hoeffding")
STEPS = 60  # halvings of an interval
CAP = 0.9  # largest share of the stake that one episode may lose


@dataclass(frozen=True)
class CertifiedGap:
    """What a simulation and an upper bound say about a policy.

    Attributes
    ----------
    gap : float
        (upper - limit) / upper: at most this share of the bound is lost.
    upper : float
        Upper bound on the expected reward of an episode under any policy.
    limit : float
        Lower confidence limit of the expected reward under this policy.
    mean : float
        Mean of the simulated rewards.
    confidence : float
        Probability with which the limit, and so the gap, must hold.
    method : str
        How the limit was computed.
    exact : bool
        Whether the confidence is proven for every law of rewards in the range; else nominal.
    n : int
        Number of episodes.
    """

    gap: float
    upper: float
    limit: float
    mean: float
    confidence: float
    method: GapMethod
    exact: bool
    n: int

    @property
    def estimate(self) -> float:
        """The gap with the mean in place of the limit: an estimate, not a certificate."""
        return (self.upper - self.mean) / self.upper

    def __repr__(self) -> str:
        kind = "exact" if self.exact else "nominal"
        return (
            f"CertifiedGap({100 * self.gap:.2f} % of {self.upper:.6g}, {self.method}, "
            f"{kind} {100 * self.confidence:g} %, {self.n} episodes)"
        )


def reward_range(bandit: CoupledRestlessBandit) -> tuple[float, float]:
    """Return bounds on the total expected reward of an episode, whatever happens.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.

    Returns
    -------
    low, high : float
        The horizon times the sums over arms of the smallest and of the largest reward.

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.budget(3, 1, np.random.default_rng(0))
    >>> low, high = reward_range(bandit)
    >>> low > 0, high > low
    (True, True)
    """
    r = bandit.arms.r.reshape(bandit.n_arms, -1)
    return bandit.horizon * float(r.min(1).sum()), bandit.horizon * float(r.max(1).sum())


def certified_gap(
    rewards: ArrayLike,
    upper: float,
    *,
    low: float = 0.0,
    high: float | None = None,
    confidence: float = 0.95,
    method: GapMethod = "betting",
    rng: np.random.Generator | None = None,
) -> CertifiedGap:
    """Return the share of an upper bound that a policy loses at most.

    Parameters
    ----------
    rewards : (n,) array
        Total rewards of independent episodes of a fixed policy, n >= 2, in the order in which
        they were simulated.
    upper : float
        Upper bound on the expected reward of an episode, positive.
    low : float
        No reward can be smaller. See `reward_range`.
    high : float, optional
        No reward can be larger; Hoeffding and empirical Bernstein need it.
    confidence : float
        Of the one-sided limit, in (0, 1).
    method : {"betting", "empirical_bernstein", "hoeffding", "student", "bootstrap"}
        The first three are exact, the others nominal.
    rng : numpy.random.Generator, optional
        For the bootstrap.

    Returns
    -------
    CertifiedGap
        A gap above one says nothing; a negative gap says that the bound is wrong, up to the
        confidence.

    Raises
    ------
    InvalidModelError
        On rewards outside the range, a bound that is not positive, or an argument missing.

    References
    ----------
    waudbysmith2024; maurer2009, theorem 4; hoeffding1963, theorem 2.

    Examples
    --------
    >>> rewards = np.random.default_rng(0).normal(90.0, 5.0, 50)
    >>> certified_gap(rewards, 100.0)
    CertifiedGap(15.27 % of 100, betting, exact 95 %, 50 episodes)
    >>> certified_gap(rewards, 100.0, method="student").exact
    False
    """
    x = validate.frozen(rewards, np.float64, "rewards", (1,))
    _check(x, upper, low, high, confidence, method)
    delta = 1.0 - confidence
    if method == "betting":
        limit = betting_limit(x, low, delta, guess=0.125 * max(upper - low, 0.0))
    elif method == "bootstrap":
        limit = _bootstrap(x, delta, np.random.default_rng(0) if rng is None else rng)
    elif method == "student":
        limit = _student(x, delta)
    else:
        assert high is not None
        width = _hoeffding if method == "hoeffding" else _empirical_bernstein
        limit = max(low, float(x.mean()) - width(x, high - low, delta))
    return CertifiedGap(
        gap=(upper - limit) / upper,
        upper=float(upper),
        limit=limit,
        mean=float(x.mean()),
        confidence=confidence,
        method=method,
        exact=method in EXACT,
        n=x.size,
    )


def _check(
    x: Floats, upper: float, low: float, high: float | None, confidence: float, method: str
) -> None:
    if method not in get_args(GapMethod):
        raise InvalidModelError(f"no method {method!r}; give one of {get_args(GapMethod)}")
    if x.ndim != 1 or x.size < 2 or not np.isfinite(x).all():
        raise InvalidModelError(
            f"rewards have shape {x.shape} and {int((~np.isfinite(x)).sum())} are not finite; "
            "give the totals of at least two episodes"
        )
    if not 0 < upper < math.inf:
        raise InvalidModelError(f"the upper bound is {upper}; a share of it needs it positive")
    if not 0 < confidence < 1:
        raise InvalidModelError(f"confidence is {confidence}; give a number between 0 and 1")
    if high is None and method in ("hoeffding", "empirical_bernstein"):
        raise InvalidModelError(f"{method} needs an upper end of the rewards; give high")
    top = math.inf if high is None else high
    off = (x < low - 1e-9 * max(1.0, abs(low))) | (x > top + 1e-9 * max(1.0, abs(top)))
    if method in EXACT and off.any():
        i = int(np.argmax(off))
        raise InvalidModelError(
            f"reward {i} is {x[i]:.9g} ({int(off.sum())} are off), outside [{low:g}, {top:g}]; "
            "give a range that no episode can leave"
        )


def betting_limit(x: Floats, low: float, delta: float, *, guess: float) -> float:
    """Return a lower limit of the mean of variables that are bounded below.

    Whoever bets on "the mean exceeds m" multiplies the stake by ``1 + b_i (x_i - m)`` with a bet
    b_i chosen before x_i is seen. If the mean is at most m, the wealth is a supermartingale and
    reaches 1 / delta with probability at most delta. It falls in m: the limit is where it
    reaches 1 / delta.

    Parameters
    ----------
    x : (n,) float64
        Independent, of one mean, none below `low`.
    low : float
        Lower end.
    delta : float
        Probability of failure.
    guess : float
        Standard deviation expected beforehand; it moves the limit, not its confidence.

    Returns
    -------
    float
        At least `low`.
    """
    n = x.size
    if not guess > 0 or not x.max() > low:
        return float(low)
    count = np.arange(1, n + 1)
    means = np.cumsum(x) / count
    spread = np.cumsum((x - means) ** 2)
    variance = (guess**2 + np.concatenate([[0.0], spread[:-1]])) / count
    bets = np.sqrt(2.0 * math.log(1.0 / delta) / (n * variance))
    need = math.log(1.0 / delta)

    def convinced(m: float) -> bool:
        factor = 1.0 + np.minimum(bets, CAP / (m - low)) * (np.maximum(x, low) - m)
        return float(np.log(factor).sum()) >= need

    below, above = float(low), float(x.max())
    for _ in range(STEPS):
        middle = 0.5 * (below + above)
        if not below < middle < above:
            break
        below, above = (middle, above) if convinced(middle) else (below, middle)
    return below


def _hoeffding(x: Floats, span: float, delta: float) -> float:
    return span * math.sqrt(math.log(1.0 / delta) / (2.0 * x.size))


def _empirical_bernstein(x: Floats, span: float, delta: float) -> float:
    log = math.log(2.0 / delta)
    deviation = math.sqrt(2.0 * float(x.var(ddof=1)) * log / x.size)
    return deviation + 7.0 * span * log / (3.0 * (x.size - 1))


def _student(x: Floats, delta: float) -> float:
    from scipy.special import stdtrit

    error = float(x.std(ddof=1)) / math.sqrt(x.size)
    return float(x.mean()) - float(stdtrit(x.size - 1, 1.0 - delta)) * error


def _bootstrap(x: Floats, delta: float, rng: np.random.Generator) -> float:
    means = x[rng.integers(0, x.size, size=(2000, x.size))].mean(axis=1)
    return float(np.quantile(means, delta))
