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
updates; in between its maximisations are remembered. With a guess of these maxima that is a sum
g_{h+1} over arms, whose expectation is known,

    y = r(s, a) + gamma (E g_{h+1}(s') + mean_i [max_{a'} Q'_{h+1}(s'_i, a') - g_{h+1}(s'_i)]) (2)

has the same expectation and far less noise. Transitions are drawn with probability
proportional to |error|^alpha, and reweighted by its inverse to the power beta.              (3)

Where there are many actions, training maximises over a few that the base rates highest, see
`solvers.restless.shortlist`. Decisions regard all.

Every so often the greedy policy plays validation episodes, with the same random numbers each
time; the best network seen then meets the one before training on fresh episodes, the same for
both, and replaces it if a 90 % interval for the mean difference is above zero.              (4)

Guarantee
---------
By (4) a result that is worse than the base alone is returned with probability about 5 % at most.

Cost
----
Two maximisations over the action set per step, fewer where states repeat.

Deviations
----------
The default keeps the finite horizon: Q depends on the step, and nothing follows the last one. Its
base is the scores of the fluid program with what its prices bring in later, so that training
begins where that policy is, with values of the right size.
`Settings.faithful` has the constants of the published code: no base, raw inputs, a myopic warm
start, a target that hardly moves, a learning rate that dies, replay without priorities.

References
----------
xu2025; schaul2016 for (3).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError, SolverError
from mdplib.optim.backends import Backend
from mdplib.optim.mip import MipStatus
from mdplib.restless.action_set import Actions, TooManyActionsError
from mdplib.restless.bandit import CoupledRestlessBandit
from mdplib.restless.choice import has_rule
from mdplib.restless.simulation import first_states, simulate, step
from mdplib.statistics import Interval, paired_difference
from solvers.restless.action_value import ActionValue, n_inputs
from solvers.restless.listing import FEW
from solvers.restless.network import Adam, Network
from solvers.restless.replay import Replay
from solvers.restless.settings import Settings
from solvers.restless.shortlist import Shortlist, likely_actions
from solvers.restless.warm_start import (
    diverse_samples,
    fit_myopic,
    fluid_start,
    no_start,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(eq=False, repr=False)
class LearnedPolicy:
    """The greedy policy of an action value; remembers what it has decided.

    Parameters
    ----------
    q : ActionValue
        What it maximises.
    gap, time_limit, backend, tight
        Of its programs.

    Attributes
    ----------
    cut : int
        Decisions that the time limit cut short: the best action found in time was taken.
    """

    q: ActionValue
    gap: float = 1e-6
    time_limit: float | None = None
    backend: Backend = "highs"
    tight: bool = True

    def __post_init__(self):
        self._known: dict[tuple[int, bytes], Actions] = {}
        self.cut = 0

    def __call__(self, h: int, s: Ints) -> Actions:
        """Return actions (n, N) for joint states (n, J) at step h."""
        s = np.ascontiguousarray(s, dtype=np.int64)
        keys = [(h, row.tobytes()) for row in s]
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        if new:
            at = np.array(list(new.values()))
            self._known.update(zip(new, self._decide(h, s[at]), strict=True))
        return np.array([self._known[key] for key in keys], dtype=np.int8)

    def _decide(self, h: int, s: Ints) -> list[Actions]:
        if self.q.listed is not None:
            return list(self.q.best_listed(np.full(len(s), h), s)[0])
        how: Any = {"gap": self.gap, "time_limit": self.time_limit, "tight": self.tight}
        found = [self.q.best(h, row, backend=self.backend, **how) for row in s]
        self.cut += sum(choice.status is not MipStatus.OPTIMAL for choice in found)
        return [choice.action for choice in found]


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
    gain : Interval or None
        Of the mean reward of fresh episodes, over the network before training, by the best one on
        validation; None if there was no such comparison.
    improved : bool
        Whether a trained network is returned, and not the one before training.
    cut : int
        Maximisations in training that the time limit cut short.
    """

    policy: LearnedPolicy
    validation: tuple[tuple[int, float], ...]
    losses: Floats
    seconds: float
    gain: Interval | None
    improved: bool
    cut: int


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
        if settings.base not in ("fluid", "none"):
            raise InvalidModelError(f"base {settings.base!r}; 'fluid' or 'none' expected")
        fluid = settings.base == "fluid"
        known = None if has_rule(bandit.actions) else listed  # a rule is quicker than a list
        base, self.guess = fluid_start(bandit, backend, known) if fluid else no_start(bandit)
        silent = settings.myopic_epochs == 0
        size = n_inputs(bandit, settings.inputs)
        network = Network.random(size, settings.hidden, rng, silent=silent)
        self.q = ActionValue(bandit, network, base, settings.inputs, listed)
        if settings.myopic_epochs:
            fit_myopic(self.q, rng, settings.myopic_epochs, settings.rate, settings.fade)
        self.short = self._shorten() if fluid and settings.shortlist else None
        self.target = self.q.with_network(network.copy())
        self.adam = Adam(
            network.parameters.size, settings.rate, settings.decay, settings.amsgrad,
            eps=settings.adam_eps,
        )  # fmt: skip
        self.replay = Replay(settings.capacity, settings.alpha, settings.beta)
        if settings.seeded:
            s, a = diverse_samples(self.q, rng)
            for i in rng.choice(len(s), settings.seeded, replace=len(s) < settings.seeded):
                self.replay.add(int(rng.integers(bandit.horizon)), s[i], a[i])
        self.memo: dict[tuple[int, bytes], float] = {}
        self.losses: list[float] = []
        self.updates = self.cut = 0

    def _shorten(self) -> Shortlist | None:
        """Return what replaces the maximisation over many actions in training."""
        q, o = self.q, self.settings
        if q.listed is not None and len(q.listed) <= FEW:
            return None
        few = q.listed is not None and len(q.listed) <= o.pool
        pool = q.listed if few else likely_actions(q, o.pool, self.rng, self.backend, o.gap)
        assert pool is not None
        return Shortlist(q, pool, o.shortlist)

    def _best(self, q: ActionValue, h: Ints, s: Ints) -> tuple[Actions, Floats]:
        """Return good actions, (n, N), and their values, (n,)."""
        o = self.settings
        if self.short is not None:
            return self.short.best(q, h, s)
        if q.listed is not None:
            return q.best_listed(h, s)
        how: Any = {"gap": o.gap, "time_limit": o.time_limit, "tight": o.tight}
        each = zip(h, s, strict=True)
        found = [q.best(int(k), row, backend=self.backend, **how) for k, row in each]
        self.cut += sum(choice.status is not MipStatus.OPTIMAL for choice in found)
        actions = np.array([choice.action for choice in found], dtype=np.int8)
        return actions, np.array([choice.value for choice in found])

    def _policy(self, network: Network) -> LearnedPolicy:
        o = self.settings
        return LearnedPolicy(
            self.q.with_network(network), o.gap, o.time_limit, self.backend, o.tight
        )

    def run(self) -> Trained:
        started, o = time.perf_counter(), self.settings
        check = np.random.default_rng(self.rng.integers(1 << 63))
        state = check.bit_generator.state
        validation: list[tuple[int, float]] = []
        first = kept = self._policy(self.q.network.copy())
        for episode in range(o.episodes + 1):
            if o.validate_every and (episode % o.validate_every == 0 or episode == o.episodes):
                check.bit_generator.state = state  # the same random numbers each time
                policy = self._policy(self.q.network.copy()) if episode else first
                reward = float(simulate(self.bandit, policy, o.validation, check).sum(1).mean())
                if self.progress is not None:
                    self.progress(episode, reward)
                if reward > max((value for _, value in validation), default=-math.inf):
                    kept = policy
                validation.append((episode, reward))
            if episode < o.episodes:
                self._episode()
        if not o.validate_every:
            kept = self._policy(self.q.network)
        gain = self._compare(first, kept, check) if o.trial and o.validate_every else None
        if gain is not None and not gain.low > 0:
            kept = first
        seconds, losses = time.perf_counter() - started, np.array(self.losses)
        improved = kept is not first
        return Trained(kept, tuple(validation), losses, seconds, gain, improved, self.cut)

    def _compare(
        self, first: LearnedPolicy, kept: LearnedPolicy, check: np.random.Generator
    ) -> Interval | None:
        """Return an interval for the gain of one policy over another on fresh episodes."""
        if kept is first:
            return None
        n, state = self.settings.trial, check.bit_generator.state
        rewards = []
        for policy in (kept, first):
            check.bit_generator.state = state
            rewards.append(simulate(self.bandit, policy, n, check).sum(axis=1))
        return paired_difference(rewards[0], rewards[1], check, confidence=0.9)  # (4)

    def _episode(self) -> None:
        o, b = self.settings, self.bandit
        s = first_states(b, self.rng.random(b.n_arms))
        for h in range(b.horizon):
            fall = math.exp(-self.updates / o.eps_steps)
            explore = self.rng.random() < o.eps_last + (o.eps_first - o.eps_last) * fall
            a = (
                b.actions.sample(self.rng)
                if explore
                else self._best(self.q, np.array([h]), s[None])[0][0]
            )
            self.replay.add(h, s, a)
            s = step(b, s[None], a[None], self.rng.random((1, b.n_arms)))[0]
            self._update()
        self.adam.rate *= o.fade

    def _update(self) -> None:
        o, b = self.settings, self.bandit
        at, h, s, a, weight = self.replay.sample(o.batch, self.rng)
        y = self._targets(h, s, a)
        x = self.q.encode(h, s, a)
        error = self.q.base_value(h, s, a) + self.q.network(x) - y
        slope = np.clip(error, -1.0, 1.0) * weight / len(error)  # Huber
        gradient = self.q.network.gradient(x, slope)
        self.adam.step(self.q.network.parameters, np.clip(gradient, -o.clip, o.clip))
        if not (np.isfinite(error).all() and np.isfinite(self.q.network.parameters).all()):
            raise SolverError(
                f"the weights stopped being finite after {self.updates} updates; lower the rate"
            )
        size = np.abs(error)
        self.losses.append(float(np.where(size < 1, 0.5 * error**2, size - 0.5).mean()))
        self.replay.update(at, size)  # (3)
        self.updates += 1
        if o.renew and self.updates % o.renew == 0:
            self.target = self.q.with_network(self.q.network.copy())
            self.memo.clear()
        elif not o.renew:
            own, new = self.target.network.parameters, self.q.network.parameters
            own += o.soft * (new - own)
            if self.updates % b.horizon == 0:  # as in the published code: once per episode
                self.memo.clear()

    def _targets(self, h: Ints, s: Ints, a: NDArray) -> Floats:
        """Return y of (1), (n,)."""
        b, m, arms = self.bandit, self.settings.next_states, np.arange(self.bandit.n_arms)
        law = b.arms.P[arms, b.actions.levels(a), s]
        expected = np.einsum("njt,njt->n", law, self.guess[h + 1])
        steps, s, a = np.repeat(h, m) + 1, np.repeat(s, m, axis=0), np.repeat(a, m, axis=0)
        after = step(b, s, a, self.rng.random(s.shape))
        beyond = self._ahead(steps, after) - self.guess[steps[:, None], arms, after].sum(axis=1)
        ahead = expected + beyond.reshape(-1, m).mean(axis=1)  # (2)
        return b.reward(s[::m], a[::m]) + self.gamma * ahead  # (1)

    def _ahead(self, h: Ints, s: Ints) -> Floats:
        """Return the largest values of the target, (n,), remembered while it stands still."""
        last = h == self.bandit.horizon
        steps = np.where(last, h - 1, h)
        keys = [(int(k), row.tobytes()) for k, row in zip(steps, s, strict=True)]
        live = np.flatnonzero(~last) if self.settings.finite else np.arange(len(h))
        new = {keys[i]: i for i in live if keys[i] not in self.memo}
        if new:
            at = np.array(list(new.values()))
            found = self._best(self.target, steps[at], s[at])[1]
            self.memo.update(zip(new, found.tolist(), strict=True))
        values = np.zeros(len(h))
        values[live] = [self.memo[keys[i]] for i in live]
        return values
