"""Learners of dynamical linear bandits written the obvious way, one round after another.

They share no code with the library: V is inverted anew at every choice, determinants are computed
from V, lengths of epochs from logarithms of integers, and the state is simulated in full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class World:
    """The system itself, with the noise of a seed."""

    A: Array
    B: Array
    omega: Array
    theta: Array
    eta: Array
    eps: Array
    x: Array
    t: int = 0
    actions: list[Array] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    def pull(self, u: Array) -> float:
        y = float(self.omega @ self.x + self.theta @ u + self.eta[self.t])
        self.x = self.A @ self.x + self.B @ u + self.eps[self.t]
        self.t += 1
        self.actions.append(u)
        self.rewards.append(y)
        return y


def first_of_the_best(values: Array) -> int:
    top = values.max()
    return int(np.flatnonzero(values >= top - 1e-11 * max(abs(top), 1e-300))[0])


def optimistic(arms: Array, estimate: Array, V: Array, beta: float) -> int:
    inverse = np.linalg.inv(V)
    widths = [math.sqrt(u @ inverse @ u) for u in arms]
    return first_of_the_best(
        np.array([u @ estimate + beta * w for u, w in zip(arms, widths, strict=True)])
    )


def waits(m: int, rho: float, rounding: str, paper_edge: bool = False) -> int:
    """H_m by comparing powers, not by dividing logarithms."""
    if rho == 0:
        return 1 if m >= 2 and not paper_edge else 0
    H = 0
    if rounding == "ceil":
        while rho**H * m > 1 + 1e-9:
            H += 1
        return H
    while rho ** (H + 1) * m >= 1 - 1e-9:
        H += 1
    return H


def dynlin_ucb(world: World, arms: Array, c, T: int, radius: str, lam: float, delta: float) -> list:
    """Play T rounds; return (arm, beta, estimate, V) of every epoch."""
    d = arms.shape[1]
    V, b, biases = lam * np.eye(d), np.zeros(d), []
    C_b = (
        c.Omega
        * c.Phi
        * (
            2 * c.B * c.U / (1 - c.rho)
            + c.start
            + c.sigma * math.sqrt(2 * math.log(2 * T / delta) / (1 - c.rho**2))
        )
    )
    c1 = c.U * c.Omega * c.Phi * (c.U * c.B / (1 - c.rho) + c.X)
    c2 = c.Theta + c.Omega * c.B * c.Phi / (1 - c.rho)
    s2 = c.sigma**2 * (1 + c.Omega**2 * c.Phi**2 / (1 - c.rho**2))
    log, m, t = [], 1, 0
    while t < T:
        if radius == "certified":
            S1, S2 = sum(biases), sum(x * x for x in biases)
            bias = C_b * min(c.U * S1 / math.sqrt(lam), math.sqrt(S2))
            growth = math.log(np.linalg.det(V) / lam**d)
        else:
            bias = c1 / math.sqrt(lam) * math.log(math.e * (t + 1))
            growth = d * math.log(1 + t * c.U**2 / (d * lam))
        beta = bias + c2 * math.sqrt(lam) + math.sqrt(2 * s2 * (math.log(1 / delta) + growth / 2))
        estimate = np.linalg.solve(V, b)
        k = optimistic(arms, estimate, V, beta)
        log.append((k, beta, estimate, V.copy(), t))
        H = waits(m, c.rho, "floor" if radius == "paper" else "ceil")
        y = math.nan
        for _ in range(1 + H):
            if t == T:
                return log
            y = world.pull(arms[k])
            t += 1
        V = V + np.outer(arms[k], arms[k])
        b = b + arms[k] * y
        biases.append(c.rho**H if c.rho > 0 or H == 0 else 0.0)
        m += 1
    return log


def rs_dynlin(world: World, arms: Array, c, T: int, lam: float, C: float, delta: float) -> list:
    """Play T rounds, adding every sample to V; return (arm, beta, estimate, V) of every choice.

    The sum over switches is taken from a table that counts ordered pairs of arms.
    """
    K, d = arms.shape
    V, b, pairs = lam * np.eye(d), np.zeros(d), np.zeros((K, K), dtype=int)
    G = c.Omega * c.Phi / (1 - c.rho)
    spread = c.sigma * math.sqrt(2 * math.log(2 * (T + 1) / delta) / (1 - c.rho**2))
    Q = G * c.Phi * (c.start + c.B * c.U / (1 - c.rho) + spread)
    c2 = c.Theta + c.Omega * c.B * c.Phi / (1 - c.rho)
    log, k, first, det = [], -1, -1, -math.inf
    for t in range(T):
        if np.linalg.slogdet(V)[1] > det + math.log1p(C) + 1e-12:
            inverse = np.linalg.inv(V)

            def norm(u, inverse=inverse):
                return math.sqrt(u @ inverse @ u)

            edges = 0.0
            if t:
                for i in range(K):
                    for j in range(K):
                        edges += pairs[i, j] * norm(arms[j] - arms[i])
                edges = Q * (edges + norm(arms[k])) + G * c.start * norm(arms[first])
            growth = math.log(np.linalg.det(V) / lam**d)
            noise = math.sqrt(2 * c.sigma**2 * (1 + G * G) * (math.log(1 / delta) + growth / 2))
            beta = edges + c2 * math.sqrt(lam) + noise
            estimate = inverse @ b
            chosen = optimistic(arms, estimate, V, beta)
            if t and chosen != k:
                pairs[k, chosen] += 1
            k, first = chosen, first if t else chosen
            det = np.linalg.slogdet(V)[1]
            log.append((k, beta, estimate, V.copy(), t))
        y = world.pull(arms[k])
        V = V + np.outer(arms[k], arms[k])
        b = b + arms[k] * y
    return log


def lin_ucb(world: World, arms: Array, beta, T: int, lam: float) -> list:
    """Plain LinUCB with the radius ``beta(t, V)``."""
    d = arms.shape[1]
    V, b, log = lam * np.eye(d), np.zeros(d), []
    for t in range(T):
        estimate = np.linalg.solve(V, b)
        k = optimistic(arms, estimate, V, beta(t, V))
        log.append((k, beta(t, V), estimate, V.copy(), t))
        y = world.pull(arms[k])
        V = V + np.outer(arms[k], arms[k])
        b = b + arms[k] * y
    return log


def d_lin_ucb(world: World, arms: Array, beta, T: int, lam: float, gamma: float) -> list[int]:
    """D-LinUCB with sums over the past written out: O(T^2)."""
    d, played = arms.shape[1], []
    for t in range(T):
        V, W, b = lam * np.eye(d), lam * np.eye(d), np.zeros(d)
        for s, k in enumerate(played):
            weight = gamma ** (t - 1 - s)
            V += weight * np.outer(arms[k], arms[k])
            W += weight**2 * np.outer(arms[k], arms[k])
            b += weight * arms[k] * world.rewards[s]
        inverse = np.linalg.inv(V)
        spread = inverse @ W @ inverse
        index = [u @ inverse @ b + beta(t) * math.sqrt(u @ spread @ u) for u in arms]
        played.append(first_of_the_best(np.array(index)))
        world.pull(arms[played[-1]])
    return played


def exp3(world: World, arms: Array, T: int, batch: int, M: float, draws: Array) -> list[int]:
    """Exp3 on batches, weights in logarithms."""
    K, played = len(arms), []
    mix = min(1.0, math.sqrt(K * math.log(K) / ((math.e - 1) * 2 * (T / batch) / 3)))
    log_w, number = np.zeros(K), 0
    while len(played) < T:
        w = np.exp(log_w - log_w.max())
        p = (1 - mix) * w / w.sum() + mix / K
        k = int(np.searchsorted(np.cumsum(p), draws[number]))
        number += 1
        rewards = []
        for _ in range(min(batch, T - len(played))):
            rewards.append(world.pull(arms[k]))
            played.append(k)
        log_w[k] += mix / K * (np.mean(rewards) + 2 * M) / (4 * M) / p[k]
    return played


def ucb1(world: World, arms: Array, T: int, width: float) -> list[int]:
    """UCB1 from the list of all rewards."""
    played: list[int] = []
    for t in range(T):
        index = []
        for k in range(len(arms)):
            own = [y for j, y in zip(played, world.rewards, strict=True) if j == k]
            bonus = width * math.sqrt(2 * math.log(max(t, 1)) / len(own)) if own else math.inf
            index.append((np.mean(own) if own else 0.0) + bonus)
        never = [k for k in range(len(arms)) if math.isinf(index[k])]
        played.append(never[0] if never else first_of_the_best(np.array(index)))
        world.pull(arms[played[-1]])
    return played


def ar2(world: World, arms: Array, T: int, alpha: float, sigma: float) -> list[int]:
    """AR2 from the last reward of each arm and when it was seen."""
    K, played = len(arms), []
    period = math.ceil(K / (alpha * sigma) ** 3 - 1e-6)
    inner = 4 * math.log(1 / (alpha * sigma)) + 4 * math.log(period) + 2 * math.log(4 * K)
    c1 = 24 * math.sqrt(inner)
    last, seen, since, leader = {}, {}, {}, 0
    for t in range(T):
        clock = t % period
        if clock == 0:
            last, seen, since, leader = {}, {}, {}, 0
        if clock < K:
            k = clock
        elif (clock - K) % 2 == 0 or not since:
            k = leader
        else:
            k = min(since, key=lambda i: (since[i], i))
        y = world.pull(arms[k])
        played.append(k)
        last[k], seen[k] = y, t
        since.pop(k, None)

        def guess(i, t=t, last=last, seen=seen):
            return alpha ** (t + 1 - seen[i]) * last[i]

        if clock == 0 or guess(k) > guess(leader):
            leader = k
        if clock >= K - 1:
            since.pop(leader, None)
            for i in range(K):
                spread = alpha**2 - alpha ** (2 * (t + 1 - seen[i]) + 2)
                close = c1 * sigma * math.sqrt(max(spread, 0) / (1 - alpha**2))
                if i != leader and i not in since and guess(leader) - guess(i) <= close:
                    since[i] = t
    return played
