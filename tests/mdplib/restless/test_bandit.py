"""Arms, bandits and their simulation."""

import numpy as np
import pytest

from mdplib import restless
from mdplib.errors import InvalidModelError
from mdplib.restless import Arms, Budget, CoupledRestlessBandit, Interventions, domains, simulate
from mdplib.restless.arms import ladder
from mdplib.restless.simulation import first_states, step

DOMAINS = ("budget", "capacity", "schedule", "walks", "interventions")


def draw(kind: str, seed: int = 0) -> CoupledRestlessBandit:
    rng = np.random.default_rng(seed)
    if kind == "interventions":
        return domains.interventions(20, 10, 5, rng)
    return getattr(domains, kind)(20, 5, rng)


@pytest.mark.parametrize("kind", DOMAINS)
def test_rewards_are_expectations_over_the_next_state(kind):
    bandit = draw(kind)
    rng = np.random.default_rng(1)
    s = rng.integers(0, 4, 20)
    a = bandit.actions.sample(rng)
    level = bandit.actions.levels(a)
    by_hand = sum(float(bandit.arms.r[j, level[j], s[j]]) for j in range(20))
    assert bandit.reward(s, a) == pytest.approx(by_hand)
    assert bandit.reward(np.stack([s, s]), np.stack([a, a])) == pytest.approx([by_hand] * 2)


def test_interventions_follow_the_sigmoid():
    """phi(v) at v = 3 n, and 1 percent without any intervention."""
    bandit = draw("interventions")
    up = bandit.arms.P[:, :, 0, 1]
    assert up[:, 0] == pytest.approx(np.full(20, 0.01))
    assert (np.diff(up, axis=1) > 0).all()
    assert up.max() < 0.99
    good = np.flatnonzero(up[:, -1] > 0.6)
    first, last = up[good, 1] - up[good, 0], up[good, 3] - up[good, 0]
    assert (last > 15 * first).all(), "one intervention alone does almost nothing"


def test_a_line_of_points_in_place_of_the_sigmoid():
    """Points at multiples of 3 hit every level; few or oblique ones do not, and many converge."""

    def error(points: int) -> float:
        fitted = domains.interventions(20, 10, 5, np.random.default_rng(0), points=points)
        assert isinstance(fitted.actions, Interventions)
        reached = np.arange(fitted.actions.n_levels) <= fitted.actions.degree[:, None]
        away = np.abs(fitted.arms.P - exact.arms.P).max(axis=(2, 3))
        assert (away[~reached] == 0).all()
        assert away[reached[:, 0], 0] == pytest.approx(np.full(20, 0.01)), "0 in place of phi(0)"
        return float(away[:, 1:].max())

    exact = draw("interventions")
    assert error(10) < 1e-15
    assert error(2) > 0.2
    assert error(100) < 1e-15 < error(101) < 2e-3 < error(8)


def test_ladder_by_hand():
    arms = ladder(np.array([[0.1, 0.8]]), np.array([[0.2, 0.15, 0.1, 5.0]]))
    assert arms.P[0, 1, 0].tolist() == pytest.approx([0.2, 0.8, 0, 0])
    assert arms.P[0, 1, 3].tolist() == pytest.approx([0, 0, 0.2, 0.8])
    assert arms.r[0, 0, 2] == pytest.approx(0.1 * 5.0 + 0.9 * 0.15)


def test_generators_draw_what_they_promise():
    rng = np.random.default_rng(2)
    many = [domains.capacity(20, 5, rng) for _ in range(100)]
    low, high = (np.array([b.arms.P[:, n, 0, 1] for b in many]) for n in (0, 1))
    assert 0 <= low.min() < 0.01
    assert 0.19 < low.max() < 0.2
    assert 0.7 <= high.min() < 0.71
    assert 0.89 < high.max() < 0.9
    top = np.array([b.arms.r[:, 1, 3] for b in many])
    assert top[:, :5].min() > top[:, 5:].max() * 0.8
    assert {int(c) for b in many for c in b.actions.cost} == {2, 3, 4, 5, 6}  # pyright: ignore


def test_simulated_transitions_have_the_law_of_the_arms():
    bandit = draw("budget")
    rng = np.random.default_rng(3)
    n = 20_000
    s = np.tile(rng.integers(0, 4, 20), (n, 1))
    a = np.tile(bandit.actions.sample(rng), (n, 1))
    after = step(bandit, s, a, rng.random((n, 20)))
    for j in range(20):
        law = bandit.arms.P[j, a[0, j], s[0, j]]
        seen = np.bincount(after[:, j], minlength=4) / n
        assert np.abs(seen - law).max() < 5 * np.sqrt(0.25 / n)
        assert (seen[law == 0] == 0).all()
    first = first_states(bandit, rng.random((n, 20)))
    assert np.bincount(first.ravel(), minlength=4) / first.size == pytest.approx(
        [0.8, 0.2, 0, 0], abs=0.01
    )


def test_policies_meet_common_random_numbers():
    bandit = draw("capacity")
    seen = []

    def idle(h, s):
        seen.append(s)
        return np.zeros((len(s), 20), dtype=np.int8)

    first = simulate(bandit, idle, 5, np.random.default_rng(4))
    again = simulate(bandit, idle, 5, np.random.default_rng(4))
    assert (first == again).all()
    assert first.shape == (5, 20)
    assert (seen[0] == seen[20]).all()


def test_infeasible_actions_are_caught_on_demand():
    bandit = draw("capacity")
    greedy = lambda h, s: np.ones((len(s), 20), dtype=np.int8)  # noqa: E731
    with pytest.raises(InvalidModelError, match="which is not in Capacity"):
        simulate(bandit, greedy, 2, np.random.default_rng(0), check=True)
    with pytest.raises(InvalidModelError, match="returned shape"):
        simulate(bandit, lambda h, s: np.zeros(20), 2, np.random.default_rng(0))


def test_bad_parts_are_named():
    arms = ladder(np.array([[0.1, 0.8]] * 2), np.array([[0.0, 1.0]] * 2))
    law = np.array([[1.0, 0.0]] * 2)
    with pytest.raises(InvalidModelError, match="speaks of 3 arms"):
        CoupledRestlessBandit(arms, Budget(3, 1), law)
    with pytest.raises(InvalidModelError, match=r"initial\[1\] sums to 0.9"):
        CoupledRestlessBandit(arms, Budget(2, 1), np.array([[1.0, 0.0], [0.9, 0.0]]))
    with pytest.raises(InvalidModelError, match="gamma 1"):
        CoupledRestlessBandit(arms, Budget(2, 1), law, gamma=1.0)
    actions = restless.Interventions(np.ones((2, 3), dtype=bool), 1)
    with pytest.raises(InvalidModelError, match="levels and the arms"):
        CoupledRestlessBandit(arms, actions, law)
    with pytest.raises(InvalidModelError, match=r"row 0 of P\[0, 1\] sums to 1.5"):
        Arms(np.array([[[[1.0]], [[1.5]]]]), np.zeros((1, 2, 1)))
    with pytest.raises(InvalidModelError, match="need 6 arms of their kind"):
        domains.interventions(5, 8, 4, np.random.default_rng(0))
    with pytest.raises(InvalidModelError, match="no graph of 30"):
        domains.walks(30, 5, np.random.default_rng(0))
