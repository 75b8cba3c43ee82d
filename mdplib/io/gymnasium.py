"""Gymnasium environments with a transition table, both ways.

Toy-text environments publish ``P[s][a] = [(probability, next state, reward, terminated), ...]``.
A transition with ``terminated`` ends the episode, whatever the table says of the state it names:
it is routed to one absorbing state added at the end, and its reward is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdplib.errors import InvalidModelError, MissingExtraError
from mdplib.tabular import TabularMDP

try:
    import gymnasium as gym
except ImportError:
    raise MissingExtraError("gym", "gymnasium") from None

TERMINAL = "terminal"


def from_gymnasium(
    env: str | gym.Env,
    gamma: float,
    *,
    horizon: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> TabularMDP:
    """Read the transition table of an environment.

    Parameters
    ----------
    env : str or gymnasium.Env
        Registered identifier, or an environment.
    gamma : float
        Discount factor.
    horizon : int, optional
        Finite horizon; the environment's own time limit is not part of its table and is ignored.
    options : mapping, optional
        Arguments for ``gymnasium.make`` when `env` is an identifier.

    Returns
    -------
    TabularMDP
        On the states of the table, in order, plus the state "terminal" if any transition ends
        the episode. The initial law is that of the environment, if it publishes one.

    Raises
    ------
    InvalidModelError
        If the identifier is unknown or the environment has no transition table.
    MissingExtraError
        Without gymnasium (extra ``gym``).

    Examples
    --------
    >>> from_gymnasium("FrozenLake-v1", gamma=0.99)
    TabularMDP(65 state-action pairs on 17 states, 147 transitions, gamma=0.99)
    """
    if isinstance(env, str):
        made = make(env, options or {})
        try:
            return _from_table(made, env, gamma, horizon)
        finally:
            made.close()
    return _from_table(env, str(env), gamma, horizon)


def make(identifier: str, options: Mapping[str, Any]) -> gym.Env:
    """Make an environment, naming near identifiers when there is none of that name."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*out of date.*")  # said in the error below
            return gym.make(identifier, **options)
    except gym.error.DeprecatedEnv as error:
        raise InvalidModelError(f"Gymnasium no longer ships {identifier!r}: {error}") from None
    except gym.error.Error as error:
        near = get_close_matches(identifier, list(gym.registry), n=3)
        hint = f"; near: {', '.join(near)}" if near else ""
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidModelError(f"Gymnasium cannot make {identifier!r} ({first}){hint}") from None


def _from_table(env: gym.Env, name: str, gamma: float, horizon: int | None) -> TabularMDP:
    inner: Any = env.unwrapped
    table = getattr(inner, "P", None)
    if not isinstance(table, Mapping):
        raise InvalidModelError(
            f"{name} publishes no transition table P; describe it with TabularMDP.from_function"
        )
    S = len(table)
    if set(table) != set(range(S)):
        raise InvalidModelError(f"the states of {name} are not numbered 0..{S - 1}")
    ends = any(o[3] for row in table.values() for outcomes in row.values() for o in outcomes)

    def outcomes(s: int, a: int):
        if s == S:
            yield 1.0, S, 0.0
            return
        for p, t, r, terminated in table[s][a]:
            yield float(p), S if terminated else int(t), float(r)

    def actions(s: int):
        return [0] if s == S else sorted(table[s])

    labels = [str(s) for s in range(S)] + [TERMINAL] * ends
    law = getattr(inner, "initial_state_distrib", None)
    if law is not None:
        law = np.append(np.asarray(law, dtype=float), [0.0] * ends)
    return TabularMDP.from_function(
        outcomes, actions, S + ends, gamma, horizon=horizon, initial=law, state_labels=labels
    )


def to_gymnasium(mdp: TabularMDP, *, time_limit: int | None = None) -> TabularEnv:
    """Turn a stationary model into an environment.

    Parameters
    ----------
    mdp : TabularMDP
        Stationary model with an initial law.
    time_limit : int, optional
        Steps after which an episode is truncated; by default the horizon of the model, if any.

    Returns
    -------
    TabularEnv
        With the transition table ``P`` in Gymnasium's form.

    Raises
    ------
    InvalidModelError
        If kernels or rewards change with the step, or there is no initial law.

    Examples
    --------
    >>> mdp = TabularMDP.from_dict({0: {0: [(1.0, 1, 5.0)]}, 1: {0: [(1.0, 1, 0.0)]}}, 0.9,
    ...                            initial=[1.0, 0.0])
    >>> env = to_gymnasium(mdp)
    >>> env.reset(seed=0)[0], env.step(0)[:3]
    (0, (1, 5.0, True))
    """
    return TabularEnv(mdp, time_limit)


class TabularEnv(gym.Env):
    """A tabular model as a Gymnasium environment.

    An episode terminates on entering a state whose every action stays there for nothing, and is
    truncated at the time limit. ``info["action_mask"]`` marks the admissible actions; taking
    another is an error. The random numbers are those of ``reset(seed=...)``.

    Parameters
    ----------
    mdp : TabularMDP
        Stationary model with an initial law.
    time_limit : int or None
        Steps after which an episode is truncated.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, mdp: TabularMDP, time_limit: int | None = None):
        if not mdp.stationary or mdp.reward.ndim == 2:
            raise InvalidModelError("kernels or rewards change with the step; none may here")
        if mdp.initial is None:
            raise InvalidModelError("the model has no initial law; set initial=")
        self.mdp = mdp
        self.time_limit = mdp.horizon if time_limit is None else time_limit
        self.initial_state_distrib = mdp.initial
        self.observation_space = gym.spaces.Discrete(mdp.n_states)
        self.action_space = gym.spaces.Discrete(int(mdp.action_id.max()) + 1)
        self.absorbing = _absorbing(mdp)
        self.P = {
            s: {
                a: [(p, t, r, bool(self.absorbing[t])) for p, t, r in outcomes]
                for a, outcomes in actions.items()
            }
            for s, actions in mdp.to_dict().items()
        }
        self._law, self._state, self._steps = mdp.initial / mdp.initial.sum(), 0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Draw the first state; see `gymnasium.Env.reset`."""
        super().reset(seed=seed)
        self._state = int(self.np_random.choice(self.mdp.n_states, p=self._law))
        self._steps = 0
        return self._state, self._info()

    def step(self, action: int):
        """Take one action; see `gymnasium.Env.step`."""
        outcomes = self.P[self._state].get(int(action))
        if outcomes is None:
            raise InvalidModelError(
                f"action {action} is not admissible in state {self._state}; "
                f"info['action_mask'] marks those that are"
            )
        p = np.array([o[0] for o in outcomes])
        _, self._state, reward, terminated = outcomes[self.np_random.choice(p.size, p=p / p.sum())]
        self._steps += 1
        truncated = self.time_limit is not None and self._steps >= self.time_limit
        return self._state, reward, terminated, truncated, self._info()

    def _info(self) -> dict[str, NDArray[np.int8]]:
        mask = np.zeros(int(self.action_space.n), dtype=np.int8)  # type: ignore[attr-defined]
        mask[self.mdp.actions(self._state)] = 1
        return {"action_mask": mask}


def _absorbing(mdp: TabularMDP) -> NDArray[np.bool_]:
    """Mark the states whose every action stays there for nothing."""
    rows, _, state, _ = mdp.to_sparse()
    moves = np.asarray(rows.sum(axis=1)).ravel() - rows[np.arange(mdp.n_pairs), state]
    stays = (moves == 0) & (mdp.reward == 0)
    return np.logical_and.reduceat(stays, mdp.state_ptr[:-1])
