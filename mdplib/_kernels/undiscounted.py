"""Kernels for undiscounted problems on rows over nodes.

Arrays: `state_ptr` (N+1), `indptr` (K+1), `indices` and `data` (nnz), `reward` (K) or a
substitute `gain` (K). Nodes without pairs keep their values. `order` lists the other nodes by
component, successors first; component c is ``order[ends[c] : ends[c+1]]``. Transitions from a
node to itself are left out; `away` (K) is the sum of the others.

Rows sum to one, so a row is evaluated as ``r + sum p (x_t - x_s)``, which is small where x is
smooth; the compiler must therefore not regroup these sums, unlike those of the other kernels.
"""

import numpy as np
from numba import njit

_INNER = 4  # sweeps of the present policy after each sweep over all pairs


def strict(function):
    """Compile `function` lazily with the sums in the order written."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        return njit(nogil=True, error_model="numpy")(function)


@strict
def residuals(state_ptr, indptr, indices, data, reward, hi, lo, out, size):
    """Write r + P x - x for x = hi + lo, and the sum of the magnitudes of the terms."""
    for s in range(state_ptr.size - 1):
        for k in range(state_ptr[s], state_ptr[s + 1]):
            total, terms = 0.0, 0.0
            for j in range(indptr[k], indptr[k + 1]):
                t = indices[j]
                high, low = hi[t] - hi[s], lo[t] - lo[s]
                total += data[j] * (high + low)
                terms += data[j] * (abs(high) + abs(low))
            out[k], size[k] = reward[k] + total, abs(reward[k]) + terms


@strict
def _best(s, sign, state_ptr, indptr, indices, data, away, gain, w):
    """Return the best value of a node against w, and its pair; self-loops are solved for."""
    best, pair = 0.0, -1
    for k in range(state_ptr[s], state_ptr[s + 1]):
        total = 0.0
        for j in range(indptr[k], indptr[k + 1]):
            total += data[j] * w[indices[j]]
        q = (gain[k] + total) / away[k]
        if pair < 0 or sign * q > sign * best:
            best, pair = q, k
    return best, pair


@strict
def sweep(
    state_ptr, indptr, indices, data, away, gain, sign, order, ends, c, budget, goal, share, work,
    w, choice,
):  # fmt: skip
    """Improve w from component c on, successors first; stop at one that does not converge.

    A component has converged once no value changes by more than ``goal[s] + share * |w[s]|``.
    `budget` counts down the sweeps that each may take; `work` bounds the transitions visited.
    Returns the component it stopped at, the sweeps done, and whether w stayed finite.
    """
    sweeps = 0
    while c < ends.size - 1:
        first, end = ends[c], ends[c + 1]
        if end == first + 1:
            s = order[first]
            w[s], choice[s] = _best(s, sign, state_ptr, indptr, indices, data, away, gain, w)
            work -= indptr[state_ptr[s + 1]] - indptr[state_ptr[s]]
            c += 1
            continue
        settled = False
        while not settled and budget[c] > 0 and work > 0:
            settled = True
            for i in range(first, end):
                s = order[i]
                new, pair = _best(s, sign, state_ptr, indptr, indices, data, away, gain, w)
                work -= indptr[state_ptr[s + 1]] - indptr[state_ptr[s]]
                if not abs(new) < np.inf:
                    return c, sweeps, False
                if abs(new - w[s]) > goal[s] + share * abs(new):
                    settled = False
                w[s], choice[s] = new, pair
            budget[c] -= 1
            sweeps += 1
            for _ in range(0 if settled else _INNER):
                for i in range(first, end):
                    s = order[i]
                    k, total = choice[s], 0.0
                    for j in range(indptr[k], indptr[k + 1]):
                        total += data[j] * w[indices[j]]
                    w[s] = (gain[k] + total) / away[k]
                    work -= indptr[k + 1] - indptr[k]
        if not settled:
            return c, sweeps, True
        c += 1
    return c, sweeps, True


@strict
def improve(state_ptr, indptr, indices, data, gain, sign, nodes, noise, w, choice):
    """Switch the nodes to a pair that is better than the present one by more than rounding."""
    changes = 0
    for i in range(nodes.size):
        s = nodes[i]
        best, chosen = 0.0, choice[s]
        for k in range(state_ptr[s], state_ptr[s + 1]):
            total, terms = 0.0, 0.0
            for j in range(indptr[k], indptr[k + 1]):
                change = w[indices[j]] - w[s]
                total += data[j] * change
                terms += data[j] * (abs(change) + abs(w[indices[j]]))
            q = sign * (gain[k] + total)
            if k != choice[s] and q > best + noise * (abs(gain[k]) + terms):
                best, chosen = q, k
        if chosen != choice[s]:
            choice[s] = chosen
            changes += 1
    return changes


@strict
def tighten(
    state_ptr, indptr, indices, data, away, reward, sign, upper, error, tiny, nodes, x, choice
):  # fmt: skip
    """Sweep a proven bound over `nodes` in place, rounded outward; return the largest change.

    `choice` receives the pair behind each change: the best one for the objective `sign`.
    """
    out = 1.0 if upper else -1.0
    largest = 0.0
    for i in range(nodes.size):
        s = nodes[i]
        best, chosen = 0.0, -1
        for k in range(state_ptr[s], state_ptr[s + 1]):
            total, terms = 0.0, 0.0
            for j in range(indptr[k], indptr[k + 1]):
                change = x[indices[j]] - x[s]
                total += data[j] * change
                terms += data[j] * abs(change)
            step = reward[k] + total + out * (error * (abs(reward[k]) + terms) + tiny)
            step = step / away[k]
            if chosen < 0 or sign * step > sign * best:
                best, chosen = step, k
        # the sum and the quotient below are rounded: 4 units of the results cover both
        new = x[s] + best
        new += out * (4.5e-16 * abs(best) + 2.3e-16 * abs(new) + 5e-324)
        if (new < x[s]) if upper else (new > x[s]):
            scale = abs(new) if abs(new) > 0.0 else 1.0
            largest = max(largest, abs(new - x[s]) / scale)
            x[s], choice[s] = new, chosen
    return largest


@strict
def intervals(
    state_ptr, indptr, indices, data, away, reward, sign, error, tiny, order, ends, c, work, tol,
    rtol, lower, upper, low_choice, high_choice,
):  # fmt: skip
    """Narrow two bounds from component c on until they are as near as asked, or stand still.

    Later components are granted more of the tolerance, up to all of it. Returns the component it
    stopped at once `work` is spent, and the sweeps done.
    """
    sweeps, count = 0, ends.size - 1
    while c < count:
        nodes = order[ends[c] : ends[c + 1]]
        share = 0.5 + 0.5 * (c + 1) / count
        edges = 0
        for i in range(nodes.size):
            edges += indptr[state_ptr[nodes[i] + 1]] - indptr[state_ptr[nodes[i]]]
        while True:
            if work <= 0:
                return c, sweeps
            up = tighten(
                state_ptr, indptr, indices, data, away, reward, sign, False, error, tiny, nodes,
                lower, low_choice,
            )  # fmt: skip
            down = tighten(
                state_ptr, indptr, indices, data, away, reward, sign, True, error, tiny, nodes,
                upper, high_choice,
            )  # fmt: skip
            work -= 2 * edges
            sweeps += 1
            near = True
            for i in range(nodes.size):
                s = nodes[i]
                if not upper[s] - lower[s] <= share * (tol + rtol * abs(lower[s])):
                    near = False
                    break
            if near or (up < 2.3e-16 and down < 2.3e-16):
                break
        c += 1
    return c, sweeps


@strict
def guess(
    state_ptr, indptr, indices, data, away, reward, sign, error, tiny, order, lower, x, choice
):
    """Sweep a guessed upper bound in place; return how many values rose, and fell below `lower`.

    If none rose, the result x satisfies T x <= x.
    """
    rose, below = 0, 0
    for i in range(order.size):
        s = order[i]
        best, chosen = 0.0, -1
        for k in range(state_ptr[s], state_ptr[s + 1]):
            total, terms = 0.0, 0.0
            for j in range(indptr[k], indptr[k + 1]):
                change = x[indices[j]] - x[s]
                total += data[j] * change
                terms += data[j] * abs(change)
            step = reward[k] + total + error * (abs(reward[k]) + terms) + tiny
            step = step / away[k]
            if chosen < 0 or sign * step > sign * best:
                best, chosen = step, k
        new = x[s] + best
        new += 4.5e-16 * abs(best) + 2.3e-16 * abs(new) + 5e-324
        choice[s] = chosen
        if best > 0.0:
            rose += 1
            x[s] = new
        else:
            x[s] = min(new, x[s])
        below += x[s] < lower[s]
    return rose, below


@strict
def escape(state_ptr, indptr, indices, data, order, label, shrink, h):
    """Write a lower bound on the probability of never coming back to each node; return success.

    A node is ranked once each of its pairs may move to a node ranked before, or to another
    component; following ranks downwards leaves the component without a return. `label` holds the
    component of each node; h is -1 on the nodes of `order` at first.
    """
    left = order.size
    while left > 0:
        before = left
        for i in range(order.size):
            s = order[i]
            if h[s] >= 0.0:
                continue
            least = np.inf
            for k in range(state_ptr[s], state_ptr[s + 1]):
                total = 0.0
                for j in range(indptr[k], indptr[k + 1]):
                    t = indices[j]
                    if label[t] != label[s]:
                        total += data[j]
                    elif h[t] > 0.0:
                        total += data[j] * h[t]
                least = min(least, total * shrink)
            if least > 0.0:
                h[s] = least
                left -= 1
        if left == before:
            return False
    return True
