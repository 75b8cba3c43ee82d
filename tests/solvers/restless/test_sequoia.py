"""Replay, targets, memory and training of SEQUOIA, against exact values of small bandits."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import chdtri

from mdplib.errors import InvalidModelError, SolverError
from mdplib.optim.mip import MipStatus
from mdplib.restless import Budget, Capacity, CoupledRestlessBandit, domains, simulate
from mdplib.restless.arms import ladder
from solvers.restless import shortlist, training
from solvers.restless.action_value import ActionValue, n_inputs
from solvers.restless.fluid import fluid_bound
from solvers.restless.joint import initial_value, joint_states, joint_value_iteration
from solvers.restless.listing import FEW, promising
from solvers.restless.network import Network
from solvers.restless.policies import fluid_policy, myopic_policy
from solvers.restless.replay import Replay
from solvers.restless.settings import Settings
from solvers.restless.training import LearnedPolicy, sequoia
from solvers.restless.warm_start import diverse_samples, fluid_start

RHO = np.array([[0.2, 0.15, 0.1, 5.0], [0.1, 0.15, 0.2, 2.0], [0.1, 0.15, 0.2, 3.0]])
UP = np.array([[0.10, 0.80], [0.05, 0.75], [0.15, 0.90]])
FIRST = np.tile([0.8, 0.2, 0.0, 0.0], (3, 1))
MENDED: Any = {"base": "none", "gamma": None, "finite": False, "validate_every": 0}


def three() -> CoupledRestlessBandit:
    return CoupledRestlessBandit(ladder(UP, RHO), Capacity([3, 2, 2], (3, 2)), FIRST)


def free(gamma: float = 0.9) -> CoupledRestlessBandit:
    """Two arms that can both be pulled: Q is a sum over arms, and gated inputs hold it exactly."""
    return CoupledRestlessBandit(
        ladder(UP[:2], RHO[:2]), Budget(2, 2), np.full((2, 4), 0.25), 20, gamma
    )


OPTIMA: dict[int, tuple[CoupledRestlessBandit, float]] = {}


def optimum(bandit: CoupledRestlessBandit) -> float:
    if id(bandit) not in OPTIMA:
        OPTIMA[id(bandit)] = bandit, joint_value_iteration(bandit).initial
    return OPTIMA[id(bandit)][1]


def normalised(bandit: CoupledRestlessBandit, policy) -> float:
    null = initial_value(bandit, lambda h, s: np.zeros((len(s), bandit.n_arms), dtype=np.int8))
    best = optimum(bandit)
    return (initial_value(bandit, policy) - null) / (best - null)


def two_steps(bandit: CoupledRestlessBandit) -> np.ndarray:
    """Values r(s, a) + gamma E max r(s', .), (S^J, actions), by brute force."""
    states, actions = joint_states(bandit), bandit.actions.enumerate()
    best = bandit.reward(states[:, None], actions[None]).max(axis=1)
    value = np.empty((len(states), len(actions)))
    for i, a in enumerate(actions):
        law = np.ones((len(states), len(states)))
        for j, n in enumerate(bandit.actions.levels(a)):
            law *= bandit.arms.P[j, n][states[:, j][:, None], states[:, j][None]]
        value[:, i] = bandit.reward(states, a) + bandit.gamma * law @ best
    return value


def chi_square(counts: np.ndarray, law: np.ndarray) -> float:
    wanted = counts.sum() * law
    return float(((counts - wanted) ** 2 / wanted).sum())


def filled(alpha: float, beta: float = 0.5) -> Replay:
    replay = Replay(8, alpha, beta)
    for h in range(8):
        replay.add(h, np.array([h]), np.array([h % 2]))
    return replay


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_draws_are_proportional_to_the_power_of_the_priority_that_was_last_set(alpha):
    replay, rng, n = filled(alpha), np.random.default_rng(0), 100_000
    limit = chdtri(7, 1e-6)
    flat = np.bincount(replay.sample(n, rng)[0], minlength=8)
    assert chi_square(flat, np.full(8, 1 / 8)) < limit
    error = np.array([0.1, 4.0, 0.5, 1.0, 2.0, 0.2, 3.0, 0.7])
    replay.update(np.arange(8), error)
    law = error**alpha / (error**alpha).sum()
    at, h, s, a, weight = replay.sample(n, rng)
    counts = np.bincount(at, minlength=8)
    assert chi_square(counts, law) < limit
    assert (h == at).all()
    assert (s[:, 0] == at).all()
    assert (a[:, 0] == at % 2).all()
    if alpha:
        assert chi_square(counts, np.full(8, 1 / 8)) > limit, "a replay that never updates"
    raw = (8 * law[at]) ** -0.5
    assert weight == pytest.approx(raw / raw.max(), rel=1e-4)


def test_a_full_replay_forgets_the_oldest_and_new_ones_come_first():
    replay = filled(1.0)
    replay.update(np.arange(8), np.arange(1.0, 9.0))
    replay.add(8, np.array([8]), np.array([0]))
    assert sorted(replay.steps.tolist()) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert replay.priority[0] == replay.priority.max()


def test_errors_of_the_last_minibatch_become_priorities(monkeypatch):
    seen = []
    update = Replay.update

    def watched(self, at, error):
        update(self, at, error)
        last = dict(zip(at.tolist(), error.tolist(), strict=True))
        seen.append((self.priority[list(last)], np.array(list(last.values()))))

    monkeypatch.setattr(Replay, "update", watched)
    sequoia(three(), np.random.default_rng(0), Settings(episodes=1, validate_every=0))
    assert len(seen) == 20
    priority, error = seen[-1]
    assert priority == pytest.approx(error + 1e-6)
    assert np.ptp(priority) > 0


def test_equal_seeds_give_equal_networks_and_other_seeds_others():
    quick = Settings(episodes=3, validation=5, validate_every=1, hidden=(8,))
    first, again, other = (
        sequoia(three(), np.random.default_rng(seed), quick) for seed in (3, 3, 4)
    )
    assert (first.losses == again.losses).all()
    assert first.validation == again.validation
    same = first.policy.q.network.parameters == again.policy.q.network.parameters
    assert same.all()
    assert (first.losses != other.losses).any()


@pytest.mark.parametrize("soft", [0.0, 1e-6])
def test_a_moving_target_finds_the_optimum_and_a_frozen_one_only_two_steps(soft):
    """With a linear network on a bandit whose Q is a sum, both limits are known exactly."""
    bandit = free()
    how = Settings(
        hidden=(), myopic_epochs=4, episodes=50 if soft else 150, rate=0.03, fade=0.97,
        renew=0 if soft else 60, soft=soft, alpha=0.0, next_states=4, eps_first=1.0, eps_last=1.0,
        **MENDED,
    )  # fmt: skip
    q = sequoia(bandit, np.random.default_rng(0), how).policy.q
    states, actions = joint_states(bandit), bandit.actions.enumerate()
    s = np.repeat(states, len(actions), axis=0)
    learned = q(0, s, np.tile(actions, (len(states), 1))).reshape(len(states), -1)
    longest = joint_value_iteration(bandit, discounted=True, tol=1e-8).value
    short = two_steps(bandit)
    wanted, unwanted = (short.max(axis=1), longest) if soft else (longest, short.max(axis=1))
    size = np.abs(wanted).mean()
    visited = np.abs(learned.max(axis=1) - wanted).mean() / size
    assert visited < 0.05
    assert np.abs(learned.max(axis=1) - unwanted).mean() / size > 0.4


def test_a_frozen_target_leaves_a_coupled_bandit_at_two_steps():
    bandit = three()
    short = two_steps(bandit)
    rows = bandit.actions.enumerate()
    index = 4 ** np.arange(2, -1, -1)
    looks_two_ahead = initial_value(bandit, lambda h, s: rows[short.argmax(axis=1)[s @ index]])
    assert looks_two_ahead / 20 == pytest.approx(4.926158889, abs=5e-9)
    how: Any = {
        "myopic_epochs": 6, "episodes": 40, "rate": 3e-3, "fade": 0.93, "alpha": 0.0,
        "next_states": 8, "eps_first": 1.0, "eps_last": 1.0, **MENDED,
    }  # fmt: skip
    frozen = sequoia(bandit, np.random.default_rng(0), Settings(renew=0, soft=1e-6, **how)).policy
    reached = initial_value(bandit, frozen)
    assert reached < 1.03 * looks_two_ahead
    assert reached > 1.1 * initial_value(bandit, myopic_policy(bandit))
    working = sequoia(bandit, np.random.default_rng(0)).policy
    assert initial_value(bandit, working) > 1.12 * reached


def drawn(seed: int) -> CoupledRestlessBandit:
    kind = ("capacity", "schedule", "budget")[seed % 3]
    return getattr(domains, kind)(5, 2, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", [0, 1, 10])
def test_the_default_comes_within_three_percent_of_the_optimum(seed):
    bandit = drawn(seed)
    trained = sequoia(bandit, np.random.default_rng(7), Settings(episodes=40))
    assert normalised(bandit, trained.policy) >= 0.97
    assert normalised(bandit, myopic_policy(bandit)) < 0.9
    if seed == 1:
        assert trained.improved
        assert normalised(bandit, fluid_policy(bandit)) < 0.96


@pytest.mark.slow
def test_the_default_comes_within_three_percent_of_the_optimum_on_ten_instances():
    for seed in range(10):
        bandit = drawn(seed)
        trained = sequoia(bandit, np.random.default_rng(7))
        assert normalised(bandit, trained.policy) >= 0.97


def test_training_begins_with_values_of_the_right_size():
    """Scores alone leave out what the prices of later steps bring in."""
    bandit = drawn(0)
    exact, bound = joint_value_iteration(bandit), fluid_bound(bandit)
    s = np.zeros((1, 5), dtype=int)
    for h in (0, 10, 19):
        each = bound.scores(bandit, h)
        rows = bandit.actions.enumerate()
        level = bandit.actions.levels(rows)
        best = each[np.arange(5), 0][np.arange(5), level].sum(axis=1).max()
        total = best + bound.ahead(bandit, h)
        assert exact.value[h, 0] <= total + 1e-6
        assert total < 1.15 * exact.value[h, 0] + 0.5
        assert int(s.sum()) == 0
    assert bound.ahead(bandit, 19) == 0.0


def test_the_best_of_validation_is_kept():
    seen = []
    trained = sequoia(
        three(),
        np.random.default_rng(0),
        Settings(episodes=6, validate_every=2, rate=0.5),
        progress=lambda n, reward: seen.append((n, reward)),
    )
    assert tuple(seen) == trained.validation
    assert [n for n, _ in seen] == [0, 2, 4, 6]
    assert normalised(three(), trained.policy) > 0.9, "a rate this large spoils the network"


def test_remembered_targets_are_those_of_the_target_until_it_is_renewed():
    settings = Settings(episodes=1, renew=7, validate_every=0)
    run = training._Training(three(), np.random.default_rng(0), settings, "highs", None)
    rng, previous = np.random.default_rng(1), run.target
    for _ in range(30):
        run.replay.add(int(rng.integers(20)), rng.integers(0, 4, 3), np.array([1, 0, 0]))
    renewals = 0
    for _ in range(21):
        run._update()
        renewed = run.target is not previous
        renewals += renewed
        previous = run.target
        assert not (renewed and run.memo), "nothing is remembered of the target before"
        for (h, raw), value in list(run.memo.items())[:5]:
            s = np.frombuffer(raw, dtype=np.int64)
            rows = run.bandit.actions.enumerate()
            all_ = run.target(h, np.tile(s, (len(rows), 1)), rows)
            assert value == pytest.approx(all_.max(), abs=1e-9)
    assert renewals == 3
    current = run.q.network.parameters
    assert (run.target.network.parameters == current).all(), "renewed at the 21st update"


def test_nothing_follows_the_last_step_of_a_finite_problem():
    run = training._Training(three(), np.random.default_rng(0), Settings(episodes=1), "highs", None)
    s = np.array([[3, 3, 3], [3, 3, 3]])
    ahead = run._ahead(np.array([20, 19]), s)
    assert ahead[0] == 0.0
    assert ahead[1] == pytest.approx(joint_value_iteration(three()).value[19, -1])
    endless = replace(Settings(episodes=1), finite=False)
    run = training._Training(three(), np.random.default_rng(0), endless, "highs", None)
    assert run._ahead(np.array([20]), s[:1])[0] > 0.0


@pytest.mark.parametrize("inputs", ["gated", "raw"])
def test_long_lists_are_searched_exactly(inputs):
    """Pruning by the bound on the network never loses the best action."""
    rng = np.random.default_rng(2)
    bandit = domains.capacity(12, 3, rng)
    rows = bandit.actions.enumerate()
    assert len(rows) > 2 * FEW
    pruned = 0
    for size in (0.05, 1.0):
        net = Network.random(n_inputs(bandit, inputs), (16, 8), rng)
        net.parameters *= size
        base = rng.normal(size=(20, 12, 4, 2))
        q = ActionValue(bandit, net, base, inputs, rows)
        for _ in range(10):
            s, h = rng.integers(0, 4, 12), int(rng.integers(20))
            values = q(h, np.tile(s, (len(rows), 1)), rows)
            assert q.best(h, s).value == pytest.approx(values.max(), abs=1e-6)
            batch = q.best_listed(np.array([h]), s[None])[1]
            assert batch[0] == pytest.approx(values.max(), abs=1e-6)
            layers, groups, most = q.restricted(h, s)
            own = q.base[h, np.arange(12), s]
            linear = own[np.arange(12), rows].sum(axis=1).astype(np.float32)
            kept = promising(q._hot, layers, groups, most, linear)
            assert int(values.argmax()) in kept
            pruned += len(kept) < len(rows)
    assert pruned >= 10


def test_a_time_limit_gives_a_feasible_action_and_says_so():
    bandit = domains.capacity(20, 5, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    net = Network.random(n_inputs(bandit, "gated"), (6,), rng)
    q = ActionValue(bandit, net, np.zeros((20, 20, 4, 2)))
    s = rng.integers(0, 4, 20)
    full = q.best(0, s, gap=0.02)
    for limit in (1e-9, 0.02, 0.1):
        choice = q.best(0, s, time_limit=limit)
        assert bandit.actions.contains(choice.action)
        assert choice.status in (MipStatus.TIME_LIMIT, MipStatus.OPTIMAL)
        assert choice.bound >= full.value - 1e-6
        assert choice.value == pytest.approx(q(0, s[None], choice.action[None])[0])
        if limit == 1e-9:
            assert choice.status is MipStatus.TIME_LIMIT
            assert choice.gap > 0
    policy = LearnedPolicy(q, time_limit=1e-9)
    policy(0, np.tile(s, (3, 1)))
    assert policy.cut == 1, "one decision, remembered"


def test_training_with_programs_instead_of_lists_counts_what_was_cut():
    bandit = replace(domains.capacity(12, 3, np.random.default_rng(0)), horizon=3)
    how = Settings(
        episodes=1, listed=0, base="none", myopic_epochs=1, hidden=(4,), gap=1e-6, batch=2,
        validate_every=0, next_states=1,
    )  # fmt: skip
    whole = sequoia(bandit, np.random.default_rng(0), how)
    assert whole.cut == 0
    assert simulate(bandit, whole.policy, 5, np.random.default_rng(0), check=True).shape == (5, 3)
    cut = sequoia(bandit, np.random.default_rng(0), replace(how, time_limit=1e-9))
    assert cut.cut > 0


def test_the_constants_of_the_published_code_run():
    how = replace(Settings.faithful(), myopic_epochs=1, episodes=1, seeded=100, batch=4)
    bandit = domains.capacity(4, 1, np.random.default_rng(0))
    trained = sequoia(bandit, np.random.default_rng(1), how)
    q = trained.policy.q
    assert repr(q.network) == "Network(8-16-32-1)"
    assert not q.base.any()
    assert q.listed is None
    assert len(trained.losses) == 20
    assert simulate(bandit, trained.policy, 2, np.random.default_rng(0), check=True).min() > 0


def exact_targets(run: Any, h: int, s: np.ndarray, a: np.ndarray) -> float:
    """The expectation of (1) over all joint next states, by brute force."""
    b, states = run.bandit, joint_states(run.bandit)
    law = np.ones(len(states))
    for j, n in enumerate(b.actions.levels(a)):
        law *= b.arms.P[j, n, s[j], states[:, j]]
    rows = b.actions.enumerate()
    best = [run.target(h + 1, np.tile(t, (len(rows), 1)), rows).max() for t in states]
    return float(b.reward(s, a) + law @ np.array(best))


@pytest.mark.parametrize("late", [False, True])
def test_targets_have_the_right_mean_and_a_guess_takes_noise_away(late):
    run = training._Training(three(), np.random.default_rng(0), Settings(), "highs", None)
    net = Network.random(n_inputs(run.bandit, "gated"), (8,), np.random.default_rng(1))
    net.parameters *= 0.3
    run.target = run.q.with_network(net)
    n, h = 20_000, 18 if late else 5
    s, a = np.array([1, 2, 0]), np.array([1, 0, 1])
    batch = np.full(n, h), np.tile(s, (n, 1)), np.tile(a, (n, 1))
    guessed = run._targets(*batch)
    run.guess = np.zeros_like(run.guess)
    plain = run._targets(*batch)
    for y in (guessed, plain):
        assert abs(y.mean() - exact_targets(run, h, s, a)) < 4 * y.std() / np.sqrt(n)
    if not late:
        assert guessed.var() < 0.3 * plain.var()


def test_the_guess_is_what_the_base_expects():
    bandit = drawn(0)
    base, guess = fluid_start(bandit)
    exact = joint_value_iteration(bandit)
    states = joint_states(bandit)
    for h in (0, 7, 19):
        ahead = np.einsum("jnst,jt->jsn", bandit.arms.P, guess[h + 1])
        each = base[h] - ahead - np.moveaxis(bandit.arms.r, 1, 2)
        assert np.abs(each).max() < 1e-9
        assert (guess[h][np.arange(5), states].sum(axis=1) >= exact.value[h] - 1e-6).all()
    assert not guess[20].any()


def test_a_trained_network_is_taken_only_if_fresh_episodes_say_so(monkeypatch):
    """Validation that praises whatever comes later does not get a worse network through."""
    real, calls = training.simulate, []

    def misleading(bandit, policy, n, rng):
        calls.append(n)
        return np.full((n, 1), len(calls)) if n == 2 else real(bandit, policy, n, rng)

    monkeypatch.setattr(training, "simulate", misleading)
    bad = Settings(episodes=3, validate_every=1, rate=0.5, validation=2)
    refused = sequoia(three(), np.random.default_rng(0), bad)
    assert calls == [2, 2, 2, 2, 200, 200]
    assert refused.validation[-1][1] > refused.validation[0][1]
    assert refused.gain is not None
    assert refused.gain.low <= 0
    assert not refused.improved
    assert not refused.policy.q.network.layers[-1][0].any(), "the network before training"
    untried = sequoia(three(), np.random.default_rng(0), replace(bad, trial=0))
    assert untried.improved
    assert untried.gain is None
    assert untried.policy.q.network.layers[-1][0].any()


@pytest.mark.parametrize("listed", [200_000, 0])
def test_a_shortlist_gives_feasible_actions_that_are_hardly_worse(listed, monkeypatch):
    monkeypatch.setattr(shortlist, "EPISODES", 3)
    rng = np.random.default_rng(2)
    bandit = domains.capacity(12, 3, rng)
    rows = bandit.actions.enumerate()
    how = Settings(listed=listed, pool=500, shortlist=32)
    run = training._Training(bandit, np.random.default_rng(0), how, "highs", None)
    assert run.short is not None
    net = Network.random(n_inputs(bandit, "gated"), (16, 8), rng)
    net.parameters *= 0.3
    q = run.q.with_network(net)
    h, s = rng.integers(0, 20, 30), rng.integers(0, 4, (30, 12))
    actions, values = run.short.best(q, h, s)
    assert values == pytest.approx(q(h, s, actions))
    assert all(bandit.actions.contains(a) for a in actions)
    full = q.with_network(net)
    each = zip(h, s, strict=True)
    best = np.array([full(k, np.tile(t, (len(rows), 1)), rows).max() for k, t in each])
    assert (values <= best + 1e-9).all()
    assert np.abs(best - values).mean() < 0.02 * np.abs(best).mean()
    distinct = {a.tobytes() for a in run.short.pool}
    assert len(distinct) == len(run.short.pool) <= max(500, len(rows))


def test_short_lists_and_programs_are_maximised_in_full():
    for how in (Settings(), Settings.faithful(), Settings(base="none", listed=0)):
        bandit = three()
        how = replace(how, myopic_epochs=0, seeded=0)
        run = training._Training(bandit, np.random.default_rng(0), how, "highs", None)
        assert run.short is None


def test_the_first_replay_shows_what_single_arms_contribute():
    bandit = three()
    how = Settings(episodes=1, seeded=50, base="none")
    run = training._Training(bandit, np.random.default_rng(0), how, "highs", None)
    assert len(run.replay) == 50
    s, a = diverse_samples(run.q, np.random.default_rng(0), 10, 2)
    assert len(s) == len(a) == (10 + 2 * 3 + 2) * (2 + 2 * 3 + 2)
    assert not all(bandit.actions.contains(row) for row in a)


def test_what_goes_wrong_is_said():
    with pytest.raises(InvalidModelError, match="base 'fluide'"):
        sequoia(three(), np.random.default_rng(0), Settings(base="fluide"))  # pyright: ignore
    hot = Settings(episodes=2, rate=1e300, validate_every=0)
    with (
        np.errstate(all="ignore"),
        pytest.raises(SolverError, match=r"stopped being finite after .*; lower the rate"),
    ):
        sequoia(three(), np.random.default_rng(0), hot)
