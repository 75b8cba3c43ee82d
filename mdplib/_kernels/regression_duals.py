"""One-dimensional duals under signed weights, solved exactly by one sweep over sorted values.

Arrays: `weight` (d, m) holds the signed weights of coordinate i on the m distinct next values,
`v` (m) those values in increasing order. A dual of coordinate i is a function of a threshold a
through ``m1(a) = sum_j weight_ij min(v_j, a)`` and ``m2(a) = sum_j weight_ij min(v_j, a)**2``. On a
segment between two neighbouring values, m1 = first + rest a and m2 = second + rest a**2. Every
point at which the dual can be largest on a segment is tried, so the result is the global optimum
although the dual need be neither concave nor unimodal.
"""

import numpy as np

from mdplib._kernels.compile import inlined, kernel

U = np.uint64


@kernel
def collect(pair, follow, weight, phi, place, seen, mass):
    """Sum the features of the samples by next state; return the number of distinct ones.

    `pair` < 0 marks a sample to leave out, `follow` < 0 an episode that is over. Writes the slot
    of each next state in `place` (S+1, all -1 on entry and on return), the states in `seen`, and
    the sums in the rows of `mass`. An empty `weight` counts every sample once.
    """
    n, d, S, weighted = 0, U(phi.shape[1]), place.size - 1, weight.size > 0
    for t in range(U(pair.size)):
        if pair[t] < 0:
            continue
        s = U(follow[t]) if follow[t] >= 0 else U(S)
        if place[s] < 0:
            place[s] = n
            seen[n] = s
            for i in range(d):
                mass[U(n), i] = 0.0
            n += 1
        slot, k = U(place[s]), U(pair[t])
        share = weight[t] if weighted else 1.0
        for i in range(d):
            mass[slot, i] += share * phi[k, i]
    for j in range(n):
        place[U(seen[j])] = -1
    return n


@kernel
def update(factor, phi, gram):
    """Add phi phi^T to `gram` and to the matrix of the upper Cholesky factor, by rotations.

    `phi` is used up.
    """
    d = U(phi.size)
    for i in range(d):
        for j in range(d):
            gram[i, j] += phi[i] * phi[j]
    for i in range(d):
        if phi[i] == 0.0:
            continue
        r = np.hypot(factor[i, i], phi[i])
        c, s = r / factor[i, i], phi[i] / factor[i, i]
        factor[i, i] = r
        for j in range(i + U(1), d):
            factor[i, j] = (factor[i, j] + s * phi[j]) / c
            phi[j] = c * phi[j] - s * factor[i, j]


@inlined
def chi2_dual(m1, m2, strength, top):
    """Value of m1 + (m1**2 - m2) / (4 strength), moments clipped to [0, top], [0, top**2]."""
    if top < np.inf:
        m1 = min(max(m1, 0.0), top)
        m2 = min(max(m2, 0.0), top * top)
    return m1 + (m1 * m1 - m2) / (4.0 * strength)


@kernel
def chi2_penalty(weight, v, strength, low, high, top, sign, out, point):
    """Write the largest (`sign` 1) or least (-1) penalised dual over [low, high], and where.

    Candidates: both ends of each segment; the stationary point (first + 2 strength)/(1 - rest);
    zero; where a clip of m1 or m2 sets in. `top` infinite means no clips.
    """
    m = U(v.size)
    for i in range(U(weight.shape[0])):
        rest = 0.0
        for j in range(m):
            rest += weight[i, j]
        first, second, c = 0.0, 0.0, strength[i]
        j = U(0)
        while j < m and v[j] <= low:
            first += weight[i, j] * v[j]
            second += weight[i, j] * v[j] * v[j]
            rest -= weight[i, j]
            j += U(1)
        left, where = low, low
        before1, before2 = first + rest * low, second + rest * low * low
        best = sign * chi2_dual(before1, before2, c, top)
        free = not (top < np.inf)
        square = top * top if top < np.inf else np.inf
        within = free or (0.0 <= before1 <= top and 0.0 <= before2 <= square)
        scale = 1.0 / (4.0 * c)
        while left < high:
            right = min(v[j], high) if j < m else high
            m1, m2 = first + rest * right, second + rest * right * right
            was, within = within, free or (0.0 <= m1 <= top and 0.0 <= m2 <= square)
            g = m1 + (m1 * m1 - m2) * scale if within else chi2_dual(m1, m2, c, top)
            if sign * g > best:
                best, where = sign * g, right
            up, down = first + 2.0 * c, 1.0 - rest
            if (left * down < up < right * down) or (right * down < up < left * down):
                a = up / down
                g = sign * chi2_dual(first + rest * a, second + rest * a * a, c, top)
                if g > best:
                    best, where = g, a
            if left < 0.0 < right:
                g = sign * chi2_dual(first, second, c, top)
                if g > best:
                    best, where = g, 0.0
            if rest != 0.0 and not free:
                inside = was and within
                if not inside:
                    for corner in range(4):
                        a = left
                        if corner == 0:
                            a = -first / rest
                        elif corner == 1:
                            a = (top - first) / rest
                        else:
                            goal = 0.0 if corner == 2 else top * top
                            root = (goal - second) / rest
                            if root > 0.0:
                                a = np.sqrt(root)
                        if left < a < right:
                            g = sign * chi2_dual(first + rest * a, second + rest * a * a, c, top)
                            if g > best:
                                best, where = g, a
            if j < m:
                first += weight[i, j] * v[j]
                second += weight[i, j] * v[j] * v[j]
                rest -= weight[i, j]
                j += U(1)
            left = right
        out[i], point[i] = sign * best, where


@kernel
def tv_ball(weight, v, radius, low, high, floor, out, point):
    """Write the largest m1(a) - radius (a - min(floor, a)) over [low, high], and where.

    Piecewise linear, so it is largest at `low`, `high`, `floor` or a value.
    """
    m = U(v.size)
    for i in range(U(weight.shape[0])):
        rest = 0.0
        for j in range(m):
            rest += weight[i, j]
        first, j = 0.0, U(0)
        while j < m and v[j] <= low:
            first += weight[i, j] * v[j]
            rest -= weight[i, j]
            j += U(1)
        best, where = first + rest * low - radius[i] * max(low - floor, 0.0), low
        left = low
        while left < high:
            right = min(v[j], high) if j < m else high
            g = first + rest * right - radius[i] * max(right - floor, 0.0)
            if g > best:
                best, where = g, right
            if left < floor < right and first + rest * floor > best:
                best, where = first + rest * floor, floor
            if j < m:
                first += weight[i, j] * v[j]
                rest -= weight[i, j]
                j += U(1)
            left = right
        out[i], point[i] = best, where


@inlined
def clipped(x, top):
    """Return x clipped to [0, top], or x if `top` is infinite."""
    return min(max(x, 0.0), top) if top < np.inf else x


@inlined
def deviation_dual(first, second, rest, a, radius, top):
    """Value of m1 - sqrt(radius (m2 - m1**2)) at a, moments clipped as in `chi2_dual`.

    A variance that is all rounding counts as zero: its root would be of the order 1e-8.
    """
    m1 = clipped(first + rest * a, top)
    m2 = clipped(second + rest * a * a, top * top)
    q = m2 - m1 * m1
    return m1 - np.sqrt(radius * q) if q > 2e-15 * (abs(m2) + m1 * m1) else m1


@kernel
def chi2_ball(weight, v, radius, low, high, top, out, point):
    """Write the largest m1(a) - sqrt(radius max(m2(a) - m1(a)**2, 0)) over [low, high], and where.

    On a segment, and on each side of a clip, m1 is linear and the variance q = m2 - m1**2 a
    quadratic in a. Candidates: ends; clips; roots of q; where (2 m1')**2 q = radius q'**2.
    """
    m = U(v.size)
    spot = np.empty(64)
    for i in range(U(weight.shape[0])):
        rest = 0.0
        for j in range(m):
            rest += weight[i, j]
        first, second, rho = 0.0, 0.0, radius[i]
        j = U(0)
        while j < m and v[j] <= low:
            first += weight[i, j] * v[j]
            second += weight[i, j] * v[j] * v[j]
            rest -= weight[i, j]
            j += U(1)
        left, where = low, low
        best = deviation_dual(first, second, rest, low, rho, top)
        while left < high:
            right = min(v[j], high) if j < m else high
            n = _candidates(first, second, rest, left, right, rho, top, spot)
            for c in range(n):
                a = spot[c]
                if left < a <= right:
                    g = deviation_dual(first, second, rest, a, rho, top)
                    if g > best:
                        best, where = g, a
            if j < m:
                first += weight[i, j] * v[j]
                second += weight[i, j] * v[j] * v[j]
                rest -= weight[i, j]
                j += U(1)
            left = right
        out[i], point[i] = best, where


@kernel
def _roots(a, b, c, spot, n):
    """Append the real roots of a x**2 + b x + c, in the form that does not cancel."""
    if a == 0.0:
        if b != 0.0:
            spot[n] = -c / b
            n += 1
        return n
    square = b * b - 4.0 * a * c
    if square >= 0.0:
        big = -0.5 * (b + np.copysign(np.sqrt(square), b))
        spot[n] = big / a
        n += 1
        if big != 0.0:
            spot[n] = c / big
            n += 1
    return n


@kernel
def _candidates(first, second, rest, left, right, rho, top, spot):
    """Write the points of (left, right] at which the ball dual of one segment can be largest."""
    spot[0] = right
    spot[1] = 0.0
    n, whole = 2, True
    if top < np.inf:
        low1, high1 = first + rest * left, first + rest * right
        low2, high2 = second + rest * left * left, second + rest * right * right
        whole = min(low1, high1) >= 0.0 and max(low1, high1) <= top
        whole = whole and min(low2, high2) >= 0.0 and max(low2, high2) <= top * top
        whole = whole and (left >= 0.0 or right <= 0.0)
    for one in range(1 if whole else 3):
        base, slope = first, rest
        if one > 0:
            base, slope = (0.0 if one == 1 else top), 0.0
            n = _roots(0.0, rest, first - base, spot, n)
        for two in range(1 if whole else 3):
            constant, bend = second, rest
            if two > 0:
                constant, bend = (0.0 if two == 1 else top * top), 0.0
                if one == 0:
                    n = _roots(rest, 0.0, second - constant, spot, n)
            q0, q1, q2 = constant - base * base, -2.0 * base * slope, bend - slope * slope
            n = _roots(q2, q1, q0, spot, n)
            l2 = slope * slope
            if l2 == 0.0:
                n = _roots(0.0, 2.0 * q2, q1, spot, n)
            else:
                n = _roots(
                    4.0 * q2 * (l2 - rho * q2),
                    4.0 * q1 * (l2 - rho * q2),
                    4.0 * l2 * q0 - rho * q1 * q1,
                    spot,
                    n,
                )
    return n
