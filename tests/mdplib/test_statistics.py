"""Intervals against closed forms, exact binomial sums and simulated coverage."""

import math

import numpy as np
import pytest

from mdplib.bootstrap import BootstrapMethod
from mdplib.statistics import (
    Interval,
    bootstrap,
    bootstrap_mean,
    clopper_pearson,
    paired_difference,
    runs_needed,
    slope_fit,
)


def binomial_tail(n: int, p: float, ks) -> float:
    """Sum the binomial probabilities of ks, the slow and obvious way."""
    return math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in ks)


def wald(k: int, n: int, confidence: float) -> Interval:
    """The textbook interval that does not cover: the mutant."""
    z = {0.95: 1.959963984540054, 0.99: 2.5758293035489004}[confidence]
    p = k / n
    radius = z * math.sqrt(p * (1 - p) / n)
    return Interval(p - radius, p, p + radius, confidence, "Wald", n)


def exact_coverage(interval, n: int, p: float, confidence: float) -> float:
    covering = [k for k in range(n + 1) if p in interval(k, n, confidence)]
    return binomial_tail(n, p, covering)


@pytest.mark.parametrize(("k", "n"), [(0, 12), (1, 12), (5, 12), (12, 12), (3, 200)])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_clopper_pearson_solves_its_equations(k, n, confidence):
    interval = clopper_pearson(k, n, confidence)
    tail = (1 - confidence) / 2
    if k > 0:
        assert binomial_tail(n, interval.low, range(k, n + 1)) == pytest.approx(tail, rel=1e-9)
    else:
        assert interval.low == 0.0
    if k < n:
        assert binomial_tail(n, interval.high, range(k + 1)) == pytest.approx(tail, rel=1e-9)
    else:
        assert interval.high == 1.0


def test_clopper_pearson_without_events_is_the_closed_form():
    high = clopper_pearson(0, 90, 0.99, side="upper").high
    assert high == pytest.approx(1 - 0.01 ** (1 / 90), rel=1e-12)
    assert clopper_pearson(7, 7, 0.99, side="lower").low == pytest.approx(0.01 ** (1 / 7))
    assert clopper_pearson(3, 9, 0.9, side="lower").high == 1.0
    assert clopper_pearson(3, 9, 0.9, side="upper").low == 0.0


@pytest.mark.parametrize("n", [10, 30])
def test_clopper_pearson_covers_for_every_probability(n):
    for p in np.linspace(0.002, 0.998, 125):
        assert exact_coverage(clopper_pearson, n, float(p), 0.95) >= 0.95


def test_mutant_wald_does_not_cover():
    assert exact_coverage(wald, 30, 0.01, 0.95) < 0.5


@pytest.mark.parametrize(("rate", "confidence", "n"), [(0.05, 0.99, 90), (0.01, 0.95, 299)])
def test_runs_needed_without_failures(rate, confidence, n):
    assert runs_needed(rate, confidence) == n
    assert n == math.ceil(math.log(1 - confidence) / math.log(1 - rate))


@pytest.mark.parametrize("failures", [1, 4])
def test_runs_needed_is_the_least(failures):
    n = runs_needed(0.1, 0.95, failures=failures)
    assert clopper_pearson(failures, n, 0.95, side="upper").high <= 0.1
    assert clopper_pearson(failures, n - 1, 0.95, side="upper").high > 0.1


@pytest.mark.parametrize("method", ["bca", "percentile_t"])
def test_bootstrap_mean_covers_a_skewed_law(method):
    rng = np.random.default_rng(20240)
    hits = 0
    for _ in range(400):
        x = rng.exponential(size=60)
        hits += 1.0 in bootstrap_mean(x, rng, confidence=0.9, n_resamples=400, method=method)
    # The nominal level is 0.9; allow the order 1/n error of the method and the simulation's.
    assert clopper_pearson(hits, 400, 0.99).high > 0.88
    assert hits / 400 > 0.83


def test_percentile_t_covers_better_than_percentile_for_few_replicates():
    rng = np.random.default_rng(11)
    hits: dict[BootstrapMethod, int] = {"percentile": 0, "percentile_t": 0}
    for _ in range(300):
        x = rng.exponential(size=8)
        for method in hits:
            hits[method] += 1.0 in bootstrap_mean(
                x, rng, confidence=0.9, n_resamples=300, method=method
            )
    assert hits["percentile_t"] > hits["percentile"] + 15


def test_bootstrap_of_a_symmetric_sample_is_close_to_the_normal_interval():
    x = np.random.default_rng(3).normal(size=400)
    interval = bootstrap(x, np.mean, np.random.default_rng(4), n_resamples=4000)
    radius = 1.96 * x.std(ddof=1) / 20
    assert interval.low == pytest.approx(x.mean() - radius, abs=0.01)
    assert interval.high == pytest.approx(x.mean() + radius, abs=0.01)


def test_bootstrap_depends_on_its_generator_and_on_nothing_else():
    x = np.arange(10.0)
    first = bootstrap_mean(x, np.random.default_rng(5))
    assert first == bootstrap_mean(x, np.random.default_rng(5))
    assert first != bootstrap_mean(x, np.random.default_rng(6))


@pytest.mark.parametrize("method", ["bca", "percentile", "percentile_t"])
def test_constant_sample_has_a_point_interval(method):
    interval = bootstrap_mean([2.5] * 6, np.random.default_rng(0), method=method)
    assert (interval.low, interval.estimate, interval.high) == (2.5, 2.5, 2.5)


def test_pairing_removes_common_noise():
    rng = np.random.default_rng(8)
    noise = rng.normal(scale=10.0, size=60)
    a, b = noise + 1.0 + 0.1 * rng.normal(size=60), noise
    paired = paired_difference(a, b, rng)
    assert 1.0 in paired
    assert paired.high - paired.low < 0.1
    shuffled = paired_difference(a, b[rng.permutation(60)], rng)  # mutant: pairs broken
    assert shuffled.high - shuffled.low > 1.0


def test_slope_of_exact_lines_is_exact():
    x = np.array([0.0, 1.0, 2.0, 5.0])
    y = 3.0 - 0.5 * x
    interval = slope_fit(x, y, np.random.default_rng(0))
    assert interval.estimate == pytest.approx(-0.5)
    assert interval.low == pytest.approx(interval.high)
    assert slope_fit(x, x**2, np.random.default_rng(0)).estimate == pytest.approx(
        np.polyfit(x, x**2, 1)[0]
    )


@pytest.mark.parametrize("quantile", [None, 0.5])
def test_slope_interval_covers(quantile):
    rng = np.random.default_rng(17)
    x = np.log([10.0, 40.0, 160.0, 640.0])
    hits = 0
    for _ in range(200):
        y = -0.5 * x[:, None] + np.log(np.abs(rng.normal(size=(4, 60))))
        hits += -0.5 in slope_fit(x, y, rng, n_resamples=200, confidence=0.9, quantile=quantile)
    assert clopper_pearson(hits, 200, 0.99).high > 0.88


def test_paired_slope_uses_the_common_noise():
    rng = np.random.default_rng(2)
    x = np.arange(3.0)
    y = 2.0 * x[:, None] + rng.normal(size=(1, 50))
    together = slope_fit(x, y, rng, paired=True)
    apart = slope_fit(x, y, rng)
    assert together.high - together.low < 1e-12 < apart.high - apart.low


def test_log_of_zero_is_accepted_below_the_quantile_only():
    x, y = np.arange(2.0), np.array([[-np.inf] + [0.0] * 30, [1.0] * 31])
    fit = slope_fit(x, y, np.random.default_rng(0), quantile=0.8)
    assert fit.estimate == 1.0
    with pytest.raises(ValueError, match="not finite"):
        slope_fit(x, y, np.random.default_rng(0))


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: clopper_pearson(3, 2),
        lambda rng: clopper_pearson(0, 0),
        lambda rng: clopper_pearson(1, 2, 1.0),
        lambda rng: runs_needed(0.0),
        lambda rng: bootstrap_mean([1.0], rng),
        lambda rng: bootstrap_mean([1.0, np.nan], rng),
        lambda rng: bootstrap_mean([1.0, 2.0], rng, n_resamples=1),
        lambda rng: paired_difference([1.0, 2.0], [1.0, 2.0, 3.0], rng),
        lambda rng: slope_fit([1.0, 1.0], [1.0, 2.0], rng),
        lambda rng: slope_fit([1.0, 2.0], [1.0, 2.0, 3.0], rng),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match="need"):
        call(np.random.default_rng(0))


def test_interval_is_plain_data():
    interval = clopper_pearson(1, 10)
    assert interval.to_dict()["n"] == 10
    assert interval.low in interval
    assert -1.0 not in interval
