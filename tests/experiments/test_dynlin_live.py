"""Small live versions of the experiment on dynamical linear bandits."""

import math

import numpy as np
import pytest

from bounds.dynamical_bandits import Constants, System
from bounds.mussi2023_learners import play_blocks, play_epochs
from bounds.mussi2023_lower import guessing_bound
from experiments.dynlin import cells
from experiments.dynlin.cells import Cell
from experiments.dynlin.run import checkpoints, run
from experiments.dynlin.systems import (
    BUDGET,
    advertising_truth,
    expert_split,
    refit,
    system,
    told,
)
from mdplib.sampling import streams

T = 2000


def cell(algorithm="dynlin_log", **changes) -> Cell:
    known = {
        "system": "synthetic",
        "protocol": "correct",
        "sigma": 0.01,
        "algorithm": algorithm,
        "rho": -1.0,
        "rounds": T,
        "replicate": 0,
    }
    return Cell(**(known | changes))


def row(algorithm="dynlin_log", entropy=5, **changes):
    return run(cell(algorithm, **changes), streams(entropy, "dynlin", 0))


def final(found) -> np.ndarray:
    return np.array([curve[-1] for curve in found["regret"]])


def test_equal_cells_give_equal_rows_and_equal_seeds_for_all_algorithms():
    assert row("rs_dynlin") == row("rs_dynlin")
    assert row("rs_dynlin", sigma=0.1) != row("rs_dynlin", entropy=6, sigma=0.1)
    for name in ("expert", "dynlin_log"):
        found = row(name)
        assert len(found["regret"]) == cells.SEEDS
        assert len(found["regret"][0]) == len(found["checkpoints"])
        assert found["checkpoints"][-1] == T


def test_checkpoints_are_shared_between_scales_and_reach_the_end():
    for rounds in (1, 2, 10, 1000, 10_000):
        found = checkpoints(rounds)
        assert found[-1] == rounds
        assert found == sorted(set(found))
    assert {10, 100, 1000, 10_000} <= set(checkpoints(10_000))


@pytest.mark.parametrize("name", cells.EVERYONE)
def test_regret_grows_by_gaps_and_expected_regret_is_near(name):
    found, bandit = row(name), system(cell(), np.random.default_rng(0))
    c = bandit.constants()
    regret = np.array(found["regret"])
    t = np.array([0, *found["checkpoints"]])
    assert (np.diff(regret, axis=1, prepend=0.0) >= -1e-9).all()
    assert (np.diff(regret, axis=1, prepend=0.0) <= np.diff(t) * bandit.largest_gap + 1e-9).all()
    edge = 2 * c.G * c.Phi * c.B * c.U / (1 - c.rho)
    assert np.abs(np.array(found["expected"]) - final(found)).max() <= edge


def test_learners_agree_with_the_plain_ones_of_the_theorems():
    """Other noise, other code: means agree within their errors."""
    bandit = system(cell(), np.random.default_rng(0))
    arms = np.asarray(bandit.actions.arms)  # pyright: ignore[reportAttributeAccessIssue]
    plain = System(bandit.A, bandit.B, bandit.omega, bandit.theta, arms, 0.01)
    c = Constants.of(plain, rho=0.2, delta=1 / T)
    rng = np.random.default_rng(1)
    epochs = [play_epochs(plain, c, T, rng).regret for _ in range(6)]
    assert np.mean(epochs) == pytest.approx(final(row("dynlin_certified")).mean(), rel=0.1)
    blocks = [play_blocks(plain, c, T, rng).regret for _ in range(40)]
    assert np.mean(blocks) == pytest.approx(final(row("rs_dynlin")).mean(), rel=0.15)


def test_what_learners_are_told():
    for name in ("synthetic", "advertising"):
        bandit = system(cell(system=name), np.random.default_rng(0))
        c = told(bandit, -1.0)
        bandit.check(c)
        assert c.Phi * c.B * c.U / (1 - c.rho) <= c.X
        assert told(bandit, 0.05).rho == 0.05
        assert told(bandit, 0.05).X == c.X
    X = told(system(cell(), np.random.default_rng(0)), -1.0).X
    assert abs(X - 0.689) < 1e-3


def test_sets_hold_and_those_without_the_bias_do_not():
    for name in cells.OURS:
        found = row(name)
        assert all(found["covered"])
        above = np.array(found["regret"]) > np.array(found["certificate"]) + 1e-9
        assert not above.any()
    assert not any(row("lin_ucb_log")["covered"])
    assert not any(row("dynlin_log", rho=0.0, rounds=100_000)["covered"])
    assert all(row("dynlin_certified", rho=0.0)["covered"])
    assert row("exp3")["covered"] is None


def test_order_of_the_optimists():
    mean = {name: final(row(name, rounds=10_000)).mean() for name in cells.EVERYONE[:4]}
    order = ("rs_dynlin", "dynlin_certified", "dynlin_log", "dynlin_one")
    assert sorted(mean, key=lambda name: mean[name]) == list(order)


def test_a_larger_claimed_radius_costs_more():
    found = [final(row("dynlin_log", rho=rho)).mean() for rho in (-1.0, 0.3, 0.4, 0.8)]
    assert found == sorted(found)


def test_the_public_protocol_differs():
    for name in ("dynlin_log", "batch_exp3"):
        assert final(row(name)).mean() != final(row(name, protocol="public")).mean()


def test_the_family_of_signs_is_drawn_anew_for_every_seed_and_bounded_below():
    rng = np.random.default_rng(0)
    drawn = {tuple(system(cell(system="signs", sigma=0.1), rng).B[0]) for _ in range(40)}
    assert len(drawn) == 2**cells.SIGNS_D
    assert {abs(b) for pair in drawn for b in pair} == {0.1 / math.sqrt(T)}
    bound = guessing_bound(cells.SIGNS_D, cells.SIGNS_RHO, 0.1, T)
    for name in cells.OURS:
        losses = np.concatenate(
            [final(row(name, entropy=k, system="signs", sigma=0.1)) for k in range(12)]
        )
        error = losses.std(ddof=1) / math.sqrt(len(losses))
        assert losses.mean() + 4 * error >= bound


def test_a_refit_is_close_in_what_does_not_depend_on_coordinates():
    bandit = advertising_truth(cell(system="advertising"))
    found = refit(bandit, np.random.default_rng(3))
    assert np.abs(found.markov_parameter - bandit.markov_parameter).max() < 0.01
    assert found.spectral_radius.upper == pytest.approx(bandit.spectral_radius.upper, abs=0.03)
    known = row("rs_dynlin", system="refit")
    assert known["h_error"] < 0.01
    assert all(known["covered"])


def test_the_expert_spends_the_budget_in_proportion():
    split = expert_split()
    assert split.sum() == pytest.approx(BUDGET)
    assert split.max() == 1.0
    assert split[0] / split[1] == pytest.approx(1641952 / 259591273)
    bandit = advertising_truth(cell(system="advertising"))
    gap = bandit.best[1] - bandit.steady_reward(np.array([0.0, 0.5, 1.0]))
    assert final(row("expert", system="advertising")) == pytest.approx(T * gap)
