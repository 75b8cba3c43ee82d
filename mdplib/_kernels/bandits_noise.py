"""The normal numbers of `mdplib._kernels.noise`, many rounds at once.

85 in 100 numbers lie where the inverse is one quotient of polynomials; a loop without branches
makes them several at a time, and a second loop replaces the others. The results are those of
`noise.normal`, bit for bit, which a test checks.
"""

import numpy as np

from mdplib._kernels.compile import kernel
from mdplib._kernels.noise import central_quantile, centred, inverse_normal, philox

U = np.uint64


@kernel
def fill(seed, start, out):
    """Write the numbers of stream i at the places ``start + s`` into ``out[i, s]``."""
    streams, size = out.shape
    key, first = U(seed), U(start)
    for i in range(0, streams, 2):
        block = U(i // 2)
        last = U(min(i + 1, streams - 1))
        for s in range(U(size)):
            even, odd = philox(key, block, first + s)
            out[last, s] = centred(odd)
            out[U(i), s] = centred(even)
    for i in range(streams):
        _invert(out[i])


@kernel
def _invert(p):
    """Replace uniform numbers by the normal ones of the same rank (algorithm AS 241)."""
    kept = p.copy()
    for s in range(U(p.size)):
        p[s] = central_quantile(kept[s] - 0.5)
    for s in range(U(p.size)):
        if abs(kept[s] - 0.5) > 0.425:
            p[s] = inverse_normal(kept[s])
