"""Simulation kernels on ragged state-action rows."""

from mdplib._kernels.compile import kernel


@kernel
def successors(indptr, indices, data, pairs, uniform, out):
    """Invert the distribution function of each pair's row at a uniform in [0, 1)."""
    for i in range(pairs.size):
        first, end = indptr[pairs[i]], indptr[pairs[i] + 1]
        mass = 0.0
        for j in range(first, end):
            mass += data[j]
        target = uniform[i] * mass
        chosen, total = -1, 0.0
        for j in range(first, end):
            if data[j] > 0.0:
                chosen = j
                total += data[j]
                if target < total:
                    break
        out[i] = indices[chosen]
