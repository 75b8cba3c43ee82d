r"""SEQUOIA: deep Q-learning whose greedy action is a mixed-integer program.

Problem
-------
A policy for a coupled bandit with more joint states than can be listed and an action set that only
a program describes.

Algorithm
---------
Q of `solvers.restless.action_value`, a separable base plus a network. Each step of each training
episode takes, with probability eps, a random action, and otherwise the best one; then one
minibatch from the replay moves the network along the Huber gradient of

    Q_h(s, a) - y,   y = r(s, a) + gamma mean_i max_{a'} Q'_{h+1}(s'_i, a'),                 (1)

over a few next states s'_i drawn from the model. Q' is a copy that is renewed every so many
updates; in between its maximisations are remembered. Transitions are drawn with probability
proportional to |error|^alpha, and reweighted by its inverse to the power beta.              (2)

Every so often the greedy policy plays validation episodes, with the same random numbers each
time; the best network seen is returned.                                                     (3)

Guarantee
---------
By (3) the result is, on the validation episodes, no worse than the base alone. Whether it is
better is a question for fresh episodes and a paired interval.

Cost
----
Two maximisations over the action set per step, fewer where states repeat.

Deviations
----------
The default keeps the finite horizon: Q depends on the step, and nothing follows the last one. Its
base are the scores of the fluid program, so that training begins where that policy is.
`Settings.faithful` has the constants of the published code: no base, raw inputs, a myopic warm
start, a target that hardly moves, a learning rate that dies, replay without priorities.

References
----------
xu2025; schaul2016 for (2).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError, SolverError
from mdplib.optim.backends import Backend
from mdplib.restless.action_set import Actions, TooManyActionsError
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.simulation import first_states, simulate, step
from solvers.restless.action_value import ActionValue, Inputs, n_inputs
from solvers.restless.fluid import fluid_bound
from solvers.restless.network import Adam, Network
from solvers.restless.replay import Replay
from solvers.restless.warm_start import fit_myopic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Base = Literal["fluid", "none"]


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of SEQUOIA.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    inputs : {"gated", "raw"}
        What the network sees.
    base : {"fluid", "none"}
        Separable part of Q.
    myopic_epochs : int
        Epochs of supervised fitting to the one-step reward before learning; 0 for none.
    episodes : int
        Training episodes of ``bandit.horizon`` steps.
    batch, capacity : int
        Size of a minibatch and of the replay.
    rate, decay, amsgrad
        Of Adam; `fade` multiplies the rate after every episode.
    fade : float
        See `rate`.
    clip : float
        Largest modulus of an entry of the gradient.
    gamma : float, optional
        Discount of (1); ``bandit.gamma`` if None.
    finite : bool
        Whether nothing follows the last step, instead of the episode being a mere truncation.
    next_states : int
        Next states drawn per transition.
    renew : int
        Updates between renewals of the target; 0 for a soft update by `soft` every step.
    soft : float
        See `renew`.
    alpha, beta : float
        Of the prioritised replay; alpha = 0 is uniform.
    eps_first, eps_last, eps_steps : float
        eps = last + (first - last) exp(-k / steps) at step k.
    gap, time_limit, tight
        Of the programs; `tight` False uses one big-M of 1e5.
    listed : int
        Sets with at most so many actions are listed.
    validate_every, validation : int
        Episodes between validations, and how many episodes they play; 0 for none.
    """

    hidden: tuple[int, ...] = (32, 32)
    inputs: Inputs = "gated"
    base: Base = "fluid"
    myopic_epochs: int = 0
    episodes: int = 100
    batch: int = 32
    capacity: int = 10_000
    rate: float = 1e-3
    decay: float = 0.0
    amsgrad: bool = False
    fade: float = 0.98
    clip: float = 5.0
    gamma: float | None = 1.0
    finite: bool = True
    next_states: int = 2
    renew: int = 250
    soft: float = 0.0
    alpha: float = 0.6
    beta: float = 0.4
    eps_first: float = 0.5
    eps_last: float = 0.05
    eps_steps: float = 500.0
    gap: float = 0.02
    time_limit: float | None = 60.0
    tight: bool = True
    listed: int = 60_000
    validate_every: int = 10
    validation: int = 50

    @classmethod
    def faithful(cls) -> Settings:
        """Return the constants of the published code, its slips included."""
        return cls(
            hidden=(16, 32),
            inputs="raw",
            base="none",
            myopic_epochs=300,
            rate=2.5e-4,
            decay=0.01,
            amsgrad=True,
            fade=0.9,
            gamma=None,
            finite=False,
            next_states=1,
            renew=0,
            soft=1e-6,
            alpha=0.0,
            eps_first=0.9,
            eps_last=0.05,
            eps_steps=1000.0,
            time_limit=600.0,
            tight=False,
            listed=0,
            validate_every=0,
        )


@dataclass(eq=False, repr=False)
class LearnedPolicy:
    """The greedy policy of an action value; remembers what it has decided.

    Parameters
    ----------
    q : ActionValue
        What it maximises.
    gap, time_limit, backend, tight
        Of its programs.
    """

    q: ActionValue
    gap: float = 1e-6
    time_limit: float | None = None
    backend: Backend = "highs"
    tight: bool = True

    def __post_init__(self):
        self._known: dict[tuple[int, bytes], Actions] = {}

    def __call__(self, h: int, s: Ints) -> Actions:
        """Return actions (n, N) for joint states (n, J) at step h."""
        s = np.ascontiguousarray(s, dtype=np.int64)
        chosen = []
        for row in s:
            key = (h, row.tobytes())
            if key not in self._known:
                self._known[key] = self.q.best(
                    h,
                    row,
                    gap=self.gap,
                    time_limit=self.time_limit,
                    backend=self.backend,
                    tight=self.tight,
                ).action
            chosen.append(self._known[key])
        return np.array(chosen, dtype=np.int8)


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gave.

    Parameters
    ----------
    policy : LearnedPolicy
        The best network's policy.
    validation : tuple of (int, float)
        Episodes trained, mean reward of a validation episode.
    losses : (updates,) float64
        Mean Huber loss of each minibatch.
    seconds : float
        Wall time.
    improved : bool
        Whether some trained network beat the one before training, on validation.
    """

    policy: LearnedPolicy
    validation: tuple[tuple[int, float], ...]
    losses: Floats
    seconds: float
    improved: bool


def sequoia(
    bandit: CoupledRestlessBandit,
    rng: np.random.Generator,
    settings: Settings | None = None,
    *,
    backend: Backend = "highs",
    progress: Callable[[int, float], None] | None = None,
) -> Trained:
    """Train SEQUOIA.

    Parameters
    ----------
    bandit : CoupledRestlessBandit
        The problem.
    rng : numpy.random.Generator
        Source of all randomness; equal states give equal results.
    settings : Settings, optional
        Hyper-parameters.
    backend : str
        Of the programs.
    progress : callable, optional
        Called with (episodes, validation reward).

    Returns
    -------
    Trained

    Raises
    ------
    SolverError
        If the network's weights stop being finite.

    Examples
    --------
    >>> from mdplib import restless
    >>> bandit = restless.capacity(4, 1, np.random.default_rng(0))
    >>> quick = Settings(episodes=2, validation=5, validate_every=1, hidden=(8,))
    >>> trained = sequoia(bandit, np.random.default_rng(1), quick)
    >>> len(trained.validation), len(trained.losses)
    (3, 40)
    """
    return _Training(bandit, rng, settings or Settings(), backend, progress).run()


class _Training:
    def __init__(
        self,
        bandit: CoupledRestlessBandit,
        rng: np.random.Generator,
        settings: Settings,
        backend: Backend,
        progress: Callable[[int, float], None] | None,
    ):
        self.bandit, self.rng, self.settings = bandit, rng, settings
        self.backend: Backend = backend
        self.progress = progress
        self.gamma = bandit.gamma if settings.gamma is None else settings.gamma
        try:
            listed = bandit.actions.enumerate(settings.listed) if settings.listed else None
        except TooManyActionsError:
            listed = None
        H, J, S = bandit.horizon, bandit.n_arms, bandit.arms.n_states
        base = np.zeros((H, J, S, bandit.actions.n_levels))
        if settings.base == "fluid":
            bound = fluid_bound(bandit, backend=backend, listed=listed)
            base = np.stack([bound.scores(bandit, h) for h in range(H)])
        elif settings.base != "none":
            raise InvalidModelError(f"base {settings.base!r}; 'fluid' or 'none' expected")
        silent = settings.myopic_epochs == 0
        size = n_inputs(bandit, settings.inputs)
        network = Network.random(size, settings.hidden, rng, silent=silent)
        self.q = ActionValue(bandit, network, base, settings.inputs, listed)
        if settings.myopic_epochs:
            fit_myopic(self.q, rng, settings.myopic_epochs, settings.rate, settings.fade)
        self.target = self.q.with_network(network.copy())
        self.adam = Adam(network.parameters.size, settings.rate, settings.decay, settings.amsgrad)
        self.replay = Replay(settings.capacity, settings.alpha, settings.beta)
        self.memo: dict[tuple[int, bytes], float] = {}
        self.losses: list[float] = []
        self.updates = 0

    def _best(self, q: ActionValue, h: int, s: Ints) -> tuple[Actions, float]:
        o = self.settings
        found = q.best(
            h, s, backend=self.backend, gap=o.gap, time_limit=o.time_limit, tight=o.tight
        )
        return found.action, found.value

    def run(self) -> Trained:
        started, o, b = time.perf_counter(), self.settings, self.bandit
        validation, kept, first = [], self.q.network.copy(), -math.inf
        best = -math.inf
        check = np.random.default_rng(self.rng.integers(1 << 63))
        state = check.bit_generator.state
        steps = 0
        for episode in range(o.episodes + 1):
            due = o.validate_every and (episode % o.validate_every == 0 or episode == o.episodes)
            if due:
                check.bit_generator.state = state  # the same random numbers each time
                policy = LearnedPolicy(self.q, o.gap, o.time_limit, self.backend, o.tight)
                reward = float(simulate(b, policy, o.validation, check).sum(axis=1).mean())
                validation.append((episode, reward))
                if self.progress is not None:
                    self.progress(episode, reward)
                if episode == 0:
                    first = reward
                if reward > best:
                    best, kept = reward, self.q.network.copy()  # (3)
            if episode == o.episodes:
                break
            s = first_states(b, self.rng.random(b.n_arms))
            for h in range(b.horizon):
                eps = o.eps_last + (o.eps_first - o.eps_last) * math.exp(-steps / o.eps_steps)
                explore = self.rng.random() < eps
                a = b.actions.sample(self.rng) if explore else self._best(self.q, h, s)[0]
                self.replay.add(h, s, a)
                s = step(b, s[None], a[None], self.rng.random((1, b.n_arms)))[0]
                self._update()
                steps += 1
            self.adam.rate *= o.fade
        network = kept if o.validate_every else self.q.network
        policy = LearnedPolicy(
            self.q.with_network(network), o.gap, o.time_limit, self.backend, o.tight
        )
        return Trained(
            policy,
            tuple(validation),
            np.array(self.losses),
            time.perf_counter() - started,
            bool(best > first),
        )

    def _update(self) -> None:
        o, b = self.settings, self.bandit
        at, h, s, a, weight = self.replay.sample(o.batch, self.rng)
        y = b.reward(s, a)
        for _ in range(o.next_states):
            after = step(b, s, a, self.rng.random(s.shape))
            ahead = [self._ahead(int(k) + 1, row) for k, row in zip(h, after, strict=True)]
            y = y + self.gamma * np.array(ahead) / o.next_states  # (1)
        x = self.q.encode(h, s, a)
        error = self.q.base_value(h, s, a) + self.q.network(x) - y
        slope = np.clip(error, -1.0, 1.0) * weight / len(error)  # Huber
        gradient = self.q.network.gradient(x, slope)
        self.adam.step(self.q.network.parameters, np.clip(gradient, -o.clip, o.clip))
        if not np.isfinite(self.q.network.parameters).all():
            raise SolverError(
                f"the weights stopped being finite after {self.updates} updates; lower the rate"
            )
        size = np.abs(error)
        self.losses.append(float(np.where(size < 1, 0.5 * error**2, size - 0.5).mean()))
        self.replay.update(at, size)  # (2)
        self.updates += 1
        if o.renew and self.updates % o.renew == 0:
            self.target = self.q.with_network(self.q.network.copy())
            self.memo.clear()
        elif not o.renew:
            own, new = self.target.network.parameters, self.q.network.parameters
            own += o.soft * (new - own)
            if self.updates % b.horizon == 0:  # as in the published code: once per episode
                self.memo.clear()

    def _ahead(self, h: int, s: Ints) -> float:
        """Return the largest value of the target at step h, remembered while it stands still."""
        if h == self.bandit.horizon:
            if self.settings.finite:
                return 0.0
            h -= 1
        key = (h, s.tobytes())
        if key not in self.memo:
            self.memo[key] = self._best(self.target, h, s)[1]
        return self.memo[key]
