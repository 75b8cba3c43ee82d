"""Sampling kernel on ragged rows.

Arrays: `ptr` (R+1) delimits the rows of `weight`; only `out` is written.
"""

from mdplib._kernels.compile import kernel


@kernel
def draw(ptr, weight, row, uniform, out):
    """Write for each i a position of row ``row[i]``, drawn by inversion from ``uniform[i]``.

    Position j has probability ``weight[j]`` divided by the sum of its row, up to rounding of the
    row's partial sums; positions of weight zero are never drawn.
    """
    for i in range(row.size):
        first, end = ptr[row[i]], ptr[row[i] + 1]
        total = 0.0
        for j in range(first, end):
            total += weight[j]
        target = uniform[i] * total
        chosen = first
        partial = 0.0
        for j in range(first, end):
            if weight[j] > 0.0:
                chosen = j
                partial += weight[j]
                if target < partial:
                    break
        out[i] = chosen
