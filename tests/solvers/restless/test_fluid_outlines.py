"""The fluid program in outline against the whole program."""

import numpy as np
import pytest

from mdplib.optim.builder import MipBuilder
from mdplib.optim.lp import solve_relaxation
from mdplib.restless import CoupledRestlessBandit, Walks, domains
from solvers.restless import fluid
from solvers.restless.fluid import fluid_bound


def whole(bandit: CoupledRestlessBandit) -> float:
    """The value of the program that describes the set at every step."""
    builder = MipBuilder()
    fluid._describe(bandit, builder, np.zeros(bandit.horizon, dtype=bool))
    return -solve_relaxation(builder.arrays()).objective


def walks(seed: int) -> CoupledRestlessBandit:
    """Walks so short that the outline often holds for too much."""
    rng = np.random.default_rng(seed)
    drawn = domains.walks(20, 5, rng)
    edges = drawn.actions.edges if isinstance(drawn.actions, Walks) else ()
    actions = Walks(20, edges, int(rng.integers(20)), 4, int(rng.integers(2, 9)))
    return CoupledRestlessBandit(drawn.arms, actions, drawn.initial, 6)


@pytest.mark.parametrize("seed", range(8))
def test_the_outline_loses_nothing(seed):
    bandit = walks(seed)
    assert fluid_bound(bandit).program == pytest.approx(whole(bandit), rel=1e-7)


def test_an_outline_that_is_not_checked_would_be_noticed(monkeypatch):
    monkeypatch.setattr(fluid, "_outside", lambda *_: np.zeros(6, dtype=bool))
    seeds = iter(range(8))
    with pytest.raises(AssertionError):
        all(test_the_outline_loses_nothing(seed) is None for seed in seeds)


def test_a_hundred_stations_are_bounded_without_programs_over_walks():
    drawn = domains.walks(100, 20, np.random.default_rng(0))
    bandit = CoupledRestlessBandit(drawn.arms, drawn.actions, drawn.initial, 4)
    bound = fluid_bound(bandit)
    assert bound.upper <= bound.program * (1.0 + 1e-9)
    assert all(bandit.actions.contains(a) for a in bound.best)
