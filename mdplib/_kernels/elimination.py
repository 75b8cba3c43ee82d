"""Kernels of the methods that visit parts of a model: component by component, or pair by pair.

Arrays as in `mdplib._kernels.bellman`; only `V`, `keep` and `out` arrays are written.
"""

from mdplib._kernels.compile import kernel


@kernel
def alone(s, state_ptr, indptr, indices, data, reward, gamma, V):
    """Return the value of a state whose successors, itself apart, have theirs."""
    best = float("-inf")
    for k in range(state_ptr[s], state_ptr[s + 1]):
        total, own = 0.0, 0.0
        for j in range(indptr[k], indptr[k + 1]):
            if indices[j] == s:
                own += data[j]
            else:
                total += data[j] * V[indices[j]]
        best = max(best, (reward[k] + gamma * total) / (1.0 - gamma * own))
    return best


@kernel
def raise_part(
    c, begin, end, part, label, state_ptr, indptr, indices, data, reward, gamma, V, pair, spare
):
    """Back one component up, raise it as far as the backup proves, and note the best pairs.

    Returns the largest entry of T V - V that may be left.
    """
    low, high, least = float("inf"), float("-inf"), 1.0
    for i in range(begin, end):
        s = part[i]
        best = float("-inf")
        for k in range(state_ptr[s], state_ptr[s + 1]):
            total, stays = 0.0, 0.0
            for j in range(indptr[k], indptr[k + 1]):
                total += data[j] * V[indices[j]]
                if label[indices[j]] == c:
                    stays += data[j]
            q = reward[k] + gamma * total
            least = min(least, stays)
            if q > best:
                best, pair[s] = q, k
        spare[s] = best
        low, high = min(low, best - V[s]), max(high, best - V[s])
    shift = max(low, 0.0) / (1.0 - gamma * least)
    for i in range(begin, end):
        V[part[i]] = spare[part[i]] + gamma * least * shift
    return gamma * (high - max(low, 0.0))


@kernel
def policy_part(begin, end, part, pair, indptr, indices, data, reward, gamma, V, spare, sweeps):
    """Sweep one component under a policy: twice in place, there and back, then from old values."""
    for sweep in range(2):
        for i in range(end - begin):
            s = part[end - 1 - i] if sweep else part[begin + i]
            total = 0.0
            for j in range(indptr[pair[s]], indptr[pair[s] + 1]):
                total += data[j] * V[indices[j]]
            V[s] = reward[pair[s]] + gamma * total
    for _ in range(sweeps):
        for i in range(begin, end):
            s = part[i]
            total = 0.0
            for j in range(indptr[pair[s]], indptr[pair[s] + 1]):
                total += data[j] * V[indices[j]]
            spare[s] = reward[pair[s]] + gamma * total
        for i in range(begin, end):
            V[part[i]] = spare[part[i]]


@kernel
def components(
    part_ptr,
    part,
    label,
    state_ptr,
    indptr,
    indices,
    data,
    reward,
    gamma,
    V,
    pair,
    spare,
    sweeps,
    wanted,
    first,
    budget,
):
    """Solve components one after the other, until the range of T V - V is at most `wanted`.

    Component c holds the states ``part[part_ptr[c]:part_ptr[c+1]]``. Starts with component
    `first`; returns where it stopped, once more than `budget` states were visited, and how many
    were; visits under a policy count as much as backups.
    """
    visited = 0
    c = first
    while c < part_ptr.size - 1 and visited <= budget:
        begin, end = part_ptr[c], part_ptr[c + 1]
        visited += end - begin
        if end - begin == 1:
            s = part[begin]
            V[s] = alone(s, state_ptr, indptr, indices, data, reward, gamma, V)
            c += 1
            continue
        left = raise_part(
            c, begin, end, part, label, state_ptr, indptr, indices, data, reward, gamma, V, pair,
            spare,
        )  # fmt: skip
        if left <= wanted:
            c += 1
        else:
            policy_part(
                begin, end, part, pair, indptr, indices, data, reward, gamma, V, spare, sweeps
            )
            visited += (2 + sweeps) * (end - begin)
    return c, visited


@kernel
def undominated(state_ptr, q, lower, keep):
    """Clear `keep` for pairs whose bound q from above is below the value bound from below.

    The pair with the largest q of each state always stays. Returns how many were cleared.
    """
    cleared = 0
    for s in range(state_ptr.size - 1):
        best = state_ptr[s]
        for k in range(state_ptr[s], state_ptr[s + 1]):
            if q[k] > q[best]:
                best = k
        for k in range(state_ptr[s], state_ptr[s + 1]):
            keep[k] = k == best or not q[k] < lower[s]
            if not keep[k]:
                cleared += 1
    return cleared
