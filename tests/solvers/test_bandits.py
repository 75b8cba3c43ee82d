"""Learners of dynamical linear bandits: compiled against plain against written-out loops."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mdplib import Ball, DynamicalLinearBandit, FiniteArms, Polytope, _kernels, models
from mdplib.bandit_simulation import LEARNER, OUTPUT, STATE, noise_block
from mdplib.errors import InvalidModelError, NotApplicableError
from solvers import bandits
from solvers.bandits import driver, dynlin_ucb, interface, rs_dynlin
from tests.solvers import bandit_oracles as oracle

Bandit: Any = DynamicalLinearBandit  # takes lists as well
Arms: Any = FiniteArms


def random_bandit(seed: int, n: int = 2, d: int = 3, K: int = 5, sigma: float = 0.1):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= rng.uniform(0.1, 0.8) / np.abs(np.linalg.eigvals(A)).max()
    return Bandit(
        A, rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d),
        Arms(rng.normal(size=(K, d))), sigma, sigma, rng.normal(size=n) * (seed % 2),
    )  # fmt: skip


def told(bandit: DynamicalLinearBandit):
    rho = min(0.95, 1.1 * bandit.spectral_radius.upper + 0.01)
    return bandit.constants(rho, X=1e3)


def world(bandit: DynamicalLinearBandit, T: int, seed: int) -> oracle.World:
    eps = np.stack([noise_block(seed, STATE + i, 0, T) for i in range(bandit.n_states)], axis=1)
    return oracle.World(
        bandit.A, bandit.B, bandit.omega, bandit.theta,
        bandit.output_noise * noise_block(seed, OUTPUT, 0, T),
        bandit.state_noise * eps, bandit.x0.copy(),
    )  # fmt: skip


def played(bandit: DynamicalLinearBandit, algorithm: Any, constants, T: int, seed: int):
    """Step the plain learner through T rounds."""
    learner = algorithm.init(constants, T, bandit.actions, h=bandit.markov_parameter, seed=seed)
    there = world(bandit, T, seed)
    for _ in range(T):
        learner.update(there.pull(learner.act()))
    return learner, there


def arm_of(bandit: DynamicalLinearBandit, actions) -> list[int]:
    arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
    return [int(np.abs(arms - u).sum(axis=1).argmin()) for u in actions]


SYSTEMS = {
    "synthetic": models.dlb_synthetic(0.05),
    "advertising": models.dlb_advertising(),
    "random 1": random_bandit(1),
    "random 2": random_bandit(2, n=4, d=2, K=7),
}
ALGORITHMS: dict[str, bandits.Algorithm] = {
    "paper": bandits.DynLinUCB("paper", "log_T"),
    "paper_ceil": bandits.DynLinUCB("paper_ceil"),
    "certified": bandits.DynLinUCB(lambda_=0.3, delta=0.05),
    "published protocol": bandits.DynLinUCB("paper", first_epoch=2, random_first=True),
    "rs": bandits.RSDynLin(),
    "rs often": bandits.RSDynLin(C=0.1, lambda_="log_T", delta=0.1, delta_state=0.01),
    "lin": bandits.LinUCB(),
    "lin published": bandits.LinUCB("published", norm=1.5, random_first=True),
    "d_lin": bandits.DLinUCB(0.97),
    "d_lin published": bandits.DLinUCB(0.999, "published", "log_T", forgets=False),
    "ar2": bandits.AR2(),
    "ar2 restarts": bandits.AR2(alpha=0.5, sigma=0.6),
    "exp3": bandits.Exp3(mix=0.2),
    "batch": bandits.BatchExp3(),
    "late batch": bandits.BatchExp3(batch=5, mix=0.3, credit="previous"),
    "ucb1": bandits.UCB1(0.3),
    "clairvoyant": bandits.Clairvoyant(),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_compiled_learners_play_what_plain_ones_play(system: str):
    bandit, T, seed = SYSTEMS[system], 1500, 11
    c = told(bandit)
    marks = np.unique(np.geomspace(1, T, 60).astype(int))
    found = bandits.run(bandit, ALGORITHMS, T, [seed], checkpoints=marks, constants=c, threads=1)
    h, J = bandit.markov_parameter, bandit.best[1]
    arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
    for name, algorithm in ALGORITHMS.items():
        learner, there = played(bandit, algorithm, c, T, seed)
        k = arm_of(bandit, there.actions)
        run, actions = found[name], np.array(there.actions)
        assert run.pulls[0].tolist() == np.bincount(k, minlength=len(arms)).tolist(), name
        assert run.choices[0] == learner.decisions
        gaps = J - actions @ h
        np.testing.assert_allclose(run.regret[0], np.cumsum(gaps)[marks - 1], atol=1e-9)
        lost = J * marks - np.cumsum(there.rewards)[marks - 1]
        np.testing.assert_allclose(run.realised[0], lost, atol=1e-8, err_msg=name)
        quiet = oracle.World(
            bandit.A, bandit.B, bandit.omega, bandit.theta, np.zeros(T),
            np.zeros((T, bandit.n_states)), bandit.x0.copy(),
        )  # fmt: skip
        lost = J * marks - np.cumsum([quiet.pull(u) for u in actions])[marks - 1]
        np.testing.assert_allclose(run.expected[0], lost, atol=1e-8, err_msg=name)
        assert run.switches[0] == np.count_nonzero(np.diff(k))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("radius", ["paper", "paper_ceil", "certified"])
def test_dynlin_is_the_written_out_algorithm(system: str, radius: Any):
    bandit, T, seed, lam, delta = SYSTEMS[system], 1200, 3, 0.7, 0.02
    c, there = told(bandit), world(SYSTEMS[system], 1200, 3)
    arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
    log = oracle.dynlin_ucb(there, arms, c, T, radius, lam, delta)
    algorithm = bandits.DynLinUCB(radius, lam, delta)
    learner = algorithm.init(c, T, bandit.actions)
    mine, copy = [], world(bandit, T, seed)
    for t in range(T):
        u = learner.act()
        if len(mine) < learner.decisions:
            mine.append((learner.beta, learner.fit.estimate, t))  # pyright: ignore
        learner.update(copy.pull(u))
    assert arm_of(bandit, copy.actions) == arm_of(bandit, there.actions)
    assert [row[4] for row in log] == [row[2] for row in mine]
    np.testing.assert_allclose([row[1] for row in log], [row[0] for row in mine], rtol=1e-9)
    np.testing.assert_allclose([row[2] for row in log], [row[1] for row in mine], atol=1e-9)
    run = bandits.run(bandit, algorithm, T, [seed], constants=c, threads=1)["DynLinUCB"]
    h, D = bandit.markov_parameter, bandit.largest_gap
    errors = [math.sqrt((e - h) @ V @ (e - h)) / beta for _, beta, e, V, _ in log]
    assert run.ratio[0, -1] == pytest.approx(max(errors), rel=1e-8)
    ends = [row[4] for row in log[1:]] + [T]
    claims = [
        (end - t) * min(D, 2 * beta * math.sqrt(arms[k] @ np.linalg.solve(V, arms[k])))
        for (k, beta, _, V, t), end in zip(log, ends, strict=True)
    ]
    assert run.certificate[0, -1] == pytest.approx(sum(claims), rel=1e-8)


@pytest.mark.parametrize("system", SYSTEMS)
def test_rs_dynlin_is_the_written_out_algorithm(system: str):
    bandit, T, seed = SYSTEMS[system], 3000, 5
    c, there = told(bandit), world(bandit, T, seed)
    arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
    log = oracle.rs_dynlin(there, arms, c, T, 1.3, 0.5, 0.03)
    algorithm = bandits.RSDynLin(0.5, 1.3, 0.03)
    learner, copy = played(bandit, algorithm, c, T, seed)
    assert arm_of(bandit, copy.actions) == arm_of(bandit, there.actions)
    run = bandits.run(bandit, algorithm, T, [seed], constants=c, threads=1)["RSDynLin"]
    assert run.choices[0] == learner.decisions == len(log)
    h = bandit.markov_parameter
    errors = [math.sqrt((e - h) @ V @ (e - h)) / beta for _, beta, e, V, _ in log]
    assert run.ratio[0, -1] == pytest.approx(max(errors), rel=1e-8)


def test_rivals_are_the_written_out_algorithms():
    bandit, T, seed = SYSTEMS["random 1"], 400, 2
    arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]
    c = told(bandit)
    d, ridge, gamma = bandit.dimension, 1.0, 0.95

    def radius(t: int) -> float:
        N = sum(gamma ** (2 * i) for i in range(t))
        growth = d * math.log(1 + N * c.U**2 / (d * ridge))
        return c.c2 * math.sqrt(ridge) + math.sqrt(2 * c.s2 * (math.log(T) + growth / 2))

    task = interface.Task(c, T, bandit.actions)
    draws = np.array(
        [
            _kernels.noise.uniform(np.uint64(seed), np.uint64(LEARNER), np.uint64(i))
            for i in range(T)
        ]
    )
    M = (c.Theta + c.Omega * c.B / (1 - c.rho)) * c.U
    batch = int(bandits.BatchExp3().factors(task)["BATCH"])
    expected = {
        bandits.DLinUCB(gamma): oracle.d_lin_ucb(
            world(bandit, T, seed), arms, radius, T, ridge, gamma
        ),
        bandits.Exp3(): oracle.exp3(world(bandit, T, seed), arms, T, 1, M, draws),
        bandits.BatchExp3(): oracle.exp3(world(bandit, T, seed), arms, T, batch, M, draws),
        bandits.UCB1(0.4): oracle.ucb1(world(bandit, T, seed), arms, T, 0.4),
        bandits.AR2(0.5, 0.6): oracle.ar2(world(bandit, T, seed), arms, T, 0.5, 0.6),
    }
    assert batch > 2
    for algorithm, arms_played in expected.items():
        _, there = played(bandit, algorithm, c, T, seed)
        assert arm_of(bandit, there.actions) == arms_played, algorithm


def test_late_credit_moves_rewards_to_the_wrong_arm():
    bandit = Bandit([[0.0]], [[0.0, 0.0]], [0.0], [0.0, 1.0], np.eye(2))
    c, shares = bandit.constants(0.5), []
    for credit in ("own", "previous"):
        algorithm = bandits.BatchExp3(batch=10, mix=0.3, credit=credit)
        run = bandits.run(bandit, algorithm, 4000, 10, constants=c)["BatchExp3"]
        shares.append(run.pulls[:, 1].mean() / 4000)
    assert shares[0] > shares[1] + 0.1


def test_without_state_dynlin_is_linucb():
    base = random_bandit(4)
    for changes in ({"omega": np.zeros(2)}, {"B": np.zeros((2, 3))}):
        bandit = replace(base, A=np.zeros((2, 2)), x0=np.zeros(2), **changes)
        c, T = bandit.constants(0.0), 800
        arms = bandit.actions.arms  # pyright: ignore[reportAttributeAccessIssue]

        def beta(t, V, c=c, T=T):
            growth = c.d * math.log(1 + t * c.U**2 / c.d)
            return c.c2 + math.sqrt(2 * c.s2 * (math.log(T) + growth / 2))

        there = world(bandit, T, 9)
        oracle.lin_ucb(there, arms, beta, T, 1.0)
        for algorithm in (
            bandits.DynLinUCB("paper", 1.0, paper_edge=True), bandits.DynLinUCB("paper", 1.0),
            bandits.LinUCB(),
        ):  # fmt: skip
            bias = algorithm.factors(interface.Task(c, T, bandit.actions))
            if bias["C1"] == 0:
                _, copy = played(bandit, algorithm, c, T, 9)
                assert arm_of(bandit, copy.actions) == arm_of(bandit, there.actions)


def test_a_state_that_forgets_at_once_still_lags_by_a_round():
    bandit = replace(random_bandit(6, sigma=0.0), A=np.zeros((2, 2)), x0=np.zeros(2))
    c = bandit.constants(0.0)
    _, there = played(bandit, bandits.DynLinUCB(), c, 400, 0)
    last = np.arange(2, 400, 2)  # the epochs after the first have two rounds
    y, u = np.array(there.rewards), np.array(there.actions)
    assert np.abs(y[last] - u[last] @ bandit.markov_parameter).max() <= 1e-12
    assert (u[last] == u[last - 1]).all()
    _, there = played(bandit, bandits.DynLinUCB(paper_edge=True), c, 400, 0)
    y, u = np.array(there.rewards), np.array(there.actions)
    assert np.abs(y - u @ bandit.markov_parameter).max() > 0.1


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_the_optimistic_action_of_a_ball_is_exact(d: int):
    rng = np.random.default_rng(d)
    for trial in range(60):
        Z = rng.normal(size=(d + trial % 3, d))
        V = Z.T @ Z + 0.1 * np.eye(d)
        centre, beta, radius = rng.normal(size=d) * (trial % 4), rng.uniform(0.01, 3), 1.7
        if trial % 5 == 0:  # the hard case: nothing along the widest axis
            _, Q = np.linalg.eigh(V)
            centre -= Q[:, 0] * (Q[:, 0] @ centre)
        inverse, u = np.linalg.inv(V), np.empty(d)
        _kernels.bandits_ball.longest(centre, inverse, beta, radius, u)
        index = centre @ u + beta * math.sqrt(u @ inverse @ u)
        best = Ball(d, radius).optimistic(centre, inverse, beta)[1]
        assert np.linalg.norm(u) == pytest.approx(radius)
        assert index == pytest.approx(best, rel=1e-9)
        if d == 2:
            angle = np.linspace(0, 2 * np.pi, 40_001)
            circle = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            width = np.sqrt(((circle @ inverse) * circle).sum(axis=1))
            assert (circle @ centre + beta * width).max() <= index * (1 + 1e-12) + 1e-12


def test_balls_are_played_by_compiled_and_plain_learners_alike(monkeypatch):
    def longest(actions, centre, inverse, beta):  # ties have no first action on a ball
        u = np.empty(centre.size)
        _kernels.bandits_ball.longest(centre, inverse, beta, actions.radius, u)
        return u

    monkeypatch.setattr(dynlin_ucb, "optimistic", longest)
    monkeypatch.setattr(rs_dynlin, "optimistic", longest)
    bandit = replace(random_bandit(3, d=2), actions=Ball(2, 0.8))
    c, T = told(bandit), 600
    named = {"certified": bandits.DynLinUCB(), "rs": bandits.RSDynLin(), "lin": bandits.LinUCB()}
    found = bandits.run(bandit, named, T, [4], constants=c, threads=1)
    for name, algorithm in named.items():
        _, there = played(bandit, algorithm, c, T, 4)
        gaps = bandit.best[1] - np.array(there.actions) @ bandit.markov_parameter
        assert found[name].final[0] == pytest.approx(gaps.sum(), rel=1e-6)
        assert found[name].pulls.shape == (1, 0)
        assert gaps.min() >= -1e-12
    assert found["rs"].covered.all()
    assert found["certified"].covered.all()
    with pytest.raises(NotApplicableError, match="finitely many actions"):
        bandits.run(bandit, bandits.UCB1(), T, 1)


def test_a_polytope_is_played_at_its_vertices():
    h = np.array([0.3, -0.2, 0.5])
    polytope = Polytope.budget(3, 1.5)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 21)] * 3), axis=-1).reshape(-1, 3)
    grid = grid[grid.sum(axis=1) <= 1.5 + 1e-12]
    rng = np.random.default_rng(0)
    for _ in range(30):
        Z = rng.normal(size=(4, 3))
        inverse: Any = np.linalg.inv(Z.T @ Z + np.eye(3))
        beta = rng.uniform(0, 2)
        u = interface.optimistic(polytope, h, inverse, beta)
        dense = grid @ h + beta * np.sqrt(((grid @ inverse) * grid).sum(axis=1))
        assert dense.max() <= u @ h + beta * math.sqrt(u @ inverse @ u) + 1e-9


def test_the_inverse_stays_exact():
    rng = np.random.default_rng(0)
    d, arms = 3, rng.normal(size=(4, 3))
    linear = _kernels.bandits_linear
    par, num, count = np.zeros(24), np.zeros(8), np.zeros(8, dtype=np.int64)
    mat, vec, tab = np.zeros((5, d, d)), np.zeros((6, d)), np.zeros((4, 4))
    par[linear.RIDGE] = 0.5
    linear.begin(par, num, mat, vec, tab, arms)
    path = []
    for k in rng.integers(0, 4, 100_000):
        before = linear.norm2(mat[1], arms[k])
        path.append(min(1.0, before))
        vec[2] = arms[k]
        linear.absorb(num, count, mat, vec, tab, arms, 1.0, rng.normal())
    V = mat[0]
    exact = np.linalg.inv(V)
    assert np.abs(mat[1] - exact).max() <= 1e-8 * np.abs(exact).max()
    np.testing.assert_allclose(vec[1], exact @ vec[0], rtol=1e-8)
    np.testing.assert_allclose(tab[1], ((arms @ exact) * arms).sum(axis=1), rtol=1e-8)
    np.testing.assert_allclose(tab[0], arms @ vec[1], atol=1e-8)
    growth = np.linalg.slogdet(V / 0.5)[1]
    assert num[linear.LOGDET] == pytest.approx(growth, rel=1e-9)
    U = np.linalg.norm(arms, axis=1).max()
    assert growth <= d * math.log(1 + 100_000 * U**2 / (d * 0.5))
    assert sum(path) <= 2 * growth


def test_noise_made_in_bulk_is_the_same_bit_for_bit():
    for streams in (1, 2, 3, 4, 5):
        out = np.empty((streams, 20_000))
        _kernels.bandits_noise.fill(np.uint64(9), 77, out)
        for i in range(streams):
            assert (out[i] == noise_block(9, i, 77, 20_000)).all()


@pytest.mark.parametrize("T", [1, 2, 7, 1024, 1025])
def test_every_horizon_can_be_played(T: int):
    bandit = models.dlb_synthetic()
    slow = bandit.constants(0.999)
    found = bandits.run(
        bandit, bandits.standard(bandit), T, 2, constants={"dynlin_certified": slow}
    )
    for run in found.values():
        assert run.pulls.sum(axis=1).tolist() == [T, T]
        assert (np.diff(run.regret) >= 0).all()
        assert (run.regret >= 0).all()
    alone = replace(bandit, actions=Arms([[1.0, 0.5, 0.0]]))
    for run in bandits.run(alone, bandits.standard(alone), T, 1).values():
        assert run.final[0] == 0


def test_seeds_threads_pieces_and_company_change_nothing(monkeypatch):
    bandit, algorithm = models.dlb_synthetic(), bandits.DynLinUCB("paper")
    whole = bandits.run(bandit, algorithm, 5000, 4, threads=1)["DynLinUCB"]
    monkeypatch.setattr(driver, "PIECE", 1024)
    named = {"DynLinUCB": algorithm, "other": bandits.RSDynLin(C=0.2), "one": bandits.Exp3()}
    again = bandits.run(bandit, named, 5000, [3, 2, 1, 0], threads=2)["DynLinUCB"]
    for name in ("regret", "expected", "realised", "certificate", "ratio", "pulls"):
        assert (getattr(whole, name) == getattr(again, name)[::-1]).all(), name


def test_an_interrupt_stops_the_threads(monkeypatch):
    bandit, begun = models.dlb_synthetic(), threading.Event()
    real = driver._begin

    def interrupted(plan):
        if plan.T > 1 and not begun.is_set():
            begun.set()
            raise KeyboardInterrupt
        return real(plan)

    monkeypatch.setattr(driver, "_begin", interrupted)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        bandits.run(bandit, bandits.DynLinUCB(), 10**8, 4, threads=2)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: bandits.DynLinUCB(delta=0.0), "0 < delta < 1"),
        (lambda: bandits.DynLinUCB(delta_state=1.0), "0 < delta < 1"),
        (lambda: bandits.DynLinUCB(lambda_=0.0), "lambda_ is 0"),
        (lambda: bandits.DynLinUCB(lambda_="log"), "lambda_ is 'log'"),  # pyright: ignore
        (lambda: bandits.DynLinUCB("exact"), "radius is 'exact'"),  # pyright: ignore
        (lambda: bandits.DynLinUCB(first_epoch=0), "first_epoch is 0"),
        (lambda: bandits.RSDynLin(C=0.0), "C is 0.0"),
        (lambda: bandits.RSDynLin(Q=-1.0), "Q is -1.0"),
        (lambda: bandits.LinUCB(norm=math.inf), "norm is inf"),
        (lambda: bandits.DLinUCB(gamma=0.0), "gamma is 0.0"),
        (lambda: bandits.AR2(alpha=1.0), "alpha is 1.0"),
        (lambda: bandits.Exp3(mix=2.0), "mix is 2.0"),
        (lambda: bandits.BatchExp3(batch=0), "batch is 0"),
        (lambda: bandits.UCB1(0.0), "range_ is 0.0"),
        (lambda: bandits.Expert((math.nan,)), "finite vector"),
    ],
)
def test_hyper_parameters_are_checked(make, match: str):
    with pytest.raises(InvalidModelError, match=match):
        make()


def test_calls_are_checked():
    bandit, play = models.dlb_synthetic(), bandits.run
    one = bandits.DynLinUCB()
    for changes, match in (
        ({"T": 0}, "T >= 1"), ({"seeds": 0}, "seeds is empty"), ({"seeds": [-1]}, "seeds"),
        ({"checkpoints": [5, 5]}, "increase strictly"), ({"checkpoints": [11]}, "increase"),
        ({"checkpoints": [0.5]}, "integers"), ({"algorithms": []}, "algorithms is empty"),
        ({"algorithms": [one, one]}, "several of DynLinUCB"), ({"threads": 0}, "threads is 0"),
        ({"constants": {"who": bandit.constants()}}, "who, who do not play"),
        ({"algorithms": bandits.Expert((9.0, 0.0, 0.0))}, "not among"),
        ({"constants": replace(bandit.constants(), d=2)}, "d = 2"),
    ):  # fmt: skip
        call: dict[str, Any] = {"algorithms": one, "T": 10, "seeds": 1} | changes
        with pytest.raises(InvalidModelError, match=match):
            play(bandit, **call)
    with pytest.raises(NotApplicableError):
        bandits.Clairvoyant().init(bandit.constants(), 10, bandit.actions)
    with pytest.raises(InvalidModelError, match="without act"):
        one.init(bandit.constants(), 10, bandit.actions).update(0.0)


def test_results_can_be_looked_at():
    bandit = models.dlb_synthetic()
    found = bandits.run(
        bandit, bandits.standard(bandit, (1.0, 0.5, 0.0)), 300, 3, checkpoints=[100]
    )
    assert found.checkpoints.tolist() == [100, 300]
    assert "dynlin_log" in repr(found)
    assert found.at(300) == 1
    with pytest.raises(KeyError):
        found.at(7)
    assert found["expert"].final.tolist() == [0.0, 0.0, 0.0]
    assert found["rs_dynlin"].coverage().high == 1.0
    assert np.isnan(found["exp3"].certificate).all()
    assert found["rs_dynlin"].standard_error.shape == found["rs_dynlin"].mean.shape == (2,)
    assert np.isnan(bandits.run(bandit, bandits.UCB1(), 9, 1)["UCB1"].standard_error).all()


def test_the_benchmark_runs_and_both_programs_agree(tmp_path):
    from benchmarks.bandits import __main__ as command

    numbers = command.main(["--quick", "--repeats", "1", "--out", str(tmp_path)])
    assert numbers["compare"]["largest_difference"] <= 1e-9
    assert len(numbers["ns_per_round"]) == 13
    assert (tmp_path / "bandits.json").exists()
