"""Weighted sums of sparse rows."""

import numpy as np

from mdplib._kernels.compile import kernel


@kernel
def merged_rows(order, rows, indptr, indices, data, weight, n_states, n_rows):
    """Return indptr, indices, data of the weighted sums of the rows that share a new row."""
    first = np.zeros(n_rows + 1, dtype=np.int32)
    seen = np.full(n_states, -1, dtype=np.int64)
    most = 0
    for i in range(order.size):  # upper bound of the size
        most += indptr[order[i] + 1] - indptr[order[i]]
    successors = np.empty(most, dtype=np.int32)
    sums = np.zeros(n_states)
    out = np.empty(most)
    used, i = 0, 0
    for row in range(n_rows):
        begin = used
        while i < order.size and rows[i] == row:
            k = order[i]
            w = weight[k]
            if w > 0.0:
                for j in range(indptr[k], indptr[k + 1]):
                    t = indices[j]
                    if seen[t] != row:
                        seen[t] = row
                        sums[t] = 0.0
                        successors[used] = t
                        used += 1
                    sums[t] += w * data[j]
            i += 1
        successors[begin:used] = np.sort(successors[begin:used])
        for j in range(begin, used):
            out[j] = sums[successors[j]]
        first[row + 1] = used
    return first, successors[:used].copy(), out[:used].copy()


@kernel
def overlaps(ptr, order, indptr, indices, data, n_states):
    """Return, per group of rows, the mass beside sum_t min_k P_k(t) and the largest variation.

    Sums of rows are taken as they are, not as one, so equal rows give zero exactly.
    """
    n_groups = ptr.size - 1
    own, tv = np.zeros(n_groups), np.zeros(n_groups)
    sums = np.zeros(indptr.size - 1)
    least, count = np.zeros(n_states), np.zeros(n_states, dtype=np.int64)
    dense = np.zeros(n_states)
    for g in range(n_groups):
        size = ptr[g + 1] - ptr[g]
        for i in range(ptr[g], ptr[g + 1]):
            k = order[i]
            for j in range(indptr[k], indptr[k + 1]):
                t = indices[j]
                least[t] = data[j] if count[t] == 0 else min(least[t], data[j])
                count[t] += 1
                sums[k] += data[j]
            own[g] = max(own[g], sums[k])
        common = 0.0
        for i in range(ptr[g], ptr[g + 1]):
            k = order[i]
            for j in range(indptr[k], indptr[k + 1]):
                t = indices[j]
                if count[t] == size:
                    common += least[t]
                count[t] = 0
        own[g] = max(own[g] - common, 0.0)
        for i in range(ptr[g], ptr[g + 1]):
            k = order[i]
            for j in range(indptr[k], indptr[k + 1]):
                dense[indices[j]] = data[j]
            for other in range(i + 1, ptr[g + 1]):
                q = order[other]
                common = 0.0
                for j in range(indptr[q], indptr[q + 1]):
                    common += min(dense[indices[j]], data[j])
                tv[g] = max(tv[g], 0.5 * (sums[k] + sums[q]) - common)
            for j in range(indptr[k], indptr[k + 1]):
                dense[indices[j]] = 0.0
    return own, tv
