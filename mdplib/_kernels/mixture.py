"""Sampling kernel on full rows of cumulated weights; only `out` is written."""

from mdplib._kernels.compile import kernel


@kernel
def draw(cumulative, row, uniform, out):
    """Write for each i a column of ``cumulative[row[i]]``, drawn by inversion from ``uniform[i]``.

    Rows never decrease. Column j has the probability of its increment divided by the last entry
    of the row; columns without an increment are never drawn.
    """
    width = cumulative.shape[1]
    for i in range(row.size):
        weights = cumulative[row[i]]
        total = weights[width - 1]
        target = uniform[i] * total
        low, high = 0, width - 1
        if target >= total:  # rounding: take the last column with an increment
            while low < high:
                middle = (low + high) // 2
                if weights[middle] >= total:
                    high = middle
                else:
                    low = middle + 1
        while low < high:
            middle = (low + high) // 2
            if weights[middle] > target:
                high = middle
            else:
                low = middle + 1
        out[i] = low
