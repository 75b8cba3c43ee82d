"""Bellman kernels on ragged state-action rows.

Arrays: `state_ptr` (S+1), `indptr` (K+1), `indices` and `data` (nnz), `reward` (K). Pointers are
absolute, so a slice `state_ptr[h*S : (h+1)*S+1]` addresses one layer of a stacked model without a
copy. Model arrays are read-only; only `out` arrays are written.
"""

from mdplib._kernels.compile import kernel


@kernel
def backup(state_ptr, indptr, indices, data, reward, gamma, V, out, pair):
    """Write max_k (r + gamma P V) and its lowest maximiser; return the range of out - V."""
    low, high = float("inf"), float("-inf")
    for s in range(state_ptr.size - 1):
        best, best_pair = float("-inf"), -1
        for k in range(state_ptr[s], state_ptr[s + 1]):
            total = 0.0
            for j in range(indptr[k], indptr[k + 1]):
                total += data[j] * V[indices[j]]
            q = reward[k] + gamma * total
            if q > best or best_pair < 0:
                best, best_pair = q, k
        out[s], pair[s] = best, best_pair
        change = best - V[s]
        low, high = min(low, change), max(high, change)
    return low, high


@kernel
def q_values(indptr, indices, data, reward, gamma, V, first, out):
    """Write r + gamma P V for the pairs first, first+1, ..., first+out.size-1."""
    for i in range(out.size):
        k = first + i
        total = 0.0
        for j in range(indptr[k], indptr[k + 1]):
            total += data[j] * V[indices[j]]
        out[i] = reward[k] + gamma * total


@kernel
def policy_sweeps(pair, indptr, indices, data, reward, gamma, V, spare, sweeps):
    """Apply T_pi `sweeps` times to V in place (Jacobi, through `spare`)."""
    for _ in range(sweeps):
        for s in range(pair.size):
            total = 0.0
            for j in range(indptr[pair[s]], indptr[pair[s] + 1]):
                total += data[j] * V[indices[j]]
            spare[s] = reward[pair[s]] + gamma * total
        for s in range(pair.size):
            V[s] = spare[s]


@kernel
def gauss_seidel(state_ptr, indptr, indices, data, reward, gamma, V, reverse):
    """One in-place sweep of the optimality operator; return the range of the changes."""
    low, high = float("inf"), float("-inf")
    n = state_ptr.size - 1
    for i in range(n):
        s = n - 1 - i if reverse else i
        best = float("-inf")
        for k in range(state_ptr[s], state_ptr[s + 1]):
            total = 0.0
            for j in range(indptr[k], indptr[k + 1]):
                total += data[j] * V[indices[j]]
            best = max(best, reward[k] + gamma * total)
        change = best - V[s]
        V[s] = best
        low, high = min(low, change), max(high, change)
    return low, high
