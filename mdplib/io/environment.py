"""The Gymnasium environment that plays a `TabularMDP`; imports Gymnasium."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError
from mdplib.tabular import TabularMDP

Outcome = tuple[float, int, float, bool]


class TabularEnvironment(gymnasium.Env[Any, Any]):
    """An environment whose states are the observations; see `mdplib.io.to_gymnasium`.

    A step of a finite-horizon model uses the kernel and the reward of its time. The last one pays
    ``gamma * terminal`` of the state it reaches on top, so that the discounted sum of the rewards
    has the model's value as its mean.

    `reset` accepts ``options={"state": s}`` to start in s.

    Parameters
    ----------
    mdp, time_limit, absorbing, pad
        As in `mdplib.io.to_gymnasium`.

    Examples
    --------
    >>> from mdplib import models
    >>> env = TabularEnvironment(models.deep_sea(3))
    >>> env.observation_space, env.reset()[1]["action_mask"]
    (Discrete(7), array([1, 1], dtype=int8))
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        mdp: TabularMDP,
        *,
        time_limit: int | None = None,
        absorbing: Sequence[int] | None = None,
        pad: bool = False,
    ):
        if mdp.initial is None:
            raise InvalidModelError(
                "the model has no initial law; give it one with mdp.replace(initial=...)"
            )
        if mdp.horizon is not None and time_limit not in (None, mdp.horizon):
            raise InvalidModelError(
                f"time_limit is {time_limit} but the model's horizon is {mdp.horizon}; leave it "
                "out, or change the model"
            )
        if time_limit is not None and time_limit < 1:
            raise InvalidModelError(f"time_limit is {time_limit}; at least 1 expected")
        self.mdp = mdp
        self.time_limit = mdp.horizon if mdp.horizon is not None else time_limit
        self.final = _final(mdp, absorbing)
        self.pad = pad
        self.initial_state_distrib = mdp.initial
        self.observation_space = gymnasium.spaces.Discrete(mdp.n_states)
        self._actions = int(mdp.action_id.max()) + 1
        self.action_space = gymnasium.spaces.Discrete(self._actions)
        self.spec = EnvSpec(
            "mdplib/Tabular-v0",
            entry_point="mdplib.io.environment:TabularEnvironment",
            kwargs={"mdp": mdp, "time_limit": time_limit, "absorbing": absorbing, "pad": pad},
            disable_env_checker=True,
        )
        self.state = 0
        self.time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Start an episode.

        Parameters
        ----------
        seed : int, optional
            Seeds the environment's generator.
        options : dict, optional
            ``{"state": s}`` starts in state s instead of a drawn one.

        Returns
        -------
        state : int
        info : dict
            ``action_mask`` (A,) int8: 1 for the admissible actions.
        """
        super().reset(seed=seed)
        law = np.asarray(self.mdp.initial)
        drawn = _draw(law, self.np_random)
        self.state = int((options or {}).get("state", drawn))
        if not 0 <= self.state < self.mdp.n_states:
            raise InvalidModelError(
                f"options ask for state {self.state}; 0..{self.mdp.n_states - 1} expected"
            )
        self.time = 0
        return self.state, self._info()

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Play one step.

        Parameters
        ----------
        action : int
            An admissible action; any action in a state that ends episodes.

        Returns
        -------
        state : int
        reward : float
            Expected reward of the pair.
        terminated, truncated : bool
        info : dict
            As from `reset`.

        Raises
        ------
        InvalidModelError
            If the action is not admissible and `pad` is off, or the time limit has passed.
        """
        mdp = self.mdp
        h = 0 if mdp.horizon is None else self.time
        if self.time_limit is not None and self.time >= self.time_limit:
            raise InvalidModelError(f"the time limit {self.time_limit} has passed; call reset")
        layer = mdp.layer(h)
        k = self._pair(int(action), h)
        row = slice(layer.indptr[k], layer.indptr[k + 1])
        self.state = int(layer.indices[row][_draw(layer.data[row], self.np_random)])
        self.time += 1
        reward = float(layer.reward[k])
        if mdp.terminal is not None and self.time == mdp.horizon:
            reward += mdp.gamma * float(mdp.terminal[self.state])
        truncated = self.time_limit is not None and self.time >= self.time_limit
        return self.state, reward, bool(self.final[self.state]), truncated, self._info()

    @property
    def P(self) -> dict[int, dict[int, list[Outcome]]]:
        """The table ``P[s][a]`` of (probability, successor, reward, terminated), built anew.

        Raises
        ------
        AttributeError
            If kernels or rewards change with the step, or a terminal reward is paid: no table of
            this form can say so.
        """
        mdp = self.mdp
        if not mdp.stationary or mdp.reward.ndim == 2 or np.any(mdp.terminal):
            raise AttributeError("a table P cannot express what changes with the step")
        table: dict[int, dict[int, list[Outcome]]] = {}
        for s in range(mdp.n_states):
            actions = range(self._actions) if self.pad else mdp.actions(s).tolist()
            table[s] = {a: self._outcomes(self._pair(a, 0, s)) for a in actions}
        return table

    def _outcomes(self, k: int) -> list[Outcome]:
        row = slice(self.mdp.indptr[k], self.mdp.indptr[k + 1])
        r = float(self.mdp.reward[k])
        successors = zip(self.mdp.data[row].tolist(), self.mdp.indices[row].tolist(), strict=True)
        return [(p, t, r, bool(self.final[t])) for p, t in successors]

    def _pair(self, action: int, h: int, s: int | None = None) -> int:
        """Return the pair of an action in state s (by default the present one)."""
        s = self.state if s is None else s
        first = int(self.mdp.layer(h).state_ptr[s])
        actions = self.mdp.actions(s, h)
        place = int(np.searchsorted(actions, action))
        if place < actions.size and actions[place] == action:
            return first + place
        if self.pad or self.final[s]:
            return first
        raise InvalidModelError(
            f"action {action} is not admissible in state {s}; admissible: {actions.tolist()} (see "
            "action_mask in the info, or make the environment with pad=True)"
        )

    def _info(self) -> dict[str, Any]:
        mask = np.zeros(self._actions, dtype=np.int8)
        h = 0 if self.mdp.horizon is None else min(self.time, self.mdp.horizon - 1)
        mask[slice(None) if self.pad else self.mdp.actions(self.state, h)] = 1
        return {"action_mask": mask}


def _draw(law: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Draw an index by inversion; never one of probability zero."""
    cumulative = np.cumsum(law)
    place = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
    return int(min(place, np.flatnonzero(law)[-1]))


def _final(mdp: TabularMDP, absorbing: Sequence[int] | None) -> NDArray[np.bool_]:
    """Mark the states that end an episode."""
    stays = np.zeros(mdp.n_pairs, dtype=bool)
    single = np.diff(mdp.indptr) == 1
    stays[single] = mdp.indices[mdp.indptr[:-1][single]] == mdp.pair_state[single]
    stays &= np.all(np.atleast_2d(mdp.reward) == 0, axis=0)
    every = np.asarray(np.logical_and.reduceat(stays, mdp.state_ptr[:-1]))
    final = np.asarray(every.reshape(-1, mdp.n_states).all(axis=0))
    if mdp.terminal is not None:
        final &= mdp.terminal == 0
    if absorbing is None:
        return final
    chosen = np.zeros_like(final)
    for s in absorbing:
        if not 0 <= s < mdp.n_states or not final[s]:
            raise InvalidModelError(
                f"state {s} does not end episodes: some action leaves it or pays. Only states "
                "that are absorbing and pay nothing can."
            )
        chosen[s] = True
    return chosen
