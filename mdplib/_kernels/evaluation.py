"""Kernels that evaluate one policy, on its rows gathered into arrays of their own.

Arrays: `ptr` (S+1), `column` and `weight` (nnz of the policy), `r` (S). Only `V`, `x`, `spare`,
`band` and `work` are written. Indices are cast to unsigned integers, as in `bellman`.
"""

import numpy as np

from mdplib._kernels.compile import inlined, kernel

U = np.uint64


@kernel
def gather(pair, indptr, indices, data, reward, ptr, column, weight, r):
    """Copy the policy's rows; return their size and how far they reach from the diagonal.

    `column` and `weight` have room for more than the rows may need.
    """
    below, above, i = 0, 0, U(0)
    ptr[0] = 0
    for s in range(U(pair.size)):
        k = U(pair[s])
        first, end = U(indptr[k]), U(indptr[k + U(1)])
        for j in range(end - first):
            column[i + j], weight[i + j] = indices[first + j], data[first + j]
        below = max(below, np.int64(s) - indices[first])  # successors come in rising order
        above = max(above, indices[end - U(1)] - np.int64(s))
        i += end - first
        ptr[s + U(1)] = i
        r[s] = reward[k]
    return i, below, above


@inlined
def part(column, weight, V, j, end):
    """Return the sum of p V over the positions j..end-1, in four interleaved parts."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    while j + U(4) <= end:
        a += weight[j] * V[U(column[j])]
        b += weight[j + U(1)] * V[U(column[j + U(1)])]
        c += weight[j + U(2)] * V[U(column[j + U(2)])]
        d += weight[j + U(3)] * V[U(column[j + U(3)])]
        j += U(4)
    while j < end:
        a += weight[j] * V[U(column[j])]
        j += U(1)
    return (a + b) + (c + d)


@kernel
def sweep(ptr, column, weight, r, gamma, V, first, last, out):
    """Write r + gamma P V for the states first..last-1; return the range of out - V."""
    low, high = float("inf"), float("-inf")
    for s in range(U(first), U(last)):
        new = r[s] + gamma * part(column, weight, V, U(ptr[s]), U(ptr[s + U(1)]))
        change = new - V[s]
        out[s] = new
        low, high = min(low, change), max(high, change)
    return low, high


@kernel
def sweeps(ptr, column, weight, r, gamma, V, spare, most, narrow):
    """Sweep to and fro until the span of the change is at most `narrow`, `most` times at most.

    Return the number of sweeps, the last range of changes, and the span of the first. After an
    odd number of sweeps the result is in `spare`, after an even one in V.
    """
    n = 0
    low, high, at_first = 0.0, 0.0, 0.0
    while n < most:
        low, high = sweep(ptr, column, weight, r, gamma, V, 0, V.size, spare)
        V, spare = spare, V
        n += 1
        if n == 1:
            at_first = high - low
        if high - low <= narrow:
            break
    return n, low, high, at_first


@kernel
def gauss_seidel(ptr, column, weight, r, gamma, V, reverse):
    """One in-place sweep, self-loops eliminated; return the largest change."""
    n, most = U(V.size), 0.0
    for i in range(n):
        s = n - U(1) - i if reverse else i
        first, end = U(ptr[s]), U(ptr[s + U(1)])
        j = first
        while j < end and U(column[j]) < s:
            j += U(1)
        if j < end and U(column[j]) == s:
            others = part(column, weight, V, first, j) + part(column, weight, V, j + U(1), end)
            new = (r[s] + gamma * others) / (1.0 - gamma * weight[j])
        else:
            new = r[s] + gamma * part(column, weight, V, first, end)
        most = max(most, abs(new - V[s]))
        V[s] = new
    return most


@kernel
def fill_band(ptr, column, weight, gamma, below, backwards, band):
    """Write I - gamma P by diagonals: entry (s, t) goes to band[s, t - s + below].

    With `backwards` the states are counted from the last one.
    """
    band[:] = 0.0
    n = band.shape[0]
    for i in range(n):
        s = n - 1 - i if backwards else i
        band[i, below] = 1.0
        for j in range(ptr[s], ptr[s + 1]):
            off = s - column[j] if backwards else column[j] - s
            band[i, off + below] -= gamma * weight[j]


@kernel
def solve_band(band, below, above, x):
    """Solve the banded system in place, x being the right-hand side.

    Elimination without pivoting: stable, as the rows of I - gamma P are diagonally dominant.
    """
    n = band.shape[0]
    for i in range(n):
        width = min(above, n - 1 - i)
        for s in range(i + 1, min(i + below + 1, n)):
            at = U(i - s + below)
            factor = band[s, at] / band[i, below]
            if factor != 0.0:
                for t in range(U(1), U(width + 1)):
                    band[s, at + t] -= factor * band[i, U(below) + t]
                x[s] -= factor * x[i]
    for i in range(n - 1, -1, -1):
        total = x[i]
        for t in range(1, min(above, n - 1 - i) + 1):
            total -= band[i, t + below] * x[i + t]
        x[i] = total / band[i, below]


@kernel
def defect(ptr, column, weight, gamma, V, out):
    """Write V - gamma P V."""
    for s in range(U(V.size)):
        out[s] = V[s] - gamma * part(column, weight, V, U(ptr[s]), U(ptr[s + U(1)]))


@kernel
def dot(x, y):
    """Return the inner product: by hand, as a BLAS may start threads for it."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    n = U(x.size)
    i, whole = U(0), n - n % U(4)
    while i < whole:
        a += x[i] * y[i]
        b += x[i + U(1)] * y[i + U(1)]
        c += x[i + U(2)] * y[i + U(2)]
        d += x[i + U(3)] * y[i + U(3)]
        i += U(4)
    while i < n:
        a += x[i] * y[i]
        i += U(1)
    return (a + b) + (c + d)


@kernel
def bicgstab(ptr, column, weight, r, gamma, x, tol, most, work):
    """Improve x towards (I - gamma P) x = r (van der Vorst 1992); return products and residual.

    `work` has five rows of S. The result is not trusted: the caller tests it.
    """
    res, shadow, p, v, t = work[0], work[1], work[2], work[3], work[4]
    defect(ptr, column, weight, gamma, x, res)
    n, size = 1, 0.0
    for s in range(x.size):
        res[s] = r[s] - res[s]
        shadow[s], p[s], v[s] = res[s], 0.0, 0.0
        size = max(size, abs(res[s]))
    rho, alpha, omega = 1.0, 1.0, 1.0
    while size > tol and n < most:
        before, rho = rho, dot(shadow, res)
        if rho == 0.0 or omega == 0.0:
            break
        beta = (rho / before) * (alpha / omega)
        for s in range(x.size):
            p[s] = res[s] + beta * (p[s] - omega * v[s])
        defect(ptr, column, weight, gamma, p, v)
        alpha = rho / dot(shadow, v)
        for s in range(x.size):
            res[s] -= alpha * v[s]
        defect(ptr, column, weight, gamma, res, t)
        n += 2
        square = dot(t, t)
        omega = dot(t, res) / square if square > 0.0 else 0.0
        size = 0.0
        for s in range(x.size):
            x[s] += alpha * p[s] + omega * res[s]
            res[s] -= omega * t[s]
            size = max(size, abs(res[s]))
        if not np.isfinite(omega) or not np.isfinite(alpha):
            break
    return n, size
