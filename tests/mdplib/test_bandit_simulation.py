"""The noise is Philox and AS 241, and normal; simulation obeys the identities of the system.

Oracles: Philox on Python integers with the published test vectors, scipy's quantile function, plain
numpy recursions, and the Poisson identity.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import kolmogorov, ndtr, ndtri

from mdplib import DynamicalLinearBandit, models
from mdplib._kernels import bandit_simulation as kernels
from mdplib._kernels import noise
from mdplib.bandit_simulation import (
    LEARNER,
    OUTPUT,
    STATE,
    Schedule,
    noise_block,
    simulate,
    totals,
)
from mdplib.errors import InvalidModelError

WORD = 2**32


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox 4x32 with ten rounds on Python integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, WORD)
        high1, low1 = divmod(0xCD9E8D57 * c2, WORD)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % WORD, (k1 + 0xBB67AE85) % WORD
    return c0, c1, c2, c3


def reference(seed: int, stream: int, t: int) -> float:
    block = stream // 2
    words = philox((t % WORD, t // WORD, block % WORD, block // WORD), (seed % WORD, seed // WORD))
    low, high = words[2:] if stream % 2 else words[:2]
    return float(ndtri((((low + high * WORD) >> 12) + 0.5) * 2.0**-52))


@pytest.mark.parametrize(
    ("counter", "key", "result"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (WORD - 1,) * 4,
            (WORD - 1,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_has_the_published_values(
    counter: tuple[int, int, int, int], key: tuple[int, int], result: tuple[int, int, int, int]
):
    assert philox(counter, key) == result
    seed, t, block = (np.uint64(a + b * WORD) for a, b in (key, counter[:2], counter[2:]))
    first, second = (int(x) for x in noise.philox(seed, block, t))
    assert (first % WORD, first // WORD, second % WORD, second // WORD) == result


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 3))
def test_noise_agrees_with_the_reference(seed: int, stream: int, start: int):
    block = noise_block(seed, stream, start, 2)
    wanted = [reference(seed, stream, start), reference(seed, stream, start + 1)]
    np.testing.assert_allclose(block, wanted, rtol=1e-13, atol=1e-15)


def test_noise_does_not_depend_on_how_it_is_asked_for():
    whole = noise_block(5, STATE + 1, 0, 1000)
    for cut in (1, 7, 500, 999):
        parts = [noise_block(5, STATE + 1, 0, cut), noise_block(5, STATE + 1, cut, 1000 - cut)]
        assert np.array_equal(np.concatenate(parts), whole)
    for size in (1, 2, 3, 5, 17):  # all streams of a round at once
        out = np.empty(size)
        noise.normals(np.uint64(5), np.uint64(123), out)
        assert out.tolist() == [noise_block(5, i, 123, 1)[0] for i in range(size)]
    assert noise.normal(np.uint64(5), np.uint64(STATE + 1), np.uint64(7)) == whole[7]
    assert ndtri(noise.uniform(np.uint64(5), np.uint64(2), np.uint64(7))) == pytest.approx(whole[7])


def test_the_quantile_function_is_accurate_and_odd():
    p = np.concatenate([np.geomspace(1e-16, 0.5, 3000), [2.0**-53, 0.075, 0.925, 1 - 2.0**-53]])
    found = np.array([noise.inverse_normal(x) for x in p])
    np.testing.assert_allclose(found, ndtri(p), rtol=2e-15, atol=1e-16)
    assert np.isfinite(found).all()
    assert noise.inverse_normal(0.5) == 0.0
    x = (np.arange(64) + 0.5) / 64
    assert np.array_equal(
        [noise.inverse_normal(v) for v in x], [-noise.inverse_normal(1 - v) for v in x]
    )
    ends = [noise.centred(np.uint64(bits)) for bits in (0, 2**64 - 1)]
    assert 0 < ends[0] == 1 - ends[1]
    assert noise.inverse_normal(ends[1]) < 8.22


def kolmogorov_p(x: np.ndarray) -> float:
    """Return the p-value of the Kolmogorov-Smirnov distance from the normal law."""
    u = np.sort(ndtr(x))
    k = np.arange(u.size)
    distance = max((u - k / u.size).max(), ((k + 1) / u.size - u).max())
    return float(kolmogorov(math.sqrt(u.size) * distance))


def test_noise_is_normal_within_each_stream():
    n = 200_000
    for seed, stream in ((0, OUTPUT), (1, STATE), (2, STATE + 2), (2**63 + 1, LEARNER)):
        x = noise_block(seed, stream, 0, n)
        assert kolmogorov_p(x) > 1e-4
        for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
            assert abs((x**power).mean() - mean) < 4.5 * math.sqrt(variance / n)
        for lag in (1, 2, 3, 64):
            assert abs(x[lag:] @ x[:-lag]) < 4.5 * math.sqrt(n)
            assert abs((x[lag:] ** 2 - 1) @ (x[:-lag] ** 2 - 1)) < 4.5 * 2 * math.sqrt(n)


def test_streams_and_seeds_are_independent():
    n = 100_000
    names = [(0, OUTPUT), (0, STATE), (0, STATE + 1), (0, LEARNER), (1, OUTPUT), (2**32, OUTPUT)]
    x = np.array([noise_block(seed, stream, 0, n) for seed, stream in names])
    for a in (x, x**2 - 1):
        correlation = np.corrcoef(a)
        assert np.abs(correlation - np.eye(len(names))).max() < 4.5 / math.sqrt(n)
    across = np.array([noise_block(seed, OUTPUT, 0, 1)[0] for seed in range(20_000)])
    assert kolmogorov_p(across) > 1e-4  # the same place of many seeds
    radius = (x[0] ** 2 + x[1] ** 2) / 2  # neighbours of one block: exponential
    assert kolmogorov_p(np.asarray(ndtri(np.clip(-np.expm1(-radius), 1e-15, 1 - 1e-15)))) > 1e-4


def test_the_statistical_checks_would_notice():
    x = noise_block(0, OUTPUT, 0, 200_000)
    assert kolmogorov_p(1.02 * x) < 1e-4
    assert kolmogorov_p(np.where(np.arange(x.size) % 50, x, 0.5)) < 1e-4


def random_bandit(rng: np.random.Generator, n: int, d: int, rho: float) -> DynamicalLinearBandit:
    A = rng.normal(size=(n, n))
    A *= rho / max(1e-3, float(np.abs(np.linalg.eigvals(A)).max()))
    new: Any = DynamicalLinearBandit
    return new(
        A, rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d),
        rng.uniform(-1, 1, (4, d)), 0.3, 0.2, rng.normal(size=n),
    )  # fmt: skip


def plain(
    bandit: DynamicalLinearBandit, u: np.ndarray, seed: int, late: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate with numpy; return rewards, states (T+1, n) and noise (T, n+1).

    `late` is the mutant whose reward is paid after the state has moved.
    """
    T, n = len(u), bandit.n_states
    z = np.array([noise_block(seed, i, 0, T) for i in range(n + 1)]).T
    x, y = [bandit.x0], []
    for t in range(T):
        x.append(bandit.A @ x[t] + bandit.B @ u[t] + bandit.state_noise * z[t, 1:])
        seen = x[t + 1] if late else x[t]
        y.append(bandit.omega @ seen + bandit.theta @ u[t] + bandit.output_noise * z[t, 0])
    return np.array(y), np.array(x), z


SHAPES = [(1, 1, 0.0), (1, 1, 0.999), (3, 2, 0.6), (2, 5, 0.9), (16, 4, 0.99)]


@pytest.mark.parametrize(("n", "d", "rho"), SHAPES)
def test_simulation_agrees_with_numpy_and_the_pathwise_identity(n: int, d: int, rho: float):
    rng = np.random.default_rng(n)
    bandit = random_bandit(rng, n, d, rho)
    u = bandit.actions.arms[rng.integers(0, 4, 300)]  # pyright: ignore[reportAttributeAccessIssue]
    y, x, z = plain(bandit, u, 9)
    np.testing.assert_allclose(simulate(bandit, u, 9), y, rtol=1e-9, atol=1e-9)
    zeta = bandit.output_noise * z[:, 0] + bandit.state_noise * z[:, 1:] @ bandit.g
    scale = 1 + np.abs(bandit.g).sum() * (1 + np.abs(x).max())
    gap = y - u @ bandit.markov_parameter - zeta - (x[:-1] - x[1:]) @ bandit.g
    assert np.abs(gap).max() < 1e-12 * scale


def test_a_reward_after_the_move_breaks_the_identity():
    bandit = models.dlb_advertising()
    rng = np.random.default_rng(0)
    u = bandit.actions.arms[rng.integers(0, 6, 50)]  # pyright: ignore[reportAttributeAccessIssue]
    for late in (False, True):
        y, x, z = plain(bandit, u, 1, late=late)
        zeta = bandit.output_noise * z[:, 0] + bandit.state_noise * z[:, 1:] @ bandit.g
        gap = y - u @ bandit.markov_parameter - zeta - (x[:-1] - x[1:]) @ bandit.g
        assert bool(np.abs(gap).max() > 1e-3) is late


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 5), st.floats(0.0, 0.99))
def test_poisson_identity_in_expectation(seed: int, n: int, d: int, rho: float):
    rng = np.random.default_rng(seed)
    bandit, T = random_bandit(rng, n, d, rho), 200
    u = rng.uniform(-1, 1, (T, d))
    found = totals(bandit, u, 3, checkpoints=[1, 17, T])
    _, J = bandit.best
    for c, t in enumerate(found.checkpoints):
        pseudo = t * J - found.steady[0, c]
        regret = t * J - found.expected[0, c]
        boundary = bandit.g @ (found.mean[0, c] - bandit.x0)
        scale = 1 + t * np.abs(bandit.markov_parameter).sum() + np.abs(bandit.g).sum() * 10
        assert abs(regret - pseudo - boundary) < 1e-9 * scale


def test_totals_agree_with_simulate():
    bandit = models.dlb_advertising(0.1)
    rng = np.random.default_rng(4)
    u = rng.uniform(0, 1, (3, 400, 3))
    ends = [1, 2, 50, 399, 400]
    found = totals(bandit, u, [5, 6, 2**63], checkpoints=ends)
    for run, seed in enumerate((5, 6, 2**63)):
        y, x, _ = plain(bandit, u[run], seed)
        mean = simulate(bandit, u[run], seed, noise=False)
        for c, t in enumerate(ends):
            assert found.reward[run, c] == pytest.approx(y[:t].sum(), abs=1e-10)
            assert found.expected[run, c] == pytest.approx(mean[:t].sum(), abs=1e-10)
            assert found.steady[run, c] == pytest.approx(bandit.steady_reward(u[run, :t]).sum())
            np.testing.assert_allclose(found.state[run, c], x[t], atol=1e-10)


def test_any_cut_of_the_rounds_gives_the_same():
    bandit = models.dlb_synthetic(0.1)
    u = np.random.default_rng(0).uniform(0, 1, (100, 3))
    whole = simulate(bandit, u, 3)
    head = simulate(bandit, u[:37], 3)
    x = totals(bandit, u[:37], 3).state[0, 0]
    tail = simulate(bandit, u[37:], 3, start=37, x=x)
    assert np.array_equal(np.concatenate([head, tail]), whole)


def test_a_schedule_is_its_actions_repeated():
    bandit = models.dlb_advertising()
    arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
    lengths = np.array([3, 0, 5, 1, 7, 2])
    plan = Schedule(arms, lengths)
    rows = np.repeat(arms, lengths, axis=0)
    assert plan.rounds == 18
    assert np.array_equal(simulate(bandit, plan, 1), simulate(bandit, rows, 1))
    a, b = (
        totals(bandit, plan, 1, checkpoints=[4, 18]),
        totals(bandit, rows, 1, checkpoints=[4, 18]),
    )
    for name in ("reward", "expected", "steady", "state", "mean"):
        assert np.array_equal(getattr(a, name), getattr(b, name))
    assert Schedule.each(rows).rounds == 18
    assert Schedule.constant([1.0, 0.0], 4).rounds == 4


def test_runs_and_seeds():
    bandit = models.dlb_synthetic()
    u = np.full((6, 3), 0.5)
    assert simulate(bandit, u, 1).shape == (6,)
    assert simulate(bandit, u, [1]).shape == (1, 6)
    many = simulate(bandit, u, [1, 2, 1])
    assert np.array_equal(many[0], many[2])
    assert not np.array_equal(many[0], many[1])
    runs = simulate(bandit, np.array([u, u]), 1)  # seeds 1 and 2
    assert np.array_equal(runs, many[:2])


def test_every_player_of_a_seed_meets_the_same_noise():
    bandit = models.dlb_synthetic(0.1)
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (2, 50, 3))
    noise_a = simulate(bandit, a, 8) - simulate(bandit, a, 8, noise=False)
    noise_b = simulate(bandit, b, 8) - simulate(bandit, b, 8, noise=False)
    np.testing.assert_allclose(noise_a, noise_b, atol=1e-14)


def test_constant_actions_settle():
    for bandit in (models.dlb_synthetic(0.0), models.dlb_advertising(0.0)):
        told = bandit.constants()
        for u in bandit.actions.arms:  # pyright: ignore[reportAttributeAccessIssue]
            y = simulate(bandit, Schedule.constant(u, 60), 0)
            J, rest = bandit.steady_reward(u), np.linalg.norm(bandit.x0 - bandit.steady_state(u))
            bound = told.Omega * told.Phi * told.rho ** np.arange(60) * rest
            assert (np.abs(y - J) <= bound + 1e-14).all()


def test_rewards_have_the_stationary_variance():
    bandit = models.dlb_advertising(0.1)
    y = simulate(bandit, Schedule.constant(np.zeros(3), 200_000), 11)[200:]
    from scipy.linalg import solve_discrete_lyapunov

    state = solve_discrete_lyapunov(bandit.A, 0.01 * np.eye(3))
    variance = 0.01 + bandit.omega @ state @ bandit.omega
    assert y.var() == pytest.approx(variance, rel=0.03)
    s2 = bandit.constants().s2
    assert variance <= s2


def test_one_long_run_takes_no_memory_for_its_rounds():
    import tracemalloc

    bandit = models.dlb_synthetic()
    plan = Schedule(np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0]]), np.array([200_000, 100_000]))
    totals(bandit, plan, 0)
    tracemalloc.start()
    totals(bandit, plan, 0, checkpoints=[1, 300_000])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_the_kernels_names_are_the_public_noise():
    assert kernels.noise_block is noise.noise_block
    assert kernels.normal is noise.normal
    assert (noise.OUTPUT, noise.STATE, noise.LEARNER) == (OUTPUT, STATE, LEARNER)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"actions": np.zeros((4, 2))}, "components"),
        ({"actions": np.zeros(3)}, "shape"),
        ({"actions": np.zeros((0, 3))}, "shape"),
        ({"actions": [[math.nan, 0, 0]]}, "action 0 is"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "seed is"),
        ({"seed": [1, 2.5]}, "an integer expected"),
        ({"seed": []}, "seed has 0 entries"),
        ({"actions": np.zeros((2, 4, 3)), "seed": [1, 2, 3]}, "seed has 3 entries; 2 expected"),
    ],
)
def test_bad_simulations(arguments: dict, words: str):
    given_ = {"actions": np.zeros((4, 3)), "seed": 0} | arguments
    for call in (simulate, totals):
        with pytest.raises(InvalidModelError, match=words):
            call(models.dlb_synthetic(), given_["actions"], given_["seed"])


def test_bad_rounds():
    bandit, u = models.dlb_synthetic(), np.zeros((4, 3))
    for ends in ([], [0], [5], [2, 2], [1.5], [[1]]):
        with pytest.raises(InvalidModelError, match="heckpoints"):
            totals(bandit, u, 0, checkpoints=ends)
    with pytest.raises(InvalidModelError, match="T is 0"):
        Schedule.constant([1.0], 0)
    with pytest.raises(InvalidModelError, match="T is 0"):
        Schedule(np.zeros((1, 3)), np.array([0]))
    with pytest.raises(InvalidModelError, match=r"lengths\[1\] is -1"):
        Schedule(np.zeros((2, 3)), np.array([3, -1]))
    with pytest.raises(InvalidModelError, match="entries"):
        Schedule(np.zeros((2, 3)), np.array([3]))
    with pytest.raises(InvalidModelError, match="start"):
        simulate(bandit, u, 0, start=-1)
    with pytest.raises(InvalidModelError, match="x has shape"):
        simulate(bandit, u, 0, x=[0.0])
    for arguments in ((-1, 0, 0, 1), (0, -1, 0, 1), (0, 0, -1, 1), (0, 0, 0, -1), (True, 0, 0, 1)):
        with pytest.raises(InvalidModelError):
            noise_block(*arguments)
