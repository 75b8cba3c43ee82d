"""Offline data for linear models against exact laws and plain loops."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest

import mdplib.linear_offline
import mdplib.linear_sampling
from mdplib import InvalidModelError, LinearData, LinearMDP, models, sampling
from mdplib._kernels import mixture
from mdplib.coverage import mixed_policy, occupancy
from mdplib.linear import Features
from mdplib.linear_lift import lift_policy
from mdplib.statistics import clopper_pearson
from tests.mutation import mutant

CONFIDENCE = 1 - 1e-6  # of each interval; fewer than 1000 are looked at


def ending() -> LinearMDP:
    """Return a model in which action 1 ends the episode, and one state cannot go on."""
    rng = np.random.default_rng(0)
    ends = np.array([[False, True], [False, True], [True, True]])
    phi = rng.dirichlet(np.ones(3), (3, 2))
    phi[ends] = 0.0
    features = Features.from_dense(phi, ends=ends)
    mu = rng.dirichlet(np.ones(3), (4, 3))
    return LinearMDP(features, rng.random((4, 6)), mu, initial=np.array([0.5, 0.5, 0.0]))


def data_of(mdp: LinearMDP, n: int, seed: int = 0, **options: Any) -> LinearData:
    return LinearData.collect(mdp, mdp.uniform, n, np.random.default_rng(seed), **options)


def frequencies_fit(mdp: LinearMDP, data: LinearData, behaviour: Any) -> bool:
    """Check frequencies of pairs, and of successors given the pair, against exact laws."""
    w = occupancy(mdp, behaviour)
    for h in range(mdp.horizon):
        counts = Counter(zip(data.pair[h].tolist(), data.next[h].tolist(), strict=True))
        kernel = mdp.kernel(h)
        for k in range(mdp.n_pairs):
            played = sum(c for (pair, _), c in counts.items() if pair == k)
            found = clopper_pearson(played, data.n_trajectories, CONFIDENCE)
            if not found.low <= w[h, k] <= found.high:
                return False
            if mdp.features.ended[k] or not played:
                continue
            for t in range(mdp.n_states):
                found = clopper_pearson(counts[k, t], played, CONFIDENCE)
                if not found.low <= kernel[k, t] <= found.high:
                    return False
    return True


@pytest.mark.parametrize(
    "mdp", [ending(), models.random_simplex_mdp(5, 2, 3, 3, np.random.default_rng(4))]
)
def test_frequencies_of_linear_and_tabular_environments(mdp: LinearMDP):
    behaviour = mixed_policy(mdp, mdp.optimal()[1], mdp.uniform, 0.4)
    rng = np.random.default_rng(1)
    assert frequencies_fit(mdp, LinearData.collect(mdp, behaviour, 20_000, rng), behaviour)
    lifted = mdp.tabular()
    data = LinearData.collect(lifted, behaviour, 20_000, rng, mdp.features)
    assert frequencies_fit(mdp, data, behaviour)
    assert data.reward == pytest.approx(mdp.reward)
    above = lift_policy(mdp.features, behaviour, mdp.horizon, stacked=True)
    data = LinearData.collect(lifted, above, 20_000, rng, mdp.features)
    assert frequencies_fit(mdp, data, behaviour)


def test_a_sampler_that_ignores_the_features_is_caught():
    mdp = models.random_simplex_mdp(5, 2, 3, 3, np.random.default_rng(4))
    broken = mutant(mdplib.linear_sampling, ("draw(phi, k, uniform[0], factor)", "factor[:] = 1"))
    drawn = broken.collect(mdp, mdp.uniform, 20_000, np.random.default_rng(0), None, None)
    assert not frequencies_fit(mdp, LinearData(*drawn), mdp.uniform)


def test_trajectories_hang_together():
    mdp = ending()
    data = data_of(mdp, 500)
    owner, ends = mdp.features.pair_state, mdp.features.ended
    for h in range(mdp.horizon):
        for i in range(500):
            k, t = data.pair[h, i], data.next[h, i]
            assert data.states[h, i] == (owner[k] if k >= 0 else -1)
            assert (t < 0) == (k < 0 or ends[k])
            if h + 1 < mdp.horizon:
                assert data.states[h + 1, i] == t
    assert (data.pair[-1] < 0).any()
    assert not data.pair.flags.writeable


def test_equal_seeds_and_chosen_starts():
    mdp = models.five_state()
    assert np.array_equal(data_of(mdp, 50).pair, data_of(mdp, 50).pair)
    assert not np.array_equal(data_of(mdp, 50).pair, data_of(mdp, 50, 1).pair)
    assert (data_of(mdp, 5, start=1).states[0] == 1).all()
    assert data_of(mdp, 3, start=[2, 0, 1]).states[0].tolist() == [2, 0, 1]
    for start, words in ((5, r"start\[0\] is 5"), ([0, 1], "start has shape")):
        with pytest.raises(InvalidModelError, match=words):
            data_of(mdp, 3, start=start)
    with pytest.raises(InvalidModelError, match="no initial law"):
        data_of(mdp.replace(initial=None), 3)


def test_the_noise_of_a_trajectory_is_its_own():
    """Trajectories that end take their share of the noise, so the others stay as they are."""
    mdp = ending()
    full = data_of(mdp, 40, start=0)
    some = data_of(mdp, 40, start=[2] * 20 + [0] * 20)
    assert (some.next[0, :20] == -1).all()
    assert np.array_equal(full.pair[:, 20:], some.pair[:, 20:])
    assert np.array_equal(full.next[:, 20:], some.next[:, 20:])


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_the_number_of_trajectories_is_checked(n: Any):
    with pytest.raises(InvalidModelError, match="at least one trajectory"):
        data_of(models.five_state(), n)


def test_environments_that_do_not_fit_are_refused():
    rng, mdp = np.random.default_rng(0), models.five_state()
    with pytest.raises(InvalidModelError, match="has its own features"):
        LinearData.collect(mdp, mdp.uniform, 3, rng, ending().features)
    with pytest.raises(InvalidModelError, match="must describe the same pairs"):
        LinearData.collect(mdp.tabular(), mdp.uniform, 3, rng, ending().features)
    wood = models.forest(gamma=0.9)
    with pytest.raises(InvalidModelError, match="no horizon"):
        LinearData.collect(wood, mdp.uniform, 3, rng)


@pytest.mark.parametrize(
    ("pair", "after", "words"),
    [
        (np.empty((2, 0), int), np.empty((2, 0), int), "no transition"),
        (np.full((2, 3), -1), np.full((2, 3), -1), "no transition"),
        ([[0, 6]], [[0, 0]], r"pair\[h=0, 1\] is 6, outside the pairs 0..5"),
        ([[0, 0]], [[3, 0]], r"next\[h=0, 0\] is 3, outside the states 0..2"),
        ([[0, -2]], [[0, 0]], r"pair\[h=0, 1\] is -2"),
        ([[1, 0]], [[0, 0]], "trajectory 0 plays pair 1 at step 0 and reaches state 0"),
        ([[0, -1]], [[-1, -1]], "trajectory 0 plays pair 0 at step 0 and reaches state -1"),
        ([[0, -1]], [[0, 1]], "trajectory 1 plays pair -1"),
        ([[0, 0]], [[0]], "next has shape"),
        ([[0.5]], [[0]], "pair has dtype float64"),
    ],
)
def test_data_outside_the_model_are_refused(pair: Any, after: Any, words: str):
    mdp = ending()
    reward = mdp.reward[: len(pair)]
    with pytest.raises(InvalidModelError, match=words):
        LinearData(mdp.features, reward, pair, after)


def test_rewards_are_checked():
    mdp = ending()
    data = data_of(mdp, 10)
    with pytest.raises(InvalidModelError, match="reward has shape"):
        LinearData(mdp.features, mdp.reward[:2], data.pair, data.next)
    with pytest.raises(InvalidModelError, match="is inf"):
        LinearData(mdp.features, np.full(6, np.inf), data.pair, data.next)
    assert LinearData(mdp.features, np.ones(6), data.pair, data.next).rewards_in_unit_interval
    assert not LinearData(
        mdp.features, np.full(6, 2.0), data.pair, data.next
    ).rewards_in_unit_interval


def test_summaries_against_loops():
    data = data_of(ending(), 300)
    phi = data.features.phi
    for h in range(data.horizon):
        gram, count, moved = np.zeros((3, 3)), np.zeros(6, int), Counter()
        for k, t in zip(data.pair[h].tolist(), data.next[h].tolist(), strict=True):
            if k >= 0:
                gram += np.outer(phi[k], phi[k])
                count[k] += 1
                moved[k, t] += 1
        assert data.gram(h) == pytest.approx(gram, abs=1e-9)
        assert data.counts[h].tolist() == count.tolist()
        found = data.transitions(h)
        rows = list(zip(found.pair.tolist(), found.next.tolist(), strict=True))
        assert rows == sorted(moved)
        assert dict(zip(rows, found.count.tolist(), strict=True)) == moved
    with pytest.raises(InvalidModelError, match="step 4 is outside"):
        data.gram(4)


def test_parts_and_their_union():
    data = data_of(ending(), 40)
    mask = np.arange(40) % 2 == 0
    parts = [data.subset(mask), data.subset(~mask)]
    joined = LinearData.concatenate(parts)
    assert np.array_equal(joined.counts, data.counts)
    assert np.array_equal(joined.pair[:, :20], data.pair[:, ::2])
    assert data.subset([3, 3]).n_trajectories == 2
    with pytest.raises(InvalidModelError, match="no transition"):
        data.subset(slice(0, 0))
    with pytest.raises(InvalidModelError, match="data set 1 has other"):
        LinearData.concatenate([data, data_of(models.five_state(), 2)])
    with pytest.raises(InvalidModelError, match="nothing to join"):
        LinearData.concatenate([])


# ------------------------------------------------------------ tabular data sets


@pytest.mark.parametrize("mdp", [models.five_state(), ending()], ids=["five", "ending"])
def test_tabular_data_sets_become_linear(mdp: LinearMDP):
    lifted = mdp.tabular()
    policy = lift_policy(mdp.features, mdp.uniform, mdp.horizon, stacked=not lifted.stationary)
    raw = sampling.offline_dataset(lifted, policy, 60, None, np.random.default_rng(0))
    data = LinearData.from_offline(raw, mdp.features, mdp.reward)
    assert data.n_trajectories == 60
    s, a = raw.s.reshape(60, -1).T, raw.a.reshape(60, -1).T
    t = raw.t.reshape(60, -1).T
    over = mdp.n_states
    for h in range(mdp.horizon):
        for i in range(60):
            if s[h, i] == over:
                assert data.pair[h, i] == data.next[h, i] == -1
            else:
                assert data.states[h, i] == s[h, i]
                assert data.features.action_id[data.pair[h, i]] == a[h, i]
                assert data.next[h, i] == (-1 if t[h, i] == over else t[h, i])


def test_damaged_tabular_data_sets_are_refused():
    mdp = models.five_state()
    raw = sampling.offline_dataset(mdp.tabular(), mdp.uniform, 4, None, np.random.default_rng(0))

    def changed(**columns: Any) -> Any:
        fields = {name: getattr(raw, name) for name in ("s", "a", "r", "t", "h", "pair")}
        return type(raw)(**(fields | columns))

    def take(which: Any) -> Any:
        return changed(**{n: getattr(raw, n)[which] for n in ("s", "a", "r", "t", "h", "pair")})

    for data, words in (
        (take(slice(0, 0)), "no transition"),
        (take([1, 0, 2]), "transition 0 has step 1 after step -1"),
        (take([0, 2]), "transition 1 has step 2 after step 0"),
        (changed(s=raw.s + 5), "outside the states 0..4"),
        (changed(a=raw.a + 16), "not admissible"),
    ):
        with pytest.raises(InvalidModelError, match=words):
            LinearData.from_offline(data, mdp.features, mdp.reward)
    with pytest.raises(InvalidModelError, match="horizon 2 is too short"):
        LinearData.from_offline(raw, mdp.features, mdp.reward[:2], horizon=2)
    short = LinearData.from_offline(take([0, 3, 4]), mdp.features, mdp.reward, horizon=3)
    assert (short.pair >= 0).sum(axis=0).tolist() == [1, 2]


# ---------------------------------------------------------------- size and kernel


def test_memory_does_not_grow_with_the_dimension():
    mdp = models.random_simplex_mdp(20, 2, 60, 10, np.random.default_rng(0))
    data_of(mdp, 10)
    tracemalloc.start()
    data = data_of(mdp, 50_000)
    size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data.pair.nbytes + data.next.nbytes == 2 * 4 * 10 * 50_000
    assert peak < 3 * (data.pair.nbytes + data.next.nbytes)  # phi of all samples: 60 times that
    assert size < 1.5 * (data.pair.nbytes + data.next.nbytes)


def test_draws_by_bisection_equal_a_scan():
    rng = np.random.default_rng(0)
    weights = rng.random((5, 7)) * (rng.random((5, 7)) < 0.6)
    weights[:, 3] += 0.1
    cumulative = weights.cumsum(axis=1)
    row, out = rng.integers(0, 5, 3000).astype(np.int32), np.empty(3000, np.int32)
    uniform = rng.random(3000)
    uniform[:4] = [0.0, np.nextafter(1.0, 0.0), 1.0, 0.5]
    mixture.draw(cumulative, row, uniform, out)
    for i in range(3000):
        line = cumulative[row[i]]
        above = np.flatnonzero(line > uniform[i] * line[-1])
        wanted = above[0] if above.size else np.flatnonzero(weights[row[i]])[-1]
        assert out[i] == wanted
        assert weights[row[i], out[i]] > 0
