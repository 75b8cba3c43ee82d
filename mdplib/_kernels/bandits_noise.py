"""The normal numbers of `mdplib._kernels.noise`, many rounds at once.

85 in 100 numbers lie where the inverse is one quotient of polynomials; a loop without branches
makes them several at a time, and a second loop replaces the others. The results are those of
`noise.normal`, bit for bit, which a test checks.
"""

import numpy as np

from mdplib._kernels.compile import kernel
from mdplib._kernels.noise import centred, inverse_normal, philox

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
        q = kept[s] - 0.5
        r = 0.180625 - q * q
        top = 2.5090809287301226727e3
        top = top * r + 3.3430575583588128105e4
        top = top * r + 6.7265770927008700853e4
        top = top * r + 4.5921953931549871457e4
        top = top * r + 1.3731693765509461125e4
        top = top * r + 1.9715909503065514427e3
        top = top * r + 1.3314166789178437745e2
        top = top * r + 3.3871328727963666080e0
        low = 5.2264952788528545610e3
        low = low * r + 2.8729085735721942674e4
        low = low * r + 3.9307895800092710610e4
        low = low * r + 2.1213794301586595867e4
        low = low * r + 5.3941960214247511077e3
        low = low * r + 6.8718700749205790830e2
        low = low * r + 4.2313330701600911252e1
        p[s] = q * top / (low * r + 1.0)
    for s in range(U(p.size)):
        if abs(kept[s] - 0.5) > 0.425:
            p[s] = inverse_normal(kept[s])
