"""Learners that treat the actions as unrelated arms: AR2, Exp3 with batches, UCB1.

State: `count` integers, `num` numbers, `tab` (4, K): a row per quantity of the arms; names below.
"""

import numpy as np

from mdplib._kernels.compile import kernel

U = np.uint64

# AR2: parameters, integers, rows.
ALPHA, SCALE, PERIOD = range(3)
CLOCK, LEADER = range(2)
GUESS, AGE, WAIT = range(3)
# Exp3: parameters, integers, numbers; the weights are row 0.
MIX, RATE, SHIFT, SPAN, BATCH, LATE = range(6)
DRAWS, PHASE = range(2)
CARRY, CHANCE = range(2)
# UCB1: parameters, integers, rows.
BONUS = 0
PULLS = 0
TIMES, MEAN = range(2)


@kernel
def ar2_choose(par, count, tab):
    """Return the arm of an autoregressive learner: the leader, or the arm that waits longest."""
    K = tab.shape[1]
    if count[CLOCK] >= par[PERIOD]:
        count[CLOCK] = 0
        tab[:] = 0.0
    clock = count[CLOCK]
    if clock < K:
        return clock
    leader = count[LEADER]
    if (clock - K) % 2 == 0:
        return leader
    best, longest = leader, 0.0
    for k in range(K):
        if tab[WAIT, U(k)] > longest:
            best, longest = k, tab[WAIT, U(k)]
    return best


@kernel
def ar2_learn(par, count, tab, arm, y):
    """Let the guesses decay by a round, set that of the arm played, and start waits."""
    alpha = par[ALPHA]
    K = tab.shape[1]
    for k in range(U(K)):
        tab[GUESS, k] *= alpha
        tab[AGE, k] *= alpha * alpha
        if tab[WAIT, k] > 0.0:
            tab[WAIT, k] += 1.0
    a = U(arm)
    tab[GUESS, a], tab[AGE, a], tab[WAIT, a] = alpha * y, alpha * alpha, 0.0
    count[CLOCK] += 1
    leader = count[LEADER]
    if count[CLOCK] == 1 or tab[GUESS, a] > tab[GUESS, U(leader)]:
        leader = arm
    count[LEADER] = leader
    if count[CLOCK] >= K:
        tab[WAIT, U(leader)] = 0.0
        for k in range(K):
            i = U(k)
            spread = np.sqrt(max(alpha * alpha - alpha * alpha * tab[AGE, i], 0.0))
            close = par[SCALE] * spread / np.sqrt(1.0 - alpha * alpha)
            near = tab[GUESS, U(leader)] - tab[GUESS, i] <= close
            if near and k != leader and tab[WAIT, i] == 0.0:
                tab[WAIT, i] = 1.0


@kernel
def exp3_choose(par, num, tab, draw):
    """Return the arm that a uniform number draws, and remember its chance."""
    K = tab.shape[1]
    total = 0.0
    for k in range(U(K)):
        total += tab[0, k]
    reached, chance = 0.0, 0.0
    for k in range(K):
        chance = (1.0 - par[MIX]) * tab[0, U(k)] / total + par[MIX] / K
        reached += chance
        if draw < reached or k == K - 1:
            num[CHANCE] = chance
            return k
    return 0


@kernel
def exp3_length(par, count):
    """Return for how many rounds an arm is held before something is learned.

    A late learner closes a batch two rounds after the arm has changed, as published code does.
    """
    if par[LATE] > 0.0 and par[BATCH] > 2.0:
        return 2 if count[PHASE] == 0 else np.int64(par[BATCH]) - 2
    return np.int64(par[BATCH])


@kernel
def exp3_learn(par, num, count, tab, arm, total):
    """Credit the mean reward of a batch to an arm; return whether a new arm may be drawn."""
    if par[LATE] > 0.0 and par[BATCH] > 2.0:
        if count[PHASE] == 1:
            num[CARRY] = total
            count[PHASE] = 0
            return True
        total += num[CARRY]
        num[CARRY] = 0.0
        count[PHASE] = 1
    gain = (total / par[BATCH] + par[SHIFT]) / par[SPAN] / num[CHANCE]
    a = U(arm)
    tab[0, a] *= np.exp(par[RATE] * gain)
    if tab[0, a] > 1e100:
        for k in range(U(tab.shape[1])):
            tab[0, k] = max(tab[0, k] * 1e-100, 1e-300)
    return not (par[LATE] > 0.0 and par[BATCH] > 2.0)


@kernel
def ucb1_choose(par, count, tab):
    """Return the first arm not played yet, or that of the highest upper bound."""
    best, highest = 0, -np.inf
    log = np.log(max(1.0, 1.0 * count[PULLS]))
    for k in range(tab.shape[1]):
        i = U(k)
        if tab[TIMES, i] == 0.0:
            return k
        index = tab[MEAN, i] + par[BONUS] * np.sqrt(2.0 * log / tab[TIMES, i])
        if k == 0 or index > highest + 1e-12 * abs(highest):
            best, highest = k, index
    return best


@kernel
def ucb1_learn(count, tab, arm, y):
    """Add a reward to the mean of an arm."""
    a = U(arm)
    count[PULLS] += 1
    tab[TIMES, a] += 1.0
    tab[MEAN, a] += (y - tab[MEAN, a]) / tab[TIMES, a]
