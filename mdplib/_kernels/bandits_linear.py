"""Learners with a linear estimate: one sample per epoch, all samples with rare switches, discounts.

State of a learner: `num` numbers and `count` integers at the places named below; `mat` (5, d, d):
V, its inverse, the second matrix of discounted learners, and scratch; `vec` (6, d): b = sum u y,
the estimate, the action, the first action, scratch, and the action before; `tab` (2, K): for each
arm <h^, u> and u^T V^{-1} u, kept up to date rank by rank; `jumps` (S, d): differences of actions
at each switch so far.
"""

import numpy as np

from mdplib._kernels.bandits_ball import longest
from mdplib._kernels.compile import inlined, kernel

U = np.uint64
REFRESH = 10_000  # rank-one steps after which the inverse is computed anew
TIE = 1e-12  # an index must be larger by this much, relatively, to beat an earlier arm

# Parameters of all linear learners.
RIDGE, RHO, SCHEDULE, LAG, RADIUS, C1, C2, S2, CB, REACH, LOG_DELTA, FIXED, FIRST = range(13)
FACTOR, Q, START, CAPACITY = range(13, 17)  # of switches
DISCOUNT, FORGETS = range(17, 19)  # of discounts
# Numbers and integers of the state.
SUM1, SUM2, DECAY, EDGE, LOGDET = range(5)
EPOCH, DELAY, STEPS, SWITCHES = range(4)
NONE, FLOOR, CEIL = range(3)  # schedules
PAPER, CERTIFIED, CONSTANT = range(3)  # radii


@kernel
def invert(mat):
    """Write the inverse of ``mat[0]``, positive definite, into ``mat[1]``, by Gauss and Jordan."""
    d = U(mat.shape[1])
    for i in range(d):
        for j in range(d):
            mat[3, i, j] = mat[0, i, j]
            mat[1, i, j] = 1.0 if i == j else 0.0
    for p in range(d):
        scale = 1.0 / mat[3, p, p]
        for j in range(d):
            mat[3, p, j] *= scale
            mat[1, p, j] *= scale
        for i in range(d):
            if i != p:
                factor = mat[3, i, p]
                for j in range(d):
                    mat[3, i, j] -= factor * mat[3, p, j]
                    mat[1, i, j] -= factor * mat[1, p, j]


@kernel
def norm2(M, v):
    """Return v^T M v, at least 0."""
    total = 0.0
    for i in range(U(v.size)):
        row = 0.0
        for j in range(U(v.size)):
            row += M[i, j] * v[j]
        total += row * v[i]
    return max(total, 0.0)


@kernel
def begin(par, num, mat, vec, tab, arms):
    """Set the state of a learner that has seen nothing."""
    d = vec.shape[1]
    for i in range(d):
        mat[0, i, i] = mat[2, i, i] = par[RIDGE]
        mat[1, i, i] = 1.0 / par[RIDGE]
    num[DECAY], num[EDGE] = 1.0, 1.0
    for k in range(arms.shape[0]):
        tab[1, k] = norm2(mat[1], arms[k])


@kernel
def absorb(num, count, mat, vec, tab, arms, weight, total):
    """Add `weight` samples of the action ``vec[2]`` whose rewards sum to `total`."""
    d = U(vec.shape[1])
    width, seen = 0.0, 0.0
    for i in range(d):
        v, u = 0.0, vec[2, i]
        for j in range(d):
            v += mat[1, i, j] * vec[2, j]
            mat[0, i, j] += weight * u * vec[2, j]
        vec[4, i] = v
        width += v * u
        seen += vec[1, i] * u
        vec[0, i] += u * total
    num[LOGDET] += np.log1p(weight * width)
    count[STEPS] += 1
    if count[STEPS] % REFRESH == 0:
        refresh(mat, vec, tab, arms)
        return
    step = (total - weight * seen) / (1.0 + weight * width)
    shrink = weight / (1.0 + weight * width)
    for i in range(d):
        v = vec[4, i]
        vec[1, i] += step * v
        for j in range(d):
            mat[1, i, j] -= shrink * v * vec[4, j]
    for k in range(U(arms.shape[0])):
        along = 0.0
        for i in range(d):
            along += arms[k, i] * vec[4, i]
        tab[0, k] += step * along
        tab[1, k] -= shrink * along * along


@kernel
def refresh(mat, vec, tab, arms):
    """Compute the inverse of V, the estimate and the tables of the arms anew."""
    d = U(vec.shape[1])
    invert(mat)
    for i in range(d):
        vec[1, i] = 0.0
        for j in range(d):
            vec[1, i] += mat[1, i, j] * vec[0, j]
    for k in range(U(arms.shape[0])):
        tab[0, k] = 0.0
        for i in range(d):
            tab[0, k] += arms[k, i] * vec[1, i]
        tab[1, k] = norm2(mat[1], arms[k])


@inlined
def choose(beta, mat, vec, tab, arms, radius, forced):
    """Write the optimistic action into ``vec[2]``; return its arm (-1 on a ball) and width."""
    if radius > 0.0:
        longest(vec[1], mat[1], beta, radius, vec[2])
        return -1, np.sqrt(norm2(mat[1], vec[2]))
    best, highest = 0, -np.inf
    for k in range(arms.shape[0]):
        index = tab[0, U(k)] + beta * np.sqrt(max(tab[1, U(k)], 0.0))
        if k == 0 or index > highest + TIE * abs(highest):
            best, highest = k, index
    if forced >= 0:
        best = forced
    for i in range(U(vec.shape[1])):
        vec[2, i] = arms[U(best), i]
    return best, np.sqrt(max(tab[1, U(best)], 0.0))


@inlined
def delay(par, num, count):
    """Advance H and rho^H to epoch ``count[EPOCH]``; return how long that epoch waits."""
    m, rho = count[EPOCH], par[RHO]
    if par[SCHEDULE] != NONE and rho > 0.0:
        if par[SCHEDULE] == FLOOR:
            while m * (1.0 + TIE) >= num[EDGE] / rho:
                num[EDGE] /= rho
                num[DECAY] *= rho
                count[DELAY] += 1
        else:
            while m > num[EDGE] * (1.0 + TIE):
                num[EDGE] /= rho
                num[DECAY] *= rho
                count[DELAY] += 1
    elif m == 2:
        count[DELAY] = np.int64(par[LAG])
        num[DECAY] = 0.0 if count[DELAY] > 0 or par[CB] == 0.0 else 1.0
    return count[DELAY]


@inlined
def width_of_noise(par, num, t, d):
    """Return the part of the radius that noise needs, by t rounds or by the determinant of V."""
    if par[RADIUS] == PAPER:
        growth = d * np.log1p(t * par[REACH] * par[REACH] / (d * par[RIDGE]))
    else:
        growth = num[LOGDET]
    return np.sqrt(2.0 * par[S2] * (par[LOG_DELTA] + 0.5 * growth))


@inlined
def epoch_radius(par, num, t, d):
    """Return the radius of a learner that uses one sample per epoch, after t rounds."""
    if par[RADIUS] == CONSTANT:
        return par[FIXED]
    root = np.sqrt(par[RIDGE])
    if par[RADIUS] == PAPER:
        bias = par[C1] / root * (1.0 + np.log(t + 1.0)) if par[C1] > 0.0 else 0.0
    else:
        bias = par[CB] * min(par[REACH] * num[SUM1] / root, np.sqrt(num[SUM2]))
    return bias + par[C2] * root + width_of_noise(par, num, t, d)


@inlined
def epoch_length(par, num, count):
    """Begin the next epoch; return its number of rounds."""
    count[EPOCH] += 1
    waits = delay(par, num, count)
    if count[EPOCH] == 1 and par[FIRST] > 0.0:
        return np.int64(par[FIRST])
    return waits + 1


@inlined
def epoch_learn(num, count, mat, vec, tab, arms, last):
    """Use the last reward of a completed epoch."""
    num[SUM1] += num[DECAY]
    num[SUM2] += num[DECAY] * num[DECAY]
    absorb(num, count, mat, vec, tab, arms, 1.0, last)


@kernel
def switch_radius(par, num, count, mat, vec, jumps, d):
    """Return the radius of a learner that uses every sample."""
    edges = 0.0
    if count[STEPS] > 0:
        for j in range(U(count[SWITCHES])):
            edges += np.sqrt(norm2(mat[1], jumps[j]))
        edges = par[Q] * (edges + np.sqrt(norm2(mat[1], vec[2])))
        if par[START] > 0.0:
            edges += par[START] * np.sqrt(norm2(mat[1], vec[3]))
    return edges + par[C2] * np.sqrt(par[RIDGE]) + width_of_noise(par, num, 0, d)


@kernel
def note_switch(count, vec, jumps):
    """Write down the difference of the new action and that of ``vec[5]``, if there is one."""
    different = False
    for i in range(U(vec.shape[1])):
        if vec[2, i] != vec[5, i]:
            different = True
    if count[STEPS] == 0:
        for i in range(U(vec.shape[1])):
            vec[3, i] = vec[2, i]
    elif different:
        j = U(count[SWITCHES])
        for i in range(U(vec.shape[1])):
            jumps[j, i] = vec[2, i] - vec[5, i]
        count[SWITCHES] += 1


@kernel
def switch_length(factor, width, rest):
    """Return after how many rounds det V has grown by more than 1 + factor, at most `rest`."""
    if width * width * rest <= factor:
        return rest
    return min(rest, np.int64(np.floor(factor / (width * width) * (1.0 + TIE))) + 1)


@kernel
def discounted_choose(par, mat, vec, tab, arms, t):
    """Solve for the discounted estimate and write its optimistic arm; return arm, width, radius."""
    d = U(vec.shape[1])
    invert(mat)
    for i in range(d):
        vec[1, i] = 0.0
        for j in range(d):
            vec[1, i] += mat[1, i, j] * vec[0, j]
            total = 0.0
            for k in range(d):
                total += mat[1, i, k] * mat[2, k, j]
            mat[3, i, j] = total
    for i in range(d):
        for j in range(d):
            total = 0.0
            for k in range(d):
                total += mat[3, i, k] * mat[1, k, j]
            mat[4, i, j] = total
    gamma = par[DISCOUNT]
    weight = -np.expm1(2.0 * t * np.log(gamma)) / (1.0 - gamma * gamma) if gamma < 1.0 else 1.0 * t
    size = 1.0 * vec.shape[1]
    growth = size * np.log1p(par[REACH] * par[REACH] * weight / (size * par[RIDGE]))
    noise = par[S2] * (2.0 * par[LOG_DELTA] + growth)
    beta = par[C2] * np.sqrt(par[RIDGE]) + np.sqrt(noise)
    for k in range(U(arms.shape[0])):
        tab[0, k] = 0.0
        for i in range(d):
            tab[0, k] += arms[k, i] * vec[1, i]
        square = 0.0
        for i in range(d):
            for j in range(d):
                square += arms[k, i] * mat[4, i, j] * arms[k, j]
        tab[1, k] = square
    best, width = choose(beta, mat, vec, tab, arms, 0.0, -1)
    return best, width, beta


@kernel
def discounted_learn(par, mat, vec, y):
    """Discount what is known and add a sample of the action ``vec[2]``."""
    gamma = par[DISCOUNT] if par[FORGETS] > 0.0 else 1.0
    square = gamma * gamma
    for i in range(U(vec.shape[1])):
        u = vec[2, i]
        vec[0, i] = gamma * vec[0, i] + u * y
        for j in range(U(vec.shape[1])):
            mat[0, i, j] = gamma * mat[0, i, j] + u * vec[2, j]
            mat[2, i, j] = square * mat[2, i, j] + u * vec[2, j]
        mat[0, i, i] += (1.0 - gamma) * par[RIDGE]
        mat[2, i, i] += (1.0 - square) * par[RIDGE]
