"""Models as Gymnasium environments."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import solvers
from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    StochasticPolicy,
    TabularMDP,
    models,
)
from mdplib.io import from_gymnasium, to_gymnasium

CHECKED = {
    "discounted": lambda: to_gymnasium(models.chain()),
    "limited": lambda: to_gymnasium(models.queue(5), time_limit=3),
    "padded": lambda: to_gymnasium(
        models.garnet(9, 5, 2, np.random.default_rng(0), ragged=True), pad=True
    ),
    "finite horizon": lambda: to_gymnasium(models.deep_sea(4)),
    "from gymnasium": lambda: to_gymnasium(from_gymnasium("Taxi-v4", 0.9)),
}


@pytest.mark.parametrize("name", CHECKED)
def test_checker_finds_nothing(name: str):
    """No check is skipped; warnings are errors."""
    check_env(CHECKED[name]())


def test_spec_makes_the_same_environment():
    env = to_gymnasium(models.chain(4), time_limit=7)
    assert env.spec is not None
    made: Any = env.spec.make().unwrapped
    assert made.mdp == env.mdp
    assert made.time_limit == 7


def test_without_absorbing_states_the_model_comes_back():
    mdp = models.garnet(6, 3, 2, np.random.default_rng(0), gamma=0.9, ragged=True)
    assert from_gymnasium(to_gymnasium(mdp), 0.9) == mdp


def test_there_and_back_keeps_every_value():
    mdp = models.gridworld("S..\n.#G\nG..", slip=0.1, goal_reward=3.0, gamma=0.9)
    env = to_gymnasium(mdp)
    again = from_gymnasium(env, 0.9)
    ours, theirs = (solvers.solve(m, "exact").exact for m in (mdp, again))
    assert ours is not None
    assert theirs is not None
    assert [abs(x - y) < 1e-12 for x, y in zip(ours, theirs, strict=False)] == [True] * 8
    ends = {t for rows in env.P.values() for row in rows.values() for _, t, _, e in row if e}
    assert {mdp.state_labels[t] for t in ends} == {"1,2", "2,0"}  # type: ignore[index]


def test_only_truly_absorbing_states_end_episodes():
    table = {
        0: {0: [(1.0, 0, 0.0)]},  # absorbing, pays nothing
        1: {0: [(1.0, 1, 1.0)]},  # absorbing, pays
        2: {0: [(1.0, 2, 0.0)], 1: [(1.0, 0, 0.0)]},  # has a way out
        3: {0: [(0.5, 3, 0.0), (0.5, 0, 0.0)]},
        4: {0: [(1.0, 4, 0.0)], 1: [(1.0, 4, 0.0)]},
    }
    mdp = TabularMDP.from_dict(table, 0.9, initial=np.full(5, 0.2))
    assert to_gymnasium(mdp).final.tolist() == [True, False, False, False, True]
    assert to_gymnasium(mdp, absorbing=[4]).final.tolist() == [False] * 4 + [True]
    assert not to_gymnasium(mdp, absorbing=[]).final.any()
    for s in (1, 2, 3, 5, -1):
        with pytest.raises(InvalidModelError, match=f"state {s} does not end episodes"):
            to_gymnasium(mdp, absorbing=[s])
    finite = mdp.replace(horizon=2, terminal=[1.0, 0, 0, 0, 0])
    assert to_gymnasium(finite).final.tolist() == [False] * 4 + [True], "a reward is still due"
    varying = mdp.replace(horizon=2, reward=np.stack([mdp.reward, mdp.reward + 1]))
    assert not to_gymnasium(varying).final.any()
    env = to_gymnasium(mdp)
    env.reset(seed=0, options={"state": 0})
    assert env.step(1)[:3] == (0, 0.0, True), "any action will do once it is over"


def test_padding_changes_no_value():
    mdp = models.garnet(8, 4, 3, np.random.default_rng(1), gamma=0.9, ragged=True)
    env = to_gymnasium(mdp, pad=True)
    padded = from_gymnasium(env, 0.9)
    assert padded.n_pairs == 32
    assert solvers.solve(padded, "exact").exact == solvers.solve(mdp, "exact").exact
    missing = next((s, a) for s in range(8) for a in range(4) if a not in mdp.actions(s))
    assert env.P[missing[0]][missing[1]] == env.P[missing[0]][int(mdp.actions(missing[0])[0])]
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [1] * 4


def stacked() -> TabularMDP:
    layers = [models.garnet(3, 2, 2, np.random.default_rng(h), gamma=0.5) for h in range(3)]
    return TabularMDP.from_layers(layers, terminal=[1.0, 2.0, 3.0], initial=[0.2, 0.3, 0.5])


def enumerated(mdp: TabularMDP, policy: list[list[int]]) -> float:
    """Mean discounted return of actions by step and state, path by path."""
    total = 0.0
    P, r = mdp.to_dense()
    terminal = np.asarray(mdp.terminal)
    for path in itertools.product(range(3), repeat=4):
        p, gain = np.asarray(mdp.initial)[path[0]], 0.0
        for h in range(3):
            a = policy[h][path[h]]
            p *= P[h, path[h], a, path[h + 1]]
            gain += 0.5**h * r[h, path[h], a]
        total += p * (gain + 0.5**3 * terminal[path[3]])
    return float(total)


def test_finite_horizon_episodes_earn_the_value_of_all_paths():
    mdp, n = stacked(), 4000
    policy = [[0, 1, 0], [1, 1, 0], [0, 0, 1]]
    env, gains = to_gymnasium(mdp), []
    for i in range(n):
        s, _ = env.reset(seed=1 if i == 0 else None)
        gain, truncated, h = 0.0, False, 0
        while not truncated:
            s, r, terminated, truncated, _ = env.step(policy[h][s])
            assert not terminated
            gain += 0.5**h * r
            h += 1
        assert h == 3
        gains.append(gain)
    with pytest.raises(InvalidModelError, match="time limit 3 has passed"):
        env.step(0)
    exact = enumerated(mdp, policy)
    span = 1.75 + 0.375  # rewards lie in [0, 1), the terminal one in [1, 3] times 1/8
    radius = span * math.sqrt(math.log(2 / 1e-9) / (2 * n))
    assert abs(np.mean(gains) - exact) <= radius
    assert abs(np.mean(gains) - enumerated(mdp, [[1, 0, 1]] * 3)) > radius, "another policy"


def test_what_changes_with_the_step_has_no_table():
    env = to_gymnasium(stacked())
    assert not hasattr(env, "P")
    with pytest.raises(InvalidModelError, match="no transition table"):
        from_gymnasium(env, 0.5)


def frequencies(env: Any, policy: Any, episodes: int) -> np.ndarray:
    """State after two steps, (S,)."""
    rng, seen = np.random.default_rng(0), np.zeros(env.mdp.n_states)
    for i in range(episodes):
        s, _ = env.reset(seed=2 if i == 0 else None)
        for _ in range(2):
            s = env.step(int(policy.act(s, rng)[0]))[0]
        seen[s] += 1 / episodes
    return seen


def test_successors_have_the_law_of_the_model(monkeypatch: pytest.MonkeyPatch):
    mdp = models.garnet(5, 3, 4, np.random.default_rng(4), gamma=0.9, ragged=True)
    policy = StochasticPolicy.uniform(mdp)
    P, _ = mdp.to_dense()
    weight = np.zeros(P.shape[:2])
    weight[mdp.pair_state, mdp.action_id] = policy.weight
    chain = np.einsum("sa,sat->st", weight, P)
    law, n = np.asarray(mdp.initial) @ chain @ chain, 6_000
    radius = math.sqrt(math.log(2 * 5 / 1e-9) / (2 * n))
    assert np.abs(frequencies(to_gymnasium(mdp), policy, n) - law).max() <= radius

    def off_by_one(p: np.ndarray, rng: np.random.Generator) -> int:
        return int(min(np.searchsorted(np.cumsum(p), rng.random()) + 1, p.size - 1))

    monkeypatch.setattr("mdplib.io.environment._draw", off_by_one)
    assert np.abs(frequencies(to_gymnasium(mdp), policy, n) - law).max() > radius, "mutant"


def test_environment_refusals():
    with pytest.raises(InvalidModelError, match="time_limit is 3 but the model's horizon is 4"):
        to_gymnasium(models.deep_sea(4), time_limit=3)
    with pytest.raises(InvalidModelError, match="time_limit is 0"):
        to_gymnasium(models.chain(), time_limit=0)
    env = to_gymnasium(models.chain(4))
    with pytest.raises(InvalidModelError, match="options ask for state 4"):
        env.reset(options={"state": 4})
    assert env.reset(options={"state": 3})[0] == 3
    policy = DeterministicPolicy.from_actions(env.mdp, [1] * 4)
    assert env.step(int(policy.act(3, np.random.default_rng(0))))[1] == 1.0
