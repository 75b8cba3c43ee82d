"""Kernels that find a good order of the states.

Arrays as in `bellman`. Written are `goal`, `order`, `place` and the arrays whose names begin with
`new`.
"""

import numpy as np

from mdplib._kernels.compile import kernel

U = np.uint64


@kernel
def find_goals(state_ptr, indptr, indices, reward, goal):
    """Mark the states that only loop for nothing; return their number.

    Return 0 at once when a pair of another state pays 0 or more: there is then no cost per step.
    """
    found = 0
    for s in range(U(state_ptr.size - 1)):
        loops = True
        for k in range(U(state_ptr[s]), U(state_ptr[s + U(1)])):
            first = U(indptr[k])
            if indptr[k + U(1)] - indptr[k] != 1 or U(indices[first]) != s or reward[k] != 0.0:
                loops = False
        if not loops:
            for k in range(U(state_ptr[s]), U(state_ptr[s + U(1)])):
                if reward[k] >= 0.0:
                    return 0
        goal[s] = loops
        found += loops
    return found


@kernel
def breadth_first(state_ptr, indptr, indices, data, goal, order, place):
    """Order the states by their distance to the goals; return how many can reach one.

    States that cannot come last. `place` is the inverse of `order`.
    """
    S = state_ptr.size - 1
    ptr = np.zeros(S + 1, dtype=np.int64)
    for j in range(U(indices.size)):
        ptr[U(indices[j]) + U(1)] += 1
    for s in range(S):
        ptr[s + 1] += ptr[s]
    source = np.empty(indices.size, dtype=np.int32)
    at = ptr[:-1].copy()
    for s in range(S):
        for j in range(U(indptr[state_ptr[s]]), U(indptr[state_ptr[s + 1]])):
            t = U(indices[j])
            source[at[t]] = s
            at[t] += 1
    place[:] = -1
    n = 0
    for s in range(S):
        if goal[s]:
            order[n], place[s] = s, n
            n += 1
    head = 0
    while head < n:
        t = order[head]
        head += 1
        for i in range(U(ptr[t]), U(ptr[t + 1])):
            s = U(source[i])
            if place[s] < 0:
                order[n], place[s] = s, n
                n += 1
    for s in range(S):
        if place[s] < 0:
            order[head], place[s] = s, head
            head += 1
    return n


@kernel
def permute(
    state_ptr, indptr, indices, data, reward, order, place,
    new_state_ptr, new_indptr, new_indices, new_data, new_reward,
):  # fmt: skip
    """Write the model with its states in another order."""
    k, j = U(0), U(0)
    new_state_ptr[0] = 0
    new_indptr[0] = 0
    for i in range(U(order.size)):
        s = U(order[i])
        for old in range(U(state_ptr[s]), U(state_ptr[s + U(1)])):
            for at in range(U(indptr[old]), U(indptr[old + U(1)])):
                new_indices[j], new_data[j] = place[U(indices[at])], data[at]
                j += U(1)
            new_reward[k] = reward[old]
            k += U(1)
            new_indptr[k] = j
        new_state_ptr[i + U(1)] = k
