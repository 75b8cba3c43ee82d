"""Instance families against slow constructions and closed forms."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from mdplib import InvalidModelError, TabularMDP, models
from mdplib.models.inventories import truncated_poisson

Laws = dict[tuple[int, int], dict[int, float]]
Rewards = dict[tuple[int, int], float]


def agrees(mdp: TabularMDP, laws: Laws, rewards: Rewards) -> None:
    """Compare every pair with a dictionary; nothing may be missing or left over."""
    found = {}
    for k, (s, a) in enumerate(zip(mdp.pair_state.tolist(), mdp.action_id.tolist(), strict=True)):
        row = slice(mdp.indptr[k], mdp.indptr[k + 1])
        found[s, a] = dict(zip(mdp.indices[row].tolist(), mdp.data[row].tolist(), strict=True))
        assert mdp.reward[k] == pytest.approx(rewards[s, a], abs=1e-12)
    assert found.keys() == laws.keys()
    for pair, law in laws.items():
        assert found[pair] == pytest.approx({t: p for t, p in law.items() if p > 0}, abs=1e-15)


def add(law: dict[int, float], t: int, p: float) -> None:
    law[t] = law.get(t, 0.0) + p


def optimum(mdp: TabularMDP) -> np.ndarray:
    """V* by policy iteration on dense arrays."""
    P, r = mdp.to_dense()
    S, gamma = mdp.n_states, mdp.gamma
    choice = np.argmax(r, axis=1)
    for _ in range(1000):
        chain, pay = P[np.arange(S), choice], r[np.arange(S), choice]
        V = np.linalg.solve(np.eye(S) - gamma * chain, pay)
        Q = r + gamma * P @ V
        better = Q.max(axis=1) > Q[np.arange(S), choice] + 1e-12
        if not better.any():
            return V
        choice = np.where(better, Q.argmax(axis=1), choice)
    raise AssertionError("policy iteration did not stop")


def backward(mdp: TabularMDP) -> np.ndarray:
    """V* of a stationary finite-horizon model on dense arrays."""
    P, r = mdp.to_dense()
    V = [np.asarray(mdp.terminal)]
    for _ in range(mdp.horizon or 0):
        V.insert(0, (r + mdp.gamma * P @ V[0]).max(axis=1))
    return np.array(V)


# ------------------------------------------------------------------------ forest


def test_forest_is_the_documented_one():
    S, r1, r2, p = 7, 5.0, 3.0, 0.2
    laws: Laws = {}
    rewards: Rewards = {}
    for s in range(S):
        laws[s, 0] = {}
        add(laws[s, 0], min(s + 1, S - 1), 1 - p)
        add(laws[s, 0], 0, p)
        laws[s, 1] = {0: 1.0}
        rewards[s, 0] = r1 if s == S - 1 else 0.0
        rewards[s, 1] = r2 if s == S - 1 else float(s > 0)
    agrees(models.forest(S, r1, r2, p, gamma=0.9), laws, rewards)


def test_forest_reference_value():
    assert optimum(models.forest(gamma=0.9)) == pytest.approx([26.244, 29.484, 33.484], abs=1e-9)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_forest_has_a_threshold(gamma: float):
    """The optimum is the best of S threshold policies, each with a value in closed form."""
    S, r1, r2, p = 12, 4.0, 2.0, 0.1

    def value(m: int, last: int) -> float:
        """V(0) when waiting in 0 and m..S-2, cutting in 1..m-1, and doing `last` in S-1.

        V(s) = x_s + y_s V(0); solve the equation of state 0.
        """
        x, y = np.zeros(S), np.zeros(S)
        if last == 0:
            x[-1], y[-1] = np.array([r1, gamma * p]) / (1 - gamma * (1 - p))
        else:
            x[-1], y[-1] = r2, gamma
        for s in range(S - 2, -1, -1):
            if s == 0 or s >= m:
                x[s] = gamma * (1 - p) * x[s + 1]
                y[s] = gamma * (1 - p) * y[s + 1] + gamma * p
            else:
                x[s], y[s] = 1.0, gamma
        return x[0] / (1 - y[0])

    best = max(value(m, last) for m in range(1, S) for last in (0, 1))
    assert optimum(models.forest(S, r1, r2, p, gamma=gamma))[0] == pytest.approx(best, rel=1e-12)


# ------------------------------------------------------------------------- chain


def test_chain_definition():
    S = 5
    laws: Laws = {}
    rewards: Rewards = {}
    for s in range(S):
        laws[s, 0] = {max(s - 1, 0): 1.0}
        law: dict[int, float] = {}
        add(law, s + 1 if s < S - 1 else s, 0.35)
        add(law, s - 1 if s > 0 else s, 0.05)
        add(law, s, 0.6)
        laws[s, 1] = law
        rewards[s, 0], rewards[s, 1] = 0.005 * (s == 0), 1.0 * (s == S - 1)
    agrees(models.chain(S), laws, rewards)


@pytest.mark.parametrize("gamma", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("small", [0.005, 0.5])
def test_chain_without_current_has_a_closed_form(gamma: float, small: float):
    S = 9
    mdp = models.chain(S, right=1.0, left=0.0, small=small, gamma=gamma)
    exact = [max(gamma ** (S - 1 - s), small * gamma**s) / (1 - gamma) for s in range(S)]
    assert optimum(mdp) == pytest.approx(exact, rel=1e-10)


# ---------------------------------------------------------------------- deep sea


def deep_sea_value(N: int, slip: float, cost: float, h: int, y: int, x: int) -> float:
    """The closed form in the documentation of the module."""
    if x != y or h > y:
        return 0.0
    n, q = N - y, 1 - slip
    return max(0.0, q ** (n - 1) - cost / N * sum(q**i for i in range(n)))


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize(("slip", "cost"), [(0.0, 0.01), (0.25, 0.01), (0.1, 1.5), (1.0, 0.5)])
@pytest.mark.parametrize("N", [1, 2, 5])
def test_deep_sea_closed_form(N: int, slip: float, cost: float, seed: int | None):
    rng = None if seed is None else np.random.default_rng(seed)
    mdp = models.deep_sea(N, rng, slip=slip, cost=cost)
    cells = [(y, x) for y in range(N) for x in range(y + 1)]
    assert mdp.state_labels == (*(f"{y},{x}" for y, x in cells), "end")
    exact = [
        [deep_sea_value(N, slip, cost, h, y, x) for y, x in cells] + [0.0] for h in range(N + 1)
    ]
    assert backward(mdp) == pytest.approx(np.array(exact), abs=1e-12)


def test_deep_sea_first_state_and_hidden_actions():
    assert backward(models.deep_sea(20))[0, 0] == pytest.approx(0.99, abs=1e-12)
    drawn = models.deep_sea(20, np.random.default_rng(0))
    plain = models.deep_sea(20)
    right = plain.reward != 0
    assert right[1::2][:-1].all(), "action 1 goes right unless drawn otherwise"
    swapped = np.count_nonzero(drawn.reward != plain.reward) / 2
    assert 60 < swapped < 150, "of 210 cells about half are swapped"


# ------------------------------------------------------------------------- grids


def neighbours(free: np.ndarray, y: int, x: int) -> list[tuple[int, int]]:
    """Where up, right, down, left lead."""
    found = []
    for dy, dx in ((-1, 0), (0, 1), (1, 0), (0, -1)):
        v, u = y + dy, x + dx
        inside = 0 <= v < free.shape[0] and 0 <= u < free.shape[1]
        found.append((v, u) if inside and free[v, u] else (y, x))
    return found


def distances(free: np.ndarray, goals: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Moves to the nearest goal, by breadth-first search."""
    found, queue = dict.fromkeys(goals, 0), deque(goals)
    while queue:
        here = queue.popleft()
        for there in neighbours(free, *here):
            if there not in found:
                found[there] = found[here] + 1
                queue.append(there)
    return found


MAP = """
    S..#...
    .#.#.#.
    .#...#G
    ..##..#
    G.#....
"""


def test_gridworld_definition():
    lines = MAP.split()
    free = np.array([[c != "#" for c in line] for line in lines])
    cells = [(int(y), int(x)) for y, x in np.argwhere(free)]
    number = {cell: s for s, cell in enumerate(cells)}
    laws: Laws = {}
    rewards: Rewards = {}
    for (y, x), s in number.items():
        targets = neighbours(free, y, x)
        for a in range(4):
            law: dict[int, float] = {}
            reward = -0.5
            for direction, p in ((a, 0.7), ((a + 1) % 4, 0.15), ((a - 1) % 4, 0.15)):
                t = targets[direction]
                add(law, number[t], p)
                reward += 10 * p * (lines[t[0]][t[1]] == "G")
            goal = lines[y][x] == "G"
            laws[s, a] = {s: 1.0} if goal else law
            rewards[s, a] = 0.0 if goal else reward
    mdp = models.gridworld(MAP, slip=0.15, step_reward=-0.5, goal_reward=10.0)
    agrees(mdp, laws, rewards)
    assert mdp.state_labels == tuple(f"{y},{x}" for y, x in cells)
    assert mdp.initial is not None
    assert mdp.initial.tolist() == [1.0] + [0.0] * (len(cells) - 1)


@pytest.mark.parametrize("gamma", [0.9, 0.99])
def test_dry_floor_is_a_shortest_path(gamma: float):
    lines = MAP.split()
    free = np.array([[c != "#" for c in line] for line in lines])
    d = distances(free, [(2, 6), (4, 0)])
    exact = [-(1 - gamma ** d[int(y), int(x)]) / (1 - gamma) for y, x in np.argwhere(free)]
    assert optimum(models.gridworld(MAP, gamma=gamma)) == pytest.approx(exact, abs=1e-9)


def test_maze_is_a_shortest_path_among_connected_cells():
    n, gamma = 12, 0.95
    mdp = models.maze(n, np.random.default_rng(5), wall=0.35, slip=0.0, gamma=gamma, labels=True)
    free = np.random.default_rng(5).random((n, n)) >= 0.35
    free[0, 0] = free[-1, -1] = True
    d = distances(free, [(n - 1, n - 1)])
    assert mdp.state_labels == tuple(f"{y},{x}" for y, x in sorted(d))
    exact = [-(1 - gamma ** d[cell]) / (1 - gamma) for cell in sorted(d)]
    assert optimum(mdp) == pytest.approx(exact, abs=1e-9)
    assert 1 < mdp.n_states < free.sum(), "the seed has cells that are cut off"


# --------------------------------------------------------------- queue, inventory


def test_queue_definition():
    S, lam, mu, c = 6, 0.25, (0.1, 0.75), (0.0, 2.0)
    laws: Laws = {}
    rewards: Rewards = {}
    for s in range(S):
        for a in range(2):
            law: dict[int, float] = {}
            add(law, min(s + 1, S - 1), lam)
            add(law, max(s - 1, 0), mu[a])
            add(law, s, 1 - lam - mu[a])
            laws[s, a] = law
            rewards[s, a] = -(0.5 * s + c[a])
    mdp = models.queue(S, arrival=lam, service=mu, holding=0.5, service_cost=c)
    agrees(mdp, laws, rewards)


def test_queue_with_two_states_closed_form():
    """V(1) - V(0) = (r(1) - r(0)) / (1 - gamma (1 - lam - mu)); V(0) follows."""
    lam, mu, gamma = 0.3, 0.4, 0.9
    mdp = models.queue(2, arrival=lam, service=[mu], holding=1.0, service_cost=[0.5], gamma=gamma)
    difference = -1.0 / (1 - gamma * (1 - lam - mu))
    first = (-0.5 + gamma * lam * difference) / (1 - gamma)
    assert optimum(mdp) == pytest.approx([first, first + difference], rel=1e-12)


@pytest.mark.parametrize("ragged", [False, True])
def test_inventory_definition(ragged: bool):
    S, A, lot, mean, most = 9, 4, 3, 2.5, 6
    weight = [mean**d / math.factorial(d) for d in range(most + 1)]
    law_of_demand = [w / sum(weight) for w in weight]
    laws: Laws = {}
    rewards: Rewards = {}
    for s in range(S):
        for a in range(A):
            if ragged and s + a * lot > S - 1:
                continue
            y = min(s + a * lot, S - 1)
            laws[s, a] = {}
            rewards[s, a] = -0.1 * s - 0.7 * (y - s) - (1.5 if a else 0.0)
            for d, p in enumerate(law_of_demand):
                add(laws[s, a], max(y - d, 0), p)
                rewards[s, a] += 4.0 * p * min(d, y)
    mdp = models.inventory(
        S,
        A,
        lot=lot,
        demand=mean,
        most=most,
        price=4.0,
        holding=0.1,
        unit_cost=0.7,
        order_cost=1.5,
        ragged=ragged,
    )
    agrees(mdp, laws, rewards)


def test_inventory_row_sums_are_as_documented():
    mdp = models.inventory(60, 4)
    room = Fraction(21, 2**51)
    for k in range(mdp.n_pairs):
        row = mdp.data[mdp.indptr[k] : mdp.indptr[k + 1]].tolist()
        assert abs(sum(map(Fraction, row)) - 1) < room


@pytest.mark.parametrize("mean", [1e-3, 5.0, 900.0])
def test_truncated_poisson_against_fractions(mean: float):
    most = 30
    weight = [Fraction(mean) ** d / math.factorial(d) for d in range(most + 1)]
    exact = [float(w / sum(weight)) for w in weight]
    assert truncated_poisson(mean, most) == pytest.approx(exact, rel=1e-12)


# ----------------------------------------------------------------- table, refusals


@pytest.mark.parametrize("name", models.NAMED)
def test_named_instances(name: str):
    entry = models.NAMED[name]
    mdp = entry()
    assert mdp.gamma == entry.gamma
    assert entry.title
    assert entry(0.5).gamma == 0.5
    assert entry() == mdp, "building twice gives the same model"
    assert mdp.initial is not None
    assert len(mdp.data[mdp.data == 0]) == 0


def test_four_rooms_are_connected():
    mdp = models.NAMED["four-rooms"](0.9)
    V = optimum(mdp)
    assert mdp.n_states == 104
    assert V.min() > -1 / (1 - 0.9) + 1e-6, "a cell that cannot reach the goal pays for ever"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda g: models.garnet(3, 2, 4, g), "b is 4; at most S=3"),
        (lambda g: models.garnet(3, 0, 1, g), "A is 0; an integer of at least 1"),
        (
            lambda g: models.garnet(3, 1, 1, g, successors="all"),  # type: ignore[arg-type]
            "successors is 'all'",
        ),
        (lambda g: models.forest(1), "S is 1; an integer of at least 2"),
        (lambda g: models.forest(3, p=1.5), "p is 1.5"),
        (lambda g: models.forest(3, r1=math.nan), "r1 is nan; a finite number"),
        (lambda g: models.chain(5, right=0.8, left=0.4), r"right \+ left is 1.2"),
        (lambda g: models.deep_sea(3, cost=-1.0), "cost is -1.0"),
        (lambda g: models.queue(5, arrival=0.6), r"arrival \+ service\[3\] is 1.1"),
        (lambda g: models.queue(5, service=[0.1]), "service has 1 entries and service_cost 4"),
        (lambda g: models.inventory(5, demand=0.0), "demand is 0.0"),
        (lambda g: models.gridworld("S.\n.G."), "row 1 of the map has 3 cells, row 0 has 2"),
        (lambda g: models.gridworld("S.\n?G"), r"cell 1,0 of the map is '\?'"),
        (lambda g: models.gridworld("G#"), "no cell to start from"),
        (lambda g: models.gridworld(""), "no cell to start from"),
        (lambda g: models.gridworld("SG", slip=0.6), "slip is 0.6"),
        (lambda g: models.maze(4, g, wall=1.0), "the goal is walled in"),
        (lambda g: models.chain(5, gamma=1.0), "gamma is 1.0"),
    ],
)
def test_refusals(build: Callable[[np.random.Generator], TabularMDP], message: str):
    with pytest.raises(InvalidModelError, match=message):
        build(np.random.default_rng(0))


def test_finite_horizon_allows_gamma_one():
    rng = np.random.default_rng(0)
    for mdp in (
        models.chain(5, gamma=1.0, horizon=7),
        models.garnet(5, 2, 2, rng, gamma=1.0, horizon=7),
        models.queue(5, gamma=1.0, horizon=7),
        models.maze(5, rng, gamma=1.0, horizon=7),
    ):
        assert mdp.horizon == 7
