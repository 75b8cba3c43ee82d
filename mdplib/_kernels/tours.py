"""Sets of visited nodes, stored as the bits of words: antichains, best pairs, shortest tours."""

import numpy as np

from mdplib._kernels.compile import kernel


@kernel
def maximal(masks, n_bits):
    """Tell, for distinct sets in falling order of size, which are in no other one.

    A set is compared with the kept ones that share the rarest of its elements.
    """
    keep = np.zeros(masks.size, dtype=np.bool_)
    head = np.full(n_bits, -1, dtype=np.int64)  # chain of the kept sets that have an element
    count = np.zeros(n_bits, dtype=np.int64)
    after = np.empty((masks.size, n_bits), dtype=np.int32)
    one = np.uint64(1)
    for i in range(masks.size):
        m = masks[i]
        rare, least = 0, masks.size + 1
        for b in range(n_bits):
            if (m >> np.uint64(b)) & one and count[b] < least:
                rare, least = b, count[b]
        inside = False
        k = head[rare]
        while k >= 0:
            if m & masks[k] == m:
                inside = True
                break
            k = after[k, rare]
        if inside:
            continue
        keep[i] = True
        for b in range(n_bits):
            if (m >> np.uint64(b)) & one:
                after[i, b] = head[b]
                head[b] = i
                count[b] += 1
    return keep


@kernel
def best_union(first, second, first_ptr, second_ptr, weight, source, budget):
    """Return the union of a first and a second set of one node that is worth most.

    Weights are not negative; at most `budget` of them count. Sets of node v are first[first_ptr[v]
    : first_ptr[v + 1]]; every set has v and the source. With the excess (weight - price)+ no union
    is worth more than budget * price and its excess, whatever the price. The search ends with a
    union that is worth the largest weights of all, up to rounding.
    """
    n_bits, n = weight.size, first_ptr.size - 1
    one = np.uint64(1)
    order = np.argsort(-weight)
    plain = _table(weight)
    price, ceiling = 0.0, np.inf
    low, high = budget - 1, n_bits  # the bound is convex in the price: bisection by its slope
    while low < high:
        k = (low + high) // 2
        bound, slope = _ceiling(
            first, second, first_ptr, second_ptr, weight, source, budget, weight[order[k]]
        )
        if bound < ceiling:
            ceiling, price = bound, weight[order[k]]
        if slope > 0:
            low = k + 1
        else:
            high = k
    if low == n_bits:
        price = 0.0
    price *= 1.0 - 1e-6  # sets with many of the nodes that are worth just this come first
    excess = np.maximum(weight - price, 0.0)
    enough = weight[order[:budget]].sum() * (1.0 - 1e-14)
    table = _table(excess)
    some = np.uint64(0)
    for b in range(n_bits):
        if weight[b] > 0.0:
            some |= one << np.uint64(b)
    top, best = 0.0, one << np.uint64(source)
    for v in range(n):
        a0, a1, b0, b1 = first_ptr[v], first_ptr[v + 1], second_ptr[v], second_ptr[v + 1]
        if a0 == a1 or b0 == b1:
            continue
        left, right = _worths(first[a0:a1], table), _worths(second[b0:b1], table)
        shared = excess[v] + (excess[source] if v != source else 0.0) - budget * price
        if left.max() + right.max() - shared <= top:
            continue
        lefts, rights = np.argsort(-left), np.argsort(-right)
        for i in lefts:
            if left[i] + right[rights[0]] - shared <= top or top >= enough:
                break
            mine = first[a0 + i]
            for j in rights:
                if left[i] + right[j] - shared <= top or top >= enough:
                    break
                union = mine | second[b0 + j]
                if _worth(union, table) + budget * price <= top:
                    continue
                if _size(union & some) <= budget:
                    value = _worth(union, plain)
                else:
                    value, size = 0.0, 0
                    for b in order:
                        if size == budget:
                            break
                        if (union >> np.uint64(b)) & one:
                            value += weight[b]
                            size += 1
                if value > top:
                    top, best = value, union
    return best


@kernel
def _ceiling(first, second, first_ptr, second_ptr, weight, source, budget, price):
    """Return the bound on all unions at a price, and its slope in the price."""
    excess = np.maximum(weight - price, 0.0)
    table, found, slope = _table(excess), -1.0, budget
    some = np.uint64(0)
    for b in range(weight.size):
        if excess[b] > 0.0:
            some |= np.uint64(1) << np.uint64(b)
    for v in range(first_ptr.size - 1):
        a0, a1, b0, b1 = first_ptr[v], first_ptr[v + 1], second_ptr[v], second_ptr[v + 1]
        if a0 < a1 and b0 < b1:
            left, right = _worths(first[a0:a1], table), _worths(second[b0:b1], table)
            i, j = left.argmax(), right.argmax()
            shared = excess[v] + (excess[source] if v != source else 0.0)
            if left[i] + right[j] - shared > found:
                found = left[i] + right[j] - shared
                twice = (excess[v] > 0.0) + (v != source and excess[source] > 0.0)
                counted = _size(first[a0 + i] & some) + _size(second[b0 + j] & some) - twice
                slope = budget - counted
    return found + budget * price, slope


@kernel
def _size(mask):
    """Return how many elements a set has."""
    size = 0
    while mask:
        mask &= mask - np.uint64(1)
        size += 1
    return size


@kernel
def _table(weight):
    """Return what each value of each eight bits is worth, (bytes, 256)."""
    table = np.zeros(((weight.size + 7) // 8, 256))
    for b in range(weight.size):
        for byte in range(256):
            if byte >> (b & 7) & 1:
                table[b >> 3, byte] += weight[b]
    return table


@kernel
def _worths(masks, table):
    out = np.empty(masks.size)
    for i in range(masks.size):
        out[i] = _worth(masks[i], table)
    return out


@kernel
def _worth(mask, table):
    total = 0.0
    for k in range(table.shape[0]):
        total += table[k, (mask >> np.uint64(8 * k)) & np.uint64(255)]
    return total


@kernel
def tour_fits(inner, home, limit):
    """Tell whether some closed walk of at most `limit` steps visits k nodes.

    Parameters
    ----------
    inner : (k, k) int64
        Distances between the nodes.
    home : (k,) int64
        Distances from where the walk begins and ends.
    limit : int
        Number of steps.
    """
    k = home.size
    if k == 0:
        return True
    # Cut a walk before it has made more than half of its steps, at a node it came to: both parts,
    # read from home, make at most half of them up to their last nodes.
    half, everything = limit // 2, (1 << k) - 1
    least = np.empty((1 << k, k), dtype=np.int64)  # to visit a set and end at a member
    reached = np.zeros(1 << k, dtype=np.bool_)  # the sets whose row of `least` is in use
    for i in range(k):
        if home[i] <= half:
            least[1 << i] = half + 1
            least[1 << i, i] = home[i]
            reached[1 << i] = True
    for visited in range(1, everything):
        if not reached[visited]:
            continue
        for i in range(k):
            if least[visited, i] > half:
                continue
            for j in range(k):
                if not visited >> j & 1:
                    steps, larger = least[visited, i] + inner[i, j], visited | 1 << j
                    if steps <= half:
                        if not reached[larger]:
                            least[larger] = half + 1
                            reached[larger] = True
                        least[larger, j] = min(least[larger, j], steps)
    if reached[everything]:
        return True  # and home again by the same steps, at worst
    for visited in range(1, everything):
        other = everything ^ visited
        if reached[visited] and reached[other]:
            for i in range(k):
                for j in range(k):
                    steps, others = least[visited, i], least[other, j]
                    if max(steps, others) <= half and steps + inner[i, j] + others <= limit:
                        return True
    return False
