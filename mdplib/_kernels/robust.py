"""Worst cases over laws near p: one row at a time, with proven bounds.

A row holds the positive probabilities p and the values u >= 0 of its successors, measured from
the least one (from the refuge for total variation) in units, a power of two, in which the largest
is between 1/2 and 1; `total` is the sum of p and the law meant is p / total. Solvers return

    lower, upper, value, first, second, third

in those units: proven bounds, the estimate, and what determines the minimiser,

    tv    q = p where u < first, second p where u = first, 0 above; third to the refuge
    kl    q = p (1 - third + third exp(second - first u))
          (first = inf: the least atoms alone)
    chi2  q = p (first - u + third) / second where u <= first, 0 above
          (third = -1: the least atoms alone)

all divided by total; first = -1 says q = p. Every quantity below is a sum of terms of one sign,
so `relative` bounds its relative error, that of u included: scaling the values by a factor near
one scales the worst case by a factor at least as near (R_l(cV) = c R_{l/c}(V)).
"""

import math

import numpy as np

from mdplib._kernels.compile import inlined, kernel

U = np.uint64
UNIT = 2.0**-53
TINY = 2.0**-900  # more than anything that underflows in these units
LEAST = 2.0**-1060  # more than what underflows in a single sum
TV, KL, CHI2 = 0, 1, 2


@kernel
def relative(n):
    """Bound the relative error of a sum of n positive terms and a few operations on it."""
    return 1.01 * (n + 32.0) * UNIT


@kernel
def gather(dense, indices, data, V, first, end, p, u):
    """Copy a row's positive probabilities and their values; return n, sum, least and largest."""
    n, total, low, high = 0, 0.0, float("inf"), float("-inf")
    for j in range(U(first), U(end)):
        if data[j] > 0.0:
            x = V[j - U(first)] if dense else V[U(indices[j])]
            p[U(n)], u[U(n)] = data[j], x
            total += data[j]
            low, high = min(low, x), max(high, x)
            n += 1
    return n, total, low, high


@inlined
def swap(p, u, i, j):
    """Exchange two atoms."""
    p[i], p[j] = p[j], p[i]
    u[i], u[j] = u[j], u[i]


@kernel
def expectation(p, u, n, total):
    """Return the mean."""
    s = 0.0
    for j in range(U(n)):
        s += p[j] * u[j]
    return s / total


@kernel
def tv_penalty(p, u, n, total, strength):
    """Move mass to the refuge where that gains more than `strength`."""
    s, moved, e = 0.0, 0.0, relative(n)
    for j in range(U(n)):
        if u[j] > strength:
            s += p[j] * strength
            moved += p[j]
        else:
            s += p[j] * u[j]
    value = s / total
    return value * (1.0 - e) - TINY, value * (1.0 + e) + TINY, value, strength, 1.0, moved / total


@kernel
def tv_ball(p, u, n, total, radius):
    """Move the mass `radius` from the top to the refuge: a weighted quickselect for the knot."""
    low, high, above, need, knot, top = 0, n, 0.0, radius * total, 0.0, 0.0
    while low < high:
        x, y, z = u[low], u[(low + high) // 2], u[high - 1]
        pivot = max(min(x, y), min(max(x, y), z))
        i, j, end, more, equal = low, low, high, 0.0, 0.0
        while j < end:  # three parts: above the pivot, at it, below it
            if u[j] > pivot:
                more += p[j]
                swap(p, u, i, j)
                i += 1
                j += 1
            elif u[j] == pivot:
                equal += p[j]
                j += 1
            else:
                end -= 1
                swap(p, u, end, j)
        if above + more > need:
            high = i
        elif above + more + equal >= need:
            knot = pivot
            break
        else:
            above += more + equal
            low = end
    below, at, over = 0.0, 0.0, 0.0
    for j in range(U(n)):
        top = max(top, u[j])
        if u[j] < knot:
            below += p[j] * u[j]
        elif u[j] == knot:
            at += p[j]
        else:
            over += p[j]
    stay = min(max(at + over - need, 0.0), at)
    value = (below + knot * stay) / total
    slack = 4.0 * relative(n) * top + TINY
    share = stay / at if at > 0.0 else 1.0
    if knot <= 0.0:  # everything above the refuge may go there
        value, stay, share = 0.0, at, 1.0
        slack = 4.0 * relative(n) * top if over > need * (1.0 - 2.0 * relative(n)) else 0.0
    return max(value - slack, 0.0), value + slack, value, knot, share, (at + over - stay) / total


@kernel
def decay(t):
    """Return exp(-t) and exp(-t) - 1, both to full relative precision, for t >= 0."""
    if t < 0.5:
        less = math.expm1(-t)
        return 1.0 + less, less
    w = math.exp(-t)
    return w, w - 1.0


@kernel
def kl_moments(p, u, n, total, tilt):
    """Return -log E exp(-tilt u), and mean and variance of u under the tilted law."""
    z, less, s, square = 0.0, 0.0, 0.0, 0.0
    for j in range(U(n)):
        w, change = decay(tilt * u[j])
        z += p[j] * w
        less += p[j] * change
        s += p[j] * w * u[j]
        square += p[j] * w * u[j] * u[j]
    less /= total
    mean = s / z
    log = -math.log1p(less) if less > -0.5 else -math.log(z / total)
    return log, mean, max(square / z - mean * mean, 0.0)


@kernel
def kl_penalty(p, u, n, total, strength):
    """Evaluate the closed form -strength log E exp(-u / strength)."""
    log, _, _ = kl_moments(p, u, n, total, 1.0 / strength)
    value, e = strength * log, relative(n)
    low, high = value * (1.0 - e) - TINY, value * (1.0 + e) + TINY
    return max(low, 0.0), high, value, 1.0 / strength, log, 1.0


@kernel
def least_mass(p, u, n):
    """Return the mass of the atoms at zero."""
    mass = 0.0
    for j in range(U(n)):
        if u[j] == 0.0:
            mass += p[j]
    return mass


@kernel
def kl_ball(p, u, n, total, radius, start):
    """Bracketed Newton on the root of KL(q_t || p) = radius in the tilt t, from both sides.

    (-log E exp(-t u) - radius) / t is a lower bound at every t, and the tilted law, mixed with p
    where it is too far, an upper one; their difference ends the search.
    """
    e, mean = relative(n), expectation(p, u, n, total)
    whole = -math.log(least_mass(p, u, n) / total)
    if radius >= whole:  # the least atoms alone are near enough
        short = (whole + e * (1.0 + whole) - radius) / whole if whole > 0.0 else 0.0
        return 0.0, max(short, 0.0) * mean * (1.0 + e), 0.0, float("inf"), whole, 1.0
    low, high = radius / mean, float("inf")
    tilt, gap, before = start, 2.0 * mean, float("inf")
    if not low < tilt < float("inf"):
        _, _, var = kl_moments(p, u, n, total, 0.0)
        tilt = max(low, math.sqrt(2.0 * radius / var)) if var > 0.0 else low
    chosen = log_chosen = lower = upper = value = 0.0
    share = 1.0
    for _ in range(200):
        log, inside, var = kl_moments(p, u, n, total, tilt)
        far, dual = max(log - tilt * inside, 0.0), (log - radius) / tilt
        over = 1.0 - radius / far if far > radius else 0.0
        width = inside + over * max(mean - inside, 0.0) - dual
        if width < gap or chosen == 0.0:
            gap, chosen, log_chosen, value, share = width, tilt, log, dual, 1.0 - over
            error = 2.0 * e * (log + tilt * inside)
            over = max(far + error - radius, 0.0) / (far + error)
            lower = dual - e * (log + radius) / tilt - TINY
            upper = inside + over * max(mean - inside, 0.0) + e * (inside + mean) + TINY
        low, high = (max(low, tilt), high) if far < radius else (low, min(high, tilt))
        if width <= 4.0 * e * mean or high <= low * (1.0 + 4.0 * UNIT):
            break
        root = math.sqrt(far)
        slope = 0.5 * tilt * var / root if root > 0.0 else 0.0
        tilt = tilt + (math.sqrt(radius) - root) / slope if slope > 0.0 else float("inf")
        if not low < tilt < high or width > 0.5 * before:
            tilt = 4.0 * low if high == float("inf") else math.sqrt(low) * math.sqrt(high)
        before = width
    value = min(max(value, 0.0, lower), upper)
    return max(lower, 0.0), upper, value, chosen, log_chosen, share


@kernel
def chi2_cut(p, u, n, total, ball, strength):
    """Find the cut a with E(a - u)+ = 2 strength, or with chi2(q_a || p) = strength.

    Solve as if all atoms stayed active, drop those above the cut, repeat: the cut only falls and
    never below the solution. Atoms within rounding of it stay at first; then the highest active
    atom goes, or is found to be below the cut. The cut may be nearer to it than rounding shows,
    so return the two: the highest active atom and the distance to the cut.
    """
    active, gone = n, 0.0
    while True:
        mass, s, square = 0.0, 0.0, 0.0
        for j in range(U(active)):
            mass += p[j]
            s += p[j] * u[j]
        if ball:
            for j in range(U(active)):
                square += p[j] * (u[j] - s / mass) ** 2
            room = beyond(strength, mass, gone, total)
            cut = s / mass + math.sqrt(square / mass / room) if room > 0.0 else float("inf")
        else:
            cut = (2.0 * strength * total + s) / mass
        left, gone = drop(p, u, active, cut * (1.0 + 4.0 * relative(n)), gone)
        if left == active:
            break
        active = left
    while True:
        top, mass, s, square, after = 0.0, 0.0, 0.0, 0.0, float("inf")
        for j in range(U(n)):
            if j < active:
                top = max(top, u[j])
            else:
                after = min(after, u[j])
        for j in range(U(active)):
            mass += p[j]
            s += p[j] * (top - u[j])
        for j in range(U(active)):
            square += p[j] / total * (top - u[j] - s / mass) ** 2
        room, mass, s = beyond(strength, mass, gone, total), mass / total, s / total
        excess, above = 2.0 * strength - s, (2.0 * strength - s) / mass
        if ball:
            excess, above = square - room * s * s / mass, after - top
            if room > 0.0 and excess > 0.0:
                above = excess / (room * s + math.sqrt(room * (room * s * s + mass * excess)))
        if top == 0.0 or (excess > 0.0 and (room > 0.0 or not ball)):
            return top, min(above, after - top)
        active, gone = drop(p, u, active, top * (1.0 - UNIT), gone)


@kernel
def beyond(radius, mass, gone, total):
    """Return (1 + radius) mass / total - 1 for mass + gone = total, without cancellation."""
    if mass > gone:
        return radius - (1.0 + radius) * gone / total
    return (1.0 + radius) * mass / total - 1.0


@kernel
def drop(p, u, active, bar, gone):
    """Move atoms above `bar` behind the others; return how many are left, and the mass gone."""
    left = 0
    for j in range(U(active)):
        if u[j] <= bar:
            swap(p, u, U(left), j)
            left += 1
    for j in range(U(left), U(active)):
        gone += p[j]
    return left, gone


@kernel
def chi2_moments(p, u, n, total, top, above):
    """Return the mean of min(u, cut), mean and variance of z = max(cut - u, 0), and errors.

    The last two: a bound on the absolute error of the variance from that of the differences, and
    on its excess from an inexact centre. Where all atoms are active the distance to the cut may
    be huge; it is left out of the variance, which does not change.
    """
    s, room, size, square, blur, active = 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for j in range(U(n)):
        if u[j] <= top:
            s += p[j] * u[j]
            room += p[j] * ((top - u[j]) + above)
            size += p[j] * (top - u[j])
            active += 1
        else:
            s += p[j] * (top + above)
    hang = above if active < n else 0.0
    size = room / total if active < n else size / total
    for j in range(U(n)):
        z = (top - u[j]) + hang if u[j] <= top else 0.0
        square += p[j] * (z - size) ** 2
        blur += p[j] * z * abs(z - size)
    excess = (relative(n) * size) ** 2
    return s / total, square / total, room / total, 8.0 * UNIT * blur / total, excess + LEAST


@kernel
def chi2_penalty(p, u, n, total, strength):
    """g(a) = E[u]_a - Var[u]_a / (4 strength) at the cut a; q proportional to p (a - u)+."""
    top, above = chi2_cut(p, u, n, total, False, strength)
    mean, var, room, blur, excess = chi2_moments(p, u, n, total, top, above)
    e, cost = relative(n), var / (4.0 * strength)
    off = abs(1.0 - 2.0 * strength / room) + 2.0 * e  # the primal value of q is g + cost off^2
    value = mean - cost
    slack = e * (mean + cost) + (blur + excess) / (4.0 * strength) + TINY
    low, high = max(value - slack, 0.0), value + cost * off * off + slack
    high = max(min(high, expectation(p, u, n, total) * (1.0 + e)), low)
    return low, high, min(max(value, low), high), top, room, above


@kernel
def chi2_ball(p, u, n, total, radius):
    """g(a) = E[u]_a - sqrt(radius Var[u]_a) at the cut; q, mixed with p where it is too far."""
    e, all_mean = relative(n), expectation(p, u, n, total)
    least = least_mass(p, u, n)
    far = (total - least) / least
    if radius >= far:  # the least atoms alone are near enough
        error = 3.0 * e * total / least
        short = max(1.0 - math.sqrt(radius / (far + error)), 0.0) if far > 0.0 else 0.0
        return 0.0, short * all_mean * (1.0 + e), 0.0, 0.0, least / total, -1.0
    top, above = chi2_cut(p, u, n, total, True, radius)
    mean, var, room, blur, excess = chi2_moments(p, u, n, total, top, above)
    spread, root = math.sqrt(var + LEAST), math.sqrt(radius)
    off = (e * var + blur + excess) / spread
    value, inside = mean - root * spread, mean - var / room
    share = min(1.0, root * room / (spread + off) * (1.0 - 4.0 * e))
    slack = e * (mean + root * spread) + root * off + TINY
    high = inside + (1.0 - share) * max(all_mean - inside, 0.0)
    high += slack + e * (mean + 2.0 * var / room) + spread * off / room
    high = min(high, all_mean * (1.0 + e))
    low = max(value - slack, 0.0)
    return low, max(high, low), min(max(value, low), high), top, room, above


@kernel
def solve_row(code, ball, strength, refuge, start, p, u, n, total, low, high):
    """Solve the row whose values u are not yet measured from the least; see the module's text."""
    off = strength == 0.0 if ball else strength == float("inf")
    base = low if off or code != TV else min(low, refuge)
    if high == base:
        return base, base, base, -1.0, 1.0, 0.0
    unit = math.ldexp(1.0, math.frexp(high - base)[1])  # of the row: no square underflows
    for j in range(U(n)):
        u[j] = (u[j] - base) / unit
    start *= unit
    if not ball:
        strength = min(strength / unit, 2.0**1000)
    row = (p, u, n, total, strength)
    if off:  # no strength moves anything
        found = tv_penalty(p, u, n, total, float("inf"))
    elif code == TV:
        found = tv_ball(*row) if ball else tv_penalty(*row)
    elif code == KL:
        found = kl_ball(*row, start) if ball else kl_penalty(*row)
    else:
        found = chi2_ball(*row) if ball else chi2_penalty(*row)
    lower, upper, value, first, second, third = found
    lower, upper, value = lower * unit, upper * unit, value * unit
    if code == KL:
        first /= unit
    elif code == TV:
        first *= unit
    else:
        first, second, third = first * unit, second * unit, third * unit if third >= 0.0 else third
    one, first = 2.0 * UNIT, -1.0 if off else first
    lower = base + lower - one * (abs(base) + lower) if lower > 0.0 else base
    upper = base + upper + one * (abs(base) + upper) if upper > 0.0 else base
    value = min(max(base + value, lower), upper)
    return lower, upper, value, first, second, third


@kernel
def solve_rows(code, ball, strength, refuge, dense, longest, indptr, indices, data, V, which, out):
    """Solve the rows `which`, given in any order; column k of `out` is what `solve_row` returns.

    A positive fourth entry of `out` is where the search of a KL ball starts.
    """
    p, u = np.empty(longest), np.empty(longest)
    for i in range(U(which.size)):
        k = U(which[i])
        n, total, low, high = gather(dense, indices, data, V, indptr[k], indptr[k + U(1)], p, u)
        found = solve_row(code, ball, strength[k], refuge, out[3, k], p, u, n, total, low, high)
        out[0, k], out[1, k], out[2, k], out[3, k], out[4, k], out[5, k] = found
