"""Certified maximisation of the Kullback-Leibler ball dual under signed weights.

With t = 1/lambda the dual is ``f(t) = base - (log max(x(t), exp(-room t)) + radius) / t``, where
x is an exponential sum with signed coefficients: neither concave nor unimodal. ``f <= kappa`` on an
interval exactly if ``max(x(t), exp(-room t)) >= exp(-radius - (kappa - base) t)`` there, which a
polynomial enclosure of x decides by branch and bound.
"""

import numpy as np

from mdplib._kernels.compile import kernel

U = np.uint64
_NODES = 20_000


@kernel
def value(taylor, s, t, base, room, radius):
    """Value of the dual at t, s = t - centre; `taylor` holds the coefficients of x - 1."""
    x = 0.0
    for n in range(taylor.size - 1, -1, -1):
        x = x * s + taylor[n]
    log = np.log1p(x) if x > -1.0 else -np.inf
    return base - (max(log, -room * t) + radius) / t


@kernel
def least(taylor, a, b, spare):
    """Lower bound of the polynomial on [a, b]: its least Bernstein coefficient."""
    n, width = taylor.size, b - a
    for j in range(n):
        spare[j] = taylor[j]
    for j in range(n - 1):  # shift to a
        for l in range(n - 2, j - 1, -1):
            spare[l] += a * spare[l + 1]
    power = 1.0
    for j in range(n):  # scale to [0, 1], and divide by binomials
        spare[j] *= power
        power *= width
    choose = 1.0
    for j in range(n):
        spare[j] /= choose
        choose = choose * (n - 1 - j) / (j + 1)
    for j in range(n - 1):  # power to Bernstein form
        for l in range(n - 1, j, -1):
            spare[l] += spare[l - 1]
    low = spare[0]
    for j in range(1, n):
        low = min(low, spare[j])
    return low


@kernel
def kl_ball(taylor, error, centre, half, base, room, radius, slack, out, point, gap):
    """Write the maximum of f over all windows, where, and a proven bound on what is missed.

    `taylor` (windows, d, N+1) and `error` (windows, d) enclose x - 1 on the windows
    ``centre +- half``.
    """
    W, d, order = taylor.shape
    spare, shifted = np.empty(order), np.empty(order)
    stack = np.empty((200, 2))
    for i in range(d):
        best, where = -np.inf, centre[0]
        for w in range(W):
            for s in (-half, 0.0, half):
                f = value(taylor[w, i], s, centre[w] + s, base, room, radius[i])
                if f > best:
                    best, where = f, centre[w] + s
        missed, nodes = slack, 0
        for w in range(W):
            stack[0, 0], stack[0, 1] = -half, half
            depth = 1
            while depth > 0:
                depth -= 1
                a, b = stack[depth, 0], stack[depth, 1]
                ta, tb = centre[w] + a, centre[w] + b
                rise = best + slack - base
                if (room - rise) * tb <= radius[i]:
                    continue  # the floor alone keeps f below
                ea = np.expm1(-radius[i] - rise * ta)
                eb = np.expm1(-radius[i] - rise * tb)
                slope = (eb - ea) / (tb - ta)  # a convex function lies below its chord
                for n in range(order):
                    shifted[n] = taylor[w, i, n]
                shifted[0] -= ea - slope * a
                shifted[1] -= slope
                if least(shifted, a, b, spare) >= error[w, i]:
                    continue
                middle = 0.5 * (a + b)
                f = value(taylor[w, i], middle, centre[w] + middle, base, room, radius[i])
                if f > best:
                    best, where = f, centre[w] + middle
                nodes += 1
                if b - a <= 1e-11 * tb or nodes > _NODES or depth + 2 > 200:
                    low = value(taylor[w, i], a, ta, base, room, radius[i])
                    high = value(taylor[w, i], b, tb, base, room, radius[i])
                    loss = 4.0 * abs(high - low) if nodes <= _NODES else np.inf
                    missed = max(missed, slack + loss)
                    continue
                stack[depth, 0], stack[depth, 1] = a, middle
                stack[depth + 1, 0], stack[depth + 1, 1] = middle, b
                depth += 2
        out[i], point[i], gap[i] = best, where, missed
