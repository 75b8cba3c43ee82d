"""Rounds of dynamical linear bandits under given actions, and the noise they meet.

Arrays: A (n, n), B (n, d), omega (n), theta (d), h (d) describe the system
``y_t = <omega, x_t> + <theta, u_t> + output * z_0``, ``x_{t+1} = A x_t + B u_t + state * z_{1..n}``
whose z are `mdplib._kernels.noise.normals` of the seed at place t, t counted from 0.
"""

import numpy as np

from mdplib._kernels.compile import kernel
from mdplib._kernels.noise import noise_block as noise_block
from mdplib._kernels.noise import normal as normal
from mdplib._kernels.noise import normals as normals
from mdplib._kernels.noise import uniform as uniform

U = np.uint64


@kernel
def advance(A, x, push, noise, state, fresh):
    """Replace x by ``A x + push + state * noise[1:]``, using `fresh` as scratch."""
    n = U(x.size)
    for i in range(n):
        total = push[i] + state * noise[i + U(1)]
        for j in range(n):
            total += A[i, j] * x[j]
        fresh[i] = total
    for i in range(n):
        x[i] = fresh[i]


@kernel
def images(B, theta, h, u, push):
    """Write ``B u`` into `push`; return ``<theta, u>`` and ``<h, u>``."""
    direct, steady = 0.0, 0.0
    for i in range(U(push.size)):
        push[i] = 0.0
    for j in range(U(u.size)):
        direct += theta[j] * u[j]
        steady += h[j] * u[j]
        for i in range(U(push.size)):
            push[i] += B[i, j] * u[j]
    return direct, steady


@kernel
def play(A, B, omega, theta, actions, lengths, seed, start, output, state, x, rewards):
    """Play row k of `actions` for ``lengths[k]`` rounds, from round `start` on.

    `x` (n) holds the state before and after; `rewards` (sum of lengths) the reward of each round.
    """
    n = U(x.size)
    noise, fresh, push = np.zeros(x.size + 1), np.empty(x.size), np.empty(x.size)
    noisy = output > 0.0 or state > 0.0
    t = U(0)
    for k in range(U(lengths.size)):
        direct, _ = images(B, theta, theta, actions[k], push)
        for _ in range(lengths[k]):
            if noisy:
                normals(seed, U(start) + t, noise)
            y = direct + output * noise[0]
            for i in range(n):
                y += omega[i] * x[i]
            rewards[t] = y
            advance(A, x, push, noise, state, fresh)
            t += U(1)


@kernel
def sums(
    A, B, omega, theta, h, actions, lengths, seed, output, state, x, mean, ends,
    reward, expected, steady, states, means,
):  # fmt: skip
    """Play from round 0 and write, after ``ends[c]`` rounds, the sums so far and the states.

    `x` (n) and `mean` (n) hold the state and its expectation at the start; `reward`, `expected` and
    `steady` (C) receive the sums of y_t, of its expectation and of <h, u_t>; `states` and `means`
    (C, n) the state that follows and its expectation.
    """
    n = U(x.size)
    noise, still = np.zeros(x.size + 1), np.zeros(x.size + 1)
    fresh, push = np.empty(x.size), np.empty(x.size)
    noisy = output > 0.0 or state > 0.0
    t, c = 0, U(0)
    y_sum, m_sum, s_sum = 0.0, 0.0, 0.0
    for k in range(U(lengths.size)):
        direct, worth = images(B, theta, h, actions[k], push)
        for _ in range(lengths[k]):
            if noisy:
                normals(seed, t, noise)
            y, m = direct + output * noise[0], direct
            for i in range(n):
                y += omega[i] * x[i]
                m += omega[i] * mean[i]
            y_sum += y
            m_sum += m
            s_sum += worth
            advance(A, x, push, noise, state, fresh)
            advance(A, mean, push, still, 0.0, fresh)
            t += 1
            if t == ends[c]:
                reward[c], expected[c], steady[c] = y_sum, m_sum, s_sum
                for i in range(n):
                    states[c, i] = x[i]
                    means[c, i] = mean[i]
                c += U(1)
                if c == U(ends.size):
                    return
