"""Bellman kernels on ragged state-action rows.

Arrays: `state_ptr` (S+1), `indptr` (K+1), `indices` and `data` (nnz), `reward` (K). Pointers are
absolute, so a slice `state_ptr[h*S : (h+1)*S+1]` addresses one layer of a stacked model without a
copy. Model arrays are read-only; only `out`, `pair`, and `V` where the text says so, are written.
A kernel that takes `first` and `last` works on the states first..last-1 alone, so several threads
can share one sweep. Indices are cast to unsigned integers: numba then omits its support for
negative ones, which would cost more than the arithmetic.
"""

import numpy as np

from mdplib._kernels.compile import inlined, kernel

U = np.uint64


@inlined
def part(indices, data, V, j, end):
    """Return the sum of p V over the positions j..end-1, in four interleaved parts."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    while j + U(4) <= end:
        a += data[j] * V[U(indices[j])]
        b += data[j + U(1)] * V[U(indices[j + U(1)])]
        c += data[j + U(2)] * V[U(indices[j + U(2)])]
        d += data[j + U(3)] * V[U(indices[j + U(3)])]
        j += U(4)
    while j < end:
        a += data[j] * V[U(indices[j])]
        j += U(1)
    return (a + b) + (c + d)


@kernel
def backup(state_ptr, indptr, indices, data, reward, gamma, V, first, last, out, pair):
    """Write max_k (r + gamma P V) and its lowest maximiser.

    Return the least and the largest entry of out - V, and the largest magnitude in out.
    """
    low, high, size = float("inf"), float("-inf"), 0.0
    for s in range(U(first), U(last)):
        k, end = U(state_ptr[s]), U(state_ptr[s + U(1)])
        best, chosen = (
            reward[k] + gamma * part(indices, data, V, U(indptr[k]), U(indptr[k + U(1)])),
            k,
        )
        k += U(1)
        while k < end:
            q = reward[k] + gamma * part(indices, data, V, U(indptr[k]), U(indptr[k + U(1)]))
            if q > best:
                best, chosen = q, k
            k += U(1)
        out[s], pair[s] = best, chosen
        change = best - V[s]
        low, high, size = min(low, change), max(high, change), max(size, abs(best))
    return low, high, size


@kernel
def best_of(state_ptr, q, V, first, last, out, pair):
    """Write the maximum of q over each state's pairs, and return what `backup` does."""
    low, high, size = float("inf"), float("-inf"), 0.0
    start = U(state_ptr[0])
    for s in range(U(first), U(last)):
        k, end = U(state_ptr[s]), U(state_ptr[s + U(1)])
        best, chosen = q[k - start], k
        k += U(1)
        while k < end:
            if q[k - start] > best:
                best, chosen = q[k - start], k
            k += U(1)
        out[s], pair[s] = best, chosen
        change = best - V[s]
        low, high, size = min(low, change), max(high, change), max(size, abs(best))
    return low, high, size


@kernel
def q_values(indptr, indices, data, reward, gamma, V, first, out):
    """Write r + gamma P V for the pairs first, first+1, ..., first+out.size-1."""
    for i in range(U(out.size)):
        k = U(first) + i
        out[i] = reward[k] + gamma * part(indices, data, V, U(indptr[k]), U(indptr[k + U(1)]))


@kernel
def policy_sweeps(pair, indptr, indices, data, reward, gamma, V, spare, sweeps):
    """Apply T_pi `sweeps` times to V in place (Jacobi, through `spare`)."""
    for _ in range(sweeps):
        for s in range(U(pair.size)):
            k = U(pair[s])
            spare[s] = reward[k] + gamma * part(indices, data, V, U(indptr[k]), U(indptr[k + U(1)]))
        V[:] = spare


@kernel
def gauss_seidel(state_ptr, indptr, indices, data, reward, gamma, V, reverse):
    """One in-place sweep of the optimality operator; return the range of the changes.

    A self-loop is eliminated: the pair is worth (r + gamma sum_{t != s} p V) / (1 - gamma p_s).
    """
    low, high = float("inf"), float("-inf")
    n = U(state_ptr.size - 1)
    for i in range(n):
        s = n - U(1) - i if reverse else i
        best = float("-inf")
        for k in range(U(state_ptr[s]), U(state_ptr[s + U(1)])):
            first, end = U(indptr[k]), U(indptr[k + U(1)])
            j = first
            while j < end and U(indices[j]) < s:
                j += U(1)
            if j < end and U(indices[j]) == s:
                others = part(indices, data, V, first, j) + part(indices, data, V, j + U(1), end)
                q = (reward[k] + gamma * others) / (1.0 - gamma * data[j])
            else:
                q = reward[k] + gamma * part(indices, data, V, first, end)
            best = max(best, q)
        change = best - V[s]
        V[s] = best
        low, high = min(low, change), max(high, change)
    return low, high


@kernel
def rise(state_ptr, indptr, indices, data, reward, gamma, V, pair, inner, cut):
    """Sweep the optimality operator in place, then the policy that attained it.

    At most `inner` sweeps of the policy, until one changes V by at most `cut` times the first
    sweep's change. Self-loops are eliminated. Return the number of sweeps, and the first's change.
    """
    S, first = U(pair.size), 0.0
    for s in range(S):
        best, chosen = float("-inf"), U(state_ptr[s])
        for k in range(U(state_ptr[s]), U(state_ptr[s + U(1)])):
            total, stay = 0.0, 0.0
            for j in range(U(indptr[k]), U(indptr[k + U(1)])):
                if U(indices[j]) == s:
                    stay += data[j]
                else:
                    total += data[j] * V[U(indices[j])]
            q = reward[k] + gamma * total
            if stay > 0.0:
                q /= 1.0 - gamma * stay
            if q > best:
                best, chosen = q, k
        first = max(first, abs(best - V[s]))
        V[s], pair[s] = best, chosen
    for n in range(inner):
        most = 0.0
        for s in range(S):
            total, stay = 0.0, 0.0
            k = U(pair[s])
            for j in range(U(indptr[k]), U(indptr[k + U(1)])):
                if U(indices[j]) == s:
                    stay += data[j]
                else:
                    total += data[j] * V[U(indices[j])]
            q = reward[k] + gamma * total
            if stay > 0.0:
                q /= 1.0 - gamma * stay
            most = max(most, abs(q - V[s]))
            V[s] = q
        if most <= cut * first:
            return n + 2, first
    return inner + 1, first


@kernel
def small(state_ptr, indptr, indices, data, reward, gamma, V, out, pair, narrow, rounds):
    """Solve a small model in one call; return the number of sweeps. The result is in V.

    Modified policy iteration around the middle of the bracket, for as long as the span of the
    change keeps falling; then sweeps that rise from below. Both end at a span or change of
    `narrow`, or after `rounds` greedy sweeps. The caller certifies V.
    """
    S, work, before = U(pair.size), 0, float("inf")
    low, high = 0.0, 0.0
    for n in range(rounds):
        low, high, _ = backup(
            state_ptr, indptr, indices, data, reward, gamma, V, 0, pair.size, out, pair
        )
        work += 1
        span = high - low
        middle = gamma / (1.0 - gamma) * 0.5 * (low + high)
        for s in range(S):
            V[s] = out[s] + middle
        if span <= narrow:
            return work
        if n % 2 == 0:  # two rounds should do better than this
            if span > 0.3 * before:
                break
            before = span
        for _ in range(20):
            low, high = float("inf"), float("-inf")
            for s in range(S):
                k = U(pair[s])
                new = reward[k] + gamma * part(indices, data, V, U(indptr[k]), U(indptr[k + U(1)]))
                change = new - V[s]
                out[s] = new
                low, high = min(low, change), max(high, change)
            V[:] = out
            work += 1
            if high - low <= max(0.02 * span, narrow):
                break
    low, high, _ = backup(
        state_ptr, indptr, indices, data, reward, gamma, V, 0, pair.size, out, pair
    )
    below = gamma / (1.0 - gamma) * low
    for s in range(S):
        V[s] = out[s] + below
    work += 1
    for _ in range(rounds):
        n, change = rise(state_ptr, indptr, indices, data, reward, gamma, V, pair, 3, 0.2)
        work += n
        if change <= narrow:
            break
    return work
