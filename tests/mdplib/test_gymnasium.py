"""Gymnasium environments against a plain loop over their own tables."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import solvers
from mdplib import (
    InvalidModelError,
    MissingExtraError,
    TabularMDP,
    models,
)
from mdplib.io import from_gymnasium, to_gymnasium
from mdplib.sampling import rollout, streams

# Value at the initial law for gamma = 0.99, from value iteration in floating point: good to about
# 2e-12, and for FrozenLake below the proven lower bound by that much.
KNOWN = {
    "FrozenLake-v1": 0.542025931998744,
    "FrozenLake8x8-v1": 0.4146403617986894,
    "Taxi-v4": 6.327464314919367,
    "CliffWalking-v1": -12.247897700103202,
}


def by_plain_loop(name: str, gamma: float, sweeps: int, heed_flag: bool = True) -> float:
    """Value iteration over ``env.unwrapped.P``; nothing follows a terminated transition."""
    env = gymnasium.make(name).unwrapped
    V = np.zeros(len(env.P))  # type: ignore[attr-defined]
    for _ in range(sweeps):
        V = np.array(
            [
                max(
                    sum(
                        p * (r + gamma * V[t] * (not (heed_flag and end)))
                        for p, t, r, end in outcomes
                    )
                    for outcomes in row.values()
                )
                for row in env.P.values()  # type: ignore[attr-defined]
            ]
        )
    return float(env.initial_state_distrib @ V)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", KNOWN)
def test_value_at_the_start(name: str):
    solution = solvers.solve(from_gymnasium(name, gamma=0.99), tol=1e-11)
    low, high = solution.initial
    assert high - low < 1e-9
    assert KNOWN[name] == pytest.approx(low, abs=5e-12 + high - low)
    if name != "Taxi-v4":  # its loop is slow
        assert by_plain_loop(name, 0.99, 1500) == pytest.approx(low, abs=1e-4)


def test_mutant_that_ignores_the_flag_is_far_off():
    assert by_plain_loop("CliffWalking-v1", 0.99, 1500, heed_flag=False) < -99
    assert by_plain_loop("CliffWalking-v1", 0.99, 100) == pytest.approx(
        KNOWN["CliffWalking-v1"], abs=1e-9
    )


def test_taxi_ends_although_its_table_goes_on():
    mdp = from_gymnasium("Taxi-v4", gamma=0.99)
    assert mdp.n_states == 501
    assert mdp.state_labels is not None
    assert mdp.state_labels[-1] == "terminal"
    assert mdp.actions(500).tolist() == [0]


def test_there_and_back():
    mdp = from_gymnasium("FrozenLake-v1", gamma=0.95)
    again = from_gymnasium(to_gymnasium(mdp), gamma=0.95)
    ours, theirs = (solvers.solve(m, tol=1e-10) for m in (mdp, again))
    assert again.n_states == mdp.n_states + 1
    assert theirs.value[: mdp.n_states] == pytest.approx(ours.value, abs=1e-9)
    assert theirs.initial == pytest.approx(ours.initial, abs=1e-9)


@pytest.mark.filterwarnings("ignore:.*render.*:UserWarning")
def test_gymnasiums_own_checker_is_content():
    env = to_gymnasium(from_gymnasium("FrozenLake-v1", gamma=0.95), time_limit=50)
    mdp = TabularMDP.from_dense(np.full((2, 2, 2), 0.5), np.eye(2), 0.9, initial=[0.5, 0.5])
    check_env(to_gymnasium(mdp, time_limit=20), skip_render_check=True)
    observation, info = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    assert info["action_mask"].tolist() == [1, 1, 1, 1]


def test_terminated_and_truncated_are_told_apart():
    mdp = TabularMDP.from_dict(
        {0: {0: [(1.0, 0, 0.0)], 2: [(1.0, 1, 1.0)]}, 1: {0: [(1.0, 1, 0.0)]}},
        gamma=0.9,
        initial=[1.0, 0.0],
    )
    env = to_gymnasium(mdp, time_limit=2)
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [1, 0, 1]
    assert env.step(0)[1:4] == (0.0, False, False), "0 keeps its reward of 0 but has a way out"
    assert env.step(0)[1:4] == (0.0, False, True)
    env.reset(seed=0)
    assert env.step(2)[:4] == (1, 1.0, True, False)
    env.reset(seed=0)
    with pytest.raises(InvalidModelError, match="action 1 is not admissible in state 0"):
        env.step(1)


def test_episodes_earn_the_exact_value():
    mdp = from_gymnasium("FrozenLake-v1", gamma=0.9)
    policy = solvers.solve(mdp, tol=1e-10).policy
    V = solvers.solve(mdp, tol=1e-10).initial[0]
    env, total, n = to_gymnasium(mdp), [], 2000
    observation, _ = env.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(n):
        gain, discount, over = 0.0, 1.0, False
        while not over:
            action = policy.act(observation, rng)
            observation, r, terminated, truncated, _ = env.step(int(action))
            gain, discount = gain + discount * r, discount * 0.9
            over = terminated or truncated
        total.append(gain)
        observation, _ = env.reset()
    radius = np.sqrt(np.log(2 / 1e-6) / (2 * n))  # Hoeffding: returns lie in [0, 1]
    assert abs(np.mean(total) - V) <= radius
    ours = rollout(mdp, policy, n, 200, streams(0, "gym").env).returns(0.9)
    assert abs(ours.mean() - V) <= radius


def test_refusals():
    with pytest.raises(InvalidModelError, match=r"near: .*FrozenLake"):
        from_gymnasium("FrozenLake9x9-v1", 0.9)
    with pytest.raises(InvalidModelError, match="Taxi-v3"):
        from_gymnasium("Taxi-v3", 0.9)
    with pytest.raises(InvalidModelError, match="no transition table"):
        from_gymnasium("CartPole-v1", 0.9)
    mdp = TabularMDP.from_dense([[[1.0]]], [[0.0]], 0.9)
    with pytest.raises(InvalidModelError, match="no initial law"):
        to_gymnasium(mdp)


# ------------------------------------------------------------------ tables, read exactly


def by_hand(table: Any) -> dict[tuple[int, int], tuple[float, dict[int, float]]]:
    """Expected reward and successor law of each pair; S stands for the end."""
    S = len(table)
    found = {}
    for s in range(S):
        for a, outcomes in table[s].items():
            law: dict[int, float] = {}
            for p, t, _, end in outcomes:
                law[S if end else int(t)] = law.get(S if end else int(t), 0.0) + p
            found[s, a] = (sum(p * r for p, _, r, _ in outcomes), law)
    return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FrozenLake-v1", {}),
        ("FrozenLake-v1", {"is_slippery": False, "map_name": "8x8"}),
        ("CliffWalking-v1", {"is_slippery": True}),
        ("Taxi-v4", {"is_rainy": True, "fickle_passenger": True}),
    ],
)
def test_every_pair_of_the_table(name: str, options: dict[str, Any]):
    inner: Any = gymnasium.make(name, **options).unwrapped
    expected = by_hand(inner.P)
    mdp = from_gymnasium(name, 0.9, options=options)
    S = len(inner.P)
    found = mdp.to_dict()
    assert found.pop(S) == {0: [(1.0, S, 0.0)]}
    pairs = {(s, a): row for s in found for a, row in found[s].items()}
    assert pairs.keys() == expected.keys()
    for pair, (reward, law) in expected.items():
        assert pairs[pair][0][2] == pytest.approx(reward, rel=1e-14, abs=1e-14)
        assert {t: p for p, t, _ in pairs[pair]} == pytest.approx(law, abs=1e-15)
    assert mdp.initial is not None
    assert mdp.initial[:S].tolist() == inner.initial_state_distrib.tolist()
    assert mdp.initial[S] == 0
    made = gymnasium.make(name, **options)
    assert from_gymnasium(made, 0.9) == mdp, "wrapped or not, made here or there"


def test_taxi_by_a_loop_that_shares_no_code():
    """The table is deterministic, so value iteration is two lines of numpy."""
    inner: Any = gymnasium.make("Taxi-v4").unwrapped
    cells = [[inner.P[s][a][0] for a in range(6)] for s in range(500)]
    t, r, end = (np.array([[c[i] for c in row] for row in cells]) for i in (1, 2, 3))

    def value(heed_flag: bool) -> float:
        V = np.zeros(500)
        for _ in range(3000):
            V = (r + 0.99 * V[t] * ~(end & heed_flag)).max(axis=1)
        return float(inner.initial_state_distrib @ V)

    assert value(True) == pytest.approx(KNOWN["Taxi-v4"], abs=1e-9)
    assert value(False) == pytest.approx(835.04, abs=0.01), "mutant: the flag is ignored"


class Tabular(gymnasium.Env):
    """The least an environment needs to be read."""

    def __init__(self, table: Any, law: Any = None):
        self.P = table
        if law is not None:
            self.initial_state_distrib = law


def test_outcomes_that_differ_in_flag_or_reward_alone():
    table = {
        0: {0: [(0.25, 1, 1.0, True), (0.25, 1, 2.0, False), (0.5, 1, 4.0, True)]},
        1: {0: [(0.5, 0, 0.0, False), (0.5, 0, 1.0, False)]},
    }
    mdp = from_gymnasium(Tabular(table, [0.5, 0.5]), 0.5)
    assert mdp.to_dict() == {
        0: {0: [(0.25, 1, 2.75), (0.75, 2, 2.75)]},
        1: {0: [(1.0, 0, 0.5)]},
        2: {0: [(1.0, 2, 0.0)]},
    }
    assert mdp.state_labels == ("0", "1", "terminal")


def test_without_an_end_no_state_is_added():
    table = [[[(1.0, 1, 1.0, False)]], [[(1.0, 0, 2.0, False), (0.0, 1, 5.0, True)]]]
    mdp = from_gymnasium(Tabular(table), 0.5)
    assert mdp.n_states == 2
    assert mdp.initial is None
    assert mdp.state_labels is None


def test_horizon_is_passed_on():
    mdp = from_gymnasium("FrozenLake-v1", 1.0, horizon=100)
    assert mdp.horizon == 100
    low, high = solvers.solve(mdp, tol=1e-9).initial
    inner: Any = gymnasium.make("FrozenLake-v1").unwrapped
    V = np.zeros(16)
    for _ in range(100):
        V = np.array(
            [
                max(
                    sum(p * (r + V[t] * (not end)) for p, t, r, end in row) for row in rows.values()
                )
                for rows in inner.P.values()
            ]
        )
    assert low - 1e-9 <= V[0] <= high + 1e-9


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({0: {0: [(1.0, 5, 0.0, False)]}}, r"P\[0\]\[0\] of .* leads with probability 1.0 to 5"),
        ({1: {0: [(1.0, 0, 0.0, False)]}}, r"P\[0\] of .* is not a table"),
        ({0: {0: [(1.0, 0, 0.0)]}}, r"P\[0\] of .* is not a table"),
        ({0: {0: [(0.9, 0, 0.0, False)]}}, r"P\[s=0, a=0, :\] sums to 0.9"),
        ({0: {0: [(1.0, 0, 0.0, False)]}, 1: {}}, "state 1 has no action"),
    ],
)
def test_bad_tables_are_refused(table: Any, message: str):
    with pytest.raises(InvalidModelError, match=message):
        from_gymnasium(Tabular(table), 0.5)


def test_ids_that_cannot_be_made():
    with pytest.raises(InvalidModelError, match=r"Taxi-v3 is not registered .*use Taxi-v4"):
        from_gymnasium("Taxi-v3", 0.9)
    with pytest.raises(InvalidModelError, match="near: FrozenLake-v1"):
        from_gymnasium("frozenlake-v1", 0.9)
    with pytest.raises(InvalidModelError, match="lists all ids"):
        from_gymnasium("zzzzzzzzzzzz", 0.9)
    with pytest.raises(InvalidModelError, match=r"cannot be made: .*unexpected keyword"):
        from_gymnasium("FrozenLake-v1", 0.9, options={"slippery": True})
    with pytest.raises(InvalidModelError, match=r"cannot be made: .*no_such_module"):
        from_gymnasium("no_such_module:FrozenLake-v1", 0.9)
    with pytest.raises(InvalidModelError, match="options go with an id"):
        from_gymnasium(gymnasium.make("FrozenLake-v1"), 0.9, options={})
    assert from_gymnasium("gymnasium:FrozenLake-v1", 0.9).n_states == 17


def test_without_gymnasium_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    for call in (
        lambda: from_gymnasium("FrozenLake-v1", 0.9),
        lambda: to_gymnasium(models.chain()),
    ):
        with pytest.raises(MissingExtraError, match="extra 'gym'"):
            call()
