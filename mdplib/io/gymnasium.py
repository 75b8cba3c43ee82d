"""Gymnasium's toy-text environments as exact models, and models as environments.

`from_gymnasium` reads the table ``P`` of an environment: ``P[s][a]`` lists tuples (probability,
successor, reward, terminated). Whatever the table says happens after a transition with the flag
`terminated` does not count, so all of them lead to one added state that is absorbing and pays
nothing; the reward of the transition is kept. The time limit of an environment is not in the
table: it is a wrapper around it, and belongs to `horizon` if it is wanted.

`to_gymnasium` goes the other way. Converting back gives the same values on the original states:
transitions into states that are absorbing and pay nothing carry the flag, so they lead to the one
added state, which is worth 0 as well. Without such states the model comes back as it was.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from mdplib.constructors import from_function
from mdplib.errors import InvalidModelError, MissingExtraError
from mdplib.tabular import TabularMDP

if TYPE_CHECKING:
    import gymnasium

    from mdplib.io.environment import TabularEnvironment

Outcome = tuple[float, int, float, bool]


def from_gymnasium(
    env: str | gymnasium.Env,
    gamma: float,
    *,
    horizon: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> TabularMDP:
    """Read the transition table of an environment.

    Parameters
    ----------
    env : str or gymnasium.Env
        An id such as ``"FrozenLake-v1"``, or an environment with a table ``P``, wrapped or not.
    gamma : float
        Discount factor.
    horizon : int, optional
        Finite horizon, for instance the environment's time limit.
    options : mapping, optional
        Arguments of `gymnasium.make`, such as ``{"is_slippery": False}``; for ids only.

    Returns
    -------
    TabularMDP
        The environment's states in their order and, if any transition terminates, one more that
        is labelled ``terminal``. The initial law is the environment's, if it states one.

    Raises
    ------
    InvalidModelError
        If the id is not registered or deprecated, the environment cannot be made, or it has no
        usable table.
    MissingExtraError
        If Gymnasium is not installed.

    Examples
    --------
    >>> from_gymnasium("FrozenLake-v1", gamma=0.99)
    TabularMDP(65 state-action pairs on 17 states, 147 transitions, gamma=0.99)
    """
    if not isinstance(env, str):
        if options is not None:
            raise InvalidModelError("options go with an id; this environment is made already")
        return _read_table(env.unwrapped, gamma, horizon, repr(env))
    made = _make(env, options or {})
    try:
        return _read_table(made.unwrapped, gamma, horizon, env)
    finally:
        made.close()


def to_gymnasium(
    mdp: TabularMDP,
    *,
    time_limit: int | None = None,
    absorbing: Sequence[int] | None = None,
    pad: bool = False,
) -> TabularEnvironment:
    """Make an environment that plays a model.

    It pays expected rewards. ``terminated`` is true on entering an absorbing state and only then;
    ``truncated`` is true when the time limit is reached. The info dictionary has ``action_mask``.

    Parameters
    ----------
    mdp : TabularMDP
        The model; it needs an initial law.
    time_limit : int, optional
        Steps until truncation. By default the model's horizon; without one, episodes are never
        truncated. A finite-horizon model accepts no other.
    absorbing : sequence of int, optional
        States that end an episode. By default all in which every action stays for sure and pays
        nothing at every step and at the end; only such states are accepted.
    pad : bool
        Let actions that are not admissible in a state act like its lowest admissible one, which
        changes no optimal value, instead of raising.

    Returns
    -------
    TabularEnvironment

    Raises
    ------
    InvalidModelError
        If there is no initial law, `time_limit` contradicts the model, or a state in `absorbing` is
        not absorbing.
    MissingExtraError
        If Gymnasium is not installed.

    Examples
    --------
    >>> from mdplib import models
    >>> env = to_gymnasium(models.forest(), time_limit=10)
    >>> env.reset(seed=1)[0], env.step(0)[:4]
    (0, (1, 0.0, False, False))
    """
    _require_gymnasium()
    from mdplib.io.environment import TabularEnvironment

    return TabularEnvironment(mdp, time_limit=time_limit, absorbing=absorbing, pad=pad)


def _require_gymnasium() -> Any:
    try:
        return import_module("gymnasium")
    except ModuleNotFoundError as error:
        if error.name != "gymnasium":
            raise
        raise MissingExtraError("gym", "gymnasium") from None


def _make(name: str, options: Mapping[str, Any]) -> gymnasium.Env:
    """Make an environment, or say why it cannot be made and what to try."""
    gymnasium = _require_gymnasium()
    module, _, plain = name.rpartition(":")
    try:
        if module:
            import_module(module)
        if plain not in gymnasium.registry:
            raise InvalidModelError(_unknown(plain, list(gymnasium.registry)))
        return gymnasium.make(plain, **options)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise InvalidModelError(f"{name} cannot be made: {error}") from error


def _unknown(name: str, known: list[str]) -> str:
    """Describe an id that is not registered; point at its other versions, or at near ones."""
    stem = name.rpartition("-v")[0] or name
    versions = [other for other in known if other.rpartition("-v")[0] == stem]
    if versions:
        return (
            f"{name} is not registered with Gymnasium, or deprecated; use {' or '.join(versions)}"
        )
    folded = {other.lower(): other for other in known}
    near = [folded[n] for n in get_close_matches(name.lower(), folded, n=3)]
    hint = f"near: {', '.join(near)}" if near else "gymnasium.registry lists all ids"
    return f"{name} is not registered with Gymnasium; {hint}"


def _read_table(env: Any, gamma: float, horizon: int | None, name: str) -> TabularMDP:
    table = getattr(env, "P", None)
    if table is None:
        raise InvalidModelError(
            f"{name} has no transition table P. Only environments with a finite table can be read, "
            "such as FrozenLake-v1, CliffWalking-v1 and Taxi."
        )
    S = len(table)
    rows = [_row(table, s, S, name) for s in range(S)]
    ends = any(done and p > 0 for row in rows for out in row.values() for p, _, _, done in out)

    def outcomes(s: int, a: int) -> Iterable[tuple[float, Hashable, float]]:
        if s == S:
            return [(1.0, S, 0.0)]
        return [(p, S if done and p > 0 else t, r) for p, t, r, done in rows[s][a]]

    law = getattr(env, "initial_state_distrib", None)
    if law is not None:
        law = np.append(np.asarray(law, dtype=float), np.zeros(int(ends)))
    return from_function(
        outcomes,
        lambda s: (0,) if s == S else rows[s],
        S + ends,
        gamma,
        horizon=horizon,
        initial=law,
        state_labels=[*map(str, range(S)), "terminal"] if ends else None,
    )


def _row(table: Any, s: int, S: int, name: str) -> dict[int, list[Outcome]]:
    """Return the entries of one state with plain types, after checking them."""
    try:
        actions = table[s]
        items = actions.items() if isinstance(actions, Mapping) else enumerate(actions)
        row = {
            int(a): [(float(p), int(t), float(r), bool(done)) for p, t, r, done in outcomes]
            for a, outcomes in items
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InvalidModelError(
            f"P[{s}] of {name} is not a table of (probability, successor, reward, terminated) "
            f"for the states 0..{S - 1}: {error!r}"
        ) from error
    for a, outcomes in row.items():
        for p, t, _, _ in outcomes:
            if not 0 <= t < S:
                raise InvalidModelError(
                    f"P[{s}][{a}] of {name} leads with probability {p} to {t}, which is outside "
                    f"the states 0..{S - 1}"
                )
    return row
