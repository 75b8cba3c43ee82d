"""Coverage constants against enumeration, convex programs and random kernels."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from mdplib import InvalidModelError, LinearData, LinearMDP, coverage, models
from mdplib.divergences import distance
from mdplib.robust import Robustness
from tests.mutation import mutant


def random_model(seed: int, **sizes: int) -> LinearMDP:
    sizes = {"S": 5, "A": 2, "d": 3, "H": 3} | sizes
    return models.random_simplex_mdp(**sizes, rng=np.random.default_rng(seed))


def path_law(mdp: LinearMDP, policy: Any) -> np.ndarray:
    """Return the occupancies by following every path of states."""
    found = np.zeros((mdp.horizon, mdp.n_pairs))
    features = mdp.features
    weights = [features.weights(policy, h) for h in range(mdp.horizon)]
    kernels = [mdp.kernel(h) for h in range(mdp.horizon)]

    def follow(h: int, s: int, chance: float) -> None:
        if h == mdp.horizon or not chance:
            return
        for k in range(features.state_ptr[s], features.state_ptr[s + 1]):
            found[h, k] += chance * weights[h][k]
            for t in range(mdp.n_states):
                follow(h + 1, t, chance * weights[h][k] * kernels[h][k, t])

    assert mdp.initial is not None
    for s, p in enumerate(mdp.initial):
        follow(0, s, float(p))
    return found


def supremum(divergence: str, p: np.ndarray, U: np.ndarray, radius: float) -> float:
    """Return ``sup E_q U`` over a ball, by a convex program."""
    q = cp.Variable(p.size, nonneg=True)
    seen = p > 0
    total: Any = cp.sum(q) == 1
    constraints: list[Any] = [total]
    if divergence == "tv":
        constraints.append(0.5 * cp.norm1(q - p) <= radius)
    else:
        constraints.append(q[~seen] == 0)
        if divergence == "kl":
            constraints.append(cp.sum(cp.kl_div(q[seen], p[seen])) <= radius)
        else:
            far: Any = cp.sum(cp.square(q[seen] - p[seen]) / p[seen])
            constraints.append(far <= radius)
    program = cp.Problem(cp.Maximize(U @ q), constraints)
    program.solve(solver=cp.CLARABEL)
    return float(np.asarray(program.value))


def worst_by_programs(
    mdp: LinearMDP, policy: Any, reward: np.ndarray, divergence: str, radius: np.ndarray
) -> np.ndarray:
    """Return the worst sum by backward induction over convex programs."""
    V = np.zeros(mdp.n_states)
    for h in range(mdp.horizon - 1, -1, -1):
        w = np.array(
            [supremum(divergence, mdp.mu[h, i], V, radius[h, i]) for i in range(mdp.dimension)]
        )
        weight = mdp.features.weights(policy, h)
        q = weight * (reward[h] + mdp.features.phi @ w)
        V = np.array([q[mdp.features.pair_state == s].sum() for s in range(mdp.n_states)])
    return V


# -------------------------------------------------------------------- occupancies


def test_occupancies_equal_the_sum_over_paths():
    mdp = random_model(0)
    policy = coverage.mixed_policy(mdp, mdp.optimal()[1], mdp.uniform, 0.3)
    w = coverage.occupancy(mdp, policy)
    assert w == pytest.approx(path_law(mdp, policy), abs=1e-13)
    phi = mdp.features.phi
    moments = coverage.second_moments(mdp, policy)
    for h in range(mdp.horizon):
        outer = sum(w[h, k] * np.outer(phi[k], phi[k]) for k in range(mdp.n_pairs))
        assert moments[h] == pytest.approx(outer, abs=1e-13)
    start = np.eye(5)[2]
    assert coverage.occupancy(mdp, policy, start)[0].sum() == pytest.approx(1.0)
    assert coverage.occupancy(mdp, policy, start)[0, 4:6].sum() == pytest.approx(1.0)
    with pytest.raises(InvalidModelError, match="no initial law"):
        coverage.occupancy(mdp.replace(initial=None), policy)


def test_gram_matrices_of_data_approach_the_second_moments():
    mdp = random_model(1)
    n = 40_000
    data = LinearData.collect(mdp, mdp.uniform, n, np.random.default_rng(0))
    exact = coverage.second_moments(mdp, mdp.uniform)
    for h in range(mdp.horizon):  # entries lie in [0, 1]: Hoeffding, 27 of them
        slack = np.sqrt(np.log(2 * 27 / 1e-6) / (2 * n))
        assert np.abs(data.gram(h) / n - exact[h]).max() <= slack


def test_mixtures_lie_between():
    mdp = models.five_state()
    best = mdp.optimal()[1]
    for share in (0.0, 0.25, 1.0):
        weight = coverage.mixed_policy(mdp, best, mdp.uniform, share).weights(mdp.tabular(), 1)
        assert weight[31] == pytest.approx(share + (1 - share) / 16)
    with pytest.raises(InvalidModelError, match=r"share is 1\.5"):
        coverage.mixed_policy(mdp, best, mdp.uniform, 1.5)


# ----------------------------------------------------------------- full and partial


def test_full_coverage_is_the_least_quadratic_form():
    mdp = random_model(2)
    moments = coverage.second_moments(mdp, mdp.uniform)
    kappa = coverage.full_coverage(moments)
    x = np.random.default_rng(0).normal(size=(20_000, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    least = np.einsum("ni,hij,nj->hn", x, moments, x).min()
    assert kappa <= least <= kappa + 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_directions_against_a_semidefinite_program(seed: int):
    rng = np.random.default_rng(seed)
    d, rank = 4, 4 - seed % 2
    root = rng.normal(size=(d, rank))
    if seed == 3:
        root[0] = 0.0  # e_0 is outside the range
    if seed == 1:
        root[1], root[2:] = 0.0, rng.normal(size=(2, rank))
    M = root @ root.T
    found = coverage.directions(M[None])[0]
    for i in range(d):
        t = cp.Variable()
        unit = np.outer(np.eye(d)[i], np.eye(d)[i])
        slack = 1e-9 * np.eye(d)
        positive: Any = M + slack - t * unit >> 0
        cp.Problem(cp.Maximize(t), [positive]).solve(solver=cp.CLARABEL)
        assert found[i] == pytest.approx(float(np.asarray(t.value)), abs=2e-6)


def test_directions_of_singular_matrices():
    v = np.array([3.0, 4.0]) / 5
    assert coverage.directions(np.outer(v, v)[None]).tolist() == [[0.0, 0.0]]
    assert coverage.directions(np.zeros((1, 2, 2))).tolist() == [[0.0, 0.0]]
    assert coverage.directions(np.diag([4.0, 0.0])[None]).tolist() == [[4.0, 0.0]]


def test_partial_coverage_of_the_five_state_model():
    """Step 1 sees (1-u, 0, 0, u), so t = Var u / E(1-u)^2, and the target needs m^2."""
    mdp, u = models.five_state(0.3), np.repeat([0.0, 0.15, 0.3, 0.45, 0.6], [1, 4, 6, 4, 1])
    best = mdp.optimal()[1]
    need = np.diagonal(coverage.second_moments(mdp, best), axis1=1, axis2=2)
    data = coverage.second_moments(mdp, mdp.uniform)
    at_start = np.var(u) / np.mean((1 - u) ** 2) / 0.36
    first = coverage.partial_coverage(data[:1], need[:1])
    assert first == pytest.approx(at_start, rel=1e-12)
    assert coverage.partial_coverage(data, need) <= first


@pytest.mark.parametrize("seed", range(4))
def test_partial_coverage_bounds_the_bonus(seed: int):
    """``sum_i E phi_i sqrt((Lambda^-1)_ii) <= d / sqrt(c n)`` for the data at hand."""
    mdp = random_model(seed)
    V, best = mdp.optimal()
    n = 500
    behaviour = coverage.mixed_policy(mdp, best, mdp.uniform, 0.5)
    data = LinearData.collect(mdp, behaviour, n, np.random.default_rng(seed))
    gram = np.stack([data.gram(h) for h in range(mdp.horizon)])
    balls = coverage.admissible_balls(mdp, Robustness("kl", 4.0), V)
    need = coverage.worst_squares(mdp, best, balls)
    c = coverage.partial_coverage(gram / n, need)
    for h, i in np.ndindex(mdp.horizon, mdp.dimension):
        unit = np.outer(np.eye(3)[i], np.eye(3)[i])
        assert np.linalg.eigvalsh(gram[h] - n * c * need[h, i] * unit)[0] >= -1e-9 * n
    tight = [
        np.linalg.eigvalsh(gram[h] - 1.001 * n * c * need[h, i] * np.diag(np.eye(3)[i]))[0]
        for h, i in np.ndindex(mdp.horizon, mdp.dimension)
    ]
    assert min(tight) < -1e-9 * n
    inverse = np.linalg.inv(gram + np.eye(3))
    sigma = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2))
    assert mdp.initial is not None
    phi_sum = mdp.initial @ coverage.bonus_sum(mdp, best, sigma, balls).value[0]
    assert phi_sum <= mdp.horizon * mdp.dimension / np.sqrt(c * n) + 1e-12


def test_more_of_the_target_covers_it_better():
    mdp = random_model(5)
    best = mdp.optimal()[1]
    need = np.diagonal(coverage.second_moments(mdp, best), axis1=1, axis2=2)
    found = []
    for share in (0.0, 0.9, 1.0):
        behaviour = coverage.mixed_policy(mdp, best, mdp.uniform, share)
        found.append(coverage.partial_coverage(coverage.second_moments(mdp, behaviour), need))
    assert 0 <= found[2] < found[0]  # the target alone sees too few directions
    assert coverage.partial_coverage(np.eye(2)[None], np.zeros((1, 2))) == np.inf
    assert coverage.partial_coverage(np.eye(2)[None], [[0.5, 0.25]]) == 2.0


# ------------------------------------------------------------------- worst kernels


@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
def test_worst_sums_against_convex_programs(divergence: Any):
    mdp = random_model(6, S=4, d=3, H=2)
    rng = np.random.default_rng(0)
    reward = rng.random((2, mdp.n_pairs))
    radius = rng.uniform(0.02, 0.4, (2, 3))
    balls = Robustness(divergence, radius, "ball")
    worst = coverage.worst_sum(mdp, mdp.uniform, reward, balls)
    expected = worst_by_programs(mdp, mdp.uniform, reward, divergence, radius)
    assert worst.value[0] == pytest.approx(expected, abs=1e-6)
    for h, i in np.ndindex(2, 3):
        assert distance(divergence, worst.mu[h, i], mdp.mu[h, i]) <= radius[h, i] + 1e-9
    attained = mdp.with_mu(worst.mu).replace(reward=reward, theta=None)
    assert attained.evaluate(mdp.uniform) == pytest.approx(worst.value, abs=1e-12)
    squares = coverage.worst_squares(mdp, mdp.uniform, balls)
    assert mdp.initial is not None
    for h, i in ((0, 1), (1, 0), (1, 2)):
        one = np.zeros((2, mdp.n_pairs))
        one[h] = mdp.features.phi[:, i] ** 2
        value = mdp.initial @ worst_by_programs(mdp, mdp.uniform, one, divergence, radius)
        assert squares[h, i] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("divergence", ["tv", "kl", "chi2"])
def test_no_kernel_of_the_balls_does_worse(divergence: Any):
    mdp = random_model(7)
    rng = np.random.default_rng(1)
    reward = rng.random((3, mdp.n_pairs))
    balls = Robustness(divergence, 0.1, "ball")
    worst = coverage.worst_sum(mdp, mdp.uniform, reward, balls).value[0]
    inside = 0
    for _ in range(200):
        other = rng.dirichlet(np.ones(5) * 0.5, (3, 3))
        share = rng.random() * 0.6
        mu = (1 - share) * mdp.mu + share * np.where(mdp.mu.sum(-2, keepdims=True) > 0, other, 0)
        mu = np.where(mdp.mu > 0, mu, 0.0)
        mu /= mu.sum(axis=2, keepdims=True)
        if (distance(divergence, mu, mdp.mu) > 0.1).any():
            continue
        inside += 1
        value = mdp.with_mu(mu).replace(reward=reward, theta=None).evaluate(mdp.uniform)[0]
        assert np.all(value <= worst + 1e-12)
    assert inside >= 20


def test_balls_of_radius_zero_and_full_balls():
    mdp = random_model(8)
    reward = np.random.default_rng(2).random((3, mdp.n_pairs))
    plain = mdp.replace(reward=reward, theta=None).evaluate(mdp.uniform)
    for balls in (None, Robustness("kl", 0.0, "ball")):
        assert coverage.worst_sum(mdp, mdp.uniform, reward, balls).value == pytest.approx(plain)
    full = coverage.worst_sum(mdp, mdp.uniform, reward, Robustness("tv", 5.0, "ball")).value
    here = np.add.reduceat(reward / 2, mdp.features.state_ptr[:-1], axis=1)  # two actions each
    assert full[0] == pytest.approx(here[0] + here[1].max() + here[2].max(), abs=1e-12)


def test_admissible_balls():
    mdp = models.five_state()
    V = mdp.optimal()[0]
    price = np.full((3, 4), np.inf)
    price[0, 3] = 0.5
    table = coverage.admissible_balls(mdp, Robustness("tv", price), V).table(3, 4)
    assert table[0, 3] == pytest.approx(V[1].max() / 0.5)
    assert np.count_nonzero(table) == 1
    model = random_model(3)
    U = model.optimal()[0]
    radius = coverage.admissible_balls(model, Robustness("kl", 2.0), U).table(3, 3)
    assert radius == pytest.approx(np.repeat(U[1:].max(axis=1), 3).reshape(3, 3) / 2)
    with pytest.raises(InvalidModelError, match="V has shape"):
        coverage.admissible_balls(mdp, Robustness("tv", price), V[1:])
    with pytest.raises(InvalidModelError, match="is a ball already"):
        coverage.admissible_balls(mdp, Robustness("tv", 1.0, "ball"), V)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: coverage.worst_sum(m, m.uniform, np.zeros((2, 3))), "reward has shape"),
        (lambda m: coverage.bonus_sum(m, m.uniform, np.zeros((2, 3))), "sigma has shape"),
        (
            lambda m: coverage.worst_sum(
                m, m.uniform, np.zeros((3, 10)), Robustness("tv", 1.0)
            ),
            "is a penalty",
        ),
        (lambda m: coverage.full_coverage(np.zeros((2, 3))), "moments has 2 dimensions"),
        (lambda m: coverage.full_coverage(np.zeros((2, 3, 2))), "moments has shape"),
        (lambda m: coverage.full_coverage([[[1.0, 2.0], [0.0, 1.0]]]), "not symmetric"),
        (lambda m: coverage.partial_coverage(np.eye(2)[None], [[1.0]]), "target has shape"),
        (lambda m: coverage.partial_coverage(np.eye(1)[None], [[-1.0]]), "target.0, 0. is -1"),
        (lambda m: coverage.worst_squares(m.replace(initial=None), m.uniform), "no initial law"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(call: Any, words: str):
    with pytest.raises(InvalidModelError, match=words):
        call(random_model(0))


def test_mutants_are_caught():
    mdp = random_model(9)
    truth = path_law(mdp, mdp.uniform)
    forward = mutant(coverage, ("law = (found[h] @ features.phi) @ mdp.mu[h]", "law = law"))
    assert np.abs(forward.occupancy(mdp, mdp.uniform) - truth).max() > 1e-3
    M = coverage.second_moments(mdp, mdp.uniform)
    swapped = mutant(
        coverage, ("inverse = np.where(kept, 1.0, 0.0) /", "inverse = np.where(kept, 1.0, 0.0) *")
    )
    assert np.abs(swapped.directions(M) - coverage.directions(M)).max() > 1e-3
    reward = np.random.default_rng(0).random((3, mdp.n_pairs))
    balls = Robustness("kl", 0.1, "ball")
    kind = mutant(coverage, ("mdp.mu[h, rows], -V[h + 1])", "mdp.mu[h, rows], V[h + 1])"))
    nominal = coverage.worst_sum(mdp, mdp.uniform, reward).value[0]
    assert np.any(kind.worst_sum(mdp, mdp.uniform, reward, balls).value[0] < nominal - 1e-3)


def test_the_bonus_shrinks_like_the_root_of_the_data():
    """``Phi sqrt(n)`` is flat in n, and larger where the data cover the target less."""
    mdp = random_model(10, S=8, A=4, d=5, H=4)
    V, best = mdp.optimal()
    balls = coverage.admissible_balls(mdp, Robustness("kl", 2.0), V)
    need, scaled, constants = coverage.worst_squares(mdp, best, balls), [], []
    worst = mdp.features.greedy(-mdp.reward[0])
    for share in (0.0, 0.9):
        behaviour = coverage.mixed_policy(mdp, worst, mdp.uniform, share)
        moments = coverage.second_moments(mdp, behaviour)
        constants.append(coverage.partial_coverage(moments, need))
        for n in (2_000, 32_000):
            data = LinearData.collect(mdp, behaviour, n, np.random.default_rng(n))
            gram = np.stack([data.gram(h) for h in range(4)]) + np.eye(5)
            sigma = np.sqrt(np.diagonal(np.linalg.inv(gram), axis1=1, axis2=2))
            assert mdp.initial is not None
            phi_sum = float(mdp.initial @ coverage.bonus_sum(mdp, best, sigma, balls).value[0])
            scaled.append(phi_sum * np.sqrt(n))
            assert scaled[-1] <= 1.2 * 4 * 5 / np.sqrt(constants[-1])
    assert scaled[0] == pytest.approx(scaled[1], rel=0.1)
    assert scaled[2] == pytest.approx(scaled[3], rel=0.1)
    assert constants[1] < 0.5 * constants[0]
    assert scaled[3] > 1.5 * scaled[1]
