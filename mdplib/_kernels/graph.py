"""Graph kernels on ragged rows.

Arrays: `state_ptr` (S+1), `indptr` (K+1), `indices` (nnz) as in the models; `edge` (nnz) marks the
transitions that count; `back_ptr` (S+1) and `back` list the pairs that may enter each state;
`pair_state` (K) is the state of each pair. Masks of states are (S,) bool, of pairs (K,) bool.
"""

import numpy as np

from mdplib._kernels.compile import kernel


@kernel
def predecessors(indptr, indices, edge, back_ptr, back):
    """Sort the counting transitions by the state they enter, in the order of the pairs."""
    S = back_ptr.size - 1
    back_ptr[:] = 0
    for j in range(indices.size):
        if edge[j]:
            back_ptr[indices[j] + 1] += 1
    for s in range(S):
        back_ptr[s + 1] += back_ptr[s]
    place = back_ptr[:S].copy()
    for k in range(indptr.size - 1):
        for j in range(indptr[k], indptr[k + 1]):
            if edge[j]:
                t = indices[j]
                back[place[t]] = k
                place[t] += 1


@kernel
def components(state_ptr, indptr, indices, edge, label):
    """Label the strong components of the states with label -1, successors first; return count.

    Tarjan's algorithm with an explicit stack. States with another label are left out.
    """
    S = state_ptr.size - 1
    order, low = np.zeros(S, np.int32), np.zeros(S, np.int32)
    cursor, open_, call = np.zeros(S, np.int32), np.zeros(S, np.int32), np.zeros(S, np.int32)
    count, clock, n_open = 0, 0, 0
    for root in range(S):
        if label[root] != -1:
            continue
        depth = 0
        call[0] = root
        while depth >= 0:
            s = call[depth]
            if order[s] == 0:
                clock += 1
                order[s] = low[s] = clock
                cursor[s] = indptr[state_ptr[s]]
                open_[n_open] = s
                n_open += 1
            end, j, deeper = indptr[state_ptr[s + 1]], cursor[s], False
            while j < end:
                t = indices[j]
                if edge[j] and label[t] == -1:
                    if order[t] == 0:
                        depth += 1
                        call[depth] = t
                        deeper = True
                        break
                    low[s] = min(low[s], low[t])
                j += 1
            cursor[s] = j
            if deeper:
                continue
            depth -= 1
            if low[s] == order[s]:
                while True:
                    n_open -= 1
                    t = open_[n_open]
                    label[t] = count
                    if t == s:
                        break
                count += 1
    return count


@kernel
def forward(state_ptr, indptr, indices, edge, seen):
    """Extend `seen` by all states that it can reach."""
    queue = np.empty(seen.size, np.int32)
    n = 0
    for s in range(seen.size):
        if seen[s]:
            queue[n] = s
            n += 1
    i = 0
    while i < n:
        s = queue[i]
        i += 1
        for j in range(indptr[state_ptr[s]], indptr[state_ptr[s + 1]]):
            t = indices[j]
            if edge[j] and not seen[t]:
                seen[t] = True
                queue[n] = t
                n += 1


@kernel
def backward(back_ptr, back, pair_state, allowed, stop, distance, step):
    """Breadth first from the states of distance 0 against the transitions.

    States of `stop` are not entered; `step` receives a pair that leads one nearer.
    """
    queue = np.empty(distance.size, np.int32)
    n = 0
    for s in range(distance.size):
        if distance[s] == 0:
            queue[n] = s
            n += 1
    i = 0
    while i < n:
        t = queue[i]
        i += 1
        for j in range(back_ptr[t], back_ptr[t + 1]):
            k = back[j]
            s = pair_state[k]
            if allowed[k] and distance[s] < 0 and not stop[s]:
                distance[s] = distance[t] + 1
                step[s] = k
                queue[n] = s
                n += 1


@kernel
def _discard(queue, n, back_ptr, back, pair_state, allowed, left, keep, gone):
    """Drop the first n queued states, all pairs that may enter one, and states without a pair.

    States of `keep` stay even so. `left` counts the allowed pairs of each state.
    """
    i = 0
    while i < n:
        t = queue[i]
        i += 1
        for j in range(back_ptr[t], back_ptr[t + 1]):
            k = back[j]
            if allowed[k]:
                allowed[k] = False
                s = pair_state[k]
                left[s] -= 1
                if left[s] == 0 and not keep[s] and not gone[s]:
                    gone[s] = True
                    queue[n] = s
                    n += 1
    return n


@kernel
def avoidable(back_ptr, back, pair_state, state_ptr, hit):
    """Extend `hit` by the states all of whose pairs may enter it."""
    S, K = hit.size, pair_state.size
    queue, left = np.empty(S, np.int32), np.empty(S, np.int32)
    allowed, keep = np.ones(K, np.bool_), np.zeros(S, np.bool_)
    n = 0
    for s in range(S):
        left[s] = state_ptr[s + 1] - state_ptr[s]
        if hit[s]:
            queue[n] = s
            n += 1
    _discard(queue, n, back_ptr, back, pair_state, allowed, left, keep, hit)


@kernel
def almost_sure(back_ptr, back, pair_state, allowed, target, gone):
    """Mark in `gone` the states from which no policy reaches `target` with probability one.

    `allowed` are the pairs that policies may use; it is overwritten.
    """
    S = target.size
    queue, left = np.empty(S, np.int32), np.zeros(S, np.int32)
    distance, step = np.empty(S, np.int32), np.empty(S, np.int32)
    gone[:] = False
    for k in range(pair_state.size):
        if allowed[k]:
            left[pair_state[k]] += 1
    while True:
        for s in range(S):
            distance[s] = 0 if target[s] else -1
        backward(back_ptr, back, pair_state, allowed, gone, distance, step)
        n = 0
        for s in range(S):
            if distance[s] < 0 and not gone[s]:
                gone[s] = True
                queue[n] = s
                n += 1
        if n == 0:
            return
        _discard(queue, n, back_ptr, back, pair_state, allowed, left, target, gone)


@kernel
def end_components(state_ptr, indptr, indices, edge, back_ptr, back, pair_state, inside, label):
    """Shrink `inside` to the pairs of maximal end components; number these in `label`.

    `edge` is overwritten: transitions of dropped pairs no longer count.
    """
    S, K = label.size, inside.size
    queue, left, part = np.empty(S, np.int32), np.zeros(S, np.int32), np.empty(S, np.int32)
    gone, keep, active = np.zeros(S, np.bool_), np.zeros(S, np.bool_), np.ones(S, np.bool_)
    label[:] = -1
    for k in range(K):
        if inside[k]:
            left[pair_state[k]] += 1
    n = 0
    for s in range(S):
        if left[s] == 0:
            gone[s] = True
            queue[n] = s
            n += 1
    _discard(queue, n, back_ptr, back, pair_state, inside, left, keep, gone)
    found, pending = 0, S
    while pending > 0:
        for k in range(K):
            if not inside[k]:
                for j in range(indptr[k], indptr[k + 1]):
                    edge[j] = False
        for s in range(S):
            active[s] = active[s] and not gone[s]
            part[s] = -1 if active[s] else -2
        count = components(state_ptr, indptr, indices, edge, part)
        dirty, number = np.zeros(count, np.bool_), np.full(count, -1, np.int32)
        n = 0
        for s in range(S):
            if not active[s]:
                continue
            for k in range(state_ptr[s], state_ptr[s + 1]):
                if not inside[k]:
                    continue
                for j in range(indptr[k], indptr[k + 1]):
                    if edge[j] and part[indices[j]] != part[s]:
                        inside[k] = False
                        dirty[part[s]] = True
                        left[s] -= 1
                        break
            if left[s] == 0:
                gone[s] = True
                queue[n] = s
                n += 1
        n = _discard(queue, n, back_ptr, back, pair_state, inside, left, keep, gone)
        for i in range(n):
            dirty[part[queue[i]]] = True
            t = queue[i]
            for j in range(back_ptr[t], back_ptr[t + 1]):
                s = pair_state[back[j]]
                if active[s]:
                    dirty[part[s]] = True
        pending = 0
        for s in range(S):
            if active[s] and not gone[s]:
                if dirty[part[s]]:
                    pending += 1
                else:
                    if number[part[s]] < 0:
                        number[part[s]] = found
                        found += 1
                    label[s] = number[part[s]]
                    active[s] = False
    return found
