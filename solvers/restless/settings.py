"""Hyper-parameters of SEQUOIA: the default, and those of the published code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from solvers.restless.action_value import Inputs

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
    seeded : int
        Transitions with artificial states and actions, feasible or not, put into the replay first.
    rate, decay, amsgrad
        Of Adam; `fade` multiplies the rate after every episode.
    fade : float
        See `rate`.
    adam_eps : float
        Of Adam.
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
    shortlist, pool : int
        With a base and many actions, training maximises in each state over the `shortlist` actions
        that the base rates highest, of a pool of this size; shortlist 0 maximises over all.
    validate_every, validation : int
        Episodes between validations, and how many episodes they play; 0 for none.
    trial : int
        Fresh episodes in which the best trained network meets the one before training; 0 to take
        it untried.
    """

    hidden: tuple[int, ...] = (32, 32)
    inputs: Inputs = "gated"
    base: Base = "fluid"
    myopic_epochs: int = 0
    episodes: int = 100
    batch: int = 32
    capacity: int = 10_000
    seeded: int = 0
    rate: float = 1e-3
    decay: float = 0.0
    amsgrad: bool = False
    fade: float = 0.98
    adam_eps: float = 1e-8
    clip: float = 5.0
    gamma: float | None = 1.0
    finite: bool = True
    next_states: int = 2
    renew: int = 100
    soft: float = 0.0
    alpha: float = 0.6
    beta: float = 0.4
    eps_first: float = 0.5
    eps_last: float = 0.05
    eps_steps: float = 500.0
    gap: float = 0.02
    time_limit: float | None = 60.0
    tight: bool = True
    listed: int = 200_000
    shortlist: int = 64
    pool: int = 4000
    validate_every: int = 10
    validation: int = 50
    trial: int = 200

    @classmethod
    def quick(cls) -> Settings:
        """Return a shorter training for many arms, where each decision is a program.

        Examples
        --------
        >>> Settings.quick().episodes < Settings().episodes
        True
        """
        return cls(
            episodes=20,
            rate=5e-4,
            fade=0.93,
            renew=50,
            eps_steps=100.0,
            validate_every=10,
            validation=10,
            trial=20,
        )

    @classmethod
    def faithful(cls) -> Settings:
        """Return the constants of the published code, its slips included.

        Each slip is a field of its own: ``soft`` and ``renew`` (a target that hardly moves),
        ``fade`` (a rate that dies), ``alpha`` (no priorities), ``finite`` (the end of an episode
        ignored), ``tight`` (one big-M for all), ``inputs``.

        Examples
        --------
        >>> from dataclasses import replace
        >>> mended = replace(Settings.faithful(), renew=250, fade=0.99)
        >>> mended.soft, mended.inputs
        (1e-06, 'raw')
        """
        return cls(
            hidden=(16, 32),
            inputs="raw",
            base="none",
            myopic_epochs=300,
            seeded=1000,
            rate=2.5e-4,
            decay=0.01,
            amsgrad=True,
            fade=0.9,
            adam_eps=1.5e-4,
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
            shortlist=0,
            trial=0,
            validate_every=0,
        )
