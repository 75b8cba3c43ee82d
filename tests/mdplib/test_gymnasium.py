"""Gymnasium environments against a plain loop over their own tables."""

from __future__ import annotations

import itertools
import math
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import solvers
from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    MissingExtraError,
    StochasticPolicy,
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


# ----------------------------------------------------------------------- environments


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
