"""Radii against exact binomial and multinomial tails."""

import itertools
import math

import numpy as np
import pytest

from mdplib.concentration import (
    bernstein_radius,
    empirical_bernstein_radius,
    hoeffding_radius,
    hoeffding_sample_size,
    l1_radius,
    l1_sample_size,
)

PROBABILITIES = (0.02, 0.1, 0.3, 0.5, 0.9)
SIZES = (2, 5, 20, 100)
DELTAS = (0.3, 0.05, 0.001)


def law(n: int, p: float) -> np.ndarray:
    return np.array([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])


def exceedance(n: int, p: float, radius) -> tuple[float, float]:
    """Exact probabilities that mean - p > radius(k), and that |mean - p| > radius(k)."""
    probability = law(n, p)
    deviation = np.arange(n + 1) / n - p
    limit = np.array([radius(k) for k in range(n + 1)])
    return probability[deviation > limit].sum(), probability[np.abs(deviation) > limit].sum()


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("p", PROBABILITIES)
def test_radii_hold_for_exact_binomial_tails(p, n, delta):
    def sample_variance(k):
        return k * (n - k) / (n * (n - 1))

    families = {
        "hoeffding": lambda k, sides: hoeffding_radius(1.0, n, delta, sides=sides),
        "bernstein": lambda k, sides: bernstein_radius(p * (1 - p), 1.0, n, delta, sides=sides),
        "empirical": lambda k, sides: empirical_bernstein_radius(
            sample_variance(k), 1.0, n, delta, sides=sides
        ),
    }
    for radius in families.values():
        one, _ = exceedance(n, p, lambda k, radius=radius: radius(k, 1))
        _, two = exceedance(n, p, lambda k, radius=radius: radius(k, 2))
        assert one <= delta
        assert two <= delta


MUTANTS = {
    "hoeffding, 2 n taken for n / 2": lambda n, p, d: hoeffding_radius(1.0, 4 * n, d),
    "hoeffding, log dropped": lambda n, p, d: math.sqrt(1 / (2 * n)),
    "bernstein, 2 dropped": lambda n, p, d: math.sqrt(p * (1 - p) * math.log(2 / d) / n),
    "bernstein, second term dropped": lambda n, p, d: math.sqrt(
        2 * p * (1 - p) * math.log(2 / d) / n
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught_by_the_same_tails(name):
    caught = [
        (p, n, delta)
        for p, n, delta in itertools.product((0.002, *PROBABILITIES), SIZES, DELTAS)
        if exceedance(n, p, lambda k, c=(n, p, delta): MUTANTS[name](*c))[1] > delta
    ]
    assert caught


def l1_failure(p: np.ndarray, n: int, radius: float) -> float:
    """Exact probability that the L1 distance of n draws from p exceeds the radius."""
    total = 0.0
    for a, b in itertools.product(range(n + 1), repeat=2):
        if a + b <= n:
            counts = np.array([a, b, n - a - b])
            ways = math.factorial(n) // math.prod(math.factorial(c) for c in counts.tolist())
            if np.abs(counts / n - p).sum() > radius:
                total += ways * float(np.prod(p**counts))
    return total


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("p", [(1 / 3, 1 / 3, 1 / 3), (0.05, 0.15, 0.8)])
def test_l1_radius_holds_for_exact_multinomial_tails(p, delta):
    for n in (3, 12, 30):
        assert l1_failure(np.array(p), n, l1_radius(3, n, delta)) <= delta


def test_mutant_l1_radius_halved_is_caught():
    assert l1_failure(np.full(3, 1 / 3), 30, l1_radius(3, 30, 0.3) / 2) > 0.3


def test_l1_radius_of_two_letters_is_twice_hoeffding():
    assert l1_radius(2, 50, 0.1) == pytest.approx(2 * hoeffding_radius(1.0, 50, 0.1))
    assert l1_radius(1, 5, 0.1) == 0.0
    assert l1_radius(50, 1, 0.1) == 2.0
    assert l1_radius(2000, 10**6, 0.1) == pytest.approx(
        math.sqrt(2 * (2000 * math.log(2) - math.log(0.1)) / 10**6)
    )


@pytest.mark.parametrize("radius", [0.5, 0.05, 0.0101])
def test_sample_sizes_are_the_least(radius):
    n = hoeffding_sample_size(3.0, radius, 0.05)
    assert hoeffding_radius(3.0, n, 0.05) <= radius < hoeffding_radius(3.0, n - 1, 0.05)
    n = l1_sample_size(4, radius, 0.05)
    assert l1_radius(4, n, 0.05) <= radius < l1_radius(4, n - 1, 0.05)


def test_radii_scale_with_the_unit():
    assert hoeffding_radius(7.0, 9, 0.1) == pytest.approx(7 * hoeffding_radius(1.0, 9, 0.1))
    assert bernstein_radius(49 * 0.2, 7.0, 9, 0.1) == pytest.approx(
        7 * bernstein_radius(0.2, 1.0, 9, 0.1)
    )
    assert empirical_bernstein_radius(49 * 0.2, 7.0, 9, 0.1) == pytest.approx(
        7 * empirical_bernstein_radius(0.2, 1.0, 9, 0.1)
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: hoeffding_radius(1.0, 0, 0.1),
        lambda: hoeffding_radius(-1.0, 1, 0.1),
        lambda: hoeffding_radius(1.0, 1, 0.0),
        lambda: hoeffding_sample_size(1.0, 0.0, 0.1),
        lambda: l1_radius(0, 1, 0.1),
        lambda: l1_sample_size(1, 0.1, 0.1),
        lambda: l1_sample_size(3, 2.0, 0.1),
        lambda: bernstein_radius(-0.1, 1.0, 1, 0.1),
        lambda: empirical_bernstein_radius(0.1, 1.0, 1, 0.1),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"need|must"):
        call()
