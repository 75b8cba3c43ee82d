r"""An American put on a binomial lattice, with hat features for holding it.

The price moves from s to ``up * s`` with probability `p0` and to ``down * s`` otherwise. At each of
H steps the owner holds or exercises; exercising pays ``max(0, strike - s)`` and ends the episode,
and nothing is paid after the last step. Without discounting.

States are the nodes of a lattice: ``s0 up**j down**(k-j)`` for 0 <= j <= k <= H, level k being
reached at step k; several first prices give several lattices side by side. Nodes of the last level
hold by staying. `AmericanPut.mdp` has one more state, absorbing and last, for an exercised option.

Features of holding are hats on d anchors, ``max(0, 1 - |s - s_i| / width)``, with
``s_i = first + i width`` and ``width = 100 / d``. As published they do not sum to one below the
first anchor and above the last (features="published"); with features="simplex" the price is
clamped to the range of the anchors first. Exercising has features 0 and a known reward.

References: Ma, Liang, Xia, Zhang, Blanchet, Liu, Zhao and Zhou (2022), *Distributionally robust
offline reinforcement learning with linear function approximation*, for the experiment; the
strike is a number here, 100 by default.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.features import Features
from mdplib.models import arguments
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy, StochasticPolicy
from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Kind = Literal["published", "simplex"]
HOLD, EXERCISE = 0, 1
ACTIONS = ("hold", "exercise")


@dataclass(frozen=True, eq=False, repr=False)
class AmericanPut:
    """An American put; `american_put` makes it.

    Parameters
    ----------
    s0 : (m,) float64
        First prices, one lattice each.
    p0 : float
        Probability that the price rises.
    horizon : int
        Number of steps H.
    strike : float
        Price at which the option sells.
    up, down : float
        Factors of the price.
    d : int
        Number of hats.
    first : float
        First anchor.
    kind : {"published", "simplex"}
        Features of prices outside the anchors.

    Examples
    --------
    >>> put = american_put(99.17022004702574)
    >>> put
    AmericanPut(231 prices, horizon 20, 30 hats, strike 100, p0=0.5)
    >>> V, policy = put.optimal()
    >>> round(float(V[0, put.start[0]]), 3)
    3.905
    """

    s0: Floats
    p0: float
    horizon: int
    strike: float
    up: float
    down: float
    d: int
    first: float
    kind: Kind

    def __post_init__(self):
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("s0", validate.frozen(self.s0, np.float64, "s0", (0, 1)).reshape(-1))
        validate.require(
            np.isfinite(self.s0) & (self.s0 > 0),
            lambda i: f"s0[{i}] is {self.s0[i]}",
            "Prices are finite and > 0.",
            unit="prices",
        )
        if not self.s0.size:
            raise InvalidModelError("s0 is empty; at least one first price expected")
        if self.kind not in get_args(Kind):
            raise InvalidModelError(
                f"features is {self.kind!r}; one of {', '.join(get_args(Kind))} expected"
            )
        put("p0", arguments.number(self.p0, "p0", 0.0, 1.0))
        for name in ("strike", "up", "down"):
            put(name, arguments.number(getattr(self, name), name, 1e-9))
        put("first", arguments.number(self.first, "first"))
        put("d", arguments.count(self.d, "d"))
        put("horizon", arguments.count(self.horizon, "horizon"))

    @property
    def _nodes(self) -> int:
        """Number of nodes of one lattice."""
        return (self.horizon + 1) * (self.horizon + 2) // 2

    @cached_property
    def level(self) -> Ints:
        """Level of each state, (S,) int32: the step at which it can be reached."""
        one = np.repeat(np.arange(self.horizon + 1), np.arange(1, self.horizon + 2))
        return np.tile(one, self.s0.size).astype(np.int32)

    @cached_property
    def prices(self) -> Floats:
        """Price of each state, (S,)."""
        k = self.level[: self._nodes].astype(np.float64)
        j = np.arange(self._nodes) - k * (k + 1) / 2
        found = np.multiply.outer(self.s0, self.up**j * self.down ** (k - j)).ravel()
        found.flags.writeable = False
        return found

    @cached_property
    def start(self) -> Ints:
        """State of each first price, (m,) int32."""
        return np.arange(0, self.s0.size * self._nodes, self._nodes, dtype=np.int32)

    @cached_property
    def successors(self) -> tuple[Ints, Ints]:
        """States after a fall and after a rise, both (S,) int32."""
        S, last = self.level.size, self.level == self.horizon
        s = np.arange(S, dtype=np.int32)
        fall = np.where(last, s, s + self.level + 1).astype(np.int32)
        return fall, np.where(last, s, fall + 1).astype(np.int32)

    def hats(self, price: ArrayLike) -> Floats:
        """Return the features of holding at given prices, (..., d)."""
        price = np.asarray(price, dtype=np.float64)
        width = 100 / self.d
        anchors = self.first + width * np.arange(self.d)
        if self.kind == "simplex":
            price = np.clip(price, anchors[0], anchors[-1])
        return np.maximum(0.0, 1 - np.abs(price[..., None] - anchors) / width)

    @cached_property
    def features(self) -> Features:
        """Features of the 2 S pairs: hold and exercise in each state."""
        S = self.prices.size
        phi = np.zeros((S, 2, self.d))
        phi[:, HOLD] = self.hats(self.prices)
        ends = np.zeros((S, 2), dtype=bool)
        ends[:, EXERCISE] = True
        return Features.from_dense(phi, ends=ends, simplex=self.kind == "simplex")

    @cached_property
    def payoff(self) -> Floats:
        """What exercising pays in each state, (S,)."""
        return np.maximum(0.0, self.strike - self.prices)

    @cached_property
    def reward(self) -> Floats:
        """Known reward of each pair at each step, (H, 2 S)."""
        one = np.zeros((self.prices.size, 2))
        one[:, EXERCISE] = self.payoff
        found = np.tile(one.ravel(), (self.horizon, 1))
        found.flags.writeable = False
        return found

    @cached_property
    def mdp(self) -> TabularMDP:
        """The model as a `TabularMDP` of S + 1 states, uniform over the first prices."""
        import scipy.sparse as sp

        S = self.prices.size
        fall, rise = self.successors
        hold = np.arange(S) * 2
        row = np.concatenate([hold, hold, hold + 1, [2 * S]])
        column = np.concatenate([fall, rise, np.full(S, S), [S]])
        p = np.concatenate([np.full(S, 1 - self.p0), np.full(S, self.p0), np.ones(S + 1)])
        P = sp.csr_array(sp.coo_array((p, (row, column)), shape=(2 * S + 1, S + 1)))
        initial = np.zeros(S + 1)
        initial[self.start] = 1 / self.start.size
        return TabularMDP.from_sparse(
            P,
            np.append(self.reward[0], 0.0),
            np.append(np.repeat(np.arange(S), 2), S),
            np.append(np.tile([HOLD, EXERCISE], S), 0),
            1.0,
            horizon=self.horizon,
            initial=initial,
            action_labels=ACTIONS,
        )

    @cached_property
    def hold(self) -> DeterministicPolicy:
        """The behaviour of the released data: never exercise."""
        S = self.prices.size
        pair = 2 * np.arange(S, dtype=np.int32)
        return DeterministicPolicy(pair, np.zeros(S, dtype=np.int32))

    @cached_property
    def uniform(self) -> StochasticPolicy:
        """Holding and exercising with equal probabilities."""
        features = self.features
        weight = np.full(features.n_pairs, 0.5)
        return StochasticPolicy(weight, features.state_ptr, features.action_id)

    def with_probability(self, p0: float) -> AmericanPut:
        """Return the put in a market that rises with another probability."""
        return dataclasses.replace(self, p0=p0)

    def evaluate(self, policy: Policy) -> Floats:
        """Return the exact value of a policy on the features' pairs, (H+1, S).

        Examples
        --------
        >>> put = american_put(99.0, horizon=3)
        >>> float(put.evaluate(put.hold).max())
        0.0
        """
        V = np.zeros((self.horizon + 1, self.prices.size))
        for h in range(self.horizon - 1, -1, -1):
            weight = self.features.weights(policy, h).reshape(-1, 2)
            V[h] = weight[:, HOLD] * self._held(V[h + 1]) + weight[:, EXERCISE] * self.payoff
        return V

    def optimal(self) -> tuple[Floats, MarkovPolicy]:
        """Return the optimal values, (H+1, S), and an optimal policy; ties hold."""
        V = np.zeros((self.horizon + 1, self.prices.size))
        steps: list[DeterministicPolicy | StochasticPolicy] = []
        base = 2 * np.arange(self.prices.size)
        for h in range(self.horizon - 1, -1, -1):
            held = self._held(V[h + 1])
            action = (self.payoff > held).astype(np.int32)
            V[h] = np.maximum(held, self.payoff)
            steps.append(DeterministicPolicy(base + action, action))
        return V, MarkovPolicy(tuple(reversed(steps)))

    def _held(self, V: Floats) -> Floats:
        """Return the value of holding, (S,), given that of the next step."""
        fall, rise = self.successors
        return (1 - self.p0) * V[fall] + self.p0 * V[rise]

    def __repr__(self) -> str:
        return (
            f"AmericanPut({self.prices.size} prices, horizon {self.horizon}, {self.d} hats, "
            f"strike {self.strike:g}, p0={self.p0:g})"
        )


def american_put(
    s0: ArrayLike = 100.0,
    *,
    p0: float = 0.5,
    d: int = 30,
    horizon: int = 20,
    strike: float = 100.0,
    up: float = 1.02,
    down: float = 0.98,
    first: float = 80.0,
    features: Kind = "published",
) -> AmericanPut:
    """Make an American put (see above).

    Parameters
    ----------
    s0 : float or (m,) array
        First prices.
    p0 : float
        Probability that the price rises.
    d : int
        Number of hats; their width is 100 / d.
    horizon : int
        Number of steps H at which the option can be exercised.
    strike : float
        Price at which it sells.
    up, down : float
        Factors of the price.
    first : float
        First anchor of the hats.
    features : {"published", "simplex"}
        Whether prices outside the anchors are clamped to stay on the simplex.

    Returns
    -------
    AmericanPut

    Raises
    ------
    InvalidModelError
        If an argument is out of range.
    """
    prices: Any = s0
    return AmericanPut(prices, p0, horizon, strike, up, down, d, first, features)
