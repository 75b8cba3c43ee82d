"""Gaussian noise as a function of (seed, stream, t): nothing is stored, any order gives the same.

Philox 4x32 with ten rounds (Salmon, Moraes, Dror and Shaw, 2011) turns the counter (t, stream // 2)
and the key `seed` into 128 bits, 64 for each of two neighbouring streams. The upper 52 of them, in
the middle of their cell, are a uniform number, and algorithm AS 241 (Wichura, 1988) turns that into
a normal one by inversion. So a normal number never exceeds 8.21 in modulus, and is monotone in its
bits.

Stream 0 is the noise of the output, stream 1 + i that of component i of the state; what a learner
draws for itself comes from the streams `LEARNER` and up.
"""

import numpy as np

from mdplib._kernels.compile import inlined, kernel

OUTPUT = 0
STATE = 1
LEARNER = 1 << 32

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_ONE = np.uint64(1)


@kernel
def philox(seed, block, t):
    """Return 128 random bits as two 64-bit integers; all arguments are 64-bit integers."""
    c0, c1 = t & _LOW, t >> _SHIFT
    c2, c3 = block & _LOW, block >> _SHIFT
    k0, k1 = seed & _LOW, seed >> _SHIFT
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c2 = (p1 >> _SHIFT) ^ c1 ^ k0, (p0 >> _SHIFT) ^ c3 ^ k1
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0 | (c1 << _SHIFT), c2 | (c3 << _SHIFT)


@inlined
def central_quantile(q):
    """Return the quantile of the standard normal law at 1/2 + q, for ``|q| <= 0.425``."""
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
    return q * top / (low * r + 1.0)


@kernel
def inverse_normal(p):
    """Return the quantile of the standard normal law at 0 < p < 1; relative error below 1e-15."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return central_quantile(q)
    r = np.sqrt(-np.log(min(p, 1.0 - p)))
    if r <= 5.0:
        r -= 1.6
        top = 7.74545014278341407640e-4
        top = top * r + 2.27238449892691845833e-2
        top = top * r + 2.41780725177450611770e-1
        top = top * r + 1.27045825245236838258e0
        top = top * r + 3.64784832476320460504e0
        top = top * r + 5.76949722146069140550e0
        top = top * r + 4.63033784615654529590e0
        top = top * r + 1.42343711074968357734e0
        low = 1.05075007164441684324e-9
        low = low * r + 5.47593808499534494600e-4
        low = low * r + 1.51986665636164571966e-2
        low = low * r + 1.48103976427480074590e-1
        low = low * r + 6.89767334985100004550e-1
        low = low * r + 1.67638483018380384940e0
        low = low * r + 2.05319162663775882187e0
    else:
        r -= 5.0
        top = 2.01033439929228813265e-7
        top = top * r + 2.71155556874348757815e-5
        top = top * r + 1.24266094738807843860e-3
        top = top * r + 2.65321895265761230930e-2
        top = top * r + 2.96560571828504891230e-1
        top = top * r + 1.78482653991729133580e0
        top = top * r + 5.46378491116411436990e0
        top = top * r + 6.65790464350110377720e0
        low = 2.04426310338993978564e-15
        low = low * r + 1.42151175831644588870e-7
        low = low * r + 1.84631831751005468180e-5
        low = low * r + 7.86869131145613259100e-4
        low = low * r + 1.48753612908506148525e-2
        low = low * r + 1.36929880922735805310e-1
        low = low * r + 5.99832206555887937690e-1
    x = top / (low * r + 1.0)
    return -x if q < 0.0 else x


@kernel
def centred(bits):
    """Return the uniform number of 64 bits: the middle of one of 2**52 cells of (0, 1)."""
    return (np.float64(bits >> np.uint64(12)) + 0.5) * 2.0**-52


@kernel
def uniform(seed, stream, t):
    """Return the uniform number in (0, 1) at place t of a stream."""
    s = np.uint64(stream)
    first, second = philox(np.uint64(seed), s >> _ONE, np.uint64(t))
    return centred(second if s & _ONE else first)


@kernel
def normal(seed, stream, t):
    """Return the standard normal number at place t of a stream."""
    return inverse_normal(uniform(seed, stream, t))


@kernel
def normals(seed, t, out):
    """Write the standard normal numbers at place t of the streams 0 to ``out.size - 1``."""
    place, key, size = np.uint64(t), np.uint64(seed), np.uint64(out.size)
    i = np.uint64(0)
    while i < size:
        first, second = philox(key, i >> _ONE, place)
        out[i] = inverse_normal(centred(first))
        i += _ONE
        if i < size:
            out[i] = inverse_normal(centred(second))
            i += _ONE


@kernel
def noise_block(seed, stream, start, n):
    """Return the standard normal numbers at the places start to start + n - 1 of a stream."""
    out = np.empty(n)
    for i in range(n):
        out[i] = normal(seed, stream, start + i)
    return out
