"""The optimistic action of a ball: the longest vector of an ellipsoid, by its eigenvectors.

Arrays: `inverse` (d, d) is V^{-1}, `centre` (d) the estimate; all else is scratch of this file.
"""

import numpy as np

from mdplib._kernels.compile import kernel

U = np.uint64


@kernel
def eigen(matrix, vectors):
    """Diagonalise a symmetric matrix in place by Jacobi rotations; columns of `vectors` go along.

    The eigenvalues are left on the diagonal.
    """
    d = U(matrix.shape[0])
    for i in range(d):
        for j in range(d):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(60):
        off, on = 0.0, 0.0
        for i in range(d):
            on += matrix[i, i] * matrix[i, i]
            for j in range(i):
                off += matrix[i, j] * matrix[i, j]
        if off <= 1e-34 * on:
            return
        for p in range(d):
            for q in range(p + U(1), d):
                c, s = _rotation(matrix[p, p], matrix[q, q], matrix[p, q])
                for k in range(d):
                    x, y = matrix[k, p], matrix[k, q]
                    matrix[k, p], matrix[k, q] = c * x - s * y, s * x + c * y
                for k in range(d):
                    x, y = matrix[p, k], matrix[q, k]
                    matrix[p, k], matrix[q, k] = c * x - s * y, s * x + c * y
                for k in range(d):
                    x, y = vectors[k, p], vectors[k, q]
                    vectors[k, p], vectors[k, q] = c * x - s * y, s * x + c * y


@kernel
def _rotation(app, aqq, apq):
    """Return cosine and sine of the rotation that makes the entry (p, q) zero."""
    if apq == 0.0:
        return 1.0, 0.0
    tau = (aqq - app) / (2.0 * apq)
    t = 1.0 / (abs(tau) + np.sqrt(1.0 + tau * tau))
    if tau < 0.0:
        t = -t
    c = 1.0 / np.sqrt(1.0 + t * t)
    return c, t * c


@kernel
def longest(centre, inverse, beta, radius, u):
    """Write into `u` the vector of norm `radius` along the longest of ||h~ - centre||_V <= beta."""
    size = u.size
    d = U(size)
    matrix, Q = inverse.copy(), np.empty((size, size))
    eigen(matrix, Q)
    b, below, along = np.empty(size), np.empty(size), np.empty(size)
    widest = 0.0
    for i in range(d):
        widest = max(widest, beta * beta * matrix[i, i])
    norm = 0.0
    for i in range(d):
        a = 0.0
        for k in range(d):
            a += Q[k, i] * centre[k]
        w2 = beta * beta * max(matrix[i, i], 0.0)
        along[i] = a
        b[i] = np.sqrt(w2) * a
        below[i] = max(widest - w2, 0.0)
        norm += b[i] * b[i]
    if widest > 0.0:
        _stretch(along, b, below, widest, np.sqrt(norm))
    total = 0.0
    for k in range(d):
        u[k] = 0.0
        for i in range(d):
            u[k] += Q[k, i] * along[i]
        total += u[k] * u[k]
    total = np.sqrt(total)
    for k in range(d):
        if total > 0.0:
            u[k] *= radius / total
        else:
            u[k] = radius if k == U(0) else 0.0


@kernel
def _stretch(a, b, below, widest, high):
    """Add w z to the centre `a`, where z_i = b_i / (s + below_i) has norm one.

    Axes within rounding of the widest share what is missing where s = 0 leaves z too short.
    """
    d = U(a.size)
    low = 0.0
    for _ in range(200):
        s = 0.5 * (low + high)
        if s in (low, high):
            break
        norm = 0.0
        for i in range(d):
            z = b[i] / (s + below[i])
            norm += z * z
        if norm > 1.0:
            low = s
        else:
            high = s
    used, largest, last = 0.0, 0.0, U(0)
    for i in range(d):
        if below[i] > 1e-14 * widest:
            z = b[i] / (high + below[i])
            used += z * z
            a[i] += np.sqrt(widest - below[i]) * z
        else:
            largest = max(largest, abs(b[i]))
            last = i
    missing = np.sqrt(max(0.0, 1.0 - used))
    if largest == 0.0:
        a[last] += np.sqrt(widest) * missing
        return
    top = 0.0
    for i in range(d):
        if below[i] <= 1e-14 * widest:
            top += (b[i] / largest) ** 2
    for i in range(d):
        if below[i] <= 1e-14 * widest:
            a[i] += np.sqrt(widest) * missing * (b[i] / largest) / np.sqrt(top)
