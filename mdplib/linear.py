r"""Linear Markov decision processes with simplex features, over a finite horizon.

The law of the successor is a mixture of d factors with known weights, and rewards are known:

    P_h(t | s, a) = sum_i phi_i(s, a) mu_h,i(t),     r_h(s, a) = <phi(s, a), theta_h>.

Weights are points of the simplex (see `Features`) and every factor mu_h,i is a probability law, so
every such triple is a model; replacing factors by other laws (`with_mu`) gives its perturbations.

Rewards may be given directly, (H, K), without theta: pairs that end the episode have features 0
but may pay. Horizon H; nothing is discounted, and nothing is paid after the last step.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib import validate
from mdplib.errors import InvalidModelError
from mdplib.features import Features as Features
from mdplib.linear_checks import Content, check_factors, check_rewards, check_theta
from mdplib.pairs import best_pairs
from mdplib.policy import DeterministicPolicy, MarkovPolicy, Policy, StochasticPolicy

if TYPE_CHECKING:
    from mdplib.tabular import TabularMDP

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class LinearMDP:
    """A linear Markov decision process, validated once and read-only afterwards.

    Parameters
    ----------
    features : Features
        Rows phi, on the simplex.
    reward : (H, K) float64
        Known reward of each pair at each step.
    mu : (H, d, S) float64
        Factors: probability laws over the states.
    theta : (H, d) float64, optional
        Reward weights; ``reward = phi theta`` on pairs that do not end the episode.
    initial : (S,) float64, optional
        Distribution of the first state.
    state_labels, action_labels : sequence of str, optional
        Distinct names; `action_labels` is indexed by ``features.action_id``.

    Raises
    ------
    InvalidModelError
        Naming the first offending index, its value, how many are off, and the remedy.

    Examples
    --------
    >>> phi = [[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.0, 1.0]]]
    >>> mdp = LinearMDP.from_dense(phi, [[0.0, 1.0]], [[[1.0, 0.0], [0.0, 1.0]]])
    >>> mdp
    LinearMDP(4 state-action pairs on 2 states, dimension 2, horizon=1)
    >>> mdp.optimal()[0][0]
    array([0.5, 1. ])
    """

    features: Features
    reward: Floats
    mu: Floats
    theta: Floats | None = None
    initial: Floats | None = None
    state_labels: tuple[str, ...] | None = None
    action_labels: tuple[str, ...] | None = None

    def __post_init__(self):
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        features = self.features
        if not features.simplex:
            raise InvalidModelError(
                "the features were made with simplex=False; a linear model needs rows that are at "
                "least 0 and sum to one"
            )
        put("reward", validate.frozen(self.reward, np.float64, "reward", (2,)))
        put("mu", validate.frozen(self.mu, np.float64, "mu", (3,)))
        H, S, d = self.reward.shape[0], features.n_states, features.dimension
        if H < 1 or self.reward.shape != (H, features.n_pairs):
            raise InvalidModelError(
                f"reward has shape {self.reward.shape}; (H, {features.n_pairs}), one row per step, "
                "expected"
            )
        check_rewards(features, self.reward)
        if self.mu.shape != (H, d, S):
            raise InvalidModelError(f"mu has shape {self.mu.shape}; ({H}, {d}, {S}) expected")
        check_factors(self.mu)
        if self.theta is not None:
            put("theta", validate.frozen(self.theta, np.float64, "theta", (2,)))
            check_theta(features, self.reward, self.theta)
        if self.initial is not None:
            put("initial", validate.frozen(self.initial, np.float64, "initial"))
            validate.distribution(self.initial, S, "initial")
        put("state_labels", validate.labels(self.state_labels, S, "state_labels"))
        most = int(features.action_id.max()) + 1
        put("action_labels", validate.labels(self.action_labels, most, "action_labels", more=True))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled model; its arrays are read-only again."""
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        self.__dict__.update(state)

    # ---------------------------------------------------------- constructors

    @classmethod
    def from_dense(
        cls,
        phi: ArrayLike,
        theta: ArrayLike,
        mu: ArrayLike,
        *,
        initial: ArrayLike | None = None,
        state_labels: Any = None,
        action_labels: Any = None,
    ) -> LinearMDP:
        """Build from full arrays.

        Parameters
        ----------
        phi : (S, A, d) array
            Features.
        theta : (H, d) array
            Reward weights.
        mu : (H, d, S) array, or (d, S) for the same factors at every step
            Factors.
        initial : (S,) array, optional
            Distribution of the first state.
        state_labels, action_labels : sequence of str, optional
            Names.

        Returns
        -------
        LinearMDP
        """
        features = Features.from_dense(phi)
        theta = validate.frozen(theta, np.float64, "theta", (2,))
        mu = validate.frozen(mu, np.float64, "mu", (2, 3))
        if theta.shape[1] != features.dimension:
            raise InvalidModelError(
                f"theta has shape {theta.shape}; (H, {features.dimension}) expected"
            )
        if mu.ndim == 2:
            mu = np.broadcast_to(mu, (theta.shape[0], *mu.shape))
        reward = theta @ features.phi.T
        law: Any = initial
        return cls(features, reward, mu, theta, law, state_labels, action_labels)

    @classmethod
    def from_tabular(cls, mdp: TabularMDP, features: Features | None = None) -> LinearMDP:
        """Return a tabular model as a linear one.

        Parameters
        ----------
        mdp : TabularMDP
            With a finite horizon, gamma = 1 and no terminal reward.
        features : Features, optional
            One-hot by default. Other features must explain the transitions to 1e-8; see
            `mdplib.linear_fitting.fit_factors`, which reports how far off they are.

        Returns
        -------
        LinearMDP

        Raises
        ------
        InvalidModelError
            If the model is discounted, or not linear in the features.
        """
        from mdplib.linear_fitting import from_tabular

        return from_tabular(mdp, features)

    # ------------------------------------------------------------ quantities

    @property
    def horizon(self) -> int:
        """Number of steps H."""
        return self.reward.shape[0]

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.features.n_states

    @property
    def n_pairs(self) -> int:
        """Number of state-action pairs K."""
        return self.features.n_pairs

    @property
    def dimension(self) -> int:
        """Number of features d."""
        return self.features.dimension

    @property
    def gamma(self) -> float:
        """Discount factor: one."""
        return 1.0

    @cached_property
    def stationary(self) -> bool:
        """Whether the factors are the same at every step."""
        return bool((self.mu == self.mu[0]).all())

    @cached_property
    def rewards_in_unit_interval(self) -> bool:
        """Whether every reward lies in [0, 1], as most bounds assume."""
        return bool(self.reward.min() >= 0 and self.reward.max() <= 1)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content, 32 hexadecimal digits; equal models have equal fingerprints."""
        content = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return validate.fingerprint(Content(content | {"features": self.features.fingerprint}))

    def kernel(self, h: int) -> Floats:
        """Return the transition probabilities of step h, (K, S); rows of ending pairs are zero."""
        self._check_step(h)
        return self.features.phi @ self.mu[h]

    def q_values(self, V: ArrayLike, h: int) -> Floats:
        """Return ``r_h + P_h V`` for every pair, (K,), in O(d S + K d)."""
        self._check_step(h)
        return self.reward[h] + self.features.phi @ (self.mu[h] @ np.asarray(V, dtype=np.float64))

    def _check_step(self, h: int) -> None:
        if not 0 <= h < self.horizon:
            raise InvalidModelError(f"step {h} is outside the horizon 0..{self.horizon - 1}")

    def evaluate(self, policy: Policy) -> Floats:
        """Return the exact value of a policy at every step and state.

        Parameters
        ----------
        policy : Policy
            On the pairs of the features or of the lift; Markov, deterministic or stochastic.

        Returns
        -------
        (H+1, S) float64

        Examples
        --------
        >>> from mdplib import StochasticPolicy
        >>> phi = [[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.0, 1.0]]]
        >>> mdp = LinearMDP.from_dense(phi, [[0.0, 1.0]], [[[1.0, 0.0], [0.0, 1.0]]])
        >>> mdp.evaluate(mdp.uniform)
        array([[0.25, 1.  ],
               [0.  , 0.  ]])
        """
        starts = self.features.state_ptr[:-1]
        V = np.zeros((self.horizon + 1, self.n_states))
        for h in range(self.horizon - 1, -1, -1):
            weight = self.features.weights(policy, h)
            V[h] = np.add.reduceat(weight * self.q_values(V[h + 1], h), starts)
        return V

    def optimal(self) -> tuple[Floats, MarkovPolicy]:
        """Return the optimal values, (H+1, S), and an optimal policy; ties go to low actions."""
        V = np.zeros((self.horizon + 1, self.n_states))
        steps: list[DeterministicPolicy | StochasticPolicy] = []
        for h in range(self.horizon - 1, -1, -1):
            q = self.q_values(V[h + 1], h)
            pair = best_pairs(self.features.state_ptr, q)
            V[h] = q[pair]
            steps.append(DeterministicPolicy(pair, self.features.action_id[pair]))
        return V, MarkovPolicy(tuple(reversed(steps)))

    @cached_property
    def uniform(self) -> StochasticPolicy:
        """Uniform choice among the actions of each state."""
        size = np.diff(self.features.state_ptr)
        return StochasticPolicy(
            np.repeat(1.0 / size, size), self.features.state_ptr, self.features.action_id
        )

    # ------------------------------------------------------------ variations

    def replace(self, **changes: Any) -> LinearMDP:
        """Return a copy with some fields changed, validated anew."""
        return dataclasses.replace(self, **changes)

    def with_mu(self, mu: ArrayLike) -> LinearMDP:
        """Return the model with other factors: a perturbed environment or a worst case.

        Parameters
        ----------
        mu : (H, d, S) array
            Factors.
        """
        factors: Any = mu
        return self.replace(mu=factors)

    def with_factor(self, h: int, i: int, law: ArrayLike) -> LinearMDP:
        """Return the model with one factor changed."""
        self._check_step(h)
        mu = self.mu.copy()
        mu[h, i] = law
        return self.with_mu(mu)

    def tabular(self) -> TabularMDP:
        """Return the lift: the same process as a `TabularMDP` with gamma = 1.

        Kernels are stacked by step unless the factors are the same at every step. If pairs end
        the episode, the lift has one more state, absorbing and last, with one pair, for "over".

        Returns
        -------
        TabularMDP
        """
        from mdplib.linear_lift import lift

        return lift(self)

    def save(self, path: str | Path) -> None:
        """Write the model to an npz file, atomically; `load` reads it."""
        from mdplib.io.npz_linear import save_linear

        save_linear(self, path)

    @staticmethod
    def load(path: str | Path) -> LinearMDP:
        """Read a file written by `save`.

        Raises
        ------
        InvalidModelError
            If the file is damaged, of another kind, or of a newer schema.
        """
        from mdplib.io.npz_linear import load_linear

        return load_linear(path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LinearMDP):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        tail = ", some pairs end" if self.features.has_ends else ""
        return (
            f"LinearMDP({self.n_pairs} state-action pairs on {self.n_states} states, "
            f"dimension {self.dimension}, horizon={self.horizon}{tail})"
        )
