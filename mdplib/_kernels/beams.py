"""Good closed walks: halves grown step by step, of which each node keeps the best few."""

import numpy as np

from mdplib._kernels.compile import kernel

COMPARED = 20  # how many of the best sets of a node a new one is compared with


@kernel
def grow(worth, sets, count, ptr, neighbour, gain):
    """Return what walks of one step more, or of the same, can visit: the best sets of each node.

    Node v has sets[v, :count[v]], in words of 64 bits, and their worth, the sum of the gains of
    their nodes, in falling order; nodes without gain are left out. A set in one of the best sets
    of its node is dropped.
    """
    n, width, words = sets.shape
    new_worth, new_sets = np.zeros((n, width)), np.zeros((n, width, words), dtype=np.uint64)
    new_count = np.zeros(n, dtype=np.int64)
    for v in range(n):
        total = count[v]
        for e in range(ptr[v], ptr[v + 1]):
            total += count[neighbour[e]]
        if total == 0:
            continue
        values, masks = np.empty(total), np.empty((total, words), dtype=np.uint64)
        word, bit, k = v >> 6, bit_of(v), 0
        for e in range(ptr[v] - 1, ptr[v + 1]):
            u = v if e < ptr[v] else neighbour[e]  # to wait is a step, too
            for i in range(count[u]):
                masks[k] = sets[u, i]
                values[k] = worth[u, i]
                if gain[v] > 0.0 and not masks[k, word] & bit:
                    masks[k, word] |= bit
                    values[k] += gain[v]
                k += 1
        kept = 0
        for i in np.argsort(-values):
            if kept == width:
                break
            known = False
            for r in range(min(kept, COMPARED)):
                if _inside(masks[i], new_sets[v, r]):
                    known = True
                    break
            r = kept - 1  # the same set is worth the same, and stands last
            while not known and r >= COMPARED and values[i] >= new_worth[v, r] * (1.0 - 1e-12):
                known = _inside(masks[i], new_sets[v, r])
                r -= 1
            if not known:
                new_worth[v, kept], new_sets[v, kept] = values[i], masks[i]
                kept += 1
        new_count[v] = kept
    return new_worth, new_sets, new_count


@kernel
def join(first, second, gain, weight, order, source, budget, price):
    """Return the best union of a first and a second set of one node, and what it is worth.

    `first` and `second` are (worth, sets, count) as `grow` returns them. A union is worth the
    `budget` largest of its weights, in the order given, which is at most budget * price and its
    gain.
    """
    (left, ours, n_ours), (right, theirs, n_theirs) = first, second
    top, best = -1.0, np.zeros(ours.shape[2], dtype=np.uint64)
    for v in range(n_ours.size):
        shared = gain[v] + (gain[source] if v != source else 0.0) - budget * price
        for i in range(n_ours[v]):
            for j in range(n_theirs[v]):
                if left[v, i] + right[v, j] - shared <= top:
                    break
                union = ours[v, i] | theirs[v, j]
                value, size = 0.0, 0
                for b in order:
                    if size == budget:
                        break
                    if union[b >> 6] & bit_of(b):
                        value += weight[b]
                        size += 1
                if value > top:
                    top, best = value, union
    return top, best


@kernel
def _inside(small, large):
    k = 0
    while k < small.size and small[k] & large[k] == small[k]:
        k += 1
    return k == small.size


@kernel
def bit_of(v):
    """Return the bit of node v in its word."""
    return np.uint64(1) << np.uint64(v & 63)
