"""Offline data sets and the models estimated from them."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    MarkovPolicy,
    StochasticPolicy,
    TabularMDP,
    models,
)
from mdplib.sampling import (
    OfflineData,
    offline_dataset,
    rollout,
)
from tests.mdplib.test_sampling import behaviour, ragged, steps_model


def test_offline_data_are_the_rollout():
    mdp = ragged()
    data = offline_dataset(mdp, behaviour(mdp), 7, 5, np.random.default_rng(0))
    runs = rollout(mdp, behaviour(mdp), 7, 5, np.random.default_rng(0))
    columns = (data.s, data.a, data.r, data.t, data.h)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    expected = [
        (s, a, r, t, h)
        for i in range(7)
        for h, (s, a, r, t) in enumerate(
            zip(
                runs.states[i].tolist(),
                runs.actions[i].tolist(),
                runs.rewards[i].tolist(),
                runs.successors[i].tolist(),
                strict=True,
            )
        )
    ]
    assert list(rows) == expected


def test_counts_by_hand():
    mdp = models.deep_sea(4, slip=0.5)
    data = offline_dataset(
        mdp, StochasticPolicy.uniform(mdp), 50, None, np.random.default_rng(0), start=0
    )
    seen = Counter(zip(data.s.tolist(), data.a.tolist(), data.t.tolist(), strict=True))
    counts = data.counts(mdp)
    place = 0
    for k, (s, a) in enumerate(zip(mdp.pair_state.tolist(), mdp.action_id.tolist(), strict=True)):
        for t in mdp.indices[mdp.indptr[k] : mdp.indptr[k + 1]].tolist():
            assert counts[place] == seen.pop((s, a, t), 0)
            place += 1
    assert not seen
    by_step = data.step_counts(mdp)
    assert by_step.shape == (4, mdp.nnz)
    assert np.array_equal(by_step.sum(axis=0), counts)
    assert by_step.sum(axis=1).tolist() == [50] * 4


def by_hand(data: OfflineData) -> dict[tuple[int, int], tuple[float, dict[int, float]]]:
    """Mean reward and frequencies of each pair, from a loop over the records."""
    successors: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    rewards: dict[tuple[int, int], list[float]] = defaultdict(list)
    for s, a, r, t in zip(*(x.tolist() for x in (data.s, data.a, data.r, data.t)), strict=True):
        successors[s, a][t] += 1
        rewards[s, a].append(r)
    return {
        pair: (sum(rewards[pair]) / law.total(), {t: c / law.total() for t, c in law.items()})
        for pair, law in successors.items()
    }


def as_table(mdp: TabularMDP) -> dict[tuple[int, int], tuple[float, dict[int, float]]]:
    return {
        (s, a): (outcomes[0][2], {t: p for p, t, _ in outcomes})
        for s, row in mdp.to_dict().items()
        for a, outcomes in row.items()
    }


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for pair, (reward, law) in expected.items():
        assert found[pair][0] == pytest.approx(reward, abs=1e-12)
        assert found[pair][1] == pytest.approx(law, abs=1e-15)


def test_empirical_model():
    mdp = ragged()
    uniform = StochasticPolicy.uniform(mdp)
    data = offline_dataset(mdp, uniform, 40, 10, np.random.default_rng(0))
    model = data.model(mdp)
    assert_same(as_table(model), by_hand(data))
    assert model.gamma == 0.9
    assert model.initial is not None
    assert model.initial.tolist() == [0.4, 0.3, 0.2, 0.1]


def test_pairs_that_never_occur_are_never_filled_in_silence():
    mdp = ragged()
    data = offline_dataset(mdp, behaviour(mdp), 60, 10, np.random.default_rng(0))
    with pytest.raises(InvalidModelError, match=r"pair 6 \(s=3, a=0\) never occurs. 1 of 8"):
        data.model(mdp)
    dropped = data.model(mdp, unvisited="drop")
    assert_same(as_table(dropped), by_hand(data))
    assert dropped.actions(3).tolist() == [3]
    stays = data.model(mdp, unvisited="stay")
    assert_same(as_table(stays), by_hand(data) | {(3, 0): (0.0, {3: 1.0})})
    with pytest.raises(InvalidModelError, match="unvisited is 'uniform'"):
        data.model(mdp, unvisited="uniform")  # type: ignore[arg-type]


def test_dropping_the_last_action_of_a_state_is_refused():
    mdp = models.chain(6)
    drift = DeterministicPolicy.from_actions(mdp, [0] * 6)
    data = offline_dataset(mdp, drift, 3, 4, np.random.default_rng(0))
    with pytest.raises(InvalidModelError, match=r"no action of state 1 occurs .* 5 of 6"):
        data.model(mdp, unvisited="drop")


def test_empirical_model_of_stacked_kernels():
    mdp = steps_model()
    weight = np.full(12, 0.5)
    weight[8:10] = 1.0, 0.0  # at step 2, state 0 never stays
    choose = StochasticPolicy.from_weights(mdp, weight)
    data = offline_dataset(mdp, choose, 100, None, np.random.default_rng(0), start=[0, 1] * 50)
    with pytest.raises(InvalidModelError, match=r"pair 9 \(s=0, a=1\) never occurs. 1 of 12"):
        data.model(mdp)
    model = data.model(mdp, unvisited="stay")
    assert model.horizon == 3
    assert not model.stationary
    assert np.delete(model.reward, 9) == pytest.approx(np.delete(mdp.reward, 9), rel=1e-15)
    assert np.array_equal(model.indices, mdp.indices), "that pair stays anyway"
    assert model.reward[9] == 0.0
    assert model.terminal is not None
    assert model.terminal.tolist() == [7.0, 9.0]


def test_foreign_data_are_refused():
    mdp = ragged()
    data = offline_dataset(mdp, behaviour(mdp), 5, 5, np.random.default_rng(0))
    other = models.chain(6)
    with pytest.raises(InvalidModelError, match="cannot happen in this model"):
        data.counts(other)
    with pytest.raises(InvalidModelError, match="t has shape"):
        OfflineData(data.s, data.a, data.r, data.t[:-1], data.h, data.pair)
    with pytest.raises(InvalidModelError, match="no horizon"):
        data.step_counts(mdp)
    finite = mdp.replace(horizon=5, reward=np.tile(mdp.reward, (5, 1)))
    with pytest.raises(InvalidModelError, match="change with the step"):
        data.model(finite)


def test_a_markov_policy_that_is_too_short_is_refused():
    mdp = models.chain(3)
    short = MarkovPolicy((DeterministicPolicy.from_actions(mdp, [0, 0, 0]),))
    with pytest.raises(InvalidModelError, match="step 1 is outside the horizon"):
        rollout(mdp, short, 1, 2, np.random.default_rng(0))
