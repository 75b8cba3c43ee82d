"""Many learners of one dynamical linear bandit, round after round, under common noise.

The part of the state that noise makes, w_{t+1} = A w_t + eps_t, is the same for all learners of a
seed; it is made once per block of rounds and only z_t = eta_t + <omega, w_t> is kept. A learner
adds the part that its actions make: y_t = <theta, u_t> + <omega, m_t> + z_t, where
m_{t+1} = A m_t + B u_t is the expectation of the state given the actions.

A learner holds an action for some rounds and then learns from the sum of their rewards, or from the
last. Arrays of one learner: `par` parameters and `num`, `count`, `mat`, `vec`, `tab`, `jumps` as in
`bandits_linear` and `bandits_arms`; `hold` (6) integers and `sums` (8) numbers as named below;
`mean` (n); `pulls` (K). Results, a column per checkpoint: `out` (5, C): regret, expected regret,
realised regret, certificate, largest error over radius.
"""

import numpy as np

from mdplib._kernels import bandits_arms as arms_
from mdplib._kernels import bandits_linear as linear
from mdplib._kernels.bandits_noise import fill
from mdplib._kernels.compile import inlined, kernel
from mdplib._kernels.noise import LEARNER, uniform

U = np.uint64
BLOCK = 1024
HOLD, EPOCH, SWITCH, DISCOUNTED, AR2, EXP3, UCB1 = range(7)
LEFT, ARM, LENGTH, CHECK, DECISIONS, CHANGES = range(6)  # hold
TOTAL, LAST, GAP, CLAIM, REWARD, REGRET, CERTIFICATE, RATIO = range(8)  # sums
RANDOM = 19  # parameter: whether the first arm of a linear learner is drawn


@kernel
def make_noise(A, omega, w, fresh, noise, seed, start, z, output, state):
    """Write z_t for the rounds from `start` on and advance w; `noise` (n + 1, ...) is scratch."""
    n = U(w.size)
    fill(seed, start, noise)
    for s in range(U(z.size)):
        total = output * noise[0, s]
        for i in range(n):
            total += omega[i] * w[i]
            push = state * noise[i + U(1), s]
            for j in range(n):
                push += A[i, j] * w[j]
            fresh[i] = push
        for i in range(n):
            w[i] = fresh[i]
        z[s] = total


@inlined
def effects(B, theta, h, vec, push):
    """Write B u into `push` for u = ``vec[2]``; return <theta, u> and <h, u>."""
    direct, worth = 0.0, 0.0
    for j in range(U(vec.shape[1])):
        direct += theta[j] * vec[2, j]
        worth += h[j] * vec[2, j]
    for i in range(U(push.size)):
        push[i] = 0.0
        for j in range(U(vec.shape[1])):
            push[i] += B[i, j] * vec[2, j]
    return direct, worth


@inlined
def error_ratio(h, mat, vec, beta):
    """Return ||h^ - h||_V / beta."""
    total = 0.0
    for i in range(U(h.size)):
        row = 0.0
        for j in range(U(h.size)):
            row += mat[0, i, j] * (vec[1, j] - h[j])
        total += row * (vec[1, i] - h[i])
    root = np.sqrt(max(total, 0.0))
    if beta > 0.0:
        return root / beta
    return 0.0 if root == 0.0 else np.inf


@inlined
def pick(kind, par, num, count, vec, tab, seed):
    """Return the arm that a learner of unrelated arms plays next, and for how long."""
    if kind == EXP3:
        if count[U(arms_.DRAWS)] >= 0:
            draw = uniform(seed, LEARNER, count[U(arms_.DRAWS)])
            count[U(arms_.DRAWS)] = -count[U(arms_.DRAWS)] - 1
            return arms_.exp3_choose(par, num, tab, draw), arms_.exp3_length(par, count)
        return -1, arms_.exp3_length(par, count)
    if kind == AR2:
        return arms_.ar2_choose(par, count, tab), np.int64(1)
    return arms_.ucb1_choose(par, count, tab), np.int64(1)


@inlined
def decide(
    kind, par, num, count, mat, vec, tab, jumps, hold, sums, arms, radius, h, seed, t, rest,
):  # fmt: skip
    """Choose the next action, written to ``vec[2]``, for ``hold[LEFT]`` rounds."""
    d = U(vec.shape[1])
    arm, length, beta, width = hold[ARM], rest, np.nan, np.nan
    for i in range(d):
        vec[5, i] = vec[2, i]
    if kind == HOLD:
        for i in range(d):
            vec[2, i] = par[i]
    elif kind == EPOCH:
        beta = linear.epoch_radius(par, num, t, 1.0 * vec.shape[1])
        forced = -1
        if hold[DECISIONS] == 0 and par[RANDOM] > 0.0:
            forced = np.int64(arms.shape[0] * uniform(seed, LEARNER, 0))
        arm, width = linear.choose(beta, mat, vec, tab, arms, radius, forced)
        length = linear.epoch_length(par, num, count)
    elif kind == SWITCH:
        beta = linear.switch_radius(par, num, count, mat, vec, jumps, 1.0 * vec.shape[1])
        arm, width = linear.choose(beta, mat, vec, tab, arms, radius, -1)
        linear.note_switch(count, vec, jumps)
        length = linear.switch_length(par[linear.FACTOR], width, rest)
    elif kind == DISCOUNTED:
        arm, width, beta = linear.discounted_choose(par, mat, vec, tab, arms, t)
        length = np.int64(1)
    else:
        found, length = pick(kind, par, num, count, vec, tab, seed)
        arm = found if found >= 0 else arm
        for i in range(d):
            vec[2, i] = arms[U(arm), i]
    changed = hold[DECISIONS] == 0
    for i in range(d):
        changed = changed or vec[2, i] != vec[5, i]
    hold[CHANGES] += 1 if changed and hold[DECISIONS] > 0 else 0
    hold[DECISIONS] += 1
    hold[ARM], hold[LENGTH], hold[LEFT] = arm, length, length
    sums[TOTAL] = 0.0
    sums[CLAIM] = 2.0 * beta * width
    if kind in (EPOCH, SWITCH):
        sums[RATIO] = max(sums[RATIO], error_ratio(h, mat, vec, beta))


@inlined
def learn(kind, par, num, count, mat, vec, tab, hold, sums, arms):
    """Use the rewards of an action whose rounds are over."""
    if kind == EPOCH:
        linear.epoch_learn(num, count, mat, vec, tab, arms, sums[LAST])
    elif kind == SWITCH:
        linear.absorb(num, count, mat, vec, tab, arms, 1.0 * hold[LENGTH], sums[TOTAL])
    elif kind == DISCOUNTED:
        linear.discounted_learn(par, mat, vec, sums[LAST])
    elif kind == AR2:
        arms_.ar2_learn(par, count, tab, hold[ARM], sums[LAST])
    elif kind == EXP3:
        if arms_.exp3_learn(par, num, count, tab, hold[ARM], sums[TOTAL]):
            count[U(arms_.DRAWS)] = -count[U(arms_.DRAWS)]
    elif kind == UCB1:
        arms_.ucb1_learn(count, tab, hold[ARM], sums[LAST])


@inlined
def rounds(A, omega, direct, push, mean, fresh, z, first, count, sums):
    """Hold the action for `count` rounds of the block, from its place `first` on."""
    n = U(mean.size)
    total, y = 0.0, 0.0
    for s in range(U(first), U(first + count)):
        y = direct + z[s]
        for i in range(n):
            y += omega[i] * mean[i]
            moved = push[i]
            for j in range(n):
                moved += A[i, j] * mean[j]
            fresh[i] = moved
        for i in range(n):
            mean[i] = fresh[i]
        total += y
    sums[TOTAL] += total
    sums[REWARD] += total
    sums[LAST] = y


@kernel
def block(
    kind, par, num, count, mat, vec, tab, jumps, hold, sums, mean, pulls, out,
    A, B, omega, theta, h, g, x0, arms, radius, best, largest, seed, z, start, T, ends,
):  # fmt: skip
    """Let one learner play the rounds of a block, which `z` holds the noise of."""
    stop = start + z.size
    push, fresh = np.empty(mean.size), np.empty(mean.size)
    t = start
    direct, worth = effects(B, theta, h, vec, push)
    while t < stop:
        if hold[LEFT] == 0:
            decide(
                kind, par, num, count, mat, vec, tab, jumps, hold, sums, arms, radius, h,
                seed, t, T - t,
            )  # fmt: skip
            direct, worth = effects(B, theta, h, vec, push)
            sums[GAP] = max(best - worth, 0.0)
        until = min(t + hold[LEFT], min(stop, ends[U(hold[CHECK])]))
        length = until - t
        rounds(A, omega, direct, push, mean, fresh, z, t - start, length, sums)
        sums[REGRET] += length * sums[GAP]
        sums[CERTIFICATE] += length * min(largest, sums[CLAIM])
        if hold[ARM] >= 0:
            pulls[U(hold[ARM])] += length
        hold[LEFT] -= length
        t = until
        if t == ends[U(hold[CHECK])]:
            c = U(hold[CHECK])
            boundary = 0.0
            for i in range(U(mean.size)):
                boundary += g[i] * (mean[i] - x0[i])
            out[0, c] = sums[REGRET]
            out[1, c] = sums[REGRET] + boundary
            out[2, c] = best * t - sums[REWARD]
            out[3, c] = sums[CERTIFICATE]
            out[4, c] = sums[RATIO]
            hold[CHECK] += 1
            if hold[CHECK] == ends.size:
                return
        if hold[LEFT] == 0:
            learn(kind, par, num, count, mat, vec, tab, hold, sums, arms)


@kernel
def play(
    kinds, par, num, count, mat, vec, tab, jumps, hold, sums, mean, pulls, out, w,
    A, B, omega, theta, h, g, x0, arms, radius, best, largest, output, state, seed, start, stop,
    T, ends,
):  # fmt: skip
    """Let every learner play the rounds from `start` to `stop` under the noise of one seed.

    Arrays of learners have a first axis for them; calls may be cut at any multiple of BLOCK rounds.
    """
    z = np.zeros(BLOCK)
    noise, fresh = np.empty((w.size + 1, BLOCK)), np.empty(w.size)
    noisy = output > 0.0 or state > 0.0
    t = start
    while t < stop:
        size = min(BLOCK, stop - t)
        if noisy:
            make_noise(
                A, omega, w, fresh, noise[:, :size], seed, t, z[:size], output, state,
            )  # fmt: skip
        for a in range(kinds.size):
            block(
                kinds[a], par[a], num[a], count[a], mat[a], vec[a], tab[a], jumps[a], hold[a],
                sums[a], mean[a], pulls[a], out[a], A, B, omega, theta, h, g, x0, arms, radius,
                best, largest, seed, z[:size], t, T, ends,
            )  # fmt: skip
        t += size
