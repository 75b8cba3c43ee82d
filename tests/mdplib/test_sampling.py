"""Samplers against exact laws: occupancies by matrix powers, frequencies within exact radii."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from mdplib import (
    DeterministicPolicy,
    InvalidModelError,
    MarkovPolicy,
    StochasticPolicy,
    TabularMDP,
    _kernels,
    models,
)
from mdplib.sampling import (
    Trajectories,
    generative_counts,
    plugin_model,
    rollout,
    streams,
)

RISK = 1e-9


def radius(n: int, statements: int) -> float:
    """Hoeffding: all of so many frequencies over n draws are this near, but for RISK."""
    return math.sqrt(math.log(2 * statements / RISK) / (2 * n))


def ragged() -> TabularMDP:
    """Four states, up to three actions, rows of one to four successors, one stored zero."""
    data = """
        0.2 0.3 0.5   0.9 0.1   0.1 0.2 0.3 0.4   1.0   0.6 0.4   0.0 1.0   0.25 0.5 0.25
        0.05 0.95
    """
    return TabularMDP(
        np.array([0, 2, 3, 6, 8], dtype=np.int32),
        np.array([0, 3, 5, 9, 10, 12, 14, 17, 19], dtype=np.int32),
        np.array([0, 1, 3, 1, 2, 0, 1, 2, 3, 2, 0, 3, 1, 2, 0, 2, 3, 1, 3], dtype=np.int32),
        np.array([float(p) for p in data.split()]),
        np.array([0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, -0.8]),
        np.array([0, 2, 1, 0, 1, 2, 0, 3], dtype=np.int32),
        gamma=0.9,
        initial=np.array([0.4, 0.3, 0.2, 0.1]),
    )


def behaviour(mdp: TabularMDP) -> StochasticPolicy:
    weight = np.array([0.75, 0.25, 1.0, 0.2, 0.3, 0.5, 0.0, 1.0])
    return StochasticPolicy.from_weights(mdp, weight)


def joint_law(mdp: TabularMDP, policy: StochasticPolicy, length: int) -> np.ndarray:
    """P(pair k and successor t at step h), (length, K, S), by powers of dense matrices."""
    P = np.zeros((mdp.n_pairs, mdp.n_states))
    for k in range(mdp.n_pairs):
        for j in range(mdp.indptr[k], mdp.indptr[k + 1]):
            P[k, mdp.indices[j]] += mdp.data[j]
    mu = np.asarray(mdp.initial)
    law = []
    for _ in range(length):
        pairs = policy.weight * mu[mdp.pair_state]
        law.append(pairs[:, None] * P)
        mu = law[-1].sum(axis=0)
    return np.array(law)


def follows(runs: Trajectories, law: np.ndarray) -> bool:
    """Whether joint frequencies of pair and successor fit `law` at every step."""
    n, length = runs.pairs.shape
    seen = np.zeros_like(law)
    for h in range(length):
        np.add.at(seen[h], (runs.pairs[:, h], runs.successors[:, h]), 1 / n)
    return bool(np.abs(seen - law).max() <= radius(n, law.size) and not seen[law == 0].any())


# ----------------------------------------------------------------------- streams


def test_streams_are_those_of_the_documented_seed_sequences():
    import zlib

    found = streams(5, "study", 3)
    for i, generator in enumerate(found):
        seed = np.random.SeedSequence(5, spawn_key=(zlib.crc32(b"study"), 3, i))
        assert generator.random(4).tolist() == np.random.default_rng(seed).random(4).tolist()
    assert found._fields == ("instance", "env", "algorithm", "evaluation")


def test_streams_differ_by_root_key_and_purpose():
    first = [
        g.random()
        for args in [(0,), (1,), (0, 0), (0, 1), (0, "a"), (0, "b"), (0, "a", 0), (0, 0, "a")]
        for g in streams(args[0], *args[1:])
    ]
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("key", [-1, 2**32])
def test_streams_refuse_keys_that_would_collide(key: int):
    with pytest.raises(InvalidModelError, match=r"key\[1\] is"):
        streams(0, "a", key)
    with pytest.raises(InvalidModelError, match="entropy is -1"):
        streams(-1)


# ------------------------------------------------------------------------ rollout


def test_rollout_has_the_exact_law():
    mdp = ragged()
    runs = rollout(mdp, behaviour(mdp), 40_000, 6, streams(0, "law").env)
    assert follows(runs, joint_law(mdp, behaviour(mdp), 6))
    assert np.array_equal(runs.states, mdp.pair_state[runs.pairs])
    assert np.array_equal(runs.actions, mdp.action_id[runs.pairs])
    assert np.array_equal(runs.rewards, mdp.reward[runs.pairs])
    assert np.array_equal(runs.successors[:, :-1], runs.states[:, 1:])


def off_by_one(ptr, weight, row, uniform, out):
    """Mutant: `searchsorted` on the right bound of each piece, one too far."""
    for i in range(row.size):
        first, end = ptr[row[i]], ptr[row[i] + 1]
        cumulative = np.cumsum(weight[first:end])
        out[i] = min(first + np.searchsorted(cumulative, uniform[i]) + 1, end - 1)


def equally_likely(ptr, weight, row, uniform, out):
    """Mutant: the weights are ignored."""
    for i in range(row.size):
        first, end = ptr[row[i]], ptr[row[i] + 1]
        out[i] = first + int(uniform[i] * (end - first))


def slightly_biased(ptr, weight, row, uniform, out):
    """Mutant: uniform numbers a little too small."""
    for i in range(row.size):
        first, end = ptr[row[i]], ptr[row[i] + 1]
        cumulative = np.cumsum(weight[first:end])
        out[i] = first + np.searchsorted(cumulative, 0.9 * uniform[i], side="right")


@pytest.mark.parametrize("mutant", [off_by_one, equally_likely, slightly_biased])
def test_broken_samplers_are_caught(mutant: Callable, monkeypatch: pytest.MonkeyPatch):
    mdp = ragged()
    monkeypatch.setattr(_kernels.simulation, "draw", mutant)
    runs = rollout(mdp, behaviour(mdp), 20_000, 3, streams(0, "law").env)
    assert not follows(runs, joint_law(mdp, behaviour(mdp), 3))


def test_one_number_for_action_and_successor_is_caught():
    """Mutant: the generator hands out the same uniform numbers for both purposes."""

    class Repeats:
        def __init__(self) -> None:
            self.rng = np.random.default_rng(0)

        def random(self, shape):
            if isinstance(shape, int):
                return self.rng.random(shape)
            return np.repeat(self.rng.random((1, shape[1])), shape[0], axis=0)

    mdp = ragged()
    runs = rollout(mdp, behaviour(mdp), 20_000, 3, Repeats())  # type: ignore[arg-type]
    assert not follows(runs, joint_law(mdp, behaviour(mdp), 3))


@pytest.mark.parametrize("u", [0.0, 0.5, 1 - 2**-53])
def test_weights_of_zero_are_never_drawn(u: float):
    ptr = np.array([0, 4, 7], dtype=np.int32)
    weight = np.array([0.0, 0.5, 0.5, 0.0, 0.0, 0.1, 0.0])
    out = np.empty(2, dtype=np.int32)
    _kernels.simulation.draw(ptr, weight, np.array([0, 1], dtype=np.int32), np.full(2, u), out)
    assert out.tolist() == [1 if u < 0.5 else 2, 5]


def test_rollout_is_determined_by_the_seed():
    mdp = ragged()
    first, again, other = (
        rollout(mdp, behaviour(mdp), 50, 5, streams(seed, "x").env) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.pairs, again.pairs)
    assert np.array_equal(first.final, again.final)
    assert not np.array_equal(first.pairs, other.pairs)


def test_policies_share_the_noise():
    """Actions without effect: whatever the policy, equal generators give equal states."""
    P = np.repeat(np.random.default_rng(0).dirichlet(np.ones(5), size=5)[:, None], 3, axis=1)
    mdp = TabularMDP.from_dense(P, np.zeros((5, 3)), 0.9, initial=np.full(5, 0.2))
    policies = (
        StochasticPolicy.uniform(mdp),
        DeterministicPolicy.from_actions(mdp, [0, 1, 2, 0, 1]),
        MarkovPolicy(tuple(DeterministicPolicy.from_actions(mdp, [h % 3] * 5) for h in range(8))),
    )
    runs = [rollout(mdp, policy, 30, 8, np.random.default_rng(4)) for policy in policies]
    assert all(np.array_equal(runs[0].states, other.states) for other in runs[1:])


def steps_model() -> TabularMDP:
    """Two states; at step h both actions go to state h % 2 or stay, and pay 10 h + s or 100."""
    layers = [
        TabularMDP.from_dict(
            {s: {0: [(1.0, h % 2, 10.0 * h + s)], 1: [(1.0, s, 100.0)]} for s in (0, 1)},
            gamma=0.5,
        )
        for h in range(3)
    ]
    return TabularMDP.from_layers(layers, terminal=[7.0, 9.0], initial=[0.0, 1.0])


def test_steps_use_their_own_kernel_reward_and_policy():
    mdp = steps_model()
    policy = MarkovPolicy(
        (
            DeterministicPolicy.from_actions(mdp, [0, 0], h=0),
            DeterministicPolicy.from_actions(mdp, [1, 1], h=1),
            DeterministicPolicy.from_actions(mdp, [0, 0], h=2),
        )
    )
    runs = rollout(mdp, policy, 2, None, np.random.default_rng(0))
    assert runs.states.tolist() == [[1, 0, 0]] * 2
    assert runs.rewards.tolist() == [[1.0, 100.0, 20.0]] * 2
    assert runs.final.tolist() == [0, 0]
    assert runs.returns().tolist() == [1 + 50 + 5 + 0.125 * 7] * 2
    assert runs.returns(1.0).tolist() == [128.0] * 2
    short = rollout(mdp, policy, 1, 2, np.random.default_rng(0))
    assert short.returns(1.0).tolist() == [101.0], "the terminal reward is not due yet"


def test_stochastic_policy_on_stacked_kernels():
    mdp = steps_model()
    weight = np.tile([0.25, 0.75], 6)
    runs = rollout(
        mdp, StochasticPolicy.from_weights(mdp, weight), 20_000, None, np.random.default_rng(0)
    )
    assert np.abs((runs.actions == 1).mean(axis=0) - 0.75).max() <= radius(20_000, 3)
    for h in range(3):
        assert np.array_equal(mdp.pair_state[runs.pairs[:, h]], runs.states[:, h])
        assert np.all(runs.pairs[:, h] // 4 == h)


def test_mean_return_is_the_value():
    sea = models.deep_sea(4, slip=0.25, cost=0.4)
    right = DeterministicPolicy.from_actions(sea, [1] * 10 + [0])
    runs = rollout(sea, right, 40_000, None, np.random.default_rng(0))
    exact = 0.75**3 - 0.1 * sum(0.75**i for i in range(4))
    # Off the diagonal the policy goes on paying for nothing.
    exact -= 0.1 * sum(1 - 0.75**i for i in range(4))
    assert abs(runs.returns().mean() - exact) <= 1.4 * radius(40_000, 1)


def test_given_starts():
    mdp = ragged().replace(initial=None)
    policy = behaviour(ragged())
    starts = [3, 1, 2]
    assert rollout(mdp, policy, 3, 2, np.random.default_rng(0), start=starts).states[:, 0].tolist()
    runs = rollout(mdp, policy, 3, 0, np.random.default_rng(0), start=starts)
    assert runs.final.tolist() == starts
    assert runs.returns().tolist() == [0.0] * 3
    runs = rollout(mdp, policy, 3, 1, np.random.default_rng(0), start=2)
    assert runs.states.tolist() == [[2]] * 3
    assert not runs.states.flags.writeable


def test_rollout_refusals():
    mdp, rng = ragged(), np.random.default_rng(0)
    policy = behaviour(mdp)
    with pytest.raises(InvalidModelError, match="no initial law"):
        rollout(mdp.replace(initial=None), policy, 1, 1, rng)
    with pytest.raises(InvalidModelError, match="no horizon"):
        rollout(mdp, policy, 1, None, rng)
    with pytest.raises(InvalidModelError, match="at most the horizon 3"):
        rollout(steps_model(), StochasticPolicy.uniform(steps_model()), 1, 4, rng)
    with pytest.raises(InvalidModelError, match="n is 0"):
        rollout(mdp, policy, 0, 1, rng)
    with pytest.raises(InvalidModelError, match=r"start\[1\] is 4"):
        rollout(mdp, policy, 2, 1, rng, start=[0, 4])
    with pytest.raises(InvalidModelError, match=r"start has shape \(3,\)"):
        rollout(mdp, policy, 2, 1, rng, start=[0, 1, 2])


# ------------------------------------------------------------- generative samples


def frequencies_fit(mdp: TabularMDP, counts: np.ndarray, n: int) -> bool:
    sums = [counts[a:b].sum() for a, b in zip(mdp.indptr[:-1], mdp.indptr[1:], strict=True)]
    near = np.abs(counts / n - mdp.data).max() <= radius(n, mdp.nnz)
    return bool(near and np.all(np.array(sums) == n) and not counts[mdp.data == 0].any())


def test_generative_counts_are_multinomial():
    mdp, n = ragged(), 50_000
    counts = generative_counts(mdp, n, np.random.default_rng(0))
    assert counts.dtype == np.int64
    assert frequencies_fit(mdp, counts, n)
    again = generative_counts(mdp, n, np.random.default_rng(0))
    assert np.array_equal(counts, again)


def test_wrong_multinomials_are_caught():
    """Mutants: independent binomials, and sequential ones that forget to condition."""
    mdp, n, rng = ragged(), 50_000, np.random.default_rng(0)
    independent = rng.binomial(n, mdp.data)
    assert not frequencies_fit(mdp, independent, n)
    forgetful = np.zeros(mdp.nnz, dtype=np.int64)
    for a, b in zip(mdp.indptr[:-1], mdp.indptr[1:], strict=True):
        left = n
        for j in range(a, b):
            forgetful[j] = left if j == b - 1 else rng.binomial(left, mdp.data[j])
            left -= forgetful[j]
    assert not frequencies_fit(mdp, forgetful, n)


def test_counts_of_a_pair_vary_like_a_multinomial():
    """With n = 1 each pair draws one successor, so products of counts within a row vanish."""
    mdp = ragged()
    for seed in range(50):
        counts = generative_counts(mdp, 1, np.random.default_rng(seed))
        assert sorted(set(counts.tolist())) == [0, 1]
        assert np.add.reduceat(counts, mdp.indptr[:-1]).tolist() == [1] * mdp.n_pairs


def test_samples_per_pair():
    mdp = ragged()
    wanted = np.arange(8)
    counts = generative_counts(mdp, wanted, np.random.default_rng(0))
    assert np.add.reduceat(counts, mdp.indptr[:-1]).tolist() == wanted.tolist()
    for bad in (-1, 1.5, [1, 2]):
        with pytest.raises(InvalidModelError, match="one for each of the 8 pairs"):
            generative_counts(mdp, bad, np.random.default_rng(0))


def test_plugin_model():
    mdp = ragged()
    counts = generative_counts(mdp, 7, np.random.default_rng(0))
    plugin = plugin_model(mdp, counts)
    assert plugin.data.tolist() == [float(Fraction(int(c), 7)) for c in counts]
    assert plugin.replace(data=mdp.data) == mdp, "nothing else changes"
    counts[mdp.indptr[3] : mdp.indptr[4]] = 0
    with pytest.raises(InvalidModelError, match=r"pair 3 \(s=2, a=0\) was never sampled. 1 of 8"):
        plugin_model(mdp, counts)
    with pytest.raises(InvalidModelError, match="one integer for each of the 19"):
        plugin_model(mdp, counts[:-1])
    impossible = np.ones(mdp.nnz, dtype=int)
    with pytest.raises(InvalidModelError, match=r"counts\[12\] is 1 for a transition of prob"):
        plugin_model(mdp, impossible)
