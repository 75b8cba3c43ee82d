"""The network, its gradient, its embedding, and action values against enumeration."""

import itertools
from typing import Any

import numpy as np
import pytest

from mdplib.errors import InvalidModelError
from mdplib.optim import MipBuilder, solve_mip
from mdplib.optim.mip import MipArrays, MipStatus
from mdplib.restless import Arms, Budget, Capacity, CoupledRestlessBandit, Interventions, Walks
from solvers.restless import branching
from solvers.restless.action_value import ActionValue, n_inputs
from solvers.restless.embedding import box, embed, propagate
from solvers.restless.network import Adam, Network

FIXTURE = Network(
    [
        (np.array([[1, -2, 0.5, 0.2, -0.1, 0.3], [-1, 1, 2, 0.1, 0.4, -0.2],
                   [0.5, 0.5, -1.5, -0.3, 0.2, 0.1]]), np.array([0.1, -0.2, 0.3])),
        (np.array([[1, -1, 0.5], [-0.5, 1, 1]]), np.array([0, 0.1])),
        (np.array([[1.0, -2.0]]), np.array([0.25])),
    ]
)  # fmt: skip


def odd_network(rng: np.random.Generator, inputs: int, hidden: tuple[int, ...]) -> Network:
    """Draw a network with dead, always-on and zero units among the others."""
    net = Network.random(inputs, hidden, rng)
    for W, b in net.layers[:-1]:
        kind = rng.integers(0, 5, len(b))
        b += rng.normal(size=b.size)
        b[kind == 0] -= 50.0
        b[kind == 1] += 50.0
        W[kind == 2] = 0.0
    return net


def test_the_fixture():
    actions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1],
                        [0, 1, 1], [1, 1, 1]])  # fmt: skip
    x = np.concatenate([actions, np.zeros((8, 3))], axis=1)
    assert FIXTURE(x) == pytest.approx([-0.2, 1.05, -3.15, -2.95, -1.9, 0.85, -5.55, -3.55])


def test_the_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    net = Network.random(5, (7, 6), rng)
    x, slope = rng.normal(size=(9, 5)), rng.normal(size=9)
    gradient = net.gradient(x, slope)
    for p in rng.choice(net.parameters.size, 40, replace=False):
        step = 1e-6
        net.parameters[p] += step
        up = slope @ net(x)
        net.parameters[p] -= 2 * step
        down = slope @ net(x)
        net.parameters[p] += step
        assert gradient[p] == pytest.approx((up - down) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_two_steps_of_adam_by_hand(amsgrad):
    p = np.array([1.0])
    adam = Adam(1, rate=0.1, decay=0.01, amsgrad=amsgrad, eps=0.0)
    adam.step(p, np.array([2.0]))
    first = 1.0 - 0.1 * (1.0 + 0.01)
    assert p[0] == pytest.approx(first)
    adam.step(p, np.array([-1.0]))
    m = (0.9 * 0.1 * 2.0 - 0.1) / (1 - 0.81)
    v = (0.999 * 0.001 * 4.0 + 0.001) / (1 - 0.999**2)
    v = max(v, 4.0) if amsgrad else v
    assert p[0] == pytest.approx(first - 0.1 * (m / np.sqrt(v) + 0.01 * first))


def test_training_fits_a_function():
    rng = np.random.default_rng(1)
    net = Network.random(3, (16, 16), rng)
    adam = Adam(net.parameters.size, rate=0.01)
    for _ in range(1500):
        x = rng.normal(size=(32, 3))
        error = net(x) - np.abs(x[:, 0]) * 2 + x[:, 1]
        adam.step(net.parameters, net.gradient(x, error / 32))
    x = rng.normal(size=(500, 3))
    assert np.mean((net(x) - np.abs(x[:, 0]) * 2 + x[:, 1]) ** 2) < 0.02


def test_bounds_contain_all_values_and_crown_is_tighter():
    rng = np.random.default_rng(2)
    tighter = 0
    for _ in range(40):
        k, most = int(rng.integers(2, 8)), int(rng.integers(1, 5))
        net = odd_network(rng, k, (6, 6, 5))
        both = [propagate(net.layers, np.arange(k), most, crown=c) for c in (True, False)]
        rows = np.array([a for a in itertools.product((0, 1), repeat=k) if sum(a) <= most])
        x: Any = rows.astype(float)
        for depth, (W, b) in enumerate(net.layers[:-1]):
            z = x @ W.T + b
            for bounds in both:
                assert (z >= bounds.lower[depth] - 1e-9).all()
                assert (z <= bounds.upper[depth] + 1e-9).all()
            x = np.maximum(z, 0.0)
        assert both[0].unstable <= both[1].unstable
        tighter += bool((both[0].upper[-1] < both[1].upper[-1] - 1e-9).any())
        low, high = box(net.layers[0][1], net.layers[0][0], np.arange(k), most)
        z = rows @ net.layers[0][0].T + net.layers[0][1]
        assert low == pytest.approx(z.min(axis=0))
        assert high == pytest.approx(z.max(axis=0))
    assert tighter > 20


@pytest.mark.parametrize("tight", [True, False])
def test_the_embedding_equals_the_forward_pass(tight):
    rng = np.random.default_rng(3)
    for _ in range(15):
        k = int(rng.integers(2, 6))
        net = odd_network(rng, k, (5, 4)) if tight else Network.random(k, (4, 3), rng)
        a = rng.integers(0, 2, k)
        builder = MipBuilder()
        columns = builder.columns(k, lower=a, upper=a, integer=True)
        bounds = propagate(net.layers, np.arange(k), k)
        at, weights, constant = embed(builder, columns, net.layers, bounds, tight=tight)
        for sign in (1.0, -1.0):
            cost = np.zeros(builder.n_columns)
            np.add.at(cost, at, sign * weights)
            p = builder.arrays()
            program = MipArrays(
                cost, p.A, p.row_lower, p.row_upper, p.col_lower, p.col_upper, p.integer,
                sign * constant,
            )  # fmt: skip
            value = sign * solve_mip(program, gap=0.0).objective
            assert value == pytest.approx(net(a[None])[0], abs=1e-6)


def bandit(kind: str, rng: np.random.Generator) -> CoupledRestlessBandit:
    J, L = int(rng.integers(3, 8)), 4 if kind == "interventions" else 2
    arms = Arms(rng.dirichlet(np.ones(3), size=(J, L, 3)), rng.normal(size=(J, L, 3)))
    sets: Any = {
        "budget": lambda: Budget(J, 2),
        "capacity": lambda: Capacity(rng.integers(1, 4, J), rng.integers(3, 6, 2)),
        "interventions": lambda: Interventions(rng.random((J, 3)) < 0.6, 2),
        "walks": lambda: Walks(J, [(v // 2, v) for v in range(1, J)], 0, 2, 5),
    }
    return CoupledRestlessBandit(arms, sets[kind](), np.tile([1.0, 0, 0], (J, 1)), 5)


@pytest.mark.parametrize("inputs", ["gated", "raw"])
@pytest.mark.parametrize("kind", ["budget", "capacity", "interventions", "walks"])
def test_the_best_action_by_program_by_list_and_by_brute_force(kind, inputs):
    rng = np.random.default_rng(4)
    for _ in range(5):
        b = bandit(kind, rng)
        net = odd_network(rng, n_inputs(b, inputs), (6, 5))
        base = rng.normal(size=(5, b.n_arms, 3, b.actions.n_levels))
        rows = b.actions.enumerate()
        programmed = ActionValue(b, net, base, inputs)
        listed = ActionValue(b, net, base, inputs, rows)
        s, h = rng.integers(0, 3, b.n_arms), int(rng.integers(5))
        values = programmed(h, np.tile(s, (len(rows), 1)), rows)
        choice = programmed.best(h, s, gap=0.0, branching=False)
        assert choice.value == pytest.approx(values.max(), abs=1e-5)
        assert choice.bound >= values.max() - 1e-5
        assert b.actions.contains(choice.action)
        assert listed.best(h, s).value == pytest.approx(values.max(), abs=1e-9)
        layers, groups, _ = programmed.restricted(h, s)
        assert len(groups) == layers[0][0].shape[1]


@pytest.mark.parametrize("inputs", ["gated", "raw"])
@pytest.mark.parametrize("gap", [0.0, 0.02])
def test_branch_and_bound_equals_going_through_all_walks(inputs, gap):
    rng, split = np.random.default_rng(6), 0
    for _ in range(12):
        b = bandit("walks", rng)
        q = ActionValue(
            b,
            odd_network(rng, n_inputs(b, inputs), (6, 5)),
            rng.normal(size=(5, b.n_arms, 3, 2)),
            inputs,
        )
        rows = b.actions.enumerate()
        s, h = rng.integers(0, 3, b.n_arms), int(rng.integers(5))
        best = q(h, np.tile(s, (len(rows), 1)), rows).max()
        choice = q.best(h, s, gap=gap)
        assert choice.status is MipStatus.OPTIMAL
        assert b.actions.contains(choice.action)
        assert best - gap * abs(choice.value) - 1e-9 <= choice.value <= best + 1e-9
        assert choice.bound >= best - 1e-9
        now = q.best(h, s, gap=gap, time_limit=0.0)  # the root alone
        assert now.value - 1e-9 <= best <= now.bound + 1e-9
        split += now.gap > gap
    assert split > 2 or gap > 0, "the root does not decide everything"


def test_branches_that_lose_their_bound_are_caught(monkeypatch):
    """A majorant that is a line below the network hides the best action."""
    right = branching.majorant

    def below(layers, bounds):
        weights, constant = right(layers, bounds)
        return weights, constant - 5.0

    monkeypatch.setattr(branching, "majorant", below)
    with pytest.raises(AssertionError):
        test_branch_and_bound_equals_going_through_all_walks("gated", 0.0)


def test_a_mutant_that_ignores_dead_units_wrongly_is_caught():
    """Dropping units with a positive upper bound changes the optimum."""
    rng = np.random.default_rng(5)
    b = bandit("budget", rng)
    base = np.zeros((5, b.n_arms, 3, 2))
    q = ActionValue(b, Network.random(n_inputs(b, "gated"), (8,), rng), base)
    s = np.zeros(b.n_arms, dtype=int)
    layers, groups, most = q.restricted(0, s)
    bounds = propagate(layers, groups, most)
    assert (bounds.upper[0] > 0).any()
    rows = b.actions.enumerate()
    truth = q(0, np.tile(s, (len(rows), 1)), rows)
    silent = [(layers[0][0], np.where(bounds.lower[0] < 0, -1e3, layers[0][1])), *layers[1:]]
    wrong = Network(silent)(rows.astype(float))
    assert np.abs(wrong - truth).max() > 1e-3


def test_bad_networks_are_named():
    with pytest.raises(InvalidModelError, match="layer 1 takes 3 inputs and layer 0 gives 2"):
        Network([(np.ones((2, 4)), np.zeros(2)), (np.ones((1, 3)), np.zeros(1))])
    with pytest.raises(InvalidModelError, match="layer 0 has weights that are not finite"):
        Network([(np.full((1, 2), np.nan), np.zeros(1))])
    with pytest.raises(InvalidModelError, match="one output"):
        Network([(np.ones((2, 4)), np.zeros(2))])
    b = bandit("budget", np.random.default_rng(0))
    base = np.zeros((5, b.n_arms, 3, 2))
    with pytest.raises(InvalidModelError, match="takes 4 inputs"):
        ActionValue(b, Network([(np.ones((1, 4)), np.zeros(1))]), base)
    net = Network.random(n_inputs(b, "gated"), (3,), np.random.default_rng(0))
    with pytest.raises(InvalidModelError, match="base has shape"):
        ActionValue(b, net, base[:2])
