"""Models over groups by loops and dense solves, without code of the library."""

import numpy as np


def optimal(P, r, gamma):
    """Optimal value of a dense model by policy iteration with exact solves."""
    s, pi = np.arange(len(P)), r.argmax(axis=1)
    while True:
        V = np.linalg.solve(np.eye(len(P)) - gamma * P[s, pi], r[s, pi])
        Q = r + gamma * P @ V
        better = Q.max(axis=1) > Q[s, pi] + 1e-12
        if not better.any():
            return V
        pi = np.where(better, Q.argmax(axis=1), pi)


def grouped(P, r, of, w):
    """Dense lifted model by loops, with the groups of each state as one list."""
    S, A = r.shape
    m = int(of.max()) + 1
    P_mu, r_mu = np.zeros((S, m, S)), np.zeros((S, m))
    for s in range(S):
        for h in range(m):
            own = [a for a in range(A) if of[a] == h]
            mass = sum(w[a] for a in own)
            for a in own:
                P_mu[s, h] += w[a] / mass * P[s, a]
                r_mu[s, h] += w[a] / mass * r[s, a]
    return P_mu, r_mu


def random_case(seed):
    rng = np.random.default_rng(seed)
    S, A = int(rng.integers(1, 6)), int(rng.integers(2, 9))
    P = rng.dirichlet(np.full(S, 0.4), size=(S, A))
    r = rng.random((S, A))
    m = int(rng.integers(1, A + 1))
    of = np.concatenate([np.arange(m), rng.integers(m, size=A - m)])
    rng.shuffle(of)
    gamma = float(rng.choice([0.5, 0.9, 0.97]))
    return P, r, of, rng.random(A) + 0.01, gamma, rng


def lost(P, r, of, w, gamma):
    V = optimal(P, r, gamma)
    return float((V - optimal(*grouped(P, r, of, w), gamma)).max()), V
